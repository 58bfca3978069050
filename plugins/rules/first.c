/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first two bytes of a pattern's matches.  The parser gives up on syntax
 * that it does not know.  A set may be too large but not too small: a
 * lookaround counts as empty, a letter as both cases, and a character outside
 * ASCII as all of these.
 */
#include "first.h"

#include <stdlib.h>
#include <string.h>

#include "pattern_reader.h"
#include "xmalloc.h"

#define FIRST_DEPTH	40	/* groups in groups */

/* Letters, digits and "_" of ASCII. */
const unsigned char first_word[256] = {
	['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1,
	['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, ['_'] = 1,
	['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1,
	['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1,
	['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1,
	['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
	['Y'] = 1, ['Z'] = 1,
	['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1,
	['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1,
	['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1,
	['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
	['y'] = 1, ['z'] = 1,
};

/* rulepack.c puts this after the "(" before the words of a rule. */
#define FIRST_NO_WORD	"?<![\\p{L}\\p{N}\\p{M}_])"

/* A set of strings, by their first two bytes. */
struct first_set {
	struct first	 may;
	uint64_t	 one[256 / 64];	/* strings of one byte */
	int		 empty;		/* the empty string is in it */
};

static void	first_alternatives(struct pattern_reader *, struct first_set *);

/* Add a bit. */
static void
first_add(uint64_t *bits, unsigned i)
{
	bits[i / 64] |= (uint64_t)1 << (i % 64);
}

/* Is the bit set? */
static int
first_has(const uint64_t *bits, unsigned i)
{
	return ((bits[i / 64] >> (i % 64)) & 1);
}

/* Add n words of bits. */
static void
first_or(uint64_t *to, const uint64_t *from, size_t n)
{
	while (n-- > 0)
		to[n] |= from[n];
}

/* Add all pairs of a byte of a and one of b. */
static void
first_cross(struct first_set *s, const uint64_t *a, const uint64_t *b)
{
	unsigned	 i;

	for (i = 0; i < 256; i++) {
		if (first_has(a, i))
			first_or(s->may.pairs + i * 4, b, 4);
	}
}

/* s becomes the set of strings of s followed by strings of t. */
static void
first_append(struct first_set *s, const struct first_set *t)
{
	unsigned	 i;

	if (s->empty && !(s->may.bytes[0] | s->may.bytes[1] |
	    s->may.bytes[2] | s->may.bytes[3]))
		s->may.bound |= t->may.bound;	/* t comes first */
	first_cross(s, s->one, t->may.bytes);
	if (s->empty) {
		first_or(s->may.pairs, t->may.pairs, 65536 / 64);
		first_or(s->may.bytes, t->may.bytes, 4);
	}
	for (i = 0; i < 4; i++)
		s->one[i] = (t->empty ? s->one[i] : 0) |
		    (s->empty ? t->one[i] : 0);
	s->empty = s->empty && t->empty;
}

/* Add the strings of t to s. */
static void
first_unite(struct first_set *s, const struct first_set *t)
{
	first_or(s->may.pairs, t->may.pairs, 65536 / 64);
	first_or(s->may.bytes, t->may.bytes, 4);
	first_or(s->one, t->one, 4);
	s->empty = s->empty || t->empty;
}

/* Add every character outside ASCII. */
static void
first_add_wide(struct first_set *s)
{
	unsigned	 i;

	for (i = 0xc2; i < 0xf5; i++) {
		first_add(s->may.bytes, i);
		/* The second byte is 0x80 to 0xbf. */
		s->may.pairs[i * 4 + 2] = UINT64_MAX;
	}
}

/* Add an ASCII character, a letter in both cases. "s" and "k" have a third
 * one: U+017F and U+212A. */
static void
first_add_char(struct first_set *s, unsigned c)
{
	unsigned	 lower = c | 0x20;

	first_add(s->may.bytes, c);
	first_add(s->one, c);
	if (lower < 'a' || lower > 'z')
		return;
	first_add(s->may.bytes, c ^ 0x20);
	first_add(s->one, c ^ 0x20);
	if (lower == 's' || lower == 'k')
		first_add_wide(s);
}

/* Add the characters from a to b. */
static void
first_add_range(struct first_set *s, unsigned a, unsigned b)
{
	for (; a <= b; a++)
		first_add_char(s, a);
}

/* Add every character. */
static void
first_add_any(struct first_set *s)
{
	first_add_range(s, 0, 0x7f);
	first_add_wide(s);
}

/* Add the characters of an escape; the backslash has been read. */
static void
first_escape(struct pattern_reader *r, struct first_set *s)
{
	char	 c = *r->p++;

	if (c == 'p' || c == 'P') {
		if (*r->p++ == '{')
			while (r->p < r->end && *r->p++ != '}')
				;
		first_add_any(s);
	} else if (c == 'd')
		first_add_range(s, '0', '9');
	else if (c == 'w') {
		first_add_range(s, '0', '9');
		first_add_range(s, 'a', 'z');
		first_add_char(s, '_');
	} else if (c == 's') {
		first_add_range(s, '\t', '\r');
		first_add_char(s, ' ');
	} else if (strchr("DWSHV", c) != NULL)
		first_add_any(s);
	else if (strchr("nrt", c) != NULL)
		first_add_char(s, c == 'n' ? '\n' : c == 'r' ? '\r' : '\t');
	else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || (c & 0x80))
		r->failed = 1;
	else
		first_add_char(s, (unsigned char)c);
	if (strchr("dws", c) != NULL)
		first_add_wide(s);
}

/* Read a class, after "[". */
static void
first_class(struct pattern_reader *r, struct first_set *s)
{
	int		 not = r->p < r->end && *r->p == '^', begun = 0;
	unsigned char	 c;

	r->p += not;
	for (; r->p < r->end && (*r->p != ']' || !begun); begun = 1) {
		c = (unsigned char)*r->p++;
		if (c == '[' && r->p < r->end &&
		    strchr(":.=", *r->p) != NULL)
			r->failed = 1;
		if (c & 0x80)
			first_add_any(s);	/* its range may be any */
		else if (c == '\\') {
			first_escape(r, s);
			if (*r->p == '-')	/* perhaps a range */
				first_add_any(s);
		} else if (r->end - r->p > 2 && *r->p == '-' &&
		    r->p[1] != ']') {
			if (r->p[1] == '\\' || r->p[1] == '[' ||
			    (r->p[1] & 0x80))
				first_add_any(s);
			else
				first_add_range(s, c, (unsigned char)r->p[1]);
		} else
			first_add_char(s, c);
	}
	r->p += r->p < r->end;
	if (not)
		first_add_any(s);
}

/* Read a group, after "(". */
static void
first_group(struct pattern_reader *r, struct first_set *s)
{
	int	 nothing = 0, group = 1;
	size_t	 n = strlen(FIRST_NO_WORD);

	if ((size_t)(r->end - r->p) >= n &&
	    memcmp(r->p, FIRST_NO_WORD, n) == 0) {
		r->p += n;
		s->empty = s->may.bound = 1;
		return;
	}
	if (r->p < r->end && *r->p == '*')
		r->failed = 1;
	if (r->p < r->end && *r->p == '?') {
		r->p++;
		group = pattern_flags(r, &nothing);
	}
	if (++r->depth > FIRST_DEPTH)
		r->failed = 1;
	if (group && !r->failed)
		first_alternatives(r, s);
	r->depth--;
	r->p += r->p < r->end;
	if (nothing || !group) {
		memset(s, 0, sizeof *s);
		s->empty = 1;
	}
}

/* Read one item. */
static void
first_item(struct pattern_reader *r, struct first_set *s)
{
	unsigned char	 c = (unsigned char)*r->p++;

	if (c == '(')
		first_group(r, s);
	else if (c == '[')
		first_class(r, s);
	else if (c == '.')
		first_add_any(s);
	else if (c == '^' || c == '$')
		s->empty = 1;
	else if (c == '\\' && r->p < r->end) {
		s->may.bound = *r->p == 'b';
		if (strchr("bBAzZ", *r->p) != NULL)
			s->empty = 1;
		else {
			first_escape(r, s);
			return;
		}
		r->p++;
	} else if (c & 0x80) {
		while (r->p < r->end && (*r->p & 0xc0) == 0x80)
			r->p++;
		first_add_any(s);
	} else
		first_add_char(s, c);
}

/* Read a repeat: *least is the least number; returns whether more than one is
 * possible. */
static int
first_repeat(struct pattern_reader *r, unsigned long *least)
{
	char		*at;
	unsigned long	 most;

	*least = 1;
	if (r->p == r->end)
		return (0);
	if (strchr("?*+", *r->p) != NULL) {
		*least = *r->p == '+';
		return (*r->p++ != '?');
	}
	if (*r->p == '{' && strchr(", ", r->p[1]) != NULL)
		r->failed = 1;		/* newer versions of PCRE2 */
	if (*r->p != '{' || r->end - r->p < 3 || r->p[1] < '0' ||
	    r->p[1] > '9')
		return (0);
	most = *least = strtoul(r->p + 1, &at, 10);
	if (*at == ',' && at[1] == '}') {
		most = 2;
		at++;
	} else if (*at == ',')
		most = strtoul(at + 1, &at, 10);
	if (*at != '}')
		r->failed = 1;
	r->p = at + 1;
	return (most > 1);
}

/* Read an item with its repeat. */
static void
first_repeated(struct pattern_reader *r, struct first_set *s)
{
	unsigned long	 least;
	int		 more;

	first_item(r, s);
	if (r->failed)
		return;
	more = first_repeat(r, &least);
	if (more)
		first_cross(s, s->one, s->may.bytes);
	if (least == 0) {
		s->empty = 1;
		s->may.bound = 0;
	} else if (least > 1 && !s->empty)
		memset(s->one, 0, sizeof s->one);
	if (r->p < r->end && (*r->p == '?' || *r->p == '+') &&
	    strchr("?*+}", r->p[-1]) != NULL)
		r->p++;
}

/* Read alternatives up to ")" or the end into s, which is empty before. */
static void
first_alternatives(struct pattern_reader *r, struct first_set *s)
{
	struct first_set	*line, *item;
	int			 bound = 1;

	line = xcalloc(1, sizeof *line);
	item = xcalloc(1, sizeof *item);
	line->empty = 1;
	while (r->p < r->end && *r->p != ')' && !r->failed) {
		if (*r->p == '|') {
			r->p++;
			first_unite(s, line);
			bound &= line->may.bound;
			memset(line, 0, sizeof *line);
			line->empty = 1;
			continue;
		}
		memset(item, 0, sizeof *item);
		first_repeated(r, item);
		first_append(line, item);
	}
	first_unite(s, line);
	s->may.bound = bound & line->may.bound;
	free(line);
	free(item);
}

/* The beginnings of a pattern's matches. */
struct first *
first_of(const char *pattern, size_t len)
{
	struct pattern_reader	 r = { pattern, pattern + len, 0, 0 };
	struct first_set	*s;
	struct first		*f = NULL;

	s = xcalloc(1, sizeof *s);
	first_alternatives(&r, s);
	if (!r.failed && !s->empty && r.p == r.end) {
		/* Any byte may follow a match of one byte. */
		f = xcalloc(1, sizeof *f);
		*f = s->may;
		for (len = 0; len < 256; len++) {
			if (first_has(s->one, (unsigned)len))
				memset(f->pairs + len * 4, 0xff, 32);
		}
	}
	free(s);
	return (f);
}
