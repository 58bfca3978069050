/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line editor, over libedit: keys and signals, bracketed paste, Tab,
 * history.  It knows nothing about chats.
 */
#include "repl.h"

#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "utf8.h"
#include "xmalloc.h"

#define EDIT_HISTORY	2000		/* entries that can be recalled */
#define EDIT_PROMPT_WIDTH 2	/* of every prompt */
#define EDIT_ESC_MS	50	/* a sequence of a key comes at once */
#define PASTE_ON	"\033[?2004h"
#define PASTE_OFF	"\033[?2004l"
#define PASTE_END	"\033[201~"

struct edit {
	EditLine		*el;		/* owned */
	History			*hist;		/* owned */
	struct history_file	*file;		/* owned, may be NULL */
	struct paste		*paste;		/* owned */
	const struct edit_help	*help;		/* borrowed: outlives us */
	const char		*prompt;	/* borrowed, while reading */
	char			 in[4096];	/* bytes typed, not yet used */
	size_t			 start, end;
	int			 pasting;	/* bytes are not keys */
	char			*drawn;		/* owned: the line when it was
						 * last looked at, or NULL */
	enum edit_end		 why;		/* why reading stopped */
	int			 bracketed;	/* the terminal can do it */
};

static int	edit_getc(EditLine *, wchar_t *);
static int	edit_fill(struct edit *, int);
static wchar_t	edit_key(struct edit *);
static void	edit_bind(struct edit *);
static void	edit_settle(struct edit *);
static unsigned char edit_rubout(EditLine *, wint_t);
static int	edit_signals(struct edit *);
static char	*edit_prompt(EditLine *);
static struct edit *edit_of(EditLine *);
static unsigned char edit_paste(EditLine *, wint_t);
static unsigned char edit_complete(EditLine *, wint_t);
static void	edit_list(struct edit *, char **);
static void	edit_enter(void *, const char *);

/* Make an editor on the terminal of stdin and stdout. */
struct edit *
edit_new(const struct edit_help *help, int no_history)
{
	struct edit	*e;
	HistEvent	 ev;
	const char	*term = getenv("TERM");

	e = xcalloc(1, sizeof *e);
	e->help = help;
	e->paste = paste_new();
	e->bracketed = term != NULL && strcmp(term, "dumb") != 0;
	if ((e->el = el_init("chatctl", stdin, stdout, stderr)) == NULL ||
	    (e->hist = history_init()) == NULL) {
		edit_free(e);
		return (NULL);
	}
	history(e->hist, &ev, H_SETSIZE, EDIT_HISTORY);
	history(e->hist, &ev, H_SETUNIQUE, 1);
	el_set(e->el, EL_CLIENTDATA, e);
	el_set(e->el, EL_HIST, history, e->hist);
	el_set(e->el, EL_EDITOR, "emacs");
	el_set(e->el, EL_PROMPT_ESC, edit_prompt, '\1');
	el_set(e->el, EL_GETCFN, edit_getc);
	/* el_set would leak copies of the names; el_wset borrows them. */
	el_wset(e->el, EL_ADDFN, L"chat-paste", L"take pasted text",
	    edit_paste);
	el_wset(e->el, EL_ADDFN, L"chat-complete", L"complete",
	    edit_complete);
	el_wset(e->el, EL_ADDFN, L"chat-rubout", L"delete a character or the "
	    "name of a pasted text", edit_rubout);
	el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_set(e->el, EL_BIND, "^H", "chat-rubout", NULL);
	el_set(e->el, EL_BIND, "^?", "chat-rubout", NULL);
	el_source(e->el, NULL);
	edit_bind(e);
	if ((e->file = history_file_open(no_history)) != NULL)
		history_file_each(e->file, edit_enter, e);
	return (e);
}

