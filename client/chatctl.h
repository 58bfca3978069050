/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of chatctl, one section per file.  The way of a command:
 * chatctl.c finds it, opts.c reads its options, link.c connects and carries
 * its requests, term.c and render.c show what comes back.
 */
#ifndef CLIENT_CHATCTL_H
#define CLIENT_CHATCTL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "chat.h"
#include "render.h"

#define CTL_SOCKET	"/run/chatd/chatd.sock"
#define CTL_GROUP	"chat"	/* who may connect, where it can't be seen */
#define CTL_OPERATORS	"chat-admin"	/* chatd.yaml's default */
#define CTL_WAIT_MODEL	600	/* seconds a loading model is waited for */
#define CTL_WAIT_DOWN	10	/* the same where it isn't even loading */
#define CTL_PROMPT_MAX	262144	/* bytes of text, until chatd announces it */

/* Exit statuses, also returned by whatever ends a command. */
enum {
	CTL_OK = 0,		/* answered */
	CTL_REFUSED = 1,	/* refused by a filter, or a negative result */
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3,	/* no chatd, or its model did not load */
	CTL_DENIED = 4,
	CTL_PROTOCOL = 5,	/* another version, or not chatd at all */
	CTL_INTERRUPTED = 130	/* Ctrl-C */
};

/* What the command line says; strings are borrowed from argv. */
struct options {
	const char	*socket;
	int64_t		 wait;		/* seconds; -1: not given */
	const char	*color;		/* auto, always, never */
	int		 json, quiet, help, version;
	int		 resume;	/* --continue */
	int64_t		 conversation;	/* 0: none */
	int		 raw;
	const char	*preprompt;
	json_t		*params;	/* owned: object, what was given */
	int		 no_history;
	int		 all, no_pager;
	int		 exchange;	/* arguments number exchanges */
	int64_t		 limit, before;	/* 0: not given */
	const char	*direction, *prompt;
	int		 jsonl;
	int64_t		 reply;		/* 0: not given */
	json_t		*reasons;	/* owned: array of slugs */
	const char	*ideal, *comment;
	const char	*format, *output;
};

