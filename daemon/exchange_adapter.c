/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter that writes a reply: the one that the request names, the one of
 * the reply that is continued, or one that the shares of the configuration
 * choose for the conversation.  The number of a new conversation comes with the
 * store's answer to begin, so the choice is made then and stored with finish.
 */
#include "exchange_impl.h"

#include <stdlib.h>
#include <string.h>

#include "adapters.h"
#include "xmalloc.h"

/* Put an adapter into the parameters; "" and NULL: none. */
static void
exchange_adapter_set(struct exchange *x, const char *name)
{
	if (name == NULL || name[0] == '\0')
		json_object_del(x->params, "adapter");
	else
		msg_set_string(x->params, "adapter", name);
}

/* Choose it. */
void
exchange_adapter_choose(struct exchange *x, const json_t *msg)
{
	const char	*name;

	if (x->further) {
		exchange_adapter_set(x, msg_string(json_object_get(msg,
		    "adapter"), "name"));
		x->assigned = json_is_true(json_object_get(msg, "assigned"));
	} else if (json_object_get(x->params, "adapter") == NULL &&
	    (name = adapters_choose(x->d->config, x->conversation,
	    x->id)) != NULL && (name[0] == '\0' ||
	    adapters_digest(x->slot->model, name) != NULL)) {
		/* else a reload has just brought other adapters, and this
		 * reply is still for the engine before */
		exchange_adapter_set(x, name);
		x->assigned = 1;
	}
	free(x->adapter);
	x->adapter = xstrdup(adapters_digest(x->slot->model,
	    msg_string(x->params, "adapter")));
}

/* Is it another one now? */
int
exchange_adapter_differs(const struct exchange *x)
{
	const char	*now = adapters_digest(x->slot->model, msg_string(
			    x->params, "adapter"));

	return (x->adapter != NULL && (now == NULL ||
	    strcmp(x->adapter, now) != 0));
}

/* Say which one it is. */
void
exchange_adapter_tell(const struct exchange *x, json_t *finish)
{
	json_t	*o;

	if (x->adapter != NULL) {
		o = json_object();
		msg_set_string(o, "name", msg_string(x->params, "adapter"));
		msg_set_string(o, "digest", x->adapter);
		msg_set(finish, "adapter", o);
	}
	if (x->assigned)
		msg_set_bool(finish, "assigned", 1);
}
