/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, as sha256sum(1) computes it: digests of files for operators.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX	65		/* characters of a digest, with NUL */

struct sha256 {
	uint32_t	 h[8];
	uint64_t	 bytes;		/* added so far */
	unsigned char	 block[64];	/* its first bytes % 64 are used */
};

void	 sha256_init(struct sha256 *s);
void	 sha256_add(struct sha256 *s, const void *data, size_t n);
/* Finish, and write the digest in hexadecimal; s can't be used after it. */
void	 sha256_hex(struct sha256 *s, char out[SHA256_HEX]);

/* The digest of an open file from its start; its offset stays. Returns 0, or
 * CHAT_ESYSTEM with errno set. */
int	 sha256_file(int fd, char out[SHA256_HEX]);

#endif
