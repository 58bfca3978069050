/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory there is.
 */
#ifndef CPU_MEMINFO_H
#define CPU_MEMINFO_H

#include <stdint.h>

/*
 * Bytes that this process may still take without swapping: what the kernel
 * calls available, or less where its memory cgroup (version 1 or 2, with
 * those above it) or its limit of address space says so. INT64_MAX where
 * nothing tells.
 */
int64_t	 meminfo_free(void);

#endif
