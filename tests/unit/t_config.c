/*
 * config.json: both spellings, the defaults, and one mutation for each way a
 * value can be wrong.
 */
#include "config.h"

#include <math.h>
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

/* Check all that both forms say. */
static void
check_both(const char *text)
{
	struct model_config	 c;
	struct fault		 f;

	if (config_parse("config.json", text, strlen(text), &c, &f) != 0)
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

/* Older and newer spelling say the same. */
static void
both_spellings_are_read(void **state)
{
	(void)state;
	check_both(old_form);
	check_both(new_form);
}

/* What the library takes for a key that is not there: the 20B shape. */
static void
missing_keys_take_the_documented_defaults(void **state)
{
	struct model_config	 c;
	struct fault		 f;

	(void)state;
	assert_int_equal(config_parse("c", "{" TYPE "}",
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

/* One key of the old form put differently: JSON for it, and the key named. */
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
	{ "hidden_act", "\"relu\"" },
	{ "hidden_act", "null" },
	{ "hidden_act", "1" },
	{ "layer_norm_eps", "0" },
	{ "layer_norm_eps", "-1e-5" },
	{ "layer_norm_eps", "2" },
	{ "layer_norm_eps", "\"1e-5\"" },
	{ "rotary_pct", "-0.5" },
	{ "rotary_pct", "1.01" },
	{ "rotary_pct", "0.05" },
	{ "rotary_pct", "0.2" },
	{ "rotary_pct", "\"0.5\"" },
	{ "rotary_emb_base", "0" },
	{ "rotary_emb_base", "-10000" },
	{ "rotary_emb_base", "{}" },
	{ "tie_word_embeddings", "1" },
	{ "use_parallel_residual", "\"true\"" },
	{ "attention_bias", "0" },
	{ "rope_scaling", "{\"type\":\"linear\",\"factor\":2.0}" },
	{ "rope_parameters", "[]" },
	{ "rope_type", "\"yarn\"" },
	{ "partial_rotary_factor", "1.5" },
	{ "partial_rotary_factor", "true" },
	{ "rope_theta", "0" },
	{ "rope_theta", "\"x\"" }
};

/* The old form, with one key put differently. Keys of the newer spelling go
 * inside rope_parameters. */
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

/* Each is refused, naming file and key. */
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
		if (config_parse("the/config.json", text, strlen(text), &c,
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

/* The two spellings in one file must not contradict each other. */
static void
spellings_that_disagree_are_refused(void **state)
{
	struct model_config	 c;
	struct fault		 f;
	char			*text;

	(void)state;
	text = mutate("partial_rotary_factor", "1.0");
	assert_int_equal(config_parse("c", text, strlen(text), &c, &f),
	    CHAT_EFORMAT);
	assert_string_equal(f.field, "rotary_pct");
	free(text);
	text = mutate("rope_theta", "5000");
	assert_int_equal(config_parse("c", text, strlen(text), &c, &f), 0);
	free(text);
}

/* Not JSON, or not one object. */
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
		if (config_parse("c", cases[i], strlen(cases[i]), &c, &f) !=
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
		cmocka_unit_test(broken_json_is_refused)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
