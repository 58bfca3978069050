/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and events.  Work stays in its stream until something waits
 * for it, and then only what must come before it runs.  So a result that was
 * not waited for is not there, and streams without an event between them run in
 * the order that most likely shows it.
 */
#include "stream.h"

#include <chrono>

struct simt_all simt_all;

CUstream_st *
simt_stream_of(cudaStream_t s)
{
	if (s == NULL || s == cudaStreamLegacy)
		return (&simt_all.first);
	return (simt_all.streams.count(s) != 0 ? s : NULL);
}

bool
simt_stream_is_here(cudaStream_t stream)
{
	CUstream_st	*s = simt_stream_of(stream);

	return (s == &simt_all.first || (s != NULL &&
	    s->device == simt_current()));
}

/* ---- running */

/* Run s up to a number, and first what that waits for. */
static cudaError_t
run_until(const struct simt_point &to)
{
	CUstream_st	*s = to.stream;
	cudaError_t	 e = cudaSuccess, r;

	while (s->done < to.number && !s->ops.empty()) {
		struct simt_item op = std::move(s->ops.front());

		s->ops.pop_front();
		for (const struct simt_point &p : op.after)
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
	CUstream_st	*s = simt_stream_of(stream);
	cudaError_t	 e = cudaSuccess, r;

	if (s == NULL)
		return (simt_error(cudaErrorInvalidResourceHandle));
	/* The default stream comes after all that is in blocking ones. */
	for (CUstream_st *t : simt_all.streams)
		if (s == &simt_all.first &&
		    (t->flags & cudaStreamNonBlocking) == 0 &&
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

	for (CUstream_st *t : simt_all.streams)
		if ((r = run(t, t->issued)) != cudaSuccess)
			e = r;
	if ((r = run(&simt_all.first, simt_all.first.issued)) != cudaSuccess)
		e = r;
	return (e);
}

void
simt_streams_forget()
{
	for (CUstream_st *t : simt_all.streams) {
		t->ops.clear();
		t->done = t->issued;
		t->capture = NULL;
	}
	simt_all.first.ops.clear();
	simt_all.first.done = simt_all.first.issued;
	for (struct simt_capture *c : simt_all.captures)
		delete c;
	simt_all.captures.clear();
	for (CUevent_st *e : simt_all.events)
		e->capture = NULL;
}

void
simt_live_streams(struct simt_live *out)
{
	out->streams = (int)simt_all.streams.size();
	out->events = (int)simt_all.events.size();
	out->graphs = simt_all.graphs;
}

cudaError_t
simt_enqueue(cudaStream_t stream, std::function<cudaError_t()> work)
{
	CUstream_st	*s = simt_stream_of(stream);
	struct simt_item	 op;

	if (s == NULL)
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (s->capture != NULL) {
		struct simt_capture *c = s->capture;

		if (c->invalid)
			return (simt_error(cudaErrorStreamCaptureInvalidated));
		c->nodes.push_back({ std::move(work), s->last });
		s->last = { c->nodes.size() - 1 };
		return (cudaSuccess);
	}
	for (struct simt_capture *c : simt_all.captures)
		if (s == &simt_all.first &&
		    (c->origin->flags & cudaStreamNonBlocking) == 0) {
			c->invalid = true;
			return (simt_error(cudaErrorStreamCaptureImplicit));
		}
	op.work = std::move(work);
	op.after.swap(s->after);
	if (s == &simt_all.first) {
		for (CUstream_st *t : simt_all.streams)
			if ((t->flags & cudaStreamNonBlocking) == 0)
				op.after.push_back({ t, t->issued });
	} else if ((s->flags & cudaStreamNonBlocking) == 0)
		op.after.push_back({ &simt_all.first, simt_all.first.issued });
	s->ops.push_back(std::move(op));
	s->issued++;
	s->queried = false;
	return (cudaSuccess);
}

/* ---- streams */

cudaError_t
cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
	ENTER(cudaStreamCreate, cudaErrorMemoryAllocation);
	*out = new CUstream_st();
	(*out)->flags = flags;
	(*out)->device = simt_current();
	simt_all.streams.insert(*out);
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
	if (simt_all.streams.count(stream) == 0)
		return (simt_error(cudaErrorInvalidResourceHandle));
	e = simt_drain(stream);
	simt_all.streams.erase(stream);
	if (simt_all.gone == NULL)
		simt_all.gone = new std::vector<CUstream_st *>;
	simt_all.gone->push_back(stream);
	return (e);
}

cudaError_t
cudaStreamSynchronize(cudaStream_t stream)
{
	ENTER(cudaStreamSynchronize, cudaErrorLaunchFailure);
	if (simt_is_capturing(stream)) {
		simt_stream_of(stream)->capture->invalid = true;
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
	CUstream_st *s = simt_stream_of(stream);

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
	CUstream_st *s = simt_stream_of(stream);

	(void)flags;
	ENTER(cudaStreamWaitEvent, cudaErrorUnknown);
	if (s == NULL || simt_all.events.count(event) == 0)
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
	(*out)->device = simt_current();
	simt_all.events.insert(*out);
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
	if (simt_all.events.erase(event) == 0)
		return (simt_error(cudaErrorInvalidResourceHandle));
	delete event;
	return (cudaSuccess);
}

cudaError_t
cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
	CUstream_st	*s = simt_stream_of(stream);
	cudaError_t	 e;

	ENTER(cudaEventRecord, cudaErrorUnknown);
	if (s == NULL || simt_all.events.count(event) == 0 ||
	    event->device != (s == &simt_all.first ? simt_current() :
	    s->device))
		return (simt_error(cudaErrorInvalidResourceHandle));
	if (s->capture != NULL) {
		event->capture = s->capture;
		event->nodes = s->last;
		return (cudaSuccess);
	}
	e = simt_enqueue(stream, [event]() {
		if (simt_all.events.count(event) != 0)
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
	if (simt_all.events.count(event) == 0)
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
	if (simt_all.events.count(event) == 0)
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
		if (simt_all.events.count(e) == 0 || e->point.stream == NULL)
			return (simt_error(cudaErrorInvalidResourceHandle));
		if (e->point.stream->done < e->point.number)
			return (cudaErrorNotReady);
	}
	*ms = (float)(to->ms - from->ms);
	return (cudaSuccess);
}
