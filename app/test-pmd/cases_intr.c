/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Receive interrupts as l3fwd-power uses them, and the address that power-aware polling watches. */
#include <errno.h>
#include <pthread.h>

#include <rte_cycles.h>
#include <rte_interrupts.h>
#include <rte_power_intrinsics.h>
#include <rte_random.h>

#include "bench.h"

#define SLEEPS 3000
#define ENOUGH_MS 15000 /* where waking is slow: fewer sleeps, */
#define FEWEST 100      /* but so many */
#define LOST_MS 10000 /* nothing else takes so long, however busy the machine is */
#define MAX_SPIN_US 60

static const struct port_conf polled = { .nb_rx = 1, .nb_tx = 1 };
static const struct port_conf asleep = { .nb_rx = 1, .nb_tx = 1, .rx_intr = true };

static struct {
	struct numbers n;
	uint32_t wanted; /* atomic: frames to be sent so far */
	uint32_t stop;	 /* atomic */
	int result;
} sender;

/* Sends each frame at a random moment after it was asked for. */
static void *
send_when_asked(void *arg __rte_unused)
{
	while (__atomic_load_n(&sender.stop, __ATOMIC_ACQUIRE) == 0 && sender.result == TEST_OK) {
		if (__atomic_load_n(&sender.wanted, __ATOMIC_ACQUIRE) == sender.n.sent) {
			rte_pause();
			continue;
		}
		rte_delay_us_block(rte_rand_max(MAX_SPIN_US));
		sender.result = numbers_send(&sender.n, 1);
	}
	return NULL;
}

static int
start_sender(pthread_t *thread)
{
	memset(&sender, 0, sizeof(sender));
	TEST_EQ(pthread_create(thread, NULL, send_when_asked, NULL), 0);
	return TEST_OK;
}

static int
stop_sender(pthread_t thread)
{
	__atomic_store_n(&sender.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	return sender.result;
}

/* Sleeps as often as it takes until the frame after those received so far is there. */
static int
sleep_for_one(struct numbers *n, unsigned int *wakes)
{
	uint32_t next = n->next;
	struct rte_epoll_event event;

	while (n->next == next) {
		TEST_EQ(rte_eth_dev_rx_intr_enable(port_b, 0), 0);
		TEST_ASSERT_MSG(rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, LOST_MS) == 1,
				"frame %u: no wake-up within %u ms", next, LOST_MS);
		TEST_EQ(rte_eth_dev_rx_intr_disable(port_b, 0), 0);
		TEST_EQ(numbers_receive(n), TEST_OK);
		(*wakes)++;
	}
	return TEST_OK;
}

static int
no_wake_up_is_lost_in_thousands_of_sleeps(void)
{
	uint64_t enough = now_ms() + ENOUGH_MS;
	struct numbers n = { 0 };
	unsigned int wakes = 0;
	pthread_t thread;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&polled, &asleep), TEST_OK);
	TEST_EQ(rte_eth_dev_rx_intr_ctl_q(port_b, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD,
					  NULL),
		0);
	TEST_EQ(start_sender(&thread), TEST_OK);
	for (unsigned int i = 0; i < SLEEPS && (i < FEWEST || now_ms() < enough); i++) {
		__atomic_add_fetch(&sender.wanted, 1, __ATOMIC_RELEASE);
		rte_delay_us_block(rte_rand_max(MAX_SPIN_US));
		TEST_EQ(sleep_for_one(&n, &wakes), TEST_OK);
	}
	TEST_EQ(stop_sender(thread), TEST_OK);
	printf("# %u frames, woken %u times\n", n.next, wakes);
	TEST_TRUE(wakes < 3 * n.next); /* it did sleep */
	TEST_EQ(rte_eth_dev_rx_intr_ctl_q(port_b, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_DEL,
					  NULL),
		0);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static int
