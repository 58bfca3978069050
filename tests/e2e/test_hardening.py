# SPDX-License-Identifier: Apache-2.0
"""The programs are built with the protections of compiler and linker."""
import os
import pathlib
import struct

import pytest

BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", ".")).resolve()
PROGRAMS = ["chatd", "chatd-engine", "chatd-store", "chatd-filter", "chatctl",
            "chatd-modtrain", "chatd-tune"]
FILES = PROGRAMS + ["rules.so", "libchat.so"]

with open(BUILD / "Makefile", encoding="utf-8") as f:
    MAKEFILE = dict(line.rstrip("\n").split(" = ", 1) for line in f
                    if line.startswith(("HARDEN_", "PIE_", "SAN_CFLAGS"))
                    and " = " in line)
CFLAGS = MAKEFILE.get("HARDEN_CFLAGS", "")
LDFLAGS = MAKEFILE.get("HARDEN_LDFLAGS", "")

pytestmark = pytest.mark.skipif(not CFLAGS and not LDFLAGS,
                                reason="built with --disable-hardening")

ET_DYN = 3
PT_INTERP, PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO = \
    3, 2, 0x6474e551, 0x6474e552
DT_NULL, DT_STRTAB, DT_STRSZ, DT_TEXTREL, DT_FLAGS, DT_FLAGS_1 = \
    0, 5, 10, 22, 30, 0x6ffffffb
DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 8, 1, 0x08000000
PF_X, PF_W = 1, 2


class Elf:
    """Program headers, dynamic section and dynamic strings of a file."""

    def __init__(self, path):
        self.data = path.read_bytes()
        if self.data[:6] != b"\x7fELF\x02\x01":
            pytest.skip("not a 64-bit little-endian ELF file")
        self.type, = struct.unpack_from("<H", self.data, 16)
        start, = struct.unpack_from("<Q", self.data, 32)
        size, count = struct.unpack_from("<HH", self.data, 54)
        self.segments = [struct.unpack_from("<IIQQQQQQ", self.data,
                                            start + i * size)
                         for i in range(count)]
        self.dynamic = dict(self.read_dynamic())
        at = self.offset(self.dynamic[DT_STRTAB])
        self.strings = self.data[at:at + self.dynamic[DT_STRSZ]].split(b"\0")

    def segment(self, kind):
        return next((s for s in self.segments if s[0] == kind), None)

    def offset(self, address):
        for kind, _, offset, vaddr, _, size, _, _ in self.segments:
            if kind == 1 and vaddr <= address < vaddr + size:
                return offset + address - vaddr
        raise ValueError(address)

    def read_dynamic(self):
        _, _, offset, _, _, size, _, _ = self.segment(PT_DYNAMIC)
        for at in range(offset, offset + size, 16):
            tag, value = struct.unpack_from("<qQ", self.data, at)
            if tag == DT_NULL:
                return
            yield tag, value


@pytest.fixture(params=FILES)
def elf(request):
    """A file that libtool has linked, not the script that starts it."""
    for path in BUILD / ".libs" / request.param, BUILD / request.param:
        if path.exists() and path.read_bytes()[:4] == b"\x7fELF":
            return Elf(path)
    return pytest.fail("%s is not built" % request.param)


def test_it_is_loaded_at_any_address(elf):
    assert elf.type == ET_DYN
    if elf.segment(PT_INTERP) is not None:
        assert elf.dynamic.get(DT_FLAGS_1, 0) & DF_1_PIE
    assert DT_TEXTREL not in elf.dynamic


@pytest.mark.skipif("relro" not in LDFLAGS, reason="unknown to the linker")
def test_tables_of_addresses_are_read_only(elf):
    assert elf.segment(PT_GNU_RELRO) is not None


@pytest.mark.skipif("now" not in LDFLAGS, reason="unknown to the linker")
def test_symbols_are_bound_at_the_start(elf):
    assert elf.dynamic.get(DT_FLAGS, 0) & DF_BIND_NOW or \
        elf.dynamic.get(DT_FLAGS_1, 0) & DF_1_NOW


def test_no_memory_is_writable_and_executable(elf):
    assert elf.segment(PT_GNU_STACK)[1] & PF_X == 0
    assert not any(s[0] == 1 and s[1] & PF_X and s[1] & PF_W
                   for s in elf.segments)


@pytest.mark.skipif("stack-protector" not in CFLAGS,
                    reason="unknown to the compiler")
def test_the_stack_has_canaries(elf):
    assert b"__stack_chk_fail" in elf.strings


@pytest.mark.skipif("FORTIFY" not in CFLAGS,
                    reason="not with a sanitizer or without an optimizer")
def test_calls_of_the_c_library_are_checked(elf):
    assert any(s.startswith(b"__") and s.endswith(b"_chk")
               for s in elf.strings)
