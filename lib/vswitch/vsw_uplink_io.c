/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Uplinks, data lcores: frames come in mbufs of our own memory; frames to an uplink are copied once
 * into an mbuf. One lcore receives from an uplink, all may send (own Tx queues, or a lock where the
 * device has fewer).
 */
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_tcp.h>

#include "vsw_ahead.h"
#include "vsw_datapath.h"
#include "vsw_offload.h"

#define LEAST_TSO 512u /* bytes of a segment: NICs take less for an attack and stop the queue */

/* Tell the control thread where addresses are. The same ones again and again are the common case:
 * told once a while, which also keeps them from ageing. */
static void
learn(struct vsw_lcore *lc, const struct vsw_port *port)
{
	struct vsw_uplink *u = port->uplink;

	for (unsigned int i = 0; i < lc->nb_frames; i++) {
		uint64_t mac = vsw_mac_in(lc->frames[i].hdr + VSW_MAC_BYTES);
		uint64_t note = mac | (uint64_t)port->id << VSW_LEARN_SHIFT;

		unsigned int at = (mac >> 32 ^ mac >> 40) & (VSW_TOLD - 1); /* the last two bytes */

		if (mac == u->told[at].mac && lc->now < u->told[at].until)
			continue;
		u->told[at].mac = mac;
		u->told[at].until = lc->now + rte_get_tsc_hz();
		if (!vsw_mac_is_group(mac))
			rte_ring_enqueue_elem(lc->sw->learn, &note, sizeof(note));
	}
}

/* A short frame as cells, so that it goes to a guest as one from a guest does (guest and uplink,
 * 64 B: 529 cycles, now 369); NULL: not short, or no room for its cells in this turn. */
static const union nfe_msg *
short_cells(struct vsw_lcore *lc, const struct rte_mbuf *m)
{
	union nfe_msg *cells = &lc->cells[lc->nb_cells];
	uint32_t nb = nfe_inline_cells(m->pkt_len);

	if (m->pkt_len > NFE_INLINE_SHORT || m->data_len != m->pkt_len ||
	    m->data_off < NFE_CELL_HEAD || m->data_off + NFE_INLINE_SHORT > m->buf_len ||
	    lc->nb_cells + nb > VSW_MAX_BURST)
		return NULL;
	nfe_put_inline((uint8_t *)cells, rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len);
	lc->nb_cells += nb;
	return cells;
}

