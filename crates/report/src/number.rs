//! Numbers as people read them.

/// Four digits that matter; powers of ten for the very large and the very small.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.2e}").replace('-', "−")
    } else {
        let decimals = match size {
            size if size >= 1000.0 => 0,
            size if size >= 100.0 => 1,
            size if size >= 10.0 => 2,
            size if size >= 1.0 => 3,
            _ => 4,
        };
        let text = format!("{value:.decimals$}");
        let text = match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        };
        text.replace('-', "−")
    }
}

/// A share as a percentage with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A difference of shares, in points, with its sign.
pub(crate) fn points(difference: f64) -> String {
    format!("{:+.1}", 100.0 * difference).replace('-', "−")
}

/// Seconds in the two units that fit.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round();
    if seconds < 100.0 {
        return format!("{seconds:.1} s");
    }
    let minutes = (whole / 60.0).floor();
    if minutes < 60.0 {
        return format!("{minutes} min {} s", whole - 60.0 * minutes);
    }
    let minutes = (whole / 60.0).round();
    let hours = (minutes / 60.0).floor();
    format!("{hours} h {} min", minutes - 60.0 * hours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.25, -1.5, 1234.6, 1e-7, 123_456.0, 10.0, 100.0];
        let all: Vec<String> = all.into_iter().map(short).collect();
        assert_eq!(
            all,
            [
                "0",
                "0.25",
                "−1.5",
                "1235",
                "1.00e−7",
                "1.23e5",
                "10",
                "100"
            ]
        );
    }

    #[test]
    fn durations_have_two_units() {
        let all = [1.25, 200.0, 3599.9, 7260.0].map(duration);
        assert_eq!(all, ["1.2 s", "3 min 20 s", "1 h 0 min", "2 h 1 min"]);
    }
}
