/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Some sequences with their queries, keys and values, and a cache that holds
 * them in blocks in no order.  What has not been written there is finite, but
 * otherwise any bits.
 */
#ifndef ATTENTION_WORLD_H
#define ATTENTION_WORLD_H

#include <map>
#include <string>
#include <utility>

#include "cuda_kernels.h"
#include "kernel_test.h"

struct sequence {
	int			 id, length;
	size_t			 first;		/* its row 0 among all rows */
	std::vector<int32_t>	 blocks;
};

/* Rows of a step: a sequence and a position, or -1 and -1 for padding. */
typedef std::pair<int, int> world_row;

struct world_step {
	std::vector<world_row>		 rows;
	std::vector<struct attend_item>	 items;

	/* Add an item of n rows from position p. */
	void
	add(int id, int p, int n)
	{
		items.push_back({ (int32_t)rows.size(), n });
		for (int i = 0; i < n; i++)
			rows.push_back({ id, id < 0 ? -1 : p + i });
	}
};

/* Of each row: H * D numbers of the activations. */
typedef std::map<world_row, std::vector<uint16_t>> mixes;

struct world {
	enum cuda_elem		 elem, act;
	int			 D, Dp, H, rotary, nblocks = 0, context = 0;
	float			 scale;
	std::string		 name;
	std::vector<sequence>	 sequences;
	std::vector<float>	 qkv;		/* [row][H][3][D] */
	std::vector<float>	 angles;
	std::vector<uint8_t>	 garbage;	/* the cache at first */
	mutable std::vector<uint8_t> cache;	/* now; empty: not loaded */
	test_array<uint8_t>	*device = NULL;

	world(enum cuda_elem e, int lanes, int heads,
	    const std::vector<int> &lengths, uint64_t seed)
	    : elem(e), act(e == CUDA_BF16 ? CUDA_BF16 : CUDA_F16), D(lanes),
	    Dp(layout_pad(lanes, 16)), H(heads),
	    rotary(lanes < 64 || lanes == 128 ? lanes / 2 * 2 : lanes / 4),
	    scale(1 / sqrtf((float)lanes))
	{
		struct test_random	 r = { seed };
		std::vector<int32_t>	 order;
		size_t			 rows = 0;

		name = "elem " + std::to_string(e) + " D " +
		    std::to_string(D) + " H " + std::to_string(H);
		for (int n : lengths) {
			sequences.push_back({ (int)sequences.size(), n, rows,
			    {} });
			rows += (size_t)n;
			nblocks += (n + LAYOUT_POS - 1) / LAYOUT_POS;
			context = n > context ? n : context;
		}
		nblocks += 3;
		for (int i = 0; i < nblocks; i++)
			order.push_back(i);
		for (int i = nblocks - 1; i > 0; i--)
			std::swap(order[i], order[r.below(i + 1)]);
		for (sequence &s : sequences)
			for (int i = 0; i < s.length; i += LAYOUT_POS) {
				s.blocks.push_back(order.back());
				order.pop_back();
			}
		for (size_t i = 0; i < rows * (size_t)(H * 3 * D); i++)
			qkv.push_back(r.normal() *
			    (i / (size_t)D % 3 == 0 ? 2.5f : 1));
		for (int p = 0; p < context; p++)
			for (int i = 0; i < rotary / 2; i++) {
				const double a = p *
				    pow(10000, -2.0 * i / rotary);

				angles.push_back((float)cos(a));
				angles.push_back((float)sin(a));
			}
		litter(r);
		device = new test_array<uint8_t>(garbage);
	}

	world(const world &) = delete;

	~world()
	{
		delete device;
	}

	/* Fill garbage with finite numbers. */
	void
	litter(struct test_random &r)
	{
		const size_t head = layout_head(elem, D);

		garbage.resize((size_t)(nblocks * H) * head);
		for (size_t i = 0; i < garbage.size(); i += 2) {
			uint16_t bits = (uint16_t)r.bits();

			if (elem == CUDA_F16 && (bits & 0x7c00) == 0x7c00)
				bits ^= 0x4000;
			if (elem == CUDA_BF16 && (bits & 0x7f80) == 0x7f80)
				bits ^= 0x4000;
			memcpy(&garbage[i], &bits, 2);
		}
		for (size_t b = 0; elem == CUDA_I8 && b < garbage.size();
		    b += head)
			for (size_t i = head - 256; i < head; i += 4) {
				const float f = r.real() * 1e6f;

				memcpy(&garbage[b + i], &f, 4);
			}
	}

	size_t
	at(const sequence &s, int p, int h, int which) const
	{
		return ((((s.first + (size_t)p) * (size_t)H + (size_t)h) * 3 +
		    (size_t)which) * (size_t)D);
	}

	void
	set(const sequence &s, int p, int h, int which, int d, float x)
	{
		qkv[at(s, p, h, which) + (size_t)d] = x;
	}

