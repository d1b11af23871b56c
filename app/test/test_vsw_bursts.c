/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The data path looks up the frames of a turn together (vsw_forward.c). That must not show: frames
 * taken in bursts go where the same frames go one by one, in the same order, and count the same. How
 * much a turn takes is bounded (specification 5.6).
 */
#include "test_vsw_packet.h"

#define FRAMES 6000
#define BURST 60
#define LEARNED 500 /* of 512: in both buckets of the FDB */
#define GUESTS 4
#define WIRE GUESTS
#define TURN_BYTES (VSW_BURST * VSW_CELL_BYTES)

struct seen { /* numbers of frames by who got them, in order; what was counted */
	unsigned int n[GUESTS + 1];
	uint32_t frame[GUESTS + 1][FRAMES];
	uint64_t stat[GUESTS + 1][NFE_STAT_MAX];
};

static struct seen alone, together;
static struct sw_frame got;
static uint8_t bytes[PACKET_MAX];

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

/* VSW_BURST frames of one cell each, all of the same memory; their number is in the IP header. */
static void
put_burst(struct sw *sw, const struct packet *p, uint8_t flags, uint16_t gso_size)
{
	struct nfe_hints h = { 0 };

	packet_make(bytes, sw, p, flags != 0);
	if (flags != 0)
		h = packet_hints(p, gso_size);
	for (unsigned int i = 0; i < VSW_BURST; i++) {
		bytes[packet_ip_at(p) + 5] = (uint8_t)i;
		A(*sw)->payload_used = 0;
		sw_put_hinted(CHAN(A(*sw)), bytes, packet_len(p), 1, flags, &h);
	}
	sw_publish(CHAN(A(*sw)));
}

/* Plain frames: all arrive, in turns of so many. */
static int
long_frames_come_in_turns_of(unsigned int most, uint32_t len)
{
	struct packet p = { .udp = true, .payload = len - 42, .seed = 1 };
	unsigned int got_frames = 0;
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, SW_BASIC, 1536));
	TEST_EQ(packet_len(&p), len);
	put_burst(&sw, &p, 0, 0);
	for (unsigned int turns = 0; turns < 2 * VSW_BURST && got_frames < VSW_BURST; turns++) {
		unsigned int before = got_frames;

		sw_post(CHAN(B(sw)), 72 - (CHAN(B(sw))->fq_prod - CHAN(B(sw))->fill_end));
		SW_DO(sw_turn(&sw));
		for (; sw_recv(CHAN(B(sw)), &got) == 1; got_frames++) {
			TEST_EQ(got.len, len);
			TEST_EQ(got.bytes[packet_ip_at(&p) + 5], got_frames);
			TEST_MEM_EQ(got.bytes + NFE_HDR_COPY, bytes + NFE_HDR_COPY,
				    len - NFE_HDR_COPY);
		}
		TEST_TRUE(got_frames - before <= most);
		TEST_TRUE(before > 0 || got_frames == most);
	}
	TEST_EQ(got_frames, VSW_BURST);
	return sw_close(&sw);
}

static int
turn_is_bounded_in_bytes(void)
{
	SW_DO(long_frames_come_in_turns_of(VSW_BURST, 1518));
	return long_frames_come_in_turns_of(TURN_BYTES / SW_MAX_FRAME + 1, SW_MAX_FRAME);
}

/* Short ones, long ones of one and of two segments, and NOPs, in any order: all come in one turn, in it. */
static int
turn_takes_frames_of_all_kinds(void)
{
	static const union nfe_msg nop = { .type = NFE_MSG_NOP };
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, SW_BASIC, 1536));
	for (unsigned int r = 0; r < 500; r++) {
		uint32_t len[20], cells = CHAN(A(sw))->sq_prod;
		unsigned int n = 1 + sw_random() % RTE_DIM(len);

		A(sw)->payload_used = 0;
		for (unsigned int i = 0; i < n; i++) {
			len[i] = sw_random() % 2 ? 41 + sw_random() % 20 : 317 + sw_random() % 1200;
			sw_make_frame(bytes, len[i], B(sw)->mac, A(sw)->mac, i);
			if (len[i] <= NFE_INLINE_ONE)
				sw_put_inline(CHAN(A(sw)), bytes, len[i]);
			else
				sw_put_dma(CHAN(A(sw)), bytes, len[i], 1 + sw_random() % 2);
			if (sw_random() % 8 == 0)
				sw_put_cells(CHAN(A(sw)), &nop, 1);
		}
		sw_publish(CHAN(A(sw)));
		cells = CHAN(A(sw))->sq_prod - cells;
		sw_post(CHAN(B(sw)), 72 - (CHAN(B(sw))->fq_prod - CHAN(B(sw))->fill_end));
		TEST_EQ(sw.vsw->datapath->chan_poll(sw.vsw->lcore[0], A(sw)->port->chan[1]), cells);
		for (unsigned int i = 0; i < n; i++) {
			TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
			sw_make_frame(bytes, len[i], B(sw)->mac, A(sw)->mac, i);
			TEST_EQ(got.len, len[i]);
			TEST_MEM_EQ(got.bytes, bytes, len[i]);
		}
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 0);
	}
	SW_DO(sw_check_identities(&sw));
	return sw_close(&sw);
}

/* Frames that become 128 parts each, for a guest that has no buffers for them. */
static int
parts_come_in_turns_of(unsigned int most, uint32_t payload)
{
	struct packet p = { .payload = payload, .seed = 1 };
	uint64_t before = 0, now = 0;
	struct sw sw;

	SW_DO(packet_two_open(&sw, ALL, SW_BASIC, 2048));
	put_burst(&sw, &p, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO,
		  (uint16_t)(payload / NFE_GSO_MAX_PARTS));
	for (unsigned int turns = 0; turns < 10 * VSW_BURST && now < VSW_BURST; turns++) {
		SW_DO(sw_turn(&sw));
		now = sw_stat(B(sw), NFE_STAT_to_offered);
		TEST_TRUE(now - before <= most);
		TEST_TRUE(before > 0 || now == most);
		before = now;
	}
	TEST_EQ(now, VSW_BURST);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_unicast), VSW_BURST);
	return sw_close(&sw);
}

static int
turn_is_bounded_in_parts(void)
{
	SW_DO(parts_come_in_turns_of(2, NFE_GSO_MAX_PARTS * 511));
	return parts_come_in_turns_of(4, NFE_GSO_MAX_PARTS);
}

static const struct test_case cases[] = {
	TEST_CASE(frames_go_in_bursts_where_they_go_one_by_one),
	TEST_CASE(turn_takes_frames_of_all_kinds),
	TEST_CASE(turn_is_bounded_in_bytes),
	TEST_CASE(turn_is_bounded_in_parts),
};
TEST_SUITE(vsw_bursts, cases);
