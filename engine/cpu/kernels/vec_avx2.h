/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct v16 as two AVX registers, with AVX2 and FMA.  The same operations
 * as vec_scalar.h, whose comments hold here.
 */
#ifndef CPU_VEC_H
#define CPU_VEC_H

#include <immintrin.h>
#include <stdint.h>

#define VEC_INLINE static inline __attribute__((always_inline))
#define VEC_ROWS	2

struct v16 {
	__m256	 lo, hi;
};

#define VEC2(f, a, b) ((struct v16){ f((a).lo, (b).lo), f((a).hi, (b).hi) })

VEC_INLINE struct v16
v16_set1(float x)
{
	__m256	 v = _mm256_set1_ps(x);

	return ((struct v16){ v, v });
}

VEC_INLINE struct v16
v16_load(const float *p)
{
	return ((struct v16){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) });
}

VEC_INLINE void
v16_store(float *p, struct v16 a)
{
	_mm256_storeu_ps(p, a.lo);
	_mm256_storeu_ps(p + 8, a.hi);
}

VEC_INLINE struct v16
v16_add(struct v16 a, struct v16 b)
{
	return (VEC2(_mm256_add_ps, a, b));
}

VEC_INLINE struct v16
v16_sub(struct v16 a, struct v16 b)
{
	return (VEC2(_mm256_sub_ps, a, b));
}

VEC_INLINE struct v16
v16_mul(struct v16 a, struct v16 b)
{
	return (VEC2(_mm256_mul_ps, a, b));
}

VEC_INLINE struct v16
v16_div(struct v16 a, struct v16 b)
{
	return (VEC2(_mm256_div_ps, a, b));
}

VEC_INLINE struct v16
v16_fma(struct v16 a, struct v16 b, struct v16 c)
{
	return ((struct v16){ _mm256_fmadd_ps(a.lo, b.lo, c.lo),
	    _mm256_fmadd_ps(a.hi, b.hi, c.hi) });
}

VEC_INLINE struct v16
v16_max(struct v16 a, struct v16 b)
{
	return (VEC2(_mm256_max_ps, a, b));
}

VEC_INLINE struct v16
v16_min(struct v16 a, struct v16 b)
{
	return (VEC2(_mm256_min_ps, a, b));
}

/* One half of v16_where_lt. */
VEC_INLINE __m256
v16_half_where_lt(__m256 a, __m256 b, __m256 x, __m256 y)
{
	return (_mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ)));
}

VEC_INLINE struct v16
v16_where_lt(struct v16 a, struct v16 b, struct v16 x, struct v16 y)
{
	return ((struct v16){ v16_half_where_lt(a.lo, b.lo, x.lo, y.lo),
	    v16_half_where_lt(a.hi, b.hi, x.hi, y.hi) });
}

/* One half of v16_scale. */
VEC_INLINE __m256
v16_half_scale(__m256 p, __m256 t)
{
	__m256i	 n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);

	return (_mm256_castsi256_ps(
	    _mm256_add_epi32(_mm256_castps_si256(p), n)));
}

VEC_INLINE struct v16
v16_scale(struct v16 p, struct v16 t)
{
	return (VEC2(v16_half_scale, p, t));
}

/* One half of v16_round_bf16. */
VEC_INLINE __m256
v16_half_round_bf16(__m256 x)
{
	__m256i	 a = _mm256_castps_si256(x), r, nan;

	nan = _mm256_cmpgt_epi32(
	    _mm256_and_si256(a, _mm256_set1_epi32(0x7fffffff)),
	    _mm256_set1_epi32(0x7f800000));
	r = _mm256_and_si256(_mm256_srli_epi32(a, 16), _mm256_set1_epi32(1));
	r = _mm256_add_epi32(r, _mm256_set1_epi32(0x7fff));
	r = _mm256_add_epi32(a, r);
	r = _mm256_blendv_epi8(r,
	    _mm256_or_si256(a, _mm256_set1_epi32(0x400000)), nan);
	return (_mm256_castsi256_ps(
	    _mm256_and_si256(r, _mm256_set1_epi32((int)0xffff0000))));
}

VEC_INLINE struct v16
v16_round_bf16(struct v16 x)
{
	return ((struct v16){ v16_half_round_bf16(x.lo),
	    v16_half_round_bf16(x.hi) });
}

VEC_INLINE void
v16_load_bf16(const uint16_t *p, struct v16 *first, struct v16 *second)
{
	__m256i	 a = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i	 b = _mm256_loadu_si256((const __m256i *)(const void *)
		    (p + 16));
	__m256i	 mask = _mm256_set1_epi32((int)0xffff0000);

	first->lo = _mm256_castsi256_ps(_mm256_slli_epi32(a, 16));
	first->hi = _mm256_castsi256_ps(_mm256_slli_epi32(b, 16));
	second->lo = _mm256_castsi256_ps(_mm256_and_si256(a, mask));
	second->hi = _mm256_castsi256_ps(_mm256_and_si256(b, mask));
}

/* One half of v16_load_q8. */
VEC_INLINE void
v16_half_load_q8(const int8_t *p, __m256 *first, __m256 *second)
{
	__m256i	 a = _mm256_cvtepi16_epi32(_mm_loadu_si128(
		    (const __m128i *)(const void *)p));

	*first = _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(a,
	    24), 24));
	*second = _mm256_cvtepi32_ps(_mm256_srai_epi32(a, 8));
}

VEC_INLINE void
v16_load_q8(const int8_t *p, struct v16 *first, struct v16 *second)
{
	v16_half_load_q8(p, &first->lo, &second->lo);
	v16_half_load_q8(p + 16, &first->hi, &second->hi);
}

