/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: the model's files, its adapters, its tokenizer, its backend, its
 * scheduler and its intake, with progress on the channel.
 */
#include "engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "log.h"
#include "model.h"
#include "xmalloc.h"

#define LOAD_BATCH_TOKENS	256	/* default */
#define LOAD_SYNTH_SEED		1
#define LOAD_PROGRESS_MS	100	/* between two progress events */

/* The message of the handler of SIGBUS. */
static char	 load_bus_words[1024];

/* A mapped page of the model is no longer in its file, or can't be read: say
 * so, and end as the signal does. */
static void
load_bus(int sig)
{
	ssize_t	 n;

	n = write(STDERR_FILENO, load_bus_words,
	    strlen(load_bus_words));
	(void)n;
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Report the progress of loading: at its start, at its end, and every
 * LOAD_PROGRESS_MS between. */
static void
load_progress(void *arg, int64_t bytes, int64_t bytes_total)
{
	struct engine	*e = arg;
	int64_t		 now = clock_monotonic();
	json_t		*m;

	if (e->progress_ms != 0 && bytes < bytes_total &&
	    now - e->progress_ms < LOAD_PROGRESS_MS)
		return;
	e->progress_ms = now;
	m = msg_event("progress", -1);
	msg_set_int(m, "bytes", bytes);
	msg_set_int(m, "bytes_total", bytes_total);
	chan_send(e->ch, m);
}

/* Make the tokenizer from its tables if the model has any that this version
 * knows, and else from its text. */
static int
load_tables(struct engine *e, const char *path, const char *text,
    size_t n, struct fault *f)
{
	const uint8_t	*tables;
	char		*where;
	size_t		 size;
	int		 r = CHAT_EUNSUPPORTED;

	if ((tables = model_tokenizer_tables(e->model, &size)) != NULL) {
		where = xasprintf("%s: tokenizer.tables", model_path(e->model));
		r = tokenizer_restore(where, tables, size, &e->tok, f);
		free(where);
	}
	return (r != CHAT_EUNSUPPORTED ? r : tokenizer_parse(path, text, n,
	    &e->tok, f));
}

/* Read the tokenizer and check that it fits the model. */
static int
load_tokenizer(struct engine *e, struct fault *f)
{
	const char	*path, *text;
	size_t		 n;
	int		 r, vocab = model_config(e->model)->vocab;

	if ((text = model_tokenizer(e->model, &n, &path)) == NULL)
		return (fault_set(f, "bad_model", NULL, "%s: expected a "
		    "tokenizer, found no such file", path));
	r = load_tables(e, path, text, n, f);
	if (r == 0 && tokenizer_size(e->tok) > vocab)
		r = fault_set(f, "bad_model", NULL, "%s: ids up to %d, but "
		    "vocab_size of the model is %d", path,
		    tokenizer_size(e->tok) - 1, vocab);
	return (r);
}

/* Set the number of tokens that prompt and reply may have together. */
static int
load_context(struct engine *e, struct fault *f)
{
	int64_t	 kv = (int64_t)e->info.kv_blocks * KV_BLOCK;

	if (e->opt.context > e->info.context)
		return (fault_set(f, "bad_field", "context", "context: the "
		    "model was made for %d tokens at most", e->info.context));
	e->context = e->opt.context > 0 ? (int)e->opt.context :
	    e->info.context;
	if (e->context > kv)
		e->context = (int)kv;
	if (e->context < 2)
		return (fault_set(f, "bad_field", "context",
		    "context: at least 2 tokens are needed"));
	return (0);
}

/* The options for a backend. */
struct backend_options
load_options(struct engine *e)
{
	return ((struct backend_options){
		.precision = e->opt.precision,
		.kv_precision = e->opt.kv_precision,
		.device = e->opt.device,
		.isa = e->opt.isa,
		.threads = (int)e->opt.threads,
		.pin = e->opt.pin,
		.kv_tokens = (int)e->opt.kv_tokens,
		.adapters = (const struct adapter *const *)e->adapter,
		.nadapters = e->nadapters,
		.rows = e->opt.batch_tokens > 0 ? (int)e->opt.batch_tokens :
		    LOAD_BATCH_TOKENS,
		.progress = load_progress,
		.progress_arg = e,
	});
}

/* If the device is "auto", choose one, and log which and why. */
static void
load_device(struct engine *e)
{
	struct backend_options	 opt = load_options(e);
	struct fault		 why;

	if (strcmp(e->opt.device, "auto") != 0)
		return;
	e->opt.device = backend_auto(e->model, &opt, &why);
	if (strcmp(e->opt.device, "cpu") == 0)
		log_info("device auto: cpu, because of %s", why.message);
	else
		log_info("device auto: %s", e->opt.device);
}

/* Open the model and its tokenizer. */
int
load_files(struct engine *e, struct fault *f)
{
	int	 r;

	snprintf(load_bus_words, sizeof load_bus_words,
	    "chatd-engine: %.800s: the file was cut, or its disk failed, while "
	    "it was in use\n", e->opt.model != NULL ? e->opt.model : "");
	signal(SIGBUS, load_bus);
	if (e->opt.synth != NULL)
		r = model_synth(e->opt.synth, LOAD_SYNTH_SEED, &e->model, f);
	else
		r = model_open(e->opt.model, &e->model, f);
	if (r != 0 || (r = lora_read(e, f)) != 0)
		return (r);
	load_device(e);
	return (load_tokenizer(e, f));
}

/* Load the model. */
int
load_engine(struct engine *e, struct fault *f)
{
	struct backend_options	 opt;
	int			 r;

	if ((r = load_files(e, f)) != 0)
		return (r);
	opt = load_options(e);		/* load_files has chosen the device */
	if ((r = backend_open(e->model, &opt, &e->backend, f)) != 0 ||
	    (r = lora_end(e, f)) != 0)
		return (r);
	e->backend->ops->info(e->backend, &e->info);
	if ((r = load_context(e, f)) != 0)
		return (r);
	e->sched = scheduler_new(e->backend, opt.rows, &events_table, e);
	e->intake = intake_new(e);
	return (0);
}
