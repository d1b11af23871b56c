/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * test-secondary: a secondary process that hangs inside a burst of port 0 until it is killed.
 *
 *	test-secondary [EAL options] --proc-type=secondary -- rx|tx QUEUE
 *
 * It hangs in its pool: the operations of a pool are looked up in a table of each process, and here
 * those that would end the burst never return. Its thread is none of EAL's, so it has no cache in
 * the pool. On stdout comes "held" once it is inside, or "refused" with what a secondary may not do.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define POOL "mb_pool_0" /* testpmd's */
#define TIMEOUT_S 60

static uint16_t queue;
static bool rx;

static void
hang(void)
{
	printf("held\n");
	for (;;)
		pause();
}

static int
hang_dequeue(struct rte_mempool *pool, void **objs, unsigned int n)
{
	(void)pool;
	(void)objs;
	(void)n;
	hang();
	return -ENOENT;
}

static int
hang_enqueue(struct rte_mempool *pool, void *const *objs, unsigned int n)
{
	(void)pool;
	(void)objs;
	(void)n;
	hang();
	return -ENOBUFS;
}

static void
send_one(struct rte_mempool *pool)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	if (m == NULL)
		return;
	memset(rte_pktmbuf_append(m, 60), 2, 60);
	rte_mempool_get_ops(pool->ops_index)->enqueue = hang_enqueue;
	rte_eth_tx_burst(0, queue, &m, 1);
}

static void *
run(void *arg)
{
	struct rte_mempool *pool = arg;
	struct rte_mbuf *pkts[32];

	if (rx)
		rte_mempool_get_ops(pool->ops_index)->dequeue = hang_dequeue;
	for (;;) {
		if (!rx)
			send_one(pool);
		else if (rte_eth_rx_burst(0, queue, pkts, RTE_DIM(pkts)) > 0)
			printf("a burst came to an end\n");
	}
	return NULL;
}

/* Control of the port is the primary's. */
static int
check_refusals(void)
{
	struct rte_ether_addr mac = { { 2, 0, 0, 0, 0, 0x99 } };
	const int ret[] = {
		rte_eth_dev_stop(0), rte_eth_dev_set_mtu(0, 1400), rte_eth_stats_reset(0),
		rte_eth_allmulticast_enable(0), rte_eth_dev_default_mac_addr_set(0, &mac),
		rte_eth_dev_rx_queue_stop(0, queue), rte_eth_dev_reset(0),
	};

	for (unsigned int i = 0; i < RTE_DIM(ret); i++)
		if (ret[i] != -ENOTSUP)
			return fprintf(stderr, "operation %u gives %d\n", i, ret[i]);
	printf("refused all that is the primary's\n");
	return 0;
}

int
main(int argc, char **argv)
{
	struct rte_mempool *pool;
	pthread_t thread;
	int n;

	setlinebuf(stdout);
	n = rte_eal_init(argc, argv);
	if (n < 0 || argc - n != 3)
		return 2;
	alarm(TIMEOUT_S);
	rx = strcmp(argv[n + 1], "rx") == 0;
	queue = (uint16_t)strtoul(argv[n + 2], NULL, 10);
	pool = rte_mempool_lookup(POOL);
	if (pool == NULL || check_refusals() != 0 ||
	    pthread_create(&thread, NULL, run, pool) != 0)
		return 1;
	pthread_join(thread, NULL);
	return 1;
}
