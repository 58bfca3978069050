/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime of this folder: does it do what CUDA's manual says, as late as
 * that allows?  One function for each behaviour; prints what is wrong, and the
 * status is 0 if nothing is.
 */
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "device.h"

#define CHECK(found, want)	check(__LINE__, #found, (double)(found), \
				    (double)(want))

static const char	*running;
static int		 failures;

static void
check(int line, const char *text, double found, double want)
{
	if (found == want)
		return;
	failures++;
	printf("%s, line %d: %s: found %g, expected %g\n", running, line, text,
	    found, want);
}

/* out[i] = in[i] + add */
__global__ void
add(int *out, const int *in, int n, int add)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		out[i] = in[i] + add;
}

/* An int on the device. */
static int *
device_int(int v)
{
	int *p = NULL;

	cudaMalloc(&p, sizeof *p);
	cudaMemcpy(p, &v, sizeof v, cudaMemcpyHostToDevice);
	return (p);
}

static int
host_int(const int *p)
{
	int v = -1;

	cudaMemcpy(&v, p, sizeof v, cudaMemcpyDeviceToHost);
	return (v);
}

static int *
pinned_int(int v)
{
	int *p;

	cudaMallocHost(&p, sizeof *p);
	*p = v;
	return (p);
}

static cudaStream_t
stream_new(unsigned flags)
{
	cudaStream_t s;

	cudaStreamCreateWithFlags(&s, flags);
	return (s);
}

static cudaEvent_t
event_new()
{
	cudaEvent_t e;

	cudaEventCreate(&e);
	return (e);
}

/* ---- copies */

static void
pageable_memory_is_read_by_the_call()
{
	int		*p = device_int(0), v = 1;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	CHECK(cudaMemcpyAsync(p, &v, sizeof v, cudaMemcpyHostToDevice, s), 0);
	v = 2;
	CHECK(cudaStreamSynchronize(s), 0);
	CHECK(host_int(p), 1);
}

static void
pinned_memory_is_read_later()
{
	int		*p = device_int(0), *v = pinned_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	CHECK(cudaMemcpyAsync(p, v, sizeof *v, cudaMemcpyHostToDevice, s), 0);
	*v = 2;
	CHECK(cudaStreamSynchronize(s), 0);
	CHECK(host_int(p), 2);
}

static void
registered_memory_is_pinned()
{
	static int	 v = 1;
	int		*p = device_int(0);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	CHECK(cudaHostRegister(&v, sizeof v, cudaHostRegisterDefault), 0);
	CHECK(cudaHostRegister(&v, sizeof v, cudaHostRegisterDefault), 712);
	cudaMemcpyAsync(p, &v, sizeof v, cudaMemcpyHostToDevice, s);
	v = 2;
	cudaStreamSynchronize(s);
	CHECK(host_int(p), 2);
	CHECK(cudaHostUnregister(&v), 0);
	CHECK(cudaHostUnregister(&v), 713);
}

static void
a_copy_to_pageable_memory_is_done_at_once()
{
	int		*p = device_int(5), v = 0;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	cudaMemcpyAsync(&v, p, sizeof v, cudaMemcpyDeviceToHost, s);
	CHECK(v, 5);
}

static void
copies_are_checked()
{
	int *p = device_int(0), v[2] = { 0, 0 };

	CHECK(cudaMemcpy(p, v, 8, cudaMemcpyHostToDevice), 1);
	CHECK(cudaMemcpy(p, v, 4, cudaMemcpyDeviceToHost), 1);
	CHECK(cudaMemcpy(v, p, 4, cudaMemcpyHostToDevice), 1);
	CHECK(cudaMemcpy(v, p, 4, cudaMemcpyDefault), 0);
	CHECK(cudaMemset(p, 0, 5), 1);
	CHECK(cudaMemset(v, 0, 4), 1);
}

