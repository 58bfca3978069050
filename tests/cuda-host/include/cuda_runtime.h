/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of CUDA's runtime that runs on the CPU: tests/cuda-host/README.md.
 * Calls have the meaning that NVIDIA's manual gives them.  If it leaves a
 * choice, the one is taken that shows more mistakes: work starts as late as it
 * may.
 */
#ifndef SIMT_CUDA_RUNTIME_H
#define SIMT_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vector_types.h"

#define CUDART_VERSION	13000

#define __global__
#define __device__
#define __host__
#define __forceinline__	inline
#define __launch_bounds__(...)
#define __align__(n)	alignas(n)
#define CUDART_CB

/* ---- errors */

#define SIMT_ERRORS(X) \
	X(cudaSuccess, 0, "no error") \
	X(cudaErrorInvalidValue, 1, "invalid argument") \
	X(cudaErrorMemoryAllocation, 2, "out of memory") \
	X(cudaErrorInitializationError, 3, "initialization error") \
	X(cudaErrorInvalidConfiguration, 9, "invalid configuration argument") \
	X(cudaErrorInsufficientDriver, 35, \
	    "CUDA driver version is insufficient for CUDA runtime version") \
	X(cudaErrorNoDevice, 100, "no CUDA-capable device is detected") \
	X(cudaErrorInvalidDevice, 101, "invalid device ordinal") \
	X(cudaErrorNoKernelImageForDevice, 209, \
	    "no kernel image is available for execution on the device") \
	X(cudaErrorInvalidResourceHandle, 400, "invalid resource handle") \
	X(cudaErrorNotReady, 600, "device not ready") \
	X(cudaErrorIllegalAddress, 700, \
	    "an illegal memory access was encountered") \
	X(cudaErrorLaunchOutOfResources, 701, \
	    "too many resources requested for launch") \
	X(cudaErrorHostMemoryAlreadyRegistered, 712, \
	    "part or all of the requested memory range is already mapped") \
	X(cudaErrorHostMemoryNotRegistered, 713, \
	    "pointer does not correspond to a registered memory region") \
	X(cudaErrorLaunchFailure, 719, "unspecified launch failure") \
	X(cudaErrorStreamCaptureUnsupported, 900, \
	    "operation not permitted when stream is capturing") \
	X(cudaErrorStreamCaptureInvalidated, 901, \
	    "operation failed due to a previous error during capture") \
	X(cudaErrorStreamCaptureUnjoined, 904, \
	    "capturing stream has unjoined work") \
	X(cudaErrorStreamCaptureImplicit, 906, \
	    "operation would make the legacy stream depend on a capturing " \
	    "blocking stream") \
	X(cudaErrorStreamCaptureIsolation, 905, \
	    "dependency created on uncaptured work in another stream") \
	X(cudaErrorStreamCaptureUnmatched, 903, \
	    "capture was not initiated in this stream") \
	X(cudaErrorUnknown, 999, "unknown error")

enum cudaError {
#define SIMT_ERROR(name, number, text) name = number,
	SIMT_ERRORS(SIMT_ERROR)
#undef SIMT_ERROR
};
typedef enum cudaError cudaError_t;

/* ---- types */

typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
typedef struct CUgraph_st *cudaGraph_t;
typedef struct CUgraphExec_st *cudaGraphExec_t;
typedef void (*cudaHostFn_t)(void *);

#define cudaStreamLegacy	(reinterpret_cast<cudaStream_t>(1))
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventBlockingSync = 1,
    cudaEventDisableTiming = 2 };
enum { cudaHostAllocDefault = 0, cudaHostAllocPortable = 1,
    cudaHostAllocMapped = 2, cudaHostAllocWriteCombined = 4 };
enum { cudaHostRegisterDefault = 0 };

enum cudaMemcpyKind {
	cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost,
	cudaMemcpyDeviceToDevice, cudaMemcpyDefault
};
enum cudaStreamCaptureMode {
	cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
	cudaStreamCaptureModeRelaxed
};
enum cudaStreamCaptureStatus {
	cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive,
	cudaStreamCaptureStatusInvalidated
};
enum cudaFuncAttribute {
	cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
	cudaFuncAttributePreferredSharedMemoryCarveout = 9
};
enum cudaDeviceAttr {
	cudaDevAttrMaxThreadsPerBlock = 1,
	cudaDevAttrMaxSharedMemoryPerBlock = 8,
	cudaDevAttrMultiProcessorCount = 16,
	cudaDevAttrL2CacheSize = 38,
	cudaDevAttrComputeCapabilityMajor = 75,
	cudaDevAttrComputeCapabilityMinor = 76,
	cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};

struct cudaDeviceProp {
	char	name[256];
	size_t	totalGlobalMem, sharedMemPerBlock, sharedMemPerBlockOptin;
	size_t	sharedMemPerMultiprocessor;
	int	regsPerBlock, warpSize, maxThreadsPerBlock;
	int	maxThreadsDim[3], maxGridSize[3];
	int	major, minor, multiProcessorCount;
	int	l2CacheSize, memoryBusWidth, maxThreadsPerMultiProcessor;
	int	integrated, ECCEnabled;
	int	pciDomainID, pciBusID, pciDeviceID;
};

