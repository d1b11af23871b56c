/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Transmit burst: reclaim, fill, publish (specification 4 and 5). Runs on the one data thread of
 * the queue. A short frame is copied into cells and its mbuf freed at once; a longer one goes by
 * reference, its mbuf kept until the device has consumed the message.
 *
 * The cells of one message are contiguous in the array: where they would wrap, NOPs fill the rest.
 * Queues have at least 16 cells, messages at most half of them, so this always comes to an end.
 */
#include <errno.h>
#include <string.h>

#include <rte_memcpy.h>

#include "nfe_ethdev.h"
#include "nfe_tx_hints.h"
#include "nfe_vlan.h"

static inline uint8_t *
tx_cell(const struct nfe_txq *q, uint32_t index)
{
	return q->cells + (size_t)(index & q->mask) * NFE_MSG_SIZE;
}

static void
tx_free_done(struct nfe_txq *q)
{
	if (q->nb_done == 0)
		return;
	if (q->fast_free) /* one pool, no references: the application's promise */
		rte_mempool_put_bulk(q->done[0]->pool, (void **)q->done, q->nb_done);
	else
		rte_pktmbuf_free_bulk(q->done, q->nb_done);
	q->nb_done = 0;
}

static inline void
tx_done(struct nfe_txq *q, struct rte_mbuf *m)
{
	if (unlikely(q->fast_free && m->nb_segs != 1)) {
		rte_pktmbuf_free(m);
		return;
	}
	q->done[q->nb_done++] = m;
	if (q->nb_done == NFE_BURST_CHUNK)
		tx_free_done(q);
}

static inline uint32_t
tx_free_cells(const struct nfe_txq *q)
{
	return q->size - (q->prod - q->cons);
}

uint32_t
nfe_tx_reclaim(struct nfe_txq *q, uint32_t max, uint32_t keep, uint32_t room)
{
	uint32_t cons = nfe_idx_read(&q->status->sq_cons); /* R2 */
	uint32_t freed = 0;

	if (unlikely(cons - q->cons > q->prod - q->cons)) {
		q->count.bad_index++;
		return 0;
	}
	for (; q->cons != cons && q->nb_held > 0 && freed < max; q->cons++) {
		struct rte_mbuf **held = &q->sw[q->cons & q->mask];

		if (q->nb_held <= keep && tx_free_cells(q) >= room)
			break;
		if (*held == NULL)
			continue;
		tx_done(q, *held);
		*held = NULL;
		q->nb_held--;
		freed++;
	}
	if (q->nb_held == 0)
		q->cons = cons; /* only inline frames and NOPs are left */
	tx_free_done(q);
	return freed;
}

/*
 * Cells that this burst will probably write, as many as the one before: asked for all at once,
 * since they are in the cache of the device, which read them a round ago (64 B: 85 cycles to send a
 * frame without, 56 when each cell written asked for the one 16 further on; CPUs far from each
 * other, 64 B: 20.0 Mpps so, now 22.5). Those of a longer burst follow as these are written.
 */
static inline void
tx_ask(struct nfe_txq *q)
{
	uint32_t n = RTE_MIN(q->burst_cells, tx_free_cells(q));

	q->ask_end = q->prod + n;
	for (uint32_t i = 0; i < RTE_MIN(n, NFE_TX_ASKED); i++)
		nfe_prefetch_write(tx_cell(q, q->prod + i));
}

/* So many cells are written now: as many further on (far, 250 B: 9.0 Mpps, now 10.5). */
static inline void
tx_ask_on(const struct nfe_txq *q, uint32_t cells)
{
	uint32_t next = q->prod + NFE_TX_ASKED;

	for (; cells > 0 && (int32_t)(q->ask_end - next) > 0; cells--)
		nfe_prefetch_write(tx_cell(q, next++));
}

/*
 * Room for cells of one message, contiguous: pads with NOPs up to the wrap where needed. NULL: the
 * queue is full. Otherwise q->prod stands at the first of the cells.
 */
static uint8_t *
tx_room(struct nfe_txq *q, uint32_t cells)
{
	static const union nfe_msg nop = { .type = NFE_MSG_NOP };
	uint32_t left = q->size - (q->prod & q->mask);
	uint32_t pad = left < cells ? left : 0;

	if (tx_free_cells(q) < cells + pad)
		return NULL;
	for (; pad > 0; pad--)
		nfe_cell_copy(tx_cell(q, q->prod++), &nop, sizeof(nop));
	return tx_cell(q, q->prod);
}

