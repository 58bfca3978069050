/*
 * Conversations and ratings: listed, shown, rated, deleted; and requests that
 * share a transaction.
 */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

/* Exchange after exchange in one conversation: reply n says text n. */
static void
say(struct fixture *fx, int n, const char *state, const char *text)
{
	int64_t	reply;

	reply = fixture_do(fx, "reply", BEGIN("say", "'key':'say-%d',%s"
	    "'prompt':'prompt %d'"), n, n == 1 ? "" : "'conversation':1,", n);
	if (state != NULL)
		fixture_do(fx, NULL, "{'op':'finish','reply':%d,'state':'%s',"
		    "'text':'%s','ids':[],'time':1}", (int)reply, state, text);
}

static void
test_lists_go_backwards_in_pages_and_are_ones_own(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a, *list;
	int		 i;

	/* The clock goes back: numbers order them, not times. */
	for (i = 1; i <= 5; i++)
		fixture_do(fx, NULL, "{'op':'new','uid':%d,'title':'t%d',"
		    "'time':%d}", i == 3 ? 7 : 8, i, 100 - i);
	a = fixture_ask(fx, "{'op':'list','uid':8,'limit':3}");
	list = json_object_get(a, "conversations");
	assert_int_equal(json_array_size(list), 3);
	assert_true(json_is_true(json_object_get(a, "more")));
	assert_string_equal(msg_string(json_array_get(list, 0), "title"),
	    "t5");
	assert_int_equal(msg_int(json_array_get(list, 2), "conversation", 0),
	    2);
	json_decref(a);
	a = fixture_ask(fx, "{'op':'list','uid':8,'limit':3,'before':2}");
	list = json_object_get(a, "conversations");
	assert_int_equal(json_array_size(list), 1);
	assert_true(json_is_false(json_object_get(a, "more")));
	json_decref(a);
	a = fixture_ask(fx, "{'op':'list','uid':9,'admin':true}");
	list = json_object_get(a, "conversations");
	assert_int_equal(json_array_size(list), 5);
	assert_int_equal(msg_int(json_array_get(list, 2), "uid", 0), 7);
	json_decref(a);
	fixture_refused(fx, "bad_field", "limit",
	    "{'op':'list','uid':8,'limit':0}");
}

static void
test_showing_gives_everything_in_order(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a, *x, *r;

	say(fx, 1, "done", "one");
	say(fx, 2, "done", "two");
	fixture_do(fx, NULL, BEGIN("regenerate", "'key':'k','exchange':1"));
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'reply':1,'thumb':-1,'reasons':['unhelpful'],'ideal':'I',"
	    "'comment':'C','time':5}");
	a = fixture_show(fx, "{'op':'show','uid':1000,'conversation':1}");
	assert_string_equal(msg_string(a, "title"), "prompt 1");
	assert_int_equal(json_array_size(json_object_get(a, "items")), 2);
	x = json_object_get(json_array_get(json_object_get(a, "items"), 0),
	    "exchange");
	assert_string_equal(msg_string(x, "prompt"), "prompt 1");
	assert_int_equal(json_array_size(json_object_get(x, "replies")), 2);
	r = json_array_get(json_object_get(x, "replies"), 0);
	assert_string_equal(msg_string(r, "text"), "one");
	assert_string_equal(msg_string(r, "model"), "mini");
	assert_int_equal(msg_int(json_object_get(r, "params"), "top_k", 0),
	    40);
	r = json_object_get(r, "rating");
	assert_int_equal(msg_int(r, "thumb", 0), -1);
	assert_string_equal(msg_string(r, "ideal"), "I");
	r = json_array_get(json_object_get(x, "replies"), 1);
	assert_string_equal(msg_string(r, "state"), "running");
	assert_true(json_is_null(json_object_get(r, "rating")));
	json_decref(a);
	fixture_refused(fx, "not_found", NULL,
	    "{'op':'show','uid':1001,'conversation':1}");
	fixture_do(fx, NULL,
	    "{'op':'show','uid':1001,'conversation':1,'admin':true}");
}

static void
test_rating_again_replaces_and_history_stays(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, "done", "one");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'thumb':-1,"
	    "'reasons':['harmful','incorrect','harmful'],'ideal':'I',"
	    "'time':5}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'thumb':1,"
	    "'time':6}");
	assert_string_equal(fixture_sql(fx, "SELECT thumb, reasons, ideal "
	    "FROM v_rating"), "1|[]|-");
	assert_string_equal(fixture_sql(fx, "SELECT id, thumb, reasons, "
	    "ideal, supersedes FROM rating"),
	    "1|-1|[\"incorrect\",\"harmful\"]|I|-\n2|1|[]|-|1");
}

static void
test_a_rating_without_thumb_adds_to_the_last(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, "done", "one");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'thumb':-1,"
	    "'reasons':['harmful'],'time':5}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'ideal':'I','time':6}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'comment':'C','reasons':['unhelpful'],'time':7}");
	assert_string_equal(fixture_sql(fx, "SELECT thumb, reasons, ideal, "
	    "comment FROM v_rating"), "-1|[\"unhelpful\"]|I|C");
}

