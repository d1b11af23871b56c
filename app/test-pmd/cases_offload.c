/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Checksums and segments that a leaves open arrive at b made, and b is told of it if it wants to be.
 * What arrives is verified with DPDK's own checksum functions and put together again.
 */
#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "bench.h"

#define TSO_SEGSZ 1400u
#define WAIT_MS 5000
#define L2 RTE_ETHER_HDR_LEN
#define OFFLOADS (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM | \
		  RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO)

#define RX_CKSUMS (RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
#define TAG 4u

struct kind {
	bool ipv6, udp, tso;
	bool tag;   /* inserted on the way */
	bool plain; /* the checksum is the application's own affair */
};

static uint64_t flags_expected; /* of frames whose checksum was left open */

static uint8_t
payload_byte(uint32_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

static int
offloads_up_with(uint64_t rx_offloads)
{
	const struct port_conf a = { .nb_rx = 1, .nb_tx = 1,
				     .tx_offloads = OFFLOADS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT };
	const struct port_conf b = { .nb_rx = 1, .nb_tx = 1, .rx_offloads = rx_offloads };
	struct rte_eth_dev_info info;

	flags_expected = rx_offloads != 0 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(rte_eth_dev_info_get(port_a, &info), 0);
	TEST_EQ(info.tx_offload_capa & OFFLOADS, OFFLOADS);
	return ports_up(&a, &b);
}

static int
offloads_up(void)
{
	return offloads_up_with(0);
}

static int
offloads_down(void)
{
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static uint32_t
put_ip(uint8_t *ip, const struct kind *k, uint16_t l4_len)
{
	struct rte_ipv4_hdr *v4 = (void *)ip;
	struct rte_ipv6_hdr *v6 = (void *)ip;
	uint8_t proto = k->udp ? IPPROTO_UDP : IPPROTO_TCP;

	memset(ip, 0, sizeof(*v6));
	if (k->ipv6) {
		v6->vtc_flow = rte_cpu_to_be_32(0x60000000);
		v6->payload_len = rte_cpu_to_be_16(l4_len);
		v6->proto = proto;
		v6->hop_limits = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
		return sizeof(*v6);
	}
	v4->version_ihl = 0x45;
	v4->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*v4) + l4_len));
	v4->packet_id = rte_cpu_to_be_16(77);
	v4->time_to_live = 64;
	v4->next_proto_id = proto;
	v4->src_addr = rte_cpu_to_be_32(0xc0000201);
	v4->dst_addr = rte_cpu_to_be_32(0xc0000202);
	return sizeof(*v4);
}

/* Headers in the first mbuf, payload after them over as many as it takes. */
static struct rte_mbuf *
make_packet(const struct kind *k, uint32_t payload)
{
	uint32_t l4_len = k->udp ? sizeof(struct rte_udp_hdr) : sizeof(struct rte_tcp_hdr);
	struct rte_mbuf *head = frame_make(bench_pool, 0, 100, 1), *m = head;
	uint8_t *frame = rte_pktmbuf_mtod(head, uint8_t *), *l4;
	uint32_t at = 0;

	head->l2_len = L2;
	head->l3_len = put_ip(frame + L2, k, (uint16_t)(l4_len + payload)) & 0x1ff;
	head->l4_len = l4_len & 0xff;
	frame[12] = k->ipv6 ? 0x86 : 0x08;
	frame[13] = k->ipv6 ? 0xdd : 0x00;
	l4 = frame + L2 + head->l3_len;
	memset(l4, 0, l4_len);
	l4[12] = k->udp ? 0 : 0x50;
	if (k->udp)
		((struct rte_udp_hdr *)l4)->dgram_len = rte_cpu_to_be_16((uint16_t)(l4_len + payload));
	head->data_len = (uint16_t)(L2 + head->l3_len + l4_len);
	head->pkt_len = head->data_len + payload;
	head->ol_flags = k->ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	head->ol_flags |= k->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	if (k->tso) {
		head->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		head->tso_segsz = TSO_SEGSZ;
	}
	if (k->plain)
		head->ol_flags = 0;
	if (k->tag) {
		head->ol_flags |= RTE_MBUF_F_TX_VLAN;
		head->vlan_tci = 7;
	}
	while (at < payload) {
		if (rte_pktmbuf_tailroom(m) == 0) {
			m->next = rte_pktmbuf_alloc(bench_pool);
			m = m->next;
			head->nb_segs++;
		}
		rte_pktmbuf_mtod(m, uint8_t *)[m->data_len++] = payload_byte(at++);
	}
	return head;
}

/* Its checksums and payload; at: where that stands in the whole, moved on. */
static int
check_received(const struct kind *k, const struct rte_mbuf *m, uint32_t *at)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t l2 = L2 + (k->tag ? TAG : 0);
	const void *ip = frame + l2;
	uint32_t l3 = k->ipv6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	const void *l4 = frame + l2 + l3;
	uint32_t hdr = l2 + l3 + (k->udp ? sizeof(struct rte_udp_hdr) : sizeof(struct rte_tcp_hdr));

	TEST_EQ(m->nb_segs, 1);
	TEST_EQ(m->ol_flags, k->plain ? 0 : flags_expected);
	if (k->tag)
		TEST_MEM_EQ(frame + 12, ((const uint8_t[]){ 0x81, 0, 0, 7 }), TAG);
	if (k->plain) {
		/* nobody has looked at it */
	} else if (k->ipv6) {
		TEST_EQ(rte_ipv6_udptcp_cksum_verify(ip, l4), 0);
	} else {
		TEST_EQ(rte_raw_cksum(ip, l3), 0xffff);
		TEST_EQ(rte_ipv4_udptcp_cksum_verify(ip, l4), 0);
	}
	if (k->tso)
		TEST_EQ(rte_be_to_cpu_32(((const struct rte_tcp_hdr *)l4)->sent_seq), *at);
	for (uint32_t i = hdr; i < m->data_len; i++, (*at)++)
		TEST_EQ(frame[i], payload_byte(*at));
	return TEST_OK;
}

