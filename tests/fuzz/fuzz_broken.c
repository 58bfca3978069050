/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target with faults, to test that the driver finds them. It is not a test.
 */
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char	*volatile kept;

	if (memmem(data, size, "boom", 4) != NULL)
		abort();
	if (memmem(data, size, "huge", 4) != NULL) {
		if ((kept = malloc((size_t)1 << 30)) == NULL)
			exit(3);
		free(kept);
	}
	return (0);
}
