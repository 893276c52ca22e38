//! The fixed random matrices P_i and their combination R (spec §7).

/// Bytes of the stream behind one entry: 256 fair bits, whose count has variance 64.
const ENTRY_BYTES: usize = 32;

/// P of a module, `u · rank · rank` values, entry (i, j, k) at `(i · rank + j) · rank + k` (spec §7, native).
///
/// Entries are centred binomials of variance 1/rank: no logarithm or cosine, so every machine draws the same. They
/// depend on the module's name, not its number: adapting more modules changes none of them.
#[must_use]
pub fn native_projections(seed: u64, module_name: &str, u: usize, rank: usize) -> Vec<f64> {
    let mut stream = blake3::Hasher::new_derive_key("tlora 2026-11 projection v1")
        .update(&seed.to_le_bytes())
        .update(module_name.as_bytes())
        .finalize_xof();
    #[expect(clippy::cast_precision_loss, reason = "a rank is at most 255")]
    let root = (rank as f64).sqrt();
    let mut bits = [0; ENTRY_BYTES];
    (0..u * rank * rank)
        .map(|_| {
            stream.fill(&mut bits);
            let ones: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
            (f64::from(ones) - 128.0) / 8.0 / root
        })
        .collect()
}

/// P of a module of `rank`, u = `header_rank`² (spec §7, standard): P_i has a single 1, at row i / `header_rank`, column
/// i mod `header_rank`, if the module's rank reaches there.
#[must_use]
pub fn standard_projections(header_rank: usize, rank: usize) -> Vec<f64> {
    let mut p = vec![0.0; header_rank * header_rank * rank * rank];
    for i in 0..header_rank * header_rank {
        let (row, column) = (i / header_rank, i % header_rank);
        if row < rank && column < rank {
            p[(i * rank + row) * rank + column] = 1.0;
        }
    }
    p
}

/// R = Σ_i v_i·P_i, row-major `rank` × `rank` (spec §7). `projections` holds `v.len()` matrices.
#[must_use]
pub fn combine(v: &[f64], projections: &[f64], rank: usize) -> Vec<f64> {
    let mut r = vec![0.0; rank * rank];
    for (v, p) in v.iter().zip(projections.chunks_exact(rank * rank)) {
        r.iter_mut().zip(p).for_each(|(r, p)| *r += v * p);
    }
    r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_entries_have_mean_zero_and_variance_one_over_rank() {
        let p = native_projections(7, "model.layers.0.self_attn.q_proj", 10_000, 2);
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
        let p = native_projections(1, "a", 3, 2);
        assert_ne!(p, native_projections(2, "a", 3, 2));
        assert_ne!(p, native_projections(1, "b", 3, 2));
        assert_eq!(p[..8], native_projections(1, "a", 2, 2));
    }

    #[test]
    fn standard_projections_make_v_the_entries_of_r() {
        let v = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(combine(&v, &standard_projections(2, 2), 2), v);
        assert_eq!(combine(&v, &standard_projections(2, 1), 1), [1.0]);
    }
}
