/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of bytes as text for people.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdint.h>

#define BYTES_TEXT	32	/* bytes for any such text, with its NUL */

/* Write n, from 0, to buf, as "512 bytes" or "21.3 GiB"; returns buf. */
const char	*bytes_text(int64_t n, char buf[BYTES_TEXT]);

#endif
