"""Tests of the reference implementation, and of every vector against it: `python3 -m unittest` in this directory."""

import math
import random
import struct
import sys
import unittest
from fractions import Fraction
from itertools import islice
from pathlib import Path

SPEC = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(SPEC / "reference"), str(SPEC / "cases")]

import basis  # noqa: E402
import delta  # noqa: E402
import digest  # noqa: E402
import exact_rsvd  # noqa: E402
import logarithm  # noqa: E402
import merge  # noqa: E402
import merged  # noqa: E402
import projection  # noqa: E402
import rounding  # noqa: E402
import rsvd  # noqa: E402
import tlora_read  # noqa: E402
import torch_normal  # noqa: E402
from adapter_file import build, corrections, token  # noqa: E402
from blake3 import blake3, derive_key  # noqa: E402
from exact_basis import cases  # noqa: E402
from floats import decode, encode, f32, fma32, nearest  # noqa: E402
from mersenne import mt19937  # noqa: E402
from vector import unpack  # noqa: E402

try:
    import basis_numpy
except ImportError:
    basis_numpy = None

OFFICIAL_CONTEXT = "BLAKE3 2019-12-27 16:29:52 test vectors context"
# Length of the official test input, first 32 bytes of hash, first 32 bytes of derive_key.
OFFICIAL = (
    (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
     "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"),
    (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
     "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"),
    (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
     "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"),
    (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
     "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"),
    (5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff",
     "b07f01e518e702f7ccb44a267e9e112d403a7b3f4883a47ffbed4b48339b3c34"),
)


def vectors(directory):
    for path in sorted((SPEC / "vectors" / directory).iterdir()):
        yield path.name, *unpack(path.read_bytes())


class Blake3(unittest.TestCase):
    def test_gives_the_official_values(self):
        for length, hashed, derived in OFFICIAL:
            data = bytes(i % 251 for i in range(length))
            self.assertEqual(blake3(data).hex(), hashed)
            self.assertEqual(derive_key(OFFICIAL_CONTEXT, data).hex(), derived)

    def test_extended_output_begins_with_the_hash(self):
        self.assertEqual(blake3(b"x", 200)[:32], blake3(b"x"))
        self.assertEqual(derive_key("c", b"x", 200)[:64], derive_key("c", b"x", 64))


class Floats(unittest.TestCase):
    def test_every_finite_pattern_of_16_bits_survives(self):
        for dtype, infinity in (("bf16", 0x7F80), ("f16", 0x7C00)):
            for bits in range(1 << 16):
                if bits & infinity != infinity:
                    self.assertEqual(encode(dtype, decode(dtype, bits)), bits)

    def test_rounds_like_the_struct_module(self):
        for i in range(20_000):
            x = struct.unpack("<d", struct.pack("<Q", basis.splitmix(i)))[0] if i % 2 else basis.splitmix(i) * 2.0**-90
            for dtype, code, size in (("f16", "e", 2), ("f32", "f", 4)):
                try:
                    wanted = int.from_bytes(struct.pack("<" + code, x), "little")
                except OverflowError:
                    wanted = None
                if x == x and abs(x) != float("inf"):
                    self.assertEqual(encode(dtype, x), wanted, (x, dtype, size))


    def test_fma_is_one_rounding_of_the_exact_value(self):
        draw = random.Random(1)
        for _ in range(20_000):
            x, y = (f32(draw.uniform(-1, 1) * 2.0 ** draw.randint(-12, 12)) for _ in range(2))
            near = f32(-x * y * (1 + draw.randint(-3, 3) * 2.0 ** -draw.randint(10, 26)))
            for z in (near, f32(draw.uniform(-1, 1) * 2.0 ** draw.randint(-40, 30))):
                self.assertEqual(fma32(x, y, z), nearest_f32(Fraction(x) * Fraction(y) + Fraction(z)), (x, y, z))

    def test_fma_sees_what_is_below_a_tie(self):
        self.assertEqual(fma32(1.0, 1.0 + 2.0**-23, 2.0**-24), 1.0 + 2.0**-22)
        for rest in (2.0**-80, -(2.0**-80)):
            wanted = 1.0 + 2.0**-23 if rest > 0 else 1.0
            self.assertEqual(fma32(2.0**-12 + 2.0**-35, 2.0**-12 - 2.0**-35, 1.0), 1.0)
            self.assertEqual(fma32(rest, 1.0, 1.0), 1.0)
            self.assertEqual(fma32(rest * 2.0**40, 1.0, 1.0 + 2.0**-23), 1.0 + 2.0**-23)
            self.assertEqual(fma32(2.0**-24, 1.0 + math.copysign(2.0**-23, rest), 1.0), wanted)


