/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One streamed reply: sends the request, prints the text on stdout as it comes,
 * and notices, errors and an early end on stderr.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "flow.h"
#include "json.h"
#include "xmalloc.h"

/* The state of one request while its events are shown. */
struct say {
	struct ctl	*ctl;		/* borrowed */
	struct said	*said;		/* borrowed: filled */
	struct render	 render;	/* how the text is shown */
	struct flow	*flow;		/* owned: or so, if not NULL */
	struct waiting	 waiting;
	FILE		*copy;		/* owned: writes said->text */
	size_t		 copy_len;
	int		 chatting;	/* in the interactive chat */
	int		 shown;		/* some text came */
};

static void	say_event(void *, const json_t *);
static void	say_text(struct say *, const char *);
static void	say_notice(struct say *, const json_t *);
static void	say_tick(void *);
static void	say_quiet(struct say *);
static int	say_column(const struct say *);
static void	say_numbers(struct said *, const json_t *);
static void	say_newline(struct say *);
static int	say_end(struct say *, int, const json_t *);
static void	say_stop(struct say *);

/* A request for a reply in a conversation. */
json_t *
say_message(const char *text, int64_t conversation, const char *preprompt,
    const json_t *params)
{
	json_t	*m = msg_op("say", -1);

	msg_set_string(m, "text", text);
	if (conversation > 0)
		msg_set_int(m, "conversation", conversation);
	msg_set_string(m, "preprompt", preprompt);
	if (json_object_size(params) > 0)
		msg_set(m, "params", json_deep_copy(params));
	return (m);
}

/* A request that continues a raw prompt. */
json_t *
say_complete(const char *prompt, const json_t *params)
{
	json_t	*m = msg_op("complete", -1);

	msg_set_string(m, "prompt", prompt);
	if (json_object_size(params) > 0)
		msg_set(m, "params", json_deep_copy(params));
	return (m);
}

/* A request for another reply to the same prompt, or for more of the newest. */
json_t *
say_again(int64_t exchange, int further, const json_t *params)
{
	json_t	*m = msg_op("regenerate", -1);

	msg_set_int(m, "exchange", exchange);
	if (further)
		msg_set_bool(m, "continue", 1);
	if (json_object_size(params) > 0)
		msg_set(m, "params", json_deep_copy(params));
	return (m);
}

/* Release a struct said. */
void
say_clear(struct said *said)
{
	free(said->text);
	memset(said, 0, sizeof *said);
}

/* Run one request. */
int
say_run(struct ctl *ctl, json_t *msg, int chatting, struct said *said)
{
	struct say	 say = { .ctl = ctl, .said = said,
			    .chatting = chatting };
	json_t		*end;
	int		 status;

	say_clear(said);
	render_init(&say.render, stdout, term_mark(1));
	if (term_is(1) && !ctl->opt.json && !ctl->opt.plain)
		say.flow = flow_new(stdout, 0, term_mark(1) != 0);
	waiting_begin(&say.waiting, !ctl->opt.json && !ctl->opt.quiet);
	ctl->tick = say_tick;
	ctl->tick_arg = &say;
	if ((say.copy = open_memstream(&said->text, &say.copy_len)) == NULL)
		abort();
	status = link_run(ctl, msg, 1, say_event, &say, &end);
	ctl->tick = NULL;
	say_quiet(&say);
	render_end(&say.render);
	if (say.flow != NULL)
		flow_end(say.flow);
	status = say_end(&say, status, end);
	json_decref(end);
	fclose(say.copy);
	flow_free(say.flow);
	term_flush();
	return (status);
}

/* Erase the line that says what is waited for. */
static void
say_quiet(struct say *say)
{
	if (!say->waiting.shown)
		return;
	waiting_clear(&say->waiting);
	fflush(stderr);
}

/* Nothing has come for a while. */
static void
say_tick(void *arg)
{
	struct say	*say = arg;

	say->waiting.rows = say->flow != NULL ? flow_rows(say->flow) : 0;
	if (say->shown && say->waiting.rows == 0 && !say->waiting.restarting)
		return;
	if (say_column(say) != 0)
		return;		/* it has a line of its own */
	waiting_show(&say->waiting);
}

/* The column of the cursor. */
static int
say_column(const struct say *say)
{
	return (say->flow != NULL ? flow_column(say->flow) :
	    say->render.column);
}

/* Take one event before the last. */
static void
say_event(void *arg, const json_t *event)
{
	struct say	*say = arg;
	const char	*name = msg_string(event, "event");

	if (say->ctl->opt.json)
		term_json(event);
	if (strcmp(name, "accepted") == 0)
		say_numbers(say->said, event);
	else if (strcmp(name, "text") == 0)
		say_text(say, msg_string(event, "text"));
	else if (strcmp(name, "notice") == 0)
		say_notice(say, event);
	if (strcmp(name, "accepted") == 0) {
		say->waiting.place = msg_int(event, "place", 0);
		if (say->chatting && !say->waiting.on &&
		    say->waiting.place > 0)
			term_note("[waiting: %lld before you]",
			    (long long)say->waiting.place);
	} else if (strcmp(name, "started") == 0) {
		say->waiting.tokens = msg_int(event, "prompt_tokens", 0);
		say->waiting.restarting = 0;
	}
}

