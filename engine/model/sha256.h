/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 over bytes that come in pieces.
 */
#ifndef MODEL_SHA256_H
#define MODEL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65	/* 64 digits and NUL */

/* Mix blocks of 64 bytes at p into a state. */
typedef void sha256_blocks(uint32_t state[8], const uint8_t *p,
	    size_t blocks);

struct sha256 {
	uint32_t	 state[8];
	uint64_t	 bytes;		/* taken in so far */
	uint8_t		 block[64];	/* the last bytes % 64 of them */
	sha256_blocks	*blocks;	/* how, on this machine */
};

/* Start a new digest. */
void	sha256_init(struct sha256 *s);
/* Take in n more bytes; p may be NULL where n is 0. */
void	sha256_add(struct sha256 *s, const void *p, size_t n);
/* End it: 64 lower-case hex digits and NUL. s must be started again. */
void	sha256_end(struct sha256 *s, char hex[SHA256_HEX]);

#endif
