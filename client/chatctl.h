/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for all files of chatctl, a section for each.  chatctl.c finds a
 * command and calls its function cmd_NAME, opts.c reads its options, link.c
 * connects and sends its requests, term.c and render.c print the answers.
 *
 * A file calls only files of the lines above its own:
 *   render  wire
 *   term
 *   table  flow  waiting
 *   intr  stamp  command  param_opts  input  rate
 *   opts  link  pager  key
 *   filter
 *   exporting  tune_place
 *   say  list  show_status  explain
 *   show
 *   review_walk
 *   repl_... (repl.h)
 *   cmd_...
 *   chatctl
 * "Reported" means that a message was printed on stderr.
 */
#ifndef CLIENT_CHATCTL_H
#define CLIENT_CHATCTL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "wire.h"
#include "render.h"

#define CTL_SOCKET	"/run/chatd/chatd.sock"
#define CTL_GROUP	"chat"	/* of the socket, if stat fails */
#define CTL_OPERATORS	"chat-admin"	/* chatd.yaml's default */
#define CTL_WAIT_MODEL	600	/* seconds to wait for a loading model */
#define CTL_WAIT_DOWN	10	/* the same if no engine is running */
#define CTL_PROMPT_MAX	262144	/* bytes of text, until chatd announces it */

/* Exit statuses of the program and of commands. */
enum {
	CTL_OK = 0,		/* answered */
	CTL_REFUSED = 1,	/* refused by a filter, or a negative result */
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3,	/* no chatd, or its model did not load */
	CTL_DENIED = 4,
	CTL_PROTOCOL = 5,	/* another version, or not chatd at all */
	CTL_INTERRUPTED = 130	/* Ctrl-C */
};

/* The options; strings are borrowed from argv. */
struct options {
	const char	*socket;
	int64_t		 wait;		/* seconds; -1: not given */
	const char	*color;		/* auto, always, never */
	int		 json, quiet, help, version;
	int		 resume;	/* --continue */
	int64_t		 conversation;	/* 0: none */
	int		 raw;
	const char	*preprompt;
	json_t		*params;	/* owned: object, those given */
	int		 no_history;
	int		 markdown;
	int		 no_stdin;
	int		 plain;		/* neither wrapping nor markdown */
	int		 all, no_pager;
	int		 exchange;	/* arguments are numbers of exchanges */
	int64_t		 limit, before;	/* 0: not given */
	const char	*direction, *prompt;
	int		 jsonl, explain, refusals;
	int		 unrated, second, disputed, flagged, edit;
	int64_t		 since, until;	/* ms since 1970; 0: not given */
	const char	*rating, *category, *model, *user;
	int64_t		 reply, sample;	/* 0: not given */
	int		 yes;		/* do not ask */
	int		 any;		/* ab: also replies that model.ab did
					 * not assign */
	json_t		*reasons;	/* owned: array of slugs */
	const char	*ideal, *comment;
	const char	*format, *output, *split;
	int64_t		 heldout;	/* per cent */
	int		 consent, unique, bare, sidecar;
	const char	*parent, *preset, *templates, *corpus;	/* of tune */
	const char	*models;	/* the folder that tune keeps */
	int		 dry_run, no_swap, again;
};

/* One run of the program. */
struct ctl {
	struct options	 opt;
	const char	*socket;	/* borrowed: the path in use */
	struct wire	*chat;		/* owned: NULL before link_open */
	char		 lost[512];	/* why link_run set *end to NULL */
	char		 code[32];	/* of the last error if it was
					 * reported */
	int		 loading;	/* a progress line is on the terminal */
	int64_t		 current;	/* conversation marked in lists */
	const char	*known;		/* borrowed, or NULL: the beginning of
					 * the next reply that is not shown
					 * again */
	int		 verbose;	/* print numbers after each reply */
	int		 near;		/* quota_near notices so far */
	/* Called about four times a second while link_run waits for an event;
	 * NULL: not. */
	void		(*tick)(void *);
	void		*tick_arg;	/* borrowed */
	/* For show_conversation: */
	int		 whole;		/* whatever the filter of the options */
	int		 blind;		/* without ratings */
	int64_t		 only;		/* only this reply; 0: all */
};

