/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of activations with a matrix of weights (cuda_kernels.h).  Weights
 * are the operand A of mma: 16 outputs; activations the operand B: 8 rows.
 * int8 and int4 become fp16 in registers.
 *
 * Two kernels do the same arithmetic.  product_narrow is for few rows, and its
 * time is that of reading the weights: warp w of a block sums range w of K for
 * all rows.  product_wide is for many rows, and its time is that of the tensor
 * cores: a warp sums the ranges one after the other for its part of a tile.  In
 * both, a range is summed from zero by mma of 16 columns, ascending; a total
 * that starts from zero gets the sums of the ranges that are not empty,
 * ascending; then y = fma(total, scale, bias).
 */
#include "product.h"

#define PRODUCT_WARPS	8	/* of a block, in both kernels */
#define PRODUCT_THREADS	(32 * PRODUCT_WARPS)

static_assert(PRODUCT_WARPS == PRODUCT_RANGES, "a warp has a range");

/* ---- few rows */

/*
 * Shape of product_narrow for M panels and NT blocks of rows.
 *
 * RING units of each panel are in flight for a warp, 2 to 4.6 KiB:
 *
 *			    M = 1   M = 2   M = 4	KiB a warp
 *   fp16, bf16 (1 KiB)	      4	      2	      -		4
 *   int8     (0.5 KiB)	      8	      4	      2		4
 *   int4  (0.5625 KiB)	      4	      2	      2		2.3, 2.3, 4.5
 *
 * A multiprocessor holds 8 warps with at most 255 registers a thread, 16 with
 * 128 and 24 with 80: 32 KiB to 96 KiB of weights are in flight on it, 18 KiB
 * to 54 KiB for int4.  An H100 needs 3.35 TB/s * 0.7 us / 132 = 18 KiB, an A100
 * 2 TB/s * 0.6 us / 108 = 11 KiB.  Activations come from L2, which is nearer:
 * ACTS loads of 32 columns are in flight for each block of rows.
 */
template <enum cuda_elem E, int M, int NT>
struct product_narrow_shape {
	static constexpr int RING = E == CUDA_I8 ? 8 / M :
	    E == CUDA_I4 ? (M == 1 ? 4 : 2) : 4 / M;
	static constexpr int STEPS = RING * product_shape<E>::K32;
	static constexpr int MOST = NT <= 2 ? 4 : NT == 4 ? 2 : 1;
	static constexpr int ACTS = MOST < STEPS ? MOST : STEPS;
	static constexpr int PIECES = M * NT;		/* fragments */
	static constexpr int PASS = PIECES < PRODUCT_WARPS ? PIECES :
	    PRODUCT_WARPS;
	static constexpr int BLOCKS = PIECES <= 2 ? 3 : PIECES <= 8 ? 2 : 1;
};

/* Where a lane reads in a part. */
template <enum cuda_elem E, int M, int NT>
struct product_source {
	const unsigned char *w[M];	/* first unit of the range */
	const unsigned char *in[NT];	/* first 32 columns of the range */
	int		 units;		/* in the range */
	int		 panels;	/* up to M that exist */
};

