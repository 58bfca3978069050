/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports: the replies that each format has, compared byte by byte.
 */
#include "store_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "export.h"
#include "json.h"
#include "xmalloc.h"

#define HUMAN(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define BOT(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"
#define LINE(turns) "{\"messages\":[" turns "]}\n"

/* Add an exchange to conversation c (0: a new one) of uid. Returns its
 * reply. */
static int
say(struct fixture *fx, int uid, int c, const char *prompt, const char *state,
    const char *text)
{
	static int	key;
	char		in[40] = "";
	int64_t		reply;

	if (c != 0)
		snprintf(in, sizeof in, "'conversation':%d,", c);
	reply = fixture_do(fx, "reply", "{'op':'begin','key':'%d','uid':%d,"
	    "'kind':'say',%s'prompt':'%s','params':{},'seed':1,'model':{"
	    "'name':'mini'},'time':1}", ++key, uid, in, prompt);
	if (state != NULL)
		fixture_do(fx, NULL, "{'op':'finish','reply':%d,'state':'%s',"
		    "'text':'%s','ids':[],'time':2}", (int)reply, state, text);
	return ((int)reply);
}

/* Add a reply to an exchange of uid 1. */
static void
again(struct fixture *fx, int exchange, const char *state, const char *text)
{
	static int	key;
	int64_t		reply;

	reply = fixture_do(fx, "reply", "{'op':'begin','key':'a%d','uid':1,"
	    "'kind':'regenerate','exchange':%d,'params':{},'seed':1,"
	    "'model':{},'time':1}", ++key, exchange);
	fixture_do(fx, NULL, "{'op':'finish','reply':%d,'state':'%s',"
	    "'text':'%s','ids':[],'time':2}", (int)reply, state, text);
}

/* Rate a reply of uid 1; more members begin with a comma. */
static void
rate(struct fixture *fx, int exchange, int reply, int thumb, const char *more)
{
	fixture_do(fx, NULL, "{'op':'rate','uid':1,'exchange':%d,'reply':%d,"
	    "'thumb':%d,'time':1700000000123%s}", exchange, reply, thumb,
	    more);
}

/* Run an export: a new string. */
static char *
run(struct fixture *fx, const struct export_options *opt)
{
	struct fault	 f = { 0 };
	char		*got = NULL;
	size_t		 n;
	FILE		*out = open_memstream(&got, &n);

	if (export_make(opt, fx->path, out, NULL, &f) != 0)
		fail_msg("%s", f.message);
	fclose(out);
	return (got);
}

/* Compare an export without metadata with the expected text. */
static void
expect_rated(struct fixture *fx, const char *format, int uid,
    const char *rating, const char *want)
{
	struct export_options	 opt = { .format = format, .uid = uid,
				    .rating = rating, .bare = 1 };
	char			*got = run(fx, &opt);

	assert_string_equal(got, want);
	free(got);
}

/* The filter that chooses the most. */
static const char *
most(const char *format)
{
	return (vocabulary_format_use(format) == FORMAT_LABELS ? NULL : "all");
}

/* The same, of all replies that the format may have. */
static void
expect(struct fixture *fx, const char *format, int uid, const char *want)
{
	expect_rated(fx, format, uid, most(format), want);
}

/* Run an export of a user to a stream. */
static int
run_to(struct fixture *fx, const char *format, int uid, FILE *out,
    struct fault *f)
{
	struct export_options	 opt = { .format = format, .uid = uid,
				    .rating = most(format), .bare = 1 };

	return (export_make(&opt, fx->path, out, NULL, f));
}

/* The same of another file. */
static int
run_file(const char *path, struct fault *f)
{
	struct export_options	 opt = { .format = "csv", .uid = 1 };

	return (export_make(&opt, path, stdout, NULL, f));
}

