/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What adapters add to a product, against double precision, and GELU as a
 * launch of its own.  A sum passes at 1e-6 times the sum of the sizes of its
 * products.
 */
#include "cuda_kernels.h"
#include "kernel_test.h"

#define ADAPTERS	3	/* the last one changes nothing */

/* One case: rows of N numbers, made of K. */
struct adapt_case {
	enum cuda_elem	 act;
	int		 T, N, K, order;
};

/* Its numbers. */
struct adapt_world {
	adapt_case		 c;
	int			 rank[ADAPTERS], ldz, Kp;
	std::vector<float>	 a[ADAPTERS], b[ADAPTERS], y;
	std::vector<uint16_t>	 x;
	std::vector<int32_t>	 adapter;

	explicit adapt_world(const adapt_case &from) : c(from)
	{
		struct test_random r = { (uint64_t)(c.T * 1000 + c.N + c.K) };

		rank[0] = 1 + r.below(20);
		rank[1] = 1 + r.below(20);
		rank[2] = 0;
		ldz = rank[0] > rank[1] ? rank[0] : rank[1];
		for (int i = 0; i < ADAPTERS; i++) {
			a[i].resize((size_t)rank[i] * c.K);
			b[i].resize((size_t)rank[i] * c.N);
			for (float &f : a[i])
				f = r.normal();
			for (float &f : b[i])
				f = r.normal();
		}
		Kp = layout_pad(c.K, LAYOUT_K);
		x.resize(layout_acts(c.T, c.K), 0x7fff);	/* NaN */
		for (int t = 0; t < c.T; t++)
			for (int k = 0; k < c.K; k++)
				x[layout_act(t, k, Kp)] = test_narrow(c.act,
				    r.normal());
		for (int t = 0; t < c.T; t++)
			adapter.push_back(r.below(ADAPTERS + 1));
		for (int i = 0; i < c.T * (c.N + 1); i++)
			y.push_back(r.normal());
	}

	/* The rows with these adapters; ldo is N + 1. */
	std::vector<float>
	run(const std::vector<int32_t> &own, int order) const
	{
		test_array<float>	 da(a[0]), db(b[0]), ea(a[1]), eb(b[1]);
		const std::vector<struct adapt_pair> table = {
		    { da.p, db.p, rank[0] }, { ea.p, eb.p, rank[1] },
		    { NULL, NULL, 0 } };
		test_array<struct adapt_pair> pairs(table);
		test_array<int32_t>	 down(own);
		test_array<uint16_t>	 dx(x);
		test_array<float>	 dz((size_t)c.T * ldz), dy(y);
		struct adapt		 d = { pairs.p, down.p, dx.p, c.act,
					    c.T, c.N, c.K, ldz, c.N + 1,
					    dz.p, dy.p };

		dz.fill(0xff);
		test_order(order);
		must_run(adapt_launch(&d, 0));
		return (dy.down());
	}

	/* Compare row t. */
	void
	compare(const std::vector<float> &found, int t) const
	{
		const float	*was = &y[(size_t)t * (c.N + 1)];
		const float	*is = &found[(size_t)t * (c.N + 1)];
		const int	 i = adapter[t] - 1;

		check(is[c.N] == was[c.N], "T %d N %d K %d row %d: a number "
		    "behind the row has changed", c.T, c.N, c.K, t);
		for (int n = 0; n < c.N; n++) {
			double sum = was[n], size = fabs(was[n]);

			for (int r = 0; i >= 0 && r < rank[i]; r++)
				for (int k = 0; k < c.K; k++) {
					double v = (double)test_widen(c.act,
					    x[layout_act(t, k, Kp)]) *
					    a[i][(size_t)r * c.K + k] *
					    b[i][(size_t)r * c.N + n];

					sum += v;
					size += fabs(v);
				}
			check(i < 0 || rank[i] == 0 ? is[n] == was[n] :
			    fabs(is[n] - sum) <= 1e-6 * size, "type %d T %d "
			    "N %d K %d row %d column %d: found %.9g, expected "
			    "%.9g", (int)c.act, c.T, c.N, c.K, t, n, is[n],
			    sum);
		}
	}
};

/* All rows are right, and each has the bits that it has alone. */
static void
test_adapters(const adapt_case &c)
{
	const adapt_world	 w(c);
	const auto		 all = w.run(w.adapter, c.order);

	for (int t = 0; t < c.T; t++)
		w.compare(all, t);
	for (int t = 0; t < c.T; t += 3) {
		std::vector<int32_t> own(c.T, 0);

		own[t] = w.adapter[t];
		const auto one = w.run(own, c.order + 1);
		for (int n = 0; n < c.N; n++)
			check(one[(size_t)t * (c.N + 1) + n] ==
			    all[(size_t)t * (c.N + 1) + n], "T %d N %d K %d "
			    "row %d column %d: other bits in a step with "
			    "others", c.T, c.N, c.K, t, n);
	}
}

/* x * Phi(x), or its form with tanh. */
static double
gelu(double x, bool erf)
{
	return (erf ? x / 2 * erfc(-x / sqrt(2)) : x / 2 * (1 + tanh(
	    sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))));
}

/* Values of all sizes; what fp16 can't hold becomes its largest number. */
static void
test_gelus(enum cuda_elem act, bool erf, int T, int N)
{
	const int		 Np = layout_pad(N, LAYOUT_K);
	struct test_random	 r = { (uint64_t)(T * N) };
	std::vector<float>	 in((size_t)T * N);

	for (float &f : in)
		f = 4 * r.normal();
	in[0] = 1e6f;
	test_array<float>	 din(in);
	test_array<uint16_t>	 out(layout_acts(T, N));
	struct gelus		 g = { din.p, act, T, N, erf, out.p };

	out.fill(0x7f);
	must_run(gelus_launch(&g, 0));
	const std::vector<uint16_t> y = out.down();
	for (int t = 0; t < T; t++)
		for (int n = 0; n < Np; n++) {
			const float found = test_widen(act,
			    y[layout_act(t, n, Np)]);
			const bool top = t + n == 0 && act == CUDA_F16;
			const double want = n >= N ? 0 : top ? 65504 :
			    gelu(in[(size_t)t * N + n], erf);

			check(fabs(found - want) <= (test_unit(act) + 1e-5) *
			    fabs(want) + 1e-6, "gelu type %d row %d column "
			    "%d: found %.9g, expected %.9g", (int)act, t, n,
			    found, want);
		}
}

int
main(int argc, char **argv)
{
	int order = 0;

	test_adapters({ CUDA_F16, 11, 40, 70, 0 });
	if (argc > 1 && strcmp(argv[1], "races") == 0)
		return (test_end());
	for (enum cuda_elem e : { CUDA_F16, CUDA_BF16 }) {
		for (int T : { 1, 7, 8, 9, 19 })
			for (int K : { 1, 7, 64, 130 })
				test_adapters({ e, T, T * 5 + K, K, order++ });
		test_adapters({ e, 3, 600, 33, order++ });
		for (bool erf : { false, true })
			for (int N : { 1, 63, 64, 700 })
				test_gelus(e, erf, 3, N);
	}
	return (test_end());
}
