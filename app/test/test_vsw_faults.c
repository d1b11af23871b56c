/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Guests that take pages of their registered memory away (rule 14): the switch faults, finds out
 * whose memory it was, and fails that guest and nobody else. Real memfds with real holes; one
 * thread. Counts faults, not time.
 */
#include "test_vsw_packet.h"

#define C(sw) ((sw).guest[2])
#define PAGE NFE_PAGE_SIZE
#define LEN 1000u
#define FRAMES 12u
#define ROUNDS 256 /* of a few faults each: beyond the limits */
#define LIMIT 200
#define NEVER_TSC ((uint64_t)1 << 50)
#define SOME 64u /* buffers, or cells of a receive queue, that the switch may touch at once */
#define QUEUE_LOG2 8
#define OWN 64 /* first touches of our own memory (and of the shadow of ASan), on whose turn they may be */

static uint8_t frame[PACKET_MAX];

/* Three guests with holes at hand, and a switch that looks at each turn. */
static int
faults_open(struct sw *sw)
{
	/* By their weight none sits out: what a turn finds, the next one asks about. */
	struct sw_guest_conf file = { .file = true, .vif.weight = VSW_MAX_WEIGHT, .features = ALL,
				      .rq_log2 = QUEUE_LOG2, .fq_log2 = QUEUE_LOG2 };

	SW_DO(sw_open(sw, NULL));
	for (unsigned int i = 0; i < 3; i++)
		SW_DO(sw_add_guest(sw, &file, NULL));
	sw->vsw->fault_look_tsc = 0;
	/* Nothing is earned, however slow the machine is. */
	sw->vsw->faults_watch.refill = sw->vsw->guest_fault_tsc = NEVER_TSC;
	sw->vsw->welcomes.refill = NEVER_TSC;
	/* The lcore grants what hugepages may need besides. */
	sw->vsw->guest_faults = LIMIT - (int64_t)(nfed_limits_default.region.max_bytes >> 21);
	return TEST_OK;
}

/* FRAMES frames of LEN bytes from one to the other, each out of a page and into a buffer of its own. */
static void
send(struct sw_guest *from, struct sw_guest *to)
{
	uint32_t posted = CHAN(to)->fq_prod - CHAN(to)->fill_end;

	sw_post(CHAN(to), 2 * FRAMES - posted);
	for (unsigned int i = 0; i < FRAMES; i++) {
		union nfe_msg m = { .tx = { .type = NFE_MSG_DMA_TX, .len = LEN - NFE_HDR_COPY,
					    .key = SW_KEY_PAYLOAD, .offset = i * PAGE,
					    .hints.nsegs = 1 } };

		sw_make_frame(frame, LEN, to->mac, from->mac, i);
		memcpy(m.tx.hdr, frame, NFE_HDR_COPY);
		sw_put_cells(CHAN(from), &m, 1);
	}
	sw_publish(CHAN(from));
}

/* Take all without a look: what was in holes is gone. */
static void
take_unseen(struct sw_chan *c)
{
	c->rq_cons = sw_status(c)->rq_prod;
	c->fill_end = sw_status(c)->fq_cons;
	nfe_idx_publish(fake_db(&c->guest->g, c->number, NFE_DB_RQ_CONS), c->rq_cons);
}

/* As if there had been many faults just now, and for as long as the test takes. */
static void
probe(struct sw *sw)
{
	sw->vsw->fault_look_tsc = UINT64_MAX;
	sw->vsw->lcore[0]->probing = true;
}

enum holes { NO_HOLES, IN_PAYLOAD, IN_BUFFERS, IN_QUEUES };

static void
punch(struct sw_guest *g, enum holes holes)
{
	switch (holes) {
	case NO_HOLES:
		break;
	case IN_PAYLOAD:
		fake_punch(&g->g, SW_PAYLOAD, FRAMES * PAGE);
		break;
	case IN_BUFFERS:
		fake_punch(&g->g, SW_BUFFERS, SW_BUFFERS_LEN);
		break;
	case IN_QUEUES: /* status block, send and receive queue: indices stay in the doorbell page */
		fake_punch(&g->g, FAKE_DATA, SW_BUFFERS - FAKE_DATA);
		break;
	}
}

/* A sends to B and C to B, while one of them takes pages away between the turns. */
static int
rounds(struct sw *sw, struct sw_guest *bad, enum holes holes)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (nfed_function_state(bad->fn) != NFE_STATE_READY)
			break;
		send(A(*sw), B(*sw));
		send(C(*sw), B(*sw));
		punch(bad, holes);
		SW_DO(sw_turn(sw));
		vsw_service(sw->vsw);
		if (bad == B(*sw))
			take_unseen(CHAN(B(*sw)));
		else
			TEST_TRUE(sw_drain(CHAN(B(*sw))) != -1u);
	}
	return TEST_OK;
}

