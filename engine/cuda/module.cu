/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA backend's driver: finds the device, and plans, packs and opens
 * models for it.
 */
extern "C" {
#include "module.h"
}

#include "cuda.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_fail.h"

#define MODULE_LANES	128	/* of a head, at most */
#define MODULE_CHANNELS	16384	/* at most */
#define MODULE_SM	75	/* the oldest architecture: Turing */

/* Set f to one line about the device. */
#define MODULE_FAIL(h, f, ...) \
	((void)(h)->fault((f), "no_device", "device", __VA_ARGS__), \
	    CHAT_EUNSUPPORTED)

/* Is there a driver, and a device of that number? */
static int
module_count(const struct backend_host *h, int index, struct fault *f)
{
	cudaError_t	 e;
	int		 count = 0, driver = 0;

	/* Without a driver this leaves count as it was. */
	e = cudaGetDeviceCount(&count);
	if (e == cudaErrorInsufficientDriver) {
		(void)cudaDriverGetVersion(&driver);
		if (driver == 0)
			return (MODULE_FAIL(h, f, "cuda:%d: no CUDA driver on "
			    "this machine", index));
		return (MODULE_FAIL(h, f, "cuda:%d: expected a CUDA driver of "
		    "at least %d.%d, found %d.%d", index,
		    CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10,
		    driver / 1000, driver % 1000 / 10));
	}
	if (e == cudaErrorNoDevice || (e == cudaSuccess && count == 0))
		return (MODULE_FAIL(h, f, "cuda:%d: no CUDA device on this "
		    "machine", index));
	if (e != cudaSuccess)
		return (MODULE_FAIL(h, f, "cuda:%d: looking for devices: "
		    "%s", index, cudaGetErrorString(e)));
	if (index >= count)
		return (MODULE_FAIL(h, f, "cuda:%d: expected a device up to "
		    "cuda:%d on this machine", index, count - 1));
	return (0);
}

/* Make the device the current one; *sm is its architecture, as 80, and *left
 * its free memory. */
static int
module_find(const struct backend_host *h, int index, int *sm, int64_t *left,
    struct fault *f)
{
	struct cudaDeviceProp	 prop;
	cudaError_t		 e;
	size_t			 some = 0, all = 0;
	int			 r;

	if ((r = module_count(h, index, f)) != 0)
		return (r);
	if ((e = cudaGetDeviceProperties(&prop, index)) != cudaSuccess)
		return (MODULE_FAIL(h, f, "cuda:%d: %s", index,
		    cudaGetErrorString(e)));
	*sm = prop.major * 10 + prop.minor;
	if (*sm < MODULE_SM)
		return (MODULE_FAIL(h, f, "cuda:%d: %s: expected compute "
		    "capability %d.%d or later, found %d.%d", index, prop.name,
		    MODULE_SM / 10, MODULE_SM % 10, prop.major, prop.minor));
	if ((e = cudaSetDevice(index)) != cudaSuccess ||
	    (e = cudaMemGetInfo(&some, &all)) != cudaSuccess)
		return (MODULE_FAIL(h, f, "cuda:%d: %s: can't be used: %s",
		    index, prop.name, cudaGetErrorString(e)));
	*left = (int64_t)some;
	return (0);
}

/* The precision: the one asked for, a packed file's own, or fp16. */
static int
module_precision(const struct backend_host *h, struct model *m,
    const char *asked, enum cuda_precision *out, struct fault *f)
{
	const char	*packed = h->packed_precision(m);
	int		 i;

	if (packed != NULL && strcmp(asked, "auto") != 0 &&
	    strcmp(asked, packed) != 0)
		return (h->fault(f, "bad_model", "precision", "%s: is packed "
		    "in %s, and %s is asked for: give auto, or the model it "
		    "was packed from", h->path(m), packed, asked));
	if (strcmp(asked, "auto") == 0)
		asked = packed != NULL ? packed : "fp16";
	for (i = 0; i < CUDA_PRECISIONS; i++)
		if (strcmp(asked, cuda_precision_names[i]) == 0) {
			*out = (enum cuda_precision)i;
			return (0);
		}
	return (h->fault(f, "bad_model", "precision", "precision: expected "
	    "auto, fp16, bf16, int8 or int4 on a CUDA device, found %.40s",
	    asked));
}

/* Is the model of a size that the kernels have? */
static int
module_fits(const struct backend_host *h, struct model *m, struct fault *f)
{
	const struct model_config	*c = h->config(m);

	if (c->lanes <= MODULE_LANES && c->channels <= MODULE_CHANNELS)
		return (0);
	return (h->fault(f, "bad_model", NULL, "%s: expected heads of at most "
	    "%d lanes and %d channels on a CUDA device, found %d and %d",
	    h->path(m), MODULE_LANES, MODULE_CHANNELS, c->lanes, c->channels));
}

/* Pieces and cache of a model as asked for. */
static int
module_pieces(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct cuda_pieces *p,
    enum cuda_elem *kv, struct fault *f)
{
	enum cuda_precision	 precision = CUDA_FP16_W;
	int			 r;

