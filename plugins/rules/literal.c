/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the literals of a pattern.  The parser gives up on syntax that it does
 * not know.  It computes two things for each part of the pattern: the complete
 * set of strings that it matches, if that is small, and the best set of strings
 * of which one is in each of its matches.
 */
#include "literal.h"

#include <stdlib.h>
#include <string.h>

#include "first.h"
#include "pattern_reader.h"
#include "xmalloc.h"

#define LITERAL_DEPTH	40	/* groups in groups */
#define LITERAL_LONG	28	/* bytes of a string in the parser */
#define LITERAL_CLASS	6	/* characters of a class, at most */
#define LITERAL_EDGE	'\1'	/* in a string: a word begins or ends here */
#define LITERAL_RARE	0.02	/* the most literals of a text per byte */
#define LITERAL_TRY	2	/* us: to try a pattern at a place */
#define LITERAL_WALK	0.7	/* us: to look for such places in a span */
#define LITERAL_SPAN	500	/* bytes */

/* rulepack.c puts these around the words of a rule. */
#define LITERAL_NO_WORD_BEFORE	"?<![\\p{L}\\p{N}\\p{M}_])"
#define LITERAL_NO_WORD_AFTER	"?![\\p{L}\\p{N}\\p{M}_])"

struct string {
	char		 s[LITERAL_LONG];
	unsigned char	 n;
};

struct strings {
	struct string	*list;		/* owned */
	size_t		 n;
};

/* What is known about a part of a pattern. */
struct part {
	int		 whole;		/* it matches the strings of "all" and
					 * nothing else */
	struct strings	 all;
	struct strings	 best;		/* one is in each match; n = 0: none */
	struct strings	 front;		/* each match begins with one; n = 0:
					 * not known; empty if whole */
	int		 begins, ends;	/* with no word character; if !whole */
};

static void	literal_alternatives(struct pattern_reader *, struct part *);

/* Add a string of n bytes, unless it is in the set. 0, or -1 if it is too
 * long or there are too many. */
static int
strings_add(struct strings *set, const char *s, size_t n)
{
	size_t	 i;

	if (n > LITERAL_LONG)
		return (-1);
	for (i = 0; i < set->n; i++) {
		if (set->list[i].n == n && memcmp(set->list[i].s, s, n) == 0)
			return (0);
	}
	if (set->n == LITERALS_MAX)
		return (-1);
	if (set->list == NULL)
		set->list = xcalloc(LITERALS_MAX, sizeof *set->list);
	memcpy(set->list[set->n].s, s, n);
	set->list[set->n++].n = (unsigned char)n;
	return (0);
}

/* Add all strings of b to a. 0, or -1 if there are too many. */
static int
strings_join(struct strings *a, const struct strings *b)
{
	size_t	 i;

	for (i = 0; i < b->n; i++) {
		if (strings_add(a, b->list[i].s, b->list[i].n) != 0)
			return (-1);
	}
	return (0);
}

/* Make the set empty. */
static void
strings_clear(struct strings *set)
{
	free(set->list);
	*set = (struct strings){ NULL, 0 };
}

/* a becomes the strings of a followed by strings of b. 0, or -1 if these are
 * too many or too long; a is unchanged then. */
static int
strings_append(struct strings *a, const struct strings *b)
{
	struct strings	 out = { NULL, 0 };
	struct string	*x, *y;
	char		 s[2 * LITERAL_LONG];

	for (x = a->list; x < a->list + a->n; x++) {
		for (y = b->list; y < b->list + b->n; y++) {
			memcpy(s, x->s, x->n);
			memcpy(s + x->n, y->s, y->n);
			if (strings_add(&out, s, (size_t)x->n + y->n) != 0) {
				strings_clear(&out);
				return (-1);
			}
		}
	}
	strings_clear(a);
	*a = out;
	return (0);
}

/* Do all strings begin, or end, with an edge? */
static int
strings_edge(const struct strings *set, int end)
{
	const struct string	*x;

	for (x = set->list; x < set->list + set->n; x++) {
		if (x->n == 0 || x->s[end ? x->n - 1 : 0] != LITERAL_EDGE)
			return (0);
	}
	return (set->n > 0);
}

