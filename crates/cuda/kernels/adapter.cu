// The low-rank part of an adapted layer. R of a row is that of its adapter; without `adapters` all rows have the first.

__device__ inline const float* of_row(const float* r, u32 between, const u32* adapters, u64 row) {
    return r + (adapters ? (u64)adapters[row] * between : 0);
}

// c = p·Rᵀ, where p stands in the row. A thread has a number of c.
KERNEL void inner(const float* __restrict__ y, u32 stride, u32 p_offset, u32 rank, const float* __restrict__ r, u32 between,
                  const u32* __restrict__ adapters, float* __restrict__ c, u32 rows) {
    const u64 number = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    const u64 row = number / rank;
    if (row >= rows) {
        return;
    }
    const u32 i = (u32)(number % rank);
    const float* p = y + row * stride + p_offset;
    const float* of = of_row(r, between, adapters, row) + i * rank;
    float sum = 0.0f;
    for (u32 j = 0; j < rank; j++) {
        sum += of[j] * p[j];
    }
    c[number] = sum;
}

// The gradient of p, s·R, into its columns. A thread has a number of p.
KERNEL void fill_p(float* __restrict__ grad, u32 stride, u32 p_offset, u32 rank, const float* __restrict__ r, u32 between,
                   const u32* __restrict__ adapters, const float* __restrict__ s, u32 rows) {
    const u64 number = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    const u64 row = number / rank;
    if (row >= rows) {
        return;
    }
    const u32 j = (u32)(number % rank);
    const float* of = of_row(r, between, adapters, row);
    float sum = 0.0f;
    for (u32 i = 0; i < rank; i++) {
        sum += of[i * rank + j] * s[row * rank + i];
    }
    grad[row * stride + p_offset + j] = sum;
}

// y += c·Bᵀ. Grid: rows × lots of outputs.
KERNEL void rank_update(float* __restrict__ y, u32 stride, u32 offset, const float* __restrict__ b, u32 outputs,
                        const float* __restrict__ c, u32 rank) {
    const u32 output = blockIdx.y * blockDim.x + threadIdx.x;
    if (output < outputs) {
        float* to = y + (u64)blockIdx.x * stride + offset + output;
        float sum = *to;
        for (u32 j = 0; j < rank; j++) {
            sum = fmaf(c[(u64)blockIdx.x * rank + j], b[(u64)output * rank + j], sum);
        }
        *to = sum;
    }
}

#define MOST_RANK 64
#define MOST_PARTS 3

// Where the parts of a layer's columns end, but for the last, and where their R are.
struct Parts {
    u32 count, end_0, end_1, r_0, r_1, r_2;
};

// c = p·Rᵀ of all parts of a row, whose p stand one after another. All threads have them afterwards.
__device__ inline void inner_of_parts(float* c, const float* p, u32 rank, const Parts& parts, const float* r) {
    for (u32 number = threadIdx.x; number < parts.count * rank; number += blockDim.x) {
        const u32 part = number / rank, i = number % rank;
        const float* from = r + (part == 0 ? parts.r_0 : part == 1 ? parts.r_1 : parts.r_2) + i * rank;
        float sum = 0.0f;
        for (u32 j = 0; j < rank; j++) {
            sum += from[j] * p[part * rank + j];
        }
        c[number] = sum;
    }
    __syncthreads();
}

// An output with its bias and its part's c·Bᵀ; b has the rows of all parts.
__device__ inline float adapted(float sum, u32 column, const float* bias, const float* c, u32 rank, const Parts& parts,
                                const float* b) {
    const u32 part = column < parts.end_0 ? 0 : column < parts.end_1 ? 1 : 2;
    if (bias) {
        sum += bias[column];
    }
    for (u32 j = 0; j < rank; j++) {
        sum = fmaf(c[part * rank + j], b[(u64)column * rank + j], sum);
    }
    return sum;
}

// What follows a product, in one pass and in place. Grid: rows × lots of columns.
KERNEL void adapt(float* __restrict__ y, u32 stride, u32 columns, const float* __restrict__ bias, u32 p_offset, u32 rank,
                  u32 count, u32 end_0, u32 end_1, const float* __restrict__ r, u32 r_0, u32 r_1, u32 r_2, u32 between,
                  const u32* __restrict__ adapters, const float* __restrict__ b) {
    __shared__ float c[MOST_PARTS * MOST_RANK];
    const Parts parts = {count, end_0, end_1, r_0, r_1, r_2};
    float* row = y + (u64)blockIdx.x * stride;
    inner_of_parts(c, row + p_offset, rank, parts, of_row(r, between, adapters, blockIdx.x));
    const u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column < columns) {
        row[column] = adapted(row[column], column, bias, c, rank, parts, b);
    }
}

