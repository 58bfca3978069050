/*
 * Bytes of weight files.
 */
#ifndef MODEL_FILEIO_H
#define MODEL_FILEIO_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Read all of n bytes at byte off of fd. 0, CHAT_ESYSTEM, or CHAT_EFORMAT
 * where the file ends before. */
int	 fileio_read(int fd, void *out, size_t n, uint64_t off);

/*
 * May only owner and group write what is open at fd? Asked of the open file,
 * so that nothing can be put in its place afterwards. A folder that anybody
 * may write to passes where it is sticky, since there only the owner of a file
 * can replace it. 0, or CHAT_EFORMAT with *f filled (code "bad_model"); path
 * is only named there.
 */
int	 fileio_trusted(int fd, const char *path, struct fault *f);

/* Little-endian numbers at p. */
uint16_t fileio_le16(const uint8_t *p);
uint32_t fileio_le32(const uint8_t *p);
uint64_t fileio_le64(const uint8_t *p);

#endif
