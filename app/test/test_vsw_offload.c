/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Checksum and segmentation hints through the switch (specification 4.8): passed on unchanged to
 * who takes them, carried out for who doesn't, refused when they do not fit. Every byte is compared
 * with a reference made here, one byte at a time, from the description of the packet.
 */
#include "test_vsw_fixture.h"

#define ETH_LEN 14u
#define ROUNDS 300u

struct packet { /* TCP or UDP, as a test describes it */
	bool vlan, ipv6, udp;
	uint32_t ip_options, tcp_options; /* bytes, multiples of 4 */
	uint32_t payload;                 /* bytes */
	uint32_t seed, seq;
	uint16_t ip_id;
	uint8_t tcp_flags;
};

static uint8_t frame[SW_MAX_GSO + 64], expected[SW_MAX_GSO + 64];
static struct sw_frame got;

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define CHAN(g) (&(g)->chan[0])
#define ALL (SW_BASIC | SW_CSUM | SW_GSO)

static void
be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
ip_at(const struct packet *p)
{
	return ETH_LEN + (p->vlan ? 4 : 0);
}

static uint32_t
l4_at(const struct packet *p)
{
	return ip_at(p) + (p->ipv6 ? 40 : 20 + p->ip_options);
}

static uint32_t
payload_at(const struct packet *p)
{
	return l4_at(p) + (p->udp ? 8 : 20 + p->tcp_options);
}

static uint32_t
packet_len(const struct packet *p)
{
	return payload_at(p) + p->payload;
}

