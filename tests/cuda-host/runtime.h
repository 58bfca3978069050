/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the runtime share: memory.cpp, stream.cpp, graph.cpp,
 * runtime.cpp. */
#ifndef SIMT_RUNTIME_H
#define SIMT_RUNTIME_H

#include <cuda_runtime.h>

#include "simt_impl.h"

/* First line of every call: leave with a sticky or a planned error. e is what a
 * planned failure gives by default. */
#define ENTER(name, e) \
	do { \
		cudaError_t enter_ = simt_enter(#name, e); \
		if (enter_ != cudaSuccess) \
			return (enter_); \
	} while (0)

/* runtime.cpp: count the call; its planned or sticky error. */
cudaError_t	 simt_enter(const char *call, cudaError_t e);
/* Keep e for cudaGetLastError, and return it. */
cudaError_t	 simt_error(cudaError_t e);

/* memory.cpp */
struct cudaDeviceProp *simt_current_device();
int		 simt_current();	/* its number */
void		 simt_memory_open(bool open);
bool		 simt_is_allocated(const void *p, size_t size);
void		 simt_live_memory(struct simt_live *out);

/* stream.cpp and graph.cpp: put work into a stream or the graph that it
 * captures; run all that waits; is a call that synchronizes forbidden by a
 * capture (which it then ends)?; forget everything. */
cudaError_t	 simt_enqueue(cudaStream_t stream,
		    std::function<cudaError_t()> work);
cudaError_t	 simt_drain_all();
/* Does a stream belong to the current device? The default one does. */
bool		 simt_stream_is_here(cudaStream_t stream);
bool		 simt_capture_forbids();
bool		 simt_is_capturing(cudaStream_t stream);
/* Run what comes before now in a stream. */
cudaError_t	 simt_drain(cudaStream_t stream);
void		 simt_streams_forget();
void		 simt_live_streams(struct simt_live *out);

#endif
