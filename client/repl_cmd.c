/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the interactive chat.
 */
#include "repl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "suggest.h"
#include "vocabulary.h"
#include "xmalloc.h"

static void	repl_cmd_help(struct repl *, char *);
static void	repl_cmd_new(struct repl *, char *);
static void	repl_cmd_list(struct repl *, char *);
static void	repl_cmd_open(struct repl *, char *);
static void	repl_cmd_show(struct repl *, char *);
static void	repl_cmd_good(struct repl *, char *);
static void	repl_cmd_bad(struct repl *, char *);
static void	repl_cmd_ideal(struct repl *, char *);
static void	repl_cmd_edit(struct repl *, char *);
static void	repl_cmd_again(struct repl *, char *);
static void	repl_cmd_continue(struct repl *, char *);
static void	repl_cmd_topic(struct repl *, char *);
static void	repl_cmd_raw(struct repl *, char *);
static void	repl_cmd_params(struct repl *, char *);
static void	repl_cmd_delete(struct repl *, char *);
static void	repl_cmd_search(struct repl *, char *);
static void	repl_cmd_verbose(struct repl *, char *);
static void	repl_cmd_status(struct repl *, char *);
static void	repl_cmd_quit(struct repl *, char *);

static const struct repl_cmd table[] = {
	{ "/help", "[COMMAND]", "list the commands", WORDS_COMMANDS,
	    repl_cmd_help },
	{ "/new", "[TITLE]", "begin a new conversation", WORDS_NONE,
	    repl_cmd_new },
	{ "/list", "[N]", "your conversations, newest first", WORDS_NONE,
	    repl_cmd_list },
	{ "/open", "N", "continue conversation N", WORDS_CONVERSATIONS,
	    repl_cmd_open },
	{ "/show", "[N]", "this conversation, or N", WORDS_CONVERSATIONS,
	    repl_cmd_show },
	{ "/search", "WORDS", "find your exchanges with these words",
	    WORDS_NONE, repl_cmd_search },
	{ "/delete", "N", "delete conversation N for good",
	    WORDS_CONVERSATIONS, repl_cmd_delete },
	{ "/system", "[TEXT]", "show or set the pre-prompt, which the model "
	    "reads first; reset unsets it", WORDS_NONE, repl_text_system },
	{ "/file", "PATH [MESSAGE]", "send a file, after MESSAGE if there is "
	    "one", WORDS_NONE, repl_text_file },
	{ "/edit", "", "change your last message in your editor, and send it",
	    WORDS_NONE, repl_text_edit },
	{ "/context", "", "what the model will see, in tokens", WORDS_NONE,
	    repl_text_context },
	{ "/good", "[COMMENT]", "the last reply was good", WORDS_NONE,
	    repl_cmd_good },
	{ "/bad", "[REASON...] [COMMENT]", "the last reply was bad; "
	    "Tab offers reasons", WORDS_REASONS, repl_cmd_bad },
	{ "/ideal", "[TEXT]", "the reply you wanted; without TEXT, in "
	    "your editor", WORDS_NONE, repl_cmd_ideal },
	{ "/edit-reply", "", "change the last reply in your editor into the "
	    "one you wanted", WORDS_NONE, repl_cmd_edit },
	{ "/again", "", "another reply to the last message", WORDS_NONE,
	    repl_cmd_again },
	{ "/branch", "[N]", "list the replies to the last message, or go to "
	    "reply N", WORDS_NONE, repl_text_branch },
	{ "/continue", "", "more of the last reply, which was cut off",
	    WORDS_NONE, repl_cmd_continue },
	{ "/topic", "", "begin a new subject: the model forgets, you don't",
	    WORDS_NONE, repl_cmd_topic },
	{ "/raw", "PROMPT", "continue PROMPT itself, outside "
	    "conversations", WORDS_NONE, repl_cmd_raw },
	{ "/params", "[NAME=VALUE...]", "show or set sampling parameters; "
	    "NAME= unsets, reset unsets all", WORDS_PARAMS, repl_cmd_params },
	{ "/verbose", "", "after each reply, show its tokens and its speed; "
	    "or no more", WORDS_NONE, repl_cmd_verbose },
	{ "/status", "", "what chatd, its model and its helpers are doing",
	    WORDS_NONE, repl_cmd_status },
	{ "/quit", "", "leave (also /exit, /bye, Ctrl-D)", WORDS_NONE,
	    repl_cmd_quit },
};

/* Other names of commands. */
static const struct { const char *name, *means; } aliases[] = {
	{ "/exit", "/quit" },
	{ "/bye", "/quit" },
};

#define REPL_HELP	37	/* the column of what a command does */
#define REPL_NARROW	60	/* columns; below, it has lines of its own */

/* The argument that a command expects, for messages. */
#define REPL_COUNT	"how many conversations to list, 1 or more"
#define REPL_WHICH	"the number of a conversation, as /list shows it"

