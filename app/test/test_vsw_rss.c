/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Which frames come to a guest, and on which channel (specification 7.11, 7.12). Hashes are compared
 * with the published examples of the Toeplitz hash, then with DPDK's own bit by bit, which is given
 * the tuple as a test describes the packet.
 */
#include <rte_thash.h>

#include <vsw_rss.h>

#include "test_vsw_fixture.h"

#define ROUNDS 600u
#define FEATURES (SW_BASIC | NFE_F_RSS | NFE_F_VLAN_FILTER)
#define ALL_CHANNELS 2u

static uint8_t frame[SW_MAX_FRAME];
static struct sw_frame got;

static const uint8_t key[NFE_RSS_KEY_LEN] = { /* of the published examples */
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
	0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
	0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

#define A(sw) ((sw)->guest[0])
#define B(sw) ((sw)->guest[1])
#define CHAN(g, n) (&(g)->chan[(n) - 1])

struct packet { /* UDP or TCP over IP, or something else over IP */
	bool vlan, ipv6, fragment;
	uint8_t proto;
	uint32_t options; /* bytes, of IPv4 */
	uint32_t len;     /* of the frame; at least what its headers take */
	uint8_t tuple[VSW_TUPLE_MAX]; /* addresses, ports, as they stand in the frame */
};

static uint32_t
ip_at(const struct packet *p)
{
	return NFE_MIN_FRAME + (p->vlan ? 4 : 0);
}

static uint32_t
addrs_len(const struct packet *p)
{
	return p->ipv6 ? 32 : 8;
}

static uint32_t
ports_at(const struct packet *p)
{
	return ip_at(p) + (p->ipv6 ? 40 : 20 + p->options);
}

static void
make_packet(const struct sw *sw, const struct packet *p)
{
	uint8_t *ip = frame + ip_at(p);

	sw_make_frame(frame, p->len, B(sw)->mac, A(sw)->mac, p->len);
	if (p->vlan)
		memcpy(frame + 12, (const uint8_t[]){ 0x81, 0, 0x20, 7 }, 4);
	memcpy(ip - 2, p->ipv6 ? "\x86\xdd" : "\x08\x00", 2);
	memset(ip, 0, p->ipv6 ? 40 : 20 + p->options);
	if (p->ipv6) {
		ip[0] = 0x60;
		ip[6] = p->proto;
		memcpy(ip + 8, p->tuple, 32);
	} else {
		ip[0] = (uint8_t)(0x45 + p->options / 4);
		ip[6] = p->fragment ? 0x20 : 0x40;
		ip[9] = p->proto;
		memcpy(ip + 12, p->tuple, 8);
	}
	memcpy(frame + ports_at(p), p->tuple + addrs_len(p), 4);
}

/* 7.11 as it is written. */
static bool
expected_hash(const struct packet *p, uint32_t types, uint32_t *hash)
{
	uint32_t with = p->proto == 6 ? (p->ipv6 ? NFE_RSS_IPV6_TCP : NFE_RSS_IPV4_TCP) :
			p->proto == 17 ? (p->ipv6 ? NFE_RSS_IPV6_UDP : NFE_RSS_IPV4_UDP) : 0;
	uint32_t bytes = addrs_len(p), tuple[VSW_TUPLE_MAX / 4];

	if (!p->fragment && (types & with) != 0)
		bytes += 4;
	else if (!(types & (p->ipv6 ? NFE_RSS_IPV6 : NFE_RSS_IPV4)))
		return false;
	for (unsigned int i = 0; i < bytes / 4; i++) {
		memcpy(&tuple[i], p->tuple + 4 * i, 4);
		tuple[i] = rte_be_to_cpu_32(tuple[i]);
	}
	*hash = rte_softrss(tuple, bytes / 4, key);
	return true;
}

static struct packet
random_packet(void)
{
	struct packet p = { .vlan = sw_random() % 3 == 0, .ipv6 = sw_random() % 2 };

	p.proto = (uint8_t)(sw_random() % 4 == 0 ? sw_random() : sw_random() % 2 ? 6 : 17);
	if (!p.ipv6) {
		p.fragment = sw_random() % 5 == 0;
		p.options = sw_random() % 3 == 0 ? sw_random() % 11 * 4 : 0;
	}
	for (unsigned int i = 0; i < sizeof(p.tuple); i++)
		p.tuple[i] = (uint8_t)sw_random();
	p.len = ports_at(&p) + 4 + sw_random() % (sw_random() % 2 ? 40 : 1400);
	return p;
}

static int
set_hash(struct sw_guest *g, uint32_t types, uint32_t flags)
{
	struct nfe_req req = { .op = NFE_OP_RSS_HASH, .rss_hash = { .types = types, .flags = flags } };

	memcpy(req.rss_hash.key, key, sizeof(key));
	TEST_EQ(fake_request(&g->g, &req, NULL), 0);
	return TEST_OK;
}

/* All entries: channel; 0: every second one the other. */
static int
set_reta(struct sw_guest *g, uint16_t channel)
{
	for (uint16_t first = 0; first < NFE_RSS_RETA_SIZE; first += NFE_RSS_RETA_PER_REQ) {
		struct nfe_req req = { .op = NFE_OP_RSS_RETA, .rss_reta = { .first = first } };
		uint16_t n = RTE_MIN(NFE_RSS_RETA_SIZE - first, NFE_RSS_RETA_PER_REQ);

		req.rss_reta.n = n;
		for (uint16_t i = 0; i < n; i++)
			req.rss_reta.channel[i] = channel ? channel : 1 + (first + i) % 2;
		TEST_EQ(fake_request(&g->g, &req, NULL), 0);
	}
	return TEST_OK;
}

static int
set_vlan(struct sw_guest *g, uint16_t vlan)
{
	struct nfe_req req = { .op = NFE_OP_VLANS, .vlans = { .first = vlan / 64 * 64 } };

	req.vlans.map[0] = UINT64_C(1) << vlan % 64;
	TEST_EQ(fake_request(&g->g, &req, NULL), 0);
	return TEST_OK;
}

static int
set_mode(struct sw_guest *g, uint32_t mode)
{
	struct nfe_req req = { .op = NFE_OP_RX_MODE, .rx_mode.mode = mode };

	TEST_EQ(fake_request(&g->g, &req, NULL), 0);
	return TEST_OK;
}

static int
two_open(struct sw *sw)
{
	struct sw_guest_conf b = { .features = FEATURES, .channels = ALL_CHANNELS };

	sw_random_seed(11);
	SW_DO(sw_open(sw, NULL));
	SW_DO(sw_add_guest(sw, NULL, NULL));
	SW_DO(sw_add_guest(sw, &b, NULL));
	return TEST_OK;
}

/* The packet from a; *at: the channel of b that it came to, in got. */
static int
send_packet(struct sw *sw, const struct packet *p, unsigned int *at)
{
	for (unsigned int n = 1; n <= ALL_CHANNELS; n++)
		sw_post(CHAN(B(sw), n), 4 - (CHAN(B(sw), n)->fq_prod - CHAN(B(sw), n)->fill_end));
	make_packet(sw, p);
	sw_put_frame(CHAN(A(sw), 1), frame, p->len);
	sw_publish(CHAN(A(sw), 1));
	SW_DO(sw_turn(sw));
	*at = 0;
	for (unsigned int n = 1; n <= ALL_CHANNELS; n++) {
		int rc = sw_recv(CHAN(B(sw), n), &got);

		TEST_TRUE(rc >= 0);
		if (rc == 0)
			continue;
		TEST_EQ(*at, 0);
		*at = n;
		TEST_EQ(got.len, p->len);
		TEST_MEM_EQ(got.bytes, frame, got.len);
		if (sw_recv(CHAN(B(sw), n), &got) != 0)
			return TEST_FAILED;
	}
	TEST_TRUE(*at != 0);
	return TEST_OK;
}

static int
published_examples_hash_as_published(void)
{
	static const struct {
		struct packet p;
		uint32_t addrs, ports; /* hashes */
	} example[] = {
		{ { .proto = 6, .len = 60, .tuple = { 66, 9, 149, 187, 161, 142, 100, 80,
						      2794 >> 8, 2794 & 0xff, 1766 >> 8, 1766 & 0xff } },
		  0x323e8fc2, 0x51ccc178 },
		{ { .proto = 6, .len = 200, .tuple = { 199, 92, 111, 2, 65, 69, 140, 83, 14230 >> 8,
						       14230 & 0xff, 4739 >> 8, 4739 & 0xff } },
		  0xd718262a, 0xc626b0ea },
		{ { .proto = 6, .len = 300, .ipv6 = true,
		    .tuple = { 0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0x1f, 0xff, [15] = 7,
			       0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0, 3, [31] = 1,
			       2794 >> 8, 2794 & 0xff, 1766 >> 8, 1766 & 0xff } },
		  0x2cc18cd5, 0x40207d3d },
	};
	unsigned int at;
	struct sw sw;

	SW_DO(two_open(&sw));
	for (unsigned int i = 0; i < RTE_DIM(example); i++) {
		SW_DO(set_hash(B(&sw), NFE_RSS_TYPES, NFE_RSS_F_TELL));
		SW_DO(send_packet(&sw, &example[i].p, &at));
		TEST_EQ(got.flags, NFE_MSG_F_HASH);
		TEST_EQ(got.hash, example[i].ports);
		SW_DO(set_hash(B(&sw), NFE_RSS_IPV4 | NFE_RSS_IPV6, NFE_RSS_F_TELL));
		SW_DO(send_packet(&sw, &example[i].p, &at));
		TEST_EQ(got.hash, example[i].addrs);
	}
	return sw_close(&sw);
}

static int
hash_is_told_and_names_the_channel(void)
{
	unsigned int inlined = 0, referred = 0, at;
	struct sw sw;

	SW_DO(two_open(&sw));
	SW_DO(set_reta(B(&sw), 0));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t types = 1 + sw_random() % NFE_RSS_TYPES, hash = 0;
		struct packet p = random_packet();
		bool hashed = expected_hash(&p, types, &hash);

		SW_DO(set_hash(B(&sw), types, NFE_RSS_F_TELL));
		SW_DO(send_packet(&sw, &p, &at));
		TEST_EQ(got.flags, hashed ? NFE_MSG_F_HASH : 0);
		TEST_EQ(got.hash, hash);
		TEST_EQ(at, 1 + hash % 2);
		inlined += hashed && got.nbufs == 0;
		referred += hashed && got.nbufs != 0;
	}
	TEST_TRUE(inlined > 50 && referred > 50);
	return sw_close(&sw);
}

