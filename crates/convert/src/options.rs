//! What a conversion may do, and how much it may lose.

use tlora_format::{Precision, Rounding};

/// The choices of a conversion. The default loses nothing that the source's own arithmetic did not lose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvertOptions {
    /// The largest relative residual ‖ΔW − ΔW'‖ / ‖ΔW‖ of a module; none for a limit that fits the kind of basis.
    pub max_residual: Option<f64>,
    /// Whether to follow the roundings of the source's factors, with corrections where they are needed.
    pub rounding: bool,
    /// Whether to store factors that cannot be rebuilt.
    pub embed_basis: bool,
    /// Whether to give each module an R of its own on the exact basis, without the source's v, P and sharing.
    pub flatten: bool,
    /// The type to store v in; none for the source's own.
    pub precision: Option<Precision>,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self {
            max_residual: None,
            rounding: true,
            embed_basis: false,
            flatten: false,
            precision: None,
        }
    }
}

/// The limit where every value of the factors can be had: rounded ones with corrections, and embedded ones.
pub const EXACT_LIMIT: f64 = 1e-5;
/// The limit where the source's factors carry the errors of a singular value decomposition in single precision. On
/// SmolLM2 they come to 2e-5 at rank 2 and 2e-4 at rank 8; a wrong sign, projection or basis gives 1e-2 and more.
pub const SINGLE_PRECISION_LIMIT: f64 = 1e-3;
/// The limit where the factors are rounded and the roundings are left out on request.
pub const UNROUNDED_LIMIT: f64 = 1e-2;

impl ConvertOptions {
    /// The limit for factors that are rounded so in the source.
    pub(crate) fn limit(&self, source: Rounding) -> f64 {
        self.max_residual.unwrap_or(match source {
            Rounding::None => SINGLE_PRECISION_LIMIT,
            _ if self.rounding && !self.flatten => EXACT_LIMIT,
            _ => UNROUNDED_LIMIT,
        })
    }

    /// The limit for factors in the file.
    pub(crate) fn embedded_limit(&self) -> f64 {
        self.max_residual.unwrap_or(EXACT_LIMIT)
    }
}
