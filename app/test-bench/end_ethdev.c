/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Ends on ethdevs: all that the EAL probed, with one queue pair and one mbuf pool each, as guests are
 * that share no memory, with the cheapest settings that a driver offers. Nothing here knows which driver
 * it is.
 *
 * With a pool in common a sender would get the buffers that the receiver has just read, and which buffers
 * come back when would decide more than any switch does: 1500 B, memif zero-copy 7.0 Mpps and 4.8 with a
 * pool each, examples/vhost 6.1 and 7.1, NFE (with its rotation of then) 7.2 and 5.7.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bench.h"

#define POOL_CACHE 256

struct end_ethdev {
	struct end end;
	uint16_t port;
	struct rte_mempool *pool;
	struct rte_mbuf *tx[BENCH_MAX_BURST]; /* filled and not yet taken by the driver */
	unsigned int nb_tx, next_tx;
};

static bool
fill_burst(struct end_ethdev *e, unsigned int n)
{
	const struct bench_opt *opt = e->end.opt;
	unsigned int asked = 0;

	if (rte_pktmbuf_alloc_bulk(e->pool, e->tx, n) != 0)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = e->tx[i];
		uint32_t len = frame_len(&e->end, e->end.seq);

		for (; asked < frames_to_ask(opt->ahead, i, n); asked++)
			frame_ask_to_write(opt, rte_pktmbuf_mtod(e->tx[asked], uint8_t *),
					   frame_len(&e->end, e->end.seq + asked - i));
		m->data_len = (uint16_t)len;
		m->pkt_len = len;
		frame_write(&e->end, rte_pktmbuf_mtod(m, uint8_t *), len);
	}
	e->nb_tx = n;
	e->next_tx = 0;
	return true;
}

/* What is filled, in calls of opt->publish frames each, until one isn't taken whole. */
static unsigned int
hand_over(struct end_ethdev *e)
{
	unsigned int step = e->end.opt->publish ? e->end.opt->publish : BENCH_MAX_BURST;
	unsigned int sent = 0, n, taken;

	do {
		n = RTE_MIN(e->nb_tx, step);
		taken = rte_eth_tx_burst(e->port, 0, &e->tx[e->next_tx], (uint16_t)n);
		e->next_tx += taken;
		e->nb_tx -= taken;
		sent += taken;
	} while (taken == n && e->nb_tx > 0);
	return sent;
}

static unsigned int
ethdev_send(struct end *end, unsigned int n)
{
	struct end_ethdev *e = (struct end_ethdev *)end;
	uint64_t start = bench_clock(end);
	bool fills = e->nb_tx == 0;
	unsigned int sent;

	if (fills && !fill_burst(e, RTE_MIN(n, end->opt->burst)))
		return 0;
	sent = hand_over(e);
	end->count.tx_tries++;
	end->count.tx_full += e->nb_tx != 0;
	end->count.sent += sent;
	if (sent != 0 || fills)
		end->count.tx_cycles += bench_clock(end) - start;
	return sent;
}

static unsigned int
ethdev_receive(struct end *end)
{
	struct end_ethdev *e = (struct end_ethdev *)end;
	struct rte_mbuf *m[BENCH_MAX_BURST];
	uint64_t start = bench_clock(end);
	unsigned int n, asked = 0, ours = 0;

	n = rte_eth_rx_burst(e->port, 0, m, (uint16_t)end->opt->burst);
	if (n == 0)
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		for (; asked < frames_to_ask(end->opt->ahead, i, n); asked++)
			frame_ask_to_read(end->opt, rte_pktmbuf_mtod(m[asked], uint8_t *),
					  m[asked]->data_len);
		/* A driver that scatters a long frame: only its first part is read. */
		ours += frame_read(end, rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->data_len);
	}
	rte_pktmbuf_free_bulk(m, n);
	end->count.received += ours;
	end->count.foreign += n - ours;
	end->count.rx_cycles += bench_clock(end) - start;
	return ours;
}