sleeper_is_woken_when_the_switch_is_back(void)
{
	struct rte_epoll_event event;
	struct numbers n = { 0 };
	unsigned int wakes = 0;
	pthread_t thread;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&polled, &asleep), TEST_OK);
	TEST_EQ(rte_eth_dev_rx_intr_ctl(port_b, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL), 0);
	TEST_EQ(start_sender(&thread), TEST_OK);
	for (int round = 0; round < 2; round++) {
		TEST_EQ(rte_eth_dev_rx_intr_enable(port_b, 0), 0);
		TEST_EQ(switch_down(), TEST_OK);
		TEST_EQ(switch_up(), TEST_OK);
		TEST_EQ(rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, LOST_MS), 1);
		TEST_EQ(wait_link(port_a, true, LOST_MS), TEST_OK);
		TEST_EQ(wait_link(port_b, true, LOST_MS), TEST_OK);
		for (int i = 0; i < 50; i++) {
			__atomic_add_fetch(&sender.wanted, 1, __ATOMIC_RELEASE);
			TEST_EQ(sleep_for_one(&n, &wakes), TEST_OK);
		}
	}
	TEST_EQ(stop_sender(thread), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

/* Regression: a thread that armed its queue while the other one of the pair was toggled, which
 * makes both anew, found nothing and slept on beside a frame. Here it gets there by forgetting. */
static int
sleeper_is_woken_when_the_other_queue_of_the_pair_is_toggled(void)
{
	struct rte_epoll_event event;
	struct numbers n = { 0 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&polled, &asleep), TEST_OK);
	TEST_EQ(rte_eth_dev_rx_intr_ctl_q(port_b, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD,
					  NULL),
		0);
	for (int round = 0; round < 10; round++) {
		TEST_EQ(numbers_send(&n, 1), TEST_OK);
		while (rte_eth_rx_queue_count(port_b, 0) == 0)
			rte_delay_us_sleep(100);
		TEST_EQ(rte_eth_dev_rx_intr_enable(port_b, 0), 0);
		TEST_EQ(rte_eth_dev_rx_intr_disable(port_b, 0), 0);
		TEST_EQ(rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, 0), 0);
		TEST_EQ(round % 2 == 0 ? rte_eth_dev_tx_queue_stop(port_b, 0) :
					 rte_eth_dev_tx_queue_start(port_b, 0), 0);
		TEST_EQ(rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, LOST_MS), 1);
		TEST_EQ(rte_eth_dev_rx_intr_disable(port_b, 0), 0);
		TEST_EQ(numbers_settle(&n), TEST_OK);
	}
	TEST_EQ(rte_eth_dev_rx_intr_ctl_q(port_b, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_DEL,
					  NULL),
		0);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

/* Frames that came before it was armed wake at once; without intr_conf.rxq there is nothing. */
static int
interrupt_is_armed_only_as_configured(void)
{
	struct rte_epoll_event event;
	struct numbers n = { 0 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&polled, &polled), TEST_OK);
	TEST_EQ(rte_eth_dev_rx_intr_enable(port_b, 0), -ENOTSUP);
	TEST_EQ(rte_eth_dev_rx_intr_disable(port_b, 0), -ENOTSUP);
	TEST_TRUE(rte_eth_dev_rx_intr_ctl_q(port_b, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD,
					    NULL) < 0);
	TEST_EQ(ports_down(), TEST_OK);
	TEST_EQ(ports_up(&polled, &asleep), TEST_OK);
	TEST_EQ(rte_eth_dev_rx_intr_ctl_q(port_b, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD,
					  NULL),
		0);
	TEST_EQ(numbers_send(&n, 1), TEST_OK);
	while (rte_eth_rx_queue_count(port_b, 0) == 0)
		rte_delay_us_sleep(100);
	TEST_EQ(rte_eth_dev_rx_intr_enable(port_b, 0), 0);
	TEST_EQ(rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, LOST_MS), 1);
	TEST_EQ(rte_eth_dev_rx_intr_disable(port_b, 0), 0);
	TEST_EQ(numbers_settle(&n), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static int
monitored_address_tells_that_frames_came(void)
{
	struct rte_power_monitor_cond cond;
	struct numbers n = { 0 };
	uint64_t deadline = now_ms() + LOST_MS;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&polled, &polled), TEST_OK);
	for (int round = 0; round < 5; round++) {
		TEST_EQ(rte_eth_get_monitor_addr(port_b, 0, &cond), 0);
		TEST_EQ(cond.size, 4);
		TEST_EQ(cond.fn(*(volatile uint32_t *)cond.addr, cond.opaque), 0);
		TEST_EQ(numbers_send(&n, 1), TEST_OK);
		while (cond.fn(*(volatile uint32_t *)cond.addr, cond.opaque) == 0)
			TEST_TRUE(now_ms() < deadline);
		TEST_EQ(numbers_settle(&n), TEST_OK);
	}
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static const struct test_case cases[] = {
	TEST_CASE(no_wake_up_is_lost_in_thousands_of_sleeps),
	TEST_CASE(sleeper_is_woken_when_the_switch_is_back),
	TEST_CASE(sleeper_is_woken_when_the_other_queue_of_the_pair_is_toggled),
	TEST_CASE(interrupt_is_armed_only_as_configured),
	TEST_CASE(monitored_address_tells_that_frames_came),
};
TEST_SUITE(interrupts, cases);
