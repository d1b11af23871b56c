/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Guest to guest through the switch: every length and form, wraps, order, buffers. What a guest may
 * not do is test_vsw_refuse.c, who gets which frame is test_vsw_policy.c.
 */
#include "test_vsw_fixture.h"

static struct sw_frame got;
static uint8_t sent[SW_MAX_FRAME];

/* Two guests of these kinds. */
static int
pair_open(struct sw *sw, const struct sw_guest_conf *a, const struct sw_guest_conf *b)
{
	SW_DO(sw_open(sw, NULL));
	SW_DO(sw_add_guest(sw, a, NULL));
	SW_DO(sw_add_guest(sw, b, NULL));
	return TEST_OK;
}

static int
expect(struct sw_chan *to, uint32_t len)
{
	TEST_EQ(sw_recv(to, &got), 1);
	TEST_EQ(got.len, len);
	TEST_MEM_EQ(got.bytes, sent, len);
	return TEST_OK;
}

/* Send one frame from guest 0 to guest 1 by put() and compare. */
static int
one_through(struct sw *sw, uint32_t len, unsigned int nsegs)
{
	struct sw_chan *from = &sw->guest[0]->chan[0], *to = &sw->guest[1]->chan[0];

	sw_make_frame(sent, len, sw->guest[1]->mac, sw->guest[0]->mac, len + nsegs);
	if (nsegs == 0)
		sw_put_inline(from, sent, len);
	else
		sw_put_dma(from, sent, len, nsegs);
	sw_publish(from);
	SW_DO(sw_turn(sw));
	SW_DO(expect(to, len));
	TEST_EQ(sw_recv(to, &got), 0);
	return TEST_OK;
}

static int
inline_frames_of_every_length_arrive(void)
{
	struct sw sw;

	SW_DO(pair_open(&sw, NULL, NULL));
	for (uint32_t len = NFE_MIN_FRAME; len <= NFE_INLINE_SHORT; len++) {
		SW_DO(one_through(&sw, len, 0));
		TEST_EQ(got.nbufs, 0);
	}
	TEST_EQ(sw_stat(sw.guest[1], NFE_STAT_to_frames), NFE_INLINE_SHORT - 13);
	TEST_EQ(sw_stat(sw.guest[0], NFE_STAT_from_bytes), sw_stat(sw.guest[1], NFE_STAT_to_bytes));
	return sw_close(&sw);
}

static int
long_inline_goes_into_buffers_of_who_takes_short_ones_only(void)
{
	struct sw_guest_conf plain = { .features = NFE_F_MULTI_SEG };
	struct sw sw;

	SW_DO(pair_open(&sw, NULL, &plain));
	for (uint32_t len = 55; len <= NFE_INLINE_SHORT; len++) {
		sw_post(&sw.guest[1]->chan[0], len > NFE_INLINE_ONE);
		SW_DO(one_through(&sw, len, 0));
		TEST_EQ(got.nbufs, len > NFE_INLINE_ONE);
	}
	return sw_close(&sw);
}

static int
short_dma_is_delivered_inline(void)
{
	struct sw sw;

	SW_DO(pair_open(&sw, NULL, NULL));
	for (uint32_t len = NFE_HDR_COPY + 1; len <= NFE_INLINE_SHORT; len++) {
		SW_DO(one_through(&sw, len, 1 + len % RTE_MIN(len - NFE_HDR_COPY, NFE_MAX_SEGS)));
		TEST_EQ(got.nbufs, 0);
	}
	return sw_close(&sw);
}

static int
dma_of_1_to_16_segments_arrives(void)
{
	struct sw sw;

	SW_DO(pair_open(&sw, NULL, NULL));
	for (unsigned int nsegs = 1; nsegs <= NFE_MAX_SEGS; nsegs++)
		for (uint32_t len = NFE_INLINE_SHORT + 1; len <= SW_MAX_FRAME; len += 1453) {
			sw_post(&sw.guest[1]->chan[0], (len + 2047) / 2048);
			SW_DO(one_through(&sw, len, nsegs));
			TEST_EQ(got.nbufs, (len + 2047) / 2048);
		}
	return sw_close(&sw);
}

