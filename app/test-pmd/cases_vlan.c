/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * VLAN offloads, after DTS' suite vlan: b filters and strips, a inserts. Frames are compared byte by
 * byte with what they are without their tag.
 */
#include <errno.h>

#include "bench.h"

#define WAIT_MS 5000
#define TAG 4u
#define TCI 0x2005u /* priority 1, VLAN 5 */
#define TPID_OFFSET 12u
#define STRIPPED (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED)

static int
vlan_up(uint64_t rx_offloads, uint64_t tx_offloads)
{
	const struct port_conf a = { .nb_rx = 1, .nb_tx = 1, .tx_offloads = tx_offloads };
	const struct port_conf b = { .nb_rx = 1, .nb_tx = 1, .rx_offloads = rx_offloads };

	TEST_EQ(bench_probe_both(), TEST_OK);
	return ports_up(&a, &b);
}

static int
vlan_down(void)
{
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

/* A frame that frame_check() knows once its tag is out again. */
static struct rte_mbuf *
make_tagged(uint32_t len, uint16_t tci)
{
	struct rte_mbuf *m = frame_make(bench_pool, len, len, 1);
	uint8_t *frame;

	rte_pktmbuf_prepend(m, TAG);
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	memmove(frame, frame + TAG, TPID_OFFSET);
	frame[TPID_OFFSET] = 0x81;
	frame[TPID_OFFSET + 1] = 0;
	frame[TPID_OFFSET + 2] = (uint8_t)(tci >> 8);
	frame[TPID_OFFSET + 3] = (uint8_t)tci;
	return m;
}

/* Takes the tag out; 0: there was none. */
static uint16_t
untag(struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t tci;

	if (frame[TPID_OFFSET] != 0x81 || frame[TPID_OFFSET + 1] != 0)
		return 0;
	tci = (uint16_t)(frame[TPID_OFFSET + 2] << 8 | frame[TPID_OFFSET + 3]);
	memmove(frame + TAG, frame, TPID_OFFSET);
	rte_pktmbuf_adj(m, TAG);
	return tci;
}

static int
exchange(struct rte_mbuf *m, struct rte_mbuf **got)
{
	uint64_t deadline = now_ms() + WAIT_MS;

	TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 1);
	while (rte_eth_rx_burst(port_b, 0, got, 1) == 0)
		TEST_TRUE(now_ms() < deadline);
	return TEST_OK;
}

/* Lengths inline and by reference, and around the edges between them. */
static const uint32_t lens[] = { 40,  56,  57,  60,  116, 117, 120, 121,
				 124, 125, 248, 252, 312, 313, 316, 1500 };

static int
vlan_strip_takes_the_tag_out_of_the_frame(void)
{
	struct rte_mbuf *got;
	uint32_t number;

	TEST_EQ(vlan_up(RTE_ETH_RX_OFFLOAD_VLAN_STRIP, 0), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		TEST_EQ(exchange(make_tagged(lens[i], TCI), &got), TEST_OK);
		TEST_EQ(got->ol_flags, STRIPPED);
		TEST_EQ(got->vlan_tci, TCI);
		TEST_EQ(got->pkt_len, lens[i]);
		TEST_EQ(frame_check(got, &number), TEST_OK);
		rte_pktmbuf_free(got);
		TEST_EQ(exchange(frame_make(bench_pool, 1, lens[i], 1), &got), TEST_OK);
		TEST_EQ(got->ol_flags, 0);
		TEST_EQ(frame_check(got, &number), TEST_OK);
		rte_pktmbuf_free(got);
	}
	return vlan_down();
}

/* While the port runs, for all queues and for one. */
static int
vlan_strip_is_switched_at_run_time(void)
{
	struct rte_mbuf *got;

	TEST_EQ(vlan_up(0, 0), TEST_OK);
	for (unsigned int i = 0; i < 6; i++) {
		bool on = i & 1;

		if (i < 4)
			TEST_EQ(rte_eth_dev_set_vlan_offload(port_b, on ? RTE_ETH_VLAN_STRIP_OFFLOAD :
								      0), 0);
		else
			TEST_EQ(rte_eth_dev_set_vlan_strip_on_queue(port_b, 0, on), 0);
		TEST_EQ(exchange(make_tagged(100, TCI), &got), TEST_OK);
		TEST_EQ(got->ol_flags, on ? STRIPPED : 0);
		TEST_EQ(untag(got), on ? 0 : TCI);
		rte_pktmbuf_free(got);
	}
	return vlan_down();
}

