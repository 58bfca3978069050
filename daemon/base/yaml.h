/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML files.  The functions yaml_... parse a file into a tree of nodes
 * (struct ynode).  The functions ynode_... work on the tree: they find a key,
 * read a scalar as a number, size or time, and report a fault with the place
 * of a node in the file.
 *
 * The parser does not guess the type of a plain scalar such as no, on or 08.
 * It stays text until a reader is called for it.  Anchors, aliases, tags,
 * duplicate keys and a second document are errors.  Size and depth are bounded.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define YAML_FILE_MAX	(1024 * 1024)	/* bytes */
#define YAML_DEPTH_MAX	32

enum ynode_kind { YNODE_SCALAR, YNODE_LIST, YNODE_MAP };

/* A node.  ynode_free frees it with everything that it owns. */
struct ynode {
	enum ynode_kind	 kind;
	char		*key;		/* owned: its key, if the parent is a
					 * map; else NULL */
	char		*text;		/* owned: of a scalar, else NULL */
	int		 quoted;	/* a scalar in quotes */
	int		 line, column;	/* place of the value, from 1 */
	int		 key_line, key_column;	/* place of the key */
	struct ynode	*child;		/* owned: first node in a list or map */
	struct ynode	*next;		/* owned: next node of the parent */
};

/*
 * Parse len bytes of text. name is the file's name, for errors. Returns 0 and
 * *root (owned by the caller; an empty text gives an empty map), or
 * CHAT_EFORMAT with "name:line:column: why" in f->message.
 */
int		 yaml_parse(const char *name, const char *text, size_t len,
		    struct ynode **root, struct fault *f);

/* Do the same for the file at path. Also returns CHAT_ESYSTEM, or CHAT_ETOOBIG
 * above YAML_FILE_MAX, with *f filled. */
int		 yaml_load(const char *path, struct ynode **root,
		    struct fault *f);

/* As yaml_load; *root is a map: a list or a single text is a fault. */
int		 yaml_load_map(const char *path, struct ynode **root,
		    struct fault *f);

/* Free a node, its children and the siblings after it. NULL does nothing. */
void		 ynode_free(struct ynode *n);

/* Find the node of a key in a map (borrowed). NULL if it is not there, or if
 * map is NULL or not a map. */
struct ynode	*ynode_get(struct ynode *map, const char *key);

/*
 * Read a scalar. name is the file's name, for errors; min and max are
 * inclusive. Returns 0 and *out, or CHAT_EFORMAT with "name:line:column: key:
 * why" in f->message.
 *
 *   ynode_bool  true gives 1, false gives 0
 *   ynode_size  bytes; the unit is B (or none), KiB, MiB or GiB
 *   ynode_time  milliseconds; the unit is ms, s (or none), min or h
 */
int		 ynode_int(const char *name, const struct ynode *n,
		    int64_t min, int64_t max, int64_t *out, struct fault *f);
int		 ynode_real(const char *name, const struct ynode *n,
		    double min, double max, double *out, struct fault *f);
int		 ynode_bool(const char *name, const struct ynode *n, int *out,
		    struct fault *f);
int		 ynode_size(const char *name, const struct ynode *n,
		    int64_t min, int64_t max, int64_t *out, struct fault *f);
int		 ynode_time(const char *name, const struct ynode *n,
		    int64_t min, int64_t max, int64_t *out, struct fault *f);

/* Report a fault in node n: fills f with "name:line:column: key: " and the text
 * of fmt. The place is that of the value; "key: " is left out without a key.
 * Returns CHAT_EFORMAT. */
int		 ynode_fault(const char *name, const struct ynode *n,
		    struct fault *f, const char *fmt, ...)
		    __attribute__((format(printf, 4, 5)));

#endif
