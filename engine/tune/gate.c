/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate.  Both models get the same tests, so that a difference is one of the
 * models.
 */
#include "gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate.h"
#include "growbuf.h"
#include "xmalloc.h"

#define GATE_REPLY	220	/* tokens of a reply, at most */

static const char *const gate_tasks[GATE_TASKS] = { "sentiment", "table",
	"spans", "memory", "opinion" };

/* Add a question. */
void
gate_add(struct gate_set *s, char *prompt, const char *want)
{
	s->prompt = xreallocarray(s->prompt, s->n + 1, sizeof *s->prompt);
	s->want = xreallocarray(s->want, s->n + 1, sizeof *s->want);
	s->prompt[s->n] = prompt;
	s->want[s->n++] = xstrdup(want);
}

/* Release them. */
void
gate_clear(struct gate_set *s)
{
	size_t	 i;

	for (i = 0; i < s->n; i++) {
		free(s->prompt[i]);
		free(s->want[i]);
	}
	free(s->prompt);
	free(s->want);
	s->prompt = s->want = NULL;
	s->n = 0;
}

/* -log p of a reply and its end after a prompt. */
static double
gate_loss(struct greedy_model *m, const char *prompt, const char *reply)
{
	char	*all = xasprintf("%s %s\n<human>:", prompt, reply);
	int	 n;
	double	 loss = greedy_loss(m, all, strlen(all), &n) -
		    greedy_loss(m, prompt, strlen(prompt), &n);

	free(all);
	return (loss);
}

/* Ask all. */
struct gate_answer *
gate_ask(struct greedy_model *m, const struct gate_set *s)
{
	struct greedy_item	*item = xcalloc(s->n + 1, sizeof *item);
	struct gate_answer	*a = xcalloc(s->n + 1, sizeof *a);
	size_t			 i;

	for (i = 0; i < s->n; i++)
		item[i].prompt = s->prompt[i];
	if (s->n > 0)
		greedy_run(m, item, s->n, GATE_REPLY);
	for (i = 0; i < s->n; i++) {
		a[i].right = item[i].ended &&
		    strcmp(item[i].reply, s->want[i]) == 0;
		a[i].loss = gate_loss(m, s->prompt[i], s->want[i]);
		free(item[i].reply);
	}
	free(item);
	return (a);
}

/* The right answers of a set. */
static int
gate_answers(struct greedy_model *m, const struct gate_set *s)
{
	struct gate_answer	*a = gate_ask(m, s);
	size_t			 i;
	int			 right = 0;

	for (i = 0; i < s->n; i++)
		right += a[i].right;
	free(a);
	return (right);
}

/* Measure a model. */
void
gate_measure(const struct gen *g, struct greedy_model *m,
    const struct gate_options *o, const struct gate_set *set, size_t sets,
    struct gate_scores *out)
{
	struct evaluate_set	 asked;
	unsigned char		*right;
	size_t			 i, k;

	memset(out, 0, sizeof *out);
	for (i = 0; i < GATE_TASKS; i++) {
		if (strcmp(gate_tasks[i], "opinion") == 0 && !g->corpus)
			continue;
		if (evaluate_ask(g, m, gate_tasks[i], (int)o->items,
		    &asked) != 0)
			continue;
		if (asked.n > 0) {
			right = xcalloc(asked.n, 1);
			for (k = 0; k < asked.n; k++)
				right[k] = (unsigned char)evaluate_right(
				    &asked, k);
			out->right[out->tasks] = right;
			out->name[out->tasks] = gate_tasks[i];
			out->n[out->tasks++] = (int)asked.n;
		}
		evaluate_clear(&asked);
	}
	out->perplexity = evaluate_perplexity(g, m, o->items <
	    EVALUATE_DOCUMENTS ? (int)o->items : EVALUATE_DOCUMENTS,
	    &out->tokens);
	for (i = 0; i < sets; i++) {
		out->set_n[i] = (int)set[i].n;
		out->set[i] = gate_answers(m, &set[i]);
	}
}

/* Release the scores. */
void
gate_scores_clear(struct gate_scores *s)
{
	while (s->tasks > 0)
		free(s->right[--s->tasks]);
}

/* The upper tail of the binomial distribution with p = 1/2. */
double
gate_chance(int lost, int gained)
{
	int	 n = lost + gained, k;
	double	 p = 0;

	for (k = lost; k <= n; k++)
		p += exp(lgamma(n + 1.0) - lgamma(k + 1.0) -
		    lgamma(n - k + 1.0) - n * M_LN2);
	return (p < 1 ? p : 1);
}

/* A row of the table. */
static json_t *
gate_row(const char *name, int n, double before, double after, int ok)
{
	return (json_pack("{s:s, s:i, s:f, s:f, s:f, s:b}", "name", name,
	    "items", n, "before", before, "after", after, "change",
	    after - before, "ok", ok));
}

/* Add a reason (taken) to those that are there. */
static void
gate_reason(char **why, char *reason)
{
	char	*both;

	if (*why == NULL) {
		*why = reason;
		return;
	}
	both = xasprintf("%s; %s", *why, reason);
	free(*why);
	free(reason);
	*why = both;
}

