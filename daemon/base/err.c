/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the error codes, and the fault record that carries one to a human.
 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>

/* Return a few words for an error code. */
const char *
chat_strerror(int r)
{
	static const char *const names[] = {
		[0] = "success",
		[-CHAT_ESYSTEM] = "system error",
		[-CHAT_EFORMAT] = "malformed data",
		[-CHAT_ETOOBIG] = "over the limit",
		[-CHAT_ENOTFOUND] = "not found",
		[-CHAT_ESHAPE] = "sizes do not fit together",
		[-CHAT_ENOMEM] = "out of memory",
		[-CHAT_EUNSUPPORTED] = "not supported by this build",
		[-CHAT_EDENIED] = "permission denied",
		[-CHAT_EBUSY] = "busy",
		[-CHAT_ECLOSED] = "closed by the other side",
		[-CHAT_EPROTOCOL] = "line protocol broken",
	};

	if (r > 0 || -r >= (int)(sizeof names / sizeof names[0]))
		return ("unknown error");
	return (names[-r]);
}

/* Replace control characters, so that words from outside can't break the
 * line. */
static void
fault_plain(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			*s = '?';
}

/* Fill a fault record. */
int
fault_set(struct fault *f, const char *code, const char *field,
    const char *fmt, ...)
{
	va_list	 ap;

	if (f == NULL)
		return (CHAT_EFORMAT);
	f->code = code;
	snprintf(f->field, sizeof f->field, "%s", field == NULL ? "" : field);
	va_start(ap, fmt);
	vsnprintf(f->message, sizeof f->message, fmt, ap);
	va_end(ap);
	fault_plain(f->field);
	fault_plain(f->message);
	return (CHAT_EFORMAT);
}
