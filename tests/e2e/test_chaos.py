"""A matrix whose daemon and workers are killed again and again ends as if nothing had happened.

MOELAB_CHAOS_SEED=N repeats the decisions of a run; the moments they meet depend on the machine."""

import json
import os
import time

from chaos import Chaos
from conftest import wait_for

EVAL_INTERVAL = 20
STEPS = 400

MATRIX = f"""
version: 1
name: chaos
defaults:
  model: {{vocab_size: 300, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32}}
  moe: {{num_experts: 4, num_active_experts: 1}}
  data: {{path: [corpus], block_size: 32, val_fraction: 0.3}}
  train: {{lr: 3.0e-3, batch_size: 8, max_steps: {STEPS}, eval_interval: {EVAL_INTERVAL}, save_interval: 20, expert_load_interval: 50}}
  resources: {{gpus: 0, max_restarts: 1000}}
experiments:
  - name: chaos
    seeds: [1, 2]
    variants:
      dense: {{moe.num_experts: 1}}
      upcycled: {{train.init_from: "run:dense", train.upcycle: true, moe.top1_gate: ste}}
      bias: {{moe.lb_gamma: 0.01}}
      noise: {{moe.router_noise: annealed, moe.lb_coeff: 0.01}}
      random: {{moe.routing: random}}
      reinforce: {{moe.routing: reinforce}}
"""


def results(lab):
    """By run: its series, but for speeds and memory, and the weights of its last checkpoint."""
    found = {}
    for name, run in lab.runs().items():
        assert run["state"] == "completed", (name, run["state"], run["reason"])
        series = json.loads(lab.get(f"/api/v1/runs/{run['id']}/metrics"))["series"]
        weights = lab.home / "runs" / str(run["id"]) / "checkpoints" / f"step_{STEPS:08}" / "model.safetensors"
        found[name] = ({one["key"]: one["points"] for one in series if not one["key"].startswith("perf/")}, weights.read_bytes())
    return found


def undisturbed(lab):
    other = type(lab)(lab.folder / "calm")
    other.folder.mkdir()
    (other.folder / "corpus").symlink_to(lab.folder / "corpus")
    other.write("chaos.yaml", MATRIX)
    done = other.run("run", "chaos.yaml", "--cpu-slots", "2", timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    other.serve()
    found = results(other)
    other.stop()
    return found, sum(journal.stat().st_size for journal in other.home.glob("runs/*/events.jsonl"))


def steps_in_journal(file):
    """The steps that count, by kind, as the journal tells them. A start takes back what came after the checkpoint it resumes from; an
    evaluation that this checkpoint does not hold is made again."""
    steps = {"metrics": {}, "eval": {}, "expert_load": {}}
    for line in file.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # torn by a death
        kind, step, attempt = event["type"], event["step"], event["attempt"]
        if kind == "started":
            steps = {kind: {step: attempt for step, attempt in known.items() if step <= event["resumed_from_step"]}
                     for kind, known in steps.items()}
        elif kind in steps:
            known = steps[kind].get(step)
            assert known is None or (kind == "eval" and known < attempt), f"{file}: {kind} of step {step} in attempts {known} and {attempt}"
            steps[kind][step] = attempt
    return {kind: list(known) for kind, known in steps.items()}


def test_sixty_deaths_leave_no_trace_in_the_results(lab):
    seed = int(os.environ.get("MOELAB_CHAOS_SEED", time.time_ns() % 1_000_000))
    print(f"MOELAB_CHAOS_SEED={seed}")
    begin = time.monotonic()
    expected, journal_bytes = undisturbed(lab)
    print(f"undisturbed: {time.monotonic() - begin:.0f} s")
    assert len(expected) == 12

    lab.write("chaos.yaml", MATRIX)
    begin = time.monotonic()
    chaos = Chaos(lab, seed, EVAL_INTERVAL, "--cpu-slots", "2")
    chaos.start()
    lab.ok("submit", "chaos.yaml")
    deaths = chaos.rage(journal_bytes)
    rage_s = time.monotonic() - begin
    chaos.revive()
    wait_for(lambda: {run["state"] for run in chaos.runs()} == {"completed"}, "every run to complete", 300)
    print(f"{deaths} deaths in {rage_s:.0f} s, all runs complete after {time.monotonic() - begin:.0f} s:")
    for (victim, moment), count in sorted(chaos.deaths.items()):
        print(f"  {count:3} {victim} {moment}")
    print(f"workers killed by run: {sorted(chaos.of_run.values())}")
    assert deaths >= 60

    found = results(lab)
    assert found.keys() == expected.keys()
    for name, (series, weights) in expected.items():
        assert found[name][0].keys() == series.keys(), name
        for key, points in series.items():
            assert found[name][0][key] == points, (name, key)
        assert found[name][1] == weights, f"{name}: other weights"
    evaluations = list(range(EVAL_INTERVAL, STEPS + 1, EVAL_INTERVAL))
    for run in chaos.runs():
        steps = steps_in_journal(chaos.folder(run) / "events.jsonl")
        assert steps["metrics"] == list(range(1, STEPS + 1)), run["name"]
        assert steps["eval"] == evaluations, run["name"]
        assert steps["expert_load"] == ([] if run["name"].startswith("dense") else [1, *range(50, STEPS + 1, 50)]), run["name"]
