/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF files as models: files of every type have the numbers of the folder, and
 * configurations are checked.
 */
#include "gguf.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dtype.h"
#include "gguf_files.h"
#include "neox.h"
#include "path.h"
#include "tensors.h"
#include "xmalloc.h"

#define VOCAB	300
#define EPS	"gptneox.attention.layer_norm_epsilon"
#define HEADS	"gptneox.attention.head_count"
#define ROTARY	"gptneox.rope.dimension_count"
#define PARALLEL "gptneox.use_parallel_residual"
#define BASE	"gptneox.rope.freq_base"
#define EOS	"tokenizer.ggml.eos_token_id"

/* Read a valid file. */
static void
read_file(const char *path, struct gguf *g, int *fd)
{
	struct fault	 f;
	struct stat	 st;

	*fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_not_equal(*fd, -1);
	assert_int_equal(fstat(*fd, &st), 0);
	if (gguf_read(path, *fd, (uint64_t)st.st_size, g, &f) != GGUF_OK)
		fail_msg("%s", f.message);
}

/* Return the row of [q k v][H][D] that is row r of [H][q k v][D]. */
static int64_t
split_row(const struct model_config *c, int64_t r)
{
	int64_t	 D = c->lanes;

	return ((r / D % 3 * c->heads + r / D / 3) * D + r % D);
}

/* Check that the numbers of a tensor are those of the folder. */
static void
check_tensor(struct model *m, int fd, const struct st_tensor *t,
    const struct gguf *g, enum tensor part, int layer)
{
	int64_t		 rows, cols, r, row;
	char		 name[TENSOR_NAME_MAX];
	uint8_t		*bytes;
	double		*exact;
	float		*want, *got;
	size_t		 i, n, size = t->end - t->begin;

	tensor_name(part, layer, name);
	tensor_shape(part, &g->config, &rows, &cols);
	assert_int_equal(t->dims, cols == 0 ? 1 : 2);
	assert_int_equal(t->shape[0], rows);
	assert_int_equal(t->shape[1], cols);
	assert_true(t->readable);
	assert_string_equal(t->dtype_name, dtype_name(t->dtype));
	cols = cols == 0 ? 1 : cols;
	n = (size_t)(rows * cols);
	assert_int_equal(size, n / dtype_block(t->dtype) *
	    dtype_block_size(t->dtype));
	bytes = xmalloc(size);
	assert_int_equal(pread(fd, bytes, size, (off_t)t->begin), size);
	got = xcalloc(n, sizeof *got);
	want = xcalloc(n, sizeof *want);
	dtype_to_f32(t->dtype, bytes, got, n);
	exact = neox_read(m, part, layer);
	for (i = 0; i < n; i++)
		want[i] = (float)exact[i];
	free(exact);
	for (r = 0; r < rows; r++) {
		row = part == TENSOR_QKV || part == TENSOR_QKV_BIAS ?
		    split_row(&g->config, r) : r;
		if (memcmp(want + r * cols, got + row * cols, (size_t)cols *
		    sizeof *got) != 0)
			fail_msg("%s: row %d differs", name, (int)r);
	}
	free(bytes);
	free(got);
	free(want);
}

/* Find a tensor. */
static const struct st_tensor *
find(const struct gguf *g, const char *name)
{
	size_t	 i;

	for (i = 0; i < g->table.n; i++)
		if (strcmp(g->table.tensors[i].name, name) == 0)
			return (&g->table.tensors[i]);
	fail_msg("%s is not there", name);
	return (NULL);
}

/* Compare a model's GGUF file of type t with its folder. */
static void
check_model(const struct neox_spec *spec, enum dtype t)
{
	char		*folder = neox_folder(), *path, name[TENSOR_NAME_MAX];
	struct model	*m;
	struct gguf	 g;
	struct fault	 f;
	size_t		 seen = 0;
	int		 part, l, fd;

	path = path_join(folder, "model.gguf");
	neox_write(folder, spec, 7);
	gguf_files_write(folder, path, t);
	read_file(path, &g, &fd);
	assert_int_equal(model_open(folder, &m, &f), 0);
	assert_memory_equal(&g.config, model_config(m), sizeof g.config);
	assert_true(g.split_qkv);
	assert_null(g.tokenizer);
	for (part = 0; part < TENSOR_COUNT; part++)
		for (l = 0; l < (part < TENSOR_LAYER_COUNT ? spec->L : 1);
		    l++) {
			if (!tensor_wanted((enum tensor)part, &g.config))
				continue;
			tensor_name((enum tensor)part, l, name);
			check_tensor(m, fd, find(&g, name), &g,
			    (enum tensor)part, l);
			seen++;
		}
	assert_int_equal(g.table.n, seen);
	tensor_name(TENSOR_UP, 0, name);
	assert_int_equal(find(&g, name)->dtype, t);
	model_free(m);
	gguf_clear(&g);
	close(fd);
	free(path);
	neox_remove(folder);
}

