/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts what launches do: README.md says what each figure means.  Accesses of
 * lanes are joined to those of warps: the n-th access of a lane at a line of
 * the source belongs to the n-th of the other lanes there.
 */
#include "simt_impl.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

namespace {

/* One warp-wide access, as far as its lanes have come. */
struct wide {
	int		 lanes;
	unsigned	 size;		/* bytes of a lane */
	uintptr_t	 at[32];	/* 0: no access of this lane */
};

/* An instruction of a warp: what its lanes have done there. */
struct site {
	unsigned			 times[32];	/* of each lane */
	std::map<unsigned, struct wide>	 open;		/* by number */
};

}

/* Which access: warp, line, what. */
typedef std::tuple<int, const char *, int, int, unsigned> site_key;

bool					 simt_counting;
static std::vector<struct simt_counts>	 done;
static std::map<site_key, struct site>	 sites;		/* of this block */
static std::unordered_set<uintptr_t>	 touched[2];	/* sectors */

/* A warp-wide access to global memory is complete. */
static void
global_close(const struct wide &w, enum simt_access access)
{
	auto				&c = done.back().global[access];
	std::map<uintptr_t, uint32_t>	 sectors;	/* bits of bytes */

	for (uintptr_t p : w.at)
		for (unsigned i = 0; p != 0 && i < w.size; i++)
			sectors[(p + i) / 32] |= 1u << (p + i) % 32;
	c.accesses++;
	c.bytes += (uint64_t)w.lanes * w.size;
	c.sectors += sectors.size();
	for (const auto &s : sectors) {
		c.used += (unsigned)__builtin_popcount(s.second);
		touched[access].insert(s.first);
	}
}

/*
 * The same for shared memory: 32 banks of 4 bytes.  Lanes that want the same
 * word get it together.  With 8 bytes a lane, half a warp goes at a time; with
 * 16, a quarter.
 */
static void
shared_close(const struct wide &w, enum simt_access access)
{
	auto	&c = done.back().shared[access];
	int	 group = w.size <= 4 ? 32 : w.size <= 8 ? 16 : 8;

	c.accesses++;
	c.bytes += (uint64_t)w.lanes * w.size;
	for (int from = 0; from < 32; from += group) {
		std::set<uintptr_t>	 words;
		unsigned		 banks[32] = {}, most = 0;

		for (int i = from; i < from + group; i++)
			for (unsigned b = 0; w.at[i] != 0 && b < w.size; b += 4)
				words.insert((w.at[i] + b) / 4);
		for (uintptr_t word : words)
			most = std::max(most, ++banks[word % 32]);
		c.passes += most;
		c.ideal += (words.size() + 31) / 32;
	}
}

static void
wide_close(const site_key &key, const struct wide &w)
{
	enum simt_access access = std::get<3>(key) & 1 ? SIMT_WRITE : SIMT_READ;

	if (std::get<3>(key) & 2)
		shared_close(w, access);
	else
		global_close(w, access);
}

/* A lane's access; space is 0 for global, 2 for shared memory. */
static void
access_add(int space, int warp, int lane, const void *p, unsigned size,
    enum simt_access access, struct simt_place at)
{
	site_key	 key(warp, at.file, at.line, space | access, size);
	struct site	&s = sites[key];
	unsigned	 number = s.times[lane]++;
	struct wide	&w = s.open[number];

	w.size = size;
	w.lanes++;
	w.at[lane] = reinterpret_cast<uintptr_t>(p);
	if (w.lanes == 32) {
		wide_close(key, w);
		s.open.erase(number);
	}
}

void
simt_count_global(int warp, int lane, const void *p, unsigned size,
    enum simt_access access, struct simt_place at)
{
	access_add(0, warp, lane, p, size, access, at);
}

void
simt_count_shared(int warp, int lane, const void *p, unsigned size,
    enum simt_access access, struct simt_place at)
{
	access_add(2, warp, lane, p, size, access, at);
}

void
simt_count_op(enum simt_op op)
{
	done.back().ops[op]++;
}

void
simt_count_launch(const struct simt_work &work)
{
	struct simt_counts c = {};

	c.kernel = work.name;
	c.grid = work.grid;
	c.block = work.block;
	done.push_back(c);
	touched[0].clear();
	touched[1].clear();
}

/* What is still open are accesses that not all lanes took part in. */
void
simt_count_block_end()
{
	for (const auto &s : sites)
		for (const auto &w : s.second.open)
			wide_close(s.first, w.second);
	sites.clear();
	for (int i = 0; i < 2; i++)
		done.back().global[i].unique = touched[i].size();
}

bool
simt_can_count()
{
	return (__tsan_release == NULL);
}

void
simt_count_start()
{
	if (!simt_can_count())
		simt_fault("simt_count_start: not with TSan");
	done.clear();
	simt_counting = true;
}

std::vector<struct simt_counts>
simt_count_stop()
{
	std::vector<struct simt_counts> out;

	cudaDeviceSynchronize();
	simt_counting = false;
	out.swap(done);
	return (out);
}

void
simt_count_print(FILE *f, const struct simt_counts &c)
{
	static const char *const way[] = { "read", "write" };

	fprintf(f, "%s <<<(%u,%u,%u), (%u,%u,%u)>>>\n", c.kernel, c.grid.x,
	    c.grid.y, c.grid.z, c.block.x, c.block.y, c.block.z);
	for (int i = 0; i < 2; i++) {
		const auto &g = c.global[i];

		fprintf(f, "  global %-5s %10llu accesses %12llu bytes "
		    "%12llu used %10llu sectors %10llu unique\n", way[i],
		    (unsigned long long)g.accesses, (unsigned long long)g.bytes,
		    (unsigned long long)g.used, (unsigned long long)g.sectors,
		    (unsigned long long)g.unique);
	}
	for (int i = 0; i < 2; i++) {
		const auto &s = c.shared[i];

		fprintf(f, "  shared %-5s %10llu accesses %12llu bytes "
		    "%12llu passes %10llu ideal\n", way[i],
		    (unsigned long long)s.accesses, (unsigned long long)s.bytes,
		    (unsigned long long)s.passes, (unsigned long long)s.ideal);
	}
	for (int i = 0; i < SIMT_OPS; i++)
		if (c.ops[i] > 0)
			fprintf(f, "  %-12s %10llu\n",
			    simt_op_name((enum simt_op)i),
			    (unsigned long long)c.ops[i]);
}
