/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of chatd-tune.  Each gets its own arguments, argv[0] is the
 * command's name.  Each reports its errors on the standard error output and
 * returns an exit status.
 */
#ifndef TUNE_TUNE_H
#define TUNE_TUNE_H

#include <stddef.h>

#define TUNE_OK		0
#define TUNE_FAILED	1
#define TUNE_USAGE	2	/* wrong arguments */
#define TUNE_REFUSED	3	/* the gate has refused the model */
#define TUNE_NOTHING	4	/* there is nothing new to learn */

struct fault;

int	tune_recipe(int argc, char **argv);
int	tune_evaluate(int argc, char **argv);
int	tune_tokenizer(int argc, char **argv);
int	tune_generate(int argc, char **argv);
int	tune_feedback(int argc, char **argv);
int	tune_gate(int argc, char **argv);
int	tune_talk(int argc, char **argv);

/* Report a fault. Returns TUNE_FAILED. */
int	tune_failed(const struct fault *f);

/* Report wrong arguments, and print the usage of a command. Returns
 * TUNE_USAGE. */
int	tune_usage(const char *usage);

/*
 * Read a text file of at most max bytes in UTF-8. Returns 0 and *text (owned,
 * NUL added after *n bytes), or an error with *f filled.
 */
int	tune_read_text(const char *path, size_t max, char **text, size_t *n,
	    struct fault *f);

/* A number of an option, from min to max. 0, or -1 after a message. */
int	tune_number(const char *option, const char *s, long long min,
	    long long max, long long *out);

#endif
