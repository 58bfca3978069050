/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct v16 as one AVX-512 register.  The same operations as vec_scalar.h,
 * whose comments hold here.
 */
#ifndef CPU_VEC_H
#define CPU_VEC_H

#include <immintrin.h>
#include <stdint.h>

#define VEC_INLINE static inline __attribute__((always_inline))
#define VEC_ROWS	8

struct v16 {
	__m512	 v;
};

#define VEC(expr) ((struct v16){ (expr) })

VEC_INLINE struct v16
v16_set1(float x)
{
	return (VEC(_mm512_set1_ps(x)));
}

VEC_INLINE struct v16
v16_load(const float *p)
{
	return (VEC(_mm512_loadu_ps(p)));
}

VEC_INLINE void
v16_store(float *p, struct v16 a)
{
	_mm512_storeu_ps(p, a.v);
}

VEC_INLINE struct v16
v16_add(struct v16 a, struct v16 b)
{
	return (VEC(_mm512_add_ps(a.v, b.v)));
}

VEC_INLINE struct v16
v16_sub(struct v16 a, struct v16 b)
{
	return (VEC(_mm512_sub_ps(a.v, b.v)));
}

VEC_INLINE struct v16
v16_mul(struct v16 a, struct v16 b)
{
	return (VEC(_mm512_mul_ps(a.v, b.v)));
}

VEC_INLINE struct v16
v16_div(struct v16 a, struct v16 b)
{
	return (VEC(_mm512_div_ps(a.v, b.v)));
}

VEC_INLINE struct v16
v16_fma(struct v16 a, struct v16 b, struct v16 c)
{
	return (VEC(_mm512_fmadd_ps(a.v, b.v, c.v)));
}

VEC_INLINE struct v16
v16_max(struct v16 a, struct v16 b)
{
	return (VEC(_mm512_max_ps(a.v, b.v)));
}

VEC_INLINE struct v16
v16_min(struct v16 a, struct v16 b)
{
	return (VEC(_mm512_min_ps(a.v, b.v)));
}

VEC_INLINE struct v16
v16_where_lt(struct v16 a, struct v16 b, struct v16 x, struct v16 y)
{
	__mmask16 m = _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ);

	return (VEC(_mm512_mask_blend_ps(m, y.v, x.v)));
}

VEC_INLINE struct v16
v16_scale(struct v16 p, struct v16 t)
{
	__m512i n = _mm512_slli_epi32(_mm512_castps_si512(t.v), 23);

	return (VEC(_mm512_castsi512_ps(
	    _mm512_add_epi32(_mm512_castps_si512(p.v), n))));
}

VEC_INLINE struct v16
v16_round_bf16(struct v16 x)
{
	__m512i		 a = _mm512_castps_si512(x.v), r;
	__mmask16	 nan = _mm512_cmp_epi32_mask(
			    _mm512_and_si512(a, _mm512_set1_epi32(0x7fffffff)),
			    _mm512_set1_epi32(0x7f800000), _MM_CMPINT_NLE);

	r = _mm512_and_si512(_mm512_srli_epi32(a, 16), _mm512_set1_epi32(1));
	r = _mm512_add_epi32(r, _mm512_set1_epi32(0x7fff));
	r = _mm512_add_epi32(a, r);
	r = _mm512_mask_or_epi32(r, nan, a, _mm512_set1_epi32(0x400000));
	return (VEC(_mm512_castsi512_ps(
	    _mm512_and_si512(r, _mm512_set1_epi32((int)0xffff0000)))));
}

VEC_INLINE void
v16_load_bf16(const uint16_t *p, struct v16 *first, struct v16 *second)
{
	__m512i	 a = _mm512_loadu_si512(p);

	first->v = _mm512_castsi512_ps(_mm512_slli_epi32(a, 16));
	second->v = _mm512_castsi512_ps(
	    _mm512_and_si512(a, _mm512_set1_epi32((int)0xffff0000)));
}

/*
 * This needs no conversions of integers. q + 128, which is q with bit 7
 * inverted, becomes the low byte of the float 2^23 + 128 + q. For the second of
 * each pair, it becomes the next byte, of the float 2^15 + 128 + q. 0x6a means
 * (a & b) ^ c.
 */
