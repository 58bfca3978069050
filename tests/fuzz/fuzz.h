/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For fuzz targets: the function that each target has, and a check that all
 * of them use.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

/* Run one input. Returns 0. A fault in the tested code ends the process. */
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Check that a fault has a code, and a message of one line. */
static inline void
fuzz_fault(const struct fault *f)
{
	if (f->code == NULL || f->message[0] == '\0' ||
	    strpbrk(f->message, "\n\r\033") != NULL)
		abort();
}

#endif
