/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of product.cu: the kernel for few rows.  Its time is that of reading
 * the weights, so they are read once, with many loads on their way.
 */
#ifndef CUDA_PRODUCT_NARROW_H
#define CUDA_PRODUCT_NARROW_H

#include "product.h"

/* Units of each panel that are in flight for a warp: with M panels they are 1.1
 * to 4.5 KiB. */
constexpr int
product_ring(enum cuda_elem e, int M, int NT)
{
	if (e == CUDA_I8)
		return (NT == 8 ? 4 : NT == 1 ? 8 / M : M == 1 ? 4 : 2);
	if (e == CUDA_I4)
		return (M == 1 && NT == 1 ? 4 : 2);
	return (M == 1 && NT <= 2 ? 4 : 2);
}

/*
 * Shape of product_narrow for M panels and NT blocks of rows.
 *
 * A multiprocessor holds 8 warps of more than 128 registers a thread, 16 of up
 * to 128 and 24 of up to 80.  So it has 32 to 96 KiB of weights in flight up to
 * 32 rows, 16 to 32 KiB for more rows; of int4 18 to 72 KiB, 9 KiB for one
 * panel and more than 32 rows.  An H100 needs 3.35 TB/s * 0.7 us / 132 = 18
 * KiB, an A100 2 TB/s * 0.6 us / 108 = 11 KiB.  Activations come from L2, which
 * is nearer: ACTS loads of 32 columns are in flight for each block of rows.
 */
template <enum cuda_elem E, int M, int NT>
struct product_narrow_shape {
	static constexpr int RING = product_ring(E, M, NT);
	static constexpr int STEPS = RING * product_shape<E>::K32;
	static constexpr int MOST = NT >= 4 ? 1 : NT == 1 && M < 4 ? 4 : 2;
	static constexpr int ACTS = MOST < STEPS ? MOST : STEPS;
	static_assert(STEPS % ACTS == 0, "each turn starts with load 0");
	static constexpr int PIECES = M * NT;		/* fragments */
	static constexpr int PASS = PIECES <= PRODUCT_WARPS ? PIECES :
	    PIECES % PRODUCT_WARPS == 0 ? PRODUCT_WARPS : PIECES / 2;
	static_assert(PASS <= PRODUCT_WARPS && PIECES % PASS == 0,
	    "all fragments are merged");
	static constexpr int BLOCKS = PRODUCT_SLOW<E> || NT == 8 || M == 3 ||
	    (E == CUDA_I4 && M > 1 && PIECES == 8) ? 1 : PIECES <= 2 ? 3 :
	    PIECES <= 8 ? 2 : 1;
};

/* Where a lane reads in a part. */
template <enum cuda_elem E, int M, int NT>
struct product_source {
	const unsigned char *w[M];	/* the next unit */
	const unsigned char *scale[M];	/* and its scales, for int4 */
	const unsigned char *in[NT];	/* the next 32 columns */
	int		 units;		/* that are left in the range */
	int		 panels;	/* up to M that exist */
};

/* Load unit i of all panels; what is after the last panel stays as it is. */
template <enum cuda_elem E, int M, int NT>
__device__ __forceinline__ void
product_narrow_weights(struct product_unit<E> u[M],
    const struct product_source<E, M, NT> &s, int i)
{
#pragma unroll
	for (int m = 0; m < M; m++)
		if (m < s.panels)
			product_unit_load<E>(&u[m],
			    s.w[m] + i * product_shape<E>::BYTES,
			    s.scale[m] + i * product_shape<E>::BYTES);
}

/* Load 32 columns of all blocks of rows. */
template <enum cuda_elem E, int M, int NT>
__device__ __forceinline__ void
product_narrow_acts(uint4 b[NT], const struct product_source<E, M, NT> &s,
    int i)
{
#pragma unroll
	for (int r = 0; r < NT; r++)
		b[r] = ldg16(s.in[r] + i * 512);
}

/* Add RING units to d and load as many later ones, as far as the range has
 * them; if WHOLE, it has twice RING: warp. */
