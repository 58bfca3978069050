/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgetting: what a user has said in a range of time, all of it, and what is
 * older than the retention; and numbers of accounts that somebody else has got.
 */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

#define SAY(uid, key, prompt, time) \
	"{'op':'begin','uid':" #uid ",'name':'u" #uid "','kind':'say'," \
	"'params':{},'seed':1,'model':{},'key':'" key "','prompt':'" prompt \
	"','time':" #time "}"
#define RAW(uid, key, prompt, time) \
	"{'op':'begin','uid':" #uid ",'kind':'complete'," \
	"'params':{},'seed':1,'model':{},'key':'" key "','prompt':'" prompt \
	"','time':" #time "}"
#define END(reply, time) \
	"{'op':'finish','reply':" #reply ",'state':'done','text':'so'," \
	"'ids':[1],'time':" #time "}"

/* The stored sums must equal the sums over all rows, and the search index its
 * rows. */
static void
sound(struct fixture *fx)
{
	assert_string_equal(fixture_sql(fx, "SELECT * FROM (SELECT exchange, "
	    "uid, bytes FROM size EXCEPT SELECT * FROM v_size) UNION ALL "
	    "SELECT * FROM (SELECT uid, conversations, bytes FROM account "
	    "WHERE conversations <> 0 OR bytes <> 0 EXCEPT SELECT * FROM "
	    "v_account) UNION ALL SELECT * FROM (SELECT * FROM v_account "
	    "EXCEPT SELECT uid, conversations, bytes FROM account)"), "");
	assert_string_equal(fixture_sql(fx, "INSERT INTO search (search, "
	    "rank) VALUES ('integrity-check', 1)"), "");
	assert_string_equal(fixture_sql(fx, "PRAGMA foreign_key_check"), "");
}

/* Do maintenance until nothing is left. */
static void
settle(struct fixture *fx)
{
	int	i;

	for (i = 0; i < 1000 && store_maintain(fx->st, 1) >= 0; i++)
		;
	assert_true(i < 1000);
}

static void
test_a_range_of_time_is_forgotten_and_the_rest_stays(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a;

	fixture_do(fx, NULL, SAY(7, "a", "early", 100));
	fixture_do(fx, NULL, END(1, 101));
	fixture_do(fx, NULL, "{'op':'begin','uid':7,'kind':'say',"
	    "'conversation':1,'params':{},'seed':1,'model':{},'key':'b',"
	    "'prompt':'middle','time':200}");
	fixture_do(fx, NULL, END(2, 201));
	fixture_do(fx, NULL, SAY(7, "c", "middle too", 250));
	fixture_do(fx, NULL, RAW(7, "d", "raw middle", 260));
	fixture_do(fx, NULL, SAY(8, "e", "of another", 210));
	fixture_do(fx, NULL, SAY(7, "f", "late", 300));
	a = fixture_ask(fx, "{'op':'forget','uid':7,'since':200,"
	    "'until':300}");
	assert_int_equal(msg_int(a, "exchanges", -1), 3);
	assert_int_equal(msg_int(a, "conversations", -1), 1);
	assert_true(json_is_false(json_object_get(a, "more")));
	json_decref(a);
	assert_string_equal(fixture_sql(fx, "SELECT prompt FROM exchange "
	    "ORDER BY id"), "early\nof another\nlate");
	assert_string_equal(fixture_sql(fx, "SELECT kind, count(*) "
	    "FROM tombstone GROUP BY 1"), "conversation|1\nreply|3");
	sound(fx);
	fixture_refused(fx, "bad_field", "all", "{'op':'forget','uid':7}");
	fixture_refused(fx, "bad_field", "all", "{'op':'forget','uid':7,"
	    "'all':true,'since':1}");
	fixture_refused(fx, "bad_field", "until", "{'op':'forget','uid':7,"
	    "'since':5,'until':5}");
	fixture_refused(fx, "denied", "user", "{'op':'forget','uid':7,"
	    "'all':true,'user':'u8'}");
}

static void
test_a_title_goes_with_the_prompt_that_made_it(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, SAY(7, "a", "a secret", 100));
	fixture_do(fx, NULL, END(1, 101));
	fixture_do(fx, NULL, "{'op':'begin','uid':7,'kind':'say',"
	    "'conversation':1,'params':{},'seed':1,'model':{},'key':'b',"
	    "'prompt':' the  weather','time':200}");
	fixture_do(fx, NULL, END(2, 201));
	/* A title that somebody gave stays. */
	fixture_do(fx, NULL, "{'op':'new','uid':7,'title':'given','time':50}");
	fixture_do(fx, NULL, "{'op':'begin','uid':7,'kind':'say',"
	    "'conversation':2,'params':{},'seed':1,'model':{},'key':'c',"
	    "'prompt':'a secret','time':100}");
	fixture_do(fx, NULL, END(3, 101));
	fixture_do(fx, NULL, "{'op':'begin','uid':7,'kind':'say',"
	    "'conversation':2,'params':{},'seed':1,'model':{},'key':'d',"
	    "'prompt':'a bird','time':200}");
	fixture_do(fx, NULL, END(4, 201));
	/* One that began before the time, and is empty then. */
	fixture_do(fx, NULL, "{'op':'new','uid':7,'time':50}");
	fixture_do(fx, NULL, "{'op':'begin','uid':7,'kind':'say',"
	    "'conversation':3,'params':{},'seed':1,'model':{},'key':'e',"
	    "'prompt':'a secret','time':100}");
	fixture_do(fx, NULL, END(5, 101));
	/* One that is empty, and is not in the time. */
	fixture_do(fx, NULL, "{'op':'new','uid':7,'title':'new','time':50}");
	assert_int_equal(fixture_do(fx, "conversations", "{'op':'forget',"
	    "'uid':7,'since':100,'until':200}"), 1);
	assert_string_equal(fixture_sql(fx, "SELECT title FROM conversation "
	    "ORDER BY id"), "the weather\ngiven\nnew");
	sound(fx);
}

