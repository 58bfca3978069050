/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-store export: one export, to standard output or to files, and the usage
 * of the program.  chatd runs it for each export of a client.
 */
#include <config.h>
#include "stored.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export.h"
#include "exportfile.h"
#include "json.h"
#include "log.h"
#include "xmalloc.h"

#define STORED_NOBODY	(-2)	/* no user has this number */
#define STORED_CODE	256	/* getopt_long returns this plus the row */

enum stored_kind { STORED_TEXT, STORED_TIME, STORED_NUMBER, STORED_FLAG };

/* What the command line says. */
struct stored_ask {
	struct export_options	 opt;
	const char		*path, *output;
	const char		*uid, *name;	/* uid: digits */
	int			 all;
};

#define AT(member)	offsetof(struct stored_ask, member)
static const struct stored_option {
	const char		*name;
	enum stored_kind	 kind;
	size_t			 offset;
	const char		*value, *help;
} stored_options[] = {
	{ "db", STORED_TEXT, AT(path), "PATH", "the database" },
	{ "uid", STORED_TEXT, AT(uid), "N", "the data of this user" },
	{ "name", STORED_TEXT, AT(name), "NAME",
	    "nothing, if this user had another name before" },
	{ "all", STORED_FLAG, AT(all), NULL, "the data of all users" },
	{ "format", STORED_TEXT, AT(opt.format), "NAME", NULL },
	{ "export", STORED_TEXT, AT(opt.format), "NAME", "the same" },
	{ "output", STORED_TEXT, AT(output), "FILE",
	    "a new file and its manifest; .gz and .zst compress" },
	{ "since", STORED_TIME, AT(opt.since), "TIME",
	    "replies from then on: 2026-11-29, 2026-11-29T18:00 (UTC)" },
	{ "until", STORED_TIME, AT(opt.until), "TIME",
	    "replies before then" },
	{ "rating", STORED_TEXT, AT(opt.rating), "WORD", NULL },
	{ "reason", STORED_TEXT, AT(opt.reason), "WORD",
	    "replies rated for this reason" },
	{ "category", STORED_TEXT, AT(opt.category), "WORD",
	    "replies with such a finding" },
	{ "model", STORED_TEXT, AT(opt.model), "NAME",
	    "replies of this model, also a digest" },
	{ "user", STORED_TEXT, AT(opt.user), "NAME",
	    "with --all: only this user" },
	{ "split", STORED_TEXT, AT(opt.split), "WORD", NULL },
	{ "heldout", STORED_NUMBER, AT(opt.heldout), "N",
	    "hold out N of 100 conversations (10)" },
	{ "consent", STORED_FLAG, AT(opt.consent), NULL,
	    "only of users who have agreed to training" },
	{ "unique", STORED_FLAG, AT(opt.unique), NULL,
	    "write equal rows once" },
	{ "bare", STORED_FLAG, AT(opt.bare), NULL,
	    "no metadata in the rows" },
	{ "sidecar", STORED_FLAG, AT(opt.sidecar), NULL,
	    "only the metadata, for the rows of --bare" },
	{ "trailer", STORED_FLAG, AT(opt.trailer), NULL,
	    "a NUL and the manifest at the end" },
};
#undef AT

static int	stored_time(const char *, int64_t *);
static int	stored_set(struct stored_ask *, const struct stored_option *,
		    const char *);
static int	stored_whose(struct stored_ask *);
static int	stored_file(const struct stored_ask *, struct fault *);

/* Does it ask for an export? */
int
stored_export_wanted(int argc, char **argv)
{
	int	i;

	if (argc > 1 && strcmp(argv[1], "export") == 0)
		return (1);
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "--version") == 0)
			return (0);
	}
	return (argc > 1 && strncmp(argv[1], "--", 2) == 0);
}

/* Print the usage. */
void
stored_usage(FILE *to)
{
	const struct stored_option	*o;
	char				*list;
	char				 name[32];
	size_t				 i;

	fputs("usage: chatd-store\n"
	    "       chatd-store export --db PATH --uid N | --all "
	    "[OPTION ...]\n"
	    "       chatd-store backup --db PATH\n"
	    "       chatd-store restore --db PATH --file NAME\n"
	    "       chatd-store --help | --version\n\n"
	    "Keeps the database of chatd. Requests and answers are JSON lines "
	    "on standard input\nand output. With \"export\" it writes an "
	    "export to standard output or to a file\ninstead, also while "
	    "chatd runs. With \"backup\" it copies the database into the "
	    "folder backup beside it;\nwith \"restore\" the next start takes "
	    "this file of that folder.\n\n", to);
	for (i = 0; i < nitems(stored_options); i++) {
		o = &stored_options[i];
		snprintf(name, sizeof name, "--%s %s", o->name,
		    o->value != NULL ? o->value : "");
		list = NULL;
		if (o->help == NULL)
			list = vocabulary_list(strcmp(o->name, "format") == 0 ?
			    vocabulary_formats : strcmp(o->name, "split") ==
			    0 ? vocabulary_splits : vocabulary_choices, "or");
		fprintf(to, "  %-17s %s\n", name, list != NULL ? list :
		    o->help);
		free(list);
	}
}

/* Report a wrong command line. */
int
stored_misuse(const char *why)
{
	if (why != NULL)
		fprintf(stderr, "chatd-store: %s\n", why);
	fputs("Try 'chatd-store --help'.\n", stderr);
	return (2);
}

