/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA kernels on the CPU: each thread of a block is a fiber, and all of them
 * run in the one thread of the host that launches.  The first part is what
 * engine/cuda/device.h calls; the second is for tests.  cuda_runtime.h of this
 * folder includes this file; README.md says how a test is written.
 */
#ifndef SIMT_H
#define SIMT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/* Where a call stands: made as a default argument, it is the caller's line. */
struct simt_place {
	const char	*file;
	int		 line;

	simt_place(const char *f = __builtin_FILE(), int l = __builtin_LINE())
	    : file(f), line(l) {}
};

/* What is counted, and what a warp meets at. */
enum simt_op {
	SIMT_SYNC_BLOCK, SIMT_SYNC_WARP, SIMT_SHUFFLE, SIMT_BALLOT,
	SIMT_LDMATRIX, SIMT_MMA_F16, SIMT_MMA_BF16, SIMT_MMA_S8, SIMT_DP4A,
	SIMT_LOP3, SIMT_CP_ASYNC, SIMT_OPS
};

/* What a lane shows to the others of its warp. */
struct alignas(16) simt_slot {
	union {
		uint32_t	u[12];
		float		f[12];
		uint16_t	h[24];
	};
};

/* The running CUDA thread, or NULL in host code. */
struct simt_thread {
	uint3	thread, block;		/* threadIdx, blockIdx */
	dim3	block_dim, grid_dim;
	int	lane;
};
extern struct simt_thread *simt_self;

/* A copy of cp.async that is due. */
struct simt_copy {
	void		*dst;
	const void	*src;
	bool		 use;
};

enum simt_access { SIMT_READ, SIMT_WRITE };

inline int
simt_lane()
{
	return (simt_self->lane);
}

/* Barriers. Each ends the process with a fault if not all threads come. */
void	simt_sync_block(struct simt_place at);
void	simt_sync_warp(struct simt_place at);
/* Show mine to the warp; returns what the 32 lanes show, valid until the lane's
 * next collective. It orders no memory. */
const struct simt_slot *simt_exchange(enum simt_op op,
	    const struct simt_slot &mine, struct simt_place at);
/* Count an instruction of this lane. */
void	simt_count(enum simt_op op);
/* Check and count an access of size bytes to global or to shared memory. */
void	simt_global(const void *p, unsigned size, enum simt_access access,
	    struct simt_place at);
void	simt_shared_access(const void *p, unsigned size,
	    enum simt_access access, struct simt_place at);
/* The block's array that is known by key, made at its first use; and the
 * dynamic shared memory of the launch. */
void	*simt_shared(const void *key, size_t size, struct simt_place at);
void	*simt_dyn_shared();
/* cp.async: a copy is due only when a wait asks for its group. next returns
 * false if no copy outside the newest keep groups is left. */
void	simt_async_add(void *dst, const void *src, bool use,
	    struct simt_place at);
void	simt_async_commit();
bool	simt_async_next(int keep, struct simt_copy *out);

/* Show v to the warp and return what lane src shows. */
template <typename T>
T
simt_exchange4(enum simt_op op, T v, int src, struct simt_place at)
{
	struct simt_slot mine = {};

	memcpy(&mine.u[0], &v, 4);
	const struct simt_slot *all = simt_exchange(op, mine, at);
	memcpy(&v, &all[src].u[0], 4);
	return (v);
}

/* An argument of a launch, as far as it may hold a pointer: its bytes. */
struct simt_arg {
	const void	*bytes;
	size_t		 size;
	bool		 pointer;	/* not a struct, but a pointer itself */
};

/* Launch what LAUNCH has taken apart: see runtime.cpp. */
void	simt_launch_any(const char *name, const void *kernel, dim3 grid,
	    dim3 block, size_t smem, cudaStream_t stream,
	    std::function<void()> body,
	    const std::vector<struct simt_arg> &args);

template <typename... P, typename... A>
void
simt_launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
    size_t smem, cudaStream_t stream, A &&...args)
{
	static_assert(sizeof...(P) == sizeof...(A), "arguments of a kernel");
	std::tuple<std::decay_t<P>...> copy(std::forward<A>(args)...);
	std::vector<struct simt_arg> list;

	std::apply([&list](const auto &...v) {
		(list.push_back({ &v, sizeof v, std::is_pointer<
		    std::decay_t<decltype(v)>>::value }), ...);
	}, copy);
	simt_launch_any(name, reinterpret_cast<const void *>(kernel), grid,
	    block, smem, stream,
	    [kernel, copy]() { std::apply(kernel, copy); }, list);
}

/* ---- for tests */

/* The order in which threads run. Forward and reversed: warps and lanes by
 * number, in turns from barrier to barrier. Random: warps have priorities drawn
 * from seed, so that one runs ahead of the others; blocks and lanes come in any
 * order. At the start it is that of $SIMT_ORDER: forward, reversed, or a seed;
 * without it, forward. */
enum simt_order { SIMT_FORWARD, SIMT_REVERSED, SIMT_RANDOM };
void	simt_set_order(enum simt_order order, unsigned seed = 1);

/* Report a defect of the code under test and end the process, status 86. */
[[noreturn]] void simt_fault(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

/* The number of devices, and what one is like: any member may be changed
 * before it is used. totalGlobalMem is what cudaMalloc can give. */
void	simt_set_devices(int n);
struct cudaDeviceProp *simt_device(int device);

/*
 * Let the n-th call from now of a function of the runtime fail, counted from 1,
 * with error e; 0 stands for what that call most likely gives. The call's name
 * is as in CUDA: "cudaMalloc". "launch" is a LAUNCH, "kernel" the run of one:
 * its error is sticky, as any of 700 and above. NULL forgets all.
 */
void	simt_fail_at(const char *call, int n, int e = 0);
/* How often a call was made so far. */
int	simt_calls(const char *call);
/* Names and calls, of all functions called so far. */
std::vector<std::pair<const char *, int>> simt_all_calls();
/* What was made and not yet freed. */
struct simt_live {
	int	allocations, pinned, streams, events, graphs;
};
struct simt_live simt_live();
/* End of a test: forget sticky errors, work that waits, planned failures. */
void	simt_reset();

/* What one launch did. README.md says what each figure means. */
struct simt_counts {
	const char	*kernel;
	dim3		 grid, block;
	uint64_t	 ops[SIMT_OPS];	/* lane instructions */
	struct {
		uint64_t accesses;	/* warp-wide */
		uint64_t bytes;		/* asked for, summed over lanes */
		uint64_t used;		/* different bytes of each access */
		uint64_t sectors;	/* of 32 bytes, of each access */
		uint64_t unique;	/* different sectors of the launch */
	}		 global[2];	/* by enum simt_access */
	struct {
		uint64_t accesses;	/* warp-wide */
		uint64_t bytes;		/* asked for, summed over lanes */
		uint64_t passes;	/* over the banks, that were needed */
		uint64_t ideal;		/* without any conflict */
	}		 shared[2];
};

/* Count the launches that run from now on, and what was counted. A program with
 * TSan can't: the notes would be races for it. */
bool	simt_can_count();
void	simt_count_start();
std::vector<struct simt_counts> simt_count_stop();
void	simt_count_print(FILE *f, const struct simt_counts &c);
const char *simt_op_name(enum simt_op op);

#endif
