/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clauses and negation, by lists of common English words.
 */
#include "govern.h"

#include <string.h>

#include "first.h"

#define GOVERN_WORD	24	/* bytes of a word that are compared */
#define GOVERN_NEGATED	3	/* words between "not" and what it negates */

/* A word in lower case, without apostrophes. */
struct word {
	char	 s[GOVERN_WORD + 1];
	size_t	 end;			/* the byte after it */
};

static const char *const govern_joins[] = { "and", "but", "then", "so", NULL };

/* They may stand between "and" and the verb. */
static const char *const govern_fillers[] = { "also", "please", "just",
	"never", "not", "dont", "to", "always", "now", "finally",
	"then", "after", "that", "afterwards", "instead", "kindly", NULL };

static const char *const govern_subjects[] = { "i", "we", "he", "she", "they",
	"you", "im", "ill", "ive", "lets", NULL };

/* Verbs; "s", "es", "ed" and "ing" may follow, and replace an "e". */
static const char *const govern_verbs[] = { "add", "advise", "answer", "ask",
	"assemble", "attack", "avoid", "bring", "build", "buy", "call",
	"carry", "change", "come", "commit", "compile", "compose", "continue",
	"cook", "craft", "create", "deploy", "describe", "design", "destroy",
	"detail", "develop", "discuss", "do", "draft", "encourage", "ensure",
	"execute", "explain", "find", "finish", "forge", "forget", "gather",
	"generate", "get", "getting", "give", "go", "hack", "harass", "help",
	"hide", "ignore", "implement", "include", "infect", "insert",
	"install", "keep", "kidnap", "kill", "launch", "learn", "leave",
	"let", "list", "look", "make", "manufacture", "murder", "obtain",
	"offer", "open", "organize", "organise", "outline", "perform", "plan",
	"planning", "poison", "post", "prepare", "prevent", "produce",
	"promote", "protect", "provide", "publish", "put", "putting", "read",
	"remove", "report", "reveal", "rob", "run", "running", "say", "sell",
	"send", "set", "setting", "share", "show", "smuggle", "speak",
	"spread", "start", "steal", "stop", "stopping", "suggest", "support",
	"take", "talk", "teach", "tell", "threaten", "train", "try", "turn",
	"use", "wait", "want", "watch", "write", NULL };

/* They turn an exempting word behind them into its opposite. */
static const char *const govern_negations[] = { "not", "never", "no",
	"cannot", "without", "nor", "neither", "dont", "doesnt", "didnt",
	"cant", "wont", "wouldnt", "shouldnt", "couldnt", "isnt", "arent",
	"wasnt", "instead", "rather", "nobody", "nothing", "refuse", "fail",
	"evade", "bypass", "circumvent", "elude", "escape", "defeat",
	"disable", "avoid", "outwit", "despite", NULL };

/* Is the word in a list? */
static int
govern_in(const char *word, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (strcmp(word, *list) == 0)
			return (1);
	}
	return (0);
}

/* Is the word a form of a word in a list? */
static int
govern_form(const char *word, const char *const *list)
{
	static const char *const ends[] = { "", "e", "s", "es", "ed", "ing",
		"d", NULL };
	size_t	 n;

	for (; *list != NULL; list++) {
		n = strlen(*list);
		if (strncmp(word, *list, n) == 0 && govern_in(word + n, ends))
			return (1);
		n -= (*list)[n - 1] == 'e';
		if (n > 2 && strncmp(word, *list, n) == 0 &&
		    (strcmp(word + n, "ing") == 0 || strcmp(word + n, "ed") ==
		    0))
			return (1);
	}
	return (0);
}

/* The bytes of an apostrophe at text[i], or 0. */
static size_t
govern_apostrophe(const char *text, size_t i, size_t len)
{
	if (text[i] == '\'')
		return (1);
	return (i + 2 < len && memcmp(text + i, "\xe2\x80\x99", 3) == 0 ? 3 :
	    0);
}

/* Read the word at text[i], which is one; letters after the first GOVERN_WORD
 * are left out. */