static void
rows_are_copied_by_their_pitch()
{
	int	 in[6] = { 1, 2, 3, 4, 5, 6 }, out[4] = { 0, 0, 0, 0 };
	int	*p;

	cudaMalloc(&p, sizeof in);
	cudaMemcpy(p, in, sizeof in, cudaMemcpyHostToDevice);
	CHECK(cudaMemcpy2D(out, 8, p, 12, 8, 2, cudaMemcpyDeviceToHost), 0);
	CHECK(out[1] * 1000 + out[2] * 10 + out[3], 2045);
	CHECK(cudaMemcpy2D(out, 4, p, 12, 8, 2, cudaMemcpyDeviceToHost), 1);
}

/* ---- streams and events */

static void
the_default_stream_waits_for_blocking_ones()
{
	int		*a = device_int(1), *b = device_int(0);
	int		*c = device_int(0);
	cudaStream_t	 s = stream_new(cudaStreamDefault);

	LAUNCH(add, 1, 32, 0, s, b, a, 1, 1);
	LAUNCH(add, 1, 32, 0, 0, c, b, 1, 1);
	CHECK(host_int(c), 3);
	LAUNCH(add, 1, 32, 0, 0, b, a, 1, 10);
	LAUNCH(add, 1, 32, 0, s, c, b, 1, 10);
	cudaStreamSynchronize(s);
	CHECK(host_int(c), 21);
}

static void
it_does_not_wait_for_others()
{
	int		*a = device_int(1), *b = device_int(0);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	LAUNCH(add, 1, 32, 0, s, b, a, 1, 1);
	CHECK(host_int(b), 0);
	cudaDeviceSynchronize();
	CHECK(host_int(b), 2);
}

static void
an_event_is_ready_at_the_second_question()
{
	int		*a = device_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	 from = event_new(), to = event_new();
	float		 ms = -1;

	CHECK(cudaEventQuery(from), 0);
	cudaEventRecord(from, s);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	cudaEventRecord(to, s);
	CHECK(cudaEventElapsedTime(&ms, from, to), 600);
	CHECK(cudaEventQuery(to), 600);
	CHECK(cudaGetLastError(), 0);
	CHECK(cudaEventQuery(to), 0);
	CHECK(cudaEventElapsedTime(&ms, from, to), 0);
	CHECK(ms >= 0, 1);
	CHECK(cudaStreamQuery(s), 0);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	CHECK(cudaStreamQuery(s), 600);
	CHECK(cudaStreamQuery(s), 0);
	CHECK(host_int(a), 3);
}

static void
an_event_covers_what_was_before_it()
{
	int		*a = device_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	 e = event_new();

	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	cudaEventRecord(e, s);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	cudaEventSynchronize(e);
	CHECK(host_int(a), 2);
	cudaStreamSynchronize(s);
	CHECK(host_int(a), 3);
}

static void
store_5(void *p)
{
	*static_cast<int *>(p) = 5;
}

static void
host_functions_have_their_place()
{
	int		*a = device_int(1), *v = pinned_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	CHECK(cudaLaunchHostFunc(s, store_5, v), 0);
	cudaMemcpyAsync(a, v, sizeof *v, cudaMemcpyHostToDevice, s);
	CHECK(*v, 1);
	cudaStreamSynchronize(s);
	CHECK(host_int(a), 5);
}

static void
handles_are_checked()
{
	cudaStream_t	s = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	e = event_new();

	CHECK(cudaStreamDestroy(s), 0);
	CHECK(cudaStreamSynchronize(s), 400);
	CHECK(cudaStreamDestroy(s), 400);
	CHECK(cudaEventDestroy(e), 0);
	CHECK(cudaEventRecord(e, 0), 400);
}

/* ---- graphs */

