/* SPDX-License-Identifier: Apache-2.0 */
#include "encoder_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sha256.h"
#include "xmalloc.h"

/* A path. */
char *
encfix_path(const char *name)
{
	const char	*src = getenv("srcdir");

	return (xasprintf("%s/tests/data/encoder/%s", src == NULL ? "." : src,
	    name));
}

/* Open tiny.enc. */
struct encoder *
encfix_encoder(const char *isa)
{
	struct encoder	*e = NULL;
	struct fault	 f = { .message = "" };
	char		*path = encfix_path("tiny.enc");

	if (encoder_kernels_find(isa) != NULL &&
	    encoder_open(path, isa, &e, &f) != 0)
		fail_msg("%s", f.message);
	free(path);
	return (e);
}

/* Read tiny.enc. */
uint8_t *
encfix_bytes(size_t *n)
{
	char	*path = encfix_path("tiny.enc");
	uint8_t	*p = xmalloc(65536);
	FILE	*f = fopen(path, "rb");

	assert_non_null(f);
	*n = fread(p, 1, 65536, f);
	fclose(f);
	free(path);
	return (p);
}

/* Write a file. */
char *
encfix_write(uint8_t *bytes, size_t n, int digest)
{
	struct sha256	 s;
	char		 hex[SHA256_HEX], *path = xstrdup("/tmp/encXXXXXX");
	unsigned	 v;
	size_t		 i;
	int		 fd;

	if (digest) {
		sha256_init(&s);
		sha256_add(&s, bytes, n - 32);
		sha256_end(&s, hex);
		for (i = 0; i < 32; i++) {
			sscanf(hex + 2 * i, "%2x", &v);
			bytes[n - 32 + i] = (uint8_t)v;
		}
	}
	assert_true((fd = mkstemp(path)) != -1);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	return (path);
}
