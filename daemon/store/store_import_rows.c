/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that can be imported: "messages", "oig" and "oasst", with the
 * metadata of an export or without.
 *
 * In "messages" and "oig" only the last reply has metadata.  The replies before
 * it are good ones, or the row would not have them.
 */
#include "store_import.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "store.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define IMPORT_USER	"imported"	/* if the row does not say who */
#define IMPORT_IDEAL	"-ideal-"	/* in the id of an ideal text */
#define IMPORT_TURNS	1000		/* turns in a tree */

static int	import_bad(struct fault *, const char *);
static int64_t	import_time(const json_t *, const char *);
static json_t	*import_list(const json_t *, const char *);
static struct import_turn *import_turn(struct import *, const char *, size_t);
static struct import_reply *import_add(struct import_turn *, const char *,
		    size_t);
static struct import_rating *import_rate(struct import_reply *, const char *);
static void	import_last(struct import *, const json_t *, const char *);
static int	import_finish(struct import *, json_t *, struct fault *);
static int	import_messages(json_t *, struct import *, struct fault *);
static int	import_oig(json_t *, struct import *, struct fault *);
static void	import_opinions(struct import_reply *, const json_t *);
static void	import_facts(struct import_reply *, const json_t *);
static int	import_node(struct import *, json_t *, int, struct fault *);
static int	import_oasst(json_t *, struct import *, struct fault *);

/* Report what is wrong with a row. */
static int
import_bad(struct fault *f, const char *why)
{
	return (fault_set(f, "bad_field", "row", "row: %s", why));
}

/* Read a time such as 2026-11-29T18:00:00.000Z; 0 if there is none. */
static int64_t
import_time(const json_t *o, const char *key)
{
	const char	*s = msg_string(o, key), *end;
	struct tm	 tm;
	int64_t		 ms = 0;

	memset(&tm, 0, sizeof tm);
	if (s == NULL || (end = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm)) == NULL)
		return (0);
	if (*end == '.')
		ms = strtol(end + 1, NULL, 10) % 1000;
	ms += (int64_t)timegm(&tm) * 1000;
	return (ms < 0 ? 0 : ms);
}

/* Copy the known reasons of a list: a new reference. */
static json_t *
import_list(const json_t *o, const char *key)
{
	json_t		*list = json_array(), *v;
	const char	*s;
	size_t		 i;

	json_array_foreach(json_object_get(o, key), i, v) {
		s = json_string_value(v);
		if (s != NULL && vocabulary_find(vocabulary_reasons, s) != -1)
			json_array_append(list, v);
	}
	return (list);
}

/* Add a turn. */
static struct import_turn *
import_turn(struct import *im, const char *prompt, size_t n)
{
	struct import_turn	*t;

	im->turn = xreallocarray(im->turn, im->nturns + 1, sizeof *im->turn);
	t = &im->turn[im->nturns++];
	memset(t, 0, sizeof *t);
	t->prompt = xstrndup(prompt, n);
	return (t);
}

/* Add a reply to a turn. */
static struct import_reply *
import_add(struct import_turn *t, const char *text, size_t n)
{
	struct import_reply	*x;

	t->reply = xreallocarray(t->reply, t->nreplies + 1, sizeof *t->reply);
	x = &t->reply[t->nreplies++];
	*x = (struct import_reply){ .text = xstrndup(text, n), .model = "",
	    .digest = "", .precision = "", .state = "done", .stop = "end",
	    .params = json_object() };
	return (x);
}

/* Add a rating to a reply. */
static struct import_rating *
import_rate(struct import_reply *x, const char *user)
{
	struct import_rating	*a;

	x->rating = xreallocarray(x->rating, x->nratings + 1,
	    sizeof *x->rating);
	a = &x->rating[x->nratings++];
	*a = (struct import_rating){ .user = user };
	return (a);
}

/* Take the adapter that wrote a reply, if the metadata name it soundly. */
static void
import_adapter(struct import_reply *x, const json_t *m)
{
	const char	*name = msg_string(m, "adapter");
	const char	*digest = msg_string(m, "adapter_digest");

	if (name == NULL || digest == NULL || name[0] == '\0' ||
	    strlen(name) > ADAPTER_NAME_MAX || strlen(digest) > 256)
		return;
	x->adapter = name;
	x->adapter_digest = digest;
}

