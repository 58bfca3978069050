/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams, events and graphs.  Work stays in its stream until something waits
 * for it, and then only what must come before it runs.  So a result that was
 * not waited for is not there, and streams without an event between them run in
 * the order that most likely shows it.
 */
#include "runtime.h"

#include <chrono>
#include <deque>
#include <set>

/* Everything of a stream up to a number, counted from 1. */
struct point {
	CUstream_st	*stream;
	uint64_t	 number;
};

struct op {
	std::function<cudaError_t()>	 work;
	std::vector<struct point>	 after;
};

struct node {
	std::function<cudaError_t()>	 work;
	std::set<size_t>		 after;	/* nodes */
};

/* A capture on its way: nodes in the order of the calls. */
struct capture {
	CUstream_st		*origin;
	bool			 relaxed, invalid;
	std::vector<struct node> nodes;
};

struct CUstream_st {
	unsigned		 flags;
	std::deque<struct op>	 ops;
	uint64_t		 issued, done;
	std::vector<struct point> after;	/* of the next op */
	bool			 queried;
	struct capture		*capture;	/* or NULL */
	std::set<size_t>	 last;		/* its latest nodes */
};

struct CUevent_st {
	struct point		 point;		/* stream NULL: not recorded */
	bool			 queried;
	struct capture		*capture;	/* recorded in a capture */
	std::set<size_t>	 nodes;
	double			 ms;		/* when it was reached */
};

struct CUgraph_st {
	std::vector<struct node> nodes;
};

struct CUgraphExec_st {
	std::vector<struct node> nodes;
};

static CUstream_st			 first;		/* the default stream */
static std::set<CUstream_st *>		 streams;	/* the others */
static std::set<CUevent_st *>		 events;
static int				 graphs;	/* live, of both kinds */
/* Destroyed streams, kept for points; never freed, so no leak for LSan. */
static auto				*gone = new std::vector<CUstream_st *>;
static std::set<struct capture *>	 captures;

/* The stream of a handle, or NULL. */
static CUstream_st *
stream_of(cudaStream_t s)
{
	if (s == NULL || s == cudaStreamLegacy)
		return (&first);
	return (streams.count(s) != 0 ? s : NULL);
}

/* ---- running */

/* Run s up to a number, and first what that waits for. */
static cudaError_t
run_until(const struct point &to)
{
	CUstream_st	*s = to.stream;
	cudaError_t	 e = cudaSuccess, r;

	while (s->done < to.number && !s->ops.empty()) {
		struct op op = std::move(s->ops.front());

		s->ops.pop_front();
		for (const struct point &p : op.after)
			if ((r = run_until(p)) != cudaSuccess)
				e = r;
		s->done++;
		if ((r = op.work()) != cudaSuccess)
			e = r;
	}
	return (e);
}

/* The same from outside: device memory is open meanwhile. */
static cudaError_t
run(CUstream_st *s, uint64_t number)
{
	cudaError_t e;

	if (s->done >= number)
		return (cudaSuccess);
	simt_memory_open(true);
	e = run_until({ s, number });
	simt_memory_open(false);
	return (e == cudaSuccess ? e : simt_error(e));
}

cudaError_t
simt_drain(cudaStream_t stream)
{
	CUstream_st	*s = stream_of(stream);
	cudaError_t	 e = cudaSuccess, r;

	if (s == NULL)
		return (simt_error(cudaErrorInvalidResourceHandle));
	/* The default stream comes after all that is in blocking ones. */
	for (CUstream_st *t : streams)
		if (s == &first && (t->flags & cudaStreamNonBlocking) == 0 &&
		    (r = run(t, t->issued)) != cudaSuccess)
			e = r;
	if ((r = run(s, s->issued)) != cudaSuccess)
		e = r;
	return (e);
}

cudaError_t
simt_drain_all()
{
	cudaError_t	 e = cudaSuccess, r;

	for (CUstream_st *t : streams)
		if ((r = run(t, t->issued)) != cudaSuccess)
			e = r;
	if ((r = run(&first, first.issued)) != cudaSuccess)
		e = r;
	return (e);
}

void
simt_streams_forget()
{
	for (CUstream_st *t : streams) {
		t->ops.clear();
		t->done = t->issued;
		t->capture = NULL;
	}
	first.ops.clear();
	first.done = first.issued;
	for (struct capture *c : captures)
		delete c;
	captures.clear();
	for (CUevent_st *e : events)
		e->capture = NULL;
}

void
simt_live_streams(struct simt_live *out)
{
	out->streams = (int)streams.size();
	out->events = (int)events.size();
	out->graphs = graphs;
}

