/*
 * Bytes of weight files.
 */
#ifndef MODEL_FILEIO_H
#define MODEL_FILEIO_H

#include <stddef.h>
#include <stdint.h>

/* Read all of n bytes at byte off of fd. 0, CHAT_ESYSTEM, or CHAT_EFORMAT
 * where the file ends before. */
int	 fileio_read(int fd, void *out, size_t n, uint64_t off);

struct fault;
int	 fileio_trusted(int fd, const char *path, struct fault *f);

/* Little-endian numbers at p. */
uint16_t fileio_le16(const uint8_t *p);
uint32_t fileio_le32(const uint8_t *p);
uint64_t fileio_le64(const uint8_t *p);

#endif
