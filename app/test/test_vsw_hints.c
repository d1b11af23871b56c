/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Checksum and segmentation hints that are refused (specification 4.8, 4.11): they do not fit their
 * frame, or were not negotiated.
 */
#include "test_vsw_packet.h"

static uint8_t frame[PACKET_MAX];
static struct sw_frame got;

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
	const struct nfe_hints c = packet_hints(&p, 0), g = packet_hints(&p, 1400);
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

	SW_DO(packet_two_open(&sw, ALL, ALL, 5120));
	packet_make(frame, &sw, &p, true);
	for (unsigned int i = 0; i < RTE_DIM(bad); i++)
		SW_DO(refused(&sw, &p, bad[i].flags, &bad[i].h, NFE_STAT_from_drop_hints));
	for (unsigned int i = 0; i < RTE_DIM(other); i++) {
		packet_make(frame, &sw, &p, true);
		frame[other[i].at] = other[i].value;
		SW_DO(refused(&sw, &p, csum, &c, NFE_STAT_from_drop_hints));
		SW_DO(refused(&sw, &p, gso, &g, NFE_STAT_from_drop_hints));
	}
	SW_DO(refused(&sw, &p, 0, &c, NFE_STAT_from_drop_reserved));
	/* And a good one passes. */
	SW_DO(packet_send(&sw, frame, &p, gso, &g));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	return sw_close(&sw);
}

static int
header_cut_short_is_refused(void)
{
	struct packet tcp = { .seed = 1 }, udp = { .udp = true, .seed = 1 };
	struct nfe_hints h = packet_hints(&tcp, 0), u = packet_hints(&udp, 0);
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, SW_BASIC, 2048));
	packet_make(frame, &sw, &tcp, true);
	for (uint32_t len = NFE_HDR_COPY + 1; len < packet_len(&tcp); len++)
		sw_put_hinted(CHAN(A(sw)), frame, len, 1, NFE_MSG_F_CSUM_PARTIAL, &h);
	packet_make(frame, &sw, &udp, true);
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
	struct nfe_hints h = packet_hints(&p, 1400);
	struct sw sw;

	for (unsigned int i = 0; i < RTE_DIM(refusals); i++) {
		SW_DO(packet_two_open(&sw, refusals[i].features, ALL, 5120));
		packet_make(frame, &sw, &p, true);
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
	struct nfe_hints c = packet_hints(&p, 0), g = packet_hints(&p, 1400);
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, ALL, 5120));
	packet_make(frame, &sw, &p, true);
	SW_DO(refused(&sw, &p, NFE_MSG_F_CSUM_PARTIAL, &c, NFE_STAT_from_drop_giant));
	SW_DO(packet_send(&sw, frame, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &g));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	p.payload = SW_MAX_GSO - packet_payload_at(&p);
	SW_DO(packet_send(&sw, frame, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &g));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	TEST_EQ(got.len, SW_MAX_GSO);
	p.payload++;
	packet_make(frame, &sw, &p, true);
	sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 2, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO,
		      &g);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_giant), 2);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(hints_that_do_not_fit_are_refused),
	TEST_CASE(header_cut_short_is_refused),
	TEST_CASE(flags_need_their_feature),
	TEST_CASE(giants_need_segmentation),
};
TEST_SUITE(vsw_hints, cases);
