/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-store backup and restore.  chatd runs them for operators.
 */
#include <config.h>
#include "stored.h"

#include <getopt.h>
#include <string.h>

#include "err.h"
#include "log.h"
#include "store.h"

/* Does it ask for a backup? */
int
stored_backup_wanted(int argc, char **argv)
{
	return (argc > 1 && (strcmp(argv[1], "backup") == 0 ||
	    strcmp(argv[1], "restore") == 0));
}

/* Make a backup, or have one restored. */
int
stored_backup(int argc, char **argv)
{
	static const struct option options[] = {
		{ "db", required_argument, NULL, 'd' },
		{ "file", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	const char	*path = NULL, *file = NULL;
	struct fault	 f = { 0 };
	int		 c, r, make = strcmp(argv[1], "backup") == 0;

	argv++;
	argc--;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd')
			path = optarg;
		else if (c == 'f')
			file = optarg;
		else
			return (stored_misuse(NULL));
	}
	if (optind != argc || path == NULL || (file == NULL) != make)
		return (stored_misuse(make ? "backup needs --db, and nothing "
		    "else" : "restore needs --db and --file"));
	r = make ? backup_make(path, stdout, &f) :
	    backup_stage(path, file, &f);
	if (r != 0)
		log_warnx("%s", f.message);
	return (r != 0);
}
