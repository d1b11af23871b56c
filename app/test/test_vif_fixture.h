/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device end of a VIF for the tests of lib/vif: takes frames from its send queue and delivers
 * frames to its receive queue, with the device's own accessor (nfed_queue.h). Works on the VIF's
 * memory directly (dev_open(): no socket, no EAL, no thread) or on a channel of the real device
 * end.
 */
#ifndef TEST_VIF_FIXTURE_H
#define TEST_VIF_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <nfed_function.h>

#include "vif_priv.h"

#define RING 64u
#define BUFS 128u
#define BUF_SIZE 256u
#define KEY NFE_KEY(3u, 7u)
#define MAX_SEGS 8u
#define MAX_FRAME 2000u
#define FRAME_MAX 9014u /* of a channel of the real device end */

struct dev {
	uint8_t *base; /* of the VIF's region */
	const struct nfed_region_table *regions; /* or any of these, where there is a channel */
	struct nfed_queue *sq, *rq, *fq;
	struct nfed_queue own[3]; /* when there is no channel that has them */
};

static inline void
dev_queue(struct nfed_queue *q, const struct vif *vif, enum nfe_role role, uint32_t first)
{
	struct nfeh_queue_conf c;

	vif_mem_queue(vif, role, first, &c);
	*q = (struct nfed_queue){
		.entries = vif->base + c.entries,
		.host_idx = (const uint32_t *)(vif->base + c.host_idx),
		.dev_idx = (uint32_t *)(vif->base + c.dev_idx),
		.mask = (1u << c.size_log2) - 1,
		.capacity = c.capacity,
		.prod = first, .cons = first, .published = first,
		.buf_size = c.buf_size,
		.role = (uint8_t)role,
	};
}

