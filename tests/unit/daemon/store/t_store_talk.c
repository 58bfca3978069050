/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations: list, show, delete; and several requests in one transaction.
 */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

/* Print the ids of the items in an answer, each in an object under key.
 * Borrowed until the next call. */
static const char *
numbers(const json_t *answer, const char *key)
{
	static char	 out[4096];
	json_t		*item;
	size_t		 i, n = 0;

	out[0] = '\0';
	json_array_foreach(json_object_get(answer, "items"), i, item)
		n += (size_t)snprintf(out + n, sizeof out - n, "%s%lld",
		    i > 0 ? " " : "", (long long)msg_int(json_object_get(item,
		    key), key, -1));
	return (out);
}

static void
test_a_list_has_pages_newest_first_of_one_user(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a, *list;
	int		 i;

	/* The clock goes back: the order is that of ids, not of times. */
	for (i = 1; i <= 5; i++)
		fixture_do(fx, NULL, "{'op':'new','uid':%d,'title':'t%d',"
		    "'time':%d}", i == 3 ? 7 : 8, i, 100 - i);
	a = fixture_show(fx, "{'op':'list','uid':8,'limit':3}");
	assert_string_equal(numbers(a, "conversation"), "5 4 2");
	assert_true(json_is_true(json_object_get(a, "more")));
	assert_null(json_object_get(a, "next"));
	list = json_object_get(a, "items");
	assert_string_equal(msg_string(json_object_get(json_array_get(list,
	    0), "conversation"), "title"), "t5");
	json_decref(a);
	a = fixture_show(fx, "{'op':'list','uid':8,'limit':3,'before':2}");
	assert_string_equal(numbers(a, "conversation"), "1");
	assert_true(json_is_false(json_object_get(a, "more")));
	json_decref(a);
	a = fixture_show(fx, "{'op':'list','uid':9,'admin':true}");
	assert_string_equal(numbers(a, "conversation"), "5 4 3 2 1");
	list = json_object_get(a, "items");
	assert_int_equal(msg_int(json_object_get(json_array_get(list, 2),
	    "conversation"), "uid", 0), 7);
	json_decref(a);
	fixture_refused(fx, "bad_field", "limit",
	    "{'op':'list','uid':8,'limit':0}");
}

