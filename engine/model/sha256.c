/*
 * SHA-256 as in FIPS 180-4, section 6.2: names a model by what its files
 * hold.  Plain C; tests/unit/t_sha256.c holds the published examples.
 */
#include "sha256.h"

#include <string.h>

#define ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))

static const uint32_t sha256_k[64] = {
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

/* Mix one block of 64 bytes into the state. */
static void
sha256_block(uint32_t *state, const uint8_t *p)
{
	uint32_t	 w[64], v[8], t1, t2;
	int		 i;

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
	for (i = 0; i < 64; i++) {
		t1 = v[7] + (ROTR(v[4], 6) ^ ROTR(v[4], 11) ^ ROTR(v[4], 25)) +
		    ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha256_k[i] + w[i];
		t2 = (ROTR(v[0], 2) ^ ROTR(v[0], 13) ^ ROTR(v[0], 22)) +
		    ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof v[0]);
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (i = 0; i < 8; i++)
		state[i] += v[i];
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
}

/* Take in n more bytes. */
void
sha256_add(struct sha256 *s, const void *p, size_t n)
{
	const uint8_t	*b = p;
	size_t		 have = s->bytes % 64, take;

	s->bytes += n;
	if (have > 0) {
		take = n < 64 - have ? n : 64 - have;
		if (take > 0)
			memcpy(s->block + have, b, take);
		b += take;
		n -= take;
		if (have + take < 64)
			return;
		sha256_block(s->state, s->block);
	}
	for (; n >= 64; b += 64, n -= 64)
		sha256_block(s->state, b);
	if (n > 0)
		memcpy(s->block, b, n);
}

/* End it: padding, length in bits, and the state as hex. */
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
