/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contrast files: what templates expand to, that draws repeat, what is refused.
 */
#include "contrast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "xmalloc.h"

#define HEAD	"frames f kind=request category=benign rows=50\n"

/* All rows of a draw, one a line; rows that are left out begin with "~". */
struct rows {
	char	*text;		/* owned */
	size_t	 n;
};

/* Keep a row. */
static void
rows_add(const struct contrast_row *row, void *arg)
{
	struct rows	*r = arg;
	char		*more;

	assert_int_equal(row->number, r->n);
	more = xasprintf("%s%s%s\n", r->text == NULL ? "" : r->text,
	    row->left_out ? "~" : "", row->text);
	free(r->text);
	r->text = more;
	r->n++;
}

/* Read files that hold these texts; NULL ends the list. NULL: refused. */
static struct contrast *
contrast_of(struct fault *f, const char *const *texts)
{
	struct contrast	*c = contrast_new();
	char		 dir[] = "/tmp/t_contrast.XXXXXX", *path;
	FILE		*out;
	int		 r = 0, i;

	assert_non_null(mkdtemp(dir));
	for (i = 0; r == 0 && texts[i] != NULL; i++) {
		path = xasprintf("%s/%c.txt", dir, 'a' + i);
		assert_non_null(out = fopen(path, "w"));
		fputs(texts[i], out);
		fclose(out);
		r = contrast_read(c, path, f);
		unlink(path);
		free(path);
	}
	rmdir(dir);
	if (r == 0)
		r = contrast_finish(c, f);
	if (r != 0) {
		contrast_free(c);
		return (NULL);
	}
	return (c);
}

/* Draw a block of one file; the caller frees text. */
static struct rows
rows_of(const char *text, size_t block, uint64_t seed)
{
	struct contrast	*c;
	struct rows	 r = { NULL, 0 };
	struct fault	 f;

	c = contrast_of(&f, (const char *const[]){ text, NULL });
	if (c == NULL)
		fail_msg("%s", f.message);
	contrast_draw(c, block, seed, rows_add, &r);
	contrast_free(c);
	return (r);
}

/* Each template with one text only. */
static void
test_templates_expand(void **state)
{
	static const char *const cases[][2] = {
		{ "plain", "plain\n" },
		{ "\\{\\[\\|\\]\\}\\#\\~ C:\\dir", "{[|]}#~ C:\\dir\n" },
		{ "a [|] gap , and [ ] one .", "a gap, and one.\n" },
		{ "{a:fruit}, {C:fruit}", "an apple, Apple\n" },
		{ "{a:hour} {a:unit} {a:sms} {a:pc}", "an hour a unit an SMS "
		    "a PC\n" },
		{ "{a:the}", "the sun\n" },
		{ "{ing:go} {ing:make} {ing:lie} {ing:rob} {ing:see}",
		    "going there making tea lying robbing it seeing\n" },
		{ "{ing:adverb}", "quietly getting in\n" },
		{ "{nested}", "an old apple pie\n" },
	};
	static const char	 lists[] = "list fruit\napple\n\n"
	    "list hour\nhour\n\nlist unit\nunit\n\nlist sms\nSMS\n\n"
	    "list pc\nPC\n\nlist the\nthe sun\n\nlist go\ngo there\n\n"
	    "list make\nmake tea\n\nlist lie\nlie\n\nlist rob\nrob it\n\n"
	    "list see\nsee\n\nlist adverb\nquietly get in\n\n"
	    "list nested\nan old {fruit} pie\n";
	struct rows		 r;
	char			*file;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		file = xasprintf("%s\n# a comment\n" HEAD "%s\n", lists,
		    cases[i][0]);
		r = rows_of(file, 0, 1);
		assert_string_equal(r.text, cases[i][1]);
		free(r.text);
		free(file);
	}
}

/* {list#1} is the same member each time, and other rows have others. */
static void
test_a_number_repeats_a_member(void **state)
{
	struct rows	 r = rows_of("list x\none\ntwo\nthree\n\n" HEAD
			    "{x#1} {x#1} {C:x#1}\n", 0, 1);

	(void)state;
	assert_int_equal(r.n, 3);
	assert_non_null(strstr(r.text, "one one One\n"));
	assert_non_null(strstr(r.text, "two two Two\n"));
	assert_non_null(strstr(r.text, "three three Three\n"));
	free(r.text);
}

