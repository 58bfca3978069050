/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json: a table maps keys to numbers, then the relations between the
 * numbers are checked. Unknown keys are ignored, since the file has many
 * training settings. A key that asks for a computation that is not supported is
 * refused.
 */
#include "hfconfig.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

enum config_type { CONFIG_INT, CONFIG_REAL, CONFIG_BOOL };

struct hfconfig_key {
	const char		*name;
	enum config_type	 type;
	double			 min, max;	/* inclusive */
	size_t			 offset;	/* in struct config_raw */
};

#define RAW(member) offsetof(struct config_raw, member)

#define EOS	"eos_token_id"

/* The first one may be null or a list in config.json: hfconfig_eos. */
static const struct hfconfig_key hfconfig_keys[] = {
	{ EOS, CONFIG_INT, 0, CONFIG_VOCAB_MAX, RAW(eos) },
	{ "vocab_size", CONFIG_INT, 1, CONFIG_VOCAB_MAX, RAW(vocab) },
	{ "hidden_size", CONFIG_INT, 2, CONFIG_CHANNELS_MAX, RAW(channels) },
	{ "num_hidden_layers", CONFIG_INT, 1, CONFIG_LAYERS_MAX, RAW(layers) },
	{ "num_attention_heads", CONFIG_INT, 1, CONFIG_HEADS_MAX, RAW(heads) },
	{ "intermediate_size", CONFIG_INT, 2, CONFIG_INNER_MAX, RAW(inner) },
	{ "max_position_embeddings", CONFIG_INT, 1, CONFIG_CONTEXT_MAX,
	    RAW(context) },
	{ "layer_norm_eps", CONFIG_REAL, 1e-12, 1, RAW(norm_eps) },
	{ "rotary_pct", CONFIG_REAL, 1e-6, 1, RAW(pct[0]) },
	{ "rotary_emb_base", CONFIG_REAL, 1, 1e12, RAW(base[0]) },
	{ "tie_word_embeddings", CONFIG_BOOL, 0, 1, RAW(tied) },
	{ "use_parallel_residual", CONFIG_BOOL, 0, 1, RAW(parallel) },
	{ "attention_bias", CONFIG_BOOL, 0, 1, RAW(attn_bias) }
};

/* The newer spelling, inside "rope_parameters". */
static const struct hfconfig_key hfconfig_rope_keys[] = {
	{ "partial_rotary_factor", CONFIG_REAL, 1e-6, 1, RAW(pct[1]) },
	{ "rope_theta", CONFIG_REAL, 1, 1e12, RAW(base[1]) }
};

static const struct {
	const char	*name;
	enum gelu	 gelu;
} hfconfig_acts[] = {
	{ "gelu", GELU_ERF },
	{ "gelu_fast", GELU_TANH },
	{ "gelu_new", GELU_TANH },
	{ "gelu_pytorch_tanh", GELU_TANH },
	/* the library's other names for the same functions */
	{ "gelu_python", GELU_ERF },
	{ "gelu_accurate", GELU_TANH },
	{ "gelu_python_tanh", GELU_TANH }
};

static const struct config_names hfconfig_json_names = { "hidden_size",
	"num_attention_heads", "intermediate_size", EOS, "rotary_pct" };

static int	hfconfig_key(const char *, const char *, json_t *,
		    const struct hfconfig_key *, struct config_raw *,
		    struct fault *);
static int	hfconfig_value(const char *, const char *, json_t *,
		    const struct hfconfig_key *, struct config_raw *,
		    struct fault *);
static int	hfconfig_eos(const char *, json_t *, struct config_raw *,
		    struct fault *);
static int	hfconfig_store(struct config_raw *, const struct hfconfig_key *,
		    double, const char *, const char *, const char *,
		    struct fault *);
static int	hfconfig_words(const char *, json_t *, struct config_raw *,
		    struct fault *);
static int	hfconfig_rope(const char *, json_t *, struct config_raw *,
		    struct fault *);

/* Defaults of GPTNeoXConfig. */
void
hfconfig_defaults(struct config_raw *out)
{
	*out = (struct config_raw){ .vocab = 50432, .channels = 6144,
		.layers = 44, .heads = 64, .inner = 24576, .context = 2048,
		.eos = 2, .rotary = -1, .parallel = 1, .attn_bias = 1,
		.gelu = GELU_ERF, .norm_eps = 1e-5 };
}

