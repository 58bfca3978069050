/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands: names, arguments and help.  chatctl.c has the
 * functions that run them.
 */
#include "chatctl.h"

#include <string.h>

#include "suggest.h"
#include "xmalloc.h"

static const struct command commands[] = {
	{ "chat", CMD_CHAT, "", 0, 0,
	    "Chat interactively, or answer stdin (the default)", NULL },
	{ "ask", CMD_ASK, "[TEXT...]", 0, -1,
	    "Ask one thing and print the reply",
	    "The words of TEXT are joined by spaces. If stdin is a pipe or a "
	    "file, its\ncontent follows TEXT after an empty line. Without "
	    "TEXT, or if TEXT is -, stdin\nis the whole message.\n" },
	{ "list", CMD_LIST, "", 0, 0,
	    "List your conversations, newest first",
	    "With --raw, list your raw prompts (chatctl ask --raw). With "
	    "--since, --rating and\nso on, list the conversations that have "
	    "such an exchange.\n" },
	{ "show", CMD_SHOW, "CONVERSATION", 1, 1,
	    "Show a conversation, or with --exchange one exchange", NULL },
	{ "search", CMD_SEARCH, "[WORD...]", 0, -1,
	    "Find exchanges by their words, newest first",
	    "All words must occur in the prompt, the replies, or what was "
	    "written in ratings.\n\"Words in quotes\" must occur together; "
	    "after --, a -word must not occur. Without\nwords, list your "
	    "exchanges.\n" },
	{ "rate", CMD_RATE, "EXCHANGE|last [good|bad|neutral]", 1, 2,
	    "Rate a reply, or say what it should have been",
	    "The numbers of exchanges are in chatctl show, chatctl search and "
	    "the done event of\nchatctl ask --json; last is your newest one. "
	    "Rating again replaces your rating.\n" },
	{ "review", CMD_REVIEW,
	    "[--unrated|--second|--disputed|--flagged|--refusals]", 0, 0,
	    "Rate replies one after the other (operators only)",
	    "Without an option: those that nobody has rated. One key rates a "
	    "reply; ? lists the\nkeys. With --refusals, decide about blocks: "
	    "k keeps the block, o overturns it, s\nskips it, q quits. If "
	    "stdin is not a terminal, each line is a key.\n" },
	{ "delete", CMD_DELETE, "CONVERSATION...", 1, -1,
	    "Delete conversations for good",
	    "With --exchange, delete raw prompts. Operators may also delete "
	    "the\nconversations of other users.\n" },
	{ "forget", CMD_FORGET, "[CONVERSATION...]", 0, -1,
	    "Delete conversations, a time, or all of yours, for good",
	    "With --since or --until, what was said in that time; with --all, "
	    "everything that\nyou have stored. Operators name another "
	    "account with --user, also by number.\n" },
	{ "adopt", CMD_ADOPT, "HELD USER", 2, 2,
	    "Give an account what is held of another (operators only)",
	    "What an account has stored is held if its number comes with "
	    "another name. HELD is\nthe number in the service's log.\n" },
	{ "consent", CMD_CONSENT, "[yes|no|unset] [CONVERSATION...]", 0, -1,
	    "Say whether your conversations may be used for training",
	    "Without a number it is about all of them; what is said about "
	    "one conversation\ngoes before that. Without a word, print what "
	    "holds.\n" },
	{ "export", CMD_EXPORT, "", 0, 0,
	    "Export exchanges and ratings", NULL },
	{ "import", CMD_IMPORT, "FILE...", 1, -1,
	    "Store the rows of exports (operators only)",
	    "Reads messages, oig and oasst, one row on each line; - is stdin. "
	    "What is known\nor was deleted here is left out.\n" },
	{ "stats", CMD_STATS, "", 0, 0,
	    "Count replies and ratings, and how far raters agree",
	    "Without --all, count your own.\n" },
	{ "ab", CMD_AB, "", 0, 0,
	    "Compare how the variants of the model were rated (operators only)",
	    "A variant is the model with an adapter, or the model alone "
	    "(base). Counts the replies\nwhose variant model.ab chose; with "
	    "--any, all. The intervals are those of 95 %.\n" },
	{ "replay", CMD_REPLAY, "[EXCHANGE|last]", 0, 1,
	    "Have a stored reply written again, and compare the tokens",
	    "last is your newest one. With --sample, compare that many replies "
	    "drawn at random.\n"
	    "Exit status: 0 if all are identical, 1 if not.\n" },
	{ "backup", CMD_BACKUP, "", 0, 0,
	    "Copy the database while chatd runs (operators only)",
	    "The copy is a new file in the folder backup of chatd's state; "
	    "its name is printed.\n" },
	{ "restore", CMD_RESTORE, "FILE", 1, 1,
	    "Put a backup in the place of the database (operators only)",
	    "FILE is a name in the folder backup of chatd's state. What was "
	    "deleted since the\nbackup stays deleted. The database before is "
	    "kept beside the new one.\n" },
	{ "tune", CMD_TUNE, "", 0, 0,
	    "Train rated replies into a new model (operators only)",
	    "Exports what was rated, trains the model that serves, measures "
	    "both, and if no task\nhas become worse, has chatd change to the "
	    "new model. Exit status: 1 if the gate\nhas refused the model.\n" },
	{ "top", CMD_TOP, "", 0, 0,
	    "Watch the replies that run and wait; q leaves",
	    "Operators see those of all users, and the engine's tokens per "
	    "second. If stdout is\nno terminal, it is printed once.\n" },
	{ "status", CMD_STATUS, "", 0, 0,
	    "Show what chatd, its model and its helpers are doing", NULL },
	{ "health", CMD_HEALTH, "", 0, 0,
	    "Print the health of chatd in one line",
	    "Exit status: 0 if chatd answers messages and nothing is wrong, "
	    "1 if it answers them\nbut something is wrong, 3 if it does not "
	    "answer them.\n" },
	{ "reload", CMD_RELOAD, "", 0, 0,
	    "Make chatd read its configuration again (operators only)",
	    "If its model has changed, or with --model, chatd loads the new "
	    "model while the\nold one serves, then changes over; running "
	    "replies end with the model that began\nthem. Ctrl-C while it "
	    "loads leaves everything as it is.\n" },
	{ "rollback", CMD_ROLLBACK, "", 0, 0,
	    "Change back to the previous model (operators only)", NULL },
	{ "filters", CMD_FILTERS, "", 0, 0,
	    "List the plugins that judge texts",
	    "Operators also see where each plugin comes from, what it has "
	    "found and how long\nit took.\n" },
	{ "moderate", CMD_MODERATE, "[TEXT...]", 0, -1,
	    "Show what the filters find in texts",
	    "Each TEXT is checked on its own. Without TEXT, each line of "
	    "stdin is a text.\n" },
	{ "tokenize", CMD_TOKENIZE, "[TEXT...]", 0, -1,
	    "Print the token ids of a text (or of stdin)", NULL },
	{ "help", CMD_HELP, "[COMMAND]", 0, 1,
	    "Print help, or the help of one command", NULL },
};

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

/* Find a command, or report that there is no such command. */
const struct command *
command_named(const char *word)
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
		term_error("%s: no such command; did you mean %s?", word,
		    near);
	else
		term_error("%s: no such command; see chatctl --help (to ask "
		    "something: chatctl ask \"...\")", word);
	return (NULL);
}
