/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keyboard sends.  Terminals send many keys as sequences that begin
 * with ESC, and differ in them.  Each sequence is read as a whole and becomes
 * one character of 0x80 to 0x9f, which the line editor has bound, or nothing.
 * So no part of an unknown sequence is ever taken for typed text.
 *
 * Sources: ECMA-48, 5.4 (the form of control sequences); xterm's ctlseqs
 * (PC-style function keys and modifiers); rxvt, the Linux console and PuTTY
 * have the other forms.
 */
#include "repl.h"

#include <string.h>

#include "xmalloc.h"

#define KEYSEQ_ESC	0x1b
#define KEYSEQ_MAX	64		/* bytes of the longest sequence */

enum { KEYSEQ_SHIFT = 1, KEYSEQ_ALT = 2, KEYSEQ_CTRL = 4 };

/* A key by its number in "ESC [ number ~" and the like. */
static const struct {
	int		 number;
	enum keyseq	 plain, word;	/* alone; with Ctrl or Alt */
} numbers[] = {
	{ 1, KEYSEQ_HOME, KEYSEQ_HOME },	/* Linux console, screen */
	{ 3, KEYSEQ_DELETE, KEYSEQ_DELETE_WORD },
	{ 4, KEYSEQ_END, KEYSEQ_END },
	{ 7, KEYSEQ_HOME, KEYSEQ_HOME },	/* rxvt */
	{ 8, KEYSEQ_END, KEYSEQ_END },
	{ 200, KEYSEQ_PASTE, KEYSEQ_PASTE },	/* the begin of a paste */
};

/* A key by the last letter of "ESC [ A", "ESC O A" and the like. */
static const struct {
	char		 letter;
	enum keyseq	 plain, word;
} letters[] = {
	{ 'A', KEYSEQ_UP, KEYSEQ_UP },
	{ 'B', KEYSEQ_DOWN, KEYSEQ_DOWN },
	{ 'C', KEYSEQ_RIGHT, KEYSEQ_NEXT_WORD },
	{ 'D', KEYSEQ_LEFT, KEYSEQ_PREV_WORD },
	{ 'H', KEYSEQ_HOME, KEYSEQ_HOME },
	{ 'F', KEYSEQ_END, KEYSEQ_END },
	{ 'M', KEYSEQ_ENTER, KEYSEQ_ENTER },	/* the keypad */
	/* rxvt: with Shift (ESC [ d), and with Ctrl (ESC O d) */
	{ 'c', KEYSEQ_RIGHT, KEYSEQ_NEXT_WORD },
	{ 'd', KEYSEQ_LEFT, KEYSEQ_PREV_WORD },
	{ 'a', KEYSEQ_UP, KEYSEQ_UP },
	{ 'b', KEYSEQ_DOWN, KEYSEQ_DOWN },
};

/* Find a key by its number. */
static enum keyseq
keyseq_number(int number, int word)
{
	size_t	 i;

	for (i = 0; i < nitems(numbers); i++) {
		if (numbers[i].number == number)
			return (word ? numbers[i].word : numbers[i].plain);
	}
	return (KEYSEQ_NONE);
}

/* Find a key by its letter. */
static enum keyseq
keyseq_letter(char letter, int word)
{
	size_t	 i;

	for (i = 0; i < nitems(letters); i++) {
		if (letters[i].letter == letter)
			return (word ? letters[i].word : letters[i].plain);
	}
	return (KEYSEQ_NONE);
}

/* "ESC [ code ; modifiers u": a key by its character, as kitty sends it. */
static enum keyseq
keyseq_code(int code, int modifiers)
{
	if ((modifiers & KEYSEQ_CTRL) != 0 && code >= 'a' && code <= 'z')
		return ((enum keyseq)(code - 'a' + 1));
	if ((modifiers & (KEYSEQ_CTRL | KEYSEQ_ALT)) != 0)
		return (KEYSEQ_NONE);
	if (code == 9 || code == 13 || code == 127)
		return (code == 13 ? KEYSEQ_ENTER : (enum keyseq)code);
	return (KEYSEQ_NONE);
}

/* Read up to two numbers of the parameters s[n]. */
static void
keyseq_params(const char *s, size_t n, int p[2])
{
	size_t	 i, k = 0;

	p[0] = p[1] = 0;
	for (i = 0; i < n && k < 2; i++) {
		if (s[i] >= '0' && s[i] <= '9' && p[k] < 10000)
			p[k] = p[k] * 10 + s[i] - '0';
		else if (s[i] == ';')
			k++;
		else if (s[i] == ':')	/* a subparameter of kitty's */
			while (i + 1 < n && s[i + 1] != ';')
				i++;
	}
}

/* "ESC [": a control sequence. */
static size_t
keyseq_csi(const char *s, size_t n, enum keyseq *key)
{
	size_t	 i = 2;
	int	 p[2], word;

	if (i < n && s[i] == '[')	/* F1 to F5 of the Linux console */
		return (i + 1 < n ? i + 2 : 0);
	while (i < n && i < KEYSEQ_MAX && s[i] >= 0x20 && s[i] <= 0x3f)
		i++;
	if (i == n)
		return (0);
	if (i > 2 && strchr("<=>?", s[2]) != NULL)
		return (i + 1);		/* an answer of the terminal, a mouse */
	keyseq_params(s + 2, i - 2, p);
	word = p[1] > 1 && ((p[1] - 1) & (KEYSEQ_CTRL | KEYSEQ_ALT)) != 0;
	if (s[i] == '~' || s[i] == '$')
		*key = keyseq_number(p[0], word);
	else if (s[i] == '^' || s[i] == '@')	/* rxvt: with Ctrl */
		*key = keyseq_number(p[0], 1);
	else if (s[i] == 'u')
		*key = keyseq_code(p[0], p[1] > 1 ? p[1] - 1 : 0);
	else
		*key = keyseq_letter(s[i], word);
	return (i + 1);
}

/* Read one key. */
size_t
keyseq_read(const char *s, size_t n, enum keyseq *key)
{
	*key = KEYSEQ_NONE;
	if (n < 2)
		return (0);
	if (s[1] == '[')
		return (keyseq_csi(s, n, key));
	if (s[1] == 'O') {
		if (n < 3)
			return (0);
		*key = keyseq_letter(s[2], s[2] >= 'a' && s[2] <= 'd');
		return (3);
	}
	*key = (enum keyseq)KEYSEQ_ESC;	/* Alt and the next character */
	return (1);
}
