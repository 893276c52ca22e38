// What the output head says: log-probabilities, entropy, and the gradient of the logits. A block has a row of logits.

// Of some logits: the largest, Σ exp(x − largest), and Σ exp(x − largest) · (x − largest).
struct Tally {
    float most, total, tilt;
};

// A block has at most so many threads.
#define ROW_THREADS 1024
// No logit is less; finite, so that a difference of two is a number.
#define LEAST_LOGIT -3.0e38f
// Where p is 0 its logarithm may be −∞: no difference counts as less than this.
#define LEAST_LOG -10000.0f

__device__ inline Tally moved(Tally tally, float most) {
    const float down = fmaxf(tally.most - most, LEAST_LOG), factor = expf(down);
    tally.tilt = factor * fmaf(down, tally.total, tally.tilt);
    tally.total *= factor;
    tally.most = most;
    return tally;
}

__device__ inline Tally with(Tally tally, float x) {
    if (x > tally.most) {
        tally = moved(tally, x);
    }
    const float down = x - tally.most, e = expf(down);
    tally.total += e;
    tally.tilt = fmaf(e, fmaxf(down, LEAST_LOG), tally.tilt);
    return tally;
}

__device__ inline Tally both(Tally a, Tally b) {
    const float most = fmaxf(a.most, b.most);
    a = moved(a, most);
    b = moved(b, most);
    a.total += b.total;
    a.tilt += b.tilt;
    return a;
}

__device__ inline Tally warp_tally(Tally tally) {
    for (int other = WARP / 2; other > 0; other /= 2) {
        Tally from;
        from.most = __shfl_xor_sync(ALL_LANES, tally.most, other);
        from.total = __shfl_xor_sync(ALL_LANES, tally.total, other);
        from.tilt = __shfl_xor_sync(ALL_LANES, tally.tilt, other);
        // The lower lane first on both sides, so that all lanes have the same bits.
        tally = threadIdx.x & other ? both(from, tally) : both(tally, from);
    }
    return tally;
}

// The tally of a row of scaled logits, in all threads. `shared` has three places for each warp.
__device__ inline Tally row_tally(const float* row, u32 vocabulary, float inverse, float* shared) {
    Tally tally = {LEAST_LOGIT, 0.0f, 0.0f};
    if (vocabulary % 4 == 0) {
        for (u32 i = threadIdx.x * 4; i < vocabulary; i += blockDim.x * 4) {
            const float4 x = load4(row + i);
            tally = with(with(with(with(tally, x.x * inverse), x.y * inverse), x.z * inverse), x.w * inverse);
        }
    } else {
        for (u32 i = threadIdx.x; i < vocabulary; i += blockDim.x) {
            tally = with(tally, row[i] * inverse);
        }
    }
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    tally = warp_tally(tally);
    if (lane == 0) {
        shared[warp * 3] = tally.most;
        shared[warp * 3 + 1] = tally.total;
        shared[warp * 3 + 2] = tally.tilt;
    }
    __syncthreads();
    Tally of_warp = {LEAST_LOGIT, 0.0f, 0.0f};
    if (lane < blockDim.x / WARP) {
        of_warp.most = shared[lane * 3];
        of_warp.total = shared[lane * 3 + 1];
        of_warp.tilt = shared[lane * 3 + 2];
    }
    tally = warp_tally(of_warp);
    __syncthreads();
    return tally;
}

// The log-probability of each row's target, the entropy of the row, and ln Σ exp.
KERNEL void __launch_bounds__(ROW_THREADS) score(const float* __restrict__ logits, u32 vocabulary, float inverse,
                                                 const u32* __restrict__ targets, float* __restrict__ log_probs,
                                                 float* __restrict__ entropies, float* __restrict__ log_sums) {
    __shared__ float shared[WARP * 3];
    const float* row = logits + (u64)blockIdx.x * vocabulary;
    const Tally tally = row_tally(row, vocabulary, inverse, shared);
    if (threadIdx.x == 0) {
        const float log_total = logf(tally.total), log_sum = tally.most + log_total;
        const u32 target = targets[blockIdx.x];
        log_probs[blockIdx.x] = target < vocabulary ? row[target] * inverse - log_sum : not_a_number();
        // Σ p ln p = Σ p (x − most) − ln total: no difference of large numbers.
        entropies[blockIdx.x] = log_total - tally.tilt / tally.total;
        log_sums[blockIdx.x] = log_sum;
    }
}

// The derivatives of coefficient · log-probability of the target by the logits, in their place. Grid: rows × lots.
KERNEL void score_gradient(float* __restrict__ logits, u32 vocabulary, float inverse, const u32* __restrict__ targets,
                           const float* __restrict__ coefficients, const float* __restrict__ log_sums) {
    const float factor = coefficients[blockIdx.x] * inverse, log_sum = log_sums[blockIdx.x];
    const u32 target = targets[blockIdx.x], first = (blockIdx.y * blockDim.x + threadIdx.x) * 4;
    float* row = logits + (u64)blockIdx.x * vocabulary;
    for (u32 i = first; i < least(vocabulary, first + 4); i++) {
        const float p = expf(row[i] * inverse - log_sum);
        row[i] = -p * factor + (i == target ? factor : 0.0f);
    }
}
