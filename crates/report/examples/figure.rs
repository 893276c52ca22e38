//! Accuracy against the number of trained numbers, of the runs of a sweep: `figure SWEEP/sweep.json TITLE OUT.svg KEY...`.
//! The runs are a series for each combination of the values of the keys, such as `method` and `adapter.structured`.

use std::error::Error;

use serde_json::Value;
use tlora_report::{Figure, FigureSeries};

const SCORE: &str = "greedy-strict";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("SWEEP.json TITLE OUT.svg KEY...");
    let (sweep, title, out) = (next()?, next()?, next()?);
    let keys: Vec<String> = arguments.collect();
    let sweep: Value = serde_json::from_str(&fs_err::read_to_string(sweep)?)?;
    let mut figure = Figure {
        title,
        measure: "right of held-out problems, greedy".to_owned(),
        ..Figure::default()
    };
    for run in sweep["runs"].as_array().into_iter().flatten() {
        let values = keys.iter().map(|key| match &run["settings"][key] {
            Value::String(value) => format!("{} {value}", key.rsplit('.').next().unwrap_or(key)),
            _ => String::new(),
        });
        let name = values.collect::<Vec<String>>().join(", ");
        let scores = run["scores"].as_array();
        let score = scores.and_then(|scores| scores.iter().find(|score| score["name"] == SCORE));
        let (Some(parameters), Some(score)) = (run["parameters"].as_u64(), score) else {
            continue;
        };
        figure.base = score["before"]["share"].as_f64();
        let Some(after) = score["after"]["share"].as_f64() else {
            continue;
        };
        match figure.series.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push((parameters, after)),
            None => figure.series.push(FigureSeries {
                name,
                points: vec![(parameters, after)],
            }),
        }
    }
    fs_err::write(out, figure.svg())?;
    Ok(())
}
