/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters that are spread out, as in "b o m b" and "h-o-w t-o", are joined, and
 * signs that replace the spaces of a sentence become spaces.
 *
 * Letters are joined in a run of four or more that stand alone, with the same
 * kind of gap between them.  If there are wider gaps too, these are the spaces
 * between words; else the words are guessed.  A sign is replaced if the same
 * stands in three gaps between words in a row.
 *
 * All this depends on at most PLAIN_RUN letters, or three words, on each side.
 * What may go on beyond the piece is not known.
 */
#include "fold_impl.h"

#include <string.h>

#include "confusable.h"
#include "words.h"
#include "xmalloc.h"

#define PLAIN_RUN	256	/* letters; those after them stay */
#define PLAIN_LEAST	4	/* letters of a run */
#define PLAIN_GAP	5	/* characters between two letters */
#define PLAIN_WORD	32	/* letters of a word beside a sign */
#define PLAIN_SIGNS	3	/* gaps of a kind in a row */
#define PLAIN_GUESS	12	/* letters of a longer word are split */

static const char	plain_letter_signs[] = ".-_*|/~:+\\'`\n";
static const char	plain_word_signs[] = "._-*|/~:+=\\^#&\n";

/* A word: the characters [start..end). */
struct plain_word {
	size_t	 start, end;
};

/* The single letters of a run. */
struct plain_run {
	size_t	 at[PLAIN_RUN];
	size_t	 n;
	int	 more;		/* more letters follow */
	int	 first;		/* it begins with the first word */
};

/* The first character that came from byte "fresh" or one after it. */
size_t
fold_fresh(const struct fold_work *w)
{
	size_t	 lo = 0, hi = w->n, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (w->list[mid].to <= w->fresh)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo);
}

/* Is c a digit? */
static inline int
plain_is_digit(uint32_t c)
{
	return (c - '0' < 10);
}

/* Is c a letter or a digit? */
static inline int
plain_is_alnum(uint32_t c)
{
	if (c < 0x80)
		return (c - 'a' < 26 || plain_is_digit(c));
	return ((c < 0x590 || (c >= 0x1e00 && c < 0x2000) ||
	    confusable_latin(c) != 0) && fold_is_letter(c));
}

/* Does the sign at i belong to a word? Some do within one. */
static int
plain_sign_in_word(const struct fold_work *w, size_t i)
{
	uint32_t	 c = w->list[i].c;

	if (c != '\'' && c != 0x2019 && c != '$' && c != '@' && c != '!')
		return (0);
	return (i > 0 && i + 1 < w->n && plain_is_alnum(w->list[i - 1].c) &&
	    plain_is_alnum(w->list[i + 1].c));
}

/* Does the character at i belong to a word? */
static inline int
plain_in_word(const struct fold_work *w, size_t i)
{
	uint32_t	 c = w->list[i].c;

	return (plain_is_alnum(c) || (c != ' ' && plain_sign_in_word(w, i)));
}

/* Find the next word from i on. Returns 0 if there is none. */
static int
plain_next(const struct fold_work *w, size_t i, struct plain_word *word)
{
	for (; i < w->n && !plain_in_word(w, i); i++)
		;
	word->start = i;
	for (; i < w->n && plain_in_word(w, i); i++)
		;
	word->end = i;
	return (word->end > word->start);
}

/* Is c one of the signs, or another sign such as a dot in the middle? */
static int
plain_is_sign(uint32_t c, const char *signs)
{
	if (c < 0x80)
		return (c != 0 && strchr(signs, (int)c) != NULL);
	return (c == 0xb7 || (c >= 0x2010 && c <= 0x2015) ||
	    (c >= 0x2022 && c <= 0x2027) || c == 0x2043 || c == 0x2219);
}

/*
 * The kind of the gap [start..end): spaces, or one sign with spaces around.
 * *sign becomes the sign, or a space. Returns the number of spaces, or -1 for
 * another gap.
 */
static int
plain_gap(const struct fold_work *w, size_t start, size_t end,
    const char *signs, uint32_t *sign)
{
	uint32_t	 c;
	int		 spaces = 0;

	*sign = ' ';
	if (end - start > PLAIN_GAP)
		return (-1);
	for (; start < end; start++) {
		c = w->list[start].c;
		if (c == ' ')
			spaces++;
		else if (*sign == ' ' && plain_is_sign(c, signs))
			*sign = c;
		else
			return (-1);
	}
	return (spaces);
}

/* Leave out the characters [start..end), or make a space of them. */
static void
plain_clear(struct fold_work *w, size_t start, size_t end, int space)
{
	for (; start < end; start++, space = 0) {
		w->list[start].c = ' ';
		w->list[start].drop = !space;
		w->dropped |= !space;
	}
}

