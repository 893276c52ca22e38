//! Keys and values of one layer, attention over them, and its gradient.

use crate::buffer::Buffer;
use crate::device::Device;
use crate::elementwise::Heads;
use crate::error::{CudaError, Result, size, want};
use crate::indices::Indices;
use crate::launch::{Grid, Kernel, Launch, THREADS, threads_for};
use crate::matrix::Storage;
use crate::queries::{KeyRanges, Queries};

/// The widest head.
pub const MOST_WIDTH: usize = 256;

/// Query heads that a block has at most; more that share a head of keys are done by several.
const MOST_HEADS: usize = 8;
/// Keys of which a block computes the gradient.
const KEYS: usize = 8;
/// As the kernels have them, in floats.
const STATE: usize = 32;
const TILE: usize = 64;
/// Floats of four columns of every thread, over the columns of a head.
const SLICES: usize = 4 * THREADS as usize;

/// Keys and values of tokens, by row.
#[derive(Debug)]
pub struct KvCache {
    values: Stored,
    rows: usize,
    kv_heads: usize,
    width: usize,
}

#[derive(Debug)]
enum Stored {
    F32 {
        keys: Buffer<f32>,
        values: Buffer<f32>,
    },
    Bf16 {
        keys: Buffer<u16>,
        values: Buffer<u16>,
    },
}

/// Where q, k and v stand in the fused buffer. All have the same stride and width of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QkvLayout {
    /// Queries.
    pub q: Heads,
    /// Keys.
    pub k: Heads,
    /// Values.
    pub v: Heads,
}

impl KvCache {
    /// A cache with anything in it: rows are written before they are attended to.
    ///
    /// # Errors
    /// The width is not a multiple of 4 or beyond [`MOST_WIDTH`], or the device has no memory left.
    pub fn new(
        device: &Device,
        rows: usize,
        kv_heads: usize,
        width: usize,
        storage: Storage,
    ) -> Result<Self> {
        if width == 0 || !width.is_multiple_of(4) || width > MOST_WIDTH {
            return Err(CudaError::Limit {
                operation: "KvCache::new",
                what: "the width of a head",
                found: width,
                wanted: "a multiple of 4, at most 256",
            });
        }
        size("KvCache::new", "rows", rows)?;
        let len = rows * size("KvCache::new", "columns", kv_heads * width)? as usize;
        let values = match storage {
            Storage::F32 => Stored::F32 {
                keys: Buffer::uninitialised(device, len)?,
                values: Buffer::uninitialised(device, len)?,
            },
            Storage::Bf16 => Stored::Bf16 {
                keys: Buffer::uninitialised(device, len)?,
                values: Buffer::uninitialised(device, len)?,
            },
        };
        Ok(Self {
            values,
            rows,
            kv_heads,
            width,
        })
    }

    /// Rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Heads of keys and values.
    #[must_use]
    pub const fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Elements of a head.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Stores the keys and values of tokens in these rows, each once.
    ///
    /// # Errors
    /// The sizes do not fit, or a row is beyond the cache.
    pub fn write(&mut self, qkv: &Buffer<f32>, layout: QkvLayout, rows: &Indices) -> Result<()> {
        let operation = "KvCache::write";
        let tokens = layout.tokens(operation, qkv.len())?;
        self.check_layout(operation, layout)?;
        want(operation, "the number of rows", rows.len(), tokens)?;
        self.check_bound(operation, rows.bound())?;
        let int = |value| size(operation, "a number", value);
        let columns = int(layout.k.columns())?;
        let grid = Grid::rows(int(tokens)?, threads_for(columns));
        let (stride, k, v) = (
            int(layout.k.stride)?,
            int(layout.k.offset)?,
            int(layout.v.offset)?,
        );
        let launch = |kernel| {
            Launch::new(qkv.device(), kernel, grid)
                .read(qkv)
                .value(stride)
                .value(k)
                .value(v)
                .read(rows.buffer())
                .value(columns)
        };
        match &mut self.values {
            Stored::F32 { keys, values } => launch(Kernel::CacheWriteF32)
                .write(keys)
                .write(values)
                .run(),
            Stored::Bf16 { keys, values } => launch(Kernel::CacheWriteBf16)
                .write(keys)
                .write(values)
                .run(),
        }
    }

    fn check_layout(&self, operation: &'static str, layout: QkvLayout) -> Result<()> {
        for heads in [layout.k, layout.v] {
            want(
                operation,
                "the heads of keys and values",
                heads.count,
                self.kv_heads,
            )?;
            want(operation, "the width of a head", heads.width, self.width)?;
        }
        want(
            operation,
            "the width of a query",
            layout.q.width,
            self.width,
        )
    }

