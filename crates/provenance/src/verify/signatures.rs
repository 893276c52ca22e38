//! Whose signatures count.

use sha2::{Digest, Sha256};

use super::{BundleFile, Evidence};
use crate::policy::distinct;
use crate::{
    Bundle, Check, Date, Finding, Policy, SignatureError, Signer, SignerIdentity, Statement,
    Verified, oms,
};

/// What became of all bundles.
#[derive(Default)]
pub(super) struct Judged<'a> {
    /// Signatures of the policy's signers on this file.
    valid: Vec<Valid<'a>>,
    /// Bundles that may have such a signature, and why that is not known.
    unknown: Vec<(&'a Signer, String)>,
    /// Bundles that have none, and why.
    others: Vec<(String, String)>,
    bundles: usize,
}

/// A signature of a policy's signer on this file.
pub(super) struct Valid<'a> {
    pub(super) signer: &'a Signer,
    pub(super) statement: &'a Statement,
    /// Why it does not count all the same.
    excuse: Option<String>,
}

/// Tries every bundle with every signer of the policy.
pub(super) fn judge<'a>(evidence: &Evidence<'a>, sha256: &[u8; 32]) -> Judged<'a> {
    let mut judged = Judged {
        bundles: evidence.bundles.len(),
        ..Judged::default()
    };
    let Some(policy) = evidence.policy else {
        return judged;
    };
    for BundleFile { source, bundle } in evidence.bundles {
        match bundle {
            Ok(bundle) => judged.bundle(evidence, policy, source, bundle, sha256),
            Err(error) => judged.others.push((source.clone(), with_causes(error))),
        }
    }
    judged
}

impl<'a> Judged<'a> {
    fn bundle(
        &mut self,
        evidence: &Evidence<'a>,
        policy: &'a Policy,
        source: &str,
        bundle: &'a Bundle,
        sha256: &[u8; 32],
    ) {
        let subject = subject(bundle.unverified_statement(), sha256);
        if !bundle.unverified_statement().names_sha256(&subject) {
            return self.others.push((
                source.to_owned(),
                "the statement is about another file".to_owned(),
            ));
        }
        let mut reasons = Vec::new();
        for signer in &policy.signers {
            match verify_as(evidence, bundle, signer, &subject) {
                Ok(verified) => {
                    return self.valid.push(Valid {
                        signer,
                        statement: verified.statement(),
                        excuse: excuse(policy, signer, evidence.today),
                    });
                }
                Err(Refused::Unknown(reason)) => {
                    self.unknown.push((signer, format!("{source}: {reason}")));
                }
                Err(Refused::Other(reason)) => reasons.push(format!("{}: {reason}", signer.name)),
            }
        }
        self.others.push((source.to_owned(), reasons.join("; ")));
    }

