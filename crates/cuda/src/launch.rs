//! A kernel with its grid and arguments, before a backend runs it.

use crate::buffer::{Buffer, Element};
use crate::device::Device;
use crate::error::{CudaError, Result};

/// Threads of a block, where nothing else is said.
pub(crate) const THREADS: u32 = 256;

macro_rules! kernels {
    ($($variant:ident $name:literal,)*) => {
        /// The kernels, by number.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Kernel { $($variant),* }

        #[cfg(test)]
        const KERNELS: &[Kernel] = &[$(Kernel::$variant),*];

        impl Kernel {
            /// All names, in the order of the numbers.
            pub(crate) const NAMES: &[&str] = &[$($name),*];

            pub(crate) const fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }
    };
}

kernels! {
    Add "add",
    AddBias "add_bias",
    RoundBf16 "round_bf16",
    Rope "rope",
    SwigluF32 "swiglu_f32",
    SwigluBf16 "swiglu_bf16",
    SwigluBackward "swiglu_backward",
    RmsNormF32 "rms_norm_f32",
    RmsNormBf16 "rms_norm_bf16",
    RmsNormBackward "rms_norm_backward",
    CopyColumns "copy_columns",
    NarrowAdd "narrow_add",
    GatherF32 "gather_f32",
    GatherBf16 "gather_bf16",
    Scatter "scatter",
    Adapt "adapt",
    AdaptOnto "adapt_onto",
    Inner "inner",
    FillP "fill_p",
    RankUpdate "rank_update",
    RankGradient "rank_gradient",
    AccumulateLots "accumulate_lots",
    Accumulate "accumulate",
    CacheWriteF32 "cache_write_f32",
    CacheWriteBf16 "cache_write_bf16",
    AttentionF32G1 "attention_f32_1",
    AttentionF32G2 "attention_f32_2",
    AttentionF32G4 "attention_f32_4",
    AttentionF32G8 "attention_f32_8",
    AttentionBf16G1 "attention_bf16_1",
    AttentionBf16G2 "attention_bf16_2",
    AttentionBf16G4 "attention_bf16_4",
    AttentionBf16G8 "attention_bf16_8",
    AttentionDelta "attention_delta",
    AttentionBackwardQF32G1 "attention_backward_q_f32_1",
    AttentionBackwardQF32G2 "attention_backward_q_f32_2",
    AttentionBackwardQF32G4 "attention_backward_q_f32_4",
    AttentionBackwardQF32G8 "attention_backward_q_f32_8",
    AttentionBackwardQBf16G1 "attention_backward_q_bf16_1",
    AttentionBackwardQBf16G2 "attention_backward_q_bf16_2",
    AttentionBackwardQBf16G4 "attention_backward_q_bf16_4",
    AttentionBackwardQBf16G8 "attention_backward_q_bf16_8",
    AttentionBackwardKvF32 "attention_backward_kv_f32",
    AttentionBackwardKvBf16 "attention_backward_kv_bf16",
    Score "score",
    ScoreGradient "score_gradient",
    Draw "draw",
    MostProbable "most_probable",
}

impl Kernel {
    /// The most threads that a block may have: what the compiler counts registers for.
    const fn most_threads(self) -> u32 {
        match self {
            Self::Score | Self::Draw | Self::MostProbable => 1024,
            _ => THREADS,
        }
    }
}

/// Blocks, and what each has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub x: u32,
    pub y: u32,
    pub threads: u32,
    /// Bytes of shared memory that the kernel does not declare itself.
    pub shared: u32,
}

impl Grid {
    /// A block for each row.
    pub(crate) const fn rows(rows: u32, threads: u32) -> Self {
        Self {
            x: rows,
            y: 1,
            threads,
            shared: 0,
        }
    }

    /// Rows × lots of columns, a thread for each column.
    pub(crate) const fn columns(rows: u32, columns: u32) -> Self {
        let threads = threads_for(columns);
        Self {
            x: rows,
            y: columns.div_ceil(threads),
            threads,
            shared: 0,
        }
    }

    /// A thread for each of so many items.
    pub(crate) fn items(operation: &'static str, items: usize) -> Result<Self> {
        let blocks = items.div_ceil(THREADS as usize);
        Ok(Self::rows(
            crate::error::size(operation, "the number of blocks", blocks)?,
            THREADS,
        ))
    }
}

