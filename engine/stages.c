/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads the stages of a model and runs them in turn.
 *
 * The weights are read once for all of them.  Each stage, when it is opened,
 * allocates its memory and then asks for the stream of weights.  Instead of
 * starting one, stages_stream opens the next stage.  When the last one asks,
 * the model is read, and each slice goes to all stages; each skips the slices
 * of other layers.
 */
#include "stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers.h"
#include "model.h"
#include "sha256.h"
#include "xmalloc.h"

#define STAGES_PRECISION	64	/* the longest name, without its NUL:
					 * that of the store */

struct stages {
	struct backend		 backend;	/* first: callers point to it */
	struct stages_plan	 plan;
	struct backend		*stage[DEVICES_MAX];	/* owned */
	struct backend_info	 info[DEVICES_MAX];	/* of each */
	int			 channels;
	float			*x;		/* owned: [room][C] */
	int			 room;		/* rows */
	/* for info */
	char			 device[DEVICES_MAX * 16];
	char			 isa[DEVICES_MAX * 16];
	char			 precision[STAGES_PRECISION + 1];
	char			 kv_precision[DEVICES_MAX * 8];
};

/* A load in progress. */
struct stages_load {
	struct stages			*s;
	struct model			*m;
	const struct backend_options	*opt;
	int				 next;	/* stage to open */
	/* what the stages do with a slice */
	struct {
		int	 (*take)(void *, const struct model_slice *,
			    struct fault *);
		void	*arg;
	}				 takes[DEVICES_MAX];
	int				 ntakes;
	int64_t				 shown;	/* last progress */
};

static int	stages_step(struct backend *, const struct backend_row *, int);
static void	stages_info(const struct backend *, struct backend_info *);
static void	stages_free(struct backend *);
static void	stages_limits(struct backend *, struct backend_limits *);
static double	stages_read_rate(struct backend *);
static int	stages_next(struct stages_load *, struct fault *);
static void	stages_describe(struct stages *);

static const struct backend_ops stages_ops = {
	.step = stages_step,
	.info = stages_info,
	.free = stages_free,
	.limits = stages_limits,
	.read_rate = stages_read_rate
};

/* Report the progress of all stages together: each reports the bytes of the
 * stream, or, if there is none, its own. */
static void
stages_progress(void *arg, int64_t bytes, int64_t total)
{
	struct stages_load	*l = arg;
	const struct stages_plan *p = &l->s->plan;
	int64_t			 own;
	int			 i;

	if (model_packed(l->m) != NULL) {
		own = p->part[l->next - 1].plan.weights;
		bytes = total > 0 ? (int64_t)((double)bytes / (double)total *
		    (double)own) : own;
		for (total = 0, i = 0; i < p->n; i++) {
			total += p->part[i].plan.weights;
			if (i < l->next - 1)
				bytes += p->part[i].plan.weights;
		}
	}
	if (bytes == l->shown)
		return;
	l->shown = bytes;
	l->opt->progress(l->opt->progress_arg, bytes, total);
}

/* Give a slice to each stage. */
static int
stages_take(void *arg, const struct model_slice *s, struct fault *f)
{
	struct stages_load	*l = arg;
	int			 i, r = 0;

	for (i = 0; i < l->ntakes && r == 0; i++)
		r = l->takes[i].take(l->takes[i].arg, s, f);
	return (r);
}

/* A stage asks for the weights: open the next one first, if there is one. */
static int
stages_stream(void *arg, struct model *m, int (*take)(void *,
    const struct model_slice *, struct fault *), void *take_arg,
    struct fault *f)
{
	struct stages_load	*l = arg;

	l->takes[l->ntakes].take = take;
	l->takes[l->ntakes++].arg = take_arg;
	if (l->next < l->s->plan.n)
		return (stages_next(l, f));
	return (model_stream(m, stages_take, l, f));
}

/* Open the next stage. */
static int
stages_next(struct stages_load *l, struct fault *f)
{
	struct stages		*s = l->s;
	const int		 i = l->next++;
	struct backend_options	 opt = stages_options(&s->plan, i, l->opt);
	int			 r;

	opt.stream = stages_stream;
	opt.stream_arg = l;
	if (opt.progress != NULL) {
		opt.progress = stages_progress;
		opt.progress_arg = l;
	}
	if ((r = drivers_open(l->m, &opt, &s->stage[i], f)) != 0)
		return (r);
	s->stage[i]->ops->info(s->stage[i], &s->info[i]);
	if (s->stage[i]->ops->stage != NULL)
		return (0);
	fault_set(f, "no_device", "device", "%s: can't have a part of a model",
	    opt.device);
	return (CHAT_EUNSUPPORTED);
}

/* Load all stages. */
int
stages_open(struct model *m, const struct backend_options *opt,
    const struct stages_plan *p, struct backend **out, struct fault *f)
{
	struct stages		*s = xcalloc(1, sizeof *s);
	struct stages_load	 l = { .s = s, .m = m, .opt = opt,
					.shown = -1 };
	int			 r = 0;

	s->backend.ops = &stages_ops;
	s->plan = *p;
	s->channels = model_config(m)->channels;
	while (l.next < p->n && r == 0)	/* more than once: nothing streams */
		r = stages_next(&l, f);
	if (r == 0) {
		stages_describe(s);
		*out = &s->backend;
		s = NULL;
	}
	if (s != NULL)
		stages_free(&s->backend);
	return (r);
}

/* Release everything. */
static void
stages_free(struct backend *b)
{
	struct stages	*s = (struct stages *)b;
	int		 i;

	if (b == NULL)
		return;
	for (i = 0; i < s->plan.n; i++)
		if (s->stage[i] != NULL)
			s->stage[i]->ops->free(s->stage[i]);
	free(s->x);
	free(s);
}

