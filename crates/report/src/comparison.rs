//! Runs of a sweep beside each other: a page with a row for each group of seeds.

use std::fmt::Write;

use crate::chart::{Chart, Frame, Horizontal, Vertical};
use crate::figure::means;
use crate::html::{document, escape};
use crate::number::{duration, percent, points};
use crate::sweep::{groups, mean};
use crate::{Accuracy, Status, SweepRow};

const FRAME: Frame = Frame {
    width: 480.0,
    height: 300.0,
    style: None,
};

/// The comparison as one HTML file that loads nothing else. Of the groups with an evaluation, the one with the highest strict
/// mean is marked; the first of equals.
#[must_use]
pub fn comparison(rows: &[SweepRow]) -> String {
    let groups = groups(rows);
    let score = |group: &[&SweepRow]| {
        let shares = of(group, |row| row.after_strict.map(Accuracy::share));
        mean(&shares).map(|(mean, _)| mean)
    };
    let mut best: Option<(usize, f64)> = None;
    for (number, group) in groups.iter().enumerate() {
        let Some(score) = score(group) else { continue };
        if best.is_none_or(|(_, most)| score > most) {
            best = Some((number, score));
        }
    }
    let mut body = format!(
        "<header>\n<p class=\"kind\">tlora sweep</p>\n<h1>{} runs, {} settings</h1>\n</header>\n{}",
        rows.len(),
        groups.len(),
        plot(rows),
    );
    body.push_str("<section>\n<h2>Settings</h2>\n<p class=\"note\">Greedy answers; mean ± sample deviation over seeds, in percent. The best is marked.</p>\n<div class=\"wide\"><table>\n<thead><tr>");
    for name in [
        "Settings",
        "Parameters",
        "Seeds",
        "Strict before",
        "Strict after",
        "Gain",
        "Lenient before",
        "Lenient after",
        "Sampled",
        "Best step",
        "Time",
        "Ended",
    ] {
        let _ = write!(body, "<th scope=\"col\">{name}</th>");
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for (number, group) in groups.iter().enumerate() {
        body.push_str(&group_row(
            group,
            best.is_some_and(|(best, _)| best == number),
        ));
    }
    body.push_str("</tbody></table></div>\n</section>\n");
    body.push_str(&runs(rows));
    document("Comparison · tlora sweep", &body)
}

fn of(group: &[&SweepRow], value: impl Fn(&SweepRow) -> Option<f64>) -> Vec<f64> {
    group.iter().filter_map(|row| value(row)).collect()
}

fn group_row(group: &[&SweepRow], best: bool) -> String {
    let share = |of_row: fn(&SweepRow) -> Option<Accuracy>| {
        spread(&of(group, |row| of_row(row).map(Accuracy::share)), |x| {
            format!("{:.1}", 100.0 * x)
        })
    };
    let parameters = group.first().map_or(0, |row| row.parameters);
    let steps: Vec<String> = group
        .iter()
        .filter_map(|row| row.best_step.map(|step| step.to_string()))
        .collect();
    let complete = group
        .iter()
        .filter(|row| row.status == Status::Complete)
        .count();
    let seconds =
        mean(&of(group, |row| row.seconds)).map_or("–".to_owned(), |(mean, _)| duration(mean));
    let cells = [
        group.first().map_or(String::new(), |row| settings(row)),
        parameters.to_string(),
        group.len().to_string(),
        share(|row| row.before_strict),
        share(|row| row.after_strict),
        spread(&of(group, SweepRow::gain), points),
        share(|row| row.before_lenient),
        share(|row| row.after_lenient),
        spread(&of(group, |row| row.after_sampled), |x| {
            format!("{:.1}", 100.0 * x)
        }),
        steps.join(", "),
        seconds,
        format!("{complete} of {}", group.len()),
    ];
    let class = if best { " class=\"best\"" } else { "" };
    let mut html = format!("<tr{class}>");
    for cell in cells {
        let _ = write!(html, "<td>{cell}</td>");
    }
    html.push_str("</tr>\n");
    html
}

fn spread(values: &[f64], show: impl Fn(f64) -> String) -> String {
    match mean(values) {
        Some((mean, Some(deviation))) => format!("{} ± {:.1}", show(mean), 100.0 * deviation),
        Some((mean, None)) => show(mean),
        None => "–".to_owned(),
    }
}

fn settings(row: &SweepRow) -> String {
    let all = row.settings.iter();
    let all: Vec<String> = all
        .map(|(key, value)| escape(&format!("{key} = {value}")))
        .collect();
    format!("<span class=\"varied\">{}</span>", all.join("<br>"))
}

/// Every run, for those who want the seeds.
fn runs(rows: &[SweepRow]) -> String {
    let mut html = "<section>\n<details class=\"settings\"><summary><h2>Runs</h2></summary>\n<div class=\"wide\"><table>\n<thead><tr>".to_owned();
    for name in [
        "Run",
        "Seed",
        "Strict before",
        "Strict after",
        "Lenient after",
        "Ended",
    ] {
        let _ = write!(html, "<th scope=\"col\">{name}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        let share =
            |accuracy: Option<Accuracy>| accuracy.map_or("–".to_owned(), |a| percent(a.share()));
        let ended = match &row.status {
            Status::Complete => "complete".to_owned(),
            Status::Unfinished => "unfinished".to_owned(),
            Status::Failed(reason) => format!("failed: {}", escape(reason)),
        };
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{ended}</td></tr>",
            escape(&row.name),
            row.seed,
            share(row.before_strict),
            share(row.after_strict),
            share(row.after_lenient),
        );
    }
    html.push_str("</tbody></table></div>\n</details>\n</section>\n");
    html
}

/// The gain against the number of parameters, or against the learning rate if that is what varies.
fn plot(rows: &[SweepRow]) -> String {
    let rate = |row: &SweepRow| {
        let found = row
            .settings
            .iter()
            .find(|(key, _)| key == "optimizer.lr" || key == "lr");
        found.and_then(|(_, value)| value.parse::<f64>().ok())
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of parameters")]
    let parameters = |row: &SweepRow| Some(row.parameters as f64);
    let against = |x: &dyn Fn(&SweepRow) -> Option<f64>| -> Vec<(f64, f64)> {
        let found = rows.iter().filter_map(|row| Some((x(row)?, row.gain()?)));
        found.filter(|(x, _)| *x > 0.0).collect()
    };
    let varies = |points: &[(f64, f64)]| {
        points
            .iter()
            .any(|(x, _)| points.first().is_some_and(|first| first.0 != *x))
    };
    let mut found = ("trained parameters", against(&parameters));
    if !varies(&found.1) {
        found = ("learning rate", against(&rate));
    }
    if !varies(&found.1) {
        return String::new();
    }
    let chart = Chart {
        id: "gain".to_owned(),
        title: format!(
            "Gain against {}",
            if found.0 == "learning rate" {
                "the learning rate"
            } else {
                "trained parameters"
            }
        ),
        x: found.0.to_owned(),
        y: "gain in strict accuracy".to_owned(),
        horizontal: Horizontal::Logarithmic,
        vertical: Vertical::Difference,
        series: means("mean over runs", 0, found.1).to_vec(),
        base: None,
    };
    format!(
        "<section>\n<div class=\"wide-chart\"><figure>\n<figcaption><h3>{}</h3><span class=\"note\">A dot is a run; the line goes through means.</span></figcaption>\n{}</figure></div>\n</section>\n",
        chart.title,
        chart.svg(FRAME),
    )
}
