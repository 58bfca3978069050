/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plugins save for the next process: chatd asks for it about a second
 * after a text was judged, keeps the last answer in memory, and gives it to the
 * next process of the same plugins, after a crash or a reload.
 */
#include "filters.h"

#include <string.h>

#include "json.h"
#include "log.h"

#define FILTERS_SAVE_MS		1000	/* after a text was judged */
#define FILTERS_SAVED_MAX	131072	/* characters: 64 KiB in hexadecimal */
#define FILTERS_SAVE_ANSWER_MS	10000	/* limit of the answer */

static const struct helper_kind filters_kind_save = { "save", NULL, 0 };

/* Find what a plugin of that name and file has saved in a set, or NULL. */
static json_t *
filters_saved_find(const struct filters *fs, const char *name,
    const char *path)
{
	const json_t	*list, *o;
	size_t		 i, k;

	for (i = 0; i < fs->n; i++) {
		list = json_object_get(fs->process[i].init, "plugins");
		json_array_foreach(list, k, o) {
			if (strcmp(msg_string(o, "name"), name) == 0 &&
			    strcmp(msg_string(o, "path"), path) == 0)
				return (json_object_get(fs->process[i].saved,
				    name));
		}
	}
	return (NULL);
}

/* Ask for it. */
static void	filters_saved_ask(evutil_socket_t, short, void *);

/* Prepare, with what the plugins have saved in another set. */
void
filters_saved_init(struct filters_process *p, const struct filters *old)
{
	const json_t	*list = json_object_get(p->init, "plugins"), *o;
	const char	*name;
	size_t		 i;

	p->saved = json_object();
	p->save_timer = evtimer_new(p->set->base, filters_saved_ask, p);
	json_array_foreach(list, i, o) {
		name = msg_string(o, "name");
		if (old != NULL)
			msg_set(p->saved, name, json_incref(filters_saved_find(
			    old, name, msg_string(o, "path"))));
	}
}

/* Release. */
void
filters_saved_clear(struct filters_process *p)
{
	json_decref(p->saved);
	p->saved = NULL;
	event_free(p->save_timer);
}

/* Add it to a copy of the init message. */
json_t *
filters_saved_offer(struct filters_process *p)
{
	json_t		*init, *o;
	size_t		 i;

	p->offered = json_object_size(p->saved) > 0;
	if (!p->offered)
		return (json_incref(p->init));
	init = json_deep_copy(p->init);
	json_array_foreach(json_object_get(init, "plugins"), i, o)
		msg_set(o, "saved", json_incref(json_object_get(p->saved,
		    msg_string(o, "name"))));
	return (init);
}

/* The process is up. */
void
filters_saved_up(struct filters_process *p)
{
	const json_t	*o;
	size_t		 i;

	p->offered = 0;
	p->saves = 0;
	json_array_foreach(p->plugins, i, o)
		p->saves |= json_is_true(json_object_get(o, "keeps"));
}

/* The process has ended. */
int
filters_saved_gone(struct filters_process *p, int started)
{
	int	 again = p->offered && !started;

	event_del(p->save_timer);
	p->offered = 0;
	if (!again || p->helper == NULL || p->set->retiring)
		return (0);
	log_warnx("%s: what its plugins have saved is dropped, and it starts "
	    "without that", p->name);
	json_object_clear(p->saved);
	return (1);
}

/* Ask soon. */
void
filters_saved_later(struct filters_process *p)
{
	struct timeval	 tv = { FILTERS_SAVE_MS / 1000,
			    FILTERS_SAVE_MS % 1000 * 1000 };

	if (p->saves && p->save_req == 0 &&
	    !event_pending(p->save_timer, EV_TIMEOUT, NULL))
		event_add(p->save_timer, &tv);
}

/* Is it what a plugin may save? */
static int
filters_saved_sound(const json_t *v)
{
	const char	*s = json_string_value(v);

	return (s != NULL && strlen(s) <= FILTERS_SAVED_MAX &&
	    strspn(s, "0123456789abcdef") == strlen(s));
}

/* Keep the answer. */
static void
filters_saved_take(void *arg, json_t *msg)
{
	struct filters_process	*p = arg;
	json_t			*saved = json_object_get(msg, "saved"), *v;
	const char		*name;

	p->save_req = 0;
	if (msg == NULL)
		return;
	if (strcmp(msg_string(msg, "event"), "error") == 0) {
		log_warnx("%s: nothing saved: %s", p->name,
		    msg_string(msg, "message"));
		return;
	}
	json_object_foreach(saved, name, v) {
		if (filters_count_find(p, name) == -1 ||
		    !filters_saved_sound(v)) {
			helper_kill(p->helper, "saved something unsound");
			return;
		}
	}
	json_object_clear(p->saved);
	json_object_update(p->saved, saved);
}

/* Ask the process. */
static void
filters_saved_ask(evutil_socket_t fd, short what, void *arg)
{
	struct filters_process	*p = arg;

	(void)fd;
	(void)what;
	if (helper_state(p->helper) == HELPER_READY && p->save_req == 0)
		p->save_req = helper_request(p->helper, &filters_kind_save,
		    msg_op("save", -1), 0, FILTERS_SAVE_ANSWER_MS,
		    filters_saved_take, p);
}
