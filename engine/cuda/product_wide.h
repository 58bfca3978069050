/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of product.cu: the kernel for many rows.  Its time is that of the
 * tensor cores, so weights and activations come through shared memory, where
 * several warps use them.
 */
#ifndef CUDA_PRODUCT_WIDE_H
#define CUDA_PRODUCT_WIDE_H

#include "product.h"

#define PRODUCT_TALL	16	/* blocks of rows in a tile: 128 rows */

/*
 * Shape of product_wide for tiles of PANELS panels.  A warp has 2 panels and NB
 * blocks of rows, so that an unpacked weight serves NB mma.  STAGES units of
 * the tile's weights and activations lie in shared memory, at most 48 KiB.
 */
template <enum cuda_elem E, int PANELS>
struct product_wide_shape {
	static constexpr int ALONG = PANELS / 2;	/* warps */
	static constexpr int NB = PRODUCT_TALL * ALONG / PRODUCT_WARPS;
	static constexpr int WEIGHTS = PANELS * product_shape<E>::BYTES;
	static constexpr int ACTS = PRODUCT_TALL * product_shape<E>::K32 * 512;
	static constexpr int STAGE = WEIGHTS + ACTS;
	static constexpr int STAGES = E == CUDA_I4 ? 2 : 3;
	static_assert(STAGES * STAGE <= 49152, "no opt-in is needed");
	static_assert(NB * 512 * PRODUCT_WARPS <= STAGES * STAGE,
	    "the results of a panel fit");
};

/* A tile of a part: its first panel and first block of rows. */
struct product_tile {
	int	panel, block;
	int	panels, blocks, tiles;	/* of the whole part */
};

/* Start the copies of unit u to a stage. */
template <enum cuda_elem E, int PANELS>
__device__ __forceinline__ void
product_wide_fetch(unsigned char *stage, const struct product_part &q,
    const struct product_tile &at, int u)
{
	typedef struct product_wide_shape<E, PANELS> W;
	const int	 K32 = product_shape<E>::K32;
	const int	 UNIT = product_shape<E>::BYTES / 16;
	const int	 COPY = 16 * PRODUCT_THREADS;	/* bytes */
	const int	 TILE = product_shape<E>::TILE;
	const unsigned char *w = static_cast<const unsigned char *>(q.w);
	const unsigned char *in = static_cast<const unsigned char *>(q.in);

	/* In int4 the addresses of all copies need too many registers. */
#pragma unroll (E == CUDA_I4 ? 1 : 8)
	for (int j = 0; j < (W::WEIGHTS + COPY - 1) / COPY; j++) {
		int i = (int)threadIdx.x + j * PRODUCT_THREADS;
		bool use = at.panel + i / UNIT < at.panels;
		size_t panel = (size_t)(use ? at.panel + i / UNIT : at.panel);

		if (W::WEIGHTS % COPY == 0 || i < W::WEIGHTS / 16)
			cp_async16(stage + i * 16, w + (panel *
			    (size_t)at.tiles * (size_t)TILE + (size_t)u) *
			    (size_t)(UNIT * 16) + (size_t)(i % UNIT * 16),
			    use);
	}
#pragma unroll (E == CUDA_I4 ? 1 : 8)
	for (int j = 0; j < W::ACTS / COPY; j++) {
		int i = (int)threadIdx.x + j * PRODUCT_THREADS;
		bool use = at.block + i / (32 * K32) < at.blocks;
		size_t block = (size_t)(use ? at.block + i / (32 * K32) :
		    at.block);

		cp_async16(stage + W::WEIGHTS + i * 16, in + (block *
		    (size_t)at.tiles * 2 + (size_t)(u * K32)) * 512 +
		    (size_t)(i % (32 * K32) * 16), use);
	}
}

/* Add a unit that lies in a stage to the warp's sums: warp. */
template <enum cuda_elem E, int PANELS>
__device__ __forceinline__ void
product_wide_unit(float d[2 * product_wide_shape<E, PANELS>::NB][4],
    const unsigned char *stage, int along, int across, int lane)
{
	typedef struct product_wide_shape<E, PANELS> W;
	const int		 K32 = product_shape<E>::K32;
	struct product_unit<E>	 u[2];
	uint32_t		 a[2][2][4];
	uint4			 b[W::NB / 2];

#pragma unroll
	for (int m = 0; m < 2; m++)
		product_unit_shared<E>(&u[m], stage + (along * 2 + m) *
		    product_shape<E>::BYTES, lane);
#pragma unroll
	for (int h = 0; h < K32; h++) {
#pragma unroll
		for (int i = 0; i < 4; i++)
			product_operand<E>(a[i % 2][i / 2], u[i / 2],
			    2 * h + i % 2);
#pragma unroll
		for (int r = 0; r < W::NB; r += W::NB / 2) {
#pragma unroll
			for (int i = 0; i < W::NB / 2; i++)
				b[i] = ld_shared16(stage + W::WEIGHTS +
				    ((across * W::NB + r + i) * K32 + h) *
				    512 + lane * 16);
			/* NB mma pass before one needs its own result again */
#pragma unroll
			for (int i = 0; i < W::NB; i++)
				product_mma<E>(d[i % 2 * W::NB + r + i / 2],
				    a[0][i % 2], b[i / 2].x, b[i / 2].y);
#pragma unroll
			for (int i = 0; i < W::NB; i++)
				product_mma<E>(d[i % 2 * W::NB + r + i / 2],
				    a[1][i % 2], b[i / 2].z, b[i / 2].w);
		}
	}
}

