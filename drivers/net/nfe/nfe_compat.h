/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Differences between the versions of DPDK that the driver builds against, 22.11 to 26.07. The
 * driver is written for the newest; usertools/check-in-tree builds it in the tree of each.
 */
#ifndef NFE_COMPAT_H
#define NFE_COMPAT_H

#include <ethdev_driver.h>
#include <rte_version.h>
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#include <rte_stdatomic.h>
#endif

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

static inline void
nfe_rss_algorithm_get(struct rte_eth_rss_conf *conf)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	conf->algorithm = RTE_ETH_HASH_FUNCTION_TOEPLITZ;
#else
	RTE_SET_USED(conf);
#endif
}

/* The compiler's atomics by DPDK's names, which came with 23.11. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
#define RTE_ATOMIC(type) type
#define rte_memory_order_relaxed __ATOMIC_RELAXED
#define rte_memory_order_acquire __ATOMIC_ACQUIRE
#define rte_memory_order_release __ATOMIC_RELEASE
#define rte_memory_order_acq_rel __ATOMIC_ACQ_REL
#define rte_atomic_load_explicit(ptr, order) __atomic_load_n(ptr, order)
#define rte_atomic_store_explicit(ptr, value, order) __atomic_store_n(ptr, value, order)
#define rte_atomic_exchange_explicit(ptr, value, order) __atomic_exchange_n(ptr, value, order)
#define rte_atomic_fetch_add_explicit(ptr, value, order) __atomic_fetch_add(ptr, value, order)
#define rte_atomic_fetch_sub_explicit(ptr, value, order) __atomic_fetch_sub(ptr, value, order)
#endif

/* Log lines end by themselves since 24.03. */
#ifndef RTE_LOG_LINE
#define RTE_LOG_LINE(level, type, ...)                                       \
	RTE_LOG(level, type, RTE_FMT(RTE_FMT_HEAD(__VA_ARGS__, ) "\n",       \
				     RTE_FMT_TAIL(__VA_ARGS__, )))
#endif

/* The PCI device of a port. 26.07 has no RTE_ETH_DEV_TO_PCI() any more. */
#ifdef RTE_CLASS_TO_BUS_DEVICE
#define nfe_pci_device(dev) RTE_CLASS_TO_BUS_DEVICE(dev, struct rte_pci_device)
#else
#define nfe_pci_device(dev) RTE_ETH_DEV_TO_PCI(dev)
#endif

#endif /* NFE_COMPAT_H */
