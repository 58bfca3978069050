/*
 * What chatd.yaml names must be there: looked at before a start or a reload,
 * and by chatd -t.
 */
#include "chatd.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"

/* Is there such a file, with that access? */
static int
config_access(const char *key, const char *path, int mode, struct fault *f)
{
	if (access(path, mode) == 0)
		return (0);
	return (fault_set(f, "bad_config", key, "%s: %s: %s", key, path,
	    strerror(errno)));
}

/* Is there a model: a folder with its configuration, or a file? What is in it
 * the engine will tell. */
static int
config_model(const char *model, struct fault *f)
{
	struct stat	 st;
	char		*path;
	int		 r;

	if ((r = config_access("model.path", model, R_OK, f)) != 0 ||
	    stat(model, &st) == -1 || !S_ISDIR(st.st_mode))
		return (r);
	path = path_join(model, "config.json");
	r = config_access("model.path", path, R_OK, f);
	free(path);
	return (r);
}

/* Look at the files that a configuration names. */
int
config_check(const struct config *c, struct fault *f)
{
	size_t	 i;
	int	 r;

	if ((r = config_access("engine.program", c->engine_program, X_OK,
	    f)) != 0 ||
	    (r = config_access("filter.program", c->filter_program, X_OK,
	    f)) != 0 ||
	    (r = config_access("store.program", c->store_program, X_OK,
	    f)) != 0 ||
	    (r = config_model(c->model_path, f)) != 0)
		return (r);
	for (i = 0; r == 0 && i < c->nfilters; i++)
		r = config_access("filters", c->filters[i].path, R_OK, f);
	return (r);
}
