/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: exchanges of talk and tasks, one after the other; and documents as
 * a whole.
 */
#include "gen.h"

#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "xmalloc.h"

#define GEN_EXCHANGES	60	/* of a session, at most */
#define GEN_TRIES	30	/* to find an exchange that fits */
#define GEN_NEUTRAL	1000	/* tries to find a talk about other things */
#define GEN_TELL	0.3	/* how often a session begins with something
				 * that is told */
#define GEN_RECALL	0.25	/* how often it is asked for then */

/* Append a turn; text is taken. */
void
gen_say(struct gen_doc *doc, enum gen_role role, char *text)
{
	if (doc->n == doc->size) {
		doc->size = 2 * doc->size + 16;
		doc->turn = xreallocarray(doc->turn, doc->size,
		    sizeof *doc->turn);
	}
	doc->turn[doc->n].role = role;
	doc->turn[doc->n++].text = text;
	doc->bytes += strlen(text) + 12;
}

/* Release the turns. */
void
gen_doc_clear(struct gen_doc *doc)
{
	size_t	 i;

	for (i = 0; i < doc->n; i++)
		free(doc->turn[i].text);
	free(doc->turn);
	memset(doc, 0, sizeof *doc);
}

/* Open templates and corpus. */
int
gen_open(const char *templates, const char *corpus, struct gen **out,
    struct fault *f)
{
	struct gen	*g = xcalloc(1, sizeof *g);
	int		 r;

	g->by_name = json_object();
	if ((r = gen_read_folder(g, templates, f)) != 0 ||
	    (corpus != NULL && (r = gen_read_corpus(g, corpus, f)) != 0) ||
	    (r = gen_check(g, f)) != 0) {
		gen_free(g);
		return (r);
	}
	*out = g;
	return (0);
}

/* Release all. */
void
gen_free(struct gen *g)
{
	size_t	 i, k;

	if (g == NULL)
		return;
	for (i = 0; i < g->sections; i++) {
		for (k = 0; k < g->section[i].n; k++) {
			free(g->section[i].e[k].key);
			free(g->section[i].e[k].text);
		}
		if (g->section[i].has_after)
			regfree(&g->section[i].after);
		free(g->section[i].e);
		free(g->section[i].need);
		free(g->section[i].unless);
		free(g->section[i].kind);
		free(g->section[i].name);
		free(g->section[i].where);
	}
	for (i = 0; i < g->lists; i++) {
		for (k = 0; k < g->list[i].n; k++)
			free(g->list[i].item[k]);
		free(g->list[i].item);
		free(g->list[i].held);
		free(g->list[i].name);
		free(g->list[i].where);
	}
	for (i = 0; i < g->opinions; i++)
		free(g->opinion[i].text);
	for (i = 0; i < g->talks; i++) {
		for (k = 0; k < g->talk[i].n; k++)
			free(g->talk[i].turn[k]);
		free(g->talk[i].turn);
	}
	free(g->section);
	free(g->list);
	free(g->opinion);
	free(g->talk);
	free(g->react);
	json_decref(g->by_name);
	free(g);
}

/* Words before and after a question, now and then. s is taken. */
char *
gen_wrapped(struct gen_ctx *c, char *s)
{
	double	 x = rng_real(&c->rng);
	char	*w, *out;
	size_t	 n;

	if (c->test || x > 0.25 || strchr(s, '\n') != NULL)
		return (s);
	w = gen_draw(c, x < 0.15 ? "before" : "after");
	if (x < 0.15) {
		/* No letter of UTF-8, whatever the sign of a char is. */
		if (strncmp(s, "I ", 2) != 0 && strncmp(s, "I'", 2) != 0 &&
		    s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'a' && s[1] <= 'z')
			s[0] |= 0x20;
		out = xasprintf("%s %s", w, s);
	} else {
		n = strlen(s);
		while (n > 0 && strchr(".?!", s[n - 1]) != NULL)
			n--;
		out = xasprintf("%.*s%s%s", (int)n, s,
		    w[0] == ',' ? "" : " ", w);
		free(w);
		w = out;
		out = xasprintf("%s%s", w, s + n);
	}
	free(w);
	free(s);
	return (out);
}

/* One of the entries of the run that begins at e[*i], which becomes the end of
 * the run. */
static const struct gen_entry *
gen_run(struct gen_ctx *c, const struct gen_section *s, size_t *i)
{
	size_t	 from = *i, k, n[2] = { 0, 0 }, want;
	int	 held;

	for (; *i < s->n && s->e[*i].group == s->e[from].group &&
	    strcmp(s->e[*i].key, s->e[from].key) == 0; (*i)++)
		n[s->e[*i].held != 0]++;
	held = n[0] == 0 || (c->test && n[1] > 0);
	want = gen_below(c, n[held]);
	for (k = from;; k++)
		if (s->e[k].held == held && want-- == 0)
			return (&s->e[k]);
}

/* Say the turns of one group of a talk. */
static void
gen_exchange(struct gen_ctx *c, const struct gen_section *s,
    enum gen_role reply)
{
	int			 group = (int)gen_below(c,
				    (size_t)s->groups + 1), gently;
	const struct gen_entry	*e;
	size_t			 i = 0;
	char			*text;