/* Read a config.json. */
int
hfconfig_parse(const char *path, const char *text, size_t n,
    struct model_config *out, struct fault *f)
{
	struct config_raw	 raw;
	struct fault		 why;
	json_t			*obj;
	size_t			 i;
	int			 r;

	if (json_line_parse_max(text, n, CONFIG_VALUES_MAX, &obj, &why) != 0)
		return (fault_set(f, "bad_model", NULL, "%s: %s", path,
		    why.message));
	hfconfig_defaults(&raw);
	for (i = 1, r = 0; i < nitems(hfconfig_keys) && r == 0; i++)
		r = hfconfig_key(path, "", obj, &hfconfig_keys[i], &raw, f);
	if (r == 0 && (r = hfconfig_eos(path, obj, &raw, f)) == 0 &&
	    (r = hfconfig_words(path, obj, &raw, f)) == 0 &&
	    (r = hfconfig_rope(path, obj, &raw, f)) == 0)
		r = hfconfig_finish(&raw, path, &hfconfig_json_names, out, f);
	json_decref(obj);
	return (r);
}

/* Read one key into raw if it exists. A null is refused like any other wrong
 * type, because versions of the library interpret it differently. */
static int
hfconfig_key(const char *path, const char *prefix, json_t *obj,
    const struct hfconfig_key *k, struct config_raw *raw, struct fault *f)
{
	json_t	*v = json_object_get(obj, k->name);

	if (v == NULL)
		return (0);
	return (hfconfig_value(path, prefix, v, k, raw, f));
}

/* Store one value in raw. */
static int
hfconfig_value(const char *path, const char *prefix, json_t *v,
    const struct hfconfig_key *k, struct config_raw *raw, struct fault *f)
{

	if (k->type == CONFIG_BOOL) {
		if (!json_is_boolean(v))
			return (fault_set(f, "bad_model", k->name,
			    "%s: %s%s: expected true or false", path, prefix,
			    k->name));
		return (hfconfig_store(raw, k, json_is_true(v), path, prefix,
		    k->name, f));
	}
	if (k->type == CONFIG_INT ? !json_is_integer(v) : !json_is_number(v))
		return (fault_set(f, "bad_model", k->name,
		    "%s: %s%s: expected %s", path, prefix, k->name,
		    k->type == CONFIG_INT ? "an integer" : "a number"));
	return (hfconfig_store(raw, k, json_number_value(v), path, prefix,
	    k->name, f));
}

/* Check a value against its limits and store it. */
static int
hfconfig_store(struct config_raw *raw, const struct hfconfig_key *k, double x,
    const char *path, const char *prefix, const char *name, struct fault *f)
{
	char	*at = (char *)raw + k->offset;

	if (!(x >= k->min && x <= k->max))
		return (fault_set(f, "bad_model", name,
		    "%s: %s%s: expected %.10g to %.10g, found %.10g", path,
		    prefix, name, k->min, k->max, x));
	if (k->type == CONFIG_REAL)
		*(double *)at = x;
	else
		*(int *)at = (int)x;
	return (0);
}

/* Read the id that ends a text: null for none; a list must have one id. */
static int
hfconfig_eos(const char *path, json_t *obj, struct config_raw *raw,
    struct fault *f)
{
	json_t	*v = json_object_get(obj, EOS);

	if (v == NULL)
		return (0);
	if (json_is_null(v)) {
		raw->eos = -1;
		return (0);
	}
	if (json_is_array(v)) {
		if (json_array_size(v) != 1)
			return (fault_set(f, "bad_model", EOS,
			    "%s: %s: expected one id, found a list of %zu",
			    path, EOS, json_array_size(v)));
		v = json_array_get(v, 0);
	}
	return (hfconfig_value(path, "", v, &hfconfig_keys[0], raw, f));
}

/* Set one key of a file that is not config.json. */
int
hfconfig_put(struct config_raw *raw, const char *key, double x,
    const char *path, const char *name, struct fault *f)
{
	const struct hfconfig_key	*k;

	for (k = hfconfig_keys; strcmp(k->name, key) != 0; k++)
		;
	return (hfconfig_store(raw, k, x, path, "", name, f));
}

