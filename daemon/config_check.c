/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of the files and folders that chatd.yaml names: that they are there,
 * and that no other user can change them.  chatd runs them before a start and
 * a reload, and for -t.
 */
#include "chatd.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"

/* Check that only root and our user may write a file or folder. */
static int
config_check_owner(const char *what, const char *path, struct fault *f)
{
	const uid_t	 uid = geteuid();
	struct stat	 st;

	if (stat(path, &st) == -1)
		return (fault_set(f, "bad_config", what, "%s: %s", path,
		    strerror(errno)));
	if (st.st_uid != 0 && st.st_uid != uid)
		return (fault_set(f, "bad_config", what, "%s: belongs to uid "
		    "%u: it must belong to root or to uid %u", path,
		    (unsigned)st.st_uid, (unsigned)uid));
	/* In a sticky folder nobody can replace a file of another user. */
	if ((st.st_mode & (S_IWGRP|S_IWOTH)) != 0 &&
	    !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0))
		return (fault_set(f, "bad_config", what, "%s: others may write "
		    "it (mode %04o): chmod go-w", path,
		    (unsigned)st.st_mode & 07777));
	return (0);
}

/* Check the file that a path leads to, and its folder. */
int
config_trust(const char *path, struct fault *f)
{
	char	*real, *folder;
	int	 r;

	if ((real = realpath(path, NULL)) == NULL)
		return (fault_set(f, "bad_config", NULL, "%s: %s", path,
		    strerror(errno)));
	folder = path_folder(real);
	if ((r = config_check_owner(NULL, real, f)) == 0)
		r = config_check_owner(NULL, folder, f);
	free(folder);
	free(real);
	return (r);
}

/* Note an error if a file is missing or we may not use it so. */
static int
config_check_access(const struct config *c, struct config_errors *e,
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

/* Check that a model is a folder with a configuration, or a file. The engine
 * checks their content. */
int
config_check_model(const char *key, const char *model, struct fault *f)
{
	struct stat	 st;
	char		*path;
	int		 r = 0;

	if (access(model, R_OK) == -1)
		return (fault_set(f, "bad_config", key, "%s: %s: %s", key,
		    model, strerror(errno)));
	if (stat(model, &st) == -1 || !S_ISDIR(st.st_mode))
		return (0);
	path = path_join(model, "config.json");
	if (access(path, R_OK) == -1)
		r = fault_set(f, "bad_config", key, "%s: %s: %s", key, path,
		    strerror(errno));
	free(path);
	return (r);
}

/* Check a folder for a model. */
int
config_check_folder(const char *key, const char *path, struct fault *f)
{
	struct stat	 st;
	int		 r;

	if ((r = config_check_owner(key, path, f)) != 0)
		return (r);
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return (fault_set(f, "bad_config", key, "%s: not a folder",
		    path));
	if (access(path, R_OK | X_OK) == 0)
		return (0);
	return (fault_set(f, "bad_config", key, "%s: %s", path,
	    strerror(errno)));
}

/* Note an error if a model of the file can't be used. */
static void
config_check_models(const struct config *c, struct config_errors *e,
    const char *key, const char *model)
{
	struct fault	 why, f;

	if (config_check_model(key, model, &why) == 0)
		return;
	fault_set(&f, "bad_config", key, "%s%s%s",
	    c->file != NULL ? c->file : "", c->file != NULL ? ": " : "",
	    why.message);
	config_errors_add(e, &f);
}

/* Check that the adapters are there. The engine checks their content. */
static void
config_check_adapters(const struct config *c, struct config_errors *e)
{
	char	*path;
	size_t	 i;

	for (i = 0; i < c->nadapters; i++) {
		path = path_join(c->adapters[i].path, "adapter_config.json");
		config_check_access(c, e, "model.adapters", path, R_OK);
		free(path);
	}
}

/* Check the files that a configuration names. */
int
config_check(const struct config *c, json_t *errors, struct fault *f)
{
	struct config_errors	 e = { .list = errors };
	struct fault		 why;
	size_t			 i;

	config_check_access(c, &e, "engine.program", c->engine_program, X_OK);
	config_check_access(c, &e, "filter.program", c->filter_program, X_OK);
	config_check_access(c, &e, "store.program", c->store_program, X_OK);
	if (c->model_chosen == NULL)	/* else configure.c has checked it */
		config_check_models(c, &e, "model.path", c->model_path);
	config_check_adapters(c, &e);
	if (c->judge_enabled && c->judge_model[0] != '\0')
		config_check_models(c, &e, "judge.model", c->judge_model);
	for (i = 0; i < c->nfilters; i++)
		config_check_access(c, &e, "filters", c->filters[i].path, R_OK);
	/* A missing state folder is created later. */
	if (access(c->state_dir, F_OK) == 0 && config_check_owner(
	    "state_dir", c->state_dir, &why) != 0)
		config_errors_add(&e, &why);
	return (config_errors_end(&e, f));
}
