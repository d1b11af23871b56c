/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a guest may not do: each rule of ring-rules.md that meets the data path, through the real
 * accessor, with the counter or reason that it has. A guest that breaks a queue fails alone.
 */
#include <pthread.h>
#include <sched.h>

#include "test_vsw_fixture.h"

static struct sw_frame got;
static uint8_t frame[SW_MAX_FRAME];

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define CHAN(g) (&(g)->chan[0])

/* Guests 0, 1 and 2; 2 is the neighbour. */
static int
three_open(struct sw *sw, const struct sw_guest_conf *first)
{
	SW_DO(sw_open(sw, NULL));
	SW_DO(sw_add_guest(sw, first, NULL));
	SW_DO(sw_add_guest(sw, NULL, NULL));
	SW_DO(sw_add_guest(sw, NULL, NULL));
	return TEST_OK;
}

/* A good frame from one guest to another arrives. */
static int
works(struct sw *sw, struct sw_guest *from, struct sw_guest *to)
{
	struct sw_chan *c = CHAN(from);
	uint32_t len = NFE_INLINE_SHORT + 1 + sw_random() % 1000;

	sw_post(CHAN(to), 1);
	sw_make_frame(frame, len, to->mac, from->mac, len);
	sw_put_dma(c, frame, len, 2);
	sw_publish(c);
	SW_DO(sw_turn(sw));
	TEST_EQ(sw_recv(CHAN(to), &got), 1);
	TEST_EQ(got.len, len);
	TEST_MEM_EQ(got.bytes, frame, len);
	return TEST_OK;
}

/* A failed, for this reason; its neighbours work. */
static int
only_first_failed(struct sw *sw, enum nfe_reason reason)
{
	vsw_service(sw->vsw);
	TEST_EQ(nfed_function_state(A(*sw)->fn), NFE_STATE_FAILED);
	TEST_EQ(nfed_function_reason(A(*sw)->fn), reason);
	TEST_EQ(sw_status(CHAN(A(*sw)))->state, NFE_CHAN_ERROR);
	TEST_EQ(sw_status(CHAN(A(*sw)))->reason, reason);
	TEST_TRUE(!vsw_port_link(A(*sw)->port));
	TEST_EQ(nfed_function_state(B(*sw)->fn), NFE_STATE_READY);
	SW_DO(works(sw, B(*sw), sw->guest[2]));
	SW_DO(works(sw, sw->guest[2], B(*sw)));
	/* What is sent to it now is a matter of its link. */
	sw_make_frame(frame, 60, A(*sw)->mac, B(*sw)->mac, 1);
	sw_put_inline(CHAN(B(*sw)), frame, 60);
	sw_publish(CHAN(B(*sw)));
	SW_DO(sw_turn(sw));
	TEST_TRUE(sw_stat(A(*sw), NFE_STAT_to_drop_link) > 0);
	return TEST_OK;
}

static int
send_producer_overrun_fails_that_guest_alone(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	CHAN(A(sw))->sq_prod += (1u << CHAN(A(sw))->sq_log2) + 1;
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	SW_DO(only_first_failed(&sw, NFE_REASON_SQ_OVERRUN));
	return sw_close(&sw);
}

static int
send_producer_going_back_fails_that_guest_alone(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	SW_DO(works(&sw, A(sw), B(sw)));
	CHAN(A(sw))->sq_prod -= 1;
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	SW_DO(only_first_failed(&sw, NFE_REASON_SQ_OVERRUN));
	return sw_close(&sw);
}

/* B sends to A, whose consumer index lies. */
static int
receive_consumer_lie(uint32_t rq_cons)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	*fake_db(&A(sw)->g, 1, NFE_DB_RQ_CONS) = rq_cons;
	/* It is looked at when what is known does not suffice. */
	for (unsigned int i = 0; i < 2u << CHAN(A(sw))->rq_log2; i++) {
		sw_make_frame(frame, 60, A(sw)->mac, B(sw)->mac, i);
		sw_put_inline(CHAN(B(sw)), frame, 60);
		sw_publish(CHAN(B(sw)));
		SW_DO(sw_turn(&sw));
	}
	SW_DO(only_first_failed(&sw, NFE_REASON_RQ_OVERRUN));
	return sw_close(&sw);
}

