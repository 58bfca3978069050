/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For test_whole.py: a device without a model.  If the file STICKY_FILE exists,
 * it fails at step STICKY_STEP of the process, removes the file, and fails at
 * each later step, like a GPU whose context is lost.
 */
#include <config.h>

#include "module.h"

#include <stdlib.h>
#include <unistd.h>

#include "fake_backend.h"

#define STICKY_CONTEXT	256
#define STICKY_VOCAB	320	/* of neox-tiny */
#define STICKY_BLOCKS	64

static const struct backend_ops	*sticky_fake;	/* the backend's own */

/* Run a step, or break. */
static int
sticky_step(struct backend *b, const struct backend_row *rows, int T)
{
	struct fake_backend	*f = (struct fake_backend *)b;
	const char		*step = getenv("STICKY_STEP");
	const char		*file = getenv("STICKY_FILE");

	if (step != NULL && file != NULL && f->steps >= atoi(step) &&
	    unlink(file) == 0)
		f->fail = CHAT_ESYSTEM;
	return (sticky_fake->step(b, rows, T));
}

/* Open it. */
static int
sticky_open(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend **out, struct fault *f)
{
	static struct backend_ops	 ops;
	struct fake_backend		*fake;

	(void)h;
	(void)m;
	(void)opt;
	(void)f;
	fake = fake_backend_new(STICKY_CONTEXT, STICKY_VOCAB, STICKY_BLOCKS);
	sticky_fake = fake->b.ops;
	ops = *sticky_fake;
	ops.step = sticky_step;
	fake->b.ops = &ops;
	*out = &fake->b;
	return (0);
}

const struct backend_driver backend_module = {
	.version = BACKEND_VERSION,
	.size = sizeof backend_module,
	.release = PACKAGE_VERSION,
	.open = sticky_open
};
