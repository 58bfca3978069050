/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-engine without serving: --check describes a model and the memory that
 * it needs, and checks its weights; --pack writes a packed file of it.  Both
 * work for the device of --device.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "clock.h"
#include "devices.h"
#include "model.h"
#include "packed.h"
#include "stages.h"
#include "stdfds.h"
#include "xmalloc.h"

#define OFFLINE_MS	200	/* between two lines of progress */

/* The progress that a terminal shows while a file is read. */
struct offline_progress {
	const char	*verb;
	int64_t		 last_ms;
	int		 shown;
};

/* Show how much has been read; at the end, remove the line. */
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

/* Print a fault; returns the exit status. */
static int
offline_failed(struct offline_progress *p, const struct fault *f)
{
	offline_progress(p, 0, 0);
	fprintf(stderr, "chatd-engine: %s\n", f->message);
	return (1);
}

/* Print a name, which a stranger may have written into a packed file, without
 * the characters that control a terminal. */
static void
offline_name(const char *s)
{
	const unsigned char	*p = (const unsigned char *)s;

	for (; *p != '\0'; p++)
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
			putchar('?');	/* a C1 control character */
			p++;
		} else
			putchar(*p < ' ' || *p == 127 ? '?' : *p);
	putchar('\n');
}

/* Describe the model. */
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

/* Print the memory that the model needs in each precision of the device. A
 * packed model has one precision only. */
static int
offline_needs(const struct engine *e, const struct backend_options *opt,
    int64_t left, struct fault *f)
{
	struct backend_options	 one = *opt;
	struct backend_plan	 plan;
	struct fault		 why;
	const char *const	*p;
	char			 w[BYTES_TEXT], c[BYTES_TEXT], t[BYTES_TEXT];
	int			 r;

	if ((r = backend_precisions(opt, &p, f)) != 0)
		return (r);
	if (devices_is_one(opt->device))
		printf("  memory      %s are free\n", bytes_text(left, w));
	else
		printf("  memory      of %s\n", opt->device);
	for (; *p != NULL; p++) {
		one.precision = *p;
		r = backend_plan(e->model, &one, &plan, &why);
		if (r == CHAT_ENOMEM)
			printf("    %s      does not fit\n", *p);
		if (r != 0)
			continue;
		printf("    %s      %s of weights, %s of cache in %s: %s, "
		    "%s\n", *p, bytes_text(plan.weights, w),
		    bytes_text(plan.cache, c), plan.kv_precision,
		    bytes_text(plan.total, t),
		    plan.total <= plan.free ? "fits" : "does not fit");
	}
	return (0);
}

/* Print how the model is divided over several devices, or why it can't be. */
static int
offline_stages(const struct engine *e, const struct backend_options *opt,
    struct fault *f)
{
	struct stages_plan	 p;
	char			 line[400];
	int			 i, r;

	if (devices_is_one(opt->device))
		return (0);
	if ((r = stages_divide(e->model, opt, &p, f)) == CHAT_ENOMEM) {
		printf("  stages      %s\n", f->message);
		return (0);
	}
	for (i = 0; r == 0 && i < p.n; i++) {
		stages_line(&p, i, line, sizeof line);
		printf("%s%s\n", i == 0 ? "  stages      " :
		    "              ", line);
	}
	return (r);
}

/* State of reading all of a model. */
struct offline_check {
	const struct engine	*e;
	struct offline_progress	 progress;
};

/* Refuse NaN and infinity. */
static int
offline_slice(void *arg, const struct model_slice *s, struct fault *f)
{
	struct offline_check	*c = arg;
	float			*row;
	int64_t			 i;
	int			 r = 0;

	row = xcalloc((size_t)s->cols, sizeof *row);
	for (i = 0; i < s->count && r == 0; i++)
		r = backend_host.widen(s, i, row, f);
	free(row);
	offline_progress(&c->progress, model_bytes_read(c->e->model),
	    model_bytes(c->e->model));
	return (r);
}

/* Read all of a model, packed or not. */
static int
offline_read(struct offline_check *c, const struct backend_options *opt,
    struct fault *f)
{
	struct model	*m = c->e->model;
	int		 r;

	if (model_packed(m) == NULL)
		return (model_stream(m, offline_slice, c, f));
	if ((r = backend_check(m, opt, f)) != 0)
		return (r);
	return (packed_verify(model_packed(m), offline_progress, &c->progress,
	    f));
}

/* Describe a model, then read all of it. */
int
offline_check(struct engine *e)
{
	struct backend_options	 opt;
	struct offline_check	 c = { .e = e, .progress = { .verb =
				    "reading" } };
	struct backend_plan	 plan = { .free = 0 };
	struct fault		 f;
	int			 r;

	if (load_files(e, &f) != 0)
		return (offline_failed(&c.progress, &f));
	opt = load_options(e);
	r = backend_plan(e->model, &opt, &plan, &f);
	if (r != 0 && r != CHAT_ENOMEM)
		return (offline_failed(&c.progress, &f));
	offline_facts(e);
	if (offline_needs(e, &opt, plan.free, &f) != 0 ||
	    offline_stages(e, &opt, &f) != 0)
		return (offline_failed(&c.progress, &f));
	stdfds_flush();
	if (offline_read(&c, &opt, &f) != 0)
		return (offline_failed(&c.progress, &f));
	printf("  digest      %s\n", model_digest(e->model));
	printf("  sound\n");
	return (0);
}

/* Write a packed file. */
int
offline_pack(struct engine *e)
{
	struct backend_options	 opt;
	struct offline_progress	 p = { .verb = "packing" };
	struct fault		 f;
	uint8_t			*tables;
	size_t			 n;
	int			 r;

	if (load_files(e, &f) != 0)
		return (offline_failed(&p, &f));
	opt = load_options(e);
	opt.progress = offline_progress;
	opt.progress_arg = &p;
	tokenizer_save(e->tok, &tables, &n);
	r = backend_pack(e->model, &opt, tables, n, e->opt.pack, &f);
	free(tables);
	return (r != 0 ? offline_failed(&p, &f) : 0);
}
