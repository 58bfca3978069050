/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reply: which text it emits and when, and that it can be rebuilt from its
 * ids at any point.
 */
#include "generation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "xmalloc.h"

#define VOCAB	320
#define EOS	0

/* The input of a reply, and the wanted result. */
struct reply_case {
	const char	*text;		/* the text that the model writes */
	const char	*stop[2];	/* stop string of the request, or
					 * NULL */
	int		 dialogue;	/* strip, trim and stop at <human> */
	const char	*shown;
	enum stop_reason reason;	/* STOP_NONE: ended by EOS here */
};

static const struct reply_case cases[] = {
	{ "Hello.", { NULL }, 0, "Hello.", STOP_NONE },
	{ " Hello. ", { NULL }, 0, " Hello. ", STOP_NONE },
	{ " Hello.\n", { NULL }, 1, "Hello.\n", STOP_NONE },
	{ " \n Hi\n<human>: you", { NULL }, 1, "Hi", STOP_STRING },
	{ " Hi \n\n<human>", { NULL }, 1, "Hi", STOP_STRING },
	{ "<human>", { NULL }, 1, "", STOP_STRING },
	{ "\n<human>:", { NULL }, 1, "", STOP_STRING },
	{ " Hi\n<huma", { NULL }, 1, "Hi\n<huma", STOP_NONE },
	{ " a <hum <human", { NULL }, 1, "a <hum <human", STOP_NONE },
	{ " a <<human>", { NULL }, 1, "a <", STOP_STRING },
	{ " a\n\nb", { NULL }, 1, "a\n\nb", STOP_NONE },
	{ "Hi\n<human>: x", { NULL }, 0, "Hi\n<human>: x", STOP_NONE },
	{ "one STOP two", { "STOP" }, 0, "one ", STOP_STRING },
	{ "one STO two", { "STOP" }, 0, "one STO two", STOP_NONE },
	{ "one STO", { "STOP" }, 0, "one STO", STOP_NONE },
	{ "aab", { "ab" }, 0, "a", STOP_STRING },
	{ "ababac", { "abac" }, 0, "ab", STOP_STRING },
	{ "xabcd", { "abcd", "bc" }, 0, "xa", STOP_STRING },
	{ "xbcd", { "bcd", "cd" }, 0, "x", STOP_STRING },
	{ "caf\xc3\xa9 \xf0\x9f\x98\x80!", { "\xf0\x9f\x98\x80" }, 0,
	    "caf\xc3\xa9 ", STOP_STRING },
	{ "caf\xc3\xa9 \xe4\xbd\xa0", { NULL }, 0, "caf\xc3\xa9 \xe4\xbd\xa0",
	    STOP_NONE },
	{ " \xe3\x80\x80" "a", { NULL }, 1, "a", STOP_NONE },
	{ "a \n ", { NULL }, 1, "a \n ", STOP_NONE },
	{ "", { NULL }, 1, "", STOP_NONE },
};

/* The options of a case. */
static struct generation_options
case_options(const struct reply_case *c)
{
	struct generation_options	 opt = { .sampler = { 1, 0, 1, 1, 0 },
					    .max_tokens = 1000 };
	int				 i;

	for (i = 0; i < 2 && c->stop[i] != NULL; i++)
		strcpy(opt.stop[opt.stops++], c->stop[i]);
	if (c->dialogue) {
		strcpy(opt.stop[opt.stops++], "<human>");
		opt.strip = opt.trim = 1;
	}
	return (opt);
}

/* Begin a reply after a prompt of one token. */
static struct generation *
start(const struct generation_options *opt, size_t context)
{
	struct idbuf	 prompt = { NULL, 0, 0 };

	idbuf_add(&prompt, 66);
	return (generation_new(data_tok, opt, &prompt, VOCAB, EOS, context));
}

/* Return the id of a single byte. */
static int32_t
byte_id(unsigned char c)
{
	const char	*s;
	int32_t		 id;
	size_t		 n;

	for (id = 2; id < VOCAB; id++) {
		s = tokenizer_bytes(data_tok, id, &n);
		if (n == 1 && (unsigned char)*s == c)
			return (id);
	}
	fail_msg("byte 0x%02x has no token", c);
	return (-1);
}

/* Return the text of a case as ids: those of the tokenizer, or one for each
 * byte. */
static struct idbuf
case_ids(const struct reply_case *c, int bytes)
{
	struct idbuf	 ids = { NULL, 0, 0 };
	const char	*s;

	if (!bytes)
		return (data_encode(data_tok, c->text, 0));
	for (s = c->text; *s != '\0'; s++)
		idbuf_add(&ids, byte_id((unsigned char)*s));
	return (ids);
}

/* Append the new text; count the ids. */
static void
take(struct generation *g, struct textbuf *text, size_t *ids)
{
	struct generation_news	 news;

	if (generation_take(g, &news)) {
		textbuf_add(text, news.text, news.text_len);
		*ids += news.n;
	}
}

