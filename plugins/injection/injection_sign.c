/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signs: words of certain classes near each other in a sentence, and the kind
 * of the sentence: an order, a question on how something is done, a report, or
 * a quotation.
 */
#include "injection_impl.h"

#include <string.h>

enum sign_mood { M_ORDER, M_ASKED, M_REPORTED, M_QUOTED, M_MOODS };

/*
 * A sign: a word of a certain class, and before it, in the same sentence and at
 * most "gap" words away, one of the class "with"; and, if "also" is not 0, one
 * of that class at most also_gap words before. The names are for each mood of
 * the word of "with", or one for all.
 */
struct sign {
	uint8_t		 with, gap, also, also_gap;
	const char	*name[M_MOODS];
};

#define MOODS(s)	{ s, s " (asked about)", s " (reported)", \
			    s " (quoted)" }
#define ALL(s)		{ s, NULL, NULL, NULL }

/* The signs that end with a word of a class, and one without "with". */
#define SIGNS(class, ...) \
	[class] = (const struct sign[]){ __VA_ARGS__, { 0, 0, 0, 0, ALL("") } }

static const struct sign *const signs[I_LAST] = {
	SIGNS(I_RULES,
	    { I_OVERRIDE, 8, I_PRIOR, 5,
		MOODS("override of earlier instructions") },
	    { I_OVERRIDE, 8, I_YOU, 6, MOODS("override of your instructions") },
	    { I_OVERRIDE, 4, 0, 0, MOODS("override of instructions") },
	    { I_YOU, 3, 0, 0, ALL("your instructions") },
	    { I_TOPIC, 6, 0, 0, ALL("instructions as a topic") },
	    { I_SELF, 2, 0, 0, ALL("my rules") }),
	SIGNS(I_TELL,
	    { I_OVERRIDE, 8, I_YOU, 3,
		MOODS("override of what you were told") },
	    { I_RULES, 5, I_YOU, 4, ALL("instructions you were given") },
	    { I_YOU, 4, I_REVEAL, 10, ALL("what you were told") },
	    { I_ASK, 3, I_YOU, 2, ALL("what were you told") }),
	SIGNS(I_ABOVE,
	    { I_OVERRIDE, 4, 0, 0, MOODS("override of the text above") },
	    { I_REVEAL, 5, 0, 0, MOODS("repeat what stands above") }),
	SIGNS(I_LIMIT,
	    { I_OVERRIDE, 4, 0, 0, MOODS("override of limits") },
	    { I_NO, 5, 0, 0, ALL("no limits") },
	    { I_NO, 6, I_YOU, 10, ALL("no limits for you") },
	    { I_NO, 6, I_AI, 10, ALL("an AI with no limits") },
	    { I_FREE, 4, 0, 0, ALL("free from limits") }),
	SIGNS(I_REVEAL,
	    { I_OVERRIDE, 12, I_RULES, 8, MOODS("override, then a new task") },
	    { I_NO, 6, I_YOU, 6, ALL("what you must not tell") }),
	SIGNS(I_PROMPT,
	    { I_SYSTEM, 2, I_YOU, 4, ALL("your system prompt") },
	    { I_SYSTEM, 1, 0, 0, ALL("a system prompt") },
	    { I_REVEAL, 8, I_SYSTEM, 2, MOODS("reveal the system prompt") },
	    { I_REVEAL, 7, I_YOU, 4, MOODS("reveal your instructions") },
	    { I_ENCODE, 6, I_YOU, 4, ALL("encoded, your instructions") },
	    { I_ASK, 6, I_YOU, 3, ALL("what is your prompt") },
	    { I_TOPIC, 6, 0, 0, ALL("a prompt as a topic") },
	    { I_NO, 8, I_REVEAL, 7, ALL("never reveal the prompt") }),
	SIGNS(I_SECRET,
	    { I_REVEAL, 6, 0, 0, MOODS("reveal a secret") },
	    { I_REVEAL, 6, I_YOU, 4, MOODS("reveal your secret") },
	    { I_ASK, 5, I_YOU, 3, ALL("what is your secret") },
	    { I_SELF, 2, 0, 0, ALL("my secret") },
	    { I_OTHER, 2, 0, 0, ALL("somebody else's secret") },
	    { I_NO, 8, I_REVEAL, 7, ALL("never reveal the secret") }),
	SIGNS(I_ENCODE,
	    { I_REVEAL, 10, I_PROMPT, 6, MOODS("encode the instructions") },
	    { I_PROMPT, 5, I_YOU, 8, ALL("your instructions, encoded") }),
	SIGNS(I_AI,
	    { I_YOU, 5, I_ARE, 4, ALL("you are an AI") },
	    { I_FREE, 4, 0, 0, ALL("unrestricted AI") },
	    { I_PLAY, 6, 0, 0, MOODS("play an AI") },
	    { I_FICTION, 10, 0, 0, ALL("fiction with an AI") },
	    { I_YOU, 2, 0, 0, ALL("addressed as an AI") }),
	SIGNS(I_FREE,
	    { I_YOU, 8, 0, 0, ALL("you, without limits") },
	    { I_AI, 6, 0, 0, ALL("an AI without limits") },
	    { I_PLAY, 10, 0, 0, MOODS("play without limits") }),
	SIGNS(I_NOW,
	    { I_FROM, 2, 0, 0, ALL("from now on") },
	    { I_YOU, 2, I_ARE, 1, ALL("you are now") },
	    { I_ANYTHING, 1, 0, 0, ALL("do anything now") }),
	SIGNS(I_YOU,
	    { I_NOW, 2, I_FROM, 4, ALL("from now on you") },
	    { I_PLAY, 2, 0, 0, MOODS("pretend that you") }),
	SIGNS(I_NO,
	    { I_PLAY, 10, 0, 0, MOODS("play somebody who has no") }),
	SIGNS(I_REFUSE,
	    { I_NO, 3, 0, 0, ALL("never refuse") },
	    { I_NO, 4, I_YOU, 6, ALL("you never refuse") }),
	SIGNS(I_MODE,
	    { I_BOSS, 2, 0, 0, ALL("developer mode") },
	    { I_FREE, 2, 0, 0, ALL("unrestricted mode") }),
	SIGNS(I_BOSS,
	    { I_SELF, 4, I_ARE, 3, ALL("I am your developer") },
	    { I_SELF, 5, I_YOU, 2, ALL("your developer speaks") },
	    { I_MODE, 3, 0, 0, ALL("access of an administrator") },
	    { I_PLAY, 3, 0, 0, ALL("play an administrator") }),
	SIGNS(I_FILE,
	    { I_RUN, 6, 0, 0, ALL("run a command on a guarded file") }),
	SIGNS(I_RUN,
	    { I_RUN, 4, 0, 0, ALL("run a command") },
	    { I_PLAY, 8, 0, 0, ALL("play a part, then run") }),
	SIGNS(I_CHARACTER,
	    { I_STAY, 3, 0, 0, ALL("stay in character") }),
	SIGNS(I_ANYTHING,
	    { I_ARE, 6, I_YOU, 7, ALL("you do everything") }),
	SIGNS(I_PLAY,
	    { I_FICTION, 12, 0, 0, ALL("fiction, then a part to play") }),
	SIGNS(I_OVERRIDE,
	    { I_RULES, 5, 0, 0, ALL("instructions are void") },
	    { I_LIMIT, 5, I_YOU, 8, ALL("your limits are void") },
	    { I_OTHER, 2, 0, 0, ALL("somebody else ignores") },
	    { I_SELF, 2, 0, 0, ALL("I ignore") },
	    { I_YOU, 4, 0, 0, ALL("you ignore") }),
	SIGNS(I_CODE,
	    { I_OVERRIDE, 8, 0, 0, MOODS("ignoring in code") }),
};

