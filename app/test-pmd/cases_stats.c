/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Statistics: what ethdev says, what xstats say and what really happened must agree. */
#include <rte_cycles.h>

#include "bench.h"

#define MAX_XSTATS 256

static const struct port_conf plain = { .nb_rx = 1, .nb_tx = 1 };

/* DTS port_stats; test_pmd_pcap: basic stats, xstats */
static int
port_stats_agree_with_what_was_sent_and_reset_to_zero(void)
{
	const struct traffic t = { .frames = 3000, .max_segs = 2 };
	struct rte_eth_stats a, b;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	for (int round = 0; round < 2; round++) {
		TEST_EQ(traffic_run(&t), TEST_OK);
		TEST_EQ(rte_eth_stats_get(port_a, &a), 0);
		TEST_EQ(rte_eth_stats_get(port_b, &b), 0);
		TEST_EQ(a.opackets, t.frames);
		TEST_EQ(b.ipackets, t.frames);
		TEST_EQ(a.obytes, b.ibytes);
		TEST_EQ(port_xstat(port_a, "tx_q0_packets"), a.opackets);
		TEST_EQ(port_xstat(port_b, "rx_q0_bytes"), b.ibytes);
		TEST_EQ(a.oerrors + b.ierrors + b.imissed + b.rx_nombuf, 0);
		TEST_EQ(port_xstat(port_a, "tx_good_packets"), t.frames);
		TEST_EQ(port_xstat(port_a, "tx_sent_inline") + port_xstat(port_a, "tx_sent_dma"),
			t.frames);
		TEST_EQ(port_xstat(port_b, "rx_got_inline") + port_xstat(port_b, "rx_got_dma"),
			t.frames);
		TEST_EQ(port_xstat(port_a, "dev_from_frames"), t.frames);
		TEST_EQ(port_xstat(port_b, "dev_to_bytes"), b.ibytes);
		TEST_EQ(rte_eth_stats_reset(port_a), 0);
		TEST_EQ(rte_eth_xstats_reset(port_b), 0);
		TEST_EQ(rte_eth_stats_get(port_a, &a), 0);
		TEST_EQ(rte_eth_stats_get(port_b, &b), 0);
		TEST_EQ(a.opackets + a.obytes + b.ipackets + b.ibytes, 0);
		TEST_EQ(port_xstat(port_b, "dev_to_frames"), 0);
	}
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static int
xstats_have_one_name_each(void)
{
	struct rte_eth_xstat_name names[MAX_XSTATS];
	struct rte_eth_xstat values[MAX_XSTATS];
	int n;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	n = rte_eth_xstats_get_names(port_a, NULL, 0);
	TEST_TRUE(n > 0 && n <= MAX_XSTATS);
	TEST_EQ(rte_eth_xstats_get_names(port_a, names, MAX_XSTATS), n);
	TEST_EQ(rte_eth_xstats_get(port_a, NULL, 0), n);
	TEST_EQ(rte_eth_xstats_get(port_a, values, 1), n); /* too small: how many it needs */
	TEST_EQ(rte_eth_xstats_get(port_a, values, MAX_XSTATS), n);
	for (int i = 0; i < n; i++) {
		TEST_EQ(values[i].id, i);
		for (int k = 0; k < i; k++)
			TEST_ASSERT_MSG(strcmp(names[i].name, names[k].name) != 0, "%s twice",
					names[i].name);
	}
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

/* test_pmd_pcap: imissed. b is not polled, so its queue fills up and the switch drops. */
static int
imissed_counts_what_a_full_receiver_lost(void)
{
	const uint32_t frames = 3000;
	struct rte_mbuf *pkts[64];
	struct rte_eth_stats b;
	uint64_t deadline = now_ms() + 5000, received = 0;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	for (uint32_t sent = 0; sent < frames;) {
		struct rte_mbuf *m = frame_make(bench_pool, sent, 200 + sent % 1000, 1);

		TEST_TRUE(m != NULL && now_ms() < deadline);
		if (rte_eth_tx_burst(port_a, 0, &m, 1) == 1)
			sent++;
		else
			rte_pktmbuf_free(m);
	}
	while (port_xstat(port_a, "dev_from_frames") < frames)
		TEST_TRUE(now_ms() < deadline);
	for (uint16_t n = 1; n > 0; received += n) {
		n = rte_eth_rx_burst(port_b, 0, pkts, RTE_DIM(pkts));
		rte_pktmbuf_free_bulk(pkts, n);
	}
	TEST_EQ(rte_eth_stats_get(port_b, &b), 0);
	TEST_TRUE(received > 0 && received < frames);
	TEST_EQ(b.ipackets, received);
	TEST_EQ(b.ipackets + b.imissed, frames);
	TEST_EQ(port_xstat(port_b, "dev_to_offered"), frames);
	TEST_EQ(rte_eth_stats_reset(port_b), 0);
	TEST_EQ(rte_eth_stats_get(port_b, &b), 0);
	TEST_EQ(b.imissed, 0);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static struct rte_mbuf *
frame_of_segments(unsigned int nb, uint16_t len)
{
	struct rte_mbuf *head = NULL;

	for (unsigned int i = 0; i < nb; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(bench_pool);

		if (m == NULL)
			return head;
		memset(rte_pktmbuf_mtod(m, void *), 0, len);
		m->data_len = len;
		m->pkt_len = len;
		if (head == NULL)
			head = m;
		else if (rte_pktmbuf_chain(head, m) != 0)
			rte_pktmbuf_free(m);
	}
	return head;
}

static int
refused_frames_are_freed_and_counted_by_reason(void)
{
	struct rte_eth_dev_info info;
	struct rte_mbuf *bad[3];
	struct rte_eth_stats a;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(rte_eth_dev_info_get(port_a, &info), 0);
	bad[0] = frame_of_segments(1, 13);
	bad[1] = frame_of_segments(info.max_rx_pktlen / 2000 + 1, 2000);
	bad[2] = frame_of_segments(info.tx_desc_lim.nb_seg_max + 3u, 60);
	TEST_EQ(rte_eth_tx_burst(port_a, 0, bad, RTE_DIM(bad)), RTE_DIM(bad));
	TEST_EQ(port_xstat(port_a, "tx_drop_runt"), 1);
	TEST_EQ(port_xstat(port_a, "tx_drop_giant"), 1);
	TEST_EQ(port_xstat(port_a, "tx_drop_segs"), 1);
	TEST_EQ(rte_eth_stats_get(port_a, &a), 0);
	TEST_EQ(a.oerrors, 3);
	TEST_EQ(a.opackets, 0);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static const struct test_case cases[] = {
	TEST_CASE(port_stats_agree_with_what_was_sent_and_reset_to_zero),
	TEST_CASE(xstats_have_one_name_each),
	TEST_CASE(imissed_counts_what_a_full_receiver_lost),
	TEST_CASE(refused_frames_are_freed_and_counted_by_reason),
};
TEST_SUITE(stats, cases);