/* total = the sums of one part's ranges, for the warp's fragments: block. */
template <enum cuda_elem E, int PANELS>
__device__ __forceinline__ void
product_wide_sum(float total[2 * product_wide_shape<E, PANELS>::NB][4],
    unsigned char *stages, const struct product_part &q,
    const struct product_tile &at, int along, int across, int lane)
{
	typedef struct product_wide_shape<E, PANELS> W;
	const int	 TILE = product_shape<E>::TILE;
	const int	 units = at.tiles * TILE;
	const int	 per = product_range(at.tiles) * TILE;
	int		 left = per, from = 0, to = W::STAGES - 1;
	float		 d[2 * W::NB][4];

#pragma unroll
	for (int i = 0; i < 2 * W::NB * 4; i++)
		d[i / 4][i % 4] = total[i / 4][i % 4] = 0.0f;
#pragma unroll
	for (int i = 0; i < W::STAGES - 1; i++) {
		if (i < units)
			product_wide_fetch<E, PANELS>(stages + i * W::STAGE, q,
			    at, i);
		cp_async_commit();
	}
#pragma unroll 1
	for (int u = 0; u < units; u++) {
		cp_async_wait<W::STAGES - 2>();
		SYNC_BLOCK();	/* also: unit u - 1 has been read */
		if (u + W::STAGES - 1 < units)
			product_wide_fetch<E, PANELS>(stages + to * W::STAGE,
			    q, at, u + W::STAGES - 1);
		cp_async_commit();
		product_wide_unit<E, PANELS>(d, stages + from * W::STAGE,
		    along, across, lane);
		from = from + 1 == W::STAGES ? 0 : from + 1;
		to = to + 1 == W::STAGES ? 0 : to + 1;
		if (--left > 0 && u + 1 < units)
			continue;
		left = per;
#pragma unroll
		for (int i = 0; i < 2 * W::NB * 4; i++) {
			total[i / 4][i % 4] = __fadd_rn(total[i / 4][i % 4],
			    d[i / 4][i % 4]);
			d[i / 4][i % 4] = 0.0f;
		}
	}
	SYNC_BLOCK();
}

/* A block computes a tile of PANELS panels and 128 rows of one part, or of both
 * parts of a chain. */
template <enum cuda_elem E, int PANELS, bool CHAIN>
static __global__ void
__launch_bounds__(PRODUCT_THREADS,
    PANELS == 8 || CHAIN || PRODUCT_SLOW<E> ? 1 : 2)
product_wide(const struct product p, int first)
{
	typedef struct product_wide_shape<E, PANELS> W;
	SHARED_ARRAY(unsigned char, stages, W::STAGES * W::STAGE);
	const int	 lane = (int)threadIdx.x % 32;
	const int	 warp = (int)threadIdx.x / 32;
	const int	 along = warp % W::ALONG, across = warp / W::ALONG;
	const int	 group = (int)blockIdx.y;
	const bool	 second = !CHAIN && group >= first;
	struct product_tile at;
	float		 y[2 * W::NB][4], y0[CHAIN ? 2 * W::NB : 1][4];

	at.panel = (second ? group - first : group) * PANELS;
	at.block = (int)blockIdx.x * PRODUCT_TALL;
	at.blocks = layout_pad(p.T, LAYOUT_ROWS) / LAYOUT_ROWS;
#pragma unroll 1
	for (int c = 0; c < (CHAIN ? p.n : 1); c++) {
		const struct product_part &q = p.part[second ? 1 : c];

		at.panels = product_panels(q);
		at.tiles = layout_pad(q.K, LAYOUT_K) / LAYOUT_K;
		if (CHAIN && c > 0)
#pragma unroll
			for (int i = 0; i < 2 * W::NB * 4; i++)
				y0[CHAIN ? i / 4 : 0][i % 4] =
				    y[i / 4][i % 4];
		product_wide_sum<E, PANELS>(y, stages, q, at, along, across,
		    lane);
#pragma unroll
		for (int i = 0; i < 2 * W::NB; i++) {
			float4 v = product_scaled(q, at.panel + along * 2 +
			    i / W::NB, lane, make_float4(y[i][0], y[i][1],
			    y[i][2], y[i][3]));

			y[i][0] = v.x;
			y[i][1] = v.y;
			y[i][2] = v.z;
			y[i][3] = v.w;
		}
		if (CHAIN && c > 0)
#pragma unroll
			for (int i = 0; i < 2 * W::NB * 4; i++)
				y[i / 4][i % 4] = __fadd_rn(
				    y0[CHAIN ? i / 4 : 0][i % 4],
				    y[i / 4][i % 4]);
	}

	/* Registers have no index that is not a constant, so each lane puts its
	 * results where a rolled loop finds them. */
	const struct product_part &q = p.part[second];
	const int	 stored = product_stored(q, q.end);
	float4		*mine = reinterpret_cast<float4 *>(stages) +
			    warp * W::NB * 32 + lane;

#pragma unroll
	for (int m = 0; m < 2; m++) {
		const int panel = at.panel + along * 2 + m;

#pragma unroll
		for (int r = 0; r < W::NB; r++)
			st_shared(mine + r * 32, make_float4(
			    y[m * W::NB + r][0], y[m * W::NB + r][1],
			    y[m * W::NB + r][2], y[m * W::NB + r][3]));
#pragma unroll 1
		for (int r = 0; r < W::NB; r++)
			if (panel < stored && at.block + across * W::NB + r <
			    at.blocks)
				product_store<E>(q, p.T, panel, at.block +
				    across * W::NB + r, lane,
				    ld_shared(mine + r * 32));
	}
}

#endif
