/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices and their memory.  It is a range of addresses of its own, which the
 * host can touch only while work of a stream runs: outside of it, and after
 * cudaFree, a touch is a fault.  Addresses are never used twice.
 */
#include "runtime.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <map>

#define RANGE		(256ull << 30)	/* addresses for all allocations */
#define PAGE		4096ull
#define ALIGN		256ull
#define FILL_MOST	(256ull << 20)	/* bytes that get NaN */

namespace {

struct block {
	size_t	 size;
	int	 device;
	char	*pages;
	size_t	 length;	/* of the pages */
};

}

static std::vector<struct cudaDeviceProp>	 devices;
static std::vector<size_t>			 used;
static int					 current;
static char					*range, *next;
static std::map<const char *, struct block>	 blocks;	/* live */
static std::map<const char *, struct block>	 freed;
static std::map<const char *, size_t>		 pinned;
static std::map<const char *, size_t>		 pinned_owned;	/* a part */
static bool					 is_open;

/* The entry of m that p lies in, or its end. */
template <typename T>
static auto
find_in(std::map<const char *, T> &m, const void *p)
{
	auto i = m.upper_bound(static_cast<const char *>(p));

	return (i == m.begin() ? m.end() : --i);
}

/* ---- devices */

static struct cudaDeviceProp
device_make(int n)
{
	struct cudaDeviceProp p = {};

	snprintf(p.name, sizeof p.name, "cuda-host %d", n);
	p.totalGlobalMem = 8ull << 30;
	p.sharedMemPerBlock = 48 * 1024;
	p.sharedMemPerBlockOptin = 163 * 1024;
	p.sharedMemPerMultiprocessor = 164 * 1024;
	p.regsPerBlock = 65536;
	p.warpSize = 32;
	p.maxThreadsPerBlock = 1024;
	p.maxThreadsPerMultiProcessor = 2048;
	p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
	p.maxThreadsDim[2] = 64;
	p.maxGridSize[0] = 0x7fffffff;
	p.maxGridSize[1] = p.maxGridSize[2] = 65535;
	p.major = 8;
	p.multiProcessorCount = 4;
	p.l2CacheSize = 4 << 20;
	p.memoryBusWidth = 256;
	p.pciBusID = n + 1;
	return (p);
}

void
simt_set_devices(int n)
{
	devices.clear();
	used.resize((size_t)n, 0);
	for (int i = 0; i < n; i++)
		devices.push_back(device_make(i));
	current = 0;
}

/* Called before anything else needs a device. */
static void
devices_init()
{
	static bool done;

	if (!done && devices.empty())
		simt_set_devices(1);
	done = true;
}

struct cudaDeviceProp *
simt_device(int device)
{
	devices_init();
	return (&devices.at((size_t)device));
}

int
simt_current()
{
	return (current);
}

struct cudaDeviceProp *
simt_current_device()
{
	return (simt_device(current));
}

cudaError_t
cudaGetDeviceCount(int *count)
{
	ENTER(cudaGetDeviceCount, cudaErrorInsufficientDriver);
	devices_init();
	if (devices.empty())
		return (simt_error(cudaErrorNoDevice));
	*count = (int)devices.size();
	return (cudaSuccess);
}

cudaError_t
cudaGetDevice(int *device)
{
	ENTER(cudaGetDevice, cudaErrorInitializationError);
	*device = current;
	return (cudaSuccess);
}

cudaError_t
cudaSetDevice(int device)
{
	ENTER(cudaSetDevice, cudaErrorInvalidDevice);
	devices_init();
	if (device < 0 || (size_t)device >= devices.size())
		return (simt_error(cudaErrorInvalidDevice));
	current = device;
	return (cudaSuccess);
}

cudaError_t
cudaGetDeviceProperties(struct cudaDeviceProp *out, int device)
{
	ENTER(cudaGetDeviceProperties, cudaErrorInvalidDevice);
	devices_init();
	if (device < 0 || (size_t)device >= devices.size())
		return (simt_error(cudaErrorInvalidDevice));
	*out = devices[(size_t)device];
	return (cudaSuccess);
}

