/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd.yaml: every key, its type, range and default. Tables list the keys of
 * each section; chatd.yaml(5) documents the same keys.
 */
#include "config_impl.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "log.h"
#include "protocol.h"
#include "suggest.h"
#include "xmalloc.h"
#include "yaml.h"

enum config_type { CONFIG_TEXT, CONFIG_INT, CONFIG_REAL, CONFIG_BOOL,
	CONFIG_SIZE, CONFIG_TIME, CONFIG_MODE, CONFIG_LEVEL,
	CONFIG_PRECISION, CONFIG_KV_PRECISION, CONFIG_DEVICE };

#define CONFIG_KEEP_MAX	3.1536e12	/* ms: 100 years */

/* One scalar key: its section, and its default in the form of the file. */
struct config_key {
	const char		*section;	/* "" at the top */
	const char		*name;
	enum config_type	 type;
	double			 min, max;
	const char		*dflt;		/* NULL: none */
	size_t			 offset;	/* in struct config */
};

#define CONFIG_JUDGE_PROMPT_MAX	4096	/* bytes */

/* The form that the moderation model of OpenChatKit was trained with. */
#define CONFIG_JUDGE_PROMPT \
	"Possible labels:\n1. casual\n2. needs caution\n" \
	"3. needs intervention\n4. possibly needs caution\n" \
	"5. probably needs caution\n\nInput: {text}\nOutput:"

