"""What `torch.normal` draws on a CPU with AVX2 (spec §7), as a list of binary32 values.

A binary32 number is a Python float. Sums, products and square roots, rounded to binary64 and then to binary32, are those
of binary32 itself (53 ≥ 2·24 + 2); only `fma32` needs more care.
"""

from itertools import islice
from math import factorial, floor, frexp, sqrt

from floats import f32, fma32
from logarithm import ln
from mersenne import mt19937

TWO_PI = 6.283185307179586
COSINE = [(-1) ** i / factorial(2 * i) for i in range(10)]
SINE = [(-1) ** i / factorial(2 * i + 1) for i in range(10)]

TWO_PI_32 = f32(TWO_PI)
ROOT_HALF_32 = f32(0.707106781186547524)
LOG_32 = [f32(x) for x in (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)]
LN2_LOW_32, LN2_HIGH_32 = f32(-2.12194440e-4), 0.693359375
FOUR_OVER_PI_32 = f32(1.27323954473516)
QUARTER_PI_32 = [f32(x) for x in (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)]
COSINE_32 = [f32(x) for x in (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)]
SINE_32 = [f32(x) for x in (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)]


def torch_normal(seed, n, deviation):
    """n normal numbers of a 32-bit seed and the standard deviation."""
    outputs = mt19937(seed)
    values = small(outputs, n, deviation) if n < 16 else large(outputs, n, f32(deviation))
    return [x + 0.0 for x in values]  # -0 becomes +0


# n < 16: binary64


def small(outputs, n, deviation):
    values = []
    while len(values) < n:
        a, b = uniform53(outputs), uniform53(outputs)
        radius = sqrt(-2.0 * ln(1.0 - b))
        cosine, sine = turn(a)
        values += [f32(radius * cosine * deviation), f32(radius * sine * deviation)]
    return values[:n]


def uniform53(outputs):
    high, low = next(outputs), next(outputs)
    return ((high << 32 | low) % 2**53) * 2.0**-53


def turn(a):
    """(cos2π(a), sin2π(a)) for 0 ≤ a < 1."""
    k = floor(8 * a)
    x = (a - k / 8) * TWO_PI if k % 2 == 0 else ((k + 1) / 8 - a) * TWO_PI
    c, s = horner(COSINE, x * x), horner(SINE, x * x) * x
    return [(c, s), (s, c), (-s, c), (-c, s), (-c, -s), (-s, -c), (s, -c), (c, -s)][k]


def horner(coefficients, square):
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * square + coefficient
    return total


# n >= 16: binary32


def large(outputs, n, deviation):
    x = list(islice(uniforms24(outputs), n))
    for at in range(0, n - 15, 16):
        x[at:at + 16] = fill(x[at:at + 16], deviation)
    if n % 16:
        x[n - 16:] = fill(list(islice(uniforms24(outputs), 16)), deviation)
    return x


def uniforms24(outputs):
    for w in outputs:
        yield (w % 2**24) * 2.0**-24


def fill(x, deviation):
    cosines, sines = [], []
    for i in range(8):
        radius = f32(sqrt(f32(-2.0 * log32(f32(1.0 - x[i])))))
        cosine, sine = cos_sin32(f32(x[i + 8] * TWO_PI_32))
        cosines.append(f32(f32(radius * cosine) * deviation))
        sines.append(f32(f32(radius * sine) * deviation))
    return cosines + sines


def log32(x):
    z, e = frexp(x)
    if z < ROOT_HALF_32:
        e -= 1
        z = f32(f32(z - 1.0) + z)
    else:
        z = f32(z - 1.0)
    h = f32(z * z)
    p = LOG_32[0]
    for coefficient in LOG_32[1:]:
        p = fma32(p, z, coefficient)
    p = f32(p * z)
    p = fma32(p, h, f32(e * LN2_LOW_32))
    p = fma32(-0.5, h, p)
    return fma32(e, LN2_HIGH_32, f32(z + p))


def cos_sin32(x):
    j = floor(f32(x * FOUR_OVER_PI_32))
    j += j % 2
    z = x
    for part in QUARTER_PI_32:
        z = fma32(j, part, z)
    h = f32(z * z)
    c = COSINE_32[0]
    for coefficient in COSINE_32[1:]:
        c = fma32(c, h, coefficient)
    c = f32(c * h)
    c = f32(fma32(c, h, f32(-0.5 * h)) + 1.0)
    s = SINE_32[0]
    for coefficient in SINE_32[1:]:
        s = fma32(s, h, coefficient)
    s = f32(s * h)
    s = fma32(s, z, z)
    return {0: (c, s), 2: (-s, c), 4: (-c, -s), 6: (s, -c)}[j % 8]
