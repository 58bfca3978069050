/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices on all threads, and which variant this machine runs.
 */
#include <config.h>

#include "mat.h"

#include <stdlib.h>
#include <string.h>

#ifdef CPU_AMX
#include <sys/syscall.h>

#include <unistd.h>
#endif
#ifdef CPU_X86
#include <cpuid.h>
#endif

#include "log.h"
#include "mat_device.h"
#include "pool.h"
#include "xmalloc.h"

#define MAT_GROUP	4	/* panels of A that share a panel of B */

/* One product, for the threads. */
struct mat_job {
	struct mat	*m;
	int		 M, N, K, k0, kn;	/* K is cut: k0, kn columns */
	struct mat_in	 a, b;
	void		*packed;	/* B, from column k0 on */
	float		*c;
	ptrdiff_t	 ldc;
	int		 add;
};

#ifdef CPU_AMX
/* Has the processor products of bf16? */
static int
mat_has_bf16(void)
{
	return (__builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512bf16"));
}

/* Does the kernel save tile registers, and let this process use them? */
static int
mat_has_amx(void)
{
	const uint32_t	 want = 1 << 22 | 1 << 24;
	uint32_t	 a, b, c, d;

	if (!mat_has_bf16() ||
	    !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & want) != want ||
	    !__get_cpuid(1, &a, &b, &c, &d) || (c >> 27 & 1) == 0)
		return (0);
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return ((a >> 17 & 3) == 3 &&
	    syscall(SYS_arch_prctl, 0x1023, 18) == 0);
}
#endif

#ifdef CPU_FP16
/* Has the processor products of fp16?  (CPUID 7.0: bit 23 of EDX, "Intel
 * Architecture Instruction Set Extensions", AVX512-FP16.) */
static int
mat_has_fp16(void)
{
	uint32_t	 a, b, c, d;

	return (__builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") &&
	    __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 23 & 1) != 0);
}
#endif

