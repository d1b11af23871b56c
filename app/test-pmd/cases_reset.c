/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* rte_eth_dev_reset(), of a port that runs, that lost its switch, and that the next one refuses. */
#include <rte_cycles.h>

#include "bench.h"

#define EVENT_MS 5000

static const struct port_conf plain = { .nb_rx = 1, .nb_tx = 1 };
static const struct port_conf twice = { .nb_rx = 2, .nb_tx = 2 };
static const struct traffic some = { .frames = 500 };
static struct rte_ether_addr extra = { { 0x02, 0, 0, 0, 0, 0xaa } }; /* VIF b may have it */
static uint32_t nb_resets;

static int
on_reset(uint16_t port __rte_unused, enum rte_eth_event_type type __rte_unused,
	 void *arg __rte_unused, void *ret __rte_unused)
{
	__atomic_add_fetch(&nb_resets, 1, __ATOMIC_RELAXED);
	return 0;
}

static int
expect_mtu_kept(void)
{
	uint16_t mtu;

	TEST_EQ(rte_eth_dev_get_mtu(port_a, &mtu), 0);
	TEST_EQ(mtu, 9000);
	TEST_EQ(expect_frame(NULL, 1900, true), TEST_OK);
	return TEST_OK;
}

static int
reset_port_is_as_after_probe(void)
{
	const struct port_conf jumbo = { .nb_rx = 2, .nb_tx = 2, .mtu = 9000, .scatter = true };
	struct rte_ether_addr macs[4];
	struct rte_eth_stats stats;

	TEST_EQ(bench_probe_both(), TEST_OK);
	for (int round = 0; round < 3; round++) {
		TEST_EQ(ports_up(&jumbo, &jumbo), TEST_OK);
		TEST_EQ(rte_eth_dev_mac_addr_add(port_b, &extra, 0), 0);
		TEST_EQ(expect_frame(&extra, 100, true), TEST_OK);
		TEST_EQ(expect_mtu_kept(), TEST_OK);
		TEST_EQ(traffic_run(&some), TEST_OK);
		TEST_EQ(rte_eth_dev_reset(port_a), 0);
		TEST_EQ(rte_eth_dev_reset(port_b), 0);
		TEST_EQ(rte_mempool_avail_count(bench_pool), BENCH_POOL);
		TEST_EQ(rte_eth_macaddrs_get(port_b, macs, RTE_DIM(macs)), RTE_DIM(macs));
		TEST_TRUE(rte_is_zero_ether_addr(&macs[1]));
		TEST_EQ(rte_eth_stats_get(port_b, &stats), 0);
		TEST_EQ(stats.ipackets + stats.imissed, 0);
		TEST_EQ(ports_up(&plain, &plain), TEST_OK);
		TEST_EQ(expect_frame(&extra, 100, false), TEST_OK);
		TEST_EQ(traffic_run(&some), TEST_OK);
		TEST_EQ(ports_down(), TEST_OK);
	}
	return bench_remove_both();
}

static int
reset_in_vain_can_be_tried_again(void)
{
	struct rte_eth_dev_info info;
	struct rte_eth_stats stats;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(switch_down(), TEST_OK);
	TEST_EQ(wait_link(port_a, false, EVENT_MS), TEST_OK);
	TEST_TRUE(rte_eth_dev_reset(port_a) < 0);
	TEST_TRUE(rte_eth_dev_reset(port_a) < 0);
	TEST_TRUE(rte_eth_dev_info_get(port_a, &info) < 0); /* there is nothing to tell of */
	TEST_TRUE(rte_eth_stats_get(port_a, &stats) < 0);
	TEST_TRUE(rte_eth_dev_start(port_a) < 0);
	TEST_EQ(switch_up(), TEST_OK);
	TEST_EQ(rte_eth_dev_reset(port_a), 0);
	TEST_EQ(wait_link(port_b, true, EVENT_MS), TEST_OK);
	TEST_EQ(port_up(port_a, &plain), TEST_OK);
	TEST_EQ(traffic_run(&some), TEST_OK);
	TEST_EQ(switch_down(), TEST_OK);
	TEST_EQ(wait_link(port_a, false, EVENT_MS), TEST_OK);
	TEST_TRUE(rte_eth_dev_reset(port_a) < 0);
	TEST_EQ(bench_remove_both(), TEST_OK); /* lost or not */
	return switch_up();
}

static int
wait_resets(uint32_t nb)
{
	uint64_t deadline = now_ms() + EVENT_MS;

	while (__atomic_load_n(&nb_resets, __ATOMIC_RELAXED) < nb) {
		TEST_ASSERT_MSG(now_ms() < deadline, "no event in %u ms", EVENT_MS);
		rte_delay_us_sleep(1000);
	}
	rte_delay_us_sleep(1500000); /* the driver tries again, and says nothing more */
	TEST_EQ(__atomic_load_n(&nb_resets, __ATOMIC_RELAXED), nb);
	return TEST_OK;
}

/* Port a has two queues, the new switch gives one: only the application can do with less. */
static int
smaller_switch_asks_for_a_reset(void)
{
	struct rte_eth_dev_info info;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(rte_eth_dev_callback_register(port_a, RTE_ETH_EVENT_INTR_RESET, on_reset, NULL), 0);
	TEST_EQ(rte_eth_dev_callback_register(port_b, RTE_ETH_EVENT_INTR_RESET, on_reset, NULL), 0);
	TEST_EQ(ports_up(&twice, &plain), TEST_OK);
	TEST_EQ(switch_down(), TEST_OK);
	TEST_EQ(switch_up_small(), TEST_OK);
	TEST_EQ(wait_link(port_b, true, EVENT_MS), TEST_OK); /* needs no more than there is */
	TEST_EQ(wait_resets(1), TEST_OK);
	TEST_TRUE(!port_link(port_a));
	TEST_EQ(rte_eth_dev_reset(port_a), 0);
	TEST_EQ(rte_eth_dev_info_get(port_a, &info), 0);
	TEST_EQ(info.max_rx_queues, 1);
	TEST_EQ(port_up(port_a, &plain), TEST_OK);
	TEST_EQ(traffic_run(&some), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	TEST_EQ(bench_remove_both(), TEST_OK);
	TEST_EQ(switch_down(), TEST_OK);
	return switch_up();
}

static const struct test_case cases[] = {
	TEST_CASE(reset_port_is_as_after_probe),
	TEST_CASE(reset_in_vain_can_be_tried_again),
	TEST_CASE(smaller_switch_asks_for_a_reset),
};
TEST_SUITE(reset, cases);
