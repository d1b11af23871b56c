/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Rate limit of a VIF (vsw_rate.h). The clock is the test's own: a turn begins at the time that the
 * test sets, so amounts are exact.
 */
#include "test_vsw_fixture.h"

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define CHAN(g) (&(g)->chan[0])
#define KIB 1024
#define LEN 1024u /* one KiB */
#define HZ UINT64_C(1000000000)
#define MBPS 8 /* a million bytes per s */
#define BURST_KIB 256

static uint8_t frame[SW_MAX_FRAME];

static const struct sw_guest_conf limited = {
	.sq_log2 = 8, .channels = 2,
	/* By its weight it never sits out. */
	.vif = { .rate_mbps = MBPS, .burst_kib = BURST_KIB, .weight = VSW_MAX_WEIGHT },
};

/* Frames of 1 KiB to a guest that does not read; all lie at one place. */
static void
fill_up(struct sw_chan *c)
{
	union nfe_msg m = { .tx = { .type = NFE_MSG_DMA_TX, .len = LEN - NFE_HDR_COPY,
				    .key = SW_KEY_PAYLOAD, .hints.nsegs = 1 } };

	sw_make_frame(frame, LEN, B(*c->guest->sw)->mac, c->guest->mac, 1);
	memcpy(m.tx.hdr, frame, NFE_HDR_COPY);
	while (sw_sq_room(c) > 0)
		sw_put_cells(c, &m, 1);
	sw_publish(c);
}

static int
rate_open(struct sw *sw, unsigned int lcores)
{
	struct vsw_conf conf = { .nb_lcores = lcores, .lcores = { 1, 2 } };

	SW_DO(sw_open(sw, &conf));
	sw->vsw->idle_tsc = UINT64_MAX; /* the clock jumps */
	SW_DO(sw_add_guest(sw, &limited, NULL));
	return sw_add_guest(sw, NULL, NULL);
}

/* A turn of each lcore, this many KiB of the limit later than the last one. They take turns at
 * being first. */
static int
turn_after(struct sw *sw, uint64_t kib)
{
	static uint64_t now = UINT64_C(1) << 40;
	static unsigned int first;
	unsigned int n = sw->vsw->nb_lcores;

	now += kib * VSW_RATE_KIB / A(*sw)->port->rate.unit * A(*sw)->port->rate.tsc_unit;
	first++;
	for (unsigned int i = 0; i < n; i++) {
		struct vsw_lcore *lc = sw->vsw->lcore[(first + i) % n];

		lc->now = now;
		vsw_lcore_turn(lc);
	}
	return sw_check_identities(sw);
}

static uint64_t
sent(const struct sw *sw)
{
	return sw_stat(A(*sw), NFE_STAT_from_bytes) / KIB;
}

/* Time goes as it likes: what was sent is the burst, what was earned, and less than one look more. */
static int
sends_what_it_earns(void)
{
	uint64_t earned = 0;
	struct sw sw;

	SW_DO(rate_open(&sw, 1));
	sw_random_seed(3);
	SW_DO(turn_after(&sw, 1 << 20)); /* a pause, however long, earns a burst */
	for (unsigned int i = 0; i < 2000; i++) {
		uint64_t kib = sw_random() % 64;

		fill_up(&A(sw)->chan[0]);
		fill_up(&A(sw)->chan[1]);
		earned += i == 0 ? 0 : kib;
		SW_DO(turn_after(&sw, i == 0 ? 0 : kib));
		TEST_TRUE(sent(&sw) <= BURST_KIB + earned + VSW_BURST);
		if (earned > 64 * BURST_KIB) /* and no less */
			TEST_TRUE(sent(&sw) + 64 >= BURST_KIB + earned);
	}
	TEST_TRUE(sw_stat(A(sw), NFE_STAT_from_rate_waits) > 100);
	return sw_close(&sw);
}

static int
what_waits_stays_in_the_queue(void)
{
	uint32_t room;
	uint64_t waits;
	struct sw sw;

	SW_DO(rate_open(&sw, 1));
	for (unsigned int i = 0; i < 16; i++) {
		fill_up(CHAN(A(sw)));
		SW_DO(turn_after(&sw, i == 0 ? 1 << 20 : 0));
	}
	TEST_EQ(sent(&sw), BURST_KIB);
	room = sw_sq_room(CHAN(A(sw)));
	TEST_EQ(room, 0);
	waits = sw_stat(A(sw), NFE_STAT_from_rate_waits);
	TEST_EQ(waits, 1);
	for (enum nfe_stat s = NFE_STAT_FROM_DROP_FIRST; s <= NFE_STAT_FROM_DROP_LAST; s++)
		TEST_EQ(sw_stat(A(sw), s), 0);
	SW_DO(turn_after(&sw, 1)); /* more than nothing: a whole look, which is paid for after */
	TEST_EQ(sent(&sw), BURST_KIB + VSW_BURST);
	SW_DO(turn_after(&sw, VSW_BURST - 1));
	TEST_EQ(sent(&sw), BURST_KIB + VSW_BURST);
	SW_DO(turn_after(&sw, 1));
	TEST_EQ(sent(&sw), BURST_KIB + 2 * VSW_BURST);
	return sw_close(&sw);
}

/* Its channels lie on two lcores, which draw on the same limit. */
static int
lcores_share_the_limit(void)
{
	uint64_t earned = 0;
	struct sw sw;

	SW_DO(rate_open(&sw, 2));
	SW_DO(turn_after(&sw, 1 << 20));
	for (unsigned int i = 0; i < 500; i++) {
		fill_up(&A(sw)->chan[0]);
		fill_up(&A(sw)->chan[1]);
		earned += i == 0 ? 0 : 40;
		SW_DO(turn_after(&sw, i == 0 ? 0 : 40));
		TEST_TRUE(sent(&sw) <= BURST_KIB + earned + 2 * VSW_BURST);
	}
	TEST_TRUE(sent(&sw) + 2 * VSW_BURST >= BURST_KIB + earned);
	for (unsigned int i = 0; i < 2; i++) /* neither lcore took all of it */
		TEST_TRUE(nfe_idx_read(&sw_status(&A(sw)->chan[i])->sq_cons) > earned / 4);
	return sw_close(&sw);
}

