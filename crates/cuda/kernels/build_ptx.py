"""Compiles all.cu with libnvrtc: build_ptx.py FOLDER OUTPUT. Run by build-ptx.sh."""

import ctypes
import hashlib
import pathlib
import sys


def sources_digest(folder):
    """SHA-256 over the names and bytes of the sources, as tests/cuda/sources.rs has it."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".cu", ".cuh")):
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def compile_ptx(folder, options):
    nvrtc = ctypes.CDLL("libnvrtc.so.12")
    program, size = ctypes.c_void_p(), ctypes.c_size_t()

    def call(name, *arguments):
        status = getattr(nvrtc, name)(*arguments)
        if status != 0 and name != "nvrtcCompileProgram":
            sys.exit(f"{name}: {status}")
        return status

    def text(size_of, get):
        call(size_of, program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        call(get, program, buffer)
        return buffer.value.decode()

    source = (folder / "all.cu").read_bytes()
    call("nvrtcCreateProgram", ctypes.byref(program), source, b"all.cu", 0, None, None)
    array = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    status = call("nvrtcCompileProgram", program, len(options), array)
    log = text("nvrtcGetProgramLogSize", "nvrtcGetProgramLog").strip()
    if log:
        print(log, file=sys.stderr)
    if status != 0:
        sys.exit(status)
    return text("nvrtcGetPTXSize", "nvrtcGetPTX")


def main():
    folder, output = map(pathlib.Path, sys.argv[1:])
    # Contraction to fused operations stays on; divisions and roots are exact, and subnormal numbers are kept.
    options = ["--gpu-architecture=compute_80", "--std=c++17", "--fmad=true", f"--include-path={folder}"]
    ptx = compile_ptx(folder, options)
    head = (
        "// Made by build-ptx.sh from the .cu and .cuh files beside this one; do not edit.\n"
        f"// sources sha256 {sources_digest(folder)}\n"
    )
    lines = (line.rstrip() for line in ptx.strip().splitlines())
    output.write_text(head + "\n".join(lines) + "\n")


main()
