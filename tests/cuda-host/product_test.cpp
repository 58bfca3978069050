/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cuda/product.cu on the CPU.
 *
 *	product_test values|bits|counts|races
 *
 * runs one group of checks, prints what is wrong, and has the status 0 if
 * nothing is.  The number of multiprocessors chooses between the shapes of a
 * block, so all checks run with many, which gives small blocks, and with few.
 */
#include "product_case.h"

#define SHAPES	3

/* Let a launch take the smallest blocks there are (0), the largest (1), or
 * those of three panels (2), of which small matrices have two. */
static void
blocks_shape(int i)
{
	static const int count[SHAPES] = { 100000, 1, 2 };

	simt_device(0)->multiProcessorCount = count[i];
}

/* ---- values */

/* One part with all ends and several T. */
static void
values_single(enum cuda_elem e, int N, int K, const std::vector<int> &Ts)
{
	struct matrix	 m = matrix_new(e, N, K, N != 16);
	rows		 v = rows_new(m, 200);
	struct reference r = reference_of(m, v, 200);
	static int	 turn;

	for (int T : Ts) {
		struct output	 o = output_new((enum product_end)(turn % 4),
				    N, T);
		struct product	 p = product_new(m, T);
		int		 first = draw(201 - T);

		blocks_shape(turn++ / 4 % SHAPES);
		p.n = 1;
		p.part[0] = part_new(m, v, first, T, o);
		launch(&p);
		output_check(o, e, m.act, K, first, r, NULL);
		output_free(&o);
	}
	matrix_free(&m);
}

/* Two parts with different shapes and inputs, side by side; or a chain. */
static void
values_double(enum cuda_elem e, bool chain, int N0, int K0, int N1, int K1,
    int T, enum product_end end)
{
	struct matrix	 m[2] = { matrix_new(e, N0, K0, true),
			    matrix_new(e, N1, K1, true) };
	rows		 v[2] = { rows_new(m[0], T), rows_new(m[1], T) };
	struct reference r[2] = { reference_of(m[0], v[0], T),
			    reference_of(m[1], v[1], T) };
	struct output	 o[2] = { output_new(end, N0, T),
			    output_new(PRODUCT_STORE, N1, T) };
	struct product	 p = product_new(m[0], T);

	p.n = 2;
	p.chain = chain;
	for (int i = 0; i < 2; i++)
		p.part[i] = part_new(m[i], v[i], 0, T, o[i]);
	launch(&p);
	output_check(o[0], e, m[0].act, K0, 0, r[0], chain ? &r[1] : NULL);
	if (!chain)
		output_check(o[1], e, m[1].act, K1, 0, r[1], NULL);
	else if (down(o[1].out, o[1].old.size()) != o[1].old)
		FAIL("a chain has written to the end of its second part\n");
	for (int i = 0; i < 2; i++) {
		output_free(&o[i]);
		matrix_free(&m[i]);
	}
}

/* Weights of 60000 in a column, so that results leave the range of fp16. */
static void
values_saturate(int T)
{
	struct matrix		 m = matrix_new(CUDA_F16, 20, 64, false);
	std::vector<uint16_t>	 w(layout_matrix(CUDA_F16, 20, 64) / 2, 0);
	rows			 v((size_t)T * 64, 2.0f);
	struct output		 o = output_new(PRODUCT_GELU_ERF, 20, T);
	struct product		 p = product_new(m, T);
	std::vector<uint16_t>	 acts;

	for (int k = 0; k < 64; k++)
		w[layout_weight(CUDA_F16, 18, k, 64) / 2] =
		    bits16(CUDA_F16, 60000);
	must(cudaMemcpy(m.packed, w.data(), w.size() * 2,
	    cudaMemcpyHostToDevice));
	p.n = 1;
	p.part[0] = part_new(m, v, 0, T, o);
	launch(&p);
	acts = down(o.acts, layout_acts(T, 20));
	for (int t = 0; t < T; t++)
		if (acts[layout_act(t, 18, 64)] != bits16(CUDA_F16, 65504))
			FAIL("T %d: 7680000 was stored as %#x\n", T,
			    (unsigned)acts[layout_act(t, 18, 64)]);
	output_free(&o);
	matrix_free(&m);
}

