/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing a conversation or one exchange: prompts, replies, ratings and the
 * findings of the filters.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "json.h"
#include "xmalloc.h"

#define SHOW_PAGE	200	/* exchanges per request */

/* The state of a page while its exchanges are printed. */
struct show {
	struct ctl	*ctl;		/* borrowed */
	FILE		*out;		/* borrowed */
	struct said	*said;		/* borrowed, or NULL */
	int64_t		 last;		/* number of the last one printed */
	int64_t		 shown;		/* exchanges of this page */
	int64_t		 all;		/* exchanges so far */
	FILE		*recap;		/* owned, or NULL: writes newest */
	char		*newest;	/* owned: the last exchange, printed */
	size_t		 size;
	int64_t		 tokens;	/* of it, and of what came before */
	char		*title;		/* owned, for markdown */
};

static void	show_title(struct show *, const json_t *);
static void	show_item(void *, const json_t *);
static void	show_keep(struct said *, const json_t *, const json_t *);
static void	show_text(struct show *, const char *, const char *);
static void	show_reply(struct show *, const json_t *, int);
static void	show_rating(struct show *, const json_t *);
static void	show_verdicts(struct show *, const json_t *);

/* Ask for all pages of a conversation or an exchange. */
static int
show_pages(struct show *l, int64_t number)
{
	struct ctl	*ctl = l->ctl;
	json_t		*m, *end;
	int		 status, more = 0;

	do {
		m = msg_op("show", -1);
		msg_set_int(m, ctl->opt.exchange ? "exchange" :
		    "conversation", number);
		msg_set_int(m, "limit", SHOW_PAGE);
		if (!ctl->whole && (status = filter_add(ctl, m)) != CTL_OK) {
			json_decref(m);
			break;
		}
		if (l->last != 0)
			msg_set_int(m, "after", l->last);
		l->shown = 0;
		status = link_call(ctl, m, show_item, l, &end);
		more = json_is_true(json_object_get(end, "more"));
		if (status == CTL_OK && !more && !ctl->opt.json)
			show_title(l, end);
		json_decref(end);
	} while (status == CTL_OK && more && l->shown > 0);
	return (status);
}

/* Begin the text of the newest exchange of a recap. */
static void
show_recap_begin(struct show *l)
{
	if (l->recap != NULL)
		fclose(l->recap);
	free(l->newest);
	if ((l->recap = open_memstream(&l->newest, &l->size)) == NULL)
		abort();
	l->out = l->recap;
}

/* Print an exchange as markdown: the prompt, and the newest reply. */
static void
show_markdown_item(struct show *l, const json_t *x, int more)
{
	const json_t	*replies = json_object_get(x, "replies"), *reply;
	const char	*text = msg_string(x, "prompt");
	char		*model;

	if (!more && text != NULL)
		fprintf(l->out, "## You\n\n%s\n\n", text);
	reply = json_array_get(replies, json_array_size(replies) - 1);
	if ((text = msg_string(reply, "text")) == NULL || *text == '\0')
		return;
	model = render_line(msg_string(reply, "model"));
	fprintf(l->out, "## %s\n\n%s\n\n", model[0] != '\0' ? model : "Model",
	    text);
	free(model);
}

/* Print a conversation as markdown. The title comes last, but stands first. */
static int
show_markdown(struct show *l, int64_t number)
{
	FILE	*out = l->out;
	char	*title;
	int	 status;

	l->title = NULL;
	show_recap_begin(l);
	status = show_pages(l, number);
	fclose(l->recap);
	if (status == CTL_OK) {
		title = render_line(l->title);
		if (title[0] != '\0')
			fprintf(out, "# %s\n\n", title);
		fputs(l->newest, out);
		free(title);
	}
	free(l->title);
	free(l->newest);
	return (status);
}

/* Print a conversation, or with --exchange an exchange. */
int
show_conversation(struct ctl *ctl, int64_t number, FILE *out, struct said *said)
{
	struct show	 l = { .ctl = ctl, .out = out, .said = said };

	if (ctl->opt.markdown && !ctl->opt.json)
		return (show_markdown(&l, number));
	return (show_pages(&l, number));
}

