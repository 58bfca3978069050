/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unicode NFC, piece by piece: characters that stay as they are whatever
 * stands beside them are passed over, the rest is normalised from such a
 * character to the next.  The data is utf8proc's.
 */
#ifndef ENGINE_NFC_H
#define ENGINE_NFC_H

#include <stddef.h>

#include "growbuf.h"

/* Bytes at the start of n bytes of valid UTF-8 that NFC surely leaves alone;
 * n where all of it is its own NFC for certain. Looks at each byte once. */
size_t	nfc_plain(const char *s, size_t n);

/*
 * The NFC form of n bytes of valid UTF-8, appended to out. Time grows as
 * n log n, whatever the order of combining marks.
 */
void	nfc_add(const char *s, size_t n, struct textbuf *out);

/*
 * The same bit by bit: go on at byte i, which is 0 or what the last call
 * returned, for about limit bytes (limit > 0); n at the end. A run of
 * combining marks is done at once.
 */
size_t	nfc_some(const char *s, size_t n, size_t i, size_t limit,
	    struct textbuf *out);

#endif