/* Plain RFC 1071 over bytes; odd: the first byte is a low one. */
static uint32_t
sum_bytes(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t
pseudo_sum(const uint8_t *f, const struct packet *p, uint32_t l4_len)
{
	const uint8_t *ip = f + ip_at(p);
	uint32_t sum = (p->udp ? 17 : 6) + l4_len;

	return p->ipv6 ? sum_bytes(ip + 8, 32, sum) : sum_bytes(ip + 12, 8, sum);
}

static void
make_ip(uint8_t *ip, const struct packet *p, uint32_t l4_len)
{
	uint32_t hdr = 20 + p->ip_options;

	if (p->ipv6) {
		memset(ip, 0, 8);
		ip[0] = 0x60;
		be16(ip + 4, l4_len);
		ip[6] = p->udp ? 17 : 6;
		ip[7] = 64;
		for (uint32_t i = 8; i < 40; i++)
			ip[i] = (uint8_t)(p->seed * 7 + i);
		return;
	}
	memset(ip, 1, hdr); /* options: no operation */
	ip[0] = (uint8_t)(0x40 | hdr / 4);
	ip[1] = 0;
	be16(ip + 2, hdr + l4_len);
	be16(ip + 4, p->ip_id);
	be16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = p->udp ? 17 : 6;
	be16(ip + 10, 0);
	for (uint32_t i = 12; i < 20; i++)
		ip[i] = (uint8_t)(p->seed * 5 + i);
	be16(ip + 10, ~sum_bytes(ip, hdr, 0));
}

/* The frame from a to b; the checksum is complete, or partial: the sum of the pseudo header. */
static void
make_packet(uint8_t *f, const struct sw *sw, const struct packet *p, bool partial)
{
	uint32_t l4_len = packet_len(p) - l4_at(p), x = p->seed, sum;
	uint8_t *l4 = f + l4_at(p), *csum = l4 + (p->udp ? 6 : 16);

	sw_make_frame(f, ETH_LEN, sw->guest[1]->mac, sw->guest[0]->mac, 0);
	if (p->vlan) {
		be16(f + 12, 0x8100);
		be16(f + 14, 0x2007);
	}
	be16(f + ip_at(p) - 2, p->ipv6 ? 0x86dd : 0x0800);
	make_ip(f + ip_at(p), p, l4_len);
	memset(l4, 0, payload_at(p) - l4_at(p));
	be16(l4, 5001);
	be16(l4 + 2, 1024 + p->seed % 1000);
	if (p->udp) {
		be16(l4 + 4, l4_len);
	} else {
		be16(l4 + 4, p->seq >> 16);
		be16(l4 + 6, p->seq);
		l4[12] = (uint8_t)((20 + p->tcp_options) / 4 << 4);
		l4[13] = p->tcp_flags;
		memset(l4 + 20, 1, p->tcp_options);
	}
	for (uint32_t i = 0; i < p->payload; i++) {
		x = x * 1664525u + 1013904223u;
		f[payload_at(p) + i] = (uint8_t)(x >> 24);
	}
	sum = pseudo_sum(f, p, l4_len);
	if (!partial) {
		sum = ~sum_bytes(l4, l4_len, sum) & 0xffff;
		sum = sum == 0 && p->udp ? 0xffff : sum;
	}
	be16(csum, sum);
}

static struct nfe_hints
hints_of(const struct packet *p, uint16_t gso_size)
{
	return (struct nfe_hints){ .csum_start = (uint8_t)l4_at(p), .csum_off = p->udp ? 6 : 16,
				   .gso_size = gso_size,
				   .gso_type = gso_size == 0 ? NFE_GSO_NONE :
					       p->ipv6 ? NFE_GSO_TCPV6 : NFE_GSO_TCPV4 };
}

static struct packet
random_packet(uint32_t max_payload, bool udp)
{
	struct packet p = { .vlan = sw_random() % 3 == 0, .ipv6 = sw_random() % 2, .udp = udp };

	p.ip_options = sw_random() % 4 == 0 ? sw_random() % 11 * 4 : 0;
	p.tcp_options = sw_random() % 2 ? 12 : sw_random() % 11 * 4;
	p.payload = sw_random() % (max_payload + 1);
	p.seed = sw_random();
	p.seq = sw_random();
	p.ip_id = (uint16_t)sw_random();
	p.tcp_flags = (uint8_t)sw_random();
	return p;
}

static unsigned int
random_segs(uint32_t len)
{
	return 1 + sw_random() % RTE_MIN(len - NFE_HDR_COPY, NFE_MAX_SEGS);
}

/* Two guests of these features, the second's buffers posted. */
static int
two_open(struct sw *sw, uint64_t from, uint64_t to, uint32_t buf_size)
{
	struct sw_guest_conf a = { .features = from }, b = { .features = to, .buf_size = buf_size };

	sw_random_seed(7);
	SW_DO(sw_open(sw, NULL));
	SW_DO(sw_add_guest(sw, &a, NULL));
	SW_DO(sw_add_guest(sw, &b, NULL));
	return TEST_OK;
}

/* Send it from A to B, as a message with these flags and hints. */
static int
send_packet(struct sw *sw, const struct packet *p, uint8_t flags, const struct nfe_hints *h)
{
	struct sw_chan *to = CHAN(B(*sw));
	uint32_t out = to->fq_prod - to->fill_end;

	if (out < 24)
		sw_post(to, 24 - out);
	make_packet(frame, sw, p, flags & NFE_MSG_F_CSUM_PARTIAL);
	sw_put_hinted(CHAN(A(*sw)), frame, packet_len(p), random_segs(packet_len(p)), flags, h);
	sw_publish(CHAN(A(*sw)));
	return sw_turn(sw);
}

/* The part of p from byte at of its payload on. */
static struct packet
part_of(const struct packet *p, uint32_t at, uint32_t gso_size)
{
	struct packet part = *p;
	bool last = p->payload - at <= gso_size;

	part.payload = last ? p->payload - at : gso_size;
	part.seq = p->seq + at;
	part.ip_id = (uint16_t)(p->ip_id + at / gso_size);
	if (at > 0)
		part.tcp_flags &= 0x7f; /* CWR */
	if (!last)
		part.tcp_flags &= 0xf6; /* PSH, FIN */
	return part;
}

/* One received frame against part of the packet p; partial: its checksum is. */
static int
check_part(const struct sw *sw, const struct packet *p, uint32_t at, uint32_t gso_size,
	   bool partial)
{
	struct packet part = part_of(p, at, gso_size);
	uint32_t len = packet_len(&part);

	make_packet(expected, sw, &part, partial);
	memcpy(expected + payload_at(p), frame + payload_at(p) + at, part.payload);
	if (!partial) { /* the payload is not that of part.seed */
		uint8_t *l4 = expected + l4_at(p);

		be16(l4 + 16, 0);
		be16(l4 + 16, ~sum_bytes(l4, len - l4_at(p),
					 pseudo_sum(expected, p, len - l4_at(p))));
	}
	TEST_EQ(got.len, len);
	TEST_MEM_EQ(got.bytes, expected, len);
	return TEST_OK;
}

static int
hints_pass_unchanged_to_who_takes_them(void)
{
	struct sw sw;

	SW_DO(two_open(&sw, ALL, ALL, 5120));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct packet p = random_packet(i % 2 ? 8000 : 60000, i % 4 == 0);
		uint8_t flags = NFE_MSG_F_CSUM_PARTIAL | (p.udp ? 0 : NFE_MSG_F_GSO);
		struct nfe_hints h = hints_of(&p, p.udp ? 0 : 1400);

		if (p.udp)
			p.payload = 250 + p.payload % 8000;
		else
			p.payload += 250;
		SW_DO(send_packet(&sw, &p, flags, &h));
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		TEST_EQ(got.flags, flags);
		h.nsegs = got.hints.nsegs;
		TEST_MEM_EQ(&got.hints, &h, sizeof(h));
		TEST_EQ(got.len, packet_len(&p));
		TEST_MEM_EQ(got.bytes, frame, got.len);
	}
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_frames), ROUNDS);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_parts), 0);
	return sw_close(&sw);
}

