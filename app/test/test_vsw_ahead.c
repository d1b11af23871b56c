/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Where the switch thinks that the next frames will go (vsw_ahead.h): for which receive queue it asks,
 * for how many cells, and that a wrong guess changes nothing.
 */
#include "test_vsw_fixture.h"

static struct sw_frame got;
static uint8_t frame[SW_MAX_FRAME];

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define C(sw) ((sw).guest[2])
#define CHAN(g) (&(g)->chan[0])
#define LEN 64u /* two cells */

/* A turn with n frames of two cells from A, all for this address. */
static int
turn(struct sw *sw, const uint8_t *to, unsigned int n)
{
	sw_make_frame(frame, LEN, to, A(*sw)->mac, n);
	for (unsigned int i = 0; i < n; i++)
		sw_put_inline(CHAN(A(*sw)), frame, LEN);
	sw_publish(CHAN(A(*sw)));
	return sw_turn(sw);
}

static const struct nfed_queue *
rq_of(struct sw_guest *g)
{
	return &g->port->chan[1]->ch->rq;
}

/* In the last turn so many cells of this guest's queue were asked for. NULL: no queue's. */
static int
asked(struct sw *sw, struct sw_guest *g, uint32_t first, uint32_t n)
{
	const struct vsw_ahead *a = &sw->vsw->lcore[0]->ahead;

	TEST_TRUE(a->rq == (g != NULL ? rq_of(g) : NULL));
	if (g != NULL)
		TEST_EQ(a->next - first, n);
	return TEST_OK;
}

static int
cells_are_asked_for_where_the_last_frame_went(void)
{
	struct sw_guest_conf wrap = { .first = UINT32_MAX - 10 };
	struct sw sw;
	uint32_t first;

	SW_DO(sw_open_three(&sw, NULL, &wrap));
	SW_DO(turn(&sw, B(sw)->mac, 1));
	SW_DO(asked(&sw, NULL, 0, 0));
	for (unsigned int n = 1; n <= 10; n++) {
		first = rq_of(B(sw))->prod;
		SW_DO(turn(&sw, B(sw)->mac, n));
		SW_DO(asked(&sw, B(sw), first, 2 * n));
		TEST_EQ(sw_drain(CHAN(B(sw))), n == 1 ? 2 : n);
	}
	return sw_close(&sw);
}

static int
wrong_guess_delivers_all_the_same(void)
{
	struct sw sw;
	uint32_t first;

	SW_DO(sw_open_three(&sw, NULL, NULL));
	SW_DO(turn(&sw, B(sw)->mac, 1));
	for (unsigned int i = 0; i < 6; i++) {
		struct sw_guest *last = i % 2 ? C(sw) : B(sw), *now = i % 2 ? B(sw) : C(sw);

		sw_drain(CHAN(last));
		first = rq_of(last)->prod;
		SW_DO(turn(&sw, now->mac, 3));
		SW_DO(asked(&sw, last, first, 6));
		TEST_EQ(rq_of(last)->prod, first);
		TEST_EQ(sw_drain(CHAN(last)), 0);
		for (unsigned int k = 0; k < 3; k++) {
			TEST_EQ(sw_recv(CHAN(now), &got), 1);
			TEST_MEM_EQ(got.bytes, frame, LEN);
		}
	}
	return sw_close(&sw);
}

/* What the guest has not read yet stays with it. */
static int
no_more_than_there_is_room_for(void)
{
	struct sw_guest_conf small = { .rq_log2 = 3 };
	struct sw sw;
	uint32_t first;

	SW_DO(sw_open_three(&sw, NULL, &small));
	SW_DO(turn(&sw, B(sw)->mac, 1));
	first = rq_of(B(sw))->prod;
	SW_DO(turn(&sw, B(sw)->mac, 10));
	SW_DO(asked(&sw, B(sw), first, 6));
	first = rq_of(B(sw))->prod;
	SW_DO(turn(&sw, B(sw)->mac, 1));
	SW_DO(asked(&sw, B(sw), first, 0));
	TEST_EQ(sw_drain(CHAN(B(sw))), 4);
	return sw_close(&sw);
}

static int
no_guess_without_one_destination(void)
{
	struct sw sw;

	SW_DO(sw_open_three(&sw, NULL, NULL));
	SW_DO(turn(&sw, B(sw)->mac, 1));
	/* frames of a turn for two */
	for (unsigned int i = 0; i < 4; i++) {
		sw_make_frame(frame, LEN, i % 2 ? B(sw)->mac : C(sw)->mac, A(sw)->mac, i);
		sw_put_inline(CHAN(A(sw)), frame, LEN);
	}
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	SW_DO(turn(&sw, B(sw)->mac, 1));
	SW_DO(asked(&sw, NULL, 0, 0));
	/* a channel that is stopped, an address that is gone */
	SW_DO(turn(&sw, B(sw)->mac, 1));
	SW_DO(asked(&sw, B(sw), rq_of(B(sw))->prod - 2, 2));
	TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_STOP_CHANNEL, 1), 0);
	SW_DO(turn(&sw, B(sw)->mac, 1));
	SW_DO(asked(&sw, NULL, 0, 0));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_link), 1);
	vsw_vif_remove(B(sw)->port);
	SW_DO(turn(&sw, B(sw)->mac, 1));
	SW_DO(asked(&sw, NULL, 0, 0));
	return sw_close(&sw);
}

static int
lines_of_another_lcore_are_not_asked_for(void)
{
	struct vsw_conf conf = { .nb_lcores = 2, .lcores = { 1, 2 } };
	struct sw sw;

	SW_DO(sw_open_three(&sw, &conf, NULL));
	TEST_TRUE(A(sw)->port->chan[1]->lcore == sw.vsw->lcore[0]);
	SW_DO(turn(&sw, B(sw)->mac, 1));
	SW_DO(turn(&sw, B(sw)->mac, 1));
	TEST_TRUE(sw.vsw->lcore[0]->ahead.rq == rq_of(B(sw)));
	B(sw)->port->chan[1]->writer = sw.vsw->lcore[1];
	SW_DO(turn(&sw, B(sw)->mac, 1));
	TEST_TRUE(sw.vsw->lcore[0]->ahead.rq == NULL);
	SW_DO(turn(&sw, B(sw)->mac, 1)); /* it wrote there itself since */
	TEST_TRUE(sw.vsw->lcore[0]->ahead.rq == rq_of(B(sw)));
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(cells_are_asked_for_where_the_last_frame_went),
	TEST_CASE(wrong_guess_delivers_all_the_same),
	TEST_CASE(no_more_than_there_is_room_for),
	TEST_CASE(no_guess_without_one_destination),
	TEST_CASE(lines_of_another_lcore_are_not_asked_for),
};
TEST_SUITE(vsw_ahead, cases);
