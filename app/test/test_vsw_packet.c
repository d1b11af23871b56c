/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Packets of TCP and UDP, see test_vsw_packet.h.
 */
#include "test_vsw_packet.h"

#define ETH_LEN 14u

void
packet_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

uint32_t
packet_ip_at(const struct packet *p)
{
	return ETH_LEN + (p->vlan ? 4 : 0);
}

uint32_t
packet_l4_at(const struct packet *p)
{
	return packet_ip_at(p) + (p->ipv6 ? 40 : 20 + p->ip_options);
}

uint32_t
packet_payload_at(const struct packet *p)
{
	return packet_l4_at(p) + (p->udp ? 8 : 20 + p->tcp_options);
}

uint32_t
packet_len(const struct packet *p)
{
	return packet_payload_at(p) + p->payload;
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
	const uint8_t *ip = f + packet_ip_at(p);
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
		packet_be16(ip + 4, l4_len);
		ip[6] = p->udp ? 17 : 6;
		ip[7] = 64;
		for (uint32_t i = 8; i < 40; i++)
			ip[i] = (uint8_t)(p->seed * 7 + i);
		return;
	}
	memset(ip, 1, hdr); /* options: no operation */
	ip[0] = (uint8_t)(0x40 | hdr / 4);
	ip[1] = 0;
	packet_be16(ip + 2, hdr + l4_len);
	packet_be16(ip + 4, p->ip_id);
	packet_be16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = p->udp ? 17 : 6;
	packet_be16(ip + 10, 0);
	for (uint32_t i = 12; i < 20; i++)
		ip[i] = (uint8_t)(p->seed * 5 + i);
	packet_be16(ip + 10, ~sum_bytes(ip, hdr, 0));
}

void
packet_make(uint8_t *f, const struct sw *sw, const struct packet *p, bool partial)
{
	uint32_t l4_len = packet_len(p) - packet_l4_at(p), x = p->seed, sum;
	uint8_t *l4 = f + packet_l4_at(p), *csum = l4 + (p->udp ? 6 : 16);

	sw_make_frame(f, ETH_LEN, sw->guest[1]->mac, sw->guest[0]->mac, 0);
	if (p->vlan) {
		packet_be16(f + 12, 0x8100);
		packet_be16(f + 14, 0x2007);
	}
	packet_be16(f + packet_ip_at(p) - 2, p->ipv6 ? 0x86dd : 0x0800);
	make_ip(f + packet_ip_at(p), p, l4_len);
	memset(l4, 0, packet_payload_at(p) - packet_l4_at(p));
	packet_be16(l4, 5001);
	packet_be16(l4 + 2, 1024 + p->seed % 1000);
	if (p->udp) {
		packet_be16(l4 + 4, l4_len);
	} else {
		packet_be16(l4 + 4, p->seq >> 16);
		packet_be16(l4 + 6, p->seq);
		l4[12] = (uint8_t)((20 + p->tcp_options) / 4 << 4);
		l4[13] = p->tcp_flags;
		memset(l4 + 20, 1, p->tcp_options);
	}
	for (uint32_t i = 0; i < p->payload; i++) {
		x = x * 1664525u + 1013904223u;
		f[packet_payload_at(p) + i] = (uint8_t)(x >> 24);
	}
	sum = pseudo_sum(f, p, l4_len);
	if (!partial) {
		sum = ~sum_bytes(l4, l4_len, sum) & 0xffff;
		sum = sum == 0 && p->udp ? 0xffff : sum;
	}
	packet_be16(csum, sum);
}

struct nfe_hints
packet_hints(const struct packet *p, uint16_t gso_size)
{
	return (struct nfe_hints){ .csum_start = (uint8_t)packet_l4_at(p),
				   .csum_off = p->udp ? 6 : 16,
				   .gso_size = gso_size,
				   .gso_type = gso_size == 0 ? NFE_GSO_NONE :
					       p->ipv6 ? NFE_GSO_TCPV6 : NFE_GSO_TCPV4 };
}

struct packet
packet_random(uint32_t max_payload, bool udp)
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

unsigned int
packet_random_segs(uint32_t len)
{
	return 1 + sw_random() % RTE_MIN(len - NFE_HDR_COPY, NFE_MAX_SEGS);
}

int
packet_two_open(struct sw *sw, uint64_t from, uint64_t to, uint32_t buf_size)
{
	struct sw_guest_conf a = { .features = from }, b = { .features = to, .buf_size = buf_size };

	sw_random_seed(7);
	SW_DO(sw_open(sw, NULL));
	SW_DO(sw_add_guest(sw, &a, NULL));
	SW_DO(sw_add_guest(sw, &b, NULL));
	return TEST_OK;
}

int
packet_send(struct sw *sw, uint8_t *frame, const struct packet *p, uint8_t flags,
	    const struct nfe_hints *h)
{
	struct sw_chan *to = CHAN(B(*sw));
	uint32_t out = to->fq_prod - to->fill_end;

	if (out < 24)
		sw_post(to, 24 - out);
	packet_make(frame, sw, p, flags & NFE_MSG_F_CSUM_PARTIAL);
	sw_put_hinted(CHAN(A(*sw)), frame, packet_len(p), packet_random_segs(packet_len(p)), flags,
		      h);
	sw_publish(CHAN(A(*sw)));
	return sw_turn(sw);
}

int
packet_send_vanished(struct sw *sw, const uint8_t *frame, const struct packet *p, uint8_t flags,
		     const struct nfe_hints *h)
{
	const uint32_t key = NFE_KEY(4, 0x44), place = FAKE_DATA - NFE_PAGE_SIZE;
	uint32_t at = packet_payload_at(p);
	struct fake_guest *g = &A(*sw)->g;
	union nfe_msg m[2] = { { .tx = { .type = NFE_MSG_DMA_TX, .flags = flags, .key = key,
					 .len = (uint16_t)(at - NFE_HDR_COPY), .hints = *h } } };

	SW_DO(fake_register(g, key, place, NFE_PAGE_SIZE, NFE_ACCESS_READ));
	m[0].tx.hints.nsegs = 2;
	memcpy(m[0].tx.hdr, frame, NFE_HDR_COPY);
	memcpy(g->mem + place, frame + NFE_HDR_COPY, at - NFE_HDR_COPY);
	m[1].seg_tx[0] = (struct nfe_seg_tx){ SW_KEY_PAYLOAD, p->payload, 0 };
	memcpy(g->mem + SW_PAYLOAD, frame + at, p->payload);
	fake_poison(g, place);
	sw_put_cells(CHAN(A(*sw)), m, 2);
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

int
packet_check_part(const struct sw *sw, const struct packet *p, const uint8_t *frame,
		  const struct sw_frame *got, uint32_t at, uint32_t gso_size, bool partial)
{
	static uint8_t expected[PACKET_MAX];
	struct packet part = part_of(p, at, gso_size);
	uint32_t len = packet_len(&part);

	packet_make(expected, sw, &part, partial);
	memcpy(expected + packet_payload_at(p), frame + packet_payload_at(p) + at, part.payload);
	if (!partial) { /* the payload is not that of part.seed */
		uint8_t *l4 = expected + packet_l4_at(p);

		packet_be16(l4 + 16, 0);
		packet_be16(l4 + 16, ~sum_bytes(l4, len - packet_l4_at(p),
						pseudo_sum(expected, p, len - packet_l4_at(p))));
	}
	TEST_EQ(got->len, len);
	TEST_MEM_EQ(got->bytes, expected, len);
	return TEST_OK;
}
