/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json: both spellings, the defaults, and one change for each way in
 * which a value can be wrong.
 */
#include "hfconfig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

#define TYPE "\"model_type\":\"gpt_neox\""

static const char	 old_form[] = "{\n " TYPE ",\n"
	" \"architectures\": [\"GPTNeoXForCausalLM\"],\n"
	" \"vocab_size\": 320, \"hidden_size\": 64,\n"
	" \"num_hidden_layers\": 2, \"num_attention_heads\": 4,\n"
	" \"intermediate_size\": 160, \"hidden_act\": \"gelu_fast\",\n"
	" \"rotary_pct\": 0.5, \"rotary_emb_base\": 5000,\n"
	" \"max_position_embeddings\": 96, \"layer_norm_eps\": 1e-06,\n"
	" \"eos_token_id\": 7, \"tie_word_embeddings\": true,\n"
	" \"use_parallel_residual\": false, \"torch_dtype\": \"float16\"\n}";

static const char	 new_form[] = "{" TYPE ","
	"\"vocab_size\":320,\"hidden_size\":64,\"num_hidden_layers\":2,"
	"\"num_attention_heads\":4,\"intermediate_size\":160,"
	"\"hidden_act\":\"gelu_new\",\"rope_parameters\":{"
	"\"rope_theta\":5000.0,\"partial_rotary_factor\":0.5,"
	"\"rope_type\":\"default\"},"
	"\"max_position_embeddings\":96,\"layer_norm_eps\":1e-06,"
	"\"eos_token_id\":7,\"tie_word_embeddings\":true,"
	"\"use_parallel_residual\":false,\"dtype\":\"float16\"}";

/* Check all values that both forms have. */
static void
check_both(const char *text)
{
	struct model_config	 c;
	struct fault		 f;

	if (hfconfig_parse("config.json", text, strlen(text), &c, &f) != 0)
		fail_msg("%s", f.message);
	assert_int_equal(c.vocab, 320);
	assert_int_equal(c.channels, 64);
	assert_int_equal(c.layers, 2);
	assert_int_equal(c.heads, 4);
	assert_int_equal(c.lanes, 16);
	assert_int_equal(c.inner, 160);
	assert_int_equal(c.context, 96);
	assert_int_equal(c.rotary, 8);
	assert_true(c.rotary_base == 5000.0f);
	assert_true(c.norm_eps == 1e-6f);
	assert_int_equal(c.gelu, GELU_TANH);
	assert_int_equal(c.eos, 7);
	assert_int_equal(c.tied, 1);
	assert_int_equal(c.parallel, 0);
	assert_int_equal(c.attn_bias, 1);
}

/* The older and the newer spelling give the same configuration. */
static void
both_spellings_are_read(void **state)
{
	(void)state;
	check_both(old_form);
	check_both(new_form);
}

/* The library's defaults for missing keys: the shape of the 20B model. */
static void
missing_keys_take_the_documented_defaults(void **state)
{
	struct model_config	 c;
	struct fault		 f;

	(void)state;
	assert_int_equal(hfconfig_parse("c", "{" TYPE "}",
	    strlen("{" TYPE "}"), &c, &f), 0);
	assert_int_equal(c.vocab, 50432);
	assert_int_equal(c.channels, 6144);
	assert_int_equal(c.layers, 44);
	assert_int_equal(c.heads, 64);
	assert_int_equal(c.lanes, 96);
	assert_int_equal(c.inner, 24576);
	assert_int_equal(c.context, 2048);
	assert_int_equal(c.rotary, 24);
	assert_true(c.rotary_base == 10000.0f);
	assert_true(c.norm_eps == 1e-5f);
	assert_int_equal(c.gelu, GELU_ERF);
	assert_int_equal(c.eos, 2);
	assert_int_equal(c.tied, 0);
	assert_int_equal(c.parallel, 1);
	assert_int_equal(c.attn_bias, 1);
}

