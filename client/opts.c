/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options.  One table says which commands take an option, what the option
 * means and where its value goes.  Reading, checks and --help use this table.
 */
#include "chatctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"
#include "suggest.h"
#include "vocabulary.h"
#include "xmalloc.h"

enum opt_kind {
	OPT_FLAG,	/* int: 1 */
	OPT_TEXT,	/* const char * */
	OPT_NUMBER,	/* int64_t within min..max */
	OPT_TIME,	/* int64_t: ms since 1970 */
	OPT_WORD,	/* const char *, one of words */
	OPT_PARAM,	/* into options.params, by the option's name */
	OPT_REASON	/* onto options.reasons, one of words */
};

#define OPT_CODE	256	/* getopt_long returns this plus the row */
#define MAKES_TEXT	(CMD_CHAT | CMD_ASK)
#define LISTS		(CMD_LIST | CMD_SEARCH)
#define FILTERS		(LISTS | CMD_SHOW | CMD_REVIEW | CMD_STATS | CMD_AB)
#define CHOOSES		(FILTERS | CMD_EXPORT)

static const char *const colors[] = { "auto", "always", "never", NULL };

#define AT(member) offsetof(struct options, member)
static const struct opt {
	const char		*name;
	char			 letter;	/* 0: none */
	enum opt_kind		 kind;
	unsigned		 commands;	/* CMD_... that take it */
	size_t			 offset;
	int64_t			 min, max;
	const char *const	*words;
	const char		*arg;		/* its name in help, or NULL */
	const char		*help;		/* after the words, if any */
} table[] = {
	{ "continue", 'c', OPT_FLAG, MAKES_TEXT, AT(resume), 0, 0, NULL,
	    NULL, "continue your newest conversation" },
	{ "conversation", 0, OPT_NUMBER, MAKES_TEXT, AT(conversation), 1,
	    JSON_INT_MAX, NULL, "N", "continue conversation N" },
	{ "raw", 0, OPT_FLAG, MAKES_TEXT | CMD_LIST, AT(raw), 0, 0, NULL,
	    NULL, "raw prompts: the model continues the text itself" },
	{ "preprompt", 0, OPT_TEXT, MAKES_TEXT, AT(preprompt), 0, 0, NULL,
	    "TEXT", "text before the dialogue" },
	{ "temperature", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    "X", "0 to 2; 0 always takes the most likely token" },
	{ "top-k", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    "N", "consider the N most likely tokens only; 0: all" },
	{ "top-p", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    "X", "consider likely tokens up to total probability X" },
	{ "repetition-penalty", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    "X", "above 1 makes repeated tokens less likely" },
	{ "max-tokens", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    "N", "maximum length of the reply, in tokens" },
	{ "seed", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    "N", "the same seed gives the same reply" },
	{ "stop", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    "TEXT", "end the reply before this text (repeatable)" },
	{ "adapter", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    "NAME", "the adapter that writes; base: the model alone" },
	{ "ignore-eos", 0, OPT_PARAM, MAKES_TEXT, 0, 0, 0, NULL,
	    NULL, "continue after the model ends the text" },
	{ "no-history", 0, OPT_FLAG, CMD_CHAT, AT(no_history), 0, 0, NULL,
	    NULL, "neither read nor write the history file" },
	{ "plain", 0, OPT_FLAG, MAKES_TEXT | CMD_SHOW, AT(plain), 0, 0, NULL,
	    NULL, "show replies as they are: no markdown, no line breaks" },
	{ "plain", 0, OPT_FLAG, CMD_TUNE, AT(plain), 0, 0, NULL,
	    NULL, "print lines of ASCII only; draw none over another" },
	{ "limit", 'n', OPT_NUMBER, LISTS | CMD_REVIEW, AT(limit), 1, 1000000,
	    NULL, "N", "at most N (50; review: 1000)" },
	{ "markdown", 0, OPT_FLAG, CMD_SHOW, AT(markdown), 0, 0, NULL,
	    NULL, "print the conversation as markdown" },
	{ "no-stdin", 'n', OPT_FLAG, CMD_ASK, AT(no_stdin), 0, 0, NULL,
	    NULL, "do not read standard input" },
	{ "before", 0, OPT_NUMBER, LISTS, AT(before), 1, JSON_INT_MAX,
	    NULL, "N", "only entries older than number N" },
	{ "all", 0, OPT_FLAG, LISTS | CMD_EXPORT | CMD_STATS | CMD_REPLAY |
	    CMD_FORGET, AT(all), 0, 0, NULL, NULL,
	    "all users (operators only); forget: all of yours" },
	{ "since", 0, OPT_TIME, CHOOSES | CMD_FORGET | CMD_TUNE,
	    AT(since), 0, 0, NULL, "TIME",
	    "only from TIME on: 2026-11-29, 2026-11-29T18:00, 7d or 12h" },
	{ "until", 0, OPT_TIME, CHOOSES | CMD_FORGET | CMD_TUNE,
	    AT(until), 0, 0, NULL, "TIME",
	    "only before TIME" },
	{ "rating", 0, OPT_WORD, FILTERS & ~CMD_AB, AT(rating), 0, 0,
	    vocabulary_ratings, "WORD", "(only replies rated so)" },
	{ "rating", 0, OPT_WORD, CMD_EXPORT, AT(rating), 0, 0,
	    vocabulary_choices, "WORD", "(vouched)" },
	{ "category", 0, OPT_WORD, CHOOSES, AT(category), 0, 0,
	    vocabulary_categories, "WORD", "(only with such a finding)" },
	{ "model", 0, OPT_TEXT, CHOOSES, AT(model), 0, 0, NULL, "NAME",
	    "only replies of this model" },
	{ "model", 0, OPT_TEXT, CMD_RELOAD, AT(model), 0, 0, NULL, "PATH",
	    "change to this model; \"default\" is that of chatd.yaml" },
	{ "user", 0, OPT_TEXT, CHOOSES | CMD_FORGET | CMD_TUNE, AT(user), 0, 0,
	    NULL, "NAME",
	    "only this user, also a number (operators only)" },
	{ "exchange", 0, OPT_FLAG, CMD_SHOW | CMD_DELETE, AT(exchange), 0, 0,
	    NULL, NULL, "the numbers are those of exchanges (see list --raw)" },
	{ "no-pager", 0, OPT_FLAG, LISTS | CMD_SHOW, AT(no_pager), 0, 0,
	    NULL, NULL, "do not show long output in a pager" },
	{ "reason", 0, OPT_REASON, CMD_RATE | (CHOOSES & ~CMD_AB), 0, 0, 0,
	    vocabulary_reasons, "WORD", "(rate: repeatable)" },
	{ "ideal", 0, OPT_TEXT, CMD_RATE, AT(ideal), 0, 0, NULL,
	    "TEXT", "the reply you wanted; - is stdin, @FILE a file" },
	{ "comment", 0, OPT_TEXT, CMD_RATE, AT(comment), 0, 0, NULL,
	    "TEXT", "a comment on the reply" },
	{ "reply", 0, OPT_NUMBER, CMD_RATE | CMD_REPLAY, AT(reply), 1,
	    JSON_INT_MAX, NULL, "N",
	    "reply N of the exchange, not the newest one" },
	{ "any", 0, OPT_FLAG, CMD_AB, AT(any), 0, 0, NULL,
	    NULL, "also replies whose variant model.ab did not choose" },
	{ "sample", 0, OPT_NUMBER, CMD_REPLAY, AT(sample), 1, 1000000, NULL,
	    "N", "compare N replies drawn at random" },
	{ "yes", 'y', OPT_FLAG, CMD_FORGET, AT(yes), 0, 0, NULL,
	    NULL, "do not ask" },
	{ "edit", 0, OPT_FLAG, CMD_RATE, AT(edit), 0, 0, NULL,
	    NULL, "change the reply in your editor into the one you wanted" },
	{ "unrated", 0, OPT_FLAG, CMD_REVIEW, AT(unrated), 0, 0, NULL,
	    NULL, "replies that nobody has rated (the default)" },
	{ "second", 0, OPT_FLAG, CMD_REVIEW, AT(second), 0, 0, NULL,
	    NULL, "replies that others have rated, and you have not" },
	{ "disputed", 0, OPT_FLAG, CMD_REVIEW, AT(disputed), 0, 0, NULL,
	    NULL, "replies rated good by one and bad by another" },
	{ "flagged", 0, OPT_FLAG, CMD_REVIEW, AT(flagged), 0, 0, NULL,
	    NULL, "replies in which the filters have found something" },
	{ "refusals", 0, OPT_FLAG, CMD_REVIEW, AT(refusals), 0, 0, NULL,
	    NULL, "blocks that users have rated wrong_refusal" },
	{ "format", 'f', OPT_WORD, CMD_EXPORT, AT(format), 0, 0,
	    vocabulary_formats,
	    "NAME", "(messages)" },
	{ "output", 'o', OPT_TEXT, CMD_EXPORT, AT(output), 0, 0, NULL,
	    "FILE", "write a new file, mode 0600, and its manifest; .gz and "
	    ".zst compress" },
	{ "output", 'o', OPT_TEXT, CMD_TUNE, AT(output), 0, 0, NULL,
	    "DIR", "the folder of the new model (tuned- and the time)" },
	{ "models", 0, OPT_TEXT, CMD_TUNE, AT(models), 0, 0, NULL,
	    "DIR", "make it in this folder, and keep the newest only" },
	{ "parent", 0, OPT_TEXT, CMD_TUNE, AT(parent), 0, 0, NULL,
	    "DIR", "the model to train (the one that serves)" },
	{ "preset", 0, OPT_TEXT, CMD_TUNE, AT(preset), 0, 0, NULL,
	    "FILE", "how to train, see chatd-tune(1)" },
	{ "templates", 0, OPT_TEXT, CMD_TUNE, AT(templates), 0, 0, NULL,
	    "DIR", "templates of other dialogues to train and measure" },
	{ "corpus", 0, OPT_TEXT, CMD_TUNE, AT(corpus), 0, 0, NULL,
	    "DIR", "the corpus of the templates" },
	{ "dry-run", 0, OPT_FLAG, CMD_TUNE, AT(dry_run), 0, 0, NULL,
	    NULL, "say what there is to train, and train nothing" },
	{ "no-swap", 0, OPT_FLAG, CMD_TUNE, AT(no_swap), 0, 0, NULL,
	    NULL, "do not change to the new model" },
	{ "again", 0, OPT_FLAG, CMD_TUNE, AT(again), 0, 0, NULL,
	    NULL, "train also if a model was made with the same ratings" },
	{ "split", 0, OPT_WORD, CMD_EXPORT, AT(split), 0, 0, vocabulary_splits,
	    "WORD", "(only this part)" },
	{ "heldout", 0, OPT_NUMBER, CMD_EXPORT, AT(heldout), 0, 100, NULL,
	    "N", "hold out N of 100 conversations (10)" },
	{ "consent", 0, OPT_FLAG, CMD_EXPORT | CMD_TUNE, AT(consent), 0,
	    0, NULL, NULL, "only of users who have agreed to training" },
	{ "unique", 0, OPT_FLAG, CMD_EXPORT, AT(unique), 0, 0, NULL,
	    NULL, "write equal rows once" },
	{ "bare", 0, OPT_FLAG, CMD_EXPORT, AT(bare), 0, 0, NULL,
	    NULL, "no metadata in the rows" },
	{ "sidecar", 0, OPT_FLAG, CMD_EXPORT, AT(sidecar), 0, 0, NULL,
	    NULL, "only the metadata, for the rows of --bare" },
	{ "direction", 'd', OPT_WORD, CMD_MODERATE, AT(direction), 0, 0,
	    vocabulary_directions, "WORD", "(prompt)" },
	{ "prompt", 0, OPT_TEXT, CMD_MODERATE, AT(prompt), 0, 0, NULL,
	    "TEXT", "the prompt that the replies answer" },
	{ "jsonl", 0, OPT_FLAG, CMD_MODERATE, AT(jsonl), 0, 0, NULL,
	    NULL, "each line of input is a JSON string" },
	{ "explain", 'e', OPT_FLAG, CMD_MODERATE, AT(explain), 0, 0, NULL,
	    NULL, "show each text with what was found, and why" },
	{ "json", 'j', OPT_FLAG, CMD_ANY, AT(json), 0, 0, NULL,
	    NULL, "print JSON, one object per line" },
	{ "quiet", 'q', OPT_FLAG, CMD_ANY, AT(quiet), 0, 0, NULL,
	    NULL, "no notices and no progress on stderr" },
	{ "socket", 's', OPT_TEXT, CMD_ANY, AT(socket), 0, 0, NULL,
	    "PATH", "chatd's socket" },
	{ "wait", 'w', OPT_NUMBER, CMD_ANY, AT(wait), 0, 1000000, NULL,
	    "SECONDS", "wait for chatd and for its model to load" },
	{ "color", 0, OPT_WORD, CMD_ANY, AT(color), 0, 0, colors,
	    "WHEN", "(auto)" },
	{ "help", 'h', OPT_FLAG, CMD_ANY, AT(help), 0, 0, NULL,
	    NULL, "print this help" },
	{ "version", 'V', OPT_FLAG, CMD_ANY, AT(version), 0, 0, NULL,
	    NULL, "print the version" },
};
#undef AT

