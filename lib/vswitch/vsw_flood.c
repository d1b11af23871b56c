/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Frames for more than one port, or for who knows whom: broadcast, multicast and unicast that the
 * FDB does not know. Offers them to the ports that want them, within what their source may flood.
 */
#include "vsw_datapath.h"

#define FLOOD_MIN_COST 256u    /* bytes that the shortest copy costs */
#define PORT_COST 8u           /* bytes of its share that asking one port costs the sender */

/* Does this port want a group frame to dst? Broadcast always, multicast by its filter. */
static bool
wants_group(const struct vsw_port *port, uint64_t dst)
{
	return port->is_uplink || dst == VSW_MAC_BROADCAST ||
	       (port->rx_mode & (NFE_RX_ALLMULTI | NFE_RX_PROMISC)) || vsw_port_has_mac(port, dst);
}

/* Does this port see unicast that the FDB does not know? Never from uplink to uplink. */
static bool
wants_unknown(const struct vsw_port *port, const struct vsw_port *src)
{
	if (port->is_uplink)
		return !src->is_uplink;
	return port->promisc_allowed && (port->rx_mode & NFE_RX_PROMISC);
}

static unsigned int
flood(struct vsw_lcore *lc, const struct vsw_port *src, uint64_t dst, unsigned int i)
{
	const struct vsw *sw = lc->sw;
	unsigned int nb_ports = __atomic_load_n(&sw->nb_ports, __ATOMIC_ACQUIRE), copies = 0;
	bool group = vsw_mac_is_group(dst);

	for (unsigned int k = 0; k < nb_ports; k++) {
		struct vsw_port *port = sw->ports[k];

		if (port == src || (src->is_uplink && port->is_uplink))
			continue;
		if (group ? !wants_group(port, dst) : !wants_unknown(port, src))
			continue;
		vsw_offer(lc, port, i);
		copies++;
	}
	return copies;
}

/*
 * May the source flood now? Copies cost the switch far more than the frame costs its sender, so
 * they are paid for: bytes, with a minimum, out of a bucket that a single frame may overdraw.
 */
static bool
flood_allowed(struct vsw_lcore *lc)
{
	struct vsw_bucket *b = &lc->flood[lc->src->id];
	uint64_t kib = (lc->now - b->filled) / lc->sw->flood_tsc;

	b->filled += kib * lc->sw->flood_tsc;
	b->bytes = RTE_MIN(b->bytes + (int64_t)RTE_MIN(kib, VSW_FLOOD_BURST) * 1024,
			   (int64_t)VSW_FLOOD_BURST);
	return b->bytes > 0;
}

/* Neither a port's own address nor the FDB knows it: group addresses, and unknown unicast. */
void
vsw_forward_many(struct vsw_lcore *lc, uint64_t dst, unsigned int i)
{
	unsigned int copies;

	if (!flood_allowed(lc)) {
		vsw_count(lc, lc->src, NFE_STAT_from_drop_flood, 1);
		return;
	}
	copies = flood(lc, lc->src, dst, i);
	lc->cost += (uint64_t)lc->sw->nb_ports * PORT_COST;
	if (copies == 0 && !vsw_mac_is_group(dst)) {
		vsw_count(lc, lc->src, NFE_STAT_from_drop_no_port, 1);
		return;
	}
	vsw_count(lc, lc->src, NFE_STAT_from_flooded, 1);
	vsw_count(lc, lc->src, NFE_STAT_from_copies, copies);
	if (copies <= 1) /* it is paid for with the frame: unknown to us, but not to the one uplink */
		return;
	lc->cost += (uint64_t)(copies - 1) * (lc->frames[i].len + VSW_CELL_COST);
	lc->flood[lc->src->id].bytes -=
		(int64_t)(copies - 1) * RTE_MAX(lc->frames[i].len, FLOOD_MIN_COST);
}
