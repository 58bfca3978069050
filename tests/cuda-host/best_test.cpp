/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest logits of rows against a sort in double precision: ids and bits
 * must be equal.
 */
#include "cuda_kernels.h"
#include "kernel_test.h"

#include <algorithm>

#define GUARD	0x55555555	/* in numbers that no row may write */

/* What the logits of a row are like. */
enum best_kind {
	BEST_NORMAL,		/* different numbers of both signs */
	BEST_TIES,		/* seven numbers */
	BEST_EQUAL,		/* one number */
	BEST_RISING, BEST_FALLING,
	BEST_CROWDED,		/* all of a thread's above the next one's */
	BEST_ODD,		/* zeros, denormals, -infinity, the largest */
	BEST_NAN, BEST_INFINITE, BEST_NOTHING,	/* bad rows */
	BEST_KINDS
};

static const float odd_numbers[] = { 0, -0.0f, 1e-42f, -1e-42f, 1e-45f,
	-INFINITY, 3.4e38f, -3.4e38f, 1.1754944e-38f, -1 };

/* One row. */
struct best_case {
	enum best_kind	 kind;
	int		 k;		/* 0: nothing is wanted */
	double		 penalty;	/* 0: none */
};

/* Logit i of a row. */
static float
best_logit(enum best_kind kind, int i, struct test_random &r)
{
	const float x = r.normal();

	switch (kind) {
	case BEST_TIES:
		return ((float)r.below(7) - 3);
	case BEST_EQUAL:
		return (-2.5f);
	case BEST_RISING:
		return ((float)i);
	case BEST_FALLING:
		return ((float)-i);
	case BEST_CROWDED:
		return ((float)(i / 2048 - 100 * (i / 4 % 512)));
	case BEST_ODD:
		return (odd_numbers[r.below(10)]);
	case BEST_NOTHING:
		return (-INFINITY);
	default:
		return (x);
	}
}

/* The logits of a row of V. */
static std::vector<float>
best_logits(const best_case &c, int V, struct test_random &r)
{
	std::vector<float> x;

	for (int i = 0; i < V; i++)
		x.push_back(best_logit(c.kind, i, r));
	if (c.kind == BEST_NAN)
		x[(size_t)r.below(V)] = r.below(2) ? NAN : -NAN;
	if (c.kind == BEST_INFINITE)
		x[(size_t)r.below(V)] = INFINITY;
	return (x);
}

/* Compare the results of a row, from their place on. */
static void
best_compare(const best_case &c, const std::vector<float> &x,
    const std::vector<uint8_t> &seen, const int32_t *found)
{
	const int		 V = (int)x.size();
	const bool		 bad = c.kind >= BEST_NAN;
	std::vector<double>	 y;
	std::vector<int>	 order;

	for (int i = 0; i < V; i++) {
		const double v = x[(size_t)i];

		y.push_back(c.penalty == 0 || !seen[(size_t)i] ? v :
		    v > 0 ? v / c.penalty : v * c.penalty);
		order.push_back(i);
	}
	if (!bad)
		std::stable_sort(order.begin(), order.end(), [&y](int a,
		    int b) { return (y[(size_t)a] > y[(size_t)b]); });
	if (bad || !isfinite(y[(size_t)order[0]])) {
		check(found[0] == -1, "kind %d V %d k %d: found %d, expected a "
		    "bad row", c.kind, V, c.k, found[0]);
		return;
	}
	for (int j = 0; j < c.k; j++) {
		check(found[j] == order[(size_t)j], "kind %d V %d k %d penalty "
		    "%g: place %d: found id %d, expected %d", c.kind, V, c.k,
		    c.penalty, j, found[j], order[(size_t)j]);
		check(c.k == 1 || memcmp(&found[c.k + j],
		    &x[(size_t)order[(size_t)j]], 4) == 0,
		    "kind %d V %d k %d: place %d: wrong logit", c.kind, V, c.k,
		    j);
	}
}

