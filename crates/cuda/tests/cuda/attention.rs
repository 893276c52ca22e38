//! Attention and its gradient against the CPU's in f64: shared prefixes, windows, groups of heads, odd widths.

use tlora_cuda::{
    Attended, Device, Heads, Indices, KeyRanges, KvCache, QkvLayout, Queries, Query, Storage,
    attention, attention_backward,
};
use tlora_kernels as kernels;

use crate::support::{both, close, numbers, room, up, wide};

/// A prompt of some tokens and completions of some lengths, as rows of the cache and what each token attends to.
fn batch(prompt: usize, completions: &[usize], window: usize) -> (Vec<u32>, Vec<Query>, usize) {
    let (mut rows, mut queries, mut next) = (Vec::new(), Vec::new(), 0);
    let mut run = |len: usize, prefix_len: usize| {
        for own_len in 1..=len {
            rows.push(u32::try_from(next + own_len - 1).unwrap());
            queries.push(Query {
                prefix_start: 0,
                prefix_len,
                own_start: next,
                own_len,
                skip: (prefix_len + own_len).saturating_sub(window),
            });
        }
        next += len.next_multiple_of(16);
    };
    run(prompt, 0);
    completions.iter().for_each(|&len| run(len, prompt));
    (rows, queries, next)
}

struct Case {
    layout: QkvLayout,
    rows: Vec<u32>,
    queries: Vec<Query>,
    cache_rows: usize,
    storage: Storage,
}

impl Case {
    fn new(
        kv: usize,
        group: usize,
        width: usize,
        (prompt, completions, window): (usize, &[usize], usize),
    ) -> Self {
        let (q, kv_columns) = (kv * group * width, kv * width);
        // Two columns before and three after: a fused buffer has other columns too.
        let stride = 2 + q + 2 * kv_columns + 3;
        let heads = |offset, count| Heads {
            stride,
            offset,
            count,
            width,
        };
        let layout = QkvLayout {
            q: heads(2, kv * group),
            k: heads(2 + q, kv),
            v: heads(2 + q + kv_columns, kv),
        };
        let (rows, queries, cache_rows) = batch(prompt, completions, window);
        Self {
            layout,
            rows,
            queries,
            cache_rows,
            storage: Storage::F32,
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.layout.q.width as f32).sqrt()
    }

    /// The result, then the gradient of the fused buffer, which was 0.5 before.
    fn run(&self, device: &Device, qkv: &[f32], grad: &[f32]) -> Vec<f32> {
        let QkvLayout { q, k, .. } = self.layout;
        let qkv = up(device, qkv);
        let mut cache =
            KvCache::new(device, self.cache_rows, k.count, k.width, self.storage).unwrap();
        let rows = Indices::new(device, &self.rows).unwrap();
        cache.write(&qkv, self.layout, &rows).unwrap();
        let queries = Queries::new(device, &self.queries).unwrap();
        let ranges = KeyRanges::new(device, &self.queries, &self.rows).unwrap();
        let tokens = self.rows.len();
        let (mut out, mut log_sums) = (room(device, grad.len()), room(device, tokens * q.count));
        attention(&qkv, q, &cache, &queries, self.scale(), &mut out, None).unwrap();
        let first = out.download().unwrap();
        attention(
            &qkv,
            q,
            &cache,
            &queries,
            self.scale(),
            &mut out,
            Some(&mut log_sums),
        )
        .unwrap();
        assert_eq!(out.download().unwrap(), first);
        let mut grad_qkv = up(device, &vec![0.5; qkv.len()]);
        let attended = Attended {
            out: &out,
            log_sums: &log_sums,
            grad: &up(device, grad),
        };
        attention_backward(
            &qkv,
            self.layout,
            &cache,
            &queries,
            &ranges,
            self.scale(),
            attended,
            &mut grad_qkv,
        )
        .unwrap();
        [first, grad_qkv.download().unwrap()].concat()
    }

