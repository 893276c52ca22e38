//! Compiles the emulator of the kernels, if it is wanted.

fn main() {
    println!("cargo:rerun-if-changed=kernels");
    #[cfg(feature = "emulator")]
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