// The same, and another matrix added, into a third. Grid: rows × lots of columns.
KERNEL void adapt_onto(const float* __restrict__ y, u32 stride, u32 columns, const float* __restrict__ bias, u32 p_offset,
                       u32 rank, u32 count, u32 end_0, u32 end_1, const float* __restrict__ r, u32 r_0, u32 r_1, u32 r_2,
                       u32 between, const u32* __restrict__ adapters, const float* __restrict__ b,
                       const float* __restrict__ other, float* __restrict__ to) {
    __shared__ float c[MOST_PARTS * MOST_RANK];
    const Parts parts = {count, end_0, end_1, r_0, r_1, r_2};
    const float* row = y + (u64)blockIdx.x * stride;
    inner_of_parts(c, row + p_offset, rank, parts, of_row(r, between, adapters, blockIdx.x));
    const u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column < columns) {
        const u64 at = (u64)blockIdx.x * columns + column;
        to[at] = adapted(row[column], column, bias, c, rank, parts, b) + other[at];
    }
}

#define RANKS 4

// s = g·B. A block has a row, and goes through it once for four numbers of s.
KERNEL void rank_gradient(const float* __restrict__ grad, u32 stride, u32 offset, const float* __restrict__ b, u32 outputs,
                          u32 rank, float* __restrict__ s) {
    __shared__ float shared[WARP];
    grad += (u64)blockIdx.x * stride + offset;
    for (u32 first = 0; first < rank; first += RANKS) {
        float sums[RANKS] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (u32 output = threadIdx.x; output < outputs; output += blockDim.x) {
            const float g = grad[output];
            const float* of = b + (u64)output * rank + first;
#pragma unroll
            for (u32 j = 0; j < RANKS; j++) {
                sums[j] = fmaf(g, first + j < rank ? of[j] : 0.0f, sums[j]);
            }
        }
#pragma unroll
        for (u32 j = 0; j < RANKS; j++) {
            if (first + j < rank) {
                const float sum = block_sum(sums[j], shared);
                if (threadIdx.x == 0) {
                    s[(u64)blockIdx.x * rank + first + j] = sum;
                }
            }
        }
    }
}

__device__ inline double pair_term(const float* s, const float* p, u32 stride, u32 rank, const u32* adapters, u32 row, u32 i,
                                   u32 j) {
    if (adapters && adapters[row] != blockIdx.y) {
        return 0.0;
    }
    // Exact: binary64 has room for the product of two binary32.
    return (double)s[(u64)row * rank + i] * (double)p[(u64)row * stride + j];
}

// sᵀ·p over a lot of rows, for each adapter, in binary64. Grid: lots × adapters.
KERNEL void accumulate_lots(const float* __restrict__ s, const float* __restrict__ y, u32 rows, u32 lot, u32 stride,
                            u32 p_offset, u32 rank, const u32* __restrict__ adapters, double* __restrict__ sums) {
    __shared__ double shared[WARP];
    const u32 first = blockIdx.x * lot, end = least(rows, first + lot), pairs = rank * rank;
    const float* p = y + p_offset;
    sums += ((u64)blockIdx.x * gridDim.y + blockIdx.y) * pairs;
    if (pairs >= blockDim.x) {
        for (u32 pair = threadIdx.x; pair < pairs; pair += blockDim.x) {
            double sum = 0.0;
            for (u32 row = first; row < end; row++) {
                sum += pair_term(s, p, stride, rank, adapters, row, pair / rank, pair % rank);
            }
            sums[pair] = sum;
        }
        return;
    }
    for (u32 pair = 0; pair < pairs; pair++) {
        double sum = 0.0;
        for (u32 row = first + threadIdx.x; row < end; row += blockDim.x) {
            sum += pair_term(s, p, stride, rank, adapters, row, pair / rank, pair % rank);
        }
        sum = block_sum(sum, shared);
        if (threadIdx.x == 0) {
            sums[pair] = sum;
        }
    }
}

// Adds the sums of the lots to the gradient of each adapter, in their order. A thread has a number of the gradient.
KERNEL void accumulate(const double* __restrict__ sums, u32 lots, u32 adapters, u32 pairs, u32 between,
                       double* __restrict__ gradient) {
    const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
    if (number >= adapters * pairs) {
        return;
    }
    double sum = 0.0;
    for (u32 lot = 0; lot < lots; lot++) {
        sum += sums[(u64)lot * adapters * pairs + number];
    }
    gradient[(u64)(number / pairs) * between + number % pairs] += sum;
}
