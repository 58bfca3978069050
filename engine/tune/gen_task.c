/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks that have a right answer: questions on a text ("fact", "story" and
 * "article" sections), sentiment ("feeling", and real sentences of the corpus);
 * gen_table.c has tables.
 */
#include "gen.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define TASK_FACTS	8	/* in a text, at most */
#define TASK_QUESTIONS	24
#define TASK_GROUPS	16	/* of an article, at most */
#define TASK_TRIES	20

/* Questions on a text and their answers.  Only after a question with a group
 * comes the follow-up of this group. */
struct task_quiz {
	char	*ask[TASK_QUESTIONS], *answer[TASK_QUESTIONS];	/* owned */
	int	 group[TASK_QUESTIONS];		/* -1: without */
	int	 n;
	char	*next_ask[TASK_GROUPS];		/* owned; NULL: none */
	char	*next_answer[TASK_GROUPS];	/* owned */
};

static const char *const task_labels[] = { "Negative", "Neutral",
	"Positive" };

/* Add a question; both texts are taken. */
static void
task_question(struct task_quiz *q, char *ask, char *answer)
{
	if (q->n == TASK_QUESTIONS) {
		free(ask);
		free(answer);
		return;
	}
	q->group[q->n] = -1;
	q->ask[q->n] = ask;
	q->answer[q->n++] = answer;
}

/* Release the questions. */
static void
task_quiz_clear(struct task_quiz *q)
{
	int	 i;

	while (q->n > 0) {
		free(q->ask[--q->n]);
		free(q->answer[q->n]);
	}
	for (i = 0; i < TASK_GROUPS; i++) {
		free(q->next_ask[i]);
		free(q->next_answer[i]);
	}
}

/* Ask the follow-up of a group, once. */
static void
task_follow(struct gen_ctx *c, struct task_quiz *q, int group)
{
	if (group < 0 || q->next_ask[group] == NULL)
		return;
	gen_say(c->doc, GEN_SAID, gen_typed(c, q->next_ask[group], 1));
	gen_say(c->doc, GEN_REPLY, q->next_answer[group]);
	q->next_ask[group] = q->next_answer[group] = NULL;
}

/* Ask a question at random, in a form of a list, and its follow-up. */
static void
task_ask(struct gen_ctx *c, struct task_quiz *q, const char *form)
{
	int	 i = (int)gen_below(c, (size_t)q->n), group = q->group[i];
	char	*said;

	gen_bind(c, "ask", q->ask[i]);
	said = gen_draw(c, form);
	if (strcmp(form, "question-more") == 0)
		said = gen_typed(c, said, 1);
	gen_say(c->doc, GEN_SAID, said);
	gen_say(c->doc, GEN_REPLY, q->answer[i]);
	free(q->ask[i]);
	q->n--;
	q->ask[i] = q->ask[q->n];
	q->answer[i] = q->answer[q->n];
	q->group[i] = q->group[q->n];
	task_follow(c, q, group);
}

/* A text (taken) and some of the questions on it, over turns. */
static void
task_talk(struct gen_ctx *c, char *text, struct task_quiz *q)
{
	int	 more = c->test ? 2 : (int)gen_below(c, 4);

	gen_bind(c, "text", text);
	free(text);
	if (q->n > 0 && !gen_chance(c, 0.25))
		task_ask(c, q, "text-and-question");
	else {
		gen_say(c->doc, GEN_SAID, gen_draw(c, "text-alone"));
		gen_say(c->doc, c->test ? GEN_CONTEXT : GEN_REPLY,
		    gen_draw(c, "text-read"));
		more++;
	}
	for (; more > 0 && q->n > 0; more--)
		task_ask(c, q, "question-more");
}

/* One fact about a person: a sentence, and questions. */
static void
task_fact(struct gen_ctx *c, const struct gen_section *s, const char *person,
    struct textbuf *text, struct task_quiz *q)
{
	const struct gen_entry	*ask = gen_pick(c, s, -1, "ask");
	const struct gen_entry	*who = gen_pick(c, s, -1, "who");

	gen_bind(c, "p", person);
	gen_append(text, gen_fill(c, gen_pick(c, s, -1, "say")->text));
	task_question(q, gen_fill(c, ask->text), xstrdup(gen_var(c, "v")));
	if (who != NULL)
		task_question(q, gen_fill(c, who->text), xstrdup(person));
}

/* A question that the text does not answer. */
static void
task_unknown(struct gen_ctx *c, struct task_quiz *q, char *const *person,
    int persons)
{
	const struct gen_section	*s = gen_kind(c, "fact");
	char				*name = gen_draw(c, "madeup");
	int				 i;

	for (i = 0; i < persons; i++)
		if (strcmp(person[i], name) == 0)
			break;
	if (i == persons) {
		gen_bind(c, "p", name);
		task_question(q, gen_fill(c, gen_pick(c, s, -1,
		    "ask")->text), gen_draw(c, "text-silent"));
	}
	free(name);
}

