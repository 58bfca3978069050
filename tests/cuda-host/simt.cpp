/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler of CUDA threads: fibers, barriers, what lanes show to each
 * other, shared memory and cp.async.  Compile it without any -fsanitize: it
 * finds the sanitizers at run time and tells them about the fibers.
 *
 * Blocks run one after the other.  A fiber runs until it meets a collective;
 * then the scheduler, on the stack of the host, picks the next one.  For TSan a
 * switch orders nothing: only the launch, the barriers and the end of the
 * launch do, so stacks and shared memory are new for every block then.
 */
#include "simt_impl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <string>

#ifndef __x86_64__
#include <ucontext.h>
#endif

#define STACK		(256 * 1024)
#define GUARD		4096
#define RED_ZONE	128
#define SHARED_STATIC	(48 * 1024)
#define SHARED_ROOM	(512 * 1024)	/* of a block, with red zones */
#define ARRAYS		64		/* SHARED_ARRAYs of a kernel */
#define COPIES		512		/* of cp.async, on their way */
#define TSAN_NO_SYNC	1
#define ALL		0xffffffffu

enum state { READY, AT_WARP, AT_BLOCK, ENDED };

struct fiber : simt_thread {
	enum state	 state;
	enum simt_op	 op;		/* what it waits at, and where */
	struct simt_place at;
	int		 phase;		/* of its warp's collectives: 0 or 1 */
#ifdef __x86_64__
	void		*sp;
#else
	ucontext_t	 context;
#endif
	char		*stack;		/* lowest byte, above the guard */
	void		*fake;		/* ASan's */
	void		*tsan;
	struct simt_copy copies[COPIES];	/* the oldest first */
	int		 groups[COPIES];	/* the group of each */
	int		 first, ncopies, group;
};

struct warp {
	unsigned	 lanes, ready, arrived, ended;
	enum simt_op	 op;
	struct simt_place at;
	unsigned	 priority;
	/* Two of each: a fast lane is in the next collective while a slow one
	 * still reads. */
	struct simt_slot slots[2][32];
	char		 order[2];	/* addresses for TSan */
};

/* A SHARED_ARRAY of the block. */
struct array {
	const void	*key;
	char		*p;
};

static struct {
	const struct simt_work	*work;
	uint3			 index;		/* of the block */
	int			 n;		/* threads */
	int			 arrived, ended;
	int			 phase;		/* of SYNC_BLOCK */
	enum state		 waiting;
	struct simt_place	 at;		/* where the first one waits */
	struct array		 arrays[ARRAYS];
	int			 narrays;
	char			*shared, *next, *dyn;
	size_t			 bytes;		/* of static arrays */
	char			 begin, end, order[2];	/* for TSan */
#ifdef __x86_64__
	void			*sp;
#else
	ucontext_t		 context;
#endif
	void			*fake, *tsan;
	const void		*bottom;	/* the host's stack, for ASan */
	size_t			 size;
} now;

struct simt_thread		*simt_self;
static std::vector<struct fiber> fibers;
static std::vector<struct warp>	 warps;
static char			*memory;	/* stacks and shared memory */
static size_t			 memory_size;
static enum simt_order		 order;
static unsigned			 seed;
static uint64_t			 random_state;
static const char *const	 names[] = { "SYNC_BLOCK", "SYNC_WARP", "shuffle",
	"warp_ballot", "ldmatrix_x4", "mma_f16", "mma_bf16", "mma_s8", "dp4a",
	"lop3", "cp_async16" };

static void	fiber_main();

/* ---- switching */

#ifdef __x86_64__
/* Save what the ABI lets a callee keep, change stacks, take it back. */
extern "C" void simt_switch(void **save, void *to);
asm(".text\n"
    ".type simt_switch, @function\n"
    "simt_switch:\n"
    "	pushq %rbp\n	pushq %rbx\n	pushq %r12\n"
    "	pushq %r13\n	pushq %r14\n	pushq %r15\n"
    "	movq %rsp, (%rdi)\n"
    "	movq %rsi, %rsp\n"
    "	popq %r15\n	popq %r14\n	popq %r13\n"
    "	popq %r12\n	popq %rbx\n	popq %rbp\n"
    "	ret\n"
    ".size simt_switch, . - simt_switch\n");

/* Let f start at fiber_main when it is switched to. */
static void
fiber_prepare(struct fiber *f)
{
	/* Not all at the same place in a page: that is slow in the caches. */
	void **top = reinterpret_cast<void **>(f->stack + STACK -
	    (f - &fibers[0]) % 64 * 64);

	*--top = NULL;			/* no return address */
	*--top = reinterpret_cast<void *>(fiber_main);
	for (int i = 0; i < 6; i++)
		*--top = NULL;
	f->sp = top;
}

