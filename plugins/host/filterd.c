/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-filter: takes its part of the configuration, loads the filter plugins
 * inside a sandbox, and answers checks with their findings, one JSON line at a
 * time on descriptors 0 and 1.  chatd decides what follows from a finding.
 * main.c calls this file.
 */
#include <config.h>
#include "filterd.h"

#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chan.h"
#include "filter.h"
#include "json.h"
#include "protocol.h"
#include "log.h"
#include "vocabulary.h"
#include "xmalloc.h"

struct filterd {
	struct chan	 *chan;		/* owned */
	struct host	 *hosts[FILTER_PLUGINS_MAX];	/* owned */
	size_t		  n;
	const char	**categories;	/* owned list of static slugs */
	int		  ready;	/* init has succeeded */
};

/* The init message, and one entry of its plugins. */
struct init {
	json_t		*plugins, *categories;
	const char	*version;	/* borrowed: chatd's, or NULL */
	int		 sandbox;
};

struct init_plugin {
	const char	*name, *path;
	json_t		*options;
};

static int	filterd_init(struct filterd *, json_t *, struct fault *);
static int	filterd_start(struct filterd *, const struct init *,
		    const struct init_plugin *, struct fault *);
static int	filterd_check(struct filterd *, int64_t, json_t *,
		    struct fault *);

static const struct field filterd_init_fields[] = {
	{ "plugins", FIELD_ARRAY, FIELD_REQUIRED, 0, 0,
	    offsetof(struct init, plugins) },
	{ "categories", FIELD_ARRAY, FIELD_NULLABLE, 0, 0,
	    offsetof(struct init, categories) },
	{ "sandbox", FIELD_BOOL, FIELD_NULLABLE, 0, 0,
	    offsetof(struct init, sandbox) },
	{ "version", FIELD_STRING, 0, 0, 64,
	    offsetof(struct init, version) },
};

static const struct field filterd_plugin_fields[] = {
	{ "name", FIELD_STRING, FIELD_REQUIRED, 0, 63,
	    offsetof(struct init_plugin, name) },
	{ "path", FIELD_STRING, FIELD_REQUIRED, 0, 1023,
	    offsetof(struct init_plugin, path) },
	{ "options", FIELD_OBJECT, FIELD_NULLABLE, 0, 0,
	    offsetof(struct init_plugin, options) },
};

static const struct field filterd_check_fields[] = {
	{ "direction", FIELD_STRING, FIELD_REQUIRED, 0, 0,
	    offsetof(struct check, direction) },
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, FILTER_TEXT_MAX,
	    offsetof(struct check, text) },
	{ "context", FIELD_STRING, FIELD_NULLABLE, 0, FILTER_TEXT_MAX,
	    offsetof(struct check, context) },
	{ "offset", FIELD_INT, FIELD_NULLABLE, 0, FILTER_OFFSET_MAX,
	    offsetof(struct check, offset) },
	{ "fresh", FIELD_INT, FIELD_NULLABLE, 0, FILTER_TEXT_MAX,
	    offsetof(struct check, fresh) },
	{ "settled", FIELD_INT, FIELD_NULLABLE, 0, FILTER_TEXT_MAX,
	    offsetof(struct check, settled) },
	{ "final", FIELD_BOOL, FIELD_NULLABLE, 0, 0,
	    offsetof(struct check, final) },
};

/* Fill the list of categories that findings may have. */
static int
filterd_read_categories(struct filterd *fd, const json_t *list,
    struct fault *f)
{
	const char	*slug;
	const json_t	*v;
	size_t		 i, n = 0;
	int		 k;

	fd->categories = xcalloc(nitems(vocabulary_categories) +
	    json_array_size(list), sizeof *fd->categories);
	if (list == NULL) {
		memcpy(fd->categories, vocabulary_categories,
		    sizeof vocabulary_categories);
		return (0);
	}
	json_array_foreach(list, i, v) {
		if ((slug = json_string_value(v)) == NULL)
			return (fault_set(f, "bad_field", "categories",
			    "categories: expected strings"));
		if ((k = vocabulary_category(slug)) == -1)
			return (fault_set(f, "bad_field", "categories",
			    "categories: unknown category \"%.40s\"", slug));
		fd->categories[n++] = vocabulary_categories[k];
	}
	return (0);
}

/* Read the entries of plugins. */
static int
filterd_read_plugins(json_t *list, struct init_plugin *out, struct fault *f)
{
	size_t	 i, k;
	int	 r;

	if (json_array_size(list) > FILTER_PLUGINS_MAX)
		return (fault_set(f, "bad_field", "plugins",
		    "plugins: more than %d", FILTER_PLUGINS_MAX));
	for (i = 0; i < json_array_size(list); i++) {
		if (!json_is_object(json_array_get(list, i)))
			return (fault_set(f, "bad_field", "plugins",
			    "plugins: expected objects"));
		if ((r = fields_read(json_array_get(list, i),
		    filterd_plugin_fields, nitems(filterd_plugin_fields),
		    &out[i], f)) != 0)
			return (r);
		for (k = 0; k < i; k++) {
			if (strcmp(out[k].name, out[i].name) == 0)
				return (fault_set(f, "bad_field", "plugins",
				    "plugins: \"%s\" is there twice",
				    out[i].name));
		}
	}
	return (0);
}

