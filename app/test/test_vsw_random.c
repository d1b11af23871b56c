/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Randomised runs: honest guests and a villain on one or two lcores, with an uplink. After every
 * turn the accounting closes (sw_turn_lcore does that). What honest guests send to each other
 * arrives identical and in order or is counted; nothing that the villain does fails an honest one.
 */
#include "test_vsw_fixture.h"

#define GUESTS 5
#define VILLAIN 0
#define STEPS 6000
#define MIN_LEN 22u /* header, sequence number, sender, kind */

struct run {
	struct sw sw;
	struct sw_guest_conf conf[GUESTS];
	uint32_t sent[GUESTS];
	uint32_t unread[GUESTS]; /* bytes of payload, at most */
	uint32_t seen[GUESTS][SW_CHANNELS][GUESTS][2]; /* next expected at least; by kind */
	uint64_t delivered, lies, resets;
};

static struct run run;
static struct sw_frame got;
static uint8_t frame[SW_MAX_FRAME];

enum kind { UNICAST, FLOOD };

static void
make(uint32_t len, const uint8_t *dst, unsigned int from, uint32_t seq, enum kind kind)
{
	sw_make_frame(frame, len, dst, run.sw.guest[from]->mac, seq);
	memcpy(frame + 14, &seq, sizeof(seq));
	frame[18] = (uint8_t)from;
	frame[19] = (uint8_t)kind;
}

static uint32_t
random_len(void)
{
	uint32_t most = sw_random() % 8 == 0 ? SW_MAX_FRAME : sw_random() % 2 ? 1518 : 300;

	return MIN_LEN + sw_random() % (most - MIN_LEN + 1);
}

static const uint8_t *
random_dst(enum kind *kind)
{
	static const uint8_t unknown[6] = { 2, 0x77, 0, 0, 0, 1 };
	static const uint8_t group[6] = { 1, 0, 0x5e, 1, 2, 3 };
	unsigned int r = sw_random() % 16;

	*kind = r < 13 ? UNICAST : FLOOD;
	if (r < 13)
		return run.sw.guest[r % GUESTS]->mac;
	return r == 13 ? sw_broadcast : r == 14 ? unknown : group;
}

static void
send_some(unsigned int who)
{
	struct sw_chan *c = &run.sw.guest[who]->chan[0];
	uint32_t *unread = &run.unread[who];

	if (sw_sq_room(c) == 1u << c->sq_log2)
		*unread = 0;
	/* Payload that the switch has not read must not be overwritten. */
	for (unsigned int n = 1 + sw_random() % 20;
	     n > 0 && sw_sq_room(c) > 16 && *unread < SW_PAYLOAD_LEN / 2; n--) {
		enum kind kind;
		const uint8_t *dst = random_dst(&kind);
		uint32_t len = random_len();

		make(len, dst, who, run.sent[who]++, kind);
		sw_put_frame(c, frame, len);
		*unread += len;
	}
	sw_publish(c);
}

/* A frame of an honest guest to another: identical, in order, never twice. */
static int
check_frame(unsigned int at, unsigned int chan)
{
	uint32_t seq, len = got.len, *next;
	unsigned int from = got.bytes[18], kind = got.bytes[19];

	if (memcmp(got.bytes + 6, run.sw.guest[VILLAIN]->mac, 6) == 0 ||
	    got.bytes[7] == 0x77) /* from the wire */
		return TEST_OK;
	TEST_TRUE(len >= MIN_LEN && from < GUESTS && from != at && kind <= FLOOD);
	if (kind == UNICAST)
		TEST_MEM_EQ(got.bytes, run.sw.guest[at]->mac, 6);
	memcpy(&seq, got.bytes + 14, sizeof(seq));
	make(len, got.bytes, from, seq, (enum kind)kind);
	TEST_MEM_EQ(got.bytes, frame, len);
	next = &run.seen[at][chan][from][kind];
	TEST_ASSERT_MSG(seq >= *next, "guest %u from %u: frame %u after %u", at, from, seq, *next);
	*next = seq + 1;
	run.delivered++;
	return TEST_OK;
}