#define SWITCH_TO_FIBER(f)	simt_switch(&now.sp, (f)->sp)
#define SWITCH_TO_HOST(f)	simt_switch(&(f)->sp, now.sp)
#else
static void
fiber_prepare(struct fiber *f)
{
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK;
	f->context.uc_link = NULL;
	makecontext(&f->context, fiber_main, 0);
}

#define SWITCH_TO_FIBER(f)	swapcontext(&now.context, &(f)->context)
#define SWITCH_TO_HOST(f)	swapcontext(&(f)->context, &now.context)
#endif

/* Run f until it waits or ends. */
static void
fiber_resume(struct fiber *f)
{
	simt_self = f;
	if (__sanitizer_start_switch_fiber != NULL)
		__sanitizer_start_switch_fiber(&now.fake, f->stack, STACK);
	if (__tsan_switch_to_fiber != NULL)
		__tsan_switch_to_fiber(f->tsan, TSAN_NO_SYNC);
	SWITCH_TO_FIBER(f);
	if (__sanitizer_finish_switch_fiber != NULL)
		__sanitizer_finish_switch_fiber(now.fake, NULL, NULL);
	simt_self = NULL;
}

/* Back to the scheduler; returns when f may go on. */
static void
fiber_yield(struct fiber *f)
{
	if (__sanitizer_start_switch_fiber != NULL)
		__sanitizer_start_switch_fiber(f->state == ENDED ? NULL :
		    &f->fake, now.bottom, now.size);
	if (__tsan_switch_to_fiber != NULL)
		__tsan_switch_to_fiber(now.tsan, TSAN_NO_SYNC);
	SWITCH_TO_HOST(f);
	if (__sanitizer_finish_switch_fiber != NULL)
		__sanitizer_finish_switch_fiber(f->fake, &now.bottom,
		    &now.size);
}

/* What TSan learns: all that was done before release(p) comes before all that
 * is done after acquire(p). */
static void
release(void *p)
{
	if (__tsan_release != NULL)
		__tsan_release(p);
}

static void
acquire(void *p)
{
	if (__tsan_acquire != NULL)
		__tsan_acquire(p);
}

/* ---- faults */

const char *
simt_op_name(enum simt_op op)
{
	return (names[op]);
}

const char *
simt_running()
{
	return (now.work != NULL ? now.work->name : NULL);
}

void
simt_fault(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "simt: fault: ");
	if (now.work != NULL)
		fprintf(stderr, "%s, block (%u,%u,%u): ", now.work->name,
		    now.index.x, now.index.y, now.index.z);
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
		const struct fiber *f = &fibers[i];

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

/* Map stacks and shared memory for n threads; under TSan anew, since a mapping
 * makes it forget what others did at these addresses. */
static void
block_map(int n)
{
	size_t need = (size_t)n * (STACK + GUARD) + SHARED_ROOM;

	if (need > memory_size || __tsan_release != NULL) {
		if (memory != NULL)
			munmap(memory, memory_size);
		memory = static_cast<char *>(mmap(NULL, need,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_NORESERVE, -1, 0));
		if (memory == MAP_FAILED)
			simt_fault("no memory for %d threads", n);
		memory_size = need;
		/* Its place may have been that of shared memory before. */
		if (__asan_unpoison_memory_region != NULL)
			__asan_unpoison_memory_region(memory, need);
		/* Under TSan there would be too many mappings. */
		for (int i = 0; __tsan_release == NULL && i < n; i++)
			mprotect(memory + SHARED_ROOM +
			    (size_t)i * (STACK + GUARD), GUARD, PROT_NONE);
	}
	now.shared = memory;
}

bool
simt_is_guard(const void *p)
{
	size_t at = static_cast<const char *>(p) - (memory + SHARED_ROOM);

	return (memory != NULL && p >= memory + SHARED_ROOM &&
	    p < memory + memory_size && at % (STACK + GUARD) < GUARD);
}

/* Fill with NaN.  Not memset: TSan would take it for an access. */
static void
fill(char *p, size_t n)
{
	for (volatile char *q = p; n > 0; n--)
		*q++ = (char)0xff;
}

/* Room for size bytes with a red zone after it. */
static char *
shared_take(size_t size)
{
	char *p = now.next;

	now.next += (size + RED_ZONE - 1) / RED_ZONE * RED_ZONE + RED_ZONE;
	if (now.next > now.shared + SHARED_ROOM)
		simt_fault("more than %d bytes of shared memory", SHARED_ROOM);
	if (__asan_unpoison_memory_region != NULL)
		__asan_unpoison_memory_region(p, size);
	fill(p, size);
	return (p);
}