/* Short ones go inline, and are completed for everybody. */
static int
checksum_is_completed(uint64_t features)
{
	bool vouched = features & (NFE_F_CSUM_TO_HOST | NFE_F_CSUM_OK);
	struct sw sw;

	SW_DO(two_open(&sw, ALL, features, 2048));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct packet p = random_packet(features & NFE_F_CSUM_TO_HOST ? 100 : i % 2 ? 200 : 8800, i % 3 == 0);
		struct nfe_hints h = hints_of(&p, 0);

		SW_DO(send_packet(&sw, &p, NFE_MSG_F_CSUM_PARTIAL, &h));
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		TEST_EQ(got.flags, vouched ? NFE_MSG_F_CSUM_OK : 0);
		make_packet(expected, &sw, &p, false);
		TEST_EQ(got.len, packet_len(&p));
		TEST_MEM_EQ(got.bytes, expected, got.len);
	}
	return sw_close(&sw);
}

static int
checksum_is_completed_for_who_does_not(void)
{
	return checksum_is_completed(SW_BASIC);
}

static int
checksum_is_completed_for_who_takes_no_open_ones(void)
{
	return checksum_is_completed(SW_BASIC | NFE_F_CSUM_OK);
}

static int
checksum_of_inline_frames_is_completed(void)
{
	return checksum_is_completed(SW_BASIC | SW_CSUM);
}