/* The frame of an mbuf; false: runt. The header is looked at in place: it is our memory. */
static bool
mbuf_frame(struct vsw_lcore *lc, struct vsw_port *port, struct rte_mbuf *m)
{
	uint32_t need = RTE_MIN(m->pkt_len, NFE_HDR_COPY);
	struct vsw_frame *f = &lc->frames[lc->nb_frames];
	struct vsw_seg *seg = &lc->segs[lc->nb_segs];

	lc->cost += m->pkt_len;
	vsw_count(lc, port, NFE_STAT_from_frames, 1);
	if (m->pkt_len < NFE_MIN_FRAME) {
		vsw_count(lc, port, NFE_STAT_from_drop_runt, 1);
		return false;
	}
	if ((m->data_len < need && rte_pktmbuf_linearize(m) != 0) ||
	    m->nb_segs > NFE_SEGS_PER_CELL) {
		vsw_count(lc, port, NFE_STAT_from_drop_segs, 1);
		return false;
	}
	f->hdr = rte_pktmbuf_mtod(m, const uint8_t *);
	f->seg = seg;
	f->len = m->pkt_len;
	f->hdr_len = m->data_len;
	f->nsegs = 0;
	f->flags = 0;
	f->cells = short_cells(lc, m);
	for (const struct rte_mbuf *s = m->next; s != NULL; s = s->next)
		seg[f->nsegs++] = (struct vsw_seg){ rte_pktmbuf_mtod(s, const uint8_t *), s->data_len, NULL };
	if (port->uplink->checks &&
	    (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
		f->flags = NFE_MSG_F_CSUM_OK;
		f->hints = NULL;
	}
	lc->nb_segs += f->nsegs;
	lc->nb_frames++;
	vsw_count(lc, port, NFE_STAT_from_bytes, m->pkt_len);
	return true;
}

unsigned int
vsw_uplink_poll(struct vsw_lcore *lc, struct vsw_port *port)
{
	struct rte_mbuf *m[VSW_UPLINK_BURST];
	uint16_t n = rte_eth_rx_burst(port->uplink->ethdev, 0, m, VSW_UPLINK_BURST);

	if (n == 0)
		return 0;
	lc->src = port;
	lc->src_ch = NULL;
	lc->nb_frames = lc->nb_segs = lc->nb_cells = 0;
	lc->cost = 0;
	vsw_ahead_begin(lc, NULL, 0);
	for (uint16_t i = 0; i < n; i++)
		mbuf_frame(lc, port, m[i]);
	if (port->uplink->learning)
		learn(lc, port);
	vsw_forward(lc, &port->uplink->fdb_cache);
	vsw_deliver(lc);
	vsw_wake(lc);
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

/* Mbufs for len bytes, one after the other, and where their data goes; NULL: none left. */
static struct rte_mbuf *
alloc_chain(const struct vsw_uplink *u, uint32_t len, uint8_t **to)
{
	struct rte_mbuf *m[VSW_UPLINK_MAX_SEGS];
	uint16_t n = (uint16_t)((len + u->room - 1) / u->room);

	if (rte_pktmbuf_alloc_bulk(u->pool, m, n) != 0)
		return NULL;
	for (uint16_t i = 0; i < n; i++) {
		to[i] = rte_pktmbuf_mtod(m[i], uint8_t *);
		m[i]->data_len = (uint16_t)RTE_MIN(len - i * u->room, u->room);
		m[i]->next = i + 1 < n ? m[i + 1] : NULL;
	}
	m[0]->nb_segs = n;
	m[0]->pkt_len = len;
	return m[0];
}

static struct rte_mbuf *
frame_mbuf(const struct vsw_uplink *u, const struct vsw_frame *f, enum nfe_stat *why)
{
	uint8_t *to[VSW_UPLINK_MAX_SEGS];
	struct rte_mbuf *m;

	*why = NFE_STAT_to_drop_too_long;
	if (f->len > u->max_len)
		return NULL;
	*why = NFE_STAT_to_drop_no_buffer;
	m = alloc_chain(u, f->len, to);
	if (m == NULL)
		return NULL;
	vsw_frame_copy(f, to, u->room);
	if (vsw_frame_poisoned(f)) {
		*why = NFE_STAT_to_drop_fault;
		rte_pktmbuf_free(m);
		return NULL;
	}
	return m;
}

static uint16_t
uplink_txq(const struct vsw_lcore *lc, const struct vsw_uplink *u)
{
	return (uint16_t)(lc->index % u->nb_txq);
}

static uint16_t
uplink_tx(struct vsw_lcore *lc, const struct vsw_uplink *u, struct rte_mbuf **m, uint16_t n)
{
	uint16_t txq = uplink_txq(lc, u), sent;
	rte_spinlock_t *lock = (rte_spinlock_t *)(uintptr_t)&u->tx_lock[txq];
	bool shared = u->nb_txq < lc->sw->nb_lcores;

	if (shared)
		rte_spinlock_lock(lock);
	sent = rte_eth_tx_burst(u->ethdev, txq, m, n);
	if (shared)
		rte_spinlock_unlock(lock);
	return sent;
}

struct outbox { /* frames for an uplink, one mbuf each in lc->tx */
	struct vsw_lcore *lc;
	struct vsw_port *port;
	uint16_t n;
	uint64_t bytes;
};

static void
flush(struct outbox *o)
{
	struct vsw_lcore *lc = o->lc;
	uint16_t sent;

	if (o->n == 0)
		return;
	sent = uplink_tx(lc, o->port->uplink, lc->tx, o->n);
	for (uint16_t i = sent; i < o->n; i++)
		o->bytes -= lc->tx[i]->pkt_len;
	rte_pktmbuf_free_bulk(&lc->tx[sent], o->n - sent);
	vsw_count(lc, o->port, NFE_STAT_to_frames, sent);
	vsw_count(lc, o->port, NFE_STAT_to_bytes, o->bytes);
	vsw_count(lc, o->port, NFE_STAT_to_drop_full, o->n - sent);
	o->n = 0;
	o->bytes = 0;
}

/* Into the outbox. 0 or the reason of the drop. */
static enum nfe_stat
put_mbuf(struct outbox *o, const struct vsw_frame *f)
{
	enum nfe_stat why = NFE_STAT_to_drop_too_long;
	struct rte_mbuf *m = NULL;

	if (f->len <= o->port->max_frame)
		m = frame_mbuf(o->port->uplink, f, &why);
	if (m == NULL)
		return why;
	o->bytes += f->len;
	o->lc->tx[o->n++] = m;
	return 0;
}

/* A frame to be cut; of TCP's header the mbuf has a copy. What makes one segment only needs its
 * checksums: net_tap refuses to cut it. 0 or the reason of the drop. */
static enum nfe_stat
set_segments(struct rte_mbuf *m, const struct vsw_frame *f, const struct nfe_l4 *l4,
	     uint32_t max_frame)
{
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, l4->start);
	uint32_t tcp_len = (tcp->data_off >> 4) * 4, hdr_len = l4->start + tcp_len;

	if (tcp_len < NFE_TCP_HDR_MIN || hdr_len >= f->len)
		return NFE_STAT_to_drop_hints;
	m->ol_flags |= l4->ipv6 ? 0 : RTE_MBUF_F_TX_IP_CKSUM;
	if (f->len - hdr_len <= f->hints->gso_size)
		return f->len <= max_frame ? 0 : NFE_STAT_to_drop_too_long;
	if (hdr_len + f->hints->gso_size > max_frame)
		return NFE_STAT_to_drop_too_long;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->l4_len = tcp_len;
	m->tso_segsz = f->hints->gso_size;
	return 0;
}

/* What the device is to do with a frame whose headers lie in the first mbuf, where nobody else writes.
 * 0 or the reason of the drop. */
static enum nfe_stat
set_offloads(struct rte_mbuf *m, const struct vsw_frame *f, uint32_t max_frame)
{
	struct nfe_l4 l4;

	if (!nfe_l4_find(f->hdr, &l4))
		return NFE_STAT_to_drop_hints;
	m->l2_len = l4.ip;
	m->l3_len = l4.start - l4.ip;
	m->ol_flags |= l4.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= l4.proto == NFE_L4_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (f->flags & NFE_MSG_F_GSO)
		return set_segments(m, f, &l4, max_frame);
	return f->len <= max_frame ? 0 : NFE_STAT_to_drop_too_long;
}

/* 4.8. The device completes the checksum, and cuts the frame if it is to be cut. */
static enum nfe_stat
put_offloaded(struct outbox *o, const struct vsw_frame *f)
{
	const struct vsw_uplink *u = o->port->uplink;
	enum nfe_stat why = 0;
	struct rte_mbuf *m = frame_mbuf(u, f, &why);

	if (m == NULL)
		return why;
	why = set_offloads(m, f, o->port->max_frame);
	if (why == 0 && rte_eth_tx_prepare(u->ethdev, uplink_txq(o->lc, u), &m, 1) != 1)
		why = NFE_STAT_to_drop_hints;
	if (why != 0) {
		rte_pktmbuf_free(m);
		return why;
	}
	o->bytes += f->len;
	o->lc->tx[o->n++] = m;
	return 0;
}

/* 4.8. The parts of a frame go as a burst of their own: they count as one frame. */
static enum nfe_stat
send_parts(struct outbox *o, const struct vsw_frame *f)
{
	struct vsw_cut cut;
	struct vsw_patch p;
	enum nfe_stat why = vsw_cut_start(&cut, f);
	uint16_t sent;

	static_assert(NFE_GSO_MAX_PARTS <= VSW_NODES, "parts of a frame fit lc->tx");
	flush(o);
	while (why == 0 && vsw_cut_next(&cut, &p)) {
		why = vsw_patch_complete(&p, &p.f);
		if (why == 0)
			why = put_mbuf(o, &p.f);
	}
	sent = o->n == 0 ? 0 : uplink_tx(o->lc, o->port->uplink, o->lc->tx, o->n);
	rte_pktmbuf_free_bulk(&o->lc->tx[sent], o->n - sent);
	vsw_count(o->lc, o->port, NFE_STAT_to_parts, sent);
	o->lc->cost += (uint64_t)o->n * VSW_CELL_COST; /* the sender's, sent or not */
	if (why == 0 && sent < o->n)
		why = NFE_STAT_to_drop_full;
	o->n = 0;
	o->bytes = 0;
	if (why != 0)
		return why;
	vsw_count(o->lc, o->port, NFE_STAT_to_frames, 1);
	vsw_count(o->lc, o->port, NFE_STAT_to_bytes, f->len);
	return 0;
}

static __rte_noinline enum nfe_stat
put_hinted(struct outbox *o, const struct vsw_frame *f)
{
	const struct vsw_uplink *u = o->port->uplink;
	enum nfe_stat why;
	struct vsw_patch p;

	if (f->flags & NFE_MSG_F_GSO) {
		if (u->cuts && f->len <= u->max_len && f->hints->gso_size >= LEAST_TSO)
			return put_offloaded(o, f);
		return send_parts(o, f);
	}
	if (!(f->flags & NFE_MSG_F_CSUM_PARTIAL))
		return put_mbuf(o, f);
	if (u->sums)
		return put_offloaded(o, f);
	why = vsw_patch_complete(&p, f);
	return why != 0 ? why : put_mbuf(o, &p.f);
}

void
vsw_uplink_deliver(struct vsw_lcore *lc, struct vsw_port *port, uint16_t node)
{
	struct outbox o = { .lc = lc, .port = port };
	uint64_t offered = 0;

	for (; node != VSW_NO_NODE; node = lc->nodes[node].next) {
		const struct vsw_node *run = &lc->nodes[node];

		offered += run->end - run->first;
		for (uint16_t i = run->first; i < run->end; i++) {
			const struct vsw_frame *f = &lc->frames[i];
			enum nfe_stat why =
				likely(f->flags == 0) ? put_mbuf(&o, f) : put_hinted(&o, f);

			if (likely(why == 0))
				continue;
			vsw_count(lc, port, why, 1);
			if (unlikely(why == NFE_STAT_to_drop_fault))
				nfed_fault(lc->src_ch, NFE_REASON_MEMORY_GONE);
		}
	}
	vsw_count(lc, port, NFE_STAT_to_offered, offered);
	flush(&o);
}
