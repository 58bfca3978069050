/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread does alone: shared memory, checked accesses and cp.async.
 * Compiled without any -fsanitize, as simt.cpp.
 */
#include "fiber.h"

/* Fill with NaN.  Not memset: TSan would take it for an access. */
static void
fill(char *p, size_t n)
{
	volatile uint64_t *q = reinterpret_cast<volatile uint64_t *>(p);

	/* Up to 7 bytes more: a red zone follows. */
	for (; n > 0; n -= n < 8 ? n : 8)
		*q++ = ~0ull;
}

char *
shared_take(size_t size)
{
	char *p = simt_now.next;

	simt_now.next += (size + RED_ZONE - 1) / RED_ZONE * RED_ZONE + RED_ZONE;
	if (simt_now.next > simt_now.shared + SHARED_ROOM)
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

	for (int i = 0; i < simt_now.narrays; i++)
		if (simt_now.arrays[i].key == key)
			return (simt_now.arrays[i].p);
	simt_now.bytes += size;
	if (simt_now.bytes > SHARED_STATIC || simt_now.narrays == ARRAYS)
		simt_fault("%s:%d: SHARED_ARRAY number %d, %zu bytes in all; "
		    "at most %d and %d are allowed", at.file, at.line,
		    simt_now.narrays + 1, simt_now.bytes, ARRAYS,
		    SHARED_STATIC);
	p = shared_take(size);
	simt_now.arrays[simt_now.narrays++] = { key, p };
	return (p);
}

void *
simt_dyn_shared()
{
	return (simt_now.dyn);
}

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
	struct simt_fiber *f = fiber_self();

	check_alignment(p, size, at);
	if (!simt_is_device(p) && !simt_is_pinned(p))
		simt_fault("%s:%d: %p is not in the memory of the device",
		    at.file, at.line, p);
	if (simt_counting)
		simt_count_global((int)(f - &simt_fibers[0]) / 32, f->lane, p,
		    size, access, at);
}

void
simt_shared_access(const void *p, unsigned size, enum simt_access access,
    struct simt_place at)
{
	struct simt_fiber *f = fiber_self();

	check_alignment(p, size, at);
	if (p < simt_now.shared || p >= simt_now.shared + SHARED_ROOM)
		simt_fault("%s:%d: %p is not in shared memory", at.file,
		    at.line, p);
	if (simt_counting)
		simt_count_shared((int)(f - &simt_fibers[0]) / 32, f->lane, p,
		    size, access, at);
}

void
simt_async_add(void *dst, const void *src, bool use, struct simt_place at)
{
	struct simt_fiber	*f = fiber_self();
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
	fiber_self()->group++;
}

bool
simt_async_next(int keep, struct simt_copy *out)
{
	struct simt_fiber *f = fiber_self();

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
