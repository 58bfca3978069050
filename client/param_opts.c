/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling parameters, as options of a command and as words of /params.  The
 * ranges here catch slips early; chatd has the last word.
 */
#include "chatctl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

enum param_kind { PARAM_REAL, PARAM_INT, PARAM_BOOL, PARAM_STRINGS };

static const struct param {
	const char	*name;
	enum param_kind	 kind;
	double		 min, max;
	int		 above;		/* min itself is not allowed */
} table[] = {
	{ "temperature", PARAM_REAL, 0, 2, 0 },
	{ "top_k", PARAM_INT, 0, 1e9, 0 },
	{ "top_p", PARAM_REAL, 0, 1, 1 },
	{ "repetition_penalty", PARAM_REAL, 0, 10, 1 },
	{ "max_tokens", PARAM_INT, 1, 1e9, 0 },
	{ "seed", PARAM_INT, 0, (double)JSON_INT_MAX, 0 },
	{ "stop", PARAM_STRINGS, 0, 0, 0 },
	{ "ignore_eos", PARAM_BOOL, 0, 0, 0 },
};

static const struct param *param_opts_find(const char *);
static char	*param_opts_number(json_t *, const struct param *, const char *);

/* Return the i-th name. */
const char *
param_opts_name(size_t i)
{
	return (i < nitems(table) ? table[i].name : NULL);
}

/* Find a parameter. */
static const struct param *
param_opts_find(const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return (&table[i]);
	return (NULL);
}

/* Set a number, or say why not. */
static char *
param_opts_number(json_t *params, const struct param *p, const char *value)
{
	char	*end;
	double	 v;
	int	 whole = p->kind == PARAM_INT;

	errno = 0;
	v = whole ? (double)strtoll(value, &end, 10) : strtod(value, &end);
	/* Digits only: strtod and strtoll know more ways to write a number. */
	if (strspn(value, whole ? "-0123456789" : "-.0123456789eE+") !=
	    strlen(value) || *value == '+' || end == value || *end != '\0' ||
	    errno != 0 || !isfinite(v) ||
	    v < p->min || v > p->max || (p->above && v <= p->min))
		return (xasprintf("%s: expected a %snumber %s %.16g and at "
		    "most %.16g, found \"%s\"", p->name, whole ? "whole " : "",
		    p->above ? "above" : "of at least", p->min, p->max,
		    value));
	if (whole)
		msg_set_int(params, p->name, strtoll(value, NULL, 10));
	else
		msg_set_real(params, p->name, v);
	return (NULL);
}

/* Set a parameter from text. */
char *
param_opts_set(json_t *params, const char *name, const char *value)
{
	const struct param	*p = param_opts_find(name);
	const char		*names[nitems(table) + 1] = { NULL };
	const char		*near;
	json_t			*list;
	size_t			 i;

	if (p == NULL) {
		for (i = 0; i < nitems(table); i++)
			names[i] = table[i].name;
		near = suggest_word(name, names);
		return (xasprintf("%s: no such parameter%s%s%s", name,
		    near == NULL ? "" : "; did you mean ",
		    near == NULL ? "" : near, near == NULL ? "" : "?"));
	}
	if (*value == '\0') {
		json_object_del(params, name);
		return (NULL);
	}
	if (p->kind == PARAM_BOOL) {
		if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
			return (xasprintf("%s: expected true or false, "
			    "found \"%s\"", name, value));
		msg_set_bool(params, name, *value == 't');
		return (NULL);
	}
	if (p->kind != PARAM_STRINGS)
		return (param_opts_number(params, p, value));
	if ((list = json_object_get(params, name)) == NULL) {
		list = json_array();
		msg_set(params, name, list);
	}
	if (json_array_append_new(list, json_string(value)) == -1)
		return (xasprintf("%s: not valid UTF-8", name));
	return (NULL);
}

/* List what is set, and the names of what is not. */
void
param_opts_show(const json_t *params, FILE *out)
{
	json_t	*v;
	char	*s, *safe;
	size_t	 i;

	for (i = 0; i < nitems(table); i++) {
		v = json_object_get(params, table[i].name);
		s = v == NULL ? NULL : json_dumps(v, JSON_ENCODE_ANY);
		safe = render_line(s == NULL ? "chatd's default" : s);
		fprintf(out, "  %-18s  %s\n", table[i].name, safe);
		free(safe);
		free(s);
	}
}
