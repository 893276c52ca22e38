"""The order of problems and the digest of prompts, found from their descriptions alone: prints the numbers that the tests have as
expected values.

    python3 crates/run/tests/golden.py        with the package blake3
"""

import blake3


def stream(purpose, numbers):
    data = b"".join(number.to_bytes(8, "little") for number in numbers)
    hasher, at = blake3.blake3(data, derive_key_context=purpose), 0
    while True:
        yield int.from_bytes(hasher.digest(length=8, seek=at), "little")
        at += 8


def permutation(seed, epoch, total):
    bits = stream("tlora 2026-11 order v1", [seed, epoch])
    order = list(range(total))
    for i in range(total - 1, 0, -1):
        j = next(bits) * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return order


def prompt_digest(*parts):
    data = b"".join(len(part.encode()).to_bytes(8, "little") + part.encode() for part in parts)
    return blake3.blake3(data, derive_key_context="tlora 2026-11 prompt template v1").hexdigest()


for seed, epoch in [(42, 0), (42, 1)]:
    print("order", seed, epoch, permutation(seed, epoch, 10))
print("chat", prompt_digest("chat", "{{ messages }}", "Be brief.", "{question}", "\n\n", "</s>"))
print("plain", prompt_digest("text", "", "", "{question} ="))
