//! PEFT's rule for how many groups a number of modules makes.

/// max(1, round(N · (1 − weight_tying))) as Python evaluates it: in binary64, halves to even.
pub(crate) fn group_count(modules: u32, weight_tying: f64) -> u32 {
    let groups = (f64::from(modules) * (1.0 - weight_tying)).round_ties_even();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what modules allows; a NaN becomes 0, and then 1"
    )]
    let groups = groups.clamp(0.0, f64::from(modules)) as u32;
    groups.max(1)
}

#[cfg(test)]
mod tests {
    use super::group_count;

    #[test]
    fn rounds_as_python_does() {
        // From CPython: max(1, round(n * (1.0 - t))).
        let cases = [
            (196, 0.0, 196),
            (196, 0.4, 118),
            (196, 1.0 - 1.0 / 8.0, 24),
            (196, 1.0 - 1.0 / 13.0, 15),
            (252, 1.0 - 1.0 / 8.0, 32),
            (7, 0.5, 4),
            (5, 0.5, 2),
            (14, 0.923, 1),
            (196, 1.0 - 1.0 / 64.0, 3),
            (196, 1.0, 1),
        ];
        for (modules, weight_tying, groups) in cases {
            assert_eq!(
                group_count(modules, weight_tying),
                groups,
                "{modules} {weight_tying}"
            );
        }
    }
}
