"""Our basis against the peers of svd_peers.py on the same weights, in one run, as ratios of CPU seconds on one thread.

    compare.py --bench target/release/examples/bench_svd CHECKPOINT... [--peers torch,arpack] [--json OUT]

For each checkpoint ours runs before and after the peers, and the better of the two counts, so that a machine that
slows down meanwhile does not favour either side. `synthetic.py` makes one with the large matrices of a 7B.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# settings that would keep a peer from the best kernel of this processor
FORCED_KERNEL = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE")


def run_json(command: list[str]) -> dict:
    """Run a program that prints JSON, without anything in the environment that slows a peer down."""
    env = {k: v for k, v in os.environ.items() if k not in FORCED_KERNEL} | ONE_THREAD
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env).stdout)


def better(a: dict, b: dict) -> dict:
    """Module by module the smaller CPU time of two runs of ours."""
    if [m["name"] for m in a["modules"]] != [m["name"] for m in b["modules"]]:
        raise SystemExit("two runs of our bench list different modules")
    modules = [min(pair, key=lambda m: m["cpu_seconds"]) for pair in zip(a["modules"], b["modules"])]
    return {"cpu_seconds": min(a["cpu_seconds"], b["cpu_seconds"]), "modules": modules}


def compare(bench: str, checkpoint: str, peers: str, repeat: int) -> dict:
    """Ours, the peers, ours again."""
    ours = [bench, checkpoint, "--rank", "2", "--threads", "1", "--json"]
    before = run_json(ours)
    theirs = run_json([sys.executable, str(HERE / "svd_peers.py"), checkpoint, "--peers", peers, "--repeat", str(repeat)])
    return {"checkpoint": checkpoint, "ours": better(before, run_json(ours)), "peers": theirs}


def table(result: dict, peers: list[str]) -> list[str]:
    """The total, and each module if they are few."""
    ours, theirs = result["ours"], result["peers"]
    by_name = {p: {m["name"]: m for m in theirs[p]["modules"]} for p in peers}
    rows = [("all modules", ours["cpu_seconds"], [theirs[p]["cpu_seconds"] for p in peers])]
    if len(ours["modules"]) <= 12:
        for m in ours["modules"]:
            shape = "x".join(map(str, by_name[peers[0]][m["name"]]["shape"]))
            rows.append((shape, m["cpu_seconds"], [by_name[p][m["name"]]["cpu_seconds"] for p in peers]))
    lines = [f"| {Path(result['checkpoint']).name} | ours, s | " + " | ".join(theirs[p]["version"] + ", s" for p in peers) + " |",
             "|---|---|" + "---|" * len(peers)]
    for label, mine, other in rows:
        lines.append(f"| {label} | {mine:.3f} | " + " | ".join(f"{t:.3f} ({t / mine:.1f}x)" for t in other) + " |")
    return lines


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("checkpoints", nargs="+")
    p.add_argument("--bench", required=True, help="our bench_svd")
    p.add_argument("--peers", default="torch,arpack")
    p.add_argument("--repeat", type=int, default=1)
    p.add_argument("--json", help="write every measurement here")
    args = p.parse_args()
    results = []
    for checkpoint in args.checkpoints:
        results.append(compare(args.bench, checkpoint, args.peers, args.repeat))
        print("\n".join(table(results[-1], args.peers.split(","))) + "\n", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