class Corrections(unittest.TestCase):
    def test_steps_are_read_as_they_were_written(self):
        draw = random.Random(2)
        for _ in range(300):
            at, moves, wanted = -1, [], []
            for i in range(draw.randint(1, 12)):
                step = draw.choice((1, -1))
                move = draw.randint(1, 2 ** draw.randint(1, 50))
                at += move
                times = draw.randint(1, 3)
                moves += [(move, step)] + [(0, step)] * (times - 1)
                wanted += [(at, step)] * times
            self.assertEqual(tlora_read.correction_steps(corrections(*moves)), wanted)

    def test_a_token_has_one_spelling(self):
        for value in (0, 1, 127, 128, 2**14 - 1, 2**14, 2**63, 2**64 - 1):
            content = token(value)
            self.assertEqual(list(tlora_read.leb128(content)), [value])
            self.assertLessEqual(len(content), 10)
            for wrong in (token(value, length=len(content) + 1), content[:-1] + bytes((content[-1] | 0x80,))):
                self.assertRaises(ValueError, list, tlora_read.leb128(wrong))
        self.assertRaises(ValueError, list, tlora_read.leb128(token(2**64)))

    def test_a_step_there_and_back_changes_nothing(self):
        for dtype, infinity in (("bf16", 0x7F80), ("f16", 0x7C00)):
            for bits in (*range(0, infinity - 1), *range(0x8000, 0x8000 | infinity - 1, 7)):
                x = decode(dtype, bits)
                up = rounding.stepped(x, 1, dtype)
                self.assertGreater(abs(up), abs(x))
                self.assertEqual(encode(dtype, rounding.stepped(up, -1, dtype)), bits)
            for bits, step in ((0, -1), (0x8000, -1), (infinity - 1, 1), (0x8000 | infinity - 1, 1)):
                self.assertRaises(rounding.CorrectionError, rounding.stepped, decode(dtype, bits), step, dtype)

    def test_entries_run_through_b_then_a_of_module_after_module(self):
        def ones(rows, columns):
            return [[1.0] * columns for _ in range(rows)]

        modules = [(ones(3, 2), ones(2, 4)), (ones(1, 1), ones(1, 5))]
        up = 1.0 + 2.0**-7
        rounding.correct(modules, [(3, 1), (6, 1), (11, 1), (13, 1), (14, 1), (19, 1)], "bf16")
        self.assertEqual(modules[0][0], [[1.0, 1.0], [1.0, up], [1.0, 1.0]])
        self.assertEqual(modules[0][1], [[up, 1.0, 1.0, 1.0], [1.0, up, 1.0, up]])
        self.assertEqual(modules[1], ([[up]], [[1.0, 1.0, 1.0, 1.0, up]]))
        self.assertRaises(rounding.CorrectionError, rounding.correct, modules, [(20, 1)], "bf16")


class Adapters(unittest.TestCase):
    def test_every_vector_is_judged_as_it_says(self):
        for name, headers, data in vectors("adapter"):
            with self.subTest(name):
                try:
                    adapter = tlora_read.parse(data)
                except tlora_read.Reject as reject:
                    self.assertEqual((reject.failure, reject.rule), (headers["expect"], headers["rule"]))
                    continue
                self.assertEqual(headers["expect"], "ok")
                for key, value in tlora_read.facts(adapter).items():
                    if headers[key] != "long":
                        self.assertEqual(str(value), headers[key], key)

    def test_every_rule_has_a_vector(self):
        rules = {headers["rule"] for _, headers, _ in vectors("adapter") if "rule" in headers}
        self.assertEqual(rules, {f"R{i}" for i in range(1, 36)})

    def test_every_truncation_and_every_flipped_bit_is_rejected(self):
        data = build()
        self.assertEqual(len(data), 122)
        broken = [data[:length] for length in range(len(data))]
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            broken.append(bytes(changed))
        for case in broken:
            self.assertRaises(tlora_read.Reject, tlora_read.parse, case)