/* Set the activation. */
int
hfconfig_put_act(struct config_raw *raw, const char *word, const char *path,
    const char *name, struct fault *f)
{
	size_t	 i;

	for (i = 0; i < nitems(hfconfig_acts) && word != NULL; i++)
		if (strcmp(word, hfconfig_acts[i].name) == 0) {
			raw->gelu = hfconfig_acts[i].gelu;
			return (0);
		}
	return (fault_set(f, "bad_model", name,
	    "%s: %s: expected gelu, gelu_fast, gelu_new or "
	    "gelu_pytorch_tanh, found %.40s", path, name,
	    word != NULL ? word : "no string"));
}

/* Read the keys whose values are words. */
static int
hfconfig_words(const char *path, json_t *obj, struct config_raw *raw,
    struct fault *f)
{
	json_t		*v = json_object_get(obj, "model_type");
	const char	*word = json_string_value(v);

	if (word == NULL || strcmp(word, "gpt_neox") != 0)
		return (fault_set(f, "bad_model", "model_type",
		    "%s: model_type: expected \"gpt_neox\", found %s%.40s%s",
		    path, word != NULL ? "\"" : "",
		    word != NULL ? word : v == NULL ? "nothing" :
		    "no string", word != NULL ? "\"" : ""));
	v = json_object_get(obj, "hidden_act");
	if (v == NULL)
		return (0);
	return (hfconfig_put_act(raw, json_string_value(v), path, "hidden_act",
	    f));
}

/* Read an object that describes the rotation; only the plain rotation is
 * supported. */
static int
hfconfig_rotation(const char *path, const char *key, json_t *rope,
    struct config_raw *raw, struct fault *f)
{
	static const char *const names[] = { "rope_type", "type" };
	char		 prefix[32];
	const char	*type;
	json_t		*v;
	size_t		 i;
	int		 r;

	if (!json_is_object(rope))
		return (fault_set(f, "bad_model", key,
		    "%s: %s: expected an object", path, key));
	for (i = 0; i < nitems(names); i++) {
		if ((v = json_object_get(rope, names[i])) == NULL)
			continue;
		type = json_string_value(v);
		if (type == NULL || strcmp(type, "default") != 0)
			return (fault_set(f, "bad_model", names[i],
			    "%s: %s.%s: expected \"default\", since only "
			    "plain rotary positions are known, found %.40s",
			    path, key, names[i],
			    type != NULL ? type : "no string"));
	}
	snprintf(prefix, sizeof prefix, "%s.", key);
	for (i = 0; i < nitems(hfconfig_rope_keys); i++)
		if ((r = hfconfig_key(path, prefix, rope,
		    &hfconfig_rope_keys[i], raw, f)) != 0)
			return (r);
	return (0);
}

/* Read "rope_parameters" of newer files, or "rope_scaling" of older files,
 * which can exist even if the rotation is not scaled. */
static int
hfconfig_rope(const char *path, json_t *obj, struct config_raw *raw,
    struct fault *f)
{
	static const char *const names[] = { "rope_parameters",
	    "rope_scaling" };
	json_t	*rope;
	size_t	 i;
	int	 r, given = 0;

	for (i = 0; i < nitems(names); i++) {
		rope = json_object_get(obj, names[i]);
		if (rope == NULL || json_is_null(rope) ||
		    (json_is_object(rope) && json_object_size(rope) == 0))
			continue;
		if (given++)
			return (fault_set(f, "bad_model", names[i],
			    "%s: %s: expected null beside rope_parameters",
			    path, names[i]));
		if ((r = hfconfig_rotation(path, names[i], rope, raw, f)) != 0)
			return (r);
	}
	return (0);
}

/* Return the value of one of two spellings, or the default. If both exist, they
 * must be equal. */
static int
hfconfig_pick(const char *path, const char *key, const double given[2],
    double dflt, double *out, struct fault *f)
{
	if (given[0] != 0 && given[1] != 0 && given[0] != given[1])
		return (fault_set(f, "bad_model", key,
		    "%s: %s: %.10g here, but %.10g in rope_parameters", path,
		    key, given[0], given[1]));
	*out = given[1] != 0 ? given[1] : given[0] != 0 ? given[0] : dflt;
	return (0);
}

