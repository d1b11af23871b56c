/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a frame costs the PMD's bursts by themselves, on one CPU. Judges nothing but that all frames
 * pass.
 */
#include <rte_cycles.h>

#define POOL_NAME "nfe_perf"
#include "test_nfe_rxtx_fixture.h"

#define PERF_BURST 32u
#define PERF_ROUNDS 4000u

/* Least of many bursts, TSC cycles per frame; what is sent is read at once. 0: a frame was not sent. */
static double
cycles_to_send(struct tx *t, uint32_t len)
{
	uint64_t least = UINT64_MAX;
	struct rte_mbuf *m[PERF_BURST];

	for (uint32_t i = 0; i < PERF_ROUNDS; i++) {
		uint64_t start;

		if (rte_pktmbuf_alloc_bulk(pool, m, PERF_BURST) != 0)
			return 0;
		for (uint32_t k = 0; k < PERF_BURST; k++)
			m[k]->data_len = m[k]->pkt_len = len;
		start = rte_rdtsc_precise();
		if (nfe_tx_burst(&t->q, m, PERF_BURST) != PERF_BURST)
			return 0;
		least = RTE_MIN(least, rte_rdtsc_precise() - start);
		t->status.sq_cons = t->db;
	}
	return (double)least / PERF_BURST;
}

/* A device's messages for a burst of such frames. */
typedef void (*deliver_fn)(struct rx *r, uint32_t len);

static void
deliver_inline(struct rx *r, uint32_t len)
{
	const uint8_t frame[LONGEST] = { 2 };

	for (uint32_t k = 0; k < PERF_BURST; k++)
		r->status.rq_prod += write_inline(
			&r->q.cells[(r->status.rq_prod & r->q.mask) * NFE_MSG_SIZE], frame, len);
}

/* The buffers that were posted come back in order. */
static void
deliver_in_buffers(struct rx *r, uint32_t len)
{
	for (uint32_t k = 0, next = r->q.fill_end; k < PERF_BURST; k++, next++) {
		union nfe_msg msg = { .rx = { .type = NFE_MSG_DMA_RX, .len = (uint16_t)len,
					      .cookie = next & r->q.mask, .fill_end = next + 1,
					      .hints = { .nsegs = 1 } } };

		memcpy(&r->q.cells[(r->status.rq_prod++ & r->q.mask) * NFE_MSG_SIZE], &msg,
		       sizeof(msg));
	}
}

/* Likewise; 0: a frame did not come. */
static double
cycles_to_receive(struct rx *r, uint32_t len, deliver_fn deliver)
{
	uint64_t least = UINT64_MAX;
	struct rte_mbuf *m[PERF_BURST];

	for (uint32_t i = 0; i < PERF_ROUNDS; i++) {
		uint64_t start;

		deliver(r, len);
		start = rte_rdtsc_precise();
		if (nfe_rx_burst(&r->q, m, PERF_BURST) != PERF_BURST)
			return 0;
		least = RTE_MIN(least, rte_rdtsc_precise() - start);
		rte_pktmbuf_free_bulk(m, PERF_BURST);
	}
	return (double)least / PERF_BURST;
}

/* Queues of LONG cells, of which one is used after the other. */
static void
init_long(struct tx *t, struct rx *r, uint8_t *cells)
{
	tx_init(t);
	t->q.size = LONG;
	t->q.mask = LONG - 1;
	t->q.cells = cells;
	t->q.prod = t->q.cons = t->status.sq_cons = 0;
	t->q.fast_free = true;
	rx_init(r);
	r->q.size = LONG;
	r->q.mask = LONG - 1;
	r->q.cells = cells;
	r->q.cons = r->status.rq_prod = 0;
	r->q.free_thresh = LONG + 1;
}

/* What a short frame costs the driver when no line comes from another core (as in test_vsw_perf.c), with
 * RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE. Judges nothing but that all frames pass. */
static int
cycles_of_a_short_frame(void)
{
	static const uint32_t lens[] = { 60, 64, 124, 252 };
	static uint8_t cells[LONG * NFE_MSG_SIZE] __attribute__((aligned(64)));

	TEST_EQ(setup(), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		double send, receive;
		struct tx t;
		struct rx r;

		init_long(&t, &r, cells);
		send = cycles_to_send(&t, lens[i]);
		receive = cycles_to_receive(&r, lens[i], deliver_inline);
		printf("# %3u B: %.1f TSC cycles to send a frame, %.1f to receive it\n", lens[i], send,
		       receive);
		TEST_TRUE(send > 0 && receive > 0);
	}
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

/* And what a frame that goes by reference costs; to receive with the refill. */
static int
cycles_of_a_long_frame(void)
{
	static uint8_t cells[LONG * NFE_MSG_SIZE] __attribute__((aligned(64)));
	static uint8_t fill[LONG * sizeof(struct nfe_fill)] __attribute__((aligned(64)));
	static struct rte_mbuf *sw[LONG];
	double send, receive;
	struct tx t;
	struct rx r;

	TEST_EQ(setup(), TEST_OK);
	port.map = map_all();
	TEST_TRUE(port.map != NULL);
	init_long(&t, &r, cells);
	t.q.sw = sw;
	send = cycles_to_send(&t, BUF_SIZE);
	t.status.sq_cons = t.db;
	nfe_tx_reclaim(&t.q, UINT32_MAX, 0, 0);
	r.q.fill = fill;
	r.q.sw = sw;
	r.q.fill_max = LONG;
	r.q.free_thresh = PERF_BURST;
	nfe_rx_refill(&r.q);
	receive = cycles_to_receive(&r, BUF_SIZE, deliver_in_buffers);
	printf("# %u B: %.1f TSC cycles to send a frame, %.1f to receive it\n", BUF_SIZE, send,
	       receive);
	for (uint32_t i = 0; i < LONG; i++)
		rte_pktmbuf_free(sw[i]);
	free(port.map);
	port.map = NULL;
	TEST_TRUE(send > 0 && receive > 0);
	TEST_EQ(r.q.count.got_dma, PERF_ROUNDS * PERF_BURST);
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(cycles_of_a_short_frame),
	TEST_CASE(cycles_of_a_long_frame),
};
TEST_SUITE(nfe_perf, cases);
