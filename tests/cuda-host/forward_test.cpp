/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole steps of the backend, as the engine runs them, on small random models:
 * for programs that are built with a sanitizer.
 *
 *	forward_test CASE long|short
 *
 * A sequence gets its prompt in one step; then come steps of one row, of rows
 * and a prompt together, and of several sequences as a graph with padding.  The
 * rows must have the bits that they have if all are one prompt.  With ASan,
 * what no kernel may touch is poisoned before each step: the rows of an array
 * that the step has not, the rests of pieces of the weights, and all blocks of
 * the cache but those of the sequences.  long needs two sections of attention.
 * short is for TSan, which takes half a millisecond a CUDA thread: all kinds of
 * steps in the case fp16, two in the others, and no comparison.
 */
#include "kernel_test.h"
#include "random_model.h"

extern "C" {
void	__asan_poison_memory_region(const volatile void *, size_t)
	    __attribute__((weak));
void	__asan_unpoison_memory_region(const volatile void *, size_t)
	    __attribute__((weak));
}

#define V	24

/* layers, channels, heads, lanes, inner, vocab, context, rotary; the last words
 * are the parallel residual, tied, biases, the end token. */
static const struct test_case {
	const char		*name, *precision, *kv;
	int			 sms;	/* few: large blocks, rows as a whole */
	int			 extra;	/* more rows in the prompt */
	struct model_config	 config;
} cases[] = {
	{ "fp16", "fp16", "auto", 1, 0, { 2, 16, 1, 16, 16, V, 180, 4, 10000,
	    1e-5f, GELU_TANH, 1, 0, 1, -1 } },
	{ "bf16", "bf16", "int8", 1, 0, { 2, 40, 1, 40, 16, V, 180, 10,
	    10000, 1e-5f, GELU_ERF, 0, 0, 1, -1 } },
	{ "int8", "int8", "auto", 1, 0, { 2, 32, 2, 16, 32, V, 180, 8, 10000,
	    1e-5f, GELU_TANH, 1, 1, 0, -1 } },
	{ "int4", "int4", "int8", 10, 0, { 2, 64, 2, 32, 48, V, 180, 16,
	    10000, 1e-5f, GELU_ERF, 1, 0, 1, -1 } },
	/* more rows than product_narrow takes */
	{ "wide", "int4", "auto", 1, 66, { 1, 16, 1, 16, 16, V, 180, 4, 10000,
	    1e-5f, GELU_TANH, 1, 0, 1, -1 } }
};

/* ---- memory that no kernel may touch */

/* Close bytes used .. size at p, and open those before. */
static void
fence(const uint8_t *p, size_t used, size_t size)
{
	if (__asan_poison_memory_region == NULL)
		return;
	__asan_unpoison_memory_region(p, used);
	__asan_poison_memory_region(p + used, size - used);
}

/* What a step of T rows, of which wants have logits, leaves of its arrays. */
static void
fence_work(const struct cuda *c, int T, int wants)
{
	const struct cuda_sizes	*s = &c->sizes;
	const size_t		 n = (size_t)T, C = (size_t)c->config.channels;
	const size_t		 acts = layout_acts(T, c->config.channels) * 2;
	const size_t		 head = n * (size_t)c->config.heads;
	const uint8_t		*w = c->work;

	fence(w + s->x, n * C * 4, s->qkv - s->x);
	fence(w + s->qkv, n * 3 * C * 4, s->a - s->qkv);
	fence(w + s->a, acts, s->b - s->a);
	fence(w + s->b, acts, s->mix - s->b);
	fence(w + s->mix, acts, s->up - s->mix);
	fence(w + s->up, layout_acts(T, c->config.inner) * 2, s->q - s->up);
	fence(w + s->q, head * (size_t)s->Dp * 2, s->partial - s->q);
	fence(w + s->partial, head * (size_t)s->sections *
	    (size_t)(s->Dp + 2) * 4, s->logits - s->partial);
	fence(w + s->logits, (size_t)wants * V * 4, s->angles - s->logits);
	fence(w + s->angles, (size_t)(c->config.context * c->config.rotary) *
	    4, s->input - s->angles);
}

/* The rests of pieces, and each block of the cache with an even number. */
static void
fence_model(const struct cuda *c)
{
	const size_t	 size = layout_head(c->sizes.kv, c->config.lanes) *
			    (size_t)c->config.heads;

	for (int i = 0; i < c->pieces.n; i++) {
		const struct cuda_piece *q = &c->pieces.list[i];
		const size_t		 N = (size_t)layout_pad(q->N, LAYOUT_M);

		fence(c->weights + q->at, q->kind == PIECE_MATRIX ?
		    layout_matrix(c->pieces.elem, q->N, q->K) :
		    q->kind == PIECE_TABLE ? (size_t)q->N * (size_t)q->K * 2 :
		    N * 4, q->size);
	}
	for (int i = 0; i < c->config.layers; i++)
		for (int64_t b = 0; b < c->sizes.blocks; b += 2)
			fence(c->cache + c->sizes.layer * (size_t)i +
			    (size_t)b * size, 0, size);
}

