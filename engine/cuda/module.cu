/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA module's entry: looks for the device and says what it found.  It
 * holds no kernels yet, so every way through it ends in an error, each in
 * its own words.
 */
extern "C" {
#include "module.h"
}

#include <cuda_runtime_api.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Fill f. The engine's own fault_set is out of reach: nothing but plain data
 * passes between the two. */
static int
module_fail(struct fault *f, const char *fmt, ...)
{
	va_list	 ap;

	memset(f, 0, sizeof *f);
	f->code = "no_device";
	snprintf(f->field, sizeof f->field, "device");
	va_start(ap, fmt);
	vsnprintf(f->message, sizeof f->message, fmt, ap);
	va_end(ap);
	return (CHAT_EUNSUPPORTED);
}

/* The release this module belongs to. */
extern "C" const char *
backend_cuda_version(void)
{
	return (CHATD_VERSION);
}

/* Look for the device. */
extern "C" int
backend_cuda_open(struct model *m, const struct backend_options *opt,
    int index, struct backend **out, struct fault *f)
{
	struct cudaDeviceProp	 prop;
	cudaError_t		 e;
	int			 count = 0, driver = 0;

	(void)m;
	(void)opt;
	(void)out;
	/* Without a driver this leaves count as it was. */
	e = cudaGetDeviceCount(&count);
	if (e == cudaErrorInsufficientDriver) {
		(void)cudaDriverGetVersion(&driver);
		if (driver == 0)
			return (module_fail(f, "cuda:%d: no CUDA driver on "
			    "this machine", index));
		return (module_fail(f, "cuda:%d: expected a CUDA driver of "
		    "at least %d.%d, found %d.%d", index,
		    CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10,
		    driver / 1000, driver % 1000 / 10));
	}
	if (e == cudaErrorNoDevice || (e == cudaSuccess && count == 0))
		return (module_fail(f, "cuda:%d: no CUDA device on this "
		    "machine", index));
	if (e != cudaSuccess)
		return (module_fail(f, "cuda:%d: looking for devices: %s",
		    index, cudaGetErrorString(e)));
	if (index >= count)
		return (module_fail(f, "cuda:%d: expected a device up to "
		    "cuda:%d on this machine", index, count - 1));
	if ((e = cudaGetDeviceProperties(&prop, index)) != cudaSuccess)
		return (module_fail(f, "cuda:%d: %s", index,
		    cudaGetErrorString(e)));
	return (module_fail(f, "cuda:%d: %s is there, but this version has "
	    "no CUDA kernels yet: use device cpu", index, prop.name));
}