/* One changed key of the older form: its JSON, and the key that is named. */
static const struct {
	const char	*key, *value;
} mutations[] = {
	{ "model_type", "\"llama\"" },
	{ "model_type", "7" },
	{ "model_type", "null" },
	{ "vocab_size", "0" },
	{ "vocab_size", "-1" },
	{ "vocab_size", "1000000000" },
	{ "vocab_size", "1e3" },
	{ "vocab_size", "\"320\"" },
	{ "vocab_size", "null" },
	{ "hidden_size", "0" },
	{ "hidden_size", "-64" },
	{ "hidden_size", "9223372036854775807" },
	{ "hidden_size", "[64]" },
	{ "num_hidden_layers", "0" },
	{ "num_hidden_layers", "-2" },
	{ "num_hidden_layers", "1000000000" },
	{ "num_hidden_layers", "true" },
	{ "num_attention_heads", "0" },
	{ "num_attention_heads", "-4" },
	{ "num_attention_heads", "5" },
	{ "num_attention_heads", "64" },
	{ "num_attention_heads", "1000000000" },
	{ "num_attention_heads", "4.5" },
	{ "intermediate_size", "0" },
	{ "intermediate_size", "161" },
	{ "intermediate_size", "1000000000" },
	{ "max_position_embeddings", "0" },
	{ "max_position_embeddings", "-96" },
	{ "max_position_embeddings", "1000000000" },
	{ "eos_token_id", "320" },
	{ "eos_token_id", "-1" },
	{ "eos_token_id", "\"</s>\"" },
	{ "eos_token_id", "[]" },
	{ "eos_token_id", "[0, 2]" },
	{ "eos_token_id", "[320]" },
	{ "eos_token_id", "[null]" },
	{ "hidden_act", "\"relu\"" },
	{ "hidden_act", "\"gelu_10\"" },
	{ "hidden_act", "\"quick_gelu\"" },
	{ "hidden_act", "null" },
	{ "hidden_act", "1" },
	{ "layer_norm_eps", "0" },
	{ "layer_norm_eps", "-1e-5" },
	{ "layer_norm_eps", "2" },
	{ "layer_norm_eps", "\"1e-5\"" },
	{ "layer_norm_eps", "null" },
	{ "rotary_pct", "-0.5" },
	{ "rotary_pct", "1.01" },
	{ "rotary_pct", "0.05" },
	{ "rotary_pct", "0.2" },
	{ "rotary_pct", "\"0.5\"" },
	{ "rotary_pct", "null" },
	{ "rotary_emb_base", "0" },
	{ "rotary_emb_base", "-10000" },
	{ "rotary_emb_base", "{}" },
	{ "tie_word_embeddings", "1" },
	{ "tie_word_embeddings", "null" },
	{ "use_parallel_residual", "\"true\"" },
	{ "use_parallel_residual", "null" },
	{ "attention_bias", "0" },
	{ "attention_bias", "null" },
	{ "rope_scaling", "2.0" },
	{ "rope_scaling", "\"default\"" },
	{ "rope_parameters", "[]" },
	{ "rope_type", "\"yarn\"" },
	{ "rope_type", "null" },
	{ "partial_rotary_factor", "1.5" },
	{ "partial_rotary_factor", "true" },
	{ "rope_theta", "0" },
	{ "rope_theta", "\"x\"" }
};

/* Write the older form with one changed key. Keys of the newer spelling go into
 * rope_parameters. */
static char *
mutate(const char *key, const char *value)
{
	json_t	*obj = json_loads(old_form, 0, NULL), *rope = NULL;
	json_t	*v = json_loads(value, JSON_DECODE_ANY, NULL);
	char	*text;

	assert_non_null(obj);
	assert_non_null(v);
	if (strcmp(key, "rope_type") == 0 || strcmp(key, "rope_theta") == 0 ||
	    strcmp(key, "partial_rotary_factor") == 0) {
		rope = json_object();
		json_object_set_new(rope, key, v);
		json_object_set_new(obj, "rope_parameters", rope);
	} else
		json_object_set_new(obj, key, v);
	text = json_dumps(obj, 0);
	json_decref(obj);
	return (text);
}

