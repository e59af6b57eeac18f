"""Bad input gets one clear message that names the key or file and the remedy, and a documented exit code."""

import pytest

from conftest import Lab

CASES = [
    # (what is changed in small.yaml, exit code, words the message must have)
    ("moe.lb_gamma: 0.01", "moe.lb_gama: 0.01", ["moe.lb_gama", "lb_gamma", "small.yaml:"]),
    ("moe.lb_gamma: 0.01", "moe.lb_gamma: -1", ["moe.lb_gamma", "-1"]),
    ("num_active_experts: 1", "num_active_experts: 9", ["moe.num_active_experts", "9", "4"]),
    ("hidden_size: 32", "hidden_size: 33", ["model.hidden_size", "33"]),
    ("path: [corpus]", "path: [nowhere]", ["nowhere"]),
    ("vocab_size: 300", "vocab_size: 60000", ["model.vocab_size"]),
]


@pytest.mark.parametrize(("old", "new", "words"), CASES, ids=[new for _, new, _ in CASES])
def test_a_wrong_matrix_is_refused_before_or_as_it_runs(lab, old, new, words):
    text = (lab.folder / "small.yaml").read_text()
    assert old in text
    lab.write("small.yaml", text.replace(old, new))
    done = lab.run("run", "small.yaml", "--only", "bias")
    assert done.returncode in (1, 2)
    said = done.stdout + done.stderr
    for word in words:
        assert word in said, said
    assert "Traceback" not in said and "terminate called" not in said


def test_all_problems_come_at_once(lab):
    text = (lab.folder / "small.yaml").read_text()
    lab.write("small.yaml", text.replace("lb_gamma", "lb_gama").replace("hidden_size", "hiden_size"))
    done = lab.run("plan", "small.yaml")
    assert done.returncode == 2
    assert "lb_gama" in done.stderr and "hiden_size" in done.stderr


def test_an_empty_corpus_is_refused(lab):
    for path in (lab.folder / "corpus").iterdir():
        path.write_text("")
    done = lab.run("run", "small.yaml", "--only", "bias")
    assert done.returncode in (1, 2)
    assert "corpus" in done.stdout + done.stderr and "empty" in done.stdout + done.stderr


def test_no_daemon(lab):
    done = lab.run("ls")
    assert done.returncode == 3
    assert "moelab serve" in done.stderr


def test_a_port_in_use(lab, tmp_path):
    lab.serve()
    port = lab.url().rsplit(":", 1)[1]
    other = Lab(tmp_path / "other")
    other.folder.mkdir()
    done = other.run("serve", "--port", port)
    assert done.returncode == 4
    assert port in done.stderr and "--port" in done.stderr


def test_a_home_that_is_taken(lab):
    lab.serve()
    done = lab.run("serve", "--port", "0")
    assert done.returncode == 4
    assert str(lab.home) in done.stderr


def test_a_home_that_cannot_be_written(lab):
    lab.home.write_text("a file where the home should be")
    done = lab.run("serve", "--port", "0")
    assert done.returncode == 5
    assert str(lab.home) in done.stderr


def test_a_corrupt_database(lab):
    lab.home.mkdir()
    (lab.home / "moelab.db").write_bytes(b"this is not a database" * 100)
    done = lab.run("serve", "--port", "0")
    assert done.returncode == 5
    assert "moelab.db" in done.stderr and "rebuild" in done.stderr
    assert (lab.home / "moelab.db").read_bytes().startswith(b"this is not"), "a corrupt file is not overwritten"


def test_unknown_names(lab):
    lab.serve()
    assert lab.run("show", "nobody").returncode == 4
    assert lab.run("cancel", "99").returncode == 4
    done = lab.run("shwo")
    assert done.returncode == 2 and "show" in done.stderr


@pytest.mark.parametrize("verb", ["serve", "plan", "submit", "run", "ls", "show", "logs", "wait", "cancel", "retry", "gpus", "generate", "results", "export", "import",
                                  "score"])
def test_every_verb_explains_itself(lab, verb):
    assert len(lab.ok(verb, "--help").splitlines()) > 3
