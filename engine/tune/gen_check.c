/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks templates before they are used: gaps name lists that are there, a
 * section has the lines that its kind needs, a task has its sections and lists,
 * and training finds a line wherever it needs one that is not held out.  So
 * nothing of this can fail later.
 */
#include "gen.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "xmalloc.h"

#define CHECK_KEYS	4
#define CHECK_LISTS	8

/* What a kind of section needs: keys with a line that is not held out, and
 * lists. */
static const struct check_kind {
	const char	*kind, *key[CHECK_KEYS], *list[CHECK_LISTS];
} check_kinds[] = {
	{ "fact", { "value", "say", "ask" }, { "text-and-question",
	    "text-alone", "text-read", "text-silent", "question-more",
	    "filler" } },
	{ "story", { "say" }, { "text-and-question", "text-alone",
	    "text-read", "question-more" } },
	{ "article", { "say" }, { "text-and-question", "text-alone",
	    "text-read", "question-more", "filler" } },
	{ "table", { "things", "col", "row" }, { "table-form" } },
	{ "feeling", { "say" }, { "feeling-two", "feeling-three",
	    "feeling-more", "shot-head", "shot-item" } },
};

/* The tasks that a talk can name, and the kinds of sections of which each
 * needs one. */
static const struct check_task {
	const char	*name, *kind[3];
} check_tasks[] = {
	{ "task-spans", { "fact", "story", "article" } },
	{ "task-table", { "table" } },
	{ "task-sentiment", { "feeling" } },
	{ "task-opinion", { "feeling" } },
};

static const char *const check_feelings[] = { "negative", "neutral",
	"positive" };

/* Check the gaps of a text: lists must be there. */
static int
check_text(const struct gen *g, const char *where, const char *s,
    size_t n, struct fault *f)
{
	size_t		 i, end;
	const char	*list;
	char		*gap, *var;
	int		 bars, r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		if (s[i] != '{')
			continue;
		end = i + gen_gap(s + i, n - i, &bars);
		if (end >= n)
			return (fault_set(f, "bad_config", NULL,
			    "%s: a brace is not closed: \"%s\"", where, s));
		gap = xstrndup(s + i + 1, end - i - 1);
		if (bars > 0)
			r = check_text(g, where, s + i + 1, end - i - 1,
			    f);
		else if (strchr(gap, '$') == NULL &&
		    strncmp(gap, "int ", 4) != 0) {
			if ((var = strrchr(gap, ':')) != NULL)
				*var = '\0';
			list = gap + 2 * (strncmp(gap, "a ", 2) == 0);
			if (strcmp(list, "madeup") != 0 &&
			    strcmp(list, "madeups") != 0 &&
			    strcmp(list, "name") != 0 &&
			    strncmp(list, "w.", 2) != 0 &&
			    strncmp(list, "intent.", 7) != 0 &&
			    strncmp(list, "corpus.", 7) != 0 &&
			    gen_list_find(g, list) == NULL)
				r = fault_set(f, "bad_config", NULL,
				    "%s: no list \"%s\"", where, list);
		}
		free(gap);
		i = end;
	}
	return (r);
}

/* Has the list an item? */
static int
check_list(const struct gen *g, const char *where, const char *name,
    struct fault *f)
{
	const struct gen_list	*l = gen_list_find(g, name);

	if (l != NULL && l->n > 0)
		return (0);
	return (fault_set(f, "bad_config", NULL, "%s: needs a list \"%s\" "
	    "with an item", where, name));
}

/* Has a section a line with this key? With `learnt`, one that is not held
 * out. */
static int
check_has(const struct gen_section *s, const char *key, int learnt)
{
	size_t	 i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->e[i].key, key) == 0 &&
		    (!learnt || !s->e[i].held))
			return (1);
	return (0);
}

/* Has a section the lines of its kind, and are the lists there? */
static int
check_needs(const struct gen *g, const struct gen_section *s,
    const struct check_kind *k, struct fault *f)
{
	int	 i, r = 0;

	for (i = 0; r == 0 && i < CHECK_KEYS && k->key[i] != NULL; i++)
		if (!check_has(s, k->key[i], 1))
			r = fault_set(f, "bad_config", NULL, "%s: needs a "
			    "line \"%s\" that is not held out", s->where,
			    k->key[i]);
	for (i = 0; r == 0 && i < CHECK_LISTS && k->list[i] != NULL; i++)
		r = check_list(g, s->where, k->list[i], f);
	if (r == 0 && check_has(s, "sum", 0))
		r = check_list(g, s->where, "summary-ask", f);
	return (r);
}

