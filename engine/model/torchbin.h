/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pytorch_model.bin: reads the zip file and its pickle, and returns a table of
 * tensors like that of a safetensors file.
 */
#ifndef MODEL_TORCHBIN_H
#define MODEL_TORCHBIN_H

#include <stdint.h>

#include "err.h"
#include "safetensors.h"

/*
 * Read the table of the file open at fd, size bytes long; path is only used for
 * messages. Returns 0 and *out (clear it with safetensors_clear), or
 * CHAT_EFORMAT with *f filled. begin and end of a tensor count from the start
 * of the file. Tensors may share bytes. A tensor has strides if its elements
 * are not in order without gaps. It is not readable if it may contain an
 * element twice.
 */
int	torchbin_read(const char *path, int fd, uint64_t size,
	    struct st_table *out, struct fault *f);

#endif
