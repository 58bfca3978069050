/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that the programs, the pages and the database have in common,
 * each list once.  A new word is one line here or in vocabulary.c, the code
 * that gives it its meaning, and the pages that tests/e2e/test_vocabulary.py
 * names.
 */
#ifndef BASE_VOCABULARY_H
#define BASE_VOCABULARY_H

#include "err.h"

#define PARAM_STOPS_MAX	8	/* stop strings of a request */
#define PARAM_STOP_MAX	64	/* bytes of one */
#define ADAPTER_NAME_MAX 64	/* bytes of the name of an adapter */
#define ADAPTER_NAME_CHARS "abcdefghijklmnopqrstuvwxyz" \
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define ADAPTER_BASE_NAME "base" /* what people call the model without one; no
				 * adapter has that name */

/*
 * The categories of misuse.  They are those that the model card of
 * GPT-NeoXT-Chat-Base-20B names under "Misuse and Malicious Use"; the last
 * one is for what the card does not name.
 */
#define VOCABULARY_CATEGORIES(X) \
	X(misinformation) \
	X(hate) \
	X(violence) \
	X(impersonation) \
	X(harassment) \
	X(defamation) \
	X(spam_scam) \
	X(confidential) \
	X(terms_violation) \
	X(malicious_bot) \
	X(illegal) \
	X(other_unsafe)

#define VOCABULARY_ONE(word)	+ 1
enum { CATEGORIES = 0 VOCABULARY_CATEGORIES(VOCABULARY_ONE) };
#undef VOCABULARY_ONE

/* The formats of an export: the part of the names of their functions (export.c
 * calls export_NAME), the name, and what the format does with ratings (an enum
 * format_use). */
#define VOCABULARY_FORMATS(X) \
	X(oig, "oig", EXAMPLES) \
	X(sft, "sft", EXAMPLES) \
	X(messages, "messages", EXAMPLES) \
	X(preference, "preference", LABELS) \
	X(openai_dpo, "openai-dpo", LABELS) \
	X(kto, "kto", LABELS) \
	X(oasst, "oasst", RECORDS) \
	X(moderation, "moderation", LABELS) \
	X(argilla, "argilla", RECORDS) \
	X(label_studio, "label-studio", RECORDS) \
	X(csv, "csv", RECORDS)

/*
 * The sampling parameters: name, type, least and greatest value, default and
 * the fact of the model ("context" or "vocab") that a value must not exceed.
 * The type is the last part of an enum field_type.  DEFAULTS have a key in the
 * section defaults of chatd.yaml, OTHERS have none.
 */
#define VOCABULARY_DEFAULTS(X) \
	X(temperature, REAL, 0, 2, "0.6", NULL) \
	X(top_k, INT, 0, 1e9, "40", "vocab") \
	X(top_p, REAL, 0.000001, 1, "1", NULL) \
	X(repetition_penalty, REAL, 0.01, 10, "1", NULL) \
	X(max_tokens, INT, 1, 1048576, "128", "context")
#define VOCABULARY_OTHERS(X) \
	X(seed, INT, 0, JSON_INT_MAX, NULL, NULL) \
	X(stop, ARRAY, 0, 0, NULL, NULL) \
	X(ignore_eos, BOOL, 0, 0, NULL, NULL) \
	X(adapter, STRING, 0, ADAPTER_NAME_MAX, NULL, NULL)
#define VOCABULARY_PARAMS(X)	VOCABULARY_DEFAULTS(X) VOCABULARY_OTHERS(X)

enum param_type { PARAM_REAL, PARAM_INT, PARAM_ARRAY, PARAM_BOOL,
	PARAM_STRING };

struct vocabulary_param {
	const char	*name;
	enum param_type	 type;
	double		 min, max;	/* of a number, inclusive; of a string,
					 * bytes */
	const char	*dflt;		/* as chatd.yaml has it, or NULL */
	const char	*bound;		/* "context", "vocab" or NULL */
};

enum direction { DIRECTION_PROMPT, DIRECTION_REPLY, DIRECTIONS };
enum action { ACTION_ALLOW, ACTION_FLAG, ACTION_REDACT, ACTION_BLOCK };

/* What a format does with ratings. */
enum format_use {
	FORMAT_EXAMPLES, /* good replies; the filter "rating" says which are */
	FORMAT_RECORDS,	/* replies with their ratings; the filter chooses, and
			 * without it all are written */
	FORMAT_LABELS	/* ratings become labels; there is no such filter */
};

enum code_scope {
	CODE_CLIENT,	/* an error that a client may get */
	CODE_HELPER,	/* an error between chatd and its helpers only */
	CODE_LOCAL,	/* an error of libchat, which nobody sends */
	CODE_NOTICE	/* a notice */
};

struct vocabulary_code {
	const char	*slug;
	enum code_scope	 scope;
	const char	*about;		/* one line */
};

/* The value of each of vocabulary_thumbs. */
extern const int	 vocabulary_thumb_values[];

/* Each list ends with NULL, or with an entry whose first member is NULL. */
extern const char *const vocabulary_categories[CATEGORIES + 1];
extern const char *const vocabulary_misuse[];	   /* what each one is */
extern const char *const vocabulary_directions[];  /* by enum direction */
extern const char *const vocabulary_actions[];	   /* by enum action */
extern const char *const vocabulary_reasons[];	   /* of a rating */
extern const char *const vocabulary_choices[];	   /* which ratings */
extern const char *const vocabulary_splits[];
extern const char *const vocabulary_formats[];	   /* of an export */
extern const char *const vocabulary_precisions[];  /* of weights */
extern const char *const vocabulary_cpu_precisions[]; /* those of the CPU */
extern const char *const vocabulary_caches[];	   /* of the KV cache */
extern const char *const vocabulary_cpu_caches[];  /* those of the CPU */
extern const char *const vocabulary_isas[];	   /* instruction sets */
extern const char *const vocabulary_thumbs[];	   /* of a rating */
extern const char *const vocabulary_ratings[];	   /* of a filter */
extern const char *const vocabulary_param_names[]; /* as in vocabulary_params */
extern const struct vocabulary_param vocabulary_params[];
extern const struct vocabulary_code vocabulary_codes[];

/* The number of a word in a list that ends with NULL, or -1. */
int	 vocabulary_find(const char *const *words, const char *word);

/* The number of a category, or -1. */
int	 vocabulary_category(const char *slug);

/* What a format (one of vocabulary_formats) does with ratings. */
enum format_use vocabulary_format_use(const char *format);

/* Check the filter "rating" (NULL: none) of an export in a format. Returns 0,
 * or CHAT_EFORMAT with f filled: no such word, or the format has no such
 * filter. */
int	 vocabulary_format_rating(const char *format, const char *rating,
	    struct fault *f);

/* The words of a list that ends with NULL as "a, b or c", with any conjunction
 * in place of "or"; a new string. */
char	*vocabulary_list(const char *const *words, const char *conjunction);

/* Fill f: "field: expected a, b or c, found ...". found may be NULL. Returns
 * CHAT_EFORMAT. */
int	 vocabulary_fault(struct fault *f, const char *code, const char *field,
	    const char *const *words, const char *found);

#endif