/* UDP: a sum of 0 would mean that there is none. Search the port that makes it so. */
static int
udp_checksum_is_never_zero(void)
{
	struct packet p = { .udp = true, .payload = 300, .seed = 3 };
	struct nfe_hints h = hints_of(&p, 0);
	unsigned int zeros = 0;
	struct sw sw;

	SW_DO(two_open(&sw, ALL, SW_BASIC, 2048));
	SW_DO(send_packet(&sw, &p, NFE_MSG_F_CSUM_PARTIAL, &h));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	/* What the checksum is short of goes into the payload. */
	be16(frame + payload_at(&p), nfe_be16(frame + payload_at(&p)) +
	     nfe_be16(got.bytes + l4_at(&p) + 6));
	for (uint32_t i = 0; i < 3; i++) {
		sw_post(CHAN(B(sw)), 1);
		sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 2, NFE_MSG_F_CSUM_PARTIAL, &h);
		sw_publish(CHAN(A(sw)));
		SW_DO(sw_turn(&sw));
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		TEST_TRUE(nfe_be16(got.bytes + l4_at(&p) + 6) != 0);
		zeros += nfe_be16(got.bytes + l4_at(&p) + 6) == 0xffff;
		/* A carry that went around is made up for in the next round. */
		be16(frame + payload_at(&p), nfe_be16(frame + payload_at(&p)) +
		     (nfe_be16(got.bytes + l4_at(&p) + 6) == 0xffff ? 0 :
		      nfe_be16(got.bytes + l4_at(&p) + 6)));
	}
	TEST_TRUE(zeros > 0);
	return sw_close(&sw);
}

/* Frames for a guest with these features and buffers; all of them have to be cut. */
static int
frames_are_cut(uint64_t features, uint32_t buf_size, uint32_t min_payload, uint32_t max_payload)
{
	bool takes_partial = features & NFE_F_CSUM_TO_HOST;
	bool hears = features & (NFE_F_CSUM_TO_HOST | NFE_F_CSUM_OK);
	uint64_t parts = 0;
	struct sw sw;

	SW_DO(two_open(&sw, ALL, features, buf_size));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct packet p = random_packet(max_payload - min_payload, false);
		uint32_t gso_size = 300 + sw_random() % 8000;
		struct nfe_hints h = hints_of(&p, (uint16_t)gso_size);

		p.payload += min_payload;
		if ((p.payload + gso_size - 1) / gso_size * (1 + (gso_size + 138) / buf_size) > 24)
			continue; /* more buffers than are posted */
		SW_DO(send_packet(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h));
		for (uint32_t at = 0; at < p.payload; at += gso_size, parts++) {
			bool partial;

			TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
			partial = takes_partial && got.len > 252;
			TEST_EQ(got.flags, partial ? NFE_MSG_F_CSUM_PARTIAL :
				hears ? NFE_MSG_F_CSUM_OK : 0);
			SW_DO(check_part(&sw, &p, at, gso_size, partial));
		}
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 0);
	}
	TEST_TRUE(parts > ROUNDS);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_parts), parts);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_frames), sw_stat(A(sw), NFE_STAT_from_frames));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_bytes), sw_stat(A(sw), NFE_STAT_from_bytes));
	return sw_close(&sw);
}

static int
frames_are_cut_for_who_takes_none_uncut(void)
{
	SW_DO(frames_are_cut(SW_BASIC, 2048, 1, 30000));
	SW_DO(frames_are_cut(SW_BASIC | NFE_F_CSUM_OK, 2048, 1, 30000));
	return frames_are_cut(NFE_F_MULTI_SEG, 1024, 1, 5000);
}

static int
parts_may_be_left_to_checksum(void)
{
	return frames_are_cut(SW_BASIC | SW_CSUM, 2048, 1, 30000);
}

static int
frames_longer_than_all_buffers_are_cut(void)
{
	return frames_are_cut(ALL, 1024, 14 * 1024 + 1, 20000);
}

