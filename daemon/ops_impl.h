/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the files that carry out operations: their fields, and requests for the
 * store.
 */
#ifndef DAEMON_OPS_IMPL_H
#define DAEMON_OPS_IMPL_H

#include "chatd.h"


/* The fields of all operations; each uses those that its table lists. */
struct ops_args {
	int64_t		 protocol, conversation, exchange, reply, request;
	int64_t		 before, after, limit, thumb, rated, since, until;
	const char	*client, *kind, *text, *prompt, *preprompt, *title;
	const char	*direction, *format, *ideal, *comment;
	const char	*query, *queue, *rating, *reason, *category, *model;
	const char	*user, *split, *word, *from, *to, *file;
	int64_t		 heldout, sample, seed;
	json_t		*params, *reasons;	/* borrowed */
	int		 any, all, check, explain, review, topic, further;
	int		 consent, bare, sidecar, unique, manifest;
};

#define OPS_NO_THUMB	2	/* rate: none was given */
#define OPS_LIST_MAX	200	/* items in one answer */

/* The fields of a filter; A is the offset of a member. */
#define OPS_FILTER_FIELDS \
	{ "since", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, A(since) }, \
	{ "until", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, A(until) }, \
	{ "rating", FIELD_STRING, FIELD_NULLABLE, 0, 64, A(rating) }, \
	{ "reason", FIELD_STRING, FIELD_NULLABLE, 0, 64, A(reason) }, \
	{ "category", FIELD_STRING, FIELD_NULLABLE, 0, 64, A(category) }, \
	{ "model", FIELD_STRING, FIELD_NULLABLE, 0, 4096, A(model) }, \
	{ "user", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(user) }

/* ---- ops.c */

/* Make a request for the store, with the user's id. admin: an operator may read
 * and change what belongs to others. */
json_t	*ops_to_store(const struct request *r, const char *op, int admin);

/* Check a text's length. Returns 0, or CHAT_EFORMAT with *f filled. */
int	 ops_prompt(struct request *r, const char *field, const char *text,
	    struct fault *f);

/* ---- ops_store.c: ratings, and what is found by a filter */

void	 ops_rate(struct request *r, struct ops_args *a);
void	 ops_unrate(struct request *r, struct ops_args *a);
void	 ops_consent(struct request *r, struct ops_args *a);
void	 ops_import(struct request *r, struct ops_args *a);
void	 ops_search(struct request *r, struct ops_args *a);
void	 ops_stats(struct request *r, struct ops_args *a);
void	 ops_ab(struct request *r, struct ops_args *a);

/* Put the filter of a request into a message for the store. */
void	 ops_filter(json_t *m, const struct ops_args *a);

/* ---- ops_erase.c: forgetting and its like */

void	 ops_forget(struct request *r, struct ops_args *a);
void	 ops_adopt(struct request *r, struct ops_args *a);
void	 ops_replay(struct request *r, struct ops_args *a);
void	 ops_backup(struct request *r, struct ops_args *a);
void	 ops_restore(struct request *r, struct ops_args *a);

#endif
