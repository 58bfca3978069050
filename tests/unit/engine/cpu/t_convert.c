/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion: every form of a model file gives the same bits in memory, and
 * Q4_0 becomes int4 without loss.
 */
#include "convert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend.h"
#include "hfconfig.h"
#include "dtype.h"
#include "gguf_files.h"
#include "layout_index.h"
#include "neox.h"
#include "path.h"
#include "tensors.h"
#include "xmalloc.h"

#define TOKENS	20

/* Rows that are whole blocks of 256, of 32, and neither. */
static const struct neox_spec specs[] = {
	{ "256", 1, 256, 4, 512, 40, 64, 0.25, "gelu_fast", 1, 0, 1, 0.05 },
	{ "32", 2, 96, 3, 160, 33, 64, 0.25, "gelu_fast", 0, 1, 0, 0.1 },
	{ "odd", 1, 80, 2, 72, 20, 64, 0.5, "gelu_fast", 1, 0, 1, 0.1 }
};

static const enum dtype types[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16,
	DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K };

/* Make a folder, and a GGUF file with the same numbers. */
static char *
make_model(const struct neox_spec *spec, enum dtype t, char **gguf)
{
	char	*folder = neox_folder();

	neox_write(folder, spec, 12 + (uint64_t)t);
	*gguf = path_join(folder, "model.gguf");
	gguf_files_write(folder, *gguf, t);
	return (folder);
}

/* The logits of the GGUF file are those of the folder. Q4_0 in int4 is left
 * out, because the folder's numbers are rounded once more there. */
static void
every_type_gives_the_bits_of_the_folder(void **state)
{
	static const char *const precisions[] = { "fp32", "bf16", "int8",
		"int4" };
	struct backend	*b;
	int32_t		 ids[TOKENS];
	char		*folder, *gguf;
	float		*want, *got;
	size_t		 i, t, p, k;

	(void)state;
	for (i = 0; i < nitems(specs); i++)
		for (t = 0; t < nitems(types); t++) {
			folder = make_model(&specs[i], types[t], &gguf);
			for (k = 0; k < TOKENS; k++)
				ids[k] = (int32_t)(k * 7 % (size_t)specs[i].V);
			for (p = 0; p < nitems(precisions); p++) {
				if (p == 3 && types[t] == DTYPE_Q4_0)
					continue;
				b = neox_open(folder, precisions[p], "auto", 1);
				want = neox_run(b, ids, TOKENS, 0, 0);
				b->ops->free(b);
				b = neox_open(gguf, precisions[p], "auto", 2);
				got = neox_run(b, ids, TOKENS, 0, 0);
				b->ops->free(b);
				if (memcmp(want, got, TOKENS * sizeof *got *
				    (size_t)specs[i].V) != 0)
					fail_msg("%s %s %s differs",
					    specs[i].name, dtype_name(types[t]),
					    precisions[p]);
				free(want);
				free(got);
			}
			free(gguf);
			neox_remove(folder);
		}
}

/* Element (n, k) of a quantized matrix. */
static int
quantized_at(const uint8_t *u, enum elem elem, int64_t Kp, int64_t n, int64_t k)
{
	const size_t	 i = layout_index(elem, (size_t)Kp, (size_t)n,
			    (size_t)k);

	return (elem == ELEM_I8 ? u[i] : u[i] >> layout_shift((size_t)k) &
	    15);
}

/* The longest rows that a configuration may have are longer than one read. The
 * logits are right, and the same with every instruction set. */
static void
the_longest_rows_can_be_read(void **state)
{
	static const struct neox_spec wide = { "wide", 1, 4, 1,
		CONFIG_INNER_MAX, 16, 32, 1, "gelu", 1, 1, 1, 0.02 };
	static const char *const precisions[] = { "fp32", "int8", "int4" };
	const int32_t	 ids[2] = { 1, 5 };
	struct backend	*b;
	const char	*isa;
	char		*folder = neox_folder();
	double		*want;
	float		*first, *got;
	size_t		 p, i;
	int		 at;

	(void)state;
	neox_write(folder, &wide, 3);
	want = neox_oracle(folder, ids, 2);
	for (p = 0; p < nitems(precisions); p++) {
		first = NULL;
		for (at = 0; (isa = neox_isa(&at)) != NULL; ) {
			b = neox_open(folder, precisions[p], isa, 2);
			got = neox_run(b, ids, 2, 0, 0);
			b->ops->free(b);
			for (i = 0; p == 0 && i < 2 * 16; i++)
				assert_true(fabs((double)got[i] - want[i]) <
				    1e-4);
			if (first == NULL)
				first = got;
			else {
				assert_memory_equal(first, got,
				    2 * 16 * sizeof *got);
				free(got);
			}
		}
		free(first);
	}
	free(want);
	neox_remove(folder);
}

/* The weight in row n and column k of an int4 matrix with Kp columns. */
static float
int4_weight(const uint8_t *u, const uint16_t *scale, int64_t Kp, int64_t n,
    int64_t k)
{
	int	 q = quantized_at(u, ELEM_I4, Kp, n, k);
	float	 d;

	dtype_to_f32(DTYPE_F16, &scale[(n / 16 * (Kp / 32) + k / 32) * 16 +
	    n % 16], &d, 1);
	return ((float)(q - 8) * d);
}

