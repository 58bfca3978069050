/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training of a tokenizer: byte-level BPE as GPT-NeoX has it.  Words of the
 * GPT-2 pattern are counted after NFC; then the most frequent pair of tokens
 * becomes a token, again and again.  Of equally frequent pairs, the one with
 * the lower ids is taken: the reference trainer (the "tokenizers" library) does
 * the same, and gets the same merges.
 */
#ifndef TUNE_BPE_TRAIN_H
#define TUNE_BPE_TRAIN_H

#include <stddef.h>

#define BPE_TRAIN_SPACES 24	/* runs of 2 to this many spaces are tokens */
#define BPE_TRAIN_LEAST	(2 + 256 + BPE_TRAIN_SPACES - 1) /* vocabulary */

struct bpe_train;

struct bpe_train *bpe_train_new(void);
void	 bpe_train_free(struct bpe_train *t);

/* Count the words of n bytes of valid UTF-8. */
void	 bpe_train_text(struct bpe_train *t, const char *s, size_t n);

/*
 * The tokenizer.json with `vocab` ids (at least BPE_TRAIN_LEAST; fewer if the
 * words have no more pairs): <|endoftext|> and <|padding|>, the bytes, the
 * merges, and runs of spaces. Owned.
 */
char	*bpe_train_json(struct bpe_train *t, int vocab);

#endif