/* Compare a reply's text with a string. */
static void
check_text(const struct reply_case *c, const struct textbuf *got)
{
	if (got->n != strlen(c->shown) ||
	    (got->n > 0 && memcmp(got->s, c->shown, got->n) != 0))
		fail_msg("\"%s\": got \"%.*s\", want \"%s\"", c->text,
		    (int)got->n, got->s, c->shown);
}

/* Run a case, interrupted and rebuilt after `cut` ids (-1: never). */
static void
play(const struct reply_case *c, int bytes, int cut)
{
	struct generation_options	 opt = case_options(c);
	struct generation		*g = start(&opt, 10000);
	struct idbuf			 ids = case_ids(c, bytes);
	struct textbuf			 text = { NULL, 0, 0 };
	size_t				 i, taken = 0;

	for (i = 0; i < ids.n && g->stop == STOP_NONE; i++) {
		if ((int)i == cut) {
			generation_free(g);
			g = start(&opt, 10000);
			assert_int_equal(generation_resume(g, ids.id, i,
			    VOCAB, 0), 0);
		}
		generation_add(g, ids.id[i]);
		take(g, &text, &taken);
	}
	assert_int_equal(g->stop, c->reason);
	if (g->stop == STOP_NONE) {
		generation_add(g, EOS);
		assert_int_equal(g->stop, STOP_END);
		take(g, &text, &taken);
	}
	check_text(c, &text);
	check_text(c, &g->text);
	assert_int_equal(taken, generation_made(g));
	textbuf_clear(&text);
	idbuf_clear(&ids);
	generation_free(g);
}

/* Each case, with long tokens and with one token for each byte. */
static void
stops_are_held_back_and_flushed(void **state)
{
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		play(&cases[i], 0, -1);
		play(&cases[i], 1, -1);
	}
}

/* Each case, interrupted at every token. */
static void
a_reply_continues_after_any_token(void **state)
{
	size_t	 i;
	int	 cut;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		for (cut = 0; cut < (int)strlen(cases[i].text); cut++)
			play(&cases[i], 1, cut);
	}
}

/* Text that can no longer be part of a stop string is emitted at once. */
static void
text_is_held_no_longer_than_needed(void **state)
{
	static const struct { char c; const char *shown; } steps[] = {
		{ ' ', "" }, { 'H', "H" }, { 'i', "Hi" }, { '\n', "Hi" },
		{ '<', "Hi" }, { 'h', "Hi" }, { 'x', "Hi\n<hx" },
		{ '\n', "Hi\n<hx" }, { '<', "Hi\n<hx" },
		{ '<', "Hi\n<hx\n<" }, { 'y', "Hi\n<hx\n<<y" },
	};
	const struct reply_case		 c = { "", { NULL }, 1, "", STOP_NONE };
	struct generation_options	 opt = case_options(&c);
	struct generation		*g = start(&opt, 100);
	size_t				 i, n;

	(void)state;
	for (i = 0; i < nitems(steps); i++) {
		generation_add(g, byte_id((unsigned char)steps[i].c));
		n = strlen(steps[i].shown);
		assert_int_equal(g->text.n, n);
		assert_true(n == 0 || memcmp(g->text.s, steps[i].shown,
		    n) == 0);
	}
	generation_free(g);
}

/* Only whole characters are emitted; at the end, an unfinished one becomes
 * U+FFFD. */
static void
a_cut_character_shows_at_the_end_only(void **state)
{
	struct generation_options	 opt = { .max_tokens = 3,
					    .sampler = { 1, 0, 1, 1, 0 } };
	struct generation		*g = start(&opt, 100);

	(void)state;
	generation_add(g, byte_id('a'));
	generation_add(g, byte_id(0xe4));
	assert_int_equal(g->text.n, 1);
	generation_add(g, byte_id(0xbd));
	assert_int_equal(g->stop, STOP_LENGTH);
	assert_int_equal(g->text.n, 4);
	assert_memory_equal(g->text.s, "a\xef\xbf\xbd", 4);
	generation_free(g);
}

/* A NUL can't be in a line; special tokens have no text. */
static void
nul_and_special_tokens_do_not_show(void **state)
{
	struct generation_options	 opt = { .max_tokens = 10,
					    .ignore_eos = 1,
					    .sampler = { 1, 0, 1, 1, 0 } };
	struct generation		*g = start(&opt, 100);

	(void)state;
	generation_add(g, byte_id(0));
	generation_add(g, EOS);
	generation_add(g, 1);
	generation_add(g, 310);		/* an id without a text */
	generation_add(g, byte_id('z'));
	assert_int_equal(g->stop, STOP_NONE);
	assert_int_equal(g->text.n, 4);
	assert_memory_equal(g->text.s, "\xef\xbf\xbdz", 4);
	generation_free(g);
}