/* The width of the gap after letter i of a run. */
static int
plain_width(const struct fold_work *w, const struct plain_run *r, size_t i)
{
	uint32_t	 sign;

	return (plain_gap(w, r->at[i] + 1, r->at[i + 1], plain_letter_signs,
	    &sign));
}

/* Join the letters [from..to) of a run, and guess words if asked. */
static void
plain_join(struct fold_work *w, const struct plain_run *r, size_t from,
    size_t to, int guess)
{
	unsigned char	 last[PLAIN_RUN];
	char		 b[PLAIN_RUN];
	uint32_t	 c;
	size_t		 i;

	memset(last, 0, sizeof last);
	for (i = from; i < to; i++) {
		c = w->list[r->at[i]].c;
		if (confusable_latin(c) != 0)
			c = confusable_latin(c);
		else if (confusable_leet(c) != 0)
			c = confusable_leet(c);
		b[i - from] = c < 0x80 ? (char)c : '?';
	}
	if (guess && words_find(b, to - from) == 0)
		words_split(b, to - from, last);
	for (i = from; i + 1 < to; i++)
		plain_clear(w, r->at[i] + 1, r->at[i + 1], last[i - from]);
}

/* Are most of a run letters, and not all the same? */
static int
plain_reads(const struct fold_work *w, const struct plain_run *r)
{
	size_t	 i, digits = 0, other = 0;

	for (i = 0; i < r->n; i++) {
		digits += (size_t)plain_is_digit(w->list[r->at[i]].c);
		other += w->list[r->at[i]].c != w->list[r->at[0]].c;
	}
	return (r->n >= PLAIN_LEAST && digits * 2 < r->n && other > 0);
}

/* A run has ended before the word that begins at "next"; next is w->n if there
 * is no word. */
static void
plain_run(struct fold_work *w, const struct plain_run *r, size_t next,
    size_t fresh)
{
	size_t	 i, from;
	int	 least = PLAIN_GAP, wide = 0, width;

	if (r->n == 0)
		return;
	if (r->first && !w->begins)
		fold_unknown_head(w, r->at[r->n - 1] + 1);
	if (next == w->n && !w->ends && !r->more)
		fold_unknown_tail(w, r->at[0]);
	if (r->at[0] < fresh && next + 3 > fresh && r->at[0] < w->known)
		w->known = r->at[0];
	if (!plain_reads(w, r))
		return;
	for (i = 0; i + 1 < r->n; i++) {
		width = plain_width(w, r, i);
		least = width < least ? width : least;
	}
	for (i = 0; i + 1 < r->n; i++)
		wide |= plain_width(w, r, i) > least;
	for (from = i = 0; i < r->n; i++) {
		if (i + 1 < r->n && plain_width(w, r, i) <= least)
			continue;
		plain_join(w, r, from, i + 1, !wide || i + 1 - from >
		    PLAIN_GUESS);
		if (i + 1 < r->n)
			plain_clear(w, r->at[i] + 1, r->at[i + 1], 1);
		from = i + 1;
	}
}

/* Join letters that stand alone. */
static void
plain_letters(struct fold_work *w)
{
	struct plain_run	 r;
	struct plain_word	 word;
	uint32_t		 sign;
	size_t			 end = 0, fresh = fold_fresh(w);
	int			 first = 1, joins;

	r.n = 0;
	r.more = r.first = 0;
	for (; plain_next(w, end, &word); end = word.end, first = 0) {
		joins = r.n > 0 && plain_gap(w, end, word.start,
		    plain_letter_signs, &sign) >= 0 &&
		    end < word.start;
		if (word.end - word.start > 1 || !joins) {
			plain_run(w, &r, word.start, fresh);
			r.n = 0;
			r.more = 0;
		}
		if (word.end - word.start > 1)
			continue;
		if (r.n == 0)
			r.first = first;
		if (r.n < PLAIN_RUN)
			r.at[r.n++] = word.start;
		else
			r.more = 1;
	}
	plain_run(w, &r, w->n, fresh);
}

/* Is a word one beside which signs are replaced? */
static int
plain_speaks(const struct fold_work *w, const struct plain_word *word)
{
	size_t	 i;

	if (word->end - word->start > PLAIN_WORD)
		return (0);
	if (word->end - word->start == 1)
		return (1);
	for (i = word->start; i < word->end; i++)
		if (!plain_is_digit(w->list[i].c))
			return (1);
	return (0);
}

/* The gaps of one kind in a row. */
struct plain_gaps {
	struct plain_word	 at[PLAIN_SIGNS];	/* the latest */
	uint32_t		 sign;
	size_t			 n;
};

/* The first character that could change with what follows the gaps. */
static size_t
plain_open(const struct plain_gaps *g, size_t otherwise)
{
	return (g->n == 0 ? otherwise : g->at[g->n < PLAIN_SIGNS ? 0 :
	    g->n % PLAIN_SIGNS].start);
}

