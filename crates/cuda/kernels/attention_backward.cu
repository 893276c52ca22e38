// The gradient of attention: of the queries, token by token; of keys and values, eight keys at a time over the tokens that may
// attend to them. Probabilities are computed again from the logarithms that the forward pass left.

// Σ gradient · output of each head. A warp has a head.
KERNEL void attention_delta(const float* __restrict__ grad, const float* __restrict__ out, u32 width, u64 count,
                            float* __restrict__ delta) {
    const u64 head = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    float sum = 0.0f;
    if (head < count) {
        for (u32 i = threadIdx.x % WARP; i < width; i += WARP) {
            sum = fmaf(grad[head * width + i], out[head * width + i], sum);
        }
    }
    sum = warp_sum(sum);
    if (head < count && threadIdx.x % WARP == 0) {
        delta[head] = sum;
    }
}

template <class T, int G>
__device__ inline void attend_backward_q(const float* q, u32 stride, u32 offset, const T* keys, const T* values, u32 kv_heads,
                                         u32 width, const u32* queries, u32 group, float scale, const float* grad,
                                         const float* log_sums, const float* delta, float* grad_qkv) {
    DYNAMIC_SHARED(shared);
    float *heads_log = shared, *heads_delta = shared + G;
    float* heads_q = shared + STATE;
    float* heads_grad = heads_q + G * width;
    float* slopes = heads_grad + G * width;
    const BlockHeads heads = block_heads(group, G);
    const Query query = query_of(queries, blockIdx.x);
    const u32 end = query.prefix_len + query.own_len, thread = threadIdx.x, part = thread % KEY_THREADS;
    const u64 row_stride = (u64)kv_heads * width, first = (u64)blockIdx.x * kv_heads * group + heads.first;
    keys += heads.kv * width;
    values += heads.kv * width;
    load_heads<G>(heads_q, q + (u64)blockIdx.x * stride + offset + heads.first * width, width, heads.count);
    load_heads<G>(heads_grad, grad + first * width, width, heads.count);
    if (thread < G) {
        // A head that the block does not have gives no probability.
        heads_log[thread] = thread < heads.count ? log_sums[first + thread] : -minus_infinity();
        heads_delta[thread] = thread < heads.count ? delta[first + thread] : 0.0f;
    }
    float4 sums[G];
#pragma unroll
    for (int h = 0; h < G; h++) {
        sums[h] = zero4();
    }
    __syncthreads();
    for (u32 base = query.skip; base < end; base += TILE) {
        const u32 count = least(TILE, end - base);
        for (u32 slot = thread / KEY_THREADS; slot < TILE; slot += THREADS / KEY_THREADS) {
            const u64 row = key_row(query, base + least(slot, count - 1)) * row_stride;
            float dots[G], alongs[G];
#pragma unroll
            for (int h = 0; h < G; h++) {
                dots[h] = alongs[h] = 0.0f;
            }
            for (u32 c = part * 4; c < width; c += KEY_THREADS * 4) {
                const float4 k = load4(keys + row + c), v = load4(values + row + c);
#pragma unroll
                for (int h = 0; h < G; h++) {
                    dots[h] = dot4(load4(heads_q + h * width + c), k, dots[h]);
                    alongs[h] = dot4(load4(heads_grad + h * width + c), v, alongs[h]);
                }
            }
#pragma unroll
            for (int h = 0; h < G; h++) {
                const float dot = lanes_sum(dots[h], KEY_THREADS), along = lanes_sum(alongs[h], KEY_THREADS);
                if ((int)part == h) {
                    slopes[h * TILE + slot] = expf(dot * scale - heads_log[h]) * (along - heads_delta[h]) * scale;
                }
            }
        }
        __syncthreads();
        weighted_rows<G>(sums, slopes, keys, row_stride, query, base, count, width);
        __syncthreads();
    }
    float* to = grad_qkv + (u64)blockIdx.x * stride + offset + heads.first * width;
    add_slices<G>(sums, width, heads.count, shared + STATE,
                  [&](u32 h, u32 column, float sum) { to[h * width + column] = sum; });
}

#define KEYS 8

__device__ inline bool attends(const Query& query, u32 row) {
    const u32 skipped = least(query.skip, query.prefix_len);
    // Differences below 0 wrap around to large numbers.
    return row - (query.prefix_start + skipped) < query.prefix_len - skipped
        || row - (query.own_start + (query.skip - skipped)) < query.own_len - (query.skip - skipped);
}