static int
only_this_failed(struct sw *sw, struct sw_guest *bad)
{
	for (unsigned int i = 0; i < sw->nb_guests; i++) {
		struct sw_guest *g = sw->guest[i];

		if (g != bad) {
			TEST_EQ(nfed_function_state(g->fn), NFE_STATE_READY);
			TEST_TRUE(sw_stat(g, NFE_STAT_from_faults) < OWN);
			continue;
		}
		TEST_EQ(nfed_function_state(g->fn), NFE_STATE_FAILED);
		TEST_EQ(nfed_function_reason(g->fn), NFE_REASON_MEMORY_FAULTS);
		TEST_TRUE(sw_stat(g, NFE_STAT_from_faults) > LIMIT);
	}
	return TEST_OK;
}

static int
source_pays_for_holes_in_what_it_sends(void)
{
	struct sw sw;

	SW_DO(faults_open(&sw));
	SW_DO(rounds(&sw, A(sw), IN_PAYLOAD));
	SW_DO(only_this_failed(&sw, A(sw)));
	return sw_close(&sw);
}

static int
destination_pays_for_holes_in_its_buffers(void)
{
	struct sw sw;

	SW_DO(faults_open(&sw));
	SW_DO(rounds(&sw, B(sw), IN_BUFFERS));
	SW_DO(only_this_failed(&sw, B(sw)));
	return sw_close(&sw);
}

/* n buffers: SOME of one page, then each of a page of its own, which may be taken away. */
static void
post_beyond(struct sw_chan *c, unsigned int n)
{
	uint32_t mask = (1u << QUEUE_LOG2) - 1;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t page = i < SOME ? 0 : 1 + (i - SOME) % (SW_BUFFERS_LEN / PAGE - 1);
		struct nfe_fill e = { .offset = page * PAGE, .key = SW_KEY_BUFFERS };

		memcpy(sw_chan_mem(c, SW_CHAN_FQ + (c->fq_prod & mask) * sizeof(e)), &e, sizeof(e));
		c->fq_prod++;
	}
	nfe_idx_publish(fake_db(&c->guest->g, c->number, NFE_DB_FQ_PROD), c->fq_prod);
}

/* From A to B in one turn, into so many buffers. */
static unsigned int
send_long(struct sw *sw)
{
	static const struct nfe_hints none;
	unsigned int n = 25;

	sw_make_frame(frame, SW_MAX_FRAME, B(*sw)->mac, A(*sw)->mac, 1);
	for (unsigned int i = 0; i < n; i++) {
		A(*sw)->payload_used = 0; /* all of the same memory */
		sw_put_hinted(CHAN(A(*sw)), frame, SW_MAX_FRAME, 1, 0, &none);
	}
	sw_publish(CHAN(A(*sw)));
	return n * 5;
}

static unsigned int
send_to_be_cut(struct sw *sw)
{
	struct packet p = { .payload = NFE_GSO_MAX_PARTS * 511, .seed = 1 };
	struct nfe_hints h = packet_hints(&p, 511);

	packet_make(frame, sw, &p, true);
	sw_put_hinted(CHAN(A(*sw)), frame, packet_len(&p), 1,
		      NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO, &h);
	sw_publish(CHAN(A(*sw)));
	return NFE_GSO_MAX_PARTS;
}

static int
destination_pays_beyond_some(unsigned int (*send_many)(struct sw *sw))
{
	struct sw sw;

	SW_DO(faults_open(&sw));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (nfed_function_state(B(sw)->fn) != NFE_STATE_READY)
			break;
		post_beyond(CHAN(B(sw)), send_many(&sw));
		fake_punch(&B(sw)->g, SW_BUFFERS + PAGE, SW_BUFFERS_LEN - PAGE);
		SW_DO(sw_turn(&sw));
		vsw_service(sw.vsw);
		take_unseen(CHAN(B(sw)));
	}
	SW_DO(only_this_failed(&sw, B(sw)));
	return sw_close(&sw);
}

static int
destination_pays_for_all_buffers_of_many_long_frames(void)
{
	return destination_pays_beyond_some(send_long);
}

static int
destination_pays_for_the_buffers_of_all_parts(void)
{
	return destination_pays_beyond_some(send_to_be_cut);
}

/* Two pages of cells a turn. */
static int
destination_pays_for_the_cells_of_all_parts(void)
{
	struct sw sw;

	SW_DO(faults_open(&sw));
	probe(&sw);
	for (unsigned int i = 0; i < 5; i++) {
		uint64_t before = sw_stat(B(sw), NFE_STAT_from_faults);

		post_beyond(CHAN(B(sw)), send_to_be_cut(&sw));
		if (i > 0) /* the first turn maps what is ours */
			fake_punch(&B(sw)->g, FAKE_DATA + SW_CHAN_RQ, SW_CHAN_FQ - SW_CHAN_RQ);
		SW_DO(sw_turn(&sw));
		take_unseen(CHAN(B(sw)));
		TEST_EQ(sw_stat(B(sw), NFE_STAT_to_parts), (i + 1) * NFE_GSO_MAX_PARTS);
		if (i > 0)
			TEST_TRUE(sw_stat(B(sw), NFE_STAT_from_faults) - before >= 2);
	}
	TEST_TRUE(sw_stat(A(sw), NFE_STAT_from_faults) < OWN);
	return sw_close(&sw);
}

