//! Proofs that a basis is the right one: its check value, and a test of the machine's arithmetic.

use crate::exact::exact_basis_on;
use crate::{Basis, BasisError, Factors, Isa, Weight, WeightDtype};
use std::hint::black_box;

/// The basis check of an adapter: 8 bytes over the rebuilt bases of all its modules, in module order (spec §6.7).
#[must_use]
pub fn basis_check<'a>(modules: impl IntoIterator<Item = (&'a str, &'a Basis)>) -> [u8; 8] {
    let mut check = BasisCheck::new();
    for (name, basis) in modules {
        check.exact(name, basis);
    }
    check.finish()
}

/// A basis check, module by module in module order (spec §6.7).
#[derive(Debug, Clone)]
pub struct BasisCheck(blake3::Hasher);

impl BasisCheck {
    /// Of no module yet.
    #[must_use]
    pub fn new() -> Self {
        Self(blake3::Hasher::new_derive_key(
            "tlora 2026-11 basis check v1",
        ))
    }

    /// The check of a basis kind explicit: of the content of the factors section.
    #[must_use]
    pub fn of_factors(content: &[u8]) -> [u8; 8] {
        let mut check = Self::new();
        check.0.update(content);
        check.finish()
    }

    /// Adds the record of a module with an exact basis, rounded or not.
    pub fn exact(&mut self, name: &str, basis: &Basis) {
        self.begin(name, basis.rank, basis.columns);
        self.values(basis.sigma.iter().chain(&basis.v));
    }

    /// Adds the record of a module with a basis of kind rsvd, whose B is U.
    pub fn rsvd(&mut self, name: &str, factors: &Factors) {
        self.begin(name, factors.rank, factors.rows);
        for column in 0..factors.rank {
            self.values(factors.b.iter().skip(column).step_by(factors.rank));
        }
    }

    /// The check.
    #[must_use]
    pub fn finish(&self) -> [u8; 8] {
        let mut check = [0; 8];
        self.0.finalize_xof().fill(&mut check);
        check
    }

    fn begin(&mut self, name: &str, rank: usize, length_of_columns: usize) {
        self.0.update(&length(name.len()));
        self.0.update(name.as_bytes());
        self.0.update(&length(rank));
        self.0.update(&length(length_of_columns));
    }

    fn values<'a>(&mut self, values: impl Iterator<Item = &'a f64>) {
        for x in values {
            self.0.update(&x.to_le_bytes());
        }
    }
}

impl Default for BasisCheck {
    fn default() -> Self {
        Self::new()
    }
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
