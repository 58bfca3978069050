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
#define VEC_PANELS	2

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

#endif
