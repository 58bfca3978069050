/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of GGUF: makes a GGUF file in memory, key by key and tensor by
 * tensor, or writes one from a model's folder; quantizes with simple rounding.
 */
#ifndef TEST_GGUF_FILES_H
#define TEST_GGUF_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gguf.h"
#include "model.h"

/* Types of values, as numbered in files. */
enum { PUT_U8, PUT_I8, PUT_U16, PUT_I16, PUT_U32, PUT_I32, PUT_F32, PUT_BOOL,
	PUT_STRING, PUT_ARRAY, PUT_U64, PUT_I64, PUT_F64 };

/* A file that is being made. */
struct gguf_file {
	uint32_t	 version;	/* 3 by default */
	uint64_t	 align;		/* of the data: 32 by default */
	uint64_t	 nkeys, ntensors;
	FILE		*keys, *tensors, *data;
	char		*keys_text, *tensors_text, *data_text;	/* owned */
	size_t		 keys_n, tensors_n, data_n;	/* after
							 * gguf_file_end */
};

/* Begin a file. */
void	 gguf_file_begin(struct gguf_file *g);

/* Begin the smallest valid file: all keys except `without` (NULL: all), and
 * token_embd.weight with vocab tokens. */
void	 gguf_file_frame(struct gguf_file *g, const char *without, int vocab);

/* Add a key of any type: value has the n bytes as in files. */
void	 gguf_file_key(struct gguf_file *g, const char *key, uint32_t type,
	    const void *value, size_t n);

/* Add keys of some types. */
void	 gguf_file_u32(struct gguf_file *g, const char *key, uint32_t v);
void	 gguf_file_f32(struct gguf_file *g, const char *key, float v);
void	 gguf_file_bool(struct gguf_file *g, const char *key, int v);
void	 gguf_file_string(struct gguf_file *g, const char *key,
	    const char *v);

/* Add an array. Strings (elem PUT_STRING) follow each other, each after its
 * length. */
void	 gguf_file_array(struct gguf_file *g, const char *key, uint32_t elem,
	    uint64_t count, const void *values, size_t n);

/* Add the keys of a tokenizer.json. Ids up to vocab - 1 without a text become
 * "[PADn]", unused. */
void	 gguf_file_tokenizer(struct gguf_file *g, const char *path,
	    int vocab);

/* Add a tensor: dims as in files, columns first; n bytes of data. */
void	 gguf_file_tensor(struct gguf_file *g, const char *name,
	    uint32_t type, uint32_t dims, const uint64_t *shape,
	    const void *data, size_t n);

/* Add the entry of a tensor without checks and without data. */
void	 gguf_file_entry(struct gguf_file *g, const char *name, size_t nname,
	    uint32_t type, uint32_t dims, const uint64_t *shape,
	    uint64_t offset);

/* Finish: the whole file, owned, *n bytes. */
uint8_t	*gguf_file_end(struct gguf_file *g, size_t *n);

/* Finish: the whole file, open for reading, without a name. */
int	 gguf_file_open(struct gguf_file *g, size_t *n);

/* Finish, and read it as "some.gguf". */
enum gguf_error gguf_file_read(struct gguf_file *g, struct gguf *out,
	    struct fault *f);

/* Quantize n floats, in whole blocks, with simple rounding. */
void	 gguf_quantise(enum dtype t, const float *in, uint8_t *out, size_t n);

/*
 * Write a GGUF file at path with the model in folder, and its tokenizer if
 * there is one. A matrix has type t if its rows are whole blocks of t, else
 * F32. Vectors are F32. Then write model.safetensors in the folder again with
 * exactly the numbers of the GGUF file, so that both models compute the same.
 * Fails the test on any error.
 */
void	 gguf_files_write(const char *folder, const char *path,
	    enum dtype t);

#endif
