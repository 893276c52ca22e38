"""What the checks of servers have in common."""

import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

START = time.monotonic()


class Failure(Exception):
    """A check that does not hold."""


def check(holds: bool, message: str) -> None:
    if not holds:
        raise Failure(message)


def step(text: str) -> None:
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(checks: Callable[[Path], None], work: Path | None = None) -> None:
    """Runs checks in a directory: `work`, which is kept, or a temporary one. Ends the program with a line for what does not hold."""
    # so that `finally` stops the servers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    place = work or Path(tempfile.mkdtemp(prefix="tlora-servers-"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        checks(place.resolve())
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
    finally:
        if not work:
            shutil.rmtree(place, ignore_errors=True)
    step("all checks passed")
