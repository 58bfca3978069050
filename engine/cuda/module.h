/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CUDA module exports: plain C, found with dlsym by engine/backend.c.
 * Module and engine are of one build; backend_cuda_version says which, and
 * must equal CHATD_VERSION before anything else is called.
 */
#ifndef CUDA_MODULE_H
#define CUDA_MODULE_H

#include "backend.h"

/* The release this module belongs to: static storage. */
const char *backend_cuda_version(void);

/*
 * backend_open on CUDA device number index. Until there are kernels, always
 * an error with *f filled, code "no_device": no driver, no device, index too
 * high, or a device that this version can't use yet.
 */
int	backend_cuda_open(struct model *m, const struct backend_options *opt,
	    int index, struct backend **out, struct fault *f);

#endif
