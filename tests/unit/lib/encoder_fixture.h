/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tiny encoder of tests/data/encoder, for tests.
 */
#ifndef ENCODER_FIXTURE_H
#define ENCODER_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "encoder.h"

/* The path of a file of tests/data/encoder (owned). */
char	*encfix_path(const char *name);

/* Open tiny.enc for an instruction set; NULL if this processor lacks it. */
struct encoder *encfix_encoder(const char *isa);

/* Read tiny.enc (owned, *n bytes). */
uint8_t	*encfix_bytes(size_t *n);

/* Write n bytes to a new file, with the right digest at their end if "digest".
 * Returns its path (owned). */
char	*encfix_write(uint8_t *bytes, size_t n, int digest);

#endif
