/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that the programs, the pages and the database have in common.
 */
#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "protocol.h"
#include "xmalloc.h"

#define WORD(word)	#word,
const char *const vocabulary_categories[CATEGORIES + 1] = {
	VOCABULARY_CATEGORIES(WORD) NULL
};

const char *const vocabulary_misuse[] = {
	"fake news, misinformation or propaganda",
	"hate speech or discrimination",
	"violence against people or groups",
	"impersonation of a person or an organization",
	"bullying or harassment",
	"a defamatory statement about a person",
	"spam or a scam",
	"sharing or obtaining confidential information of others",
	"circumventing the rules of this service",
	"malware, phishing or automated abuse",
	"something illegal or unethical",
	"unsafe content",
};
_Static_assert(sizeof vocabulary_misuse / sizeof *vocabulary_misuse ==
    CATEGORIES, "one for each category");

#undef WORD
#define WORD(name, word, use)	word,
const char *const vocabulary_formats[] = {
	VOCABULARY_FORMATS(WORD) NULL
};
#undef WORD
#define USE(name, word, use)	FORMAT_##use,
static const enum format_use vocabulary_format_uses[] = {
	VOCABULARY_FORMATS(USE)
};
#undef USE

const char *const vocabulary_directions[] = {
	[DIRECTION_PROMPT] = "prompt",
	[DIRECTION_REPLY] = "reply",
	NULL
};

const char *const vocabulary_actions[] = {
	[ACTION_ALLOW] = "allow",
	[ACTION_FLAG] = "flag",
	[ACTION_REDACT] = "redact",
	[ACTION_BLOCK] = "block",
	NULL
};

/* The order in which a stored rating has them. */
const char *const vocabulary_reasons[] = {
	"incorrect", "unhelpful", "harmful", "wrong_refusal", NULL
};

/* The first is the default. "vouched": rated good, or with an ideal text. */
const char *const vocabulary_choices[] = {
	"vouched", "good", "bad", "neutral", "any", "none", "ideal", "all", NULL
};
const char *const vocabulary_splits[] = { "train", "heldout", NULL };

const char *const vocabulary_thumbs[] = { "good", "bad", "neutral", NULL };
const int vocabulary_thumb_values[] = { 1, -1, 0 };
const char *const vocabulary_ratings[] = {
	"good", "bad", "neutral", "any", "none", "ideal", NULL
};

/* The first is the default. */
const char *const vocabulary_precisions[] = {
	"auto", "fp32", "fp16", "bf16", "int8", "int4", NULL
};
const char *const vocabulary_cpu_precisions[] = {
	"auto", "fp32", "bf16", "int8", "int4", NULL
};
const char *const vocabulary_caches[] = {
	"auto", "fp32", "fp16", "bf16", "int8", NULL
};
const char *const vocabulary_cpu_caches[] = {
	"auto", "fp32", "bf16", "int8", NULL
};
const char *const vocabulary_isas[] = {
	"auto", "scalar", "avx2", "avx512", "amx", "reference",
	NULL
};

