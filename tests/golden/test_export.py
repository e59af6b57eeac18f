"""Transformers reads what `moelab export` writes, and computes the same; `moelab score` agrees with it.

Every golden model is imported, exported, loaded by Transformers without a missing or unexpected tensor, and its logits are
compared with the golden ones. Skipped where Transformers is not installed; scripts/test.sh --parity installs it.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(os.environ.get("MOELAB_BIN_DIR", HERE.parents[1] / "build/release/bin"))
MODELS = sorted(path.parent.name for path in HERE.glob("*/config.json"))

# Runs under the Python that has Transformers: loads each directory and reports.
LOADER = """
import json, pathlib, sys
import numpy, torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
report = {}
for folder in map(pathlib.Path, sys.argv[2:]):
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, attn_implementation="eager", dtype=torch.float32)
    golden = load_file(pathlib.Path(sys.argv[1]) / folder.name / "golden.safetensors")
    ids = golden["ids"]
    with torch.no_grad():
        logits = model(ids).logits
    numpy.save(folder / "ids.npy", ids.numpy())
    nll = torch.nn.functional.cross_entropy(logits[:, :-1].double().flatten(0, 1), ids[:, 1:].flatten())
    report[folder.name] = {
        "class": type(model).__name__,
        "problems": {key: sorted(map(str, value)) for key, value in info.items() if value},
        "worst": (logits - golden["logits"]).abs().max().item(),
        "nll": nll.item(),
        "tokens": ids[:, 1:].numel(),
    }
print(json.dumps(report))
"""


def moelab(*args):
    done = subprocess.run([BIN / "moelab", *map(str, args)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    python = os.environ.get("MOELAB_PARITY_PYTHON") or sys.executable
    installed = subprocess.run([python, "-c", "import torch, transformers"], capture_output=True).returncode == 0
    if not installed and "MOELAB_PARITY_PYTHON" not in os.environ:
        pytest.skip("Transformers is not installed; scripts/test.sh --parity installs it and runs this")
    root = tmp_path_factory.mktemp("exported")
    for model in MODELS:
        moelab("import", HERE / model, "-o", root / "checkpoints" / model)
        moelab("export", root / "checkpoints" / model, "-o", root / "hf" / model, "--max-shard-size", "8KB")
    folders = [root / "hf" / model for model in MODELS]
    done = subprocess.run([python, "-c", LOADER, HERE, *folders], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return root, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("model", MODELS)
def test_transformers_computes_the_same(exported, model):
    _, report = exported
    assert report[model]["problems"] == {}
    assert report[model]["worst"] < 1e-5


@pytest.mark.parametrize("model", MODELS)
def test_score_agrees_with_transformers(exported, model):
    root, report = exported
    for directory in (root / "checkpoints" / model, root / "hf" / model):
        said = json.loads(moelab("score", "--model", directory, "--tokens", root / "hf" / model / "ids.npy", "--json"))
        assert said["tokens"] == report[model]["tokens"]
        assert abs(said["nll"] - report[model]["nll"]) < 1e-6


def test_all_architectures_were_exported(exported):
    _, report = exported
    assert {entry["class"] for entry in report.values()} == {
        "LlamaForCausalLM", "MixtralForCausalLM", "OlmoeForCausalLM", "Qwen2MoeForCausalLM", "Qwen3MoeForCausalLM", "Glm4MoeForCausalLM"}
