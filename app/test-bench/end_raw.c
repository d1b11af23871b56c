/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Ends on lib/vif, the way it is meant to be used when speed matters: messages are built in the
 * slots of a stock rte_ring and read there, by its zero-copy peek calls. No EAL memory, no mbufs.
 *
 * A frame that the switch takes inline is written into its cells, a longer one into a buffer of
 * the VIF. Where the cells of one frame would wrap, NOPs stand instead (specification 4.7).
 */
#include <stdio.h>

#include "end_vif.h"

#define NB_BUFS_PER_CELL 4 /* buffers per message of a ring: sent, posted, and to spare */

struct end_raw {
	struct end_vif base;
	uint32_t inline_max; /* bytes */
	uint32_t free[BENCH_MAX_BURST]; /* buffers to write the next frames to */
	unsigned int nb_free;
};

/* Cells to send a frame of len bytes in. */
static unsigned int
cells_of(const struct end_raw *e, uint32_t len)
{
	return len <= e->inline_max ? nfe_inline_cells(len) : 1;
}

/* An atomic operation waits for all stores before it: one per burst, not one per written frame
 * (1500 B: 798 cycles of the guest with one for each, 724 with one per burst). */
static bool
take_buffer(struct end_raw *e, uint32_t *buf)
{
	if (e->nb_free == 0)
		e->nb_free = vif_buf_get_burst(e->base.vif, e->free, e->base.end.opt->burst);
	if (e->nb_free == 0)
		return false;
	*buf = e->free[--e->nb_free];
	return true;
}

static bool
put_frame(struct end_raw *e, union nfe_msg *cells, unsigned int nb_cells, uint32_t len)
{
	uint8_t *bytes = (uint8_t *)cells;
	size_t start = offsetof(struct nfe_msg_inline, frame), end = start + len;
	uint32_t buf;

	if (len <= e->inline_max) {
		cells->in.type = NFE_MSG_INLINE;
		cells->in.flags = 0;
		cells->in.len = (uint16_t)len;
		frame_write(&e->base.end, bytes + start, len);
		memset(bytes + end, 0, nb_cells * NFE_MSG_SIZE - end); /* rule 20 */
		return true;
	}
	if (!take_buffer(e, &buf))
		return false;
	frame_write(&e->base.end, vif_buf(e->base.vif, buf), len);
	return vif_msg_dma(e->base.vif, cells, buf, 0, len) == 1;
}

/* Frames into the slots [from, n); false: no more fits or buffers have run out. used: cells. */
static bool
put_frames(struct end_raw *e, union nfe_msg *slots, unsigned int n, unsigned int *used,
	   unsigned int *frames, unsigned int want, bool pad)
{
	unsigned int at = 0;
	bool more = true;

	while (*frames < want && more && at < n) {
		uint32_t len = frame_len(&e->base.end);
		unsigned int cells = cells_of(e, len);

		if (cells > n - at) {
			more = pad;
			for (; pad && at < n; at++)
				slots[at] = (union nfe_msg){ .type = NFE_MSG_NOP };
			break;
		}
		more = put_frame(e, &slots[at], cells, len);
		at += more ? cells : 0;
		*frames += more;
	}
	*used += at;
	return more;
}

static unsigned int
raw_send(struct end *end, unsigned int n)
{
	struct end_raw *e = (struct end_raw *)end;
	struct rte_ring *ring = vif_send_ring(e->base.vif);
	uint64_t start = bench_clock(end);
	unsigned int want = RTE_MIN(n, end->opt->burst), sent = 0, used = 0, room;
	unsigned int cells = want * cells_of(e, end->opt->imix ? 64 : end->opt->size);
	struct rte_ring_zc_data zc;

	vif_reclaim(e->base.vif);
	end->count.tx_tries++;
	room = rte_ring_enqueue_zc_burst_elem_start(ring, NFE_MSG_SIZE, cells, &zc, NULL);
	if (room > 0 && put_frames(e, zc.ptr1, zc.n1, &used, &sent, want, room > zc.n1) &&
	    room > zc.n1)
		put_frames(e, zc.ptr2, room - zc.n1, &used, &sent, want, false);
	rte_ring_enqueue_zc_elem_finish(ring, used);
	if (used > 0)
		vif_kick(e->base.vif);
	end->count.tx_full += sent < want;
	end->count.sent += sent;
	if (sent != 0)
		end->count.tx_cycles += bench_clock(end) - start;
	return sent;
}

