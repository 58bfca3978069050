/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML, read by the event interface of libyaml into a small tree with
 * positions.
 */
#include "yaml.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "path.h"
#include "xmalloc.h"

struct yaml_state {
	yaml_parser_t	 parser;
	const char	*name;
	struct fault	*fault;
	int		 depth;
};

static int	yaml_event(struct yaml_state *, yaml_event_t *);
static int	yaml_begin(struct yaml_state *, yaml_event_t *,
		    struct ynode **);
static int	yaml_key(struct yaml_state *, struct ynode *, yaml_event_t *,
		    struct ynode **);
static int	yaml_node(struct yaml_state *, yaml_event_t *,
		    struct ynode **);
static int	yaml_depth(const char *, const char *, size_t,
		    struct fault *);

/* Fill a fault with a node's place. */
int
ynode_fault(const char *name, const struct ynode *n, struct fault *f,
    const char *fmt, ...)
{
	va_list	 ap;
	char	 text[256];

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return (fault_set(f, "bad_config", n->key, "%s:%d:%d: %s%s%s", name,
	    n->line, n->column, n->key != NULL ? n->key : "",
	    n->key != NULL ? ": " : "", text));
}

/* Get the next event, or a fault with the parser's place. */
static int
yaml_event(struct yaml_state *st, yaml_event_t *ev)
{
	yaml_parser_t	*p = &st->parser;

	if (yaml_parser_parse(p, ev))
		return (0);
	return (fault_set(st->fault, "bad_config", NULL, "%s:%zu:%zu: %s",
	    st->name, p->problem_mark.line + 1, p->problem_mark.column + 1,
	    p->problem != NULL ? p->problem : "can't be parsed"));
}

/* Refuse nesting that would cost libyaml quadratic time, before it runs:
 * flow brackets anywhere, and indentation by dashes on one line. */
static int
yaml_depth(const char *name, const char *s, size_t len, struct fault *f)
{
	size_t	 i, line = 1, column = 1;
	int	 depth = 0, dashes = 0, lead = 1;

	for (i = 0; i < len; i++, column++) {
		if (s[i] == '\n') {
			line++;
			column = 0;
			dashes = 0;
			lead = 1;
			continue;
		}
		if (s[i] == '[' || s[i] == '{')
			depth++;
		else if ((s[i] == ']' || s[i] == '}') && depth > 0)
			depth--;
		if (lead && (s[i] == '-' || s[i] == '?' || s[i] == ':') &&
		    i + 1 < len && isspace((unsigned char)s[i + 1]))
			dashes++;
		else if (s[i] != ' ')
			lead = 0;
		/* Plain text (a pattern) may have brackets that do not
		 * match, so this bound is a loose one. */
		if (depth > 1000 || dashes > YAML_DEPTH_MAX)
			return (fault_set(f, "bad_config", NULL,
			    "%s:%zu:%zu: nested too deep", name, line,
			    column));
	}
	return (0);
}

/* Make the node that an event begins, without its children, and refuse what
 * no file may have. The event is consumed. */
static int
yaml_begin(struct yaml_state *st, yaml_event_t *ev, struct ynode **out)
{
	struct ynode	*n;
	yaml_char_t	*anchor = NULL, *tag = NULL;
	const char	*why = NULL;

	n = xcalloc(1, sizeof *n);
	n->line = (int)ev->start_mark.line + 1;
	n->column = (int)ev->start_mark.column + 1;
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		n->kind = YNODE_SCALAR;
		n->text = xstrndup((char *)ev->data.scalar.value,
		    ev->data.scalar.length);
		n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		if (strlen(n->text) != ev->data.scalar.length)
			why = "NUL in text";
		break;
	case YAML_SEQUENCE_START_EVENT:
		n->kind = YNODE_LIST;
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		n->kind = YNODE_MAP;
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		break;
	default:
		why = "aliases (*name) are not allowed";
	}
	if (anchor != NULL)
		why = "anchors (&name) are not allowed";
	else if (tag != NULL)
		why = "tags (!name) are not allowed";
	else if (why == NULL && n->kind != YNODE_SCALAR &&
	    st->depth >= YAML_DEPTH_MAX)
		why = "nested too deep";
	yaml_event_delete(ev);
	if (why != NULL) {
		ynode_fault(st->name, n, st->fault, "%s", why);
		ynode_free(n);
		return (CHAT_EFORMAT);
	}
	*out = n;
	return (0);
}

/* Read the key of map whose scalar an event is, and get the event of its
 * value in its place. */
static int
yaml_key(struct yaml_state *st, struct ynode *map, yaml_event_t *ev,
    struct ynode **out)
{
	struct ynode	*k, *same;
	int		 r;

