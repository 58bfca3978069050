/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The errors of a configuration. All are reported, so that an administrator can
 * fix a file in one go.
 */
#include "chatd.h"

#define CONFIG_ERRORS_MAX	50	/* in the list */

/* Keep an error. */
void
config_errors_add(struct config_errors *e, const struct fault *f)
{
	if (e->n++ == 0)
		e->first = *f;
	if (e->list != NULL && e->n <= CONFIG_ERRORS_MAX)
		json_array_append_new(e->list, json_string(f->message));
}

/* Report whether there was an error. */
int
config_errors_end(const struct config_errors *e, struct fault *f)
{
	if (e->n == 0)
		return (0);
	if (e->n == 1)
		*f = e->first;
	else
		fault_set(f, e->first.code, e->first.field,
		    "%.360s (%d more)", e->first.message, e->n - 1);
	return (CHAT_EFORMAT);
}
