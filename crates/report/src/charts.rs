//! The charts of a run.

use crate::chart::{Chart, Frame, Horizontal, Mark, Series, Vertical};
use crate::heat_map::heat_map;
use crate::summary::accuracy;
use crate::{Metrics, Run};

/// A number of a step.
type Measure = fn(&Metrics) -> Option<f64>;

/// Components of v that are drawn as lines.
const LINES: usize = 16;
/// The size of a chart on a page.
pub(crate) const FRAME: Frame = Frame {
    width: 440.0,
    height: 280.0,
    style: None,
};

/// A chart with what there is to say of it.
pub(crate) struct Drawn {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) svg: String,
}

/// All charts for which there are numbers.
pub(crate) fn charts(run: &Run) -> Vec<Drawn> {
    let line =
        |id: &str, title: &str, y: &str, vertical, series| chart(id, (title, y), vertical, series);
    let noisy = |name: &str, color, of: fn(&Metrics) -> Option<f64>| noisy(run, name, color, of);
    let plain = |name: &str, color, mark, of| series(run, name, color, mark, of);
    let all = [
        line(
            "reward",
            "Reward",
            "mean reward",
            Vertical::Free,
            noisy("reward", 0, |m| m.reward),
        ),
        line(
            "accuracy",
            "Accuracy",
            "right answers",
            Vertical::Share,
            accuracies(run),
        ),
        line(
            "length",
            "Length of completions",
            "tokens",
            Vertical::FromZero,
            vec![
                plain("longest", 7, Mark::Dashed, |m| m.length_max),
                plain("mean", 0, Mark::Line, |m| m.length),
                plain("shortest", 7, Mark::Dashed, |m| m.length_min),
            ],
        ),
        line(
            "truncated",
            "Cut off at the limit",
            "completions",
            Vertical::Share,
            noisy("cut off", 4, |m| m.truncated),
        ),
        line(
            "groups",
            "Groups without a difference",
            "groups",
            Vertical::Share,
            [
                noisy("all right", 2, |m| m.all_right),
                noisy("all wrong", 4, |m| m.all_wrong),
            ]
            .concat(),
        ),
        line(
            "mismatch",
            "Sampler against learner",
            "KL by k3, nats a token",
            Vertical::FromZero,
            vec![plain("k3", 3, Mark::Line, |m| m.mismatch.k3)],
        ),
        line(
            "kl",
            "KL to the base",
            "nats a token",
            Vertical::FromZero,
            noisy("KL", 5, |m| m.kl),
        ),
        line(
            "size",
            "Size of v",
            "|v|",
            Vertical::FromZero,
            vec![plain("|v|", 0, Mark::Line, |m| m.v_norm)],
        ),
        trajectory(run),
        line(
            "entropy",
            "Entropy",
            "nats a token",
            Vertical::FromZero,
            noisy("entropy", 5, |m| m.entropy),
        ),
        line(
            "gradient",
            "Norm of the gradient",
            "before it was cut",
            Vertical::FromZero,
            noisy("gradient", 1, |m| m.gradient_norm),
        ),
    ];
    all.into_iter().flatten().collect()
}

fn chart(
    id: &str,
    (title, y): (&str, &str),
    vertical: Vertical,
    mut series: Vec<Series>,
) -> Option<Drawn> {
    series.retain(|series| !series.points.is_empty());
    let chart = Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        x: "step".to_owned(),
        y: y.to_owned(),
        horizontal: Horizontal::Steps,
        vertical,
        series,
        base: None,
    };
    let values = || {
        chart
            .series
            .iter()
            .flat_map(|series| &series.points)
            .map(|(_, y)| *y)
    };
    let first = values().next().unwrap_or(0.0);
    let same = values().all(|value| value == first);
    let drawn = |mark| chart.series.iter().any(|series| series.mark == mark);
    let note = match same {
        true if chart.series.iter().any(|s| s.points.len() > 1) => {
            format!("{} in every step.", vertical.value(first))
        }
        false if drawn(Mark::Pale) => "Thick: running mean.".to_owned(),
        _ => String::new(),
    };
    (!chart.is_empty()).then(|| Drawn {
        title: title.to_owned(),
        note,
        svg: chart.svg(FRAME),
    })
}