static void	repl_cmd_unknown(const char *);
static int64_t	repl_cmd_number(const char *, const char *, char *, int64_t);
static void	repl_cmd_rate(struct repl *, int, const json_t *, const char *,
		    const char *);
static void	repl_cmd_param(struct repl *, char *);

/* Return the i-th command. */
const struct repl_cmd *
repl_cmd_at(size_t i)
{
	return (i < nitems(table) ? &table[i] : NULL);
}

/* Find a command by the n bytes of its name. */
const struct repl_cmd *
repl_cmd_find(const char *name, size_t n)
{
	size_t	 i;

	for (i = 0; i < nitems(aliases); i++) {
		if (strlen(aliases[i].name) == n &&
		    strncmp(aliases[i].name, name, n) == 0) {
			name = aliases[i].means;
			n = strlen(name);
			break;
		}
	}
	for (i = 0; i < nitems(table); i++)
		if (strlen(table[i].name) == n &&
		    strncmp(table[i].name, name, n) == 0)
			return (&table[i]);
	return (NULL);
}

/* Run a command line. */
void
repl_cmd_run(struct repl *r, char *line)
{
	const struct repl_cmd	*cmd;
	size_t			 n = strcspn(line, " \t\n");
	char			*rest = line + n;

	rest += strspn(rest, " \t\n");
	cmd = repl_cmd_find(line, n);
	line[n] = '\0';
	if (cmd == NULL)
		repl_cmd_unknown(line);
	else if (*cmd->args == '\0' && *rest != '\0')
		term_error("%s: takes no argument, found \"%s\"",
		    line, rest);
	else
		cmd->run(r, rest);
}

/* Report an unknown command. */
static void
repl_cmd_unknown(const char *name)
{
	const char	*names[nitems(table) + 1], *near;
	size_t		 i;

	for (i = 0; i < nitems(table); i++)
		names[i] = table[i].name;
	names[i] = NULL;
	near = suggest_word(name, names);
	term_error("%s: no such command%s%s; /help lists them, "
	    "//text sends text that begins with a slash", name,
	    near == NULL ? "" : "; did you mean ", near == NULL ? "" : near);
}

/* The number in rest, dflt if rest is empty, or 0 after reporting that rest is
 * not what command name expects. */
static int64_t
repl_cmd_number(const char *name, const char *what, char *rest, int64_t dflt)
{
	int64_t	 n;

	input_chomp(rest);
	rest[strcspn(rest, " \t")] = '\0';
	if (*rest == '\0' && dflt > 0)
		return (dflt);
	if (opts_number(rest, 1, INT64_MAX, &n) == 0)
		return (n);
	term_error("%s: expected %s, found %s%s%s", name, what,
	    *rest == '\0' ? "" : "\"", *rest == '\0' ? "nothing" : rest,
	    *rest == '\0' ? "" : "\"");
	return (0);
}

/* Print what a command does. */
static void
repl_cmd_describe(const struct repl_cmd *cmd)
{
	int	 rows, columns, indent = REPL_HELP;

	term_size(&rows, &columns);
	if (columns < REPL_NARROW)
		printf("  %s %s\n%*s", cmd->name, cmd->args, indent = 4, "");
	else
		printf("  %-12s%-22s ", cmd->name, cmd->args);
	term_words(cmd->help, indent, indent);
}

/* /help */
static void
repl_cmd_help(struct repl *r, char *rest)
{
	const struct repl_cmd	*only = NULL;
	char			*left;
	size_t			 i;

	(void)r;
	input_chomp(rest);
	if (*rest != '\0') {
		left = xasprintf("%s%s", *rest == '/' ? "" : "/", rest);
		left[strcspn(left, " \t")] = '\0';
		if ((only = repl_cmd_find(left, strlen(left))) == NULL)
			repl_cmd_unknown(left);
		free(left);
		if (only == NULL)
			return;
	}
	for (i = 0; i < nitems(table); i++)
		if (only == NULL || only == &table[i])
			repl_cmd_describe(&table[i]);
	if (only == NULL) {
		printf("\n  ");
		term_words("A line that ends in \\ continues on the next "
		    "line; \"\"\" begins and ends a text of many lines; pasted "
		    "lines are one message. Ctrl-C stops a reply.", 2, 2);
	}
}

/* /new */
static void
repl_cmd_new(struct repl *r, char *rest)
{
	json_t	*m, *end;

	input_chomp(rest);
	r->conversation = 0;
	say_clear(&r->last);
	if (*rest != '\0' && repl_link_open(r) == 0) {
		m = msg_op("new", -1);
		msg_set_string(m, "title", rest);
		if (link_call(r->ctl, m, NULL, NULL, &end) == CTL_OK)
			r->conversation = msg_int(end, "conversation", 0);
		json_decref(end);
	}
	term_note("[a new conversation]");
}

