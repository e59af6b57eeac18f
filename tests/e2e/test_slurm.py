"""Runs as jobs of a real Slurm: the same results, states and recovery as with processes."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import alive, wait_for
from slurm_cluster import CannotStart, SlurmCluster
from test_crashes import LONG, losses, uninterrupted, worker_pid

SLURM = ("-s", "resources.launcher=slurm")
LONGER_THAN_A_LOOK_S = 40
FAST = ("--cpu-slots", "1", "--slurm-poll", "0.2")


@pytest.fixture(scope="module")
def cluster():
    try:
        cluster = SlurmCluster()
    except CannotStart as e:
        pytest.skip(f"no Slurm here: {e}")
    yield cluster
    cluster.stop()


@pytest.fixture
def slurm(lab, cluster):
    """A lab whose daemon sees the cluster; it leaves no job behind."""
    lab.env.update(PATH=cluster.path, SLURM_CONF=cluster.env["SLURM_CONF"])
    yield lab
    lab.stop()
    cluster.ask("scancel", "--me")
    cluster.ask("scancel", "--me", "--batch", "--signal=KILL")
    wait_for(lambda: not cluster.jobs(), "Slurm's queue to be empty")


def test_without_a_cluster_that_answers_the_reason_says_so(lab):
    if not shutil.which("sbatch"):
        pytest.skip("Slurm's commands are not installed")
    lab.env.update(SLURM_CONF=str(lab.folder / "no-such.conf"))
    lab.serve(*FAST)
    lab.ok("submit", "small.yaml", "--only", "bias", *SLURM)
    wait_for(lambda: "Slurm does not answer" in lab.runs()["bias"]["waiting"], "the reason")


def environment(pid):
    return dict(entry.split("=", 1) for entry in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in entry)


def job_of(cluster, run):
    numbers = cluster.ask("squeue", "--me", "--noheader", f"--name=moelab-{run['id']}", "--format=%i").split()
    return int(numbers[0]) if numbers else None


def as_processes(slurm, folder, *options):
    """Another lab, where the same matrix has trained without Slurm and without accidents."""
    calm = type(slurm)(slurm.folder / folder)
    calm.folder.mkdir()
    (calm.folder / "corpus").symlink_to(slurm.folder / "corpus")
    calm.write("small.yaml", (slurm.folder / "small.yaml").read_text())
    done = calm.run("run", "small.yaml", "--cpu-slots", "2", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return calm


def under_way(lab, name="bias", step=30):
    wait_for(lambda: lab.runs()[name]["step"] > step, f"{name} to be at step {step}")
    return lab.runs()[name]


def test_a_matrix_trains_as_jobs_two_at_a_time_for_two_gpus_with_the_losses_of_processes(slurm, cluster):
    # The worker is built for the CPU here, so the runs want no GPU themselves; the operator's own option asks Slurm for one.
    slurm.serve(*FAST, "--slurm-option=--gres=gpu:1")
    slurm.ok("submit", "small.yaml", *LONG, *SLURM)
    wait_for(lambda: sum(run["state"] == "running" and run["step"] > 0 for run in slurm.runs().values()) == 2, "two runs under way")
    runs = slurm.runs()
    waiting = next(run for run in runs.values() if run["state"] == "starting")
    wait_for(lambda: "waits: Resources" in slurm.runs()[waiting["name"]]["waiting"], "the reason why it does not train yet")
    assert sorted(cluster.jobs().values()) == ["PENDING", "RUNNING", "RUNNING"]
    jobs = [environment(worker_pid(slurm, name)) for name, run in runs.items() if run["state"] == "running"]
    assert sorted(job["CUDA_VISIBLE_DEVICES"] for job in jobs) == ["0", "1"], "Slurm's choice stands"
    assert all(job["SLURM_JOB_NAME"] == f"moelab-{job['MOELAB_RUN_ID']}" for job in jobs)
    slurm.ok("wait", "--all")

    calm = as_processes(slurm, "calm", *LONG)
    calm.serve()
    for name, run in slurm.runs().items():
        assert (run["state"], run["attempt"]) == ("completed", 1), name
        assert losses(slurm, name) == losses(calm, name), name
    calm.stop()


def test_a_daemon_killed_with_jobs_in_slurm_adopts_them(slurm, cluster):
    slurm.serve(*FAST)
    slurm.ok("submit", "small.yaml", *LONG, *SLURM)
    under_way(slurm, "none")
    before = cluster.jobs()
    slurm.daemon.send_signal(signal.SIGKILL)
    slurm.daemon.wait()
    assert set(before.values()) == {"RUNNING"} and cluster.jobs() == before

    slurm.serve(*FAST)
    slurm.ok("wait", "--all")
    for name, run in slurm.runs().items():
        assert (run["state"], run["attempt"]) == ("completed", 1), name
        assert [step for step, _ in losses(slurm, name)] == list(range(1, 401)), name
    assert len(cluster.jobs("--states=all")) >= len(before)


def test_ctrl_c_leaves_jobs_to_slurm_and_the_next_start_adopts_them(slurm, cluster):
    slurm.serve(*FAST)
    slurm.ok("submit", "small.yaml", "--only", "bias", *LONG, *SLURM)
    run = under_way(slurm)
    job = job_of(cluster, run)
    slurm.stop()
    assert cluster.jobs() == {job: "RUNNING"}
    slurm.serve(*FAST)
    slurm.ok("wait", "--all")
    assert (slurm.runs()["bias"]["state"], slurm.runs()["bias"]["attempt"]) == ("completed", 1)


def test_a_stranger_s_scancel_stands_and_retry_goes_on_bit_for_bit(slurm, cluster):
    expected = uninterrupted(slurm)
    slurm.serve(*FAST)
    slurm.ok("submit", "small.yaml", "--only", "bias", *LONG, *SLURM)
    job = job_of(cluster, under_way(slurm))
    subprocess.run(["scancel", str(job)], env=cluster.env, check=True)
    slurm.run("wait", "--all")
    run = slurm.runs()["bias"]
    assert (run["state"], run["reason"]) == ("cancelled", f"Slurm job {job} was cancelled by somebody else")
    slurm.ok("retry", "bias")
    slurm.ok("wait", "--all")
    run = slurm.runs()["bias"]
    assert (run["state"], run["attempt"]) == ("completed", 2)
    assert (losses(slurm, "bias"), run["metrics"]["eval/loss"]) == expected


def test_a_job_near_its_time_limit_checkpoints_and_goes_on_in_the_next(slurm, cluster):
    # Slurm looks at time limits every 30 s, so the run must take longer than that. How long a step takes is measured first.
    measured = as_processes(slurm, "measured", "--only", "bias", *LONG)
    measured.serve()
    steps = int(400 / measured.runs()["bias"]["runtime_s"] * LONGER_THAN_A_LOOK_S)
    measured.stop()
    longer = ("--only", "bias", "-s", f"train.max_steps={steps}", "-s", f"train.eval_interval={steps}", "-s", "train.save_interval=200")

    slurm.serve(*FAST, "--slurm-time", "1")
    slurm.ok("submit", "small.yaml", *longer, *SLURM)
    calm = as_processes(slurm, "calm", *longer)
    slurm.ok("wait", "--all")
    run = slurm.runs()["bias"]
    assert run["state"] == "completed" and run["attempt"] >= 2
    history = [event for event in slurm.json("show", "bias")["events"] if event["to"] == "queued" and "time limit" in event["reason"]]
    assert len(history) == run["attempt"] - 1, "every further attempt is there because of the time limit"
    calm.serve()
    assert losses(slurm, "bias") == losses(calm, "bias")
    calm.stop()


def test_cancel_and_kill_reach_jobs_that_run_and_jobs_that_wait(slurm, cluster):
    slurm.serve(*FAST, "--slurm-option=--cpus-per-task=2")
    slurm.ok("submit", "small.yaml", "-s", "train.max_steps=1000000", *SLURM)
    wait_for(lambda: sorted(cluster.jobs().values()) == ["PENDING", "RUNNING", "RUNNING"], "two jobs of two CPUs each to fill the node")
    wait_for(lambda: sum(run["state"] == "running" and run["step"] > 0 for run in slurm.runs().values()) == 2, "two runs under way")
    runs = slurm.runs()
    pending = next(name for name, run in runs.items() if run["state"] == "starting")
    first, second = (name for name, run in runs.items() if run["state"] == "running")
    pid = worker_pid(slurm, second)
    slurm.ok("cancel", pending)
    wait_for(lambda: slurm.runs()[pending]["state"] == "cancelled", "the pending job to be cancelled")
    slurm.ok("cancel", first)
    slurm.ok("kill", second)
    wait_for(lambda: {run["state"] for run in slurm.runs().values()} == {"cancelled"}, "all to be cancelled")
    wait_for(lambda: not cluster.jobs() and not alive(pid), "the jobs to be gone")
    assert list((slurm.run_dir(first) / "checkpoints").iterdir()), "cancel lets it checkpoint"


def test_an_unreachable_controller_loses_nothing(slurm, cluster):
    slurm.serve(*FAST)
    slurm.ok("submit", "small.yaml", "--only", "bias", *LONG, *SLURM)
    under_way(slurm)
    cluster.stop_controller()
    slurm.ok("submit", "small.yaml", "--only", "none", *LONG, *SLURM)
    wait_for(lambda: "Slurm does not answer" in slurm.runs()["none"]["waiting"], "the reason to be shown")
    cluster.start_controller()
    slurm.ok("wait", "--all")
    runs = slurm.runs()
    assert {run["state"] for run in runs.values()} == {"completed"}
    assert runs["bias"]["attempt"] == 1, "its job went on meanwhile"


def test_impossible_jobs_are_refused_at_submit_and_nothing_is_queued(slurm):
    slurm.serve(*FAST)
    for knob, words in (("resources.partition=mian", "did you mean 'main'"), ("resources.gpus=3", "resources.gpus"),
                        ("resources.cpus=64", "4 CPUs"), ("resources.partition=a b", "resources.partition"),
                        ("resources.launcher=slrum", "did you mean 'slurm'")):
        done = slurm.run("submit", "small.yaml", *SLURM, "-s", knob)
        assert done.returncode == 2 and words in done.stderr, done.stderr
    assert slurm.json("ls") == []


def test_without_sbatch_a_run_for_slurm_is_refused_at_submit(lab):
    lab.env["PATH"] = str(lab.folder)
    lab.serve()
    done = lab.run("submit", "small.yaml", *SLURM)
    assert done.returncode == 2 and "sbatch is not in the PATH" in done.stderr, done.stderr
    assert lab.json("ls") == []
    lab.stop()
    done = lab.run("run", "small.yaml", *SLURM)
    assert done.returncode == 2 and "sbatch is not in the PATH" in done.stderr, done.stderr