static void
values()
{
	const std::vector<int> all = { 1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64,
	    65, 100, 129, 200 };
	const struct {
		int N, K;
		std::vector<int> T;
	} table[] = {
		{ 1, 8, all }, { 15, 64, all }, { 16, 72, all },
		{ 17, 200, all }, { 100, 72, { 1, 9, 17, 33, 100, 129 } },
		{ 15, 640, { 1, 8, 16, 31, 64, 65 } },
		{ 17, 1000, { 2, 9, 17, 33, 129 } },
		{ 100, 640, { 3, 7, 16, 65 } }, { 100, 1000, { 1, 31 } },
		{ 1, 1000, { 7, 64, 200 } }, { 16, 8, { 5, 66 } },
	};
	int turn = 0;

	for (int e = CUDA_F16; e <= CUDA_I4; e++) {
		for (const auto &c : table)
			values_single((enum cuda_elem)e, c.N, c.K, c.T);
		for (int T : { 1, 9, 31, 64, 65, 130 })
			for (int chain = 0; chain < 2; chain++) {
				blocks_shape(turn / 2 % SHAPES);
				values_double((enum cuda_elem)e, chain, 33,
				    200, chain ? 33 : 70, 72, T,
				    (enum product_end)(turn++ % 4));
			}
	}
	values_saturate(5);
	values_saturate(70);
}

/* ---- bits */

/* Row t alone, among 33 rows and among 130 has the same bits, in each shape of
 * a block and in each order of the threads. */
static void
bits_single(enum cuda_elem e, int N, int K)
{
	struct matrix		 m = matrix_new(e, N, K, true);
	rows			 v = rows_new(m, 130);
	std::vector<float>	 want;		/* [130][N] */
	static const struct { int T, first; } cut[] = { { 130, 0 }, { 33, 0 },
	    { 33, 97 }, { 64, 3 }, { 16, 50 }, { 12, 118 }, { 1, 0 },
	    { 1, 50 }, { 1, 129 }, { 8, 7 } };

	for (int shape = 0; shape < SHAPES; shape++) {
		blocks_shape(shape);
		for (const auto &c : cut) {
			struct output	 o = output_new(PRODUCT_STORE, N, c.T);
			struct product	 p = product_new(m, c.T);
			std::vector<float> out;

			p.n = 1;
			p.part[0] = part_new(m, v, c.first, c.T, o);
			launch(&p);
			out = down(o.out, o.old.size());
			if (want.empty())
				want.resize((size_t)130 * N, NAN);
			for (int t = 0; t < c.T; t++) {
				float *w = &want[(size_t)(c.first + t) * N];
				float *f = &out[(size_t)t * o.ldo];

				if (c.T == 130 && shape == 0)
					memcpy(w, f, N * sizeof *f);
				else if (memcmp(w, f, N * sizeof *f) != 0)
					FAIL("%s N %d K %d: row %d has other "
					    "bits among %d rows\n",
					    elem_name[e], N, K, c.first + t,
					    c.T);
			}
			output_free(&o);
		}
	}
	matrix_free(&m);
}

/* The same for the ends: parts side by side, and a chain. */
static void
bits_double(enum cuda_elem e, bool chain, enum product_end end)
{
	const int		 N[2] = { 33, chain ? 33 : 20 }, K[2] = { 200,
				    72 };
	struct matrix		 m[2] = { matrix_new(e, N[0], K[0], true),
				    matrix_new(e, N[1], K[1], true) };
	rows			 v[2] = { rows_new(m[0], 130),
				    rows_new(m[1], 130) };
	std::vector<float>	 old((size_t)130 * N[0]), want(old.size()), x;
	std::vector<uint16_t>	 y, acts(layout_acts(130, N[0]));
	const int		 Np = layout_pad(N[0], LAYOUT_K);

	for (float &f : old)
		f = unit();
	for (int i = 0; i < 4; i++) {
		const int T = i == 0 ? 130 : i == 1 ? 33 : i == 2 ? 64 : 1;
		const int first = i == 3 ? 77 : i * 20;
		struct output o = output_new(end, N[0], T);
		struct output other = output_new(PRODUCT_STORE, N[1], T);
		struct product p = product_new(m[0], T);

		p.n = 2;
		p.chain = chain;
		blocks_shape(i % SHAPES);
		for (int t = 0; o.out != NULL && t < T; t++)
			must(cudaMemcpy(o.out + t * o.ldo, &old[(size_t)
			    (first + t) * N[0]], N[0] * sizeof old[0],
			    cudaMemcpyHostToDevice));
		p.part[0] = part_new(m[0], v[0], first, T, o);
		p.part[1] = part_new(m[1], v[1], first, T, other);
		launch(&p);
		if (o.out != NULL)
			x = down(o.out, o.old.size());
		else
			y = down(o.acts, layout_acts(T, N[0]));
		for (int t = 0; t < T; t++)
			for (int n = 0; n < N[0]; n++) {
				size_t at = (size_t)(first + t) * N[0] + n;
				size_t a = layout_act(first + t, n, Np);
				bool same;

				if (o.out != NULL && i == 0)
					want[at] = x[(size_t)t * o.ldo + n];
				else if (i == 0)
					acts[a] = y[a];
				same = o.out != NULL ? memcmp(&want[at],
				    &x[(size_t)t * o.ldo + n], 4) == 0 :
				    acts[a] == y[layout_act(t, n, Np)];
				if (!same)
					FAIL("%s %s%s: row %d, column %d has "
					    "other bits among %d rows\n",
					    elem_name[e], end_name[end],
					    chain ? " of a chain" : "",
					    first + t, n, T);
			}
		output_free(&o);
		output_free(&other);
	}
	for (int i = 0; i < 2; i++)
		matrix_free(&m[i]);
}

