/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json files that do not fit their weights, one key at a time, and
 * weights that are NaN or infinity: all are refused, and the message names the
 * tensor.
 */
#include "model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "log.h"
#include "model_files.h"
#include "neox.h"
#include "path.h"
#include "xmalloc.h"

#define ONE		"model.safetensors"
#define LAYER(part)	"gpt_neox.layers.1." part
#define NORM		"gpt_neox.final_layer_norm.bias"

static const struct neox_spec spec = { "fit", 2, 16, 2, 24, 20, 64, 0.5,
	"gelu", 1, 0, 1, 0.1 };
static const struct neox_spec tied = { "tied", 2, 16, 2, 24, 20, 64, 0.5,
	"gelu", 1, 1, 0, 0.1 };	/* and no biases of attention */

/* There is no message about skipped tensors. */
static int
setup(void **state)
{
	(void)state;
	log_init("t_model_fit", LOG_LEVEL_ERROR);
	return (0);
}

/* Set one key of a folder's config.json. */
static void
set_key(const char *folder, const char *key, const char *value)
{
	char	*path = path_join(folder, "config.json");
	json_t	*obj = json_load_file(path, 0, NULL);

	assert_non_null(obj);
	json_object_set_new(obj, key, json_loads(value, JSON_DECODE_ANY,
	    NULL));
	model_files_put_json(folder, "config.json", obj);
	free(path);
}

/* A changed key that contradicts the weights, and the tensor that is named. */
static const struct {
	const struct neox_spec	*spec;
	const char		*key, *value, *words;
} lies[] = {
	{ &spec, "num_hidden_layers", "3", "gpt_neox.layers.2.input_layernorm"
	    ".weight: expected a tensor of that name" },
	{ &spec, "num_hidden_layers", "1024", "gpt_neox.layers.2." },
	{ &spec, "num_hidden_layers", "1", "gpt_neox.layers.1.attention.dense"
	    ".bias: expected a tensor of 1 layers" },
	{ &spec, "attention_bias", "false", "gpt_neox.layers.0.attention."
	    "dense.bias: expected none, since attention_bias is false" },
	{ &spec, "hidden_size", "8", "gpt_neox.layers.0.input_layernorm"
	    ".weight: expected shape [8] from config.json, found [16]" },
	{ &spec, "hidden_size", "32", "expected shape [32] from config.json, "
	    "found [16]" },
	{ &spec, "hidden_size", "65536", "expected shape [65536]" },
	{ &spec, "intermediate_size", "26", "gpt_neox.layers.0.mlp."
	    "dense_h_to_4h.weight: expected shape [26, 16]" },
	{ &spec, "intermediate_size", "22", "expected shape [22, 16] from "
	    "config.json, found [24, 16]" },
	{ &spec, "intermediate_size", "131072", "dense_h_to_4h.weight: "
	    "expected shape [131072, 16]" },
	{ &spec, "vocab_size", "21", "gpt_neox.embed_in.weight: expected "
	    "shape [21, 16] from config.json, found [20, 16]" },
	{ &spec, "vocab_size", "19", "gpt_neox.embed_in.weight: expected "
	    "shape [19, 16]" },
	{ &spec, "vocab_size", "4194304", "expected shape [4194304, 16]" },
	{ &tied, "tie_word_embeddings", "false", "embed_out.weight: expected "
	    "a tensor of that name" },
	{ &tied, "attention_bias", "true", "gpt_neox.layers.0.attention."
	    "query_key_value.bias: expected a tensor of that name" },
	/* values that no tensor can have */
	{ &spec, "num_attention_heads", "3", "num_attention_heads" },
	{ &spec, "num_hidden_layers", "-2", "num_hidden_layers" },
	{ &spec, "hidden_size", "-16", "hidden_size" },
	{ &spec, "intermediate_size", "-24", "intermediate_size" },
	{ &spec, "intermediate_size", "131074", "intermediate_size: expected 2 "
	    "to 131072" },
	{ &spec, "vocab_size", "-20", "vocab_size" },
	{ &spec, "num_hidden_layers", "1000000000", "num_hidden_layers" },
	{ &spec, "num_attention_heads", "1000000000", "num_attention_heads" },
	{ &spec, "hidden_size", "1000000000", "hidden_size" },
	{ &spec, "intermediate_size", "1000000000", "intermediate_size" },
	{ &spec, "vocab_size", "1000000000", "vocab_size" },
	{ &spec, "max_position_embeddings", "1000000000",
	    "max_position_embeddings" }
};

/* Each is found before any weight is read. */
static void
a_config_that_the_weights_do_not_fit_names_the_tensor(void **state)
{
	struct model	*m;
	struct fault	 f;
	char		*folder;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(lies); i++) {
		folder = neox_folder();
		neox_write(folder, lies[i].spec, 9);
		if (model_open(folder, &m, &f) != 0)
			fail_msg("%s", f.message);
		model_free(m);
		set_key(folder, lies[i].key, lies[i].value);
		if (model_open(folder, &m, &f) == 0)
			fail_msg("%s %s: taken", lies[i].key, lies[i].value);
		assert_string_equal(f.code, "bad_model");
		if (strstr(f.message, folder) == NULL ||
		    strstr(f.message, lies[i].words) == NULL)
			fail_msg("%s %s: expected \"%s\" in: %s", lies[i].key,
			    lies[i].value, lies[i].words, f.message);
		neox_remove(folder);
	}
}

