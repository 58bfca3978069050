/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion by Tab in the interactive chat: commands, and the words that may
 * follow them.
 */
#include "repl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define REPL_TAB_MS	3000	/* wait for the list of conversations */
#define REPL_TAB_LIST	20	/* conversations offered */

/* Words being gathered for Tab. */
struct tab {
	char		**words;	/* owned, ended by NULL */
	size_t		  n;
	const char	 *typed;	/* borrowed: their beginning */
};

static void	repl_tab_add(struct tab *, const char *, const char *);
static void	repl_tab_commands(struct tab *, int);
static void	repl_tab_params(struct tab *);
static void	repl_tab_conversations(struct repl *, struct tab *);

/* Offer a word if it begins with the typed text. */
static void
repl_tab_add(struct tab *t, const char *word, const char *about)
{
	if (strncmp(word, t->typed, strlen(t->typed)) != 0)
		return;
	t->words = xreallocarray(t->words, t->n + 2, sizeof *t->words);
	t->words[t->n++] = xasprintf("%s\t%s", word, about);
	t->words[t->n] = NULL;
}

/* Offer the commands, from the given byte of their names. */
static void
repl_tab_commands(struct tab *t, int skip)
{
	const struct repl_cmd	*cmd;
	size_t			 i;

	for (i = 0; (cmd = repl_cmd_at(i)) != NULL; i++)
		repl_tab_add(t, cmd->name + skip, cmd->help);
}

/* Offer the parameters. */
static void
repl_tab_params(struct tab *t)
{
	const char	*name;
	char		*word;
	size_t		 i;

	for (i = 0; (name = vocabulary_param_names[i]) != NULL; i++) {
		word = xasprintf("%s=", name);
		repl_tab_add(t, word, "");
		free(word);
	}
	repl_tab_add(t, "reset", "");
}

/* Offer the newest conversations. */
static void
repl_tab_conversations(struct repl *r, struct tab *t)
{
	struct fault	 f;
	json_t		*m, *c;
	int64_t		 id;
	char		*word;

	if (r->ctl->chat == NULL)
		return;
	m = msg_op("list", -1);
	msg_set_int(m, "limit", REPL_TAB_LIST);
	if (wire_send(r->ctl->chat, m, &id, &f) != 0)
		return;
	while (wire_next(r->ctl->chat, REPL_TAB_MS, &m, &f) == 1) {
		c = json_object_get(m, "conversation");
		if (msg_int(m, "id", -1) != id || c == NULL) {
			json_decref(m);
			break;
		}
		word = xasprintf("%lld",
		    (long long)msg_int(c, "conversation", 0));
		repl_tab_add(t, word, msg_string(c, "title") == NULL ? "" :
		    msg_string(c, "title"));
		free(word);
		json_decref(m);
	}
}

/* Complete a line. */
char **
repl_tab_words(void *arg, const char *text, size_t *start)
{
	const struct repl_cmd	*cmd;
	struct tab		 t = { xcalloc(1, sizeof(char *)), 0, NULL };
	size_t			 i;

	*start = strlen(text);
	while (*start > 0 && text[*start - 1] != ' ')
		(*start)--;
	t.typed = text + *start;
	if (*start == 0 && text[0] == '/')
		repl_tab_commands(&t, 0);
	cmd = repl_cmd_find(text, strcspn(text, " "));
	if (*start == 0 || cmd == NULL)
		return (t.words);
	switch (cmd->words) {
	case WORDS_COMMANDS:
		repl_tab_commands(&t, 1);
		break;
	case WORDS_CONVERSATIONS:
		repl_tab_conversations(arg, &t);
		break;
	case WORDS_PARAMS:
		repl_tab_params(&t);
		break;
	case WORDS_REASONS:
		for (i = 0; vocabulary_reasons[i] != NULL; i++)
			repl_tab_add(&t, vocabulary_reasons[i], "");
		break;
	case WORDS_NONE:
		break;
	}
	return (t.words);
}