/* Each length once, random form and segmentation, into buffers of this size. */
static int
every_length_into(uint32_t buf_size, uint32_t first, uint32_t step)
{
	struct sw_guest_conf to_conf = { .buf_size = buf_size, .first = first };
	struct sw_guest_conf from_conf = { .first = first };
	uint32_t most = RTE_MIN(buf_size * VSW_MAX_BUFS, SW_MAX_FRAME);
	struct sw sw;

	SW_DO(pair_open(&sw, &from_conf, &to_conf));
	for (uint32_t len = NFE_MIN_FRAME; len <= most; len += step) {
		struct sw_chan *from = &sw.guest[0]->chan[0], *to = &sw.guest[1]->chan[0];
		uint32_t have = to->fq_prod - to->fill_end, need = (len + buf_size - 1) / buf_size;

		sw_post(to, need > have ? need - have : 0);
		sw_make_frame(sent, len, sw.guest[1]->mac, sw.guest[0]->mac, len);
		sw_put_frame(from, sent, len);
		sw_publish(from);
		SW_DO(sw_turn(&sw));
		SW_DO(expect(to, len));
		TEST_EQ(sw_recv(to, &got), 0);
	}
	return sw_close(&sw);
}

static int
every_length_from_14_to_9018_arrives_identical(void)
{
	sw_random_seed(1);
	return every_length_into(2048, 0, 1);
}

static int
frames_fill_buffers_of_any_size_exactly(void)
{
	sw_random_seed(2);
	for (unsigned int i = 0; i < 12; i++)
		SW_DO(every_length_into(64 + sw_random() % 4000, sw_random(),
					1 + sw_random() % 61));
	SW_DO(every_length_into(64, 0xffffff00u, 1));
	SW_DO(every_length_into(9018, 0xffffff00u, 31));
	return TEST_OK;
}

static int
messages_of_several_cells_skip_the_end_of_the_array(void)
{
	struct sw_guest_conf small = { .sq_log2 = 4, .rq_log2 = 3, .buf_size = 700 };
	struct sw sw;

	sw_random_seed(3);
	SW_DO(pair_open(&sw, &small, &small));
	for (unsigned int i = 0; i < 500; i++) {
		struct sw_chan *to = &sw.guest[1]->chan[0];
		uint32_t len = NFE_MIN_FRAME + sw_random() % (SW_MAX_FRAME - 13);

		if (len > 60)
			sw_post(to, 14 - (to->fq_prod - to->fill_end));
		sw_make_frame(sent, len, sw.guest[1]->mac, sw.guest[0]->mac, i);
		sw_put_frame(&sw.guest[0]->chan[0], sent, len);
		sw_publish(&sw.guest[0]->chan[0]);
		SW_DO(sw_turn(&sw));
		/* One of 5 cells may not fit beside the padding: then the padding comes alone. */
		if (sw_recv(to, &got) == 0) {
			TEST_TRUE(to->nops > 0);
			sw_put_frame(&sw.guest[0]->chan[0], sent, len);
			sw_publish(&sw.guest[0]->chan[0]);
			SW_DO(sw_turn(&sw));
			TEST_EQ(sw_recv(to, &got), 1);
		}
		TEST_EQ(got.len, len);
		TEST_MEM_EQ(got.bytes, sent, len);
		TEST_EQ(sw_recv(to, &got), 0);
	}
	TEST_TRUE(sw.guest[1]->chan[0].nops > 10);
	return sw_close(&sw);
}

static int
indices_wrap_through_zero(void)
{
	struct sw_guest_conf high = { .first = 0xffffff00u };
	struct sw sw;

	SW_DO(pair_open(&sw, &high, &high));
	for (uint32_t i = 0; i < 400; i++) {
		sw_post(&sw.guest[1]->chan[0], 1);
		SW_DO(one_through(&sw, NFE_INLINE_SHORT + 1 + i, 1 + i % 4));
	}
	TEST_TRUE(sw.guest[0]->chan[0].sq_prod < 0x1000);
	TEST_TRUE(sw.guest[1]->chan[0].fill_end < 0x1000);
	return sw_close(&sw);
}

