//! From R to ΔW: the core matrix M, norms, and the merge of rows (spec §8).

use crate::kernels::{Isa, interleave, padded, pair};
use crate::{Basis, BasisError, Weight, WeightDtype};
use std::ops::AddAssign;
use tlora_format::SigmaSide;

/// Rows whose products W·V are computed before they are merged.
const ROWS: usize = 64;

/// M = scale · Σ^(a−1) · R · Σ^b with the signs applied, row-major r × r, so that ΔW = (W·V)·M·Vᵀ (spec §8).
///
/// `r` is R, `sigma` the r singular values, `negated` one flag per column of V (or empty if none is negated).
#[must_use]
pub fn core_matrix(
    side: SigmaSide,
    scale: f32,
    r: &[f64],
    sigma: &[f64],
    negated: &[bool],
) -> Vec<f64> {
    let rank = sigma.len();
    let sign = |c: usize| negated.get(c).copied().unwrap_or(false);
    let mut core = vec![0.0; rank * rank];
    for (j, row) in core.chunks_exact_mut(rank).enumerate() {
        for (k, entry) in row.iter_mut().enumerate() {
            let (r, left, right) = (r[j * rank + k], sigma[j], sigma[k]);
            if left == 0.0 || right == 0.0 {
                continue;
            }
            let scaled = match side {
                SigmaSide::Left => r,
                SigmaSide::Split => (r / left.sqrt()) * right.sqrt(),
                SigmaSide::Right => (r / left) * right,
            };
            let m = f64::from(scale) * scaled;
            *entry = if sign(j) == sign(k) { m } else { -m };
        }
    }
    core
}

/// ‖ΔW‖_F = |scale| · ‖Σ^a · R · Σ^b‖_F, without the weight.
#[must_use]
pub fn delta_norm(side: SigmaSide, scale: f32, r: &[f64], sigma: &[f64]) -> f64 {
    let rank = sigma.len();
    let squares: f64 = (0..rank * rank)
        .map(|i| {
            let (left, right) = (sigma[i / rank], sigma[i % rank]);
            let entry = match side {
                _ if left == 0.0 || right == 0.0 => 0.0,
                SigmaSide::Left => left * r[i],
                SigmaSide::Split => left.sqrt() * r[i] * right.sqrt(),
                SigmaSide::Right => r[i] * right,
            };
            entry * entry
        })
        .sum();
    f64::from(scale).abs() * squares.sqrt()
}

/// ‖R‖_F; |scale| times it bounds ‖ΔW‖_F / ‖W‖_F for every weight.
#[must_use]
pub fn r_norm(r: &[f64]) -> f64 {
    r.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// One adapter's ΔW for one weight, ready for [`merge_rows`].
#[derive(Debug, Clone)]
pub struct Update {
    rank: usize,
    columns: usize,
    /// V, each column in paired order.
    v: Vec<f64>,
    /// The same, interleaved in groups of `width` columns for the products.
    groups: Vec<Vec<f64>>,
    width: usize,
    core: Vec<f64>,
}

impl Update {
    /// From the basis of the weight and the [`core_matrix`] (r × r).
    #[must_use]
    pub fn new(basis: &Basis, core: Vec<f64>) -> Self {
        let length = padded(basis.columns);
        let width = match basis.rank {
            ..=2 => 2,
            3..=4 => 4,
            _ => 8,
        };
        let mut v = vec![0.0; length * basis.rank];
        for (paired, natural) in v
            .chunks_exact_mut(length.max(1))
            .zip(basis.v.chunks_exact(basis.columns.max(1)))
        {
            pair(natural, paired);
        }
        let groups = v
            .chunks(length.max(1) * width)
            .map(|columns| {
                let mut whole = columns.to_vec();
                whole.resize(length * width, 0.0);
                let mut group = vec![0.0; length * width];
                interleave(&whole, width, &mut group);
                group
            })
            .collect();
        Self {
            rank: basis.rank,
            columns: basis.columns,
            v,
            groups,
            width,
            core,
        }
    }

    /// t = (W·V)·M for every row, appended to each row's entry of `t`.
    fn coefficients(&self, isa: Isa, rows: &Weight<'_>, t: &mut [Vec<f64>]) {
        let mut products = vec![0.0; rows.rows() * self.width];
        let mut y = vec![0.0; rows.rows() * self.rank];
        for (g, group) in self.groups.iter().enumerate() {
            isa.products(rows, self.width, group, &mut products);
            let used = self.width.min(self.rank - g * self.width);
            for (y, products) in y
                .chunks_exact_mut(self.rank)
                .zip(products.chunks_exact(self.width))
            {
                y[g * self.width..][..used].copy_from_slice(&products[..used]);
            }
        }
        for (t, y) in t.iter_mut().zip(y.chunks_exact(self.rank)) {
            let entry = |k| {
                y.iter()
                    .zip(self.core.iter().skip(k).step_by(self.rank))
                    .fold(0.0, |t, (y, m)| t + y * m)
            };
            t.extend((0..self.rank).map(entry));
        }
    }
}

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
/// `updates` come in the order in which their adapters were given, all for weights of `rows.columns()` columns; `out` has room for exactly
/// the rows. Runs on the calling thread.
///
/// # Errors
/// [`BasisError::NonFinite`] for a NaN or infinite weight, [`BasisError::NotRepresentable`] for a result too large for the output type,
/// [`BasisError::WrongSize`] if `out` or an update has another size than the rows. `out` is then undefined.
pub fn merge_rows(
    rows: &Weight<'_>,
    updates: &[Update],
    output: WeightDtype,
    out: &mut [u8],
) -> Result<MergeStatistics, BasisError> {
    merge_rows_on(Isa::detect(), rows, updates, output, out)
}

/// [`merge_rows`] on a chosen instruction set. The result does not depend on it.
///
/// # Errors
/// As [`merge_rows`].
pub fn merge_rows_on(
    isa: Isa,
    rows: &Weight<'_>,
    updates: &[Update],
    output: WeightDtype,
    out: &mut [u8],
) -> Result<MergeStatistics, BasisError> {
    let merged = Weight::new(output, rows.rows(), rows.columns(), out)?;
    let row_bytes = merged.columns() * output.size();
    if let Some(update) = updates
        .iter()
        .find(|update| update.columns != rows.columns())
    {
        let wanted = rows.columns() as u128 * 8;
        return Err(BasisError::WrongSize {
            rows: 1,
            columns: rows.columns(),
            wanted,
            found: update.columns * 8,
        });
    }
    let v: Vec<f64> = updates
        .iter()
        .flat_map(|update| &update.v)
        .copied()
        .collect();
    let mut total = MergeStatistics::default();
    for start in (0..rows.rows()).step_by(ROWS) {
        let chunk = rows.slice(start, rows.rows().min(start + ROWS));
        let mut t = vec![Vec::new(); chunk.rows()];
        updates
            .iter()
            .for_each(|update| update.coefficients(isa, &chunk, &mut t));
        for (i, t) in t.iter().enumerate() {
            let out = &mut out[(start + i) * row_bytes..][..row_bytes];
            total += merge_row(isa, &chunk, i, t, &v, output, out)
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
        return Err(BasisError::NonFinite { row: i });
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
