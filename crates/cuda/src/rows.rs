//! Columns and rows from one matrix to another.

use crate::buffer::Buffer;
use crate::device::Device;
use crate::elementwise::Heads;
use crate::error::{CudaError, Result, size, want, whole_rows};
use crate::launch::{Grid, Kernel, Launch, threads_for};
use crate::matrix::gather_launch;

/// Copies heads out of a buffer, rows × (count · width).
///
/// # Errors
/// The sizes do not fit.
pub fn take_heads(x: &Buffer<f32>, heads: Heads, taken: &mut Buffer<f32>) -> Result<()> {
    let rows = heads.rows("take_heads", x.len())?;
    let columns = heads.columns();
    want(
        "take_heads",
        "the elements of the result",
        taken.len(),
        rows * columns,
    )?;
    copy(
        "take_heads",
        rows,
        columns,
        (x, heads.stride, heads.offset),
        (taken, columns, 0),
        columns,
    )
}

/// Copies heads, rows × (count · width), into a buffer.
///
/// # Errors
/// The sizes do not fit.
pub fn put_heads(into: &mut Buffer<f32>, heads: Heads, from: &Buffer<f32>) -> Result<()> {
    let rows = heads.rows("put_heads", into.len())?;
    let columns = heads.columns();
    want(
        "put_heads",
        "the elements of the heads",
        from.len(),
        rows * columns,
    )?;
    copy(
        "put_heads",
        rows,
        columns,
        (from, columns, 0),
        (into, heads.stride, heads.offset),
        columns,
    )
}

/// The first `columns` columns of a matrix of `width`.
///
/// # Errors
/// The sizes do not fit.
pub fn narrow(x: &Buffer<f32>, width: usize, columns: usize, y: &mut Buffer<f32>) -> Result<()> {
    let heads = Heads {
        stride: width,
        offset: 0,
        count: 1,
        width: columns,
    };
    take_heads(x, heads, y)
}

/// y = the first columns of a matrix of `width`, plus `other`, which has only those.
///
/// # Errors
/// The sizes do not fit.
pub fn narrow_add(
    x: &Buffer<f32>,
    width: usize,
    other: &Buffer<f32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    let operation = "narrow_add";
    let rows = whole_rows(operation, "the elements of the matrix", x.len(), width)?;
    if rows == 0 {
        return want(operation, "the elements of the other", other.len(), 0);
    }
    let columns = whole_rows(operation, "the elements of the other", other.len(), rows)?;
    if columns > width {
        want(operation, "the columns of the other", columns, width)?;
    }
    want(
        operation,
        "the elements of the result",
        y.len(),
        other.len(),
    )?;
    let int = |value| size(operation, "a number", value);
    let grid = Grid::rows(int(rows)?, threads_for(int(columns)?));
    Launch::new(x.device(), Kernel::NarrowAdd, grid)
        .read(x)
        .value(int(width)?)
        .read(other)
        .write(y)
        .value(int(columns)?)
        .run()
}

/// A matrix of `width` columns with more of them, which are 0.
///
/// # Errors
/// The sizes do not fit.
pub fn widen(x: &Buffer<f32>, width: usize, columns: usize, y: &mut Buffer<f32>) -> Result<()> {
    let rows = whole_rows("widen", "the elements of the matrix", x.len(), width)?;
    if columns < width {
        want("widen", "the columns", columns, width)?;
    }
    want(
        "widen",
        "the elements of the result",
        y.len(),
        rows * columns,
    )?;
    copy(
        "widen",
        rows,
        width,
        (x, width, 0),
        (y, columns, 0),
        columns,
    )
}

/// Columns of rows with (stride, first column) to others; zeros follow up to `filled`.
fn copy(
    operation: &'static str,
    rows: usize,
    columns: usize,
    (from, from_stride, from_offset): (&Buffer<f32>, usize, usize),
    (to, to_stride, to_offset): (&mut Buffer<f32>, usize, usize),
    filled: usize,
) -> Result<()> {
    let int = |value| size(operation, "columns or rows", value);
    let grid = Grid::rows(int(rows)?, threads_for(int(filled)?));
    Launch::new(from.device(), Kernel::CopyColumns, grid)
        .read(from)
        .value(int(from_stride)?)
        .value(int(from_offset)?)
        .write(to)
        .value(int(to_stride)?)
        .value(int(to_offset)?)
        .value(int(columns)?)
        .value(int(filled)?)
        .run()
}

/// Some rows of a matrix of `width` columns, in the order given. A number beyond it gives a row that is not a number.
///
/// # Errors
/// The sizes do not fit.
pub fn gather_rows(
    x: &Buffer<f32>,
    width: usize,
    rows: &Buffer<u32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    let limit = whole_rows("gather_rows", "the elements of the matrix", x.len(), width)?;
    gather_launch("gather_rows", Kernel::GatherF32, y, rows.len(), width)?
        .read(x)
        .value(size("gather_rows", "rows", limit)?)
        .value(size("gather_rows", "columns", width)?)
        .read(rows)
        .write(y)
        .run()
}

/// Where rows are added to: the rows of the source of each row of the result, in their order.
#[derive(Debug)]
pub struct Scatter {
    starts: Buffer<u32>,
    sources: Buffer<u32>,
}

impl Scatter {
    /// Row i of a source goes to row `rows[i]` of `count`.
    ///
    /// # Errors
    /// A row is beyond the result.
    pub fn new(device: &Device, rows: &[u32], count: usize) -> Result<Self> {
        size("scatter_rows", "rows", rows.len().max(count))?;
        let mut starts = vec![0_u32; count + 1];
        for &row in rows {
            let Some(start) = starts.get_mut(row as usize + 1) else {
                return Err(CudaError::Limit {
                    operation: "scatter_rows",
                    what: "the number of a row",
                    found: row as usize,
                    wanted: "a row of the result",
                });
            };
            *start += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut sources = vec![0; rows.len()];
        for (source, &row) in (0..).zip(rows) {
            let place = &mut next[row as usize];
            sources[*place as usize] = source;
            *place += 1;
        }
        Ok(Self {
            starts: Buffer::from_slice(device, &starts)?,
            sources: Buffer::from_slice(device, &sources)?,
        })
    }
}

/// A matrix of zeros, to whose rows those of `x`, of `width` columns, are added in their order.
///
/// # Errors
/// The sizes do not fit.
pub fn scatter_rows(
    x: &Buffer<f32>,
    width: usize,
    to: &Scatter,
    y: &mut Buffer<f32>,
) -> Result<()> {
    let operation = "scatter_rows";
    want(
        operation,
        "the elements of the source",
        x.len(),
        to.sources.len() * width,
    )?;
    let count = to.starts.len() - 1;
    want(
        operation,
        "the elements of the result",
        y.len(),
        count * width,
    )?;
    let columns = size(operation, "columns", width)?;
    let grid = Grid::rows(size(operation, "rows", count)?, threads_for(columns));
    Launch::new(x.device(), Kernel::Scatter, grid)
        .read(x)
        .value(columns)
        .read(&to.starts)
        .read(&to.sources)
        .write(y)
        .run()
}
