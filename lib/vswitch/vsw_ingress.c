/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * From a guest: take a burst of cells from its send queue into private memory, check them, and
 * make frames of them (specification 4). Only the private copies are looked at from then on.
 * Runs on the lcore that polls the channel.
 */
#include <rte_atomic.h>
#include <rte_branch_prediction.h>

#include "vsw_ahead.h"
#include "vsw_datapath.h"

#define INLINE_OFFSET offsetof(struct nfe_msg_inline, frame)

struct parse {
	struct vsw_lcore *lc;
	struct vsw_chan *c;
	uint32_t first;  /* cell of the message being looked at */
	uint32_t cells;  /* in the snapshot */
	uint32_t avail;  /* that the guest has published */
	uint32_t nb_frames, nb_segs; /* so far */
	uint64_t bytes;
	uint64_t parts; /* that frames become if they are cut, at most */
};

static uint32_t
drop(struct parse *p, enum nfe_stat why, uint32_t cells)
{
	vsw_count(p->lc, p->c->port, NFE_STAT_from_frames, 1);
	vsw_count(p->lc, p->c->port, why, 1);
	return cells;
}

/*
 * Of the cells that this message needs some are not in the snapshot. If the guest has published them,
 * it is left for the next turn: 0. Otherwise it was published in part, and all that is published
 * goes with it (4.11), be it beyond the snapshot.
 */
static uint32_t
cut_off(struct parse *p, uint32_t need)
{
	uint32_t published = p->avail - p->first;

	return need <= published ? 0 : drop(p, NFE_STAT_from_drop_truncated, published);
}

/*
 * 4.2. Inline messages as long as one follows the other: the short way. What is none, or isn't in
 * order, is left for parse_message().
 *
 * Frames are filled field by field, here and below: one that is made elsewhere and copied waits for
 * the stores of the turn before (as in nfe_cell.h; 60 B: 1.2 to 1.9 times the rate). A frame has as
 * many cells as the one before, until its length says otherwise: so the next one is looked at
 * before that was loaded (60 B: 12.1 cycles, now 9.6; lengths at random 12.7 and 13.2 per cell).
 */
static void
parse_inline_run(struct parse *p)
{
	union nfe_msg *cells = p->lc->cells;
	struct vsw_frame *f = &p->lc->frames[p->nb_frames];
	uint32_t first = p->first, end = p->cells, len_max = p->c->inline_to_device;
	uint32_t n = 1; /* cells of a frame */
	uint64_t bytes = 0;

	while (first < end) {
		union nfe_msg *m = &cells[first];
		uint32_t head = *(const nfe_cell_head *)m, len = head >> 16;
		uint32_t next = first + n;

		__asm__("" : "+r"(next)); /* a guess, that no compiler derives from len */
		if (unlikely(nfe_inline_cells(len) != n)) {
			n = nfe_inline_cells(len);
			next = first + n;
			rte_compiler_barrier(); /* nor makes this a choice without a branch */
		}
		if (unlikely((head & UINT16_MAX) != NFE_MSG_INLINE || len < NFE_MIN_FRAME ||
			     len > len_max || next > end))
			break;
		/* Nothing stale travels (rule 20): the cells may be delivered as they are. */
		nfe_cell64_trim(&cells[next - 1], (INLINE_OFFSET + len - 1) % NFE_MSG_SIZE + 1);
		f->hdr = (uint8_t *)m + INLINE_OFFSET;
		f->len = len;
		f->hdr_len = (uint16_t)len;
		f->nsegs = 0;
		f->flags = 0;
		f->cells = m;
		f++;
		bytes += len;
		first = next;
	}
	p->first = first;
	p->nb_frames = (uint32_t)(f - p->lc->frames);
	p->bytes += bytes;
}

/* 4.2. Why is this one not part of a run? Returns cells consumed; 0: comes whole in the next turn. */
static uint32_t
refuse_inline(struct parse *p)
{
	uint32_t len = p->lc->cells[p->first].in.len;

	if (len < NFE_MIN_FRAME)
		return drop(p, NFE_STAT_from_drop_runt, 1);
	if (len > p->c->inline_to_device)
		return drop(p, NFE_STAT_from_drop_giant, 1);
	return cut_off(p, nfe_inline_cells(len));
}

