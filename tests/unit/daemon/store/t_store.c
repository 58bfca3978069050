/* SPDX-License-Identifier: Apache-2.0 */
/*
 * begin and finish: the rows that they store, the history that the model gets,
 * and the faults.
 */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

/* The fields that every kind of begin needs. */
#define PLAIN "'uid':1000,'params':{},'seed':1,'model':{},'time':1"

static void
test_say_creates_conversation_exchange_and_reply(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a;

	a = fixture_ask(fx, BEGIN("say", "'key':'k','prompt':'Good\\nday',"
	    "'preprompt':'Be brief.'"));
	assert_int_equal(msg_int(a, "conversation", 0), 1);
	assert_int_equal(msg_int(a, "exchange", 0), 1);
	assert_int_equal(msg_int(a, "reply", 0), 1);
	assert_string_equal(msg_string(a, "prompt"), "Good\nday");
	assert_string_equal(msg_string(a, "preprompt"), "Be brief.");
	assert_int_equal(json_array_size(json_object_get(a, "history")), 0);
	json_decref(a);
	assert_string_equal(fixture_sql(fx, "SELECT c.uid, c.title, c.created,"
	    " e.kind, e.prompt, e.preprompt, e.uid, r.state, r.params, r.seed,"
	    " r.key, r.finished, m.path, m.name, m.digest, m.precision "
	    "FROM conversation c, exchange e, reply r, model m"),
	    "1000|Good day|1700000000000|say|Good\nday|Be brief.|1000|running|"
	    "{\"top_k\":40}|7|k|-|/m|mini|sha256:ab|bf16");
}

static void
test_a_model_is_kept_once(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, NULL, "");
	fixture_say(fx, 2, NULL, "");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM model"),
	    "1");
}

static void
test_a_wrong_begin_is_refused_with_the_field(void **state)
{
	static const struct {
		const char	*field, *rest;
	} cases[] = {
		{ "key", "'kind':'say','prompt':'p','key':''" },
		{ "key", "'kind':'say','prompt':'p'" },
		{ "key", "'kind':'say','prompt':'p','key':7" },
		{ "kind", "'key':'k','kind':'sing','prompt':'p'" },
		{ "prompt", "'key':'k','kind':'say'" },
		{ "prompt", "'key':'k','kind':'complete'" },
		{ "prompt", "'key':'k','kind':'regenerate','exchange':1,"
		    "'prompt':'p'" },
		{ "exchange", "'key':'k','kind':'regenerate'" },
		{ "exchange", "'key':'k','kind':'say','prompt':'p',"
		    "'exchange':1" },
		{ "preprompt", "'key':'k','kind':'regenerate','exchange':1,"
		    "'preprompt':'p'" },
		{ "conversation", "'key':'k','kind':'complete','prompt':'p',"
		    "'conversation':1" },
		{ "conversation", "'key':'k','kind':'say','prompt':'p',"
		    "'conversation':0" },
		{ "colour", "'key':'k','kind':'say','prompt':'p','colour':1" },
	};
	struct fixture	*fx = *state;
	size_t		 i;

	for (i = 0; i < nitems(cases); i++)
		fixture_refused(fx, "bad_field", cases[i].field,
		    "{'op':'begin'," PLAIN ",%s}", cases[i].rest);
	fixture_refused(fx, "bad_field", "seed", "{'op':'begin','key':'k',"
	    "'uid':1,'kind':'say','prompt':'p','params':{},'model':{},"
	    "'time':1}");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM exchange"),
	    "0");
}

static void
test_the_same_begin_again_changes_nothing(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a, *b;

	fixture_say(fx, 1, "done", "one");
	a = fixture_ask(fx, BEGIN("say", "'key':'x','prompt':'p',"
	    "'conversation':1"));
	b = fixture_ask(fx, BEGIN("say", "'key':'x','prompt':'p',"
	    "'conversation':1"));
	assert_true(json_equal(a, b));
	assert_int_equal(json_array_size(json_object_get(b, "history")), 1);
	json_decref(a);
	json_decref(b);
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM reply"),
	    "2");
	fixture_refused(fx, "bad_field", "key", "{'op':'begin','key':'x',"
	    "'kind':'say','prompt':'p','uid':1001,'params':{},'seed':1,"
	    "'model':{},'time':1}");
}

static void
test_a_conversation_of_another_user_is_not_found(void **state)
{
	struct fixture	*fx = *state;
	json_t		*foreign, *unknown;

	fixture_say(fx, 1, "done", "one");
	foreign = fixture_ask(fx, "{'op':'begin','key':'f','uid':1001,"
	    "'kind':'say','prompt':'p','params':{},'seed':1,'model':{},"
	    "'time':1,'conversation':1}");
	fixture_do(fx, NULL, "{'op':'delete','uid':1000,'conversation':1}");
	unknown = fixture_ask(fx, "{'op':'begin','key':'f','uid':1001,"
	    "'kind':'say','prompt':'p','params':{},'seed':1,'model':{},"
	    "'time':1,'conversation':1}");
	assert_string_equal(msg_string(foreign, "code"), "not_found");
	assert_true(json_equal(foreign, unknown));
	json_decref(foreign);
	json_decref(unknown);
	fixture_refused(fx, "not_found", "exchange", "{'op':'begin',"
	    "'key':'f'," PLAIN ",'kind':'regenerate','exchange':1}");
}

