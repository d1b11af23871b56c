/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* What ports and queues say about themselves, and configuration that outlives a restart. */
#include <errno.h>

#include <rte_cycles.h>

#include <nfe_regs.h>

#include "bench.h"

static const struct port_conf plain = { .nb_rx = 1, .nb_tx = 1, .desc = 128 };

/* DTS smoke_tests */
static int
smoke_tests_port_info(void)
{
	struct rte_eth_dev_info info;
	struct rte_eth_link link;
	char text[64];
	int need;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(rte_eth_dev_info_get(port_a, &info), 0);
	TEST_TRUE(strncmp(info.driver_name, "net_nfe", 7) == 0);
	TEST_TRUE(info.max_rx_queues >= 1 && info.max_rx_queues == info.max_tx_queues);
	TEST_EQ(rte_eth_link_get(port_a, &link), 0);
	TEST_EQ(link.link_status, RTE_ETH_LINK_UP);
	TEST_EQ(link.link_duplex, RTE_ETH_LINK_FULL_DUPLEX);
	TEST_TRUE(link.link_speed > 0);
	TEST_TRUE((info.speed_capa & rte_eth_speed_bitflag(link.link_speed, 1)) != 0);
	TEST_EQ(rte_eth_dev_fw_version_get(port_a, text, sizeof(text)), 0);
	TEST_TRUE(strncmp(text, "NFE ABI ", 8) == 0);
	need = rte_eth_dev_fw_version_get(port_a, text, 4);
	TEST_EQ(need, strlen("NFE ABI 0.1") + 1);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static int
smoke_tests_queue_info_and_burst_mode(void)
{
	struct rte_eth_burst_mode mode;
	struct rte_eth_rxq_info rx;
	struct rte_eth_txq_info tx;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(rte_eth_rx_queue_info_get(port_a, 0, &rx), 0);
	TEST_EQ(rx.nb_desc, 128);
	TEST_TRUE(rx.mp == bench_pool && rx.queue_state == RTE_ETH_QUEUE_STATE_STARTED);
	TEST_TRUE(rx.rx_buf_size > 0 && rx.rx_buf_size <= BENCH_DATA_ROOM - RTE_PKTMBUF_HEADROOM);
	TEST_EQ(rte_eth_tx_queue_info_get(port_a, 0, &tx), 0);
	TEST_EQ(tx.nb_desc, 128);
	TEST_EQ(tx.queue_state, RTE_ETH_QUEUE_STATE_STARTED);
	TEST_EQ(rte_eth_rx_burst_mode_get(port_a, 0, &mode), 0);
	TEST_TRUE(mode.info[0] != '\0');
	TEST_EQ(rte_eth_tx_burst_mode_get(port_a, 0, &mode), 0);
	TEST_TRUE(mode.info[0] != '\0');
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static int
registers_are_those_of_the_function(void)
{
	struct rte_dev_reg_info info = { 0 };
	uint32_t value[NFE_REG_END / 8] = { 0 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(rte_eth_dev_get_reg_info(port_a, &info), 0);
	TEST_EQ(info.length, RTE_DIM(value));
	TEST_EQ(info.width, 4);
	info.data = value;
	TEST_EQ(rte_eth_dev_get_reg_info(port_a, &info), 0);
	TEST_EQ(value[NFE_REG_MAGIC / 8], NFE_MAGIC);
	TEST_EQ(value[NFE_REG_ABI / 8], info.version);
	info.offset = NFE_REG_MAX_MTU / 8;
	info.length = 1;
	TEST_EQ(rte_eth_dev_get_reg_info(port_a, &info), 0);
	TEST_EQ(value[0], 9000);
	info.length = RTE_DIM(value);
	TEST_EQ(rte_eth_dev_get_reg_info(port_a, &info), -EINVAL);
	return bench_remove_both();
}

static int
status_until(int (*status)(uint16_t, uint16_t, uint16_t), uint16_t port, uint16_t offset, int want)
{
	uint64_t deadline = now_ms() + 5000;

	while (status(port, 0, offset) != want)
		TEST_ASSERT_MSG(now_ms() < deadline, "port %u, offset %u: status %d, expected %d",
				port, offset, status(port, 0, offset), want);
	return TEST_OK;
}

static int
descriptor_status_follows_the_frames(void)
{
	uint64_t deadline = now_ms() + 10000;
	struct numbers n = { 0 };
	bool full;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(rte_eth_rx_descriptor_status(port_b, 0, 0), RTE_ETH_RX_DESC_AVAIL);
	TEST_EQ(rte_eth_rx_descriptor_status(port_b, 0, 128), -EINVAL);
	TEST_EQ(rte_eth_tx_descriptor_status(port_a, 0, 128), -EINVAL);
	TEST_EQ(numbers_send(&n, 3), TEST_OK); /* a cell each */
	TEST_EQ(status_until(rte_eth_rx_descriptor_status, port_b, 2, RTE_ETH_RX_DESC_DONE),
		TEST_OK);
	TEST_EQ(rte_eth_rx_queue_count(port_b, 0), 3);
	TEST_EQ(rte_eth_rx_descriptor_status(port_b, 0, 3), RTE_ETH_RX_DESC_AVAIL);
	TEST_EQ(status_until(rte_eth_tx_descriptor_status, port_a, 127, RTE_ETH_TX_DESC_DONE),
		TEST_OK);
	TEST_EQ(numbers_settle(&n), TEST_OK);
	TEST_EQ(rte_eth_rx_queue_count(port_b, 0), 0);
	do { /* the device has to be slower than us once */
		TEST_TRUE(now_ms() < deadline);
		TEST_EQ(numbers_send(&n, 1), TEST_OK);
		full = rte_eth_tx_descriptor_status(port_a, 0, 127) == RTE_ETH_TX_DESC_FULL;
		TEST_EQ(numbers_settle(&n), TEST_OK);
	} while (!full);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

/* DTS port_restart_config_persistency: over a stop and start, and over the death of the switch. */
static int
port_restart_config_persistency(void)
{
	const struct traffic t = { .frames = 200, .max_len = 1314 };
	uint16_t mtu;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(rte_eth_dev_set_mtu(port_b, 1300), 0);
	TEST_EQ(rte_eth_promiscuous_enable(port_b), 0);
	TEST_EQ(rte_eth_allmulticast_enable(port_b), 0);
	for (int round = 0; round < 2; round++) {
		if (round == 0) {
			TEST_EQ(rte_eth_dev_stop(port_b), 0);
			TEST_EQ(rte_eth_dev_start(port_b), 0);
		} else {
			TEST_EQ(switch_down(), TEST_OK);
			TEST_EQ(wait_link(port_b, false, 5000), TEST_OK);
			TEST_EQ(switch_up(), TEST_OK);
			TEST_EQ(wait_link(port_a, true, 5000), TEST_OK);
			TEST_EQ(wait_link(port_b, true, 5000), TEST_OK);
		}
		TEST_EQ(rte_eth_dev_get_mtu(port_b, &mtu), 0);
		TEST_EQ(mtu, 1300);
		TEST_EQ(rte_eth_promiscuous_get(port_b), 1);
		TEST_EQ(rte_eth_allmulticast_get(port_b), 1);
		TEST_EQ(expect_frame(&bench_stranger, 100, true), TEST_OK);
		TEST_EQ(expect_frame(NULL, 1319, false), TEST_OK); /* beyond the MTU and a tag */
		TEST_EQ(expect_frame(NULL, 1318, true), TEST_OK);
		TEST_EQ(traffic_run(&t), TEST_OK);
	}
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static const struct test_case cases[] = {
	TEST_CASE(smoke_tests_port_info),
	TEST_CASE(smoke_tests_queue_info_and_burst_mode),
	TEST_CASE(registers_are_those_of_the_function),
	TEST_CASE(descriptor_status_follows_the_frames),
	TEST_CASE(port_restart_config_persistency),
};
TEST_SUITE(smoke, cases);