/* tag: bytes that are inserted, 0 or NFE_VLAN_TAG. */
static bool
tx_fill_inline(struct nfe_txq *q, struct rte_mbuf *m, uint32_t tag)
{
	uint32_t len = m->pkt_len + tag, cells = nfe_inline_cells(len), left = m->pkt_len, skip = 0;
	uint8_t *cell = tx_room(q, cells), *end;
	struct nfe_msg_inline head = { .type = NFE_MSG_INLINE, .len = len };
	const struct rte_mbuf *seg;

	if (cell == NULL)
		return false;
	memcpy(cell, &head, offsetof(struct nfe_msg_inline, frame));
	end = cell + (size_t)cells * NFE_MSG_SIZE;
	cell += offsetof(struct nfe_msg_inline, frame);
	if (tag != 0) {
		nfe_vlan_put_head(cell, m);
		cell += NFE_VLAN_AT + NFE_VLAN_TAG;
		skip = NFE_VLAN_AT;
		left -= NFE_VLAN_AT;
	}
	for (seg = m; seg != NULL && left > 0; seg = seg->next) {
		uint32_t at = RTE_MIN(skip, seg->data_len), n = RTE_MIN(left, seg->data_len - at);

		rte_memcpy(cell, rte_pktmbuf_mtod_offset(seg, const void *, at), n);
		skip -= at;
		cell += n;
		left -= n;
	}
	memset(cell, 0, end - cell); /* rule 20 */
	q->prod += cells;
	q->count.sent_inline++;
	tx_done(q, m);
	return true;
}

/* The usual short frame: one mbuf, with room around it to read whole cells (60 B: 56 cycles, now
 * 44; 252 B: 94, now 69). */
static inline bool
tx_is_short(const struct nfe_txq *q, const struct rte_mbuf *m)
{
	return m->data_len >= NFE_MIN_FRAME && m->data_len <= q->short_len &&
	       m->data_len == m->pkt_len && m->data_off >= NFE_CELL_HEAD &&
	       m->data_off + NFE_INLINE_SHORT <= m->buf_len;
}

static inline bool
tx_fill_short(struct nfe_txq *q, struct rte_mbuf *m)
{
	uint32_t len = m->data_len, cells = nfe_inline_cells(len);
	uint8_t *cell = tx_room(q, cells);

	if (unlikely(cell == NULL))
		return false;
	tx_ask_on(q, cells);
	nfe_put_inline(cell, rte_pktmbuf_mtod(m, const uint8_t *), len);
	q->prod += cells;
	q->count.sent_inline++;
	tx_done(q, m);
	return true;
}

/*
 * Split a frame into header copy and segments. Gives the number of segments; -EFAULT: memory that
 * the device can't reach; -E2BIG: too many. A buffer that spans two regions is two segments. hdr
 * takes hdr_max bytes, less than all if a tag comes before them.
 */
static inline int
tx_gather(struct nfe_txq *q, const struct nfe_map *map, const struct rte_mbuf *m, uint8_t *hdr,
	  uint32_t hdr_max, struct nfe_seg_tx *segs)
{
	uint32_t hdr_len = 0, nb = 0;

	for (; m != NULL; m = m->next) {
		const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
		uint32_t len = m->data_len;
		uint32_t copy = RTE_MIN(len, hdr_max - hdr_len);

		if (likely(copy == NFE_HDR_COPY))
			memcpy(hdr, data, NFE_HDR_COPY); /* not a call */
		else
			memcpy(hdr + hdr_len, data, copy);
		hdr_len += copy;
		data += copy;
		len -= copy;
		while (len > 0) {
			struct nfe_seg_tx *seg = &segs[nb];
			uint64_t run;

			if (nb == q->max_segs)
				return -E2BIG;
			run = nfe_map_find(map, &q->map_hit, data, &seg->key, &seg->offset);
			if (run == 0)
				return -EFAULT;
			seg->len = RTE_MIN(run, len);
			data += seg->len;
			len -= seg->len;
			nb++;
		}
	}
	return nb > 0 ? (int)nb : -E2BIG;
}

