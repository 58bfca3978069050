/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files features*.c share.
 */
#ifndef CLASSIFIER_FEATURES_IMPL_H
#define CLASSIFIER_FEATURES_IMPL_H

#include "features.h"

/*
 * Read the token at text[i..end), i < end: its kind and text. Returns the index
 * after it, or SIZE_MAX if it may go on after end. t->kind is FEATURES_NONE for
 * a space.
 */
size_t	 features_read(const char *text, size_t i, size_t end, int final,
	    struct features_token *t);

#endif
