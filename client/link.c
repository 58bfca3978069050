/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of one run.  Opens it as --wait says, waits until the model
 * is loaded, sends requests one after the other, and turns failures into
 * messages and exit statuses.
 */
#include "chatctl.h"

#include <config.h>

#include <sys/stat.h>

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "clock.h"
#include "json.h"
#include "xmalloc.h"

#define LINK_CLIENT	"chatctl " PACKAGE_VERSION
#define LINK_HELLO_MS	10000	/* for connecting and hello, each try */
#define LINK_RETRY_MS	100	/* between tries to connect */
#define LINK_POLL_MS	200	/* between looks at a loading model */
#define LINK_GROUPS	1024	/* groups of a user that are checked */
#define LINK_CANCEL_MS	3000	/* wait for the end of a cancelled reply */
#define LINK_TICK_MS	250	/* between calls of tick */

static void	link_pause(int);
static int	link_report_open(const struct ctl *, int, const struct fault *);
static void	link_report_denied(const struct ctl *, const struct fault *);
static const char *link_group(const char *);
static int	link_next(struct ctl *, int, json_t **);
static int	link_lost(struct ctl *, int, const struct fault *);
static int	link_cancel(struct ctl *, int64_t, int64_t *);

/* Wait for ms milliseconds, or until Ctrl-C. */
static void
link_pause(int ms)
{
	struct pollfd	 p = { .fd = intr_fd(), .events = POLLIN };

	poll(&p, 1, ms);
}

/* Connect. */
int
link_open(struct ctl *ctl)
{
	struct fault	 f = { 0 };
	int64_t		 end = clock_monotonic() +
			    (ctl->opt.wait > 0 ? ctl->opt.wait * 1000 : 0);
	int		 r;

	for (;;) {
		r = wire_open(ctl->socket, LINK_CLIENT, LINK_HELLO_MS,
		    &ctl->chat, &f);
		if (r == 0 || r == CHAT_EDENIED || r == CHAT_EPROTOCOL ||
		    clock_monotonic() >= end)
			break;
		link_pause(LINK_RETRY_MS);
		if (intr_take())
			return (CTL_INTERRUPTED);
	}
	return (r == 0 ? CTL_OK : link_report_open(ctl, r, &f));
}

/* Report why there is no connection. Returns the exit status. */
static int
link_report_open(const struct ctl *ctl, int r, const struct fault *f)
{
	const char	*hint = "";

	switch (r) {
	case CHAT_EDENIED:
		link_report_denied(ctl, f);
		return (CTL_DENIED);
	case CHAT_EPROTOCOL:
		term_error("%s: %s", ctl->socket, f->message);
		return (CTL_PROTOCOL);
	case CHAT_ENOTFOUND:
	case CHAT_ECLOSED:
		hint = " (is chatd running? systemctl status chatd)";
		break;
	}
	term_error("%s: %s%s", ctl->socket, f->message, hint);
	return (CTL_UNREACHABLE);
}

/* The group that may use the socket, or the default if it is not known. */
static const char *
link_group(const char *path)
{
	struct stat	 st;
	struct group	*g;

	if (stat(path, &st) == 0 && st.st_gid != 0 &&
	    (g = getgrgid(st.st_gid)) != NULL)
		return (g->gr_name);
	return (CTL_GROUP);
}

/* Is this process in the group? With later: is its user in the group now,
 * which counts from the next login on? */
static int
link_in_group(const char *name, int later)
{
	gid_t		 gids[LINK_GROUPS], gid = getegid();
	struct passwd	*pw = getpwuid(geteuid());
	struct group	*g = getgrnam(name);
	int		 i, n = LINK_GROUPS;

	if (g == NULL || (later && pw == NULL))
		return (0);
	if (later)
		getgrouplist(pw->pw_name, pw->pw_gid, gids, &n);
	else
		n = getgroups(LINK_GROUPS, gids);
	for (i = 0; i < n && i < LINK_GROUPS; i++) {
		if (gids[i] == g->gr_gid)
			return (1);
	}
	return (!later && gid == g->gr_gid);
}