/* /list */
static void
repl_cmd_list(struct repl *r, char *rest)
{
	int64_t		 n = repl_cmd_number("/list", REPL_COUNT, rest, 20);
	struct pager	 p;
	json_t		*m;
	FILE		*out;

	if (n == 0 || repl_link_open(r) == -1)
		return;
	m = msg_op("list", -1);
	msg_set_int(m, "limit", n > 200 ? 200 : n);
	out = pager_open(&p, !r->ctl->opt.no_pager);
	r->ctl->current = r->conversation;
	list_print(r->ctl, m, out);
	pager_close(&p);
}

/* /open */
static void
repl_cmd_open(struct repl *r, char *rest)
{
	struct said	 last = { 0 };
	int64_t		 n = repl_cmd_number("/open", REPL_WHICH, rest, 0);

	if (n == 0 || repl_link_open(r) == -1)
		return;
	if (show_recap(r->ctl, n, stdout, &last) != CTL_OK) {
		say_clear(&last);
		return;
	}
	r->conversation = last.conversation = n;
	say_clear(&r->last);
	r->last = last;
	term_note("[conversation %lld]", (long long)n);
}

/* /show */
static void
repl_cmd_show(struct repl *r, char *rest)
{
	struct pager	 p;
	int64_t		 n;

	if (*rest == '\0' && r->conversation == 0) {
		term_error("nothing has been said yet; /show N shows "
		    "conversation N");
		return;
	}
	n = repl_cmd_number("/show", REPL_WHICH, rest, r->conversation);
	if (n == 0 || repl_link_open(r) == -1)
		return;
	show_conversation(r->ctl, n, pager_open(&p, !r->ctl->opt.no_pager),
	    NULL);
	pager_close(&p);
}

/* Rate the last reply. */
static void
repl_cmd_rate(struct repl *r, int thumb, const json_t *reasons,
    const char *ideal, const char *comment)
{
	json_t	*end;

	if (r->last.exchange == 0) {
		term_error("there is no reply to rate yet");
		return;
	}
	if (repl_link_open(r) == -1)
		return;
	if (link_call(r->ctl, rate_message(r->last.exchange, r->last.reply,
	    thumb, reasons, ideal, comment), NULL, NULL, &end) == CTL_OK)
		rate_report(end);
	json_decref(end);
}

/* /good */
static void
repl_cmd_good(struct repl *r, char *rest)
{
	input_chomp(rest);
	repl_cmd_rate(r, 1, NULL, NULL, *rest == '\0' ? NULL : rest);
}

/* Report a word that is nearly a reason, so that it is not taken for the
 * beginning of the comment. Returns 1, or 0 if it is another word. */
static int
repl_cmd_misspelt(const char *rest, size_t n)
{
	char		*word = xstrndup(rest, n);
	const char	*near = suggest_word(word, vocabulary_reasons);

	if (near != NULL)
		term_error("/bad: \"%s\" is no reason; did you mean %s? "
		    "A comment may follow --", word, near);
	free(word);
	return (near != NULL);
}

/* /bad: reasons, then a comment. */
static void
repl_cmd_bad(struct repl *r, char *rest)
{
	json_t	*reasons = json_array();
	size_t	 i, n;

	input_chomp(rest);
	while (*rest != '\0') {
		n = strcspn(rest, " \t\n,");
		if (n == 2 && strncmp(rest, "--", n) == 0) {
			rest += n + strspn(rest + n, " \t\n");
			break;
		}
		for (i = 0; vocabulary_reasons[i] != NULL; i++)
			if (strlen(vocabulary_reasons[i]) == n &&
			    strncmp(vocabulary_reasons[i], rest, n) == 0)
				break;
		if (vocabulary_reasons[i] == NULL &&
		    repl_cmd_misspelt(rest, n)) {
			json_decref(reasons);
			return;
		}
		if (vocabulary_reasons[i] == NULL)
			break;
		json_array_append_new(reasons,
		    json_string(vocabulary_reasons[i]));
		rest += n;
		rest += strspn(rest, " \t\n,");
	}
	repl_cmd_rate(r, -1, reasons, NULL, *rest == '\0' ? NULL : rest);
	json_decref(reasons);
}

/* /ideal */
static void
repl_cmd_ideal(struct repl *r, char *rest)
{
	char	*text;

	if (r->last.exchange == 0) {
		term_error("there is no reply to improve yet");
		return;
	}
	if (*rest != '\0')
		text = edit_expand(r->edit, rest);
	else if ((text = input_edit(r->last.text)) == NULL)
		return;
	input_chomp(text);
	if (*text == '\0' || strcmp(text, r->last.text) == 0)
		term_note("[unchanged: nothing was saved]");
	else
		repl_cmd_rate(r, RATE_NONE, NULL, text, NULL);
	free(text);
}

