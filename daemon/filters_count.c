/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plugins have done, and the lists of plugins for clients.
 */
#include "filters.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

/* Prepare. */
void
filters_count_init(struct filters_process *p)
{
	const json_t	*list = json_object_get(p->init, "plugins"), *o;
	size_t		 i;

	p->nplugins = json_array_size(list);
	p->count = xcalloc(p->nplugins + 1, sizeof *p->count);
	json_array_foreach(list, i, o)
		p->count[i].plugin = msg_string(o, "name");
}

/* Release. */
void
filters_count_clear(struct filters_process *p)
{
	free(p->count);
	p->count = NULL;
	p->nplugins = 0;
}

/* Find a plugin. */
int
filters_count_find(const struct filters_process *p, const char *plugin)
{
	size_t	 i;

	for (i = 0; plugin != NULL && i < p->nplugins; i++) {
		if (strcmp(p->count[i].plugin, plugin) == 0)
			return ((int)i);
	}
	return (-1);
}

/* A text is judged. */
void
filters_count_text(struct filters_process *p, const int64_t *ns,
    const json_t *findings)
{
	struct filters_count	*c;
	const json_t		*o;
	size_t			 i;
	int			 k;

	for (i = 0; i < p->nplugins; i++) {
		c = &p->count[i];
		if (ns[i] == 0)		/* it was never asked */
			continue;
		c->texts++;
		c->ns += ns[i];
		if (ns[i] > c->ns_max)
			c->ns_max = ns[i];
	}
	json_array_foreach(findings, i, o) {
		if ((k = filters_count_find(p, msg_string(o, "plugin"))) >= 0)
			p->count[k].findings++;
	}
}

/* There was no verdict. */
void
filters_count_error(struct filters_process *p, const char *plugin)
{
	int	 k = filters_count_find(p, plugin);
	size_t	 i;

	for (i = 0; i < p->nplugins; i++)
		p->count[i].errors += k == -1 || (size_t)k == i;
}

/* Return what the process reported about a plugin when it was ready, or
 * NULL. */
static json_t *
filters_said(const struct filters_process *p, const char *name)
{
	json_t		*o;
	const char	*s;
	size_t		 i;

	json_array_foreach(p->plugins, i, o) {
		s = msg_string(o, "name");
		if (s != NULL && strcmp(s, name) == 0)
			return (o);
	}
	return (NULL);
}

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
			said = filters_said(p, name);
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
filters_list_counts(json_t *o, const struct filters_count *c)
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
