//! What the file alone tells.

use tlora_format::{Adapter, BaseDigest, BasisKind, ParseError, ProjectionKind, Rounding};
use tlora_rebuild::{RNorm, r_norms};

use crate::{Check, Finding, Outcome, Policy, SeedRule};

const SEED_CONTEXT: &str = "tlora 2026-11 canonical projection seed v1";

/// The seed that follows from a base: whoever uses it cannot have searched for one that suits him.
///
/// The first 8 bytes, little-endian, of BLAKE3's `derive_key("tlora 2026-11 canonical projection seed v1", digest)`.
#[must_use]
pub fn canonical_seed(base: &BaseDigest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key(SEED_CONTEXT, &base.0);
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// TL-FMT-1.
pub(super) fn canonical(bytes: &[u8], adapter: &Result<Adapter, ParseError>) -> Finding {
    match adapter {
        Err(error) => Finding::fail(Check::Canonical, format!("not a valid adapter: {error}"))
            .fact(
                "rule",
                format!("{} ({}) of spec/tlora.md", error.rule(), error.class()),
            ),
        // The reader takes one form only. Should it ever take two, this still sees it.
        Ok(adapter) if adapter.to_bytes() != bytes => Finding::fail(
            Check::Canonical,
            "a valid adapter, and not in the one form that the format has for it",
        ),
        Ok(_) => Finding::pass(Check::Canonical, Check::Canonical.meaning()),
    }
}

/// TL-FMT-2, TL-FMT-3, TL-FMT-4 and TL-BASE-5.
pub(super) fn limits(adapter: &Adapter, policy: &Policy, elsewhere: &[Finding]) -> Vec<Finding> {
    let measured =
        |finding: &Finding| finding.check == Check::Strength && finding.outcome == Outcome::Pass;
    let with_base = elsewhere.iter().any(measured);
    let findings = [
        policy.limits.max_params.map(|most| size(adapter, most)),
        policy
            .limits
            .max_delta_ratio
            .map(|most| bound(adapter, most, with_base)),
        (policy.limits.seed == SeedRule::Canonical).then(|| seed(adapter)),
        (!policy.bases.is_empty()).then(|| listed(adapter, policy)),
    ];
    findings.into_iter().flatten().collect()
}

fn size(adapter: &Adapter, most: u64) -> Finding {
    let found = adapter.v.len() as u64;
    let message = format!("trained numbers: {found}; the policy allows {most}");
    let finding = if found <= most {
        Finding::pass
    } else {
        Finding::fail
    };
    finding(Check::Size, message)
}

fn bound(adapter: &Adapter, most: f64, with_base: bool) -> Finding {
    let check = Check::Bound;
    let Some(bound) = delta_bound(adapter) else {
        let message = "the file alone gives no bound on the update";
        return undecided(with_base, message.to_owned());
    };
    if bound <= most {
        return Finding::pass(
            check,
            format!("‖ΔW‖ / ‖W‖ is at most {bound:.4}; the policy allows {most}"),
        );
    }
    let message = format!(
        "the file alone proves only that ‖ΔW‖ / ‖W‖ is at most {bound:.4}; the policy allows {most}"
    );
    undecided(with_base, message)
}

fn undecided(with_base: bool, message: String) -> Finding {
    if with_base {
        // Not skipped: it was asked for, and the base has the answer.
        Finding::pass(Check::Bound, format!("{message}; TL-BASE-4 proves it"))
    } else {
        Finding::inconclusive(Check::Bound, format!("{message}; give --base"))
    }
}

/// A number that ‖ΔW‖ / ‖W‖ of no module exceeds, whatever the base; none if the file does not give one. (Where modules
/// have ranks of their own the R of one says nothing about that of another.)
///
/// U and V have orthonormal columns and no singular value is above ‖W‖, so ‖ΔW‖ ≤ |scale| · ‖R‖ · ‖W‖. Where the
/// projections depend on the names of modules, which only the base has, an entry of native ones is at most 16 / √r
/// (spec §7), and ‖R‖ at most 16 · √r · Σ|v|.
fn delta_bound(adapter: &Adapter) -> Option<f64> {
    if adapter.basis != BasisKind::Exact
        || adapter.basis_rounding != Rounding::None
        || !adapter.corrections.is_empty()
        || adapter.module_ranks.is_some()
    {
        return None;
    }
    let scales = adapter
        .module_scales
        .as_deref()
        .unwrap_or(std::slice::from_ref(&adapter.scale));
    let scale = scales.iter().fold(0.0_f64, |largest, &scale| {
        largest.max(f64::from(scale).abs())
    });
    let mut largest = 0.0_f64;
    for (group, norm) in (0..).zip(r_norms(adapter)) {
        largest = largest.max(match norm {
            RNorm::Largest(norm) => norm,
            _ => worst_native(adapter, group)?,
        });
    }
    Some(scale * largest).filter(|bound| bound.is_finite())
}

fn worst_native(adapter: &Adapter, group: u32) -> Option<f64> {
    let ProjectionKind::Native { .. } = adapter.projection else {
        return None;
    };
    let sum: f64 = adapter.v(group)?.map(f64::abs).sum();
    Some(16.0 * f64::from(adapter.rank).sqrt() * sum)
}

fn seed(adapter: &Adapter) -> Finding {
    let check = Check::Seed;
    let wanted = canonical_seed(&adapter.base);
    match &adapter.projection {
        ProjectionKind::Standard => Finding::pass(check, "the projections have no seed"),
        ProjectionKind::Native { seed } if *seed == wanted => Finding::pass(
            check,
            format!("the seed {seed} follows from the base digest"),
        ),
        ProjectionKind::Native { seed } => Finding::fail(
            check,
            format!("the seed is {seed}; the one that follows from the base digest is {wanted}"),
        ),
        _ => Finding::fail(
            check,
            "the projections are of a kind that no base digest determines",
        ),
    }
}

fn listed(adapter: &Adapter, policy: &Policy) -> Finding {
    let check = Check::ListedBase;
    match policy.equivalents(&adapter.base).first() {
        Some(base) => Finding::pass(check, format!("the policy lists the base as {:?}", base.id)),
        None => Finding::fail(
            check,
            "the policy does not list the base that the adapter was made for",
        )
        .fact("base digest in the adapter", adapter.base),
    }
}