cudaError_t
simt_enqueue(cudaStream_t stream, std::function<cudaError_t()> work)
{
	CUstream_st	*s = stream_of(stream);
	struct op	 op;

	if (s == NULL)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (s->capture != NULL) {
		struct capture *c = s->capture;

		if (c->invalid)
			return (simt_error(cudaErrorStreamCaptureInvalidated));
		c->nodes.push_back({ std::move(work), s->last });
		s->last = { c->nodes.size() - 1 };
		return (cudaSuccess);
	}
	for (struct capture *c : captures)
		if (s == &first &&
		    (c->origin->flags & cudaStreamNonBlocking) == 0) {
			c->invalid = true;
			return (simt_error(cudaErrorStreamCaptureImplicit));
		}
	op.work = std::move(work);
	op.after.swap(s->after);
	if (s == &first) {
		for (CUstream_st *t : streams)
			if ((t->flags & cudaStreamNonBlocking) == 0)
				op.after.push_back({ t, t->issued });
	} else if ((s->flags & cudaStreamNonBlocking) == 0)
		op.after.push_back({ &first, first.issued });
	s->ops.push_back(std::move(op));
	s->issued++;
	s->queried = false;
	return (cudaSuccess);
}

/* ---- captures */

bool
simt_is_capturing(cudaStream_t stream)
{
	CUstream_st *s = stream_of(stream);

	return (s != NULL && s->capture != NULL);
}

bool
simt_capture_forbids()
{
	bool forbids = false;

	for (struct capture *c : captures)
		if (!c->relaxed)
			c->invalid = forbids = true;
	return (forbids);
}

cudaError_t
cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
	CUstream_st *s = stream_of(stream);

	ENTER(cudaStreamBeginCapture, cudaErrorUnknown);
	if (s == &first)
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	if (s == NULL)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (s->capture != NULL)
		return (simt_error(cudaErrorInvalidValue));
	s->capture = new struct capture();
	s->capture->origin = s;
	s->capture->relaxed = mode == cudaStreamCaptureModeRelaxed;
	s->last.clear();
	captures.insert(s->capture);
	return (cudaSuccess);
}

/* Does everything that c's streams have recorded come before its end? */
static bool
capture_is_joined(struct capture *c)
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
	CUstream_st	*s = stream_of(stream);
	struct capture	*c;
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
		graphs++;
		(*out)->nodes = std::move(c->nodes);
	}
	for (CUstream_st *t : streams)
		if (t->capture == c)
			t->capture = NULL;
	for (CUevent_st *v : events)
		if (v->capture == c)
			v->capture = NULL;
	captures.erase(c);
	delete c;
	return (e == cudaSuccess ? e : simt_error(e));
}

cudaError_t
cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *out)
{
	CUstream_st *s = stream_of(stream);

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
graph_run(const std::vector<struct node> &nodes)
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
	graphs++;
	(*out)->nodes = graph->nodes;
	return (cudaSuccess);
}

cudaError_t
cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
	ENTER(cudaGraphUpload, cudaErrorUnknown);
	return (exec == NULL || stream_of(stream) == NULL ?
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
	graphs -= graph != NULL;
	delete graph;
	return (cudaSuccess);
}

cudaError_t
cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	ENTER(cudaGraphExecDestroy, cudaErrorUnknown);
	graphs -= exec != NULL;
	delete exec;
	return (cudaSuccess);
}

/* ---- streams */

cudaError_t
cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
	ENTER(cudaStreamCreate, cudaErrorMemoryAllocation);
	*out = new CUstream_st();
	(*out)->flags = flags;
	streams.insert(*out);
	return (cudaSuccess);
}

cudaError_t
cudaStreamCreate(cudaStream_t *out)
{
	return (cudaStreamCreateWithFlags(out, cudaStreamDefault));
}

cudaError_t
cudaStreamDestroy(cudaStream_t stream)
{
	cudaError_t e;

	ENTER(cudaStreamDestroy, cudaErrorUnknown);
	if (streams.count(stream) == 0)
		return (simt_error(cudaErrorInvalidResourceHandle));
	e = simt_drain(stream);
	streams.erase(stream);
	gone->push_back(stream);
	return (e);
}

cudaError_t
cudaStreamSynchronize(cudaStream_t stream)
{
	ENTER(cudaStreamSynchronize, cudaErrorLaunchFailure);
	if (simt_is_capturing(stream)) {
		stream_of(stream)->capture->invalid = true;
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	}
	return (simt_drain(stream));
}

cudaError_t
cudaDeviceSynchronize(void)
{
	ENTER(cudaDeviceSynchronize, cudaErrorLaunchFailure);
	if (simt_capture_forbids())
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	return (simt_drain_all());
}