static inline struct vif *
dev_open(struct dev *dev, uint32_t first)
{
	struct vif_conf conf = { .name = "test", .ring_size = RING, .nb_bufs = BUFS,
				 .buf_size = BUF_SIZE, .first_index = first };
	struct vif *vif = vif_mem_alloc(&conf);
	void *shared = mmap(NULL, vif_mem_len(&conf), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (vif == NULL || shared == MAP_FAILED || vif_mem_use(vif, shared, &conf) != 0)
		abort(); /* no memory: no test */
	vif->key = KEY;
	vif->info = (struct nfeh_info){ .features = NFE_F_EVENT_IDX, .max_segs = MAX_SEGS,
					.max_frame = MAX_FRAME, .inline_to_device = 124,
					.inline_to_host = 124 };
	vif->inline_limit = vif->info.inline_to_device;
	*dev = (struct dev){ .base = vif->base };
	dev->sq = &dev->own[0];
	dev->rq = &dev->own[1];
	dev->fq = &dev->own[2];
	dev_queue(dev->sq, vif, NFE_ROLE_SQ, first);
	dev_queue(dev->rq, vif, NFE_ROLE_RQ, first);
	dev_queue(dev->fq, vif, NFE_ROLE_FQ, first);
	return vif;
}

/* As the device end of a running channel. */
static inline void
dev_of_channel(struct dev *dev, struct nfed_channel *ch)
{
	*dev = (struct dev){ .base = ch->regions->tbl[ch->sq.region_idx].base };
	dev->regions = ch->regions;
	dev->sq = &ch->sq;
	dev->rq = &ch->rq;
	dev->fq = &ch->fq;
}

/* Of an owner that echoes: one value is refused, counters are told from each other. */
static inline int
echo_value(void *owner, uint32_t value)
{
	(void)owner;
	return value == 1234 ? -EACCES : 0;
}

static inline int
echo_stats(void *owner, uint64_t value[NFE_STAT_MAX])
{
	(void)owner;
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		value[i] = 1000 + i;
	return 0;
}

static inline void
dev_close(struct vif *vif)
{
	munmap(vif->base, vif->len);
	vif_mem_free(vif);
}

static inline uint8_t *
dev_at(const struct dev *dev, uint32_t key, uint64_t offset, uint64_t len)
{
	struct nfed_region *region;
	uint8_t *addr;

	if (dev->regions == NULL)
		return dev->base + offset;
	if (nfed_region_at(dev->regions, key, offset, len, NFE_ACCESS_READ, &region, &addr) !=
	    NFED_XLATE_OK)
		abort(); /* an honest guest names what it registered */
	return addr;
}

/* Publish cells as they are, contiguous: NOPs to the end of the array first. */
static inline void
dev_give(struct dev *dev, const union nfe_msg *cells, unsigned int n)
{
	const union nfe_msg nop = { .type = NFE_MSG_NOP };
	uint32_t to_end = dev->rq->mask + 1 - (dev->rq->prod & dev->rq->mask);

	for (; n > to_end && to_end > 0; to_end--, dev->rq->prod++)
		nfed_rq_write(dev->rq, 0, &nop);
	for (unsigned int i = 0; i < n; i++)
		nfed_rq_write(dev->rq, i, &cells[i]);
	dev->rq->prod += n;
	nfed_queue_publish(dev->rq, dev->rq->prod);
}

static inline struct nfe_fill
dev_take_fill(struct dev *dev)
{
	struct nfe_fill fill = { 0 };

	if (nfed_queue_avail(dev->fq) > 0) {
		nfed_fq_snapshot(dev->fq, 0, &fill);
		dev->fq->cons++;
	}
	return fill;
}

/* Deliver a frame as the switch does: inline if short, else in posted buffers. */
static inline int
dev_deliver(struct dev *dev, const uint8_t *frame, uint32_t len)
{
	union nfe_msg m[1 + NFE_MAX_SEGS] = { 0 };
	uint32_t size = dev->fq->buf_size, nsegs = (len + size - 1) / size;

	if (nfed_rq_room(dev->rq, 16) < 16)
		return -ENOSPC;
	if (len <= 124) {
		dev_give(dev, m, vif_msg_inline(m, 2, frame, len));
		return 0;
	}
	if (nfed_queue_avail(dev->fq) < (int32_t)nsegs)
		return -ENOBUFS;
	m[0].rx.type = NFE_MSG_DMA_RX;
	m[0].rx.hints.nsegs = (uint8_t)nsegs;
	memcpy(m[0].rx.hdr, frame, NFE_HDR_COPY);
	for (unsigned int i = 0; i < nsegs; i++) {
		uint32_t part = RTE_MIN(len - i * size, size);
		struct nfe_fill fill = dev_take_fill(dev);

		memcpy(dev_at(dev, fill.key, fill.offset, part), frame + i * size, part);
		if (i == 0) {
			m[0].rx.len = (uint16_t)part;
			m[0].rx.cookie = fill.cookie;
			continue;
		}
		m[1 + (i - 1) / 4].seg_rx[(i - 1) % 4] =
			(struct nfe_seg_rx){ .cookie = fill.cookie, .len = part };
	}
	m[0].rx.fill_end = dev->fq->cons;
	dev_give(dev, m, nfe_dma_cells(nsegs));
	nfed_queue_publish(dev->fq, dev->fq->cons);
	return 0;
}

static inline uint32_t
dev_msg_cells(const union nfe_msg *m)
{
	return m->type == NFE_MSG_INLINE ? nfe_inline_cells(m->in.len) :
	       m->type == NFE_MSG_DMA_TX ? nfe_dma_cells(m->tx.hints.nsegs) : 1;
}

/* Take the next frame from the send queue; 0: nothing. */
static inline uint32_t
dev_take(struct dev *dev, uint8_t *frame)
{
	union nfe_msg m[1 + NFE_MAX_SEGS];
	uint32_t len = NFE_HDR_COPY, n;

	do {
		if (nfed_queue_avail(dev->sq) <= 0)
			return 0;
		nfed_sq_snapshot(dev->sq, 0, &m[0]);
		n = dev_msg_cells(&m[0]);
		for (uint32_t i = 1; i < n; i++)
			nfed_sq_snapshot(dev->sq, i, &m[i]);
		dev->sq->cons += n;
	} while (m[0].type == NFE_MSG_NOP);
	if (m[0].type == NFE_MSG_INLINE) {
		len = m[0].in.len;
		memcpy(frame, (uint8_t *)m + 4, len);
	} else {
		memcpy(frame, m[0].tx.hdr, NFE_HDR_COPY);
		for (uint32_t i = 0; i < m[0].tx.hints.nsegs; i++) {
			struct nfe_seg_tx s = { .key = m[0].tx.key, .len = m[0].tx.len,
						.offset = m[0].tx.offset };

			if (i > 0)
				s = m[1 + (i - 1) / 4].seg_tx[(i - 1) % 4];
			memcpy(frame + len, dev_at(dev, s.key, s.offset, s.len), s.len);
			len += s.len;
		}
	}
	nfed_queue_publish(dev->sq, dev->sq->cons);
	return len;
}

/* One turn of a data path that gives each frame back, on the real device end: how many. */
static inline uint32_t
dev_turn(struct dev *dev, struct nfed_channel *ch)
{
	static uint8_t frame[FRAME_MAX];
	uint32_t sq_old, rq_old, len, n = 0;

	sq_old = ch->sq.published;
	rq_old = ch->rq.published;
	while (n < 32 && (len = dev_take(dev, frame)) > 0) {
		if (dev_deliver(dev, frame, len) != 0)
			printf("# frame of %u bytes dropped\n", len);
		n++;
	}
	nfe_full_fence(); /* P2 */
	if ((ch->rq.may_sleep && nfed_queue_must_wake(&ch->rq, ch->rq.published, rq_old)) ||
	    (ch->sq.may_sleep && nfed_queue_must_wake(&ch->sq, ch->sq.published, sq_old)))
		nfed_interrupt(ch);
	return n;
}

/* The same, channel NULL: it does not run. Sleeps and wakes as 5.4 wants it. True: there may be
 * more. */
static inline bool
dev_echo(struct dev *dev, struct nfed_channel *ch)
{
	return ch != NULL && (dev_turn(dev, ch) > 0 || !nfed_sq_arm(&ch->sq));
}

static inline void
fill_random(void *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)bytes)[i] = (uint8_t)random();
}

static inline unsigned int
bufs_in_state(const struct vif *vif, enum vif_buf_state state)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < vif->nb_bufs; i++)
		n += vif->buf_state[i] == state;
	return n;
}

/* A message with a frame of 100 bytes in one buffer. */
static inline union nfe_msg
good_rx(const struct nfe_fill *fill, uint32_t fill_end)
{
	union nfe_msg m = { 0 };

	m.rx.type = NFE_MSG_DMA_RX;
	m.rx.len = 100;
	m.rx.cookie = fill->cookie;
	m.rx.fill_end = fill_end;
	m.rx.hints.nsegs = 1;
	return m;
}

#endif /* TEST_VIF_FIXTURE_H */
