/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading recipes.
 */
#include "recipe.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_lora.h"
#include "optim.h"
#include "path.h"
#include "xmalloc.h"
#include "yaml.h"

enum recipe_type { KEY_INT, KEY_LONG, KEY_REAL, KEY_FLOAT, KEY_BOOL,
	KEY_WORD, KEY_PATH };

/* A key, its member, and its limits. */
struct recipe_key {
	const char		*section, *name;
	enum recipe_type	 type;
	size_t			 at;
	double			 dflt, min, max;
	const char *const	*words;		/* of KEY_WORD */
};

static const char *const recipe_gelus[] = { "gelu", "gelu_fast", NULL };
static const char *const recipe_starts[] = { "normal", "induction", NULL };
static const char *const recipe_residuals[] = { "sequential", "parallel",
	NULL };
const char *const recipe_optimizers[] = { "adamw", "adamw8", "muon",
	NULL };
const char *const recipe_objectives[] = { "lm", "sft", "dpo", "kto",
	"sft_dpo", "sft_kto", NULL };
static const char *const recipe_schedules[] = { "constant", "cosine",
	"linear", NULL };
const char *const recipe_kinds[] = { "templates", "dialogues",
	"text", "preference", "labels", NULL };
const char *const recipe_dtypes[] = { "F16", "BF16", "F32", NULL };

#define AT(m)	offsetof(struct recipe, m)

static const struct recipe_key recipe_keys[] = {
	{ NULL, "start", KEY_PATH, AT(start), 0, 0, 0, NULL },
	{ "model", "layers", KEY_INT, AT(model.layers), 6, 1, 256, NULL },
	{ "model", "channels", KEY_INT, AT(model.channels), 256, 16, 16384,
	    NULL },
	{ "model", "heads", KEY_INT, AT(model.heads), 4, 1, 256, NULL },
	{ "model", "inner", KEY_INT, AT(model.inner), 1024, 16, 65536, NULL },
	{ "model", "context", KEY_INT, AT(model.context), 1024, 16, 65536,
	    NULL },
	{ "model", "rotary", KEY_INT, AT(model.rotary), 16, 2, 1024, NULL },
	{ "model", "rotary_base", KEY_FLOAT, AT(model.rotary_base), 10000, 1,
	    1e9, NULL },
	{ "model", "vocab", KEY_INT, AT(model.vocab), 4096, 281, 1048576,
	    NULL },
	{ "model", "activation", KEY_WORD, AT(model.gelu), 0, 0, 0,
	    recipe_gelus },
	{ "model", "residual", KEY_WORD, AT(model.parallel), 1, 0, 0,
	    recipe_residuals },
	{ "model", "tied", KEY_BOOL, AT(model.tied), 1, 0, 1, NULL },
	{ "model", "begin", KEY_WORD, AT(induction), 0, 0, 0,
	    recipe_starts },
	{ "tokenizer", "file", KEY_PATH, AT(tokenizer), 0, 0, 0, NULL },
	{ "tokenizer", "documents", KEY_INT, AT(documents), 20000, 1, 1e7,
	    NULL },
	{ NULL, "objective", KEY_WORD, AT(objective), RECIPE_SFT, 0, 0,
	    recipe_objectives },
	{ NULL, "beta", KEY_REAL, AT(beta), 0.1, 1e-4, 10, NULL },
	{ NULL, "desirable", KEY_REAL, AT(desirable), 1, 0, 100, NULL },
	{ NULL, "undesirable", KEY_REAL, AT(undesirable), 1, 0, 100, NULL },
	{ "weights", "reply", KEY_REAL, AT(reply), 1, 0, 100, NULL },
	{ "weights", "prompt", KEY_REAL, AT(prompt), 0, 0, 100, NULL },
	{ "weights", "plain", KEY_REAL, AT(plain), 1, 0, 100, NULL },
	{ NULL, "pairs", KEY_LONG, AT(pairs), 1024, 1, 1e9, NULL },
	{ NULL, "pair_weight", KEY_REAL, AT(pair_weight), 1, 0, 100, NULL },
	{ NULL, "pack", KEY_BOOL, AT(pack), 0, 0, 1, NULL },
	{ NULL, "optimizer", KEY_WORD, AT(optimizer), OPTIM_ADAMW, 0, 0,
	    recipe_optimizers },
	{ NULL, "rate", KEY_REAL, AT(rate), 1e-3, 0, 10, NULL },
	{ NULL, "embed_rate", KEY_REAL, AT(embed_rate), -1, 0, 10, NULL },
	{ NULL, "vector_rate", KEY_REAL, AT(vector_rate), -1, 0, 10, NULL },
	{ NULL, "beta1", KEY_REAL, AT(beta1), 0.9, 0, 0.9999, NULL },
	{ NULL, "beta2", KEY_REAL, AT(beta2), 0.95, 0, 0.99999, NULL },
	{ NULL, "eps", KEY_REAL, AT(eps), 1e-8, 1e-12, 1, NULL },
	{ NULL, "decay", KEY_REAL, AT(decay), 0.01, 0, 10, NULL },
	{ NULL, "momentum", KEY_REAL, AT(momentum), 0.95, 0, 0.9999, NULL },
	{ NULL, "clip", KEY_REAL, AT(clip), 1, 0, 1e6, NULL },
	{ NULL, "schedule", KEY_WORD, AT(schedule), RECIPE_CONSTANT, 0, 0,
	    recipe_schedules },
	{ NULL, "fall", KEY_REAL, AT(fall), 0.4, 0, 1, NULL },
	{ NULL, "steps", KEY_LONG, AT(steps), 1000, 1, 1e9, NULL },
	{ NULL, "restart", KEY_LONG, AT(restart), 0, 0, 1e9, NULL },
	{ NULL, "warmup", KEY_LONG, AT(warmup), 30, 0, 1e9, NULL },
	{ NULL, "batch", KEY_LONG, AT(batch), 8192, 1, 1e9, NULL },
	{ NULL, "micro", KEY_LONG, AT(micro), 2048, 16, 1048576, NULL },
	{ NULL, "length", KEY_LONG, AT(length), 0, 16, 65536, NULL },
	{ NULL, "seed", KEY_LONG, AT(seed), 1, 0, 1e15, NULL },
	{ NULL, "save_every", KEY_LONG, AT(save_every), 200, 1, 1e9, NULL },
	{ NULL, "dtype", KEY_WORD, AT(dtype), 0, 0, 0, recipe_dtypes },
	{ "lora", "rank", KEY_INT, AT(rank), 0, 1, LORA_RANK_MAX, NULL },
	{ "lora", "alpha", KEY_REAL, AT(alpha), 16, 1e-3, 1e4, NULL },
};

