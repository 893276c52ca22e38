//! Times the exact basis of a checkpoint's modules, for `benches/peers/compare.py` and `svd_accuracy.py`.
//!
//!     cargo run --release --example bench_svd -- CHECKPOINT_OR_FILE [--rank 2] [--threads 1] [--isa avx2] [--json] [--dump OUT]
//!     cargo run --release --example bench_svd -- --qwen2.5-7b [--threads 2]
//!
//! The second form takes the 196 modules of Qwen2.5-7B, with synthetic weights: one layer's seven matrices, 28 times.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark: it fails loudly and prints its figures"
)]

use clap::Parser;
use rayon::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tlora_basis::{ExactBasis, Isa, Weight, WeightDtype, exact_basis_on};
use tlora_checkpoint::{Checkpoint, Dtype, Module, ShardLayout, default_targets, modules};
use tlora_format::{STANDARD_TARGETS, TargetModules};

/// Time the exact basis
#[derive(Parser)]
struct Arguments {
    /// A checkpoint directory or a safetensors file
    #[arg(required_unless_present = "qwen2_5_7b")]
    checkpoint: Option<PathBuf>,
    /// Rank of the basis
    #[arg(long, default_value_t = 2)]
    rank: usize,
    /// Threads over modules and over rows of large ones
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Instruction set: scalar, avx2, avx512, neon; the fastest if left out
    #[arg(long)]
    isa: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write V and sigma of every module to this safetensors file
    #[arg(long)]
    dump: Option<PathBuf>,
    /// The shapes of Qwen2.5-7B instead of a checkpoint
    #[arg(long = "qwen2.5-7b")]
    qwen2_5_7b: bool,
}

/// A weight in memory.
struct Matrix {
    name: String,
    dtype: WeightDtype,
    rows: usize,
    columns: usize,
    bytes: Vec<u8>,
}

/// What one module took.
struct Timed {
    name: String,
    shape: (usize, usize),
    cpu_seconds: f64,
    result: ExactBasis,
}

