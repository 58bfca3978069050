/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler of CUDA threads: their order, barriers, and what lanes show to
 * each other.  Compile it without any -fsanitize: it finds the sanitizers at
 * run time.
 *
 * Blocks run one after the other.  A fiber runs until it meets a collective;
 * then the scheduler, on the stack of the host, picks the next one.  For TSan a
 * switch orders nothing: only the launch, the barriers and the end of the
 * launch do, so stacks and shared memory are new for every block then.
 */
#include "fiber.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>

struct simt_now			 simt_now;
struct simt_thread		*simt_self;
std::vector<struct simt_fiber>	 simt_fibers;
std::vector<struct simt_warp>	 simt_warps;
static enum simt_order		 order;
static unsigned			 seed;
static uint64_t			 random_state;
static const char *const	 names[] = { "SYNC_BLOCK", "SYNC_WARP",
	"shuffle", "warp_ballot", "ldmatrix_x4", "mma_f16", "mma_bf16",
	"mma_s8", "dp4a", "lop3", "cp_async16" };

/* ---- faults */

const char *
simt_op_name(enum simt_op op)
{
	return (names[op]);
}

const char *
simt_running()
{
	return (simt_now.work != NULL ? simt_now.work->name : NULL);
}

void
simt_fault(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "simt: fault: ");
	if (simt_now.work != NULL)
		fprintf(stderr, "%s, block (%u,%u,%u): ", simt_now.work->name,
		    simt_now.index.x, simt_now.index.y, simt_now.index.z);
	if (simt_self != NULL)
		fprintf(stderr, "thread (%u,%u,%u): ", simt_self->thread.x,
		    simt_self->thread.y, simt_self->thread.z);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	fflush(stderr);
	_exit(86);
}

/* "3 threads at warp_ballot, a.cu:12; 29 have ended", of the fibers from first
 * on. */
static std::string
fibers_say(int first, int n)
{
	std::map<std::string, int>	 count;
	std::string			 all;

	for (int i = first; i < first + n; i++) {
		const struct simt_fiber *f = &simt_fibers[i];

		if (f->state == ENDED)
			count["have ended"]++;
		else if (f->state == READY)
			count["still run"]++;
		else
			count["wait at " + std::string(names[f->op]) + ", " +
			    f->at.file + ":" + std::to_string(f->at.line)]++;
	}
	for (const auto &c : count)
		all += (all.empty() ? "" : "; ") + std::to_string(c.second) +
		    (c.second == 1 ? " thread: " : " threads: ") + c.first;
	return (all);
}

static bool
place_differs(const struct simt_place &a, const struct simt_place &b)
{
	return (a.line != b.line ||
	    (a.file != b.file && strcmp(a.file, b.file) != 0));
}

/* ---- the order */

void
simt_set_order(enum simt_order o, unsigned s)
{
	order = o;
	seed = s;
	random_state = 0x9e3779b97f4a7c15ull * (s + 1);
}

/* $SIMT_ORDER, at the start. */
__attribute__((constructor)) static void
order_from_environment()
{
	const char *s = getenv("SIMT_ORDER");

	if (s == NULL || strcmp(s, "forward") == 0)
		simt_set_order(SIMT_FORWARD);
	else if (strcmp(s, "reversed") == 0)
		simt_set_order(SIMT_REVERSED);
	else
		simt_set_order(SIMT_RANDOM, (unsigned)strtoul(s, NULL, 10));
}

unsigned
simt_random(unsigned n)
{
	if (order != SIMT_RANDOM)
		return (0);
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return ((unsigned)((random_state >> 32) % n));
}

/* The numbers below n as they shall come. */
static void
order_fill(std::vector<unsigned> *v, unsigned n)
{
	v->resize(n);
	for (unsigned i = 0; i < n; i++)
		(*v)[i] = order == SIMT_REVERSED ? n - 1 - i : i;
	for (unsigned i = n; order == SIMT_RANDOM && i > 1; i--)
		std::swap((*v)[i - 1], (*v)[simt_random(i)]);
}

/* ---- a block */

