/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A real data lcore: vsw_lcore_main() on a thread of its own, while this one is the control thread
 * and the guests. Sleep and wake, requests to a running lcore, channels that come and go under
 * traffic. Every wait has a deadline.
 */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "test_vsw_fixture.h"

#define DEADLINE_US 5000000
#define ROUNDS 200

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define CHAN(g) (&(g)->chan[0])

struct worker {
	pthread_t thread;
	unsigned int lcore_id;
	struct vsw *vsw; /* NULL: wait for it */
	int rc;
	uint32_t ready, go;
};

static struct worker worker;
static uint32_t storm_over, storm_kicks;
static struct sw_frame got;
static uint8_t frame[SW_MAX_FRAME];

static void *
work(void *arg)
{
	struct worker *w = arg;
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all)); /* EAL bound our creator to one core */
	pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
	w->rc = rte_thread_register();
	w->lcore_id = rte_lcore_id();
	__atomic_store_n(&w->ready, 1, __ATOMIC_RELEASE);
	for (unsigned int us = 0; us < DEADLINE_US && !__atomic_load_n(&w->go, __ATOMIC_ACQUIRE);
	     us += 100)
		usleep(100);
	if (w->vsw != NULL)
		w->rc = vsw_lcore_main(w->vsw);
	rte_thread_unregister();
	return NULL;
}

static void
send(struct sw *sw, uint32_t len, unsigned int n)
{
	sw_make_frame(frame, len, B(*sw)->mac, A(*sw)->mac, len);
	for (; n > 0 && sw_sq_room(CHAN(A(*sw))) > 8; n--)
		sw_put_frame(CHAN(A(*sw)), frame, len);
	sw_publish(CHAN(A(*sw)));
}

static int
recv_within(struct sw *sw, uint32_t len)
{
	for (unsigned int us = 0; us < DEADLINE_US; us += 20) {
		int rc = sw_recv(CHAN(B(*sw)), &got);

		TEST_TRUE(rc >= 0);
		if (rc == 1) {
			TEST_EQ(got.len, len);
			TEST_MEM_EQ(got.bytes, frame, len);
			return TEST_OK;
		}
		usleep(20);
	}
	TEST_ASSERT_MSG(false, "no frame within %u us", DEADLINE_US);
}

/* A switch with two guests whose only lcore runs. */
static int
running_open_conf(struct sw *sw, struct vsw_conf conf)
{
	struct sw_guest_conf guest = { .events = true };
	unsigned int waited_us = 0;

	TEST_NEEDS_EAL();
	worker = (struct worker){ .rc = 0 };
	TEST_EQ(pthread_create(&worker.thread, NULL, work, &worker), 0);
	while (!__atomic_load_n(&worker.ready, __ATOMIC_ACQUIRE) && waited_us < DEADLINE_US) {
		usleep(100);
		waited_us += 100;
	}
	TEST_TRUE(waited_us < DEADLINE_US && worker.rc == 0);
	conf.lcores[0] = worker.lcore_id;
	SW_DO(sw_open(sw, &conf));
	worker.vsw = sw->vsw;
	__atomic_store_n(&worker.go, 1, __ATOMIC_RELEASE);
	SW_DO(sw_add_guest(sw, &guest, NULL));
	SW_DO(sw_add_guest(sw, &guest, NULL));
	/* On a busy machine the lcore may not have begun: requests would pass it by. */
	send(sw, 60, 1);
	return recv_within(sw, 60);
}

static int
running_open_idle(struct sw *sw, unsigned int idle_us)
{
	return running_open_conf(sw, (struct vsw_conf){ .nb_lcores = 1, .idle_us = idle_us });
}

static int
running_open(struct sw *sw)
{
	return running_open_idle(sw, 50);
}

static int
running_close(struct sw *sw)
{
	vsw_stop(sw->vsw);
	TEST_EQ(pthread_join(worker.thread, NULL), 0);
	TEST_EQ(worker.rc, 0);
	return sw_close(sw);
}

static int
wait_asleep(const struct sw *sw)
{
	const volatile uint64_t *sleeps = &sw->vsw->lcore[0]->counters->sleeps;
	uint64_t before = *sleeps;

	for (unsigned int us = 0; us < DEADLINE_US; us += 2000) {
		if (sw->vsw->lcore[0]->nb_hot == 0 && *sleeps > 0 && *sleeps == before)
			return TEST_OK;
		before = *sleeps;
		usleep(2000);
	}
	TEST_ASSERT_MSG(false, "the lcore does not sleep");
}

