//! Keys and values of one layer, by row, and where they come from.

use crate::buffer::Buffer;
use crate::device::Device;
use crate::elementwise::Heads;
use crate::error::{CudaError, Result, size, want, whole_rows};
use crate::indices::Indices;
use crate::launch::{Grid, Kernel, Launch, threads_for};
use crate::matrix::Storage;

/// The widest head.
pub const MOST_WIDTH: usize = 256;

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

    pub(crate) fn check_layout(&self, operation: &'static str, layout: QkvLayout) -> Result<()> {
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

    pub(crate) fn check_bound(&self, operation: &'static str, bound: usize) -> Result<()> {
        if bound > self.rows {
            want(operation, "the end of the rows", bound, self.rows)?;
        }
        Ok(())
    }

    /// Query heads for each head of keys.
    pub(crate) fn group(&self, operation: &'static str, heads: usize) -> Result<usize> {
        whole_rows(operation, "the number of query heads", heads, self.kv_heads)
    }

    /// Adds keys and values to a launch.
    pub(crate) fn read(&self, launch: Launch) -> Launch {
        match &self.values {
            Stored::F32 { keys, values } => launch.read(keys).read(values),
            Stored::Bf16 { keys, values } => launch.read(keys).read(values),
        }
    }

    pub(crate) const fn is_bf16(&self) -> bool {
        matches!(self.values, Stored::Bf16 { .. })
    }
}

impl QkvLayout {
    /// Tokens of a buffer.
    pub(crate) fn tokens(&self, operation: &'static str, len: usize) -> Result<usize> {
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
