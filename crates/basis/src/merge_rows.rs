//! The merge of rows: round(W + Σ ΔW) (spec §8).

use crate::kernels::Isa;
use crate::{BasisError, Update, Weight, WeightDtype};
use std::ops::AddAssign;

/// Rows whose coefficients are computed before they are merged.
const ROWS: usize = 64;

/// What merging some rows did; sums over their weights, to be added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MergeStatistics {
    /// ‖W‖²_F.
    pub weight_squared: f64,
    /// ‖ΔW‖²_F.
    pub delta_squared: f64,
    /// ⟨W' − W, ΔW⟩ with W' as rounded: `kept / delta_squared` is the share of the update that survives.
    pub kept: f64,
}

impl AddAssign for MergeStatistics {
    fn add_assign(&mut self, other: Self) {
        self.weight_squared += other.weight_squared;
        self.delta_squared += other.delta_squared;
        self.kept += other.kept;
    }
}

/// Merges whole rows: `out` = round(W + Σ ΔW), row by row, in the output type (spec §8).
///
/// `first_row` is the number of the first of the rows in the whole weight, from which the factors of the updates are read. `updates` come
/// in the order in which their adapters were given, all for weights of `rows.columns()` columns; `out` has room for exactly the rows.
/// Runs on the calling thread.
///
/// # Errors
/// [`BasisError::NonFinite`] for a NaN or infinite weight, [`BasisError::NotRepresentable`] for a result too large for the output type,
/// both with rows counted from the first of these; [`BasisError::WrongSize`] if `out` has another size than the rows,
/// [`BasisError::UpdateColumns`] or [`BasisError::UpdateRows`] for an update of another weight. `out` is then undefined.
pub fn merge_rows(
    rows: &Weight<'_>,
    first_row: usize,
    updates: &[Update],
    output: WeightDtype,
    out: &mut [u8],
) -> Result<MergeStatistics, BasisError> {
    merge_rows_on(Isa::detect(), rows, first_row, updates, output, out)
}

/// [`merge_rows`] on a chosen instruction set. The result does not depend on it.
///
/// # Errors
/// As [`merge_rows`].
pub fn merge_rows_on(
    isa: Isa,
    rows: &Weight<'_>,
    first_row: usize,
    updates: &[Update],
    output: WeightDtype,
    out: &mut [u8],
) -> Result<MergeStatistics, BasisError> {
    let merged = Weight::new(output, rows.rows(), rows.columns(), out)?;
    let row_bytes = merged.columns() * output.size();
    updates
        .iter()
        .try_for_each(|update| update.ensure_fits(rows, first_row))?;
    let right: Vec<f64> = updates.iter().flat_map(Update::right).copied().collect();
    let mut total = MergeStatistics::default();
    for start in (0..rows.rows()).step_by(ROWS) {
        let chunk = rows.slice(start, rows.rows().min(start + ROWS));
        let mut t = vec![Vec::new(); chunk.rows()];
        updates
            .iter()
            .for_each(|update| update.coefficients(isa, &chunk, first_row + start, &mut t));
        for (i, t) in t.iter().enumerate() {
            let out = &mut out[(start + i) * row_bytes..][..row_bytes];
            total += merge_row(isa, &chunk, i, t, &right, output, out)
                .map_err(|error| error.moved_down(start))?;
        }
    }
    Ok(total)
}

/// One row, checked.
fn merge_row(
    isa: Isa,
    rows: &Weight<'_>,
    i: usize,
    t: &[f64],
    v: &[f64],
    output: WeightDtype,
    out: &mut [u8],
) -> Result<MergeStatistics, BasisError> {
    if t.iter().any(|t| !t.is_finite()) {
        return Err(not_finite(rows, i));
    }
    let sums = isa.merge_row(rows.dtype(), rows.row(i), t, v, output, out);
    if !(sums.weight_squared.is_finite()
        && sums.kept.is_finite()
        && sums.largest < overflow(output))
    {
        let column = (0..rows.columns()).find(|&j| !is_finite(&out[j * output.size()..], output));
        return Err(match column {
            Some(column) => BasisError::NotRepresentable { row: i, column },
            None => BasisError::NonFinite { row: i },
        });
    }
    Ok(MergeStatistics {
        weight_squared: sums.weight_squared,
        delta_squared: sums.delta_squared,
        kept: sums.kept,
    })
}

/// Why the coefficients of a row are not finite: its weights, or an update so large that already its first element overflows.
fn not_finite(rows: &Weight<'_>, i: usize) -> BasisError {
    let weights = rows.row(i).chunks_exact(rows.dtype().size());
    if weights
        .into_iter()
        .all(|weight| is_finite(weight, rows.dtype()))
    {
        BasisError::NotRepresentable { row: i, column: 0 }
    } else {
        BasisError::NonFinite { row: i }
    }
}

/// The smallest magnitude that rounds to infinity.
const fn overflow(output: WeightDtype) -> f64 {
    // 2¹²⁷ or 2¹⁵, times 2 less half a unit in the last place.
    match output {
        WeightDtype::Bf16 => 3.396_177_529_230_46e38,
        WeightDtype::F16 => 65_520.0,
        WeightDtype::F32 => 3.402_823_567_797_336_6e38,
    }
}

/// Whether the value at the start of `bytes` is finite: not all bits of its exponent are set.
fn is_finite(bytes: &[u8], dtype: WeightDtype) -> bool {
    let high = match dtype {
        WeightDtype::Bf16 | WeightDtype::F16 => u16::from_le_bytes([bytes[0], bytes[1]]),
        WeightDtype::F32 => u16::from_le_bytes([bytes[2], bytes[3]]),
    };
    let exponent = if dtype == WeightDtype::F16 {
        0x7C00
    } else {
        0x7F80
    };
    high & exponent != exponent
}
