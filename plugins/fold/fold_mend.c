/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mends words: letters that changed places or were repeated, a star in place of
 * a letter, digits and signs in place of letters at the ends of a word, and
 * words without a space between them.  Words of the list (words.h) stay as they
 * are, and so does what is no mistake for one of them.
 */
#include "fold_impl.h"

#include <string.h>

#include "words.h"

#define MEND_WORD	64	/* letters; longer words stay */
#define MEND_SPLIT	10	/* letters of a word that is split */
#define MEND_BITS	3.6	/* for a letter of words run together */
#define MEND_NEAR	3	/* characters between words that are near */
#define MEND_ALONE	5	/* letters and digits of a word with digits
				 * that needs no other such word near it */

/* A word of small letters, digits and signs: the characters [start..end). */
struct mend_word {
	size_t	 start, end;	/* start == end: none */
	size_t	 letters;
	size_t	 marks;		/* digits and signs */
	size_t	 stars;
	int	 mixed;		/* letters beside digits or signs, or in place
				 * of them */
	int	 plain;		/* no other letter beside it */
};

/* The letter for a digit or sign, or 0. one is for "1" and "!". */
static char
mend_letter(uint32_t c, char one)
{
	static const char	 from[] = "0345789@$", to[] = "oeastbgas";
	const char		*p;

	if (c >= 'a' && c <= 'z')
		return ((char)c);
	if (c == '1' || c == '!')
		return (one);
	p = c != 0 && c < 0x80 ? strchr(from, (int)c) : NULL;
	return (p != NULL ? to[p - from] : 0);
}

/* Is c a small letter, a digit, or a sign that replaces a letter? */
static inline int
mend_in_word(const struct fold_work *w, size_t i)
{
	uint32_t	 c = w->list[i].c;

	if (c - 'a' < 26 || c - '0' < 10 || c == '$' || c == '@')
		return (1);
	return (c == '*' && i > 0 && i + 1 < w->n && w->list[i - 1].c >= 'a' &&
	    w->list[i - 1].c <= 'z' && w->list[i + 1].c >= 'a' &&
	    w->list[i + 1].c <= 'z');
}

/* Does the character at i join the words beside it? */
static int
mend_joins(const struct fold_work *w, size_t i)
{
	uint32_t	 c = w->list[i].c;

	return (c == '\'' || c == 0x2019 || (c >= 0x80 && fold_is_letter(c)));
}

/* Find the next word from i on. Returns 0 if there is none. */
static int
mend_next(const struct fold_work *w, size_t i, struct mend_word *word)
{
	uint32_t	 c;

	memset(word, 0, sizeof *word);
	for (; i < w->n && !mend_in_word(w, i); i++)
		;
	word->start = i;
	for (; i < w->n && mend_in_word(w, i); i++) {
		c = w->list[i].c;
		if (c == '*')
			word->stars++;
		else if (c >= 'a' && c <= 'z')
			word->letters++;
		else
			word->marks++;
		word->mixed |= w->list[i].leet;
	}
	word->end = i;
	word->mixed |= word->letters > 0 && word->marks > 0;
	word->plain = (word->start == 0 || !mend_joins(w, word->start - 1)) &&
	    (i == w->n || !mend_joins(w, i));
	return (word->end > word->start);
}

/* Copy a word with letters for digits and signs; "one" for every "1". Returns
 * its length, or 0 if that can't be done. */
static size_t
mend_copy(const struct fold_work *w, const struct mend_word *word, char one,
    char *b)
{
	const struct fold_char	*fc;
	size_t			 i, n = word->end - word->start;

	for (i = 0; i < n; i++) {
		fc = &w->list[word->start + i];
		b[i] = fc->leet && fc->c == 'i' ? one : mend_letter(fc->c, one);
		if (b[i] == 0)
			return (0);
	}
	return (n);
}

/* Read digits and signs as letters, if that makes a word. Returns whether it
 * does. */
static int
mend_leet(struct fold_work *w, const struct mend_word *word)
{
	char	 b[MEND_WORD], one;
	size_t	 n, i;

	for (one = 'i';; one = 'l') {
		n = mend_copy(w, word, one, b);
		if (n > 0 && words_find(b, n) != 0)
			break;
		if (one == 'l')
			return (0);
	}
	for (i = 0; i < n; i++)
		w->list[word->start + i].c = (unsigned char)b[i];
	return (1);
}

/* Put the likeliest letter in place of a star. */
static void
mend_star(struct fold_work *w, const struct mend_word *word)
{
	char		 b[MEND_WORD], c, letter = 0;
	size_t		 i, n = word->end - word->start, at = 0;
	uint32_t	 place, best = UINT32_MAX;

	for (i = 0; i < n; i++) {
		b[i] = (char)w->list[word->start + i].c;
		at = b[i] == '*' ? i : at;
	}
	for (c = 'a'; c <= 'z'; c++) {
		b[at] = c;
		place = words_find(b, n);
		if (place != 0 && place < best) {
			best = place;
			letter = c;
		}
	}
	if (letter != 0)
		w->list[word->start + at].c = (unsigned char)letter;
}

