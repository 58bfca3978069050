/*
 * config.json of a GPT-NeoX model: read, defaults filled in, every value
 * checked.  Both spellings of the library that writes it are known.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stddef.h>

#include "model.h"

#define CONFIG_BYTES_MAX	(1024 * 1024)	/* a config.json, at most */
#define CONFIG_VALUES_MAX	65536		/* in it */

/* Bounds that keep every later product of sizes far inside 63 bits. */
#define CONFIG_LAYERS_MAX	1024
#define CONFIG_CHANNELS_MAX	65536
#define CONFIG_HEADS_MAX	4096
#define CONFIG_INNER_MAX	524288
#define CONFIG_VOCAB_MAX	4194304
#define CONFIG_CONTEXT_MAX	1048576

/*
 * Read n bytes of a config.json; path is only named in errors. Keys that are
 * not there get the documented defaults of GPTNeoXConfig. 0 and *out, or
 * CHAT_EFORMAT with *f filled: code "bad_model", field the key at fault, and
 * a message that gives file, key, expected and found.
 */
int	config_parse(const char *path, const char *text, size_t n,
	    struct model_config *out, struct fault *f);

/* The text of a config.json that config_parse reads as c: owned, ends in
 * NUL. */
char	*config_write(const struct model_config *c);

#endif
