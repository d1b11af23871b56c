/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Ports: VIFs and uplinks come, and are looked at. Control thread.
 */
#include <errno.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_string_fns.h>

#include "vsw_internal.h"

#define DEFAULT_MTU 1500
#define DEFAULT_MAX_MTU 9000
#define BURST_KIB_MIN 64
#define BURST_BYTES (10 * 125) /* 10 ms, per Mbit/s */

static int
port_new(struct vsw *sw, const char *name, struct vsw_port **out)
{
	struct vsw_port *port;

	if (vsw_port_find(sw, name) != NULL)
		return -EEXIST;
	if (sw->nb_ports == sw->conf.max_ports)
		return -ENOSPC;
	port = rte_zmalloc(NULL, sizeof(*port), RTE_CACHE_LINE_SIZE);
	if (port == NULL)
		return -ENOMEM;
	port->sw = sw;
	port->id = (uint16_t)sw->nb_ports;
	port->data_kick_fd = -1;
	rte_strscpy(port->name, name, sizeof(port->name));
	*out = port;
	return 0;
}

static void
rate_init(struct vsw_port *port)
{
	unsigned int kib = port->conf.rate_mbps * BURST_BYTES / 1024;

	if (port->conf.rate_mbps == 0)
		return;
	if (port->conf.burst_kib == 0)
		port->conf.burst_kib = RTE_MAX(kib, (unsigned int)BURST_KIB_MIN);
	vsw_rate_init(&port->rate, rte_get_tsc_hz(), port->conf.rate_mbps, port->conf.burst_kib);
}

/* Complete: the data lcores may see it. */
static void
port_publish(struct vsw *sw, struct vsw_port *port)
{
	sw->ports[port->id] = port;
	__atomic_store_n(&sw->nb_ports, sw->nb_ports + 1, __ATOMIC_RELEASE);
}

int
vsw_vif_add(struct vsw *sw, const struct vsw_vif_conf *conf, struct vsw_port **out)
{
	uint64_t mac = vsw_mac_u64(conf->mac.addr_bytes);
	struct vsw_port *port;
	int rc;

	if (mac == 0 || vsw_mac_is_group(mac) || conf->nb_allow > VSW_MAX_MACS ||
	    conf->rate_mbps > VSW_MAX_RATE_MBPS)
		return -EINVAL;
	rc = port_new(sw, conf->name, &port);
	if (rc != 0)
		return rc;
	port->conf = *conf;
	port->conf.mtu = conf->mtu ? conf->mtu : DEFAULT_MTU;
	port->conf.max_mtu = conf->max_mtu ? conf->max_mtu : DEFAULT_MAX_MTU;
	port->source_check = !conf->no_source_check;
	port->promisc_allowed = conf->promisc;
	port->mac = mac;
	port->rx_mode = NFE_RX_ALLMULTI;
	port->mtu = port->conf.mtu;
	port->max_frame = port->mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	rate_init(port);
	/* An address that answers before its port does would name a port that is not there. */
	port_publish(sw, port);
	rc = vsw_fdb_add(sw->fdb, mac, port->id);
	if (rc != 0) {
		vsw_vif_remove(port);
		return rc;
	}
	*out = port;
	return 0;
}

void
vsw_vif_bind(struct vsw_port *port, struct nfed_function *fn, int data_kick_fd)
{
	port->data_kick_fd = data_kick_fd;
	port->fn = fn;
	nfed_function_set_link(fn, true);
}

/* Who gets this id next starts at 0. */
static void
zero_counters(struct vsw *sw, unsigned int id)
{
	for (unsigned int i = 0; i < sw->nb_lcores; i++) {
		struct vsw_mail zero = { .op = VSW_OP_ZERO, .first = id, .n = 1 };

		vsw_mail_send(sw->lcore[i], &zero);
	}
}

/* Only the last port can give its id back; others stay as dark ports until the switch ends. */
void
vsw_vif_remove(struct vsw_port *port)
{
	struct vsw *sw = port->sw;

	port->fn = NULL;
	vsw_fdb_del(sw->fdb, port->mac, port->id);
	memset(&port->conf.mac, 0, sizeof(port->conf.mac)); /* others may have it */
	if (port->id != sw->nb_ports - 1)
		return;
	__atomic_store_n(&sw->nb_ports, sw->nb_ports - 1, __ATOMIC_RELEASE);
	vsw_synchronize(sw);
	zero_counters(sw, port->id);
	rte_free(port);
}