/* A sender that rewrites its ports between the choice of the channel and the delivery. In one thread:
 * a frame before it, for somebody whose buffers are the sender's memory, writes there just then. */
static int
ports_rewritten_while_switched_do_not_part_hash_and_channel(void)
{
	struct packet p = { .ipv6 = true, .proto = 17, .len = 500, .tuple = { 1, [35] = 9 } };
	struct nfed_region *buffers;
	struct sw_guest *c;
	uint32_t hash = 0, place;
	unsigned int at = 1;
	struct sw sw;

	SW_DO(two_open(&sw));
	SW_DO(sw_add_guest(&sw, NULL, &c));
	SW_DO(set_reta(B(&sw), 0));
	SW_DO(set_hash(B(&sw), NFE_RSS_TYPES, NFE_RSS_F_TELL));
	for (unsigned int n = 1; n <= ALL_CHANNELS; n++)
		sw_post(CHAN(B(&sw), n), 1);
	sw_post(CHAN(c, 1), 1);
	sw_make_frame(frame, p.len, c->mac, A(&sw)->mac, 3);
	sw_put_dma(CHAN(A(&sw), 1), frame, p.len, 1);
	place = A(&sw)->payload_used;
	make_packet(&sw, &p);
	sw_put_dma(CHAN(A(&sw), 1), frame, p.len, 1);
	buffers = &c->port->chan[1]->ch->regions->tbl[NFE_KEY_INDEX(SW_KEY_BUFFERS)];
	buffers->base = A(&sw)->g.mem + SW_PAYLOAD + place;
	sw_publish(CHAN(A(&sw), 1));
	SW_DO(sw_turn(&sw));
	buffers->base = c->g.mem + SW_BUFFERS;
	TEST_EQ(sw_stat(c, NFE_STAT_to_frames), 1);
	TEST_TRUE(memcmp(A(&sw)->g.mem + SW_PAYLOAD + place, frame + NFE_HDR_COPY, 20) != 0);
	TEST_TRUE(expected_hash(&p, NFE_RSS_TYPES, &hash));
	if (sw_recv(CHAN(B(&sw), 1), &got) != 1) {
		at = 2;
		TEST_EQ(sw_recv(CHAN(B(&sw), 2), &got), 1);
	}
	TEST_EQ(at, 1 + hash % 2);
	TEST_EQ(got.flags, NFE_MSG_F_HASH);
	TEST_EQ(got.hash, hash);
	TEST_MEM_EQ(got.bytes, frame, ports_at(&p) + 4); /* what it was hashed by is what arrives */
	return sw_close(&sw);
}

