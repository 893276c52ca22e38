//! A chart as SVG. Colours are classes, so that the page, or the figure's own style, decides about light and dark.

use std::fmt::Write;

use crate::axis::Axis;
use crate::html::escape;
use crate::number::{percent, short};

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A line.
    Line,
    /// A thin, pale line: the numbers behind a mean. It is not in the legend.
    Pale,
    /// A dashed line.
    Dashed,
    /// A line with a dot at each point.
    Dotted,
    /// Dots without a line; not in the legend.
    Dots,
}

/// Points of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// The number of the colour.
    pub(crate) color: usize,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<(f64, f64)>,
    /// The interval of each point, if it has one: x, low, high.
    pub(crate) intervals: Vec<(f64, f64, f64)>,
}

/// What the vertical axis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vertical {
    /// Whatever the numbers are.
    Free,
    /// From 0.
    FromZero,
    /// Shares, as percentages from 0.
    Share,
    /// Differences of shares, as percentages, with 0.
    Difference,
}

/// What the horizontal axis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Horizontal {
    /// Steps of a run.
    Steps,
    /// Positive numbers, by their logarithm.
    Logarithmic,
}

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) horizontal: Horizontal,
    pub(crate) vertical: Vertical,
    pub(crate) series: Vec<Series>,
    /// A line across, with its name.
    pub(crate) base: Option<(String, f64)>,
}

/// Width, height, and the style that a file of its own needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) style: Option<&'static str>,
}

/// Colours that there are.
pub(crate) const COLORS: usize = 8;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 42.0;
const ROW: f64 = 18.0;

struct Plot<'a> {
    frame: Frame,
    top: f64,
    x: &'a Axis,
    y: &'a Axis,
}

impl Plot<'_> {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (self.frame.width - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let bottom = self.frame.height - BOTTOM;
        bottom - self.y.place(value) * (bottom - self.top)
    }
}

impl Chart {
    /// Whether there is anything to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.points.is_empty())
    }

    /// The chart as SVG.
    pub(crate) fn svg(&self, frame: Frame) -> String {
        let (x, y) = (self.x_axis(), self.y_axis());
        let (legend, rows) = self.legend(frame);
        let heading = if frame.style.is_some() { 30.0 } else { 6.0 };
        let plot = Plot {
            frame,
            top: heading + ROW * rows + 6.0,
            x: &x,
            y: &y,
        };
        let mut svg = head(&self.id, &self.title, &self.described(), frame);
        if frame.style.is_some() {
            let _ = write!(
                svg,
                "<text class=\"heading\" x=\"{LEFT}\" y=\"22\">{}</text>",
                escape(&self.title)
            );
        }
        let _ = write!(svg, "<g transform=\"translate(0 {heading})\">{legend}</g>");
        svg.push_str(&self.axes(&plot));
        for series in &self.series {
            svg.push_str(&series.draw(&plot, self.vertical));
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn x_axis(&self) -> Axis {
        let all = self.series.iter().flat_map(|series| &series.points);
        let (low, high) = extent(all.map(|(x, _)| *x));
        match self.horizontal {
            Horizontal::Steps => Axis::whole(low, high.max(low + 1.0), 6),
            Horizontal::Logarithmic => Axis::logarithmic(low, high),
        }
    }

    fn y_axis(&self) -> Axis {
        let points = self.series.iter().flat_map(|series| &series.points);
        let points = points.map(|(_, y)| *y);
        let intervals = self.series.iter().flat_map(|series| &series.intervals);
        let intervals = intervals.flat_map(|(_, low, high)| [*low, *high]);
        let base = self.base.iter().map(|(_, value)| *value);
        let (low, high) = extent(points.chain(intervals).chain(base));
        match self.vertical {
            Vertical::Free => Axis::rounded(low, high, 5),
            Vertical::FromZero => Axis::rounded(low.min(0.0), high.max(0.0), 5),
            Vertical::Share => Axis::rounded(0.0, high.max(0.05), 5).percent(),
            Vertical::Difference => Axis::rounded(low.min(0.0), high.max(0.02), 5).percent(),
        }
    }

    fn axes(&self, plot: &Plot<'_>) -> String {
        let (right, bottom) = (plot.frame.width - RIGHT, plot.frame.height - BOTTOM);
        let mut svg = String::new();
        for (value, label) in &plot.y.ticks {
            let y = plot.y(*value);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
                LEFT - 7.0,
                y + 4.0,
            );
        }
        let mut free = 0.0;
        for (value, label) in &plot.x.ticks {
            let x = plot.x(*value);
            let _ = write!(svg, "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v4\"/>");
            let half = 0.5 * text_width(label);
            if x - half >= free {
                let _ = write!(
                    svg,
                    "<text class=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
                    bottom + 17.0
                );
                free = x + half + 8.0;
            }
        }
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{LEFT} {bottom:.1}H{right}\"/>\
             <text class=\"middle name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <text class=\"middle name\" transform=\"translate(13 {:.1}) rotate(-90)\">{}</text>",
            0.5 * (LEFT + right),
            plot.frame.height - 8.0,
            escape(&self.x),
            0.5 * (plot.top + bottom),
            escape(&self.y),
        );
        if let Some((_, value)) = &self.base {
            let _ = write!(
                svg,
                "<path class=\"base\" d=\"M{LEFT} {:.1}H{right}\"/>",
                plot.y(*value)
            );
        }
        svg
    }

    /// The legend and its rows; one name alone needs none.
    fn legend(&self, frame: Frame) -> (String, f64) {
        let shown = |series: &&Series| !matches!(series.mark, Mark::Pale | Mark::Dots);
        let series = self.series.iter().filter(shown);
        let mut entries: Vec<(String, &str)> = series
            .map(|series| (series.class(), series.name.as_str()))
            .collect();
        entries.extend(
            self.base
                .iter()
                .map(|(name, _)| ("base".to_owned(), name.as_str())),
        );
        if entries.len() < 2 {
            return (String::new(), 0.0);
        }
        let (mut svg, mut x, mut y) = (String::new(), LEFT, 12.0);
        for (class, name) in entries {
            let wide = 28.0 + text_width(name);
            if x + wide > frame.width && x > LEFT {
                (x, y) = (LEFT, y + ROW);
            }
            let _ = write!(
                svg,
                "<path class=\"{class}\" d=\"M{x:.1} {:.1}h14\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                y - 4.0,
                x + 18.0,
                escape(name),
            );
            x += wide + 4.0;
        }
        (svg, (y - 12.0) / ROW + 1.0)
    }

    /// The chart in words, for those who do not see it.
    fn described(&self) -> String {
        let mut text = String::new();
        for series in &self.series {
            let (Some(first), Some(last)) = (series.points.first(), series.points.last()) else {
                continue;
            };
            if matches!(series.mark, Mark::Pale | Mark::Dots) || self.series.len() > 8 {
                continue;
            }
            let value = |value| self.vertical.value(value);
            let _ = write!(
                text,
                "{}: {} at {} {}, {} at {}. ",
                series.name,
                value(first.1),
                self.x,
                short(first.0),
                value(last.1),
                short(last.0)
            );
        }
        text.trim_end().to_owned()
    }
}