#define SIGN_FIRST	1000u	/* the number of the first token */

struct sign_run {
	const struct injection_token	*token;
	injection_feature_fn		 fn;
	void				*arg;
};

/* Call fn for a sign that begins at a byte. */
static void
sign_found(const struct sign_run *r, const char *name, uint64_t from)
{
	struct injection_feature	 f = { .sign = name, .token = r->token,
					    .to = r->token->to };

	f.from = f.to - from > INJECTION_BACK ? r->token->from : from;
	f.hash = injection_hash(INJECTION_HASH, "*", 1);
	f.hash = injection_hash(f.hash, name, strlen(name));
	r->fn(r->arg, &f);
}

/* Is the last word of a class at most gap words back, in this sentence? */
static int
sign_near(const struct injection_state *st, unsigned class, unsigned gap)
{
	return (st->at[class] >= st->sentence && st->n - st->at[class] <= gap);
}

/* The kind of sentence in which a verb stands here. */
static enum sign_mood
sign_mood(const struct injection_state *st)
{
	int	 first = st->n == st->clause;

	if (st->quoted)
		return (M_QUOTED);
	if (!first && !(st->last & I_BIT(I_PLEASE)) &&
	    !((st->last & I_BIT(I_TO)) && sign_near(st, I_YOU, 3)))
		return (st->asks ? M_ASKED : M_REPORTED);
	return (st->asks && st->n != st->sentence ? M_ASKED : M_ORDER);
}

