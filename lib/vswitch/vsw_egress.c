/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * To a guest: deliver what the turn has staged, destination by destination: lock (only if
 * several lcores share it), write messages and buffers, publish once, unlock. Then wake who
 * sleeps, with one full fence for all queues touched (specification 5.4).
 *
 * A frame that cannot be delivered is counted at its destination with a reason.
 */
#include <rte_branch_prediction.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "vsw_ahead.h"
#include "vsw_datapath.h"
#include "vsw_offload.h"
#include "vsw_rss.h"

#define PREFETCH_SEGMENT 2048u /* bytes; a first level cache holds 32 KiB, a frame with hints 64 */
#define PREFETCH_BYTES 2048u /* of frames by reference, that which is put now among them */
#define PREFETCH_LEAST 2u    /* frames, however long */
#define PREFETCH_CELLS 16 /* of the receive queue: 129 -> 90 cycles for a frame of two cells */

struct sink { /* the destination while it is locked */
	struct vsw_lcore *lc;
	struct vsw_chan *c;
	struct nfed_queue *rq, *fq;
	uint32_t room; /* cells of the receive queue known to be free */
	uint32_t asked; /* index: so far its lines were asked for, by a guess */
	uint32_t fills_asked; /* index of the fill queue: so far the lines of its buffers were, likewise */
	uint32_t inline_max, plain_max; /* bytes; longer than these frames are not put the short ways */
	const struct vsw_rss *rss; /* of which messages tell the hash; NULL: none */
	bool sorts;  /* VLANs: each frame is looked at */
	bool hashed; /* the frame being put has a hash to tell */
	uint32_t hash;
};

struct put_count { /* frames put */
	uint64_t frames, bytes;
};

/*
 * Look at the guest's index again, and fill the end of the array with NOPs where the message would
 * wrap (4.7), even if there is no room behind them yet: a small queue may never have room for both.
 * False: no room; a lying index makes a fault.
 */
static __rte_noinline bool
reserve_again(struct sink *s, uint32_t cells, uint32_t pad)
{
	static const union nfe_msg nop = { .type = NFE_MSG_NOP };
	int32_t room = nfed_rq_room(s->rq, s->rq->capacity);

	if (unlikely(room < 0)) {
		nfed_fault(s->c->ch, NFE_REASON_RQ_OVERRUN);
		room = 0;
	}
	s->room = (uint32_t)room;
	if (s->room < pad)
		return false;
	for (uint32_t i = 0; i < pad; i++)
		nfed_rq_write(s->rq, i, &nop);
	s->rq->prod += pad;
	s->room -= pad;
	return s->room >= cells;
}

/* Is there room for so many contiguous cells, as far as is known? */
static inline bool
has_room(const struct sink *s, uint32_t cells)
{
	return cells <= s->room && cells <= s->rq->mask + 1 - (s->rq->prod & s->rq->mask);
}

/* Room in the receive queue for a message of so many contiguous cells. */
static inline bool
reserve(struct sink *s, uint32_t cells)
{
	uint32_t to_end = s->rq->mask + 1 - (s->rq->prod & s->rq->mask);
	uint32_t pad = cells > to_end ? to_end : 0;

	if (unlikely(s->lc->probing))
		vsw_faults_cells(s->lc, s->c->ch, pad + cells);
	if (likely(has_room(s, cells)))
		return true;
	return reserve_again(s, cells, pad);
}

/* So many cells are written. */
static inline void
advance(struct sink *s, uint32_t cells)
{
	s->rq->prod += cells;
	s->room -= cells;
}

static inline void
put_cells(struct sink *s, const union nfe_msg *m, uint32_t cells)
{
	bool asked = (int32_t)(s->asked - s->rq->prod) >= (int32_t)cells;

	nfed_rq_write_burst(s->rq, m, cells, asked ? 0 : PREFETCH_CELLS);
	advance(s, cells);
}

/* Bytes that the frame takes of an inline message. */
static inline uint32_t
inline_len(const struct sink *s, const struct vsw_frame *f)
{
	return f->len + (s->hashed ? NFE_INLINE_HASH : 0);
}