static void
test_a_conversation_is_a_line(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, 0, "a\\n", "done", "b");
	say(fx, 1, 1, "c", "done", "\xc3\xa9");
	say(fx, 1, 0, "d", "done", "\\u001b[31m");
	expect(fx, "messages", 1, LINE(HUMAN("a") "," BOT("b") ","
	    HUMAN("c") "," BOT("\xc3\xa9"))
	    LINE(HUMAN("d") "," BOT("\\u001B[31m")));
	expect(fx, "oig", 1, "{\"text\":\"<human>: a\\n<bot>: b\\n"
	    "<human>: c\\n<bot>: \xc3\xa9\"}\n"
	    "{\"text\":\"<human>: d\\n<bot>: \\u001B[31m\"}\n");
}

static void
test_a_user_gets_own_data_and_all_gets_everything(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, 0, "a", "done", "b");
	say(fx, 2, 0, "c", "done", "d");
	rate(fx, 1, 1, -1, ",'ideal':'e'");
	expect(fx, "messages", 2, LINE(HUMAN("c") "," BOT("d")));
	expect(fx, "messages", -1, LINE(HUMAN("a") "," BOT("e"))
	    LINE(HUMAN("c") "," BOT("d")));
	expect(fx, "messages", 3, "");
	expect(fx, "preference", 2, "");
	expect(fx, "preference", -1, "{\"prompt\":[" HUMAN("a") "],"
	    "\"chosen\":[" BOT("e") "],\"rejected\":[" BOT("b") "],"
	    "\"margin\":2}\n");
}

static void
test_the_best_reply_is_written(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, 0, "p", "done", "first");
	expect(fx, "messages", 1, LINE(HUMAN("p") "," BOT("first")));
	again(fx, 1, "done", "second");
	expect(fx, "messages", 1, LINE(HUMAN("p") "," BOT("second")));
	rate(fx, 1, 2, -1, "");
	expect(fx, "messages", 1, LINE(HUMAN("p") "," BOT("first")));
	again(fx, 1, "done", "third");
	rate(fx, 1, 1, 1, "");
	expect(fx, "messages", 1, LINE(HUMAN("p") "," BOT("first")));
	rate(fx, 1, 2, -1, ",'ideal':'ideal'");
	expect(fx, "messages", 1, LINE(HUMAN("p") "," BOT("ideal")));
	rate(fx, 1, 2, -1, "");		/* the rating has changed */
	expect(fx, "messages", 1, LINE(HUMAN("p") "," BOT("first")));
}

static void
test_only_what_somebody_vouched_for_goes_out(void **state)
{
	struct fixture	*fx = *state;
	int		 i;

	for (i = 1; i <= 4; i++)
		say(fx, 1, 0, "p", "done", "r");
	rate(fx, 1, 1, 1, "");
	rate(fx, 2, 2, 0, "");
	rate(fx, 3, 3, -1, "");
	expect_rated(fx, "messages", 1, NULL, LINE(HUMAN("p") "," BOT("r")));
	expect_rated(fx, "messages", 1, "neutral", LINE(HUMAN("p") ","
	    BOT("r")));
	expect_rated(fx, "messages", 1, "none", LINE(HUMAN("p") ","
	    BOT("r")));
	expect_rated(fx, "messages", 1, "bad", "");
	/* Blank, or the same: chatd of version 2 stored such ratings. */
	rate(fx, 3, 3, -1, ",'ideal':'i'");
	assert_int_equal(sqlite3_exec(fx->st->db, "UPDATE rating SET ideal = "
	    "char(10, 160)", NULL, NULL, NULL), SQLITE_OK);
	expect_rated(fx, "messages", 1, "bad", "");
	assert_int_equal(sqlite3_exec(fx->st->db, "UPDATE rating SET ideal = "
	    "'r'", NULL, NULL, NULL), SQLITE_OK);
	expect_rated(fx, "messages", 1, "bad", "");
	assert_int_equal(sqlite3_exec(fx->st->db, "UPDATE rating SET ideal = "
	    "NULL", NULL, NULL, NULL), SQLITE_OK);
	rate(fx, 3, 3, -1, ",'ideal':'i'");
	expect_rated(fx, "messages", 1, "bad", LINE(HUMAN("p") "," BOT("i")));
	expect_rated(fx, "messages", 1, NULL, LINE(HUMAN("p") "," BOT("r"))
	    LINE(HUMAN("p") "," BOT("i")));
	/* Two people do not agree; the owner gets the own opinion only. */
	assert_int_equal(sqlite3_exec(fx->st->db, "INSERT INTO rating (reply, "
	    "uid, thumb, reasons, created) VALUES (1, 7, -1, '[]', 1)", NULL,
	    NULL, NULL), SQLITE_OK);
	expect_rated(fx, "messages", -1, "good", "");
	expect_rated(fx, "messages", 1, "good", LINE(HUMAN("p") ","
	    BOT("r")));
}

