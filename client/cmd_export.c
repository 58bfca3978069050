/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl export: writes exchanges and ratings to stdout, or to a new file that
 * only its owner can read.
 */
#include "chatctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"

/* The output of an export. */
struct export {
	FILE		*out;		/* stdout, or owned */
	struct render	 render;	/* for a terminal */
	int		 failed;	/* errno of a write to a file */
};

static int	export_open(const char *, struct export *);
static void	export_text(void *, const json_t *);
static int	export_close(const char *, struct export *, int);

/* chatctl export */
int
cmd_export(struct ctl *ctl, int argc, char **argv)
{
	struct export	 e = { .out = stdout };
	json_t		*m, *end;
	int		 status;

	(void)argc;
	(void)argv;
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	if (ctl->opt.output != NULL &&
	    export_open(ctl->opt.output, &e) == -1)
		return (CTL_REFUSED);
	render_init(&e.render, stdout, term_mark(1));
	m = msg_op("export", -1);
	msg_set_string(m, "format", ctl->opt.format);
	if (ctl->opt.all)
		msg_set_bool(m, "all", 1);
	status = link_call(ctl, m, export_text, &e, &end);
	json_decref(end);
	if (ctl->opt.output != NULL)
		return (export_close(ctl->opt.output, &e, status));
	render_end(&e.render);
	term_flush();
	return (status);
}

/* Create the file. An existing file or a link is an error. */
static int
export_open(const char *path, struct export *e)
{
	int	 fd;

	fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
	if (fd == -1) {
		term_error("%s: %s", path, errno == EEXIST ?
		    "already exists; expected the name of a new file" :
		    strerror(errno));
		return (-1);
	}
	if ((e->out = fdopen(fd, "w")) == NULL)
		abort();	/* out of memory */
	return (0);
}

/* Write a piece. */
static void
export_text(void *arg, const json_t *event)
{
	struct export	*e = arg;
	const char	*text = msg_string(event, "text");
	size_t		 n;

	if (text == NULL || e->failed)
		return;
	n = strlen(text);
	if (e->out == stdout && term_is(1))
		render_text(&e->render, text, n);
	else if (fwrite(text, 1, n, e->out) != n && e->out != stdout)
		e->failed = errno;
	if (e->out == stdout)
		term_flush();
}

/* Finish the file, or remove it after a failure. Returns the exit status. */
static int
export_close(const char *path, struct export *e, int status)
{
	if (!e->failed && (fflush(e->out) != 0 ||
	    fsync(fileno(e->out)) == -1))
		e->failed = errno;
	if (fclose(e->out) != 0 && !e->failed)
		e->failed = errno;
	if (e->failed) {
		term_error("%s: %s", path, strerror(e->failed));
		status = CTL_REFUSED;
	}
	if (status != CTL_OK)
		unlink(path);
	return (status);
}
