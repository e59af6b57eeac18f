#!/usr/bin/env python3
"""Owns the demo corpus: real text this machine already has, and little stories written for this project.

    data/demo/code/*.txt           sources of the Python standard library, one file a document
    data/demo/prose/*.jsonl        documentation: manuals inside Perl's modules, Python's language reference, licences
    data/demo/stories/*.jsonl      small tales from a seeded grammar: people, wants, causes and effects

Called by scripts/demo.sh with the Python of .venv; needs the standard library only. Perl's modules come with git, which
scripts/install.sh installs. The same machine gives the same bytes. Does nothing when the corpus is there already.
Usage: scripts/demo_data.py [--out DIR] [--force]
"""

import argparse
import hashlib
import json
import random
import re
import shutil
import sys
import sysconfig
from pathlib import Path

VERSION = 1  # raise when the same machine would get other text
CODE_BYTES = 2_000_000
PROSE_BYTES = 1_600_000
STORIES = 2600
LONGEST_DOCUMENT = 60_000
SHORTEST_DOCUMENT = 400


def by_hash(name: str) -> str:
    """An order that mixes subjects and is the same everywhere."""
    return hashlib.sha256(name.encode()).hexdigest()


def take(documents: list[tuple[str, str]], budget: int) -> list[tuple[str, str]]:
    """The first documents in hash order that fit into `budget` bytes, no text twice."""
    taken, used, seen = [], 0, set()
    for name, text in sorted(documents, key=lambda item: by_hash(item[0])):
        size = len(text.encode())
        if size < SHORTEST_DOCUMENT or size > LONGEST_DOCUMENT or text in seen:
            continue
        if used + size > budget:
            break
        seen.add(text)
        taken.append((name, text))
        used += size
    return sorted(taken)


# --- code ---


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return ""


def standard_library() -> list[tuple[str, str]]:
    root = Path(sysconfig.get_path("stdlib"))
    skip = {"test", "tests", "idlelib", "site-packages", "dist-packages", "pydoc_data", "encodings", "__pycache__"}
    documents = []
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).parts
        if not skip.intersection(parts) and not parts[0].startswith("config-"):
            documents.append(("/".join(parts), read_text(path)))
    return documents


# --- prose ---


def plain_pod(text: str) -> str:
    """The manual inside a Perl module, without its mark-up."""
    blocks = re.findall(r"^=(?:head|pod|over|item|encoding)[\s\S]*?(?=^=cut|\Z)", text, re.MULTILINE)
    text = "\n".join(blocks)
    text = re.sub(r"^=encoding.*$|^=(?:pod|over|back|for|begin|end)\b.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^=head\d\s+|^=item\s+", "", text, flags=re.MULTILINE)
    for _ in range(3):  # mark-up nests: B<I<word>>
        text = re.sub(r"\b[BCFISX]<<* ?([^<>]*?) ?>>*", r"\1", text)
        text = re.sub(r"\bL<(?:([^<>|]*)\|)?([^<>|]*)>", lambda m: m.group(1) or m.group(2), text)
    for code, sign in (("lt", "<"), ("gt", ">"), ("verbar", "|"), ("sol", "/")):
        text = text.replace(f"E<{code}>", sign)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def perl_manuals() -> list[tuple[str, str]]:
    documents = []
    for root in sorted(path for path in Path("/usr/share/perl").glob("5.*") if path.is_dir() and not path.is_symlink()):
        for path in root.rglob("*.p[mo]*"):
            if path.suffix in (".pm", ".pod"):
                documents.append((f"perl/{path.relative_to(root)}", plain_pod(read_text(path))))
    return documents


def python_reference() -> list[tuple[str, str]]:
    from pydoc_data.topics import topics

    return [(f"python/{name}", text.strip() + "\n") for name, text in topics.items()]


def licences() -> list[tuple[str, str]]:
    root = Path("/usr/share/common-licenses")
    return [(f"licence/{path.name}", read_text(path)) for path in root.glob("*") if path.is_file() and not path.is_symlink()]


