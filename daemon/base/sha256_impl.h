/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside SHA-256: the ways to mix blocks. sha256.c chooses one of them; the
 * test compares them.
 */
#ifndef BASE_SHA256_IMPL_H
#define BASE_SHA256_IMPL_H

#include "sha256.h"

/* The constants of FIPS 180-4, section 4.2.2. */
extern const uint32_t sha256_k[64];

sha256_blocks sha256_blocks_c;		/* any machine */
sha256_blocks sha256_blocks_x86;	/* x86 with SHA, SSSE3 and SSE4.1 */

#endif
