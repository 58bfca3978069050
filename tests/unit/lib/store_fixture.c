/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in a folder of its own.
 */
#include "store_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

#define WHOLE_MAX (64 * 1024 * 1024)	/* bytes of a file read whole */

static json_t	*fixture_vask(struct fixture *, int, const char *, va_list);

/* Make a folder and a store in it. */
int
fixture_setup(void **state)
{
	struct fixture	*fx = xcalloc(1, sizeof *fx);
	const char	*tmp = getenv("TMPDIR");

	snprintf(fx->dir, sizeof fx->dir, "%s/store.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(fx->dir) == NULL)
		return (-1);
	snprintf(fx->path, sizeof fx->path, "%s/chatd.db", fx->dir);
	*state = fx;
	fixture_reopen(fx);
	return (0);
}

/* Remove a folder and the files in it. */
int
fixture_teardown(void **state)
{
	struct fixture	*fx = *state;
	struct dirent	*e;
	DIR		*d;
	char		 path[600];

	fixture_close(fx);
	if ((d = opendir(fx->dir)) != NULL) {
		while ((e = readdir(d)) != NULL) {
			snprintf(path, sizeof path, "%s/%s", fx->dir,
			    e->d_name);
			unlink(path);
		}
		closedir(d);
	}
	rmdir(fx->dir);
	free(fx);
	return (0);
}

/* Close the store, leave its files. */
void
fixture_close(struct fixture *fx)
{
	store_close(fx->st);
	fx->st = NULL;
}

/* Open it (again). */
void
fixture_reopen(struct fixture *fx)
{
	struct fault	f = { 0 };

	fixture_close(fx);
	if (store_open(fx->path, &fx->st, &f) != 0)
		fail_msg("%s", f.message);
}

/* Keep a row of an answer. */
static void
fixture_item(void *arg, json_t *item)
{
	json_array_append_new(arg, item);
}

/* Carry out one request. */
static json_t *
fixture_vask(struct fixture *fx, int items, const char *fmt, va_list ap)
{
	struct store_request	 req;
	struct fault		 f;
	json_t			*msg, *answer, *rows = json_array();
	char			*text, *p;

	if (vasprintf(&text, fmt, ap) == -1)
		abort();
	for (p = text; *p != '\0'; p++) {
		if (*p == '\'')
			*p = '"';
	}
	if (json_line_parse(text, strlen(text), &msg, &f) != 0)
		fail_msg("%s: %s", f.message, text);
	free(text);
	batch_init(&req, msg);
	req.item = fixture_item;
	req.arg = rows;
	if (reads_known(msg))
		reads_run(fx->st, &req);
	else
		batch_run(fx->st, &req, 1);
	if (req.done != NULL) {
		answer = json_incref(req.done);
		if (items)
			msg_set(answer, "items", json_incref(rows));
	} else {
		answer = msg_error(-1, &req.fault);
		msg_set_int(answer, "used", req.used);
		msg_set_int(answer, "limit", req.limit);
	}
	batch_clear(&req);
	json_decref(rows);
	json_decref(msg);
	return (answer);
}

/* Carry out a request. */
json_t *
fixture_ask(struct fixture *fx, const char *fmt, ...)
{
	va_list	 ap;
	json_t	*answer;

	va_start(ap, fmt);
	answer = fixture_vask(fx, 0, fmt, ap);
	va_end(ap);
	return (answer);
}

/* Carry out a request, and keep its items. */
json_t *
fixture_show(struct fixture *fx, const char *fmt, ...)
{
	va_list	 ap;
	json_t	*answer;

	va_start(ap, fmt);
	answer = fixture_vask(fx, 1, fmt, ap);
	va_end(ap);
	return (answer);
}

/* Carry out a request that must succeed. */
int64_t
fixture_do(struct fixture *fx, const char *key, const char *fmt, ...)
{
	va_list	 ap;
	json_t	*answer;
	int64_t	 v;

	va_start(ap, fmt);
	answer = fixture_vask(fx, 0, fmt, ap);
	va_end(ap);
	if (msg_string(answer, "code") != NULL)
		fail_msg("%s: %s", fmt, msg_string(answer, "message"));
	v = key == NULL ? 0 : msg_int(answer, key, -1);
	json_decref(answer);
	return (v);
}

/* Carry out a request that must fail. */
void
fixture_refused(struct fixture *fx, const char *code, const char *field,
    const char *fmt, ...)
{
	va_list		 ap;
	json_t		*answer;
	const char	*got, *at;

	va_start(ap, fmt);
	answer = fixture_vask(fx, 0, fmt, ap);
	va_end(ap);
	got = msg_string(answer, "code");
	at = msg_string(answer, "field");
	if (got == NULL || strcmp(got, code) != 0)
		fail_msg("%s: expected %s, got %s (%s)", fmt, code,
		    got == NULL ? "done" : got,
		    got == NULL ? "" : msg_string(answer, "message"));
	if (field != NULL && (at == NULL || strcmp(at, field) != 0))
		fail_msg("%s: expected field %s, got %s", fmt, field,
		    at == NULL ? "none" : at);
	json_decref(answer);
}

/* Run SQL on another connection. */
const char *
fixture_sql(struct fixture *fx, const char *sql)
{
	static char	 out[8192];
	sqlite3		*db = NULL;
	sqlite3_stmt	*q = NULL;
	const char	*s;
	size_t		 n = 0;
	int		 i;

	out[0] = '\0';
	if (sqlite3_open_v2(fx->path, &db, SQLITE_OPEN_READONLY, NULL) !=
	    SQLITE_OK || sqlite3_prepare_v2(db, sql, -1, &q, NULL) !=
	    SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	while (sqlite3_step(q) == SQLITE_ROW) {
		for (i = 0; i < sqlite3_column_count(q); i++) {
			s = (const char *)sqlite3_column_text(q, i);
			n += (size_t)snprintf(out + n, sizeof out - n, "%s%s",
			    i > 0 ? "|" : n > 0 ? "\n" : "",
			    s == NULL ? "-" : s);
		}
	}
	sqlite3_finalize(q);
	sqlite3_close(db);
	return (out);
}

/* Read a file whole. */
char *
fixture_bytes(const char *path, size_t *len)
{
	FILE	*fp = fopen(path, "r");
	char	*p = xmalloc(WHOLE_MAX);

	if (fp == NULL)
		fail_msg("%s is not there", path);
	*len = fread(p, 1, WHOLE_MAX, fp);
	fclose(fp);
	return (p);
}

/* Write a file whole, readable to us alone. */
void
fixture_write(const char *path, const char *bytes, size_t len)
{
	FILE	*fp = fopen(path, "w");

	if (fp == NULL)
		fail_msg("%s can't be written", path);
	fwrite(bytes, 1, len, fp);
	fclose(fp);
}

/* Look for bytes in all files. */
int
fixture_found(struct fixture *fx, const char *text)
{
	struct dirent	*e;
	DIR		*d = opendir(fx->dir);
	char		 path[600], *p;
	size_t		 n;
	int		 found = 0;

	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", fx->dir, e->d_name);
		p = fixture_bytes(path, &n);
		found |= memmem(p, n, text, strlen(text)) != NULL;
		free(p);
	}
	closedir(d);
	return (found);
}

/* One exchange more. */
void
fixture_say(struct fixture *fx, int n, const char *state, const char *text)
{
	int64_t	reply;

	reply = fixture_do(fx, "reply", BEGIN("say", "'key':'say-%d',%s"
	    "'prompt':'prompt %d'"), n, n == 1 ? "" : "'conversation':1,", n);
	if (state != NULL)
		fixture_do(fx, NULL, "{'op':'finish','reply':%d,'state':'%s',"
		    "'text':'%s','ids':[],'time':1}", (int)reply, state, text);
}
