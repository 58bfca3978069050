/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Divides the layers of a model over devices.  All layers have the same size,
 * so the drivers' plans for the first, for the last, for one other and for all
 * layers give the memory of any range.
 */
#include "stages.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "drivers.h"
#include "log.h"
#include "model.h"
#include "packed.h"
#include "xmalloc.h"

/* A device, and what a range of layers needs on it. */
struct plan_device {
	char			 name[16];
	int			 cpu;
	int			 fixed;		/* layers that are asked for;
						 * 0: none are */
	int			 in, layers;	/* is it used, and for what */
	struct backend_plan	 first, last, mid, all;
	int64_t			 block;		/* bytes of KV_BLOCK positions
						 * of one layer */
};

struct plan {
	struct model			*m;
	const struct backend_options	*opt;
	struct plan_device		 d[DEVICES_MAX];
	int				 n;
	int				 L;
	int				 mixed;
	int64_t				 blocks;	/* of the cache, at
							 * least */
};

/* The options for a device of a list. */
static struct backend_options
plan_options(const struct backend_options *opt, const char *device, int mixed,
    int first, int end)
{
	struct backend_options	 own = *opt;

	own.device = device;
	own.first = first;
	own.end = end;
	if (!mixed || strcmp(device, "cpu") != 0)
		return (own);
	if (strcmp(own.precision, "auto") == 0 ||
	    strcmp(own.precision, "fp16") == 0)
		own.precision = "bf16";
	if (own.kv_precision != NULL && strcmp(own.kv_precision, "fp16") == 0)
		own.kv_precision = "auto";
	return (own);
}

/* The options of one stage. */
struct backend_options
stages_options(const struct stages_plan *p, int i,
    const struct backend_options *opt)
{
	struct backend_options	 own = plan_options(opt, p->part[i].device,
				    p->mixed, p->part[i].first,
				    p->part[i].end);

	own.kv_tokens = p->kv_tokens;
	return (own);
}

/* Plan some layers on a device, with a cache of KV_BLOCK positions. */
static int
plan_ask(const struct plan *s, struct plan_device *d, int first, int end,
    struct backend_plan *out, struct fault *f)
{
	struct backend_options	 own = plan_options(s->opt, d->name,
				    s->mixed, first, end);

	own.kv_tokens = KV_BLOCK;
	return (drivers_plan(s->m, &own, out, f));
}

/* Ask what a device needs. */
static int
plan_measure(const struct plan *s, struct plan_device *d, struct fault *f)
{
	const int	 L = s->L;
	int		 r;

	if ((r = plan_ask(s, d, 0, L, &d->all, f)) != 0 ||
	    (r = plan_ask(s, d, 0, 1, &d->first, f)) != 0 ||
	    (r = plan_ask(s, d, L - 1, L, &d->last, f)) != 0 ||
	    (L > 2 && (r = plan_ask(s, d, 1, 2, &d->mid, f)) != 0))
		return (r);
	d->block = d->first.cache;
	return (0);
}

/* The device that has the first layer, or the last one. */
static const struct plan_device *
plan_end(const struct plan *s, int last)
{
	const struct plan_device	*d = NULL;
	int				 i;

	for (i = 0; i < s->n; i++)
		if (s->d[i].in && (last || d == NULL))
			d = &s->d[i];
	return (d);
}

/* The plan of a device for n layers in this division. */
static struct backend_plan
plan_need(const struct plan *s, const struct plan_device *d, int n)
{
	const int		 first = plan_end(s, 0) == d;
	const int		 last = plan_end(s, 1) == d;
	struct backend_plan	 p = first ? d->first : last ? d->last :
				    d->mid;

	if (n == s->L)
		p = d->all;
	else
		p.weights += (n - 1) * d->mid.weights;
	p.cache = n * s->blocks * d->block;
	p.free = d->all.free;
	p.total = p.weights + p.cache + p.work;
	return (p);
}

/* Does it fit? */
static int
plan_fits(const struct plan *s, const struct plan_device *d, int n)
{
	const struct backend_plan	 p = plan_need(s, d, n);

	return (p.total <= p.free);
}

