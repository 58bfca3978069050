/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where chatctl tune makes a model: the name of its folder, whether chatd will
 * be able to load it from there, and which models in the folder of --models are
 * not needed any more.
 */
#include "chatctl.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "path.h"
#include "xmalloc.h"

#define PLACE_NAME	"tuned-"	/* and the time */
#define PLACE_PART	".part"		/* chatd-tune works there */
#define PLACE_CHECK	".check-"	/* an empty folder, for chatd to see */
#define PLACE_KEEP	3		/* with --models, besides those that
					 * are in use */

/* ---- the name */

/* A new name, which begins as the others and ends with the time. Owned. */
static char *
place_new(void)
{
	char		 name[64];
	time_t		 now = time(NULL);
	struct tm	 tm;

	localtime_r(&now, &tm);
	strftime(name, sizeof name, PLACE_NAME "%Y%m%d-%H%M%S", &tm);
	return (xstrdup(name));
}

/* Is this a folder that an earlier run has made? */
static int
place_ours(const struct dirent *e)
{
	return (strncmp(e->d_name, PLACE_NAME, strlen(PLACE_NAME)) == 0 &&
	    isdigit((unsigned char)e->d_name[strlen(PLACE_NAME)]));
}

/* Does the name end so? */
static int
place_ends(const char *name, const char *end)
{
	const size_t	 n = strlen(name), m = strlen(end);

	return (n >= m && strcmp(name + n - m, end) == 0);
}

/* The name of a folder, without ".part" at its end. Owned. */
static char *
place_whole(const char *name)
{
	return (xstrndup(name, strlen(name) - strlen(PLACE_PART)));
}

/* Was this run killed when its model was complete? It can't go on. */
static int
place_over(const char *folder, const char *name)
{
	char		*whole = place_whole(name);
	char		*path = path_join(folder, whole);
	struct stat	 st;
	int		 yes = lstat(path, &st) == 0;

	free(whole);
	free(path);
	return (yes);
}

/* The newest run that was stopped in the folder, without ".part", or NULL.
 * Owned. */
