#!/usr/bin/env python3
"""Runs the commands of README.md and compares what they print.

    readme.py [--model DIR]

A block fenced as `console` is a transcript: a line that begins with `$ ` is a command, the lines after it are what it
prints, stdout and stderr together, and `...` stands for any lines. The exit code has to be 0, or not 0 if the output has an
`error:`. A command without output is not compared.
`console model` needs DIR, a copy of SmolLM2-135M-Instruct, and is left out without it; `console network` is never run.
Commands of cargo run in the repository, all others in a temporary directory, with the installed `tlora`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MODEL = "SmolLM2-135M-Instruct"


def blocks(text: str) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """The mark of each transcript, and its commands with the lines that they print."""
    found = []
    for mark, body in re.findall(r"^```console *(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        commands = []
        for line in body.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                commands.append((re.sub(r"  +", " ", line[2:]), []))
            else:
                commands[-1][1].append(line)
        found.append((mark, commands))
    return found


def matches(wanted: list[str], found: str) -> bool:
    """Whether the output is the wanted lines, `...` standing for any number of lines."""
    pattern = "".join(r"(.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in wanted)
    return re.fullmatch(pattern, found) is not None


def run(command: str, wanted: list[str], work: Path) -> bool:
    """Whether the command succeeds and prints what it should."""
    print(f"\n$ {command}", flush=True)
    root = work / "root"
    env = os.environ | {"CARGO_INSTALL_ROOT": str(root), "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
                        "TLORA_CACHE": str(work / "cache"), "NO_COLOR": "1"}
    if wanted:
        env["CARGO_TERM_QUIET"] = "true"
    where = REPOSITORY if command.startswith("cargo ") else work / "here"
    start = time.monotonic()
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=where, env=env, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE if wanted else None, stderr=subprocess.STDOUT)
    same = not wanted or matches(wanted, done.stdout)
    if wanted:
        print(done.stdout, end="")
    if not same:
        print("README.md shows something else:", *wanted, sep="\n")
    print(f"[{time.monotonic() - start:.1f} s, exit code {done.returncode}]", flush=True)
    fails = any(line.startswith("error: ") for line in wanted)
    return same and (done.returncode != 0) == fails


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, help=f"a directory with {MODEL}")
    model = p.parse_args().model
    good, bad, left_out = 0, [], []
    with tempfile.TemporaryDirectory(prefix="tlora-readme-") as work:
        here = Path(work, "here")
        here.mkdir()
        if model:
            (here / MODEL).symlink_to(model.resolve(), target_is_directory=True)
        for mark, commands in blocks((REPOSITORY / "README.md").read_text()):
            if mark not in ("", "model", "network"):
                sys.exit(f"README.md has a block that is marked {mark!r}")
            if mark == "network" or mark == "model" and not model:
                left_out += [f"{command} (needs the {mark})" for command, _ in commands]
                continue
            for command, wanted in commands:
                if run(command, wanted, Path(work)):
                    good += 1
                else:
                    bad.append(command)
    print(f"\nREADME.md: {good} commands as promised, {len(bad)} not, {len(left_out)} left out")
    for text in left_out:
        print(f"  left out: {text}")
    sys.exit("\n".join(f"  not as promised: {command}" for command in bad) or None)


if __name__ == "__main__":
    main()
