/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256. Source: FIPS 180-4, sections 4.2.2, 5.3.3 and 6.2.
 */
#include "sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"

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
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* Rotate right. */
static uint32_t
sha256_ror(uint32_t x, int n)
{
	return (x >> n | x << (32 - n));
}

/* Begin. */
void
sha256_init(struct sha256 *s)
{
	*s = (struct sha256){ .h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372,
	    0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } };
}

/* Fill the 64 words of a block's schedule. */
static void
sha256_schedule(const unsigned char *p, uint32_t w[64])
{
	uint32_t	 a, b;
	int		 t;

	for (t = 0; t < 16; t++, p += 4)
		w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		    (uint32_t)p[2] << 8 | p[3];
	for (; t < 64; t++) {
		a = w[t - 15];
		b = w[t - 2];
		w[t] = w[t - 16] + w[t - 7] +
		    (sha256_ror(a, 7) ^ sha256_ror(a, 18) ^ a >> 3) +
		    (sha256_ror(b, 17) ^ sha256_ror(b, 19) ^ b >> 10);
	}
}

/* Add one block. */
static void
sha256_block(struct sha256 *s, const unsigned char *p)
{
	uint32_t	 w[64], v[8], x, y;
	int		 t, i;

	sha256_schedule(p, w);
	memcpy(v, s->h, sizeof v);
	for (t = 0; t < 64; t++) {
		x = v[7] + (sha256_ror(v[4], 6) ^ sha256_ror(v[4], 11) ^
		    sha256_ror(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
		    sha256_k[t] + w[t];
		y = (sha256_ror(v[0], 2) ^ sha256_ror(v[0], 13) ^
		    sha256_ror(v[0], 22)) +
		    ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof *v);
		v[4] += x;
		v[0] = x + y;
	}
	for (i = 0; i < 8; i++)
		s->h[i] += v[i];
}

/* Add bytes. */
void
sha256_add(struct sha256 *s, const void *data, size_t n)
{
	const unsigned char	*p = data;
	size_t			 used, k;

	while (n > 0) {
		used = s->bytes % sizeof s->block;
		k = n < sizeof s->block - used ? n : sizeof s->block - used;
		memcpy(s->block + used, p, k);
		s->bytes += k;
		p += k;
		n -= k;
		if (used + k == sizeof s->block)
			sha256_block(s, s->block);
	}
}

/* Finish. */
void
sha256_hex(struct sha256 *s, char out[SHA256_HEX])
{
	const uint64_t	 bits = s->bytes * 8;
	unsigned char	 tail[8];
	int		 i;

	sha256_add(s, "\x80", 1);
	while (s->bytes % sizeof s->block != 56)
		sha256_add(s, "", 1);
	for (i = 0; i < 8; i++)
		tail[i] = (unsigned char)(bits >> (56 - 8 * i));
	sha256_add(s, tail, sizeof tail);
	for (i = 0; i < 8; i++)
		snprintf(out + 8 * i, 9, "%08x", (unsigned)s->h[i]);
}

/* Read a file. */
int
sha256_file(int fd, char out[SHA256_HEX])
{
	struct sha256	 s;
	char		 buf[16384];
	ssize_t		 n;
	off_t		 at = 0;

	sha256_init(&s);
	while ((n = pread(fd, buf, sizeof buf, at)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return (CHAT_ESYSTEM);
		sha256_add(&s, buf, (size_t)n);
		at += n;
	}
	sha256_hex(&s, out);
	return (0);
}
