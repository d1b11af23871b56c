/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A data thread that hangs inside a burst while the switch is replaced. It hangs in its pool: a
 * ring_mp_mc whose dequeue waits as long as the case wants.
 */
#include <pthread.h>

#include <rte_cycles.h>
#include <rte_mempool.h>

#include "bench.h"

#define HELD_MS 2500 /* longer than a warning's second */

static struct {
	uint32_t on;   /* atomic: dequeues wait */
	uint32_t held; /* atomic: one does */
	uint32_t stop; /* atomic: the thread ends */
} hold;

static const struct rte_mempool_ops *
ring_ops(void)
{
	for (uint32_t i = 0; i < rte_mempool_ops_table.num_ops; i++)
		if (strcmp(rte_mempool_ops_table.ops[i].name, "ring_mp_mc") == 0)
			return &rte_mempool_ops_table.ops[i];
	return NULL;
}

static int
hold_alloc(struct rte_mempool *mp)
{
	return ring_ops() != NULL ? ring_ops()->alloc(mp) : -ENOTSUP;
}

static void
hold_free(struct rte_mempool *mp)
{
	ring_ops()->free(mp);
}

static int
hold_enqueue(struct rte_mempool *mp, void *const *objs, unsigned int n)
{
	return ring_ops()->enqueue(mp, objs, n);
}

static int
hold_dequeue(struct rte_mempool *mp, void **objs, unsigned int n)
{
	while (__atomic_load_n(&hold.on, __ATOMIC_ACQUIRE) != 0) {
		__atomic_store_n(&hold.held, 1, __ATOMIC_RELEASE);
		rte_delay_us_sleep(1000);
	}
	return ring_ops()->dequeue(mp, objs, n);
}

static unsigned int
hold_count(const struct rte_mempool *mp)
{
	return ring_ops()->get_count(mp);
}

static const struct rte_mempool_ops hold_ops = {
	.name = "bench_hold",
	.alloc = hold_alloc,
	.free = hold_free,
	.enqueue = hold_enqueue,
	.dequeue = hold_dequeue,
	.get_count = hold_count,
};
RTE_MEMPOOL_REGISTER_OPS(hold_ops);

static void *
receive(void *arg __rte_unused)
{
	struct rte_mbuf *pkts[32];

	while (__atomic_load_n(&hold.stop, __ATOMIC_ACQUIRE) == 0)
		rte_pktmbuf_free_bulk(pkts, rte_eth_rx_burst(port_b, 0, pkts, RTE_DIM(pkts)));
	return NULL;
}

/* Frames to b until its refill hangs. */
static int
send_until_held(void)
{
	uint64_t deadline = now_ms() + 2000;

	__atomic_store_n(&hold.on, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&hold.held, __ATOMIC_ACQUIRE) == 0) {
		struct rte_mbuf *m = frame_make(bench_pool, 0, 1000, 1);

		TEST_TRUE(m != NULL && now_ms() < deadline);
		if (rte_eth_tx_burst(port_a, 0, &m, 1) == 0)
			rte_pktmbuf_free(m);
		rte_delay_us_sleep(100);
	}
	return TEST_OK;
}

static int
burst_that_goes_on_delays_the_replay_until_it_ends(void)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create_by_ops("hold", 1023, 0, 0,
		BENCH_DATA_ROOM, SOCKET_ID_ANY, "bench_hold");
	const struct port_conf a = { .nb_rx = 1, .nb_tx = 1 };
	const struct port_conf b = { .nb_rx = 1, .nb_tx = 1, .rx_pool = pool };
	const struct traffic t = { .frames = 500 };
	pthread_t thread;

	TEST_TRUE(pool != NULL);
	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&a, &b), TEST_OK);
	TEST_EQ(pthread_create(&thread, NULL, receive, NULL), 0);
	TEST_EQ(send_until_held(), TEST_OK);
	TEST_EQ(switch_down(), TEST_OK);
	TEST_EQ(switch_up(), TEST_OK);
	TEST_EQ(wait_link(port_a, true, 5000), TEST_OK);
	for (uint64_t end = now_ms() + HELD_MS; now_ms() < end; rte_delay_us_sleep(1000))
		TEST_TRUE(!port_link(port_b));
	__atomic_store_n(&hold.on, 0, __ATOMIC_RELEASE);
	TEST_EQ(wait_link(port_b, true, 5000), TEST_OK);
	TEST_EQ(port_xstat(port_b, "replays"), 1);
	rte_delay_us_sleep(100000); /* what a had sent to nobody arrives */
	__atomic_store_n(&hold.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static const struct test_case cases[] = {
	TEST_CASE(burst_that_goes_on_delays_the_replay_until_it_ends),
};
TEST_SUITE(freeze, cases);
