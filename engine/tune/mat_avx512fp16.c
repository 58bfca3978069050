/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the trainer for AVX-512 with products of fp16.
 *
 * fp16 has more digits than bf16, but a small range: so a panel is multiplied
 * by a power of 2 that brings its largest element to FP16_TOP, and the inverse
 * of that power is kept before its elements.  The products of a block of
 * columns are added in fp16, where they can't overflow (2 * FP16_TOP + 5 bits
 * are at most 15); all further sums are fp32.  Elements smaller than the
 * largest by 2^-29 or more become 0.
 */
#include "vec_avx512.h"
#include "mat.h"
#include "mat_turn.h"

#include <math.h>
#include <string.h>

#define MAT_KIND	mat_avx512fp16
#define MAT_NAME	"avx512fp16"
#define MAT_NARROW
#define MAT_ELEM	sizeof(_Float16)
#define MAT_HEAD	64	/* bytes before the elements of a panel */

#define FP16_TOP	5	/* elements are less than 2^FP16_TOP */
#define FP16_NEAR	8	/* blocks of columns: 16 KiB of a panel */
#define FP16_SHIFT	60	/* the largest power of 2, either way */
#define FP16_AHEAD	24	/* columns that are fetched early */
#define FP16_ROWS	16	/* rows that are summed in registers */
#define FP16_BLOCK	(MAT_PANEL * MAT_PANEL)

/* Nothing to prepare. */
static void
mat_enter(void)
{
}

/* The largest magnitude of n lines of m floats that lie side by side. */
static float
mat_largest(const float *x, ptrdiff_t ld, int n, int m)
{
	__m512		 top[4] = { _mm512_setzero_ps(), _mm512_setzero_ps(),
			    _mm512_setzero_ps(), _mm512_setzero_ps() };
	const float	*line;
	int		 i, j, t;

	for (i = 0; i < n; i += 2)
		for (j = 0; j < m; j += 32)
#pragma GCC unroll 4
			for (t = 0; t < 4; t++) {
				line = x + (i + t / 2) * ld + j + t % 2 * 16;
				top[t] = _mm512_max_ps(top[t], _mm512_abs_ps(
				    _mm512_maskz_loadu_ps(i + t / 2 < n ?
				    mat_mask(m - j - t % 2 * 16) : 0,
				    line)));
			}
	return (_mm512_reduce_max_ps(_mm512_max_ps(
	    _mm512_max_ps(top[0], top[1]), _mm512_max_ps(top[2], top[3]))));
}

/* The power of 2 for a panel whose largest magnitude is top. */
static float
mat_power(float top)
{
	int	 e;

	if (!(top > 0.0f) || isinf(top))
		return (1.0f);
	(void)frexpf(top, &e);		/* top < 2^e */
	e = FP16_TOP - e;
	return (ldexpf(1.0f, e > FP16_SHIFT ? FP16_SHIFT :
	    e < -FP16_SHIFT ? -FP16_SHIFT : e));
}

/* Sixteen floats times f, as fp16 in the lower halves of lanes. */
static inline __attribute__((always_inline)) __m512i
mat_half(const float *x, int n, __m512 f)
{
	__m512	 v = _mm512_maskz_loadu_ps(mat_mask(n), x);

	return (_mm512_cvtepu16_epi32((__m256i)_mm512_cvtxps_ph(
	    _mm512_mul_ps(v, f))));
}

/* Sixteen columns of a panel whose columns lie side by side: row r and row
 * r + 16 are a pair of lane r, until the last step brings them in order. */
static inline __attribute__((always_inline)) void
mat_pack_rows(char *out, const float *x, ptrdiff_t rs, int rows, int k,
    __m512 f)
{
	static const uint16_t	 order[32] __attribute__((aligned(64))) = {
		0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
		1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
	};
	__m512i			 v[16], high;
	int			 i;

#pragma GCC unroll 16
	for (i = 0; i < 16; i++) {
		v[i] = i < rows ? mat_half(x + i * rs, k, f) :
		    _mm512_setzero_si512();
		high = i + 16 < rows ? mat_half(x + (i + 16) * rs, k, f) :
		    _mm512_setzero_si512();
		v[i] = _mm512_or_si512(v[i], _mm512_slli_epi32(high, 16));
	}
	mat_turn16(v);
#pragma GCC unroll 16
	for (i = 0; i < 16; i++)
		_mm512_store_si512(out + 64 * i, _mm512_permutexvar_epi16(
		    _mm512_load_si512(order), v[i]));
}

/* One column of a panel whose rows lie side by side. */
static inline __attribute__((always_inline)) void
mat_pack_column(char *out, const float *x, int rows, __m512 f)
{
	__m512	 a = _mm512_maskz_loadu_ps(mat_mask(rows), x);
	__m512	 b = _mm512_maskz_loadu_ps(mat_mask(rows - 16), x + 16);

	_mm256_store_si256((__m256i *)out,
	    (__m256i)_mm512_cvtxps_ph(_mm512_mul_ps(a, f)));
	_mm256_store_si256((__m256i *)(out + 32),
	    (__m256i)_mm512_cvtxps_ph(_mm512_mul_ps(b, f)));
}

