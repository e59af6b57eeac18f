"""Nothing is lost: daemons and workers are killed in mid-matrix, and the results must not show it."""

import json
import os
import signal

from conftest import alive, wait_for

LONG = ("-s", "train.max_steps=400", "-s", "train.eval_interval=200", "-s", "train.save_interval=20")


def losses(lab, name):
    return lab.series(name, "train/loss")["series"][0]["points"]


def worker_pid(lab, name):
    journal = lab.run_dir(name) / "events.jsonl"
    if not journal.exists():
        return None
    started = [event for line in journal.read_text().splitlines() if line.startswith("{") and line.endswith("}")
               for event in [json.loads(line)] if event["type"] == "started"]
    return started[-1]["pid"] if started else None


def uninterrupted(lab):
    """The losses of the run `bias` without any accident, from a home of its own."""
    other = type(lab)(lab.folder / "calm")
    other.folder.mkdir()
    (other.folder / "corpus").symlink_to(lab.folder / "corpus")
    other.write("small.yaml", (lab.folder / "small.yaml").read_text())
    done = other.run("run", "small.yaml", "--only", "bias", "--cpu-slots", "2", *LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    other.serve()
    points = losses(other, "bias")
    final = other.runs()["bias"]["metrics"]["eval/loss"]
    other.stop()
    return points, final


def test_a_daemon_killed_in_mid_matrix_loses_no_run_and_no_metric(lab):
    lab.serve("--cpu-slots", "2")
    lab.ok("submit", "small.yaml", *LONG)
    wait_for(lambda: sum(run["state"] == "running" and run["step"] > 20 for run in lab.runs().values()) == 2, "two runs under way")
    pids = {name: worker_pid(lab, name) for name, run in lab.runs().items() if run["state"] == "running"}
    lab.daemon.send_signal(signal.SIGKILL)
    lab.daemon.wait()
    assert all(alive(pid) for pid in pids.values()), "workers outlive their daemon"

    lab.serve("--cpu-slots", "2")
    lab.ok("wait", "--all")
    for name, run in lab.runs().items():
        assert (run["state"], run["attempt"]) == ("completed", 1), name
        assert [step for step, _ in losses(lab, name)] == list(range(1, 401)), name


def test_a_killed_worker_goes_on_from_its_checkpoint_bit_for_bit(lab):
    expected = uninterrupted(lab)
    lab.serve("--cpu-slots", "2")
    lab.ok("submit", "small.yaml", "--only", "bias", *LONG)
    wait_for(lambda: lab.runs()["bias"]["step"] > 70, "some checkpoints")
    os.kill(worker_pid(lab, "bias"), signal.SIGKILL)
    lab.ok("wait", "--all")
    run = lab.runs()["bias"]
    assert (run["state"], run["attempt"]) == ("completed", 2)
    assert (losses(lab, "bias"), run["metrics"]["eval/loss"]) == expected


def test_ctrl_c_checkpoints_and_the_next_start_goes_on(lab):
    expected = uninterrupted(lab)
    lab.serve("--cpu-slots", "2")
    lab.ok("submit", "small.yaml", "--only", "bias", *LONG)
    wait_for(lambda: lab.runs()["bias"]["step"] > 30, "the run to be under way")
    pid = worker_pid(lab, "bias")
    lab.daemon.send_signal(signal.SIGINT)
    assert lab.daemon.wait(60) in (0, 130)
    assert not alive(pid), "Ctrl-C takes the workers along"

    lab.serve("--cpu-slots", "2")
    lab.ok("wait", "--all")
    run = lab.runs()["bias"]
    assert run["state"] == "completed"
    assert (losses(lab, "bias"), run["metrics"]["eval/loss"]) == expected


def test_a_run_that_cannot_work_fails_with_its_reason_and_the_others_go_on(lab):
    (lab.folder / "tokens.bin").write_bytes(b"\xff\xff" * 5000)
    lab.write("mixed.yaml", (lab.folder / "small.yaml").read_text() + "      broken: {data.path: {value: []}, data.tokens: tokens.bin}\n")
    lab.serve()
    lab.ok("submit", "mixed.yaml")
    assert lab.run("wait", "--all").returncode == 1
    runs = lab.runs()
    assert runs.pop("broken")["state"] == "failed"
    assert {run["state"] for run in runs.values()} == {"completed"}
    assert "tokens.bin" in lab.ok("logs", "broken")