template <enum cuda_elem E, int M, int NT, bool WHOLE>
__device__ __forceinline__ void
product_narrow_turn(float d[M * NT][4],
    struct product_unit<E> ring[product_narrow_shape<E, M, NT>::RING][M],
    uint4 b[product_narrow_shape<E, M, NT>::ACTS][NT],
    struct product_source<E, M, NT> &s)
{
	typedef struct product_narrow_shape<E, M, NT> N;
	const int	 K32 = product_shape<E>::K32;
	uint32_t	 a[4];

#pragma unroll
	for (int j = 0; j < N::RING * K32; j++) {
		const int u = j / K32, h = j % K32;

		if (!WHOLE && u >= s.units)
			break;
#pragma unroll
		for (int i = 0; i < 2 * M; i++) {
			const int m = i % M, k = i / M;

			product_operand<E>(a, ring[u][m], 2 * h + k);
#pragma unroll
			for (int r = 0; r < NT; r++) {
				const uint4 v = b[j % N::ACTS][r];

				product_mma<E>(d[m * NT + r], a,
				    k ? v.z : v.x, k ? v.w : v.y);
			}
		}
		if (WHOLE || j + N::ACTS < s.units * K32)
			product_narrow_acts<E, M, NT>(b[j % N::ACTS], s,
			    j + N::ACTS);
		if (h == K32 - 1 && (WHOLE || u + N::RING < s.units))
			product_narrow_weights<E, M, NT>(ring[u], s,
			    u + N::RING);
	}
	s.units -= N::RING;
#pragma unroll
	for (int m = 0; m < M; m++) {
		s.w[m] += N::RING * product_shape<E>::BYTES;
		s.scale[m] += N::RING * product_shape<E>::BYTES;
	}
#pragma unroll
	for (int r = 0; r < NT; r++)
		s.in[r] += N::STEPS * 512;
}

/*
 * Set d to the sums of a range: warp.
 *
 * Instructions of a lane for a weight in the first loop, in the code for sm_90:
 *
 *   rows	1 .. 8		9 .. 16		17 .. 32
 *   M		  1   2   3   4	  1   2   3   4	  1   2   3   4
 *   fp16, bf16	0.5 0.7		0.8 0.8		1.4 1.3
 *   int8	1.4 1.3 1.4 1.4	1.7 1.8 1.6 1.6	2.2 2.2 1.9 2.0
 *   int4	2.0 2.0 2.0 2.0	2.4 2.3 2.2 2.2	2.9 2.6 2.5 2.5
 *
 * int4 needs 3 for two weights (lop3; sub or fma; mul) and a shift for 8; int8
 * needs 2 for two weights (byte_perm, sub).  product_choose says when a block
 * has fewer than 4 panels.
 */
template <enum cuda_elem E, int M, int NT>
__device__ __forceinline__ void
product_narrow_range(float d[M * NT][4], struct product_source<E, M, NT> s)
{
	typedef struct product_narrow_shape<E, M, NT> N;
	struct product_unit<E>	 ring[N::RING][M];
	uint4			 b[N::ACTS][NT];

#pragma unroll
	for (int i = 0; i < M * NT; i++)
		d[i][0] = d[i][1] = d[i][2] = d[i][3] = 0.0f;
#pragma unroll
	for (int j = 0; j < N::RING; j++) {
#pragma unroll
		for (int m = 0; m < M; m++)
			product_unit_zero<E>(&ring[j][m]);
		if (j < s.units)
			product_narrow_weights<E, M, NT>(ring[j], s, j);
	}
#pragma unroll
	for (int j = 0; j < N::ACTS; j++)
		if (j < s.units * product_shape<E>::K32)
			product_narrow_acts<E, M, NT>(b[j], s, j);
#pragma unroll 1
	while (s.units >= 2 * N::RING)
		product_narrow_turn<E, M, NT, true>(d, ring, b, s);
#pragma unroll 1
	while (s.units > 0)
		product_narrow_turn<E, M, NT, false>(d, ring, b, s);
}

/* A block computes M panels of one part, or of both parts of a chain, for all
 * rows: NT blocks of 8. */