VEC_INLINE void
v16_load_q8(const int8_t *p, struct v16 *first, struct v16 *second)
{
	__m512i	 a = _mm512_cvtepi16_epi32(_mm256_loadu_si256(
		    (const __m256i *)(const void *)p));

	first->v = _mm512_sub_ps(_mm512_castsi512_ps(
	    _mm512_ternarylogic_epi32(a, _mm512_set1_epi32(0xff),
	    _mm512_set1_epi32(0x4b000080), 0x6a)), _mm512_set1_ps(8388736.0f));
	second->v = _mm512_sub_ps(_mm512_castsi512_ps(
	    _mm512_ternarylogic_epi32(a, _mm512_set1_epi32(0xff00),
	    _mm512_set1_epi32(0x47008000), 0x6a)), _mm512_set1_ps(32896.0f));
}

VEC_INLINE void
v16_store_bf16(uint16_t *p, struct v16 a)
{
	_mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(
	    _mm512_srli_epi32(_mm512_castps_si512(a.v), 16)));
}

/* Load 16 numbers of fp16, as floats. */
VEC_INLINE struct v16
v16_load_f16(const uint16_t *p)
{
	return (VEC(_mm512_cvtph_ps(_mm256_loadu_si256(
	    (const __m256i *)(const void *)p))));
}

VEC_INLINE uint32_t
v16_mask_lt(struct v16 a, struct v16 b)
{
	return (_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ));
}

VEC_INLINE void
v16_store_low8(int8_t *p, struct v16 a)
{
	_mm_storeu_si128((__m128i *)(void *)p,
	    _mm512_cvtepi32_epi8(_mm512_castps_si512(a.v)));
}

struct i16 {
	__m512i	 v;
};

struct b64 {
	__m512i	 v;
};

VEC_INLINE struct i16
i16_set1(int32_t x)
{
	return ((struct i16){ _mm512_set1_epi32(x) });
}

VEC_INLINE struct i16
i16_load(const int32_t *p)
{
	return ((struct i16){ _mm512_loadu_si512(p) });
}

VEC_INLINE void
i16_store(int32_t *p, struct i16 a)
{
	_mm512_storeu_si512(p, a.v);
}

VEC_INLINE struct i16
i16_sub(struct i16 a, struct i16 b)
{
	return ((struct i16){ _mm512_sub_epi32(a.v, b.v) });
}

VEC_INLINE struct v16
i16_float(struct i16 a)
{
	return (VEC(_mm512_cvtepi32_ps(a.v)));
}

VEC_INLINE struct b64
b64_load(const uint8_t *p)
{
	return ((struct b64){ _mm512_loadu_si512(p) });
}

VEC_INLINE struct b64
b64_low(struct b64 a)
{
	return ((struct b64){ _mm512_and_si512(a.v,
	    _mm512_set1_epi8(15)) });
}

VEC_INLINE struct b64
b64_high(struct b64 a)
{
	return (b64_low((struct b64){ _mm512_srli_epi32(a.v, 4) }));
}

/* Without AVX-512BW: invert bit 3, then copy it to bits 4 to 7. */
VEC_INLINE struct b64
b64_less8(struct b64 a)
{
	const __m512i	 eight = _mm512_set1_epi8(8);
	__m512i		 x = _mm512_xor_si512(a.v, eight);
	__m512i		 sign = _mm512_and_si512(x, eight);

	sign = _mm512_sub_epi32(_mm512_slli_epi32(sign, 5),
	    _mm512_slli_epi32(sign, 1));
	return ((struct b64){ _mm512_or_si512(x, sign) });
}

VEC_INLINE void
b64_store(uint8_t *p, struct b64 a)
{
	_mm512_storeu_si512(p, a.v);
}

/* Four bytes, not aligned. */
struct quad {
	int8_t	 q[4];
};

/* i16_dot8 uses bias 0, so the sum is 128 times the sum of all q too large. */
#define I16_BIAS8 128

/* In assembler: with the intrinsic, compilers copy the sum and load q with an
 * instruction of its own. */
VEC_INLINE void
i16_dot8(struct i16 *sum, struct b64 w, const int8_t *q)
{
	__asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum->v) : "v"(w.v),
	    "m"(*(const struct quad *)(const void *)q));
}

VEC_INLINE void
i16_dot4(struct i16 *sum, struct b64 w, const int8_t *q)
{
	i16_dot8(sum, w, q);
}

#endif
