/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the files of the data path share: vsw_ingress.c, vsw_forward.c, vsw_flood.c, vsw_copy.c,
 * vsw_egress.c, vsw_uplink_io.c, and vsw_datapath.c, which names their entry points.
 *
 * The same sources are compiled once per instruction set, with VSW_ISA as the suffix of all their
 * names; vsw_create() picks one. So there is no vector code of its own to keep equal to a
 * portable one, except nfe_cell64_copy() in lib/nfe.
 */
#ifndef VSW_DATAPATH_H
#define VSW_DATAPATH_H

#include "vsw_internal.h"

#define VSW_JOIN_(name, isa) name##_##isa
#define VSW_JOIN(name, isa) VSW_JOIN_(name, isa)
#define vsw_chan_poll VSW_JOIN(vsw_chan_poll, VSW_ISA)
#define vsw_forward VSW_JOIN(vsw_forward, VSW_ISA)
#define vsw_offer VSW_JOIN(vsw_offer, VSW_ISA)
#define vsw_forward_many VSW_JOIN(vsw_forward_many, VSW_ISA)
#define vsw_deliver VSW_JOIN(vsw_deliver, VSW_ISA)
#define vsw_touch VSW_JOIN(vsw_touch, VSW_ISA)
#define vsw_wake VSW_JOIN(vsw_wake, VSW_ISA)
#define vsw_frame_copy VSW_JOIN(vsw_frame_copy, VSW_ISA)
#define vsw_plain_copy VSW_JOIN(vsw_plain_copy, VSW_ISA)
#define vsw_frame_poisoned VSW_JOIN(vsw_frame_poisoned, VSW_ISA)
#define vsw_uplink_poll VSW_JOIN(vsw_uplink_poll, VSW_ISA)
#define vsw_uplink_deliver VSW_JOIN(vsw_uplink_deliver, VSW_ISA)

/* vsw_ingress.c */
unsigned int vsw_chan_poll(struct vsw_lcore *lc, struct vsw_chan *c);
/* vsw_forward.c: decide for the frames of the turn, which came from lc->src; stage them */
void vsw_forward(struct vsw_lcore *lc, struct vsw_fdb_cache *cache);
/* Offer a frame of the turn to port: to be delivered, or dropped with a reason. */
void vsw_offer(struct vsw_lcore *lc, struct vsw_port *port, unsigned int frame);
/* vsw_flood.c: neither a port's own address nor the FDB knows dst, to which the frame goes */
void vsw_forward_many(struct vsw_lcore *lc, uint64_t dst, unsigned int frame);
/* vsw_egress.c: deliver what is staged, wake who sleeps */
void vsw_deliver(struct vsw_lcore *lc);
void vsw_touch(struct vsw_lcore *lc, struct nfed_channel *ch, struct nfed_queue *q,
	       uint32_t old_idx);
void vsw_wake(struct vsw_lcore *lc);
/* Stage n frames for dst, from number first on. They count as offered there when they are delivered or
 * dropped. Frames that follow each other to one destination are one run: no list to walk. */
static inline void
vsw_stage(struct vsw_lcore *lc, struct vsw_dst *dst, unsigned int first, unsigned int n)
{
	struct vsw_stage *st = &lc->stage[dst->slot];
	uint16_t node, end = (uint16_t)(first + n);

	if (likely(st->head != VSW_NO_NODE && lc->nodes[st->tail].end == first)) {
		lc->nodes[st->tail].end = end;
		return;
	}
	if (unlikely(lc->nb_nodes == VSW_NODES))
		vsw_deliver(lc);
	node = (uint16_t)lc->nb_nodes++;
	lc->nodes[node] = (struct vsw_node){ (uint16_t)first, end, VSW_NO_NODE };
	if (st->head == VSW_NO_NODE) {
		st->head = node;
		lc->dsts[lc->nb_dsts++] = dst;
	} else {
		lc->nodes[st->tail].next = node;
	}
	st->tail = node;
}

/* vsw_copy.c: frame -> flat private memory or buffers */
void vsw_frame_copy(const struct vsw_frame *f, uint8_t *const *buf, uint32_t buf_size);
/* One with a header of NFE_HDR_COPY bytes and one segment, into one buffer that is long enough. */
void vsw_plain_copy(const struct vsw_frame *f, uint8_t *buf);
bool vsw_frame_poisoned(const struct vsw_frame *f);
/* vsw_uplink_io.c */
unsigned int vsw_uplink_poll(struct vsw_lcore *lc, struct vsw_port *port);
void vsw_uplink_deliver(struct vsw_lcore *lc, struct vsw_port *port, uint16_t node);

#endif /* VSW_DATAPATH_H */
