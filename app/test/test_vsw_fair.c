/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Shares of an lcore's time: VIFs that flood get equal bytes (by their weights), whatever the number
 * of their channels and the size of their frames. Counts bytes over turns of an lcore, no time.
 */
#include <rte_ring.h>

#include "test_vsw_fixture.h"

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define TURNS 4000
#define DST "\x02\x00\x00\x00\x00\x03" /* the third guest, which reads nothing */
#define LONG_LEN 8900u
#define LONG_TURN ((VSW_BURST * VSW_CELL_BYTES + LONG_LEN - 1) / LONG_LEN) /* of them are a turn */
#define SHORT_LEN 60u
#define WIRE_LEN 1514u
#define WIRE_FRAMES 300 /* more than a round takes */
#define PERCENT(x, p) ((x) / 100 * (p))

static uint8_t frame[SW_MAX_FRAME];

struct flood { /* of one guest: all its channels, always full */
	struct sw_guest *g;
	uint32_t len;
	unsigned int channels;
	uint64_t cells; /* taken by the switch */
};

static int
fair_open(struct sw *sw, const struct sw_guest_conf *a, const struct sw_guest_conf *b)
{
	SW_DO(sw_open(sw, NULL));
	SW_DO(sw_add_guest(sw, a, NULL));
	SW_DO(sw_add_guest(sw, b, NULL));
	return sw_add_guest(sw, NULL, NULL);
}

/* Every cell of a queue is the same message, written once. Long frames come from one place. */
static void
fill_queue(struct sw_chan *c, uint32_t len)
{
	union nfe_msg m = { .tx = { .type = NFE_MSG_DMA_TX, .len = (uint16_t)(len - NFE_HDR_COPY),
				    .key = SW_KEY_PAYLOAD, .hints.nsegs = 1 } };

	sw_make_frame(frame, len, (const uint8_t *)DST, c->guest->mac, 1);
	memcpy(m.tx.hdr, frame, NFE_HDR_COPY);
	for (uint32_t i = 0; i < 1u << c->sq_log2; i++) {
		if (len > SHORT_LEN)
			sw_put_cells(c, &m, 1);
		else
			sw_put_inline(c, frame, len);
	}
}

static void
flood_start(struct flood *f)
{
	for (unsigned int i = 0; i < f->channels; i++) {
		fill_queue(&f->g->chan[i], f->len);
		sw_publish(&f->g->chan[i]);
	}
}

/* What was taken is there again. */
static void
flood_on(struct flood *f)
{
	for (unsigned int i = 0; i < f->channels; i++) {
		struct sw_chan *c = &f->g->chan[i];
		uint32_t room = sw_sq_room(c);

		f->cells += room;
		c->sq_prod += room;
		sw_publish(c);
	}
}

static int
flood_both(struct sw *sw, struct flood *a, struct flood *b)
{
	flood_start(a);
	flood_start(b);
	for (unsigned int i = 0; i < TURNS; i++) {
		vsw_lcore_turn(sw->vsw->lcore[0]);
		flood_on(a);
		flood_on(b);
	}
	TEST_TRUE(a->cells > 64 * 64 && b->cells > 64 * 64); /* many bursts each */
	return sw_check_identities(sw);
}

/* What it cost: bytes, and what each cell costs besides. */
static uint64_t
cost(const struct flood *f)
{
	return sw_stat(f->g, NFE_STAT_from_bytes) + f->cells * VSW_CELL_COST;
}

static int
about_equal(uint64_t x, uint64_t y)
{
	TEST_ASSERT_MSG(x > PERCENT(y, 95) && y > PERCENT(x, 95), "%" PRIu64 " and %" PRIu64, x, y);
	return TEST_OK;
}

static int
more_channels_bring_no_more(void)
{
	struct sw_guest_conf eight = { .channels = 8 };
	struct flood a = { .len = SHORT_LEN, .channels = 8 }, b = { .len = SHORT_LEN, .channels = 1 };
	struct sw sw;

	SW_DO(fair_open(&sw, &eight, NULL));
	a.g = A(sw);
	b.g = B(sw);
	SW_DO(flood_both(&sw, &a, &b));
	SW_DO(about_equal(sw_stat(A(sw), NFE_STAT_from_bytes), sw_stat(B(sw), NFE_STAT_from_bytes)));
	return sw_close(&sw);
}

static int
channels_of_a_vif_take_turns(void)
{
	struct sw_guest_conf eight = { .channels = 8 };
	struct flood a = { .len = SHORT_LEN, .channels = 8 }, b = { .len = SHORT_LEN, .channels = 1 };
	struct sw sw;

	SW_DO(fair_open(&sw, &eight, NULL));
	a.g = A(sw);
	b.g = B(sw);
	SW_DO(flood_both(&sw, &a, &b));
	for (unsigned int i = 0; i < 8; i++)
		SW_DO(about_equal(nfe_idx_read(&sw_status(&A(sw)->chan[i])->sq_cons), a.cells / 8));
	return sw_close(&sw);
}

