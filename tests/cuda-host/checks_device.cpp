/* SPDX-License-Identifier: Apache-2.0 */
/* The same as checks.cpp for errors, devices, memory, limits and counts. */
#include "checks.h"

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

/* Two devices are there. Memory may be copied from any of them; a kernel and an
 * event belong to the device of their stream. */
static void
a_stream_belongs_to_a_device()
{
	cudaStream_t	 s;
	cudaEvent_t	 here, there;
	int		*p, x = 1;

	cudaSetDevice(1);
	CHECK(cudaStreamCreate(&s), 0);
	CHECK(cudaEventCreate(&there), 0);
	CHECK(cudaMalloc(&p, sizeof *p), 0);
	cudaSetDevice(0);
	CHECK(cudaEventCreate(&here), 0);
	CHECK(cudaMemcpyAsync(p, &x, sizeof x, cudaMemcpyHostToDevice, s), 0);
	CHECK(cudaStreamSynchronize(s), 0);
	CHECK(cudaEventRecord(there, s), 0);
	CHECK(cudaEventRecord(here, s), 400);
	(void)cudaGetLastError();
	LAUNCH(add, 1, 32, 0, s, p, p, 1, 1);
	CHECK(cudaGetLastError(), 400);
	cudaSetDevice(1);
	LAUNCH(add, 1, 32, 0, s, p, p, 1, 1);
	CHECK(cudaGetLastError(), 0);
	CHECK(cudaStreamDestroy(s), 0);
	cudaFree(p);
	cudaEventDestroy(here);
	cudaEventDestroy(there);
	cudaSetDevice(0);
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
	a_stream_belongs_to_a_device();
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

/* Use the stack of each thread. */
__global__ void
on_the_stack(int *out)
{
	volatile int v[16];

	for (int i = 0; i < 16; i++)
		v[i] = i;
	if (threadIdx.x == blockDim.x - 1)
		*out = v[out[0] & 15] + (int)blockDim.x;
}

static void
a_larger_block_gets_clean_stacks()
{
	int *p = device_int(3);

	for (int n = 32; n <= 1024; n *= 2) {
		int three = 3;

		cudaMemcpy(p, &three, sizeof three, cudaMemcpyHostToDevice);
		LAUNCH(on_the_stack, 1, n, 1000, 0, p);
		CHECK(host_int(p), 3 + n);
	}
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

int
main()
{
	static const struct test tests[] = {
		TEST(the_nth_call_fails),
		TEST(a_fault_of_a_kernel_is_sticky),
		TEST(memory_is_counted),
		TEST(new_memory_is_nan),
		TEST(kernels_read_pinned_memory),
		TEST(there_may_be_several_devices),
		TEST(launches_have_limits),
		TEST(a_larger_block_gets_clean_stacks),
		TEST(what_lives_is_counted),
		TEST(accesses_are_counted),
	};

	return (check_all(tests));
}