class Checkpoints(unittest.TestCase):
    def test_every_vector_is_judged_as_it_says(self):
        for name, headers, data in vectors("checkpoint"):
            with self.subTest(name):
                try:
                    tensors = digest.parse(data)
                except tlora_read.Reject as reject:
                    self.assertEqual((reject.failure, reject.rule), (headers["expect"], headers.get("rule")))
                    continue
                self.assertEqual(headers["expect"], "ok")
                self.assertEqual(digest.tmd1(tensors), headers["tmd1"])
                self.assertEqual(len(tensors), int(headers["tensors"]))
                self.assertEqual(sum(len(tensor.data) for tensor in tensors), int(headers["size"]))

    def test_every_rule_has_a_vector(self):
        rules = {headers["rule"] for _, headers, _ in vectors("checkpoint") if "rule" in headers}
        self.assertEqual(rules, {f"C{i}" for i in range(1, 9)})

    def test_digest_depends_on_content_only(self):
        digests = {name: headers["tmd1"] for name, headers, _ in vectors("checkpoint") if headers["expect"] == "ok"}
        for name in digests:
            if name.startswith("pair_") and name != "pair_swapped_names":
                self.assertEqual(digests[name], digests["pair"], name)
        self.assertNotEqual(digests["pair_swapped_names"], digests["pair"])
        self.assertEqual(digests["name_escaped_letter"], digests["one_byte_name"])
        for other in ("eight_dimensions", "other_name", "dtype_i8_ok"):
            self.assertNotEqual(digests[other], digests["reshaped"], other)


class Shards(unittest.TestCase):
    def test_a_written_shard_is_read_with_the_same_digest(self):
        for name, headers, payload in vectors("exact"):
            if name.startswith("shard_"):
                given, written = payload[:int(headers["input"])], payload[int(headers["input"]):]
                self.assertEqual(merged.shard(digest.parse(given)), written, name)
                self.assertEqual(digest.tmd1(digest.parse(written)), digest.tmd1(digest.parse(given)), name)
                self.assertEqual(int.from_bytes(written[:8], "little") % 8, 0, name)


class Models(unittest.TestCase):
    def test_every_vector_is_merged_or_refused_as_it_says(self):
        for name, headers, payload in vectors("model"):
            with self.subTest(name):
                base, rest = payload[:int(headers["base"])], payload[int(headers["base"]):]
                adapters = []
                for length in map(int, headers["adapters"].split(",")):
                    adapters.append(rest[:length])
                    rest = rest[length:]
                dtype = None if headers["dtype"] == "base" else headers["dtype"]
                try:
                    found, outcome = merge.merged_shard(base, adapters, dtype), "ok"
                except merge.Unfit as error:
                    found, outcome = b"", error.what
                except (rounding.CorrectionError, delta.Overflow) as error:
                    found, outcome = b"", {delta.Overflow: "overflow"}.get(type(error), "correction")
                self.assertEqual(outcome, headers["expect"])
                self.assertEqual(found, rest)

    def test_modules_are_in_the_order_of_numbers_then_targets(self):
        names = ["layers.10.q", "layers.2.down", "layers.2.q", "layers.2.experts.0.q", "q", "layers.2.x.q"]
        ordered = sorted(names, key=lambda name: merge.module_order(name, int(name.endswith("down"))))
        self.assertEqual(ordered,
                         ["q", "layers.2.q", "layers.2.x.q", "layers.2.down", "layers.2.experts.0.q", "layers.10.q"])


