/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the store: a store in a new folder, and requests written as JSON
 * with ' in place of ".
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "store.h"

/* A begin and a finish with all fields that they need. rest has the key and the
 * prompt of a begin, and more fields. */
#define BEGIN(kind, rest) \
	"{'op':'begin','uid':1000,'kind':'" kind "','params':{'top_k':40}," \
	"'seed':7,'model':{'path':'/m','name':'mini','digest':'sha256:ab'," \
	"'precision':'bf16'},'time':1700000000000," rest "}"
#define FINISH(reply, state, text) \
	"{'op':'finish','reply':" #reply ",'state':'" state "','text':'" text \
	"','ids':[1,258,50000],'prompt_tokens':5,'output_tokens':3," \
	"'dropped':1,'queued_ms':2,'first_ms':3,'total_ms':4," \
	"'time':1700000001000}"

struct fixture {
	char		 dir[200];
	char		 path[256];	/* of the database in dir */
	struct store	*st;		/* owned; NULL after fixture_close */
};

/* Setup and teardown for cmocka: make a new store in *state, and remove it. */
int	 fixture_setup(void **state);
int	 fixture_teardown(void **state);
void	 fixture_close(struct fixture *fx);
void	 fixture_reopen(struct fixture *fx);

/* Carry out one request (a printf format, with ' in place of "). Returns its
 * done event, or {"code", "field", "message"} if it failed: a new reference. */
json_t	*fixture_ask(struct fixture *fx, const char *fmt, ...);

/* The same, with the items of the answer under "items". */
json_t	*fixture_show(struct fixture *fx, const char *fmt, ...);

/* Carry out a request that must succeed, and return one integer of its
 * answer (key NULL: 0). */
int64_t	 fixture_do(struct fixture *fx, const char *key, const char *fmt,
	    ...);

/* Add exchange n, with the prompt "prompt n" and reply n, to the conversation
 * 1. Finish the reply with state and text; if state is NULL, leave it
 * running. */
void	 fixture_say(struct fixture *fx, int n, const char *state,
	    const char *text);

/* Carry out a request that must fail with that code and field (NULL: any). */
void	 fixture_refused(struct fixture *fx, const char *code,
	    const char *field, const char *fmt, ...);

/* Run sql on another connection. Returns the result as one text ("-" for null,
 * columns joined by "|", rows by a line end), borrowed until the next call. */
const char *fixture_sql(struct fixture *fx, const char *sql);

/* Is text in any file of the folder? */
int	 fixture_found(struct fixture *fx, const char *text);

/* Read a file of *len bytes (owned by the caller); write one. */
char	*fixture_bytes(const char *path, size_t *len);
void	 fixture_write(const char *path, const char *bytes, size_t len);

#endif
