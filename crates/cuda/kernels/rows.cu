// Columns and rows that are copied from one matrix to another. A block has a row.

// Columns of a matrix into columns of another; those up to `filled` are 0.
KERNEL void copy_columns(const float* __restrict__ from, u32 from_stride, u32 from_offset, float* __restrict__ to,
                         u32 to_stride, u32 to_offset, u32 columns, u32 filled) {
    from += (u64)blockIdx.x * from_stride + from_offset;
    to += (u64)blockIdx.x * to_stride + to_offset;
    for (u32 i = threadIdx.x; i < filled; i += blockDim.x) {
        to[i] = i < columns ? from[i] : 0.0f;
    }
}

// The first columns of a matrix, and another matrix added.
KERNEL void narrow_add(const float* __restrict__ from, u32 stride, const float* __restrict__ other, float* __restrict__ to,
                       u32 columns) {
    from += (u64)blockIdx.x * stride;
    other += (u64)blockIdx.x * columns;
    to += (u64)blockIdx.x * columns;
    for (u32 i = threadIdx.x; i < columns; i += blockDim.x) {
        to[i] = from[i] + other[i];
    }
}

// A row beyond the matrix is not a number: it is seen, and nothing beyond the matrix is read.
template <class T>
__device__ inline void gather(const T* from, u32 limit, u32 width, const u32* rows, float* to) {
    const u32 row = rows[blockIdx.x];
    to += (u64)blockIdx.x * width;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        to[i] = row < limit ? widen(from[(u64)row * width + i]) : not_a_number();
    }
}

KERNEL void gather_f32(const float* __restrict__ from, u32 limit, u32 width, const u32* __restrict__ rows,
                       float* __restrict__ to) {
    gather(from, limit, width, rows, to);
}

KERNEL void gather_bf16(const u16* __restrict__ from, u32 limit, u32 width, const u32* __restrict__ rows,
                        float* __restrict__ to) {
    gather(from, limit, width, rows, to);
}

// The sum of the rows `sources[starts[i]..starts[i + 1]]` for each row i, in their order.
KERNEL void scatter(const float* __restrict__ from, u32 width, const u32* __restrict__ starts,
                    const u32* __restrict__ sources, float* __restrict__ to) {
    const u32 start = starts[blockIdx.x], end = starts[blockIdx.x + 1];
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        float sum = 0.0f;
        for (u32 source = start; source < end; source++) {
            sum += from[(u64)sources[source] * width + i];
        }
        to[(u64)blockIdx.x * width + i] = sum;
    }
}