void *
simt_shared(const void *key, size_t size, struct simt_place at)
{
	char *p;

	for (int i = 0; i < now.narrays; i++)
		if (now.arrays[i].key == key)
			return (now.arrays[i].p);
	now.bytes += size;
	if (now.bytes > SHARED_STATIC || now.narrays == ARRAYS)
		simt_fault("%s:%d: SHARED_ARRAY number %d, %zu bytes in all; "
		    "at most %d and %d are allowed", at.file, at.line,
		    now.narrays + 1, now.bytes, ARRAYS, SHARED_STATIC);
	p = shared_take(size);
	now.arrays[now.narrays++] = { key, p };
	return (p);
}

void *
simt_dyn_shared()
{
	return (now.dyn);
}

/* The first function of every fiber. */
static void
fiber_main()
{
	struct fiber *f = static_cast<struct fiber *>(simt_self);

	if (__sanitizer_finish_switch_fiber != NULL)
		__sanitizer_finish_switch_fiber(NULL, &now.bottom, &now.size);
	acquire(&now.begin);
	now.work->body();
	release(&now.end);
	f->state = ENDED;
	fiber_yield(f);
	abort();
}

/* Make the threads of a block. */
static void
block_begin(uint3 index)
{
	const struct simt_work	*w = now.work;
	dim3			 b = w->block;

	now.index = index;
	now.n = (int)(b.x * b.y * b.z);
	now.arrived = now.ended = now.phase = 0;
	block_map(now.n);
	now.narrays = 0;
	now.bytes = 0;
	if (__asan_poison_memory_region != NULL)
		__asan_poison_memory_region(now.shared, SHARED_ROOM);
	now.next = now.shared + RED_ZONE;
	now.dyn = shared_take(w->smem);
	if ((int)fibers.size() < now.n)
		fibers.resize(now.n);
	warps.resize((now.n + 31) / 32);
	for (size_t i = 0; i < warps.size(); i++) {
		int left = now.n - (int)i * 32;

		warps[i].lanes = left < 32 ? (1u << left) - 1 : ALL;
		warps[i].ready = warps[i].lanes;
		warps[i].arrived = warps[i].ended = 0;
		warps[i].priority = simt_random(1u << 20);
	}
	for (int i = 0; i < now.n; i++) {
		struct fiber *f = &fibers[i];
		unsigned u = (unsigned)i;

		f->thread = { u % b.x, u / b.x % b.y, u / b.x / b.y };
		f->block = index;
		f->block_dim = b;
		f->grid_dim = w->grid;
		f->lane = i % 32;
		f->state = READY;
		f->phase = f->first = f->ncopies = f->group = 0;
		f->fake = NULL;
		f->stack = now.shared + SHARED_ROOM +
		    (size_t)i * (STACK + GUARD) + GUARD;
		if (__tsan_create_fiber != NULL)
			f->tsan = __tsan_create_fiber(0);
		fiber_prepare(f);
	}
	release(&now.begin);
}

/* The warp that runs next: in turns, or by priority; -1 if none can. */
static int
block_pick(int last)
{
	int n = (int)warps.size(), best = -1;

	for (int i = 1; i <= n; i++) {
		int w = order == SIMT_REVERSED ? (last - i + 2 * n) % n :
		    (last + i) % n;

		if (warps[w].ready == 0)
			continue;
		if (order != SIMT_RANDOM)
			return (w);
		if (best < 0 || warps[w].priority > warps[best].priority)
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
	w = order == SIMT_REVERSED ? 0 : (int)warps.size() - 1;
	while (now.ended < now.n) {
		if ((w = block_pick(w)) < 0)
			simt_fault("no thread can go on: %s",
			    fibers_say(0, now.n).c_str());
		unsigned ready = warps[w].ready;

		if (order == SIMT_RANDOM) {
			order_fill(&lanes, 32);
			if (simt_random(64) == 0)
				warps[w].priority = simt_random(1u << 20);
		}
		for (unsigned lane : lanes) {
			struct fiber *f = &fibers[w * 32 + lane];

			if ((ready >> lane & 1) == 0)
				continue;
			fiber_resume(f);
			if (f->state != ENDED)
				continue;
			warps[w].ready &= ~(1u << lane);
			warps[w].ended |= 1u << lane;
			now.ended++;
		}
	}
	if (__tsan_destroy_fiber != NULL)
		for (int i = 0; i < now.n; i++)
			__tsan_destroy_fiber(fibers[i].tsan);
}

void
simt_run(const struct simt_work &work)
{
	dim3			 g = work.grid;
	std::vector<unsigned>	 x, y, z;

	now.work = &work;
	if (__tsan_get_current_fiber != NULL)
		now.tsan = __tsan_get_current_fiber();
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
	acquire(&now.end);
	now.work = NULL;
}

/* ---- collectives */

/* Wait in warp w until all its lanes have come to op at this place. */
static void
warp_meet(struct fiber *f, enum simt_op op, struct simt_place at)
{
	int		 number = (int)(f - &fibers[0]) / 32;
	struct warp	*w = &warps[number];

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
			fibers[number * 32 + i].state = READY;
	}
	fiber_yield(f);
}

