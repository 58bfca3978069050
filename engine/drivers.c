/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the driver of one device, and calls it.  The CPU's driver is linked in.
 * Any other is a module that is opened only if its device is asked for, so that
 * the same program starts on machines without CUDA.
 */
#include "drivers.h"

#include <config.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "devices.h"
#include "dlmodule.h"
#include "model.h"
#include "packed.h"
#include "xmalloc.h"

#define DRIVERS_SYMBOL		"backend_module"

/* All backends. To add one, add a line, and one in daemon/base/devices.c. */
static const struct drivers_kind {
	const char			*name;	/* "cuda" of "cuda:0" */
	const char			*title;	/* in messages */
	const struct backend_driver	*driver; /* NULL: in the module
						  * chatd-NAME.so, and devices
						  * have a number */
} drivers_kinds[] = {
	{ "cpu", "CPU", &cpu_driver },
	{ "cuda", "CUDA", NULL }
};

static int	drivers_load(const struct drivers_kind *, const char *,
		    const struct backend_driver **, struct fault *);

/* Is device one of kind k? *index is its number. */
static int
drivers_is(const struct drivers_kind *k, const char *device, int *index)
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
	return (*end == '\0' && v < DEVICES_INDEX);
}

/* Find the driver of opt->device, which is one device, and the options to call
 * it with. */
static int
drivers_find(const struct backend_options *opt, struct backend_options *own,
    const struct backend_driver **out, struct fault *f)
{
	struct devices	 list;
	size_t		 i;
	int		 r;

	*own = *opt;
	if ((r = devices_parse(opt->device, &list, f)) != 0)
		return (r);
	for (i = 0; i < nitems(drivers_kinds); i++) {
		if (!drivers_is(&drivers_kinds[i], opt->device, &own->index))
			continue;
		if (drivers_kinds[i].driver == NULL)
			return (drivers_load(&drivers_kinds[i], opt->device,
			    out, f));
		*out = drivers_kinds[i].driver;
		return (0);
	}
	fault_set(f, "no_device", "device", "device: expected one device, "
	    "found %.40s", opt->device);
	return (CHAT_EUNSUPPORTED);
}

/* The number of devices of a kind. */
int
drivers_count(const char *kind, int *out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own, opt = { .device = "" };
	char				 name[32];
	int				 r;

	snprintf(name, sizeof name, "%.16s:0", kind);
	opt.device = name;
	if ((r = drivers_find(&opt, &own, &d, f)) != 0)
		return (r);
	*out = 1;
	return (d->devices != NULL ? d->devices(&backend_host, out, f) : 0);
}

/* The same for a model, whose packed file must be for that driver. */
static int
drivers_find_for(const struct model *m, const struct backend_options *opt,
    struct backend_options *own, const struct backend_driver **out,
    struct fault *f)
{
	const struct packed	*packed = model_packed(m);
	const char		*layout;
	int			 r;

	if ((r = drivers_find(opt, own, out, f)) != 0 || packed == NULL)
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
drivers_plan(struct model *m, const struct backend_options *opt,
    struct backend_plan *out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	int				 r;

	if ((r = drivers_find_for(m, opt, &own, &d, f)) != 0)
		return (r);
	return (d->plan(&backend_host, m, &own, out, f));
}

/* Check the tensors of a packed file. */
int
drivers_check(struct model *m, const struct backend_options *opt,
    struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	int				 r;

	if ((r = drivers_find_for(m, opt, &own, &d, f)) != 0)
		return (r);
	return (d->check(&backend_host, m, &own, f));
}

/* Write a packed file. */
int
drivers_pack(struct model *m, const struct backend_options *opt,
    const void *tables, size_t n, const char *out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	struct backend_plan		 plan;
	int				 r;

	if ((r = drivers_find_for(m, opt, &own, &d, f)) != 0)
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
drivers_open(struct model *m, const struct backend_options *opt,
    struct backend **out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	int				 r;

	if ((r = drivers_find_for(m, opt, &own, &d, f)) != 0)
		return (r);
	return (d->open(&backend_host, m, &own, out, f));
}

/* The precisions of a device. */
int
drivers_precisions(const struct backend_options *opt,
    const char *const **out, struct fault *f)
{
	const struct backend_driver	*d;
	struct backend_options		 own;
	int				 r;

	if ((r = drivers_find(opt, &own, &d, f)) == 0)
		*out = d->precisions;
	return (r);
}

/* Check that a module's driver (NULL if it has none) is of our release. */
static int
drivers_fits(const struct drivers_kind *k, const char *device,
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
drivers_load(const struct drivers_kind *k, const char *device,
    const struct backend_driver **out, struct fault *f)
{
	char		*path = dlmodule_path(k->name);
	void		*module;
	int		 r;

	if ((r = dlmodule_open(path, k->title, device, &module, f)) != 0)
		goto out;
	*out = dlsym(module, DRIVERS_SYMBOL);
	/* A good module is never closed: CUDA's libraries can't be unloaded,
	 * and f->code may point into the module. */
	if ((r = drivers_fits(k, device, path, *out, f)) != 0)
		dlclose(module);
out:
	free(path);
	return (r);
}
