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

static int	main_help(struct ctl *, int, char **);

/* The function of each command. */
static const struct {
	unsigned	 bit;
	/* Returns an exit status, after reporting what went wrong. */
	int		(*run)(struct ctl *ctl, int argc, char **argv);
} runs[] = {
	{ CMD_CHAT, cmd_chat },
	{ CMD_ASK, cmd_ask },
	{ CMD_LIST, cmd_list },
	{ CMD_SHOW, cmd_show },
	{ CMD_SEARCH, cmd_search },
	{ CMD_RATE, cmd_rate },
	{ CMD_DELETE, cmd_delete },
	{ CMD_FORGET, cmd_forget },
	{ CMD_ADOPT, cmd_adopt },
	{ CMD_EXPORT, cmd_export },
	{ CMD_REPLAY, cmd_replay },
	{ CMD_BACKUP, cmd_backup },
	{ CMD_RESTORE, cmd_restore },
	{ CMD_STATS, cmd_stats },
	{ CMD_AB, cmd_ab },
	{ CMD_CONSENT, cmd_consent },
	{ CMD_IMPORT, cmd_import },
	{ CMD_STATUS, cmd_status },
	{ CMD_HEALTH, cmd_health },
	{ CMD_RELOAD, cmd_reload },
	{ CMD_ROLLBACK, cmd_rollback },
	{ CMD_FILTERS, cmd_filters },
	{ CMD_REVIEW, cmd_review },
	{ CMD_MODERATE, cmd_moderate },
	{ CMD_TOKENIZE, cmd_tokenize },
	{ CMD_TOP, cmd_top },
	{ CMD_TUNE, cmd_tune },
	{ CMD_HELP, main_help },
};

static int	main_locale(void);
static const struct command *main_command(struct options *, int *, char ***);
static int	main_arguments(const struct command *, int);
static int	main_run(struct ctl *, const struct command *, int, char **);

/* Characters are UTF-8, whatever the environment says. */
static int
main_locale(void)
{
	if (setlocale(LC_CTYPE, "") != NULL &&
	    strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
		return (0);
	return (setlocale(LC_CTYPE, "C.UTF-8") == NULL ? -1 : 0);
}

/* Read the options before the command, and find it. NULL: reported. */
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
	return (command_named((*argv)[0]));
}

/* chatctl help */
static int
main_help(struct ctl *ctl, int argc, char **argv)
{
	const struct command	*cmd = NULL;

	(void)ctl;
	if (argc > 0 && (cmd = command_named(argv[0])) == NULL)
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
	term_error("%s: %s; usage: chatctl %s%s%s", cmd->name,
	    n < cmd->min ? "missing argument" : "too many arguments",
	    cmd->name, *cmd->args == '\0' ? "" : " ", cmd->args);
	return (-1);
}

/* Run a command whose words are in argv, its own name first. */
static int
main_run(struct ctl *ctl, const struct command *cmd, int argc, char **argv)
{
	const char	*env = getenv("CHATD_SOCKET");
	int		 used = 0;
	size_t		 i;

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
	for (i = 0; runs[i].bit != cmd->bit; i++)
		;
	return (runs[i].run(ctl, argc - used, argv + used));
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
		term_note("no UTF-8 locale: editing shows plain ASCII only");
	opts_init(&ctl.opt);
	if ((cmd = main_command(&ctl.opt, &argc, &argv)) != NULL)
		status = main_run(&ctl, cmd, argc, argv);
	term_flush();
	link_close(&ctl);
	opts_clear(&ctl.opt);
	return (intr_ended() ? 128 + intr_ended() : status);
}
