/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 as in FIPS 180-4, section 6.2, in plain C, and the choice of the
 * special instructions if the processor has them (sha256_x86.c). The digest of
 * a model's files identifies the model. t_sha256.c has the published examples.
 */
#include <config.h>

#include "sha256.h"

#include <string.h>

#ifdef CPU_X86
#include <cpuid.h>
#endif

#include "sha256_impl.h"

#define ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))

const uint32_t sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

/* Round r of eight. The names a to h move down by one in each round, so that no
 * value has to be moved. kw is the sum of the constant and the word of the
 * round. */
static inline void __attribute__((always_inline))
sha256_round(uint32_t v[8], unsigned r, uint32_t kw)
{
	const uint32_t	 a = v[-r & 7], b = v[(1 - r) & 7], c = v[(2 - r) & 7];
	const uint32_t	 e = v[(4 - r) & 7], f = v[(5 - r) & 7];
	const uint32_t	 g = v[(6 - r) & 7];
	uint32_t	*d = &v[(3 - r) & 7], *h = &v[(7 - r) & 7];

	*h += (ROTR(e, 6) ^ ROTR(e, 11) ^ ROTR(e, 25)) +
	    ((e & f) ^ (~e & g)) + kw;
	*d += *h;
	*h += (ROTR(a, 2) ^ ROTR(a, 13) ^ ROTR(a, 22)) +
	    ((a & b) ^ (a & c) ^ (b & c));
}

/* Mix one block of 64 bytes into the state. */
static void
sha256_block(uint32_t *state, const uint8_t *p)
{
	uint32_t	 w[64], v[8], t1, t2;
	unsigned	 i;

	for (i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		    (uint32_t)p[2] << 8 | p[3];
	for (; i < 64; i++) {
		t1 = ROTR(w[i - 2], 17) ^ ROTR(w[i - 2], 19) ^ w[i - 2] >> 10;
		t2 = ROTR(w[i - 15], 7) ^ ROTR(w[i - 15], 18) ^
		    w[i - 15] >> 3;
		w[i] = t1 + w[i - 7] + t2 + w[i - 16];
	}
	memcpy(v, state, sizeof v);
	for (i = 0; i < 64; i += 8) {
		sha256_round(v, 0, sha256_k[i] + w[i]);
		sha256_round(v, 1, sha256_k[i + 1] + w[i + 1]);
		sha256_round(v, 2, sha256_k[i + 2] + w[i + 2]);
		sha256_round(v, 3, sha256_k[i + 3] + w[i + 3]);
		sha256_round(v, 4, sha256_k[i + 4] + w[i + 4]);
		sha256_round(v, 5, sha256_k[i + 5] + w[i + 5]);
		sha256_round(v, 6, sha256_k[i + 6] + w[i + 6]);
		sha256_round(v, 7, sha256_k[i + 7] + w[i + 7]);
	}
	for (i = 0; i < 8; i++)
		state[i] += v[i];
}

/* Mix blocks into the state, in plain C. */
void
sha256_blocks_c(uint32_t state[8], const uint8_t *p, size_t blocks)
{
	for (; blocks > 0; blocks--, p += 64)
		sha256_block(state, p);
}

/* Return the fastest way for this machine. */
static sha256_blocks *
sha256_choose(void)
{
#ifdef CPU_X86
	unsigned	 a, b, c, d;

	/* The SHA code also needs SSSE3 and SSE4.1. gcc 12 has no name for SHA
	 * in __builtin_cpu_supports. */
	if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) != 0 &&
	    (c & bit_SSE4_1) != 0 && __get_cpuid_count(7, 0, &a, &b, &c,
	    &d) && (b & bit_SHA) != 0)
		return (sha256_blocks_x86);
#endif
	return (sha256_blocks_c);
}

/* Start a new digest. */
void
sha256_init(struct sha256 *s)
{
	static const uint32_t start[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
	};

	memcpy(s->state, start, sizeof start);
	s->bytes = 0;
	s->blocks = sha256_choose();
}

/* Add n more bytes. */
void
sha256_add(struct sha256 *s, const void *p, size_t n)
{
	const uint8_t	*b = p;
	size_t		 have = s->bytes % 64, take;

	if (n == 0)
		return;
	s->bytes += n;
	if (have > 0) {
		take = n < 64 - have ? n : 64 - have;
		memcpy(s->block + have, b, take);
		b += take;
		n -= take;
		if (have + take < 64)
			return;
		s->blocks(s->state, s->block, 1);
	}
	s->blocks(s->state, b, n / 64);
	if (n % 64 > 0)
		memcpy(s->block, b + n / 64 * 64, n % 64);
}

/* Finish the digest: padding, length in bits, and the state as hex. */
void
sha256_end(struct sha256 *s, char hex[SHA256_HEX])
{
	static const uint8_t	 pad[64] = { 0x80 };
	static const char	 digits[] = "0123456789abcdef";
	uint64_t		 bits = s->bytes * 8;
	uint8_t			 len[8];
	int			 i;

	for (i = 0; i < 8; i++)
		len[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(s, pad, 1 + (119 - s->bytes % 64) % 64);
	sha256_add(s, len, sizeof len);
	for (i = 0; i < 64; i++)
		hex[i] = digits[s->state[i / 8] >> (28 - i % 8 * 4) & 15];
	hex[64] = '\0';
}
