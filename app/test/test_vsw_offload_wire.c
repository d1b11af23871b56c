/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Checksum and segmentation hints to an uplink (specification 4.8): carried out by the switch, or
 * left to a device that can; and what a device found out about frames from the wire.
 */
#include "test_vsw_packet.h"

static uint8_t frame[PACKET_MAX], expected[PACKET_MAX];
static struct sw_frame got;

static int
frames_are_cut_for_the_wire(void)
{
	/* Unknown addresses are flooded: with the default a fast machine is too fast. */
	struct vsw_conf conf = { .nb_lcores = 1, .lcores = { 1 }, .flood_mbps = 1000000 };
	struct sw_guest_conf a = { .features = ALL };
	uint64_t parts = 0;
	struct sw sw;

	sw_random_seed(9);
	SW_DO(sw_open(&sw, &conf));
	SW_DO(sw_add_guest(&sw, &a, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL)); /* its address only */
	SW_DO(sw_add_uplink(&sw, false));
	for (unsigned int i = 0; i < PACKET_ROUNDS; i++) {
		struct packet p = packet_random(i % 2 ? 60000 : 1000, false);
		uint32_t gso_size = 600 + sw_random() % 800;
		struct nfe_hints h = packet_hints(&p, (uint16_t)gso_size);

		p.payload++;
		packet_make(frame, &sw, &p, true);
		frame[1] ^= 0x40; /* nobody's address */
		sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p),
			      packet_random_segs(packet_len(&p)),
			      NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
		sw_publish(CHAN(A(sw)));
		vsw_lcore_turn(sw.vsw->lcore[0]);
		for (uint32_t at = 0; at < p.payload; at += gso_size, parts++) {
			TEST_EQ(sw_wire_recv(&sw, &got), 1);
			got.bytes[1] ^= 0x40;
			SW_DO(packet_check_part(&sw, &p, frame, &got, at, gso_size, false));
		}
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_parts), parts);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_frames), PACKET_ROUNDS);
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

static int
checksum_is_completed_for_the_wire(void)
{
	struct packet p = { .payload = 500, .seed = 4 };
	struct nfe_hints h = packet_hints(&p, 0);
	struct sw_guest_conf a = { .features = ALL };
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, &a, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	packet_make(frame, &sw, &p, true);
	packet_make(expected, &sw, &p, false);
	frame[1] ^= 0x40;
	expected[1] ^= 0x40;
	sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 3, NFE_MSG_F_CSUM_PARTIAL, &h);
	sw_publish(CHAN(A(sw)));
	vsw_lcore_turn(sw.vsw->lcore[0]);
	TEST_EQ(sw_wire_recv(&sw, &got), 1);
	TEST_EQ(got.len, packet_len(&p));
	TEST_MEM_EQ(got.bytes, expected, got.len);
	return sw_close(&sw);
}

static int
vanished_headers_do_not_reach_the_wire(void)
{
	static const uint8_t flags[] = { NFE_MSG_F_CSUM_PARTIAL, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO };
	struct packet p = { .payload = 500, .seed = 4 };
	struct sw_guest_conf a = { .features = ALL };
	struct sw sw;

	for (unsigned int i = 0; i < RTE_DIM(flags); i++) {
		struct nfe_hints h = packet_hints(&p, flags[i] & NFE_MSG_F_GSO ? 300 : 0);

		SW_DO(sw_open(&sw, NULL));
		SW_DO(sw_add_guest(&sw, &a, NULL));
		SW_DO(sw_add_guest(&sw, NULL, NULL)); /* its address only */
		SW_DO(sw_add_uplink(&sw, false));
		packet_make(frame, &sw, &p, true);
		frame[1] ^= 0x40; /* nobody's address */
		SW_DO(packet_send_vanished(&sw, frame, &p, flags[i], &h));
		TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_drop_fault), 1);
		TEST_EQ(sw_wire_recv(&sw, &got), 0);
		vsw_service(sw.vsw);
		TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_FAILED);
		TEST_EQ(nfed_function_reason(A(sw)->fn), NFE_REASON_MEMORY_GONE);
		SW_DO(sw_close(&sw));
	}
	return TEST_OK;
}

