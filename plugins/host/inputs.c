/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that the options of a plugin name: models and rule packs. They
 * decide what is blocked, so the same users may write them as plugins, and
 * chatd reports a digest of each.
 */
#include "filter.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "path.h"
#include "xmalloc.h"

#define INPUTS_BYTES	(1024LL * 1024 * 1024)	/* more has no digest */

/* Check that only root and our user may write a file or folder. A group with
 * the number of its owner is the private group of this user. In a sticky folder
 * nobody can replace a file of another user. */
static int
inputs_trusted(const char *path, struct fault *f)
{
	struct stat	 st;

	if (stat(path, &st) == -1) {
		fault_set(f, "bad_plugin", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		fault_set(f, "bad_plugin", NULL, "%s: belongs to uid %u; it "
		    "must belong to root or to uid %u", path,
		    (unsigned)st.st_uid, (unsigned)geteuid());
		return (CHAT_EDENIED);
	}
	if (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0)
		return (0);
	if ((st.st_mode & S_IWOTH) != 0 ||
	    ((st.st_mode & S_IWGRP) != 0 && st.st_gid != st.st_uid)) {
		fault_set(f, "bad_plugin", NULL, "%s: has mode %04o: it must "
		    "be writable by its owner alone (chmod go-w)", path,
		    (unsigned)(st.st_mode & 07777));
		return (CHAT_EDENIED);
	}
	return (0);
}

/* Add the bytes of a file to a digest. Returns 0 if all of it is in there. */
static int
inputs_hash(const char *path, struct sha256 *s, int64_t *left)
{
	struct stat	 st;
	char		 buf[16384];
	ssize_t		 n = -1;
	int		 fd;

	fd = open(path, O_RDONLY|O_CLOEXEC|O_NONBLOCK);
	if (fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		while (*left >= 0 && (n = read(fd, buf, sizeof buf)) > 0) {
			sha256_add(s, buf, (size_t)n);
			*left -= n;
		}
	}
	if (fd != -1)
		close(fd);
	return (n == 0 ? 0 : -1);
}

/* Is this a file of a folder that counts? */
static int
inputs_is_pack(const struct dirent *d)
{
	size_t	 n = strlen(d->d_name);

	return (d->d_name[0] != '.' && n > 5 &&
	    strcmp(d->d_name + n - 5, ".yaml") == 0);
}

/* Check the packs of a folder, and add their names and bytes to a digest. A
 * folder that can't be read is left to the plugin. Returns 0 or an error with
 * *f filled; *whole becomes 0 if a file can't be read. */
static int
inputs_folder(const char *path, struct sha256 *s, int64_t *left, int *whole,
    struct fault *f)
{
	struct dirent	**names;
	char		 *file;
	int		  n, i, r = 0;

	if ((n = scandir(path, &names, inputs_is_pack, alphasort)) == -1) {
		*whole = 0;
		return (0);
	}
	for (i = 0; i < n; i++) {
		file = path_join(path, names[i]->d_name);
		if (r == 0)
			r = inputs_trusted(file, f);
		sha256_add(s, names[i]->d_name, strlen(names[i]->d_name) + 1);
		if (r == 0 && inputs_hash(file, s, left) != 0)
			*whole = 0;
		free(file);
		free(names[i]);
	}
	free(names);
	return (r);
}

/* Take one file or folder. What is not there is left to the plugin. */
static int
inputs_path(const char *path, json_t *list, struct fault *f)
{
	int64_t		 left = INPUTS_BYTES;
	struct sha256	 s;
	struct stat	 st;
	char		 digest[SHA256_HEX], *real, *folder;
	json_t		*o;
	int		 r, whole = 1;

	if ((real = realpath(path, NULL)) == NULL)
		return (0);
	folder = path_folder(real);
	if (stat(real, &st) == -1 ||
	    (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		r = 0;
		goto out;
	}
	sha256_init(&s);
	if ((r = inputs_trusted(real, f)) != 0)
		goto out;
	if (S_ISDIR(st.st_mode))
		r = inputs_folder(real, &s, &left, &whole, f);
	else if ((r = inputs_trusted(folder, f)) == 0)
		whole = inputs_hash(real, &s, &left) == 0;
	sha256_end(&s, digest);
	if (r != 0)
		goto out;
	o = json_object();
	msg_set_string(o, "path", path);
	if (whole)
		msg_set_string(o, "digest", digest);
	json_array_append_new(list, o);
out:
	free(folder);
	free(real);
	return (r);
}

/* Take the paths of an option's text (parts between colons). */
static int
inputs_text(struct sandbox *sb, const char *text, json_t *list,
    struct fault *f)
{
	char	*copy, *s, *save;
	int	 r = 0;

	if (text == NULL)
		return (0);
	copy = xstrdup(text);
	for (s = strtok_r(copy, ":", &save); r == 0 && s != NULL;
	    s = strtok_r(NULL, ":", &save)) {
		if (s[0] != '/')
			continue;
		sandbox_allow_read(sb, s);
		r = inputs_path(s, list, f);
	}
	free(copy);
	return (r);
}

/* Make the files of the options readable, check and list them. */
int
inputs_allow(struct sandbox *sb, const json_t *options, json_t *list,
    struct fault *f)
{
	const char	*key;
	const json_t	*v;
	size_t		 i;
	int		 r = 0;

	json_object_foreach((json_t *)(uintptr_t)options, key, v) {
		if (r == 0)
			r = inputs_text(sb, json_string_value(v), list, f);
		for (i = 0; r == 0 && i < json_array_size(v); i++)
			r = inputs_text(sb, json_string_value(
			    json_array_get(v, i)), list, f);
	}
	return (r);
}
