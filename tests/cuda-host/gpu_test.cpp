/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trainer's module (engine/tune/cuda): products in all orders against a
 * loop, and each call that fails.  With a GPU and the real libraries, t_mat
 * compares the same and more.
 */
extern "C" {
#include "mat_module.h"
}

#include <cublas_v2.h>
#include <stdio.h>
#include <string.h>

static const struct { int M, N, K; } shapes[] = { { 1, 1, 1 }, { 2, 3, 5 },
	{ 33, 31, 7 }, { 64, 32, 96 }, { 5, 70, 129 } };
/* Calls that may fail, and what they then give; 0: the stand-in's choice. A
 * sticky error would keep all memory. */
static const struct { const char *name; int error; } calls[] = {
	{ "cudaGetDeviceCount", cudaErrorUnknown },
	{ "cudaGetDeviceProperties", 0 }, { "cudaSetDevice", 0 },
	{ "cudaStreamCreate", 0 }, { "cudaMalloc", 0 },
	{ "cudaMallocHost", 0 }, { "cudaMemcpyAsync", 0 },
	{ "cudaStreamSynchronize", cudaErrorUnknown }, { "cublasCreate", 0 },
	{ "cublasSetStream", 0 }, { "cublasSetWorkspace", 0 },
	{ "cublasSetMathMode", 0 }, { "cublasSetAtomicsMode", 0 },
	{ "cublasGemmEx", 0 } };
static int	failures;

#define FAIL(...) \
	(printf(__VA_ARGS__), printf("\n"), failures++)

/* Element (i, k) of an operand: a small whole number. */
static int
element(int i, int k, int seed)
{
	return ((i * 7 + k * 3 + i * k % 5 + seed) % 9 - 4);
}

/* Bring an operand to the device; it is NULL there if that fails. */
static struct mat_operand
operand(struct mat_gpu *g, int rows, int k, int across, int pad, int seed,
    char *why)
{
	struct mat_operand	 o = {};
	const int		 lines = across ? k : rows;
	uint16_t		*to;

	o.across = across;
	o.ld = (across ? rows : k) + pad;
	o.size = sizeof *to * (size_t)lines * (size_t)o.ld;
	if ((o.at = tune_module.memory_new(g, o.size, why)) == NULL)
		return (o);
	to = tune_module.stage(g, o.size, why);
	for (int i = 0; to != NULL && i < lines * o.ld; i++)
		to[i] = 0x7fc0;		/* what is read too much shows */
	for (int i = 0; to != NULL && i < rows; i++)
		for (int j = 0; j < k; j++) {
			float	 x = (float)element(i, j, seed);
			uint32_t u;

			memcpy(&u, &x, sizeof u);
			to[across ? j * o.ld + i : i * o.ld + j] =
			    (uint16_t)(u >> 16);
		}
	if (to == NULL || tune_module.put(g, o.at, o.size, why) != 0) {
		tune_module.memory_free(g, o.at);
		o.at = NULL;
	}
	return (o);
}

/* Compare a product with a loop. */
static void
compare(int M, int N, int K, int order, const float *c)
{
	for (int i = 0; i < M; i++)
		for (int j = 0; j < N; j++) {
			float sum = 0;

			for (int k = 0; k < K; k++)
				sum += (float)(element(i, k, 1) *
				    element(j, k, 2));
			if (!(c[i * N + j] == sum)) {
				FAIL("%d x %d x %d, order %d: [%d][%d]: "
				    "found %g, expected %g", M, N, K, order, i,
				    j, (double)c[i * N + j], (double)sum);
				return;
			}
		}
}

/* One product. 0, or -1 and why. */
static int
product(struct mat_gpu *g, int M, int N, int K, int order, char *why)
{
	struct mat_operand	 a, b = {};
	const float		*c = NULL;

	a = operand(g, M, K, order & 1, order & 4, 1, why);
	if (a.at != NULL)
		b = operand(g, N, K, order >> 1 & 1, order & 4 ? 3 : 0, 2,
		    why);
	if (b.at != NULL && (c = tune_module.multiply(g, M, N, K, &a, &b,
	    why)) != NULL)
		compare(M, N, K, order, c);
	if (a.at != NULL)
		tune_module.memory_free(g, a.at);
	if (b.at != NULL)
		tune_module.memory_free(g, b.at);
	return (c == NULL ? -1 : 0);
}

/* Use the module from begin to end, for some of the shapes in some orders. 0,
 * or -1 and why. */
static int
whole(size_t first, size_t end, int orders, char *why)
{
	struct mat_gpu	*g = NULL;
	char		 name[64] = "";
	int		 r;

	if (tune_module.open(0, &g, name, sizeof name, why) != 0)
		return (-1);
	if (name[0] == '\0')
		FAIL("the device has no name");
	r = 0;
	for (size_t i = first; r == 0 && i < end; i++)
		for (int order = 0; r == 0 && order < orders; order++)
			r = product(g, shapes[i].M, shapes[i].N, shapes[i].K,
			    order, why);
	tune_module.close(g);
	return (r);
}

/* Is everything released? */
static void
nothing_lives(const char *after)
{
	const struct simt_live	 l = simt_live();

	if (l.allocations + l.pinned + l.streams + simt_blas_handles() != 0)
		FAIL("%s: %d allocations, %d pinned, %d streams, %d handles "
		    "are left", after, l.allocations, l.pinned, l.streams,
		    simt_blas_handles());
}

/* Let each use of a call fail. */
static void
call_fails(const char *name, int error)
{
	char	 why[MAT_MODULE_WHY];
	int	 n, r;

	for (n = 1;; n++) {
		simt_reset();
		simt_fail_at(name, n, error);
		why[0] = '\0';
		/* The second shape needs more room. */
		r = whole(1, 3, 1, why);
		simt_fail_at(NULL, 0);
		nothing_lives(name);
		if (r == 0)
			break;
		if (strncmp(why, name, strlen(name)) != 0 ||
		    (strstr(why, "(CUDA error ") == NULL &&
		    strstr(why, "(cuBLAS status ") == NULL))
			FAIL("%s, use %d: the reason is \"%s\"", name, n, why);
	}
	if (n < 2)
		FAIL("%s: is never called", name);
}

int
main()
{
	char	 why[MAT_MODULE_WHY] = "";

	simt_device(0);
	if (whole(0, sizeof shapes / sizeof *shapes, 8, why) != 0)
		FAIL("%s", why);
	nothing_lives("products");
	/* What fails by itself would fail each time. */
	if (failures > 0)
		return (1);
	for (const auto &c : calls)
		call_fails(c.name, c.error);
	return (failures > 0);
}