	/* A query (0), key (1) or value (2), turned. */
	float
	exact(const sequence &s, int p, int h, int which, int d) const
	{
		const float	*x = &qkv[at(s, p, h, which)];
		const int	 half = rotary / 2;
		double		 c, sn;

		if (which == 2 || d >= rotary)
			return (x[d]);
		c = angles[(size_t)((p * half + d % half) * 2)];
		sn = angles[(size_t)((p * half + d % half) * 2 + 1)];
		return ((float)(d < half ? x[d] * c - x[d + half] * sn :
		    x[d] * c + x[d - half] * sn));
	}

	const uint8_t *
	head(const sequence &s, int p, int h) const
	{
		if (cache.empty())
			cache = device->down();
		return (&cache[(size_t)(s.blocks[(size_t)(p / LAYOUT_POS)] * H +
		    h) * layout_head(elem, D)]);
	}

	float
	held_scale(const sequence &s, int p, int h, int which) const
	{
		float f;

		memcpy(&f, head(s, p, h) + 2 * LAYOUT_POS * Dp +
		    (which - 1) * LAYOUT_POS * 4 + p % LAYOUT_POS * 4, 4);
		return (f);
	}

	/* A number of the cache. */
	float
	held(const sequence &s, int p, int h, int which, int d) const
	{
		const uint8_t	*b = head(s, p, h);
		const size_t	 i = which == 1 ?
				    layout_key(elem, p % LAYOUT_POS, d) :
				    layout_value(elem, p % LAYOUT_POS, d, D);
		uint16_t	 bits;

		if (elem == CUDA_I8)
			return ((float)(b[i] - 128) *
			    held_scale(s, p, h, which));
		memcpy(&bits, b + 2 * i, 2);
		return (test_widen(elem, bits));
	}

	double
	number(const sequence &s, int p, int h, int which, int d,
	    bool is_exact) const
	{
		if (is_exact)
			return (exact(s, p, h, which, d));
		if (which == 0)
			return (test_widen(act, test_narrow(act,
			    exact(s, p, h, 0, d))));
		return (held(s, p, h, which, d));
	}

	/* ---- steps */

	/* The last tail rows of each sequence in items of cuts[0], cuts[1] ..
	 * rows, again and again; with pads rows of padding. */
	world_step
	plan(int tail, const std::vector<int> &cuts, bool reversed,
	    int pads) const
	{
		world_step	 step;
		size_t		 cut = 0;

		for (size_t i = 0; i < sequences.size(); i++) {
			const sequence &s = sequences[reversed ?
			    sequences.size() - 1 - i : i];
			int p = s.length > tail ? s.length - tail : 0;

			if ((int)i < pads)
				step.add(-1, 0, 1);
			while (p < s.length) {
				int n = cuts[cut++ % cuts.size()];

				n = n > s.length - p ? s.length - p : n;
				step.add(s.id, p, n);
				p += n;
			}
		}
		return (step);
	}

	/* A single row of each sequence, back rows before the last. */
	world_step
	plan_last(int back) const
	{
		world_step step;

		for (const sequence &s : sequences)
			if (s.length > back)
				step.add(s.id, s.length - 1 - back, 1);
		return (step);
	}

	/* Compare what rotary_launch has left in q. */
	void
	check_queries(const world_step &step,
	    const std::vector<uint16_t> &q) const
	{
		for (size_t t = 0; t < step.rows.size(); t++)
			for (int i = 0; step.rows[t].first >= 0 && i < H * Dp;
			    i++) {
				const double want = i % Dp < D ? exact(
				    sequences[(size_t)step.rows[t].first],
				    step.rows[t].second, i / Dp, 0, i % Dp) : 0;
				const double found = test_widen(act,
				    q[t * (size_t)(H * Dp) + (size_t)i]);

				check(fabs(found - want) <= test_unit(act) *
				    fabs(want) + 1e-6, "%s: row %zu lane %d of "
				    "q: found %g, expected %g", name.c_str(),
				    t, i, found, want);
			}
	}

	/* What a step's rows need. */
	struct inputs {
		std::vector<float>	 qkv;
		std::vector<int32_t>	 pos, blocks;
		int			 sections = 1;
	};

	/* Beyond a row's own blocks the table has numbers of none. One section
	 * more than needed is asked for. */
	struct inputs
	gather(const world_step &step, int ld) const
	{
		struct inputs in;

		in.blocks.assign(step.rows.size() * (size_t)ld, 1 << 30);
		for (size_t t = 0; t < step.rows.size(); t++) {
			const int	 p = step.rows[t].second;
			const sequence	&s = sequences[(size_t)(p < 0 ? 0 :
					    step.rows[t].first)];
			const size_t	 from = at(s, p < 0 ? 0 : p, 0, 0);

			in.pos.push_back(p);
			in.qkv.insert(in.qkv.end(),
			    qkv.begin() + (ptrdiff_t)from,
			    qkv.begin() + (ptrdiff_t)from + H * 3 * D);
			for (int b = 0; p >= 0 && b <= p / LAYOUT_POS; b++)
				in.blocks[t * (size_t)ld + (size_t)b] =
				    s.blocks[(size_t)b];
		}
		for (const struct attend_item &i : step.items)
			if (i.count == 1)
				in.sections = max(in.sections,
				    in.pos[(size_t)i.row] / ATTEND_SECTION + 2);
		return (in);
	}

