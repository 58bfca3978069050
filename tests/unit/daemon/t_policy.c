/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy, and the text of a reply: flagged, redacted, blocked, held back and
 * released.
 */
#include "reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "settings.h"
#include "xmalloc.h"

/* Parse findings from a JSON text. */
static json_t *
findings(const char *text)
{
	json_t	*v = json_loads(text, 0, NULL);

	assert_non_null(v);
	return (v);
}

/* Judge a text of len bytes as prompt by the default policy. */
static int
judge(const char *text, size_t len, struct judgement *j)
{
	struct config	*c;
	struct fault	 f;
	json_t		*v = findings(text);
	int		 r;

	assert_int_equal(config_load(NULL, &c, NULL, &f), 0);
	c->policy[DIRECTION_PROMPT][vocabulary_category("confidential")] =
	    (struct threshold){ .flag = 0.2, .redact = 0.4, .block = 2 };
	r = policy_judge(c, NULL, DIRECTION_PROMPT, v, len, j);
	json_decref(v);
	config_free(c);
	return (r);
}

#define FINDING(cat, score, start, end) \
	"{\"plugin\":\"p\",\"rule\":\"r\",\"category\":\"" cat "\"," \
	"\"score\":" score ",\"start\":" start ",\"end\":" end "}"

/* The strongest finding decides; a finding below every threshold is dropped. */
static void
test_the_strongest_finding_decides(void **state)
{
	static const struct {
		const char	*findings;
		enum action	 action;
		const char	*category;
		size_t		 verdicts;
	} cases[] = {
		{ "[]", ACTION_ALLOW, NULL, 0 },
		{ "[" FINDING("hate", "0.1", "0", "1") "]", ACTION_ALLOW,
		    NULL, 0 },
		{ "[" FINDING("hate", "0.5", "0", "1") "]", ACTION_FLAG,
		    "hate", 1 },
		{ "[" FINDING("hate", "0.8", "0", "1") "]", ACTION_BLOCK,
		    "hate", 1 },
		{ "[" FINDING("confidential", "1", "0", "1") ","
		    FINDING("hate", "0.6", "0", "1") "]", ACTION_REDACT,
		    "confidential", 2 },
		{ "[" FINDING("hate", "0.85", "0", "1") ","
		    FINDING("violence", "0.9", "0", "1") "]", ACTION_BLOCK,
		    "violence", 2 },
	};
	struct judgement	 j;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(judge(cases[i].findings, 10, &j), 0);
		assert_int_equal(j.action, cases[i].action);
		assert_int_equal(json_array_size(j.verdicts),
		    cases[i].verdicts);
		if (cases[i].category != NULL)
			assert_string_equal(vocabulary_categories[j.category],
			    cases[i].category);
		judgement_clear(&j);
	}
}

/* An answer that is not sound gives no verdict. */
static void
test_unsound_findings_are_refused(void **state)
{
	static const char *const cases[] = {
		"{}",
		"[" FINDING("rudeness", "0.5", "0", "1") "]",
		"[" FINDING("hate", "1.5", "0", "1") "]",
		"[" FINDING("hate", "-1", "0", "1") "]",
		"[" FINDING("hate", "0.5", "5", "1") "]",
		"[" FINDING("hate", "0.5", "0", "11") "]",
		"[" FINDING("hate", "0.5", "-1", "1") "]",
		"[{\"category\":\"hate\"}]", "[7]",
	};
	struct judgement	 j;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++)
		assert_int_equal(judge(cases[i], 10, &j), CHAT_EPROTOCOL);
}

/* The detail of a finding is checked. It is stored, and users do not see it,
 * nor the version and the rules of the plugin. */
