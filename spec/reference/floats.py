"""bf16, f16 and f32 bit patterns to binary64 and back (spec §1, §6.1, §8).

Every conversion to binary64 is exact. The way back rounds once, to nearest even, with integers only.
"""

import math
import struct

# name: (bytes, bits of the fraction, bits of the exponent)
FORMATS = {"bf16": (2, 7, 8), "f16": (2, 10, 5), "f32": (4, 23, 8)}


def bits64(x):
    """The bit pattern of a binary64 number."""
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def from_bits64(bits):
    """The binary64 number with this bit pattern."""
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def decode(dtype, bits):
    """The value of a bit pattern, exactly."""
    _, fraction_bits, exponent_bits = FORMATS[dtype]
    fraction = bits & (1 << fraction_bits) - 1
    exponent = bits >> fraction_bits & (1 << exponent_bits) - 1
    sign = -1.0 if bits >> fraction_bits + exponent_bits else 1.0
    bias = (1 << exponent_bits - 1) - 1
    if exponent == (1 << exponent_bits) - 1:
        return math.nan if fraction else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(fraction, 1 - bias - fraction_bits)
    return sign * math.ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits)


def encode(dtype, x):
    """The bit pattern nearest to x, ties to even, in one rounding; None if x or the result is not finite."""
    _, fraction_bits, exponent_bits = FORMATS[dtype]
    bias = (1 << exponent_bits - 1) - 1
    pattern = bits64(x)
    sign = pattern >> 63 << fraction_bits + exponent_bits
    exponent, fraction = pattern >> 52 & 0x7FF, pattern & (1 << 52) - 1
    if exponent == 0x7FF:
        return None
    # |x| = significand · 2^power; the last place of the result is 2^unit.
    significand = fraction | (1 << 52 if exponent else 0)
    power = max(exponent, 1) - 1023 - 52
    unit = max(power + significand.bit_length() - 1 - fraction_bits, 1 - bias - fraction_bits)
    count = round_half_even(significand, unit - power)
    # A count that reaches the next power of two carries into the exponent by itself.
    biased = unit - (1 - bias - fraction_bits)
    bits = count + (biased << fraction_bits)
    if bits >> fraction_bits >= (1 << exponent_bits) - 1:
        return None
    return sign | bits


def round_half_even(integer, shift):
    """integer / 2^shift to the nearest integer, ties to even."""
    if shift <= 0:
        return integer << -shift
    whole, rest = integer >> shift, integer & (1 << shift) - 1
    half = 1 << shift - 1
    return whole + (rest > half or (rest == half and whole & 1))


def decode_all(dtype, data):
    """The values of packed little-endian bit patterns."""
    size = FORMATS[dtype][0]
    return [decode(dtype, int.from_bytes(data[i:i + size], "little")) for i in range(0, len(data), size)]


def f32(x):
    """The binary32 nearest to x; an overflow is an `OverflowError`."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def fma32(x, y, z):
    """x·y + z for binary32 values, with one rounding."""
    product = x * y  # exact: 48 bits
    total = product + z
    rest = total - product
    error = (product - (total - rest)) + (z - rest)  # total + error is the exact sum
    if error and not bits64(total) & 1:
        # Of the two neighbours of the exact sum the odd one: then the rounding to 24 bits sees which side it is on.
        total = math.nextafter(total, math.copysign(math.inf, error))
    return f32(total)


def nearest(dtype, x):
    """The value of the dtype that is nearest to x, ties to even; None if it is not finite."""
    bits = encode(dtype, x)
    return None if bits is None else decode(dtype, bits)
