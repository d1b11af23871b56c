/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Uplinks, control thread: any ethdev is configured, started and stopped here. Its frames are moved
 * in vsw_uplink_io.c.
 */
#include <errno.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "vsw_internal.h"

#define UPLINK_DESC 1024
#define UPLINK_POOL_CACHE 256
#define UPLINK_CSUM (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define UPLINK_TX_CSUM (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define UPLINK_TX_GSO (RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | \
		       RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define UPLINK_OVERHEAD 64 /* bytes beside the MTU: headers, tags, room to align */

static int
pool_create(struct vsw *sw, struct vsw_uplink *u, uint16_t mtu)
{
	uint16_t room = (uint16_t)RTE_MAX(RTE_MBUF_DEFAULT_BUF_SIZE,
					  RTE_PKTMBUF_HEADROOM + mtu + UPLINK_OVERHEAD);
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "vsw_uplink_%u", u->ethdev);
	u->pool = rte_pktmbuf_pool_create(name, sw->conf.nb_mbufs, UPLINK_POOL_CACHE, 0, room,
					  SOCKET_ID_ANY);
	return u->pool == NULL ? -ENOMEM : 0;
}

/* Offloads for sending that the device has and we use. */
static uint64_t
tx_offloads(struct vsw_uplink *u, const struct rte_eth_dev_info *info)
{
	uint32_t segs = info->tx_desc_lim.nb_seg_max; /* 0: no limit */

	u->room = (uint32_t)rte_pktmbuf_data_room_size(u->pool) - RTE_PKTMBUF_HEADROOM;
	u->max_len = u->room;
	u->sums = (info->tx_offload_capa & UPLINK_TX_CSUM) == UPLINK_TX_CSUM;
	u->cuts = u->sums && (info->tx_offload_capa & UPLINK_TX_GSO) == UPLINK_TX_GSO;
	if (u->cuts)
		u->max_len *= segs != 0 ? RTE_MIN(segs, (uint32_t)VSW_UPLINK_MAX_SEGS) :
					  VSW_UPLINK_MAX_SEGS;
	return (u->sums ? UPLINK_TX_CSUM : 0) | (u->cuts ? UPLINK_TX_GSO : 0);
}

static int
ethdev_start(struct vsw *sw, struct vsw_uplink *u, bool offload)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	uint16_t rxd = UPLINK_DESC, txd = UPLINK_DESC, mtu;
	int rc;

	rc = rte_eth_dev_info_get(u->ethdev, &info);
	if (rc == 0)
		rc = rte_eth_dev_get_mtu(u->ethdev, &mtu);
	if (rc == 0)
		rc = pool_create(sw, u, mtu);
	if (rc != 0)
		return rc;
	u->checks = (info.rx_offload_capa & UPLINK_CSUM) == UPLINK_CSUM;
	conf.rxmode.offloads = u->checks ? UPLINK_CSUM : 0;
	if (!offload)
		info.tx_offload_capa = 0;
	conf.txmode.offloads = tx_offloads(u, &info);
	u->nb_txq = (uint16_t)RTE_MIN(sw->nb_lcores, (unsigned int)info.max_tx_queues);
	rc = rte_eth_dev_configure(u->ethdev, 1, u->nb_txq, &conf);
	if (rc != 0 && u->nb_txq > 1) { /* net_tap wants as many as there are for receiving */
		u->nb_txq = 1;
		rc = rte_eth_dev_configure(u->ethdev, 1, u->nb_txq, &conf);
	}
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(u->ethdev, &rxd, &txd);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(u->ethdev, 0, rxd, SOCKET_ID_ANY, NULL, u->pool);
	for (uint16_t q = 0; q < u->nb_txq && rc == 0; q++)
		rc = rte_eth_tx_queue_setup(u->ethdev, q, txd, SOCKET_ID_ANY, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(u->ethdev);
	if (rc == 0)
		rc = rte_eth_promiscuous_enable(u->ethdev);
	return rc;
}

/* The device first: its queues hold mbufs of the pool. Without a pool nothing of it was touched. */
static void
ethdev_close(struct vsw_uplink *u)
{
	if (u->pool == NULL)
		return;
	rte_eth_dev_stop(u->ethdev);
	rte_eth_dev_close(u->ethdev);
	rte_mempool_free(u->pool);
}

int
vsw_uplink_start(struct vsw *sw, struct vsw_port *port, const struct vsw_uplink_conf *conf)
{
	struct vsw_uplink *u = rte_zmalloc(NULL, sizeof(*u), RTE_CACHE_LINE_SIZE);
	struct rte_ether_addr mac;
	uint16_t mtu = 0;
	int rc, slot;

	if (u == NULL)
		return -ENOMEM;
	u->ethdev = conf->ethdev;
	u->learning = conf->learning;
	sw->any_learning |= conf->learning;
	u->fdb_cache.gen = vsw_fdb_gen(sw->fdb) - 1;
	rc = ethdev_start(sw, u, conf->offload);
	if (rc != 0)
		goto close_ethdev;
	rc = slot = vsw_slot_alloc(sw);
	if (slot < 0)
		goto close_ethdev;
	rte_eth_dev_get_mtu(conf->ethdev, &mtu);
	rte_eth_macaddr_get(conf->ethdev, &mac);
	u->dst = (struct vsw_dst){ .slot = (uint16_t)slot, .port = port };
	u->lcore = sw->next_lcore++ % sw->nb_lcores;
	port->uplink = u;
	port->mtu = mtu;
	port->max_frame = mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	port->mac = vsw_mac_u64(mac.addr_bytes);
	return 0;

close_ethdev:
	ethdev_close(u);
	rte_free(u);
	return rc;
}

void
vsw_uplink_offloads(const struct vsw_port *port, bool *sums, bool *cuts)
{
	*sums = port->uplink->sums;
	*cuts = port->uplink->cuts;
}

void
vsw_uplink_stop(struct vsw *sw, struct vsw_port *port)
{
	vsw_slot_free(sw, port->uplink->dst.slot);
	ethdev_close(port->uplink);
	rte_free(port->uplink);
	port->uplink = NULL;
}
