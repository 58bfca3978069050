/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typical mistakes of CUDA code, each in its right and its wrong form, to see
 * what finds them: test_cuda_host.py has the table.
 *
 *	planted NAME right|wrong ORDER...
 *
 * runs a case in a process for each order (simt.h: $SIMT_ORDER) and prints
 * "ORDER: STATUS" for it: 0 if the result is right, 1 if not.  "planted list"
 * prints the names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

#include "device.h"

#define N	128		/* threads of most blocks */

/* End with what the caller is told: what was found in place of want. */
static void
expect(const char *what, double found, double want)
{
	if (found == want)
		return;
	printf("%s: found %g, expected %g\n", what, found, want);
	fflush(stdout);
	_exit(1);
}

/* n floats on the device: 1, 2, 3 ... */
static float *
device_floats(int n)
{
	std::vector<float>	 v(n);
	float			*p;

	for (int i = 0; i < n; i++)
		v[i] = (float)(i + 1);
	cudaMalloc(&p, n * sizeof *p);
	cudaMemcpy(p, v.data(), n * sizeof *p, cudaMemcpyHostToDevice);
	return (p);
}

/* n floats of the device, here. */
static std::vector<float>
host_floats(const float *p, int n)
{
	std::vector<float> v(n);

	expect("launch", cudaGetLastError(), 0);
	cudaMemcpy(v.data(), p, n * sizeof *p, cudaMemcpyDeviceToHost);
	return (v);
}

/* The sum of v over the warp. */
__device__ __forceinline__ float
warp_sum(float v)
{
	for (int mask = 16; mask > 0; mask /= 2)
		v += shfl_xor(v, mask);
	return (v);
}

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

/* ---- host and device */

template <bool right>
static void
run_host_reads()
{
	float	*p = device_floats(1);
	float	 v = right ? host_floats(p, 1)[0] :
		    *static_cast<volatile float *>(p);

	expect("value", v, 1);
}

__global__ void
copy(float *out, const float *in, int n)
{
	if ((int)threadIdx.x < n)
		out[threadIdx.x] = in[threadIdx.x];
}

template <bool right>
static void
run_after_free()
{
	float *out = device_floats(32), *in = device_floats(32);

	if (!right)
		cudaFree(in);
	LAUNCH(copy, 1, 32, 0, 0, out, in, 32);
	expect("value", host_floats(out, 32)[1], 2);
}

template <bool right>
static void
run_host_pointer()
{
	float	*out = device_floats(32), *in = device_floats(32);
	float	*host = static_cast<float *>(calloc(32, sizeof *host));

	LAUNCH(copy, 1, 32, 0, 0, out, right ? in : host, 32);
	expect("value", host_floats(out, 32)[1], right ? 2 : 0);
	free(host);
}

struct buffers {
	float	*out;
	float	*in;
};

__global__ void
copy_struct(struct buffers b)
{
	b.out[threadIdx.x] = b.in[threadIdx.x];
}

template <bool right>
static void
run_host_pointer_in_struct()
{
	float		*host = static_cast<float *>(calloc(32, sizeof *host));
	struct buffers	 b = { device_floats(32), device_floats(32) };

	if (!right)
		b.in = host;
	LAUNCH(copy_struct, 1, 32, 0, 0, b);
	expect("value", host_floats(b.out, 32)[1], right ? 2 : 0);
	free(host);
}

template <bool right>
static void
run_copy_not_waited()
{
	float		*p = device_floats(32), *host;
	cudaStream_t	 stream;

	cudaStreamCreate(&stream);
	cudaMallocHost(&host, 32 * sizeof *host);
	host[0] = -1;
	cudaMemcpyAsync(host, p, 32 * sizeof *host, cudaMemcpyDeviceToHost,
	    stream);
	if (right)
		cudaStreamSynchronize(stream);
	expect("value", host[0], 1);
}

template <bool right>
static void
run_no_event()
{
	float		*a = device_floats(32), *b, *host;
	cudaStream_t	 first, second;
	cudaEvent_t	 event;

	cudaMalloc(&b, 32 * sizeof *b);
	cudaMallocHost(&host, 32 * sizeof *host);
	cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
	cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
	cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
	LAUNCH(copy, 1, 32, 0, first, b, a, 32);
	cudaEventRecord(event, first);
	if (right)
		cudaStreamWaitEvent(second, event, 0);
	cudaMemcpyAsync(host, b, 32 * sizeof *host, cudaMemcpyDeviceToHost,
	    second);
	cudaStreamSynchronize(second);
	expect("value", host[1], 2);
}

/* ---- limits of a launch */

template <bool right>
static void
run_block_2048()
{
	float *out = device_floats(32);

	LAUNCH(copy, 1, right ? 1024 : 2048, 0, 0, out, device_floats(32), 32);
	expect("launch", cudaGetLastError(), 0);
	expect("value", host_floats(out, 32)[1], 2);
}

template <bool right>
static void
run_shared_limit()
{
	float *out = device_floats(N);

	if (right)
		cudaFuncSetAttribute(dynamic_small<right>,
		    cudaFuncAttributeMaxDynamicSharedMemorySize, 64 * 1024);
	LAUNCH(dynamic_small<right>, 1, N, 64 * 1024, 0, out);
	expect("launch", cudaGetLastError(), 0);
	expect("mirrored", host_floats(out, N)[0], N - 1);
}

/* ---- main */

#define CASE(name)	{ #name, run_##name<false>, run_##name<true> }
static const struct {
	const char	*name;
	void		(*wrong)();
	void		(*right)();
} cases[] = {
	CASE(write_read), CASE(read_write), CASE(two_barriers),
	CASE(warp_memory), CASE(shuffle_barrier), CASE(half_warp),
	CASE(early_return), CASE(shared_small), CASE(dynamic_small),
	CASE(global_end), CASE(async_wait), CASE(add_blocks),
	CASE(shared_unwritten), CASE(misaligned), CASE(misaligned_wrapper),
	CASE(host_reads), CASE(after_free), CASE(host_pointer),
	CASE(host_pointer_in_struct), CASE(copy_not_waited), CASE(no_event),
	CASE(block_2048), CASE(shared_limit),
};

/* Run f in this order in a process of its own; returns its status. */
static int
run_apart(void (*f)(), const char *order)
{
	pid_t	pid;
	int	status;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		if (strcmp(order, "forward") == 0)
			simt_set_order(SIMT_FORWARD);
		else if (strcmp(order, "reversed") == 0)
			simt_set_order(SIMT_REVERSED);
		else
			simt_set_order(SIMT_RANDOM, (unsigned)atoi(order));
		f();
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return (-1);
	return (WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status));
}

int
main(int argc, char **argv)
{
	for (const auto &c : cases) {
		if (argc == 2 && strcmp(argv[1], "list") == 0)
			printf("%s\n", c.name);
		if (argc < 4 || strcmp(argv[1], c.name) != 0)
			continue;
		for (int i = 3; i < argc; i++) {
			int status = run_apart(strcmp(argv[2], "right") == 0 ?
			    c.right : c.wrong, argv[i]);

			printf("%s: %d\n", argv[i], status);
		}
		return (0);
	}
	return (argc == 2 ? 0 : 2);
}
