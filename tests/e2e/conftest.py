"""The real moelab and moelab-worker, a home and a small corpus of their own for each test."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("MOELAB_BIN_DIR", ROOT / "build/release/bin"))
DEADLINE_S = 120


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """Polls until condition() is true and returns its value; fails with `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"waited {deadline_s} s in vain for {what}")


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


MATRIX = """
version: 1
name: small
defaults:
  seed: 7
  model: {vocab_size: 300, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64}
  data: {path: [corpus], block_size: 32, val_fraction: 0.1}
  train: {lr: 3.0e-3, batch_size: 8, max_steps: 40, eval_interval: 20, save_interval: 5, expert_load_interval: 5}
  resources: {gpus: 0}
experiments:
  - name: balance
    baseline: none
    defaults:
      moe: {num_experts: 4, num_active_experts: 1, moe_intermediate_size: 32}
    variants:
      none: {notes: no balancing}
      penalty: {moe.lb_coeff: 0.01}
      bias: {moe.lb_gamma: 0.01}
"""


class Lab:
    """One home directory and the command line that works in it."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        self.bin = BIN
        self.env = {**os.environ, "MOELAB_HOME": str(self.home), "NO_COLOR": "1"}
        for name in ("MOELAB_URL", "MOELAB_TOKEN"):
            self.env.pop(name, None)
        self.daemon = None

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *args, timeout=DEADLINE_S):
        return subprocess.run([self.bin / "moelab", *map(str, args)], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)

    def ok(self, *args, **kwargs):
        done = self.run(*args, **kwargs)
        assert done.returncode == 0, f"moelab {' '.join(map(str, args))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *args):
        return json.loads(self.ok(*args, "--json"))

    def serve(self, *args):
        log = open(self.folder / "daemon.log", "a")
        self.daemon = subprocess.Popen([self.bin / "moelab", "serve", "--port", "0", *args], cwd=self.folder, env=self.env, stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL)
        wait_for(lambda: self.run("health").returncode == 0 or self.daemon.poll() is not None, "the daemon to answer")
        assert self.daemon.poll() is None, (self.folder / "daemon.log").read_text()
        return self.daemon

    def url(self):
        return json.loads((self.home / "daemon.json").read_text())["url"]

    def get(self, path, body=None):
        """The bytes of a GET, or of a POST when there is a body."""
        request = urllib.request.Request(self.url() + path, None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        token = self.home / "token"  # made where the daemon listens on all interfaces, as it does in a container
        if token.exists():
            request.add_header("Authorization", "Bearer " + token.read_text().strip())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def runs(self):
        return {run["name"]: run for run in self.json("ls")}

    def run_dir(self, name):
        return Path(self.json("show", name)["run_dir"])

    def series(self, name, key):
        return self.json("show", name, "--series", key)

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGINT)
            self.daemon.wait(60)


def make_corpus(folder):
    words = "the cat dog tree sun red blue ran sat saw big small happy and then under over with a".split()
    rng = random.Random(5)
    folder.mkdir()
    for index in range(60):
        lines = [" ".join(rng.choice(words) for _ in range(9)).capitalize() + "." for _ in range(12)]
        (folder / f"story_{index:02}.txt").write_text("\n".join(lines))


@pytest.fixture
def lab(tmp_path):
    make_corpus(tmp_path / "corpus")
    lab = Lab(tmp_path)
    lab.write("small.yaml", MATRIX)
    yield lab
    lab.stop()
    for journal in lab.home.glob("runs/*/events.jsonl"):  # a failed test must leave no worker behind
        for pid in re.findall(r'"pid":\s*(\d+)', journal.read_text()):
            command = Path(f"/proc/{pid}/cmdline")
            if alive(pid) and b"moelab-worker" in command.read_bytes():
                os.kill(int(pid), signal.SIGKILL)
