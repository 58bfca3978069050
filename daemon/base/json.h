/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages: one JSON object a line.  Parsing refuses what the protocol
 * refuses (depth, duplicate keys, NUL, invalid UTF-8) with a fault that can
 * be sent as it is; field tables say which keys an operation knows.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define JSON_DEPTH_MAX	32		/* nested arrays and objects */

/*
 * Parse len bytes as one object. 0 and *out (a new reference), or
 * CHAT_EFORMAT with *f filled (code bad_json).
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
 * json_line_parse for files from outside. A text of more than max values, as
 * json_measure counts them, is refused before memory is taken for them. Parsing
 * takes up to 170 bytes for each value, and the strings.
 */
int	 json_line_parse_max(const char *line, size_t len, size_t max,
	    json_t **out, struct fault *f);

/*
 * The id of a line that was refused: -1, or the integer from 0 to 2^53-1
 * under the only top-level key "id" of a line that is one JSON object by
 * RFC 8259, nested at most 1,000 deep. Its numbers may have any size and its
 * other keys may come twice.
 */
int64_t	 json_line_id(const char *line, size_t len);

enum field_type {
	FIELD_STRING,	/* const char *, borrowed from the message */
	FIELD_INT,	/* int64_t, between min and max */
	FIELD_REAL,	/* double, between min and max; integers taken too */
	FIELD_BOOL,	/* int, 0 or 1 */
	FIELD_OBJECT,	/* json_t *, borrowed */
	FIELD_ARRAY,	/* json_t *, borrowed */
	FIELD_ANY	/* json_t *, borrowed, null included */
};

#define FIELD_REQUIRED	0x1
#define FIELD_NULLABLE	0x2	/* null is taken as "not given" */

/* One key of a message, and where its value goes in the caller's struct. */
struct field {
	const char	*name;
	enum field_type	 type;
	unsigned	 flags;
	double		 min, max;	/* numbers: range, for FIELD_INT of
					 * whole numbers up to 2^53; strings:
					 * max bytes (0: no limit); both
					 * inclusive */
	size_t		 offset;	/* offsetof(struct ..., member) */
};

/*
 * Read the keys of obj into the struct at out. Keys not given leave their
 * member alone (fill in defaults before). "op", "event" and "id" are always
 * known. An unknown key, a wrong type, a value out of range or a missing
 * required key gives CHAT_EFORMAT with *f filled (code bad_field, field set);
 * out may then be half filled.
 */
int	 fields_read(json_t *obj, const struct field *table, size_t n,
	    void *out, struct fault *f);

/* {"event": name, "id": id}; id below 0 is left out. */
json_t	*msg_event(const char *name, int64_t id);

/* Check that this helper was started by a chatd of its own version. theirs
 * is what init says; NULL, if init does not say it, is accepted. 0, or
 * CHAT_EFORMAT with *f filled (code bad_version). */
int	 init_version(const char *program, const char *ours,
	    const char *theirs, struct fault *f);

/* {"op": name, "id": id}; id below 0 is left out. */
json_t	*msg_op(const char *name, int64_t id);

/* An error event from a fault. */
json_t	*msg_error(int64_t id, const struct fault *f);

/* Set key to a string that need not be valid UTF-8: bad bytes, and NUL that
 * no line may hold, turn into U+FFFD. A NULL string sets nothing. */
void	 msg_set_text(json_t *msg, const char *key, const char *s, size_t n);
void	 msg_set_string(json_t *msg, const char *key, const char *s);
void	 msg_set_int(json_t *msg, const char *key, int64_t v);
void	 msg_set_real(json_t *msg, const char *key, double v);
void	 msg_set_bool(json_t *msg, const char *key, int v);
/* Set key to value, which is taken; NULL sets nothing. */
void	 msg_set(json_t *msg, const char *key, json_t *value);

/* The string, integer or a default where the key is missing or of another
 * type. Strings are borrowed from obj. */
const char *msg_string(const json_t *obj, const char *key);	/* or NULL */
int64_t	 msg_int(const json_t *obj, const char *key, int64_t dflt);
double	 msg_real(const json_t *obj, const char *key, double dflt);

/* One line, newline included, in a new string of *len bytes (free it). Reals
 * have 15 digits, so that 0.9 is written as 0.9. */
char	*msg_line(const json_t *msg, size_t *len);

#endif
