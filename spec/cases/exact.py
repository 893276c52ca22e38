"""The vectors of `vectors/exact`."""

import exact_basis
import exact_check
import exact_merge
import exact_projection
import exact_rounded
import exact_rsvd
import exact_shard

KINDS = (exact_basis, exact_rsvd, exact_rounded, exact_check, exact_projection, exact_merge, exact_shard)


def vectors():
    """Yields (file name, bytes)."""
    for module in KINDS:
        yield from module.vectors()
