/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a list of devices.
 */
#include "devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define DEVICES_WORDS	"expected auto, cpu, cuda, cuda:N, or a list such as " \
			"cuda:0,cuda:1 or cuda:0=30,cpu=14"

/* The kinds of devices. engine/drivers.c has the same. */
static const struct devices_kind {
	const char	*name;
	int		 numbered;	/* its devices have numbers */
} devices_kinds[] = {
	{ "cpu", 0 },
	{ "cuda", 1 }
};

/* Read a number below max that ends the text; -1 if it is not one. */
static int
devices_number(const char *s, long max)
{
	char	*end;
	long	 v;

	if (*s < '0' || *s > '9')
		return (-1);
	v = strtol(s, &end, 10);
	return (*end == '\0' && v < max ? (int)v : -1);
}

/* Is name a device? */
static int
devices_known(const char *name)
{
	const struct devices_kind	*k;
	size_t				 i, n;

	for (i = 0; i < nitems(devices_kinds); i++) {
		k = &devices_kinds[i];
		n = strlen(k->name);
		if (strncmp(name, k->name, n) != 0)
			continue;
		if (!k->numbered)
			return (name[n] == '\0');
		return (name[n] == ':' &&
		    devices_number(name + n + 1, DEVICES_INDEX) != -1);
	}
	return (0);
}

/* Read one item of n bytes. Returns 0 if it is not one, else 1. */
static int
devices_item(const char *text, size_t n, struct device *out)
{
	char	 item[32], *layers;

	if (n >= sizeof item)
		return (0);
	memcpy(item, text, n);
	item[n] = '\0';
	out->layers = 0;
	if ((layers = strchr(item, '=')) != NULL) {
		*layers++ = '\0';
		out->layers = devices_number(layers, DEVICES_LAYERS);
		if (out->layers < 1)
			return (0);
	}
	if (strlen(item) >= sizeof out->name || !devices_known(item))
		return (0);
	/* cuda:01 is cuda:1 */
	if ((layers = strchr(item, ':')) != NULL)
		snprintf(layers + 1, sizeof item - (size_t)(layers + 1 -
		    item), "%d", devices_number(layers + 1, DEVICES_INDEX));
	memcpy(out->name, item, strlen(item) + 1);
	return (1);
}

/* Refuse a device that is there twice, and numbers of layers for some devices
 * only. */
static int
devices_check(const struct devices *d, const char *text, struct fault *f)
{
	int	 i, j;

	for (i = 1; i < d->n; i++) {
		for (j = 0; j < i; j++)
			if (strcmp(d->list[i].name, d->list[j].name) == 0) {
				fault_set(f, "no_device", "device",
				    "device: expected each device once, found "
				    "%s twice in %.80s", d->list[i].name,
				    text);
				return (CHAT_EUNSUPPORTED);
			}
		if ((d->list[i].layers > 0) == (d->list[0].layers > 0))
			continue;
		fault_set(f, "no_device", "device", "device: expected a "
		    "number of layers for every device or for none, found "
		    "%.80s", text);
		return (CHAT_EUNSUPPORTED);
	}
	return (0);
}

/* Read a list. */
int
devices_parse(const char *text, struct devices *out, struct fault *f)
{
	const char	*at = text;
	size_t		 n;

	out->n = 0;
	if (strcmp(text, "auto") == 0 || strcmp(text, "cuda") == 0)
		return (0);
	for (;; at += n + 1) {
		n = strcspn(at, ",");
		if (out->n == DEVICES_MAX) {
			fault_set(f, "no_device", "device", "device: expected "
			    "at most %d devices, found more", DEVICES_MAX);
			return (CHAT_EUNSUPPORTED);
		}
		if (!devices_item(at, n, &out->list[out->n++])) {
			fault_set(f, "no_device", "device", "device: "
			    DEVICES_WORDS ", found %.80s", text);
			return (CHAT_EUNSUPPORTED);
		}
		if (at[n] == '\0')
			break;
	}
	return (devices_check(out, text, f));
}

/* Is it one device? */
int
devices_is_one(const char *text)
{
	return (strcmp(text, "cuda") != 0 && strpbrk(text, ",=") == NULL);
}
