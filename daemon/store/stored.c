/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-store: keeps the database for chatd, which talks to it over descriptors
 * 0 and 1.  It takes all waiting requests, commits all writes together
 * (batch.c), and answers them after the commit.  After each commit, and while
 * no write waits, it reads one slice for the oldest read (reads.c).  With
 * --export it only writes one export to its output (export.c).
 *
 * Memory is limited.  A batch has at most STORED_BATCH requests, and at most
 * STORED_BATCH_BYTES of text and one line more.  The output queue has at most
 * STORED_QUEUE_HIGH bytes and one slice more.  With the default limits of
 * chatd.yaml this is below 64 MiB.
 */
#include <config.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "confine.h"
#include "json.h"
#include "protocol.h"
#include "log.h"
#include "path.h"
#include "stdfds.h"
#include "store.h"
#include "stored.h"
#include "xmalloc.h"

#define STORED_BATCH		256		/* requests in a transaction */
#define STORED_BATCH_BYTES	(4 * 1024 * 1024) /* of text in them */
#define STORED_READS		64	/* waiting reads */
#define STORED_QUEUE_HIGH	(1024 * 1024)	/* bytes of waiting output */

struct stored {
	struct chan		*ch;		/* owned */
	struct store		*store;		/* owned */
	struct store_request	 reqs[STORED_BATCH];
	size_t			 n;		/* waiting writes in reqs */
	size_t			 bytes;		/* bytes of text in them */
	json_t			*reads[STORED_READS];	/* owned: a ring */
	size_t			 first, nreads;
};

static int	stored_init(struct stored *);
static int	stored_collect(struct stored *);
static size_t	stored_weight(const json_t *);
static void	stored_take(struct stored *, json_t *);
static void	stored_item(void *, json_t *);
static void	stored_answer(struct stored *, struct store_request *);
static void	stored_commit(struct stored *);
static void	stored_read(struct stored *);
static int	stored_serve(void);

/* Confine the process to the database's folder. */
static void
stored_sandbox(const char *path)
{
	struct landlock_path	 folder = { path_folder(path), 1 };

	confine_self(CONFINE_STORE, &folder, 1);
	free(folder.path);
}

/* Wait for init and open the database. Returns 0, or 1 if the process must
 * end with status 1; the reason has been sent. */
static int
stored_init(struct stored *d)
{
	struct {
		const char	*path, *version;
	}		 in = { NULL, NULL };
	const struct field fields[] = {
		{ "path", FIELD_STRING, FIELD_REQUIRED, 1, 4096,
		    (size_t)((char *)&in.path - (char *)&in) },
		{ "version", FIELD_STRING, 0, 0, 64,
		    (size_t)((char *)&in.version - (char *)&in) },
	};
	struct fault	 f = { 0 };
	json_t		*msg = NULL, *m;
	int		 r;

	while ((r = chan_next(d->ch, &msg, &f)) == 0)
		chan_wait(d->ch, -1);
	if (r == CHAT_ECLOSED)
		return (1);
	if (r == 1) {
		if (msg_string(msg, "op") == NULL ||
		    strcmp(msg_string(msg, "op"), "init") != 0)
			r = fault_set(&f, "bad_field", "op", "expected init");
		else if ((r = fields_read(msg, fields, nitems(fields), &in,
		    &f)) == 0 && (r = init_version("chatd-store",
		    PACKAGE_VERSION, in.version, &f)) == 0) {
			stored_sandbox(in.path);
			backup_take(in.path);
			r = store_open(in.path, &d->store, &f);
		}
	}
	json_decref(msg);
	if (r != 0) {
		log_warnx("%s", f.message);
		chan_send(d->ch, msg_error(-1, &f));
		chan_drain(d->ch);
		return (1);
	}
	m = msg_event("ready", -1);
	msg_set_int(m, "schema", SCHEMA_VERSION);
	msg_set_int(m, "interrupted", d->store->interrupted);
	chan_send(d->ch, m);
	return (0);
}

/* Add up the bytes of a request's long texts. */
static size_t
stored_weight(const json_t *msg)
{
	static const char *const longs[] = { "prompt", "preprompt", "text",
	    "ideal", "comment" };
	size_t	 i, n = 0;

	for (i = 0; i < nitems(longs); i++)
		n += json_string_length(json_object_get(msg, longs[i]));
	return (n);
}

/* Queue a request (taken). */
static void
stored_take(struct stored *d, json_t *msg)
{
	struct fault	 f;
	json_t		*id = json_object_get(msg, "id");

	if (!json_is_integer(id) || json_integer_value(id) < 0) {
		fault_set(&f, "bad_field", "id", "id: expected an integer, 0 "
		    "or more");
		chan_send(d->ch, msg_error(-1, &f));
		json_decref(msg);
	} else if (reads_known(msg)) {
		d->reads[(d->first + d->nreads++) % STORED_READS] = msg;
	} else {
		batch_init(&d->reqs[d->n++], msg);
		d->bytes += stored_weight(msg);
	}
}

