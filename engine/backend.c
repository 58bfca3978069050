/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the driver of a device.  The CPU's driver is linked in.  Any other is a
 * module that is opened only if its device is asked for, so that the same
 * program starts on machines without CUDA.
 */
#include "backend.h"

#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cpu.h"
#include "model.h"
#include "packed.h"
#include "xmalloc.h"

#define BACKEND_INDEX_MAX	1000	/* numbers of devices are below this */
#define BACKEND_SYMBOL		"backend_module"

/* All backends. To add one, add a line. */
static const struct backend_kind {
	const char			*name;	/* "cuda" of "cuda:0" */
	const char			*title;	/* in messages */
	const struct backend_driver	*driver; /* NULL: in the module
						  * chatd-NAME.so, and devices
						  * have a number */
} backend_kinds[] = {
	{ "cpu", "CPU", &cpu_driver },
	{ "cuda", "CUDA", NULL }
};

static int	backend_load(const struct backend_kind *, const char *,
		    const struct backend_driver **, struct fault *);
static int	backend_dlopen(const struct backend_kind *, const char *,
		    const char *, void **, struct fault *);

/* Is device one of kind k? *index is its number. */
static int
backend_is(const struct backend_kind *k, const char *device, int *index)
{
	const size_t	 n = strlen(k->name);
	char		*end;
	long		 v;

	*index = 0;
	if (k->driver != NULL)
		return (strcmp(device, k->name) == 0);
	if (strncmp(device, k->name, n) != 0 || device[n] != ':' ||
	    device[n + 1] < '0' || device[n + 1] > '9')
		return (0);
	v = strtol(device + n + 1, &end, 10);
	*index = (int)v;
	return (*end == '\0' && v < BACKEND_INDEX_MAX);
}

/* Report which devices there are. */
static int
backend_unknown(const char *device, struct fault *f)
{
	char	 words[128] = "";
	size_t	 i, n = 0;

	for (i = 0; i < nitems(backend_kinds) && n < sizeof words; i++)
		n += (size_t)snprintf(words + n, sizeof words - n, "%s%s%s",
		    i == 0 ? "" : i + 1 < nitems(backend_kinds) ?
		    ", " : " or ", backend_kinds[i].name,
		    backend_kinds[i].driver != NULL ? "" : ":N");
	fault_set(f, "no_device", "device",
	    "device: expected auto, %s, found %.40s", words, device);
	return (CHAT_EUNSUPPORTED);
}

/* Find the driver of opt->device, and the options to call it with. */
static int
backend_find(const struct backend_options *opt, struct backend_options *own,
    const struct backend_driver **out, struct fault *f)
{
	size_t	 i;

	*own = *opt;
	for (i = 0; i < nitems(backend_kinds); i++) {
		if (!backend_is(&backend_kinds[i], opt->device, &own->index))
			continue;
		if (backend_kinds[i].driver == NULL)
			return (backend_load(&backend_kinds[i], opt->device,
			    out, f));
		*out = backend_kinds[i].driver;
		return (0);
	}
	return (backend_unknown(opt->device, f));
}

/* The same for a model, whose packed file must be for that driver. */
static int
backend_find_for(const struct model *m, const struct backend_options *opt,
    struct backend_options *own, const struct backend_driver **out,
    struct fault *f)
{
	const struct packed	*packed = model_packed(m);
	const char		*layout;
	int			 r;

	if ((r = backend_find(opt, own, out, f)) != 0 || packed == NULL)
		return (r);
	layout = (*out)->layout;
	if (layout != NULL && strcmp(layout, packed->layout) == 0)
		return (0);
	if (layout == NULL)
		return (fault_set(f, "bad_model", "device", "%s: %s can't "
		    "read packed files: load the model it was packed from",
		    packed->path, opt->device));
	return (fault_set(f, "bad_model", NULL, "%s: __metadata__: layout: "
	    "expected %s for device %s, found %.40s: pack the model again for "
	    "this device", packed->path, layout, opt->device, packed->layout));
}

/* Plan the memory of a model. */
int
backend_plan(struct model *m, const struct backend_options *opt,
    struct backend_plan *out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	int				 r;

	if ((r = backend_find_for(m, opt, &own, &d, f)) != 0)
		return (r);
	return (d->plan(&backend_host, m, &own, out, f));
}

/* Check the tensors of a packed file. */
int
backend_check(struct model *m, const struct backend_options *opt,
    struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	int				 r;

	if ((r = backend_find_for(m, opt, &own, &d, f)) != 0)
		return (r);
	return (d->check(&backend_host, m, &own, f));
}

