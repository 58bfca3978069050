/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML: faults and their places, trees with positions, units.
 */
#include "yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "xmalloc.h"

/* Parse a text named "f"; a failure of a good one prints why. */
static struct ynode *
yaml_good(const char *text)
{
	struct ynode	*root;
	struct fault	 f;

	if (yaml_parse("f", text, strlen(text), &root, &f) != 0)
		fail_msg("%s: %s", text, f.message);
	return (root);
}

/* Texts that are refused, with the place and a word of the reason. */
static const struct {
	const char	*in, *place, *why;
} bad[] = {
	{ "a: &x 1\n", "f:1:4:", "anchors" },
	{ "a: &x [1]\n", "f:1:4:", "anchors" },
	{ "&x a: 1\n", "f:1:1:", "anchors" },
	{ "a: 1\nb: *a\n", "f:2:4:", "aliases" },
	{ "a: !!str 1\n", "f:1:4:", "tags" },
	{ "a: !x {}\n", "f:1:4:", "tags" },
	{ "a: 1\nb: 2\na: 3\n", "f:3:1:", "duplicate key \"a\"" },
	{ "a:\n  b: 1\n  \"b\": 2\n", "f:3:3:", "first given at line 2" },
	{ "a: 1\n---\nb: 2\n", "f:2:1:", "second document" },
	{ "[a]: 1\n", "f:1:1:", "key" },
	{ "? {a: 1}\n: 2\n", "f:1:3:", "key" },
	{ "a: [1\n", "f:2:1:", "" },
	{ "a: 1\n b: 2\n", "f:2:", "" },
	{ "a: 'x\n", "f:", "" },
	{ "\ta: 1\n", "f:1:1:", "" },
	{ "a: \"x\\0y\"\n", "f:1:4:", "NUL" },
	{ "a: \xff\n", "f:", "" },
	{ "a: \x01\n", "f:", "" },
};

/* Every fault is reported with file, line and column. */
static void
bad_files_are_refused_with_their_place(void **state)
{
	struct ynode	*root = NULL;
	struct fault	 f;
	size_t		 i;
	int		 r;

	(void)state;
	for (i = 0; i < nitems(bad); i++) {
		memset(&f, 0, sizeof f);
		r = yaml_parse("f", bad[i].in, strlen(bad[i].in), &root, &f);
		if (r != CHAT_EFORMAT || strcmp(f.code, "bad_config") != 0 ||
		    strncmp(f.message, bad[i].place, strlen(bad[i].place))
		    != 0 || strstr(f.message, bad[i].why) == NULL)
			fail_msg("%s%d %s, expected %s %s", bad[i].in, r,
			    f.message, bad[i].place, bad[i].why);
		assert_null(root);
	}
}

/* Repeat open n times, then close n times. */
static char *
yaml_nested(const char *open, const char *close, int n)
{
	size_t	 a = strlen(open), b = strlen(close);
	char	*s = xmalloc((a + b) * (size_t)n + 1), *p = s;
	int	 i;

	for (i = 0; i < n; i++, p += a)
		memcpy(p, open, a);
	for (i = 0; i < n; i++, p += b)
		memcpy(p, close, b);
	*p = '\0';
	return (s);
}

/* Nesting costs libyaml quadratic time: it is bounded in all its forms. */
static void
depth_is_bounded(void **state)
{
	static const struct {
		const char	*open, *close;
		int		 n, good;
	} cases[] = {
		{ "[", "]", YAML_DEPTH_MAX, 1 },
		{ "[", "]", YAML_DEPTH_MAX + 1, 0 },
		{ "[", "]", 100000, 0 },
		{ "{a: ", "}", YAML_DEPTH_MAX, 1 },
		{ "{a: ", "}", YAML_DEPTH_MAX + 1, 0 },
		{ "{a: ", "}", 100000, 0 },
		{ "- ", "", YAML_DEPTH_MAX, 1 },
		{ "- ", "", YAML_DEPTH_MAX + 1, 0 },
		{ "- ", "", 100000, 0 },
		{ "? ", "", 100000, 0 },
	};
	struct ynode	*root = NULL;
	struct fault	 f;
	char		*s;
	size_t		 i;
	int		 r;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		s = yaml_nested(cases[i].open, cases[i].close, cases[i].n);
		r = yaml_parse("f", s, strlen(s), &root, &f);
		if (r != (cases[i].good ? 0 : CHAT_EFORMAT))
			fail_msg("%d times %s: %d", cases[i].n, cases[i].open,
			    r);
		if (r == 0)
			ynode_free(root);
		free(s);
	}
}