static char *
place_stopped(const char *folder)
{
	struct dirent	**list;
	char		*name = NULL;
	int		 i, n = scandir(folder, &list, place_ours, alphasort);

	for (i = 0; i < n; i++) {
		if (place_ends(list[i]->d_name, PLACE_PART) &&
		    !place_over(folder, list[i]->d_name)) {
			free(name);
			name = place_whole(list[i]->d_name);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return (name);
}

/* Lock the folder in which a model is made. Returns a file, or -1,
 * reported. */
static int
place_lock(const char *folder)
{
	int	 fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return (fd);
	if (fd != -1 && errno == EWOULDBLOCK)
		term_error("tune: %s: another chatctl tune works there",
		    folder);
	else
		term_error("tune: %s: %s", folder, strerror(errno));
	if (fd != -1)
		close(fd);
	return (-1);
}

/* Choose the folder of the new model. */
int
tune_place(const struct options *o, char **out, int *lock)
{
	char	*name;

	*lock = -1;
	*out = NULL;
	if (o->output != NULL && *o->output == '\0') {
		term_error("tune: --output: is empty; expected the name of a "
		    "new folder");
		return (CTL_USAGE);
	}
	if (o->models == NULL) {
		*out = o->output != NULL ? xstrdup(o->output) : place_new();
		path_trim(*out);	/* other names begin with it */
		name = path_folder(*out);
		*lock = place_lock(name);
		free(name);
		if (*lock != -1)
			return (CTL_OK);
		free(*out);
		*out = NULL;
		return (CTL_REFUSED);
	}
	if (o->output != NULL) {
		term_error("tune: give --output or --models, not both");
		return (CTL_USAGE);
	}
	if ((*lock = place_lock(o->models)) == -1)
		return (CTL_REFUSED);
	if ((name = place_stopped(o->models)) == NULL)
		name = place_new();
	*out = path_join(o->models, name);
	free(name);
	return (CTL_OK);
}

/* ---- what is not needed any more */

/* Is this folder, or something in it, in use? */
static int
place_used(const json_t *used, const char *path)
{
	const json_t	*v;
	char		*real;
	size_t		 i, n = strlen(path);
	int		 yes = 0;

	json_array_foreach(used, i, v) {
		if ((real = realpath(json_string_value(v), NULL)) == NULL)
			continue;
		yes |= strncmp(real, path, n) == 0 &&
		    (real[n] == '\0' || real[n] == '/');
		free(real);
	}
	return (yes);
}

/* Remove what earlier runs have left in the folder, except what is in use, the
 * run that goes on, and the newest of the others. */
static void
place_tidy(const char *folder, const char *out, const json_t *used)
{
	struct dirent	**list;
	char		*real = realpath(folder, NULL), *path;
	const char	*name, *run = strrchr(out, '/');
	const size_t	 n = run == NULL ? 0 : strlen(run + 1);
	int		 i, kept = 0;

	if (real == NULL || run == NULL)
		i = 0;
	else
		i = scandir(real, &list, place_ours, alphasort);
	while (i-- > 0) {		/* the newest first */
		name = list[i]->d_name;
		path = path_join(real, name);
		if (strstr(name, TUNE_RATINGS) != NULL ||
		    strstr(name, PLACE_CHECK) != NULL ||
		    (place_ends(name, PLACE_PART) && place_over(real, name)))
			path_remove(path);	/* a killed run left it */
		else if ((strncmp(name, run + 1, n) != 0 ||
		    strcmp(name + n, PLACE_PART) != 0) &&
		    !place_used(used, path) && ++kept > PLACE_KEEP)
			path_remove(path);
		free(path);
		free(list[i]);
		if (i == 0)
			free(list);
	}
	free(real);
}

/* ---- whether chatd can load it */

/* Report why chatd could not load the new model. */
static void
place_refused(struct ctl *ctl, const json_t *end, const char *out,
    const char *probe)
{
	const char	*text = msg_string(end, "message");
	const char	*field = msg_string(end, "field");
	const size_t	 n = strlen(probe);

	if (text == NULL || field == NULL)
		link_report(ctl, end);
	else if (strcmp(field, "model") != 0)
		term_error("tune: chatd could not load the new model: %s; or "
		    "give --no-swap", text);
	else {
		term_error("tune: chatd could not load the new model from %s: "
		    "%s; a chatd that runs as a service sees neither home "
		    "folders nor /tmp: run this as root with -o "
		    "/srv/models/NAME, or give --no-swap", out,
		    strncmp(text, probe, n) == 0 && text[n] == ':' ?
		    text + n + 2 : text);
	}
}

/* Ask chatd if it can load a model from there, by an empty folder at its
 * place. *end is its answer, if that is yes. */
static int
place_ask(struct ctl *ctl, const char *out, json_t **end)
{
	json_t	*m = msg_op("reload", -1);
	char	*path = xasprintf("%s" PLACE_CHECK "%ld", out, (long)getpid());
	char	*real = NULL;
	int	 status = CTL_REFUSED;

	msg_set_bool(m, "check", 1);
	if (mkdir(path, 0755) == -1 || (real = realpath(path, NULL)) == NULL) {
		term_error("tune: %s: %s", path, strerror(errno));
		json_decref(m);
	} else {
		msg_set_string(m, "model", real);
		status = link_run(ctl, m, 0, NULL, NULL, end);
		if (status != CTL_OK) {
			place_refused(ctl, *end, out, real);
			json_decref(*end);
			*end = NULL;
		}
	}
	rmdir(path);
	free(path);
	free(real);
	return (status);
}

/* Before the training. */
int
tune_place_check(struct ctl *ctl, const char *out, const char *parent,
    int swaps)
{
	json_t	*m, *used, *end = NULL;
	int	 status = CTL_OK;

	if (ctl->opt.dry_run)
		return (CTL_OK);
	if (swaps)
		status = place_ask(ctl, out, &end);
	else if (ctl->opt.models != NULL) {
		m = msg_op("reload", -1);
		msg_set_bool(m, "check", 1);
		status = link_call(ctl, m, NULL, NULL, &end);
	}
	if (status == CTL_OK && ctl->opt.models != NULL) {
		used = json_copy(json_object_get(end, "used"));
		if (used == NULL)
			used = json_array();
		json_array_append_new(used, json_string_nocheck(parent));
		place_tidy(ctl->opt.models, out, used);
		json_decref(used);
	}
	json_decref(end);
	return (status);
}
