//! The report of a run: one page.

use std::fmt::Write;

use crate::charts::charts;
use crate::html::{document, escape};
use crate::number::{duration, percent, points};
use crate::sample_browser::sample_browser;
use crate::{Accuracy, Change, Run, Summary};

/// The report of a run as one HTML file that loads nothing else.
#[must_use]
pub fn page(run: &Run) -> String {
    let summary = Summary::of(run);
    let mut body = header(run, &summary);
    body.push_str(&results(&summary));
    let drawn = charts(run);
    if drawn.is_empty() {
        body.push_str("<p class=\"note\">No step is finished yet.</p>\n");
    } else {
        body.push_str("<section>\n<h2>The run, step by step</h2>\n<div class=\"charts\">\n");
        for chart in drawn {
            let _ = write!(
                body,
                "<figure>\n<figcaption><h3>{}</h3><span class=\"note\">{}</span></figcaption>\n{}</figure>\n",
                escape(&chart.title),
                escape(&chart.note),
                chart.svg,
            );
        }
        body.push_str("</div>\n</section>\n");
    }
    body.push_str(&sample_browser(&run.samples));
    body.push_str(&settings(run));
    document(&format!("{} · tlora train", run.name), &body)
}

fn header(run: &Run, summary: &Summary) -> String {
    let base = run.provenance.base.id.as_deref();
    let base = base.or(run.setting("model.base")).unwrap_or("unknown");
    let wanted = run.setting("steps").unwrap_or("?");
    let mut facts = vec![
        ("Base", escape(base)),
        ("Trained numbers", run.parameters().to_string()),
        (
            "Steps",
            format!("{} of {}", run.last_step(), escape(wanted)),
        ),
        ("Adapter of step", summary.adapter_step.to_string()),
    ];
    if let Some(step) = summary.best_step {
        facts.push(("Best evaluation at step", step.to_string()));
    }
    if !run.timing.is_empty() {
        facts.push(("Time of the steps", duration(run.seconds())));
    }
    let mut html = format!(
        "<header>\n<p class=\"kind\">tlora train</p>\n<h1>{}</h1>\n<dl class=\"facts\">\n",
        escape(&run.name)
    );
    for (name, value) in facts {
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    html.push_str("</dl>\n</header>\n");
    html
}

/// The numbers before and after.
fn results(summary: &Summary) -> String {
    if summary.changes.is_empty() {
        return "<p class=\"note\">Nothing was evaluated.</p>\n".to_owned();
    }
    let mut html = "<section class=\"results\">\n".to_owned();
    for change in &summary.changes {
        html.push_str(&result(change));
    }
    html.push_str("</section>\n<p class=\"note\">Right answers before → after, with Wilson's intervals of 95 %.</p>\n");
    html
}

fn result(change: &Change) -> String {
    let share =
        |accuracy: Option<Accuracy>| accuracy.map_or("–".to_owned(), |a| percent(a.share()));
    let gain = match (change.before, change.after) {
        (Some(before), Some(after)) => {
            let gain = after.share() - before.share();
            format!("<span class=\"gain\">{} points</span>", points(gain))
        }
        _ => String::new(),
    };
    format!(
        "<div class=\"result\">\n<h2>{}</h2>\n<p class=\"numbers\"><span class=\"before\">{}</span> → <strong>{}</strong> {gain}</p>\n\
         <p class=\"note\">{} → {}</p>\n</div>\n",
        escape(&change.name.replace('-', ", ")),
        share(change.before),
        share(change.after),
        detail(change.before),
        detail(change.after),
    )
}

fn detail(accuracy: Option<Accuracy>) -> String {
    accuracy.map_or("–".to_owned(), |accuracy| {
        let (low, high) = accuracy.interval();
        let right = crate::number::short(accuracy.right);
        format!(
            "{right} of {} [{:.1}, {:.1}]",
            accuracy.of,
            100.0 * low,
            100.0 * high
        )
    })
}

fn settings(run: &Run) -> String {
    let mut html = "<section>\n<details class=\"settings\"><summary><h2>Settings</h2></summary>\n<div class=\"wide\"><table>\n\
                    <thead><tr><th scope=\"col\">Key</th><th scope=\"col\">Value</th></tr></thead>\n<tbody>\n"
        .to_owned();
    for (key, value) in &run.settings {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td class=\"text\">{}</td></tr>",
            escape(key),
            escape(value)
        );
    }
    html.push_str("</tbody></table></div>\n</details>\n");
    let (tool, base) = (&run.provenance.tool, &run.provenance.base);
    if !tool.name.is_empty() {
        let _ = writeln!(
            html,
            "<p class=\"note\">{} {}, base <span class=\"digest\">{}</span></p>",
            escape(&tool.name),
            escape(&tool.version),
            escape(&base.tmd1)
        );
    }
    html.push_str("</section>\n");
    html
}
