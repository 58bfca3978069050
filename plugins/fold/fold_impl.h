/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files fold*.c share: the characters of a piece on their way.
 */
#ifndef FOLD_IMPL_H
#define FOLD_IMPL_H

#include <stddef.h>
#include <stdint.h>
#include <utf8proc.h>

#include "fold.h"

#define FOLD_CLUSTER	32	/* characters; longer ones are cut, as in the
				 * Stream-Safe format of UAX 15 */

/* One folded character and the bytes it came from. */
struct fold_char {
	uint32_t	 c;
	uint32_t	 from, to;
	unsigned char	 alike;		/* c replaced a look-alike */
	unsigned char	 leet;		/* c replaced a digit or sign */
	unsigned char	 drop;		/* c is left out */
	unsigned char	 gap;		/* a space follows */
};

struct fold_work {
	struct fold_char	*list;		/* owned */
	size_t			 n, size;
	size_t			 last;		/* of list: last cluster */
	size_t			 steady;	/* of list: may follow in it */
	size_t			 head, tail;	/* of list: as in struct fold */
	size_t			 known;		/* of list: as in struct fold,
						 * or more */
	int			 wide;		/* some are not ASCII */
	int			 dropped;	/* some have "drop" */
	size_t			 fresh;		/* byte: as in fold_piece */
	size_t			 begin, end;	/* bytes of the piece */
	int			 begins, ends;	/* no text before, after */
	utf8proc_int32_t	 cluster[FOLD_CLUSTER];
	size_t			 k;		/* characters in cluster */
	uint32_t		 from, to;	/* bytes of the cluster */
};

/* ---- fold.c */
/* Note that the first n characters, or those from n on, are not known. */
void	 fold_unknown_head(struct fold_work *w, size_t n);
void	 fold_unknown_tail(struct fold_work *w, size_t n);

/* Is c a letter of an alphabet? */
int	 fold_is_letter(uint32_t c);

/* ---- fold_plain.c: FOLD_PLAIN, before look-alikes are replaced */
/* Join letters that stand alone, and replace signs between words by spaces. */
void	 fold_plain(struct fold_work *w);

/* ---- fold_mend.c: FOLD_PLAIN, after all else */
/* Mend words. It marks characters to drop, and where a space is missing. */
void	 fold_mend(struct fold_work *w);

/* The first character that came from byte "fresh" or from one after it. */
size_t	 fold_fresh(const struct fold_work *w);

#endif
