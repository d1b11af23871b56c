/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Configuration of a running or stopped port: MAC addresses, receive mode, MTU, link. Each is one
 * request on the control channel (specification 7); the host end remembers what succeeded and
 * replays it. What the device was told already is not sent again: ethdev repeats all of it at each
 * start.
 */
#include <errno.h>
#include <string.h>

#include "nfe_ethdev.h"

int
nfe_link_update(struct rte_eth_dev *dev, int wait __rte_unused)
{
	struct nfe_port *port = nfe_port(dev);
	struct rte_eth_link link = {
		.link_speed = nfeh_info(port->h)->speed_mbps,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
		.link_status = RTE_ETH_LINK_DOWN,
	};

	if (rte_atomic_load_explicit(&port->running, rte_memory_order_acquire) &&
	    rte_atomic_load_explicit(&port->link_up, rte_memory_order_acquire))
		link.link_status = RTE_ETH_LINK_UP;
	return rte_eth_linkstatus_set(dev, &link);
}

static int
mac_request(struct nfe_port *port, const struct rte_ether_addr *mac, enum nfe_mac_action action)
{
	static const char *const verb[] = {
		[NFE_MAC_ADD] = "add", [NFE_MAC_REMOVE] = "remove", [NFE_MAC_SET] = "set",
	};
	int ret = nfeh_mac(port->h, mac->addr_bytes, action);

	if (ret < 0)
		NFE_LOG(ERR, "%s: can't %s MAC " RTE_ETHER_ADDR_PRT_FMT ": %s", port->name,
			verb[action], RTE_ETHER_ADDR_BYTES(mac), strerror(-ret));
	return ret;
}

int
nfe_mac_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
	struct nfe_port *port = nfe_port(dev);
	int ret;

	if (rte_is_same_ether_addr(mac, &port->mac))
		return 0;
	ret = mac_request(port, mac, NFE_MAC_SET);
	if (ret == 0)
		port->mac = *mac;
	return ret;
}

int
nfe_mac_add(struct rte_eth_dev *dev, struct rte_ether_addr *mac, uint32_t idx,
	    uint32_t pool __rte_unused)
{
	/* At a restart ethdev adds again what its list has; the device still knows it. */
	if (rte_is_same_ether_addr(mac, &dev->data->mac_addrs[idx]))
		return 0;
	return mac_request(nfe_port(dev), mac, NFE_MAC_ADD);
}

void
nfe_mac_remove(struct rte_eth_dev *dev, uint32_t idx)
{
	mac_request(nfe_port(dev), &dev->data->mac_addrs[idx], NFE_MAC_REMOVE);
}

static bool
mac_in_list(const struct rte_ether_addr *mac, const struct rte_ether_addr *list, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++)
		if (rte_is_same_ether_addr(mac, &list[i]))
			return true;
	return false;
}

/* Only the differences travel. On an error the list is what the device has. */
int
nfe_mc_list_set(struct rte_eth_dev *dev, struct rte_ether_addr *list, uint32_t nb)
{
	struct nfe_port *port = nfe_port(dev);
	uint16_t kept = 0;
	int ret = 0;

	if (nb > NFE_MAX_MC_MACS) {
		NFE_LOG(ERR, "%s: %u multicast addresses, limit %u", port->name, nb,
			NFE_MAX_MC_MACS);
		return -ENOSPC;
	}
	for (uint16_t i = 0; i < port->nb_mc; i++) {
		if (mac_in_list(&port->mc[i], list, nb) ||
		    mac_request(port, &port->mc[i], NFE_MAC_REMOVE) < 0)
			port->mc[kept++] = port->mc[i];
	}
	port->nb_mc = kept;
	for (uint32_t i = 0; i < nb && ret == 0; i++) {
		if (mac_in_list(&list[i], port->mc, port->nb_mc))
			continue;
		ret = port->nb_mc == NFE_MAX_MC_MACS ? -ENOSPC :
						       mac_request(port, &list[i], NFE_MAC_ADD);
		if (ret == 0)
			port->mc[port->nb_mc++] = list[i];
	}
	return ret;
}

