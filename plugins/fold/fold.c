/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folding, one grapheme cluster at a time.  Composition stays inside a cluster,
 * so each folded character comes from one span of the original.
 *
 * The result for a character depends on a bounded part of the text around it,
 * so a piece of a text can be folded alone.  If that part reaches beyond the
 * piece, the character is not known yet: it is before "head" or after "tail".
 */
#include "fold_impl.h"

#include <stdlib.h>
#include <string.h>

#include "confusable.h"
#include "utf8.h"
#include "xmalloc.h"

#define FOLD_EXPANDED	(FOLD_CLUSTER * 24)	/* one character decomposes
						 * to at most 18 */
#define FOLD_WORD	64	/* letters; look-alikes stay in longer words */
#define FOLD_BEFORE	128	/* bytes around a word of look-alikes */
#define FOLD_AFTER	32	/* that decide whether it is Latin */
#define FOLD_LEET	3	/* signs in a row between letters */

static void	fold_cluster(struct fold_work *);
static void	fold_words(struct fold_work *);
static void	fold_leet(struct fold_work *);

/* Append one character. */
static void
fold_push(struct fold_work *w, uint32_t c)
{
	if (w->n == w->size) {
		w->size = w->size * 2 + 64;
		w->list = xreallocarray(w->list, w->size, sizeof *w->list);
	}
	w->list[w->n++] = (struct fold_char){ .c = c, .from = w->from,
	    .to = w->to };
}

/* Is c a mark that is drawn over letters of any script? */
static int
fold_is_accent(uint32_t c)
{
	return ((c >= 0x300 && c <= 0x36f) || (c >= 0x1ab0 && c <= 0x1aff) ||
	    (c >= 0x1dc0 && c <= 0x1dff) || (c >= 0x20d0 && c <= 0x20ff) ||
	    (c >= 0xfe20 && c <= 0xfe2f));
}

/* Is c a letter? */
int
fold_is_letter(uint32_t c)
{
	utf8proc_category_t	 k;

	if (c < 0x80)
		return (c >= 'a' && c <= 'z');
	k = utf8proc_category((utf8proc_int32_t)c);
	return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO);
}

/* Is c a letter of an alphabet that has look-alikes, a look-alike, or a sign
 * that replaces a letter? Only these form words here: in other scripts a
 * sentence may have no space. */
static int
fold_in_word(uint32_t c)
{
	if (c < 0x80)
		return (fold_is_letter(c) || confusable_leet(c) != 0);
	return ((c < 0x590 || (c >= 0x1e00 && c < 0x2000) ||
	    confusable_latin(c) != 0) && fold_is_letter(c));
}

/* White space as one kind, line ends as another. */
static uint32_t
fold_space(uint32_t c)
{
	switch (utf8proc_category((utf8proc_int32_t)c)) {
	case UTF8PROC_CATEGORY_ZS:
		return (' ');
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return ('\n');
	default:
		return (c == '\t' || c == '\v' || c == '\f' ? ' ' :
		    c == '\r' || c == 0x85 ? '\n' : c);
	}
}

/* If characters are added to a cluster that begins with c, can its folded form
 * only grow? True for some scripts: accents are dropped before composing, and
 * nothing else composes with these. */
static int
fold_is_steady(uint32_t c)
{
	return ((c < 0x590 || (c >= 0x3400 && c <= 0x9fff)) &&
	    utf8proc_get_property((utf8proc_int32_t)c)->boundclass !=
	    UTF8PROC_BOUNDCLASS_EXTEND);
}

/* Fold an ASCII character at byte i that is a cluster. Returns it. */
static int
fold_ascii(struct fold_work *w, unsigned char c, size_t i)
{
	w->last = w->n;
	w->from = (uint32_t)i;
	w->to = (uint32_t)i + 1;
	fold_push(w, c >= 'A' && c <= 'Z' ? c + 32u : c < ' ' ?
	    fold_space(c) : c);
	w->steady = w->n;
	return (c);
}

