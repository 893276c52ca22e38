//! An adapter's facts in the spelling of `spec/vectors/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write;

use tlora_format::{
    Adapter, BasisKind, Correction, ProjectionKind, Rounding, STANDARD_TARGETS, SeedRule,
    SigmaSide, TargetModules, Tying,
};

/// Every fact that a vector may state, but for the SHA-256 of its own bytes.
pub fn facts(adapter: &Adapter, bytes: &[u8]) -> BTreeMap<&'static str, String> {
    let (projection, seed, rule, rounding) = projection(&adapter.projection);
    BTreeMap::from([
        ("rank", adapter.rank.to_string()),
        ("u", adapter.u.to_string()),
        ("modules", adapter.module_count.to_string()),
        ("groups", adapter.group_count.to_string()),
        ("n_tie", adapter.n_tie.to_string()),
        ("seed", seed.to_string()),
        ("precision", adapter.precision.to_string()),
        ("sigma_side", sigma_side(adapter.sigma_side).to_owned()),
        ("basis", basis(&adapter.basis).to_owned()),
        ("basis_rounding", rounded(adapter.basis_rounding).to_owned()),
        ("projection_rounding", rounded(rounding).to_owned()),
        ("projection", projection.to_owned()),
        (
            "seed_rule",
            if rule == SeedRule::Shared {
                "shared"
            } else {
                "module"
            }
            .to_owned(),
        ),
        ("tying", tying(&adapter.tying).to_owned()),
        ("target_set", target_set(&adapter.targets)),
        ("scale", format!("{:08x}", adapter.scale.to_bits())),
        ("base", adapter.base.to_string()),
        ("basis_check", hex(&adapter.basis_check)),
        ("v", v(adapter, bytes)),
        ("sections", sections(adapter)),
        ("corrections", corrections(adapter)),
    ])
}

/// One step after the other.
fn corrections(adapter: &Adapter) -> String {
    let steps: Vec<String> = adapter
        .corrections
        .iter()
        .flat_map(|Correction { entry, steps }| {
            let sign = if steps < 0 { '-' } else { '+' };
            (0..steps.unsigned_abs()).map(move |_| format!("{sign}{entry}"))
        })
        .collect();
    if steps.len() > 1024 {
        "long".to_owned()
    } else {
        steps.join(",")
    }
}

/// The bytes of v, from the values and not from the file.
fn v(adapter: &Adapter, bytes: &[u8]) -> String {
    let size = adapter.precision.size();
    let stored: Vec<u8> = adapter
        .v
        .iter()
        .flat_map(|bits| bits.to_le_bytes()[..size].to_vec())
        .collect();
    assert_eq!(bytes[88..88 + stored.len()], stored);
    if stored.len() > 1024 {
        "long".to_owned()
    } else {
        hex(&stored)
    }
}

fn target_set(targets: &TargetModules) -> String {
    let TargetModules::Suffixes(names) = targets else {
        return "00".to_owned();
    };
    let bits: Option<Vec<usize>> = names
        .iter()
        .map(|name| {
            STANDARD_TARGETS
                .iter()
                .position(|standard| standard == name)
        })
        .collect();
    let ascending = bits
        .filter(|bits| bits.is_sorted_by(|a, b| a < b))
        .unwrap_or_default();
    format!(
        "{:02x}",
        ascending.iter().fold(0_u8, |mask, bit| mask | 1 << bit)
    )
}

fn sections(adapter: &Adapter) -> String {
    let known = [
        (1, target_set(&adapter.targets) == "00"),
        (2, matches!(adapter.tying, Tying::Explicit(_))),
        (3, adapter.module_ranks.is_some()),
        (4, adapter.module_scales.is_some()),
        (5, adapter.transposed.is_some()),
        (6, adapter.signs.is_some()),
        (7, matches!(adapter.basis, BasisKind::Rsvd { .. })),
        (8, matches!(adapter.basis, BasisKind::Explicit { .. })),
        (
            9,
            matches!(adapter.projection, ProjectionKind::Explicit { .. }),
        ),
        (10, !adapter.corrections.is_empty()),
        (128, !adapter.text.is_empty()),
    ];
    let present = known
        .into_iter()
        .filter(|(_, present)| *present)
        .map(|(kind, _): (u8, bool)| kind);
    let kinds: Vec<String> = present
        .chain(adapter.unknown.keys().copied())
        .map(|kind| kind.to_string())
        .collect();
    if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.join(",")
    }
}

fn projection(projection: &ProjectionKind) -> (&'static str, u64, SeedRule, Rounding) {
    match *projection {
        ProjectionKind::Native { seed } => ("native", seed, SeedRule::PerModule, Rounding::None),
        ProjectionKind::Torch {
            seed,
            seed_rule,
            rounding,
        } => ("torch", seed, seed_rule, rounding),
        ProjectionKind::Standard => ("standard", 0, SeedRule::PerModule, Rounding::None),
        ProjectionKind::Explicit { .. } => ("explicit", 0, SeedRule::PerModule, Rounding::None),
    }
}

const fn sigma_side(side: SigmaSide) -> &'static str {
    match side {
        SigmaSide::Left => "left",
        SigmaSide::Split => "split",
        SigmaSide::Right => "right",
    }
}

const fn basis(basis: &BasisKind) -> &'static str {
    match basis {
        BasisKind::Exact => "exact",
        BasisKind::Rsvd { .. } => "rsvd",
        BasisKind::Explicit { .. } => "explicit",
    }
}

const fn rounded(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::None => "none",
        Rounding::Bf16 => "bf16",
        Rounding::F16 => "f16",
    }
}

const fn tying(tying: &Tying) -> &'static str {
    match tying {
        Tying::Tiled => "tiled",
        Tying::Structured => "structured",
        Tying::Explicit(_) => "map",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
