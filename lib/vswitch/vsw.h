/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The switch: ports (VIFs and uplinks), FDB, forwarding on one or more lcores, accounting.
 * Knows functions (lib/nfe_device) and ethdevs; knows nothing of sockets or configuration files.
 *
 * Threads: everything on the control thread, except vsw_lcore_main() on each data lcore. Data
 * lcores are told of changes by RCU (rte_rcu_qsbr) and by a small inbox; they take no lock unless
 * several lcores share a destination, and never wait for the control thread.
 */
#ifndef VSW_H
#define VSW_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include <nfed_function.h>

struct vsw;
struct vsw_port; /* a VIF or an uplink */

#define VSW_NAME_LEN 32
#define VSW_MAX_LCORES 16
#define VSW_MAX_WEIGHT 16
#define VSW_MAX_RATE_MBPS 100000
#define VSW_MIN_BURST 16 /* cells: the longest message fits */
#define VSW_MAX_BURST 128
#define VSW_INLINE_MAX 572 /* bytes: longest frame in cells to or from a guest */
#define VSW_MAX_MACS 32 /* addresses of one VIF, multicast included */

/* Of a data lcore since it started, written by nobody else, after each loop. One cache line, so whoever
 * maps it may sample it as often as he likes and asks nobody. */
struct vsw_lcore_counters {
	uint64_t busy_cycles, idle_cycles; /* TSC; of loops with and without work */
	uint64_t loops, sleeps, wakes, kick_storms;
	uint32_t lcore; /* DPDK lcore id */
	uint32_t reserved;
	uint64_t run_delay_us; /* ready to run while others had its CPU (vsw_cpu.c) */
};
_Static_assert(sizeof(struct vsw_lcore_counters) == 64, "an array of cache lines");

struct vsw_conf { /* zero: the default */
	unsigned int max_ports;      /* VIFs and uplinks, default 1100 */
	unsigned int max_macs;       /* FDB entries, default 65536 */
	unsigned int nb_lcores;      /* data lcores */
	unsigned int lcores[VSW_MAX_LCORES]; /* their DPDK lcore ids */
	struct vsw_lcore_counters *counters; /* one for each data lcore; NULL: where nobody sees them */
	unsigned int idle_us;        /* a channel without work for so long goes idle (vsw_lcore.c), default 200 */
	unsigned int shared_idle_us; /* the same while the lcore shares its CPU (vsw_cpu.c), default 5;
				      * not above idle_us */
	unsigned int uplink_poll_us; /* how often a sleeping lcore looks at uplinks without Rx
				      * interrupts, default 100 */
	unsigned int burst;          /* cells taken from a send queue per turn, default 64 */
	unsigned int age_s;          /* learned addresses, default 300 */
	unsigned int nb_mbufs;       /* of each uplink, default 4096 */
	unsigned int max_channels;   /* running at a time, of all VIFs; default 4 per port */
	unsigned int flood_mbps;     /* flooded copies that one port may cause, default 1000 */
};

int vsw_create(const struct vsw_conf *conf, struct vsw **sw);
void vsw_destroy(struct vsw *sw); /* data lcores have returned */
/* rte_eal_remote_launch(vsw_lcore_main, sw, lcore id) */
int vsw_lcore_main(void *sw);
void vsw_stop(struct vsw *sw); /* data lcores return soon; any thread */

struct vsw_vif_conf {
	char name[VSW_NAME_LEN];
	struct rte_ether_addr mac;
	struct rte_ether_addr allow[VSW_MAX_MACS]; /* further addresses that it may take */
	unsigned int nb_allow;
	bool allow_any;       /* any address that nobody else has */
	bool no_source_check; /* may send from any source address */
	bool promisc;         /* in promiscuous mode it may see unknown unicast */
	uint32_t mtu;         /* bytes, default 1500; the guest may change it up to max_mtu */
	uint32_t max_mtu;     /* default 9000 */
	unsigned int rate_mbps; /* of what the guest sends, 0: no limit, up to VSW_MAX_RATE_MBPS */
	unsigned int burst_kib; /* what it may send at once; default 10 ms of the rate, 64 at least */
	unsigned int weight;  /* share of an lcore's time among busy VIFs, 1..VSW_MAX_WEIGHT, default 1 */
};

