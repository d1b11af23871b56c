/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * PMD net_nfe: set-up, configure, close of a port, whatever it is attached by.
 *
 * Called by EAL and by the application through ethdev, one call at a time per port. The port's
 * private data belongs to ethdev and lives until rte_eth_dev_release_port(); the function stays
 * attached from probe to close.
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "nfe_args.h"
#include "nfe_ethdev.h"
#include "nfe_mp.h"

#define NFE_MIN_DESC 16u /* tx_room(): twice the longest message by reference */

RTE_LOG_REGISTER_DEFAULT(nfe_logtype, NOTICE);

#define NFE_RX_CKSUMS (RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
#define NFE_CKSUMS                                                                                 \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM | \
	 RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
/* What the usual transmit burst does not look for. */
#define NFE_TX_HINTS (NFE_CKSUMS | RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_VLAN_INSERT)

/* 4.8. In copy mode frames change their mbufs, and large ones have no room. */
static uint64_t
tx_hints_capa(const struct nfe_port *port)
{
	uint64_t features = port->info.features;

	if (port->share != NULL || !(features & NFE_F_CSUM_TO_DEVICE))
		return 0;
	return NFE_CKSUMS | (features & NFE_F_GSO_TO_DEVICE ? RTE_ETH_TX_OFFLOAD_TCP_TSO : 0);
}

int
nfe_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	const struct nfe_port *port = nfe_port(dev);
	const struct nfeh_info *nfe = &port->info;
	uint32_t max_desc = RTE_MIN(1u << nfe->queue_log2_max, NFE_MAX_DESC);
	uint32_t min_desc = RTE_MAX(1u << nfe->queue_log2_min, NFE_MIN_DESC);

	info->max_rx_queues = port->nb_channels;
	info->max_tx_queues = port->nb_channels;
	info->max_mac_addrs = NFE_MAX_MACS;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = RTE_MIN(nfe->max_mtu, UINT16_MAX - NFE_L2_OVERHEAD);
	info->max_rx_pktlen = RTE_MIN(nfe->max_frame, info->max_mtu + NFE_L2_OVERHEAD);
	info->min_rx_bufsize = NFE_MSG_SIZE;
	info->speed_capa = rte_eth_speed_bitflag(nfe->speed_mbps, RTE_ETH_LINK_FULL_DUPLEX);
	if (port->share == NULL) /* else mbufs of two pools are freed */
		info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (nfe->features & NFE_F_MULTI_SEG) {
		info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
		info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	}
	info->tx_offload_capa |= tx_hints_capa(port) | RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	if (nfe->features & NFE_F_VLAN_FILTER)
		info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
	if (nfe->features & NFE_F_CSUM_OK)
		info->rx_offload_capa |= NFE_RX_CKSUMS;
	nfe_rss_info(port, info);
	info->dev_capa = RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP |
			 RTE_ETH_DEV_CAPA_RUNTIME_TX_QUEUE_SETUP;
	info->rx_desc_lim.nb_max = max_desc;
	info->rx_desc_lim.nb_min = min_desc;
	info->rx_desc_lim.nb_align = min_desc;
	info->tx_desc_lim = info->rx_desc_lim;
	info->tx_desc_lim.nb_seg_max = nfe->max_segs;
	info->tx_desc_lim.nb_mtu_seg_max = nfe->max_segs;
	info->default_rxportconf.ring_size = RTE_MIN(max_desc, NFE_DEFAULT_DESC);
	info->default_txportconf.ring_size = RTE_MIN(max_desc, NFE_DEFAULT_DESC);
	info->default_rxportconf.nb_queues = 1;
	info->default_txportconf.nb_queues = 1;
	return 0;
}

void
nfe_select_bursts(struct rte_eth_dev *dev)
{
	const struct nfe_port *port = nfe_port(dev);
	uint64_t tx_offloads = dev->data->dev_conf.txmode.offloads;

	if (port->share != NULL) {
		dev->rx_pkt_burst = nfe_rx_burst_copy;
		dev->tx_pkt_burst = nfe_tx_burst_copy;
		dev->tx_pkt_prepare = NULL;
		return;
	}
	dev->rx_pkt_burst = nfe_rx_burst;
	dev->tx_pkt_burst = tx_offloads & NFE_TX_HINTS ? nfe_tx_burst_hints : nfe_tx_burst;
	dev->tx_pkt_prepare = nfe_tx_prepare;
}