/* The facts of a text. */
struct task_facts {
	const struct gen_section *only;		/* all are of it; NULL: of any
						 * kind */
	const struct gen_section *kind[TASK_FACTS];
	char			*person[TASK_FACTS];	/* owned */
	char			*value[TASK_FACTS];	/* owned */
	int			 n;
};

/* Choose the kind and the person of the next fact: somebody new, or somebody
 * who comes up again with a fact of another kind. 0: there are no facts. */
static int
task_person(struct gen_ctx *c, struct task_facts *t)
{
	int	 n = t->n, k, taken, tries;

	for (tries = 0;; tries++) {
		t->kind[n] = t->only != NULL ? t->only : gen_kind(c, "fact");
		if (t->kind[n] == NULL)
			return (0);
		t->person[n] = n > 0 && gen_chance(c, 0.25) ?
		    xstrdup(t->person[gen_below(c, (size_t)n)]) :
		    gen_draw(c, "name");
		for (taken = k = 0; k < n; k++)
			taken |= strcmp(t->person[k], t->person[n]) == 0 &&
			    t->kind[k] == t->kind[n];
		if (!taken || tries == TASK_TRIES)
			return (1);
		free(t->person[n]);
	}
}

/* Choose a value for it that no other fact has. */
static void
task_value(struct gen_ctx *c, struct task_facts *t)
{
	int	 n = t->n, k, taken, tries;

	for (tries = 0;; tries++) {
		t->value[n] = gen_fill(c, gen_pick(c, t->kind[n], -1,
		    "value")->text);
		for (taken = k = 0; k < n; k++)
			taken |= strcmp(t->value[k], t->value[n]) == 0;
		if (!taken || tries == TASK_TRIES)
			return;
		free(t->value[n]);
	}
}

/* A text of facts about persons. */
static int
task_spans(struct gen_ctx *c)
{
	struct task_facts	 t = { .n = 0 };
	struct task_quiz	 q = { .n = 0 };
	struct textbuf		 text = { 0 };
	const char		*between = gen_chance(c, 0.2) ? "\n" : " ";
	int			 want = c->test ? 3 + (int)gen_below(c, 4) :
				    1 + (int)gen_below(c, TASK_FACTS);

	/* In facts of one kind, only names and values tell which one a question
	 * is about. */
	if (!c->test && gen_chance(c, 0.3))
		t.only = gen_kind(c, "fact");
	for (; t.n < want; t.n++) {
		if (!task_person(c, &t))
			return (CHAT_ENOTFOUND);
		task_value(c, &t);
		if (t.n > 0)
			textbuf_puts(&text, between);
		if (gen_chance(c, 0.12)) {
			gen_append(&text, gen_draw(c, "filler"));
			textbuf_puts(&text, between);
		}
		gen_bind(c, "v", t.value[t.n]);
		task_fact(c, t.kind[t.n], t.person[t.n], &text, &q);
	}
	if (!c->test && gen_chance(c, 0.1))
		task_unknown(c, &q, t.person, t.n);
	task_talk(c, gen_ended(&text), &q);
	while (t.n > 0) {
		free(t.person[--t.n]);
		free(t.value[t.n]);
	}
	task_quiz_clear(&q);
	return (0);
}

/* A text about one thing: a group of a "story" has ways to say one thing, and
 * questions on it. */
static int
task_story(struct gen_ctx *c)
{
	const struct gen_section	*s = gen_kind(c, "story");
	const struct gen_entry		*e;
	struct task_quiz		 q = { .n = 0 };
	struct textbuf			 text = { 0 };
	char				*sum = NULL;
	int				 group;
	size_t				 i;

	if (s == NULL)
		return (CHAT_ENOTFOUND);
	for (group = 0; group <= s->groups; group++) {
		if (group > 0 && gen_chance(c, 0.35))
			continue;
		if ((e = gen_pick(c, s, group, "say")) == NULL)
			continue;
		if (text.n > 0)
			textbuf_puts(&text, " ");
		gen_append(&text, gen_fill(c, e->text));
		if ((e = gen_pick(c, s, group, "sum")) != NULL)
			sum = gen_fill(c, e->text);
		for (i = 0; i < s->n; i++)
			if (s->e[i].group == group &&
			    strcmp(s->e[i].key, "q") == 0 &&
			    (s->e[i].held == 0 || c->test))
				task_question(&q, gen_half(c, s->e[i].text,
				    0), gen_half(c, s->e[i].text, 1));
	}
	if (sum != NULL && gen_chance(c, 0.3))
		task_question(&q, gen_draw(c, "summary-ask"), xstrdup(sum));
	free(sum);
	task_talk(c, gen_ended(&text), &q);
	task_quiz_clear(&q);
	return (0);
}