/* One run of the program. */
struct ctl {
	struct options	 opt;
	const char	*socket;	/* borrowed: the path in use */
	struct chat	*chat;		/* owned: NULL before link_open */
	char		 lost[512];	/* why link_run has no last event */
	int		 loading;	/* a progress line stands on stderr */
	int		 near;		/* quota_near has been told */
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
#define CMD_ANY		0x1fff

struct command {
	const char	*name;
	unsigned	 bit;		/* CMD_... */
	const char	*args;		/* "[TEXT...]", for help */
	int		 min, max;	/* arguments; max -1: any number */
	const char	*summary;	/* one line, for help */
	const char	*text;		/* what else --help says, or NULL */
};

const struct command *command_find(const char *name);
/* As command_find, but reports that there is no command of that name. */
const struct command *command_named(const char *name);
const struct command *command_at(size_t i);	/* NULL after the last */

/* ---- opts.c: options and --help */
void	 opts_init(struct options *o);
void	 opts_clear(struct options *o);

/*
 * Read options for a command; NULL reads those before the command's name and
 * stops at it. Returns how many words of argv were used, or -1 after saying
 * what is wrong. argv is permuted so that the arguments come last.
 */
int	 opts_read(struct options *o, const struct command *cmd, int argc,
	    char **argv);

/* Were only options given before the command that it takes? 0, or -1 after
 * saying which one it does not. */
int	 opts_check(const struct options *o, const struct command *cmd);

/* Print --help: of one command, or of the program where cmd is NULL. */
void	 opts_help(const struct command *cmd, FILE *out);

/* A whole number within min..max. 0, or -1 with nothing said. */
int	 opts_number(const char *s, int64_t min, int64_t max, int64_t *out);

/* ---- param_opts.c: sampling parameters */
/*
 * Set one from text, by its name in the protocol. Returns NULL, or why not
 * (a new string). "stop" adds a string; an empty value takes the parameter
 * out again.
 */
char	*param_opts_set(json_t *params, const char *name, const char *value);
/* What is set, one a line, for a human. */
void	 param_opts_show(const json_t *params, FILE *out);

/* ---- term.c: the terminal, colours, messages */
enum role { ROLE_PLAIN, ROLE_DIM, ROLE_BOLD, ROLE_BAD, ROLE_GOOD };

/* Decide on colours; color is auto, always or never. */
void	 term_init(const char *color, int quiet);
int	 term_is(int fd);		/* is 1 or 2 a terminal? */
unsigned term_mark(int fd);		/* RENDER_MARK where colours are on */
/* Escape sequences that begin and end a role on fd; "" without colours. */
const char *term_on(int fd, enum role role);
const char *term_off(int fd);
void	 term_size(int *rows, int *columns);

/* "chatctl: ..." on stderr; controls in it are escaped. */
void	 term_error(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* The same for what is not an error; silent with --quiet. */
void	 term_note(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

/* Write out stdout. Where its reader has gone, end as SIGPIPE would; any
 * other failure is told, status CTL_REFUSED. */
void	 term_flush(void);
/* One object as one line on stdout. */
void	 term_json(const json_t *v);

/* ---- pager.c: long output on a terminal */
/*
 * A stream to write a list to, good until pager_close. Where stdout is a
 * terminal and a pager is wanted, text longer than the screen then goes
 * through one; all else goes to stdout.
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
/* on: Ctrl-C is noted; off (as at first): it ends the program, status 130. */
void	 intr_hold(int on);
int	 intr_fd(void);		/* readable after a Ctrl-C or another signal */
/* Has Ctrl-C been pressed since the last call? */
int	 intr_take(void);
/* Has SIGTERM or SIGHUP come? SIGCONT, SIGWINCH since the last call? */
int	 intr_ended(void);
int	 intr_resumed(void);
int	 intr_resized(void);

/* ---- link.c: the connection */
int	 link_open(struct ctl *ctl);	/* 0 or an exit status, told */
void	 link_close(struct ctl *ctl);
/* Wait until the model is loaded, as --wait says. 0 or a status, told. */
int	 link_wait_model(struct ctl *ctl);

/*
 * Send msg (taken) and hand each event but the last to fn (may be NULL).
 * With cancel, Ctrl-C sends a cancel first and ends the wait the second time.
 * Returns CTL_OK with *end the done event; the status of its code with *end
 * the error event; or with *end NULL CTL_UNREACHABLE (connection lost, now
 * closed), CTL_PROTOCOL, CTL_USAGE (too long to be sent) and CTL_INTERRUPTED.
 * Says nothing: link_report does. *end is a new reference.
 */
int	 link_run(struct ctl *ctl, json_t *msg, int cancel,
	    void (*fn)(void *arg, const json_t *event), void *arg,
	    json_t **end);
/* The same without cancel, telling what went wrong. */
int	 link_call(struct ctl *ctl, json_t *msg,
	    void (*fn)(void *arg, const json_t *event), void *arg,
	    json_t **end);
/* Tell an error event; NULL: why there was none (nothing after Ctrl-C). */
void	 link_report(struct ctl *ctl, const json_t *error);
int	 link_status_of(const char *code);

/* ---- input.c: texts from stdin, files and arguments */
/*
 * Everything on fd, at most max bytes of valid UTF-8 without NUL, in a new
 * string. 0, or CTL_USAGE after saying what is wrong; name is told then.
 */
int	 input_read(int fd, const char *name, size_t max, char **text);
/* The arguments joined by spaces, in a new string. */
char	*input_join(int argc, char **argv);
/* "-" is stdin, @FILE a file, anything else itself; as input_read. */
int	 input_value(const char *value, const char *name, size_t max,
	    char **text);
/* Is stdin a pipe, a socket or a file, so that its end will come? */
int	 input_piped(void);
void	 input_chomp(char *s);		/* without newlines at its end */
/* Is the text valid UTF-8? 0, or CTL_USAGE after saying where it is not. */
int	 input_check(const char *text, const char *name);
/* text changed in $VISUAL or $EDITOR, in a new string; NULL: told why not. */
char	*input_edit(const char *text);

/* ---- say.c: one streamed reply */
/* What a reply left behind. */
struct said {
	int64_t	 exchange, conversation, reply;	/* 0: not known */
	char	*text;			/* owned: what was shown */
	char	 stop[16];		/* "" where it did not end */
};
/* A say, complete or regenerate request with the options of ctl. */
json_t	*say_message(const char *text, int64_t conversation,
	    const char *preprompt, const json_t *params);
json_t	*say_complete(const char *prompt, const json_t *params);
json_t	*say_again(int64_t exchange, const json_t *params);
/*
 * Send it (taken), show the reply on stdout as it comes and what else is to
 * be told on stderr. Fills *said (clear it with say_clear; zeroed before the
 * first use). Returns an exit status; CTL_INTERRUPTED for a cancelled reply.
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

/* ---- list.c, show.c, show_status.c: printing what the store and chatd say */
#define LIST_DEFAULT	50		/* conversations without --limit */

/* Print the list that msg (taken) requests. Returns an exit status. */
int	 list_print(struct ctl *ctl, json_t *msg, FILE *out);
/*
 * Print a conversation, or with --exchange an exchange. Fills *said (may be
 * NULL) with the newest reply. Returns an exit status.
 */
int	 show_conversation(struct ctl *ctl, int64_t number, FILE *out,
	    struct said *said);
int	 show_status(struct ctl *ctl, FILE *out);

/* ---- rate.c: ratings */
#define RATE_NONE	2		/* no thumb */

/*
 * A rate request. thumb is 1, 0, -1 or RATE_NONE; reply 0 is the newest reply
 * of the exchange. reasons, ideal and comment may be NULL.
 */
json_t	*rate_message(int64_t exchange, int64_t reply, int thumb,
	    const json_t *reasons, const char *ideal, const char *comment);

/* ---- cmd_*.c: one command each; argv has its arguments */
int	 cmd_chat(struct ctl *ctl, int argc, char **argv);
int	 cmd_ask(struct ctl *ctl, int argc, char **argv);
int	 cmd_list(struct ctl *ctl, int argc, char **argv);
int	 cmd_show(struct ctl *ctl, int argc, char **argv);
int	 cmd_delete(struct ctl *ctl, int argc, char **argv);
int	 cmd_rate(struct ctl *ctl, int argc, char **argv);
int	 cmd_export(struct ctl *ctl, int argc, char **argv);
int	 cmd_status(struct ctl *ctl, int argc, char **argv);
int	 cmd_health(struct ctl *ctl, int argc, char **argv);
int	 cmd_reload(struct ctl *ctl, int argc, char **argv);
int	 cmd_moderate(struct ctl *ctl, int argc, char **argv);
int	 cmd_tokenize(struct ctl *ctl, int argc, char **argv);

/* Connect, wait for the model and find the conversation that --continue
 * means. 0 or an exit status, reported. */
int	 cmd_ask_open(struct ctl *ctl);

#endif