# --- stories ---

PEOPLE = [
    ("Mina", "she", "her", "her"), ("Tom", "he", "him", "his"), ("Lila", "she", "her", "her"), ("Ben", "he", "him", "his"),
    ("Grandma Rose", "she", "her", "her"), ("Old Peter", "he", "him", "his"), ("Nora", "she", "her", "her"), ("Sam", "he", "him", "his"),
    ("Aunt Ida", "she", "her", "her"), ("Uncle Joe", "he", "him", "his"), ("Ella", "she", "her", "her"), ("Max", "he", "him", "his"),
    ("the baker", "he", "him", "his"), ("the fisher girl", "she", "her", "her"), ("the young fox", "he", "him", "his"),
    ("the grey cat", "she", "her", "her"), ("the small bear", "he", "him", "his"), ("the hen", "she", "her", "her"),
]  # fmt: skip
TRAITS = ["brave", "shy", "curious", "patient", "stubborn", "kind", "clever", "sleepy", "cheerful", "careful"]
PLACES = {
    "by the river": ["the water", "the stones", "the reeds"], "in the garden": ["the apple tree", "the beans", "the old wall"],
    "at the edge of the forest": ["the tall trees", "the moss", "the dark path"], "in the village": ["the well", "the market", "the little bridge"],
    "on the hill": ["the wind", "the grass", "the big rock"], "near the sea": ["the waves", "the sand", "the boats"],
    "in the barn": ["the hay", "the ladder", "the wooden door"],
}  # fmt: skip
THINGS = {
    "kite": ("fly", "string"), "boat": ("sail", "rope"), "drum": ("play", "skin"), "cart": ("push", "wheel"), "swing": ("ride", "rope"),
    "lantern": ("light", "glass"), "kettle": ("boil", "lid"), "scarf": ("wear", "edge"), "whistle": ("blow", "cord"), "sled": ("pull", "rope"),
}  # fmt: skip
FOODS = ["bread", "soup", "honey", "apples", "cheese", "berries", "pancakes", "nuts"]
WEATHER = {
    "rain": ("It began to rain", "got wet"), "wind": ("A strong wind came", "blew away"), "snow": ("Snow began to fall", "disappeared under the snow"),
    "fog": ("A thick fog came down", "could not be seen any more"), "dark": ("It grew dark", "was lost in the dark"),
}  # fmt: skip
MORNINGS = ["One morning", "One day", "Early one day", "On a warm day", "On a cold day", "After breakfast", "Late in the afternoon", "Long ago"]
FEELINGS_BAD = ["sad", "worried", "cross", "a little afraid", "tired", "lonely"]
FEELINGS_GOOD = ["happy", "proud", "glad", "warm inside", "very pleased", "calm again"]
LESSONS = {
    "broken_thing": ["It is easier to mend a thing with a friend.", "Two pairs of hands are better than one.", "Even a broken thing can be fun."],
    "lost_in_weather": ["It is good to have somebody who waits for you.", "If you stay calm, you will find the way.", "A small sound can be a big help."],
    "shared_food": ["What is shared tastes twice as good.", "A small gift can come back as a big one.", "Nobody likes to eat alone."],
    "secret": ["Tell the truth and you can sleep well.", "Even a mistake can teach you something.", "It is never too late to say sorry."],
}


def upper(text: str) -> str:
    return text[0].upper() + text[1:]


