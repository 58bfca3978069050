/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packed file is made in place: its space is reserved, it is mapped, and
 * the tensors are converted into it.  Until it is whole it has no name.
 */
#include "cpu_pack.h"

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
#include "convert.h"
#include "cpu.h"
#include "layout.h"
#include "packed.h"
#include "path.h"
#include "xmalloc.h"

/* config.json, tokenizer.json and what comes of it go first */
#define PACK_FIRST	3

struct pack {
	struct model		*model;
	const char		*out;
	char			*folder;	/* owned: where out is */
	char			*temp;		/* owned: NULL: without name */
	const void		*tables;
	size_t			 ntables;	/* bytes */
	struct layout		 layout;
	char			*config;	/* owned */
	struct packed_tensor	*tensors;	/* owned */
	char			(*names)[TENSOR_NAME_MAX];	/* owned */
	size_t			 ntensors, first;	/* of all, not weights */
	size_t			 header;	/* bytes */
	size_t			 size;		/* of the file */
	int			 fd;
	uint8_t			*map;
	struct fault		*f;
};

static void	cpu_pack_plan(struct pack *);
static int	cpu_pack_check_out(struct pack *);
static int	cpu_pack_create(struct pack *);
static int	cpu_pack_map(struct pack *);
static int	cpu_pack_fill(struct pack *, const struct backend_options *);
static int	cpu_pack_finish(struct pack *);

/* Say what a system call did to the file. */
static int
cpu_pack_fail(const struct pack *p, const char *what)
{
	fault_set(p->f, "bad_file", NULL, "%s: %s: %s", p->out, what,
	    strerror(errno));
	return (CHAT_ESYSTEM);
}

/* A name of our own, for as long as the file is not whole. */
static char *
cpu_pack_temp(const struct pack *p)
{
	return (xasprintf("%s.part-%ld", p->out, (long)getpid()));
}

/* Say why that name can't be had; temp is taken. */
static int
cpu_pack_temp_fail(const struct pack *p, char *temp, const char *what)
{
	int	 r;

	if (errno != EEXIST)
		r = cpu_pack_fail(p, what);
	else {
		fault_set(p->f, "bad_file", NULL, "%s: is there already: "
		    "remove it, unless another chatd-engine writes it", temp);
		r = CHAT_ESYSTEM;
	}
	free(temp);
	return (r);
}

/* Release everything; a file that has still no name vanishes. */
static void
cpu_pack_clear(struct pack *p)
{
	if (p->map != NULL)
		munmap(p->map, p->size);
	if (p->temp != NULL)
		unlink(p->temp);
	if (p->fd != -1)
		close(p->fd);
	layout_clear(&p->layout);
	free(p->config);
	free(p->tensors);
	free(p->names);
	free(p->folder);
	free(p->temp);
}

/* Write a packed file. */
int
cpu_pack_write(struct model *m, const void *tables, size_t n, const char *out,
    const struct backend_options *opt, struct fault *f)
{
	struct pack	 p = { .model = m, .out = out, .tables = tables,
			    .ntables = n, .fd = -1, .f = f };
	enum precision	 precision;
	const char	*path;
	int		 r;

	if (model_packed(m) != NULL)
		return (fault_set(f, "bad_model", NULL, "%s: is packed "
		    "already, in %s", model_path(m),
		    model_packed(m)->precision));
	if (model_tokenizer(m, &n, &path) == NULL)
		return (fault_set(f, "bad_model", NULL, "%s: expected a "
		    "tokenizer, found no such file", path));
	if ((r = cpu_precision(m, opt->precision, &precision, f)) != 0)
		return (r);
	layout_init(&p.layout, model_config(m), precision);
	cpu_pack_plan(&p);
	if ((r = cpu_pack_check_out(&p)) == 0 && (r = cpu_pack_create(&p)) == 0 &&
	    (r = cpu_pack_map(&p)) == 0 &&
	    (r = cpu_pack_fill(&p, opt)) == 0)
		r = cpu_pack_finish(&p);
	cpu_pack_clear(&p);
	return (r);
}

/* Append a tensor of size bytes. */
static struct packed_tensor *
cpu_pack_tensor(struct pack *p, const char *name, const char *dtype, size_t size)
{
	struct packed_tensor	*t = &p->tensors[p->ntensors];

	t->name = name;
	t->dtype = dtype;
	t->begin = p->ntensors == 0 ? 0 : t[-1].end;
	t->end = t->begin + size;
	p->ntensors++;
	return (t);
}

/* Append a tensor of n bytes, filled up to a multiple of 64. */
static void
cpu_pack_bytes(struct pack *p, const char *name, size_t n)
{
	struct packed_tensor	*t;

	t = cpu_pack_tensor(p, name, "U8", ROUND_UP(n, 64));
	t->dims = 1;
	t->shape[0] = (int64_t)(t->end - t->begin);
}

/* Settle what is where. */
static void
cpu_pack_plan(struct pack *p)
{
	struct packed_tensor	*t;
	const struct piece	*q;
	const char		*path;
	char			*head;
	size_t			 i, n;

	p->config = hfconfig_write(model_config(p->model));
	p->tensors = xcalloc(p->layout.n + PACK_FIRST, sizeof *p->tensors);
	p->names = xcalloc(p->layout.n, sizeof *p->names);
	cpu_pack_bytes(p, "config.json", strlen(p->config));
	(void)model_tokenizer(p->model, &n, &path);
	cpu_pack_bytes(p, "tokenizer.json", n);
	if (p->ntables > 0)
		cpu_pack_bytes(p, PACKED_TABLES, p->ntables);
	p->first = p->ntensors;
	for (i = 0; i < p->layout.n; i++) {
		q = &p->layout.pieces[i];
		layout_name(q, p->names[i]);
		t = cpu_pack_tensor(p, p->names[i], q->dtype, q->size);
		t->dims = q->dims;
		memcpy(t->shape, q->shape, sizeof q->shape);
	}
	head = packed_header(precision_name(p->layout.precision),
	    model_name(p->model), NULL, NULL, p->tensors, p->ntensors,
	    &p->header);
	free(head);
	p->size = p->header + (size_t)p->tensors[p->ntensors - 1].end;
}

