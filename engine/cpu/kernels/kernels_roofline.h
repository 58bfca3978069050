/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of kernels_body.h: loops that do one thing only, for roofline.c.
 */
#ifndef CPU_KERNELS_ROOFLINE_H
#define CPU_KERNELS_ROOFLINE_H

/* Read memory. */
static float
kern_read(const uint8_t *p, size_t n)
{
	struct v16	 sum[4] = { v16_set1(0), v16_set1(0), v16_set1(0),
			    v16_set1(0) };
	const size_t	 quarter = n / 4;
	size_t		 i, j;

	for (i = 0; i < quarter; i += 64)
		for (j = 0; j < 4; j++)
			sum[j] = v16_max(sum[j], v16_load((const float *)
			    (const void *)(p + j * quarter + i)));
	return (kern_sum(v16_add(v16_add(sum[0], sum[1]), v16_add(sum[2],
	    sum[3]))));
}

/* Multiply and add. */
static float
kern_spin_fma(int rounds)
{
	static const float lanes[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
				    13, 14, 15, 16 };
	struct v16	 c[6], a = v16_set1(0.999f), b = v16_load(lanes);
	int		 i, j;

#pragma GCC unroll 8
	for (j = 0; j < 6; j++)
		c[j] = v16_set1((float)j);
	for (i = 0; i < rounds; i++)
#pragma GCC unroll 8
		for (j = 0; j < 6; j++)
			c[j] = v16_fma(c[j], a, b);
#pragma GCC unroll 8
	for (j = 1; j < 6; j++)
		c[0] = v16_add(c[0], c[j]);
	return (kern_sum(c[0]));
}

/* Products of 8 bits. */
static float
kern_spin_dot8(int rounds)
{
	uint8_t		 bytes[64];
	struct i16	 c[6];
	struct b64	 w;
	int8_t		 q[4] = { 1, 2, 3, 4 };
	int		 i, j;

	for (i = 0; i < 64; i++)
		bytes[i] = (uint8_t)i;
	w = b64_load(bytes);

#pragma GCC unroll 8
	for (j = 0; j < 6; j++)
		c[j] = i16_set1(j * rounds);
	for (i = 0; i < rounds; i++)
#pragma GCC unroll 8
		for (j = 0; j < 6; j++)
			i16_dot8(&c[j], w, q);
#pragma GCC unroll 8
	for (j = 1; j < 6; j++)
		c[0] = i16_sub(c[0], c[j]);
	return (kern_sum(i16_float(c[0])));
}

#ifdef KERN_TILES
/* Products of zeros into four tiles of sums: they take as long as products of
 * other numbers. */
#define KERN_SPIN_TILES(name, dot)					\
static float								\
name(int rounds)							\
{									\
	float	 sums[TILES_SUMS];					\
									\
	kern_tiles_shape(TILE_ROWS, TILE_BYTES, TILE_ROWS);		\
	for (; rounds > 0; rounds--) {					\
		dot(0, 4, 6);						\
		dot(1, 4, 7);						\
		dot(2, 5, 6);						\
		dot(3, 5, 7);						\
	}								\
	tile_store(0, sums, TILE_BYTES);				\
	tile_release();							\
	return (sums[0]);						\
}

KERN_SPIN_TILES(kern_spin_tile16, tile_dot_bf16)
KERN_SPIN_TILES(kern_spin_tile8, tile_dot_su8)
#endif

#endif