static int
receive_consumer_ahead_fails_that_guest_alone(void)
{
	SW_DO(receive_consumer_lie(1000));
	return receive_consumer_lie(0x80000000u);
}

static int
receive_consumer_too_far_behind_fails_that_guest_alone(void)
{
	return receive_consumer_lie(0xffffffffu);
}

static int
fill_producer_overrun_fails_that_guest_alone(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	*fake_db(&A(sw)->g, 1, NFE_DB_FQ_PROD) = (1u << CHAN(A(sw))->fq_log2) + 1;
	sw_make_frame(frame, 1000, A(sw)->mac, B(sw)->mac, 0);
	sw_put_dma(CHAN(B(sw)), frame, 1000, 1);
	sw_publish(CHAN(B(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_to_drop_no_buffer), 1);
	SW_DO(only_first_failed(&sw, NFE_REASON_FQ_OVERRUN));
	return sw_close(&sw);
}

/* Put cells of A, take a turn: exactly one drop for this reason, then the queue goes on. */
static int
refused(struct sw *sw, const union nfe_msg *m, unsigned int cells, enum nfe_stat why)
{
	uint64_t before = sw_stat(A(*sw), why), frames = sw_stat(A(*sw), NFE_STAT_from_frames);

	sw_put_cells(CHAN(A(*sw)), m, cells);
	sw_publish(CHAN(A(*sw)));
	SW_DO(sw_turn(sw));
	TEST_EQ(sw_stat(A(*sw), why), before + 1);
	TEST_EQ(sw_stat(A(*sw), NFE_STAT_from_frames), frames + 1);
	TEST_EQ(sw_recv(CHAN(B(*sw)), &got), 0);
	SW_DO(works(sw, A(*sw), B(*sw)));
	return TEST_OK;
}

static union nfe_msg
inline_of(struct sw *sw, uint16_t len)
{
	union nfe_msg m;

	memset(&m, 0, sizeof(m));
	sw_make_frame(frame, 60, B(*sw)->mac, A(*sw)->mac, 0);
	m.in.type = NFE_MSG_INLINE;
	m.in.len = len;
	memcpy(m.in.frame, frame, 60);
	return m;
}

/* A DMA_TX message with a good first segment of 100 bytes. */
static union nfe_msg
dma_of(struct sw *sw, uint8_t nsegs)
{
	union nfe_msg m;

	memset(&m, 0, sizeof(m));
	sw_make_frame(frame, 60, B(*sw)->mac, A(*sw)->mac, 0);
	m.tx.type = NFE_MSG_DMA_TX;
	m.tx.len = 100;
	m.tx.key = SW_KEY_PAYLOAD;
	m.tx.hints.nsegs = nsegs;
	memcpy(m.tx.hdr, frame, NFE_HDR_COPY);
	return m;
}

static int
unknown_types_and_flags_are_refused(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	for (unsigned int type = 0; type < 256; type++) {
		union nfe_msg m = inline_of(&sw, 60);

		m.type = (uint8_t)type;
		if (type != NFE_MSG_INLINE && type != NFE_MSG_DMA_TX && type != NFE_MSG_NOP)
			SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_type));
	}
	for (unsigned int bit = 0; bit < 8; bit++) {
		union nfe_msg m = inline_of(&sw, 60), d = dma_of(&sw, 1);

		m.flags = d.flags = (uint8_t)(1u << bit);
		SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_type));
		SW_DO(refused(&sw, &d, 1, NFE_STAT_from_drop_type));
	}
	return sw_close(&sw);
}

