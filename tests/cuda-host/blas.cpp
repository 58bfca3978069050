/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuBLAS on the CPU, as far as the trainer's module uses it: matrices in column
 * order, products of bf16 summed in fp32.  A product with settings that let
 * cuBLAS choose how it sums is a fault.
 */
#include <cublas_v2.h>
#include <cuda_bf16.h>

#include "runtime.h"

#define WORKSPACE_ALIGN	256

/* As ENTER. */
#define BLAS_ENTER(name, s) \
	do { \
		if (simt_enter(#name, cudaErrorUnknown) != cudaSuccess) \
			return (s); \
	} while (0)

struct cublasContext {
	cudaStream_t		 stream;
	void			*work;		/* the caller's */
	size_t			 work_size;
	int			 math;
	cublasAtomicsMode_t	 atomics;
};

/* A matrix in column order. */
struct blas_matrix {
	const __nv_bfloat16	*p;
	int			 ld;
	bool			 transposed;

	/* Element (i, j) of it, transposed if that is asked for. */
	float at(int i, int j) const
	{
		return (p[transposed ? (size_t)i * ld + j :
		    (size_t)j * ld + i]);
	}
};

static int	handles;

int
simt_blas_handles()
{
	return (handles);
}

const char *
cublasGetStatusName(cublasStatus_t s)
{
	switch (s) {
	case CUBLAS_STATUS_SUCCESS: return ("CUBLAS_STATUS_SUCCESS");
	case CUBLAS_STATUS_NOT_INITIALIZED:
		return ("CUBLAS_STATUS_NOT_INITIALIZED");
	case CUBLAS_STATUS_ALLOC_FAILED:
		return ("CUBLAS_STATUS_ALLOC_FAILED");
	case CUBLAS_STATUS_INVALID_VALUE:
		return ("CUBLAS_STATUS_INVALID_VALUE");
	case CUBLAS_STATUS_EXECUTION_FAILED:
		return ("CUBLAS_STATUS_EXECUTION_FAILED");
	case CUBLAS_STATUS_NOT_SUPPORTED:
		return ("CUBLAS_STATUS_NOT_SUPPORTED");
	}
	return ("unknown");
}

cublasStatus_t
cublasCreate(cublasHandle_t *out)
{
	BLAS_ENTER(cublasCreate, CUBLAS_STATUS_NOT_INITIALIZED);
	*out = new cublasContext();
	(*out)->atomics = CUBLAS_ATOMICS_NOT_ALLOWED;
	handles++;
	return (CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t
cublasDestroy(cublasHandle_t h)
{
	BLAS_ENTER(cublasDestroy, CUBLAS_STATUS_NOT_INITIALIZED);
	delete h;
	handles--;
	return (CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t
cublasSetStream(cublasHandle_t h, cudaStream_t stream)
{
	BLAS_ENTER(cublasSetStream, CUBLAS_STATUS_NOT_INITIALIZED);
	h->stream = stream;
	h->work = NULL;		/* cuBLAS's own again */
	return (CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t
cublasSetWorkspace(cublasHandle_t h, void *p, size_t size)
{
	BLAS_ENTER(cublasSetWorkspace, CUBLAS_STATUS_INVALID_VALUE);
	if (!simt_is_allocated(p, size) || (uintptr_t)p % WORKSPACE_ALIGN != 0)
		return (CUBLAS_STATUS_INVALID_VALUE);
	h->work = p;
	h->work_size = size;
	return (CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t
cublasSetMathMode(cublasHandle_t h, cublasMath_t mode)
{
	BLAS_ENTER(cublasSetMathMode, CUBLAS_STATUS_INVALID_VALUE);
	h->math = mode;
	return (CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t
cublasSetAtomicsMode(cublasHandle_t h, cublasAtomicsMode_t mode)
{
	BLAS_ENTER(cublasSetAtomicsMode, CUBLAS_STATUS_INVALID_VALUE);
	h->atomics = mode;
	return (CUBLAS_STATUS_SUCCESS);
}

/* Is the memory of a matrix with so many rows and columns there? */
static bool
blas_is_there(const void *p, size_t elem, int rows, int cols, int ld)
{
	return (rows <= ld && ld > 0 && simt_is_allocated(p,
	    ((size_t)(cols - 1) * (size_t)ld + (size_t)rows) * elem));
}

/* Would cuBLAS sum in the same way in each run, and in fp32? */
static void
blas_check(const struct cublasContext *h)
{
	if (h->work == NULL || !simt_is_allocated(h->work, h->work_size))
		simt_fault("cublasGemmEx: the stream has no workspace");
	if (h->math != CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)
		simt_fault("cublasGemmEx: may sum in bf16");
	if (h->atomics != CUBLAS_ATOMICS_NOT_ALLOWED)
		simt_fault("cublasGemmEx: may use atomics");
}

cublasStatus_t
cublasGemmEx(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb,
    int m, int n, int k, const void *alpha, const void *a, cudaDataType ka,
    int lda, const void *b, cudaDataType kb, int ldb, const void *beta,
    void *c, cudaDataType kc, int ldc, cublasComputeType_t compute,
    cublasGemmAlgo_t algo)
{
	const bool	 at = ta == CUBLAS_OP_T, bt = tb == CUBLAS_OP_T;
	struct blas_matrix x = { (const __nv_bfloat16 *)a, lda, at };
	struct blas_matrix y = { (const __nv_bfloat16 *)b, ldb, bt };
	float		*z = (float *)c;
	float		 f = *(const float *)alpha, g = *(const float *)beta;

	BLAS_ENTER(cublasGemmEx, CUBLAS_STATUS_EXECUTION_FAILED);
	blas_check(h);
	if (ka != CUDA_R_16BF || kb != CUDA_R_16BF || kc != CUDA_R_32F ||
	    compute != CUBLAS_COMPUTE_32F || algo != CUBLAS_GEMM_DEFAULT)
		return (CUBLAS_STATUS_NOT_SUPPORTED);
	if (m <= 0 || n <= 0 || k <= 0 ||
	    !blas_is_there(a, 2, at ? k : m, at ? m : k, lda) ||
	    !blas_is_there(b, 2, bt ? n : k, bt ? k : n, ldb) ||
	    !blas_is_there(c, 4, m, n, ldc))
		return (CUBLAS_STATUS_INVALID_VALUE);
	if (simt_enqueue(h->stream, [=]() {
		for (int j = 0; j < n; j++)
			for (int i = 0; i < m; i++) {
				float sum = 0, *to = z + (size_t)j * ldc + i;

				for (int l = 0; l < k; l++)
					sum += x.at(i, l) * y.at(l, j);
				*to = f * sum + (g == 0 ? 0 : g * *to);
			}
		return (cudaSuccess);
	}) != cudaSuccess)
		return (CUBLAS_STATUS_EXECUTION_FAILED);
	return (CUBLAS_STATUS_SUCCESS);
}