/* The index of a word, or -1. */
static int
recipe_word(const char *const *words, const char *s)
{
	int	 i;

	for (i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], s) == 0)
			return (i);
	return (-1);
}

/* "a, b or c". */
char *
recipe_words(const char *const *words)
{
	char	*out = xstrdup(words[0]), *next;
	int	 i;

	for (i = 1; words[i] != NULL; i++) {
		next = xasprintf("%s%s%s", out, words[i + 1] != NULL ?
		    ", " : " or ", words[i]);
		free(out);
		out = next;
	}
	return (out);
}

/* A path of a recipe is relative to the recipe's folder. Owned. */
static char *
recipe_path(const char *recipe, const char *s)
{
	char	*dir = path_folder(recipe), *out = path_join(dir, s);

	free(dir);
	return (out);
}

/* Set a member to its default. */
static void
recipe_default(struct recipe *r, const struct recipe_key *k)
{
	char	*p = (char *)r + k->at;

	switch (k->type) {
	case KEY_INT: case KEY_BOOL: case KEY_WORD:
		*(int *)(void *)p = (int)k->dflt;
		break;
	case KEY_LONG:
		*(int64_t *)(void *)p = (int64_t)k->dflt;
		break;
	case KEY_REAL:
		*(double *)(void *)p = k->dflt;
		break;
	case KEY_FLOAT:
		*(float *)(void *)p = (float)k->dflt;
		break;
	case KEY_PATH:
		*(char **)(void *)p = NULL;
	}
}

