/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of cuBLAS that runs on the CPU: blas.cpp.  Its numbers are those of
 * NVIDIA's header.
 */
#ifndef SIMT_CUBLAS_V2_H
#define SIMT_CUBLAS_V2_H

#include "cuda_runtime.h"

typedef struct cublasContext *cublasHandle_t;
typedef enum {
	CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_NOT_INITIALIZED = 1,
	CUBLAS_STATUS_ALLOC_FAILED = 3, CUBLAS_STATUS_INVALID_VALUE = 7,
	CUBLAS_STATUS_EXECUTION_FAILED = 13, CUBLAS_STATUS_NOT_SUPPORTED = 15
} cublasStatus_t;
typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 } cublasOperation_t;
typedef enum {
	CUBLAS_ATOMICS_NOT_ALLOWED = 0, CUBLAS_ATOMICS_ALLOWED = 1
} cublasAtomicsMode_t;
typedef enum {
	CUBLAS_DEFAULT_MATH = 0,
	CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION = 16
} cublasMath_t;
typedef enum { CUDA_R_32F = 0, CUDA_R_16BF = 14 } cudaDataType;
typedef enum { CUBLAS_COMPUTE_32F = 68 } cublasComputeType_t;
typedef enum { CUBLAS_GEMM_DEFAULT = -1 } cublasGemmAlgo_t;

const char	*cublasGetStatusName(cublasStatus_t s);
cublasStatus_t	 cublasCreate(cublasHandle_t *out);
cublasStatus_t	 cublasDestroy(cublasHandle_t h);
cublasStatus_t	 cublasSetStream(cublasHandle_t h, cudaStream_t stream);
cublasStatus_t	 cublasSetWorkspace(cublasHandle_t h, void *p, size_t size);
cublasStatus_t	 cublasSetMathMode(cublasHandle_t h, cublasMath_t mode);
cublasStatus_t	 cublasSetAtomicsMode(cublasHandle_t h,
		    cublasAtomicsMode_t mode);
cublasStatus_t	 cublasGemmEx(cublasHandle_t h, cublasOperation_t ta,
		    cublasOperation_t tb, int m, int n, int k,
		    const void *alpha, const void *a, cudaDataType ka, int lda,
		    const void *b, cudaDataType kb, int ldb, const void *beta,
		    void *c, cudaDataType kc, int ldc,
		    cublasComputeType_t compute, cublasGemmAlgo_t algo);

/* For tests: handles that are not destroyed. */
int		 simt_blas_handles();

#endif
