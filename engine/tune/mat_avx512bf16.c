/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the trainer for AVX-512 with products of bf16.
 */
#include "vec_avx512.h"
#include "mat.h"

#define MAT_KIND	mat_avx512bf16
#define MAT_NAME	"avx512bf16"
#include "mat_pack_bf16.h"

#define BLOCK_ROWS	8	/* rows that are summed in registers */

/* Nothing to prepare. */
static void
mat_enter(void)
{
}

/* Add the products of a block of 32 columns: s[i] is 32 columns of row i; x has
 * BLOCK_ROWS rows of a tile of A, y two tiles of B. */
static inline __attribute__((always_inline)) void
mat_dot_block(__m512 s[BLOCK_ROWS][2], const char *x, const char *y)
{
	__m512bh	 u, v[2];
	int32_t		 pair;
	int		 i, p;

	for (p = 0; p < 16; p++, x += 4, y += 64) {
		v[0] = (__m512bh)_mm512_load_si512(y);
		v[1] = (__m512bh)_mm512_load_si512(y + 1024);
#pragma GCC unroll 8
		for (i = 0; i < BLOCK_ROWS; i++) {
			memcpy(&pair, x + 64 * i, sizeof pair);
			u = (__m512bh)_mm512_set1_epi32(pair);
			s[i][0] = _mm512_dpbf16_ps(s[i][0], u, v[0]);
			s[i][1] = _mm512_dpbf16_ps(s[i][1], u, v[1]);
		}
	}
}

/* A block of 32 x 32. */
static void
mat_block(const void *a, const void *b, int blocks, float *c, ptrdiff_t ldc,
    int add)
{
	__m512		 s[BLOCK_ROWS][2];
	const char	*x;
	float		*to;
	int		 r, i, k;

	for (r = 0; r < MAT_PANEL; r += BLOCK_ROWS) {
		x = (const char *)a + 64 * r;
		to = c + r * ldc;
#pragma GCC unroll 8
		for (i = 0; i < BLOCK_ROWS; i++) {
			s[i][0] = add ? _mm512_loadu_ps(to + i * ldc) :
			    _mm512_setzero_ps();
			s[i][1] = add ? _mm512_loadu_ps(to + i * ldc + 16) :
			    _mm512_setzero_ps();
		}
		for (k = 0; k < blocks; k++)
			mat_dot_block(s, x + 2048 * k,
			    (const char *)b + 2048 * k);
#pragma GCC unroll 8
		for (i = 0; i < BLOCK_ROWS; i++) {
			_mm512_storeu_ps(to + i * ldc, s[i][0]);
			_mm512_storeu_ps(to + i * ldc + 16, s[i][1]);
		}
	}
}

#include "mat_body.h"
