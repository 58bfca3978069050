/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws rows from a block of frames.  Templates take turns.  A list is dealt
 * like a pack of cards, so that all members come before one comes again.
 *
 * About DRAW_TUNE percent of the rows may use what is marked "~" and prefer it;
 * the others never do.  So most rows stay for training, even if a row has many
 * lists.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contrast_impl.h"
#include "xmalloc.h"

#define DRAW_TUNE	15	/* percent of rows that may use "~" */
#define DRAW_TRIES	20	/* attempts for each row that is asked for */
#define DRAW_SLOTS	64	/* {list#1} of one row */

/* A shuffled pack of the numbers from to to - 1. */
struct deck {
	uint32_t	*cards;		/* owned; NULL: not used yet */
	size_t		 n, next;
};

/* A member that a row remembers. */
struct drawn {
	const struct clist	*list;
	int			 slot;
	char			*text;	/* owned */
};

struct draw {
	uint64_t	 random;
	struct deck	*kept, *left;	/* [lists] */
	struct drawn	 slots[DRAW_SLOTS];
	size_t		 nslots;
	int		 tune;		/* this row may use what is left out */
	int		 used;		/* and has */
};

/* A set of numbers of texts. */
struct seen {
	uint64_t	*keys;		/* owned; 0: free */
	size_t		 room, n;	/* room is a power of two */
};

static void	draw_pattern(struct draw *, const struct pattern *, FILE *);

/* splitmix64. */
uint64_t
contrast_random(uint64_t *state)
{
	uint64_t	 x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return (x ^ (x >> 31));
}

/* FNV-1a, mixed once more. */
uint64_t
contrast_hash(const char *text, uint64_t start)
{
	uint64_t	 h = 0xcbf29ce484222325 ^ start;

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return (contrast_random(&h));
}

/* A number below n. */
static size_t
draw_below(struct draw *d, size_t n)
{
	return ((size_t)(contrast_random(&d->random) % n));
}

/* The next card of a pack of n. */
static size_t
draw_card(struct draw *d, struct deck *k, size_t n)
{
	size_t		 i, j;
	uint32_t	 card;

	if (k->cards == NULL) {
		k->cards = xcalloc(n, sizeof *k->cards);
		for (i = 0; i < n; i++)
			k->cards[i] = (uint32_t)i;
		k->n = k->next = n;
	}
	if (k->next == k->n) {
		for (i = n - 1; i > 0; i--) {
			j = draw_below(d, i + 1);
			card = k->cards[i];
			k->cards[i] = k->cards[j];
			k->cards[j] = card;
		}
		k->next = 0;
	}
	return (k->cards[k->next++]);
}

/* Choose a member of a list. */
static const struct pattern *
draw_member(struct draw *d, const struct clist *l)
{
	size_t	 left = l->n - l->kept;

	if (d->tune && left > 0 && draw_below(d, 3) == 0) {
		d->used = 1;
		return (&l->members[l->kept +
		    draw_card(d, &d->left[l->number], left)]);
	}
	return (&l->members[draw_card(d, &d->kept[l->number], l->kept)]);
}

/* Is this word said with "an"?  A guess by its first letters. */
static int
draw_is_vowel(const char *s)
{
	static const char *const consonant[] = { "uni", "use", "usu", "eu",
		"one", "once", "uk", "ut", "ura" };
	static const char *const vowel[] = { "hour", "honest", "honor",
		"honour", "heir" };
	size_t	 i;

	if (isupper((unsigned char)s[0]) && (isupper((unsigned char)s[1]) ||
	    isdigit((unsigned char)s[1]) || s[1] == '-'))
		return (strchr("AEFHILMNORSX", s[0]) != NULL);
	for (i = 0; i < nitems(vowel); i++) {
		if (strncasecmp(s, vowel[i], strlen(vowel[i])) == 0)
			return (1);
	}
	if (strncasecmp(s, "unin", 4) == 0 || strncasecmp(s, "unim", 4) == 0)
		return (1);
	for (i = 0; i < nitems(consonant); i++) {
		if (strncasecmp(s, consonant[i], strlen(consonant[i])) == 0)
			return (0);
	}
	return (*s != '\0' && strchr("aeiouAEIOU8", *s) != NULL);
}

/* The text of a member: the one that the row remembers, or a new one. A new
 * string. */
static char *
draw_text(struct draw *d, const struct node *n)
{
	char	*text = NULL;
	size_t	 size, i;
	FILE	*out;

	for (i = 0; n->slot != 0 && i < d->nslots; i++) {
		if (d->slots[i].list == n->list && d->slots[i].slot == n->slot)
			return (xstrdup(d->slots[i].text));
	}
	if ((out = open_memstream(&text, &size)) == NULL)
		abort();
	draw_pattern(d, draw_member(d, n->list), out);
	fclose(out);
	if (n->slot != 0 && d->nslots < DRAW_SLOTS) {
		d->slots[d->nslots].list = n->list;
		d->slots[d->nslots].slot = n->slot;
		d->slots[d->nslots++].text = xstrdup(text);
	}
	return (text);
}

/* Has the text an article already? */
static int
draw_has_article(const char *s)
{
	return (strncmp(s, "a ", 2) == 0 || strncmp(s, "an ", 3) == 0 ||
	    strncmp(s, "the ", 4) == 0);
}

/* Does the last consonant of a verb double before "ing"?  It does after one
 * short vowel, in verbs of one syllable. */
