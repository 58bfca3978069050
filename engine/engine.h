/*
 * What the files of chatd-engine share: engined.c (start-up and loop),
 * ops.c (requests), request.c (what a generate asks for), events.c (what the
 * scheduler tells), offline.c (what is done without serving).
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <jansson.h>
#include <stdint.h>

#include "backend.h"
#include "chan.h"
#include "err.h"
#include "scheduler.h"
#include "tokenizer.h"

#define ENGINE_TEXT_MAX	(1024 * 1024)	/* bytes of text in one request */
#define ENGINE_IDS_MAX	(1024 * 1024)	/* ids in one request */

/* What to load and how; from the command line or the init message. */
struct engine_options {
	const char	*model;		/* path: see model_open; borrowed */
	const char	*synth;		/* shape of a random one instead */
	const char	*precision;	/* borrowed, as the next three */
	const char	*kv_precision;
	const char	*device;
	const char	*isa;
	int64_t		 threads;	/* 0: one for each core */
	int		 pin;		/* each thread to one of them */
	int64_t		 context;	/* 0: the model's */
	int64_t		 kv_tokens;	/* 0: the backend's default */
	int64_t		 batch_tokens;	/* rows in one step */
	const char	*pack;		/* file to write instead of serving */
	int		 check;		/* say what the model is instead */
	int		 bench;		/* measure it instead */
};

struct engine {
	struct engine_options	 opt;
	json_t			*init;		/* owned: opt points into it */
	struct chan		*ch;		/* owned */
	struct model		*model;		/* owned */
	struct tokenizer	*tok;		/* owned */
	struct backend		*backend;	/* owned */
	struct backend_info	 info;
	struct scheduler	*sched;		/* owned */
	int			 context;	/* tokens of prompt and reply */
	int64_t			 progress_ms;	/* when last told */
};

/* engined.c */

/* Open the model and its tokenizer. 0, or an error with *f filled. */
int	engine_open(struct engine *e, struct fault *f);

/* What the options say to a backend; progress goes to e->ch. */
struct backend_options engine_backend_options(struct engine *e);

/* Send a fault as the answer to request id. */
void	engine_error(struct engine *e, int64_t id, const struct fault *f);

/* ops.c */

/* The keys of an init message, for engined.c. 0 or CHAT_EFORMAT. */
int	ops_read_init(json_t *msg, struct engine_options *opt,
	    struct fault *f);

/* Do what a message asks (borrowed), answering on e->ch. */
void	ops_message(struct engine *e, json_t *msg);

/* request.c */

/*
 * Turn a generate message into a job. 0 and *out (owned), or CHAT_EFORMAT
 * with *f filled.
 */
int	request_read(const struct engine *e, json_t *msg, int64_t id,
	    struct job **out, struct fault *f);

/*
 * Read an array of ids in 0 .. vocab - 1, min to max of them, from field key,
 * and append them to out. 0, or CHAT_EFORMAT with *f filled.
 */
int	request_ids(const json_t *array, const char *key, int vocab, size_t min,
	    size_t max, struct ids *out, struct fault *f);

/* offline.c */

/* Print what the model is and needs, and whether it is sound; or write a
 * packed file. The exit status. */
int	offline_check(struct engine *e);
int	offline_pack(struct engine *e);

/* bench.c */

/* Measure a loaded model; the exit status. */
int	bench_run(struct engine *e);

/* events.c */

/* What the scheduler calls, with the engine as its argument. */
extern const struct scheduler_events events_table;

#endif
