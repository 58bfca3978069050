/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules for devices: libraries that are opened only if their device is asked
 * for, so that the same program starts on machines without CUDA.
 */
#ifndef HOST_DLMODULE_H
#define HOST_DLMODULE_H

struct fault;

/* The path of the module chatd-NAME.so, in the folder CHATD_MODULES of the
 * environment or in that of the installation: owned. */
char	*dlmodule_path(const char *name);

/*
 * Open the module at path for a device ("cuda:0"); title ("CUDA") is for
 * messages. Returns 0 and *out, a handle of dlopen; or CHAT_EUNSUPPORTED with
 * *f filled (code "no_device", field "device"): the module is not installed,
 * or a library that it needs is missing.
 */
int	 dlmodule_open(const char *path, const char *title,
	    const char *device, void **out, struct fault *f);

#endif
