/*
 * One JSON object from outside, parsed in one pass by the grammar of RFC 8259.
 * Not by jansson's parser, since that takes 10 ms for a megabyte of string
 * (measured; this takes 1 to 4 ms for a megabyte of anything), which is long
 * while others wait, and since it forgets which request a line was about when
 * it can't hold one of its numbers.
 *
 * What is not JSON ends the parsing.  What is JSON and yet refused (too deep,
 * too many values, a key twice, NUL, a number out of range) is noted, and the
 * rest is read without making values of it, for the sake of the id.
 */
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "utf8.h"
#include "xmalloc.h"

#define PARSE_DEPTH_MAX	1000	/* of what is read for the id only */
#define PARSE_NUMBER	512	/* bytes of a number, at most */

struct parse {
	const char	*start, *p, *end;
	size_t		 values, max;	/* as json_measure counts them */
	struct fault	*f;
	int		 refused;	/* *f is filled: make no more values */
	int		 id_wanted;
	int		 ids;		/* top-level keys that read "id" */
	int64_t		 id;		/* of the last one; -1: none */
};

static int	parse_value(struct parse *, int, json_t **);

/* It is not JSON. Returns 0, so that parsing ends. */
static int
parse_broken(struct parse *ps, const char *what)
{
	if (!ps->refused)
		fault_set(ps->f, "bad_json", NULL, "%s at byte %zu", what,
		    (size_t)(ps->p - ps->start));
	ps->refused = 1;
	ps->id_wanted = 0;
	return (0);
}

/* It is JSON, but nothing that is taken. Returns whether to go on. */
static int
parse_refuse(struct parse *ps, const char *why)
{
	if (!ps->refused)
		fault_set(ps->f, "bad_json", NULL, "%s at byte %zu", why,
		    (size_t)(ps->p - ps->start));
	ps->refused = 1;
	return (ps->id_wanted);
}

/* Step over white space. */
static void
parse_space(struct parse *ps)
{
	while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\t' ||
	    *ps->p == '\r' || *ps->p == '\n'))
		ps->p++;
}

/* Step over c, if it is next. */
static int
parse_char(struct parse *ps, char c)
{
	if (ps->p == ps->end || *ps->p != c)
		return (0);
	ps->p++;
	return (1);
}

/* Count a value. Returns whether to go on. */
static int
parse_count(struct parse *ps)
{
	char	 why[80];

	if (ps->values++ != ps->max)
		return (1);
	snprintf(why, sizeof why, "too many values and keys, at most %zu are "
	    "allowed", ps->max);
	return (parse_refuse(ps, why));
}

/* Step over a word, whose value is taken. */
static int
parse_word(struct parse *ps, const char *word, json_t *v, json_t **out)
{
	size_t	 n = strlen(word);

	if ((size_t)(ps->end - ps->p) < n || memcmp(ps->p, word, n) != 0)
		return (parse_broken(ps, "expected a value"));
	ps->p += n;
	*out = v;
	return (1);
}

