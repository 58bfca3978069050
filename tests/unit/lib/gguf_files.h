/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: GGUF files, put together piece by piece or made of a model's
 * folder.
 */
#ifndef TEST_GGUF_FILES_H
#define TEST_GGUF_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "model.h"

/* Types of values, as numbered in files. */
enum { PUT_U8, PUT_I8, PUT_U16, PUT_I16, PUT_U32, PUT_I32, PUT_F32, PUT_BOOL,
	PUT_STRING, PUT_ARRAY, PUT_U64, PUT_I64, PUT_F64 };

/* A file while it is put together. */
struct gguf_file {
	uint32_t	 version;	/* 3 */
	uint64_t	 align;		/* of the data: 32 */
	uint64_t	 nkeys, ntensors;
	FILE		*keys, *tensors, *data;
	char		*keys_text, *tensors_text, *data_text;	/* owned */
	size_t		 keys_n, tensors_n, data_n;	/* once it has ended */
};

/* Begin one. */
void	 gguf_file_begin(struct gguf_file *g);

/* Begin the smallest sound one: all keys but without (NULL: all), and
 * token_embd.weight of vocab tokens. */
void	 gguf_file_frame(struct gguf_file *g, const char *without, int vocab);

/* Add a key of any type: n bytes of value as they stand in files. */
void	 gguf_file_key(struct gguf_file *g, const char *key, uint32_t type,
	    const void *value, size_t n);

/* Add keys of some types. */
void	 gguf_file_u32(struct gguf_file *g, const char *key, uint32_t v);
void	 gguf_file_f32(struct gguf_file *g, const char *key, float v);
void	 gguf_file_bool(struct gguf_file *g, const char *key, int v);
void	 gguf_file_string(struct gguf_file *g, const char *key,
	    const char *v);

/* Add an array; strings (elem PUT_STRING) one behind the other, each behind
 * its length. */
void	 gguf_file_array(struct gguf_file *g, const char *key, uint32_t elem,
	    uint64_t count, const void *values, size_t n);

/* Add the keys of a tokenizer.json; ids up to vocab - 1 that have no text
 * become "[PADn]", unused. */
void	 gguf_file_tokenizer(struct gguf_file *g, const char *path,
	    int vocab);

/* Add a tensor: dims as in files, columns first; n bytes of data. */
void	 gguf_file_tensor(struct gguf_file *g, const char *name,
	    uint32_t type, uint32_t dims, const uint64_t *shape,
	    const void *data, size_t n);

/* The same with nothing checked, and nothing behind it. */
void	 gguf_file_entry(struct gguf_file *g, const char *name, size_t nname,
	    uint32_t type, uint32_t dims, const uint64_t *shape,
	    uint64_t offset);

/* The whole file, owned, *n bytes. */
uint8_t	*gguf_file_end(struct gguf_file *g, size_t *n);

/* The whole file, opened for reading; it is gone when closed. */
int	 gguf_file_open(struct gguf_file *g, size_t *n);

/* Quantise n floats, whole blocks, the simplest way. */
void	 gguf_quantise(enum dtype t, const float *in, uint8_t *out, size_t n);

/*
 * Make a GGUF file at path of the model in folder, with its tokenizer if it
 * has one. Matrices are of type t where their rows are whole blocks of it,
 * else F32; vectors are F32. model.safetensors in the folder is then written
 * again with the very numbers that the GGUF file has, so that both models
 * compute the same. Fails the test where it can't.
 */
void	 gguf_files_write(const char *folder, const char *path,
	    enum dtype t);

#endif
