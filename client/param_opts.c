/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling parameters, from options of a command and words of /params.  The
 * checks here report mistakes early; chatd checks again.
 */
#include "chatctl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "suggest.h"
#include "vocabulary.h"
#include "xmalloc.h"

static char	*param_opts_number(json_t *, const struct vocabulary_param *,
		    const char *);

/* Set a number. Returns NULL or the reason why not. */
static char *
param_opts_number(json_t *params, const struct vocabulary_param *p,
    const char *value)
{
	char	*end;
	double	 v;
	int	 whole = p->type == PARAM_INT;

	errno = 0;
	v = whole ? (double)strtoll(value, &end, 10) : strtod(value, &end);
	/* strtod and strtoll take more than digits, such as "inf" and " 1". */
	if (strspn(value, whole ? "-0123456789" : "-.0123456789eE+") !=
	    strlen(value) || *value == '+' || end == value || *end != '\0' ||
	    errno != 0 || !isfinite(v) || v < p->min || v > p->max)
		return (xasprintf("%s: expected a %snumber of at least %.16g "
		    "and at most %.16g, found \"%s\"", p->name,
		    whole ? "whole " : "", p->min, p->max, value));
	if (whole)
		msg_set_int(params, p->name, strtoll(value, NULL, 10));
	else
		msg_set_real(params, p->name, v);
	return (NULL);
}

/* Set a text, which is the name of an adapter; ADAPTER_BASE_NAME is the model
 * alone. Returns NULL or the reason why not. */
static char *
param_opts_text(json_t *params, const struct vocabulary_param *p,
    const char *value)
{
	if ((double)strlen(value) > p->max)
		return (xasprintf("%s: expected at most %.16g bytes, found "
		    "%zu", p->name, p->max, strlen(value)));
	if (json_object_set_new(params, p->name, json_string(strcmp(value,
	    ADAPTER_BASE_NAME) == 0 ? "" : value)) == -1)
		return (xasprintf("%s: not valid UTF-8", p->name));
	return (NULL);
}

/* Set a parameter from text. */
char *
param_opts_set(json_t *params, const char *name, const char *value)
{
	const struct vocabulary_param	*p;
	const char			*near;
	json_t				*list;
	int				 i;

	i = vocabulary_find(vocabulary_param_names, name);
	if (i == -1) {
		near = suggest_word(name, vocabulary_param_names);
		return (xasprintf("%s: no such parameter%s%s%s", name,
		    near == NULL ? "" : "; did you mean ",
		    near == NULL ? "" : near, near == NULL ? "" : "?"));
	}
	p = &vocabulary_params[i];
	if (*value == '\0') {
		json_object_del(params, name);
		return (NULL);
	}
	if (p->type == PARAM_STRING)
		return (param_opts_text(params, p, value));
	if (p->type == PARAM_BOOL) {
		if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
			return (xasprintf("%s: expected true or false, "
			    "found \"%s\"", name, value));
		msg_set_bool(params, name, *value == 't');
		return (NULL);
	}
	if (p->type != PARAM_ARRAY)
		return (param_opts_number(params, p, value));
	if ((list = json_object_get(params, name)) == NULL) {
		list = json_array();
		msg_set(params, name, list);
	}
	if (json_array_append_new(list, json_string(value)) == -1)
		return (xasprintf("%s: not valid UTF-8", name));
	return (NULL);
}

/* List all parameters and the values that are set. */
void
param_opts_show(const json_t *params, const json_t *defaults, FILE *out)
{
	const char	*name;
	json_t		*v;
	char		*s, *safe;
	size_t		 i;
	int		 mine;

	for (i = 0; (name = vocabulary_param_names[i]) != NULL; i++) {
		v = json_object_get(params, name);
		mine = v != NULL;
		if (!mine)
			v = json_object_get(defaults, name);
		s = v == NULL ? NULL : json_dumps(v, JSON_ENCODE_ANY |
		    JSON_REAL_PRECISION(15));
		safe = render_line(s == NULL ? "not set" : s);
		fprintf(out, "  %-18s  %s%s\n", name, safe, mine ?
		    "  (set here)" : "");
		free(safe);
		free(s);
	}
}