cudaError_t
cudaDeviceGetAttribute(int *out, enum cudaDeviceAttr a, int device)
{
	const struct cudaDeviceProp *p;

	ENTER(cudaDeviceGetAttribute, cudaErrorInvalidValue);
	devices_init();
	if (device < 0 || (size_t)device >= devices.size())
		return (simt_error(cudaErrorInvalidDevice));
	p = &devices[(size_t)device];
	switch (a) {
	case cudaDevAttrMaxThreadsPerBlock:
		*out = p->maxThreadsPerBlock;
		break;
	case cudaDevAttrMaxSharedMemoryPerBlock:
		*out = (int)p->sharedMemPerBlock;
		break;
	case cudaDevAttrMaxSharedMemoryPerBlockOptin:
		*out = (int)p->sharedMemPerBlockOptin;
		break;
	case cudaDevAttrMultiProcessorCount:
		*out = p->multiProcessorCount;
		break;
	case cudaDevAttrL2CacheSize:
		*out = p->l2CacheSize;
		break;
	case cudaDevAttrComputeCapabilityMajor:
		*out = p->major;
		break;
	case cudaDevAttrComputeCapabilityMinor:
		*out = p->minor;
		break;
	default:
		return (simt_error(cudaErrorInvalidValue));
	}
	return (cudaSuccess);
}

cudaError_t
cudaDriverGetVersion(int *version)
{
	ENTER(cudaDriverGetVersion, cudaErrorInvalidValue);
	*version = CUDART_VERSION;
	return (cudaSuccess);
}

cudaError_t
cudaRuntimeGetVersion(int *version)
{
	ENTER(cudaRuntimeGetVersion, cudaErrorInvalidValue);
	*version = CUDART_VERSION;
	return (cudaSuccess);
}

/* ---- who may touch what */

/* Say what is wrong with an address, in a program without sanitizers. */
static void
on_fault(int sig, siginfo_t *info, void *)
{
	const char	*p = static_cast<const char *>(info->si_addr);
	auto		 b = find_in(blocks, p), f = find_in(freed, p);

	(void)sig;
	if (simt_is_guard(p))
		simt_fault("the stack of a thread is full");
	if (!simt_is_device(p))
		simt_fault("no memory at %p", static_cast<const void *>(p));
	if (f != freed.end() && p < f->first + f->second.size)
		simt_fault("%p was freed by cudaFree",
		    static_cast<const void *>(p));
	if (b != blocks.end() && p >= b->second.pages + b->second.length)
		simt_fault("%p is %zu bytes after an allocation of %zu bytes",
		    static_cast<const void *>(p),
		    (size_t)(p - b->first) - b->second.size, b->second.size);
	simt_fault("the host touches device memory at %p",
	    static_cast<const void *>(p));
}

