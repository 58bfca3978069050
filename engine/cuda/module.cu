/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA backend's driver: looks for the device and reports it.  It has no
 * kernels yet, so each call ends in an error with its reason.
 */
extern "C" {
#include "module.h"
#include "model.h"
}

#include <cuda_runtime_api.h>

#include <stdio.h>

/* Set f to one line about device number index. */
#define MODULE_FAIL(h, f, ...) \
	((h)->fault((f), "no_device", "device", __VA_ARGS__), \
	    CHAT_EUNSUPPORTED)

/* In order of size; none before there are kernels. */
static const char *const module_precisions[] = { NULL };

/* Look for the device. */
static int
module_find(const struct backend_host *h, int index, struct fault *f)
{
	struct cudaDeviceProp	 prop;
	cudaError_t		 e;
	int			 count = 0, driver = 0;

	/* Without a driver this leaves count as it was. */
	e = cudaGetDeviceCount(&count);
	if (e == cudaErrorInsufficientDriver) {
		(void)cudaDriverGetVersion(&driver);
		if (driver == 0)
			return (MODULE_FAIL(h, f, "cuda:%d: no CUDA driver on "
			    "this machine", index));
		return (MODULE_FAIL(h, f, "cuda:%d: expected a CUDA driver of "
		    "at least %d.%d, found %d.%d", index,
		    CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10,
		    driver / 1000, driver % 1000 / 10));
	}
	if (e == cudaErrorNoDevice || (e == cudaSuccess && count == 0))
		return (MODULE_FAIL(h, f, "cuda:%d: no CUDA device on this "
		    "machine", index));
	if (e != cudaSuccess)
		return (MODULE_FAIL(h, f, "cuda:%d: looking for devices: "
		    "%s", index, cudaGetErrorString(e)));
	if (index >= count)
		return (MODULE_FAIL(h, f, "cuda:%d: expected a device up to "
		    "cuda:%d on this machine", index, count - 1));
	if ((e = cudaGetDeviceProperties(&prop, index)) != cudaSuccess)
		return (MODULE_FAIL(h, f, "cuda:%d: %s", index,
		    cudaGetErrorString(e)));
	return (MODULE_FAIL(h, f, "cuda:%d: %s is there, but this version has "
	    "no CUDA kernels yet: use device cpu", index, prop.name));
}

/* The memory that a model needs. */
static int
module_plan(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend_plan *out,
    struct fault *f)
{
	(void)m;
	(void)out;
	return (module_find(h, opt->index, f));
}

/* Load a model. */
static int
module_open(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend **out, struct fault *f)
{
	h->debug("%s: %d layers for %s", h->path(m), h->config(m)->layers,
	    opt->device);
	(void)out;
	return (module_find(h, opt->index, f));
}

extern "C" const struct backend_driver backend_module = {
	BACKEND_VERSION,
	sizeof(struct backend_driver),
	CHATD_VERSION,
	NULL,			/* no packed files */
	module_precisions,
	module_plan,
	NULL,
	NULL,
	module_open
};
