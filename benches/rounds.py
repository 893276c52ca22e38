"""Runs of two programs in turn: each prints JSON on its last line, and the machine's moods hit both."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

# Processors that other programs may keep busy
CALM = 0.1


def run(command: list, threads: int, read=None, **variables: str) -> dict:
    """The JSON that a program prints last, or what `read` finds of it afterwards, with `peak_rss_kb`, in units of 1,024 bytes, as the kernel counted it, and `others`."""
    count = str(threads)
    env = os.environ | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "RAYON_NUM_THREADS": count, "TOKENIZERS_PARALLELISM": "false"}
    env |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    start, busy = time.monotonic(), busy_seconds()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True, env=env | variables)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command}: exit code {process.returncode}\n{text}")
    others = (busy_seconds() - busy - usage.ru_utime - usage.ru_stime) / (time.monotonic() - start)
    found = read() if read else json.loads(text.strip().splitlines()[-1])
    return found | {"peak_rss_kb": usage.ru_maxrss, "others": round(max(others, 0.0), 2)}


def busy_seconds() -> float:
    """Seconds that the processors have worked, all together; 0 where /proc does not say."""
    if not Path("/proc/stat").exists():
        return 0.0
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def alternate(rounds: int, **programs) -> dict[str, list[dict]]:
    """What each program says, round by round; every other round begins with the last one."""
    found = {name: [] for name in programs}
    for number in range(rounds):
        for name in list(programs)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(programs[name]())
            print(f"  {name}: {json.dumps(found[name][-1])}", flush=True)
    most = max(run["others"] for runs in found.values() for run in runs)
    if most > CALM:
        print(f"  NOT CALM: other programs kept {most:.1f} processors busy. Torch's threads wait for each other, so these numbers say nothing.")
    return found


def median(runs: list[dict], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def megabytes(kibibytes: float) -> str:
    return f"{kibibytes * 1024 / 1e6:.0f} MB"


def ratio(numerator: list[dict], denominator: list[dict], key: str) -> str:
    """The median over the rounds of the quotient of two numbers, and its range."""
    each = sorted(a[key] / b[key] for a, b in zip(numerator, denominator))
    return f"{statistics.median(each):.2f} ({each[0]:.2f} to {each[-1]:.2f})"


def machine(threads: int) -> str:
    """What the numbers were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "an unknown processor")
    load = os.getloadavg()[0]
    return f"{name}, {os.cpu_count()} threads of it here, {threads} used, load {load:.1f} before"