/* Is there a section of this kind, and of this name (NULL: any)? */
static int
check_section(const struct gen *g, const char *kind, const char *name)
{
	size_t	 i;

	for (i = 0; i < g->sections; i++)
		if (strcmp(g->section[i].kind, kind) == 0 && (name == NULL ||
		    strcasecmp(g->section[i].name, name) == 0))
			return (1);
	return (0);
}

/* Every label needs its feelings. */
static int
check_labels(const struct gen *g, const struct gen_section *s,
    struct fault *f)
{
	size_t	 i;

	for (i = 0; i < nitems(check_feelings); i++)
		if (!check_section(g, "feeling", check_feelings[i]))
			return (fault_set(f, "bad_config", NULL, "%s: needs a "
			    "section \"@feeling %s\", too", s->where,
			    check_feelings[i]));
	return (0);
}

/* A talk that stands for a task: the task and a section of it must be there. */
static int
check_task(const struct gen *g, const struct gen_section *s, struct fault *f)
{
	const struct check_task	*t;
	size_t			 i, k;

	for (i = 0; i < nitems(check_tasks); i++)
		if (strcmp(s->name, check_tasks[i].name) == 0)
			break;
	if (i == nitems(check_tasks))
		return (fault_set(f, "bad_config", NULL, "%s: there is no "
		    "such task", s->where));
	t = &check_tasks[i];
	for (k = 0; k < nitems(t->kind) && t->kind[k] != NULL; k++)
		if (check_section(g, t->kind[k], NULL))
			return (0);
	return (fault_set(f, "bad_config", NULL, "%s: needs a section "
	    "\"@%s\"", s->where, t->kind[0]));
}

/* In each run of lines of a talk that mean the same, one must not be held out:
 * training takes one of each. */
static int
check_runs(const struct gen_section *s, struct fault *f)
{
	const struct gen_entry	*e;
	size_t			 i, from, seen;

	for (from = 0; from < s->n; from = i) {
		e = &s->e[from];
		seen = 0;
		for (i = from; i < s->n && s->e[i].group == e->group &&
		    strcmp(s->e[i].key, e->key) == 0; i++)
			seen += s->e[i].held == 0;
		if (seen == 0 && (e->key[0] == '>' || e->key[0] == '<'))
			return (fault_set(f, "bad_config", NULL, "%s: all "
			    "ways to say \"%s\" are held out", s->where,
			    e->text));
	}
	return (0);
}

/* One section. */
static int
check_one(const struct gen *g, const struct gen_section *s, struct fault *f)
{
	size_t	 i;
	int	 r = 0;

	for (i = 0; r == 0 && i < s->n; i++)
		r = check_text(g, s->where, s->e[i].text,
		    strlen(s->e[i].text), f);
	for (i = 0; r == 0 && i < nitems(check_kinds); i++)
		if (strcmp(s->kind, check_kinds[i].kind) == 0)
			r = check_needs(g, s, &check_kinds[i], f);
	if (r == 0 && strcmp(s->kind, "feeling") == 0)
		r = check_labels(g, s, f);
	if (r == 0 && strcmp(s->kind, "table") == 0)
		r = gen_table_check(s, f);
	if (r == 0 && strcmp(s->kind, "talk") == 0) {
		r = check_runs(s, f);
		if (r == 0 && strncmp(s->name, "task-", 5) == 0)
			r = check_task(g, s, f);
	}
	return (r);
}

/* A list of the templates; those of the corpus have gaps of nobody. */
static int
check_items(const struct gen *g, const struct gen_list *l, struct fault *f)
{
	size_t	 i, seen = 0;
	int	 r = 0;

	for (i = 0; r == 0 && i < l->n; i++) {
		r = check_text(g, l->where, l->item[i], strlen(l->item[i]),
		    f);
		seen += l->held[i] == 0;
	}
	if (r == 0 && l->n > 0 && seen == 0)
		r = fault_set(f, "bad_config", NULL, "%s: all items are held "
		    "out", l->where);
	return (r);
}

/* Check all templates. */
int
gen_check(const struct gen *g, struct fault *f)
{
	size_t	 i;
	int	 r = 0;

	for (i = 0; r == 0 && i < g->sections; i++)
		if (g->section[i].where != NULL)
			r = check_one(g, &g->section[i], f);
	for (i = 0; r == 0 && i < g->lists; i++)
		if (g->list[i].where != NULL)
			r = check_items(g, &g->list[i], f);
	return (r);
}
