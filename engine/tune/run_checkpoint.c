/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: everything that a run needs to go on as if it had never stopped.
 * The file is of this machine's byte order, and only for the same recipe.
 */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "xmalloc.h"

#define CHECKPOINT_MAGIC	"chatd-tune 1\n"

/* The head of the file. */
struct checkpoint_head {
	char	 magic[16];
	char	 digest[68];	/* of the recipe */
	int32_t	 optimizer;	/* enum optim_kind + 1; 0: an old checkpoint,
				 * which does not say it */
	int64_t	 step, cursor, tokens;
	int64_t	 params;
};

/* The parameters that are trained. */
static float *
checkpoint_params(const struct run *t, size_t *n)
{
	*n = t->lora != NULL ? t->lora->n : t->net->n;
	return (t->lora != NULL ? t->lora->param : t->net->param);
}

/* Write everything to an open file. 0, or -1. */
static int
checkpoint_put(const struct run *t, FILE *f)
{
	struct checkpoint_head	 h;
	size_t			 n, steps = (size_t)t->step;
	float			*p = checkpoint_params(t, &n);

	memset(&h, 0, sizeof h);
	memcpy(h.magic, CHECKPOINT_MAGIC, sizeof CHECKPOINT_MAGIC);
	memcpy(h.digest, t->digest, sizeof t->digest);
	h.optimizer = t->r->optimizer + 1;
	h.step = t->step;
	h.cursor = t->cursor;
	h.tokens = t->tokens;
	h.params = (int64_t)n;
	return (fwrite(&h, sizeof h, 1, f) == 1 &&
	    fwrite(p, sizeof *p, n, f) == n &&
	    fwrite(t->point, sizeof *t->point, steps, f) == steps &&
	    optim_write(t->optim, f) == 0 &&
	    fwrite(CHECKPOINT_MAGIC, sizeof CHECKPOINT_MAGIC, 1, f) == 1 &&
	    fflush(f) == 0 && fsync(fileno(f)) == 0 ? 0 : -1);
}

/* Write a checkpoint; the old one stays until the new one is whole. */
int
run_save(struct run *t, const char *out, struct fault *f)
{
	char	*path = path_join(out, "checkpoint");
	char	*tmp = xasprintf("%s.new", path);
	FILE	*file = fopen(tmp, "wbe");
	int	 ok = file != NULL && checkpoint_put(t, file) == 0;

	if (file != NULL && fclose(file) != 0)
		ok = 0;
	if (!ok || rename(tmp, path) != 0) {
		fault_set(f, "system", NULL, "%s: %s", path,
		    strerror(errno));
		(void)unlink(tmp);
		ok = 0;
	}
	if (ok)
		t->saved = t->step;
	free(tmp);
	free(path);
	return (ok ? 0 : CHAT_ESYSTEM);
}

/* Is there a checkpoint? */
int
run_saved(const char *out)
{
	char	*path = path_join(out, "checkpoint");
	int	 r = access(path, F_OK) == 0;

	free(path);
	return (r);
}

/* Remove a checkpoint, so that a run that is killed before it saves does not
 * continue the one before. */
int
run_forget(const char *out, struct fault *f)
{
	char	*path = path_join(out, "checkpoint");
	int	 r = 0;

	if (unlink(path) != 0 && errno != ENOENT) {
		fault_set(f, "system", NULL, "%s: %s", path,
		    strerror(errno));
		r = CHAT_ESYSTEM;
	}
	free(path);
	return (r);
}

/* Read everything after the head. 0, or -1. */
static int
checkpoint_get(struct run *t, const struct checkpoint_head *h, FILE *f)
{
	char	 end[sizeof CHECKPOINT_MAGIC];
	size_t	 n, steps = (size_t)h->step;
	float	*p = checkpoint_params(t, &n);

	return (fread(p, sizeof *p, n, f) == n &&
	    fread(t->point, sizeof *t->point, steps, f) == steps &&
	    optim_read(t->optim, f) == 0 &&
	    fread(end, sizeof end, 1, f) == 1 &&
	    memcmp(end, CHECKPOINT_MAGIC, sizeof end) == 0 ? 0 : -1);
}

/* Check a head. 0, or an error. */
static int
checkpoint_check(const struct run *t, const struct checkpoint_head *h,
    const char *path, struct fault *f)
{
	size_t	 n;

	(void)checkpoint_params(t, &n);
	if (memcmp(h->magic, CHECKPOINT_MAGIC, sizeof CHECKPOINT_MAGIC) != 0)
		return (fault_set(f, "bad_config", NULL,
		    "%s: not a checkpoint of this version", path));
	if (!t->changed && strncmp(h->digest, t->digest,
	    sizeof t->digest) != 0)
		return (fault_set(f, "bad_config", NULL, "%s: of another "
		    "recipe or corpus; --fresh begins again, --changed goes "
		    "on", path));
	if (h->optimizer != 0 && h->optimizer != t->r->optimizer + 1)
		return (fault_set(f, "bad_config", NULL, "%s: of the "
		    "optimizer %s; expected %s, as the recipe has", path,
		    h->optimizer > 0 && h->optimizer <= OPTIM_KINDS ?
		    recipe_optimizers[h->optimizer - 1] : "?",
		    recipe_optimizers[t->r->optimizer]));
	if (h->params != (int64_t)n || h->step < 0 || h->step > t->r->steps)
		return (fault_set(f, "bad_config", NULL, "%s: step %lld "
		    "with %lld numbers; expected up to step %lld with %zu",
		    path, (long long)h->step, (long long)h->params,
		    (long long)t->r->steps, n));
	return (0);
}

/* Continue from a checkpoint. */
int
run_restore(struct run *t, const char *out, struct fault *f)
{
	struct checkpoint_head	 h;
	char			*path = path_join(out, "checkpoint");
	FILE			*file = fopen(path, "rbe");
	int			 r;

	if (file == NULL) {
		r = errno == ENOENT ? 0 : CHAT_ESYSTEM;
		if (r != 0)
			fault_set(f, "system", NULL, "%s: %s", path,
			    strerror(errno));
		free(path);
		return (r);
	}
	if (fread(&h, sizeof h, 1, file) != 1)
		r = fault_set(f, "bad_config", NULL, "%s: too short",
		    path);
	else if ((r = checkpoint_check(t, &h, path, f)) == 0 &&
	    checkpoint_get(t, &h, file) != 0)
		r = fault_set(f, "bad_config", NULL,
		    "%s: the end is missing", path);
	if (r == 0) {
		t->step = t->saved = h.step;
		t->cursor = h.cursor;
		t->tokens = h.tokens;
		r = 1;
	}
	fclose(file);
	free(path);
	return (r);
}
