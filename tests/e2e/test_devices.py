"""Who gets a GPU, and who does not and why: the real daemon on a stand-in for NVIDIA's library (tests/server/fake_nvml), loaded as
the real one would be. The worker is a stand-in too (tests/server/stand_in_worker.sh): the real one trains on a GPU only where there
is one. What only a real GPU could show is listed in server/README.md."""

import getpass
import json
import os
import shutil
import subprocess

import pytest
from conftest import BIN, ROOT, Lab, wait_for

ENDLESS = "1000000"


class Machine(Lab):
    """A home on a machine whose driver says what the test wants. The scenario's grammar is at the top of fake_nvml.cpp."""

    def __init__(self, folder, gpus):
        super().__init__(folder)
        # The daemon starts the moelab-worker beside its own executable.
        self.bin = folder / "bin"
        self.bin.mkdir()
        shutil.copy2(BIN / "moelab", self.bin / "moelab")
        shutil.copy2(ROOT / "tests/server/stand_in_worker.sh", self.bin / "moelab-worker")
        self.env.pop("CUDA_VISIBLE_DEVICES", None)
        self.env |= {"LD_LIBRARY_PATH": str((BIN / "fake_nvml").resolve()), "MOELAB_FAKE_NVML": str(folder / "nvml.json"), "STAND_IN_STEPS": "3"}
        self.gpus = [{"uuid": f"GPU-aaaa-{index}"} for index in range(gpus)]
        self.follow = {"home": str(self.home), "memory_mb": 900}
        self.say()

    def say(self, init="ok"):
        """From here on the driver tells what self.gpus and self.follow hold."""
        new = self.folder / "nvml.new"
        new.write_text(json.dumps({"init": init, "follow": self.follow, "gpus": self.gpus}))
        os.replace(new, self.folder / "nvml.json")

    def submit(self, *names, gpus=1, **resources):
        only = [argument for name in names for argument in ("--only", name)]
        knobs = [argument for key, value in resources.items() for argument in ("-s", f"resources.{key}={value}")]
        self.ok("submit", "small.yaml", *only, "-s", f"resources.gpus={gpus}", *knobs)

    def device(self, name="gpu0"):
        return {device["id"]: device for device in self.json("gpus")["devices"]}.get(name)

    def until_device(self, state, note="", name="gpu0"):
        def there():
            device = self.device(name)
            return device if device and device["state"] == state and note in device["note"] else None
        return wait_for(there, f"{name} to be {state} and to say '{note}'")

    def until_run(self, name, state, waiting=""):
        def there():
            run = self.runs()[name]
            return run if run["state"] == state and waiting in run["waiting"] else None
        return wait_for(there, f"{name} to be {state} and to wait for '{waiting}'")


