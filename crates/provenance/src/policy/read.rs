//! From the text of a policy to a [`Policy`]: every value judged, every key read.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use fs_err::File;
use sha2::{Digest, Sha256};
use tlora_format::BaseDigest;
use toml::Spanned;

use super::claims::{ClaimPolicy, is_claim_name};
use super::date::Date;
use super::document::{BaseEntry, ClaimsEntry, DenyEntry, Document, LimitsEntry, Require};
use super::error::PolicyError;
use super::signer::{Signer, signer};
use super::{Deny, Limits, Policy, PolicyBase, SeedRule};
use crate::encoding::to_hex;
use crate::{Group, PublicKey};

/// The most bytes that are read of a policy or a key.
const MAX_BYTES: u64 = 1 << 20;

impl Policy {
    /// Reads a policy file and the keys that it names; relative paths are relative to the policy file.
    ///
    /// # Errors
    /// If the file is no policy, or one of its keys cannot be used.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let bytes = bounded(path)?.ok_or_else(|| PolicyError::TooLarge {
            path: path.to_owned(),
            limit: MAX_BYTES,
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + count_lines(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
            let message = "the file is not UTF-8".to_owned();
            PolicyError::Syntax { line, message }
        })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, &mut |key| {
            let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "more than a key has");
            bounded(&directory.join(key))?.ok_or_else(too_large)
        })
    }

    /// Reads the text of a policy. `read_key` gives the bytes of a key file, by its path as the policy has it.
    ///
    /// # Errors
    /// As [`Policy::read`].
    pub fn parse(
        text: &str,
        read_key: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, PolicyError> {
        let document: Document = toml::from_str(text).map_err(|error| PolicyError::Syntax {
            line: 1 + count_lines(
                text.get(..error.span().map_or(0, |span| span.start))
                    .unwrap_or_default()
                    .as_bytes(),
            ),
            message: error.message().to_owned(),
        })?;
        let mut reader = Reader { text, read_key };
        if *document.version.as_ref() != 1 {
            return Err(reader.value(&document.version, "version", "1"));
        }
        let signers = document
            .signer
            .iter()
            .map(|entry| signer(&mut reader, entry));
        let signers: Vec<Signer> = signers.collect::<Result<_, _>>()?;
        let claims = reader.claims(&document.claims)?;
        let require = reader.require(&document.require, &claims)?;
        if signers.is_empty()
            && (require.contains(&Group::Signature) || require.contains(&Group::Provenance))
        {
            return Err(PolicyError::NoSigners);
        }
        Ok(Self {
            sha256: to_hex(&Sha256::digest(text.as_bytes())),
            threshold: reader.threshold(&document.require, &signers)?,
            require,
            signers,
            bases: document
                .base
                .iter()
                .map(|entry| reader.base(entry))
                .collect::<Result<_, _>>()?,
            limits: reader.limits(&document.limits)?,
            claims,
            deny: reader.deny(&document.deny)?,
        })
    }
}

/// What the values are read with.
pub(super) struct Reader<'a> {
    text: &'a str,
    read_key: &'a mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
}

