//! The runs of a sweep beside each other: those that differ in nothing but the seed are one line.

use std::io::{self, Write};

use serde_json::{Value, json};
use tlora_report::mean;

use super::row::Row;
use crate::escape::Untrusted;

/// Runs that differ in nothing but the seed.
struct Group<'a> {
    settings: &'a [(String, String)],
    rows: Vec<&'a Row>,
}

/// Of the seeds of a group.
#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    /// The sample deviation; none of one seed.
    deviation: Option<f64>,
}

fn groups(rows: &[Row]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in rows {
        let same = |group: &&mut Group<'_>| group.settings == row.settings;
        match groups.iter_mut().find(same) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group {
                settings: &row.settings,
                rows: vec![row],
            }),
        }
    }
    groups
}

impl Group<'_> {
    fn of(&self, name: &str, value: impl Fn(&super::row::Score) -> f64) -> Option<Spread> {
        let scores = self.rows.iter().filter_map(|row| row.score(name));
        let (mean, deviation) = mean(&scores.map(value).collect::<Vec<f64>>())?;
        Some(Spread { mean, deviation })
    }

    fn before(&self, name: &str) -> Option<Spread> {
        self.of(name, |score| score.before.share)
    }

    fn after(&self, name: &str) -> Option<Spread> {
        self.of(name, |score| score.after.share)
    }
}

/// The ways of counting of all runs, in the order of their first appearance.
fn names(rows: &[Row]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for score in rows.iter().flat_map(|row| &row.scores) {
        if !names.contains(&&*score.name) {
            names.push(&score.name);
        }
    }
    names
}

fn percent(spread: Option<Spread>) -> String {
    let hundred = |value: f64| format!("{:.1}", 100.0 * value);
    match spread {
        None => "-".to_owned(),
        Some(Spread {
            mean,
            deviation: None,
        }) => hundred(mean),
        Some(Spread {
            mean,
            deviation: Some(deviation),
        }) => {
            format!("{} ± {}", hundred(mean), hundred(deviation))
        }
    }
}

/// The table, in percent; the best line by the first way of counting has a star.
pub(super) fn show(out: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    let (groups, names) = (groups(rows), names(rows));
    let mut head: Vec<String> = match groups.first() {
        Some(group) => group.settings.iter().map(|(key, _)| key.clone()).collect(),
        None => return Ok(()),
    };
    head.extend(["numbers", "seeds"].map(str::to_owned));
    for name in &names {
        head.extend([format!("{name} before"), "after".to_owned()]);
    }
    let mut lines = vec![head];
    let best = best(&groups, &names);
    for (number, group) in groups.iter().enumerate() {
        let mut line: Vec<String> = group
            .settings
            .iter()
            .map(|(_, value)| value.clone())
            .collect();
        let parameters = group.rows.iter().find_map(|row| row.parameters);
        line.push(parameters.map_or_else(|| "-".to_owned(), |count| count.to_string()));
        line.push(group.rows.len().to_string());
        for name in &names {
            line.extend([percent(group.before(name)), percent(group.after(name))]);
        }
        if best == Some(number) {
            line.push("*".to_owned());
        }
        lines.push(line);
    }
    columns(out, &lines)?;
    for row in rows.iter().filter(|row| !row.is_finished()) {
        writeln!(out, "{}: {}", Untrusted(&row.name), row.ending)?;
    }
    Ok(())
}

fn best(groups: &[Group<'_>], names: &[&str]) -> Option<usize> {
    let name = names.first()?;
    let scored = groups.iter().enumerate();
    let scored = scored.filter_map(|(number, group)| Some((number, group.after(name)?.mean)));
    scored
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(number, _)| number)
}

fn columns(out: &mut dyn Write, lines: &[Vec<String>]) -> io::Result<()> {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for line in lines {
        let cells = line.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{:<width$}", Untrusted(cell).to_string()));
        let text: Vec<String> = cells.collect();
        writeln!(out, "{}", text.join("  ").trim_end())?;
    }
    Ok(())
}

/// Every run, and the groups; docs/json.md names the fields.
pub(super) fn json(rows: &[Row]) -> Value {
    let run = |row: &Row| {
        let scores = row.scores.iter().map(|score| {
            json!({ "name": score.name, "before": score.before, "after": score.after, "step": score.step })
        });
        json!({
            "name": row.name, "settings": object(&row.settings), "seed": row.seed, "parameters": row.parameters,
            "ending": row.ending, "scores": scores.collect::<Vec<Value>>(),
        })
    };
    let (groups, names) = (groups(rows), names(rows));
    let best = best(&groups, &names);
    let group = |(number, group): (usize, &Group<'_>)| {
        let spread = |spread: Option<Spread>| {
            spread.map(|s| json!({ "mean": s.mean, "deviation": s.deviation }))
        };
        let scores = names.iter().map(|name| {
            json!({ "name": name, "before": spread(group.before(name)), "after": spread(group.after(name)) })
        });
        json!({
            "settings": object(group.settings), "seeds": group.rows.len(), "best": best == Some(number),
            "scores": scores.collect::<Vec<Value>>(),
        })
    };
    json!({
        "version": 1,
        "runs": rows.iter().map(run).collect::<Vec<Value>>(),
        "groups": groups.iter().enumerate().map(group).collect::<Vec<Value>>(),
    })
}

fn object(settings: &[(String, String)]) -> Value {
    let member = |(key, value): &(String, String)| (key.clone(), Value::from(value.clone()));
    settings.iter().map(member).collect()
}

/// A line for each run and way of counting (RFC 4180).
pub(super) fn csv(rows: &[Row]) -> String {
    let keys = rows.first().map_or(&[][..], |row| &row.settings);
    let mut head: Vec<String> = vec!["run".to_owned()];
    head.extend(keys.iter().map(|(key, _)| key.clone()));
    let rest = [
        "seed",
        "parameters",
        "ending",
        "score",
        "items",
        "before",
        "before_low",
        "before_high",
        "step",
        "after",
        "after_low",
        "after_high",
    ];
    head.extend(rest.map(str::to_owned));
    let mut lines = vec![head];
    for row in rows {
        for score in &row.scores {
            let mut line = vec![row.name.clone()];
            line.extend(row.settings.iter().map(|(_, value)| value.clone()));
            line.extend([
                row.seed.to_string(),
                row.parameters
                    .map_or_else(String::new, |count| count.to_string()),
                row.ending.clone(),
                score.name.clone(),
                score.after.of.to_string(),
            ]);
            let shares = [score.before.share, score.before.low, score.before.high];
            line.extend(shares.map(|share| share.to_string()));
            line.push(score.step.to_string());
            let shares = [score.after.share, score.after.low, score.after.high];
            line.extend(shares.map(|share| share.to_string()));
            lines.push(line);
        }
    }
    let line = |line: &Vec<String>| {
        line.iter()
            .map(|field| quoted(field))
            .collect::<Vec<_>>()
            .join(",")
            + "\r\n"
    };
    lines.iter().map(line).collect()
}

fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