template <enum cuda_elem E, int M, int NT>
static __global__ void
__launch_bounds__(PRODUCT_THREADS, product_narrow_shape<E, M, NT>::BLOCKS)
product_narrow(const struct product p, int first)
{
	typedef struct product_narrow_shape<E, M, NT> N;
	SHARED_ARRAY(float4, sums, PRODUCT_WARPS * N::PASS * 32);
	SHARED_ARRAY(float4, results, N::PIECES * 32);
	const int	 lane = (int)threadIdx.x % 32;
	const int	 warp = (int)threadIdx.x / 32;
	const int	 block = (int)blockIdx.x;
	const bool	 second = !p.chain && block >= first;
	const int	 panel = (second ? block - first : block) * M;
	const int	 blocks = layout_pad(p.T, LAYOUT_ROWS) / LAYOUT_ROWS;
	float		 d[N::PIECES][4];

	for (int c = 0; c < (p.chain ? p.n : 1); c++) {
		const struct product_part &q = p.part[second ? 1 : c];
		const int	 tiles = layout_pad(q.K, LAYOUT_K) / LAYOUT_K;
		const int	 per = product_range(tiles);
		const int	 tile = min(warp * per, tiles);
		struct product_source<E, M, NT> s;

		s.units = (min(tile + per, tiles) - tile) *
		    product_shape<E>::TILE;
		s.panels = product_panels(q) - panel;
#pragma unroll
		for (int m = 0; m < M; m++) {
			s.w[m] = static_cast<const unsigned char *>(q.w) +
			    ((size_t)(panel + m) * (size_t)tiles +
			    (size_t)tile) * (size_t)layout_tile(E);
			s.scale[m] = s.w[m] + product_scale_at(lane);
			s.w[m] += lane * 16;
		}
#pragma unroll
		for (int r = 0; r < NT; r++)
			s.in[r] = static_cast<const unsigned char *>(q.in) +
			    ((size_t)min(r, blocks - 1) * (size_t)tiles +
			    (size_t)tile) * 1024 + (size_t)lane * 16;
		product_narrow_range<E, M, NT>(d, s);

		/* Warp w merges fragment w of each pass. */
#pragma unroll
		for (int i = 0; i < N::PIECES; i += N::PASS) {
#pragma unroll
			for (int j = 0; j < N::PASS; j++)
				st_shared(&sums[(warp * N::PASS + j) * 32 +
				    lane], make_float4(d[i + j][0],
				    d[i + j][1], d[i + j][2], d[i + j][3]));
			SYNC_BLOCK();
			if (warp < N::PASS) {
				float4 *to = &results[(i + warp) * 32 + lane];
				float4 y = make_float4(0, 0, 0, 0), v;

				for (int w = 0; w * per < tiles &&
				    w < PRODUCT_RANGES; w++) {
					v = ld_shared(&sums[(w * N::PASS +
					    warp) * 32 + lane]);
					y.x = __fadd_rn(y.x, v.x);
					y.y = __fadd_rn(y.y, v.y);
					y.z = __fadd_rn(y.z, v.z);
					y.w = __fadd_rn(y.w, v.w);
				}
				y = product_scaled(q, panel + (i + warp) / NT,
				    lane, y);
				if (c > 0) {
					v = ld_shared(to);
					y = make_float4(__fadd_rn(v.x, y.x),
					    __fadd_rn(v.y, y.y),
					    __fadd_rn(v.z, y.z),
					    __fadd_rn(v.w, y.w));
				}
				st_shared(to, y);
			}
			SYNC_BLOCK();
		}
	}

	/* A lane reads what it has written itself. */
	const struct product_part &q = p.part[second];
	const int	 stored = product_stored(q, q.end);

#pragma unroll 1
	for (int i = warp; i < N::PIECES; i += PRODUCT_WARPS)
		if (panel + i / NT < stored && i % NT < blocks)
			product_store<E>(q, p.T, panel + i / NT, i % NT, lane,
			    ld_shared(&results[i * 32 + lane]));
}

#endif