/* Write a packed file. */
int
backend_pack(struct model *m, const struct backend_options *opt,
    const void *tables, size_t n, const char *out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	struct backend_plan		 plan;
	int				 r;

	if ((r = backend_find_for(m, opt, &own, &d, f)) != 0)
		return (r);
	if (d->pack != NULL)
		return (d->pack(&backend_host, m, &own, tables, n, out, f));
	/* A device that is not there has its own message. */
	if ((r = d->plan(&backend_host, m, &own, &plan, f)) != 0)
		return (r);
	fault_set(f, "no_device", "device", "%s: has no packed files: load "
	    "the model as it is", opt->device);
	return (CHAT_EUNSUPPORTED);
}

/* Load a model. */
int
backend_open(struct model *m, const struct backend_options *opt,
    struct backend **out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	int				 r;

	if ((r = backend_find_for(m, opt, &own, &d, f)) != 0)
		return (r);
	return (d->open(&backend_host, m, &own, out, f));
}

/* Choose what "auto" means. */
const char *
backend_auto(struct model *m, const struct backend_options *opt,
    struct fault *why)
{
	struct backend_options	 own = *opt;
	struct backend_plan	 plan;
	char			 need[BYTES_TEXT], left[BYTES_TEXT];

	own.device = "cuda:0";
	if (backend_plan(m, &own, &plan, why) != 0)
		return ("cpu");
	if (plan.total <= plan.free)
		return ("cuda:0");
	fault_set(why, "no_memory", "device", "cuda:0: the model needs %s in "
	    "%s, %s are free", bytes_text(plan.total, need), plan.precision,
	    bytes_text(plan.free, left));
	return ("cpu");
}

/* The precisions of a device. */
int
backend_precisions(const struct backend_options *opt,
    const char *const **out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	int				 r;

	if ((r = backend_find(opt, &own, &d, f)) == 0)
		*out = d->precisions;
	return (r);
}

/* Check that a module's driver (NULL if it has none) is of our release. */
static int
backend_fits(const struct backend_kind *k, const char *device,
    const char *path, const struct backend_driver *d, struct fault *f)
{
	if (d != NULL && strcmp(d->release, PACKAGE_VERSION) == 0 &&
	    d->version == BACKEND_VERSION && d->size == sizeof *d)
		return (0);
	if (d == NULL || strcmp(d->release, PACKAGE_VERSION) != 0)
		fault_set(f, "no_device", "device", "%s: %s: expected the %s "
		    "module of chatd " PACKAGE_VERSION ", found %s", device,
		    path, k->title, d == NULL ? "another library" :
		    d->release);
	else
		fault_set(f, "no_device", "device", "%s: %s: expected a "
		    "driver of version %d and %zu bytes, found version %u and "
		    "%u bytes", device, path, BACKEND_VERSION, sizeof *d,
		    d->version, d->size);
	return (CHAT_EUNSUPPORTED);
}

/* Open a module and check its driver. */
static int
backend_load(const struct backend_kind *k, const char *device,
    const struct backend_driver **out, struct fault *f)
{
	const char	*folder = secure_getenv("CHATD_MODULES");
	char		*path;
	void		*module;
	int		 r;

	path = xasprintf("%s/chatd-%s.so", folder != NULL ? folder : MODULEDIR,
	    k->name);
	if ((r = backend_dlopen(k, device, path, &module, f)) != 0)
		goto out;
	*out = dlsym(module, BACKEND_SYMBOL);
	/* A good module is never closed: CUDA's libraries can't be unloaded,
	 * and f->code may point into the module. */
	if ((r = backend_fits(k, device, path, *out, f)) != 0)
		dlclose(module);
out:
	free(path);
	return (r);
}

/* dlopen, with a message for each way in which it can fail. */
static int
backend_dlopen(const struct backend_kind *k, const char *device,
    const char *path, void **out, struct fault *f)
{
	const char	*why;

	if (access(path, F_OK) == -1) {
		fault_set(f, "no_device", "device",
		    "%s: the %s module is not installed: %s: %s", device,
		    k->title, path, strerror(errno));
		return (CHAT_EUNSUPPORTED);
	}
	if ((*out = dlopen(path, RTLD_NOW | RTLD_LOCAL)) != NULL)
		return (0);
	why = dlerror();
	if (strstr(why, "cannot open shared object file") != NULL)
		fault_set(f, "no_device", "device", "%s: the %s libraries are "
		    "missing: %s", device, k->title, why);
	else
		fault_set(f, "no_device", "device", "%s: the %s module can't "
		    "be used: %s", device, k->title, why);
	return (CHAT_EUNSUPPORTED);
}
