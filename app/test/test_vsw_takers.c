/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Who takes broadcast, multicast and unknown unicast, however links, modes and filters change; and
 * that who takes none costs a sender nothing. What the lists must say is computed here from what
 * each guest asked for, without lists.
 */
#include "test_vsw_fixture.h"

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define CHAN(g) (&(g)->chan[0])
#define GUESTS 6u
#define WIRE (1u << 31)
#define ROUNDS 600u
#define LEN 60u

static struct sw_frame got;
static uint8_t frame[SW_MAX_FRAME];
/* The first ones may be in filters; they differ in bytes that matter for the order. */
static const uint8_t groups[][6] = {
	{ 1, 0, 0x5e, 1, 2, 3 }, { 1, 0, 0x5e, 1, 2, 4 }, { 3, 0, 0x5e, 1, 2, 3 },
	{ 1, 0, 0x5e, 1, 2, 5 },
};
#define FILTERED 3u
static const uint8_t unknown[6] = { 2, 0x77, 0, 0, 0, 1 };

struct model { /* of a guest: what it asked for */
	bool up, may_watch;
	uint32_t mode;
	bool member[FILTERED];
};

static int
link_set(struct sw_guest *g, bool up)
{
	return fake_op_channel(&g->g, up ? NFE_OP_START_CHANNEL : NFE_OP_STOP_CHANNEL, 1);
}

static bool
takes(const struct model *m, const uint8_t *dst)
{
	bool all = m->mode & (NFE_RX_ALLMULTI | NFE_RX_PROMISC);

	if (!m->up || memcmp(dst, sw_broadcast, 6) == 0)
		return m->up;
	if (!(dst[0] & 1))
		return m->may_watch && (m->mode & NFE_RX_PROMISC);
	for (unsigned int i = 0; i < FILTERED; i++)
		if (memcmp(dst, groups[i], 6) == 0 && m->member[i])
			return true;
	return all;
}

/* The first guest sends to dst: exactly those get it that the model says. */
static int
reaches(struct sw *sw, const struct model *m, const uint8_t *dst)
{
	unsigned int seen = 0, want = sw->nb_wires > 0 ? WIRE : 0;

	sw->vsw->lcore[0]->flood[0].left = VSW_FLOOD_BURST; /* that limit is not tested here */
	sw_make_frame(frame, LEN, dst, A(*sw)->mac, 1);
	sw_put_inline(CHAN(A(*sw)), frame, LEN);
	sw_publish(CHAN(A(*sw)));
	SW_DO(sw_turn(sw));
	for (unsigned int i = 0; i < sw->nb_guests; i++) {
		unsigned int n = m[i].up ? sw_drain(CHAN(sw->guest[i])) : 0;

		TEST_TRUE(n <= 1);
		seen |= n << i;
		want |= (i != 0 && takes(&m[i], dst) ? 1u : 0u) << i;
	}
	if (sw->nb_wires > 0 && sw_wire_recv(sw, &got))
		seen |= WIRE;
	TEST_ASSERT_MSG(seen == want, "to %02x:..:%02x: %x got it, not %x", dst[0], dst[5], seen,
			want);
	return TEST_OK;
}

static int
all_reach(struct sw *sw, const struct model *m)
{
	SW_DO(reaches(sw, m, sw_broadcast));
	SW_DO(reaches(sw, m, unknown));
	for (unsigned int i = 0; i < RTE_DIM(groups); i++)
		SW_DO(reaches(sw, m, groups[i]));
	return TEST_OK;
}

static int
change_filter(struct sw_guest *g, struct model *m)
{
	unsigned int i = sw_random() % FILTERED;

	TEST_EQ(sw_mac(g, groups[i], m->member[i] ? NFE_MAC_REMOVE : NFE_MAC_ADD), 0);
	m->member[i] = !m->member[i];
	return TEST_OK;
}

static int
reset(struct sw_guest *g, struct model *m)
{
	struct sw_guest_conf conf = { 0 };

	fake_reg_write(&g->g, NFE_REG_COMMAND, NFE_CMD_RESET);
	SW_DO(sw_guest_up(g, &conf));
	*m = (struct model){ .up = true, .may_watch = m->may_watch, .mode = NFE_RX_ALLMULTI };
	return TEST_OK;
}

/* One guest changes something. The first one sends, so its link stays. */
static int
change(struct sw *sw, struct model *m)
{
	unsigned int i = sw_random() % sw->nb_guests, what = sw_random() % 16;
	struct sw_guest *g = sw->guest[i];

	m = &m[i];
	if (what == 0)
		return reset(g, m);
	if (what < 6) {
		m->mode = sw_random() % 4;
		TEST_EQ(sw_rx_mode(g, m->mode), 0);
		return TEST_OK;
	}
	if (what < 11 || i == 0)
		return change_filter(g, m);
	m->up = !m->up;
	TEST_EQ(link_set(g, m->up), 0);
	return TEST_OK;
}

