/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corpus: word lists ("w.NAME"), requests by intent ("intent.NAME"), small
 * talk by topic, sentences with a sentiment, and dialogues.  Lists of the
 * templates that begin with "corpus-" say what of it is left out.
 */
#include "gen.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "xmalloc.h"

#define GEN_WORD_MAX	19		/* bytes of a word that is used */
#define GEN_OPINION_MAX	180		/* bytes of a sentence */
#define GEN_HARD_MAX	300
#define GEN_LINE_MAX	(1024 * 1024)

/* One file that is read. */
struct gen_corpus {
	struct gen	*g;
	regex_t		 rude, doubtful, first;
	const char	*path;
};

/* A regular expression of the templates; "$." (matches nothing) without. */
static int
gen_corpus_regex(struct gen *g, const char *name, regex_t *out,
    struct fault *f)
{
	const struct gen_list	*l = gen_list_find(g, name);

	if (regcomp(out, l != NULL && l->n > 0 ? l->item[0] : "$.",
	    REG_EXTENDED | REG_NOSUB | REG_ICASE) != 0)
		return (fault_set(f, "bad_config", NULL,
		    "list %s: not a regular expression", name));
	return (0);
}

/* Does the text match? */
static int
gen_matches(const regex_t *r, const char *s)
{
	return (regexec(r, s, 0, NULL, 0) == 0);
}

/* Only letters, spaces, hyphens and apostrophes? */
static int
gen_plain_word(const char *s)
{
	size_t	 n = strlen(s), i;

	if (n < 2 || n > GEN_WORD_MAX || !isalpha((unsigned char)s[0]))
		return (0);
	for (i = 0; i < n; i++)
		if (!isalpha((unsigned char)s[i]) &&
		    strchr(" -'", s[i]) == NULL)
			return (0);
	return (1);
}

/* wordlists.json. */
static void
gen_words(struct gen_corpus *c, json_t *root)
{
	struct gen_list	*l;
	const char	*name, *s;
	json_t		*list, *w;
	size_t		 i;
	char		*key;

	json_object_foreach(root, name, list) {
		key = xasprintf("w.%s", name);
		l = gen_list_make(c->g, key);
		json_array_foreach(list, i, w) {
			s = json_string_value(w);
			if (s != NULL && gen_plain_word(s))
				gen_list_add(l, s, gen_held(s));
		}
		free(key);
	}
}

/* A copy with plain apostrophes. */
static char *
gen_ascii(const char *s)
{
	char	*out = xstrdup(s), *to = out;

	for (; *s != '\0'; s++)
		if (strncmp(s, "\xe2\x80\x99", 3) == 0) {
			*to++ = '\'';
			s += 2;
		} else
			*to++ = *s;
	*to = '\0';
	return (out);
}

/* Add an entry to a section. */
static void
gen_add_entry(struct gen_section *s, const char *key, const char *text)
{
	s->e = xreallocarray(s->e, s->n + 1, sizeof *s->e);
	memset(&s->e[s->n], 0, sizeof *s->e);
	s->e[s->n].key = xstrdup(key);
	s->e[s->n++].text = gen_ascii(text);
}

/* Our answers to a topic: "QUESTION => ANSWER | ANSWER". 1: use them; -1: leave
 * the topic out; 0: none. */
static int
gen_own_answers(struct gen *g, struct gen_section *s, const char *question)
{
	const struct gen_list	*l = gen_list_find(g, "corpus-answers");
	size_t			 i, n = strlen(question);
	char			*copy, *a, *save;

	for (i = 0; l != NULL && i < l->n; i++) {
		if (strncmp(l->item[i], question, n) != 0 ||
		    strncmp(l->item[i] + n, " =>", 3) != 0)
			continue;
		copy = xstrdup(l->item[i] + n + 3);
		for (a = strtok_r(copy, "|", &save); a != NULL;
		    a = strtok_r(NULL, "|", &save)) {
			a += strspn(a, " ");
			if (*a != '\0')
				gen_add_entry(s, "<", a);
		}
		free(copy);
		return (s->n > 0 ? 1 : -1);
	}
	return (0);
}

/* Free what gen_smalltalk has added. */
static void
gen_drop_section(struct gen *g)
{
	struct gen_section	*s = &g->section[--g->sections];
	size_t			 i;

	for (i = 0; i < s->n; i++) {
		free(s->e[i].key);
		free(s->e[i].text);
	}
	free(s->e);
	free(s->kind);
	free(s->name);
}

