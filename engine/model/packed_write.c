/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a packed file. Its space is reserved, it is mapped, and a backend
 * converts the tensors into the mapping. It gets its name only when it is
 * complete.
 */
#include "packed_write.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "hfconfig.h"
#include "model.h"
#include "packed.h"
#include "path.h"
#include "xmalloc.h"

/* config.json, tokenizer.json and its tables come before the weights. */
#define PACK_FIRST	3

struct pack {
	const struct packed_job	*job;
	char			*folder;	/* owned: of the file */
	char			*temp;		/* owned; NULL: it has no name
						 * yet */
	char			*config;	/* owned */
	struct packed_tensor	*tensors;	/* owned */
	size_t			 ntensors, first; /* number of all tensors; of
						   * the weights */
	size_t			 header;	/* bytes */
	size_t			 size;		/* of the file */
	int			 fd;
	uint8_t			*map;
	struct fault		*f;
};

static void	packed_write_plan(struct pack *);
static int	packed_write_check_out(struct pack *);
static int	packed_write_create(struct pack *);
static int	packed_write_map(struct pack *);
static int	packed_write_fill(struct pack *);
static int	packed_write_finish(struct pack *);

/* Report which system call on the file failed. */
static int
packed_write_fail(const struct pack *p, const char *what)
{
	fault_set(p->f, "bad_file", NULL, "%s: %s: %s", p->job->out, what,
	    strerror(errno));
	return (CHAT_ESYSTEM);
}

/* Make a temporary name, used as long as the file is not complete. */
static char *
packed_write_temp(const struct pack *p)
{
	return (xasprintf("%s.part-%ld", p->job->out, (long)getpid()));
}

/* Report why the temporary name can't be used; temp is taken. */
static int
packed_write_temp_fail(const struct pack *p, char *temp, const char *what)
{
	int	 r;

	if (errno != EEXIST)
		r = packed_write_fail(p, what);
	else {
		fault_set(p->f, "bad_file", NULL, "%s: already exists: "
		    "remove it, unless another chatd-engine writes it", temp);
		r = CHAT_ESYSTEM;
	}
	free(temp);
	return (r);
}

/* Release everything. A file without a name disappears. */
static void
packed_write_clear(struct pack *p)
{
	if (p->map != NULL)
		munmap(p->map, p->size);
	if (p->temp != NULL)
		unlink(p->temp);
	if (p->fd != -1)
		close(p->fd);
	free(p->config);
	free(p->tensors);
	free(p->folder);
	free(p->temp);
}

/* Write a packed file. */
int
packed_write(const struct packed_job *job, struct fault *f)
{
	struct pack		 p = { .job = job, .fd = -1, .f = f };
	const struct model	*m = job->model;
	const char		*path;
	size_t			 n;
	int			 r;

	if (model_packed(m) != NULL)
		return (fault_set(f, "bad_model", NULL, "%s: is packed "
		    "already, in %s", model_path(m),
		    model_packed(m)->precision));
	if (model_tokenizer(m, &n, &path) == NULL)
		return (fault_set(f, "bad_model", NULL, "%s: expected a "
		    "tokenizer, found no such file", path));
	packed_write_plan(&p);
	if ((r = packed_write_check_out(&p)) == 0 &&
	    (r = packed_write_create(&p)) == 0 &&
	    (r = packed_write_map(&p)) == 0 &&
	    (r = packed_write_fill(&p)) == 0)
		r = packed_write_finish(&p);
	packed_write_clear(&p);
	return (r);
}

/* Append a tensor of n bytes, padded to a multiple of 64. */
static void
packed_write_bytes(struct pack *p, const char *name, size_t n)
{
	struct packed_tensor	*t = &p->tensors[p->ntensors];

	t->name = name;
	t->dtype = "U8";
	t->begin = p->ntensors == 0 ? 0 : t[-1].end;
	t->end = t->begin + (n + 63) / 64 * 64;
	t->dims = 1;
	t->shape[0] = (int64_t)(t->end - t->begin);
	p->ntensors++;
}

/* Make the header with that digest and checksum (NULL if not known yet): *n
 * bytes, owned. */
static char *
packed_write_header(const struct pack *p, const char *source,
    const char *sha256, size_t *n)
{
	const struct packed_job	*j = p->job;

	return (packed_header(j->layout, j->precision, model_name(j->model),
	    source, sha256, p->tensors, p->ntensors, n));
}

/* Compute the place of each tensor. */
static void
packed_write_plan(struct pack *p)
{
	const struct packed_job	*j = p->job;
	struct packed_tensor	*t;
	const char		*path;
	uint64_t		 base;
	size_t			 i, n;

	p->config = hfconfig_write(model_config(j->model));
	p->tensors = xcalloc(j->n + PACK_FIRST, sizeof *p->tensors);
	packed_write_bytes(p, "config.json", strlen(p->config));
	(void)model_tokenizer(j->model, &n, &path);
	packed_write_bytes(p, "tokenizer.json", n);
	if (j->ntables > 0)
		packed_write_bytes(p, PACKED_TABLES, j->ntables);
	p->first = p->ntensors;
	base = p->tensors[p->first - 1].end;
	for (i = 0; i < j->n; i++) {
		t = &p->tensors[p->ntensors++];
		*t = j->tensors[i];
		t->begin += base;
		t->end += base;
	}
	free(packed_write_header(p, NULL, NULL, &p->header));
	p->size = p->header + (size_t)p->tensors[p->ntensors - 1].end;
}

