//! Seeds of samples: each has one of its own, so a sample is drawn again the same way, on whichever server.

/// The seed of a sample: below 2⁶³, since vLLM takes signed numbers and reads −1 as none.
///
/// `seed` is the run's, `step` tells one set of samples from another, `id` names the problem, `sample` counts from 0.
#[must_use]
pub fn sample_seed(seed: u64, step: u64, id: &str, sample: u64) -> u64 {
    let mut state = mix(mix(seed) ^ step);
    // The length keeps "a" and "a\0" apart.
    state = mix(state ^ u64::try_from(id.len()).unwrap_or(u64::MAX));
    for chunk in id.as_bytes().chunks(8) {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(chunk) {
            *to = *from;
        }
        state = mix(state ^ u64::from_le_bytes(bytes));
    }
    mix(state ^ sample) >> 1
}

/// `SplitMix64`: one step and its finaliser.
const fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// From <https://prng.di.unimi.it/splitmix64.c>, state 0.
    #[test]
    fn mixes_as_splitmix64() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn no_two_samples_have_one_seed() {
        let mut seeds = BTreeSet::new();
        for step in 0..10 {
            for id in ["", "a", "a\0", "problem 1", "problem 12"] {
                for sample in 0..20 {
                    let seed = sample_seed(42, step, id, sample);
                    assert!(seed < 1 << 63);
                    assert!(seeds.insert(seed));
                }
            }
        }
    }
}