/* ---- command.c: the table of commands */
#define CMD_CHAT	0x001
#define CMD_ASK		0x002
#define CMD_LIST	0x004
#define CMD_SHOW	0x008
#define CMD_RATE	0x010
#define CMD_DELETE	0x020
#define CMD_EXPORT	0x040
#define CMD_STATUS	0x080
#define CMD_RELOAD	0x100
#define CMD_MODERATE	0x200
#define CMD_TOKENIZE	0x400
#define CMD_HELP	0x800
#define CMD_HEALTH	0x1000
#define CMD_FILTERS	0x2000
#define CMD_REVIEW	0x4000
#define CMD_SEARCH	0x8000
#define CMD_STATS	0x10000
#define CMD_CONSENT	0x20000
#define CMD_IMPORT	0x40000
#define CMD_FORGET	0x80000
#define CMD_ADOPT	0x100000
#define CMD_REPLAY	0x200000
#define CMD_BACKUP	0x400000
#define CMD_RESTORE	0x800000
#define CMD_TOP		0x1000000
#define CMD_ROLLBACK	0x2000000
#define CMD_AB		0x4000000
#define CMD_TUNE	0x8000000
#define CMD_ANY		0xfffffff

struct command {
	const char	*name;
	unsigned	 bit;		/* CMD_... */
	const char	*args;		/* "[TEXT...]", for help */
	int		 min, max;	/* arguments; max -1: any number */
	const char	*summary;	/* one line, for help */
	const char	*text;		/* more text for --help, or NULL */
};

const struct command *command_find(const char *name);
/* As command_find, but reports that there is no command of that name. */
const struct command *command_named(const char *name);
const struct command *command_at(size_t i);	/* NULL after the last */

/* ---- opts.c: options and --help */
void	 opts_init(struct options *o);
void	 opts_clear(struct options *o);

/*
 * Read the options of a command. If cmd is NULL, read those before the name of
 * the command. Returns the number of words of argv that were used, or -1,
 * reported. argv is permuted so that the arguments come last.
 */
int	 opts_read(struct options *o, const struct command *cmd, int argc,
	    char **argv);

/* Check that the command takes all options that were given before it. 0, or -1,
 * reported. */
int	 opts_check(const struct options *o, const struct command *cmd);

/* Print --help of one command, or of the program if cmd is NULL. */
void	 opts_help(const struct command *cmd, FILE *out);

/* Read a whole number within min..max. 0, or -1, not reported. */
int	 opts_number(const char *s, int64_t min, int64_t max, int64_t *out);

/* ---- param_opts.c: sampling parameters */
/*
 * Set one from text, by its name in the protocol. Returns NULL, or the reason
 * why not (a new string). "stop" adds a string; an empty value unsets the
 * parameter.
 */
char	*param_opts_set(json_t *params, const char *name, const char *value);
/* Print the parameters that are in force, one per line, for people: those of
 * params, else of defaults (may be NULL). */
void	 param_opts_show(const json_t *params, const json_t *defaults,
	    FILE *out);

/* ---- term.c: the terminal, colours, messages */
enum role { ROLE_PLAIN, ROLE_DIM, ROLE_BOLD, ROLE_BAD, ROLE_GOOD };

/* Choose colours; color is auto, always or never. */
void	 term_init(const char *color, int quiet);
int	 term_is(int fd);		/* is 1 or 2 a terminal? */
unsigned term_mark(int fd);		/* RENDER_MARK if colours are on */
/* Escape sequences that begin and end a role on fd; "" without colours. */
const char *term_on(int fd, enum role role);
const char *term_off(int fd);
void	 term_size(int *rows, int *columns);

/* Print text, of ASCII, on stdout from column n on, and a newline. Lines are
 * broken between words at the width of the terminal; those after the first
 * begin at column indent. */
void	 term_words(const char *text, int n, int indent);

