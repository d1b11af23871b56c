/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Messages of the guest library: built for the send ring, taken apart from the receive ring
 * (specification 4). A received message is copied once and only the copy is checked (rules 1, 16);
 * what is refused is counted by reason, and the buffers that it names go back to the free ones
 * if they were posted at all. Building on the sending, reading on the receiving thread.
 */
#include <string.h>

#include "vif_priv.h"

unsigned int
vif_msg_inline(union nfe_msg *cells, unsigned int nb_cells, const void *frame, uint32_t len)
{
	unsigned int n = nfe_inline_cells(len);
	uint8_t *bytes = (uint8_t *)cells;
	size_t start = offsetof(struct nfe_msg_inline, frame);

	if (len < NFE_MIN_FRAME || len > UINT16_MAX || n > nb_cells)
		return 0;
	cells->in.type = NFE_MSG_INLINE;
	cells->in.flags = 0;
	cells->in.len = (uint16_t)len;
	memcpy(bytes + start, frame, len);
	memset(bytes + start + len, 0, n * NFE_MSG_SIZE - start - len); /* rule 20 */
	return n;
}

/* Bounds of the segments, before anything is written or changes its owner. */
static bool
segs_fit(const struct vif *vif, const struct vif_seg *segs, unsigned int nb_segs)
{
	if (nb_segs == 0 || nb_segs > vif->info.max_segs || nb_segs > NFE_MAX_SEGS)
		return false;
	if (segs[0].len <= NFE_HDR_COPY || segs[0].len - NFE_HDR_COPY > UINT16_MAX)
		return false;
	for (unsigned int i = 0; i < nb_segs; i++) {
		const struct vif_seg *s = &segs[i];

		if (s->buf >= vif->nb_bufs || s->len == 0 || s->offset > vif->buf_size ||
		    s->len > vif->buf_size - s->offset)
			return false;
	}
	return true;
}

static uint64_t
seg_offset(const struct vif *vif, const struct vif_seg *s)
{
	return vif->bufs_offset + (uint64_t)s->buf * vif->buf_size + s->offset;
}

unsigned int
vif_msg_dma_segs(struct vif *vif, union nfe_msg *cells, unsigned int nb_cells,
		 const struct vif_seg *segs, unsigned int nb_segs)
{
	static const struct nfe_hints none;

	return vif_msg_hinted(vif, cells, nb_cells, segs, nb_segs, 0, &none);
}

unsigned int
vif_msg_hinted(struct vif *vif, union nfe_msg *cells, unsigned int nb_cells,
	       const struct vif_seg *segs, unsigned int nb_segs, uint8_t flags,
	       const struct nfe_hints *hints)
{
	uint8_t *cell = (uint8_t *)cells, *more = cell + NFE_MSG_SIZE;
	const struct vif_seg *first = &segs[0];
	struct nfe_hints h = *hints;
	unsigned int n;

	if (!segs_fit(vif, segs, nb_segs) || (flags & ~vif->send_flags))
		return 0;
	n = nfe_dma_cells(nb_segs);
	if (n > nb_cells)
		return 0;
	h.nsegs = (uint8_t)nb_segs;
	nfe_put_dma(cell,
		    nfe_put_head(NFE_MSG_DMA_TX, flags, (uint16_t)(first->len - NFE_HDR_COPY),
				 vif->key),
		    seg_offset(vif, first) + NFE_HDR_COPY, h,
		    (uint8_t *)vif_buf(vif, first->buf) + first->offset);
	for (unsigned int i = 1; i < nb_segs; i++, more += sizeof(struct nfe_seg_tx))
		nfe_put_entry(more, nfe_put_pair(vif->key, segs[i].len), seg_offset(vif, &segs[i]));
	for (; more < cell + (size_t)n * NFE_MSG_SIZE; more += sizeof(struct nfe_seg_tx))
		nfe_put_entry(more, 0, 0); /* rule 20 */
	vif_sent_made(vif, cells, segs, nb_segs);
	return n;
}

/* The same as with a list of one segment. */
unsigned int
vif_msg_dma(struct vif *vif, union nfe_msg *cell, uint32_t buf, uint32_t offset, uint32_t len)
{
	const struct vif_seg seg = { .buf = buf, .offset = offset, .len = len };

	if (!segs_fit(vif, &seg, 1))
		return 0;
	nfe_put_dma(cell,
		    nfe_put_head(NFE_MSG_DMA_TX, 0, (uint16_t)(len - NFE_HDR_COPY), vif->key),
		    seg_offset(vif, &seg) + NFE_HDR_COPY, (struct nfe_hints){ .nsegs = 1 },
		    (uint8_t *)vif_buf(vif, buf) + offset);
	vif_sent_made(vif, cell, &seg, 1);
	return 1;
}

unsigned int
vif_msg_cells(const struct vif *vif, const union nfe_msg *msg)
{
	switch (msg->type) {
	case NFE_MSG_INLINE:
		return nfe_inline_cells(msg->in.len);
	case NFE_MSG_DMA_TX:
	case NFE_MSG_DMA_RX: /* the hints stand at the same place in both */
		if (msg->rx.hints.nsegs == 0 || msg->rx.hints.nsegs > vif->info.max_segs ||
		    msg->rx.hints.nsegs > NFE_MAX_SEGS)
			return 1;
		return nfe_dma_cells(msg->rx.hints.nsegs);
	default:
		return 1;
	}
}

