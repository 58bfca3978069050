/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the interactive chat about the texts that the model reads:
 * messages, files, the pre-prompt, and all of it.
 */
#include "repl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow.h"
#include "json.h"
#include "xmalloc.h"

#define TEXT_BEFORE	24	/* columns before a text in a list, and of the
				 * dots after it */
#define TEXT_HEAD	400	/* most bytes of such a text */

/* Send a message. */
void
repl_text_send(struct repl *r, const char *text)
{
	char	*kept = xstrdup(text);
	json_t	*m;

	free(r->sent);
	r->sent = kept;
	if (r->ctl->opt.raw)
		repl_link_say(r, say_complete(kept, r->ctl->opt.params));
	else if (repl_link_open(r) == 0) {
		m = say_message(kept, r->conversation, r->ctl->opt.preprompt,
		    r->ctl->opt.params);
		if (r->topic)
			msg_set_bool(m, "topic", 1);
		r->topic = 0;
		repl_link_say(r, m);
	}
}

/* Count the tokens of a text, or return -1, reported. */
static int64_t
repl_text_tokens(struct repl *r, const char *text)
{
	json_t	*m = msg_op("tokenize", -1), *end;
	int64_t	 n = -1;

	msg_set_string(m, "text", text);
	if (link_call(r->ctl, m, NULL, NULL, &end) == CTL_OK)
		n = msg_int(end, "count", -1);
	json_decref(end);
	return (n);
}

/* /system */
void
repl_text_system(struct repl *r, char *rest)
{
	struct render	 show;

	input_chomp(rest);
	if (*rest == '\0') {
		if (r->ctl->opt.preprompt == NULL) {
			term_note("[no pre-prompt is set here]");
			return;
		}
		render_init(&show, stdout, term_mark(1));
		render_text(&show, r->ctl->opt.preprompt,
		    strlen(r->ctl->opt.preprompt));
		render_end(&show);
		putchar('\n');
		return;
	}
	free(r->preprompt);
	r->preprompt = strcmp(rest, "reset") == 0 ? NULL :
	    edit_expand(r->edit, rest);
	r->ctl->opt.preprompt = r->preprompt;
	term_note(r->preprompt == NULL ? "[no pre-prompt any more]" :
	    "[the model reads this before the conversation, from your next "
	    "message on]");
}

/* Read a file into *text. 0, or -1, reported. */
static int
repl_text_read(struct repl *r, const char *path, char **text)
{
	int	 fd, status;

	if ((fd = open(path, O_RDONLY|O_CLOEXEC)) == -1) {
		term_error("%s: %s", path, strerror(errno));
		return (-1);
	}
	status = input_read(fd, path, (size_t)wire_limit(r->ctl->chat,
	    "prompt", CTL_PROMPT_MAX), text);
	close(fd);
	if (status != CTL_OK)
		return (-1);
	input_chomp(*text);
	if (**text != '\0')
		return (0);
	term_error("%s: empty; expected a text", path);
	free(*text);
	return (-1);
}

/* /file */
void
repl_text_file(struct repl *r, char *rest)
{
	char	*text, *both, *path, *home = getenv("HOME");
	size_t	 n;
	int64_t	 tokens;

	input_chomp(rest);
	if (*rest == '\0') {
		term_error("/file PATH [MESSAGE]: expected the path of a file");
		return;
	}
	if (repl_link_open(r) == -1)
		return;
	n = strcspn(rest, " \t");
	path = rest[0] == '~' && rest[1] == '/' && home != NULL ?
	    xasprintf("%s%.*s", home, (int)n - 1, rest + 1) :
	    xstrndup(rest, n);
	rest += n + strspn(rest + n, " \t");
	if (repl_text_read(r, path, &text) == 0 &&
	    (tokens = repl_text_tokens(r, text)) != -1) {
		term_note("[%s: %lld tokens]", path, (long long)tokens);
		both = *rest == '\0' ? xstrdup(text) :
		    xasprintf("%s\n\n%s", rest, text);
		repl_text_send(r, both);
		free(both);
		free(text);
	}
	free(path);
}