/* Find the signs that end with a word of these classes. */
static void
sign_words(const struct injection_state *st, const struct sign_run *r,
    uint64_t classes)
{
	const struct sign	*s;
	const char		*name;
	uint64_t		 from;

	for (; classes != 0; classes &= classes - 1) {
		s = signs[__builtin_ctzll(classes)];
		for (; s != NULL && s->with != 0; s++) {
			if (!sign_near(st, s->with, s->gap) ||
			    (s->also != 0 &&
			    !sign_near(st, s->also, s->also_gap)))
				continue;
			name = s->name[st->mood[s->with]];
			from = st->from[s->with];
			if (s->also != 0 && st->from[s->also] < from)
				from = st->from[s->also];
			sign_found(r, name != NULL ? name : s->name[0], from);
		}
	}
}

/* Find signs of markup: a speaker's name before a colon or in brackets. */
static void
sign_marks(const struct injection_state *st, const struct sign_run *r,
    uint64_t classes)
{
	const char	 c = r->token->text[0];

	if (r->token->word) {
		if (classes & I_BIT(I_MARK))
			sign_found(r, "markup of a chat", r->token->from);
		return;
	}
	if (c == ':' && (st->last & I_BIT(I_OVERRIDE)))
		sign_found(r, "an override and a colon", st->before.from);
	if (!(st->last & I_BIT(I_ROLE)))
		return;
	if (c == ':' && st->n == st->line + 1)
		sign_found(r, "a speaker's name at the start of a line",
		    st->before.from);
	else if (c == ':' && st->n > st->line + 1)
		sign_found(r, "a speaker's name and a colon",
		    st->before.from);
	else if (c == '>' || c == ']' || c == '|')
		sign_found(r, "a speaker's name in brackets",
		    st->before.from);
}

/* Find the word, or the sign, and its pair with what stood before it. */
static void
sign_pair(const struct injection_state *st, const struct sign_run *r)
{
	struct injection_feature	 f = { .token = r->token,
					    .from = r->token->from,
					    .to = r->token->to,
					    .hash = r->token->hash };

	r->fn(r->arg, &f);
	if (st->n == SIGN_FIRST || st->before.len == 0)
		return;
	f.before = &st->before;
	if (f.to - st->before.from <= INJECTION_BACK)
		f.from = st->before.from;
	f.hash = injection_pair(st->before.hash, r->token->hash);
	r->fn(r->arg, &f);
}

/* Note where the classes stand. */
static void
sign_note(struct injection_state *st, const struct injection_token *t,
    uint64_t classes)
{
	enum sign_mood	 mood = sign_mood(st);
	int		 c;

	for (; classes != 0; classes &= classes - 1) {
		c = __builtin_ctzll(classes);
		st->at[c] = st->n;
		st->from[c] = t->from;
		st->mood[c] = (uint8_t)mood;
	}
}

/* A sign ends a clause or a sentence. */
static void
sign_break(struct injection_state *st, char c)
{
	switch (c) {
	case '.': case '!': case '?': case ';':
		st->sentence = st->clause = st->n + 1;
		st->asks = 0;
		break;
	case '"':
		st->quoted = !st->quoted;
		/* fallthrough */
	case ',': case ':': case '(': case '[': case '{': case '<':
	case '>': case ']': case '|': case '*': case '#': case '-':
		st->clause = st->n + 1;
		break;
	default:
		break;
	}
}

/* Find the features that end with a token. */
void
injection_sign(const struct injection *in, struct injection_state *st,
    const struct injection_token *t, injection_feature_fn fn, void *arg)
{
	struct sign_run	 r = { t, fn, arg };
	uint64_t	 classes = 0;

	if (st->n == 0)
		st->n = st->sentence = st->clause = st->line = SIGN_FIRST;
	if (t->word)
		classes = injection_classes(in, t->hash);
	sign_pair(st, &r);
	sign_marks(st, &r, classes);
	if (classes != 0) {
		/* "how do I" asks, "can you" and "would you" do not */
		if ((classes & I_BIT(I_YOU)) && st->n == st->sentence + 1)
			st->asks = 0;
		else if ((classes & I_BIT(I_ASK)) && st->n <= st->sentence + 2)
			st->asks = 1;
		sign_words(st, &r, classes);
		sign_note(st, t, classes);
	}
	if (!t->word)
		sign_break(st, t->text[0]);
	st->last = classes;
	st->before = *t;
	st->n++;
}

/* The end of a line was read. */
void
injection_line(struct injection_state *st)
{
	st->sentence = st->clause = st->line = st->n;
	st->asks = st->quoted = 0;
	st->last = 0;
	st->before.len = 0;
}
