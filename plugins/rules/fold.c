/*
 * Folding, one grapheme cluster at a time: composition never reaches beyond
 * a cluster, so each folded character has one stretch of the original.
 */
#include "fold.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "confusable.h"
#include "utf8.h"
#include "xmalloc.h"

#define FOLD_CLUSTER	32	/* characters; longer ones are cut, as in the
				 * Stream-Safe format of UAX 15 */
#define FOLD_EXPANDED	(FOLD_CLUSTER * 24)	/* one character decomposes
						 * to at most 18 */

/* One folded character and the bytes it came from. */
struct fold_char {
	uint32_t	 c;
	uint32_t	 from, to;
};

struct fold_work {
	struct fold_char	*list;		/* owned */
	size_t			 n, size;
	utf8proc_int32_t	 cluster[FOLD_CLUSTER];
	size_t			 k;		/* characters in cluster */
	uint32_t		 from, to;	/* bytes of the cluster */
	size_t			 latin, other;	/* letters, by script */
};

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
	w->list[w->n++] = (struct fold_char){ c, w->from, w->to };
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
static int
fold_is_letter(uint32_t c)
{
	utf8proc_category_t	 k;

	if (c < 0x80)
		return (c >= 'a' && c <= 'z');
	k = utf8proc_category((utf8proc_int32_t)c);
	return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO);
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

/* Fold the collected cluster and append what is left of it. */
static void
fold_cluster(struct fold_work *w)
{
	utf8proc_int32_t	 buf[FOLD_EXPANDED];
	utf8proc_ssize_t	 n = 0, m, i, k;
	int			 class = UTF8PROC_BOUNDCLASS_START;
	utf8proc_int32_t	 t;

	if (w->k == 1 && w->cluster[0] < 0x80) {	/* most text */
		t = w->cluster[0];
		fold_push(w, t >= 'A' && t <= 'Z' ? (uint32_t)t + 32 :
		    t < ' ' ? fold_space((uint32_t)t) : (uint32_t)t);
		w->k = 0;
		return;
	}
	for (i = 0; i < (utf8proc_ssize_t)w->k; i++) {
		m = utf8proc_decompose_char(w->cluster[i], buf + n,
		    FOLD_EXPANDED - n, UTF8PROC_COMPAT|UTF8PROC_CASEFOLD|
		    UTF8PROC_IGNORE|UTF8PROC_DECOMPOSE, &class);
		if (m > 0 && m <= FOLD_EXPANDED - n)
			n += m;
	}
	for (i = k = 0; i < n; i++) {
		if (!fold_is_accent((uint32_t)buf[i]))
			buf[k++] = buf[i];
	}
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
	for (i = 0; i < n; i++)
		fold_push(w, fold_space((uint32_t)buf[i]));
	w->k = 0;
}

/* Replace look-alikes in words that mix them with Latin. */
static void
fold_words(struct fold_work *w)
{
	size_t	 i, start, latin, alike, other;

	for (start = 0; start < w->n; start = i + 1) {
		latin = alike = other = 0;
		for (i = start; i < w->n && (fold_is_letter(w->list[i].c) ||
		    confusable_leet(w->list[i].c) != 0); i++) {
			if (w->list[i].c < 0x80)
				latin += fold_is_letter(w->list[i].c);
			else if (confusable_latin(w->list[i].c) != 0)
				alike++;
			else
				other++;
		}
		if (alike == 0 || (latin == 0 &&
		    (other > 0 || w->latin <= w->other)))
			continue;
		for (; start < i; start++) {
			latin = confusable_latin(w->list[start].c);
			if (latin != 0)
				w->list[start].c = (uint32_t)latin;
		}
	}
}

/* Turn signs between letters into the letters they stand for. */
static void
fold_leet(struct fold_work *w)
{
	size_t	 i, k;

	for (i = 1; i < w->n; i++) {
		for (k = i; k < w->n && k < i + 3 &&
		    confusable_leet(w->list[k].c) != 0; k++)
			;
		if (k == i || k == w->n || !fold_is_letter(w->list[i - 1].c) ||
		    !fold_is_letter(w->list[k].c))
			continue;
		for (; i < k; i++)
			w->list[i].c = confusable_leet(w->list[i].c);
	}
}

/* Write the characters out with their map. */
static void
fold_write(struct fold *f, const struct fold_work *w)
{
	size_t	 i;
	int	 k, n;

	f->text = xmalloc(w->n * 4 + 1);
	f->from = xcalloc(w->n * 4 + 1, sizeof *f->from);
	f->to = xcalloc(w->n * 4 + 1, sizeof *f->to);
	f->len = 0;
	for (i = 0; i < w->n; i++) {
		n = utf8_encode(w->list[i].c, f->text + f->len);
		for (k = 0; k < n; k++) {
			f->from[f->len + (size_t)k] = w->list[i].from;
			f->to[f->len + (size_t)k] = w->list[i].to;
		}
		f->len += (size_t)n;
	}
	f->text[f->len] = '\0';
}

/* Fold a text. */
void
fold_init(struct fold *f, const char *text, size_t len)
{
	struct fold_work	 w = { .list = NULL };
	utf8proc_int32_t	 state = 0, last = 0;
	uint32_t		 c;
	size_t			 i;
	int			 n;

	for (i = 0; i < len; i += (size_t)n) {
		n = utf8_decode(text + i, len - i, &c);
		if (n <= 0) {
			n = n < 0 ? -n : (int)(len - i);
			c = 0xfffd;
		}
		if (w.k > 0 && (w.k == FOLD_CLUSTER ||
		    utf8proc_grapheme_break_stateful(last,
		    (utf8proc_int32_t)c, &state)))
			fold_cluster(&w);
		last = (utf8proc_int32_t)c;
		if (w.k == 0)
			w.from = (uint32_t)i;
		w.to = (uint32_t)(i + (size_t)n);
		w.cluster[w.k++] = last;
		if (c < 0x80)
			w.latin += fold_is_letter(c | 0x20);
		else if (confusable_latin(c) != 0 || fold_is_letter(c))
			w.other++;
	}
	if (w.k > 0)
		fold_cluster(&w);
	fold_words(&w);
	fold_leet(&w);
	fold_write(f, &w);
	free(w.list);
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
