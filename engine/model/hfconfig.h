/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of a GPT-NeoX model: read, defaults filled in, every value
 * checked.  Both spellings of the library that writes it are known.  Files
 * that say the same under other names share the checks.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stddef.h>

#include "model.h"

#define CONFIG_BYTES_MAX	(1024 * 1024)	/* a config.json, at most */
#define CONFIG_VALUES_MAX	65536		/* in it */

/* Bounds that keep every later product of sizes far inside 63 bits, and a sum
 * of so many products of 8 bits (INNER_MAX * 127 * 128) inside 31. */
#define CONFIG_LAYERS_MAX	1024
#define CONFIG_CHANNELS_MAX	65536
#define CONFIG_HEADS_MAX	4096
#define CONFIG_INNER_MAX	131072
#define CONFIG_VOCAB_MAX	4194304
#define CONFIG_CONTEXT_MAX	1048576

/*
 * Read n bytes of a config.json; path is only named in errors. Keys that are
 * not there get the documented defaults of GPTNeoXConfig. 0 and *out, or
 * CHAT_EFORMAT with *f filled: code "bad_model", field the key at fault, and
 * a message that gives file, key, expected and found.
 */
int	hfconfig_parse(const char *path, const char *text, size_t n,
	    struct model_config *out, struct fault *f);

/* The text of a config.json that hfconfig_parse reads as c: owned, ends in
 * NUL. */
char	*hfconfig_write(const struct model_config *c);

/* What a file says, before the parts are put together. */
struct config_raw {
	int		 vocab, channels, layers, heads, inner, context, eos;
	int		 tied, parallel, attn_bias;
	int		 rotary;	/* lanes turned; -1: pct says */
	enum gelu	 gelu;
	double		 norm_eps;
	double		 pct[2], base[2]; /* older and newer spelling, 0: not
					   * given */
};

/* What a file calls the keys that must fit to others: for messages. */
struct config_names {
	const char	*channels, *heads, *inner, *eos, *rotary;
};

/* A config_raw of the documented defaults. */
void	hfconfig_defaults(struct config_raw *out);

/*
 * Set key, one of config.json's, to x, which the file at path calls name. x is
 * an integer if the key is one. 0, or CHAT_EFORMAT where it is not within the
 * key's bounds, with *f filled as by hfconfig_parse, field name.
 */
int	hfconfig_put(struct config_raw *raw, const char *key, double x,
	    const char *path, const char *name, struct fault *f);

/* The same for the activation, a word as in hidden_act; NULL: no string. */
int	hfconfig_put_act(struct config_raw *raw, const char *word,
	    const char *path, const char *name, struct fault *f);

/* Check what must hold between the values. 0 and *out, or CHAT_EFORMAT with
 * *f filled. */
int	hfconfig_finish(const struct config_raw *raw, const char *path,
	    const struct config_names *names, struct model_config *out,
	    struct fault *f);

#endif