impl Vertical {
    /// A value as it is said in words.
    pub(crate) fn value(self, value: f64) -> String {
        match self {
            Self::Share | Self::Difference => percent(value),
            Self::Free | Self::FromZero => short(value),
        }
    }
}

impl Series {
    fn class(&self) -> String {
        let kind = match self.mark {
            Mark::Line | Mark::Dotted | Mark::Dots => "line",
            Mark::Pale => "line pale",
            Mark::Dashed => "line dashed",
        };
        format!("{kind} c{}", self.color % COLORS)
    }

    fn draw(&self, plot: &Plot<'_>, vertical: Vertical) -> String {
        let mut svg = String::new();
        for (x, low, high) in &self.intervals {
            let (x, low, high) = (plot.x(*x), plot.y(*low), plot.y(*high));
            let _ = write!(
                svg,
                "<path class=\"bar c{}\" d=\"M{x:.1} {low:.1}V{high:.1}m-3 0h6M{:.1} {low:.1}h6\"/>",
                self.color % COLORS,
                x - 3.0,
            );
        }
        if self.mark != Mark::Dots && self.points.len() > 1 {
            let mut path = String::new();
            for (number, (x, y)) in self.points.iter().enumerate() {
                let letter = if number == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{:.1} {:.1}", plot.x(*x), plot.y(*y));
            }
            let _ = write!(svg, "<path class=\"{} data\" d=\"{path}\"/>", self.class());
        }
        if matches!(self.mark, Mark::Dotted | Mark::Dots) || self.points.len() == 1 {
            for (x, y) in &self.points {
                let _ = write!(
                    svg,
                    "<circle class=\"dot c{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}: {}, {}</title></circle>",
                    self.color % COLORS,
                    plot.x(*x),
                    plot.y(*y),
                    escape(&self.name),
                    short(*x),
                    vertical.value(*y),
                );
            }
        }
        svg
    }
}

/// The beginning of an image with its title and description.
pub(crate) fn head(id: &str, title: &str, description: &str, frame: Frame) -> String {
    let (width, height) = (frame.width, frame.height);
    let own = match frame.style {
        Some(style) => format!(
            "<style>{style}</style><rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>"
        ),
        None => String::new(),
    };
    // A file of its own has a size; in a page the style gives it.
    let size = match frame.style {
        Some(_) => format!("width=\"{width}\" height=\"{height}\" "),
        None => String::new(),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" {size}viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-description\"><title id=\"{id}-title\">{}</title>\
         <desc id=\"{id}-description\">{}</desc>{own}",
        escape(title),
        escape(description),
    )
}

/// About how wide a text is.
#[expect(clippy::cast_precision_loss, reason = "a short text")]
pub(crate) fn text_width(text: &str) -> f64 {
    6.4 * text.chars().count() as f64
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    finite
        .fold(None, |found: Option<(f64, f64)>, value| match found {
            Some((low, high)) => Some((low.min(value), high.max(value))),
            None => Some((value, value)),
        })
        .unwrap_or((0.0, 1.0))
}
