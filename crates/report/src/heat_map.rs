//! v's trajectory when it has too many components for lines: a row a component, a column a step.

use std::fmt::Write;

use crate::VStep;
use crate::axis::Axis;
use crate::chart::{Frame, head};
use crate::number::short;

const ROWS: usize = 64;
const COLUMNS: usize = 72;
/// Shades on each side of 0.
const SHADES: f64 = 5.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 42.0;

/// The trajectory as an image.
pub(crate) fn heat_map(id: &str, trajectory: &[VStep], frame: Frame) -> String {
    let components = trajectory.first().map_or(0, |step| step.v.len());
    let per_row = components.div_ceil(ROWS).max(1);
    let rows = components.div_ceil(per_row).max(1);
    let columns: Vec<&VStep> = spread(trajectory);
    let cell = |step: &VStep, row: usize| {
        let values = step.v.iter().skip(row * per_row).take(per_row);
        values.fold(0.0_f64, |most, &value| {
            let value = f64::from(value);
            if value.abs() > most.abs() {
                value
            } else {
                most
            }
        })
    };
    let all = trajectory.iter().flat_map(|step| &step.v);
    let largest = all.fold(0.0_f64, |most, value| most.max(f64::from(value.abs())));
    let size = (
        (frame.width - LEFT - RIGHT) / count(columns.len().max(1)),
        (frame.height - TOP - BOTTOM) / count(rows),
    );
    let mut shades: [String; 11] = Default::default();
    for (column, step) in columns.iter().enumerate() {
        for row in 0..rows {
            let shade = (cell(step, row) / largest * SHADES).round();
            let path = &mut shades[index(shade)];
            let (x, y) = (LEFT + count(column) * size.0, TOP + count(row) * size.1);
            let _ = write!(
                path,
                "M{x:.1} {y:.1}h{:.1}v{:.1}h-{:.1}z",
                size.0 + 0.1,
                size.1 + 0.1,
                size.0 + 0.1
            );
        }
    }
    let description = format!(
        "{components} components; the largest is {} in size.",
        short(largest)
    );
    let mut svg = head(id, "Trajectory of v", &description, frame);
    for (shade, path) in shades
        .iter()
        .enumerate()
        .filter(|(_, path)| !path.is_empty())
    {
        let _ = write!(svg, "<path class=\"h{shade} data\" d=\"{path}\"/>");
    }
    svg.push_str(&scale(largest, frame));
    svg.push_str(&axes(&columns, components, per_row, frame));
    svg.push_str("</svg>\n");
    svg
}

fn spread(trajectory: &[VStep]) -> Vec<&VStep> {
    let shown = trajectory.len().min(COLUMNS);
    let place = |number: usize| number * (trajectory.len() - 1) / (shown - 1).max(1);
    (0..shown)
        .filter_map(|number| trajectory.get(place(number)))
        .collect()
}

fn index(shade: f64) -> usize {
    let shades = (0..11_u8).zip(-5_i8..);
    let found = shades.min_by(|(_, a), (_, b)| {
        let distance = |value: i8| (f64::from(value) - shade).abs();
        distance(*a).total_cmp(&distance(*b))
    });
    found.map_or(5, |(number, _)| usize::from(number))
}

fn scale(largest: f64, frame: Frame) -> String {
    let mut svg = format!(
        "<text class=\"end\" x=\"{:.1}\" y=\"18\">{}</text>",
        frame.width - RIGHT - 11.0 * 9.0 - 60.0,
        short(-largest),
    );
    for shade in 0..11 {
        let x = frame.width - RIGHT - 54.0 - 9.0 * count(11 - shade);
        let _ = write!(svg, "<path class=\"h{shade}\" d=\"M{x:.1} 8h9v12h-9z\"/>");
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"18\">{}</text>",
        frame.width - RIGHT - 48.0,
        short(largest),
    );
    svg
}

fn axes(columns: &[&VStep], components: usize, per_row: usize, frame: Frame) -> String {
    let (right, bottom) = (frame.width - RIGHT, frame.height - BOTTOM);
    let mut svg = String::new();
    let ends = columns.first().zip(columns.last());
    let (first, last) = ends.map_or((0.0, 1.0), |(a, b)| (step(a), step(b)));
    let x = Axis::whole(first, last.max(first + 1.0), 6);
    for (value, label) in &x.ticks {
        let at = LEFT + x.place(*value) * (right - LEFT);
        let _ = write!(
            svg,
            "<text class=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{label}</text>",
            bottom + 17.0
        );
    }
    let y = Axis::whole(0.0, count(components.max(1)), 5);
    for (value, label) in &y.ticks {
        let at = TOP + y.place(*value) * (bottom - TOP);
        let _ = write!(
            svg,
            "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
            LEFT - 7.0,
            at + 4.0
        );
    }
    let name = match per_row {
        1 => "component".to_owned(),
        many => format!("component (largest of {many} a row)"),
    };
    let _ = write!(
        svg,
        "<text class=\"middle name\" x=\"{:.1}\" y=\"{:.1}\">step</text>\
         <text class=\"middle name\" transform=\"translate(13 {:.1}) rotate(-90)\">{name}</text>",
        0.5 * (LEFT + right),
        frame.height - 8.0,
        0.5 * (TOP + bottom),
    );
    svg
}

#[expect(clippy::cast_precision_loss, reason = "rows, columns and steps")]
fn step(of: &VStep) -> f64 {
    of.step as f64
}

#[expect(clippy::cast_precision_loss, reason = "rows and columns")]
fn count(number: usize) -> f64 {
    number as f64
}