#include "simt.h"
#include "device_functions.h"

/* ---- what a kernel sees */

#define threadIdx	(simt_self->thread)
#define blockIdx	(simt_self->block)
#define blockDim	(simt_self->block_dim)
#define gridDim		(simt_self->grid_dim)
constexpr int warpSize = 32;

/* ---- calls */

const char	*cudaGetErrorString(cudaError_t e);
const char	*cudaGetErrorName(cudaError_t e);
cudaError_t	 cudaGetLastError(void);
cudaError_t	 cudaPeekAtLastError(void);

cudaError_t	 cudaGetDeviceCount(int *count);
cudaError_t	 cudaGetDevice(int *device);
cudaError_t	 cudaSetDevice(int device);
cudaError_t	 cudaGetDeviceProperties(struct cudaDeviceProp *out,
		    int device);
cudaError_t	 cudaDeviceGetAttribute(int *out, enum cudaDeviceAttr a,
		    int device);
cudaError_t	 cudaDeviceSynchronize(void);
cudaError_t	 cudaDeviceReset(void);
cudaError_t	 cudaDriverGetVersion(int *version);
cudaError_t	 cudaRuntimeGetVersion(int *version);

cudaError_t	 simt_malloc(void **p, size_t size);
cudaError_t	 simt_malloc_host(void **p, size_t size, unsigned flags);
cudaError_t	 cudaFree(void *p);
cudaError_t	 cudaFreeHost(void *p);
cudaError_t	 cudaHostRegister(void *p, size_t size, unsigned flags);
cudaError_t	 cudaHostUnregister(void *p);
cudaError_t	 cudaMemGetInfo(size_t *free, size_t *total);

template <typename T>
cudaError_t
cudaMalloc(T **p, size_t size)
{
	return (simt_malloc(reinterpret_cast<void **>(p), size));
}

template <typename T>
cudaError_t
cudaMallocHost(T **p, size_t size, unsigned flags = 0)
{
	return (simt_malloc_host(reinterpret_cast<void **>(p), size, flags));
}

template <typename T>
cudaError_t
cudaHostAlloc(T **p, size_t size, unsigned flags)
{
	return (simt_malloc_host(reinterpret_cast<void **>(p), size, flags));
}

cudaError_t	 cudaMemcpy(void *dst, const void *src, size_t size,
		    enum cudaMemcpyKind kind);
cudaError_t	 cudaMemcpyAsync(void *dst, const void *src, size_t size,
		    enum cudaMemcpyKind kind, cudaStream_t stream = 0);
cudaError_t	 cudaMemcpy2D(void *dst, size_t dpitch, const void *src,
		    size_t spitch, size_t width, size_t height,
		    enum cudaMemcpyKind kind);
cudaError_t	 cudaMemcpy2DAsync(void *dst, size_t dpitch, const void *src,
		    size_t spitch, size_t width, size_t height,
		    enum cudaMemcpyKind kind, cudaStream_t stream = 0);
cudaError_t	 cudaMemset(void *p, int value, size_t size);
cudaError_t	 cudaMemsetAsync(void *p, int value, size_t size,
		    cudaStream_t stream = 0);

cudaError_t	 cudaStreamCreate(cudaStream_t *out);
cudaError_t	 cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags);
cudaError_t	 cudaStreamDestroy(cudaStream_t stream);
cudaError_t	 cudaStreamSynchronize(cudaStream_t stream);
cudaError_t	 cudaStreamQuery(cudaStream_t stream);
cudaError_t	 cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
		    unsigned flags = 0);
cudaError_t	 cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn,
		    void *arg);

cudaError_t	 cudaEventCreate(cudaEvent_t *out);
cudaError_t	 cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags);
cudaError_t	 cudaEventDestroy(cudaEvent_t event);
cudaError_t	 cudaEventRecord(cudaEvent_t event, cudaStream_t stream = 0);
cudaError_t	 cudaEventSynchronize(cudaEvent_t event);
cudaError_t	 cudaEventQuery(cudaEvent_t event);
cudaError_t	 cudaEventElapsedTime(float *ms, cudaEvent_t from,
		    cudaEvent_t to);

cudaError_t	 cudaStreamBeginCapture(cudaStream_t stream,
		    enum cudaStreamCaptureMode mode);
cudaError_t	 cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out);
cudaError_t	 cudaStreamIsCapturing(cudaStream_t stream,
		    enum cudaStreamCaptureStatus *out);
cudaError_t	 cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph,
		    unsigned long long flags = 0);
cudaError_t	 cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t	 cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t	 cudaGraphDestroy(cudaGraph_t graph);
cudaError_t	 cudaGraphExecDestroy(cudaGraphExec_t exec);

cudaError_t	 simt_func_set_attribute(const void *kernel,
		    enum cudaFuncAttribute attribute, int value);

template <typename T>
cudaError_t
cudaFuncSetAttribute(T *kernel, enum cudaFuncAttribute attribute, int value)
{
	return (simt_func_set_attribute(reinterpret_cast<const void *>(kernel),
	    attribute, value));
}

#endif
