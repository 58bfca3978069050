/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For t_backend: a module of a release long gone.
 */
#include "module.h"

/* A release that never was. */
const char *
backend_cuda_version(void)
{
	return ("0.0.0");
}

/* Must not be called. */
int
backend_cuda_open(struct model *m, const struct backend_options *opt,
    int index, struct backend **out, struct fault *f)
{
	(void)m;
	(void)opt;
	(void)index;
	(void)out;
	(void)f;
	__builtin_trap();
}
