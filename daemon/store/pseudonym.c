/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudonyms of users.
 */
#include "pseudonym.h"

#include <sys/random.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "sha256.h"
#include "xmalloc.h"

#define PSEUDONYM_DIGITS	16

/* Write a new key to fd. */
static int
pseudonym_write(int fd)
{
	unsigned char	key[PSEUDONYM_KEY];

	if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key ||
	    write(fd, key, sizeof key) != (ssize_t)sizeof key ||
	    fsync(fd) == -1)
		return (-1);
	return (0);
}

/* Create the key. */
int
pseudonym_make(const char *path, struct fault *f)
{
	char	*name = xasprintf("%s.key", path);
	int	 fd, r = 0;

	fd = open(name, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
	if (fd != -1) {
		if (pseudonym_write(fd) == -1) {
			r = -1;
			unlink(name);
		}
		close(fd);
	} else if (errno != EEXIST)
		r = -1;
	if (r == -1) {
		fault_set(f, "store_unavailable", NULL, "%s: %s", name,
		    strerror(errno));
		r = CHAT_ESYSTEM;
	}
	free(name);
	return (r);
}

/* Read the key. */
int
pseudonym_read(const char *path, unsigned char *key, struct fault *f)
{
	char	*name = xasprintf("%s.key", path), *s = NULL;
	size_t	 n = 0;
	int	 r;

	r = path_read(name, PSEUDONYM_KEY, &s, &n);
	if (r == CHAT_ESYSTEM && errno == ENOENT) {
		fault_set(f, "store_unavailable", NULL, "%s, the key of the "
		    "pseudonyms, is missing: copy it from where the database "
		    "is from, or start chatd on it, which makes a new one",
		    name);
	} else if (r == CHAT_ESYSTEM)
		fault_set(f, "store_unavailable", NULL, "%s: %s", name,
		    strerror(errno));
	else if (r != 0 || n != PSEUDONYM_KEY) {
		r = fault_set(f, "store_unavailable", NULL, "%s: expected a "
		    "regular file of %d bytes", name, PSEUDONYM_KEY);
	} else
		memcpy(key, s, PSEUDONYM_KEY);
	free(s);
	free(name);
	return (r);
}

/* Is it the number of an imported user? */
int
pseudonym_is_imported(int64_t uid)
{
	return (uid >= PSEUDONYM_IMPORTED && uid < PSEUDONYM_HELD);
}

/* Name a user. */
char *
pseudonym(const unsigned char *key, int64_t uid, const char *name)
{
	struct sha256	 s;
	char		 hex[SHA256_HEX], text[32];

	if (pseudonym_is_imported(uid) && name != NULL)
		return (xstrdup(name));
	snprintf(text, sizeof text, "%lld", (long long)uid);
	sha256_init(&s);
	sha256_add(&s, key, PSEUDONYM_KEY);
	sha256_add(&s, text, strlen(text));
	sha256_end(&s, hex);
	hex[PSEUDONYM_DIGITS] = '\0';
	return (xasprintf("user-%s", hex));
}