/* Bind the keys of keyseq.c, and Tab. */
static void
edit_bind(struct edit *e)
{
	static const struct { enum keyseq key; const wchar_t *does; } keys[] = {
		{ KEYSEQ_UP, L"ed-prev-history" },
		{ KEYSEQ_DOWN, L"ed-next-history" },
		{ KEYSEQ_LEFT, L"ed-prev-char" },
		{ KEYSEQ_RIGHT, L"ed-next-char" },
		{ KEYSEQ_HOME, L"ed-move-to-beg" },
		{ KEYSEQ_END, L"ed-move-to-end" },
		{ KEYSEQ_PREV_WORD, L"ed-prev-word" },
		{ KEYSEQ_NEXT_WORD, L"em-next-word" },
		{ KEYSEQ_DELETE, L"ed-delete-next-char" },
		{ KEYSEQ_DELETE_WORD, L"em-delete-next-word" },
		{ KEYSEQ_PASTE, L"chat-paste" },
	};
	wchar_t	 name[2] = { 0, 0 };
	size_t	 i;

	for (i = 0; i < nitems(keys); i++) {
		name[0] = (wchar_t)keys[i].key;
		el_wset(e->el, EL_BIND, name, keys[i].does, NULL);
	}
	el_set(e->el, EL_BIND, "^I", "chat-complete", NULL);
}

/* Release an editor. */
void
edit_free(struct edit *e)
{
	if (e == NULL)
		return;
	if (e->el != NULL)
		el_end(e->el);
	if (e->hist != NULL)
		history_end(e->hist);
	history_file_close(e->file);
	paste_free(e->paste);
	free(e->drawn);
	free(e);
}

/* Take an entry of the file. */
static void
edit_enter(void *arg, const char *entry)
{
	struct edit	*e = arg;
	HistEvent	 ev;

	history(e->hist, &ev, H_ENTER, entry);
}

/* Find our state. */
static struct edit *
edit_of(EditLine *el)
{
	void	*e = NULL;

	el_get(el, EL_CLIENTDATA, &e);
	return (e);
}

/* Give libedit the prompt. */
static char *
edit_prompt(EditLine *el)
{
	return ((char *)(uintptr_t)edit_of(el)->prompt);
}

/* Read a line. */
enum edit_end
edit_line(struct edit *e, const char *prompt, char **line)
{
	const char	*s;
	int		 n = 0;

	*line = NULL;
	e->prompt = prompt;
	e->why = EDIT_LINE;
	(void)intr_resumed();	/* there was no line to draw again */
	fflush(stderr);
	/* Without this libedit prepares the terminal after it has shown the
	 * prompt, and a Ctrl-D in between is lost. */
	el_set(e->el, EL_PREP_TERM, 1);
	if (e->bracketed)
		fputs(PASTE_ON, stdout);
	free(e->drawn);
	e->drawn = NULL;
	intr_hold_stop(1);
	s = el_gets(e->el, &n);
	intr_hold_stop(0);
	if (e->bracketed)
		fputs(PASTE_OFF, stdout);
	if (e->why != EDIT_LINE || s == NULL || n <= 0) {
		fputc('\n', stdout);
		fflush(stdout);
		return (e->why == EDIT_LINE ? EDIT_EOF : e->why);
	}
	fflush(stdout);
	*line = xstrndup(s, (size_t)n);
	if (n > 0 && (*line)[n - 1] == '\n')
		(*line)[n - 1] = '\0';
	return (EDIT_LINE);
}

/* Put a line into the history. */
void
edit_remember(struct edit *e, const char *line)
{
	int	 held;

	edit_enter(e, line);
	free(paste_expand(e->paste, line, &held));
	if (e->file != NULL && held == 0 && *line != ' ')
		history_file_add(e->file, line);
}

/* Put pasted texts back. */
char *
edit_expand(const struct edit *e, const char *line)
{
	int	 held;

	return (paste_expand(e->paste, line, &held));
}

/* Return the line of the screen, counted from that of the prompt, on which byte
 * n of the edited line is. */
static int
edit_row(const LineInfo *li, size_t n)
{
	int	 rows, columns;

	term_size(&rows, &columns);
	return ((EDIT_PROMPT_WIDTH + render_width(li->buffer, n)) / columns);
}

/*
 * Draw a line of several screen lines again after a change in its middle.
 * libedit (3.1-20221030) redraws only the first of them, and the others show
 * the old text.
 */
