/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of accounts: a keyed digest of the uid, with a key that lives in the
 * memory of this process only. Two of 100,000 accounts have the same number
 * with a chance of one in a million.
 */
#include "account.h"

#include <sys/random.h>

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "protocol.h"
#include "sha256.h"

/* The number of an account. */
int64_t
account_number(uid_t uid)
{
	static unsigned char	 key[32];
	static int		 made;
	struct sha256		 s;
	char			 hex[SHA256_HEX];
	int64_t			 n;

	if (!made && getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
		fatal("getrandom");
	made = 1;
	sha256_init(&s);
	sha256_add(&s, key, sizeof key);
	sha256_add(&s, &uid, sizeof uid);
	sha256_end(&s, hex);
	hex[13] = '\0';			/* 52 bits */
	n = strtoll(hex, NULL, 16);
	return (n == 0 ? 1 : n);
}
