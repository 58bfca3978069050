/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of files, OUT.part: what users have said is in it, so it must be
 * ours and nobody else's, and only one process may work in it.
 */
#include "feedback.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "xmalloc.h"

#define WORK_RECIPE_MAX	((size_t)1 << 20)

/* A system call has failed. */
static int
work_failed(const struct feedback *t, struct fault *f)
{
	(void)fault_set(f, "system", NULL, "%s: %s", t->work,
	    strerror(errno));
	return (CHAT_ESYSTEM);
}

/* Open the folder; a link to one will not do. */
static int
work_dir(struct feedback *t, struct fault *f)
{
	struct stat	 st;
	int		 link = lstat(t->work, &st) == 0 &&
			    S_ISLNK(st.st_mode);

	t->lock = open(t->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (t->lock == -1 && (errno == ENOTDIR || errno == ELOOP))
		return (fault_set(f, "bad_config", "out", "%s: is %s; expected "
		    "a folder, or nothing", t->work, link ? "a symbolic link" :
		    "no folder"));
	return (t->lock == -1 ? work_failed(t, f) : 0);
}

/* Is it ours, and can nobody else use it? */
static int
work_ours(const struct feedback *t, struct fault *f)
{
	struct stat	 st;

	if (fstat(t->lock, &st) == -1)
		return (work_failed(t, f));
	if (st.st_uid != geteuid())
		return (fault_set(f, "bad_config", "out", "%s: belongs to uid "
		    "%ld; expected %ld", t->work, (long)st.st_uid,
		    (long)geteuid()));
	if ((st.st_mode & 077) != 0)
		return (fault_set(f, "bad_config", "out", "%s: has the mode "
		    "%04o; expected 0700", t->work,
		    (unsigned)st.st_mode & 07777));
	return (0);
}

/* Lock it. It must still be there then: who worked there may have removed
 * it. */
static int
work_lock(const struct feedback *t, struct fault *f)
{
	struct stat	 a, b;

	if (flock(t->lock, LOCK_EX | LOCK_NB) == -1 && errno != EWOULDBLOCK)
		return (work_failed(t, f));
	if (flock(t->lock, LOCK_EX | LOCK_NB) == -1 ||
	    fstat(t->lock, &a) == -1 || lstat(t->work, &b) == -1 ||
	    a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return (fault_set(f, "bad_config", "out", "%s: another "
		    "chatd-tune works there", t->work));
	return (0);
}

/* Open, check and lock a folder that is there. */
static int
work_take(struct feedback *t, struct fault *f)
{
	int	 r;

	if ((r = work_dir(t, f)) == 0 && (r = work_ours(t, f)) == 0)
		r = work_lock(t, f);
	if (r != 0 && t->lock != -1) {
		close(t->lock);
		t->lock = -1;
	}
	return (r);
}

/* Is there a file or folder of this name? */
static int
work_has(const char *dir, const char *name)
{
	char		*path = path_join(dir, name);
	struct stat	 st;
	int		 yes = lstat(path, &st) == 0;

	free(path);
	return (yes);
}

/* Make the folder, or take it. */
int
feedback_work_open(struct feedback *t, struct fault *f)
{
	char	*dir = path_folder(t->work), *from, *to;
	int	 r = path_mkdirs(dir, 0700);

	free(dir);
	if (r != 0 || (mkdir(t->work, 0700) == -1 && errno != EEXIST))
		return (work_failed(t, f));
	if ((r = work_take(t, f)) != 0)
		return (r);
	if (work_has(t->work, "checkpoint")) {
		/* A run was killed when it was about to publish. */
		from = path_join(t->work, "checkpoint");
		to = path_join(t->made, "checkpoint");
		(void)rename(from, to);
		free(from);
		free(to);
	}
	return (0);
}

/* Remove what was made by another recipe. This comes before the new recipe is
 * written: a checkpoint always belongs to the recipe beside it. */
int
feedback_work_begin(const struct feedback *t)
{
	char	*path = path_join(t->work, "recipe.yaml"), *text;
	size_t	 n;
	int	 same = 0, removed = 0;

	if (path_read(path, WORK_RECIPE_MAX, &text, &n) == 0) {
		same = strcmp(text, t->recipe) == 0;
		free(text);
	}
	free(path);
	if (!same) {
		path = path_join(t->made, "checkpoint");
		removed = unlink(path) == 0;
		free(path);
		path_remove(t->made);
		path_remove(t->whole);
	}
	return (removed);
}

/* Remove the folder if it has no training to continue. */
void
feedback_work_drop(const struct feedback *t)
{
	if (t->lock != -1 && !work_has(t->made, "checkpoint"))
		path_remove(t->work);
}

/* Remove what a run has left that was killed after it had published. */
void
feedback_work_left(struct feedback *t)
{
	if (work_has(t->o->out, "lineage.json") &&
	    !work_has(t->work, "model") && work_take(t, NULL) == 0)
		path_remove(t->work);
}
