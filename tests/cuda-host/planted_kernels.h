/* SPDX-License-Identifier: Apache-2.0 */
/* A part of planted.cpp: mistakes inside of kernels. */
#ifndef PLANTED_KERNELS_H
#define PLANTED_KERNELS_H

/* ---- barriers of blocks */

template <bool right>
__global__ void
write_read(float *out, const float *in)
{
	SHARED_ARRAY(float, s, N);
	int i = threadIdx.x;

	s[i] = in[i];
	if (right)
		SYNC_BLOCK();
	out[i] = s[N - 1 - i];
}

template <bool right>
static void
run_write_read()
{
	float *out = device_floats(N);

	LAUNCH(write_read<right>, 1, N, 0, 0, out, device_floats(N));
	std::vector<float> v = host_floats(out, N);
	for (int i = 0; i < N; i++)
		expect("mirrored", v[i], N - i);
}

/* Two sums through one array, as in a layer norm. */
template <bool right>
__global__ void
read_write(float *out, const float *in)
{
	SHARED_ARRAY(float, s, N / 32);
	int	i = threadIdx.x;
	float	sum = warp_sum(in[i]), squares = 0, all = 0;

	if (i % 32 == 0)
		s[i / 32] = sum;
	SYNC_BLOCK();
	for (int w = 0; w < N / 32; w++)
		all += s[w];
	if (right)
		SYNC_BLOCK();
	sum = warp_sum(in[i] * in[i]);
	if (i % 32 == 0)
		s[i / 32] = sum;
	SYNC_BLOCK();
	for (int w = 0; w < N / 32; w++)
		squares += s[w];
	out[i] = all;
	out[N + i] = squares;
}

template <bool right>
static void
run_read_write()
{
	float *out = device_floats(2 * N);

	LAUNCH(read_write<right>, 1, N, 0, 0, out, device_floats(N));
	std::vector<float> v = host_floats(out, 2 * N);
	for (int i = 0; i < N; i++) {
		expect("sum", v[i], N * (N + 1) / 2);
		expect("squares", v[N + i], N * (N + 1) * (2 * N + 1) / 6);
	}
}

template <bool right>
__global__ void
two_barriers(float *out)
{
	SHARED_ARRAY(float, s, N);
	int i = threadIdx.x;

	s[i] = (float)i;
	if (right || i < 32)
		SYNC_BLOCK();
	else
		SYNC_BLOCK();
	out[i] = s[N - 1 - i];
}

template <bool right>
static void
run_two_barriers()
{
	float *out = device_floats(N);

	LAUNCH(two_barriers<right>, 1, N, 0, 0, out);
	expect("mirrored", host_floats(out, N)[0], N - 1);
}

/* ---- warps */

template <bool right>
__global__ void
warp_memory(float *out)
{
	SHARED_ARRAY(float, s, 32);
	int i = threadIdx.x;

	s[i] = (float)i;
	if (right)
		SYNC_WARP();
	out[i] = s[min(i + 1, 31)];
}

template <bool right>
static void
run_warp_memory()
{
	float *out = device_floats(32);

	LAUNCH(warp_memory<right>, 1, 32, 0, 0, out);
	std::vector<float> v = host_floats(out, 32);
	for (int i = 0; i < 31; i++)
		expect("next", v[i], i + 1);
}

template <bool right>
__global__ void
shuffle_barrier(float *out)
{
	SHARED_ARRAY(float, s, 32);
	int	i = threadIdx.x;
	float	sum;

	s[i] = (float)i;
	sum = warp_sum((float)i);
	if (right)
		SYNC_WARP();
	out[i] = s[min(i + 1, 31)] + sum;
}

template <bool right>
static void
run_shuffle_barrier()
{
	float *out = device_floats(32);

	LAUNCH(shuffle_barrier<right>, 1, 32, 0, 0, out);
	std::vector<float> v = host_floats(out, 32);
	for (int i = 0; i < 31; i++)
		expect("next and sum", v[i], i + 1 + 496);
}

template <bool right>
__global__ void
half_warp(float *out)
{
	int	i = threadIdx.x;
	float	v = (float)i;

	if (right || i < 16)
		v = shfl_xor(v, 1);
	out[i] = v;
}

template <bool right>
static void
run_half_warp()
{
	float *out = device_floats(32);

	LAUNCH(half_warp<right>, 1, 32, 0, 0, out);
	expect("neighbour", host_floats(out, 32)[0], 1);
}

template <bool right>
__global__ void
early_return(float *out, int n)
{
	int	i = threadIdx.x;
	float	v = (float)i;

	if (!right && i >= n)
		return;
	v = warp_sum(i < n ? v : 0);
	if (i < n)
		out[i] = v;
}