static int
frames_are_cut_for_the_wire(void)
{
	/* Unknown addresses are flooded: at 1000 Mbit/s, the default, a fast machine is too fast. */
	struct vsw_conf conf = { .nb_lcores = 1, .lcores = { 1 }, .flood_mbps = 1000000 };
	struct sw_guest_conf a = { .features = ALL };
	uint64_t parts = 0;
	struct sw sw;

	sw_random_seed(9);
	SW_DO(sw_open(&sw, &conf));
	SW_DO(sw_add_guest(&sw, &a, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL)); /* its address only */
	SW_DO(sw_add_uplink(&sw, false));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct packet p = random_packet(i % 2 ? 60000 : 1000, false);
		uint32_t gso_size = 600 + sw_random() % 800;
		struct nfe_hints h = hints_of(&p, (uint16_t)gso_size);

		p.payload++;
		make_packet(frame, &sw, &p, true);
		frame[1] ^= 0x40; /* nobody's address */
		sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), random_segs(packet_len(&p)),
			      NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
		sw_publish(CHAN(A(sw)));
		vsw_lcore_turn(sw.vsw->lcore[0]);
		for (uint32_t at = 0; at < p.payload; at += gso_size, parts++) {
			TEST_EQ(sw_wire_recv(&sw, &got), 1);
			got.bytes[1] ^= 0x40;
			SW_DO(check_part(&sw, &p, at, gso_size, false));
		}
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_parts), parts);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_frames), ROUNDS);
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

static int
checksum_is_completed_for_the_wire(void)
{
	struct packet p = { .payload = 500, .seed = 4 };
	struct nfe_hints h = hints_of(&p, 0);
	struct sw_guest_conf a = { .features = ALL };
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, &a, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	make_packet(frame, &sw, &p, true);
	make_packet(expected, &sw, &p, false);
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

/* An uplink whose device makes checksums and segments: net_ring does not, so what it is told shows. */
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
	sw_put_hinted(CHAN(A(*sw)), frame, packet_len(p), random_segs(packet_len(p)), flags, h);
	sw_publish(CHAN(A(*sw)));
	vsw_lcore_turn(sw->vsw->lcore[0]);
}

/* The next mbuf on the wire: the frame as it was sent, and what the device is to do with it. gso_size
 * 0: not to cut it; ip: the checksum of IPv4 too. */
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
	TEST_EQ(m->l2_len, ip_at(p));
	TEST_EQ(m->l3_len, l4_at(p) - ip_at(p));
	TEST_EQ(m->l4_len, gso_size != 0 ? payload_at(p) - l4_at(p) : 0);
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
	for (unsigned int i = 0; i < ROUNDS; i++) {
		bool cut = i % 2;
		struct packet p = random_packet(cut ? 60000 : 1000, !cut);
		uint16_t gso_size = cut ? (uint16_t)(512 + sw_random() % 800) : 0;
		struct nfe_hints h = hints_of(&p, gso_size);

		p.payload += cut ? gso_size + 1 : 40; /* no inline frame: those have no hints */
		make_packet(frame, &sw, &p, true);
		send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | (cut ? NFE_MSG_F_GSO : 0), &h);
		SW_DO(check_offloaded(&sw, &p, gso_size, cut));
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_parts), 0);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_frames), ROUNDS);
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

/* TCP data that is not longer than a segment: not every device takes it as data to be cut. */
static int
one_segment_is_left_to_a_device_as_a_checksum(void)
{
	struct sw sw;

	SW_DO(open_able_uplink(&sw));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct packet p = random_packet(600, false);
		struct nfe_hints h = hints_of(&p, 1300);

		p.payload = i % 2 ? 1300 : 300 + p.payload;
		make_packet(frame, &sw, &p, true);
		send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
		SW_DO(check_offloaded(&sw, &p, 0, true));
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_parts), 0);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_frames), ROUNDS);
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
		struct nfe_hints h = hints_of(&p, gso_size);

		if (i == 1)
			sw.uplink->uplink->max_len = 9000;
		make_packet(frame, &sw, &p, true);
		send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
		for (uint32_t at = 0; at < p.payload; at += gso_size) {
			TEST_EQ(sw_wire_recv(&sw, &got), 1);
			got.bytes[1] ^= 0x40;
			SW_DO(check_part(&sw, &p, at, gso_size, false));
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
	struct nfe_hints h = hints_of(&p, 1400), wide = hints_of(&p, 1480);
	struct sw sw;

	SW_DO(open_able_uplink(&sw));
	for (unsigned int words = 0; words < 5; words++) {
		make_packet(frame, &sw, &p, true);
		frame[46] = (uint8_t)(words << 4);
		send_out(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_drop_hints), 5);
	make_packet(frame, &sw, &p, true);
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

/* Parts that find no room are gone; the frame is one drop, whatever was delivered before. */
static int
cut_frame_that_does_not_fit_is_one_drop(void)
{
	struct sw_guest_conf a = { .features = ALL }, b = { .rq_log2 = 3 };
	struct packet p = { .payload = 20000, .seed = 1 };
	struct nfe_hints h = hints_of(&p, 1400);
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, &a, NULL));
	SW_DO(sw_add_guest(&sw, &b, NULL));
	SW_DO(send_packet(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_offered), 1);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_frames), 0);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_full), 1);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_parts), 8);
	/* It is the sender who pays for the work. */
	TEST_EQ(sw.vsw->lcore[0]->cost, packet_len(&p) + 8 * VSW_CELL_COST);
	for (uint32_t at = 0; at < 8 * 1400; at += 1400) {
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		SW_DO(check_part(&sw, &p, at, 1400, false));
	}
	return sw_close(&sw);
}

