/* SPDX-License-Identifier: Apache-2.0 */
/* A part of checks.cpp and checks_device.cpp: how they check, and what they
 * need often. */
#ifndef CHECKS_H
#define CHECKS_H

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
static inline int *
device_int(int v)
{
	int *p = NULL;

	cudaMalloc(&p, sizeof *p);
	cudaMemcpy(p, &v, sizeof v, cudaMemcpyHostToDevice);
	return (p);
}

static inline int
host_int(const int *p)
{
	int v = -1;

	cudaMemcpy(&v, p, sizeof v, cudaMemcpyDeviceToHost);
	return (v);
}

static inline int *
pinned_int(int v)
{
	int *p;

	cudaMallocHost(&p, sizeof *p);
	*p = v;
	return (p);
}

static inline cudaStream_t
stream_new(unsigned flags)
{
	cudaStream_t s;

	cudaStreamCreateWithFlags(&s, flags);
	return (s);
}

static inline cudaEvent_t
event_new()
{
	cudaEvent_t e;

	cudaEventCreate(&e);
	return (e);
}

/* A test in a table, and a run of all of them: the status of the program. */
#define TEST(name)	{ #name, name }
struct test {
	const char	*name;
	void		(*run)();
};

template <size_t n>
static int
check_all(const struct test (&tests)[n])
{
	for (const auto &t : tests) {
		running = t.name;
		t.run();
		simt_reset();
	}
	return (failures > 0);
}

#endif
