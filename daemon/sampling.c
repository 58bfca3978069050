/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling parameters of a request: checked by a table, completed with the
 * configuration's defaults and, where none is given, a seed.
 */
#include "chatd.h"

#include <stddef.h>
#include <sys/random.h>

#include "protocol.h"
#include "log.h"
#include "xmalloc.h"

#define PARAMS_STOPS_MAX	8	/* stop strings */
#define PARAMS_STOP_MAX		64	/* bytes of one */

struct params {
	double		 temperature, top_p, repetition_penalty;
	int64_t		 top_k, max_tokens, seed;
	json_t		*stop;		/* borrowed, or NULL */
	int		 ignore_eos;
};

#define P(member)	offsetof(struct params, member)
static const struct field sampling_fields[] = {
	{ "temperature", FIELD_REAL, 0, 0, 2, P(temperature) },
	{ "top_k", FIELD_INT, 0, 0, 1e9, P(top_k) },
	{ "top_p", FIELD_REAL, 0, 0.000001, 1, P(top_p) },
	{ "repetition_penalty", FIELD_REAL, 0, 0.01, 10,
	    P(repetition_penalty) },
	{ "max_tokens", FIELD_INT, 0, 1, 1048576, P(max_tokens) },
	{ "seed", FIELD_INT, 0, 0, JSON_INT_MAX, P(seed) },
	{ "stop", FIELD_ARRAY, 0, 0, 0, P(stop) },
	{ "ignore_eos", FIELD_BOOL, 0, 0, 0, P(ignore_eos) },
};

/* Check an array of stop strings. */
static int
sampling_stops(const json_t *stop, struct fault *f)
{
	const json_t	*v;
	size_t		 i;

	if (json_array_size(stop) > PARAMS_STOPS_MAX)
		return (fault_set(f, "bad_field", "stop",
		    "stop: %zu strings, at most %d", json_array_size(stop),
		    PARAMS_STOPS_MAX));
	json_array_foreach(stop, i, v) {
		if (!json_is_string(v) || json_string_length(v) == 0 ||
		    json_string_length(v) > PARAMS_STOP_MAX)
			return (fault_set(f, "bad_field", "stop", "stop: "
			    "expected strings of 1 to %d bytes",
			    PARAMS_STOP_MAX));
	}
	return (0);
}

/* What a model can hold of two defaults; 0: it does not say. */
static const struct {
	const char	*name, *of;
	size_t		 offset;	/* in struct config */
} sampling_limits[] = {
	{ "max_tokens", "context", offsetof(struct config, max_tokens) },
	{ "top_k", "vocab", offsetof(struct config, top_k) },
};

/* Lower defaults that the model can't hold. */
void
sampling_fit(const struct config *cf, const json_t *model, json_t *params)
{
	int64_t	 dflt, most;
	size_t	 i;

	for (i = 0; i < nitems(sampling_limits); i++) {
		dflt = *(const int64_t *)(const void *)((const char *)cf +
		    sampling_limits[i].offset);
		most = msg_int(model, sampling_limits[i].of, 0);
		if (most > 0 && dflt > most &&
		    msg_int(params, sampling_limits[i].name, 0) == dflt)
			msg_set_int(params, sampling_limits[i].name, most);
	}
}

/* Say which defaults are lowered. */
void
sampling_warn(const struct config *cf, const json_t *model)
{
	int64_t	 dflt, most;
	size_t	 i;

	for (i = 0; i < nitems(sampling_limits); i++) {
		dflt = *(const int64_t *)(const void *)((const char *)cf +
		    sampling_limits[i].offset);
		most = msg_int(model, sampling_limits[i].of, 0);
		if (most > 0 && dflt > most)
			log_warnx("defaults.%s: %lld is more than the model's "
			    "%s: %lld is used", sampling_limits[i].name,
			    (long long)dflt, sampling_limits[i].of,
			    (long long)most);
	}
}

/* Sampling parameters with the configuration's defaults and a seed. */
int
sampling_read(const struct config *cf, json_t *given, json_t **out,
    struct fault *f)
{
	struct params		 p = { cf->temperature, cf->top_p,
	    cf->repetition_penalty, cf->top_k, cf->max_tokens, 0, NULL, 0 };
	uint64_t		 seed;
	json_t			*m;
	int			 res;

	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		fatal("getrandom");
	p.seed = (int64_t)(seed & JSON_INT_MAX);
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
	*out = m;
	return (0);
}
