/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation that cannot fail: if memory runs out, it prints a message and ends
 * the process.
 */
#include "xmalloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

/* Allocate size bytes. */
void *
xmalloc(size_t size)
{
	void	*p;

	if ((p = malloc(size == 0 ? 1 : size)) == NULL)
		fatalx("out of memory: %zu bytes wanted", size);
	return (p);
}

/* Allocate n zeroed items. */
void *
xcalloc(size_t n, size_t size)
{
	void	*p;

	if (n == 0 || size == 0)
		n = size = 1;
	if ((p = calloc(n, size)) == NULL)
		fatalx("out of memory: %zu x %zu bytes wanted", n, size);
	return (p);
}

/* Resize an array to n items. */
void *
xreallocarray(void *p, size_t n, size_t size)
{
	void	*q;

	if (n == 0 || size == 0)
		n = size = 1;
	if ((q = reallocarray(p, n, size)) == NULL)
		fatalx("out of memory: %zu x %zu bytes wanted", n, size);
	return (q);
}

/* Copy a string; NULL stays NULL. */
char *
xstrdup(const char *s)
{
	return (s == NULL ? NULL : xstrndup(s, strlen(s)));
}

/* Copy n bytes and end them with NUL. */
char *
xstrndup(const char *s, size_t n)
{
	char	*p;

	p = xmalloc(n + 1);
	memcpy(p, s, n);
	p[n] = '\0';
	return (p);
}

/* Print into a new string. */
char *
xasprintf(const char *fmt, ...)
{
	va_list	 ap;
	char	*s;
	int	 r;

	va_start(ap, fmt);
	r = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (r == -1)
		fatalx("out of memory");
	return (s);
}
