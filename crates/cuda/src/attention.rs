//! Attention of tokens over a cache of keys and values, and its gradient.

use crate::buffer::Buffer;
use crate::cache::{KvCache, QkvLayout};
use crate::elementwise::Heads;
use crate::error::{Result, size, want};
use crate::launch::{Grid, Kernel, Launch, THREADS};
use crate::queries::{KeyRanges, Queries};

/// Query heads that a block has at most; more that share a head of keys are done by several.
const MOST_HEADS: usize = 8;
/// Keys of which a block computes the gradient.
const KEYS: usize = 8;
/// As the kernels have them, in floats.
const STATE: usize = 32;
const TILE: usize = 64;
/// Floats of four columns of every thread, over the columns of a head.
const SLICES: usize = 4 * THREADS as usize;

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
    want(operation, "the width of a query", q.width, cache.width())?;
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
    let heading = Heading::new(
        operation,
        cache.group(operation, q.count)?,
        cache.kv_heads(),
    )?;
    let kernel = FORWARD[usize::from(cache.is_bf16())][heading.variant];
    let grid = heading.grid(int(tokens)?, heading.heads * (cache.width() + TILE));
    let launch = Launch::new(qkv.device(), kernel, grid)
        .read(qkv)
        .value(int(q.stride)?)
        .value(int(q.offset)?);
    cache
        .read(launch)
        .value(int(cache.kv_heads())?)
        .value(int(cache.width())?)
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
    let heading = Heading::new(
        operation,
        cache.group(operation, q.count)?,
        cache.kv_heads(),
    )?;
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
    let (kv_heads, width) = (int(cache.kv_heads())?, int(cache.width())?);
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
    let grid = heading.grid(int(tokens)?, heading.heads * (2 * cache.width() + TILE));
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
        shared: shared(2 * KEYS * (cache.width() + TILE), KEYS),
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