fn series(
    run: &Run,
    name: &str,
    color: usize,
    mark: Mark,
    of: fn(&Metrics) -> Option<f64>,
) -> Series {
    let points = run.metrics.iter();
    let points = points.filter_map(|line| Some((step(line.step), of(line)?)));
    Series {
        name: name.to_owned(),
        color,
        mark,
        points: points.filter(|(_, y)| y.is_finite()).collect(),
        intervals: Vec::new(),
    }
}

/// Numbers that jump from step to step: they are pale, and their mean over neighbours is drawn.
fn noisy(run: &Run, name: &str, color: usize, of: fn(&Metrics) -> Option<f64>) -> Vec<Series> {
    let raw = series(run, name, color, Mark::Line, of);
    smoothed(raw.points.len() / 30, raw)
}

/// A pale line, and over it the mean of each point and `reach` on either side.
pub(crate) fn smoothed(reach: usize, raw: Series) -> Vec<Series> {
    if reach == 0 {
        return vec![raw];
    }
    let mean = |(number, (x, _)): (usize, &(f64, f64))| {
        let from = number.saturating_sub(reach);
        let near = raw.points.iter().skip(from).take(number + reach + 1 - from);
        let (sum, count) = near.fold((0.0, 0.0), |(sum, count), (_, y)| (sum + y, count + 1.0));
        (*x, sum / count)
    };
    let smooth = Series {
        points: raw.points.iter().enumerate().map(mean).collect(),
        ..raw.clone()
    };
    let raw = Series {
        mark: Mark::Pale,
        ..raw
    };
    vec![raw, smooth]
}

/// What evaluations are called, in the order of the colours.
const READINGS: [&str; 4] = [
    "greedy-strict",
    "greedy-lenient",
    "sampled-strict",
    "sampled-lenient",
];

/// Evaluations with their intervals, and the share of the training's own samples.
fn accuracies(run: &Run) -> Vec<Series> {
    let mut all = Vec::new();
    let training: [(&str, usize, Measure); 2] = [
        ("training, strict", 0, |m| m.strict),
        ("training, lenient", 1, |m| m.lenient),
    ];
    for (name, color, of) in training {
        // The mean alone: evaluations are what the chart is about.
        all.extend(noisy(run, name, color, of).pop().map(|series| Series {
            mark: Mark::Dashed,
            ..series
        }));
    }
    let names = crate::Summary::of(run).changes;
    for (number, change) in names.iter().enumerate() {
        // The first four colours are the ones that are told apart at a glance.
        let color = READINGS.iter().position(|&name| name == change.name);
        let color = color.unwrap_or(READINGS.len() + number);
        let found = || run.evaluations.iter().filter(|e| e.name == change.name);
        let interval = |e: &crate::Evaluation| {
            let (low, high) = accuracy(e.score, e.items).interval();
            (step(e.step), low, high)
        };
        all.push(Series {
            name: change.name.replace('-', ", "),
            color,
            mark: Mark::Dotted,
            points: found().map(|e| (step(e.step), e.score)).collect(),
            intervals: found().map(interval).collect(),
        });
    }
    all
}

fn trajectory(run: &Run) -> Option<Drawn> {
    let title = "Trajectory of v";
    let components = run.parameters();
    if components > LINES {
        let svg = heat_map("trajectory", &run.trajectory, FRAME);
        let note = format!("{components} components; the scale ends at the largest.");
        return Some(Drawn {
            title: title.to_owned(),
            note,
            svg,
        });
    }
    let one = |component: usize| Series {
        name: format!("v{component}"),
        color: component,
        mark: if component < crate::chart::COLORS {
            Mark::Line
        } else {
            Mark::Dashed
        },
        points: run
            .trajectory
            .iter()
            .filter_map(|at| Some((step(at.step), f64::from(*at.v.get(component)?))))
            .collect(),
        intervals: Vec::new(),
    };
    let series = (0..components).map(one).collect();
    chart("trajectory", (title, "value"), Vertical::Free, series)
}

#[expect(clippy::cast_precision_loss, reason = "steps are few")]
const fn step(step: u64) -> f64 {
    step as f64
}
