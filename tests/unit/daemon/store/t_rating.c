/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ratings: rate and unrate.
 */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

static void
test_a_new_rating_counts_and_the_old_one_is_kept(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "one");
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

	fixture_say(fx, 1, "done", "one");
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
test_a_rating_of_another_users_reply_is_not_found(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "one");
	fixture_say(fx, 2, "done", "two");
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
test_a_rating_says_something(void **state)
{
	static const struct {
		const char	*given, *field;
	} cases[] = {
		{ "", "thumb" },
		{ ",'reasons':[]", "thumb" },
		{ ",'thumb':-1,'ideal':''", "ideal" },
		{ ",'thumb':-1,'ideal':' \\t\\u00a0\\u200b\\ufeff'", "ideal" },
		{ ",'thumb':-1,'ideal':'one'", "ideal" },
		{ ",'thumb':-1,'ideal':'\\n one\\u3000'", "ideal" },
		{ ",'thumb':-1,'comment':'\\n'", "comment" },
		{ ",'thumb':1,'reasons':['harmful']", "reasons" },
	};
	struct fixture	*fx = *state;
	json_t		*a;
	size_t		 i;

	fixture_say(fx, 1, "done", "one");
	fixture_say(fx, 2, "blocked", "unseen");
	for (i = 0; i < nitems(cases); i++)
		fixture_refused(fx, "bad_field", cases[i].field,
		    "{'op':'rate','uid':1000,'exchange':1,'time':5%s}",
		    cases[i].given);
	a = fixture_ask(fx, "{'op':'rate','uid':1000,'exchange':1,'thumb':-1,"
	    "'reasons':['incorect'],'time':5}");
	assert_non_null(strstr(msg_string(a, "message"),
	    "did you mean incorrect?"));
	json_decref(a);
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM rating"),
	    "0");
	/* Nobody learns a blocked text by trying. */
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':2,"
	    "'thumb':-1,'ideal':'unseen','time':5}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'thumb':-1,'ideal':'One','time':5}");
}

static void
test_an_empty_rating_is_about_one_reply(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "one");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'reasons':['harmful'],'time':5}");
	fixture_do(fx, NULL, BEGIN("regenerate", "'key':'k','exchange':1"));
	/* Nothing was said about the second reply that could be taken back. */
	fixture_refused(fx, "bad_field", "thumb", "{'op':'rate','uid':1000,"
	    "'exchange':1,'reply':2,'reasons':[],'time':6}");
	fixture_refused(fx, "bad_field", "thumb", "{'op':'rate','uid':7,"
	    "'admin':true,'exchange':1,'reply':1,'reasons':[],'time':6}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'reply':1,"
	    "'reasons':[],'time':7}");
	assert_string_equal(fixture_sql(fx, "SELECT reply, thumb, reasons "
	    "FROM v_rating"), "1|-1|[]");
}