/* A first question is too early; the next one makes it ready, so that a loop
 * of questions ends. */
static cudaError_t
query(CUstream_st *s, uint64_t number, bool *queried)
{
	if (s->done >= number)
		return (cudaSuccess);
	if (!*queried) {
		*queried = true;
		return (cudaErrorNotReady);
	}
	return (run(s, number));
}

cudaError_t
cudaStreamQuery(cudaStream_t stream)
{
	CUstream_st *s = stream_of(stream);

	ENTER(cudaStreamQuery, cudaErrorLaunchFailure);
	if (s == NULL)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (s->capture != NULL) {
		s->capture->invalid = true;
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	}
	return (query(s, s->issued, &s->queried));
}

cudaError_t
cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
	CUstream_st *s = stream_of(stream);

	(void)flags;
	ENTER(cudaStreamWaitEvent, cudaErrorUnknown);
	if (s == NULL || events.count(event) == 0)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (event->capture != NULL) {
		if (s->capture == NULL) {
			s->capture = event->capture;
			s->last.clear();
		}
		if (s->capture != event->capture)
			return (simt_error(cudaErrorStreamCaptureIsolation));
		s->last.insert(event->nodes.begin(), event->nodes.end());
		return (cudaSuccess);
	}
	if (event->point.stream == NULL)
		return (cudaSuccess);
	if (s->capture != NULL) {
		s->capture->invalid = true;
		return (simt_error(cudaErrorStreamCaptureIsolation));
	}
	s->after.push_back(event->point);
	return (cudaSuccess);
}

cudaError_t
cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *arg)
{
	ENTER(cudaLaunchHostFunc, cudaErrorUnknown);
	return (simt_enqueue(stream, [fn, arg]() {
		simt_memory_open(false);
		fn(arg);
		simt_memory_open(true);
		return (cudaSuccess);
	}));
}

/* ---- events */

cudaError_t
cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
	(void)flags;
	ENTER(cudaEventCreate, cudaErrorMemoryAllocation);
	*out = new CUevent_st();
	events.insert(*out);
	return (cudaSuccess);
}

cudaError_t
cudaEventCreate(cudaEvent_t *out)
{
	return (cudaEventCreateWithFlags(out, cudaEventDefault));
}

cudaError_t
cudaEventDestroy(cudaEvent_t event)
{
	ENTER(cudaEventDestroy, cudaErrorUnknown);
	if (events.erase(event) == 0)
		return (simt_error(cudaErrorInvalidResourceHandle));
	delete event;
	return (cudaSuccess);
}

cudaError_t
cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
	CUstream_st	*s = stream_of(stream);
	cudaError_t	 e;

	ENTER(cudaEventRecord, cudaErrorUnknown);
	if (s == NULL || events.count(event) == 0)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (s->capture != NULL) {
		event->capture = s->capture;
		event->nodes = s->last;
		return (cudaSuccess);
	}
	e = simt_enqueue(stream, [event]() {
		if (events.count(event) != 0)
			event->ms = std::chrono::duration<double, std::milli>(
			    std::chrono::steady_clock::now().
			    time_since_epoch()).count();
		return (cudaSuccess);
	});
	if (e != cudaSuccess)
		return (e);
	event->capture = NULL;
	event->point = { s, s->issued };
	event->queried = false;
	return (cudaSuccess);
}

cudaError_t
cudaEventSynchronize(cudaEvent_t event)
{
	ENTER(cudaEventSynchronize, cudaErrorLaunchFailure);
	if (events.count(event) == 0)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (event->capture != NULL) {
		event->capture->invalid = true;
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	}
	return (event->point.stream == NULL ? cudaSuccess :
	    run(event->point.stream, event->point.number));
}

cudaError_t
cudaEventQuery(cudaEvent_t event)
{
	ENTER(cudaEventQuery, cudaErrorLaunchFailure);
	if (events.count(event) == 0)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (event->capture != NULL) {
		event->capture->invalid = true;
		return (simt_error(cudaErrorStreamCaptureUnsupported));
	}
	return (event->point.stream == NULL ? cudaSuccess :
	    query(event->point.stream, event->point.number, &event->queried));
}

cudaError_t
cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
	ENTER(cudaEventElapsedTime, cudaErrorUnknown);
	for (cudaEvent_t e : { from, to }) {
		if (events.count(e) == 0 || e->point.stream == NULL)
			return (simt_error(cudaErrorInvalidResourceHandle));
		if (e->point.stream->done < e->point.number)
			return (cudaErrorNotReady);
	}
	*ms = (float)(to->ms - from->ms);
	return (cudaSuccess);
}
