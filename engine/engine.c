/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-engine: start-up, loading with progress, and the loop that turns
 * between messages and steps of the model.  Lines in, lines out, on
 * descriptors 0 and 1: started by chatd (which sends init first) or by hand
 * with --model.
 */
#include <config.h>

#include "engine.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "protocol.h"
#include "log.h"
#include "model.h"
#include "path.h"
#include "stdfds.h"
#include "xmalloc.h"

#define ENGINE_BATCH_TOKENS	256	/* default */
#define ENGINE_OOM_MORE		500	/* above chatd's oom_score_adj */
#define ENGINE_SYNTH_SEED	1
#define ENGINE_PROGRESS_MS	100	/* between two progress events */
#define ENGINE_OUTPUT_HIGH	(8 * 1024 * 1024)	/* bytes queued above
						 * which no step is run */
#define ENGINE_MESSAGES		32	/* taken between two steps, */
#define ENGINE_MESSAGES_TIME	0.001	/* seconds: none is begun after that */
#define ENGINE_INTAKE_SHARE	0.125	/* texts are encoded for that part of
					 * the time of steps, */
#define ENGINE_INTAKE_TIME	0.002	/* seconds at once at most, and between
					 * two messages without steps */

/* What the handler of SIGBUS writes. */
static char	 engine_bus_words[1024];

/* Where an option's value goes in struct engine_options; help and version
 * have no place there. */
struct engine_option {
	size_t	 offset;
	long	 max;		/* of a number; 0: the value is a string */
};

static const struct option engine_longopts[] = {
	{ "batch-tokens", required_argument, NULL, 0 },
	{ "context", required_argument, NULL, 0 },
	{ "device", required_argument, NULL, 0 },
	{ "isa", required_argument, NULL, 0 },
	{ "kv-precision", required_argument, NULL, 0 },
	{ "kv-tokens", required_argument, NULL, 0 },
	{ "model", required_argument, NULL, 0 },
	{ "pack", required_argument, NULL, 0 },
	{ "precision", required_argument, NULL, 0 },
	{ "synth", required_argument, NULL, 0 },
	{ "threads", required_argument, NULL, 0 },
	{ "bench", no_argument, NULL, 'b' },
	{ "check", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "pin", no_argument, NULL, 'p' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 }
};

/* In the order of engine_longopts. */
static const struct engine_option engine_places[] = {
	{ offsetof(struct engine_options, batch_tokens), 1 << 16 },
	{ offsetof(struct engine_options, context), 1 << 20 },
	{ offsetof(struct engine_options, device), 0 },
	{ offsetof(struct engine_options, isa), 0 },
	{ offsetof(struct engine_options, kv_precision), 0 },
	{ offsetof(struct engine_options, kv_tokens), 1 << 30 },
	{ offsetof(struct engine_options, model), 0 },
	{ offsetof(struct engine_options, pack), 0 },
	{ offsetof(struct engine_options, precision), 0 },
	{ offsetof(struct engine_options, synth), 0 },
	{ offsetof(struct engine_options, threads), 4096 },
};

static const char engine_help[] =
"usage: chatd-engine --model PATH [options]\n"
"       chatd-engine --model PATH --check\n"
"       chatd-engine --model PATH --pack FILE [--precision NAME]\n"
"\n"
"Serves one GPT-NeoX model: JSON lines with requests on standard input, JSON\n"
"lines with answers on standard output.  Without --model it waits for an init\n"
"message, as chatd sends it.\n"
"\n"
"  --model PATH          folder with config.json, tokenizer.json and weights,\n"
"                        or a GGUF file, or a packed file\n"
"  --precision NAME      fp32, bf16, int8 or int4 (default: what a packed file\n"
"                        is packed in, else bf16)\n"
"  --check               say what the model is, what it needs, and whether it\n"
"                        is sound, and end\n"
"  --synth SHAPE         a random model instead: pythia-160m, pythia-410m,\n"
"                        pythia-1.4b, pythia-6.9b or 20b\n"
"  --bench               measure it against what the machine allows, and end\n"
"  --pack FILE           write the model in that precision to a packed file,\n"
"                        which starts without conversion, and end\n"
"  --device NAME         cpu or cuda:N (default cpu)\n"
"  --isa NAME            auto, scalar, avx2, avx512 or amx (default auto)\n"
"  --threads N           threads on the CPU (default and most: one for each\n"
"                        core)\n"
"  --pin                 keep each thread on a core of its own\n"
"  --context N           tokens of prompt and reply (default: the model's)\n"
"  --kv-precision NAME   what the cache of keys and values is made of: auto,\n"
"                        fp32, bf16 or int8 (default auto: fp32 or bf16, as\n"
"                        the precision is)\n"
"  --kv-tokens N         tokens in the cache, of all requests together\n"
"  --batch-tokens N      tokens in one step (default 256)\n"
"  -h, --help            this text\n"
"  -V, --version         the version\n";