/* 4.2. 0 or the reason of the drop. */
static enum nfe_stat
put_inline(struct sink *s, const struct vsw_frame *f)
{
	uint32_t cells = nfe_inline_cells(inline_len(s, f));
	union nfe_msg m[VSW_INLINE_CELLS];
	uint8_t *to = (uint8_t *)m + offsetof(struct nfe_msg_inline, frame);

	if (unlikely(!reserve(s, cells)))
		return NFE_STAT_to_drop_full;
	if (likely(f->flags == 0 && f->cells != NULL && !s->hashed)) {
		put_cells(s, f->cells, cells);
		return 0;
	}
	memset(m, 0, cells * NFE_MSG_SIZE);
	m[0].in.type = NFE_MSG_INLINE;
	m[0].in.flags = f->flags & s->c->flags_to_host; /* CSUM_OK, if anything */
	m[0].in.len = (uint16_t)f->len;
	if (s->hashed) {
		m[0].in.flags |= NFE_MSG_F_HASH;
		m[0].in_hash.hash = s->hash;
		to += NFE_INLINE_HASH;
	}
	vsw_frame_copy(f, &to, f->len);
	if (unlikely(vsw_frame_poisoned(f)))
		return NFE_STAT_to_drop_fault;
	put_cells(s, m, cells);
	return 0;
}

/*
 * Give n fill entries back unused. They are consumed in order, so also the good ones before a bad
 * one. Without room for the RET they stay where they are.
 */
static void
give_back(struct sink *s, const struct nfe_fill *fill, uint32_t n, enum nfe_ret_reason reason)
{
	union nfe_msg m = { .ret = { .type = NFE_MSG_RET, .reason = (uint8_t)reason,
				     .n = (uint8_t)n, .fill_end = s->fq->cons + n } };

	if (!reserve(s, 1))
		return;
	for (uint32_t i = 0; i < n; i++)
		m.ret.cookie[i] = fill[i].cookie;
	put_cells(s, &m, 1);
	s->fq->cons += n;
}

/* Are n fill entries there? Looks at the guest's index only when what is known does not suffice. */
static bool
have_fills(struct sink *s, uint32_t n)
{
	if (likely(s->fq->prod - s->fq->cons >= n))
		return true;
	if (unlikely(nfed_queue_avail(s->fq) < 0)) {
		nfed_fault(s->c->ch, NFE_REASON_FQ_OVERRUN);
		s->fq->prod = s->fq->cons;
		return false;
	}
	return s->fq->prod - s->fq->cons >= n;
}

/* Ask for the lines of a buffer that will be written: stores to lines that the guest has read last go
 * one after the other, what is asked for before comes side by side. */
static inline void
prefetch_buffer(const uint8_t *buf, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += RTE_CACHE_LINE_SIZE)
		nfe_prefetch_write(buf + i);
}

