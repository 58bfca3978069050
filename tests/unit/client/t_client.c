/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small parts of chatctl: pasted texts, near misses, parameters, the
 * history file.
 */
#include "repl.h"

#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "suggest.h"
#include "xmalloc.h"

static void
test_pasted_text_is_named_and_comes_back(void **state)
{
	static const struct {
		const char	*in, *shown, *sent;
	} table[] = {
		{ "short", "short", "short" },
		{ "short\r", "short", "short" },
		{ "a\rb\r\nc\nd\r", "[paste 1: 4 lines]", "a\nb\nc\nd" },
		{ "x\n\ny", "[paste 2: 3 lines]", "x\n\ny" },
		{ "", "", "" },
	};
	struct paste	*p = paste_new();
	const char	*shown;
	char		*sent, *line;
	size_t		 i;
	int		 held;

	(void)state;
	for (i = 0; i < nitems(table); i++) {
		shown = paste_add(p, table[i].in, strlen(table[i].in));
		assert_string_equal(shown, table[i].shown);
		line = xasprintf("see %s!", shown);
		sent = paste_expand(p, line, &held);
		assert_int_equal(strlen(sent), strlen(table[i].sent) + 5);
		assert_memory_equal(sent + 4, table[i].sent,
		    strlen(table[i].sent));
		assert_int_equal(held, strchr(table[i].shown, '[') != NULL);
		free(sent);
		free(line);
	}
	sent = paste_expand(p, "[paste 2: 3 lines] [paste 1: 4 lines]",
	    &held);
	assert_string_equal(sent, "x\n\ny a\nb\nc\nd");
	assert_int_equal(held, 2);
	free(sent);
	paste_free(p);
}

static void
test_a_changed_name_is_not_replaced(void **state)
{
	struct paste	*p = paste_new();
	char		*sent;
	int		 held;

	(void)state;
	paste_add(p, "a\nb", 3);
	sent = paste_expand(p, "[paste 1: 2 line]", &held);
	assert_string_equal(sent, "[paste 1: 2 line]");
	assert_int_equal(held, 0);
	free(sent);
	paste_free(p);
}

static void
test_a_long_line_is_named_as_well(void **state)
{
	struct paste	*p = paste_new();
	char		 text[1000], *sent;
	int		 held;

	(void)state;
	memset(text, 'y', sizeof text);
	text[5] = '\0';		/* dropped */
	assert_string_equal(paste_add(p, text, sizeof text),
	    "[paste 1: 999 bytes]");
	sent = paste_expand(p, "[paste 1: 999 bytes]", &held);
	assert_int_equal(strlen(sent), 999);
	free(sent);
	paste_free(p);
}

static void
test_near_misses(void **state)
{
	static const char *const words[] = { "ask", "list", "show", "rate",
		"export", "status", "moderate", "tokenize", NULL };
	static const struct {
		const char	*word, *near;
	} table[] = {
		{ "lst", "list" }, { "lsit", "list" }, { "exprot", "export" },
		{ "stat", "status" }, { "mod", "moderate" },
		{ "tokenise", "tokenize" }, { "shwo", "show" },
		{ "hello", NULL }, { "x", NULL }, { "", NULL },
		{ "please", NULL },
	};
	const char	*near;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(table); i++) {
		near = suggest_word(table[i].word, words);
		if (table[i].near == NULL)
			assert_null(near);
		else {
			assert_non_null(near);
			assert_string_equal(near, table[i].near);
		}
	}
}

static void
test_distance_counts_changes(void **state)
{
	static const struct {
		const char	*a, *b;
		int		 d;
	} table[] = {
		{ "", "", 0 }, { "a", "", 1 }, { "", "abc", 3 },
		{ "list", "list", 0 }, { "lsit", "list", 1 },
		{ "lit", "list", 1 }, { "kitten", "sitting", 3 },
		{ "aaaaaaaaaaaa", "bbbbbbbbbbbb", 9 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a", 9 },
	};
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(table); i++)
		assert_int_equal(suggest_distance(table[i].a, table[i].b),
		    table[i].d);
}

