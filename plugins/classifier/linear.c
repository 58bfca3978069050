/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model file: reading with every bound checked, and writing.  Numbers are
 * little-endian.  In order: "chatdclf", the version, the version of the
 * features, four counts, the digest of all that follows; then the heads, the
 * groups, the clusters, the gates and the names.
 */
#include "linear.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xmalloc.h"

#define LINEAR_VERSION	1
#define LINEAR_HEADER	40	/* bytes before the heads */
#define LINEAR_HEAD	((5 + LINEAR_CATEGORIES) * 4)
#define LINEAR_LIST	(1u << 16)	/* groups, clusters */
#define LINEAR_BUCKETS	(1u << 18)

#define LINEAR_WORD(word)	#word,
const char *const linear_categories[CATEGORIES] = {
	VOCABULARY_CATEGORIES(LINEAR_WORD)
};
#undef LINEAR_WORD
_Static_assert(LINEAR_CATEGORIES == CATEGORIES - 1,
    "the last category is the one that the model card does not name");

struct linear_in {
	const unsigned char	*p;
	size_t			 n;
};

/* Read a number of 1 to 8 bytes. */
static uint64_t
linear_get(struct linear_in *in, size_t size)
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
linear_get_float(struct linear_in *in)
{
	uint32_t	 v = (uint32_t)linear_get(in, 4);
	float		 x;

	memcpy(&x, &v, sizeof x);
	return (x);
}

/* FNV-1a, eight bytes at a time: against damage, not against an attacker. */
static uint64_t
linear_digest(const unsigned char *p, size_t n)
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
linear_get_list(struct linear_in *in, const char *name, const char *what,
    size_t n, uint64_t **out, struct fault *f)
{
	size_t	 i;

	*out = xcalloc(n + 1, sizeof **out);
	for (i = 0; i < n; i++) {
		(*out)[i] = linear_get(in, 8);
		if (i > 0 && (*out)[i] <= (*out)[i - 1])
			return (fault_set(f, "bad_model", NULL,
			    "%s: %s %zu: not in rising order", name, what, i));
	}
	return (0);
}

/* Read the numbers of a head. */
static int
linear_get_head(struct linear_in *in, const char *name, struct linear_head *h,
    struct fault *f)
{
	float	*v[5] = { &h->bias, &h->scale, &h->slope, &h->offset,
		    &h->name_scale };
	size_t	 i;
	int	 bad = 0;

	for (i = 0; i < 5; i++) {
		*v[i] = linear_get_float(in);
		bad |= !(fabsf(*v[i]) < 1e4f);
	}
	for (i = 0; i < LINEAR_CATEGORIES; i++) {
		h->name_bias[i] = linear_get_float(in);
		bad |= !(fabsf(h->name_bias[i]) < 1e4f);
	}
	return (bad ? fault_set(f, "bad_model", NULL,
	    "%s: a number of a head is not between -10000 and 10000", name) :
	    0);
}

/* Read the tables. */
static void
linear_get_tables(struct linear_in *in, struct linear *m)
{
	size_t	 i, k;

	m->gates = xcalloc(m->gates_n, sizeof *m->gates);
	for (i = 0; i < m->gates_n; i++) {
		for (k = 0; k < LINEAR_SLOTS; k++)
			m->gates[i].print[k] = (uint16_t)linear_get(in, 2);
		memcpy(m->gates[i].weight, in->p, sizeof m->gates[i].weight);
		in->p += sizeof m->gates[i].weight;
	}
	m->names = xcalloc(m->names_n, sizeof *m->names);
	for (i = 0; i < m->names_n; i++) {
		for (k = 0; k < LINEAR_NAMES; k++)
			m->names[i].print[k] = (uint16_t)linear_get(in, 2);
		memcpy(m->names[i].weight, in->p, sizeof m->names[i].weight);
		in->p += sizeof m->names[i].weight;
	}
}

/* Check the header. Returns the bytes that must follow it, or 0. */
static uint64_t
linear_header(struct linear_in *in, const char *name, struct linear *m,
    size_t *groups, size_t *clusters, struct fault *f)
{
	uint64_t	 version, features;

	if (in->n < LINEAR_HEADER || memcmp(in->p, "chatdclf", 8) != 0) {
		fault_set(f, "bad_model", NULL,
		    "%s: not a model of the classifier", name);
		return (0);
	}
	in->p += 8;
	in->n -= 8;
	version = linear_get(in, 4);
	features = linear_get(in, 4);
	*groups = linear_get(in, 4);
	*clusters = linear_get(in, 4);
	m->gates_n = (uint32_t)linear_get(in, 4);
	m->names_n = (uint32_t)linear_get(in, 4);
	if (version != LINEAR_VERSION || features != FEATURES_VERSION) {
		fault_set(f, "bad_model", NULL, "%s: version %llu.%llu, but "
		    "this program reads %d.%d", name,
		    (unsigned long long)version, (unsigned long long)features,
		    LINEAR_VERSION, FEATURES_VERSION);
		return (0);
	}
	if (*groups > LINEAR_LIST || *clusters > LINEAR_LIST ||
	    m->gates_n == 0 || m->gates_n > LINEAR_BUCKETS ||
	    m->names_n == 0 || m->names_n > LINEAR_BUCKETS) {
		fault_set(f, "bad_model", NULL,
		    "%s: a count in the header is out of range", name);
		return (0);
	}
	m->digest = linear_get(in, 8);
	return (LINEAR_HEADS * LINEAR_HEAD + 8 * (*groups + *clusters) +
	    (uint64_t)m->gates_n * sizeof(struct linear_gate) +
	    (uint64_t)m->names_n * sizeof(struct linear_name));
}

