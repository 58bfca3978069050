/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the filter processes.
 */
#include <config.h>
#include "filters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd.h"
#include "clock.h"
#include "log.h"
#include "xmalloc.h"

#define FILTERS_PING_MS		10000	/* limit of silence after a ping */
#define FILTERS_START_MS	60000	/* limit of silence while it starts */
#define FILTERS_BACKOFF_MS	60000	/* longest wait before a restart */

/* The longest answer has 4,096 findings of one check, 16 values each, and 512
 * features of them, 10 values each. One value costs about 100 bytes while it is
 * read. */
#define FILTERS_LINE		(4 * 1024 * 1024)
#define FILTERS_VALUES		(80 * 1024)

static json_t	*filters_init(void *);
static int	 filters_busy(void *);
static void	 filters_process_ready(void *, json_t *);
static void	 filters_process_gone(void *, int);

/* Describe a plugin for the init message. */
static json_t *
filters_plugin(const struct config_filter *cf)
{
	json_t	*o = json_object();

	msg_set_string(o, "name", cf->name);
	msg_set_string(o, "path", cf->path);
	msg_set(o, "options", json_incref(cf->options));
	return (o);
}

/* Make an init message without plugins. */
static json_t *
filters_message(const struct config *cf)
{
	json_t	*m = msg_op("init", -1), *list = json_array();
	int	 i;

	for (i = 0; i < CATEGORIES; i++)
		json_array_append_new(list,
		    json_string(vocabulary_categories[i]));
	msg_set_string(m, "version", PACKAGE_VERSION);
	msg_set(m, "plugins", json_array());
	msg_set(m, "categories", list);
	msg_set_bool(m, "sandbox", cf->filter_sandbox);
	return (m);
}

/* Describe one more process; filters_new starts it. */
static struct filters_process *
filters_add(struct filters *fs, const struct config *cf, const char *plugin)
{
	struct filters_process	*p = &fs->process[fs->n++];

	p->set = fs;
	p->name = plugin == NULL ? xstrdup("filter") :
	    xasprintf("filter %s", plugin);
	p->own = plugin != NULL;
	p->init = filters_message(cf);
	p->window = -1;
	p->context = 1;
	p->spec = (struct helper_spec){ .name = p->name,
	    .program = fs->program, .timeout_ms = FILTERS_PING_MS,
	    .start_ms = FILTERS_START_MS,
	    .backoff_max_ms = FILTERS_BACKOFF_MS, .line_max = FILTERS_LINE,
	    .values_max = FILTERS_VALUES, .init = filters_init,
	    .busy = filters_busy,
	    .ready = filters_process_ready, .gone = filters_process_gone,
	    .arg = p };
	judge_process_init(p);
	return (p);
}

/* Assign the plugins to processes. */
static void
filters_divide(struct filters *fs, const struct config *cf)
{
	struct filters_process	*p, *shared = NULL;
	const struct config_filter *c;
	size_t			 i;

	fs->process = xcalloc(cf->nfilters + 1, sizeof *fs->process);
	for (i = 0; i < cf->nfilters; i++) {
		c = &cf->filters[i];
		if (config_filter_own(cf, c)) {
			p = filters_add(fs, cf, c->name);
			p->pass = c->when_off == FILTER_PASSES;
		} else {
			if (shared == NULL)
				shared = filters_add(fs, cf, NULL);
			p = shared;
		}
		json_array_append_new(json_object_get(p->init, "plugins"),
		    filters_plugin(c));
	}
	if (fs->n == 0)
		filters_add(fs, cf, NULL);
}

/* No text is being judged: a retiring set can end now. */
static void
filters_idle(struct filters *fs)
{
	size_t	 i;

	if (!fs->retiring || fs->ops == NULL)
		return;
	for (i = 0; i < fs->n; i++)
		helper_retire(fs->process[i].helper);
}