static int
nfe_configure(struct rte_eth_dev *dev)
{
	struct rte_eth_dev_data *data = dev->data;
	int ret;

	if (nfe_port(dev)->share != NULL)
		nfe_share_divide(nfe_port(dev), data->nb_rx_queues + data->nb_tx_queues);
	data->scattered_rx = !!(data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER);
	nfe_select_bursts(dev);
	ret = nfe_intr_setup(dev);
	if (ret == 0)
		ret = nfe_rss_configure(dev);
	if (ret == 0)
		ret = nfe_vlan_offload_set(dev, RTE_ETH_VLAN_FILTER_MASK);
	if (ret < 0)
		return ret;
	return nfe_chan_setup(nfe_port(dev), RTE_MAX(data->nb_rx_queues, data->nb_tx_queues));
}

/* Detaching resets the function: nothing of ours is in use when memory is freed (rule 12). */
int
nfe_close(struct rte_eth_dev *dev)
{
	struct nfe_port *port = nfe_port(dev);

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return nfe_secondary_close(dev);
	if (port->h == NULL)
		return 0;
	rte_atomic_store_explicit(&port->probed, 0, rte_memory_order_release);
	nfe_removal_unwatch(port);
	if (rte_atomic_exchange_explicit(&port->running, 0, rte_memory_order_acq_rel) != 0)
		nfe_mp_sync(port); /* closed without a stop */
	nfe_mp_leave(port);
	nfe_mem_stop(port);
	nfeh_detach(port->h);
	port->h = NULL;
	for (uint16_t i = 0; i < NFE_MAX_QUEUES; i++) {
		if (port->rxq[i] != NULL) /* closed without a stop that succeeded */
			nfe_rx_queue_reset(port->rxq[i]);
		if (port->txq[i] != NULL)
			nfe_tx_queue_reset(port->txq[i]);
		port->rxq[i] = NULL;
		port->txq[i] = NULL;
	}
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		nfe_rx_queue_release(dev, i);
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		nfe_tx_queue_release(dev, i);
	nfe_chan_free(port);
	nfe_intr_free(dev);
	nfe_mem_free(port);
	pthread_mutex_destroy(&port->lock);
	return 0;
}

static const struct eth_dev_ops nfe_ops = {
	.dev_configure = nfe_configure,
	.dev_start = nfe_start,
	.dev_stop = nfe_stop,
	.dev_close = nfe_close,
	.dev_reset = nfe_dev_reset,
	.is_removed = nfe_is_removed,
	.dev_infos_get = nfe_infos_get,
	.link_update = nfe_link_update,
	.promiscuous_enable = nfe_promisc_on,
	.promiscuous_disable = nfe_promisc_off,
	.allmulticast_enable = nfe_allmulti_on,
	.allmulticast_disable = nfe_allmulti_off,
	.mac_addr_set = nfe_mac_set,
	.mac_addr_add = nfe_mac_add,
	.mac_addr_remove = nfe_mac_remove,
	.set_mc_addr_list = nfe_mc_list_set,
	.mtu_set = nfe_mtu_set,
	.vlan_filter_set = nfe_vlan_filter_set,
	.vlan_offload_set = nfe_vlan_offload_set,
	.vlan_strip_queue_set = nfe_vlan_strip_queue_set,
	.rss_hash_update = nfe_rss_hash_update,
	.rss_hash_conf_get = nfe_rss_hash_conf_get,
	.reta_update = nfe_rss_reta_update,
	.reta_query = nfe_rss_reta_query,
	.stats_get = NFE_STATS_GET,
	.stats_reset = nfe_stats_reset,
	.xstats_get = nfe_xstats_get,
	.xstats_get_names = nfe_xstats_get_names,
	.xstats_reset = nfe_stats_reset,
	.fw_version_get = nfe_fw_version_get,
	.get_reg = nfe_regs_get,
	.rx_queue_start = nfe_rx_queue_start,
	.rx_queue_stop = nfe_rx_queue_stop,
	.tx_queue_start = nfe_tx_queue_start,
	.tx_queue_stop = nfe_tx_queue_stop,
	.rx_queue_intr_enable = nfe_rx_intr_enable,
	.rx_queue_intr_disable = nfe_rx_intr_disable,
	.get_monitor_addr = nfe_monitor_addr,
	.rx_queue_setup = nfe_rx_queue_setup,
	.rx_queue_release = nfe_rx_queue_release,
	.tx_queue_setup = nfe_tx_queue_setup,
	.tx_queue_release = nfe_tx_queue_release,
	.tx_done_cleanup = nfe_tx_done_cleanup,
	.rxq_info_get = nfe_rxq_info_get,
	.txq_info_get = nfe_txq_info_get,
	.rx_burst_mode_get = nfe_burst_mode_get,
	.tx_burst_mode_get = nfe_burst_mode_get,
};

static void
host_log(void *ctx __rte_unused, int level, const char *line)
{
	if (level == 0)
		NFE_LOG(ERR, "%s", line);
	else if (level == 1)
		NFE_LOG(WARNING, "%s", line);
	else
		NFE_LOG(INFO, "%s", line);
}