/* Make every path in an option's text (parts between colons) readable. */
static void
filterd_allow_text(struct sandbox *sb, const char *text)
{
	char	*copy, *s, *save;

	if (text == NULL)
		return;
	copy = xstrdup(text);
	for (s = strtok_r(copy, ":", &save); s != NULL;
	    s = strtok_r(NULL, ":", &save)) {
		if (s[0] == '/')
			sandbox_allow_read(sb, s);
	}
	free(copy);
}

/* Allow the first stage to read the files of one plugin. */
static void
filterd_allow(struct sandbox *sb, const struct init_plugin *p)
{
	const char	*key;
	const json_t	*v;
	char		*path;
	size_t		 i;

	path = xstrdup(p->path);
	if (path[0] == '/')
		sandbox_allow_read(sb, dirname(path));
	free(path);
	json_object_foreach(p->options, key, v) {
		filterd_allow_text(sb, json_string_value(v));
		for (i = 0; i < json_array_size(v); i++)
			filterd_allow_text(sb, json_string_value(
			    json_array_get(v, i)));
	}
}

/* Judge a harmless prompt and reply, so that a plugin that fails in the sandbox
 * fails at start. */
static int
filterd_try(struct host *h, struct fault *f)
{
	struct check	 c = { .direction = "prompt", .text = "Hello.",
			    .len = 6, .context = "", .final = 1 };
	json_t		*findings;
	int64_t		 settled = (int64_t)c.len;
	int		 r;

	findings = json_array();
	if ((r = host_check(h, &c, findings, &settled, f)) == 0) {
		json_array_clear(findings);
		c.direction = "reply";
		r = host_check(h, &c, findings, &settled, f);
	}
	json_decref(findings);
	return (r);
}

/* Load, open and try the plugins, with the sandbox around them. */
static int
filterd_start(struct filterd *fd, const struct init *in,
    const struct init_plugin *list, struct fault *f)
{
	struct sandbox	*sb;
	struct plugin	*found[FILTER_PLUGINS_MAX] = {};
	size_t		 i, n = json_array_size(in->plugins);
	int		 r = 0;

	sb = sandbox_new();
	for (i = 0; r == 0 && i < n; i++) {
		filterd_allow(sb, &list[i]);
		r = plugin_find(list[i].name, list[i].path, &found[i], f);
	}
	if (r != 0)
		goto out;
	if (!in->sandbox)
		log_warnx("the sandbox is off: plugins can do what this "
		    "user can");
	else {
		/* plugin_find has checked the owners of files already: in
		 * the new namespace other users may have no uid. */
		nest_enter();
		if ((r = sandbox_enter(sb, f)) != 0)
			goto out;
	}
	for (i = 0; i < n; i++) {
		if ((r = plugin_load(found[i], f)) != 0)
			goto out;
		fd->hosts[fd->n++] = host_new(found[i], fd->categories);
		found[i] = NULL;
		if ((r = host_open(fd->hosts[i], list[i].options, f)) != 0)
			goto out;
	}
	if (in->sandbox && (r = sandbox_tighten(sb, f)) != 0)
		goto out;
	for (i = 0; r == 0 && i < n; i++)
		r = filterd_try(fd->hosts[i], f);
out:
	for (i = 0; i < n; i++)
		plugin_free(found[i]);
	sandbox_free(sb);
	return (r);
}

/* The first message. */
static int
filterd_init(struct filterd *fd, json_t *msg, struct fault *f)
{
	struct init		 in = { .sandbox = 1 };
	struct init_plugin	 list[FILTER_PLUGINS_MAX] = {};
	json_t			*plugins, *ready;
	size_t			 i;
	int			 r;

	if ((r = fields_read(msg, filterd_init_fields,
	    nitems(filterd_init_fields), &in, f)) != 0 ||
	    (r = init_version("chatd-filter", PACKAGE_VERSION, in.version,
	    f)) != 0 ||
	    (r = filterd_read_categories(fd, in.categories, f)) != 0 ||
	    (r = filterd_read_plugins(in.plugins, list, f)) != 0 ||
	    (r = filterd_start(fd, &in, list, f)) != 0)
		return (r);
	plugins = json_array();
	for (i = 0; i < fd->n; i++)
		json_array_append_new(plugins, host_describe(fd->hosts[i]));
	ready = msg_event("ready", -1);
	msg_set(ready, "plugins", plugins);
	chan_send(fd->chan, ready);
	fd->ready = 1;
	return (0);
}