/* An uplink whose device makes checksums and segments: net_ring doesn't, so one sees what it is
 * told. */
static int
open_able_uplink(struct sw *sw)
{
	struct vsw_conf conf = { .nb_lcores = 1, .lcores = { 1 }, .flood_mbps = 1000000 };
	struct sw_guest_conf a = { .features = ALL };
	struct vsw_uplink *u;

	sw_random_seed(11);
	SW_DO(sw_open(sw, &conf));
	SW_DO(sw_add_guest(sw, &a, NULL));
	SW_DO(sw_add_guest(sw, NULL, NULL)); /* its address only */
	SW_DO(sw_add_uplink(sw, false));
	u = sw->uplink->uplink;
	TEST_TRUE(!u->sums && !u->cuts && u->max_len == u->room);
	u->sums = u->cuts = true;
	u->max_len = u->room * VSW_UPLINK_MAX_SEGS;
	return TEST_OK;
}

static void
send_out(struct sw *sw, const struct packet *p, uint8_t flags, const struct nfe_hints *h)
{
	frame[1] ^= 0x40; /* nobody's address */
	sw_put_hinted(CHAN(A(*sw)), frame, packet_len(p), packet_random_segs(packet_len(p)), flags,
		      h);
	sw_publish(CHAN(A(*sw)));
	vsw_lcore_turn(sw->vsw->lcore[0]);
}

/* The next mbuf on the wire: the frame as it was sent, and what the device is to do with it.
 * gso_size 0: not to cut it; ip: the checksum of IPv4 too. */
static int
check_offloaded(struct sw *sw, const struct packet *p, uint16_t gso_size, bool ip)
{
	uint64_t flags = (p->ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) |
			 (p->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM);
	const char *why;
	struct rte_mbuf *m;

	flags |= (gso_size != 0 ? RTE_MBUF_F_TX_TCP_SEG : 0) |
		 (ip && !p->ipv6 ? RTE_MBUF_F_TX_IP_CKSUM : 0);
	TEST_EQ(rte_ring_dequeue(sw->wire[0], (void **)&m), 0);
	TEST_EQ(m->ol_flags, flags);
	TEST_EQ(m->l2_len, packet_ip_at(p));
	TEST_EQ(m->l3_len, packet_l4_at(p) - packet_ip_at(p));
	TEST_EQ(m->l4_len, gso_size != 0 ? packet_payload_at(p) - packet_l4_at(p) : 0);
	TEST_EQ(m->tso_segsz, gso_size);
	TEST_EQ(m->pkt_len, packet_len(p));
	TEST_EQ(rte_mbuf_check(m, 1, &why), 0);
	TEST_MEM_EQ(rte_pktmbuf_read(m, 0, m->pkt_len, expected), frame, packet_len(p));
	rte_pktmbuf_free(m);
	return TEST_OK;
}

static int
checksums_and_cuts_are_left_to_a_device_that_can(void)
{
	struct sw sw;

	SW_DO(open_able_uplink(&sw));
	for (unsigned int i = 0; i < PACKET_ROUNDS; i++) {
		bool cut = i % 2;
		struct packet p = packet_random(cut ? 60000 : 1000, !cut);
		uint16_t gso_size = cut ? (uint16_t)(512 + sw_random() % 800) : 0;
		struct nfe_hints h = packet_hints(&p, gso_size);

		p.payload += cut ? gso_size + 1 : 40; /* no inline frame: those have no hints */
		packet_make(frame, &sw, &p, true);
		send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | (cut ? NFE_MSG_F_GSO : 0), &h);
		SW_DO(check_offloaded(&sw, &p, gso_size, cut));
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_parts), 0);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_frames), PACKET_ROUNDS);
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

/* TCP data that is not longer than a segment: not every device takes it as data to be cut. */
static int
one_segment_is_left_to_a_device_as_a_checksum(void)
{
	struct sw sw;

	SW_DO(open_able_uplink(&sw));
	for (unsigned int i = 0; i < PACKET_ROUNDS; i++) {
		struct packet p = packet_random(600, false);
		struct nfe_hints h = packet_hints(&p, 1300);

		p.payload = i % 2 ? 1300 : 300 + p.payload;
		packet_make(frame, &sw, &p, true);
		send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
		SW_DO(check_offloaded(&sw, &p, 0, true));
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_parts), 0);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_frames), PACKET_ROUNDS);
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

