"""The vectors of `vectors/exact`."""

import exact_basis
import exact_merge
import exact_projection
import exact_shard


def vectors():
    """Yields (file name, bytes)."""
    for module in (exact_basis, exact_projection, exact_merge, exact_shard):
        yield from module.vectors()
