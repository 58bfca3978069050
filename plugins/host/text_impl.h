/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for text.c and tail.c only.  text.c has the table of texts, and
 * scores; tail.c keeps the end of each text.
 */
#ifndef TEXT_IMPL_H
#define TEXT_IMPL_H

#include <sys/queue.h>

#include "filter.h"

#define TEXT_BUCKETS	1024	/* a power of 2 */

/* A score for a plugin with a band. */
struct text_note {
	int64_t	 end;		/* of the finding */
	size_t	 category;
	double	 score;
};

/* What the host keeps of a text for a plugin with a band. */
struct text_bander {
	struct text_band	 band;
	struct text_note	*note;		/* owned: n of findings that
						 * end later */
	size_t			 n, size;
	double			*scores;	/* owned: the highest of each
						 * category, of the others */
};

struct text {
	LIST_ENTRY(text)	 entry;
	int64_t			 id;		/* 0: not in the table */
	int64_t			 judged;	/* bytes judged */
	int64_t			 settled;	/* bytes settled; -1: no check
						 * was answered */
	size_t			 ncategories;
	struct text_plugin	 plugin[FILTER_PLUGINS_MAX];
	double			*scores;	/* owned: of each plugin, the
						 * highest of each category */
	struct text_bander	*band[FILTER_PLUGINS_MAX];	/* owned; NULL:
						 * no band */
	char			*tail;		/* owned: its last bytes */
	size_t			 tail_len, tail_size;
	int64_t			 tail_from;	/* bytes before them */
	char			*cut;		/* NULL, or a byte that is NUL
						 * now ... */
	char			 was;		/* ... and what it was */
};

struct texts {
	LIST_HEAD(, text)	 bucket[TEXT_BUCKETS];
	size_t			 n;
	size_t			 kept;		/* bytes of all tails */
	uint64_t		 window;	/* bytes to keep */
	int			 banded[FILTER_PLUGINS_MAX];
	int			 bands;		/* there is one */
};

#endif