static int
runts_and_giants_are_refused(void)
{
	struct sw_guest_conf short_only = { .features = NFE_F_MULTI_SEG };
	struct sw sw;
	union nfe_msg m;

	SW_DO(three_open(&sw, NULL));
	for (uint16_t len = 0; len < NFE_MIN_FRAME; len++) {
		m = inline_of(&sw, len);
		SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_runt));
	}
	for (uint32_t len = NFE_INLINE_SHORT + 1; len < 65536; len += 1733) {
		m = inline_of(&sw, (uint16_t)len);
		SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_giant));
	}
	m = dma_of(&sw, 1);
	m.tx.len = SW_MAX_FRAME - NFE_HDR_COPY + 1;
	SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_giant));
	SW_DO(sw_close(&sw));

	SW_DO(three_open(&sw, &short_only));
	m = inline_of(&sw, 61);
	SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_giant));
	return sw_close(&sw);
}

/* The sum of the segments is made in 64 bits. */
static int
segments_that_sum_up_to_a_giant_are_refused(void)
{
	union nfe_msg m[5];
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	memset(m, 0, sizeof(m));
	m[0] = dma_of(&sw, 16);
	for (unsigned int i = 0; i < 15; i++)
		m[1 + i / 4].seg_tx[i % 4] = (struct nfe_seg_tx){ SW_KEY_PAYLOAD, 600, i };
	SW_DO(refused(&sw, m, 5, NFE_STAT_from_drop_giant));
	for (unsigned int i = 0; i < 15; i++)
		m[1 + i / 4].seg_tx[i % 4].len = 0xffffffffu;
	SW_DO(refused(&sw, m, 5, NFE_STAT_from_drop_bounds));
	return sw_close(&sw);
}

static int
message_published_in_part_is_refused(void)
{
	struct sw sw;
	union nfe_msg m;

	SW_DO(three_open(&sw, NULL));
	m = inline_of(&sw, NFE_INLINE_SHORT); /* 5 cells, one published */
	SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_truncated));
	m = dma_of(&sw, 2);
	SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_truncated));
	m = dma_of(&sw, 16);
	SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_truncated));
	return sw_close(&sw);
}

/* What is published of it goes as a whole, be it beyond the burst of a turn. */
static int
message_in_part_beyond_the_burst_is_one_drop(void)
{
	union nfe_msg m[3];
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	memset(m, 0xff, sizeof(m));
	m[0] = dma_of(&sw, 16); /* of 5 cells, 3 published: the last 2 are not messages */
	for (unsigned int i = 0; i < VSW_BURST - 1; i++) {
		union nfe_msg in = inline_of(&sw, 60);

		sw_put_cells(CHAN(A(sw)), &in, 1);
	}
	sw_put_cells(CHAN(A(sw)), m, 3);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_drain(CHAN(B(sw))), VSW_BURST - 1);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_truncated), 1);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_frames), VSW_BURST);
	return sw_close(&sw);
}

static int
number_and_length_of_segments_are_checked(void)
{
	struct sw_guest_conf one_seg = { .features = NFE_F_INLINE_LONG };
	static const uint8_t bad[] = { 0, 17, 18, 100, 255 };
	union nfe_msg m[2];
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	for (unsigned int i = 0; i < sizeof(bad); i++) {
		m[0] = dma_of(&sw, bad[i]);
		SW_DO(refused(&sw, m, 1, NFE_STAT_from_drop_segs));
	}
	m[0] = dma_of(&sw, 1);
	m[0].tx.len = 0;
	SW_DO(refused(&sw, m, 1, NFE_STAT_from_drop_segs));
	m[0] = dma_of(&sw, 2);
	memset(&m[1], 0, sizeof(m[1]));
	m[1].seg_tx[0].key = SW_KEY_PAYLOAD; /* of length 0 */
	SW_DO(refused(&sw, m, 2, NFE_STAT_from_drop_segs));
	SW_DO(sw_close(&sw));

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, &one_seg, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	m[0] = dma_of(&sw, 2);
	sw_put_cells(CHAN(A(sw)), m, 1);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_segs), 1);
	return sw_close(&sw);
}

