/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a function asks of the switch (struct nfed_owner_ops): channels come and go, addresses and
 * modes change within the operator's policy, state changes are logged. Control thread.
 */
#include <errno.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "vsw_rss.h"

#define STATS_WINDOW_MS 10
#define STATS_FRESH 8

/* Replace the set as a whole; returns when no lcore uses the old one. */
static void
rxset_publish(struct vsw_port *port, struct vsw_rxset *set)
{
	struct vsw_rxset *old = port->rx;

	__atomic_store_n(&port->rx, set, __ATOMIC_RELEASE);
	if ((old != NULL) != (set != NULL)) /* the link */
		vsw_takers_update(port);
	vsw_synchronize(port->sw);
	rte_free(old);
}

/* The channels that receive, as they are now. */
int
vsw_rxset_replace(struct vsw_port *port)
{
	struct vsw_rxset *set = rte_zmalloc(NULL, sizeof(*set), RTE_CACHE_LINE_SIZE);

	if (set == NULL)
		return -ENOMEM;
	for (unsigned int i = 1; i <= NFED_MAX_CHANNELS; i++) {
		struct vsw_chan *c = port->chan[i];

		if (c != NULL && c->ch->rq.role != 0)
			set->chan[set->n++] = c;
	}
	if (set->n == 0) {
		rte_free(set);
		set = NULL;
	} else {
		vsw_rss_resolve(port, set);
	}
	rxset_publish(port, set);
	return 0;
}

/* Without memory for a smaller set the port goes dark: stopping must not fail. */
static void
rxset_shrink(struct vsw_port *port)
{
	if (vsw_rxset_replace(port) != 0)
		rxset_publish(port, NULL);
}

/* Segmentation means nothing without checksums (2.3). */
static uint8_t
message_flags(uint64_t features, uint64_t csum, uint8_t csum_flags, uint64_t gso)
{
	if (!(features & csum))
		return 0;
	return csum_flags | (features & gso ? NFE_MSG_F_GSO : 0);
}

static_assert(VSW_INLINE_MAX == NFE_INLINE_ONE + (VSW_INLINE_CELLS - 1) * NFE_MSG_SIZE, "cells");
static_assert(VSW_INLINE_CELLS <= VSW_MIN_BURST, "a message fits into a turn");

static void
chan_negotiated(struct vsw_chan *c, struct nfed_function *fn)
{
	const struct nfed_limits *l = nfed_function_limits(fn);
	uint64_t features = nfed_function_accepted(fn);
	uint32_t ceiling = VSW_INLINE_MAX;

	if (!(features & NFE_F_INLINE_LONG))
		ceiling = NFE_INLINE_ONE;
	c->inline_to_device = RTE_MIN(ceiling, l->inline_to_device);
	c->inline_to_host = RTE_MIN(ceiling, l->inline_to_host);
	c->max_segs = features & NFE_F_MULTI_SEG ? l->max_segs : 1;
	c->max_bufs = RTE_MIN(c->max_segs, (uint32_t)VSW_MAX_BUFS);
	c->max_frame = l->max_frame;
	c->may_idle = (features & NFE_F_EVENT_IDX) != 0;
	c->flags_to_device = message_flags(features, NFE_F_CSUM_TO_DEVICE, NFE_MSG_F_CSUM_PARTIAL,
					   NFE_F_GSO_TO_DEVICE);
	c->flags_to_host = message_flags(features, NFE_F_CSUM_TO_HOST,
					 NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_CSUM_OK,
					 NFE_F_GSO_TO_HOST);
	if (features & NFE_F_CSUM_OK)
		c->flags_to_host |= NFE_MSG_F_CSUM_OK;
}

static struct vsw_chan *
chan_create(struct vsw_port *port, struct nfed_channel *ch)
{
	struct vsw *sw = port->sw;
	struct vsw_chan *c = rte_zmalloc(NULL, sizeof(*c), RTE_CACHE_LINE_SIZE);
	int slot = vsw_slot_alloc(sw);

	if (c == NULL || slot < 0) {
		if (slot >= 0)
			vsw_slot_free(sw, (unsigned int)slot);
		rte_free(c);
		return NULL;
	}
	c->ch = ch;
	c->port = port;
	c->lcore = sw->lcore[sw->next_lcore++ % sw->nb_lcores];
	c->dst = (struct vsw_dst){ .slot = (uint16_t)slot, .port = port, .chan = c };
	c->fdb_cache.gen = vsw_fdb_gen(sw->fdb) - 1;
	chan_negotiated(c, ch->fn);
	rte_spinlock_init(&c->lock);
	return c;
}

