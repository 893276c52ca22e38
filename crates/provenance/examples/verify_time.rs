//! How long a signature takes to check, from the bytes of the bundle on:
//! `cargo run --release --all-features -p tlora-provenance --example verify_time`.
//!
//! The limit is 50 ms; the program fails where a median is above it.
#![expect(clippy::print_stdout, reason = "it prints its measurements")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use tlora_provenance::{Bundle, PublicKey};

const LIMIT: Duration = Duration::from_millis(50);
const ROUNDS: usize = 101;

fn main() -> Result<(), Box<dyn Error>> {
    let p256 = (
        include_bytes!("../tests/fixtures/bundles/p256.sigstore.json"),
        include_str!("../tests/fixtures/keys/p256.pub"),
    );
    let ed25519 = (
        include_bytes!("../tests/fixtures/bundles/ed25519.sigstore.json"),
        include_str!("../tests/fixtures/keys/ed25519.pub"),
    );
    measure("P-256", || with_key(p256.0, p256.1))?;
    measure("Ed25519", || with_key(ed25519.0, ed25519.1))?;
    #[cfg(feature = "keyless")]
    measure("identity", keyless)?;
    Ok(())
}

fn with_key(bundle: &[u8], key: &str) -> Result<(), Box<dyn Error>> {
    let bundle = Bundle::parse(black_box(bundle))?;
    bundle.verify_with_key(&PublicKey::from_pem(key)?)?;
    Ok(())
}

/// With the reading of the trusted root, as a command does it once.
#[cfg(feature = "keyless")]
fn keyless() -> Result<(), Box<dyn Error>> {
    const PACKAGE: &[u8; 64] = b"54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f";
    let bundle = Bundle::parse(black_box(include_bytes!(
        "../tests/fixtures/keyless/github-actions.sigstore.json"
    )))?;
    let digest: Vec<u8> = PACKAGE
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16))
        .collect::<Result<_, _>>()?;
    bundle.verify_with_identity(
        digest.as_slice().try_into()?,
        "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main",
        "https://token.actions.githubusercontent.com",
        &tlora_provenance::TrustedRoot::public_good()?,
    )?;
    Ok(())
}

/// Prints the median and the longest of the rounds.
fn measure(
    name: &str,
    check: impl Fn() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        check()?;
        times.push(start.elapsed());
    }
    times.sort();
    let (median, longest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    println!("{name:10} median {median:>10.2?}, longest {longest:>10.2?}");
    if median > LIMIT {
        return Err(format!("{name}: {median:?} is more than {LIMIT:?}").into());
    }
    Ok(())
}