/* Check the name of the file. Only a packed file is replaced, so that a wrong
 * name does not destroy the files of a model. */
static int
packed_write_check_out(struct pack *p)
{
	struct stat	 st;
	int		 fd, packed;

	if (p->job->out[0] == '\0')
		return (fault_set(p->f, "bad_file", NULL,
		    "expected the name of a file to write, found none"));
	if (stat(p->job->out, &st) == -1)
		return (0);
	if (!S_ISREG(st.st_mode))
		return (fault_set(p->f, "bad_file", NULL, "%s: expected the "
		    "name of a file to write, found a %s", p->job->out,
		    S_ISDIR(st.st_mode) ? "folder" : "device or pipe"));
	if ((fd = open(p->job->out, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return (packed_write_fail(p, "opening the file of that name"));
	packed = packed_begins(fd);
	close(fd);
	if (packed)
		return (0);
	return (fault_set(p->f, "bad_file", NULL, "%s: expected a new name "
	    "or a packed file to replace, found another file", p->job->out));
}

/* Make a file without a name, or, if the file system does not support this, a
 * file with a temporary name. */
static int
packed_write_create(struct pack *p)
{
	char	*temp;

	p->folder = path_folder(p->job->out);
	p->fd = open(p->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (p->fd != -1)
		return (0);
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return (packed_write_fail(p, "creating"));
	temp = packed_write_temp(p);
	p->fd = open(temp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	if (p->fd == -1)
		return (packed_write_temp_fail(p, temp, "creating"));
	p->temp = temp;
	return (0);
}

/* Check that the disk has room for the file, before any space is reserved. */
static int
packed_write_check_room(struct pack *p)
{
	struct statvfs	 fs;
	char		 need[BYTES_TEXT], left[BYTES_TEXT];
	uint64_t	 room;

	if (fstatvfs(p->fd, &fs) == -1 || fs.f_blocks == 0)
		return (0);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (p->size <= room)
		return (0);
	fault_set(p->f, "bad_file", NULL, "%s: needs %s of disk, %s are free",
	    p->job->out, bytes_text((int64_t)p->size, need),
	    bytes_text((int64_t)room, left));
	return (CHAT_ESYSTEM);
}

/* Reserve the space of the file, so that no later write can fail, and map
 * it. */
static int
packed_write_map(struct pack *p)
{
	int	 r;

	if ((r = packed_write_check_room(p)) != 0)
		return (r);
	if ((errno = posix_fallocate(p->fd, 0, (off_t)p->size)) != 0)
		return (packed_write_fail(p, "reserving space"));
	p->map = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    p->fd, 0);
	if (p->map == MAP_FAILED) {
		p->map = NULL;
		return (packed_write_fail(p, "mapping"));
	}
	return (0);
}

/* Write everything after the header. */
static int
packed_write_fill(struct pack *p)
{
	const struct packed_tensor *t = p->tensors;
	const struct packed_job	*j = p->job;
	uint8_t			*data = p->map + p->header;
	const char		*path, *text;
	size_t			 n;

	memset(data, ' ', (size_t)t[1].end);
	memcpy(data, p->config, strlen(p->config));
	text = model_tokenizer(j->model, &n, &path);
	memcpy(data + t[1].begin, text, n);
	if (j->ntables > 0) {
		memset(data + t[2].begin, 0, (size_t)(t[2].end - t[2].begin));
		memcpy(data + t[2].begin, j->tables, j->ntables);
	}
	return (j->fill(j->arg, data + t[p->first - 1].end, p->f));
}

/* Give the file its name; an old file of that name is replaced. */
static int
packed_write_link(struct pack *p)
{
	char	*temp, proc[32];

	if (p->temp == NULL) {
		temp = packed_write_temp(p);
		snprintf(proc, sizeof proc, "/proc/self/fd/%d", p->fd);
		if (linkat(AT_FDCWD, proc, AT_FDCWD, temp,
		    AT_SYMLINK_FOLLOW) == -1)
			return (packed_write_temp_fail(p, temp, "naming"));
		p->temp = temp;
	}
	if (rename(p->temp, p->job->out) == -1)
		return (packed_write_fail(p, "naming"));
	free(p->temp);
	p->temp = NULL;
	return (0);
}

/* Write the header, sync the disk, and give the file its name. */
static int
packed_write_finish(struct pack *p)
{
	struct sha256	 sum;
	char		 hex[SHA256_HEX], *head;
	size_t		 n;
	int		 r, fd;

	sha256_init(&sum);
	sha256_add(&sum, p->map + p->header, p->size - p->header);
	sha256_end(&sum, hex);
	head = packed_write_header(p, model_digest(p->job->model), hex, &n);
	memcpy(p->map, head, n);
	free(head);
	if (msync(p->map, p->size, MS_SYNC) == -1 || fsync(p->fd) == -1)
		return (packed_write_fail(p, "writing"));
	if ((r = packed_write_link(p)) != 0)
		return (r);
	if ((fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return (packed_write_fail(p, "opening its folder"));
	if (fsync(fd) == -1)
		r = packed_write_fail(p, "writing its folder");
	close(fd);
	return (r);
}