/* Take the metadata of the last reply, whose text is ideal if they say so. */
static void
import_last(struct import *im, const json_t *m, const char *user)
{
	struct import_turn	*t = &im->turn[im->nturns - 1];
	struct import_reply	*x = &t->reply[0];
	struct import_rating	*a;
	const char		*key = msg_string(m, "reply");

	if (key != NULL && *key != '\0') {
		free(x->key);
		x->key = xstrdup(key);
	}
	x->model = msg_string(m, "model") != NULL ? msg_string(m, "model") :
	    "";
	x->digest = msg_string(m, "digest") != NULL ?
	    msg_string(m, "digest") : "";
	x->precision = msg_string(m, "precision") != NULL ?
	    msg_string(m, "precision") : "";
	import_adapter(x, m);
	x->created = t->created = import_time(m, "created");
	if (json_is_true(json_object_get(m, "cut")))
		x->stop = "length";
	if (m != NULL && json_is_null(json_object_get(m, "rating")) &&
	    !json_is_true(json_object_get(m, "ideal")))
		return;
	a = import_rate(x, user);
	a->thumb = m == NULL ? 1 : (int)msg_int(m, "rating", 0);
	a->thumb = a->thumb > 0 ? 1 : a->thumb < 0 ? -1 : 0;
	a->reasons = import_list(m, "reasons");
	a->created = x->created;
	if (json_is_true(json_object_get(m, "ideal"))) {
		a->ideal = im->ideal = x->text;
		x->text = xstrdup("");
	}
}

/* Give the turns of "messages" and "oig" what the row says. */
static int
import_finish(struct import *im, json_t *row, struct fault *f)
{
	const json_t		*m = json_object_get(row, "metadata");
	const char		*name = msg_string(m, "conversation"), *key;
	struct import_reply	*x;
	struct import_rating	*a;
	char			*text, *all;
	size_t			 i;

	if (im->nturns == 0)
		return (import_bad(f, "no prompt with a reply"));
	all = json_dumps(row, JSON_COMPACT|JSON_SORT_KEYS);
	key = msg_string(m, "reply");
	im->conversation = name != NULL && *name != '\0' ?
	    xasprintf("%s#%s", name, key != NULL ? key : "") :
	    import_name(all, strlen(all), 1);
	free(all);
	im->user = msg_string(m, "user") != NULL ? msg_string(m, "user") :
	    IMPORT_USER;
	for (i = 0; i < im->nturns; i++) {
		if (im->turn[i].nreplies == 0)
			return (import_bad(f, "a prompt without a reply"));
		x = &im->turn[i].reply[0];
		text = xasprintf("%s\n%zu\n%s\n%s", im->conversation, i,
		    im->turn[i].prompt, x->text);
		x->key = import_name(text, strlen(text), 0);
		free(text);
		im->turn[i].created = x->created = import_time(m, "created");
		if (i > 0)
			im->turn[i].preprompt = xstrdup(im->turn[0].preprompt);
		if (i + 1 == im->nturns)
			continue;
		a = import_rate(x, im->user);
		a->thumb = 1;
		a->reasons = json_array();
		a->created = x->created;
	}
	import_last(im, m, im->user);
	return (0);
}

/* {"messages": [{"role", "content"}, ...]} */
static int
import_messages(json_t *row, struct import *im, struct fault *f)
{
	struct import_turn	*t = NULL;
	const char		*role, *text, *pre = NULL;
	json_t			*o;
	size_t			 i;

	json_array_foreach(json_object_get(row, "messages"), i, o) {
		role = msg_string(o, "role");
		text = msg_string(o, "content");
		if (role == NULL || text == NULL)
			return (import_bad(f, "a message needs role and "
			    "content"));
		if (strcmp(role, "system") == 0 && i == 0)
			pre = text;
		else if (strcmp(role, "user") == 0 && (t == NULL ||
		    t->nreplies > 0))
			t = import_turn(im, text, strlen(text));
		else if (strcmp(role, "assistant") == 0 && t != NULL &&
		    t->nreplies == 0)
			import_add(t, text, strlen(text));
		else
			return (import_bad(f, "expected messages of user and "
			    "assistant in turns"));
	}
	if (im->nturns > 0)
		im->turn[0].preprompt = xstrdup(pre);
	return (import_finish(im, row, f));
}