static void
chan_free(struct vsw_chan *c)
{
	vsw_slot_free(c->port->sw, c->dst.slot);
	rte_free(c);
}

/*
 * First nobody finds it: neither senders (rxset) nor a kick (port->chan), which would make it hot
 * again behind our back. Then its lcore lets go of it, then nobody holds it.
 */
static void
chan_withdraw(struct vsw_port *port, struct vsw_chan *c)
{
	struct vsw_mail del = { .op = VSW_OP_DEL_CHAN, .chan = c };

	__atomic_store_n(&port->chan[c->ch->number], NULL, __ATOMIC_RELEASE);
	rxset_shrink(port);
	vsw_mail_send(c->lcore, &del);
	vsw_synchronize(port->sw);
	chan_free(c);
}

static int
owner_channel_start(void *owner, struct nfed_channel *ch)
{
	struct vsw_port *port = owner;
	struct vsw_chan *c = chan_create(port, ch);
	struct vsw_mail add = { .op = VSW_OP_ADD_CHAN, .chan = c };
	int rc;

	if (c == NULL)
		return -ENOSPC;
	ch->owner_data = c;
	/* Before the lcore has it: a kick that comes when it goes idle must find it. */
	__atomic_store_n(&port->chan[ch->number], c, __ATOMIC_RELEASE);
	rc = vsw_rxset_replace(port);
	if (rc == 0)
		rc = vsw_mail_send(c->lcore, &add);
	if (rc != 0)
		chan_withdraw(port, c);
	return rc;
}

static void
owner_channel_stop(void *owner, struct nfed_channel *ch)
{
	struct vsw_port *port = owner;

	if (port->chan[ch->number] != NULL)
		chan_withdraw(port, port->chan[ch->number]);
}

static void
owner_quiesce(void *owner)
{
	struct vsw_port *port = owner;

	vsw_synchronize(port->sw);
}

static bool
mac_allowed(const struct vsw_port *port, uint64_t mac)
{
	if (port->conf.allow_any || mac == vsw_mac_u64(port->conf.mac.addr_bytes))
		return true;
	for (unsigned int i = 0; i < port->conf.nb_allow; i++)
		if (vsw_mac_u64(port->conf.allow[i].addr_bytes) == mac)
			return true;
	return false;
}

/* Is it the configured address of another VIF? That one gets it back with its next RESET, so nobody
 * may take it while it uses a different one. */
static bool
mac_reserved(const struct vsw_port *port, uint64_t mac)
{
	const struct vsw *sw = port->sw;

	for (unsigned int i = 0; i < sw->nb_ports; i++)
		if (sw->ports[i] != port && vsw_mac_u64(sw->ports[i]->conf.mac.addr_bytes) == mac)
			return true;
	return false;
}

static uint64_t *
mac_slot(struct vsw_port *port, uint64_t mac)
{
	for (unsigned int i = 0; i < VSW_MAX_MACS; i++)
		if (port->macs[i] == mac)
			return &port->macs[i];
	return NULL;
}

static int
mac_add(struct vsw_port *port, uint64_t mac)
{
	uint64_t *slot = mac_slot(port, 0);
	int rc;

	if (mac_slot(port, mac) != NULL || mac == port->mac)
		return -EEXIST;
	if (slot == NULL)
		return -ENOSPC;
	if (!vsw_mac_is_group(mac)) {
		if (!mac_allowed(port, mac))
			return -EPERM;
		if (mac_reserved(port, mac))
			return -EADDRINUSE;
		rc = vsw_fdb_add(port->sw->fdb, mac, port->id);
		if (rc != 0)
			return rc == -EEXIST ? -EADDRINUSE : rc;
	}
	__atomic_store_n(slot, mac, __ATOMIC_RELEASE);
	if (vsw_mac_is_group(mac))
		vsw_takers_update(port);
	return 0;
}

static int
mac_remove(struct vsw_port *port, uint64_t mac)
{
	uint64_t *slot = mac_slot(port, mac);

	if (slot == NULL)
		return -ENOENT;
	__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
	if (vsw_mac_is_group(mac))
		vsw_takers_update(port);
	else
		vsw_fdb_del(port->sw->fdb, mac, port->id);
	return 0;
}