static int	opts_store(struct options *, const struct opt *, const char *);
static int	opts_word(const struct opt *, const char *);
static int	opts_param(struct options *, const struct opt *,
		    const char *);
static void	opts_unknown(const struct command *, const char *, int);
static void	opts_build(const struct command *, struct option *, char *);
static int	opts_applies(const struct opt *, const struct command *);

/* Options as they are before any is read. */
void
opts_init(struct options *o)
{
	memset(o, 0, sizeof *o);
	o->wait = -1;
	o->color = "auto";
	o->format = "messages";
	o->heldout = 10;
	o->direction = "prompt";
	o->params = json_object();
	o->reasons = json_array();
}

/* Release the options. */
void
opts_clear(struct options *o)
{
	json_decref(o->params);
	json_decref(o->reasons);
}

/* Does the command take this option? Before its name, any may stand. */
static int
opts_applies(const struct opt *p, const struct command *cmd)
{
	return (cmd == NULL || (p->commands & cmd->bit) != 0);
}

/* Fill the two forms that getopt_long wants; 0 ends longs. */
static void
opts_build(const struct command *cmd, struct option *longs, char *letters)
{
	size_t	 i;

	*letters++ = cmd == NULL ? '+' : ':';
	if (cmd == NULL)
		*letters++ = ':';
	for (i = 0; i < nitems(table); i++) {
		if (!opts_applies(&table[i], cmd))
			continue;
		*longs++ = (struct option){ table[i].name,
		    table[i].arg == NULL ? no_argument : required_argument,
		    NULL, OPT_CODE + (int)i };
		if (table[i].letter == '\0')
			continue;
		*letters++ = table[i].letter;
		if (table[i].arg != NULL)
			*letters++ = ':';
	}
	*letters = '\0';
	memset(longs, 0, sizeof *longs);
}

