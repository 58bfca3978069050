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

#include "planted_kernels.h"

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
