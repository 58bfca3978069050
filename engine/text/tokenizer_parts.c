/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other parts of a tokenizer.json: the kind of each part, and its options.
 * The effect of each option was found by experiments with the reference
 * tokenizer. An option that is not supported is refused by its name.
 */
#include "tokenizer_impl.h"

#include <stdio.h>
#include <string.h>

#include "xmalloc.h"

/* Report that value v of a key is not supported. */
static int
tokenizer_unknown(struct tokenizer_load *l, const char *key, const json_t *v,
    const char *only)
{
	const char	*name = json_string_value(v);

	if (v != NULL && name == NULL)
		return (tokenizer_fault(l, CHAT_EFORMAT, "%s: expected %s",
		    key, only));
	return (tokenizer_fault(l, CHAT_EUNSUPPORTED, "%s: %s%.60s%s is not "
		    "supported, only %s", key, name == NULL ? "" : "\"",
		    name == NULL ? "null" : name, name == NULL ? "" : "\"",
		    only));
}

/* Read an option that is true or false. If it is null or missing, the result is
 * dflt; it is refused if dflt is -1. */
static int
tokenizer_flag(struct tokenizer_load *l, const char *part, const json_t *obj,
    const char *key, int dflt, int *out)
{
	const json_t	*v = json_object_get(obj, key);

	if ((v == NULL || json_is_null(v)) && dflt >= 0) {
		*out = dflt;
		return (0);
	}
	if (!json_is_boolean(v))
		return (tokenizer_fault(l, CHAT_EFORMAT, "%s.%s: expected "
		    "true or false", part, key));
	*out = json_is_true(v);
	return (0);
}

/* Is the type of v this one? */
static int
tokenizer_is(const json_t *v, const char *type)
{
	const char	*name = json_string_value(json_object_get(v, "type"));

	return (name != NULL && strcmp(name, type) == 0);
}

/* Report that a part of this type is not supported. */
static int
tokenizer_no_part(struct tokenizer_load *l, const char *part, const json_t *v,
    const char *only)
{
	char	 key[80];

	snprintf(key, sizeof key, "%s.type", part);
	if (!json_is_object(v))
		return (tokenizer_unknown(l, part, v == NULL || json_is_null(v)
		    ? NULL : v, only));
	return (tokenizer_unknown(l, key, json_object_get(v, "type"), only));
}

/* Apply `one` to the members of the Sequence v, whose key is list. If `only` is
 * set, there must be exactly one member. */
static int
tokenizer_each(struct tokenizer_load *l, const char *part, json_t *v,
    const char *list, int (*read)(struct tokenizer_load *, const char *,
    json_t *), int one)
{
	json_t	*a = json_object_get(v, list), *m;
	size_t	 i;
	int	 r;

	if (!json_is_array(a))
		return (tokenizer_fault(l, CHAT_EFORMAT, "%s.%s: expected a "
		    "list", part, list));
	if (one && json_array_size(a) != 1)
		return (tokenizer_fault(l, CHAT_EUNSUPPORTED, "%s: a Sequence "
		    "of %zu is not supported, only of one", part,
		    json_array_size(a)));
	json_array_foreach(a, i, m) {
		if ((r = read(l, part, m)) != 0)
			return (r);
	}
	return (0);
}

/* Read the normalizer: NFC, none, or a Sequence of these. */
static int
tokenizer_normalizer(struct tokenizer_load *l, const char *part, json_t *v)
{
	if (tokenizer_is(v, "Sequence"))
		return (tokenizer_each(l, part, v, "normalizers",
		    tokenizer_normalizer, 0));
	if (!tokenizer_is(v, "NFC"))
		return (tokenizer_no_part(l, part, v, "NFC"));
	l->t->nfc = 1;
	return (0);
}

/* Read the pre-tokenizer. */
static int
tokenizer_pre(struct tokenizer_load *l, const char *part, json_t *v)
{
	int	 r;

	if (tokenizer_is(v, "Sequence"))
		return (tokenizer_each(l, part, v, "pretokenizers",
		    tokenizer_pre, 1));
	if (!tokenizer_is(v, "ByteLevel"))
		return (tokenizer_no_part(l, part, v, "ByteLevel"));
	if ((r = tokenizer_flag(l, part, v, "add_prefix_space", -1,
	    &l->t->prefix)) != 0)
		return (r);
	return (tokenizer_flag(l, part, v, "use_regex", 1, &l->t->split));
}

/* Read the decoder; its options have no effect on decoding. */
static int
tokenizer_decoder(struct tokenizer_load *l, const char *part, json_t *v)
{
	if (tokenizer_is(v, "Sequence"))
		return (tokenizer_each(l, part, v, "decoders",
		    tokenizer_decoder, 1));
	if (!tokenizer_is(v, "ByteLevel"))
		return (tokenizer_no_part(l, part, v, "ByteLevel"));
	return (0);
}

