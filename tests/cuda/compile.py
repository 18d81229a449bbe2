"""Compiles the kernels with NVRTC, for every architecture that is asked for, without a GPU.

    compile.py LIB...            each LIB a folder with libnvrtc.so.*, as PyPI's wheels have it
    compile.py LIB --write PTX   makes the PTX that travels in the binary (NVRTC 11.7, compute_50)

Each compiler is asked which architectures it knows; of those, the lowest, sm_72, sm_87 and sm_90 are
compiled for, as far as it knows them. The PTX in the repository must be what NVRTC 11.7 makes of the
source, if that is among them.
"""

import ctypes
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / "src/runtime/cuda/encode.cu"
SHIPPED = SOURCE.with_suffix(".ptx")
WANTED = (72, 87, 90)
SHIPPED_BY, SHIPPED_FOR = (11, 7), 50


class Compiler:
    def __init__(self, folder):
        libraries = sorted(pathlib.Path(folder).glob("libnvrtc*.so*"))
        for library in libraries:
            if "builtins" in library.name:
                ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
        main = [library for library in libraries if library.name.startswith("libnvrtc.so")]
        if not main:
            sys.exit(f"{folder}: holds no libnvrtc.so.*")
        self.nvrtc = ctypes.CDLL(str(main[0]))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.version = (major.value, minor.value)
        count = ctypes.c_int()
        self.nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        self.nvrtc.nvrtcGetSupportedArchs(known)
        self.known = sorted(known)

    def text(self, program, size, get):
        length = ctypes.c_size_t()
        getattr(self.nvrtc, size)(program, ctypes.byref(length))
        text = ctypes.create_string_buffer(length.value)
        getattr(self.nvrtc, get)(program, text)
        return text.value.decode()

    def ptx(self, arch):
        program = ctypes.c_void_p()
        source = SOURCE.read_bytes()
        self.nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"encode.cu", 0, None, None)
        options = (ctypes.c_char_p * 2)(f"--gpu-architecture=compute_{arch}".encode(), b"--std=c++17")
        failed = self.nvrtc.nvrtcCompileProgram(program, 2, options)
        log = self.text(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").strip()
        if failed or "warning" in log:
            sys.exit(f"NVRTC {self.version}, compute_{arch}: {log or failed}")
        return self.text(program, "nvrtcGetPTXSize", "nvrtcGetPTX")


def main(arguments):
    if len(arguments) == 3 and arguments[1] == "--write":
        pathlib.Path(arguments[2]).write_text(Compiler(arguments[0]).ptx(SHIPPED_FOR))
        return
    if not arguments:
        sys.exit(__doc__)
    done = set()
    for folder in arguments:
        compiler = Compiler(folder)
        archs = sorted({compiler.known[0], *WANTED} & set(compiler.known))
        for arch in archs:
            compiler.ptx(arch)
        done |= set(archs)
        name = ".".join(map(str, compiler.version))
        print(f"NVRTC {name}: " + ", ".join(f"compute_{arch}" for arch in archs))
        if compiler.version == SHIPPED_BY:
            if compiler.ptx(SHIPPED_FOR) != SHIPPED.read_text():
                sys.exit(f"{SHIPPED} is not what NVRTC {name} makes of {SOURCE.name}; see --write")
            print(f"{SHIPPED.name} is what it makes for compute_{SHIPPED_FOR}")
    if missing := set(WANTED) - done:
        sys.exit(f"not compiled for {sorted(missing)}: another NVRTC is needed")


main(sys.argv[1:])
