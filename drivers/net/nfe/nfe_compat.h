/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Differences between the versions of DPDK that the driver builds against, 22.11 to 25.11. The
 * driver is written for the newest; usertools/check-in-tree builds it in the tree of each.
 */
#ifndef NFE_COMPAT_H
#define NFE_COMPAT_H

#include <ethdev_driver.h>
#include <rte_version.h>

#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
typedef int nfe_rx_count_t;
#define nfe_queue_stats eth_queue_stats
#define NFE_STATS_GET nfe_stats_get
#else
typedef uint32_t nfe_rx_count_t;
#define nfe_queue_stats rte_eth_stats /* counters of queues are part of it */
#define NFE_STATS_GET nfe_stats_get_in_one
#endif

int nfe_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats,
		  struct nfe_queue_stats *queues);

#if RTE_VERSION < RTE_VERSION_NUM(25, 11, 0, 0)
static inline int
nfe_stats_get_in_one(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	return nfe_stats_get(dev, stats, stats);
}
#endif

/* Hash algorithms are named since 23.11. */
static inline void
nfe_rss_algorithm(struct rte_eth_dev_info *info)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	info->rss_algo_capa = RTE_ETH_HASH_ALGO_CAPA_MASK(DEFAULT) |
			      RTE_ETH_HASH_ALGO_CAPA_MASK(TOEPLITZ);
#else
	RTE_SET_USED(info);
#endif
}

#endif /* NFE_COMPAT_H */