static int
parts_longer_than_the_mtu_are_dropped(void)
{
	struct sw_guest_conf a = { .features = ALL };
	struct packet p = { .payload = 9000, .seed = 1 };
	struct nfe_hints h = hints_of(&p, 1480);
	struct sw sw;

	for (unsigned int i = 0; i < 2; i++) {
		struct sw_guest_conf b = { .features = i == 0 ? ALL : SW_BASIC, .vif.mtu = 1500 };

		SW_DO(sw_open(&sw, NULL));
		SW_DO(sw_add_guest(&sw, &a, NULL));
		SW_DO(sw_add_guest(&sw, &b, NULL));
		SW_DO(send_packet(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h));
		TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_too_long), 1);
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 0);
		SW_DO(sw_close(&sw));
	}
	return TEST_OK;
}

/* Byte 46 decides where to cut, and is beyond what is checked when the frame comes. */
static int
tcp_header_of_wrong_length_is_dropped_where_it_is_cut(void)
{
	struct packet p = { .payload = 3000, .seed = 1 };
	struct nfe_hints h = hints_of(&p, 1400);
	struct sw sw;

	SW_DO(two_open(&sw, ALL, SW_BASIC, 2048));
	for (unsigned int words = 0; words < 5; words++) {
		make_packet(frame, &sw, &p, true);
		frame[46] = (uint8_t)(words << 4);
		sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 2,
			      NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
	}
	p.payload = 20; /* the header ends with the frame, or beyond it */
	for (unsigned int words = 10; words < 16; words++) {
		make_packet(frame, &sw, &p, true);
		frame[46] = (uint8_t)(words << 4);
		sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 2,
			      NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
	}
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_hints), 11);
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 0);
	return sw_close(&sw);
}

/* The frame as it lies in frame[], from A: refused for this reason. */
static int
refused(struct sw *sw, const struct packet *p, uint8_t flags, const struct nfe_hints *h,
	enum nfe_stat why)
{
	uint64_t before = sw_stat(A(*sw), why);

	sw_put_hinted(CHAN(A(*sw)), frame, packet_len(p), 1, flags, h);
	sw_publish(CHAN(A(*sw)));
	SW_DO(sw_turn(sw));
	TEST_EQ(sw_stat(A(*sw), why), before + 1);
	TEST_EQ(sw_recv(CHAN(B(*sw)), &got), 0);
	return TEST_OK;
}

