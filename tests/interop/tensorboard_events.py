#!/usr/bin/env python3
"""Event files of `tlora-report`, read by tensorboard: the numbers, and what a resumed run replaces.

    tensorboard_events.py --events target/release/examples/events
"""

import argparse
import struct
import subprocess
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

VALUES = [0.0, -0.0, 1.0, -2.5, 1e-30, 3.4e38, 1 / 3, 1e-45]
TAGS = ["train/reward", "mismatch/k3", "eval/greedy-strict", "é" * 200]


def single(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, required=True)
    args = parser.parse_args()
    events = args.events.resolve()

    with tempfile.TemporaryDirectory() as directory:
        def write(first: int, lines: list[tuple[int, str, float]]) -> Path:
            text = "".join(f"{step} {tag} {value!r}\n" for step, tag, value in lines)
            run = subprocess.run([events, directory, str(first)], input=text, capture_output=True, encoding="utf-8", check=True)
            return Path(run.stdout.strip())

        def read() -> dict[str, list[tuple[int, float]]]:
            found = EventAccumulator(directory)
            found.Reload()
            return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}

        steps = [step << shift for step, shift in zip(range(1, 9), (0, 0, 0, 5, 9, 15, 20, 40))]
        first = write(1, [(step, tag, value) for step, value in zip(steps, VALUES) for tag in TAGS])
        expected = {tag: [(step, single(value)) for step, value in zip(steps, VALUES)] for tag in TAGS}
        assert read() == expected, read()

        # The run goes on from step 3: what the first file has from there on is gone.
        second = write(3, [(3, TAGS[0], 7.0), (4, TAGS[0], 8.0)])
        assert first.name < second.name, (first, second)
        found = read()
        assert found[TAGS[0]] == [*expected[TAGS[0]][:2], (3, 7.0), (4, 8.0)], found
        assert found[TAGS[1]] == expected[TAGS[1]][:2], found

        # A byte that is wrong is noticed by its checksum, and what stands before it is read.
        third = write(5, [(5, TAGS[0], 9.0), (6, TAGS[0], 10.0)])
        data = bytearray(third.read_bytes())
        data[-6] ^= 1
        third.write_bytes(data)
        assert read()[TAGS[0]][-1] == (5, 9.0), read()
    print(f"{len(TAGS)} tags with {len(VALUES)} values, a resumed run and a broken record: tensorboard reads what was written")


if __name__ == "__main__":
    main()
