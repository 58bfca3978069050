/* SPDX-License-Identifier: Apache-2.0 */
/* What stream.cpp and graph.cpp share: streams, events and captures. */
#ifndef SIMT_STREAM_H
#define SIMT_STREAM_H

#include "runtime.h"

#include <deque>
#include <set>

/* Everything of a stream up to a number, counted from 1. */
struct simt_point {
	CUstream_st	*stream;
	uint64_t	 number;
};

struct simt_item {
	std::function<cudaError_t()>	 work;
	std::vector<struct simt_point>	 after;
};

struct simt_node {
	std::function<cudaError_t()>	 work;
	std::set<size_t>		 after;	/* nodes */
};

/* A capture on its way: nodes in the order of the calls. */
struct simt_capture {
	CUstream_st		*origin;
	bool			 relaxed, invalid;
	std::vector<struct simt_node> nodes;
};

struct CUstream_st {
	unsigned		 flags;
	std::deque<struct simt_item>	 ops;
	uint64_t		 issued, done;
	std::vector<struct simt_point> after;	/* of the next op */
	bool			 queried;
	struct simt_capture		*capture;	/* or NULL */
	std::set<size_t>	 last;		/* its latest nodes */
	int			 device;
};

struct CUevent_st {
	struct simt_point		 point;		/* NULL: not recorded */
	bool			 queried;
	struct simt_capture		*capture;	/* it is in, or NULL */
	std::set<size_t>	 nodes;
	double			 ms;		/* when it was reached */
	int			 device;
};

struct CUgraph_st {
	std::vector<struct simt_node> nodes;
};

struct CUgraphExec_st {
	std::vector<struct simt_node> nodes;
};

extern struct simt_all {
	CUstream_st		 first;		/* the default stream */
	std::set<CUstream_st *>	 streams;	/* the others */
	std::set<CUevent_st *>	 events;
	std::set<struct simt_capture *> captures;
	int			 graphs;	/* live, of both kinds */
	/* Destroyed streams, kept for points; never freed, so that LSan does
	 * not take them for leaks. */
	std::vector<CUstream_st *> *gone;
} simt_all;

/* The stream of a handle, or NULL. */
CUstream_st	*simt_stream_of(cudaStream_t s);

#endif
