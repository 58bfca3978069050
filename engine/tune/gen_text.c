/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling the gaps of a template.  In braces stand:
 *
 *   {list}        an item of a list, filled itself
 *   {list:x}      the same, and x is a variable until the end of the block;
 *                 with a capital letter, until the end of the session
 *   {$x}          the value of x;  {^$x} with a capital letter;  {a $x} with
 *                 "a" or "an" before it
 *   {one|two|}    one of these
 *   {int 2 99}    a number;  {int 2 99:x}
 *   {+ $x $y}     the sum of two numbers
 *   {name}        a first name, or a made-up one;  {madeup} always made up;
 *                 {madeups} a made-up plural, as of a fruit
 */
#include "gen.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "xmalloc.h"

#define GEN_DEPTH	12	/* of lists inside of lists */
#define GEN_TRIES	50	/* until a word is of the wanted kind */

static void	gen_fill_some(struct gen_ctx *, const char *, size_t,
		    struct textbuf *, int);

/* Begin a document. */
void
gen_ctx_init(struct gen_ctx *c, const struct gen *g, uint64_t seed, int test,
    struct gen_doc *doc)
{
	memset(c, 0, sizeof *c);
	c->g = g;
	c->rng = seed;
	c->test = test;
	c->doc = doc;
	(void)rng_next(&c->rng);
}

/* Forget all variables. */
void
gen_ctx_clear(struct gen_ctx *c)
{
	int	 i;

	for (i = 0; i < c->vars; i++) {
		free(c->var[i].name);
		free(c->var[i].value);
	}
	c->vars = 0;
}

/* A number below n. */
uint32_t
gen_below(struct gen_ctx *c, size_t n)
{
	return (rng_below(&c->rng, (uint32_t)n));
}

/* True with probability p. */
int
gen_chance(struct gen_ctx *c, double p)
{
	return (rng_real(&c->rng) < p);
}

/* The value of a variable, or NULL. */
const char *
gen_var(const struct gen_ctx *c, const char *name)
{
	int	 i;

	for (i = c->vars; i > 0; i--)
		if (strcmp(c->var[i - 1].name, name) == 0)
			return (c->var[i - 1].value);
	return (NULL);
}

/* Set a variable. */
void
gen_bind(struct gen_ctx *c, const char *name, const char *value)
{
	int	 i;

	for (i = 0; i < c->vars; i++)
		if (strcmp(c->var[i].name, name) == 0) {
			free(c->var[i].value);
			c->var[i].value = xstrdup(value);
			return;
		}
	if (c->vars == GEN_VARS)
		return;
	c->var[c->vars].name = xstrdup(name);
	c->var[c->vars].value = xstrdup(value);
	c->var[c->vars++].session = isupper((unsigned char)name[0]);
}

/* Forget the variables of a block. */
void
gen_forget(struct gen_ctx *c)
{
	int	 i, n = 0;

	for (i = 0; i < c->vars; i++)
		if (c->var[i].session)
			c->var[n++] = c->var[i];
		else {
			free(c->var[i].name);
			free(c->var[i].value);
		}
	c->vars = n;
}

/* Does a variable of this block have this value? */
static int
gen_taken(const struct gen_ctx *c, const char *value)
{
	int	 i;

	for (i = 0; i < c->vars; i++)
		if (!c->var[i].session &&
		    strcmp(c->var[i].value, value) == 0)
			return (1);
	return (0);
}

/* A made-up name that is held out, or one that is not. */
static char *
gen_madeup(struct gen_ctx *c)
{
	static const char *const first[] = { "b", "d", "f", "g", "h", "j",
		"k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br",
		"tr", "st", "kl", "sh", "th", "gr", "fl", "pr", "dr" };
	static const char *const then[] = { "a", "e", "i", "o", "u", "a",
		"e", "i", "o", "ai", "ee", "oo", "ia" };
	static const char *const last[] = { "", "", "n", "r", "l", "s", "x",
		"m", "th", "nd", "k" };
	char	 s[64];
	int	 i, n, tries;

	for (tries = 0; tries < GEN_TRIES; tries++) {
		s[0] = '\0';
		n = 2 + (gen_below(c, 4) == 0);
		for (i = 0; i < n; i++) {
			strcat(s, first[gen_below(c, nitems(first))]);
			strcat(s, then[gen_below(c, nitems(then))]);
		}
		strcat(s, last[gen_below(c, nitems(last))]);
		s[0] = (char)toupper((unsigned char)s[0]);
		if (gen_held(s) == (c->test != 0))
			break;
	}
	return (xstrdup(s));
}

/* An item of a list for a test: a held-out one, if there is one. */
static const char *
gen_test_item(struct gen_ctx *c, const struct gen_list *l)
{
	size_t	 i, n = 0, want;

	for (i = 0; i < l->n; i++)
		n += l->held[i] != 0;
	want = gen_below(c, n > 0 ? n : l->n);
	if (n == 0)
		return (l->item[want]);
	for (i = 0; l->held[i] == 0 || want-- > 0; i++)
		;
	return (l->item[i]);
}