/* Read a check and make sure that its piece fits every plugin. */
static int
filterd_read_check(const struct filterd *fd, json_t *msg, struct check *c,
    struct fault *f)
{
	size_t	 i;
	int	 r;

	if ((r = fields_read(msg, filterd_check_fields,
	    nitems(filterd_check_fields), c, f)) != 0)
		return (r);
	if (vocabulary_find(vocabulary_directions, c->direction) == -1)
		return (vocabulary_fault(f, "bad_field", "direction",
		    vocabulary_directions, c->direction));
	c->len = strlen(c->text);
	c->context_len = strlen(c->context);
	if ((size_t)c->fresh > c->len ||
	    (c->text[c->fresh] & 0xc0) == 0x80)
		return (fault_set(f, "bad_field", "fresh", "fresh: expected "
		    "the start of a character of text, 0 to %zu", c->len));
	if (c->settled > c->fresh ||
	    (c->text[c->settled] & 0xc0) == 0x80)
		return (fault_set(f, "bad_field", "settled", "settled: "
		    "expected the start of a character of text, 0 to %lld",
		    (long long)c->fresh));
	for (i = 0; r == 0 && i < fd->n; i++)
		r = host_fits(fd->hosts[i], c, f);
	return (r);
}

/* Judge one piece. Returns CHAT_EPROTOCOL if a plugin broke the rules. */
static int
filterd_check(struct filterd *fd, int64_t id, json_t *msg, struct fault *f)
{
	struct check	 c = { .context = "", .final = 1 };
	json_t		*findings, *done;
	int64_t		 settled;
	size_t		 i;
	int		 r;

	if ((r = filterd_read_check(fd, msg, &c, f)) != 0)
		return (r);
	settled = (int64_t)c.len;
	findings = json_array();
	for (i = 0; r == 0 && i < fd->n; i++)
		r = host_check(fd->hosts[i], &c, findings, &settled, f);
	if (r != 0) {
		json_decref(findings);
		return (r);
	}
	done = msg_event("done", id);
	msg_set(done, "findings", findings);
	if (settled >= 0)
		msg_set_int(done, "settled", settled);
	chan_send(fd->chan, done);
	return (0);
}

/* One request after init. */
static int
filterd_request(struct filterd *fd, json_t *msg, struct fault *f)
{
	const char	*op = msg_string(msg, "op");
	int64_t		 id = msg_int(msg, "id", -1);

	if (id < 0)
		return (fault_set(f, "bad_field", "id",
		    "id: expected an integer, 0 or more"));
	if (op == NULL || (strcmp(op, "check") != 0 &&
	    strcmp(op, "ping") != 0))
		return (fault_set(f, "bad_field", "op",
		    "op: expected \"check\" or \"ping\""));
	if (strcmp(op, "check") == 0)
		return (filterd_check(fd, id, msg, f));
	if (fields_read(msg, NULL, 0, NULL, f) != 0)
		return (CHAT_EFORMAT);
	chan_send(fd->chan, msg_event("done", id));
	return (0);
}

/* One message. Returns 0, or an error that ends the process. */
static int
filterd_message(struct filterd *fd, json_t *msg)
{
	struct fault	 f = { .code = "bad_field" };
	const char	*op = msg_string(msg, "op");
	int		 r;

	if (fd->ready)
		r = filterd_request(fd, msg, &f);
	else if (op == NULL || strcmp(op, "init") != 0)
		r = fault_set(&f, "bad_field", "op",
		    "op: \"init\" comes first");
	else
		r = filterd_init(fd, msg, &f);
	if (r == 0)
		return (0);
	chan_send(fd->chan, msg_error(msg_int(msg, "id", -1), &f));
	if (fd->ready && r != CHAT_EPROTOCOL)
		return (0);
	log_warnx("%s", f.message);
	return (r);
}

/* Serve one channel until its end. */
int
filterd_run(int in, int out)
{
	struct filterd	 fd = { .ready = 0 };
	struct fault	 f;
	json_t		*msg;
	size_t		 i;
	int		 r;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	tzset();		/* the log's clock, while files can be read */
	crash_watch();
	fd.chan = chan_new(in, out, HELPER_LINE_MAX);
	while ((r = chan_next(fd.chan, &msg, &f)) != CHAT_ECLOSED) {
		if (r == CHAT_EFORMAT) {
			chan_send(fd.chan, msg_error(-1, &f));
			r = fd.ready ? 0 : r;
		} else if (r == 1) {
			r = filterd_message(&fd, msg);
			json_decref(msg);
		} else if (r == 0)
			chan_wait(fd.chan, -1);
		if (r < 0 || chan_flush(fd.chan) < 0)
			break;
	}
	chan_drain(fd.chan);
	for (i = 0; i < fd.n; i++)
		host_free(fd.hosts[i]);
	free(fd.categories);
	chan_free(fd.chan);
	return (r == CHAT_ECLOSED ? 0 : 1);
}
