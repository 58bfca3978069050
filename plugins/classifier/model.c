/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model file: reading with every bound checked, and writing.  Numbers are
 * little-endian.  In order: "chatdclf", the version, the version of the
 * features, four counts, the digest of all that follows; then the heads, the
 * groups, the clusters, the gates and the names.
 */
#include "model.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xmalloc.h"

#define MODEL_VERSION	1
#define MODEL_HEADER	40	/* bytes before the heads */
#define MODEL_HEAD	((5 + MODEL_CATEGORIES) * 4)
#define MODEL_LIST	(1u << 16)	/* groups, clusters */
#define MODEL_BUCKETS	(1u << 18)

const char *const model_categories[MODEL_CATEGORIES] = {
	"misinformation", "hate", "violence", "impersonation", "harassment",
	"defamation", "spam_scam", "confidential", "terms_violation",
	"malicious_bot", "illegal"
};

struct model_in {
	const unsigned char	*p;
	size_t			 n;
};

/* Read a number of 1 to 8 bytes. */
static uint64_t
model_get(struct model_in *in, size_t size)
{
	uint64_t	 v = 0;
	size_t		 i;

	for (i = 0; i < size; i++)
		v |= (uint64_t)in->p[i] << 8 * i;
	in->p += size;
	in->n -= size;
	return (v);
}

/* Read a float. */
static float
model_get_float(struct model_in *in)
{
	uint32_t	 v = (uint32_t)model_get(in, 4);
	float		 x;

	memcpy(&x, &v, sizeof x);
	return (x);
}

/* FNV-1a, eight bytes at a time: against damage, not against an attacker. */
static uint64_t
model_digest(const unsigned char *p, size_t n)
{
	uint64_t	 h = 0xcbf29ce484222325u, v;
	size_t		 i, k;

	for (; n > 0; p += k, n -= k) {
		k = n < 8 ? n : 8;
		for (v = 0, i = 0; i < k; i++)
			v |= (uint64_t)p[i] << 8 * i;
		h = (h ^ v) * 0x100000001b3u;
		h ^= h >> 31;
	}
	return (h);
}

/* Read a list of hashes in rising order. */
static int
model_get_list(struct model_in *in, const char *name, const char *what,
    size_t n, uint64_t **out, struct fault *f)
{
	size_t	 i;

	*out = xcalloc(n + 1, sizeof **out);
	for (i = 0; i < n; i++) {
		(*out)[i] = model_get(in, 8);
		if (i > 0 && (*out)[i] <= (*out)[i - 1])
			return (fault_set(f, "bad_model", NULL,
			    "%s: %s %zu: not in rising order", name, what, i));
	}
	return (0);
}

/* Read the numbers of a head. */
static int
model_get_head(struct model_in *in, const char *name, struct model_head *h,
    struct fault *f)
{
	float	*v[5] = { &h->bias, &h->scale, &h->slope, &h->offset,
		    &h->name_scale };
	size_t	 i;
	int	 bad = 0;

	for (i = 0; i < 5; i++) {
		*v[i] = model_get_float(in);
		bad |= !(fabsf(*v[i]) < 1e4f);
	}
	for (i = 0; i < MODEL_CATEGORIES; i++) {
		h->name_bias[i] = model_get_float(in);
		bad |= !(fabsf(h->name_bias[i]) < 1e4f);
	}
	return (bad ? fault_set(f, "bad_model", NULL,
	    "%s: a number of a head is not between -10000 and 10000", name) :
	    0);
}

