/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages of feedback: read the exports, write what is trained on, train,
 * pass the gate, publish.
 *
 * Everything is made in the folder OUT.part, which nobody else can read.
 * The model is in its folder "model", and gets the name OUT at once, when it is
 * complete.
 */
#include "feedback.h"

#include <sys/stat.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "folder.h"
#include "path.h"
#include "rng.h"
#include "run.h"
#include "xmalloc.h"

#define FEEDBACK_HELD	4	/* held-out phrasings of each message */
#define FEEDBACK_LINES	20	/* lines of progress of a training */

/* The two sets of questions for the gate's table. */
enum { FEEDBACK_SAID, FEEDBACK_OTHER, FEEDBACK_SETS };

/* The progress of the training. */
struct feedback_progress {
	struct feedback	*t;
	double		 begin;
	int64_t		 first;		/* step, of this run */
};

/* Print an event (taken). */
static void
feedback_event(json_t *o)
{
	char	*s = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));

	if (s != NULL)		/* NULL: a path in it is not UTF-8 */
		printf("%s\n", s);
	fflush(stdout);
	free(s);
	json_decref(o);
}

/* Say that a stage begins. */
static void
feedback_stage(const struct feedback *t, const char *stage, char *text)
{
	if (t->o->json)
		feedback_event(json_pack("{s:s, s:s, s:s}", "event", "stage",
		    "stage", stage, "text", text));
	else {
		printf("%s: %s\n", stage, text);
		fflush(stdout);
	}
	free(text);
}

/* After each step. */
static void
feedback_step(void *arg, const struct run *r)
{
	struct feedback_progress	*p = arg;
	const struct run_point		*pt = &r->point[r->step - 1];
	double				 spent, left;
	int64_t				 every = r->r->steps / FEEDBACK_LINES;

	if (p->first == 0) {
		p->first = r->step;
		p->begin = clock_seconds();
	}
	spent = clock_seconds() - p->begin;
	left = r->step > p->first ? spent / (double)(r->step - p->first) *
	    (double)(r->r->steps - r->step) : 0;
	p->t->first = r->point[0].loss;
	p->t->last = pt->loss;
	if (p->t->o->json)
		feedback_event(json_pack("{s:s, s:I, s:I, s:f, s:f}", "event",
		    "step", "step", (json_int_t)r->step, "steps",
		    (json_int_t)r->r->steps, "loss", isfinite(pt->loss) ?
		    pt->loss : -1, "left", left));
	else if (every < 2 || r->step % every == 0 ||
	    r->step == r->r->steps) {
		printf("  step %lld of %lld  loss %.4f  %d:%02d left\n",
		    (long long)r->step, (long long)r->r->steps, pt->loss,
		    (int)(left / 60), (int)left % 60);
		fflush(stdout);
	}
}

/* Read preset, exports and templates. */
static int
feedback_open(struct feedback *t, struct fault *f)
{
	struct stat	 st;
	size_t		 i;
	int		 r;

	if (lstat(t->o->out, &st) == 0) {
		if (!t->o->dry)
			feedback_work_left(t);
		return (fault_set(f, "bad_config", "out", "--out: %s already "
		    "exists; expected the name of a new folder", t->o->out));
	}
	if ((r = feedback_preset(t->o->preset, &t->p, f)) != 0)
		return (r);
	if (t->o->rank >= 0)
		t->p.rank = t->o->rank;
	for (i = 0; i < t->o->n; i++)
		if ((r = feedback_read(t->o->exports[i], &t->data, f)) != 0)
			return (r);
	return (gen_open(t->o->templates, t->o->corpus, &t->gen, f));
}

/* Why there is nothing to learn from the exports; NULL: there is something.
 * Owned. */
static char *
feedback_idle(const struct feedback *t)
{
	if (t->data.good == 0 && (t->data.bad == 0 ||
	    t->p.compare == FEEDBACK_DPO || t->p.compare == FEEDBACK_NONE))
		return (xstrdup("nothing to learn: the exports have neither "
		    "a right reply nor a bad one that \"compare\" uses"));
	if (!t->o->again && feedback_known(t))
		return (xasprintf("nothing to learn: %s was made with these "
		    "ratings; --again trains them again", t->o->parent));
	return (NULL);
}

