//! The normal numbers of torch's CPU generator, bit for bit (spec §7, torch).
//!
//! torch draws fewer than 16 numbers in binary64 and more of them in binary32, with its vectorised logarithm, sine and
//! cosine, whose fused multiply-adds are rebuilt here.
#![expect(
    clippy::excessive_precision,
    reason = "the constants as the specification prints them"
)]

use crate::elementary::{cos_sin_of_turn, ln};
use crate::mersenne::Mersenne;
use half::{bf16, f16};
use std::f32::consts::{FRAC_1_SQRT_2, TAU};
use tlora_format::{Rounding, SeedRule};

/// Numbers that torch makes in one go; with fewer it uses its other algorithm.
const BLOCK: usize = 16;

/// The seed of a module's generator; torch uses its low 32 bits.
#[must_use]
pub const fn torch_seed(seed: u64, rule: SeedRule, module_number: usize) -> u64 {
    match rule {
        SeedRule::PerModule => seed.wrapping_add(module_number as u64),
        SeedRule::Shared => seed,
    }
}

/// P of a module, `u · rank · rank` values, entry (i, j, k) at `(i · rank + j) · rank + k` (spec §7, torch).
///
/// `seed` is the module's own, from [`torch_seed`]. They are what `torch.normal(0, 1 / sqrt(rank), (u, rank, rank))` draws on
/// a CPU with AVX2, rounded as PEFT rounds them to the type of the base.
pub fn torch_projections(
    seed: u64,
    u: usize,
    rank: usize,
    rounding: Rounding,
) -> impl Iterator<Item = f64> + use<> {
    #[expect(clippy::cast_precision_loss, reason = "a rank is at most 255")]
    let deviation = 1.0 / (rank as f64).sqrt();
    normals(seed, u * rank * rank, deviation).map(move |x| {
        // torch adds the mean, +0: no value is −0.
        let x = x + 0.0;
        f64::from(match rounding {
            Rounding::None => x,
            Rounding::Bf16 => bf16::from_f32(x).to_f32(),
            Rounding::F16 => f16::from_f32_const(x).to_f32_const(),
        })
    })
}

/// A tensor of `n` numbers, a few at a time: a file may name a u and a rank whose P would fill gigabytes.
fn normals(seed: u64, n: usize, deviation: f64) -> impl Iterator<Item = f32> {
    let [a, b, c, d, ..] = seed.to_le_bytes();
    let mut generator = Mersenne::new(u32::from_le_bytes([a, b, c, d]));
    let mut left = n;
    let chunks = std::iter::from_fn(move || {
        let chunk = match left {
            0 => return None,
            _ if n < BLOCK => pair(&mut generator, deviation).to_vec(),
            _ if n.is_multiple_of(BLOCK) || left >= 2 * BLOCK => {
                fill(&mut generator, deviation).to_vec()
            }
            _ => tail(&mut generator, left - BLOCK, deviation),
        };
        left = left.saturating_sub(chunk.len());
        Some(chunk)
    });
    chunks.flatten().take(n)
}

/// Two numbers by the polar form in binary64.
fn pair(generator: &mut Mersenne, deviation: f64) -> [f32; 2] {
    let mut uniform = || {
        let high = u64::from(generator.draw()) << 32;
        let bits = (high | u64::from(generator.draw())) & ((1 << 53) - 1);
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let whole = bits as f64;
        whole / 9_007_199_254_740_992.0
    };
    let (a, b) = (uniform(), uniform());
    let radius = (-2.0 * ln(1.0 - b)).sqrt();
    let (cosine, sine) = cos_sin_of_turn(a);
    [cosine, sine].map(|x| narrow(radius * x * deviation))
}

/// What is left when 16 does not divide n: `rest` numbers of the last whole block, and 16 drawn anew that replace the last
/// 16. The numbers in between are drawn, and never used.
fn tail(generator: &mut Mersenne, rest: usize, deviation: f64) -> Vec<f32> {
    let whole = fill(generator, deviation);
    for _ in 0..rest {
        generator.draw();
    }
    let mut out = whole[..rest].to_vec();
    out.extend(fill(generator, deviation));
    out
}

/// 16 numbers in binary32.
fn fill(generator: &mut Mersenne, deviation: f64) -> [f32; BLOCK] {
    let deviation = narrow(deviation);
    let x: [f32; BLOCK] = std::array::from_fn(|_| {
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
        let whole = (generator.draw() & 0xFF_FFFF) as f32;
        whole / 16_777_216.0
    });
    let mut out = [0.0; BLOCK];
    for i in 0..BLOCK / 2 {
        let radius = (-2.0 * log(1.0 - x[i])).sqrt();
        let (cosine, sine) = cos_sin(x[i + BLOCK / 2] * TAU);
        out[i] = radius * cosine * deviation;
        out[i + BLOCK / 2] = radius * sine * deviation;
    }
    out
}

/// The natural logarithm of 0 < x ≤ 1, as torch's vectorised one.
fn log(x: f32) -> f32 {
    let bits = x.to_bits();
    let mut e = f32::from((bits >> 23) as u16) - 126.0;
    let mut z = f32::from_bits(bits & 0x7F_FFFF | 0x3F00_0000);
    if z < FRAC_1_SQRT_2 {
        e -= 1.0;
        z = (z - 1.0) + z;
    } else {
        z -= 1.0;
    }
    let h = z * z;
    let p = [
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    ]
    .into_iter()
    .fold(7.0376836292e-2, |p, next| fma(p, z, next));
    let p = fma(p * z, h, e * -2.12194440e-4);
    let p = fma(-0.5, h, p);
    fma(e, 0.693359375, z + p)
}

/// Cosine and sine of 0 ≤ x ≤ 2π, as torch's vectorised ones.
fn cos_sin(x: f32) -> (f32, f32) {
    let j = (x * 1.27323954473516).floor();
    let j = if j % 2.0 == 1.0 { j + 1.0 } else { j };
    let z = [
        -0.78515625,
        -2.4187564849853515625e-4,
        -3.77489497744594108e-8,
    ]
    .into_iter()
    .fold(x, |z, part| fma(j, part, z));
    let h = z * z;
    let c = fma(2.443315711809948e-5, h, -1.388731625493765e-3);
    let c = fma(c, h, 4.166664568298827e-2) * h;
    let c = fma(c, h, -0.5 * h) + 1.0;
    let s = fma(-1.9515295891e-4, h, 8.3321608736e-3);
    let s = fma(s, h, -1.6666654611e-1) * h;
    let s = fma(s, z, z);
    match j % 8.0 {
        0.0 => (c, s),
        2.0 => (-s, c),
        4.0 => (-c, -s),
        _ => (s, -c),
    }
}

/// x·y + z with one rounding. The product is exact in binary64; their sum is rounded to odd there, so that the second
/// rounding is right.
fn fma(x: f32, y: f32, z: f32) -> f32 {
    let (product, z) = (f64::from(x) * f64::from(y), f64::from(z));
    let sum = product + z;
    let part = sum - product;
    let error = (product - (sum - part)) + (z - part);
    let bits = sum.to_bits();
    let odd = if error == 0.0 || bits & 1 == 1 {
        bits
    } else if error.is_sign_negative() == sum.is_sign_negative() {
        bits + 1
    } else {
        bits - 1
    };
    narrow(f64::from_bits(odd))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the rounding is what is wanted"
)]
const fn narrow(x: f64) -> f32 {
    x as f32
}
