/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a frame costs the switch when no line comes from another core: one thread fills the send queue,
 * times a turn of the data path, and empties the receive queue. So it repeats to a cycle where a
 * measurement across cores varies by half, and shows what a change of the code itself brings; what
 * lines in motion cost is for usertools/bench. Judges nothing but the count of frames.
 *
 *      nfe-test vsw_perf          in a release build, on a CPU of its own
 */
#include <rte_cycles.h>

#include "test_vsw_fixture.h"

#define ROUNDS 4000
#define CELLS 64 /* of a turn */

/* Frames of len bytes as a guest leaves them that keeps rule 20; how many cells. */
static uint32_t
put_frames(struct sw_guest *from, const struct sw_guest *to, uint32_t len, unsigned int frames)
{
	uint32_t cells = nfe_inline_cells(len), all = 0;
	union nfe_msg m[VSW_INLINE_CELLS], nop = { .type = NFE_MSG_NOP };
	struct sw_chan *c = &from->chan[0];

	memset(m, 0, sizeof(m));
	m[0].in.type = NFE_MSG_INLINE;
	m[0].in.len = (uint16_t)len;
	sw_make_frame(m[0].bytes + offsetof(struct nfe_msg_inline, frame), len, to->mac, from->mac, 1);
	for (unsigned int i = 0; i < frames; i++) {
		for (; (c->sq_prod & 127) + cells > 128; all++)
			sw_put_cells(c, &nop, 1);
		sw_put_cells(c, m, cells);
		all += cells;
	}
	sw_publish(c);
	return all;
}

/* One turn. What it took, in TSC cycles. */
static uint64_t
poll_until(struct sw *sw, uint32_t cells)
{
	struct vsw_lcore *lc = sw->vsw->lcore[0];
	struct vsw_chan *from = sw->guest[0]->port->chan[1];
	uint64_t start = rte_rdtsc_precise();
	uint32_t taken = sw->vsw->datapath->chan_poll(lc, from);

	while (taken < cells) /* NOPs before the wrap are too many for one turn */
		taken += sw->vsw->datapath->chan_poll(lc, from);
	return rte_rdtsc_precise() - start;
}

/* The same, and the receive queue is empty again. */
static uint64_t
one_turn(struct sw *sw, uint32_t cells)
{
	struct vsw_chan *to = sw->guest[1]->port->chan[1];
	uint64_t start = poll_until(sw, cells);

	sw->guest[1]->chan[0].rq_cons = to->ch->rq.prod;
	*fake_db(&sw->guest[1]->g, 1, NFE_DB_RQ_CONS) = to->ch->rq.prod;
	return start;
}

static int
compare_cycles(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* 64 frames of one cell, in turns of so many: the median, as the luckiest ones differ by more. */
static uint64_t
cycles_in_turns_of(struct sw *sw, uint32_t cells)
{
	static uint64_t took[ROUNDS];

	sw->vsw->lcore[0]->burst = cells;
	for (unsigned int r = 0; r < ROUNDS; r++)
		took[r] = one_turn(sw, put_frames(sw->guest[0], sw->guest[1], 60, CELLS));
	qsort(took, ROUNDS, sizeof(took[0]), compare_cycles);
	return took[ROUNDS / 2];
}

static int
cycles_of_a_frame_in_cells(void)
{
	static const uint32_t lens[] = { 60, 64, 124, 128, 252, 316 };
	static const unsigned int bursts[] = { 1, 8, 32 };
	uint64_t sent = 0;
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	printf("# instruction set %s\n", sw.vsw->datapath->isa);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++)
		for (unsigned int k = 0; k < RTE_DIM(bursts); k++) {
			unsigned int frames = RTE_MIN(bursts[k], CELLS / nfe_inline_cells(lens[i]));
			uint64_t least = UINT64_MAX;

			for (unsigned int r = 0; r < ROUNDS; r++) {
				uint32_t cells = put_frames(sw.guest[0], sw.guest[1], lens[i], frames);

				least = RTE_MIN(least, one_turn(&sw, cells));
			}
			sent += (uint64_t)ROUNDS * frames;
			printf("# %3u B, turns of %2u: %5.1f TSC cycles per frame\n", lens[i], frames,
			       (double)least / frames);
		}
	printf("# a turn besides its frames: %.0f TSC cycles\n",
	       ((double)cycles_in_turns_of(&sw, CELLS / 4) - (double)cycles_in_turns_of(&sw, CELLS)) / 3);
	sent += (uint64_t)ROUNDS * 2 * CELLS;
	TEST_EQ(sw_stat(sw.guest[1], NFE_STAT_to_frames), sent);
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

static int
cycles_of_a_frame_by_reference(void)
{
	static const uint32_t lens[] = { 64, 512, 1500 };
	static uint64_t took[ROUNDS];
	static uint8_t frame[1500];
	const struct sw_guest_conf conf = { .features = SW_BASIC & ~NFE_F_INLINE_LONG };
	uint64_t sent = 0;
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_guest(&sw, &conf, NULL));
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		sw_make_frame(frame, lens[i], sw.guest[1]->mac, sw.guest[0]->mac, i);
		for (unsigned int r = 0; r < ROUNDS / 4; r++) {
			for (unsigned int k = 0; k < CELLS / 2; k++)
				sw_put_dma(&sw.guest[0]->chan[0], frame, lens[i], 1);
			sw_publish(&sw.guest[0]->chan[0]);
			sw_post(&sw.guest[1]->chan[0], CELLS / 2);
			took[r] = poll_until(&sw, CELLS / 2);
			TEST_EQ(sw_drain(&sw.guest[1]->chan[0]), CELLS / 2);
		}
		qsort(took, ROUNDS / 4, sizeof(took[0]), compare_cycles);
		sent += ROUNDS / 4 * CELLS / 2;
		printf("# %4u B by reference, turns of %u: %5.1f TSC cycles per frame\n", lens[i],
		       CELLS / 2, (double)took[ROUNDS / 8] / (CELLS / 2));
	}
	TEST_EQ(sw_stat(sw.guest[1], NFE_STAT_to_frames), sent);
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

