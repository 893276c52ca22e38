//! Small checkpoints and adapters for the tests of this room.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;

use tlora_basis::{Basis, Weight, WeightDtype, basis_check, exact_basis};
use tlora_checkpoint::{Checkpoint, tmd1};
use tlora_format::{
    Adapter, AdapterFields, BaseDigest, BasisKind, Corrections, Precision, ProjectionKind,
    Rounding, SigmaSide, TargetModules, Tying,
};
use tlora_rebuild::{Cache, Run};

/// A tensor of a test checkpoint: name, dtype, shape, bytes.
pub(crate) type Tensor = (&'static str, &'static str, Vec<usize>, Vec<u8>);

/// Finite bf16 weights that look like noise.
pub(crate) fn weights(count: usize, mut state: u32) -> Vec<u8> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, _, low, sign] = state.to_le_bytes();
        [low, 0x3c + (sign & 1) + (sign & 0x80)]
    };
    (0..count).flat_map(|_| next()).collect()
}

/// Writes a safetensors file.
pub(crate) fn write_shard(path: &Path, tensors: &[Tensor]) {
    let (mut begin, mut entries, mut data) = (0, Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let end = begin + bytes.len();
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        ));
        data.extend_from_slice(bytes);
        begin = end;
    }
    let json = format!("{{{}}}", entries.join(","));
    let length = u64::try_from(json.len()).unwrap().to_le_bytes();
    fs_err::write(path, [&length, json.as_bytes(), &data].concat()).unwrap();
}

/// Writes a checkpoint of one file.
pub(crate) fn write_checkpoint(directory: &Path, tensors: &[Tensor]) -> Checkpoint {
    fs_err::create_dir_all(directory).unwrap();
    write_shard(&directory.join("model.safetensors"), tensors);
    Checkpoint::open(directory).unwrap()
}

/// The bytes of a tensor of a checkpoint.
pub(crate) fn tensor(checkpoint: &Checkpoint, name: &str) -> Vec<u8> {
    let tensor = &checkpoint.tensors()[name];
    let mut bytes = vec![0; usize::try_from(tensor.bytes).unwrap()];
    checkpoint.read_at(tensor, 0, &mut bytes).unwrap();
    bytes
}

pub(crate) fn run(threads: usize, cache: Option<&Cache>) -> Run<'_> {
    Run {
        threads: NonZero::new(threads).unwrap(),
        cache,
        progress: &(),
    }
}

pub(crate) fn base_digest(checkpoint: &Checkpoint) -> BaseDigest {
    tmd1::digest(checkpoint, NonZero::<usize>::MIN, &|_| {})
        .unwrap()
        .digest
}

pub(crate) fn basis(
    dtype: WeightDtype,
    rows: usize,
    columns: usize,
    bytes: &[u8],
    rank: usize,
) -> Basis {
    exact_basis(&Weight::new(dtype, rows, columns, bytes).unwrap(), rank)
        .unwrap()
        .basis
}

/// An adapter of one group for modules that are named in full, whose R is `r` for all of them, to the last bit.
pub(crate) fn adapter_with_r(
    base: BaseDigest,
    modules: &[(&str, &Basis)],
    r: &[f64],
    side: SigmaSide,
    scale: f32,
) -> Adapter {
    let names: Vec<&str> = modules.iter().map(|(name, _)| *name).collect();
    let fields = fields_with_r(base, &names, r, scale);
    Adapter::new(AdapterFields {
        sigma_side: side,
        basis_check: basis_check(modules.iter().copied()),
        ..fields
    })
    .unwrap()
}

/// The fields of such an adapter with an exact basis, Σ on the left, and no basis check yet.
///
/// Every entry of R has three trained numbers, its upper, middle and lower bits as f32, and three projections that are 1
/// at its place and 0 elsewhere.
pub(crate) fn fields_with_r(
    base: BaseDigest,
    modules: &[&str],
    r: &[f64],
    scale: f32,
) -> AdapterFields {
    let count = u32::try_from(modules.len()).unwrap();
    let (mut v, mut values) = (Vec::new(), Vec::new());
    for (entry, number) in r.iter().enumerate() {
        for part in three_parts(*number) {
            v.push(part.to_bits());
            values
                .extend((0..r.len()).map(|place| if place == entry { 1_f32.to_bits() } else { 0 }));
        }
    }
    AdapterFields {
        precision: Precision::F32,
        u: u16::try_from(v.len()).unwrap(),
        v,
        rank: u8::try_from(r.len().isqrt()).unwrap(),
        module_count: count,
        group_count: 1,
        n_tie: count,
        tying: Tying::Tiled,
        targets: TargetModules::Modules(modules.iter().map(|name| (*name).to_owned()).collect()),
        sigma_side: SigmaSide::Left,
        basis: BasisKind::Exact,
        basis_rounding: Rounding::None,
        projection: ProjectionKind::Explicit {
            precision: Precision::F32,
            shared: true,
            values,
        },
        scale,
        base,
        basis_check: [0; 8],
        module_ranks: None,
        module_scales: None,
        transposed: None,
        signs: None,
        corrections: Corrections::default(),
        text: BTreeMap::new(),
        unknown: BTreeMap::new(),
    }
}

/// Three f32 whose sum, from the first on, is the number.
fn three_parts(mut number: f64) -> [f32; 3] {
    let mut parts = [0.0; 3];
    for part in &mut parts {
        // The upper 24 bits, so that nothing is rounded.
        let upper = f64::from_bits(number.to_bits() & !0x1FFF_FFFF);
        *part = upper.to_string().parse().unwrap();
        assert_eq!(f64::from(*part), upper, "the vector's R is outside of f32");
        number -= upper;
    }
    assert_eq!(number, 0.0);
    parts
}