static int
order_is_kept_within_a_burst_of_all_forms(void)
{
	struct sw sw;

	sw_random_seed(4);
	SW_DO(pair_open(&sw, NULL, NULL));
	for (unsigned int round = 0; round < 50; round++) {
		struct sw_chan *from = &sw.guest[0]->chan[0], *to = &sw.guest[1]->chan[0];
		uint32_t len[16];

		sw_post(to, 28 - (to->fq_prod - to->fill_end));
		for (unsigned int i = 0; i < 16; i++) {
			len[i] = NFE_MIN_FRAME + sw_random() % (i % 4 ? 400 : 3000);
			sw_make_frame(sent, len[i], sw.guest[1]->mac, sw.guest[0]->mac, i);
			sw_put_frame(from, sent, len[i]);
		}
		sw_publish(from);
		while (sw_sq_room(from) != 1u << from->sq_log2)
			SW_DO(sw_turn(&sw));
		for (unsigned int i = 0; i < 16; i++) {
			sw_make_frame(sent, len[i], sw.guest[1]->mac, sw.guest[0]->mac, i);
			SW_DO(expect(to, len[i]));
		}
		TEST_EQ(sw_recv(to, &got), 0);
	}
	return sw_close(&sw);
}

/* A message at the end of the snapshot of a turn comes whole in the next one. */
static int
message_across_two_turns_is_not_split(void)
{
	struct sw sw;
	struct sw_chan *from, *to;

	SW_DO(pair_open(&sw, NULL, NULL));
	from = &sw.guest[0]->chan[0];
	to = &sw.guest[1]->chan[0];
	for (unsigned int i = 0; i < VSW_BURST - 1; i++) {
		sw_make_frame(sent, 60, sw.guest[1]->mac, sw.guest[0]->mac, i);
		sw_put_inline(from, sent, 60);
	}
	sw_make_frame(sent, NFE_INLINE_SHORT, sw.guest[1]->mac, sw.guest[0]->mac, 77);
	sw_put_inline(from, sent, NFE_INLINE_SHORT);
	sw_publish(from);
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_drain(to), VSW_BURST - 1);
	SW_DO(sw_turn(&sw));
	SW_DO(expect(to, NFE_INLINE_SHORT));
	TEST_EQ(sw_stat(sw.guest[0], NFE_STAT_from_drop_truncated), 0);
	return sw_close(&sw);
}

/* A lone one of 5 cells in an array of 8: it can never have room behind the padding at once. */
static int
padding_of_a_small_queue_does_not_block_it(void)
{
	struct sw_guest_conf small = { .rq_log2 = 3, .buf_size = 700 };
	struct sw sw;
	unsigned int arrived = 0;

	SW_DO(pair_open(&sw, NULL, &small));
	for (unsigned int i = 0; i < 20; i++) {
		struct sw_chan *to = &sw.guest[1]->chan[0];

		sw_post(to, 13 - (to->fq_prod - to->fill_end));
		sw_make_frame(sent, SW_MAX_FRAME, sw.guest[1]->mac, sw.guest[0]->mac, i);
		sw_put_dma(&sw.guest[0]->chan[0], sent, SW_MAX_FRAME, 1);
		sw_publish(&sw.guest[0]->chan[0]);
		SW_DO(sw_turn(&sw));
		arrived += sw_drain(to);
	}
	TEST_TRUE(arrived >= 10);
	TEST_EQ(arrived + sw_stat(sw.guest[1], NFE_STAT_to_drop_full), 20);
	return sw_close(&sw);
}

