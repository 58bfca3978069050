/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of a tokenizer as flat tables, for tokenizer_save.c, which writes
 * them, and tokenizer_restore.c, which reads them.  The tables hold no value
 * that can be derived from others (for example, which ids are special), so a
 * forged table can't contradict itself.
 *
 * Numbers have 32 bits and are little-endian.  A block consists of
 *   "chatdtok", then the TABLES_NUMBERS numbers of enum tables_head
 *   256 x (enum bpe_how | count << 8, id, id): how each byte is encoded
 *   each token by id: length << 2 | mapped << 1 | known
 *   each merge by rank: left, right, rank, id
 *   each word that is always one token, ordered by its bytes: id
 *   each added token cut from the raw text, ordered by its bytes: id, flags,
 *     length; then each added token cut from the normalised text
 *   the bytes of the tokens, then of the added tokens, in the order above
 */
#ifndef ENGINE_TOKENIZER_TABLES_H
#define ENGINE_TOKENIZER_TABLES_H

#define TABLES_TAG	"chatdtok"
#define TABLES_VERSION	1

/* TABLES_OPTIONS: the options of struct tokenizer. */
#define TABLES_NFC	0x1
#define TABLES_PREFIX	0x2
#define TABLES_SPLIT	0x4
#define TABLES_WHOLE	0x8
#define TABLES_FUSE	0x10
#define TABLES_FLAGS	0x1f

/* The entry of a token. */
#define TABLES_KNOWN	0x1
#define TABLES_MAPPED	0x2
#define TABLES_SHIFT	2

/* The numbers at the start; a comment is missing if the number is a count. */
enum tables_head {
	TABLES_VERSION_AT,
	TABLES_SIZE,		/* bytes of the whole block */
	TABLES_OPTIONS,
	TABLES_TOKENS,
	TABLES_POOL,		/* bytes of all tokens */
	TABLES_UNKNOWN,		/* id, or -1 */
	TABLES_MERGES,
	TABLES_WORDS,
	TABLES_RAW,
	TABLES_NORMAL,
	TABLES_STRINGS,		/* bytes of all added tokens */
	TABLES_NUMBERS
};

#define TABLES_HEAD	(sizeof TABLES_TAG - 1 + TABLES_NUMBERS * 4)

#endif