    /// The signatures that count.
    pub(super) fn counting(&self) -> impl Iterator<Item = &Valid<'a>> {
        self.valid.iter().filter(|valid| valid.excuse.is_none())
    }

    /// The distinct signers whose signatures count.
    pub(super) fn counted(&self) -> impl Iterator<Item = &'a Signer> {
        distinct(self.counting().map(|valid| valid.signer)).into_iter()
    }

    /// TL-SIG-1 to TL-SIG-3.
    pub(super) fn findings(&self, policy: &Policy, sha256: &[u8; 32]) -> Vec<Finding> {
        let required = policy.requires(crate::Group::Signature);
        let mut findings = vec![self.signature(required)];
        if required {
            findings.push(self.threshold(policy));
        }
        if !policy.deny.is_empty() {
            findings.push(self.denied(policy, sha256));
        }
        findings
    }

    fn signature(&self, required: bool) -> Finding {
        let check = Check::Signature;
        let names: Vec<_> = self
            .counted()
            .map(|signer| format!("{:?}", signer.name))
            .collect();
        let finding = match (names.is_empty(), self.unknown.is_empty(), required) {
            (false, _, _) => {
                return Finding::pass(check, format!("signed by {}", names.join(", ")));
            }
            (true, _, false) => {
                return Finding::skipped(
                    check,
                    "the policy does not require a signature, and there is none by its signers",
                );
            }
            (true, false, true) => Finding::inconclusive(check, "a signature could not be judged"),
            (true, true, true) if self.bundles == 0 => {
                Finding::fail(check, "there is no bundle with a signature")
            }
            (true, true, true) => {
                Finding::fail(check, "no signature of this file by a signer of the policy")
            }
        };
        self.reasons(finding)
    }

    fn threshold(&self, policy: &Policy) -> Finding {
        let check = Check::Threshold;
        let (wanted, found) = (policy.threshold.get(), self.counted().count());
        let message = format!("distinct signers: {found}; the policy wants {wanted}");
        let possible = self.unknown.iter().map(|(signer, _)| *signer);
        if found >= wanted {
            Finding::pass(check, message)
        } else if distinct(self.counted().chain(possible)).len() >= wanted {
            Finding::inconclusive(check, message)
        } else {
            let late = self
                .valid
                .iter()
                .filter_map(|valid| Some((&valid.signer.name, valid.excuse.as_ref()?)));
            late.fold(Finding::fail(check, message), |finding, (name, excuse)| {
                finding.fact(format!("signer {name:?}"), excuse)
            })
        }
    }

    fn denied(&self, policy: &Policy, sha256: &[u8; 32]) -> Finding {
        let check = Check::Denied;
        if policy
            .deny
            .adapters
            .contains(&crate::encoding::to_hex(sha256))
        {
            return Finding::fail(check, "the policy denies this file");
        }
        match self
            .valid
            .iter()
            .find(|valid| policy.deny.refuses(valid.signer))
        {
            Some(valid) => Finding::fail(
                check,
                format!("the policy denies the signer {:?}", valid.signer.name),
            ),
            None => Finding::pass(check, check.meaning()),
        }
    }

    /// Adds why bundles do not count.
    fn reasons(&self, mut finding: Finding) -> Finding {
        for valid in &self.valid {
            if let Some(excuse) = &valid.excuse {
                finding = finding.fact(format!("signer {:?}", valid.signer.name), excuse);
            }
        }
        for (signer, reason) in &self.unknown {
            finding = finding.fact(format!("signer {:?}", signer.name), reason);
        }
        for (source, reason) in &self.others {
            finding = finding.fact(format!("bundle {source}"), reason);
        }
        finding
    }
}

/// The digest that a statement has to name: model signing hashes the digests of all files, the others the file.
fn subject(statement: &Statement, sha256: &[u8; 32]) -> [u8; 32] {
    if statement.predicate_type == oms::PREDICATE_TYPE {
        Sha256::digest(sha256).into()
    } else {
        *sha256
    }
}

/// Why a valid signature does not count.
fn excuse(policy: &Policy, signer: &Signer, today: Option<Date>) -> Option<String> {
    if policy.deny.refuses(signer) {
        return Some("denied by the policy".to_owned());
    }
    match today {
        Some(today) => signer.out_of_date(today),
        None if signer.not_before.is_some() || signer.not_after.is_some() => {
            Some("the clock of this machine is wrong".to_owned())
        }
        None => None,
    }
}

/// Why a bundle has no signature of a signer.
enum Refused {
    /// It could not be judged.
    Unknown(String),
    /// It has none.
    Other(String),
}

impl From<SignatureError> for Refused {
    fn from(error: SignatureError) -> Self {
        if error.is_inconclusive() {
            Self::Unknown(with_causes(&error))
        } else {
            Self::Other(with_causes(&error))
        }
    }
}

#[cfg_attr(
    not(feature = "keyless"),
    expect(unused_variables, reason = "only certificates need them")
)]
fn verify_as<'a>(
    evidence: &Evidence<'_>,
    bundle: &'a Bundle,
    signer: &Signer,
    subject: &[u8; 32],
) -> Result<Verified<'a>, Refused> {
    match &signer.identity {
        SignerIdentity::Key(key) => Ok(bundle.verify_with_key(key)?),
        SignerIdentity::Workflow { .. } if bundle.is_key_signed() => {
            Err(Refused::Other("signed with a key".to_owned()))
        }
        #[cfg(feature = "keyless")]
        SignerIdentity::Workflow { identity, issuer } => {
            Ok(bundle.verify_with_identity(subject, identity, issuer, evidence.root)?)
        }
        #[cfg(not(feature = "keyless"))]
        SignerIdentity::Workflow { .. } => Err(Refused::Unknown(
            "this program was built without the feature keyless, and cannot check identities"
                .to_owned(),
        )),
    }
}

/// An error and what led to it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
