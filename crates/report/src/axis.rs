//! Axes: their range, and ticks at round numbers.

/// An axis from its lowest to its highest value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Values and what is written at them.
    pub(crate) ticks: Vec<(f64, String)>,
    logarithmic: bool,
}

impl Axis {
    /// An axis whose ends are round numbers as well.
    pub(crate) fn rounded(low: f64, high: f64, count: u32) -> Self {
        let (low, high) = apart(low, high);
        let step = round_step((high - low) / f64::from(count));
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        Self {
            low: first * step,
            high: last * step,
            ticks: ticks(first, last, step),
            logarithmic: false,
        }
    }

    /// An axis from exactly here to there.
    pub(crate) fn exact(low: f64, high: f64, count: u32) -> Self {
        let (low, high) = apart(low, high);
        let step = round_step((high - low) / f64::from(count));
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        Self {
            low,
            high,
            ticks: ticks(first, last, step),
            logarithmic: false,
        }
    }

    /// Whole numbers, such as steps.
    pub(crate) fn whole(low: f64, high: f64, count: u32) -> Self {
        let mut axis = Self::exact(low, high, count);
        axis.ticks
            .retain(|(value, _)| (value - value.round()).abs() < 1e-9);
        axis
    }

    /// A logarithmic axis; what is not above 0 has no place on it.
    pub(crate) fn logarithmic(low: f64, high: f64) -> Self {
        let (low, high) = match low < high {
            true => (low / 1.3, high * 1.3),
            false => (low / 3.0, high * 3.0),
        };
        let decades = libm::log10(high / low);
        let factors: &[f64] = match decades {
            decades if decades < 2.5 => &[1.0, 2.0, 5.0],
            decades if decades < 4.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let mut ticks = Vec::new();
        for power in exponent(low)..=exponent(high) {
            for factor in factors {
                let value = scaled(*factor, power);
                if (low..=high).contains(&value) {
                    ticks.push((value, label(value, power)));
                }
            }
        }
        Self {
            low,
            high,
            ticks,
            logarithmic: true,
        }
    }

    /// The same axis, as percentages.
    pub(crate) fn percent(mut self) -> Self {
        let step = match self.ticks.as_slice() {
            [(first, _), (second, _), ..] => 100.0 * (second - first),
            _ => 1.0,
        };
        let power = exponent(step * (1.0 + 1e-9));
        for (value, text) in &mut self.ticks {
            *text = format!("{} %", label(100.0 * *value, power));
        }
        self
    }

    /// Where a value is: 0 at the low end, 1 at the high one.
    pub(crate) fn place(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => libm::log10(value / self.low) / libm::log10(self.high / self.low),
            false => (value - self.low) / (self.high - self.low),
        }
    }
}

fn ticks(first: f64, last: f64, step: f64) -> Vec<(f64, String)> {
    let power = exponent(step);
    let count = (last - first).clamp(0.0, 20.0);
    let mut ticks = Vec::new();
    let mut number = 0.0;
    while number <= count {
        let value = (first + number) * step;
        ticks.push((value, label(value, power)));
        number += 1.0;
    }
    ticks
}

/// The smallest of 1, 2, 5 times a power of ten that is at least so much.
fn round_step(least: f64) -> f64 {
    let power = exponent(least);
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| scaled(factor, power));
    let fitting = steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9));
    fitting.unwrap_or_else(|| scaled(10.0, power))
}

/// A value as it is written at a tick, when ticks are this power of ten apart.
fn label(value: f64, power: i32) -> String {
    let value = if value == 0.0 { 0.0 } else { value };
    let size = value.abs();
    let text = if power < -4 || size >= 1e6 {
        match size == 0.0 {
            true => "0".to_owned(),
            false => {
                let digits = usize::try_from(exponent(size) - power).unwrap_or(0).min(3);
                format!("{value:.digits$e}")
            }
        }
    } else {
        let decimals = usize::try_from(-power).unwrap_or(0);
        format!("{value:.decimals$}")
    };
    text.replace('-', "−")
}

/// Ends that are apart.
fn apart(low: f64, high: f64) -> (f64, f64) {
    if high > low && (high - low) > 1e-12 * high.abs() {
        (low, high)
    } else if low == 0.0 {
        (0.0, 1.0)
    } else {
        (low - 0.5 * low.abs(), low + 0.5 * low.abs())
    }
}

/// The power of ten of a number, exactly, and the number from it: by decimal notation, which is the same everywhere.
fn exponent(value: f64) -> i32 {
    let text = format!("{:e}", value.abs());
    let power = text
        .split_once('e')
        .and_then(|(_, power)| power.parse().ok());
    power.unwrap_or(0)
}

fn scaled(factor: f64, power: i32) -> f64 {
    format!("{factor}e{power}").parse().unwrap_or(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        let axis = Axis::rounded(0.03, 0.97, 5);
        assert_eq!(labels(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!((axis.low, axis.high), (0.0, 1.0));
        let axis = Axis::rounded(-0.2, 11.0, 5);
        assert_eq!(labels(&axis), ["−5", "0", "5", "10", "15"]);
        let axis = Axis::rounded(0.0, 3.2e-7, 4);
        assert_eq!(labels(&axis), ["0", "1e−7", "2e−7", "3e−7", "4e−7"]);
    }

    #[test]
    fn equal_ends_make_an_axis() {
        for value in [0.0, 5.0, -3.0] {
            let axis = Axis::rounded(value, value, 5);
            assert!(axis.low <= value && value <= axis.high && axis.low < axis.high);
        }
    }

    #[test]
    fn steps_are_whole() {
        let axis = Axis::whole(0.0, 3.0, 6);
        assert_eq!(labels(&axis).len(), 4);
        let axis = Axis::whole(0.0, 103.0, 5);
        assert_eq!(axis.ticks.last().unwrap().0, 100.0);
    }

    #[test]
    fn decades_have_equal_lengths() {
        let axis = Axis::logarithmic(1.0, 10_000.0);
        let gap = |a: f64, b: f64| axis.place(b) - axis.place(a);
        assert!((gap(1.0, 10.0) - gap(100.0, 1000.0)).abs() < 1e-12);
        assert_eq!(labels(&axis), ["1", "10", "100", "1000", "10000"]);
        let axis = Axis::logarithmic(0.001, 0.02);
        assert_eq!(labels(&axis), ["0.001", "0.002", "0.005", "0.01", "0.02"]);
    }

    #[test]
    fn shares_are_percentages() {
        let axis = Axis::rounded(0.0, 0.52, 5).percent();
        assert_eq!(labels(&axis), ["0 %", "20 %", "40 %", "60 %"]);
    }
}