static int
hints_are_refused(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	for (unsigned int i = 0; i < 7; i++) { /* all bytes but nsegs */
		union nfe_msg m = dma_of(&sw, 1);

		m.bytes[16 + i] = 1;
		SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_reserved));
	}
	return sw_close(&sw);
}

static int
keys_are_checked_in_both_parts_and_for_access(void)
{
	static const uint32_t bad[] = {
		0, NFE_KEY(3, 0x34), NFE_KEY(4, 0x33), NFE_KEY(300, 0x33), NFE_KEY(4095, 0x33),
		0xffffffffu, SW_KEY_BUFFERS, /* may only be written */
	};
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		union nfe_msg m[2];

		m[0] = dma_of(&sw, 1);
		m[0].tx.key = bad[i];
		SW_DO(refused(&sw, m, 1, NFE_STAT_from_drop_key));
		m[0] = dma_of(&sw, 2);
		memset(&m[1], 0, sizeof(m[1]));
		m[1].seg_tx[0] = (struct nfe_seg_tx){ bad[i], 10, 0 };
		SW_DO(refused(&sw, m, 2, NFE_STAT_from_drop_key));
	}
	return sw_close(&sw);
}

static int
bounds_of_segments_are_checked_in_64_bits(void)
{
	static const struct {
		uint64_t offset;
		uint32_t len;
	} bad[] = {
		{ SW_PAYLOAD_LEN, 1 }, { SW_PAYLOAD_LEN - 99, 100 }, { SW_PAYLOAD_LEN + 1, 1 },
		{ UINT64_MAX, 1 }, { UINT64_MAX - 99, 100 }, { UINT64_C(1) << 32, 100 },
		{ UINT64_C(1) << 63, 100 }, { UINT64_MAX - 0xffff, 0xffff },
	};
	struct sw sw;
	union nfe_msg m[2];

	SW_DO(three_open(&sw, NULL));
	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		m[0] = dma_of(&sw, 1);
		m[0].tx.offset = bad[i].offset;
		m[0].tx.len = (uint16_t)bad[i].len;
		SW_DO(refused(&sw, m, 1, NFE_STAT_from_drop_bounds));
		m[0] = dma_of(&sw, 2);
		memset(&m[1], 0, sizeof(m[1]));
		m[1].seg_tx[0] = (struct nfe_seg_tx){ SW_KEY_PAYLOAD, bad[i].len, bad[i].offset };
		SW_DO(refused(&sw, m, 2, NFE_STAT_from_drop_bounds));
	}
	m[0] = dma_of(&sw, 2);
	m[1].seg_tx[0] = (struct nfe_seg_tx){ SW_KEY_PAYLOAD, UINT32_MAX, UINT32_MAX };
	SW_DO(refused(&sw, m, 2, NFE_STAT_from_drop_bounds));
	m[0] = dma_of(&sw, 1); /* the last bytes of a region are good */
	m[0].tx.offset = SW_PAYLOAD_LEN - 100;
	sw_put_cells(CHAN(A(sw)), m, 1);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	return sw_close(&sw);
}

static int
spoofed_sources_are_refused(void)
{
	static const uint8_t zero[6], group[6] = { 1, 0, 0x5e, 0, 0, 1 };
	struct sw sw;
	const uint8_t *bad[4] = { zero, group, sw_broadcast, NULL };

	SW_DO(three_open(&sw, NULL));
	bad[3] = B(sw)->mac;
	/* A group address in the filter does not make it a source. */
	TEST_EQ(vsw_owner_ops.mac(A(sw)->port, group, NFE_MAC_ADD), 0);
	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		union nfe_msg m = inline_of(&sw, 60);

		memcpy(m.in.frame + 6, bad[i], 6);
		SW_DO(refused(&sw, &m, 1, NFE_STAT_from_drop_source));
	}
	return sw_close(&sw);
}

