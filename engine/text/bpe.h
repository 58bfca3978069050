/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte-pair merging: the bytes of one word in, token ids out.  Which words
 * there are is pretoken.h's matter, which bytes and merges tokenizer_bpe.c's.
 */
#ifndef ENGINE_BPE_H
#define ENGINE_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "growbuf.h"

struct bpe;
struct bpe_work;

/* What becomes of a byte. */
enum bpe_how {
	BPE_UNKNOWN,	/* the unknown token, or nothing where there is none */
	BPE_TOKEN,	/* id[0] */
	BPE_FALLBACK	/* the n tokens of id */
};

struct bpe_byte {
	enum bpe_how	 how;
	int		 n;
	int32_t		 id[2];
};

struct bpe_alphabet {
	struct bpe_byte	 byte[256];
	int32_t		 unknown;	/* the unknown token, or -1 */
	int		 fuse;		/* one for a run of unknown bytes */
};

/* A table of room for merges entries; the alphabet is copied. */
struct bpe	*bpe_new(const struct bpe_alphabet *alphabet, size_t merges);
void		 bpe_free(struct bpe *b);

/*
 * The pair of tokens left, right merges into id; of two pairs the one of
 * lower rank merges first. A pair given twice keeps the later entry. At most
 * as many pairs as bpe_new made room for. 0, or CHAT_EFORMAT where far too
 * many pairs fall on one place of the table, as only made-up ones do.
 */
int		 bpe_add(struct bpe *b, int32_t left, int32_t right,
		    uint32_t rank, int32_t id);

/* One merge. */
struct bpe_pair {
	int32_t		 left, right;
	uint32_t	 rank;
	int32_t		 id;
};

/* All merges by rank: *n of them, owned. */
struct bpe_pair	*bpe_merges(const struct bpe *b, size_t *n);

/* Memory reused from word to word; little of it is kept after a long one. */
struct bpe_work	*bpe_work_new(void);
void		 bpe_work_free(struct bpe_work *w);

/*
 * Append the tokens of one word of n bytes (below 2^31) to out. Of equal
 * ranks the leftmost pair merges first. As in the reference tokenizer, an
 * unknown byte's token goes behind the fallback tokens that follow it, and
 * where there is no unknown token its neighbours become neighbours. Time
 * grows as n log n.
 */
void		 bpe_encode(const struct bpe *b, struct bpe_work *w,
		    const char *word, size_t n, struct idbuf *out);

/*
 * The same bit by bit, for a long word: bpe_start, then bpe_some until it
 * returns 1, which has then appended the tokens. Each call does at most
 * *limit pairs of symbols and takes their number off it. w serves no other
 * word meanwhile.
 */
void		 bpe_start(const struct bpe *b, struct bpe_work *w,
		    const char *word, size_t n);
int		 bpe_some(const struct bpe *b, struct bpe_work *w,
		    size_t *limit, struct idbuf *out);

#endif