/* Every type that is readable. */
static void
models_hold_the_numbers_of_their_folder(void **state)
{
	static const struct neox_spec spec = { "blocks", 2, 256, 4, 512, 50,
		32, 0.25, "gelu_fast", 1, 0, 1, 0.1 };
	static const struct neox_spec other = { "other", 1, 32, 2, 64, 40, 16,
		1, "gelu", 0, 1, 0, 0.1 };
	enum dtype	 t;

	(void)state;
	for (t = DTYPE_F16; t <= DTYPE_Q6_K; t++)
		check_model(&spec, t);
	check_model(&other, DTYPE_Q8_0);
}

/* Quantizing and reading gives nearly the same numbers. */
static void
quants_come_close(void **state)
{
	static const struct {
		enum dtype	 t;
		double		 limit;		/* for values up to 1 */
	} cases[] = {
		{ DTYPE_F16, 3e-4 }, { DTYPE_BF16, 4e-3 }, { DTYPE_F32, 0 },
		{ DTYPE_F64, 0 }, { DTYPE_Q8_0, 5e-3 }, { DTYPE_Q4_0, 0.13 },
		{ DTYPE_Q4_K, 0.09 }, { DTYPE_Q6_K, 0.035 }
	};
	float		 in[512], out[512];
	uint8_t		 bytes[512 * 8];
	uint64_t	 seed = 3;
	size_t		 i, k;

	(void)state;
	for (k = 0; k < nitems(in); k++)
		in[k] = (float)(neox_random(&seed, 1 << 24) * 0x1p-23 - 1);
	for (i = 0; i < nitems(cases); i++) {
		gguf_quantise(cases[i].t, in, bytes, nitems(in));
		dtype_to_f32(cases[i].t, bytes, out, nitems(in));
		for (k = 0; k < nitems(in); k++)
			if (!(out[k] - in[k] <= cases[i].limit &&
			    in[k] - out[k] <= cases[i].limit))
				fail_msg("%s[%zu]: %g became %g",
				    dtype_name(cases[i].t), k, (double)in[k],
				    (double)out[k]);
	}
}

/* Names that are not parts stay unchanged. */
static void
other_names_stay(void **state)
{
	static const struct {
		const char	*name, *as;
	} cases[] = {
		{ "blk.0.attn_norm.weight",
		    "gpt_neox.layers.0.input_layernorm.weight" },
		{ "blk.10.ffn_down.bias",
		    "gpt_neox.layers.10.mlp.dense_4h_to_h.bias" },
		{ "output_norm.bias", "gpt_neox.final_layer_norm.bias" },
		{ "output.weight", "embed_out.weight" },
		{ "blk.01.attn_norm.weight", NULL },
		{ "blk.-1.attn_norm.weight", NULL },
		{ "blk.+1.attn_norm.weight", NULL },
		{ "blk. 1.attn_norm.weight", NULL },
		{ "blk..attn_norm.weight", NULL },
		{ "blk.1attn_norm.weight", NULL },
		{ "blk.4294967296.attn_norm.weight", NULL },
		{ "blk.99999999999999999999.attn_norm.weight", NULL },
		{ "blk.0.attn_q.weight", NULL },
		{ "blk.0.token_embd.weight", NULL },
		{ "attn_norm.weight", NULL },
		{ "rope_freqs.weight", NULL }
	};
	const uint64_t	 shape = 8;
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;
	float		 x[8] = { 0 };
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		gguf_file_frame(&pieces, NULL, VOCAB);
		gguf_file_tensor(&pieces, cases[i].name, 0, 1, &shape, x,
		    sizeof x);
		if (gguf_file_read(&pieces, &g, &f) != GGUF_OK)
			fail_msg("%s: %s", cases[i].name, f.message);
		assert_string_equal(g.table.tensors[1].name,
		    cases[i].as != NULL ? cases[i].as : cases[i].name);
		gguf_clear(&g);
	}
}