/* A topic of chitchat.jsonl becomes a section "chat". */
static void
gen_smalltalk(struct gen_corpus *c, json_t *row)
{
	static const char *const who[] = { "friendly", "professional",
		"caring" };
	struct gen_section	*s;
	const char		*q;
	json_t			*list = json_object_get(row, "questions"), *e;
	size_t			 i, n = 0;
	int			 own = 0;

	c->g->section = xreallocarray(c->g->section, c->g->sections + 1,
	    sizeof *c->g->section);
	s = &c->g->section[c->g->sections++];
	memset(s, 0, sizeof *s);
	s->kind = xstrdup("chat");
	s->name = xstrdup("chitchat");
	json_array_foreach(list, i, e)
		if (own == 0 && json_is_string(e))
			own = gen_own_answers(c->g, s, json_string_value(e));
	for (i = 0; own == 0 && i < nitems(who); i++) {
		q = json_string_value(json_object_get(json_object_get(row,
		    "answers"), who[i]));
		if (q != NULL && !gen_matches(&c->doubtful, q))
			gen_add_entry(s, "<", q);
	}
	own = own == -1 || s->n == 0;
	json_array_foreach(list, i, e) {
		q = json_string_value(e);
		if (q == NULL || gen_matches(&c->rude, q))
			continue;
		gen_add_entry(s, ">", q);
		n++;
	}
	s->weight = sqrt((double)n);
	if (own || n == 0)
		gen_drop_section(c->g);
}

/* A request with an intent. */
static void
gen_intent(struct gen_corpus *c, json_t *row)
{
	const char	*s = json_string_value(json_object_get(row, "text"));
	const char	*i = json_string_value(json_object_get(row,
			    "intent"));
	char		*key;

	if (s == NULL || i == NULL || gen_matches(&c->rude, s))
		return;
	key = xasprintf("intent.%s", i);
	gen_list_add(gen_list_make(c->g, key), s, gen_held(s));
	free(key);
}

/* A sentence with a sentiment. */
static void
gen_sentiment(struct gen_corpus *c, json_t *row)
{
	const char		*s = json_string_value(json_object_get(row,
				    "text"));
	const char		*l = json_string_value(json_object_get(row,
				    "label"));
	struct gen_opinion	*o;

	if (s == NULL || l == NULL || strlen(s) > GEN_OPINION_MAX ||
	    strlen(s) < 8 || gen_matches(&c->rude, s))
		return;
	c->g->opinion = xreallocarray(c->g->opinion, c->g->opinions + 1,
	    sizeof *c->g->opinion);
	o = &c->g->opinion[c->g->opinions++];
	o->text = gen_ascii(s);
	o->label = strcmp(l, "Positive") == 0 ? 2 :
	    strcmp(l, "Negative") == 0 ? 0 : 1;
	o->held = gen_held(s);
}

/* A dialogue. */
static void
gen_dialogue(struct gen_corpus *c, json_t *row)
{
	json_t		*turns = json_object_get(row, "turns"), *e;
	struct gen_talk	*t;
	size_t		 i;

	c->g->talk = xreallocarray(c->g->talk, c->g->talks + 1,
	    sizeof *c->g->talk);
	t = &c->g->talk[c->g->talks++];
	t->turn = xcalloc(json_array_size(turns) + 1, sizeof *t->turn);
	t->n = 0;
	json_array_foreach(turns, i, e) {
		if (!json_is_string(e) ||
		    gen_matches(&c->rude, json_string_value(e)))
			break;
		t->turn[t->n++] = gen_ascii(json_string_value(e));
	}
}

/* The first question of a dialogue that the model can't answer. */
static void
gen_hard(struct gen_corpus *c, json_t *row)
{
	const char	*s = json_string_value(json_array_get(
			    json_object_get(row, "turns"), 0));

	if (s != NULL && strlen(s) < GEN_HARD_MAX &&
	    !gen_matches(&c->rude, s))
		gen_list_add(gen_list_make(c->g, "corpus.hard"), s,
		    gen_held(s));
}

/* A fable. */
static void
gen_fable(struct gen_corpus *c, json_t *row)
{
	const char	*s = json_string_value(json_object_get(row, "text"));

	if (s != NULL)
		gen_list_add(gen_list_make(c->g, "corpus.fable"), s,
		    gen_held(s));
}

/* Words of n bytes at s. */
static int
gen_count_words(const char *s)
{
	int	 n = 0;

	for (; *s != '\0'; s++)
		n += *s != ' ' && (s[1] == ' ' || s[1] == '\0');
	return (n);
}

/* Replies in the dialogues that react to what was said, and say nothing about
 * a human life. */
