/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The two directions of vif-tap. Both run on its one thread; buffers belong to the VIF, the pump
 * holds one of them ready for the next read from the tap.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pump.h"

#define INLINE_LIMIT 124u /* bytes: two cells; longer frames stay in their buffer */

void
pump_init(struct pump *p, struct vif *vif, int tap)
{
	*p = (struct pump){ .vif = vif, .tap = tap, .buf = -1, .tap_pending = true };
}

static void
frame_to_tap(struct pump *p, const struct vif_rx *rx)
{
	struct iovec iov[NFE_MAX_SEGS];
	int n = 0;

	if (rx->nb_segs == 0)
		iov[n++] = (struct iovec){ (void *)(uintptr_t)rx->data, rx->len };
	for (unsigned int i = 0; i < rx->nb_segs; i++)
		iov[n++] = (struct iovec){ vif_buf(p->vif, rx->seg[i].buf), rx->seg[i].len };
	if (writev(p->tap, iov, n) == (ssize_t)rx->len)
		p->to_tap++;
	else
		p->to_tap_dropped++; /* EIO: the interface is down */
	for (unsigned int i = 0; i < rx->nb_segs; i++)
		vif_buf_put(p->vif, rx->seg[i].buf);
}

unsigned int
pump_to_tap(struct pump *p)
{
	struct rte_ring *ring = vif_recv_ring(p->vif);
	struct rte_ring_zc_data zc;
	unsigned int n, used = 0;
	struct vif_rx rx;

	n = rte_ring_dequeue_zc_burst_elem_start(ring, NFE_MSG_SIZE, PUMP_BATCH, &zc, NULL);
	while (used < n) {
		bool first = used < zc.n1;
		union nfe_msg *at = first ? (union nfe_msg *)zc.ptr1 + used
					  : (union nfe_msg *)zc.ptr2 + (used - zc.n1);
		unsigned int cells = vif_msg_read(p->vif, at, (first ? zc.n1 : n) - used, &rx);

		if (cells == 0) /* cut by this batch: it comes whole with the next */
			break;
		used += cells;
		if (rx.len > 0)
			frame_to_tap(p, &rx);
	}
	rte_ring_dequeue_zc_elem_finish(ring, used);
	if (used > 0)
		vif_refill(p->vif, PUMP_BATCH);
	return n;
}

/* A frame of len bytes in p->buf becomes a message in cells; cells used, 0: it does not fit. */
static unsigned int
frame_to_vif(struct pump *p, union nfe_msg *cells, unsigned int nb_cells, uint32_t len)
{
	unsigned int n;

	if (len > vif_max_frame(p->vif))
		return 0;
	if (len <= INLINE_LIMIT && len <= vif_max_inline(p->vif))
		return vif_msg_inline(cells, nb_cells, vif_buf(p->vif, (uint32_t)p->buf), len);
	n = vif_msg_dma(p->vif, cells, (uint32_t)p->buf, 0, len);
	if (n > 0)
		p->buf = -1; /* the VIF's until vif_reclaim() */
	return n;
}

unsigned int
pump_from_tap(struct pump *p)
{
	unsigned int nb_cells = nfe_inline_cells(INLINE_LIMIT), n, i;

	vif_reclaim(p->vif);
	p->send_full = false;
	p->no_buffer = false;
	for (i = 0; i < PUMP_BATCH; i++) {
		union nfe_msg *cells = vif_send_cells(p->vif, nb_cells);
		ssize_t len;

		if (p->buf < 0)
			p->buf = vif_buf_get(p->vif);
		p->send_full = cells == NULL;
		p->no_buffer = p->buf < 0;
		if (p->send_full || p->no_buffer)
			break;
		len = read(p->tap, vif_buf(p->vif, (uint32_t)p->buf), vif_buf_size(p->vif));
		if (len <= 0) {
			p->tap_pending = len < 0 && errno == EINTR;
			break;
		}
		n = frame_to_vif(p, cells, nb_cells, (uint32_t)len);
		if (n > 0)
			vif_send_commit(p->vif, n);
		p->from_tap += n > 0;
		p->from_tap_dropped += n == 0;
	}
	return i;
}
