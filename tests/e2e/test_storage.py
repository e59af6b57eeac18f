"""Storage in trouble: a locked or broken database, a disk that is full or read-only. The daemon says what is wrong, goes on when it is
over, and nothing is lost. Small disks are tmpfs mounts, which need root: without it those tests are skipped with a reason."""

import json
import os
import re
import sqlite3
import subprocess
import time

import pytest
from conftest import MATRIX, Lab, alive, make_corpus, wait_for

LONG = ("-s", "train.max_steps=400", "-s", "train.eval_interval=400", "-s", "train.save_interval=20")


@pytest.fixture
def small_disk(tmp_path):
    """A lab whose home is on a file system of 160 MB; the corpus is not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here (needs root): {mounted.stderr.strip()}")
    make_corpus(tmp_path / "corpus")
    lab = Lab(tmp_path)
    lab.home = folder / "home"
    lab.env["MOELAB_HOME"] = str(lab.home)
    (tmp_path / "small.yaml").write_text(MATRIX)
    yield lab
    lab.stop()
    subprocess.run(["umount", "-l", folder], check=False)


def daemon_log(lab):
    return (lab.folder / "daemon.log").read_text()


def steps_of(lab, name):
    return [step for step, _ in lab.series(name, "train/loss")["series"][0]["points"]]


def fill(lab, leave):
    """Leaves about this many bytes free on the home's disk; 0 = none."""
    with open(lab.home.parent / "ballast", "ab") as ballast:
        while True:
            state = os.statvfs(lab.home)
            missing = state.f_bavail * state.f_frsize - leave
            if missing <= 0:
                return
            try:
                ballast.write(b"x" * min(missing, 1 << 20))
                ballast.flush()
            except OSError:
                return


def empty(lab):
    (lab.home.parent / "ballast").unlink()