/* One panel: its head, and for each column its 32 rows. */
static void
mat_pack_panel(char *out, const float *x, ptrdiff_t rs, ptrdiff_t cs,
    int rows, int k)
{
	float	 p = mat_power(cs == 1 ? mat_largest(x, rs, rows, k) :
		    mat_largest(x, cs, k, rows)), inverse = 1.0f / p;
	__m512	 f = _mm512_set1_ps(p);
	int	 j;

	memcpy(out, &inverse, sizeof inverse);
	out += MAT_HEAD;
	if (cs == 1) {
		for (j = 0; j < MAT_UP(k); j += 16)
			mat_pack_rows(out + 64 * j, x + j, rs, rows, k - j,
			    f);
		return;
	}
	for (j = 0; j < k; j++)
		mat_pack_column(out + 64 * j, x + j * cs, rows, f);
	memset(out + 64 * k, 0, (size_t)(MAT_UP(k) - k) * 64);
}

/* Pack panels. */
static void
mat_pack(void *out, const float *x, ptrdiff_t rs, ptrdiff_t cs, int rows,
    int k)
{
	char	*o = out;
	int	 r;

	for (r = 0; r < rows; r += MAT_PANEL) {
		mat_pack_panel(o, x + r * rs, rs, cs,
		    rows - r < MAT_PANEL ? rows - r : MAT_PANEL, k);
		o += mat_bytes(&MAT_KIND, MAT_PANEL, k);
	}
}

/* s = the products of a block of columns, of FP16_ROWS rows. */
static inline __attribute__((always_inline)) void
mat_run(__m512h s[FP16_ROWS], const _Float16 *a, const _Float16 *b)
{
	__m512h	 y;
	int	 i, k;

#pragma GCC unroll 16
	for (i = 0; i < FP16_ROWS; i++)
		s[i] = _mm512_setzero_ph();
	for (k = 0; k < MAT_PANEL; k++, a += MAT_PANEL, b += MAT_PANEL) {
		y = _mm512_load_ph(b);
		__builtin_prefetch(b + FP16_AHEAD * MAT_PANEL);
#pragma GCC unroll 16
		for (i = 0; i < FP16_ROWS; i++)
			s[i] = _mm512_fmadd_ph(_mm512_set1_ph(a[i]), y, s[i]);
	}
}

/* c = c + s * f for a row. */
static inline __attribute__((always_inline)) void
mat_widen(float *c, __m512h s, __m512 f)
{
	__m512	 lo = _mm512_cvtxph_ps(_mm512_castph512_ph256(s));
	__m512	 hi = _mm512_cvtxph_ps((__m256h)_mm512_extracti64x4_epi64(
		    (__m512i)s, 1));

	_mm512_storeu_ps(c, _mm512_fmadd_ps(lo, f, _mm512_loadu_ps(c)));
	_mm512_storeu_ps(c + 16, _mm512_fmadd_ps(hi, f,
	    _mm512_loadu_ps(c + 16)));
}

/* Add the products of some blocks of columns to FP16_ROWS rows of c. */
static void
mat_runs(const _Float16 *a, const _Float16 *b, int blocks, float *c,
    ptrdiff_t ldc, __m512 f)
{
	__m512h	 s[FP16_ROWS];
	int	 i;

	for (; blocks > 0; blocks--, a += FP16_BLOCK, b += FP16_BLOCK) {
		mat_run(s, a, b);
#pragma GCC unroll 16
		for (i = 0; i < FP16_ROWS; i++)
			mat_widen(c + i * ldc, s[i], f);
	}
}

/* A block of 32 x 32, over columns whose panels stay in the first cache. */
static void
mat_block(const void *a, const void *b, int blocks, float *c, ptrdiff_t ldc,
    int add)
{
	const _Float16	*x = (const void *)((const char *)a + MAT_HEAD);
	const _Float16	*y = (const void *)((const char *)b + MAT_HEAD);
	float		 p, q;
	__m512		 f;
	int		 i, k, n;

	memcpy(&p, a, sizeof p);
	memcpy(&q, b, sizeof q);
	f = _mm512_set1_ps(p * q);
	for (i = 0; i < MAT_PANEL; i++)
		if (add) {
			__builtin_prefetch(c + i * ldc, 1);
			__builtin_prefetch(c + i * ldc + 16, 1);
		} else {
			_mm512_storeu_ps(c + i * ldc, _mm512_setzero_ps());
			_mm512_storeu_ps(c + i * ldc + 16,
			    _mm512_setzero_ps());
		}
	for (k = 0; k < blocks; k += n, x += n * FP16_BLOCK,
	    y += n * FP16_BLOCK) {
		n = blocks - k < FP16_NEAR ? blocks - k : FP16_NEAR;
		for (i = 0; i < MAT_PANEL; i += FP16_ROWS)
			mat_runs(x + i, y, n, c + i * ldc, ldc, f);
	}
}

#define mat_pack_a	mat_pack
#define mat_pack_b	mat_pack
#include "mat_body.h"
