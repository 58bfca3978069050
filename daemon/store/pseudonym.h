/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudonyms of users.  A key, a file beside the database, turns users into
 * pseudonyms.  It is in no export, so a pseudonym says only which rows are of
 * the same user.
 */
#ifndef DAEMON_PSEUDONYM_H
#define DAEMON_PSEUDONYM_H

#include <stdint.h>

#include "err.h"

#define PSEUDONYM_KEY		32	/* bytes of the key */
/* Numbers above those of accounts: imported users, whose number is made of 40
 * bits, then what is held for an account (store_hold.c). */
#define PSEUDONYM_IMPORTED	4294967296LL	/* 2^32 */
#define PSEUDONYM_HELD		2199023255552LL	/* 2^41 */

/* Create the key of the database at path, if there is none. Returns 0, or
 * CHAT_ESYSTEM with *f filled. */
int	 pseudonym_make(const char *path, struct fault *f);

/* Read it: PSEUDONYM_KEY bytes. Returns 0 or an error, with *f filled. */
int	 pseudonym_read(const char *path, unsigned char *key,
	    struct fault *f);

/* Is it the number of an imported user? */
int	 pseudonym_is_imported(int64_t uid);

/* Name a user: a new string. name is the pseudonym of an imported user, which
 * stays. */
char	*pseudonym(const unsigned char *key, int64_t uid, const char *name);

#endif
