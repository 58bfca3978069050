/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which variants of the inner loops this machine can run.
 */
#include <config.h>

#include "isa.h"

#include <stdio.h>
#include <string.h>

#ifdef CPU_AMX
#include <sys/syscall.h>

#include <cpuid.h>
#include <unistd.h>
#endif

#include "log.h"
#include "selftest.h"
#include "xmalloc.h"

/* Any machine. */
static int
isa_always(void)
{
	return (1);
}

#ifdef CPU_X86
/* AVX2 and FMA, and an operating system that saves their registers. */
static int
isa_has_avx2(void)
{
	return (__builtin_cpu_supports("avx2") &&
	    __builtin_cpu_supports("fma"));
}

/* AVX-512 with the products of int8. */
static int
isa_has_avx512(void)
{
	return (isa_has_avx2() && __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512vnni"));
}
#endif

#ifdef CPU_AMX
/* arch_prctl since Linux 5.16: may this process use the tile registers? The
 * kernel needs more memory to save them. */
#define ISA_REQ_XCOMP_PERM	0x1023
#define ISA_XTILEDATA		18

/* Does the kernel save the tile registers? XCR0, bits 17 and 18. */
static int
isa_keeps_tiles(void)
{
	uint32_t	 a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || (c >> 27 & 1) == 0)
		return (0);
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return ((a >> 17 & 3) == 3);
}

/* AVX-512, and tiles with products of bf16 and int8 that this process is
 * allowed to use. It asks before there are threads, so that the permission is
 * for all threads. */
static int
isa_has_amx(void)
{
	const uint32_t	 want = 1 << 22 | 1 << 24 | 1 << 25;
	uint32_t	 a, b, c, d;

	return (isa_has_avx512() &&
	    __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & want) == want &&
	    isa_keeps_tiles() && syscall(SYS_arch_prctl, ISA_REQ_XCOMP_PERM,
	    ISA_XTILEDATA) == 0);
}
#endif

/* Best first; the last is for comparison only. */
static const struct isa_variant isa_variants[] = {
#ifdef CPU_AMX
	{ &kernels_amx, isa_has_amx, &kernels_avx512 },
#endif
#ifdef CPU_X86
	{ &kernels_avx512, isa_has_avx512, NULL },
	{ &kernels_avx2, isa_has_avx2, NULL },
#endif
	{ &kernels_scalar, isa_always, NULL },
	{ &kernels_reference, isa_always, NULL }
};

/* Does it pass its self-test, if it has one? */
static int
isa_agrees(const struct isa_variant *v)
{
	return (v->like == NULL || selftest_agree(v->kernels, v->like));
}

/* Choose one of n variants. */
const struct kernels *
isa_pick(const struct isa_variant *v, size_t n, const char *isa)
{
	for (; n > 0; v++, n--) {
		if ((strcmp(isa, "auto") != 0 &&
		    strcmp(isa, v->kernels->name) != 0) || !v->there())
			continue;
		if (isa_agrees(v))
			return (v->kernels);
		log_warnx("isa: %s gives other numbers than %s on this "
		    "processor, and is not used", v->kernels->name,
		    v->like->name);
	}
	return (NULL);
}

/* Choose one of the variants in this build. */
const struct kernels *
kernels_find(const char *isa)
{
	return (isa_pick(isa_variants, nitems(isa_variants), isa));
}

/* The variants that can be chosen: "amx, avx512, avx2, scalar, reference" or
 * fewer. */
void
kernels_list(char *buf, size_t size)
{
	size_t	 i, at = 0;

	buf[0] = '\0';
	for (i = 0; i < nitems(isa_variants) && at < size; i++)
		if (isa_variants[i].there() && isa_agrees(&isa_variants[i]))
			at += (size_t)snprintf(buf + at, size - at, "%s%s",
			    at == 0 ? "" : ", ",
			    isa_variants[i].kernels->name);
}
