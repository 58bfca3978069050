/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plugins of a filter process have done.
 */
#include "filters.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

/* Prepare. */
void
tally_init(struct filters_process *p)
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
tally_clear(struct filters_process *p)
{
	free(p->count);
	p->count = NULL;
	p->nplugins = 0;
}

/* Find a plugin. */
int
tally_find(const struct filters_process *p, const char *plugin)
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
tally_text(struct filters_process *p, const int64_t *ns,
    const json_t *findings)
{
	struct tally	*c;
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
		if ((k = tally_find(p, msg_string(o, "plugin"))) >= 0)
			p->count[k].findings++;
	}
}

/* There was no verdict. */
void
tally_error(struct filters_process *p, const char *plugin)
{
	int	 k = tally_find(p, plugin);
	size_t	 i;

	for (i = 0; i < p->nplugins; i++)
		p->count[i].errors += k == -1 || (size_t)k == i;
}

/* Return what the process reported about a plugin when it was ready. */
json_t *
tally_said(const struct filters_process *p, const char *name)
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