class Bases(unittest.TestCase):
    def test_columns_are_singular_vectors(self):
        for case in cases():
            if case.m * case.n > 2000:
                continue
            with self.subTest(case.name):
                weights = basis.weight_matrix(case.dtype, case.m, case.n, case.data)
                try:
                    found = basis.basis(weights, case.rank)
                except basis.NoBasis:
                    continue
                check_singular_vectors(self, weights, found)

    def test_bf16_and_its_upcast_have_one_basis(self):
        found = {name: headers["fingerprint"] for name, headers, _ in vectors("exact") if "upcast" in name}
        for kind in ("basis", "rsvd"):
            self.assertEqual(found[f"{kind}_upcast_from_bf16"], found[f"{kind}_upcast_to_f32"])
        self.assertEqual(len(set(found.values())), 2)

    def test_rsvd_factors_are_those_of_a_subspace(self):
        """U is orthonormal and A = UᵀW; for m > n, where U comes from the left side, the rows of A are orthogonal."""
        for case, options in exact_rsvd.CASES:
            if case.m * case.n > 1000:
                continue
            with self.subTest(case.name):
                weights = basis.weight_matrix(case.dtype, case.m, case.n, case.data)
                try:
                    found = rsvd.rsvd(basis, weights, case.m, case.n, case.rank, *options)
                except basis.NoBasis:
                    continue
                check_factors(self, [[sum(terms) for terms in row] for row in weights], found)

    @unittest.skipIf(basis_numpy is None, "NumPy is not installed")
    def test_numpy_has_the_same_rsvd(self):
        for case, options in exact_rsvd.CASES:
            if case.m * case.n > 1000:
                continue
            with self.subTest(case.name):
                shape = case.m, case.n, case.rank
                literal = basis.weight_matrix(case.dtype, case.m, case.n, case.data)
                fast = basis_numpy.Weights(case.dtype, case.m, case.n, case.data)
                self.assertEqual(attempt_rsvd(basis, literal, shape, options),
                                 attempt_rsvd(basis_numpy, fast, shape, options))

    @unittest.skipIf(basis_numpy is None, "NumPy is not installed")
    def test_normal_numbers_are_those_of_numpy_in_binary32(self):
        import numpy

        for seed in (0, 42, 2**32 - 1):
            ours = list(islice(rsvd.normals(mt19937(seed)), 5001))
            theirs = numpy.random.RandomState(seed).normal(size=5001)
            self.assertEqual(list(map(f32, ours)), list(map(f32, theirs)))
            self.assertLess(max(abs(a - b) / abs(a) for a, b in zip(ours, theirs)), 1e-15)

    @unittest.skipIf(basis_numpy is None, "NumPy is not installed")
    def test_numpy_has_the_same_bits(self):
        for case in cases():
            if case.m * case.n > 3000:
                continue
            with self.subTest(case.name):
                literal = attempt(basis.basis, basis.weight_matrix(case.dtype, case.m, case.n, case.data), case.rank)
                fast = attempt(basis_numpy.basis, basis_numpy.Weights(case.dtype, case.m, case.n, case.data), case.rank)
                self.assertEqual(literal, fast)


def nearest_f32(exact):
    """The binary32 nearest to a fraction, ties to even."""
    if exact == 0:
        return 0.0
    exponent = abs(exact).numerator.bit_length() - exact.denominator.bit_length()
    exponent -= abs(exact) < Fraction(2) ** exponent
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    return float(round(exact / unit) * unit)  # round() of a fraction takes ties to even


def attempt_rsvd(engine, weights, shape, options):
    try:
        found = rsvd.rsvd(engine, weights, *shape, *options)
    except basis.NoBasis as error:
        return str(error)
    return found.fingerprint(), found.a


def check_factors(test, rows, found):
    largest = max((abs(w) for row in rows for w in row), default=0.0) or 1.0
    rows = [[w / largest for w in row] for row in rows]
    for c, u in enumerate(found.u):
        a = [x / largest for x in found.a[c]]
        for j, x in enumerate(a):
            test.assertAlmostEqual(sum(row[j] * u_i for row, u_i in zip(rows, u)), x, delta=1e-10)
        for d in range(c + 1):
            wanted = float(d == c and any(u))
            test.assertAlmostEqual(sum(x * y for x, y in zip(u, found.u[d])), wanted, delta=1e-10)
            if d < c and len(u) > len(a):
                size = sum(x * x for x in found.a[0]) / largest**2
                test.assertLess(abs(sum(x * y for x, y in zip(a, found.a[d]))) / largest, 1e-9 * (size or 1.0))
        if any(u):
            test.assertGreater(max(u, key=abs), 0.0)