/* What it gave the device was nonsense: take what comes, look at nothing. */
static void
villain_receives(void)
{
	struct sw_chan *c = &run.sw.guest[VILLAIN]->chan[0];
	const struct nfe_status *st = sw_status(c);

	c->rq_cons = nfe_idx_read(&st->rq_prod);
	c->fill_end = nfe_idx_read(&st->fq_cons);
	nfe_idx_publish(fake_db(&c->guest->g, c->number, NFE_DB_RQ_CONS), c->rq_cons);
	if (c->fq_prod - c->fill_end < 12)
		sw_post(c, sw_random() % 12);
}

static int
receive_some(unsigned int who)
{
	unsigned int chan = run.conf[who].channels == 2 ? sw_random() % 2 : 0;
	struct sw_chan *c = &run.sw.guest[who]->chan[chan];
	uint32_t most = sw_random() % 64, out;
	int rc = 0;

	while (most-- > 0 && (rc = sw_recv(c, &got)) == 1)
		SW_DO(check_frame(who, chan));
	TEST_TRUE(rc >= 0);
	out = c->fq_prod - c->fill_end;
	if (c->buf_size != UINT32_MAX && out < 12)
		sw_post(c, sw_random() % (13 - out));
	return TEST_OK;
}

static void
random_cells(struct sw_chan *c)
{
	union nfe_msg m[5];
	uint8_t *bytes = m[0].bytes;

	for (unsigned int i = 0; i < sizeof(m); i++)
		bytes[i] = sw_random() % 4 ? 0 : (uint8_t)sw_random();
	make(60, run.sw.guest[1 + sw_random() % (GUESTS - 1)]->mac, VILLAIN, 0, UNICAST);
	m[0].type = sw_random() % 2 ? NFE_MSG_DMA_TX : NFE_MSG_INLINE;
	m[0].flags = sw_random() % 8 == 0;
	if (m[0].type == NFE_MSG_DMA_TX) {
		memcpy(m[0].tx.hdr, frame, NFE_HDR_COPY);
		memset(&m[0].tx.hints, 0, sizeof(m[0].tx.hints));
		m[0].tx.hints.nsegs = sw_random() % 18;
		m[0].tx.key = sw_random() % 4 ? SW_KEY_PAYLOAD : sw_random();
		m[0].tx.offset = sw_random() % (SW_PAYLOAD_LEN + 100);
		for (unsigned int i = 0; i < 16; i++) {
			struct nfe_seg_tx *s = &m[1 + i / 4].seg_tx[i % 4];

			s->key = sw_random() % 8 ? SW_KEY_PAYLOAD : sw_random();
			s->len = sw_random() % 8 ? sw_random() % 700 : sw_random();
			s->offset = sw_random() % (SW_PAYLOAD_LEN + 100);
		}
	} else {
		memcpy(m[0].bytes + 4, frame, 60);
		m[0].in.len = sw_random() % 270;
	}
	sw_put_cells(c, m, 1 + sw_random() % 5);
	sw_publish(c);
}

/* One of the things that fail a function. */
static void
lie(struct sw_guest *g)
{
	static const uint32_t where[] = { NFE_DB_SQ_PROD, NFE_DB_RQ_CONS, NFE_DB_FQ_PROD };
	static const uint64_t gone[] = { FAKE_DATA, SW_BUFFERS, SW_PAYLOAD };

	run.lies++;
	if (sw_random() % 2)
		*fake_db(&g->g, 1, where[sw_random() % 3]) = sw_random();
	else
		fake_poison(&g->g, gone[sw_random() % 3]);
}