/* Read options. */
int
opts_read(struct options *o, const struct command *cmd, int argc, char **argv)
{
	struct option	 longs[nitems(table) + 1];
	char		 letters[2 * nitems(table) + 3];
	size_t		 i;
	int		 c;

	opts_build(cmd, longs, letters);
	optind = 0;		/* glibc: begin anew */
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (c == '?' || c == ':') {
			opts_unknown(cmd, argv[optind - 1], c);
			return (-1);
		}
		for (i = 0; i < nitems(table); i++)
			if (c == OPT_CODE + (int)i ||
			    (c < OPT_CODE && c == table[i].letter &&
			    opts_applies(&table[i], cmd)))
				break;
		if (opts_store(o, &table[i], optarg) == -1)
			return (-1);
	}
	return (optind);
}

/* Report an option that is unknown, ambiguous, has a value that it does not
 * take, or lacks its argument. */
static void
opts_unknown(const struct command *cmd, const char *word, int c)
{
	const char	*names[nitems(table) + 1], *near, *what;
	char		*name;
	size_t		 i, n = 0;
	int		 begins = 0;	/* options whose names begin so */

	if (c == ':') {
		term_error("%s: needs an argument; see chatctl --help", word);
		return;
	}
	if (strncmp(word, "--", 2) != 0) {
		term_error("-%c: no such option%s%s; see chatctl%s%s --help",
		    optopt, cmd == NULL ? "" : " of ",
		    cmd == NULL ? "" : cmd->name, cmd == NULL ? "" : " ",
		    cmd == NULL ? "" : cmd->name);
		return;
	}
	for (i = 0; i < nitems(table); i++)
		if (opts_applies(&table[i], cmd))
			names[n++] = table[i].name;
	names[n] = NULL;
	name = xstrndup(word + 2, strcspn(word + 2, "="));
	near = NULL;
	what = "no such option";
	for (i = 0; i < n; i++)
		if (strncmp(names[i], name, strlen(name)) == 0)
			begins++;
	if (begins == 1)
		what = "takes no value";
	else if (begins > 1)
		what = "ambiguous option";
	else
		near = suggest_word(name, names);
	term_error("--%s: %s%s%s; see chatctl%s%s --help", name, what,
	    near == NULL ? "" : "; did you mean --", near == NULL ? "" : near,
	    cmd == NULL ? "" : " ", cmd == NULL ? "" : cmd->name);
	free(name);
}

