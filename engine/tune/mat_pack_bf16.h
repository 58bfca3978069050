/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of mat_amx.c and mat_avx512bf16.c: how operands are packed in bf16.
 * A panel of A has, for each block of 32 columns, two tiles of 16 rows and 32
 * columns.  A panel of B has two tiles of 16 pairs of columns and 16 rows, as
 * the second operands of TDPBF16PS and VDPBF16PS are.
 */
#ifndef TUNE_MAT_PACK_BF16_H
#define TUNE_MAT_PACK_BF16_H

#include "mat.h"
#include "mat_turn.h"

#include <immintrin.h>
#include <string.h>

#define MAT_NARROW
#define MAT_ELEM	sizeof(uint16_t)
#define PACK_LANES	32	/* bf16 in a row of a tile */

/* v[i] = 32 columns of row i, for up to 16 rows; columns lie side by side. */
static inline __attribute__((always_inline)) void
mat_rows16(__m512i v[16], const float *x, ptrdiff_t rs, int rows, int k)
{
	__m512	 a, b;
	int	 i;

	if (rows >= 16 && k >= PACK_LANES) {
#pragma GCC unroll 16
		for (i = 0; i < 16; i++) {
			a = _mm512_loadu_ps(x + i * rs);
			b = _mm512_loadu_ps(x + i * rs + 16);
			v[i] = (__m512i)_mm512_cvtne2ps_pbh(b, a);
		}
		return;
	}
	for (i = 0; i < 16; i++) {
		v[i] = _mm512_setzero_si512();
		if (i >= rows)
			continue;
		a = _mm512_maskz_loadu_ps(mat_mask(k), x + i * rs);
		b = _mm512_maskz_loadu_ps(mat_mask(k - 16), x + i * rs + 16);
		v[i] = (__m512i)_mm512_cvtne2ps_pbh(b, a);
	}
}

/* v[p] = 16 rows of the columns 2p and 2p + 1, in pairs; rows lie side by
 * side. */
static inline __attribute__((always_inline)) void
mat_cols16(__m512i v[16], const float *x, ptrdiff_t cs, int rows, int k)
{
	const __mmask16	 m = mat_mask(rows);
	__m512i		 a, b;
	int		 p;

#pragma GCC unroll 16
	for (p = 0; p < 16; p++) {
		a = b = _mm512_setzero_si512();
		if (2 * p < k)
			a = _mm512_cvtepu16_epi32((__m256i)
			    _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m,
			    x + 2 * p * cs)));
		if (2 * p + 1 < k)
			b = _mm512_cvtepu16_epi32((__m256i)
			    _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m,
			    x + (2 * p + 1) * cs)));
		v[p] = _mm512_or_si512(a, _mm512_slli_epi32(b, 16));
	}
}

/* Pack tiles of rows (A), or of pairs of columns (B: pairs is 1). */
static inline __attribute__((always_inline)) void
mat_pack(char *out, const float *x, ptrdiff_t rs, ptrdiff_t cs, int rows,
    int k, int pairs)
{
	__m512i		 v[16];
	const float	*from;
	int		 r, j, i;

	for (r = 0; r < MAT_UP(rows); r += MAT_PANEL)
		for (j = 0; j < MAT_UP(k); j += PACK_LANES)
			for (i = r; i < r + MAT_PANEL; i += 16) {
				from = x + i * rs + j * cs;
				if (i >= rows)
					memset(v, 0, sizeof v);
				else if (cs == 1)
					mat_rows16(v, from, rs, rows - i,
					    k - j);
				else
					mat_cols16(v, from, cs, rows - i,
					    k - j);
				if (i < rows && (cs == 1) == (pairs == 1))
					mat_turn16(v);
#pragma GCC unroll 16
				for (int t = 0; t < 16; t++)
					_mm512_store_si512(out + 64 * t,
					    v[t]);
				out += sizeof v;
			}
}

/* Pack A. */
static void
mat_pack_a(void *out, const float *x, ptrdiff_t rs, ptrdiff_t cs, int rows,
    int k)
{
	mat_pack(out, x, rs, cs, rows, k, 0);
}

/* Pack B. */
static void
mat_pack_b(void *out, const float *x, ptrdiff_t rs, ptrdiff_t cs, int rows,
    int k)
{
	mat_pack(out, x, rs, cs, rows, k, 1);
}

#endif
