/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unicode NFC, piece by piece. An inert character stays unchanged whatever its
 * neighbours are. Runs of inert characters are copied; the text between them is
 * normalised. The data comes from utf8proc.
 */
#ifndef ENGINE_NFC_H
#define ENGINE_NFC_H

#include <stddef.h>

#include "growbuf.h"

/* The number of bytes, at the start of n bytes of valid UTF-8, that NFC
 * certainly leaves unchanged; n if all of them are certainly NFC. Reads each
 * byte once. */
size_t	nfc_plain(const char *s, size_t n);

/*
 * Append the NFC form of n bytes of valid UTF-8 to out. The time grows as n log
 * n, whatever the order of the combining marks is.
 */
void	nfc_add(const char *s, size_t n, struct textbuf *out);

/*
 * The same in steps: continue at byte i, which is 0 or the result of the last
 * call, for about limit bytes (limit > 0). Returns n at the end. A run of
 * combining marks is always done in one call.
 */
size_t	nfc_some(const char *s, size_t n, size_t i, size_t limit,
	    struct textbuf *out);

#endif
