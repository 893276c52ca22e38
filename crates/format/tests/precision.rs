//! Widening and narrowing of values, against the compiler's `f32` cast and a search over all 16-bit patterns.

use proptest::prelude::*;
use tlora_format::Precision;

/// The finite, non-negative values of a 16-bit precision are its patterns in ascending order.
fn finite_patterns(precision: Precision) -> u32 {
    if precision == Precision::F16 {
        0x7C00
    } else {
        0x7F80
    }
}

/// Nearest by search over all patterns, ties to the even pattern: shares nothing with `narrow`.
fn nearest_by_search(precision: Precision, magnitude: f64) -> u32 {
    let (mut low, mut high) = (0, finite_patterns(precision));
    while high - low > 1 {
        let middle = u32::midpoint(low, high);
        if precision.to_f64(middle) <= magnitude {
            low = middle;
        } else {
            high = middle;
        }
    }
    let below = precision.to_f64(low);
    // The infinity stands where the next value would be, were the exponent range larger.
    let above = if high == finite_patterns(precision) {
        2.0 * below - precision.to_f64(low - 1)
    } else {
        precision.to_f64(high)
    };
    let (down, up) = (magnitude - below, above - magnitude);
    if down < up || (down == up && low % 2 == 0) {
        low
    } else {
        high
    }
}

#[test]
fn sixteen_bit_patterns_survive_the_way_to_f64_and_back() {
    for precision in [Precision::Bf16, Precision::F16] {
        for bits in (0..=0xFFFF).filter(|&bits| precision.is_finite(bits)) {
            assert_eq!(
                precision.round(precision.to_f64(bits)),
                bits,
                "{precision} {bits:#06x}"
            );
        }
    }
}

#[test]
fn known_halves_have_their_values() {
    // From Wikipedia's table of binary16.
    for (bits, value) in [
        (0x0001, 5.960_464_477_539_063e-8),
        (0x03FF, 0.000_060_975_551_605_224_61),
        (0x0400, 0.000_061_035_156_25),
        (0x3555, 0.333_251_953_125),
        (0x3C01, 1.000_976_562_5),
        (0x7BFF, 65504.0),
        (0xC000, -2.0),
    ] {
        assert_eq!(Precision::F16.to_f64(bits), value);
    }
    assert_eq!(Precision::Bf16.to_f64(0x4049), 3.140_625);
    assert!(Precision::F16.to_f64(0x7C01).is_nan());
    assert_eq!(Precision::F16.to_f64(0xFC00), f64::NEG_INFINITY);
}

#[test]
fn one_rounding_not_two_near_a_tie() {
    // 1 + 2^-11 + 2^-40 is above the tie between 1 and 1 + 2^-10; rounded to f32 first it would be the tie.
    let value = 1.0 + 1.0 / 2048.0 + 1.0 / 1_099_511_627_776.0;
    assert_eq!(Precision::F16.round(value), 0x3C01);
    assert_eq!(Precision::F16.round(1.0 + 1.0 / 2048.0), 0x3C00);
}

#[test]
fn packing_drops_the_sign_of_zero_and_refuses_infinities() {
    assert_eq!(
        Precision::Bf16.pack(&[-0.0, -1e-300, -1.0]),
        Ok(vec![0, 0, 0xBF80])
    );
    let error = Precision::F16
        .pack(&[1.0, 65520.0])
        .expect_err("65520 rounds to infinity");
    assert_eq!((error.index, error.value), (1, 65520.0));
    assert!(Precision::F32.pack(&[f64::NAN]).is_err());
}

#[test]
fn least_and_vanishing_values_round_to_even() {
    let least = Precision::F16.to_f64(1);
    assert_eq!(Precision::F16.round(least / 2.0), 0);
    assert_eq!(Precision::F16.round(least / 2.0 * 1.000_000_1), 1);
    assert_eq!(Precision::F16.round(least * 1.5), 2);
    assert_eq!(Precision::F32.round(5e-324), 0);
    assert_eq!(Precision::F32.round(-1e300), 0xFF80_0000);
}

proptest! {
    #[test]
    fn f32_rounds_as_the_compiler_does(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(!value.is_nan());
        #[expect(clippy::cast_possible_truncation, reason = "the rounding cast is the oracle")]
        let expected = value as f32;
        prop_assert_eq!(Precision::F32.round(value), expected.to_bits());
    }

    #[test]
    fn sixteen_bit_rounding_is_the_nearest_of_all_patterns(
        near in 0_u32..0x7F80, step in -2_i32..3, ulps in -3_i64..4, half in any::<bool>(), scale in 0.99_f64..1.01,
    ) {
        for precision in [Precision::Bf16, Precision::F16] {
            let bits = near % (finite_patterns(precision) - 1);
            let (a, b) = (precision.to_f64(bits), precision.to_f64(bits + 1));
            let tie = if half { f64::midpoint(a, b) } else { a * scale };
            let value = f64::from_bits((tie.to_bits() + 8).saturating_add_signed(ulps * i64::from(step)));
            prop_assert_eq!(precision.round(value), nearest_by_search(precision, value), "{} {:e}", precision, value);
            prop_assert_eq!(precision.round(-value), nearest_by_search(precision, value) | 0x8000);
        }
    }
}
