//! Sweeps: groups, what is marked, the table and the figure.

use tlora_report::{
    Accuracy, Figure, FigureSeries, Run, Status, SweepRow, comparison, reward_figure,
};

fn row(rate: &str, seed: u64, parameters: u64, right: f64) -> SweepRow {
    let accuracy = |right| Some(Accuracy { right, of: 100 });
    SweepRow {
        name: format!("lr={rate},\"seed\"={seed}"),
        settings: vec![("optimizer.lr".to_owned(), rate.to_owned())],
        seed,
        parameters,
        before_strict: accuracy(10.0),
        before_lenient: accuracy(20.0),
        after_strict: accuracy(right),
        after_lenient: None,
        after_sampled: Some(0.5),
        best_step: Some(30),
        seconds: Some(61.0),
        status: Status::Complete,
    }
}

fn rows() -> Vec<SweepRow> {
    vec![
        row("1e-3", 1, 13, 30.0),
        row("1e-3", 2, 13, 34.0),
        row("1e-2", 1, 13, 50.0),
        row("1e-2", 2, 13, 10.0),
    ]
}

#[test]
fn the_best_mean_is_marked_and_not_the_best_run() {
    let html = comparison(&rows());
    assert!(html.contains("4 runs, 2 settings"));
    // NumPy: mean([30, 34]) = 32, std(ddof=1) = 2.83; mean([50, 10]) = 30.
    assert!(html.contains("<tr class=\"best\"><td><span class=\"varied\">optimizer.lr = 1e-3</span></td><td>13</td><td>2</td><td>10.0 ± 0.0</td><td>32.0 ± 2.8</td><td>+22.0 ± 2.8</td>"), "{html}");
    assert_eq!(html.matches("class=\"best\"").count(), 1);
    assert!(html.contains("Gain against the learning rate"));
}

#[test]
fn a_run_that_failed_has_a_row() {
    let mut rows = rows();
    rows[0].status = Status::Failed("<b>out of memory</b>".to_owned());
    rows[0].after_strict = None;
    let html = comparison(&rows);
    assert!(html.contains("failed: &lt;b&gt;out of memory"));
    assert!(html.contains("<td>34.0</td>") && html.contains("<td>1 of 2</td>"));
    assert!(!comparison(&[]).contains("<svg"));
}

#[test]
fn a_figure_of_rewards_has_a_pale_line_and_its_mean() {
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small");
    let run = || Run::read(std::path::Path::new(small)).unwrap();
    let runs = [
        ("13 numbers".to_owned(), run()),
        ("control".to_owned(), run()),
    ];
    let svg = reward_figure("rewards", &runs);
    let count = |text: &str| svg.matches(text).count();
    assert_eq!((count("line pale c0"), count("line pale c1")), (1, 1));
    assert_eq!((count("\"line c0 data"), count("\"line c1 data")), (1, 1));
    assert!(svg.contains(">13 numbers<") && svg.contains(">control<") && svg.contains(".pale{"));
}

#[test]
fn a_figure_has_a_dot_a_run_and_a_line_through_means() {
    let mut rows = rows();
    rows.push(row("1e-2", 1, 1000, 80.0));
    let points = rows
        .iter()
        .map(|row| (row.parameters, row.after_strict.unwrap().share()));
    let points = points.collect();
    let figure = Figure {
        title: "a < b".to_owned(),
        measure: "strict".to_owned(),
        series: vec![FigureSeries {
            name: "grpo".to_owned(),
            points,
        }],
        base: Some(0.1),
    };
    let svg = figure.svg();
    assert_eq!(svg.matches("<circle").count(), 5);
    let line = svg
        .split("data\" d=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert_eq!(line.matches(['M', 'L']).count(), 2);
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"420\" viewBox=\"0 0 720 420\""));
    assert!(svg.contains("a &lt; b") && svg.contains(">base<") && svg.contains(">100<"));
}
