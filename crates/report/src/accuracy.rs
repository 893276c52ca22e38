//! Right answers of some number, with an interval.

use serde::{Deserialize, Serialize};

/// Right ones of all. Means over several samples are not whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Right ones.
    pub right: f64,
    /// All.
    pub of: u64,
}

impl Accuracy {
    /// right / of; 0 of 0 is 0.
    #[must_use]
    pub fn share(self) -> f64 {
        self.right / self.count()
    }

    /// Wilson's interval of 95 %.
    #[must_use]
    pub fn interval(self) -> (f64, f64) {
        const Z: f64 = 1.959_963_984_540_054;
        let (n, p) = (self.count(), self.share());
        let middle = p + Z * Z / (2.0 * n);
        let spread = Z * ((p * (1.0 - p)).max(0.0) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (
            ((middle - spread) / scale).max(0.0),
            ((middle + spread) / scale).min(1.0),
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of problems")]
    fn count(self) -> f64 {
        self.of.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // scipy: binomtest(4, 40).proportion_ci(method="wilson")
        let (low, high) = Accuracy { right: 4.0, of: 40 }.interval();
        assert!((low - 0.039_579_528_682_606_36).abs() < 1e-12, "{low}");
        assert!((high - 0.230_517_752_275_222_98).abs() < 1e-12, "{high}");
    }
}