/* Rows of V logits in one launch. */
static void
test_rows(const std::vector<best_case> &cases, int V)
{
	struct test_random	 r = { (uint64_t)V * 100 + cases.size() };
	std::vector<float>	 all;
	std::vector<uint32_t>	 bits;
	std::vector<best_row>	 rows;
	std::vector<std::vector<float>> x;
	std::vector<std::vector<uint8_t>> seen;
	int			 masks = 0, out = 1;
	struct best		 b = {};

	for (const best_case &c : cases) {
		const int	 n = c.k == 1 ? 1 : 2 * c.k;
		struct best_row	 row = { c.penalty, c.k,
				    c.penalty == 0 ? -1 : masks, out };

		x.push_back(best_logits(c, V, r));
		all.insert(all.end(), x.back().begin(), x.back().end());
		seen.emplace_back((size_t)V);
		for (uint8_t &v : seen.back())
			v = r.below(3) == 0;
		if (c.penalty != 0) {
			bits.resize((size_t)(++masks * best_words(V)));
			for (int i = 0; i < V; i++)
				bits[(size_t)(row.seen * best_words(V) + i /
				    32)] |= (uint32_t)seen.back()[(size_t)i] <<
				    i % 32;
		}
		out += n + 1;		/* with a guard */
		rows.push_back(row);
	}
	test_array<float>	 dall(all);
	test_array<uint32_t>	 dbits(bits);
	test_array<best_row>	 drows(rows);
	test_array<int32_t>	 dout((size_t)out);

	dout.fill(GUARD & 0xff);
	b = { dall.p, dbits.p, drows.p, dout.p, (int)cases.size(), V };
	must_run(best_launch(&b, 0));
	const std::vector<int32_t> found = dout.down();

	for (size_t t = 0; t < cases.size(); t++) {
		check(found[(size_t)rows[t].out - 1] == GUARD,
		    "V %d row %zu: the place before it was written", V, t);
		if (cases[t].k > 0)
			best_compare(cases[t], x[t], seen[t],
			    &found[(size_t)rows[t].out]);
	}
	check(found.back() == GUARD, "V %d: a place behind was written", V);
}

/* Every kind of logits with several k and penalties. */
static void
test_kinds(int V)
{
	static const double	 penalties[] = { 0, 1.3, 0.01, 10, 1 };
	std::vector<best_case>	 cases;
	int			 n = 0;

	for (int kind = 0; kind < BEST_KINDS; kind++)
		for (int k : { 1, 2, 40, 255, 256, V }) {
			if (k > V || k > BEST_MAX)
				continue;
			cases.push_back({ (enum best_kind)kind, k,
			    penalties[n++ % 5] });
			if (n % 7 == 0)
				cases.push_back({ BEST_NORMAL, 0, 0 });
		}
	test_rows(cases, V);
}

int
main(int argc, char **argv)
{
	const bool	 races = argc > 1 && strcmp(argv[1], "races") == 0;
	struct best	 none = {};

	check(best_launch(&none, 0) == cudaSuccess, "no rows");
	test_rows({ { BEST_NORMAL, 1, 1.3 }, { BEST_TIES, 40, 1.3 },
	    { BEST_NORMAL, 0, 0 } }, 2050);
	test_rows({ { BEST_CROWDED, 256, 0 } }, 12000);
	if (races)
		return (test_end());
	for (int V : { 1, 2, 3, 31, 33, 257, 511, 512, 1025, 2047, 2048, 2049,
	    4100, 9000 })
		test_kinds(V);
	/* more logits than are sorted at once, of few threads */
	test_rows({ { BEST_CROWDED, 256, 0 }, { BEST_CROWDED, 256, 1.3 },
	    { BEST_CROWDED, 40, 0 }, { BEST_RISING, 256, 0 },
	    { BEST_EQUAL, 256, 0.5 } }, 50432);
	return (test_end());
}