/* Say what is wrong with the command line (NULL: getopt has), and end. */
static void __attribute__((noreturn, format(printf, 1, 2)))
engine_usage(const char *fmt, ...)
{
	va_list	 ap;

	if (fmt != NULL) {
		fprintf(stderr, "chatd-engine: ");
		va_start(ap, fmt);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
		fprintf(stderr, "\n");
	}
	fprintf(stderr, "Try 'chatd-engine --help'.\n");
	exit(2);
}

/* Store the value of option number i. */
static void
engine_option_set(struct engine_options *opt, int i, const char *s)
{
	const struct engine_option	*o = &engine_places[i];
	char				*place = (char *)opt + o->offset, *end;
	long				 v;

	if (o->max == 0) {
		*(const char **)place = s;
		return;
	}
	v = strtol(s, &end, 10);
	if (end == s || *end != '\0' || v < 0 || v > o->max)
		engine_usage("--%s: expected a number from 0 to %ld, found "
		    "\"%s\"", engine_longopts[i].name, o->max, s);
	*(int64_t *)place = v;
}

/* Read the command line. */
static void
engine_options(int argc, char **argv, struct engine_options *opt)
{
	int	 c, i = 0;

	while ((c = getopt_long(argc, argv, "hV", engine_longopts,
	    &i)) != -1) {
		if (c == 0)
			engine_option_set(opt, i, optarg);
		else if (c == 'b')
			opt->bench = 1;
		else if (c == 'c')
			opt->check = 1;
		else if (c == 'p')
			opt->pin = 1;
		else if (c == 'h') {
			fputs(engine_help, stdout);
			exit(0);
		} else if (c == 'V') {
			printf("chatd-engine %s\n", PACKAGE_VERSION);
			exit(0);
		} else
			engine_usage(NULL);
	}
	if (optind < argc)
		engine_usage("unexpected argument \"%s\"", argv[optind]);
	if (opt->check + opt->bench + (opt->pack != NULL) > 1)
		engine_usage("one of --check, --pack and --bench");
	if (opt->model != NULL && opt->synth != NULL)
		engine_usage("--model or --synth, not both");
	if ((opt->check || opt->bench || opt->pack != NULL) &&
	    opt->model == NULL && opt->synth == NULL)
		engine_usage("--check, --pack and --bench need --model");
}

/* Send a fault. */
void
engine_error(struct engine *e, int64_t id, const struct fault *f)
{
	chan_send(e->ch, msg_error(id, f));
}

/* Tell how far loading is: first, last, and now and then. */
static void
engine_progress(void *arg, int64_t bytes, int64_t bytes_total)
{
	struct engine	*e = arg;
	int64_t		 now = clock_monotonic();
	json_t		*m;

	if (e->progress_ms != 0 && bytes < bytes_total &&
	    now - e->progress_ms < ENGINE_PROGRESS_MS)
		return;
	e->progress_ms = now;
	m = msg_event("progress", -1);
	msg_set_int(m, "bytes", bytes);
	msg_set_int(m, "bytes_total", bytes_total);
	chan_send(e->ch, m);
}

/* Make the tokenizer of its tables, where the model has any that we know, or
 * of its text. */