/* No longer than what an application's peek has room for, whatever the switch allows itself: else
 * it would look at the same message for ever. */
static bool
inline_len_ok(const struct vif *vif, uint32_t len)
{
	return len >= NFE_MIN_FRAME && len <= RTE_MIN(vif->info.inline_to_host, VIF_RECV_INLINE);
}

unsigned int
vif_msg_recv_cells(const struct vif *vif, const union nfe_msg *msg)
{
	if (msg->type == NFE_MSG_INLINE && !inline_len_ok(vif, msg->in.len))
		return 1;
	return vif_msg_cells(vif, msg);
}

/* A posted buffer comes back: it is the application's now. */
static bool
take_posted(struct vif *vif, uint32_t cookie)
{
	if (vif_buf_move(vif, cookie, VIF_BUF_POSTED, VIF_BUF_APP))
		return true;
	vif->counters.bad_cookie++;
	return false;
}

/* 5.5: an index between the last one and what we posted. */
static void
see_fill_end(struct vif *vif, uint32_t fill_end)
{
	uint32_t posted = nfe_idx_read(vif->fill.prod);

	if ((uint32_t)(fill_end - vif->fill_seen) > (uint32_t)(posted - vif->fill_seen))
		vif->counters.bad_fill_end++;
	else
		__atomic_store_n(&vif->fill_seen, fill_end, __ATOMIC_RELAXED);
}

static void
read_inline(struct vif *vif, const union nfe_msg *msg, const union nfe_msg *cells,
	    struct vif_rx *rx)
{
	if (msg->flags & ~(vif->recv_flags & NFE_MSG_F_CSUM_OK)) {
		vif->counters.bad_type++;
		return;
	}
	if (!inline_len_ok(vif, msg->in.len)) {
		vif->counters.bad_len++;
		return;
	}
	rx->len = msg->in.len;
	rx->flags = msg->flags;
	rx->data = (const uint8_t *)cells + offsetof(struct nfe_msg_inline, frame);
}

/* Segments of a DMA_RX into rx; false: refused, rx holds the buffers that are ours all the same. */
static bool
read_segs(struct vif *vif, const union nfe_msg *msg, const union nfe_msg *cells, struct vif_rx *rx)
{
	union nfe_msg more = { 0 };
	uint32_t max_frame = msg->flags & NFE_MSG_F_GSO ? NFE_GSO_MAX_FRAME : vif->info.max_frame;
	bool good = true;
	uint32_t sum = 0;

	for (unsigned int i = 0; i < msg->rx.hints.nsegs; i++) {
		struct nfe_seg_rx seg = { .cookie = msg->rx.cookie, .len = msg->rx.len };

		if (i > 0) {
			unsigned int slot = (i - 1) % NFE_SEGS_PER_CELL;

			if (slot == 0)
				nfe_cell_copy(&more, cells + 1 + (i - 1) / NFE_SEGS_PER_CELL,
					      NFE_MSG_SIZE);
			seg = more.seg_rx[slot];
		}
		if (!take_posted(vif, seg.cookie)) {
			good = false;
			continue;
		}
		rx->seg[rx->nb_segs++] = (struct vif_seg){ .buf = seg.cookie, .len = seg.len };
		if (seg.len == 0 || seg.len > vif->buf_size) {
			vif->counters.bad_len++;
			good = false;
			continue;
		}
		sum += seg.len; /* at most 16 times 64 KB */
	}
	if (good && (sum < NFE_MIN_FRAME || sum > max_frame)) {
		vif->counters.bad_len++;
		good = false;
	}
	rx->len = sum;
	return good;
}

/* 4.8. A message that is refused all the same gives its buffers back. */
static bool
hints_fit(struct vif *vif, const union nfe_msg *msg, const struct vif_rx *rx)
{
	if (msg->flags & ~vif->recv_flags) {
		vif->counters.bad_type++;
		return false;
	}
	if (nfe_hints_valid(msg->flags, &msg->rx.hints, msg->rx.hdr, rx->len))
		return true;
	vif->counters.bad_hints++;
	return false;
}

static void
read_dma(struct vif *vif, const union nfe_msg *msg, const union nfe_msg *cells, struct vif_rx *rx)
{
	uint8_t nsegs = msg->rx.hints.nsegs;

	see_fill_end(vif, msg->rx.fill_end);
	if (nsegs == 0 || nsegs > vif->info.max_segs || nsegs > NFE_MAX_SEGS) {
		vif->counters.bad_segs++;
		return;
	}
	if (read_segs(vif, msg, cells, rx) && hints_fit(vif, msg, rx)) {
		rx->flags = msg->flags;
		rx->hints = msg->rx.hints;
		return;
	}
	for (unsigned int i = 0; i < rx->nb_segs; i++)
		vif_buf_put(vif, rx->seg[i].buf);
	rx->nb_segs = 0;
	rx->len = 0;
}