static void
test_a_bad_or_cut_reply_is_in_no_line(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, 0, "1", "done", "one");
	say(fx, 1, 1, "2", "done", "bad");
	say(fx, 1, 1, "3", "done", "three");
	rate(fx, 2, 2, -1, "");
	/* The third reply answers a bad one: only sft, which does not teach
	 * the prompt, has it. */
	expect(fx, "messages", 1, LINE(HUMAN("1") "," BOT("one")));
	expect(fx, "sft", 1, "{\"prompt\":\"<human>: 1\\n<bot>:\","
	    "\"completion\":\" one\"}\n{\"prompt\":\"<human>: 1\\n<bot>: one\\n"
	    "<human>: 2\\n<bot>: bad\\n<human>: 3\\n<bot>:\","
	    "\"completion\":\" three\"}\n");
	rate(fx, 1, 1, -1, "");
	expect(fx, "messages", 1, "");
	say(fx, 1, 0, "a", "done", "A");
	say(fx, 1, 2, "b", "cancelled", "half a wo");
	say(fx, 1, 2, "c", "done", "C");
	expect(fx, "messages", 1, LINE(HUMAN("a") "," BOT("A")));
	/* Another reply, which the turn after it had not seen. */
	again(fx, 5, "done", "B");
	expect(fx, "messages", 1, LINE(HUMAN("a") "," BOT("A") ","
	    HUMAN("b") "," BOT("B")));
	rate(fx, 5, 5, 1, "");		/* half a word is no good reply */
	expect(fx, "messages", 1, LINE(HUMAN("a") "," BOT("A") ","
	    HUMAN("b") "," BOT("B")));
}

/* A reply that has reached max_tokens is cut, too. */
static void
test_a_reply_that_was_too_long_is_cut(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, 0, "p", NULL, NULL);
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done','stop':"
	    "'length','text':'and then','ids':[],'time':2}");
	rate(fx, 1, 1, 1, "");
	expect(fx, "oig", 1, "");
	expect(fx, "sft", 1, "");
	expect(fx, "kto", 1, "");
	rate(fx, 1, 1, -1, "");
	expect(fx, "kto", 1, "{\"prompt\":\"<human>: p\\n<bot>:\","
	    "\"completion\":\" and then\",\"label\":false}\n");
	rate(fx, 1, 1, 1, ",'ideal':'all of it'");
	expect(fx, "oig", 1,
	    "{\"text\":\"<human>: p\\n<bot>: all of it\"}\n");
}

static void
test_an_ideal_text_ends_its_line(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, 0, "1", "done", "one");
	say(fx, 1, 1, "2", "done", "two");
	say(fx, 1, 1, "3", "done", "three");
	rate(fx, 2, 2, 1, ",'ideal':'TWO'");
	/* The third reply answers "two", which is good as well. */
	expect(fx, "messages", 1, LINE(HUMAN("1") "," BOT("one") ","
	    HUMAN("2") "," BOT("TWO")) LINE(HUMAN("1") "," BOT("one") ","
	    HUMAN("2") "," BOT("two") "," HUMAN("3") "," BOT("three")));
	rate(fx, 2, 2, -1, ",'ideal':'TWO'");
	expect(fx, "messages", 1, LINE(HUMAN("1") "," BOT("one") ","
	    HUMAN("2") "," BOT("TWO")));
}