/* The same if a gap [start..end) follows whose next word is not complete. */
static size_t
plain_open_gap(const struct fold_work *w, const struct plain_gaps *g,
    size_t start, size_t end, size_t otherwise)
{
	uint32_t	 sign;

	if (plain_gap(w, start, end, plain_word_signs, &sign) < 0 ||
	    sign == ' ')
		return (otherwise);
	return (g->sign == sign ? plain_open(g, start) : start);
}

/* Take the gap [start..end), between words that speak or not. */
static void
plain_take(struct fold_work *w, struct plain_gaps *g, size_t start, size_t end,
    int speaks)
{
	uint32_t	 sign;
	size_t		 i;

	if (!speaks || plain_gap(w, start, end, plain_word_signs, &sign) < 0 ||
	    sign == ' ') {
		g->n = 0;
		return;
	}
	if (g->n > 0 && g->sign != sign)
		g->n = 0;
	g->sign = sign;
	g->at[g->n++ % PLAIN_SIGNS] = (struct plain_word){ start, end };
	if (g->n < PLAIN_SIGNS)
		return;
	/* The gaps before the last ones are spaces already. */
	for (i = 0; i < PLAIN_SIGNS; i++)
		if (g->n == PLAIN_SIGNS || i == (g->n - 1) % PLAIN_SIGNS)
			plain_clear(w, g->at[i].start, g->at[i].end, 1);
}

/* Replace signs between words by spaces, between the letters that are not
 * known. */
static void
plain_signs(struct fold_work *w)
{
	struct plain_gaps	 g = { .n = 0 };
	size_t			 lo = w->head, hi = w->tail;
	struct plain_word	 word, before = { lo, lo };
	size_t			 fresh = fold_fresh(w), gaps = 0, open;
	int			 begins = w->begins && lo == 0;
	int			 ends = w->ends && hi == w->n;
	int			 spoke = 0, speaks, first = 1, leads = 1, cut;

	fresh = fresh < w->known ? fresh : w->known;
	for (; plain_next(w, before.end, &word); before = word, first = 0) {
		/* what is cut off may make a number a word */
		cut = word.end >= hi || (word.end + 1 == w->n &&
		    w->list[word.end].c != ' ');
		speaks = plain_speaks(w, &word) || (cut && !ends) ||
		    (word.start <= lo + 1 && !begins);
		if (before.end < fresh && fresh <= word.start) {
			open = plain_open(&g, before.end);
			w->known = open < w->known ? open : w->known;
		} else if (word.start < fresh && fresh <= word.end + 1) {
			open = plain_open_gap(w, &g, before.end, word.start,
			    fresh);
			w->known = open < w->known ? open : w->known;
		}
		if (first && !begins && word.start > lo)
			fold_unknown_head(w, word.start);
		if (!first) {
			plain_take(w, &g, before.end, word.start, spoke &&
			    speaks);
			leads &= g.n > 0 && gaps < PLAIN_SIGNS;
			gaps++;
			if (leads && !begins)
				fold_unknown_head(w, word.start);
		}
		spoke = speaks;
		if (cut && !ends && word.end < hi) {
			fold_unknown_tail(w, plain_open(&g, word.end));
			return;
		}
		if (word.end >= hi) {
			fold_unknown_tail(w, ends ? hi : plain_open(&g,
			    word.start <= hi ? hi : before.end));
			return;
		}
	}
	open = plain_open(&g, before.end);
	/* a space that begins a gap is one, whatever follows */
	if (!ends)
		fold_unknown_tail(w, !first && open == before.end &&
		    open < w->n && w->list[open].c == ' ' ? open + 1 : open);
	if (before.end < fresh && open < w->known)
		w->known = open;
}

/* Take out the characters that are left out, if there are any. */
static void
plain_compact(struct fold_work *w)
{
	size_t	*const marks[] = { &w->last, &w->head, &w->tail, &w->known };
	size_t	 to[nitems(marks)], i, k, n = 0;

	if (!w->dropped)
		return;
	w->dropped = 0;
	for (k = 0; k < nitems(marks); k++)
		to[k] = SIZE_MAX;
	for (i = 0; i <= w->n; i++) {
		for (k = 0; k < nitems(marks); k++)
			if (*marks[k] == i)
				to[k] = n;
		if (i < w->n && !w->list[i].drop)
			w->list[n++] = w->list[i];
	}
	w->n = n;
	for (k = 0; k < nitems(marks); k++)
		*marks[k] = to[k] < n ? to[k] : n;
}

/* Join letters, then replace signs. */
void
fold_plain(struct fold_work *w)
{
	plain_letters(w);
	plain_compact(w);
	plain_signs(w);
	plain_compact(w);
}