/* Defaults. */
void
recipe_defaults(struct recipe *r)
{
	size_t	 i;

	memset(r, 0, sizeof *r);
	for (i = 0; i < nitems(recipe_keys); i++)
		recipe_default(r, &recipe_keys[i]);
	r->model.norm_eps = 1e-5f;
	r->model.attn_bias = 1;
	r->targets = 1 << LORA_QKV | 1 << LORA_ATTN | 1 << LORA_UP |
	    1 << LORA_DOWN;
}

/* Read a number. */
static int
recipe_number(const char *path, const struct recipe_key *k, struct ynode *n,
    char *p, struct fault *f)
{
	int64_t	 v = 0;
	double	 x = 0;
	int	 e;

	e = k->type == KEY_INT || k->type == KEY_LONG ?
	    ynode_int(path, n, (int64_t)k->min, (int64_t)k->max, &v, f) :
	    ynode_real(path, n, k->min, k->max, &x, f);
	if (e != 0)
		return (e);
	if (k->type == KEY_INT)
		*(int *)(void *)p = (int)v;
	else if (k->type == KEY_LONG)
		*(int64_t *)(void *)p = v;
	else if (k->type == KEY_FLOAT)
		*(float *)(void *)p = (float)x;
	else
		*(double *)(void *)p = x;
	return (0);
}

/* Read the value of a key. */
static int
recipe_value(const char *path, struct recipe *r, const struct recipe_key *k,
    struct ynode *n, struct fault *f)
{
	char	*p = (char *)r + k->at, *words;
	int	 i;

	if (n->kind != YNODE_SCALAR)
		return (ynode_fault(path, n, f, "expected one value"));
	switch (k->type) {
	case KEY_BOOL:
		return (ynode_bool(path, n, (int *)(void *)p, f));
	case KEY_PATH:
		free(*(char **)(void *)p);
		*(char **)(void *)p = recipe_path(path, n->text);
		return (0);
	case KEY_WORD:
		if ((i = recipe_word(k->words, n->text)) == -1) {
			words = recipe_words(k->words);
			i = ynode_fault(path, n, f, "\"%s\" is not %s",
			    n->text, words);
			free(words);
			return (i);
		}
		*(int *)(void *)p = i;
		return (0);
	default:
		return (recipe_number(path, k, n, p, f));
	}
}

/* One source of data. */
static int
recipe_source(const char *path, struct recipe *r, struct ynode *map,
    struct fault *f)
{
	struct recipe_source	*s;
	struct ynode		*n;
	char			*words;
	int			 i;

	r->source = xreallocarray(r->source, r->sources + 1,
	    sizeof *r->source);
	s = &r->source[r->sources++];
	memset(s, 0, sizeof *s);
	s->share = 1;
	for (n = map->child; n != NULL; n = n->next) {
		if (n->key == NULL || n->kind != YNODE_SCALAR)
			return (ynode_fault(path, n, f, "expected kind, "
			    "path, corpus or share"));
		if (strcmp(n->key, "kind") == 0) {
			if ((i = recipe_word(recipe_kinds, n->text)) == -1) {
				words = recipe_words(recipe_kinds);
				i = ynode_fault(path, n, f,
				    "\"%s\" is not %s", n->text, words);
				free(words);
				return (i);
			}
			s->kind = (enum recipe_kind)i;
		} else if (strcmp(n->key, "path") == 0) {
			free(s->path);
			s->path = recipe_path(path, n->text);
		} else if (strcmp(n->key, "corpus") == 0) {
			free(s->corpus);
			s->corpus = recipe_path(path, n->text);
		} else if (strcmp(n->key, "share") == 0) {
			if ((i = ynode_real(path, n, 0, 1e6, &s->share,
			    f)) != 0)
				return (i);
		} else
			return (ynode_fault(path, n, f, "unknown key"));
	}
	if (s->path == NULL)
		return (ynode_fault(path, map, f, "no path"));
	return (0);
}

/* lora.targets. */
static int
recipe_targets(const char *path, struct recipe *r, struct ynode *list,
    struct fault *f)
{
	struct ynode	*n;
	int		 i;

