/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Data path of the guest library: send, receive, post buffers, take them back. Sending and
 * receiving each on one thread; the stack of free buffers is what they share.
 */
#include <errno.h>
#include <string.h>

#include "vif_priv.h"

union nfe_msg *
vif_send_cells(struct vif *vif, unsigned int n)
{
	struct vif_ring *ring = &vif->send;
	uint32_t prod = *ring->prod;
	uint32_t to_end = vif_ring_to_end(ring, prod);
	uint32_t pad = n > to_end ? to_end : 0;

	if (n == 0 || n > ring->capacity || vif_ring_room(ring) < (int32_t)(pad + n))
		return NULL;
	for (uint32_t i = 0; i < pad; i++)
		memcpy(vif_ring_at(ring, prod + i),
		       &(union nfe_msg){ .type = NFE_MSG_NOP }, NFE_MSG_SIZE);
	vif->pad_cells = pad;
	return vif_ring_at(ring, prod + pad);
}

void
vif_send_commit(struct vif *vif, unsigned int n)
{
	vif_ring_produce(&vif->send, vif->pad_cells + n);
	vif->pad_cells = 0;
}

static int
send_inline(struct vif *vif, const void *frame, uint32_t len)
{
	unsigned int n = nfe_inline_cells(len);
	union nfe_msg *cells = vif_send_cells(vif, n);

	if (cells == NULL)
		return -EAGAIN;
	vif_msg_inline(cells, n, frame, len);
	vif_send_commit(vif, n);
	return 0;
}

/* Buffers for len bytes and the frame in them; 0 segments: not enough are free. */
static unsigned int
fill_bufs(struct vif *vif, const uint8_t *frame, uint32_t len, struct vif_seg *segs)
{
	unsigned int n = 0;

	while (len > 0) {
		int32_t buf = vif_buf_get(vif);

		if (buf < 0)
			goto put_back;
		segs[n] = (struct vif_seg){ .buf = (uint32_t)buf,
					    .len = RTE_MIN(len, vif->buf_size) };
		memcpy(vif_buf(vif, segs[n].buf), frame, segs[n].len);
		frame += segs[n].len;
		len -= segs[n].len;
		n++;
	}
	return n;

put_back:
	while (n > 0)
		vif_buf_put(vif, segs[--n].buf);
	return 0;
}

/* Buffers of sent messages come back to the stack, n of those that are held, the oldest on top. */
static unsigned int
give_held(struct vif *vif, unsigned int n)
{
	uint32_t bufs[VIF_HELD];

	for (unsigned int i = 0; i < n; i++)
		bufs[n - 1 - i] = vif->held[(vif->first_held + i) % VIF_HELD];
	vif->first_held = (vif->first_held + n) % VIF_HELD;
	vif->nb_held -= n;
	vif_buf_put_burst(vif, bufs, n);
	return n;
}

static int
send_dma(struct vif *vif, const void *frame, uint32_t len)
{
	unsigned int nb_segs = (len + vif->buf_size - 1) / vif->buf_size;
	unsigned int n = nfe_dma_cells(nb_segs);
	union nfe_msg *cells = vif_send_cells(vif, n);
	struct vif_seg segs[NFE_MAX_SEGS];

	if (cells == NULL)
		return -EAGAIN;
	if (fill_bufs(vif, frame, len, segs) == 0 &&
	    (give_held(vif, vif->nb_held) == 0 || fill_bufs(vif, frame, len, segs) == 0))
		return -EAGAIN;
	vif_msg_dma_segs(vif, cells, n, segs, nb_segs);
	vif_send_commit(vif, n);
	return 0;
}

int
vif_send(struct vif *vif, const void *frame, uint32_t len)
{
	if (len < NFE_MIN_FRAME || len > vif_max_frame(vif))
		return -EMSGSIZE;
	vif_reclaim(vif);
	return len <= vif->inline_limit ? send_inline(vif, frame, len) : send_dma(vif, frame, len);
}

/* A sent buffer is the application's again, and held. How many came back to make room for it. */
static unsigned int
hold_sent(struct vif *vif, uint32_t buf)
{
	unsigned int given = 0;

	if (vif->nb_held >= vif->held_max)
		given = give_held(vif, RTE_MIN(vif->held_max, VIF_HELD_LOT));
	if (!vif_buf_move(vif, buf, VIF_BUF_SENT, VIF_BUF_APP))
		return given;
	vif->sent_bufs--;
	vif->held[(vif->first_held + vif->nb_held++) % VIF_HELD] = buf;
	return given;
}

/* Buffers of one consumed message. The ring's memory is the device's to write, so only buffers
 * that are sent are freed: a device that lies harms frames that it was given to read anyway. */
static unsigned int
reclaim_msg(struct vif *vif, const union nfe_msg *msg, uint32_t index, unsigned int cells)
{
	unsigned int given = 0, nb_segs = RTE_MIN(msg->tx.hints.nsegs, 1 + (cells - 1) * NFE_SEGS_PER_CELL);
	union nfe_msg more = { 0 };

	for (unsigned int i = 0; i < nb_segs; i++) {
		struct nfe_seg_tx seg = { .key = msg->tx.key, .offset = msg->tx.offset };
		uint64_t buf;

		if (i > 0) {
			unsigned int slot = (i - 1) % NFE_SEGS_PER_CELL;

			if (slot == 0)
				nfe_cell64_copy(&more, vif_ring_at(&vif->send, ++index));
			seg = more.seg_tx[slot];
		}
		if (seg.key != vif->key || seg.offset < vif->bufs_offset)
			continue;
		buf = (seg.offset - vif->bufs_offset) / vif->buf_size;
		if (buf < vif->nb_bufs)
			given += hold_sent(vif, (uint32_t)buf);
	}
	return given;
}

