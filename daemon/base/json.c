/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON messages over jansson: strict parsing, field tables, small builders.
 */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "xmalloc.h"

#define FIELD_NUMBER	32	/* bytes of a number in a message */

static int	field_store(const struct field *, json_t *, void *,
		    struct fault *);

/* Print a number for a message; an integer with all of its digits. */
static const char *
field_number(double v, char *text)
{
	if (fabs(v) < 1e18 && v == (double)(int64_t)v)
		snprintf(text, FIELD_NUMBER, "%lld", (long long)v);
	else
		snprintf(text, FIELD_NUMBER, "%.15g", v);
	return (text);
}

/* Report a number that is out of its range. */
static int
field_range(const struct field *d, const json_t *v, struct fault *f)
{
	char	 is[FIELD_NUMBER], min[FIELD_NUMBER], max[FIELD_NUMBER];

	if (json_is_integer(v))
		snprintf(is, sizeof is, "%lld",
		    (long long)json_integer_value(v));
	else
		snprintf(is, sizeof is, "%.15g", json_real_value(v));
	return (fault_set(f, "bad_field", d->name,
	    "%s: %s is not between %s and %s", d->name, is,
	    field_number(d->min, min), field_number(d->max, max)));
}

/* Store one value if it has the right type, else report it. */
static int
field_store(const struct field *d, json_t *v, void *out, struct fault *f)
{
	static const char *const names[] = {
		[FIELD_STRING] = "a string", [FIELD_INT] = "an integer",
		[FIELD_REAL] = "a number", [FIELD_BOOL] = "true or false",
		[FIELD_OBJECT] = "an object", [FIELD_ARRAY] = "an array",
		[FIELD_ANY] = "a value",
	};
	char	*p = (char *)out + d->offset;
	int	 ok = 0;

	if (json_is_null(v) && (d->flags & FIELD_NULLABLE))
		return (0);
	switch (d->type) {
	case FIELD_STRING:
		if (!(ok = json_is_string(v)))
			break;
		if (d->max > 0 && (double)json_string_length(v) > d->max)
			return (fault_set(f, "too_long", d->name,
			    "%s: %zu bytes, at most %.0f allowed", d->name,
			    json_string_length(v), d->max));
		*(const char **)p = json_string_value(v);
		break;
	case FIELD_INT:
		if (!(ok = json_is_integer(v)))
			break;
		if (json_integer_value(v) < (int64_t)d->min ||
		    json_integer_value(v) > (int64_t)d->max)
			return (field_range(d, v, f));
		*(int64_t *)p = json_integer_value(v);
		break;
	case FIELD_REAL:
		if (!(ok = json_is_number(v)))
			break;
		/* Written as a negation, so that NaN fails too. */
		if (!(json_number_value(v) >= d->min &&
		    json_number_value(v) <= d->max))
			return (field_range(d, v, f));
		*(double *)p = json_number_value(v);
		break;
	case FIELD_BOOL:
		if ((ok = json_is_boolean(v)))
			*(int *)p = json_is_true(v);
		break;
	case FIELD_OBJECT:
	case FIELD_ARRAY:
		ok = d->type == FIELD_OBJECT ? json_is_object(v) :
		    json_is_array(v);
		if (ok)
			*(json_t **)p = v;
		break;
	case FIELD_ANY:
		ok = 1;
		*(json_t **)p = v;
		break;
	}
	if (!ok)
		return (fault_set(f, "bad_field", d->name, "%s: expected %s",
		    d->name, names[d->type]));
	return (0);
}

/* Read a message's keys by a table. */
int
fields_read(json_t *obj, const struct field *table, size_t n, void *out,
    struct fault *f)
{
	const char	*key;
	json_t		*v;
	size_t		 i;
	int		 r;

	json_object_foreach(obj, key, v) {
		if (strcmp(key, "op") == 0 || strcmp(key, "event") == 0 ||
		    strcmp(key, "id") == 0)
			continue;
		for (i = 0; i < n && strcmp(key, table[i].name) != 0; i++)
			;
		if (i == n)
			return (fault_set(f, "bad_field", key,
			    "unknown field \"%s\"", key));
		if ((r = field_store(&table[i], v, out, f)) != 0)
			return (r);
	}
	for (i = 0; i < n; i++) {
		if ((table[i].flags & FIELD_REQUIRED) == 0)
			continue;
		v = json_object_get(obj, table[i].name);
		if (v == NULL || (json_is_null(v) &&
		    (table[i].flags & FIELD_NULLABLE)))
			return (fault_set(f, "bad_field", table[i].name,
			    "missing field \"%s\"", table[i].name));
	}
	return (0);
}

