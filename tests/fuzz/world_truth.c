/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers that answer correctly, for fuzz targets. A reply to a prompt with
 * "wait" is written until it is cancelled; a text with "bad", "hide" or "look"
 * must be blocked, redacted or flagged.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* Make an event for a request. */
static json_t *
truth_event(const char *name, const json_t *m)
{
	return (msg_event(name, msg_int(m, "id", 0)));
}

/* Does a message hold a word anywhere? */
static int
truth_says(const json_t *m, const char *word)
{
	size_t	 n;
	char	*s = msg_line(m, &n);
	int	 r = strstr(s, word) != NULL;

	free(s);
	return (r);
}

/* generate: begin, some text, and the end unless the prompt has "wait". */
static int
truth_generate(struct world *w, struct world_peer *p, const json_t *m)
{
	static const char *const pieces[] = { "h\xc3\xa9llo ", "ther",
	    "e, hide", "", "." };
	json_t	*e, *ids;
	int64_t	 max = msg_int(json_object_get(m, "params"), "max_tokens", 0);
	size_t	 i, had;

	had = json_array_size(json_object_get(m, "resume"));
	e = truth_event("started", m);
	msg_set_int(e, "prompt_tokens", 3);
	msg_set_int(e, "dropped", truth_says(m, "long"));
	world_send(w, p, e);
	for (i = had; i < nitems(pieces) && (int64_t)i < max; i++) {
		e = truth_event("text", m);
		msg_set_string(e, "text", pieces[i]);
		ids = json_array();
		json_array_append_new(ids, json_integer((json_int_t)i));
		msg_set(e, "ids", ids);
		world_send(w, p, e);
	}
	if (truth_says(m, "wait"))
		return (0);
	e = truth_event("done", m);
	msg_set_string(e, "stop", "stop");
	world_send(w, p, e);
	return (1);
}

/* cancel: ends the cancelled request, too. */
static void
truth_cancel(struct world *w, struct world_peer *p, const json_t *m)
{
	json_t	*e;

	e = msg_event("done", msg_int(m, "request", 0));
	msg_set_string(e, "stop", "cancelled");
	world_send(w, p, e);
}

/* Answer as the engine. */
static int
truth_engine(struct world *w, struct world_peer *p, const char *op,
    const json_t *m)
{
	json_t	*e, *model;

	if (strcmp(op, "init") == 0) {
		world_send(w, p, json_pack("{s:s,s:i,s:i}", "event",
		    "progress", "bytes", 1, "bytes_total", 2));
		model = json_pack("{s:s,s:s,s:s,s:s,s:i}", "name", "m",
		    "digest", "sha256:0", "precision", "bf16", "device", "cpu",
		    "context", 2048);
		e = msg_event("ready", -1);
		msg_set_int(e, "protocol", 1);
		msg_set(e, "model", model);
		world_send(w, p, e);
		return (1);
	}
	if (strcmp(op, "generate") == 0)
		return (truth_generate(w, p, m));
	e = truth_event("done", m);
	if (strcmp(op, "tokenize") == 0)
		msg_set(e, "ids", json_pack("[i,i]", 5, 6));
	world_send(w, p, e);
	if (strcmp(op, "cancel") == 0)
		truth_cancel(w, p, m);
	return (1);
}

/* Add a finding for a word in a text. */
static void
truth_find(json_t *findings, const char *plugin, const char *text,
    const char *word, double score)
{
	const char	*at = strstr(text, word);

	if (at == NULL)
		return;
	json_array_append_new(findings, json_pack(
	    "{s:s,s:s,s:s,s:f,s:I,s:I}", "plugin", plugin, "rule", word,
	    "category", "violence", "score", score, "start",
	    (json_int_t)(at - text), "end",
	    (json_int_t)(at - text + (ptrdiff_t)strlen(word))));
}

/* Answer as a filter. One with the plugin "other" reads growing texts in
 * pieces, keeps a state of each, lowers what it has found, and saves. */