/* Make a literal of a string. An edge counts only beside a word character. */
static struct literal
literal_make(const struct string *x)
{
	struct literal	 l = { .len = 0 };
	size_t		 i, n = x->n;
	int		 left, right;

	left = n > 0 && x->s[0] == LITERAL_EDGE;
	right = n > 0 && x->s[n - 1] == LITERAL_EDGE;
	for (i = 0; i < n; i++) {
		if (x->s[i] == LITERAL_EDGE)
			continue;
		if (l.len == LITERAL_BYTES) {
			right = 0;
			break;
		}
		l.s[l.len++] = x->s[i];
	}
	if (left && l.len > 0 && first_is_word((unsigned char)l.s[0]))
		l.edges |= LITERAL_LEFT;
	if (right && l.len > 0 &&
	    first_is_word((unsigned char)l.s[l.len - 1]))
		l.edges |= LITERAL_RIGHT;
	return (l);
}

/* The share of places in English text where a literal may stand, roughly: the
 * product of the shares of its bytes. */
static double
literal_share(const struct literal *l)
{
	static const double shares[26] = { .065, .012, .022, .032, .1, .018,
	    .016, .047, .055, .0013, .006, .032, .019, .056, .061, .016, .0009,
	    .046, .05, .073, .022, .008, .018, .0013, .016, .0007 };
	double	 share = 1;
	size_t	 i;

	for (i = 0; i < l->len; i++)
		share *= l->s[i] >= 'a' && l->s[i] <= 'z' ?
		    shares[l->s[i] - 'a'] : l->s[i] == ' ' ? .17 : .008;
	share *= l->edges & LITERAL_LEFT ? .25 : 1;
	return (share * (l->edges & LITERAL_RIGHT ? .25 : 1));
}

/* The same for a set. */
static double
strings_share(const struct strings *set)
{
	struct literal	 l;
	double		 sum = 0;
	size_t		 i;

	for (i = 0; i < set->n; i++) {
		l = literal_make(&set->list[i]);
		sum += literal_share(&l);
	}
	return (set->n == 0 ? 1 : sum);
}

/* Take set as the best of part if it is better. */
static void
part_offer(struct part *part, const struct strings *set)
{
	if (set->n == 0 || strings_share(set) >= strings_share(&part->best))
		return;
	strings_clear(&part->best);
	strings_join(&part->best, set);
}

/* Release a part's sets. */
static void
part_clear(struct part *part)
{
	strings_clear(&part->all);
	strings_clear(&part->best);
	strings_clear(&part->front);
	memset(part, 0, sizeof *part);
}

/* Make a part that matches one string. */
static void
part_string(struct part *part, const char *s, size_t n)
{
	part->whole = 1;
	strings_add(&part->all, s, n);
}

/* The line line->all, which is whole, continues with a part that can't be
 * appended: it gets a front. */
static void
part_front(struct part *line, const struct part *item)
{
	line->whole = 0;
	strings_join(&line->front, &line->all);
	if (!item->whole && item->front.n > 0)
		strings_append(&line->front, &item->front);
}

/* Append a part to a line of parts. line->all are the strings at its end that
 * are known, and all of it if it is whole. */
static void
part_append(struct part *line, const struct part *item, int first)
{
	static const char	 edge[1] = { LITERAL_EDGE };
	struct strings		 one = { NULL, 0 };

	if (item->whole && strings_append(&line->all, &item->all) == 0)
		return;
	strings_add(&one, edge, !item->whole && item->begins ? 1 : 0);
	if (line->whole)
		line->begins = first ? item->begins :
		    strings_edge(&line->all, 0);
	strings_append(&line->all, &one);
	if (line->whole)
		part_front(line, item);
	part_offer(line, &line->all);
	part_offer(line, &item->best);
	strings_clear(&line->all);
	strings_clear(&one);
	if (item->whole)
		strings_join(&line->all, &item->all);
	else
		strings_add(&line->all, edge, item->ends ? 1 : 0);
}

/* Complete a line. */
static void
part_close(struct part *line)
{
	if (line->whole)
		return;
	part_offer(line, &line->all);
	line->ends = strings_edge(&line->all, 1);
	strings_clear(&line->all);
}

/* Unite a set of a part with that of a line. It becomes empty if one of them
 * is, or if there are too many. */
static void
part_unite_set(struct strings *sum, const struct strings *one, int first)
{
	if ((!first && sum->n == 0) || one->n == 0 ||
	    strings_join(sum, one) != 0)
		strings_clear(sum);
}

