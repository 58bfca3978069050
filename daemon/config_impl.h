/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for config.c and config_lists.c only.
 */
#ifndef DAEMON_CONFIG_IMPL_H
#define DAEMON_CONFIG_IMPL_H

#include "chatd.h"
#include "yaml.h"

#define NEVER	2.0	/* a score that no finding reaches */

/* ---- config.c */

/* Replace an owned string by a copy of text. */
void	 config_text(char **p, const char *text);

/* If r is not 0, add the fault to the errors of c. The caller reads on. */
void	 config_note(struct config *c, int r, const struct fault *f);

/* Report that the key of n is unknown. The message has its kind (what: "key" or
 * "category"), its section (in, unless "") and the most similar of the known
 * keys (words). Fills f and returns CHAT_EFORMAT. */
int	 config_stray(const char *file, const struct ynode *n,
	    const char *what, const char *in, const char *const *words,
	    struct fault *f);

/* ---- config_lists.c: each reads its section, and keeps the faults in it as
 * config_note does. 0, or CHAT_EFORMAT with *f filled if the section as a
 * whole is wrong. */

int	 config_filters(struct config *c, const char *file,
	    const struct ynode *list, struct fault *f);
int	 config_policy(struct config *c, const char *file,
	    const struct ynode *map, struct fault *f);
int	 config_words(struct config *c, const char *file,
	    const struct ynode *map, struct fault *f);
int	 config_labels(struct config *c, const char *file,
	    const struct ynode *map, struct fault *f);

/* ---- config_adapters.c: the same for model.adapters and model.ab */

int	 config_adapters(struct config *c, const char *file,
	    const struct ynode *list, struct fault *f);
int	 config_ab(struct config *c, const char *file,
	    const struct ynode *map, struct fault *f);
/* Give each adapter its share, when the whole file at path was read. */
void	 config_adapters_end(struct config *c, const char *path,
	    struct fault *f);
/* Release the adapters and the shares. */
void	 config_adapters_clear(struct config *c);

/* ---- config_lists.c: the labels of the judge */

/* Set the labels of OpenChatKit's moderation model. */
void	 config_labels_default(struct config *c);
/* Release the labels. */
void	 config_labels_clear(struct config *c);

#endif
