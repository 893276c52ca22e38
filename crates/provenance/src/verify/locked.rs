//! Whether the file is the one that was pinned.

use tlora_format::Adapter;

use super::signatures::Judged;
use crate::encoding::to_hex;
use crate::{Check, Finding, Lock, Policy};

/// TL-LOCK-1.
pub(super) fn finding(
    lock: &Lock,
    path: &str,
    sha256: &[u8; 32],
    adapter: &Adapter,
    policy: Option<&Policy>,
    judged: &Judged<'_>,
) -> Finding {
    let check = Check::Lock;
    let Some(pinned) = lock.adapters.get(path) else {
        return Finding::fail(check, format!("the lock file does not have {path:?}"));
    };
    let found = to_hex(sha256);
    if pinned.sha256 != found {
        return Finding::fail(check, "the file is not the one that was pinned")
            .fact("pinned sha256", &pinned.sha256)
            .fact("sha256 of the file", found);
    }
    if pinned.tmd1 != adapter.base {
        return Finding::fail(check, "the base is not the one that was pinned")
            .fact("pinned base digest", pinned.tmd1)
            .fact("base digest in the adapter", adapter.base);
    }
    let message = format!("pinned as {path:?}");
    if policy.is_none() || pinned.signers.is_empty() {
        return Finding::pass(check, message);
    }
    let counted: Vec<&str> = judged
        .counted()
        .map(|signer| signer.name.as_str())
        .collect();
    match pinned
        .signers
        .iter()
        .find(|name| !counted.contains(&name.as_str()))
    {
        Some(missing) => Finding::fail(
            check,
            format!("pinned with a signature by {missing:?}, which is not there"),
        ),
        None => Finding::pass(check, message),
    }
}