static void
govern_word(const char *text, size_t i, size_t len, struct word *w)
{
	size_t	 n = 0, skip;

	for (; i < len; i++) {
		if ((skip = govern_apostrophe(text, i, len)) > 0) {
			i += skip - 1;
			continue;
		}
		if (!first_is_word((unsigned char)text[i]))
			break;
		if (n < GOVERN_WORD)
			w->s[n++] = text[i] >= 'A' && text[i] <= 'Z' ?
			    text[i] | 0x20 : text[i];
	}
	w->s[n] = '\0';
	w->end = i;
}

/* Find the next word in text[*i..to). 0 if there is none. */
static int
govern_next(const char *text, size_t *i, size_t to, size_t len,
    struct word *w)
{
	while (*i < to && !first_is_word((unsigned char)text[*i]))
		++*i;
	if (*i >= to)
		return (0);
	govern_word(text, *i, len, w);
	*i = w->end;
	return (1);
}

/* Find the end of a clause. */
size_t
govern_clause(const char *text, size_t from, size_t to, size_t len)
{
	size_t	 i;

	for (i = from; i < to; i++) {
		if (text[i] == '!' || text[i] == '?' || text[i] == ';' ||
		    text[i] == '\n' || text[i] == '\r')
			return (i);
		/* Not a decimal point. */
		if (text[i] == '.' && (i + 1 == len || text[i + 1] < '0' ||
		    text[i + 1] > '9'))
			return (i);
	}
	return (to);
}

/* Does a new clause begin between two places, "and make"? The word at "to" may
 * be its verb. */
static int
govern_joined(const char *text, size_t from, size_t to, size_t len)
{
	struct word	 w;
	size_t		 i = from;
	int		 joined = 0;

	/* Not in the middle of a word. */
	while (i < to && i > 0 && first_is_word((unsigned char)text[i - 1]) &&
	    first_is_word((unsigned char)text[i]))
		i++;
	while (govern_next(text, &i, to, len, &w)) {
		if (govern_in(w.s, govern_joins))
			joined = 1;
		else if (joined && (govern_in(w.s, govern_subjects) ||
		    govern_form(w.s, govern_verbs)))
			return (1);
		else if (!govern_in(w.s, govern_fillers))
			joined = 0;
	}
	if (!joined || to >= len)
		return (0);
	govern_word(text, to, len, &w);
	return (govern_form(w.s, govern_verbs));
}

/* Is the word that begins at "at" negated? A word at "part" does not count: it
 * begins the match itself ("no limits"). */
static int
govern_negated(const char *text, size_t head, size_t at, size_t part)
{
	struct word	 words[GOVERN_BACK], w;
	size_t		 i, n = 0, from, begin;

	from = at - head > GOVERN_BACK ? at - GOVERN_BACK : head;
	for (i = begin = from; i < at; i++) {
		if (text[i] == ',' || text[i] == ':' ||
		    govern_clause(text, i, i + 1, at) == i)
			begin = i + 1;
	}
	for (i = begin; govern_next(text, &i, at, at, &w);) {
		if (govern_in(w.s, govern_joins) || strcmp(w.s, "or") == 0)
			n = 0;
		else if (i <= part || i > part + strlen(w.s))
			words[n++] = w;
	}
	for (i = n > GOVERN_NEGATED ? n - GOVERN_NEGATED : 0; i < n; i++) {
		if (govern_form(words[i].s, govern_negations))
			return (1);
	}
	return (0);
}

/* Does an exempting match govern a match? */
int
govern_exempts(const char *text, size_t head, size_t len,
    const struct span *match, const struct span *exempt)
{
	size_t	 from = exempt->end, to = match->start;

	if (exempt->start >= match->end) {
		from = match->end;
		to = exempt->start;
	}
	if (from < to && (govern_clause(text, from, to, len) < to ||
	    govern_joined(text, from, to, len)))
		return (0);
	return (!govern_negated(text, head, exempt->start, match->start));
}