static int
mac_set(struct vsw_port *port, uint64_t mac)
{
	int rc;

	if (mac == port->mac)
		return 0;
	if (vsw_mac_is_group(mac))
		return -EINVAL;
	if (!mac_allowed(port, mac))
		return -EPERM;
	if (mac_reserved(port, mac))
		return -EADDRINUSE;
	mac_remove(port, mac); /* it may have been a further one */
	rc = vsw_fdb_add(port->sw->fdb, mac, port->id);
	if (rc != 0)
		return rc == -EEXIST ? -EADDRINUSE : rc;
	vsw_fdb_del(port->sw->fdb, port->mac, port->id);
	__atomic_store_n(&port->mac, mac, __ATOMIC_RELEASE);
	return 0;
}

static int
owner_mac(void *owner, const uint8_t bytes[6], enum nfe_mac_action action)
{
	uint64_t mac = vsw_mac_u64(bytes);

	if (mac == 0)
		return -EINVAL;
	switch (action) {
	case NFE_MAC_ADD:
		return mac_add(owner, mac);
	case NFE_MAC_REMOVE:
		return mac_remove(owner, mac);
	case NFE_MAC_SET:
		return mac_set(owner, mac);
	}
	return -EINVAL;
}

static int
owner_rx_mode(void *owner, uint32_t mode)
{
	struct vsw_port *port = owner;

	if (mode == port->rx_mode)
		return 0;
	__atomic_store_n(&port->rx_mode, mode, __ATOMIC_RELAXED);
	vsw_takers_update(port);
	return 0;
}

static int
owner_mtu(void *owner, uint32_t mtu)
{
	struct vsw_port *port = owner;

	if (mtu < RTE_ETHER_MIN_MTU || mtu > port->conf.max_mtu)
		return -ERANGE;
	port->mtu = mtu;
	__atomic_store_n(&port->max_frame, mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN, __ATOMIC_RELAXED);
	return 0;
}

/* A guest may ask as often as it likes: the lcores are asked at most STATS_FRESH times in
 * STATS_WINDOW_MS, further questions get the last answer. */
static int
owner_stats(void *owner, uint64_t value[NFE_STAT_MAX])
{
	struct vsw_port *port = owner;
	uint64_t now = rte_rdtsc();
	int rc = 0;

	if (now - port->stats_tsc > rte_get_tsc_hz() / 1000 * STATS_WINDOW_MS) {
		port->stats_tsc = now;
		port->stats_asked = 0;
	}
	if (port->stats_asked < STATS_FRESH) {
		port->stats_asked++;
		rc = vsw_port_stats(port, port->stats);
	}
	memcpy(value, port->stats, sizeof(port->stats));
	return rc;
}

/* What the guest configured goes with its RESET: addresses, modes and MTU of the configuration. */
static void
forget_guest(struct vsw_port *port)
{
	for (unsigned int i = 0; i < VSW_MAX_MACS; i++)
		if (port->macs[i] != 0)
			mac_remove(port, port->macs[i]);
	mac_set(port, vsw_mac_u64(port->conf.mac.addr_bytes));
	owner_rx_mode(port, NFE_RX_ALLMULTI);
	vsw_rss_forget(port);
	owner_mtu(port, port->conf.mtu);
}

static void
owner_state_changed(void *owner, enum nfe_state from, enum nfe_state to, enum nfe_reason reason,
		    const char *text)
{
	struct vsw_port *port = owner;
	bool why = reason != NFE_REASON_NONE;

	if (to == NFE_STATE_RESET)
		forget_guest(port);
	if (from == to)
		return;
	vsw_port_logf(port, to == NFE_STATE_FAILED, "%s -> %s%s%s%s%s", nfe_state_name(from), nfe_state_name(to),
		      why ? ", reason " : "", why ? nfe_reason_name(reason) : "",
		      text[0] != '\0' ? ": " : "", text);
}

static void
owner_attention(void *owner)
{
	struct vsw_port *port = owner;
	uint64_t one = 1;

	__atomic_store_n(&port->attention, 1, __ATOMIC_RELEASE);
	/* A full counter (EAGAIN) means that the control thread is to come anyway. */
	if (write(port->sw->service_fd, &one, sizeof(one)) < 0)
		return;
}

const struct nfed_owner_ops vsw_owner_ops = {
	.channel_start = owner_channel_start,
	.channel_stop = owner_channel_stop,
	.quiesce = owner_quiesce,
	.mac = owner_mac,
	.rx_mode = owner_rx_mode,
	.mtu = owner_mtu,
	.rss_hash = vsw_owner_rss_hash,
	.rss_reta = vsw_owner_rss_reta,
	.vlans = vsw_owner_vlans,
	.stats = owner_stats,
	.state_changed = owner_state_changed,
	.attention = owner_attention,
};
