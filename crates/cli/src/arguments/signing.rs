//! The options of `tlora sign`, `tlora attest` and `tlora keygen`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Sign an adapter
///
/// Writes ADAPTER.sigstore.json, a Sigstore bundle with the SHA-256 of the file and how it was made (SLSA provenance v1):
/// what the file says of itself, or what --run or --predicate say. The same file, statement and key give the same bytes.
///
/// The key is a PEM file that only its owner can read, of P-256 or Ed25519. The passphrase of an encrypted key is in
/// --passphrase-file or in the environment variable TLORA_KEY_PASSPHRASE.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora keygen -o release.pem
  tlora sign adapter.tlora --key release.pem
  tlora sign adapter.tlora --key release.pem --run ./runs/gsm8k-13
  tlora sign adapter.tlora --key release.pem --oms
  model_signing verify key adapter.tlora --public_key release.pem.pub --signature adapter.tlora.sig")]
pub(crate) struct SignOptions {
    /// The adapter
    #[arg(value_name = "ADAPTER")]
    pub(crate) adapter: PathBuf,
    /// The private key: PKCS #8 in PEM, encrypted or not, or as `openssl ecparam -genkey` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseOption,
    /// A JSON file that says how the adapter was made, in the form of SLSA provenance v1
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub(crate) predicate: Option<PathBuf>,
    /// The directory of the run that made the adapter; docs/run-directory.md says what is in it
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Also write a bundle of OpenSSF Model Signing, which model_signing verifies (default: ADAPTER.sig)
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) oms: Option<Option<PathBuf>>,
    /// The file to write (default: ADAPTER.sigstore.json)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

/// State how an adapter was made, without signing it
///
/// Prints an in-toto statement for other programs to sign: the SHA-256 of the file, and how it was made in the form of
/// SLSA provenance v1. --predicate-only is what GitHub's actions/attest and cosign want, since they fill in the file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora attest adapter.tlora --run ./runs/gsm8k-13 -o statement.json
  tlora attest adapter.tlora --run ./runs/gsm8k-13 --predicate-only -o predicate.json
  cosign attest-blob adapter.tlora --predicate predicate.json --type slsaprovenance1 --key cosign.key")]
pub(crate) struct AttestOptions {
    /// The adapter
    #[arg(value_name = "ADAPTER")]
    pub(crate) adapter: PathBuf,
    /// The directory of the run that made the adapter; docs/run-directory.md says what is in it (default: say only what
    /// the file says)
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Leave out the statement around the predicate
    #[arg(long)]
    pub(crate) predicate_only: bool,
    /// The file to write (default: stdout)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

/// Make a key to sign with
///
/// Writes FILE, readable by its owner alone, and the public key FILE.pub for whoever verifies. A file that exists is never
/// replaced.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora keygen -o release.pem
  tlora keygen -o release.pem --passphrase-file <(pass show release)")]
pub(crate) struct KeygenOptions {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The kind of key; only P-256 can sign with --oms
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t = KeyTypeOption::P256)]
    pub(crate) key_type: KeyTypeOption,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseOption,
}

/// Where the passphrase of a key is.
#[derive(Debug, Args)]
pub(crate) struct PassphraseOption {
    /// A file with the key's passphrase in its first line (default: the environment variable TLORA_KEY_PASSPHRASE)
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// See `KeyType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyTypeOption {
    P256,
    Ed25519,
}