def test_a_database_locked_for_longer_than_the_daemon_waits_costs_nothing(lab):
    lab.serve("--cpu-slots", "2")
    lab.ok("submit", "small.yaml", *LONG)
    wait_for(lambda: any(run["step"] > 10 for run in lab.runs().values()), "a run under way")
    other = sqlite3.connect(lab.home / "moelab.db", isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    locked = time.monotonic()
    wait_for(lambda: "is locked by another program" in daemon_log(lab), "the daemon to notice the lock")
    # A writer is told, after the timeout; readers go on.
    refused = lab.run("submit", "small.yaml", "-s", "seed=1")
    assert refused.returncode == 5 and "is locked by another program. Close it and try again" in refused.stderr, refused.stderr
    assert lab.run("ls").returncode == 0
    assert time.monotonic() - locked > 10
    other.execute("ROLLBACK")
    other.close()
    lab.ok("wait", "--all")
    for name, run in lab.runs().items():
        assert (run["state"], run["attempt"]) == ("completed", 1), name
        assert steps_of(lab, name) == list(range(1, 401)), name
    assert daemon_log(lab).count("is locked by another program") < 10, daemon_log(lab)


def break_pages(lab):
    """Overwrites every page but the first: SQLite opens the file and finds it corrupt."""
    file = lab.home / "moelab.db"
    size = file.stat().st_size
    with open(file, "r+b") as out:
        out.seek(4096)
        out.write(b"\xa5" * (size - 4096))


@pytest.mark.parametrize("how", ["pages", "not a database"])
def test_a_broken_database_is_named_with_the_remedy_and_the_remedy_brings_everything_back(lab, how):
    lab.ok("run", "small.yaml", "--cpu-slots", "2")
    lab.serve()
    before = {name: (run["state"], run["metrics"]) for name, run in lab.runs().items()}
    steps = {name: steps_of(lab, name) for name in before}
    lab.stop()
    if how == "pages":
        break_pages(lab)
    else:
        (lab.home / "moelab.db").write_text("this is a text file, longer than the header of a database\n" * 200)
    refused = lab.run("serve", "--port", "0")
    assert refused.returncode == 5, refused
    assert "moelab.db" in refused.stderr and "Run `moelab db rebuild`: the journals of the runs hold everything" in refused.stderr
    assert "Rebuilt 3 runs" in lab.ok("db", "rebuild")
    lab.serve()
    assert {name: (run["state"], run["metrics"]) for name, run in lab.runs().items()} == before
    assert {name: steps_of(lab, name) for name in before} == steps
    assert (lab.home / "moelab.db.old").exists()


def test_a_database_that_breaks_under_the_daemon_stops_no_worker_and_is_not_said_at_every_tick(lab):
    lab.ok("run", "small.yaml", "--cpu-slots", "2")  # pages in the file, not only in its log
    lab.serve("--cpu-slots", "2")
    lab.ok("submit", "small.yaml", *LONG, "-s", "train.max_steps=3000")  # seconds, so that it can be met under way
    wait_for(lambda: any(run["step"] > 10 for run in lab.json("ls", "--state", "running")), "a run under way")
    live = [run["pid"] for run in lab.json("ls", "--state", "running")]
    break_pages(lab)
    answer = wait_for(lambda: next((done for done in [lab.run("ls")] if done.returncode != 0), None), "the damage to be noticed")
    assert answer.returncode == 5 and "Run `moelab db rebuild`" in answer.stderr, answer.stderr
    wait_for(lambda: not any(alive(pid) for pid in live), "the workers to go on to their end")
    assert daemon_log(lab).count("corrupt") + daemon_log(lab).count("malformed") < 20, daemon_log(lab)
    lab.daemon.kill()
    lab.daemon.wait()
    refused = lab.run("serve", "--port", "0")
    assert refused.returncode == 5 and "moelab db rebuild" in refused.stderr, refused.stderr
    lab.ok("db", "rebuild")
    lab.serve("--cpu-slots", "2")
    runs = lab.json("ls")
    assert len(runs) == 6
    for run in runs:
        if run["state"] != "completed":
            lab.ok("retry", run["id"])
    lab.ok("wait", "--all")
    for run in lab.json("ls"):
        assert steps_of(lab, run["id"]) == list(range(1, run["max_steps"] + 1)), run["name"]


def test_a_home_that_cannot_be_written_is_refused_at_start(small_disk):
    lab = small_disk
    lab.home.mkdir()
    subprocess.run(["mount", "-o", "remount,ro", lab.home.parent], check=True)
    for verb in (("serve", "--port", "0"), ("run", "small.yaml")):
        refused = lab.run(*verb)
        assert refused.returncode == 5, refused
        assert str(lab.home) in refused.stderr and "Read-only file system" in refused.stderr and "MOELAB_HOME" in refused.stderr
    subprocess.run(["mount", "-o", "remount,rw", lab.home.parent], check=True)
    fill(lab, 0)
    refused = lab.run("serve", "--port", "0")
    assert refused.returncode == 5, refused
    assert re.search("No space left on device|disk is full", refused.stderr) and re.search("[Ff]ree", refused.stderr), refused.stderr
    empty(lab)
    lab.ok("run", "small.yaml", "--cpu-slots", "2")


def test_a_disk_that_fills_up_stops_starts_and_checkpoints_but_loses_nothing(small_disk):
    lab = small_disk
    steps = 20_000
    lab.serve("--cpu-slots", "1", "--min-free", "20MB")
    lab.ok("submit", "small.yaml", "--only", "none", "-s", f"train.max_steps={steps}", "-s", f"train.eval_interval={steps}", "-s", "train.save_interval=20",
           "-s", "train.log_interval=20", "-s", "train.expert_load_interval=1000")
    wait_for(lambda: lab.runs()["none"]["step"] > 100, "some checkpoints")
    pid, journal = lab.runs()["none"]["pid"], lab.run_dir("none") / "events.jsonl"
    fill(lab, 10_000_000)
    wait_for(lambda: '"disk_low"' in journal.read_text(), "the worker to notice")
    lab.ok("submit", "small.yaml", "--only", "bias")
    waits = wait_for(lambda: "disk" in lab.runs()["bias"]["waiting"] and lab.runs()["bias"]["waiting"], "the reason")
    assert re.fullmatch(r"waits for disk space: \d+ MB free in .*, 20 MB are kept free; `moelab gc` frees some", waits)
    fill(lab, 0)
    wait_for(lambda: not alive(pid), "the worker to leave")
    assert lab.daemon.poll() is None
    empty(lab)
    wait_for(lambda: lab.runs()["none"]["state"] == "failed", "the daemon to record it")
    lab.ok("wait", "bias")
    reached = lab.runs()["none"]["step"]
    lab.ok("retry", "none")
    wait_for(lambda: lab.runs()["none"]["step"] > reached + 100, "the run to go on")
    lab.ok("cancel", "none")
    wait_for(lambda: lab.runs()["none"]["state"] == "cancelled", "the run to leave")
    assert journal.read_text().count('"disk_low"') == 1
    recorded = steps_of(lab, "none")
    assert recorded == [1, *range(20, recorded[-1] + 1, 20)]
    resumed = [json.loads(line) for line in journal.read_text().splitlines() if '"started"' in line][-1]
    assert resumed["resumed_from_step"] >= 20
    assert daemon_log(lab).count("\n") < 100, daemon_log(lab)
    for written in (lab.home / "runs").glob("*/events.jsonl"):
        for line in written.read_text().splitlines():
            json.loads(line)
