"""Learning-rate sweeps and pruning with the real daemon and real workers on tiny models."""

import json
import math

PRUNED = """
version: 1
name: pruned
defaults:
  seed: 7
  model: {vocab_size: 300, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64}
  data: {path: [corpus], block_size: 32, val_fraction: 0.1}
  train: {batch_size: 8, max_steps: 4000, eval_interval: 4000, save_interval: 4000, expert_load_interval: 4000}
  resources: {gpus: 0}
experiments:
  - name: rates
    prune: {rule: asha, metric: train/loss, min_steps: 100, reduction: 4, max_rungs: 1}
    matrix: {train.lr: [3.0e-3, 1.0e-6, 2.0e-6, 3.0e-6]}
"""

SWEEP = ["sweep", "small.yaml", "--only", "none", "--only", "bias", "--steps", "12", "--warmup", "2"]


def test_a_sweep_reports_each_rate_suggests_one_and_applies_it(lab):
    lab.serve()
    done = lab.run(*SWEEP, "--rates", "1e-5,5e-3,1e30", "--apply", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    (report,) = answer["sweeps"]
    assert (report["experiment"], report["steps"], report["warmup"]) == ("balance", 12, 2)
    assert [variant["name"] for variant in report["variants"]] == ["none", "bias"]
    for variant in report["variants"]:
        assert variant["best"] == 5e-3
        assert [row["rate"] for row in variant["rates"]] == [5e-3, 1e-5, 1e30]
        assert [row["diverged"] for row in variant["rates"]] == [False, False, True]
        best = variant["rates"][0]
        name = f"balance.lr_sweep/{variant['name']},lr=0.005"
        points = lab.series(name, "train/loss")["series"][0]["points"]
        assert len(points) == 12 and points[-1] == [12, best["last_loss"]]
        assert math.isclose(best["smoothed_loss"], sum(value for _, value in points[-10:]) / 10, rel_tol=1e-12)
        assert len(lab.series(name, "eval/loss")["series"][0]["points"]) == 1
        assert lab.series(name, "train/lr")["series"][0]["points"][-1][1] == 5e-3  # warmed up, then constant

    lab.ok("wait", "balance")
    for name in ("none", "bias"):
        shown = lab.json("show", f"balance/{name}")
        assert shown["state"] == "completed" and shown["config"]["train"]["lr"] == 5e-3

    again = lab.ok(*SWEEP, "--rates", "1e-5,5e-3,1e30")
    assert "0 runs queued, 6 known already" in again
    assert "balance/none: 0.005" in again and "none: {train.lr: 0.005}" in again and "@" in again


def test_apply_is_refused_where_every_rate_diverged(lab):
    lab.serve()
    done = lab.run(*SWEEP, "--rates", "1e29,1e30", "--apply")
    assert done.returncode == 1
    assert "balance/none: every rate diverged; sweep smaller ones" in done.stderr
    assert {run["experiment"] for run in lab.json("ls")} == {"balance.lr_sweep"}


def test_a_sweep_without_values_is_refused_before_anything_is_queued(lab):
    lab.serve()
    done = lab.run(*SWEEP, "--rates", "0")
    assert done.returncode == 2 and "a rate must be greater than 0" in done.stderr
    done = lab.run(*SWEEP, "--rates", "1e-3,1e32")
    assert done.returncode == 2 and "a rate must be at most" in done.stderr
    done = lab.run("sweep", "small.yaml", "--steps", "10")
    assert done.returncode == 2 and "shorter than the 10 steps" in done.stderr
    assert lab.json("ls") == []


def test_asha_ends_weak_runs_with_a_checkpoint_and_says_why(lab):
    lab.write("pruned.yaml", PRUNED)
    done = lab.run("run", "pruned.yaml", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr  # a pruned run is a result
    lab.serve()
    runs = lab.runs()
    assert len(runs) == 4
    assert runs["lr=0.003"]["state"] == "completed"
    weak = [run for name, run in runs.items() if name != "lr=0.003"]
    assert any(run["state"] == "pruned" for run in weak)
    for run in weak:
        if run["state"] == "completed":  # the first of all to come to the rung, before there was a better one
            continue
        assert run["state"] == "pruned", run
        assert run["reason"].startswith("asha: at step 100 its train/loss "), run["reason"]
        assert "the best one goes on" in run["reason"]
        assert 100 <= run["step"] < 4000
        shown = lab.json("show", run["name"])
        assert [checkpoint["step"] for checkpoint in shown["checkpoints"]] == [run["step"]]
    assert sum(run["state"] == "pruned" for run in weak) >= 2
