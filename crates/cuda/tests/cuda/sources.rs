//! The committed PTX belongs to the committed sources, and has all kernels.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels")
}

/// SHA-256 over the names and bytes of the sources, as build_ptx.py has it.
fn sources_digest() -> String {
    let mut paths: Vec<PathBuf> = fs_err::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "cu" || e == "cuh"))
        .collect();
    paths.sort();
    let mut digest = Sha256::new();
    for path in paths {
        let data = fs_err::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        digest.update(format!("{name} {}\n", data.len()));
        digest.update(data);
    }
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn the_ptx_is_of_these_sources() {
    let ptx = fs_err::read_to_string(folder().join("kernels.ptx")).unwrap();
    assert!(
        ptx.contains(&format!("// sources sha256 {}\n", sources_digest())),
        "a kernel has changed: run crates/cuda/kernels/build-ptx.sh"
    );
    // A driver of CUDA 12.0 takes ISA 8.0.
    assert!(ptx.contains("\n.version 8.0\n.target sm_80\n"));
}

#[test]
fn the_emulator_has_the_kernels_of_the_ptx() {
    let ptx = fs_err::read_to_string(folder().join("kernels.ptx")).unwrap();
    let list = fs_err::read_to_string(folder().join("kernels.def")).unwrap();
    let launch = fs_err::read_to_string(folder().join("../src/launch.rs")).unwrap();
    let entries = ptx
        .lines()
        .filter_map(|line| line.strip_prefix(".visible .entry "));
    let mut entries: Vec<&str> = entries.map(|name| name.trim_end_matches('(')).collect();
    let mut listed: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("ENTRY(")?.strip_suffix(')'))
        .collect();
    for name in &listed {
        assert!(
            launch.contains(&format!(" \"{name}\",")),
            "{name} is not in launch.rs"
        );
    }
    entries.sort_unstable();
    listed.sort_unstable();
    assert_eq!(entries, listed);
}