/* Store one option's value. */
static int
opts_store(struct options *o, const struct opt *p, const char *value)
{
	char	*at = (char *)o + p->offset;

	switch (p->kind) {
	case OPT_FLAG:
		*(int *)at = 1;
		break;
	case OPT_WORD:
		if (opts_word(p, value) == -1)
			return (-1);
		*(const char **)at = value;
		break;
	case OPT_TEXT:
		*(const char **)at = value;
		break;
	case OPT_NUMBER:
		if (opts_number(value, p->min, p->max, (int64_t *)at) == 0)
			break;
		term_error("--%s: expected a whole number from %lld to %lld, "
		    "found \"%s\"", p->name, (long long)p->min,
		    (long long)p->max, value);
		return (-1);
	case OPT_TIME:
		if (stamp_read(value, (int64_t *)at) == 0)
			break;
		term_error("--%s: expected a time such as 2026-11-29, "
		    "2026-11-29T18:00 or 7d, found \"%s\"", p->name, value);
		return (-1);
	case OPT_PARAM:
		return (opts_param(o, p, value));
	case OPT_REASON:
		if (opts_word(p, value) == -1)
			return (-1);
		json_array_append_new(o->reasons, json_string(value));
		break;
	}
	return (0);
}

/* Is value one of the option's words? */
static int
opts_word(const struct opt *p, const char *value)
{
	const char	*near;
	char		*list;

	if (vocabulary_find(p->words, value) != -1)
		return (0);
	near = suggest_word(value, p->words);
	list = vocabulary_list(p->words, "or");
	term_error("--%s: expected %s, found \"%s\"%s%s%s", p->name, list,
	    value, near == NULL ? "" : "; did you mean ",
	    near == NULL ? "" : near, near == NULL ? "" : "?");
	free(list);
	return (-1);
}