/* Print the newest exchange of a conversation, and how long it is. */
int
show_recap(struct ctl *ctl, int64_t number, FILE *out, struct said *said)
{
	const json_t	*model = json_object_get(wire_hello(ctl->chat),
			    "model");
	struct show	 l = { .ctl = ctl, .said = said };
	int64_t		 context = msg_int(model, "context", 0);
	int		 status;

	show_recap_begin(&l);
	status = show_pages(&l, number);
	fclose(l.recap);
	if (status == CTL_OK && l.all > 1)
		term_note("[%lld exchange%s before; /show prints all]",
		    (long long)l.all - 1, l.all == 2 ? "" : "s");
	if (status == CTL_OK)
		fputs(l.newest, out);
	fflush(out);
	if (status == CTL_OK && l.tokens > 0 && context > 0)
		term_note("[%lld of %lld tokens are used]",
		    (long long)l.tokens, (long long)context);
	free(l.newest);
	return (status);
}

/* Print the title of the conversation. */
static void
show_title(struct show *l, const json_t *end)
{
	const char	*text = msg_string(end, "title");
	char		*title;

	if (text == NULL)
		return;
	if (l->ctl->opt.markdown) {
		free(l->title);
		l->title = xstrdup(text);
		return;
	}
	title = render_line(text);
	fprintf(l->out, "%s[conversation %lld: %s]%s\n",
	    term_on(1, ROLE_DIM), (long long)msg_int(end, "conversation", 0),
	    title, term_off(1));
	free(title);
}

/* Print one exchange, or further replies of the last one. */
static void
show_item(void *arg, const json_t *event)
{
	struct show	*l = arg;
	const json_t	*x = json_object_get(event, "exchange");
	json_t		*replies = json_object_get(x, "replies"), *reply;
	int		 more = json_is_true(json_object_get(x, "continued"));
	char		 when[STAMP_TEXT];
	size_t		 i;

	l->last = msg_int(x, "exchange", 0);
	l->shown++;
	if (l->ctl->opt.markdown && !l->ctl->opt.json) {
		show_markdown_item(l, x, more);
		return;
	}
	if (!more && l->recap != NULL)
		show_recap_begin(l);
	l->all += !more;
	reply = json_array_get(replies, json_array_size(replies) - 1);
	if (reply != NULL)
		l->tokens = msg_int(reply, "prompt_tokens", 0) +
		    msg_int(reply, "output_tokens", 0);
	if (l->ctl->opt.json) {
		term_json(x);
		return;
	}
	if (!more) {
		stamp_text(msg_int(x, "created", 0), STAMP_MINUTES, when);
		fprintf(l->out, "%s[exchange %lld, %s]%s\n",
		    term_on(1, ROLE_DIM), (long long)l->last, when,
		    term_off(1));
		show_text(l, msg_string(x, "prompt"), "> ");
	}
	json_array_foreach(replies, i, reply) {
		if (l->ctl->only == 0 ||
		    msg_int(reply, "reply", 0) == l->ctl->only)
			show_reply(l, reply, more ||
			    json_array_size(replies) > 1);
	}
	fputc('\n', l->out);
	if (l->said != NULL)
		show_keep(l->said, x, replies);
}

/* Keep the newest reply of an exchange, for /good, /bad and /again. */
static void
show_keep(struct said *said, const json_t *x, const json_t *replies)
{
	const json_t	*reply = json_array_get(replies,
	    json_array_size(replies) - 1);
	const char	*text = msg_string(reply, "text");

	say_clear(said);
	said->exchange = msg_int(x, "exchange", 0);
	said->reply = msg_int(reply, "reply", 0);
	said->text = xstrdup(text != NULL ? text : "");
}

/* Print a reply. */
static void
show_said(struct show *l, const char *text)
{
	struct flow	*flow;

	if (text == NULL || !term_is(1) || l->ctl->opt.plain) {
		show_text(l, text, "");
		return;
	}
	flow = flow_new(l->out, 0, term_mark(1) != 0);
	flow_text(flow, text, strlen(text));
	flow_end(flow);
	flow_break(flow);
	flow_free(flow);
}