@pytest.fixture
def machine(lab):  # `lab` makes the corpus and the matrix, and clears away what a failed test leaves behind
    made = []

    def make(gpus=1):
        made.append(Machine(lab.folder, gpus))
        return made[0]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def foreign():
    """Somebody else's process, as far as the daemon can tell."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_a_run_waits_for_somebody_elses_process_with_the_reason_and_starts_when_it_has_gone(machine, foreign):
    lab = machine()
    lab.gpus[0]["processes"] = [{"pid": foreign.pid, "memory_mb": 2000}]
    lab.say()
    lab.serve()
    lab.submit("bias")
    lab.until_run("bias", "queued", f"gpu0 is used by pid {foreign.pid} of user {getpass.getuser()} (sleep 600)")
    (process,) = lab.until_device("busy")["processes"]
    assert (process["pid"], process["own"], process["memory_mb"]) == (foreign.pid, False, 2000)
    lab.gpus[0]["processes"] = []
    lab.say()
    lab.until_run("bias", "completed")


def test_memory_that_nobody_explains_holds_a_gpu(machine):
    lab = machine()
    lab.gpus[0]["memory_used_mb"] = 3174
    lab.say()
    lab.serve()
    lab.submit("bias")
    lab.until_run("bias", "queued", "gpu0: 3.1 of 24 GiB in use by processes that cannot be seen")
    del lab.gpus[0]["memory_used_mb"]
    lab.say()
    lab.until_run("bias", "completed")


def test_a_forced_run_starts_beside_somebody_else_and_its_history_says_who_was_there(machine, foreign):
    lab = machine()
    lab.gpus[0]["processes"] = [{"pid": foreign.pid, "memory_mb": 2000}]
    lab.say()
    lab.serve()
    lab.submit("bias")
    lab.until_run("bias", "queued", f"pid {foreign.pid}")
    lab.ok("force", "bias")
    lab.until_run("bias", "completed")
    assert any(f"pid {foreign.pid} of user" in event["reason"] for event in lab.json("show", "bias")["events"])
    lab.until_device("busy", f"pid {foreign.pid}")  # the memory that was in use before is not held against the run


def test_memory_that_a_run_leaves_behind_puts_its_gpu_in_quarantine(machine):
    lab = machine()
    lab.follow |= {"memory_mb": 3000, "leak": True}
    lab.say()
    lab.env["STAND_IN_STEPS"] = "150"  # long enough to be seen on its GPU
    lab.serve()
    lab.submit("none")
    lab.until_run("none", "running")
    lab.submit("bias")
    lab.until_run("bias", "queued", "gpu0 is quarantined until")
    device = lab.until_device("quarantined", "the memory of run 1 was not given back")
    assert device["memory_used_mb"] == 3300
    assert lab.runs()["none"]["state"] == "completed"
    lab.ok("gpus", "enable", "gpu0")
    lab.until_run("bias", "queued", "gpu0: 3.2 of 24 GiB in use by processes that cannot be seen")
    lab.follow |= {"leak": False}
    lab.say()
    lab.until_run("bias", "completed")


def test_a_gpu_that_falls_off_the_bus_is_not_used_until_it_is_back(machine):
    lab = machine(2)
    lab.gpus[0]["lost"] = True
    lab.say()
    lab.env["STAND_IN_STEPS"] = ENDLESS
    lab.serve()
    lab.submit("none")
    lab.until_run("none", "running")
    assert lab.until_device("leased", name="gpu1")["run"]["name"] == "none"
    lab.submit("bias")
    lab.until_run("bias", "queued", "gpu0 has fallen off the bus")
    assert lab.device("gpu0")["state"] == "faulty"
    lab.gpus[1]["lost"] = True  # under a run
    lab.say()
    lab.until_device("leased", "gpu1 has fallen off the bus", "gpu1")
    del lab.gpus[0]["lost"]
    lab.say()
    lab.until_run("bias", "running")
    assert lab.until_device("leased", name="gpu0")["run"]["name"] == "bias"
    lab.ok("cancel", "none", "bias")
    lab.until_device("faulty", "gpu1 has fallen off the bus", "gpu1")


def test_gpus_in_mig_mode_are_shown_and_left_alone(machine):
    lab = machine()
    lab.gpus[0]["mig"] = True
    lab.say()
    lab.serve("--cpu-slots", "1")
    lab.submit("bias", gpus="null")  # a GPU if there is one: there is none that could be used, ever
    lab.until_run("bias", "completed")
    lab.until_device("disabled", "gpu0 is in MIG mode")


def test_a_driver_that_comes_after_the_daemon_is_found(machine):
    lab = machine()
    lab.say(init="driver_not_loaded")
    lab.serve()
    assert lab.json("gpus")["note"] == "No GPUs: the NVIDIA driver is not loaded"
    assert lab.device() is None
    lab.say()
    lab.until_device("free")
    lab.submit("bias")
    lab.until_run("bias", "completed")


def test_a_worker_on_a_gpu_that_it_was_not_granted_is_stopped(machine):
    lab = machine(2)
    lab.follow |= {"on": 1}
    lab.say()
    lab.env["STAND_IN_STEPS"] = ENDLESS
    lab.serve()
    lab.submit("bias")
    run = lab.until_run("bias", "failed")
    assert "granted gpu0" in run["reason"] and "gpu1" in run["reason"], run["reason"]
    lab.until_device("free", name="gpu0")
    lab.until_device("free", name="gpu1")


def test_a_container_that_hides_processes_does_not_stop_a_run(machine):
    lab = machine()
    lab.follow |= {"hide": True}
    lab.say()
    lab.serve()
    lab.submit("bias")
    lab.until_run("bias", "completed")


def test_a_gpu_on_which_runs_fail_in_a_row_goes_into_quarantine_and_that_outlives_the_daemon(machine):
    lab = machine()
    lab.env |= {"STAND_IN_MODE": "crash", "STAND_IN_CRASHES": "9"}
    lab.serve()
    lab.submit("none", "penalty", "bias", max_restarts=0)
    for name in ("none", "penalty", "bias"):
        lab.until_run(name, "failed")
    lab.until_device("quarantined", "the last 3 attempts on it failed (runs 1, 2 and 3)")
    lab.stop()
    lab.env["STAND_IN_MODE"] = "train"
    lab.serve()
    lab.until_device("quarantined", "the last 3 attempts on it failed (runs 1, 2 and 3)")
    lab.ok("retry", "bias")
    lab.until_run("bias", "queued", "gpu0 is quarantined until")
    lab.ok("gpus", "enable", "gpu0")
    lab.until_run("bias", "completed")


def test_a_device_that_is_disabled_by_hand_gets_no_run_until_it_is_enabled(machine):
    lab = machine()
    lab.serve()
    lab.ok("gpus", "disable", "gpu0", "--reason", "the fan is loud")
    lab.submit("bias")
    lab.until_run("bias", "queued", "gpu0 is disabled by hand: the fan is loud")
    lab.ok("gpus", "enable", "gpu0")
    lab.until_run("bias", "completed")


def test_runs_that_say_so_share_a_gpu_as_far_as_its_memory_goes(machine):
    lab = machine()
    lab.env["STAND_IN_STEPS"] = ENDLESS
    lab.serve()
    lab.submit("none", "penalty", "bias", share_gpu="true", memory_gb=10)
    lab.until_run("bias", "queued", "gpu0: 10 GiB needed, 3.7 of 24 GiB not taken or promised")
    device = wait_for(lambda: (now := lab.device()) and len(now["processes"]) == 2 and now, "both workers to be seen")
    assert [run["name"] for run in device["runs"]] == ["none", "penalty"]
    assert all(process["own"] for process in device["processes"])
    lab.ok("cancel", "none")
    lab.until_run("bias", "running")
    wait_for(lambda: [run["name"] for run in lab.device()["runs"]] == ["penalty", "bias"], "the GPU to show who shares it now")


def test_runs_on_the_cpu_have_cpus_of_their_own(machine):
    cpus = os.sched_getaffinity(0)
    lab = machine(0)
    lab.env["STAND_IN_STEPS"] = ENDLESS
    lab.serve("--cpu-slots", "2")
    lab.submit("none", "bias", gpus=0)
    seen = {}
    for name in ("none", "bias"):
        run = lab.until_run(name, "running")
        seen[run["device"]] = os.sched_getaffinity(run["pid"])
        assert seen[run["device"]] == set(lab.device(run["device"])["cpus"])
    assert set.union(*seen.values()) == cpus
    if len(cpus) > 1:
        assert not set.intersection(*seen.values())
    lab.stop()
    lab.serve("--cpu-slots", "2", "--no-pin")
    assert os.sched_getaffinity(lab.until_run("bias", "running")["pid"]) == cpus
