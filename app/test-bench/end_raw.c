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

#define NO_BUF UINT32_MAX

struct burst { /* received: long frames that are still to be read, and all buffers */
	struct {
		const uint8_t *data;
		uint32_t len;
	} frame[BENCH_MAX_BURST];
	uint32_t bufs[BENCH_MAX_BURST * NFE_MAX_SEGS];
	unsigned int nb_frames, nb_bufs;
	unsigned int taken, ours; /* frames of any length */
};

struct end_raw {
	struct end_vif base;
	uint32_t inline_max; /* bytes */
	uint64_t nb_made;    /* frames so far, sent or not */
	struct { /* frames of the next burst; long ones are in their buffers */
		uint32_t len, buf;
	} frame[BENCH_MAX_BURST];
	unsigned int nb_frames, next; /* not sent yet; the first of them */
	struct burst got;
};

/* Cells to send a frame of len bytes in. */
static unsigned int
cells_of(const struct end_raw *e, uint32_t len)
{
	return len <= e->inline_max ? nfe_inline_cells(len) : 1;
}

/* Of the usual frame, of which none in a mix takes more. */
static unsigned int
cells_of_one(const struct end_raw *e)
{
	const struct bench_opt *opt = e->base.end.opt;

	return cells_of(e, opt->imix ? 64 : opt->size);
}

/*
 * Long frames of a burst are written first, then their messages are made, which have a copy of the
 * header: right after the frame it would have to wait until the whole of it has reached the cache
 * (256 B: 149 cycles to send, so 123; 512 B: 182, so 151).
 */
static bool
write_burst(struct end_raw *e, unsigned int n)
{
	const struct bench_opt *opt = e->base.end.opt;
	uint32_t bufs[BENCH_MAX_BURST];
	unsigned int nb_bufs = 0, asked = 0;

	for (unsigned int i = 0; i < n; i++) {
		e->frame[i].len = frame_len(&e->base.end, e->nb_made + i);
		nb_bufs += e->frame[i].len > e->inline_max;
	}
	if (nb_bufs > 0) {
		unsigned int got = vif_buf_get_burst(e->base.vif, bufs, nb_bufs);

		if (got != nb_bufs) {
			vif_buf_put_burst(e->base.vif, bufs, got);
			return false;
		}
	}
	for (unsigned int i = 0; i < n; i++)
		e->frame[i].buf = e->frame[i].len > e->inline_max ? bufs[--nb_bufs] : NO_BUF;
	for (unsigned int i = 0; i < n; i++) {
		for (; asked < frames_to_ask(opt->ahead, i, n); asked++)
			if (e->frame[asked].buf != NO_BUF)
				frame_ask_to_write(opt, vif_buf(e->base.vif, e->frame[asked].buf),
						   e->frame[asked].len);
		if (e->frame[i].buf != NO_BUF)
			frame_write(&e->base.end, vif_buf(e->base.vif, e->frame[i].buf),
				    e->frame[i].len);
	}
	e->nb_made += n;
	e->nb_frames = n;
	e->next = 0;
	return true;
}

static void
put_frame(struct end_raw *e, union nfe_msg *cells, unsigned int nb_cells, uint32_t len, uint32_t buf)
{
	uint8_t *bytes = (uint8_t *)cells;
	size_t start = offsetof(struct nfe_msg_inline, frame), end = start + len;

	if (buf != NO_BUF) {
		vif_msg_dma(e->base.vif, cells, buf, 0, len);
		return;
	}
	cells->in.type = NFE_MSG_INLINE;
	cells->in.flags = 0;
	cells->in.len = (uint16_t)len;
	frame_write(&e->base.end, bytes + start, len);
	memset(bytes + end, 0, nb_cells * NFE_MSG_SIZE - end); /* rule 20 */
}

/* Frames into n slots; how many of these are used. pad: more slots follow behind the wrap. */
static unsigned int
put_frames(struct end_raw *e, union nfe_msg *slots, unsigned int n, bool pad)
{
	unsigned int at = 0;

	while (e->nb_frames > 0 && at < n) {
		uint32_t len = e->frame[e->next].len;
		unsigned int cells = cells_of(e, len);

		if (cells > n - at) {
			for (; pad && at < n; at++)
				slots[at] = (union nfe_msg){ .type = NFE_MSG_NOP };
			break;
		}
		put_frame(e, &slots[at], cells, len, e->frame[e->next].buf);
		at += cells;
		e->next++;
		e->nb_frames--;
	}
	return at;
}