/// Whole warps for so many items, at most [`THREADS`].
pub(crate) const fn threads_for(items: u32) -> u32 {
    let threads = items.div_ceil(32) * 32;
    if threads == 0 {
        32
    } else if threads > THREADS {
        THREADS
    } else {
        threads
    }
}

/// One argument as the kernel gets it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Arg {
    /// The bytes of the value, from the first on.
    pub bits: [u8; 8],
    /// Its code for the emulator: 1 or 2 characters.
    pub code: &'static str,
}

impl Arg {
    const fn new(bits: [u8; 8], code: &'static str) -> Self {
        Self { bits, code }
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Self {
        let [a, b, c, d] = value.to_ne_bytes();
        Self::new([a, b, c, d, 0, 0, 0, 0], "u")
    }
}

impl From<f32> for Arg {
    fn from(value: f32) -> Self {
        let [a, b, c, d] = value.to_ne_bytes();
        Self::new([a, b, c, d, 0, 0, 0, 0], "f")
    }
}

impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Self::new(value.to_ne_bytes(), "l")
    }
}

/// A launch that is being put together. Arguments come in the order of the kernel's parameters.
pub(crate) struct Launch {
    device: Device,
    operation: &'static str,
    kernel: Kernel,
    grid: Grid,
    args: Vec<Arg>,
    same_device: bool,
}

impl Launch {
    pub(crate) fn new(device: &Device, kernel: Kernel, grid: Grid) -> Self {
        Self {
            device: device.clone(),
            operation: kernel.name(),
            kernel,
            grid,
            args: Vec::with_capacity(20),
            same_device: true,
        }
    }

    /// A number.
    pub(crate) fn value(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Memory that the kernel reads.
    pub(crate) fn read<T: Element>(self, buffer: &Buffer<T>) -> Self {
        self.read_at(buffer, 0)
    }

    /// Memory that the kernel reads, from an element on.
    pub(crate) fn read_at<T: Element>(self, buffer: &Buffer<T>, at: usize) -> Self {
        self.pointer(buffer, at, T::READ)
    }

    /// Memory that the kernel reads, or nothing.
    pub(crate) fn read_if<T: Element>(mut self, buffer: Option<&Buffer<T>>) -> Self {
        match buffer {
            Some(buffer) => self.read(buffer),
            None => {
                self.args.push(Arg::new([0; 8], T::READ));
                self
            }
        }
    }

    /// Memory that the kernel writes.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "the kernel writes it")]
    pub(crate) fn write<T: Element>(self, buffer: &mut Buffer<T>) -> Self {
        self.pointer(buffer, 0, T::WRITE)
    }

    /// Memory that the kernel writes, from an element on.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "the kernel writes it")]
    pub(crate) fn write_at<T: Element>(self, buffer: &mut Buffer<T>, at: usize) -> Self {
        self.pointer(buffer, at, T::WRITE)
    }

    /// Memory that the kernel writes, or nothing.
    pub(crate) fn write_if<T: Element>(mut self, buffer: Option<&mut Buffer<T>>) -> Self {
        match buffer {
            Some(buffer) => self.write(buffer),
            None => {
                self.args.push(Arg::new([0; 8], T::WRITE));
                self
            }
        }
    }

    fn pointer<T: Element>(mut self, buffer: &Buffer<T>, at: usize, code: &'static str) -> Self {
        self.same_device &= *buffer.device() == self.device;
        let address = buffer.address() + (at * size_of::<T>()) as u64;
        self.args.push(Arg::new(address.to_ne_bytes(), code));
        self
    }

    /// Runs the kernel; nothing is done for no blocks. Does not wait for it.
    pub(crate) fn run(self) -> Result<()> {
        if !self.same_device {
            return Err(CudaError::OtherDevice {
                operation: self.operation,
            });
        }
        if self.grid.x == 0 || self.grid.y == 0 {
            return Ok(());
        }
        // A grid's second dimension has 16 bits.
        if self.grid.y > 65_535 {
            return Err(CudaError::Limit {
                operation: self.operation,
                what: "the number of lots of columns",
                found: self.grid.y as usize,
                wanted: "less than 2^16",
            });
        }
        let most = self.kernel.most_threads();
        if self.grid.threads > most {
            return Err(CudaError::Limit {
                operation: self.operation,
                what: "the number of threads of a block",
                found: self.grid.threads as usize,
                wanted: "no more than its kernel is compiled for",
            });
        }
        self.device
            .backend()
            .launch(self.kernel, self.grid, &self.args)
    }
}

#[cfg(test)]
mod bounds {
    use super::*;

