/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotary positions and attention against double precision, and the promise that
 * a row's bits depend on its sequence alone.  Tolerances, with max the largest
 * |value| of the head that the row sees:
 *
 *   cache, q	unit * |x| + 1e-6: rounded once; int8: half of the head's scale
 *   mix	2 units * max, against attention over what cache and q hold
 *   mix	room(elem) * max, against attention over the exact numbers
 *
 * with unit half of the distance of two neighbours of the type.
 */
#include "attention_world.h"

/* Head h of row p of a sequence in double precision: from the exact numbers,
 * or from what the cache and q hold. */
static void
reference_row(const world &w, const sequence &s, int p, int h, bool exact,
    std::vector<double> *out, double *max)
{
	std::vector<double>	 score(p + 1);
	double			 top = -INFINITY, sum = 0;

	out->assign(w.D, 0);
	*max = 0;
	for (int i = 0; i <= p; i++) {
		score[i] = 0;
		for (int d = 0; d < w.D; d++)
			score[i] += w.number(s, p, h, 0, d, exact) *
			    w.number(s, i, h, 1, d, exact);
		score[i] *= w.scale;
		top = fmax(top, score[i]);
	}
	for (int i = 0; i <= p; i++) {
		const double weight = exp(score[i] - top);

		sum += weight;
		for (int d = 0; d < w.D; d++) {
			const double v = w.number(s, i, h, 2, d, exact);

			(*out)[d] += weight * v;
			*max = fmax(*max, fabs(v));
		}
	}
	for (double &d : *out)
		d /= sum;
}

/* Compare a row's mix with both references. */
static void
compare_row(const world &w, const sequence &s, int p,
    const std::vector<uint16_t> &mix)
{
	static const double	 rooms[] = { 4e-3, 4e-2, 4e-2 };
	std::vector<double>	 want;
	double			 max;

	for (int h = 0; h < w.H; h++)
		for (bool exact : { false, true }) {
			reference_row(w, s, p, h, exact, &want, &max);
			for (int d = 0; d < w.D; d++) {
				const double found = test_widen(w.act,
				    mix[(size_t)(h * w.D + d)]);
				const double room = max * (exact ?
				    rooms[w.elem] : 2 * test_unit(w.act));

				check(fabs(found - want[d]) <= room,
				    "%s: length %d position %d head %d lane "
				    "%d%s: found %g, expected %g, room %g",
				    w.name.c_str(), s.length, p, h, d,
				    exact ? " exact" : "", found, want[d],
				    room);
			}
		}
}

/* The cache and q hold the turned numbers of every row; no other block of the
 * cache has changed. */
static void
compare_cache(const world &w, const sequence &s)
{
	for (int p = 0; p < s.length; p++)
		for (int h = 0; h < w.H; h++)
			for (int which = 1; which < 3; which++)
				for (int d = 0; d < w.Dp; d++) {
					const double found = w.held(s, p, h,
					    which, d);
					const double want = d < w.D ?
					    w.number(s, p, h, which, d, true) :
					    0;
					const double room = d >= w.D ? 0 :
					    w.elem == CUDA_I8 ? 0.5001 *
					    w.held_scale(s, p, h, which) :
					    test_unit(w.act) * fabs(want) +
					    1e-6;

					check(fabs(found - want) <= room,
					    "%s: length %d position %d head %d "
					    "lane %d of %s: cache has %g, "
					    "expected %g", w.name.c_str(),
					    s.length, p, h, d, which == 1 ?
					    "key" : "value", found, want);
				}
}

/* Rows have the same bits in both. */
static void
compare_bits(const world &w, const char *what, const mixes &found,
    const mixes &want)
{
	for (const auto &row : found) {
		const auto	 it = want.find(row.first);

		check(it != want.end() && it->second == row.second,
		    "%s: %s: sequence %d position %d has other bits",
		    w.name.c_str(), what, row.first.first, row.first.second);
	}
}

/* Everything about one shape: mixes of the last tail rows of each sequence. */
static void
test_world(enum cuda_elem elem, int D, int H, const std::vector<int> &lengths,
    int tail, int seed)
{
	world		 w(elem, D, H, lengths, (uint64_t)seed);
	mixes		 single, whole, rows;

	/* All rows of all sequences, so that the cache is full. */
	test_order(seed % 3);
	w.write_all(seed % 2 == 0 ? 1000000 : 37);
	w.check_foreign();
	for (const sequence &s : w.sequences)
		compare_cache(w, s);
	test_multiprocessors(10000);	/* by sections */
	single = w.attend(w.plan(tail, { 1 }, false, 2));
	for (const sequence &s : w.sequences)
		for (int p = s.length > tail ? s.length - tail : 0;
		    p < s.length; p += s.length > 200 ? 11 : 3)
			compare_row(w, s, p, single.at({ s.id, p }));
	test_multiprocessors(1);
	whole = w.attend(w.plan(tail, { 1 }, true, 1));
	check(whole.size() == single.size(), "%s: rows", w.name.c_str());
	compare_bits(w, "whole rows", whole, single);
	test_order((seed + 1) % 3);
	rows = w.attend(w.plan(tail, { 16 }, true, 0));
	compare_bits(w, "items of 16 rows", rows, single);
	test_order((seed + 2) % 3 + 3);
	rows = w.attend(w.plan(tail, { 5, 1, 9, 2 }, false, 3));
	compare_bits(w, "items of 5, 1, 9 and 2 rows", rows, single);

	/* One row after the other: later positions hold what was there. */
	for (int back : { 1, 8, 18 }) {
		world	 fresh(elem, D, H, lengths, (uint64_t)seed);

		fresh.write_until(back);
		test_multiprocessors(back == 8 ? 10000 : 1);
		compare_bits(w, "nothing written after it",
		    fresh.attend(fresh.plan_last(back)), single);
	}
}