int
nfe_rx_mode_set(struct rte_eth_dev *dev, uint32_t clear, uint32_t set)
{
	struct nfe_port *port = nfe_port(dev);
	uint32_t mode = (port->rx_mode & ~clear) | set;
	int ret;

	if (mode == port->rx_mode)
		return 0;
	ret = nfeh_rx_mode(port->h, mode);
	if (ret < 0) {
		NFE_LOG(ERR, "%s: receive mode%s%s%s%s refused: %s", port->name,
			mode & NFE_RX_PROMISC ? " promiscuous" : "",
			mode & NFE_RX_ALLMULTI ? " all-multicast" : "",
			mode & NFE_RX_VLAN_FILTER ? " VLAN filter" : "",
			mode == 0 ? " normal" : "", strerror(-ret));
		return ret;
	}
	port->rx_mode = mode;
	return 0;
}

int
nfe_promisc_on(struct rte_eth_dev *dev)
{
	return nfe_rx_mode_set(dev, 0, NFE_RX_PROMISC);
}

int
nfe_promisc_off(struct rte_eth_dev *dev)
{
	return nfe_rx_mode_set(dev, NFE_RX_PROMISC, 0);
}

int
nfe_allmulti_on(struct rte_eth_dev *dev)
{
	return nfe_rx_mode_set(dev, 0, NFE_RX_ALLMULTI);
}

int
nfe_allmulti_off(struct rte_eth_dev *dev)
{
	return nfe_rx_mode_set(dev, NFE_RX_ALLMULTI, 0);
}

/* Does the longest frame of this MTU fit into what each queue may use for one? */
int
nfe_mtu_check_buffers(struct rte_eth_dev *dev, uint16_t mtu)
{
	uint32_t frame = mtu + NFE_L2_OVERHEAD;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		const struct nfe_rxq *q = dev->data->rx_queues[i];

		if (q == NULL || frame <= q->max_segs * q->buf_size)
			continue;
		if (q->max_segs == 1)
			NFE_LOG(ERR, "%s: rx queue %u: MTU %u needs scatter or buffers of %u "
				"bytes, these have %u", nfe_port(dev)->name, i, mtu, frame,
				q->buf_size);
		else
			NFE_LOG(ERR, "%s: rx queue %u: MTU %u needs %u bytes, limit %u buffers of "
				"%u", nfe_port(dev)->name, i, mtu, frame, q->max_segs, q->buf_size);
		return -EINVAL;
	}
	return 0;
}

int
nfe_mtu_apply(struct nfe_port *port, uint16_t mtu)
{
	int ret;

	if (mtu == port->mtu)
		return 0;
	ret = nfeh_mtu(port->h, mtu);
	if (ret < 0) {
		NFE_LOG(ERR, "%s: MTU %u refused, limit %u: %s", port->name, mtu,
			nfeh_info(port->h)->max_mtu, strerror(-ret));
		return ret;
	}
	port->mtu = mtu;
	return 0;
}

int
nfe_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	if (dev->data->dev_started && nfe_mtu_check_buffers(dev, mtu) < 0)
		return -EINVAL;
	return nfe_mtu_apply(nfe_port(dev), mtu);
}

int
nfe_fw_version_get(struct rte_eth_dev *dev, char *text, size_t size)
{
	uint32_t abi = nfe_port(dev)->info.abi;
	int len = snprintf(text, size, "NFE ABI %u.%u", abi >> 16, abi & 0xffff);

	if (len < 0)
		return -EINVAL;
	return (size_t)len < size ? 0 : len + 1;
}

/* All registers of page 0; their offset is 8 times their place. */
int
nfe_regs_get(struct rte_eth_dev *dev, struct rte_dev_reg_info *info)
{
	const uint32_t nb = NFE_REG_END / 8;
	uint32_t value[NFE_REG_END / 8];
	int ret;

	info->width = sizeof(uint32_t);
	info->version = nfeh_info(nfe_port(dev)->h)->abi;
	if (info->data == NULL) {
		info->length = nb;
		return 0;
	}
	if (info->offset >= nb || (info->length != 0 && info->length > nb - info->offset))
		return -EINVAL;
	ret = nfeh_registers(nfe_port(dev)->h, value, nb);
	if (ret < 0)
		return ret;
	if (info->length == 0)
		info->length = nb - info->offset;
	memcpy(info->data, &value[info->offset], info->length * sizeof(value[0]));
	return 0;
}
