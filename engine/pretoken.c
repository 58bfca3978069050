/*
 * Unicode NFC and the GPT-2 word split, by hand over utf8proc's tables.
 */
#include "pretoken.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "utf8.h"
#include "xmalloc.h"

#define NFC_EXPAND	4	/* code points in the longest decomposition */

enum pretoken_class { CLASS_LETTER, CLASS_NUMBER, CLASS_SPACE, CLASS_OTHER };

/* Tell white space. */
int
pretoken_space(uint32_t cp)
{
	return ((cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 ||
	    cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) ||
	    cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f ||
	    cp == 0x3000);
}

/* The class of the character at s, and its length in bytes. */
static enum pretoken_class
pretoken_class(const char *s, size_t n, size_t *len)
{
	uint32_t	 cp;
	int		 k;

	if ((k = utf8_decode(s, n, &cp)) <= 0) {
		*len = 1;
		return (CLASS_OTHER);
	}
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

/* Length of a contraction at s, or 0. */
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

/* End of the run of one class that begins at byte i; *last is where the
 * run's last character begins. */
static size_t
pretoken_run(const char *s, size_t n, size_t i, enum pretoken_class class,
    size_t *last)
{
	size_t	 len;

	while (i < n && pretoken_class(s + i, n - i, &len) == class) {
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

	if ((len = pretoken_contraction(s, n)) > 0)
		return (len);
	class = pretoken_class(s, n, &len);
	if (s[0] == ' ' && n > 1) {
		class = pretoken_class(s + 1, n - 1, &len);
		if (class != CLASS_SPACE)
			return (pretoken_run(s, n, 1, class, &last));
	}
	end = pretoken_run(s, n, 0, class, &last);
	/* White space before a word leaves its last character to the word. */
	if (class == CLASS_SPACE && end < n && last > 0)
		return (last);
	return (end);
}

/* Order two combining marks: by class, then as they stood. A mark is kept
 * as class << 32 | place. */
static int
pretoken_mark_cmp(const void *a, const void *b)
{
	uint64_t	 x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y ? -1 : x > y);
}

/* Bring each run of combining marks into canonical order. */
static void
pretoken_order(utf8proc_int32_t *cp, size_t n)
{
	utf8proc_int32_t	*copy = xcalloc(n, sizeof *copy);
	uint64_t		*key = xcalloc(n, sizeof *key);
	size_t			 i, j, k, class;

	for (i = 0; i < n; i += k + 1) {
		for (k = 0; i + k < n; k++) {
			class = (size_t)utf8proc_get_property(
			    cp[i + k])->combining_class;
			if (class == 0)
				break;
			key[k] = (uint64_t)class << 32 | k;
		}
		if (k < 2)
			continue;
		qsort(key, k, sizeof *key, pretoken_mark_cmp);
		memcpy(copy, cp + i, k * sizeof *cp);
		for (j = 0; j < k; j++)
			cp[i + j] = copy[(uint32_t)key[j]];
	}
	free(key);
	free(copy);
}

/* Is every character below U+0300, and so the text its own NFC? */
static int
pretoken_plain(const char *s, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		if ((unsigned char)s[i] >= 0xcc)	/* U+0300 is cc 80 */
			return (0);
	}
	return (1);
}

/* Normalise. utf8proc_map would do, but for its quadratic ordering. */
void
pretoken_nfc(const char *s, size_t n, struct text *out)
{
	utf8proc_int32_t	*cp;
	utf8proc_ssize_t	 k;
	uint32_t		 c;
	size_t			 i, m = 0;
	char			 buf[4];
	int			 len, last = 0;

	if (pretoken_plain(s, n)) {
		text_add(out, s, n);
		return;
	}
	cp = xcalloc(n * NFC_EXPAND, sizeof *cp);
	for (i = 0; i < n; i += (size_t)len) {
		if ((len = utf8_decode(s + i, n - i, &c)) <= 0) {
			c = 0xfffd;
			len = 1;
		}
		k = utf8proc_decompose_char((utf8proc_int32_t)c, cp + m,
		    NFC_EXPAND, UTF8PROC_DECOMPOSE, &last);
		m += k > 0 && k <= NFC_EXPAND ? (size_t)k : 0;
	}
	pretoken_order(cp, m);
	k = utf8proc_normalize_utf32(cp, (utf8proc_ssize_t)m,
	    UTF8PROC_STABLE|UTF8PROC_COMPOSE);
	for (i = 0; (utf8proc_ssize_t)i < k; i++) {
		len = utf8_encode((uint32_t)cp[i], buf);
		text_add(out, buf, (size_t)len);
	}
	free(cp);
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
