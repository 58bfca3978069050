/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports: the request, and the new file that the rows are written to, with
 * its manifest.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "exportfile.h"
#include "json.h"

/* The output of an export. */
struct exporting {
	struct outfile	*file;		/* owned; NULL: stdout */
	size_t		 bytes;		/* written so far */
	struct render	 render;	/* for a terminal */
};

static json_t	*exporting_message(const struct ctl *, const char *, int);
static int	exporting_open(const char *, const char *, struct exporting *);
static void	exporting_text(void *, const json_t *);
static int	exporting_close(const char *, const char *,
		    struct exporting *, int, const json_t *);

/* Make the request. */
static json_t *
exporting_message(const struct ctl *ctl, const char *format, int manifest)
{
	const struct options	*o = &ctl->opt;
	json_t			*m = msg_op("export", -1);

	msg_set_string(m, "format", format);
	msg_set_string(m, "split", o->split);
	if (o->all)
		msg_set_bool(m, "all", 1);
	if (o->heldout != 10)
		msg_set_int(m, "heldout", o->heldout);
	if (o->consent)
		msg_set_bool(m, "consent", 1);
	if (o->unique)
		msg_set_bool(m, "unique", 1);
	if (o->bare)
		msg_set_bool(m, "bare", 1);
	if (o->sidecar)
		msg_set_bool(m, "sidecar", 1);
	if (manifest)
		msg_set_bool(m, "manifest", 1);
	return (m);
}

/* Export. */
int
exporting_run(struct ctl *ctl, const char *format, const char *path,
    size_t *bytes, json_t **end)
{
	struct exporting	 e = { .file = NULL };
	json_t		*m = exporting_message(ctl, format, path != NULL);
	int		 status, was;

	*end = NULL;
	if ((status = filter_add(ctl, m)) != CTL_OK ||
	    (ctl->chat == NULL && (status = link_open(ctl)) != CTL_OK) ||
	    (status = exporting_open(format, path, &e)) != CTL_OK) {
		json_decref(m);
		return (status);
	}
	render_init(&e.render, stdout, term_mark(1));
	was = intr_hold(1);		/* no part of a file is left */
	if (path == NULL)
		intr_hold(was);
	status = link_call(ctl, m, exporting_text, &e, end);
	if (path != NULL)
		status = exporting_close(format, path, &e, status, *end);
	else {
		render_end(&e.render);
		term_flush();
	}
	intr_hold(was);
	*bytes = e.bytes;
	return (status);
}

/* Begin the file (NULL: none), if all names are free. */
static int
exporting_open(const char *format, const char *path, struct exporting *e)
{
	struct fault	f;

	if (path == NULL || (exportfile_free(path, format, &f) == 0 &&
	    outfile_new(path, &e->file, &f) == 0))
		return (CTL_OK);
	term_error("%s", f.message);
	return (CTL_REFUSED);
}

/* Write a piece. */
static void
exporting_text(void *arg, const json_t *event)
{
	struct exporting	*e = arg;
	const char	*text = msg_string(event, "text");
	size_t		 n;

	if (text == NULL)
		return;
	n = strlen(text);
	e->bytes += n;
	if (e->file != NULL)
		outfile_write(e->file, text, n);
	else if (term_is(1))
		render_text(&e->render, text, n);
	else
		fwrite(text, 1, n, stdout);
	if (e->file == NULL)
		term_flush();
}

/* Complete the files, or remove them after a failure. Returns the exit
 * status. */
static int
exporting_close(const char *format, const char *path, struct exporting *e,
    int status, const json_t *end)
{
	json_t		*manifest = json_object_get(end, "manifest");
	struct fault	 f;

	if (status != CTL_OK) {
		outfile_drop(e->file);
		return (status);
	}
	if (exportfile_end(e->file, path, format, manifest, &f) == 0)
		return (CTL_OK);
	term_error("%s", f.message);
	return (CTL_REFUSED);
}
