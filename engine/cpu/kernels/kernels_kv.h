/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_body.h: the places of keys and values in the KV cache.
 */
#ifndef CPU_KERNELS_KV_H
#define CPU_KERNELS_KV_H

/* Keys, and values, of a head and the block of positions from 32 * j on. */
KERN_INLINE const uint8_t *
kern_keys(const struct attend *a, const int32_t *blocks, int j, int h)
{
	return (a->cache + kv_keys(&a->kv, h, blocks[j]));
}

KERN_INLINE const uint8_t *
kern_values(const struct attend *a, const int32_t *blocks, int j, int h)
{
	return (a->cache + kv_values(&a->kv, h, blocks[j]));
}

#endif
