//! The golden values of `spec/vectors/exact`, one test a file, on every instruction set of this machine. They were made by
//! `spec/reference`, an implementation in Python that never saw this one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test without the test harness"
)]

mod bases;
#[path = "../matrices/mod.rs"]
mod matrices;
mod merges;
mod vector;

use bases::{check_basis, check_basis_check, check_rounded, check_rsvd};
use libtest_mimic::{Arguments, Failed, Trial};
use merges::check_merge;
use std::path::Path;
use tlora_basis::{
    Isa, combine, native_projections, standard_projections, torch_projections, torch_seed,
};
use tlora_format::SeedRule;
use vector::Vector;

fn check_projection(vector: &Vector) {
    let (u, rank) = (vector.number("u"), vector.number("rank"));
    let p: Vec<f64> = match vector.text("kind") {
        "native" => {
            let seed = vector.text("seed").parse().unwrap();
            native_projections(seed, vector.text("module"), u, rank).collect()
        }
        "torch" => {
            let rule = match vector.text("seed_rule") {
                "shared" => SeedRule::Shared,
                _ => SeedRule::PerModule,
            };
            let seed = vector.text("seed").parse().unwrap();
            let seed = torch_seed(seed, rule, vector.number("module_number"));
            torch_projections(seed, u, rank, vector.rounding("projection_rounding")).collect()
        }
        "standard" => standard_projections(vector.number("file_rank"), rank).collect(),
        other => panic!("unknown projections {other}"),
    };
    let r = combine(&vector.doubles("v"), p.iter().copied(), rank);
    let found: Vec<u8> = p.iter().chain(&r).flat_map(|x| x.to_le_bytes()).collect();
    assert!(found == vector.payload, "P or R differs");
}

fn check(name: &str, path: &Path, isa: Isa) -> Result<(), Failed> {
    let vector = Vector::read(path);
    match name.split('_').next() {
        Some("basis") => return check_basis(&vector, isa),
        Some("rsvd") => return check_rsvd(&vector, isa),
        Some("rounded") => return check_rounded(&vector, isa),
        Some("check") => check_basis_check(&vector, isa),
        Some("merge") => check_merge(&vector, isa),
        _ => check_projection(&vector),
    }
    Ok(())
}

fn main() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/exact");
    let mut paths: Vec<_> = fs_err::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut trials = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Those are of the checkpoint room.
        if name.starts_with("shard_") {
            continue;
        }
        for isa in Isa::available() {
            let (path, name) = (path.clone(), name.clone());
            trials.push(Trial::test(format!("{name} {}", isa.name()), move || {
                check(&name, &path, isa)
            }));
        }
    }
    assert!(trials.len() > 100, "the vectors are missing");
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