/* The layers of a device per byte of the memory that is free after its fixed
 * costs, if it has one more layer. */
static double
plan_load(const struct plan *s, const struct plan_device *d)
{
	const struct backend_plan	 p = plan_need(s, d, 1);
	int64_t				 left = p.free - p.work - p.weights +
					    (s->L > 2 ? d->mid.weights : 0);

	return ((d->layers + 1) / (double)(left > 0 ? left : 1));
}

/* The GPU that takes the next layer, or NULL if none has room. */
static struct plan_device *
plan_next(struct plan *s)
{
	struct plan_device	*d, *best = NULL;
	int			 i;

	for (i = 0; i < s->n; i++) {
		d = &s->d[i];
		if (!d->in || d->cpu || !plan_fits(s, d, d->layers + 1))
			continue;
		if (best == NULL || plan_load(s, d) < plan_load(s, best))
			best = d;
	}
	return (best);
}

/*
 * Try the devices that are in: one layer for each, then one after the other.
 * The CPU takes what is left, at least one. Returns 1 if it is done, 0 if the
 * layers don't fit. A device without room for one layer is taken out, and -1
 * returned: try again.
 */
static int
plan_try(struct plan *s)
{
	struct plan_device	*d, *cpu = NULL;
	int			 i, left = s->L;

	for (i = 0; i < s->n; i++) {
		d = &s->d[i];
		d->layers = d->in ? 1 : 0;
		if (d->in && (left == 0 || (!d->cpu &&
		    !plan_fits(s, d, 1)))) {
			d->in = 0;
			return (-1);
		}
		left -= d->layers;
		if (d->in && d->cpu)
			cpu = d;
	}
	while (left > 0 && (d = plan_next(s)) != NULL) {
		d->layers++;
		left--;
	}
	if (cpu == NULL)
		return (left == 0 && plan_end(s, 0) != NULL);
	cpu->layers += left;
	return (plan_fits(s, cpu, cpu->layers));
}

/* Choose the layers: the GPUs alone, else with the CPU. */
static int
plan_choose(struct plan *s)
{
	int	 with, i, r = 0, cpu = 0, gpu = 0;

	for (i = 0; i < s->n; i++) {
		cpu += s->d[i].cpu;
		gpu += !s->d[i].cpu;
	}
	for (with = gpu == 0; with <= cpu; with++) {
		for (i = 0; i < s->n; i++)
			s->d[i].in = with || !s->d[i].cpu;
		while ((r = plan_try(s)) == -1)
			;
		if (r == 1)
			return (1);
	}
	return (0);
}

/* Take the layers that are asked for. Returns 0, or an error. */
static int
plan_fixed(struct plan *s, struct fault *f)
{
	struct backend_plan	 p;
	char			 need[BYTES_TEXT], left[BYTES_TEXT];
	int			 i, sum = 0;

	for (i = 0; i < s->n; i++) {
		s->d[i].in = 1;
		s->d[i].layers = s->d[i].fixed;
		sum += s->d[i].fixed;
	}
	if (sum != s->L)
		return (fault_set(f, "no_device", "device", "device: expected "
		    "%d layers in all, found %d in %.80s", s->L, sum,
		    s->opt->device));
	for (i = 0; i < s->n; i++) {
		p = plan_need(s, &s->d[i], s->d[i].layers);
		if (p.total <= p.free)
			continue;
		fault_set(f, "no_memory", "device", "%s: %d layers need %s in "
		    "%s, %s are free", s->d[i].name, s->d[i].layers,
		    bytes_text(p.total, need), p.precision,
		    bytes_text(p.free, left));
		return (CHAT_ENOMEM);
	}
	return (0);
}

/* Say what each device has, what is needed, and which precision (or NULL)
 * needs less. */
