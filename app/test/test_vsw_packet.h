/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Packets of TCP and UDP for the suites of hints (specification 4.8), made from their description
 * one byte at a time, so that what the switch makes of them can be compared with a reference.
 */
#ifndef TEST_VSW_PACKET_H
#define TEST_VSW_PACKET_H

#include "test_vsw_fixture.h"

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define CHAN(g) (&(g)->chan[0])
#define ALL (SW_BASIC | SW_CSUM | SW_GSO)
#define PACKET_ROUNDS 300u
#define PACKET_MAX (SW_MAX_GSO + 64)

struct packet { /* TCP or UDP, as a test describes it */
	bool vlan, ipv6, udp;
	uint32_t ip_options, tcp_options; /* bytes, multiples of 4 */
	uint32_t payload;                 /* bytes */
	uint32_t seed, seq;
	uint16_t ip_id;
	uint8_t tcp_flags;
};

void packet_be16(uint8_t *p, uint32_t v);
/* Offsets in the frame. */
uint32_t packet_ip_at(const struct packet *p);
uint32_t packet_l4_at(const struct packet *p);
uint32_t packet_payload_at(const struct packet *p);
uint32_t packet_len(const struct packet *p);

/* The frame from a to b; the checksum is complete, or partial: the sum of the pseudo header. */
void packet_make(uint8_t *f, const struct sw *sw, const struct packet *p, bool partial);
struct nfe_hints packet_hints(const struct packet *p, uint16_t gso_size);
struct packet packet_random(uint32_t max_payload, bool udp);
unsigned int packet_random_segs(uint32_t len);

/* Two guests of these features, the second's buffers posted. */
int packet_two_open(struct sw *sw, uint64_t from, uint64_t to, uint32_t buf_size);
/* Make it in frame[] and send it from A to B, as a message with these flags and hints. */
int packet_send(struct sw *sw, uint8_t *frame, const struct packet *p, uint8_t flags,
		const struct nfe_hints *h);
/* Send this frame of p from A with its headers beyond the private copy in a region that has vanished;
 * its payload is still there. */
int packet_send_vanished(struct sw *sw, const uint8_t *frame, const struct packet *p, uint8_t flags,
			 const struct nfe_hints *h);
/* What was received against part of the packet p, of which frame is the whole, from byte at of its
 * payload on; partial: its checksum is. */
int packet_check_part(const struct sw *sw, const struct packet *p, const uint8_t *frame,
		      const struct sw_frame *got, uint32_t at, uint32_t gso_size, bool partial);

#endif /* TEST_VSW_PACKET_H */