/* The length and the context end a reply and release its held text; both limits
 * count all tokens. */
static void
length_and_context_end_it(void **state)
{
	static const struct { int max; size_t context; enum stop_reason why;
		size_t made; } ends[] = {
		{ 1, 100, STOP_LENGTH, 1 }, { 5, 100, STOP_LENGTH, 5 },
		{ 50, 4, STOP_CONTEXT, 3 }, { 3, 4, STOP_LENGTH, 3 },
		{ 50, 2, STOP_CONTEXT, 1 },
	};
	struct generation_options	 opt = { .stop = { "aaaaaaaaaa" },
					    .stops = 1,
					    .sampler = { 1, 0, 1, 1, 0 } };
	struct generation		*g;
	size_t				 i, k;

	(void)state;
	for (i = 0; i < nitems(ends); i++) {
		opt.max_tokens = ends[i].max;
		g = start(&opt, ends[i].context);
		for (k = 0; k < ends[i].made; k++) {
			assert_int_equal(g->stop, STOP_NONE);
			assert_int_equal(g->text.n, 0);
			generation_add(g, byte_id('a'));
		}
		assert_int_equal(g->stop, ends[i].why);
		assert_int_equal(g->text.n, ends[i].made);
		generation_free(g);
	}
}

/* A reply ends when it repeats itself, and not one token earlier. */
static void
repeats_end_it(void **state)
{
	static const struct { int before, period, made; } loops[] = {
		{ 0, 1, 64 }, { 5, 1, 69 }, { 0, 3, 66 }, { 2, 16, 66 },
		{ 0, 17, 68 }, { 7, 64, 263 }, { 0, 65, 0 },
	};
	struct generation_options	 opt = { .repeats = 1,
					    .max_tokens = 600,
					    .sampler = { 1, 0, 1, 1, 0 } };
	struct generation		*g;
	size_t				 c;
	int				 i, k, made;

	(void)state;
	for (c = 0; c < nitems(loops) * 2; c++) {
		opt.repeats = c < nitems(loops);
		made = loops[c % nitems(loops)].made;
		k = loops[c % nitems(loops)].before;
		g = start(&opt, 1000);
		for (i = 0; i < 500 && g->stop == STOP_NONE; i++)
			generation_add(g, byte_id(i < k ? '!' + i : '0' +
			    (i - k) % loops[c % nitems(loops)].period));
		if (!opt.repeats || made == 0)
			assert_int_equal(g->stop, STOP_NONE);
		else {
			assert_int_equal(g->stop, STOP_REPEAT);
			assert_int_equal(generation_made(g), made);
			assert_int_equal(g->text.n, generation_made(g));
		}
		generation_free(g);
	}
}

/* Cancelling releases the held text; a second time has no effect. */
static void
cancel_flushes(void **state)
{
	const struct reply_case		 c = { "", { NULL }, 1, "", STOP_NONE };
	struct generation_options	 opt = case_options(&c);
	struct generation		*g = start(&opt, 100);

	(void)state;
	generation_add(g, byte_id('a'));
	generation_add(g, byte_id('<'));
	assert_int_equal(g->text.n, 1);
	generation_cancel(g);
	generation_cancel(g);
	assert_int_equal(g->stop, STOP_CANCELLED);
	assert_int_equal(g->text.n, 2);
	generation_free(g);
}

/* Ids after the end, or out of range, are refused. */
static void
resume_refuses_impossible_ids(void **state)
{
	static const int32_t	 after[] = { 66, EOS, 67 };
	static const int32_t	 range[] = { 66, VOCAB };
	struct generation_options opt = { .max_tokens = 10,
				    .sampler = { 1, 0, 1, 1, 0 } };
	struct generation	*g = start(&opt, 100);

	(void)state;
	assert_true(generation_resume(g, after, 3, VOCAB, 0) < 0);
	generation_free(g);
	g = start(&opt, 100);
	assert_true(generation_resume(g, range, 2, VOCAB, 0) < 0);
	generation_free(g);
	g = start(&opt, 100);
	assert_int_equal(generation_resume(g, after, 2, VOCAB, 0), 0);
	assert_int_equal(g->stop, STOP_END);
	generation_free(g);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(stops_are_held_back_and_flushed),
		cmocka_unit_test(a_reply_continues_after_any_token),
		cmocka_unit_test(text_is_held_no_longer_than_needed),
		cmocka_unit_test(a_cut_character_shows_at_the_end_only),
		cmocka_unit_test(nul_and_special_tokens_do_not_show),
		cmocka_unit_test(length_and_context_end_it),
		cmocka_unit_test(repeats_end_it),
		cmocka_unit_test(cancel_flushes),
		cmocka_unit_test(resume_refuses_impossible_ids),
	};

	return (cmocka_run_group_tests(tests, data_setup_tiny,
	    data_teardown));
}