static void
edit_settle(struct edit *e)
{
	const LineInfo	*li = el_line(e->el);
	const size_t	 n = (size_t)(li->lastchar - li->buffer);
	const size_t	 had = e->drawn != NULL ? strlen(e->drawn) : 0;
	char		*line = xstrndup(li->buffer, n);
	int		 row, same, more;

	same = e->drawn != NULL && strcmp(e->drawn, line) == 0;
	more = li->cursor == li->lastchar && had <= n &&
	    strncmp(line, e->drawn != NULL ? e->drawn : "", had) == 0;
	if (e->bracketed && !same && !more && edit_row(li, n) > 0 &&
	    strchr(line, '\n') == NULL) {
		fputc('\r', stdout);
		row = edit_row(li, (size_t)(li->cursor - li->buffer));
		while (row-- > 0)
			fputs("\033[A", stdout);
		fputs("\033[J", stdout);
		el_set(e->el, EL_REFRESH);
	}
	free(e->drawn);
	e->drawn = line;
}

/* Move the cursor to the last of the lines of the screen that the line takes,
 * so that what is printed next is below it. */
static void
edit_to_end(struct edit *e)
{
	const LineInfo	*li = el_line(e->el);
	int		 row = edit_row(li, (size_t)(li->cursor - li->buffer));

	for (; row < edit_row(li, (size_t)(li->lastchar - li->buffer)); row++)
		fputc('\n', stdout);
}

/*
 * Ctrl-Z: leave the screen in order, and stop. If a script has started us, the
 * shell at the terminal waits for the script, and takes the terminal back as
 * soon as that has stopped. Then the screen is left alone. A change of the
 * terminal would stop us, too, so do not stop again after that.
 */
static void
edit_stop(struct edit *e)
{
	if (tcgetpgrp(STDIN_FILENO) == getpgrp()) {
		edit_to_end(e);
		if (e->bracketed)
			fputs(PASTE_OFF, stdout);
		fputc('\n', stdout);
		fflush(stdout);
		el_set(e->el, EL_PREP_TERM, 0);
	}
	if (!intr_resumed())
		raise(SIGSTOP);
}

/* Handle signals. 0, or -1: stop reading. */
static int
edit_signals(struct edit *e)
{
	const LineInfo	*li;
	int		 stopped;

	if (intr_ended()) {
		e->why = EDIT_KILLED;
		return (-1);
	}
	if (intr_take()) {
		li = el_line(e->el);
		e->why = li->lastchar > li->buffer ? EDIT_CANCEL : EDIT_BREAK;
		edit_to_end(e);
		return (-1);
	}
	stopped = intr_stopped();
	if (stopped)
		edit_stop(e);
	if (intr_resized())
		el_resize(e->el);
	if (intr_resumed() || stopped) {
		/* A shell may have changed the terminal: libedit must not take
		 * it for what it has set itself. */
		el_set(e->el, EL_PREP_TERM, 0);
		el_set(e->el, EL_PREP_TERM, 1);
		if (e->bracketed)
			fputs(PASTE_ON, stdout);
		el_set(e->el, EL_REFRESH);
	}
	return (0);
}

/* Get more bytes from the keyboard within ms (-1: any time). 1, 0 at its end or
 * when the time is over, -1: stop reading. */
static int
edit_fill(struct edit *e, int ms)
{
	struct pollfd	 p[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = intr_fd(), .events = POLLIN },
	};
	ssize_t		 n;

	memmove(e->in, e->in + e->start, e->end - e->start);
	e->end -= e->start;
	e->start = 0;
	for (;;) {
		if (edit_signals(e) == -1)
			return (-1);
		if (poll(p, 2, ms) == -1 && errno != EINTR)
			return (-1);
		if (p[0].revents == 0 && p[1].revents == 0 && ms >= 0)
			return (0);
		if (p[0].revents == 0)
			continue;
		n = read(STDIN_FILENO, e->in + e->end,
		    sizeof e->in - e->end);
		if (n == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return (0);
		e->end += (size_t)n;
		return (1);
	}
}

/* Read the key that begins with ESC. Returns 0 if it means nothing. */
static wchar_t
edit_key(struct edit *e)
{
	enum keyseq	 key;
	size_t		 n;

	while ((n = keyseq_read(e->in + e->start, e->end - e->start,
	    &key)) == 0) {
		if (edit_fill(e, EDIT_ESC_MS) == 1)
			continue;
		/* ESC alone, or a sequence that does not go on. */
		n = e->end - e->start;
		key = n == 1 ? (enum keyseq)'\033' : KEYSEQ_NONE;
		break;
	}
	e->start += n;
	return ((wchar_t)key);
}