/* Read the tables. */
static void
model_get_tables(struct model_in *in, struct model *m)
{
	size_t	 i, k;

	m->gates = xcalloc(m->gates_n, sizeof *m->gates);
	for (i = 0; i < m->gates_n; i++) {
		for (k = 0; k < MODEL_SLOTS; k++)
			m->gates[i].print[k] = (uint16_t)model_get(in, 2);
		memcpy(m->gates[i].weight, in->p, sizeof m->gates[i].weight);
		in->p += sizeof m->gates[i].weight;
	}
	m->names = xcalloc(m->names_n, sizeof *m->names);
	for (i = 0; i < m->names_n; i++) {
		for (k = 0; k < MODEL_NAMES; k++)
			m->names[i].print[k] = (uint16_t)model_get(in, 2);
		memcpy(m->names[i].weight, in->p, sizeof m->names[i].weight);
		in->p += sizeof m->names[i].weight;
	}
}

/* Check the header. Returns the bytes that must follow it, or 0. */
static uint64_t
model_header(struct model_in *in, const char *name, struct model *m,
    size_t *groups, size_t *clusters, struct fault *f)
{
	uint64_t	 version, features;

	if (in->n < MODEL_HEADER || memcmp(in->p, "chatdclf", 8) != 0) {
		fault_set(f, "bad_model", NULL,
		    "%s: not a model of the classifier", name);
		return (0);
	}
	in->p += 8;
	in->n -= 8;
	version = model_get(in, 4);
	features = model_get(in, 4);
	*groups = model_get(in, 4);
	*clusters = model_get(in, 4);
	m->gates_n = (uint32_t)model_get(in, 4);
	m->names_n = (uint32_t)model_get(in, 4);
	if (version != MODEL_VERSION || features != FEATURES_VERSION) {
		fault_set(f, "bad_model", NULL, "%s: version %llu.%llu, but "
		    "this program reads %d.%d", name,
		    (unsigned long long)version, (unsigned long long)features,
		    MODEL_VERSION, FEATURES_VERSION);
		return (0);
	}
	if (*groups > MODEL_LIST || *clusters > MODEL_LIST ||
	    m->gates_n == 0 || m->gates_n > MODEL_BUCKETS ||
	    m->names_n == 0 || m->names_n > MODEL_BUCKETS) {
		fault_set(f, "bad_model", NULL,
		    "%s: a count in the header is out of range", name);
		return (0);
	}
	m->digest = model_get(in, 8);
	return (MODEL_HEADS * MODEL_HEAD + 8 * (*groups + *clusters) +
	    (uint64_t)m->gates_n * sizeof(struct model_gate) +
	    (uint64_t)m->names_n * sizeof(struct model_name));
}

/* Load a model from memory. */
int
model_parse(const char *name, const void *data, size_t len,
    struct model **out, struct fault *f)
{
	struct model_in	 in = { data, len };
	struct model	*m;
	uint64_t	 need;
	size_t		 groups, clusters, i;
	int		 r = CHAT_EFORMAT;

	m = xcalloc(1, sizeof *m);
	if ((need = model_header(&in, name, m, &groups, &clusters, f)) == 0)
		goto out;
	if (in.n != need) {
		fault_set(f, "bad_model", NULL,
		    "%s: %zu bytes, but its header says %llu", name, len,
		    (unsigned long long)(need + MODEL_HEADER));
		goto out;
	}
	if (model_digest(in.p, in.n) != m->digest) {
		fault_set(f, "bad_model", NULL,
		    "%s: damaged: its digest is another", name);
		goto out;
	}
	for (i = 0; i < MODEL_HEADS; i++)
		if (model_get_head(&in, name, &m->head[i], f) != 0)
			goto out;
	if (model_get_list(&in, name, "group", groups, &m->groups, f) != 0 ||
	    model_get_list(&in, name, "cluster", clusters, &m->clusters,
	    f) != 0)
		goto out;
	m->words = (struct features_words){ m->groups, groups, m->clusters,
	    clusters };
	model_get_tables(&in, m);
	*out = m;
	m = NULL;
	r = 0;
out:
	model_free(m);
	return (r);
}

