/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian numbers at any address. The functions are inline, so that loops
 * over them can be vectorised.
 */
#ifndef MODEL_LE_H
#define MODEL_LE_H

#include <stdint.h>

/* Two bytes. */
static inline uint32_t
le_u16(const uint8_t *p)
{
	return (p[0] | (uint32_t)p[1] << 8);
}

/* Four bytes. */
static inline uint32_t
le_u32(const uint8_t *p)
{
	return (p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24);
}

/* Eight bytes. */
static inline uint64_t
le_u64(const uint8_t *p)
{
	return (le_u32(p) | (uint64_t)le_u32(p + 4) << 32);
}

#endif