/* Report why this user may not use the socket. */
static void
link_report_denied(const struct ctl *ctl, const struct fault *f)
{
	const char	*group = link_group(ctl->socket), *user = "USER";
	struct passwd	*pw;

	if (link_in_group(group, 0)) {
		term_error("%s: %s, although you are in group %s; check the "
		    "mode of the socket and of the folders above it",
		    ctl->socket, f->message, group);
		return;
	}
	if (link_in_group(group, 1)) {
		term_error("%s: %s: you were added to group %s after you "
		    "logged in; log in again, or run: newgrp %s",
		    ctl->socket, f->message, group, group);
		return;
	}
	if ((pw = getpwuid(geteuid())) != NULL)
		user = pw->pw_name;
	term_error("%s: %s: only members of the group %s may connect, and %s "
	    "is not one (as root: usermod -aG %s %s; then log in again)%s",
	    ctl->socket, f->message, group, user, group, user,
	    link_in_group(CTL_OPERATORS, 1) ? "; membership in group "
	    CTL_OPERATORS " is not enough: it makes you an operator, but "
	    "does not let you connect" : "");
}

/* Close the connection. */
void
link_close(struct ctl *ctl)
{
	wire_close(ctl->chat);
	ctl->chat = NULL;
}

/* Wait for the model. */
int
link_wait_model(struct ctl *ctl)
{
	const json_t	*model;
	const char	*state, *why;
	json_t		*end = NULL;
	int64_t		 start = clock_monotonic(), limit;
	int		 status = CTL_OK, reported = 0;

	model = json_object_get(wire_hello(ctl->chat), "model");
	for (;;) {
		state = msg_string(model, "state");
		if (state == NULL || strcmp(state, "ready") == 0)
			break;
		limit = ctl->opt.wait != -1 ? ctl->opt.wait :
		    strcmp(state, "down") == 0 ? CTL_WAIT_DOWN :
		    CTL_WAIT_MODEL;
		if (clock_monotonic() - start >= limit * 1000) {
			link_progress_end(ctl);
			why = msg_string(model, "why");
			term_error("the model is not ready after %lld s, it is "
			    "%s%s%s (--wait SECONDS waits longer)",
			    (long long)limit, state, why == NULL ? "" : ": ",
			    why == NULL ? "" : why);
			status = CTL_UNREACHABLE;
			break;
		}
		json_decref(end);
		end = NULL;
		if ((status = link_call(ctl, msg_op("status", -1), NULL, NULL,
		    &end)) != CTL_OK)
			break;
		model = json_object_get(end, "model");
		state = msg_string(model, "state");
		why = msg_string(model, "why");
		if (!reported && why != NULL && *why != '\0') {
			link_progress_end(ctl);
			term_note("[the model is %s: %s; waiting for it]",
			    state == NULL ? "?" : state, why);
			reported = 1;
		}
		link_progress(ctl, model);
		if (state != NULL && strcmp(state, "ready") != 0)
			link_pause(LINK_POLL_MS);
		if (intr_take()) {
			status = CTL_INTERRUPTED;
			break;
		}
	}
	link_progress_end(ctl);
	json_decref(end);
	return (status);
}

/* Print the progress of loading over the last progress line. */
void
link_progress(struct ctl *ctl, const json_t *model)
{
	int64_t		 total = msg_int(model, "bytes_total", 0);
	char		 done[BYTES_TEXT], all[BYTES_TEXT];

	if (!term_is(2) || ctl->opt.quiet)
		return;
	if (total > 0)
		fprintf(stderr, "\rloading model: %s of %s   ",
		    bytes_text(msg_int(model, "bytes", 0), done),
		    bytes_text(total, all));
	else
		fprintf(stderr, "\rloading model ");
	ctl->loading = 1;
}

/* Erase the progress line. */
void
link_progress_end(struct ctl *ctl)
{
	if (ctl->loading)
		fprintf(stderr, "\r%*s\r", 60, "");
	ctl->loading = 0;
}

/* Take the next event. 1, or 0 after a signal or timeout_ms, or a negative exit
 * status if the connection is lost. */
static int
link_next(struct ctl *ctl, int timeout_ms, json_t **msg)
{
	struct fault	 f = { 0 };
	struct pollfd	 p[2];
	int		 r;

	if ((r = wire_next(ctl->chat, 0, msg, &f)) == 0) {
		p[0] = (struct pollfd){ .fd = wire_fd(ctl->chat),
		    .events = wire_events(ctl->chat) };
		p[1] = (struct pollfd){ .fd = intr_fd(), .events = POLLIN };
		poll(p, 2, timeout_ms);
		r = wire_next(ctl->chat, 0, msg, &f);
	}
	if (r < 0)
		return (-link_lost(ctl, r, &f));
	return (r);
}

/* Close a lost connection and keep the reason. Returns the exit status. */
static int
link_lost(struct ctl *ctl, int r, const struct fault *f)
{
	snprintf(ctl->lost, sizeof ctl->lost, "%s: connection lost: %.400s",
	    ctl->socket, f->message);
	link_close(ctl);
	return (r == CHAT_EPROTOCOL ? CTL_PROTOCOL : CTL_UNREACHABLE);
}