static int
several_channels_share_the_flows_of_a_guest(void)
{
	struct sw_guest_conf two = { .channels = 2 };
	struct sw sw;
	unsigned int n[2];

	SW_DO(pair_open(&sw, NULL, &two));
	for (unsigned int i = 0; i < 64; i++) {
		uint8_t *ip = sent + 14;

		sw_make_frame(sent, 60, sw.guest[1]->mac, sw.guest[0]->mac, 0);
		sent[12] = 0x08;
		sent[13] = 0x00;
		ip[0] = 0x45;
		ip[6] = ip[7] = 0;
		ip[9] = 17;
		ip[21] = (uint8_t)i; /* source port */
		sw_put_inline(&sw.guest[0]->chan[0], sent, 60);
	}
	sw_publish(&sw.guest[0]->chan[0]);
	SW_DO(sw_turn(&sw));
	n[0] = sw_drain(&sw.guest[1]->chan[0]);
	n[1] = sw_drain(&sw.guest[1]->chan[1]);
	TEST_EQ(n[0] + n[1], 64);
	TEST_TRUE(n[0] > 10 && n[1] > 10);
	return sw_close(&sw);
}

static int
two_lcores_share_a_destination(void)
{
	struct vsw_conf conf = { .nb_lcores = 2, .lcores = { 1, 2 }, .idle_us = 10000000 };
	struct sw sw;
	uint64_t v[NFE_STAT_MAX];

	SW_DO(sw_open(&sw, &conf));
	for (unsigned int i = 0; i < 3; i++)
		SW_DO(sw_add_guest(&sw, NULL, NULL));
	for (unsigned int round = 0; round < 40; round++) {
		struct sw_chan *to = &sw.guest[2]->chan[0];
		unsigned int seen[2] = { 0, 0 };

		sw_post(to, 16 - (to->fq_prod - to->fill_end));
		for (unsigned int i = 0; i < 16; i++) {
			struct sw_guest *from = sw.guest[i % 2];

			sw_make_frame(sent, 40u + i * 40, sw.guest[2]->mac, from->mac, i);
			sw_put_frame(&from->chan[0], sent, 40u + i * 40);
			sw_publish(&from->chan[0]);
			if (i % 4 == 3)
				SW_DO(sw_turn(&sw));
		}
		for (unsigned int i = 0; i < 16; i++) {
			unsigned int by;

			TEST_EQ(sw_recv(to, &got), 1);
			by = got.bytes[11] - 1u; /* last byte of the source's MAC */
			TEST_TRUE(by < 2 && got.len == 40u + (2 * seen[by] + by) * 40);
			sw_make_frame(sent, got.len, sw.guest[2]->mac, sw.guest[by]->mac,
				      2 * seen[by] + by);
			TEST_MEM_EQ(got.bytes, sent, got.len);
			seen[by]++;
		}
		TEST_EQ(sw_recv(to, &got), 0);
	}
	TEST_TRUE(sw.guest[0]->port->chan[1]->lcore != sw.guest[1]->port->chan[1]->lcore);
	TEST_EQ(vsw_port_stats(sw.guest[2]->port, v), 0);
	TEST_EQ(v[NFE_STAT_to_frames], 640);
	TEST_EQ(sw.vsw->lcore[0]->cnt[2][NFE_STAT_to_frames], 320);
	TEST_EQ(sw.vsw->lcore[1]->cnt[2][NFE_STAT_to_frames], 320);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(inline_frames_of_every_length_arrive),
	TEST_CASE(long_inline_goes_into_buffers_of_who_takes_short_ones_only),
	TEST_CASE(short_dma_is_delivered_inline),
	TEST_CASE(dma_of_1_to_16_segments_arrives),
	TEST_CASE(every_length_from_14_to_9018_arrives_identical),
	TEST_CASE(frames_fill_buffers_of_any_size_exactly),
	TEST_CASE(messages_of_several_cells_skip_the_end_of_the_array),
	TEST_CASE(indices_wrap_through_zero),
	TEST_CASE(order_is_kept_within_a_burst_of_all_forms),
	TEST_CASE(message_across_two_turns_is_not_split),
	TEST_CASE(padding_of_a_small_queue_does_not_block_it),
	TEST_CASE(several_channels_share_the_flows_of_a_guest),
	TEST_CASE(two_lcores_share_a_destination),
};
TEST_SUITE(vsw_forward, cases);