static void
a_graph_runs_only_when_launched()
{
	int		*a = device_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaGraph_t	 g;
	cudaGraphExec_t	 x;
	enum cudaStreamCaptureStatus status;

	CHECK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal), 0);
	int step = 1;
	LAUNCH(add, 1, 32, 0, s, a, a, 1, step);
	step = 100;
	LAUNCH(add, 1, 32, 0, s, a, a, 1, step);
	CHECK(cudaStreamIsCapturing(s, &status), 0);
	CHECK(status, cudaStreamCaptureStatusActive);
	CHECK(cudaStreamEndCapture(s, &g), 0);
	cudaDeviceSynchronize();
	CHECK(host_int(a), 1);
	CHECK(cudaGraphInstantiate(&x, g, 0), 0);
	CHECK(cudaGraphDestroy(g), 0);
	for (int i = 0; i < 3; i++)
		CHECK(cudaGraphLaunch(x, s), 0);
	CHECK(host_int(a), 1);
	CHECK(cudaGraphExecDestroy(x), 0);
	CHECK(cudaStreamSynchronize(s), 0);
	CHECK(host_int(a), 304);
}

/* A capture that another stream joins; joined says whether it comes back. */
static cudaError_t
capture_two(int *a, int *b, bool joined, cudaGraph_t *g)
{
	cudaStream_t	s = stream_new(cudaStreamNonBlocking);
	cudaStream_t	t = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	fork = event_new(), join = event_new();

	cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	cudaEventRecord(fork, s);
	cudaStreamWaitEvent(t, fork, 0);
	LAUNCH(add, 1, 32, 0, t, b, a, 1, 10);
	cudaEventRecord(join, t);
	if (joined)
		cudaStreamWaitEvent(s, join, 0);
	LAUNCH(add, 1, 32, 0, s, b, b, 1, 100);
	return (cudaStreamEndCapture(s, g));
}

static void
streams_join_a_capture()
{
	int		*a = device_int(1), *b = device_int(0);
	cudaGraph_t	 g;
	cudaGraphExec_t	 x;

	CHECK(capture_two(a, b, true, &g), 0);
	cudaGraphInstantiate(&x, g, 0);
	for (unsigned seed = 1; seed < 10; seed++) {
		simt_set_order(SIMT_RANDOM, seed);
		cudaGraphLaunch(x, 0);
		CHECK(host_int(b), 111 + seed);
	}
	simt_set_order(SIMT_FORWARD);
	CHECK(capture_two(a, b, false, &g), 904);
}

static void
branches_of_a_graph_run_in_any_order()
{
	int		*a = device_int(0), low = 0, high = 0;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaStream_t	 t = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	 fork = event_new(), join = event_new();
	cudaGraph_t	 g;
	cudaGraphExec_t	 x;
	int		*one = device_int(1), *two = device_int(2);

	cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
	cudaEventRecord(fork, s);
	cudaStreamWaitEvent(t, fork, 0);
	LAUNCH(add, 1, 32, 0, s, a, one, 1, 0);
	LAUNCH(add, 1, 32, 0, t, a, two, 1, 0);
	cudaEventRecord(join, t);
	cudaStreamWaitEvent(s, join, 0);
	CHECK(cudaStreamEndCapture(s, &g), 0);
	cudaGraphInstantiate(&x, g, 0);
	for (unsigned seed = 1; seed <= 20; seed++) {
		simt_set_order(SIMT_RANDOM, seed);
		cudaGraphLaunch(x, s);
		cudaStreamSynchronize(s);
		*(host_int(a) == 1 ? &low : &high) += 1;
	}
	simt_set_order(SIMT_FORWARD);
	CHECK(low > 0 && high > 0, 1);
}

static void
a_capture_forbids_waiting()
{
	int		*a = device_int(1), *b, v = 0;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaGraph_t	 g;

	CHECK(cudaStreamBeginCapture(0, cudaStreamCaptureModeGlobal), 900);
	cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	CHECK(cudaStreamSynchronize(s), 900);
	CHECK(cudaStreamEndCapture(s, &g), 901);
	cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
	CHECK(cudaMalloc(&b, 4), 900);
	CHECK(cudaMemcpy(&v, a, 4, cudaMemcpyDeviceToHost), 900);
	CHECK(cudaStreamEndCapture(s, &g), 901);
	s = stream_new(cudaStreamDefault);
	cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
	CHECK(cudaMalloc(&b, 4), 0);
	LAUNCH(add, 1, 32, 0, 0, a, a, 1, 1);
	CHECK(cudaGetLastError(), 906);
	CHECK(cudaStreamEndCapture(s, &g), 901);
	CHECK(host_int(a), 1);
}