/* 4.3, 4.5. Translate segment i of the message; 0 or why the frame is dropped. */
static enum nfe_stat
parse_segment(struct parse *p, uint32_t key, uint64_t offset, uint32_t len, struct vsw_seg *seg)
{
	struct nfed_region *region;
	uint8_t *addr;

	if (unlikely(len == 0))
		return NFE_STAT_from_drop_segs;
	switch (nfed_region_at(p->c->ch->regions, key, offset, len, NFE_ACCESS_READ, &region, &addr)) {
	case NFED_XLATE_KEY:
		return NFE_STAT_from_drop_key;
	case NFED_XLATE_BOUNDS:
		return NFE_STAT_from_drop_bounds;
	default:
		*seg = (struct vsw_seg){ addr, len, region };
		return 0;
	}
}

/* 4.8. What is allowed depends on flags that the caller has found negotiated. 0 or why not. */
static enum nfe_stat
check_hints(const struct parse *p, const union nfe_msg *m, uint32_t len)
{
	const struct nfe_hints *h = &m->tx.hints;

	if (!nfe_hints_valid(m->flags, h, m->tx.hdr, len))
		return m->flags == 0 ? NFE_STAT_from_drop_reserved : NFE_STAT_from_drop_hints;
	if ((m->flags & NFE_MSG_F_GSO) &&
	    h->csum_start + NFE_TCP_HDR_MIN + h->gso_size > p->c->max_frame)
		return NFE_STAT_from_drop_hints;
	return 0;
}

static uint32_t
parse_dma(struct parse *p)
{
	union nfe_msg *m = &p->lc->cells[p->first];
	uint32_t nsegs = m->tx.hints.nsegs, cells = nfe_dma_cells(nsegs);
	struct vsw_seg *seg = &p->lc->segs[p->nb_segs];
	struct vsw_frame *f;
	uint64_t len = NFE_HDR_COPY;
	enum nfe_stat why;

	if (unlikely(nsegs == 0 || nsegs > p->c->max_segs))
		return drop(p, NFE_STAT_from_drop_segs, 1);
	if (unlikely(p->first + cells > p->cells))
		return cut_off(p, cells);
	if (m->flags == 0 && unlikely(check_hints(p, m, NFE_HDR_COPY) != 0))
		return drop(p, NFE_STAT_from_drop_reserved, cells);
	why = parse_segment(p, m->tx.key, m->tx.offset, m->tx.len, &seg[0]);
	len += m->tx.len;
	for (uint32_t i = 1; i < nsegs && why == 0; i++) {
		const struct nfe_seg_tx *s =
			&m[1 + (i - 1) / NFE_SEGS_PER_CELL].seg_tx[(i - 1) % NFE_SEGS_PER_CELL];

		why = parse_segment(p, s->key, s->offset, s->len, &seg[i]);
		len += s->len;
	}
	if (why == 0 && unlikely(len > p->c->max_frame) &&
	    (!(m->flags & NFE_MSG_F_GSO) || len > NFE_GSO_MAX_FRAME))
		why = NFE_STAT_from_drop_giant;
	if (why == 0 && unlikely(m->flags != 0))
		why = check_hints(p, m, (uint32_t)len);
	if (unlikely(why != 0))
		return drop(p, why, cells);
	p->bytes += len;
	if (unlikely(m->flags & NFE_MSG_F_GSO))
		p->parts += 1 + (len - m->tx.hints.csum_start - NFE_TCP_HDR_MIN) /
				m->tx.hints.gso_size;
	f = &p->lc->frames[p->nb_frames++];
	f->hdr = m->tx.hdr;
	f->seg = seg;
	f->len = (uint32_t)len;
	f->hdr_len = NFE_HDR_COPY;
	f->nsegs = (uint8_t)nsegs;
	f->flags = m->flags;
	f->hints = m->flags != 0 ? &m->tx.hints : NULL;
	p->nb_segs += nsegs;
	return cells;
}

/* 5.6. A turn ends after so many cells, or bytes: 64 cells may be 4 MB, or 8192 parts, for which all
 * others would wait. A part counts as a cell does. What is left stays in the queue. */
static inline bool
turn_goes_on(const struct parse *p)
{
	return p->bytes + p->parts * VSW_CELL_COST < p->lc->turn_bytes;
}

/*
 * 4.3. Messages of one segment without flags as long as one follows the other: the short way. What
 * is anything else, or isn't in order, is left for parse_message(), which finds out what is wrong
 * (64 B by reference, nfe-test vsw_perf: 68 cycles, with put_plain_dma() 43).
 */
