//! Logarithm, sine and cosine out of `+ − × ÷` alone (spec §6.9, §7): a mathematical library's differ between machines.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, TAU};

/// The natural logarithm of a positive, normal number (spec §6.9).
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = f64::from((bits >> 52) as u16) - 1022.0;
    let mut z = f64::from_bits(bits & ((1 << 52) - 1) | 1022 << 52);
    if z < FRAC_1_SQRT_2 {
        z += z;
        exponent -= 1.0;
    }
    let y = (z - 1.0) / (z + 1.0);
    let squared = y * y;
    let series = [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0];
    let p = series
        .into_iter()
        .fold(1.0 / 21.0, |p, k| p * squared + 1.0 / k);
    exponent * LN_2 + (y + y) * p
}

/// Cosine and sine of 2π·a, for 0 ≤ a < 1 (spec §7).
pub(crate) fn cos_sin_of_turn(a: f64) -> (f64, f64) {
    let octant = (8.0 * a).floor();
    let even = octant % 2.0 == 0.0;
    let x = if even {
        (a - octant / 8.0) * TAU
    } else {
        ((octant + 1.0) / 8.0 - a) * TAU
    };
    let squared = x * x;
    let horner = |coefficients: [f64; TERMS]| {
        coefficients
            .into_iter()
            .rev()
            .reduce(|sum, next| sum * squared + next)
            .unwrap_or(0.0)
    };
    let (c, s) = (horner(COSINE), horner(SINE) * x);
    match octant {
        0.0 => (c, s),
        1.0 => (s, c),
        2.0 => (-s, c),
        3.0 => (-c, s),
        4.0 => (-c, -s),
        5.0 => (-s, -c),
        6.0 => (s, -c),
        _ => (c, -s),
    }
}

const TERMS: usize = 10;
const COSINE: [f64; TERMS] = alternating_inverse_factorials(0);
const SINE: [f64; TERMS] = alternating_inverse_factorials(1);

/// (−1)^i / (2i + first)!; every factorial here is a binary64, so that the quotients are the nearest ones.
const fn alternating_inverse_factorials(first: u32) -> [f64; TERMS] {
    let mut out = [0.0; TERMS];
    let (mut i, mut sign, mut factorial, mut next) = (0, 1.0, 1.0, first as f64 + 1.0);
    while i < TERMS {
        out[i] = sign / factorial;
        factorial *= next * (next + 1.0);
        next += 2.0;
        sign = -sign;
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-15 * expected.abs().max(1.0),
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn logarithms_are_accurate() {
        // From Python's math.log, correctly rounded for these.
        for (x, expected) in [
            (1.0, 0.0),
            (0.25, -1.386_294_361_119_890_6),
            (1e-300, -690.775_527_898_213_7),
            (0.707_106_781_186_547_5, -0.346_573_590_279_972_7),
            (0.999_999_999_999_999_9, -1.110_223_024_625_156_6e-16),
            (3.25, 1.178_654_996_341_646_1),
        ] {
            assert_close(ln(x), expected);
        }
    }

    #[test]
    fn sines_and_cosines_are_accurate() {
        // Multiples of 18 degrees: cos 18° and cos 72°; a is not exact, which 10⁻¹⁵ allows for.
        for (a, cosine, sine) in [
            (0.0, 1.0, 0.0),
            (0.05, 0.951_056_516_295_153_5, 0.309_016_994_374_947_4),
            (0.2, 0.309_016_994_374_947_45, 0.951_056_516_295_153_5),
            (0.3, -0.309_016_994_374_947_34, 0.951_056_516_295_153_6),
            (0.45, -0.951_056_516_295_153_5, 0.309_016_994_374_947_5),
            (0.55, -0.951_056_516_295_153_5, -0.309_016_994_374_947_73),
            (0.7, -0.309_016_994_374_947_5, -0.951_056_516_295_153_5),
            (0.8, 0.309_016_994_374_947_2, -0.951_056_516_295_153_6),
            (0.95, 0.951_056_516_295_153_5, -0.309_016_994_374_947_6),
        ] {
            let found = cos_sin_of_turn(a);
            assert_close(found.0, cosine);
            assert_close(found.1, sine);
        }
    }
}
