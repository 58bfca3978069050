/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the driver of fuzz targets: the corpus that corpus.c reads, and the
 * inputs that mutate.c makes of it.
 */
#ifndef TEST_FUZZ_DRIVER_H
#define TEST_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#define INPUT_MAX	65536	/* bytes of a seed or an input */

struct input {
	size_t	 n;
	uint8_t	 b[INPUT_MAX];
};

struct blob {
	uint8_t	*b;		/* owned */
	size_t	 n;
};

/* The seeds and the dictionary of a target. */
struct corpus {
	const char	*name;		/* "json" of fuzz_json; borrowed */
	struct blob	*seeds;		/* owned; in order of their names; at
					 * least one, which may be empty */
	size_t		 nseeds;
	struct blob	*words;		/* owned; of the dictionary */
	size_t		 nwords;
};

/*
 * Read the corpus of the target that runs as program: the files in
 * tests/fuzz/seeds/NAME and the words in tests/fuzz/NAME.dict. Either may be
 * missing. A file that can't be used ends the process.
 */
void	corpus_load(struct corpus *c, const char *program);
void	corpus_clear(struct corpus *c);

/* Make input number round: a seed, changed at some places. The same number
 * always gives the same input. */
void	mutate(const struct corpus *c, size_t round, struct input *out);

#endif
