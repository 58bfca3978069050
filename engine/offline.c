/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What chatd-engine does without serving: --check says what a model is, what
 * it needs and whether it is sound; --pack writes a packed file of it.
 */
#include "engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "clock.h"
#include "cpu.h"
#include "dtype.h"
#include "meminfo.h"
#include "cpu_pack.h"
#include "packed.h"
#include "cpu_plan.h"
#include "stdfds.h"
#include "xmalloc.h"

#define OFFLINE_MS	200	/* between two lines of progress */

/* What is told on a terminal while something is read. */
struct offline_progress {
	const char	*verb;
	int64_t		 last_ms;
	int		 shown;
};

/* Show how far reading is; at the end, take it away. */
static void
offline_progress(void *arg, int64_t bytes, int64_t total)
{
	struct offline_progress	*p = arg;
	int64_t			 now = clock_monotonic();
	char			 done[BYTES_TEXT], all[BYTES_TEXT];

	if (!isatty(STDERR_FILENO))
		return;
	if (bytes >= total) {
		if (p->shown)
			fprintf(stderr, "\r\033[K");
		p->shown = 0;
	} else if (now - p->last_ms >= OFFLINE_MS) {
		fprintf(stderr, "\r%s: %s of %s\033[K", p->verb,
		    bytes_text(bytes, done), bytes_text(total, all));
		p->last_ms = now;
		p->shown = 1;
	}
}

/* Say what is wrong; the exit status. */
static int
offline_failed(struct offline_progress *p, const struct fault *f)
{
	offline_progress(p, 0, 0);
	fprintf(stderr, "chatd-engine: %s\n", f->message);
	return (1);
}

/* A name may be one that a stranger has put into a packed file: print it
 * without what moves a terminal. */
static void
offline_name(const char *s)
{
	const unsigned char	*p = (const unsigned char *)s;

	for (; *p != '\0'; p++)
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
			putchar('?');	/* of the second set of controls */
			p++;
		} else
			putchar(*p < ' ' || *p == 127 ? '?' : *p);
	putchar('\n');
}

/* What the model is. */
static void
offline_facts(const struct engine *e)
{
	const struct model_config *c = model_config(e->model);
	const struct packed	*p = model_packed(e->model);
	char			 buf[BYTES_TEXT];

	printf("%s: %s, %s\n", model_path(e->model), model_format(e->model),
	    bytes_text(model_bytes(e->model), buf));
	printf("  name        ");
	offline_name(model_name(e->model));
	printf("  shape       %d layers of %d channels, %d heads of %d, "
	    "MLP of %d\n", c->layers, c->channels, c->heads, c->lanes,
	    c->inner);
	printf("  kind        %s residual, %s, %d rotary lanes, %s%s\n",
	    c->parallel ? "parallel" : "sequential",
	    c->gelu == GELU_ERF ? "gelu" : "gelu_fast", c->rotary,
	    c->tied ? "tied embeddings" : "separate embeddings",
	    c->attn_bias ? "" : ", no biases in attention");
	printf("  vocabulary  %d, the tokenizer has %d\n", c->vocab,
	    tokenizer_size(e->tok));
	printf("  context     %d tokens\n", c->context);
	printf("  parameters  %lld\n", (long long)model_parameters(e->model));
	if (p != NULL)
		printf("  packed in   %s\n", p->precision);
}

/* What it needs, in each precision or in the one it is packed in. */
static void
offline_needs(const struct engine *e, const struct backend_options *opt)
{
	const struct packed	*packed = model_packed(e->model);
	int64_t			 left = meminfo_free();
	struct plan		 plan;
	struct fault		 f;
	enum elem		 elem;
	char			 w[BYTES_TEXT], c[BYTES_TEXT], t[BYTES_TEXT];
	int			 p;

	printf("  memory      %s are free\n", bytes_text(left, w));
	for (p = 0; p < PREC_COUNT; p++) {
		if (packed != NULL && strcmp(packed->precision,
		    precision_name((enum precision)p)) != 0)
			continue;
		if (cpu_plan_elem((enum precision)p, opt->kv_precision, &elem,
		    &f) != 0)
			continue;
		cpu_plan_make(model_config(e->model), (enum precision)p, opt,
		    &plan);
		printf("    %s      %s of weights, %s of cache in %s: %s, "
		    "%s\n", precision_name((enum precision)p),
		    bytes_text(plan.weights, w),
		    bytes_text(plan.cache, c), cpu_plan_elem_name(elem),
		    bytes_text(plan.total, t),
		    plan.total <= left ? "fits" : "does not fit");
	}
}

/* What reading all of a model needs. */
struct offline_check {
	const struct engine	*e;
	struct offline_progress	 progress;
};

/* Refuse what is not finite. */
static int
offline_slice(void *arg, const struct model_slice *s, struct fault *f)
{
	struct offline_check	*c = arg;
	float			*row;
	int64_t			 i, k;
	int			 r = 0;

	row = xcalloc((size_t)s->cols, sizeof *row);
	for (i = 0; i < s->count && r == 0; i++) {
		dtype_to_f32(s->dtype, s->bytes + (size_t)i * s->row_bytes,
		    row, (size_t)s->cols);
		for (k = 0; k < s->cols && isfinite(row[k]); k++)
			;
		if (k < s->cols)
			r = model_not_finite(s, i, k, row[k], "", f);
	}
	free(row);
	offline_progress(&c->progress, model_bytes_read(c->e->model),
	    model_bytes(c->e->model));
	return (r);
}

/* Is all in a packed file that must be, and as it was written? */
static int
offline_packed(const struct engine *e, enum precision p,
    struct offline_progress *progress, struct fault *f)
{
	const struct packed	*packed = model_packed(e->model);
	struct layout		 l;
	int			 r;

	layout_init(&l, model_config(e->model), p);
	if ((r = weights_check(&l, packed, f)) == 0)
		r = packed_verify(packed, offline_progress, progress, f);
	layout_clear(&l);
	return (r);
}

/* Say what a model is, then read all of it. */
int
offline_check(struct engine *e)
{
	struct backend_options	 opt = engine_backend_options(e);
	struct offline_check	 c = { .e = e, .progress = { .verb =
				    "reading" } };
	enum precision		 p;
	enum elem		 elem;
	struct fault		 f;
	int			 r;

	if (engine_open(e, &f) != 0 ||
	    cpu_precision(e->model, opt.precision, &p, &f) != 0 ||
	    cpu_plan_elem(p, opt.kv_precision, &elem, &f) != 0)
		return (offline_failed(&c.progress, &f));
	offline_facts(e);
	offline_needs(e, &opt);
	stdfds_flush();
	if (model_packed(e->model) != NULL)
		r = offline_packed(e, p, &c.progress, &f);
	else
		r = model_stream(e->model, offline_slice, &c, &f);
	if (r != 0)
		return (offline_failed(&c.progress, &f));
	printf("  digest      %s\n", model_digest(e->model));
	printf("  sound\n");
	return (0);
}

/* Write a packed file. */
int
offline_pack(struct engine *e)
{
	struct backend_options	 opt = engine_backend_options(e);
	struct offline_progress	 p = { .verb = "packing" };
	struct fault		 f;
	uint8_t			*tables;
	size_t			 n;
	int			 r;

	opt.progress = offline_progress;
	opt.progress_arg = &p;
	if (engine_open(e, &f) != 0)
		return (offline_failed(&p, &f));
	tokenizer_save(e->tok, &tables, &n);
	r = cpu_pack_write(e->model, tables, n, e->opt.pack, &opt, &f);
	free(tables);
	return (r != 0 ? offline_failed(&p, &f) : 0);
}
