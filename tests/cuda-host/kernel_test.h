/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of kernels share: random numbers, memory of the device, and
 * the report of what is wrong.  With nvcc -x cu they run on a GPU.
 */
#ifndef KERNEL_TEST_H
#define KERNEL_TEST_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "cuda_layout.h"

static int test_failures, test_checks;

/* Count a check, and report it if ok is false. */
__attribute__((format(printf, 2, 3))) static void
check(bool ok, const char *fmt, ...)
{
	va_list ap;

	test_checks++;
	if (ok || test_failures++ >= 20)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
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

/* A launch, and all work until now, must work. */
static void
must_run(cudaError_t e)
{
	must(e);
	must(cudaDeviceSynchronize());
}

/* The last words of a test program; returns its exit status. */
static int
test_end()
{
	printf("%d checks, %d failures\n", test_checks, test_failures);
	return (test_failures != 0);
}

/* Numbers of a fixed sequence. */
struct test_random {
	uint64_t state;

	uint32_t
	bits()
	{
		state = state * 6364136223846793005u + 1442695040888963407u;
		return ((uint32_t)(state >> 32));
	}

	/* 0 .. n - 1 */
	int
	below(int n)
	{
		return ((int)(bits() % (uint32_t)n));
	}

	/* -1 .. 1 */
	float
	real()
	{
		return ((float)(int32_t)bits() * 0x1p-31f);
	}

	/* About normal: mean 0, variance 1. */
	float
	normal()
	{
		return ((real() + real() + real()) * 1.0f);
	}
};

/* An array on the device that is freed at the end of its scope. */
template <typename T>
struct test_array {
	T	*p = NULL;
	size_t	 n;

	explicit test_array(size_t size) : n(size)
	{
		must(cudaMalloc(&p, (n + (n == 0)) * sizeof(T)));
	}

	explicit test_array(const std::vector<T> &v) : test_array(v.size())
	{
		up(v);
	}

	test_array(const test_array &) = delete;

	~test_array()
	{
		must(cudaFree(p));
	}

	void
	fill(int byte)
	{
		must(cudaMemset(p, byte, n * sizeof(T)));
	}

	void
	up(const std::vector<T> &v)
	{
		must(cudaMemcpy(p, v.data(), v.size() * sizeof(T),
		    cudaMemcpyHostToDevice));
	}

	std::vector<T>
	down() const
	{
		std::vector<T> v(n);

		must(cudaMemcpy(v.data(), p, n * sizeof(T),
		    cudaMemcpyDeviceToHost));
		return (v);
	}
};

/* A number of the activations. */
static inline float
test_widen(enum cuda_elem e, uint16_t bits)
{
	return (e == CUDA_BF16 ?
	    __bfloat162float(__ushort_as_bfloat16(bits)) :
	    __half2float(__ushort_as_half(bits)));
}

static inline uint16_t
test_narrow(enum cuda_elem e, float x)
{
	return (e == CUDA_BF16 ? __bfloat16_as_ushort(__float2bfloat16_rn(x)) :
	    __half_as_ushort(__float2half_rn(x)));
}

/* Half of the distance of two neighbours about 1. */
static inline double
test_unit(enum cuda_elem e)
{
	return (e == CUDA_BF16 ? 0x1p-8 : 0x1p-11);
}

/* Let blocks and warps run in another order on the CPU: 0 forward, 1 reversed,
 * above that a random one. */
static inline void
test_order(int i)
{
#ifdef CUDA_HOST
	simt_set_order(i == 0 ? SIMT_FORWARD : i == 1 ? SIMT_REVERSED :
	    SIMT_RANDOM, (unsigned)i);
#else
	(void)i;
#endif
}

/* Let the device have n multiprocessors, on the CPU: few make large blocks. */
static inline void
test_multiprocessors(int n)
{
#ifdef CUDA_HOST
	simt_device(0)->multiProcessorCount = n;
#else
	(void)n;
#endif
}

#endif