/* Step over digits. Returns how many. */
static size_t
parse_digits(struct parse *ps)
{
	const char	*from = ps->p;

	while (ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9')
		ps->p++;
	return ((size_t)(ps->p - from));
}

/* Make a value of the number that ends here. */
static int
parse_number_value(struct parse *ps, const char *from, int whole,
    json_t **out)
{
	char		 text[PARSE_NUMBER + 1];
	size_t		 n = (size_t)(ps->p - from);
	long long	 v = 0;
	double		 x = 0;

	if (n > PARSE_NUMBER)
		return (parse_refuse(ps, "a number is too long"));
	memcpy(text, from, n);
	text[n] = '\0';
	errno = 0;
	if (whole)
		v = strtoll(text, NULL, 10);
	else
		x = strtod(text, NULL);
	if (errno == ERANGE && (whole || !isfinite(x)))
		return (parse_refuse(ps, "a number is out of range"));
	*out = whole ? json_integer(v) : json_real(x);
	return (1);
}

/* A number. */
static int
parse_number(struct parse *ps, json_t **out)
{
	const char	*from = ps->p;
	int		 whole = 1;

	parse_char(ps, '-');
	if (!parse_char(ps, '0') && parse_digits(ps) == 0)
		return (parse_broken(ps, "expected a value"));
	if (parse_char(ps, '.')) {
		whole = 0;
		if (parse_digits(ps) == 0)
			return (parse_broken(ps, "expected a digit"));
	}
	if (parse_char(ps, 'e') || parse_char(ps, 'E')) {
		whole = 0;
		if (!parse_char(ps, '+'))
			parse_char(ps, '-');
		if (parse_digits(ps) == 0)
			return (parse_broken(ps, "expected a digit"));
	}
	return (ps->refused ? 1 :
	    parse_number_value(ps, from, whole, out));
}

/* Four hexadecimal digits; -1 where they are not. */
static long
parse_hex(struct parse *ps)
{
	long	 v = 0;
	int	 i;
	char	 c;

	for (i = 0; i < 4; i++, ps->p++) {
		c = ps->p < ps->end ? *ps->p : '\0';
		if (c >= '0' && c <= '9')
			v = v * 16 + c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v * 16 + (c | 0x20) - 'a' + 10;
		else
			return (-1);
	}
	return (v);
}

/* What follows "\u", as UTF-8 at *to. */
static int
parse_unicode(struct parse *ps, char **to)
{
	long	 c, low;

	if ((c = parse_hex(ps)) == -1)
		return (parse_broken(ps, "expected four hexadecimal digits"));
	if (c == 0)
		return (parse_refuse(ps, "NUL (\\u0000) in a string"));
	if (c >= 0xd800 && c <= 0xdbff && ps->end - ps->p >= 2 &&
	    ps->p[0] == '\\' && ps->p[1] == 'u') {
		ps->p += 2;
		if ((low = parse_hex(ps)) == -1)
			return (parse_broken(ps,
			    "expected four hexadecimal digits"));
		if (low < 0xdc00 || low > 0xdfff)
			return (parse_refuse(ps, "half a character (\\ud800 "
			    "to \\udfff) in a string"));
		c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
	} else if (c >= 0xd800 && c <= 0xdfff)
		return (parse_refuse(ps, "half a character (\\ud800 to "
		    "\\udfff) in a string"));
	*to += utf8_encode((uint32_t)c, *to);
	return (1);
}

/* What follows a backslash, at *to: never longer than it is written. */
static int
parse_escape(struct parse *ps, char **to)
{
	static const char	 from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
	const char		*at;

	if (parse_char(ps, 'u'))
		return (parse_unicode(ps, to));
	if (ps->p == ps->end ||
	    (at = memchr(from, *ps->p, sizeof from - 1)) == NULL)
		return (parse_broken(ps, "unknown escape"));
	ps->p++;
	*(*to)++ = is[at - from];
	return (1);
}

/* How many of the bytes stand for themselves in a string. */
static size_t
parse_plain(const char *s, const char *end)
{
	const char	*p = s;

	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= ' ')
		p++;
	return ((size_t)(p - s));
}

/* How many bytes a string has from here to its quote, or to where it is no
 * string any more. */
static size_t
parse_length(const struct parse *ps)
{
	const char	*p = ps->p;

	while (p < ps->end && *p != '"' && (unsigned char)*p >= ' ')
		p += *p == '\\' && ps->end - p > 1 ? 2 : 1;
	return ((size_t)(p - ps->p));
}

/* A string from its quote on: *text borrowed from the line where nothing is
 * escaped, else owned in *own. */
static int
parse_text(struct parse *ps, const char **text, char **own, size_t *len)
{
	const char	*from;
	char		*to;
	size_t		 n;

	*own = NULL;
	if (!parse_char(ps, '"'))
		return (parse_broken(ps, "expected a string"));
	from = ps->p;
	n = parse_plain(ps->p, ps->end);
	ps->p += n;
	*text = from;
	*len = n;
	if (parse_char(ps, '"'))
		return (1);
	/* No escape is shorter than what it stands for. */
	to = *own = xmalloc(n + parse_length(ps) + 1);
	memcpy(to, from, n);
	to += n;
	while (parse_char(ps, '\\')) {
		if (!parse_escape(ps, &to))
			return (0);
		n = parse_plain(ps->p, ps->end);
		memcpy(to, ps->p, n);
		to += n;
		ps->p += n;
	}
	if (!parse_char(ps, '"'))
		return (parse_broken(ps, ps->p == ps->end ?
		    "a string without end" : "a control character"));
	*text = *own;
	*len = (size_t)(to - *own);
	return (1);
}

/* A string. */
static int
parse_string(struct parse *ps, json_t **out)
{
	const char	*text;
	char		*own;
	size_t		 n;
	int		 r;

	if ((r = parse_text(ps, &text, &own, &n)) && !ps->refused)
		*out = json_stringn_nocheck(text, n);
	free(own);
	return (r);
}

/* Note the id, if it is one that can be answered to. */
static void
parse_id(struct parse *ps, const char *value)
{
	int64_t	 id = 0;

	ps->ids++;
	ps->id = -1;
	if (ps->p - value == 2 && memcmp(value, "-0", 2) == 0)
		value++;
	for (; value < ps->p; value++) {
		if (*value < '0' || *value > '9')
			return;
		id = id * 10 + (*value - '0');
		if (id > JSON_INT_MAX)
			return;
	}
	ps->id = id;
}

