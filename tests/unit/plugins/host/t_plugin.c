/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of a plugin's struct and file, before any of its functions is
 * called.  tests/e2e/test_filter.py loads whole plugins.
 */
#include "filter.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "xmalloc.h"

/* Functions that are never called. */
static int32_t
some_open(const struct chat_filter_host *host,
    const struct chat_filter_option *options, uint64_t n, void **state)
{
	(void)host;
	(void)options;
	(void)n;
	(void)state;
	return (0);
}

static int32_t
some_prompt(void *state, const char *text, uint64_t len)
{
	(void)state;
	(void)text;
	(void)len;
	return (0);
}

static int32_t
some_text(void *state, const char *prompt, uint64_t prompt_len,
    const char *text, uint64_t len, int32_t final)
{
	(void)state;
	(void)prompt;
	(void)prompt_len;
	(void)text;
	(void)len;
	(void)final;
	return (0);
}

static void
some_close(void *state)
{
	(void)state;
}

static const struct chat_filter sound = {
	.abi = CHAT_FILTER_ABI, .size = sizeof sound, .name = "x",
	.version = "1", .open = some_open, .prompt = some_prompt,
	.text = some_text, .close = some_close,
};

/* A valid struct. */
static void
test_a_sound_struct_passes(void **state)
{
	struct chat_filter	 c = sound;
	struct fault		 f;

	(void)state;
	assert_int_equal(plugin_check(&c, "x", "/x.so", &f), 0);
	c.size += 64;			/* of a later version of the same ABI */
	assert_int_equal(plugin_check(&c, "x", "/x.so", &f), 0);
}

/* Versions. */
static void
test_another_version_is_refused_and_named(void **state)
{
	static const struct {
		uint32_t	 abi;
		const char	*words;
	} cases[] = {
		{ 0, "ABI 0.0; this chatd has 1.2" },
		{ 1, "ABI 0.1; this chatd has 1.2" },
		{ 0x10003, "ABI 1.3; this chatd has 1.2" },
		{ 0x20000, "ABI 2.0; this chatd has 1.2" },
		{ 0xffffffff, "ABI 65535.65535; this chatd has 1.2" },
	};
	struct chat_filter	 c = sound;
	struct fault		 f;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		c.abi = cases[i].abi;
		assert_int_equal(plugin_check(&c, "x", "/x.so", &f),
		    CHAT_EUNSUPPORTED);
		assert_non_null(strstr(f.message, cases[i].words));
	}
}

/* Size, name, members. */
static void
test_each_missing_member_is_named(void **state)
{
	struct chat_filter	 c;
	struct fault		 f;
	size_t			 i;
	static const struct {
		const char	*name;
		size_t		 offset;
	} members[] = {
		{ "name", offsetof(struct chat_filter, name) },
		{ "version", offsetof(struct chat_filter, version) },
		{ "open", offsetof(struct chat_filter, open) },
		{ "prompt", offsetof(struct chat_filter, prompt) },
		{ "text", offsetof(struct chat_filter, text) },
		{ "close", offsetof(struct chat_filter, close) },
	};

	(void)state;
	for (i = 0; i < nitems(members); i++) {
		c = sound;
		memset((char *)&c + members[i].offset, 0, sizeof(void *));
		assert_int_equal(plugin_check(&c, "x", "/x.so", &f),
		    CHAT_EFORMAT);
		assert_non_null(strstr(f.message, members[i].name));
		assert_non_null(strstr(f.message, "NULL"));
	}
	c = sound;
	c.size = sizeof c - 1;
	assert_int_equal(plugin_check(&c, "x", "/x.so", &f), CHAT_EFORMAT);
	assert_int_equal(plugin_check(&sound, "y", "/x.so", &f),
	    CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "\"x\""));
	assert_non_null(strstr(f.message, "\"y\""));
}

/* The members that version 1.1 added. */
static uint64_t
some_window(void *state)
{
	(void)state;
	return (0);
}

static int32_t
some_part(void *state, const struct chat_filter_part *part)
{
	(void)state;
	(void)part;
	return (0);
}

static void
test_parts_need_a_window_and_nothing_else(void **state)
{
	struct chat_filter	 c = sound;
	struct fault		 f;

	(void)state;
	assert_false(plugin_has_part(&c));
	c.part = some_part;
	c.prompt = NULL;
	c.text = NULL;
	assert_int_equal(plugin_check(&c, "x", "/x.so", &f), CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "\"window\" is NULL"));
	c.window = some_window;
	assert_int_equal(plugin_check(&c, "x", "/x.so", &f), 0);
	assert_true(plugin_has_part(&c));
}

/* The members that version 1.2 added. */
static int32_t
some_begin(void *state, const struct chat_filter_text *text,
    void **text_state)
{
	(void)state;
	(void)text;
	(void)text_state;
	return (0);
}

static void
some_end(void *state, void *text_state)
{
	(void)state;
	(void)text_state;
}

