#!/usr/bin/env python3
"""Owns the demo's third domain: arithmetic word problems with worked solutions, written from a seeded grammar.

    data/demo_math/problems.jsonl     {"text": "PROBLEM\\n\\nSOLUTION\\n"}, one problem a line

It lies beside data/demo, not in it, so that the corpus of the other studies stays the same. Called by scripts/demo.sh; needs
the standard library only. The same version of this script gives the same bytes. Does nothing when the file is there already.
Usage: scripts/demo_math.py [--out DIR] [--force]
"""

import argparse
import json
import random
from pathlib import Path

PROBLEMS = 7200

NAMES = ["Asha", "Bruno", "Chen", "Dalia", "Emil", "Farah", "Goran", "Hana", "Ivan", "Jola", "Kofi", "Lena"]
GOODS = ["pencils", "apples", "stamps", "marbles", "tickets", "books", "coins", "cards"]
PLACES = ["the station", "the lake", "the next town", "the farm", "the harbour"]


def shopping(rng: random.Random) -> tuple[str, str]:
    name, goods, count, price = rng.choice(NAMES), rng.choice(GOODS), rng.randint(2, 30), rng.randint(2, 25)
    total = count * price
    paid = total + rng.choice([1, 5, 7, 20, 50])
    return (
        f"{name} buys {count} {goods} for {price} euros each and pays with {paid} euros. How much change does {name} get?",
        f"The {goods} cost {count} * {price} = {total} euros.\n"
        f"The change is {paid} - {total} = {paid - total} euros.\nAnswer: {paid - total}",
    )


def sharing(rng: random.Random) -> tuple[str, str]:
    name, goods, people, each = rng.choice(NAMES), rng.choice(GOODS), rng.randint(3, 12), rng.randint(3, 40)
    left = rng.randint(0, people - 1)
    total = people * each + left
    return (
        f"{name} shares {total} {goods} equally among {people} friends and keeps the rest. How many does {name} keep?",
        f"{people} * {each} = {people * each} is the largest multiple of {people} up to {total}.\n"
        f"The rest is {total} - {people * each} = {left}.\nAnswer: {left}",
    )


def speed(rng: random.Random) -> tuple[str, str]:
    place, hours, pace = rng.choice(PLACES), rng.randint(2, 9), rng.randint(4, 90)
    more = rng.randint(1, 6)
    return (
        f"A train needs {hours} hours to {place} at {pace} km per hour. How far does it get in {hours + more} hours?",
        f"In one hour it goes {pace} km.\nIn {hours + more} hours it goes {hours + more} * {pace} = {(hours + more) * pace} km.\n"
        f"Answer: {(hours + more) * pace}",
    )


def equation(rng: random.Random) -> tuple[str, str]:
    factor, solution, offset = rng.randint(2, 15), rng.randint(-20, 40), rng.randint(1, 60)
    right = factor * solution + offset
    return (
        f"Solve {factor}x + {offset} = {right} for x.",
        f"Subtract {offset} on both sides: {factor}x = {right} - {offset} = {factor * solution}.\n"
        f"Divide by {factor}: x = {factor * solution} / {factor} = {solution}.\nAnswer: {solution}",
    )


def percentage(rng: random.Random) -> tuple[str, str]:
    goods, price, rate = rng.choice(GOODS), 20 * rng.randint(2, 60), 5 * rng.randint(1, 12)
    off = price * rate // 100
    return (
        f"A box of {goods} costs {price} euros. What is its price after a discount of {rate}%?",
        f"{rate}% of {price} is {price} * {rate} / 100 = {off}.\nThe new price is {price} - {off} = {price - off}.\nAnswer: {price - off}",
    )


def mean(rng: random.Random) -> tuple[str, str]:
    count = rng.randint(3, 5)
    numbers = [rng.randint(1, 60) for _ in range(count - 1)]
    numbers.append(rng.randint(1, 12) * count - sum(numbers) % count)
    total = sum(numbers)
    return (
        f"What is the mean of {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}?",
        f"The sum is {' + '.join(map(str, numbers))} = {total}.\nThere are {count} numbers: {total} / {count} = {total // count}.\n"
        f"Answer: {total // count}",
    )


def area(rng: random.Random) -> tuple[str, str]:
    width, extra = rng.randint(2, 40), rng.randint(1, 30)
    length = width + extra
    return (
        f"A garden is {width} m wide and {extra} m longer than wide. What are its area and the length of its fence?",
        f"It is {width} + {extra} = {length} m long.\nThe area is {width} * {length} = {width * length} square metres.\n"
        f"The fence is 2 * ({width} + {length}) = {2 * (width + length)} m.\nAnswer: {width * length} and {2 * (width + length)}",
    )


KINDS = [shopping, sharing, speed, equation, percentage, mean, area]


def problems() -> list[str]:
    rng = random.Random(20251)
    texts: dict[str, None] = {}
    while len(texts) < PROBLEMS:
        problem, solution = rng.choice(KINDS)(rng)
        texts[f"{problem}\n\n{solution}\n"] = None
    return list(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the arithmetic problems of the demo")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "data" / "demo_math")
    parser.add_argument("--force", action="store_true", help="write them again even if they are there")
    arguments = parser.parse_args()
    file = arguments.out / "problems.jsonl"
    content = "".join(json.dumps({"text": text}) + "\n" for text in problems())
    if file.exists() and not arguments.force and file.read_bytes() == content.encode():
        print(f"The arithmetic problems are there: {file}")
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    print(f"Wrote {PROBLEMS} arithmetic problems, {len(content) / 1e6:.2f} MB: {file}")


if __name__ == "__main__":
    main()
