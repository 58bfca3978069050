/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files under tests/data for the engine's tests.  Everything here ends the
 * test program where a file is missing or broken.
 */
#ifndef TESTS_ENGINE_DATA_H
#define TESTS_ENGINE_DATA_H

#include <jansson.h>

#include "tokenizer.h"
#include "growbuf.h"

/* tests/data/NAME, found by the environment variable srcdir. Owned. */
char	*data_path(const char *name);

/* The tokenizer of a folder of tests/data. Owned. */
struct tokenizer *data_tokenizer(const char *folder);

/* A whole JSON file. A new reference. */
json_t	*data_json(const char *name);

/* Every line of a file of JSON lines, as an array. A new reference. */
json_t	*data_lines(const char *name);

/* An array of integers. The caller clears it. */
struct idbuf data_ids(const json_t *array);

/* The ids of a text, specials recognised or not. The caller clears it. */
struct idbuf data_encode(const struct tokenizer *t, const char *s, int special);

/* 0 where both hold the same; prints what differs. */
int	data_ids_differ(const char *what, const struct idbuf *got,
	    const struct idbuf *want);

#endif