static void
test_a_raw_prompt_has_no_conversation(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a;

	a = fixture_ask(fx, BEGIN("complete", "'key':'k','prompt':'p'"));
	assert_true(json_is_null(json_object_get(a, "conversation")));
	assert_int_equal(msg_int(a, "reply", 0), 1);
	json_decref(a);
	assert_string_equal(fixture_sql(fx, "SELECT count(*) "
	    "FROM conversation"), "0");
	fixture_do(fx, NULL, FINISH(1, "done", "text"));
	fixture_do(fx, "rating", "{'op':'rate','uid':1000,'exchange':1,"
	    "'thumb':1,'time':1}");
}

static void
test_regenerate_adds_a_reply_and_gets_the_earlier_turns(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a, *turn;

	fixture_say(fx, 1, "done", "one");
	fixture_say(fx, 2, "done", "two");
	fixture_say(fx, 3, "done", "three");
	a = fixture_ask(fx, BEGIN("regenerate", "'key':'k','exchange':2"));
	assert_int_equal(msg_int(a, "exchange", 0), 2);
	assert_int_equal(msg_int(a, "reply", 0), 4);
	assert_string_equal(msg_string(a, "prompt"), "prompt 2");
	assert_int_equal(json_array_size(json_object_get(a, "history")), 1);
	turn = json_array_get(json_object_get(a, "history"), 0);
	assert_string_equal(msg_string(turn, "prompt"), "prompt 1");
	assert_string_equal(msg_string(turn, "reply"), "one");
	json_decref(a);
}

/* Begin one more exchange; its history must have these replies. */
static void
expect_history(struct fixture *fx, const char *key, int64_t bytes,
    const char *want)
{
	char	 got[256] = "";
	json_t	*a, *turn;
	size_t	 i;

	a = fixture_ask(fx, BEGIN("say", "'key':'%s','prompt':'p',"
	    "'conversation':1,'history_bytes':%d"), key, (int)bytes);
	json_array_foreach(json_object_get(a, "history"), i, turn) {
		strcat(got, msg_string(turn, "reply"));
		strcat(got, " ");
	}
	assert_string_equal(got, want);
	json_decref(a);
}

static void
test_history_has_the_newest_turns_that_fit(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "aa");
	fixture_say(fx, 2, "blocked", "bb");
	fixture_say(fx, 3, "cancelled", "cc");
	fixture_say(fx, 4, "failed", "dd");
	fixture_say(fx, 5, "interrupted", "ee");
	fixture_say(fx, 6, "done", "");
	fixture_say(fx, 7, NULL, "");
	fixture_say(fx, 8, "done", "hh");
	expect_history(fx, "h1", 1000, "aa cc ee hh ");
	/* A turn such as "prompt 8" and "hh" has ten bytes. */
	expect_history(fx, "h2", 39, "cc ee hh ");
	expect_history(fx, "h3", 20, "ee hh ");
	expect_history(fx, "h4", 19, "hh ");
	expect_history(fx, "h5", 0, "");
	/* The newest reply counts. If it is blocked, the turn is left out. */
	fixture_do(fx, NULL, BEGIN("regenerate", "'key':'r','exchange':8"));
	expect_history(fx, "h6", 1000, "aa cc ee ");
}

static void
test_finish_stores_all_of_the_outcome(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, NULL, "");
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'blocked',"
	    "'stop':'stop','text':'na\xc3\xafve','ids':[1,258,4294967295],"
	    "'prompt_tokens':5,'output_tokens':3,'dropped':1,'queued_ms':2,"
	    "'first_ms':3,'total_ms':4,'error':'blocked','time':1700000009000,"
	    "'verdicts':[{'direction':'reply','plugin':'rules','category':"
	    "'spam','score':0.75,'start':0,'end':4,'rule':'r','action':"
	    "'block'},{'direction':'prompt','category':'x','score':1,"
	    "'action':'flag'}]}");
	assert_string_equal(fixture_sql(fx, "SELECT state, stop, text, "
	    "hex(ids), prompt_tokens, output_tokens, dropped, queued_ms, "
	    "first_ms, total_ms, error, finished FROM reply"),
	    "blocked|stop|na\xc3\xafve|0100000002010000FFFFFFFF|5|3|1|2|3|4|"
	    "blocked|1700000009000");
	assert_string_equal(fixture_sql(fx, "SELECT direction, plugin, "
	    "category, score, start, \"end\", rule, action, span "
	    "FROM verdict JOIN v_verdict USING (reply, direction, plugin, "
	    "category, score, rule, action) ORDER BY id"),
	    "reply|rules|spam|0.75|0|4|r|block|na\xc3\xaf\n"
	    "prompt||x|1.0|0|0||flag|");
	assert_string_equal(fixture_sql(fx, "SELECT updated "
	    "FROM conversation"), "1700000009000");
}