/* Each is refused, and the message names file and key. */
static void
every_wrong_value_is_refused_by_name(void **state)
{
	struct model_config	 c;
	struct fault		 f;
	char			*text;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(mutations); i++) {
		text = mutate(mutations[i].key, mutations[i].value);
		if (hfconfig_parse("the/config.json", text, strlen(text), &c,
		    &f) == 0)
			fail_msg("%s: %s was taken", mutations[i].key,
			    mutations[i].value);
		assert_string_equal(f.code, "bad_model");
		assert_string_equal(f.field, mutations[i].key);
		if (strncmp(f.message, "the/config.json: ", 17) != 0 ||
		    strstr(f.message, mutations[i].key) == NULL)
			fail_msg("%s: %s", mutations[i].key, f.message);
		free(text);
	}
}

/* If a file has both spellings, they must agree. */
static void
spellings_that_disagree_are_refused(void **state)
{
	struct model_config	 c;
	struct fault		 f;
	char			*text;

	(void)state;
	text = mutate("partial_rotary_factor", "1.0");
	assert_int_equal(hfconfig_parse("c", text, strlen(text), &c, &f),
	    CHAT_EFORMAT);
	assert_string_equal(f.field, "rotary_pct");
	free(text);
	text = mutate("rope_theta", "5000");
	assert_int_equal(hfconfig_parse("c", text, strlen(text), &c, &f), 0);
	free(text);
}

/* Objects that may describe the rotation, and the key that is refused, if
 * any. */
static const struct {
	const char	*key, *value, *fault;
} rotations[] = {
	{ "rope_scaling", "null", NULL },
	{ "rope_scaling", "{}", NULL },
	{ "rope_scaling", "{\"rope_type\":\"default\"}", NULL },
	{ "rope_scaling", "{\"type\":\"default\",\"rope_theta\":5000}", NULL },
	{ "rope_scaling", "{\"type\":\"linear\",\"factor\":2.0}", "type" },
	{ "rope_scaling", "{\"rope_type\":\"dynamic\",\"factor\":2.0}",
	    "rope_type" },
	{ "rope_scaling", "{\"rope_theta\":7}", "rotary_emb_base" },
	{ "rope_parameters", "null", NULL },
	{ "rope_parameters", "{}", NULL },
	{ "rope_parameters", "{\"rope_theta\":5000}", NULL },
	{ "rope_parameters", "{\"type\":\"default\"}", NULL },
	{ "rope_parameters", "{\"type\":\"linear\",\"factor\":2.0}", "type" },
	{ "rope_parameters", "{\"type\":\"yarn\",\"rope_type\":\"default\"}",
	    "type" }
};

/* A scaled rotation is refused under every name that the library reads; a plain
 * one is accepted under each. */
static void
only_plain_rotation_is_taken(void **state)
{
	struct model_config	 c;
	struct fault		 f;
	char			*text;
	size_t			 i;
	int			 r;

	(void)state;
	for (i = 0; i < nitems(rotations); i++) {
		text = mutate(rotations[i].key, rotations[i].value);
		r = hfconfig_parse("c", text, strlen(text), &c, &f);
		free(text);
		if ((r == 0) != (rotations[i].fault == NULL))
			fail_msg("%s: %s: %s", rotations[i].key,
			    rotations[i].value, r == 0 ? "taken" : f.message);
		if (r != 0)
			assert_string_equal(f.field, rotations[i].fault);
		else
			assert_true(c.rotary == 8 && c.rotary_base == 5000.0f);
	}
}

/* If there are two objects, it depends on the library's version which one
 * counts. */
static void
two_rotations_are_refused(void **state)
{
	static const char text[] = "{" TYPE ",\"rope_parameters\":"
	    "{\"rope_theta\":500},\"rope_scaling\":{\"type\":\"default\"}}";
	struct model_config	 c;
	struct fault		 f;

	(void)state;
	assert_int_equal(hfconfig_parse("c", text, strlen(text), &c, &f),
	    CHAT_EFORMAT);
	assert_string_equal(f.field, "rope_scaling");
}

