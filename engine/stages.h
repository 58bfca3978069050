/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One model over several devices: a backend that is made of others, its stages.
 * Each stage has some consecutive layers of the model, with their weights and
 * their part of the cache. A step runs through them in order. Only
 * the residual stream of its rows passes from one to the next, through the
 * machine's memory, 4 * C bytes a row, unchanged. So a row has the same bits as
 * on one device if all stages compute in the same way.
 *
 * stages_plan.c divides the layers; stages.c loads and runs the stages.
 */
#ifndef ENGINE_STAGES_H
#define ENGINE_STAGES_H

#include "backend.h"
#include "devices.h"

/* A stage: a device and its layers, first .. end - 1. */
struct stage_part {
	char			 device[16];
	int			 first, end;
	struct backend_plan	 plan;	/* of these layers */
};

/* A model that is divided. */
struct stages_plan {
	struct stage_part	 part[DEVICES_MAX];
	int			 n;
	int			 mixed;		/* GPUs and the CPU */
	int			 kv_tokens;
	int			 layers;	/* of the model */
	int64_t			 row;		/* bytes of a row that passes
						 * from stage to stage */
};

/*
 * Divide m over the devices of opt->device, which is "cuda" or a list. If the
 * list has no numbers of layers, GPUs take layers in proportion to their memory
 * that is free after their fixed costs; the CPU, if it is in the list, takes
 * what does not fit. A device that gets no layer is left out. Returns 0, or an
 * error with *f filled: CHAT_ENOMEM and one line if m does not fit.
 */
int	 stages_divide(struct model *m, const struct backend_options *opt,
	    struct stages_plan *out, struct fault *f);

/* Describe stage i in one line, without a newline, for people to read. */
void	 stages_line(const struct stages_plan *p, int i, char *buf,
	    size_t size);

/* The options of stage i. The CPU has no fp16: beside GPUs it takes bf16. */
struct backend_options stages_options(const struct stages_plan *p, int i,
	    const struct backend_options *opt);

/* Load the stages. Reads the weights once. Stages of the plan may be on the
 * same device. Returns 0 and *out (owned), or an error with *f filled. */
int	 stages_open(struct model *m, const struct backend_options *opt,
	    const struct stages_plan *p, struct backend **out,
	    struct fault *f);

#endif