static void
test_a_detail_is_checked_and_not_shown(void **state)
{
	static const struct {
		const char	*detail;
		int		 r;
	} cases[] = {
		{ "[]", 0 },
		{ "[{\"name\":\"n\",\"weight\":-1.5,\"start\":0,\"end\":10}]",
		    0 },
		{ "[{\"name\":\"n\",\"weight\":1,\"start\":0,\"end\":11}]",
		    CHAT_EPROTOCOL },
		{ "[{\"name\":\"n\",\"weight\":1,\"start\":2,\"end\":1}]",
		    CHAT_EPROTOCOL },
		{ "[{\"name\":\"\",\"weight\":1,\"start\":0,\"end\":1}]",
		    CHAT_EPROTOCOL },
		{ "[{\"name\":\"n\",\"weight\":\"1\",\"start\":0,\"end\":1}]",
		    CHAT_EPROTOCOL },
		{ "[7]", CHAT_EPROTOCOL },
		{ "{}", CHAT_EPROTOCOL },
	};
	struct judgement	 j;
	char			*text;
	json_t			*v, *shown;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		text = xasprintf("[{\"plugin\":\"p\",\"rule\":\"r\","
		    "\"category\":\"hate\",\"score\":0.9,\"start\":0,"
		    "\"end\":1,\"proven\":true,\"lowered\":0.9,"
		    "\"version\":\"1\",\"digest\":\"d\","
		    "\"detail\":%s}]", cases[i].detail);
		assert_int_equal(judge(text, 10, &j), cases[i].r);
		free(text);
		if (cases[i].r != 0)
			continue;
		v = json_array_get(j.verdicts, 0);
		assert_int_equal(json_object_size(v), 11);
		assert_non_null(json_object_get(v, "detail"));
		shown = policy_shown(j.verdicts);
		v = json_array_get(shown, 0);
		assert_int_equal(json_object_size(v), 8);
		assert_null(json_object_get(v, "detail"));
		assert_null(json_object_get(v, "version"));
		json_decref(shown);
		judgement_clear(&j);
	}
}

/* Put a text into a reply and settle its first bytes. */
static void
fill(struct reply *p, const char *text, size_t settled, int final,
    const char *found)
{
	struct judgement	 j;
	json_t			*ids = json_array();

	assert_int_equal(reply_append(p, text, strlen(text), ids), 0);
	json_decref(ids);
	assert_int_equal(judge(found, p->len, &j), 0);
	reply_judge(p, &j, settled, final);
}

/* Nothing goes out before it is settled. */
static void
test_text_waits_for_its_verdict(void **state)
{
	struct reply	 p;
	const char	*s;
	size_t		 n;

	(void)state;
	reply_init(&p);
	fill(&p, "hello brave new world", 7, 0, "[]");
	s = reply_release(&p, &n);
	assert_int_equal(n, 7);
	assert_memory_equal(s, "hello b", 7);
	assert_null(reply_release(&p, &n));
	fill(&p, "", 21, 1, "[]");
	s = reply_release(&p, &n);
	assert_int_equal(n, 14);
	assert_memory_equal(s, "rave new world", 14);
	assert_string_equal(p.shown, "hello brave new world");
	reply_clear(&p);
}

/* The text to send never ends inside a character. */
static void
test_a_character_is_never_cut(void **state)
{
	static const char	 text[] = "a\xc3\xa9\xe2\x82\xac" "b";
	struct reply		 p;
	size_t			 hold, n;

	(void)state;
	for (hold = 0; hold <= strlen(text); hold++) {
		reply_init(&p);
		fill(&p, text, strlen(text) - hold, 0, "[]");
		if (reply_release(&p, &n) != NULL)
			assert_true(n == 1 || n == 3 || n == 6 || n == 7);
		reply_clear(&p);
	}
}

/* A redacted span is replaced, in whatever pieces the text is released. */
static void
test_a_redacted_span_is_never_shown(void **state)
{
	static const char	 text[] = "my key is 12345 ok";
	struct reply		 p;
	size_t			 hold, n;

	(void)state;
	for (hold = 0; hold <= strlen(text); hold++) {
		reply_init(&p);
		fill(&p, text, strlen(text) - hold, 0,
		    "[" FINDING("confidential", "1", "10", "15") "]");
		reply_release(&p, &n);
		assert_null(strpbrk(p.shown, "12345"));
		fill(&p, "", strlen(text), 1,
		    "[" FINDING("confidential", "1", "10", "15") "]");
		reply_release(&p, &n);
		assert_string_equal(p.shown, "my key is [redacted] ok");
		reply_clear(&p);
	}
}