fn main() {
    let arguments = Arguments::parse();
    let isa = match &arguments.isa {
        None => Isa::detect(),
        Some(name) => Isa::available()
            .into_iter()
            .find(|isa| isa.name() == name)
            .unwrap(),
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build_global()
        .unwrap();
    if arguments.qwen2_5_7b {
        return whole_7b(isa, arguments.rank);
    }
    let matrices = load(arguments.checkpoint.as_deref().unwrap());
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let timed: Vec<Timed> = if arguments.threads == 1 {
        matrices
            .iter()
            .map(|matrix| time(isa, matrix, arguments.rank))
            .collect()
    } else {
        matrices
            .par_iter()
            .map(|matrix| time(isa, matrix, arguments.rank))
            .collect()
    };
    report(
        &timed,
        cpu_seconds() - cpu,
        wall.elapsed().as_secs_f64(),
        isa,
        arguments.json,
    );
    if let Some(path) = arguments.dump {
        dump(&timed, &path);
    }
}

fn time(isa: Isa, matrix: &Matrix, rank: usize) -> Timed {
    let weight = Weight::new(matrix.dtype, matrix.rows, matrix.columns, &matrix.bytes).unwrap();
    let start = cpu_seconds();
    let result = exact_basis_on(isa, &weight, rank.min(matrix.rows).min(matrix.columns)).unwrap();
    let cpu_seconds = cpu_seconds() - start;
    Timed {
        name: matrix.name.clone(),
        shape: (matrix.rows, matrix.columns),
        cpu_seconds,
        result,
    }
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

fn report(timed: &[Timed], cpu: f64, wall: f64, isa: Isa, json: bool) {
    let weights = |t: &Timed| (t.shape.0 * t.shape.1) as f64;
    let total: f64 = timed.iter().map(weights).sum();
    let read: f64 = timed
        .iter()
        .map(|t| weights(t) * f64::from(t.result.passes))
        .sum();
    if json {
        let modules: Vec<_> = timed
            .iter()
            .map(|t| {
                serde_json::json!({
                    "name": t.name, "shape": [t.shape.0, t.shape.1], "cpu_seconds": t.cpu_seconds, "passes": t.result.passes,
                })
            })
            .collect();
        let report = serde_json::json!({
            "cpu_seconds": cpu, "wall_seconds": wall, "passes": read / total, "isa": isa.name(), "modules": modules,
        });
        println!("{report}");
        return;
    }
    if timed.len() <= 12 {
        for t in timed {
            let rate = weights(t) * f64::from(t.result.passes) / t.cpu_seconds / 1e9;
            let (m, n) = t.shape;
            println!(
                "{m} x {n}: {:.4} CPU s, {} passes, {rate:.2} Gweights/s",
                t.cpu_seconds, t.result.passes
            );
        }
    }
    println!(
        "{} modules, {:.1} M weights, {}: {cpu:.3} CPU s, {wall:.3} s wall, {:.2} passes by weight, {:.2} Gweights/s",
        timed.len(),
        total / 1e6,
        isa.name(),
        read / total,
        read / cpu / 1e9
    );
}

/// All adapted modules of a directory, or of a file given by itself.
fn load(path: &Path) -> Vec<Matrix> {
    let linked = tempfile::tempdir().unwrap();
    let directory = if path.is_file() {
        std::os::unix::fs::symlink(
            path.canonicalize().unwrap(),
            linked.path().join("model.safetensors"),
        )
        .unwrap();
        linked.path()
    } else {
        path
    };
    let checkpoint = Checkpoint::open(directory).unwrap();
    let standard =
        || TargetModules::Suffixes(STANDARD_TARGETS.iter().map(ToString::to_string).collect());
    let targets = default_targets(&checkpoint).unwrap_or_else(|_| standard());
    modules(&checkpoint, &targets)
        .unwrap()
        .iter()
        .map(|module| read(&checkpoint, module))
        .collect()
}

fn read(checkpoint: &Checkpoint, module: &Module) -> Matrix {
    let mut bytes = vec![0; usize::try_from(module.tensor.bytes).unwrap()];
    checkpoint.read_at(&module.tensor, 0, &mut bytes).unwrap();
    let dtype = match module.tensor.dtype {
        Dtype::Bf16 => WeightDtype::Bf16,
        Dtype::F16 => WeightDtype::F16,
        _ => WeightDtype::F32,
    };
    let size = |n| usize::try_from(n).unwrap();
    let (rows, columns) = (size(module.out_features), size(module.in_features));
    Matrix {
        name: module.name.clone(),
        dtype,
        rows,
        columns,
        bytes,
    }
}

/// `<module>.v` (r, n) and `<module>.sigma` (r), binary64.
fn dump(timed: &[Timed], path: &Path) {
    let mut tensors = Vec::new();
    for t in timed {
        let basis = &t.result.basis;
        tensors.push((
            format!("{}.v", t.name),
            vec![basis.rank as u64, basis.columns as u64],
            &basis.v,
        ));
        tensors.push((
            format!("{}.sigma", t.name),
            vec![basis.rank as u64],
            &basis.sigma,
        ));
    }
    let layout = ShardLayout::new(
        tensors
            .iter()
            .map(|(name, shape, _)| (name.as_str(), Dtype::F64, shape.as_slice())),
    );
    let layout = layout.unwrap();
    let mut file = layout.header().to_vec();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    file.extend(
        tensors
            .iter()
            .flat_map(|(_, _, values)| values.iter().flat_map(|x| x.to_le_bytes())),
    );
    fs_err::write(path, file).unwrap();
}

/// Strong directions of a synthetic weight, and their sizes: i^-0.15, as slowly as a trained weight's.
const STRONG: [f32; 8] = [1.0, 0.901, 0.848, 0.812, 0.786, 0.764, 0.747, 0.732];

/// A trained weight's spectrum, roughly: a bulk whose edge is at 0.6 of the largest of eight strong directions.
fn synthetic(name: &str, rows: usize, columns: usize) -> Matrix {
    let uniform = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 40) as f32 / 8_388_608.0 - 1.0
    };
    let bulk = 1.2 / ((rows as f32).sqrt() + (columns as f32).sqrt());
    let strong = |side: u64, i: usize, c: u64| uniform((side << 50) + ((i as u64) << 3) + c);
    let mut bytes = Vec::with_capacity(rows * columns * 2);
    let right: Vec<[f32; 8]> = (0..columns)
        .map(|j| std::array::from_fn(|c| strong(2, j, c as u64)))
        .collect();
    for i in 0..rows {
        let left: [f32; 8] = std::array::from_fn(|c| strong(1, i, c as u64));
        for (j, right) in right.iter().enumerate() {
            let signal: f32 = (0..8).map(|c| left[c] * right[c] * STRONG[c]).sum();
            let w = bulk * uniform((i * columns + j) as u64)
                + signal * 3.46 / ((rows * columns) as f32).sqrt();
            bytes.extend_from_slice(&(((w.to_bits() + 0x8000) >> 16) as u16).to_le_bytes());
        }
    }
    Matrix {
        name: name.to_owned(),
        dtype: WeightDtype::Bf16,
        rows,
        columns,
        bytes,
    }
}

fn whole_7b(isa: Isa, rank: usize) {
    let shapes = [
        ("q", 3584, 3584),
        ("k", 512, 3584),
        ("v", 512, 3584),
        ("o", 3584, 3584),
        ("gate", 18944, 3584),
        ("up", 18944, 3584),
    ];
    let mut layer: Vec<Matrix> = shapes
        .par_iter()
        .map(|&(name, m, n)| synthetic(name, m, n))
        .collect();
    layer.push(synthetic("down", 3584, 18944));
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let all: Vec<&Matrix> = std::iter::repeat_n(&layer, 28).flatten().collect();
    let timed: Vec<Timed> = all
        .par_iter()
        .map(|matrix| time(isa, matrix, rank))
        .collect();
    report(
        &timed,
        cpu_seconds() - cpu,
        wall.elapsed().as_secs_f64(),
        isa,
        false,
    );
}