/* A key and its value, into obj. */
static int
parse_member(struct parse *ps, int depth, json_t *obj)
{
	const char	*text, *value;
	char		*own, *key = NULL;
	json_t		*v = NULL;
	size_t		 n;
	int		 r;

	if (!(r = parse_text(ps, &text, &own, &n)))
		goto out;
	key = xstrndup(text, n);
	parse_space(ps);
	if (!parse_char(ps, ':')) {
		r = parse_broken(ps, "expected \":\"");
		goto out;
	}
	if (!(r = parse_count(ps)))
		goto out;
	parse_space(ps);
	value = ps->p;
	if (!(r = parse_value(ps, depth + 1, &v)))
		goto out;
	if (depth == 1 && strcmp(key, "id") == 0)
		parse_id(ps, value);
	if (!ps->refused && json_object_get(obj, key) != NULL)
		r = parse_refuse(ps, "duplicate object key");
	if (!ps->refused)
		json_object_set_nocheck(obj, key, v);
out:
	json_decref(v);
	free(key);
	free(own);
	return (r);
}

/* An array or object, from its bracket to the one that closes it. */
static int
parse_list(struct parse *ps, int depth, json_t *list, json_t **out)
{
	json_t	*v;
	char	 close = *ps->p == '{' ? '}' : ']';
	int	 r;

	ps->p++;
	parse_space(ps);
	if (!(r = parse_count(ps)) || parse_char(ps, close))
		goto out;
	for (;;) {
		parse_space(ps);
		v = NULL;
		if (close == '}')
			r = parse_member(ps, depth, list);
		else if ((r = parse_value(ps, depth + 1, &v)) &&
		    !ps->refused)
			json_array_append_new(list, v);
		else
			json_decref(v);
		if (!r)
			goto out;
		parse_space(ps);
		if (!parse_char(ps, ','))
			break;
		if (!(r = parse_count(ps)))
			goto out;
	}
	if (!parse_char(ps, close))
		r = parse_broken(ps, close == '}' ? "expected \",\" or \"}\"" :
		    "expected \",\" or \"]\"");
out:
	if (r)
		*out = list;
	else
		json_decref(list);
	return (r);
}

/* A value; the outermost has depth 1. Returns 0 where parsing ends; *out (a
 * new reference, or NULL) is good for nothing once something was refused. */
static int
parse_value(struct parse *ps, int depth, json_t **out)
{
	char	 c = ps->p < ps->end ? *ps->p : '\0', why[80];

	if ((c == '[' || c == '{') && depth > JSON_DEPTH_MAX) {
		snprintf(why, sizeof why, "nested too deep, at most %d levels "
		    "are allowed", JSON_DEPTH_MAX);
		if (!parse_refuse(ps, why) || depth > PARSE_DEPTH_MAX)
			return (parse_broken(ps, ""));
	}
	switch (c) {
	case '{':
		return (parse_list(ps, depth, ps->refused ? NULL :
		    json_object(), out));
	case '[':
		return (parse_list(ps, depth, ps->refused ? NULL :
		    json_array(), out));
	case '"':
		return (parse_string(ps, out));
	case 't':
		return (parse_word(ps, "true", json_true(), out));
	case 'f':
		return (parse_word(ps, "false", json_false(), out));
	case 'n':
		return (parse_word(ps, "null", json_null(), out));
	default:
		return (parse_number(ps, out));
	}
}

/* The whole text: one object and nothing else. */
static int
parse_all(struct parse *ps, json_t **out)
{
	if (*ps->p != '{')
		return (parse_broken(ps, "expected one JSON object"));
	if (!parse_value(ps, 1, out))
		return (0);
	parse_space(ps);
	return (ps->p == ps->end || parse_broken(ps, "expected the end"));
}

/* Parse one line, and find its id even if it is refused. */
int
json_line_parse_id(const char *line, size_t len, size_t max, json_t **out,
    int64_t *id, struct fault *f)
{
	struct parse	 ps = { .start = line, .p = line, .end = line + len,
	    .values = 1, .max = max, .f = f, .id_wanted = id != NULL,
	    .id = -1 };
	json_t		*v = NULL;

	if (id != NULL)
		*id = -1;
	parse_space(&ps);
	if (ps.p == ps.end)
		return (fault_set(f, "bad_json", NULL,
		    "empty line: expected one JSON object"));
	if (!utf8_valid(line, len))
		return (fault_set(f, "bad_json", NULL,
		    "the line is not valid UTF-8"));
	if (memchr(line, '\0', len) != NULL)
		return (fault_set(f, "bad_json", NULL, "NUL byte in the line"));
	if (parse_all(&ps, &v) && id != NULL && ps.ids == 1)
		*id = ps.id;
	if (ps.refused) {
		json_decref(v);
		return (CHAT_EFORMAT);
	}
	*out = v;
	return (0);
}

/* Parse one line. */
int
json_line_parse(const char *line, size_t len, json_t **out, struct fault *f)
{
	return (json_line_parse_id(line, len, SIZE_MAX, out, NULL, f));
}

/* Parse one line of not too many values. */
int
json_line_parse_max(const char *line, size_t len, size_t max, json_t **out,
    struct fault *f)
{
	return (json_line_parse_id(line, len, max, out, NULL, f));
}
