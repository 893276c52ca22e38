//! Importance weights of old policy against sampler: what makes up for a sampler that computed other log-probabilities.

use crate::settings::{Correction, LossSettings};

/// A weight for each token of a completion; where the sampler did not say, 1 of a token and nothing to that of a completion.
pub(crate) fn corrections(
    old: &[f64],
    sampler: Option<&[f64]>,
    settings: &LossSettings,
) -> Vec<f64> {
    let Some(sampler) = sampler.filter(|_| settings.correction != Correction::None) else {
        return vec![1.0; old.len()];
    };
    let known = sampler.iter().copied().chain(std::iter::repeat(f64::NAN));
    let differences = old.iter().zip(known).map(|(old, sampler)| {
        let d = old - sampler;
        if d.is_nan() { 0.0 } else { d }
    });
    let (least, most) = (settings.correction_min, settings.correction_cap);
    let cut = |d: f64| libm::exp(d).clamp(least, most);
    let mask = |d: f64| {
        let weight = libm::exp(d);
        if (least..=most).contains(&weight) {
            weight
        } else {
            0.0
        }
    };
    match settings.correction {
        Correction::None => vec![1.0; old.len()],
        Correction::TokenTruncate => differences.map(cut).collect(),
        Correction::TokenMask => differences.map(mask).collect(),
        Correction::SequenceTruncate => vec![cut(differences.sum()); old.len()],
        Correction::SequenceMask => vec![mask(differences.sum()); old.len()],
    }
}