static int
long_and_short_frames_get_equal_bytes(void)
{
	struct flood a = { .len = LONG_LEN, .channels = 1 }, b = { .len = SHORT_LEN, .channels = 1 };
	struct sw sw;

	SW_DO(fair_open(&sw, NULL, NULL));
	a.g = A(sw);
	b.g = B(sw);
	SW_DO(flood_both(&sw, &a, &b));
	SW_DO(about_equal(cost(&a), cost(&b)));
	return sw_close(&sw);
}

static int
weights_divide_the_bytes(void)
{
	struct sw_guest_conf heavy = { .vif.weight = 3, .sq_log2 = 8 }; /* three bursts */
	struct flood a = { .len = SHORT_LEN, .channels = 1 }, b = { .len = LONG_LEN, .channels = 1 };
	struct sw sw;

	SW_DO(fair_open(&sw, &heavy, NULL));
	a.g = A(sw);
	b.g = B(sw);
	SW_DO(flood_both(&sw, &a, &b));
	SW_DO(about_equal(cost(&a), 3 * cost(&b)));
	return sw_close(&sw);
}

/* Nobody else wants the lcore: no turn is lost, whatever the frames cost. */
static int
a_vif_alone_is_never_held_back(void)
{
	struct flood a = { .len = LONG_LEN, .channels = 1 };
	struct sw sw;

	SW_DO(fair_open(&sw, NULL, NULL));
	a.g = A(sw);
	TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_STOP_CHANNEL, 1), 0);
	TEST_EQ(fake_op_channel(&sw.guest[2]->g, NFE_OP_STOP_CHANNEL, 1), 0);
	flood_start(&a);
	for (unsigned int i = 1; i <= 100; i++) {
		vsw_lcore_turn(sw.vsw->lcore[0]);
		flood_on(&a);
		TEST_EQ(a.cells, i * LONG_TURN);
	}
	return sw_close(&sw);
}

/* So much and no more per turn, whatever the queue holds; longer frames make it shorter. */
static int
a_turn_takes_as_many_cells_as_configured(void)
{
	static const unsigned int bursts[] = { VSW_MIN_BURST, 32, VSW_MAX_BURST };

	for (unsigned int k = 0; k < RTE_DIM(bursts); k++) {
		struct vsw_conf conf = { .nb_lcores = 1, .lcores = { 1 }, .idle_us = 10000000,
					 .burst = bursts[k] };
		struct flood a = { .len = VSW_CELL_BYTES, .channels = 1 };
		struct sw_guest_conf guest = { .sq_log2 = 8 };
		struct sw sw;

		SW_DO(sw_open(&sw, &conf));
		SW_DO(sw_add_guest(&sw, &guest, NULL));
		a.g = A(sw);
		flood_start(&a);
		for (unsigned int i = 1; i <= 10; i++) {
			vsw_lcore_turn(sw.vsw->lcore[0]);
			flood_on(&a);
			TEST_EQ(a.cells, i * bursts[k]);
		}
		SW_DO(sw_close(&sw));
	}
	return TEST_OK;
}

/* Others are polled, but have nothing: a turn in vain at most between two bursts. */
static int
overdraft_is_repaid_at_once_when_nobody_else_has_work(void)
{
	struct flood a = { .len = LONG_LEN, .channels = 1 };
	struct sw sw;

	SW_DO(fair_open(&sw, NULL, NULL));
	a.g = A(sw);
	flood_start(&a);
	for (unsigned int i = 1; i <= 200; i++) {
		vsw_lcore_turn(sw.vsw->lcore[0]);
		flood_on(&a);
	}
	TEST_TRUE(a.cells >= 100 * LONG_TURN);
	return sw_close(&sw);
}

/* A flooded frame costs as many copies as are made of it. */
static int
copies_of_flooded_frames_are_charged(void)
{
	struct flood b = { .len = SHORT_LEN, .channels = 1 };
	uint64_t copies;
	struct sw sw;

	SW_DO(fair_open(&sw, NULL, NULL));
	for (unsigned int i = 0; i < 7; i++) /* ten guests: nine copies */
		SW_DO(sw_add_guest(&sw, NULL, NULL));
	b.g = B(sw);
	flood_start(&b);
	for (unsigned int i = 0; i < TURNS; i++) {
		while (sw_sq_room(&A(sw)->chan[0]) > 0) {
			sw_make_frame(frame, SHORT_LEN, sw_broadcast, A(sw)->mac, i);
			sw_put_inline(&A(sw)->chan[0], frame, SHORT_LEN);
		}
		sw_publish(&A(sw)->chan[0]);
		sw.vsw->lcore[0]->flood[0].left = VSW_FLOOD_BURST; /* the other limit is not tested here */
		vsw_lcore_turn(sw.vsw->lcore[0]);
		flood_on(&b);
	}
	copies = sw_stat(A(sw), NFE_STAT_from_copies);
	TEST_EQ(copies, 9 * sw_stat(A(sw), NFE_STAT_from_flooded));
	SW_DO(about_equal(copies, sw_stat(B(sw), NFE_STAT_from_frames)));
	return sw_close(&sw);
}