/* /edit */
void
repl_text_edit(struct repl *r, char *rest)
{
	char	*text;

	(void)rest;
	if ((text = input_edit(r->sent != NULL ? r->sent : "")) == NULL)
		return;
	input_chomp(text);
	if (*text == '\0')
		term_note("[empty: nothing was sent]");
	else
		repl_text_send(r, text);
	free(text);
}

/* ---- /context */

/* What the model will see, message by message. */
struct seen {
	struct seen_text {
		const char	*role;	/* static */
		char		*head;	/* owned: the beginning, one line */
		char		*text;	/* owned */
		int64_t		 tokens;
	}	*list;			/* owned */
	size_t	 n;
};

/* Add a message. */
static void
seen_add(struct seen *s, const char *role, const char *tag, const char *text)
{
	struct seen_text	*t;
	char			*line;

	s->list = xreallocarray(s->list, s->n + 1, sizeof *s->list);
	t = &s->list[s->n++];
	t->role = role;
	t->text = xasprintf("%s%s\n", tag, text);
	line = render_line(text);
	t->head = xstrndup(line, strnlen(line, TEXT_HEAD));
	t->tokens = 0;
	free(line);
}

/* Add an exchange: its prompt, and the newest reply. */
static void
seen_exchange(void *arg, const json_t *event)
{
	struct seen	*s = arg;
	const json_t	*x = json_object_get(event, "exchange");
	const json_t	*replies = json_object_get(x, "replies"), *reply;
	const char	*prompt = msg_string(x, "prompt"), *text, *state;

	reply = json_array_get(replies, json_array_size(replies) - 1);
	text = msg_string(reply, "text");
	state = msg_string(reply, "state");
	if (prompt == NULL || text == NULL || *text == '\0' || state == NULL ||
	    (strcmp(state, "done") != 0 && strcmp(state, "cancelled") != 0))
		return;		/* blocked and failed ones are not read */
	if (!json_is_true(json_object_get(x, "continued")))
		seen_add(s, "you", "<human>: ", prompt);
	seen_add(s, "model", "<bot>: ", text);
}

/* Print as much of the beginning of a text as fits into the line. */
static void
seen_head(const struct seen_text *t)
{
	size_t	 n = 0, len = strlen(t->head);
	int	 width = 0, rows, columns;

	term_size(&rows, &columns);
	while (n < len && width < columns - TEXT_BEFORE) {
		width += render_width(t->head + n,
		    render_next(t->head + n, len - n));
		n += render_next(t->head + n, len - n);
	}
	printf("%.*s%s", (int)n, t->head, n < len ? "..." : "");
}

/* Print one message. */
static void
seen_print(const struct seen_text *t, int dropped)
{
	printf("%s%8lld  %-10s ", dropped ? term_on(1, ROLE_DIM) : "",
	    (long long)t->tokens, dropped ? "(left out)" : t->role);
	seen_head(t);
	printf("%s\n", dropped ? term_off(1) : "");
}

/* Count the tokens, and print all messages. */
static void
seen_show(struct repl *r, struct seen *s)
{
	const json_t	*hello = wire_hello(r->ctl->chat);
	int64_t		 context = msg_int(json_object_get(hello, "model"),
			    "context", 0);
	int64_t		 most, sum = 0;
	size_t		 i, first = 0, pre;

	most = msg_int(r->ctl->opt.params, "max_tokens",
	    msg_int(json_object_get(hello, "defaults"), "max_tokens", 0));
	for (i = 0; i < s->n; i++) {
		s->list[i].tokens = repl_text_tokens(r, s->list[i].text);
		if (s->list[i].tokens == -1)
			return;
		sum += s->list[i].tokens;
	}
	pre = s->n > 0 && strcmp(s->list[0].role, "pre-prompt") == 0;
	/* chatd leaves out messages in pairs, the oldest first. */
	for (first = pre; first + 1 < s->n && sum + most > context &&
	    context > 0; first += 2)
		sum -= s->list[first].tokens + s->list[first + 1].tokens;
	for (i = 0; i < s->n; i++)
		seen_print(&s->list[i], i >= pre && i < first);
	printf("%8lld  of %lld tokens; %lld are left for the reply\n",
	    (long long)sum, (long long)context, (long long)most);
}