/* Unite a line, which it releases, with the lines before it. */
static void
part_unite(struct part *sum, struct part *line, int first)
{
	const struct strings	*one;

	one = line->whole ? &line->all : &line->best;
	if (first)
		sum->begins = sum->ends = sum->whole = 1;
	sum->begins &= line->whole ? strings_edge(one, 0) : line->begins;
	sum->ends &= line->whole ? strings_edge(one, 1) : line->ends;
	if (sum->whole && (!line->whole || strings_join(&sum->all, one) !=
	    0)) {
		sum->whole = 0;
		sum->best = sum->all;
		sum->all = (struct strings){ NULL, 0 };
		strings_join(&sum->front, &sum->best);
	} else if (sum->whole) {
		part_clear(line);
		return;
	}
	part_unite_set(&sum->best, one, first);
	part_unite_set(&sum->front, line->whole ? one : &line->front, first);
	part_clear(line);
}

/* Read an escape; the backslash has been read. */
static void
literal_escape(struct pattern_reader *r, struct part *part)
{
	char	 c = *r->p++, s[1];

	if (c == 'p' || c == 'P') {
		if (*r->p++ == '{')
			while (r->p < r->end && *r->p++ != '}')
				;
	} else if (c == 'W' || c == 's')
		part->begins = part->ends = 1;
	else if (strchr("dwDSHV", c) != NULL)
		return;
	else if (c == 'b' || strchr("BAzZ", c) != NULL) {
		s[0] = LITERAL_EDGE;
		part_string(part, s, c == 'b');
	} else if (strchr("nrt", c) != NULL) {
		s[0] = c == 'n' ? '\n' : c == 'r' ? '\r' : '\t';
		part_string(part, s, 1);
	} else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || (c & 0x80))
		r->failed = 1;
	else
		part_string(part, &c, 1);
}

/* Read a class, after "[". */
static void
literal_class(struct pattern_reader *r, struct part *part)
{
	struct part	 one;
	int		 few, begun = 0;
	char		 c;

	few = *r->p != '^';
	r->p += !few;
	for (; r->p < r->end && (*r->p != ']' || !begun) && !r->failed;
	    begun = 1) {
		c = *r->p++;
		if (c == '[' && strchr(":.=", *r->p) != NULL)
			r->failed = 1;
		if (c == '\\') {
			memset(&one, 0, sizeof one);
			if (*r->p == 'b')
				r->failed = 1;	/* a backspace */
			else
				literal_escape(r, &one);
			few &= one.whole;
			if (one.whole)
				strings_join(&part->all, &one.all);
			part_clear(&one);
		} else {
			few &= !(c & 0x80);
			c = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
			strings_add(&part->all, &c, 1);
		}
		few &= !(*r->p == '-' && r->p[1] != ']');
	}
	r->p += r->p < r->end;
	part->whole = few && part->all.n > 0 && part->all.n <= LITERAL_CLASS;
	if (!part->whole)
		strings_clear(&part->all);
}

/* Read a group, after "(". */
static void
literal_group(struct pattern_reader *r, struct part *part)
{
	static const char	 edge[1] = { LITERAL_EDGE };
	int			 nothing = 0, group = 1;

	if (pattern_skip(r, LITERAL_NO_WORD_BEFORE) ||
	    pattern_skip(r, LITERAL_NO_WORD_AFTER)) {
		part_string(part, edge, 1);
		return;
	}
	if (r->p < r->end && *r->p == '*')
		r->failed = 1;
	if (pattern_skip(r, "?"))
		group = pattern_flags(r, &nothing);
	if (++r->depth > LITERAL_DEPTH)
		r->failed = 1;
	if (group && !r->failed)
		literal_alternatives(r, part);
	r->depth--;
	r->p += r->p < r->end;
	if (nothing || !group) {
		part_clear(part);
		part_string(part, "", 0);
	}
}

/* Read one item. */
static void
literal_item(struct pattern_reader *r, struct part *part)
{
	char	 c = *r->p++;

	if (c == '(')
		literal_group(r, part);
	else if (c == '[')
		literal_class(r, part);
	else if (c == '^' || c == '$')
		part_string(part, "", 0);
	else if (c == '\\' && r->p < r->end)
		literal_escape(r, part);
	else if (c & 0x80) {
		while (r->p < r->end && (*r->p & 0xc0) == 0x80)
			r->p++;
	} else if (c != '.') {
		c = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
		part_string(part, &c, 1);
	}
}

