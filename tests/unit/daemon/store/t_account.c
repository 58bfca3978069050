/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The amount of data that each user has stored, and the quota.
 */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

#define QUOTA(n, bytes)	"'max_conversations':" #n ",'max_bytes':" #bytes

/* The stored sums must equal the sums over all rows. */
static void
sums_are_right(struct fixture *fx, const char *when)
{
	const char	*wrong;

	wrong = fixture_sql(fx, "SELECT 'size', * FROM (SELECT exchange, uid, "
	    "bytes FROM size EXCEPT SELECT * FROM v_size) UNION ALL "
	    "SELECT 'v_size', * FROM (SELECT * FROM v_size EXCEPT "
	    "SELECT exchange, uid, bytes FROM size) UNION ALL "
	    "SELECT 'account', * FROM (SELECT uid, conversations, bytes "
	    "FROM account WHERE conversations <> 0 OR bytes <> 0 EXCEPT "
	    "SELECT * FROM v_account) UNION ALL SELECT 'v_account', * FROM "
	    "(SELECT * FROM v_account EXCEPT SELECT uid, conversations, bytes "
	    "FROM account)");
	if (*wrong != '\0')
		fail_msg("after %s: %s", when, wrong);
}

static void
test_the_sums_follow_everything_that_is_written(void **state)
{
	static const char *const steps[] = {
		BEGIN("say", "'key':'a','prompt':'Grüße','preprompt':'be ü'"),
		"{'op':'finish','reply':1,'state':'done','text':'schön',"
		    "'ids':[1,2,3],'time':1,'prompt':'[redacted]',"
		    "'preprompt':'x','verdicts':[{'direction':'prompt',"
		    "'plugin':'rules','category':'cat','score':1,'rule':'rü',"
		    "'action':'redact','version':'1','digest':'d',"
		    "'detail':[{'name':'wörd','weight':1.5}]},"
		    "{'direction':'reply','category':'c',"
		    "'score':0,'action':'flag'}]}",
		BEGIN("say", "'key':'a','prompt':'Grüße'"),	/* again */
		"{'op':'finish','reply':1,'state':'done','text':'again',"
		    "'ids':[],'time':1}",
		BEGIN("say", "'key':'b','prompt':'two','conversation':1"),
		BEGIN("regenerate", "'key':'c','exchange':1"),
		"{'op':'rate','uid':1000,'exchange':1,'reply':1,'thumb':-1,"
		    "'reasons':['harmful'],'ideal':'öö','time':5}",
		"{'op':'rate','uid':1000,'exchange':1,'reply':1,"
		    "'comment':'c','time':5}",
		BEGIN("complete", "'key':'d','prompt':'raw'"),
		FINISH(4, "cancelled", "so far"),
		"{'op':'new','uid':7,'time':1}",
		"{'op':'delete','uid':1000,'exchange':3}",
		"{'op':'delete','uid':1000,'conversation':1}",
		"{'op':'delete','uid':7,'conversation':2}",
	};
	struct fixture	*fx = *state;
	size_t		 i;

	for (i = 0; i < nitems(steps); i++) {
		fixture_do(fx, NULL, "%s", steps[i]);
		sums_are_right(fx, steps[i]);
	}
	assert_string_equal(fixture_sql(fx, "SELECT uid, conversations, "
	    "bytes FROM account"),
	    "7|0|0\n1000|0|0");
}

static void
test_the_check_of_the_sums_can_fail(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'p'"));
	assert_int_equal(sqlite3_exec(fx->st->db, "UPDATE reply SET text = "
	    "'more'", NULL, NULL, NULL), SQLITE_OK);
	assert_string_not_equal(fixture_sql(fx, "SELECT * FROM size EXCEPT "
	    "SELECT exchange, uid, bytes FROM v_size"), "");
}