static void
test_a_rating_must_be_of_ones_own_reply(void **state)
{
	struct fixture	*fx = *state;

	say(fx, 1, "done", "one");
	say(fx, 2, "done", "two");
	fixture_refused(fx, "not_found", NULL, "{'op':'rate','uid':1001,"
	    "'exchange':1,'thumb':1,'time':5}");
	fixture_refused(fx, "not_found", NULL, "{'op':'rate','uid':1000,"
	    "'exchange':3,'thumb':1,'time':5}");
	fixture_refused(fx, "not_found", NULL, "{'op':'rate','uid':1000,"
	    "'exchange':1,'reply':2,'thumb':1,'time':5}");
	fixture_refused(fx, "bad_field", "thumb", "{'op':'rate','uid':1000,"
	    "'exchange':1,'thumb':2,'time':5}");
	fixture_refused(fx, "bad_field", "reasons", "{'op':'rate',"
	    "'uid':1000,'exchange':1,'reasons':['dull'],'time':5}");
	fixture_refused(fx, "bad_field", "reasons", "{'op':'rate',"
	    "'uid':1000,'exchange':1,'reasons':[4],'time':5}");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM rating"),
	    "0");
	assert_int_equal(fixture_do(fx, "reply", "{'op':'rate','uid':1000,"
	    "'exchange':2,'thumb':1,'time':5}"), 2);
}

static void
test_deleting_leaves_no_byte(void **state)
{
	static const char *const marks[] = { "MARK-prompt", "MARK-pre",
	    "MARK-reply", "MARK-ideal", "MARK-comment", "MARK-rule" };
	struct fixture	*fx = *state;
	size_t		 i;

	fixture_do(fx, NULL, BEGIN("say", "'key':'k','preprompt':'MARK-pre',"
	    "'prompt':'MARK-prompt'"));
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done',"
	    "'text':'MARK-reply','ids':[1],'time':1,'verdicts':[{'direction':"
	    "'reply','category':'c','score':1,'rule':'MARK-rule',"
	    "'action':'flag'}]}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'ideal':'MARK-ideal','comment':'MARK-comment','time':1}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'thumb':1,'time':2}");
	for (i = 0; i < nitems(marks); i++)
		assert_true(fixture_found(fx, marks[i]));
	fixture_refused(fx, "not_found", NULL, "{'op':'delete','uid':1001,"
	    "'conversation':1}");
	fixture_do(fx, NULL, "{'op':'delete','uid':1000,'conversation':1}");
	/* Not yet: this is what shows that the search can find it. */
	assert_true(fixture_found(fx, marks[0]));
	assert_int_equal(store_maintain(fx->st, 0), -1);
	for (i = 0; i < nitems(marks); i++)
		assert_false(fixture_found(fx, marks[i]));
	assert_string_equal(fixture_sql(fx, "SELECT (SELECT count(*) FROM "
	    "exchange), (SELECT count(*) FROM reply), (SELECT count(*) FROM "
	    "rating), (SELECT count(*) FROM verdict)"), "0|0|0|0");
	/* Its numbers are not given out again. */
	assert_int_equal(fixture_do(fx, "conversation", "{'op':'new',"
	    "'uid':1000,'time':1}"), 2);
}

static void
test_one_request_at_fault_takes_no_other_with_it(void **state)
{
	static const char *const lines[] = {
		"{\"op\":\"new\",\"uid\":1,\"time\":1}",
		"{\"op\":\"new\",\"uid\":1}",
		"{\"op\":\"delete\",\"uid\":2,\"conversation\":1}",
		"{\"op\":\"fly\"}",
		"{\"op\":\"new\",\"uid\":1,\"time\":2}",
		"{\"op\":\"stats\"}",
		"{\"op\":\"ping\"}",
	};
	static const int	 good[] = { 1, 0, 0, 0, 1, 1, 1 };
	struct store_request	 reqs[nitems(lines)];
	struct fixture		*fx = *state;
	struct fault		 f;
	json_t			*msgs[nitems(lines)];
	size_t			 i;

	for (i = 0; i < nitems(lines); i++) {
		assert_int_equal(json_line_parse(lines[i], strlen(lines[i]),
		    &msgs[i], &f), 0);
		batch_init(&reqs[i], msgs[i]);
	}
	batch_run(fx->st, reqs, nitems(lines));
	for (i = 0; i < nitems(lines); i++)
		assert_int_equal(reqs[i].done != NULL, good[i]);
	assert_int_equal(msg_int(reqs[5].done, "conversations", 0), 2);
	for (i = 0; i < nitems(lines); i++) {
		batch_clear(&reqs[i]);
		json_decref(msgs[i]);
	}
}

static void
test_a_title_is_one_line_of_sixty_characters(void **state)
{
	static const struct {
		const char	*text, *title;
	} cases[] = {
		{ "Hello", "Hello" },
		{ "", "" },
		{ " \n\t two\r\n\nlines\x7f ", "two lines" },
		{ "12345678901234567890123456789012345678901234567890"
		    "12345678\xc3\xa9\xc3\xa9\xc3\xa9",
		    "12345678901234567890123456789012345678901234567890"
		    "12345678\xc3\xa9\xc3\xa9" },
	};
	char	*title;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		title = store_title(cases[i].text);
		assert_string_equal(title, cases[i].title);
		free(title);
	}
}

static void
test_the_first_words_name_an_unnamed_conversation(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, "{'op':'new','uid':1000,'time':1}");
	say(fx, 2, NULL, "");
	say(fx, 3, NULL, "");
	assert_string_equal(fixture_sql(fx, "SELECT title "
	    "FROM conversation"), "prompt 2");
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, \
	    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(lists_go_backwards_in_pages_and_are_ones_own),
		T(showing_gives_everything_in_order),
		T(rating_again_replaces_and_history_stays),
		T(a_rating_without_thumb_adds_to_the_last),
		T(a_rating_must_be_of_ones_own_reply),
		T(deleting_leaves_no_byte),
		T(one_request_at_fault_takes_no_other_with_it),
		T(a_title_is_one_line_of_sixty_characters),
		T(the_first_words_name_an_unnamed_conversation),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