	if ((r = module_precision(h, m, opt->precision, &precision, f)) != 0 ||
	    (r = module_fits(h, m, f)) != 0 ||
	    (r = cuda_sizes_kv(h, precision, opt->kv_precision, kv, f)) != 0)
		return (r);
	cuda_pieces_range(p, h->config(m), precision, opt->first,
	    backend_end(opt, h->config(m)->layers));
	return (0);
}

/* The memory that a model needs. */
static int
module_plan(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend_plan *out,
    struct fault *f)
{
	struct cuda_pieces	 p;
	struct cuda_sizes	 s;
	enum cuda_elem		 kv;
	int64_t			 left;
	int			 sm, r;

	if ((r = module_find(h, opt->index, &sm, &left, f)) != 0 ||
	    (r = module_pieces(h, m, opt, &p, &kv, f)) != 0)
		return (r);
	cuda_sizes_init(&s, &p.config, &p, kv, opt, left);
	cuda_sizes_plan(&p, &s, left, out);
	cuda_pieces_clear(&p);
	return (0);
}

/* The number of devices. */
static int
module_devices(const struct backend_host *h, int *out, struct fault *f)
{
	cudaError_t	 e;
	int		 r;

	if ((r = module_count(h, 0, f)) != 0)
		return (r);
	if ((e = cudaGetDeviceCount(out)) != cudaSuccess)
		return (MODULE_FAIL(h, f, "cuda:0: looking for devices: %s",
		    cudaGetErrorString(e)));
	return (0);
}

/* Is each piece in a packed file? */
static int
module_check(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct fault *f)
{
	struct cuda_pieces	 p;
	enum cuda_elem		 kv;
	int			 r;

	if ((r = module_pieces(h, m, opt, &p, &kv, f)) != 0)
		return (r);
	r = cuda_load_check(h, m, &p, f);
	cuda_pieces_clear(&p);
	return (r);
}

/* Write a packed file. The layout is the same for all devices, so none need
 * be there. */
static int
module_pack(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, const void *tables, size_t n,
    const char *out, struct fault *f)
{
	struct cuda_pieces	 p;
	enum cuda_elem		 kv;
	int			 r;

	if ((r = module_pieces(h, m, opt, &p, &kv, f)) != 0)
		return (r);
	r = cuda_load_pack(h, m, &p, opt, tables, n, out, f);
	cuda_pieces_clear(&p);
	return (r);
}

/* Describe the backend. */
static void
module_info(const struct backend *b, struct backend_info *out)
{
	const struct cuda	*c = (const struct cuda *)b;
	struct backend_plan	 plan;

	cuda_sizes_plan(&c->pieces, &c->sizes, 0, &plan);
	out->context = c->config.context;
	out->vocab = c->config.vocab;
	out->layers = cuda_layers(&c->pieces);
	out->parameters = c->parameters;
	out->kv_blocks = (int)c->sizes.blocks;
	out->kv_bytes = plan.cache;
	out->threads = 0;
	out->device = c->name;
	out->isa = c->isa;
	out->precision = c->precision;
	out->kv_precision = plan.kv_precision;
	out->best_max = BEST_MAX;
	out->adapters = c->nadapters;
}

/* Release it. */
static void
module_free(struct backend *b)
{
	if (b == NULL)
		return;
	cuda_unload((struct cuda *)b);
	free(b);
}

static const struct backend_ops module_ops = {
	cuda_forward, module_info, module_free, cuda_limits,
	cuda_limits_read_rate, cuda_forward_stage
};

/* Load a model. */
static int
module_open(const struct backend_host *h, struct model *m,
    const struct backend_options *opt, struct backend **out, struct fault *f)
{
	struct cuda	*c = (struct cuda *)calloc(1, sizeof *c);
	enum cuda_elem	 kv;
	int64_t		 left;
	int		 sm, r;

	if (c == NULL)
		abort();
	c->backend.ops = &module_ops;
	c->h = h;
	c->config = *h->config(m);
	c->parameters = h->parameters(m);
	c->index = opt->index;
	snprintf(c->name, sizeof c->name, "cuda:%d", opt->index);
	if ((r = module_find(h, opt->index, &sm, &left, f)) != 0 ||
	    (r = module_pieces(h, m, opt, &c->pieces, &kv, f)) != 0)
		goto out;
	snprintf(c->isa, sizeof c->isa, "sm_%d", sm);
	snprintf(c->precision, sizeof c->precision, "%s%s@%s.%d",
	    cuda_precision_names[c->pieces.precision],
	    kv == CUDA_I8 ? "+kv8" : "", c->isa, CUDA_ARITHMETIC);
	cuda_sizes_init(&c->sizes, &c->config, &c->pieces, kv, opt, left);
	if ((r = cuda_sizes_check(h, m, &c->pieces, &c->sizes, opt, left,
	    f)) != 0 ||
	    (r = cuda_load(c, m, opt, f)) != 0)
		goto out;
	*out = &c->backend;
	c = NULL;
out:
	if (c != NULL)
		module_free(&c->backend);
	return (r);
}

extern "C" const struct backend_driver backend_module = {
	BACKEND_VERSION,
	sizeof(struct backend_driver),
	CHATD_VERSION,
	LAYOUT_NAME,
	cuda_precision_names,
	module_plan,
	module_check,
	module_pack,
	module_open,
	module_devices
};
