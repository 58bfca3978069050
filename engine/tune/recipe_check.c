/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the values of a recipe need of each other.
 */
#include "recipe.h"

/* Is this the kind of a source whose replies are compared? */
static int
check_compared(const struct recipe_source *s)
{
	return (s->kind == DATA_PREFERENCE || s->kind == DATA_LABELS);
}

/* Sources of both kinds are there, if the objective needs both. */
static int
check_sources(const char *path, const struct recipe *r,
    struct fault *f)
{
	size_t	 i, compared = 0;

	for (i = 0; i < r->sources; i++)
		compared += (size_t)check_compared(&r->source[i]);
	if (recipe_learns(r) && recipe_compares(r) != -1 &&
	    (compared == 0 || compared == r->sources))
		return (fault_set(f, "bad_config", "data", "%s: data: "
		    "sft_dpo and sft_kto need a source of dialogues or "
		    "templates, and one of preference or labels", path));
	return (0);
}

/* Relations between values. */
int
recipe_check(const char *path, struct recipe *r, struct fault *f)
{
	struct model_config	*m = &r->model;

	if (m->channels % m->heads != 0 ||
	    m->rotary > m->channels / m->heads || m->rotary % 2 != 0)
		return (fault_set(f, "bad_config", "model", "%s: model: "
		    "channels %d must be a multiple of heads %d, and rotary "
		    "%d even and at most channels / heads", path, m->channels,
		    m->heads, m->rotary));
	m->lanes = m->channels / m->heads;
	m->eos = 0;
	if (r->embed_rate < 0)
		r->embed_rate = r->rate;
	if (r->vector_rate < 0)
		r->vector_rate = r->rate;
	if (r->sources == 0)
		return (fault_set(f, "bad_config", "data",
		    "%s: data: no source of documents", path));
	return (check_sources(path, r, f));
}
