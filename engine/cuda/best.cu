/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest logits of each row, so that few bytes go back to the host.  A
 * block has one row.
 *
 * One logit: each thread finds its largest, then the block theirs.  More, k:
 * the k largest of the threads' largest are k logits, so none that is below the
 * k-th of them is among the k largest of the row.  The others are gathered and
 * sorted.  They are seldom many more than k; if there is no room for all of
 * them, the k-th of those gathered is a narrower bound, and they are gathered
 * again.  The order of items is total, so the result does not depend on which
 * thread comes first.
 */
#include "cuda_kernels.h"
#include "device.h"

#define BEST_THREADS	512	/* at least BEST_MAX */
#define BEST_ROOM	1024	/* items that are sorted: a power of two */
#define BEST_LOADS	4	/* of 16 bytes, on their way at once */

static_assert(BEST_MAX <= BEST_THREADS && BEST_THREADS <= BEST_ROOM,
    "each thread has an item");

/* A logit: its key grows with its value after the penalty. */
struct best_item {
	uint64_t	 key;
	int32_t		 id;
};

/* Items in shared memory. */
struct best_list {
	uint64_t	*key;
	int32_t		*id;
};

/* Keys of the infinities; what is outside of them is NaN or no item. */
#define BEST_HIGH	0xfff0000000000000u
#define BEST_LOW	0x000fffffffffffffu

/* Less than any item. */
__device__ __forceinline__ struct best_item
best_none()
{
	return { 0, INT32_MAX };
}

/* Is a the larger item? Of equal values the lower id is larger. */
__device__ __forceinline__ bool
best_before(struct best_item a, struct best_item b)
{
	return (a.key != b.key ? a.key > b.key : a.id < b.id);
}

/* The bits of x as a double. Integers make them, since many GPUs convert only
 * two numbers a clock; zero, denormal and infinite numbers are rare. */
__device__ __forceinline__ uint64_t
best_widen(float x)
{
	const uint32_t	 b = __float_as_uint(x), e = b >> 23 & 255;

	if (e == 0 || e == 255)
		return (double_bits((double)x));
	return ((uint64_t)(b >> 31) << 63 |
	    (((uint64_t)(b & 0x7fffffff) << 29) + ((uint64_t)896 << 52)));
}

/* The key of a logit that is divided by penalty, or multiplied if it is not
 * positive, unless penalty is 0. NaN has the largest key. */
__device__ __forceinline__ uint64_t
best_key(float x, double penalty)
{
	uint64_t b;

	if (x != x)
		return (UINT64_MAX);
	b = penalty == 0 ? best_widen(x) : double_bits(x > 0 ?
	    (double)x / penalty : (double)x * penalty);
	if (b << 1 == 0)	/* -0 equals 0 */
		b = 0;
	return (b >> 63 ? ~b : b | (uint64_t)1 << 63);
}

/* A row's logits, as its block sees them. */
struct best_in {
	const float	*x;		/* [V] */
	const uint32_t	*seen;		/* the ids with the penalty, or NULL */
	double		 penalty;
	int		 V;
};

/* Logits i to i + 3, as far as they are there; i is a multiple of 4. With WIDE,
 * V is, too. */
template <bool WIDE>
__device__ __forceinline__ float4
best_load(const struct best_in &in, int i)
{
	float4 v = make_float4(0, 0, 0, 0);

	if (WIDE)
		return (i < in.V ? ldg(reinterpret_cast<const float4 *>(in.x +
		    i)) : v);
	v.x = i < in.V ? ldg(in.x + i) : 0;
	v.y = i + 1 < in.V ? ldg(in.x + i + 1) : 0;
	v.z = i + 2 < in.V ? ldg(in.x + i + 2) : 0;
	v.w = i + 3 < in.V ? ldg(in.x + i + 3) : 0;
	return (v);
}

/* Call each(item) for this thread's items, by ascending ids. */
template <bool WIDE, typename F>
__device__ __forceinline__ void
best_each(const struct best_in &in, F each)
{
	const int step = 4 * BEST_THREADS;

	for (int first = 4 * (int)threadIdx.x; first < in.V;
	    first += BEST_LOADS * step) {
		float4 v[BEST_LOADS];

		for (int n = 0; n < BEST_LOADS; n++)
			v[n] = best_load<WIDE>(in, first + n * step);
		for (int n = 0; n < BEST_LOADS; n++) {
			const int	 i = first + n * step;
			const float	 x[4] = { v[n].x, v[n].y, v[n].z,
					    v[n].w };
			const uint32_t	 seen = in.seen != NULL && i < in.V ?
					    ldg(in.seen + i / 32) >> i % 32 : 0;

			for (int j = 0; j < 4; j++)
				if (i + j < in.V)
					each({ best_key(x[j], seen >> j & 1 ?
					    in.penalty : 0), i + j });
		}
	}
}

/* This thread's largest item. */
template <bool WIDE>
__device__ __forceinline__ struct best_item
best_own(const struct best_in &in)
{
	struct best_item top = best_none();

	best_each<WIDE>(in, [&top](struct best_item v) {
		if (best_before(v, top))
			top = v;
	});
	return (top);
}

/* The largest of the items v of a warp, to all its lanes: warp. */
__device__ __forceinline__ struct best_item
best_warp(struct best_item v)
{
	for (int i = 16; i > 0; i /= 2) {
		const uint32_t		 low = shfl_xor((uint32_t)v.key, i);
		const uint32_t		 high = shfl_xor((uint32_t)(v.key >>
					    32), i);
		const struct best_item	 w = { (uint64_t)high << 32 | low,
					    shfl_xor(v.id, i) };

		if (best_before(w, v))
			v = w;
	}
	return (v);
}