static void
test_parameters_are_checked(void **state)
{
	static const struct {
		const char	*name, *value;
		const char	*json;		/* NULL: refused */
	} table[] = {
		{ "temperature", "0.25", "{\"temperature\":0.25}" },
		{ "temperature", "2.1", NULL }, { "temperature", "-1", NULL },
		{ "temperature", "nan", NULL }, { "temperature", "1x", NULL },
		{ "temperature", "inf", NULL }, { "temperature", " 1", NULL },
		{ "temperature", "1 ", NULL }, { "temperature", " ", NULL },
		{ "temperature", "0x1", NULL }, { "temperature", "+1", NULL },
		{ "temperature", "1e400", NULL }, { "temperature", "-", NULL },
		{ "temperature", "1e", NULL }, { "temperature", ".", NULL },
		{ "temperature", "1e0", "{\"temperature\":1.0}" },
		{ "top_k", " 4", NULL }, { "top_k", "+4", NULL },
		{ "top_k", "-", NULL }, { "top_k", "1e3", NULL },
		{ "top_k", "99999999999999999999", NULL },
		{ "seed", "9223372036854775808", NULL },
		{ "seed", "9007199254740993", NULL },
		{ "top_p", "0", NULL }, { "top_p", "1", "{\"top_p\":1.0}" },
		{ "top_k", "40", "{\"top_k\":40}" }, { "top_k", "4.5", NULL },
		{ "seed", "9007199254740991",
		    "{\"seed\":9007199254740991}" },
		{ "seed", "9007199254740992", NULL },
		{ "max_tokens", "0", NULL },
		{ "stop", "x", "{\"stop\":[\"x\"]}" },
		{ "stop", "\377", NULL },
		{ "ignore_eos", "true", "{\"ignore_eos\":true}" },
		{ "ignore_eos", "yes", NULL }, { "topk", "4", NULL },
	};
	json_t	*params;
	char	*why, *text;
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(table); i++) {
		params = json_object();
		why = param_opts_set(params, table[i].name, table[i].value);
		if (table[i].json == NULL) {
			assert_non_null(why);
			assert_non_null(strstr(why, table[i].name));
		} else {
			assert_null(why);
			text = json_dumps(params, JSON_COMPACT);
			assert_string_equal(text, table[i].json);
			free(text);
			assert_null(param_opts_set(params, table[i].name, ""));
			assert_int_equal(json_object_size(params), 0);
		}
		free(why);
		json_decref(params);
	}
}

/* Count entries, and keep the last. */
struct seen {
	char	*last;
	int	 n;
};

static void
seen_entry(void *arg, const char *entry)
{
	struct seen	*s = arg;

	free(s->last);
	s->last = xstrdup(entry);
	s->n++;
}

static void
test_history_comes_back_and_stays_bounded(void **state)
{
	struct history_file	*h;
	struct seen		 s = { 0 };
	struct stat		 st;
	const char		*tmp = getenv("TMPDIR");
	char			*dir, *path, *entry;
	int			 i;

	(void)state;
	dir = xasprintf("%s/t_client.XXXXXX", tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/chatd/history", dir);
	setenv("XDG_STATE_HOME", dir, 1);
	unsetenv("CHATCTL_HISTORY");
	h = history_file_open(0);
	assert_non_null(h);
	history_file_add(h, "one\ntwo \\n \\");
	history_file_each(h, seen_entry, &s);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.last, "one\ntwo \\n \\");
	entry = xmalloc(1000);
	memset(entry, 'z', 999);
	entry[999] = '\0';
	for (i = 0; i < 2000; i++)
		history_file_add(h, entry);
	history_file_close(h);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 1900000);
	h = history_file_open(0);	/* cuts the file */
	assert_non_null(h);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 600000 && st.st_size > 500000);
	s.n = 0;
	history_file_each(h, seen_entry, &s);
	assert_int_equal(s.n, st.st_size / 1000);
	assert_string_equal(s.last, entry);
	history_file_close(h);
	assert_null(history_file_open(1));
	unlink(path);
	path[strlen(dir) + strlen("/chatd")] = '\0';
	rmdir(path);
	rmdir(dir);
	free(s.last);
	free(entry);
	free(path);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pasted_text_is_named_and_comes_back),
		cmocka_unit_test(test_a_changed_name_is_not_replaced),
		cmocka_unit_test(test_a_long_line_is_named_as_well),
		cmocka_unit_test(test_near_misses),
		cmocka_unit_test(test_distance_counts_changes),
		cmocka_unit_test(test_parameters_are_checked),
		cmocka_unit_test(test_history_comes_back_and_stays_bounded),
	};

	return (cmocka_run_group_tests_name("client", tests, NULL, NULL));
}
