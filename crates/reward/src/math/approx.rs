//! Complex numbers with a bound on their rounding errors.
//!
//! The bound decides equality: equal expressions differ by no more than their bounds, and others that are closer than
//! that do not occur by chance. Functions come from `libm`, whose Rust code gives the same bits on every platform.

/// Twice the unit roundoff of f64, so that one operation and its bound are covered.
const EPS: f64 = f64::EPSILON;

/// A complex number, and how far from the true one it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Approx {
    pub(crate) re: f64,
    pub(crate) im: f64,
    pub(crate) err: f64,
}

impl Approx {
    pub(crate) const ZERO: Self = Self {
        re: 0.0,
        im: 0.0,
        err: 0.0,
    };
    pub(crate) const ONE: Self = Self {
        re: 1.0,
        im: 0.0,
        err: 0.0,
    };
    pub(crate) const I: Self = Self {
        re: 0.0,
        im: 1.0,
        err: 0.0,
    };
    pub(crate) const PI: Self = Self {
        re: std::f64::consts::PI,
        im: 0.0,
        err: 2.0 * EPS,
    };
    pub(crate) const E: Self = Self {
        re: std::f64::consts::E,
        im: 0.0,
        err: 2.0 * EPS,
    };

    /// A real number that is off by one rounding.
    pub(crate) const fn rounded(re: f64) -> Self {
        Self {
            re,
            im: 0.0,
            err: re.abs() * EPS,
        }
    }

    /// Exactly this real number.
    pub(crate) const fn real(re: f64) -> Self {
        Self {
            re,
            im: 0.0,
            err: 0.0,
        }
    }

    /// The number with its bound; nothing if it is not finite. An imaginary part within the bound is none.
    fn new(re: f64, im: f64, err: f64) -> Option<Self> {
        let small = im != 0.0 && im.abs() <= err;
        let (im, err) = if small {
            (0.0, err + im.abs())
        } else {
            (im, err)
        };
        (re.is_finite() && im.is_finite() && err.is_finite()).then_some(Self { re, im, err })
    }

    pub(crate) fn is_real(self) -> bool {
        self.im == 0.0
    }

    pub(crate) fn modulus(self) -> f64 {
        libm::hypot(self.re, self.im)
    }

    /// Whether the bound is too wide to tell the number from others: numbers that agree are within 1e-9 of one another.
    pub(crate) fn is_vague(self) -> bool {
        self.err > 1e-13 && self.err > 1e-10 * self.modulus()
    }

    /// Whether both can be the same number.
    pub(crate) fn agrees(self, other: Self) -> bool {
        libm::hypot(self.re - other.re, self.im - other.im) <= 4.0 * (self.err + other.err)
    }

    pub(crate) fn neg(self) -> Self {
        Self {
            re: -self.re,
            im: if self.im == 0.0 { 0.0 } else { -self.im },
            err: self.err,
        }
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let (re, im) = (self.re + other.re, self.im + other.im);
        Self::new(re, im, self.err + other.err + EPS * (re.abs() + im.abs()))
    }

    pub(crate) fn mul(self, other: Self) -> Option<Self> {
        let re = self.re * other.re - self.im * other.im;
        let im = self.re * other.im + self.im * other.re;
        let (a, b) = (self.modulus(), other.modulus());
        Self::new(
            re,
            im,
            a * other.err + b * self.err + self.err * other.err + 4.0 * EPS * a * b,
        )
    }

    pub(crate) fn recip(self) -> Option<Self> {
        let size = self.modulus();
        let margin = size - self.err;
        if margin <= 0.0 {
            return None;
        }
        let (re, im) = (self.re / size / size, -self.im / size / size);
        Self::new(
            re,
            if self.im == 0.0 { 0.0 } else { im },
            self.err / size / margin + 4.0 * EPS / size,
        )
    }

    pub(crate) fn div(self, other: Self) -> Option<Self> {
        self.mul(other.recip()?)
    }

    pub(crate) fn exp(self) -> Option<Self> {
        if self.err > 0.5 {
            return None;
        }
        let size = libm::exp(self.re);
        let (re, im) = match self.is_real() {
            true => (size, 0.0),
            false => (size * libm::cos(self.im), size * libm::sin(self.im)),
        };
        Self::new(re, im, size * (2.0 * self.err + 4.0 * EPS))
    }

    /// The principal logarithm.
    pub(crate) fn ln(self) -> Option<Self> {
        let size = self.modulus();
        let margin = size - self.err;
        if margin <= 0.0 {
            return None;
        }
        let (re, im) = (libm::log(size), libm::atan2(self.im, self.re));
        Self::new(
            re,
            im,
            self.err / margin + 2.0 * EPS * (1.0 + re.abs() + im.abs()),
        )
    }

    /// `self` to a whole power, by squaring.
    pub(crate) fn powi(self, exponent: i32) -> Option<Self> {
        let mut left = exponent.unsigned_abs();
        let (mut result, mut square) = (Self::ONE, self);
        while left > 0 {
            if left % 2 == 1 {
                result = result.mul(square)?;
            }
            left /= 2;
            if left > 0 {
                square = square.mul(square)?;
            }
        }
        if exponent < 0 {
            result.recip()
        } else {
            Some(result)
        }
    }