/* No text comes twice, all come, and templates take turns. */
static void
test_rows_are_distinct(void **state)
{
	static const char	 file[] = "list x\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"
				    "\n" HEAD "p{x}{x}\nq\n";
	struct rows		 r = rows_of(file, 0, 1);
	char			*line, *rest = r.text;
	int			 seen[100] = { 0 }, k;

	(void)state;
	assert_int_equal(r.n, 50);
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		k = *line == 'q' ? 0 : atoi(line + 1);
		assert_in_range(k, 0, 99);
		assert_int_equal(seen[k]++, 0);
	}
	assert_int_equal(seen[0], 1);
	free(r.text);
}

/* The same seed gives the same rows, whatever else the files have. */
static void
test_draws_depend_on_seed_and_block_only(void **state)
{
	static const char	 file[] = "list x\n1\n2\n3\n4\n5\n~ 6\n7\n8\n"
				    "9\n\n" HEAD "{x}{x}{x}\n";
	struct rows		 a = rows_of(file, 0, 1), b;
	char			*more;

	(void)state;
	more = xasprintf("list w\nw\n\nframes g kind=content category=hate\n"
	    "{w}\n\n%s", file);
	b = rows_of(more, 1, 1);
	assert_string_equal(a.text, b.text);
	free(b.text);
	b = rows_of(file, 0, 2);
	assert_string_not_equal(a.text, b.text);
	free(a.text);
	free(b.text);
	free(more);
}

/* A row is left out if it has something that is marked, and only then; most
 * rows are not. */
static void
test_marked_lines_leave_their_rows_out(void **state)
{
	struct rows	 r = rows_of("list x\n1\n2\n3\n4\n5\n6\n7\n8\n9\n~ M\n"
			    "\nframes f kind=content category=hate rows=200\n"
			    "{x}{x}{x}\n~ N{x}{x}\n", 0, 1);
	char		*line, *rest = r.text;
	int		 marked, left = 0;

	(void)state;
	assert_int_equal(r.n, 200);
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		marked = strpbrk(line, "MN") != NULL;
		assert_int_equal(marked, *line == '~');
		left += marked;
	}
	assert_in_range(left, 5, 60);
	free(r.text);
}

/* A block's header. */
static void
test_headers_are_read(void **state)
{
	struct fault			 f;
	struct contrast			*c;
	const struct contrast_block	*b;

	(void)state;
	c = contrast_of(&f, (const char *const[]){ "frames f kind=content "
	    "category=spam_scam,impersonation severity=3 weight=0.5 twin=g\n"
	    "x\ny\n\nframes g kind=content category=benign\nz\n", NULL });
	assert_non_null(c);
	assert_int_equal(contrast_count(c), 2);
	b = contrast_block(c, 0);
	assert_string_equal(b->file, "a");
	assert_string_equal(b->name, "f");
	assert_string_equal(b->kind, "content");
	assert_string_equal(b->category, "spam_scam");
	assert_string_equal(b->also[0], "impersonation");
	assert_null(b->also[1]);
	assert_string_equal(b->twin, "g");
	assert_int_equal(b->severity, 3);
	assert_int_equal(b->rows, 16);
	assert_true(b->weight == 0.5);
	assert_int_equal(b->templates, 2);
	assert_int_equal(contrast_block(c, 1)->severity, 0);
	contrast_free(c);
}

/* A list of the same file comes first, then that of another file. */
static void
test_lists_of_other_files_are_found(void **state)
{
	static const char *const files[] = { "list x\none\n\nlist y\ntwo\n",
		"list x\nthree\n\n" HEAD "{x} {y}\n", NULL };
	struct fault	 f;
	struct contrast	*c = contrast_of(&f, files);
	struct rows	 r = { NULL, 0 };

	(void)state;
	assert_non_null(c);
	assert_int_equal(contrast_lists(c), 3);
	assert_int_equal(contrast_members(c), 3);
	contrast_draw(c, 0, 1, rows_add, &r);
	assert_string_equal(r.text, "three two\n");
	free(r.text);
	contrast_free(c);
}