/* A real sentence with a sentiment: owned; its label in *label, which is not
 * neutral if two is set. NULL: there is none. */
static char *
task_opinion(struct gen_ctx *c, int two, int *label)
{
	const struct gen_opinion	*o;

	if (c->g->usable[c->test != 0][two != 0] == 0)
		return (NULL);
	do
		o = &c->g->opinion[gen_below(c, c->g->opinions)];
	while (o->held != (c->test != 0) || (two && o->label == 1));
	*label = o->label;
	return (xstrdup(o->text));
}

/* Sentences that have nothing to do with the questions: owned. */
static char *
task_padding(struct gen_ctx *c, int most)
{
	struct textbuf	 b = { 0 };
	int		 n = 1 + (int)gen_below(c, (size_t)most), label;
	char		*s;

	while (n-- > 0) {
		if (b.n > 0)
			textbuf_puts(&b, " ");
		s = c->g->opinions > 0 && gen_chance(c, 0.7) ?
		    task_opinion(c, 0, &label) : NULL;
		gen_append(&b, s != NULL ? s : gen_draw(c, "filler"));
	}
	return (gen_ended(&b));
}

/* What a group of an article asks: {$said} is its sentence, {$why} the next. */
static void
task_article_questions(struct gen_ctx *c, const struct gen_section *s,
    int group, struct task_quiz *q)
{
	const struct gen_entry	*e = gen_pick(c, s, group, "q");

	if (e == NULL || q->n == TASK_QUESTIONS)
		return;
	task_question(q, gen_half(c, e->text, 0), gen_half(c, e->text, 1));
	if ((e = gen_pick(c, s, group, "next")) == NULL ||
	    group >= TASK_GROUPS)
		return;
	q->group[q->n - 1] = group;
	q->next_ask[group] = gen_half(c, e->text, 0);
	q->next_answer[group] = gen_half(c, e->text, 1);
}

/* One group of an article: a paragraph. */
static void
task_article_group(struct gen_ctx *c, const struct gen_section *s, int group,
    struct textbuf *text, struct task_quiz *q)
{
	static const char *const keys[] = { "say", "more" };
	static const char *const names[] = { "said", "why" };
	const struct gen_entry	*e;
	const char		*between = " ";
	char			*line;
	size_t			 i;

	for (i = 0; i < nitems(keys); i++) {
		if ((e = gen_pick(c, s, group, keys[i])) == NULL)
			continue;
		line = gen_fill(c, e->text);
		gen_bind(c, names[i], line);
		textbuf_puts(text, text->n > 0 ? between : "");
		gen_append(text, line);
	}
	task_article_questions(c, s, group, q);
}

/* A longer text: paragraphs with a claim and its reason each, among others.
 * Answers are whole sentences of it. */
static int
task_article(struct gen_ctx *c)
{
	const struct gen_section	*s;
	const struct gen_entry		*sum = NULL;
	struct task_quiz		 q = { .n = 0 };
	struct textbuf			 text = { 0 };
	const char			*part = gen_chance(c, 0.5) ? "\n\n" :
					    " ";
	int				 most = 1 + (int)gen_below(c, 8);
	int				 group;

	if ((s = gen_kind(c, "article")) == NULL)
		return (CHAT_ENOTFOUND);
	for (group = 0; group <= s->groups; group++) {
		if (q.n > 0 && gen_chance(c, 0.4))
			continue;
		if (gen_chance(c, 0.7)) {
			textbuf_puts(&text, text.n > 0 ? part : "");
			gen_append(&text, task_padding(c, most));
		}
		if (text.n > 0)
			textbuf_puts(&text, gen_chance(c, 0.5) ? part : " ");
		task_article_group(c, s, group, &text, &q);
		if (sum == NULL)
			sum = gen_pick(c, s, group, "sum");
	}
	if (gen_chance(c, 0.5)) {
		textbuf_puts(&text, part);
		gen_append(&text, task_padding(c, most));
	}
	if (sum != NULL && gen_chance(c, 0.3))
		task_question(&q, gen_draw(c, "summary-ask"), gen_fill(c,
		    sum->text));
	task_talk(c, gen_ended(&text), &q);
	task_quiz_clear(&q);
	return (0);
}

/* A sentence of templates with a sentiment: "feeling" sections have the names
 * negative, neutral and positive. Owned. */