/* Print a text with mark before each line. */
static void
show_text(struct show *l, const char *text, const char *mark)
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

/* Print a reply, its state, findings and rating. */
static void
show_reply(struct show *l, const json_t *reply, int numbered)
{
	const char	*state = msg_string(reply, "state");
	char		*safe;
	json_t		*other;
	size_t		 i;

	if (numbered)
		fprintf(l->out, "%s[reply %lld]%s\n", term_on(1, ROLE_DIM),
		    (long long)msg_int(reply, "reply", 0), term_off(1));
	show_said(l, msg_string(reply, "text"));
	if (state != NULL && strcmp(state, "done") != 0) {
		safe = render_line(state);
		fprintf(l->out, "%s[%s]%s\n", term_on(1, ROLE_DIM), safe,
		    term_off(1));
		free(safe);
	}
	show_verdicts(l, json_object_get(reply, "verdicts"));
	if (!l->ctl->blind) {
		show_rating(l, json_object_get(reply, "rating"));
		json_array_foreach(json_object_get(reply, "ratings"), i,
		    other)
			show_rating(l, other);
	}
	if ((state = msg_string(reply, "decision")) != NULL)
		fprintf(l->out, "%s[an operator has decided: %s]%s\n",
		    term_on(1, ROLE_DIM), strcmp(state, "overturn") == 0 ?
		    "the block was wrong" : "the block was right",
		    term_off(1));
}

/* Print how a reply was rated: by its user, or by an operator, who has a
 * name. */
static void
show_rating(struct show *l, const json_t *rating)
{
	int64_t		 thumb = msg_int(rating, "thumb", 0);
	const char	*text = msg_string(rating, "user");
	char		*safe;
	json_t		*reason;
	size_t		 i;

	if (!json_is_object(rating))
		return;
	safe = render_line(text);
	fprintf(l->out, "%s[%s%srated %s%s", term_on(1, thumb > 0 ?
	    ROLE_GOOD : thumb < 0 ? ROLE_BAD : ROLE_DIM), safe,
	    *safe == '\0' ? "" : " ", thumb > 0 ? "good" :
	    thumb < 0 ? "bad" : "neutral",
	    json_array_size(json_object_get(rating, "reasons")) > 0 ? ":" :
	    "");
	free(safe);
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

/* Print a finding of the filters. */
static void
show_verdict(struct show *l, const json_t *v, const char *action)
{
	const char	*direction = msg_string(v, "direction");
	char		*name = explain_name(v), *safe, *text;

	text = xasprintf("%s: %s %.2f (%s; %s)", action,
	    msg_string(v, "category") == NULL ? "?" :
	    msg_string(v, "category"), msg_real(v, "score", 0),
	    direction == NULL ? "?" : direction, name);
	safe = render_line(text);
	fprintf(l->out, "%s[%s]%s\n", term_on(1, ROLE_BAD), safe,
	    term_off(1));
	free(safe);
	free(text);
	free(name);
}

/* Print the findings of the filters: those about the prompt, then those about
 * the reply, the strongest first. */
static void
show_verdicts(struct show *l, const json_t *verdicts)
{
	const size_t	 n = json_array_size(verdicts);
	const char	*action, *direction;
	json_t		**all;
	size_t		 i;
	int		 reply;

	all = xcalloc(n + 1, sizeof(json_t *));
	for (i = 0; i < n; i++)
		all[i] = json_array_get(verdicts, i);
	qsort(all, n, sizeof *all, explain_strongest);
	for (reply = 0; reply < 2; reply++) {
		for (i = 0; i < n; i++) {
			action = msg_string(all[i], "action");
			direction = msg_string(all[i], "direction");
			if (action == NULL || strcmp(action, "allow") == 0 ||
			    reply != (direction != NULL &&
			    strcmp(direction, "reply") == 0))
				continue;
			show_verdict(l, all[i], action);
		}
	}
	free(all);
}