class Tale:
    """One story: every event follows from the state the ones before it left."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.hero, self.friend = rng.sample(PEOPLE, 2)
        self.place, self.sights = rng.choice(list(PLACES.items()))
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(upper(text))

    def speech(self, who: str, words: str) -> str:
        verb = "asked" if words.endswith("?") else self.rng.choice(["said", "answered"])
        mark = "" if words[-1] in "?!" else ","
        return f'"{words.rstrip(".") + mark}" {verb} {who}.'

    def opening(self) -> None:
        rng, (name, they, _, their) = self.rng, self.hero
        first, second = rng.sample(TRAITS, 2)
        self.say(rng.choice([
            f"{rng.choice(MORNINGS)}, {name} was {self.place}.",
            f"{name} lived {self.place}, close to {rng.choice(self.sights)}.",
            f"Everybody {self.place} knew {name}, who was {first} and {second}.",
        ]))  # fmt: skip
        if rng.random() < 0.6:
            self.say(f"{they} was {first}, and {their} friend {self.friend[0]} was {second}.")

    def broken_thing(self) -> None:
        rng, (name, they, them, their), (friend, f_they, _, f_their) = self.rng, self.hero, self.friend
        thing, (use, part) = rng.choice(list(THINGS.items()))
        colour = rng.choice(["red", "blue", "green", "yellow", "big", "new"])
        self.say(f"{name} had a {colour} {thing} and wanted to {use} it.")
        self.say(rng.choice([f"But the {part} broke, and the {thing} was of no use.", f"But when {they} picked it up, the {part} came off."]))
        self.say(f"{they} felt {rng.choice(FEELINGS_BAD)} and sat down beside {rng.choice(self.sights)}.")
        self.say(self.speech(friend, "What happened to your " + thing + "?"))
        self.say(self.speech(name, f"The {part} is broken, and I cannot {use} it any more."))
        if rng.random() < 0.7:
            self.say(f"{friend} had a spare {part} at home, because {f_they} never threw anything away.")
            self.say(f"Together they mended the {thing}, and {name} held it while {friend} tied the knot.")
            self.say(f"Then they took turns to {use} it until the sun went down.")
        else:
            self.say(f"{friend} did not know how to mend it, but {f_they} stayed with {them}.")
            self.say(f"So they made a game of their own with the {part}, and soon {name} laughed again.")

    def lost_in_weather(self) -> None:
        rng, (name, they, them, their), (friend, f_they, f_them, _) = self.rng, self.hero, self.friend
        came, fate = rng.choice(list(WEATHER.values()))
        goal = rng.choice(["the mill", "the market", "the lake", "the house on the other side", "the big oak"])
        self.say(f"{they} wanted to walk to {goal} to meet {friend}.")
        self.say(f"{came}, and the path {fate if fate != 'blew away' else 'was full of broken branches'}.")
        self.say(f"{name} could not find the way and felt {rng.choice(FEELINGS_BAD)}.")
        signal = rng.choice(["a bell", "a song", "a dog", "a whistle"])
        self.say(f"Then {they} heard {signal} far away and walked slowly towards it.")
        self.say(f"It was {friend}, who had waited a long time and had begun to look for {them}.")
        self.say(self.speech(friend, f"I was afraid that you were lost, {name.removeprefix('the ')}."))
        self.say(f"They went home hand in hand, and {name} never forgot that sound.")

    def shared_food(self) -> None:
        rng, (name, they, them, their), (friend, f_they, f_them, f_their) = self.rng, self.hero, self.friend
        food, gift = rng.sample(FOODS, 2)
        count = rng.choice(["two", "three", "four", "five"])
        self.say(f"{name} had a basket of {food} and was hungry.")
        self.say(f"On the way {they} met {friend}, who had eaten nothing since yesterday.")
        if rng.random() < 0.65:
            self.say(f"{name} thought about it, and then {they} gave {f_them} half of the {food}.")
            self.say(f"After {count} days {name} was ill and could not leave the house.")
            self.say(f"{friend} remembered the {food} and brought {them} {gift} and a warm blanket.")
            self.say(self.speech(name, "You did not have to do this."))
            self.say(self.speech(friend, "You did not have to share with me, but you did."))
        else:
            self.say(f"But {name} hid the basket behind {their} back and said nothing.")
            self.say(f"When {they} wanted to eat, the {food} did not taste good at all.")
            self.say(f"So {they} ran back to {friend} and put the whole basket down before {f_them}.")
            self.say(self.speech(friend, "Then let us eat together."))

    def secret(self) -> None:
        rng, (name, they, them, their), (friend, f_they, f_them, f_their) = self.rng, self.hero, self.friend
        thing = rng.choice(["cup", "window", "jar", "plate", "flower pot", "clock"])
        self.say(f"While {friend} was away, {name} played inside and the {thing} fell and broke.")
        self.say(f"{they} put the pieces under {rng.choice(['the bed', 'a cloth', 'the table', 'some straw'])} and told nobody.")
        self.say(f"But that night {they} could not sleep, because {they} thought of the {thing} all the time.")
        if rng.random() < 0.5:
            self.say(f"In the morning {they} went to {friend} and told everything.")
            self.say(self.speech(friend, f"A {thing} is only a {thing}, and I am glad that you told me."))
        else:
            self.say(f"In the morning {friend} found the pieces and asked who had done it.")
            self.say(self.speech(name, "It was me, and I am sorry."))
            self.say(f"{friend} was cross for a moment, and then {f_they} fetched the glue.")
        self.say(f"They put the {thing} together again, and one could hardly see where it had been broken.")

    def ending(self, last_event: str) -> None:
        rng, name, friend = self.rng, self.hero[0], self.friend[0]
        self.say(f"In the evening {rng.choice([name, friend, 'everybody', 'each of them'])} felt {rng.choice(FEELINGS_GOOD)}.")
        if rng.random() < 0.5:
            self.say(rng.choice(LESSONS[last_event]))

    def tell(self) -> str:
        self.opening()
        events = self.rng.sample([self.broken_thing, self.lost_in_weather, self.shared_food, self.secret], self.rng.choice([1, 1, 2]))
        for number, event in enumerate(events):
            if number:
                self.say(self.rng.choice(["The next day something else happened.", "But that was not all.", "A week later they met again."]))
            event()
        self.ending(events[-1].__name__)
        return " ".join(self.lines) + "\n"


def stories() -> list[str]:
    rng = random.Random(1228)
    told: dict[str, None] = {}
    while len(told) < STORIES:
        told[Tale(rng).tell()] = None
    return list(told)


# --- writing ---


def write_jsonl(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        for text in texts:
            out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def write_corpus(out: Path) -> None:
    code = take(standard_library(), CODE_BYTES)
    for name, text in code:
        path = out / "code" / (name.replace("/", ".") + ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    prose = take(perl_manuals() + python_reference() + licences(), PROSE_BYTES)
    write_jsonl(out / "prose" / "documentation.jsonl", [text for _, text in prose])
    write_jsonl(out / "stories" / "tales.jsonl", stories())
    if not code or not prose:
        sys.exit("demo_data.py: this machine has no " + ("Python sources" if not code else "documentation") + "; run scripts/install.sh first")


def summary(out: Path) -> dict:
    parts = {}
    for part in ("code", "prose", "stories"):
        files = sorted(path for path in (out / part).rglob("*") if path.is_file())
        lines = sum(path.read_bytes().count(b"\n") for path in files if path.suffix == ".jsonl")
        parts[part] = {"files": len(files), "documents": lines or len(files), "bytes": sum(path.stat().st_size for path in files)}
    return {"version": VERSION, "parts": parts}


def report(parts: dict) -> None:
    for part, numbers in parts.items():
        print(f"  {part:8} {numbers['documents']:5} documents  {numbers['bytes'] / 1e6:5.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the demo corpus")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "data" / "demo")
    parser.add_argument("--force", action="store_true", help="write it again even if it is there")
    arguments = parser.parse_args()
    out, manifest = arguments.out, arguments.out / "manifest.json"
    if manifest.exists() and not arguments.force and json.loads(manifest.read_text()) == summary(out):
        print(f"The demo corpus is there: {out}")
        report(summary(out)["parts"])
        return
    shutil.rmtree(out, ignore_errors=True)
    write_corpus(out)
    manifest.write_text(json.dumps(summary(out), indent=2) + "\n")
    print(f"Wrote the demo corpus: {out}")
    report(summary(out)["parts"])


if __name__ == "__main__":
    main()
