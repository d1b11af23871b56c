/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Data path of the guest library: send, receive, post buffers. Sending and receiving each on one
 * thread; the stack of free buffers is what they share.
 */
#include <errno.h>
#include <string.h>

#include <rte_prefetch.h>

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
	    (vif_give_held(vif, vif->nb_held) == 0 || fill_bufs(vif, frame, len, segs) == 0))
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

void
vif_recv_prefetch(const struct vif *vif)
{
	const struct vif_ring *ring = &vif->recv;
	uint32_t cons = *ring->cons;

	for (uint32_t i = 0; i < NFE_CELLS_FIRST; i++)
		rte_prefetch0(vif_ring_at(ring, cons + i));
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

		if (avail < 0)
			vif->counters.overrun++;
		if (avail <= 0)
			break; /* what came back unused must be posted again in any case */
		n = vif_msg_read(vif, vif_ring_at(ring, cons),
				 RTE_MIN((uint32_t)avail, vif_ring_to_end(ring, cons)), &rx);
		if (rx.len > 0)
			rc = gather(vif, &rx, frame, size);
		vif_ring_consume(ring, n);
	}
	vif_refill(vif, NFE_MAX_SEGS);
	if (rc == 0)
		vif_recv_prefetch(vif);
	return rc;
}
