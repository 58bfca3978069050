/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of pytorch_model.bin: makes zip files like torch.save, with the
 * places of their records, and the pieces of a pickle.
 */
#ifndef TEST_TORCH_FILES_H
#define TEST_TORCH_FILES_H

#include <stddef.h>
#include <stdint.h>

#define TORCH_MEMBERS_MAX	16

/* Pieces of a pickle, as string constants; len is a string of one byte. */
#define PK_START	"\x80\x02"
#define PK_GLOBAL(module, name)	"c" module "\n" name "\n"
#define PK_STRING(len, s)	"X" len "\0\0\0" s
#define PK_DICT		PK_GLOBAL("collections", "OrderedDict") ")R"
#define PK_STORAGE(type, key, elems) "(" PK_STRING("\x07", "storage") \
	PK_GLOBAL("torch", type) PK_STRING("\x01", key) \
	PK_STRING("\x03", "cpu") elems "tQ"
#define PK_TENSOR(storage, offset, size, stride) \
	PK_GLOBAL("torch._utils", "_rebuild_tensor_v2") "(" storage offset \
	size stride "\x89" PK_DICT "tR"

/* Options of a zip file. */
#define TORCH_END64	1	/* a ZIP64 end record and its locator */
#define TORCH_EXTRA64	2	/* sizes and offsets in ZIP64 fields */
#define TORCH_LATER	4	/* sizes after the data, as torch does */
#define TORCH_LOCAL64	8	/* sizes of local headers in ZIP64 fields */
#define TORCH_AS_TORCH	(TORCH_END64 | TORCH_LATER)

struct torch_member {
	const char	*name;
	const void	*bytes;
	size_t		 n;
};

/* A file in memory, and the places of its records. */
struct torch_file {
	uint8_t		*bytes;		/* owned: free it */
	size_t		 n;
	size_t		 local[TORCH_MEMBERS_MAX], data[TORCH_MEMBERS_MAX];
	size_t		 central[TORCH_MEMBERS_MAX];
	size_t		 end64, locator, end;
};

/* CRC-32 of bytes. */
uint32_t torch_crc(const void *bytes, size_t n);

/* A zip file of n members. */
void	 torch_zip(const struct torch_member *m, size_t n, int options,
	    struct torch_file *out);

/* Replace width bytes at b by v, little-endian. */
void	 torch_poke(uint8_t *b, int width, uint64_t v);

/* A file with these bytes, open for reading, without a name. */
int	 torch_open(const void *bytes, size_t n);

#endif