/* Each fault names the file and the line. */
static void
test_faults_are_reported(void **state)
{
	static const char *const cases[][2] = {
		{ "hello\n", "a.txt(1): expected \"list NAME\" or" },
		{ "list\n", "a.txt(1): expected \"list NAME\"" },
		{ "list x\na\n\nlist x\nb\n", "a.txt(4): list \"x\" is "
		    "already in line 1" },
		{ "list x\n~ a\n", "a.txt(1): list \"x\": expected a member" },
		{ HEAD, "a.txt(1): frames \"f\": expected a template" },
		{ HEAD "x\n\n" HEAD "y\n", "a.txt(4): frames \"f\" are "
		    "already in line 1" },
		{ "frames f category=benign\n", "kind= is missing" },
		{ "frames f kind=request\n", "category= is missing" },
		{ "frames f kind=poem category=benign\n", "kind: expected "
		    "request or content, found \"poem\"" },
		{ "frames f kind=request category=evil\n", "category: expected "
		    "benign or a category of chatd-filters(7), found "
		    "\"evil\"" },
		{ "frames f kind=request category=benign,hate\n",
		    "category: expected benign alone" },
		{ "frames f kind=request category=hate severity=9\n",
		    "severity: expected a number from 0 to 3, found \"9\"" },
		{ "frames f kind=request category=hate severity=0\n",
		    "severity: expected 0 for benign" },
		{ "frames f kind=request category=hate rows=x\n",
		    "rows: expected a number from 1 to 100000, found \"x\"" },
		{ "frames f colour=red\n", "found \"colour\"" },
		{ "frames f red\n", "expected key=value, found \"red\"" },
		{ "frames f kind=request category=hate twin=f\nx\n",
		    "a.txt(1): twin: expected frames of this file that are "
		    "benign, found \"f\"" },
		{ HEAD "a\n{x}\n", "a.txt(3): there is no list \"x\"" },
		{ HEAD "{x\n", "a.txt(2): column 1: expected {list}" },
		{ HEAD "ab [c\n", "column 4: expected \"]\"" },
		{ HEAD "ab]\n", "column 3: \"]\" closes nothing" },
		{ HEAD "ab}\n", "column 3: \"}\" closes nothing" },
		{ HEAD "\xff\n", "a.txt(2): expected UTF-8" },
		{ HEAD "[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]\n",
		    "at most 16 nested brackets" },
		{ "list x\n{y}\n\nlist y\n{x}\n", "contains itself" },
	};
	struct fault	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		f.message[0] = '\0';
		assert_null(contrast_of(&f, (const char *const[]){
		    cases[i][0], NULL }));
		if (strstr(f.message, cases[i][1]) == NULL)
			fail_msg("expected \"%s\", found \"%s\"", cases[i][1],
			    f.message);
	}
	assert_null(contrast_of(&f, (const char *const[]){ "list x\na\n",
	    "list x\nb\n", HEAD "{x}\n", NULL }));
	assert_non_null(strstr(f.message, "c.txt(2): more than one other"));
}

/* A file that is not there. */
static void
test_a_missing_file_is_named(void **state)
{
	struct contrast	*c = contrast_new();
	struct fault	 f;

	(void)state;
	assert_int_equal(contrast_read(c, "/nonexistent/x.txt", &f),
	    CHAT_ESYSTEM);
	assert_non_null(strstr(f.message, "/nonexistent/x.txt: "));
	contrast_free(c);
}

/* A copy differs, repeats for its seed, and keeps most of the text. */
static void
test_noise_changes_letters(void **state)
{
	static const char	 text[] = "Please tell me about gardens, "
				    "rivers and mountains.";
	char			*a, *b;
	uint64_t		 seed;
	size_t			 differ = 0;
	int			 again = 0;

	(void)state;
	for (seed = 0; seed < 200; seed++) {
		a = contrast_noise(text, seed);
		b = contrast_noise(text, seed);
		if (a == NULL) {
			assert_null(b);
			continue;
		}
		assert_string_equal(a, b);
		assert_string_not_equal(a, text);
		assert_in_range(strlen(a), 40, 2 * strlen(text));
		differ++;
		free(b);
		b = contrast_noise(text, seed + 1000);
		again += b != NULL && strcmp(a, b) == 0;
		free(a);
		free(b);
	}
	assert_in_range(differ, 180, 200);
	assert_in_range(again, 0, 20);
	assert_null(contrast_noise("12 ?", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates_expand),
		cmocka_unit_test(test_a_number_repeats_a_member),
		cmocka_unit_test(test_rows_are_distinct),
		cmocka_unit_test(test_draws_depend_on_seed_and_block_only),
		cmocka_unit_test(test_marked_lines_leave_their_rows_out),
		cmocka_unit_test(test_headers_are_read),
		cmocka_unit_test(test_lists_of_other_files_are_found),
		cmocka_unit_test(test_faults_are_reported),
		cmocka_unit_test(test_a_missing_file_is_named),
		cmocka_unit_test(test_noise_changes_letters),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