impl Reader<'_> {
    /// The line of a value, from 1.
    pub(super) fn line<T>(&self, value: &Spanned<T>) -> usize {
        let before = self.text.get(..value.span().start).unwrap_or_default();
        1 + count_lines(before.as_bytes())
    }

    /// What is wrong with a value.
    pub(super) fn value<T: ToString>(
        &self,
        value: &Spanned<T>,
        what: &'static str,
        wanted: &'static str,
    ) -> PolicyError {
        PolicyError::Value {
            line: self.line(value),
            what,
            wanted,
            found: value.as_ref().to_string(),
        }
    }

    /// The public key of a file.
    pub(super) fn key(&mut self, path: &Spanned<String>) -> Result<PublicKey, PolicyError> {
        let line = self.line(path);
        let path = PathBuf::from(path.as_ref());
        let bytes = match (self.read_key)(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(PolicyError::KeyFile { line, path, source }),
        };
        PublicKey::from_pem(&String::from_utf8_lossy(&bytes)).map_err(|source| PolicyError::Key {
            line,
            path,
            source,
        })
    }

    pub(super) fn date(
        &self,
        value: Option<&Spanned<String>>,
        what: &'static str,
    ) -> Result<Option<Date>, PolicyError> {
        let Some(value) = value else { return Ok(None) };
        let wrong = |_| self.value(value, what, "a day such as \"2027-12-31\"");
        value.as_ref().parse().map(Some).map_err(wrong)
    }

    /// What is required by name, and by the presence of other lines.
    fn require(
        &self,
        require: &Require,
        claims: &ClaimPolicy,
    ) -> Result<BTreeSet<Group>, PolicyError> {
        let mut groups = BTreeSet::from([Group::Format]);
        for name in &require.checks {
            let wanted =
                "\"format\", \"base\", \"merged\", \"signature\", \"provenance\" or \"lock\"";
            let group = Group::from_name(name.as_ref());
            groups.insert(group.ok_or_else(|| self.value(name, "checks", wanted))?);
        }
        if require.threshold.is_some() {
            groups.insert(Group::Signature);
        }
        if !claims.is_empty() {
            groups.insert(Group::Provenance);
        }
        Ok(groups)
    }

    fn threshold(
        &self,
        require: &Require,
        signers: &[Signer],
    ) -> Result<NonZero<usize>, PolicyError> {
        let Some(value) = &require.threshold else {
            return Ok(NonZero::<usize>::MIN);
        };
        let threshold = usize::try_from(*value.as_ref()).ok().and_then(NonZero::new);
        let threshold = threshold.ok_or_else(|| self.value(value, "threshold", "1 or more"))?;
        let distinct = distinct(signers).len();
        if threshold.get() > distinct {
            return Err(PolicyError::Threshold {
                line: self.line(value),
                threshold: threshold.get() as u64,
                signers: distinct,
            });
        }
        Ok(threshold)
    }

    fn base(&self, entry: &BaseEntry) -> Result<PolicyBase, PolicyError> {
        let text = entry.tmd1.as_ref();
        let digits = text.strip_prefix("tmd1:").unwrap_or(text);
        let wanted = "64 lower-case hexadecimal digits";
        let tmd1: BaseDigest = format!("tmd1:{digits}")
            .parse()
            .map_err(|_not_hex| self.value(&entry.tmd1, "tmd1", wanted))?;
        let commit = entry.commit.as_ref();
        if let Some(commit) = commit.filter(|commit| !is_commit(commit.as_ref())) {
            return Err(self.value(commit, "commit", "40 or 64 lower-case hexadecimal digits"));
        }
        Ok(PolicyBase {
            id: entry.id.clone(),
            tmd1,
            commit: commit.map(|commit| commit.as_ref().clone()),
        })
    }

    fn limits(&self, entry: &LimitsEntry) -> Result<Limits, PolicyError> {
        let max_params = entry.max_params.as_ref().map(|value| {
            u64::try_from(*value.as_ref())
                .map_err(|_negative| self.value(value, "max_params", "0 or more"))
        });
        let ratio = entry.max_delta_ratio.as_ref();
        // NaN is no limit at all: nothing is larger.
        if let Some(ratio) =
            ratio.filter(|ratio| !(ratio.as_ref().is_finite() && *ratio.as_ref() >= 0.0))
        {
            return Err(self.value(ratio, "max_delta_ratio", "a number, 0 or more"));
        }
        let seed = match &entry.seed {
            None => SeedRule::Any,
            Some(rule) => match rule.as_ref().as_str() {
                "any" => SeedRule::Any,
                "canonical" => SeedRule::Canonical,
                _ => return Err(self.value(rule, "seed", "\"any\" or \"canonical\"")),
            },
        };
        Ok(Limits {
            max_params: max_params.transpose()?,
            max_delta_ratio: ratio.map(|ratio| *ratio.as_ref()),
            seed,
        })
    }

    fn claims(&self, entry: &ClaimsEntry) -> Result<ClaimPolicy, PolicyError> {
        let wanted = "a name such as code.commit or eval.gsm8k";
        let mut claims = ClaimPolicy::default();
        for name in &entry.required {
            if !is_claim_name(name.as_ref()) {
                return Err(self.value(name, "required", wanted));
            }
            claims.required.insert(name.as_ref().clone());
        }
        for (name, least) in &entry.min {
            if !is_claim_name(name.as_ref()) {
                return Err(self.value(name, "min", wanted));
            }
            if !least.as_ref().is_finite() {
                return Err(self.value(least, "min", "a number"));
            }
            claims.min.insert(name.as_ref().clone(), *least.as_ref());
        }
        Ok(claims)
    }

    fn deny(&self, entry: &DenyEntry) -> Result<Deny, PolicyError> {
        let mut deny = Deny::default();
        for adapter in &entry.adapters {
            let digest = adapter
                .as_ref()
                .strip_prefix("sha256:")
                .filter(|digits| is_hex(digits, 64));
            let wanted = "sha256: and 64 lower-case hexadecimal digits";
            let digest = digest.ok_or_else(|| self.value(adapter, "adapters", wanted))?;
            deny.adapters.insert(digest.to_owned());
        }
        for signer in &entry.signers {
            if signer.as_ref().is_empty() {
                return Err(self.value(
                    signer,
                    "signers",
                    "a name, the fingerprint of a key or an identity",
                ));
            }
            deny.signers.insert(signer.as_ref().clone());
        }
        Ok(deny)
    }
}

/// One of each signer: a key that is listed twice is one signer.
pub(crate) fn distinct<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Vec<&'a Signer> {
    let mut distinct: Vec<&Signer> = Vec::new();
    for signer in signers {
        if !distinct.iter().any(|known| known.is_same_as(signer)) {
            distinct.push(signer);
        }
    }
    distinct
}

fn is_commit(text: &str) -> bool {
    is_hex(text, 40) || is_hex(text, 64)
}

/// Whether a text is so many lower-case hexadecimal digits.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Newlines in a text.
fn count_lines(before: &[u8]) -> usize {
    before.iter().filter(|&&byte| byte == b'\n').count()
}

/// The bytes of a file; `None` if there are too many.
fn bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !fs_err::metadata(path)?.is_file() {
        // Opening a FIFO would wait for a writer.
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is not a regular file", path.display()),
        ));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_BYTES).then_some(bytes))
}