static unsigned int
raw_send(struct end *end, unsigned int n)
{
	struct end_raw *e = (struct end_raw *)end;
	struct rte_ring *ring = vif_send_ring(e->base.vif);
	uint64_t start = bench_clock(end);
	unsigned int want, sent, used, room;
	bool fills = e->nb_frames == 0;
	struct rte_ring_zc_data zc;

	vif_reclaim(e->base.vif);
	end->count.tx_tries++;
	if (fills && !write_burst(e, RTE_MIN(n, end->opt->burst)))
		return 0;
	want = e->nb_frames;
	room = rte_ring_enqueue_zc_burst_elem_start(ring, NFE_MSG_SIZE,
		want * cells_of_one(e), &zc, NULL);
	used = room == 0 ? 0 : put_frames(e, zc.ptr1, zc.n1, room > zc.n1);
	if (used != 0 && used == zc.n1)
		used += put_frames(e, zc.ptr2, room - zc.n1, false);
	if (room > 0)
		rte_ring_enqueue_zc_elem_finish(ring, used);
	if (used > 0)
		vif_kick(e->base.vif);
	sent = want - e->nb_frames;
	end->count.tx_full += e->nb_frames != 0;
	end->count.sent += sent;
	if (sent != 0 || fills)
		end->count.tx_cycles += bench_clock(end) - start;
	return sent;
}

/* A long frame is read when all of the burst are on their way; of one in several buffers the first. */
static void
take_frame(struct end_raw *e, const struct vif_rx *rx)
{
	const struct vif_seg *seg = &rx->seg[0];
	struct burst *b = &e->got;

	b->taken++;
	if (rx->nb_segs == 0) {
		b->ours += frame_read(&e->base.end, rx->data, rx->len);
		return;
	}
	for (unsigned int i = 0; i < rx->nb_segs; i++)
		b->bufs[b->nb_bufs++] = rx->seg[i].buf;
	b->frame[b->nb_frames].data = (uint8_t *)vif_buf(e->base.vif, seg->buf) + seg->offset;
	b->frame[b->nb_frames++].len = seg->len;
}

static void
read_frames(struct end_raw *e)
{
	const struct bench_opt *opt = e->base.end.opt;
	struct burst *b = &e->got;
	unsigned int asked = 0;

	for (unsigned int i = 0; i < b->nb_frames; i++) {
		for (; asked < frames_to_ask(opt->ahead, i, b->nb_frames); asked++)
			frame_ask_to_read(opt, b->frame[asked].data, b->frame[asked].len);
		b->ours += frame_read(&e->base.end, b->frame[i].data, b->frame[i].len);
	}
}

/* Messages that follow each other in the array, up to a burst of frames; how many cells. */
static unsigned int
take_messages(struct end_raw *e, const union nfe_msg *cells, unsigned int n)
{
	unsigned int used = 0, of_one = 1;
	struct vif_rx rx;

	for (; used < n && of_one > 0 && e->got.taken < e->base.end.opt->burst; used += of_one) {
		of_one = vif_msg_read(e->base.vif, &cells[used], n - used, &rx);
		if (rx.len != 0)
			take_frame(e, &rx);
	}
	return used;
}

static unsigned int
raw_receive(struct end *end)
{
	struct end_raw *e = (struct end_raw *)end;
	struct rte_ring *ring = vif_recv_ring(e->base.vif);
	uint64_t start = bench_clock(end);
	unsigned int n, used;
	struct rte_ring_zc_data zc;
	struct burst *b = &e->got;

	n = rte_ring_dequeue_zc_burst_elem_start(ring, NFE_MSG_SIZE,
		(end->opt->burst + 1) * cells_of_one(e), &zc, NULL); /* and the padding of a wrap */
	if (n == 0) {
		vif_recv_prefetch(e->base.vif);
		return 0;
	}
	b->nb_frames = b->nb_bufs = b->taken = b->ours = 0;
	used = take_messages(e, zc.ptr1, zc.n1);
	if (used == zc.n1 && n > zc.n1)
		used += take_messages(e, zc.ptr2, n - zc.n1);
	read_frames(e);
	rte_ring_dequeue_zc_elem_finish(ring, used);
	vif_buf_put_burst(e->base.vif, b->bufs, b->nb_bufs);
	vif_refill(e->base.vif, BENCH_MAX_BURST);
	end->count.received += b->ours;
	end->count.foreign += b->taken - b->ours;
	end->count.rx_cycles += bench_clock(end) - start;
	return b->ours;
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