static int
attach(struct nfe_port *port, const struct nfe_args *args)
{
	struct nfeh_conf conf = {
		.name = port->name,
		.address = args->address,
		.features = NFE_F_INLINE_LONG | NFE_F_MULTI_SEG | NFE_F_CSUM_TO_DEVICE |
			    NFE_F_GSO_TO_DEVICE | NFE_F_CSUM_OK | NFE_F_RSS | NFE_F_VLAN_FILTER,
		.required = NFE_F_EVENT_IDX,
		.first_index = args->first_index,
		.mem_bytes = args->share_kib * (size_t)1024,
		.ops = &nfe_client_ops,
		.ctx = port,
		.log = host_log,
	};
	uint32_t offered;
	int ret = nfeh_attach(&conf, &port->h); /* logs what is wrong */

	if (ret < 0)
		return ret;
	port->info = *nfeh_info(port->h);
	offered = RTE_MIN(port->info.max_channels, NFE_MAX_QUEUES);
	if (args->queues > offered) {
		NFE_LOG(ERR, "%s: " NFE_ARG_QUEUES "=%u, the device offers %u", port->name,
			args->queues, offered);
		nfeh_detach(port->h);
		port->h = NULL;
		return -EINVAL;
	}
	port->rx_mode = NFE_RX_ALLMULTI; /* 7.7, after RESET; ethdev wants it off at the start */
	port->nb_channels = args->queues ? args->queues : offered;
	return 0;
}

/* The port's address: the device's, or mac=. */
static int
init_mac(struct rte_eth_dev *dev, const struct nfe_args *args)
{
	struct nfe_port *port = nfe_port(dev);
	struct rte_ether_addr mac = args->mac;

	memcpy(port->mac.addr_bytes, nfeh_info(port->h)->mac, RTE_ETHER_ADDR_LEN);
	if (!rte_is_zero_ether_addr(&mac) && nfe_mac_set(dev, &mac) < 0) {
		NFE_LOG(ERR, "%s: " NFE_ARG_MAC "=" RTE_ETHER_ADDR_PRT_FMT " is refused",
			port->name, RTE_ETHER_ADDR_BYTES(&mac));
		return -EPERM;
	}
	if (dev->data->mac_addrs == NULL) /* else this is a reset */
		dev->data->mac_addrs = rte_zmalloc_socket("nfe_mac", NFE_MAX_MACS * sizeof(mac), 0,
							  dev->data->numa_node);
	if (dev->data->mac_addrs == NULL)
		return -ENOMEM;
	dev->data->mac_addrs[0] = port->mac;
	return 0;
}

int
nfe_port_init(struct rte_eth_dev *dev, const struct nfe_args *args)
{
	struct nfe_port *port = nfe_port(dev);
	int ret;

	port->dev = dev;
	port->port_id = dev->data->port_id;
	port->first_index = args->first_index;
	port->inline_len = args->inline_len ? args->inline_len : NFE_INLINE_SHORT;
	port->pci = args->pci;
	port->by_iova = args->by_iova;
	port->args = *args;
	port->iova_base = args->iova_base;
	snprintf(port->name, sizeof(port->name), "%s", dev->data->name);
	pthread_mutex_init(&port->lock, NULL);
	ret = attach(port, args);
	if (ret < 0)
		goto destroy_lock;
	ret = nfe_mem_start(port);
	if (ret < 0)
		goto detach;
	ret = init_mac(dev, args);
	if (ret < 0)
		goto stop_mem;
	dev->data->dev_flags |= RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	dev->dev_ops = &nfe_ops;
	nfe_select_bursts(dev);
	dev->rx_queue_count = nfe_rx_queue_count;
	dev->rx_descriptor_status = nfe_rx_descriptor_status;
	dev->tx_descriptor_status = nfe_tx_descriptor_status;
	nfe_stats_reset(dev);
	nfe_link_update(dev, 0);
	nfe_removal_watch(port);
	nfe_mp_serve(port);
	rte_atomic_store_explicit(&port->probed, 1, rte_memory_order_release);
	return 0;

stop_mem:
	nfe_mem_stop(port);
detach:
	nfeh_detach(port->h);
	nfe_mem_free(port);
destroy_lock:
	pthread_mutex_destroy(&port->lock);
	return ret;
}

int
nfe_probe_check(const char *name)
{
	int ret = nfeh_gate_init();

	if (ret < 0)
		NFE_LOG(ERR, "%s: the kernel has no membarrier(PRIVATE_EXPEDITED): %s", name,
			strerror(-ret));
	return ret;
}
