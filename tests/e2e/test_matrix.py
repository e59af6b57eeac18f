"""The main job: a matrix is planned, trained, shown and asked about."""

import json
import math
import struct
from pathlib import Path

from conftest import wait_for


def test_a_matrix_trains_and_explains_itself(lab):
    done = lab.run("run", "small.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("none", "penalty", "bias"):
        assert name in done.stdout
    assert "eval/loss" in done.stdout

    lab.serve()
    runs = lab.runs()
    assert set(runs) == {"none", "penalty", "bias"}
    for run in runs.values():
        assert (run["state"], run["step"], run["max_steps"]) == ("completed", 40, 40)
        assert 0 < run["metrics"]["eval/loss"] < math.log(300)

    losses = lab.series("none", "train/loss")
    points = losses["series"][0]["points"]
    assert [step for step, _ in points] == list(range(1, 41))
    assert points[-1][1] < points[0][1]

    experiment = lab.json("show", "none")["experiment_id"]
    rows = {row["name"]: row for row in json.loads(lab.get(f"/api/v1/experiments/{experiment}/results"))["rows"]}
    base = rows["none"]["values"]["eval/loss"]
    for name, row in rows.items():
        assert math.isclose(row["delta"] or 0, row["values"]["eval/loss"] - base, abs_tol=1e-12), name

    run = runs["bias"]["id"]
    load = json.loads(lab.get(f"/api/v1/runs/{run}/expert-load"))
    assert (load["layers"], load["slots"], load["experts"]) == ([0, 1], 1, 4)
    assert [frame["step"] for frame in load["frames"]] == [1, 5, 10, 15, 20, 25, 30, 35, 40]
    for frame in load["frames"]:
        for row in range(2):
            assert math.isclose(sum(frame["load"][4 * row:4 * row + 4]), 1)
    png = lab.get(f"/api/v1/runs/{run}/expert-load?format=png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">I", png[16:20])[0] > 100
    assert lab.get(f"/api/v1/runs/{run}/expert-load?format=gif")[:6] == b"GIF89a"


def test_submitting_again_adds_only_what_is_missing(lab):
    lab.serve()
    first = lab.json("submit", "small.yaml")
    assert (first["created"], first["reused"]) == (3, 0)
    lab.ok("wait", "--all")
    lab.write("small.yaml", (lab.folder / "small.yaml").read_text() + "      sign: {moe.lb_gamma: 0.001, moe.lb_bias_rule: sign}\n")
    second = lab.json("submit", "small.yaml")
    assert (second["created"], second["reused"]) == (1, 3)
    lab.ok("wait", "--all")
    assert {run["attempt"] for run in lab.runs().values()} == {1}


def test_the_corpus_is_tokenised_once_for_all_runs(lab):
    lab.serve("--cpu-slots", "2")
    lab.ok("submit", "small.yaml")
    lab.ok("wait", "--all")
    caches = [path for path in (lab.home / "cache" / "tokens").iterdir() if path.is_dir()]
    assert len(caches) == 1, caches


def test_cancel_and_retry(lab):
    lab.serve("--cpu-slots", "1")
    lab.ok("submit", "small.yaml", "-s", "train.max_steps=100000", "-s", "train.eval_interval=100000")
    wait_for(lambda: any(run["state"] == "running" and run["step"] > 5 for run in lab.runs().values()), "a run to be under way")
    running = next(name for name, run in lab.runs().items() if run["state"] == "running")
    for name in lab.runs():
        lab.ok("cancel", name)
    wait_for(lambda: all(run["state"] == "cancelled" for run in lab.runs().values()), "all runs to be cancelled")
    step = lab.runs()[running]["step"]
    lab.ok("retry", running)
    wait_for(lambda: lab.runs()[running]["step"] > step, "the retried run to go on from its checkpoint")
    assert lab.runs()[running]["attempt"] == 2
    lab.ok("cancel", running)
    wait_for(lambda: lab.runs()[running]["state"] == "cancelled", "the run to be cancelled again")


def test_what_has_ended_cannot_be_cancelled(lab):
    lab.serve()
    lab.ok("submit", "small.yaml", "--only", "none")
    lab.ok("wait", "--all")
    done = lab.run("cancel", "none")
    assert done.returncode == 4
    assert "(none) is completed: it has ended already" in done.stderr
    assert lab.runs()["none"]["state"] == "completed"


def test_devices_say_who_is_on_them(lab):
    lab.serve("--cpu-slots", "1")
    assert [device["state"] for device in lab.json("gpus")["devices"]] == ["free"]
    lab.ok("submit", "small.yaml", "-s", "train.max_steps=100000")
    device = wait_for(lambda: next((d for d in lab.json("gpus")["devices"] if d["state"] == "leased"), None), "a lease")
    assert device["run"]["name"] in lab.runs()
    for name in lab.runs():
        lab.ok("cancel", name)
    wait_for(lambda: lab.json("gpus")["devices"][0]["state"] == "free", "the slot to be free again")


def test_generate_continues_a_prompt(lab):
    lab.serve()
    lab.ok("submit", "small.yaml")
    lab.ok("wait", "--all")
    args = ("generate", "bias", "--prompt", "The cat", "--max-new-tokens", "12", "--greedy")
    assert lab.ok(*args) == lab.ok(*args)
    assert "The cat" in lab.ok(*args)
    prompts = Path(__file__).parents[2] / "scripts" / "prompts" / "tiny_stories.txt"
    batch = ("generate", "bias", "--prompts-file", str(prompts), "--max-new-tokens", "4", "--seed", "3", "--json")
    texts = [json.loads(line) for line in lab.ok(*batch).splitlines()]
    assert [text["prompt"] for text in texts] == prompts.read_text().splitlines()
    assert all(0 < len(text["tokens"]) <= 4 for text in texts)


def test_a_run_is_exported_imported_and_scored(lab):
    lab.serve()
    lab.ok("submit", "small.yaml", "--only", "bias")
    lab.ok("wait", "--all")
    assert "Glm4MoeForCausalLM" in lab.ok("export", "bias", "-o", "hf", "--format", "hf")
    assert {path.name for path in (lab.folder / "hf").iterdir()} == {"config.json", "model.safetensors", "tokenizer.model"}
    lab.ok("import", "hf", "-o", "back")
    assert "The cat" in lab.ok("generate", "back", "--prompt", "The cat", "--max-new-tokens", "3", "--greedy")
    lab.write("text.txt", "The cat sat with a dog.\n" * 20)
    scores = [lab.json("score", "--model", model, "--text", "text.txt", "--logits", f"{model}.npy") for model in ("bias", "hf", "back")]
    assert scores[0]["tokens"] > 100 and 0 < scores[0]["nll"] < 6
    assert scores[0]["nll"] == scores[1]["nll"] == scores[2]["nll"]
    assert (lab.folder / "bias.npy").read_bytes() == (lab.folder / "hf.npy").read_bytes() == (lab.folder / "back.npy").read_bytes()

    again = lab.run("export", "bias", "-o", "hf")
    assert again.returncode == 2 and "not an empty directory" in again.stderr
    (lab.folder / "hf" / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    refused = lab.run("import", "hf", "-o", "gpt")
    assert refused.returncode == 2 and "GPT2LMHeadModel cannot be represented" in refused.stderr
    assert not list(lab.folder.glob("gpt*"))
