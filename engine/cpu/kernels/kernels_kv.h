/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_body.h: where keys and values are in the KV cache.
 */
#ifndef CPU_KERNELS_KV_H
#define CPU_KERNELS_KV_H

/* The keys of head h at positions 32 * j to 32 * j + 31. */
KERN_INLINE const uint8_t *
kern_keys(const struct attend *a, const int32_t *blocks, int j, int h)
{
	return (a->cache + kv_keys(&a->kv, h, blocks[j]));
}

/* The same for the values. */
KERN_INLINE const uint8_t *
kern_values(const struct attend *a, const int32_t *blocks, int j, int h)
{
	return (a->cache + kv_values(&a->kv, h, blocks[j]));
}

#endif
