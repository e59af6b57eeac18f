"""What is kept and what goes: gc, quota, archive and delete with the real daemon, worker and command line."""

import os
import time

from conftest import wait_for


def checkpoints(lab, name):
    return sorted(path.name for path in (lab.run_dir(name) / "checkpoints").iterdir())


def test_gc_frees_what_ended_runs_do_not_keep_and_says_what_and_why(lab):
    lab.ok("run", "small.yaml", "--cpu-slots", "2", "-s", "checkpoint.keep_last=5", "-s", "checkpoint.keep_best=0")
    lab.serve()
    assert len(checkpoints(lab, "none")) == 5
    stray = lab.run_dir("bias") / "checkpoints" / ".tmp_step_00000035"
    stray.mkdir()
    (stray / "model.safetensors").write_bytes(b"x" * 1000)
    dry = lab.ok("gc", "--dry-run", "--keep-checkpoints", "1")
    assert "half_written" in dry and "surplus_checkpoint" in dry and "nothing has been touched" in dry
    assert len(checkpoints(lab, "none")) == 5 and stray.exists()

    report = lab.json("gc", "--keep-checkpoints", "1")
    assert {drop["what"] for drop in report["drops"]} == {"half_written", "surplus_checkpoint"}
    assert report["bytes_freed"] == report["bytes_planned"] > 0 and not report["failed"]
    assert checkpoints(lab, "none") == ["step_00000040"] and not stray.exists()
    assert "Nothing to throw away" in lab.ok("gc", "--keep-checkpoints", "1")
    # What is left can still be used, and over a quota it goes too: journals and results stay.
    lab.ok("generate", "none", "--prompt", "the cat", "--max-new-tokens", "3")
    assert lab.run("gc", "--quota", "1kB").returncode == 5  # the rest may not go by itself
    assert all(checkpoints(lab, name) == [] for name in lab.runs())
    assert {run["state"] for run in lab.runs().values()} == {"completed"}
    assert len(lab.series("none", "train/loss")["series"][0]["points"]) == 40


def test_a_quota_is_kept_by_the_daemon_itself(lab):
    lab.ok("run", "small.yaml", "--cpu-slots", "2")
    lab.serve("--quota", "1kB")
    wait_for(lambda: all(not any((run / "checkpoints").iterdir()) for run in (lab.home / "runs").iterdir()), "the quota to be kept")
    assert {run["state"] for run in lab.runs().values()} == {"completed"}


def test_a_cache_entry_is_marked_by_its_users_and_goes_when_it_has_none(lab):
    lab.ok("run", "small.yaml", "--cpu-slots", "2")
    entries = [entry for kind in (lab.home / "cache").iterdir() if kind.is_dir() for entry in kind.iterdir() if entry.is_dir()]
    assert entries
    old = time.time() - 40 * 24 * 3600

    def age():
        for entry in entries:
            for path in [*entry.iterdir(), entry]:
                os.utime(path, (old, old))

    age()
    lab.serve()
    lab.ok("submit", "small.yaml", "-s", "train.max_steps=41")  # the same data: it uses what is there
    lab.ok("wait", "--all")
    assert all(entry.stat().st_mtime > old + 1000 for entry in entries)
    assert lab.json("gc", "--older-than", "30d")["drops"] == []
    age()
    assert {drop["what"] for drop in lab.json("gc", "--older-than", "30d")["drops"]} == {"cache"}
    assert not any(entry.exists() for entry in entries)
    lab.ok("submit", "small.yaml", "-s", "train.max_steps=42")  # and it is built again when it is needed
    lab.ok("wait", "--all")


def test_archive_and_delete(lab):
    lab.ok("run", "small.yaml", "--cpu-slots", "2")
    lab.serve()
    assert "archive" in lab.ok("archive", "--help")
    lab.ok("archive", "none")
    assert set(lab.runs()) == {"penalty", "bias"}
    assert {run["name"] for run in lab.json("ls", "--archived")} == {"none", "penalty", "bias"}
    assert "none *" not in lab.ok("results")
    lab.ok("unarchive", "none")
    assert set(lab.runs()) == {"none", "penalty", "bias"}

    folder = lab.run_dir("bias")
    lab.ok("submit", "small.yaml", "--only", "none", "-s", "train.max_steps=4000", "-s", "train.eval_interval=4000")
    live = wait_for(lambda: next((run for run in lab.json("ls", "--state", "running")), None), "a run under way")
    refused = lab.run("delete", "bias", live["id"])
    assert refused.returncode == 4 and "cancel it before you delete it" in refused.stderr
    assert folder.exists()
    lab.ok("cancel", live["id"])
    wait_for(lambda: not lab.json("ls", "--state", "running,stopping"), "the run to leave")
    assert "2 runs deleted" in lab.ok("delete", "bias", live["id"])
    assert not folder.exists() and not list((lab.home / "trash").iterdir())
    lab.stop()
    lab.ok("db", "rebuild")
    lab.serve()
    assert "bias" not in lab.runs()
    assert "runs deleted" in lab.ok("delete", "--experiment", "balance")
    assert lab.json("ls", "--archived") == [] and not list((lab.home / "runs").iterdir())