/* Fold the collected cluster and append the result. */
static void
fold_cluster(struct fold_work *w)
{
	utf8proc_int32_t	 buf[FOLD_EXPANDED];
	utf8proc_ssize_t	 n = 0, m, i, k, first = 0;
	int			 class = UTF8PROC_BOUNDCLASS_START;
	utf8proc_int32_t	 t;
	char			 bytes[4];

	w->last = w->n;
	if (w->k == 1 && w->cluster[0] < 0x80) {
		fold_ascii(w, (unsigned char)w->cluster[0], w->from);
		w->k = 0;
		return;
	}
	for (i = 0; i < (utf8proc_ssize_t)w->k; i++) {
		m = utf8proc_decompose_char(w->cluster[i], buf + n,
		    FOLD_EXPANDED - n, UTF8PROC_COMPAT|UTF8PROC_CASEFOLD|
		    UTF8PROC_IGNORE|UTF8PROC_DECOMPOSE, &class);
		if (m > 0 && m <= FOLD_EXPANDED - n)
			n += m;
		if (i == 0)
			first = n;
	}
	for (i = k = 0; i < n; i++) {
		if (i == first)
			w->steady = w->n + (size_t)k;
		if (!fold_is_accent((uint32_t)buf[i]))
			buf[k++] = buf[i];
	}
	if (n == first)
		w->steady = w->n + (size_t)k;
	/* Canonical order: insertion by combining class, never across a 0. */
	for (i = 1; i < k; i++) {
		for (m = i; m > 0 && utf8proc_get_property(buf[m])->
		    combining_class != 0 && utf8proc_get_property(buf[m - 1])->
		    combining_class > utf8proc_get_property(buf[m])->
		    combining_class; m--) {
			t = buf[m];
			buf[m] = buf[m - 1];
			buf[m - 1] = t;
		}
	}
	n = utf8proc_normalize_utf32(buf, k,
	    UTF8PROC_COMPOSE|UTF8PROC_STABLE);
	if (!fold_is_steady((uint32_t)w->cluster[0]))
		w->steady = w->n;
	for (i = 0; i < n; i++) {
		if (w->n == w->steady && w->n > w->last)
			w->from += (uint32_t)utf8_encode(
			    (uint32_t)w->cluster[0], bytes);
		fold_push(w, fold_space((uint32_t)buf[i]));
	}
	w->k = 0;
}

/* Note that the first n characters, or those from n on, are not known. */
void
fold_unknown_head(struct fold_work *w, size_t n)
{
	w->head = n > w->head ? n : w->head;
}

void
fold_unknown_tail(struct fold_work *w, size_t n)
{
	w->tail = n < w->tail ? n : w->tail;
}

/* Count the character at i: 1 for a Latin letter, -1 for another letter. Of
 * characters that come from the same place only the first counts. */
static int
fold_count(const struct fold_work *w, size_t i)
{
	const struct fold_char	*fc = &w->list[i];

	if ((i > 0 && fc[-1].from == fc->from) || !fold_is_letter(fc->c))
		return (0);
	return (fc->c < 0x80 && !fc->alike ? 1 : -1);
}

/* Are most letters around a word that has only look-alikes, list[start..end),
 * Latin? The first look-alike is at "first". */
static int
fold_in_latin(struct fold_work *w, size_t start, size_t first, size_t end)
{
	size_t	 from = w->list[start].from, to = w->list[end - 1].to, i;
	long	 sum = 0, left = 0, right = 0;

	for (i = start; i > 0 && w->list[i - 1].to + FOLD_BEFORE > from; i--)
		sum += fold_count(w, i - 1);
	for (i = end; i < w->n && w->list[i].from < to + FOLD_AFTER; i++)
		sum += fold_count(w, i);
	/* Letters outside the piece could change it: at most one per byte. */
	if (!w->begins && from < w->begin + FOLD_BEFORE)
		left = (long)(w->begin + FOLD_BEFORE - from);
	if (!w->ends && to + FOLD_AFTER > w->end)
		right = (long)(to + FOLD_AFTER - w->end);
	if (sum + left + right > 0 && sum - left - right <= 0) {
		if (right > 0)
			fold_unknown_tail(w, first);
		if (left > 0)
			fold_unknown_head(w, end);
	}
	return (sum > 0);
}

/* Replace the look-alikes of one word, list[start..end), if it is Latin. */
static void
fold_word(struct fold_work *w, size_t start, size_t end)
{
	size_t		 i, first = end, latin = 0, other = 0;
	uint32_t	 c;

	for (i = start; i < end; i++) {
		c = w->list[i].c;
		if (c < 0x80)
			latin += (size_t)fold_is_letter(c);
		else if (confusable_latin(c) == 0)
			other++;
		else if (first == end)
			first = i;
	}
	if (first == end || end - start > FOLD_WORD)
		return;
	if (start == 0 && !w->begins)
		fold_unknown_head(w, end);
	if (end == w->n && !w->ends)
		fold_unknown_tail(w, first);
	if (latin == 0 && (other > 0 || !fold_in_latin(w, start, first,
	    end)))
		return;
	for (i = first; i < end; i++) {
		if ((c = confusable_latin(w->list[i].c)) != 0) {
			w->list[i].c = c;
			w->list[i].alike = 1;
		}
	}
}