	if ((r = yaml_begin(st, ev, &k)) != 0)
		return (r);
	if (k->kind != YNODE_SCALAR)
		r = ynode_fault(st->name, k, st->fault,
		    "a key must be plain text");
	else if ((same = ynode_get(map, k->text)) != NULL)
		r = ynode_fault(st->name, k, st->fault, "duplicate key "
		    "\"%s\", first given at line %d", k->text,
		    same->key_line);
	else
		r = yaml_event(st, ev);
	if (r != 0)
		ynode_free(k);
	else
		*out = k;
	return (r);
}

/* Build the node that an event begins. The event is consumed. */
static int
yaml_node(struct yaml_state *st, yaml_event_t *ev, struct ynode **out)
{
	struct ynode	*n, *k = NULL, *v, **tail;
	yaml_event_t	 next;
	int		 r;

	if ((r = yaml_begin(st, ev, &n)) != 0 || n->kind == YNODE_SCALAR)
		goto out;
	st->depth++;
	tail = &n->child;
	while ((r = yaml_event(st, &next)) == 0) {
		if (next.type == YAML_SEQUENCE_END_EVENT ||
		    next.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&next);
			break;
		}
		if ((n->kind == YNODE_MAP &&
		    (r = yaml_key(st, n, &next, &k)) != 0) ||
		    (r = yaml_node(st, &next, &v)) != 0)
			break;
		if (k != NULL) {
			v->key = k->text;
			v->key_line = k->line;
			v->key_column = k->column;
			k->text = NULL;
			ynode_free(k);
			k = NULL;
		}
		*tail = v;
		tail = &v->next;
	}
	st->depth--;
	ynode_free(k);
	if (r != 0)
		ynode_free(n);
out:
	if (r == 0)
		*out = n;
	return (r);
}

/* Parse a text. */
int
yaml_parse(const char *name, const char *text, size_t len,
    struct ynode **root, struct fault *f)
{
	struct yaml_state	 st = { .name = name, .fault = f };
	struct ynode		*n = NULL;
	yaml_event_t		 ev;
	int			 r;

	if (len > YAML_FILE_MAX)
		return (fault_set(f, "bad_config", NULL,
		    "%s: %zu bytes, at most %d are read", name, len,
		    YAML_FILE_MAX));
	if ((r = yaml_depth(name, text, len, f)) != 0)
		return (r);
	if (!yaml_parser_initialize(&st.parser))
		return (CHAT_ENOMEM);
	yaml_parser_set_input_string(&st.parser,
	    (const unsigned char *)text, len);
	yaml_parser_set_encoding(&st.parser, YAML_UTF8_ENCODING);
	if ((r = yaml_event(&st, &ev)) != 0)	/* stream start */
		goto out;
	yaml_event_delete(&ev);
	if ((r = yaml_event(&st, &ev)) != 0)
		goto out;
	if (ev.type == YAML_STREAM_END_EVENT) {
		yaml_event_delete(&ev);
		n = xcalloc(1, sizeof *n);
		n->kind = YNODE_MAP;
		n->line = n->column = 1;
		goto out;
	}
	yaml_event_delete(&ev);			/* document start */
	if ((r = yaml_event(&st, &ev)) != 0 ||
	    (r = yaml_node(&st, &ev, &n)) != 0)
		goto out;
	if ((r = yaml_event(&st, &ev)) != 0)	/* document end */
		goto out;
	yaml_event_delete(&ev);
	if ((r = yaml_event(&st, &ev)) != 0)
		goto out;
	if (ev.type != YAML_STREAM_END_EVENT)
		r = fault_set(f, "bad_config", NULL,
		    "%s:%zu:%zu: a second document", name,
		    ev.start_mark.line + 1, ev.start_mark.column + 1);
	yaml_event_delete(&ev);
out:
	yaml_parser_delete(&st.parser);
	if (r != 0)
		ynode_free(n);
	else
		*root = n;
	return (r);
}

/* Load a file. */
int
yaml_load(const char *path, struct ynode **root, struct fault *f)
{
	char	*text;
	size_t	 len;
	int	 r;

	if ((r = path_read(path, YAML_FILE_MAX, &text, &len)) != 0) {
		fault_set(f, "bad_config", NULL, "%s: %s", path,
		    r == CHAT_ESYSTEM ? strerror(errno) :
		    r == CHAT_EFORMAT ? "not a regular file" :
		    "over 1 MiB");
		return (r);
	}
	r = yaml_parse(path, text, len, root, f);
	free(text);
	return (r);
}

/* Load a file of keys and values. */
int
yaml_load_map(const char *path, struct ynode **root, struct fault *f)
{
	struct ynode	*n;
	int		 r;

	if ((r = yaml_load(path, &n, f)) != 0)
		return (r);
	if (n->kind != YNODE_MAP) {
		r = ynode_fault(path, n, f, "expected keys and values");
		ynode_free(n);
		return (r);
	}
	*root = n;
	return (0);
}

