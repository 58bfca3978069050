/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See encoder_text.h.
 */
#include "encoder_text.h"

#include <string.h>

#include "words.h"

/* The last start of a character at or before byte i. */
static size_t
text_character(const struct encoder_piece *p, size_t i)
{
	while (i > 0 && i < p->len && (p->text[i] & 0xc0) == 0x80)
		i--;
	return (i);
}

/* Is it a space between words? */
static int
text_is_space(char c)
{
	return (c == ' ' || c == '\n' || c == '\t' || c == '\r');
}

/* Add [CLS] and [SEP] around n tokens. */
static void
text_window(const struct encoder *e, const struct wordpiece_token *t, size_t n,
    struct encoder_window *w)
{
	size_t	 i;

	w->ids[0] = e->id_cls;
	for (i = 0; i < n; i++)
		w->ids[i + 1] = t[i].id;
	w->ids[n + 1] = e->id_sep;
	w->n = n + 2;
}

/* Does a token continue a word? */
static int
text_continues(const struct encoder *e, uint32_t id)
{
	return (strncmp(e->words.text + e->words.at[id], "##", 2) == 0);
}

/* The token at which the window after n tokens begins: the beginning of a
 * word. */
static size_t
text_stride(const struct encoder *e, const struct wordpiece_token *t,
    size_t n)
{
	size_t	 i = n > 2 * TEXT_OVERLAP ? n - TEXT_OVERLAP : n / 2;

	while (i > 0 && text_continues(e, t[i].id))
		i--;
	return (i > 0 ? i : n / 2);
}

/* Where the words that can't grow any more end, in the bytes from .. to. */
static size_t
text_complete(const struct encoder_piece *p, size_t from, size_t to)
{
	while (to > from && !text_is_space(p->text[to - 1]))
		to--;
	return (to);
}

/* The next window of a prompt. */
static int
text_prompt(const struct encoder *e, struct encoder_text *t,
    const struct encoder_piece *p, struct encoder_window *w)
{
	struct wordpiece_token	 out[ENCODER_TOKENS];
	size_t			 from = (size_t)(t->next - p->offset), to, n;
	size_t			 most = e->tokens - 2, i;
	int			 whole;

	to = p->len - from > TEXT_WINDOW ? text_character(p, from +
	    TEXT_WINDOW) : p->len;
	whole = to < p->len || p->final;	/* no more bytes would count */
	if (!whole)
		to = text_complete(p, from, to);
	n = wordpiece_cut(&e->words, p->text + from, to - from, out, most + 1);
	if (n <= most && !whole)
		return (0);
	if (n > most) {
		n = most;
		to = from + out[n].start;
	}
	text_window(e, out, n, w);
	w->start = from;
	w->end = to;
	t->covered = p->offset + to;
	t->next = t->covered;
	if (n > 1 && to < p->len) {
		i = text_stride(e, out, n);
		t->next = p->offset + from + out[i].start;
	}
	if (t->next <= p->offset + from)
		t->next = t->covered;
	return (1);
}

/* Does a sentence end before byte i, which is a space? */
static int
text_is_sentence(const char *s, size_t i)
{
	char	 c;

	while (i > 0 && (s[i - 1] == '"' || s[i - 1] == '\'' ||
	    s[i - 1] == ')'))
		i--;
	c = i > 0 ? s[i - 1] : ' ';
	return (c == '.' || c == '!' || c == '?' || c == ':' || c == ';');
}

/* Where a reply is judged next, after byte "from" of the piece; 0: not yet. */
static size_t
text_point(const struct encoder_piece *p, size_t from)
{
	const int	 early = p->offset + from < TEXT_EARLY;
	const size_t	 sentence = early ? TEXT_EARLY_SENTENCE :
			    TEXT_SENTENCE;
	const size_t	 words = early ? TEXT_EARLY_WORDS : TEXT_WORDS;
	size_t		 i;

	for (i = from + 1; i < p->len; i++) {
		if (text_is_space(p->text[i]) &&
		    ((i - from >= sentence && (p->text[i] == '\n' ||
		    text_is_sentence(p->text + from, i - from))) ||
		    i - from >= words))
			return (i);
		if (i - from >= TEXT_LETTERS && (p->text[i] & 0xc0) != 0x80)
			return (i);
	}
	return (p->final && from < p->len ? p->len : 0);
}

/* The next window of a reply. */
static int
text_reply(const struct encoder *e, struct encoder_text *t,
    const struct encoder_piece *p, struct encoder_window *w)
{
	struct wordpiece_token	 out[TEXT_BEFORE + TEXT_LETTERS + 8];
	size_t			 last = (size_t)(t->next - p->offset), from;
	size_t			 to, n, most = e->tokens - 2, skip;

	if ((to = text_point(p, last)) == 0)
		return (0);
	from = last > TEXT_BEFORE ? last - TEXT_BEFORE : 0;
	if (from > 0 || p->offset > 0) {	/* from a whole word on */
		while (from < last && !text_is_space(p->text[from]))
			from++;
	}
	n = wordpiece_cut(&e->words, p->text + from, to - from, out,
	    sizeof out / sizeof out[0]);
	skip = n > most ? n - most : 0;
	text_window(e, out + skip, n - skip, w);
	w->start = last;
	w->end = to;
	t->next = t->covered = p->offset + to;
	return (1);
}

/* The next window. */
int
encoder_text_next(const struct encoder *e, struct encoder_text *t,
    const struct encoder_piece *p, struct encoder_window *w)
{
	if (t->next < p->offset)	/* bytes that we never see */
		t->next = p->offset;
	do {
		if (t->covered >= p->offset + p->len ||
		    !(t->reply ? text_reply(e, t, p, w) :
		    text_prompt(e, t, p, w)))
			return (0);
	} while (w->n == 2);		/* no token */
	t->windows++;
	return (1);
}

/* Is it English? A word is a run of letters; all bytes from 0x80 on count as
 * letters, and no word of the list has one. */
int
encoder_text_english(const char *text, size_t n)
{
	char	 word[WORDS_LONGEST];
	size_t	 i, len = 0, words = 0, known = 0;
	int	 c, strange = 0;

	for (i = 0; i <= n; i++) {
		c = i < n ? (unsigned char)text[i] : ' ';
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if ((c >= 'a' && c <= 'z') || c >= 0x80) {
			strange |= c >= 0x80 || len >= sizeof word;
			if (len < sizeof word)
				word[len] = (char)c;
			len++;
			continue;
		}
		words += len > 0;
		known += len > 0 && !strange && words_find(word, len) > 0;
		len = 0;
		strange = 0;
	}
	return (words < TEXT_FEW || known * 100 >= words * TEXT_ENGLISH);
}

/* The first byte that is not settled. */
size_t
encoder_text_settled(const struct encoder_text *t,
    const struct encoder_piece *p)
{
	if (t->next <= p->offset)
		return (0);
	return (t->next - p->offset < p->len ? (size_t)(t->next - p->offset) :
	    p->len);
}
