/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of requests take turns: groups with many or few requests, groups that
 * stay, and groups that come back or are paused.
 */
#include "fairshare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "sched_fixture.h"

/* A group that asks for everything does not keep out another group, and its
 * oldest jobs go on. */
static void
groups_share_the_places(void **state)
{
	struct fixture		*x = fixture_new(400, 16);
	struct scheduler_stats	 st;
	struct job		*job;
	int			 i;

	(void)state;
	for (i = 0; i < 20; i++)
		scheduler_add(x->sched, fixture_job(i, 4, 200, 0, NULL));
	for (i = 0; i < 20; i++)
		scheduler_step(x->sched);
	scheduler_stats(x->sched, &st);
	assert_int_equal(st.running, 8);
	for (i = 20; i < 30; i++) {
		job = fixture_job(i, 4, 200, 0, NULL);
		job->group = 7;
		scheduler_add(x->sched, job);
	}
	scheduler_step(x->sched);
	scheduler_stats(x->sched, &st);
	assert_int_equal(st.running, 8);
	assert_int_equal(st.preempted, 4);
	for (i = 0; i < 30; i++)
		assert_int_equal(x->rec[i].started, i < 8 || (i >= 20 &&
		    i < 24));
	/* no reply is preempted for a job of its own group */
	for (i = 0; i < 50; i++)
		scheduler_step(x->sched);
	scheduler_stats(x->sched, &st);
	assert_int_equal(st.preempted, 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(x->rec[i].ids.n, x->rec[0].ids.n);
	assert_true(x->rec[4].ids.n < x->rec[0].ids.n);
	fixture_finish(x);
	for (i = 0; i < 30; i++)
		assert_int_equal(x->rec[i].dones, 1);
	fixture_free(x);
}

/* A short prompt of one group does not wait for all the long prompts of
 * another. */
static void
groups_are_read_in_turn(void **state)
{
	struct fixture	*x = fixture_new(400, 64);
	struct job	*job;
	int		 i;

	(void)state;
	for (i = 0; i < 8; i++)
		scheduler_add(x->sched, fixture_job(i, 250, 1, 0, NULL));
	scheduler_step(x->sched);
	job = fixture_job(9, 40, 1, 0, NULL);
	job->group = 1;
	scheduler_add(x->sched, job);
	for (i = 0; x->rec[9].dones == 0; i++)
		scheduler_step(x->sched);
	assert_true(i <= 4);
	assert_int_equal(x->rec[1].dones, 0);
	fixture_finish(x);
	assert_int_equal(x->rec[7].dones, 1);
	fixture_free(x);
}

/* Forget what job id has done, and add it (again) to a group. */
static void
ask(struct fixture *x, int id, int64_t group)
{
	struct job	*job = fixture_job(id, 8, 8, 0, NULL);

	idbuf_clear(&x->rec[id].ids);
	memset(&x->rec[id], 0, sizeof x->rec[id]);
	job->group = group;
	assert_int_equal(scheduler_add(x->sched, job), 0);
}

/* Run steps in which each of the jobs from .. to - 1 is added again as soon as
 * it is done, and count these events for each group. Job 1 is in group 0, and
 * each other job in a group of its own. */
static void
ask_again(struct fixture *x, int from, int to, int steps, int *count)
{
	int	 id, group;

	while (steps-- > 0) {
		assert_true(scheduler_step(x->sched) > 0);
		for (id = from; id < to; id++) {
			if (x->rec[id].dones == 0)
				continue;
			group = id == 1 ? 0 : id;
			count[group]++;
			ask(x, id, group);
		}
	}
}

/* An account that asks, leaves and asks again gets no more of the engine than
 * an account that always has another request waiting. */
static void
groups_that_come_back_are_known(void **state)
{
	struct fixture	*x = fixture_new(400, 4);	/* two run at once */
	int		 count[8] = { 0 }, id;

	(void)state;
	for (id = 0; id < 8; id++)
		ask(x, id, id == 1 ? 0 : id);
	ask_again(x, 0, 8, 2000, count);
	for (id = 2; id < 8; id++) {
		assert_true(count[id] > 20);
		assert_in_range(count[0], count[id] - 2, count[id] + 2);
	}
	fixture_free(x);
}

/* While its reply is paused a group is away: other groups do not start at its
 * count, and it is owed nothing for the time. */
static void
paused_groups_are_away(void **state)
{
	struct fixture	*x = fixture_new(400, 4);
	int		 count[8] = { 0 }, id;

	(void)state;
	ask(x, 7, 7);
	scheduler_pause(x->sched, 7, 1);
	for (id = 2; id < 5; id++)
		ask(x, id, id);
	ask_again(x, 2, 5, 500, count);
	memset(count, 0, sizeof count);
	ask(x, 5, 5);
	ask_again(x, 2, 6, 300, count);
	assert_in_range(count[5], count[2] - 2, count[2] + 2);
	memset(count, 0, sizeof count);
	scheduler_pause(x->sched, 7, 0);
	ask_again(x, 2, 8, 300, count);
	assert_in_range(count[7], count[2] - 2, count[2] + 2);
	fixture_free(x);
}

/* A paused reply that had the engine alone need not wait until newer groups
 * have had as much. */
static void
paused_groups_need_not_catch_up(void **state)
{
	struct fixture	*x = fixture_new(400, 4);
	int		 count[8] = { 0 }, id;

	(void)state;
	for (id = 0; id < 2; id++)
		ask(x, id, 0);
	ask_again(x, 0, 2, 1000, count);
	for (id = 0; id < 2; id++)
		scheduler_pause(x->sched, id, 1);
	for (id = 2; id < 5; id++)
		ask(x, id, id);
	ask_again(x, 2, 5, 50, count);
	memset(count, 0, sizeof count);
	for (id = 0; id < 2; id++)
		scheduler_pause(x->sched, id, 0);
	ask_again(x, 0, 5, 300, count);
	assert_in_range(count[0], count[2] - 2, count[2] + 2);
	fixture_free(x);
}

/* Of many groups that have left, those that were served most are remembered.
 * After the last job has left, none is remembered. */
static void
few_groups_are_remembered(void **state)
{
	struct fairshare_list	 list = LIST_HEAD_INITIALIZER(list);
	struct fairshare		*keep = fairshare_join(&list, 0), *sh;
	int			 i, n = 0;

	(void)state;
	for (i = 1; i <= FAIRSHARE_AWAY_MAX + 10; i++) {
		sh = fairshare_join(&list, i);
		sh->served += 1000 + i;
		fairshare_leave(&list, sh);
	}
	LIST_FOREACH(sh, &list, entry)
		n++;
	assert_int_equal(n, FAIRSHARE_AWAY_MAX + 1);
	sh = fairshare_join(&list, 11);
	assert_int_equal(sh->served, 1011);
	fairshare_leave(&list, sh);
	sh = fairshare_join(&list, 10);
	assert_int_equal(sh->served, 0);
	fairshare_leave(&list, sh);
	fairshare_leave(&list, keep);
	assert_true(LIST_EMPTY(&list));
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(groups_share_the_places),
		cmocka_unit_test(groups_are_read_in_turn),
		cmocka_unit_test(groups_that_come_back_are_known),
		cmocka_unit_test(few_groups_are_remembered),
		cmocka_unit_test(paused_groups_are_away),
		cmocka_unit_test(paused_groups_need_not_catch_up),
	};

	return (cmocka_run_group_tests(tests, data_setup_tiny,
	    data_teardown));
}
