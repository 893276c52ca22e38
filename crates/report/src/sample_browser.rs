//! Completions to leaf through. Without a script all of them are there; the script only hides some.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::html::escape;
use crate::number::short;
use crate::{SampleRecord, Samples};

/// What became of a completion: the value that the filter goes by, and how it is called.
const VERDICTS: [(&str, &str); 4] = [
    ("right", "right"),
    ("form", "lenient"),
    ("wrong", "wrong"),
    ("unscorable", "unjudged"),
];

/// The section; empty if there are no samples.
pub(crate) fn sample_browser(samples: &Samples) -> String {
    if samples.kept.is_empty() {
        return String::new();
    }
    let mut html = format!(
        "<section>\n<h2>Samples</h2>\n<p class=\"note\">{} of {} completions, from the first to the last step. Lenient: right, but not in the form that the strict verifier wants.</p>\n",
        samples.kept.len(),
        samples.total,
    );
    html.push_str(&controls(samples));
    html.push_str(
        "<div id=\"samples\" role=\"region\" aria-label=\"Completions\" tabindex=\"0\">\n",
    );
    for sample in &samples.kept {
        html.push_str(&one(sample));
    }
    html.push_str("</div>\n</section>\n");
    html
}

fn controls(samples: &Samples) -> String {
    let steps: BTreeSet<u64> = samples.kept.iter().map(|sample| sample.step).collect();
    let mut html = "<form id=\"filter\" hidden>\n<label>Step <select name=\"step\"><option value=\"\">all</option>".to_owned();
    for step in steps {
        let _ = write!(html, "<option value=\"{step}\">{step}</option>");
    }
    html.push_str(
        "</select></label>\n<label>Answer <select name=\"verdict\"><option value=\"\">all</option>",
    );
    for (value, name) in VERDICTS {
        if samples.kept.iter().any(|sample| verdict(sample).0 == value) {
            let _ = write!(html, "<option value=\"{value}\">{name}</option>");
        }
    }
    html.push_str("</select></label>\n<output></output>\n</form>\n");
    html
}

fn one(sample: &SampleRecord) -> String {
    let (value, name) = verdict(sample);
    let cut = if sample.truncated { ", cut off" } else { "" };
    let number = |value: Option<f64>| value.map_or("none".to_owned(), short);
    format!(
        "<details class=\"sample\" data-step=\"{}\" data-verdict=\"{value}\">\n\
         <summary><span class=\"verdict {value}\">{name}</span> <span class=\"step\">step {}</span> \
         <span class=\"start\">{}</span></summary>\n\
         <dl><dt>Question</dt><dd class=\"text\">{}</dd>\n<dt>Completion</dt><dd class=\"text\">{}</dd>\n\
         <dt>Answer</dt><dd>{} <span class=\"note\">(right: {})</span></dd>\n\
         <dt>Reward</dt><dd>{} <span class=\"note\">(advantage {}; {} tokens{cut}; problem {})</span></dd></dl>\n</details>\n",
        sample.step,
        sample.step,
        escape(&start(&sample.completion)),
        escape(&sample.question),
        escape(&sample.completion),
        sample
            .extracted
            .as_deref()
            .map_or("none".to_owned(), escape),
        escape(&sample.gold),
        number(sample.reward),
        number(sample.advantage),
        sample.tokens,
        escape(&sample.id),
    )
}

fn start(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(30).collect();
    words.join(" ").chars().take(160).collect()
}

fn verdict(sample: &SampleRecord) -> (&'static str, &'static str) {
    let right = |reward: Option<f64>| reward.is_some_and(|reward| reward >= 1.0);
    let [is_right, form, wrong, unscorable] = VERDICTS;
    if right(sample.strict) {
        is_right
    } else if right(sample.lenient) {
        form
    } else if sample.strict.is_none() && sample.lenient.is_none() {
        unscorable
    } else {
        wrong
    }
}