/* Start the processes of a configuration. */
struct filters *
filters_new(struct event_base *base, const struct config *cf,
    const struct filters *old, const struct filters_ops *ops, void *arg)
{
	struct filters	*fs;
	size_t		 i;

	fs = xcalloc(1, sizeof *fs);
	fs->base = base;
	fs->ops = ops;
	fs->arg = arg;
	fs->program = xstrdup(cf->filter_program);
	fs->since = clock_wall();
	fs->timeout_ms = (int)cf->filter_timeout;
	fs->hold = (size_t)cf->filter_hold;
	fs->idle = filters_idle;
	TAILQ_INIT(&fs->judges);
	TAILQ_INIT(&fs->accounts);
	filters_divide(fs, cf);
	for (i = 0; i < fs->n; i++) {
		tally_init(&fs->process[i]);
		saved_init(&fs->process[i], old);
	}
	for (i = 0; i < fs->n; i++)
		fs->process[i].helper = helper_new(base,
		    &fs->process[i].spec);
	return (fs);
}

/* End all processes at once. */
void
filters_free(struct filters *fs)
{
	struct filters_process	*p;
	size_t			 i;

	if (fs == NULL)
		return;
	fs->ops = NULL;
	fs->retiring = fs->closing = 1;
	judge_fail_all(fs, "chatd is shutting down");
	for (i = 0; i < fs->n; i++) {
		p = &fs->process[i];
		helper_free(p->helper);
		judge_process_clear(p);
		saved_clear(p);
		tally_clear(p);
		json_decref(p->init);
		json_decref(p->plugins);
		free(p->name);
	}
	free(fs->process);
	free(fs->program);
	free(fs);
}

/* Replace the callbacks. */
void
filters_adopt(struct filters *fs, const struct filters_ops *ops, void *arg)
{
	fs->ops = ops;
	fs->arg = arg;
}

/* Wait for the answers that are due, then end. */
void
filters_retire(struct filters *fs, struct filters *successor)
{
	fs->retiring = 1;
	fs->successor = successor;
	judge_hand_over(fs);
	if (TAILQ_EMPTY(&fs->judges))
		filters_idle(fs);
}

/* Reap the processes that have ended. */
void
filters_reap(struct filters *fs)
{
	size_t	 i;

	for (i = 0; fs != NULL && i < fs->n; i++)
		helper_reap(fs->process[i].helper);
}

/* Return the init message of a process. */
static json_t *
filters_init(void *arg)
{
	return (saved_offer(arg));
}

/* While it has pieces, their deadline replaces the heartbeat. */
static int
filters_busy(void *arg)
{
	return (((struct filters_process *)arg)->nflights > 0);
}

/* Compute how much earlier text and context its plugins need. */
static void
filters_read_plugins(struct filters_process *p)
{
	const json_t	*o, *v;
	int64_t		 window;
	size_t		 i;

	p->window = 0;
	p->context = 0;
	p->texts = p->tails;
	json_array_foreach(p->plugins, i, o) {
		window = msg_int(o, "window", -1);
		if (window < 0 || p->window < 0)
			p->window = -1;
		else if (window > p->window)
			p->window = window;
		v = json_object_get(o, "context");
		p->context |= !json_is_false(v);
		p->texts |= json_is_true(json_object_get(o, "texts"));
	}
	if (p->window < 0)	/* each check is a text by itself */
		p->texts = 0;
	else if (p->tails)
		p->window = 0;
}

/* Call changed(), if ready() has been called. */
static void
filters_changed(const struct filters *fs)
{
	if (fs->ready && fs->ops != NULL && fs->ops->changed != NULL)
		fs->ops->changed(fs->arg);
}

/* Kill a process that is ready without all of its plugins. */
static void
filters_lacks(struct filters_process *p)
{
	struct filters	*fs = p->set;

	helper_kill(p->helper, "ready without all of its plugins");
	if (!fs->ready && fs->ops != NULL && fs->ops->refused != NULL)
		fs->ops->refused(fs->arg, helper_why(p->helper));
}