/* ---- errors */

static void
the_nth_call_fails()
{
	int *p;

	simt_fail_at("cudaMalloc", 2);
	CHECK(cudaMalloc(&p, 4), 0);
	CHECK(cudaMalloc(&p, 4), 2);
	CHECK(cudaPeekAtLastError(), 2);
	CHECK(cudaGetLastError(), 2);
	CHECK(cudaGetLastError(), 0);
	CHECK(cudaMalloc(&p, 4), 0);
	simt_fail_at("launch", 1, 209);
	LAUNCH(add, 1, 32, 0, 0, p, p, 1, 1);
	CHECK(cudaGetLastError(), 209);
	simt_fail_at("cudaMemcpyAsync", 1);
	CHECK(cudaMemcpyAsync(p, p, 4, cudaMemcpyDeviceToDevice, 0), 1);
	simt_fail_at("cudaMalloc", 1);
	simt_fail_at(NULL, 0);
	CHECK(cudaMalloc(&p, 4), 0);
	CHECK(simt_calls("cudaMalloc") > 3, 1);
}

static void
a_fault_of_a_kernel_is_sticky()
{
	int		*a = device_int(1), *b;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	simt_fail_at("kernel", 2);
	for (int i = 0; i < 3; i++)
		LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	CHECK(cudaGetLastError(), 0);
	CHECK(cudaStreamSynchronize(s), 700);
	CHECK(cudaGetLastError(), 700);
	CHECK(cudaGetLastError(), 700);
	CHECK(cudaMalloc(&b, 4), 700);
	CHECK(strcmp(cudaGetErrorName(cudaErrorIllegalAddress),
	    "cudaErrorIllegalAddress"), 0);
	CHECK(strcmp(cudaGetErrorString(cudaErrorIllegalAddress),
	    "an illegal memory access was encountered"), 0);
	simt_reset();
	CHECK(cudaGetLastError(), 0);
	CHECK(host_int(a), 2);
}

/* ---- devices and memory */

static void
memory_is_counted()
{
	size_t	 before, after, total;
	char	*p, *q;

	cudaMemGetInfo(&before, &total);
	CHECK(total, simt_device(0)->totalGlobalMem);
	CHECK(cudaMalloc(&p, 1000), 0);
	cudaMemGetInfo(&after, &total);
	CHECK(before - after, 1024);
	CHECK((uintptr_t)p % 256, 0);
	CHECK(cudaMalloc(&q, after + 1), 2);
	CHECK(cudaGetLastError(), 2);
	CHECK(cudaFree(p + 1), 1);
	CHECK(cudaFree(p), 0);
	CHECK(cudaFree(p), 1);
	CHECK(cudaFree(NULL), 0);
	cudaMemGetInfo(&after, &total);
	CHECK(after, before);
	CHECK(cudaFreeHost(&total), 1);
}

static void
new_memory_is_nan()
{
	float *p, v;

	cudaMalloc(&p, sizeof *p);
	cudaMemcpy(&v, p, sizeof v, cudaMemcpyDeviceToHost);
	CHECK(v != v, 1);
}

static void
kernels_read_pinned_memory()
{
	int *p = device_int(0), *v = pinned_int(7);

	LAUNCH(add, 1, 32, 0, 0, p, v, 1, 1);
	CHECK(host_int(p), 8);
}

