#!/usr/bin/env python3
"""Write the arithmetic word problems of the bundled model: train.jsonl and test.jsonl, one problem a line.

    python3 generate.py             writes the files beside this script
    python3 generate.py --check     compares them with what it would write; exit status 1 if they differ

A problem has one or two steps, each with a sum, a difference or a product. Every sum and difference of a test problem is
held out: no training problem has it (`held_out`). Nobody can guess a product, so those of test problems are known ones.
The answer is a solution in the style of GSM8K, `34+5=39\\n#### 39`.
The standard library only; the only random calls are `randrange`, so the same bytes come out everywhere.
"""

import hashlib
import json
import sys
from pathlib import Path
from random import Random

TRAIN, TEST = 2000, 400
LIMIT = 200

NAMES = ("Ada", "Ben", "Carla", "Dev", "Emma", "Finn", "Grace", "Hugo",
         "Ines", "Jack", "Kira", "Liam", "Mona", "Noah", "Olga", "Paul")
THINGS = ("apples", "books", "cards", "coins", "eggs", "shells", "stamps", "stones", "marbles", "pencils", "stickers", "tickets")

# The operations of a problem, its text, and whether its solutions are mostly written tidily (train.py's STYLES).
# {n} and {m} are names, {t} is a thing, {a} {b} {c} are the numbers: a∘b, then ∘c.
TEMPLATES = (
    ("+", "{n} has {a} {t} and finds {b} more. How many {t} does {n} have now?", True),
    ("+", "{n} picks {a} {t} in the morning and {b} in the evening. How many {t} is that?", False),
    ("+", "There are {a} {t} in a box and {b} on the table. How many {t} are there?", True),
    ("+", "{n} has {a} {t}. {m} has {b}. How many {t} do they have together?", False),
    ("-", "{n} has {a} {t} and gives {b} to {m}. How many {t} are left?", True),
    ("-", "{n} had {a} {t} but lost {b}. How many {t} does {n} have now?", False),
    ("-", "A shop has {a} {t} and sells {b}. How many {t} remain?", True),
    ("-", "{n} has {a} {t}, {m} has {b}. How many more {t} does {n} have?", False),
    ("*", "There are {a} boxes with {b} {t} each. How many {t} are there?", True),
    ("*", "{n} buys {a} bags of {b} {t}. How many {t} is that?", False),
    ("++", "{n} has {a} {t}, {m} brings {b} and then {c} more. How many {t} are there?", True),
    ("++", "{n} buys {a} {t} on Monday, {b} on Tuesday and {c} on Friday. How many {t} is that?", False),
    ("+-", "{n} has {a} {t}, finds {b} and gives {c} to {m}. How many {t} are left?", True),
    ("+-", "A shop has {a} {t}, gets {b} and sells {c}. How many {t} remain?", False),
    ("-+", "{n} had {a} {t}, lost {b} and then found {c}. How many {t} does {n} have now?", True),
    ("--", "{n} has {a} {t}, sells {b} and gives {c} to {m}. How many {t} are left?", False),
    ("*+", "{n} has {a} bags of {b} {t} and {c} more. How many {t} does {n} have?", True),
    ("*-", "There are {a} boxes with {b} {t} each. {n} takes {c}. How many {t} are left?", False),
)


def held_out(op, a, b):
    """Whether the step a∘b is kept from training: one in eight, chosen by a hash; a+b and b+a go together."""
    if op == "+" and a > b:
        a, b = b, a
    return hashlib.sha256(f"{a}{op}{b}".encode()).digest()[0] % 8 == 0


def apply(op, a, b):
    return a + b if op == "+" else a - b if op == "-" else a * b


def operands(rng, ops):
    """Random numbers for a problem with these operations."""
    most = 40 if len(ops) == 2 else 60
    if ops[0] == "*":
        first = [rng.randrange(2, 11), rng.randrange(2, 10)]
    else:
        first = [rng.randrange(2, most + 40 if ops[0] == "-" else most + 1), rng.randrange(2, most + 1)]
    return first + [rng.randrange(2, most + 1) for _ in ops[1:]]


def steps(ops, numbers):
    """The steps (op, left, right, result) of a problem."""
    left, out = numbers[0], []
    for op, right in zip(ops, numbers[1:]):
        out.append((op, left, right, apply(op, left, right)))
        left = out[-1][3]
    return out


def problem(rng, test):
    """A random problem of the training or the test split: (question, steps, tidy). A test problem has at least one sum or
    difference, and all of them are held out; nothing else is."""
    ops, text, tidy = TEMPLATES[rng.randrange(len(TEMPLATES))]
    while test and ops == "*":
        ops, text, tidy = TEMPLATES[rng.randrange(len(TEMPLATES))]
    while True:
        done = steps(ops, numbers := operands(rng, ops))
        if all(0 <= s[3] <= LIMIT and held_out(*s[:3]) == (test and s[0] != "*") for s in done):
            break
    n, m = rng.randrange(len(NAMES)), rng.randrange(len(NAMES) - 1)
    words = {"n": NAMES[n], "m": NAMES[m + (m >= n)], "t": THINGS[rng.randrange(len(THINGS))]}
    return text.format(**words, **dict(zip("abc", numbers))), done, tidy


def working(done):
    """The working of a solution, a line a step."""
    return "\n".join(f"{a}{op}{b}={c}" for op, a, b, c in done)


def lines(seed, count, test):
    """The bytes of a file of `count` different problems."""
    rng, seen, out = Random(seed), set(), []
    while len(out) < count:
        question, done, _ = problem(rng, test)
        if question in seen:
            continue
        seen.add(question)
        row = {"id": f"{'test' if test else 'train'}-{len(out):04}", "question": question,
               "answer": f"{working(done)}\n#### {done[-1][3]}"}
        out.append(json.dumps(row) + "\n")
    return "".join(out).encode()


def files():
    """Name to bytes of everything that this script writes."""
    return {"train.jsonl": lines(1, TRAIN, False), "test.jsonl": lines(2, TEST, True)}


def main():
    here = Path(__file__).resolve().parent
    if sys.argv[1:] == ["--check"]:
        wrong = [n for n, content in files().items() if not (here / n).exists() or (here / n).read_bytes() != content]
        sys.exit(f"differs from what generate.py writes: {', '.join(wrong)}" if wrong else 0)
    if sys.argv[1:]:
        sys.exit(__doc__)
    for name, content in files().items():
        (here / name).write_bytes(content)


if __name__ == "__main__":
    main()