static int
lists_follow_links_modes_and_filters(void)
{
	struct model m[GUESTS];
	struct sw sw;

	static_assert((NFE_RX_PROMISC | NFE_RX_ALLMULTI) == 3, "modes are drawn at random");
	SW_DO(sw_open(&sw, NULL));
	for (unsigned int i = 0; i < GUESTS; i++) {
		struct sw_guest_conf conf = { .vif.promisc = i % 2 };

		SW_DO(sw_add_guest(&sw, &conf, NULL));
		m[i] = (struct model){ .up = true, .may_watch = i % 2, .mode = NFE_RX_ALLMULTI };
	}
	sw_random_seed(7);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (i == ROUNDS / 2)
			SW_DO(sw_add_uplink(&sw, false));
		SW_DO(change(&sw, m));
		SW_DO(all_reach(&sw, m));
	}
	return sw_close(&sw);
}

static int
wire_floods_the_guests_that_take_it(void)
{
	struct sw_guest_conf watcher = { .vif.promisc = true };
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, &watcher, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	TEST_EQ(sw_rx_mode(A(sw), NFE_RX_PROMISC), 0);
	TEST_EQ(sw_rx_mode(B(sw), 0), 0);
	TEST_EQ(sw_mac(B(sw), groups[0], NFE_MAC_ADD), 0);
	SW_DO(sw_add_uplink(&sw, false));
	for (unsigned int i = 0; i < 3; i++) {
		sw_make_frame(frame, LEN, i == 0 ? unknown : groups[i - 1], unknown, i);
		sw_wire_send(&sw, frame, LEN);
	}
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_drain(CHAN(A(sw))), 3);
	TEST_EQ(sw_drain(CHAN(B(sw))), 1);
	TEST_EQ(sw_wire_recv(&sw, &got), 0); /* never back to where it came from */
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_from_copies), 4);
	return sw_close(&sw);
}

/* Bytes of the lcore's time that the sender pays for one frame to dst. */
static uint64_t
cost(struct sw *sw, const uint8_t *dst)
{
	sw_make_frame(frame, LEN, dst, A(*sw)->mac, 1);
	sw_put_inline(CHAN(A(*sw)), frame, LEN);
	sw_publish(CHAN(A(*sw)));
	vsw_lcore_turn(sw->vsw->lcore[0]);
	return sw->vsw->lcore[0]->cost;
}

/* Not attached, or without interest in the group: as if they were not there. */
static int
who_takes_nothing_costs_a_sender_nothing(void)
{
	struct sw_guest_conf absent = { .no_start = true };
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	for (unsigned int i = 0; i < 40; i++)
		SW_DO(sw_add_guest(&sw, i < 2 ? NULL : &absent, NULL));
	TEST_EQ(cost(&sw, sw_broadcast), LEN);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), 1);
	TEST_EQ(sw_stat(sw.guest[39], NFE_STAT_to_offered), 0);
	for (unsigned int i = 2; i < 40; i++) {
		TEST_EQ(link_set(sw.guest[i], true), 0);
		TEST_EQ(sw_rx_mode(sw.guest[i], 0), 0);
	}
	TEST_EQ(sw_rx_mode(B(sw), 0), 0);
	TEST_EQ(sw_rx_mode(A(sw), 0), 0);
	TEST_EQ(sw_mac(B(sw), groups[0], NFE_MAC_ADD), 0);
	TEST_EQ(sw.vsw->takers->groups.n + sw.vsw->takers->nb_members, 1);
	TEST_EQ(cost(&sw, groups[0]), LEN);
	TEST_EQ(cost(&sw, groups[1]), LEN);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), 2);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_flooded), 3);
	TEST_EQ(sw_drain(CHAN(B(sw))), 2);
	return sw_close(&sw);
}

/* Every guest fills its filter: all are members, and each leaves as it came. */
static int
full_filters_of_all_guests_fit(void)
{
	struct sw sw;
	uint8_t many[6] = { 1, 0, 0x5e, 0, 1, 0 };

	SW_DO(sw_open(&sw, NULL));
	for (unsigned int i = 0; i < SW_MAX_GUESTS; i++) {
		SW_DO(sw_add_guest(&sw, NULL, NULL));
		TEST_EQ(sw_rx_mode(sw.guest[i], 0), 0);
		for (unsigned int k = 0; k < VSW_MAX_MACS; k++) {
			many[5] = (uint8_t)(i % 2 ? k : VSW_MAX_MACS - k);
			TEST_EQ(sw_mac(sw.guest[i], many, NFE_MAC_ADD), 0);
		}
	}
	TEST_EQ(sw.vsw->takers->nb_members, SW_MAX_GUESTS * VSW_MAX_MACS);
	for (unsigned int i = 1; i < sw.vsw->takers->nb_members; i++)
		TEST_TRUE(sw.vsw->takers->member[i - 1].mac <= sw.vsw->takers->member[i].mac);
	for (unsigned int i = 0; i < SW_MAX_GUESTS; i++) {
		TEST_EQ(sw.vsw->takers->nb_members, (SW_MAX_GUESTS - i) * VSW_MAX_MACS);
		fake_reg_write(&sw.guest[i]->g, NFE_REG_COMMAND, NFE_CMD_RESET);
	}
	TEST_EQ(sw.vsw->takers->nb_members, 0);
	TEST_EQ(sw.vsw->takers->broadcast.n, 0);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(lists_follow_links_modes_and_filters),
	TEST_CASE(wire_floods_the_guests_that_take_it),
	TEST_CASE(who_takes_nothing_costs_a_sender_nothing),
	TEST_CASE(full_filters_of_all_guests_fit),
};
TEST_SUITE(vsw_takers, cases);
