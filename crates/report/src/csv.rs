//! A sweep as CSV (RFC 4180, with plain newlines): a row a run.

use std::collections::BTreeSet;

use crate::{Accuracy, Status, SweepRow};

/// The rows, under a header; settings have a column each, in the order of their names.
#[must_use]
pub fn to_csv(rows: &[SweepRow]) -> String {
    let settings = rows.iter().flat_map(|row| &row.settings);
    let keys: BTreeSet<&str> = settings.map(|(key, _)| key.as_str()).collect();
    let mut header = vec!["name"];
    header.extend(&keys);
    header.extend(["seed", "parameters"]);
    header.extend([
        "before_strict_right",
        "before_strict_of",
        "before_lenient_right",
        "before_lenient_of",
    ]);
    header.extend([
        "after_strict_right",
        "after_strict_of",
        "after_lenient_right",
        "after_lenient_of",
    ]);
    header.extend(["after_sampled", "best_step", "seconds", "status"]);
    let mut csv = line(header.into_iter().map(str::to_owned));
    for row in rows {
        csv.push_str(&line(fields(row, &keys)));
    }
    csv
}

fn fields(row: &SweepRow, keys: &BTreeSet<&str>) -> impl Iterator<Item = String> {
    let mut fields = vec![row.name.clone()];
    for key in keys {
        let found = row.settings.iter().find(|(name, _)| name == key);
        fields.push(found.map_or(String::new(), |(_, value)| value.clone()));
    }
    fields.extend([row.seed.to_string(), row.parameters.to_string()]);
    for accuracy in [
        row.before_strict,
        row.before_lenient,
        row.after_strict,
        row.after_lenient,
    ] {
        // Whole numbers but for the rounding of a mean.
        let right = |a: Accuracy| ((a.right * 1e6).round() / 1e6).to_string();
        fields.push(accuracy.map_or(String::new(), right));
        fields.push(accuracy.map_or(String::new(), |a| a.of.to_string()));
    }
    fields.push(
        row.after_sampled
            .map_or(String::new(), |share| share.to_string()),
    );
    fields.push(row.best_step.map_or(String::new(), |step| step.to_string()));
    fields.push(
        row.seconds
            .map_or(String::new(), |seconds| format!("{seconds:.1}")),
    );
    fields.push(match &row.status {
        Status::Complete => "complete".to_owned(),
        Status::Unfinished => "unfinished".to_owned(),
        Status::Failed(reason) => format!("failed: {reason}"),
    });
    fields.into_iter()
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    });
    let fields: Vec<String> = quoted.collect();
    format!("{}\n", fields.join(","))
}