/* Mend a word of letters only. */
static void
mend_letters(struct fold_work *w, const struct mend_word *word)
{
	char		 b[MEND_WORD];
	unsigned char	 mark[MEND_WORD];
	struct fold_char *fc = w->list + word->start;
	size_t		 n = word->end - word->start, i, swap;
	uint32_t	 c;

	for (i = 0; i < n; i++)
		b[i] = (char)fc[i].c;
	if (n < 4 || words_find(b, n) != 0)
		return;
	if (word->mixed && mend_leet(w, word))
		return;
	if (n <= WORDS_MENDED && words_mend(b, n, &swap, mark)) {
		for (i = 0; i < n; i++)
			fc[i].drop = !mark[i];
		if (swap == SIZE_MAX)
			return;
		c = fc[swap].c;
		fc[swap].c = fc[swap + 1].c;
		fc[swap + 1].c = c;
		return;
	}
	if (n < MEND_SPLIT || words_split(b, n, mark) > MEND_BITS * (double)n)
		return;
	for (i = 0; i + 1 < n; i++)
		fc[i].gap = mark[i];
}

/* Are two words near each other, and is "odd", one of them, a word if its
 * digits are read as letters? */
static int
mend_near(const struct fold_work *w, const struct mend_word *a,
    const struct mend_word *b, const struct mend_word *odd)
{
	char	 c[MEND_WORD];
	size_t	 n;

	if (a->end == a->start || b->end == b->start ||
	    b->start - a->end > MEND_NEAR || !odd->mixed ||
	    odd->end - odd->start > MEND_WORD)
		return (0);
	n = mend_copy(w, odd, 'i', c);
	if (n > 0 && words_find(c, n) != 0)
		return (1);
	n = mend_copy(w, odd, 'l', c);
	return (n > 0 && words_find(c, n) != 0);
}

/* Mend the middle one of three words that follow one another. */
static void
mend_word(struct fold_work *w, const struct mend_word *before,
    const struct mend_word *word, const struct mend_word *after)
{
	size_t	 n = word->end - word->start;

	if (n == 0 || n > MEND_WORD || !word->plain)
		return;
	if (word->stars == 1 && word->marks == 0 && word->letters >= 3)
		mend_star(w, word);
	else if (word->stars == 0 && word->marks == 0)
		mend_letters(w, word);
	else if (word->stars == 0 && ((word->letters >= 2 && n >= MEND_ALONE) ||
	    mend_near(w, before, word, before) ||
	    mend_near(w, word, after, after)))
		mend_leet(w, word);
}

/* What is known of a piece when its words are mended: [lo..hi). */
struct mend_edges {
	size_t	 lo, hi, fresh;
	int	 begins, ends;
};

/* Could the character at i make a longer word of the one beside it? */
static int
mend_extends(const struct fold_work *w, size_t i)
{
	uint32_t	 c = w->list[i].c;

	return (c == '*' || c == '!' || mend_in_word(w, i) ||
	    mend_joins(w, i));
}

/* May a word go on after what is known, or before it? A longer one stays. */
static int
mend_cut(const struct fold_work *w, const struct mend_edges *e,
    const struct mend_word *word, int after)
{
	size_t	 n = word->end;

	if (word->end == word->start || word->end - word->start > MEND_WORD)
		return (0);
	if (after)
		return (!e->ends && (n > e->hi || (n + 1 >= e->hi &&
		    (n >= w->n || mend_extends(w, n)))));
	n = word->start;
	return (!e->begins && (n < e->lo || (n <= e->lo + 1 && (n == 0 ||
	    mend_extends(w, n - 1)))));
}

/* Note what is not known at the edges of the piece. */
static void
mend_edge(struct fold_work *w, const struct mend_edges *e,
    const struct mend_word *before, const struct mend_word *word)
{
	int	 none = before->end == before->start;
	int	 near = !none && before->marks > 0 &&
		    word->start - before->end <= MEND_NEAR;
	size_t	 open = near ? before->start : word->start;

	if (word->start == word->end)
		return;
	if (mend_cut(w, e, word, 0) || (word->marks > 0 &&
	    (mend_cut(w, e, before, 0) || (!e->begins && (none ||
	    before->end <= e->lo) && word->start <= e->lo + MEND_NEAR))))
		fold_unknown_head(w, word->end);
	if (mend_cut(w, e, word, 1) || (!e->ends && word->start >= e->hi))
		fold_unknown_tail(w, open);
	else if (!e->ends && word->marks > 0 && word->end + MEND_NEAR >= e->hi)
		fold_unknown_tail(w, word->start);
	if (word->start < e->fresh ? word->end + MEND_NEAR >= e->fresh :
	    near && before->end + MEND_NEAR >= e->fresh)
		w->known = open < w->known ? open : w->known;
}

/* Mend the words of a piece. */
void
fold_mend(struct fold_work *w)
{
	struct mend_word	 word[3];	/* before, this one, after */
	struct mend_edges	 e = { w->head, w->tail, fold_fresh(w),
				    w->begins && w->head == 0,
				    w->ends && w->tail == w->n };
	size_t			 at = 0;
	int			 more = 1;

	e.fresh = e.fresh < w->known ? e.fresh : w->known;
	memset(word, 0, sizeof word);
	while (more || word[2].end > word[2].start) {
		word[0] = word[1];
		word[1] = word[2];
		more = more && mend_next(w, at, &word[2]);
		if (!more)
			memset(&word[2], 0, sizeof word[2]);
		at = more ? word[2].end : at;
		mend_edge(w, &e, &word[1], &word[2]);
		mend_word(w, &word[0], &word[1], &word[2]);
	}
}
