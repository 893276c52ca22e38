#!/usr/bin/env python3
"""`tlora digest` against b3sum and sha256sum over the same file.

    digest_vs_b3sum.py --tlora target/release/tlora --b3sum b3sum MODEL_DIR [--rounds 7] [--threads 1]

MODEL_DIR is a checkpoint with one large safetensors file (1 GB or more), which is read once before, so that all find it in
the page cache. Each round runs b3sum (`cargo install b3sum`), `tlora digest`, `tlora digest --files` and sha256sum one after
the other, in an order that rotates. The numbers that count are medians over the rounds of the ratios within a round, of CPU
seconds on one thread, which a busy machine disturbs least; wall seconds stand beside them.
"""

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a child process."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"exit code {child.returncode} from {' '.join(command)}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime


def commands(args: argparse.Namespace, weights: Path) -> dict[str, list[str]]:
    threads = str(args.threads)
    digest = [args.tlora, "digest", str(args.model), "--threads", threads]
    return {
        "b3sum": [args.b3sum, "--num-threads", threads, str(weights)],
        "tlora digest": digest,
        "tlora digest --files": [*digest, "--files"],
        "sha256sum": ["sha256sum", str(weights)],
    }


def version(program: str) -> str:
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return text.splitlines()[0]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tlora", required=True, help="the built command")
    p.add_argument("--b3sum", default="b3sum")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("model", type=Path)
    args = p.parse_args()
    weights = max(args.model.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    size = weights.stat().st_size
    print(f"{version(args.b3sum)}; {version('sha256sum')}; {weights.name}, {size / 1e9:.2f} GB, {args.threads} threads")
    runs = commands(args, weights)
    for command in runs.values():
        timed(command)
    times = {name: [] for name in runs}
    for round_number in range(args.rounds):
        names = list(runs)
        first = round_number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(timed(runs[name]))
    for name, found in times.items():
        wall, cpu = (statistics.median(run[i] for run in found) for i in (0, 1))
        print(f"{name:22}{wall:8.3f} s{cpu:8.3f} CPU s{size / cpu / 1e9:8.2f} GB per CPU s")

    def ratio(a: str, b: str, i: int) -> float:
        return statistics.median(x[i] / y[i] for x, y in zip(times[a], times[b], strict=True))

    for a, b, goal in (("tlora digest", "b3sum", "at most 1.15"), ("sha256sum", "tlora digest", "at least 2"),
                       ("sha256sum", "tlora digest --files", "")):
        print(f"{a} / {b}: {ratio(a, b, 1):.2f} of CPU time, {ratio(a, b, 0):.2f} of wall time" + (f" (goal: {goal})" if goal else ""))


if __name__ == "__main__":
    main()