/* Load a model from memory. */
int
linear_parse(const char *name, const void *data, size_t len,
    struct linear **out, struct fault *f)
{
	struct linear_in	 in = { data, len };
	struct linear	*m;
	uint64_t	 need;
	size_t		 groups, clusters, i;
	int		 r = CHAT_EFORMAT;

	m = xcalloc(1, sizeof *m);
	if ((need = linear_header(&in, name, m, &groups, &clusters, f)) == 0)
		goto out;
	if (in.n != need) {
		fault_set(f, "bad_model", NULL,
		    "%s: %zu bytes, but its header says %llu", name, len,
		    (unsigned long long)(need + LINEAR_HEADER));
		goto out;
	}
	if (linear_digest(in.p, in.n) != m->digest) {
		fault_set(f, "bad_model", NULL,
		    "%s: damaged: its digest is another", name);
		goto out;
	}
	for (i = 0; i < LINEAR_HEADS; i++)
		if (linear_get_head(&in, name, &m->head[i], f) != 0)
			goto out;
	if (linear_get_list(&in, name, "group", groups, &m->groups, f) != 0 ||
	    linear_get_list(&in, name, "cluster", clusters, &m->clusters,
	    f) != 0)
		goto out;
	m->words = (struct features_words){ m->groups, groups, m->clusters,
	    clusters };
	linear_get_tables(&in, m);
	*out = m;
	m = NULL;
	r = 0;
out:
	linear_free(m);
	return (r);
}

/* Load a file. */
int
linear_load(const char *path, struct linear **out, struct fault *f)
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
	if (st.st_size > (off_t)LINEAR_MAX) {
		fault_set(f, "bad_model", NULL, "%s: more than %u bytes", path,
		    LINEAR_MAX);
		r = CHAT_ETOOBIG;
		goto out;
	}
	data = xmalloc((size_t)st.st_size + 1);
	while (n < (size_t)st.st_size && (k = read(fd, data + n,
	    (size_t)st.st_size - n)) > 0)
		n += (size_t)k;
	r = linear_parse(path, data, n, out, f);
out:
	free(data);
	if (fd != -1)
		close(fd);
	return (r);
}

/* Free a model. */
void
linear_free(struct linear *m)
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
linear_set(unsigned char **p, uint64_t v, size_t size)
{
	while (size-- > 0) {
		*(*p)++ = (unsigned char)v;
		v >>= 8;
	}
}

/* Write a float. */
static void
linear_set_float(unsigned char **p, float x)
{
	uint32_t	 v;

	memcpy(&v, &x, sizeof v);
	linear_set(p, v, 4);
}

/* Write the heads, the lists and the tables. */
static void
linear_set_body(unsigned char **p, const struct linear *m)
{
	const struct linear_head	*h;
	size_t			 i, k;

	for (h = m->head; h < m->head + LINEAR_HEADS; h++) {
		linear_set_float(p, h->bias);
		linear_set_float(p, h->scale);
		linear_set_float(p, h->slope);
		linear_set_float(p, h->offset);
		linear_set_float(p, h->name_scale);
		for (i = 0; i < LINEAR_CATEGORIES; i++)
			linear_set_float(p, h->name_bias[i]);
	}
	for (i = 0; i < m->words.groups_n; i++)
		linear_set(p, m->words.groups[i], 8);
	for (i = 0; i < m->words.clusters_n; i++)
		linear_set(p, m->words.clusters[i], 8);
	for (i = 0; i < m->gates_n; i++) {
		for (k = 0; k < LINEAR_SLOTS; k++)
			linear_set(p, m->gates[i].print[k], 2);
		memcpy(*p, m->gates[i].weight, sizeof m->gates[i].weight);
		*p += sizeof m->gates[i].weight;
	}
	for (i = 0; i < m->names_n; i++) {
		for (k = 0; k < LINEAR_NAMES; k++)
			linear_set(p, m->names[i].print[k], 2);
		memcpy(*p, m->names[i].weight, sizeof m->names[i].weight);
		*p += sizeof m->names[i].weight;
	}
}

/* Write a model. */
void *
linear_write(const struct linear *m, size_t *len)
{
	unsigned char	*data, *p;

	*len = LINEAR_HEADER + LINEAR_HEADS * LINEAR_HEAD +
	    8 * (m->words.groups_n + m->words.clusters_n) +
	    m->gates_n * sizeof(struct linear_gate) +
	    m->names_n * sizeof(struct linear_name);
	data = xmalloc(*len);
	p = data + LINEAR_HEADER;
	linear_set_body(&p, m);
	p = data;
	memcpy(p, "chatdclf", 8);
	p += 8;
	linear_set(&p, LINEAR_VERSION, 4);
	linear_set(&p, FEATURES_VERSION, 4);
	linear_set(&p, m->words.groups_n, 4);
	linear_set(&p, m->words.clusters_n, 4);
	linear_set(&p, m->gates_n, 4);
	linear_set(&p, m->names_n, 4);
	linear_set(&p, linear_digest(data + LINEAR_HEADER,
	    *len - LINEAR_HEADER), 8);
	return (data);
}