/* Overlapping and nested spans are replaced by one mark. */
static void
test_overlapping_spans_give_one_mark(void **state)
{
	static const char *const cases[] = {
		"[" FINDING("confidential", "1", "2", "6") ","
		    FINDING("confidential", "1", "4", "8") "]",
		"[" FINDING("confidential", "1", "4", "8") ","
		    FINDING("confidential", "1", "2", "6") "]",
		"[" FINDING("confidential", "1", "3", "5") ","
		    FINDING("confidential", "1", "2", "8") "]",
	};
	struct judgement	 j;
	size_t			 i, to, n;
	char			*s;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(judge(cases[i], 10, &j), 0);
		to = 10;
		s = policy_redact(&j, "0123456789", 0, &to, &n);
		assert_string_equal(s, "01[redacted]89");
		free(s);
		judgement_clear(&j);
	}
}

/* The largest number of findings is judged in little time, since others
 * wait. */
static void
test_many_spans_take_no_time(void **state)
{
	const size_t		 n = 65536;
	struct judgement	 j;
	struct config		*c;
	struct fault		 f;
	json_t			*all = json_array();
	char			*text = xmalloc(2 * n + 1), *s;
	size_t			 i, to = 2 * n, k;

	(void)state;
	memset(text, 'x', 2 * n);
	text[2 * n] = '\0';
	for (i = n; i-- > 0; )
		json_array_append_new(all, json_pack("{ss ss ss sf si si}",
		    "plugin", "p", "rule", "r", "category", "confidential",
		    "score", 1.0, "start", (int)(2 * i),
		    "end", (int)(2 * i + 1)));
	assert_int_equal(config_load(NULL, &c, NULL, &f), 0);
	c->policy[DIRECTION_PROMPT][vocabulary_category("confidential")] =
	    (struct threshold){ .flag = 2, .redact = 0.5, .block = 2 };
	assert_int_equal(policy_judge(c, NULL, DIRECTION_PROMPT, all, 2 * n,
	    &j), 0);
	alarm(60);	/* comparing all pairs of spans would take hours */
	s = policy_redact(&j, text, 0, &to, &k);
	alarm(0);
	assert_int_equal(k, n * (strlen("[redacted]") + 1));
	free(s);
	free(text);
	judgement_clear(&j);
	json_decref(all);
	config_free(c);
}

/* If a span grows after its start was shown, its rest is never shown. */
static void
test_a_span_that_grows_backwards_hides_its_rest(void **state)
{
	struct reply	 p;
	size_t		 n;

	(void)state;
	reply_init(&p);
	fill(&p, "my key is 12345 ok", 8, 0, "[]");
	reply_release(&p, &n);
	fill(&p, "", 18, 1, "[" FINDING("confidential", "1", "3", "15") "]");
	reply_release(&p, &n);
	assert_string_equal(p.shown, "my key i[redacted] ok");
	reply_clear(&p);
}

/* Only token ids that the store can keep are accepted. */
static void
test_ids_out_of_range_are_refused(void **state)
{
	static const char *const cases[] = { "[-1]", "[4294967296]", "[1.5]",
	    "[\"1\"]", "{}" };
	struct reply	 p;
	json_t		*ids;
	size_t		 i;

	(void)state;
	reply_init(&p);
	for (i = 0; i < nitems(cases); i++) {
		ids = findings(cases[i]);
		assert_int_equal(reply_append(&p, "x", 1, ids),
		    CHAT_EPROTOCOL);
		json_decref(ids);
	}
	assert_int_equal(p.len, 0);
	reply_clear(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_strongest_finding_decides),
		cmocka_unit_test(test_unsound_findings_are_refused),
		cmocka_unit_test(test_a_detail_is_checked_and_not_shown),
		cmocka_unit_test(test_text_waits_for_its_verdict),
		cmocka_unit_test(test_a_character_is_never_cut),
		cmocka_unit_test(test_a_redacted_span_is_never_shown),
		cmocka_unit_test(test_overlapping_spans_give_one_mark),
		cmocka_unit_test(test_many_spans_take_no_time),
		cmocka_unit_test(
		    test_a_span_that_grows_backwards_hides_its_rest),
		cmocka_unit_test(test_ids_out_of_range_are_refused),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