/* Train, or continue a training of the same recipe. */
static int
feedback_train(struct feedback *t, struct fault *f)
{
	struct feedback_progress	 p = { .t = t };
	struct run_options		 o = { .isa = "auto", .device = "cpu",
					    .every = 1 };
	char				*path;
	int				 r;

	path = path_join(t->work, "recipe.yaml");
	o.recipe = path;
	o.corpus = t->o->corpus;
	o.out = t->made;
	o.threads = t->o->threads;
	o.step = feedback_step;
	o.arg = &p;
	o.whole = t->p.rank > 0 ? t->whole : NULL;
	r = run_recipe(&o, f);
	free(path);
	return (r);
}

/* What the corrected replies answer, in the words that were said and in others
 * that are not trained on. */
static void
feedback_sets(const struct feedback *t, struct gate_set *set)
{
	const struct feedback_row	*row;
	size_t				 i;
	uint64_t			 k;
	char				*said;

	set[FEEDBACK_SAID].name = "corrected";
	set[FEEDBACK_OTHER].name = "paraphrased";
	for (i = 0; i < t->data.n; i++) {
		row = &t->data.row[i];
		if (row->good == NULL)
			continue;
		gate_add(&set[FEEDBACK_SAID], feedback_prompt(row, NULL),
		    row->good);
		for (k = 0; k < FEEDBACK_HELD; k++) {
			said = gen_vary(t->gen, rng_seed(i, k), 1, row->said);
			if (said != NULL)
				gate_add(&set[FEEDBACK_OTHER],
				    feedback_prompt(row, said), row->good);
			free(said);
		}
	}
}

/* Measure one model. */
static int
feedback_measure(struct feedback *t, const char *path,
    const struct gate_set *set, struct gate_scores *out, char *digest,
    size_t size, struct fault *f)
{
	struct greedy_model	*m;
	int			 r;

	if ((r = greedy_open(path, "fp32", t->o->threads, &m, f)) != 0)
		return (r);
	gate_measure(t->gen, m, &t->p.gate, set, FEEDBACK_SETS, out);
	snprintf(digest, size, "%s", greedy_digest(m));
	greedy_free(m);
	return (0);
}

/* The gate. */
static int
feedback_gate(struct feedback *t, struct fault *f)
{
	struct gate_set		 set[FEEDBACK_SETS];
	struct gate_scores	 before, after;
	char			 digest[sizeof t->parent_digest];
	int			 r, i;

	memset(&before, 0, sizeof before);
	memset(&after, 0, sizeof after);
	memset(set, 0, sizeof set);
	feedback_sets(t, set);
	if ((r = feedback_measure(t, t->o->parent, set, &before,
	    t->parent_digest, sizeof t->parent_digest, f)) == 0 &&
	    (r = feedback_measure(t, t->p.rank > 0 ? t->whole : t->made, set,
	    &after, digest, sizeof digest, f)) == 0)
		t->gate = gate_compare(&t->p.gate, set, FEEDBACK_SETS,
		    &before, &after);
	gate_scores_clear(&before);
	gate_scores_clear(&after);
	for (i = 0; i < FEEDBACK_SETS; i++)
		gate_clear(&set[i]);
	return (r);
}

/* Lineage, publishing, and the last words. */
static int
feedback_end(struct feedback *t, enum feedback_result *result,
    struct fault *f)
{
	char	*name;
	int	 r, passed = gate_passed(t->gate);

	*result = passed ? FEEDBACK_PUBLISHED : FEEDBACK_REFUSED;
	if (t->o->json)
		feedback_event(json_pack("{s:s, s:O}", "event", "gate",
		    "gate", t->gate));
	else
		gate_print(t->gate);
	if ((r = feedback_lineage(t, f)) != 0 ||
	    (r = feedback_publish(t, !passed, &name, f)) != 0)
		return (r);
	if (t->o->json)
		feedback_event(json_pack("{s:s, s:b, s:s, s:s}", "event",
		    "done", "published", passed, "kind",
		    t->p.rank > 0 ? "adapter" : "model", "path", name));
	else
		printf("%s: %s\n", passed ? "published" : "refused", name);
	free(name);
	return (0);
}