/* Frames from the wire to the third guest, so many that no round empties the uplink's queue. */
static void
wire_on(struct sw *sw, uint32_t len)
{
	static const uint8_t host[6] = { 2, 0x77, 0, 0, 0, 1 };

	sw_make_frame(frame, len, (const uint8_t *)DST, host, 1);
	while (rte_ring_count(sw->wire[0]) < WIRE_FRAMES)
		sw_wire_send(sw, frame, len);
}

static uint64_t
wire_cost(const struct sw *sw)
{
	return sw_uplink_stat(sw, NFE_STAT_from_bytes) +
	       sw_uplink_stat(sw, NFE_STAT_from_frames) * VSW_CELL_COST;
}

/* Both flood; the uplink gets as much as four VIFs. */
static int
uplink_and_vif(uint32_t wire_len, uint32_t vif_len)
{
	struct flood a = { .len = vif_len, .channels = 1 };
	struct sw sw;

	SW_DO(fair_open(&sw, NULL, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	a.g = A(sw);
	flood_start(&a);
	for (unsigned int i = 0; i < TURNS; i++) {
		wire_on(&sw, wire_len);
		vsw_lcore_turn(sw.vsw->lcore[0]);
		flood_on(&a);
	}
	TEST_TRUE(a.cells > 64 * 64);
	SW_DO(about_equal(wire_cost(&sw), 4 * cost(&a)));
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

static int
uplink_has_a_share_as_vifs_have(void)
{
	SW_DO(uplink_and_vif(SHORT_LEN, SHORT_LEN));
	SW_DO(uplink_and_vif(SHORT_LEN, LONG_LEN));
	SW_DO(uplink_and_vif(WIRE_LEN, SHORT_LEN));
	return uplink_and_vif(WIRE_LEN, LONG_LEN);
}

/* The one VIF that is polled beside it must not be alone because VIFs don't see uplinks. */
static int
lonely_vif_shares_with_an_uplink(void)
{
	struct flood a = { .len = LONG_LEN, .channels = 1 };
	struct sw sw;

	SW_DO(fair_open(&sw, NULL, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	a.g = A(sw);
	TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_STOP_CHANNEL, 1), 0);
	TEST_EQ(fake_op_channel(&sw.guest[2]->g, NFE_OP_STOP_CHANNEL, 1), 0);
	flood_start(&a);
	for (unsigned int i = 0; i < TURNS; i++) {
		wire_on(&sw, WIRE_LEN);
		vsw_lcore_turn(sw.vsw->lcore[0]);
		flood_on(&a);
	}
	SW_DO(about_equal(wire_cost(&sw), 4 * cost(&a)));
	return sw_close(&sw);
}

static int
uplink_alone_is_never_held_back(void)
{
	struct sw sw;

	SW_DO(fair_open(&sw, NULL, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	for (unsigned int i = 0; i < 3; i++)
		TEST_EQ(fake_op_channel(&sw.guest[i]->g, NFE_OP_STOP_CHANNEL, 1), 0);
	for (unsigned int i = 1; i <= 100; i++) {
		wire_on(&sw, WIRE_LEN);
		vsw_lcore_turn(sw.vsw->lcore[0]);
		TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_from_frames), i * 8 * VSW_UPLINK_BURST);
	}
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(more_channels_bring_no_more),
	TEST_CASE(channels_of_a_vif_take_turns),
	TEST_CASE(long_and_short_frames_get_equal_bytes),
	TEST_CASE(weights_divide_the_bytes),
	TEST_CASE(a_vif_alone_is_never_held_back),
	TEST_CASE(a_turn_takes_as_many_cells_as_configured),
	TEST_CASE(overdraft_is_repaid_at_once_when_nobody_else_has_work),
	TEST_CASE(copies_of_flooded_frames_are_charged),
	TEST_CASE(uplink_has_a_share_as_vifs_have),
	TEST_CASE(lonely_vif_shares_with_an_uplink),
	TEST_CASE(uplink_alone_is_never_held_back),
};
TEST_SUITE(vsw_fair, cases);
