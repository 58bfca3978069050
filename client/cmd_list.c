/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl list, show and delete.
 */
#include "chatctl.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "json.h"
#include "utf8.h"
#include "xmalloc.h"

#define LIST_PAGE	200	/* conversations asked for at once */
#define LIST_DEFAULT	50

/* Where items go. */
struct list {
	struct ctl	*ctl;		/* borrowed */
	FILE		*out;		/* borrowed */
	struct said	*said;		/* borrowed, or NULL */
	int64_t		 last;		/* number of the last one shown */
	const char	*key;		/* the object in an item */
	int64_t		 shown;
};

static void	list_item(void *, const json_t *);
static void	list_time(int64_t, char *, size_t);
static char	*list_title(const char *, int);
static void	show_title(struct list *, const json_t *);
static void	show_item(void *, const json_t *);
static void	show_text(struct list *, const char *, const char *);
static void	show_reply(struct list *, const json_t *, int);
static void	show_rating(struct list *, const json_t *);
static void	show_verdicts(struct list *, const json_t *);

/* chatctl list */
int
cmd_list(struct ctl *ctl, int argc, char **argv)
{
	struct pager	 p;
	json_t		*m;
	int		 status;

	(void)argc;
	(void)argv;
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	m = msg_op("list", -1);
	msg_set_int(m, "limit", ctl->opt.limit > 0 ? ctl->opt.limit :
	    LIST_DEFAULT);
	if (ctl->opt.before > 0)
		msg_set_int(m, "before", ctl->opt.before);
	if (ctl->opt.all)
		msg_set_bool(m, "all", 1);
	if (ctl->opt.raw)
		msg_set_string(m, "kind", "complete");
	status = list_print(ctl, m, pager_open(&p, !ctl->opt.no_pager &&
	    !ctl->opt.json));
	pager_close(&p);
	return (status);
}

/* Print the list that m (taken) asks for, in pages that chatd grants. */
int
list_print(struct ctl *ctl, json_t *m, FILE *out)
{
	int		 raw = msg_string(m, "kind") != NULL;
	struct list	 l = { .ctl = ctl, .out = out,
			    .key = raw ? "exchange" : "conversation" };
	int64_t		 left = msg_int(m, "limit", LIST_DEFAULT);
	json_t		*end, *page;
	int		 status, more;

	do {
		page = json_deep_copy(m);
		msg_set_int(page, "limit", left < LIST_PAGE ? left :
		    LIST_PAGE);
		if (l.last != 0)
			msg_set_int(page, "before", l.last);
		l.shown = 0;
		status = link_call(ctl, page, list_item, &l, &end);
		more = json_is_true(json_object_get(end, "more"));
		json_decref(end);
		left -= l.shown;
	} while (status == CTL_OK && more && left > 0 && l.shown > 0);
	if (status == CTL_OK && l.last == 0 && !ctl->opt.json)
		ctl_note(raw ? "no raw prompts" : "no conversations");
	else if (status == CTL_OK && more && !ctl->opt.json)
		ctl_note("older ones: chatctl list %s--before %lld",
		    raw ? "--raw " : "", (long long)l.last);
	json_decref(m);
	return (status);
}

/* Print one conversation, or one raw prompt. */
static void
list_item(void *arg, const json_t *event)
{
	struct list	*l = arg;
	const json_t	*c = json_object_get(event, l->key);
	struct passwd	*pw;
	char		*title, when[32];
	int		 rows, columns;

	l->last = msg_int(c, l->key, 0);
	l->shown++;
	if (l->ctl->opt.json) {
		out_json(c);
		return;
	}
	term_size(&rows, &columns);
	list_time(msg_int(c, "updated", msg_int(c, "created", 0)), when,
	    sizeof when);
	fprintf(l->out, "%s%6lld%s  %s  %4lld  ", term_on(1, ROLE_BOLD),
	    (long long)l->last, term_off(1), when,
	    (long long)msg_int(c, "exchanges", 1));
	columns -= 32;
	if (l->ctl->opt.all) {
		pw = getpwuid((uid_t)msg_int(c, "uid", -1));
		title = pw != NULL ? xstrdup(pw->pw_name) :
		    xasprintf("%lld", (long long)msg_int(c, "uid", -1));
		fprintf(l->out, "%-12s  ", title);
		columns -= 14;
		free(title);
	}
	title = list_title(msg_string(c, "title"), term_is(1) ? columns : 0);
	fprintf(l->out, "%s\n", title);
	free(title);
}

