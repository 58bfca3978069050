/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the engine: reads files in tests/data (tokenizers, JSON, lists
 * of ids), and encodes and compares ids. Every function ends the test program
 * if a file is missing or malformed.
 */
#ifndef TESTS_ENGINE_DATA_H
#define TESTS_ENGINE_DATA_H

#include <jansson.h>

#include "tokenizer.h"
#include "growbuf.h"

/* Path of tests/data/NAME; the environment variable srcdir has the source
 * folder. Owned. */
char	*data_path(const char *name);

/* The tokenizer of a folder of tests/data. Owned. */
struct tokenizer *data_tokenizer(const char *folder);

/* The tokenizer that all tests of a program share, and what opens and releases
 * it: cmocka's setups and teardown of a group. */
extern struct tokenizer	*data_tok;
int	data_setup_tiny(void **state);
int	data_setup_20b(void **state);
int	data_teardown(void **state);

/* A whole JSON file. A new reference. */
json_t	*data_json(const char *name);

/* Every line of a file of JSON lines, as one array. A new reference. */
json_t	*data_lines(const char *name);

/* An array of integers. The caller clears it. */
struct idbuf data_ids(const json_t *array);

/* The ids of a text; with special, names of special tokens become tokens. The
 * caller clears them. */
struct idbuf data_encode(const struct tokenizer *t, const char *s, int special);

/* A tokenizer from the JSON of a tokenizer.json. Owned; NULL and *f if it is
 * refused. */
struct tokenizer *data_parse(const json_t *root, struct fault *f);

/* Encode the "text" of a vector. Returns 0 if the ids are those of key; prints
 * the difference. */
int	data_vector_differs(const struct tokenizer *t, const json_t *v,
	    int special, const char *key);

/* Returns 0 if both have the same tokens, names and flags; prints the first
 * that differs. */
int	data_tokens_differ(const struct tokenizer *got,
	    const struct tokenizer *want);

/* Returns 0 if both have the same ids; prints the difference. */
int	data_ids_differ(const char *what, const struct idbuf *got,
	    const struct idbuf *want);

#endif
