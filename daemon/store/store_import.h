/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For store_import*.c: a row of an export, as turns with replies.
 */
#ifndef DAEMON_STORE_IMPORT_H
#define DAEMON_STORE_IMPORT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* An opinion. Strings are borrowed from the row. */
struct import_rating {
	const char	*user, *ideal, *comment;
	json_t		*reasons;	/* owned: an array */
	int64_t		 created;	/* ms since 1970 UTC */
	int		 thumb;
};

/* A reply. Strings are borrowed from the row, but key and text are owned. */
struct import_reply {
	char			*key, *text;
	const char		*model, *digest, *precision, *state, *stop;
	const char		*adapter, *adapter_digest;	/* or NULL */
	json_t			*params;	/* owned: an object */
	int64_t			 seed, prompt_tokens, output_tokens, created;
	int64_t			 dropped;
	struct import_rating	*rating;	/* owned */
	size_t			 nratings;
	json_t			*next;	/* borrowed: the prompt after it in a
					 * tree, or NULL */
};

/* A turn. */
struct import_turn {
	char			*prompt, *preprompt;	/* owned; NULL: none */
	int64_t			 created;
	struct import_reply	*reply;		/* owned */
	size_t			 nreplies;
	size_t			 split;	/* so many replies came before the next
					 * turn; 0: all */
};

/* A row, and where it goes. */
struct import {
	char			*conversation;	/* owned: its name */
	const char		*user;		/* borrowed: of the owner */
	const char		*continues;	/* borrowed: the key of the
						 * reply before, or NULL */
	int			 whole;		/* it is a tree */
	struct import_turn	*turn;		/* owned */
	size_t			 nturns;
	char			*ideal;		/* owned: a text of a rating */
	/* Set by store_import.c: */
	int64_t			 uid, id, exchange, after;
	int			 native;	/* it is all here */
	int			 gone;		/* it was deleted here */
	int64_t			 stored, known;	/* replies */
};

/* Read a row of a known format into im, which is zero. Returns 0, or
 * CHAT_EFORMAT with *f filled. Release im in both cases. */
int	 import_read(json_t *row, struct import *im, struct fault *f);
void	 import_clear(struct import *im);

/* Make a name from n bytes: a UUID if form is 1, else 32 digits (a new
 * string). */
char	*import_name(const char *text, size_t n, int form);

#endif