/* The next n fill entries, each read once. */
static inline void
snapshot_fills(struct sink *s, uint32_t n, struct nfe_fill *fill)
{
	if (unlikely(s->lc->probing)) {
		vsw_faults_fills(s->lc, s->c->ch, n, fill);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		nfed_fq_snapshot(s->fq, i, &fill[i]);
}

/* Snapshot and translate n fill entries; on a bad one all up to it go back. */
static bool
take_fills(struct sink *s, uint32_t n, uint32_t len, struct nfe_fill *fill, uint8_t **buf,
	   const struct nfed_region **region)
{
	snapshot_fills(s, n, fill);
	for (uint32_t i = 0; i < n; i++) {
		struct nfed_region *r;

		if (unlikely(nfed_region_at(s->c->ch->regions, fill[i].key, fill[i].offset,
					    s->fq->buf_size, NFE_ACCESS_WRITE, &r, &buf[i]) !=
			     NFED_XLATE_OK)) {
			give_back(s, fill, i + 1, NFE_RET_BAD_ENTRY);
			return false;
		}
		region[i] = r;
		if ((int32_t)(s->fills_asked - (s->fq->cons + i)) <= 0)
			prefetch_buffer(buf[i], RTE_MIN(s->fq->buf_size, len - i * s->fq->buf_size));
	}
	return true;
}

/*
 * Ask for the lines of the buffers that a frame will probably take, behind those that were asked for. What
 * is read of the fill queue is a hint and is read again; an address made of it lies in the guest's memory.
 * (CPUs far from each other, 512 B: 280 cycles of the switch, now 232; 1500 B: 490, now 422.)
 */
static inline void
prefetch_buffers(struct sink *s, uint32_t len)
{
	uint32_t size = s->fq->buf_size, known = s->fq->prod - s->fq->cons;
	uint32_t ahead = s->fills_asked - s->fq->cons;

	if ((int32_t)ahead < 0) /* taken without having been asked for */
		ahead = 0;
	for (uint32_t at = 0; at < len && ahead < known; at += size, ahead++) {
		struct nfed_region *r;
		struct nfe_fill fill;
		uint8_t *buf;

		nfed_fq_snapshot(s->fq, ahead, &fill);
		if (unlikely(nfed_region_at(s->c->ch->regions, fill.key, fill.offset, size,
					    NFE_ACCESS_WRITE, &r, &buf) != NFED_XLATE_OK))
			break;
		prefetch_buffer(buf, RTE_MIN(size, len - at));
	}
	s->fills_asked = s->fq->cons + ahead;
}

/* The message of a frame in n buffers, room for which is reserved (4.4, 4.5). */
static void
put_dma_rx(struct sink *s, const struct vsw_frame *f, const struct nfe_fill *fill, uint32_t n)
{
	uint32_t size = s->fq->buf_size, first = RTE_MIN(f->len, size), left = f->len - first;
	uint8_t *cell = nfed_rq_cell(s->rq, 0), *more = cell + NFE_MSG_SIZE;
	uint8_t flags = f->flags & s->c->flags_to_host, short_hdr[NFE_HDR_COPY] = { 0 };
	const uint8_t *hdr = f->hdr;
	struct nfe_hints hints = { 0 };

	if (unlikely(f->flags != 0 && f->hints != NULL))
		hints = *f->hints;
	hints.nsegs = (uint8_t)n;
	if (unlikely(s->hashed))
		flags |= NFE_MSG_F_HASH;
	if (unlikely(f->len < NFE_HDR_COPY))
		hdr = memcpy(short_hdr, f->hdr, f->len);
	nfe_put_dma(cell, nfe_put_head(NFE_MSG_DMA_RX, flags, (uint16_t)first, fill[0].cookie),
		    nfe_put_pair(s->hashed ? s->hash : 0, s->fq->cons + n), hints, hdr);
	for (uint32_t i = 1; i < n; i++, more += sizeof(struct nfe_seg_rx)) {
		uint32_t len = RTE_MIN(left, size);

		nfe_put_entry(more, nfe_put_pair(fill[i].cookie, len), 0);
		left -= len;
	}
	for (; more < cell + nfe_dma_cells(n) * NFE_MSG_SIZE; more += sizeof(struct nfe_seg_rx))
		nfe_put_entry(more, 0, 0); /* rule 20 */
}

/* 4.4. 0 or the reason of the drop. */
static enum nfe_stat
put_dma(struct sink *s, const struct vsw_frame *f)
{
	uint32_t size = s->fq->buf_size, n, cells;
	struct nfe_fill fill[VSW_MAX_BUFS];
	const struct nfed_region *region[VSW_MAX_BUFS];
	uint8_t *buf[VSW_MAX_BUFS];

	if (unlikely(s->fq->role == 0))
		return NFE_STAT_to_drop_too_long;
	n = (f->len + size - 1) / size;
	cells = nfe_dma_cells(n);
	if (unlikely(n == 0 || n > s->c->max_bufs))
		return NFE_STAT_to_drop_too_long;
	if (unlikely(!reserve(s, cells)))
		return NFE_STAT_to_drop_full;
	if (unlikely(!have_fills(s, n)))
		return NFE_STAT_to_drop_no_buffer;
	if (unlikely(!take_fills(s, n, f->len, fill, buf, region)))
		return NFE_STAT_to_drop_bad_fill;
	vsw_frame_copy(f, buf, size);
	if (unlikely(vsw_frame_poisoned(f))) {
		give_back(s, fill, n, NFE_RET_COPY);
		return NFE_STAT_to_drop_fault;
	}
	for (uint32_t i = 0; i < n; i++)
		if (unlikely(nfed_region_poisoned(region[i]))) {
			nfed_fault(s->c->ch, NFE_REASON_MEMORY_GONE);
			return NFE_STAT_to_drop_fault;
		}
	put_dma_rx(s, f, fill, n);
	advance(s, cells);
	s->fq->cons += n;
	return 0;
}

static enum nfe_stat
put_plain(struct sink *s, const struct vsw_frame *f)
{
	if (unlikely(f->len > s->c->port->max_frame))
		return NFE_STAT_to_drop_too_long;
	return inline_len(s, f) <= s->c->inline_to_host ? put_inline(s, f) : put_dma(s, f);
}

/* 4.8. CSUM_OK, or CSUM_PARTIAL: completed where the guest doesn't take it, or it goes inline. */
static enum nfe_stat
put_checksum(struct sink *s, const struct vsw_frame *f)
{
	enum nfe_stat why;
	struct vsw_patch p;

	if (!(f->flags & NFE_MSG_F_CSUM_PARTIAL) ||
	    ((s->c->flags_to_host & NFE_MSG_F_CSUM_PARTIAL) &&
	     inline_len(s, f) > s->c->inline_to_host))
		return put_plain(s, f);
	why = vsw_patch_complete(&p, f);
	return why != 0 ? why : put_plain(s, &p.f);
}

/* 4.8. A frame to be cut: parts up to the first that is not taken, which says why. */
static enum nfe_stat
put_parts(struct sink *s, const struct vsw_frame *f)
{
	struct vsw_cut cut;
	struct vsw_patch p;
	enum nfe_stat why = vsw_cut_start(&cut, f);
	uint64_t parts = 0;

	while (why == 0 && vsw_cut_next(&cut, &p)) {
		why = put_checksum(s, &p.f);
		parts += why == 0;
	}
	vsw_count(s->lc, s->c->port, NFE_STAT_to_parts, parts);
	s->lc->cost += parts * VSW_CELL_COST; /* the sender's */
	return why;
}

static __rte_noinline enum nfe_stat
put_hinted(struct sink *s, const struct vsw_frame *f)
{
	const struct vsw_chan *c = s->c;

	if (!(f->flags & NFE_MSG_F_GSO))
		return put_checksum(s, f);
	if (f->hints->csum_start + NFE_TCP_HDR_MIN + f->hints->gso_size > c->port->max_frame)
		return NFE_STAT_to_drop_too_long;
	if ((c->flags_to_host & NFE_MSG_F_GSO) && s->fq->role != 0 &&
	    f->len <= c->max_bufs * s->fq->buf_size)
		return put_dma(s, f);
	return put_parts(s, f);
}

static enum nfe_stat
put_frame(struct sink *s, struct vsw_frame *f)
{
	if (unlikely(s->c->ch->fault != 0))
		return NFE_STAT_to_drop_link;
	if (unlikely(s->sorts && !vsw_vlan_wanted(s->c->port, f)))
		return NFE_STAT_to_drop_vlan;
	s->hashed = unlikely(s->rss != NULL) && vsw_rss_hash(s->lc, s->rss, f, &s->hash);
	return likely(f->flags == 0) ? put_plain(s, f) : put_hinted(s, f);
}

/* W1: what was written becomes visible. RQ first, FQ after it: specification 8.2 relies on it. */
static void
publish(struct sink *s)
{
	const struct nfed_region *tbl = s->c->ch->regions->tbl;
	bool taken = s->fq->role != 0 && s->fq->cons != s->fq->published;
	uint32_t old;

	if (unlikely(nfed_region_poisoned(&tbl[s->rq->region_idx]) ||
		     nfed_region_poisoned(&tbl[s->c->ch->status_region_idx]) ||
		     (taken && nfed_region_poisoned(&tbl[s->fq->region_idx])))) {
		nfed_fault(s->c->ch, NFE_REASON_MEMORY_GONE);
		return;
	}
	if (s->rq->prod != s->rq->published) {
		old = nfed_queue_publish(s->rq, s->rq->prod);
		if (s->rq->may_sleep)
			vsw_touch(s->lc, s->c->ch, s->rq, old);
	}
	if (taken)
		nfed_queue_publish(s->fq, s->fq->cons);
}

/* Ask for the lines of a frame that will be copied (1500 B: 1214 cycles, now 1129, with the CPUs
 * far from each other; 485 and 446 near. Taking the buffer ahead as well makes no difference). Of
 * a longer segment only the beginning. */
static inline void
prefetch_segments(const struct vsw_frame *f)
{
	for (uint32_t seg = 0; seg < f->nsegs; seg++) {
		uint32_t len = RTE_MIN(f->seg[seg].len, PREFETCH_SEGMENT);

		for (uint32_t i = 0; i < len; i += RTE_CACHE_LINE_SIZE)
			rte_prefetch0(f->seg[seg].addr + i);
	}
}

/* Bytes of it that lie, or will lie, elsewhere than in cells. */
static inline uint32_t
by_reference(const struct sink *s, const struct vsw_frame *f)
{
	return f->nsegs != 0 || f->len > s->c->inline_to_host ? f->len : 0;
}

/* A frame that will be put soon; returns bytes asked for. */
static inline uint32_t
prefetch_frame(struct sink *s, const struct vsw_frame *f)
{
	if (f->len <= s->plain_max && f->len > s->c->inline_to_host)
		prefetch_buffers(s, f->len);
	prefetch_segments(f);
	return by_reference(s, f);
}

/*
 * 4.4. The usual long frame: one segment, one buffer. False: it is none, or something isn't in order;
 * then the general way does it, and finds out what.
 */
static inline bool
put_plain_dma(struct sink *s, const struct vsw_frame *f)
{
	struct nfe_hints hints = { .nsegs = 1 };
	struct nfed_queue *fq = s->fq;
	struct nfed_region *r;
	struct nfe_fill fill;
	uint8_t *buf;

	if (unlikely(f->nsegs != 1 || f->flags != 0 || f->hdr_len != NFE_HDR_COPY ||
		     f->len > s->plain_max || f->len <= s->c->inline_to_host ||
		     s->c->ch->fault != 0 || !has_room(s, 1) || fq->prod == fq->cons))
		return false;
	nfed_fq_snapshot(fq, 0, &fill);
	if (unlikely(nfed_region_at(s->c->ch->regions, fill.key, fill.offset, fq->buf_size,
				    NFE_ACCESS_WRITE, &r, &buf) != NFED_XLATE_OK))
		return false;
	vsw_plain_copy(f, buf);
	if (unlikely(vsw_frame_poisoned(f) || nfed_region_poisoned(r)))
		return false;
	nfe_put_dma(nfed_rq_cell(s->rq, 0),
		    nfe_put_head(NFE_MSG_DMA_RX, 0, (uint16_t)f->len, fill.cookie),
		    nfe_put_pair(0, fq->cons + 1), hints, f->hdr);
	advance(s, 1);
	fq->cons++;
	return true;
}

/* The frame could not be put a short way. */
static __rte_noinline void
put_other(struct sink *s, struct vsw_frame *f, struct put_count *n)
{
	enum nfe_stat why = put_frame(s, f);

	if (likely(why == 0)) {
		n->frames++;
		n->bytes += f->len;
		return;
	}
	vsw_count(s->lc, s->c->port, why, 1);
	if (unlikely(why == NFE_STAT_to_drop_fault && vsw_frame_poisoned(f)))
		nfed_fault(s->lc->src_ch, NFE_REASON_MEMORY_GONE);
}

/* Frames from number i on that came as cells which follow each other and go as the same cells: as
 * many as there is room for, copied at once. Returns how many. (One by one, and parsed one by one:
 * 64 B 31 cycles, so 27; nfe-test vsw_perf.) */
static inline uint32_t
put_same(struct sink *s, uint32_t i, uint32_t end, struct put_count *n)
{
	const struct vsw_frame *f = &s->lc->frames[i];
	const union nfe_msg *m = f->cells;
	uint32_t room = RTE_MIN(s->room, s->rq->mask + 1 - (s->rq->prod & s->rq->mask));
	uint32_t cells = 0, bytes = 0, frames = 0;

	if (f->flags != 0 || m == NULL || unlikely(s->c->ch->fault != 0))
		return 0;
	for (; i + frames < end; frames++, f++) {
		uint32_t more = cells + nfe_inline_cells(f->len);

		/* Hints of a frame with flags are never where a cell begins. */
		if (unlikely(f->cells != m + cells || f->len > s->inline_max || more > room))
			break;
		cells = more;
		bytes += f->len;
	}
	put_cells(s, m, cells);
	n->frames += frames;
	n->bytes += bytes;
	return frames;
}

/* Frames that came one after the other: runs of inline ones as they are, others one by one. Of those
 * behind them segments and buffers are asked for, whatever stands between (CPUs far from each other,
 * IMIX: 266 cycles of the switch, with two of them 203, with PREFETCH_BYTES 150). */
static void
put_run(struct sink *s, const struct vsw_node *run, struct put_count *n)
{
	uint32_t asked = run->first, ahead = 0; /* bytes of frames i to asked, by reference */

	for (uint32_t i = run->first; i < run->end; i++) {
		struct vsw_frame *f;

		i += put_same(s, i, run->end, n);
		if (i == run->end)
			break;
		f = &s->lc->frames[i];
		for (; asked < run->end && (ahead < PREFETCH_BYTES || asked < i + PREFETCH_LEAST); asked++)
			ahead += prefetch_frame(s, &s->lc->frames[asked]);
		ahead -= by_reference(s, f);
		if (likely(put_plain_dma(s, f))) {
			n->frames++;
			n->bytes += f->len;
		} else {
			put_other(s, f, n);
		}
	}
}

/* Put the frames of a list; what became of them is counted once for all. */
static void
put_list(struct sink *s, uint16_t node)
{
	struct vsw_lcore *lc = s->lc;
	struct vsw_port *port = s->c->port;
	struct put_count n = { 0 };
	uint64_t offered = 0;

	for (; node != VSW_NO_NODE; node = lc->nodes[node].next) {
		offered += lc->nodes[node].end - lc->nodes[node].first;
		put_run(s, &lc->nodes[node], &n);
	}
	vsw_count(lc, port, NFE_STAT_to_offered, offered);
	vsw_count(lc, port, NFE_STAT_to_frames, n.frames);
	vsw_count(lc, port, NFE_STAT_to_bytes, n.bytes);
}

static void
deliver_guest(struct vsw_lcore *lc, struct vsw_chan *c, uint16_t node)
{
	struct sink s = { .lc = lc, .c = c, .rq = &c->ch->rq, .fq = &c->ch->fq };
	bool shared = lc->sw->nb_lcores > 1;

	if (shared)
		rte_spinlock_lock(&c->lock);
	if (unlikely(lc->probing))
		vsw_faults_sink(lc, c->ch);
	__atomic_store_n(&c->writer, lc, __ATOMIC_RELAXED);
	s.room = s.rq->capacity - (s.rq->prod - s.rq->cons);
	s.asked = vsw_ahead_end(lc, s.rq);
	s.rss = vsw_rss_told(c->port);
	s.sorts = vsw_vlan_filters(c->port);
	s.fills_asked = s.fq->cons;
	if (likely(!s.sorts && s.rss == NULL && !lc->probing)) { /* else each frame is looked at */
		s.inline_max = RTE_MIN(c->inline_to_host, c->port->max_frame);
		s.plain_max = s.fq->role != 0 ? RTE_MIN(s.fq->buf_size, c->port->max_frame) : 0;
	}
	put_list(&s, node);
	publish(&s);
	if (shared)
		rte_spinlock_unlock(&c->lock);
}

void
vsw_deliver(struct vsw_lcore *lc)
{
	for (unsigned int i = 0; i < lc->nb_dsts; i++) {
		struct vsw_dst *dst = lc->dsts[i];
		struct vsw_stage *st = &lc->stage[dst->slot];

		if (dst->chan != NULL)
			deliver_guest(lc, dst->chan, st->head);
		else
			vsw_uplink_deliver(lc, dst->port, st->head);
		st->head = st->tail = VSW_NO_NODE;
	}
	lc->nb_dsts = lc->nb_nodes = 0;
}

void
vsw_touch(struct vsw_lcore *lc, struct nfed_channel *ch, struct nfed_queue *q, uint32_t old_idx)
{
	lc->touched[lc->nb_touched++] = (struct vsw_touched){ ch, q, old_idx, q->published };
	if (unlikely(lc->nb_touched == RTE_DIM(lc->touched)))
		vsw_wake(lc);
}

/* P2, P3 for all queues published in this turn whose guest may sleep; one interrupt each. */
void
vsw_wake(struct vsw_lcore *lc)
{
	if (lc->nb_touched == 0)
		return;
	nfe_full_fence();
	for (unsigned int i = 0; i < lc->nb_touched; i++) {
		const struct vsw_touched *t = &lc->touched[i];

		if (!nfed_queue_must_wake(t->q, t->new_idx, t->old_idx))
			continue;
		nfed_interrupt(t->ch);
		vsw_count(lc, ((struct vsw_chan *)t->ch->owner_data)->port, NFE_STAT_to_interrupts, 1);
	}
	lc->nb_touched = 0;
}
