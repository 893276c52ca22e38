//! How fast the kernels are: GFLOP a second of one thread's processor time, so that other programs hardly disturb.
//!
//!     cargo run --release -p tlora-kernels --example bench_kernels [words of the names]
#![expect(clippy::print_stdout, reason = "a program for developers")]

use tlora_kernels::*;

/// Seconds that this thread was computing.
#[cfg(unix)]
fn seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds of one program")]
    let (seconds, nanoseconds) = (now.tv_sec as f64, now.tv_nsec as f64);
    seconds + nanoseconds * 1e-9
}

/// Seconds since the first call.
#[cfg(not(unix))]
fn seconds() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START
        .get_or_init(std::time::Instant::now)
        .elapsed()
        .as_secs_f64()
}

/// The best of several runs.
fn time(name: &str, flops: usize, mut body: impl FnMut()) {
    if !std::env::args().skip(1).all(|word| name.contains(&word)) {
        return;
    }
    body();
    let (begin, mut best) = (seconds(), f64::INFINITY);
    while seconds() - begin < 0.3 {
        let start = seconds();
        body();
        best = best.min(seconds() - start);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
    let rate = flops as f64 / best / 1e9;
    println!("{name:<52} {rate:8.1} GFLOP/s");
}

fn main() {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()
        .unwrap_or_default();
    for (outputs, columns) in [(1536, 576), (576, 1536), (49152, 576), (4864, 896)] {
        let bits: Vec<u16> = (0x3c00..0x3c61).cycle().take(outputs * columns).collect();
        let block = Block::<f32> {
            rows: outputs,
            data: RowData::Bf16(&bits),
        };
        let matrix = PackedMatrix::pack(&[block], columns);
        for rows in [1, 16, 64, 512] {
            let x = vec![0.5; rows * columns];
            let mut y = vec![0.0; rows * outputs];
            let flops = 2 * rows * columns * outputs;
            let name = format!("linear: {rows} × {columns} · {outputs}");
            time(&name, flops, || linear(&x, &matrix, &mut y));
            if rows >= 64 {
                let mut x = x.clone();
                time(
                    &format!("its gradient: {rows} × {outputs} · {columns}"),
                    flops,
                    || {
                        linear_backward(&y, &matrix, &mut x);
                    },
                );
            }
        }
    }
    for (name, heads, kv, tokens, context) in [
        ("decode of 16 at 576", 9, 3, 16, 576),
        ("decode of 16 at 576", 14, 2, 16, 576),
        ("512 tokens of a sequence", 9, 3, 512, 512),
    ] {
        attention_of(name, heads, kv, tokens, context);
    }
    let mut x = vec![0.5_f32; 512 * 3072];
    let mut y = vec![0.0; 512 * 1536];
    time("swiglu (1 FLOP an output)", y.len(), || {
        swiglu(&x, 3072, 1536, &mut y);
    });
    let grad = y.clone();
    let gate_up = x.clone();
    time("swiglu backward", y.len(), || {
        swiglu_backward(&gate_up, 3072, 1536, &grad, &mut x);
    });
    let weight = vec![1.0; 576];
    let x = vec![0.5_f32; 512 * 576];
    let mut y = vec![0.0; 512 * 576];
    time("rms_norm", x.len(), || rms_norm(&x, &weight, 1e-6, &mut y));
    let grad = weight.repeat(512);
    time("rms_norm backward", x.len(), || {
        rms_norm_backward(&x, &weight, 1e-6, &grad, &mut y);
    });
    let b = vec![0.1_f32; 576 * 2];
    let c = vec![0.1_f32; 512 * 2];
    let mut s = vec![0.0; 512 * 2];
    time("rank update", 4 * y.len(), || {
        rank_update(&mut y, 576, 0, &b, &c);
    });
    time("rank gradient", 4 * y.len(), || {
        rank_gradient(&y, 576, 0, &b, 576, &mut s);
    });
    let mut row = vec![0.3_f32; 49152];
    time("log_sum_exp", row.len(), || {
        std::hint::black_box(log_sum_exp(&row, 1.0));
    });
    time("log_prob_gradient", row.len(), || {
        log_prob_gradient(&mut row, 11.0, 1.0, 5, 0.1);
    });
}

fn attention_of(name: &str, heads: usize, kv: usize, tokens: usize, context: usize) {
    let width = 64;
    let stride = (heads + 2 * kv) * width;
    let same = tokens == context;
    let runs = if same { 1 } else { tokens };
    let mut cache = KvCache::new(runs * context, kv, width);
    let buffer = vec![0.1_f32; tokens.max(context) * stride];
    for run in 0..runs {
        let rows: Vec<usize> = (0..context).map(|row| run * context + row).collect();
        cache.write(
            &rows,
            &buffer,
            &buffer,
            stride,
            heads * width,
            (heads + kv) * width,
        );
    }
    let queries: Vec<Query> = (0..tokens)
        .map(|token| Query {
            own_start: if same { 0 } else { token * context },
            own_len: if same { token + 1 } else { context },
            ..Query::default()
        })
        .collect();
    let keys: usize = queries.iter().map(Query::keys).sum();
    let q = &buffer[..tokens * stride];
    let mut out = vec![0.0; tokens * heads * width];
    let flops = 4 * keys * heads * width;
    time(
        &format!("attention: {name}, {heads} heads on {kv}"),
        flops,
        || {
            attention(q, stride, 0, heads, &cache, &queries, 0.125, &mut out);
        },
    );
    if same {
        let mut grad_q = vec![0.0; q.len()];
        let mut grad_k = vec![0.0; context * kv * width];
        let mut grad_v = grad_k.clone();
        time(&format!("its gradient: {name}"), 3 * flops, || {
            attention_backward(
                q,
                stride,
                0,
                heads,
                &cache,
                &queries,
                0.125,
                &out,
                &mut grad_q,
                &mut grad_k,
                &mut grad_v,
            );
        });
    }
}