/* Compare a task: its row, and the reason to refuse. */
static json_t *
gate_task(const struct gate_options *o, const struct gate_scores *a,
    const struct gate_scores *b, int i, char **why)
{
	int	 n = a->n[i], right[2] = { 0, 0 }, lost = 0, gained = 0, k, ok;
	double	 before, after, chance;
	json_t	*row;

	for (k = 0; k < n; k++) {
		right[0] += a->right[i][k];
		right[1] += b->right[i][k];
		lost += a->right[i][k] > b->right[i][k];
		gained += a->right[i][k] < b->right[i][k];
	}
	before = 100.0 * right[0] / n;
	after = 100.0 * right[1] / n;
	chance = gate_chance(lost, gained);
	ok = after >= before - o->margin - 1e-9 || chance >= GATE_CHANCE;
	if (!ok)
		gate_reason(why, xasprintf("%s fell from %.1f to %.1f %%, by "
		    "more than %g points: %d answers are now wrong, %d now "
		    "right", a->name[i], before, after, o->margin, lost,
		    gained));
	row = gate_row(a->name[i], n, before, after, ok);
	json_object_set_new(row, "lost", json_integer(lost));
	json_object_set_new(row, "gained", json_integer(gained));
	json_object_set_new(row, "chance", json_real(chance));
	return (row);
}

/* Compare the perplexities: a member of the table, and the reason to refuse. */
static json_t *
gate_perplexity(const struct gate_options *o, const struct gate_scores *a,
    const struct gate_scores *b, char **why)
{
	double	 rise = 100 * (b->perplexity / a->perplexity - 1);
	int	 ok = a->tokens == 0 || (isfinite(rise) &&
		    rise <= o->perplexity);

	if (!ok)
		gate_reason(why, isfinite(rise) ? xasprintf("the perplexity "
		    "rose from %.2f to %.2f, by more than %g %%",
		    a->perplexity, b->perplexity, o->perplexity) :
		    xstrdup("the perplexity is not finite"));
	return (json_pack("{s:i, s:o, s:o, s:b}", "tokens", a->tokens,
	    "before", isfinite(a->perplexity) ? json_real(a->perplexity) :
	    json_null(), "after", isfinite(b->perplexity) ?
	    json_real(b->perplexity) : json_null(), "ok", ok));
}

/* Compare. */
json_t *
gate_compare(const struct gate_options *o, const struct gate_set *set,
    size_t sets, const struct gate_scores *a, const struct gate_scores *b)
{
	json_t	*out, *rows = json_array(), *learnt = json_array(), *p;
	char	*why = NULL;
	int	 i;

	for (i = 0; i < a->tasks; i++)
		json_array_append_new(rows, gate_task(o, a, b, i, &why));
	p = gate_perplexity(o, a, b, &why);
	for (i = 0; i < (int)sets; i++)
		if (set[i].n > 0)
			json_array_append_new(learnt, gate_row(set[i].name,
			    a->set_n[i], 100.0 * a->set[i] / a->set_n[i],
			    100.0 * b->set[i] / b->set_n[i], 1));
	out = json_pack("{s:b, s:f, s:f, s:I, s:o, s:o, s:o}", "passed",
	    why == NULL, "margin", o->margin, "perplexity_margin",
	    o->perplexity, "items", (json_int_t)o->items, "tasks", rows,
	    "learnt", learnt, "perplexity", p);
	if (why != NULL)
		json_object_set_new(out, "reason", json_string(why));
	free(why);
	return (out);
}

/* Did it pass? */
int
gate_passed(const json_t *gate)
{
	return (json_is_true(json_object_get(gate, "passed")));
}

/* The number of a key. */
static double
gate_number(const json_t *row, const char *key)
{
	const json_t	*v = json_object_get(row, key);

	return (json_is_number(v) ? json_number_value(v) : (double)NAN);
}

/* Print the rows of a list. */
static void
gate_print_rows(const json_t *list)
{
	json_t	*row;
	size_t	 i;

	json_array_foreach(list, i, row) {
		printf("%-12s %7.1f %% %7.1f %%  %+6.1f  of %d",
		    json_string_value(json_object_get(row, "name")),
		    gate_number(row, "before"), gate_number(row, "after"),
		    gate_number(row, "change"),
		    (int)gate_number(row, "items"));
		if (json_object_get(row, "lost") != NULL)
			printf(", %d lost, %d gained",
			    (int)gate_number(row, "lost"),
			    (int)gate_number(row, "gained"));
		printf("%s\n", json_is_true(json_object_get(row, "ok")) ? "" :
		    "  REFUSED");
	}
}

/* Print the table. */
void
gate_print(const json_t *gate)
{
	const json_t	*p = json_object_get(gate, "perplexity");
	double		 a = gate_number(p, "before");
	double		 b = gate_number(p, "after");

	printf("%-12s %9s %9s  %6s\n", "", "before", "after", "change");
	gate_print_rows(json_object_get(gate, "learnt"));
	gate_print_rows(json_object_get(gate, "tasks"));
	if (gate_number(p, "tokens") > 0)
		printf("%-12s %9.2f %9.2f  %+5.1f%%  of %d tokens%s\n",
		    "perplexity", a, b, 100 * (b / a - 1),
		    (int)gate_number(p, "tokens"),
		    json_is_true(json_object_get(p, "ok")) ? "" :
		    "  REFUSED");
	printf("%s\n", gate_passed(gate) ? "the gate is passed" :
	    json_string_value(json_object_get(gate, "reason")));
	fflush(stdout);
}
