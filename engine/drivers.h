/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device: its driver is found and called.  backend.h has the same functions
 * for one or several devices; they and the stages call these.
 */
#ifndef ENGINE_DRIVERS_H
#define ENGINE_DRIVERS_H

#include "backend.h"

int	drivers_plan(struct model *m, const struct backend_options *opt,
	    struct backend_plan *out, struct fault *f);
int	drivers_check(struct model *m, const struct backend_options *opt,
	    struct fault *f);
int	drivers_pack(struct model *m, const struct backend_options *opt,
	    const void *tables, size_t n, const char *out, struct fault *f);
int	drivers_open(struct model *m, const struct backend_options *opt,
	    struct backend **out, struct fault *f);
int	drivers_precisions(const struct backend_options *opt,
	    const char *const **out, struct fault *f);

/* The number of devices of a kind ("cuda") on this machine. */
int	drivers_count(const char *kind, int *out, struct fault *f);

#endif