	/* The launches of a step. */
	static void
	launch(const struct attention *a, cudaStream_t s)
	{
		must(rotary_launch(a, s));
		must(attend_launch(a, s));
	}

	/* Run a step: the cache is written, and with attends, the mixes of its
	 * rows are returned. With before, a step of the same items, both are
	 * replays of one graph, before first. */
	mixes
	run(const world_step &step, bool attends,
	    const world_step *before = NULL)
	{
		const int		 T = (int)step.rows.size();
		const int		 Kp = layout_pad(H * D, LAYOUT_K);
		const int		 ld = context / LAYOUT_POS + 2;
		const struct inputs	 in = gather(step, ld);
		struct attention	 a = {};
		mixes			 out;

		a.sections = before == NULL ? in.sections :
		    max(in.sections, gather(*before, ld).sections);
		test_array<float>	 dqkv(in.qkv), dangles(angles);
		test_array<int32_t>	 dpos(in.pos), dblocks(in.blocks);
		test_array<uint16_t>	 q((size_t)(T * H * Dp));
		test_array<uint16_t>	 mix(layout_acts(T, H * D));
		test_array<float>	 partial((size_t)(T * H * a.sections) *
					    (size_t)(Dp + 2));
		test_array<struct attend_item> items(step.items);

		q.fill(0xff);
		mix.fill(0xff);
		partial.fill(0xff);
		a.elem = elem;
		a.act = act;
		a.T = T;
		a.H = H;
		a.D = D;
		a.rotary = rotary;
		a.scale = scale;
		a.qkv = dqkv.p;
		a.angles = dangles.p;
		a.pos = dpos.p;
		a.blocks = dblocks.p;
		a.ldblocks = ld;
		a.cache = device->p;
		a.q = q.p;
		a.mix = mix.p;
		a.items = items.p;
		a.nitems = (int)step.items.size();
		a.partial = partial.p;
		cache.clear();
		if (!attends) {
			must_run(rotary_launch(&a, 0));
			check_queries(step, q.down());
			return (out);
		}
		if (before == NULL)
			launch(&a, 0);
		else {
			const struct inputs	 old = gather(*before, ld);
			cudaStream_t		 stream;
			cudaGraph_t		 graph;
			cudaGraphExec_t		 exec;

			must(cudaStreamCreate(&stream));
			must(cudaStreamBeginCapture(stream,
			    cudaStreamCaptureModeGlobal));
			launch(&a, stream);
			must(cudaStreamEndCapture(stream, &graph));
			must(cudaGraphInstantiate(&exec, graph, 0));
			for (const struct inputs *i : { &old, &in }) {
				dqkv.up(i->qkv);
				dpos.up(i->pos);
				dblocks.up(i->blocks);
				must(cudaGraphLaunch(exec, stream));
				must(cudaStreamSynchronize(stream));
			}
			must(cudaGraphExecDestroy(exec));
			must(cudaGraphDestroy(graph));
			must(cudaStreamDestroy(stream));
		}
		must_run(cudaSuccess);
		const std::vector<uint16_t> all = mix.down();
		for (int t = 0; t < T; t++) {
			std::vector<uint16_t> row;

			for (int k = 0; k < Kp; k++) {
				const uint16_t v = all[layout_act(t, k, Kp)];

				check((k < H * D && in.pos[(size_t)t] >= 0) ||
				    v == 0, "%s: row %d column %d of mix is "
				    "%04x, not zero", name.c_str(), t, k, v);
				if (k < H * D)
					row.push_back(v);
			}
			if (in.pos[(size_t)t] >= 0)
				out[step.rows[(size_t)t]] = row;
		}
		return (out);
	}

	mixes
	attend(const world_step &step)
	{
		return (run(step, true));
	}

	/* Write all rows but the last back of each sequence, at most n in a
	 * step. */
	void
	write_until(int back, int n = 1000000)
	{
		world_step step;

		for (const sequence &s : sequences)
			for (int p = 0; p < s.length - back; p++) {
				step.add(s.id, p, 1);
				if ((int)step.rows.size() < n)
					continue;
				run(step, false);
				step = world_step();
			}
		step.add(-1, 0, 1);
		run(step, false);
	}

	void
	write_all(int n)
	{
		write_until(0, n);
	}

	/* Blocks of no sequence are as they were. */
	void
	check_foreign() const
	{
		const size_t		 n = (size_t)H * layout_head(elem, D);
		const auto		 now = device->down();
		std::vector<bool>	 owned((size_t)nblocks);

		for (const sequence &s : sequences)
			for (int32_t b : s.blocks)
				owned[(size_t)b] = true;
		for (size_t b = 0; b < (size_t)nblocks; b++)
			check(owned[b] || memcmp(&now[b * n], &garbage[b * n],
			    n) == 0, "%s: block %zu of nobody was written",
			    name.c_str(), b);
	}
};

#endif
