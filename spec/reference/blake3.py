"""BLAKE3 in plain Python: hash, key derivation and extendable output.

Written from the BLAKE3 paper. Slow (about a quarter of a megabyte a second), which is enough for adapter files,
projections and test vectors.
"""

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
BLOCK = 64
CHUNK = 1024
MASK = 0xFFFFFFFF

CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
DERIVE_CONTEXT, DERIVE_MATERIAL = 32, 64

# The eight quarter rounds of a round: four columns, four diagonals.
QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)


def _schedule():
    order, rounds = list(range(16)), []
    for _ in range(7):
        rounds.append([(*q, order[2 * i], order[2 * i + 1]) for i, q in enumerate(QUARTERS)])
        order = [order[i] for i in PERMUTATION]
    return [step for rnd in rounds for step in rnd]


STEPS = _schedule()


def _compress(cv, block, counter, length, flags):
    """The 16 output words for one block of 16 message words."""
    v = [*cv, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for a, b, c, d, x, y in STEPS:
        va = (v[a] + v[b] + block[x]) & MASK
        vd = v[d] ^ va
        vd = (vd >> 16 | vd << 16) & MASK
        vc = (v[c] + vd) & MASK
        vb = v[b] ^ vc
        vb = (vb >> 12 | vb << 20) & MASK
        va = (va + vb + block[y]) & MASK
        vd ^= va
        vd = (vd >> 8 | vd << 24) & MASK
        vc = (vc + vd) & MASK
        vb ^= vc
        v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & MASK, vc, vd
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ cv[i] for i in range(8)]


def _words(block):
    block = block.ljust(BLOCK, b"\0")
    return [int.from_bytes(block[i:i + 4], "little") for i in range(0, BLOCK, 4)]


def _chunk_node(key, chunk, counter, flags):
    """The not yet compressed last block of a chunk, as the arguments of `_compress`."""
    cv, start = key, CHUNK_START
    blocks = [chunk[i:i + BLOCK] for i in range(0, len(chunk), BLOCK)] or [b""]
    for block in blocks[:-1]:
        cv = _compress(cv, _words(block), counter, BLOCK, flags | start)[:8]
        start = 0
    return cv, _words(blocks[-1]), counter, len(blocks[-1]), flags | start | CHUNK_END


def _tree_node(key, data, counter, flags):
    """The root node of a subtree whose first chunk has the number `counter`."""
    if len(data) <= CHUNK:
        return _chunk_node(key, data, counter, flags)
    # The left subtree is the largest power of two of chunks that leaves at least one byte for the right one.
    left = CHUNK << (((len(data) - 1) // CHUNK).bit_length() - 1)
    children = (_tree_node(key, data[:left], counter, flags),
                _tree_node(key, data[left:], counter + left // CHUNK, flags))
    words = [word for child in children for word in _compress(*child)[:8]]
    return key, words, 0, BLOCK, flags | PARENT


def _output(node, length):
    cv, block, _, block_length, flags = node
    out = bytearray()
    for counter in range((length + BLOCK - 1) // BLOCK):
        for word in _compress(cv, block, counter, block_length, flags | ROOT):
            out += word.to_bytes(4, "little")
    return bytes(out[:length])


def blake3(data, length=32):
    """BLAKE3(data), extended to `length` bytes."""
    return _output(_tree_node(IV, bytes(data), 0, 0), length)


def derive_key(context, material, length=32):
    """BLAKE3's key derivation mode with an ASCII context, extended to `length` bytes."""
    key = _output(_tree_node(IV, context.encode("ascii"), 0, DERIVE_CONTEXT), 32)
    return _output(_tree_node(_words(key)[:8], bytes(material), 0, DERIVE_MATERIAL), length)
