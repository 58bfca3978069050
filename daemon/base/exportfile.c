/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an export.
 */
#include "exportfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "xmalloc.h"

#define EXPORTFILE_MANIFEST	"%s.manifest.json"
#define EXPORTFILE_TEMPLATE	"%s.chat_template.jinja"

static int	exportfile_talks(const char *);
static int	exportfile_there(const char *, const char *, struct fault *);
static int	exportfile_manifest(const char *, json_t *,
		    const struct outfile_facts *, struct fault *);
static int	exportfile_companions(const char *, const char *, json_t *,
		    const struct outfile_facts *, struct fault *);

const char exportfile_template[] =
    "{#- The dialogue format of GPT-NeoXT-Chat: a line for each turn. -#}\n"
    "{%- for message in messages -%}\n"
    "{%- set text = message['content'] -%}\n"
    "{%- set said = (' ' if text | trim != '' else '') + text | trim -%}\n"
    "{%- if message['role'] == 'system' -%}\n"
    "{{- text + ('' if text == '' or text[-1] == '\\n' else '\\n') -}}\n"
    "{%- elif message['role'] == 'user' -%}\n"
    "{{- '<human>:' + said + '\\n' -}}\n"
    "{%- else -%}\n"
    "{{- '<bot>:' -}}\n"
    "{%- generation -%}\n"
    "{{- said -}}\n"
    "{%- endgeneration -%}\n"
    "{{- '' if loop.last else '\\n' -}}\n"
    "{%- endif -%}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n"
    "{{- '<bot>:' -}}\n"
    "{%- endif -%}\n";

/* Does the format have messages, which need the template? */
static int
exportfile_talks(const char *format)
{
	return (strcmp(format, "messages") == 0 ||
	    strcmp(format, "preference") == 0 ||
	    strcmp(format, "openai-dpo") == 0);
}

/* Report a file that is there. The name is made as form says. */
static int
exportfile_there(const char *form, const char *path, struct fault *f)
{
	struct stat	 s;
	char		*name = strcmp(form, EXPORTFILE_MANIFEST) == 0 ?
			    xasprintf(EXPORTFILE_MANIFEST, path) :
			    xasprintf(EXPORTFILE_TEMPLATE, path);
	int		 r = 0;

	if (lstat(name, &s) == 0) {
		fault_set(f, "bad_field", "output", "%s: already exists; "
		    "expected the name of new files", name);
		r = CHAT_ESYSTEM;
	}
	free(name);
	return (r);
}

/* Are the names of the companions free? */
int
exportfile_free(const char *path, const char *format, struct fault *f)
{
	int	r;

	if ((r = exportfile_there(EXPORTFILE_MANIFEST, path, f)) != 0 ||
	    !exportfile_talks(format))
		return (r);
	return (exportfile_there(EXPORTFILE_TEMPLATE, path, f));
}

/* Write the manifest. */
static int
exportfile_manifest(const char *path, json_t *manifest,
    const struct outfile_facts *facts, struct fault *f)
{
	const char	*slash = strrchr(path, '/');
	char		*name = xasprintf(EXPORTFILE_MANIFEST, path), *s;
	json_t		*file = json_object(), *files = json_array();
	int		 r;

	msg_set_string(file, "name", slash != NULL ? slash + 1 : path);
	msg_set_int(file, "bytes", facts->bytes);
	msg_set_string(file, "sha256", facts->sha256);
	json_array_append_new(files, file);
	msg_set(manifest, "files", files);
	s = json_dumps(manifest, JSON_INDENT(1)|JSON_REAL_PRECISION(15));
	r = outfile_put(name, s, strlen(s), f);
	free(s);
	free(name);
	return (r);
}

/* Write the companions. */
static int
exportfile_companions(const char *path, const char *format, json_t *manifest,
    const struct outfile_facts *facts, struct fault *f)
{
	char	*name, *other;
	int	 r;

	if ((r = exportfile_manifest(path, manifest, facts, f)) != 0 ||
	    !exportfile_talks(format))
		return (r);
	name = xasprintf(EXPORTFILE_TEMPLATE, path);
	r = outfile_put(name, exportfile_template, strlen(exportfile_template),
	    f);
	free(name);
	if (r != 0) {
		other = xasprintf(EXPORTFILE_MANIFEST, path);
		unlink(other);
		free(other);
	}
	return (r);
}

/* Complete the export. */
int
exportfile_end(struct outfile *o, const char *path, const char *format,
    json_t *manifest, struct fault *f)
{
	struct outfile_facts	facts;
	int			r;

	if ((r = outfile_end(o, &facts, f)) != 0 || manifest == NULL)
		return (r);
	if ((r = exportfile_companions(path, format, manifest, &facts,
	    f)) != 0)
		unlink(path);
	return (r);
}
