/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For t_backend: a module of this release, built with another backend.h.
 */
#include <config.h>

#include "module.h"

const struct backend_driver backend_module = {
	.version = BACKEND_VERSION + 1,
	.size = sizeof backend_module + 8,
	.release = PACKAGE_VERSION
};