static int
villainy(void)
{
	struct sw_guest *g = run.sw.guest[VILLAIN];
	struct sw_chan *c = &g->chan[0];
	struct nfe_req mode = { .op = NFE_OP_RX_MODE, .rx_mode.mode = sw_random() % 4 };

	if (nfed_function_state(g->fn) != NFE_STATE_READY) {
		fake_reg_write(&g->g, NFE_REG_COMMAND, NFE_CMD_RESET);
		run.resets++;
		return sw_guest_up(g, &run.conf[VILLAIN]);
	}
	switch (sw_random() % 32) {
	case 0:
		lie(g);
		break;
	case 1:
		fake_request(&g->g, &mode, NULL);
		break;
	case 2:
		c->posted[0] = 0;
		memset(sw_chan_mem(c, SW_CHAN_FQ), (int)sw_random(), 64);
		break;
	default:
		if (sw_sq_room(c) > 16)
			random_cells(c);
	}
	return TEST_OK;
}

static void
wire_some(void)
{
	static const uint8_t source[6] = { 2, 0x77, 0, 0, 0, 9 };

	for (unsigned int n = sw_random() % 8; n > 0; n--) {
		uint32_t len = 1 + sw_random() % 1518;
		enum kind kind;

		sw_make_frame(frame, len < 14 ? 14 : len, random_dst(&kind), source, n);
		sw_wire_send(&run.sw, frame, len);
	}
}

static int
step(unsigned int i)
{
	unsigned int who = 1 + sw_random() % (GUESTS - 1);

	switch (sw_random() % 8) {
	case 0: case 1: case 2:
		send_some(who);
		break;
	case 3:
		SW_DO(villainy());
		break;
	case 4:
		wire_some();
		break;
	default:
		SW_DO(receive_some(who));
		if (sw_random() % 8 == 0)
			villain_receives();
	}
	SW_DO(sw_turn_lcore(&run.sw, sw_random() % run.sw.vsw->nb_lcores));
	while (sw_wire_recv(&run.sw, &got)) /* else it would come in again: the wire is a ring */
		;
	if (i % 16 == 0)
		vsw_service(run.sw.vsw);
	SW_DO(sw_check_identities(&run.sw));
	for (unsigned int g = 1; g < GUESTS; g++)
		TEST_EQ(nfed_function_state(run.sw.guest[g]->fn), NFE_STATE_READY);
	return TEST_OK;
}

static int
random_run(unsigned int nb_lcores, uint32_t seed)
{
	struct vsw_conf conf = { .nb_lcores = nb_lcores, .lcores = { 1, 2, 3 },
				 .idle_us = seed % 2 ? 10000000 : 20 };
	static const struct sw_guest_conf kinds[GUESTS] = {
		{ .first = 0xfffffff0u, .vif.promisc = true },
		{ .first = 0xffffff00u, .events = true },
		{ .buf_size = 700, .rq_log2 = 5 },
		{ .channels = 2, .buf_size = 1536, .vif.mtu = 1500 },
		{ .features = NFE_F_MULTI_SEG, .buf_size = 4000, .rq_log2 = 3 },
	};

	memset(&run, 0, sizeof(run));
	memcpy(run.conf, kinds, sizeof(kinds));
	sw_random_seed(seed);
	SW_DO(sw_open(&run.sw, &conf));
	for (unsigned int i = 0; i < GUESTS; i++)
		SW_DO(sw_add_guest(&run.sw, &run.conf[i], NULL));
	SW_DO(sw_add_uplink(&run.sw, true));
	for (unsigned int i = 0; i < STEPS; i++)
		TEST_ASSERT_MSG(step(i) == TEST_OK, "step %u of seed %u", i, seed);
	TEST_TRUE(run.delivered > STEPS / 4 && run.lies > 5 && run.resets > 3);
	return sw_close(&run.sw);
}

static int
accounting_closes_after_every_turn_of_one_lcore(void)
{
	for (uint32_t seed = 100; seed < 106; seed++)
		SW_DO(random_run(1, seed));
	return TEST_OK;
}

static int
accounting_closes_after_every_turn_of_several_lcores(void)
{
	for (uint32_t seed = 200; seed < 206; seed++)
		SW_DO(random_run(2 + seed % 2, seed));
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(accounting_closes_after_every_turn_of_one_lcore),
	TEST_CASE(accounting_closes_after_every_turn_of_several_lcores),
};
TEST_SUITE(vsw_random, cases);
