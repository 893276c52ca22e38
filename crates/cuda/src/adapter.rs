//! The low-rank part of an adapted layer: p = x·Aᵀ stands in columns of the layer's output, from where c = p·Rᵀ and
//! y += c·Bᵀ; on the way back s = g·B, ∂L/∂R += sᵀ·p, and s·R is the gradient of p.
//!
//! Rows of one batch may belong to different adapters: they share A and B, and each has its R.

use crate::buffer::Buffer;
use crate::error::{CudaError, Result, size, want, whole_rows};
use crate::indices::Indices;
use crate::launch::{Grid, Kernel, Launch, THREADS};

/// The largest rank.
pub const MOST_RANK: usize = 64;

/// Rows whose products are summed together before the sums of all are.
const LOT: usize = 256;

/// Where p stands in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inner {
    /// Columns of the buffer.
    pub stride: usize,
    /// The first column of p.
    pub offset: usize,
    /// Columns of p.
    pub rank: usize,
}

/// Where the matrices of a module stand, rank × rank and row-major, one for each adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrices {
    /// The first element of the first adapter's.
    pub offset: usize,
    /// Elements from one adapter's to the next one's.
    pub between: usize,
    /// How many adapters.
    pub adapters: usize,
}

impl Matrices {
    /// The matrices of one adapter, from an element on.
    #[must_use]
    pub const fn one(offset: usize) -> Self {
        Self {
            offset,
            between: 0,
            adapters: 1,
        }
    }

    fn check(&self, operation: &'static str, rank: usize, len: usize) -> Result<()> {
        let last = self.between * self.adapters.saturating_sub(1);
        let end = self.offset + last + rank * rank;
        if end > len {
            want(operation, "the end of the matrices", end, len)?;
        }
        size(operation, "the elements between matrices", self.between)?;
        Ok(())
    }
}

impl Inner {
    /// Rows of a buffer.
    fn rows(&self, operation: &'static str, len: usize) -> Result<usize> {
        check_rank(operation, self.rank)?;
        self.columns_in(operation, len)
    }

    /// Rows of a buffer, whatever the number of columns of p.
    fn columns_in(&self, operation: &'static str, len: usize) -> Result<usize> {
        if self.offset + self.rank > self.stride {
            want(
                operation,
                "the last column of p",
                self.offset + self.rank,
                self.stride,
            )?;
        }
        size(operation, "columns", self.stride)?;
        whole_rows(operation, "the elements of the buffer", len, self.stride)
    }
}

fn check_rank(operation: &'static str, rank: usize) -> Result<()> {
    if rank == 0 || rank > MOST_RANK {
        return Err(CudaError::Limit {
            operation,
            what: "the rank",
            found: rank,
            wanted: "1 to 64",
        });
    }
    Ok(())
}

/// Adapters of rows fit to the rows and the matrices.
fn check_adapters(
    operation: &'static str,
    of_rows: Option<&Indices>,
    rows: usize,
    matrices: Matrices,
) -> Result<()> {
    let Some(of_rows) = of_rows else {
        return Ok(());
    };
    want(
        operation,
        "the number of adapters of rows",
        of_rows.len(),
        rows,
    )?;
    if of_rows.bound() > matrices.adapters {
        want(
            operation,
            "the number of adapters",
            of_rows.bound(),
            matrices.adapters,
        )?;
    }
    Ok(())
}

/// Adjacent columns that one module computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// One more than its last column; it begins where the one before ends.
    pub end: usize,
    /// Its matrices.
    pub matrices: Matrices,
}

/// The most parts of a layer.
pub const MOST_PARTS: usize = 3;

/// What follows a product: a bias, and for each part c·Bᵀ with c = p·Rᵀ.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// Where the p of the parts stand, one after another.
    pub p: Inner,
    /// The parts of the columns.
    pub parts: &'a [Part],
    /// A number for each column of the product.
    pub bias: Option<&'a Buffer<f32>>,
    /// The matrices R.
    pub r: &'a Buffer<f32>,
    /// The adapter of each row; all have the first without them.
    pub of_rows: Option<&'a Indices>,
    /// B, with the rows of all parts.
    pub b: &'a Buffer<f32>,
}

