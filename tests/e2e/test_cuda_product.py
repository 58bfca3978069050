# SPDX-License-Identifier: Apache-2.0
"""Products of activations and weights on a GPU (engine/cuda/product.cu): right
values, the same bits for any number of rows, and weights that are read once.
The kernels run on the CPU; with nvcc, their registers are looked at too."""
import concurrent.futures
import re

import pytest

from cuda_host import (CUDA, CXX, FLAGS, HOST, NVCC, Programs, registers, run,
                       tool)

needs_gxx = pytest.mark.skipif(CXX is None, reason="there is no g++")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="there is no nvcc")
# The build itself fails if a kernel spills on any architecture.
ARCHS = ("sm_80", "sm_90")
TESTS = ("product_test.cpp", "product_case.cpp")


# A change that should be found, and by which group.
BROKEN = {
    "ranges are merged from the last to the first": (
        "product_narrow.h", "&sums[(w * N::PASS +",
        "&sums[(((tiles - 1) / per - w) * N::PASS +", "bits"),
    "a range of the wide kernel goes on in the next one": (
        "product_wide.h", "int		 left = per,",
        "int		 left = 2 * per,", "bits"),
    "no barrier before the sums are overwritten": (
        "product_narrow.h", "				st_shared(to, y);\n"
        "			}\n			SYNC_BLOCK();",
        "				st_shared(to, y);\n			}",
        "values"),
    "a unit is read before its copy has ended": (
        "product_wide.h", "cp_async_wait<W::STAGES - 2>();",
        "cp_async_wait<W::STAGES - 1>();", "values"),
    "weights are read twice": (
        "product_narrow.h", "		if (m < s.panels)",
        "		if (product_unit_load<E>(&u[m], s.w[m], s.scale[m]),"
        "\n		    m < s.panels)", "counts"),
}


def broken_object(folder, name):
    """product.cu with a change of BROKEN, compiled."""
    file, old, new, _ = BROKEN[name]
    for p in CUDA.glob("product*"):
        text = p.read_text(encoding="utf-8")
        if p.name == file:
            assert text.count(old) == 1, name
            text = text.replace(old, new)
        (folder / p.name).write_text(text, encoding="utf-8")
    tool(CXX, *FLAGS, "-x", "c++", "-c", folder / "product.cu",
         "-o", folder / "product.o")
    return folder / "product.o"


@pytest.fixture(scope="module")
def broken_objects(tmp_path_factory):
    """{name: what will be its object}: they are made beside the programs."""
    pool = concurrent.futures.ThreadPoolExecutor(1)
    return {name: pool.submit(broken_object,
                              tmp_path_factory.mktemp("broken"), name)
            for name in BROKEN}


@pytest.fixture(scope="module")
def programs(tmp_path_factory, broken_objects):
    return Programs(tmp_path_factory.mktemp("product"), {
        "product": [*(HOST / n for n in TESTS), CUDA / "product.cu"]},
        modes=["plain"])


@needs_gxx
@pytest.mark.parametrize("group, order", [
    ("values", "forward"), ("values", "1"),
    ("bits", "forward"), ("bits", "reversed"), ("bits", "1")])
def test_in_every_order(programs, group, order):
    assert run(programs["product", "plain"], group, order=order) == (0, "")


@needs_gxx
def test_weights_are_read_once_by_few_instructions(programs):
    status, out = run(programs["product", "plain"], "counts")
    assert status == 0, out
    assert len(out.splitlines()) == 32, out


@needs_gxx
@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_kernel_is_found(programs, broken_objects, tmp_path, name):
    tool(CXX, *(programs.made[HOST / n, "plain"] for n in TESTS),
         broken_objects[name].result(), *programs.objects,
         "-o", tmp_path / "broken")
    for order in ("forward", "1", "2"):
        status, out = run(tmp_path / "broken", BROKEN[name][3], order=order)
        if status != 0:
            break
    assert status == 1 and "failures" in out, (status, out)


# ---- with a CUDA toolkit

def most_registers(arch, kernel, elem, *shape):
    """What a thread may have, so that as many blocks of 256 threads fit on a
    multiprocessor as the kernel's source says."""
    if arch == "sm_75" and elem == 1:   # bf16 without its mma
        return 255
    if kernel == "wide":
        panels, chain = shape
        return 128 if (panels, chain) == (4, 0) else 255
    M, NT = shape
    if NT == 8 or M == 3 or M * NT > 8 or (elem == 3 and M > 1 and M * NT == 8):
        return 255
    return 80 if M * NT <= 2 else 128


@needs_nvcc
def test_no_kernel_spills_and_all_have_few_registers(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(
            lambda a: registers(CUDA / "product.cu", a, tmp_path), ARCHS))
    for arch, kernels in zip(ARCHS, found):
        assert len(kernels) == 56, (arch, sorted(kernels))
        for name, (used, spilled) in kernels.items():
            kernel, elem, shape = re.match(
                r"_Z\d+product_(\w+?)IL9cuda_elem(\d)E(\w+?)EEv",
                name).groups()
            sizes = [int(n) for n in re.findall(r"L[ib](\d+)", shape)]
            what = (arch, kernel, elem, sizes, used)
            assert spilled == 0, what
            assert used <= most_registers(arch, kernel, int(elem),
                                          *sizes), what