/* A file of the largest size is accepted, and one byte more is refused. */
static void
size_is_bounded(void **state)
{
	struct ynode	*root;
	struct fault	 f;
	char		*s;

	(void)state;
	s = xmalloc(YAML_FILE_MAX + 1);
	memset(s, '\n', YAML_FILE_MAX + 1);
	assert_int_equal(yaml_parse("f", s, YAML_FILE_MAX, &root, &f), 0);
	ynode_free(root);
	assert_int_equal(yaml_parse("f", s, YAML_FILE_MAX + 1, &root, &f),
	    CHAT_EFORMAT);
	free(s);
}

/* Nothing at all, and only comments, are an empty map. */
static void
empty_file_is_an_empty_map(void **state)
{
	static const char *const texts[] = { "", "\n\n", "# words\n" };
	struct ynode	*root;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(texts); i++) {
		root = yaml_good(texts[i]);
		assert_int_equal(root->kind, YNODE_MAP);
		assert_null(root->child);
		ynode_free(root);
	}
}

/* Kinds, order, quotes and positions of a small file. */
static void
tree_keeps_order_and_positions(void **state)
{
	struct ynode	*root, *n;

	(void)state;
	root = yaml_good("a: no\nlist:\n  - x\n  - \"08\"\nmap:\n  k: |\n"
	    "    two\n    lines\n");
	n = root->child;
	assert_string_equal(n->key, "a");
	assert_string_equal(n->text, "no");	/* never guessed as false */
	assert_int_equal(n->quoted, 0);
	assert_int_equal(n->line, 1);
	assert_int_equal(n->column, 4);
	n = n->next;
	assert_string_equal(n->key, "list");
	assert_int_equal(n->kind, YNODE_LIST);
	assert_int_equal(n->key_line, 2);
	assert_string_equal(n->child->text, "x");
	assert_null(n->child->key);
	assert_string_equal(n->child->next->text, "08");
	assert_int_equal(n->child->next->quoted, 1);
	assert_int_equal(n->child->next->line, 4);
	assert_int_equal(n->child->next->column, 5);
	n = ynode_get(ynode_get(root, "map"), "k");
	assert_string_equal(n->text, "two\nlines\n");
	assert_null(ynode_get(root, "k"));
	assert_null(ynode_get(n, "k"));
	assert_null(ynode_get(NULL, "k"));
	ynode_free(root);
}

/* Which reader a case is for. */
enum reader { READ_INT, READ_REAL, READ_BOOL, READ_SIZE, READ_TIME };

/* Scalars, as they stand in a file: the value read, or the refusal. */
static const struct scalar {
	enum reader	 reader;
	const char	*in;
	int		 good;
	double		 value;
} scalars[] = {
	{ READ_INT, "5", 1, 5 },
	{ READ_INT, "-5", 1, -5 },
	{ READ_INT, "08", 1, 8 },
	{ READ_INT, "100", 1, 100 },
	{ READ_INT, "101", 0, 0 },
	{ READ_INT, "-101", 0, 0 },
	{ READ_INT, "99999999999999999999", 0, 0 },
	{ READ_INT, "0x10", 0, 0 },
	{ READ_INT, "1.0", 0, 0 },
	{ READ_INT, "5s", 0, 0 },
	{ READ_INT, "\"\"", 0, 0 },
	{ READ_INT, "", 0, 0 },
	{ READ_INT, "[5]", 0, 0 },
	{ READ_REAL, "0.5", 1, 0.5 },
	{ READ_REAL, "1e1", 1, 10 },
	{ READ_REAL, "-100", 1, -100 },
	{ READ_REAL, "100.1", 0, 0 },
	{ READ_REAL, "nan", 0, 0 },
	{ READ_REAL, "inf", 0, 0 },
	{ READ_REAL, "1e999", 0, 0 },
	{ READ_REAL, ".", 0, 0 },
	{ READ_REAL, "{}", 0, 0 },
	{ READ_BOOL, "true", 1, 1 },
	{ READ_BOOL, "false", 1, 0 },
	{ READ_BOOL, "no", 0, 0 },
	{ READ_BOOL, "on", 0, 0 },
	{ READ_BOOL, "True", 0, 0 },
	{ READ_BOOL, "1", 0, 0 },
	{ READ_BOOL, "[]", 0, 0 },
	{ READ_SIZE, "0", 1, 0 },
	{ READ_SIZE, "17", 1, 17 },
	{ READ_SIZE, "17B", 1, 17 },
	{ READ_SIZE, "2KiB", 1, 2048 },
	{ READ_SIZE, "2 KiB", 1, 2048 },
	{ READ_SIZE, "1.5MiB", 1, 1572864 },
	{ READ_SIZE, "1GiB", 1, 1073741824 },
	{ READ_SIZE, "1.1GiB", 0, 0 },
	{ READ_SIZE, "1e300GiB", 0, 0 },
	{ READ_SIZE, "2KB", 0, 0 },
	{ READ_SIZE, "2kib", 0, 0 },
	{ READ_SIZE, "-1", 0, 0 },
	{ READ_SIZE, "KiB", 0, 0 },
	{ READ_SIZE, "", 0, 0 },
	{ READ_SIZE, "[1]", 0, 0 },
	{ READ_TIME, "200ms", 1, 200 },
	{ READ_TIME, "30", 1, 30000 },
	{ READ_TIME, "30s", 1, 30000 },
	{ READ_TIME, "0.5s", 1, 500 },
	{ READ_TIME, "5 min", 1, 300000 },
	{ READ_TIME, "2h", 1, 7200000 },
	{ READ_TIME, "299h", 0, 0 },
	{ READ_TIME, "5m", 0, 0 },
	{ READ_TIME, "5sec", 0, 0 },
	{ READ_TIME, "-5s", 0, 0 },
	{ READ_TIME, "soon", 0, 0 },
};

