/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine calls for its device, which is one (drivers.c) or several
 * (stages.c), and the choice of "auto".
 */
#include "backend.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "devices.h"
#include "drivers.h"
#include "log.h"
#include "stages.h"

/* The device whose driver packs and checks files for all of opt->device, and
 * whose precisions those of opt->device are: the first GPU, or else the CPU. */
static int
backend_first(const struct backend_options *opt, int one_kind, char out[16],
    struct fault *f)
{
	struct devices	 list;
	int		 i, r, cpu = 0;

	if ((r = devices_parse(opt->device, &list, f)) != 0)
		return (r);
	snprintf(out, 16, "%s", list.n == 0 ? "cuda:0" : "cpu");
	for (i = list.n - 1; i >= 0; i--)
		if (strcmp(list.list[i].name, "cpu") == 0)
			cpu = 1;
		else
			memcpy(out, list.list[i].name,
			    sizeof list.list[i].name);
	if (!one_kind || !cpu || list.n == 1)
		return (0);
	fault_set(f, "no_device", "device", "%.80s: expected devices of one "
	    "kind for a packed file, found GPUs and the CPU", opt->device);
	return (CHAT_EUNSUPPORTED);
}

/* Plan the memory of a model on several devices. */
static int
backend_plan_list(struct model *m, const struct backend_options *opt,
    struct backend_plan *out, struct fault *f)
{
	struct stages_plan	 p;
	int			 i, r;

	if ((r = stages_divide(m, opt, &p, f)) != 0)
		return (r);
	*out = p.part[0].plan;
	for (i = 1; i < p.n; i++) {
		out->weights += p.part[i].plan.weights;
		out->cache += p.part[i].plan.cache;
		out->work += p.part[i].plan.work;
		out->total += p.part[i].plan.total;
		out->free += p.part[i].plan.free;
	}
	return (0);
}

/* Plan the memory of a model. */
int
backend_plan(struct model *m, const struct backend_options *opt,
    struct backend_plan *out, struct fault *f)
{
	if (devices_is_one(opt->device))
		return (drivers_plan(m, opt, out, f));
	return (backend_plan_list(m, opt, out, f));
}

/* Check the tensors of a packed file. */
int
backend_check(struct model *m, const struct backend_options *opt,
    struct fault *f)
{
	struct backend_options	 one = *opt;
	char			 device[16];
	int			 r;

	if (devices_is_one(opt->device))
		return (drivers_check(m, opt, f));
	if ((r = backend_first(opt, 1, device, f)) != 0)
		return (r);
	one.device = device;
	return (drivers_check(m, &one, f));
}

/* Write a packed file. */
int
backend_pack(struct model *m, const struct backend_options *opt,
    const void *tables, size_t n, const char *out, struct fault *f)
{
	struct backend_options	 one = *opt;
	char			 device[16];
	int			 r;

	if (devices_is_one(opt->device))
		return (drivers_pack(m, opt, tables, n, out, f));
	if ((r = backend_first(opt, 1, device, f)) != 0)
		return (r);
	one.device = device;
	return (drivers_pack(m, &one, tables, n, out, f));
}

/* Load a model on several devices. Their plan goes to the log. */
static int
backend_open_list(struct model *m, const struct backend_options *opt,
    struct backend **out, struct fault *f)
{
	struct backend_options	 own;
	struct stages_plan	 p;
	char			 line[400];
	int			 i, r;

	if ((r = stages_divide(m, opt, &p, f)) != 0)
		return (r);
	for (i = 0; i < p.n; i++) {
		stages_line(&p, i, line, sizeof line);
		log_info("%s", line);
	}
	if (p.n == 1) {
		own = stages_options(&p, 0, opt);
		return (drivers_open(m, &own, out, f));
	}
	return (stages_open(m, opt, &p, out, f));
}

/* Load a model. */
int
backend_open(struct model *m, const struct backend_options *opt,
    struct backend **out, struct fault *f)
{
	if (devices_is_one(opt->device))
		return (drivers_open(m, opt, out, f));
	return (backend_open_list(m, opt, out, f));
}

/* Choose what "auto" means. */
const char *
backend_auto(struct model *m, const struct backend_options *opt,
    struct fault *why)
{
	struct backend_options	 own = *opt;
	struct backend_plan	 plan;
	char			 need[BYTES_TEXT], left[BYTES_TEXT];
	struct fault		 all;
	int			 r, n;

	own.device = "cuda:0";
	if ((r = backend_plan(m, &own, &plan, why)) == 0 &&
	    plan.total <= plan.free)
		return ("cuda:0");
	if (r == 0)
		fault_set(why, "no_memory", "device", "cuda:0: the model "
		    "needs %s in %s, %s are free; the device \"cpu,cuda:0\" "
		    "would use both", bytes_text(plan.total, need),
		    plan.precision, bytes_text(plan.free, left));
	own.device = "cuda";
	if (drivers_count("cuda", &n, &all) != 0 || n < 2)
		return ("cpu");
	if (backend_plan(m, &own, &plan, &all) == 0)
		return ("cuda");
	if (strcmp(all.code, "no_memory") == 0)
		*why = all;
	return ("cpu");
}

/* The precisions of a device. */
int
backend_precisions(const struct backend_options *opt,
    const char *const **out, struct fault *f)
{
	struct backend_options	 one = *opt;
	char			 device[16];
	int			 r;

	if ((r = backend_first(opt, 0, device, f)) != 0)
		return (r);
	one.device = device;
	return (drivers_precisions(&one, out, f));
}