/* Release a node, its children and its later siblings. */
void
ynode_free(struct ynode *n)
{
	struct ynode	*next;

	for (; n != NULL; n = next) {
		next = n->next;
		ynode_free(n->child);
		free(n->key);
		free(n->text);
		free(n);
	}
}

/* Look up a key. */
struct ynode *
ynode_get(struct ynode *map, const char *key)
{
	struct ynode	*n;

	if (map == NULL || map->kind != YNODE_MAP)
		return (NULL);
	for (n = map->child; n != NULL; n = n->next) {
		if (strcmp(n->key, key) == 0)
			return (n);
	}
	return (NULL);
}

/* Read an integer. */
int
ynode_int(const char *name, const struct ynode *n, int64_t min, int64_t max,
    int64_t *out, struct fault *f)
{
	char		*end;
	long long	 v;

	errno = 0;
	v = n->kind == YNODE_SCALAR && n->text[0] != '\0' ?
	    strtoll(n->text, &end, 10) : 0;
	if (n->kind != YNODE_SCALAR || n->text[0] == '\0' || *end != '\0')
		return (ynode_fault(name, n, f, "expected an integer"));
	if (errno != 0 || v < min || v > max)
		return (ynode_fault(name, n, f,
		    "%.40s is not between %lld and %lld", n->text,
		    (long long)min, (long long)max));
	*out = v;
	return (0);
}

/* Read a number. */
int
ynode_real(const char *name, const struct ynode *n, double min, double max,
    double *out, struct fault *f)
{
	char	*end;
	double	 v;

	v = n->kind == YNODE_SCALAR && n->text[0] != '\0' ?
	    strtod(n->text, &end) : 0;
	if (n->kind != YNODE_SCALAR || n->text[0] == '\0' || *end != '\0' ||
	    !isfinite(v))
		return (ynode_fault(name, n, f, "expected a number"));
	if (v < min || v > max)
		return (ynode_fault(name, n, f,
		    "%.40s is not between %g and %g", n->text, min, max));
	*out = v;
	return (0);
}

/* Read true or false. */
int
ynode_bool(const char *name, const struct ynode *n, int *out,
    struct fault *f)
{
	if (n->kind == YNODE_SCALAR && strcmp(n->text, "true") == 0)
		*out = 1;
	else if (n->kind == YNODE_SCALAR && strcmp(n->text, "false") == 0)
		*out = 0;
	else
		return (ynode_fault(name, n, f, "expected true or false"));
	return (0);
}

struct yaml_unit {
	const char	*name;
	double		 factor;
};

/* Read a number with a unit from a table. */
static int
ynode_unit(const char *name, const struct ynode *n,
    const struct yaml_unit *units, const char *what, int64_t min,
    int64_t max, int64_t *out, struct fault *f)
{
	char	*end;
	double	 v;

	if (n->kind != YNODE_SCALAR || !isdigit((unsigned char)n->text[0]))
		return (ynode_fault(name, n, f, "expected %s", what));
	v = strtod(n->text, &end);
	while (*end == ' ')
		end++;
	for (; units->name != NULL && strcmp(units->name, end) != 0; units++)
		;
	if (units->name == NULL)
		return (ynode_fault(name, n, f, "expected %s, found \"%.40s\"",
		    what, n->text));
	v *= units->factor;
	if (!(v >= (double)min && v <= (double)max))
		return (ynode_fault(name, n, f, "%.40s is out of range: "
		    "%.15g to %.15g%s", n->text, (double)min, (double)max,
		    units->factor == 1 ? "" : " in the smallest unit"));
	*out = (int64_t)v;
	return (0);
}

/* Read a size in bytes. */
int
ynode_size(const char *name, const struct ynode *n, int64_t min, int64_t max,
    int64_t *out, struct fault *f)
{
	static const struct yaml_unit units[] = {
		{ "", 1 }, { "B", 1 }, { "KiB", 1024 },
		{ "MiB", 1048576 }, { "GiB", 1073741824 }, { NULL, 0 },
	};

	return (ynode_unit(name, n, units,
	    "a size such as 512KiB, 64MiB or 2GiB", min, max, out, f));
}

/* Read a time in milliseconds. */
int
ynode_time(const char *name, const struct ynode *n, int64_t min, int64_t max,
    int64_t *out, struct fault *f)
{
	static const struct yaml_unit units[] = {
		{ "ms", 1 }, { "", 1000 }, { "s", 1000 }, { "min", 60000 },
		{ "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
	};

	return (ynode_unit(name, n, units,
	    "a time such as 200ms, 30s or 5min", min, max, out, f));
}