/* Cancel request id. Returns 0, or -1 if nothing is to be waited for. */
static int
link_cancel(struct ctl *ctl, int64_t id, int64_t *deadline)
{
	struct fault	 f;
	json_t		*m;

	if (*deadline != 0)
		return (-1);	/* a second Ctrl-C */
	m = msg_op("cancel", -1);
	msg_set_int(m, "request", id);
	if (wire_send(ctl->chat, m, NULL, &f) != 0)
		return (-1);
	*deadline = clock_monotonic() + LINK_CANCEL_MS;
	return (0);
}

/* Send a request and wait for its end. */
int
link_run(struct ctl *ctl, json_t *msg, int cancel,
    void (*fn)(void *, const json_t *), void *arg, json_t **end)
{
	struct fault	 f = { 0 };
	const char	*event;
	json_t		*m;
	int64_t		 id, deadline = 0, left;
	int		 r;

	*end = NULL;
	ctl->code[0] = '\0';
	if ((r = wire_send(ctl->chat, msg, &id, &f)) == CHAT_ETOOBIG) {
		snprintf(ctl->lost, sizeof ctl->lost, "%s", f.message);
		return (CTL_USAGE);
	} else if (r != 0)
		return (link_lost(ctl, r, &f));
	for (;;) {
		left = deadline == 0 ? -1 : deadline - clock_monotonic();
		if (deadline != 0 && left <= 0)
			return (CTL_INTERRUPTED);
		if (ctl->tick != NULL && (left < 0 || left > LINK_TICK_MS))
			left = LINK_TICK_MS;
		r = link_next(ctl, (int)left, &m);
		if (r < 0)
			return (-r);
		if (r == 0) {
			if (ctl->tick != NULL)
				ctl->tick(ctl->tick_arg);
			if (intr_ended())
				return (CTL_INTERRUPTED);
			if (intr_take() && (!cancel ||
			    link_cancel(ctl, id, &deadline) == -1))
				return (CTL_INTERRUPTED);
			continue;
		}
		event = msg_string(m, "event");
		if (wire_about_none(m)) {
			*end = m;
			return (link_status_of(msg_string(m, "code")));
		}
		if (msg_int(m, "id", -1) == id) {
			if (strcmp(event, "done") == 0) {
				*end = m;
				return (CTL_OK);
			}
			if (strcmp(event, "error") == 0) {
				*end = m;
				return (link_status_of(msg_string(m,
				    "code")));
			}
			if (fn != NULL)
				fn(arg, m);
		}
		json_decref(m);
	}
}

/* Send a request and report its failure. */
int
link_call(struct ctl *ctl, json_t *msg, void (*fn)(void *, const json_t *),
    void *arg, json_t **end)
{
	int	 status;

	status = link_run(ctl, msg, 0, fn, arg, end);
	if (status != CTL_OK) {
		link_progress_end(ctl);
		link_report(ctl, *end);
		json_decref(*end);
		*end = NULL;
	}
	return (status);
}

/* Report an error event, or the reason why there is no last event. */
void
link_report(struct ctl *ctl, const json_t *error)
{
	const char	*code = msg_string(error, "code");
	const char	*text = msg_string(error, "message");
	const char	*field = msg_string(error, "field");

	if (error == NULL) {
		if (ctl->lost[0] != '\0')
			term_error("%s", ctl->lost);
		ctl->lost[0] = '\0';
		return;
	}
	if (code == NULL)
		code = "error";
	snprintf(ctl->code, sizeof ctl->code, "%s", code);
	if (text == NULL)
		text = "no reason given";
	if (field != NULL && strstr(text, field) == NULL)
		term_error("%s: %s: %s", code, field, text);
	else
		term_error("%s: %s", code, text);
}

/* The exit status of an error code. */
int
link_status_of(const char *code)
{
	static const struct {
		const char	*code;
		int		 status;
	} table[] = {
		{ "bad_field", CTL_USAGE },
		{ "bad_protocol", CTL_PROTOCOL },
		{ "bad_json", CTL_PROTOCOL },
		{ "denied", CTL_DENIED },
		{ "engine_unavailable", CTL_UNREACHABLE },
		{ "shutting_down", CTL_UNREACHABLE },
	};
	size_t	 i;

	for (i = 0; code != NULL && i < nitems(table); i++)
		if (strcmp(table[i].code, code) == 0)
			return (table[i].status);
	return (CTL_REFUSED);
}

/* Was the last request refused because something is not there? */
int
link_gone(const struct ctl *ctl, int status)
{
	return (status == CTL_REFUSED && strcmp(ctl->code, "not_found") == 0);
}
