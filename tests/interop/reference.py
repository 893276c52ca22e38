"""The modules of spec/reference that the checks use.

One of them is called `blake3`, as the package that `checkpoint` imports; each side must get its own.
"""

import sys
from pathlib import Path

import checkpoint  # noqa: F401  has the package by now

sys.modules.pop("blake3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "spec" / "reference"))

import basis_numpy  # noqa: E402
import delta  # noqa: E402
import projection  # noqa: E402
import tlora_read  # noqa: E402

__all__ = ["basis_numpy", "delta", "projection", "tlora_read"]
