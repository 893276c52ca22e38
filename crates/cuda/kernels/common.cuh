// What all kernels share: element types, reductions of a block. No header of CUDA is included, so that a compiler for the
// device needs none, and the emulator has little to imitate.
//
// No kernel uses an atomic operation, and every sum has one order that depends on its length only: the same device gives the
// same bits in every run.
#pragma once

#ifdef TLORA_EMULATOR
#define KERNEL static
#define DYNAMIC_SHARED(name) float* name = emulator::dynamic_shared()
#else
#define KERNEL extern "C" __global__
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) float name[]
#endif

typedef unsigned short u16; // The bits of a bf16.
typedef unsigned int u32;
typedef unsigned long long u64;

#define WARP 32
#define ALL_LANES 0xffffffffu

__device__ inline float minus_infinity() { return __uint_as_float(0xff800000u); }
__device__ inline float not_a_number() { return __uint_as_float(0x7fc00000u); }

__device__ inline u32 least(u32 a, u32 b) { return a < b ? a : b; }

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(u16 x) { return __uint_as_float((u32)x << 16); }

// To the nearest bf16, ties to even; a NaN stays one.
__device__ inline u16 to_bf16(float x) {
    u32 bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (u16)((bits >> 16) | 0x40u);
    }
    return (u16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

__device__ inline void store(float* to, float x) { *to = x; }
__device__ inline void store(u16* to, float x) { *to = to_bf16(x); }

// Four elements in one load; the address is a multiple of four of them.
__device__ inline float4 load4(const float* from) { return *(const float4*)from; }
__device__ inline float4 load4(const u16* from) {
    uint2 two = *(const uint2*)from;
    float4 x;
    x.x = __uint_as_float(two.x << 16);
    x.y = __uint_as_float(two.x & 0xffff0000u);
    x.z = __uint_as_float(two.y << 16);
    x.w = __uint_as_float(two.y & 0xffff0000u);
    return x;
}

// Four elements from anywhere.
__device__ inline float4 gather4(const float* from) {
    float4 x;
    x.x = from[0];
    x.y = from[1];
    x.z = from[2];
    x.w = from[3];
    return x;
}

__device__ inline void store4(float* to, float4 x) { *(float4*)to = x; }

__device__ inline float dot4(float4 a, float4 b, float sum) {
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

// sum + factor · x.
__device__ inline float4 add_scaled(float4 sum, float factor, float4 x) {
    sum.x = fmaf(factor, x.x, sum.x);
    sum.y = fmaf(factor, x.y, sum.y);
    sum.z = fmaf(factor, x.z, sum.z);
    sum.w = fmaf(factor, x.w, sum.w);
    return sum;
}

__device__ inline float4 zero4() {
    float4 x;
    x.x = x.y = x.z = x.w = 0.0f;
    return x;
}

// The sum of `width` lanes that stand together, in all of them.
template <class T> __device__ inline T lanes_sum(T x, int width) {
    for (int other = width / 2; other > 0; other /= 2) {
        x += __shfl_xor_sync(ALL_LANES, x, other);
    }
    return x;
}

template <class T> __device__ inline T warp_sum(T x) { return lanes_sum(x, WARP); }

__device__ inline float warp_largest(float x) {
    for (int other = WARP / 2; other > 0; other /= 2) {
        x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, other));
    }
    return x;
}

// The sum over the block, in all threads; `shared` has a place for each warp. All threads take part.
template <class T> __device__ inline T block_sum(T x, T* shared) {
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    x = warp_sum(x);
    if (lane == 0) {
        shared[warp] = x;
    }
    __syncthreads();
    x = warp_sum(lane < blockDim.x / WARP ? shared[lane] : (T)0);
    __syncthreads();
    return x;
}