/* Values that are not in the file. */
static void
defaults_are_filled_in(void **state)
{
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;

	(void)state;
	gguf_file_frame(&pieces, ROTARY, VOCAB);
	assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_OK);
	assert_int_equal(g.config.lanes, 4);
	assert_int_equal(g.config.rotary, 4);
	assert_int_equal(g.config.vocab, VOCAB);
	assert_true(g.config.rotary_base == 10000);
	assert_int_equal(g.config.gelu, GELU_TANH);
	assert_int_equal(g.config.parallel, 1);
	assert_int_equal(g.config.tied, 1);
	assert_int_equal(g.config.attn_bias, 0);
	assert_true(g.split_qkv);
	gguf_clear(&g);
}

/* A key that replaces a valid one, or is added. */
static const struct {
	enum gguf_error	 error;
	const char	*key;
	uint32_t	 type;
	size_t		 n;
	const char	*value, *words;
} configs[] = {
	{ GGUF_OK, HEADS, PUT_U8, 1, "\2", "" },
	{ GGUF_OK, HEADS, PUT_I8, 1, "\2", "" },
	{ GGUF_OK, HEADS, PUT_U16, 2, "\2\0", "" },
	{ GGUF_OK, HEADS, PUT_I16, 2, "\2\0", "" },
	{ GGUF_OK, HEADS, PUT_I32, 4, "\2\0\0\0", "" },
	{ GGUF_OK, HEADS, PUT_U64, 8, "\2\0\0\0\0\0\0\0", "" },
	{ GGUF_OK, HEADS, PUT_I64, 8, "\2\0\0\0\0\0\0\0", "" },
	{ GGUF_OK, EPS, PUT_F64, 8, "\0\0\0\0\0\0\360\76", "" },
	{ GGUF_OK, PARALLEL, PUT_BOOL, 1, "\0", "" },
	{ GGUF_OK, "gptneox.hidden_act", PUT_STRING, 12,
	    "\4\0\0\0\0\0\0\0gelu", "" },
	{ GGUF_OK, "gptneox.rope.scaling.type", PUT_STRING, 12,
	    "\4\0\0\0\0\0\0\0none", "" },
	{ GGUF_OK, "gptneox.attention.head_count_kv", PUT_U32, 4,
	    "\2\0\0\0", "" },
	{ GGUF_OK, "gptneox.attention.key_length", PUT_U32, 4, "\4\0\0\0",
	    "" },
	{ GGUF_CONFIG, HEADS, PUT_I8, 1, "\376", "found -2" },
	{ GGUF_CONFIG, HEADS, PUT_I16, 2, "\0\200", "found -32768" },
	{ GGUF_CONFIG, HEADS, PUT_I64, 8, "\0\0\0\0\0\0\0\200",
	    HEADS ": expected 1 to 4096, found -9.22" },
	{ GGUF_CONFIG, HEADS, PUT_U64, 8, "\377\377\377\377\377\377\377\377",
	    HEADS ": expected 1 to 4096, found 1.8" },
	{ GGUF_CONFIG, HEADS, PUT_U8, 1, "\0", HEADS },
	{ GGUF_CONFIG, HEADS, PUT_U8, 1, "\3", HEADS ": expected heads of an "
	    "even size, found gptneox.embedding_length 8 over 3 heads" },
	{ GGUF_CONFIG, "gptneox.embedding_length", PUT_U32, 4,
	    "\0\0\1\200", "gptneox.embedding_length: expected 2 to 65536" },
	{ GGUF_CONFIG, "gptneox.block_count", PUT_U32, 4, "\1\4\0\0",
	    "gptneox.block_count: expected 1 to 1024, found 1025" },
	{ GGUF_CONFIG, "gptneox.feed_forward_length", PUT_U32, 4,
	    "\41\0\0\0", "gptneox.feed_forward_length: expected an even" },
	{ GGUF_CONFIG, "gptneox.context_length", PUT_U32, 4, "\0\0\0\0",
	    "gptneox.context_length" },
	{ GGUF_CONFIG, EPS, PUT_F32, 4, "\0\0\300\177", EPS },
	{ GGUF_CONFIG, EPS, PUT_F32, 4, "\0\0\0\0", "found 0" },
	{ GGUF_CONFIG, EOS, PUT_U32, 4, "\54\1\0\0",
	    EOS ": expected below the vocabulary's size 300, found 300" },
	{ GGUF_CONFIG, ROTARY, PUT_U32, 4, "\0\0\0\0", ROTARY },
	{ GGUF_CONFIG, ROTARY, PUT_U32, 4, "\3\0\0\0", "found 3 of 4" },
	{ GGUF_CONFIG, ROTARY, PUT_U32, 4, "\6\0\0\0", "found 6 of 4" },
	{ GGUF_CONFIG, ROTARY, PUT_I32, 4, "\377\377\377\377", "found 0" },
	{ GGUF_CONFIG, ROTARY, PUT_U64, 8, "\377\377\377\377\377\377\377\377",
	    "found 2147483647 of 4" },
	{ GGUF_CONFIG, BASE, PUT_F32, 4, "\0\0\0\0", BASE },
	{ GGUF_CONFIG, BASE, PUT_F32, 4, "\0\0\200\177", "found inf" },
	{ GGUF_CONFIG, "gptneox.hidden_act", PUT_STRING, 12,
	    "\4\0\0\0\0\0\0\0relu", "gptneox.hidden_act: expected gelu" },
	{ GGUF_UNSUPPORTED, "gptneox.attention.head_count_kv", PUT_U32, 4,
	    "\1\0\0\0", "expected 2, found 1" },
	{ GGUF_UNSUPPORTED, "gptneox.attention.key_length", PUT_U32, 4,
	    "\2\0\0\0", "expected 4, found 2" },
	{ GGUF_UNSUPPORTED, "gptneox.rope.scaling.type", PUT_STRING, 12,
	    "\4\0\0\0\0\0\0\0yarn", "expected none, found yarn" },
	{ GGUF_UNSUPPORTED, "gptneox.rope.scaling.factor", PUT_F32, 4,
	    "\0\0\0\100", "expected 1, found 2" },
	{ GGUF_UNSUPPORTED, "gptneox.attention.clamp_kqv", PUT_F32, 4,
	    "\0\0\0\100", "expected 0, found 2" },
	{ GGUF_UNSUPPORTED, "gptneox.tensor_data_layout", PUT_STRING, 11,
	    "\3\0\0\0\0\0\0\0abc", "expected reference, found abc" },
	{ GGUF_WRONG_TYPE, PARALLEL, PUT_U32, 4, "\1\0\0\0",
	    PARALLEL ": expected a boolean, found uint32" },
	{ GGUF_WRONG_TYPE, "gptneox.hidden_act", PUT_U32, 4, "\1\0\0\0",
	    "expected a string" },
	{ GGUF_WRONG_TYPE, ROTARY, PUT_F32, 4, "\0\0\0\100", ROTARY }
};