/* Set a sampling parameter: --top-k is top_k. */
static int
opts_param(struct options *o, const struct opt *p, const char *value)
{
	char	*name, *s, *why;

	/* In /params an empty value unsets a parameter. Here the value is
	 * probably a shell variable that is not set. */
	if (p->arg != NULL && *value == '\0') {
		term_error("--%s: its value is empty", p->name);
		return (-1);
	}
	name = xstrdup(p->name);
	for (s = name; *s != '\0'; s++)
		if (*s == '-')
			*s = '_';
	why = param_opts_set(o->params, name, p->arg == NULL ? "true" : value);
	if (why != NULL)	/* it begins with the parameter's name */
		term_error("--%s%s", p->name, why + strlen(name));
	free(name);
	free(why);
	return (why == NULL ? 0 : -1);
}

/* Check the options that were given before the command. */
int
opts_check(const struct options *o, const struct command *cmd)
{
	struct options	 fresh;
	size_t		 i, size;
	int		 set;

	opts_init(&fresh);
	for (i = 0; i < nitems(table); i++) {
		if (opts_applies(&table[i], cmd))
			continue;
		size = table[i].kind == OPT_FLAG ? sizeof(int) :
		    table[i].kind == OPT_NUMBER ||
		    table[i].kind == OPT_TIME ? sizeof(int64_t) :
		    sizeof(char *);
		if (table[i].kind == OPT_PARAM)
			set = json_object_size(o->params) > 0;
		else if (table[i].kind == OPT_REASON)
			set = json_array_size(o->reasons) > 0;
		else
			set = memcmp((const char *)o + table[i].offset,
			    (const char *)&fresh + table[i].offset,
			    size) != 0;
		if (!set)
			continue;
		term_error("%s does not take --%s%s; see chatctl %s --help",
		    cmd->name, table[i].name, table[i].kind == OPT_PARAM ?
		    " and its like" : "", cmd->name);
		opts_clear(&fresh);
		return (-1);
	}
	opts_clear(&fresh);
	return (0);
}