/* fp32 numbers at the ends and in the middle of tensors. */
static const struct {
	const char	*name;
	size_t		 at;		/* index of the element */
	float		 x;
	const char	*precision, *words;
} numbers[] = {
	{ LAYER("mlp.dense_h_to_4h.weight"), 0, NAN, "fp32",
	    "found nan in row 0, column 0" },
	{ LAYER("mlp.dense_h_to_4h.weight"), 24 * 16 - 1, INFINITY, "bf16",
	    "found inf in row 23, column 15" },
	{ LAYER("mlp.dense_4h_to_h.weight"), 24 * 3 + 5, -INFINITY, "fp32",
	    "found -inf in row 3, column 5" },
	{ LAYER("attention.query_key_value.weight"), 16 * 47, 3.4e38f, "bf16",
	    "in row 47, column 0, too large for bf16" },
	{ LAYER("attention.query_key_value.bias"), 47, NAN, "bf16",
	    "found nan in row 47, column 0" },
	{ LAYER("post_attention_layernorm.weight"), 15, INFINITY, "fp32",
	    "found inf in row 15, column 0" },
	{ "gpt_neox.embed_in.weight", 19 * 16 + 1, NAN, "fp32",
	    "found nan in row 19, column 1" },
	{ "gpt_neox.embed_in.weight", 2, -3.4e38f, "bf16",
	    "in row 0, column 2, too large for bf16" },
	{ LAYER("mlp.dense_4h_to_h.weight"), 24 * 3 + 5, -524033, "int4",
	    "in row 3, column 5, too large for int4" },
	{ LAYER("mlp.dense_4h_to_h.weight"), 0, NAN, "int4",
	    "found nan in row 0, column 0" },
	{ "embed_out.weight", 7 * 16 + 7, NAN, "bf16",
	    "found nan in row 7, column 7" },
	{ NORM, 1, NAN, "fp32", "found nan in row 1, column 0" }
};

/* Each is found while it is read, and the message has its place. */
static void
nan_and_infinity_are_reported_with_place(void **state)
{
	char	*folder;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(numbers); i++) {
		folder = neox_folder();
		neox_write(folder, &spec, 9);
		model_files_poke(folder, numbers[i].name, 4 * numbers[i].at,
		    &numbers[i].x, 4);
		model_files_refused(folder, numbers[i].precision,
		    numbers[i].name, numbers[i].words);
		neox_remove(folder);
	}
}

/* NaN and infinity in fp16 and bf16. */
static void
smaller_types_are_checked_too(void **state)
{
	static const struct {
		const char	*dtype;
		uint16_t	 bits;
		const char	*words;
	} cases[] = {
		{ "F16", 0x7e00, "found nan in row 9" },
		{ "F16", 0x7c00, "found inf in row 9" },
		{ "F16", 0xfc00, "found -inf in row 9" },
		{ "BF16", 0x7fc0, "found nan in row 9" },
		{ "BF16", 0x7f80, "found inf in row 9" },
		{ "BF16", 0xff80, "found -inf in row 9" }
	};
	struct change	 c = { .drop = NORM, .extra = NORM,
			    .extra_shape = 16 };
	char		*whole = neox_folder(), *folder;
	size_t		 i;

	(void)state;
	neox_write(whole, &spec, 9);
	folder = model_files_folder(whole);
	for (i = 0; i < nitems(cases); i++) {
		c.extra_dtype = cases[i].dtype;
		model_files_put_weights(whole, folder, ONE, &c, NULL);
		model_files_poke(folder, NORM, 2 * 9, &cases[i].bits, 2);
		model_files_refused(folder, "fp32", NORM, cases[i].words);
	}
	neox_remove(folder);
	neox_remove(whole);
}

/* An output matrix in a model with tied embeddings: a warning if its bytes are
 * not those of the embedding. */
static void
a_separate_head_causes_a_warning(void **state)
{
	struct change	 c = { .extra = "embed_out.weight",
			    .extra_dtype = "F16", .extra_shape = 16 };
	char		*whole = neox_folder(), *folder, *said;

	(void)state;
	neox_write(whole, &tied, 9);
	folder = model_files_folder(whole);
	model_files_put_weights(whole, folder, ONE, &(struct change){ 0 },
	    NULL);
	said = model_files_stderr(folder);
	assert_string_equal(said, "");
	free(said);
	model_files_put_weights(whole, folder, ONE, &c, NULL);
	said = model_files_stderr(folder);
	if (strstr(said, "embed_out.weight left out, since "
	    "tie_word_embeddings is true") == NULL)
		fail_msg("said: %s", said);
	free(said);
	neox_remove(folder);
	neox_remove(whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_config_that_the_weights_do_not_fit_names_the_tensor),
		cmocka_unit_test(nan_and_infinity_are_reported_with_place),
		cmocka_unit_test(smaller_types_are_checked_too),
		cmocka_unit_test(a_separate_head_causes_a_warning)
	};

	return (cmocka_run_group_tests(tests, setup, NULL));
}