static void
test_a_row_has_what_the_model_had_read(void **state)
{
	struct fixture	*fx = *state;
	int64_t		 r;

	say(fx, 1, 0, "1", "done", "one");
	say(fx, 1, 1, "2", "done", "two");
	r = fixture_do(fx, "reply", "{'op':'begin','key':'x','uid':1,'kind':"
	    "'say','conversation':1,'prompt':'3','preprompt':"
	    "'You are a <bot> pirate.','params':{},'seed':1,'model':{},"
	    "'time':1}");
	fixture_do(fx, NULL, "{'op':'finish','reply':%d,'state':'done',"
	    "'text':'Arr','ids':[],'dropped':2,'time':2}", (int)r);
	rate(fx, 3, 3, 1, "");
	again(fx, 1, "done", "ONE");	/* comes too late for it */
	expect_rated(fx, "sft", 1, NULL, "{\"prompt\":\"You are a (bot) "
	    "pirate.\\n<human>: 2\\n<bot>: two\\n<human>: 3\\n<bot>:\","
	    "\"completion\":\" Arr\"}\n");
	rate(fx, 2, 2, 1, "");
	expect_rated(fx, "messages", 1, "good", "{\"messages\":["
	    "{\"role\":\"system\",\"content\":\"You are a (bot) pirate.\\n\"},"
	    HUMAN("2") "," BOT("two") "," HUMAN("3") "," BOT("Arr") "]}\n");
}

static void
test_an_exchange_that_nobody_saw_is_left_out(void **state)
{
	static const char *const states[] = { "blocked", "failed", "done",
	    "cancelled", "interrupted", NULL };
	struct fixture	*fx = *state;
	size_t		 i;

	say(fx, 1, 0, "1", "done", "one");
	for (i = 0; i < nitems(states); i++)
		say(fx, 1, 1, "x", states[i], i < 2 ? "unseen" : "");
	say(fx, 1, 1, "2", "done", "two");
	expect(fx, "messages", 1, LINE(HUMAN("1") "," BOT("one") ","
	    HUMAN("2") "," BOT("two")));
}

static void
test_an_ideal_text_replaces_a_blocked_reply(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, 0, "p", "blocked", "unseen");
	rate(fx, 1, 1, -1, ",'reasons':['wrong_refusal'],'ideal':'better'");
	expect(fx, "messages", 1, LINE(HUMAN("p") "," BOT("better")));
	/* But a text that nobody saw is not a worse reply. */
	expect(fx, "preference", 1, "");
}

static void
test_text_can_not_open_a_turn_in_oig(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, 0, " hi\\n<bot>: sure\\n<HUMAN>:x <b> <human \\t", "done",
	    "\\n<human>: <<bot>>  ");
	expect(fx, "oig", 1, "{\"text\":\"<human>: hi\\n(bot): sure\\n"
	    "(HUMAN):x <b> <human\\n<bot>: (human): <(bot)>\"}\n");
	expect(fx, "messages", 1, LINE(HUMAN("hi\\n(bot): sure\\n"
	    "(HUMAN):x <b> <human") "," BOT("(human): <(bot)>")));
	/* Look-alikes, white space of other kinds, special tokens. */
	say(fx, 1, 0, "\\u00a0\\f\\u2039human\\u203a \\u2028\\u0085x"
	    "<|endoftext|>\\u000b", "done", "<|padding|><|x|>");
	rate(fx, 2, 2, 1, "");
	expect_rated(fx, "oig", 1, NULL, "{\"text\":\"<human>: (human) "
	    "\\u2028\\u0085x<| endoftext|>\\n<bot>: <| padding|><|x|>\"}\n");
}

static void
test_raw_prompts_are_not_in_dialogues(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, "{'op':'begin','key':'c','uid':1,"
	    "'kind':'complete','prompt':'p','params':{},'seed':1,'model':{},"
	    "'time':1}");
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done',"
	    "'text':'t','ids':[],'time':2}");
	rate(fx, 1, 1, -1, ",'ideal':'i'");
	expect(fx, "messages", 1, "");
	expect(fx, "oig", 1, "");
	expect(fx, "preference", 1, "");
	expect(fx, "sft", 1, "{\"prompt\":\"p\",\"completion\":\"i\"}\n");
	expect(fx, "kto", 1, "{\"prompt\":\"p\",\"completion\":\"t\","
	    "\"label\":false}\n{\"prompt\":\"p\",\"completion\":\"i\","
	    "\"label\":true}\n");
}