/* Does a TemplateProcessing add no token? */
static int
tokenizer_template_is_empty(const json_t *v)
{
	const json_t	*a = json_object_get(v, "single"), *s;
	const char	*id;

	s = json_object_get(json_array_get(a, 0), "Sequence");
	id = json_string_value(json_object_get(s, "id"));
	return (json_array_size(a) == 1 && id != NULL && strcmp(id, "A") == 0);
}

/* Read the post-processor, which must add no token. */
static int
tokenizer_post(struct tokenizer_load *l, const char *part, json_t *v)
{
	if (tokenizer_is(v, "Sequence"))
		return (tokenizer_each(l, part, v, "processors",
		    tokenizer_post, 0));
	if (tokenizer_is(v, "ByteLevel"))
		return (0);
	if (!tokenizer_is(v, "TemplateProcessing"))
		return (tokenizer_no_part(l, part, v, "ByteLevel"));
	if (!tokenizer_template_is_empty(v))
		return (tokenizer_fault(l, CHAT_EUNSUPPORTED,
		    "%s: a TemplateProcessing that adds tokens to a text is "
		    "not supported", part));
	return (0);
}

/* Check that a text option of the model is not in use. */
static int
tokenizer_no_text(struct tokenizer_load *l, const json_t *model,
    const char *key)
{
	const json_t	*v = json_object_get(model, key);

	if (v == NULL || json_is_null(v) ||
	    (json_is_string(v) && json_string_length(v) == 0))
		return (0);
	return (tokenizer_fault(l, CHAT_EUNSUPPORTED, "model.%s is not "
	    "supported", key));
}

/* Read the options of the model. */
static int
tokenizer_model(struct tokenizer_load *l, json_t *v)
{
	const json_t	*d = json_object_get(v, "dropout");
	int		 r;

	if (!json_is_object(v))
		return (tokenizer_fault(l, CHAT_EFORMAT, "model: expected an "
		    "object"));
	if (json_object_get(v, "type") != NULL && !tokenizer_is(v, "BPE"))
		return (tokenizer_no_part(l, "model", v, "BPE"));
	if (d != NULL && !json_is_null(d) &&
	    !(json_is_number(d) && json_number_value(d) == 0))
		return (tokenizer_fault(l, CHAT_EUNSUPPORTED,
		    "model.dropout is not supported"));
	if ((r = tokenizer_no_text(l, v, "continuing_subword_prefix")) != 0 ||
	    (r = tokenizer_no_text(l, v, "end_of_word_suffix")) != 0 ||
	    (r = tokenizer_flag(l, "model", v, "fuse_unk", 0,
	    &l->t->alphabet.fuse)) != 0 ||
	    (r = tokenizer_flag(l, "model", v, "byte_fallback", 0,
	    &l->t->fallback)) != 0)
		return (r);
	return (tokenizer_flag(l, "model", v, "ignore_merges", 0,
	    &l->t->whole));
}

/* Check that the root has no unknown key. */
static int
tokenizer_root(struct tokenizer_load *l)
{
	static const char *const known[] = { "version", "truncation",
	    "padding", "added_tokens", "normalizer", "pre_tokenizer",
	    "post_processor", "decoder", "model" };
	const json_t	*version = json_object_get(l->root, "version");
	const char	*key, *s;
	json_t		*v;
	size_t		 i;

	if (!json_is_object(l->root))
		return (tokenizer_fault(l, CHAT_EFORMAT,
		    "expected a JSON object"));
	json_object_foreach(l->root, key, v) {
		for (i = 0; i < nitems(known) && strcmp(key, known[i]) != 0;
		    i++)
			;
		if (i == nitems(known))
			return (tokenizer_fault(l, CHAT_EUNSUPPORTED,
			    "unknown part \"%.60s\"", key));
	}
	s = json_string_value(version);
	if (version != NULL && (s == NULL || strcmp(s, "1.0") != 0))
		return (tokenizer_unknown(l, "version", version, "\"1.0\""));
	return (0);
}

/* Read all parts. */
int
tokenizer_parts(struct tokenizer_load *l)
{
	json_t	*norm = json_object_get(l->root, "normalizer");
	json_t	*post = json_object_get(l->root, "post_processor");
	int	 r;

	if ((r = tokenizer_root(l)) != 0 ||
	    (r = tokenizer_model(l, json_object_get(l->root, "model"))) != 0)
		return (r);
	if (norm != NULL && !json_is_null(norm) &&
	    (r = tokenizer_normalizer(l, "normalizer", norm)) != 0)
		return (r);
	if ((r = tokenizer_pre(l, "pre_tokenizer", json_object_get(l->root,
	    "pre_tokenizer"))) != 0)
		return (r);
	if (post != NULL && !json_is_null(post) &&
	    (r = tokenizer_post(l, "post_processor", post)) != 0)
		return (r);
	return (tokenizer_decoder(l, "decoder", json_object_get(l->root,
	    "decoder")));
}