static void
test_a_refused_request_is_not_counted(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'p'"));
	fixture_refused(fx, "not_found", NULL, BEGIN("say", "'key':'b',"
	    "'prompt':'p','conversation':9"));
	fixture_refused(fx, "bad_field", NULL, "{'op':'finish','reply':1,"
	    "'state':'done','text':'x','ids':[],'time':1,'verdicts':[3]}");
	fixture_refused(fx, "quota", "bytes", BEGIN("say", "'key':'c',"
	    "'prompt':'p'," QUOTA(0, 300)));
	sums_are_right(fx, "refusals");
	assert_string_equal(fixture_sql(fx, "SELECT count(*), (SELECT "
	    "count(*) FROM exchange) FROM conversation"), "1|1");
}

static void
test_each_operation_over_the_quota_is_refused(void **state)
{
	static const struct {
		const char	*field, *request;
	} cases[] = {
		{ "conversations", BEGIN("say", "'key':'b','prompt':'p',"
		    QUOTA(1, 0)) },
		{ "conversations", "{'op':'new','uid':1000,'time':1,"
		    QUOTA(1, 0) "}" },
		{ "bytes", "{'op':'new','uid':1000,'time':1," QUOTA(9, 260)
		    "}" },
		{ "bytes", BEGIN("say", "'key':'b','prompt':'p',"
		    "'conversation':1," QUOTA(1, 300)) },
		{ "bytes", BEGIN("complete", "'key':'b','prompt':'p',"
		    QUOTA(1, 300)) },
		{ "bytes", BEGIN("regenerate", "'key':'b','exchange':1,"
		    QUOTA(1, 300)) },
		{ "bytes", "{'op':'rate','uid':1000,'exchange':1,'thumb':1,"
		    "'time':1," QUOTA(1, 300) "}" },
	};
	struct fixture	*fx = *state;
	json_t		*a;
	size_t		 i;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'p'"));
	for (i = 0; i < nitems(cases); i++)
		fixture_refused(fx, "quota", cases[i].field, "%s",
		    cases[i].request);
	a = fixture_ask(fx, "%s", cases[0].request);
	assert_int_equal(msg_int(a, "used", 0), 2);
	assert_int_equal(msg_int(a, "limit", 0), 1);
	json_decref(a);
	/* A say in an old conversation does not add one. */
	fixture_do(fx, NULL, BEGIN("say", "'key':'d','prompt':'p',"
	    "'conversation':1," QUOTA(1, 0)));
	/* An outcome is never refused, and deleting makes room. */
	fixture_do(fx, NULL, FINISH(1, "done", "text"));
	fixture_do(fx, NULL, "{'op':'delete','uid':1000,'conversation':1}");
	fixture_do(fx, NULL, BEGIN("say", "'key':'e','prompt':'p',"
	    QUOTA(1, 300)));
	/* Others have a quota of their own. */
	fixture_do(fx, NULL, "{'op':'new','uid':7,'time':1," QUOTA(1, 300)
	    "}");
}

static void
test_a_begin_sent_again_is_answered_whatever_the_quota(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'p',"
	    QUOTA(1, 300)));
	fixture_do(fx, NULL, BEGIN("say", "'key':'a','prompt':'p',"
	    QUOTA(1, 10)));
}

static void
test_near_the_quota_there_is_a_notice(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a, *near;
	int		 i;

	for (i = 1; i <= 10; i++) {
		a = fixture_ask(fx, "{'op':'new','uid':1000,'time':1,"
		    QUOTA(10, 0) "}");
		near = json_object_get(a, "near");
		assert_int_equal(near != NULL, i >= 9);
		if (near != NULL) {
			assert_string_equal(msg_string(near, "field"),
			    "conversations");
			assert_int_equal(msg_int(near, "used", 0), i);
			assert_int_equal(msg_int(near, "limit", 0), 10);
		}
		json_decref(a);
	}
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, \
	    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(the_sums_follow_everything_that_is_written),
		T(the_check_of_the_sums_can_fail),
		T(a_refused_request_is_not_counted),
		T(each_operation_over_the_quota_is_refused),
		T(a_begin_sent_again_is_answered_whatever_the_quota),
		T(near_the_quota_there_is_a_notice),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
