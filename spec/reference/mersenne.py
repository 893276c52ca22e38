"""MT19937, the 32-bit Mersenne twister of NumPy and torch (spec §6.9)."""

SIZE, MIDDLE = 624, 397
MASK32 = 2**32 - 1


def mt19937(seed):
    """The tempered outputs w_0, w_1, … of a 32-bit seed."""
    state = [seed]
    for i in range(1, SIZE):
        state.append(1812433253 * (state[-1] ^ state[-1] >> 30) + i & MASK32)
    while True:
        for i in range(SIZE):
            joined = state[i] & 0x80000000 | state[(i + 1) % SIZE] & 0x7FFFFFFF
            state[i] = state[(i + MIDDLE) % SIZE] ^ joined >> 1 ^ (0x9908B0DF if joined & 1 else 0)
        yield from map(tempered, state)


def tempered(w):
    w ^= w >> 11
    w ^= w << 7 & 0x9D2C5680
    w ^= w << 15 & 0xEFC60000
    return w ^ w >> 18
