/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of bytes that are added in pieces.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65	/* 64 digits and NUL */

/* Mix blocks of 64 bytes at p into a state. */
typedef void sha256_blocks(uint32_t state[8], const uint8_t *p,
	    size_t blocks);

struct sha256 {
	uint32_t	 state[8];
	uint64_t	 bytes;		/* bytes added so far */
	uint8_t		 block[64];	/* the last bytes % 64 of them */
	sha256_blocks	*blocks;	/* the way chosen for this machine */
};

/* Start a new digest. */
void	sha256_init(struct sha256 *s);
/* Add n more bytes; p may be NULL if n is 0. */
void	sha256_add(struct sha256 *s, const void *p, size_t n);
/* Finish: 64 lower-case hex digits and NUL. Start s again before its next
 * use. */
void	sha256_end(struct sha256 *s, char hex[SHA256_HEX]);

#endif
