"""The committed golden files are what make_golden.py makes with the pinned versions; skipped where those are not installed.

scripts/test.sh --parity installs them and names their Python in MOELAB_PARITY_PYTHON. Reads safetensors by itself, so that
it runs under any Python.
"""

import array
import json
import os
import pathlib
import struct
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/golden.safetensors"))
MAX_BYTES = 1_100_000

# Rounding differs between processors: one ulp grows to 4e-6 over the twenty AdamW steps (see LR there). Weights are drawn, not computed.
TOLERANCE = {"weights": 1e-6, "gradients": 1e-5, "logits": 1e-5, "nll": 1e-6, "loss": 1e-6, "train": 2e-5}


def read_safetensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    code = {"F32": "f", "F64": "d", "I64": "q"}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = array.array(code[entry["dtype"]])
        values.frombytes(data[8 + size + begin : 8 + size + end])
        tensors[name] = (entry["dtype"], entry["shape"], values)
    return tensors, metadata


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    python = os.environ.get("MOELAB_PARITY_PYTHON") or sys.executable
    asked_for = "MOELAB_PARITY_PYTHON" in os.environ
    installed = subprocess.run([python, "-c", "import torch, transformers"], capture_output=True).returncode == 0
    if not installed and not asked_for:
        pytest.skip("Transformers is not installed; scripts/test.sh --parity installs it and runs this")
    out = tmp_path_factory.mktemp("golden")
    subprocess.run([python, str(HERE / "make_golden.py"), "--out", str(out)], check=True, timeout=240)
    return out


def tolerance(path, name):
    if path.parent.name == "gradients":
        return TOLERANCE["gradients"]
    if path.name == "model.safetensors":
        return TOLERANCE["weights"]
    return TOLERANCE["train" if name.startswith("train") else name if name in TOLERANCE else "weights"]


def files(folder):
    return sorted(p.relative_to(folder) for case in CASES for p in (folder / case).rglob("*") if p.is_file())


def test_all_files_are_small():
    assert files(HERE), "no golden file is committed"
    assert sum((HERE / p).stat().st_size for p in files(HERE)) < MAX_BYTES


def test_the_same_files(fresh):
    assert files(HERE) == sorted(p.relative_to(fresh) for p in fresh.rglob("*") if p.is_file())


@pytest.mark.parametrize("case", CASES)
def test_configurations(fresh, case):
    for path in sorted((HERE / case).rglob("*.json")):
        assert json.loads(path.read_text()) == json.loads((fresh / path.relative_to(HERE)).read_text()), path


@pytest.mark.parametrize("case", CASES)
def test_tensors(fresh, case):
    for path in sorted((HERE / case).rglob("*.safetensors")):
        committed, settings = read_safetensors(path)
        made, made_settings = read_safetensors(fresh / path.relative_to(HERE))
        assert settings == made_settings, path
        assert committed.keys() == made.keys(), path
        for name, (dtype, shape, values) in committed.items():
            assert (dtype, shape) == made[name][:2], f"{path}: {name}"
            worst = max((abs(a - b) for a, b in zip(values, made[name][2])), default=0)
            assert worst <= (0 if dtype == "I64" else tolerance(path, name)), f"{path}: {name} differs by {worst}"