#define PARAM(name, type, min, max, dflt, bound) \
	{ #name, PARAM_##type, min, (double)(max), dflt, bound },
const struct vocabulary_param vocabulary_params[] = {
	VOCABULARY_PARAMS(PARAM)
	{ NULL, PARAM_BOOL, 0, 0, NULL, NULL }
};
#undef PARAM

#define PARAM_NAME(name, type, min, max, dflt, bound)	#name,
const char *const vocabulary_param_names[] = {
	VOCABULARY_PARAMS(PARAM_NAME) NULL
};
#undef PARAM_NAME

const struct vocabulary_code vocabulary_codes[] = {
	{ "bad_json", CODE_CLIENT, "the line is not one valid JSON object" },
	{ "bad_field", CODE_CLIENT, "a field is missing, unknown, of the "
	    "wrong type or out of range" },
	{ "bad_protocol", CODE_CLIENT, "the protocol version is not "
	    "supported" },
	{ "bad_config", CODE_CLIENT, "the configuration has an error" },
	{ "too_long", CODE_CLIENT, "a line, text or field is over its limit" },
	{ "denied", CODE_CLIENT, "only operators may do that" },
	{ "not_found", CODE_CLIENT, "there is no such thing, or it belongs to "
	    "someone else" },
	{ "quota", CODE_CLIENT, "the user would have more stored than is "
	    "allowed" },
	{ "busy", CODE_CLIENT, "too much runs at the same time" },
	{ "blocked", CODE_CLIENT, "the policy does not let the text pass" },
	{ "context_full", CODE_CLIENT, "the prompt alone does not fit the "
	    "model's context" },
	{ "numeric_error", CODE_CLIENT, "the model computed NaN or "
	    "infinity" },
	{ "engine_lost", CODE_CLIENT, "the engine died while it wrote the "
	    "reply, and can't go on with it" },
	{ "engine_unavailable", CODE_CLIENT, "no model is loaded, and none "
	    "will be soon" },
	{ "filter_unavailable", CODE_CLIENT, "there is no verdict, so the "
	    "text does not pass" },
	{ "store_unavailable", CODE_CLIENT, "the store can't write" },
	{ "shutting_down", CODE_CLIENT, "chatd accepts no new requests" },
	{ "cancelled", CODE_HELPER, "the request was cancelled" },
	{ "bad_version", CODE_HELPER, "chatd and a helper are of different "
	    "releases" },
	{ "bad_model", CODE_HELPER, "a model file is unsound" },
	{ "bad_file", CODE_HELPER, "a packed file can't be written" },
	{ "bad_plugin", CODE_HELPER, "a plugin can't be used" },
	{ "no_device", CODE_HELPER, "the device is not there" },
	{ "no_memory", CODE_HELPER, "there is not enough memory" },
	{ "no_socket", CODE_LOCAL, "there is no socket" },
	{ "nobody_listens", CODE_LOCAL, "nobody listens on the socket" },
	{ "closed", CODE_LOCAL, "chatd has closed the connection" },
	{ "system", CODE_LOCAL, "a system call has failed" },
	{ "timeout", CODE_LOCAL, "chatd has not answered in time" },
	{ "interrupted", CODE_LOCAL, "a signal came" },
	{ "bad_use", CODE_LOCAL, "a call of libchat is not allowed" },
	{ "loading", CODE_NOTICE, "the model is still loading" },
	{ "engine_restarted", CODE_NOTICE, "the engine has started again" },
	{ "truncated", CODE_NOTICE, "the oldest messages were left out" },
	{ "redacted", CODE_NOTICE, "a part of the prompt was replaced" },
	{ "quota_near", CODE_NOTICE, "the user's quota is nearly used up" },
	{ NULL, CODE_CLIENT, NULL }
};

/* Find a word. */
int
vocabulary_find(const char *const *words, const char *word)
{
	int	 i;

	for (i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], word) == 0)
			return (i);
	}
	return (-1);
}

/* Find a category. */
int
vocabulary_category(const char *slug)
{
	return (vocabulary_find(vocabulary_categories, slug));
}

/* Print a list as a part of a sentence. */
char *
vocabulary_list(const char *const *words, const char *conjunction)
{
	char	*list = xstrdup(words[0]), *more;
	size_t	 i;

	for (i = 1; words[i] != NULL; i++) {
		more = words[i + 1] != NULL ?
		    xasprintf("%s, %s", list, words[i]) :
		    xasprintf("%s %s %s", list, conjunction, words[i]);
		free(list);
		list = more;
	}
	return (list);
}

/* Report that a field holds another word. */
int
vocabulary_fault(struct fault *f, const char *code, const char *field,
    const char *const *words, const char *found)
{
	char	*list = vocabulary_list(words, "or");
	int	 r;

	r = fault_set(f, code, field, "%s: expected %s%s%.40s%s", field, list,
	    found == NULL ? "" : ", found \"", found == NULL ? "" : found,
	    found == NULL ? "" : "\"");
	free(list);
	return (r);
}

/* What a format does with ratings. */
enum format_use
vocabulary_format_use(const char *format)
{
	return (vocabulary_format_uses[vocabulary_find(vocabulary_formats,
	    format)]);
}

/* Report that a format has no filter "rating", and which ones have it. */
static int
vocabulary_format_fault(const char *format, struct fault *f)
{
	const char	*words[nitems(vocabulary_format_uses) + 1];
	char		*list;
	size_t		 i, n = 0;
	int		 r;

	for (i = 0; i < nitems(vocabulary_format_uses); i++)
		if (vocabulary_format_uses[i] != FORMAT_LABELS)
			words[n++] = vocabulary_formats[i];
	words[n] = NULL;
	list = vocabulary_list(words, "or");
	r = fault_set(f, "bad_field", "rating", "rating: the format %s has no "
	    "such filter, because it has labels; expected the format %s",
	    format, list);
	free(list);
	return (r);
}

/* Check the filter "rating" of an export. */
int
vocabulary_format_rating(const char *format, const char *rating,
    struct fault *f)
{
	if (rating == NULL)
		return (0);
	if (vocabulary_find(vocabulary_choices, rating) == -1)
		return (vocabulary_fault(f, "bad_field", "rating",
		    vocabulary_choices, rating));
	return (vocabulary_format_use(format) != FORMAT_LABELS ? 0 :
	    vocabulary_format_fault(format, f));
}
