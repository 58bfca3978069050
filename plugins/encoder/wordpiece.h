/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer of BERT models, uncased: clean the text, strip accents, lower
 * case, cut at spaces and punctuation, then take the longest known pieces of
 * each word.  Names of special tokens in a text are text.
 */
#ifndef WORDPIECE_H
#define WORDPIECE_H

#include <stddef.h>
#include <stdint.h>

#define WORDPIECE_WORD	100	/* characters; longer words are unknown */

/* A vocabulary. All pointers are borrowed, from the memory of the encoder. */
struct wordpiece {
	const char	*text;		/* the tokens, each with its NUL */
	uint32_t	*at;		/* [n + 1]: where each one begins */
	uint32_t	 n;
	uint32_t	*table;		/* [mask + 1]: id + 1, or 0 */
	uint32_t	 mask;
	uint32_t	 longest;	/* bytes of the longest token */
	uint32_t	 unknown;	/* id of [UNK] */
	const uint32_t	*emoji;		/* [emoji_n][3]: character, first, n */
	uint32_t	 emoji_n;	/* sorted by the character */
	const uint32_t	*emoji_ids;	/* the ids, from "first" on */
};

/* A token, and the bytes of the text that it came from. */
struct wordpiece_token {
	uint32_t	 id;
	uint32_t	 start, end;
};

/* Entries that the table needs for n tokens: a power of 2. */
uint32_t wordpiece_table_size(uint32_t n);

/* Fill at, table, mask and longest; text and n are set, and table has size
 * entries of 0. Returns 0, or the number of tokens if fewer than n of them end
 * within len bytes, or if one is there twice. */
uint32_t wordpiece_index(struct wordpiece *w, size_t len, uint32_t size);

/*
 * Cut len bytes (below 4 GiB) of valid UTF-8 into at most max tokens, stored in
 * out. Returns their number. Stops when out is full. Allocates nothing.
 */
size_t	 wordpiece_cut(const struct wordpiece *w, const char *text, size_t len,
	    struct wordpiece_token *out, size_t max);

#endif