/* Around the longest inline frame: what has no room beside its hash goes by reference. */
static int
hash_shortens_inline_frames(void)
{
	struct packet p = { .proto = 17 };
	unsigned int at;
	struct sw sw;

	SW_DO(two_open(&sw));
	SW_DO(set_hash(B(&sw), NFE_RSS_IPV4, NFE_RSS_F_TELL));
	for (p.len = 42; p.len <= NFE_INLINE_SHORT + 8; p.len++) {
		SW_DO(send_packet(&sw, &p, &at));
		TEST_EQ(got.flags, NFE_MSG_F_HASH);
		TEST_EQ(got.nbufs, p.len > NFE_INLINE_SHORT - NFE_INLINE_HASH);
	}
	return sw_close(&sw);
}

static int
hash_is_not_told_unasked(void)
{
	struct packet p = { .proto = 17, .len = 100 };
	unsigned int at;
	struct sw sw;

	SW_DO(two_open(&sw));
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(got.flags, 0);
	SW_DO(set_hash(B(&sw), NFE_RSS_TYPES, 0));
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(got.flags, 0);
	SW_DO(set_hash(B(&sw), NFE_RSS_TYPES, NFE_RSS_F_TELL));
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(got.flags, NFE_MSG_F_HASH);
	SW_DO(set_hash(B(&sw), 0, NFE_RSS_F_TELL));
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(got.flags, 0);
	return sw_close(&sw);
}

