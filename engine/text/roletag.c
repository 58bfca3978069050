/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and defusing role tags in text that does not come from the prompt
 * builder.
 */
#include "roletag.h"

#include <stdint.h>
#include <utf8proc.h>

#include "confusable.h"
#include "pretoken.h"
#include "utf8.h"
#include "xmalloc.h"

#define FOLD_MAX 18	/* code points in the longest decomposition */

/* Characters that look like an angle bracket. confusable.c has the letters. */
static const struct {
	uint32_t	 cp;
	char		 as;
} roletag_brackets[] = {
	{ 0x2039, '<' }, { 0x02c2, '<' }, { 0x3008, '<' }, { 0x27e8, '<' },
	{ 0x276e, '<' }, { 0x276c, '<' }, { 0x2770, '<' }, { 0x1438, '<' },
	{ 0x16b2, '<' }, { 0x29fc, '<' }, { 0x227a, '<' }, { 0x1d236, '<' },
	{ 0x203a, '>' }, { 0x02c3, '>' }, { 0x3009, '>' }, { 0x27e9, '>' },
	{ 0x276f, '>' }, { 0x276d, '>' }, { 0x2771, '>' }, { 0x1433, '>' },
	{ 0x29fd, '>' }, { 0x227b, '>' }, { 0x1d237, '>' },
};

/* Can cp be between the characters of a tag without being visible? */
static int
roletag_skipped(uint32_t cp)
{
	const utf8proc_property_t	*p;

	if (cp == '\n' || cp == '\r' || cp == 0x2028 || cp == 0x2029)
		return (0);
	p = utf8proc_get_property((utf8proc_int32_t)cp);
	switch (p->category) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
		return (1);
	default:
		return (p->ignorable || pretoken_space(cp));
	}
}

/* Does cp look like the ASCII character c (a lower-case letter or a
 * bracket)? */
static int
roletag_like(uint32_t cp, char c)
{
	utf8proc_int32_t	 to[FOLD_MAX];
	utf8proc_ssize_t	 n;
	int			 last = 0;
	size_t			 i;

	if (cp < 0x80)
		return (cp == (uint32_t)c || (cp >= 'A' && cp <= 'Z' &&
		    cp + 32 == (uint32_t)c) || confusable_passes(cp, c));
	n = utf8proc_decompose_char((utf8proc_int32_t)cp, to, FOLD_MAX,
	    UTF8PROC_DECOMPOSE|UTF8PROC_COMPAT|UTF8PROC_CASEFOLD|
	    UTF8PROC_STRIPMARK, &last);
	if (n < 1 || n > FOLD_MAX)
		return (0);
	if (to[0] == c || confusable_passes((uint32_t)to[0], c))
		return (1);
	for (i = 0; i < nitems(roletag_brackets); i++) {
		if (roletag_brackets[i].cp == (uint32_t)to[0])
			return (roletag_brackets[i].as == c);
	}
	return (0);
}

/*
 * Does s begin with text that looks like tag? The caller has already found its
 * first character at s. Returns the bytes up to and including the closing
 * bracket, and stores the position of that bracket in *close. Returns 0 if s
 * does not look like tag.
 */
static size_t
roletag_match(const char *s, size_t n, const char *tag, size_t *close)
{
	size_t		 i = 0;
	uint32_t	 cp;
	int		 k;

	while (i < n && *tag != '\0') {
		if ((k = utf8_decode(s + i, n - i, &cp)) <= 0)
			return (0);
		if (roletag_like(cp, *tag)) {
			*close = i;
			tag++;
		} else if (i == 0 || !roletag_skipped(cp))
			return (0);
		i += (size_t)k;
	}
	return (*tag == '\0' ? i : 0);
}

/* Copy a text and defuse its role tags. */
void
roletag_defuse(const char *s, size_t n, struct textbuf *out)
{
	size_t		 i = 0, len, open, close = 0;
	uint32_t	 cp;
	int		 k;

	while (i < n) {
		k = utf8_decode(s + i, n - i, &cp);
		open = k > 0 ? (size_t)k : 1;
		len = roletag_match(s + i, n - i, ROLETAG_HUMAN, &close);
		if (len == 0)
			len = roletag_match(s + i, n - i, ROLETAG_BOT, &close);
		if (len == 0) {
			textbuf_add(out, s + i, open);
			i += open;
			continue;
		}
		textbuf_puts(out, "(");
		textbuf_add(out, s + i + open, close - open);
		textbuf_puts(out, ")");
		i += len;
	}
}
