/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept beside the texts: who it was, which build and which filter;
 * tombstones, consent, the index for searching, and the views.
 */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

/* Run sql on the store's connection. */
static void
run(struct fixture *fx, const char *sql)
{
	char	*why = NULL;

	if (sqlite3_exec(fx->st->db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
}

/* The exchanges that have the word. */
static const char *
find(struct fixture *fx, const char *query)
{
	char		*sql;
	const char	*found;

	sql = xasprintf("SELECT group_concat(rowid, ' ') FROM (SELECT rowid "
	    "FROM search WHERE search MATCH '%s' ORDER BY rowid)", query);
	found = fixture_sql(fx, sql);
	free(sql);
	return (found);
}

/* The index must hold what v_search gives, for each exchange. */
static void
index_is_right(struct fixture *fx)
{
	run(fx, "INSERT INTO search (search, rank) VALUES "
	    "('integrity-check', 1)");
	assert_string_equal(fixture_sql(fx, "SELECT (SELECT count(*) FROM "
	    "search_docsize) = (SELECT count(*) FROM v_search)"), "1");
}

static void
test_names_build_and_filter_versions_are_kept(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'p','name':"
	    "'anna','build':'chatd 1, CPU, avx2'"));
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done','text':"
	    "'t','ids':[],'time':1,'verdicts':[{'direction':'reply','plugin':"
	    "'rules','category':'hate','score':0.5,'action':'flag','version':"
	    "'1.0','digest':'sha256:aa','detail':[{'name':'w','weight':0.5}]},"
	    "{'direction':'reply','plugin':'rules','category':'hate','score':1,"
	    "'action':'flag','version':'1.0','digest':'sha256:aa'},"
	    "{'direction':'reply','plugin':'x','category':'hate','score':1,"
	    "'action':'flag'}]}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'thumb':1,"
	    "'time':2,'name':'anna'}");
	fixture_do(fx, NULL, BEGIN("complete", "'key':'b','prompt':'p',"
	    "'name':'anna'"));
	fixture_do(fx, NULL, "{'op':'new','uid':7,'time':1,'name':'bert'}");
	assert_string_equal(fixture_sql(fx, "SELECT name, length(uuid), "
	    "substr(uuid, 15, 1) FROM conversation"), "anna|36|4\nbert|36|4");
	assert_string_equal(fixture_sql(fx, "SELECT uid, name FROM account"),
	    "7|bert\n1000|anna");
	assert_string_equal(fixture_sql(fx, "SELECT name, build, digest FROM "
	    "v_exchange"), "anna|chatd 1, CPU, avx2|sha256:ab\n"
	    "anna|-|sha256:ab");
	assert_string_equal(fixture_sql(fx, "SELECT name, by_owner FROM "
	    "v_rating"), "anna|1");
	assert_string_equal(fixture_sql(fx, "SELECT plugin, version, digest, "
	    "detail FROM v_verdict"), "rules|1.0|sha256:aa|"
	    "[{\"name\":\"w\",\"weight\":0.5}]\nrules|1.0|sha256:aa|-\n"
	    "x|-|-|-");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM "
	    "filter_version"), "1");
}

static void
test_tombstones_have_ids_and_nothing_else(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'p'"));
	fixture_do(fx, NULL, BEGIN("regenerate", "'key':'b','exchange':1"));
	fixture_do(fx, NULL, BEGIN("complete", "'key':'c','prompt':'p'"));
	run(fx, "CREATE TEMP TABLE was AS SELECT uuid FROM conversation");
	fixture_do(fx, NULL, "{'op':'delete','uid':1000,'conversation':1}");
	fixture_do(fx, NULL, "{'op':'delete','uid':1000,'exchange':2}");
	assert_string_equal(fixture_sql(fx, "SELECT kind, CASE kind WHEN "
	    "'reply' THEN name ELSE length(name) END FROM tombstone ORDER BY "
	    "kind, name"), "conversation|36\nreply|a\nreply|b\nreply|c");
	assert_string_equal(fixture_sql(fx, "SELECT max(abs(deleted / 1000 - "
	    "strftime('%s', 'now'))) < 5 FROM tombstone"), "1");
}

static void
test_words_are_found_in_all_texts_and_follow_changes(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'Größe eins'"));
	assert_string_equal(find(fx, "eins"), "-");	/* still running */
	fixture_do(fx, NULL, FINISH(1, "done", "first zwei"));
	fixture_say(fx, 2, "blocked", "secret drei");
	index_is_right(fx);
	assert_string_equal(find(fx, "grosse"), "-");
	assert_string_equal(find(fx, "groSSe OR große OR größe"), "1");
	assert_string_equal(find(fx, "grOße"), "1");
	assert_string_equal(find(fx, "eins zwei"), "1");
	/* What the owner has not seen is in a column of its own. */
	assert_string_equal(find(fx, "drei"), "2");
	assert_string_equal(find(fx, "- hidden : drei"), "-");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'ideal':"
	    "'vier','comment':'five','time':2}");
	assert_string_equal(find(fx, "ideal : vier"), "1");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'thumb':1,"
	    "'time':3}");
	assert_string_equal(find(fx, "vier OR five"), "-");
	fixture_do(fx, NULL, "{'op':'rate','uid':7,'exchange':2,'thumb':1,"
	    "'comment':'sechs','admin':true,'time':3}");
	assert_string_equal(find(fx, "comment : sechs"), "-");
	assert_string_equal(find(fx, "sechs"), "2");
	fixture_do(fx, NULL, BEGIN("regenerate", "'key':'c','exchange':1"));
	fixture_do(fx, NULL, FINISH(3, "done", "sieben"));
	assert_string_equal(find(fx, "sieben zwei"), "1");
	index_is_right(fx);
	/* A rating and its history are deleted at once. */
	run(fx, "DELETE FROM rating WHERE supersedes IS NULL");
	index_is_right(fx);
	run(fx, "DELETE FROM reply WHERE id = 3");
	assert_string_equal(find(fx, "sieben"), "-");
	assert_string_equal(find(fx, "zwei"), "1");
	index_is_right(fx);
	fixture_do(fx, NULL, "{'op':'delete','uid':1000,'conversation':1}");
	assert_string_equal(find(fx, "eins OR drei OR zwei"), "-");
	index_is_right(fx);
}

