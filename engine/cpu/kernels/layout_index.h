/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an element of a matrix stands in its panels: the one place that has
 * this arithmetic.  layout.h describes the panels.  The fast loops walk along
 * them with pointers; everybody else asks here.
 */
#ifndef KERNELS_LAYOUT_INDEX_H
#define KERNELS_LAYOUT_INDEX_H

#include <stddef.h>

#include "kernels.h"

/*
 * Element (n, k) of a matrix with K columns, K filled up as layout_columns()
 * says.  Returns the index of the element; in int4 the index of the byte, of
 * which layout_shift() gives the half.  The KV cache has panels of the same
 * form: keys with n = position and k = lane, values with n = lane and
 * k = position, K = KV_BLOCK.
 */
static inline size_t
layout_index(enum elem elem, size_t K, size_t n, size_t k)
{
	const size_t	 col = n % PANEL, panel = n / PANEL * PANEL * K;

	switch (elem) {
	case ELEM_F32:
		return (panel + k / 2 * 32 + k % 2 * 16 + col);
	case ELEM_BF16:
	case ELEM_Q8:
		return (panel + k / 2 * 32 + col * 2 + k % 2);
	case ELEM_I8:
		return (panel + k / 4 * 64 + col * 4 + k % 4);
	case ELEM_I4:
		break;
	}
	return (panel / 2 + k / GROUP * (GROUP / 2 * PANEL) +
	    k % (GROUP / 2) / 4 * 64 + col * 4 + k % 4);
}

/* In int4: by how many bits element k is shifted in its byte, 0 or 4. */
static inline int
layout_shift(size_t k)
{
	return (k % GROUP < GROUP / 2 ? 0 : 4);
}

/* The index of the scale of (n, k), in int8 and int4. */
static inline size_t
layout_scale(enum elem elem, size_t K, size_t n, size_t k)
{
	if (elem == ELEM_I8)
		return (n);
	return ((n / PANEL * (K / GROUP) + k / GROUP) * PANEL + n % PANEL);
}

#endif
