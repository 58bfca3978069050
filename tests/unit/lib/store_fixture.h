/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the store share: a store in a folder of its own, and
 * requests written as JSON with ' for ".
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "store.h"

/* A begin, a finish and a rate with all they need; more keys go in the "...".
 * The key is unique unless one is given. */
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

/* cmocka's setup and teardown: a fresh store in *state, and no trace of it. */
int	 fixture_setup(void **state);
int	 fixture_teardown(void **state);
void	 fixture_close(struct fixture *fx);
void	 fixture_reopen(struct fixture *fx);

/* Carry out one request (printf format, ' for "): its done event or, where it
 * failed, {"code", "field", "message"}. Release it with json_decref. */
json_t	*fixture_ask(struct fixture *fx, const char *fmt, ...);

/* The same, with its items as member "items". */
json_t	*fixture_show(struct fixture *fx, const char *fmt, ...);

/* Carry out a request that must succeed, and return one integer of its
 * answer (key NULL: 0). */
int64_t	 fixture_do(struct fixture *fx, const char *key, const char *fmt,
	    ...);

/* Exchange n of conversation 1, the next one, with the prompt "prompt n". Its
 * reply ends with state and text; state NULL: it is left open. */
void	 fixture_say(struct fixture *fx, int n, const char *state,
	    const char *text);

/* A request must fail with code, about field (NULL: not looked at). */
void	 fixture_refused(struct fixture *fx, const char *code,
	    const char *field, const char *fmt, ...);

/* What sql says through another connection, as one text ("-" for null,
 * columns joined by "|", rows by a line end). Borrowed until the next call. */
const char *fixture_sql(struct fixture *fx, const char *sql);

/* Is text in any file of the folder? */
int	 fixture_found(struct fixture *fx, const char *text);

/* A file's bytes (owned by the caller), and how many. */
char	*fixture_bytes(const char *path, size_t *len);
void	 fixture_write(const char *path, const char *bytes, size_t len);

#endif
