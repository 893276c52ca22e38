//! Accuracy against the number of trained parameters, as an SVG file of its own, such as documentation has.

use crate::Run;
use crate::chart::{COLORS, Chart, Frame, Horizontal, Mark, Series, Vertical};
use crate::charts::smoothed;
use crate::sweep::mean;

const FRAME: Frame = Frame {
    width: 720.0,
    height: 420.0,
    style: Some(include_str!("page/figure.css")),
};

/// A figure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figure {
    /// What stands above it.
    pub title: String,
    /// What the vertical axis is called.
    pub measure: String,
    /// Its series.
    pub series: Vec<FigureSeries>,
    /// The base's accuracy: a line across.
    pub base: Option<f64>,
}

/// Runs of one kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FigureSeries {
    /// What they are called.
    pub name: String,
    /// A point a run: trained parameters, and the accuracy from 0 to 1.
    pub points: Vec<(u64, f64)>,
}

impl Figure {
    /// The figure: a dot a run, a line through the means of runs with equally many parameters.
    #[must_use]
    pub fn svg(&self) -> String {
        let named = self.series.iter().enumerate();
        let series = named.flat_map(|(color, series)| {
            let points = series
                .points
                .iter()
                .filter(|(parameters, _)| *parameters > 0);
            let points: Vec<(f64, f64)> = points.map(|(x, y)| (number(*x), *y)).collect();
            means(&series.name, color, points)
        });
        let chart = Chart {
            id: "figure".to_owned(),
            title: self.title.clone(),
            x: "trained parameters".to_owned(),
            y: self.measure.clone(),
            horizontal: Horizontal::Logarithmic,
            vertical: Vertical::Share,
            series: series.collect(),
            base: self.base.map(|base| ("base".to_owned(), base)),
        };
        chart.svg(FRAME)
    }
}

/// The mean rewards of runs by their steps, as an SVG file of its own: a pale line each, and over it the mean of five steps.
#[must_use]
pub fn reward_figure(title: &str, runs: &[(String, Run)]) -> String {
    let series = runs.iter().enumerate().flat_map(|(color, (name, run))| {
        let points = run.metrics.iter();
        let points = points.filter_map(|metrics| Some((number(metrics.step), metrics.reward?)));
        let raw = Series {
            name: name.clone(),
            color: color % COLORS,
            mark: Mark::Line,
            points: points.collect(),
            intervals: Vec::new(),
        };
        smoothed(2, raw)
    });
    let chart = Chart {
        id: "rewards".to_owned(),
        title: title.to_owned(),
        x: "step".to_owned(),
        y: "mean reward".to_owned(),
        horizontal: Horizontal::Steps,
        vertical: Vertical::FromZero,
        series: series.collect(),
        base: None,
    };
    chart.svg(FRAME)
}

/// Dots, and a line through the means of those above one another.
pub(crate) fn means(name: &str, color: usize, mut points: Vec<(f64, f64)>) -> [Series; 2] {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let chunks = points.chunk_by(|a, b| a.0 == b.0);
    let line = chunks.filter_map(|chunk| {
        let values: Vec<f64> = chunk.iter().map(|(_, y)| *y).collect();
        Some((chunk.first()?.0, mean(&values)?.0))
    });
    let of = |mark, points| Series {
        name: name.to_owned(),
        color,
        mark,
        points,
        intervals: Vec::new(),
    };
    let line = of(Mark::Line, line.collect());
    [line, of(Mark::Dots, points)]
}

#[expect(clippy::cast_precision_loss, reason = "counts of parameters")]
const fn number(count: u64) -> f64 {
    count as f64
}
