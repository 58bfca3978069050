/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a module of a backend exports: its driver, as plain C data that
 * engine/drivers.c finds with dlsym.
 */
#ifndef CUDA_MODULE_H
#define CUDA_MODULE_H

#include "backend.h"

extern const struct backend_driver backend_module;

#endif
