/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA's runtime on the CPU: errors, planned failures, copies and launches.
 * memory.cpp has devices and their memory, stream.cpp and graph.cpp
 * the rest.
 */
#include "runtime.h"

#include <map>
#include <memory>
#include <string>

namespace {

struct plan {
	int	 nth;		/* call that fails, counted from now */
	int	 error;		/* 0: what the call most likely gives */
};

}

static cudaError_t			 last, sticky;
static std::map<std::string, int>	 calls;
static std::map<std::string, struct plan> plans;
static std::map<const void *, int>	 dynamic;	/* allowed bytes */

/* ---- errors */

/* Is e one after which nothing works any more? */
static bool
error_is_sticky(cudaError_t e)
{
	return (e == cudaErrorIllegalAddress || e == cudaErrorLaunchFailure ||
	    (e >= 702 && e < 720 && e != cudaErrorHostMemoryAlreadyRegistered &&
	    e != cudaErrorHostMemoryNotRegistered));
}

cudaError_t
simt_error(cudaError_t e)
{
	if (e == cudaErrorNotReady)
		return (e);
	last = e;
	if (error_is_sticky(e))
		sticky = e;
	return (e);
}

cudaError_t
simt_enter(const char *call, cudaError_t e)
{
	auto p = plans.find(call);

	calls[call]++;
	if (sticky != cudaSuccess)
		return (sticky);
	if (p == plans.end() || --p->second.nth > 0)
		return (cudaSuccess);
	if (p->second.error != 0)
		e = (cudaError_t)p->second.error;
	plans.erase(p);
	return (simt_error(e));
}

void
simt_fail_at(const char *call, int n, int e)
{
	if (call == NULL)
		plans.clear();
	else
		plans[call] = { n, e };
}

int
simt_calls(const char *call)
{
	auto i = calls.find(call);

	return (i == calls.end() ? 0 : i->second);
}

std::vector<std::pair<const char *, int>>
simt_all_calls()
{
	std::vector<std::pair<const char *, int>> all;

	for (const auto &c : calls)
		all.push_back({ c.first.c_str(), c.second });
	return (all);
}

struct simt_live
simt_live()
{
	struct simt_live out;

	simt_live_memory(&out);
	simt_live_streams(&out);
	return (out);
}

void
simt_reset()
{
	plans.clear();
	last = sticky = cudaSuccess;
	simt_streams_forget();
}

cudaError_t
cudaDeviceReset(void)
{
	simt_reset();
	return (cudaSuccess);
}

const char *
cudaGetErrorString(cudaError_t e)
{
	switch (e) {
#define SIMT_ERROR(name, number, text) case name: return (text);
	SIMT_ERRORS(SIMT_ERROR)
#undef SIMT_ERROR
	}
	return ("unrecognized error code");
}

const char *
cudaGetErrorName(cudaError_t e)
{
	switch (e) {
#define SIMT_ERROR(name, number, text) case name: return (#name);
	SIMT_ERRORS(SIMT_ERROR)
#undef SIMT_ERROR
	}
	return ("unrecognized error code");
}

cudaError_t
cudaGetLastError(void)
{
	cudaError_t e = cudaPeekAtLastError();

	last = cudaSuccess;
	return (e);
}

cudaError_t
cudaPeekAtLastError(void)
{
	return (sticky != cudaSuccess ? sticky : last);
}

/* ---- copies */

namespace {

/* A copy of height rows of width bytes. */
struct copy {
	char		*dst;
	const char	*src;
	size_t		 dpitch, spitch, width, height;
};

}

static void
copy_run(const struct copy &c)
{
	for (size_t i = 0; i < c.height; i++)
		memmove(c.dst + i * c.dpitch, c.src + i * c.spitch, c.width);
}

/* Is one end of a copy where kind says? */
static bool
copy_end_fits(const void *p, size_t size, bool device, bool any)
{
	if (simt_is_device(p))
		return ((device || any) && simt_is_allocated(p, size));
	return (!device || any);
}

/* Check c and put it into a stream; wait says whether the call itself waits for
 * what a caller of cudaMemcpy may rely on. */
