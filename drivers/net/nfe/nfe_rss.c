/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * RSS: the device hashes and spreads (specification 7.11), the driver tells it how. Queue i is
 * channel i + 1; a queue that is stopped has no channel that runs, so the device spreads its flows
 * over the others until it is started again.
 */
#include <errno.h>
#include <string.h>

#include "nfe_ethdev.h"

/* The customary key, so that hashes are those of other drivers. */
static const uint8_t default_key[NFE_RSS_KEY_LEN] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
	0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
	0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static const struct {
	uint64_t hf; /* RTE_ETH_RSS_* */
	uint32_t type;
} types[] = {
	{ RTE_ETH_RSS_IPV4, NFE_RSS_IPV4 },
	{ RTE_ETH_RSS_NONFRAG_IPV4_TCP, NFE_RSS_IPV4_TCP },
	{ RTE_ETH_RSS_NONFRAG_IPV4_UDP, NFE_RSS_IPV4_UDP },
	{ RTE_ETH_RSS_IPV6, NFE_RSS_IPV6 },
	{ RTE_ETH_RSS_NONFRAG_IPV6_TCP, NFE_RSS_IPV6_TCP },
	{ RTE_ETH_RSS_NONFRAG_IPV6_UDP, NFE_RSS_IPV6_UDP },
};

static bool
has_rss(const struct nfe_port *port)
{
	return (port->info.features & NFE_F_RSS) != 0; /* not by port->h: also in a secondary */
}

void
nfe_rss_info(const struct nfe_port *port, struct rte_eth_dev_info *info)
{
	if (!has_rss(port))
		return;
	info->reta_size = NFE_RSS_RETA_SIZE;
	info->hash_key_size = NFE_RSS_KEY_LEN;
	for (unsigned int i = 0; i < RTE_DIM(types); i++)
		info->flow_type_rss_offloads |= types[i].hf;
	info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
	nfe_rss_algorithm(info);
}

static uint32_t
types_of(uint64_t hf)
{
	uint32_t wanted = 0;

	for (unsigned int i = 0; i < RTE_DIM(types); i++)
		if (hf & types[i].hf)
			wanted |= types[i].type;
	return wanted;
}

static uint64_t
hf_of(uint32_t wanted)
{
	uint64_t hf = 0;

	for (unsigned int i = 0; i < RTE_DIM(types); i++)
		if (wanted & types[i].type)
			hf |= types[i].hf;
	return hf;
}

/* On an error the device may have taken part of the table: then port->rss_partly. */
static int
apply(struct nfe_port *port, const struct nfeh_rss *rss)
{
	int ret;

	if (!port->rss_partly && memcmp(rss, &port->rss, sizeof(*rss)) == 0)
		return 0;
	ret = nfeh_rss(port->h, rss);
	port->rss_partly = ret < 0;
	if (ret < 0)
		NFE_LOG(ERR, "%s: RSS refused: %s", port->name, strerror(-ret));
	else
		port->rss = *rss;
	return ret;
}

static int
take_conf(const struct nfe_port *port, const struct rte_eth_rss_conf *conf, struct nfeh_rss *rss)
{
	if (conf->rss_key != NULL && conf->rss_key_len != NFE_RSS_KEY_LEN) {
		NFE_LOG(ERR, "%s: RSS key of %u bytes, not %u", port->name, conf->rss_key_len,
			NFE_RSS_KEY_LEN);
		return -EINVAL;
	}
	if (conf->rss_key != NULL)
		memcpy(rss->key, conf->rss_key, NFE_RSS_KEY_LEN);
	rss->types = types_of(conf->rss_hf);
	return 0;
}

/* Nothing of an earlier configuration stays: key and table are as after the first one. */
int
nfe_rss_configure(struct rte_eth_dev *dev)
{
	const struct rte_eth_conf *conf = &dev->data->dev_conf;
	struct nfe_port *port = nfe_port(dev);
	struct nfeh_rss rss = { 0 };
	int ret;

	if (!has_rss(port))
		return 0;
	if (!(conf->rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG) || dev->data->nb_rx_queues == 0)
		return apply(port, &rss);
	memcpy(rss.key, default_key, sizeof(rss.key));
	ret = take_conf(port, &conf->rx_adv_conf.rss_conf, &rss);
	if (ret < 0)
		return ret;
	if (conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH)
		rss.flags |= NFE_RSS_F_TELL;
	for (uint16_t i = 0; i < NFE_RSS_RETA_SIZE; i++)
		rss.reta[i] = i % dev->data->nb_rx_queues + 1;
	return apply(port, &rss);
}

static bool
is_on(const struct rte_eth_dev *dev)
{
	return has_rss(nfe_port(dev)) &&
	       (dev->data->dev_conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG);
}

int
nfe_rss_hash_update(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf)
{
	struct nfe_port *port = nfe_port(dev);
	struct nfeh_rss rss = port->rss;
	int ret = is_on(dev) ? take_conf(port, conf, &rss) : -ENOTSUP;

	return ret < 0 ? ret : apply(port, &rss);
}

int
nfe_rss_hash_conf_get(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf)
{
	const struct nfe_port *port = nfe_port(dev);

	if (!has_rss(port))
		return -ENOTSUP;
	if (conf->rss_key != NULL && conf->rss_key_len >= NFE_RSS_KEY_LEN)
		memcpy(conf->rss_key, port->rss.key, NFE_RSS_KEY_LEN);
	conf->rss_key_len = NFE_RSS_KEY_LEN;
	conf->rss_hf = hf_of(port->rss.types);
	nfe_rss_algorithm_get(conf);
	return 0;
}

int
nfe_rss_reta_update(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	struct nfe_port *port = nfe_port(dev);
	struct nfeh_rss rss = port->rss;

	if (!is_on(dev))
		return -ENOTSUP;
	if (size != NFE_RSS_RETA_SIZE) {
		NFE_LOG(ERR, "%s: RSS table of %u entries, not %u", port->name, size,
			NFE_RSS_RETA_SIZE);
		return -EINVAL;
	}
	for (uint16_t i = 0; i < size; i++) {
		const struct rte_eth_rss_reta_entry64 *group = &reta[i / RTE_ETH_RETA_GROUP_SIZE];
		uint16_t at = i % RTE_ETH_RETA_GROUP_SIZE;

		if (!(group->mask >> at & 1))
			continue;
		if (group->reta[at] >= dev->data->nb_rx_queues)
			return -EINVAL;
		rss.reta[i] = group->reta[at] + 1;
	}
	return apply(port, &rss);
}

int
nfe_rss_reta_query(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	const struct nfe_port *port = nfe_port(dev);

	if (!is_on(dev))
		return -ENOTSUP;
	if (size != NFE_RSS_RETA_SIZE)
		return -EINVAL;
	for (uint16_t i = 0; i < size; i++) {
		struct rte_eth_rss_reta_entry64 *group = &reta[i / RTE_ETH_RETA_GROUP_SIZE];
		uint16_t at = i % RTE_ETH_RETA_GROUP_SIZE;

		if (group->mask >> at & 1)
			group->reta[at] = port->rss.reta[i] - 1;
	}
	return 0;
}