static int
plan_refuse(const struct plan *s, const char *smaller, struct fault *f)
{
	struct backend_plan	 p = s->d[0].all;
	char			 text[BYTES_TEXT], more[BYTES_TEXT];
	char			 has[160] = "";
	size_t			 n = 0;
	int			 i, cpu = 0;

	for (i = 0; i < s->n && n < sizeof has; i++) {
		n += (size_t)snprintf(has + n, sizeof has - n, "%s%s on %s",
		    i > 0 ? ", " : "", bytes_text(s->d[i].all.free, text),
		    s->d[i].name);
		cpu += s->d[i].cpu;
	}
	p.total += (s->blocks - 1) * s->L * s->d[0].block;
	fault_set(f, "no_memory", "device", "%.100s: needs %s in %s, and up "
	    "to %s on each device; free are %s%s%s%s", model_path(s->m),
	    bytes_text(p.total - p.work, text), p.precision,
	    bytes_text(p.work, more), has, smaller != NULL ? ": try " :
	    cpu ? "" : ": add cpu to the devices",
	    smaller != NULL ? smaller : "",
	    smaller != NULL && !cpu ? ", or add cpu to the devices" : "");
	return (CHAT_ENOMEM);
}

/* Every device of a kind that can be used. */
static int
plan_all(struct plan *s, const char *kind, struct fault *f)
{
	struct fault		 why;
	char			 name[16];
	int			 i, n, r, last = 0;

	if ((r = drivers_count(kind, &n, f)) != 0)
		return (r);
	for (i = 0; i < n && s->n < DEVICES_MAX; i++) {
		snprintf(name, sizeof name, "%s:%d", kind, i);
		memcpy(s->d[s->n].name, name, sizeof name);
		if ((r = plan_measure(s, &s->d[s->n], &why)) == 0)
			s->n++;
		else if (strcmp(why.code, "no_device") != 0) {
			*f = why;
			return (r);
		} else {
			log_info("device %s: not used: %s", kind, why.message);
			*f = why;
			last = r;
		}
	}
	return (s->n > 0 ? 0 : last != 0 ? last : CHAT_EUNSUPPORTED);
}

/* The devices of a list. A packed file is for one kind of device only. */
static int
plan_list(struct plan *s, const struct devices *list, struct fault *f)
{
	const struct packed	*packed = model_packed(s->m);
	struct plan_device	*d;
	int			 i, r, cpu = 0;

	for (i = 0; i < list->n; i++)
		cpu += strcmp(list->list[i].name, "cpu") == 0;
	s->mixed = cpu > 0 && cpu < list->n;
	if (packed != NULL && s->mixed)
		return (fault_set(f, "bad_model", "device", "%s: is packed "
		    "for %s, but %.80s are GPUs and the CPU: expected devices "
		    "of one kind, or the model that it was packed from",
		    packed->path, strncmp(packed->layout, "cpu", 3) == 0 ?
		    "the CPU" : "GPUs", s->opt->device));
	for (i = 0; i < list->n; i++) {
		d = &s->d[s->n++];
		memcpy(d->name, list->list[i].name, sizeof d->name);
		d->cpu = strcmp(d->name, "cpu") == 0;
		d->fixed = list->list[i].layers;
		if ((r = plan_measure(s, d, f)) != 0)
			return (r);
	}
	return (0);
}

/* The positions that the cache of every stage has room for. */
static int
plan_tokens(const struct plan *s, struct stages_plan *out, struct fault *f)
{
	struct backend_options	 own;
	struct backend_plan	 p;
	int64_t			 blocks, least = 0;
	int			 i, r;

	for (i = 0; i < out->n && s->opt->kv_tokens == 0; i++) {
		own = stages_options(out, i, s->opt);
		own.kv_tokens = 0;
		if ((r = drivers_plan(s->m, &own, &p, f)) != 0)
			return (r);
		own.kv_tokens = KV_BLOCK;
		blocks = p.cache;
		if ((r = drivers_plan(s->m, &own, &p, f)) != 0)
			return (r);
		blocks /= p.cache;
		if (i == 0 || blocks < least)
			least = blocks;
	}
	out->kv_tokens = s->opt->kv_tokens > 0 ? s->opt->kv_tokens :
	    (int)least * KV_BLOCK;
	return (0);
}

