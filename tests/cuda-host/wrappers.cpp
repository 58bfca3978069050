/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each function of device.h against its definition, with values whose results
 * are exact.  It is compiled for the CPU like all tests here; nvcc -x cu makes
 * the same program for a GPU, so that both meanings of a wrapper can be
 * compared.  Prints what is wrong; the status is 0 if nothing is.
 */
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "device.h"

static int failures;

/* Report a value that is not as it should be; of each kind, the first ones. */
static void
expect(const char *what, size_t i, double found, double want)
{
	static const char	*last;
	static int		 shown;

	if (found == want)
		return;
	failures++;
	if (last != what)
		shown = 0;
	last = what;
	if (shown++ < 3)
		printf("%s[%zu]: found %g, expected %g\n", what, i, found,
		    want);
}

/* A call of the runtime must work. */
static void
must(cudaError_t e)
{
	if (e == cudaSuccess)
		return;
	printf("%s\n", cudaGetErrorString(e));
	exit(2);
}

/* A copy of v on the device. */
template <typename T>
static T *
up(const std::vector<T> &v)
{
	T *p;

	must(cudaMalloc(&p, v.size() * sizeof(T)));
	must(cudaMemcpy(p, v.data(), v.size() * sizeof(T),
	    cudaMemcpyHostToDevice));
	return (p);
}

