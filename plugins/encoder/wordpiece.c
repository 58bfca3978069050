/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See wordpiece.h.
 */
#include "wordpiece.h"

#include <string.h>
#include <utf8proc.h>

#include "utf8.h"

#define WORDPIECE_HASH	2166136261u	/* FNV-1a */
#define WORDPIECE_PRIME	16777619u

/* A text being cut. */
struct cut {
	const struct wordpiece	*w;
	struct wordpiece_token	*out;
	size_t			 n, max;
	char			 word[WORDPIECE_WORD * 4];
	/* for each character of the word, and one after it: */
	uint16_t		 at[WORDPIECE_WORD + 1];    /* byte of word */
	uint32_t		 start[WORDPIECE_WORD];	    /* in the text */
	uint32_t		 end[WORDPIECE_WORD];
	size_t			 k;	/* characters in the word */
	int			 over;	/* it has more than fit */
	uint32_t		 word_start, word_end;
};

/* Go on with a hash. */
static uint32_t
wordpiece_hash(uint32_t h, const char *s, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		h = (h ^ (uint8_t)s[i]) * WORDPIECE_PRIME;
	return (h);
}

/* Find the entry of a token: prefix and the n bytes at s. Returns its place in
 * the table, which has 0 if there is no such token. */
static uint32_t
wordpiece_place(const struct wordpiece *w, uint32_t hash, const char *prefix,
    const char *s, size_t n)
{
	size_t		 p = strlen(prefix);
	uint32_t	 i, id;
	const char	*t;

	for (i = (hash ^ hash >> 15) & w->mask; w->table[i] != 0;
	    i = (i + 1) & w->mask) {
		id = w->table[i] - 1;
		t = w->text + w->at[id];
		if (w->at[id + 1] - w->at[id] == p + n + 1 &&
		    memcmp(t, prefix, p) == 0 && memcmp(t + p, s, n) == 0)
			break;
	}
	return (i);
}

/* Entries of the table. */
uint32_t
wordpiece_table_size(uint32_t n)
{
	uint32_t	 size = 16;

	while (size < 2 * n)
		size *= 2;
	return (size);
}

/* Index the tokens. */
uint32_t
wordpiece_index(struct wordpiece *w, size_t len, uint32_t size)
{
	const char	*s = w->text, *end = w->text + len, *nul;
	uint32_t	 i, place;
	size_t		 n;

	w->mask = size - 1;
	w->longest = 0;
	for (i = 0; i < w->n; i++, s = nul + 1) {
		if ((nul = memchr(s, '\0', (size_t)(end - s))) == NULL)
			return (i + 1);
		n = (size_t)(nul - s);
		w->at[i] = (uint32_t)(s - w->text);
		w->at[i + 1] = w->at[i] + (uint32_t)n + 1;
		place = wordpiece_place(w, wordpiece_hash(WORDPIECE_HASH, s,
		    n), "", s, n);
		if (w->table[place] != 0)
			return (i + 1);
		w->table[place] = i + 1;
		if (n > w->longest)
			w->longest = (uint32_t)n;
	}
	return (s == end ? 0 : w->n + 1);
}

/* Add a token. */
static void
cut_add(struct cut *c, uint32_t id, uint32_t start, uint32_t end)
{
	if (c->n < c->max)
		c->out[c->n++] = (struct wordpiece_token){ id, start, end };
}

/* The longest token at character i of the word. Returns its end (a character)
 * and *id, or 0. */
static size_t
cut_longest(const struct cut *c, size_t i, uint32_t *id)
{
	const struct wordpiece	*w = c->w;
	const char		*prefix = i == 0 ? "" : "##";
	uint32_t		 hash[WORDPIECE_WORD + 1], place;
	size_t			 j;

	hash[i] = wordpiece_hash(WORDPIECE_HASH, prefix, strlen(prefix));
	for (j = i; j < c->k && c->at[j + 1] - c->at[i] <= (int)w->longest;
	    j++)
		hash[j + 1] = wordpiece_hash(hash[j], c->word + c->at[j],
		    (size_t)(c->at[j + 1] - c->at[j]));
	for (; j > i; j--) {
		place = wordpiece_place(w, hash[j], prefix,
		    c->word + c->at[i], (size_t)(c->at[j] - c->at[i]));
		if (w->table[place] != 0) {
			*id = w->table[place] - 1;
			return (j);
		}
	}
	return (0);
}

/* Cut the word into tokens, and begin a new one. */
static void
cut_word(struct cut *c)
{
	size_t		 i, j, n = c->n;
	uint32_t	 id = 0;

	if (c->k == 0)
		return;
	for (i = 0; i < c->k && !c->over; i = j) {
		if ((j = cut_longest(c, i, &id)) == 0)
			break;
		cut_add(c, id, c->start[i], c->end[j - 1]);
	}
	if (i < c->k) {
		c->n = n;
		cut_add(c, c->w->unknown, c->word_start, c->word_end);
	}
	c->k = 0;
	c->over = 0;
}