/* Short segments, and frames of more mbufs than the device takes. */
static int
what_the_device_should_not_cut_is_cut_here(void)
{
	struct packet p = { .payload = 9000, .seed = 3 };
	struct sw sw;

	SW_DO(open_able_uplink(&sw));
	for (unsigned int i = 0; i < 2; i++) {
		uint16_t gso_size = i == 0 ? 511 : 1400;
		struct nfe_hints h = packet_hints(&p, gso_size);

		if (i == 1)
			sw.uplink->uplink->max_len = 9000;
		packet_make(frame, &sw, &p, true);
		send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
		for (uint32_t at = 0; at < p.payload; at += gso_size) {
			TEST_EQ(sw_wire_recv(&sw, &got), 1);
			got.bytes[1] ^= 0x40;
			SW_DO(packet_check_part(&sw, &p, frame, &got, at, gso_size, false));
		}
	}
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

/* What is not seen before the frame lies in memory of our own. */
static int
device_is_not_told_what_makes_no_sense(void)
{
	struct packet p = { .payload = 3000, .seed = 1 };
	struct nfe_hints h = packet_hints(&p, 1400), wide = packet_hints(&p, 1480);
	struct sw sw;

	SW_DO(open_able_uplink(&sw));
	for (unsigned int words = 0; words < 5; words++) {
		packet_make(frame, &sw, &p, true);
		frame[46] = (uint8_t)(words << 4);
		send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_drop_hints), 5);
	packet_make(frame, &sw, &p, true);
	send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &wide); /* beyond MTU 1500 */
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_drop_too_long), 1);
	TEST_TRUE(rte_ring_empty(sw.wire[0]));
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

/* The uplink's device found it good: guests that want to know are told, others get the frame. */
static int
good_checksums_from_the_wire_are_vouched_for(void)
{
	static const uint32_t lens[] = { 100, 1000 };
	struct sw_guest_conf conf[2] = { { .features = SW_BASIC | NFE_F_CSUM_TO_HOST },
					 { .features = SW_BASIC } };
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	for (unsigned int i = 0; i < 2; i++) {
		SW_DO(sw_add_guest(&sw, &conf[i], NULL));
		sw_post(CHAN(sw.guest[i]), 8);
	}
	SW_DO(sw_add_uplink(&sw, false));
	sw.uplink->uplink->checks = true;
	for (unsigned int i = 0; i < 8; i++) {
		struct sw_guest *g = sw.guest[i & 1];
		uint32_t len = lens[i >> 1 & 1];
		struct rte_mbuf *m = rte_pktmbuf_alloc(sw.uplink->uplink->pool);

		sw_make_frame(frame, len, g->mac, (const uint8_t[]){ 2, 9, 9, 9, 9, 9 }, i);
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
		m->ol_flags = i < 4 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : RTE_MBUF_F_RX_L4_CKSUM_BAD;
		rte_ring_enqueue(sw.wire[0], m);
		SW_DO(sw_turn(&sw));
		TEST_EQ(sw_recv(CHAN(g), &got), 1);
		TEST_EQ(got.flags, i < 4 && g == A(sw) ? NFE_MSG_F_CSUM_OK : 0);
		TEST_EQ(got.len, len);
		TEST_MEM_EQ(got.bytes, frame, len);
	}
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(frames_are_cut_for_the_wire),
	TEST_CASE(checksum_is_completed_for_the_wire),
	TEST_CASE(vanished_headers_do_not_reach_the_wire),
	TEST_CASE(checksums_and_cuts_are_left_to_a_device_that_can),
	TEST_CASE(one_segment_is_left_to_a_device_as_a_checksum),
	TEST_CASE(what_the_device_should_not_cut_is_cut_here),
	TEST_CASE(device_is_not_told_what_makes_no_sense),
	TEST_CASE(good_checksums_from_the_wire_are_vouched_for),
};
TEST_SUITE(vsw_offload_wire, cases);
