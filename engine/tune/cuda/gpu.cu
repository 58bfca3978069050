/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trainer's module for NVIDIA GPUs: memory, copies, and products by cuBLAS.
 * It has no kernels.  All work is in one stream, with a workspace of its own
 * and without atomics, so that cuBLAS gives the same bits in each run on the
 * same GPU.
 */
extern "C" {
#include "mat_module.h"
}

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define GPU_SM		80	/* the oldest architecture with bf16 */
#define GPU_WORK	((size_t)32 << 20)	/* bytes of the workspace */

/* Memory that grows to the largest need. */
struct gpu_room {
	void	*p;
	size_t	 size;
};

struct mat_gpu {
	cudaStream_t	 stream;
	cublasHandle_t	 blas;
	void		*work;
	struct gpu_room	 stage;		/* pinned: operands on their way */
	struct gpu_room	 result;	/* of the device */
	struct gpu_room	 back;		/* pinned: the result */
};

/* Write the call that failed, as fmt says it, and its status. */
static int
gpu_failed(char *why, const char *status, const char *kind, int number,
    const char *fmt, va_list ap)
{
	char	 call[128];

	vsnprintf(call, sizeof call, fmt, ap);
	snprintf(why, MAT_MODULE_WHY, "%s: %s (%s %d)", call, status, kind,
	    number);
	return (-1);
}

/* 0, or -1 after a call of CUDA has failed. */
__attribute__((format(printf, 3, 4))) static int
gpu_cuda(cudaError_t e, char *why, const char *fmt, ...)
{
	va_list	 ap;

	if (e == cudaSuccess)
		return (0);
	va_start(ap, fmt);
	gpu_failed(why, cudaGetErrorString(e), "CUDA error", (int)e, fmt, ap);
	va_end(ap);
	return (-1);
}

/* 0, or -1 after a call of cuBLAS has failed. */
__attribute__((format(printf, 3, 4))) static int
gpu_blas(cublasStatus_t s, char *why, const char *fmt, ...)
{
	va_list	 ap;

	if (s == CUBLAS_STATUS_SUCCESS)
		return (0);
	va_start(ap, fmt);
	gpu_failed(why, cublasGetStatusName(s), "cuBLAS status", (int)s, fmt,
	    ap);
	va_end(ap);
	return (-1);
}

