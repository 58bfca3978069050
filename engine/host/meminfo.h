/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The free memory of the machine.
 */
#ifndef HOST_MEMINFO_H
#define HOST_MEMINFO_H

#include <stdint.h>

/*
 * Bytes that this process may still take without swapping: the kernel's
 * MemAvailable, or less if its memory cgroup (version 1 or 2, with the groups
 * above it) or its limit of address space allows less. INT64_MAX if none of
 * them is known.
 */
int64_t	 meminfo_free(void);

#endif
