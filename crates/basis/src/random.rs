//! numpy's legacy normal numbers, which scikit-learn's randomised SVD starts from (spec §6.9).

use crate::elementary::ln;
use crate::mersenne::Mersenne;

/// The normal numbers of a seed: Marsaglia's polar method.
#[derive(Debug)]
pub(crate) struct Normals {
    generator: Mersenne,
    second: Option<f64>,
}

impl Normals {
    pub(crate) fn new(seed: u32) -> Self {
        Self {
            generator: Mersenne::new(seed),
            second: None,
        }
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> f64 {
        if let Some(second) = self.second.take() {
            return second;
        }
        loop {
            let (x1, x2) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let squared = x1 * x1 + x2 * x2;
            if squared < 1.0 && squared != 0.0 {
                let f = ((-2.0 * ln(squared)) / squared).sqrt();
                self.second = Some(f * x1);
                return f * x2;
            }
        }
    }

    /// In [0, 1), of 53 bits.
    fn uniform(&mut self) -> f64 {
        let high = f64::from(self.generator.draw() >> 5);
        let low = f64::from(self.generator.draw() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::Normals;

    #[test]
    fn draws_numpys_numbers() {
        // numpy.random.RandomState(42).normal(size=5); numpy's logarithm may differ in the last bit.
        let mut normals = Normals::new(42);
        for expected in [
            0.496_714_153_011_233_1,
            -0.138_264_301_171_184_66,
            0.647_688_538_100_692_3,
            1.523_029_856_408_025_4,
            -0.234_153_374_723_336_1,
        ] {
            let found = normals.draw();
            assert!((found - expected).abs() < 1e-15, "{found} for {expected}");
        }
    }
}