/* Headers split over segments, and beyond the private copy of a DMA message. */
static int
parts_of_a_large_frame_have_its_hash(void)
{
	struct sw_guest_conf a = { .features = SW_BASIC | SW_CSUM | SW_GSO };
	struct sw_guest_conf b = { .features = FEATURES };
	struct packet p = { .ipv6 = true, .proto = 6, .len = 3054, .tuple = { 1, [35] = 9 } };
	struct nfe_hints h = { .csum_start = 54, .csum_off = 16, .gso_size = 1000,
			       .gso_type = NFE_GSO_TCPV6 };
	uint32_t hash = 0;
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, &a, NULL));
	SW_DO(sw_add_guest(&sw, &b, NULL));
	SW_DO(set_hash(B(&sw), NFE_RSS_TYPES, NFE_RSS_F_TELL));
	sw_post(CHAN(B(&sw), 1), 8);
	make_packet(&sw, &p);
	frame[54 + 12] = 0x50; /* TCP header of 20 bytes */
	sw_put_hinted(CHAN(A(&sw), 1), frame, p.len, 5, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
	sw_publish(CHAN(A(&sw), 1));
	SW_DO(sw_turn(&sw));
	expected_hash(&p, NFE_RSS_TYPES, &hash);
	for (unsigned int i = 0; i < 3; i++) {
		TEST_EQ(sw_recv(CHAN(B(&sw), 1), &got), 1);
		TEST_EQ(got.flags, NFE_MSG_F_HASH);
		TEST_EQ(got.hash, hash);
	}
	return sw_close(&sw);
}

static int
frames_of_a_stopped_channel_go_to_one_that_runs(void)
{
	struct packet p = { .proto = 17, .len = 100 };
	unsigned int at;
	struct sw sw;

	SW_DO(two_open(&sw));
	SW_DO(set_hash(B(&sw), NFE_RSS_TYPES, 0));
	SW_DO(set_reta(B(&sw), 2));
	for (unsigned int i = 0; i < 20; i++) {
		p.tuple[3] = (uint8_t)i;
		SW_DO(send_packet(&sw, &p, &at));
		TEST_EQ(at, 2);
	}
	TEST_EQ(fake_op_channel(&B(&sw)->g, NFE_OP_STOP_CHANNEL, 2), 0);
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(at, 1);
	TEST_EQ(fake_op_channel(&B(&sw)->g, NFE_OP_START_CHANNEL, 2), 0);
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(at, 2);
	SW_DO(set_reta(B(&sw), 7)); /* a channel that it never made */
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(sw_stat(B(&sw), NFE_STAT_to_frames), 23);
	return sw_close(&sw);
}

