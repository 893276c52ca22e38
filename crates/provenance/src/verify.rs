//! The checks of a file: what it is, who signed it, what its signers say, and whether it is the one that was pinned.
//!
//! What needs the weights of a base is checked elsewhere, and handed in as findings.

mod claims;
mod file;
mod locked;
mod signatures;

use sha2::{Digest, Sha256};
use tlora_format::{Adapter, ParseError};

pub use claims::claim;
pub use file::canonical_seed;

use crate::encoding::to_hex;
use crate::{Bundle, BundleError, Date, Finding, Lock, Policy, Report};

/// What an adapter is judged by. Nothing is read from files here: what is hashed is what is parsed, and what is used.
pub struct Evidence<'a> {
    /// The bytes of the adapter's file.
    pub bytes: &'a [u8],
    /// Whether these are all of its bytes. More than an adapter can have are not read.
    pub whole: bool,
    /// What they are.
    pub adapter: &'a Result<Adapter, ParseError>,
    /// What is wanted of it.
    pub policy: Option<&'a Policy>,
    /// The bundles that were found or given.
    pub bundles: &'a [BundleFile],
    /// What is pinned, and under which path the file is.
    pub lock: Option<(&'a Lock, &'a str)>,
    /// The day of the verification.
    pub today: Option<Date>,
    /// Whom to believe about certificates.
    #[cfg(feature = "keyless")]
    pub root: &'a crate::TrustedRoot,
    /// What was found with the base and the merged checkpoint.
    pub elsewhere: Vec<Finding>,
}

/// A bundle, or a file that should be one.
#[derive(Debug)]
pub struct BundleFile {
    /// Where it came from, such as a file name and a line.
    pub source: String,
    /// The bundle, or why it is none.
    pub bundle: Result<Bundle, BundleError>,
}

impl BundleFile {
    /// The bundles of a file: one, or one a line if `lines`.
    #[must_use]
    pub fn read(source: &str, bytes: &[u8], lines: bool) -> Vec<Self> {
        let one = |source: String, bundle| Self { source, bundle };
        if !lines {
            return vec![one(source.to_owned(), Bundle::parse(bytes))];
        }
        match Bundle::parse_lines(bytes) {
            Ok(found) => {
                let bundles = found.bundles.into_iter();
                let read = |(line, bundle)| one(format!("{source}, line {line}"), Ok(bundle));
                bundles.map(read).collect()
            }
            Err(error) => vec![one(source.to_owned(), Err(error))],
        }
    }
}

/// Makes all checks that need no weights, and puts the report together.
#[must_use]
pub fn verify(evidence: Evidence<'_>) -> Report {
    let sha256: [u8; 32] = Sha256::digest(evidence.bytes).into();
    let mut findings = Vec::new();
    let judged = signatures::judge(&evidence, &sha256);
    if let Some(policy) = evidence.policy {
        findings.extend(judged.findings(policy, &sha256));
        findings.extend(claims::findings(
            policy,
            &judged,
            evidence.adapter.as_ref().ok(),
        ));
    } else {
        findings.push(Finding::skipped(
            crate::Check::Signature,
            "not checked (no policy)",
        ));
    }
    findings.push(file::canonical(evidence.bytes, evidence.adapter));
    if let Ok(adapter) = evidence.adapter {
        if let Some(policy) = evidence.policy {
            findings.extend(file::limits(adapter, policy, &evidence.elsewhere));
        }
        findings.extend(evidence.lock.map(|(lock, path)| {
            locked::finding(lock, path, &sha256, adapter, evidence.policy, &judged)
        }));
    }
    findings.extend(evidence.elsewhere);
    let signers = judged.counted().map(|signer| signer.name.clone()).collect();
    let bytes = evidence.bytes.len();
    Report::complete(
        evidence.whole.then(|| to_hex(&sha256)),
        bytes,
        evidence.policy,
        signers,
        findings,
    )
}
