//! The same bits whatever else is in the batch, and on every instruction set and number of threads.

use crate::support::{Case, Numbers};
use tlora_kernels::*;

const BATCHES: [usize; 5] = [1, 7, 16, 33, 200];

fn matrix(outputs: usize, columns: usize, numbers: &mut Numbers) -> PackedMatrix<f32> {
    let (bf16, full) = (numbers.bf16s(outputs * columns), numbers.f32s(2 * columns));
    let blocks = [
        Block {
            rows: outputs,
            data: RowData::Bf16(&bf16),
        },
        Block {
            rows: 2,
            data: RowData::Full(&full),
        },
    ];
    PackedMatrix::pack(&blocks, columns)
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The results of every kernel.
fn everything() -> Vec<(&'static str, Vec<u32>)> {
    let mut numbers = Numbers(1);
    let mut all = Vec::new();
    let (rows, columns, outputs) = (70, 1050, 90);
    let w = matrix(outputs - 2, columns, &mut numbers);
    let (x, grad) = (numbers.f32s(rows * columns), numbers.f32s(rows * outputs));
    let (mut y, mut back) = (vec![0.0; rows * outputs], vec![0.0; rows * columns]);
    linear(&x, &w, &mut y);
    linear_backward(&grad, &w, &mut back);
    all.push(("linear", bits(&y)));
    all.push(("linear_backward", bits(&back)));
    add_bias(&mut y, &grad[..outputs]);
    add(&mut y, &grad);
    all.push(("add", bits(&y)));

    let weight = numbers.f32s(columns);
    let mut y = vec![0.0; x.len()];
    rms_norm(&x, &weight, 1e-6, &mut y);
    all.push(("rms_norm", bits(&y)));
    rms_norm_backward(&x, &weight, 1e-6, &back, &mut y);
    all.push(("rms_norm_backward", bits(&y)));

    let (cos, sin) = (numbers.f32s(rows * 50), numbers.f32s(rows * 50));
    let mut y = x.clone();
    rope(&mut y, 10, 100, columns, 20, &cos, &sin, false);
    all.push(("rope", bits(&y)));

    let mut y = vec![0.0; rows * 501];
    swiglu(&x, columns, 501, &mut y);
    all.push(("swiglu", bits(&y)));
    let mut back = vec![0.0; x.len()];
    swiglu_backward(&x, columns, 501, &y, &mut back);
    all.push(("swiglu_backward", bits(&back)));

    let (b, c) = (numbers.f32s(900 * 3), numbers.f32s(rows * 3));
    let mut y = x.clone();
    rank_update(&mut y, columns, 100, &b, &c);
    all.push(("rank_update", bits(&y)));
    let mut s = vec![0.0; rows * 3];
    rank_gradient(&x, columns, 100, &b, 900, &mut s);
    all.push(("rank_gradient", bits(&s)));

    let mut row: Vec<f32> = numbers.f32s(5003).iter().map(|x| x * 40.0).collect();
    (row[7], row[70]) = (f32::NEG_INFINITY, -0.0);
    let lse = log_sum_exp(&row, 0.9);
    all.push(("head", bits(&[lse, entropy(&row, lse, 0.9)])));
    log_prob_gradient(&mut row, lse, 0.9, 17, 0.3);
    all.push(("log_prob_gradient", bits(&row)));
    row[3] = f32::NAN;
    probabilities(&mut row, 0.1, 0.9);
    all.push((
        "probabilities",
        row.iter()
            .map(|x| if x.is_nan() { 1 } else { x.to_bits() })
            .collect(),
    ));

    for (heads, kv, width) in [(9, 3, 64), (14, 2, 40), (2, 2, 128)] {
        all.extend(attention_of(
            &Case::new(heads, kv, width, 50, &[60, 1, 20], 90),
            &mut numbers,
        ));
    }
    all
}

fn attention_of(case: &Case, numbers: &mut Numbers) -> Vec<(&'static str, Vec<u32>)> {
    let qkv = numbers.f32s(case.tokens() * case.stride());
    let grad = numbers.f32s(case.tokens() * case.heads * case.width);
    let (cache, mut out) = (case.cache(&qkv), vec![0.0; grad.len()]);
    attention(
        &qkv,
        case.stride(),
        0,
        case.heads,
        &cache,
        &case.queries,
        0.2,
        &mut out,
    );
    let mut grad_q = vec![0.0; qkv.len()];
    let mut grad_k = vec![0.0; case.cache_rows * case.kv_heads * case.width];
    let mut grad_v = grad_k.clone();
    attention_backward(
        &qkv,
        case.stride(),
        0,
        case.heads,
        &cache,
        &case.queries,
        0.2,
        &grad,
        &mut grad_q,
        &mut grad_k,
        &mut grad_v,
    );
    vec![
        ("attention", bits(&out)),
        ("gradient of queries", bits(&grad_q)),
        ("gradient of keys", bits(&grad_k)),
        ("gradient of values", bits(&grad_v)),
    ]
}

#[test]
fn instruction_sets_and_threads_change_no_bit() {
    let expected = everything();
    for isa in Isa::all() {
        forced::force(Some(isa));
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            for ((name, found), (_, expected)) in pool.install(everything).iter().zip(&expected) {
                assert!(
                    found == expected,
                    "{name} on {isa:?} with {threads} threads"
                );
            }
        }
    }
    forced::force(None);
}