/* {"text": "<human>: ...\n<bot>: ..."} */
static int
import_oig(json_t *row, struct import *im, struct fault *f)
{
	static const char *const	 tags[] = { "<human>:", "<bot>:" };
	const char			*s = msg_string(row, "text");
	const char			*end, *pre;
	struct import_turn		*t = NULL;
	size_t				 n, bot;

	for (pre = s; *s != '\0' && strncmp(s, tags[0], 8) != 0; s++) {
		if ((s = strchr(s, '\n')) == NULL)
			return (import_bad(f, "no line begins with <human>:"));
	}
	n = (size_t)(s - pre);
	while (*s != '\0') {
		bot = strncmp(s, tags[1], 6) == 0;
		if (bot == (t == NULL || t->nreplies > 0))
			return (import_bad(f, "expected <human>: and <bot>: in "
			    "turns"));
		s += strlen(tags[bot]);
		s += *s == ' ';
		for (end = s; *end != '\0' && (*end != '\n' ||
		    (strncmp(end + 1, tags[0], 8) != 0 &&
		    strncmp(end + 1, tags[1], 6) != 0)); end++)
			;
		if (bot)
			import_add(t, s, (size_t)(end - s));
		else
			t = import_turn(im, s, (size_t)(end - s));
		s = *end == '\n' ? end + 1 : end;
	}
	if (im->nturns > 0 && n > 0)
		im->turn[0].preprompt = xstrndup(pre, n);
	return (import_finish(im, row, f));
}

/* Take the opinions of a message of a tree. */
static void
import_opinions(struct import_reply *x, const json_t *node)
{
	const json_t		*events = json_object_get(node, "events");
	const json_t		*reports = json_object_get(events, "report");
	struct import_rating	*a;
	json_t			*o, *p;
	const char		*user;
	size_t			 i, k;

	json_array_foreach(json_object_get(events, "score"), i, o) {
		user = msg_string(o, "user_id");
		a = import_rate(x, user != NULL ? user : IMPORT_USER);
		a->thumb = msg_real(o, "score", 0) > 0 ? 1 :
		    msg_real(o, "score", 0) < 0 ? -1 : 0;
		a->created = import_time(o, "created_date");
		json_array_foreach(reports, k, p) {
			if (user == NULL || msg_string(p, "user_id") == NULL ||
			    strcmp(msg_string(p, "user_id"), user) != 0)
				continue;
			a->reasons = import_list(p, "reasons");
			a->comment = msg_string(p, "reason");
			if (a->comment != NULL && *a->comment == '\0')
				a->comment = NULL;
			break;
		}
		if (a->reasons == NULL)
			a->reasons = json_array();
	}
}

/* Take the facts of a message of a tree. */
static void
import_facts(struct import_reply *x, const json_t *node)
{
	static const char *const states[] = { "done", "blocked", "cancelled",
	    "failed", "interrupted", NULL };
	const json_t	*m = json_object_get(node, "metadata");
	const char	*state = msg_string(m, "state");

	x->key = xstrdup(msg_string(node, "message_id"));
	x->created = import_time(node, "created_date");
	if (msg_string(node, "model_name") != NULL)
		x->model = msg_string(node, "model_name");
	if (m == NULL)
		return;
	if (msg_string(m, "digest") != NULL)
		x->digest = msg_string(m, "digest");
	if (msg_string(m, "precision") != NULL)
		x->precision = msg_string(m, "precision");
	import_adapter(x, m);
	if (state != NULL && vocabulary_find(states, state) != -1)
		x->state = state;
	x->stop = msg_string(m, "stop");
	if (json_is_object(json_object_get(m, "params"))) {
		json_decref(x->params);
		x->params = json_incref(json_object_get(m, "params"));
	}
	x->seed = msg_int(m, "seed", 0);
	x->prompt_tokens = msg_int(m, "prompt_tokens", 0);
	x->output_tokens = msg_int(m, "output_tokens", 0);
	x->dropped = msg_int(m, "dropped", 0);
}

/* Is this message the ideal text for a reply? */
static int
import_is_ideal(const json_t *node, const struct import_reply *x)
{
	const char	*id = msg_string(node, "message_id");
	size_t		 n = x->key != NULL ? strlen(x->key) : 0;

	return (id != NULL && n > 0 && strncmp(id, x->key, n) == 0 &&
	    strncmp(id + n, IMPORT_IDEAL, strlen(IMPORT_IDEAL)) == 0);
}