static bool
tx_fill_dma(struct nfe_txq *q, struct rte_mbuf *m, const uint8_t hdr[NFE_HDR_COPY],
	    const struct nfe_seg_tx *segs, uint32_t nb_segs, uint8_t flags, struct nfe_hints hints)
{
	uint32_t cells = nfe_dma_cells(nb_segs);
	uint8_t *cell = tx_room(q, cells), *more;

	if (cell == NULL)
		return false;
	hints.nsegs = nb_segs;
	nfe_put_dma(cell, nfe_put_head(NFE_MSG_DMA_TX, flags, segs[0].len, segs[0].key),
		    segs[0].offset, hints, hdr);
	more = cell + NFE_MSG_SIZE;
	for (uint32_t i = 1; i < nb_segs; i++, more += sizeof(segs[0]))
		nfe_put_entry(more, nfe_put_pair(segs[i].key, segs[i].len), segs[i].offset);
	for (; more < cell + cells * NFE_MSG_SIZE; more += sizeof(segs[0]))
		nfe_put_entry(more, 0, 0); /* rule 20 */
	q->prod += cells;
	q->sw[(q->prod - 1) & q->mask] = m;
	q->nb_held++;
	q->count.sent_dma++;
	return true;
}

static bool
tx_drop(struct nfe_txq *q, struct rte_mbuf *m, uint64_t *reason)
{
	(*reason)++;
	q->refused++;
	q->refused_bytes += m->pkt_len;
	tx_done(q, m);
	return true;
}

/* A frame that can't go by reference goes inline if the device takes it. */
static bool
tx_fill_instead(struct nfe_txq *q, struct rte_mbuf *m, uint32_t tag, bool inline_ok, int error)
{
	if (inline_ok && m->pkt_len + tag <= q->inline_max)
		return tx_fill_inline(q, m, tag);
	return tx_drop(q, m, error == -EFAULT ? &q->count.drop_unregistered : &q->count.drop_segs);
}

/* The usual long frame: in one mbuf and one region (nfe-test nfe_perf, 512 B: 22 cycles to send,
 * now 13). */
static inline bool
tx_is_plain(struct nfe_txq *q, const struct nfe_map *map, const struct rte_mbuf *m, uint32_t *key,
	    uint64_t *offset)
{
	uint32_t len = m->data_len;

	return len == m->pkt_len && len > NFE_HDR_COPY &&
	       nfe_map_find(map, &q->map_hit, rte_pktmbuf_mtod(m, const char *) + NFE_HDR_COPY, key,
			    offset) >= len - NFE_HDR_COPY;
}

static bool
tx_fill_plain(struct nfe_txq *q, struct rte_mbuf *m, uint32_t key, uint64_t offset)
{
	uint16_t len = (uint16_t)(m->data_len - NFE_HDR_COPY);

	if (unlikely(tx_free_cells(q) == 0))
		return false;
	nfe_put_dma(tx_cell(q, q->prod), nfe_put_head(NFE_MSG_DMA_TX, 0, len, key), offset,
		    (struct nfe_hints){ .nsegs = 1 }, rte_pktmbuf_mtod(m, const void *));
	q->sw[q->prod++ & q->mask] = m;
	q->nb_held++;
	q->count.sent_dma++;
	return true;
}

static __rte_noinline bool
tx_fill_reference(struct nfe_txq *q, const struct nfe_map *map, struct rte_mbuf *m)
{
	struct nfe_seg_tx segs[NFE_MAX_SEGS];
	uint8_t hdr[NFE_HDR_COPY];
	int nb_segs = tx_gather(q, map, m, hdr, NFE_HDR_COPY, segs);

	if (likely(nb_segs > 0))
		return tx_fill_dma(q, m, hdr, segs, nb_segs, 0, (struct nfe_hints){ 0 });
	return tx_fill_instead(q, m, 0, true, nb_segs);
}

/* A frame that is completed on the way: with hints, which always goes by reference (that it is long
 * enough follows from the hints), or with a tag to be inserted. */