/* Every matrix in Q4_0 has the same numbers in int4. */
static void
q4_0_is_taken_into_int4_without_loss(void **state)
{
	struct backend_options	 opt = { .precision = "int4" };
	const struct piece	*u, *s;
	struct layout		 l;
	struct pool		*pool = pool_new(2);
	struct model		*m;
	struct fault		 f;
	char			*folder, *gguf;
	uint8_t			*base;
	double			*want;
	int64_t			 rows, cols, n, k;
	int			 part, seen = 0;

	(void)state;
	folder = make_model(&specs[1], DTYPE_Q4_0, &gguf);
	assert_int_equal(model_open(gguf, &m, &f), 0);
	layout_init(&l, model_config(m), PREC_INT4);
	base = xcalloc(1, l.size);
	assert_int_equal(convert_model(m, &l, base, pool, &opt, &f), 0);
	for (part = 0; part < TENSOR_COUNT; part++) {
		s = layout_find(&l, (enum tensor)part, 0, 1);
		if (s == NULL)
			continue;
		u = layout_find(&l, (enum tensor)part, 0, 0);
		want = neox_read(m, (enum tensor)part, 0);
		tensor_shape((enum tensor)part, &l.config, &rows, &cols);
		for (n = 0; n < rows; n++)
			for (k = 0; k < cols; k++)
				if ((double)int4_weight(base + u->at,
				    (const uint16_t *)(void *)(base + s->at),
				    ROUND_UP(cols, 64), n, k) !=
				    want[n * cols + k])
					fail_msg("part %d, row %d, column %d",
					    part, (int)n, (int)k);
		free(want);
		seen++;
	}
	assert_int_equal(seen, 5);
	free(base);
	layout_clear(&l);
	model_free(m);
	pool_free(pool);
	free(gguf);
	neox_remove(folder);
}

/* Convert the weights of a model with some threads. Returns *n bytes, owned by
 * the caller. */
static uint8_t *
convert(const char *path, enum precision p, int threads, size_t *n)
{
	struct backend_options	 opt = { .precision = "auto" };
	struct layout		 l;
	struct pool		*pool = pool_new(threads);
	struct model		*m;
	struct fault		 f;
	uint8_t			*base;

	assert_int_equal(model_open(path, &m, &f), 0);
	layout_init(&l, model_config(m), p);
	*n = l.size;
	base = xcalloc(1, l.size);
	if (convert_model(m, &l, base, pool, &opt, &f) != 0)
		fail_msg("%s", f.message);
	layout_clear(&l);
	model_free(m);
	pool_free(pool);
	return (base);
}

/* Check the padding of a matrix of int8 or int4: k from K on, and rows from N
 * on. */
static void
check_filled(const uint8_t *base, const struct layout *l, enum tensor part,
    int layer)
{
	const struct piece	*u = layout_find(l, part, layer, 0);
	const struct piece	*s = layout_find(l, part, layer, 1);
	int64_t			 rows, cols, n, k, Kp;
	uint16_t		 scale;

	tensor_shape(part, &l->config, &rows, &cols);
	Kp = ROUND_UP(cols, 64);
	for (n = 0; n < rows; n++)
		for (k = cols; k < Kp; k++) {
			assert_int_equal(quantized_at(base + u->at, u->elem, Kp,
			    n, k), u->elem == ELEM_I8 ? 128 : 8);
			if (u->elem == ELEM_I8 || k % 32 != 0)
				continue;
			memcpy(&scale, base + s->at + 2 * ((n / 16 *
			    (Kp / 32) + k / 32) * 16 + n % 16), 2);
			assert_int_equal(scale, 0);
		}
	for (n = rows; n < ROUND_UP(rows, 16); n++)
		for (k = 0; k < Kp; k++)
			assert_int_equal(quantized_at(base + u->at, u->elem, Kp,
			    n, k), 0);
}

/* The padding does not have numbers of a longer row that a thread's buffer held
 * before. It is the same for any number of threads. */
static void
padding_has_the_right_values(void **state)
{
	struct layout	 l;
	struct model	*m;
	struct fault	 f;
	char		*folder, *gguf;
	const char	*path;
	uint8_t		*one, *more;
	size_t		 n, i;
	int		 p;

	(void)state;
	folder = make_model(&specs[1], DTYPE_Q4_0, &gguf);
	for (i = 0; i < 4; i++) {
		p = i % 2 == 0 ? PREC_INT8 : PREC_INT4;
		path = i < 2 ? folder : gguf;
		one = convert(path, (enum precision)p, 1, &n);
		assert_int_equal(model_open(path, &m, &f), 0);
		layout_init(&l, model_config(m), (enum precision)p);
		check_filled(one, &l, TENSOR_QKV, 1);
		check_filled(one, &l, TENSOR_UP, 1);
		check_filled(one, &l, TENSOR_DOWN, 0);
		check_filled(one, &l, TENSOR_EMBED, 0);
		more = convert(path, (enum precision)p, 3, &n);
		assert_memory_equal(one, more, n);
		free(one);
		free(more);
		layout_clear(&l);
		model_free(m);
	}
	free(gguf);
	neox_remove(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_gives_the_bits_of_the_folder),
		cmocka_unit_test(padding_has_the_right_values),
		cmocka_unit_test(the_longest_rows_can_be_read),
		cmocka_unit_test(q4_0_is_taken_into_int4_without_loss)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
