//! Proofs that a basis is the right one: its check value, and a test of the machine's arithmetic.

use crate::exact::exact_basis_on;
use crate::{Basis, BasisError, Isa, Weight, WeightDtype};
use std::hint::black_box;

/// The basis check of an adapter: 8 bytes over the rebuilt bases of all its modules, in module order (spec §6.7).
#[must_use]
pub fn basis_check<'a>(modules: impl IntoIterator<Item = (&'a str, &'a Basis)>) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("tlora 2026-11 basis check v1");
    for (name, basis) in modules {
        hasher.update(&length(name.len()));
        hasher.update(name.as_bytes());
        hasher.update(&length(basis.rank));
        hasher.update(&length(basis.columns));
        for x in basis.sigma.iter().chain(&basis.v) {
            hasher.update(&x.to_le_bytes());
        }
    }
    let mut check = [0; 8];
    hasher.finalize_xof().fill(&mut check);
    check
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "names and ranks are far below 2³², and so is a weight's width"
)]
fn length(n: usize) -> [u8; 4] {
    (n as u32).to_le_bytes()
}

/// Tests that this process computes as spec §6.1 asks: subnormal numbers kept, rounding to nearest even, no excess
/// precision, and all instruction sets in agreement.
///
/// # Errors
/// [`BasisError::Arithmetic`] with what is wrong.
pub fn self_test() -> Result<(), BasisError> {
    let wrong = |what| Err(BasisError::Arithmetic { what });
    let tiny = black_box(f64::MIN_POSITIVE);
    if black_box(tiny / 2.0) == 0.0 || black_box(f32::MIN_POSITIVE) * black_box(0.5) == 0.0 {
        return wrong("subnormal results are flushed to zero");
    }
    if black_box(f64::from_bits(1)) * black_box(4.0) == 0.0
        || black_box(f32::from_bits(1)) * black_box(4.0) == 0.0
    {
        return wrong("subnormal operands are taken as zero");
    }
    let half_ulp = black_box(f64::EPSILON / 2.0);
    if 1.0 + half_ulp != 1.0 || 1.0 + half_ulp * 3.0 != 1.0 + 4.0 * half_ulp {
        return wrong("results are not rounded to nearest even");
    }
    // With excess precision the small part would survive the sum.
    if (black_box(1e16) + black_box(1.0)) - black_box(1e16) != 0.0 {
        return wrong("sums carry more precision than binary64");
    }
    agreement()
}

/// Every instruction set gives the bits of the slowest.
fn agreement() -> Result<(), BasisError> {
    let (rows, columns) = (20, 37);
    let bytes: Vec<u8> = (0..rows * columns)
        .flat_map(|j| {
            let entry = crate::arithmetic::start_entry(1_000, j);
            #[expect(clippy::cast_possible_truncation, reason = "24 bits fit")]
            let value = (entry / 8_388_608.0) as f32;
            value.to_le_bytes()
        })
        .collect();
    let weight = Weight::new(WeightDtype::F32, rows, columns, &bytes)?;
    let mut results = Isa::available()
        .into_iter()
        .map(|isa| exact_basis_on(isa, &weight, 2));
    let first = results.next().transpose()?;
    for result in results {
        if Some(result?) != first {
            return Err(BasisError::Arithmetic {
                what: "two instruction sets disagree",
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_passes() {
        self_test().unwrap();
    }

    /// Sets the bits that make the processor flush subnormal results, or take subnormal operands as zero.
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "the control register of the SSE unit")]
    fn with_control_bits(bits: u32, test: impl FnOnce()) {
        use std::arch::asm;
        let mut control = 0_u32;
        // SAFETY: the register is read, changed for this thread while `test` runs, and restored.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut control) };
        let changed = control | bits;
        // SAFETY: as above.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const changed) };
        test();
        // SAFETY: as above.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const control) };
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_host_that_flushes_to_zero_or_rounds_otherwise_is_caught() {
        let (flush_results, flush_operands, round_up) = (1 << 15, 1 << 6, 1 << 14);
        for bits in [flush_results, flush_operands, round_up] {
            let mut found = Ok(());
            with_control_bits(bits, || found = self_test());
            assert!(
                matches!(found, Err(BasisError::Arithmetic { .. })),
                "bits {bits:x}"
            );
        }
    }

    #[test]
    fn basis_check_depends_on_names_sigma_and_v() {
        let basis = Basis {
            rank: 1,
            columns: 2,
            sigma: vec![1.0],
            v: vec![0.6, 0.8],
        };
        let check = basis_check([("a", &basis)]);
        assert_ne!(check, basis_check([("b", &basis)]));
        assert_ne!(
            check,
            basis_check([(
                "a",
                &Basis {
                    sigma: vec![2.0],
                    ..basis.clone()
                }
            )])
        );
        assert_ne!(
            check,
            basis_check([(
                "a",
                &Basis {
                    v: vec![0.8, 0.6],
                    ..basis.clone()
                }
            )])
        );
    }
}
