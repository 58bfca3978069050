/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line from outside becomes a json_t, after checks of its size.  The client
 * library has this file too: it allocates by jansson alone, and a lack of
 * memory is an error.
 */
#include "json.h"

#include <string.h>

#include "utf8.h"

/* Measure a text. Each value except the first follows one of ,:[{. */
void
json_measure(const char *s, size_t n, struct json_size *out)
{
	struct json_size	 m = { 1, 0, 0, 0, SIZE_MAX };
	size_t			 i, depth = 0;

	for (i = 0; i < n; i++) {
		switch (s[i]) {
		case '"':
			while (++i < n && s[i] != '"') {
				if (s[i] != '\\')
					continue;
				if (m.nul == SIZE_MAX && n - i > 5 &&
				    memcmp(s + i + 1, "u0000", 5) == 0)
					m.nul = i;
				i++;
			}
			break;
		case '[':
		case '{':
			m.arrays += s[i] == '[';
			m.objects += s[i] == '{';
			if (++depth > m.depth)
				m.depth = depth;
			m.values++;
			break;
		case ']':
		case '}':
			depth -= depth > 0;
			break;
		case ',':
		case ':':
			m.values++;
			break;
		}
	}
	*out = m;
}

/* Check a line before the parser reads it: depth (the bound of jansson is
 * far higher, and it recurses), values (jansson takes 138 bytes for one that
 * has three in the line, "[],") and NUL, raw or escaped. */
static int
json_check(const char *s, size_t n, size_t max, struct fault *f)
{
	struct json_size	 m;

	if (memchr(s, '\0', n) != NULL)
		return (fault_set(f, "bad_json", NULL, "NUL byte in the line"));
	json_measure(s, n, &m);
	if (m.nul != SIZE_MAX)
		return (fault_set(f, "bad_json", NULL,
		    "NUL (\\u0000) at byte %zu", m.nul));
	if (m.depth > JSON_DEPTH_MAX)
		return (fault_set(f, "bad_json", NULL, "nested %zu deep, at "
		    "most %d are allowed", m.depth, JSON_DEPTH_MAX));
	if (m.values > max)
		return (fault_set(f, "bad_json", NULL, "%zu values and keys, "
		    "at most %zu are allowed", m.values, max));
	return (0);
}

/* Parse one line. */
int
json_line_parse(const char *line, size_t len, json_t **out, struct fault *f)
{
	return (json_line_parse_max(line, len, SIZE_MAX, out, f));
}

/* Parse one line with a bound on its values. */
int
json_line_parse_max(const char *line, size_t len, size_t max, json_t **out,
    struct fault *f)
{
	json_error_t	 err;
	json_t		*v;
	size_t		 i;
	int		 r;

	for (i = 0; i < len && (line[i] == ' ' || line[i] == '\t'); i++)
		;
	if (i == len)
		return (fault_set(f, "bad_json", NULL,
		    "empty line: expected one JSON object"));
	if (!utf8_valid(line, len))
		return (fault_set(f, "bad_json", NULL,
		    "the line is not valid UTF-8"));
	if ((r = json_check(line, len, max, f)) != 0)
		return (r);
	v = json_loadb(line, len, JSON_REJECT_DUPLICATES, &err);
	/* The parser has no words for most of its lacks of memory. */
	if (v == NULL && err.text[0] == '\0')
		return (fault_set(f, "no_memory", NULL,
		    "there is not enough memory"));
	if (v == NULL)
		return (fault_set(f, "bad_json", NULL, "%s at byte %d",
		    err.text, err.position));
	if (!json_is_object(v)) {
		json_decref(v);
		return (fault_set(f, "bad_json", NULL,
		    "expected one JSON object"));
	}
	*out = v;
	return (0);
}