/* An item of a list: in tests a held-out one, if there is one. */
static const char *
gen_item(struct gen_ctx *c, const struct gen_list *l)
{
	size_t	 i = 0, k;
	int	 tries;

	if (c->test)
		return (gen_test_item(c, l));
	for (tries = 0; tries < GEN_TRIES; tries++) {
		i = gen_below(c, l->n);
		if (l->held[i] == 0)
			return (l->item[i]);
	}
	/* Few are not held out: the next of these.  In a list of the corpus it
	 * may be that all are. */
	for (tries = 0; tries < GEN_TRIES; tries++)
		i = gen_below(c, l->n);
	for (k = 0; k < l->n && l->held[(i + k) % l->n]; k++)
		;
	return (l->item[(i + k) % l->n]);
}

/* A first name for training that no list has: the first half of one and the
 * second half of another, so that names are copied and not recognised. NULL: it
 * is held out. Owned. */
static char *
gen_spliced(struct gen_ctx *c, const struct gen_list *l)
{
	const char	*a = gen_item(c, l), *b = gen_item(c, l);
	size_t		 na = (strlen(a) + 1) / 2, nb = strlen(b) / 2;
	char		*s;

	s = xasprintf("%.*s%s", (int)na, a, b + nb);
	if (!gen_held(s))
		return (s);
	free(s);
	return (NULL);
}

/* A first name of the corpus, or a made-up one. Owned. */
static char *
gen_name(struct gen_ctx *c)
{
	const struct gen_list	*l = gen_list_find(c->g, "w.first_names");
	char			*s;

	if (l == NULL || l->n == 0 || gen_chance(c, 0.6))
		return (gen_madeup(c));
	if (!c->test && gen_chance(c, 0.4) && (s = gen_spliced(c, l)) != NULL)
		return (s);
	return (xstrdup(gen_item(c, l)));
}

/* An item of a list as it is written, its gaps not filled; NULL if there is no
 * such list. Borrowed. */
const char *
gen_choice(struct gen_ctx *c, const char *list)
{
	const struct gen_list	*l = gen_list_find(c->g, list);

	return (l != NULL && l->n > 0 ? gen_item(c, l) : NULL);
}

/* An item of a list, filled. Owned. */
static char *
gen_draw_deep(struct gen_ctx *c, const char *name, int depth)
{
	const struct gen_list	*l;
	struct textbuf		 out = { 0 };
	const char		*item;

	if (strcmp(name, "madeup") == 0)
		return (gen_madeup(c));
	if (strcmp(name, "name") == 0)
		return (gen_name(c));
	if (strcmp(name, "madeups") == 0) {
		item = gen_madeup(c);
		textbuf_add(&out, item, strlen(item));
		free((void *)(uintptr_t)item);
		out.s[0] |= 0x20;
		textbuf_add(&out, "s", 2);
		return (out.s);
	}
	l = gen_list_find(c->g, name);
	if (l == NULL || l->n == 0 || depth > GEN_DEPTH)
		return (gen_madeup(c));
	item = gen_item(c, l);
	if (strchr(l->name, '.') != NULL)	/* of the corpus: no gaps */
		return (xstrdup(item));
	gen_fill_some(c, item, strlen(item), &out, depth + 1);
	textbuf_add(&out, "", 1);
	return (out.s);
}

/* The same for callers. */
char *
gen_draw(struct gen_ctx *c, const char *list)
{
	return (gen_draw_deep(c, list, 0));
}

/* The end of the gap that begins at s[0] == '{'; bars gets the number of
 * choices' separators. */
size_t
gen_gap(const char *s, size_t n, int *bars)
{
	size_t	 i;
	int	 depth = 0;

	*bars = 0;
	for (i = 0; i < n; i++) {
		depth += (s[i] == '{') - (s[i] == '}');
		*bars += s[i] == '|' && depth == 1;
		if (depth == 0)
			return (i);
	}
	return (n);
}

/* One of the choices of n bytes, which have `bars` bars. */
static void
gen_choose(struct gen_ctx *c, const char *s, size_t n, int bars,
    struct textbuf *out, int depth)
{
	int	 want = (int)gen_below(c, (size_t)bars + 1), d = 0;
	size_t	 i, from = 0;

	for (i = 0; i <= n; i++) {
		if (i < n)
			d += (s[i] == '{') - (s[i] == '}');
		if (i < n && (s[i] != '|' || d > 0))
			continue;
		if (want-- == 0) {
			gen_fill_some(c, s + from, i - from, out, depth + 1);
			return;
		}
		from = i + 1;
	}
}

/* The indefinite article before s. */
static const char *
gen_article(const char *s)
{
	return (s[0] != '\0' && strchr("aeiouAEIOU", s[0]) != NULL ?
	    "an " : "a ");
}

/* A variable, plain or with a letter of its own before the "$". */
static void
gen_value(struct gen_ctx *c, const char *s, struct textbuf *out)
{
	const char	*v = gen_var(c, strchr(s, '$') + 1);
	char		*copy;

	copy = xstrdup(v == NULL ? "" : v);
	if (s[0] == '^')
		gen_capital(copy);
	if (s[0] == 'a')
		textbuf_puts(out, gen_article(copy));
	textbuf_puts(out, copy);
	free(copy);
}

