/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the CUDA runtime.
 */
#ifndef CUDA_FAIL_H
#define CUDA_FAIL_H

#include <cuda_runtime.h>

#include "backend.h"

/* Set *f to "cuda:0: what: the error" with the code "no_memory" if memory is
 * the reason, or "no_device". Returns CHAT_ENOMEM or CHAT_EUNSUPPORTED. */
static inline int
cuda_fault(const struct backend_host *h, const char *device, const char *what,
    cudaError_t e, struct fault *f)
{
	const int	 memory = e == cudaErrorMemoryAllocation;

	h->fault(f, memory ? "no_memory" : "no_device", "device",
	    "%s: %s: %s (CUDA error %d)", device, what, cudaGetErrorString(e),
	    (int)e);
	return (memory ? CHAT_ENOMEM : CHAT_EUNSUPPORTED);
}

#endif
