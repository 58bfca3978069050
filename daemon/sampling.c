/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling parameters of a request. A table checks them; the defaults of the
 * configuration and a random seed complete them.
 */
#include "chatd.h"

#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#include "adapters.h"
#include "protocol.h"
#include "log.h"
#include "xmalloc.h"

/* One member per parameter, of the type of its field. */
#define SAMPLING_REAL	double
#define SAMPLING_INT	int64_t
#define SAMPLING_ARRAY	json_t *	/* borrowed, or NULL */
#define SAMPLING_BOOL	int
#define SAMPLING_STRING	const char *	/* borrowed, or NULL */
#define SAMPLING_MEMBER(name, type, min, max, dflt, bound) \
	SAMPLING_##type	 name;
struct params {
	VOCABULARY_PARAMS(SAMPLING_MEMBER)
};

#define SAMPLING_FIELD(name, type, min, max, dflt, bound) \
	{ #name, FIELD_##type, 0, min, max, offsetof(struct params, name) },
static const struct field sampling_fields[] = {
	VOCABULARY_PARAMS(SAMPLING_FIELD)
};

/* Check an array of stop strings. */
static int
sampling_stops(const json_t *stop, struct fault *f)
{
	const json_t	*v;
	size_t		 i;

	if (json_array_size(stop) > PARAM_STOPS_MAX)
		return (fault_set(f, "bad_field", "stop",
		    "stop: %zu strings, at most %d", json_array_size(stop),
		    PARAM_STOPS_MAX));
	json_array_foreach(stop, i, v) {
		if (!json_is_string(v) || json_string_length(v) == 0 ||
		    json_string_length(v) > PARAM_STOP_MAX)
			return (fault_set(f, "bad_field", "stop", "stop: "
			    "expected strings of 1 to %d bytes",
			    PARAM_STOP_MAX));
	}
	return (0);
}

/* The offsets of the defaults, in the order of the vocabulary. */
#define SAMPLING_OFFSET(name, type, min, max, dflt, bound) \
	offsetof(struct config, name),
static const size_t sampling_defaults[] = {
	VOCABULARY_DEFAULTS(SAMPLING_OFFSET)
};

/* Return the greatest value of a parameter that the model can hold; 0 if the
 * bound is unknown or there is none. */
static int64_t
sampling_most(const json_t *model, const struct vocabulary_param *p)
{
	return (p->bound == NULL ? 0 : msg_int(model, p->bound, 0));
}

/* Find the next default, from *i on, that is more than the model can hold.
 * Returns that bound, or 0. */
static int64_t
sampling_above(const struct config *cf, const json_t *model, size_t *i,
    int64_t *dflt)
{
	int64_t	 most;

	for (; *i < nitems(sampling_defaults); (*i)++) {
		most = sampling_most(model, &vocabulary_params[*i]);
		if (most <= 0)
			continue;
		*dflt = *(const int64_t *)(const void *)((const char *)cf +
		    sampling_defaults[*i]);
		if (*dflt > most)
			return (most);
	}
	return (0);
}

/* Lower the defaults that the model can't hold. What the client gave decides
 * which values are defaults: the configuration may have changed since. */
void
sampling_fit(const json_t *model, const json_t *given, json_t *params)
{
	const struct vocabulary_param	*p;
	int64_t				 most;

	for (p = vocabulary_params; p->name != NULL; p++) {
		most = sampling_most(model, p);
		if (most > 0 && json_object_get(given, p->name) == NULL &&
		    msg_int(params, p->name, 0) > most)
			msg_set_int(params, p->name, most);
	}
}

/* Log the defaults that are lowered. */
void
sampling_warn(const struct config *cf, const json_t *model)
{
	int64_t	 dflt, most;
	size_t	 i;

	for (i = 0; (most = sampling_above(cf, model, &i, &dflt)) > 0; i++)
		log_warnx("defaults.%s: %lld is more than the model's %s: "
		    "%lld is used", vocabulary_params[i].name,
		    (long long)dflt, vocabulary_params[i].bound,
		    (long long)most);
}

/* Compare complete parameters with the model. */
int
sampling_check(const json_t *model, const json_t *params, struct fault *f)
{
	const struct vocabulary_param	*p;
	int64_t				 most;

	for (p = vocabulary_params; p->name != NULL; p++) {
		most = sampling_most(model, p);
		if (most > 0 && msg_int(params, p->name, 0) > most)
			return (fault_set(f, "bad_field", p->name, "%s: "
			    "expected at most %lld, the model's %s", p->name,
			    (long long)most, p->bound));
	}
	return (adapters_check(model, params, f));
}

/* Put the defaults of the configuration and a seed in place. */
static void
sampling_start(const struct config *cf, struct params *p)
{
#define SAMPLING_COPY(name, type, min, max, dflt, bound) \
	p->name = cf->name;
	uint64_t	 seed;

	memset(p, 0, sizeof *p);
	VOCABULARY_DEFAULTS(SAMPLING_COPY)
	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		fatal("getrandom");
	p->seed = (int64_t)(seed & JSON_INT_MAX);
}

/* The defaults. */
json_t *
sampling_stated(const struct chatd *d)
{
	const struct config	*cf = d->config;
	json_t			*m = json_object();

	msg_set_real(m, "temperature", cf->temperature);
	msg_set_int(m, "top_k", cf->top_k);
	msg_set_real(m, "top_p", cf->top_p);
	msg_set_real(m, "repetition_penalty", cf->repetition_penalty);
	msg_set_int(m, "max_tokens", cf->max_tokens);
	if (d->engine->model != NULL)
		sampling_fit(d->engine->model, NULL, m);
	return (m);
}

/* Make complete parameters: given ones, defaults and a seed. */
int
sampling_read(const struct config *cf, json_t *given, json_t **out,
    struct fault *f)
{
	struct params		 p;
	json_t			*m;
	int			 res;

	sampling_start(cf, &p);
	if (given != NULL && ((res = fields_read(given, sampling_fields,
	    nitems(sampling_fields), &p, f)) != 0 ||
	    (res = sampling_stops(p.stop, f)) != 0))
		return (res);
	m = json_object();
	msg_set_real(m, "temperature", p.temperature);
	msg_set_int(m, "top_k", p.top_k);
	msg_set_real(m, "top_p", p.top_p);
	msg_set_real(m, "repetition_penalty", p.repetition_penalty);
	msg_set_int(m, "max_tokens", p.max_tokens);
	msg_set_int(m, "seed", p.seed);
	if (p.stop != NULL)
		msg_set(m, "stop", json_incref(p.stop));
	if (p.ignore_eos)
		msg_set_bool(m, "ignore_eos", 1);
	msg_set_string(m, "adapter", p.adapter);
	*out = m;
	return (0);
}