static int
hints_that_do_not_fit_are_refused(void)
{
	const uint8_t csum = NFE_MSG_F_CSUM_PARTIAL, gso = NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO;
	struct packet p = { .payload = 4000, .seed = 1 };
	const struct nfe_hints c = hints_of(&p, 0), g = hints_of(&p, 1400);
	const struct { /* what differs from a good one */
		uint8_t flags;
		struct nfe_hints h;
	} bad[] = {
		{ csum, { .csum_start = 34, .csum_off = 15 } },
		{ csum, { .csum_start = 34, .csum_off = 6 } },
		{ csum, { .csum_start = 33, .csum_off = 16 } },
		{ csum, { .csum_start = 0, .csum_off = 16 } },
		{ csum, { .csum_start = 255, .csum_off = 255 } },
		{ csum, { .csum_start = 34, .csum_off = 16, .vlan_tci = 1 } },
		{ csum, { .csum_start = 34, .csum_off = 16, .gso_size = 1400 } },
		{ csum, { .csum_start = 34, .csum_off = 16, .gso_type = NFE_GSO_TCPV4 } },
		{ gso, { .csum_start = 34, .csum_off = 16 } },
		{ gso, { .csum_start = 34, .csum_off = 16, .gso_size = 1400 } },
		{ gso, { .csum_start = 34, .csum_off = 16, .gso_size = 1400, .gso_type = 2 } },
		{ gso, { .csum_start = 34, .csum_off = 16, .gso_size = 1400, .gso_type = 3 } },
		{ gso, { .csum_start = 34, .csum_off = 16, .gso_size = 0, .gso_type = 1 } },
		{ gso, { .csum_start = 34, .csum_off = 16, .gso_size = 31, .gso_type = 1 } },
		{ gso, { .csum_start = 34, .csum_off = 16, .gso_size = 8965, .gso_type = 1 } },
		{ NFE_MSG_F_GSO, { .gso_size = 1400, .gso_type = 1 } },
	};
	static const struct { /* what differs in the header: a byte of it */
		uint8_t at, value;
	} other[] = {
		{ 12, 0x88 }, { 13, 0x06 }, { 14, 0x55 }, { 14, 0x44 }, { 14, 0x46 }, { 20, 0x20 },
		{ 21, 0x01 }, { 23, 0x11 }, { 23, 0x84 }, { 12, 0x81 },
	};
	struct sw sw;

	SW_DO(two_open(&sw, ALL, ALL, 5120));
	make_packet(frame, &sw, &p, true);
	for (unsigned int i = 0; i < RTE_DIM(bad); i++)
		SW_DO(refused(&sw, &p, bad[i].flags, &bad[i].h, NFE_STAT_from_drop_hints));
	for (unsigned int i = 0; i < RTE_DIM(other); i++) {
		make_packet(frame, &sw, &p, true);
		frame[other[i].at] = other[i].value;
		SW_DO(refused(&sw, &p, csum, &c, NFE_STAT_from_drop_hints));
		SW_DO(refused(&sw, &p, gso, &g, NFE_STAT_from_drop_hints));
	}
	SW_DO(refused(&sw, &p, 0, &c, NFE_STAT_from_drop_reserved));
	/* And a good one passes. */
	SW_DO(send_packet(&sw, &p, gso, &g));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	return sw_close(&sw);
}

static int
header_cut_short_is_refused(void)
{
	struct packet tcp = { .seed = 1 }, udp = { .udp = true, .seed = 1 };
	struct nfe_hints h = hints_of(&tcp, 0), u = hints_of(&udp, 0);
	struct sw sw;

	SW_DO(two_open(&sw, ALL, SW_BASIC, 2048));
	make_packet(frame, &sw, &tcp, true);
	for (uint32_t len = NFE_HDR_COPY + 1; len < packet_len(&tcp); len++)
		sw_put_hinted(CHAN(A(sw)), frame, len, 1, NFE_MSG_F_CSUM_PARTIAL, &h);
	make_packet(frame, &sw, &udp, true);
	sw_put_hinted(CHAN(A(sw)), frame, packet_len(&udp) - 1, 1, NFE_MSG_F_CSUM_PARTIAL, &u);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_hints), packet_len(&tcp) - NFE_HDR_COPY);
	return sw_close(&sw);
}