static void
test_a_preference_is_a_bad_reply_and_a_better_one(void **state)
{
#define PAIR(chosen, rejected, margin) \
	"{\"prompt\":[" HUMAN("1") "," BOT("one") "," HUMAN("2") "]," \
	"\"chosen\":[" BOT(chosen) "],\"rejected\":[" BOT(rejected) "]," \
	"\"margin\":" #margin "}\n"
	struct fixture	*fx = *state;

	say(fx, 1, 0, "1", "done", "one");
	say(fx, 1, 1, "x", "blocked", "unseen");
	say(fx, 1, 1, "2", "done", "r3");
	again(fx, 3, "done", "r4");
	again(fx, 3, "done", "r5");
	expect(fx, "preference", 1, "");
	rate(fx, 3, 3, -1, "");
	expect(fx, "preference", 1, "");	/* no better reply */
	rate(fx, 3, 4, 1, "");
	expect(fx, "preference", 1, PAIR("r4", "r3", 2));
	rate(fx, 3, 5, 0, ",'ideal':'i5'");
	expect(fx, "preference", 1, PAIR("i5", "r3", 2) PAIR("i5", "r5", 1));
	rate(fx, 3, 3, -1, ",'ideal':'i3'");
	expect(fx, "preference", 1, PAIR("i3", "r3", 2) PAIR("i5", "r5", 1));
	rate(fx, 3, 3, -1, ",'ideal':'x'");
	/* The same text: chatd of version 2 stored such ratings. */
	assert_int_equal(sqlite3_exec(fx->st->db, "UPDATE rating SET "
	    "ideal = 'r3' WHERE ideal = 'x'", NULL, NULL, NULL), SQLITE_OK);
	expect(fx, "preference", 1, PAIR("i5", "r3", 2) PAIR("i5", "r5", 1));
	expect(fx, "openai-dpo", 1, "{\"input\":{\"messages\":[" HUMAN("1")
	    "," BOT("one") "," HUMAN("2") "]},\"preferred_output\":["
	    BOT("i5") "],\"non_preferred_output\":[" BOT("r3") "]}\n"
	    "{\"input\":{\"messages\":[" HUMAN("1") "," BOT("one") ","
	    HUMAN("2") "]},\"preferred_output\":[" BOT("i5") "],"
	    "\"non_preferred_output\":[" BOT("r5") "]}\n");
	/* A good reply after another first turn is no better one. */
	again(fx, 1, "done", "ONE");
	again(fx, 3, "done", "r7");
	rate(fx, 3, 3, -1, "");
	rate(fx, 3, 4, 0, "");
	rate(fx, 3, 5, 0, "");
	rate(fx, 3, 7, 1, "");
	expect(fx, "preference", 1, "");
}

static void
test_ratings_are_rows_that_quote_what_needs_it(void **state)
{
#define HEADER "rating,reply,exchange,conversation,dialogue,user,rated," \
	"thumb,reasons,model,precision,digest,seed,params,state,kind," \
	"preprompt,prompt,reply_text,ideal,comment,stop\r\n"
	struct fixture	*fx = *state;
	char		*key;

	expect(fx, "csv", 1, HEADER);
	say(fx, 1, 0, "say \\\"a, b\\\"\\r\\nplease", "done", " x");
	rate(fx, 1, 1, -1, "");
	rate(fx, 1, 1, -1, ",'reasons':['harmful','incorrect'],"
	    "'ideal':'=1+1'");
	assert_int_equal(sqlite3_exec(fx->st->db, "UPDATE conversation SET "
	    "uuid = 'u'", NULL, NULL, NULL), SQLITE_OK);
	/* A known key gives known pseudonyms. */
	key = xasprintf("%s.key", fx->path);
	fixture_write(key, "0123456789abcdef0123456789abcdef", 32);
	free(key);
	expect(fx, "csv", 1, HEADER "2,1,1,1,\"u\",\"user-ce304734d1c40c3f\","
	    "\"2023-11-14T22:13:20.123Z\",-1,\"incorrect harmful\",\"mini\","
	    "\"\",\"\",1,\"{}\",\"done\",\"say\",,"
	    "\"say \"\"a, b\"\"\r\nplease\",\" x\",\"=1+1\",,\r\n");
}