def attempt(function, weights, rank):
    try:
        found = function(weights, rank)
    except basis.NoBasis as error:
        return str(error)
    return found.passes, found.fingerprint()


def check_singular_vectors(test, weights, found):
    """WᵀW v = σ² v and orthonormal columns, by fractions of the largest σ²; no other code of the basis is used."""
    rows = [[sum(terms) for terms in row] for row in weights]
    largest = max((abs(w) for row in rows for w in row), default=0.0) or 1.0
    rows = [[w / largest for w in row] for row in rows]
    scale = (found.sigma[0] / largest) ** 2 or 1.0
    for c, (sigma, v) in enumerate(zip(found.sigma, found.v)):
        y = [sum(w * x for w, x in zip(row, v)) for row in rows]
        for j, x in enumerate(v):
            z = sum(row[j] * value for row, value in zip(rows, y))
            test.assertAlmostEqual(z / scale, (sigma / largest) ** 2 / scale * x, delta=3e-10)
        for other in found.v[:c + 1]:
            wanted = float(other is v and sigma > 0.0)
            test.assertAlmostEqual(sum(a * b for a, b in zip(v, other)), wanted, delta=1e-10)
        if sigma > 0.0:
            test.assertGreater(max(v, key=abs), 0.0)


class Projections(unittest.TestCase):
    def test_native_entries_have_variance_one_over_rank(self):
        p = projection.native("m", 1, 64, 8)
        values = [x for matrix in p for row in matrix for x in row]
        self.assertAlmostEqual(sum(values) / len(values), 0.0, delta=0.02)
        self.assertAlmostEqual(sum(x * x for x in values) / len(values), 1 / 8, delta=0.01)

    def test_torch_values_have_variance_one_over_rank(self):
        for u, r in ((3, 2), (1024, 4)):
            values = [x for seed in range(4096 // (u * r)) for matrix in projection.torch(seed, "shared", 0, u, r)
                      for row in matrix for x in row]
            self.assertAlmostEqual(sum(values) / len(values), 0.0, delta=0.03)
            self.assertAlmostEqual(sum(x * x for x in values) / len(values), 1 / r, delta=0.04)

    def test_functions_of_both_widths_agree_with_the_library(self):
        draw = random.Random(3)
        for _ in range(5_000):
            x = draw.random() * 2.0 ** -draw.randint(0, 60) + 2.0**-1000
            self.assertAlmostEqual(logarithm.ln(x), math.log(x), delta=4e-16 * max(1.0, abs(math.log(x))))
            small = f32(1.0 - draw.getrandbits(24) * 2.0**-24)
            self.assertAlmostEqual(torch_normal.log32(small), math.log(small), delta=2e-7 * max(1.0, -math.log(small)))
            turn = draw.getrandbits(53) * 2.0**-53
            angle = f32(draw.random() * torch_normal.TWO_PI_32)
            for found, exact in zip(torch_normal.turn(turn), (math.cos(turn * math.tau), math.sin(turn * math.tau))):
                self.assertAlmostEqual(found, exact, delta=2e-15)
            for found, exact in zip(torch_normal.cos_sin32(angle), (math.cos(angle), math.sin(angle))):
                self.assertAlmostEqual(found, exact, delta=2e-7)

    def test_no_projection_is_minus_zero(self):
        zeros = 0
        for name, headers, payload in vectors("exact"):
            if name.startswith("projection_torch_zero"):
                values = struct.unpack(f"<{len(payload) // 8}d", payload)[:int(headers["u"]) * int(headers["rank"]) ** 2]
                zeros += values.count(0.0)
                self.assertTrue(all(math.copysign(1.0, x) == 1.0 for x in values if x == 0.0), name)
        self.assertGreater(zeros, 4)

    def test_only_the_low_half_of_a_seed_counts(self):
        for seed, number in ((2**32 + 7, 0), (7, 2**32), (2**64 - 1, 8)):
            self.assertEqual(projection.torch(seed, "module", number, 1, 2), projection.torch(7, "shared", 9, 1, 2))

    def test_standard_spans_all_entries_once(self):
        total = projection.mix([1.0] * 9, projection.standard(3, 3), 3)
        self.assertEqual(total, [[1.0] * 3] * 3)


if __name__ == "__main__":
    unittest.main()
