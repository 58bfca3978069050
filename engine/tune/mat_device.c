/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products on a GPU: opens its module, rounds operands to bf16 on all threads,
 * and copies or adds results.
 */
#include "mat_device.h"

#include <config.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "dlmodule.h"
#include "err.h"
#include "log.h"
#include "mat_module.h"
#include "pool.h"
#include "xmalloc.h"

#define DEVICE_ALIGN	8	/* elements: lines begin at 16 bytes */
#define DEVICE_LINES	16	/* that a thread takes at a time */
#define DEVICE_BLOCK	16	/* elements that are rounded at a time */

struct mat_device {
	const struct mat_module	*module;
	struct mat_gpu		*gpu;		/* owned */
	char			 name[16];	/* "cuda:0" */
	char			 title[160];	/* with the GPU's name */
	struct mat_operand	 a, b;		/* owned: of one product */
};

/* Lines of an operand or of a result, for the threads. */
struct device_lines {
	const float	*from;
	ptrdiff_t	 from_ld;
	uint16_t	*half;		/* rounded, or */
	float		*to;		/* as they are */
	ptrdiff_t	 to_ld;
	int		 lines, n, add;
};

/* Round n numbers as dtype_bf16 does, in a form that becomes vectors. */
static inline void
device_round(uint16_t *out, const float *x, int n)
{
	uint32_t	 u;
	int		 i;

	for (i = 0; i < n; i++) {
		memcpy(&u, &x[i], sizeof u);
		out[i] = (uint16_t)((u & 0x7fffffff) > 0x7f800000 ?
		    u >> 16 | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16);
	}
}

/* Round some lines. */
static void
device_round_item(void *arg, int item, int thread)
{
	const struct device_lines	*k = arg;
	const float			*x;
	uint16_t			*out;
	int				 i, j;

	(void)thread;
	for (i = item * DEVICE_LINES; i < (item + 1) * DEVICE_LINES &&
	    i < k->lines; i++) {
		x = k->from + i * k->from_ld;
		out = k->half + i * k->to_ld;
		/* A fixed number of turns becomes vectors. */
		for (j = 0; j + DEVICE_BLOCK <= k->n; j += DEVICE_BLOCK)
			device_round(out + j, x + j, DEVICE_BLOCK);
		device_round(out + j, x + j, k->n - j);
	}
}

/* Copy some lines, or add them. */
static void
device_result_item(void *arg, int item, int thread)
{
	const struct device_lines	*k = arg;
	const float			*x;
	float				*y;
	int				 i, j;

	(void)thread;
	for (i = item * DEVICE_LINES; i < (item + 1) * DEVICE_LINES &&
	    i < k->lines; i++) {
		x = k->from + i * k->from_ld;
		y = k->to + i * k->to_ld;
		if (!k->add)
			memcpy(y, x, (size_t)k->n * sizeof *y);
		for (j = 0; k->add && j < k->n; j++)
			y[j] += x[j];
	}
}

/* Run over lines. */
static void
device_run(struct mat *m, struct device_lines *k,
    void (*fn)(void *, int, int))
{
	pool_run(m->pool, (k->lines + DEVICE_LINES - 1) / DEVICE_LINES, fn, k);
}

/* The device has failed. */
static void __attribute__((noreturn))
device_lost(const struct mat_device *d, const char *why)
{
	fatalx("%s: %s", d->name, why);
}

/* Forget an operand's memory. */
static void
device_clear(struct mat_device *d, struct mat_operand *o)
{
	if (o->at != NULL)
		d->module->memory_free(d->gpu, o->at);
	memset(o, 0, sizeof *o);
}

/* Bring an operand to the device. 0, or -1 and why. */
static int
device_put(struct mat *m, int rows, int k, struct mat_in x,
    struct mat_operand *o, char *why)
{
	struct mat_device	*d = m->device;
	struct device_lines	 l = { .from = x.x };
	size_t			 bytes;