static int
neighbours_are_not_held_back(void)
{
	struct sw sw;

	SW_DO(rate_open(&sw, 1));
	for (unsigned int i = 0; i < 100; i++) {
		fill_up(CHAN(A(sw)));
		sw_make_frame(frame, 60, A(sw)->mac, B(sw)->mac, i);
		sw_put_inline(CHAN(B(sw)), frame, 60);
		sw_publish(CHAN(B(sw)));
		SW_DO(turn_after(&sw, 0));
		TEST_EQ(sw_drain(CHAN(A(sw))), 1);
	}
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_rate_waits), 1);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_from_rate_waits), 0);
	return sw_close(&sw);
}

static int
reset_does_not_renew_the_burst(void)
{
	struct sw_guest_conf again = limited;
	struct sw sw;

	SW_DO(rate_open(&sw, 1));
	for (unsigned int i = 0; i < 8; i++) {
		fill_up(CHAN(A(sw)));
		SW_DO(turn_after(&sw, i == 0 ? 1 << 20 : 0));
	}
	TEST_EQ(sent(&sw), BURST_KIB);
	fake_reg_write(&A(sw)->g, NFE_REG_COMMAND, NFE_CMD_RESET);
	SW_DO(sw_guest_up(A(sw), &again));
	fill_up(CHAN(A(sw)));
	SW_DO(turn_after(&sw, 0));
	TEST_EQ(sent(&sw), BURST_KIB);
	return sw_close(&sw);
}

/* A VIF that has nothing to send falls idle, limit used up or not. */
static int
empty_queue_falls_idle_while_the_limit_waits(void)
{
	struct sw sw;

	SW_DO(rate_open(&sw, 1));
	fill_up(CHAN(A(sw)));
	for (unsigned int i = 0; i < 8 && sw_sq_room(CHAN(A(sw))) < 1u << 8; i++)
		SW_DO(turn_after(&sw, 0));
	A(sw)->port->rate.bytes = -1;
	sw.vsw->idle_tsc = 0;
	for (unsigned int i = 0; i < 4; i++)
		SW_DO(turn_after(&sw, 0));
	TEST_EQ(sw.vsw->lcore[0]->nb_hot, 0);
	fill_up(CHAN(A(sw))); /* kicks */
	SW_DO(sw_turn(&sw));
	TEST_TRUE(sw.vsw->lcore[0]->nb_hot > 0);
	return sw_close(&sw);
}

static int
bucket_keeps_time_and_fractions(void)
{
	struct vsw_rate r = { 0 };
	uint64_t now = 0, earned = 0;

	vsw_rate_init(&r, HZ, 1000, 64);
	TEST_EQ(r.unit, KIB);
	TEST_EQ(r.tsc_unit, 8192); /* ns for 1 KiB at 1 Gbit/s */
	TEST_TRUE(vsw_rate_charge(&r, 64 * KIB));
	TEST_TRUE(!vsw_rate_charge(&r, KIB)); /* it waits already */
	TEST_TRUE(!vsw_rate_allows(&r, now));
	for (unsigned int i = 0; i < 100000; i++) { /* looked at far more often than a KiB is earned */
		now += 100;
		if (vsw_rate_allows(&r, now)) {
			vsw_rate_charge(&r, (uint64_t)r.bytes);
			earned++;
		}
	}
	TEST_EQ(earned + 1, now / 8192); /* the first one went for the overdraft */
	TEST_TRUE(!vsw_rate_allows(&r, now - HZ)); /* another lcore's clock is behind */
	TEST_TRUE(vsw_rate_allows(&r, UINT64_MAX / 2));
	TEST_EQ(r.bytes, 64 * KIB);
	vsw_rate_init(&r, HZ, VSW_MAX_RATE_MBPS, 1);
	TEST_TRUE(r.tsc_unit > 0);
	return TEST_OK;
}

/* Such as arm64 has: 100 Gbit/s are 521 bytes in a cycle. */
static int
slow_clock_keeps_a_high_rate(void)
{
	const uint64_t slow_hz = 24000000;
	struct vsw_rate r = { 0 };
	uint64_t sent = 0;

	vsw_rate_init(&r, slow_hz, VSW_MAX_RATE_MBPS, 122070); /* 10 ms */
	vsw_rate_charge(&r, (uint64_t)r.bytes);
	for (uint64_t now = 1; now <= slow_hz; now += 240) {
		vsw_rate_fill(&r, now);
		if (r.bytes > 0) {
			sent += (uint64_t)r.bytes;
			vsw_rate_charge(&r, (uint64_t)r.bytes);
		}
	}
	TEST_TRUE(sent > UINT64_C(12500000000) * 99 / 100);
	TEST_TRUE(sent < UINT64_C(12500000000) * 101 / 100);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(bucket_keeps_time_and_fractions),
	TEST_CASE(slow_clock_keeps_a_high_rate),
	TEST_CASE(sends_what_it_earns),
	TEST_CASE(what_waits_stays_in_the_queue),
	TEST_CASE(lcores_share_the_limit),
	TEST_CASE(neighbours_are_not_held_back),
	TEST_CASE(reset_does_not_renew_the_burst),
	TEST_CASE(empty_queue_falls_idle_while_the_limit_waits),
};
TEST_SUITE(vsw_rate, cases);
