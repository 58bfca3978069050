/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl: the command line client of chatd.  main finds the command; each
 * command lives in a cmd_ file, the interactive chat in repl.c.
 */
#include "chatctl.h"

#include <config.h>

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "stdfds.h"
#include "xmalloc.h"

static int	main_help(struct ctl *, int, char **);

static const struct command commands[] = {
	{ "chat", CMD_CHAT, "", 0, 0,
	    "Chat interactively, or answer stdin (the default)", NULL,
	    cmd_chat },
	{ "ask", CMD_ASK, "[TEXT...]", 0, -1,
	    "Ask one thing and print the reply",
	    "The words of TEXT are joined by spaces. If stdin is a pipe or a "
	    "file, its\ncontent follows TEXT after an empty line. Without "
	    "TEXT, or if TEXT is -, stdin\nis the whole message.\n",
	    cmd_ask },
	{ "list", CMD_LIST, "", 0, 0,
	    "List your conversations, newest first",
	    "With --raw, your raw prompts (chatctl ask --raw).\n", cmd_list },
	{ "show", CMD_SHOW, "CONVERSATION", 1, 1,
	    "Show a conversation, or with --exchange one exchange", NULL,
	    cmd_show },
	{ "rate", CMD_RATE, "EXCHANGE [good|bad|neutral]", 1, 2,
	    "Rate a reply, or say what it should have been",
	    "The numbers of exchanges are in chatctl show and in the done "
	    "event of\nchatctl ask --json. Rating again replaces your "
	    "rating.\n",
	    cmd_rate },
	{ "delete", CMD_DELETE, "CONVERSATION...", 1, -1,
	    "Delete conversations for good",
	    "With --exchange, raw prompts. Operators may delete what belongs "
	    "to others.\n", cmd_delete },
	{ "export", CMD_EXPORT, "", 0, 0,
	    "Export exchanges and ratings", NULL, cmd_export },
	{ "status", CMD_STATUS, "", 0, 0,
	    "Show what chatd, its model and its helpers are doing", NULL,
	    cmd_status },
	{ "health", CMD_HEALTH, "", 0, 0,
	    "Say in a line whether chatd is well",
	    "The exit status is 0 if messages are answered and all is well, 1 "
	    "if they are\nanswered but something needs a look, 3 if they are "
	    "not answered.\n", cmd_health },
	{ "reload", CMD_RELOAD, "", 0, 0,
	    "Have chatd read its configuration again (operators)", NULL,
	    cmd_reload },
	{ "moderate", CMD_MODERATE, "[TEXT...]", 0, -1,
	    "Show what the filters find in texts",
	    "Each TEXT is judged by itself. Without TEXT, each line of "
	    "stdin is.\n", cmd_moderate },
	{ "tokenize", CMD_TOKENIZE, "[TEXT...]", 0, -1,
	    "Print the token ids of a text (or of stdin)", NULL,
	    cmd_tokenize },
	{ "help", CMD_HELP, "[COMMAND]", 0, 1,
	    "Print help, or the help of one command", NULL, main_help },
};

static int	main_locale(void);
static const struct command *main_command(struct options *, int *, char ***);
static const struct command *main_named(const char *);
static int	main_arguments(const struct command *, int);
static int	main_run(struct ctl *, const struct command *, int, char **);

/* Find a command by name. */
const struct command *
command_find(const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return (&commands[i]);
	return (NULL);
}

/* Return the i-th command. */
const struct command *
command_at(size_t i)
{
	return (i < nitems(commands) ? &commands[i] : NULL);
}

/* Characters are UTF-8, whatever the environment says. */
static int
main_locale(void)
{
	if (setlocale(LC_CTYPE, "") != NULL &&
	    strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
		return (0);
	return (setlocale(LC_CTYPE, "C.UTF-8") == NULL ? -1 : 0);
}

/* Read the options before the command, and find it. NULL: told why not. */
static const struct command *
main_command(struct options *o, int *argc, char ***argv)
{
	int	 used;

	if ((used = opts_read(o, NULL, *argc, *argv)) == -1)
		return (NULL);
	*argc -= used;
	*argv += used;
	if (*argc == 0)
		return (command_find("chat"));
	return (main_named((*argv)[0]));
}

/* Find a command, or tell that there is none of that name. */
static const struct command *
main_named(const char *word)
{
	const char		*names[nitems(commands) + 1], *near;
	const struct command	*cmd;
	size_t			 i;

	if ((cmd = command_find(word)) != NULL)
		return (cmd);
	for (i = 0; i < nitems(commands); i++)
		names[i] = commands[i].name;
	names[i] = NULL;
	if ((near = suggest_word(word, names)) != NULL)
		ctl_error("%s: no such command; did you mean %s?", word,
		    near);
	else
		ctl_error("%s: no such command; see chatctl --help (to ask "
		    "something: chatctl ask \"...\")", word);
	return (NULL);
}

/* chatctl help */
static int
main_help(struct ctl *ctl, int argc, char **argv)
{
	const struct command	*cmd = NULL;

	(void)ctl;
	if (argc > 0 && (cmd = main_named(argv[0])) == NULL)
		return (CTL_USAGE);
	opts_help(cmd, stdout);
	return (CTL_OK);
}

/* Is the number of arguments right? */
static int
main_arguments(const struct command *cmd, int n)
{
	if (n >= cmd->min && (cmd->max == -1 || n <= cmd->max))
		return (0);
	ctl_error("%s: %s; usage: chatctl %s%s%s", cmd->name,
	    n < cmd->min ? "something is missing" : "too many arguments",
	    cmd->name, *cmd->args == '\0' ? "" : " ", cmd->args);
	return (-1);
}

/* Run a command whose words are in argv, its own name first. */
static int
main_run(struct ctl *ctl, const struct command *cmd, int argc, char **argv)
{
	const char	*env = getenv("CHATD_SOCKET");
	int		 used = 0;

	if (opts_check(&ctl->opt, cmd) == -1)
		return (CTL_USAGE);
	if (argc > 0 && (used = opts_read(&ctl->opt, cmd, argc, argv)) == -1)
		return (CTL_USAGE);
	if (ctl->opt.help) {
		opts_help(argc > 0 ? cmd : NULL, stdout);
		return (CTL_OK);
	}
	if (ctl->opt.version) {
		printf("chatctl %s\nCopyright (C) 2026 the chatd authors\n"
		    "License: Apache-2.0\n",
		    PACKAGE_VERSION);
		return (CTL_OK);
	}
	if (main_arguments(cmd, argc - used) == -1)
		return (CTL_USAGE);
	term_init(ctl->opt.color, ctl->opt.quiet);
	ctl->socket = ctl->opt.socket != NULL ? ctl->opt.socket :
	    env != NULL && *env != '\0' ? env : CTL_SOCKET;
	return (cmd->run(ctl, argc - used, argv + used));
}

/* Find the command and run it. */
int
main(int argc, char **argv)
{
	const struct command	*cmd;
	struct ctl		 ctl = { 0 };
	int			 status = CTL_USAGE;

	stdfds_init("chatctl");
	term_init("auto", 0);
	intr_init();
	if (main_locale() == -1)
		ctl_note("no UTF-8 locale: editing shows plain ASCII only");
	opts_init(&ctl.opt);
	if ((cmd = main_command(&ctl.opt, &argc, &argv)) != NULL)
		status = main_run(&ctl, cmd, argc, argv);
	out_flush();
	link_close(&ctl);
	opts_clear(&ctl.opt);
	return (intr_ended() ? 128 + intr_ended() : status);
}
