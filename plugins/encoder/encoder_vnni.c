/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops for AVX-512 with VNNI: vpdpbusd multiplies bytes and adds
 * four products in 32 bits.
 */
#include "encoder_kernels.h"

#include <immintrin.h>
#include <string.h>

#include "encoder_lanes.h"

#define BODY_NAME	encoder_vnni
#define BODY_ISA	"avx512"
#define VNNI_ROWS	8

/* Four bytes of a row, in all lanes. */
static inline __attribute__((always_inline)) __m512i
vnni_four(const uint8_t *p)
{
	int32_t	 v;

	memcpy(&v, p, sizeof v);
	return (_mm512_set1_epi32(v));
}

/* "panels" times 16 outputs (1 or 2) from j on, for n rows (1 to VNNI_ROWS). */
static inline __attribute__((always_inline)) void
vnni_tile(const struct encoder_matrix *m, uint32_t j, int panels,
    const uint8_t *q8, const float *scale, const int32_t *zero, int n,
    float *out, size_t ld)
{
	const int8_t	*w = m->w + (size_t)j * m->k;
	__m512i		 sum[VNNI_ROWS][2], v[2], a;
	__m512		 f;
	size_t		 k;
	uint32_t	 at;
	int		 r, p;

	UNROLL
	for (r = 0; r < n; r++)
		UNROLL
		for (p = 0; p < panels; p++)
			sum[r][p] = _mm512_setzero_si512();
	for (k = 0; k < m->k; k += 4, w += 64) {
		UNROLL
		for (p = 0; p < panels; p++)
			v[p] = _mm512_loadu_si512(w + (size_t)p * 16 * m->k);
		UNROLL
		for (r = 0; r < n; r++) {
			a = vnni_four(q8 + (size_t)r * m->k + k);
			UNROLL
			for (p = 0; p < panels; p++)
				sum[r][p] = _mm512_dpbusd_epi32(sum[r][p], a,
				    v[p]);
		}
	}
	UNROLL
	for (r = 0; r < n; r++) {
		UNROLL
		for (p = 0; p < panels; p++) {
			at = j + (uint32_t)p * 16;
			a = _mm512_sub_epi32(sum[r][p], _mm512_mullo_epi32(
			    _mm512_set1_epi32(zero[r]),
			    _mm512_loadu_si512(m->sums + at)));
			f = _mm512_mul_ps(_mm512_set1_ps(scale[r]),
			    _mm512_loadu_ps(m->scale + at));
			f = _mm512_mul_ps(_mm512_cvtepi32_ps(a), f);
			_mm512_storeu_ps(out + (size_t)r * ld +
			    (size_t)p * 16, _mm512_add_ps(f,
			    _mm512_loadu_ps(m->bias + at)));
		}
	}
}

/* All rows of a tile. */
static inline __attribute__((always_inline)) void
vnni_rows(const struct encoder_matrix *m, uint32_t j, int panels,
    const uint8_t *q8, const float *scale, const int32_t *zero, size_t rows,
    float *out, size_t ld)
{
	size_t	 t;

	for (t = 0; t + VNNI_ROWS <= rows; t += VNNI_ROWS)
		vnni_tile(m, j, panels, q8 + t * m->k, scale + t, zero + t,
		    VNNI_ROWS, out + t * ld, ld);
	for (; t < rows; t++)
		vnni_tile(m, j, panels, q8 + t * m->k, scale + t, zero + t, 1,
		    out + t * ld, ld);
}

/* See encoder_kernels.h. */
static void
body_gemm(const struct encoder_matrix *m, uint32_t from, uint32_t to,
    const uint8_t *q8, const float *scale, const int32_t *zero, size_t rows,
    float *out, size_t ld)
{
	uint32_t	 j;

	for (j = from; j + 32 <= to; j += 32)
		vnni_rows(m, j, 2, q8, scale, zero, rows, out + (j - from),
		    ld);
	if (j < to)
		vnni_rows(m, j, 1, q8, scale, zero, rows, out + (j - from),
		    ld);
}

/* 16 integers, clamped to 0..255, as bytes. */
static inline __attribute__((always_inline)) void
body_bytes(v8i a, v8i b, uint8_t *out)
{
	__m256i	 s;

	s = _mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)a,
	    (__m256i)b), 0xd8);
	_mm_storeu_si128((__m128i *)out, _mm_packus_epi16(
	    _mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1)));
}

#include "encoder_body.h"
