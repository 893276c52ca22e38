"""The vectors of `vectors/exact`."""

import exact_basis
import exact_merge
import exact_projection


def vectors():
    """Yields (file name, bytes)."""
    for module in (exact_basis, exact_projection, exact_merge):
        yield from module.vectors()
