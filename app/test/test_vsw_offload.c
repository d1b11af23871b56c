/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Checksum and segmentation hints from guest to guest (specification 4.8): passed on unchanged to
 * who takes them, carried out for who doesn't. Every byte is compared with a reference.
 */
#include "test_vsw_packet.h"

static uint8_t frame[PACKET_MAX], expected[PACKET_MAX];
static struct sw_frame got;

static int
hints_pass_unchanged_to_who_takes_them(void)
{
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, ALL, 5120));
	for (unsigned int i = 0; i < PACKET_ROUNDS; i++) {
		struct packet p = packet_random(i % 2 ? 8000 : 60000, i % 4 == 0);
		uint8_t flags = NFE_MSG_F_CSUM_PARTIAL | (p.udp ? 0 : NFE_MSG_F_GSO);
		struct nfe_hints h = packet_hints(&p, p.udp ? 0 : 1400);

		if (p.udp)
			p.payload = 250 + p.payload % 8000;
		else
			p.payload += 250;
		SW_DO(packet_send(&sw, frame, &p, flags, &h));
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		TEST_EQ(got.flags, flags);
		h.nsegs = got.hints.nsegs;
		TEST_MEM_EQ(&got.hints, &h, sizeof(h));
		TEST_EQ(got.len, packet_len(&p));
		TEST_MEM_EQ(got.bytes, frame, got.len);
	}
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_frames), PACKET_ROUNDS);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_parts), 0);
	return sw_close(&sw);
}

/* Short ones go inline, and are completed for everybody. */
static int
checksum_is_completed(uint64_t features)
{
	bool vouched = features & (NFE_F_CSUM_TO_HOST | NFE_F_CSUM_OK);
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, features, 2048));
	for (unsigned int i = 0; i < PACKET_ROUNDS; i++) {
		uint32_t max_payload = features & NFE_F_CSUM_TO_HOST ? 100 : i % 2 ? 200 : 8800;
		struct packet p = packet_random(max_payload, i % 3 == 0);
		struct nfe_hints h = packet_hints(&p, 0);

		SW_DO(packet_send(&sw, frame, &p, NFE_MSG_F_CSUM_PARTIAL, &h));
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		TEST_EQ(got.flags, vouched ? NFE_MSG_F_CSUM_OK : 0);
		packet_make(expected, &sw, &p, false);
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
	struct nfe_hints h = packet_hints(&p, 0);
	unsigned int zeros = 0;
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, SW_BASIC, 2048));
	SW_DO(packet_send(&sw, frame, &p, NFE_MSG_F_CSUM_PARTIAL, &h));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	/* What the checksum is short of goes into the payload. */
	packet_be16(frame + packet_payload_at(&p), nfe_be16(frame + packet_payload_at(&p)) +
	     nfe_be16(got.bytes + packet_l4_at(&p) + 6));
	for (uint32_t i = 0; i < 3; i++) {
		sw_post(CHAN(B(sw)), 1);
		sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 2, NFE_MSG_F_CSUM_PARTIAL, &h);
		sw_publish(CHAN(A(sw)));
		SW_DO(sw_turn(&sw));
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		TEST_TRUE(nfe_be16(got.bytes + packet_l4_at(&p) + 6) != 0);
		zeros += nfe_be16(got.bytes + packet_l4_at(&p) + 6) == 0xffff;
		/* A carry that went around is made up for in the next round. */
		packet_be16(frame + packet_payload_at(&p), nfe_be16(frame + packet_payload_at(&p)) +
		     (nfe_be16(got.bytes + packet_l4_at(&p) + 6) == 0xffff ? 0 :
		      nfe_be16(got.bytes + packet_l4_at(&p) + 6)));
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

	SW_DO(packet_two_open(&sw, ALL, features, buf_size));
	for (unsigned int i = 0; i < PACKET_ROUNDS; i++) {
		struct packet p = packet_random(max_payload - min_payload, false);
		uint32_t gso_size = 300 + sw_random() % 8000;
		struct nfe_hints h = packet_hints(&p, (uint16_t)gso_size);

		p.payload += min_payload;
		if ((p.payload + gso_size - 1) / gso_size * (1 + (gso_size + 138) / buf_size) > 24)
			continue; /* more buffers than are posted */
		SW_DO(packet_send(&sw, frame, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h));
		for (uint32_t at = 0; at < p.payload; at += gso_size, parts++) {
			bool partial;

			TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
			partial = takes_partial && got.len > NFE_INLINE_SHORT;
			TEST_EQ(got.flags, partial ? NFE_MSG_F_CSUM_PARTIAL :
				hears ? NFE_MSG_F_CSUM_OK : 0);
			SW_DO(packet_check_part(&sw, &p, frame, &got, at, gso_size, partial));
		}
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 0);
	}
	TEST_TRUE(parts > PACKET_ROUNDS);
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

