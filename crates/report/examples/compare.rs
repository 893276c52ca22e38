//! Runs beside each other: `compare KEY,KEY OUT RUN...` writes OUT.html, OUT.csv and OUT.svg. The keys are the varied settings.

use std::path::Path;

use tlora_report::{Accuracy, Figure, FigureSeries, Run, Status, SweepRow, comparison, to_csv};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [keys, out, runs @ ..] = arguments.as_slice() else {
        return Err("usage: compare KEY,KEY OUT RUN...".into());
    };
    let keys: Vec<&str> = keys.split(',').collect();
    let mut rows = Vec::new();
    for run in runs {
        let run = Run::read(Path::new(run))?;
        let wanted = run.setting("steps").and_then(|steps| steps.parse().ok());
        let status = match wanted == Some(run.last_step()) {
            true => Status::Complete,
            false => Status::Unfinished,
        };
        rows.push(SweepRow::of_run(&run, &keys, status));
    }
    let figure = Figure {
        title: "Accuracy by trained parameters".to_owned(),
        measure: "strict, greedy".to_owned(),
        series: vec![FigureSeries::of_rows("runs", &rows)],
        base: rows
            .iter()
            .find_map(|row| row.before_strict.map(Accuracy::share)),
    };
    fs_err::write(format!("{out}.html"), comparison(&rows))?;
    fs_err::write(format!("{out}.csv"), to_csv(&rows))?;
    fs_err::write(format!("{out}.svg"), figure.svg())?;
    Ok(())
}