/* Load a file. */
int
model_load(const char *path, struct model **out, struct fault *f)
{
	struct stat	 st;
	char		*data = NULL;
	size_t		 n = 0;
	ssize_t		 k;
	int		 fd, r = CHAT_ESYSTEM;

	if ((fd = open(path, O_RDONLY|O_CLOEXEC)) == -1 ||
	    fstat(fd, &st) == -1) {
		fault_set(f, "bad_model", NULL, "%s: %s", path,
		    strerror(errno));
		goto out;
	}
	if (st.st_size > (off_t)MODEL_MAX) {
		fault_set(f, "bad_model", NULL, "%s: more than %u bytes", path,
		    MODEL_MAX);
		r = CHAT_ETOOBIG;
		goto out;
	}
	data = xmalloc((size_t)st.st_size + 1);
	while (n < (size_t)st.st_size && (k = read(fd, data + n,
	    (size_t)st.st_size - n)) > 0)
		n += (size_t)k;
	r = model_parse(path, data, n, out, f);
out:
	free(data);
	if (fd != -1)
		close(fd);
	return (r);
}

/* Free a model. */
void
model_free(struct model *m)
{
	if (m == NULL)
		return;
	free(m->groups);
	free(m->clusters);
	free(m->gates);
	free(m->names);
	free(m);
}

/* Write a number. */
static void
model_set(unsigned char **p, uint64_t v, size_t size)
{
	while (size-- > 0) {
		*(*p)++ = (unsigned char)v;
		v >>= 8;
	}
}

/* Write a float. */
static void
model_set_float(unsigned char **p, float x)
{
	uint32_t	 v;

	memcpy(&v, &x, sizeof v);
	model_set(p, v, 4);
}

/* Write the heads, the lists and the tables. */
static void
model_set_body(unsigned char **p, const struct model *m)
{
	const struct model_head	*h;
	size_t			 i, k;

	for (h = m->head; h < m->head + MODEL_HEADS; h++) {
		model_set_float(p, h->bias);
		model_set_float(p, h->scale);
		model_set_float(p, h->slope);
		model_set_float(p, h->offset);
		model_set_float(p, h->name_scale);
		for (i = 0; i < MODEL_CATEGORIES; i++)
			model_set_float(p, h->name_bias[i]);
	}
	for (i = 0; i < m->words.groups_n; i++)
		model_set(p, m->words.groups[i], 8);
	for (i = 0; i < m->words.clusters_n; i++)
		model_set(p, m->words.clusters[i], 8);
	for (i = 0; i < m->gates_n; i++) {
		for (k = 0; k < MODEL_SLOTS; k++)
			model_set(p, m->gates[i].print[k], 2);
		memcpy(*p, m->gates[i].weight, sizeof m->gates[i].weight);
		*p += sizeof m->gates[i].weight;
	}
	for (i = 0; i < m->names_n; i++) {
		for (k = 0; k < MODEL_NAMES; k++)
			model_set(p, m->names[i].print[k], 2);
		memcpy(*p, m->names[i].weight, sizeof m->names[i].weight);
		*p += sizeof m->names[i].weight;
	}
}

/* Write a model. */
void *
model_write(const struct model *m, size_t *len)
{
	unsigned char	*data, *p;

	*len = MODEL_HEADER + MODEL_HEADS * MODEL_HEAD +
	    8 * (m->words.groups_n + m->words.clusters_n) +
	    m->gates_n * sizeof(struct model_gate) +
	    m->names_n * sizeof(struct model_name);
	data = xmalloc(*len);
	p = data + MODEL_HEADER;
	model_set_body(&p, m);
	p = data;
	memcpy(p, "chatdclf", 8);
	p += 8;
	model_set(&p, MODEL_VERSION, 4);
	model_set(&p, FEATURES_VERSION, 4);
	model_set(&p, m->words.groups_n, 4);
	model_set(&p, m->words.clusters_n, 4);
	model_set(&p, m->gates_n, 4);
	model_set(&p, m->names_n, 4);
	model_set(&p, model_digest(data + MODEL_HEADER, *len - MODEL_HEADER),
	    8);
	return (data);
}
