//! An exact basis as PEFT rounds it to the type of the base, and the corrections of single entries (spec §6.10).

use crate::factors::{Factors, ensure_size, products};
use crate::{Basis, BasisError, HalfDtype, Isa, Weight};
use tlora_format::Correction;

/// B and A of a module, rounded, as bit patterns of `dtype`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundedFactors {
    /// The type of the values.
    pub dtype: HalfDtype,
    /// Rows of the weight, m.
    pub rows: usize,
    /// Columns of the weight, n.
    pub columns: usize,
    /// Columns of B and rows of A, r.
    pub rank: usize,
    /// B, `rows` × `rank`, row-major.
    pub b: Vec<u16>,
    /// A, `rank` × `columns`, row-major.
    pub a: Vec<u16>,
}

/// An entry in which other factors differ from these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The entry's number within the module: B, then A, row-major.
    pub entry: u64,
    /// The steps of a [`Correction`] that makes it equal; none if it has the other sign, which no correction reaches.
    pub steps: Option<i64>,
}

/// All bits but the sign.
const MAGNITUDE: u16 = 0x7FFF;

impl RoundedFactors {
    /// The factors of spec §6.10, before corrections.
    ///
    /// # Errors
    /// [`BasisError::NonFinite`] for a NaN or infinite weight, [`BasisError::RoundingOverflow`] for a value too large for `dtype`,
    /// [`BasisError::FactorSize`] if the basis is not one of a weight with these columns.
    pub fn new(weight: &Weight<'_>, basis: &Basis, dtype: HalfDtype) -> Result<Self, BasisError> {
        Self::new_on(Isa::detect(), weight, basis, dtype)
    }

    /// [`Self::new`] on a chosen instruction set. The result does not depend on it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn new_on(
        isa: Isa,
        weight: &Weight<'_>,
        basis: &Basis,
        dtype: HalfDtype,
    ) -> Result<Self, BasisError> {
        let y = products(isa, weight, basis)?;
        let round = |x: f64| dtype.value(dtype.round(x));
        let roots: Vec<f64> = basis
            .sigma
            .iter()
            .map(|&sigma| round(round(sigma).sqrt()))
            .collect();
        let b = y
            .chunks_exact(basis.rank.max(1))
            .flat_map(|y| y.iter().zip(&basis.sigma).zip(&roots))
            .map(|((y, &sigma), root)| entry(sigma, || dtype.round(round(y / sigma) * root)))
            .collect();
        let a = basis
            .v
            .chunks_exact(basis.columns.max(1))
            .zip(basis.sigma.iter().zip(&roots))
            .flat_map(|(v, (&sigma, root))| {
                v.iter()
                    .map(move |&v| entry(sigma, || dtype.round(root * round(v))))
            })
            .collect();
        let rounded = Self {
            dtype,
            rows: weight.rows(),
            columns: basis.columns,
            rank: basis.rank,
            b,
            a,
        };
        rounded.ensure_finite()?;
        Ok(rounded)
    }

    /// How many entries B and A have together.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.b.len() as u64 + self.a.len() as u64
    }

    /// Applies the module's part of the corrections, whose entries are numbered from the module's first
    /// (`tlora_format::Corrections::within`).
    ///
    /// # Errors
    /// [`BasisError::Correction`] for an entry that does not exist, or steps past zero or to an infinity. Some entries may then be
    /// corrected.
    pub fn correct(
        &mut self,
        corrections: impl IntoIterator<Item = Correction>,
    ) -> Result<(), BasisError> {
        let infinity = i64::from(self.dtype.infinity());
        for Correction { entry, steps } in corrections {
            let impossible = BasisError::Correction {
                entry,
                steps,
                entries: self.entries(),
            };
            let Some(bits) = self.entry_mut(entry) else {
                return Err(impossible);
            };
            let magnitude = i64::from(*bits & MAGNITUDE).saturating_add(steps);
            match u16::try_from(magnitude) {
                Ok(magnitude) if i64::from(magnitude) < infinity => {
                    *bits = *bits & !MAGNITUDE | magnitude;
                }
                _ => return Err(impossible),
            }
        }
        Ok(())
    }

    /// Where other factors of the same shape and type differ from these, by ascending entry. Zeros of either sign are equal.
    ///
    /// # Errors
    /// [`BasisError::FactorSize`] if they have another shape.
    pub fn differences(&self, b: &[u16], a: &[u16]) -> Result<Vec<Difference>, BasisError> {
        ensure_size("B", self.rows, self.rank, b.len())?;
        ensure_size("A", self.rank, self.columns, a.len())?;
        let others = b.iter().chain(a);
        let own = self.b.iter().chain(&self.a);
        Ok((0..)
            .zip(own.zip(others))
            .filter(|(_, (own, other))| own != other && (*own | *other) & MAGNITUDE != 0)
            .map(|(entry, (own, other))| {
                let magnitude = |bits: &u16| i64::from(bits & MAGNITUDE);
                let reachable = (own ^ other) & !MAGNITUDE == 0 || magnitude(other) == 0;
                Difference {
                    entry,
                    steps: reachable.then(|| magnitude(other) - magnitude(own)),
                }
            })
            .collect())
    }

    /// The values.
    #[must_use]
    pub fn to_factors(&self) -> Factors {
        let values = |bits: &[u16]| bits.iter().map(|&bits| self.dtype.value(bits)).collect();
        Factors {
            rows: self.rows,
            columns: self.columns,
            rank: self.rank,
            b: values(&self.b),
            a: values(&self.a),
        }
    }

    fn entry_mut(&mut self, entry: u64) -> Option<&mut u16> {
        let index = usize::try_from(entry).ok()?;
        match index.checked_sub(self.b.len()) {
            None => self.b.get_mut(index),
            Some(index) => self.a.get_mut(index),
        }
    }

    fn ensure_finite(&self) -> Result<(), BasisError> {
        let infinity = self.dtype.infinity();
        for (factor, values, width) in [("B", &self.b, self.rank), ("A", &self.a, self.columns)] {
            if let Some(at) = values.iter().position(|bits| bits & MAGNITUDE >= infinity) {
                return Err(BasisError::RoundingOverflow {
                    factor,
                    row: at / width,
                    column: at % width,
                });
            }
        }
        Ok(())
    }
}

/// +0 where σ is 0.
fn entry(sigma: f64, value: impl FnOnce() -> u16) -> u16 {
    if sigma == 0.0 { 0 } else { value() }
}