/* Add a character to the word. */
static void
cut_push(struct cut *c, uint32_t ch, uint32_t start, uint32_t end)
{
	if (c->k == 0) {
		c->word_start = start;
		c->at[0] = 0;
	}
	c->word_end = end;
	if (c->k == WORDPIECE_WORD) {
		c->over = 1;
		return;
	}
	c->start[c->k] = start;
	c->end[c->k] = end;
	c->at[c->k + 1] = (uint16_t)(c->at[c->k] +
	    utf8_encode(ch, c->word + c->at[c->k]));
	c->k++;
}

/* Is it punctuation? */
static int
cut_is_punctuation(uint32_t c)
{
	if (c < 128)
		return ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) ||
		    (c >= 91 && c <= 96) || (c >= 123 && c <= 126));
	switch (utf8proc_category((utf8proc_int32_t)c)) {
	case UTF8PROC_CATEGORY_PC:
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
		return (1);
	default:
		return (0);
	}
}

/* Is it a space, or one of the characters that end a line? */
static int
cut_is_space(uint32_t c)
{
	utf8proc_category_t	 cat;

	if (c < 128)
		return (c == ' ' || c == '\t' || c == '\n' || c == '\r');
	cat = utf8proc_category((utf8proc_int32_t)c);
	return (cat == UTF8PROC_CATEGORY_ZS || cat == UTF8PROC_CATEGORY_ZL ||
	    cat == UTF8PROC_CATEGORY_ZP);
}

/* Is it left out? */
static int
cut_is_control(uint32_t c)
{
	utf8proc_category_t	 cat;

	if (c < 128)
		return (c < 32 || c == 127);
	cat = utf8proc_category((utf8proc_int32_t)c);
	return (c == 0xfffd || cat == UTF8PROC_CATEGORY_CC ||
	    cat == UTF8PROC_CATEGORY_CF || cat == UTF8PROC_CATEGORY_CO);
}

/* Is it a Chinese character, a word of its own? */
static int
cut_is_chinese(uint32_t c)
{
	return ((c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
	    (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
	    (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
	    (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f));
}

/* The tokens of an emoji instead of the character. Returns 1 if c is one, or a
 * sign that only changes how another one looks. */
static int
cut_emoji(struct cut *c, uint32_t ch, uint32_t start, uint32_t end)
{
	const struct wordpiece	*w = c->w;
	uint32_t		 low = 0, high = w->emoji_n, mid, i;

	if (high == 0 || ch < 128)
		return (0);
	if (ch == 0xfe0f || ch == 0x200d || (ch >= 0x1f3fb && ch <= 0x1f3ff))
		return (1);
	while (low < high) {
		mid = (low + high) / 2;
		if (w->emoji[3 * mid] < ch)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == w->emoji_n || w->emoji[3 * low] != ch)
		return (0);
	cut_word(c);
	for (i = 0; i < w->emoji[3 * low + 2]; i++)
		cut_add(c, w->emoji_ids[w->emoji[3 * low + 1] + i], start,
		    end);
	return (1);
}

/* Take a character whose accents are gone. */
static void
cut_letter(struct cut *c, uint32_t ch, uint32_t start, uint32_t end)
{
	ch = (uint32_t)utf8proc_tolower((utf8proc_int32_t)ch);
	if (cut_is_punctuation(ch)) {
		cut_word(c);
		cut_push(c, ch, start, end);
		cut_word(c);
	} else
		cut_push(c, ch, start, end);
}

/* Take one character of the text. */
static void
cut_char(struct cut *c, uint32_t ch, uint32_t start, uint32_t end)
{
	utf8proc_int32_t	 parts[32];
	utf8proc_ssize_t	 n, i;
	int			 chinese, last = 0;

	if (cut_emoji(c, ch, start, end))
		return;
	if (cut_is_space(ch)) {
		cut_word(c);
		return;
	}
	if (cut_is_control(ch))
		return;
	if (ch < 128) {
		cut_letter(c, ch, start, end);
		return;
	}
	if ((chinese = cut_is_chinese(ch)))
		cut_word(c);
	n = utf8proc_decompose_char((utf8proc_int32_t)ch, parts, 32,
	    UTF8PROC_DECOMPOSE, &last);
	for (i = 0; i < n && i < 32; i++) {
		if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN)
			cut_letter(c, (uint32_t)parts[i], start, end);
	}
	if (chinese)
		cut_word(c);
}

/* Cut a text. */
size_t
wordpiece_cut(const struct wordpiece *w, const char *text, size_t len,
    struct wordpiece_token *out, size_t max)
{
	struct cut	 c = { .w = w, .out = out, .max = max };
	size_t		 at;
	uint32_t	 ch;
	int		 n;

	for (at = 0; at < len && c.n < max; at += (size_t)n) {
		if ((n = utf8_decode(text + at, len - at, &ch)) <= 0)
			break;
		cut_char(&c, ch, (uint32_t)at, (uint32_t)at + (uint32_t)n);
	}
	cut_word(&c);
	return (c.n);
}
