/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing the state of chatd, its model and its helpers, for chatctl status
 * and /status.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "json.h"

static void	show_status_uptime(int64_t, FILE *);
static void	show_status_model(const json_t *, FILE *);
static void	show_status_swap(const json_t *, FILE *);
static void	show_status_cache(const json_t *, FILE *);
static void	show_status_more(const json_t *, const char *, FILE *);
static void	show_status_digest(const json_t *, FILE *);
static void	show_status_helper(const char *, const json_t *, FILE *);
static void	show_status_since(int64_t, FILE *);
static void	show_status_store(const json_t *, FILE *);

/* Request the status and print it. */
int
show_status(struct ctl *ctl, FILE *out)
{
	json_t		*end, *x, *helpers;
	const char	*name;
	char		*server;
	int		 status;

	status = link_call(ctl, msg_op("status", -1), NULL, NULL, &end);
	if (status != CTL_OK)
		return (status);
	if (ctl->opt.json) {
		json_object_del(end, "event");
		json_object_del(end, "id");
		term_json(end);
		json_decref(end);
		return (CTL_OK);
	}
	server = render_line(msg_string(end, "server"));
	fputs(server, out);
	free(server);
	/* chatd reports process numbers and totals to operators only. */
	if (msg_int(end, "pid", 0) > 0)
		fprintf(out, ", process %lld", (long long)msg_int(end, "pid",
		    0));
	fputs(", up ", out);
	show_status_uptime(msg_int(end, "uptime_s", 0), out);
	show_status_model(json_object_get(end, "model"), out);
	show_status_swap(json_object_get(end, "swap"), out);
	x = json_object_get(end, "exchanges");
	fprintf(out, "exchanges  %lld running, %lld waiting",
	    (long long)msg_int(x, "running", 0),
	    (long long)msg_int(x, "waiting", 0));
	if (json_object_get(x, "total") != NULL)
		fprintf(out, ", %lld in all", (long long)msg_int(x, "total",
		    0));
	fputc('\n', out);
	if (json_object_get(end, "clients") != NULL)
		fprintf(out, "clients    %lld\n",
		    (long long)msg_int(end, "clients", 0));
	helpers = json_object_get(end, "helpers");
	json_object_foreach(helpers, name, x)
		show_status_helper(name, x, out);
	show_status_store(json_object_get(end, "store"), out);
	json_decref(end);
	return (CTL_OK);
}

/* Print a duration. */
static void
show_status_uptime(int64_t s, FILE *out)
{
	if (s >= 86400)
		fprintf(out, "%lld d ", (long long)(s / 86400));
	fprintf(out, "%02lld:%02lld:%02lld\n", (long long)(s / 3600 % 24),
	    (long long)(s / 60 % 60), (long long)(s % 60));
}

/* Print the model and the progress of loading. */
static void
show_status_model(const json_t *model, FILE *out)
{
	const char	*state = msg_string(model, "state");
	int64_t		 total = msg_int(model, "bytes_total", 0);
	int64_t		 context = msg_int(model, "context", 0);
	char		 done[BYTES_TEXT], all[BYTES_TEXT];
	char		*name, *precision, *safe;
	int		 ready, named;

	if (state == NULL)
		state = "unknown";
	ready = strcmp(state, "ready") == 0;
	/* Until the model is loaded, chatd reports only its path, and that to
	 * operators only. */
	named = msg_string(model, "name") != NULL;
	name = render_line(named || msg_string(model, "path") != NULL ?
	    msg_string(model, named ? "name" : "path") : "not loaded yet");
	precision = render_line(msg_string(model, "precision"));
	safe = render_line(state);
	fprintf(out, "model      %s (%s", name, precision);
	if (context > 0)
		fprintf(out, ", context %lld", (long long)context);
	fprintf(out, "): %s%s%s\n", term_on(1, ready ? ROLE_GOOD : ROLE_BAD),
	    safe, term_off(1));
	if (!ready && total > 0)
		fprintf(out, "           %s of %s read\n",
		    bytes_text(msg_int(model, "bytes", 0), done),
		    bytes_text(total, all));
	show_status_more(model, "why", out);
	show_status_cache(model, out);
	show_status_digest(model, out);
	free(name);
	free(precision);
	free(safe);
}

