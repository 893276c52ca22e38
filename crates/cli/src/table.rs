//! Sizes of updates as a table, and numbers in few characters.

use std::io::{self, Write};

use tlora_merge::{Strength, Strengths};

use crate::escape::Untrusted;

/// A line for each type of module, with the share that rounding keeps for each of the output types.
pub(crate) fn strengths(
    out: &mut dyn Write,
    columns: &[(&str, Option<&Strengths>)],
) -> io::Result<()> {
    let Some(first) = columns.iter().find_map(|(_, strengths)| *strengths) else {
        return writeln!(out, "the update is too large for every output type");
    };
    let names = first
        .by_type
        .iter()
        .map(|(name, _)| Untrusted(name).to_string());
    let names: Vec<String> = names.chain(["all".to_owned()]).collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    write!(out, "{:width$}  modules       ‖ΔW‖   ‖ΔW‖/‖W‖", "type")?;
    for (dtype, _) in columns {
        write!(out, "  {:>9}", format!("kept {dtype}").trim_end())?;
    }
    writeln!(out)?;
    for (row, name) in names.iter().enumerate() {
        let strength = of_row(first, row);
        let (modules, norm, relative) = (
            strength.modules,
            number(strength.nominal()),
            number(strength.relative()),
        );
        write!(out, "{name:width$}  {modules:>7}  {norm:>9}  {relative:>9}")?;
        for (_, strengths) in columns {
            write!(
                out,
                "  {:>9}",
                strengths.map_or_else(|| "overflow".to_owned(), |all| kept(of_row(all, row)))
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The types, and after them the total.
fn of_row(strengths: &Strengths, row: usize) -> &Strength {
    strengths
        .by_type
        .get(row)
        .map_or(&strengths.total, |(_, strength)| strength)
}

/// The share that rounding kept, or a dash where there is no update.
fn kept(strength: &Strength) -> String {
    strength
        .kept_fraction()
        .map_or_else(|| "-".to_owned(), |kept| format!("{kept:.3}"))
}

/// A number with four significant digits.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e5).contains(&magnitude) {
        let digits = [1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0]
            .iter()
            .filter(|&&limit| magnitude >= limit)
            .count();
        format!("{value:.*}", 6_usize.saturating_sub(digits))
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_four_significant_digits() {
        let shown = [
            0.0,
            1.0,
            0.107_93,
            0.001_234_5,
            9.378_5,
            215.04,
            12_345.6,
            1.5e-4,
            -2e7,
        ]
        .map(number);
        assert_eq!(
            shown,
            [
                "0", "1.000", "0.1079", "0.001234", "9.379", "215.0", "12346", "1.500e-4",
                "-2.000e7"
            ]
        );
    }
}
