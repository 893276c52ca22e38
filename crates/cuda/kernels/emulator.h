// The language of the kernels for a C++17 compiler: what CUDA brings without a header, as far as the kernels use it.
#pragma once

#include <cmath>
#include <cstring>

#define __global__
#define __device__
#define __shared__ static thread_local
#define __launch_bounds__(threads)
#define __restrict__ __restrict

struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned int x, y;
};

namespace emulator {

struct Index {
    unsigned int x, y, z;
};

extern thread_local Index thread, block, block_size, grid_size;

// The shared memory that the launch asked for.
float* dynamic_shared();

// Waits until all threads of the block are here.
void barrier();

// Waits until all lanes of the warp are here; gives the 8 bytes of the lane at `other` from this one's.
unsigned long long exchange(unsigned long long value, int other);

} // namespace emulator

#define threadIdx (emulator::thread)
#define blockIdx (emulator::block)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)
#define __syncthreads() emulator::barrier()

template <class T> inline T __shfl_xor_sync(unsigned int, T value, int other) {
    static_assert(sizeof(T) <= 8, "a lane gives at most 8 bytes");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof(T));
    bits = emulator::exchange(bits, other);
    memcpy(&value, &bits, sizeof(T));
    return value;
}

inline float __uint_as_float(unsigned int bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

inline unsigned int __float_as_uint(float x) {
    unsigned int bits;
    memcpy(&bits, &x, 4);
    return bits;
}