/*
 * All that warps exchange, in few threads, for TSan: more sections than a block
 * has warps.  The cache holds only what was there.
 */
static void
test_warps_wait_for_each_other(enum cuda_elem elem)
{
	world	 w(elem, 64, 1, { 530 }, 5);
	mixes	 rows;

	rows = w.attend(w.plan(16, { 16 }, false, 0));
	for (int n : { 1, 10000 }) {
		test_multiprocessors(n);
		compare_bits(w, n == 1 ? "whole rows" : "sections",
		    w.attend(w.plan(2, { 1 }, false, 1)), rows);
	}
	compare_bits(w, "both kinds", w.attend(w.plan(3, { 2, 1 }, false, 0)),
	    rows);
}

/* A graph of the launches holds for other positions and sequences. */
static void
test_a_graph_is_replayed_for_other_positions(enum cuda_elem elem)
{
	world		 w(elem, 64, 1, { 300, 20, 300, 150 }, 3);
	world_step	 before, step;

	before.add(0, 10, 1);
	before.add(1, 5, 1);
	before.add(-1, 0, 1);
	step.add(2, 299, 1);
	step.add(0, 11, 1);
	step.add(3, 130, 1);
	w.write_all(1000000);
	compare_bits(w, "replayed", w.run(step, true, &before),
	    w.attend(step));
	before.add(0, 100, 10);
	step.add(2, 120, 10);
	compare_bits(w, "replayed", w.run(step, true, &before),
	    w.attend(step));
}

/* Numbers that no cache can hold leave it finite. */
static void
test_the_cache_stays_finite(enum cuda_elem elem)
{
	world		 w(elem, 16, 1, { 40 }, 7);
	const sequence	&s = w.sequences[0];

	w.set(s, 3, 0, 2, 5, NAN);
	w.set(s, 4, 0, 1, 5, INFINITY);
	w.set(s, 5, 0, 2, 5, -INFINITY);
	w.set(s, 6, 0, 2, 5, 3e38f);
	w.write_all(1000000);
	for (int p = 0; p < s.length; p++)
		for (int which = 1; which < 3; which++)
			for (int d = 0; d < 16; d++)
				check(isfinite(w.held(s, p, 0, which, d)),
				    "%s: position %d lane %d is not finite",
				    w.name.c_str(), p, d);
}

/* Values of zero, and small ones, keep their digits in int8. */
static void
test_small_values(float size)
{
	world		 w(CUDA_I8, 64, 1, { 130 }, 11);
	const sequence	&s = w.sequences[0];
	mixes		 m;

	for (int p = 0; p < s.length; p++)
		for (int d = 0; d < 64; d++)
			w.set(s, p, 0, 2, d, size * w.exact(s, p, 0, 2, d));
	w.write_all(1000000);
	m = w.attend(w.plan(1, { 1 }, false, 0));
	compare_row(w, s, 129, m.at({ s.id, 129 }));
}

/* What can't be computed is refused; no rows are no work. */
static void
test_wrong_sizes_are_refused()
{
	struct attention a = {};

	a.T = a.nitems = a.H = 1;
	a.D = 129;
	check(attend_launch(&a, 0) == cudaErrorInvalidValue, "D of 129");
	check(rotary_launch(&a, 0) == cudaErrorInvalidValue, "D of 129");
	a.D = 64;
	a.rotary = 66;
	check(rotary_launch(&a, 0) == cudaErrorInvalidValue, "rotary above D");
	a.T = a.nitems = 0;
	check(rotary_launch(&a, 0) == cudaSuccess, "rotary of no rows");
	check(attend_launch(&a, 0) == cudaSuccess, "attention of no rows");
}

int
main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	const bool small = strcmp(how, "small") == 0;
	const std::vector<int> all = { 1, 2, 31, 32, 33, 63, 64, 65, 127, 128,
	    129, 257, 300 };
	const std::vector<int> some = { 1, 33, 65, 129, 300 };
	int seed = 1;

	for (enum cuda_elem e : { CUDA_F16, CUDA_BF16, CUDA_I8 })
		test_warps_wait_for_each_other(e);
	if (strcmp(how, "races") == 0)
		return (test_end());
	for (enum cuda_elem e : { CUDA_F16, CUDA_BF16, CUDA_I8 }) {
		test_the_cache_stays_finite(e);
		test_a_graph_is_replayed_for_other_positions(e);
		test_world(e, 8, 1, small ? some : all, 19, seed++);
		test_world(e, 13, 3, { 1, 34 }, 19, seed++);
		if (small)
			continue;
		test_world(e, 64, 3, all, 50, seed++);
		test_world(e, 80, 1, some, 19, seed++);
		test_world(e, 96, 3, { 65, 129 }, 50, seed++);
		test_world(e, 128, 1, some, 19, seed++);
		test_world(e, 64, 1, { 1025 }, 19, seed++);
		test_world(e, 112, 1, { 100 }, 19, seed++);
		test_world(e, 40, 1, { 100 }, 19, seed++);
	}
	if (small)
		test_world(CUDA_I8, 64, 1, { 1025 }, 19, seed++);
	for (float size : { 1.0f, 1e-3f, 0.0f, 1e4f })
		test_small_values(size);
	test_wrong_sizes_are_refused();
	return (test_end());
}