	r->targets = 0;
	for (n = list->child; n != NULL; n = n->next) {
		for (i = 0; i < LORA_TARGETS; i++)
			if (n->text != NULL &&
			    strcmp(n->text, lora_target(i)) == 0)
				break;
		if (i == LORA_TARGETS)
			return (ynode_fault(path, n, f, "\"%s\" is not "
			    "query_key_value, dense, dense_h_to_4h or "
			    "dense_4h_to_h", n->text == NULL ? "" : n->text));
		r->targets |= 1U << i;
	}
	return (r->targets == 0 ? ynode_fault(path, list, f,
	    "expected a list of matrices") : 0);
}

/* A key of a section (NULL: of the top). */
static int
recipe_entry(const char *path, struct recipe *r, const char *section,
    struct ynode *n, struct fault *f)
{
	struct ynode	*c;
	size_t		 i;
	int		 e = 0;

	if (section == NULL && strcmp(n->key, "data") == 0) {
		for (c = n->child; e == 0 && c != NULL; c = c->next)
			e = recipe_source(path, r, c, f);
		return (e);
	}
	if (section != NULL && strcmp(section, "lora") == 0 &&
	    strcmp(n->key, "targets") == 0)
		return (recipe_targets(path, r, n, f));
	for (i = 0; i < nitems(recipe_keys); i++)
		if ((section == NULL) == (recipe_keys[i].section == NULL) &&
		    (section == NULL || strcmp(section,
		    recipe_keys[i].section) == 0) &&
		    strcmp(n->key, recipe_keys[i].name) == 0)
			return (recipe_value(path, r, &recipe_keys[i], n, f));
	return (ynode_fault(path, n, f, "unknown key"));
}

/* Is it the name of a section? */
static int
recipe_section(const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(recipe_keys); i++)
		if (recipe_keys[i].section != NULL &&
		    strcmp(name, recipe_keys[i].section) == 0)
			return (1);
	return (0);
}

/* How replies are compared. */
int
recipe_compares(const struct recipe *r)
{
	switch (r->objective) {
	case RECIPE_DPO: case RECIPE_SFT_DPO:
		return (RECIPE_DPO);
	case RECIPE_KTO: case RECIPE_SFT_KTO:
		return (RECIPE_KTO);
	}
	return (-1);
}

/* Are documents learnt? */
int
recipe_learns(const struct recipe *r)
{
	return (r->objective != RECIPE_DPO && r->objective != RECIPE_KTO);
}

/* Read a recipe. */
int
recipe_load(const char *path, struct recipe *r, struct fault *f)
{
	struct ynode	*root, *n, *c;
	int		 e;

	recipe_defaults(r);
	if ((e = yaml_load_map(path, &root, f)) != 0)
		return (e);
	for (n = root->child; e == 0 && n != NULL; n = n->next) {
		if (recipe_section(n->key)) {
			if (n->kind != YNODE_MAP)
				e = ynode_fault(path, n, f,
				    "expected keys and values");
			for (c = n->child; e == 0 && c != NULL; c = c->next)
				e = recipe_entry(path, r, n->key, c, f);
		} else
			e = recipe_entry(path, r, NULL, n, f);
	}
	if (e == 0)
		e = recipe_check(path, r, root, f);
	ynode_free(root);
	if (e != 0)
		recipe_clear(r);
	return (e);
}

/* Release it. */
void
recipe_clear(struct recipe *r)
{
	size_t	 i;

	for (i = 0; i < r->sources; i++) {
		free(r->source[i].path);
		free(r->source[i].corpus);
	}
	free(r->source);
	free(r->start);
	free(r->tokenizer);
	memset(r, 0, sizeof *r);
}

/* The schedule: up, then constant, down by a cosine, or constant and down. The
 * steps before a restart have a schedule that ends there (Loshchilov and
 * Hutter, SGDR, 2017). */
double
recipe_factor(const struct recipe *r, int64_t step)
{
	int64_t	 steps = step < r->restart ? r->restart : r->steps;
	double	 part = (double)step / (double)steps, x = 1;

	if (step < r->warmup)
		x = (double)(step + 1) / (double)r->warmup;
	if (r->schedule == RECIPE_COSINE)
		x *= 0.5 + 0.5 * cos(3.14159265358979 * part);
	else if (r->schedule == RECIPE_LINEAR && r->fall > 0 &&
	    (1 - part) / r->fall < x)
		x = (1 - part) / r->fall;
	return (x);
}