/* Its buffers are appended to done, whose n entries leave room for those of one frame. */
static unsigned int
take_frame(struct end_raw *e, const struct vif_rx *rx, uint32_t *done, unsigned int *n)
{
	if (rx->nb_segs == 0)
		return frame_read(&e->base.end, rx->data, rx->len);
	for (unsigned int i = 0; i < rx->nb_segs; i++)
		done[(*n)++] = rx->seg[i].buf;
	return frame_read(&e->base.end,
			  (uint8_t *)vif_buf(e->base.vif, rx->seg[0].buf) + rx->seg[0].offset,
			  rx->seg[0].len);
}

static unsigned int
raw_receive(struct end *end)
{
	struct end_raw *e = (struct end_raw *)end;
	struct rte_ring *ring = vif_recv_ring(e->base.vif);
	uint64_t start = bench_clock(end);
	unsigned int n, used = 0, frames = 0, ours = 0, nb_done = 0;
	uint32_t done[BENCH_MAX_BURST * NFE_MAX_SEGS];
	struct rte_ring_zc_data zc;
	struct vif_rx rx;

	n = rte_ring_dequeue_zc_burst_elem_start(ring, NFE_MSG_SIZE, BENCH_MAX_BURST, &zc, NULL);
	while (used < n) { /* first up to the end of the array, then from its start */
		bool first = used < zc.n1;
		const union nfe_msg *at = first ? (const union nfe_msg *)zc.ptr1 + used
						: (const union nfe_msg *)zc.ptr2 + (used - zc.n1);
		unsigned int cells = vif_msg_read(e->base.vif, at, (first ? zc.n1 : n) - used, &rx);

		if (cells == 0) /* goes on beyond this burst */
			break;
		used += cells;
		if (rx.len == 0)
			continue;
		frames++;
		ours += take_frame(e, &rx, done, &nb_done);
	}
	if (n == 0)
		return 0;
	rte_ring_dequeue_zc_elem_finish(ring, used);
	vif_buf_put_burst(e->base.vif, done, nb_done);
	vif_refill(e->base.vif, BENCH_MAX_BURST);
	end->count.received += ours;
	end->count.foreign += frames - ours;
	end->count.rx_cycles += bench_clock(end) - start;
	return ours;
}

static const struct end_ops ops = {
	.send = raw_send,
	.receive = raw_receive,
	.link = end_vif_link,
	.close = end_vif_close,
};

struct end *
end_raw_open(const char *address, const struct bench_opt *opt)
{
	struct vif_conf conf = { .nb_bufs = NB_BUFS_PER_CELL * opt->desc,
				 .buf_size = RTE_ALIGN_CEIL(opt->buf_size, 64) };
	struct end_raw *e = (struct end_raw *)end_vif_open(address, opt, &ops, conf, sizeof(*e));

	if (e == NULL)
		return NULL;
	if (opt->size > 1514 && vif_set_mtu(e->base.vif, opt->size - 14) != 0) {
		fprintf(stderr, "test-bench: %s: mtu %u refused\n", address, opt->size - 14);
		end_vif_close(&e->base.end);
		return NULL;
	}
	e->inline_max = RTE_MIN(vif_max_inline(e->base.vif),
				RTE_MAX(opt->inline_max, NFE_INLINE_ONE));
	return &e->base.end;
}