/* Compute the number of rotated lanes of a head, in *out. */
static int
hfconfig_rotary(const struct config_raw *raw, const char *path,
    const char *name, int lanes, int *out, struct fault *f)
{
	double	 pct = 0;
	int	 r;

	if ((r = hfconfig_pick(path, "rotary_pct", raw->pct, 0.25, &pct,
	    f)) != 0)
		return (r);
	*out = raw->rotary >= 0 ? raw->rotary : (int)(lanes * pct);
	if (*out < 2 || *out > lanes || *out % 2 != 0)
		return (fault_set(f, "bad_model", name,
		    "%s: %s: expected an even number of rotary lanes, "
		    "found %d of %d", path, name, *out, lanes));
	return (0);
}

/* Check the relations between the values and fill out. */
int
hfconfig_finish(const struct config_raw *raw, const char *path,
    const struct config_names *names, struct model_config *out,
    struct fault *f)
{
	double	 base = 0;
	int	 rotary = 0, r;

	if ((r = hfconfig_pick(path, "rotary_emb_base", raw->base, 10000,
	    &base, f)) != 0)
		return (r);
	if (raw->channels % raw->heads != 0 ||
	    raw->channels / raw->heads % 2 != 0)
		return (fault_set(f, "bad_model", names->heads,
		    "%s: %s: expected heads of an even size, found %s %d over "
		    "%d heads", path, names->heads, names->channels,
		    raw->channels, raw->heads));
	if (raw->inner % 2 != 0)
		return (fault_set(f, "bad_model", names->inner,
		    "%s: %s: expected an even number, found %d", path,
		    names->inner, raw->inner));
	if (raw->eos >= raw->vocab)
		return (fault_set(f, "bad_model", names->eos,
		    "%s: %s: expected below the vocabulary's size %d, found "
		    "%d", path, names->eos, raw->vocab, raw->eos));
	if ((r = hfconfig_rotary(raw, path, names->rotary, raw->channels /
	    raw->heads, &rotary, f)) != 0)
		return (r);
	*out = (struct model_config){ .layers = raw->layers,
		.channels = raw->channels, .heads = raw->heads,
		.lanes = raw->channels / raw->heads, .inner = raw->inner,
		.vocab = raw->vocab, .context = raw->context,
		.rotary = rotary, .rotary_base = (float)base,
		.norm_eps = (float)raw->norm_eps, .gelu = raw->gelu,
		.parallel = raw->parallel, .tied = raw->tied,
		.attn_bias = raw->attn_bias, .eos = raw->eos };
	return (0);
}

/* The share of rotated lanes from which hfconfig_parse computes the same number
 * of lanes. */
static double
hfconfig_pct(const struct model_config *c)
{
	double	 pct = (double)c->rotary / c->lanes;

	return ((int)(c->lanes * pct) == c->rotary ? pct :
	    (c->rotary + 0.5) / c->lanes);
}

/* Write a config.json. */
char *
hfconfig_write(const struct model_config *c)
{
	char	 eos[16] = "null";

	if (c->eos >= 0)
		snprintf(eos, sizeof eos, "%d", c->eos);
	return (xasprintf("{\n"
	    "  \"model_type\": \"gpt_neox\",\n"
	    "  \"vocab_size\": %d,\n"
	    "  \"hidden_size\": %d,\n"
	    "  \"num_hidden_layers\": %d,\n"
	    "  \"num_attention_heads\": %d,\n"
	    "  \"intermediate_size\": %d,\n"
	    "  \"hidden_act\": \"%s\",\n"
	    "  \"max_position_embeddings\": %d,\n"
	    "  \"rotary_pct\": %.17g,\n"
	    "  \"rotary_emb_base\": %.17g,\n"
	    "  \"layer_norm_eps\": %.17g,\n"
	    "  \"use_parallel_residual\": %s,\n"
	    "  \"attention_bias\": %s,\n"
	    "  \"tie_word_embeddings\": %s,\n"
	    "  \"eos_token_id\": %s\n"
	    "}\n",
	    c->vocab, c->channels, c->layers, c->heads, c->inner,
	    c->gelu == GELU_ERF ? "gelu" : "gelu_fast", c->context,
	    hfconfig_pct(c), (double)c->rotary_base, (double)c->norm_eps,
	    c->parallel ? "true" : "false", c->attn_bias ? "true" : "false",
	    c->tied ? "true" : "false", eos));
}
