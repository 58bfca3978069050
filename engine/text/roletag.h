/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The role tags <human> and <bot>, and how they are kept out of the text of
 * people and models.
 */
#ifndef ENGINE_ROLETAG_H
#define ENGINE_ROLETAG_H

#include <stddef.h>

#include "growbuf.h"

#define ROLETAG_HUMAN	"<human>"
#define ROLETAG_BOT	"<bot>"

/*
 * Append n bytes of valid UTF-8 to out, and defuse the role tags in them: if
 * some text looks like <human> or <bot>, its angle brackets become round ones,
 * "(human)". Everything else stays.
 *
 * Text looks like a tag in any case, width or style of letters (compatibility
 * forms), with look-alike letters and brackets of other scripts, and with
 * blanks, controls, zero-width or combining characters in between. Text with a
 * line end inside is not a tag.
 */
void	roletag_defuse(const char *s, size_t n, struct textbuf *out);

#endif