static int
sleeping_lcore_wakes_for_a_kick(void)
{
	uint64_t before;
	struct sw sw;

	SW_DO(running_open(&sw));
	before = sw_stat(A(sw), NFE_STAT_from_kicks);
	for (unsigned int i = 0; i < 20; i++) {
		SW_DO(wait_asleep(&sw));
		send(&sw, 60 + i, 1);
		SW_DO(recv_within(&sw, 60 + i));
	}
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_kicks) - before, 20);
	return running_close(&sw);
}

static int
sleeping_lcore_answers_the_control_thread(void)
{
	struct sw sw;

	SW_DO(running_open(&sw));
	for (unsigned int i = 0; i < 10; i++) {
		const volatile uint64_t *wakes = &sw.vsw->lcore[0]->counters->wakes;
		uint64_t before;

		SW_DO(wait_asleep(&sw));
		before = *wakes;
		SW_DO(sw_check_identities(&sw));
		TEST_TRUE(*wakes > before); /* it did not just happen to wake up */
	}
	return running_close(&sw);
}

/* While all channels are polled the lcore makes no system call for kicks. */
static int
kicks_of_guests_who_are_polled_are_not_looked_for(void)
{
	const volatile uint64_t *looked;
	uint64_t one = 1, before, kicks;
	struct sw sw;

	SW_DO(running_open_idle(&sw, 10000000));
	looked = &sw.vsw->lcore[0]->last_look;
	before = *looked;
	kicks = sw_stat(A(sw), NFE_STAT_from_kicks);
	for (unsigned int i = 0; i < 20; i++) {
		TEST_EQ(write(A(sw)->kick_fd, &one, sizeof(one)), sizeof(one));
		send(&sw, 60 + i, 1);
		SW_DO(recv_within(&sw, 60 + i));
		usleep(100);
	}
	TEST_EQ(*looked, before);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_kicks), kicks);
	return running_close(&sw);
}

static void *
spin(void *over)
{
	while (!__atomic_load_n((uint32_t *)over, __ATOMIC_ACQUIRE))
		rte_pause();
	return NULL;
}

/* By itself it would poll for longer than the test waits. */
static int
lcore_sleeps_where_another_thread_wants_its_cpu(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 60000000, .shared_idle_us = 5 };
	const volatile uint64_t *sleeps;
	cpu_set_t all, one;
	uint32_t over = 0;
	pthread_t other;
	struct sw sw;
	int cpu = 0, rc;

	if (access("/proc/thread-self/schedstat", R_OK) != 0) {
		test_skip_reason = "this kernel tells no run delay";
		return TEST_SKIPPED;
	}
	SW_DO(running_open_conf(&sw, conf));
	sleeps = &sw.vsw->lcore[0]->counters->sleeps;
	TEST_EQ(pthread_getaffinity_np(worker.thread, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	TEST_EQ(pthread_create(&other, NULL, spin, &over), 0);
	rc = pthread_setaffinity_np(other, sizeof(one), &one);
	rc = rc != 0 ? rc : pthread_setaffinity_np(worker.thread, sizeof(one), &one);
	for (unsigned int us = 0; rc == 0 && us < DEADLINE_US && *sleeps == 0; us += 2000)
		usleep(2000);
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	TEST_EQ(pthread_join(other, NULL), 0);
	TEST_EQ(rc, 0);
	TEST_TRUE(*sleeps > 0 && sw.vsw->lcore[0]->counters->run_delay_us > 0);
	return running_close(&sw);
}

/* No wake-up is lost between the last look and sleep. */
static int
frames_at_any_moment_of_falling_asleep_arrive(void)
{
	struct sw sw;

	SW_DO(running_open(&sw));
	for (unsigned int i = 0; i < 3000; i++) {
		rte_delay_us_block(sw_random() % 120); /* around idle_us */
		send(&sw, 60, 1);
		SW_DO(recv_within(&sw, 60));
	}
	return running_close(&sw);
}

static int
channels_come_and_go_under_traffic(void)
{
	struct sw_guest_conf again = { .events = true };
	struct sw sw;

	SW_DO(running_open(&sw));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		sw_post(CHAN(B(sw)), 12 - (CHAN(B(sw))->fq_prod - CHAN(B(sw))->fill_end));
		send(&sw, 700, 16);
		if (i % 4 == 3) {
			fake_reg_write(&B(sw)->g, NFE_REG_COMMAND, NFE_CMD_RESET);
			SW_DO(sw_guest_up(B(sw), &again));
		} else {
			TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_STOP_CHANNEL, 1), 0);
			send(&sw, 700, 16);
			TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_START_CHANNEL, 1), 0);
		}
		SW_DO(sw_check_identities(&sw));
		TEST_TRUE(sw_drain(CHAN(B(sw))) != -1u);
	}
	vsw_service(sw.vsw);
	TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_READY);
	return running_close(&sw);
}