/* Write the division down. */
static int
plan_write(struct plan *s, struct stages_plan *out, struct fault *f)
{
	struct stage_part	*part;
	int			 i, at = 0, r;

	out->layers = s->L;
	out->mixed = s->mixed;
	out->row = model_config(s->m)->channels * (int64_t)sizeof(float);
	for (out->n = 0, i = 0; i < s->n; i++) {
		if (!s->d[i].in)
			continue;
		part = &out->part[out->n++];
		memcpy(part->device, s->d[i].name, sizeof part->device);
		part->first = at;
		part->end = at += s->d[i].layers;
	}
	if ((r = plan_tokens(s, out, f)) != 0)
		return (r);
	s->blocks = (out->kv_tokens + KV_BLOCK - 1) / KV_BLOCK;
	for (out->n = 0, i = 0; i < s->n; i++)
		if (s->d[i].in)
			out->part[out->n++].plan = plan_need(s, &s->d[i],
			    s->d[i].layers);
	return (0);
}

/* Ask all devices of opt->device what they need. */
static int
plan_init(struct plan *s, struct model *m, const struct backend_options *opt,
    struct fault *f)
{
	struct devices	 list;
	int64_t		 tokens = opt->kv_tokens > 0 ? opt->kv_tokens :
			    model_config(m)->context;
	int		 r;

	memset(s, 0, sizeof *s);
	s->m = m;
	s->opt = opt;
	s->L = model_config(m)->layers;
	s->blocks = (tokens + KV_BLOCK - 1) / KV_BLOCK;
	if ((r = devices_parse(opt->device, &list, f)) != 0)
		return (r);
	return (list.n == 0 ? plan_all(s, opt->device, f) :
	    plan_list(s, &list, f));
}

/* The next smaller precision in which the model fits, or NULL. */
static const char *
plan_smaller(const struct plan *s)
{
	struct backend_options	 own = *s->opt;
	struct plan		 less;
	struct fault		 f;
	const char *const	*p;
	int			 i = 0;

	while (i + 1 < s->n && s->d[i].cpu)
		i++;		/* the precisions of the GPUs */
	own.device = s->d[i].name;
	if (drivers_precisions(&own, &p, &f) != 0)
		return (NULL);
	own.device = s->opt->device;
	while (*p != NULL && strcmp(*p, s->d[i].all.precision) != 0)
		p++;
	for (; *p != NULL; p++) {
		own.precision = *p;
		if (plan_init(&less, s->m, &own, &f) == 0 &&
		    plan_choose(&less))
			return (*p);
	}
	return (NULL);
}

/* Divide. */
int
stages_divide(struct model *m, const struct backend_options *opt,
    struct stages_plan *out, struct fault *f)
{
	struct plan	 s;
	int		 r;

	if ((r = plan_init(&s, m, opt, f)) != 0)
		return (r);
	if (s.d[0].fixed > 0)
		r = plan_fixed(&s, f);
	else if (!plan_choose(&s))
		r = plan_refuse(&s, plan_smaller(&s), f);
	return (r != 0 ? r : plan_write(&s, out, f));
}

/* Describe a stage. */
void
stages_line(const struct stages_plan *p, int i, char *buf, size_t size)
{
	const struct stage_part	*part = &p->part[i];
	char			 w[BYTES_TEXT], c[BYTES_TEXT], k[BYTES_TEXT];
	char			 left[BYTES_TEXT], from[64] = "", to[16] = "";

	if (i > 0)
		snprintf(from, sizeof from, "; %lld bytes a row come from %s",
		    (long long)p->row, p->part[i - 1].device);
	if (part->end - 1 > part->first)
		snprintf(to, sizeof to, "-%d", part->end - 1);
	snprintf(buf, size, "%s: layer%s %d%s of 0-%d in %s: %s of weights, "
	    "%s of cache for %d tokens, %s for a step; %s are free%s",
	    part->device, to[0] != '\0' ? "s" : "", part->first, to,
	    p->layers - 1, part->plan.precision,
	    bytes_text(part->plan.weights, w), bytes_text(part->plan.cache, c),
	    p->kv_tokens,
	    bytes_text(part->plan.work, k), bytes_text(part->plan.free, left),
	    from);
}
