/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the interactive chat: line editor, pasted texts, history file,
 * and the commands that begin with a slash.
 */
#ifndef CLIENT_REPL_H
#define CLIENT_REPL_H

#include "chatctl.h"

/* ---- paste.c: pasted documents, shown in the line by a short name */
struct paste;
struct paste	*paste_new(void);
void		 paste_free(struct paste *p);

/*
 * Keep a pasted text of n bytes. Returns the text to show in the line being
 * edited: the pasted text itself if it is short and has no newline, else a name
 * such as "[paste 1: 12 lines]". Borrowed until the next call. CR and CRLF
 * become LF; NUL and newlines at the end are dropped.
 */
const char	*paste_add(struct paste *p, const char *text, size_t n);

/* The bytes of the name that ends at byte n of line, or 0 if none does. */
size_t		 paste_name_before(const struct paste *p, const char *line,
		    size_t n);

/* The line with each name replaced by its text, in a new string; *held is the
 * number of names replaced. */
char		*paste_expand(const struct paste *p, const char *line,
		    int *held);

/* ---- history.c: lines typed before */
struct history_file;
/*
 * Open the history file of this user, making it (mode 0600) and its folders
 * (0700). NULL if it is off, or can't be used, which is reported.
 */
struct history_file *history_file_open(int off);
void		 history_file_close(struct history_file *h);
/* Call fn with each entry, oldest first. */
void		 history_file_each(struct history_file *h,
		    void (*fn)(void *arg, const char *entry), void *arg);
/* Append an entry; other chats may append to the same file. */
void		 history_file_add(struct history_file *h, const char *entry);

/* ---- keyseq.c: what the keyboard sends */

/* A key as one character for the line editor: a control character as it is, or
 * one of 0x80 to 0x9f, which nobody can type. */
enum keyseq {
	KEYSEQ_NONE = 0,		/* a key without a meaning here */
	KEYSEQ_ENTER = 0x0d,
	KEYSEQ_UP = 0x80, KEYSEQ_DOWN, KEYSEQ_LEFT, KEYSEQ_RIGHT,
	KEYSEQ_HOME, KEYSEQ_END, KEYSEQ_PREV_WORD, KEYSEQ_NEXT_WORD,
	KEYSEQ_DELETE, KEYSEQ_DELETE_WORD, KEYSEQ_PASTE,
	KEYSEQ_LAST		/* one more than the last */
};

/*
 * Read the key that begins with the ESC at s[0]. Returns its bytes and sets
 * *key, or returns 0 if the n bytes may be the beginning of a longer one. *key
 * is ESC itself if the next byte is a key of its own.
 */
size_t	 keyseq_read(const char *s, size_t n, enum keyseq *key);

/* ---- edit.c: the line editor */
struct edit;

/* What ended a line. */
enum edit_end {
	EDIT_LINE,	/* Enter */
	EDIT_EOF,	/* Ctrl-D on an empty line, or no terminal any more */
	EDIT_CANCEL,	/* Ctrl-C on a line that is not empty */
	EDIT_BREAK,	/* Ctrl-C on an empty line */
	EDIT_KILLED	/* SIGTERM or SIGHUP */
};

/*
 * complete returns the words that may follow text, which ends at the cursor: a
 * new array that ends with NULL, of "word" or "word\tdescription", all owned by
 * the caller. *start becomes the place where the word to complete begins.
 */
struct edit_help {
	char	**(*complete)(void *arg, const char *text, size_t *start);
	void	 *arg;		/* borrowed */
};

/* NULL if libedit does not start, because TERM is not known. */
struct edit	*edit_new(const struct edit_help *help, int no_history);
void		 edit_free(struct edit *e);

/*
 * Print prompt (borrowed) and read a line into *line, a new string without its
 * newline, or NULL if none was entered.
 */
enum edit_end	 edit_line(struct edit *e, const char *prompt, char **line);

/* Add a line to the history, and to its file unless the line has the name of a
 * pasted text or begins with a space. */
void		 edit_remember(struct edit *e, const char *line);

/* The line with pasted texts instead of their names (a new string). */
char		*edit_expand(const struct edit *e, const char *line);

/* ---- repl.c: the chat itself */
struct repl {
	struct ctl	*ctl;		/* borrowed */
	struct edit	*edit;		/* owned */
	int64_t		 conversation;	/* 0: the next message begins one */
	struct said	 last;		/* the newest reply */
	int		 topic;		/* the next message begins a subject */
	char		*sent;		/* owned: the newest message, or
					 * NULL */
	char		*preprompt;	/* owned: set by /system, or NULL */
	int		 leave;
};

/* Chat until the user leaves. The connection is open. Returns an exit
 * status. */
int	 repl_run(struct ctl *ctl);

/* ---- repl_link.c: the connection of a chat */
/* Connect again if the connection is lost. 0, or -1 after reporting why there
 * is none. */
int	 repl_link_open(struct repl *r);
/* Send a request (taken) and show its reply, connecting again if needed. */
void	 repl_link_say(struct repl *r, json_t *msg);

/* ---- repl_cmd.c: commands that begin with a slash */
/* Where the words of a command's argument come from. */
enum words { WORDS_NONE, WORDS_COMMANDS, WORDS_CONVERSATIONS, WORDS_PARAMS,
	WORDS_REASONS };

struct repl_cmd {
	const char	*name;		/* "/help" */
	const char	*args;		/* for /help */
	const char	*help;		/* one line */
	enum words	 words;		/* for Tab */
	void		(*run)(struct repl *r, char *rest);
};
const struct repl_cmd *repl_cmd_at(size_t i);	/* NULL after the last */
/* The command whose name is the n bytes at name, or NULL. */
const struct repl_cmd *repl_cmd_find(const char *name, size_t n);
/* Run a line that begins with one slash. */
void	 repl_cmd_run(struct repl *r, char *line);

/* ---- repl_text.c: commands about the texts that the model reads */
void	 repl_text_system(struct repl *r, char *rest);
void	 repl_text_file(struct repl *r, char *rest);
void	 repl_text_edit(struct repl *r, char *rest);
void	 repl_text_context(struct repl *r, char *rest);
void	 repl_text_branch(struct repl *r, char *rest);
/* Send a message, and keep it for /edit. */
void	 repl_text_send(struct repl *r, const char *text);

/* ---- repl_tab.c: completion */
/* The words that may follow text, for struct edit_help; arg is the struct
 * repl. */
char	**repl_tab_words(void *arg, const char *text, size_t *start);

#endif