#[test]
fn a_row_of_a_product_does_not_know_of_the_other_rows() {
    let mut numbers = Numbers(2);
    let (columns, outputs) = (1100, 130);
    let w = matrix(outputs - 2, columns, &mut numbers);
    let (x, grad) = (numbers.f32s(200 * columns), numbers.f32s(200 * outputs));
    let (mut all, mut all_back) = (vec![0.0; 200 * outputs], vec![0.0; 200 * columns]);
    linear(&x, &w, &mut all);
    linear_backward(&grad, &w, &mut all_back);
    for rows in BATCHES {
        for first in [0, 200 - rows] {
            let (mut y, mut back) = (vec![0.0; rows * outputs], vec![0.0; rows * columns]);
            linear(&x[first * columns..][..rows * columns], &w, &mut y);
            linear_backward(&grad[first * outputs..][..rows * outputs], &w, &mut back);
            assert!(
                bits(&y) == bits(&all[first * outputs..][..rows * outputs]),
                "{rows} from {first}"
            );
            assert!(
                bits(&back) == bits(&all_back[first * columns..][..rows * columns]),
                "{rows} from {first}"
            );
        }
    }
}

#[test]
fn a_token_attends_in_a_batch_of_any_size_as_alone() {
    let case = Case::new(9, 3, 64, 40, &[100, 60], 80);
    let qkv = Numbers(3).f32s(case.tokens() * case.stride());
    let (cache, stride, columns) = (case.cache(&qkv), case.stride(), case.heads * case.width);
    let mut all = vec![0.0; case.tokens() * columns];
    attention(
        &qkv,
        stride,
        0,
        case.heads,
        &cache,
        &case.queries,
        0.2,
        &mut all,
    );
    for rows in BATCHES {
        for first in [0, 200 - rows] {
            let mut out = vec![0.0; rows * columns];
            let (q, queries) = (
                &qkv[first * stride..][..rows * stride],
                &case.queries[first..first + rows],
            );
            attention(q, stride, 0, case.heads, &cache, queries, 0.2, &mut out);
            assert!(
                bits(&out) == bits(&all[first * columns..][..rows * columns]),
                "{rows} from {first}"
            );
        }
    }
}

/// The keys of a sequence may stand in one run or in two, wherever it is split.
#[test]
fn a_shared_prefix_gives_the_bits_of_a_whole_sequence() {
    let (heads, kv, width, len) = (6, 2, 32, 77);
    let whole = Case::new(heads, kv, width, 0, &[len], 999);
    let qkv = Numbers(4).f32s(len * whole.stride());
    let mut expected = vec![0.0; len * heads * width];
    let stride = whole.stride();
    attention(
        &qkv,
        stride,
        0,
        heads,
        &whole.cache(&qkv),
        &whole.queries,
        0.2,
        &mut expected,
    );
    for prefix in [1, 15, 16, 40] {
        let split = Case::new(heads, kv, width, prefix, &[len - prefix], 999);
        let mut out = vec![0.0; expected.len()];
        attention(
            &qkv,
            stride,
            0,
            heads,
            &split.cache(&qkv),
            &split.queries,
            0.2,
            &mut out,
        );
        assert!(bits(&out) == bits(&expected), "split at {prefix}");
    }
}

#[test]
fn rows_of_norms_and_activations_do_not_know_of_each_other() {
    let (width, mut numbers) = (577, Numbers(5));
    let (x, weight) = (numbers.f32s(200 * width), numbers.f32s(width));
    let (mut normed, mut gated) = (vec![0.0; x.len()], vec![0.0; 200 * 288]);
    rms_norm(&x, &weight, 1e-6, &mut normed);
    swiglu(&x, width, 288, &mut gated);
    for rows in BATCHES {
        let (mut y, mut g) = (vec![0.0; rows * width], vec![0.0; rows * 288]);
        rms_norm(&x[..rows * width], &weight, 1e-6, &mut y);
        swiglu(&x[..rows * width], width, 288, &mut g);
        assert!(bits(&y) == bits(&normed[..rows * width]));
        assert!(bits(&g) == bits(&gated[..rows * 288]));
    }
}