/* Replace look-alikes in words that mix them with Latin. */
static void
fold_words(struct fold_work *w)
{
	size_t	 i, start;

	for (start = 0; start < w->n; start = i + 1) {
		for (i = start; i < w->n && fold_in_word(w->list[i].c); i++)
			;
		if (i > start)
			fold_word(w, start, i);
	}
}

/* Turn signs between letters into the letters they stand for. */
static void
fold_leet(struct fold_work *w)
{
	size_t	 i, k;
	int	 after;

	for (i = 0; i < w->n; i++) {
		if (w->list[i].c - 'a' < 26 || w->list[i].c == ' ')
			continue;
		for (k = i; k < w->n && k < i + FOLD_LEET &&
		    confusable_leet(w->list[k].c) != 0; k++)
			;
		if (k == i)
			continue;
		after = i > 0 && fold_is_letter(w->list[i - 1].c);
		if (i == 0 && !w->begins)
			fold_unknown_head(w, k);
		if (k == w->n && !w->ends && (after || (i == 0 && !w->begins)))
			fold_unknown_tail(w, i);
		if (k == w->n || !after || !fold_is_letter(w->list[k].c))
			continue;
		for (; i < k; i++) {
			w->list[i].c = confusable_leet(w->list[i].c);
			w->list[i].leet = 1;
		}
	}
}

/* The first character of list that may differ from its form when the text ended
 * before byte fresh. */
static size_t
fold_known(const struct fold_work *w, size_t fresh)
{
	size_t	 lo = 0, hi = w->n, mid, n;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (w->list[mid].to + FOLD_AFTER <= fresh)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (n = 0; lo > 0 && n < FOLD_WORD && (w->list[lo - 1].alike ||
	    fold_in_word(w->list[lo - 1].c)); n++)
		lo--;
	return (lo);
}

/* Write the characters and their map to *f. */
static void
fold_write(struct fold *f, const struct fold_work *w, size_t known)
{
	const struct fold_char	*fc = w->list;
	size_t			 i;
	int			 k, n;

	f->text = xmalloc(w->n * 5 + 1);
	f->from = xmalloc((w->n * 5 + 1) * sizeof *f->from);
	f->to = xmalloc((w->n * 5 + 1) * sizeof *f->to);
	f->len = f->head = f->known = 0;
	f->tail = f->spans = SIZE_MAX;
	for (i = 0; i < w->n; i++, fc++) {
		if (i == w->head)
			f->head = f->len;
		if (i == w->tail)
			f->tail = f->len;
		if (i == w->last)
			f->spans = f->len;
		if (i == known)
			f->known = f->len;
		n = 1;
		if (fc->c < 0x80)
			f->text[f->len] = (char)fc->c;
		else
			n = utf8_encode(fc->c, f->text + f->len);
		if (fc->drop)
			n = 0;
		if (fc->gap)
			f->text[f->len + (size_t)n++] = ' ';
		for (k = 0; k < n; k++) {
			f->from[f->len + (size_t)k] = fc->from;
			f->to[f->len + (size_t)k] = fc->to;
		}
		f->len += (size_t)n;
	}
	f->text[f->len] = '\0';
	if (w->head >= w->n && w->head > 0)
		f->head = f->len;
	if (known >= w->n)
		f->known = f->len;
	f->tail = f->tail < f->len ? f->tail : f->len;
	f->spans = f->spans < f->tail && !w->ends ? f->spans : f->tail;
}

/* Is there a boundary of clusters between two characters, for any characters
 * before them? */
