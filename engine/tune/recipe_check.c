/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the values of a recipe need of each other.
 */
#include "recipe.h"

#include <stdlib.h>

#include "net_lora.h"
#include "yaml.h"

#define CHECK_MULTIPLE	16	/* of which channels and inner are, for net.c */
#define CHECK_LEARNT	(1U << DATA_TEMPLATES | 1U << DATA_DIALOGUES | \
	1U << DATA_TEXT)

/* The kinds of sources of an objective: those whose documents are learnt, and
 * those whose replies are compared. */
static const struct check_kinds {
	unsigned	 learnt, compared;
} check_kinds[] = {
	[RECIPE_LM] = { CHECK_LEARNT, 0 },
	[RECIPE_SFT] = { CHECK_LEARNT, 0 },
	[RECIPE_DPO] = { 0, 1U << DATA_PREFERENCE },
	[RECIPE_KTO] = { 0, 1U << DATA_LABELS },
	[RECIPE_SFT_DPO] = { CHECK_LEARNT, 1U << DATA_PREFERENCE },
	[RECIPE_SFT_KTO] = { CHECK_LEARNT, 1U << DATA_LABELS },
};

/* The node of a key of a section, or what is nearest to it. */
static const struct ynode *
check_node(struct ynode *root, const char *section, const char *key)
{
	struct ynode	*map = ynode_get(root, section);
	struct ynode	*n = ynode_get(map, key);

	return (n != NULL ? n : map != NULL ? map : root);
}

/* The sizes of a new model: those that net.c computes with, and that programs
 * can load (hfconfig.c). */
static int
check_model(const char *path, const struct model_config *m,
    struct ynode *root, struct fault *f)
{
	if (m->channels % CHECK_MULTIPLE != 0)
		return (ynode_fault(path, check_node(root, "model",
		    "channels"), f, "expected a multiple of %d, found %d",
		    CHECK_MULTIPLE, m->channels));
	if (m->inner % CHECK_MULTIPLE != 0)
		return (ynode_fault(path, check_node(root, "model", "inner"),
		    f, "expected a multiple of %d, found %d", CHECK_MULTIPLE,
		    m->inner));
	if (m->channels % (2 * m->heads) != 0)
		return (ynode_fault(path, check_node(root, "model", "heads"),
		    f, "expected channels / heads to be an even number, "
		    "found %d / %d", m->channels, m->heads));
	if (m->rotary % 2 != 0 || m->rotary > m->channels / m->heads)
		return (ynode_fault(path, check_node(root, "model",
		    "rotary"), f, "expected rotary to be an even number up "
		    "to channels / heads, which is %d; found %d",
		    m->channels / m->heads, m->rotary));
	return (0);
}

/* "a, b or c": the kinds of a set. Owned. */
static char *
check_words(unsigned kinds)
{
	const char	*words[DATA_KINDS + 1];
	int		 i, n = 0;

	for (i = 0; i < DATA_KINDS; i++)
		if (kinds >> i & 1)
			words[n++] = recipe_kinds[i];
	words[n] = NULL;
	return (recipe_words(words));
}

/* The kind of a source is one that the objective takes. */
static int
check_source(const char *path, const struct recipe *r,
    const struct recipe_source *s, struct ynode *at, struct fault *f)
{
	const struct check_kinds	*k = &check_kinds[r->objective];
	struct ynode			*n = ynode_get(at, "kind");
	char				*words;
	int				 e;

	if ((k->learnt | k->compared) >> s->kind & 1)
		return (0);
	words = check_words(k->learnt | k->compared);
	e = ynode_fault(path, n != NULL ? n : at, f, "the objective %s "
	    "expects %s, found %s", recipe_objectives[r->objective], words,
	    recipe_kinds[s->kind]);
	free(words);
	return (e);
}

/* A part of an objective has documents. kinds 0: there is no such part. */
static int
check_part(const char *path, const struct recipe *r, unsigned kinds,
    struct ynode *list, struct fault *f)
{
	char	*words;
	double	 sum = 0;
	size_t	 i;
	int	 e;

	for (i = 0; i < r->sources; i++)
		if (kinds >> r->source[i].kind & 1)
			sum += r->source[i].share;
	if (kinds == 0 || sum > 0)
		return (0);
	words = check_words(kinds);
	e = ynode_fault(path, list, f, "the objective %s expects a source of "
	    "the kind %s with a share above 0, found none",
	    recipe_objectives[r->objective], words);
	free(words);
	return (e);
}

/* All sources. */
static int
check_sources(const char *path, const struct recipe *r, struct ynode *root,
    struct fault *f)
{
	struct ynode	*list = ynode_get(root, "data"), *n;
	size_t		 i = 0;
	int		 e = 0;

	if (r->sources == 0)
		return (fault_set(f, "bad_config", "data",
		    "%s: data: no source of documents", path));
	for (n = list->child; e == 0 && n != NULL; n = n->next)
		e = check_source(path, r, &r->source[i++], n, f);
	if (e == 0)
		e = check_part(path, r, check_kinds[r->objective].learnt,
		    list, f);
	if (e == 0)
		e = check_part(path, r, check_kinds[r->objective].compared,
		    list, f);
	return (e);
}

/* Relations between values. */
int
recipe_check(const char *path, struct recipe *r, struct ynode *root,
    struct fault *f)
{
	struct model_config	*m = &r->model;
	struct ynode		*lora = ynode_get(root, "lora");
	int			 e;

	if ((e = check_model(path, m, root, f)) != 0)
		return (e);
	if (lora != NULL && r->rank == 0)
		return (ynode_fault(path, lora, f, "rank: expected 1 to %d, "
		    "found none", LORA_RANK_MAX));
	m->lanes = m->channels / m->heads;
	m->eos = 0;
	if (r->embed_rate < 0)
		r->embed_rate = r->rate;
	if (r->vector_rate < 0)
		r->vector_rate = r->rate;
	return (check_sources(path, r, root, f));
}