	o->across = x.cs != 1;
	l.lines = o->across ? k : rows;
	l.n = o->across ? rows : k;
	l.from_ld = o->across ? x.cs : x.rs;
	o->ld = (l.n + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
	l.to_ld = o->ld;
	bytes = (size_t)l.lines * (size_t)o->ld * sizeof *l.half;
	if (bytes > o->size) {
		if (o->at != NULL)
			d->module->memory_free(d->gpu, o->at);
		o->size = 0;
		if ((o->at = d->module->memory_new(d->gpu, bytes, why)) == NULL)
			return (-1);
		o->size = bytes;
	}
	if ((l.half = d->module->stage(d->gpu, bytes, why)) == NULL)
		return (-1);
	device_run(m, &l, device_round_item);
	return (d->module->put(d->gpu, o->at, bytes, why));
}

/* Multiply by a B that is on the device. 0, or -1 and why. */
static int
device_multiply(struct mat *m, int M, int N, int K, struct mat_in a,
    const struct mat_operand *b, float *c, ptrdiff_t ldc, int add, char *why)
{
	struct mat_device	*d = m->device;
	struct device_lines	 l = { .to = c, .to_ld = ldc, .from_ld = N,
				    .lines = M, .n = N, .add = add };

	if (device_put(m, M, K, a, &d->a, why) != 0 ||
	    (l.from = d->module->multiply(d->gpu, M, N, K, &d->a, b,
	    why)) == NULL)
		return (-1);
	device_run(m, &l, device_result_item);
	return (0);
}

/* An operand without content. */
void *
mat_device_operand(void)
{
	return (xcalloc(1, sizeof(struct mat_operand)));
}

/* Release one. */
void
mat_device_operand_free(struct mat_device *d, void *operand)
{
	if (operand == NULL)
		return;
	device_clear(d, operand);
	free(operand);
}

/* Bring B to the device. */
void
mat_device_prepare(struct mat *m, int N, int K, struct mat_in b, void *operand)
{
	char	 why[MAT_MODULE_WHY];

	if (device_put(m, N, K, b, operand, why) != 0)
		device_lost(m->device, why);
}

/* Multiply by a B that is there. */
void
mat_device_mul_packed(struct mat *m, int M, int N, int K, struct mat_in a,
    const void *operand, float *c, ptrdiff_t ldc, int add)
{
	char	 why[MAT_MODULE_WHY];

	if (device_multiply(m, M, N, K, a, operand, c, ldc, add, why) != 0)
		device_lost(m->device, why);
}

/* Multiply. */
void
mat_device_mul(struct mat *m, int M, int N, int K, struct mat_in a,
    struct mat_in b, float *c, ptrdiff_t ldc, int add)
{
	mat_device_prepare(m, N, K, b, &m->device->b);
	mat_device_mul_packed(m, M, N, K, a, &m->device->b, c, ldc, add);
}

/* Is the module of our release? */
static int
device_fits(const char *name, const char *path, const struct mat_module *m,
    struct fault *f)
{
	if (m != NULL && strcmp(m->release, PACKAGE_VERSION) == 0 &&
	    m->version == MAT_MODULE_VERSION && m->size == sizeof *m)
		return (0);
	fault_set(f, "no_device", "device", "%s: %s: expected the trainer's "
	    "CUDA module of chatd " PACKAGE_VERSION ", version %d, %zu bytes; "
	    "found %s, version %u, %u bytes", name, path, MAT_MODULE_VERSION,
	    sizeof *m, m == NULL ? "another library" : m->release,
	    m == NULL ? 0 : m->version, m == NULL ? 0 : m->size);
	return (CHAT_EUNSUPPORTED);
}

/* Open the module. A good one is never closed: CUDA's libraries can't be
 * unloaded. */
static int
device_load(struct mat_device *d, struct fault *f)
{
	char	*path = dlmodule_path("tune-cuda");
	void	*module;
	int	 r;

	if ((r = dlmodule_open(path, "trainer's CUDA", d->name, &module,
	    f)) == 0) {
		d->module = dlsym(module, "tune_module");
		if ((r = device_fits(d->name, path, d->module, f)) != 0)
			dlclose(module);
	}
	free(path);
	return (r);
}

enum { CHECK_M = 37, CHECK_N = 21, CHECK_K = 50 };

/* An operand of whole numbers of -3 to 3, in one of the two orders. */
static struct mat_in
device_check_fill(float *x, int rows, int k, int across, int seed)
{
	struct mat_in	 in = { x, across ? 1 : k, across ? rows : 1 };
	int		 i, j;

	for (i = 0; i < rows; i++)
		for (j = 0; j < k; j++)
			x[i * in.rs + j * in.cs] = (float)((i * 5 + j * 3 +
			    i * j % 4 + seed) % 7 - 3);
	return (in);
}

/* Sums of products that differ from those of c. */
static int
device_check_differ(struct mat_in a, struct mat_in b, const float *c)
{
	float	 sum;
	int	 i, j, k, n = 0;

	for (i = 0; i < CHECK_M; i++)
		for (j = 0; j < CHECK_N; j++) {
			for (sum = 0, k = 0; k < CHECK_K; k++)
				sum += a.x[i * a.rs + k * a.cs] *
				    b.x[j * b.rs + k * b.cs];
			n += c[i * CHECK_N + j] != sum;
		}
	return (n);
}

/* Does the device multiply operands in all orders as it must? The sums are
 * exact, so they are equal. */
static int
device_check(struct mat_device *d, struct fault *f)
{
	float		 x[CHECK_M * CHECK_K], y[CHECK_N * CHECK_K];
	float		 c[CHECK_M * CHECK_N];
	char		 why[MAT_MODULE_WHY] = "";
	struct pool	*pool = pool_new(1);
	struct mat	 m = { .pool = pool, .device = d };
	struct mat_in	 a, b;
	int		 order, wrong = 0;

	for (order = 0; order < 4 && why[0] == '\0'; order++) {
		a = device_check_fill(x, CHECK_M, CHECK_K, order & 1, order);
		b = device_check_fill(y, CHECK_N, CHECK_K, order & 2, 2);
		if (device_put(&m, CHECK_N, CHECK_K, b, &d->b, why) == 0 &&
		    device_multiply(&m, CHECK_M, CHECK_N, CHECK_K, a, &d->b, c,
		    CHECK_N, 0, why) == 0)
			wrong += device_check_differ(a, b, c);
	}
	pool_free(pool);
	if (wrong == 0 && why[0] == '\0')
		return (0);
	if (why[0] != '\0')
		fault_set(f, "no_device", "device", "%s: self-test: %s",
		    d->title, why);
	else
		fault_set(f, "no_device", "device", "%s: self-test: %d of %d "
		    "sums of products are wrong", d->title, wrong,
		    4 * CHECK_M * CHECK_N);
	return (CHAT_EUNSUPPORTED);
}

/* Open "cuda:N". */
static int
device_open(int index, struct mat_device **out, struct fault *f)
{
	struct mat_device	*d = xcalloc(1, sizeof *d);
	char			 why[MAT_MODULE_WHY], gpu[128] = "";
	int			 r;

	snprintf(d->name, sizeof d->name, "cuda:%d", index);
	if ((r = device_load(d, f)) != 0)
		goto out;
	if (d->module->open(index, &d->gpu, gpu, sizeof gpu, why) != 0) {
		fault_set(f, "no_device", "device", "%s: %s", d->name, why);
		r = CHAT_EUNSUPPORTED;
		goto out;
	}
	snprintf(d->title, sizeof d->title, "%s (%s)", d->name, gpu);
	if ((r = device_check(d, f)) != 0)
		goto out;
	*out = d;
	d = NULL;
out:
	mat_device_free(d);
	return (r);
}

/* Release a device. */
void
mat_device_free(struct mat_device *d)
{
	if (d == NULL)
		return;
	if (d->gpu != NULL) {
		device_clear(d, &d->a);
		device_clear(d, &d->b);
		d->module->close(d->gpu);
	}
	free(d);
}

/* What it is. */
const char *
mat_device_name(const struct mat_device *d)
{
	return (d->title);
}

/* The number of "cuda" or "cuda:N"; -1: it is something else. */
static int
device_index(const char *name)
{
	char	*end;
	long	 n;

	if (strcmp(name, "cuda") == 0)
		return (0);
	if (strncmp(name, "cuda:", 5) != 0 || name[5] < '0' || name[5] > '9')
		return (-1);
	n = strtol(name + 5, &end, 10);
	return (*end == '\0' && n < DEVICES_INDEX ? (int)n : -1);
}

/* Open a device. */
int
mat_device_open(const char *name, struct mat_device **out, struct fault *f)
{
	int	 any = strcmp(name, "auto") == 0;
	int	 index = any ? 0 : device_index(name);

	*out = NULL;
	if (strcmp(name, "cpu") == 0)
		return (0);
	if (index == -1) {
		fault_set(f, "no_device", "device", "--device: expected auto, "
		    "cpu, cuda or cuda:N, found %.40s", name);
		return (CHAT_EUNSUPPORTED);
	}
	if (device_open(index, out, f) == 0)
		return (0);
	if (!any)
		return (CHAT_EUNSUPPORTED);
	log_info("device auto: cpu: %s", f->message);
	return (0);
}