/* Address number i of those that lead to the second guest. */
static uint64_t
learned_mac(uint32_t i)
{
	return UINT64_C(0x020000000012) + ((uint64_t)i << 16);
}

/* Frames of 60 B in one cell each, to addresses in no order. */
static uint32_t
put_frames_to(struct sw_guest *from, uint64_t *random, uint32_t macs)
{
	uint8_t dst[8];
	union nfe_msg m = { .in.type = NFE_MSG_INLINE, .in.len = 60 };

	for (unsigned int i = 0; i < CELLS; i++) {
		uint64_t mac;

		*random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
		mac = learned_mac((uint32_t)(*random >> 33) % macs);
		memcpy(dst, &mac, sizeof(dst));
		sw_make_frame(m.bytes + offsetof(struct nfe_msg_inline, frame), 60, dst, from->mac, 1);
		sw_put_cells(&from->chan[0], &m, 1);
	}
	sw_publish(&from->chan[0]);
	return CELLS;
}

static int
cycles_of_a_frame_by_addresses_in_use(void)
{
	static const uint32_t addresses[] = { 1, 2, 16, 1000, 64000 };
	struct vsw_conf conf = {
		.nb_lcores = 1, .lcores = { 1 }, .idle_us = 10000000, .max_macs = 65536
	};
	static uint64_t took[ROUNDS];
	uint64_t sent = 0, random = 1;
	struct sw sw;

	SW_DO(sw_open(&sw, &conf));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	for (uint32_t i = 0; i < 64000; i++)
		TEST_EQ(vsw_fdb_learn(sw.vsw->fdb, learned_mac(i), sw.guest[1]->port->id, 1), 0);
	for (unsigned int k = 0; k < RTE_DIM(addresses); k++) {
		for (unsigned int r = 0; r < ROUNDS; r++)
			took[r] = one_turn(&sw, put_frames_to(sw.guest[0], &random, addresses[k]));
		qsort(took, ROUNDS, sizeof(took[0]), compare_cycles);
		sent += (uint64_t)ROUNDS * CELLS;
		/* The least of all had the luckiest lines. */
		printf("# 60 B, turns of %u, %5u addresses: %5.1f TSC cycles per frame\n", CELLS,
		       addresses[k], (double)took[ROUNDS / 20] / CELLS);
	}
	TEST_EQ(sw_stat(sw.guest[1], NFE_STAT_to_frames), sent);
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(cycles_of_a_frame_in_cells),
	TEST_CASE(cycles_of_a_frame_by_reference),
	TEST_CASE(cycles_of_a_frame_by_addresses_in_use),
};
TEST_SUITE(vsw_perf, cases);
