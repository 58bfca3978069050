/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary positions, and writing keys and values to the KV cache.
 * rotary_head is the member rotary of every struct kernels but
 * kernels_reference, which has rotary_reference_head.
 */
#ifndef CPU_ROTARY_H
#define CPU_ROTARY_H

#include "kernels.h"

/*
 * cos and sin of pos * base^(-2i / rot) for i below rot / 2, computed in
 * double. Returns [context][rot / 2][cos, sin] floats, owned by the caller, or
 * NULL if there is no memory.
 * Source: Su et al. 2021, "RoFormer", 3.4.2.
 */
float	*rotary_table(int context, int rot, double base);

/*
 * Turn query and key of head h for T rows in qkv, lane i with lane i + rot / 2.
 * Write key and value to the cache blocks of their rows. Round the query to
 * bf16 if the cache is not fp32. Rows of one sequence are in order of pos.
 */
void	rotary_head(const struct attend *a, float *qkv, int h, int T,
	    const float *table, int rot);
/* The same, number by number. */
void	rotary_reference_head(const struct attend *a, float *qkv, int h, int T,
	    const float *table, int rot);

#endif
