# SPDX-License-Identifier: Apache-2.0
"""Compiles programs of CUDA kernels for the CPU: tests/cuda-host/README.md.
g++ is enough. A test of kernels makes a Programs and takes its paths."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess

SRC = pathlib.Path(os.environ["CHATD_SRC"]).resolve()
HOST = SRC / "tests/cuda-host"
CUDA = SRC / "engine/cuda"
TUNE = SRC / "engine/tune/cuda"
BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", ".")).resolve()
CC = shutil.which("gcc")
CXX = shutil.which("g++")
NVCC = shutil.which("nvcc")
PARTS = ("simt", "fiber", "lane", "count", "memory", "stream", "graph",
         "runtime")
FLAGS = ["-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
         "-Wno-unknown-pragmas", "-ffp-contract=off",
         "-DCUDA_HOST", "-I" + str(HOST / "include"), "-I" + str(HOST),
         *("-iquote" + str(SRC / d) for d in
           ("engine/cuda", "engine", "engine/model", "engine/tune",
            "daemon/base"))]
C_FOLDERS = ["-iquote" + str(SRC / d) for d in
             ("daemon/base", "engine/model")]
# What the module has of the engine.
MODULE_C = ("daemon/base/bytes.c", "engine/model/dtype.c",
            "engine/model/quant.c", "engine/model/tensors.c")
MODES = {
    "plain": [],
    "asan": ["-fsanitize=address,undefined",
             "-fno-sanitize-recover=undefined"],
    "tsan": ["-fsanitize=thread"],
}
ENV = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0",
       "TSAN_OPTIONS": "exitcode=66", "LC_ALL": "C"}
SEEDS = [str(n) for n in range(1, 21)]


def tool(*args):
    """Run a compiler without a word from it."""
    r = subprocess.run([str(a) for a in args], text=True, timeout=900,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (r.returncode, r.stdout) == (0, ""), r.stdout


class Programs:
    """programs: {name: [source, ...]}.  Each is built in each of modes into
    folder; self[name, mode] is its path.  A source that several programs have
    is compiled once a mode, to self.made[source, mode].  With other Programs,
    what these have made is taken instead of built."""

    def __init__(self, folder, programs, modes=tuple(MODES), other=None):
        self.folder = pathlib.Path(folder)
        self.jobs = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2)
        # The parts are the same in all modes: they find the sanitizers.
        parts = [] if other else [
            self.jobs.submit(self.compile, HOST / (p + ".cpp"), p, [])
            for p in PARTS]
        self.made = dict(other.made) if other else {}
        jobs = {}
        for mode in modes:
            for source in {s: 0 for own in programs.values() for s in own}:
                if (source, mode) not in self.made:
                    jobs[source, mode] = self.jobs.submit(
                        self.compile, source, "%s-%s-%d" % (
                            source.stem, mode, len(jobs)), MODES[mode])
        self.objects = other.objects if other else [f.result() for f in parts]
        self.made.update((key, job.result()) for key, job in jobs.items())
        for name, sources in programs.items():
            for mode in modes:
                tool(CXX, *MODES[mode],
                     *(self.made[s, mode] for s in sources), *self.objects,
                     "-o", self[name, mode])

    def compile(self, source, name, flags):
        out = self.folder / (name + ".o")
        if source.suffix == ".c":   # of the engine
            tool(CC, "-O1", "-g", "-fPIC", "-D_GNU_SOURCE", *C_FOLDERS, *flags,
                 "-c", source, "-o", out)
        else:
            tool(CXX, *FLAGS, '-DCHATD_VERSION="test"', *flags, "-x", "c++",
                 "-c", source, "-o", out)
        return out

    def __getitem__(self, key):
        return self.folder / "-".join(key)


def module(folder, other=None, changed=None):
    """Build the backend's module on the stand-in as folder/chatd-cuda.so, for
    CHATD_MODULES=folder.  With the folder of another one, its objects are
    taken but for that of the source changed."""
    build_module(folder, "chatd-cuda.so", "backend_module",
                 [*sorted(CUDA.glob("*.cu")), *(SRC / p for p in MODULE_C)],
                 other, changed)


def tune_module(folder, other=None, changed=None):
    """The same for the trainer's module, folder/chatd-tune-cuda.so."""
    build_module(folder, "chatd-tune-cuda.so", "tune_module",
                 [TUNE / "gpu.cu", HOST / "blas.cpp"], other, changed)


def build_module(folder, name, symbol, sources, other, changed):
    """Link sources and the stand-in to a module that exports symbol."""
    folder = pathlib.Path(folder)
    version = re.search(r'PACKAGE_VERSION "([^"]+)"',
                        (BUILD / "config.h").read_text())[1]
    (folder / "version.h").write_text('#define CHATD_VERSION "%s"\n'
                                      % version)
    (folder / "exports").write_text("{ global: %s; local: *; };\n" % symbol)
    flags = ["-O2", "-fPIC", "-include", str(folder / "version.h")]
    cxx = [CXX, *FLAGS, *flags, "-x", "c++"]
    c = [CC, *flags, *C_FOLDERS]
    sources = [*sources, *(HOST / (p + ".cpp")
                           for p in (*PARTS, "module_env"))]
    sources = [(c if p.suffix == ".c" else cxx, p) for p in sources]
    objects = [(other or folder) / (s.name + ".o") for _, s in sources]
    if other:
        at = [s.name for _, s in sources].index(changed.name)
        objects[at] = folder / (changed.name + ".o")
        sources, build = [(cxx, changed)], [objects[at]]
    else:
        build = objects
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as jobs:
        done = [jobs.submit(tool, *how, "-c", source, "-o", out)
                for (how, source), out in zip(sources, build)]
        for job in done:
            job.result()
    tool(CXX, "-shared", *objects,
         "-Wl,--version-script=" + str(folder / "exports"), "-Wl,-z,defs",
         "-o", folder / name)


def run(program, *args, order="forward", **env):
    """(status, output) of a program in this order of threads."""
    r = subprocess.run([str(program), *args], text=True, timeout=900,
                       errors="replace", env={**ENV, "SIMT_ORDER": order,
                                              **env},
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # Without a switch of our own for this processor, ASan has a word of warning.
    out = [line for line in r.stdout.splitlines(True)
           if "support makecontext/swapcontext" not in line]
    return r.returncode, "".join(out)


def passes(program, order):
    """All checks of a kernel's test program pass, and there are many."""
    status, out = run(program, order=order)
    assert status == 0, out
    assert re.search(r"^[1-9]\d{3,} checks, 0 failures$", out, re.M), out


def registers(source, arch, folder):
    """Compile kernels for a GPU without a warning: {kernel: (registers,
    bytes of stack and spills)}."""
    r = subprocess.run(
        [NVCC, "-std=c++17", "-O2", "-arch=" + arch, "-cubin", "-Xptxas", "-v",
         "-Xcompiler", "-Wall,-Wextra", "-I" + str(CUDA), "-o",
         str(pathlib.Path(folder) / (arch + ".cubin")), str(source)],
        text=True, timeout=1200, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert r.returncode == 0 and "arning" not in r.stdout, r.stdout
    found = re.findall(
        r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, "
        r"(\d+) bytes spill stores, (\d+) bytes spill loads.*?"
        r"Used (\d+) registers", r.stdout, re.S)
    return {name: (int(used), int(stack) + int(stores) + int(loads))
            for name, stack, stores, loads, used in found}