/* Read a time: "@" and milliseconds, or a date and perhaps a time in UTC.
 * Returns 0 or -1. */
static int
stored_time(const char *s, int64_t *ms)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M",
	    "%Y-%m-%dT%H:%M:%S" };
	const char	*end;
	struct tm	 tm;
	size_t		 i;
	char		*p;

	if (*s == '@' && s[1] >= '0' && s[1] <= '9') {
		*ms = strtoll(s + 1, &p, 10);
		return (*p == '\0' ? 0 : -1);
	}
	for (i = 0; i < nitems(forms); i++) {
		memset(&tm, 0, sizeof tm);
		end = strptime(s, forms[i], &tm);
		if (end != NULL && *end == '\0') {
			*ms = (int64_t)timegm(&tm) * 1000;
			return (0);
		}
	}
	return (-1);
}

/* Set an option. Returns 0, or the exit status, reported. */
static int
stored_set(struct stored_ask *ask, const struct stored_option *o,
    const char *value)
{
	char		*at = (char *)ask + o->offset, *end;
	struct fault	 f;
	long long	 n;

	switch (o->kind) {
	case STORED_TEXT:
		memcpy(at, &value, sizeof value);
		return (0);
	case STORED_FLAG:
		*(int *)(void *)at = 1;
		return (0);
	case STORED_TIME:
		if (stored_time(value, (int64_t *)(void *)at) == 0)
			return (0);
		fault_set(&f, NULL, NULL, "--%s: \"%s\" is not a time such as "
		    "2026-11-29 or 2026-11-29T18:00", o->name, value);
		return (stored_misuse(f.message));
	case STORED_NUMBER:
		n = strtoll(value, &end, 10);
		if (*value >= '0' && *value <= '9' && *end == '\0') {
			*(int64_t *)(void *)at = n;
			return (0);
		}
		break;
	}
	fault_set(&f, NULL, NULL, "--%s: \"%s\" is not a number", o->name,
	    value);
	return (stored_misuse(f.message));
}

/* Whose data? Returns 0, or the exit status, reported. */
static int
stored_whose(struct stored_ask *ask)
{
	int	held;

	ask->opt.uid = -1;
	if (ask->uid != NULL) {
		ask->opt.uid = export_number(ask->uid);
		if (ask->opt.uid == -1)
			return (stored_misuse("--uid: not a uid"));
	}
	if (ask->opt.format == NULL)
		return (stored_misuse("an export needs --export or "
		    "--format"));
	if (ask->path == NULL || (ask->uid != NULL) + ask->all != 1)
		return (stored_misuse("an export needs --db, and either "
		    "--uid or --all"));
	/* What a user of another name has stored belongs to that one. */
	held = store_file_is_held(ask->path, ask->opt.uid, ask->name);
	if (held)
		ask->opt.uid = STORED_NOBODY;
	return (0);
}

/* Write the export to files. Returns 0 or an error. */
static int
stored_file(const struct stored_ask *ask, struct fault *f)
{
	struct outfile	*o;
	json_t		*manifest = NULL;
	FILE		*out;
	int		 r;

	if ((r = exportfile_free(ask->output, ask->opt.format, f)) != 0 ||
	    (r = outfile_new(ask->output, &o, f)) != 0)
		return (r);
	out = outfile_stream(o);
	r = export_make(&ask->opt, ask->path, out, &manifest, f);
	fclose(out);
	if (r != 0)
		outfile_drop(o);
	else
		r = exportfile_end(o, ask->output, ask->opt.format, manifest,
		    f);
	json_decref(manifest);
	return (r);
}

/* Read the command line, and write the export. */
int
stored_export(int argc, char **argv)
{
	struct stored_ask	ask = { .opt = { .heldout = 10 } };
	struct option		options[nitems(stored_options) + 1] = { 0 };
	struct fault		f = { 0 };
	size_t			i;
	int			c, r;

	for (i = 0; i < nitems(stored_options); i++)
		options[i] = (struct option){ stored_options[i].name,
		    stored_options[i].kind == STORED_FLAG ? no_argument :
		    required_argument, NULL, STORED_CODE + (int)i };
	if (strcmp(argv[1], "export") == 0) {
		argv++;
		argc--;
	}
	while ((c = getopt_long(argc, argv, "o:f:", options, NULL)) != -1) {
		if (c == 'o')
			ask.output = optarg;
		else if (c == 'f')
			ask.opt.format = optarg;
		else if (c < STORED_CODE)
			return (stored_misuse(NULL));
		else if ((r = stored_set(&ask, &stored_options[c -
		    STORED_CODE], optarg)) != 0)
			return (r);
	}
	if (optind != argc)
		return (stored_misuse("no arguments are taken"));
	if ((r = stored_whose(&ask)) != 0)
		return (r);
	if (export_check(&ask.opt, &f) != 0)
		return (stored_misuse(f.message));
	if (ask.output != NULL && strcmp(ask.output, "-") != 0)
		r = stored_file(&ask, &f);
	else
		r = export_make(&ask.opt, ask.path, stdout, NULL, &f);
	if (r != 0 && r != CHAT_ECLOSED)
		log_warnx("%s", f.message);
	return (r != 0);
}