static void
there_may_be_several_devices()
{
	struct cudaDeviceProp	prop;
	int			n = 7, value;
	size_t			left, total;

	simt_set_devices(2);
	simt_device(1)->totalGlobalMem = 1 << 20;
	simt_device(1)->major = 9;
	CHECK(cudaGetDeviceCount(&n), 0);
	CHECK(n, 2);
	CHECK(cudaSetDevice(2), 101);
	CHECK(cudaSetDevice(1), 0);
	cudaMemGetInfo(&left, &total);
	CHECK(total, 1 << 20);
	CHECK(cudaGetDeviceProperties(&prop, 1), 0);
	CHECK(prop.major, 9);
	CHECK(cudaDeviceGetAttribute(&value,
	    cudaDevAttrComputeCapabilityMajor, 0), 0);
	CHECK(value, 8);
	simt_set_devices(0);
	n = 7;
	CHECK(cudaGetDeviceCount(&n), 100);
	CHECK(n, 7);
	simt_set_devices(1);
	simt_fail_at("cudaGetDeviceCount", 1);
	CHECK(cudaGetDeviceCount(&n), 35);
	CHECK(n, 7);
}

static void
launches_have_limits()
{
	int *p = device_int(0);

	LAUNCH(add, dim3(1, 65536), 32, 0, 0, p, p, 1, 1);
	CHECK(cudaGetLastError(), 9);
	LAUNCH(add, 0, 32, 0, 0, p, p, 1, 1);
	CHECK(cudaGetLastError(), 9);
	LAUNCH(add, 1, dim3(1, 1, 65), 0, 0, p, p, 1, 1);
	CHECK(cudaGetLastError(), 9);
	LAUNCH(add, 1, 32, 48 * 1024 + 1, 0, p, p, 1, 1);
	CHECK(cudaGetLastError(), 1);
	CHECK(cudaFuncSetAttribute(add,
	    cudaFuncAttributeMaxDynamicSharedMemorySize, 100 * 1024), 0);
	LAUNCH(add, 1, 32, 100 * 1024, 0, p, p, 1, 1);
	CHECK(cudaGetLastError(), 0);
	LAUNCH(add, 1, 32, 100 * 1024 + 1, 0, p, p, 1, 1);
	CHECK(cudaGetLastError(), 1);
	CHECK(cudaFuncSetAttribute(add,
	    cudaFuncAttributeMaxDynamicSharedMemorySize, 164 * 1024), 1);
}

static void
what_lives_is_counted()
{
	struct simt_live	 a = simt_live(), b;
	int			*p, *q;
	cudaStream_t		 s;
	cudaEvent_t		 e;
	cudaGraph_t		 g;
	cudaGraphExec_t		 x;

	cudaMalloc(&p, 4);
	cudaMallocHost(&q, 4);
	cudaStreamCreate(&s);
	cudaEventCreate(&e);
	cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
	cudaStreamEndCapture(s, &g);
	cudaGraphInstantiate(&x, g, 0);
	b = simt_live();
	CHECK(b.allocations - a.allocations, 1);
	CHECK(b.pinned - a.pinned, 1);
	CHECK(b.streams - a.streams, 1);
	CHECK(b.events - a.events, 1);
	CHECK(b.graphs - a.graphs, 2);
	cudaFree(p);
	cudaFreeHost(q);
	cudaEventDestroy(e);
	cudaStreamDestroy(s);
	cudaGraphDestroy(g);
	cudaGraphExecDestroy(x);
	b = simt_live();
	CHECK(memcmp(&a, &b, sizeof a), 0);
}

/* ---- counting */

/* Lane i reads the word stride * i of global, and of shared memory. */
__global__ void
strides(uint32_t *out, const uint32_t *in, int stride)
{
	SHARED_ARRAY(uint32_t, s, 1024);
	int i = threadIdx.x;

	st_shared(&s[i * stride], ldg(in + i * stride));
	SYNC_WARP();
	st_global(out + i, ld_shared(&s[i * stride]));
}

/* Lane i reads 16 bytes, in rows of a length in words. */
__global__ void
rows(uint32_t *out, const uint32_t *in, int length)
{
	SHARED_ARRAY(uint32_t, s, 32 * 36);
	int		i = threadIdx.x;
	uint32_t	d[4];

	if (i < 8)
		st_global(out + i, load_once(in + 4 * i).x);
	st_shared16(&s[i * length], make_uint4(1, 2, 3, 4));
	SYNC_WARP();
	ldmatrix_x4(d, &s[i * length]);
	st_global(out + i, d[0] + (uint32_t)dp4a(1, 2, 3));
}

