/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime of this folder: copies, streams, events and graphs do what CUDA's
 * manual says, as late as that allows.  One function for each behaviour; prints
 * what is wrong, and the status is 0 if nothing is.
 */
#include "checks.h"

/* ---- copies */

static void
pageable_memory_is_read_by_the_call()
{
	int		*p = device_int(0), v = 1;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	CHECK(cudaMemcpyAsync(p, &v, sizeof v, cudaMemcpyHostToDevice, s), 0);
	v = 2;
	CHECK(cudaStreamSynchronize(s), 0);
	CHECK(host_int(p), 1);
}

static void
pinned_memory_is_read_later()
{
	int		*p = device_int(0), *v = pinned_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	CHECK(cudaMemcpyAsync(p, v, sizeof *v, cudaMemcpyHostToDevice, s), 0);
	*v = 2;
	CHECK(cudaStreamSynchronize(s), 0);
	CHECK(host_int(p), 2);
}

static void
registered_memory_is_pinned()
{
	static int	 v = 1;
	int		*p = device_int(0);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	CHECK(cudaHostRegister(&v, sizeof v, cudaHostRegisterDefault), 0);
	CHECK(cudaHostRegister(&v, sizeof v, cudaHostRegisterDefault), 712);
	cudaMemcpyAsync(p, &v, sizeof v, cudaMemcpyHostToDevice, s);
	v = 2;
	cudaStreamSynchronize(s);
	CHECK(host_int(p), 2);
	CHECK(cudaHostUnregister(&v), 0);
	CHECK(cudaHostUnregister(&v), 713);
}

static void
a_copy_to_pageable_memory_is_done_at_once()
{
	int		*p = device_int(5), v = 0;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	cudaMemcpyAsync(&v, p, sizeof v, cudaMemcpyDeviceToHost, s);
	CHECK(v, 5);
}

static void
copies_are_checked()
{
	int *p = device_int(0), v[2] = { 0, 0 };

	CHECK(cudaMemcpy(p, v, 8, cudaMemcpyHostToDevice), 1);
	CHECK(cudaMemcpy(p, v, 4, cudaMemcpyDeviceToHost), 1);
	CHECK(cudaMemcpy(v, p, 4, cudaMemcpyHostToDevice), 1);
	CHECK(cudaMemcpy(v, p, 4, cudaMemcpyDefault), 0);
	CHECK(cudaMemset(p, 0, 5), 1);
	CHECK(cudaMemset(v, 0, 4), 1);
}

static void
rows_are_copied_by_their_pitch()
{
	int	 in[6] = { 1, 2, 3, 4, 5, 6 }, out[4] = { 0, 0, 0, 0 };
	int	*p;

	cudaMalloc(&p, sizeof in);
	cudaMemcpy(p, in, sizeof in, cudaMemcpyHostToDevice);
	CHECK(cudaMemcpy2D(out, 8, p, 12, 8, 2, cudaMemcpyDeviceToHost), 0);
	CHECK(out[1] * 1000 + out[2] * 10 + out[3], 2045);
	CHECK(cudaMemcpy2D(out, 4, p, 12, 8, 2, cudaMemcpyDeviceToHost), 1);
}

/* ---- streams and events */

static void
the_default_stream_waits_for_blocking_ones()
{
	int		*a = device_int(1), *b = device_int(0);
	int		*c = device_int(0);
	cudaStream_t	 s = stream_new(cudaStreamDefault);

	LAUNCH(add, 1, 32, 0, s, b, a, 1, 1);
	LAUNCH(add, 1, 32, 0, 0, c, b, 1, 1);
	CHECK(host_int(c), 3);
	LAUNCH(add, 1, 32, 0, 0, b, a, 1, 10);
	LAUNCH(add, 1, 32, 0, s, c, b, 1, 10);
	cudaStreamSynchronize(s);
	CHECK(host_int(c), 21);
}

