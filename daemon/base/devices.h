/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a model, as a person writes them: model.device of chatd.yaml,
 * and --device of chatd-engine.
 *
 *   auto			the engine chooses
 *   cpu, cuda:1		one device
 *   cuda			every GPU that can be used
 *   cuda:0,cuda:1,cpu		several, whose free memory decides how many
 *				layers each has
 *   cuda:0=30,cpu=14		the same with numbers of layers
 */
#ifndef BASE_DEVICES_H
#define BASE_DEVICES_H

#include "err.h"

#define DEVICES_MAX	16	/* in one list */
#define DEVICES_INDEX	1000	/* numbers of devices are below this */
#define DEVICES_LAYERS	100000	/* layers of a device, at most */

struct devices {
	struct device {
		char	 name[16];	/* "cpu", "cuda:1" */
		int	 layers;	/* 0: its memory decides */
	}	 list[DEVICES_MAX];
	int	 n;		/* 0: auto or cuda */
};

/* Read text. Returns 0 and *out, or CHAT_EUNSUPPORTED with *f filled (code
 * "no_device", field "device"). */
int	 devices_parse(const char *text, struct devices *out, struct fault *f);

/* Does the text name one device, or auto? */
int	 devices_is_one(const char *text);

#endif