/* Each has its error. */
static void
configurations_are_checked(void **state)
{
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;
	enum gguf_error	 e;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(configs); i++) {
		gguf_file_frame(&pieces, configs[i].key, VOCAB);
		gguf_file_key(&pieces, configs[i].key, configs[i].type,
		    configs[i].value, configs[i].n);
		e = gguf_file_read(&pieces, &g, &f);
		if (e != configs[i].error || (e != GGUF_OK &&
		    strstr(f.message, configs[i].words) == NULL))
			fail_msg("%s (%zu): expected %d \"%s\", found %d %s",
			    configs[i].key, i, configs[i].error,
			    configs[i].words, e, e == GGUF_OK ? "" :
			    f.message);
		if (e == GGUF_OK)
			gguf_clear(&g);
		else
			assert_string_equal(f.field, configs[i].key);
	}
}

/* Every required key and tensor. */
static void
missing_keys_are_named(void **state)
{
	static const char *const names[] = { "general.architecture",
		"gptneox.context_length", "gptneox.embedding_length",
		"gptneox.block_count", "gptneox.feed_forward_length", HEADS,
		EPS, EOS, "token_embd.weight" };
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(names); i++) {
		gguf_file_frame(&pieces, names[i], VOCAB);
		assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_MISSING);
		assert_string_equal(f.field, names[i]);
	}
}

/* The size of the vocabulary is that of a matrix. */
static void
an_embedding_is_a_matrix(void **state)
{
	static const uint8_t	 zeros[32];
	const uint64_t		 shape[3] = { 2, 2, 2 };
	struct gguf_file	 pieces;
	struct gguf		 g;
	struct fault		 f;

	(void)state;
	gguf_file_frame(&pieces, "token_embd.weight", VOCAB);
	gguf_file_tensor(&pieces, "token_embd.weight", 0, 3, shape, zeros,
	    sizeof zeros);
	assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_CONFIG);
	assert_non_null(strstr(f.message, "expected 2 dimensions, found 3"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_hold_the_numbers_of_their_folder),
		cmocka_unit_test(quants_come_close),
		cmocka_unit_test(other_names_stay),
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(configurations_are_checked),
		cmocka_unit_test(missing_keys_are_named),
		cmocka_unit_test(an_embedding_is_a_matrix)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
