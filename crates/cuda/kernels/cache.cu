// Keys and values of tokens, by row of the cache: rows × (heads · width).

template <class T>
__device__ inline void write_row(const float* qkv, u32 stride, u32 k_offset, u32 v_offset, const u32* rows, u32 columns, T* keys,
                                 T* values) {
    qkv += (u64)blockIdx.x * stride;
    const u64 to = (u64)rows[blockIdx.x] * columns;
    for (u32 i = threadIdx.x; i < columns; i += blockDim.x) {
        store(keys + to + i, qkv[k_offset + i]);
        store(values + to + i, qkv[v_offset + i]);
    }
}

KERNEL void cache_write_f32(const float* __restrict__ qkv, u32 stride, u32 k_offset, u32 v_offset,
                            const u32* __restrict__ rows, u32 columns, float* __restrict__ keys, float* __restrict__ values) {
    write_row(qkv, stride, k_offset, v_offset, rows, columns, keys, values);
}

KERNEL void cache_write_bf16(const float* __restrict__ qkv, u32 stride, u32 k_offset, u32 v_offset,
                             const u32* __restrict__ rows, u32 columns, u16* __restrict__ keys, u16* __restrict__ values) {
    write_row(qkv, stride, k_offset, v_offset, rows, columns, keys, values);
}
