/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * RSS: a sends flows, b has four receive queues. On which queue a frame comes, and the hash in its
 * mbuf, are compared with what DPDK's own Toeplitz hash of the frame as it arrived says.
 */
#include <errno.h>

#include <rte_ip.h>
#include <rte_thash.h>

#include "bench.h"

#define QUEUES 4u
#define RETA 128u
#define KEY_LEN 40u
#define WAIT_MS 5000
#define L2 RTE_ETHER_HDR_LEN
#define ALL_TYPES (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP | \
		   RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)

static int
rss_up(uint64_t hf, uint64_t offloads)
{
	const struct port_conf a = { .nb_rx = 1, .nb_tx = 1 };
	const struct port_conf b = { .nb_rx = QUEUES, .nb_tx = 1, .rss_hf = hf,
				     .rx_offloads = offloads };
	struct rte_eth_dev_info info;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(rte_eth_dev_info_get(port_b, &info), 0);
	TEST_EQ(info.reta_size, RETA);
	TEST_EQ(info.hash_key_size, KEY_LEN);
	TEST_EQ(info.flow_type_rss_offloads, ALL_TYPES);
	return ports_up(&a, &b);
}

static int
rss_down(void)
{
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

/* Flow number flow: of four kinds, its ports and addresses follow from it. */
static struct rte_mbuf *
make_flow(uint32_t flow, uint32_t len)
{
	struct rte_mbuf *m = frame_make(bench_pool, flow, len, 1);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + L2, *ports;
	bool ipv6 = flow & 1;

	memset(ip, 0, 60);
	frame[12] = ipv6 ? 0x86 : 0x08;
	frame[13] = ipv6 ? 0xdd : 0x00;
	ip[0] = ipv6 ? 0x60 : 0x45;
	ip[ipv6 ? 6 : 9] = flow & 2 ? IPPROTO_UDP : IPPROTO_TCP;
	memcpy(ip + (ipv6 ? 8 : 12), &flow, sizeof(flow));
	ports = ip + (ipv6 ? 40 : 20);
	ports[0] = (uint8_t)(flow >> 2);
	ports[3] = (uint8_t)(flow * 7);
	return m;
}

/* False: a frame of no type in hf. */
static bool
expected_hash(const struct rte_mbuf *m, uint64_t hf, const uint8_t *key, uint32_t *hash)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *), *ip = frame + L2;
	bool ipv6 = frame[12] == 0x86, udp = ip[ipv6 ? 6 : 9] == IPPROTO_UDP;
	uint32_t addrs = ipv6 ? 32 : 8, tuple[9], dwords = addrs / 4;
	uint64_t with_ports = ipv6 ? (udp ? RTE_ETH_RSS_NONFRAG_IPV6_UDP :
					    RTE_ETH_RSS_NONFRAG_IPV6_TCP) :
				     (udp ? RTE_ETH_RSS_NONFRAG_IPV4_UDP :
					    RTE_ETH_RSS_NONFRAG_IPV4_TCP);

	memcpy(tuple, ip + (ipv6 ? 8 : 12), addrs);
	memcpy(&tuple[dwords], ip + (ipv6 ? 40 : 20), 4);
	if (hf & with_ports)
		dwords++;
	else if (!(hf & (ipv6 ? RTE_ETH_RSS_IPV6 : RTE_ETH_RSS_IPV4)))
		return false;
	for (uint32_t i = 0; i < dwords; i++)
		tuple[i] = rte_be_to_cpu_32(tuple[i]);
	*hash = rte_softrss(tuple, dwords, key);
	return true;
}

struct rss { /* as the port says it is */
	uint8_t key[KEY_LEN];
	uint64_t hf;
	struct rte_eth_rss_reta_entry64 reta[RETA / RTE_ETH_RETA_GROUP_SIZE];
	bool told; /* RTE_ETH_RX_OFFLOAD_RSS_HASH */
};

static int
rss_get(struct rss *rss, bool told)
{
	struct rte_eth_rss_conf conf = { .rss_key = rss->key, .rss_key_len = KEY_LEN };

	TEST_EQ(rte_eth_dev_rss_hash_conf_get(port_b, &conf), 0);
	rss->hf = conf.rss_hf;
	rss->told = told;
	memset(rss->reta, 0xff, sizeof(rss->reta));
	TEST_EQ(rte_eth_dev_rss_reta_query(port_b, rss->reta, RETA), 0);
	return TEST_OK;
}

