/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 with the SHA instructions of x86. Source: Intel 64 and IA-32
 * Architectures Software Developer's Manual, volume 2, SHA256RNDS2, SHA256MSG1
 * and SHA256MSG2.
 */
#include "sha256_impl.h"

#include <immintrin.h>

/* The state in the order of SHA256RNDS2: the last letter is in the lowest
 * lane. */
struct sha256_regs {
	__m128i	 abef, cdgh;
};

/* Do four rounds with the words w and the constants at k. */
static inline void
sha256_four(struct sha256_regs *s, __m128i w, const uint32_t *k)
{
	const __m128i	 kw = _mm_add_epi32(w,
			    _mm_loadu_si128((const __m128i *)k));

	/* Each does two rounds and returns the new a, b, e, f; the old ones
	 * become c, d, g, h. */
	s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, kw);
	s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh,
	    _mm_shuffle_epi32(kw, 0x0e));
}

/* Compute the next four words from the last sixteen; a has the oldest. */
static inline __m128i
sha256_words(__m128i a, __m128i b, __m128i c, __m128i d)
{
	return (_mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(a, b),
	    _mm_alignr_epi8(d, c, 4)), d));
}

/* One block. */
static inline void
sha256_one(struct sha256_regs *s, const uint8_t *p)
{
	const __m128i	 swap = _mm_set_epi64x(0x0c0d0e0f08090a0b,
			    0x0405060700010203);
	__m128i		 w[4];
	int		 i;

	for (i = 0; i < 4; i++)
		w[i] = _mm_shuffle_epi8(_mm_loadu_si128(
		    (const __m128i *)(p + 16 * i)), swap);
	for (i = 0; i < 64; i += 16) {
		sha256_four(s, w[0], sha256_k + i);
		sha256_four(s, w[1], sha256_k + i + 4);
		sha256_four(s, w[2], sha256_k + i + 8);
		sha256_four(s, w[3], sha256_k + i + 12);
		if (i == 48)
			break;
		w[0] = sha256_words(w[0], w[1], w[2], w[3]);
		w[1] = sha256_words(w[1], w[2], w[3], w[0]);
		w[2] = sha256_words(w[2], w[3], w[0], w[1]);
		w[3] = sha256_words(w[3], w[0], w[1], w[2]);
	}
}

/* Mix blocks into the state. */
void
sha256_blocks_x86(uint32_t state[8], const uint8_t *p, size_t blocks)
{
	struct sha256_regs	 s, was;
	__m128i			 abcd, efgh;

	abcd = _mm_loadu_si128((const __m128i *)state);
	efgh = _mm_loadu_si128((const __m128i *)(state + 4));
	abcd = _mm_shuffle_epi32(abcd, 0xb1);	/* from the lowest lane: b a d
						 * c */
	efgh = _mm_shuffle_epi32(efgh, 0x1b);	/* h g f e */
	s.abef = _mm_alignr_epi8(abcd, efgh, 8);
	s.cdgh = _mm_blend_epi16(efgh, abcd, 0xf0);
	for (; blocks > 0; blocks--, p += 64) {
		was = s;
		sha256_one(&s, p);
		s.abef = _mm_add_epi32(s.abef, was.abef);
		s.cdgh = _mm_add_epi32(s.cdgh, was.cdgh);
	}
	abcd = _mm_shuffle_epi32(s.abef, 0x1b);	/* a b e f */
	efgh = _mm_shuffle_epi32(s.cdgh, 0xb1);	/* g h c d */
	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(abcd, efgh, 0xf0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(efgh, abcd,
	    8));
}