static __rte_noinline bool
tx_fill_hinted(struct nfe_txq *q, const struct nfe_map *map, struct rte_mbuf *m)
{
	uint32_t tag = nfe_vlan_added(m), len = m->pkt_len + tag;
	struct nfe_seg_tx segs[NFE_MAX_SEGS];
	uint8_t hdr[NFE_HDR_COPY] = { 0 };
	struct nfe_hints h = { 0 };
	uint8_t flags = m->ol_flags & q->hint_flags & NFE_TX_HINTED ? nfe_tx_hints(m, &h) : 0;
	int nb_segs;

	if (m->pkt_len < NFE_MIN_FRAME)
		return tx_drop(q, m, &q->count.drop_runt);
	if (len > (flags & NFE_MSG_F_GSO ? NFE_GSO_MAX_FRAME : q->max_frame))
		return tx_drop(q, m, &q->count.drop_giant);
	if (flags == 0 && len <= q->inline_len)
		return tx_fill_inline(q, m, tag);
	nb_segs = tx_gather(q, map, m, hdr + tag, NFE_HDR_COPY - tag, segs);
	if (nb_segs <= 0)
		return tx_fill_instead(q, m, tag, flags == 0, nb_segs);
	if (tag != 0)
		nfe_vlan_put(hdr, m->vlan_tci);
	if (tag != 0 && h.csum_start != 0)
		h.csum_start += NFE_VLAN_TAG;
	if ((flags & ~q->send_flags) || !nfe_hints_valid(flags, &h, hdr, len))
		return tx_drop(q, m, &q->count.drop_hints);
	return tx_fill_dma(q, m, hdr, segs, nb_segs, flags, h);
}

/* False: no room. A frame that is refused is freed and counted. */
static __rte_always_inline bool
tx_fill_one(struct nfe_txq *q, const struct nfe_map *map, struct rte_mbuf *m, bool hints)
{
	uint32_t len = m->pkt_len, key;
	uint64_t offset;

	if (hints && (m->ol_flags & q->hint_flags))
		return tx_fill_hinted(q, map, m);
	if (likely(tx_is_short(q, m)))
		return tx_fill_short(q, m);
	if (unlikely(len < NFE_MIN_FRAME))
		return tx_drop(q, m, &q->count.drop_runt);
	if (unlikely(len > q->max_frame))
		return tx_drop(q, m, &q->count.drop_giant);
	if (len <= q->inline_len)
		return tx_fill_inline(q, m, 0);
	if (likely(tx_is_plain(q, map, m, &key, &offset)))
		return tx_fill_plain(q, m, key, offset);
	return tx_fill_reference(q, map, m);
}

/* Frames are freed while the index and the cells travel, which the fence waits for (1 %). */
static void
tx_publish(struct nfe_txq *q, uint32_t old)
{
	nfe_idx_publish(q->db_prod, q->prod); /* W1, P1 */
	tx_free_done(q);
	nfe_full_fence(); /* P2 */
	if (nfe_event_crossed(nfe_idx_read(&q->status->sq_event), q->prod, old)) { /* P3 */
		nfe_kick(q->port, q->channel);
		q->count.kicks++;
	}
}

static __rte_always_inline uint16_t
tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts, bool hints)
{
	struct nfe_txq *q = queue;
	const struct nfe_map *map;
	uint64_t bytes = 0;
	uint32_t old, room;
	uint16_t n;

	if (unlikely(!nfeh_gate_enter(&q->gate)))
		return 0;
	map = rte_atomic_load_explicit(&q->port->map, rte_memory_order_acquire);
	old = q->prod;
	room = RTE_MAX(q->free_thresh, 2u * nb_pkts);
	if (tx_free_cells(q) < room || q->nb_held >= q->held_limit) {
		nfe_tx_reclaim(q, UINT32_MAX, q->nb_kept, room + NFE_TX_LOT);
		q->held_limit = (uint16_t)(q->nb_held + NFE_TX_LOT);
	}
	tx_ask(q);
	q->refused = q->refused_bytes = 0;
	for (n = 0; n < nb_pkts; n++) {
		uint32_t len = pkts[n]->pkt_len;

		if (!tx_fill_one(q, map, pkts[n], hints))
			break;
		bytes += len;
	}
	/* Once per burst. Per frame the compiler stores both at once and reads them again for the
	 * next one; where that crosses a cache line, it waits for all cells before (64 B: 149
	 * cycles to send a frame to a core far away, now 110; 88 and 70 to a near one). */
	q->count.packets += n - q->refused;
	q->count.bytes += bytes - q->refused_bytes;
	if (q->prod != old) {
		tx_publish(q, old);
		q->burst_cells = q->prod - old;
	}
	tx_free_done(q);
	nfeh_gate_leave(&q->gate);
	return n;
}

uint16_t
nfe_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	return tx_burst(queue, pkts, nb_pkts, false);
}

uint16_t
nfe_tx_burst_hints(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	return tx_burst(queue, pkts, nb_pkts, true);
}
