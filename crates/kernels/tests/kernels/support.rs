//! Numbers, and attention as its definition says it.

use tlora_kernels::{KvCache, Query};

/// A sequence of numbers in (−1, 1) that is the same everywhere (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn one(&mut self) -> f64 {
        (self.bits() >> 40) as f64 / f64::from(1 << 23) - 1.0
    }

    pub(crate) fn f64s(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.one()).collect()
    }

    pub(crate) fn f32s(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.one() as f32).collect()
    }

    /// bf16 numbers of about the size of weights.
    pub(crate) fn bf16s(&mut self, count: usize) -> Vec<u16> {
        (0..count)
            .map(|_| ((self.one() as f32 * 0.1).to_bits() >> 16) as u16)
            .collect()
    }
}

/// The number that a bf16 is.
pub(crate) fn widened(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// The largest difference, relative to the largest number that is expected.
pub(crate) fn off(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let difference = |(a, b): (&f64, &f64)| (a - b).abs();
    let most = found.iter().zip(expected).map(difference);
    most.fold(0.0_f64, |m, x| if x <= m { m } else { x }) / largest.max(f64::MIN_POSITIVE)
}

/// A case of attention: two sequences after one prefix, one without it, and what each token reads.
pub(crate) struct Case {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) width: usize,
    pub(crate) rows: Vec<usize>,
    pub(crate) queries: Vec<Query>,
    pub(crate) cache_rows: usize,
}

impl Case {
    /// A prefix of `prefix` tokens, then sequences of `own` tokens each; `window` is how many keys a token attends to.
    pub(crate) fn new(
        heads: usize,
        kv_heads: usize,
        width: usize,
        prefix: usize,
        own: &[usize],
        window: usize,
    ) -> Self {
        let (mut rows, mut queries, mut start) = (Vec::new(), Vec::new(), 0);
        for (number, &len) in std::iter::once(&prefix).chain(own).enumerate() {
            for token in 0..len {
                let before = if number == 0 { 0 } else { prefix };
                rows.push(start + token);
                queries.push(Query {
                    prefix_start: 0,
                    prefix_len: before,
                    own_start: start,
                    own_len: token + 1,
                    skip: (before + token + 1).saturating_sub(window),
                });
            }
            start += len.div_ceil(16) * 16;
        }
        Self {
            heads,
            kv_heads,
            width,
            rows,
            queries,
            cache_rows: start,
        }
    }

    pub(crate) fn stride(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.width + 3
    }

    pub(crate) fn tokens(&self) -> usize {
        self.rows.len()
    }

    /// Columns of q, k and v.
    pub(crate) fn offsets(&self) -> (usize, usize, usize) {
        let q = self.heads * self.width;
        (0, q, q + self.kv_heads * self.width)
    }

    pub(crate) fn cache<T: tlora_kernels::Float>(&self, qkv: &[T]) -> KvCache<T> {
        let mut cache = KvCache::new(self.cache_rows, self.kv_heads, self.width);
        let (_, k, v) = self.offsets();
        cache.write(&self.rows, qkv, qkv, self.stride(), k, v);
        cache
    }

    /// softmax(q·kᵀ·scale)·v by plain loops.
    pub(crate) fn plain(&self, qkv: &[f64], scale: f64) -> Vec<f64> {
        let (stride, width) = (self.stride(), self.width);
        let (q0, k0, v0) = self.offsets();
        let mut out = vec![0.0; self.tokens() * self.heads * width];
        for (token, query) in self.queries.iter().enumerate() {
            let keys: Vec<usize> = self.keys(query);
            for head in 0..self.heads {
                let kv = head / (self.heads / self.kv_heads) * width;
                let q = &qkv[token * stride + q0 + head * width..][..width];
                let dot = |&key: &usize| -> f64 {
                    let k = &qkv[key * stride + k0 + kv..][..width];
                    q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>() * scale
                };
                let scores: Vec<f64> = keys.iter().map(dot).collect();
                let most = scores.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
                let total: f64 = scores.iter().map(|x| (x - most).exp()).sum();
                let out = &mut out[(token * self.heads + head) * width..][..width];
                for (&key, score) in keys.iter().zip(&scores) {
                    let v = &qkv[key * stride + v0 + kv..][..width];
                    for (out, v) in out.iter_mut().zip(v) {
                        *out += (score - most).exp() / total * v;
                    }
                }
            }
        }
        out
    }

    /// The tokens that a query attends to.
    fn keys(&self, query: &Query) -> Vec<usize> {
        let prefix = query.prefix_start..query.prefix_start + query.prefix_len;
        let rows = prefix.chain(query.own_start..query.own_start + query.own_len);
        let token = |row| self.rows.iter().position(|&at| at == row).unwrap();
        rows.skip(query.skip).map(token).collect()
    }
}