/* Read a repeat: the least and the greatest number. */
static void
literal_repeat(struct pattern_reader *r, unsigned long *least,
    unsigned long *most)
{
	char	*at;

	*least = *most = 1;
	if (r->p == r->end)
		return;
	if (strchr("?*+", *r->p) != NULL) {
		*least = *r->p == '+';
		*most = *r->p == '?' ? 1 : 100;
		r->p++;
	} else if (*r->p == '{') {
		if (strchr(", ", r->p[1]) != NULL)
			r->failed = 1;	/* newer versions of PCRE2 */
		if (r->end - r->p < 3 || r->p[1] < '0' || r->p[1] > '9')
			return;
		*most = *least = strtoul(r->p + 1, &at, 10);
		if (*at == ',' && at[1] == '}') {
			*most = *least + 100;
			at++;
		} else if (*at == ',')
			*most = strtoul(at + 1, &at, 10);
		if (*at != '}')
			r->failed = 1;
		r->p = at + 1;
	} else
		return;
	if (r->p < r->end && (*r->p == '?' || *r->p == '+'))
		r->p++;
}

/* Read an item with its repeat. */
static void
literal_repeated(struct pattern_reader *r, struct part *part)
{
	struct strings	 once = { NULL, 0 };
	unsigned long	 least, most, i;
	int		 ok = 1;

	literal_item(r, part);
	if (r->failed)
		return;
	literal_repeat(r, &least, &most);
	if (least == 1 && most == 1)
		return;
	if (least == 0 && most == 1 && part->whole &&
	    strings_add(&part->all, "", 0) == 0)
		return;
	if (least == 0) {
		part_clear(part);
		return;
	}
	strings_join(&once, &part->all);
	for (i = 1; part->whole && ok && least == most && i < least; i++)
		ok = strings_append(&part->all, &once) == 0;
	if (part->whole && (!ok || least != most)) {
		part->whole = 0;
		part->begins = strings_edge(&once, 0);
		part->ends = strings_edge(&once, 1);
		strings_clear(&part->all);
		part_offer(part, &once);
		strings_join(&part->front, &once);
	}
	strings_clear(&once);
}

/* Read alternatives up to ")" or the end into sum, which is empty before. */
static void
literal_alternatives(struct pattern_reader *r, struct part *sum)
{
	struct part	 line, item;
	int		 first = 1, items = 0;

	memset(&line, 0, sizeof line);
	part_string(&line, "", 0);
	while (r->p < r->end && *r->p != ')' && !r->failed) {
		if (*r->p == '|') {
			r->p++;
			part_close(&line);
			part_unite(sum, &line, first);
			part_string(&line, "", 0);
			first = items = 0;
			continue;
		}
		memset(&item, 0, sizeof item);
		literal_repeated(r, &item);
		part_append(&line, &item, items++ == 0);
		part_clear(&item);
	}
	part_close(&line);
	part_unite(sum, &line, first);
}

/* The literals of a pattern. */
struct literals *
literals_of(const char *pattern, size_t len)
{
	struct pattern_reader	 r = { pattern, pattern + len, 0, 0 };
	struct literals		*out = NULL;
	struct strings		*set;
	struct part		 sum;
	size_t			 i;
	double			 share;
	int			 lead;

	memset(&sum, 0, sizeof sum);
	literal_alternatives(&r, &sum);
	/* Literals at the beginning say exactly where to try. */
	share = strings_share(&sum.front);
	lead = sum.whole || (sum.front.n > 0 && share * LITERAL_TRY <
	    strings_share(&sum.best) * (LITERAL_WALK + LITERAL_SPAN * share *
	    LITERAL_TRY));
	set = sum.whole ? &sum.all : lead ? &sum.front : &sum.best;
	if (!r.failed && r.p == r.end && memchr(pattern, LITERAL_EDGE, len) ==
	    NULL && strings_share(set) < LITERAL_RARE) {
		out = xmalloc(sizeof *out + set->n * sizeof out->list[0]);
		for (i = 0; i < set->n; i++)
			out->list[i] = literal_make(&set->list[i]);
		out->n = set->n;
		out->lead = lead;
	}
	part_clear(&sum);
	return (out);
}
