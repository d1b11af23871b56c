/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Frames for more than one port, or for who knows whom: broadcast, multicast and unicast that the
 * FDB does not know. Offers them to the ports that take them, within what their source may flood.
 * Who takes what is kept by vsw_takers.c: a port that doesn't costs nothing here.
 */
#include "vsw_datapath.h"

#define FLOOD_MIN_COST 256u    /* bytes that the shortest copy costs */

/* Offers the frame to one port unless it came from there; from an uplink not to an uplink. Gives
 * the copies made. */
static inline unsigned int
copy_to(struct vsw_lcore *lc, struct vsw_port *port, unsigned int i)
{
	if (port == lc->src || (lc->src->is_uplink && port->is_uplink))
		return 0;
	vsw_offer(lc, port, i);
	return 1;
}

static unsigned int
copy_to_list(struct vsw_lcore *lc, const struct vsw_list *list, unsigned int i)
{
	unsigned int copies = 0;

	for (unsigned int k = 0; k < list->n; k++)
		copies += copy_to(lc, list->port[k], i);
	return copies;
}

/* Of those that have this group address in their filter. */
static unsigned int
first_member(const struct vsw_takers *t, uint64_t group)
{
	unsigned int first = 0, end = t->nb_members;

	while (first < end) {
		unsigned int middle = (first + end) / 2;

		if (t->member[middle].mac < group)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static unsigned int
copy_to_members(struct vsw_lcore *lc, const struct vsw_takers *t, uint64_t group, unsigned int i)
{
	unsigned int copies = 0;

	for (unsigned int k = first_member(t, group);
	     k < t->nb_members && t->member[k].mac == group; k++)
		copies += copy_to(lc, t->member[k].port, i);
	return copies;
}

/* Ports that take such frames, perhaps the source among them. */
static unsigned int
nb_takers(const struct vsw_takers *t, uint64_t dst)
{
	unsigned int first;

	if (dst == VSW_MAC_BROADCAST)
		return t->broadcast.n;
	if (!vsw_mac_is_group(dst))
		return t->unknown.n;
	/* Group addresses are numbers: those of the next one begin where these end. */
	first = first_member(t, dst);
	return t->groups.n + first_member(t, dst + 1) - first;
}

static unsigned int
flood(struct vsw_lcore *lc, uint64_t dst, unsigned int i)
{
	const struct vsw_takers *t = __atomic_load_n(&lc->sw->takers, __ATOMIC_ACQUIRE);

	if (dst == VSW_MAC_BROADCAST)
		return copy_to_list(lc, &t->broadcast, i);
	if (!vsw_mac_is_group(dst))
		return copy_to_list(lc, &t->unknown, i);
	return copy_to_list(lc, &t->groups, i) + copy_to_members(lc, t, dst, i);
}

/*
 * May the source flood now? Copies cost the switch far more than the frame costs its sender, so
 * they are paid for: bytes, with a minimum, out of an allowance that a single frame may overdraw. But
 * not one to be cut (4.8): 64 KiB in 128 parts take 40 us for each guest, 40 ms for 1000 of them.
 */
static bool
flood_allowed(struct vsw_lcore *lc, uint64_t dst, const struct vsw_frame *f)
{
	int64_t left = nfed_allowance_count(&lc->flood[lc->src->id], &lc->sw->flood, lc->now);

	if (unlikely(f->flags & NFE_MSG_F_GSO)) {
		const struct vsw_takers *t = __atomic_load_n(&lc->sw->takers, __ATOMIC_ACQUIRE);

		/* One copy is free. */
		return left + f->len >= (int64_t)nb_takers(t, dst) * f->len;
	}
	return left > 0;
}

/* Neither a port's own address nor the FDB knows it: group addresses, and unknown unicast. */
void
vsw_forward_many(struct vsw_lcore *lc, uint64_t dst, unsigned int i)
{
	unsigned int copies;

	if (!flood_allowed(lc, dst, &lc->frames[i])) {
		vsw_count(lc, lc->src, NFE_STAT_from_drop_flood, 1);
		return;
	}
	copies = flood(lc, dst, i);
	if (copies == 0 && !vsw_mac_is_group(dst)) {
		vsw_count(lc, lc->src, NFE_STAT_from_drop_no_port, 1);
		return;
	}
	vsw_count(lc, lc->src, NFE_STAT_from_flooded, 1);
	vsw_count(lc, lc->src, NFE_STAT_from_copies, copies);
	if (copies <= 1) /* it is paid for with the frame: unknown to us, but not to the one uplink */
		return;
	lc->cost += (uint64_t)(copies - 1) * (lc->frames[i].len + VSW_CELL_COST);
	lc->flood[lc->src->id].left -=
		(int64_t)(copies - 1) * RTE_MAX(lc->frames[i].len, FLOOD_MIN_COST);
}