static void
read_ret(struct vif *vif, const union nfe_msg *msg)
{
	vif->counters.bad_type += msg->flags != 0; /* refused, but its buffers come back */
	see_fill_end(vif, msg->ret.fill_end);
	if (msg->ret.n == 0 || msg->ret.n > NFE_RET_COOKIES) {
		vif->counters.bad_segs++;
		return;
	}
	for (unsigned int i = 0; i < msg->ret.n; i++) {
		if (!take_posted(vif, msg->ret.cookie[i]))
			continue;
		vif_buf_put(vif, msg->ret.cookie[i]);
		if (msg->ret.reason == NFE_RET_COPY)
			vif->counters.ret_copy++;
		else
			vif->counters.ret_bad_entry++;
	}
}

/* Cells from here on that are contiguous and published; nb_cells if it is no cell of the ring. */
static unsigned int
cells_published(const struct vif *vif, const union nfe_msg *cells, unsigned int nb_cells)
{
	const struct vif_ring *ring = &vif->recv;
	uintptr_t offset = (uintptr_t)cells - (uintptr_t)ring->entries;
	uint32_t cons, ahead, prod;

	if (offset >= (uintptr_t)ring->size * NFE_MSG_SIZE)
		return nb_cells;
	cons = nfe_idx_read(ring->cons);
	prod = nfe_idx_read(ring->prod);
	ahead = ((uint32_t)(offset / NFE_MSG_SIZE) - cons) & (ring->size - 1);
	if (prod - cons > ring->capacity || prod - cons < ahead)
		return nb_cells;
	return RTE_MIN(prod - cons - ahead, vif_ring_to_end(ring, cons + ahead));
}

static void
read_checked(struct vif *vif, const union nfe_msg *msg, const union nfe_msg *cells,
	     struct vif_rx *rx)
{
	if (msg->type == NFE_MSG_NOP)
		return;
	switch (msg->type) {
	case NFE_MSG_INLINE:
		read_inline(vif, msg, cells, rx);
		break;
	case NFE_MSG_DMA_RX:
		read_dma(vif, msg, cells, rx);
		break;
	case NFE_MSG_RET:
		read_ret(vif, msg);
		break;
	default:
		vif->counters.bad_type++;
		break;
	}
	vif->counters.frames += rx->len != 0;
}

/*
 * The usual long frame, in one posted buffer: three words are read, once each. False: anything
 * else, nothing is done, and the general way looks at the message anew (512 B, a neighbour on the
 * core: 175 cycles to receive, now 156).
 */
static inline bool
read_plain(struct vif *vif, const union nfe_msg *cell, struct vif_rx *rx)
{
	const struct nfe_hints plain = { .nsegs = 1 };
	const volatile nfe_put_word *words = (const volatile nfe_put_word *)cell;
	uint64_t head = words[0], fill_end = words[1] >> 32, hints = words[2], want;
	uint32_t len = (uint32_t)head >> 16, buf = (uint32_t)(head >> 32);

	memcpy(&want, &plain, sizeof(want));
	if ((head & UINT16_MAX) != NFE_MSG_DMA_RX || hints != want || len < NFE_MIN_FRAME ||
	    len > RTE_MIN(vif->buf_size, vif->info.max_frame) ||
	    !vif_buf_move(vif, buf, VIF_BUF_POSTED, VIF_BUF_APP))
		return false;
	see_fill_end(vif, (uint32_t)fill_end);
	rx->seg[rx->nb_segs++] = (struct vif_seg){ .buf = buf, .len = len };
	rx->len = len;
	rx->hints = plain;
	vif->counters.frames++;
	return true;
}

unsigned int
vif_msg_read(struct vif *vif, const union nfe_msg *cells, unsigned int nb_cells, struct vif_rx *rx)
{
	union nfe_msg msg;
	unsigned int n = 1;
	bool done;

	rx->len = 0;
	rx->nb_segs = 0;
	rx->flags = 0;
	rx->data = NULL;
	if (nb_cells == 0)
		return 0;
	done = read_plain(vif, cells, rx);
	if (!done) {
		nfe_cell64_copy(&msg, cells);
		n = vif_msg_recv_cells(vif, &msg);
	}
	for (unsigned int i = VIF_CELLS_AHEAD; i < VIF_CELLS_AHEAD + n && i < nb_cells; i++)
		__builtin_prefetch(&cells[i]);
	if (done) {
		/* that was all */
	} else if (n <= nb_cells) {
		read_checked(vif, &msg, cells, rx);
	} else if (n <= cells_published(vif, cells, nb_cells)) {
		return 0; /* the caller's peek cut it */
	} else {
		vif->counters.truncated++;
		n = nb_cells; /* what would be its continuation must not be taken for messages */
	}
	/* Release: vif_replay_indices() reads this first, then fill_seen. */
	__atomic_store_n(&vif->read, vif->read + n, __ATOMIC_RELEASE);
	return n;
}

const struct vif_rx_counters *
vif_rx_counters(const struct vif *vif)
{
	return &vif->counters;
}