static void
test_all_of_an_account_is_forgotten_in_parts(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a = NULL;
	int		 i, parts = 0, more = 1, n = 0;

	for (i = 0; i < 250; i++) {
		fixture_do(fx, NULL, "{'op':'begin','uid':7,'name':'ann',"
		    "'kind':'%s','params':{},'seed':1,'model':{},"
		    "'key':'k%d','prompt':'MARKER','time':%d}",
		    i % 2 ? "say" : "complete", i, i + 1);
		fixture_do(fx, NULL, "{'op':'finish','reply':%d,"
		    "'state':'done','text':'the MARKER','ids':[1],"
		    "'time':1}", i + 1);
	}
	fixture_do(fx, NULL, SAY(8, "o", "of another", 10));
	fixture_do(fx, NULL, "{'op':'finish','reply':251,'state':'blocked',"
	    "'text':'so','ids':[1],'time':1}");
	fixture_do(fx, NULL, "{'op':'rate','uid':7,'exchange':251,'thumb':1,"
	    "'admin':true,'comment':'MARKER in a comment','time':4}");
	settle(fx);
	assert_true(fixture_found(fx, "marker"));	/* the search index */
	for (; more && parts < 20; parts++) {
		a = fixture_ask(fx, "{'op':'forget','uid':9,'admin':true,"
		    "'user':'ann','all':true}");
		more = json_is_true(json_object_get(a, "more"));
		n += (int)msg_int(a, "exchanges", 0);
		assert_int_equal(msg_int(a, "uid", 0), 7);
		json_decref(a);
		sound(fx);
	}
	assert_in_range(parts, 3, 10);
	assert_int_equal(n, 250);
	assert_string_equal(fixture_sql(fx, "SELECT prompt FROM exchange"),
	    "of another");
	assert_string_equal(fixture_sql(fx, "SELECT uid FROM account"), "8");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM rating"),
	    "0");
	settle(fx);
	assert_false(fixture_found(fx, "MARKER"));
	assert_false(fixture_found(fx, "marker"));
	fixture_refused(fx, "not_found", "user", "{'op':'forget','uid':9,"
	    "'admin':true,'user':'ann','all':true}");
}

static void
test_without_secure_delete_the_text_would_stay(void **state)
{
	struct fixture	*fx = *state;

	assert_int_equal(sqlite3_exec(fx->st->db, "PRAGMA secure_delete = 0",
	    NULL, NULL, NULL), SQLITE_OK);
	fixture_do(fx, NULL, SAY(7, "a", "MARKER", 100));
	fixture_do(fx, NULL, SAY(7, "b", "stays", 200));
	settle(fx);
	store_checkpoint(fx->st);
	fixture_do(fx, NULL, "{'op':'forget','uid':7,'until':150}");
	settle(fx);
	assert_true(fixture_found(fx, "MARKER"));
}

static void
test_the_file_shrinks(void **state)
{
	struct fixture	*fx = *state;
	char		*prompt;
	int		 i, before, after;

	prompt = xmalloc(100001);
	memset(prompt, 'p', 100000);
	prompt[100000] = '\0';
	for (i = 0; i < 20; i++)
		fixture_do(fx, NULL, "{'op':'begin','uid':7,'kind':'complete',"
		    "'params':{},'seed':1,'model':{},'key':'k%d',"
		    "'prompt':'%s','time':1}", i, prompt);
	free(prompt);
	before = atoi(fixture_sql(fx, "PRAGMA page_count"));
	fixture_do(fx, NULL, "{'op':'forget','uid':7,'all':true}");
	settle(fx);
	after = atoi(fixture_sql(fx, "PRAGMA page_count"));
	assert_true(before - after > 400);
	sound(fx);
}

