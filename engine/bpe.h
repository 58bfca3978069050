/*
 * Byte-pair merging: the bytes of one word in, token ids out.  Which words
 * there are is pretoken.h's matter, which bytes and merges tokenizer.c's.
 */
#ifndef ENGINE_BPE_H
#define ENGINE_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "vec.h"

struct bpe;
struct bpe_work;

/* A table of room for merges entries; byte_id[b] is the token of byte b, -1
 * for a byte that has none (it vanishes from a word). */
struct bpe	*bpe_new(const int32_t byte_id[256], size_t merges);
void		 bpe_free(struct bpe *b);

/*
 * The pair of tokens left, right merges into id; of two pairs the one of
 * lower rank merges first. A pair given twice keeps the later entry. At most
 * as many pairs as bpe_new made room for.
 */
void		 bpe_add(struct bpe *b, int32_t left, int32_t right,
		    uint32_t rank, int32_t id);

/* Memory reused from word to word. */
struct bpe_work	*bpe_work_new(void);
void		 bpe_work_free(struct bpe_work *w);

/*
 * Append the tokens of one word of n bytes to out. Of equal ranks the
 * leftmost pair merges first. Time grows as n log n.
 */
void		 bpe_encode(const struct bpe *b, struct bpe_work *w,
		    const char *word, size_t n, struct ids *out);

#endif
