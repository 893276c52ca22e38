//! The facts as text.

use std::fmt::Display;
use std::io::{self, Write};

use tlora_format::Field;
use tlora_merge::Measured;

use super::facts::{BasisFacts, Facts, GroupFacts};
use crate::escape::Untrusted;
use crate::table::{number, strengths};

/// Values of a group, groups, and names that are shown; --json has them all.
const VALUES: usize = 16;
const GROUPS: usize = 32;
const NAMES: usize = 16;
/// Bytes of a field that are shown in hexadecimal.
const HEX: usize = 8;

pub(super) fn facts(out: &mut dyn Write, facts: &Facts) -> io::Result<()> {
    for (key, text) in &facts.text {
        line(out, &key.replace('_', " "), text)?;
    }
    let Facts {
        file,
        tying,
        basis,
        projections,
        targets,
        ..
    } = facts;
    line(
        out,
        "file",
        format_args!(
            "{} bytes, format {}, BLAKE3 {}",
            file.bytes, file.format, file.blake3
        ),
    )?;
    line(out, "base", &facts.base)?;
    line(
        out,
        "modules",
        format_args!("{}: {}", facts.modules, listed(&targets.names, NAMES, ", ")),
    )?;
    line(out, "groups", grouping(facts))?;
    line(
        out,
        "trained",
        format_args!(
            "{} numbers, {}",
            u64::from(tying.groups) * u64::from(facts.u),
            facts.precision
        ),
    )?;
    line(out, "rank", facts.rank)?;
    if let Some(side) = facts.sigma_side {
        line(out, "sigma side", side)?;
    }
    line(out, "scale", facts.scale)?;
    line(out, "basis", basis_line(basis))?;
    if basis.corrections > 0 {
        line(
            out,
            "corrections",
            format_args!("of {} entries of the rounded basis", basis.corrections),
        )?;
    }
    match projections.seed {
        Some(seed) => line(
            out,
            "projections",
            format_args!("{}, seed {seed}", projections.kind),
        )?,
        None => line(out, "projections", projections.kind)?,
    }
    if !facts.sections.is_empty() {
        line(out, "per module", facts.sections.join(", "))?;
    }
    groups(out, &facts.groups)
}

fn line(out: &mut dyn Write, name: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{name:<18}{}", Untrusted(value))
}

fn basis_line(basis: &BasisFacts) -> String {
    let parameters = basis.rsvd.as_ref().map(|rsvd| {
        format!(
            ", seed {}, n_iter {}, oversample {}",
            rsvd.seed, rsvd.n_iter, rsvd.oversample
        )
    });
    let (kind, rounding, check) = (basis.kind, basis.rounding, &basis.check);
    format!(
        "{kind}{}, rounding {rounding}, check {check}",
        parameters.unwrap_or_default()
    )
}

fn grouping(facts: &Facts) -> String {
    let tying = &facts.tying;
    match (tying.groups, tying.scheme) {
        (1, _) => "1, of all modules".to_owned(),
        (groups, "explicit") => format!("{groups}, by a map"),
        (groups, scheme) => format!(
            "{groups}, {scheme}, of {} modules (the last has the rest)",
            tying.n_tie
        ),
    }
}

fn groups(out: &mut dyn Write, groups: &[GroupFacts]) -> io::Result<()> {
    let expected = groups.iter().any(|group| group.r_norm_kind == "expected");
    writeln!(
        out,
        "\ngroup  {}  v",
        if expected {
            "|scale|·‖R‖ (expected)"
        } else {
            "|scale|·‖R‖ (bounds ‖ΔW‖/‖W‖)"
        }
    )?;
    let width = if expected { 22 } else { 31 };
    for (index, group) in groups.iter().enumerate().take(GROUPS) {
        let bound = group.relative_bound.map_or_else(|| "?".to_owned(), number);
        let v: Vec<String> = group.v.iter().copied().map(number).collect();
        writeln!(
            out,
            "{index:>5}  {bound:>width$}  {}",
            listed(&v, VALUES, " ")
        )?;
    }
    match groups.len().saturating_sub(GROUPS) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more groups; --json has all"),
    }
}

fn listed(items: &[String], most: usize, separator: &str) -> String {
    let shown = items.get(..most).unwrap_or(items).join(separator);
    match items.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown}{separator}and {more} more"),
    }
}

pub(super) fn measured(out: &mut dyn Write, measured: &Measured) -> io::Result<()> {
    writeln!(out)?;
    let [bf16, f16, f32] = measured.by_dtype.each_ref().map(Option::as_ref);
    strengths(out, &[("bf16", bf16), ("f16", f16), ("f32", f32)])
}

/// Offset, bytes, name and meaning of every field.
pub(super) fn bytes(out: &mut dyn Write, bytes: &[u8], fields: &[Field]) -> io::Result<()> {
    let width = fields
        .iter()
        .map(|field| field.name.chars().count())
        .max()
        .unwrap_or(0);
    for field in fields {
        let content = bytes.get(field.offset..).unwrap_or_default();
        let content = content.get(..field.length).unwrap_or(content);
        let (offset, name, meaning) = (field.offset, &field.name, Untrusted(&field.meaning));
        writeln!(
            out,
            "{offset:>6}  {:<25}  {name:<width$}  {meaning}",
            hex(content)
        )?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let shown: Vec<_> = bytes
        .iter()
        .take(HEX)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let more = if bytes.len() > HEX { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}
