/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The two directions of vif-tap. Both run on its one thread; buffers belong to the VIF, the pump
 * holds as many of them ready for the next read from the tap as the longest frame takes.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hints.h"
#include "pump.h"

#define INLINE_LIMIT 124u /* bytes: two cells; longer frames stay in their buffer */

void
pump_init(struct pump *p, struct vif *vif, int tap, bool hints)
{
	uint32_t size = vif_buf_size(vif), max = vif_max_frame(vif);

	if (vif_send_flags(vif) & NFE_MSG_F_GSO)
		max = NFE_GSO_MAX_FRAME;
	*p = (struct pump){ .vif = vif, .tap = tap, .hints = hints, .tap_pending = true,
			    .need = RTE_MIN((max + size - 1) / size, NFE_MAX_SEGS) };
}

static void
frame_to_tap(struct pump *p, const struct vif_rx *rx)
{
	struct iovec iov[1 + NFE_MAX_SEGS];
	struct virtio_net_hdr vh;
	ssize_t extra = 0;
	int n = 0;

	if (p->hints) {
		hints_to_tap(rx->flags, &rx->hints, &vh);
		iov[n++] = (struct iovec){ &vh, sizeof(vh) };
		extra = sizeof(vh);
	}
	if (rx->nb_segs == 0)
		iov[n++] = (struct iovec){ (void *)(uintptr_t)rx->data, rx->len };
	for (unsigned int i = 0; i < rx->nb_segs; i++)
		iov[n++] = (struct iovec){ vif_buf(p->vif, rx->seg[i].buf), rx->seg[i].len };
	if (writev(p->tap, iov, n) == (ssize_t)rx->len + extra)
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
		vif_refill(p->vif, UINT32_MAX); /* as many as belong there */
	return n;
}

/* Buffers for the longest frame: a shorter read would cut it. */
static bool
get_bufs(struct pump *p)
{
	if (p->nb_bufs < p->need)
		p->nb_bufs += vif_buf_get_burst(p->vif, p->bufs + p->nb_bufs, p->need - p->nb_bufs);
	return p->nb_bufs >= p->need;
}

/* The next frame into the buffers; its length, 0 or negative as read(2) has it. */
static ssize_t
read_frame(const struct pump *p, struct virtio_net_hdr *vh)
{
	struct iovec iov[1 + NFE_MAX_SEGS] = { { vh, sizeof(*vh) } };
	int first = p->hints ? 0 : 1, n = 1;
	ssize_t len;

	for (uint32_t i = 0; i < p->need; i++)
		iov[n++] = (struct iovec){ vif_buf(p->vif, p->bufs[i]), vif_buf_size(p->vif) };
	len = readv(p->tap, iov + first, n - first);
	return len > 0 && p->hints ? len - (ssize_t)sizeof(*vh) : len;
}

/* A frame of len bytes lies in the buffers: the pieces of it. */
static int
frame_pieces(const struct pump *p, uint32_t len, struct iovec *iov, struct vif_seg *segs)
{
	uint32_t size = vif_buf_size(p->vif);
	int n = 0;

	for (; len > 0; n++) {
		uint32_t part = RTE_MIN(len, size);

		segs[n] = (struct vif_seg){ .buf = p->bufs[n], .len = part };
		iov[n] = (struct iovec){ vif_buf(p->vif, p->bufs[n]), part };
		len -= part;
	}
	return n;
}

/* The first n buffers went away with a message. */
static void
forget_bufs(struct pump *p, uint32_t n)
{
	p->nb_bufs -= n;
	memmove(p->bufs, p->bufs + n, p->nb_bufs * sizeof(p->bufs[0]));
}

/* A frame of len bytes becomes a message in cells; cells used, 0: it does not fit. */
static unsigned int
frame_to_vif(struct pump *p, const struct virtio_net_hdr *vh, union nfe_msg *cells,
	     unsigned int nb_cells, uint32_t len)
{
	uint8_t *head = vif_buf(p->vif, p->bufs[0]);
	struct vif_seg segs[NFE_MAX_SEGS];
	struct iovec iov[NFE_MAX_SEGS];
	struct nfe_hints h;
	uint8_t flags = p->hints ? hints_from_tap(vh, &h) : 0;
	bool in_line = !(flags & NFE_MSG_F_GSO) && len <= INLINE_LIMIT && len <= vif_max_inline(p->vif);
	int nb_segs = frame_pieces(p, len, iov, segs);
	unsigned int n;

	if (len < NFE_MIN_FRAME ||
	    len > (flags & NFE_MSG_F_GSO ? NFE_GSO_MAX_FRAME : vif_max_frame(p->vif)))
		return 0;
	/* Inline, and anything but plain TCP and UDP: the checksum is made here. */
	if (flags == NFE_MSG_F_CSUM_PARTIAL &&
	    (in_line || !nfe_hints_valid(flags, &h, head, len))) {
		if (!hints_complete(vh, iov, nb_segs))
			return 0;
		flags = 0;
	}
	if (in_line)
		return vif_msg_inline(cells, nb_cells, head, len);
	if (flags == 0)
		h = (struct nfe_hints){ 0 };
	n = vif_msg_hinted(p->vif, cells, nb_cells, segs, (unsigned int)nb_segs, flags, &h);
	if (n > 0)
		forget_bufs(p, (uint32_t)nb_segs);
	return n;
}

unsigned int
pump_from_tap(struct pump *p)
{
	unsigned int nb_cells = RTE_MAX(nfe_inline_cells(INLINE_LIMIT), nfe_dma_cells(p->need));
	unsigned int n, i;

	vif_reclaim(p->vif);
	p->send_full = false;
	p->no_buffer = false;
	for (i = 0; i < PUMP_BATCH; i++) {
		union nfe_msg *cells = vif_send_cells(p->vif, nb_cells);
		struct virtio_net_hdr vh;
		ssize_t len;

		p->send_full = cells == NULL;
		p->no_buffer = !get_bufs(p);
		if (p->send_full || p->no_buffer)
			break;
		len = read_frame(p, &vh);
		if (len <= 0) {
			p->tap_pending = len < 0 && errno == EINTR;
			p->tap_gone = len < 0 && errno == EBADFD;
			break;
		}
		n = frame_to_vif(p, &vh, cells, nb_cells, (uint32_t)len);
		if (n > 0)
			vif_send_commit(p->vif, n);
		p->from_tap += n > 0;
		p->from_tap_dropped += n == 0;
	}
	return i;
}