static void
parse_plain_run(struct parse *p)
{
	const struct nfe_hints plain = { .nsegs = 1 };
	struct vsw_frame *f = &p->lc->frames[p->nb_frames];
	struct vsw_seg *seg = &p->lc->segs[p->nb_segs];
	uint64_t want;

	memcpy(&want, &plain, sizeof(want));
	for (; p->first < p->cells && turn_goes_on(p); p->first++, f++, seg++) {
		union nfe_msg *m = &p->lc->cells[p->first];
		uint32_t head = *(const nfe_cell_head *)m, len = head >> 16;
		uint64_t hints;

		memcpy(&hints, &m->tx.hints, sizeof(hints));
		if (unlikely((head & UINT16_MAX) != NFE_MSG_DMA_TX || hints != want ||
			     len + NFE_HDR_COPY > p->c->max_frame ||
			     parse_segment(p, m->tx.key, m->tx.offset, len, seg) != 0))
			break;
		f->hdr = m->tx.hdr;
		f->seg = seg;
		f->len = len + NFE_HDR_COPY;
		f->hdr_len = NFE_HDR_COPY;
		f->nsegs = 1;
		f->flags = 0;
		f->hints = NULL;
		p->bytes += f->len;
	}
	p->nb_frames = (uint32_t)(f - p->lc->frames);
	p->nb_segs = (uint32_t)(seg - p->lc->segs);
}

/* One message that is not part of such runs; returns its cells, 0 to stop here. */
static uint32_t
parse_message(struct parse *p)
{
	const union nfe_msg *m = &p->lc->cells[p->first];

	if (m->type == NFE_MSG_NOP)
		return 1;
	if (unlikely(m->flags == 0 && m->type == NFE_MSG_INLINE))
		return refuse_inline(p);
	if (likely((m->flags & ~p->c->flags_to_device) == 0 && m->type == NFE_MSG_DMA_TX))
		return parse_dma(p);
	return drop(p, NFE_STAT_from_drop_type, 1);
}

/* Did the memory of the queue or of the status block vanish (rule 14)? */
static bool
queue_poisoned(const struct vsw_chan *c, const struct nfed_queue *q)
{
	const struct nfed_region *tbl = c->ch->regions->tbl;

	return nfed_region_poisoned(&tbl[q->region_idx]) ||
	       nfed_region_poisoned(&tbl[c->ch->status_region_idx]);
}

/* W2, last of all: the guest may reuse the cells and what they pointed to. */
static void
release(struct vsw_lcore *lc, struct vsw_chan *c, uint32_t used)
{
	struct nfed_queue *sq = &c->ch->sq;
	uint32_t old;

	sq->cons += used;
	old = nfed_queue_publish(sq, sq->cons);
	if (sq->may_sleep)
		vsw_touch(lc, c->ch, sq, old);
}

unsigned int
vsw_chan_poll(struct vsw_lcore *lc, struct vsw_chan *c)
{
	struct nfed_queue *sq = &c->ch->sq;
	int32_t avail = nfed_queue_ready(sq, lc->burst);
	struct parse p = { .lc = lc, .c = c };
	uint32_t start;

	if (avail == 0)
		return 0;
	if (unlikely(avail < 0 || c->ch->fault != 0)) {
		nfed_fault(c->ch, NFE_REASON_SQ_OVERRUN);
		return 0;
	}
	p.avail = (uint32_t)avail;
	p.cells = RTE_MIN(p.avail, lc->burst);
	vsw_ahead_begin(lc, vsw_ahead_queue(lc, &c->fdb_cache), p.cells);
	vsw_ahead_ask(lc, NFE_CELLS_FIRST);
	nfed_sq_snapshot_burst(sq, p.cells, lc->cells);
	if (unlikely(queue_poisoned(c, sq))) {
		nfed_fault(c->ch, NFE_REASON_MEMORY_GONE);
		return 0;
	}
	vsw_ahead_ask(lc, p.cells);
	lc->src = c->port;
	lc->src_ch = c->ch;
	do {
		start = p.first;
		parse_inline_run(&p);
		parse_plain_run(&p);
		if (unlikely(p.first == start))
			p.first += parse_message(&p);
	} while (p.first != start && p.first < p.cells && turn_goes_on(&p));
	lc->nb_frames = p.nb_frames;
	lc->nb_segs = p.nb_segs;
	if (unlikely(lc->probing))
		vsw_faults_source(lc, c->ch);
	vsw_count(lc, c->port, NFE_STAT_from_frames, lc->nb_frames);
	vsw_count(lc, c->port, NFE_STAT_from_bytes, p.bytes);
	lc->cost = p.bytes;
	vsw_forward(lc, &c->fdb_cache);
	vsw_deliver(lc);
	/* What the next turn takes comes meanwhile (CPUs far from each other, 60 B: 44 cycles of the switch,
	 * now 40; 64 B: 80 and 74). */
	nfed_sq_prefetch(sq, p.cells, RTE_MIN(p.avail - p.cells, lc->burst));
	release(lc, c, p.first);
	vsw_wake(lc);
	return p.first;
}