static void
test_show_gives_everything_in_order(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a, *x, *r;

	fixture_say(fx, 1, "done", "one");
	fixture_say(fx, 2, "done", "two");
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
test_show_continues_after_an_exchange(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a;
	int		 i;

	for (i = 1; i <= 5; i++)
		fixture_say(fx, i, "done", "text");
	a = fixture_show(fx, "{'op':'show','uid':1000,'conversation':1,"
	    "'limit':2}");
	assert_string_equal(numbers(a, "exchange"), "1 2");
	assert_true(json_is_true(json_object_get(a, "more")));
	assert_null(json_object_get(a, "next"));
	json_decref(a);
	a = fixture_show(fx, "{'op':'show','uid':1000,'conversation':1,"
	    "'limit':3,'after':2}");
	assert_string_equal(numbers(a, "exchange"), "3 4 5");
	assert_true(json_is_false(json_object_get(a, "more")));
	json_decref(a);
	a = fixture_show(fx, "{'op':'show','uid':1000,'exchange':4}");
	assert_string_equal(numbers(a, "exchange"), "4");
	assert_true(json_is_false(json_object_get(a, "more")));
	assert_int_equal(msg_int(a, "conversation", 0), 1);
	json_decref(a);
	fixture_refused(fx, "bad_field", "conversation",
	    "{'op':'show','uid':1000}");
	fixture_refused(fx, "bad_field", "conversation", "{'op':'show',"
	    "'uid':1000,'conversation':1,'exchange':1}");
	fixture_refused(fx, "not_found", "exchange",
	    "{'op':'show','uid':1001,'exchange':4}");
}

/* Request all slices of a page. Returns their number. all gets the ids of the
 * replies in all items, and *more the member "more" of the page. */
static int
slices(struct fixture *fx, const char *ask, char *all, size_t size, int *more)
{
	json_t	*msg, *a, *item, *x, *reply, *next;
	struct fault f;
	char	*text;
	size_t	 i, k, n = 0, bytes;
	int	 count = 0;

	assert_int_equal(json_line_parse(ask, strlen(ask), &msg, &f), 0);
	for (;;) {
		text = json_dumps(msg, JSON_COMPACT);
		a = fixture_show(fx, "%s", text);
		free(text);
		count++;
		assert_null(msg_string(a, "code"));
		bytes = 0;
		json_array_foreach(json_object_get(a, "items"), i, item) {
			x = json_object_get(item, "exchange");
			bytes += json_string_length(json_object_get(x,
			    "prompt"));
			n += (size_t)snprintf(all + n, size - n, "%s%lld%s:",
			    n > 0 ? " " : "", (long long)msg_int(x,
			    "exchange", 0), json_is_true(json_object_get(x,
			    "continued")) ? "+" : "");
			json_array_foreach(json_object_get(x, "replies"), k,
			    reply) {
				n += (size_t)snprintf(all + n, size - n,
				    "%s%lld", k > 0 ? "," : "",
				    (long long)msg_int(reply, "reply", 0));
				bytes += json_string_length(json_object_get(
				    reply, "text"));
			}
		}
		/* A slice may exceed its size by a prompt and a reply. */
		assert_in_range(bytes, 0, STORE_SLICE + 60000);
		*more = json_is_true(json_object_get(a, "more"));
		if ((next = json_object_get(a, "next")) == NULL)
			break;
		json_object_update(msg, next);
		json_decref(a);
	}
	json_decref(a);
	json_decref(msg);
	return (count);
}

static void
test_an_exchange_with_many_replies_comes_in_pieces(void **state)
{
	struct fixture	*fx = *state;
	char		*big, all[4096];
	int		 i, more, n;

	big = xmalloc(30001);
	memset(big, 'x', 30000);
	big[30000] = '\0';
	fixture_say(fx, 1, "done", "one");
	fixture_say(fx, 2, "done", big);
	for (i = 3; i <= 8; i++) {
		fixture_do(fx, NULL, BEGIN("regenerate", "'key':'r-%d',"
		    "'exchange':2"), i);
		fixture_do(fx, NULL, "{'op':'finish','reply':%d,'state':"
		    "'done','text':'%s','ids':[],'time':1}", i, big);
	}
	fixture_say(fx, 9, "done", "last");
	n = slices(fx, "{\"op\":\"show\",\"uid\":1000,\"conversation\":1}",
	    all, sizeof all, &more);
	assert_string_equal(all, "1:1 2:2,3,4 2+:5,6,7 2+:8 3:9");
	assert_int_equal(n, 3);
	assert_int_equal(more, 0);
	/* The page gets full inside an exchange, and ends after that
	 * exchange. */
	n = slices(fx, "{\"op\":\"show\",\"uid\":1000,\"conversation\":1,"
	    "\"bytes\":1000}", all, sizeof all, &more);
	assert_string_equal(all, "1:1 2:2,3,4 2+:5,6,7 2+:8");
	assert_int_equal(more, 1);
	free(big);
}

static void
test_raw_prompts_are_listed_shown_and_deleted(void **state)
{
	struct fixture	*fx = *state;
	json_t		*a, *x;

	fixture_say(fx, 1, "done", "one");
	fixture_do(fx, NULL, BEGIN("complete", "'key':'c','prompt':"
	    "'MARK-raw and\\nmore'"));
	fixture_do(fx, NULL, FINISH(2, "done", "MARK-reply"));
	a = fixture_show(fx, "{'op':'list','uid':1000,'kind':'complete'}");
	assert_string_equal(numbers(a, "exchange"), "2");
	x = json_object_get(json_array_get(json_object_get(a, "items"), 0),
	    "exchange");
	assert_string_equal(msg_string(x, "title"), "MARK-raw and more");
	assert_string_equal(msg_string(x, "kind"), "complete");
	json_decref(a);
	a = fixture_show(fx, "{'op':'list','uid':7,'kind':'complete'}");
	assert_string_equal(numbers(a, "exchange"), "");
	json_decref(a);
	a = fixture_show(fx, "{'op':'list','uid':7,'kind':'complete',"
	    "'admin':true}");
	assert_string_equal(numbers(a, "exchange"), "2");
	json_decref(a);
	fixture_refused(fx, "bad_field", "kind",
	    "{'op':'list','uid':7,'kind':'regenerate'}");
	a = fixture_show(fx, "{'op':'show','uid':1000,'exchange':2}");
	assert_true(json_is_null(json_object_get(a, "conversation")));
	x = json_object_get(json_array_get(json_object_get(a, "items"), 0),
	    "exchange");
	assert_string_equal(msg_string(x, "prompt"), "MARK-raw and\nmore");
	json_decref(a);
	fixture_refused(fx, "not_found", "exchange",
	    "{'op':'delete','uid':7,'exchange':2}");
	fixture_refused(fx, "bad_field", "exchange",
	    "{'op':'delete','uid':1000,'exchange':1}");
	fixture_refused(fx, "bad_field", "conversation",
	    "{'op':'delete','uid':1000}");
	assert_true(fixture_found(fx, "MARK-reply"));
	assert_int_equal(fixture_do(fx, "uid", "{'op':'delete','uid':7,"
	    "'exchange':2,'admin':true}"), 1000);
	assert_int_equal(store_maintain(fx->st, 0), STORE_IDLE_MS);
	while (store_maintain(fx->st, 1) != -1)
		;
	assert_false(fixture_found(fx, "MARK"));
	assert_string_equal(fixture_sql(fx, "SELECT id FROM exchange"), "1");
}

static void
test_deleting_leaves_no_byte(void **state)
{
	static const char *const marks[] = { "promptmark", "premark",
	    "replymark", "idealmark", "commentmark", "rulemark" };
	struct fixture	*fx = *state;
	size_t		 i;

	fixture_do(fx, NULL, BEGIN("say", "'key':'k','preprompt':'premark',"
	    "'prompt':'promptmark'"));
	fixture_do(fx, NULL, "{'op':'finish','reply':1,'state':'done',"
	    "'text':'replymark','ids':[1],'time':1,'verdicts':[{'direction':"
	    "'reply','category':'c','score':1,'rule':'rulemark',"
	    "'action':'flag'}]}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'ideal':'idealmark','comment':'commentmark','time':1}");
	fixture_do(fx, NULL, "{'op':'rate','uid':1000,'exchange':1,"
	    "'thumb':1,'time':2}");
	for (i = 0; i < nitems(marks); i++)
		assert_true(fixture_found(fx, marks[i]));
	/* Words of the search index are in small letters. */
	assert_true(fixture_found(fx, "0commentmark"));
	fixture_refused(fx, "not_found", NULL, "{'op':'delete','uid':1001,"
	    "'conversation':1}");
	fixture_do(fx, NULL, "{'op':'delete','uid':1000,'conversation':1}");
	/* The log still has it, which shows that the search works. */
	assert_true(fixture_found(fx, marks[0]));
	assert_int_equal(store_maintain(fx->st, 0), STORE_IDLE_MS);
	while (store_maintain(fx->st, 1) != -1)
		;
	for (i = 0; i < nitems(marks); i++)
		assert_false(fixture_found(fx, marks[i]));
	assert_string_equal(fixture_sql(fx, "SELECT (SELECT count(*) FROM "
	    "exchange), (SELECT count(*) FROM reply), (SELECT count(*) FROM "
	    "rating), (SELECT count(*) FROM verdict)"), "0|0|0|0");
	/* Its id is not used again. */
	assert_int_equal(fixture_do(fx, "conversation", "{'op':'new',"
	    "'uid':1000,'time':1}"), 2);
}

static void
test_a_request_with_a_fault_is_undone_alone(void **state)
{
	static const char *const lines[] = {
		"{\"op\":\"new\",\"uid\":1,\"time\":1}",
		"{\"op\":\"new\",\"uid\":1}",
		"{\"op\":\"delete\",\"uid\":2,\"conversation\":1}",
		"{\"op\":\"fly\"}",
		"{\"op\":\"new\",\"uid\":1,\"time\":2}",
		"{\"op\":\"ping\"}",
	};
	static const int	 good[] = { 1, 0, 0, 0, 1, 1 };
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
	assert_int_equal(fixture_do(fx, "conversations", "{'op':'stats'}"), 2);
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
	fixture_say(fx, 2, NULL, "");
	fixture_say(fx, 3, NULL, "");
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
		T(a_list_has_pages_newest_first_of_one_user),
		T(show_gives_everything_in_order),
		T(show_continues_after_an_exchange),
		T(an_exchange_with_many_replies_comes_in_pieces),
		T(raw_prompts_are_listed_shown_and_deleted),
		T(deleting_leaves_no_byte),
		T(a_request_with_a_fault_is_undone_alone),
		T(a_title_is_one_line_of_sixty_characters),
		T(the_first_words_name_an_unnamed_conversation),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
