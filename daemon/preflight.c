/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd -t: the checks that need more than chatd.yaml. The filters are started
 * as the service starts them, which opens the plugins and their packs. The
 * defaults are compared with the model. A warning names the paths that the
 * systemd unit hides from chatd, because a shell can reach more than a service.
 */
#include "chatd.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filters.h"
#include "log.h"
#include "path.h"
#include "suggest.h"
#include "systemd_unit.h"
#include "xmalloc.h"

#define PREFLIGHT_START_S	30	/* seconds for the filters to start */
#define PREFLIGHT_PLUGINS	64	/* names to suggest */
#define PREFLIGHT_JSON_MAX (1024 * 1024)	/* bytes of config.json */

static struct systemd_unit service;	/* empty: no unit uses that file */

/* Print a warning. */
static void
preflight_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
preflight_warn(const char *fmt, ...)
{
	va_list	 ap;

	fprintf(stderr, "chatd: warning: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* Become the user of the unit, to find out what the service can read. */
static void
preflight_become(void)
{
	struct passwd	*pw;

	if (service.user == NULL || geteuid() != 0)
		return;
	if ((pw = getpwnam(service.user)) == NULL)
		preflight_warn("%s: User=%s: there is no such user; create "
		    "it, for example with systemd-sysusers", service.name,
		    service.user);
	else if (initgroups(pw->pw_name, pw->pw_gid) == -1 ||
	    setgid(pw->pw_gid) == -1 || setuid(pw->pw_uid) == -1)
		preflight_warn("%s: User=%s: %s", service.name, service.user,
		    strerror(errno));
}

/* Read the unit that will start chatd with that file. */
void
preflight_unit(const char *file, const char *unit)
{
	const char	*p;
	size_t		 n;

	if (unit != NULL) {
		if (systemd_unit_read(unit, &service) != 0)
			preflight_warn("%s: can't be read", unit);
	} else if (file != NULL && systemd_unit_installed(&service) == 0) {
		n = strlen(file);
		p = service.exec != NULL ? strstr(service.exec, file) : NULL;
		if (p == NULL || p == service.exec || p[-1] != ' ' ||
		    (p[n] != '\0' && p[n] != ' '))
			systemd_unit_clear(&service);	/* it starts another
							 * file */
	}
	preflight_become();
}

/* Resolve the links of a path; a new string. */
static char *
preflight_real(const char *path)
{
	char	*real = realpath(path, NULL);

	return (real != NULL ? real : xstrdup(path));
}

/* Warn if the unit hides a path from chatd. */
static void
preflight_seen(const char *key, const char *path)
{
	char	*real = preflight_real(path);

	if (service.hides_home && systemd_unit_below(real,
	    "/home /root /run/user"))
		preflight_warn("%s: %s: %s hides home folders "
		    "(ProtectHome=); move it, to /srv for example", key, real,
		    service.name);
	else if (service.private_tmp &&
	    systemd_unit_below(real, "/tmp /var/tmp"))
		preflight_warn("%s: %s: %s has a /tmp of its own "
		    "(PrivateTmp=); move it, to /srv for example", key, real,
		    service.name);
	free(real);
}

/* Warn if the unit forbids access to a file that chatd needs. */
static void
preflight_by_unit(const struct config *c)
{
	const char	*key;
	const json_t	*v;
	char		*real;
	size_t		 i;

	if (service.name == NULL)
		return;
	preflight_seen("model.path", config_model(c));
	for (i = 0; i < c->nfilters; i++) {
		preflight_seen("filters", c->filters[i].path);
		json_object_foreach(c->filters[i].options, key, v) {
			if (json_is_string(v) &&
			    json_string_value(v)[0] == '/')
				preflight_seen(key, json_string_value(v));
		}
	}
	preflight_seen("state_dir", c->state_dir);
	real = preflight_real(c->state_dir);
	if (service.strict && !systemd_unit_below(real, service.writable))
		preflight_warn("state_dir: %s: %s does not let chatd write "
		    "there; add ReadWritePaths=%s in a drop-in (systemctl edit "
		    "chatd)", real, service.name, real);
	free(real);
}

/* Compare the defaults with the model, if it is a folder. */
static void
preflight_model(const struct config *c, json_t *errors)
{
	char	*path, *text;
	size_t	 len;
	json_t	*o, *model;
	int64_t	 context;

	path = path_join(config_model(c), "config.json");
	if (path_read(path, PREFLIGHT_JSON_MAX, &text, &len) != 0) {
		free(path);
		return;		/* one file: only the engine can read it */
	}
	o = json_loadb(text, len, 0, NULL);
	free(text);
	context = msg_int(o, "max_position_embeddings", 0);
	if (context > 0 && c->context > context)
		json_array_append_new(errors, json_sprintf("%s: model.context: "
		    "%lld tokens, but the model was made for %lld at most",
		    c->file != NULL ? c->file : "defaults",
		    (long long)c->context, (long long)context));
	if (c->context > 0 && c->context < context)
		context = c->context;
	model = json_object();
	msg_set_int(model, "context", context);
	msg_set(model, "vocab", json_incref(json_object_get(o, "vocab_size")));
	sampling_warn(c, model);
	json_decref(model);
	json_decref(o);
	free(path);
}

/* The filters of a test, and the result. */
struct preflight_filters {
	struct event_base	*base;		/* owned */
	char			 why[512];	/* "": they have started */
};

/* The filters have started. */
static void
preflight_ready(void *arg)
{
	struct preflight_filters	*t = arg;

	t->why[0] = '\0';
	event_base_loopbreak(t->base);
}

/* A filter can't start. */
static void
preflight_refused(void *arg, const char *why)
{
	struct preflight_filters	*t = arg;

	snprintf(t->why, sizeof t->why, "%s", why);
	event_base_loopbreak(t->base);
}

/* Start the filters with their plugins, and end them. */
static void
preflight_filter(const struct config *c, json_t *errors)
{
	static const struct filters_ops	 ops = { .ready = preflight_ready,
	    .refused = preflight_refused };
	struct preflight_filters	 t = { .why =
	    "they have not started in time" };
	struct timeval		 tv = { PREFLIGHT_START_S, 0 };
	struct filters		*fs;

	t.base = event_base_new();
	log_set_level(LOG_LEVEL_ERROR);		/* reported below */
	fs = filters_new(t.base, c, NULL, &ops, &t);
	event_base_loopexit(t.base, &tv);
	event_base_dispatch(t.base);
	filters_free(fs);
	event_base_free(t.base);
	if (t.why[0] != '\0')
		json_array_append_new(errors, json_sprintf("%s: filters: %s",
		    c->file != NULL ? c->file : "defaults", t.why));
}

/* Is there something with findings of that name: a filter, or the judge? */
static int
preflight_finds(const struct config *c, const char *name, size_t len)
{
	size_t	 i;

	for (i = 0; i < c->nfilters; i++) {
		if (strlen(c->filters[i].name) == len &&
		    memcmp(c->filters[i].name, name, len) == 0)
			return (1);
	}
	return (c->judge_enabled && len == 5 && memcmp(name, "judge", 5) == 0);
}

/* Look for plugins that have a policy but are not there. A name with a colon
 * begins with that of its plugin; one with a slash may be that of a pack. */
static void
preflight_plugins(const struct config *c)
{
	const char	*name, *near, *words[PREFLIGHT_PLUGINS + 1];
	char		*plugin;
	size_t		 i, n;

	for (n = 0; n < c->nfilters && n < PREFLIGHT_PLUGINS; n++)
		words[n] = c->filters[n].name;
	words[n] = NULL;
	for (i = 0; i < c->nplugins; i++) {
		name = c->plugins[i].name;
		n = strcspn(name, ":");
		if (memchr(name, '/', n) != NULL || preflight_finds(c, name,
		    n))
			continue;
		plugin = xstrndup(name, n);
		near = suggest_word(plugin, words);
		log_warnx("policy.plugins: there is no filter \"%s\": its "
		    "policy counts for nothing%s%s%s", plugin,
		    near != NULL ? "; did you mean \"" : "", near != NULL ?
		    near : "", near != NULL ? "\"?" : "");
		free(plugin);
	}
}

/* Look up the socket's group and the groups with a policy. systemd may create
 * the socket, so a missing group is a warning. */
static void
preflight_group(const struct config *c)
{
	const char	*name = c->socket_group;
	size_t		 i;

	for (i = 0; i < c->ngroups; i++) {
		if (getgrnam(c->groups[i].name) == NULL)
			log_warnx("policy.groups: there is no group \"%s\": "
			    "its policy counts for nobody",
			    c->groups[i].name);
	}
	if (name != NULL && name[0] != '\0' && getgrnam(name) == NULL)
		log_warnx("socket.group: there is no group \"%s\": chatd "
		    "can't make its socket without it", name);
}

/* Run all checks that need more than reading. */
int
preflight_start(const struct config *c, json_t *errors)
{
	size_t	 n = json_array_size(errors);

	preflight_by_unit(c);
	preflight_group(c);
	preflight_plugins(c);
	preflight_model(c, errors);
	preflight_filter(c, errors);
	return (json_array_size(errors) == n ? 0 : CHAT_EFORMAT);
}