static uint16_t
reta_at(const struct rss *rss, uint32_t hash)
{
	uint32_t i = hash % RETA;

	return rss->reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
}

/* The next frame, and on which queue. */
static int
receive(struct rte_mbuf **m, uint16_t *queue)
{
	uint64_t deadline = now_ms() + WAIT_MS;

	for (*queue = 0; rte_eth_rx_burst(port_b, *queue, m, 1) == 0;
	     *queue = (*queue + 1) % QUEUES)
		TEST_TRUE(now_ms() < deadline);
	return TEST_OK;
}

/* One frame of each flow and length, one after the other. seen: a bit for each queue. */
static int
check_flows(const struct rss *rss, unsigned int *seen)
{
	static const uint32_t lens[] = { 74, 120, 121, 313, 1514 };

	*seen = 0;
	for (uint32_t flow = 0; flow < 100; flow++) {
		struct rte_mbuf *m = make_flow(flow, lens[flow % RTE_DIM(lens)]);
		uint32_t hash = 0;
		uint16_t queue;
		bool hashed;

		TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 1);
		TEST_EQ(receive(&m, &queue), TEST_OK);
		hashed = expected_hash(m, rss->hf, rss->key, &hash);
		TEST_EQ(queue, reta_at(rss, hash));
		TEST_EQ(m->ol_flags, hashed && rss->told ? RTE_MBUF_F_RX_RSS_HASH : 0);
		if (m->ol_flags != 0)
			TEST_EQ(m->hash.rss, hash);
		*seen |= 1u << queue;
		rte_pktmbuf_free(m);
	}
	return TEST_OK;
}

static int
pmdrss_hash_is_told_and_spreads_the_flows(void)
{
	static const uint64_t types[] = { ALL_TYPES, RTE_ETH_RSS_IPV4, RTE_ETH_RSS_NONFRAG_IPV6_UDP };
	unsigned int seen;
	struct rss rss;

	for (unsigned int told = 0; told < 2; told++) {
		TEST_EQ(rss_up(ALL_TYPES, told ? RTE_ETH_RX_OFFLOAD_RSS_HASH : 0), TEST_OK);
		for (unsigned int i = 0; i < RTE_DIM(types); i++) {
			struct rte_eth_rss_conf conf = { .rss_hf = types[i] };

			TEST_EQ(rte_eth_dev_rss_hash_update(port_b, &conf), 0);
			TEST_EQ(rss_get(&rss, told), TEST_OK);
			TEST_EQ(rss.hf, types[i]);
			TEST_EQ(check_flows(&rss, &seen), TEST_OK);
			TEST_EQ(seen, 0xf);
		}
		TEST_EQ(rss_down(), TEST_OK);
	}
	return TEST_OK;
}

/* A restart of the port keeps it, one of the switch as well. */
static int
pmdrss_key_update_changes_the_hash(void)
{
	uint8_t key[KEY_LEN];
	struct rte_eth_rss_conf conf = { .rss_key = key, .rss_key_len = sizeof(key),
					 .rss_hf = ALL_TYPES };
	unsigned int seen;
	struct rss rss;

	for (unsigned int i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 37 + 11);
	TEST_EQ(rss_up(ALL_TYPES, RTE_ETH_RX_OFFLOAD_RSS_HASH), TEST_OK);
	TEST_EQ(rte_eth_dev_rss_hash_update(port_b, &conf), 0);
	for (unsigned int restart = 0; restart < 3; restart++) {
		TEST_EQ(rss_get(&rss, true), TEST_OK);
		TEST_MEM_EQ(rss.key, key, sizeof(key));
		TEST_EQ(check_flows(&rss, &seen), TEST_OK);
		if (restart == 0) {
			TEST_EQ(rte_eth_dev_stop(port_b), 0);
			TEST_EQ(rte_eth_dev_start(port_b), 0);
		} else if (restart == 1) {
			TEST_EQ(switch_down(), TEST_OK);
			TEST_EQ(switch_up(), TEST_OK);
			TEST_EQ(wait_link(port_b, true, WAIT_MS), TEST_OK);
			TEST_EQ(wait_link(port_a, true, WAIT_MS), TEST_OK);
		}
	}
	conf.rss_key_len = 16;
	TEST_EQ(rte_eth_dev_rss_hash_update(port_b, &conf), -EINVAL);
	conf.rss_key = NULL;
	conf.rss_hf = RTE_ETH_RSS_SCTP;
	TEST_EQ(rte_eth_dev_rss_hash_update(port_b, &conf), -EINVAL);
	TEST_EQ(check_flows(&rss, &seen), TEST_OK);
	return rss_down();
}