void
simt_sync_warp(struct simt_place at)
{
	struct fiber	*f = static_cast<struct fiber *>(simt_self);
	char		*token = &warps[(f - &fibers[0]) / 32].order[f->phase];

	f->phase ^= 1;
	release(token);
	warp_meet(f, SIMT_SYNC_WARP, at);
	acquire(token);
}

const struct simt_slot *
simt_exchange(enum simt_op op, const struct simt_slot &mine,
    struct simt_place at)
{
	struct fiber		*f = static_cast<struct fiber *>(simt_self);
	struct simt_slot	*slots = warps[(f - &fibers[0]) / 32].
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
	struct fiber	*f = static_cast<struct fiber *>(simt_self);
	int		 number = (int)(f - &fibers[0]) / 32;
	char		*token = &now.order[now.phase];

	if (simt_counting)
		simt_count_op(SIMT_SYNC_BLOCK);
	f->op = SIMT_SYNC_BLOCK;
	f->at = at;
	f->state = AT_BLOCK;
	warps[number].ready &= ~(1u << f->lane);
	if (now.arrived > 0 && place_differs(now.at, at))
		simt_fault("threads are at different barriers: %s",
		    fibers_say(0, now.n).c_str());
	now.at = at;
	if (now.ended > 0)
		simt_fault("%s:%d: SYNC_BLOCK after threads have ended: %s",
		    at.file, at.line, fibers_say(0, now.n).c_str());
	release(token);
	if (++now.arrived == now.n) {
		now.arrived = 0;
		now.phase ^= 1;
		for (int i = 0; i < now.n; i++)
			fibers[i].state = READY;
		for (struct warp &w : warps) {
			w.ready = w.lanes;
			w.priority = simt_random(1u << 20);
		}
	}
	fiber_yield(f);
	acquire(token);
}

/* ---- single lanes */

void
simt_count(enum simt_op op)
{
	if (simt_counting)
		simt_count_op(op);
}

/* On its own size? */
static void
check_alignment(const void *p, unsigned size, struct simt_place at)
{
	if (reinterpret_cast<uintptr_t>(p) % size != 0)
		simt_fault("%s:%d: %u bytes at %p, which is not a multiple of "
		    "%u", at.file, at.line, size, p, size);
}

void
simt_global(const void *p, unsigned size, enum simt_access access,
    struct simt_place at)
{
	struct fiber *f = static_cast<struct fiber *>(simt_self);

	check_alignment(p, size, at);
	if (!simt_is_device(p) && !simt_is_pinned(p))
		simt_fault("%s:%d: %p is not in the memory of the device",
		    at.file, at.line, p);
	if (simt_counting)
		simt_count_global((int)(f - &fibers[0]) / 32, f->lane, p,
		    size, access, at);
}

void
simt_shared_access(const void *p, unsigned size, enum simt_access access,
    struct simt_place at)
{
	struct fiber *f = static_cast<struct fiber *>(simt_self);

	check_alignment(p, size, at);
	if (p < now.shared || p >= now.shared + SHARED_ROOM)
		simt_fault("%s:%d: %p is not in shared memory", at.file,
		    at.line, p);
	if (simt_counting)
		simt_count_shared((int)(f - &fibers[0]) / 32, f->lane, p,
		    size, access, at);
}

void
simt_async_add(void *dst, const void *src, bool use, struct simt_place at)
{
	struct fiber	*f = static_cast<struct fiber *>(simt_self);
	int		 i = (f->first + f->ncopies) % COPIES;

	if (simt_counting)
		simt_count_op(SIMT_CP_ASYNC);
	if (use)
		simt_global(src, 16, SIMT_READ, at);
	simt_shared_access(dst, 16, SIMT_WRITE, at);
	if (f->ncopies == COPIES)
		simt_fault("%s:%d: %d copies of cp.async on their way",
		    at.file, at.line, COPIES);
	f->copies[i] = { dst, src, use };
	f->groups[i] = f->group;
	f->ncopies++;
}

void
simt_async_commit()
{
	static_cast<struct fiber *>(simt_self)->group++;
}

bool
simt_async_next(int keep, struct simt_copy *out)
{
	struct fiber *f = static_cast<struct fiber *>(simt_self);

	/* Copies that are in no group yet have the number f->group. */
	if (f->ncopies == 0 || f->groups[f->first] >= f->group - keep)
		return (false);
	out->dst = f->copies[f->first].dst;
	out->src = f->copies[f->first].src;
	out->use = f->copies[f->first].use;
	f->first = (f->first + 1) % COPIES;
	f->ncopies--;
	return (true);
}