/* A number, or a sum. */
static char *
gen_number(struct gen_ctx *c, const char *s)
{
	char	 a[32], b[32];
	int	 lo, hi;

	if (sscanf(s, "int %d %d", &lo, &hi) == 2 && hi >= lo)
		return (xasprintf("%d", lo + (int)gen_below(c,
		    (size_t)(hi - lo + 1))));
	if (sscanf(s, "+ $%31s $%31s", a, b) == 2 && gen_var(c, a) != NULL &&
	    gen_var(c, b) != NULL)
		return (xasprintf("%d", atoi(gen_var(c, a)) +
		    atoi(gen_var(c, b))));
	return (NULL);
}

/* A gap without choices: n bytes. */
static void
gen_gap_fill(struct gen_ctx *c, const char *s, size_t n,
    struct textbuf *out, int depth)
{
	char	*gap = xstrndup(s, n), *var = strrchr(gap, ':'), *v = NULL;
	char	*list = gap;
	int	 tries, article;

	if (strchr(gap, '$') != NULL && gap[0] != '+') {
		gen_value(c, gap, out);
		free(gap);
		return;
	}
	if (var != NULL)
		*var++ = '\0';
	article = strncmp(gap, "a ", 2) == 0;
	list += article ? 2 : 0;
	for (tries = 0; tries < 8; tries++) {
		free(v);
		if ((v = gen_number(c, list)) == NULL)
			v = gen_draw_deep(c, list, depth);
		if (var == NULL || !gen_taken(c, v))
			break;
	}
	if (var != NULL)
		gen_bind(c, var, v);
	if (article)
		textbuf_puts(out, gen_article(v));
	textbuf_puts(out, v);
	free(v);
	free(gap);
}

/* Fill n bytes. */
static void
gen_fill_some(struct gen_ctx *c, const char *s, size_t n,
    struct textbuf *out, int depth)
{
	size_t	 i, end;
	int	 bars;

	for (i = 0; i < n; i++) {
		if (s[i] != '{') {
			textbuf_add(out, s + i, 1);
			continue;
		}
		end = i + gen_gap(s + i, n - i, &bars);
		if (bars > 0)
			gen_choose(c, s + i + 1, end - i - 1, bars, out,
			    depth);
		else
			gen_gap_fill(c, s + i + 1, end - i - 1, out, depth);
		i = end;
	}
}

/* Fill a template. Owned. */
char *
gen_fill(struct gen_ctx *c, const char *text)
{
	struct textbuf	 out = { 0 };

	gen_fill_some(c, text, strlen(text), &out, 0);
	textbuf_add(&out, "", 1);
	return (out.s);
}

/* An entry of a section's group (-1: any) with this key; in tests a held-out
 * one, if there is one. NULL: none. */
const struct gen_entry *
gen_pick(struct gen_ctx *c, const struct gen_section *s, int group,
    const char *key)
{
	const struct gen_entry	*e;
	uint32_t		 n[2] = { 0, 0 }, want;
	int			 held;
	size_t			 i;

	for (i = 0; i < s->n; i++) {
		e = &s->e[i];
		if ((group < 0 || e->group == group) &&
		    strcmp(e->key, key) == 0)
			n[e->held != 0]++;
	}
	held = c->test && n[1] > 0;
	if (n[held] == 0)
		return (NULL);
	want = gen_below(c, n[held]);
	for (i = 0;; i++) {
		e = &s->e[i];
		if ((group < 0 || e->group == group) &&
		    strcmp(e->key, key) == 0 && e->held == held &&
		    want-- == 0)
			return (e);
	}
}

/* A section of a kind, by weight. NULL: none. */
const struct gen_section *
gen_kind(struct gen_ctx *c, const char *kind)
{
	const struct gen_section	*s, *last = NULL;
	double				 sum = 0, at;
	size_t				 i;

	for (i = 0; i < c->g->sections; i++)
		if (strcmp(c->g->section[i].kind, kind) == 0)
			sum += c->g->section[i].weight;
	at = rng_real(&c->rng) * sum;
	for (i = 0; i < c->g->sections; i++) {
		s = &c->g->section[i];
		if (strcmp(s->kind, kind) != 0)
			continue;
		last = s;
		if ((at -= s->weight) < 0)
			return (s);
	}
	return (last);
}

/* Append a text, and free it. */
void
gen_append(struct textbuf *b, char *s)
{
	textbuf_puts(b, s);
	free(s);
}

/* End a text, which the caller then owns. */
char *
gen_ended(struct textbuf *b)
{
	textbuf_add(b, "", 1);
	return (b->s);
}

/* The part of "A = B" before or after the sign, filled. Owned. */
char *
gen_half(struct gen_ctx *c, const char *s, int second)
{
	const char	*at = strstr(s, " = ");
	char		*part, *out;

	part = at == NULL ? xstrdup(s) : second ? xstrdup(at + 3) :
	    xstrndup(s, (size_t)(at - s));
	out = gen_fill(c, part);
	free(part);
	return (out);
}
