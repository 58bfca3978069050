/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: bytes of a client, through framing and JSON. The first byte
 * chooses how the rest is cut. A message that parses must print as a line that
 * parses and prints as the same line.
 */
#include "fuzz.h"

#include "json.h"
#include "protocol.h"
#include "linebuf.h"
#include "xmalloc.h"

#define LINE_MAX_HERE	1024

struct request {
	const char	*text;
	int64_t		 n;
	double		 x;
	int		 flag;
	json_t		*list;
};

static const struct field fields[] = {
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, 16,
	    offsetof(struct request, text) },
	{ "n", FIELD_INT, FIELD_NULLABLE, -5, 5, offsetof(struct request, n) },
	{ "x", FIELD_REAL, 0, 0, 1, offsetof(struct request, x) },
	{ "flag", FIELD_BOOL, 0, 0, 0, offsetof(struct request, flag) },
	{ "list", FIELD_ARRAY, 0, 0, 0, offsetof(struct request, list) },
};

/* Return the id of a parsed message, or -1 if it has no usable id. */
static int64_t
fuzz_id_of(const json_t *msg)
{
	json_t	*v = json_object_get(msg, "id");
	int64_t	 id = json_is_integer(v) ? json_integer_value(v) : -1;

	return (id < 0 || id > JSON_INT_MAX ? -1 : id);
}

/* An id is found in a refused line only if the line is JSON. It is then the id
 * that a parser finds which accepts any integer and any NUL. */
static void
fuzz_id(const char *line, size_t len, int64_t id)
{
	json_error_t	 err;
	json_t		*v, *x;

	v = json_loadb(line, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
	    &err);
	x = json_object_get(v, "id");
	if (id != -1 && v != NULL && json_number_value(x) != (double)id)
		abort();
	if (id != -1 && v == NULL &&
	    json_error_code(&err) == json_error_premature_end_of_input)
		abort();
	json_decref(v);
}

/* One line: parse, read with the table, print, parse again. */
static void
fuzz_line(const char *line, size_t len)
{
	struct request	 rq = { 0 };
	struct fault	 f;
	json_t		*msg, *again;
	int64_t		 id;
	char		*s, *t;
	size_t		 n, m;

	id = json_line_id(line, len);
	if (json_line_parse(line, len, &msg, &f) != 0) {
		json_decref(msg_error(id, &f));
		fuzz_id(line, len, id);
		return;
	}
	if (id != fuzz_id_of(msg))
		abort();
	if (fields_read(msg, fields, nitems(fields), &rq, &f) == 0 &&
	    (rq.text == NULL || strlen(rq.text) > 16 || rq.n < -5 ||
	    rq.n > 5))
		abort();
	/* A real is printed with 15 digits, so only printed values stay
	 * equal. */
	s = msg_line(msg, &n);
	if (memchr(s, '\n', n) != s + n - 1 ||
	    json_line_parse(s, n - 1, &again, &f) != 0)
		abort();
	t = msg_line(again, &m);
	if (m != n || memcmp(s, t, n) != 0)
		abort();
	free(s);
	free(t);
	json_decref(msg);
	json_decref(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct linebuf	*lb;
	size_t		 step, room, n, len;
	char		*p, *line;
	int		 r;

	if (size == 0)
		return (0);
	step = (size_t)data[0] + 1;
	lb = linebuf_new(LINE_MAX_HERE);
	for (data++, size--; size > 0; data += n, size -= n) {
		p = linebuf_room(lb, &room);
		n = room < step ? room : step;
		n = n < size ? n : size;
		if (n == 0)
			abort();
		memcpy(p, data, n);
		linebuf_added(lb, n);
		while ((r = linebuf_next(lb, &line, &len)) != LINE_NONE) {
			if (r == LINE_TOO_LONG)
				continue;
			if (len > LINE_MAX_HERE || line[len] != '\0')
				abort();
			fuzz_line(line, len);
		}
	}
	linebuf_free(lb);
	return (0);
}