/* /context */
void
repl_text_context(struct repl *r, char *rest)
{
	struct seen	 s = { NULL, 0 };
	json_t		*m, *end = NULL;
	size_t		 i;

	(void)rest;
	if (repl_link_open(r) == -1)
		return;
	if (r->ctl->opt.preprompt != NULL)
		seen_add(&s, "pre-prompt", "", r->ctl->opt.preprompt);
	if (r->conversation != 0) {
		m = msg_op("show", -1);
		msg_set_int(m, "conversation", r->conversation);
		if (link_call(r->ctl, m, seen_exchange, &s, &end) != CTL_OK)
			s.n = 0;
		json_decref(end);
	}
	if (s.n == 0)
		term_note("[nothing yet: your next message is all that the "
		    "model will see]");
	else
		seen_show(r, &s);
	for (i = 0; i < s.n; i++) {
		free(s.list[i].head);
		free(s.list[i].text);
	}
	free(s.list);
}

/* ---- /branch */

/* The replies to one prompt. */
struct branches {
	json_t	*list;		/* owned */
};

/* Collect the replies of an exchange; a long one comes in several parts. */
static void
branch_take(void *arg, const json_t *event)
{
	struct branches	*b = arg;

	json_array_extend(b->list, json_object_get(json_object_get(event,
	    "exchange"), "replies"));
}

/* Print one reply as a line of a list. */
static void
branch_line(const struct repl *r, size_t i, const json_t *reply)
{
	struct seen_text	 t = { .role = "" };
	const char		*state;
	const json_t		*rating = json_object_get(reply, "rating");
	int64_t			 thumb = msg_int(rating, "thumb", 0);

	state = thumb > 0 ? "good" : thumb < 0 ? "bad" :
	    msg_string(reply, "state");
	if (state == NULL || (thumb == 0 && strcmp(state, "done") == 0))
		state = "";
	t.head = render_line(msg_string(reply, "text"));
	printf("%4zu%s %-10.10s ", i + 1, msg_int(reply, "reply", 0) ==
	    r->last.reply ? "*" : " ", state);
	seen_head(&t);
	putchar('\n');
	free(t.head);
}

/* /branch */
void
repl_text_branch(struct repl *r, char *rest)
{
	struct branches	 b = { json_array() };
	json_t		*m, *end = NULL, *reply;
	struct flow	*flow;
	const char	*text;
	int64_t		 n = 0;
	size_t		 i;

	input_chomp(rest);
	if (r->last.exchange == 0) {
		term_error("there is no reply yet");
		goto out;
	}
	if (*rest != '\0' && opts_number(rest, 1, INT64_MAX, &n) != 0) {
		term_error("/branch: expected the number of a reply, as "
		    "/branch lists it, found \"%s\"", rest);
		goto out;
	}
	if (repl_link_open(r) == -1)
		goto out;
	m = msg_op("show", -1);
	msg_set_int(m, "exchange", r->last.exchange);
	if (link_call(r->ctl, m, branch_take, &b, &end) != CTL_OK)
		goto out;
	json_array_foreach(b.list, i, reply) {
		if (n == 0)
			branch_line(r, i, reply);
	}
	if (n == 0)
		goto out;
	if ((reply = json_array_get(b.list, (size_t)n - 1)) == NULL) {
		term_error("/branch: there are %zu replies, found %lld",
		    json_array_size(b.list), (long long)n);
		goto out;
	}
	text = msg_string(reply, "text");
	r->last.reply = msg_int(reply, "reply", 0);
	free(r->last.text);
	r->last.text = xstrdup(text != NULL ? text : "");
	flow = flow_new(stdout, 0, term_mark(1) != 0);
	flow_text(flow, r->last.text, strlen(r->last.text));
	flow_end(flow);
	flow_break(flow);
	flow_free(flow);
	term_note("[reply %lld of %zu; /good, /bad and /ideal are about it]",
	    (long long)n, json_array_size(b.list));
out:
	json_decref(end);
	json_decref(b.list);
}
