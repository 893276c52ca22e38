// Additions, the rotary embedding, the gated activation, rounding to bf16.

// a += b. A thread has four elements.
KERNEL void add(float* __restrict__ a, const float* __restrict__ b, u64 count) {
    u64 i = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
    if (i + 4 <= count) {
        store4(a + i, add_scaled(load4(a + i), 1.0f, load4(b + i)));
    } else {
        for (; i < count; i++) {
            a[i] += b[i];
        }
    }
}

// y += bias, row by row. Grid: rows × lots of columns.
KERNEL void add_bias(float* __restrict__ y, const float* __restrict__ bias, u32 width) {
    const u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column < width) {
        y[(u64)blockIdx.x * width + column] += bias[column];
    }
}

// A thread has four elements.
KERNEL void round_bf16(const float* __restrict__ x, u16* __restrict__ y, u64 count) {
    u64 i = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
    if (i + 4 <= count) {
        const float4 four = load4(x + i);
        uint2 two;
        two.x = (u32)to_bf16(four.x) | (u32)to_bf16(four.y) << 16;
        two.y = (u32)to_bf16(four.z) | (u32)to_bf16(four.w) << 16;
        *(uint2*)(y + i) = two;
    } else {
        for (; i < count; i++) {
            y[i] = to_bf16(x[i]);
        }
    }
}

// Turns the pairs (i, i + width/2) of heads by the angles of their row. Grid: rows; `direction` is 1, or -1 for the way back.
KERNEL void rope(float* __restrict__ x, u32 heads, u32 width, u32 stride, u32 offset, const float* __restrict__ cosines,
                 const float* __restrict__ sines, float direction) {
    const u32 half = width / 2;
    float* row = x + (u64)blockIdx.x * stride + offset;
    for (u32 pair = threadIdx.x; pair < heads * half; pair += blockDim.x) {
        const u32 i = pair % half;
        float* low = row + pair / half * width + i;
        const float c = cosines[(u64)blockIdx.x * half + i];
        const float s = direction * sines[(u64)blockIdx.x * half + i];
        const float a = low[0], b = low[half];
        low[0] = a * c - b * s;
        low[half] = b * c + a * s;
    }
}

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// y = silu(gate) · up. Grid: rows × lots of columns.
template <class T>
__device__ inline void gated(const float* gate_up, u32 stride, u32 n, T* y) {
    const u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column < n) {
        const float* row = gate_up + (u64)blockIdx.x * stride;
        const float gate = row[column];
        store(y + (u64)blockIdx.x * n + column, gate * sigmoid(gate) * row[n + column]);
    }
}

KERNEL void swiglu_f32(const float* __restrict__ gate_up, u32 stride, u32 n, float* __restrict__ y) {
    gated(gate_up, stride, n, y);
}

KERNEL void swiglu_bf16(const float* __restrict__ gate_up, u32 stride, u32 n, u16* __restrict__ y) {
    gated(gate_up, stride, n, y);
}

// The gradients of gate and up. Grid: rows × lots of columns.
KERNEL void swiglu_backward(const float* __restrict__ gate_up, u32 stride, u32 n, const float* __restrict__ grad,
                            float* __restrict__ grad_gate_up) {
    const u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column < n) {
        const u64 at = (u64)blockIdx.x * stride + column;
        const float gate = gate_up[at], up = gate_up[at + n];
        const float d = grad[(u64)blockIdx.x * n + column];
        const float s = sigmoid(gate);
        const float silu = gate * s;
        grad_gate_up[at + n] = d * silu;
        // The derivative of silu: s + g·s·(1 − s).
        grad_gate_up[at] = d * up * fmaf(silu, 1.0f - s, s);
    }
}
