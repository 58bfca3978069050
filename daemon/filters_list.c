/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of plugins for clients.
 */
#include "filters.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

/* List the plugins for status. */
json_t *
filters_status(const struct filters *fs)
{
	const struct filters_process	*p;
	json_t				*list = json_array(), *o, *said;
	const char			*name;
	size_t				 i, k;

	for (i = 0; i < fs->n; i++) {
		p = &fs->process[i];
		json_array_foreach(json_object_get(p->init, "plugins"), k, o) {
			name = msg_string(o, "name");
			said = tally_said(p, name);
			o = said != NULL ? json_copy(said) : json_object();
			msg_set_string(o, "name", name);
			msg_set_string(o, "process", p->name);
			msg_set_string(o, "state",
			    helper_state_name(p->helper));
			if (helper_why(p->helper)[0] != '\0')
				msg_set_string(o, "why",
				    helper_why(p->helper));
			filters_mark_off(p, o, 1);
			json_array_append_new(list, o);
		}
	}
	return (list);
}

/* Add the counts of a plugin to o. */
static void
filters_list_counts(json_t *o, const struct tally *c)
{
	msg_set_int(o, "texts", c->texts);
	msg_set_int(o, "findings", c->findings);
	msg_set_int(o, "errors", c->errors);
	msg_set_real(o, "us_mean", c->texts == 0 ? 0 :
	    (double)c->ns / (double)c->texts / 1000);
	msg_set_real(o, "us_max", (double)c->ns_max / 1000);
}

/* List the plugins with what they have done. */
json_t *
filters_list(const struct filters *fs, int operator)
{
	static const char *const	 public[] = { "name", "version", "abi",
					    "rules", "digest", "state" };
	const struct filters_process	*p;
	json_t				*list = filters_status(fs), *o, *kept;
	size_t				 i, k, n = 0;

	for (i = 0; operator && i < fs->n; i++) {
		p = &fs->process[i];
		for (k = 0; k < p->nplugins; k++) {
			o = json_array_get(list, n++);
			msg_set_int(o, "pid", helper_pid(p->helper));
			msg_set_int(o, "restarts",
			    helper_restarts(p->helper));
			msg_set_string(o, "path", msg_string(json_array_get(
			    json_object_get(p->init, "plugins"), k), "path"));
			filters_list_counts(o, &p->count[k]);
		}
	}
	for (i = 0; !operator && i < json_array_size(list); i++) {
		kept = json_object();
		for (k = 0; k < sizeof public / sizeof *public; k++)
			msg_set(kept, public[k], json_incref(json_object_get(
			    json_array_get(list, i), public[k])));
		json_array_set_new(list, i, kept);
	}
	return (list);
}
