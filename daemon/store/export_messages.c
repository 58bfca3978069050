/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export formats "oig", "messages" and "sft": examples of good replies.
 *
 * A model that is trained on a line of "oig" or "messages" learns every reply
 * in it.  So each of them must be vouched for: a line is a reply with its
 * context, if each reply of the context is clean.  A reply that is in the line
 * of a later one gets no line of its own.  A reply with an ideal text ends its
 * line, because the turns after it answer another text.
 *
 * A model that is trained on "sft" learns the completion only, so its prompt
 * may have any reply.
 */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static int	export_better(const struct export *,
		    const struct export_reply *, const struct export_reply *);
static size_t	export_best(const struct export *,
		    const struct export_dialogue *,
		    const struct export_turn *);
static void	export_choose(struct export *, struct export_dialogue *,
		    unsigned char *);
static int	export_chosen(struct export *, struct export_dialogue *,
		    void (*)(struct export *, json_t *, json_t *,
		    const struct export_reply *));
static void	export_oig_row(struct export *, json_t *, json_t *,
		    const struct export_reply *);
static void	export_messages_row(struct export *, json_t *, json_t *,
		    const struct export_reply *);
static int	export_oig_dialogue(struct export *,
		    struct export_dialogue *);
static int	export_messages_dialogue(struct export *,
		    struct export_dialogue *);
static int	export_sft_dialogue(struct export *,
		    struct export_dialogue *);

/* Is b a better example than a? An ideal text is better than a good reply, and
 * that is better than one without an opinion; else the newer one is. */
static int
export_better(const struct export *ex, const struct export_reply *a,
    const struct export_reply *b)
{
	int	x = (a->ideal != 0) * 2 + (a->thumb > 0);
	int	y = (b->ideal != 0) * 2 + (b->thumb > 0);

	(void)ex;
	return (y >= x);
}

/* Choose the best example of a turn. Returns its index, or SIZE_MAX. */
static size_t
export_best(const struct export *ex, const struct export_dialogue *d,
    const struct export_turn *t)
{
	size_t	 i, best = SIZE_MAX;

	for (i = t->first; i < t->first + t->n; i++) {
		if (export_vouched(ex, &d->reply[i]) && (best == SIZE_MAX ||
		    export_better(ex, &d->reply[best], &d->reply[i])))
			best = i;
	}
	return (best);
}

/* Mark the replies that end a line: pick[i] is 1. The newest ones come first,
 * because their lines may cover older ones. */
static void
export_choose(struct export *ex, struct export_dialogue *d,
    unsigned char *pick)
{
	size_t	 t, i, best, *list, n;
	int	 clean;

	for (t = d->nturns; t > 0; t--) {
		best = export_best(ex, d, &d->turn[t - 1]);
		if (best == SIZE_MAX || (d->reply[best].covered &&
		    d->reply[best].ideal == 0))
			continue;
		n = export_context(d, best, &list);
		clean = 1;
		for (i = 0; i < n; i++)
			clean &= export_clean(ex, &d->reply[list[i]]);
		if (!clean)
			export_lacks(ex, LACK_CONTEXT);
		pick[best] = (unsigned char)clean;
		for (i = 0; clean && i < n; i++) {
			if (d->turn[d->reply[list[i]].turn].preprompt ==
			    d->turn[t - 1].preprompt)
				d->reply[list[i]].covered = 1;
		}
		free(list);
	}
}

/* Write the lines of a dialogue, oldest first. */
static int
export_chosen(struct export *ex, struct export_dialogue *d,
    void (*write)(struct export *, json_t *, json_t *,
    const struct export_reply *))
{
	unsigned char	*pick = xcalloc(d->nreplies, 1);
	json_t		*messages, *metadata;
	char		*s;
	size_t		 i;
	int		 e = 0;

	export_choose(ex, d, pick);
	for (i = 0; e == 0 && i < d->nreplies; i++) {
		const struct export_reply *r = &d->reply[i];

		if (!pick[i] || (e = export_messages_of(ex, d, i,
		    &messages)) != 0)
			continue;
		if ((e = export_text(ex, r, r->ideal != 0, &s)) == 0) {
			json_array_append_new(messages,
			    export_message("assistant", s));
			free(s);
			e = export_metadata(ex, d, r, r->ideal != 0,
			    &metadata);
		}
		if (e == 0)
			write(ex, messages, metadata, r);
		json_decref(messages);
	}
	free(pick);
	return (e);
}

/* {"text": "<human>: ...\n<bot>: ..."}. */
static void
export_oig_row(struct export *ex, json_t *messages, json_t *metadata,
    const struct export_reply *r)
{
	json_t		*o = json_object(), *m;
	const char	*role, *s;
	char		*text = NULL;
	size_t		 i, n;
	FILE		*to;

	if ((to = open_memstream(&text, &n)) == NULL)
		abort();	/* out of memory */
	json_array_foreach(messages, i, m) {
		role = msg_string(m, "role");
		s = msg_string(m, "content");
		if (strcmp(role, "system") == 0)
			fputs(s, to);
		else
			fprintf(to, "%s:%s%s%s", strcmp(role, "user") == 0 ?
			    "<human>" : "<bot>", *s == '\0' ? "" : " ", s,
			    i + 1 < json_array_size(messages) ? "\n" : "");
	}
	fclose(to);
	msg_set_text(o, "text", text, n);
	free(text);
	export_row(ex, o, metadata, r);
}

/* {"messages": [...]}. */
static void
export_messages_row(struct export *ex, json_t *messages, json_t *metadata,
    const struct export_reply *r)
{
	json_t	*o = json_object();

	msg_set(o, "messages", json_incref(messages));
	export_row(ex, o, metadata, r);
}

/* The lines of "oig". */
static int
export_oig_dialogue(struct export *ex, struct export_dialogue *d)
{
	return (export_chosen(ex, d, export_oig_row));
}

/* The lines of "messages". */
static int
export_messages_dialogue(struct export *ex, struct export_dialogue *d)
{
	return (export_chosen(ex, d, export_messages_row));
}

/* Write a line {"prompt": ..., "completion": ...} for each good reply. The
 * completion of a dialogue begins with the blank after "<bot>:". */
static int
export_sft_dialogue(struct export *ex, struct export_dialogue *d)
{
	json_t	*o, *metadata;
	char	*prompt, *s, *completion;
	size_t	 i;
	int	 e = 0;

	for (i = 0; e == 0 && i < d->nreplies; i++) {
		const struct export_reply *r = &d->reply[i];

		if (!export_vouched(ex, r))
			continue;
		if ((e = export_string_of(ex, d, i, &prompt)) != 0)
			break;
		if ((e = export_text(ex, r, r->ideal != 0, &s)) == 0) {
			completion = xasprintf("%s%s", d->name != NULL ? " " :
			    "", s);
			free(s);
			o = json_object();
			msg_set_string(o, "prompt", prompt);
			msg_set_string(o, "completion", completion);
			free(completion);
			if ((e = export_metadata(ex, d, r, r->ideal != 0,
			    &metadata)) == 0)
				export_row(ex, o, metadata, r);
			else
				json_decref(o);
		}
		free(prompt);
	}
	return (e);
}

/* Write the format "oig": the training data of OpenChatKit. */
int
export_oig(struct export *ex)
{
	return (export_dialogues(ex, export_oig_dialogue, 0));
}

/* Write the format "messages". */
int
export_messages(struct export *ex)
{
	return (export_dialogues(ex, export_messages_dialogue, 0));
}

/* Write the format "sft". */
int
export_sft(struct export *ex)
{
	return (export_dialogues(ex, export_sft_dialogue, 1));
}
