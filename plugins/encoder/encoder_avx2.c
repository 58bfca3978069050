/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loops for AVX2.  vpmaddubsw multiplies bytes and adds two products
 * in 16 bits; the weights are such that four of them fit (ENCODER_GROUP_MAX),
 * so two results are added before they are widened to 32 bits.
 */
#include "encoder_kernels.h"

#include <immintrin.h>
#include <string.h>

#include "encoder_lanes.h"

#define BODY_NAME	encoder_avx2
#define BODY_ISA	"avx2"
#define AVX2_ROWS	4

/* Four bytes of a row, in all lanes. */
static inline __attribute__((always_inline)) __m256i
avx2_four(const uint8_t *p)
{
	int32_t	 v;

	memcpy(&v, p, sizeof v);
	return (_mm256_set1_epi32(v));
}

/* Eight sums as floats, with their scales. */
static inline __attribute__((always_inline)) void
avx2_finish(__m256i sum, int32_t zero, float scale,
    const struct encoder_matrix *m, uint32_t j, float *out)
{
	__m256	 v;

	sum = _mm256_sub_epi32(sum, _mm256_mullo_epi32(
	    _mm256_set1_epi32(zero),
	    _mm256_loadu_si256((const __m256i *)(m->sums + j))));
	v = _mm256_mul_ps(_mm256_set1_ps(scale),
	    _mm256_loadu_ps(m->scale + j));
	v = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), v);
	_mm256_storeu_ps(out, _mm256_add_ps(v, _mm256_loadu_ps(m->bias + j)));
}

/* 16 outputs from j on, for n rows (1 to AVX2_ROWS). */
static inline __attribute__((always_inline)) void
avx2_tile(const struct encoder_matrix *m, uint32_t j, const uint8_t *q8,
    const float *scale, const int32_t *zero, int n, float *out, size_t ld)
{
	const __m256i	*w = (const __m256i *)(m->w + (size_t)j * m->k);
	const __m256i	 ones = _mm256_set1_epi16(1);
	__m256i		 sum[AVX2_ROWS][2], a, b, s0, s1;
	size_t		 k;
	int		 r;

	UNROLL
	for (r = 0; r < n; r++)
		sum[r][0] = sum[r][1] = _mm256_setzero_si256();
	for (k = 0; k < m->k; k += 8, w += 4) {
		UNROLL
		for (r = 0; r < n; r++) {
			a = avx2_four(q8 + (size_t)r * m->k + k);
			b = avx2_four(q8 + (size_t)r * m->k + k + 4);
			s0 = _mm256_add_epi16(_mm256_maddubs_epi16(a, w[0]),
			    _mm256_maddubs_epi16(b, w[2]));
			s1 = _mm256_add_epi16(_mm256_maddubs_epi16(a, w[1]),
			    _mm256_maddubs_epi16(b, w[3]));
			sum[r][0] = _mm256_add_epi32(sum[r][0],
			    _mm256_madd_epi16(s0, ones));
			sum[r][1] = _mm256_add_epi32(sum[r][1],
			    _mm256_madd_epi16(s1, ones));
		}
	}
	UNROLL
	for (r = 0; r < n; r++) {
		avx2_finish(sum[r][0], zero[r], scale[r], m, j,
		    out + (size_t)r * ld);
		avx2_finish(sum[r][1], zero[r], scale[r], m, j + 8,
		    out + (size_t)r * ld + 8);
	}
}

/* See encoder_kernels.h. */
static void
body_gemm(const struct encoder_matrix *m, uint32_t from, uint32_t to,
    const uint8_t *q8, const float *scale, const int32_t *zero, size_t rows,
    float *out, size_t ld)
{
	size_t		 t;
	uint32_t	 j;

	for (j = from; j < to; j += 16, out += 16) {
		for (t = 0; t + AVX2_ROWS <= rows; t += AVX2_ROWS)
			avx2_tile(m, j, q8 + t * m->k, scale + t, zero + t,
			    AVX2_ROWS, out + t * ld, ld);
		for (; t < rows; t++)
			avx2_tile(m, j, q8 + t * m->k, scale + t, zero + t, 1,
			    out + t * ld, ld);
	}
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