int
vsw_uplink_add(struct vsw *sw, const struct vsw_uplink_conf *conf, struct vsw_port **out)
{
	struct vsw_port *port;
	struct vsw_lcore *lc;
	int rc = port_new(sw, conf->name, &port);

	if (rc != 0)
		return rc;
	port->is_uplink = true;
	rc = vsw_uplink_start(sw, port, conf);
	if (rc != 0) {
		rte_free(port);
		return rc;
	}
	port_publish(sw, port);
	vsw_takers_update(port);
	lc = sw->lcore[port->uplink->lcore];
	lc->uplinks[lc->nb_uplinks] = port;
	__atomic_store_n(&lc->nb_uplinks, lc->nb_uplinks + 1, __ATOMIC_RELEASE);
	vsw_lcore_wake(lc);
	*out = port;
	return 0;
}

struct vsw_port *
vsw_port_find(const struct vsw *sw, const char *name)
{
	for (unsigned int i = 0; i < sw->nb_ports; i++)
		if (strcmp(sw->ports[i]->name, name) == 0)
			return sw->ports[i];
	return NULL;
}

struct vsw_port *
vsw_port_next(const struct vsw *sw, const struct vsw_port *prev)
{
	unsigned int i = prev == NULL ? 0 : prev->id + 1u;

	return i < sw->nb_ports ? sw->ports[i] : NULL;
}

bool
vsw_port_is_uplink(const struct vsw_port *port)
{
	return port->is_uplink;
}

const char *
vsw_port_name(const struct vsw_port *port)
{
	return port->name;
}

void
vsw_port_mac(const struct vsw_port *port, struct rte_ether_addr *mac)
{
	memcpy(mac->addr_bytes, &port->mac, VSW_MAC_BYTES);
}

bool
vsw_port_link(const struct vsw_port *port)
{
	struct rte_eth_link link;

	if (!port->is_uplink)
		return port->rx != NULL;
	return rte_eth_link_get_nowait(port->uplink->ethdev, &link) == 0 && link.link_status;
}

uint32_t
vsw_port_mtu(const struct vsw_port *port)
{
	return port->mtu;
}

uint32_t
vsw_port_rx_mode(const struct vsw_port *port)
{
	return port->rx_mode;
}

struct nfed_function *
vsw_port_function(const struct vsw_port *port)
{
	return port->fn;
}

static void
queue_info(const struct nfed_queue *q, uint32_t *size, uint32_t *capacity, uint32_t *host,
	   uint32_t *dev, uint32_t *distance)
{
	*size = q->role != 0 ? q->mask + 1 : 0;
	*capacity = q->capacity;
	*host = q->role != 0 ? nfed_queue_peek(q) : 0;
	*dev = q->published;
	*distance = q->role == NFE_ROLE_RQ ? *dev - *host : *host - *dev;
}

int
vsw_port_queues(struct vsw_port *port, struct vsw_queue_info *info, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i <= NFED_MAX_CHANNELS && n < max; i++) {
		const struct vsw_chan *c = port->chan[i];
		struct vsw_queue_info *q = &info[n];

		if (c == NULL)
			continue;
		*q = (struct vsw_queue_info){ .channel = (uint16_t)i, .lcore = c->lcore->lcore_id,
					      .state = c->hot ? "hot" : "idle" };
		queue_info(&c->ch->sq, &q->sq.size, &q->sq.capacity, &q->sq.host_idx, &q->sq.dev_idx,
			   &q->sq.distance);
		queue_info(&c->ch->rq, &q->rq.size, &q->rq.capacity, &q->rq.host_idx, &q->rq.dev_idx,
			   &q->rq.distance);
		queue_info(&c->ch->fq, &q->fq.size, &q->fq.capacity, &q->fq.host_idx, &q->fq.dev_idx,
			   &q->fq.distance);
		n++;
	}
	return (int)n;
}

int
vsw_lcores(struct vsw *sw, struct vsw_lcore_info *info, unsigned int max)
{
	unsigned int n = RTE_MIN(max, sw->nb_lcores);

	for (unsigned int i = 0; i < n; i++) {
		const struct vsw_lcore *lc = sw->lcore[i];

		info[i] = (struct vsw_lcore_info){ lc->nb_all, lc->nb_hot, *lc->counters };
	}
	return (int)n;
}

int
vsw_fdb_walk(struct vsw *sw, void (*fn)(const struct vsw_fdb_info *info, void *ctx), void *ctx)
{
	uint64_t now_s = rte_rdtsc() / rte_get_tsc_hz(), mac, seen_s;
	struct vsw_fdb_info info;
	uint32_t next = 0;
	uint16_t port;
	int n = 0;

	while (vsw_fdb_iterate(sw->fdb, &next, &mac, &port, &info.learned, &seen_s)) {
		memcpy(info.mac.addr_bytes, &mac, VSW_MAC_BYTES);
		info.port = sw->ports[port]->name;
		info.age_s = info.learned ? (unsigned int)(now_s - seen_s) : 0;
		fn(&info, ctx);
		n++;
	}
	return n;
}
