/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's sandbox, for an engine that chatd has started.  It is on before
 * the first byte of the model is read: the author of the model's files is
 * trusted with numbers only.
 */
#include "engine.h"

#include <sys/stat.h>

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "json.h"
#include "path.h"
#include "xmalloc.h"

/* Add the files of a folder: they may be links that lead out of it, as in the
 * cache of a download program. Returns the new number of paths. */
static size_t
engine_sandbox_links(const char *folder, struct landlock_path **paths, size_t n)
{
	struct dirent	*d;
	struct stat	 st;
	DIR		*dir;
	char		*path;

	if ((dir = opendir(folder)) == NULL)
		return (n);
	while ((d = readdir(dir)) != NULL) {
		path = path_join(folder, d->d_name);
		if (stat(path, &st) == -1 || !S_ISREG(st.st_mode)) {
			free(path);
			continue;
		}
		*paths = xreallocarray(*paths, n + 1, sizeof **paths);
		(*paths)[n++] = (struct landlock_path){ path, 0 };
	}
	closedir(dir);
	return (n);
}

/* Confine the engine to the model and the adapters that it is about to
 * open. */
void
engine_sandbox(const struct engine *e)
{
	enum confine_kind	 kind;
	struct landlock_path	*paths;
	const char		*path;
	json_t			*item;
	size_t			 i, n = 1;

	kind = strcmp(e->opt.device, "cpu") != 0 ? CONFINE_ENGINE_GPU :
	    e->opt.pin ? CONFINE_ENGINE_PIN : CONFINE_ENGINE;
	paths = xcalloc(1, sizeof *paths);
	paths[0].path = xstrdup(e->opt.model);
	n = engine_sandbox_links(e->opt.model, &paths, n);
	json_array_foreach(e->opt.adapters, i, item) {
		if ((path = msg_string(item, "path")) == NULL)
			continue;
		paths = xreallocarray(paths, n + 1, sizeof *paths);
		paths[n++] = (struct landlock_path){ xstrdup(path), 0 };
		n = engine_sandbox_links(path, &paths, n);
	}
	confine_self(kind, paths, n);
	for (i = 0; i < n; i++)
		free(paths[i].path);
	free(paths);
}