static void
it_does_not_wait_for_others()
{
	int		*a = device_int(1), *b = device_int(0);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	LAUNCH(add, 1, 32, 0, s, b, a, 1, 1);
	CHECK(host_int(b), 0);
	cudaDeviceSynchronize();
	CHECK(host_int(b), 2);
}

static void
an_event_is_ready_at_the_second_question()
{
	int		*a = device_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	 from = event_new(), to = event_new();
	float		 ms = -1;

	CHECK(cudaEventQuery(from), 0);
	cudaEventRecord(from, s);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	cudaEventRecord(to, s);
	CHECK(cudaEventElapsedTime(&ms, from, to), 600);
	CHECK(cudaEventQuery(to), 600);
	CHECK(cudaGetLastError(), 0);
	CHECK(cudaEventQuery(to), 0);
	CHECK(cudaEventElapsedTime(&ms, from, to), 0);
	CHECK(ms >= 0, 1);
	CHECK(cudaStreamQuery(s), 0);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	CHECK(cudaStreamQuery(s), 600);
	CHECK(cudaStreamQuery(s), 0);
	CHECK(host_int(a), 3);
}

static void
an_event_covers_what_was_before_it()
{
	int		*a = device_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	 e = event_new();

	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	cudaEventRecord(e, s);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	cudaEventSynchronize(e);
	CHECK(host_int(a), 2);
	cudaStreamSynchronize(s);
	CHECK(host_int(a), 3);
}

static void
store_5(void *p)
{
	*static_cast<int *>(p) = 5;
}

static void
host_functions_have_their_place()
{
	int		*a = device_int(1), *v = pinned_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);

	CHECK(cudaLaunchHostFunc(s, store_5, v), 0);
	cudaMemcpyAsync(a, v, sizeof *v, cudaMemcpyHostToDevice, s);
	CHECK(*v, 1);
	cudaStreamSynchronize(s);
	CHECK(host_int(a), 5);
}

static void
handles_are_checked()
{
	cudaStream_t	s = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	e = event_new();

	CHECK(cudaStreamDestroy(s), 0);
	CHECK(cudaStreamSynchronize(s), 400);
	CHECK(cudaStreamDestroy(s), 400);
	CHECK(cudaEventDestroy(e), 0);
	CHECK(cudaEventRecord(e, 0), 400);
}

/* ---- graphs */

static void
a_graph_runs_only_when_launched()
{
	int		*a = device_int(1);
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaGraph_t	 g;
	cudaGraphExec_t	 x;
	enum cudaStreamCaptureStatus status;

	CHECK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal), 0);
	int step = 1;
	LAUNCH(add, 1, 32, 0, s, a, a, 1, step);
	step = 100;
	LAUNCH(add, 1, 32, 0, s, a, a, 1, step);
	CHECK(cudaStreamIsCapturing(s, &status), 0);
	CHECK(status, cudaStreamCaptureStatusActive);
	CHECK(cudaStreamEndCapture(s, &g), 0);
	cudaDeviceSynchronize();
	CHECK(host_int(a), 1);
	CHECK(cudaGraphInstantiate(&x, g, 0), 0);
	CHECK(cudaGraphDestroy(g), 0);
	for (int i = 0; i < 3; i++)
		CHECK(cudaGraphLaunch(x, s), 0);
	CHECK(host_int(a), 1);
	CHECK(cudaGraphExecDestroy(x), 0);
	CHECK(cudaStreamSynchronize(s), 0);
	CHECK(host_int(a), 304);
}

/* A capture that another stream joins; joined says whether it comes back. */
static cudaError_t
capture_two(int *a, int *b, bool joined, cudaGraph_t *g)
{
	cudaStream_t	s = stream_new(cudaStreamNonBlocking);
	cudaStream_t	t = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	fork = event_new(), join = event_new();

	cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	cudaEventRecord(fork, s);
	cudaStreamWaitEvent(t, fork, 0);
	LAUNCH(add, 1, 32, 0, t, b, a, 1, 10);
	cudaEventRecord(join, t);
	if (joined)
		cudaStreamWaitEvent(s, join, 0);
	LAUNCH(add, 1, 32, 0, s, b, b, 1, 100);
	return (cudaStreamEndCapture(s, g));
}