static int
pmdrss_reta_update_moves_the_flows(void)
{
	struct rte_eth_rss_reta_entry64 part[RETA / RTE_ETH_RETA_GROUP_SIZE] = { 0 };
	unsigned int seen;
	struct rss rss;

	TEST_EQ(rss_up(ALL_TYPES, 0), TEST_OK);
	TEST_EQ(rss_get(&rss, false), TEST_OK);
	for (uint32_t i = 0; i < RETA; i++)
		TEST_EQ(reta_at(&rss, i), i % QUEUES);
	for (uint16_t queue = 0; queue < QUEUES; queue++) {
		for (uint32_t i = 0; i < RETA; i++)
			rss.reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
				queue;
		TEST_EQ(rte_eth_dev_rss_reta_update(port_b, rss.reta, RETA), 0);
		TEST_EQ(rss_get(&rss, false), TEST_OK);
		TEST_EQ(check_flows(&rss, &seen), TEST_OK);
		TEST_EQ(seen, 1u << queue);
	}
	part[1].mask = 0xff; /* entries 64..71 */
	TEST_EQ(rte_eth_dev_rss_reta_update(port_b, part, RETA), 0);
	TEST_EQ(rss_get(&rss, false), TEST_OK);
	for (uint32_t i = 0; i < RETA; i++)
		TEST_EQ(reta_at(&rss, i), i / 8 == 8 ? 0 : QUEUES - 1);
	TEST_EQ(switch_down(), TEST_OK);
	TEST_EQ(switch_up(), TEST_OK);
	TEST_EQ(wait_link(port_b, true, WAIT_MS), TEST_OK);
	TEST_EQ(wait_link(port_a, true, WAIT_MS), TEST_OK);
	TEST_EQ(check_flows(&rss, &seen), TEST_OK);
	part[1].reta[0] = QUEUES;
	TEST_EQ(rte_eth_dev_rss_reta_update(port_b, part, RETA), -EINVAL);
	TEST_EQ(rte_eth_dev_rss_reta_update(port_b, part, RETA / 2), -EINVAL);
	return rss_down();
}

/* Its flows go elsewhere until it is started again, and none is lost. */
static int
flows_of_a_stopped_queue_go_to_others(void)
{
	unsigned int seen, left = 0;
	struct rss rss;

	TEST_EQ(rss_up(ALL_TYPES, 0), TEST_OK);
	TEST_EQ(rss_get(&rss, false), TEST_OK);
	TEST_EQ(rte_eth_dev_rx_queue_stop(port_b, 2), 0);
	for (uint32_t flow = 0; flow < 100; flow++) {
		struct rte_mbuf *m = make_flow(flow, 200);
		uint16_t queue;

		TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 1);
		TEST_EQ(receive(&m, &queue), TEST_OK);
		left |= 1u << queue;
		rte_pktmbuf_free(m);
	}
	TEST_EQ(left, 0xb);
	TEST_EQ(rte_eth_dev_rx_queue_start(port_b, 2), 0);
	TEST_EQ(check_flows(&rss, &seen), TEST_OK);
	return rss_down();
}

static const struct test_case cases[] = {
	TEST_CASE(pmdrss_hash_is_told_and_spreads_the_flows),
	TEST_CASE(pmdrss_key_update_changes_the_hash),
	TEST_CASE(pmdrss_reta_update_moves_the_flows),
	TEST_CASE(flows_of_a_stopped_queue_go_to_others),
};
TEST_SUITE(rss, cases);