static int
truth_filter(struct world *w, struct world_peer *p, const char *op,
    const json_t *m)
{
	const char	*text = msg_string(m, "text"), *plugin;
	json_t		*e, *findings;

	plugin = msg_string(json_array_get(json_object_get(p->init, "plugins"),
	    0), "name");
	if (strcmp(op, "init") == 0) {
		e = json_pack("{s:s,s:s,s:i}", "name", plugin, "version", "1",
		    "rules", 3);
		if (strcmp(plugin, "other") == 0)
			json_object_update_new(e, json_pack("{s:i,s:b,s:b}",
			    "window", 4, "texts", 1, "keeps", 1));
		world_send(w, p, json_pack("{s:s,s:[o]}", "event", "ready",
		    "plugins", e));
		return (1);
	}
	e = truth_event("done", m);
	if (strcmp(op, "check") == 0) {
		findings = json_array();
		truth_find(findings, plugin, text, "bad", .9);
		truth_find(findings, plugin, text, "hide", .6);
		truth_find(findings, plugin, text, "look", .3);
		msg_set(e, "findings", findings);
		if (strcmp(plugin, "other") == 0)
			json_object_update_new(e, json_pack(
			    "{s:I,s:{s:i},s:[{s:s,s:f,s:i,s:I}]}", "settled",
			    (json_int_t)strlen(text) / 2, "ns", plugin, 5,
			    "lowered", "plugin", plugin, "score", .1, "start",
			    0, "end", (json_int_t)strlen(text)));
	}
	if (strcmp(op, "save") == 0)
		msg_set(e, "saved", json_pack("{s:s}", plugin, "00ff"));
	world_send(w, p, e);
	return (1);
}

/* Make one exchange of a conversation. */
static json_t *
truth_exchange(int64_t id)
{
	return (json_pack("{s:I,s:s,s:[{s:I,s:s,s:s}]}", "exchange",
	    (json_int_t)id, "prompt", "hi", "replies", "reply",
	    (json_int_t)id, "state", "done", "text", "ho"));
}

/* Answer as the store. */
static int
truth_store(struct world *w, struct world_peer *p, const char *op,
    const json_t *m)
{
	json_t	*e;

	if (strcmp(op, "init") == 0) {
		world_send(w, p, json_pack("{s:s,s:i}", "event", "ready",
		    "interrupted", 0));
		return (1);
	}
	if (strcmp(op, "show") == 0 || strcmp(op, "list") == 0) {
		e = truth_event("item", m);
		if (op[0] == 's')
			msg_set(e, "exchange", truth_exchange(1));
		else
			msg_set(e, "conversation", json_pack("{s:i,s:s}",
			    "conversation", 1, "title", "t"));
		world_send(w, p, e);
	}
	e = truth_event("done", m);
	w->serial++;
	if (strcmp(op, "begin") == 0) {
		msg_set_int(e, "conversation", msg_int(m, "conversation",
		    w->serial));
		msg_set_int(e, "exchange", w->serial);
		msg_set_int(e, "reply", w->serial);
		msg_set(e, "history", json_pack("[{s:s,s:s}]", "prompt", "hi",
		    "reply", "ho"));
		if (strcmp(msg_string(m, "kind"), "regenerate") == 0)
			msg_set_string(e, "prompt", "again");
		if (strcmp(msg_string(m, "kind"), "say") == 0)
			msg_set(e, "near", json_pack("{s:s,s:i,s:i}", "field",
			    "bytes", "used", 9, "limit", 10));
	} else if (json_object_get(m, "after") == NULL &&
	    strcmp(op, "show") == 0)	/* in two slices */
		msg_set(e, "next", json_pack("{s:i}", "after", 1));
	else if (strcmp(op, "delete") == 0)
		msg_set_int(e, "uid", 0);
	else
		msg_set_bool(e, "more", 0);
	world_send(w, p, e);
	return (1);
}

/* Answer one request. */
int
world_answer(struct world *w, struct world_peer *p, const json_t *m)
{
	const char	*op = msg_string(m, "op");

	switch (p->name) {
	case WORLD_ENGINE:
		return (truth_engine(w, p, op, m));
	case WORLD_FILTER:
		return (truth_filter(w, p, op, m));
	default:
		return (truth_store(w, p, op, m));
	}
}