static void *
kick_storm(void *arg)
{
	const struct sw_guest *g = arg;
	uint64_t one = 1;
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
	while (!__atomic_load_n(&storm_over, __ATOMIC_ACQUIRE)) {
		if (write(g->kick_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
			break;
		__atomic_fetch_add(&storm_kicks, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Regression: a kick between the lcore's letting go and the end of the channel made it hot again,
 * and the lcore polled freed memory. */
static int
kicks_while_a_channel_stops_do_not_bring_it_back(void)
{
	struct sw_guest_conf two = { .events = true, .channels = 2 };
	struct sw_guest *g;
	pthread_t thread;
	struct sw sw;

	SW_DO(running_open(&sw));
	SW_DO(sw_add_guest(&sw, &two, &g));
	storm_over = storm_kicks = 0;
	TEST_EQ(pthread_create(&thread, NULL, kick_storm, g), 0);
	for (unsigned int us = 0; us < DEADLINE_US && !__atomic_load_n(&storm_kicks, __ATOMIC_ACQUIRE);
	     us += 100)
		usleep(100);
	for (unsigned int i = 0; i < 5 * ROUNDS; i++) {
		TEST_EQ(fake_op_channel(&g->g, NFE_OP_STOP_CHANNEL, 2), 0);
		TEST_EQ(fake_op_channel(&g->g, NFE_OP_START_CHANNEL, 2), 0);
	}
	__atomic_store_n(&storm_over, 1, __ATOMIC_RELEASE);
	TEST_EQ(pthread_join(thread, NULL), 0);
	TEST_TRUE(storm_kicks > 0);
	SW_DO(sw_check_identities(&sw));
	return running_close(&sw);
}

/* How often a thread of this process gave up its CPU by itself. */
static unsigned long
times_slept(pid_t tid)
{
	unsigned long n = 0;
	char line[128];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/self/task/%d/status", (int)tid);
	f = fopen(line, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return n;
}

struct slow_lcore { /* in the middle of a turn until the control thread has slept so often */
	struct vsw *vsw;
	pid_t control;
	unsigned long until;
	bool slept;
};

static void *
end_turn_late(void *arg)
{
	struct slow_lcore *slow = arg;
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
	for (unsigned int us = 0; us < DEADLINE_US && !slow->slept; us += 1000) {
		usleep(1000);
		slow->slept = times_slept(slow->control) >= slow->until;
	}
	rte_rcu_qsbr_quiescent(slow->vsw->qsbr, 0);
	return NULL;
}

/* Regression: it spun, and on a shared CPU took the time that the lcore needed to get on. */
static int
control_thread_sleeps_while_it_waits_for_a_lcore(void)
{
	struct slow_lcore slow = { .control = gettid() };
	pthread_t thread;
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	slow.vsw = sw.vsw;
	slow.until = times_slept(slow.control) + 20;
	rte_rcu_qsbr_thread_online(sw.vsw->qsbr, 0);
	TEST_EQ(pthread_create(&thread, NULL, end_turn_late, &slow), 0);
	vsw_synchronize(sw.vsw);
	TEST_EQ(pthread_join(thread, NULL), 0);
	TEST_TRUE(slow.slept);
	rte_rcu_qsbr_thread_offline(sw.vsw->qsbr, 0);
	return sw_close(&sw);
}

static int
liar_under_traffic_fails_alone(void)
{
	struct sw_guest_conf again = { .events = true };
	struct sw sw;

	SW_DO(running_open(&sw));
	for (unsigned int i = 0; i < 20; i++) {
		unsigned int waited_us = 0;

		CHAN(A(sw))->sq_prod += 5000;
		sw_publish(CHAN(A(sw)));
		while (nfed_function_state(A(sw)->fn) == NFE_STATE_READY &&
		       waited_us < DEADLINE_US) {
			vsw_service(sw.vsw);
			usleep(100);
			waited_us += 100;
		}
		TEST_EQ(nfed_function_reason(A(sw)->fn), NFE_REASON_SQ_OVERRUN);
		TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_READY);
		fake_reg_write(&A(sw)->g, NFE_REG_COMMAND, NFE_CMD_RESET);
		SW_DO(sw_guest_up(A(sw), &again));
		send(&sw, 60, 1);
		SW_DO(recv_within(&sw, 60));
	}
	return running_close(&sw);
}

static struct vsw *stuck_sw;
static unsigned int stuck_calls, stuck_lines;

static void
count_line(const char *line)
{
	stuck_lines += strstr(line, "lcore 1: no answer for") != NULL;
}

/* In the daemon this aborts. Here the dead lcore answers after all. */
static void
revive(const char *line)
{
	struct vsw_lcore *lc = stuck_sw->lcore[0];

	count_line(line);
	stuck_calls++;
	if (lc->mail != NULL)
		__atomic_store_n(&lc->mail->done, 1, __ATOMIC_RELEASE);
	lc->mail = NULL;
	rte_rcu_qsbr_thread_offline(stuck_sw->qsbr, 0);
}

/* An lcore that is said to run, but nobody is there. */
static int
lcore_that_never_answers_is_reported(void)
{
	uint64_t value[NFE_STAT_MAX];
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	stuck_sw = sw.vsw;
	stuck_calls = stuck_lines = 0;
	vsw_set_log(sw.vsw, count_line);
	vsw_set_stuck(sw.vsw, revive);
	sw.vsw->complain_us = 1000;
	sw.vsw->stuck_us = 20000;
	sw.vsw->lcore[0]->running = true;
	TEST_EQ(vsw_port_stats(A(sw)->port, value), 0);
	TEST_EQ(stuck_calls, 1);
	TEST_TRUE(stuck_lines >= 2); /* complained before */
	sw.vsw->lcore[0]->running = false;

	rte_rcu_qsbr_thread_online(sw.vsw->qsbr, 0);
	vsw_synchronize(sw.vsw);
	TEST_EQ(stuck_calls, 2);
	vsw_set_log(sw.vsw, NULL);
	return sw_close(&sw);
}

/* Guests join and leave groups, and their links go, while frames are flooded: the sums still hold. */
static int
takers_change_under_flooding(void)
{
	static const uint8_t group[6] = { 1, 0, 0x5e, 1, 2, 3 };
	struct nfe_req join = { .op = NFE_OP_MAC, .mac.action = NFE_MAC_ADD };
	struct nfe_req leave = { .op = NFE_OP_MAC, .mac.action = NFE_MAC_REMOVE };
	struct nfe_req mode = { .op = NFE_OP_RX_MODE };
	struct sw sw;

	SW_DO(running_open(&sw));
	memcpy(join.mac.mac, group, 6);
	memcpy(leave.mac.mac, group, 6);
	TEST_EQ(fake_request(&B(sw)->g, &mode, NULL), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		sw_make_frame(frame, 60, i % 3 ? group : sw_broadcast, A(sw)->mac, i);
		while (sw_sq_room(CHAN(A(sw))) > 0)
			sw_put_inline(CHAN(A(sw)), frame, 60);
		sw_publish(CHAN(A(sw)));
		TEST_EQ(fake_request(&B(sw)->g, i % 2 ? &leave : &join, NULL), 0);
		if (i % 5 == 0) {
			TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_STOP_CHANNEL, 1), 0);
			TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_START_CHANNEL, 1), 0);
		}
		SW_DO(sw_check_identities(&sw));
		TEST_TRUE(sw_drain(CHAN(B(sw))) != -1u);
	}
	TEST_TRUE(sw_stat(A(sw), NFE_STAT_from_copies) > 0);
	return running_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(sleeping_lcore_wakes_for_a_kick),
	TEST_CASE(sleeping_lcore_answers_the_control_thread),
	TEST_CASE(kicks_of_guests_who_are_polled_are_not_looked_for),
	TEST_CASE(lcore_sleeps_where_another_thread_wants_its_cpu),
	TEST_CASE(frames_at_any_moment_of_falling_asleep_arrive),
	TEST_CASE(channels_come_and_go_under_traffic),
	TEST_CASE(takers_change_under_flooding),
	TEST_CASE(kicks_while_a_channel_stops_do_not_bring_it_back),
	TEST_CASE(control_thread_sleeps_while_it_waits_for_a_lcore),
	TEST_CASE(liar_under_traffic_fails_alone),
	TEST_CASE(lcore_that_never_answers_is_reported),
};
TEST_SUITE(vsw_lcore, cases);
