/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The port of the net_nfe PMD: one function, attached through lib/nfe_host.
 *
 * Files: nfe_vdev.c, nfe_pci.c probe · nfe_args.c device arguments · nfe_bus_pci.c a PCI function
 * as a bus · nfe_ethdev.c set-up, configure, close · nfe_start.c start and stop of port and queues
 * · nfe_chan.c channels and replay · nfe_reset.c reset and removal · nfe_intr.c receive
 * interrupts · nfe_queue.c queue set-up · nfe_tx.c, nfe_rx.c bursts · nfe_ctl.c MAC, modes, MTU,
 * link · nfe_rss.c, nfe_vlan.c, nfe_tx_hints.c offloads · nfe_stats.c · nfe_zone.c shared memory of
 * queues · nfe_mem.c EAL memory as regions, with nfe_map.c, nfe_run.c, nfe_arena.c · nfe_mp.c,
 * nfe_secondary.c secondary processes · nfe_copy.c copy mode, nfe_share.c its memory.
 *
 * Threads: ethdev calls come one at a time per port; bursts from one thread per queue; EAL memory
 * events from any thread; the host end's control thread calls freeze, indices, thaw and link.
 * Lock order: mem, then nfeh's own, then port->lock. No call into nfeh under port->lock.
 */
#ifndef NFE_ETHDEV_H
#define NFE_ETHDEV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <ethdev_driver.h>
#include <rte_ether.h>

#include <nfeh.h>

#include "nfe_arena.h"
#include "nfe_args.h"
#include "nfe_compat.h"
#include "nfe_copy.h"
#include "nfe_logs.h"
#include "nfe_mem.h"
#include "nfe_rxtx.h"
#include "nfe_share.h"
#include "nfe_zone.h"

#define NFE_MAX_QUEUES 16u
#define NFE_MAX_MACS 32u      /* the default one included; the device may take fewer */
#define NFE_MAX_MC_MACS 32u
#define NFE_L2_OVERHEAD 18u   /* bytes: Ethernet header and one VLAN tag */
#define NFE_MAX_DESC 32768u
#define NFE_DEFAULT_DESC 512u
#define NFE_GATE_TIMEOUT_MS 1000u

/* In EAL's memory: secondary processes read it, but must not follow pointers that only the primary
 * can: h, mem, share, dev, arena.fd. */
struct nfe_port {
	struct nfeh *h;
	RTE_ATOMIC(struct nfe_map *) map; /* replaced by nfe_mem.c, read by data threads */
	struct nfe_arena arena; /* where it lies; not in copy mode */
	struct nfeh_info info;
	uint16_t port_id;
	struct nfe_mem *mem;
	struct nfe_share *share; /* copy mode; else NULL */
	struct rte_eth_dev *dev;
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t nb_channels; /* usable: what the device has, or queues= */
	uint32_t inline_len; /* bytes; longer frames go by reference */
	uint32_t first_index; /* of all queues; tests start near the wrap */
	bool rx_intr; /* channels have vectors, receive queues interrupt */
	bool pci;     /* EAL has its interrupts */
	bool by_iova; /* regions are what is contiguous for the bus, and need no files */
	struct nfe_args args; /* for dev_reset */
	uint64_t iova_base; /* by_iova: of the bus, where physical address 0 is */

	RTE_ATOMIC(uint32_t) link_up; /* of the function */
	RTE_ATOMIC(uint32_t) probed;  /* the ethdev may be told of link changes */
	RTE_ATOMIC(uint32_t) running; /* the port is started: its link may be up */
	RTE_ATOMIC(uint32_t) removed; /* the PCI function was taken away */
	uint32_t reset_asked; /* in this outage; the host end's control thread */

	/* Status blocks, and send queues of channels that only receive */
	struct nfe_zone chan;
	uint32_t chan_stride; /* bytes per channel */

	pthread_mutex_t lock; /* guards the following */
	bool frozen;          /* a replay is under way, all gates are closed */
	uint32_t held;        /* channel whose gates stay closed, 0: none */
	struct nfe_rxq *rxq[NFE_MAX_QUEUES]; /* those that live on the device, else NULL */
	struct nfe_txq *txq[NFE_MAX_QUEUES];

	/* What the device was told */
	struct rte_ether_addr mac;
	uint32_t rx_mode; /* NFE_RX_* */
	struct nfeh_rss rss;
	bool rss_partly; /* and some of what failed since */
	uint16_t mtu;
	uint16_t nb_mc;
	struct rte_ether_addr mc[NFE_MAX_MC_MACS];

	/* Device counters, valid for one life of the device. It counted before we came. */
	uint64_t dev_stats[NFE_STAT_MAX]; /* as last read */
	uint64_t dev_base[NFE_STAT_MAX];  /* at probe or the last reset */
	uint64_t dev_hangups;             /* lives that ended before these */
	uint32_t replays; /* at that time */
};

static inline struct nfe_port *
nfe_port(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/* Wakes the device, in whatever process. */
void nfe_kick(const struct nfe_port *port, uint16_t channel);

/* nfe_ethdev.c */
struct nfe_args;
int nfe_probe_check(const char *name); /* can this process have a port at all? */
int nfe_port_init(struct rte_eth_dev *dev, const struct nfe_args *args);
int nfe_close(struct rte_eth_dev *dev);
int nfe_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info);
void nfe_select_bursts(struct rte_eth_dev *dev); /* as configured */

