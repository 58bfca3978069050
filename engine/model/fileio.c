/*
 * Bytes of weight files: pread, not mmap, so that a file which shrinks or
 * sits on a failing disk is an error message and not a signal.
 */
#include "fileio.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* All of n bytes at off, or an error: the end of the file is one. */
int
fileio_read(int fd, void *out, size_t n, uint64_t off)
{
	uint8_t	*p = out;
	ssize_t	 got;

	while (n > 0) {
		got = pread(fd, p, n, (off_t)off);
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return (CHAT_ESYSTEM);
		if (got == 0)
			return (CHAT_EFORMAT);
		p += got;
		n -= (size_t)got;
		off += (uint64_t)got;
	}
	return (0);
}

/* Is nobody but owner and group able to change what is open there? */
int
fileio_trusted(int fd, const char *path, struct fault *f)
{
	struct stat	 st;

	if (fstat(fd, &st) == -1)
		return (fault_set(f, "bad_model", NULL, "%s: %s", path,
		    strerror(errno)));
	if ((st.st_mode & S_IWOTH) == 0 ||
	    (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0))
		return (0);
	return (fault_set(f, "bad_model", NULL, "%s: may be written by "
	    "anybody (mode %04o): chmod o-w it", path, st.st_mode & 07777));
}

/* Two bytes. */
uint16_t
fileio_le16(const uint8_t *p)
{
	return ((uint16_t)(p[0] | p[1] << 8));
}

/* Four bytes. */
uint32_t
fileio_le32(const uint8_t *p)
{
	return (fileio_le16(p) | (uint32_t)fileio_le16(p + 2) << 16);
}

/* Eight bytes. */
uint64_t
fileio_le64(const uint8_t *p)
{
	return (fileio_le32(p) | (uint64_t)fileio_le32(p + 4) << 32);
}
