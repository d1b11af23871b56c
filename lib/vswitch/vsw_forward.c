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

/* Offer frame number i to port: to be delivered, or dropped with a reason. Gives its destination if
 * that is the same for all frames to this port. */
static inline struct vsw_dst *
offer(struct vsw_lcore *lc, struct vsw_port *port, unsigned int i)
{
	const struct vsw_rxset *rx;

	if (port->is_uplink) {
		vsw_stage(lc, &port->uplink->dst, i);
		return &port->uplink->dst;
	}
	rx = __atomic_load_n(&port->rx, __ATOMIC_ACQUIRE);
	if (unlikely(rx == NULL)) {
		vsw_count(lc, port, NFE_STAT_to_offered, 1);
		vsw_count(lc, port, NFE_STAT_to_drop_link, 1);
		return NULL;
	}
	if (likely(rx->n == 1)) {
		vsw_stage(lc, &rx->chan[0]->dst, i);
		return &rx->chan[0]->dst;
	}
	vsw_stage(lc, &vsw_rss_channel(rx, &lc->frames[i])->dst, i);
	return NULL;
}

void
vsw_offer(struct vsw_lcore *lc, struct vsw_port *port, unsigned int frame)
{
	offer(lc, port, frame);
}

/* Frame i goes elsewhere than the one after it; so do most of the others, probably: ask for the
 * lines of all their destinations. */
static __rte_noinline void
prefetch_rest(struct vsw_lcore *lc, unsigned int i)
{
	for (; i < lc->nb_frames; i++)
		vsw_fdb_prefetch(lc->sw->fdb, vsw_mac_in(lc->frames[i].hdr));
}

/* Port of frame i's destination, which is unicast; negative: unknown. */
static inline int32_t
look_up(struct vsw_lcore *lc, struct vsw_fdb_cache *cache, uint32_t gen, unsigned int i,
	uint64_t dst)
{
	if (likely(cache->mac == dst && cache->gen == gen))
		return cache->port;
	if (!lc->prefetched && i + 1 < lc->nb_frames &&
	    vsw_mac_in(lc->frames[i + 1].hdr) != dst) {
		prefetch_rest(lc, i);
		lc->prefetched = true;
	}
	return vsw_fdb_cached(lc->sw->fdb, cache, gen, dst);
}

/* Decide for one frame. Its destination if that depends on its addresses alone, else NULL. */
static inline struct vsw_dst *
forward_one(struct vsw_lcore *lc, struct vsw_fdb_cache *cache, uint32_t gen, unsigned int i)
{
	const uint8_t *hdr = lc->frames[i].hdr;
	uint64_t dst = vsw_mac_in(hdr), from = vsw_mac_in(hdr + VSW_MAC_BYTES);
	struct vsw_port *src = lc->src;
	int32_t port;

	/* A group address in its filter is not the VIF's own. */
	if (unlikely(src->source_check && (vsw_mac_is_group(from) || !vsw_port_has_mac(src, from)))) {
		vsw_count(lc, src, NFE_STAT_from_drop_source, 1);
		return NULL;
	}
	port = vsw_mac_is_group(dst) ? -1 : look_up(lc, cache, gen, i, dst);
	if (unlikely(port < 0)) {
		vsw_forward_many(lc, dst, i);
		return NULL;
	}
	if (unlikely(src->is_uplink && lc->sw->ports[port]->is_uplink)) {
		/* We are no bridge between uplinks: without a spanning tree it loops. */
		vsw_count(lc, src, NFE_STAT_from_drop_no_port, 1);
		return NULL;
	}
	if (unlikely(port == src->id)) {
		vsw_count(lc, src, NFE_STAT_from_drop_self, 1);
		return NULL;
	}
	vsw_count(lc, src, NFE_STAT_from_unicast, 1);
	return offer(lc, lc->sw->ports[port], i);
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

/* Frames from i on that have the addresses of the one before them; so they go where it went. */
static inline unsigned int
same_addresses(const struct vsw_lcore *lc, unsigned int i)
{
	const uint8_t *hdr = lc->frames[i - 1].hdr;
	uint64_t first = addresses_low(hdr), last = addresses_high(hdr);
	unsigned int n = 0;

	for (; i + n < lc->nb_frames; n++) {
		hdr = lc->frames[i + n].hdr;
		if (addresses_low(hdr) != first || addresses_high(hdr) != last)
			break;
	}
	return n;
}

void
vsw_forward(struct vsw_lcore *lc, struct vsw_fdb_cache *cache)
{
	uint32_t gen = vsw_fdb_gen(lc->sw->fdb); /* one FDB for the whole turn */

	lc->prefetched = false;
	for (unsigned int i = 0; i < lc->nb_frames;) {
		struct vsw_dst *dst = forward_one(lc, cache, gen, i++);
		unsigned int n;

		if (dst == NULL)
			continue;
		n = same_addresses(lc, i);
		vsw_stage_more(lc, dst, n);
		vsw_count(lc, lc->src, NFE_STAT_from_unicast, n);
		i += n;
	}
}
