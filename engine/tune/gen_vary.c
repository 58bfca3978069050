/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other ways to say something.  A section "@vary" has lines that mean the same.
 * In each, "*" stands for what they have in common.  The key "=" marks lines
 * that are recognised, ">" lines that are only said.
 */
#include "gen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rng.h"
#include "xmalloc.h"

#define VARY_CHANCE	0.8	/* of another phrasing, if there is one */
#define VARY_LEAD	0.2	/* of a sentence before it */
#define VARY_TAIL	0.2	/* of words at its end */
#define VARY_END	" .?!"	/* not compared */

/* What was recognised. */
struct vary {
	const struct gen_section *s;	/* NULL: nothing */
	const struct gen_entry	*e;	/* the line */
	size_t			 from, n;	/* what "*" stands for */
	size_t			 best;	/* letters of the line */
};

/* The length of n bytes without what is not compared at their end. */
static size_t
vary_end(const char *s, size_t n)
{
	while (n > 0 && strchr(VARY_END, s[n - 1]) != NULL)
		n--;
	return (n);
}

/* Compare a text with a line. */
static void
vary_match(struct vary *v, const struct gen_section *s,
    const struct gen_entry *e, const char *text)
{
	const char	*star = strchr(e->text, '*');
	size_t		 n = vary_end(text, strlen(text)), before, after;

	if (star == NULL || strcmp(e->key, "=") != 0)
		return;
	before = (size_t)(star - e->text);
	after = vary_end(star + 1, strlen(star + 1));
	if (before + after + 1 > n || before + after <= v->best ||
	    strncasecmp(text, e->text, before) != 0 ||
	    strncasecmp(text + n - after, star + 1, after) != 0)
		return;
	v->s = s;
	v->e = e;
	v->from = before;
	v->n = n - before - after;
	v->best = before + after;
}

/* The line with the most letters that fits. */
static struct vary
vary_find(const struct gen *g, const char *text)
{
	struct vary	 v = { 0 };
	size_t		 i, k;

	for (i = 0; i < g->sections; i++)
		for (k = 0; strcmp(g->section[i].kind, "vary") == 0 &&
		    k < g->section[i].n; k++)
			vary_match(&v, &g->section[i], &g->section[i].e[k],
			    text);
	return (v);
}

/* The text in a line's words. NULL: the line is the one it has now. */
static char *
vary_say(const struct vary *v, const struct gen_entry *e, const char *text)
{
	const char	*star = strchr(e->text, '*');
	char		*out;

	if (star == NULL || e == v->e)
		return (NULL);
	out = xasprintf("%.*s%.*s%s", (int)(star - e->text), e->text,
	    (int)v->n, text + v->from, star + 1);
	return (gen_capital(out));
}

/* Another phrasing, or NULL. */
static char *
vary_rephrase(struct gen_ctx *c, const char *text)
{
	struct vary	 v = vary_find(c->g, text);
	size_t		 i, n = 0, want;

	if (v.s == NULL)
		return (NULL);
	for (i = 0; i < v.s->n; i++)
		n += v.s->e[i].held == c->test;
	if (n == 0)
		return (NULL);
	want = gen_below(c, n);
	for (i = 0;; i++)
		if (v.s->e[i].held == c->test && want-- == 0)
			return (vary_say(&v, &v.s->e[i], text));
}

/* Something of the list vary-lead before it, something of vary-tail at its end,
 * now and then. s is taken. */
static char *
vary_around(struct gen_ctx *c, char *s)
{
	size_t	 n;
	char	*w, *out;

	if (gen_list_find(c->g, "vary-tail") != NULL &&
	    gen_chance(c, VARY_TAIL)) {
		w = gen_draw(c, "vary-tail");
		n = vary_end(s, strlen(s));
		out = xasprintf("%.*s %s%s", (int)n, s, w, s + n);
		free(w);
		free(s);
		s = out;
	}
	if (gen_list_find(c->g, "vary-lead") != NULL &&
	    gen_chance(c, VARY_LEAD)) {
		w = gen_draw(c, "vary-lead");
		out = xasprintf("%s %s", w, s);
		free(w);
		free(s);
		s = out;
	}
	return (s);
}

/* Another way to say something. */
char *
gen_vary(const struct gen *g, uint64_t seed, int test, const char *text)
{
	struct gen_ctx	 c;
	char		*out = NULL;

	gen_ctx_init(&c, g, seed, test, NULL);
	if (test || gen_chance(&c, VARY_CHANCE))
		out = vary_rephrase(&c, text);
	if (!test) {
		if (out == NULL)
			out = xstrdup(text);
		out = vary_around(&c, out);
		out = gen_typed(&c, gen_wrapped(&c, out), 0);
	}
	gen_ctx_clear(&c);
	return (out);
}