	while (i < s->n && s->e[i].group != group)
		i++;
	while (i < s->n && s->e[i].group == group) {
		e = gen_run(c, s, &i);
		if (e->key[0] != '>' && e->key[0] != '<')
			continue;
		text = gen_fill(c, e->text);
		if (e->key[0] == '<') {
			/* A word that is only repeated stays as it is. */
			gen_say(c->doc, reply, e->text[0] == '{' &&
			    strchr(e->text, ' ') != NULL ?
			    gen_capital(text) : text);
			continue;
		}
		gently = strchr(e->text, ':') != NULL;
		if (!gently)
			text = gen_wrapped(c, text);
		gen_say(c->doc, GEN_SAID, gen_typed(c, text, gently));
	}
	gen_forget(c);
}

/* May this talk come now? */
static int
gen_allowed(const struct gen_ctx *c, const struct gen_section *s)
{
	return ((s->need == NULL || gen_var(c, s->need) != NULL) &&
	    (s->unless == NULL || gen_var(c, s->unless) == NULL) &&
	    !s->has_after);
}

/* A section of one of the kinds by weight, that may come now. */
static const struct gen_section *
gen_next(struct gen_ctx *c)
{
	const struct gen_section	*s;
	int				 i;

	for (i = 0; i < GEN_TRIES; i++) {
		s = gen_kind(c, "talk");
		if (s == NULL || gen_allowed(c, s))
			return (s);
	}
	return (NULL);
}

/* What may be said to the last reply, if it asks something. */
static void
gen_follow(struct gen_ctx *c)
{
	const struct gen_section	*s, *fit = NULL;
	const char			*last;
	size_t				 i;
	uint32_t			 n = 0;

	if (c->doc->n == 0 || c->doc->turn[c->doc->n - 1].role != GEN_REPLY)
		return;
	last = c->doc->turn[c->doc->n - 1].text;
	for (i = 0; i < c->g->sections; i++) {
		s = &c->g->section[i];
		if (s->has_after && regexec(&s->after, last, 0, NULL, 0) == 0
		    && gen_below(c, ++n) == 0)
			fit = s;
	}
	if (fit != NULL)
		gen_exchange(c, fit, GEN_REPLY);
}

/* Small talk of the corpus. */
static void
gen_small(struct gen_ctx *c)
{
	const struct gen_section	*s = gen_kind(c, "chat");
	const struct gen_entry		*q, *a;

	if (s == NULL)
		return;
	q = gen_pick(c, s, -1, ">");
	a = gen_pick(c, s, -1, "<");
	gen_say(c->doc, GEN_SAID, gen_typed(c, gen_wrapped(c,
	    xstrdup(q->text)), 0));
	gen_say(c->doc, GEN_REPLY, xstrdup(a->text));
}

/* A reaction of the corpus. */
static void
gen_reaction(struct gen_ctx *c)
{
	const struct gen_react	*r;

	if (c->g->reacts == 0)
		return;
	r = &c->g->react[gen_below(c, c->g->reacts)];
	gen_say(c->doc, GEN_SAID, gen_typed(c, xstrdup(r->said), 0));
	gen_say(c->doc, GEN_REPLY, xstrdup(r->reply));
}

/* A talk whose name begins so, and that may come now; all are equally likely.
 * NULL: none. */
static const struct gen_section *
gen_named_like(struct gen_ctx *c, const char *start)
{
	const struct gen_section	*s, *found = NULL;
	uint32_t			 n = 0;
	size_t				 i;

	for (i = 0; i < c->g->sections; i++) {
		s = &c->g->section[i];
		if (strncmp(s->name, start, strlen(start)) == 0 &&
		    gen_allowed(c, s) && gen_below(c, ++n) == 0)
			found = s;
	}
	return (found);
}

/* One exchange, or a few that belong together. What was told is asked for
 * often, since to remember has to be learnt. */
static void
gen_some(struct gen_ctx *c)
{
	const struct gen_section	*s = NULL;
	const char			*family;

	if (gen_chance(c, GEN_RECALL))
		s = gen_named_like(c, "ask-");
	if (s == NULL)
		s = gen_next(c);

	if (s == NULL)
		return;
	if (strcmp(s->name, "chitchat") == 0)
		gen_small(c);
	else if (strcmp(s->name, "reaction") == 0)
		gen_reaction(c);
	else if (strncmp(s->name, "task-", 5) == 0)
		(void)gen_task(c, s->name + 5, &family);
	else
		gen_exchange(c, s, GEN_REPLY);
	if (gen_chance(c, 0.6))
		gen_follow(c);
}

/* A session. */
void
gen_session(struct gen_ctx *c, size_t bytes)
{
	const struct gen_section	*s;
	int				 i;

	while (gen_chance(c, GEN_TELL) &&
	    (s = gen_named_like(c, "tell-")) != NULL)
		gen_exchange(c, s, GEN_REPLY);
	for (i = 0; i < GEN_EXCHANGES && c->doc->bytes < bytes; i++)
		gen_some(c);
}

