/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures and graphs: what a capturing stream gets becomes the nodes of a
 * graph, with its arguments as they were then.
 */
#include "stream.h"

/* ---- captures */

bool
simt_is_capturing(cudaStream_t stream)
{
	CUstream_st *s = simt_stream_of(stream);

	return (s != NULL && s->capture != NULL);
}

bool
simt_capture_forbids()
{
	bool forbids = false;

	for (struct simt_capture *c : simt_all.captures)
		if (!c->relaxed)
			c->invalid = forbids = true;
	return (forbids);
}

cudaError_t
cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
	CUstream_st *s = simt_stream_of(stream);

	ENTER(cudaStreamBeginCapture, cudaErrorUnknown);
	if (s == &simt_all.first)
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	if (s == NULL)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (s->capture != NULL)
		return (simt_error(cudaErrorInvalidValue));
	s->capture = new struct simt_capture();
	s->capture->origin = s;
	s->capture->relaxed = mode == cudaStreamCaptureModeRelaxed;
	s->last.clear();
	simt_all.captures.insert(s->capture);
	return (cudaSuccess);
}

/* Does everything that c's streams have recorded come before its end? */
static bool
capture_is_joined(struct simt_capture *c)
{
	std::set<size_t>	 before = c->origin->last;
	std::vector<size_t>	 todo(before.begin(), before.end());

	while (!todo.empty()) {
		size_t n = todo.back();

		todo.pop_back();
		for (size_t m : c->nodes[n].after)
			if (before.insert(m).second)
				todo.push_back(m);
	}
	return (before.size() == c->nodes.size());
}

cudaError_t
cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
	CUstream_st	*s = simt_stream_of(stream);
	struct simt_capture	*c;
	cudaError_t	 e = cudaSuccess;

	ENTER(cudaStreamEndCapture, cudaErrorUnknown);
	*out = NULL;
	if (s == NULL || s->capture == NULL)
		return (simt_error(cudaErrorInvalidValue));
	c = s->capture;
	if (c->origin != s)
		return (simt_error(cudaErrorStreamCaptureUnmatched));
	if (c->invalid)
		e = cudaErrorStreamCaptureInvalidated;
	else if (!capture_is_joined(c))
		e = cudaErrorStreamCaptureUnjoined;
	else {
		*out = new CUgraph_st();
		simt_all.graphs++;
		(*out)->nodes = std::move(c->nodes);
	}
	for (CUstream_st *t : simt_all.streams)
		if (t->capture == c)
			t->capture = NULL;
	for (CUevent_st *v : simt_all.events)
		if (v->capture == c)
			v->capture = NULL;
	simt_all.captures.erase(c);
	delete c;
	return (e == cudaSuccess ? e : simt_error(e));
}

cudaError_t
cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *out)
{
	CUstream_st *s = simt_stream_of(stream);

	ENTER(cudaStreamIsCapturing, cudaErrorUnknown);
	if (s == NULL)
		return (simt_error(cudaErrorInvalidResourceHandle));
	*out = s->capture == NULL ? cudaStreamCaptureStatusNone :
	    s->capture->invalid ? cudaStreamCaptureStatusInvalidated :
	    cudaStreamCaptureStatusActive;
	return (cudaSuccess);
}

/* ---- graphs */

/* Run the nodes: as recorded, or in random order as far as they allow it. */
static cudaError_t
graph_run(const std::vector<struct simt_node> &nodes)
{
	std::vector<bool>	 done(nodes.size());
	cudaError_t		 e = cudaSuccess, r;

	for (size_t left = nodes.size(); left > 0; left--) {
		std::vector<size_t> ready;

		for (size_t i = 0; i < nodes.size(); i++) {
			bool waits = done[i];

			for (size_t n : nodes[i].after)
				waits = waits || !done[n];
			if (!waits)
				ready.push_back(i);
			if (!waits && simt_random(2) == 0)
				break;
		}
		size_t n = ready[simt_random((unsigned)ready.size())];

		done[n] = true;
		if ((r = nodes[n].work()) != cudaSuccess)
			e = r;
	}
	return (e);
}

cudaError_t
cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph,
    unsigned long long flags)
{
	(void)flags;
	ENTER(cudaGraphInstantiate, cudaErrorMemoryAllocation);
	*out = NULL;
	if (graph == NULL)
		return (simt_error(cudaErrorInvalidValue));
	*out = new CUgraphExec_st();
	simt_all.graphs++;
	(*out)->nodes = graph->nodes;
	return (cudaSuccess);
}

cudaError_t
cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
	ENTER(cudaGraphUpload, cudaErrorUnknown);
	return (exec == NULL || simt_stream_of(stream) == NULL ?
	    simt_error(cudaErrorInvalidValue) : cudaSuccess);
}

cudaError_t
cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
	ENTER(cudaGraphLaunch, cudaErrorUnknown);
	if (exec == NULL)
		return (simt_error(cudaErrorInvalidValue));
	/* A copy: the graph may be destroyed while it waits. */
	return (simt_enqueue(stream, [nodes = exec->nodes]() {
		return (graph_run(nodes));
	}));
}

cudaError_t
cudaGraphDestroy(cudaGraph_t graph)
{
	ENTER(cudaGraphDestroy, cudaErrorUnknown);
	simt_all.graphs -= graph != NULL;
	delete graph;
	return (cudaSuccess);
}

cudaError_t
cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	ENTER(cudaGraphExecDestroy, cudaErrorUnknown);
	simt_all.graphs -= exec != NULL;
	delete exec;
	return (cudaSuccess);
}
