/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl import: stores the rows of exports.
 */
#include "chatctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "utf8.h"
#include "xmalloc.h"

/* What was imported. */
struct import {
	int64_t	 rows, stored, known, deleted, bad;
};

static void	import_event(void *, const json_t *);
static int	import_row(struct ctl *, const char *, int64_t, const char *,
		    size_t, struct import *);
static int	import_file(struct ctl *, const char *, struct import *);

/* No event comes before the last one. */
static void
import_event(void *arg, const json_t *event)
{
	(void)arg;
	(void)event;
}

/* Send one row. A bad row is reported, and the others still count. */
static int
import_row(struct ctl *ctl, const char *name, int64_t line, const char *s,
    size_t n, struct import *im)
{
	json_t	*m, *end;
	int	 status;

	if (!utf8_valid(s, n) || memchr(s, '\0', n) != NULL) {
		term_error("%s:%lld: not UTF-8", name, (long long)line);
		im->bad++;
		return (CTL_OK);
	}
	m = msg_op("import", -1);
	msg_set_text(m, "row", s, n);
	status = link_run(ctl, m, 0, import_event, NULL, &end);
	if (status == CTL_OK) {
		im->rows++;
		im->stored += msg_int(end, "stored", 0);
		im->known += msg_int(end, "known", 0);
		im->deleted += json_is_true(json_object_get(end, "deleted"));
	} else if (end != NULL) {
		term_error("%s:%lld: %s", name, (long long)line,
		    msg_string(end, "message"));
		im->bad++;
		if (strcmp(msg_string(end, "code"), "bad_field") == 0)
			status = CTL_OK;
	} else if (status == CTL_USAGE) {	/* too long to be sent */
		term_error("%s:%lld: %s", name, (long long)line, ctl->lost);
		ctl->lost[0] = '\0';
		im->bad++;
		status = CTL_OK;
	} else
		link_report(ctl, NULL);
	json_decref(end);
	return (status);
}

/* Send the rows of a file; "-" is standard input. */
static int
import_file(struct ctl *ctl, const char *name, struct import *im)
{
	FILE	*in = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
	char	*line = NULL;
	size_t	 size = 0;
	ssize_t	 n;
	int64_t	 i = 0;
	int	 status = CTL_OK;

	if (in == NULL) {
		term_error("%s: %s", name, strerror(errno));
		return (CTL_REFUSED);
	}
	while (status == CTL_OK && (n = getline(&line, &size, in)) != -1) {
		i++;
		if (n > 0 && line[n - 1] == '\n')
			n--;
		if (n > 0)
			status = import_row(ctl, name, i, line, (size_t)n, im);
	}
	if (status == CTL_OK && ferror(in)) {
		term_error("%s: %s", name, strerror(errno));
		status = CTL_REFUSED;
	}
	free(line);
	if (in != stdin)
		fclose(in);
	return (status);
}

/* chatctl import FILE... */
int
cmd_import(struct ctl *ctl, int argc, char **argv)
{
	struct import	 im = { 0, 0, 0, 0, 0 };
	json_t		*o;
	int		 i, status;

	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	for (i = 0; status == CTL_OK && i < argc; i++)
		status = import_file(ctl, argv[i], &im);
	if (ctl->opt.json) {
		o = json_object();
		msg_set_int(o, "rows", im.rows);
		msg_set_int(o, "stored", im.stored);
		msg_set_int(o, "known", im.known);
		msg_set_int(o, "deleted", im.deleted);
		msg_set_int(o, "bad", im.bad);
		term_json(o);
		json_decref(o);
	} else
		printf("%lld rows: %lld replies stored, %lld known, %lld "
		    "conversations deleted here, %lld bad rows\n",
		    (long long)im.rows, (long long)im.stored,
		    (long long)im.known, (long long)im.deleted,
		    (long long)im.bad);
	return (status == CTL_OK && im.bad > 0 ? CTL_REFUSED : status);
}
