/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte-pair merging: it turns the bytes of one word into token ids. pretoken.h
 * splits a text into words, and tokenizer_bpe.c reads the bytes and merges.
 */
#ifndef ENGINE_BPE_H
#define ENGINE_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "growbuf.h"

struct bpe;
struct bpe_work;

/* How a byte is encoded. */
enum bpe_how {
	BPE_UNKNOWN,	/* as the unknown token, or as nothing if there is no
			 * unknown token */
	BPE_TOKEN,	/* as id[0] */
	BPE_FALLBACK	/* as the n tokens of id */
};

struct bpe_byte {
	enum bpe_how	 how;
	int		 n;
	int32_t		 id[2];
};

struct bpe_alphabet {
	struct bpe_byte	 byte[256];
	int32_t		 unknown;	/* the unknown token, or -1 */
	int		 fuse;		/* a run of unknown bytes becomes one
					 * unknown token */
};

/* Make a table with room for `merges` entries. The alphabet is copied. */
struct bpe	*bpe_new(const struct bpe_alphabet *alphabet, size_t merges);
void		 bpe_free(struct bpe *b);

/*
 * The pair of tokens left, right merges into id. Of two pairs the one of lower
 * rank merges first. If a pair is added twice, the later entry counts. The
 * caller adds at most as many pairs as it passed to bpe_new.
 *
 * Returns 0, or CHAT_EFORMAT if too many pairs have the same hash, which only
 * happens to forged pairs.
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

/* Working memory that is used again for each word. Little of it stays allocated
 * after a long word. */
struct bpe_work	*bpe_work_new(void);
void		 bpe_work_free(struct bpe_work *w);

/*
 * Append the tokens of one word of n bytes (below 2^31) to out. Of equal ranks
 * the leftmost pair merges first. As in the reference tokenizer, the token of
 * an unknown byte is put after the fallback tokens that follow the byte. If
 * there is no unknown token, the neighbours of an unknown byte become
 * neighbours of each other. The time grows as n log n.
 */
void		 bpe_encode(const struct bpe *b, struct bpe_work *w,
		    const char *word, size_t n, struct idbuf *out);

/*
 * The same in steps, for a long word: bpe_start, then bpe_some until it returns
 * 1; the tokens have then been appended. Each call handles at most *limit pairs
 * of symbols and subtracts their number from it. w must not be used for another
 * word until then.
 */
void		 bpe_start(const struct bpe *b, struct bpe_work *w,
		    const char *word, size_t n);
int		 bpe_some(const struct bpe *b, struct bpe_work *w,
		    size_t *limit, struct idbuf *out);

#endif