static cudaError_t
copy_start(struct copy c, enum cudaMemcpyKind kind, cudaStream_t stream,
    bool wait)
{
	bool	 any = kind == cudaMemcpyDefault;
	size_t	 in, out;

	if (c.width == 0 || c.height == 0)
		return (cudaSuccess);
	if (c.width > c.dpitch || c.width > c.spitch)
		return (simt_error(cudaErrorInvalidValue));
	in = (c.height - 1) * c.spitch + c.width;
	out = (c.height - 1) * c.dpitch + c.width;
	if (!copy_end_fits(c.dst, out, kind == cudaMemcpyHostToDevice ||
	    kind == cudaMemcpyDeviceToDevice, any) ||
	    !copy_end_fits(c.src, in, kind == cudaMemcpyDeviceToHost ||
	    kind == cudaMemcpyDeviceToDevice, any))
		return (simt_error(cudaErrorInvalidValue));
	if (wait && simt_capture_forbids())
		return (simt_error(cudaErrorStreamCaptureUnsupported));

	bool from = simt_is_device(c.src), to = simt_is_device(c.dst);
	std::shared_ptr<std::vector<char>> staged;

	if (!from && !wait && !simt_is_pinned(c.src) &&
	    !simt_is_capturing(stream)) {
		/* Pageable: it is read now. */
		staged = std::make_shared<std::vector<char>>(in);
		memcpy(staged->data(), c.src, in);
		c.src = staged->data();
	}
	cudaError_t e = simt_enqueue(stream, [c, staged]() {
		copy_run(c);
		return (cudaSuccess);
	});
	if (e != cudaSuccess)
		return (e);
	if (simt_is_capturing(stream) || (from && to))
		return (cudaSuccess);
	/* A copy into pageable memory is complete when the call returns. */
	if (wait || (!to && !simt_is_pinned(c.dst)))
		return (simt_drain(stream));
	return (cudaSuccess);
}

/* One row. */
static struct copy
copy_of(void *dst, const void *src, size_t size)
{
	return { static_cast<char *>(dst), static_cast<const char *>(src),
	    size, size, size, 1 };
}

cudaError_t
cudaMemcpy(void *dst, const void *src, size_t size, enum cudaMemcpyKind kind)
{
	ENTER(cudaMemcpy, cudaErrorInvalidValue);
	return (copy_start(copy_of(dst, src, size), kind, NULL, true));
}

cudaError_t
cudaMemcpyAsync(void *dst, const void *src, size_t size,
    enum cudaMemcpyKind kind, cudaStream_t stream)
{
	ENTER(cudaMemcpyAsync, cudaErrorInvalidValue);
	return (copy_start(copy_of(dst, src, size), kind, stream, false));
}

cudaError_t
cudaMemcpy2D(void *dst, size_t dpitch, const void *src, size_t spitch,
    size_t width, size_t height, enum cudaMemcpyKind kind)
{
	ENTER(cudaMemcpy2D, cudaErrorInvalidValue);
	return (copy_start({ static_cast<char *>(dst),
	    static_cast<const char *>(src), dpitch, spitch, width, height },
	    kind, NULL, true));
}

cudaError_t
cudaMemcpy2DAsync(void *dst, size_t dpitch, const void *src, size_t spitch,
    size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t stream)
{
	ENTER(cudaMemcpy2DAsync, cudaErrorInvalidValue);
	return (copy_start({ static_cast<char *>(dst),
	    static_cast<const char *>(src), dpitch, spitch, width, height },
	    kind, stream, false));
}

/* Both kinds of memset: neither waits. */
static cudaError_t
set_start(void *p, int value, size_t size, cudaStream_t stream)
{
	if (size == 0)
		return (cudaSuccess);
	if (!simt_is_device(p) || !simt_is_allocated(p, size))
		return (simt_error(cudaErrorInvalidValue));
	return (simt_enqueue(stream, [p, value, size]() {
		memset(p, value, size);
		return (cudaSuccess);
	}));
}

