/* SPDX-License-Identifier: Apache-2.0 */
/* What simt.cpp, fiber.cpp and lane.cpp share: the threads of a block. */
#ifndef SIMT_FIBER_H
#define SIMT_FIBER_H

#include "simt_impl.h"

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

enum simt_state { READY, AT_WARP, AT_BLOCK, ENDED };

struct simt_fiber : simt_thread {
	enum simt_state	 state;
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

struct simt_warp {
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
struct simt_array {
	const void	*key;
	char		*p;
};

struct simt_now {
	const struct simt_work	*work;
	uint3			 index;		/* of the block */
	int			 n;		/* threads */
	int			 arrived, ended;
	int			 phase;		/* of SYNC_BLOCK */
	enum simt_state		 waiting;
	struct simt_place	 at;		/* where the first one waits */
	struct simt_array		 arrays[ARRAYS];
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
};

extern struct simt_now		 simt_now;
extern std::vector<struct simt_fiber> simt_fibers;	/* of the block */
extern std::vector<struct simt_warp>	 simt_warps;

/* The running fiber, in a kernel. */
inline struct simt_fiber *
fiber_self()
{
	return (static_cast<struct simt_fiber *>(simt_self));
}

/* Let f start at fiber_main when it is resumed. */
void	fiber_prepare(struct simt_fiber *f);
void	fiber_main();
/* Run f until it waits or ends. */
void	fiber_resume(struct simt_fiber *f);
/* Back to the scheduler; returns when f may go on. */
void	fiber_yield(struct simt_fiber *f);
/* Map stacks and shared memory for n threads; simt_now.shared is the latter. */
void	fiber_map(int n);
/* size bytes of the block's shared memory, filled with NaN, with a red zone
 * after them. */
char	*shared_take(size_t size);

/* What TSan learns: all that was done before tsan_release(p) comes before all
 * that is done after tsan_acquire(p). */
inline void
tsan_release(void *p)
{
	if (__tsan_release != NULL)
		__tsan_release(p);
}

inline void
tsan_acquire(void *p)
{
	if (__tsan_acquire != NULL)
		__tsan_acquire(p);
}

#endif
