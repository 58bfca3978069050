/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The word split of GPT-2, written by hand over the tables of utf8proc.
 */
#include "pretoken.h"

#include <string.h>
#include <utf8proc.h>

#include "utf8.h"
#include "xmalloc.h"

enum pretoken_class { CLASS_OTHER, CLASS_LETTER, CLASS_NUMBER, CLASS_SPACE };

/* Classes of ASCII. */
static const uint8_t pretoken_ascii[128] = {
	['\t' ... '\r'] = CLASS_SPACE, [' '] = CLASS_SPACE,
	['0' ... '9'] = CLASS_NUMBER,
	['A' ... 'Z'] = CLASS_LETTER, ['a' ... 'z'] = CLASS_LETTER,
};

/* Is cp white space? */
int
pretoken_space(uint32_t cp)
{
	return ((cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 ||
	    cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) ||
	    cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f ||
	    cp == 0x3000);
}

/* Is cp a word character? The only characters that are Alphabetic but not
 * letters, marks or letter-like numbers are the enclosed Latin letters. */
int
pretoken_wordchar(uint32_t cp)
{
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_PC:
		return (1);
	case UTF8PROC_CATEGORY_SO:
		return ((cp >= 0x24b6 && cp <= 0x24e9) ||
		    (cp >= 0x1f130 && cp <= 0x1f149) ||
		    (cp >= 0x1f150 && cp <= 0x1f169) ||
		    (cp >= 0x1f170 && cp <= 0x1f189));
	default:
		return (cp == 0x200c || cp == 0x200d);
	}
}

/* Return the class of the character at s and its length in bytes. */
static enum pretoken_class
pretoken_class(const char *s, size_t n, size_t *len)
{
	uint32_t	 cp;
	int		 k;

	*len = 1;
	if ((unsigned char)s[0] < 0x80)
		return (pretoken_ascii[(unsigned char)s[0]]);
	if ((k = utf8_decode(s, n, &cp)) <= 0)
		return (CLASS_OTHER);
	*len = (size_t)k;
	if (pretoken_space(cp))
		return (CLASS_SPACE);
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
		return (CLASS_LETTER);
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		return (CLASS_NUMBER);
	default:
		return (CLASS_OTHER);
	}
}

/* Return the length of a contraction at s, or 0. */
static size_t
pretoken_contraction(const char *s, size_t n)
{
	static const char *const list[] = { "'s", "'t", "'re", "'ve", "'m",
	    "'ll", "'d" };
	size_t	 i, k;

	for (i = 0; i < nitems(list); i++) {
		k = strlen(list[i]);
		if (k <= n && memcmp(s, list[i], k) == 0)
			return (k);
	}
	return (0);
}

/* Return the end of the run of one class that begins at byte i. *last is the
 * start of the run's last character. */
static size_t
pretoken_run(const char *s, size_t n, size_t i, enum pretoken_class class,
    size_t *last)
{
	size_t	 len;

	while (i < n) {
		if ((unsigned char)s[i] < 0x80) {
			if (pretoken_ascii[(unsigned char)s[i]] != class)
				break;
			*last = i++;
			continue;
		}
		if (pretoken_class(s + i, n - i, &len) != class)
			break;
		*last = i;
		i += len;
	}
	return (i);
}

/* Find the first word. */
size_t
pretoken_word(const char *s, size_t n)
{
	enum pretoken_class	 class;
	size_t			 len, end, last = 0;

	if (s[0] == '\'' && (len = pretoken_contraction(s, n)) > 0)
		return (len);
	class = pretoken_class(s, n, &len);
	if (s[0] == ' ' && n > 1) {
		class = pretoken_class(s + 1, n - 1, &len);
		if (class != CLASS_SPACE)
			return (pretoken_run(s, n, 1, class, &last));
	}
	end = pretoken_run(s, n, 0, class, &last);
	/* The last character of white space before a word belongs to the
	 * word. */
	if (class == CLASS_SPACE && end < n && last > 0)
		return (last);
	return (end);
}

/* Measure white space at the start. */
size_t
pretoken_leading(const char *s, size_t n)
{
	size_t	 last = 0;

	return (pretoken_run(s, n, 0, CLASS_SPACE, &last));
}

/* Measure white space at the end. */
size_t
pretoken_trailing(const char *s, size_t n)
{
	size_t	 end = n, i, len;

	while (end > 0) {
		for (i = end - 1; i > 0 && ((unsigned char)s[i] & 0xc0) ==
		    0x80; i--)
			;
		if (pretoken_class(s + i, end - i, &len) != CLASS_SPACE ||
		    len != end - i)
			break;
		end = i;
	}
	return (n - end);
}