// Where everything of the batch stands, for the gradient of keys and values.
struct Batch {
    const float* q;
    const float* grad;
    const float* log_sums;
    const float* delta;
    const u32* queries;
    u32 stride, offset, width, all_heads, group, kv;
};

// A query of a token's head, by its number in the tokens from `first` on.
struct Pair {
    u32 token;
    u64 head;
    const float* q;
    const float* grad;
};

__device__ inline Pair pair_of(const Batch& batch, u32 first, u32 number) {
    Pair pair;
    pair.token = first + number / batch.group;
    const u32 head = batch.kv * batch.group + number % batch.group;
    pair.head = (u64)pair.token * batch.all_heads + head;
    pair.q = batch.q + (u64)pair.token * batch.stride + batch.offset + head * batch.width;
    pair.grad = batch.grad + pair.head * batch.width;
    return pair;
}

// Probabilities and slopes of one pair for the block's keys. Eight threads have a pair; each ends with one key.
__device__ inline void pair_slopes(const Batch& batch, const Pair& pair, const float* keys, const float* values, const u32* rows,
                                   u32 present, float scale, u32 slot, bool real, float* probabilities, float* slopes) {
    const u32 part = threadIdx.x % KEY_THREADS;
    float dots[KEYS], alongs[KEYS];
#pragma unroll
    for (int k = 0; k < KEYS; k++) {
        dots[k] = alongs[k] = 0.0f;
    }
    for (u32 c = part * 4; c < batch.width; c += KEY_THREADS * 4) {
        const float4 q = gather4(pair.q + c), g = load4(pair.grad + c);
#pragma unroll
        for (int k = 0; k < KEYS; k++) {
            dots[k] = dot4(q, load4(keys + k * batch.width + c), dots[k]);
            alongs[k] = dot4(g, load4(values + k * batch.width + c), alongs[k]);
        }
    }
    float dot = 0.0f, along = 0.0f;
#pragma unroll
    for (int k = 0; k < KEYS; k++) {
        const float a = lanes_sum(dots[k], KEY_THREADS), b = lanes_sum(alongs[k], KEY_THREADS);
        dot = (int)part == k ? a : dot;
        along = (int)part == k ? b : along;
    }
    const bool here = real && part < present && attends(query_of(batch.queries, pair.token), rows[part]);
    const float p = here ? expf(dot * scale - batch.log_sums[pair.head]) : 0.0f;
    probabilities[part * TILE + slot] = p;
    slopes[part * TILE + slot] = here ? p * (along - batch.delta[pair.head]) * scale : 0.0f;
}