#define AT(member) offsetof(struct config, member)
static const struct config_key config_keys[] = {
	{ "", "state_dir", CONFIG_TEXT, 0, 0, "/var/lib/chatd",
	    AT(state_dir) },
	{ "", "operators_group", CONFIG_TEXT, 0, 0, "chat-admin",
	    AT(operators) },
	{ "", "log_level", CONFIG_LEVEL, 0, 0, "info", AT(log_level) },
	{ "socket", "path", CONFIG_TEXT, 0, 0, "/run/chatd/chatd.sock",
	    AT(socket_path) },
	{ "socket", "group", CONFIG_TEXT, 0, 0, NULL, AT(socket_group) },
	{ "socket", "mode", CONFIG_MODE, 0, 0777, "0660", AT(socket_mode) },
	{ "model", "path", CONFIG_TEXT, 0, 0, MODELDIR, AT(model_path) },
	{ "model", "precision", CONFIG_PRECISION, 0, 0, "auto",
	    AT(precision) },
	{ "model", "kv_precision", CONFIG_KV_PRECISION, 0, 0, "auto",
	    AT(kv_precision) },
	{ "model", "device", CONFIG_DEVICE, 0, 0, "cpu", AT(device) },
	{ "model", "isa", CONFIG_TEXT, 0, 0, "auto", AT(isa) },
	{ "model", "threads", CONFIG_INT, 0, 1024, "0", AT(threads) },
	{ "model", "pin", CONFIG_BOOL, 0, 0, "false", AT(pin) },
	{ "model", "context", CONFIG_INT, 0, 1048576, "0", AT(context) },
	{ "model", "kv_tokens", CONFIG_INT, 0, 1e9, "0", AT(kv_tokens) },
	{ "model", "batch_tokens", CONFIG_INT, 0, 65536, "0",
	    AT(batch_tokens) },
	{ "model", "ab_key", CONFIG_TEXT, 0, 0, "", AT(ab_key) },
	{ "engine", "program", CONFIG_TEXT, 0, 0,
	    LIBEXECDIR "/chatd-engine", AT(engine_program) },
	{ "engine", "timeout", CONFIG_TIME, 100, 3600000, "60s",
	    AT(engine_timeout) },
	{ "engine", "load_timeout", CONFIG_TIME, 100, 86400000, "30min",
	    AT(engine_load_timeout) },
	{ "engine", "attempts", CONFIG_INT, 0, 1000, "3",
	    AT(engine_attempts) },
	{ "filter", "program", CONFIG_TEXT, 0, 0,
	    LIBEXECDIR "/chatd-filter", AT(filter_program) },
	{ "filter", "timeout", CONFIG_TIME, 10, 600000, "2s",
	    AT(filter_timeout) },
	{ "filter", "sandbox", CONFIG_BOOL, 0, 0, "true",
	    AT(filter_sandbox) },
	{ "filter", "hold", CONFIG_SIZE, 0, 1048576, "512B",
	    AT(filter_hold) },
	{ "store", "program", CONFIG_TEXT, 0, 0,
	    LIBEXECDIR "/chatd-store", AT(store_program) },
	{ "store", "timeout", CONFIG_TIME, 1000, 3600000, "30s",
	    AT(store_timeout) },
	{ "judge", "enabled", CONFIG_BOOL, 0, 0, "false",
	    AT(judge_enabled) },
	{ "judge", "required", CONFIG_BOOL, 0, 0, "false",
	    AT(judge_required) },
	{ "judge", "model", CONFIG_TEXT, 0, 0, "", AT(judge_model) },
	{ "judge", "precision", CONFIG_PRECISION, 0, 0, "auto",
	    AT(judge_precision) },
	{ "judge", "device", CONFIG_DEVICE, 0, 0, "cpu", AT(judge_device) },
	{ "judge", "threads", CONFIG_INT, 0, 1024, "0", AT(judge_threads) },
	{ "judge", "timeout", CONFIG_TIME, 10, 600000, "2s",
	    AT(judge_timeout) },
	{ "judge", "low", CONFIG_REAL, 0, 1, "0", AT(judge_low) },
	{ "judge", "high", CONFIG_REAL, 0, 1, "1", AT(judge_high) },
	{ "judge", "prompt", CONFIG_TEXT, 0, 0, CONFIG_JUDGE_PROMPT,
	    AT(judge_prompt) },
	{ "limits", "clients", CONFIG_INT, 1, 1000000, "1000",
	    AT(clients) },
	{ "limits", "clients_per_uid", CONFIG_INT, 1, 1000000, "100",
	    AT(clients_per_uid) },
	{ "limits", "operator_clients", CONFIG_INT, 0, 1000, "8",
	    AT(operator_clients) },
	{ "limits", "requests", CONFIG_INT, 1, 10000, "16", AT(requests) },
	{ "limits", "requests_per_uid", CONFIG_INT, 1, 100000, "32",
	    AT(requests_per_uid) },
	{ "limits", "conversations_per_uid", CONFIG_INT, 0, 1e9, "10000",
	    AT(conversations_per_uid) },
	{ "limits", "bytes_per_uid", CONFIG_SIZE, 0, 1e15, "1GiB",
	    AT(bytes_per_uid) },
	{ "limits", "line", CONFIG_SIZE, 1024, 16777216, "1MiB", AT(line) },
	{ "limits", "prompt", CONFIG_SIZE, 16, TEXT_BYTES_MAX, "256KiB",
	    AT(prompt) },
	{ "limits", "output", CONFIG_SIZE, 4096, 1073741824, "256KiB",
	    AT(output_high) },
	{ "limits", "line_time", CONFIG_TIME, 100, 3600000, "10s",
	    AT(line_time) },
	{ "limits", "stall_time", CONFIG_TIME, 100, 3600000, "30s",
	    AT(stall_time) },
	{ "limits", "drain_time", CONFIG_TIME, 0, 3600000, "10s",
	    AT(drain_time) },
	{ "retention", "rated", CONFIG_TIME, 0, CONFIG_KEEP_MAX, "0d",
	    AT(keep_rated) },
	{ "retention", "unrated", CONFIG_TIME, 0, CONFIG_KEEP_MAX, "0d",
	    AT(keep_unrated) },
#define CONFIG_DEFAULT(name, type, min, max, dflt, bound) \
	{ "defaults", #name, CONFIG_##type, min, max, dflt, AT(name) },
	VOCABULARY_DEFAULTS(CONFIG_DEFAULT)
#undef CONFIG_DEFAULT
	{ "defaults", "preprompt", CONFIG_TEXT, 0, 0, "", AT(preprompt) },
};

/* Sections that hold more than scalars of the table above. */
static const struct config_section {
	const char	*in;		/* "" at the top */
	const char	*name;
	int		(*read)(struct config *, const char *,
			    const struct ynode *, struct fault *);
} config_sections[] = {
	{ "", "filters", config_filters },
	{ "", "policy", config_policy },
	{ "", "messages", config_words },
	{ "judge", "labels", config_labels },
	{ "model", "adapters", config_adapters },
	{ "model", "ab", config_ab },
	{ "", "socket", NULL }, { "", "model", NULL }, { "", "engine", NULL },
	{ "", "filter", NULL }, { "", "judge", NULL }, { "", "store", NULL },
	{ "", "limits", NULL }, { "", "retention", NULL },
	{ "", "defaults", NULL },
};

/* Replace an owned string. */
void
config_text(char **p, const char *text)
{
	free(*p);
	*p = xstrdup(text);
}

/* Store a word, which must be in a list of the vocabulary. */
static int
config_word(char **p, const char *const *words, const char *file,
    const struct ynode *n, struct fault *f)
{
	char	*list;
	int	 r;

	if (vocabulary_find(words, n->text) == -1) {
		list = vocabulary_list(words, "or");
		r = ynode_fault(file, n, f, "expected %s, found \"%.40s\"",
		    list, n->text);
		free(list);
		return (r);
	}
	config_text(p, n->text);
	return (0);
}

/* Store a list of devices: devices.h. */
static int
config_device(char **p, const char *file, const struct ynode *n,
    struct fault *f)
{
	struct devices	 list;
	struct fault	 why;
	const char	*at;

	if (devices_parse(n->text, &list, &why) != 0) {
		at = strstr(why.message, "expected");	/* the key is known */
		return (ynode_fault(file, n, f, "%s", at != NULL ? at :
		    why.message));
	}
	config_text(p, n->text);
	return (0);
}

/* Is the key's value an owned string? */
static int
config_is_text(const struct config_key *k)
{
	return (k->type == CONFIG_TEXT || k->type == CONFIG_PRECISION ||
	    k->type == CONFIG_KV_PRECISION || k->type == CONFIG_DEVICE);
}

/* Store the scalar n at its place. */
static int
config_store(struct config *c, const struct config_key *k, const char *file,
    const struct ynode *n, struct fault *f)
{
	char	*p = (char *)c + k->offset, *end;
	long	 v;

	if (n->kind != YNODE_SCALAR)
		return (ynode_fault(file, n, f, "expected one value"));
	switch (k->type) {
	case CONFIG_TEXT:
		config_text((char **)p, n->text);
		return (0);
	case CONFIG_INT:
		return (ynode_int(file, n, (int64_t)k->min, (int64_t)k->max,
		    (int64_t *)p, f));
	case CONFIG_REAL:
		return (ynode_real(file, n, k->min, k->max, (double *)p, f));
	case CONFIG_BOOL:
		return (ynode_bool(file, n, (int *)p, f));
	case CONFIG_SIZE:
		return (ynode_size(file, n, (int64_t)k->min,
		    (int64_t)k->max, (int64_t *)p, f));
	case CONFIG_TIME:
		return (ynode_time(file, n, (int64_t)k->min,
		    (int64_t)k->max, (int64_t *)p, f));
	case CONFIG_MODE:
		v = strtol(n->text, &end, 8);
		if (n->text[0] == '\0' || *end != '\0' || v < 0 ||
		    v > (long)k->max)
			return (ynode_fault(file, n, f, "expected permission "
			    "bits in octal such as 0660, found \"%.40s\"",
			    n->text));
		*(int64_t *)p = v;
		return (0);
	case CONFIG_LEVEL:
		if ((v = log_level_parse(n->text)) == -1)
			return (ynode_fault(file, n, f, "expected error, "
			    "warn, info or debug, found \"%.40s\"", n->text));
		*(int64_t *)p = v;
		return (0);
	case CONFIG_PRECISION:
	case CONFIG_KV_PRECISION:
		return (config_word((char **)p, k->type == CONFIG_PRECISION ?
		    vocabulary_precisions : vocabulary_caches, file, n, f));
	case CONFIG_DEVICE:
		return (config_device((char **)p, file, n, f));
	}
	return (0);
}

/* If r is not 0, keep the fault: reading goes on. */
void
config_note(struct config *c, int r, const struct fault *f)
{
	if (r != 0)
		config_errors_add(c->errors, f);
}

/* Report an unknown word, with the word that was probably meant. */
int
config_stray(const char *file, const struct ynode *n, const char *what,
    const char *in, const char *const *words, struct fault *f)
{
	const char	*near = suggest_word(n->key, words);

	return (fault_set(f, "bad_config", n->key,
	    "%s:%d:%d: unknown %s \"%s\"%s%s%s%s%s", file, n->key_line,
	    n->key_column, what, n->key, in[0] != '\0' ? " in " : "", in,
	    near != NULL ? "; did you mean \"" : "",
	    near != NULL ? near : "", near != NULL ? "\"?" : ""));
}

/* Report an unknown key. */
static int
config_unknown(const char *file, const char *section, const struct ynode *n,
    struct fault *f)
{
	const char	*words[nitems(config_keys) + nitems(config_sections) +
			    1];
	size_t		 i, k = 0;

	for (i = 0; i < nitems(config_keys); i++) {
		if (strcmp(config_keys[i].section, section) == 0)
			words[k++] = config_keys[i].name;
	}
	for (i = 0; i < nitems(config_sections); i++) {
		if (strcmp(config_sections[i].in, section) == 0)
			words[k++] = config_sections[i].name;
	}
	words[k] = NULL;
	return (config_stray(file, n, "key", section, words, f));
}

/* Read the scalars of one section. */
static int
config_scalars(struct config *c, const char *file, const char *section,
    const struct ynode *map, struct fault *f)
{
	const struct ynode	*n;
	size_t			 i, s;

	if (map->kind == YNODE_SCALAR && map->text[0] == '\0' && !map->quoted)
		return (0);	/* all of its keys are commented out */
	if (map->kind != YNODE_MAP)
		return (ynode_fault(file, map, f, "expected keys and values"));
	for (n = map->child; n != NULL; n = n->next) {
		for (i = 0; i < nitems(config_keys); i++) {
			if (strcmp(config_keys[i].section, section) == 0 &&
			    strcmp(config_keys[i].name, n->key) == 0)
				break;
		}
		if (i < nitems(config_keys)) {
			config_note(c, config_store(c, &config_keys[i], file,
			    n, f), f);
			continue;
		}
		for (s = 0; s < nitems(config_sections); s++) {
			if (strcmp(config_sections[s].in, section) == 0 &&
			    strcmp(config_sections[s].name, n->key) == 0)
				break;
		}
		if (s == nitems(config_sections))
			config_note(c, config_unknown(file, section, n, f), f);
		else
			config_note(c, config_sections[s].read != NULL ?
			    config_sections[s].read(c, file, n, f) :
			    config_scalars(c, file, n->key, n, f), f);
	}
	return (0);
}

/* Fill in every default. */
static void
config_defaults(struct config *c)
{
	struct ynode	 n = { .kind = YNODE_SCALAR, .line = 1 };
	struct fault	 f;
	size_t		 i;
	int		 d;

	for (i = 0; i < nitems(config_keys); i++) {
		if (config_keys[i].dflt == NULL)
			continue;
		n.text = (char *)(uintptr_t)config_keys[i].dflt;
		if (config_store(c, &config_keys[i], "default", &n, &f) != 0)
			fatalx("%s: %s", config_keys[i].name, f.message);
	}
	for (i = 0; i < CATEGORIES; i++) {
		for (d = 0; d < DIRECTIONS; d++)
			c->policy[d][i] = (struct threshold){ .flag = 0.5,
			    .redact = NEVER, .block = 0.8 };
		c->words[i] = xasprintf("This was blocked by the rules of "
		    "this service: it looks like %s (%s). If that is wrong, "
		    "rate it bad with the reason wrong_refusal.",
		    vocabulary_misuse[i], vocabulary_categories[i]);
	}
	config_labels_default(c);
}

/* Note a fault in the section judge. */
static void
config_judge(struct config *c, const char *path, struct fault *f)
{
	const char	*place = strstr(c->judge_prompt, "{text}");
	size_t		 i;

	for (i = 0; i < c->njudge_labels &&
	    c->judge_labels[i].category == -1; i++)
		;
	if (place == NULL || strstr(place + 1, "{text}") != NULL ||
	    strlen(c->judge_prompt) > CONFIG_JUDGE_PROMPT_MAX)
		config_note(c, fault_set(f, "bad_config", "judge.prompt",
		    "%s: judge.prompt: expected at most %d bytes that hold "
		    "{text} once", path, CONFIG_JUDGE_PROMPT_MAX), f);
	if (c->njudge_labels < 2 || i == c->njudge_labels)
		config_note(c, fault_set(f, "bad_config", "judge.labels",
		    "%s: judge.labels: expected at least two labels, one of "
		    "them with a category", path), f);
	if (c->judge_low > c->judge_high)
		config_note(c, fault_set(f, "bad_config", "judge.low",
		    "%s: judge.low (%g) is above judge.high (%g)", path,
		    c->judge_low, c->judge_high), f);
}

/* Note the values that do not fit together, or into a socket's name. */
static void
config_together(struct config *c, struct fault *f)
{
	const char	*path = c->file != NULL ? c->file : "defaults";
	const size_t	 most = sizeof ((struct sockaddr_un *)0)->sun_path - 1;
	const size_t	 name = strlen(c->socket_path);
	const size_t	 pre = strlen(c->preprompt);

	if (c->prompt > c->line)
		config_note(c, fault_set(f, "bad_config", "prompt",
		    "%s: limits.prompt (%lld bytes) is above limits.line "
		    "(%lld bytes)", path, (long long)c->prompt,
		    (long long)c->line), f);
	if (pre > (size_t)c->prompt)
		config_note(c, fault_set(f, "bad_config", "preprompt",
		    "%s: defaults.preprompt (%zu bytes) is above limits.prompt "
		    "(%lld bytes)", path, pre, (long long)c->prompt), f);
	if (name == 0 || name > most)
		config_note(c, fault_set(f, "bad_config", "socket.path",
		    "%s: socket.path: expected a name of 1 to %zu bytes, found "
		    "%zu bytes", path, most, name), f);
	config_judge(c, path, f);
	config_adapters_end(c, path, f);
}

/* Read a configuration. */
int
config_load(const char *path, struct config **out, json_t *errors,
    struct fault *f)
{
	struct config_errors	 all = { .list = errors };
	struct config		*c;
	struct ynode		*root = NULL;
	int			 r = 0;

	c = xcalloc(1, sizeof *c);
	c->file = xstrdup(path);
	c->errors = &all;
	config_defaults(c);
	if (path != NULL && (r = config_trust(path, f)) == 0 &&
	    (r = yaml_load(path, &root, f)) == 0)
		r = config_scalars(c, path, "", root, f);
	config_note(c, r, f);
	ynode_free(root);
	if (all.n == 0)
		config_together(c, f);
	c->errors = NULL;
	if ((r = config_errors_end(&all, f)) != 0)
		config_free(c);
	else
		*out = c;
	return (r);
}

/* Release a configuration. */
void
config_free(struct config *c)
{
	size_t	 i;

	if (c == NULL)
		return;
	for (i = 0; i < nitems(config_keys); i++) {
		if (config_is_text(&config_keys[i]))
			free(*(char **)((char *)c + config_keys[i].offset));
	}
	for (i = 0; i < c->nfilters; i++) {
		free(c->filters[i].name);
		free(c->filters[i].path);
		json_decref(c->filters[i].options);
	}
	for (i = 0; i < CATEGORIES; i++)
		free(c->words[i]);
	free(c->filters);
	for (i = 0; i < c->ngroups; i++)
		free(c->groups[i].name);
	free(c->groups);
	config_labels_clear(c);
	config_adapters_clear(c);
	for (i = 0; i < c->nplugins; i++)
		free(c->plugins[i].name);
	free(c->plugins);
	free(c->model_chosen);
	free(c->file);
	free(c);
}

/* Return the model to load. */
const char *
config_model(const struct config *c)
{
	return (c->model_chosen != NULL ? c->model_chosen : c->model_path);
}