static void
bits()
{
	for (int e = CUDA_F16; e <= CUDA_I4; e++) {
		bits_single((enum cuda_elem)e, 70, 72);
		bits_single((enum cuda_elem)e, 17, 1000);
		for (int end = 0; end < 4; end++)
			bits_double((enum cuda_elem)e, end % 2,
			    (enum product_end)end);
		bits_double((enum cuda_elem)e, true, PRODUCT_STORE);
	}
}

/* ---- counts */

/* Lane instructions for a weight that the functions of device.h count, by type;
 * unpacking and mma are among them, loads are added. */
static const double limit[] = { 4, 4, 4, 2.5 };

/* Up to 64 rows each sector of the weights is fetched once, and each block
 * fetches the activations once. */
static void
counts_narrow(enum cuda_elem e, int N, int K, int T, bool large)
{
	struct matrix	 m = matrix_new(e, N, K, false);
	rows		 v = rows_new(m, T);
	struct output	 o = output_new(PRODUCT_STORE, N, T);
	struct product	 p = product_new(m, T);
	const size_t	 weights = layout_matrix(e, N, K);
	const size_t	 acts = layout_acts(T, K) * 2;
	size_t		 scales = 0, want, blocks;
	double		 ops = 0;

	if (e == CUDA_I8)	/* read once for 8 rows */
		scales = (size_t)layout_pad(N, 16) * 4 * (size_t)layout_pad(T,
		    LAYOUT_ROWS) / LAYOUT_ROWS;
	blocks_shape(large);
	p.n = 1;
	p.part[0] = part_new(m, v, 0, T, o);
	simt_count_start();
	launch(&p);
	for (const struct simt_counts &c : simt_count_stop()) {
		const auto &g = c.global[SIMT_READ];

		blocks = c.grid.x * c.grid.y;
		want = (weights + scales + blocks * acts) / 32;
		if (g.sectors != want)
			FAIL("%s N %d K %d T %d: %zu sectors were read, "
			    "expected %zu\n", elem_name[e], N, K, T,
			    (size_t)g.sectors, want);
		want = (weights + acts) / 32 + (e == CUDA_I8 ?
		    (size_t)layout_pad(N, 16) / 8 : 0);
		if (g.unique != want)
			FAIL("%s N %d K %d T %d: %zu different sectors were "
			    "read, expected %zu\n", elem_name[e], N, K, T,
			    (size_t)g.unique, want);
		if (g.used != g.sectors * 32)
			FAIL("%s N %d K %d T %d: %zu bytes of %zu sectors\n",
			    elem_name[e], N, K, T, (size_t)g.used,
			    (size_t)g.sectors);
		ops = (double)(c.ops[SIMT_LOP3] + c.ops[SIMT_MMA_F16] +
		    c.ops[SIMT_MMA_BF16]) + (double)g.accesses * 32;
		ops /= (double)layout_pad(N, 16) * m.Kp;
		printf("%s T %d, %zu blocks: %.2f lane instructions for a "
		    "weight\n", elem_name[e], T, blocks, ops);
		if (T <= 32 && large && ops > limit[e])
			FAIL("%s T %d: %.2f lane instructions for a weight, "
			    "expected at most %.2f\n", elem_name[e], T, ops,
			    limit[e]);
	}
	output_free(&o);
	matrix_free(&m);
}

static void
counts()
{
	for (int e = CUDA_F16; e <= CUDA_I4; e++)
		for (int T : { 8, 16, 32, 64 })
			for (int large = 0; large < 2; large++)
				counts_narrow((enum cuda_elem)e, 128, 640, T,
				    large);
}

/* ---- races: both kernels, in few threads, for TSan */

static void
races()
{
	blocks_shape(1);
	for (int e = CUDA_F16; e <= CUDA_I4; e++)
		for (int T : { 9, 65 }) {
			values_single((enum cuda_elem)e, 17, 200, { T });
			values_double((enum cuda_elem)e, T == 9, 17, 200, 17,
			    72, T, PRODUCT_ADD);
		}
}

int
main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "values") == 0)
		values();
	else if (strcmp(what, "bits") == 0)
		bits();
	else if (strcmp(what, "counts") == 0)
		counts();
	else if (strcmp(what, "races") == 0)
		races();
	else {
		fprintf(stderr, "usage: product_test "
		    "values|bits|counts|races\n");
		return (2);
	}
	if (failures > 0)
		printf("%d failures\n", failures);
	return (failures > 0);
}
