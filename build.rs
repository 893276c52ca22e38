//! The commit that the program is built from, for the records of a training. None where there is no repository.

use std::process::Command;

fn main() {
    // HEAD names a branch, and its log grows with every commit and checkout.
    for file in [".git/HEAD", ".git/logs/HEAD"] {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed=TLORA_COMMIT");
    if std::env::var_os("TLORA_COMMIT").is_some() {
        return;
    }
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let Ok(output) = output.as_ref().map_err(drop) else {
        return;
    };
    let commit = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && commit.trim().len() == 40 {
        println!("cargo::rustc-env=TLORA_COMMIT={}", commit.trim());
    }
}