/* A time of the store as local time. */
static void
list_time(int64_t ms, char *out, size_t size)
{
	struct tm	 tm;
	time_t		 t = (time_t)(ms / 1000);

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(out, size, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(out, size, "?");
}

/* A title made safe, and cut to so many columns (0: as it is). */
static char *
list_title(const char *title, int columns)
{
	char		*safe = render_line(title);
	uint32_t	 cp;
	size_t		 i, n = strlen(safe), cut = 0;
	int		 len, width, used = 0;

	for (i = 0; columns > 3 && i < n; i += (size_t)len) {
		if ((len = utf8_decode(safe + i, n - i, &cp)) <= 0)
			break;
		if ((width = wcwidth((wchar_t)cp)) < 0)
			width = 1;
		used += width;
		if (used <= columns - 3)
			cut = i + (size_t)len;
	}
	if (columns > 3 && used > columns)
		strcpy(safe + cut, cut + 3 <= n ? "..." : "");
	return (safe);
}

/* chatctl show */
int
cmd_show(struct ctl *ctl, int argc, char **argv)
{
	struct pager	 p;
	int64_t		 n;
	int		 status;

	(void)argc;
	if (opts_number(argv[0], 1, INT64_MAX, &n) == -1) {
		ctl_error("show: expected %s's number, found \"%s\"",
		    ctl->opt.exchange ? "an exchange" : "a conversation",
		    argv[0]);
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	status = show_print(ctl, n, pager_open(&p, !ctl->opt.no_pager &&
	    !ctl->opt.json), NULL);
	pager_close(&p);
	return (status);
}

/* Print a conversation (or with --exchange, an exchange), page for page. */
int
show_print(struct ctl *ctl, int64_t number, FILE *out, struct said *said)
{
	struct list	 l = { .ctl = ctl, .out = out, .said = said };
	json_t		*m, *end;
	int		 status, more;

	do {
		m = msg_op("show", -1);
		msg_set_int(m, ctl->opt.exchange ? "exchange" :
		    "conversation", number);
		msg_set_int(m, "limit", LIST_PAGE);
		if (l.last != 0)
			msg_set_int(m, "after", l.last);
		l.shown = 0;
		status = link_call(ctl, m, show_item, &l, &end);
		more = json_is_true(json_object_get(end, "more"));
		if (status == CTL_OK && !more && !ctl->opt.json)
			show_title(&l, end);
		json_decref(end);
	} while (status == CTL_OK && more && l.shown > 0);
	return (status);
}

/* Print what the conversation is called. */
static void
show_title(struct list *l, const json_t *end)
{
	const char	*text = msg_string(end, "title");
	char		*title;

	if (text == NULL)
		return;
	title = render_line(text);
	fprintf(l->out, "%s[conversation %lld: %s]%s\n",
	    term_on(1, ROLE_DIM), (long long)msg_int(end, "conversation", 0),
	    title, term_off(1));
	free(title);
}

/* Keep an exchange's newest reply, for commands about "the last reply". */
static void
show_keep(struct said *said, const json_t *x, const json_t *replies)
{
	const json_t	*reply = json_array_get(replies,
	    json_array_size(replies) - 1);
	const char	*text = msg_string(reply, "text");

	said_clear(said);
	said->exchange = msg_int(x, "exchange", 0);
	said->reply = msg_int(reply, "reply", 0);
	said->text = xstrdup(text != NULL ? text : "");
}

/* Print one exchange, or more of its replies. */
static void
show_item(void *arg, const json_t *event)
{
	struct list	*l = arg;
	const json_t	*x = json_object_get(event, "exchange");
	json_t		*replies = json_object_get(x, "replies"), *reply;
	int		 more = json_is_true(json_object_get(x, "continued"));
	char		 when[32];
	size_t		 i;

	l->last = msg_int(x, "exchange", 0);
	l->shown++;
	if (l->ctl->opt.json) {
		out_json(x);
		return;
	}
	if (!more) {
		list_time(msg_int(x, "created", 0), when, sizeof when);
		fprintf(l->out, "%s[exchange %lld, %s]%s\n",
		    term_on(1, ROLE_DIM), (long long)l->last, when,
		    term_off(1));
		show_text(l, msg_string(x, "prompt"), "> ");
	}
	json_array_foreach(replies, i, reply)
		show_reply(l, reply, more || json_array_size(replies) > 1);
	fputc('\n', l->out);
	if (l->said != NULL)
		show_keep(l->said, x, replies);
}

/* Print a text, each line behind mark. */
static void
show_text(struct list *l, const char *text, const char *mark)
{
	struct render	 r;
	const char	*nl;

	if (text == NULL)
		return;
	render_init(&r, l->out, term_mark(1));
	while (*text != '\0') {
		fprintf(l->out, "%s%s%s", term_on(1, ROLE_BOLD), mark,
		    term_off(1));
		nl = strchr(text, '\n');
		render_text(&r, text, nl == NULL ? strlen(text) :
		    (size_t)(nl - text));
		fputc('\n', l->out);
		text = nl == NULL ? "" : nl + 1;
	}
}

/* Print a reply and what is known about it. */
static void
show_reply(struct list *l, const json_t *reply, int numbered)
{
	const char	*state = msg_string(reply, "state");
	char		*safe;

	if (numbered)
		fprintf(l->out, "%s[reply %lld]%s\n", term_on(1, ROLE_DIM),
		    (long long)msg_int(reply, "reply", 0), term_off(1));
	show_text(l, msg_string(reply, "text"), "");
	if (state != NULL && strcmp(state, "done") != 0) {
		safe = render_line(state);
		fprintf(l->out, "%s[%s]%s\n", term_on(1, ROLE_DIM), safe,
		    term_off(1));
		free(safe);
	}
	show_verdicts(l, json_object_get(reply, "verdicts"));
	show_rating(l, json_object_get(reply, "rating"));
}

/* Print how a reply was rated. */
static void
show_rating(struct list *l, const json_t *rating)
{
	int64_t		 thumb = msg_int(rating, "thumb", 0);
	const char	*text;
	char		*safe;
	json_t		*reason;
	size_t		 i;

	if (!json_is_object(rating))
		return;
	fprintf(l->out, "%s[rated %s%s", term_on(1, thumb > 0 ? ROLE_GOOD :
	    thumb < 0 ? ROLE_BAD : ROLE_DIM), thumb > 0 ? "good" :
	    thumb < 0 ? "bad" : "neutral",
	    json_array_size(json_object_get(rating, "reasons")) > 0 ? ":" :
	    "");
	json_array_foreach(json_object_get(rating, "reasons"), i, reason) {
		safe = render_line(json_string_value(reason));
		fprintf(l->out, " %s", safe);
		free(safe);
	}
	if ((text = msg_string(rating, "comment")) != NULL) {
		safe = render_line(text);
		fprintf(l->out, "; %s", safe);
		free(safe);
	}
	fprintf(l->out, "]%s\n", term_off(1));
	if ((text = msg_string(rating, "ideal")) != NULL)
		show_text(l, text, "= ");
}

/* Print what the filters found. */
static void
show_verdicts(struct list *l, const json_t *verdicts)
{
	json_t		*v;
	const char	*action;
	char		*safe, *text;
	size_t		 i;

	json_array_foreach(verdicts, i, v) {
		action = msg_string(v, "action");
		if (action == NULL || strcmp(action, "allow") == 0)
			continue;
		text = xasprintf("%s: %s %.2f (%s)", action,
		    msg_string(v, "category") == NULL ? "?" :
		    msg_string(v, "category"), msg_real(v, "score", 0),
		    msg_string(v, "direction") == NULL ? "?" :
		    msg_string(v, "direction"));
		safe = render_line(text);
		fprintf(l->out, "%s[%s]%s\n", term_on(1, ROLE_BAD), safe,
		    term_off(1));
		free(safe);
		free(text);
	}
}

/* chatctl delete */
int
cmd_delete(struct ctl *ctl, int argc, char **argv)
{
	const char	*what = ctl->opt.exchange ? "exchange" :
			    "conversation";
	json_t		*m, *end;
	int64_t		 n;
	int		 i, status, worst = CTL_OK;

	for (i = 0; i < argc; i++) {
		if (opts_number(argv[i], 1, INT64_MAX, &n) == 0)
			continue;
		ctl_error("delete: expected %s's number, found \"%s\"; "
		    "nothing was deleted", ctl->opt.exchange ? "an exchange" :
		    "a conversation", argv[i]);
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	for (i = 0; i < argc && ctl->chat != NULL; i++) {
		(void)opts_number(argv[i], 1, INT64_MAX, &n);
		m = msg_op("delete", -1);
		msg_set_int(m, what, n);
		status = link_run(ctl, m, 0, NULL, NULL, &end);
		if (status != CTL_OK) {
			worst = status;
			if (end != NULL)
				ctl_error("%s %lld: %s", what, (long long)n,
				    msg_string(end, "message"));
			else
				link_tell(ctl, NULL);
		} else if (ctl->opt.json)
			out_json(end);
		json_decref(end);
	}
	return (worst);
}
