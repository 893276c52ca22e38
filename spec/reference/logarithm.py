"""The natural logarithm of spec §6.9, made of + - x / in a fixed order."""

from math import frexp

ROOT_HALF = 0.7071067811865476
LN2 = 0.6931471805599453


def ln(x):
    """ln of a positive normal number."""
    z, e = frexp(x)
    if z < ROOT_HALF:
        z, e = z + z, e - 1
    y = (z - 1.0) / (z + 1.0)
    p = 1.0 / 21.0
    for k in range(19, 0, -2):
        p = p * (y * y) + 1.0 / k
    return e * LN2 + (y + y) * p
