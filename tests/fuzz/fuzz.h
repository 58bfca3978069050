/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For fuzz targets: the function that each has, and what they all check.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

/* One input; 0. Whatever is wrong with the code ends the process. */
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A fault has a code, and says something in one line. */
static inline void
fuzz_fault(const struct fault *f)
{
	if (f->code == NULL || f->message[0] == '\0' ||
	    strpbrk(f->message, "\n\r\033") != NULL)
		abort();
}

#endif
