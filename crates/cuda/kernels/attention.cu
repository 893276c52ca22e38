// Attention of tokens over the cache. A block has a token and the query heads that share a head of keys, at most G of them,
// so that keys and values are read once for all. It goes through the keys in tiles: scores, with eight threads for a key; the
// softmax so far, with a warp for a head; the weighted sum of values, with a thread for four columns of every so many keys.

#define TILE 64
#define THREADS 256
#define KEY_THREADS 8
// Floats of shared memory before the tiles: three numbers for each head.
#define STATE 32

struct Query {
    u32 prefix_start, prefix_len, own_start, own_len, skip;
};

__device__ inline Query query_of(const u32* queries, u32 token) {
    Query query;
    queries += (u64)token * 5;
    query.prefix_start = queries[0];
    query.prefix_len = queries[1];
    query.own_start = queries[2];
    query.own_len = queries[3];
    query.skip = queries[4];
    return query;
}

// The row of the cache of a key, counted from the oldest.
__device__ inline u32 key_row(const Query& query, u32 key) {
    return key < query.prefix_len ? query.prefix_start + key : query.own_start + (key - query.prefix_len);
}

// The heads of a block: `count` of them from `first` on, all of which read `kv`.
struct BlockHeads {
    u32 kv, first, count;
};

__device__ inline BlockHeads block_heads(u32 group, u32 most) {
    const u32 lots = (group + most - 1) / most, lot = blockIdx.y % lots;
    BlockHeads heads;
    heads.kv = blockIdx.y / lots;
    heads.first = heads.kv * group + lot * most;
    heads.count = least(most, group - lot * most);
    return heads;
}

// Rows of heads into shared memory, G × width; those that the block does not have are 0.
template <int G>
__device__ inline void load_heads(float* to, const float* from, u32 width, u32 count) {
    for (u32 i = threadIdx.x; i < G * width; i += blockDim.x) {
        to[i] = i < count * width ? from[i] : 0.0f;
    }
}

// Σ over the slices of `sums`, which the threads have by slice and chunk of four columns; `each` gets head, column and sum.
template <int G, class Each>
__device__ inline void add_slices(const float4* sums, u32 width, u32 count, float* shared, Each each) {
    const u32 chunks = width / 4, slices = blockDim.x / chunks, slice = threadIdx.x / chunks, chunk = threadIdx.x % chunks;
    __syncthreads();
    if (slice < slices) {
#pragma unroll
        for (int h = 0; h < G; h++) {
            store4(shared + (slice * G + h) * width + chunk * 4, sums[h]);
        }
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < count * width; i += blockDim.x) {
        float sum = 0.0f;
        for (u32 from = 0; from < slices; from++) {
            sum += shared[from * G * width + i];
        }
        each(i / width, i % width, sum);
    }
}

// sums[h] += weights[h][key] · row of the key, for the keys of a tile that belong to this thread's slice.
template <int G, class T>
__device__ inline void weighted_rows(float4* sums, const float* weights, const T* rows, u64 row_stride, const Query& query,
                                     u32 base, u32 count, u32 width) {
    const u32 chunks = width / 4, slices = blockDim.x / chunks, slice = threadIdx.x / chunks, chunk = threadIdx.x % chunks;
    if (slice >= slices) {
        return;
    }
    for (u32 slot = slice; slot < count; slot += slices) {
        const float4 row = load4(rows + key_row(query, base + slot) * row_stride + chunk * 4);
#pragma unroll
        for (int h = 0; h < G; h++) {
            sums[h] = add_scaled(sums[h], weights[h * TILE + slot], row);
        }
    }
}