static void
test_a_blocked_text_is_for_operators_only(void **state)
{
	struct fixture	*fx = *state;
	struct fault	 f;
	char		*got = NULL;
	size_t		 n;
	FILE		*out;

	say(fx, 1, 0, "p", "blocked", "unseen");
	rate(fx, 1, 1, -1, "");
	out = open_memstream(&got, &n);
	assert_int_equal(run_to(fx, "csv", 1, out, &f), 0);
	fflush(out);
	assert_null(strstr(got, "unseen"));
	assert_int_equal(run_to(fx, "csv", -1, out, &f), 0);
	fclose(out);
	assert_non_null(strstr(got, "unseen"));
	free(got);
}

/* Finish reply of uid 1 as blocked, with a finding in that direction. */
static void
blocked(struct fixture *fx, int reply, const char *direction)
{
	fixture_do(fx, NULL, "{'op':'finish','reply':%d,'state':'blocked',"
	    "'text':'t','ids':[],'time':2,'verdicts':[{'direction':'%s',"
	    "'plugin':'rules','category':'hate','score':0.5,'start':0,"
	    "'end':1,'rule':'a','action':'flag'},{'direction':'%s',"
	    "'plugin':'rules','category':'violence','score':0.25,'start':0,"
	    "'end':1,'rule':'b','action':'block'}]}", reply, direction,
	    direction);
}

#define VERDICT(category, score, rule, action) \
	"{\"plugin\":\"rules\",\"category\":\"" category "\",\"score\":" \
	score ",\"start\":0,\"end\":1,\"rule\":\"" rule "\"," \
	"\"action\":\"" action "\"}"
#define JUDGED(n, direction, text, category, kind, label, wrong) \
	"{\"id\":\"reply-" n "-" direction "\",\"text\":\"" text "\"," \
	"\"category\":\"" category "\",\"kind\":\"" kind "\"," \
	"\"source\":\"chatd\",\"label\":\"" label "\",\"exchange\":" n \
	",\"reply\":" n ",\"state\":\"blocked\",\"wrong_refusal\":" wrong \
	",\"verdicts\":[" VERDICT("violence", "0.25", "b", "block") "," \
	VERDICT("hate", "0.5", "a", "flag") "]}\n"

static void
test_a_text_for_training_has_what_an_operator_decided(void **state)
{
	struct fixture	*fx = *state;
	int		 i;

	for (i = 1; i <= 4; i++)
		blocked(fx, say(fx, 1, 0, "p", NULL, NULL),
		    i == 4 ? "reply" : "prompt");
	say(fx, 1, 0, "harmless", "done", "x");
	for (i = 1; i <= 3; i++)
		rate(fx, i, i, -1, ",'reasons':['wrong_refusal']");
	fixture_do(fx, NULL, "{'op':'rate','uid':2,'admin':true,"
	    "'exchange':2,'reply':2,'thumb':1,'time':3}");
	fixture_do(fx, NULL, "{'op':'rate','uid':2,'admin':true,"
	    "'exchange':3,'thumb':1,'time':3}");
	fixture_do(fx, NULL, "{'op':'rate','uid':2,'admin':true,"
	    "'exchange':3,'thumb':-1,'reasons':['wrong_refusal'],'time':4}");
#define PROMPTS \
	JUDGED("1", "prompt", "p", "other_unsafe", "request", "undecided", \
	    "true") \
	JUDGED("2", "prompt", "p", "violence", "request", "keep", "true") \
	JUDGED("3", "prompt", "p", "benign", "request", "overturn", "true")
	expect(fx, "moderation", -1, PROMPTS JUDGED("4", "reply", "t",
	    "other_unsafe", "content", "undecided", "false"));
	/* The user has not seen the blocked reply. */
	expect(fx, "moderation", 1, PROMPTS);
	expect(fx, "moderation", 2, "");
}

