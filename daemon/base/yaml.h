/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML files as a tree whose nodes know their place.  Plain scalars stay text:
 * the reader of a key decides what it means, so "no", "on" and "08" are never
 * guessed.  Anchors, aliases, tags and a second document are refused.  Size and
 * depth are bounded.  Duplicate keys are errors.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define YAML_FILE_MAX	(1024 * 1024)	/* bytes */
#define YAML_DEPTH_MAX	32

enum ynode_kind { YNODE_SCALAR, YNODE_LIST, YNODE_MAP };

struct ynode {
	enum ynode_kind	 kind;
	char		*key;		/* owned: in a map, else NULL */
	char		*text;		/* owned: a scalar's value */
	int		 quoted;	/* a scalar that stood in quotes */
	int		 line, column;	/* of the value, from 1 */
	int		 key_line, key_column;
	struct ynode	*child;		/* owned: first of a list or map */
	struct ynode	*next;		/* owned: sibling */
};

/*
 * Parse len bytes; name is used in errors only. 0 and *root (owned; an empty
 * file gives an empty map), or CHAT_EFORMAT with "name:line:column: why" in
 * f->message.
 */
int		 yaml_parse(const char *name, const char *text, size_t len,
		    struct ynode **root, struct fault *f);

/* Do the same for a file; *f also describes CHAT_ESYSTEM and other errors. */
int		 yaml_load(const char *path, struct ynode **root,
		    struct fault *f);
void		 ynode_free(struct ynode *n);

/* The value at key of a map, or NULL. */
struct ynode	*ynode_get(struct ynode *map, const char *key);

/*
 * Readers of scalars; 0, or CHAT_EFORMAT with "name:line:column: key: ..." in
 * f->message. Size: a number with an optional B, KiB, MiB, GiB. Time: a number
 * with ms, s, min or h (without a unit: seconds), in milliseconds.
 */
int		 ynode_int(const char *name, const struct ynode *n,
		    int64_t min, int64_t max, int64_t *out, struct fault *f);
int		 ynode_real(const char *name, const struct ynode *n,
		    double min, double max, double *out, struct fault *f);
int		 ynode_bool(const char *name, const struct ynode *n, int *out,
		    struct fault *f);		/* true or false */
int		 ynode_size(const char *name, const struct ynode *n,
		    int64_t min, int64_t max, int64_t *out, struct fault *f);
int		 ynode_time(const char *name, const struct ynode *n,
		    int64_t min, int64_t max, int64_t *out, struct fault *f);

/* Fill f with "name:line:column: key: ..." for node n (its key if it has
 * one). Returns CHAT_EFORMAT. */
int		 ynode_fault(const char *name, const struct ynode *n,
		    struct fault *f, const char *fmt, ...)
		    __attribute__((format(printf, 4, 5)));

#endif