/* libedit's hook for characters: read one as UTF-8 in every locale. */
static int
edit_getc(EditLine *el, wchar_t *wc)
{
	struct edit	*e = edit_of(el);
	uint32_t	 cp = 0;
	int		 len, r;

	for (;;) {
		len = e->end == e->start ? 0 : utf8_decode(e->in + e->start,
		    e->end - e->start, &cp);
		if (len == 0) {
			if (!e->pasting)
				edit_settle(e);
			if ((r = edit_fill(e, -1)) != 1) {
				errno = EINTR;
				return (r);
			}
			continue;
		}
		if (len > 0 && cp == '\033' && !e->pasting) {
			if ((*wc = edit_key(e)) != 0)
				return (1);
			continue;
		}
		e->start += (size_t)(len > 0 ? len : -len);
		if (len < 0 || cp < 0x80 || cp >= 0xa0 || e->pasting)
			break;		/* C1 controls stand for keys */
	}
	*wc = len > 0 ? (wchar_t)cp : 0xfffd;
	return (1);
}

/* Bound to the start of a paste: take all of it. */
static unsigned char
edit_paste(EditLine *el, wint_t ch)
{
	struct edit	*e = edit_of(el);
	FILE		*f;
	char		*text, one[4];
	size_t		 len, tail = strlen(PASTE_END);
	wchar_t		 wc;
	int		 n;

	(void)ch;
	if ((f = open_memstream(&text, &len)) == NULL)
		return (CC_ERROR);
	e->pasting = 1;
	while (el_wgetc(el, &wc) == 1) {
		n = utf8_encode((uint32_t)wc, one);
		fwrite(one, 1, (size_t)n, f);
		if (wc != L'~')
			continue;
		fflush(f);
		if (len >= tail &&
		    memcmp(text + len - tail, PASTE_END, tail) == 0)
			break;
	}
	e->pasting = 0;
	fclose(f);
	if (len >= tail && memcmp(text + len - tail, PASTE_END, tail) == 0)
		len -= tail;
	el_insertstr(el, paste_add(e->paste, text, len));
	free(text);
	return (CC_REFRESH);
}

/* Bound to Backspace: delete the name of a pasted text as a whole, with the
 * text, or one character. */
static unsigned char
edit_rubout(EditLine *el, wint_t ch)
{
	struct edit	*e = edit_of(el);
	const LineInfo	*li = el_line(el);
	size_t		 n;

	(void)ch;
	if (li->cursor == li->buffer)
		return (CC_ERROR);
	n = paste_name_before(e->paste, li->buffer,
	    (size_t)(li->cursor - li->buffer));
	el_deletestr(el, n > 0 ? (int)n : 1);
	return (CC_REFRESH);
}

/* Bound to Tab: complete the word before the cursor, or list the words that
 * begin with it. */
static unsigned char
edit_complete(EditLine *el, wint_t ch)
{
	struct edit	*e = edit_of(el);
	const LineInfo	*li = el_line(el);
	unsigned char	 r = CC_REFRESH_BEEP;
	char		*text, **words, *more;
	size_t		 i, start, common, typed;

	(void)ch;
	text = xstrndup(li->buffer, (size_t)(li->cursor - li->buffer));
	words = e->help->complete(e->help->arg, text, &start);
	typed = strlen(text) - start;
	if (words[0] != NULL) {
		common = strcspn(words[0], "\t");
		for (i = 1; words[i] != NULL; i++)
			while (strncmp(words[0], words[i], common) != 0)
				common--;
		more = xstrndup(words[0], common);
		if (common > typed)
			el_insertstr(el, more + typed);
		if (words[1] == NULL)
			el_insertstr(el, " ");
		if (words[1] == NULL || common > typed)
			r = CC_REFRESH;
		else {
			edit_list(e, words);
			r = CC_REDISPLAY;
		}
		free(more);
	}
	for (i = 0; words[i] != NULL; i++)
		free(words[i]);
	free(words);
	free(text);
	return (r);
}

/* List words below the line. */
static void
edit_list(struct edit *e, char **words)
{
	size_t	 i, n;
	char	*safe;

	(void)e;
	fputc('\n', stdout);
	for (i = 0; words[i] != NULL; i++) {
		n = strcspn(words[i], "\t");
		safe = render_line(words[i][n] == '\t' ? words[i] + n + 1 :
		    "");
		printf("  %-12.*s %s\n", (int)n, words[i], safe);
		free(safe);
	}
	fflush(stdout);
}
