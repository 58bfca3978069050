/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What chatd.yaml names must be there, and nobody else may change it: looked
 * at before a start or a reload, and by chatd -t.
 */
#include "chatd.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"

/* Who may write one file or folder. */
int
config_trust_one(const char *what, const char *path, uid_t uid,
    struct fault *f)
{
	struct stat	 st;

	if (stat(path, &st) == -1)
		return (fault_set(f, "bad_config", what, "%s: %s", path,
		    strerror(errno)));
	if (st.st_uid != 0 && st.st_uid != uid)
		return (fault_set(f, "bad_config", what, "%s: belongs to uid "
		    "%u: it must belong to root or to uid %u", path,
		    (unsigned)st.st_uid, (unsigned)uid));
	/* In a sticky folder nobody can replace what is another's. */
	if ((st.st_mode & (S_IWGRP|S_IWOTH)) != 0 &&
	    !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0))
		return (fault_set(f, "bad_config", what, "%s: others may write "
		    "it (mode %04o): chmod go-w", path,
		    (unsigned)st.st_mode & 07777));
	return (0);
}

/* A file, where links lead, and the folder that it is in. */
int
config_trust(const char *path, struct fault *f)
{
	char	*real, *folder;
	int	 r;

	if ((real = realpath(path, NULL)) == NULL)
		return (fault_set(f, "bad_config", NULL, "%s: %s", path,
		    strerror(errno)));
	folder = path_folder(real);
	if ((r = config_trust_one(NULL, real, geteuid(), f)) == 0)
		r = config_trust_one(NULL, folder, geteuid(), f);
	free(folder);
	free(real);
	return (r);
}

/* Is there such a file, with that access? Else note it. */
static int
config_access(const struct config *c, struct config_errors *e,
    const char *key, const char *path, int mode)
{
	struct fault	 f;

	if (access(path, mode) == 0)
		return (1);
	fault_set(&f, "bad_config", key, "%s%s%s: %s: %s",
	    c->file != NULL ? c->file : "", c->file != NULL ? ": " : "", key,
	    path, strerror(errno));
	config_errors_add(e, &f);
	return (0);
}

/* Is there a model: a folder with its configuration, or a file? What is in it
 * the engine will tell. */
static void
config_model(const struct config *c, struct config_errors *e)
{
	struct stat	 st;
	char		*path;

	if (!config_access(c, e, "model.path", c->model_path, R_OK) ||
	    stat(c->model_path, &st) == -1 || !S_ISDIR(st.st_mode))
		return;
	path = path_join(c->model_path, "config.json");
	config_access(c, e, "model.path", path, R_OK);
	free(path);
}

/* Look at what a configuration names. */
int
config_check(const struct config *c, json_t *errors, struct fault *f)
{
	struct config_errors	 e = { .list = errors };
	struct fault		 why;
	size_t			 i;

	config_access(c, &e, "engine.program", c->engine_program, X_OK);
	config_access(c, &e, "filter.program", c->filter_program, X_OK);
	config_access(c, &e, "store.program", c->store_program, X_OK);
	config_model(c, &e);
	for (i = 0; i < c->nfilters; i++)
		config_access(c, &e, "filters", c->filters[i].path, R_OK);
	/* One that is not there yet is made. */
	if (access(c->state_dir, F_OK) == 0 && config_trust_one("state_dir",
	    c->state_dir, geteuid(), &why) != 0)
		config_errors_add(&e, &why);
	return (config_errors_end(&e, f));
}
