"""The first README command, at reduced size: fewer and shorter runs, the same scripts, corpus and configuration."""

import os
import subprocess

from conftest import DEADLINE_S, ROOT


def demo(tmp_path, *options):
    env = {**os.environ, "MOELAB_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
    return subprocess.run([ROOT / "scripts/demo.sh", "--exit", "--port", "0", "--", "-s", "train.max_steps=4", *options], env=env, cwd="/", timeout=5 * DEADLINE_S,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_the_demo_trains_its_matrix_and_prints_the_table(tmp_path):
    done = demo(tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    for name in ("01_moedl_dense", "a0_moedl_no_lb", "a1_moedl_lb_penalty", "a2_moedl_lb_biasing"):
        assert name in done.stdout, said
    assert "eval/loss" in done.stdout
    assert "http://127.0.0.1:" in done.stdout

    again = demo(tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "a0_moedl_no_lb" in again.stdout


def test_the_demo_ends_with_the_exit_code_of_its_matrix(tmp_path):
    done = demo(tmp_path, "-s", "train.lr=1e30", "--only", "a0_moedl_no_lb")
    assert done.returncode == 1, done.stdout + done.stderr
