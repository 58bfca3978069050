/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small parser of PCRE2's syntax, which adds up lengths.  It takes patterns
 * that PCRE2 has compiled.  A mistake only makes the span too short or too
 * long.
 */
#include "span.h"

#include <stdlib.h>
#include <string.h>

#include "pattern_reader.h"

#define SPAN_HUGE	100000	/* characters: the upper limit */

static size_t	span_alternatives(struct pattern_reader *);

/* Skip everything up to and including s. */
static void
span_skip_to(struct pattern_reader *r, const char *s)
{
	while (r->p < r->end && !pattern_skip(r, s))
		r->p++;
}

/* Read an escape, after the backslash. */
static size_t
span_escape(struct pattern_reader *r)
{
	const char	*start;
	char		 c;

	if (r->p == r->end)
		return (0);
	c = *r->p++;
	if (c == 'Q') {
		start = r->p;
		span_skip_to(r, "\\E");
		return ((size_t)(r->p - start));
	}
	if (strchr("bBAzZGKE", c) != NULL)
		return (0);
	if (strchr("pPxoNgk", c) != NULL && pattern_skip(r, "{"))
		span_skip_to(r, "}");
	else if (strchr("pP", c) != NULL && r->p < r->end)
		r->p++;
	else if (c == 'x') {
		for (start = r->p; r->p < r->end && r->p < start + 2 &&
		    strchr("0123456789abcdefABCDEF", *r->p) != NULL; r->p++)
			;
	} else if (c >= '0' && c <= '9') {
		while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
			r->p++;
	}
	return (strchr("123456789gkX", c) != NULL ? SPAN_REPEAT : 1);
}

/* Read a class, after "[". */
static size_t
span_class(struct pattern_reader *r)
{
	pattern_skip(r, "^");
	pattern_skip(r, "]");
	while (r->p < r->end && *r->p != ']') {
		if (pattern_skip(r, "\\"))
			span_escape(r);
		else if (pattern_skip(r, "[:"))
			span_skip_to(r, ":]");
		else
			r->p++;
	}
	pattern_skip(r, "]");
	return (1);
}

/* Read a group, after "(". */
static size_t
span_group(struct pattern_reader *r)
{
	size_t	 n;
	int	 behind = 0;

	if (pattern_skip(r, "?#")) {
		span_skip_to(r, ")");
		return (0);
	}
	if (pattern_skip(r, "*")) {
		while (r->p < r->end && *r->p != ')' && *r->p != ':')
			r->p++;
		pattern_skip(r, ":");
	} else if (pattern_skip(r, "?(")) {
		span_skip_to(r, ")");
	} else if (pattern_skip(r, "?")) {
		behind = pattern_skip(r, "<=") || pattern_skip(r, "<!");
		if (!behind && r->p < r->end &&
		    strchr("R&+123456789", *r->p) != NULL) {
			span_skip_to(r, ")");	/* a pattern in itself */
			return (SPAN_HUGE);
		}
		if (!behind && (pattern_skip(r, "P<") || pattern_skip(r, "<")))
			span_skip_to(r, ">");
		else if (!behind && pattern_skip(r, "'"))
			span_skip_to(r, "'");
		else if (!behind)
			while (r->p < r->end && *r->p != ')' &&
			    strchr(":>|=!", *r->p) == NULL)
				r->p++;
		if (r->p < r->end && strchr(":>|=!", *r->p) != NULL)
			r->p++;
	}
	n = span_alternatives(r);
	pattern_skip(r, ")");
	return (behind ? 0 : n);
}

/* Read a repeat of an item of n characters. */
static size_t
span_repeat(struct pattern_reader *r, size_t n)
{
	const char	*s = r->p;
	char		*at;
	size_t		 times = 1;

	if (pattern_skip(r, "?"))
		return (n);
	if (pattern_skip(r, "*"))
		times = SPAN_REPEAT;
	else if (pattern_skip(r, "+"))
		times = 1 + SPAN_REPEAT;
	else if (s < r->end && *s == '{' && s + 1 < r->end &&
	    strchr("0123456789", s[1]) != NULL) {
		times = strtoul(s + 1, &at, 10);
		if (*at == ',' && at[1] == '}') {
			times += SPAN_REPEAT;
			at++;
		} else if (*at == ',')
			times = strtoul(at + 1, &at, 10);
		if (*at != '}')
			return (n);
		r->p = at + 1;
	} else
		return (n);
	if (!pattern_skip(r, "?"))
		pattern_skip(r, "+");
	n *= times < SPAN_HUGE ? times : SPAN_HUGE;
	return (n < SPAN_HUGE ? n : SPAN_HUGE);
}

/* Read an item: a character, a class or a group. */
static size_t
span_item(struct pattern_reader *r)
{
	unsigned char	 c = (unsigned char)*r->p++;

	switch (c) {
	case '\\':
		return (span_escape(r));
	case '[':
		return (span_class(r));
	case '(':
		return (span_group(r));
	case '^':
	case '$':
		return (0);
	default:
		while (r->p < r->end && (*r->p & 0xc0) == 0x80)
			r->p++;
		return (c >= 0xe0 ? 2 : 1);	/* more than 2 bytes */
	}
}

/* Read alternatives up to ")" or the end; the longest counts. */
static size_t
span_alternatives(struct pattern_reader *r)
{
	size_t	 n = 0, max = 0;

	while (r->p < r->end && *r->p != ')') {
		if (pattern_skip(r, "|")) {
			n = 0;
			continue;
		}
		n += span_repeat(r, span_item(r));
		n = n < SPAN_HUGE ? n : SPAN_HUGE;
		max = n > max ? n : max;
	}
	return (max);
}

/* The span of a pattern. */
size_t
span_of(const char *pattern, size_t len)
{
	struct pattern_reader	 r = { pattern, pattern + len, 0, 0 };
	size_t			 n = 2 * span_alternatives(&r);

	return (n < SPAN_MIN ? SPAN_MIN : n > SPAN_MAX ? SPAN_MAX : n);
}

/* Find the part that makes matches depend on the place of the start. */
const char *
span_not_local(const char *pattern, size_t len)
{
	struct pattern_reader	 r = { pattern, pattern + len, 0, 0 };

	while (r.p < r.end) {
		if (pattern_skip(&r, "\\G"))
			return ("\\G");
		if (pattern_skip(&r, "(*SKIP"))
			return ("(*SKIP");
		if (pattern_skip(&r, "(*COMMIT"))
			return ("(*COMMIT");
		if (!pattern_skip(&r, "\\") || r.p < r.end)
			r.p++;
	}
	return (NULL);
}