/* What is there under the file's name is replaced only if it was made here:
 * a slip must not cost a model's own files. */
static int
cpu_pack_check_out(struct pack *p)
{
	struct stat	 st;
	int		 fd, packed;

	if (p->out[0] == '\0')
		return (fault_set(p->f, "bad_file", NULL,
		    "expected the name of a file to write, found none"));
	if (stat(p->out, &st) == -1)
		return (0);
	if (!S_ISREG(st.st_mode))
		return (fault_set(p->f, "bad_file", NULL, "%s: expected the "
		    "name of a file to write, found a %s", p->out,
		    S_ISDIR(st.st_mode) ? "folder" : "device or pipe"));
	if ((fd = open(p->out, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return (cpu_pack_fail(p, "opening what is there"));
	packed = packed_begins(fd);
	close(fd);
	if (packed)
		return (0);
	return (fault_set(p->f, "bad_file", NULL, "%s: expected a new name "
	    "or a packed file to replace, found another file", p->out));
}

/* Make a file without a name; where that can't be, one with a name of its
 * own. */
static int
cpu_pack_create(struct pack *p)
{
	char	*temp;

	p->folder = path_folder(p->out);
	p->fd = open(p->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (p->fd != -1)
		return (0);
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return (cpu_pack_fail(p, "creating"));
	temp = cpu_pack_temp(p);
	p->fd = open(temp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	if (p->fd == -1)
		return (cpu_pack_temp_fail(p, temp, "creating"));
	p->temp = temp;
	return (0);
}

/* Is there so much room on the disk? Asked before any of it is taken. */
static int
cpu_pack_check_room(struct pack *p)
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
	    p->out, bytes_text((int64_t)p->size, need),
	    bytes_text((int64_t)room, left));
	return (CHAT_ESYSTEM);
}

/* Reserve its space, so that no write can fail for want of it, and map. */
static int
cpu_pack_map(struct pack *p)
{
	int	 r;

	if ((r = cpu_pack_check_room(p)) != 0)
		return (r);
	if ((errno = posix_fallocate(p->fd, 0, (off_t)p->size)) != 0)
		return (cpu_pack_fail(p, "reserving space"));
	p->map = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    p->fd, 0);
	if (p->map == MAP_FAILED) {
		p->map = NULL;
		return (cpu_pack_fail(p, "mapping"));
	}
	return (0);
}

/* Put everything behind the header. */
static int
cpu_pack_fill(struct pack *p, const struct backend_options *opt)
{
	const struct packed_tensor *t = p->tensors;
	uint8_t		*data = p->map + p->header;
	struct pool	*pool;
	const char	*path, *text;
	size_t		 n;
	int		 r;

	memset(data, ' ', (size_t)t[1].end);
	memcpy(data, p->config, strlen(p->config));
	text = model_tokenizer(p->model, &n, &path);
	memcpy(data + t[1].begin, text, n);
	if (p->ntables > 0) {
		memset(data + t[2].begin, 0, (size_t)(t[2].end - t[2].begin));
		memcpy(data + t[2].begin, p->tables, p->ntables);
	}
	pool = pool_new(opt->threads);
	r = convert_model(p->model, &p->layout,
	    data + t[p->first - 1].end, pool, opt, p->f);
	pool_free(pool);
	return (r);
}

/* Give the file its name, in the place of another. */
static int
cpu_pack_link(struct pack *p)
{
	char	*temp, proc[32];

	if (p->temp == NULL) {
		temp = cpu_pack_temp(p);
		snprintf(proc, sizeof proc, "/proc/self/fd/%d", p->fd);
		if (linkat(AT_FDCWD, proc, AT_FDCWD, temp,
		    AT_SYMLINK_FOLLOW) == -1)
			return (cpu_pack_temp_fail(p, temp, "naming"));
		p->temp = temp;
	}
	if (rename(p->temp, p->out) == -1)
		return (cpu_pack_fail(p, "naming"));
	free(p->temp);
	p->temp = NULL;
	return (0);
}

/* The header, the disk, the name. */
static int
cpu_pack_finish(struct pack *p)
{
	struct sha256	 sum;
	char		 hex[SHA256_HEX], *head;
	size_t		 n;
	int		 r, fd;

	sha256_init(&sum);
	sha256_add(&sum, p->map + p->header, p->size - p->header);
	sha256_end(&sum, hex);
	head = packed_header(precision_name(p->layout.precision),
	    model_name(p->model), model_digest(p->model), hex, p->tensors,
	    p->ntensors, &n);
	memcpy(p->map, head, n);
	free(head);
	if (msync(p->map, p->size, MS_SYNC) == -1 || fsync(p->fd) == -1)
		return (cpu_pack_fail(p, "writing"));
	if ((r = cpu_pack_link(p)) != 0)
		return (r);
	if ((fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return (cpu_pack_fail(p, "opening its folder"));
	if (fsync(fd) == -1)
		r = cpu_pack_fail(p, "writing its folder");
	close(fd);
	return (r);
}
