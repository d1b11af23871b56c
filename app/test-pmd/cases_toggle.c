/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Queues started, stopped and set up by themselves while the port and its other queues run. */
#include <errno.h>
#include <pthread.h>

#include <rte_cycles.h>

#include "bench.h"

static const struct port_conf plain = { .nb_rx = 1, .nb_tx = 1, .desc = 512 };

/* DTS queue_toggle: nothing passes a stopped queue, which holds no mbuf. */
static int
queue_toggle_nothing_passes_a_stopped_queue(void)
{
	struct rte_eth_txq_info tx;
	struct rte_eth_rxq_info rx;
	struct numbers n = { 0 };
	struct rte_mbuf *m;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	for (int round = 0; round < 10; round++) {
		TEST_EQ(numbers_send(&n, 100), TEST_OK);
		TEST_EQ(numbers_settle(&n), TEST_OK);
		TEST_EQ(rte_eth_dev_tx_queue_stop(port_a, 0), 0);
		TEST_EQ(rte_eth_tx_queue_info_get(port_a, 0, &tx), 0);
		TEST_EQ(tx.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
		m = frame_make(bench_pool, n.sent, 500, 1);
		TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 0);
		rte_pktmbuf_free(m);
		TEST_EQ(rte_eth_dev_tx_queue_start(port_a, 0), 0);
		TEST_EQ(rte_eth_dev_rx_queue_stop(port_b, 0), 0);
		TEST_EQ(rte_eth_rx_queue_info_get(port_b, 0, &rx), 0);
		TEST_EQ(rx.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
		m = frame_make(bench_pool, 0, 500, 1); /* lost: nobody receives */
		TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 1);
		while (port_xstat(port_b, "dev_to_drop_link") != (uint64_t)round + 1)
			rte_delay_us_sleep(100);
		TEST_EQ(rte_eth_rx_burst(port_b, 0, &m, 1), 0);
		TEST_EQ(rte_eth_dev_rx_queue_stop(port_a, 0), 0);
		while (rte_eth_tx_done_cleanup(port_a, 0, 0) > 0)
			;
		TEST_EQ(rte_mempool_avail_count(bench_pool), BENCH_POOL);
		TEST_EQ(rte_eth_dev_rx_queue_start(port_a, 0), 0);
		TEST_EQ(rte_eth_dev_rx_queue_start(port_b, 0), 0);
	}
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static struct {
	struct numbers n;
	uint32_t stop; /* atomic */
	int result;
} receiver;

static void *
receive(void *arg __rte_unused)
{
	while (__atomic_load_n(&receiver.stop, __ATOMIC_ACQUIRE) == 0 && receiver.result == TEST_OK)
		receiver.result = numbers_receive(&receiver.n);
	return NULL;
}

/* Queues share channels in pairs: the other one of the pair goes on where it stood, with frames in
 * it, while its own data thread polls it. */
static int
queue_toggle_loses_nothing_of_the_other_direction(void)
{
	const struct port_conf deep = { .nb_rx = 1, .nb_tx = 1, .desc = 1024 };
	struct numbers n = { 0 };
	pthread_t thread;
	uint64_t deadline;

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&deep, &deep), TEST_OK);
	TEST_EQ(pthread_create(&thread, NULL, receive, NULL), 0);
	for (int round = 0; round < 100; round++) {
		/* The receiver may be slow, but its queue must have room. */
		while (n.sent - __atomic_load_n(&receiver.n.next, __ATOMIC_RELAXED) > 300)
			TEST_EQ(receiver.result, TEST_OK);
		TEST_EQ(numbers_send(&n, 50), TEST_OK);
		TEST_EQ(rte_eth_dev_rx_queue_stop(port_a, 0), 0); /* frames are in its pair */
		TEST_EQ(numbers_send(&n, 5), TEST_OK);
		TEST_EQ(rte_eth_dev_rx_queue_start(port_a, 0), 0);
		deadline = now_ms() + 10000;
		while (port_xstat(port_b, "dev_to_frames") < n.sent)
			TEST_ASSERT_MSG(now_ms() < deadline,
					"%u sent, at the device %" PRIu64 ", to b %" PRIu64
					" of %" PRIu64,
					n.sent, port_xstat(port_a, "dev_from_frames"),
					port_xstat(port_b, "dev_to_frames"),
					port_xstat(port_b, "dev_to_offered"));
		TEST_EQ(rte_eth_dev_tx_queue_stop(port_b, 0), 0);
		TEST_EQ(rte_eth_dev_tx_queue_start(port_b, 0), 0);
	}
	deadline = now_ms() + 10000;
	while (__atomic_load_n(&receiver.n.next, __ATOMIC_RELAXED) != n.sent)
		TEST_TRUE(now_ms() < deadline && receiver.result == TEST_OK);
	__atomic_store_n(&receiver.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TEST_EQ(receiver.result, TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static int
deferred_queues_wait_for_their_start(void)
{
	struct port_conf conf = { .nb_rx = 1, .nb_tx = 1, .deferred = true };
	const struct traffic t = { .frames = 500 };
	struct rte_mbuf *m;

	TEST_EQ(bench_probe_both(), TEST_OK);
	for (int round = 0; round < 3; round++) {
		TEST_EQ(ports_up(&conf, &conf), TEST_OK);
		TEST_TRUE(port_link(port_a));
		m = frame_make(bench_pool, 0, 500, 1);
		TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 0);
		rte_pktmbuf_free(m);
		TEST_EQ(rte_eth_dev_tx_queue_start(port_a, 0), 0);
		TEST_EQ(rte_eth_dev_rx_queue_start(port_b, 0), 0);
		TEST_EQ(traffic_run(&t), TEST_OK);
		TEST_EQ(ports_down(), TEST_OK);
	}
	return bench_remove_both();
}

/* DTS dynamic_queue_conf: other sizes, another pool, while the port runs. */
static int
dynamic_queue_conf_while_the_port_runs(void)
{
	static const uint16_t sizes[] = { 16, 1024, 64, 512 };
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("other", 2047, 0, 0, BENCH_DATA_ROOM, SOCKET_ID_ANY);
	struct rte_eth_rxq_info info;

	TEST_TRUE(pool != NULL);
	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(rte_eth_rx_queue_setup(port_b, 0, 64, SOCKET_ID_ANY, NULL, pool), -EBUSY);
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		const struct traffic t = { .frames = 1000,
					   .window = RTE_MAX(sizes[i] / 8, 1),
					   .max_segs = 1 };

		TEST_EQ(rte_eth_dev_rx_queue_stop(port_b, 0), 0);
		TEST_EQ(rte_eth_rx_queue_setup(port_b, 0, sizes[i], SOCKET_ID_ANY, NULL,
					       i % 2 == 0 ? pool : bench_pool),
			0);
		TEST_EQ(rte_eth_dev_rx_queue_start(port_b, 0), 0);
		TEST_EQ(rte_eth_dev_tx_queue_stop(port_a, 0), 0);
		TEST_EQ(rte_eth_tx_queue_setup(port_a, 0, sizes[i], SOCKET_ID_ANY, NULL), 0);
		TEST_EQ(rte_eth_dev_tx_queue_start(port_a, 0), 0);
		TEST_EQ(rte_eth_rx_queue_info_get(port_b, 0, &info), 0);
		TEST_EQ(info.nb_desc, sizes[i]);
		TEST_EQ(traffic_run(&t), TEST_OK);
	}
	TEST_EQ(ports_down(), TEST_OK);
	TEST_TRUE(rte_mempool_full(pool));
	rte_mempool_free(pool);
	return bench_remove_both();
}