/* Item i of a list. */
__device__ __forceinline__ struct best_item
best_get(const struct best_list &list, int i)
{
	return { ld_shared(list.key + i), ld_shared(list.id + i) };
}

__device__ __forceinline__ void
best_put(const struct best_list &list, int i, struct best_item v)
{
	st_shared(list.key + i, v.key);
	st_shared(list.id + i, v.id);
}

/* The largest of the items v of the block, to its first warp. */
__device__ __forceinline__ struct best_item
best_block(struct best_item v, const struct best_list &list)
{
	v = best_warp(v);
	if (threadIdx.x % 32 == 0)
		best_put(list, (int)threadIdx.x / 32, v);
	SYNC_BLOCK();
	v = best_none();
	if (threadIdx.x < BEST_THREADS / 32)
		v = best_get(list, (int)threadIdx.x);
	return (best_warp(v));
}

/* Sort n items, a power of two from 2 to BEST_ROOM, the largest first, by
 * Batcher's bitonic network. All threads of the block call it after a barrier,
 * and it ends with one. */
__device__ __forceinline__ void
best_sort(const struct best_list &list, int n)
{
	for (int size = 2; size <= n; size *= 2)
		for (int far = size / 2; far > 0; far /= 2) {
			const int t = (int)threadIdx.x;
			const int i = 2 * t - (t & (far - 1));

			if (t < n / 2) {
				const struct best_item a = best_get(list, i);
				const struct best_item b = best_get(list,
				    i + far);

				if (best_before(b, a) == ((i & size) == 0)) {
					best_put(list, i, b);
					best_put(list, i + far, a);
				}
			}
			SYNC_BLOCK();
		}
}

/* Gather the items that are not below bound, as far as there is room, and sort
 * them. Returns their number. The list is overwritten after the first
 * barrier. */
template <bool WIDE>
__device__ __forceinline__ int
best_gather(const struct best_in &in, struct best_item bound,
    const struct best_list &list, int *count)
{
	int n, size = 2;

	if (threadIdx.x == 0)
		st_shared(count, 0);
	SYNC_BLOCK();
	best_each<WIDE>(in, [&](struct best_item v) {
		if (best_before(bound, v))
			return;
		const int at = atomicAdd(count, 1);

		if (at < BEST_ROOM)
			best_put(list, at, v);
	});
	SYNC_BLOCK();
	n = ld_shared(count);
	while (size < n && size < BEST_ROOM)
		size *= 2;
	for (int i = n + (int)threadIdx.x; i < size; i += BEST_THREADS)
		best_put(list, i, best_none());
	SYNC_BLOCK();
	best_sort(list, size);
	return (n);
}

/* Leave the k largest items in list. Is the row bad? Then they are not
 * there. */
template <bool WIDE>
__device__ __forceinline__ bool
best_select(const struct best_in &in, int k, const struct best_list &list,
    int *count)
{
	struct best_item	 bound;
	int			 n;

	best_put(list, (int)threadIdx.x, best_own<WIDE>(in));
	SYNC_BLOCK();
	best_sort(list, BEST_THREADS);
	bound = best_get(list, 0);
	if (bound.key >= BEST_HIGH || bound.key <= BEST_LOW)
		return (true);
	do {
		bound = best_get(list, k - 1);
		n = best_gather<WIDE>(in, bound, list, count);
	} while (n > BEST_ROOM);
	return (false);
}

/* The results of row blockIdx.x. */
template <bool WIDE>
__global__ void __launch_bounds__(BEST_THREADS)
best_kernel(struct best b)
{
	SHARED_ARRAY(uint64_t, key, BEST_ROOM);
	SHARED_ARRAY(int32_t, id, BEST_ROOM);
	SHARED_ARRAY(int, count, 1);
	const struct best_row	*row = b.rows + blockIdx.x;
	const struct best_list	 list = { key, id };
	const int		 k = ldg(&row->k), seen = ldg(&row->seen);
	int32_t			*out = b.out + ldg(&row->out);
	struct best_in		 in = { b.logits + (size_t)blockIdx.x *
				    (size_t)b.V, NULL, 0, b.V };
	struct best_item	 top;

	if (seen >= 0) {
		in.seen = b.seen + (size_t)seen * (size_t)best_words(b.V);
		in.penalty = ldg(&row->penalty);
	}
	if (k == 1) {
		top = best_block(best_own<WIDE>(in), list);
		if (threadIdx.x == 0)
			st_global(out, top.key >= BEST_HIGH ||
			    top.key <= BEST_LOW ? -1 : top.id);
	} else if (k > 1 && best_select<WIDE>(in, k, list, count)) {
		if (threadIdx.x == 0)
			st_global(out, -1);
	} else if ((int)threadIdx.x < k) {
		top = best_get(list, (int)threadIdx.x);
		st_global(out + threadIdx.x, top.id);
		st_global(out + k + threadIdx.x, __float_as_int(ldg(in.x +
		    top.id)));
	}
}

cudaError_t
best_launch(const struct best *b, cudaStream_t s)
{
	if (b->T <= 0)
		return (cudaSuccess);
	if (b->V % 4 == 0 && reinterpret_cast<uintptr_t>(b->logits) % 16 == 0)
		LAUNCH((best_kernel<true>), b->T, BEST_THREADS, 0, s, *b);
	else
		LAUNCH((best_kernel<false>), b->T, BEST_THREADS, 0, s, *b);
	return (cudaGetLastError());
}