static void
streams_join_a_capture()
{
	int		*a = device_int(1), *b = device_int(0);
	cudaGraph_t	 g;
	cudaGraphExec_t	 x;

	CHECK(capture_two(a, b, true, &g), 0);
	cudaGraphInstantiate(&x, g, 0);
	for (unsigned seed = 1; seed < 10; seed++) {
		simt_set_order(SIMT_RANDOM, seed);
		cudaGraphLaunch(x, 0);
		CHECK(host_int(b), 111 + seed);
	}
	simt_set_order(SIMT_FORWARD);
	CHECK(capture_two(a, b, false, &g), 904);
}

static void
branches_of_a_graph_run_in_any_order()
{
	int		*a = device_int(0), low = 0, high = 0;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaStream_t	 t = stream_new(cudaStreamNonBlocking);
	cudaEvent_t	 fork = event_new(), join = event_new();
	cudaGraph_t	 g;
	cudaGraphExec_t	 x;
	int		*one = device_int(1), *two = device_int(2);

	cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
	cudaEventRecord(fork, s);
	cudaStreamWaitEvent(t, fork, 0);
	LAUNCH(add, 1, 32, 0, s, a, one, 1, 0);
	LAUNCH(add, 1, 32, 0, t, a, two, 1, 0);
	cudaEventRecord(join, t);
	cudaStreamWaitEvent(s, join, 0);
	CHECK(cudaStreamEndCapture(s, &g), 0);
	cudaGraphInstantiate(&x, g, 0);
	for (unsigned seed = 1; seed <= 20; seed++) {
		simt_set_order(SIMT_RANDOM, seed);
		cudaGraphLaunch(x, s);
		cudaStreamSynchronize(s);
		*(host_int(a) == 1 ? &low : &high) += 1;
	}
	simt_set_order(SIMT_FORWARD);
	CHECK(low > 0 && high > 0, 1);
}

static void
a_capture_forbids_waiting()
{
	int		*a = device_int(1), *b, v = 0;
	cudaStream_t	 s = stream_new(cudaStreamNonBlocking);
	cudaGraph_t	 g;

	CHECK(cudaStreamBeginCapture(0, cudaStreamCaptureModeGlobal), 900);
	cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
	LAUNCH(add, 1, 32, 0, s, a, a, 1, 1);
	CHECK(cudaStreamSynchronize(s), 900);
	CHECK(cudaStreamEndCapture(s, &g), 901);
	cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
	CHECK(cudaMalloc(&b, 4), 900);
	CHECK(cudaMemcpy(&v, a, 4, cudaMemcpyDeviceToHost), 900);
	CHECK(cudaStreamEndCapture(s, &g), 901);
	s = stream_new(cudaStreamDefault);
	cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
	CHECK(cudaMalloc(&b, 4), 0);
	LAUNCH(add, 1, 32, 0, 0, a, a, 1, 1);
	CHECK(cudaGetLastError(), 906);
	CHECK(cudaStreamEndCapture(s, &g), 901);
	CHECK(host_int(a), 1);
}

/* ---- main */

int
main()
{
	static const struct test tests[] = {
		TEST(pageable_memory_is_read_by_the_call),
		TEST(pinned_memory_is_read_later),
		TEST(registered_memory_is_pinned),
		TEST(a_copy_to_pageable_memory_is_done_at_once),
		TEST(copies_are_checked),
		TEST(rows_are_copied_by_their_pitch),
		TEST(the_default_stream_waits_for_blocking_ones),
		TEST(it_does_not_wait_for_others),
		TEST(an_event_is_ready_at_the_second_question),
		TEST(an_event_covers_what_was_before_it),
		TEST(host_functions_have_their_place),
		TEST(handles_are_checked),
		TEST(a_graph_runs_only_when_launched),
		TEST(streams_join_a_capture),
		TEST(branches_of_a_graph_run_in_any_order),
		TEST(a_capture_forbids_waiting),
	};

	return (check_all(tests));
}