/* Print "chatctl: ..." on stderr; controls in it are escaped. */
void	 term_error(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* The same for messages that are not errors; not printed with --quiet. */
void	 term_note(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

/* Write out stdout. On failure the program ends: as by SIGPIPE if nobody reads
 * stdout, else with a message and CTL_REFUSED. */
void	 term_flush(void);
/* Without echo (on is 0), keys come without Enter, and those that are pressed
 * during a reply are kept for the next prompt. */
void	 term_echo(int on);
/* One object as one line on stdout. */
void	 term_json(const json_t *v);

/* ---- waiting.c: what a reply waits for */
struct waiting {
	int	 on;		/* wanted, on a terminal that can do it */
	int	 shown;		/* the line is on the screen */
	int64_t	 since;		/* monotonic ms */
	int64_t	 place;		/* replies before this one */
	int64_t	 tokens;	/* of the prompt, once it is being read */
	int	 restarting;	/* the engine has died */
	size_t	 rows;		/* of a table that is not complete */
};
/* Begin to wait; the line is shown after half a second. */
void	 waiting_begin(struct waiting *w, int wanted);
void	 waiting_show(struct waiting *w);	/* draw it, or draw it again */
void	 waiting_clear(struct waiting *w);	/* erase it */

/* ---- pager.c: long output on a terminal */
/*
 * A stream that a list is written to, until pager_close. If stdout is a
 * terminal, a pager is wanted and the text is longer than the screen,
 * pager_close shows it in a pager. Otherwise the text goes to stdout.
 */
struct pager {
	FILE	*out;		/* stdout, or owned: writes text */
	char	*text;		/* owned */
	size_t	 length;
};
FILE	*pager_open(struct pager *p, int wanted);
void	 pager_close(struct pager *p);

/* ---- intr.c: Ctrl-C */
void	 intr_init(void);
/* on: Ctrl-C is noted; off (at the start): it ends the program, status 130. */
int	 intr_hold(int on);	/* returns what it was */
int	 intr_fd(void);		/* readable after a Ctrl-C or another signal */
/* Has Ctrl-C been pressed since the last call? */
int	 intr_take(void);
/* on: Ctrl-Z is noted, for the line editor; off: it stops the program. */
void	 intr_hold_stop(int on);
/* Has SIGTERM or SIGHUP come? Ctrl-Z, SIGCONT, SIGWINCH since the last call? */
int	 intr_stopped(void);
int	 intr_ended(void);
int	 intr_resumed(void);
int	 intr_resized(void);

/* ---- link.c: the connection */
int	 link_open(struct ctl *ctl);	/* 0 or an exit status, reported */
void	 link_close(struct ctl *ctl);
/* Wait until the model is loaded, as --wait says. 0 or a status, reported. */
int	 link_wait_model(struct ctl *ctl);
/* Print the progress of loading (bytes and bytes_total of m) over the last
 * progress line, if standard error is a terminal. Then erase that line. */
void	 link_progress(struct ctl *ctl, const json_t *m);
void	 link_progress_end(struct ctl *ctl);

/*
 * Send msg (taken) and call fn (may be NULL) with each event but the last. With
 * cancel, the first Ctrl-C sends a cancel and the second one ends the wait.
 * *end becomes a new reference to the last event, or NULL. Returns
 *   CTL_OK           *end is the done event
 *   link_status_of   of the code in *end, which is the error event
 * or, with *end NULL, CTL_UNREACHABLE or CTL_PROTOCOL (the connection is lost
 * and closed), CTL_USAGE (msg is too long) or CTL_INTERRUPTED. Failures are not
 * reported; link_report does that.
 */
int	 link_run(struct ctl *ctl, json_t *msg, int cancel,
	    void (*fn)(void *arg, const json_t *event), void *arg,
	    json_t **end);
/* The same without cancel; failures are reported. */
int	 link_call(struct ctl *ctl, json_t *msg,
	    void (*fn)(void *arg, const json_t *event), void *arg,
	    json_t **end);
/* Report an error event. If it is NULL, report why the request has no last
 * event; after Ctrl-C nothing is reported. */
void	 link_report(struct ctl *ctl, const json_t *error);
int	 link_status_of(const char *code);

/* Is status that of an error, already reported, which says that something is
 * not there, for instance because it was deleted in the meantime? */
int	 link_gone(const struct ctl *ctl, int status);

/* ---- input.c: texts from stdin, files and arguments */
/*
 * Read all of fd, at most max bytes of valid UTF-8 without NUL, into a new
 * string. 0, or CTL_USAGE, reported with name.
 */
int	 input_read(int fd, const char *name, size_t max, char **text);
/* The arguments joined by spaces, in a new string. */
char	*input_join(int argc, char **argv);
/* "-" is stdin, @FILE a file, anything else itself; as input_read. */
int	 input_value(const char *value, const char *name, size_t max,
	    char **text);
/* Is stdin a pipe, a socket or a file, which have an end? */
int	 input_piped(void);
void	 input_chomp(char *s);		/* remove newlines at the end */
/* Check that the text is UTF-8. 0, or CTL_USAGE, reported with its place. */
int	 input_check(const char *text, const char *name);
/* Let the user edit text in $VISUAL or $EDITOR. Returns a new string, or NULL,
 * reported. */
char	*input_edit(const char *text);

/* ---- say.c: one streamed reply */
/* A reply that was printed, for commands that refer to it. */
struct said {
	int64_t	 exchange, conversation, reply;	/* 0: not known */
	char	*text;			/* owned: the text printed */
	char	 stop[16];		/* "" if it did not end */
};
/* A say, complete or regenerate request with the options of ctl. */
json_t	*say_message(const char *text, int64_t conversation,
	    const char *preprompt, const json_t *params);
json_t	*say_complete(const char *prompt, const json_t *params);
json_t	*say_again(int64_t exchange, int further, const json_t *params);
/*
 * Send msg (taken), print the reply on stdout as it comes, and notices and
 * errors on stderr. Fills *said, which is zero before the first use and cleared
 * with say_clear. Returns an exit status, CTL_INTERRUPTED for a cancelled
 * reply.
 */
int	 say_run(struct ctl *ctl, json_t *msg, int chatting,
	    struct said *said);
void	 say_clear(struct said *said);

/* ---- stamp.c: times */
#define STAMP_TEXT	32		/* bytes of a time as text */
#define STAMP_MINUTES	"%Y-%m-%d %H:%M"
#define STAMP_SECONDS	"%Y-%m-%d %H:%M:%S"

/* Write ms, milliseconds since 1970, to text as local time.  Returns text. */
const char *stamp_text(int64_t ms, const char *format, char *text);
/* Read a date, a date and a time, or an age such as 7d, as ms since 1970. 0, or
 * -1, not reported. */
int	 stamp_read(const char *text, int64_t *ms);

/* ---- list.c, show.c, show_status.c: printing the answers of chatd */
#define LIST_DEFAULT	50		/* conversations without --limit */

/* Print the list that msg (taken) requests: of conversations, or if raw or
 * found is set, of raw prompts or of what a search has found. Returns an exit
 * status. */
int	 list_print(struct ctl *ctl, json_t *msg, FILE *out);
/*
 * Print a conversation, or with --exchange an exchange. Fills *said (may be
 * NULL) with the newest reply. Returns an exit status.
 */
int	 show_conversation(struct ctl *ctl, int64_t number, FILE *out,
	    struct said *said);
/* Print only the newest exchange, the title, and how much of the model's
 * context the conversation takes. Otherwise as show_conversation. */
int	 show_recap(struct ctl *ctl, int64_t number, FILE *out,
	    struct said *said);
int	 show_status(struct ctl *ctl, FILE *out);

/* ---- filter.c: the options that choose exchanges */
/* Add the filter of the options to a request. 0, or CTL_USAGE, reported. */
int	 filter_add(const struct ctl *ctl, json_t *msg);
/* Read a number of an exchange, or "last", which is the user's newest exchange.
 * The connection is open. Returns an exit status, reported. */
int	 filter_exchange(struct ctl *ctl, const char *word, int64_t *exchange);
/* The name of an account, in a new string; "1000" if it has none. */
char	*filter_user(int64_t uid);

/* ---- exporting.c: exports */
/*
 * Export what the options choose, to stdout, or to a new file with its
 * manifest. *bytes is what was written; *end a new reference to the done event,
 * or NULL. A connection that is open is used. Returns an exit status, reported.
 */
int	 exporting_run(struct ctl *ctl, const char *format, const char *path,
	    size_t *bytes, json_t **end);

/* ---- tune_place.c: where tune makes a model */
#define TUNE_RATINGS	".ratings-"	/* the exports lie beside the model */
/*
 * Choose the folder of the new model, *out (owned), and lock the folder in
 * which it will be: *lock is a file, which the caller closes at the end.
 * Returns an exit status, reported; *lock is -1 then.
 */
int	 tune_place(const struct options *o, char **out, int *lock);
/*
 * Before the training, unless that is a dry run: with swaps, ask chatd if it
 * will be able to load the model in the folder out; with --models, remove there
 * what neither chatd nor the training of parent needs. Returns an exit status,
 * reported.
 */
int	 tune_place_check(struct ctl *ctl, const char *out,
	    const char *parent, int swaps);

/* ---- explain.c: what filters found */
/* Print a done event of moderate with "explain", about text (UTF-8): the text
 * with the places that were found, and each finding with what it weighed. */
void	 explain_print(const char *text, const json_t *end);
/* The plugin and the rule of a finding, a new string; the plugin once if the
 * name of the rule begins with it. */
char	*explain_name(const json_t *finding);
/* Order two findings, elements of an array of json_t *, as moderate does: the
 * higher score first, then the earlier place. For qsort. */
int	 explain_strongest(const void *a, const void *b);

/* ---- rate.c: ratings */
#define RATE_NONE	2		/* no thumb */

/*
 * A rate request. thumb is 1, 0, -1 or RATE_NONE; reply 0 is the newest reply
 * of the exchange. reasons, ideal and comment may be NULL.
 */
json_t	*rate_message(int64_t exchange, int64_t reply, int thumb,
	    const json_t *reasons, const char *ideal, const char *comment);
/* Report the done event of a rate request: what was recorded. */
void	 rate_report(const json_t *end);

/* ---- review_walk.c: an operator rates replies one after the other */
/* The kind of review as chatd names it. Returns an exit status. */
int	 review_walk(struct ctl *ctl, const char *kind);

/* ---- key.c: single keys */
enum {
	KEY_END = -1,		/* the end of the input */
	KEY_STOP = -2		/* Ctrl-C or another signal */
};
/* Read a key: on a terminal without the return key, else the first letter of a
 * line. */
int	 key_read(void);
/* Read a line, a new string without its newline; NULL after Ctrl-C and at the
 * end of the input. */
char	*key_line(void);

/* ---- cmd_*.c: one command each; argv has its arguments */
int	 cmd_chat(struct ctl *ctl, int argc, char **argv);
int	 cmd_ask(struct ctl *ctl, int argc, char **argv);
int	 cmd_list(struct ctl *ctl, int argc, char **argv);
int	 cmd_show(struct ctl *ctl, int argc, char **argv);
int	 cmd_delete(struct ctl *ctl, int argc, char **argv);
int	 cmd_forget(struct ctl *ctl, int argc, char **argv);
int	 cmd_adopt(struct ctl *ctl, int argc, char **argv);
int	 cmd_replay(struct ctl *ctl, int argc, char **argv);
int	 cmd_backup(struct ctl *ctl, int argc, char **argv);
int	 cmd_restore(struct ctl *ctl, int argc, char **argv);
int	 cmd_rate(struct ctl *ctl, int argc, char **argv);
int	 cmd_export(struct ctl *ctl, int argc, char **argv);
int	 cmd_search(struct ctl *ctl, int argc, char **argv);
int	 cmd_ab(struct ctl *ctl, int argc, char **argv);
int	 cmd_stats(struct ctl *ctl, int argc, char **argv);
int	 cmd_consent(struct ctl *ctl, int argc, char **argv);
int	 cmd_import(struct ctl *ctl, int argc, char **argv);
int	 cmd_status(struct ctl *ctl, int argc, char **argv);
int	 cmd_health(struct ctl *ctl, int argc, char **argv);
int	 cmd_reload(struct ctl *ctl, int argc, char **argv);
int	 cmd_rollback(struct ctl *ctl, int argc, char **argv);
int	 cmd_filters(struct ctl *ctl, int argc, char **argv);
int	 cmd_review(struct ctl *ctl, int argc, char **argv);
int	 cmd_moderate(struct ctl *ctl, int argc, char **argv);
int	 cmd_tokenize(struct ctl *ctl, int argc, char **argv);
int	 cmd_top(struct ctl *ctl, int argc, char **argv);
int	 cmd_tune(struct ctl *ctl, int argc, char **argv);

/* Connect, wait for the model and find the conversation that --continue
 * means. 0 or an exit status, reported. */
int	 cmd_ask_open(struct ctl *ctl);

#endif