    /// A kernel that may have more threads than the usual says so to the compiler, and no kernel is compiled for fewer than it
    /// may have.
    #[test]
    fn kernels_are_compiled_for_as_many_threads_as_they_may_have() {
        let ptx = String::from_utf8(crate::ptx::ptx().unwrap()).unwrap();
        let mut bounded = 0;
        for entry in ptx.split(".visible .entry ").skip(1) {
            let name = entry.split('(').next().unwrap();
            let head = entry.split('{').next().unwrap();
            let bound = head.split(".maxntid ").nth(1);
            let bound = bound.map(|rest| rest.split(',').next().unwrap().parse::<u32>().unwrap());
            let kernel = KERNELS.iter().find(|kernel| kernel.name() == name).unwrap();
            assert_eq!(bound.unwrap_or(THREADS), kernel.most_threads(), "{name}");
            bounded += u32::from(bound == Some(1024));
        }
        assert_eq!(bounded, 3);
    }

    #[test]
    #[cfg(feature = "emulator")]
    fn a_block_of_more_threads_is_refused() {
        let device = Device::emulated();
        let mut a = Buffer::<f32>::zeros(&device, 4).unwrap();
        let b = Buffer::<f32>::zeros(&device, 4).unwrap();
        let launch = Launch::new(&device, Kernel::Add, Grid::rows(1, 512));
        let refused = launch.write(&mut a).read(&b).value(4_u64).run();
        assert!(matches!(refused, Err(CudaError::Limit { found: 512, .. })));
    }
}

#[cfg(all(test, feature = "emulator"))]
mod tests {
    use super::*;

    fn reason(result: Result<()>) -> String {
        match result {
            Err(CudaError::Emulator { reason, .. }) => reason,
            other => format!("{other:?}"),
        }
    }

    /// What the emulator is there to find: a launch whose arguments are not the kernel's, or that writes too much.
    #[test]
    fn the_emulator_finds_wrong_launches() {
        let device = Device::emulated();
        let mut a = Buffer::<f32>::zeros(&device, 6).unwrap();
        let b = Buffer::<f32>::zeros(&device, 16).unwrap();
        let grid = Grid::rows(1, 32);
        let launch = || Launch::new(&device, Kernel::Add, grid);
        let swapped = launch().read(&b).write(&mut a).value(6_u64).run();
        assert_eq!(reason(swapped), "wants arguments wfrfl, got rfwfl");
        let narrow = launch().write(&mut a).read(&b).value(6_u32).run();
        assert_eq!(reason(narrow), "wants arguments wfrfl, got wfrfu");
        let part = Launch::new(
            &device,
            Kernel::Add,
            Grid {
                threads: 20,
                ..grid
            },
        );
        let part = part.write(&mut a).read(&b).value(6_u64).run();
        assert_eq!(
            reason(part),
            "no device takes this grid, block or shared memory"
        );
        let mut rounded = Buffer::<u16>::zeros(&device, 6).unwrap();
        let mut round = |count: u64| {
            let launch = Launch::new(&device, Kernel::RoundBf16, grid);
            launch.read(&b).write(&mut rounded).value(count).run()
        };
        assert_eq!(round(6), Ok(()));
        assert_eq!(reason(round(7)), "a write beyond a buffer");
    }

    /// Shared memory that a launch forgets to ask for.
    #[test]
    fn the_emulator_finds_writes_beyond_shared_memory() {
        let device = Device::emulated();
        let floats = |len| Buffer::<f32>::zeros(&device, len).unwrap();
        let queries = Buffer::from_slice(&device, &[0_u32, 0, 0, 1, 0]).unwrap();
        let (keys, mut out) = (floats(4), floats(4));
        let grid = Grid {
            shared: 128,
            ..Grid::rows(1, THREADS)
        };
        let launch = Launch::new(&device, Kernel::AttentionF32G1, grid)
            .read(&keys)
            .value(4_u32)
            .value(0_u32)
            .read(&keys)
            .read(&keys)
            .value(1_u32)
            .value(4_u32)
            .read(&queries)
            .value(1_u32)
            .value(1.0_f32)
            .write(&mut out)
            .write_if::<f32>(None);
        assert_eq!(
            reason(launch.run()),
            "a write beyond the shared memory of the launch"
        );
    }
}
