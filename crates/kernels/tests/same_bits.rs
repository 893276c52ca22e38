//! The same bits for every number of rows, of threads, and every instruction set; and the right values.
#![expect(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "numbers of tests are rounded on purpose, and what is missing fails the test"
)]

use tlora_kernels::*;

/// Numbers that look random and are the same everywhere.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    (0..count as u64)
        .map(|i| {
            let mut x = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
                ^ seed.wrapping_mul(0xD1B5_4A32_D192_ED03);
            x ^= x >> 29;
            x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (x >> 40) as f64 / (1_u64 << 23) as f64 - 1.0
        })
        .collect()
}

fn floats(count: usize, seed: u64) -> Vec<f32> {
    numbers(count, seed).into_iter().map(|x| x as f32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// On every instruction set and on 1 to 3 threads.
fn everywhere(what: &str, compute: impl Fn() -> Vec<f32> + Sync) -> Vec<f32> {
    let mut first: Option<Vec<f32>> = None;
    for isa in Isa::all() {
        for threads in 1..=3 {
            forced::force(Some(isa));
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let found = pool.install(&compute);
            forced::force(None);
            let expected = first.get_or_insert_with(|| found.clone());
            assert_eq!(
                bits(expected),
                bits(&found),
                "{what} on {isa:?} with {threads} threads"
            );
        }
    }
    first.unwrap()
}

fn bf16(count: usize, seed: u64) -> Vec<u16> {
    floats(count, seed)
        .into_iter()
        .map(|x| (x.to_bits() >> 16) as u16)
        .collect()
}

/// 75 bf16 outputs and 5 f32 ones.
fn matrix(columns: usize) -> (PackedMatrix<f32>, Vec<f64>) {
    let (half, full) = (bf16(75 * columns, 1), floats(5 * columns, 2));
    let blocks = [
        Block {
            rows: 75,
            data: RowData::Bf16(&half),
        },
        Block {
            rows: 5,
            data: RowData::Full(&full),
        },
    ];
    let wide = half
        .iter()
        .map(|&b| f64::from(f32::from_bits(u32::from(b) << 16)));
    let all = wide.chain(full.iter().map(|&x| f64::from(x))).collect();
    (PackedMatrix::pack(&blocks, columns), all)
}

// One test: the instruction set that is forced is one for the whole process.
#[test]
fn every_kernel_gives_the_same_bits_everywhere() {
    products();
    attention_is_of_one_query_alone();
    rows_of_everything_else();
}

fn products() {
    let columns = 1100;
    let (w, plain) = matrix(columns);
    for rows in [1, 7, 16, 33, 200] {
        let x = floats(rows * columns, 3);
        let y = everywhere("linear", || {
            let mut y = vec![0.0; rows * 80];
            linear(&x, &w, &mut y);
            y
        });
        // Row by row it is the same, and it is the product.
        for (row, y) in x.chunks(columns).zip(y.chunks(80)).take(9) {
            let mut alone = vec![0.0; 80];
            linear(row, &w, &mut alone);
            assert_eq!(bits(&alone), bits(y), "{rows} rows");
            for (o, &y) in y.iter().enumerate() {
                let products = row.iter().zip(&plain[o * columns..]);
                let exact: f64 = products.map(|(&x, &w)| f64::from(x) * w).sum();
                // 1,100 fused steps, each off by half a unit of a partial sum of about sqrt(1100) / 3.
                assert!((f64::from(y) - exact).abs() < 1e-4, "{y} and {exact}");
            }
        }
        let grad = floats(rows * 80, 4);
        let back = everywhere("linear_backward", || {
            let mut x = vec![0.0; rows * columns];
            linear_backward(&grad, &w, &mut x);
            x
        });
        for (g, x) in grad.chunks(80).zip(back.chunks(columns)).take(3) {
            for (k, &x) in x.iter().enumerate() {
                let exact: f64 = (0..80)
                    .map(|o| f64::from(g[o]) * plain[o * columns + k])
                    .sum();
                assert!((f64::from(x) - exact).abs() < 2e-5, "{x} and {exact}");
            }
        }
    }
    let mut row = vec![0.0; columns];
    w.row(77, &mut row);
    assert!(
        row.iter()
            .zip(&plain[77 * columns..])
            .all(|(&a, &b)| f64::from(a) == b)
    );
}

const HEADS: usize = 6;
const KV: usize = 2;
const WIDTH: usize = 24;
const STRIDE: usize = (HEADS + 2 * KV) * WIDTH;

/// A prefix of 21 tokens, two runs of 5 and 18 on it, and one of 40 alone with a window of 9.
fn sequences() -> (Vec<usize>, Vec<Query>) {
    let (mut rows, mut queries) = (Vec::new(), Vec::new());
    for (start, len, prefix, window) in [
        (0, 21, 0, 99),
        (32, 5, 21, 99),
        (48, 18, 21, 99),
        (80, 40, 0, 9),
    ] {
        for own in 1..=len {
            rows.push(start + own - 1);
            queries.push(Query {
                prefix_start: 0,
                prefix_len: prefix,
                own_start: start,
                own_len: own,
                skip: (prefix + own).saturating_sub(window),
            });
        }
    }
    (rows, queries)
}

fn attention_is_of_one_query_alone() {
    let (rows, queries) = sequences();
    let qkv = floats(rows.len() * STRIDE, 5);
    let mut cache = KvCache::new(120, KV, WIDTH);
    cache.write(
        &rows,
        &qkv,
        &qkv,
        STRIDE,
        HEADS * WIDTH,
        (HEADS + KV) * WIDTH,
    );
    let all = everywhere("attention", || {
        let mut out = vec![0.0; rows.len() * HEADS * WIDTH];
        attention(&qkv, STRIDE, 0, HEADS, &cache, &queries, 0.2, &mut out);
        out
    });
    for (token, query) in queries.iter().enumerate() {
        let mut alone = vec![0.0; HEADS * WIDTH];
        let q = &qkv[token * STRIDE..][..STRIDE];
        attention(q, STRIDE, 0, HEADS, &cache, &[*query], 0.2, &mut alone);
        let out = &all[token * HEADS * WIDTH..][..HEADS * WIDTH];
        assert_eq!(bits(&alone), bits(out), "token {token}");
        let exact = plainly(&qkv, &rows, query, token);
        for (&a, b) in out.iter().zip(exact) {
            assert!(
                (f64::from(a) - b).abs() < 3e-6,
                "token {token}: {a} and {b}"
            );
        }
    }
    let grad = floats(all.len(), 6);
    everywhere("attention_backward", || {
        let mut grad_q = vec![0.0; qkv.len()];
        let (mut k, mut v) = (vec![0.0; 120 * KV * WIDTH], vec![0.0; 120 * KV * WIDTH]);
        attention_backward(
            &qkv,
            STRIDE,
            0,
            HEADS,
            &cache,
            &queries,
            0.2,
            &grad,
            &mut grad_q,
            &mut k,
            &mut v,
        );
        [grad_q, k, v].concat()
    });
}

/// Attention of one token in binary64, by the definition.
fn plainly(qkv: &[f32], rows: &[usize], query: &Query, token: usize) -> Vec<f64> {
    let at = |token: usize, column: usize| f64::from(qkv[token * STRIDE + column]);
    let runs = [
        (query.prefix_start, query.prefix_len),
        (query.own_start, query.own_len),
    ];
    let keys: Vec<usize> = runs
        .iter()
        .flat_map(|&(start, len)| start..start + len)
        .skip(query.skip)
        .map(|row| rows.iter().position(|&r| r == row).unwrap())
        .collect();
    let mut out = Vec::new();
    for head in 0..HEADS {
        let kv = head / (HEADS / KV);
        let score = |key: usize| {
            let products =
                (0..WIDTH).map(|d| at(token, head * WIDTH + d) * at(key, (HEADS + kv) * WIDTH + d));
            (f64::from(0.2_f32) * products.sum::<f64>()).exp()
        };
        let scores: Vec<f64> = keys.iter().map(|&key| score(key)).collect();
        let total: f64 = scores.iter().sum();
        for d in 0..WIDTH {
            let weighted = keys.iter().zip(&scores);
            let sum: f64 = weighted
                .map(|(&key, s)| s * at(key, (HEADS + KV + kv) * WIDTH + d))
                .sum();
            out.push(sum / total);
        }
    }
    out
}

fn rows_of_everything_else() {
    let (x, weight) = (floats(40 * 75, 7), floats(75, 8));
    let grad = floats(40 * 75, 9);
    let normed = everywhere("rms_norm", || {
        let mut y = vec![0.0; x.len()];
        rms_norm(&x, &weight, 1e-6, &mut y);
        y
    });
    for (x, y) in x.chunks(75).zip(normed.chunks(75)) {
        let mean: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 75.0;
        for ((&x, &w), &y) in x.iter().zip(&weight).zip(y) {
            let exact = f64::from(x) / (mean + 1e-6).sqrt() * f64::from(w);
            assert!((f64::from(y) - exact).abs() < 1e-6);
        }
    }
    everywhere("rms_norm_backward", || {
        let mut y = vec![0.0; x.len()];
        rms_norm_backward(&x, &weight, 1e-6, &grad, &mut y);
        y
    });
    let scaled: Vec<f32> = x.iter().map(|x| 8.0 * x).collect();
    let active = everywhere("swiglu", || {
        let mut y = vec![0.0; 40 * 37];
        swiglu(&scaled, 75, 37, &mut y);
        y
    });
    for (row, y) in scaled.chunks(75).zip(active.chunks(37)) {
        for i in 0..37 {
            let (gate, up) = (f64::from(row[i]), f64::from(row[37 + i]));
            let exact = gate / (1.0 + (-gate).exp()) * up;
            assert!((f64::from(y[i]) - exact).abs() <= 4e-7 * exact.abs().max(1e-3));
        }
    }
    everywhere("swiglu_backward", || {
        let mut y = vec![0.0; scaled.len()];
        swiglu_backward(&scaled, 75, 37, &grad[..40 * 37], &mut y);
        y
    });
    let b = floats(75 * 2, 10);
    everywhere("rank_update", || {
        let mut y = x.clone();
        rank_update(&mut y, 75, 0, &b, &grad[..80]);
        y
    });
    everywhere("rank_gradient", || {
        let mut s = vec![0.0; 80];
        rank_gradient(&x, 75, 0, &b, 75, &mut s);
        s
    });
    let row: Vec<f32> = floats(5001, 11).iter().map(|x| 30.0 * x).collect();
    let sums = everywhere("the head", || {
        let sum = log_sum_exp(&row, 0.7);
        let mut probabilities_of = row.clone();
        probabilities(&mut probabilities_of, sum, 0.7);
        probabilities_of.extend([sum, entropy(&row, sum, 0.7)]);
        probabilities_of
    });
    let exact = row
        .iter()
        .map(|&x| (f64::from(0.7_f32) * f64::from(x)).exp())
        .sum::<f64>()
        .ln();
    let found = f64::from(sums[5001]);
    assert!((found - exact).abs() < 4e-6, "{found} and {exact}");
    let mass: f64 = sums[..5001].iter().map(|&p| f64::from(p)).sum();
    assert!((mass - 1.0).abs() < 4e-6, "{mass}");
}