static void
test_the_answer_says_what_was_recorded(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a;
	char		*s;

	fixture_say(fx, 1, "done", "one");
	a = fixture_ask(fx, "{'op':'rate','uid':1000,'exchange':1,"
	    "'reasons':['harmful','incorrect'],'time':5}");
	s = json_dumps(a, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(s, "{\"comment\":false,\"exchange\":1,"
	    "\"ideal\":false,\"rating\":1,\"reasons\":[\"incorrect\","
	    "\"harmful\"],\"reply\":1,\"thumb\":-1}");
	free(s);
	json_decref(a);
	a = fixture_ask(fx, "{'op':'rate','uid':1000,'exchange':1,"
	    "'ideal':'I','comment':'C','time':6}");
	assert_int_equal(msg_int(a, "thumb", 0), -1);
	assert_int_equal(json_array_size(json_object_get(a, "reasons")), 2);
	assert_true(json_is_true(json_object_get(a, "ideal")));
	assert_true(json_is_true(json_object_get(a, "comment")));
	json_decref(a);
	/* An empty list takes the reasons back. */
	a = fixture_ask(fx, "{'op':'rate','uid':1000,'exchange':1,"
	    "'reasons':[],'time':7}");
	assert_int_equal(json_array_size(json_object_get(a, "reasons")), 0);
	assert_true(json_is_true(json_object_get(a, "ideal")));
	json_decref(a);
}

static void
test_the_newest_rating_can_be_removed(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a;

	fixture_say(fx, 1, "done", "one");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'thumb':-1,"
	    "'reasons':['harmful'],'time':5}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'thumb':1,"
	    "'comment':'C','time':6}");
	fixture_refused(fx, "not_found", "rating",
	    "{'op':'unrate','uid':1000,'rating':1}");	/* superseded */
	fixture_refused(fx, "not_found", "rating",
	    "{'op':'unrate','uid':7,'rating':2}");	/* another's */
	a = fixture_ask(fx, "{'op':'unrate','uid':1000,'rating':2}");
	assert_int_equal(msg_int(a, "rating", 0), 1);
	assert_int_equal(msg_int(a, "thumb", 0), -1);
	json_decref(a);
	assert_string_equal(fixture_sql(fx, "SELECT rating, thumb "
	    "FROM v_rating"), "1|-1");
	assert_string_equal(fixture_sql(fx, "SELECT bytes = (SELECT bytes "
	    "FROM v_account) FROM account"), "1");
	a = fixture_ask(fx, "{'op':'unrate','uid':1000,'rating':1}");
	assert_null(json_object_get(a, "rating"));
	assert_int_equal(msg_int(a, "exchange", 0), 1);
	json_decref(a);
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM rating"),
	    "0");
}

static void
test_one_person_rates_one_reply_a_hundred_times_at_most(void **state)
{
	struct fixture	*fx = *state;
	int		 i;

	fixture_say(fx, 1, "done", "one");
	for (i = 0; i < 100; i++)
		fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
		    "'thumb':%d,'time':5}", i % 3 - 1);
	fixture_refused(fx, "quota", "ratings", "{'op':'rate','uid':1000,"
	    "'exchange':1,'thumb':1,'time':5}");
	fixture_do(fx, NULL, "{'op':'rate','uid':7,'admin':true,"
	    "'exchange':1,'thumb':1,'time':5}");
}

static void
test_an_operator_rates_replies_of_others(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "one");
	fixture_say(fx, 2, "blocked", "");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'thumb':1,"
	    "'time':5}");
	fixture_do(fx, NULL, "{'op':'rate','uid':7,'admin':true,'exchange':1,"
	    "'thumb':-1,'reasons':['incorrect'],'ideal':'I','time':6}");
	fixture_do(fx, NULL, "{'op':'rate','uid':7,'admin':true,'exchange':1,"
	    "'comment':'C','time':7}");
	assert_string_equal(fixture_sql(fx, "SELECT uid, thumb, ideal, "
	    "comment FROM v_rating ORDER BY uid"),
	    "7|-1|I|C\n1000|1|-|-");
	/* Nobody decides about a block of their own. */
	fixture_refused(fx, "not_found", NULL, "{'op':'rate','uid':1000,"
	    "'admin':true,'exchange':2,'thumb':1,'time':5}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'admin':true,"
	    "'exchange':1,'thumb':0,'time':8}");
	assert_string_equal(fixture_sql(fx, "SELECT bytes = (SELECT bytes "
	    "FROM v_account) FROM account"), "1");
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, \
	    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_rating_counts_and_the_old_one_is_kept),
		T(a_rating_without_thumb_adds_to_the_last),
		T(a_rating_of_another_users_reply_is_not_found),
		T(a_rating_says_something),
		T(an_empty_rating_is_about_one_reply),
		T(the_answer_says_what_was_recorded),
		T(the_newest_rating_can_be_removed),
		T(one_person_rates_one_reply_a_hundred_times_at_most),
		T(an_operator_rates_replies_of_others),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
