// Root-mean-square norms of rows, and their gradient. A block has a row.

// 1 / sqrt(mean(x²) + ε).
__device__ inline float norm_factor(const float* x, u32 width, float epsilon, float* shared) {
    float squares = 0.0f;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        squares = fmaf(x[i], x[i], squares);
    }
    squares = block_sum(squares, shared);
    return 1.0f / sqrtf(squares / (float)width + epsilon);
}

template <class T>
__device__ inline void normalise(const float* x, const float* weight, u32 width, float epsilon, T* y) {
    __shared__ float shared[WARP];
    x += (u64)blockIdx.x * width;
    y += (u64)blockIdx.x * width;
    const float factor = norm_factor(x, width, epsilon, shared);
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        store(y + i, x[i] * factor * weight[i]);
    }
}

KERNEL void rms_norm_f32(const float* __restrict__ x, const float* __restrict__ weight, u32 width, float epsilon,
                         float* __restrict__ y) {
    normalise(x, weight, width, epsilon, y);
}

KERNEL void rms_norm_bf16(const float* __restrict__ x, const float* __restrict__ weight, u32 width, float epsilon,
                          u16* __restrict__ y) {
    normalise(x, weight, width, epsilon, y);
}

KERNEL void rms_norm_backward(const float* __restrict__ x, const float* __restrict__ weight, u32 width, float epsilon,
                              const float* __restrict__ grad, float* __restrict__ grad_x) {
    __shared__ float shared[WARP];
    x += (u64)blockIdx.x * width;
    grad += (u64)blockIdx.x * width;
    grad_x += (u64)blockIdx.x * width;
    const float factor = norm_factor(x, width, epsilon, shared);
    float along = 0.0f;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        along = fmaf(grad[i] * weight[i], x[i], along);
    }
    along = block_sum(along, shared);
    const float back = -along * factor * factor * factor / (float)width;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        grad_x[i] = fmaf(back, x[i], grad[i] * weight[i] * factor);
    }
}