/* Begin an event. */
json_t *
msg_event(const char *name, int64_t id)
{
	json_t	*m = json_object();

	msg_set_string(m, "event", name);
	if (id >= 0)
		msg_set_int(m, "id", id);
	return (m);
}

/* Begin a request. */
json_t *
msg_op(const char *name, int64_t id)
{
	json_t	*m = json_object();

	msg_set_string(m, "op", name);
	if (id >= 0)
		msg_set_int(m, "id", id);
	return (m);
}

/* An error event. */
json_t *
msg_error(int64_t id, const struct fault *f)
{
	json_t	*m = msg_event("error", id);

	msg_set_string(m, "code", f->code);
	msg_set_string(m, "message", f->message);
	if (f->field[0] != '\0')
		msg_set_string(m, "field", f->field);
	return (m);
}

/* Set a string, replacing invalid UTF-8. */
void
msg_set_text(json_t *msg, const char *key, const char *s, size_t n)
{
	json_t		*v;
	char		*fixed;
	size_t		 i, k = 0;
	uint32_t	 cp;
	int		 len;

	if (s == NULL)
		return;
	if (memchr(s, '\0', n) == NULL && (v = json_stringn(s, n)) != NULL) {
		msg_set(msg, key, v);
		return;
	}
	fixed = xmalloc(n * 3 + 1);
	for (i = 0; i < n; ) {
		if ((len = utf8_decode(s + i, n - i, &cp)) > 0 && cp != 0) {
			memcpy(fixed + k, s + i, (size_t)len);
			k += (size_t)len;
			i += (size_t)len;
			continue;
		}
		memcpy(fixed + k, "\xef\xbf\xbd", 3);
		k += 3;
		i = len == 0 ? n : i + (size_t)abs(len);
	}
	msg_set(msg, key, json_stringn(fixed, k));
	free(fixed);
}

/* Set a NUL-ended string. */
void
msg_set_string(json_t *msg, const char *key, const char *s)
{
	if (s != NULL)
		msg_set_text(msg, key, s, strlen(s));
}

/* Set an integer. */
void
msg_set_int(json_t *msg, const char *key, int64_t v)
{
	msg_set(msg, key, json_integer(v));
}

/* Set a number; NaN and infinity, which JSON does not have, become null. */
void
msg_set_real(json_t *msg, const char *key, double v)
{
	msg_set(msg, key, isfinite(v) ? json_real(v) : json_null());
}

/* Set true or false. */
void
msg_set_bool(json_t *msg, const char *key, int v)
{
	msg_set(msg, key, json_boolean(v));
}

/* Set a value, which is taken. */
void
msg_set(json_t *msg, const char *key, json_t *value)
{
	if (value != NULL)
		json_object_set_new(msg, key, value);
}

/* Look up a string. */
const char *
msg_string(const json_t *obj, const char *key)
{
	return (json_string_value(json_object_get(obj, key)));
}

/* Look up an integer. */
int64_t
msg_int(const json_t *obj, const char *key, int64_t dflt)
{
	json_t	*v = json_object_get(obj, key);

	return (json_is_integer(v) ? json_integer_value(v) : dflt);
}

/* Look up a number. */
double
msg_real(const json_t *obj, const char *key, double dflt)
{
	json_t	*v = json_object_get(obj, key);

	return (json_is_number(v) ? json_number_value(v) : dflt);
}

/* Print one line. */
char *
msg_line(const json_t *msg, size_t *len)
{
	char	*s;
	size_t	 n;

	s = json_dumps(msg, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (s == NULL)
		abort();	/* every string in a message is UTF-8 */
	n = strlen(s);
	s = xreallocarray(s, n + 2, 1);
	s[n++] = '\n';
	s[n] = '\0';
	*len = n;
	return (s);
}

/* Compare versions: after an upgrade of a running service, an old chatd
 * starts new helpers. */
int
init_version(const char *program, const char *ours, const char *theirs,
    struct fault *f)
{
	if (theirs == NULL || strcmp(ours, theirs) == 0)
		return (0);
	return (fault_set(f, "bad_version", "version", "%s %.40s can't serve "
	    "chatd %.40s: the programs were changed under a running service; "
	    "restart it", program, ours, theirs));
}
