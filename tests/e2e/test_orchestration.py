"""The queue with real workers: pause, hold, drain, exactly once, what waits and why, and what is refused at submit."""

import json
import re
import subprocess

from conftest import BIN, alive, wait_for
from test_crashes import losses, uninterrupted, worker_pid

LONG = ("-s", "train.max_steps=400", "-s", "train.eval_interval=200", "-s", "train.save_interval=20")


def test_a_paused_run_gives_its_slot_back_and_goes_on_bit_for_bit(lab):
    expected = uninterrupted(lab)
    lab.serve("--cpu-slots", "1")
    lab.ok("hold")
    lab.ok("submit", "small.yaml", "--only", "bias", "--only", "none", *LONG, "-s", "resources.cpus=1")  # one thread, as above
    lab.ok("priority", 5, "bias")
    lab.ok("release")
    wait_for(lambda: lab.runs()["bias"]["step"] > 30, "the run to be under way")
    pid = worker_pid(lab, "bias")
    lab.ok("pause", "bias")
    wait_for(lambda: lab.runs()["bias"]["state"] == "paused", "the run to be paused")
    assert not alive(pid)
    assert lab.runs()["bias"]["device"] is None
    wait_for(lambda: lab.runs()["none"]["state"] in ("starting", "running"), "the other run to get the slot")
    assert lab.run("pause", "bias").returncode == 4
    lab.ok("resume", "bias")
    waiting = wait_for(lambda: lab.runs()["bias"]["waiting"], "the reason why it waits")
    assert re.match(r"waits for a CPU slot: cpu0 is .*run \d+", waiting), waiting
    lab.ok("wait", "--all")
    run = lab.runs()["bias"]
    assert (run["state"], run["attempt"]) == ("completed", 2)
    assert (losses(lab, "bias"), run["metrics"]["eval/loss"]) == expected


def test_hold_lets_runs_go_on_and_drain_puts_them_back_also_over_a_restart(lab):
    lab.serve("--cpu-slots", "1")
    lab.ok("submit", "small.yaml", "--only", "bias", *LONG)
    wait_for(lambda: lab.runs()["bias"]["step"] > 20, "the run to be under way")
    lab.ok("hold", "--reason", "exam week")
    lab.ok("submit", "small.yaml", "--only", "none", *LONG)
    queue = wait_for(lambda: [run for run in lab.json("queue")["runs"] if run["waiting"]], "the reason why it waits")
    assert queue[0]["waiting"] == "waits: the queue is on hold (exam week); `moelab release` opens it"
    assert lab.runs()["bias"]["state"] == "running"
    lab.ok("drain")
    wait_for(lambda: lab.runs()["bias"]["state"] == "queued", "the run to be back in the queue")
    lab.stop()
    lab.serve("--cpu-slots", "1")
    assert lab.json("queue")["mode"] == "drained"
    assert "drained" in lab.ok("queue")
    lab.ok("release")
    lab.ok("wait", "--all")
    assert {run["state"] for run in lab.runs().values()} == {"completed"}
    assert lab.runs()["bias"]["restarts"] == 0


def test_submitting_at_the_same_moment_makes_no_duplicates_and_a_changed_knob_only_what_it_changes(lab):
    lab.serve()
    lab.ok("hold")
    command = [BIN / "moelab", "submit", "small.yaml", "--json"]
    several = [subprocess.Popen(command, cwd=lab.folder, env=lab.env, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    created = [json.loads(one.communicate(timeout=60)[0])["created"] for one in several]
    assert sum(created) == 3, created
    assert len(lab.runs()) == 3
    text = (lab.folder / "small.yaml").read_text()
    lab.write("small.yaml", text.replace("lb_coeff: 0.01", "lb_coeff: 0.02"))
    assert json.loads(lab.ok("submit", "small.yaml", "--json"))["created"] == 1
    lab.ok("release")
    lab.ok("wait", "--all")


def test_retry_of_an_experiment_runs_only_what_failed_and_rerun_starts_afresh(lab):
    (lab.folder / "tokens.bin").write_bytes(b"\xff\xff" * 5000)
    lab.write("small.yaml", (lab.folder / "small.yaml").read_text() + "      broken: {data.path: {value: []}, data.tokens: tokens.bin}\n")
    lab.serve("--cpu-slots", "2")
    lab.ok("submit", "small.yaml")
    assert lab.run("wait", "--all").returncode == 1
    said = json.loads(lab.ok("retry", "--experiment", "balance", "--json"))
    assert [run["name"] for run in said["runs"]] == ["broken"]
    assert len(said["skipped"]) == 3 and all("`rerun`" in skipped["reason"] for skipped in said["skipped"])
    before = losses(lab, "none")
    lab.ok("rerun", "none")
    assert lab.run("wait", "--all").returncode == 1
    run = lab.runs()["none"]
    assert (run["state"], run["attempt"]) == ("completed", 2)
    assert losses(lab, "none") == before


def test_what_cannot_be_is_said_at_submit_and_nothing_is_queued(lab):
    lab.serve("--cpu-slots", "1")
    wrong = {
        ("-s", "resources.gpus=1"): "this server has 0",
        ("-s", "resources.gpus=2"): "resources.gpus",
        ("-s", "resources.cpus=4000"): "resources.cpus: asks for 4000 threads",
        ("-s", "resources.launcher=slrum"): "did you mean 'slurm'?",
        ("-s", "resources.hang_timeout=-1"): "resources.hang_timeout",
    }
    for options, said in wrong.items():
        refused = lab.run("submit", "small.yaml", *options)
        assert refused.returncode == 2, options
        assert said in refused.stderr, refused.stderr
    assert lab.runs() == {}


def test_force_is_for_queued_runs_and_known_devices(lab):
    lab.serve("--cpu-slots", "1")
    lab.ok("hold")
    lab.ok("submit", "small.yaml", "--only", "none")
    assert "there is no device gpu7" in lab.run("force", "none", "--device", "gpu7").stderr
    lab.ok("force", "none", "--device", "cpu0")
    assert any("by force" in event["reason"] for event in lab.json("show", "none")["events"])
    lab.ok("release")
    lab.ok("wait", "none")
    assert lab.run("force", "none").returncode == 4


def test_run_without_a_daemon_refuses_a_held_queue_and_resumes_what_was_paused(lab):
    lab.serve("--cpu-slots", "1")
    lab.ok("hold", "--reason", "exam week")
    lab.ok("submit", "small.yaml", "--only", "none")
    lab.ok("pause", "none")
    lab.stop()
    refused = lab.run("run", "small.yaml", "--only", "none")
    assert refused.returncode == 4
    assert "held (exam week)" in refused.stderr and "moelab release" in refused.stderr
    lab.serve()
    lab.ok("release")
    assert lab.runs()["none"]["state"] == "paused"
    lab.stop()
    assert lab.run("run", "small.yaml", "--only", "none").returncode == 0
