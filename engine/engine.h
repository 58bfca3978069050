/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations that the files of chatd-engine share: engine.c (start-up, loop),
 * load.c and lora.c (loading), engine_ops.c (requests), request.c (a
 * generate message), intake.c (texts that are being encoded), events.c (events
 * of the scheduler), offline.c (--check and --pack).
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <jansson.h>
#include <stdint.h>

#include "adapter.h"
#include "backend.h"
#include "chan.h"
#include "err.h"
#include "scheduler.h"
#include "tokenizer.h"

#define ENGINE_IDS_MAX	(1024 * 1024)	/* ids in one request */

/* What to load and how; from the command line or the init message. */
struct engine_options {
	const char	*model;		/* path: see model_open; borrowed */
	const char	*synth;		/* shape of a random model instead */
	const char	*precision;	/* borrowed, like the next three */
	const char	*kv_precision;
	const char	*device;
	const char	*isa;
	int64_t		 threads;	/* 0: one for each core */
	int		 pin;		/* each thread to a core of its own */
	int64_t		 context;	/* 0: the model's */
	int64_t		 kv_tokens;	/* 0: the backend's default */
	int64_t		 batch_tokens;	/* rows in one step */
	json_t		*adapters;	/* list of {name, path}; borrowed, or
					 * NULL */
	const char	*version;	/* of the chatd that starts it; may be
					 * NULL */
	const char	*pack;		/* file to write instead of serving */
	int		 check;		/* describe the model instead */
	int		 bench;		/* measure it instead */
};

struct engine {
	struct engine_options	 opt;
	json_t			*init;		/* owned: opt points into it */
	json_t			*given;		/* owned: adapters of the
						 * command line, or NULL */
	struct chan		*ch;		/* owned */
	struct model		*model;		/* owned */
	struct tokenizer	*tok;		/* owned */
	struct backend		*backend;	/* owned */
	struct backend_info	 info;
	struct adapter		*adapter[ADAPTERS_MAX];	/* owned: without their
						 * matrices */
	int			 nadapters;
	struct scheduler	*sched;		/* owned */
	struct intake		*intake;	/* owned */
	int			 context;	/* tokens of prompt and reply */
	int64_t			 progress_ms;	/* of the last progress event */
};

/* load.c */

/* Open the model and its tokenizer. Returns 0, or an error with *f filled. */
int	load_files(struct engine *e, struct fault *f);

/* The same, and load the model into its backend: set all members of *e that the
 * loop needs. Returns 0, or an error with *f filled. */
int	load_engine(struct engine *e, struct fault *f);

/* The options for a backend; progress goes to e->ch. */
struct backend_options load_options(struct engine *e);

/* lora.c */

/* Read the adapters of the options. Returns 0, or an error with *f filled. */
int	lora_read(struct engine *e, struct fault *f);

/* After the backend has copied them: check that they belong to the model, whose
 * digest is known now, and release their matrices. Returns 0, or an error with
 * *f filled. */
int	lora_end(struct engine *e, struct fault *f);
void	lora_clear(struct engine *e);

/* The number of an adapter for a row: 0 if name is NULL or "", else 1 to
 * e->nadapters. Returns 0 and *out, or CHAT_EFORMAT with *f filled. */
int	lora_find(const struct engine *e, const char *name, int *out,
	    struct fault *f);

/* Describe them for "ready": a new reference. */
json_t	*lora_describe(const struct engine *e);

/* engine_sandbox.c */

/* Confine the process to reading the model of its options. Call it before
 * anything is opened and before any thread is started. */
void	engine_sandbox(const struct engine *e);

/* engine_ops.c */

/* Read an init message into *opt, for engine.c. Returns 0, or CHAT_EFORMAT with
 * *f filled. */
int	engine_ops_read_init(json_t *msg, struct engine_options *opt,
	    struct fault *f);

/* Do the operation of a message (borrowed), and answer on e->ch. */
void	engine_ops_message(struct engine *e, json_t *msg);

/* request.c */

/*
 * A generate message that becomes a job: call request_begin, then request_some
 * until it returns 1 (each call encodes about limit bytes of the prompt), then
 * request_end, once. The first and the last return 0 and *out (owned), or
 * CHAT_EFORMAT with *f filled.
 */
struct request;
int	request_begin(const struct engine *e, json_t *msg,
	    struct request **out, struct fault *f);
int	request_some(struct request *r, size_t limit);
int	request_end(struct request *r, int64_t id, struct job **out,
	    struct fault *f);
void	request_free(struct request *r);

/* The group of the request; does it continue a reply of an earlier run? */
int64_t	request_group(const struct request *r);
int	request_resumes(const struct request *r);

/*
 * Read an array of ids in 0 .. vocab - 1, min to max of them, from field key,
 * and append them to out. 0, or CHAT_EFORMAT with *f filled.
 */
int	request_ids(const json_t *array, const char *key, int vocab, size_t min,
	    size_t max, struct idbuf *out, struct fault *f);

/* intake.c */

#define INTAKE_MAX	256	/* requests whose text is being encoded */

/*
 * Requests whose texts are not yet encoded. Their groups take turns, a slice of
 * a text at a time, so that no text delays a step of the model or a text of
 * another group for longer than a slice (INTAKE_SLICE) takes.
 */
struct intake;

/* e is borrowed and outlives the intake. */
struct intake *intake_new(struct engine *e);
void	intake_free(struct intake *in);

/* Encode text (borrowed from msg, which is referenced) and answer with its ids;
 * or make a job of a request (taken) and add it to the scheduler. Returns 0, or
 * CHAT_EBUSY with *f filled. */
int	intake_tokenize(struct intake *in, int64_t id, int64_t group,
	    json_t *msg, const char *text, struct fault *f);
int	intake_generate(struct intake *in, int64_t id, struct request *r,
	    struct fault *f);

/* Is there a request with that id? */
int	intake_has(const struct intake *in, int64_t id);
/* End a request, or let its job begin paused; 0 if no request has that id. */
int	intake_cancel(struct intake *in, int64_t id);
int	intake_pause(struct intake *in, int64_t id, int paused);
/* Cancel all paused requests: nobody is left to continue them. */
void	intake_cancel_paused(struct intake *in);

/* Encode for about that many seconds. Returns the number of requests left. */
int	intake_run(struct intake *in, double seconds);
int	intake_count(const struct intake *in);

/* offline.c */

/* Describe the model and the memory that it needs, and check its weights; or
 * write a packed file. Returns the exit status. */
int	offline_check(struct engine *e);
int	offline_pack(struct engine *e);

/* bench.c */

/* Measure a loaded model. Returns the exit status. */
int	bench_run(struct engine *e);

/* events.c */

/* Send a fault as the answer to request id. */
void	events_error(struct engine *e, int64_t id, const struct fault *f);

/* For the scheduler, with the engine as its argument. */
extern const struct scheduler_events events_table;

#endif