impl Update<'_> {
    /// The last of the parts, and the rows of y with their grid, if everything fits.
    fn check(&self, operation: &'static str, y: usize) -> Result<(&Part, usize, Grid)> {
        let Self { p, parts, .. } = *self;
        let last = check_parts(operation, parts)?;
        let whole = Inner {
            rank: p.rank * parts.len(),
            ..p
        };
        check_rank(operation, p.rank)?;
        let rows = whole.columns_in(operation, y)?;
        for part in parts {
            part.matrices.check(operation, p.rank, self.r.len())?;
            want(
                operation,
                "the elements between matrices",
                part.matrices.between,
                last.matrices.between,
            )?;
            check_adapters(operation, self.of_rows, rows, part.matrices)?;
        }
        want(
            operation,
            "the elements of B",
            self.b.len(),
            last.end * p.rank,
        )?;
        if let Some(bias) = self.bias {
            want(operation, "the numbers of the bias", bias.len(), p.stride)?;
        }
        if last.end > p.offset {
            want(operation, "the last output", last.end, p.offset)?;
        }
        let int = |value| size(operation, "a number", value);
        Ok((last, rows, Grid::columns(int(rows)?, int(last.end)?)))
    }

    /// The arguments of a kernel after y.
    fn arguments(&self, operation: &'static str, last: &Part, launch: Launch) -> Result<Launch> {
        let Self { p, parts, .. } = *self;
        let int = |value| size(operation, "a number", value);
        let of = |part: usize| parts.get(part).unwrap_or(last);
        Ok(launch
            .value(int(p.stride)?)
            .value(int(last.end)?)
            .read_if(self.bias)
            .value(int(p.offset)?)
            .value(int(p.rank)?)
            .value(int(parts.len())?)
            .value(int(of(0).end)?)
            .value(int(of(1).end)?)
            .read(self.r)
            .value(int(of(0).matrices.offset)?)
            .value(int(of(1).matrices.offset)?)
            .value(int(of(2).matrices.offset)?)
            .value(int(last.matrices.between)?)
            .read_if(self.of_rows.map(Indices::buffer))
            .read(self.b))
    }
}

/// y with the update in its place, in one pass, as [`inner`] and [`rank_update`] would to the bit.
///
/// # Errors
/// The sizes do not fit, there are more than [`MOST_PARTS`], or the rank is beyond [`MOST_RANK`].
pub fn adapt(y: &mut Buffer<f32>, update: Update<'_>) -> Result<()> {
    let operation = "adapt";
    let (last, _, grid) = update.check(operation, y.len())?;
    let launch = Launch::new(update.b.device(), Kernel::Adapt, grid).write(y);
    update.arguments(operation, last, launch)?.run()
}

/// The outputs of y with the update, and `other` added, which has a column for each output: as [`adapt`] and then
/// [`narrow_add`](crate::narrow_add) would to the bit, but y stays as it is.
///
/// # Errors
/// As [`adapt`].
pub fn adapt_onto(
    y: &Buffer<f32>,
    update: Update<'_>,
    other: &Buffer<f32>,
    sum: &mut Buffer<f32>,
) -> Result<()> {
    let operation = "adapt_onto";
    let (last, rows, grid) = update.check(operation, y.len())?;
    let outputs = rows * last.end;
    want(operation, "the elements of the other", other.len(), outputs)?;
    want(operation, "the elements of the result", sum.len(), outputs)?;
    let launch = Launch::new(update.b.device(), Kernel::AdaptOnto, grid).read(y);
    update
        .arguments(operation, last, launch)?
        .read(other)
        .write(sum)
        .run()
}

/// The last of the parts, of which there are some but not too many, each after the one before.
fn check_parts<'p>(operation: &'static str, parts: &'p [Part]) -> Result<&'p Part> {
    let wrong = |what, found| {
        Err(CudaError::Limit {
            operation,
            what,
            found,
            wanted: "1 to 3, each after the one before",
        })
    };
    if !parts.is_sorted_by(|a, b| a.end < b.end) {
        return wrong("the parts of a layer", parts.len());
    }
    match parts.last() {
        Some(last) if parts.len() <= MOST_PARTS => Ok(last),
        _ => wrong("the number of parts", parts.len()),
    }
}

/// c = p·Rᵀ of every row; c is rows × rank. Without `of_rows` all rows have the first adapter.
///
/// # Errors
/// The sizes do not fit, or the rank is beyond [`MOST_RANK`].
pub fn inner(
    y: &Buffer<f32>,
    p: Inner,
    r: &Buffer<f32>,
    matrices: Matrices,
    of_rows: Option<&Indices>,
    c: &mut Buffer<f32>,
) -> Result<()> {
    let rows = p.rows("inner", y.len())?;
    matrices.check("inner", p.rank, r.len())?;
    check_adapters("inner", of_rows, rows, matrices)?;
    want("inner", "the elements of c", c.len(), rows * p.rank)?;
    let int = |value| size("inner", "a number", value);
    Launch::new(y.device(), Kernel::Inner, Grid::items("inner", c.len())?)
        .read(y)
        .value(int(p.stride)?)
        .value(int(p.offset)?)
        .value(int(p.rank)?)
        .read_at(r, matrices.offset)
        .value(int(matrices.between)?)
        .read_if(of_rows.map(Indices::buffer))
        .write(c)
        .value(int(rows)?)
        .run()
}