template <class T>
__device__ inline void attend_backward_kv(const Batch& batch, const T* all_keys, const T* all_values, u32 kv_heads,
                                          const u32* token_rows, const u32* firsts, const u32* ends, u32 tokens, float scale,
                                          u32 k_offset, u32 v_offset, float* grad_qkv) {
    DYNAMIC_SHARED(shared);
    u32* rows = (u32*)shared;
    const u32 width = batch.width, thread = threadIdx.x;
    float *keys = shared + STATE, *values = keys + KEYS * width;
    float *probabilities = values + KEYS * width, *slopes = probabilities + KEYS * TILE;
    const u32 token = blockIdx.x * KEYS, present = least(KEYS, tokens - token);
    u32 first = ~0u, end = 0;
    for (u32 k = 0; k < present; k++) {
        if (firsts[token + k] < ends[token + k]) {
            first = least(first, firsts[token + k]);
            end = ends[token + k] > end ? ends[token + k] : end;
        }
    }
    if (thread < KEYS) {
        rows[thread] = thread < present ? token_rows[token + thread] : 0;
    }
    for (u32 i = thread; i < KEYS * width; i += blockDim.x) {
        const u32 k = i / width;
        const u64 from = k < present ? ((u64)token_rows[token + k] * kv_heads + batch.kv) * width + i % width : 0;
        keys[i] = k < present ? widen(all_keys[from]) : 0.0f;
        values[i] = k < present ? widen(all_values[from]) : 0.0f;
    }
    float4 grad_k[KEYS], grad_v[KEYS];
#pragma unroll
    for (int k = 0; k < KEYS; k++) {
        grad_k[k] = grad_v[k] = zero4();
    }
    __syncthreads();
    const u32 pairs = first < end ? (end - first) * batch.group : 0;
    const u32 chunks = width / 4, slices = blockDim.x / chunks, slice = thread / chunks, chunk = thread % chunks;
    for (u32 base = 0; base < pairs; base += TILE) {
        const u32 count = least(TILE, pairs - base);
        for (u32 slot = thread / KEY_THREADS; slot < TILE; slot += THREADS / KEY_THREADS) {
            const Pair pair = pair_of(batch, first, base + least(slot, count - 1));
            pair_slopes(batch, pair, keys, values, rows, present, scale, slot, slot < count, probabilities, slopes);
        }
        __syncthreads();
        for (u32 slot = slice; slice < slices && slot < count; slot += slices) {
            const Pair pair = pair_of(batch, first, base + slot);
            const float4 q = gather4(pair.q + chunk * 4), g = load4(pair.grad + chunk * 4);
#pragma unroll
            for (int k = 0; k < KEYS; k++) {
                grad_k[k] = add_scaled(grad_k[k], slopes[k * TILE + slot], q);
                grad_v[k] = add_scaled(grad_v[k], probabilities[k * TILE + slot], g);
            }
        }
        __syncthreads();
    }
    float* to = grad_qkv + (u64)token * batch.stride + batch.kv * width;
    add_slices<KEYS>(grad_k, width, present, shared + STATE, [&](u32 k, u32 column, float sum) {
        to[(u64)k * batch.stride + k_offset + column] = sum;
    });
    add_slices<KEYS>(grad_v, width, present, shared + STATE, [&](u32 k, u32 column, float sum) {
        to[(u64)k * batch.stride + v_offset + column] = sum;
    });
}

#define ATTENTION_BACKWARD_Q(T, name, G)                                                                                       \
    KERNEL void __launch_bounds__(THREADS) attention_backward_q_##name##_##G(                                                  \
        const float* __restrict__ q, u32 stride, u32 offset, const T* __restrict__ keys, const T* __restrict__ values,         \
        u32 kv_heads, u32 width, const u32* __restrict__ queries, u32 group, float scale, const float* __restrict__ grad,      \
        const float* __restrict__ log_sums, const float* __restrict__ delta, float* __restrict__ grad_qkv) {                   \
        attend_backward_q<T, G>(q, stride, offset, keys, values, kv_heads, width, queries, group, scale, grad, log_sums,       \
                                delta, grad_qkv);                                                                              \
    }

#define ATTENTION_BACKWARD_KV(T, name)                                                                                         \
    KERNEL void __launch_bounds__(THREADS) attention_backward_kv_##name(                                                       \
        const float* __restrict__ q, u32 stride, u32 offset, const T* __restrict__ keys, const T* __restrict__ values,         \
        u32 kv_heads, u32 width, const u32* __restrict__ queries, u32 group, float scale, const float* __restrict__ grad,      \
        const float* __restrict__ log_sums, const float* __restrict__ delta, const u32* __restrict__ rows,                     \
        const u32* __restrict__ firsts, const u32* __restrict__ ends, u32 tokens, u32 k_offset, u32 v_offset,                  \
        float* __restrict__ grad_qkv) {                                                                                        \
        const Batch batch = {q,      grad,  log_sums, delta,           queries, stride,                                        \
                             offset, width, kv_heads * group, group, blockIdx.y};                                              \
        attend_backward_kv<T>(batch, keys, values, kv_heads, rows, firsts, ends, tokens, scale, k_offset, v_offset, grad_qkv); \
    }

ATTENTION_BACKWARD_Q(float, f32, 1)
ATTENTION_BACKWARD_Q(float, f32, 2)
ATTENTION_BACKWARD_Q(float, f32, 4)
ATTENTION_BACKWARD_Q(float, f32, 8)
ATTENTION_BACKWARD_Q(u16, bf16, 1)
ATTENTION_BACKWARD_Q(u16, bf16, 2)
ATTENTION_BACKWARD_Q(u16, bf16, 4)
ATTENTION_BACKWARD_Q(u16, bf16, 8)
ATTENTION_BACKWARD_KV(float, f32)
ATTENTION_BACKWARD_KV(u16, bf16)