/* The application's mbuf is as it was: it may be sent again. */
static int
vlan_insert_puts_the_tag_into_the_frame(void)
{
	struct rte_mbuf *m, *got;
	uint32_t number;

	TEST_EQ(vlan_up(0, RTE_ETH_TX_OFFLOAD_VLAN_INSERT), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++)
		for (unsigned int segs = 1; segs <= 3; segs += 2) {
			m = frame_make(bench_pool, i, lens[i], segs);
			m->ol_flags |= RTE_MBUF_F_TX_VLAN;
			m->vlan_tci = TCI;
			for (struct rte_mbuf *s = m; s != NULL; s = s->next)
				rte_mbuf_refcnt_update(s, 1);
			TEST_EQ(exchange(m, &got), TEST_OK);
			TEST_EQ(got->pkt_len, lens[i] + TAG);
			TEST_EQ(untag(got), TCI);
			TEST_EQ(frame_check(got, &number), TEST_OK);
			TEST_EQ(number, i);
			rte_pktmbuf_free(got);
			TEST_EQ(m->ol_flags, RTE_MBUF_F_TX_VLAN);
			TEST_EQ(frame_check(m, &number), TEST_OK);
			rte_pktmbuf_free(m);
		}
	m = frame_make(bench_pool, 1, 200, 1); /* without the flag nothing is inserted */
	m->vlan_tci = TCI;
	TEST_EQ(exchange(m, &got), TEST_OK);
	TEST_EQ(untag(got), 0);
	rte_pktmbuf_free(got);
	return vlan_down();
}

/* Both in one: what a inserts b strips. */
static int
vlan_offload_strips_and_inserts(void)
{
	struct rte_mbuf *m, *got;
	uint32_t number;

	TEST_EQ(vlan_up(RTE_ETH_RX_OFFLOAD_VLAN_STRIP, RTE_ETH_TX_OFFLOAD_VLAN_INSERT), TEST_OK);
	TEST_EQ(rte_eth_dev_get_vlan_offload(port_b), RTE_ETH_VLAN_STRIP_OFFLOAD);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		m = frame_make(bench_pool, i, lens[i], 2);
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = (uint16_t)(TCI + i);
		TEST_EQ(exchange(m, &got), TEST_OK);
		TEST_EQ(got->ol_flags, STRIPPED);
		TEST_EQ(got->vlan_tci, TCI + i);
		TEST_EQ(frame_check(got, &number), TEST_OK);
		TEST_EQ(number, i);
		rte_pktmbuf_free(got);
	}
	return vlan_down();
}

/* A tagged frame, and one behind it that always comes. */
static int
expect_vlan(uint16_t tci, bool comes)
{
	struct rte_mbuf *got, *m = make_tagged(100, tci);

	TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 1);
	TEST_EQ(exchange(frame_make(bench_pool, 1, 100, 1), &got), TEST_OK);
	if (comes) {
		TEST_EQ(untag(got), tci);
		rte_pktmbuf_free(got);
		while (rte_eth_rx_burst(port_b, 0, &got, 1) == 0)
			;
	}
	TEST_EQ(untag(got), 0);
	rte_pktmbuf_free(got);
	return TEST_OK;
}

static int
vlan_filter_takes_the_vlans_of_its_table(void)
{
	TEST_EQ(vlan_up(RTE_ETH_RX_OFFLOAD_VLAN_FILTER, 0), TEST_OK);
	TEST_EQ(expect_vlan(TCI, false), TEST_OK);
	TEST_EQ(rte_eth_dev_vlan_filter(port_b, 5, 1), 0);
	TEST_EQ(rte_eth_dev_vlan_filter(port_b, 4094, 1), 0);
	TEST_EQ(expect_vlan(TCI, true), TEST_OK);
	TEST_EQ(expect_vlan(4094, true), TEST_OK);
	TEST_EQ(expect_vlan(6, false), TEST_OK);
	TEST_EQ(rte_eth_dev_vlan_filter(port_b, 5, 0), 0);
	TEST_EQ(expect_vlan(TCI, false), TEST_OK);
	TEST_EQ(port_xstat(port_b, "dev_to_drop_vlan"), 3);
	TEST_EQ(rte_eth_dev_set_vlan_offload(port_b, 0), 0);
	TEST_EQ(expect_vlan(TCI, true), TEST_OK);
	TEST_EQ(rte_eth_dev_set_vlan_offload(port_b, RTE_ETH_VLAN_FILTER_OFFLOAD), 0);
	TEST_EQ(expect_vlan(TCI, false), TEST_OK);
	TEST_EQ(rte_eth_dev_stop(port_b), 0);
	TEST_EQ(rte_eth_dev_start(port_b), 0);
	TEST_EQ(switch_down(), TEST_OK);
	TEST_EQ(switch_up(), TEST_OK);
	TEST_EQ(wait_link(port_b, true, WAIT_MS), TEST_OK);
	TEST_EQ(wait_link(port_a, true, WAIT_MS), TEST_OK);
	TEST_EQ(expect_vlan(TCI, false), TEST_OK);
	TEST_EQ(expect_vlan(4094, true), TEST_OK);
	return vlan_down();
}

static const struct test_case cases[] = {
	TEST_CASE(vlan_strip_takes_the_tag_out_of_the_frame),
	TEST_CASE(vlan_strip_is_switched_at_run_time),
	TEST_CASE(vlan_insert_puts_the_tag_into_the_frame),
	TEST_CASE(vlan_offload_strips_and_inserts),
	TEST_CASE(vlan_filter_takes_the_vlans_of_its_table),
};
TEST_SUITE(vlan, cases);
