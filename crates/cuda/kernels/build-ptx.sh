#!/bin/sh
# Compiles the kernels to kernels.ptx, which is committed, so that nobody who builds the crate needs CUDA.
#
#   kernels/build-ptx.sh           writes kernels.ptx
#   kernels/build-ptx.sh --check   compiles again and compares
#
# The compiler is NVIDIA's run-time compiler of CUDA 12.0, a library of one PyPI wheel (23 MB; the nvcc wheels of CUDA 12 have
# no nvcc). An old one on purpose: it writes PTX ISA 8.0, which every driver from 525 on (CUDA 12.0) takes, while that of
# CUDA 13 writes 9.0, which drivers of CUDA 12 refuse. compute_80 is the oldest architecture with bf16; drivers compile for
# what is there. Wants python3 with pip, on x86-64 Linux.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
python3 -m pip download --quiet --no-deps --only-binary :all: --platform manylinux1_x86_64 \
    --dest "$temporary" nvidia-cuda-nvrtc-cu12==12.0.140
(cd "$temporary" && python3 -m zipfile -e ./*.whl .)
# The compiler now and then numbers registers by the addresses that it works at, so these are the same in every run, if the
# system allows it.
run=
setarch "$(uname -m)" -R true 2>/dev/null && run="setarch $(uname -m) -R"
LD_LIBRARY_PATH="$temporary/nvidia/cuda_nvrtc/lib" $run python3 "$here/build_ptx.py" "$here" "$temporary/kernels.ptx"
if [ "${1:-}" = --check ]; then
    cmp "$temporary/kernels.ptx" "$here/kernels.ptx"
    echo "kernels.ptx is what the sources give"
else
    cp "$temporary/kernels.ptx" "$here/kernels.ptx"
fi
