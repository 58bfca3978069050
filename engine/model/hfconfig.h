/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of a GPT-NeoX model: it is read, defaults are filled in, and
 * every value is checked. Both spellings of the library that writes it are
 * known. Files that have the same settings under other names use the same
 * checks.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stddef.h>

#include "model.h"

#define CONFIG_BYTES_MAX	(1024 * 1024)	/* bytes of a config.json */
#define CONFIG_VALUES_MAX	65536		/* in it */

/* Limits that keep every later product of sizes far below 63 bits, and a sum of
 * INNER_MAX products of 8 bits (INNER_MAX * 127 * 128) below 31 bits. */
#define CONFIG_LAYERS_MAX	1024
#define CONFIG_CHANNELS_MAX	65536
#define CONFIG_HEADS_MAX	4096
#define CONFIG_INNER_MAX	131072
#define CONFIG_VOCAB_MAX	4194304
#define CONFIG_CONTEXT_MAX	1048576

/*
 * Read n bytes of a config.json; path is only used for messages. A missing key
 * has the documented default of GPTNeoXConfig. Returns 0 and *out, or
 * CHAT_EFORMAT with *f filled: the code is "bad_model", the field is the wrong
 * key, and the message has the file, the key, and the expected and found
 * values.
 */
int	hfconfig_parse(const char *path, const char *text, size_t n,
	    struct model_config *out, struct fault *f);

/* The text of a config.json from which hfconfig_parse reads c: owned, ends in
 * NUL. */
char	*hfconfig_write(const struct model_config *c);

/* The values of a file before their relations are checked. */
struct config_raw {
	int		 vocab, channels, layers, heads, inner, context, eos;
	int		 tied, parallel, attn_bias;
	int		 rotary;	/* rotated lanes; -1: use pct */
	enum gelu	 gelu;
	double		 norm_eps;
	double		 pct[2], base[2]; /* older and newer spelling; 0:
					   * missing */
};

/* The names that a file uses for keys that are checked together; for
 * messages. */
struct config_names {
	const char	*channels, *heads, *inner, *eos, *rotary;
};

/* A config_raw with the documented defaults. */
void	hfconfig_defaults(struct config_raw *out);

/*
 * Set key, a key of config.json, to x. The file at path has it under the name
 * `name`. If the key is an integer, x is one. Returns 0, or CHAT_EFORMAT if x
 * is outside of the key's limits; *f is then filled as by hfconfig_parse, with
 * the field name.
 */
int	hfconfig_put(struct config_raw *raw, const char *key, double x,
	    const char *path, const char *name, struct fault *f);

/* The same for the activation, a word as in hidden_act; NULL if the value is
 * not a string. */
int	hfconfig_put_act(struct config_raw *raw, const char *word,
	    const char *path, const char *name, struct fault *f);

/* Check the relations between the values. Returns 0 and *out, or CHAT_EFORMAT
 * with *f filled. */
int	hfconfig_finish(const struct config_raw *raw, const char *path,
	    const struct config_names *names, struct model_config *out,
	    struct fault *f);

#endif