/* Reserve the range; have faults explained if no sanitizer does it. */
static void
range_init()
{
	static char	 stack[64 * 1024];
	struct sigaction sa = {};
	stack_t		 ss = {};

	/* Not mmap: TSan would clear its notes on all of it. */
	range = reinterpret_cast<char *>(syscall(SYS_mmap, NULL, RANGE,
	    PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	if (range == MAP_FAILED)
		simt_fault("no addresses for device memory");
	next = range + PAGE;
	if (__tsan_release != NULL || __asan_poison_memory_region != NULL)
		return;
	ss.ss_sp = stack;
	ss.ss_size = sizeof stack;
	sigaltstack(&ss, NULL);
	sa.sa_sigaction = on_fault;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/* Open device memory to the host, or close it. */
void
simt_memory_open(bool open)
{
	if (open == is_open)
		return;
	for (const auto &b : blocks)
		syscall(SYS_mprotect, b.second.pages, b.second.length,
		    open ? PROT_READ | PROT_WRITE : PROT_NONE);
	is_open = open;
}

bool
simt_is_device(const void *p)
{
	return (p >= range && p < next);
}

bool
simt_is_pinned(const void *p)
{
	auto i = find_in(pinned, p);

	return (i != pinned.end() && p < i->first + i->second);
}

/* Does [p, p + size) lie in one allocation? */
bool
simt_is_allocated(const void *p, size_t size)
{
	auto		 i = find_in(blocks, p);
	const char	*c = static_cast<const char *>(p);

	return (i != blocks.end() && c + size <= i->first + i->second.size);
}

void
simt_live_memory(struct simt_live *out)
{
	out->allocations = (int)blocks.size();
	out->pinned = (int)pinned.size();
}

/* ---- allocation */

cudaError_t
simt_malloc(void **p, size_t size)
{
	size_t		 whole = (size + ALIGN - 1) / ALIGN * ALIGN;
	struct block	 b;
	char		*at;

	ENTER(cudaMalloc, cudaErrorMemoryAllocation);
	if (simt_capture_forbids())
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	devices_init();
	*p = NULL;
	if (size == 0)
		return (cudaSuccess);
	if (range == NULL)
		range_init();
	b.length = (whole + PAGE - 1) / PAGE * PAGE;
	if (size > RANGE || used[current] + whole >
	    simt_current_device()->totalGlobalMem ||
	    next + b.length + 2 * PAGE > range + RANGE)
		return (simt_error(cudaErrorMemoryAllocation));
	/* It ends where its last page does, and an empty page follows. */
	b.size = size;
	b.device = current;
	b.pages = next;
	at = b.pages + b.length - whole;
	next += b.length + PAGE;
	syscall(SYS_mprotect, b.pages, b.length, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < whole && i < FILL_MOST; i += 8)
		*reinterpret_cast<volatile uint64_t *>(at + i) = ~0ull;
	if (__asan_poison_memory_region != NULL) {
		__asan_poison_memory_region(b.pages, b.length);
		__asan_unpoison_memory_region(at, size);
	}
	if (!is_open)
		syscall(SYS_mprotect, b.pages, b.length, PROT_NONE);
	used[current] += whole;
	blocks[at] = b;
	*p = at;
	return (cudaSuccess);
}

cudaError_t
cudaFree(void *p)
{
	cudaError_t e;

	ENTER(cudaFree, cudaErrorInvalidValue);
	if (p == NULL)
		return (cudaSuccess);
	if (simt_capture_forbids())
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	auto i = blocks.find(static_cast<char *>(p));
	if (i == blocks.end())
		return (simt_error(cudaErrorInvalidValue));
	if ((e = simt_drain_all()) != cudaSuccess)
		return (e);
	struct block b = i->second;
	syscall(SYS_mprotect, b.pages, b.length, PROT_NONE);
	syscall(SYS_madvise, b.pages, b.length, MADV_DONTNEED);
	used[b.device] -= (b.size + ALIGN - 1) / ALIGN * ALIGN;
	freed[i->first] = b;
	blocks.erase(i);
	return (cudaSuccess);
}

cudaError_t
cudaMemGetInfo(size_t *free, size_t *total)
{
	ENTER(cudaMemGetInfo, cudaErrorInvalidValue);
	devices_init();
	*total = simt_current_device()->totalGlobalMem;
	*free = *total - used[current];
	return (cudaSuccess);
}

cudaError_t
simt_malloc_host(void **p, size_t size, unsigned flags)
{
	void *q = NULL;

	(void)flags;
	ENTER(cudaMallocHost, cudaErrorMemoryAllocation);
	*p = NULL;
	if (size == 0)
		return (cudaSuccess);
	if (posix_memalign(&q, 256, size) != 0)
		return (simt_error(cudaErrorMemoryAllocation));
	memset(q, 0xff, size);
	pinned[static_cast<char *>(q)] = size;
	pinned_owned[static_cast<char *>(q)] = size;
	*p = q;
	return (cudaSuccess);
}

cudaError_t
cudaFreeHost(void *p)
{
	cudaError_t e;

	ENTER(cudaFreeHost, cudaErrorInvalidValue);
	if (p == NULL)
		return (cudaSuccess);
	if (pinned_owned.count(static_cast<char *>(p)) == 0)
		return (simt_error(cudaErrorInvalidValue));
	if ((e = simt_drain_all()) != cudaSuccess)
		return (e);
	pinned.erase(static_cast<char *>(p));
	pinned_owned.erase(static_cast<char *>(p));
	free(p);
	return (cudaSuccess);
}

cudaError_t
cudaHostRegister(void *p, size_t size, unsigned flags)
{
	(void)flags;
	ENTER(cudaHostRegister, cudaErrorMemoryAllocation);
	if (p == NULL || size == 0)
		return (simt_error(cudaErrorInvalidValue));
	if (simt_is_pinned(p))
		return (simt_error(cudaErrorHostMemoryAlreadyRegistered));
	pinned[static_cast<char *>(p)] = size;
	return (cudaSuccess);
}

cudaError_t
cudaHostUnregister(void *p)
{
	cudaError_t e;

	ENTER(cudaHostUnregister, cudaErrorHostMemoryNotRegistered);
	if (pinned.count(static_cast<char *>(p)) == 0 ||
	    pinned_owned.count(static_cast<char *>(p)) != 0)
		return (simt_error(cudaErrorHostMemoryNotRegistered));
	if ((e = simt_drain_all()) != cudaSuccess)
		return (e);
	pinned.erase(static_cast<char *>(p));
	return (cudaSuccess);
}
