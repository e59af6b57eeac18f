"""The rules of the house, checked by reading the tree: who may include whom, what may not be in it, what must be."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE_AT_THE_TOP = {"build", "data"}  # by the scripts, never committed
MADE_ANYWHERE = {"node_modules", "dist", "__pycache__", "schema.d.ts", ".peers"}
CODE = {".cpp", ".h", ".def", ".ts", ".tsx", ".py", ".sh", ".sql", ".cmake"}
ROOMS = ["core", "db", "server", "worker", "web", "tests", "docker", "bench", "scripts"]

# What each C++ room may include of the others, and which library only it may see.
MAY_INCLUDE = {"core": {"core"}, "db": {"core", "db"}, "server": {"core", "db", "server"}, "worker": {"core", "worker"}}
ONLY_ROOM_OF = {
    "yaml-cpp/": "core",
    "SQLiteCpp/": "db",
    "sqlite3.h": "db",
    "httplib.h": "server",
    "boost/": "server",
    "nvml.h": "server",
    "torch/": "worker",
    "ATen/": "worker",
    "c10/": "worker",
    "sentencepiece": "worker",
}


def tree():
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = parts[0].startswith(".") and parts[0] not in {".ci", ".clang-format", ".clang-tidy", ".gitignore", ".dockerignore"}
        if hidden or parts[0] in MADE_AT_THE_TOP or MADE_ANYWHERE & set(parts):
            continue
        if path.is_file():
            yield path


FILES = list(tree())
CODE_FILES = [path for path in FILES if path.suffix in CODE]


def rel(path):
    return path.relative_to(ROOT).as_posix()


def text(path):
    return path.read_text(encoding="utf-8")


def includes(path):
    return re.findall(r'^\s*#\s*include\s+[<"]([^">]+)[">]', text(path), re.M)


@pytest.mark.parametrize("room", MAY_INCLUDE)
def test_rooms_include_only_what_they_may(room):
    wrong = []
    for path in (ROOT / room).rglob("*"):
        if path.suffix not in {".cpp", ".h"}:
            continue
        for name in includes(path):
            head = name.split("/")[0]
            if head in MAY_INCLUDE and head not in MAY_INCLUDE[room]:
                wrong.append(f"{rel(path)} includes {name}")
            for library, owner in ONLY_ROOM_OF.items():
                if name.startswith(library) and owner != room:
                    wrong.append(f"{rel(path)} includes {name}, which only {owner}/ may see")
    assert not wrong, "\n".join(wrong)


def test_yaml_is_seen_by_sources_of_core_only():
    wrong = [rel(path) for path in (ROOT / "core").glob("*.h") if any(name.startswith("yaml-cpp/") for name in includes(path))]
    assert not wrong, wrong


def test_no_unfinished_marks():
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|not impl" r"emented|unimpl" r"emented)\b")
    wrong = [f"{rel(path)}: {match.group()}" for path in CODE_FILES for match in [marks.search(text(path))] if match]
    assert not wrong, "\n".join(wrong)


def test_no_test_is_switched_off():
    # test.skip(condition, "reason") prints its reason and is fine; everything else hides a test.
    off = re.compile(r"doctest::skip|pytest\.mark\.(skip\b|xfail)|\b(test|it|describe)\.(fixme|only)\(|\b(test|it|describe)\.skip\((?![!\w]+, ['\"])")
    wrong = [rel(path) for path in CODE_FILES if path != Path(__file__).resolve() and off.search(text(path))]
    assert not wrong, wrong


def test_files_hold_one_noun():
    wrong = [f"{rel(path)}: {lines} lines" for path in CODE_FILES if (lines := text(path).count("\n")) > 600]
    assert not wrong, wrong


def test_no_commented_out_code():
    dead = re.compile(r"^\s*//\s*(if|for|while|return|auto|const|int|double|std::\w+)\b.*[;{]\s*$", re.M)
    wrong = [f"{rel(path)}: {match.group().strip()}" for path in CODE_FILES if path.suffix in {".cpp", ".h"} for match in [dead.search(text(path))] if match]
    assert not wrong, "\n".join(wrong)


def test_nothing_large_or_generated_is_kept():
    allowed = {"tests/golden", "docs"}
    wrong = []
    for path in FILES:
        name = rel(path)
        if path.stat().st_size > 600 * 1024:
            wrong.append(f"{name} is {path.stat().st_size // 1024} KiB")
        if path.suffix in {".o", ".so", ".a", ".pyc", ".db", ".model", ".gz", ".zip"} and not any(name.startswith(root) for root in allowed):
            wrong.append(f"{name} is a binary")
    assert not wrong, wrong


def test_headers_say_what_they_own():
    wrong = [rel(path) for path in CODE_FILES if path.suffix == ".h" and path.parts[len(ROOT.parts)] in MAY_INCLUDE and not text(path).startswith("//")]
    assert not wrong, wrong


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_has_a_readme(room):
    assert (ROOT / room / "README.md").is_file(), f"{room}/ has no README.md"


def test_the_readme_names_every_room_and_only_those():
    readme = text(ROOT / "README.md")
    named = set(re.findall(r"^\| `([a-z]+)/`", readme, re.M))
    assert named == set(ROOMS), f"README.md's table names {sorted(named)}, the tree has {sorted(ROOMS)}"


def test_markdown_links_lead_somewhere():
    wrong = []
    for path in FILES:
        if path.suffix != ".md":
            continue
        prose = re.sub(r"```.*?```|`[^`]*`", "", text(path), flags=re.S)
        for target in re.findall(r"\]\(([^)#?\s]+)[^)]*\)", prose):
            if "://" not in target and not (path.parent / target).exists():
                wrong.append(f"{rel(path)} links to {target}")
    assert not wrong, wrong


def test_every_routing_strategy_has_its_file():
    names = re.findall(r"^MOELAB_ROUTING\((\w+),", text(ROOT / "core/routing_strategies.def"), re.M)
    assert names
    assert not [name for name in names if not (ROOT / f"worker/routing/{name}.cpp").is_file()]


def test_every_cpp_test_is_in_a_target():
    folders = set(re.findall(r"moelab_test\(\w+ (\S+)", text(ROOT / "tests/CMakeLists.txt")))
    worker = re.search(r"foreach\(folder ([\w ]+)\)", text(ROOT / "tests/CMakeLists.txt"))
    folders |= {f"worker/{folder}" for folder in worker.group(1).split()}
    wrong = [rel(path) for path in (ROOT / "tests").rglob("*_test.cpp") if path.parent.relative_to(ROOT / "tests").as_posix() not in folders]
    assert not wrong, wrong


def test_lock_file_names_no_download_address():
    lock = ROOT / "web/package-lock.json"
    assert '"resolved"' not in text(lock)
