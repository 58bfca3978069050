/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between chatd, its clients and its helpers: one JSON object per
 * line.  The functions have these prefixes:
 *
 *   json_line_  a line from outside becomes a json_t.  A line is refused if it
 *               is too deep, or has a duplicate key, a NUL or invalid UTF-8
 *   json_       json_measure: the size of a text, before it is parsed
 *   fields_     a message fills a C struct, as a table of struct field says
 *   msg_        messages are made, looked into and printed
 *   init_       init_version: a check of every helper's first message
 *
 * Errors fill a struct fault, which msg_error turns into an error event.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define JSON_DEPTH_MAX	32		/* nested arrays and objects */

/*
 * Parse a line of len bytes, which must be one object. Returns 0 and *out (a
 * new reference), or CHAT_EFORMAT with *f filled (code bad_json; no_memory if
 * there is not enough).
 */
int	 json_line_parse(const char *line, size_t len, json_t **out,
	    struct fault *f);

/* The size of a JSON text. */
struct json_size {
	size_t	 values;	/* at least as many values and keys as it has:
				 * one more for each array and object */
	size_t	 arrays, objects;
	size_t	 depth;		/* of nested arrays and objects */
	size_t	 nul;		/* byte of the first \u0000 in a string;
				 * SIZE_MAX: there is none */
};

/* Measure n bytes of JSON text from outside, before a parser takes memory
 * for its values. For text that is not JSON the numbers have no meaning. */
void	 json_measure(const char *s, size_t n, struct json_size *out);

/*
 * The same as json_line_parse, with a limit on memory: a line with more than
 * max values, as json_measure counts them, is refused before it is parsed. A
 * value takes up to 170 bytes in addition to its string.
 */
int	 json_line_parse_max(const char *line, size_t len, size_t max,
	    json_t **out, struct fault *f);

/*
 * Find the id of a line that was refused, for the error event. The line must
 * be one JSON object by RFC 8259, nested at most 1,000 deep; numbers may have
 * any size, and keys other than "id" may come twice. Returns the value of the
 * top-level key "id", an integer from 0 to 2^53-1; or -1 if there is no such
 * key, more than one, or another value.
 */
int64_t	 json_line_id(const char *line, size_t len);

enum field_type {
	FIELD_STRING,	/* const char *, borrowed from the message */
	FIELD_INT,	/* int64_t, between min and max */
	FIELD_REAL,	/* double, between min and max; may be an integer */
	FIELD_BOOL,	/* int, 0 or 1 */
	FIELD_OBJECT,	/* json_t *, borrowed */
	FIELD_ARRAY,	/* json_t *, borrowed */
	FIELD_ANY	/* json_t *, borrowed, null included */
};

#define FIELD_REQUIRED	0x1
#define FIELD_NULLABLE	0x2	/* null means "not given" */

/* One key of a message, and where its value goes in the caller's struct. */
struct field {
	const char	*name;
	enum field_type	 type;
	unsigned	 flags;
	double		 min, max;	/* numbers: the range, inclusive; for
					 * FIELD_INT up to 2^53. Strings: max
					 * is the most bytes; 0: no limit */
	size_t		 offset;	/* offsetof(struct ..., member) */
};

/*
 * Read the keys of obj into the struct at out, as the n entries of the table
 * say. A key that is not in obj leaves its member unchanged: set defaults
 * before. The keys "op", "event" and "id" are always allowed. Returns 0, or
 * CHAT_EFORMAT with *f filled for an unknown key, a wrong type, a value out of
 * range or a missing required key. The code is bad_field, or too_long for a
 * string; the field is set. *out may then be half filled.
 */
int	 fields_read(json_t *obj, const struct field *table, size_t n,
	    void *out, struct fault *f);

/* Begin an event, {"event": name, "id": id}, or a request, {"op": name, "id":
 * id}. An id below 0 is left out. A new reference. */
json_t	*msg_event(const char *name, int64_t id);
json_t	*msg_op(const char *name, int64_t id);

/* Make an error event from a fault. A new reference. */
json_t	*msg_error(int64_t id, const struct fault *f);

/* Set key to a value. A string may have invalid UTF-8 and NULs, which become
 * U+FFFD; a NULL string sets nothing. NaN and infinity become null. */
void	 msg_set_text(json_t *msg, const char *key, const char *s, size_t n);
void	 msg_set_string(json_t *msg, const char *key, const char *s);
void	 msg_set_int(json_t *msg, const char *key, int64_t v);
void	 msg_set_real(json_t *msg, const char *key, double v);
void	 msg_set_bool(json_t *msg, const char *key, int v);
/* Set key to value, which is taken; NULL sets nothing. */
void	 msg_set(json_t *msg, const char *key, json_t *value);

/* Look a key up. If it is missing or has another type: NULL for a string, dflt
 * for a number. Strings are borrowed from obj. */
const char *msg_string(const json_t *obj, const char *key);
int64_t	 msg_int(const json_t *obj, const char *key, int64_t dflt);
double	 msg_real(const json_t *obj, const char *key, double dflt);

/* Print a message as one line: a new string of *len bytes, which end in a
 * newline. Reals have 15 digits, so that 0.9 is written as 0.9. */
char	*msg_line(const json_t *msg, size_t *len);

/*
 * Check that a helper (program, of version ours) was started by a chatd of the
 * same version. theirs is the version in its init message, or NULL if there is
 * none, which is accepted. Returns 0, or CHAT_EFORMAT with *f filled (code
 * bad_version).
 */
int	 init_version(const char *program, const char *ours,
	    const char *theirs, struct fault *f);

#endif