static void
test_what_is_old_expires_unless_it_runs(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, SAY(7, "a", "old unrated", 100));
	fixture_do(fx, NULL, END(1, 101));
	fixture_do(fx, NULL, SAY(7, "b", "old rated", 100));
	fixture_do(fx, NULL, END(2, 101));
	fixture_do(fx, NULL, "{'op':'rate','uid':7,'exchange':2,'thumb':1,"
	    "'time':110}");
	fixture_do(fx, NULL, SAY(7, "c", "old running", 100));
	fixture_do(fx, NULL, SAY(7, "d", "new", 900));
	fixture_do(fx, NULL, END(4, 901));
	fixture_do(fx, NULL, RAW(7, "e", "raw old", 100));
	fixture_do(fx, NULL, END(5, 101));
	fixture_do(fx, NULL, RAW(7, "f", "raw new", 900));
	fixture_do(fx, NULL, END(6, 901));
	/* An old conversation in which something was said lately. */
	fixture_do(fx, NULL, SAY(7, "g", "old, goes on", 100));
	fixture_do(fx, NULL, END(7, 950));
	assert_int_equal(fixture_do(fx, "conversations", "{'op':'expire'}"),
	    0);
	assert_int_equal(fixture_do(fx, "conversations", "{'op':'expire',"
	    "'unrated':500}"), 1);
	assert_string_equal(fixture_sql(fx, "SELECT prompt FROM exchange "
	    "ORDER BY id"), "old rated\nold running\nnew\nraw new\n"
	    "old, goes on");
	assert_int_equal(fixture_do(fx, "conversations", "{'op':'expire',"
	    "'rated':500}"), 1);
	assert_string_equal(fixture_sql(fx, "SELECT prompt FROM exchange "
	    "ORDER BY id"), "old running\nnew\nraw new\nold, goes on");
	sound(fx);
}

static void
test_a_number_with_another_name_does_not_inherit(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a;

	fixture_do(fx, NULL, SAY(7, "a", "of ann", 100));
	fixture_do(fx, NULL, "{'op':'list','uid':7,'name':'u7'}");
	fixture_do(fx, NULL, RAW(7, "b", "raw of ann", 100));
	/* A number without a name is no other name. */
	a = fixture_show(fx, "{'op':'list','uid':7,'name':'7'}");
	assert_int_equal(json_array_size(json_object_get(a, "items")), 1);
	json_decref(a);
	/* The first thing that the new owner does is reading. */
	a = fixture_show(fx, "{'op':'list','uid':7,'name':'bob'}");
	assert_int_equal(json_array_size(json_object_get(a, "items")), 0);
	json_decref(a);
	fixture_refused(fx, "not_found", NULL, "{'op':'show','uid':7,"
	    "'name':'bob','conversation':1}");
	fixture_refused(fx, "not_found", NULL, "{'op':'rate','uid':7,"
	    "'name':'bob','exchange':1,'thumb':1,'time':1}");
	fixture_refused(fx, "not_found", NULL, "{'op':'delete','uid':7,"
	    "'name':'bob','conversation':1}");
	assert_string_equal(fixture_sql(fx, "SELECT uid, name, conversations "
	    "FROM account ORDER BY uid"), "7|bob|0\n2199023255559|u7|1");
	sound(fx);
	/* Operators see it, and give it back or erase it. */
	fixture_do(fx, NULL, "{'op':'show','uid':0,'admin':true,"
	    "'conversation':1}");
	fixture_refused(fx, "not_found", "from", "{'op':'adopt','uid':0,"
	    "'from':'2203318222855','to':'7'}");
	fixture_refused(fx, "bad_field", "from", "{'op':'adopt','uid':0,"
	    "'from':'bob','to':'7'}");
	fixture_do(fx, NULL, "{'op':'adopt','uid':0,'from':'u7','to':'bob'}");
	fixture_do(fx, NULL, "{'op':'show','uid':7,'name':'bob',"
	    "'conversation':1}");
	assert_string_equal(fixture_sql(fx, "SELECT uid, name, conversations "
	    "FROM account"), "7|bob|1");
	sound(fx);
}

static void
test_a_write_of_the_new_owner_holds_too(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, SAY(7, "a", "of ann", 100));
	fixture_do(fx, NULL, "{'op':'begin','uid':7,'name':'bob',"
	    "'kind':'say','params':{},'seed':1,'model':{},'key':'b',"
	    "'prompt':'of bob','time':200}");
	fixture_do(fx, NULL, "{'op':'begin','uid':7,'name':'eve',"
	    "'kind':'say','params':{},'seed':1,'model':{},'key':'c',"
	    "'prompt':'of eve','time':300}");
	assert_string_equal(fixture_sql(fx, "SELECT uid, prompt FROM exchange "
	    "ORDER BY id"), "2199023255559|of ann\n"
	    "2203318222855|of bob\n7|of eve");
	fixture_do(fx, NULL, "{'op':'forget','uid':0,'admin':true,"
	    "'user':'bob','all':true}");
	assert_string_equal(fixture_sql(fx, "SELECT prompt FROM exchange "
	    "ORDER BY id"), "of ann\nof eve");
	sound(fx);
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, \
	    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_range_of_time_is_forgotten_and_the_rest_stays),
		T(a_title_goes_with_the_prompt_that_made_it),
		T(all_of_an_account_is_forgotten_in_parts),
		T(without_secure_delete_the_text_would_stay),
		T(the_file_shrinks),
		T(what_is_old_expires_unless_it_runs),
		T(a_number_with_another_name_does_not_inherit),
		T(a_write_of_the_new_owner_holds_too),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