cudaError_t
cudaMemset(void *p, int value, size_t size)
{
	ENTER(cudaMemset, cudaErrorInvalidValue);
	if (simt_capture_forbids())
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	return (set_start(p, value, size, NULL));
}

cudaError_t
cudaMemsetAsync(void *p, int value, size_t size, cudaStream_t stream)
{
	ENTER(cudaMemsetAsync, cudaErrorInvalidValue);
	return (set_start(p, value, size, stream));
}

/* ---- launches */

cudaError_t
simt_func_set_attribute(const void *kernel, enum cudaFuncAttribute attribute,
    int value)
{
	ENTER(cudaFuncSetAttribute, cudaErrorInvalidValue);
	if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
		return (cudaSuccess);
	if (value < 0 || (size_t)value >
	    simt_current_device()->sharedMemPerBlockOptin)
		return (simt_error(cudaErrorInvalidValue));
	dynamic[kernel] = value;
	return (cudaSuccess);
}

/* What CUDA says to this configuration. */
static cudaError_t
launch_check(const void *kernel, dim3 grid, dim3 block, size_t smem)
{
	const struct cudaDeviceProp	*p = simt_current_device();
	const unsigned			 g[3] = { grid.x, grid.y, grid.z };
	const unsigned			 b[3] = { block.x, block.y, block.z };
	auto				 d = dynamic.find(kernel);
	size_t				 most = p->sharedMemPerBlock;

	for (int i = 0; i < 3; i++)
		if (g[i] == 0 || b[i] == 0 ||
		    g[i] > (unsigned)p->maxGridSize[i] ||
		    b[i] > (unsigned)p->maxThreadsDim[i])
			return (cudaErrorInvalidConfiguration);
	if ((uint64_t)b[0] * b[1] * b[2] > (unsigned)p->maxThreadsPerBlock)
		return (cudaErrorInvalidConfiguration);
	if (d != dynamic.end() && (size_t)d->second > most)
		most = (size_t)d->second;
	return (smem > most ? cudaErrorInvalidValue : cudaSuccess);
}

/*
 * A kernel can't use pointers of the host.  A pointer that is an argument is
 * always checked; in a struct, ASan must know it as memory of the host.
 */
static void
launch_check_arguments(const char *name,
    const std::vector<struct simt_arg> &args)
{
	for (size_t i = 0; i < args.size(); i++)
		for (size_t at = 0; at + 8 <= args[i].size; at += 8) {
			const char *kind = "";
			char	 text[8], *p;
			void	*start;
			size_t	 length;

			memcpy(&p, static_cast<const char *>(args[i].bytes) +
			    at, 8);
			if (p == NULL || simt_is_device(p) || simt_is_pinned(p))
				continue;
			if (!args[i].pointer && __asan_locate_address != NULL)
				kind = __asan_locate_address(p, text,
				    sizeof text, &start, &length);
			if (args[i].pointer || strcmp(kind, "heap") == 0 ||
			    strcmp(kind, "stack") == 0 ||
			    strcmp(kind, "global") == 0)
				simt_fault("%s: argument %zu has a pointer "
				    "of the host, %p", name, i + 1,
				    static_cast<void *>(p));
		}
}

void
simt_launch_any(const char *name, const void *kernel, dim3 grid, dim3 block,
    size_t smem, cudaStream_t stream, std::function<void()> body,
    const std::vector<struct simt_arg> &args)
{
	cudaError_t e;

	if (simt_enter("launch", cudaErrorLaunchOutOfResources) != cudaSuccess)
		return;
	if (!simt_stream_is_here(stream)) {
		simt_error(cudaErrorInvalidResourceHandle);
		return;
	}
	if ((e = launch_check(kernel, grid, block, smem)) != cudaSuccess) {
		simt_error(e);
		return;
	}
	launch_check_arguments(name, args);
	struct simt_work work = { name, grid, block, smem, std::move(body) };

	simt_enqueue(stream, [work]() {
		cudaError_t r = simt_enter("kernel", cudaErrorIllegalAddress);

		if (r == cudaSuccess)
			simt_run(work);
		return (r);
	});
}
