/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl ask: one message and its reply.
 */
#include "chatctl.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "xmalloc.h"

#define ASK_STDIN_MS	1000	/* without a byte from stdin, until a note */

static int	ask_text(struct ctl *, int, char **, char **);
static int	ask_newest(struct ctl *, int64_t *);
static void	ask_first(void *, const json_t *);

/* chatctl ask */
int
cmd_ask(struct ctl *ctl, int argc, char **argv)
{
	struct said	 said = { 0 };
	char		*text = NULL;
	int		 status;

	/* Connect first: if chatd is down, stdin need not be read. */
	if ((status = cmd_ask_open(ctl)) != CTL_OK ||
	    (status = ask_text(ctl, argc, argv, &text)) != CTL_OK)
		goto out;
	intr_hold(1);
	if (ctl->opt.raw)
		status = say_run(ctl, say_complete(text, ctl->opt.params), 0,
		    &said);
	else
		status = say_run(ctl, say_message(text, ctl->opt.conversation,
		    ctl->opt.preprompt, ctl->opt.params), 0, &said);
	intr_hold(0);
out:
	say_clear(&said);
	free(text);
	return (status);
}

/* Connect, wait for the model, find the conversation to continue. */
int
cmd_ask_open(struct ctl *ctl)
{
	int	 status;

	if (ctl->opt.resume && ctl->opt.conversation != 0) {
		term_error("--continue and --conversation exclude each other");
		return (CTL_USAGE);
	}
	if (ctl->opt.raw && (ctl->opt.resume || ctl->opt.conversation != 0 ||
	    ctl->opt.preprompt != NULL)) {
		term_error("--raw takes no conversation and no pre-prompt");
		return (CTL_USAGE);
	}
	if (ctl->opt.preprompt != NULL &&
	    input_check(ctl->opt.preprompt, "--preprompt") != 0)
		return (CTL_USAGE);
	if ((status = link_open(ctl)) != CTL_OK ||
	    (status = link_wait_model(ctl)) != CTL_OK)
		return (status);
	if (ctl->opt.resume)
		return (ask_newest(ctl, &ctl->opt.conversation));
	return (CTL_OK);
}

/* If nothing comes from stdin, say what is waited for. */
static void
ask_waits(int whole)
{
	struct pollfd	 p = { .fd = STDIN_FILENO, .events = POLLIN };

	if (!isatty(STDIN_FILENO) && poll(&p, 1, ASK_STDIN_MS) == 0)
		term_note(whole ? "[waiting for the message on standard "
		    "input]" : "[waiting for more of the message on standard "
		    "input; -n leaves it alone]");
}

/* The message: arguments, stdin, or both. */
static int
ask_text(struct ctl *ctl, int argc, char **argv, char **out)
{
	size_t	 max = (size_t)wire_limit(ctl->chat, "prompt",
		    CTL_PROMPT_MAX);
	char	*text = NULL, *document = NULL, *both;
	int	 whole, status;

	whole = argc == 0 || (argc == 1 && strcmp(argv[0], "-") == 0);
	if (whole && isatty(STDIN_FILENO))
		term_note("type the message, then Ctrl-D on a line of its own");
	if (whole || (!ctl->opt.no_stdin && input_piped())) {
		ask_waits(whole);
		status = input_read(STDIN_FILENO, "stdin", max, &document);
		if (status != CTL_OK)
			return (status);
		if (!ctl->opt.raw)
			input_chomp(document);
	}
	if (whole) {
		text = document;
	} else {
		text = input_join(argc, argv);
		if (document != NULL && *document != '\0') {
			both = xasprintf("%s\n\n%s", text, document);
			free(text);
			text = both;
		}
		free(document);
	}
	status = input_check(text, "the message");
	if (status == CTL_OK && *text == '\0') {
		term_error("%s: empty; expected a message",
		    whole ? "stdin" : "the message");
		status = CTL_USAGE;
	} else if (status == CTL_OK && strlen(text) > max) {
		term_error("the message: %zu bytes, chatd takes at most %zu",
		    strlen(text), max);
		status = CTL_USAGE;
	}
	if (status == CTL_OK)
		*out = text;
	else
		free(text);
	return (status);
}

/* Note the first conversation of a list. */
static void
ask_first(void *arg, const json_t *event)
{
	int64_t	*conversation = arg;

	if (*conversation == 0)
		*conversation = msg_int(json_object_get(event,
		    "conversation"), "conversation", 0);
}

/* Find the newest conversation. */
static int
ask_newest(struct ctl *ctl, int64_t *conversation)
{
	json_t	*m, *end;
	int	 status;

	*conversation = 0;
	m = msg_op("list", -1);
	msg_set_int(m, "limit", 1);
	status = link_call(ctl, m, ask_first, conversation, &end);
	json_decref(end);
	if (status == CTL_OK && *conversation == 0) {
		term_error("there is no conversation to continue");
		status = CTL_REFUSED;
	}
	return (status);
}