/* One packet from a, until all of its payload has come to b. */
static int
send_and_check(const struct kind *k, uint32_t payload)
{
	struct rte_mbuf *m = make_packet(k, payload), *got;
	uint64_t deadline = now_ms() + WAIT_MS;
	uint32_t at = 0;
	bool first = true;

	TEST_EQ(rte_eth_tx_prepare(port_a, 0, &m, 1), 1);
	TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 1);
	while (first || at < payload) {
		TEST_ASSERT_MSG(now_ms() < deadline, "%u of %u bytes arrived", at, payload);
		if (rte_eth_rx_burst(port_b, 0, &got, 1) == 0)
			continue;
		first = false;
		TEST_EQ(check_received(k, got, &at), TEST_OK);
		rte_pktmbuf_free(got);
	}
	TEST_EQ(at, payload);
	return TEST_OK;
}

static int
checksums_are_made_on_the_way(void)
{
	static const struct kind kinds[] = { { .udp = true }, { 0 }, { .ipv6 = true, .udp = true },
					     { .ipv6 = true } };

	TEST_EQ(offloads_up(), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++)
		for (uint32_t payload = 0; payload < 1400; payload += 1 + payload / 3)
			TEST_EQ(send_and_check(&kinds[i], payload), TEST_OK);
	return offloads_down();
}

/* What the switch completes it vouches for; of other frames it knows nothing. */
static int
checksums_are_told_to_who_wants_to_hear(void)
{
	static const struct kind kinds[] = {
		{ .udp = true }, { 0 }, { .ipv6 = true, .udp = true }, { .ipv6 = true },
		{ .tso = true }, { .ipv6 = true, .tso = true }, { .plain = true },
		{ .ipv6 = true, .udp = true, .plain = true },
	};
	struct rte_eth_dev_info info;

	TEST_EQ(offloads_up_with(RX_CKSUMS), TEST_OK);
	TEST_EQ(rte_eth_dev_info_get(port_b, &info), 0);
	TEST_EQ(info.rx_offload_capa & RX_CKSUMS, RX_CKSUMS);
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++)
		for (uint32_t payload = 1; payload < (kinds[i].tso ? 10000u : 1400u);
		     payload += 1 + payload / 3)
			TEST_EQ(send_and_check(&kinds[i], payload), TEST_OK);
	return offloads_down();
}

static int
tags_go_together_with_checksums_and_segments(void)
{
	static const struct kind kinds[] = { { .udp = true, .tag = true }, { .tag = true },
					     { .tso = true, .tag = true },
					     { .ipv6 = true, .tso = true, .tag = true } };

	TEST_EQ(offloads_up(), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++)
		for (uint32_t payload = 1; payload < 1400; payload += 1 + payload / 2)
			TEST_EQ(send_and_check(&kinds[i], payload), TEST_OK);
	return offloads_down();
}

static int
large_frames_are_cut_on_the_way(void)
{
	static const struct kind kinds[] = { { .tso = true }, { .ipv6 = true, .tso = true } };

	TEST_EQ(offloads_up(), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++)
		for (uint32_t payload = 1; payload < 30000; payload += 1 + payload / 2)
			TEST_EQ(send_and_check(&kinds[i], payload), TEST_OK);
	return offloads_down();
}

/* What cannot be expressed is said by tx_prepare, and dropped if the application doesn't ask. */
static int
wrong_headers_are_refused(void)
{
	const struct kind k = { 0 };
	struct rte_mbuf *m;

	TEST_EQ(offloads_up(), TEST_OK);
	for (unsigned int i = 0; i < 4; i++) {
		m = make_packet(&k, 500);
		switch (i) {
		case 0: m->l3_len = 24; break;
		case 1: m->l2_len = 18; break;
		case 2: rte_pktmbuf_mtod(m, uint8_t *)[23] = IPPROTO_SCTP; break;
		case 3: m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG; break; /* of size 0 */
		}
		TEST_EQ(rte_eth_tx_prepare(port_a, 0, &m, 1), 0);
		TEST_EQ(rte_errno, EINVAL);
		TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 1);
		TEST_EQ(port_xstat(port_a, "tx_drop_hints"), i + 1);
	}
	m = make_packet(&k, 500);
	m->ol_flags |= RTE_MBUF_F_TX_QINQ;
	TEST_EQ(rte_eth_tx_prepare(port_a, 0, &m, 1), 0);
	TEST_EQ(rte_errno, ENOTSUP);
	rte_pktmbuf_free(m);
	TEST_EQ(send_and_check(&k, 500), TEST_OK);
	return offloads_down();
}

static const struct test_case cases[] = {
	TEST_CASE(checksums_are_made_on_the_way),
	TEST_CASE(checksums_are_told_to_who_wants_to_hear),
	TEST_CASE(tags_go_together_with_checksums_and_segments),
	TEST_CASE(large_frames_are_cut_on_the_way),
	TEST_CASE(wrong_headers_are_refused),
};
TEST_SUITE(offload, cases);