static int
flags_need_their_feature(void)
{
	static const struct {
		uint64_t features;
		uint8_t flags;
	} refusals[] = {
		{ SW_BASIC, NFE_MSG_F_CSUM_PARTIAL },
		{ SW_BASIC, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO },
		{ SW_BASIC | NFE_F_CSUM_TO_HOST, NFE_MSG_F_CSUM_PARTIAL },
		{ SW_BASIC | SW_CSUM, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO },
		{ SW_BASIC | SW_GSO, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO },
		{ ALL, NFE_MSG_F_CSUM_OK },
		{ ALL, NFE_MSG_F_CSUM_OK | NFE_MSG_F_CSUM_PARTIAL },
		{ ALL, NFE_MSG_F_VLAN }, { ALL, NFE_MSG_F_HINTS }, { ALL, NFE_MSG_F_HASH },
		{ ALL, NFE_MSG_F_LAP }, { ALL, 0x40 },
	};
	struct packet p = { .payload = 4000, .seed = 1 };
	struct nfe_hints h = hints_of(&p, 1400);
	struct sw sw;

	for (unsigned int i = 0; i < RTE_DIM(refusals); i++) {
		SW_DO(two_open(&sw, refusals[i].features, ALL, 5120));
		make_packet(frame, &sw, &p, true);
		SW_DO(refused(&sw, &p, refusals[i].flags, &h, NFE_STAT_from_drop_type));
		SW_DO(sw_close(&sw));
	}
	return TEST_OK;
}

/* Only GSO lets a frame be longer than MAX_FRAME, up to 64 KiB. */
static int
giants_need_segmentation(void)
{
	struct packet p = { .payload = SW_MAX_FRAME, .seed = 1 };
	struct nfe_hints c = hints_of(&p, 0), g = hints_of(&p, 1400);
	struct sw sw;

	SW_DO(two_open(&sw, ALL, ALL, 5120));
	make_packet(frame, &sw, &p, true);
	SW_DO(refused(&sw, &p, NFE_MSG_F_CSUM_PARTIAL, &c, NFE_STAT_from_drop_giant));
	SW_DO(send_packet(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &g));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	p.payload = SW_MAX_GSO - payload_at(&p);
	SW_DO(send_packet(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &g));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	TEST_EQ(got.len, SW_MAX_GSO);
	p.payload++;
	make_packet(frame, &sw, &p, true);
	sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 2, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO,
		      &g);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_giant), 2);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(hints_pass_unchanged_to_who_takes_them),
	TEST_CASE(checksum_is_completed_for_who_does_not),
	TEST_CASE(checksum_is_completed_for_who_takes_no_open_ones),
	TEST_CASE(checksum_of_inline_frames_is_completed),
	TEST_CASE(udp_checksum_is_never_zero),
	TEST_CASE(frames_are_cut_for_who_takes_none_uncut),
	TEST_CASE(parts_may_be_left_to_checksum),
	TEST_CASE(frames_longer_than_all_buffers_are_cut),
	TEST_CASE(frames_are_cut_for_the_wire),
	TEST_CASE(checksum_is_completed_for_the_wire),
	TEST_CASE(checksums_and_cuts_are_left_to_a_device_that_can),
	TEST_CASE(one_segment_is_left_to_a_device_as_a_checksum),
	TEST_CASE(what_the_device_should_not_cut_is_cut_here),
	TEST_CASE(device_is_not_told_what_makes_no_sense),
	TEST_CASE(good_checksums_from_the_wire_are_vouched_for),
	TEST_CASE(cut_frame_that_does_not_fit_is_one_drop),
	TEST_CASE(parts_longer_than_the_mtu_are_dropped),
	TEST_CASE(tcp_header_of_wrong_length_is_dropped_where_it_is_cut),
	TEST_CASE(hints_that_do_not_fit_are_refused),
	TEST_CASE(header_cut_short_is_refused),
	TEST_CASE(flags_need_their_feature),
	TEST_CASE(giants_need_segmentation),
};
TEST_SUITE(vsw_offload, cases);