/* The application sent more than a ring's worth without vif_reclaim(): the messages are gone, but
 * when nothing is outstanding every sent buffer is free. */
static unsigned int
reclaim_all(struct vif *vif, uint32_t prod, uint32_t cons)
{
	unsigned int given = 0;

	if (prod != cons)
		return 0;
	for (uint32_t buf = 0; buf < vif->nb_bufs; buf++)
		given += hold_sent(vif, buf);
	vif->reclaimed = cons;
	return given;
}

static unsigned int
reclaim_up_to(struct vif *vif, uint32_t cons)
{
	unsigned int given = 0;

	while (vif->reclaimed != cons) {
		union nfe_msg msg;
		unsigned int n;

		nfe_cell64_copy(&msg, vif_ring_at(&vif->send, vif->reclaimed));
		n = vif_msg_cells(vif, &msg);
		if (n > cons - vif->reclaimed)
			n = cons - vif->reclaimed; /* overwritten: go on at a sure boundary */
		else if (msg.type == NFE_MSG_DMA_TX)
			given += reclaim_msg(vif, &msg, vif->reclaimed, n);
		vif->reclaimed += n;
	}
	return given;
}

unsigned int
vif_reclaim(struct vif *vif)
{
	uint32_t cons = nfe_idx_read(vif->send.cons); /* R2 */
	uint32_t prod = *vif->send.prod;
	bool overwritten = prod - vif->reclaimed > vif->send.size;
	unsigned int given = 0;

	if (cons == vif->reclaimed)
		return give_held(vif, vif->nb_held);
	/* It is ahead, or went back: the way to it would lead once around all 2^32 indices. */
	if (prod - cons > vif->send.capacity ||
	    (!overwritten && cons - vif->reclaimed > prod - vif->reclaimed)) {
		vif->counters.bad_send_cons++;
		return 0;
	}
	if (vif->sent_bufs == 0) /* inline messages only: not worth looking at */
		vif->reclaimed = cons;
	else if (overwritten)
		given = reclaim_all(vif, prod, cons);
	else
		given = reclaim_up_to(vif, cons);
	return given + (vif_buf_is_free(vif) ? 0 : give_held(vif, vif->nb_held));
}

/* Write fill entries for the application's buffers. */
static void
post(struct vif *vif, uint32_t prod, const uint32_t *bufs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		nfe_put_entry(vif_ring_at(&vif->fill, prod + i),
			      vif->bufs_offset + (uint64_t)bufs[i] * vif->buf_size,
			      nfe_put_pair(vif->key, bufs[i]));
		vif_buf_move(vif, bufs[i], VIF_BUF_APP, VIF_BUF_POSTED);
	}
}

unsigned int
vif_refill(struct vif *vif, unsigned int n)
{
	struct vif_ring *ring = &vif->fill;
	int32_t posted = vif_ring_used(ring);
	uint32_t prod = *ring->prod, bufs[VIF_BURST];
	unsigned int done = 0, got = VIF_BURST;

	if (posted < 0) {
		vif->counters.overrun++;
		return 0;
	}
	n = RTE_MIN(n, vif->fill_target - RTE_MIN((uint32_t)posted, vif->fill_target));
	while (done < n && got == VIF_BURST) {
		got = vif_buf_get_burst(vif, bufs, RTE_MIN(n - done, VIF_BURST));
		post(vif, prod + done, bufs, got);
		done += got;
	}
	if (done > 0)
		vif_ring_produce(ring, done);
	return done;
}

/* Copy a frame out and give its buffers back. */
static int
gather(struct vif *vif, const struct vif_rx *rx, uint8_t *frame, uint32_t size)
{
	bool fits = rx->len <= size;

	if (rx->nb_segs == 0 && fits)
		memcpy(frame, rx->data, rx->len);
	for (unsigned int i = 0; i < rx->nb_segs; i++) {
		const struct vif_seg *s = &rx->seg[i];

		if (fits) {
			memcpy(frame, vif_buf(vif, s->buf), s->len);
			frame += s->len;
		}
		vif_buf_put(vif, s->buf);
	}
	return fits ? (int)rx->len : -EMSGSIZE;
}

int
vif_recv(struct vif *vif, void *frame, uint32_t size)
{
	struct vif_ring *ring = &vif->recv;
	struct vif_rx rx;
	int rc = 0;

	/* Bounded: a device that publishes nothing but NOPs gets one ring's worth per call. */
	for (uint32_t tries = ring->size; tries > 0 && rc == 0; tries--) {
		int32_t avail = vif_ring_used(ring); /* R1 */
		uint32_t cons = *ring->cons, n;

		if (avail == 0)
			return 0;
		if (avail < 0) {
			vif->counters.overrun++;
			return 0;
		}
		n = vif_msg_read(vif, vif_ring_at(ring, cons),
				 RTE_MIN((uint32_t)avail, vif_ring_to_end(ring, cons)), &rx);
		if (rx.len > 0)
			rc = gather(vif, &rx, frame, size);
		vif_ring_consume(ring, n);
	}
	vif_refill(vif, NFE_MAX_SEGS);
	return rc;
}