static void
test_a_redacted_prompt_replaces_the_original(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'k','prompt':'my MARK'"));
	assert_true(fixture_found(fx, "MARK"));
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done',"
	    "'text':'t','ids':[],'time':1,'prompt':'my [...]'}");
	assert_string_equal(fixture_sql(fx, "SELECT prompt, title "
	    "FROM v_exchange"), "my [...]|my [...]");
	store_maintain(fx->st, 0);
	assert_false(fixture_found(fx, "MARK"));
}

static void
test_the_first_finish_counts(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "first");
	fixture_do(fx, NULL, FINISH(1, "failed", "second"));
	assert_string_equal(fixture_sql(fx, "SELECT state, text FROM reply"),
	    "done|first");
}

static void
test_a_wrong_finish_leaves_the_reply_running(void **state)
{
	static const struct {
		const char	*code, *field, *rest;
	} cases[] = {
		{ "not_found", "reply", "'reply':2,'state':'done','text':'',"
		    "'ids':[]" },
		{ "bad_field", "reply", "'state':'done','text':'','ids':[]" },
		{ "bad_field", "state", "'reply':1,'state':'running',"
		    "'text':'','ids':[]" },
		{ "bad_field", NULL, "'reply':1,'state':'odd','text':'',"
		    "'ids':[]" },
		{ "bad_field", "text", "'reply':1,'state':'done','ids':[]" },
		{ "bad_field", "ids", "'reply':1,'state':'done','text':'',"
		    "'ids':[-1]" },
		{ "bad_field", "ids", "'reply':1,'state':'done','text':'',"
		    "'ids':[4294967296]" },
		{ "bad_field", "ids", "'reply':1,'state':'done','text':'',"
		    "'ids':['a']" },
		{ "bad_field", "verdicts", "'reply':1,'state':'done',"
		    "'text':'','ids':[],'verdicts':[3]" },
		{ "bad_field", "score", "'reply':1,'state':'done','text':'',"
		    "'ids':[],'verdicts':[{'direction':'reply','category':'c',"
		    "'score':2,'action':'flag'}]" },
		{ "bad_field", NULL, "'reply':1,'state':'done','text':'',"
		    "'ids':[],'verdicts':[{'direction':'up','category':'c',"
		    "'score':1,'action':'flag'}]" },
	};
	struct fixture	*fx = *state;
	size_t		 i;

	fixture_say(fx, 1, NULL, "");
	for (i = 0; i < nitems(cases); i++)
		fixture_refused(fx, cases[i].code, cases[i].field,
		    "{'op':'finish','time':1,%s}", cases[i].rest);
	assert_string_equal(fixture_sql(fx, "SELECT state, finished, "
	    "(SELECT count(*) FROM verdict) FROM reply"), "running|-|0");
}

static void
test_a_reply_left_by_a_crash_can_still_be_finished(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "one");
	fixture_say(fx, 2, NULL, "");
	fixture_say(fx, 3, NULL, "");
	fixture_reopen(fx);
	assert_int_equal(fx->st->interrupted, 2);
	assert_string_equal(fixture_sql(fx, "SELECT state, finished "
	    "FROM reply"), "done|1\ninterrupted|-\ninterrupted|-");
	fixture_do(fx, NULL, FINISH(2, "done", "two"));
	assert_int_equal(fixture_do(fx, "reply", BEGIN("say", "'key':'say-3',"
	    "'conversation':1,'prompt':'prompt 3'")), 3);
	assert_string_equal(fixture_sql(fx, "SELECT state, text FROM reply "
	    "WHERE id > 1"), "done|two\nrunning|");
	fixture_reopen(fx);
	assert_int_equal(fx->st->interrupted, 1);
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, \
	    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(say_creates_conversation_exchange_and_reply),
		T(a_model_is_kept_once),
		T(a_wrong_begin_is_refused_with_the_field),
		T(the_same_begin_again_changes_nothing),
		T(a_conversation_of_another_user_is_not_found),
		T(a_raw_prompt_has_no_conversation),
		T(regenerate_adds_a_reply_and_gets_the_earlier_turns),
		T(history_has_the_newest_turns_that_fit),
		T(finish_stores_all_of_the_outcome),
		T(a_redacted_prompt_replaces_the_original),
		T(the_first_finish_counts),
		T(a_wrong_finish_leaves_the_reply_running),
		T(a_reply_left_by_a_crash_can_still_be_finished),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