/* Make the threads of a block. */
static void
block_begin(uint3 index)
{
	const struct simt_work	*w = simt_now.work;
	dim3			 b = w->block;

	simt_now.index = index;
	simt_now.n = (int)(b.x * b.y * b.z);
	simt_now.arrived = simt_now.ended = simt_now.phase = 0;
	fiber_map(simt_now.n);
	simt_now.narrays = 0;
	simt_now.bytes = 0;
	if (__asan_poison_memory_region != NULL)
		__asan_poison_memory_region(simt_now.shared, SHARED_ROOM);
	simt_now.next = simt_now.shared + RED_ZONE;
	simt_now.dyn = shared_take(w->smem);
	if ((int)simt_fibers.size() < simt_now.n)
		simt_fibers.resize(simt_now.n);
	simt_warps.resize((simt_now.n + 31) / 32);
	for (size_t i = 0; i < simt_warps.size(); i++) {
		int left = simt_now.n - (int)i * 32;

		simt_warps[i].lanes = left < 32 ? (1u << left) - 1 : ALL;
		simt_warps[i].ready = simt_warps[i].lanes;
		simt_warps[i].arrived = simt_warps[i].ended = 0;
		simt_warps[i].priority = simt_random(1u << 20);
	}
	for (int i = 0; i < simt_now.n; i++) {
		struct simt_fiber *f = &simt_fibers[i];
		unsigned u = (unsigned)i;

		f->thread = { u % b.x, u / b.x % b.y, u / b.x / b.y };
		f->block = index;
		f->block_dim = b;
		f->grid_dim = w->grid;
		f->lane = i % 32;
		f->state = READY;
		f->phase = f->first = f->ncopies = f->group = 0;
		f->fake = NULL;
		f->stack = simt_now.shared + SHARED_ROOM +
		    (size_t)i * (STACK + GUARD) + GUARD;
		if (__tsan_create_fiber != NULL)
			f->tsan = __tsan_create_fiber(0);
		fiber_prepare(f);
	}
	tsan_release(&simt_now.begin);
}

/* The warp that runs next: in turns, or by priority; -1 if none can. */
static int
block_pick(int last)
{
	int n = (int)simt_warps.size(), best = -1;

	for (int i = 1; i <= n; i++) {
		int w = order == SIMT_REVERSED ? (last - i + 2 * n) % n :
		    (last + i) % n;

		if (simt_warps[w].ready == 0)
			continue;
		if (order != SIMT_RANDOM)
			return (w);
		if (best < 0 ||
		    simt_warps[w].priority > simt_warps[best].priority)
			best = w;
	}
	return (best);
}

/* Run the threads of a block to their end. */
static void
block_run()
{
	static std::vector<unsigned>	 lanes;
	int				 w;

	order_fill(&lanes, 32);
	w = order == SIMT_REVERSED ? 0 : (int)simt_warps.size() - 1;
	while (simt_now.ended < simt_now.n) {
		if ((w = block_pick(w)) < 0)
			simt_fault("no thread can go on: %s",
			    fibers_say(0, simt_now.n).c_str());
		unsigned ready = simt_warps[w].ready;

		if (order == SIMT_RANDOM) {
			order_fill(&lanes, 32);
			if (simt_random(64) == 0)
				simt_warps[w].priority = simt_random(1u << 20);
		}
		for (unsigned lane : lanes) {
			struct simt_fiber *f = &simt_fibers[w * 32 + lane];

			if ((ready >> lane & 1) == 0)
				continue;
			fiber_resume(f);
			if (f->state != ENDED)
				continue;
			simt_warps[w].ready &= ~(1u << lane);
			simt_warps[w].ended |= 1u << lane;
			simt_now.ended++;
		}
	}
	if (__tsan_destroy_fiber != NULL)
		for (int i = 0; i < simt_now.n; i++)
			__tsan_destroy_fiber(simt_fibers[i].tsan);
}