/* RESET ends what the guest wished, for the next one as well. */
static int
reset_forgets_rss_and_vlans(void)
{
	struct sw_guest_conf b = { .features = FEATURES, .channels = ALL_CHANNELS };
	struct packet p = { .proto = 17, .len = 100, .vlan = true };
	unsigned int at;
	struct sw sw;

	SW_DO(two_open(&sw));
	SW_DO(set_hash(B(&sw), NFE_RSS_TYPES, NFE_RSS_F_TELL));
	SW_DO(set_reta(B(&sw), 2));
	SW_DO(set_vlan(B(&sw), 7));
	SW_DO(set_mode(B(&sw), NFE_RX_VLAN_FILTER));
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(got.flags, NFE_MSG_F_HASH);
	nfed_function_reset(B(&sw)->fn);
	SW_DO(sw_guest_up(B(&sw), &b));
	SW_DO(send_packet(&sw, &p, &at));
	TEST_EQ(got.flags, 0);
	for (unsigned int i = 0; i < NFE_RSS_RETA_SIZE; i++)
		TEST_EQ(B(&sw)->port->reta[i], 0);
	SW_DO(set_mode(B(&sw), NFE_RX_VLAN_FILTER));
	sw_put_inline(CHAN(A(&sw), 1), frame, p.len);
	sw_publish(CHAN(A(&sw), 1));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(B(&sw), NFE_STAT_to_drop_vlan), 1);
	return sw_close(&sw);
}

/* One frame with this tag and length, to b or to all: did it come? */
static int
expect_tagged(struct sw *sw, const uint8_t *dst, const uint8_t tag[4], uint32_t len, bool comes)
{
	uint64_t dropped = sw_stat(B(sw), NFE_STAT_to_drop_vlan);

	sw_make_frame(frame, len, dst, A(sw)->mac, len);
	memcpy(frame + 12, tag, RTE_MIN(len - 12, 4u));
	sw_post(CHAN(B(sw), 1), 1);
	sw_post(CHAN(B(sw), 2), 1);
	sw_put_inline(CHAN(A(sw), 1), frame, len);
	sw_publish(CHAN(A(sw), 1));
	SW_DO(sw_turn(sw));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_vlan), dropped + !comes);
	TEST_EQ(sw_drain(CHAN(B(sw), 1)) + sw_drain(CHAN(B(sw), 2)), comes);
	return TEST_OK;
}

static int
frames_of_other_vlans_are_dropped_and_counted(void)
{
	static const uint8_t none[4] = { 0x88, 0xb5, 0, 6 }, zero[4] = { 0x81, 0, 0xe0, 0 };
	static const uint8_t seven[4] = { 0x81, 0, 0x60, 7 }, last[4] = { 0x81, 0, 0x0f, 0xff };
	static const uint8_t outer[4] = { 0x88, 0xa8, 0, 6 }; /* no tag of this kind */
	struct sw sw;

	SW_DO(two_open(&sw));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, seven, 64, true));
	SW_DO(set_mode(B(&sw), NFE_RX_VLAN_FILTER | NFE_RX_PROMISC));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, seven, 64, false));
	SW_DO(set_vlan(B(&sw), 7));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, seven, 64, true));
	SW_DO(expect_tagged(&sw, sw_broadcast, seven, 18, true));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, last, 200, false));
	SW_DO(expect_tagged(&sw, sw_broadcast, last, 200, false));
	SW_DO(set_vlan(B(&sw), 4095));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, last, 200, true));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, none, 64, true));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, zero, 64, true));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, outer, 64, true));
	for (uint32_t len = 14; len < 18; len++) /* of no VLAN that could be told */
		SW_DO(expect_tagged(&sw, B(&sw)->mac, seven, len, false));
	SW_DO(set_mode(B(&sw), 0));
	SW_DO(expect_tagged(&sw, B(&sw)->mac, seven, 15, true));
	return sw_close(&sw);
}

static int
without_rss_a_flow_stays_on_its_channel(void)
{
	struct packet p = { .proto = 6 };
	unsigned int at, first, seen = 0;
	struct sw sw;

	SW_DO(two_open(&sw));
	for (unsigned int i = 0; i < 64; i++) {
		p.tuple[11] = (uint8_t)i;
		p.len = 60;
		SW_DO(send_packet(&sw, &p, &first));
		p.len = 1000;
		SW_DO(send_packet(&sw, &p, &at));
		TEST_EQ(at, first);
		seen |= at;
	}
	TEST_EQ(seen, 3);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(published_examples_hash_as_published),
	TEST_CASE(hash_is_told_and_names_the_channel),
	TEST_CASE(ports_rewritten_while_switched_do_not_part_hash_and_channel),
	TEST_CASE(hash_shortens_inline_frames),
	TEST_CASE(hash_is_not_told_unasked),
	TEST_CASE(parts_of_a_large_frame_have_its_hash),
	TEST_CASE(frames_of_a_stopped_channel_go_to_one_that_runs),
	TEST_CASE(reset_forgets_rss_and_vlans),
	TEST_CASE(frames_of_other_vlans_are_dropped_and_counted),
	TEST_CASE(without_rss_a_flow_stays_on_its_channel),
};
TEST_SUITE(vsw_rss, cases);
