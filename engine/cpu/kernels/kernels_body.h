/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_*.c: the inner loops, written over struct v16.  Each
 * kernels_*.c includes a vec_*.h, which defines struct v16 for its instruction
 * set, defines KERNELS (the name of its struct kernels) and KERNELS_NAME, and
 * includes this file.  If it also includes a tile_*.h and defines KERN_TILES,
 * products of many rows run in tiles (kernels_tiles*.h).
 *
 * The variants differ in the size of their register tiles.  They do not differ
 * in the order of any sum.
 */
#include <string.h>

#include "kernels.h"
#include "rotary.h"
#include "vmath.h"

/* KERN_INLINE functions get sizes of tiles and types of elements as constants
 * and are compiled for each. KERN_ONCE functions are compiled once. */
#define KERN_INLINE static inline __attribute__((always_inline))
#define KERN_ONCE static __attribute__((noinline))

#define KERN_PREFETCH	4096	/* prefetch weights this many bytes ahead */
#define MM_BLOCK	64	/* rows that share a pass over a panel */

/* The sum of 16 lanes, as one fixed tree. */
static float
kern_sum(struct v16 v)
{
	float	 f[16];
	int	 n, i;

	v16_store(f, v);
	for (n = 8; n > 0; n /= 2)
		for (i = 0; i < n; i++)
			f[i] += f[i + n];
	return (f[0]);
}

/* Load n floats, at most 16; if n is below 16, the other lanes are fill. */
static struct v16
kern_load_part(const float *x, int n, float fill)
{
	float	 f[16];
	int	 i;

	if (n >= 16)
		return (v16_load(x));
	for (i = 0; i < 16; i++)
		f[i] = i < n ? x[i] : fill;
	return (v16_load(f));
}

/* Store n lanes, at most 16, as bf16. Each lane is a bf16 already. */
KERN_INLINE void
kern_store16(struct v16 v, uint16_t *out, int n)
{
	uint16_t	 part[16];

	if (n >= 16) {
		v16_store_bf16(out, v);
		return;
	}
	v16_store_bf16(part, v);
	memcpy(out, part, (size_t)n * sizeof *out);
}

#include "kernels_dense.h"
#include "kernels_quantized.h"
#ifdef KERN_TILES
#include "kernels_tiles.h"
#endif

/* Panels first to last - 1 of a product. */
static void
kern_matmul(const struct matmul *m, int first, int last)
{
	const size_t	 panel = (size_t)m->K * PANEL * ELEM_SIZE(m->elem);
	const uint8_t	*w = (const uint8_t *)m->w + (size_t)first * panel;
	int		 p = first, row, rows;

#ifdef KERN_TILES
	if (kern_tiles(m, first, last))
		return;
#endif
	if (ELEM_QUANTIZED(m->elem)) {
		kern_matmul_quantized(m, first, last);
		return;
	}
	for (; p < last; p++, w += panel)
		for (row = 0; row < m->rows; row += MM_BLOCK) {
			rows = m->rows - row < MM_BLOCK ? m->rows - row :
			    MM_BLOCK;
			kern_panel(m, w, p, row, rows);
		}
}

/* Mean and 1 / standard deviation, in two passes. */
static void
kern_moments(const float *x, int n, float eps, float *mean, float *rstd)
{
	struct v16	 sum = v16_set1(0.0f), m, d;
	int		 i;

	for (i = 0; i < n; i += 16)
		sum = v16_add(sum, kern_load_part(x + i, n - i, 0.0f));
	*mean = kern_sum(sum) / (float)n;
	m = v16_set1(*mean);
	sum = v16_set1(0.0f);
	for (i = 0; i < n; i += 16) {
		d = v16_sub(kern_load_part(x + i, n - i, *mean), m);
		sum = v16_fma(d, d, sum);
	}
	*rstd = 1.0f / __builtin_sqrtf(kern_sum(sum) / (float)n + eps);
}

/* The second half of a layer norm. */
static void
kern_normalize(const float *x, int n, float mean, float rstd,
    const float *gain, const float *bias, int round, float *out)
{
	const struct v16 m = v16_set1(mean), s = v16_set1(rstd);
	struct v16	 v;
	int		 i;

	for (i = 0; i < n; i += 16) {
		v = v16_mul(v16_sub(v16_load(x + i), m), s);
		v = v16_fma(v, v16_load(gain + i), v16_load(bias + i));
		if (round)
			v = v16_round_bf16(v);
		v16_store(out + i, v);
	}
}

/* Convert floats to bf16. Each is a bf16 already. */
static void
kern_narrow(const float *x, int n, uint16_t *out)
{
	int	 i;

	for (i = 0; i < n; i += 16)
		kern_store16(kern_load_part(x + i, n - i, 0.0f), out + i,
		    n - i);
}

#include "kernels_kv.h"
#include "kernels_attend.h"
#include "kernels_roofline.h"

#define KERN_MAP(name, fn)						\
static void								\
name(const float *in, float *out, int n)				\
{									\
	int	 i;							\
									\
	for (i = 0; i < n; i += 16)					\
		v16_store(out + i, fn(v16_load(in + i)));		\
}

/* Elementwise functions, for tests. */
KERN_MAP(kern_exp, v16_exp)
KERN_MAP(kern_gelu_erf, v16_gelu_erf)
KERN_MAP(kern_gelu_tanh, v16_gelu_tanh)
KERN_MAP(kern_round_bf16, v16_round_bf16)

const struct kernels KERNELS = {
	.name = KERNELS_NAME,
#ifdef KERN_TILES
	.rows16 = TILES_ROWS,
	.spin_tile16 = kern_spin_tile16,
	.spin_tile8 = kern_spin_tile8,
#endif
	.matmul = kern_matmul,
	.moments = kern_moments,
	.normalize = kern_normalize,
	.narrow = kern_narrow,
	.quantize = kern_quantize,
	.rotary = rotary_head,
#ifdef KERN_TILES
	.attend_rows = TILE_ROWS,
#else
	.attend_rows = 8,
#endif
	.attend = kern_attend,
	.read = kern_read,
	.spin_fma = kern_spin_fma,
	.spin_dot8 = kern_spin_dot8,
	.exp = kern_exp,
	.gelu_erf = kern_gelu_erf,
	.gelu_tanh = kern_gelu_tanh,
	.round_bf16 = kern_round_bf16
};
