/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Endpoint on any ethdev, named as in --vdev (net_nfe0, net_af_packet0, ...). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "endpoint.h"

#define MAX_QUEUES 16
#define POOL_CACHE 128
#define MAX_RANDOM_SEGS 8 /* then segments are as long as an mbuf */

struct ep_ethdev {
	struct endpoint ep;
	uint16_t port;
	uint32_t seg_max, seed;
	struct rte_mempool *rx_pool, *tx_pool;
	struct rte_mbuf *tx[MAX_QUEUES][ENDPOINT_BURST];
	unsigned int nb_tx[MAX_QUEUES];
	struct rte_mbuf *rx[ENDPOINT_BURST];
	unsigned int nb_rx, next_rx, rxq;
};

static int
on_lsc(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct ep_ethdev *e = arg;
	struct rte_eth_link link;

	(void)type;
	(void)ret;
	if (port == e->port && rte_eth_link_get_nowait(port, &link) == 0)
		endpoint_link(&e->ep, link.link_status);
	return 0;
}

/* Length of the next segment: random up to seg_max; the last that a device takes holds the rest. */
static uint32_t
next_segment(struct ep_ethdev *e, const struct rte_mbuf *m, unsigned int nb_segs, uint32_t len)
{
	uint32_t n = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(m));

	if (e->seg_max == 0 || nb_segs >= MAX_RANDOM_SEGS)
		return n;
	e->seed = e->seed * 1664525u + 1013904223u;
	return RTE_MIN(n, 1 + (e->seed >> 8) % e->seg_max);
}

/* The frame as a chain of mbufs, as a stack might hand it to us. */
static struct rte_mbuf *
build(struct ep_ethdev *e, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(e->tx_pool), *m = head;

	while (m != NULL) {
		uint32_t n = next_segment(e, m, head->nb_segs, len);

		memcpy(rte_pktmbuf_mtod(m, void *), frame, n);
		m->data_len = (uint16_t)n;
		head->pkt_len += n;
		frame += n;
		len -= n;
		if (len == 0)
			return head;
		m->next = rte_pktmbuf_alloc(e->tx_pool);
		m = m->next;
		head->nb_segs += m != NULL;
	}
	rte_pktmbuf_free(head);
	return NULL;
}

static void
ep_ethdev_flush(struct endpoint *ep, unsigned int queue)
{
	struct ep_ethdev *e = (struct ep_ethdev *)ep;
	uint16_t n = (uint16_t)e->nb_tx[queue];
	uint16_t sent = rte_eth_tx_burst(e->port, (uint16_t)queue, e->tx[queue], n);

	memmove(e->tx[queue], &e->tx[queue][sent], (n - sent) * sizeof(e->tx[queue][0]));
	e->nb_tx[queue] = n - sent;
}

static int
ep_ethdev_send(struct endpoint *ep, unsigned int queue, const uint8_t *frame, uint32_t len)
{
	struct ep_ethdev *e = (struct ep_ethdev *)ep;
	struct rte_mbuf *m;

	if (e->nb_tx[queue] == ENDPOINT_BURST)
		ep_ethdev_flush(ep, queue);
	if (e->nb_tx[queue] == ENDPOINT_BURST)
		return -EAGAIN;
	m = build(e, frame, len);
	if (m == NULL)
		return -EAGAIN;
	e->tx[queue][e->nb_tx[queue]++] = m;
	return 0;
}

static int
ep_ethdev_recv(struct endpoint *ep, uint8_t *frame)
{
	struct ep_ethdev *e = (struct ep_ethdev *)ep;
	struct rte_mbuf *m;
	int len = 0;

	for (unsigned int i = 0; i < ep->queues && e->next_rx == e->nb_rx; i++) {
		e->nb_rx = rte_eth_rx_burst(e->port, (uint16_t)e->rxq, e->rx, ENDPOINT_BURST);
		e->next_rx = 0;
		e->rxq = (e->rxq + 1) % ep->queues;
	}
	if (e->next_rx == e->nb_rx)
		return 0;
	m = e->rx[e->next_rx++];
	for (struct rte_mbuf *s = m; s != NULL; s = s->next) {
		if (len + s->data_len > ENDPOINT_MAX_FRAME)
			break;
		memcpy(frame + len, rte_pktmbuf_mtod(s, void *), s->data_len);
		len += s->data_len;
	}
	rte_pktmbuf_free(m);
	return len;
}