/* Rule 19: what is rewritten after the snapshot changes nothing that was checked. */
struct rewriter {
	struct sw_chan *c;
	const uint8_t *good, *evil;
	uint32_t stop, runs;
};

static void
rewrite_all(struct rewriter *r, const uint8_t *source)
{
	for (uint32_t i = 0; i < 1u << r->c->sq_log2; i++) {
		volatile uint8_t *cell = sw_chan_mem(r->c, SW_CHAN_SQ + i * NFE_MSG_SIZE);

		for (unsigned int k = 0; k < 6; k++)
			cell[offsetof(struct nfe_msg_dma_tx, hdr) + 6 + k] = source[k];
	}
}

static void *
rewrite(void *arg)
{
	struct rewriter *r = arg;
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	CPU_CLR(0, &all); /* EAL bound our creator to it; where there is no other we stay */
	pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
	while (__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE) == 0) {
		__atomic_store_n(&r->runs, 1, __ATOMIC_RELEASE);
		rewrite_all(r, r->evil);
		rewrite_all(r, r->good);
	}
	return NULL;
}

static int
header_rewritten_while_switched_never_passes_the_check(void)
{
	static const uint8_t evil[6] = { 2, 0xee, 0xee, 0xee, 0xee, 0xee };
	struct sw sw;
	struct rewriter r;
	pthread_t thread;
	unsigned int passed = 0;
	int rc;

	SW_DO(three_open(&sw, NULL));
	r = (struct rewriter){ .c = CHAN(A(sw)), .good = A(sw)->mac, .evil = evil };
	TEST_EQ(pthread_create(&thread, NULL, rewrite, &r), 0);
	while (__atomic_load_n(&r.runs, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	for (unsigned int i = 0; i < 3000; i++) {
		for (unsigned int k = 0; k < 16; k++) {
			union nfe_msg m = dma_of(&sw, 1);

			m.tx.len = 400;
			sw_put_cells(CHAN(A(sw)), &m, 1);
		}
		sw_post(CHAN(B(sw)), 16 - (CHAN(B(sw))->fq_prod - CHAN(B(sw))->fill_end));
		sw_publish(CHAN(A(sw)));
		SW_DO(sw_turn(&sw));
		while ((rc = sw_recv(CHAN(B(sw)), &got)) == 1) {
			passed++;
			TEST_MEM_EQ(got.bytes, B(sw)->mac, 6);
			TEST_MEM_EQ(got.bytes + 6, A(sw)->mac, 6);
		}
		TEST_EQ(rc, 0);
	}
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TEST_TRUE(passed > 0);
	TEST_EQ(passed + sw_stat(A(sw), NFE_STAT_from_drop_source), 3000 * 16);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(send_producer_overrun_fails_that_guest_alone),
	TEST_CASE(send_producer_going_back_fails_that_guest_alone),
	TEST_CASE(receive_consumer_ahead_fails_that_guest_alone),
	TEST_CASE(receive_consumer_too_far_behind_fails_that_guest_alone),
	TEST_CASE(fill_producer_overrun_fails_that_guest_alone),
	TEST_CASE(unknown_types_and_flags_are_refused),
	TEST_CASE(runts_and_giants_are_refused),
	TEST_CASE(segments_that_sum_up_to_a_giant_are_refused),
	TEST_CASE(message_published_in_part_is_refused),
	TEST_CASE(message_in_part_beyond_the_burst_is_one_drop),
	TEST_CASE(number_and_length_of_segments_are_checked),
	TEST_CASE(hints_are_refused),
	TEST_CASE(keys_are_checked_in_both_parts_and_for_access),
	TEST_CASE(bounds_of_segments_are_checked_in_64_bits),
	TEST_CASE(spoofed_sources_are_refused),
	TEST_CASE(header_rewritten_while_switched_never_passes_the_check),
};
TEST_SUITE(vsw_refuse, cases);
