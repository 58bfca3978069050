/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.json in the state folder: the model that serves, the one before, and
 * whether an operator has chosen it. reload.c decides what is remembered.
 */
#include "choice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "path.h"
#include "xmalloc.h"

#define CHOICE_FILE	"model.json"
#define CHOICE_NEW	"model.json.new"	/* renamed when it is whole */
#define CHOICE_MAX	65536			/* bytes of the file */

/* Release what is remembered. */
void
choice_clear(struct choice *c)
{
	free(c->configured);
	free(c->current.path);
	free(c->current.digest);
	free(c->previous.path);
	free(c->previous.digest);
	memset(c, 0, sizeof *c);
}

/* Take a model from the object at key. Returns 0, or -1 if it has no path. */
static int
choice_take(const json_t *o, const char *key, struct choice_model *m)
{
	const json_t	*v = json_object_get(o, key);
	const char	*path = msg_string(v, "path");

	if (v == NULL)
		return (0);
	if (path == NULL || path[0] == '\0')
		return (-1);
	m->path = xstrdup(path);
	m->digest = xstrdup(msg_string(v, "digest"));
	return (0);
}

/* Read what is remembered. */
int
choice_read(const char *state_dir, struct choice *c, struct fault *f)
{
	char	*name = path_join(state_dir, CHOICE_FILE), *text = NULL;
	json_t	*o = NULL;
	size_t	 len;
	int	 r;

	memset(c, 0, sizeof *c);
	if ((r = path_read(name, CHOICE_MAX, &text, &len)) != 0) {
		if (r == CHAT_ESYSTEM && errno == ENOENT)
			r = CHAT_ENOTFOUND;
		else
			fault_set(f, "bad_config", NULL, "%s: %s", name,
			    r == CHAT_ESYSTEM ? strerror(errno) :
			    chat_strerror(r));
		goto out;
	}
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	c->configured = xstrdup(msg_string(o, "configured"));
	c->chosen = json_is_true(json_object_get(o, "chosen"));
	if (c->configured == NULL || choice_take(o, "current", &c->current) !=
	    0 || choice_take(o, "previous", &c->previous) != 0 ||
	    c->current.path == NULL) {
		choice_clear(c);
		r = fault_set(f, "bad_config", NULL, "%s: expected an object "
		    "with \"configured\" and \"current\", found something "
		    "else", name);
	}
out:
	json_decref(o);
	free(text);
	free(name);
	return (r);
}

/* Make the object of a model; NULL if there is none. */
static json_t *
choice_object(const struct choice_model *m)
{
	json_t	*o;

	if (m->path == NULL)
		return (NULL);
	o = json_object();
	msg_set_string(o, "path", m->path);
	msg_set_string(o, "digest", m->digest);
	return (o);
}

/* Write all bytes, and wait until the disk has them. */
static int
choice_put(int fd, const char *s, size_t n)
{
	ssize_t	 k;

	while (n > 0) {
		k = write(fd, s, n);
		if (k == -1 && errno == EINTR)
			continue;
		if (k == -1)
			return (CHAT_ESYSTEM);
		s += k;
		n -= (size_t)k;
	}
	return (fsync(fd) == -1 ? CHAT_ESYSTEM : 0);
}

/* Replace the file in the folder dir by these bytes. */
static int
choice_replace(int dir, const char *s, size_t n)
{
	int	 fd, r, e;

	fd = openat(dir, CHOICE_NEW,
	    O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC|O_NOFOLLOW, 0600);
	if (fd == -1)
		return (CHAT_ESYSTEM);
	r = choice_put(fd, s, n);
	e = errno;
	close(fd);
	if (r == 0) {
		r = renameat(dir, CHOICE_NEW, dir, CHOICE_FILE) == -1 ||
		    fsync(dir) == -1 ? CHAT_ESYSTEM : 0;
		e = errno;
	}
	if (r != 0)
		unlinkat(dir, CHOICE_NEW, 0);
	errno = e;
	return (r);
}

/* Replace what is remembered. */
int
choice_write(const char *state_dir, const struct choice *c, struct fault *f)
{
	json_t	*o = json_object();
	char	*line;
	size_t	 n;
	int	 dir, r;

	msg_set_bool(o, "chosen", c->chosen);
	msg_set_string(o, "configured", c->configured);
	msg_set(o, "current", choice_object(&c->current));
	msg_set(o, "previous", choice_object(&c->previous));
	line = msg_line(o, &n);
	json_decref(o);
	dir = open(state_dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
	r = dir == -1 ? CHAT_ESYSTEM : choice_replace(dir, line, n);
	if (r != 0)
		fault_set(f, "bad_config", "state_dir", "state_dir: %s/%s "
		    "can't be written: %s", state_dir, CHOICE_FILE,
		    strerror(errno));
	if (dir != -1)
		close(dir);
	free(line);
	return (r);
}