/* Run one step: each stage in turn. */
static int
stages_step(struct backend *b, const struct backend_row *rows, int T)
{
	struct stages	*s = (struct stages *)b;
	int		 i, r = 0;

	if (T > s->room) {
		s->x = xreallocarray(s->x, (size_t)T * (size_t)s->channels,
		    sizeof *s->x);
		s->room = T;
	}
	for (i = 0; i < s->plan.n && r == 0; i++)
		r = s->stage[i]->ops->stage(s->stage[i], rows, T,
		    i > 0 ? s->x : NULL, i + 1 < s->plan.n ? s->x : NULL);
	return (r);
}

/* Append a word to the list in buf, if it isn't there. */
static void
stages_word(char *buf, size_t size, const char *word)
{
	const size_t	 n = strlen(word);
	const char	*at;

	for (at = buf; (at = strstr(at, word)) != NULL; at += n)
		if ((at == buf || at[-1] == ',') &&
		    (at[n] == ',' || at[n] == '\0'))
			return;
	snprintf(buf + strlen(buf), size - strlen(buf), "%s%s",
	    buf[0] != '\0' ? "," : "", word);
}

/*
 * The name of the precision: that of the stages if it is the same for all, else
 * that of each with its layers, as "fp16@sm_80.1[0-29]+bf16[30-43]". If that is
 * too long for the store, a digest of it stands for it.
 */
static void
stages_name(struct stages *s)
{
	const struct stages_plan *p = &s->plan;
	char			 name[DEVICES_MAX * 64], hex[SHA256_HEX];
	struct sha256		 sum;
	size_t			 n = 0;
	int			 i, j;

	for (i = 0; i < p->n; i = j) {
		for (j = i + 1; j < p->n && strcmp(s->info[j].precision,
		    s->info[i].precision) == 0; j++)
			;
		if (i == 0 && j == p->n) {
			snprintf(s->precision, sizeof s->precision, "%s",
			    s->info[0].precision);
			return;
		}
		n += (size_t)snprintf(name + n, sizeof name - n,
		    "%s%.40s[%d-%d]", i > 0 ? "+" : "", s->info[i].precision,
		    p->part[i].first, p->part[j - 1].end - 1);
	}
	if (n <= STAGES_PRECISION) {
		memcpy(s->precision, name, n + 1);
		return;
	}
	sha256_init(&sum);
	sha256_add(&sum, name, n);
	sha256_end(&sum, hex);
	snprintf(s->precision, sizeof s->precision, "%.15s+stages.%.32s",
	    p->part[0].plan.precision, hex);
}

/* Set the words of info. */
static void
stages_describe(struct stages *s)
{
	int	 i;

	for (i = 0; i < s->plan.n; i++) {
		snprintf(s->device + strlen(s->device), sizeof s->device -
		    strlen(s->device), "%s%s", i > 0 ? "," : "",
		    s->info[i].device);
		stages_word(s->isa, sizeof s->isa, s->info[i].isa);
		stages_word(s->kv_precision, sizeof s->kv_precision,
		    s->info[i].kv_precision);
	}
	stages_name(s);
}

/* Describe the backend. */
static void
stages_info(const struct backend *b, struct backend_info *out)
{
	const struct stages	*s = (const struct stages *)b;
	const struct backend_info *x;
	int			 i;

	*out = s->info[0];
	for (i = 1; i < s->plan.n; i++) {
		x = &s->info[i];
		out->layers += x->layers;
		out->kv_bytes += x->kv_bytes;
		if (x->kv_blocks < out->kv_blocks)
			out->kv_blocks = x->kv_blocks;
		if (x->threads > out->threads)
			out->threads = x->threads;
	}
	out->best_max = s->info[s->plan.n - 1].best_max;
	out->device = s->device;
	out->isa = s->isa;
	out->precision = s->precision;
	out->kv_precision = s->kv_precision;
}

/* Bytes that the stages read in a second, one after the other, in proportion
 * to the weights that each reads. */
static double
stages_read_rate(struct backend *b)
{
	struct stages	*s = (struct stages *)b;
	double		 seconds = 0, sum = 0;
	int		 i;

	for (i = 0; i < s->plan.n; i++) {
		sum += (double)s->plan.part[i].plan.weights;
		seconds += (double)s->plan.part[i].plan.weights /
		    s->stage[i]->ops->read_rate(s->stage[i]);
	}
	return (sum / seconds);
}

/* The limits of the stages in turn: the time for the bytes, and for the
 * operations, of one stage after that of the other. */
static void
stages_limits(struct backend *b, struct backend_limits *out)
{
	struct stages		*s = (struct stages *)b;
	struct backend_limits	 one;
	double			 seconds = 0;
	int			 i;

	memset(out, 0, sizeof *out);
	for (i = 0; i < s->plan.n; i++) {
		s->stage[i]->ops->limits(s->stage[i], &one);
		out->touched += one.touched;
		seconds += s->info[i].layers / one.peak;
		out->peak_name = one.peak_name;
	}
	out->peak = s->plan.layers / seconds;
	if (s->plan.n > 1)
		out->peak_name = "mean";
	out->figures[0] = (struct backend_figure){ .key = "read_bandwidth",
		.unit = "GB/s", .note = "of the stages in turn",
		.value = stages_read_rate(b) / 1e9 };
	out->figures[1] = (struct backend_figure){ .key = "stages_peak",
		.unit = "GFLOP/s", .note = "products, of the stages in turn",
		.value = out->peak / 1e9 };
	out->nfigures = 2;
}