/* ---- steps */

/* Sequences: block i of sequence s has an odd number. */
struct sequence {
	std::vector<int32_t>	 tokens, blocks;
	std::vector<float>	 logits;	/* of all rows: [.][V] */
	int			 done = 0;	/* rows */
};

static struct backend *b;

/* A step: count[i] more rows of sequence i. All rows want logits. */
static void
step(std::vector<struct sequence *> all, std::vector<int> count)
{
	std::vector<struct backend_row>	 rows;
	int				 T = 0, graph = 1;

	for (size_t i = 0; i < all.size(); i++) {
		struct sequence *s = all[i];

		for (int n = 0; n < count[i]; n++, s->done++)
			rows.push_back({ s->tokens[(size_t)s->done], s->done,
			    s->blocks.data(), 0,
			    &s->logits[(size_t)s->done * V], NULL });
		T += count[i];
	}
	for (int n : count)
		graph &= n == 1;
	while (graph && (T & (T - 1)) != 0)
		T++;		/* padding */
	fence_work((struct cuda *)b, T, T);
	check(b->ops->step(b, rows.data(), (int)rows.size()) == 0, "a step");
}

/* Run a case. */
static void
run(const struct test_case *t, bool is_long)
{
	const struct backend_host	 host = random_host(&t->config);
	const int			 n = t->extra > 0 ? t->extra : is_long ?
					    115 : 3;
	const int			 turns = is_long ? 9 : 1;
	struct backend_options		 opt = {};
	struct sequence			 s[4];
	test_random			 r = { 1 };

	opt.precision = t->precision;
	opt.kv_precision = t->kv;
	opt.device = "cuda:0";
	opt.kv_tokens = 50 * KV_BLOCK;
	opt.rows = 136;
	simt_device(0)->multiProcessorCount = t->sms;
	if (backend_module.open(&host, NULL, &opt, &b, NULL) != 0)
		exit(1);
	fence_model((struct cuda *)b);
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < t->config.context; k++)
			s[i].tokens.push_back(i == 3 ?
			    s[0].tokens[(size_t)k] : r.below(V));
		for (int k = 0; k < 6; k++)
			s[i].blocks.push_back(2 * (i * 6 + 5 - k) + 1);
		s[i].logits.assign((size_t)t->config.context * V, 0);
	}
	if (!is_long && t != cases) {
		step({ &s[0], &s[1] }, { 2, 1 });
		step({ &s[0], &s[1] }, { 1, 1 });
	} else
		step({ &s[0] }, { n });
	if (t->extra == 0 && (is_long || t == cases)) {
		for (int k = 0; k < turns; k++)
			step({ &s[0] }, { 1 });
		step({ &s[0], &s[1] }, { 1, is_long ? 18 : 2 });
		for (int k = 0; k < turns; k++)
			step({ &s[1], &s[0], &s[2] }, { 1, 1, 1 });
	}
	/* Sequence 3 is sequence 0 again, in steps of other sizes. */
	while (is_long && s[3].done < s[0].done)
		step({ &s[3] }, { t->extra == 0 ? s[0].done :
		    s[3].done == 0 ? 33 : s[0].done - 33 });
	check(!is_long || memcmp(s[3].logits.data(), s[0].logits.data(),
	    (size_t)s[0].done * V * sizeof(float)) == 0,
	    "%s: other bits in other steps", t->name);
	for (int i = 0; i < s[0].done * V; i++)
		check(isfinite(s[0].logits[(size_t)i]), "%s: number %d of the "
		    "logits is %g", t->name, i, s[0].logits[(size_t)i]);
	for (int i = 1; i < s[0].done; i++)
		check(memcmp(&s[0].logits[(size_t)i * V], &s[0].logits[(size_t)
		    (i - 1) * V], V * sizeof(float)) != 0,
		    "%s: rows %d and %d are equal", t->name, i - 1, i);
	b->ops->free(b);
	must_run(cudaGetLastError());
}

int
main(int argc, char **argv)
{
	for (const struct test_case &t : cases)
		if (argc == 3 && strcmp(argv[1], t.name) == 0) {
			run(&t, strcmp(argv[2], "long") == 0);
			return (test_end());
		}
	fprintf(stderr, "usage: forward_test CASE long|short\n");
	return (2);
}
