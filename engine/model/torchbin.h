/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pytorch_model.bin: the zip file and the pickle in it together, as a table
 * of tensors like that of a safetensors file.
 */
#ifndef MODEL_TORCHBIN_H
#define MODEL_TORCHBIN_H

#include <stdint.h>

#include "err.h"
#include "safetensors.h"

/*
 * Read the table of the file open at fd, size bytes long; path is only named
 * in errors. 0 and *out (clear it with safetensors_clear), or CHAT_EFORMAT
 * with *f filled. begin and end of a tensor count from the start of the file;
 * tensors may share bytes. One whose elements do not lie in order without
 * gaps has strides; one that may have an element twice is in the table as not
 * readable.
 */
int	torchbin_read(const char *path, int fd, uint64_t size,
	    struct st_table *out, struct fault *f);

#endif
