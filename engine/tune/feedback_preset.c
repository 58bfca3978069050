/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a preset of feedback.
 */
#include "feedback.h"

#include <stddef.h>
#include <string.h>

#include "net_lora.h"
#include "xmalloc.h"
#include "yaml.h"

/* A key, its member, and its limits. */
struct preset_key {
	const char	*name;
	int		 real;		/* a double; else an int64_t */
	size_t		 at;
	double		 dflt, min, max;
};

#define AT(m)	offsetof(struct feedback_preset, m)

static const struct preset_key preset_keys[] = {
	{ "steps", 0, AT(steps), 0, 0, 1e6 },
	{ "visits", 0, AT(visits), 40, 1, 1e6 },
	{ "batch", 0, AT(batch), 2048, 64, 1e9 },
	{ "micro", 0, AT(micro), 2048, 16, 1048576 },
	{ "warmup", 0, AT(warmup), 5, 0, 1e6 },
	{ "rate", 1, AT(rate), 0.002, 0, 10 },
	{ "embed_rate", 1, AT(embed_rate), 0.0002, 0, 10 },
	{ "vector_rate", 1, AT(vector_rate), 0.0001, 0, 10 },
	{ "fall", 1, AT(fall), 0.6, 0, 1 },
	{ "clip", 1, AT(clip), 1, 0, 1e6 },
	{ "replay", 1, AT(replay), 0.85, 0, 0.99 },
	{ "own", 0, AT(own), -1, -1, 1e6 },
	{ "phrasings", 0, AT(phrasings), 40, 1, 10000 },
	{ "context", 1, AT(context), 0.25, 0, 1 },
	{ "pairs", 0, AT(pairs), 256, 1, 1e6 },
	{ "beta", 1, AT(beta), 0.1, 1e-4, 10 },
	{ "pair_weight", 1, AT(pair_weight), 0.05, 0, 100 },
	{ "rank", 0, AT(rank), 0, 0, LORA_RANK_MAX },
	{ "alpha", 1, AT(alpha), 16, 1e-3, 1e4 },
	{ "seed", 0, AT(seed), 1, 0, 1e15 },
	{ "items", 0, AT(gate.items), 200, 1, 1e5 },
	{ "margin", 1, AT(gate.margin), 1, 0, 100 },
	{ "perplexity", 1, AT(gate.perplexity), 2, 0, 1000 },
};

static const char *const preset_compare[] = { "auto", "dpo", "kto", "none" };

/* One key. */
static int
preset_value(const char *path, struct feedback_preset *p, struct ynode *n,
    struct fault *f)
{
	const struct preset_key	*k;
	char			*at;
	size_t			 i;

	if (n->kind != YNODE_SCALAR)
		return (ynode_fault(path, n, f, "expected one value"));
	if (strcmp(n->key, "compare") == 0) {
		for (i = 0; i < nitems(preset_compare); i++)
			if (strcmp(n->text, preset_compare[i]) == 0) {
				p->compare = (int64_t)i;
				return (0);
			}
		return (ynode_fault(path, n, f, "\"%s\" is not auto, dpo, kto "
		    "or none", n->text));
	}
	for (i = 0; i < nitems(preset_keys); i++) {
		k = &preset_keys[i];
		if (strcmp(n->key, k->name) != 0)
			continue;
		at = (char *)p + k->at;
		return (k->real ? ynode_real(path, n, k->min, k->max,
		    (double *)(void *)at, f) : ynode_int(path, n,
		    (int64_t)k->min, (int64_t)k->max,
		    (int64_t *)(void *)at, f));
	}
	return (ynode_fault(path, n, f, "unknown key"));
}

/* Read a preset. */
int
feedback_preset(const char *path, struct feedback_preset *p, struct fault *f)
{
	struct ynode	*root, *n;
	char		*at;
	size_t		 i;
	int		 r;

	memset(p, 0, sizeof *p);
	for (i = 0; i < nitems(preset_keys); i++) {
		at = (char *)p + preset_keys[i].at;
		if (preset_keys[i].real)
			*(double *)(void *)at = preset_keys[i].dflt;
		else
			*(int64_t *)(void *)at = (int64_t)preset_keys[i].dflt;
	}
	if (path == NULL)
		return (0);
	if ((r = yaml_load_map(path, &root, f)) != 0)
		return (r);
	for (n = root->child; r == 0 && n != NULL; n = n->next)
		r = preset_value(path, p, n, f);
	ynode_free(root);
	return (r);
}