/* Read a node with a case's reader, into a double. */
static int
scalar_read(const struct scalar *c, const struct ynode *n, double *v,
    struct fault *f)
{
	const int64_t	 top = 1073741824;
	int64_t		 i = 0;
	int		 b = 0, r;

	switch (c->reader) {
	case READ_INT:
		r = ynode_int("f", n, -100, 100, &i, f);
		break;
	case READ_REAL:
		return (ynode_real("f", n, -100, 100, v, f));
	case READ_BOOL:
		r = ynode_bool("f", n, &b, f);
		i = b;
		break;
	case READ_SIZE:
		r = ynode_size("f", n, 0, top, &i, f);
		break;
	default:
		r = ynode_time("f", n, 0, top, &i, f);
		break;
	}
	*v = (double)i;
	return (r);
}

/* Each reader reads its units. A fault names file, line, column and key. */
static void
readers_know_their_units(void **state)
{
	const struct scalar	*c;
	struct ynode		*root;
	struct fault		 f;
	char			 text[64];
	double			 v;
	int			 r;

	(void)state;
	for (c = scalars; c < scalars + nitems(scalars); c++) {
		snprintf(text, sizeof text, "# k\nkey: %s\n", c->in);
		root = yaml_good(text);
		memset(&f, 0, sizeof f);
		v = 0;
		r = scalar_read(c, root->child, &v, &f);
		if (c->good && (r != 0 || v != c->value))
			fail_msg("%s: %d %g, expected %g (%s)", c->in, r, v,
			    c->value, f.message);
		if (!c->good && (r != CHAT_EFORMAT ||
		    strncmp(f.message, "f:2:", 4) != 0 ||
		    strstr(f.message, ": key: ") == NULL ||
		    strcmp(f.field, "key") != 0))
			fail_msg("%s: %d %g %s, expected a refusal", c->in, r,
			    v, f.message);
		ynode_free(root);
	}
}

/* A fault of the file itself is reported with its name. */
static void
load_names_the_file(void **state)
{
	char		 path[] = "/tmp/t_base_yaml.XXXXXX";
	struct ynode	*root;
	struct fault	 f;
	int		 fd;

	(void)state;
	assert_true((fd = mkstemp(path)) != -1);
	assert_int_equal(write(fd, "a: 1\n", 5), 5);
	assert_int_equal(yaml_load(path, &root, &f), 0);
	assert_string_equal(ynode_get(root, "a")->text, "1");
	ynode_free(root);
	assert_int_equal(ftruncate(fd, YAML_FILE_MAX + 1), 0);
	assert_int_equal(yaml_load(path, &root, &f), CHAT_ETOOBIG);
	assert_non_null(strstr(f.message, path));
	unlink(path);
	close(fd);
	assert_int_equal(yaml_load(path, &root, &f), CHAT_ESYSTEM);
	assert_non_null(strstr(f.message, path));
	assert_int_equal(yaml_load("/", &root, &f), CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "/: "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_files_are_refused_with_their_place),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(empty_file_is_an_empty_map),
		cmocka_unit_test(tree_keeps_order_and_positions),
		cmocka_unit_test(readers_know_their_units),
		cmocka_unit_test(load_names_the_file),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
