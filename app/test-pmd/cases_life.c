/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* The switch dies, or fails the function: what the application sees meanwhile and afterwards. */
#include <rte_cycles.h>

#include <nfe_regs.h>

#include "bench.h"

#define PROMPT_MS 1000 /* well below every deadline of the driver */

static const struct port_conf plain = { .nb_rx = 1, .nb_tx = 1 };
static unsigned int nb_lsc;

static int
on_lsc(uint16_t port __rte_unused, enum rte_eth_event_type type __rte_unused,
       void *arg __rte_unused, void *ret __rte_unused)
{
	__atomic_add_fetch(&nb_lsc, 1, __ATOMIC_RELAXED);
	return 0;
}

static int
bursts_while_away(void)
{
	struct rte_mbuf *m[32];
	uint16_t n;

	for (uint32_t i = 0; i < RTE_DIM(m); i++) {
		m[i] = frame_make(bench_pool, i, 1000, 1);
		TEST_TRUE(m[i] != NULL);
	}
	n = rte_eth_tx_burst(port_a, 0, m, RTE_DIM(m));
	rte_pktmbuf_free_bulk(m + n, RTE_DIM(m) - n);
	TEST_EQ(rte_eth_rx_burst(port_b, 0, m, RTE_DIM(m)), 0);
	return TEST_OK;
}

/* test_pmd_pcap: LSC */
static int
link_follows_the_switch_with_an_event(void)
{
	const struct traffic t = { .frames = 500 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(rte_eth_dev_callback_register(port_a, RTE_ETH_EVENT_INTR_LSC, on_lsc, NULL), 0);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_TRUE(port_link(port_a));
	for (unsigned int round = 0; round < 3; round++) {
		nb_lsc = 0;
		TEST_EQ(switch_down(), TEST_OK);
		TEST_EQ(wait_link(port_a, false, PROMPT_MS), TEST_OK);
		TEST_EQ(wait_link(port_b, false, PROMPT_MS), TEST_OK);
		TEST_EQ(switch_up(), TEST_OK);
		TEST_EQ(wait_link(port_a, true, 5000), TEST_OK);
		TEST_EQ(wait_link(port_b, true, 5000), TEST_OK);
		rte_delay_us_sleep(1000); /* the event comes right after the state */
		TEST_EQ(__atomic_load_n(&nb_lsc, __ATOMIC_RELAXED), 2);
		TEST_EQ(port_xstat(port_a, "replays"), round + 1);
		TEST_EQ(traffic_run(&t), TEST_OK);
	}
	TEST_EQ(ports_down(), TEST_OK);
	TEST_TRUE(!port_link(port_a));
	return bench_remove_both();
}

static int
prompt(uint64_t since_ms, const char *what)
{
	TEST_ASSERT_MSG(now_ms() - since_ms < PROMPT_MS, "%s took more than %u ms", what,
			PROMPT_MS);
	return TEST_OK;
}

static int
stop_stats_and_close_return_promptly_while_the_switch_is_away(void)
{
	const struct traffic t = { .frames = 500 };
	struct rte_eth_stats stats;
	uint64_t start;

	for (int round = 0; round < 3; round++) {
		TEST_EQ(bench_probe_both(), TEST_OK);
		TEST_EQ(ports_up(&plain, &plain), TEST_OK);
		TEST_EQ(traffic_run(&t), TEST_OK);
		TEST_EQ(switch_down(), TEST_OK);
		TEST_EQ(wait_link(port_a, false, PROMPT_MS), TEST_OK);
		TEST_EQ(wait_link(port_b, false, PROMPT_MS), TEST_OK);
		TEST_EQ(bursts_while_away(), TEST_OK);
		for (int try = 0; try < 3; try++) { /* a busy machine is slow, but not each time */
			start = now_ms();
			TEST_EQ(rte_eth_stats_get(port_a, &stats), 0);
			if (now_ms() - start < PROMPT_MS)
				break;
		}
		TEST_EQ(prompt(start, "stats"), TEST_OK);
		TEST_EQ(stats.opackets >= t.frames, 1);
		start = now_ms();
		if (round > 0) /* else close alone must do */
			TEST_EQ(ports_down(), TEST_OK);
		TEST_EQ(prompt(start, "stop"), TEST_OK);
		start = now_ms();
		if (round > 1)
			TEST_EQ(rte_eth_dev_close(port_a), 0);
		TEST_EQ(bench_remove_both(), TEST_OK);
		TEST_EQ(prompt(start, "close"), TEST_OK);
		TEST_EQ(switch_up(), TEST_OK);
	}
	return TEST_OK;
}

/* Doorbell page of channel 1 of the only function that is attached. */
static uint8_t *
find_doorbells(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, found = 0;
	char line[512];

	while (maps != NULL && found == 0 && fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "/memfd:nfe-bar0") != NULL && sscanf(line, "%lx-", &start) == 1)
			found = start;
	if (maps != NULL)
		fclose(maps);
	return found != 0 ? (uint8_t *)found + NFE_PAGE_SIZE : NULL;
}

/*
 * A producer index that overruns the queue makes the device fail the function, alive as it is. What
 * is sent until the driver has left that device belongs to the next life, and must not be lost.
 */
static int
frames_sent_to_a_failed_function_arrive_after_the_replay(void)
{
	const struct port_conf deep = { .nb_rx = 1, .nb_tx = 1, .desc = 1024 };
	struct numbers n = { 0 };
	uint64_t deadline = now_ms() + 8000;
	uint32_t *sq_prod;
	uint8_t *db;

	TEST_EQ(bench_probe("a", &port_a), TEST_OK);
	db = find_doorbells();
	TEST_TRUE(db != NULL);
	TEST_EQ(bench_probe("b", &port_b), TEST_OK);
	TEST_EQ(ports_up(&deep, &deep), TEST_OK);
	sq_prod = (uint32_t *)(db + NFE_DB_SQ_PROD);
	TEST_EQ(numbers_send(&n, 1), TEST_OK);
	TEST_EQ(*sq_prod, BENCH_FIRST_INDEX + 1); /* it is the right page */
	while (port_link(port_a)) {
		TEST_TRUE(now_ms() < deadline);
		/* Wakes the device. No more than b has room for, however long it takes. */
		if (n.sent - n.next < deep.desc / 2u)
			TEST_EQ(numbers_send(&n, 1), TEST_OK);
		__atomic_fetch_add(sq_prod, 1u << 20, __ATOMIC_RELEASE);
		rte_delay_us_block(5);
		TEST_EQ(numbers_receive(&n), TEST_OK);
	}
	while (n.next < n.sent || !port_link(port_a)) {
		TEST_ASSERT_MSG(now_ms() < deadline, "%u sent, %u received", n.sent, n.next);
		TEST_EQ(numbers_receive(&n), TEST_OK);
	}
	TEST_EQ(port_xstat(port_a, "replays"), 1);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static const struct test_case cases[] = {
	TEST_CASE(link_follows_the_switch_with_an_event),
	TEST_CASE(stop_stats_and_close_return_promptly_while_the_switch_is_away),
	TEST_CASE(frames_sent_to_a_failed_function_arrive_after_the_replay),
};
TEST_SUITE(life, cases);