/* A queue that vanishes is full of zeroes: what is in it is refused, the source goes on. */
static int
holes_in_queues_are_paid_for(void)
{
	struct sw sw;

	SW_DO(faults_open(&sw));
	probe(&sw); /* it has too few pages to be suspicious each turn */
	sw.vsw->guest_faults -= LIMIT - 2 * OWN;
	SW_DO(rounds(&sw, A(sw), IN_QUEUES));
	TEST_EQ(nfed_function_reason(A(sw)->fn), NFE_REASON_MEMORY_FAULTS);
	TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_READY);
	TEST_EQ(nfed_function_state(C(sw)->fn), NFE_STATE_READY);
	return sw_close(&sw);
}

static int
nobody_pays_without_holes(void)
{
	struct sw sw;

	SW_DO(faults_open(&sw));
	probe(&sw);
	SW_DO(rounds(&sw, A(sw), NO_HOLES));
	TEST_TRUE(sw.vsw->lcore[0]->probing);
	for (unsigned int i = 0; i < 3; i++)
		TEST_TRUE(sw_stat(sw.guest[i], NFE_STAT_from_faults) < OWN);
	return sw_close(&sw);
}

/* What the system takes away now and then, or hugepages mapped late. */
static int
few_faults_are_tolerated(void)
{
	struct sw sw;

	SW_DO(faults_open(&sw));
	sw.vsw->guest_faults = ROUNDS * FRAMES;
	sw.vsw->guest_fault_tsc = 1; /* earned at once */
	SW_DO(rounds(&sw, A(sw), IN_PAYLOAD));
	TEST_TRUE(sw_stat(A(sw), NFE_STAT_from_faults) > LIMIT);
	TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_READY);
	return sw_close(&sw);
}

/* Whoever comes next gets over a few faults, though what its predecessor overdrew is not paid back.
 * But only some of them: the one after those fails at the first fault. */
static int
next_guest_may_cause_a_few(void)
{
	struct sw_guest_conf file = { .file = true };
	struct sw sw;

	SW_DO(faults_open(&sw));
	for (unsigned int next = 0; next <= sw.vsw->welcomes.at_once; next++) {
		SW_DO(rounds(&sw, A(sw), IN_PAYLOAD));
		SW_DO(only_this_failed(&sw, A(sw)));
		fake_reg_write(&A(sw)->g, NFE_REG_COMMAND, NFE_CMD_RESET);
		SW_DO(sw_guest_up(A(sw), &file));
		probe(&sw);
		send(A(sw), B(sw));
		punch(A(sw), IN_PAYLOAD);
		SW_DO(sw_turn(&sw));
		vsw_service(sw.vsw);
		TEST_EQ(nfed_function_state(A(sw)->fn),
			next < sw.vsw->welcomes.at_once ? NFE_STATE_READY : NFE_STATE_FAILED);
	}
	return sw_close(&sw);
}

/* A reset buys no new allowance: the next offence is answered at once. */
static int
reset_does_not_renew_the_allowance(void)
{
	struct sw_guest_conf file = { .file = true };
	uint64_t before;
	struct sw sw;

	SW_DO(faults_open(&sw));
	SW_DO(rounds(&sw, A(sw), IN_PAYLOAD));
	SW_DO(only_this_failed(&sw, A(sw)));
	before = sw_stat(A(sw), NFE_STAT_from_faults);
	fake_reg_write(&A(sw)->g, NFE_REG_COMMAND, NFE_CMD_RESET);
	SW_DO(sw_guest_up(A(sw), &file));
	SW_DO(rounds(&sw, A(sw), IN_PAYLOAD));
	SW_DO(only_this_failed(&sw, A(sw)));
	TEST_TRUE(sw_stat(A(sw), NFE_STAT_from_faults) - before < LIMIT);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(source_pays_for_holes_in_what_it_sends),
	TEST_CASE(destination_pays_for_holes_in_its_buffers),
	TEST_CASE(destination_pays_for_all_buffers_of_many_long_frames),
	TEST_CASE(destination_pays_for_the_buffers_of_all_parts),
	TEST_CASE(destination_pays_for_the_cells_of_all_parts),
	TEST_CASE(holes_in_queues_are_paid_for),
	TEST_CASE(nobody_pays_without_holes),
	TEST_CASE(few_faults_are_tolerated),
	TEST_CASE(next_guest_may_cause_a_few),
	TEST_CASE(reset_does_not_renew_the_allowance),
};
TEST_SUITE(vsw_faults, cases);