/* A process is up. */
static void
filters_process_ready(void *arg, json_t *msg)
{
	struct filters_process	*p = arg;
	struct filters		*fs = p->set;
	json_t			*plugins = json_object_get(msg, "plugins");

	if (!json_is_array(plugins) || json_array_size(plugins) !=
	    json_array_size(json_object_get(p->init, "plugins"))) {
		filters_lacks(p);
		return;
	}
	json_incref(plugins);
	json_decref(p->plugins);
	p->plugins = plugins;
	p->tails = json_is_true(json_object_get(msg, "tails"));
	filters_read_plugins(p);
	saved_up(p);
	judge_process_up(p);
	filters_changed(fs);
	if (fs->ready || !filters_are_ready(fs))
		return;
	fs->ready = 1;
	if (fs->ops != NULL && fs->ops->ready != NULL)
		fs->ops->ready(fs->arg);
}

/* Note a crash. Has it crashed too often? */
static int
filters_crashes(struct filters_process *p)
{
	int64_t	 now = clock_monotonic(), first;
	size_t	 i;

	for (i = 0; i + 1 < FILTERS_CRASHES; i++)
		p->crashes[i] = p->crashes[i + 1];
	p->crashes[FILTERS_CRASHES - 1] = now;
	first = p->crashes[0];
	return (first != 0 && now - first <= FILTERS_CRASHES_MS);
}

/* Switch a plugin off until the next reload. */
static void
filters_switch_off(struct filters_process *p)
{
	log_warnx("%s: ended %d times within %d s and is switched off until "
	    "a reload: texts %s", p->name, FILTERS_CRASHES,
	    FILTERS_CRASHES_MS / 1000, p->pass ? "pass without it" :
	    "are refused, since nobody judges them");
	p->off = 1;
	helper_retire(p->helper);
	judge_process_off(p);
}

/* A process of a retiring set has ended: if it was the last, call retired(). */
static void
filters_process_retired(struct filters_process *p)
{
	struct filters	*fs = p->set;
	size_t		 i;

	if (p->retired)
		return;
	p->retired = 1;
	for (i = 0; i < fs->n && fs->process[i].retired; i++)
		;
	if (i == fs->n && fs->ops != NULL && fs->ops->retired != NULL)
		fs->ops->retired(fs->arg);
}

/* A process has ended; its pieces have been handled. */
static void
filters_process_gone(void *arg, int started)
{
	struct filters_process	*p = arg;
	struct filters		*fs = p->set;
	int			 expired = p->expired;
	int			 again = saved_gone(p, started);

	judge_process_gone(p);
	if (p->helper == NULL || again)	/* it is tried again */
		return;
	if (fs->retiring && helper_is_retired(p->helper)) {
		filters_process_retired(p);
		return;
	}
	if (p->off)
		return;
	if (p->own && p->plugins != NULL && !expired && filters_crashes(p)) {
		filters_switch_off(p);
		filters_changed(fs);
		return;
	}
	filters_changed(fs);
	if (!started && !fs->ready && fs->ops != NULL &&
	    fs->ops->refused != NULL)
		fs->ops->refused(fs->arg, helper_why(p->helper));
}

/* Are all of them up? */
int
filters_are_ready(const struct filters *fs)
{
	size_t	 i;

	for (i = 0; i < fs->n; i++) {
		if (!fs->process[i].off &&
		    (fs->process[i].helper == NULL ||
		    helper_state(fs->process[i].helper) != HELPER_READY))
			return (0);
	}
	return (1);
}

/* Return why one is down. */
const char *
filters_why(const struct filters *fs)
{
	size_t	 i;

	for (i = 0; i < fs->n; i++) {
		if (helper_why(fs->process[i].helper)[0] != '\0')
			return (helper_why(fs->process[i].helper));
	}
	return ("");
}

/* Return why one fails to start. */
const char *
filters_failing(const struct filters *fs)
{
	size_t	 i;

	for (i = 0; i < fs->n; i++) {
		if (!fs->process[i].off &&
		    helper_failing(fs->process[i].helper))
			return (helper_why(fs->process[i].helper));
	}
	return ("");
}

/* Report that a process is switched off. */
void
filters_mark_off(const struct filters_process *p, json_t *o, int operator)
{
	char	 why[96];

	if (!p->off)
		return;
	msg_set_string(o, "state", "off");
	snprintf(why, sizeof why, "switched off until a reload: it ended %d "
	    "times within %d s", FILTERS_CRASHES, FILTERS_CRASHES_MS / 1000);
	if (operator)
		msg_set_string(o, "why", why);
}
