/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for cmd_tune.c (what is done) and tune_show.c (what is printed)
 * only.
 */
#ifndef CLIENT_TUNE_IMPL_H
#define CLIENT_TUNE_IMPL_H

#include "chatctl.h"
#include "curve.h"

/* One run. */
struct tune {
	struct ctl	*ctl;		/* borrowed */
	char		*out;		/* owned: the folder of the model */
	char		*parent;	/* owned: the model that is trained */
	char		*serves;	/* owned: the model that serves */
	char		*exports;	/* owned: the folder of the exports */
	char		*file[3];	/* owned; NULL: no rows */
	int		 live;		/* draw over the last line */
	int		 drawn;		/* there is such a line */
	int		 adapters;	/* adapters are made, no model */
	int		 nothing;	/* there was nothing to learn */
	struct curve	 loss;
	json_t		*gate;		/* owned: the table, or NULL */
	char		*made;		/* owned: the published folder, or
					 * NULL */
	char		*refused;	/* owned: the refused folder, or NULL */
	int		 told;		/* why there is nothing to learn */
};

/* Print the name of a stage. */
void	 tune_show_stage(const char *name);
/* Erase the line that is drawn again and again. */
void	 tune_show_erase(struct tune *t);
/* A step of the training, from its event. */
void	 tune_show_step(struct tune *t, const json_t *o);
/* Print the gate's table, and keep it in t. */
void	 tune_show_gate(struct tune *t, json_t *gate);

#endif