/* A stream that counts lines, and lets the store commit something meanwhile. */
struct meddler {
	struct fixture	*fx;
	int		 lines, meddled;
};

static ssize_t
meddle(void *cookie, const char *buf, size_t n)
{
	struct meddler	*m = cookie;
	size_t		 i;

	if (!m->meddled)
		say(m->fx, 1, 0, "late", "done", "late");
	m->meddled = 1;
	for (i = 0; i < n; i++)
		m->lines += buf[i] == '\n';
	return ((ssize_t)n);
}

static void
test_an_export_shows_one_moment(void **state)
{
	struct fixture	*fx = *state;
	struct meddler	 m = { fx, 0, 0 };
	struct fault	 f;
	FILE		*out;

	say(fx, 1, 0, "a", "done", "b");
	say(fx, 1, 0, "c", "done", "d");
	out = fopencookie(&m, "w", (cookie_io_functions_t){
	    .write = meddle });
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(run_to(fx, "oig", 1, out, &f), 0);
	assert_int_equal(m.lines, 2);
	assert_int_equal(run_to(fx, "oig", 1, out, &f), 0);
	assert_int_equal(m.lines, 2 + 3);
	fclose(out);
}

static void
test_a_reader_that_leaves_ends_the_export(void **state)
{
	struct fixture	*fx = *state;
	struct fault	 f;
	FILE		*out;
	int		 p[2];

	say(fx, 1, 0, "a", "done", "b");
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(p), 0);
	close(p[0]);
	out = fdopen(p[1], "w");
	assert_int_equal(run_to(fx, "oig", 1, out, &f),
	    CHAT_ECLOSED);
	fclose(out);
	out = fopen("/dev/full", "w");
	assert_int_equal(run_to(fx, "oig", 1, out, &f),
	    CHAT_ESYSTEM);
	fclose(out);
}

static void
test_another_file_is_refused(void **state)
{
	struct fixture	*fx = *state;
	struct fault	 f;
	char		 path[300];
	sqlite3		*db;

	snprintf(path, sizeof path, "%s/none.db", fx->dir);
	assert_int_not_equal(run_file(path, &f), 0);
	assert_int_equal(access(path, F_OK), -1);
	fixture_write(path, "not a database, but some lines of text", 38);
	assert_int_not_equal(run_file(path, &f), 0);
	fixture_write(path, "", 0);
	assert_int_not_equal(run_file(path, &f), 0);
	assert_non_null(strstr(f.message, "schema version 0"));
	assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA user_version = 9", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_int_not_equal(run_file(fx->path, &f), 0);
	assert_non_null(strstr(f.message, "newer"));
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, \
	    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_conversation_is_a_line),
		T(a_user_gets_own_data_and_all_gets_everything),
		T(the_best_reply_is_written),
		T(only_what_somebody_vouched_for_goes_out),
		T(a_bad_or_cut_reply_is_in_no_line),
		T(a_reply_that_was_too_long_is_cut),
		T(an_ideal_text_ends_its_line),
		T(a_row_has_what_the_model_had_read),
		T(an_exchange_that_nobody_saw_is_left_out),
		T(an_ideal_text_replaces_a_blocked_reply),
		T(text_can_not_open_a_turn_in_oig),
		T(raw_prompts_are_not_in_dialogues),
		T(a_preference_is_a_bad_reply_and_a_better_one),
		T(ratings_are_rows_that_quote_what_needs_it),
		T(a_blocked_text_is_for_operators_only),
		T(a_text_for_training_has_what_an_operator_decided),
		T(an_export_shows_one_moment),
		T(a_reader_that_leaves_ends_the_export),
		T(another_file_is_refused),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