/* The variant named isa, or the best one. */
const struct mat_kind *
mat_find(const char *isa)
{
	int	 any = strcmp(isa, "auto") == 0;

#ifdef CPU_AMX
	if ((any || strcmp(isa, "amx") == 0) && mat_has_amx())
		return (&mat_amx);
#endif
#ifdef CPU_FP16
	if ((any || strcmp(isa, "avx512fp16") == 0) && mat_has_fp16())
		return (&mat_avx512fp16);
#endif
#ifdef CPU_AMX
	if ((any || strcmp(isa, "avx512bf16") == 0) && mat_has_bf16())
		return (&mat_avx512bf16);
#endif
#ifdef CPU_X86
	if ((any || strcmp(isa, "avx512") == 0) &&
	    __builtin_cpu_supports("avx512f"))
		return (&mat_avx512);
	if ((any || strcmp(isa, "avx2") == 0) &&
	    __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return (&mat_avx2);
#endif
	if (any || strcmp(isa, "scalar") == 0)
		return (&mat_scalar);
	return (NULL);
}

/* Memory for vectors. */
static void *
mat_room(size_t bytes)
{
	void	*p;

	if (posix_memalign(&p, 64, bytes > 0 ? bytes : 64) != 0)
		fatalx("no memory for %zu bytes", bytes);
	return (p);
}

/* Floats that are 0. */
float *
mat_floats(size_t n)
{
	float	*p = mat_room(n * sizeof *p);

	memset(p, 0, n * sizeof *p);
	return (p);
}

/* Room for a packed operand. */
void *
mat_packed(const struct mat_kind *kind, int rows, int k)
{
	return (mat_room(mat_bytes(kind, rows, k)));
}

/* Bytes of a packed operand. */
size_t
mat_bytes(const struct mat_kind *kind, int rows, int k)
{
	size_t	 heads = (size_t)MAT_UP(rows) / MAT_PANEL *
		    (((size_t)k + MAT_K - 1) / MAT_K);

	return ((size_t)MAT_UP(rows) * (size_t)MAT_UP(k) * kind->elem +
	    heads * kind->head);
}

/* Panel i. */
void *
mat_panel(const struct mat_kind *kind, const void *packed, int k, int i)
{
	return ((char *)packed + mat_bytes(kind, MAT_PANEL, k) * (size_t)i);
}

/* A part of a block. */
void
mat_part(const struct mat_kind *kind, const void *a, const void *b,
    int blocks, float *c, ptrdiff_t ldc, int rows, int cols, int add)
{
	float	 full[MAT_PANEL * MAT_PANEL] __attribute__((aligned(64)));
	int	 i, j;

	if (rows >= MAT_PANEL && cols >= MAT_PANEL) {
		kind->block(a, b, blocks, c, ldc, add);
		return;
	}
	kind->block(a, b, blocks, full, MAT_PANEL, 0);
	for (i = 0; i < rows && i < MAT_PANEL; i++)
		for (j = 0; j < cols && j < MAT_PANEL; j++)
			c[i * ldc + j] = full[i * MAT_PANEL + j] +
			    (add ? c[i * ldc + j] : 0);
}

/* Prepare. */
void
mat_init(struct mat *m, const struct mat_kind *kind, struct pool *pool)
{
	int	 i;

	memset(m, 0, sizeof *m);
	m->kind = kind;
	m->pool = pool;
	m->threads = pool_size(pool);
	m->a = xcalloc((size_t)m->threads, sizeof *m->a);
	m->a_size = mat_bytes(kind, MAT_PANEL * MAT_GROUP, MAT_K);
	for (i = 0; i < m->threads; i++)
		m->a[i] = mat_room(m->a_size);
}

/* Release. */
void
mat_clear(struct mat *m)
{
	int	 i;

	for (i = 0; i < m->threads; i++)
		free(m->a[i]);
	free(m->a);
	free(m->b);
	memset(m, 0, sizeof *m);
}

/* Pack one panel of B. */
static void
mat_pack_item(void *arg, int item, int thread)
{
	struct mat_job	*j = arg;
	int		 n = j->N - item * MAT_PANEL;

	(void)thread;
	j->m->kind->pack_b(mat_panel(j->m->kind, j->packed, j->kn, item),
	    j->b.x + item * MAT_PANEL * j->b.rs + j->k0 * j->b.cs,
	    j->b.rs, j->b.cs, n < MAT_PANEL ? n : MAT_PANEL, j->kn);
}

/* Multiply a group of panels of A with all of B. */
static void
mat_mul_item(void *arg, int item, int thread)
{
	struct mat_job		*j = arg;
	const struct mat_kind	*kind = j->m->kind;
	void			*a = j->m->a[thread];
	int			 m0 = item * MAT_GROUP * MAT_PANEL;
	int			 rows = j->M - m0, i, n, left;

	if (rows > MAT_GROUP * MAT_PANEL)
		rows = MAT_GROUP * MAT_PANEL;
	kind->enter();
	kind->pack_a(a, j->a.x + m0 * j->a.rs + j->k0 * j->a.cs, j->a.rs,
	    j->a.cs, rows, j->kn);
	for (n = 0; n < j->N; n += MAT_PANEL) {
		for (i = 0; i < rows; i += MAT_PANEL) {
			left = rows - i;
			mat_part(kind, mat_panel(kind, a, j->kn,
			    i / MAT_PANEL), mat_panel(kind, j->packed,
			    j->kn, n / MAT_PANEL), MAT_UP(j->kn) / MAT_PANEL,
			    j->c + (m0 + i) * j->ldc + n, j->ldc, left,
			    j->N - n, j->add || j->k0 > 0);
		}
	}
}

/* The part of a packed operand that begins with column k0, a multiple of
 * MAT_K. */
static void *
mat_from(const struct mat_job *j, const void *packed)
{
	return ((char *)(uintptr_t)packed + mat_bytes(j->m->kind, j->N,
	    j->k0));
}

/* Pack B. */
void
mat_prepare(struct mat *m, int N, int K, struct mat_in b, void *packed)
{
	struct mat_job	 j = { .m = m, .N = N, .K = K, .b = b };

	if (m->device != NULL) {
		mat_device_prepare(m, N, K, b, packed);
		return;
	}
	for (; j.k0 < K; j.k0 += j.kn) {
		j.kn = K - j.k0 < MAT_K ? K - j.k0 : MAT_K;
		j.packed = mat_from(&j, packed);
		pool_run(m->pool, MAT_UP(N) / MAT_PANEL, mat_pack_item, &j);
	}
}

/* Multiply by a packed B. */
void
mat_mul_packed(struct mat *m, int M, int N, int K, struct mat_in a,
    const void *packed, float *c, ptrdiff_t ldc, int add)
{
	struct mat_job	 j = { .m = m, .M = M, .N = N, .K = K, .a = a,
			    .c = c, .ldc = ldc, .add = add };

	if (M <= 0)
		return;
	m->flops += 2.0 * M * N * K;
	if (m->device != NULL) {
		mat_device_mul_packed(m, M, N, K, a, packed, c, ldc, add);
		return;
	}
	for (; j.k0 < K; j.k0 += j.kn) {
		j.kn = K - j.k0 < MAT_K ? K - j.k0 : MAT_K;
		j.packed = mat_from(&j, packed);
		pool_run(m->pool, (MAT_UP(M) / MAT_PANEL + MAT_GROUP - 1) /
		    MAT_GROUP, mat_mul_item, &j);
	}
}

/* Multiply. */
void
mat_mul(struct mat *m, int M, int N, int K, struct mat_in a, struct mat_in b,
    float *c, ptrdiff_t ldc, int add)
{
	size_t	 need = mat_bytes(m->kind, N, K);

	if (M <= 0 || N <= 0 || K <= 0)
		return;
	if (m->device != NULL) {
		mat_device_mul(m, M, N, K, a, b, c, ldc, add);
		m->flops += 2.0 * M * N * K;
		return;
	}
	if (need > m->b_size) {
		free(m->b);
		m->b = mat_room(need);
		m->b_size = need;
	}
	mat_prepare(m, N, K, b, m->b);
	mat_mul_packed(m, M, N, K, a, m->b, c, ldc, add);
}

/* An operand to be packed. */
void *
mat_operand(struct mat *m, int rows, int k)
{
	return (m->device != NULL ? mat_device_operand() :
	    mat_packed(m->kind, rows, k));
}

/* Release one. */
void
mat_operand_free(struct mat *m, void *packed)
{
	if (m->device != NULL)
		mat_device_operand_free(m->device, packed);
	else
		free(packed);
}