/* nfe_chan.c */
extern const struct nfeh_client_ops nfe_client_ops;
int nfe_chan_setup(struct nfe_port *port, uint16_t nb_channels);
void nfe_chan_free(struct nfe_port *port);
/* Exactly these queues are started on channel i + 1; NULL: none of that direction. Those that were
 * stay as they are. Their data threads may run. On an error port->rxq[i] and port->txq[i] say what
 * is started; what is not belongs to nobody but its owner. */
int nfe_chan_set(struct nfe_port *port, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq);
struct nfe_status *nfe_chan_status(const struct nfe_port *port, uint16_t i);
bool nfe_port_frozen(struct nfe_port *port);
/* Wait until no data thread uses what it read before the call. */
int nfe_port_quiesce(struct nfe_port *port);

/* nfe_reset.c */
int nfe_dev_reset(struct rte_eth_dev *dev);
int nfe_is_removed(struct rte_eth_dev *dev);
void nfe_refused(void *ctx, int error); /* of struct nfeh_client_ops */
void nfe_removal_watch(struct nfe_port *port); /* a PCI function: EAL's news of it */
void nfe_removal_unwatch(struct nfe_port *port);

/* nfe_start.c */
int nfe_start(struct rte_eth_dev *dev);
int nfe_stop(struct rte_eth_dev *dev);
int nfe_rx_queue_start(struct rte_eth_dev *dev, uint16_t id);
int nfe_rx_queue_stop(struct rte_eth_dev *dev, uint16_t id);
int nfe_tx_queue_start(struct rte_eth_dev *dev, uint16_t id);
int nfe_tx_queue_stop(struct rte_eth_dev *dev, uint16_t id);

/* nfe_intr.c */
int nfe_intr_setup(struct rte_eth_dev *dev); /* as configured; undoes what was before */
void nfe_intr_free(struct rte_eth_dev *dev);
int nfe_rx_intr_enable(struct rte_eth_dev *dev, uint16_t id);
int nfe_rx_intr_disable(struct rte_eth_dev *dev, uint16_t id);
int nfe_monitor_addr(void *queue, struct rte_power_monitor_cond *cond);

/* nfe_queue.c */
int nfe_rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int socket,
		       const struct rte_eth_rxconf *conf, struct rte_mempool *pool);
int nfe_tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int socket,
		       const struct rte_eth_txconf *conf);
void nfe_rx_queue_release(struct rte_eth_dev *dev, uint16_t id);
void nfe_tx_queue_release(struct rte_eth_dev *dev, uint16_t id);
void nfe_rx_queue_reset(struct nfe_rxq *q); /* frees its mbufs; indices as at the first start */
void nfe_tx_queue_reset(struct nfe_txq *q);
void nfe_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info);
void nfe_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info);
nfe_rx_count_t nfe_rx_queue_count(void *queue);
int nfe_rx_descriptor_status(void *queue, uint16_t offset);
int nfe_tx_descriptor_status(void *queue, uint16_t offset);
int nfe_tx_done_cleanup(void *queue, uint32_t free_cnt);
int nfe_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode);

/* nfe_ctl.c */
int nfe_link_update(struct rte_eth_dev *dev, int wait);
int nfe_mac_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac);
int nfe_mac_add(struct rte_eth_dev *dev, struct rte_ether_addr *mac, uint32_t idx, uint32_t pool);
void nfe_mac_remove(struct rte_eth_dev *dev, uint32_t idx);
int nfe_mc_list_set(struct rte_eth_dev *dev, struct rte_ether_addr *list, uint32_t nb);
int nfe_promisc_on(struct rte_eth_dev *dev);
int nfe_promisc_off(struct rte_eth_dev *dev);
int nfe_allmulti_on(struct rte_eth_dev *dev);
int nfe_allmulti_off(struct rte_eth_dev *dev);
int nfe_rx_mode_set(struct rte_eth_dev *dev, uint32_t clear, uint32_t set); /* NFE_RX_* */
int nfe_mtu_set(struct rte_eth_dev *dev, uint16_t mtu);
int nfe_mtu_apply(struct nfe_port *port, uint16_t mtu);
int nfe_mtu_check_buffers(struct rte_eth_dev *dev, uint16_t mtu);
int nfe_regs_get(struct rte_eth_dev *dev, struct rte_dev_reg_info *info);
int nfe_fw_version_get(struct rte_eth_dev *dev, char *text, size_t size);

/* nfe_rss.c */
void nfe_rss_info(const struct nfe_port *port, struct rte_eth_dev_info *info);
int nfe_rss_configure(struct rte_eth_dev *dev);
int nfe_rss_hash_update(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf);
int nfe_rss_hash_conf_get(struct rte_eth_dev *dev, struct rte_eth_rss_conf *conf);
int nfe_rss_reta_update(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *reta,
			uint16_t size);
int nfe_rss_reta_query(struct rte_eth_dev *dev, struct rte_eth_rss_reta_entry64 *reta,
		       uint16_t size);

/* nfe_vlan.c */
int nfe_vlan_filter_set(struct rte_eth_dev *dev, uint16_t vlan, int on);
int nfe_vlan_offload_set(struct rte_eth_dev *dev, int mask);
void nfe_vlan_strip_queue_set(struct rte_eth_dev *dev, uint16_t id, int on);

/* nfe_stats.c; nfe_stats_get() is in nfe_compat.h */
void nfe_stats_refresh(struct nfe_port *port); /* in the primary: the device's counters */
int nfe_stats_reset(struct rte_eth_dev *dev);
int nfe_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n);
int nfe_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
			 unsigned int n);

#endif /* NFE_ETHDEV_H */