template <bool right>
static void
run_early_return()
{
	float *out = device_floats(32);

	LAUNCH(early_return<right>, 1, 32, 0, 0, out, 20);
	expect("sum", host_floats(out, 32)[0], 190);
}

/* ---- memory */

template <bool right>
__global__ void
shared_small(float *out)
{
	SHARED_ARRAY(float, s, right ? N : N - 1);
	float	*p = s;
	int	 i = threadIdx.x;

	p[i] = (float)i;
	SYNC_BLOCK();
	out[i] = p[N - 1 - i];
}

template <bool right>
static void
run_shared_small()
{
	float *out = device_floats(N);

	LAUNCH(shared_small<right>, 1, N, 0, 0, out);
	expect("mirrored", host_floats(out, N)[0], N - 1);
}

template <bool right>
__global__ void
dynamic_small(float *out)
{
	DYN_SHARED(float, s);
	int i = threadIdx.x;

	s[i] = (float)i;
	SYNC_BLOCK();
	out[i] = s[N - 1 - i];
}

template <bool right>
static void
run_dynamic_small()
{
	float *out = device_floats(N);

	LAUNCH(dynamic_small<right>, 1, N, (right ? N : N - 1) * sizeof(float),
	    0, out);
	expect("mirrored", host_floats(out, N)[0], N - 1);
}

template <bool right>
__global__ void
global_end(float *out, const float *in, int n)
{
	int i = threadIdx.x;

	if (right ? i < n : i <= n)
		out[i] = in[i];
}

template <bool right>
static void
run_global_end()
{
	float *out = device_floats(N);

	LAUNCH(global_end<right>, 1, N, 0, 0, out, device_floats(100), 100);
	expect("copied", host_floats(out, N)[99], 100);
}

template <bool right>
__global__ void
async_wait(float *out, const float *in)
{
	SHARED_ARRAY(float, s, N);
	int i = threadIdx.x;

	if (i < N / 4)
		cp_async16(s + 4 * i, in + 4 * i);
	cp_async_commit();
	if (right)
		cp_async_wait<0>();
	SYNC_BLOCK();
	out[i] = s[i];
}

template <bool right>
static void
run_async_wait()
{
	float *out = device_floats(N);

	LAUNCH(async_wait<right>, 1, N, 0, 0, out, device_floats(N));
	expect("copied", host_floats(out, N)[1], 2);
}

template <bool right>
__global__ void
add_blocks(int *total)
{
	if (threadIdx.x != 0)
		return;
	if (right)
		atomicAdd(total, 1);
	else
		*total += 1;
}

template <bool right>
static void
run_add_blocks()
{
	int *total, sum;

	cudaMalloc(&total, sizeof *total);
	cudaMemset(total, 0, sizeof *total);
	LAUNCH(add_blocks<right>, 8, 32, 0, 0, total);
	expect("launch", cudaGetLastError(), 0);
	cudaMemcpy(&sum, total, sizeof sum, cudaMemcpyDeviceToHost);
	expect("blocks", sum, 8);
}

template <bool right>
__global__ void
shared_unwritten(float *out)
{
	SHARED_ARRAY(float, s, N);
	int i = threadIdx.x;

	if (right || i != 7)
		s[i] = 1;
	SYNC_BLOCK();
	out[i] = s[N - 1 - i];
}

template <bool right>
static void
run_shared_unwritten()
{
	float *out = device_floats(N);

	LAUNCH(shared_unwritten<right>, 1, N, 0, 0, out);
	std::vector<float> v = host_floats(out, N);
	for (int i = 0; i < N; i++)
		expect("one", v[i], 1);
}

__global__ void
misaligned(float *out, const float *in)
{
	const volatile float4 *p =
	    reinterpret_cast<const volatile float4 *>(in);

	out[threadIdx.x] = p[threadIdx.x].y;
}

template <bool right>
static void
run_misaligned()
{
	float *out = device_floats(32);

	LAUNCH(misaligned, 1, 32, 0, 0, out,
	    device_floats(129) + (right ? 0 : 1));
	expect("second", host_floats(out, 32)[0], right ? 2 : 3);
}

__global__ void
misaligned_wrapper(uint4 *out, const float *in)
{
	out[threadIdx.x] = load_once(in + 4 * threadIdx.x);
}

template <bool right>
static void
run_misaligned_wrapper()
{
	float *out = device_floats(128);

	LAUNCH(misaligned_wrapper, 1, 32, 0, 0, reinterpret_cast<uint4 *>(out),
	    device_floats(129) + (right ? 0 : 1));
	expect("second", host_floats(out, 32)[1], right ? 2 : 3);
}

#endif
