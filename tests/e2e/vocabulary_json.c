/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Print the vocabulary as JSON, for test_vocabulary.py.
 */
#include "vocabulary.h"

#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "xmalloc.h"

/* Add a list of words. */
static void
add_words(json_t *out, const char *name, const char *const *words)
{
	json_t	*list = json_array();

	for (; *words != NULL; words++)
		json_array_append_new(list, json_string(*words));
	msg_set(out, name, list);
}

/* Add the sampling parameters. */
static void
add_params(json_t *out)
{
	const struct vocabulary_param	*p;
	json_t				*all = json_object(), *o;

	for (p = vocabulary_params; p->name != NULL; p++) {
		o = json_object();
		msg_set_real(o, "min", p->min);
		msg_set_real(o, "max", p->max);
		msg_set_string(o, "default", p->dflt);
		msg_set_string(o, "bound", p->bound);
		msg_set(all, p->name, o);
	}
	msg_set(out, "params", all);
}

/* Add the codes of one scope. */
static void
add_codes(json_t *out, const char *name, enum code_scope scope)
{
	const struct vocabulary_code	*c;
	json_t				*list = json_array();

	for (c = vocabulary_codes; c->slug != NULL; c++) {
		if (c->scope == scope)
			json_array_append_new(list, json_string(c->slug));
	}
	msg_set(out, name, list);
}

int
main(void)
{
	json_t	*out = json_object();
	char	*line;
	size_t	 n;

	add_words(out, "categories", vocabulary_categories);
	add_words(out, "directions", vocabulary_directions);
	add_words(out, "actions", vocabulary_actions);
	add_words(out, "reasons", vocabulary_reasons);
	add_words(out, "thumbs", vocabulary_thumbs);
	add_words(out, "ratings", vocabulary_ratings);
	add_words(out, "formats", vocabulary_formats);
	add_words(out, "choices", vocabulary_choices);
	add_words(out, "splits", vocabulary_splits);
	add_words(out, "precisions", vocabulary_precisions);
	add_words(out, "caches", vocabulary_caches);
	add_words(out, "isas", vocabulary_isas);
	add_params(out);
	add_codes(out, "errors", CODE_CLIENT);
	add_codes(out, "helper errors", CODE_HELPER);
	add_codes(out, "local errors", CODE_LOCAL);
	add_codes(out, "notices", CODE_NOTICE);
	msg_set_int(out, "stops", PARAM_STOPS_MAX);
	msg_set_int(out, "stop bytes", PARAM_STOP_MAX);
	line = msg_line(out, &n);
	fwrite(line, 1, n, stdout);
	free(line);
	json_decref(out);
	return (0);
}