/* The pair of a queue that is stopped has to be made anew, which needs the device. */
static int
queue_stopped_while_the_switch_is_away_starts_again_later(void)
{
	const struct traffic t = { .frames = 500 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(switch_down(), TEST_OK);
	TEST_EQ(wait_link(port_a, false, 5000), TEST_OK);
	TEST_EQ(rte_eth_dev_rx_queue_stop(port_a, 0), -ENOLINK);
	TEST_EQ(switch_up(), TEST_OK);
	TEST_EQ(wait_link(port_a, true, 5000), TEST_OK);
	TEST_EQ(wait_link(port_b, true, 5000), TEST_OK);
	TEST_EQ(rte_eth_dev_tx_queue_start(port_a, 0), 0);
	TEST_EQ(rte_eth_dev_rx_queue_start(port_a, 0), 0);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static const struct test_case cases[] = {
	TEST_CASE(queue_toggle_nothing_passes_a_stopped_queue),
	TEST_CASE(queue_toggle_loses_nothing_of_the_other_direction),
	TEST_CASE(deferred_queues_wait_for_their_start),
	TEST_CASE(dynamic_queue_conf_while_the_port_runs),
	TEST_CASE(queue_stopped_while_the_switch_is_away_starts_again_later),
};
TEST_SUITE(toggle, cases);