    /// The same in f64 on the CPU; `kept` is how the cache keeps a number.
    fn wanted(&self, qkv: &[f32], grad: &[f32], kept: impl Fn(f64) -> f64) -> Vec<f64> {
        let QkvLayout { q, k, v } = self.layout;
        let (mut qkv, grad, scale) = (wide(qkv), wide(grad), f64::from(self.scale()));
        for row in qkv.chunks_exact_mut(q.stride) {
            for x in &mut row[k.offset..v.offset + k.count * k.width] {
                *x = kept(*x);
            }
        }
        let mut cache = kernels::KvCache::new(self.cache_rows, k.count, k.width);
        let rows: Vec<usize> = self.rows.iter().map(|&row| row as usize).collect();
        cache.write(&rows, &qkv, &qkv, q.stride, k.offset, v.offset);
        let query = |query: &Query| kernels::Query {
            prefix_start: query.prefix_start,
            prefix_len: query.prefix_len,
            own_start: query.own_start,
            own_len: query.own_len,
            skip: query.skip,
        };
        let queries: Vec<_> = self.queries.iter().map(query).collect();
        let mut out = vec![0.0; grad.len()];
        kernels::attention(
            &qkv, q.stride, q.offset, q.count, &cache, &queries, scale, &mut out,
        );
        let columns = k.count * k.width;
        let (mut grad_k, mut grad_v) = (
            vec![0.0; self.cache_rows * columns],
            vec![0.0; self.cache_rows * columns],
        );
        let mut grad_qkv = vec![0.5; qkv.len()];
        // The kernel adds to the columns of q.
        for row in grad_qkv.chunks_exact_mut(q.stride) {
            row[q.offset..q.offset + q.columns()].fill(0.0);
        }
        kernels::attention_backward(
            &qkv,
            q.stride,
            q.offset,
            q.count,
            &cache,
            &queries,
            scale,
            &grad,
            &mut grad_qkv,
            &mut grad_k,
            &mut grad_v,
        );
        for (to, &row) in grad_qkv.chunks_exact_mut(q.stride).zip(&rows) {
            to[k.offset..k.offset + columns].copy_from_slice(&grad_k[row * columns..][..columns]);
            to[v.offset..v.offset + columns].copy_from_slice(&grad_v[row * columns..][..columns]);
        }
        [out, grad_qkv].concat()
    }

    fn check(&self) {
        let tokens = self.rows.len();
        let qkv = numbers(1, tokens * self.layout.q.stride);
        let grad = numbers(2, tokens * self.layout.q.columns());
        let found = both(|device| self.run(device, &qkv, &grad));
        let bf16 = |x: f64| half::bf16::from_f64(x).to_f64();
        let wanted = match self.storage {
            Storage::F32 => self.wanted(&qkv, &grad, |x| x),
            Storage::Bf16 => self.wanted(&qkv, &grad, bf16),
        };
        // Sums of a few hundred terms of about 1 that are within 1e-6 each; a mistake shows as 1e-2 or more.
        close(&found, &wanted, 3e-5);
    }
}

const ALL: usize = usize::MAX;

#[test]
fn one_token_attends_to_itself() {
    Case::new(1, 1, 16, (1, &[], ALL)).check();
}

#[test]
fn completions_share_a_prompt() {
    Case::new(2, 2, 16, (70, &[3, 1, 18], ALL)).check();
}

#[test]
fn windows_skip_the_oldest_keys() {
    Case::new(1, 2, 64, (9, &[12, 5], 7)).check();
    Case::new(1, 1, 16, (20, &[70], 66)).check();
}

#[test]
fn groups_and_widths() {
    Case::new(2, 7, 64, (5, &[4, 2], ALL)).check();
    Case::new(1, 3, 80, (6, &[2], ALL)).check();
    Case::new(2, 1, 128, (5, &[4], ALL)).check();
    Case::new(1, 9, 16, (5, &[4], ALL)).check();
    Case::new(1, 8, 256, (3, &[], ALL)).check();
}

#[test]
fn a_cache_of_bf16() {
    let mut case = Case::new(2, 7, 16, (5, &[4, 2], ALL));
    case.storage = Storage::Bf16;
    case.check();
    let mut case = Case::new(1, 2, 80, (3, &[2], ALL));
    case.storage = Storage::Bf16;
    case.check();
}

#[test]
fn what_does_not_fit_is_refused() {
    let device = Device::emulated();
    assert!(KvCache::new(&device, 4, 1, 258, Storage::F32).is_err());
    assert!(KvCache::new(&device, 4, 1, 18, Storage::F32).is_err());
    let nothing = Query {
        own_len: 2,
        skip: 2,
        ..Query::default()
    };
    assert!(Queries::new(&device, &[nothing]).is_err());
    let heads = Heads {
        stride: 48,
        offset: 0,
        count: 1,
        width: 16,
    };
    let cache = KvCache::new(&device, 4, 1, 16, Storage::F32).unwrap();
    let beyond = Query {
        own_start: 4,
        own_len: 1,
        ..Query::default()
    };
    let queries = Queries::new(&device, &[beyond]).unwrap();
    let (q, mut out) = (room(&device, 48), room(&device, 16));
    assert!(attention(&q, heads, &cache, &queries, 1.0, &mut out, None).is_err());
}
