"""Writes torch_normals.txt, the golden values of torch_normals.rs: P as torch draws it on a CPU with AVX2 or AVX-512.

    OMP_NUM_THREADS=1 python3 torch_normals.py > torch_normals.txt      # torch 2.15.0

One line a tensor: seed, u, rank, rounding, and the bits of its values as binary32.
"""

import torch

assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"), "another CPU draws other numbers"

SHAPES = [(1, 1), (1, 2), (3, 2), (1, 3), (5, 1), (15, 1), (16, 1), (4, 2), (13, 2), (5, 2), (8, 2), (31, 1), (2, 5), (1, 8), (7, 4)]
SEEDS = [0, 1, 42, 43, 2**31, 2**32 - 1, 2**32, 2**32 + 5, 2**63 + 11, 2**64 - 1]
ROUNDINGS = {"none": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}

for u, rank in SHAPES:
    for number, seed in enumerate(SEEDS):
        generator = torch.Generator().manual_seed(seed - 2**64 if seed >= 2**63 else seed)
        p = torch.normal(mean=0.0, std=1.0 / (rank**0.5), size=(u, rank, rank), generator=generator)
        name = list(ROUNDINGS)[number % 3]
        bits = p.to(ROUNDINGS[name]).float().flatten().view(torch.int32).tolist()
        print(seed, u, rank, name, ",".join(f"{b & 0xFFFFFFFF:08x}" for b in bits))
