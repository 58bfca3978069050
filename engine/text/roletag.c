/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and defusing role tags in text that is not the prompt builder's.
 */
#include "roletag.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include "pretoken.h"
#include "utf8.h"
#include "xmalloc.h"

#define FOLD_MAX 18	/* code points in the longest decomposition */

/* Characters that pass for another one after compatibility decomposition and
 * case folding; some pass for two. */
struct roletag_twin {
	uint32_t	 cp;
	char		 as[3];
};

static const struct roletag_twin roletag_twins[] = {
	/* brackets */
	{ 0x2039, "<" }, { 0x02c2, "<" }, { 0x3008, "<" }, { 0x27e8, "<" },
	{ 0x276e, "<" }, { 0x276c, "<" }, { 0x2770, "<" }, { 0x1438, "<" },
	{ 0x16b2, "<" }, { 0x29fc, "<" }, { 0x227a, "<" }, { 0x1d236, "<" },
	{ 0x203a, ">" }, { 0x02c3, ">" }, { 0x3009, ">" }, { 0x27e9, ">" },
	{ 0x276f, ">" }, { 0x276d, ">" }, { 0x2771, ">" }, { 0x1433, ">" },
	{ 0x29fd, ">" }, { 0x227b, ">" }, { 0x1d237, ">" },
	/* Cyrillic, Greek, Armenian, Cherokee */
	{ 0x04bb, "h" }, { 0x043d, "hn" }, { 0x0570, "h" }, { 0x13c2, "h" },
	{ 0x13bb, "h" }, { 0x057d, "u" }, { 0x03c5, "u" }, { 0x043c, "m" },
	{ 0x03bc, "m" }, { 0x13b7, "m" }, { 0x0430, "a" }, { 0x03b1, "a" },
	{ 0x13aa, "a" }, { 0x043f, "n" }, { 0x0578, "n" }, { 0x057c, "n" },
	{ 0x03b7, "hn" }, { 0x03bd, "n" }, { 0x03b2, "b" }, { 0x0432, "b" },
	{ 0x044c, "b" }, { 0x13f4, "b" }, { 0x13cf, "b" }, { 0x043e, "o" },
	{ 0x03bf, "o" }, { 0x0585, "o" }, { 0x03c3, "o" }, { 0x0442, "t" },
	{ 0x03c4, "t" }, { 0x13a2, "t" }, { '0', "o" },
	/* Latin letters of other shapes */
	{ 0x029c, "h" }, { 0x0266, "h" }, { 0x0127, "h" }, { 0x1d1c, "u" },
	{ 0x028b, "u" }, { 0x1d0d, "m" }, { 0x0271, "m" }, { 0x1d00, "a" },
	{ 0x0251, "a" }, { 0x0274, "n" }, { 0x014b, "n" }, { 0x0299, "b" },
	{ 0x0180, "b" }, { 0x0253, "b" }, { 0x1d0f, "o" }, { 0x00f8, "o" },
	{ 0x1d1b, "t" }, { 0x0167, "t" }, { 0x01ad, "t" },
};

/* Can cp stand between the characters of a tag without being seen? */
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

/* Does cp pass for the ASCII character c (a lower-case letter or bracket)? */
static int
roletag_like(uint32_t cp, char c)
{
	utf8proc_int32_t	 to[FOLD_MAX];
	utf8proc_ssize_t	 n;
	int			 last = 0;
	size_t			 i;

	if (cp < 0x80 && cp != '0')
		return (cp == (uint32_t)c || (cp >= 'A' && cp <= 'Z' &&
		    cp + 32 == (uint32_t)c));
	n = utf8proc_decompose_char((utf8proc_int32_t)cp, to, FOLD_MAX,
	    UTF8PROC_DECOMPOSE|UTF8PROC_COMPAT|UTF8PROC_CASEFOLD|
	    UTF8PROC_STRIPMARK, &last);
	if (n < 1 || n > FOLD_MAX)
		return (0);
	if (to[0] == c)
		return (1);
	for (i = 0; i < nitems(roletag_twins); i++) {
		if (roletag_twins[i].cp == (uint32_t)to[0])
			return (strchr(roletag_twins[i].as, c) != NULL);
	}
	return (0);
}

/*
 * Does s begin with something like tag, whose first character has been seen
 * at s? Returns the bytes up to and with the closing bracket and stores that
 * one's place in *close; 0 where it does not.
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

/* Copy text without role tags. */
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