    /// The principal power.
    pub(crate) fn pow(self, exponent: Self) -> Option<Self> {
        if self.modulus() <= self.err {
            return (exponent.is_real() && exponent.re > exponent.err)
                .then_some(Self::ZERO)
                .filter(|_| self.err == 0.0);
        }
        self.ln()?.mul(exponent)?.exp()
    }

    /// The root that is real if there is a real one, otherwise the principal one.
    pub(crate) fn root(self, degree: u32) -> Option<Self> {
        let size = self.modulus();
        let power = Self::rounded(1.0 / f64::from(degree));
        if size <= self.err {
            let bound = libm::pow(size + self.err, power.re);
            return Self::new(0.0, 0.0, bound);
        }
        if self.is_real() && self.re < 0.0 && degree % 2 == 1 {
            return self.neg().root(degree).map(Self::neg);
        }
        if self.is_real() && degree == 2 {
            let root = libm::sqrt(size);
            let err = self.err / root + 2.0 * EPS * root;
            return if self.re > 0.0 {
                Self::new(root, 0.0, err)
            } else {
                Self::new(0.0, root, err)
            };
        }
        self.pow(power)
    }

    /// A function of a real number by its value, and by how much its argument's error grows.
    fn through(self, value: f64, slope: f64) -> Option<Self> {
        Self::new(value, 0.0, self.err * slope + 2.0 * EPS * value.abs())
    }

    fn if_real(self) -> Option<Self> {
        self.is_real().then_some(self)
    }

    pub(crate) fn sin(self) -> Option<Self> {
        self.if_real()?.through(libm::sin(self.re), 1.0)
    }

    pub(crate) fn cos(self) -> Option<Self> {
        self.if_real()?.through(libm::cos(self.re), 1.0)
    }

    pub(crate) fn atan(self) -> Option<Self> {
        self.if_real()?.through(libm::atan(self.re), 1.0)
    }

    pub(crate) fn sinh(self) -> Option<Self> {
        let difference = self.if_real()?.exp()?.add(self.neg().exp()?.neg())?;
        difference.mul(Self::real(0.5))
    }

    pub(crate) fn cosh(self) -> Option<Self> {
        self.if_real()?
            .exp()?
            .add(self.neg().exp()?)?
            .mul(Self::real(0.5))
    }

    /// Real from -1 to 1 only; at the ends an error of the argument grows to its square root.
    pub(crate) fn asin(self) -> Option<Self> {
        let x = self.if_real()?.re;
        if x.abs() > 1.0 + self.err {
            return None;
        }
        let x = x.clamp(-1.0, 1.0);
        let room = (1.0 - x * x).max(0.0);
        let grown = if room > 8.0 * self.err {
            self.err * 2.0 / libm::sqrt(room)
        } else {
            4.0 * libm::sqrt(self.err)
        };
        let value = libm::asin(x);
        Self::new(
            value,
            0.0,
            if self.err == 0.0 { 0.0 } else { grown } + 2.0 * EPS * value.abs(),
        )
    }

    pub(crate) fn acos(self) -> Option<Self> {
        Self::PI.mul(Self::real(0.5))?.add(self.asin()?.neg())
    }

    pub(crate) fn abs(self) -> Option<Self> {
        let size = self.modulus();
        Self::new(size, 0.0, self.err + 2.0 * EPS * size)
    }

    /// The whole number below, unless the bound reaches to another one.
    pub(crate) fn floor(self) -> Option<Self> {
        let x = self.if_real()?.re;
        (libm::floor(x - self.err) == libm::floor(x + self.err)).then(|| Self::real(libm::floor(x)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of mpmath with 25 digits.
    #[test]
    fn functions_are_within_their_bounds() {
        let third = Approx::ONE.div(Approx::real(3.0)).unwrap();
        for (found, value) in [
            (third.sin(), 0.327_194_696_796_152_24),
            (third.cos(), 0.944_956_946_314_737_7),
            (third.asin(), 0.339_836_909_454_121_9),
            (third.acos(), 1.230_959_417_340_774_7),
            (third.atan(), 0.321_750_554_396_642_2),
            (third.exp(), 1.395_612_425_086_089_5),
            (third.ln(), -1.098_612_288_668_109_8),
            (third.sinh(), 0.339_540_557_256_150_1),
            (third.root(3), 0.693_361_274_350_634_7),
            (third.powi(-5), 243.0),
        ] {
            let found = found.unwrap();
            assert!(
                (found.re - value).abs() <= found.err,
                "{found:?} is not {value}"
            );
            assert!(
                found.err < 1e-13 * value.abs().max(0.1),
                "the bound of {found:?} is wide"
            );
        }
    }

    #[test]
    fn cancellation_is_within_the_bound_and_poles_are_undefined() {
        let tiny = Approx::PI
            .add(Approx::real(std::f64::consts::PI).neg())
            .unwrap();
        assert!(tiny.agrees(Approx::ZERO));
        assert_eq!(tiny.recip(), None);
        assert!(
            Approx {
                re: 1.0,
                im: 0.0,
                err: 1e-3
            }
            .is_vague()
        );
        assert_eq!(Approx::real(1e300).powi(2), None);
    }
}