/* Load unit i of all panels; what is after the last panel stays as it is. */
template <enum cuda_elem E, int M, int NT>
__device__ __forceinline__ void
product_narrow_weights(struct product_unit<E> u[M],
    const struct product_source<E, M, NT> &s, int i, int lane)
{
#pragma unroll
	for (int m = 0; m < M; m++)
		if (m < s.panels)
			product_unit_load<E>(&u[m],
			    s.w[m] + i * product_shape<E>::BYTES, lane);
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

/*
 * Add a range to d from zero: warp.
 *
 * Lane instructions for a weight, counted by hand in the code below: a lane has
 * 32 weights of a tile.  Unpacking: int4 4 words of 12 and a shift, 4 for the
 * scales, 56; int8 8 pairs of 2, 32... each load and mma counts one, and each
 * loop over RING units adds two for each pointer.
 */
template <enum cuda_elem E, int M, int NT>
__device__ __forceinline__ void
product_narrow_range(float d[M * NT][4], struct product_source<E, M, NT> s,
    int lane)
{
	typedef struct product_narrow_shape<E, M, NT> N;
	const int		 K32 = product_shape<E>::K32;
	struct product_unit<E>	 ring[N::RING][M];
	uint4			 b[N::ACTS][NT];
	uint32_t		 a[4];

#pragma unroll
	for (int i = 0; i < M * NT; i++)
		d[i][0] = d[i][1] = d[i][2] = d[i][3] = 0.0f;
#pragma unroll
	for (int j = 0; j < N::RING; j++) {
#pragma unroll
		for (int m = 0; m < M; m++)
			product_unit_zero<E>(&ring[j][m]);
		if (j < s.units)
			product_narrow_weights<E, M, NT>(ring[j], s, j, lane);
	}
#pragma unroll
	for (int j = 0; j < N::ACTS; j++)
		if (j < s.units * K32)
			product_narrow_acts<E, M, NT>(b[j], s, j);
	while (s.units > 0) {
#pragma unroll
		for (int j = 0; j < N::RING; j++) {
			if (j >= s.units)
				break;
#pragma unroll
			for (int h = 0; h < K32; h++) {
				const int i = j * K32 + h;

#pragma unroll
				for (int k = 0; k < 2; k++)
#pragma unroll
				for (int m = 0; m < M; m++) {
					product_operand<E>(a, ring[j][m],
					    2 * h + k);
#pragma unroll
					for (int r = 0; r < NT; r++) {
						uint4 v = b[i % N::ACTS][r];

						product_mma<E>(d[m * NT + r], a,
						    k ? v.z : v.x,
						    k ? v.w : v.y);
					}
				}
				if (i + N::ACTS < s.units * K32)
					product_narrow_acts<E, M, NT>(
					    b[i % N::ACTS], s, i + N::ACTS);
			}
			if (j + N::RING < s.units)
				product_narrow_weights<E, M, NT>(ring[j], s,
				    j + N::RING, lane);
		}
		s.units -= N::RING;
#pragma unroll
		for (int m = 0; m < M; m++)
			s.w[m] += N::RING * product_shape<E>::BYTES;
#pragma unroll
		for (int r = 0; r < NT; r++)
			s.in[r] += N::STEPS * 512;
	}
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
		for (int m = 0; m < M; m++)
			s.w[m] = static_cast<const unsigned char *>(q.w) +
			    ((size_t)(panel + m) * (size_t)tiles +
			    (size_t)tile) * (size_t)layout_tile(E);
#pragma unroll
		for (int r = 0; r < NT; r++)
			s.in[r] = static_cast<const unsigned char *>(q.in) +
			    ((size_t)min(r, blocks - 1) * (size_t)tiles +
			    (size_t)tile) * 1024 + (size_t)lane * 16;
		product_narrow_range<E, M, NT>(d, s, lane);

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

/* ---- many rows */

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
	static constexpr int BLOCKS = NB == 8 ? 1 : 2;
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
	const int	 TILE = product_shape<E>::TILE;
	const unsigned char *w = static_cast<const unsigned char *>(q.w);
	const unsigned char *in = static_cast<const unsigned char *>(q.in);

#pragma unroll
	for (int i = (int)threadIdx.x; i < W::WEIGHTS / 16;
	    i += PRODUCT_THREADS) {
		bool use = at.panel + i / UNIT < at.panels;
		size_t panel = (size_t)(use ? at.panel + i / UNIT : at.panel);

		cp_async16(stage + i * 16, w + (panel * (size_t)at.tiles *
		    (size_t)TILE + (size_t)u) * (size_t)(UNIT * 16) +
		    (size_t)(i % UNIT * 16), use);
	}
#pragma unroll
	for (int i = (int)threadIdx.x; i < W::ACTS / 16;
	    i += PRODUCT_THREADS) {
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
	uint4			 b;

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
		for (int r = 0; r < W::NB; r++) {
			b = ld_shared16(stage + W::WEIGHTS +
			    ((across * W::NB + r) * K32 + h) * 512 +
			    lane * 16);
#pragma unroll
			for (int m = 0; m < 2; m++)
				product_mma<E>(d[m * W::NB + r], a[0][m], b.x,
				    b.y);
#pragma unroll
			for (int m = 0; m < 2; m++)
				product_mma<E>(d[m * W::NB + r], a[1][m], b.z,
				    b.w);
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
template <enum cuda_elem E, int PANELS>
static __global__ void
__launch_bounds__(PRODUCT_THREADS, product_wide_shape<E, PANELS>::BLOCKS)
product_wide(const struct product p, int first)
{
	typedef struct product_wide_shape<E, PANELS> W;
	SHARED_ARRAY(unsigned char, stages, W::STAGES * W::STAGE);
	const int	 lane = (int)threadIdx.x % 32;
	const int	 warp = (int)threadIdx.x / 32;
	const int	 along = warp % W::ALONG, across = warp / W::ALONG;
	const int	 group = (int)blockIdx.y;
	const bool	 second = !p.chain && group >= first;
	const bool	 chain = PANELS == 4 && p.chain && p.n == 2;
	struct product_tile at;
	float		 y[2 * W::NB][4], y0[PANELS == 4 ? 2 * W::NB : 1][4];

	at.panel = (second ? group - first : group) * PANELS;
	at.block = (int)blockIdx.x * PRODUCT_TALL;
	at.blocks = layout_pad(p.T, LAYOUT_ROWS) / LAYOUT_ROWS;
#pragma unroll 1
	for (int c = 0; c < 1 + chain; c++) {
		const struct product_part &q = p.part[second ? 1 : c];

		at.panels = product_panels(q);
		at.tiles = layout_pad(q.K, LAYOUT_K) / LAYOUT_K;
		if (PANELS == 4 && c > 0)
#pragma unroll
			for (int i = 0; i < 2 * W::NB * 4; i++)
				y0[PANELS == 4 ? i / 4 : 0][i % 4] =
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
		if (PANELS == 4 && c > 0)
#pragma unroll
			for (int i = 0; i < 2 * W::NB * 4; i++)
				y[i / 4][i % 4] = __fadd_rn(
				    y0[PANELS == 4 ? i / 4 : 0][i % 4],
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

/* ---- choice and launch */

#define PRODUCT_BLOCKS	256	/* blocks that fill a card: two for each of 128
				 * multiprocessors */

/* Blocks of the parts if each block has M panels: *first gets those of the
 * first part. */
static int
product_count(const struct product &p, int M, int *first)
{
	int count = 0;

	for (int i = 0; i < (p.chain ? 1 : p.n); i++) {
		count += (product_stored(p.part[i], p.part[i].end) + M - 1) / M;
		if (i == 0)
			*first = count;
	}
	return (count);
}

/* The most panels of a block, up to M, that still fill a card. */
static int
product_choose(const struct product &p, int M)
{
	int first;

	while (M > 1 && product_count(p, M, &first) < PRODUCT_BLOCKS)
		M /= 2;
	return (M);
}

template <enum cuda_elem E, int M, int NT>
static void
product_start(const struct product &p, cudaStream_t s)
{
	int first, count = product_count(p, M, &first);

	LAUNCH((product_narrow<E, M, NT>), count, PRODUCT_THREADS, 0, s, p,
	    first);
}

/* Weights of 16 bits never have 4 panels: their ring would not fit. */
template <enum cuda_elem E, int NT>
static void
product_start_narrow(const struct product &p, cudaStream_t s)
{
	constexpr bool small = E == CUDA_I8 || E == CUDA_I4;

	switch (product_choose(p, small ? 4 : 2)) {
	case 4:
		product_start<E, small ? 4 : 2, NT>(p, s);
		break;
	case 2:
		product_start<E, 2, NT>(p, s);
		break;
	default:
		product_start<E, 1, NT>(p, s);
		break;
	}
}

template <enum cuda_elem E, int PANELS>
static void
product_start_wide(const struct product &p, cudaStream_t s)
{
	int first, count = product_count(p, PANELS, &first);
	int rows = PRODUCT_TALL * LAYOUT_ROWS;

	LAUNCH((product_wide<E, PANELS>), dim3((unsigned)((p.T + rows - 1) /
	    rows), (unsigned)count), PRODUCT_THREADS, 0, s, p, first);
}

template <enum cuda_elem E>
static void
product_start_elem(const struct product &p, cudaStream_t s)
{
	const int rows = PRODUCT_TALL * LAYOUT_ROWS;
	int first;

	if (p.T > PRODUCT_NARROW) {
		/* a chain keeps two results in registers: small tiles only */
		if (p.chain || (p.T + rows - 1) / rows *
		    product_count(p, 8, &first) < PRODUCT_BLOCKS)
			product_start_wide<E, 4>(p, s);
		else
			product_start_wide<E, 8>(p, s);
	} else if (p.T > 32)
		product_start_narrow<E, 8>(p, s);
	else if (p.T > 16)
		product_start_narrow<E, 4>(p, s);
	else if (p.T > 8)
		product_start_narrow<E, 2>(p, s);
	else
		product_start_narrow<E, 1>(p, s);
}

cudaError_t
product_launch(const struct product *p, cudaStream_t s)
{
	switch (p->elem) {
	case CUDA_F16:
		product_start_elem<CUDA_F16>(*p, s);
		break;
	case CUDA_BF16:
		product_start_elem<CUDA_BF16>(*p, s);
		break;
	case CUDA_I8:
		product_start_elem<CUDA_I8>(*p, s);
		break;
	case CUDA_I4:
		product_start_elem<CUDA_I4>(*p, s);
		break;
	default:
		return (cudaErrorInvalidValue);
	}
	return (cudaGetLastError());
}