/* Print what the model beside the one that serves does, if there is one. */
static void
show_status_swap(const json_t *swap, FILE *out)
{
	char	*state, *path, done[BYTES_TEXT], all[BYTES_TEXT];

	if (swap == NULL)
		return;
	state = render_line(msg_string(swap, "state"));
	path = render_line(msg_string(swap, "path") != NULL ?
	    msg_string(swap, "path") : "another model");
	fprintf(out, "swap       %s %s", state, path);
	if (msg_int(swap, "bytes_total", 0) > 0)
		fprintf(out, ": %s of %s read",
		    bytes_text(msg_int(swap, "bytes", 0), done),
		    bytes_text(msg_int(swap, "bytes_total", 0), all));
	else if (json_object_get(swap, "replies") != NULL)
		fprintf(out, ", replies to finish: %lld",
		    (long long)msg_int(swap, "replies", 0));
	fputc('\n', out);
	free(state);
	free(path);
}

/* Print the size of the cache of keys and values, if it is known. */
static void
show_status_cache(const json_t *model, FILE *out)
{
	char	*safe, bytes[BYTES_TEXT];

	if (msg_int(model, "kv_bytes", 0) <= 0)
		return;
	safe = render_line(msg_string(model, "kv_precision"));
	fprintf(out, "           cache of %lld tokens in %s, %s\n",
	    (long long)msg_int(model, "kv_tokens", 0), safe,
	    bytes_text(msg_int(model, "kv_bytes", 0), bytes));
	free(safe);
}

/* Print the string under a key of an object, if any, on its own line. */
static void
show_status_more(const json_t *o, const char *key, FILE *out)
{
	char	*safe;

	if (msg_string(o, key) == NULL)
		return;
	safe = render_line(msg_string(o, key));
	fprintf(out, "           %s\n", safe);
	free(safe);
}

/* Print the digest of the model, "sha256:...", as a row of its own. */
static void
show_status_digest(const json_t *model, FILE *out)
{
	char	*safe, *hex;

	if (msg_string(model, "digest") == NULL)
		return;
	safe = render_line(msg_string(model, "digest"));
	if ((hex = strchr(safe, ':')) != NULL)
		*hex++ = '\0';
	fprintf(out, "%-10s %s\n", hex != NULL ? safe : "digest",
	    hex != NULL ? hex : safe);
	free(safe);
}

/* Print a helper. */
static void
show_status_helper(const char *name, const json_t *helper, FILE *out)
{
	const char	*state = msg_string(helper, "state");
	char		*safe, *shown;
	int64_t		 restarts = msg_int(helper, "restarts", 0);

	if (helper == NULL)
		return;
	shown = render_line(name);
	safe = render_line(state == NULL ? "unknown" : state);
	fprintf(out, "%-9s  %s", shown, safe);
	free(shown);
	if (msg_int(helper, "pid", 0) > 0)
		fprintf(out, ", process %lld",
		    (long long)msg_int(helper, "pid", 0));
	if (restarts > 0)
		fprintf(out, ", restarted %lld time%s", (long long)restarts,
		    restarts == 1 ? "" : "s");
	fputc('\n', out);
	free(safe);
	/* Why it does not work; for the engine this is printed above. */
	if (strcmp(name, "engine") != 0 &&
	    (state == NULL || strcmp(state, "ready") != 0))
		show_status_more(helper, "why", out);
	show_status_since(msg_int(helper, "since", 0), out);
}

/* Print the time of the last change of state. */
static void
show_status_since(int64_t ms, FILE *out)
{
	char	 text[STAMP_TEXT];

	if (ms > 0)
		fprintf(out, "           since %s\n",
		    stamp_text(ms, STAMP_SECONDS, text));
}

/* Print the numbers of stored rows. */
static void
show_status_store(const json_t *store, FILE *out)
{
	char	 bytes[BYTES_TEXT];

	if (!json_is_integer(json_object_get(store, "exchanges")))
		return;
	fprintf(out, "stored     %lld conversations, %lld exchanges, %lld "
	    "ratings, %s\n", (long long)msg_int(store, "conversations", 0),
	    (long long)msg_int(store, "exchanges", 0),
	    (long long)msg_int(store, "ratings", 0),
	    bytes_text(msg_int(store, "bytes", 0), bytes));
}