/* Take waiting requests while there is room. Returns CHAT_ECLOSED at the end of
 * input. */
static int
stored_collect(struct stored *d)
{
	struct fault	 f;
	json_t		*msg;
	int		 r;

	while (d->n < STORED_BATCH && d->bytes < STORED_BATCH_BYTES &&
	    d->nreads < STORED_READS) {
		if ((r = chan_next(d->ch, &msg, &f)) == 0)
			break;
		if (r == CHAT_ECLOSED || r == CHAT_ESYSTEM)
			return (CHAT_ECLOSED);
		if (r == CHAT_EFORMAT)
			chan_send(d->ch, msg_error(-1, &f));
		else
			stored_take(d, msg);
	}
	return (0);
}

/* The argument of stored_item. */
struct stored_rows {
	struct stored	*d;		/* borrowed */
	int64_t		 id;
};

/* Send an item of a read's answer. */
static void
stored_item(void *arg, json_t *item)
{
	struct stored_rows	*rows = arg;

	msg_set_string(item, "event", "item");
	msg_set_int(item, "id", rows->id);
	chan_send(rows->d->ch, item);
}

/* Send the last event of a request. */
static void
stored_answer(struct stored *d, struct store_request *req)
{
	int64_t	 id = msg_int(req->msg, "id", -1);
	json_t	*m;

	if (req->done != NULL) {
		m = msg_event("done", id);
		json_object_update(m, req->done);
	} else {
		m = msg_error(id, &req->fault);
		if (req->limit > 0) {
			msg_set_int(m, "used", req->used);
			msg_set_int(m, "limit", req->limit);
		}
	}
	chan_send(d->ch, m);
}

/* Carry out the waiting writes, then answer them. */
static void
stored_commit(struct stored *d)
{
	json_t	*msg;
	size_t	 i;

	batch_run(d->store, d->reqs, d->n);
	for (i = 0; i < d->n; i++) {
		stored_answer(d, &d->reqs[i]);
		msg = d->reqs[i].msg;
		batch_clear(&d->reqs[i]);
		json_decref(msg);
	}
	d->n = d->bytes = 0;
	if (chan_flush(d->ch) > STORED_QUEUE_HIGH)
		chan_drain(d->ch);
}

/* Read a slice for the oldest request, and answer it. */
static void
stored_read(struct stored *d)
{
	json_t			*msg = d->reads[d->first];
	struct stored_rows	 rows = { d, msg_int(msg, "id", -1) };
	struct store_request	 req;

	d->first = (d->first + 1) % STORED_READS;
	d->nreads--;
	batch_init(&req, msg);
	req.item = stored_item;
	req.arg = &rows;
	reads_run(d->store, &req);
	stored_answer(d, &req);
	batch_clear(&req);
	json_decref(msg);
}

/* Serve until the input ends. */
static int
stored_serve(void)
{
	struct stored	*d;
	int		 r = 0, status, wait = -1, idle;

	d = xcalloc(1, sizeof *d);
	d->ch = chan_new(STDIN_FILENO, STDOUT_FILENO, HELPER_LINE_MAX);
	if ((status = stored_init(d)) != 0)
		goto out;
	wait = store_maintain(d->store, 0);
	while (r == 0 || d->nreads > 0) {
		if (r == 0)
			r = stored_collect(d);
		idle = d->n == 0;
		if (d->n > 0) {
			stored_commit(d);
			wait = store_maintain(d->store, 0);
		}
		if (d->nreads > 0 && chan_flush(d->ch) <= STORED_QUEUE_HIGH)
			stored_read(d);
		else if (idle && (r == 0 || d->nreads > 0) &&
		    !chan_wait(d->ch, wait))
			wait = store_maintain(d->store, 1);
	}
	if (chan_drain(d->ch) == CHAT_ESYSTEM)
		status = 1;
out:
	store_close(d->store);
	chan_free(d->ch);
	free(d);
	return (status);
}

/* Read the command line, then serve or export. */
int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int	c;

	stdfds_init("chatd-store");
	log_init("chatd-store", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* an error instead of a signal */
	if (stored_backup_wanted(argc, argv))
		return (stored_backup(argc, argv));
	if (stored_export_wanted(argc, argv))
		return (stored_export(argc, argv));
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			stored_usage(stdout);
			return (0);
		case 'V':
			puts("chatd-store " PACKAGE_VERSION);
			return (0);
		default:
			return (stored_misuse(NULL));
		}
	}
	if (optind != argc)
		return (stored_misuse("no arguments are taken"));
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	return (stored_serve());
}
