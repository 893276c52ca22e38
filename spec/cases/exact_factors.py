"""What the vectors of factored bases share: a basis by plain Python or NumPy, and the hash of its factors."""

import struct

import basis
import rounding
import rsvd
from blake3 import blake3
from exact_basis import SMALL, basis_numpy
from floats import bits64
from tlora_read import correction_steps


def engine_for(dtype, m, n, data):
    """The module that computes, and the weights in its form."""
    if basis_numpy and m * n > SMALL:
        return basis_numpy, basis_numpy.Weights(dtype, m, n, data)
    return basis, basis.weight_matrix(dtype, m, n, data)


def rsvd_basis(dtype, m, n, data, rank, options):
    """`options` are the three numbers of the section."""
    engine, weights = engine_for(dtype, m, n, data)
    return rsvd.rsvd(engine, weights, m, n, rank, *options)


def rounded_basis(dtype, m, n, data, rank, target, content):
    """(B, A) of a basis rounding to `target`, with the content of a corrections section applied."""
    engine, weights = engine_for(dtype, m, n, data)
    found = engine.basis(weights, rank)
    products = engine.products(weights, engine.column_set(found.v))
    factors = rounding.rounded_factors([list(map(float, column)) for column in products], found, target)
    rounding.correct([factors], correction_steps(content) if content else [], target)
    return factors


def factor_bytes(factors):
    values = [value for matrix in factors for row in matrix for value in row]
    return struct.pack(f"<{len(values)}d", *values)


def factors_hash(factors):
    return blake3(factor_bytes(factors)).hex()


def hexed(values):
    """Binary64 values as a header has them."""
    return ",".join(f"{bits64(value):016x}" for value in values)