/* Keep the numbers that chatd assigned. */
static void
say_numbers(struct said *said, const json_t *event)
{
	said->exchange = msg_int(event, "exchange", said->exchange);
	said->conversation = msg_int(event, "conversation",
	    said->conversation);
	said->reply = msg_int(event, "reply", said->reply);
}

/* Show a piece of the reply: escaped on a terminal, as it is elsewhere. */
static void
say_text(struct say *say, const char *text)
{
	size_t	 n;

	if (text == NULL || *text == '\0')
		return;
	n = strlen(text);
	fwrite(text, 1, n, say->copy);
	for (; say->ctl->known != NULL && n > 0 &&
	    *text == *say->ctl->known; n--, text++)
		say->ctl->known++;	/* it is on the screen already */
	if (n == 0)
		return;
	say->ctl->known = NULL;
	say->shown = 1;
	say->waiting.restarting = 0;
	say->waiting.since = clock_monotonic();
	if (say->ctl->opt.json)
		return;
	say_quiet(say);
	if (say->flow != NULL)
		flow_text(say->flow, text, n);
	else if (term_is(1))
		render_text(&say->render, text, n);
	else {
		fwrite(text, 1, n, stdout);
		say->render.column = text[n - 1] != '\n';
	}
	term_flush();
}

/* Print a notice. */
static void
say_notice(struct say *say, const json_t *event)
{
	const char	*text = msg_string(event, "message");
	const char	*code = msg_string(event, "code");

	if (code != NULL && strcmp(code, "quota_near") == 0 &&
	    say->ctl->near++ > 0)
		return;		/* print it once only */
	if (text == NULL)
		text = code;
	if (code != NULL && strcmp(code, "engine_restarted") == 0) {
		say->waiting.restarting = 1;
		say->waiting.since = clock_monotonic();
	}
	say_quiet(say);
	if (say->chatting || term_is(1))
		say_newline(say);
	term_note("[%s]", text == NULL ? "notice without a message" : text);
}

/* End the line that the reply has begun. */
static void
say_newline(struct say *say)
{
	if (say->flow != NULL)
		flow_break(say->flow);
	else if (!say->ctl->opt.json && say->render.column != 0)
		fputc('\n', stdout);
	say->render.column = 0;
}

/* After a text was blocked: name the category, and how to object. */
static void
say_appeal(const struct say *say, const json_t *end)
{
	const char	*code = msg_string(end, "code");
	const char	*category = msg_string(end, "category");

	if (code == NULL || strcmp(code, "blocked") != 0 || category == NULL ||
	    say->said->exchange == 0)
		return;
	if (say->chatting)
		term_note("[blocked as %s; if that is wrong: /bad "
		    "wrong_refusal]", category);
	else
		term_note("[blocked as %s; if that is wrong: chatctl rate "
		    "%lld bad --reason wrong_refusal]", category,
		    (long long)say->said->exchange);
}

/* Print the numbers of tokens of a reply, and its speed from the first text
 * on. */
static void
say_speed(const json_t *end)
{
	const json_t	*times = json_object_get(end, "times");
	int64_t		 n = msg_int(end, "output_tokens", 0);
	int64_t		 first = msg_int(times, "first_ms", 0);
	int64_t		 ms = msg_int(times, "total_ms", 0) - first;

	term_note("[read %lld tokens, wrote %lld; first text after %.1f s, "
	    "then %.1f tokens/s]", (long long)msg_int(end, "prompt_tokens",
	    0), (long long)n, (double)first / 1000, n > 1 && ms > 0 ?
	    (double)(n - 1) * 1000 / (double)ms : 0.0);
}

/* The request has ended. Returns the exit status. */
static int
say_end(struct say *say, int status, const json_t *end)
{
	const char	*stop = msg_string(end, "stop");

	if (end != NULL) {
		say_numbers(say->said, end);
		if (say->ctl->opt.json)
			term_json(end);
	}
	/* Outside the interactive chat an empty reply is an empty line. */
	if (status == CTL_OK && !say->shown && !say->chatting &&
	    !say->ctl->opt.json)
		fputc('\n', stdout);
	say_newline(say);
	if (status != CTL_OK) {
		link_report(say->ctl, end);
		say_appeal(say, end);
		return (status);
	}
	if (stop != NULL)
		snprintf(say->said->stop, sizeof say->said->stop, "%s", stop);
	say_stop(say);
	if (say->ctl->verbose)
		say_speed(end);
	return (strcmp(say->said->stop, "cancelled") == 0 ?
	    CTL_INTERRUPTED : CTL_OK);
}

/* Report why a reply ended early, if it did. */
static void
say_stop(struct say *say)
{
	static const struct {
		const char	*stop, *message;
	} table[] = {
		{ "length", "[cut off at the token limit: max_tokens; "
		    "/continue goes on]" },
		{ "context", "[cut off: the model's context is full]" },
		{ "repeat", "[stopped: the reply repeats itself; /again asks "
		    "for another]" },
		{ "cancelled", "[stopped]" },
	};
	size_t	 i;

	for (i = 0; i < nitems(table); i++)
		if (strcmp(table[i].stop, say->said->stop) == 0 &&
		    (i > 0 || say->chatting))
			term_note("%s", table[i].message);
	if (say->chatting && !say->shown && say->said->stop[0] == 'e')
		term_note("[the reply is empty]");
}
