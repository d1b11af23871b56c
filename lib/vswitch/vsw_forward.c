/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Decide for each frame of the turn where it goes, by its private header: source check, FDB, else
 * vsw_flood.c. Stages deliveries; nothing is copied here. Every frame ends in exactly one of unicast,
 * flooded or a drop of its source; every staged delivery counts as offered at its destination.
 */
#include <rte_branch_prediction.h>

#include "vsw_datapath.h"
#include "vsw_rss.h"

/* Offer n frames from number first on to port: to be delivered, or dropped with a reason. */
static inline void
offer(struct vsw_lcore *lc, struct vsw_port *port, unsigned int first, unsigned int n)
{
	const struct vsw_rxset *rx;

	if (port->is_uplink) {
		vsw_stage(lc, &port->uplink->dst, first, n);
		return;
	}
	rx = __atomic_load_n(&port->rx, __ATOMIC_ACQUIRE);
	if (unlikely(rx == NULL)) {
		vsw_count(lc, port, NFE_STAT_to_offered, n);
		vsw_count(lc, port, NFE_STAT_to_drop_link, n);
		return;
	}
	if (likely(rx->n == 1)) {
		vsw_stage(lc, &rx->chan[0]->dst, first, n);
		return;
	}
	for (unsigned int i = first; i < first + n; i++)
		vsw_stage(lc, &vsw_rss_channel(lc, rx, &lc->frames[i])->dst, i, 1);
}

void
vsw_offer(struct vsw_lcore *lc, struct vsw_port *port, unsigned int frame)
{
	offer(lc, port, frame, 1);
}

static inline uint64_t
dst_mac(const struct vsw_lcore *lc, unsigned int i)
{
	return vsw_mac_in(lc->frames[i].hdr);
}

static inline uint64_t
src_mac(const struct vsw_lcore *lc, unsigned int i)
{
	return vsw_mac_in(lc->frames[i].hdr + VSW_MAC_BYTES);
}

/* Decide for n frames from number first on, which have the same source address, and for whose
 * destinations the FDB says the same: a port, or negative: unknown. */
static inline void
forward_run(struct vsw_lcore *lc, unsigned int first, unsigned int n, int32_t port)
{
	uint64_t from = src_mac(lc, first);
	struct vsw_port *src = lc->src;

	/* A group address in its filter is not the VIF's own. */
	if (unlikely(src->source_check && (vsw_mac_is_group(from) || !vsw_port_has_mac(src, from)))) {
		vsw_count(lc, src, NFE_STAT_from_drop_source, n);
		return;
	}
	if (unlikely(port < 0)) {
		for (unsigned int i = first; i < first + n; i++)
			vsw_forward_many(lc, dst_mac(lc, i), i);
		return;
	}
	if (unlikely(src->is_uplink && lc->sw->ports[port]->is_uplink)) {
		/* We are no bridge between uplinks: without a spanning tree it loops. */
		vsw_count(lc, src, NFE_STAT_from_drop_no_port, n);
		return;
	}
	if (unlikely(port == src->id)) {
		vsw_count(lc, src, NFE_STAT_from_drop_self, n);
		return;
	}
	vsw_count(lc, src, NFE_STAT_from_unicast, n);
	offer(lc, lc->sw->ports[port], first, n);
}

/* Both addresses in two words that overlap. */
static inline uint64_t
addresses_low(const uint8_t *hdr)
{
	uint64_t v;

	memcpy(&v, hdr, sizeof(v));
	return v;
}

static inline uint64_t
addresses_high(const uint8_t *hdr)
{
	return addresses_low(hdr + 2 * VSW_MAC_BYTES - sizeof(uint64_t));
}

/* Frames from number first on that have both addresses of that one. */
static inline unsigned int
same_addresses(const struct vsw_lcore *lc, unsigned int first)
{
	const uint8_t *hdr = lc->frames[first].hdr;
	uint64_t low = addresses_low(hdr), high = addresses_high(hdr);
	unsigned int n = 1;

	for (; first + n < lc->nb_frames; n++) {
		hdr = lc->frames[first + n].hdr;
		if (addresses_low(hdr) != low || addresses_high(hdr) != high)
			break;
	}
	return n;
}

/* Frames from number first on that have its source address, and its answer of the FDB. */
static inline unsigned int
same_answer(const struct vsw_lcore *lc, unsigned int first, const int32_t *port)
{
	uint64_t from = src_mac(lc, first);
	unsigned int n = 1;

	while (first + n < lc->nb_frames && port[first + n] == port[first] &&
	       src_mac(lc, first + n) == from)
		n++;
	return n;
}

/* The frames from number first on have many addresses, probably: look up all of them together. */
static __rte_noinline void
forward_mixed(struct vsw_lcore *lc, unsigned int first)
{
	uint64_t mac[VSW_MAX_BURST];
	int32_t port[VSW_MAX_BURST];

	static_assert(VSW_MAX_BURST <= VSW_FDB_BULK, "one bulk for all frames of a turn");
	for (unsigned int i = first; i < lc->nb_frames; i++)
		mac[i] = dst_mac(lc, i);
	vsw_fdb_lookup_bulk(lc->sw->fdb, &mac[first], lc->nb_frames - first, &port[first]);
	for (unsigned int i = first, n; i < lc->nb_frames; i += n) {
		n = same_answer(lc, i, port);
		forward_run(lc, i, n, port[i]);
	}
}

void
vsw_forward(struct vsw_lcore *lc, struct vsw_fdb_cache *cache)
{
	uint32_t gen = vsw_fdb_gen(lc->sw->fdb); /* one FDB for the whole turn */

	for (unsigned int i = 0, n; i < lc->nb_frames; i += n) {
		n = same_addresses(lc, i);
		if (n == 1 && i + 1 < lc->nb_frames) {
			*cache = (struct vsw_fdb_cache){ .port = -1 }; /* no guess (vsw_ahead.h) */
			forward_mixed(lc, i);
			return;
		}
		forward_run(lc, i, n, vsw_fdb_cached(lc->sw->fdb, cache, gen, dst_mac(lc, i)));
	}
}
