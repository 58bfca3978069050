/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads rule packs from memory, from a file or from a folder.
 */
#include "rules.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "yaml.h"

/* Add a pack from memory. */
int
rules_parse(struct rules *rs, const char *name, const char *text, size_t len,
    struct fault *f)
{
	struct ynode	*root;
	int		 r;

	if ((r = yaml_parse(name, text, len, &root, f)) != 0)
		return (r);
	r = rulepack_read(rs, name, root, f);
	ynode_free(root);
	return (r);
}

/* Add one file. */
static int
rules_load_file(struct rules *rs, const char *path, struct fault *f)
{
	struct ynode	*root;
	int		 r;

	if ((r = yaml_load(path, &root, f)) != 0)
		return (r);
	r = rulepack_read(rs, path, root, f);
	ynode_free(root);
	return (r);
}

/* Is this the file name of a pack? */
static int
rules_is_pack(const struct dirent *d)
{
	size_t	 n = strlen(d->d_name);

	return (d->d_name[0] != '.' && n > 5 &&
	    strcmp(d->d_name + n - 5, ".yaml") == 0);
}

/* Is this a file that was probably meant to be a pack? */
static int
rules_is_yml(const struct dirent *d)
{
	size_t	 n = strlen(d->d_name);

	return (d->d_name[0] != '.' && n > 4 &&
	    strcmp(d->d_name + n - 4, ".yml") == 0);
}

/* Note a file of the folder that is not read. */
static void
rules_note_yml(struct rules *rs, const char *path)
{
	struct dirent	**names;
	int		  n, i;

	n = scandir(path, &names, rules_is_yml, alphasort);
	for (i = 0; i < n; i++) {
		if (rs->unread == NULL)
			rs->unread = path_join(path, names[i]->d_name);
		free(names[i]);
	}
	if (n != -1)
		free(names);
}

/* Add a file or a folder. */
int
rules_load(struct rules *rs, const char *path, struct fault *f)
{
	struct dirent	**names;
	struct stat	  st;
	char		 *file;
	int		  n, i, r = 0;

	if (path[0] != '/')
		return (fault_set(f, "bad_config", "packs",
		    "packs: \"%.100s\" is not an absolute path", path));
	if (stat(path, &st) == -1) {
		fault_set(f, "bad_config", "packs", "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	if (!S_ISDIR(st.st_mode))
		return (rules_load_file(rs, path, f));
	if ((n = scandir(path, &names, rules_is_pack, alphasort)) == -1) {
		fault_set(f, "bad_config", "packs", "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	rules_note_yml(rs, path);
	if (n == 0)
		r = fault_set(f, "bad_config", "packs", "%s: no *.yaml in it",
		    path);
	for (i = 0; i < n; i++) {
		file = path_join(path, names[i]->d_name);
		if (r == 0)
			r = rules_load_file(rs, file, f);
		free(file);
		free(names[i]);
	}
	free(names);
	return (r);
}
