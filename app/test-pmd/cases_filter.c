/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Which frames reach a port: its addresses, receive mode, groups, MTU and tags. Named after the
 * suites of DTS. The switch allows b one more address and lets it be promiscuous.
 */
#include <errno.h>

#include "bench.h"

static const struct port_conf plain = { .nb_rx = 1, .nb_tx = 1 };
static struct rte_ether_addr extra = { { 0x02, 0, 0, 0, 0, 0xaa } };
static struct rte_ether_addr forbidden = { { 0x02, 0, 0, 0, 0, 0x99 } };
static struct rte_ether_addr group = { { 0x01, 0, 0x5e, 0, 0, 1 } };
static struct rte_ether_addr other_group = { { 0x01, 0, 0x5e, 0, 0, 2 } };
static struct rte_ether_addr broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static int
both_up(void)
{
	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(rte_eth_promiscuous_disable(port_b), 0);
	return rte_eth_allmulticast_disable(port_b);
}

static int
both_down(void)
{
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static int
mac_filter_takes_added_addresses_and_no_others(void)
{
	struct rte_ether_addr first;

	TEST_EQ(both_up(), TEST_OK);
	TEST_EQ(rte_eth_macaddr_get(port_b, &first), 0);
	TEST_EQ(expect_frame(NULL, 100, true), TEST_OK);
	TEST_EQ(expect_frame(&extra, 100, false), TEST_OK);
	TEST_EQ(rte_eth_dev_mac_addr_add(port_b, &extra, 0), 0);
	TEST_EQ(expect_frame(&extra, 100, true), TEST_OK);
	TEST_EQ(expect_frame(NULL, 100, true), TEST_OK);
	TEST_EQ(rte_eth_dev_mac_addr_remove(port_b, &extra), 0);
	TEST_EQ(expect_frame(&extra, 100, false), TEST_OK);
	TEST_EQ(rte_eth_dev_mac_addr_add(port_b, &forbidden, 0), -EPERM);
	TEST_EQ(expect_frame(&forbidden, 100, false), TEST_OK);
	TEST_EQ(rte_eth_dev_mac_addr_remove(port_b, &first), -EADDRINUSE);
	TEST_EQ(rte_eth_dev_default_mac_addr_set(port_b, &extra), 0);
	TEST_EQ(expect_frame(&extra, 100, true), TEST_OK);
	TEST_EQ(expect_frame(&first, 100, false), TEST_OK);
	TEST_EQ(rte_eth_dev_default_mac_addr_set(port_b, &first), 0);
	TEST_EQ(expect_frame(&first, 100, true), TEST_OK);
	return both_down();
}

static int
mac_filter_takes_the_groups_of_the_list(void)
{
	struct rte_ether_addr both[2] = { group, other_group };

	TEST_EQ(both_up(), TEST_OK);
	TEST_EQ(expect_frame(&broadcast, 100, true), TEST_OK);
	TEST_EQ(expect_frame(&group, 100, false), TEST_OK);
	TEST_EQ(rte_eth_dev_set_mc_addr_list(port_b, both, 2), 0);
	TEST_EQ(expect_frame(&group, 100, true), TEST_OK);
	TEST_EQ(expect_frame(&other_group, 100, true), TEST_OK);
	TEST_EQ(rte_eth_dev_set_mc_addr_list(port_b, &other_group, 1), 0);
	TEST_EQ(expect_frame(&group, 100, false), TEST_OK);
	TEST_EQ(expect_frame(&other_group, 100, true), TEST_OK);
	TEST_EQ(rte_eth_dev_set_mc_addr_list(port_b, NULL, 0), 0);
	TEST_EQ(expect_frame(&other_group, 100, false), TEST_OK);
	return both_down();
}

static int
promisc_support_and_allmulticast(void)
{
	TEST_EQ(both_up(), TEST_OK);
	TEST_EQ(expect_frame(&bench_stranger, 100, false), TEST_OK);
	TEST_EQ(rte_eth_promiscuous_enable(port_b), 0);
	TEST_EQ(expect_frame(&bench_stranger, 100, true), TEST_OK);
	TEST_EQ(rte_eth_promiscuous_disable(port_b), 0);
	TEST_EQ(expect_frame(&bench_stranger, 100, false), TEST_OK);
	TEST_EQ(expect_frame(&group, 100, false), TEST_OK);
	TEST_EQ(rte_eth_allmulticast_enable(port_b), 0);
	TEST_EQ(expect_frame(&group, 100, true), TEST_OK);
	TEST_EQ(rte_eth_allmulticast_disable(port_b), 0);
	TEST_EQ(expect_frame(&group, 100, false), TEST_OK);
	return both_down();
}

/* One tag more than the MTU is room for. */
static int
mtu_is_the_longest_frame_that_arrives(void)
{
	static const uint16_t mtus[] = { 1500, 68, 1000, 1982 };

	TEST_EQ(both_up(), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(mtus); i++) {
		TEST_EQ(rte_eth_dev_set_mtu(port_b, mtus[i]), 0);
		TEST_EQ(expect_frame(NULL, mtus[i] + 14u, true), TEST_OK);
		TEST_EQ(expect_frame(NULL, mtus[i] + 18u, true), TEST_OK);
		TEST_EQ(expect_frame(NULL, mtus[i] + 19u, false), TEST_OK);
	}
	return both_down();
}

/* Tags are payload to the driver and to a switch without VLANs. */
static int
vlan_tags_arrive_as_they_were_sent(void)
{
	TEST_EQ(both_up(), TEST_OK);
	for (unsigned int tags = 1; tags <= 2; tags++)
		for (uint32_t len = 60; len <= 1514; len += 727)
			TEST_EQ(expect_tagged_frame(tags, len), TEST_OK);
	return both_down();
}

/* Lengths around every number of whole buffers. */
static int
buffer_scatter_at_the_edges_of_buffers(void)
{
	const struct port_conf jumbo = { .nb_rx = 1, .nb_tx = 1, .mtu = 9000, .scatter = true };
	struct rte_eth_rxq_info info;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&jumbo, &jumbo), TEST_OK);
	TEST_EQ(rte_eth_rx_queue_info_get(port_b, 0, &info), 0);
	for (uint32_t len = info.rx_buf_size; len < 9000; len += info.rx_buf_size)
		for (int off = -1; off <= 5; off++)
			TEST_EQ(expect_frame(NULL, len + off, true), TEST_OK);
	return both_down();
}

static const struct test_case cases[] = {
	TEST_CASE(mac_filter_takes_added_addresses_and_no_others),
	TEST_CASE(mac_filter_takes_the_groups_of_the_list),
	TEST_CASE(promisc_support_and_allmulticast),
	TEST_CASE(mtu_is_the_longest_frame_that_arrives),
	TEST_CASE(vlan_tags_arrive_as_they_were_sent),
	TEST_CASE(buffer_scatter_at_the_edges_of_buffers),
};
TEST_SUITE(filter, cases);