    fn check_bound(&self, operation: &'static str, bound: usize) -> Result<()> {
        if bound > self.rows {
            want(operation, "the end of the rows", bound, self.rows)?;
        }
        Ok(())
    }

    /// Query heads for each head of keys.
    fn group(&self, operation: &'static str, heads: usize) -> Result<usize> {
        crate::error::whole_rows(operation, "the number of query heads", heads, self.kv_heads)
    }

    /// Adds keys and values to a launch.
    fn read(&self, launch: Launch) -> Launch {
        match &self.values {
            Stored::F32 { keys, values } => launch.read(keys).read(values),
            Stored::Bf16 { keys, values } => launch.read(keys).read(values),
        }
    }

    const fn is_bf16(&self) -> bool {
        matches!(self.values, Stored::Bf16 { .. })
    }
}

impl QkvLayout {
    /// Tokens of a buffer.
    fn tokens(&self, operation: &'static str, len: usize) -> Result<usize> {
        want(
            operation,
            "the stride of keys",
            self.k.stride,
            self.q.stride,
        )?;
        want(
            operation,
            "the stride of values",
            self.v.stride,
            self.q.stride,
        )?;
        self.k.rows(operation, len)?;
        self.v.rows(operation, len)?;
        self.q.rows(operation, len)
    }
}

/// How the query heads that share a head of keys are cut into blocks.
struct Heading {
    /// By how many heads the kernels have: 1, 2, 4, 8.
    variant: usize,
    /// Heads of a block.
    heads: usize,
    group: u32,
    grid_y: u32,
}

impl Heading {
    fn new(operation: &'static str, group: usize, kv_heads: usize) -> Result<Self> {
        let variant = match group {
            0 | 1 => 0,
            2 => 1,
            3 | 4 => 2,
            _ => 3,
        };
        let blocks = kv_heads * group.div_ceil(MOST_HEADS);
        Ok(Self {
            variant,
            heads: 1 << variant,
            group: size(operation, "query heads", group)?,
            grid_y: size(operation, "heads of keys", blocks)?,
        })
    }

    /// A block for each token and lot of heads. `floats` are those of shared memory for the tiles.
    fn grid(&self, tokens: u32, floats: usize) -> Grid {
        Grid {
            x: tokens,
            y: self.grid_y,
            threads: THREADS,
            shared: shared(floats, self.heads),
        }
    }
}

/// Bytes of shared memory: for the tiles, and after them for the slices of so many heads or keys.
fn shared(floats: usize, heads: usize) -> u32 {
    let floats = STATE + floats.max(SLICES * heads);
    u32::try_from(4 * floats).unwrap_or(u32::MAX)
}

const FORWARD: [[Kernel; 4]; 2] = [
    [
        Kernel::AttentionF32G1,
        Kernel::AttentionF32G2,
        Kernel::AttentionF32G4,
        Kernel::AttentionF32G8,
    ],
    [
        Kernel::AttentionBf16G1,
        Kernel::AttentionBf16G2,
        Kernel::AttentionBf16G4,
        Kernel::AttentionBf16G8,
    ],
];

const BACKWARD_Q: [[Kernel; 4]; 2] = [
    [
        Kernel::AttentionBackwardQF32G1,
        Kernel::AttentionBackwardQF32G2,
        Kernel::AttentionBackwardQF32G4,
        Kernel::AttentionBackwardQF32G8,
    ],
    [
        Kernel::AttentionBackwardQBf16G1,
        Kernel::AttentionBackwardQBf16G2,
        Kernel::AttentionBackwardQBf16G4,
        Kernel::AttentionBackwardQBf16G8,
    ],
];

/// Attends: `q` says where the queries of tokens stand in `qkv`; `out` is tokens × (heads · width). Consecutive heads share a
/// head of keys and values. ln Σ exp of each token's and head's scores goes to `log_sums`, tokens × heads, if it is wanted: the
/// gradient wants it.
///
/// # Errors
/// The sizes do not fit, or a query is beyond the cache.
pub fn attention(
    qkv: &Buffer<f32>,
    q: Heads,
    cache: &KvCache,
    queries: &Queries,
    scale: f32,
    out: &mut Buffer<f32>,
    log_sums: Option<&mut Buffer<f32>>,
) -> Result<()> {
    let operation = "attention";
    let tokens = q.rows(operation, qkv.len())?;
    want(operation, "the number of queries", queries.len(), tokens)?;
    want(operation, "the width of a query", q.width, cache.width)?;
    want(
        operation,
        "the elements of the result",
        out.len(),
        tokens * q.columns(),
    )?;
    if let Some(log_sums) = &log_sums {
        want(
            operation,
            "the elements of the logarithms",
            log_sums.len(),
            tokens * q.count,
        )?;
    }
    cache.check_bound(operation, queries.bound())?;
    let int = |value| size(operation, "a number", value);
    let heading = Heading::new(operation, cache.group(operation, q.count)?, cache.kv_heads)?;
    let kernel = FORWARD[usize::from(cache.is_bf16())][heading.variant];
    let grid = heading.grid(int(tokens)?, heading.heads * (cache.width + TILE));
    let launch = Launch::new(qkv.device(), kernel, grid)
        .read(qkv)
        .value(int(q.stride)?)
        .value(int(q.offset)?);
    cache
        .read(launch)
        .value(int(cache.kv_heads)?)
        .value(int(cache.width)?)
        .read(queries.buffer())
        .value(heading.group)
        .value(scale)
        .write(out)
        .write_if(log_sums)
        .run()
}

