#!/usr/bin/env python3
"""Assembles kernels.ptx for devices, as a driver does when it loads them, and says what each kernel takes of them.

    kernels/assemble.py            the oldest and a new assembler, for all architectures that they know
    kernels/assemble.py --table    and a line for each kernel

ptxas is the same compiler as the one in the driver, and comes in a PyPI wheel. Fails if a kernel does not assemble, or if a
device could not start as many threads of it as launch.rs asks for. Wants pip, on x86-64 Linux.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

KERNELS = pathlib.Path(__file__).parent / "kernels.ptx"
ASSEMBLERS = [
    # Of the oldest drivers that take the kernels.
    ("nvidia-cuda-nvcc-cu12==12.0.140", ["sm_80", "sm_86", "sm_89", "sm_90"]),
    ("nvidia-cuda-nvcc==13.0.88", ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]),
]
# Of a block, on all these architectures; registers are given out to warps, in lots of 256.
REGISTERS, REGISTER_LOT, SHARED_BYTES, WARP = 65536, 256, 48 << 10, 32
# What launch.rs starts where a kernel does not say more.
THREADS = 256


def assembler(requirement, folder):
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--platform", "manylinux2014_x86_64", "--dest", folder, requirement], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/bin/ptxas"))
        archive.extract(name, folder)
    program = folder / name
    program.chmod(0o755)
    return program


def threads_of_kernels(ptx):
    """The most threads of a block of each kernel."""
    threads = {}
    for name, head in re.findall(r"\.entry (\w+)\((.*?)\{", ptx, re.DOTALL):
        bound = re.search(r"\.maxntid (\d+)", head)
        threads[name] = int(bound[1]) if bound else THREADS
    return threads


def assembled(program, architecture):
    """Registers of a thread, bytes of shared memory and spilled bytes of each kernel."""
    command = [program, f"-arch={architecture}", "-v", "-o", "/dev/null", KERNELS]
    log = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = {}
    for part in log.split("Compiling entry function")[1:]:
        number = lambda pattern: int((re.search(pattern, part) or [0, 0])[1])
        name = re.search(r"'(\w+)'", part)[1]
        found[name] = (number(r"Used (\d+) registers"), number(r"(\d+) bytes smem"), number(r"(\d+) bytes spill stores"))
    return found


def wrong(name, threads, registers, shared):
    warp_registers = -(-registers * WARP // REGISTER_LOT) * REGISTER_LOT
    if registers == 0:
        return f"{name}: the assembler does not say what it takes"
    if warp_registers * (threads // WARP) > REGISTERS:
        return f"{name}: {registers} registers for each of {threads} threads are more than a block has"
    if shared > SHARED_BYTES:
        return f"{name}: {shared} bytes of shared memory are more than a block has"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    threads, faults = threads_of_kernels(KERNELS.read_text()), []
    for requirement, architectures in ASSEMBLERS:
        with tempfile.TemporaryDirectory() as folder:
            program = assembler(requirement, pathlib.Path(folder))
            for architecture in architectures:
                found = assembled(program, architecture)
                if found.keys() != threads.keys():
                    faults.append(f"{requirement} {architecture}: kernels are missing")
                for name, (registers, shared, spilled) in sorted(found.items()):
                    fault = wrong(name, threads[name], registers, shared)
                    faults += [f"{requirement} {architecture}: {fault}"] if fault else []
                    if options.table:
                        print(f"{architecture} {name}: {threads[name]} threads, {registers} registers, {shared} shared, {spilled} spilled")
                most = max(registers for registers, _, _ in found.values())
                print(f"{requirement} {architecture}: {len(found)} kernels, at most {most} registers")
    sys.exit("\n".join(faults) or 0)


main()
