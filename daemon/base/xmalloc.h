/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small allocations that end the process if memory runs out.  The caller checks
 * sizes that come from outside against a named limit.  Large buffers (weights,
 * caches) use malloc or mmap and report CHAT_ENOMEM.
 */
#ifndef BASE_XMALLOC_H
#define BASE_XMALLOC_H

#include <stddef.h>

#define nitems(a) (sizeof (a) / sizeof (a)[0])

void	*xmalloc(size_t size);
void	*xcalloc(size_t n, size_t size);
void	*xreallocarray(void *p, size_t n, size_t size);
char	*xstrdup(const char *s);	/* s may be NULL: returns NULL */
char	*xstrndup(const char *s, size_t n);
char	*xasprintf(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

#endif