/* Natural text of about so many bytes. */
void
gen_plain(struct gen_ctx *c, size_t bytes)
{
	const struct gen_list	*l = gen_list_find(c->g, "corpus.fable");
	const struct gen_talk	*t;
	size_t			 i;
	char			*a, *b;

	while (c->doc->bytes < bytes) {
		if (l != NULL && l->n > 0 && gen_chance(c, 0.1)) {
			gen_say(c->doc, GEN_PLAIN, xasprintf("%s\n",
			    l->item[gen_below(c, l->n)]));
			continue;
		}
		t = &c->g->talk[gen_below(c, c->g->talks)];
		a = gen_draw(c, "name");
		b = gen_draw(c, "name");
		i = t->n > 6 ? gen_below(c, t->n - 5) : 0;
		for (; i < t->n && c->doc->bytes < bytes; i++)
			gen_say(c->doc, GEN_PLAIN, xasprintf("%s: %s\n",
			    i % 2 == 0 ? a : b, t->turn[i]));
		free(a);
		free(b);
	}
}

/* The date and time, as chatd's pre-prompt has them, and perhaps a question on
 * it. */
static void
gen_date(struct gen_ctx *c)
{
	char	*day = xasprintf("%d-%02d-%02d", 2022 + (int)gen_below(c, 12),
		    1 + (int)gen_below(c, 12), 1 + (int)gen_below(c, 28));

	gen_say(c->doc, GEN_PLAIN, xasprintf("Current Date: %s\n"
	    "Current Time: %02d:%02d:%02d %s UTC\n\n", day,
	    (int)gen_below(c, 13), (int)gen_below(c, 60),
	    (int)gen_below(c, 60), gen_chance(c, 0.5) ? "AM" : "PM"));
	if (gen_chance(c, 0.7)) {
		gen_say(c->doc, GEN_SAID, gen_typed(c, gen_draw(c,
		    "ask-date"), 0));
		gen_say(c->doc, GEN_REPLY, xasprintf("Today is %s.", day));
	}
	free(day);
}

/* A document of a seed. */
void
gen_document(const struct gen *g, uint64_t seed, size_t bytes, int plain,
    struct gen_doc *doc)
{
	struct gen_ctx	 c;

	memset(doc, 0, sizeof *doc);
	gen_ctx_init(&c, g, seed, 0, doc);
	if (plain && g->talks > 0)
		gen_plain(&c, bytes);
	else {
		if (gen_chance(&c, 0.06))
			gen_date(&c);
		gen_session(&c, bytes);
	}
	gen_ctx_clear(&c);
}

/* The talk of this name, or NULL. */
static const struct gen_section *
gen_named(const struct gen *g, const char *name)
{
	size_t	 i;

	for (i = 0; i < g->sections; i++)
		if (strcmp(g->section[i].name, name) == 0)
			return (&g->section[i]);
	return (NULL);
}

/* Something is told, other things are said, and it is asked for: the talks
 * "tell-X" and "ask-X". */
int
gen_memory(struct gen_ctx *c)
{
	const struct gen_section	*s, *ask;
	size_t				 i;
	uint32_t			 n = 0;
	const struct gen_section	*tell = NULL;
	char				*name;
	int				 between, k, tries = 0;

	for (i = 0; i < c->g->sections; i++)
		if (strncmp(c->g->section[i].name, "tell-", 5) == 0 &&
		    gen_below(c, ++n) == 0)
			tell = &c->g->section[i];
	if (tell == NULL)
		return (CHAT_ENOTFOUND);
	name = xasprintf("ask-%s", tell->name + 5);
	ask = gen_named(c->g, name);
	free(name);
	if (ask == NULL)
		return (CHAT_ENOTFOUND);
	gen_exchange(c, tell, GEN_CONTEXT);
	between = 1 + (int)gen_below(c, 3);
	for (k = 0; k < between; k++) {
		s = gen_next(c);
		if (tries++ == GEN_NEUTRAL)
			return (CHAT_ENOTFOUND);
		if (s == NULL || strncmp(s->name, "tell-", 5) == 0 ||
		    strncmp(s->name, "ask-", 4) == 0 ||
		    strncmp(s->name, "task-", 5) == 0 ||
		    strcmp(s->name, "chitchat") == 0 ||
		    strcmp(s->name, "reaction") == 0 || s->need != NULL) {
			k--;
			continue;
		}
		gen_exchange(c, s, GEN_CONTEXT);
	}
	gen_exchange(c, ask, GEN_REPLY);
	return (0);
}

/* A test. */
int
gen_test(const struct gen *g, const char *task, uint64_t seed,
    struct gen_doc *doc, const char **family)
{
	struct gen_ctx	 c;
	int		 r;

	memset(doc, 0, sizeof *doc);
	gen_ctx_init(&c, g, seed, 1, doc);
	*family = task;
	r = strcmp(task, "memory") == 0 ? gen_memory(&c) :
	    gen_task(&c, task, family);
	gen_ctx_clear(&c);
	return (r);
}