VEC_INLINE void
v16_store_bf16(uint16_t *p, struct v16 a)
{
	__m256i	 b = _mm256_packus_epi32(
		    _mm256_srli_epi32(_mm256_castps_si256(a.lo), 16),
		    _mm256_srli_epi32(_mm256_castps_si256(a.hi), 16));

	_mm256_storeu_si256((__m256i *)(void *)p,
	    _mm256_permute4x64_epi64(b, 0xd8));
}

/* Every CPU with AVX2 and FMA has F16C. */
VEC_INLINE struct v16
v16_load_f16(const uint16_t *p)
{
	const __m128i	*h = (const __m128i *)(const void *)p;

	return ((struct v16){ _mm256_cvtph_ps(_mm_loadu_si128(h)),
	    _mm256_cvtph_ps(_mm_loadu_si128(h + 1)) });
}

VEC_INLINE uint32_t
v16_mask_lt(struct v16 a, struct v16 b)
{
	return ((uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo,
	    _CMP_LT_OQ)) | (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a.hi,
	    b.hi, _CMP_LT_OQ)) << 8);
}

VEC_INLINE void
v16_store_low8(int8_t *p, struct v16 a)
{
	const __m256i	 low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1,
			    -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1,
			    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
	__m256i		 x = _mm256_shuffle_epi8(_mm256_castps_si256(a.lo),
			    low);
	__m256i		 y = _mm256_shuffle_epi8(_mm256_castps_si256(a.hi),
			    low);

	_mm_storeu_si128((__m128i *)(void *)p, _mm_unpacklo_epi64(
	    _mm_unpacklo_epi32(_mm256_castsi256_si128(x),
	    _mm256_extracti128_si256(x, 1)),
	    _mm_unpacklo_epi32(_mm256_castsi256_si128(y),
	    _mm256_extracti128_si256(y, 1))));
}

struct i16 {
	__m256i	 lo, hi;
};

struct b64 {
	__m256i	 lo, hi;
};

VEC_INLINE struct i16
i16_set1(int32_t x)
{
	__m256i	 v = _mm256_set1_epi32(x);

	return ((struct i16){ v, v });
}

VEC_INLINE struct i16
i16_load(const int32_t *p)
{
	const __m256i	*v = (const __m256i *)(const void *)p;

	return ((struct i16){ _mm256_loadu_si256(v),
	    _mm256_loadu_si256(v + 1) });
}

VEC_INLINE void
i16_store(int32_t *p, struct i16 a)
{
	__m256i	*v = (__m256i *)(void *)p;

	_mm256_storeu_si256(v, a.lo);
	_mm256_storeu_si256(v + 1, a.hi);
}

VEC_INLINE struct i16
i16_sub(struct i16 a, struct i16 b)
{
	return ((struct i16){ _mm256_sub_epi32(a.lo, b.lo),
	    _mm256_sub_epi32(a.hi, b.hi) });
}

VEC_INLINE struct v16
i16_float(struct i16 a)
{
	return ((struct v16){ _mm256_cvtepi32_ps(a.lo),
	    _mm256_cvtepi32_ps(a.hi) });
}

VEC_INLINE struct b64
b64_load(const uint8_t *p)
{
	const __m256i	*v = (const __m256i *)(const void *)p;

	return ((struct b64){ _mm256_loadu_si256(v),
	    _mm256_loadu_si256(v + 1) });
}

VEC_INLINE struct b64
b64_low(struct b64 a)
{
	__m256i	 mask = _mm256_set1_epi8(15);

	return ((struct b64){ _mm256_and_si256(a.lo, mask),
	    _mm256_and_si256(a.hi, mask) });
}

VEC_INLINE struct b64
b64_high(struct b64 a)
{
	return (b64_low((struct b64){ _mm256_srli_epi32(a.lo, 4),
	    _mm256_srli_epi32(a.hi, 4) }));
}

/* Products of unsigned w and signed q, four added to each sum. The sum of two
 * products must fit into 16 bits. */
VEC_INLINE __m256i
i16_half_dot(__m256i sum, __m256i w, __m256i q)
{
	return (_mm256_add_epi32(sum, _mm256_madd_epi16(
	    _mm256_maddubs_epi16(w, q), _mm256_set1_epi16(1))));
}

/* Four bytes, repeated. */
VEC_INLINE __m256i
i16_quad(const int8_t *q)
{
	int32_t	 x;

	__builtin_memcpy(&x, q, sizeof x);
	return (_mm256_set1_epi32(x));
}

/* i16_dot8 uses bias 128: it multiplies |w - 128| by q with the sign of
 * w - 128. */
#define I16_BIAS8 0

VEC_INLINE void
i16_dot8(struct i16 *sum, struct b64 w, const int8_t *q)
{
	__m256i	 bias = _mm256_set1_epi8(-128), v = i16_quad(q);
	__m256i	 lo = _mm256_xor_si256(w.lo, bias);
	__m256i	 hi = _mm256_xor_si256(w.hi, bias);

	sum->lo = i16_half_dot(sum->lo, _mm256_abs_epi8(lo),
	    _mm256_sign_epi8(v, lo));
	sum->hi = i16_half_dot(sum->hi, _mm256_abs_epi8(hi),
	    _mm256_sign_epi8(v, hi));
}

VEC_INLINE void
i16_dot4(struct i16 *sum, struct b64 w, const int8_t *q)
{
	__m256i	 v = i16_quad(q);

	sum->lo = i16_half_dot(sum->lo, w.lo, v);
	sum->hi = i16_half_dot(sum->hi, w.hi, v);
}

#endif
