// All kernels as one program.
#include "common.cuh"

#include "elementwise.cu"
#include "norm.cu"
#include "rows.cu"
#include "adapter.cu"
#include "cache.cu"
#include "attention.cu"
#include "attention_backward.cu"
#include "head.cu"
#include "draw.cu"
