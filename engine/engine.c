/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-engine: start-up, and the loop that takes messages and runs steps of
 * the model in turn.  It reads lines from descriptor 0 and writes lines to
 * descriptor 1.  chatd starts it and sends init first; by hand, it is started
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

#define ENGINE_OOM_MORE		500	/* above chatd's oom_score_adj */
#define ENGINE_OUTPUT_HIGH	(8 * 1024 * 1024)	/* bytes queued above
						 * which no step is run */
#define ENGINE_MESSAGES		32	/* at most between two steps */
#define ENGINE_MESSAGES_TIME	0.001	/* seconds after which no further
					 * message is taken */
#define ENGINE_INTAKE_SHARE	0.125	/* of the time of steps is for encoding
					 * texts */
#define ENGINE_INTAKE_TIME	0.002	/* seconds of it at once at most, and
					 * between two messages if there are
					 * no steps */

/* The member of struct engine_options that an option sets; help and version
 * set none. */
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
	{ "adapter", required_argument, NULL, 'a' },
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
"Serves one GPT-NeoX model.  Requests are JSON lines on standard input,\n"
"answers are JSON lines on standard output.  Without --model it waits for the\n"
"init message that chatd sends.\n"
"\n"
"  --model PATH          folder with config.json, tokenizer.json and weights,\n"
"                        or a GGUF file, or a packed file\n"
"  --precision NAME      fp32, fp16, bf16, int8 or int4 (default: that of a\n"
"                        packed file, else bf16, on a GPU fp16)\n"
"  --check               describe the model, say how much memory it needs on\n"
"                        the device and whether it is sound, and end\n"
"  --adapter NAME=PATH   a LoRA adapter that requests may name: a folder with\n"
"                        adapter_config.json and adapter_model.safetensors;\n"
"                        several times for several adapters\n"
"  --synth SHAPE         a random model instead: pythia-160m, pythia-410m,\n"
"                        pythia-1.4b, pythia-6.9b or 20b\n"
"  --bench               compare its speed with what the device allows, and\n"
"                        end\n"
"  --pack FILE           write the model in that precision, for that device,\n"
"                        to a packed file, which loads without conversion,\n"
"                        and end\n"
"  --device LIST         cpu, cuda:N, cuda for all GPUs, or several, with or\n"
"                        without numbers of layers: cuda:0,cuda:1 or\n"
"                        cuda:0=30,cpu=14; auto: cuda:0 if the model fits,\n"
"                        else cuda, else cpu (default cpu)\n"
"  --isa NAME            auto, scalar, avx2, avx512, amx or reference\n"
"                        (default auto)\n"
"  --threads N           threads on the CPU (default and maximum: one per\n"
"                        core)\n"
"  --pin                 keep each thread on a core of its own\n"
"  --context N           tokens of prompt and reply (default: the model's)\n"
"  --kv-precision NAME   precision of the cache of keys and values: auto,\n"
"                        fp32, fp16, bf16 or int8 (default auto: fp32 if the\n"
"                        model is in fp32, else bf16, on a GPU fp16)\n"
"  --kv-tokens N         tokens in the cache, of all requests together\n"
"  --batch-tokens N      tokens in one step (default 256)\n"
"  -h, --help            this text\n"
"  -V, --version         the version\n";

/* Report what is wrong with the command line, and end. With NULL, getopt has
 * reported it already. */
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

/* Add an adapter, NAME=PATH, to the list *given. */
static void
engine_adapter_add(json_t **given, const char *arg)
{
	const char	*equal = strchr(arg, '=');
	json_t		*o = json_object();

	if (equal == NULL || equal == arg)
		engine_usage("--adapter: expected NAME=PATH, found \"%s\"",
		    arg);
	if (*given == NULL)
		*given = json_array();
	msg_set_text(o, "name", arg, (size_t)(equal - arg));
	msg_set_string(o, "path", equal + 1);
	json_array_append_new(*given, o);
}

/* Read the command line. *given is the list of adapters. */
static void
engine_options(int argc, char **argv, struct engine_options *opt,
    json_t **given)
{
	int	 c, i = 0;

	while ((c = getopt_long(argc, argv, "hV", engine_longopts,
	    &i)) != -1) {
		if (c == 0)
			engine_option_set(opt, i, optarg);
		else if (c == 'a')
			engine_adapter_add(given, optarg);
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
	opt->adapters = *given;
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

/* Announce the loaded model. */
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
	msg_set(o, "adapters", lora_describe(e));
	msg_set_int(m, "protocol", PROTOCOL_VERSION);
	msg_set(m, "model", o);
	chan_send(e->ch, m);
}

/* Handle waiting messages, but only as many as a step can wait for. Returns 0
 * if there are no more, 1 if there may be more, or the error that ended the
 * input. */
static int
engine_messages(struct engine *e)
{
	const double	 start = clock_seconds();
	struct fault	 f;
	json_t		*msg;
	int		 r, n = 0;

	while ((r = chan_next(e->ch, &msg, &f)) != 0) {
		if (r == CHAT_EFORMAT)
			events_error(e, -1, &f);
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

/* Encode texts for *credit seconds, then run a step: returns its rows, or an
 * error. A step earns credit; encoding that took longer than the credit leaves
 * a debt. *left is the number of texts that are not yet encoded. */
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
 * Take messages, encode texts, run a step, and again. At the end of input the
 * running requests are still finished, as long as somebody reads the answers.
 * Returns the exit status.
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
	lora_clear(e);
	model_free(e->model);
	chan_free(e->ch);
	json_decref(e->init);
	json_decref(e->given);
}

/* If memory is short, the kernel should kill the engine before chatd and the
 * store: the engine holds nearly all of the memory, and the next engine goes on
 * with each reply. */
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
	engine_options(argc, argv, &e.opt, &e.given);
	if (e.opt.check || e.opt.pack != NULL) {
		status = e.opt.check ? offline_check(&e) : offline_pack(&e);
		engine_clear(&e);
		return (status);
	}
	e.ch = chan_new(STDIN_FILENO, STDOUT_FILENO, HELPER_LINE_MAX);
	if (e.opt.model == NULL && e.opt.synth == NULL) {
		/* chatd ends the engine by closing the channel.  SIGHUP is
		 * meant for chatd, but may be sent to all of a unit. */
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		engine_oom_first();
		if ((r = engine_init(&e, &f)) == 0)
			engine_sandbox(&e);
	}
	if (r == CHAT_ECLOSED)
		status = 0;
	else if (r != 0 || (r = load_engine(&e, &f)) != 0) {
		events_error(&e, -1, &f);
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
