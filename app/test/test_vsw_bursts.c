/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The data path looks up the frames of a turn together (vsw_forward.c). That must not show: frames
 * taken in bursts go where the same frames go one by one, in the same order, and count the same.
 */
#include "test_vsw_fixture.h"

#define FRAMES 6000
#define BURST 60
#define LEARNED 500 /* of 512: in both buckets of the FDB */
#define GUESTS 4
#define WIRE GUESTS

struct seen { /* numbers of frames by who got them, in order; what was counted */
	unsigned int n[GUESTS + 1];
	uint32_t frame[GUESTS + 1][FRAMES];
	uint64_t stat[GUESTS + 1][NFE_STAT_MAX];
};

static struct seen alone, together;
static struct sw_frame got;

static uint64_t
learned_mac(uint32_t i)
{
	return UINT64_C(0x420000000012) + ((uint64_t)i << 24);
}

static void
random_dst(const struct sw *sw, uint8_t *dst)
{
	uint64_t mac = UINT64_C(0x660000000012); /* unknown */
	unsigned int kind = sw_random() % 32;

	if (kind == 0)
		mac = VSW_MAC_BROADCAST;
	else if (kind == 1)
		mac = UINT64_C(0x060504030201); /* a group that nobody listens to */
	else if (kind < 10)
		mac = vsw_mac_u64(sw->guest[sw_random() % GUESTS]->mac);
	else if (kind < 31)
		mac = learned_mac(sw_random() % LEARNED);
	memcpy(dst, &mac, VSW_MAC_BYTES);
}

static void
put(struct sw *sw, uint32_t number)
{
	static uint8_t dst[VSW_MAC_BYTES];
	static const uint8_t *src;
	uint8_t frame[60];

	if (sw_random() % 4 != 0) /* else as the one before it */
		random_dst(sw, dst);
	src = sw->guest[sw_random() % 8 == 0]->mac; /* some of the second guest, which is refused */
	sw_make_frame(frame, sizeof(frame), dst, src, number);
	memcpy(frame + 14, &number, sizeof(number));
	sw_put_inline(&sw->guest[0]->chan[0], frame, sizeof(frame));
}

static void
note(struct seen *s, unsigned int who)
{
	memcpy(&s->frame[who][s->n[who]++], got.bytes + 14, sizeof(uint32_t));
}

static int
receive(struct sw *sw, struct seen *s)
{
	for (unsigned int i = 0; i < GUESTS; i++) {
		int rc;

		while ((rc = sw_recv(&sw->guest[i]->chan[0], &got)) == 1)
			note(s, i);
		TEST_EQ(rc, 0);
	}
	while (sw_wire_recv(sw, &got))
		note(s, WIRE);
	return TEST_OK;
}

static int
run(struct seen *s, uint32_t most)
{
	struct vsw_conf conf = { .nb_lcores = 1, .lcores = { 1 }, .max_macs = 512 + GUESTS,
				 .idle_us = 10000000 };
	struct sw sw;

	SW_DO(sw_open(&sw, &conf));
	for (unsigned int i = 0; i < GUESTS; i++)
		SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	for (uint32_t i = 0; i < LEARNED; i++)
		TEST_EQ(vsw_fdb_learn(sw.vsw->fdb, learned_mac(i), (uint16_t)(i % (GUESTS + 1)), 1), 0);
	sw_random_seed(7);
	memset(s, 0, sizeof(*s));
	for (uint32_t number = 0, n; number < FRAMES; number += n) {
		n = RTE_MIN(most, FRAMES - number);
		for (uint32_t i = 0; i < n; i++)
			put(&sw, number + i);
		sw_publish(&sw.guest[0]->chan[0]);
		SW_DO(sw_turn(&sw));
		SW_DO(receive(&sw, s));
	}
	for (unsigned int i = 0; i < GUESTS; i++)
		for (unsigned int k = 0; k < NFE_STAT_MAX; k++)
			s->stat[i][k] = sw_stat(sw.guest[i], k);
	for (unsigned int k = 0; k < NFE_STAT_MAX; k++)
		s->stat[WIRE][k] = sw_uplink_stat(&sw, k);
	return sw_close(&sw);
}

static int
frames_go_in_bursts_where_they_go_one_by_one(void)
{
	static const uint32_t bursts[] = { 2, 3, 17, BURST };

	SW_DO(run(&alone, 1));
	for (unsigned int i = 0; i <= GUESTS; i++)
		TEST_TRUE(i == 0 || alone.n[i] > FRAMES / 10);
	TEST_TRUE(alone.stat[0][NFE_STAT_from_drop_source] > 0);
	TEST_TRUE(alone.stat[0][NFE_STAT_from_drop_self] > 0);
	TEST_TRUE(alone.stat[0][NFE_STAT_from_flooded] > 0);
	for (unsigned int b = 0; b < RTE_DIM(bursts); b++) {
		SW_DO(run(&together, bursts[b]));
		TEST_MEM_EQ(&together, &alone, sizeof(alone));
	}
	return TEST_OK;
}

static const struct test_case cases[] = { TEST_CASE(frames_go_in_bursts_where_they_go_one_by_one) };
TEST_SUITE(vsw_bursts, cases);