/* Parts that find no room are gone; the frame is one drop, whatever was delivered before. */
static int
cut_frame_that_does_not_fit_is_one_drop(void)
{
	struct sw_guest_conf a = { .features = ALL }, b = { .rq_log2 = 3 };
	struct packet p = { .payload = 20000, .seed = 1 };
	struct nfe_hints h = packet_hints(&p, 1400);
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, &a, NULL));
	SW_DO(sw_add_guest(&sw, &b, NULL));
	SW_DO(packet_send(&sw, frame, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_offered), 1);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_frames), 0);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_full), 1);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_parts), 8);
	/* It is the sender who pays for the work. */
	TEST_EQ(sw.vsw->lcore[0]->cost, packet_len(&p) + 8 * VSW_CELL_COST);
	for (uint32_t at = 0; at < 8 * 1400; at += 1400) {
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		SW_DO(packet_check_part(&sw, &p, frame, &got, at, 1400, false));
	}
	return sw_close(&sw);
}

static int
parts_longer_than_the_mtu_are_dropped(void)
{
	struct sw_guest_conf a = { .features = ALL };
	struct packet p = { .payload = 9000, .seed = 1 };
	struct nfe_hints h = packet_hints(&p, 1480);
	struct sw sw;

	for (unsigned int i = 0; i < 2; i++) {
		struct sw_guest_conf b = { .features = i == 0 ? ALL : SW_BASIC, .vif.mtu = 1500 };

		SW_DO(sw_open(&sw, NULL));
		SW_DO(sw_add_guest(&sw, &a, NULL));
		SW_DO(sw_add_guest(&sw, &b, NULL));
		SW_DO(packet_send(&sw, frame, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h));
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
	struct nfe_hints h = packet_hints(&p, 1400);
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, SW_BASIC, 2048));
	for (unsigned int words = 0; words < 5; words++) {
		packet_make(frame, &sw, &p, true);
		frame[46] = (uint8_t)(words << 4);
		sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 2,
			      NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
	}
	p.payload = 20; /* the header ends with the frame, or beyond it */
	for (unsigned int words = 10; words < 16; words++) {
		packet_make(frame, &sw, &p, true);
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

/* A long frame to many, cut for each of them: A sends it to all others. */
static int
broadcast_to_be_cut(unsigned int nb_others, bool allowed)
{
	struct packet p = { .payload = SW_MAX_GSO - 54, .seed = 1 };
	struct nfe_hints h = packet_hints(&p, 1400);
	struct sw_guest_conf conf = { .features = ALL };
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	for (unsigned int i = 0; i <= nb_others; i++) {
		SW_DO(sw_add_guest(&sw, &conf, NULL));
		conf.features = SW_BASIC;
		sw_post(CHAN(sw.guest[i]), 64);
	}
	packet_make(frame, &sw, &p, true);
	memset(frame, 0xff, 6);
	sw_put_hinted(CHAN(A(sw)), frame, packet_len(&p), 2, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO,
		      &h);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_flood), !allowed);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), allowed ? nb_others : 0);
	for (unsigned int i = 1; i <= nb_others; i++)
		TEST_EQ(sw_stat(sw.guest[i], NFE_STAT_to_parts), allowed ? 47 : 0);
	return sw_close(&sw);
}

/* A source may cause 1 MiB of copies at once: who floods more than that with a frame that is cut
 * again and again would keep all others waiting. */
static int
frame_to_be_cut_is_flooded_within_the_limit(void)
{
	SW_DO(broadcast_to_be_cut(16, true));
	return broadcast_to_be_cut(17, false);
}

/* What is delivered has headers of ours, and names only the payload's memory. */
static int
vanished_headers_fail_the_sender(uint8_t flags, uint64_t features)
{
	struct packet p = { .payload = 3000, .seed = 1 };
	struct nfe_hints h = packet_hints(&p, flags & NFE_MSG_F_GSO ? 1400 : 0);
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, features, 2048));
	sw_post(CHAN(B(sw)), 8);
	packet_make(frame, &sw, &p, true);
	SW_DO(packet_send_vanished(&sw, frame, &p, flags, &h));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_fault), 1);
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 0);
	vsw_service(sw.vsw);
	TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_FAILED);
	TEST_EQ(nfed_function_reason(A(sw)->fn), NFE_REASON_MEMORY_GONE);
	TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_READY);
	return sw_close(&sw);
}

static int
vanished_headers_of_a_completed_frame_fail_the_sender(void)
{
	return vanished_headers_fail_the_sender(NFE_MSG_F_CSUM_PARTIAL, SW_BASIC);
}

static int
vanished_headers_of_a_frame_that_is_cut_fail_the_sender(void)
{
	uint8_t flags = NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO;

	SW_DO(vanished_headers_fail_the_sender(flags, SW_BASIC));
	return vanished_headers_fail_the_sender(flags, SW_BASIC | SW_CSUM);
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
	TEST_CASE(frame_to_be_cut_is_flooded_within_the_limit),
	TEST_CASE(cut_frame_that_does_not_fit_is_one_drop),
	TEST_CASE(parts_longer_than_the_mtu_are_dropped),
	TEST_CASE(tcp_header_of_wrong_length_is_dropped_where_it_is_cut),
	TEST_CASE(vanished_headers_of_a_completed_frame_fail_the_sender),
	TEST_CASE(vanished_headers_of_a_frame_that_is_cut_fail_the_sender),
};
TEST_SUITE(vsw_offload, cases);
