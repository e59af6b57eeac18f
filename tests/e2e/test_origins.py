"""Runs that start from the weights of other runs: they wait, start from the right weights, or are skipped."""

import json

STUDY = """
version: 1
name: origins
defaults:
  model: {vocab_size: 300, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64}
  data: {path: corpus, block_size: 32}
  train: {max_steps: 20, batch_size: 4, lr: 3.0e-3, eval_interval: 10, save_interval: 10}
experiments:
  - name: late
    variants:
      mixture:
        moe: {num_experts: 4, num_active_experts: 1, top1_gate: ste, moe_layers: [1]}
        train: {init_from: "run:dense", upcycle: true, max_steps: 5, lr: 1.0e-9}
  - name: first
    variants:
      dense: {DENSE}
"""


def test_a_mixture_waits_for_its_dense_run_and_starts_where_it_ended(lab):
    lab.write("study.yaml", STUDY.replace("DENSE", "moe.num_experts: 1"))
    done = lab.run("run", "study.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    lab.serve()
    runs = lab.runs()
    assert {name: run["state"] for name, run in runs.items()} == {"mixture": "completed", "dense": "completed"}
    assert runs["dense"]["finished_at"] <= runs["mixture"]["started_at"]
    start = lab.series("mixture", "train/loss")["series"][0]["points"][0][1]
    end = runs["dense"]["metrics"]["eval/loss"]
    fresh = lab.series("dense", "train/loss")["series"][0]["points"][0][1]
    assert abs(start - end) < 0.2 * abs(fresh - end), (start, end, fresh)


def test_a_run_whose_origin_failed_is_skipped_and_says_why(lab):
    lab.write("study.yaml", STUDY.replace("DENSE", "moe.num_experts: 1, train.lr: 1.0e+30, train.grad_clip: 0, train.warmup_steps: 0"))
    done = lab.run("run", "study.yaml")
    assert done.returncode == 1
    assert "skipped" in done.stdout and "it depends on run" in done.stdout + done.stderr
    lab.serve()
    runs = lab.runs()
    assert {name: run["state"] for name, run in runs.items()} == {"mixture": "skipped", "dense": "failed"}
    assert "dense" in runs["mixture"]["reason"]
    assert json.loads(lab.get(f"/api/v1/runs/{runs['mixture']['id']}"))["attempt"] == 0


def test_one_run_alone_brings_its_origin_along(lab):
    lab.write("study.yaml", STUDY.replace("DENSE", "moe.num_experts: 1"))
    plan = lab.json("plan", "study.yaml", "--only", "mixture")
    assert {run["name"] for run in plan["runs"]} == {"mixture", "dense"}