/* /edit-reply: the same in the editor. */
static void
repl_cmd_edit(struct repl *r, char *rest)
{
	repl_cmd_ideal(r, rest);
}

/* /again */
static void
repl_cmd_again(struct repl *r, char *rest)
{
	(void)rest;
	if (r->last.exchange == 0)
		term_error("there is no message to answer again yet");
	else
		repl_link_say(r, say_again(r->last.exchange, 0,
		    r->ctl->opt.params));
}

/* /continue */
static void
repl_cmd_continue(struct repl *r, char *rest)
{
	char	*known;

	(void)rest;
	if (r->last.exchange == 0) {
		term_error("there is no reply to continue yet");
		return;
	}
	known = xstrdup(r->last.text);
	r->ctl->known = known;
	repl_link_say(r, say_again(r->last.exchange, 1, r->ctl->opt.params));
	r->ctl->known = NULL;
	free(known);
}

/* /topic */
static void
repl_cmd_topic(struct repl *r, char *rest)
{
	(void)rest;
	r->topic = r->conversation != 0;
	term_note(r->topic ? "[your next message begins a new subject: the "
	    "model reads nothing of what was said before]" :
	    "[nothing has been said yet]");
}

/* /raw */
static void
repl_cmd_raw(struct repl *r, char *rest)
{
	char	*text;

	if (*rest == '\0') {
		term_error("/raw PROMPT: expected a prompt, which may have "
		    "many lines");
		return;
	}
	text = edit_expand(r->edit, rest);
	repl_link_say(r, say_complete(text, r->ctl->opt.params));
	free(text);
}

/* Set one parameter. */
static void
repl_cmd_param(struct repl *r, char *word)
{
	char	*value = strchr(word, '='), *why;

	if (strcmp(word, "reset") == 0) {
		json_object_clear(r->ctl->opt.params);
		term_note("[parameters reset]");
		return;
	}
	if (value == NULL) {
		term_error("expected NAME=VALUE or reset, found \"%s\"", word);
		return;
	}
	*value++ = '\0';
	if ((why = param_opts_set(r->ctl->opt.params, word, value)) != NULL)
		term_error("%s", why);
	else
		term_note("[%s=%s]", word, value);
	free(why);
}

/* /params */
static void
repl_cmd_params(struct repl *r, char *rest)
{
	size_t	 n;
	char	 end;

	if (*rest == '\0')
		param_opts_show(r->ctl->opt.params,
		    json_object_get(wire_hello(r->ctl->chat), "defaults"),
		    stdout);
	while (*rest != '\0') {
		n = strcspn(rest, " \t\n");
		end = rest[n];
		rest[n] = '\0';
		repl_cmd_param(r, rest);
		rest += n;
		if (end != '\0')
			rest++;
		rest += strspn(rest, " \t\n");
	}
}

/* /search */
static void
repl_cmd_search(struct repl *r, char *rest)
{
	struct pager	 p;
	json_t		*m;

	input_chomp(rest);
	if (*rest == '\0') {
		term_error("/search WORDS: expected words to find");
		return;
	}
	if (repl_link_open(r) == -1)
		return;
	m = msg_op("search", -1);
	msg_set_string(m, "query", rest);
	msg_set_int(m, "limit", LIST_DEFAULT);
	list_print(r->ctl, m, pager_open(&p, !r->ctl->opt.no_pager));
	pager_close(&p);
}

/* /delete: always with a number, so that nothing is deleted by accident. */
static void
repl_cmd_delete(struct repl *r, char *rest)
{
	int64_t	 n = repl_cmd_number("/delete", REPL_WHICH, rest, 0);
	json_t	*m, *end;

	if (n == 0 || repl_link_open(r) == -1)
		return;
	m = msg_op("delete", -1);
	msg_set_int(m, "conversation", n);
	if (link_call(r->ctl, m, NULL, NULL, &end) == CTL_OK) {
		term_note("[conversation %lld is deleted]", (long long)n);
		if (n == r->conversation) {
			r->conversation = 0;
			say_clear(&r->last);
			term_note("[a new conversation]");
		}
	}
	json_decref(end);
}

/* /verbose */
static void
repl_cmd_verbose(struct repl *r, char *rest)
{
	(void)rest;
	term_note((r->ctl->verbose = !r->ctl->verbose) ? "[tokens and speed "
	    "follow each reply]" : "[no more numbers after replies]");
}

/* /status */
static void
repl_cmd_status(struct repl *r, char *rest)
{
	(void)rest;
	if (repl_link_open(r) == 0)
		show_status(r->ctl, stdout);
}

/* /quit */
static void
repl_cmd_quit(struct repl *r, char *rest)
{
	(void)rest;
	r->leave = 1;
}
