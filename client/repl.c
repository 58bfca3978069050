/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interactive chat: reading messages, sending them, keeping the
 * connection and the conversation over restarts of chatd.
 */
#include "repl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

#define REPL_PROMPT	"> "
#define REPL_MORE	". "
#define REPL_QUOTES	"\"\"\""

static int	repl_loop(struct repl *);
static void	repl_greet(struct repl *);
static enum edit_end repl_message(struct repl *, char **);
static enum edit_end repl_block(struct repl *, char **);
static enum edit_end repl_more(struct repl *, char **);
static void	repl_append(char **, const char *);
static void	repl_take(struct repl *, char *);
static char	*repl_prompt(const char *);

/* Chat until the user leaves. The connection is open. */
int
repl_run(struct ctl *ctl)
{
	struct repl	 r = { .ctl = ctl,
			    .conversation = ctl->opt.conversation };
	struct edit_help help = { repl_tab_words, &r };
	int		 status;

	if ((r.edit = edit_new(&help, ctl->opt.no_history)) == NULL) {
		term_error("no line editing on this terminal (TERM); "
		    "use chatctl ask");
		return (CTL_USAGE);
	}
	intr_hold(1);
	repl_greet(&r);
	status = repl_loop(&r);
	intr_hold(0);
	say_clear(&r.last);
	free(r.sent);
	free(r.preprompt);
	edit_free(r.edit);
	return (status);
}

/* Print the name of the model. */
static void
repl_greet(struct repl *r)
{
	const json_t	*model;
	const char	*name;

	model = json_object_get(wire_hello(r->ctl->chat), "model");
	name = msg_string(model, "name");
	if (r->conversation != 0) {
		term_note("%s, conversation %lld; /help lists commands, "
		    "Ctrl-D leaves", name == NULL ? "chatd" : name,
		    (long long)r->conversation);
		if (show_recap(r->ctl, r->conversation, stdout, &r->last) ==
		    CTL_OK)
			r->last.conversation = r->conversation;
	} else
		term_note("%s; /help lists commands, Ctrl-D leaves",
		    name == NULL ? "chatd" : name);
}

/* Read and answer. Returns the exit status. */
static int
repl_loop(struct repl *r)
{
	char	*text;

	while (!r->leave) {
		switch (repl_message(r, &text)) {
		case EDIT_LINE:
			repl_take(r, text);
			free(text);
			break;
		case EDIT_CANCEL:
			break;
		case EDIT_BREAK:
			term_note("Ctrl-D or /quit leaves");
			break;
		case EDIT_EOF:
			return (CTL_OK);
		case EDIT_KILLED:
			return (128 + intr_ended());
		}
		if (intr_ended())
			return (128 + intr_ended());
	}
	return (CTL_OK);
}

/* A prompt, in bold if there are colours. */
static char *
repl_prompt(const char *text)
{
	if (*term_on(1, ROLE_BOLD) == '\0')
		return (xstrdup(text));
	/* libedit prints the escapes between two \1 with the character that
	 * follows. */
	return (xasprintf("\1%s\1%c\1%s\1%s", term_on(1, ROLE_BOLD),
	    text[0], term_off(1), text + 1));
}

/* Read one message, of one or more lines. */
static enum edit_end
repl_message(struct repl *r, char **text)
{
	char		*prompt = repl_prompt(REPL_PROMPT);
	enum edit_end	 end;
	size_t		 n;

	end = edit_line(r->edit, prompt, text);
	free(prompt);
	if (end != EDIT_LINE)
		return (end);
	if (strncmp(*text, REPL_QUOTES, strlen(REPL_QUOTES)) == 0)
		end = repl_block(r, text);
	else
		end = repl_more(r, text);
	if (end != EDIT_LINE) {
		free(*text);
		/* Ctrl-D and Ctrl-C inside a message drop the message. */
		if (end != EDIT_KILLED) {
			term_note("[nothing was sent]");
			end = EDIT_CANCEL;
		}
		return (end);
	}
	for (n = strlen(*text); n > 0 && (*text)[n - 1] == ' '; n--)
		(*text)[n - 1] = '\0';
	if (n > 0)
		edit_remember(r->edit, *text);
	return (end);
}

/* Add a line to a text. */
static void
repl_append(char **text, const char *line)
{
	char	*joined;

	joined = xasprintf("%s\n%s", *text, line);
	free(*text);
	*text = joined;
}

/* The rest of a message that begins with three quotes. */
static enum edit_end
repl_block(struct repl *r, char **text)
{
	const size_t	 q = strlen(REPL_QUOTES);
	char		*line;
	size_t		 n;
	enum edit_end	 end;

	memmove(*text, *text + q, strlen(*text + q) + 1);
	for (;;) {
		n = strlen(*text);
		if (n >= q && strcmp(*text + n - q, REPL_QUOTES) == 0)
			break;
		if ((end = edit_line(r->edit, REPL_MORE, &line)) != EDIT_LINE)
			return (end);
		repl_append(text, line);
		free(line);
	}
	(*text)[n - q] = '\0';
	input_chomp(*text);
	n = strspn(*text, "\n");
	memmove(*text, *text + n, strlen(*text + n) + 1);
	return (EDIT_LINE);
}

/* The lines that follow a backslash at the end of one. */
static enum edit_end
repl_more(struct repl *r, char **text)
{
	char		*line;
	size_t		 n;
	enum edit_end	 end;

	while ((n = strlen(*text)) > 0 && (*text)[n - 1] == '\\') {
		(*text)[n - 1] = '\0';
		if ((end = edit_line(r->edit, REPL_MORE, &line)) != EDIT_LINE)
			return (end);
		repl_append(text, line);
		free(line);
	}
	return (EDIT_LINE);
}

/* Run a command, or send a message. */
static void
repl_take(struct repl *r, char *text)
{
	char	*whole;

	if (strspn(text, " \t\n") == strlen(text))
		return;
	if (text[0] == '/' && text[1] != '/') {
		repl_cmd_run(r, text);
		return;
	}
	whole = edit_expand(r->edit, text + (text[0] == '/'));
	repl_text_send(r, whole);
	free(whole);
}
