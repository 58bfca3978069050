/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an export: the export, its manifest, and for the formats of
 * dialogues the template with which trainers make text of messages.
 */
#ifndef BASE_EXPORTFILE_H
#define BASE_EXPORTFILE_H

#include <jansson.h>

#include "err.h"
#include "outfile.h"

/* The template, as the file engine/mini/chat_template.jinja has it. */
extern const char	 exportfile_template[];

/*
 * Complete the export o (released) to path. If manifest is not NULL, also write
 * path.manifest.json, which gets the name, size and digest of the file; and if
 * format has messages, path.chat_template.jinja. Returns 0, or an error with *f
 * filled; then none of the files is left.
 */
int	 exportfile_end(struct outfile *o, const char *path,
	    const char *format, json_t *manifest, struct fault *f);

/* Could path be written, as far as its companions are concerned? Returns 0, or
 * an error with *f filled. */
int	 exportfile_free(const char *path, const char *format,
	    struct fault *f);

#endif