/* -EEXIST: name or MAC in use; -ENOSPC: limit reached; -EINVAL: MAC is multicast or zero. */
int vsw_vif_add(struct vsw *sw, const struct vsw_vif_conf *conf, struct vsw_port **port);
/* The function behind the VIF: conf->owner_ops = &vsw_owner_ops, conf->owner = the port; then: */
void vsw_vif_bind(struct vsw_port *port, struct nfed_function *fn, int data_kick_fd);
void vsw_vif_remove(struct vsw_port *port); /* its function was destroyed before */
extern const struct nfed_owner_ops vsw_owner_ops;

struct vsw_uplink_conf {
	char name[VSW_NAME_LEN];
	uint16_t ethdev; /* port id; configured and started here */
	bool learning;
	bool offload; /* checksums and segments are made by the device, as far as it can */
};
int vsw_uplink_add(struct vsw *sw, const struct vsw_uplink_conf *conf, struct vsw_port **port);

/* Life-cycle events for the log; control thread. Set before ports are added. */
typedef void (*vsw_log_fn)(const char *line);
void vsw_set_log(struct vsw *sw, vsw_log_fn fn);
/* The control thread waits for a data lcore that has given no sign for 30 s: it is dead, by a bug of
 * ours, and nothing that a guest asks will be done. Should not return, else the wait goes on. */
void vsw_set_stuck(struct vsw *sw, vsw_log_fn fn);
/* One line "vif NAME: ..." about a port, a few at once and one per second after: what a guest can
 * repeat at will must not flood the log. Some are kept back for failures. */
void vsw_port_logf(struct vsw_port *port, bool failure, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Housekeeping on the control thread, about every 10 ms: faults, learning, ageing. */
void vsw_service(struct vsw *sw);
/* Eventfd that becomes readable when vsw_service() should run at once. */
int vsw_service_fd(const struct vsw *sw);

/* Look around. All counters of one call are one coherent moment per lcore, so that the identities of
 * specification 9.2 hold exactly. */
struct vsw_port *vsw_port_find(const struct vsw *sw, const char *name);
/* Walk: prev NULL for the first. */
struct vsw_port *vsw_port_next(const struct vsw *sw, const struct vsw_port *prev);
bool vsw_port_is_uplink(const struct vsw_port *port);
const char *vsw_port_name(const struct vsw_port *port);
void vsw_port_mac(const struct vsw_port *port, struct rte_ether_addr *mac);
bool vsw_port_link(const struct vsw_port *port);
uint32_t vsw_port_mtu(const struct vsw_port *port);
/* Does the uplink's device complete checksums of what is sent, and segment TCP? */
void vsw_uplink_offloads(const struct vsw_port *port, bool *sums, bool *cuts);
uint32_t vsw_port_rx_mode(const struct vsw_port *port);
uint32_t vsw_port_rss_types(const struct vsw_port *port); /* NFE_RSS_*; 0: no RSS */
unsigned int vsw_port_vlans(const struct vsw_port *port); /* in the guest's table */
struct nfed_function *vsw_port_function(const struct vsw_port *port); /* NULL: uplink */
/* Counters of ports first..: value[i] belongs to the i-th port of the walk; returns how many, or a
 * negative errno. Waits for the data lcores' next turn. */
int vsw_stats(struct vsw *sw, uint64_t (*value)[NFE_STAT_MAX], unsigned int max);
int vsw_port_stats(struct vsw_port *port, uint64_t value[NFE_STAT_MAX]);

struct vsw_queue_info { /* of a running channel, read without stopping it */
	uint16_t channel;
	unsigned int lcore; /* that polls its send queue */
	const char *state;  /* "hot", "idle", "stopped" */
	struct {
		uint32_t size, capacity, host_idx, dev_idx, distance;
	} sq, rq, fq; /* distance: prod - cons */
};
int vsw_port_queues(struct vsw_port *port, struct vsw_queue_info *info, unsigned int max);

struct vsw_lcore_info {
	unsigned int channels, hot;
	struct vsw_lcore_counters counters;
};
int vsw_lcores(struct vsw *sw, struct vsw_lcore_info *info, unsigned int max);

struct vsw_fdb_info {
	struct rte_ether_addr mac;
	const char *port;
	bool learned;
	unsigned int age_s;
};
/* Calls fn for each entry; returns the number of entries. */
int vsw_fdb_walk(struct vsw *sw, void (*fn)(const struct vsw_fdb_info *info, void *ctx), void *ctx);

#endif /* VSW_H */