static uint64_t
some_save(void *state, void *blob, uint64_t room)
{
	(void)state;
	(void)blob;
	(void)room;
	return (0);
}

static int32_t
some_restore(void *state, const void *blob, uint64_t len)
{
	(void)state;
	(void)blob;
	(void)len;
	return (0);
}

static void
test_members_of_1_2_come_in_pairs(void **state)
{
	static const struct {
		int		 begin, end, part, save, restore;
		const char	*missing;	/* NULL: none */
	} cases[] = {
		{ 1, 1, 1, 1, 1, NULL },
		{ 0, 0, 0, 1, 1, NULL },
		{ 1, 0, 1, 0, 0, "\"text_end\" is NULL" },
		{ 0, 1, 1, 0, 0, "\"text_begin\" is NULL" },
		{ 1, 1, 0, 0, 0, "\"part\" is NULL" },
		{ 0, 0, 1, 1, 0, "\"restore\" is NULL" },
		{ 0, 0, 1, 0, 1, "\"save\" is NULL" },
	};
	struct chat_filter	 c;
	struct fault		 f;
	size_t			 i;
	int			 r;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		c = sound;
		c.window = some_window;
		c.part = cases[i].part ? some_part : NULL;
		c.text_begin = cases[i].begin ? some_begin : NULL;
		c.text_end = cases[i].end ? some_end : NULL;
		c.save = cases[i].save ? some_save : NULL;
		c.restore = cases[i].restore ? some_restore : NULL;
		r = plugin_check(&c, "x", "/x.so", &f);
		assert_int_equal(r, cases[i].missing == NULL ? 0 :
		    CHAT_EFORMAT);
		if (cases[i].missing != NULL)
			assert_non_null(strstr(f.message, cases[i].missing));
		/* In a struct of 1.1 they are not there. */
		c.abi = CHAT_FILTER_ABI_MAJOR << 16 | 1;
		c.size = offsetof(struct chat_filter, text_begin);
		assert_int_equal(plugin_check(&c, "x", "/x.so", &f), 0);
	}
}

/* A struct of 1.0 ends before these members, so their bytes do not count. */
static void
test_a_plugin_of_1_0_is_not_read_beyond_its_struct(void **state)
{
	struct chat_filter	 c = sound;
	struct fault		 f;

	(void)state;
	c.abi = CHAT_FILTER_ABI_MAJOR << 16;
	c.size = offsetof(struct chat_filter, flags);
	c.part = some_part;
	assert_int_equal(plugin_check(&c, "x", "/x.so", &f), 0);
	assert_false(plugin_has_part(&c));
	c.text = NULL;
	assert_int_equal(plugin_check(&c, "x", "/x.so", &f), CHAT_EFORMAT);
	c = sound;
	c.size = offsetof(struct chat_filter, flags);
	assert_int_equal(plugin_check(&c, "x", "/x.so", &f), CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "ABI 1.2"));
}

/* Files. */
static void
test_a_file_is_refused_by_its_mode_kind_and_place(void **state)
{
	char		 dir[64] = "/tmp/chatd-load.XXXXXX", path[128];
	char		 link[128];
	struct plugin	*p;
	struct fault	 f;
	int		 fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/x.so", dir);
	snprintf(link, sizeof link, "%s/y.so", dir);
	assert_int_equal(plugin_find("x", path, &p, &f), CHAT_ESYSTEM);
	fd = open(path, O_WRONLY|O_CREAT, 0755);
	assert_true(fd != -1);
	close(fd);
	assert_int_equal(symlink("x.so", link), 0);
	assert_int_equal(plugin_find("x", link, &p, &f), CHAT_ESYSTEM);
	assert_non_null(strstr(f.message, "symbolic link"));
	assert_int_equal(chmod(path, 0757), 0);
	assert_int_equal(plugin_find("x", path, &p, &f), CHAT_EDENIED);
	assert_non_null(strstr(f.message, "0757"));
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(plugin_find("x", path, &p, &f), CHAT_EDENIED);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(plugin_find("x", path, &p, &f), 0);
	assert_int_equal(plugin_load(p, &f), CHAT_EFORMAT);
	plugin_free(p);
	assert_int_equal(plugin_find("x", "x.so", &p, &f), CHAT_EFORMAT);
	unlink(link);
	unlink(path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(plugin_find("x", path, &p, &f), CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "not a regular file"));
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(plugin_find("x", path, &p, &f), CHAT_EFORMAT);
	unlink(path);
	rmdir(dir);
}

/* Run them. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sound_struct_passes),
		cmocka_unit_test(test_another_version_is_refused_and_named),
		cmocka_unit_test(test_each_missing_member_is_named),
		cmocka_unit_test(test_parts_need_a_window_and_nothing_else),
		cmocka_unit_test(test_members_of_1_2_come_in_pairs),
		cmocka_unit_test(
		    test_a_plugin_of_1_0_is_not_read_beyond_its_struct),
		cmocka_unit_test(
		    test_a_file_is_refused_by_its_mode_kind_and_place),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