static bool
ethdev_link(const struct end *end)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(((const struct end_ethdev *)end)->port, &link) == 0 &&
	       link.link_status != 0;
}

static void
ethdev_close(struct end *end)
{
	struct end_ethdev *e = (struct end_ethdev *)end;

	rte_pktmbuf_free_bulk(&e->tx[e->next_tx], e->nb_tx);
	rte_eth_dev_stop(e->port);
	rte_eth_dev_close(e->port);
	rte_mempool_free(e->pool);
	free(e);
}

static const struct end_ops ops = {
	.send = ethdev_send,
	.receive = ethdev_receive,
	.link = ethdev_link,
	.close = ethdev_close,
};

static int
start_port(uint16_t port, const struct bench_opt *opt, struct rte_mempool *pool)
{
	uint16_t rx_desc = (uint16_t)opt->desc, tx_desc = (uint16_t)opt->desc;
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(port, &info);

	if (rc != 0)
		return rc;
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	/* A driver that promises less may do more all the same: then frames tell. */
	if (opt->size > RTE_ETHER_MTU + RTE_ETHER_HDR_LEN &&
	    opt->size - RTE_ETHER_HDR_LEN <= info.max_mtu &&
	    opt->size + RTE_ETHER_CRC_LEN <= info.max_rx_pktlen)
		conf.rxmode.mtu = opt->size - RTE_ETHER_HDR_LEN;
	rc = rte_eth_dev_configure(port, 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx_desc, &tx_desc);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(port, 0, rx_desc, SOCKET_ID_ANY, NULL, pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(port, 0, tx_desc, SOCKET_ID_ANY, NULL);
	if (rc == 0 && conf.rxmode.mtu != 0)
		rte_eth_dev_set_mtu(port, (uint16_t)conf.rxmode.mtu); /* some only know this way */
	if (rc == 0)
		rc = rte_eth_dev_start(port);
	if (rc == 0)
		rte_eth_promiscuous_enable(port); /* where it isn't known, addresses match anyway */
	return rc;
}

/* Both queues full, and what the cache may keep. NULL: said why. */
static struct rte_mempool *
create_pool(uint16_t port, const struct bench_opt *opt)
{
	unsigned int mbufs = opt->mbufs != 0 ? opt->mbufs :
					       2 * opt->desc + 2 * BENCH_MAX_BURST + 2 * POOL_CACHE;
	struct rte_mempool *pool;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "bench%u", port);
	pool = rte_pktmbuf_pool_create(name, mbufs, POOL_CACHE, 0,
				       (uint16_t)(opt->buf_size + RTE_PKTMBUF_HEADROOM),
				       SOCKET_ID_ANY);
	if (pool == NULL)
		fprintf(stderr, "test-bench: port %u: no memory for %u mbufs of %u bytes\n", port,
			mbufs, opt->buf_size);
	return pool;
}

static struct end *
open_port(uint16_t port, const struct bench_opt *opt)
{
	struct rte_mempool *pool = create_pool(port, opt);
	struct rte_ether_addr mac;
	struct end_ethdev *e;
	int rc;

	if (pool == NULL)
		return NULL;
	e = calloc(1, sizeof(*e));
	rc = e != NULL ? start_port(port, opt, pool) : -ENOMEM;
	if (rc != 0) {
		fprintf(stderr, "test-bench: port %u: start failed: %s\n", port, strerror(-rc));
		rte_mempool_free(pool);
		free(e);
		return NULL;
	}
	e->end.ops = &ops;
	e->end.opt = opt;
	e->port = port;
	e->pool = pool;
	rte_eth_dev_get_name_by_port(port, e->end.name);
	rte_eth_macaddr_get(port, &mac);
	memcpy(e->end.mac, mac.addr_bytes, 6);
	return &e->end;
}

int
end_ethdev_open_all(const struct bench_opt *opt, struct bench *b)
{
	uint16_t port;

	RTE_ETH_FOREACH_DEV(port) {
		struct end *end = open_port(port, opt);

		if (end == NULL)
			return -EIO;
		b->end[b->nb_ends++] = end;
	}
	return 0;
}