/// What [`attention`] computed, and the gradient of its result.
#[derive(Debug, Clone, Copy)]
pub struct Attended<'a> {
    /// Its result.
    pub out: &'a Buffer<f32>,
    /// Its logarithms.
    pub log_sums: &'a Buffer<f32>,
    /// The gradient of its result.
    pub grad: &'a Buffer<f32>,
}

/// The gradient of q, k and v, into the same columns of `grad_qkv`; other columns are left as they are. Keys and values that
/// are not of tokens of this batch get none.
///
/// # Errors
/// The sizes do not fit, or a query or row is beyond the cache.
#[expect(
    clippy::too_many_arguments,
    reason = "what attention had, and its result"
)]
pub fn attention_backward(
    qkv: &Buffer<f32>,
    layout: QkvLayout,
    cache: &KvCache,
    queries: &Queries,
    ranges: &KeyRanges,
    scale: f32,
    attended: Attended<'_>,
    grad_qkv: &mut Buffer<f32>,
) -> Result<()> {
    let operation = "attention_backward";
    let q = layout.q;
    let tokens = layout.tokens(operation, qkv.len())?;
    let Attended {
        out,
        log_sums,
        grad,
    } = attended;
    cache.check_layout(operation, layout)?;
    want(operation, "the number of queries", queries.len(), tokens)?;
    want(operation, "the number of rows", ranges.rows.len(), tokens)?;
    want(
        operation,
        "the elements of the result",
        out.len(),
        tokens * q.columns(),
    )?;
    want(
        operation,
        "the elements of its gradient",
        grad.len(),
        out.len(),
    )?;
    want(
        operation,
        "the elements of the logarithms",
        log_sums.len(),
        tokens * q.count,
    )?;
    want(
        operation,
        "the elements of the gradient",
        grad_qkv.len(),
        qkv.len(),
    )?;
    cache.check_bound(operation, queries.bound().max(ranges.rows.bound()))?;
    let int = |value| size(operation, "a number", value);
    let heading = Heading::new(operation, cache.group(operation, q.count)?, cache.kv_heads)?;
    // Tokens that attend to a key, times heads, is a number of the kernel.
    int(tokens * q.count)?;

    let mut delta = Buffer::<f32>::uninitialised(qkv.device(), log_sums.len())?;
    Launch::new(
        qkv.device(),
        Kernel::AttentionDelta,
        Grid::items(operation, 32 * delta.len())?,
    )
    .read(grad)
    .read(out)
    .value(int(q.width)?)
    .value(delta.len() as u64)
    .write(&mut delta)
    .run()?;

    let (stride, offset) = (int(q.stride)?, int(q.offset)?);
    let (kv_heads, width) = (int(cache.kv_heads)?, int(cache.width)?);
    let common = |kernel, grid| {
        let launch = Launch::new(qkv.device(), kernel, grid)
            .read(qkv)
            .value(stride)
            .value(offset);
        cache
            .read(launch)
            .value(kv_heads)
            .value(width)
            .read(queries.buffer())
            .value(heading.group)
            .value(scale)
            .read(grad)
            .read(log_sums)
            .read(&delta)
    };
    let variant = usize::from(cache.is_bf16());
    let grid = heading.grid(int(tokens)?, heading.heads * (2 * cache.width + TILE));
    common(BACKWARD_Q[variant][heading.variant], grid)
        .write(grad_qkv)
        .run()?;

    let kernel = [
        Kernel::AttentionBackwardKvF32,
        Kernel::AttentionBackwardKvBf16,
    ][variant];
    let grid = Grid {
        x: int(tokens.div_ceil(KEYS))?,
        y: kv_heads,
        threads: THREADS,
        shared: shared(2 * KEYS * (cache.width + TILE), KEYS),
    };
    common(kernel, grid)
        .read(ranges.rows.buffer())
        .read(&ranges.firsts)
        .read(&ranges.ends)
        .value(int(tokens)?)
        .value(int(layout.k.offset)?)
        .value(int(layout.v.offset)?)
        .write(grad_qkv)
        .run()
}