/* The configuration with one key changed, which must be taken. */
static struct model_config
changed(const char *key, const char *value)
{
	struct model_config	 c;
	struct fault		 f;
	char			*text = mutate(key, value);

	if (hfconfig_parse("c", text, strlen(text), &c, &f) != 0)
		fail_msg("%s", f.message);
	free(text);
	return (c);
}

/* The library has many names for two functions. */
static void
every_name_of_a_gelu_is_known(void **state)
{
	static const struct {
		const char	*name;
		enum gelu	 gelu;
	} acts[] = {
		{ "\"gelu\"", GELU_ERF }, { "\"gelu_python\"", GELU_ERF },
		{ "\"gelu_fast\"", GELU_TANH }, { "\"gelu_new\"", GELU_TANH },
		{ "\"gelu_pytorch_tanh\"", GELU_TANH },
		{ "\"gelu_python_tanh\"", GELU_TANH },
		{ "\"gelu_accurate\"", GELU_TANH }
	};
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(acts); i++)
		assert_int_equal(changed("hidden_act", acts[i].name).gelu,
		    acts[i].gelu);
}

/* null, and a list with one id, are valid forms of eos_token_id, too. */
static void
the_end_may_be_null_or_in_a_list(void **state)
{
	static const struct {
		const char	*value;
		int		 eos;
	} ends[] = { { "null", -1 }, { "[9]", 9 }, { "0", 0 } };
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(ends); i++)
		assert_int_equal(changed("eos_token_id", ends[i].value).eos,
		    ends[i].eos);
}

/* The number of rotated lanes is that of Python's int(size * pct), also if the
 * product is not exact. */
static void
rotary_lanes_are_rounded_down(void **state)
{
	static const struct {
		const char	*heads, *pct;
		int		 rotary;
	} sizes[] = {		/* of 64 channels */
		{ "4", "0.3", 4 }, { "2", "0.33", 10 }, { "1", "0.99", -1 },
		{ "1", "0.1", 6 }, { "1", "0.7", 44 }, { "4", "1", 16 }
	};
	struct model_config	 c;
	struct fault		 f;
	char			 text[256];
	size_t			 i;
	int			 r;

	(void)state;
	for (i = 0; i < nitems(sizes); i++) {
		snprintf(text, sizeof text, "{" TYPE ",\"hidden_size\":64,"
		    "\"num_attention_heads\":%s,\"rotary_pct\":%s}",
		    sizes[i].heads, sizes[i].pct);
		r = hfconfig_parse("c", text, strlen(text), &c, &f);
		if ((r == 0 ? c.rotary : -1) != sizes[i].rotary)
			fail_msg("64 / %s * %s: %d", sizes[i].heads,
			    sizes[i].pct, r == 0 ? c.rotary : -1);
	}
}

/* Text that is not JSON, or not one object. */
static void
broken_json_is_refused(void **state)
{
	static const char *const cases[] = { "", "[]", "{", "{} {}", "null",
		"{" TYPE "," TYPE "}", "{" TYPE ",}" };
	struct model_config	 c;
	struct fault		 f;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		if (hfconfig_parse("c", cases[i], strlen(cases[i]), &c, &f) !=
		    CHAT_EFORMAT)
			fail_msg("%s was taken", cases[i]);
		assert_string_equal(f.code, "bad_model");
		assert_int_equal(strncmp(f.message, "c: ", 3), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_spellings_are_read),
		cmocka_unit_test(missing_keys_take_the_documented_defaults),
		cmocka_unit_test(every_wrong_value_is_refused_by_name),
		cmocka_unit_test(spellings_that_disagree_are_refused),
		cmocka_unit_test(only_plain_rotation_is_taken),
		cmocka_unit_test(two_rotations_are_refused),
		cmocka_unit_test(every_name_of_a_gelu_is_known),
		cmocka_unit_test(the_end_may_be_null_or_in_a_list),
		cmocka_unit_test(rotary_lanes_are_rounded_down),
		cmocka_unit_test(broken_json_is_refused)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
