/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a guest may ask of the switch through its control channel, and what it cannot get more of:
 * snapshots of the lcores' counters, channels. One thread, fake guests.
 */
#include <errno.h>

#include <rte_cycles.h>

#include "test_vsw_fixture.h"

#define A(sw)	((sw).guest[0])
#define B(sw)	((sw).guest[1])
#define CHAN(g) (&(g)->chan[0])

static uint8_t frame[60];

/* A sends one more frame to B; what its counters say when it asks for them. */
static uint64_t
frames_told(struct sw *sw)
{
	uint64_t value[NFE_STAT_MAX];

	sw_put_frame(CHAN(A(*sw)), frame, sizeof(frame));
	sw_publish(CHAN(A(*sw)));
	if (sw_turn(sw) != TEST_OK || sw_drain(CHAN(B(*sw))) != 1)
		return UINT64_MAX;
	if (vsw_owner_ops.stats(A(*sw)->port, value) != 0)
		return UINT64_MAX;
	return value[NFE_STAT_from_frames];
}

/* Regression: each question went to every lcore, so a guest that asked all day slowed down the
 * others. The window of 10 ms is held open by hand: the test doesn't depend on time. */
static int
snapshots_of_statistics_are_few_however_often_a_guest_asks(void)
{
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	sw_make_frame(frame, sizeof(frame), B(sw)->mac, A(sw)->mac, 1);
	A(sw)->port->stats_tsc = rte_rdtsc();
	A(sw)->port->stats_asked = 0;
	for (uint64_t n = 1; n <= 100; n++) {
		A(sw)->port->stats_tsc = rte_rdtsc();
		TEST_EQ(frames_told(&sw), RTE_MIN(n, UINT64_C(8)));
	}
	A(sw)->port->stats_tsc = 0; /* the window is over */
	TEST_EQ(frames_told(&sw), 101);
	return sw_close(&sw);
}

/* Regression: the places of channels in the lcores' tables are limited, and come back. */
static int
channels_beyond_the_limit_are_refused_until_one_stops(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 10000000, .max_channels = 3 };
	struct sw_guest_conf two = { .channels = 2 }, stopped = { .channels = 2, .no_start = true };
	struct sw sw;

	SW_DO(sw_open(&sw, &conf));
	SW_DO(sw_add_guest(&sw, &two, NULL));
	SW_DO(sw_add_guest(&sw, &stopped, NULL));
	TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_START_CHANNEL, 1), 0);
	for (unsigned int i = 1; i <= 3; i++) {
		TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_START_CHANNEL, 2), -ENOSPC);
		TEST_EQ(nfed_function_counters(B(sw)->fn)->denied, i);
	}
	TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_READY);
	for (unsigned int i = 0; i < 10; i++) {
		TEST_EQ(fake_op_channel(&A(sw)->g, NFE_OP_STOP_CHANNEL, 2), 0);
		TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_START_CHANNEL, 2), 0);
		TEST_EQ(fake_op_channel(&A(sw)->g, NFE_OP_START_CHANNEL, 2), -ENOSPC);
		TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_STOP_CHANNEL, 2), 0);
		TEST_EQ(fake_op_channel(&A(sw)->g, NFE_OP_START_CHANNEL, 2), 0);
	}
	sw_make_frame(frame, sizeof(frame), B(sw)->mac, A(sw)->mac, 1);
	sw_put_frame(CHAN(A(sw)), frame, sizeof(frame));
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_drain(CHAN(B(sw))), 1);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(snapshots_of_statistics_are_few_however_often_a_guest_asks),
	TEST_CASE(channels_beyond_the_limit_are_refused_until_one_stops),
};
TEST_SUITE(vsw_owner, cases);
