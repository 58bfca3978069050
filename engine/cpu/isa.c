/*
 * Which variants of the inner loops this machine can run.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "kernels.h"
#include "xmalloc.h"

/* Any machine. */
static int
isa_always(void)
{
	return (1);
}

#ifdef CPU_X86
/* AVX2 and FMA, and an operating system that keeps their registers. */
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

/* Best first. */
static const struct {
	const struct kernels	*kernels;
	int			(*there)(void);
} isa_variants[] = {
#ifdef CPU_X86
	{ &kernels_avx512, isa_has_avx512 },
	{ &kernels_avx2, isa_has_avx2 },
#endif
	{ &kernels_scalar, isa_always }
};

/* Choose one. */
const struct kernels *
kernels_find(const char *isa)
{
	size_t	 i;

	for (i = 0; i < nitems(isa_variants); i++)
		if (isa_variants[i].there() && (strcmp(isa, "auto") == 0 ||
		    strcmp(isa, isa_variants[i].kernels->name) == 0))
			return (isa_variants[i].kernels);
	return (NULL);
}

/* "avx512, avx2, scalar", as far as they are there. */
void
kernels_list(char *buf, size_t size)
{
	size_t	 i, at = 0;

	buf[0] = '\0';
	for (i = 0; i < nitems(isa_variants) && at < size; i++)
		if (isa_variants[i].there())
			at += (size_t)snprintf(buf + at, size - at, "%s%s",
			    at == 0 ? "" : ", ",
			    isa_variants[i].kernels->name);
}