static void
ep_ethdev_close(struct endpoint *ep)
{
	struct ep_ethdev *e = (struct ep_ethdev *)ep;

	for (unsigned int q = 0; q < ep->queues; q++)
		rte_pktmbuf_free_bulk(e->tx[q], e->nb_tx[q]);
	rte_pktmbuf_free_bulk(&e->rx[e->next_rx], e->nb_rx - e->next_rx);
	rte_eth_dev_stop(e->port);
	rte_eth_dev_close(e->port);
	/* Whatever the driver did not give back is a leak of mbufs. */
	if (rte_mempool_avail_count(e->rx_pool) != e->rx_pool->size ||
	    rte_mempool_avail_count(e->tx_pool) != e->tx_pool->size)
		fprintf(stderr, "test-traffic: %s: LEAK of mbufs: rx %u of %u, tx %u of %u are back\n",
			ep->name, rte_mempool_avail_count(e->rx_pool), e->rx_pool->size,
			rte_mempool_avail_count(e->tx_pool), e->tx_pool->size);
	rte_mempool_free(e->rx_pool);
	rte_mempool_free(e->tx_pool);
	free(e);
}

static const struct endpoint_ops ops = {
	.send = ep_ethdev_send,
	.flush = ep_ethdev_flush,
	.recv = ep_ethdev_recv,
	.close = ep_ethdev_close,
};

static int
make_pools(struct ep_ethdev *e, const struct endpoint_conf *conf)
{
	unsigned int n = conf->queues * (conf->desc * 2 + ENDPOINT_BURST) + 4 * POOL_CACHE;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "rx%u", e->port);
	e->rx_pool = rte_pktmbuf_pool_create(name, n, POOL_CACHE, 0,
					     (uint16_t)(conf->buf_size + RTE_PKTMBUF_HEADROOM),
					     SOCKET_ID_ANY);
	snprintf(name, sizeof(name), "tx%u", e->port);
	e->tx_pool = rte_pktmbuf_pool_create(name, n * (conf->seg_max ? 8 : 1), POOL_CACHE, 0,
					     conf->seg_max ? RTE_MBUF_DEFAULT_BUF_SIZE :
							     ENDPOINT_MAX_FRAME + RTE_PKTMBUF_HEADROOM,
					     SOCKET_ID_ANY);
	return e->rx_pool == NULL || e->tx_pool == NULL ? -ENOMEM : 0;
}

static int
start(struct ep_ethdev *e, const struct endpoint_conf *conf)
{
	uint16_t queues = (uint16_t)conf->queues, desc = (uint16_t)conf->desc;
	struct rte_eth_conf ec = { 0 };
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(e->port, &info);

	if (rc != 0)
		return rc;
	ec.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	ec.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (*info.dev_flags & RTE_ETH_DEV_INTR_LSC) {
		ec.intr_conf.lsc = 1;
		rte_eth_dev_callback_register(e->port, RTE_ETH_EVENT_INTR_LSC, on_lsc, e);
	}
	rc = rte_eth_dev_configure(e->port, queues, queues, &ec);
	if (rc == 0 && conf->mtu != 0)
		rc = rte_eth_dev_set_mtu(e->port, (uint16_t)conf->mtu);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(e->port, &desc, &desc);
	for (uint16_t q = 0; q < queues && rc == 0; q++) {
		rc = rte_eth_rx_queue_setup(e->port, q, desc, SOCKET_ID_ANY, NULL, e->rx_pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(e->port, q, desc, SOCKET_ID_ANY, NULL);
	}
	return rc == 0 ? rte_eth_dev_start(e->port) : rc;
}

struct endpoint *
endpoint_ethdev_open(const char *name, const struct endpoint_conf *conf)
{
	struct ep_ethdev *e = calloc(1, sizeof(*e));
	struct rte_ether_addr mac;
	struct rte_eth_link link;
	int rc;

	if (e == NULL || conf->queues > MAX_QUEUES)
		goto fail;
	e->ep.ops = &ops;
	e->ep.queues = conf->queues;
	e->seg_max = conf->seg_max;
	if (rte_eth_dev_get_port_by_name(name, &e->port) != 0) {
		fprintf(stderr, "test-traffic: no ethdev named %s (give --vdev=%s,...)\n", name, name);
		goto fail;
	}
	rc = make_pools(e, conf);
	if (rc == 0)
		rc = start(e, conf);
	if (rc != 0) {
		fprintf(stderr, "test-traffic: %s: start failed: %s\n", name, strerror(-rc));
		goto fail;
	}
	rte_eth_macaddr_get(e->port, &mac);
	memcpy(e->ep.mac, mac.addr_bytes, sizeof(e->ep.mac));
	if (rte_eth_link_get_nowait(e->port, &link) == 0)
		e->ep.link_up = link.link_status;
	return &e->ep;

fail:
	free(e);
	return NULL;
}
