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

#define KEYS_ESC	0x1b
#define KEYS_MAX	64		/* bytes of the longest sequence */

enum { KEYS_SHIFT = 1, KEYS_ALT = 2, KEYS_CTRL = 4 };

/* A key by its number in "ESC [ number ~" and the like. */
static const struct {
	int		 number;
	enum key	 plain, word;	/* alone; with Ctrl or Alt */
} numbers[] = {
	{ 1, KEY_HOME, KEY_HOME },	/* Linux console, PuTTY, screen */
	{ 3, KEY_DELETE, KEY_DELETE_WORD },
	{ 4, KEY_END, KEY_END },
	{ 7, KEY_HOME, KEY_HOME },	/* rxvt */
	{ 8, KEY_END, KEY_END },
	{ 200, KEY_PASTE, KEY_PASTE },	/* the begin of a paste */
};

/* A key by the last letter of "ESC [ A", "ESC O A" and the like. */
static const struct {
	char		 letter;
	enum key	 plain, word;
} letters[] = {
	{ 'A', KEY_UP, KEY_UP },
	{ 'B', KEY_DOWN, KEY_DOWN },
	{ 'C', KEY_RIGHT, KEY_NEXT_WORD },
	{ 'D', KEY_LEFT, KEY_PREV_WORD },
	{ 'H', KEY_HOME, KEY_HOME },
	{ 'F', KEY_END, KEY_END },
	{ 'M', KEY_ENTER, KEY_ENTER },	/* the keypad */
	/* rxvt: with Shift (ESC [ d), and with Ctrl (ESC O d) */
	{ 'c', KEY_RIGHT, KEY_NEXT_WORD },
	{ 'd', KEY_LEFT, KEY_PREV_WORD },
	{ 'a', KEY_UP, KEY_UP },
	{ 'b', KEY_DOWN, KEY_DOWN },
};

/* Find a key by its number. */
static enum key
keys_number(int number, int word)
{
	size_t	 i;

	for (i = 0; i < nitems(numbers); i++) {
		if (numbers[i].number == number)
			return (word ? numbers[i].word : numbers[i].plain);
	}
	return (KEY_NONE);
}

/* Find a key by its letter. */
static enum key
keys_letter(char letter, int word)
{
	size_t	 i;

	for (i = 0; i < nitems(letters); i++) {
		if (letters[i].letter == letter)
			return (word ? letters[i].word : letters[i].plain);
	}
	return (KEY_NONE);
}

/* "ESC [ code ; modifiers u": a key by its character, as kitty sends it. */
static enum key
keys_code(int code, int modifiers)
{
	if ((modifiers & KEYS_CTRL) != 0 && code >= 'a' && code <= 'z')
		return ((enum key)(code - 'a' + 1));
	if ((modifiers & (KEYS_CTRL | KEYS_ALT)) != 0)
		return (KEY_NONE);
	if (code == 9 || code == 13 || code == 127)
		return (code == 13 ? KEY_ENTER : (enum key)code);
	return (KEY_NONE);
}

/* Read up to two numbers of the parameters s[n]. */
static void
keys_params(const char *s, size_t n, int p[2])
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
keys_csi(const char *s, size_t n, enum key *key)
{
	size_t	 i = 2;
	int	 p[2], word;

	if (i < n && s[i] == '[')	/* F1 to F5 of the Linux console */
		return (i + 1 < n ? i + 2 : 0);
	while (i < n && i < KEYS_MAX && s[i] >= 0x20 && s[i] <= 0x3f)
		i++;
	if (i == n)
		return (0);
	if (i > 2 && strchr("<=>?", s[2]) != NULL)
		return (i + 1);		/* an answer of the terminal, a mouse */
	keys_params(s + 2, i - 2, p);
	word = p[1] > 1 && ((p[1] - 1) & (KEYS_CTRL | KEYS_ALT)) != 0;
	if (s[i] == '~' || s[i] == '$')
		*key = keys_number(p[0], word);
	else if (s[i] == '^' || s[i] == '@')	/* rxvt: with Ctrl */
		*key = keys_number(p[0], 1);
	else if (s[i] == 'u')
		*key = keys_code(p[0], p[1] > 1 ? p[1] - 1 : 0);
	else
		*key = keys_letter(s[i], word);
	return (i + 1);
}

/* Read one key. */
size_t
keys_read(const char *s, size_t n, enum key *key)
{
	*key = KEY_NONE;
	if (n < 2)
		return (0);
	if (s[1] == '[')
		return (keys_csi(s, n, key));
	if (s[1] == 'O') {
		if (n < 3)
			return (0);
		*key = keys_letter(s[2], s[2] >= 'a' && s[2] <= 'd');
		return (3);
	}
	*key = (enum key)KEYS_ESC;	/* Alt and the next character */
	return (1);
}
