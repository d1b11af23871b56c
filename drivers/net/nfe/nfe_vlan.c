/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * VLAN offloads: the filter is the device's (specification 7.12), tags are stripped and inserted
 * here, see nfe_vlan.h. Strip may be switched while the queue's data thread runs.
 */
#include <errno.h>
#include <string.h>

#include "nfe_ethdev.h"
#include "nfe_vlan.h"

void
nfe_vlan_strip(struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	for (uint16_t i = 0; i < nb_pkts; i++)
		if (pkts[i]->data_len >= NFE_MIN_FRAME + NFE_VLAN_TAG)
			rte_vlan_strip(pkts[i]);
}

static void
set_strip(struct nfe_rxq *q, bool on)
{
	if (q != NULL)
		rte_atomic_store_explicit(&q->vlan_strip, on, rte_memory_order_relaxed);
}

void
nfe_vlan_strip_queue_set(struct rte_eth_dev *dev, uint16_t id, int on)
{
	set_strip(dev->data->rx_queues[id], on != 0);
}

int
nfe_vlan_filter_set(struct rte_eth_dev *dev, uint16_t vlan, int on)
{
	struct nfe_port *port = nfe_port(dev);
	int ret = nfeh_vlan(port->h, vlan, on != 0);

	if (ret < 0)
		NFE_LOG(ERR, "%s: VLAN %u not %s: %s", port->name, vlan, on ? "added" : "removed",
			strerror(-ret));
	return ret;
}

int
nfe_vlan_offload_set(struct rte_eth_dev *dev, int mask)
{
	uint64_t offloads = dev->data->dev_conf.rxmode.offloads;

	if (mask & RTE_ETH_VLAN_STRIP_MASK)
		for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
			set_strip(dev->data->rx_queues[i],
				  offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	if (!(mask & RTE_ETH_VLAN_FILTER_MASK))
		return 0;
	return nfe_rx_mode_set(dev, NFE_RX_VLAN_FILTER,
			       offloads & RTE_ETH_RX_OFFLOAD_VLAN_FILTER ? NFE_RX_VLAN_FILTER : 0);
}