/* Make the rows and the recipe, and find out if a model was made with them
 * already: *why says so then (owned; else NULL). */
static int
feedback_plan(struct feedback *t, char **why, struct fault *f)
{
	char	*name;
	int	 r, refused;

	if (!t->o->again)
		feedback_look(t);
	if ((r = feedback_prepare(t, !t->o->dry ||
	    json_object_size(t->beside) > 0, f)) != 0)
		return (r);
	if (t->said.n == 0 && t->compared.n == 0) {
		*why = xstrdup("nothing to learn: no row can be made of these "
		    "ratings");
		return (0);
	}
	if ((r = feedback_made(t, &name, &refused, f)) != 0 || name == NULL)
		return (r);
	*why = xasprintf("nothing to learn: these ratings made %s already, "
	    "which %s; --again trains it again", name, refused ?
	    "was refused by the gate" : "does not serve any more or not yet");
	free(name);
	return (0);
}

/* Write the files, train, and pass the gate. */
static int
feedback_work(struct feedback *t, enum feedback_result *result,
    struct fault *f)
{
	int	 r;

	if (feedback_work_begin(t))
		feedback_stage(t, "train", xstrdup("begins anew: the ratings, "
		    "the preset or the templates have changed since it was "
		    "stopped"));
	if ((r = feedback_write(t, f)) != 0)
		return (r);
	feedback_stage(t, "train", xasprintf("%lld steps on %zu phrasings, "
	    "%zu comparisons and %zu replies of the parent",
	    (long long)t->steps, t->said.n, t->compared.n, t->own.n));
	if ((r = feedback_train(t, f)) != 0)
		return (r);
	feedback_stage(t, "gate", xasprintf("both models, %lld tests of each "
	    "task", (long long)t->p.gate.items));
	if ((r = feedback_gate(t, f)) != 0)
		return (r);
	return (feedback_end(t, result, f));
}

/* All stages after the exports are read. */
static int
feedback_stages(struct feedback *t, enum feedback_result *result,
    struct fault *f)
{
	char	*why;
	int	 r = 0;

	feedback_stage(t, "read", xasprintf("%zu replies of %zu exports: %zu "
	    "with a right reply, %zu with a wrong one beside it", t->data.n,
	    t->data.sources, t->data.good, t->data.pairs));
	why = feedback_idle(t);
	if (why == NULL && (t->o->dry || (r = feedback_work_open(t,
	    f)) == 0))
		r = feedback_plan(t, &why, f);
	if (r != 0)
		return (r);
	if (why != NULL) {
		*result = FEEDBACK_NOTHING;
		feedback_work_drop(t);
		feedback_stage(t, "end", why);
		return (0);
	}
	if (!t->o->dry)
		return (feedback_work(t, result, f));
	*result = FEEDBACK_PUBLISHED;
	feedback_stage(t, "plan", xasprintf("%lld steps of %lld tokens on %zu "
	    "phrasings and %zu comparisons, then %lld tests of each task",
	    (long long)t->steps, (long long)t->p.batch, t->said.n,
	    t->compared.n, (long long)t->p.gate.items));
	return (0);
}

/* Run. */
int
feedback_run(const struct feedback_options *o, enum feedback_result *result,
    struct fault *f)
{
	struct feedback	 t = { .o = o, .lock = -1, .first = (double)NAN,
			    .last = (double)NAN };
	int		 r;

	t.work = xasprintf("%s.part", o->out);
	t.made = path_join(t.work, "model");
	t.whole = path_join(t.work, "whole");
	if ((r = feedback_open(&t, f)) == 0)
		r = feedback_stages(&t, result, f);
	if (t.lock != -1)
		close(t.lock);
	feedback_clear(&t.data);
	gen_free(t.gen);
	json_decref(t.gate);
	json_decref(t.beside);
	textbuf_clear(&t.said.text);
	textbuf_clear(&t.own.text);
	textbuf_clear(&t.compared.text);
	free(t.recipe);
	free(t.work);
	free(t.made);
	free(t.whole);
	return (r);
}