/* Take an ideal text: it belongs to the rating of its user. */
static void
import_ideal(struct import_reply *x, const json_t *node)
{
	const char	*user = msg_string(node, "user_id");
	size_t		 i;

	for (i = 0; user != NULL && i < x->nratings; i++) {
		if (strcmp(x->rating[i].user, user) == 0 &&
		    x->rating[i].ideal == NULL) {
			x->rating[i].ideal = msg_string(node, "text");
			return;
		}
	}
}

/* Take a prompt of a tree with its replies, and the prompts after it. */
static int
import_node(struct import *im, json_t *node, int depth, struct fault *f)
{
	struct import_reply	*x = NULL;
	const char		*text = msg_string(node, "text");
	const char		*pre;
	json_t			*o, *next;
	size_t			 i, turn;
	int			 r;

	if (text == NULL || depth > IMPORT_TURNS)
		return (import_bad(f, text == NULL ? "a message without text" :
		    "the tree is too deep"));
	import_turn(im, text, strlen(text));
	turn = im->nturns - 1;
	im->turn[turn].created = import_time(node, "created_date");
	pre = msg_string(json_object_get(node, "metadata"), "preprompt");
	im->turn[turn].preprompt = xstrdup(pre);
	json_array_foreach(json_object_get(node, "replies"), i, o) {
		text = msg_string(o, "text");
		if (text == NULL || msg_string(o, "message_id") == NULL)
			return (import_bad(f, "a message needs message_id and "
			    "text"));
		if (i > 0 && x != NULL && import_is_ideal(o, x)) {
			import_ideal(x, o);
			continue;
		}
		x = import_add(&im->turn[turn], text, strlen(text));
		import_facts(x, o);
		import_opinions(x, o);
		next = json_array_get(json_object_get(o, "replies"), 0);
		if (next == NULL)
			continue;
		x->next = next;
	}
	/* One branch is followed: the others are not a conversation's. */
	for (i = 0; i < im->turn[turn].nreplies; i++) {
		if (im->turn[turn].reply[i].next == NULL)
			continue;
		im->turn[turn].split = i + 1;
		if ((r = import_node(im, im->turn[turn].reply[i].next,
		    depth + 1, f)) != 0)
			return (r);
		break;
	}
	return (0);
}

/* A tree of messages. */
static int
import_oasst(json_t *row, struct import *im, struct fault *f)
{
	const json_t	*m = json_object_get(row, "metadata");
	const char	*name = msg_string(m, "conversation");
	const char	*id = msg_string(row, "message_tree_id");

	im->conversation = name != NULL ? xstrdup(name) :
	    import_name(id, strlen(id), 1);
	im->user = msg_string(m, "user");
	if (im->user == NULL)
		im->user = msg_string(json_object_get(row, "prompt"),
		    "user_id");
	if (im->user == NULL)
		im->user = IMPORT_USER;
	im->continues = msg_string(m, "continues");
	im->whole = 1;
	return (import_node(im, json_object_get(row, "prompt"), 0, f));
}

/* Read a row. */
int
import_read(json_t *row, struct import *im, struct fault *f)
{
	if (msg_string(row, "message_tree_id") != NULL)
		return (import_oasst(row, im, f));
	if (json_is_array(json_object_get(row, "messages")))
		return (import_messages(row, im, f));
	if (msg_string(row, "text") != NULL &&
	    strstr(msg_string(row, "text"), "<human>:") != NULL)
		return (import_oig(row, im, f));
	return (import_bad(f, "expected a row of messages, oig or oasst"));
}

/* Release it. */
void
import_clear(struct import *im)
{
	struct import_reply	*x;
	size_t			 i, k, n;

	for (i = 0; i < im->nturns; i++) {
		for (k = 0; k < im->turn[i].nreplies; k++) {
			x = &im->turn[i].reply[k];
			for (n = 0; n < x->nratings; n++)
				json_decref(x->rating[n].reasons);
			free(x->rating);
			json_decref(x->params);
			free(x->key);
			free(x->text);
		}
		free(im->turn[i].reply);
		free(im->turn[i].prompt);
		free(im->turn[i].preprompt);
	}
	free(im->turn);
	free(im->ideal);
	free(im->conversation);
}