// The softmax so far of a head takes in a tile: scores become exponentials, and what came before is scaled. A warp has a head.
__device__ inline void take_in(float* scores, u32 count, float* most, float* total, float* rescale) {
    const u32 lane = threadIdx.x % WARP;
    const float a = lane < count ? scores[lane] : minus_infinity();
    const float b = lane + WARP < count ? scores[lane + WARP] : minus_infinity();
    const float before = *most;
    const float now = fmaxf(before, warp_largest(fmaxf(a, b)));
    const float ea = expf(a - now), eb = expf(b - now);
    scores[lane] = ea;
    scores[lane + WARP] = eb;
    const float sum = warp_sum(ea + eb);
    if (lane == 0) {
        *rescale = expf(before - now);
        *total = *total * *rescale + sum;
        *most = now;
    }
}

template <class T, int G>
__device__ inline void attend(const float* q, u32 stride, u32 offset, const T* keys, const T* values, u32 kv_heads, u32 width,
                              const u32* queries, u32 group, float scale, float* out, float* log_sums) {
    DYNAMIC_SHARED(shared);
    float *most = shared, *total = shared + G, *rescale = shared + 2 * G;
    float* heads_q = shared + STATE;
    float* scores = heads_q + G * width;
    const BlockHeads heads = block_heads(group, G);
    const Query query = query_of(queries, blockIdx.x);
    const u32 end = query.prefix_len + query.own_len, thread = threadIdx.x, part = thread % KEY_THREADS;
    const u64 row_stride = (u64)kv_heads * width;
    keys += heads.kv * width;
    values += heads.kv * width;
    load_heads<G>(heads_q, q + (u64)blockIdx.x * stride + offset + heads.first * width, width, heads.count);
    if (thread < G) {
        most[thread] = minus_infinity();
        total[thread] = 0.0f;
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
            const T* key = keys + key_row(query, base + least(slot, count - 1)) * row_stride;
            float dots[G];
#pragma unroll
            for (int h = 0; h < G; h++) {
                dots[h] = 0.0f;
            }
            for (u32 c = part * 4; c < width; c += KEY_THREADS * 4) {
                const float4 k = load4(key + c);
#pragma unroll
                for (int h = 0; h < G; h++) {
                    dots[h] = dot4(load4(heads_q + h * width + c), k, dots[h]);
                }
            }
#pragma unroll
            for (int h = 0; h < G; h++) {
                const float dot = lanes_sum(dots[h], KEY_THREADS);
                if ((int)part == h) {
                    scores[h * TILE + slot] = dot * scale;
                }
            }
        }
        __syncthreads();
        if (thread / WARP < G) {
            const u32 h = thread / WARP;
            take_in(scores + h * TILE, count, most + h, total + h, rescale + h);
        }
        __syncthreads();
#pragma unroll
        for (int h = 0; h < G; h++) {
            sums[h] = add_scaled(zero4(), rescale[h], sums[h]);
        }
        weighted_rows<G>(sums, scores, values, row_stride, query, base, count, width);
        __syncthreads();
    }
    const u64 first = (u64)blockIdx.x * kv_heads * group + heads.first;
    add_slices<G>(sums, width, heads.count, shared + STATE,
                  [&](u32 h, u32 column, float sum) { out[(first + h) * width + column] = sum / total[h]; });
    if (log_sums && thread < heads.count) {
        log_sums[first + thread] = most[thread] + logf(total[thread]);
    }
}

#define ATTENTION(T, name, G)                                                                                                  \
    KERNEL void __launch_bounds__(THREADS) attention_##name##_##G(                                                             \
        const float* __restrict__ q, u32 stride, u32 offset, const T* __restrict__ keys, const T* __restrict__ values,         \
        u32 kv_heads, u32 width, const u32* __restrict__ queries, u32 group, float scale, float* __restrict__ out,             \
        float* __restrict__ log_sums) {                                                                                        \
        attend<T, G>(q, stride, offset, keys, values, kv_heads, width, queries, group, scale, out, log_sums);                  \
    }

ATTENTION(float, f32, 1)
ATTENTION(float, f32, 2)
ATTENTION(float, f32, 4)
ATTENTION(float, f32, 8)
ATTENTION(u16, bf16, 1)
ATTENTION(u16, bf16, 2)
ATTENTION(u16, bf16, 4)
ATTENTION(u16, bf16, 8)