static int
draw_doubles(const char *w, size_t n)
{
	size_t	 i, vowels = 0;

	if (n < 3 || strchr("aeiouwxy", w[n - 1]) != NULL ||
	    strchr("aeiou", w[n - 2]) == NULL)
		return (0);
	for (i = 0; i < n; i++)
		vowels += strchr("aeiou", w[i]) != NULL;
	return (vowels == 1 || (vowels == 2 && w[0] == 'q' && w[1] == 'u'));
}

/* Write a phrase with its verb as a gerund: "forge a note" is "forging a note",
 * "secretly get" is "secretly getting". */
static void
draw_gerund(const char *s, FILE *out)
{
	size_t	 n = strcspn(s, " ,.-");

	if (n > 4 && strncmp(s + n - 2, "ly", 2) == 0 && s[n] == ' ') {
		fprintf(out, "%.*s ", (int)n, s);
		s += n + 1;
		n = strcspn(s, " ,.-");
	}
	if (n > 2 && strncmp(s + n - 2, "ie", 2) == 0)
		fprintf(out, "%.*sying", (int)n - 2, s);
	else if (n > 2 && s[n - 1] == 'e' &&
	    strchr("eoy", s[n - 2]) == NULL)
		fprintf(out, "%.*sing", (int)n - 1, s);
	else if (n > 0 && draw_doubles(s, n))
		fprintf(out, "%.*s%cing", (int)n, s, s[n - 1]);
	else
		fprintf(out, "%.*sing", (int)n, s);
	fputs(s + n, out);
}

/* Write one expansion of a pattern. */
static void
draw_pattern(struct draw *d, const struct pattern *p, FILE *out)
{
	const struct node	*n;
	char			*text;

	for (n = p->nodes; n < p->nodes + p->n; n++) {
		if (n->kind == NODE_TEXT)
			fputs(n->text, out);
		else if (n->kind == NODE_CHOICE)
			draw_pattern(d, &n->choices[draw_below(d,
			    n->nchoices)], out);
		else {
			text = draw_text(d, n);
			if (n->form == FORM_ARTICLE && !draw_has_article(text))
				fputs(draw_is_vowel(text) ? "an " : "a ", out);
			else if (n->form == FORM_CAPITAL)
				*text = (char)toupper((unsigned char)*text);
			if (n->form == FORM_GERUND)
				draw_gerund(text, out);
			else
				fputs(text, out);
			free(text);
		}
	}
}

/* Remove what empty choices leave: spaces at the ends, two in a row, and those
 * before a comma or the end of a sentence. */
static void
draw_tidy(char *s)
{
	char	*to = s, *from = s;

	for (; *from != '\0'; from++) {
		if (*from == ' ' && (to == s || from[1] == ' ' ||
		    from[1] == '\0'))
			continue;
		if (*from == ' ' && strchr(",.?!", from[1]) != NULL &&
		    (from[2] == ' ' || from[2] == '\0'))
			continue;
		*to++ = *from;
	}
	while (to > s && to[-1] == ' ')
		to--;
	*to = '\0';
}

/* Add a number to a set. Returns 1 if it was not in it. */
static int
seen_add(struct seen *s, uint64_t key)
{
	size_t	 i;

	key += key == 0;
	for (i = key & (s->room - 1); s->keys[i] != 0;
	    i = (i + 1) & (s->room - 1)) {
		if (s->keys[i] == key)
			return (0);
	}
	s->keys[i] = key;
	s->n++;
	return (1);
}

/* Draw one text: turn counts the attempts. A new string. */
static char *
draw_one(struct draw *d, const struct cframes *fr, size_t turn)
{
	const struct pattern	*p;
	char			*text = NULL;
	size_t			 size, left = fr->n - fr->kept;
	FILE			*out;

	d->tune = draw_below(d, 100) < DRAW_TUNE;
	d->used = d->tune && left > 0 && draw_below(d, 3) == 0;
	p = d->used ? &fr->templates[fr->kept + draw_below(d, left)] :
	    &fr->templates[turn % fr->kept];
	if ((out = open_memstream(&text, &size)) == NULL)
		abort();
	draw_pattern(d, p, out);
	fclose(out);
	while (d->nslots > 0)
		free(d->slots[--d->nslots].text);
	draw_tidy(text);
	return (text);
}

/* Draw the rows of a block. */
size_t
contrast_draw(const struct contrast *c, size_t i, uint64_t seed,
    void (*fn)(const struct contrast_row *, void *), void *arg)
{
	const struct cframes	*fr = c->frames[i];
	struct draw		 d = { .random = 0 };
	struct seen		 seen = { NULL, 64, 0 };
	struct contrast_row	 row = { NULL, 0, 0 };
	size_t			 turn, k;
	char			*text;

	d.random = contrast_hash(fr->head.file, seed);
	d.random = contrast_hash(fr->name, d.random);
	d.kept = xcalloc(c->nlists + 1, sizeof *d.kept);
	d.left = xcalloc(c->nlists + 1, sizeof *d.left);
	while (seen.room < 2 * fr->head.rows)
		seen.room *= 2;
	seen.keys = xcalloc(seen.room, sizeof *seen.keys);
	for (turn = 0; row.number < fr->head.rows &&
	    turn < DRAW_TRIES * (fr->head.rows + fr->n); turn++) {
		text = draw_one(&d, fr, turn);
		if (*text != '\0' && strlen(text) <= CONTRAST_TEXT_MAX &&
		    seen_add(&seen, contrast_hash(text, 0))) {
			row.text = text;
			row.left_out = d.used;
			fn(&row, arg);
			row.number++;
		}
		free(text);
	}
	for (k = 0; k < c->nlists; k++) {
		free(d.kept[k].cards);
		free(d.left[k].cards);
	}
	free(d.kept);
	free(d.left);
	free(seen.keys);
	return (row.number);
}
