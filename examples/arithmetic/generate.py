#!/usr/bin/env python3
"""Sums and differences of numbers with some digits, as problems to train on and to evaluate on.

    python3 generate.py one-digit        writes one-digit-train.jsonl and one-digit-test.jsonl beside this script
    python3 generate.py two-digit        the same with two digits

No pair of numbers is in both files. The order is that of SHA-256 of the question, so it is the same everywhere.
"""

import hashlib
import json
import sys
from pathlib import Path

RANGES = {"one-digit": range(1, 10), "two-digit": range(10, 100)}
SIZES = {"one-digit": (80, 60), "two-digit": (1200, 200)}


def problems(numbers):
    """Every a + b and every a - b that is not negative."""
    found = []
    for a in numbers:
        for b in numbers:
            found.append((f"What is {a} + {b}? Answer with just the number.", a + b))
            if a > b:
                found.append((f"What is {a} - {b}? Answer with just the number.", a - b))
    return sorted(found, key=lambda p: hashlib.sha256(p[0].encode()).digest())


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in RANGES:
        sys.exit(__doc__)
    name = sys.argv[1]
    train, test = SIZES[name]
    ordered = problems(RANGES[name])
    here = Path(__file__).resolve().parent
    for part, chosen in (("train", ordered[:train]), ("test", ordered[train:train + test])):
        lines = [json.dumps({"id": f"{part}-{i}", "question": q, "answer": str(a)}) for i, (q, a) in enumerate(chosen)]
        (here / f"{name}-{part}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
