/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For t_backend: a module of a release that does not exist.  It has no
 * functions, because the engine must not call any.
 */
#include "module.h"

const struct backend_driver backend_module = {
	.version = BACKEND_VERSION,
	.size = sizeof backend_module,
	.release = "0.0.0"
};
