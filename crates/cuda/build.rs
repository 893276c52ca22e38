//! Compresses the kernels that the driver compiles, and compiles those of the emulator, if it is wanted.

use std::io::{Error, Write};
use std::path::PathBuf;

use lzma_rust2::{LzmaOptions, LzmaWriter};

fn main() -> Result<(), Error> {
    println!("cargo:rerun-if-changed=kernels");
    compress_ptx()?;
    #[cfg(feature = "emulator")]
    compile_emulator();
    Ok(())
}

/// PTX is text that repeats itself: a tenth remains.
fn compress_ptx() -> Result<(), Error> {
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    let out = out.ok_or(Error::other("OUT_DIR is not set"))?;
    let ptx = fs_err::read("kernels/kernels.ptx")?;
    let options = LzmaOptions::with_preset(9);
    let mut writer = LzmaWriter::new_use_header(Vec::new(), &options, Some(ptx.len() as u64))?;
    writer.write_all(&ptx)?;
    fs_err::write(out.join("kernels.ptx.lzma"), writer.finish()?)
}

#[cfg(feature = "emulator")]
fn compile_emulator() {
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("kernels/emulator.cpp")
        .include("kernels")
        // Every operation as it is written, and memory read as several types, as on the device.
        .flag("-ffp-contract=off")
        .flag("-fno-strict-aliasing")
        .flag("-Wno-unknown-pragmas")
        // Fibers jump between stacks, which the checks of longjmp take for a mistake.
        .flag("-U_FORTIFY_SOURCE")
        .flag("-Wno-maybe-uninitialized")
        .opt_level(2)
        .compile("tlora_emulator");
}