static void
accesses_are_counted()
{
	uint32_t			*in, *out;
	std::vector<struct simt_counts>	 c;

	cudaMalloc(&in, 4096);
	cudaMalloc(&out, 4096);
	if (!simt_can_count())
		return;
	simt_count_start();
	for (int stride : { 0, 1, 2, 32 })
		LAUNCH(strides, 1, 32, 0, 0, out, in, stride);
	LAUNCH(rows, 1, 32, 0, 0, out, in, 32);
	LAUNCH(rows, 1, 32, 0, 0, out, in, 36);
	c = simt_count_stop();
	CHECK(c.size(), 6);
	const double sectors[] = { 1, 4, 8, 32 }, used[] = { 4, 128, 128, 128 };
	const double passes[] = { 1, 1, 2, 32 };
	for (int i = 0; i < 4; i++) {
		CHECK(c[i].global[SIMT_READ].accesses, 1);
		CHECK(c[i].global[SIMT_READ].bytes, 128);
		CHECK(c[i].global[SIMT_READ].used, used[i]);
		CHECK(c[i].global[SIMT_READ].sectors, sectors[i]);
		CHECK(c[i].global[SIMT_READ].unique, sectors[i]);
		CHECK(c[i].global[SIMT_WRITE].sectors, 4);
		CHECK(c[i].shared[SIMT_READ].accesses, 1);
		CHECK(c[i].shared[SIMT_READ].passes, passes[i]);
		CHECK(c[i].shared[SIMT_READ].ideal, 1);
		CHECK(c[i].ops[SIMT_SYNC_WARP], 32);
	}
	/* Rows of 128 bytes lie in the same four banks. */
	CHECK(c[4].shared[SIMT_READ].passes, 32);
	CHECK(c[5].shared[SIMT_READ].passes, 4);
	CHECK(c[5].shared[SIMT_WRITE].passes, 4);
	CHECK(c[5].shared[SIMT_WRITE].ideal, 4);
	CHECK(c[5].global[SIMT_READ].bytes, 128);
	CHECK(c[5].global[SIMT_READ].sectors, 4);
	CHECK(c[5].ops[SIMT_LDMATRIX], 32);
	CHECK(c[5].ops[SIMT_DP4A], 32);
	CHECK(strcmp(c[5].kernel, "rows"), 0);
}

/* ---- main */

#define TEST(name)	{ #name, name }
static const struct {
	const char	*name;
	void		(*run)();
} tests[] = {
	TEST(pageable_memory_is_read_by_the_call),
	TEST(pinned_memory_is_read_later),
	TEST(registered_memory_is_pinned),
	TEST(a_copy_to_pageable_memory_is_done_at_once),
	TEST(copies_are_checked),
	TEST(rows_are_copied_by_their_pitch),
	TEST(the_default_stream_waits_for_blocking_ones),
	TEST(it_does_not_wait_for_others),
	TEST(an_event_is_ready_at_the_second_question),
	TEST(an_event_covers_what_was_before_it),
	TEST(host_functions_have_their_place),
	TEST(handles_are_checked),
	TEST(a_graph_runs_only_when_launched),
	TEST(streams_join_a_capture),
	TEST(branches_of_a_graph_run_in_any_order),
	TEST(a_capture_forbids_waiting),
	TEST(the_nth_call_fails),
	TEST(a_fault_of_a_kernel_is_sticky),
	TEST(memory_is_counted),
	TEST(new_memory_is_nan),
	TEST(kernels_read_pinned_memory),
	TEST(there_may_be_several_devices),
	TEST(launches_have_limits),
	TEST(what_lives_is_counted),
	TEST(accesses_are_counted),
};

int
main()
{
	for (const auto &t : tests) {
		running = t.name;
		t.run();
		simt_reset();
	}
	return (failures > 0);
}
