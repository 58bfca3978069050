/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a reply between the engine and the client.
 */
#include "reply.h"

#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "xmalloc.h"

/* Begin an empty reply. */
void
reply_init(struct reply *p)
{
	memset(p, 0, sizeof *p);
	p->ids = json_array();
	p->text = xcalloc(1, 1);
	p->shown = xcalloc(1, 1);
	p->judgement.category = -1;
}

/* Release a reply. */
void
reply_clear(struct reply *p)
{
	free(p->text);
	free(p->shown);
	json_decref(p->ids);
	judgement_clear(&p->judgement);
	memset(p, 0, sizeof *p);
}

/* Append to a growing string. */
static void
reply_add(char **s, size_t *len, size_t *size, const char *text, size_t n)
{
	if (*size < *len + n + 1) {
		*size = (*len + n + 1) * 2;
		*s = xreallocarray(*s, *size, 1);
	}
	memcpy(*s + *len, text, n);
	*len += n;
	(*s)[*len] = '\0';
}

/* Does the client have the text as the engine wrote it, all of it? */
int
reply_is_shown(const struct reply *p)
{
	return (p->shown_len == p->len && memcmp(p->shown, p->text,
	    p->len) == 0);
}

/* Append text from the engine. */
int
reply_append(struct reply *p, const char *text, size_t n, const json_t *ids)
{
	json_t	*v;
	size_t	 i;

	if (!json_is_array(ids))
		return (CHAT_EPROTOCOL);
	json_array_foreach(ids, i, v) {
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > UINT32_MAX)
			return (CHAT_EPROTOCOL);
	}
	json_array_extend(p->ids, (json_t *)(uintptr_t)ids);
	reply_add(&p->text, &p->len, &p->size, text, n);
	return (0);
}

/* Replace the judgement. */
void
reply_judge(struct reply *p, struct judgement *j, size_t len, int final)
{
	judgement_clear(&p->judgement);
	p->judgement = *j;
	memset(j, 0, sizeof *j);
	if (len > p->settled)
		p->settled = len;
	p->settled_final = final;
}

/* Return the text that may be sent now. */
const char *
reply_release(struct reply *p, size_t *n)
{
	size_t	 to = p->settled, k, at = p->shown_len;
	char	*piece;

	if (to > p->released)
		to = p->released + utf8_whole(p->text + p->released,
		    to - p->released);
	if (to <= p->released)
		return (NULL);
	piece = policy_redact(&p->judgement, p->text, p->released, &to, &k);
	p->released = to;
	reply_add(&p->shown, &p->shown_len, &p->shown_size, piece, k);
	free(piece);
	*n = k;
	return (k == 0 ? NULL : p->shown + at);
}