/* Read a whole number. */
int
opts_number(const char *s, int64_t min, int64_t max, int64_t *out)
{
	long long	 v;
	char		*end;

	if (*s < '0' || *s > '9')
		return (-1);
	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno != 0 || *end != '\0' || v < min || v > max)
		return (-1);
	*out = v;
	return (0);
}

/* Print help. */
void
opts_help(const struct command *cmd, FILE *out)
{
	const struct command	*c;
	char			 left[64], *list;
	size_t			 i;
	int			 width;

	if (cmd == NULL) {
		fprintf(out, "usage: chatctl [OPTION...] [COMMAND [ARG...]]\n"
		    "Talk to the chat model that chatd serves.\n\nWithout a "
		    "command: an interactive chat if stdin is a terminal; "
		    "otherwise\nstdin is one message and the reply goes to "
		    "stdout.\n\nCommands:\n");
		for (i = 0; (c = command_at(i)) != NULL; i++)
			fprintf(out, "  %-10s  %s\n", c->name, c->summary);
		cmd = command_find("chat");
	} else
		fprintf(out, "usage: chatctl %s [OPTION...]%s%s\n%s.\n%s%s",
		    cmd->name, *cmd->args == '\0' ? "" : " ", cmd->args,
		    cmd->summary, cmd->text == NULL ? "" : "\n",
		    cmd->text == NULL ? "" : cmd->text);
	fprintf(out, "\nOptions:\n");
	for (i = 0; i < nitems(table); i++) {
		if (!opts_applies(&table[i], cmd))
			continue;
		width = snprintf(left, sizeof left, "%c%c%s--%s%s%s",
		    table[i].letter ? '-' : ' ',
		    table[i].letter ? table[i].letter : ' ',
		    table[i].letter ? ", " : "  ", table[i].name,
		    table[i].arg == NULL ? "" : " ",
		    table[i].arg == NULL ? "" : table[i].arg);
		list = table[i].words == NULL ? NULL :
		    vocabulary_list(table[i].words, "or");
		fprintf(out, "  %-27s%s%s%s%s\n", left, width > 26 ?
		    "\n                             " : "",
		    list == NULL ? "" : list, list == NULL ? "" : " ",
		    table[i].help);
		free(list);
	}
	fprintf(out, "\nSee chatctl(1) for details.\n");
}
