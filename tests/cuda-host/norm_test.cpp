/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Embeddings and layer norms against double precision.  A norm passes at
 *
 *	|found - expected| <= (unit + 1e-5) * |expected| + 1e-5 * |gain| + 1e-7
 *
 * with unit half of the distance of two neighbours of the results' type.
 */
#include "cuda_kernels.h"
#include "kernel_test.h"

/* The rows of an embedding are the table's, exactly. */
static void
test_embeddings_are_the_rows_of_the_table(enum cuda_elem elem, int C, int T)
{
	const int		 V = 50;
	struct test_random	 r = { (uint64_t)(C * 100 + T) };
	std::vector<uint16_t>	 table((size_t)V * C);
	std::vector<int32_t>	 tokens(T);
	struct embed		 e;

	for (uint16_t &v : table)
		v = test_narrow(elem, r.normal());
	for (int32_t &v : tokens)
		v = r.below(V);
	tokens[0] = V - 1;
	test_array<uint16_t>	 dtable(table);
	test_array<int32_t>	 dtokens(tokens);
	test_array<float>	 dx((size_t)T * C);

	e = { dtable.p, elem, dtokens.p, dx.p, T, C };
	dx.fill(0xff);
	must_run(embed_launch(&e, 0));
	const std::vector<float> x = dx.down();
	for (int t = 0; t < T; t++)
		for (int c = 0; c < C; c++)
			check(x[(size_t)t * C + c] == test_widen(elem,
			    table[(size_t)tokens[t] * C + c]),
			    "embed %d: row %d column %d: found %g", (int)elem,
			    t, c, x[(size_t)t * C + c]);
}

/* One case of norms. */
struct norm_case {
	enum cuda_elem	 act;
	int		 C, T, both, order;
};

/* The results of norms of the rows of x that are named. */
static std::vector<uint16_t>
norm_run(const norm_case &c, const float *x, const int32_t *rows, int T,
    const test_array<float> &vectors, int which)
{
	const size_t		 n = layout_acts(T, c.C);
	test_array<uint16_t>	 out(2 * n);
	std::vector<uint16_t>	 all;
	struct norms		 d = {};

	d.x = x;
	d.rows = rows;
	d.eps = 1e-5f;
	d.T = T;
	d.C = c.C;
	d.act = c.act;
	for (int i = 0; i < 1 + c.both; i++) {
		d.gain[i] = vectors.p + (size_t)(2 * i) * c.C;
		d.bias[i] = vectors.p + (size_t)(2 * i + 1) * c.C;
		d.out[i] = out.p + (size_t)i * n;
	}
	out.fill(0x7f);
	must_run(norms_launch(&d, 0));
	all = out.down();
	return (std::vector<uint16_t>(all.begin() + (ptrdiff_t)(which * n),
	    all.begin() + (ptrdiff_t)((which + 1) * n)));
}

/* Compare row t of y with the norm of x. */
static void
norm_compare(const norm_case &c, const std::vector<uint16_t> &y, int t,
    const float *x, const float *gain, const float *bias)
{
	const int	 Kp = layout_pad(c.C, LAYOUT_K);
	double		 mean = 0, var = 0;

	for (int k = 0; k < c.C; k++)
		mean += x[k];
	mean /= c.C;
	for (int k = 0; k < c.C; k++)
		var += (x[k] - mean) * (x[k] - mean);
	var = var / c.C + 1e-5;
	for (int k = 0; k < Kp; k++) {
		const float found = test_widen(c.act, y[layout_act(t, k, Kp)]);
		const double want = k < c.C ?
		    (x[k] - mean) / sqrt(var) * gain[k] + bias[k] : 0;
		const double room = k >= c.C ? 0 : (test_unit(c.act) + 1e-5) *
		    fabs(want) + 1e-5 * fabs(gain[k]) + 1e-7;

		check(fabs(found - want) <= room, "norm type %d C %d row %d "
		    "column %d: found %.9g, expected %.9g", (int)c.act, c.C, t,
		    k, found, want);
	}
}