static int
fold_breaks(uint32_t a, uint32_t b)
{
	int	 l, r;

	if (a < 0x80 && b < 0x80)
		return (1);
	l = (int)utf8proc_get_property((utf8proc_int32_t)a)->boundclass;
	r = (int)utf8proc_get_property((utf8proc_int32_t)b)->boundclass;
	if (l == UTF8PROC_BOUNDCLASS_OTHER || l == UTF8PROC_BOUNDCLASS_CONTROL)
		return (r != UTF8PROC_BOUNDCLASS_EXTEND &&
		    r != UTF8PROC_BOUNDCLASS_ZWJ &&
		    r != UTF8PROC_BOUNDCLASS_SPACINGMARK);
	return (l != UTF8PROC_BOUNDCLASS_PREPEND &&
	    (r == UTF8PROC_BOUNDCLASS_OTHER ||
	    r == UTF8PROC_BOUNDCLASS_CONTROL));
}

/* Decode one character; an invalid byte counts as U+FFFD. */
static size_t
fold_decode(const char *s, size_t len, uint32_t *c)
{
	int	 n;

	if (!((unsigned char)*s & 0x80)) {
		*c = (unsigned char)*s;
		return (1);
	}
	if ((n = utf8_decode(s, len, c)) > 0)
		return ((size_t)n);
	*c = 0xfffd;
	return (n < 0 ? (size_t)-n : len);
}

/* The first byte of a piece at which a cluster is certain to begin. */
static size_t
fold_begin(const char *text, size_t len)
{
	uint32_t	 c, last = 0;
	size_t		 i, n;

	for (i = 0; i < len; i += n, last = c) {
		n = fold_decode(text + i, len - i, &c);
		if (i > 0 && fold_breaks(last, c))
			return (i);
	}
	return (len);
}

/* Are byte i and the next one ASCII, so that i begins no longer cluster? */
static int
fold_alone(const char *text, size_t i, size_t len)
{
	return (i + 1 < len && !(((unsigned char)text[i] |
	    (unsigned char)text[i + 1]) & 0x80));
}

/* Fold a piece of a text. */
void
fold_piece(struct fold *f, const char *text, size_t len, size_t fresh,
    unsigned flags)
{
	struct fold_work	 w = { .list = NULL };
	utf8proc_int32_t	 state = 0, last = 0;
	uint32_t		 c;
	size_t			 i, n;

	w.begins = (flags & FOLD_BEGINS) != 0;
	w.ends = (flags & FOLD_ENDS) != 0;
	w.begin = w.begins ? 0 : fold_begin(text, len);
	w.end = len;
	w.size = len - w.begin + 64;
	w.list = xmalloc(w.size * sizeof *w.list);
	for (i = w.begin; i < len; i += n) {
		n = 1;
		if (last < 0x80 && fold_alone(text, i, len)) {
			if (w.k > 0)
				fold_cluster(&w);
			last = fold_ascii(&w, (unsigned char)text[i], i);
			state = 0;
			continue;
		}
		n = fold_decode(text + i, len - i, &c);
		w.wide |= c >= 0x80;
		if (c < 0x80 && last < 0x80) {	/* so CR and LF are two */
			state = 0;
			if (w.k > 0)
				fold_cluster(&w);
		} else if (w.k > 0 && (w.k == FOLD_CLUSTER ||
		    utf8proc_grapheme_break_stateful(last,
		    (utf8proc_int32_t)c, &state)))
			fold_cluster(&w);
		last = (utf8proc_int32_t)c;
		if (w.k == 0)
			w.from = (uint32_t)i;
		w.to = (uint32_t)(i + n);
		w.cluster[w.k++] = last;
	}
	if (w.k > 0)
		fold_cluster(&w);
	w.tail = w.ends ? w.n : w.steady;
	w.known = w.n;
	w.fresh = fresh;
	if (flags & FOLD_PLAIN)
		fold_plain(&w);
	if (w.wide)
		fold_words(&w);
	fold_leet(&w);
	n = fold_known(&w, fresh);
	w.known = n < w.known ? n : w.known;
	if (flags & FOLD_PLAIN)
		fold_mend(&w);
	fold_write(f, &w, w.known);
	free(w.list);
}

/* Fold a text. */
void
fold_init(struct fold *f, const char *text, size_t len)
{
	fold_piece(f, text, len, 0, FOLD_BEGINS|FOLD_ENDS);
}

/* Release a folded text. */
void
fold_clear(struct fold *f)
{
	free(f->text);
	free(f->from);
	free(f->to);
	memset(f, 0, sizeof *f);
}

/* Map a span back. */
void
fold_span(const struct fold *f, size_t len, size_t start, size_t end,
    uint64_t *from, uint64_t *to)
{
	*from = start < f->len ? f->from[start] : len;
	*to = end > start ? f->to[end - 1] : *from;
}
