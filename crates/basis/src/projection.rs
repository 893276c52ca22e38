//! The fixed random matrices P_i and their combination R (spec §7).

/// Bytes of the stream behind one entry: 256 fair bits, whose count has variance 64.
const ENTRY_BYTES: usize = 32;

/// P of a module, `u · rank · rank` values, entry (i, j, k) at `(i · rank + j) · rank + k` (spec §7, native).
///
/// Entries are centred binomials of variance 1/rank: no logarithm or cosine, so every machine draws the same. They
/// depend on the module's name, not its number: adapting more modules changes none of them. They are drawn as they are
/// asked for: a file may name a u and a rank whose P would fill gigabytes.
pub fn native_projections(
    seed: u64,
    module_name: &str,
    u: usize,
    rank: usize,
) -> impl Iterator<Item = f64> + use<> {
    let mut stream = blake3::Hasher::new_derive_key("tlora 2026-11 projection v1")
        .update(&seed.to_le_bytes())
        .update(module_name.as_bytes())
        .finalize_xof();
    #[expect(clippy::cast_precision_loss, reason = "a rank is at most 255")]
    let root = (rank as f64).sqrt();
    (0..u * rank * rank).map(move |_| {
        let mut bits = [0; ENTRY_BYTES];
        stream.fill(&mut bits);
        let ones: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
        (f64::from(ones) - 128.0) / 8.0 / root
    })
}

/// P of a module of `rank`, u = `header_rank`² (spec §7, standard): P_i has a single 1, at row i / `header_rank`, column
/// i mod `header_rank`, if the module's rank reaches there.
pub fn standard_projections(header_rank: usize, rank: usize) -> impl Iterator<Item = f64> {
    (0..header_rank * header_rank).flat_map(move |i| {
        let place = (i / header_rank, i % header_rank);
        (0..rank * rank).map(move |entry| f64::from((entry / rank, entry % rank) == place))
    })
}

/// R = Σ_i v_i·P_i, row-major `rank` × `rank` (spec §7). `projections` gives `v.len()` matrices, one after the other.
#[must_use]
pub fn combine(v: &[f64], projections: impl IntoIterator<Item = f64>, rank: usize) -> Vec<f64> {
    let mut r = vec![0.0; rank * rank];
    let mut projections = projections.into_iter();
    for v in v {
        r.iter_mut()
            .zip(&mut projections)
            .for_each(|(r, p)| *r += v * p);
    }
    r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_entries_have_mean_zero_and_variance_one_over_rank() {
        let p: Vec<f64> =
            native_projections(7, "model.layers.0.self_attn.q_proj", 10_000, 2).collect();
        let n = p.len() as f64;
        let mean = p.iter().sum::<f64>() / n;
        let variance = p.iter().map(|x| x * x).sum::<f64>() / n;
        // Five standard deviations of each estimate: n = 40,000, fourth moment just under 3.
        assert!(mean.abs() < 5.0 * (0.5 / n).sqrt(), "mean {mean}");
        assert!(
            (variance - 0.5).abs() < 5.0 * 0.5 * (2.0 / n).sqrt(),
            "variance {variance}"
        );
    }

    #[test]
    fn native_entries_depend_on_the_seed_and_the_name_only() {
        let p = |seed, name, u| native_projections(seed, name, u, 2).collect::<Vec<_>>();
        assert_ne!(p(1, "a", 3), p(2, "a", 3));
        assert_ne!(p(1, "a", 3), p(1, "b", 3));
        assert_eq!(p(1, "a", 3)[..8], p(1, "a", 2));
    }

    #[test]
    fn standard_projections_make_v_the_entries_of_r() {
        let v = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(combine(&v, standard_projections(2, 2), 2), v);
        assert_eq!(combine(&v, standard_projections(2, 1), 1), [1.0]);
    }
}
