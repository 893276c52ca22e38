#!/usr/bin/env python3
"""`tlora verify --merged` against the `tlora merge` that it repeats, and the time of a signature's check.

    verify_vs_merge.py --tlora target/release/tlora --model DIR --work DIR [--rounds 5] [--threads 2]

Any checkpoint will do. Each round runs both, in alternating order, with a warm basis cache; dirty pages are written back
between runs, outside the measured time. The number that counts is the median of the rounds' ratios: verify time / merge
time. The issue wants at most 1.3, and less than 50 ms for a signature under a policy.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

POLICY = """version = 1
[require]
checks = ["signature", "provenance"]
[[signer]]
name = "bench"
type = "p256"
key = "key.pub"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tlora", "model", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    tlora, model = args.tlora.resolve(), args.model.resolve()
    environment = os.environ | {"TLORA_CACHE": str(work / "cache")}

    def seconds(*arguments: object) -> float:
        begin = time.perf_counter()
        subprocess.run([tlora, *map(str, arguments)], cwd=work, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    threads = ("--threads", args.threads, "--quiet")
    seconds("init", model, "-o", "a.tlora", "--v", "0.05", "--force", *threads)

    def merge() -> float:
        shutil.rmtree(work / "merged", ignore_errors=True)
        os.sync()
        return seconds("merge", model, "a.tlora", "-o", "merged", *threads)

    def verify() -> float:
        os.sync()
        return seconds("verify", "a.tlora", "--base", model, "--merged", "merged", *threads)

    merge()
    verify()
    ratios = []
    for number in range(args.rounds):
        if number % 2:
            verifying, merging = verify(), merge()
        else:
            merging, verifying = merge(), verify()
        ratios.append(verifying / merging)
        print(f"round {number + 1}: merge {merging:.2f} s, verify {verifying:.2f} s, ratio {ratios[-1]:.2f}")
    print(f"verify / merge, median: {statistics.median(ratios):.2f}")

    for old in ("key", "key.pub", "a.tlora.sigstore.json"):
        (work / old).unlink(missing_ok=True)
    (work / "policy.toml").write_text(POLICY)
    seconds("keygen", "-o", "key")
    seconds("sign", "a.tlora", "--key", "key")
    times = [seconds("verify", "a.tlora", "--policy", "policy.toml") for _ in range(20)]
    print(f"verify of a signature, median of 20 processes: {1000 * statistics.median(times):.1f} ms")


if __name__ == "__main__":
    main()