/* Is there a device of that number? */
static int
gpu_count(int index, char *why)
{
	cudaError_t	 e;
	int		 count = 0;

	/* Without a driver this leaves count as it was. */
	e = cudaGetDeviceCount(&count);
	if (e == cudaErrorInsufficientDriver)
		snprintf(why, MAT_MODULE_WHY, "no CUDA driver on this "
		    "machine, or one that is older than CUDA %d.%d",
		    CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
	else if (e == cudaErrorNoDevice || (e == cudaSuccess && count == 0))
		snprintf(why, MAT_MODULE_WHY, "no CUDA device on this "
		    "machine");
	else if (e == cudaSuccess && index >= count)
		snprintf(why, MAT_MODULE_WHY, "expected a device up to "
		    "cuda:%d on this machine", count - 1);
	else
		return (gpu_cuda(e, why, "cudaGetDeviceCount"));
	return (-1);
}

/* Make the device the current one, if it can multiply bf16. */
static int
gpu_find(int index, char *name, size_t n, char *why)
{
	struct cudaDeviceProp	 prop;

	if (gpu_count(index, why) != 0 ||
	    gpu_cuda(cudaGetDeviceProperties(&prop, index), why,
	    "cudaGetDeviceProperties") != 0)
		return (-1);
	snprintf(name, n, "%s", prop.name);
	if (prop.major * 10 + prop.minor >= GPU_SM)
		return (gpu_cuda(cudaSetDevice(index), why, "cudaSetDevice"));
	snprintf(why, MAT_MODULE_WHY, "%.100s: expected compute capability "
	    "%d.%d or later, which multiplies bf16, found %d.%d", prop.name,
	    GPU_SM / 10, GPU_SM % 10, prop.major, prop.minor);
	return (-1);
}

/* Make cuBLAS ready. Setting the stream forgets the workspace, so that comes
 * afterwards. */
static int
gpu_prepare(struct mat_gpu *g, char *why)
{
	const int	 math = CUBLAS_DEFAULT_MATH |
			    CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;

	if (gpu_cuda(cudaStreamCreateWithFlags(&g->stream,
	    cudaStreamNonBlocking), why, "cudaStreamCreateWithFlags") != 0)
		return (-1);
	if (gpu_cuda(cudaMalloc(&g->work, GPU_WORK), why,
	    "cudaMalloc of %zu bytes", GPU_WORK) != 0) {
		g->work = NULL;
		return (-1);
	}
	if (gpu_blas(cublasCreate(&g->blas), why, "cublasCreate") != 0) {
		g->blas = NULL;
		return (-1);
	}
	if (gpu_blas(cublasSetStream(g->blas, g->stream), why,
	    "cublasSetStream") != 0 ||
	    gpu_blas(cublasSetWorkspace(g->blas, g->work, GPU_WORK), why,
	    "cublasSetWorkspace of %zu bytes", GPU_WORK) != 0 ||
	    gpu_blas(cublasSetMathMode(g->blas, (cublasMath_t)math), why,
	    "cublasSetMathMode") != 0)
		return (-1);
	return (gpu_blas(cublasSetAtomicsMode(g->blas,
	    CUBLAS_ATOMICS_NOT_ALLOWED), why, "cublasSetAtomicsMode"));
}

/* Release everything. What fails here has nobody to tell. */
static void
gpu_close(struct mat_gpu *g)
{
	if (g->blas != NULL)
		(void)cublasDestroy(g->blas);
	(void)cudaFree(g->work);
	(void)cudaFree(g->result.p);
	(void)cudaFreeHost(g->stage.p);
	(void)cudaFreeHost(g->back.p);
	if (g->stream != NULL)
		(void)cudaStreamDestroy(g->stream);
	free(g);
}

/* Use a device. */
static int
gpu_open(int index, struct mat_gpu **out, char *name, size_t n, char *why)
{
	struct mat_gpu	*g = (struct mat_gpu *)calloc(1, sizeof *g);

	if (g == NULL)
		abort();
	if (gpu_find(index, name, n, why) != 0 || gpu_prepare(g, why) != 0) {
		gpu_close(g);
		return (-1);
	}
	*out = g;
	return (0);
}

/* Memory of the device. */
static void *
gpu_memory_new(struct mat_gpu *g, size_t bytes, char *why)
{
	void	*p = NULL;

	(void)g;
	if (gpu_cuda(cudaMalloc(&p, bytes), why, "cudaMalloc of %zu bytes",
	    bytes) != 0)
		return (NULL);
	return (p);
}

/* Release it. */
static void
gpu_memory_free(struct mat_gpu *g, void *p)
{
	(void)g;
	(void)cudaFree(p);
}

/* Pinned memory of at least this size. */
static int
gpu_pinned(struct gpu_room *r, size_t bytes, char *why)
{
	if (bytes <= r->size)
		return (0);
	(void)cudaFreeHost(r->p);
	r->p = NULL;
	r->size = 0;
	if (gpu_cuda(cudaMallocHost(&r->p, bytes), why,
	    "cudaMallocHost of %zu bytes", bytes) != 0) {
		r->p = NULL;
		return (-1);
	}
	r->size = bytes;
	return (0);
}

/* Room for what is copied next. */
static uint16_t *
gpu_stage(struct mat_gpu *g, size_t bytes, char *why)
{
	return (gpu_pinned(&g->stage, bytes, why) != 0 ? NULL :
	    (uint16_t *)g->stage.p);
}

/* Copy it, and wait: the room is used again. */
static int
gpu_put(struct mat_gpu *g, void *to, size_t bytes, char *why)
{
	if (gpu_cuda(cudaMemcpyAsync(to, g->stage.p, bytes,
	    cudaMemcpyHostToDevice, g->stream), why,
	    "cudaMemcpyAsync of %zu bytes to the device", bytes) != 0)
		return (-1);
	return (gpu_cuda(cudaStreamSynchronize(g->stream), why,
	    "cudaStreamSynchronize after a copy of %zu bytes", bytes));
}

/* Room for a result, on both sides. */
static int
gpu_result(struct mat_gpu *g, size_t bytes, char *why)
{
	if (bytes > g->result.size) {
		(void)cudaFree(g->result.p);
		g->result.size = 0;
		if ((g->result.p = gpu_memory_new(g, bytes, why)) == NULL)
			return (-1);
		g->result.size = bytes;
	}
	return (gpu_pinned(&g->back, bytes, why));
}

/*
 * A B^T. cuBLAS has columns where we have rows, so what it sees of a matrix is
 * its transpose: it computes C^T = B A^T. It sees B^T [K][N], unless B lies
 * across, and must transpose it; and A^T [K][M], which it must not transpose,
 * unless A lies across.
 */
static const float *
gpu_multiply(struct mat_gpu *g, int M, int N, int K,
    const struct mat_operand *a, const struct mat_operand *b, char *why)
{
	const float	 one = 1, zero = 0;
	const size_t	 bytes = (size_t)M * (size_t)N * sizeof one;

	if (gpu_result(g, bytes, why) != 0 ||
	    gpu_blas(cublasGemmEx(g->blas,
	    b->across ? CUBLAS_OP_N : CUBLAS_OP_T,
	    a->across ? CUBLAS_OP_T : CUBLAS_OP_N, N, M, K, &one,
	    b->at, CUDA_R_16BF, b->ld, a->at, CUDA_R_16BF, a->ld, &zero,
	    g->result.p, CUDA_R_32F, N, CUBLAS_COMPUTE_32F,
	    CUBLAS_GEMM_DEFAULT), why, "cublasGemmEx of %d x %d x %d", M, N,
	    K) != 0 ||
	    gpu_cuda(cudaMemcpyAsync(g->back.p, g->result.p, bytes,
	    cudaMemcpyDeviceToHost, g->stream), why,
	    "cudaMemcpyAsync of %zu bytes from the device", bytes) != 0 ||
	    gpu_cuda(cudaStreamSynchronize(g->stream), why,
	    "cudaStreamSynchronize after a product of %d x %d x %d", M, N,
	    K) != 0)
		return (NULL);
	return ((const float *)g->back.p);
}

extern "C" const struct mat_module tune_module = {
	MAT_MODULE_VERSION,
	sizeof(struct mat_module),
	CHATD_VERSION,
	gpu_open,
	gpu_close,
	gpu_memory_new,
	gpu_memory_free,
	gpu_stage,
	gpu_put,
	gpu_multiply
};