/* Norms are right, and a row's bits are the same in each place and step. */
static void
test_norms(const norm_case &c)
{
	struct test_random	 r = { (uint64_t)(c.C * 1000 + c.T) };
	std::vector<float>	 x((size_t)c.T * c.C), v((size_t)4 * c.C);
	std::vector<int32_t>	 rows(c.T);
	const int		 Kp = layout_pad(c.C, LAYOUT_K);

	for (int t = 0; t < c.T; t++)
		for (int k = 0; k < c.C; k++)
			x[(size_t)t * c.C + k] = r.normal() * (float)(1 + t) +
			    (float)(t % 3 == 1 ? 30 : 0) +
			    (k == 3 ? 300.0f : 0);
	for (float &f : v)
		f = r.normal();
	for (int t = 0; t < c.T; t++)
		rows[t] = c.T - 1 - t;
	test_array<float>	 dx(x), dv(v);
	test_array<int32_t>	 drows(rows);

	for (int which = 0; which < 1 + c.both; which++) {
		test_order(c.order);
		const auto y = norm_run(c, dx.p, NULL, c.T, dv, which);
		test_order(c.order + 1);
		const auto back = norm_run(c, dx.p, drows.p, c.T, dv, which);
		const auto last = norm_run(c, dx.p, drows.p, 1, dv, which);

		for (int t = 0; t < c.T; t++) {
			norm_compare(c, y, t, &x[(size_t)t * c.C],
			    &v[(size_t)(2 * which) * c.C],
			    &v[(size_t)(2 * which + 1) * c.C]);
			for (int k = 0; k < Kp; k++)
				check(y[layout_act(t, k, Kp)] ==
				    back[layout_act(c.T - 1 - t, k, Kp)],
				    "norm C %d row %d column %d: other bits in "
				    "another place", c.C, t, k);
		}
		for (int k = 0; k < Kp; k++)
			check(last[layout_act(0, k, Kp)] ==
			    y[layout_act(c.T - 1, k, Kp)], "norm C %d column "
			    "%d: other bits in a step of one row", c.C, k);
	}
}

/* A number that fp16 can't hold becomes its largest one; NaN stays. */
static void
test_results_beyond_fp16_are_limited()
{
	const norm_case		 c = { CUDA_F16, 64, 1, 0, 0 };
	std::vector<float>	 x(64), v(4 * 64, 0);

	for (int i = 0; i < 64; i++) {
		x[i] = (float)(i % 2 * 2 - 1);
		v[i] = i == 5 ? NAN : 1e6f;
	}
	test_array<float>	 dx(x), dv(v);
	const auto		 y = norm_run(c, dx.p, NULL, 1, dv, 0);

	for (int k = 0; k < 64; k++) {
		const float found = test_widen(CUDA_F16,
		    y[layout_act(0, k, 64)]);

		check(k == 5 ? found != found : found == x[k] * 65504,
		    "limit: column %d: found %g", k, found);
	}
}

/* What can't be computed is refused; no rows are no work. */
static void
test_wrong_sizes_are_refused()
{
	struct norms	 n = {};
	struct embed	 e = {};

	n.T = 1;
	n.C = 16385;
	check(norms_launch(&n, 0) == cudaErrorInvalidValue, "C of 16385");
	n.C = 0;
	check(norms_launch(&n, 0) == cudaErrorInvalidValue, "C of 0");
	n.C = 64;
	n.T = 0;
	check(norms_launch(&n, 0) == cudaSuccess, "norms of no rows");
	check(embed_launch(&e, 0) == cudaSuccess, "embed of no rows");
}

int
main(int argc, char **argv)
{
	static const int wide[] = { 1, 2, 7, 8, 31, 33, 64, 66, 80, 300, 1000,
	    1025, 2050 };
	int order = 0;

	test_norms({ CUDA_F16, 300, 2, 1, 0 });
	test_norms({ CUDA_BF16, 2049, 1, 1, 0 });
	if (argc > 1 && strcmp(argv[1], "races") == 0)
		return (test_end());
	for (enum cuda_elem e : { CUDA_F16, CUDA_BF16 }) {
		for (int C : { 1, 7, 8, 36, 264, 2049, 4096 })
			test_embeddings_are_the_rows_of_the_table(e, C, 3);
		for (int C : wide)
			test_norms({ e, C, C < 100 ? 17 : 3, C % 3 != 0,
			    order++ });
	}
	test_norms({ CUDA_F16, 5120, 2, 1, 0 });
	test_norms({ CUDA_F16, 16384, 1, 1, 1 });
	test_norms({ CUDA_BF16, 16383, 1, 0, 2 });
	test_results_beyond_fp16_are_limited();
	test_wrong_sizes_are_refused();
	return (test_end());
}
