/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the tokens of a folded text: words without their apostrophes, numbers,
 * emoji, signs, ends of sentences, quotation marks.
 */
#include "features_impl.h"

#include <string.h>

#include "utf8.h"

/* Is c a letter of a word? Folded text has no capitals. */
static int
features_is_letter(uint32_t c)
{
	if (c < 0x80)
		return ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
	return ((c >= 0xaa && c < 0x2000 && c != 0xab && c != 0xbb &&
	    c != 0xd7 && c != 0xf7 && c != 0xb7) ||
	    (c >= 0x3040 && c < 0xe000) || (c >= 0xf900 && c < 0xfe00) ||
	    (c >= 0x20000 && c < 0x40000) || (c >= 0x10000 && c < 0x1f000));
}

/* Is c a pictograph? */
static int
features_is_emoji(uint32_t c)
{
	return ((c >= 0x2190 && c < 0x2c00) || (c >= 0x1f000 && c < 0x20000));
}

/* Is c an apostrophe? */
static int
features_is_apostrophe(uint32_t c)
{
	return (c == '\'' || c == 0x2019 || c == 0x2018 || c == '`');
}

/* Decode a character; an invalid byte is one character. */
static size_t
features_decode(const char *s, size_t n, uint32_t *c)
{
	int	 k;

	*c = (unsigned char)*s;
	if (*c < 0x80)
		return (1);
	k = utf8_decode(s, n, c);
	if (k > 0)
		return ((size_t)k);
	*c = 0xfffd;
	return (1);
}

/* Read a word at text[i..end): letters, with apostrophes left out. Returns the
 * index after it, or SIZE_MAX if it may go on after end. */
static size_t
features_letters(const char *text, size_t i, size_t end, int final,
    struct features_token *t)
{
	uint32_t	 c, d;
	size_t		 n;
	int		 digits = 1;

	for (t->len = 0; i < end; i += n) {
		n = features_decode(text + i, end - i, &c);
		if (features_is_apostrophe(c)) {
			if (i + n >= end && !final)
				return (SIZE_MAX);
			if (i + n >= end)
				break;
			features_decode(text + i + n, end - i - n, &d);
			if (!features_is_letter(d))
				break;
			continue;
		}
		if (!features_is_letter(c))
			break;
		if (t->len + n > FEATURES_TOKEN)
			goto done;
		if (c < '0' || c > '9')
			digits = 0;
		memcpy(t->text + t->len, text + i, n);
		t->len = (uint8_t)(t->len + n);
	}
	if (i >= end && !final)
		return (SIZE_MAX);
done:
	t->kind = digits ? FEATURES_NUMBER : FEATURES_WORD;
	if (digits) {		/* its length counts, but not its value */
		t->text[0] = '0';
		t->text[1] = (char)('0' + (t->len > 9 ? 9 : t->len));
		t->len = 2;
	}
	return (i);
}

/* The kind of a character that is not part of a word; NONE for a space. */
static enum features_kind
features_kind(uint32_t c)
{
	if (features_is_emoji(c))
		return (FEATURES_EMOJI);
	switch (c) {
	case '.': case '!': case '?': case '\n': case 0x2026: case 0x3002:
		return (FEATURES_STOP);
	case ',': case ';': case '(': case ')':
		return (FEATURES_PAUSE);
	case '"': case 0x201c: case 0x201d: case 0xab: case 0xbb:
	case 0x201e:
		return (FEATURES_QUOTE);
	case '#': case '<': case '>': case '|': case '[': case ']': case '{':
	case '}': case '*': case '=': case ':': case '@': case '$': case '%':
	case '/': case '\\': case '&': case '+': case '_': case '~':
	case 0xa3: case 0x20ac:
		return (FEATURES_SIGN);
	default:
		return (FEATURES_NONE);
	}
}

/* Read the token at text[i..end). Returns the index after it, or SIZE_MAX if
 * it may go on. t->kind is NONE for a space. */
size_t
features_read(const char *text, size_t i, size_t end, int final,
    struct features_token *t)
{
	uint32_t	 c, d = 0;
	size_t		 n;

	n = features_decode(text + i, end - i, &c);
	t->kind = FEATURES_NONE;
	t->len = 0;
	if (features_is_letter(c))
		return (features_letters(text, i, end, final, t));
	if (features_is_apostrophe(c)) {
		/* 'x begins a quotation; the end is after a letter, so it is
		 * found as the first character after a word */
		if (i + n >= end && !final)
			return (SIZE_MAX);
		if (i + n < end)
			features_decode(text + i + n, end - i - n, &d);
		t->kind = FEATURES_QUOTE;
		t->text[0] = features_is_letter(d) ? '(' : ')';
		t->len = 1;
		return (i + n);
	}
	t->kind = (uint8_t)features_kind(c);
	if (t->kind == FEATURES_QUOTE && c != '"') {
		t->text[0] = c == 0x201d || c == 0xbb ? ')' : '(';
		t->len = 1;
	} else {
		memcpy(t->text, text + i, n);
		t->len = (uint8_t)n;
	}
	return (i + n);
}
