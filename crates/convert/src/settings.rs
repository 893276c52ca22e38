//! The settings of both kinds that the conversion needs, checked.

use std::path::Path;

use serde_json::{Map, Value};
use tlora_basis::{MAX_RANK, Rsvd};

use crate::ConvertError;
use crate::fields::{Fields, FromJson, Seed};
use crate::version::PeftVersion;

/// What `adapter_config.json` says of a TinyLoRA adapter.
#[derive(Debug)]
pub(crate) struct TinyLoraSettings {
    pub(crate) r: u64,
    pub(crate) u: u64,
    pub(crate) weight_tying: f64,
    pub(crate) projection_seed: u64,
    pub(crate) fan_in_fan_out: bool,
    pub(crate) version: PeftVersion,
}

impl TinyLoraSettings {
    pub(crate) fn read(config: &Fields) -> Result<Self, ConvertError> {
        let Seed(projection_seed) = config.required("projection_seed")?;
        config.optional::<bool>("save_projection")?;
        let weight_tying = config.required("weight_tying")?;
        if !(0.0..=1.0).contains(&weight_tying) {
            return Err(config.wrong("weight_tying", &Value::from(weight_tying), "0 to 1"));
        }
        Ok(Self {
            r: config.required("r")?,
            u: config.required("u")?,
            weight_tying,
            projection_seed,
            fan_in_fan_out: config.optional("fan_in_fan_out")?.unwrap_or(false),
            version: PeftVersion::new(config.optional("peft_version")?),
        })
    }
}

/// What `adapter_config.json` says of a LoRA-XS adapter.
#[derive(Debug)]
pub(crate) struct LoraXsSettings {
    r: u64,
    alpha: f64,
    rslora: bool,
    ranks: Vec<(String, u64)>,
    alphas: Vec<(String, f64)>,
    pub(crate) fan_in_fan_out: bool,
}

impl LoraXsSettings {
    pub(crate) fn read(config: &Fields) -> Result<Self, ConvertError> {
        for field in ["use_dora", "lora_bias"] {
            if config.optional(field)? == Some(true) {
                return Err(ConvertError::Variant { field });
            }
        }
        Ok(Self {
            r: config.required("r")?,
            alpha: config.required("lora_alpha")?,
            rslora: config.optional("use_rslora")?.unwrap_or(false),
            ranks: pattern(config, "rank_pattern")?,
            alphas: pattern(config, "alpha_pattern")?,
            fan_in_fan_out: config.optional("fan_in_fan_out")?.unwrap_or(false),
        })
    }

    /// The rank of a module.
    pub(crate) fn rank(&self, module: &str) -> u64 {
        first_match(&self.ranks, module).unwrap_or(self.r)
    }

    /// The factor of a module's update: alpha / r, or alpha / √r.
    pub(crate) fn scale(&self, module: &str, rank: usize) -> f64 {
        let alpha = first_match(&self.alphas, module).unwrap_or(self.alpha);
        #[expect(clippy::cast_precision_loss, reason = "a rank is at most 255")]
        let rank = rank as f64;
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

/// A pattern setting, whose keys peft takes for regular expressions. Names are what is meant; a dot stands for itself.
fn pattern<T: FromJson>(
    config: &Fields,
    field: &'static str,
) -> Result<Vec<(String, T)>, ConvertError> {
    let Some(keys) = config.optional::<Map<String, Value>>(field)? else {
        return Ok(Vec::new());
    };
    let Some(members) = config.object(field)? else {
        return Ok(Vec::new());
    };
    keys.into_iter()
        .map(|(key, _)| {
            let plain = key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
            if !plain {
                return Err(ConvertError::RegexPattern { field, found: key });
            }
            let value = members.required(&key)?;
            Ok((key, value))
        })
        .collect()
}

/// The value of the first key that is the module's name, or what it ends with after a dot.
fn first_match<T: Copy>(pattern: &[(String, T)], module: &str) -> Option<T> {
    let ends = |key: &str| {
        module
            .strip_suffix(key)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    pattern
        .iter()
        .find(|(key, _)| ends(key))
        .map(|&(_, value)| value)
}

const RECONSTRUCTION: &str = "reconstr_config.json";

/// What LoRA-XS gives scikit-learn unless it is told otherwise. The oversampling is no setting of it.
const USUAL: Rsvd = Rsvd {
    seed: 42,
    n_iter: 10,
    oversample: 10,
};

/// How LoRA-XS made its factors, from `reconstr_config.json` in the adapter's directory or the one above it. Without the
/// file: as its scripts do. Whatever it says is compared with the stored factors.
pub(crate) fn reconstruction(dir: &Path) -> Result<Rsvd, ConvertError> {
    let own = Fields::read(dir, RECONSTRUCTION)?;
    let Some(settings) = own.map_or_else(|| above(dir), |own| Ok(Some(own)))? else {
        return Ok(USUAL);
    };
    let Some(svd) = settings.object("svd")? else {
        return Ok(USUAL);
    };
    let seed: u64 = svd.required("random_state")?;
    let n_iter: u64 = svd.required("n_iter")?;
    let small = u16::try_from(n_iter).ok().filter(|&n_iter| n_iter <= 100);
    Ok(Rsvd {
        seed: u32::try_from(seed)
            .map_err(|_too_large| svd.wrong("random_state", &seed.into(), "0 to 4294967295"))?,
        n_iter: small.ok_or_else(|| svd.wrong("n_iter", &n_iter.into(), "0 to 100"))?,
        ..USUAL
    })
}

fn above(dir: &Path) -> Result<Option<Fields>, ConvertError> {
    let real = fs_err::canonicalize(dir).map_err(|error| ConvertError::Source(error.into()))?;
    real.parent()
        .map_or(Ok(None), |parent| Fields::read(parent, RECONSTRUCTION))
}

/// A rank as the file says it.
pub(crate) fn small_rank(module: &str, rank: u64, largest: u8) -> Result<u8, ConvertError> {
    let small = u8::try_from(rank)
        .ok()
        .filter(|&rank| (1..=largest).contains(&rank));
    small.ok_or_else(|| ConvertError::Rank {
        module: module.to_owned(),
        found: rank,
        largest: largest.into(),
    })
}

/// The largest rank that a basis is rebuilt for (spec R7).
pub(crate) const LARGEST_RANK: u8 = {
    assert!(MAX_RANK == 64, "spec R7");
    64
};

#[cfg(test)]
mod tests {
    use super::first_match;

    #[test]
    fn the_first_key_that_ends_the_name_counts() {
        let pattern = [("layers.1.q_proj".to_owned(), 1), ("q_proj".to_owned(), 2)];
        assert_eq!(first_match(&pattern, "model.layers.1.q_proj"), Some(1));
        assert_eq!(first_match(&pattern, "model.layers.11.q_proj"), Some(2));
        assert_eq!(first_match(&pattern, "model.layers.1.xq_proj"), None);
    }
}