void
simt_run(const struct simt_work &work)
{
	dim3			 g = work.grid;
	std::vector<unsigned>	 x, y, z;

	simt_now.work = &work;
	if (__tsan_get_current_fiber != NULL)
		simt_now.tsan = __tsan_get_current_fiber();
	if (simt_counting)
		simt_count_launch(work);
	order_fill(&x, g.x);
	order_fill(&y, g.y);
	order_fill(&z, g.z);
	for (unsigned k : z)
		for (unsigned j : y)
			for (unsigned i : x) {
				block_begin({ i, j, k });
				block_run();
				if (simt_counting)
					simt_count_block_end();
			}
	tsan_acquire(&simt_now.end);
	simt_now.work = NULL;
}

/* ---- collectives */

/* Wait in warp w until all its lanes have come to op at this place. */
static void
warp_meet(struct simt_fiber *f, enum simt_op op, struct simt_place at)
{
	int		 number = (int)(f - &simt_fibers[0]) / 32;
	struct simt_warp	*w = &simt_warps[number];

	if (simt_counting)
		simt_count_op(op);
	f->op = op;
	f->at = at;
	f->state = AT_WARP;
	w->ready &= ~(1u << f->lane);
	if (w->lanes != ALL)
		simt_fault("%s:%d: %s in a warp of %d lanes", at.file, at.line,
		    names[op], __builtin_popcount(w->lanes));
	if (w->arrived != 0 && (w->op != op || place_differs(w->at, at)))
		simt_fault("the lanes of warp %d are not at the same place: "
		    "%s", number, fibers_say(number * 32, 32).c_str());
	w->op = op;
	w->at = at;
	w->arrived |= 1u << f->lane;
	if (w->ended != 0)
		simt_fault("%s:%d: %s after lanes have ended: %s", at.file,
		    at.line, names[op],
		    fibers_say(number * 32, 32).c_str());
	if (w->arrived == ALL) {
		w->arrived = 0;
		w->ready = ALL;
		for (int i = 0; i < 32; i++)
			simt_fibers[number * 32 + i].state = READY;
	}
	fiber_yield(f);
}

void
simt_sync_warp(struct simt_place at)
{
	struct simt_fiber	*f = fiber_self();
	struct simt_warp	*w = &simt_warps[(f - &simt_fibers[0]) / 32];
	char			*token = &w->order[f->phase];

	f->phase ^= 1;
	tsan_release(token);
	warp_meet(f, SIMT_SYNC_WARP, at);
	tsan_acquire(token);
}

const struct simt_slot *
simt_exchange(enum simt_op op, const struct simt_slot &mine,
    struct simt_place at)
{
	struct simt_fiber		*f = fiber_self();
	struct simt_slot	*slots = simt_warps[(f - &simt_fibers[0]) / 32].
				    slots[f->phase];
	volatile uint32_t	*to = slots[f->lane].u;

	f->phase ^= 1;
	/* Word by word: TSan would see a memcpy. */
	for (int i = 0; i < 12; i++)
		to[i] = mine.u[i];
	warp_meet(f, op, at);
	return (slots);
}

void
simt_sync_block(struct simt_place at)
{
	struct simt_fiber	*f = fiber_self();
	int		 number = (int)(f - &simt_fibers[0]) / 32;
	char		*token = &simt_now.order[simt_now.phase];

	if (simt_counting)
		simt_count_op(SIMT_SYNC_BLOCK);
	f->op = SIMT_SYNC_BLOCK;
	f->at = at;
	f->state = AT_BLOCK;
	simt_warps[number].ready &= ~(1u << f->lane);
	if (simt_now.arrived > 0 && place_differs(simt_now.at, at))
		simt_fault("threads are at different barriers: %s",
		    fibers_say(0, simt_now.n).c_str());
	simt_now.at = at;
	if (simt_now.ended > 0)
		simt_fault("%s:%d: SYNC_BLOCK after threads have ended: %s",
		    at.file, at.line, fibers_say(0, simt_now.n).c_str());
	tsan_release(token);
	if (++simt_now.arrived == simt_now.n) {
		simt_now.arrived = 0;
		simt_now.phase ^= 1;
		for (int i = 0; i < simt_now.n; i++)
			simt_fibers[i].state = READY;
		for (struct simt_warp &w : simt_warps) {
			w.ready = w.lanes;
			w.priority = simt_random(1u << 20);
		}
	}
	fiber_yield(f);
	tsan_acquire(token);
}
