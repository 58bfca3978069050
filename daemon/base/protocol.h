/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts on which both ends of a channel must agree.
 */
#ifndef BASE_PROTOCOL_H
#define BASE_PROTOCOL_H

/* Longest line that a helper takes. chatd takes less from each helper, see
 * roles.c. The longest answer is a score of a whole context with all of its
 * logits, which chatd never requests. */
#define HELPER_LINE_MAX		(64 * 1024 * 1024)

/* Largest number that survives a trip through any JSON reader: 2^53 - 1. */
#define JSON_INT_MAX		9007199254740991

/* Conversation text that chatd hands to the engine, at most; the engine then
 * drops turns that do not fit the context. */
#define HISTORY_BYTES_MAX	(256 * 1024)

/* Text of one request that the engine takes, at most. */
#define TEXT_BYTES_MAX		(1024 * 1024)

/* The line protocol's version, announced in hello and ready. */
#define PROTOCOL_VERSION	1

#endif
