"""Writes the test vectors from the reference implementation.

    python3 spec/generate.py            writes every file of spec/vectors
    python3 spec/generate.py --check    compares instead, lists what differs, exits 1 if anything does

NumPy, if it is installed, makes the large bases in seconds instead of many minutes; the bytes are the same without it.
"""

import sys
from pathlib import Path

SPEC = Path(__file__).resolve().parent
sys.path[:0] = [str(SPEC / "reference"), str(SPEC / "cases")]

import adapter  # noqa: E402  (the path comes first)
import checkpoint  # noqa: E402
import exact  # noqa: E402
import model  # noqa: E402

DIRECTORIES = {"adapter": adapter, "checkpoint": checkpoint, "exact": exact, "model": model}


def generated():
    """All vectors: path below spec/vectors to bytes."""
    files = {}
    for directory, module in DIRECTORIES.items():
        for name, data in module.vectors():
            path = f"{directory}/{name}"
            if path in files:
                raise ValueError(f"two vectors are named {path}")
            files[path] = data
    return files


def stored(root):
    return {str(path.relative_to(root)): path.read_bytes()
            for directory in DIRECTORIES for path in sorted((root / directory).rglob("*")) if path.is_file()}


def differences(wanted, found):
    """One line for each file that is missing, extra or different."""
    for path in sorted(wanted.keys() | found.keys()):
        if path not in found:
            yield f"missing: {path}"
        elif path not in wanted:
            yield f"extra: {path}"
        elif wanted[path] != found[path]:
            yield f"differs: {path}"


def main(arguments):
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    root = SPEC / "vectors"
    wanted, found = generated(), stored(root)
    lines = list(differences(wanted, found))
    if arguments:
        print("\n".join(lines) or f"{len(wanted)} vectors are as generated")
        return 1 if lines else 0
    for path in found.keys() - wanted.keys():
        (root / path).unlink()
    for path, data in wanted.items():
        if found.get(path) != data:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
    print(f"{len(wanted)} vectors, {len(lines)} written or removed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