static char *
task_feeling(struct gen_ctx *c, int label)
{
	const struct gen_section	*s;
	size_t				 i;

	for (i = 0; i < c->g->sections; i++) {
		s = &c->g->section[i];
		if (strcmp(s->kind, "feeling") == 0 &&
		    strcasecmp(s->name, task_labels[label]) == 0)
			return (gen_fill(c, gen_pick(c, s, -1,
			    "say")->text));
	}
	return (gen_draw(c, "madeup"));
}

/* A sentence, real if there is one, or made. */
static char *
task_sentence(struct gen_ctx *c, int real, int two, int *label)
{
	if (real && c->g->usable[c->test != 0][two != 0] > 0)
		return (task_opinion(c, two, label));
	*label = two ? 2 * (int)gen_below(c, 2) : (int)gen_below(c, 3);
	return (task_feeling(c, *label));
}

/* Examples with labels, and a sentence without. */
static char *
task_shots(struct gen_ctx *c, int real, int *label)
{
	const struct gen_list	*l = gen_list_find(c->g, "shot-item");
	const char		*form = l->item[gen_below(c, l->n)];
	struct textbuf		 b = { 0 };
	int			 n = 2 + (int)gen_below(c, 4), i;
	int			 lower = gen_chance(c, 0.6);
	char			*s, name[16];

	gen_append(&b, gen_draw(c, "shot-head"));
	for (i = 0; i <= n; i++) {
		s = task_sentence(c, real, 0, label);
		gen_bind(c, "text", s);
		free(s);
		snprintf(name, sizeof name, "%s", i == n ? "" :
		    task_labels[*label]);
		if (lower)
			name[0] = (char)tolower((unsigned char)name[0]);
		gen_bind(c, "label", name);
		textbuf_puts(&b, i == 0 ? "\n" : "\n\n");
		gen_append(&b, gen_fill(c, form));
	}
	while (b.n > 0 && b.s[b.n - 1] == ' ')
		b.n--;
	*label += lower ? 3 : 0;
	return (gen_ended(&b));
}

/* The number of sections "feeling". */
static size_t
task_feelings(const struct gen *g)
{
	size_t	 i, n = 0;

	for (i = 0; i < g->sections; i++)
		n += strcmp(g->section[i].kind, "feeling") == 0;
	return (n);
}

/* Sentiment. */
static int
task_sentiment(struct gen_ctx *c, int real, const char **family)
{
	static const char *const lower[] = { "negative", "neutral",
		"positive" };
	int	 two = !real && gen_chance(c, 0.4), label;
	char	*s;

	/* Each task needs sections "feeling"; gen_check has found their lists
	 * then. */
	if (task_feelings(c->g) == 0 || (real && c->test &&
	    c->g->opinions > 0 && c->g->usable[1][0] == 0))
		return (CHAT_ENOTFOUND);
	if (real)
		two = !c->test && gen_chance(c, 0.2);
	if (gen_chance(c, 0.3) && !(real && c->test)) {
		*family = "examples";
		s = task_shots(c, real && gen_chance(c, 0.5), &label);
		gen_say(c->doc, GEN_SAID, s);
		gen_say(c->doc, GEN_REPLY, xstrdup(label >= 3 ?
		    lower[label - 3] : task_labels[label]));
		return (0);
	}
	*family = two ? "feeling-two" : "feeling-three";
	s = task_sentence(c, real, two, &label);
	gen_bind(c, "text", s);
	free(s);
	gen_say(c->doc, GEN_SAID, gen_draw(c, *family));
	gen_say(c->doc, GEN_REPLY, xstrdup(task_labels[label]));
	while (gen_chance(c, 0.45)) {
		s = task_sentence(c, real, two, &label);
		gen_bind(c, "text", s);
		free(s);
		gen_say(c->doc, GEN_SAID, gen_draw(c, "feeling-more"));
		gen_say(c->doc, GEN_REPLY, xstrdup(task_labels[label]));
	}
	return (0);
}

/* A task by name. */
int
gen_task(struct gen_ctx *c, const char *name, const char **family)
{
	int	 r = CHAT_ENOTFOUND;

	*family = name;
	if (strcmp(name, "table") == 0)
		r = gen_table(c, family);
	else if (strcmp(name, "spans") == 0 && gen_chance(c, 0.15)) {
		*family = "article";
		r = task_article(c);
	} else if (strcmp(name, "spans") == 0 && gen_chance(c, 0.4)) {
		*family = "story";
		r = task_story(c);
	} else if (strcmp(name, "spans") == 0) {
		*family = "facts";
		r = task_spans(c);
	} else if (strcmp(name, "sentiment") == 0)
		r = task_sentiment(c, 0, family);
	else if (strcmp(name, "opinion") == 0)
		r = task_sentiment(c, 1, family);
	gen_forget(c);
	return (r);
}