/// The gradient of p, s·R, into its columns; s is rows × rank.
///
/// # Errors
/// As [`inner`].
pub fn fill_p(
    grad: &mut Buffer<f32>,
    p: Inner,
    r: &Buffer<f32>,
    matrices: Matrices,
    of_rows: Option<&Indices>,
    s: &Buffer<f32>,
) -> Result<()> {
    let rows = p.rows("fill_p", grad.len())?;
    matrices.check("fill_p", p.rank, r.len())?;
    check_adapters("fill_p", of_rows, rows, matrices)?;
    want("fill_p", "the elements of s", s.len(), rows * p.rank)?;
    let int = |value| size("fill_p", "a number", value);
    Launch::new(s.device(), Kernel::FillP, Grid::items("fill_p", s.len())?)
        .write(grad)
        .value(int(p.stride)?)
        .value(int(p.offset)?)
        .value(int(p.rank)?)
        .read_at(r, matrices.offset)
        .value(int(matrices.between)?)
        .read_if(of_rows.map(Indices::buffer))
        .read(s)
        .value(int(rows)?)
        .run()
}

/// y += c·Bᵀ: `b` is outputs × rank, `c` rows × rank; the outputs of a row begin at `offset` of its `stride` elements.
///
/// # Errors
/// The sizes do not fit, or the rank is beyond [`MOST_RANK`].
pub fn rank_update(
    y: &mut Buffer<f32>,
    stride: usize,
    offset: usize,
    b: &Buffer<f32>,
    c: &Buffer<f32>,
) -> Result<()> {
    let operation = "rank_update";
    let rows = whole_rows(operation, "the elements of y", y.len(), stride)?;
    if rows == 0 {
        return Ok(());
    }
    let rank = whole_rows(operation, "the elements of c", c.len(), rows)?;
    check_rank(operation, rank)?;
    let outputs = whole_rows(operation, "the elements of B", b.len(), rank)?;
    if offset + outputs > stride {
        want(operation, "the last output", offset + outputs, stride)?;
    }
    let int = |value| size(operation, "a number", value);
    Launch::new(
        c.device(),
        Kernel::RankUpdate,
        Grid::columns(int(rows)?, int(outputs)?),
    )
    .write(y)
    .value(int(stride)?)
    .value(int(offset)?)
    .read(b)
    .value(int(outputs)?)
    .read(c)
    .value(int(rank)?)
    .run()
}

/// s = g·B: the `outputs` gradients of a row begin at `offset` of its `stride` elements; `s` is rows × rank.
///
/// # Errors
/// As [`rank_update`].
pub fn rank_gradient(
    grad: &Buffer<f32>,
    stride: usize,
    offset: usize,
    b: &Buffer<f32>,
    outputs: usize,
    s: &mut Buffer<f32>,
) -> Result<()> {
    let operation = "rank_gradient";
    let rows = whole_rows(
        operation,
        "the elements of the gradient",
        grad.len(),
        stride,
    )?;
    let rank = whole_rows(operation, "the elements of B", b.len(), outputs)?;
    check_rank(operation, rank)?;
    want(operation, "the elements of s", s.len(), rows * rank)?;
    if offset + outputs > stride {
        want(operation, "the last output", offset + outputs, stride)?;
    }
    let int = |value| size(operation, "a number", value);
    Launch::new(
        grad.device(),
        Kernel::RankGradient,
        Grid::rows(int(rows)?, THREADS),
    )
    .read(grad)
    .value(int(stride)?)
    .value(int(offset)?)
    .read(b)
    .value(int(outputs)?)
    .value(int(rank)?)
    .write(s)
    .run()
}

/// ∂L/∂R += sᵀ·p for the matrices of each adapter, in binary64: lots of 256 rows first, then the lots in their order.
///
/// # Errors
/// As [`inner`].
pub fn accumulate(
    s: &Buffer<f32>,
    y: &Buffer<f32>,
    p: Inner,
    of_rows: Option<&Indices>,
    gradient: &mut Buffer<f64>,
    matrices: Matrices,
) -> Result<()> {
    let operation = "accumulate";
    let rows = p.rows(operation, y.len())?;
    matrices.check(operation, p.rank, gradient.len())?;
    check_adapters(operation, of_rows, rows, matrices)?;
    want(operation, "the elements of s", s.len(), rows * p.rank)?;
    let adapters = if of_rows.is_some() {
        matrices.adapters
    } else {
        1
    };
    let (lots, pairs) = (rows.div_ceil(LOT), p.rank * p.rank);
    let int = |value| size(operation, "a number", value);
    let mut sums = Buffer::<f64>::uninitialised(s.device(), lots * adapters * pairs)?;
    let grid = Grid {
        x: int(lots)?,
        y: int(adapters)?,
        threads: THREADS,
        shared: 0,
    };
    Launch::new(s.device(), Kernel::AccumulateLots, grid)
        .read(s)
        .read(y)
        .value(int(rows)?)
        .value(int(LOT)?)
        .value(int(p.stride)?)
        .value(int(p.offset)?)
        .value(int(p.rank)?)
        .read_if(of_rows.map(Indices::buffer))
        .write(&mut sums)
        .run()?;
    Launch::new(
        s.device(),
        Kernel::Accumulate,
        Grid::items(operation, adapters * pairs)?,
    )
    .read(&sums)
    .value(int(lots)?)
    .value(int(adapters)?)
    .value(int(pairs)?)
    .value(int(matrices.between)?)
    .write_at(gradient, matrices.offset)
    .run()
}
