/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id of a line that was refused although it is JSON: a number in it is too
 * large, it has too many values, or a key twice.  The sender must still learn
 * which request was refused.  So this file reads the line again by the grammar
 * of RFC 8259, and stores no values.
 */
#include "json.h"

#include <string.h>

#include "protocol.h"
#include "utf8.h"

#define SCAN_DEPTH_MAX	1000	/* each level is a call */

struct scan {
	const char	*p, *end;
	int		 ids;	/* top-level keys that read "id" */
	int64_t		 id;	/* value of the last one, or -1 */
};

static int	json_id_value(struct scan *, int);

/* Step over white space. */
static void
json_id_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' ||
	    *s->p == '\r' || *s->p == '\n'))
		s->p++;
}

/* Step over c, if it is next. */
static int
json_id_char(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return (0);
	s->p++;
	return (1);
}

/* Step over a word. */
static int
json_id_word(struct scan *s, const char *word)
{
	size_t	 n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return (0);
	s->p += n;
	return (1);
}

/* Step over digits. Returns how many. */
static size_t
json_id_digits(struct scan *s)
{
	const char	*from = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return ((size_t)(s->p - from));
}

/* Step over a number of any size. */
static int
json_id_number(struct scan *s)
{
	json_id_char(s, '-');
	if (!json_id_char(s, '0') && json_id_digits(s) == 0)
		return (0);
	if (json_id_char(s, '.') && json_id_digits(s) == 0)
		return (0);
	if (json_id_char(s, 'e') || json_id_char(s, 'E')) {
		if (!json_id_char(s, '+'))
			json_id_char(s, '-');
		if (json_id_digits(s) == 0)
			return (0);
	}
	return (1);
}

/* Step over what follows a backslash. */
static int
json_id_escape(struct scan *s)
{
	int	 i;

	if (s->p == s->end || memchr("\"\\/bfnrtu", *s->p, 9) == NULL)
		return (0);
	if (*s->p++ != 'u')
		return (1);
	for (i = 0; i < 4; i++, s->p++) {
		if (s->p == s->end ||
		    memchr("0123456789abcdefABCDEF", *s->p, 22) == NULL)
			return (0);
	}
	return (1);
}

/* Step over a string. */
static int
json_id_string(struct scan *s)
{
	if (!json_id_char(s, '"'))
		return (0);
	while (s->p < s->end) {
		if ((unsigned char)*s->p < ' ')
			return (0);
		if (*s->p == '"')
			return (json_id_char(s, '"'));
		if (*s->p++ == '\\' && !json_id_escape(s))
			return (0);
	}
	return (0);
}

/* Does a string of n bytes, quotes included, read "id"? */
static int
json_id_reads_id(const char *s, size_t n)
{
	static const char *const	 ways[] = { "\"id\"", "\"\\u0069d\"",
	    "\"i\\u0064\"", "\"\\u0069\\u0064\"" };
	size_t				 i;

	for (i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		if (strlen(ways[i]) == n && memcmp(ways[i], s, n) == 0)
			return (1);
	}
	return (0);
}

/* Note the value of a key that reads "id". */
static void
json_id_id(struct scan *s, const char *value)
{
	int64_t	 id = 0;

	s->ids++;
	s->id = -1;
	if (s->p - value == 2 && memcmp(value, "-0", 2) == 0)
		value++;
	for (; value < s->p; value++) {
		if (*value < '0' || *value > '9')
			return;
		id = id * 10 + (*value - '0');
		if (id > JSON_INT_MAX)
			return;
	}
	s->id = id;
}

/* Step over an array or object, which close ends. */
static int
json_id_list(struct scan *s, int depth, char close)
{
	const char	*key = NULL, *value;
	size_t		 n = 0;

	s->p++;
	json_id_space(s);
	if (json_id_char(s, close))
		return (1);
	do {
		json_id_space(s);
		if (close == '}') {
			key = s->p;
			if (!json_id_string(s))
				return (0);
			n = (size_t)(s->p - key);
			json_id_space(s);
			if (!json_id_char(s, ':'))
				return (0);
			json_id_space(s);
		}
		value = s->p;
		if (!json_id_value(s, depth + 1))
			return (0);
		if (key != NULL && depth == 1 && json_id_reads_id(key, n))
			json_id_id(s, value);
		json_id_space(s);
	} while (json_id_char(s, ','));
	return (json_id_char(s, close));
}

/* Step over a value; the outermost has depth 1. */
static int
json_id_value(struct scan *s, int depth)
{
	if (s->p == s->end || depth > SCAN_DEPTH_MAX)
		return (0);
	switch (*s->p) {
	case '{':
		return (json_id_list(s, depth, '}'));
	case '[':
		return (json_id_list(s, depth, ']'));
	case '"':
		return (json_id_string(s));
	case 't':
		return (json_id_word(s, "true"));
	case 'f':
		return (json_id_word(s, "false"));
	case 'n':
		return (json_id_word(s, "null"));
	default:
		return (json_id_number(s));
	}
}

/* Find the id of a line that may have been refused. */
int64_t
json_line_id(const char *line, size_t len)
{
	struct scan	 s = { line, line + len, 0, -1 };

	if (!utf8_valid(line, len))
		return (-1);
	json_id_space(&s);
	if (s.p == s.end || *s.p != '{' || !json_id_value(&s, 1))
		return (-1);
	json_id_space(&s);
	return (s.p == s.end && s.ids == 1 ? s.id : -1);
}
