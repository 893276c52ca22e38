// Tokens from rows of logits. A block has a row.

// The token whose share of [0, 1) a uniform number falls into, in the order of the tokens. The row is cut into as many parts
// as there are warps, the part found where the sum passes the number, and that part cut again, down to a few tokens.
KERNEL void __launch_bounds__(ROW_THREADS) draw(const float* __restrict__ logits, u32 vocabulary, float inverse,
                                                const double* __restrict__ uniforms, u32* __restrict__ tokens,
                                                float* __restrict__ log_probs) {
    __shared__ float shared[WARP * 3];
    __shared__ double sums[WARP];
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    const float* row = logits + (u64)blockIdx.x * vocabulary;
    const Tally tally = row_tally(row, vocabulary, inverse, shared);
    const float log_sum = tally.most + logf(tally.total);
    u32 low = 0, high = vocabulary;
    double before = 0.0, wanted = -1.0;
    do {
        const u32 size = (high - low + warps - 1) / warps;
        const u32 from = least(high, low + warp * size), to = least(high, from + size);
        double sum = 0.0;
        for (u32 i = from + lane; i < to; i += WARP) {
            sum += (double)expf(row[i] * inverse - log_sum);
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            sums[warp] = sum;
        }
        __syncthreads();
        if (wanted < 0.0) {
            double whole = 0.0;
            for (u32 part = 0; part < warps; part++) {
                whole += sums[part];
            }
            wanted = uniforms[blockIdx.x] * whole;
        }
        // Every thread finds the same part: where the sum passes, or the last that has anything.
        u32 found = 0;
        double found_before = before, running = before;
        for (u32 part = 0; part < warps; part++) {
            if (sums[part] > 0.0) {
                found = part;
                found_before = running;
            }
            running += sums[part];
            if (running > wanted) {
                break;
            }
        }
        before = found_before;
        low = least(high, low + found * size);
        high = least(high, low + size);
        __syncthreads();
    } while (high - low > WARP);
    if (threadIdx.x == 0) {
        u32 token = low;
        for (u32 i = low; i < high; i++) {
            const double p = (double)expf(row[i] * inverse - log_sum);
            before += p;
            token = p > 0.0 ? i : token;
            if (before > wanted) {
                break;
            }
        }
        tokens[blockIdx.x] = token;
        log_probs[blockIdx.x] = row[token] * inverse - log_sum;
    }
}

struct Candidate {
    float logit;
    u32 token;
};

__device__ inline Candidate better(Candidate a, Candidate b) {
    const bool second = b.logit > a.logit || (b.logit == a.logit && b.token < a.token);
    return second ? b : a;
}

__device__ inline Candidate warp_best(Candidate best) {
    for (int other = WARP / 2; other > 0; other /= 2) {
        Candidate from;
        from.logit = __shfl_xor_sync(ALL_LANES, best.logit, other);
        from.token = __shfl_xor_sync(ALL_LANES, best.token, other);
        best = better(best, from);
    }
    return best;
}

// The most probable token, the first among equals, and its log-probability.
KERNEL void __launch_bounds__(ROW_THREADS) most_probable(const float* __restrict__ logits, u32 vocabulary,
                                                         u32* __restrict__ tokens, float* __restrict__ log_probs) {
    __shared__ float shared[WARP * 3];
    __shared__ Candidate bests[WARP];
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    const float* row = logits + (u64)blockIdx.x * vocabulary;
    const Tally tally = row_tally(row, vocabulary, 1.0f, shared);
    Candidate best = {minus_infinity(), vocabulary - 1};
    for (u32 i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        const Candidate next = {row[i], i};
        best = better(best, next);
    }
    best = warp_best(best);
    if (lane == 0) {
        bests[warp] = best;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (u32 i = 1; i < warps; i++) {
            best = better(best, bests[i]);
        }
        tokens[blockIdx.x] = best.token;
        log_probs[blockIdx.x] = row[best.token] - (tally.most + logf(tally.total));
    }
}