static int
engine_read_tokenizer(struct engine *e, const char *path, const char *text,
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

/* Read the tokenizer and see that it fits the model. */
static int
engine_load_tokenizer(struct engine *e, struct fault *f)
{
	const char	*path, *text;
	size_t		 n;
	int		 r, vocab = model_config(e->model)->vocab;

	if ((text = model_tokenizer(e->model, &n, &path)) == NULL)
		return (fault_set(f, "bad_model", NULL, "%s: expected a "
		    "tokenizer, found no such file", path));
	r = engine_read_tokenizer(e, path, text, n, f);
	if (r == 0 && tokenizer_size(e->tok) > vocab)
		r = fault_set(f, "bad_model", NULL, "%s: ids up to %d, but "
		    "vocab_size of the model is %d", path,
		    tokenizer_size(e->tok) - 1, vocab);
	return (r);
}

/* Settle how long prompt and reply may be in all. */
static int
engine_set_context(struct engine *e, struct fault *f)
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

/* What the options mean to a backend. */
struct backend_options
engine_backend_options(struct engine *e)
{
	return ((struct backend_options){
		.precision = e->opt.precision,
		.kv_precision = e->opt.kv_precision,
		.device = e->opt.device,
		.isa = e->opt.isa,
		.threads = (int)e->opt.threads,
		.pin = e->opt.pin,
		.kv_tokens = (int)e->opt.kv_tokens,
		.rows = e->opt.batch_tokens > 0 ? (int)e->opt.batch_tokens :
		    ENGINE_BATCH_TOKENS,
		.progress = engine_progress,
		.progress_arg = e,
	});
}

/* Open what is on the disk. */
int
engine_open(struct engine *e, struct fault *f)
{
	int	 r;

	snprintf(engine_bus_words, sizeof engine_bus_words, "chatd-engine: "
	    "%.800s: the file was cut, or its disk failed, while it was in "
	    "use\n", e->opt.model != NULL ? e->opt.model : "");

	if (e->opt.synth != NULL)
		r = model_synth(e->opt.synth, ENGINE_SYNTH_SEED, &e->model, f);
	else
		r = model_open(e->opt.model, &e->model, f);
	if (r != 0)
		return (r);
	return (engine_load_tokenizer(e, f));
}

/* Load the model. */
static int
engine_load(struct engine *e, struct fault *f)
{
	struct backend_options	 opt = engine_backend_options(e);
	int			 r;

	if ((r = engine_open(e, f)) != 0 ||
	    (r = backend_open(e->model, &opt, &e->backend, f)) != 0)
		return (r);
	e->backend->ops->info(e->backend, &e->info);
	if ((r = engine_set_context(e, f)) != 0)
		return (r);
	e->sched = scheduler_new(e->backend, opt.rows, &events_table, e);
	e->intake = intake_new(e);
	return (0);
}

/* Announce what is loaded. */
static void
engine_ready(struct engine *e)
{
	json_t	*m = msg_event("ready", -1), *o = json_object();

	msg_set_string(o, "path", model_path(e->model));
	msg_set_string(o, "name", model_name(e->model));
	msg_set_string(o, "digest", model_digest(e->model));
	msg_set_string(o, "precision", e->info.precision);
	msg_set_string(o, "device", e->info.device);
	msg_set_string(o, "isa", e->info.isa);
	msg_set_int(o, "threads", e->info.threads);
	msg_set_int(o, "context", e->context);
	msg_set_int(o, "vocab", e->info.vocab);
	msg_set_int(o, "parameters", e->info.parameters);
	msg_set_int(o, "layers", e->info.layers);
	msg_set_string(o, "kv_precision", e->info.kv_precision);
	msg_set_int(o, "kv_tokens", (int64_t)e->info.kv_blocks * KV_BLOCK);
	msg_set_int(o, "kv_bytes", e->info.kv_bytes);
	msg_set_int(m, "protocol", PROTOCOL_VERSION);
	msg_set(m, "model", o);
	chan_send(e->ch, m);
}

/* Handle messages that are waiting, but no more than a step can wait for.
 * Returns 0 if there are no more, 1 if there may be, or why input is over. */
static int
engine_messages(struct engine *e)
{
	const double	 start = clock_seconds();
	struct fault	 f;
	json_t		*msg;
	int		 r, n = 0;

	while ((r = chan_next(e->ch, &msg, &f)) != 0) {
		if (r == CHAT_EFORMAT)
			engine_error(e, -1, &f);
		else if (r < 0)
			return (r);
		else {
			engine_ops_message(e, msg);
			json_decref(msg);
		}
		if (++n == ENGINE_MESSAGES ||
		    clock_seconds() - start >= ENGINE_MESSAGES_TIME)
			return (1);
	}
	return (0);
}

/* Encode texts for as long as the next step can wait, *credit seconds, and run
 * it: the rows of it, or an error. A step earns credit, and what takes longer
 * than there was credit for is owed. *left is the number of texts not yet
 * encoded. */
static int
engine_work(struct engine *e, double *credit, int *left)
{
	double	 start = clock_seconds(), now;
	int	 rows;

	*left = intake_run(e->intake, *credit);
	now = clock_seconds();
	*credit -= now - start;
	if ((rows = scheduler_step(e->sched)) < 0)
		log_warnx("step: %s", chat_strerror(rows));
	else if (rows == 0)
		*credit = ENGINE_INTAKE_TIME;
	else {
		*credit += (clock_seconds() - now) * ENGINE_INTAKE_SHARE;
		if (*credit > ENGINE_INTAKE_TIME)
			*credit = ENGINE_INTAKE_TIME;
	}
	return (rows);
}

/*
 * Messages, texts, a step, and again. At the end of input what is at work is
 * still finished, as long as somebody reads it. Returns the exit status.
 */
static int
engine_loop(struct engine *e)
{
	double	 credit = ENGINE_INTAKE_TIME;
	long	 queued;
	int	 more, rows, left;

	for (;;) {
		more = engine_messages(e);
		if (more < 0) {
			intake_cancel_paused(e->intake);
			scheduler_cancel_paused(e->sched);
		}
		if ((queued = chan_flush(e->ch)) < 0)
			return (queued == CHAT_ESYSTEM);
		rows = left = 0;
		if (queued <= ENGINE_OUTPUT_HIGH &&
		    (rows = engine_work(e, &credit, &left)) < 0)
			return (1);
		if (rows > 0 || left > 0 || more > 0)
			continue;
		if (more < 0 && queued <= ENGINE_OUTPUT_HIGH)
			return (chan_drain(e->ch) == CHAT_ESYSTEM);
		chan_wait(e->ch, -1);
	}
}

/* Wait for the init message. */
static int
engine_init(struct engine *e, struct fault *f)
{
	int	 r;

	while ((r = chan_next(e->ch, &e->init, f)) == 0)
		chan_wait(e->ch, -1);
	if (r == CHAT_ESYSTEM)
		fault_set(f, "bad_json", NULL, "reading: %s", strerror(errno));
	if (r < 0)
		return (r);
	return (engine_ops_read_init(e->init, &e->opt, f));
}

/* Release everything. */
static void
engine_clear(struct engine *e)
{
	intake_free(e->intake);
	scheduler_free(e->sched);
	if (e->backend != NULL)
		e->backend->ops->free(e->backend);
	tokenizer_free(e->tok);
	model_free(e->model);
	chan_free(e->ch);
	json_decref(e->init);
}

/* A page of the model that was mapped is not in its file any more, or can't
 * be read: say so, and end as the signal does. */
static void
engine_bus(int sig)
{
	ssize_t	 n;

	n = write(STDERR_FILENO, engine_bus_words, strlen(engine_bus_words));
	(void)n;
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Where memory is short, the engine is to be killed before chatd and the
 * store: it holds nearly all of it, and a reply goes on in the next engine. */
static void
engine_oom_first(void)
{
	FILE	*fp;
	int	 score = 0;

	if ((fp = fopen("/proc/self/oom_score_adj", "r+e")) == NULL)
		return;
	if (fscanf(fp, "%d", &score) == 1) {
		score += ENGINE_OOM_MORE;
		rewind(fp);
		fprintf(fp, "%d", score > 1000 ? 1000 : score);
	}
	fclose(fp);
}

/* Start, load, serve. */
int
main(int argc, char **argv)
{
	struct engine	 e = { .opt = { .precision = "auto",
			    .kv_precision = "auto", .device = "cpu",
			    .isa = "auto" } };
	struct fault	 f;
	int		 r = 0, status = 1;

	stdfds_init("chatd-engine");
	log_init("chatd-engine", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* an error of the write instead */
	engine_options(argc, argv, &e.opt);
	signal(SIGBUS, engine_bus);
	if (e.opt.check || e.opt.pack != NULL) {
		status = e.opt.check ? offline_check(&e) : offline_pack(&e);
		engine_clear(&e);
		return (status);
	}
	e.ch = chan_new(STDIN_FILENO, STDOUT_FILENO, HELPER_LINE_MAX);
	if (e.opt.model == NULL && e.opt.synth == NULL) {
		/* chatd ends us by closing the channel.  SIGHUP is meant for
		 * it, and reaches us where it is sent to all of a unit. */
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		engine_oom_first();
		if ((r = engine_init(&e, &f)) == 0)
			engine_sandbox(&e);
	}
	if (r == CHAT_ECLOSED)
		status = 0;
	else if (r != 0 || (r = engine_load(&e, &f)) != 0) {
		engine_error(&e, -1, &f);
		chan_drain(e.ch);
	} else if (e.opt.bench)
		status = bench_run(&e);
	else {
		engine_ready(&e);
		status = engine_loop(&e);
	}
	engine_clear(&e);
	return (status);
}