static void
gen_reactions(struct gen_corpus *c)
{
	struct gen	*g = c->g;
	const char	*s, *r;
	size_t		 i, k;
	int		 words;

	for (i = 0; i < g->talks; i++)
		for (k = 1; k < g->talk[i].n; k++) {
			s = g->talk[i].turn[k - 1];
			r = g->talk[i].turn[k];
			words = gen_count_words(r);
			if (words < 3 || words > 20 || strchr(s, '?') != NULL
			    || gen_count_words(s) < 4 ||
			    gen_matches(&c->first, r))
				continue;
			g->react = xreallocarray(g->react, g->reacts + 1,
			    sizeof *g->react);
			g->react[g->reacts].said = s;
			g->react[g->reacts++].reply = r;
		}
}

/* Count the sentences that can be drawn, and look for a dialogue. */
static int
gen_corpus_count(struct gen *g, const char *path, struct fault *f)
{
	const struct gen_opinion	*o;
	size_t				 i;

	for (i = 0; i < g->opinions; i++) {
		o = &g->opinion[i];
		g->usable[o->held != 0][0]++;
		g->usable[o->held != 0][1] += o->label != 1;
	}
	for (i = 0; i < g->talks; i++)
		if (g->talk[i].n > 0)
			return (0);
	return (g->talks == 0 ? 0 : fault_set(f, "bad_config", NULL, "%s: no "
	    "dialogue of the corpus has a turn that can be used", path));
}

/* Read the rows of a file of JSON lines. */
static int
gen_rows(struct gen_corpus *c, const char *folder, const char *name,
    void (*take)(struct gen_corpus *, json_t *), struct fault *f)
{
	char		*path = path_join(folder, name), *line = NULL;
	size_t		 size = 0, n = 0;
	ssize_t		 len;
	json_t		*row;
	FILE		*in = fopen(path, "re");
	int		 r = 0;

	if (in == NULL) {
		fault_set(f, "bad_config", NULL, "%s: %s", path,
		    strerror(errno));
		r = CHAT_ESYSTEM;
	}
	while (r == 0 && (len = getline(&line, &size, in)) != -1) {
		n++;
		row = json_loadb(line, (size_t)len, 0, NULL);
		if (!json_is_object(row))
			r = fault_set(f, "bad_config", NULL,
			    "%s:%zu: not a JSON object", path, n);
		else
			take(c, row);
		json_decref(row);
	}
	free(line);
	if (in != NULL)
		fclose(in);
	free(path);
	return (r);
}

/* wordlists.json, whole. */
static int
gen_wordlists(struct gen_corpus *c, const char *folder, struct fault *f)
{
	char		*path = path_join(folder, "wordlists.json");
	json_error_t	 e;
	json_t		*root = json_load_file(path, 0, &e);
	int		 r = 0;

	if (root == NULL)
		r = fault_set(f, "bad_config", NULL, "%s:%d: %s", path,
		    e.line, e.text);
	else
		gen_words(c, root);
	json_decref(root);
	free(path);
	return (r);
}

/* The files of the corpus, in a fixed order. */
static const struct {
	const char	*name;
	void		(*take)(struct gen_corpus *, json_t *);
} gen_files[] = {
	{ "chitchat.jsonl", gen_smalltalk },
	{ "intents-clinc150.jsonl", gen_intent },
	{ "sentiment-vader.jsonl", gen_sentiment },
	{ "sentiment-uci.jsonl", gen_sentiment },
	{ "persona-chat.jsonl", gen_dialogue },
	{ "open-assistant-100.jsonl", gen_hard },
	{ "instructions.jsonl", gen_hard },
	{ "fables.jsonl", gen_fable },
};

/* Read the corpus. */
int
gen_read_corpus(struct gen *g, const char *path, struct fault *f)
{
	struct gen_corpus	 c = { .g = g };
	size_t			 i;
	int			 r;

	if ((r = gen_corpus_regex(g, "corpus-rude", &c.rude, f)) != 0)
		return (r);
	if ((r = gen_corpus_regex(g, "corpus-doubtful", &c.doubtful,
	    f)) != 0) {
		regfree(&c.rude);
		return (r);
	}
	if ((r = gen_corpus_regex(g, "corpus-first-person", &c.first,
	    f)) == 0) {
		r = gen_wordlists(&c, path, f);
		for (i = 0; r == 0 && i < nitems(gen_files); i++)
			r = gen_rows(&c, path, gen_files[i].name,
			    gen_files[i].take, f);
		gen_reactions(&c);
		/* Read after the reactions: people who talk about facts. */
		if (r == 0)
			r = gen_rows(&c, path, "topical-chat.jsonl",
			    gen_dialogue, f);
		if (r == 0)
			r = gen_rows(&c, path, "taskmaster4.jsonl",
			    gen_dialogue, f);
		if (r == 0)
			r = gen_corpus_count(g, path, f);
		regfree(&c.first);
	}
	regfree(&c.rude);
	regfree(&c.doubtful);
	g->corpus = r == 0;
	return (r);
}
