//! Frozen weights, packed once for the product kernels: panels of 32 outputs, each `columns` × 32.
//!
//! bf16 weights stay bf16 in memory and are widened in the kernel, which is exact: half the memory, and half the time of a
//! product of few rows, which only waits for weights. Two columns stand side by side, so that a shift and a mask widen them.

use crate::simd::Float;

/// Outputs of a panel.
pub(crate) const PANEL: usize = 32;

/// Weights in memory order, out × in.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a, T> {
    /// Rows.
    pub rows: usize,
    /// rows × columns values.
    pub data: RowData<'a, T>,
}

/// The values of a block.
#[derive(Debug, Clone, Copy)]
pub enum RowData<'a, T> {
    /// bf16, as bits.
    Bf16(&'a [u16]),
    /// IEEE binary16, as bits; widened when packed.
    F16(&'a [u16]),
    /// Elements.
    Full(&'a [T]),
}

/// 32 outputs.
#[derive(Debug)]
pub(crate) struct Panel<T> {
    pub(crate) values: PanelValues<T>,
    /// The first output.
    pub(crate) offset: usize,
    /// Outputs, at most 32; the rest is zeros.
    pub(crate) width: usize,
}

#[derive(Debug)]
pub(crate) enum PanelValues<T> {
    /// Pairs of columns × 32 × 2; an odd last column stands beside zeros.
    Bf16(Box<[u16]>),
    /// Columns × 32.
    Full(Box<[T]>),
}

impl<T: Float> Panel<T> {
    /// One weight.
    pub(crate) fn value(&self, lane: usize, column: usize) -> T {
        match &self.values {
            PanelValues::Bf16(values) => {
                T::from_bf16(values[(column / 2 * PANEL + lane) * 2 + column % 2])
            }
            PanelValues::Full(values) => values[column * PANEL + lane],
        }
    }
}

/// A matrix of weights, out × in, in panels.
#[derive(Debug)]
pub struct PackedMatrix<T> {
    panels: Vec<Panel<T>>,
    outputs: usize,
    columns: usize,
}

impl<T: Float> PackedMatrix<T> {
    /// Packs blocks of rows; the outputs of all follow each other.
    ///
    /// # Panics
    /// A block has not rows × columns values.
    #[must_use]
    pub fn pack(blocks: &[Block<'_, T>], columns: usize) -> Self {
        let (mut panels, mut offset) = (Vec::new(), 0);
        for block in blocks {
            for first in (0..block.rows).step_by(PANEL) {
                let width = PANEL.min(block.rows - first);
                panels.push(Panel {
                    values: pack_panel(&block.data, first * columns, width, columns),
                    offset: offset + first,
                    width,
                });
            }
            offset += block.rows;
        }
        Self {
            panels,
            outputs: offset,
            columns,
        }
    }

    /// Rows of the matrix.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the matrix.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of the panels.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bytes = |panel: &Panel<T>| match &panel.values {
            PanelValues::Bf16(values) => 2 * values.len(),
            PanelValues::Full(values) => size_of::<T>() * values.len(),
        };
        self.panels.iter().map(bytes).sum()
    }

    /// Copies a row of the matrix out.
    ///
    /// # Panics
    /// There is no such row, or `row` has another length.
    pub fn row(&self, number: usize, row: &mut [T]) {
        assert_eq!(row.len(), self.columns);
        let at = self.panels.partition_point(|panel| panel.offset <= number) - 1;
        let panel = &self.panels[at];
        let lane = number - panel.offset;
        assert!(lane < panel.width, "a row of the matrix");
        for (column, x) in row.iter_mut().enumerate() {
            *x = panel.value(lane, column);
        }
    }

    pub(crate) fn panels(&self) -> &[Panel<T>] {
        &self.panels
    }
}

fn pack_panel<T: Float>(
    data: &RowData<'_, T>,
    start: usize,
    width: usize,
    columns: usize,
) -> PanelValues<T> {
    match data {
        RowData::Bf16(bits) => PanelValues::Bf16(interleave::<2, _, _>(
            &bits[start..start + width * columns],
            0,
            columns,
            |x| x,
        )),
        RowData::F16(bits) => PanelValues::Full(interleave::<1, _, _>(
            &bits[start..start + width * columns],
            T::ZERO,
            columns,
            T::from_f16,
        )),
        RowData::Full(values) => PanelValues::Full(interleave::<1, _, _>(
            &values[start..start + width * columns],
            T::ZERO,
            columns,
            |x| x,
        )),
    }
}

/// Groups of so many columns × 32 rows.
fn interleave<const GROUP: usize, A: Copy, B: Copy>(
    rows: &[A],
    zero: B,
    columns: usize,
    convert: impl Fn(A) -> B,
) -> Box<[B]> {
    let groups = columns.div_ceil(GROUP);
    let mut panel = vec![zero; groups * PANEL * GROUP].into_boxed_slice();
    for (lane, row) in rows.chunks_exact(columns.max(1)).enumerate() {
        let cells = panel.chunks_exact_mut(GROUP).skip(lane).step_by(PANEL);
        for (cells, values) in cells.zip(row.chunks(GROUP)) {
            for (cell, &x) in cells.iter_mut().zip(values) {
                *cell = convert(x);
            }
        }
    }
    panel
}