static void
test_what_is_redacted_never_comes_into_the_index(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':"
	    "'my zzsecret is out'"));
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done','text':"
	    "'t','ids':[],'time':1,'prompt':'my [redacted] is out'}");
	while (store_maintain(fx->st, 1) != -1)
		;
	assert_string_equal(find(fx, "redacted"), "1");
	assert_false(fixture_found(fx, "zzsecret"));
	index_is_right(fx);
}

static void
test_views_pair_texts_and_resolve_consent(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "bad");
	fixture_do(fx, NULL, BEGIN("regenerate", "'key':'r','exchange':1"));
	fixture_do(fx, NULL, FINISH(2, "done", "good"));
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'reply':1,"
	    "'thumb':-1,'ideal':'best','time':1}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,'reply':2,"
	    "'thumb':1,'time':1}");
	assert_string_equal(fixture_sql(fx, "SELECT chosen, rejected, margin "
	    "FROM v_preference"), "best|bad|2\ngood|bad|2");
	assert_string_equal(fixture_sql(fx, "SELECT conversation, exchanges, "
	    "ratings, consent FROM v_conversation"), "1|1|2|-");
	run(fx, "UPDATE account SET consent = 1");
	assert_string_equal(fixture_sql(fx, "SELECT consent FROM "
	    "v_conversation"), "1");
	run(fx, "UPDATE conversation SET consent = 0");
	assert_string_equal(fixture_sql(fx, "SELECT consent FROM "
	    "v_conversation"), "0");
}

static void
test_a_place_in_a_redacted_text_has_no_span(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'abcdef'"));
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done','text':"
	    "'t','ids':[],'time':1,'prompt':'[x]ef','verdicts':["
	    "{'direction':'prompt','category':'c','score':1,'action':'redact',"
	    "'start':0,'end':4},{'direction':'prompt','category':'c','score':1,"
	    "'action':'flag','start':4,'end':6},{'direction':'reply',"
	    "'category':'c','score':1,'action':'flag','start':0,'end':1}]}");
	assert_string_equal(fixture_sql(fx, "SELECT direction, span FROM "
	    "v_verdict"), "prompt|-\nprompt|-\nreply|t");
}

static void
test_the_tokens_of_a_redacted_reply_are_not_kept(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'p'"));
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done','text':"
	    "'[x]','ids':[1,2],'output_tokens':2,'time':1,'verdicts':["
	    "{'direction':'reply','category':'c','score':1,"
	    "'action':'redact'}]}");
	fixture_do(fx, NULL, BEGIN("say", "'key':'b','prompt':'p'"));
	fixture_do(fx, NULL, "{'op':'finish','reply':2,'state':'done','text':"
	    "'x','ids':[1,2],'time':1,'verdicts':[{'direction':'prompt',"
	    "'category':'c','score':1,'action':'redact'}]}");
	assert_string_equal(fixture_sql(fx, "SELECT length(ids) FROM reply"),
	    "0\n8");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM (SELECT "
	    "exchange, uid, bytes FROM size EXCEPT SELECT * FROM v_size)"),
	    "0");
}

static void
test_a_draft_counts_for_nothing_and_goes_with_its_reply(void **state)
{
	struct fixture	*fx = *state;

	fixture_say(fx, 1, "done", "t");
	run(fx, "INSERT INTO draft (reply, uid, ideal, updated) VALUES "
	    "(1, 1000, 'half', 5)");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM v_rating"),
	    "0");
	fixture_do(fx, NULL, "{'op':'delete','uid':1000,'conversation':1}");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM draft"),
	    "0");
}

static void
test_the_file_can_shrink(void **state)
{
	struct fixture	*fx = *state;
	sqlite3		*db;

	assert_string_equal(fixture_sql(fx, "PRAGMA auto_vacuum"), "2");
	fixture_do(fx, NULL, "{'op':'new','uid':1,'title':'t','time':1}");
	fixture_close(fx);
	assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = DELETE; "
	    "PRAGMA auto_vacuum = NONE; VACUUM", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_string_equal(fixture_sql(fx, "PRAGMA auto_vacuum"), "0");
	fixture_reopen(fx);
	assert_string_equal(fixture_sql(fx, "PRAGMA auto_vacuum"), "2");
	assert_string_equal(fixture_sql(fx, "SELECT count(*) FROM "
	    "conversation"), "1");
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, \
	    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(names_build_and_filter_versions_are_kept),
		T(tombstones_have_ids_and_nothing_else),
		T(words_are_found_in_all_texts_and_follow_changes),
		T(what_is_redacted_never_comes_into_the_index),
		T(views_pair_texts_and_resolve_consent),
		T(a_place_in_a_redacted_text_has_no_span),
		T(the_tokens_of_a_redacted_reply_are_not_kept),
		T(a_draft_counts_for_nothing_and_goes_with_its_reply),
		T(the_file_can_shrink),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
