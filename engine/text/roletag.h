/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The role tags <human> and <bot>, and keeping them out of what people and
 * models write.
 */
#ifndef ENGINE_ROLETAG_H
#define ENGINE_ROLETAG_H

#include <stddef.h>

#include "growbuf.h"

#define ROLETAG_HUMAN	"<human>"
#define ROLETAG_BOT	"<bot>"

/*
 * Append n bytes of valid UTF-8 to out so that no role tag can be read in
 * them: the angle brackets of whatever looks like <human> or <bot> become
 * round ones, "(human)", all else stays. Looks like it: in any case, width or
 * style of letters (compatibility forms), with letters and brackets of other
 * scripts that look the same, with blanks, controls, zero-width or combining
 * characters between. A line end inside does not make a tag.
 */
void	roletag_defuse(const char *s, size_t n, struct textbuf *out);

#endif