/* n elements from the device, after a launch. */
template <typename T>
static std::vector<T>
down(const T *p, size_t n)
{
	std::vector<T> v(n);

	must(cudaGetLastError());
	must(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
	return (v);
}

/* Numbers that repeat late and look random: -range .. range. */
static int
noise(int range)
{
	static uint32_t x = 1;

	x = x * 1664525 + 1013904223;
	return ((int)(x >> 8) % (2 * range + 1) - range);
}

/* ---- matrices: d[16][8] = a[16][K] * b[K][8] + c */

enum { F16, BF16 };

static uint16_t
bits_of(int type, float v)
{
	return (type == F16 ? __half_as_ushort(__float2half_rn(v)) :
	    __bfloat16_as_ushort(__float2bfloat16_rn(v)));
}

/* a[16][16] by ldmatrix_x4 from shared memory, b[16][16] transposed: its left
 * half gives d, its right half d + 128. */
template <int type>
__global__ void
multiply_16(float *d, const uint16_t *a, const uint16_t *b, const float *c)
{
	SHARED_ARRAY(uint16_t, sa, 16 * 24);
	SHARED_ARRAY(uint16_t, sb, 16 * 24);
	int		lane = threadIdx.x, g = lane / 4, t = lane % 4;
	uint32_t	fa[4], fb[4];

	for (int i = lane; i < 256; i += 32) {
		sa[i / 16 * 24 + i % 16] = a[i];
		sb[i / 16 * 24 + i % 16] = b[i];
	}
	SYNC_WARP();
	ldmatrix_x4(fa, sa + lane % 16 * 24 + lane / 16 * 8);
	ldmatrix_x4_trans(fb, sb + lane % 16 * 24 + lane / 16 * 8);
	for (int half = 0; half < 2; half++) {
		float sum[4];

		for (int i = 0; i < 4; i++)
			sum[i] = c[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
		if (type == F16)
			mma_f16(sum, fa, fb + 2 * half);
		else
			mma_bf16(sum, fa, fb + 2 * half);
		for (int i = 0; i < 4; i++)
			d[half * 128 + (g + i / 2 * 8) * 8 + 2 * t + i % 2] =
			    sum[i];
	}
}

template <int type>
static void
check_16(const char *what)
{
	std::vector<uint16_t>	 a(256), b(256);
	std::vector<float>	 fa(256), fb(256), c(128), d;
	float			*out;

	for (int i = 0; i < 256; i++) {
		fa[i] = (float)noise(32) / 8;
		fb[i] = (float)noise(32) / 8;
		c[i / 2] = (float)noise(100);
		/* fp16 has not this range. */
		if (type == BF16 && i < 16)
			fa[i] *= 0x1p60f;
		a[i] = bits_of(type, fa[i]);
		b[i] = bits_of(type, fb[i]);
	}
	/* The first row of bf16 has a sum that c does not change. */
	for (int i = 0; i < 8; i++)
		c[i] = 0;
	must(cudaMalloc(&out, 256 * sizeof *out));
	LAUNCH(multiply_16<type>, 1, 32, 0, 0, out, up(a), up(b), up(c));
	d = down(out, 256);
	for (int i = 0; i < 256; i++) {
		double	sum = c[i % 128];
		int	row = i % 128 / 8, col = i / 128 * 8 + i % 8;

		for (int k = 0; k < 16; k++)
			sum += (double)fa[row * 16 + k] * fb[k * 16 + col];
		expect(what, i, d[i], (float)sum);
	}
}

/* a[16][32] row by row, b[8][32] column by column, words read as they lie. */
__global__ void
multiply_s8(int *d, const uint32_t *a, const uint32_t *b)
{
	int		lane = threadIdx.x, g = lane / 4, t = lane % 4;
	uint32_t	fa[4], fb[2];
	int		sum[4] = { 1, 2, 3, 4 };

	fa[0] = a[g * 8 + t];
	fa[1] = a[(g + 8) * 8 + t];
	fa[2] = a[g * 8 + 4 + t];
	fa[3] = a[(g + 8) * 8 + 4 + t];
	fb[0] = b[g * 8 + t];
	fb[1] = b[g * 8 + 4 + t];
	mma_s8(sum, fa, fb);
	for (int i = 0; i < 4; i++)
		d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sum[i];
}

static void
check_s8()
{
	std::vector<uint32_t>	 a(128), b(64);
	int8_t			*ca = reinterpret_cast<int8_t *>(a.data());
	int8_t			*cb = reinterpret_cast<int8_t *>(b.data());
	std::vector<int>	 d;
	int			*out;

	for (int i = 0; i < 512; i++)
		ca[i] = (int8_t)(i < 32 ? -128 : noise(127));
	for (int i = 0; i < 256; i++)
		cb[i] = (int8_t)(i < 32 ? -128 : noise(127));
	must(cudaMalloc(&out, 128 * sizeof *out));
	LAUNCH(multiply_s8, 1, 32, 0, 0, out, up(a), up(b));
	d = down(out, 128);
	for (int i = 0; i < 128; i++) {
		int row = i / 8, col = i % 8;
		int sum = 1 + col % 2 + row / 8 * 2;

		for (int k = 0; k < 32; k++)
			sum += ca[row * 32 + k] * cb[col * 32 + k];
		expect("mma_s8", i, d[i], sum);
	}
}

/* ---- lanes */

#define LANE_RESULTS	8

__global__ void
lanes(uint32_t *out, const uint32_t *in)
{
	int		lane = threadIdx.x;
	uint32_t	v = in[lane];
	uint32_t	*o = out + lane * LANE_RESULTS;

	o[0] = shfl_xor(v, 5);
	o[1] = shfl_idx(v, lane * 7);
	o[2] = (uint32_t)shfl_xor((int)v, 31);
	o[3] = __float_as_uint(shfl_idx((float)lane, 3));
	o[4] = warp_ballot(v & 1);
	o[5] = (uint32_t)dp4a((int)v, (int)in[lane ^ 1], -7);
	o[6] = lop3<0xca>(v, in[lane ^ 1], in[lane ^ 2]);
	o[7] = lop3<0x96>(v, in[lane ^ 1], in[lane ^ 2]);
}

static void
check_lanes()
{
	std::vector<uint32_t>	 in(32), d;
	uint32_t		*out, odd = 0;

	for (int i = 0; i < 32; i++) {
		in[i] = (uint32_t)noise(1 << 20) * 2654435761u;
		odd |= (in[i] & 1) << i;
	}
	in[0] = in[1] = 0x80808080;
	odd &= ~3u;
	must(cudaMalloc(&out, 32 * LANE_RESULTS * sizeof *out));
	LAUNCH(lanes, 1, 32, 0, 0, out, up(in));
	d = down(out, 32 * LANE_RESULTS);
	for (int i = 0; i < 32; i++) {
		uint32_t	*o = &d[i * LANE_RESULTS];
		uint32_t	 a = in[i], b = in[i ^ 1], c = in[i ^ 2];
		int		 sum = -7;

		for (int k = 0; k < 4; k++)
			sum += (int8_t)(a >> 8 * k) * (int8_t)(b >> 8 * k);
		expect("shfl_xor", i, o[0], in[i ^ 5]);
		expect("shfl_idx", i, o[1], in[i * 7 % 32]);
		expect("shfl_xor of int", i, o[2], in[i ^ 31]);
		expect("shfl_idx of float", i, o[3], 0x40400000);
		expect("warp_ballot", i, o[4], odd);
		expect("dp4a", i, (int)o[5], sum);
		expect("lop3 choice", i, o[6], (a & b) | (~a & c));
		expect("lop3 parity", i, o[7], a ^ b ^ c);
	}
}

/* ---- memory */

#define TILES	7

/* A ring of three tiles of 16 bytes a thread, two of them on their way. */
__global__ void
ring(uint4 *out, const uint4 *in, int n)
{
	DYN_SHARED(uint4, s);
	int i = threadIdx.x, threads = blockDim.x;

	for (int t = 0; t < 2; t++) {
		cp_async16(s + t * threads + i, in + t * threads + i);
		cp_async_commit();
	}
	for (int t = 0; t < TILES; t++) {
		cp_async_wait<1>();
		SYNC_BLOCK();
		uint4 v = ld_shared16(s + t % 3 * threads + threads - 1 - i);

		if (t + 2 < TILES) {
			int at = (t + 2) * threads + i;

			cp_async16(s + (t + 2) % 3 * threads + i,
			    in + (at < n ? at : 0), at < n);
		}
		cp_async_commit();
		st_global16(out + t * threads + i, v);
	}
}

static void
check_ring()
{
	const int		 threads = 64, all = TILES * threads;
	const int		 n = all - 5;
	std::vector<uint4>	 in(n), d;
	uint4			*out;

	for (int i = 0; i < n; i++)
		in[i] = make_uint4(4 * i + 1, 4 * i + 2, 4 * i + 3, 4 * i + 4);
	must(cudaMalloc(&out, all * sizeof *out));
	LAUNCH(ring, 1, threads, 3 * threads * sizeof(uint4), 0, out, up(in),
	    n);
	d = down(out, all);
	for (int i = 0; i < all; i++) {
		int from = i / threads * threads + threads - 1 - i % threads;

		expect("cp_async16 x", i, d[i].x, from < n ? in[from].x : 0);
		expect("cp_async16 w", i, d[i].w, from < n ? in[from].w : 0);
	}
}

/* One word of each way to load, and of each way to store. */
__global__ void
ways(uint32_t *out, const uint32_t *in)
{
	SHARED_ARRAY(uint32_t, s, 32 * 8);
	uint32_t	*mine = s + threadIdx.x * 8;

	in += threadIdx.x * 4;
	out += threadIdx.x * 16;
	st_shared(mine + 4, ld_global(in + 1));
	st_shared16(mine, ldg16(in));
	st_global16(out, load_once(in));
	st_global(out + 4, ldg8(in).y);
	st_global(out + 5, ldg4(in + 2));
	st_global(out + 6, ldg(in + 3));
	st_global(out + 7, ld_shared(mine + 4));
	st_global16(out + 8, ld_shared16(mine));
	st_global(reinterpret_cast<uint2 *>(out + 12), make_uint2(1, 2));
	st_global(reinterpret_cast<unsigned short *>(out + 14),
	    (unsigned short)ldg(reinterpret_cast<const unsigned short *>(in)));
}

static void
check_ways()
{
	std::vector<uint32_t>	 in(128), d;
	uint32_t		*out;

	for (int i = 0; i < 128; i++)
		in[i] = 1000 + i;
	must(cudaMalloc(&out, 32 * 16 * sizeof *out));
	must(cudaMemset(out, 0, 32 * 16 * sizeof *out));
	LAUNCH(ways, 1, 32, 0, 0, out, up(in));
	d = down(out, 32 * 16);
	for (int i = 0; i < 32; i++) {
		static const int from[16] = { 0, 1, 2, 3, 1, 2, 3, 1,
		    0, 1, 2, 3, -1, -2, 0, -3 };

		for (int k = 0; k < 16; k++)
			expect("load and store", i * 16 + k, d[i * 16 + k],
			    from[k] >= 0 ? in[4 * i + from[k]] :
			    from[k] == -3 ? 0 : -from[k]);
	}
}

/* ---- conversions */

/* Widen all 16-bit patterns, and round them back. */
__global__ void
convert(uint32_t *f16, uint32_t *bf16, float *wide)
{
	for (uint32_t i = threadIdx.x; i < 65536; i += blockDim.x) {
		uint32_t	v = i | i << 16;
		float2		a = unpack_f16x2(v), b = unpack_bf16x2(v);

		f16[i] = pack_f16x2(a.x, a.y);
		bf16[i] = pack_bf16x2(b.x, b.y);
		wide[2 * i] = a.x;
		wide[2 * i + 1] = b.y;
	}
}

static void
check_convert()
{
	std::vector<uint32_t>	 f16, bf16;
	std::vector<float>	 wide;
	uint32_t		*a, *b;
	float			*w;

	must(cudaMalloc(&a, 65536 * sizeof *a));
	must(cudaMalloc(&b, 65536 * sizeof *b));
	must(cudaMalloc(&w, 2 * 65536 * sizeof *w));
	LAUNCH(convert, 1, 64, 0, 0, a, b, w);
	f16 = down(a, 65536);
	bf16 = down(b, 65536);
	wide = down(w, 2 * 65536);
	for (uint32_t i = 0; i < 65536; i++) {
		int	e = i >> 10 & 31, m = i & 1023;
		double	v = e == 0 ? ldexp(m, -24) : ldexp(1024 + m, e - 25);
		float	u;
		uint32_t bits = i << 16;

		if ((i & 0x7fff) > 0x7c00)
			expect("NaN of fp16", i, f16[i], 0x7fff7fffu);
		else
			expect("fp16 and back", i, f16[i], i | i << 16);
		if ((i & 0x7fff) > 0x7f80)
			expect("NaN of bf16", i, bf16[i], 0x7fff7fffu);
		else
			expect("bf16 and back", i, bf16[i], i | i << 16);
		if (e < 31)
			expect("fp16", i, wide[2 * i], i >> 15 ? -v : v);
		memcpy(&u, &bits, sizeof u);
		if ((i & 0x7fff) <= 0x7f80)
			expect("bf16", i, wide[2 * i + 1], u);
	}
}

__global__ void
narrow(uint32_t *f16, uint32_t *bf16, const float *in, int n)
{
	for (int i = threadIdx.x; i < n; i += blockDim.x) {
		f16[i] = pack_f16x2(in[i], -in[i]);
		bf16[i] = pack_bf16x2(-in[i], in[i]);
	}
}

__global__ void
halves(uint32_t *low, uint32_t *high, const uint32_t *in)
{
	low[threadIdx.x] = low_f16x2(in[threadIdx.x]);
	high[threadIdx.x] = high_f16x2(in[threadIdx.x]);
}

static void
check_halves()
{
	std::vector<uint32_t>	 in(32), got;
	uint32_t		*low = up(in), *high = up(in);

	for (int i = 0; i < 32; i++)
		in[i] = (uint32_t)(1000 + i) | (uint32_t)(60000 - i) << 16;
	LAUNCH(halves, 1, 32, 0, 0, low, high, up(in));
	got = down(low, 32);
	for (int i = 0; i < 32; i++)
		expect("low_f16x2", i, got[i], (1000 + i) * 65537.0);
	got = down(high, 32);
	for (int i = 0; i < 32; i++)
		expect("high_f16x2", i, got[i], (60000 - i) * 65537.0);
}

/* The positive number of these bits; one step above the largest is 2^16 or
 * 2^128 (as a double). */
static double
number(int type, int bits)
{
	if (type == BF16)
		return (ldexp(bits < 128 ? bits : 128 + bits % 128,
		    (bits < 128 ? 1 : bits / 128) - 134));
	return (ldexp(bits < 1024 ? bits : 1024 + bits % 1024,
	    (bits < 1024 ? 1 : bits / 1024) - 25));
}

/* Between two neighbours: the middle goes to the even one, and the floats
 * beside the middle to the nearer one. */
static void
check_rounding(int type, const char *what)
{
	const int		 all = type == F16 ? 0x7c00 : 0x7f80;
	std::vector<float>	 in;
	std::vector<uint32_t>	 d;
	uint32_t		*a, *b;

	for (int i = 0; i < all; i++) {
		float middle = (float)((number(type, i) +
		    number(type, i + 1)) / 2);

		in.push_back(nextafterf(middle, 0));
		in.push_back(middle);
		in.push_back(nextafterf(middle, INFINITY));
	}
	must(cudaMalloc(&a, in.size() * sizeof *a));
	must(cudaMalloc(&b, in.size() * sizeof *b));
	LAUNCH(narrow, 1, 64, 0, 0, a, b, up(in), (int)in.size());
	d = down(type == F16 ? a : b, in.size());
	for (int i = 0; i < all; i++) {
		uint32_t want[3] = { (uint32_t)i, (uint32_t)(i + i % 2),
		    (uint32_t)i + 1 };

		for (int k = 0; k < 3; k++)
			expect(what, 3 * i + k, d[3 * i + k], type == F16 ?
			    want[k] | (want[k] | 0x8000) << 16 :
			    (want[k] | 0x8000) | want[k] << 16);
	}
}

int
main()
{
	check_16<F16>("mma_f16");
	check_16<BF16>("mma_bf16");
	check_s8();
	check_lanes();
	check_ring();
	check_ways();
	check_convert();
	check_halves();
	check_rounding(F16, "fp16 rounded");
	check_rounding(BF16, "bf16 rounded");
	return (failures > 0);
}
