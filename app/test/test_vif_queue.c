/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/vif, queues: the stock rings as the device end sees them, wrap-around, reclaiming, indices
 * after a restart, sleep and wake. The device end is played by hand, see test_vif_fixture.h.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"
#include "test_vif_fixture.h"

static int
stock_ring_calls_and_the_device_see_the_same_queue(void)
{
	const uint32_t first = 0xffffff00;
	struct nfeh_queue_conf c;
	union nfe_msg cells[40], out[40];
	struct dev dev;
	struct vif *vif = dev_open(&dev, first);
	struct rte_ring *r = vif_recv_ring(vif);

	vif_mem_queue(vif, NFE_ROLE_RQ, first, &c);
	TEST_EQ(c.entries, (uint8_t *)r + sizeof(*r) - vif->base);
	TEST_EQ(c.entries % 64, 0);
	TEST_EQ(c.host_idx, (uint8_t *)&r->cons.tail - vif->base);
	TEST_EQ(c.dev_idx, (uint8_t *)&r->prod.tail - vif->base);
	TEST_EQ(c.capacity, rte_ring_get_capacity(r));
	TEST_EQ(c.flags, NFE_QUEUE_F_RING);
	for (unsigned int lap = 0; lap < 40; lap++) {
		fill_random(cells, sizeof(cells));
		TEST_EQ(rte_ring_enqueue_bulk_elem(vif_send_ring(vif), cells, 64, 40, NULL), 40);
		TEST_EQ(nfed_queue_avail(dev.sq), 40);
		for (unsigned int i = 0; i < 40; i++) {
			union nfe_msg m;

			nfed_sq_snapshot(dev.sq, i, &m);
			TEST_MEM_EQ(&m, &cells[i], 64);
			nfed_rq_write(dev.rq, i, &m);
		}
		dev.sq->cons += 40;
		nfed_queue_publish(dev.sq, dev.sq->cons);
		dev.rq->prod += 40;
		nfed_queue_publish(dev.rq, dev.rq->prod);
		TEST_EQ(rte_ring_dequeue_bulk_elem(r, out, 64, 40, NULL), 40);
		TEST_MEM_EQ(out, cells, sizeof(cells));
	}
	dev_close(vif);
	return TEST_OK;
}

static int
nops_fill_the_array_before_a_message_that_would_wrap(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xffffffff);
	uint8_t frame[124];
	union nfe_msg m;

	fill_random(frame, sizeof(frame)); /* index 2^32 - 1: one cell is left in the array */
	TEST_EQ(vif_send(vif, frame, 124), 0);
	TEST_EQ(nfed_queue_avail(dev.sq), 3);
	nfed_sq_snapshot(dev.sq, 0, &m);
	TEST_EQ(m.type, NFE_MSG_NOP);
	for (unsigned int i = 1; i < 64; i++)
		TEST_EQ(m.bytes[i], 0);
	nfed_sq_snapshot(dev.sq, 1, &m);
	TEST_EQ(m.type, NFE_MSG_INLINE);
	TEST_EQ((uint8_t *)vif_ring_at(&vif->send, 0) - vif->send.entries, 0);
	TEST_MEM_EQ((uint8_t *)vif_ring_at(&vif->send, 0) + 4, frame, 124);
	dev_close(vif);
	return TEST_OK;
}

/* The second call finds nothing new, so that all come back. */
static unsigned int
reclaim(struct vif *vif)
{
	unsigned int n = vif_reclaim(vif);

	return n + vif_reclaim(vif);
}

static int
frames_of_all_sizes_come_back_over_the_index_wrap(void)
{
	static uint8_t sent[16][MAX_FRAME], got[MAX_FRAME];
	uint32_t len[16];
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xffffff00);
	unsigned int left;

	srandom(1);
	vif_refill(vif, BUFS);
	for (unsigned int round = 0; round < 2000; round++) {
		unsigned int n = 0, burst = 1 + (unsigned int)random() % 8;

		for (unsigned int i = 0; i < burst; i++) {
			len[n] = 14 + (uint32_t)random() % (MAX_FRAME - 14 + 1);
			fill_random(sent[n], len[n]);
			n += vif_send(vif, sent[n], len[n]) == 0;
		}
		TEST_TRUE(n > 0);
		for (unsigned int i = 0; i < n; i++) {
			TEST_EQ(dev_take(&dev, got), len[i]);
			TEST_MEM_EQ(got, sent[i], len[i]);
			TEST_EQ(dev_deliver(&dev, got, len[i]), 0);
			TEST_EQ(vif_recv(vif, got, sizeof(got)), len[i]);
			TEST_MEM_EQ(got, sent[i], len[i]);
		}
		TEST_EQ(vif_recv(vif, got, sizeof(got)), 0);
	}
	TEST_TRUE(*vif->send.prod < 0xffffff00); /* it did wrap */
	reclaim(vif);
	left = bufs_in_state(vif, VIF_BUF_FREE) + bufs_in_state(vif, VIF_BUF_POSTED);
	TEST_EQ(left, BUFS);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_POSTED), nfed_queue_avail(dev.fq));
	TEST_EQ(vif->fill_seen, dev.fq->cons);
	dev_close(vif);
	return TEST_OK;
}

/* A lot at a time while there is traffic; all of them when there is none, or no other buffer. */
static int
sent_buffers_come_back_in_lots_or_when_they_are_needed(void)
{
	static uint8_t frame[MAX_FRAME];
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	unsigned int sent = 0, back = 0, left;
	union nfe_msg cell;
	uint32_t bufs[BUFS];

	TEST_TRUE(vif->held_max > 1 && vif->held_max <= BUFS / 4);
	for (; back == 0; sent++) {
		vif_msg_dma(vif, &cell, (uint32_t)vif_buf_get(vif), 0, 200);
		TEST_EQ(rte_ring_enqueue_elem(vif_send_ring(vif), &cell, sizeof(cell)), 0);
		TEST_EQ(dev_take(&dev, frame), 200);
		back = vif_reclaim(vif);
		TEST_EQ(bufs_in_state(vif, VIF_BUF_HELD), sent + 1 - back);
	}
	TEST_EQ(back, RTE_MIN(vif->held_max, VIF_HELD_LOT));
	TEST_EQ(sent, vif->held_max + 1);
	TEST_EQ(vif_reclaim(vif), sent - back); /* nothing new */
	TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS);

	TEST_EQ(vif_send(vif, frame, 200), 0);
	TEST_EQ(dev_take(&dev, frame), 200);
	left = vif_buf_get_burst(vif, bufs, BUFS);
	TEST_EQ(left, BUFS - 1);
	TEST_EQ(vif_reclaim(vif), 1); /* no other is free */
	vif_buf_put_burst(vif, bufs, left);

	TEST_EQ(vif_send(vif, frame, 200), 0);
	TEST_EQ(dev_take(&dev, frame), 200);
	left = vif_buf_get_burst(vif, bufs, BUFS - 8); /* seven and one: a frame needs eight */
	TEST_EQ(vif_send(vif, frame, MAX_FRAME), 0);
	TEST_EQ(vif->nb_held, 0);
	vif_buf_put_burst(vif, bufs, left);
	dev_close(vif);
	return TEST_OK;
}

static int
full_ring_or_no_buffers_is_eagain_and_leaks_none(void)
{
	static uint8_t frame[MAX_FRAME];
	struct dev dev;
	struct vif *vif = dev_open(&dev, 5);
	unsigned int n = 0;

	while (vif_send(vif, frame, 60) == 0)
		n++;
	TEST_EQ(n, RING - 1);
	TEST_EQ(vif_send(vif, frame, 60), -EAGAIN);
	while (n-- > 0)
		TEST_EQ(dev_take(&dev, frame), 60);
	while (vif_send(vif, frame, MAX_FRAME) == 0)
		n++; /* eight buffers each, 16 times at most */
	TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE) % 8, 0);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_APP), 0);
	while (dev_take(&dev, frame) > 0)
		;
	reclaim(vif);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS);
	dev_close(vif);
	return TEST_OK;
}

static int
overwritten_messages_are_reclaimed_when_nothing_is_outstanding(void)
{
	static uint8_t frame[MAX_FRAME];
	union nfe_msg cell;
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);

	for (unsigned int i = 0; i < RING + 10; i++) { /* more than a lap without vif_reclaim() */
		vif_msg_dma(vif, &cell, (uint32_t)vif_buf_get(vif), 0, 100);
		TEST_EQ(rte_ring_enqueue_elem(vif_send_ring(vif), &cell, 64), 0);
		if (i < RING + 9)
			TEST_EQ(dev_take(&dev, frame), 100);
	}
	TEST_EQ(vif_reclaim(vif), 0); /* one is out */
	TEST_EQ(dev_take(&dev, frame), 100);
	TEST_EQ(reclaim(vif), RING + 10);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS);
	dev_close(vif);
	return TEST_OK;
}

/* The device goes on between vif_reclaim() and the enqueue: what it takes then is overwritten before the
 * next vif_reclaim(), and the ring never empties. */
static int
buffers_come_back_from_a_ring_that_stays_full(void)
{
	uint8_t frame[MAX_FRAME];
	union nfe_msg cell;
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xffffff80);
	struct rte_ring *ring = vif_send_ring(vif);

	for (unsigned int round = 0; round < 20 * RING; round++) {
		vif_reclaim(vif);
		TEST_EQ(bufs_in_state(vif, VIF_BUF_ENQUEUED), nfed_queue_avail(dev.sq));
		TEST_EQ(vif->sent_bufs, nfed_queue_avail(dev.sq));
		for (unsigned int i = 0; round > 0 && i < 1 + round % 16; i++)
			TEST_EQ(dev_take(&dev, frame), 100);
		while (!rte_ring_full(ring)) {
			int32_t buf = vif_buf_get(vif);

			TEST_TRUE(buf >= 0);
			TEST_EQ(vif_msg_dma(vif, &cell, (uint32_t)buf, 0, 100), 1);
			TEST_EQ(rte_ring_enqueue_elem(ring, &cell, sizeof(cell)), 0);
		}
	}
	dev_close(vif);
	return TEST_OK;
}

/* Where a message was made in its slot, what the device writes there meanwhile is not looked at. */
static int
buffers_of_messages_made_in_their_slots_come_back(void)
{
	uint8_t frame[MAX_FRAME];
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xffffff80);

	for (unsigned int i = 0; i < 10 * RING; i++) {
		uint32_t buf = (uint32_t)vif_buf_get(vif);
		union nfe_msg *cell = vif_send_cells(vif, 1);

		TEST_EQ(vif_msg_dma(vif, cell, buf, 0, 100), 1);
		vif_send_commit(vif, 1);
		TEST_EQ(dev_take(&dev, frame), 100);
		memset(cell, (int)i, sizeof(*cell));
		if (i % 2 == 0) { /* found in the ring, then consumed; or both at once */
			*vif->send.cons -= 1;
			vif_reclaim(vif);
			TEST_EQ(vif->buf_state[buf], VIF_BUF_ENQUEUED);
			*vif->send.cons += 1;
		}
		vif_reclaim(vif);
		TEST_EQ(vif->sent_bufs, 0);
	}
	reclaim(vif);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS);
	dev_close(vif);
	return TEST_OK;
}

enum second { IN_PLACE, COPIED, IN_TWO_BUFFERS, SECONDS };

/* A message is made in the next slot and not enqueued, another frame goes there, and the buffer with a
 * second message into the slot behind: it is not free when the first slot is consumed. */
static int
buffer_whose_first_message_was_not_enqueued_belongs_to_the_second(void)
{
	static const uint8_t other[60];
	uint8_t frame[MAX_FRAME];
	union nfe_msg *slot, msg;
	struct vif_seg seg[2];
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xffffffc0);

	for (unsigned int i = 0; i < 10 * RING; i++) {
		uint32_t buf = (uint32_t)vif_buf_get(vif);
		enum second second = (enum second)(i % SECONDS);

		TEST_EQ(vif_msg_dma(vif, vif_ring_at(&vif->send, *vif->send.prod), buf, 0, 100), 1);
		TEST_EQ(vif_send(vif, other, sizeof(other)), 0);
		seg[0] = (struct vif_seg){ .buf = buf, .len = 100 };
		seg[1] = (struct vif_seg){ .buf = (uint32_t)vif_buf_get(vif), .len = 100 };
		if (second == COPIED) {
			TEST_EQ(vif_msg_dma_segs(vif, &msg, 1, seg, 1), 1);
			TEST_EQ(rte_ring_enqueue_elem(vif_send_ring(vif), &msg, sizeof(msg)), 0);
		} else {
			unsigned int nb = second == IN_PLACE ? 1 : 2, n = nfe_dma_cells(nb);

			slot = vif_send_cells(vif, n);
			TEST_EQ(vif_msg_dma_segs(vif, slot, n, seg, nb), n);
			vif_send_commit(vif, n);
		}
		if (second != IN_TWO_BUFFERS)
			vif_buf_put(vif, seg[1].buf);
		while (dev_take(&dev, frame) != sizeof(other)) /* 0: a NOP at the wrap */
			;
		reclaim(vif);
		TEST_EQ(vif->buf_state[buf], VIF_BUF_ENQUEUED);
		while (dev_take(&dev, frame) == 0)
			;
		reclaim(vif);
		TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS);
		TEST_EQ(vif->sent_bufs, 0);
		TEST_EQ(vif->sent_elsewhere, 0);
	}
	dev_close(vif);
	return TEST_OK;
}

/* Nor is any other message looked at, as long as there is none that was made elsewhere. */
static int
device_that_makes_an_inline_message_name_a_buffer_is_not_listened_to(void)
{
	uint8_t frame[MAX_FRAME] = { 0 };
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);

	for (unsigned int i = 0; i < 2; i++) {
		uint32_t buf = (uint32_t)vif_buf_get(vif), other = (uint32_t)vif_buf_get(vif);
		union nfe_msg *cell, *inlined, msg;

		inlined = vif_ring_at(&vif->send, *vif->send.prod);
		TEST_EQ(vif_send(vif, frame, 60), 0);
		cell = vif_send_cells(vif, 1);
		TEST_EQ(vif_msg_dma(vif, cell, buf, 0, 100), 1);
		vif_send_commit(vif, 1);
		if (i == 1) { /* made elsewhere: all are read, and the device is believed, about what is its */
			TEST_EQ(vif_msg_dma(vif, &msg, other, 0, 100), 1);
			TEST_EQ(vif->sent_elsewhere, 1);
		}
		TEST_EQ(dev_take(&dev, frame), 60);
		nfe_cell64_copy(inlined, cell);
		reclaim(vif);
		TEST_EQ(vif->buf_state[buf] == VIF_BUF_ENQUEUED, i == 0);
		vif_buf_put(vif, other);
		TEST_EQ(vif->sent_elsewhere, 0);
		TEST_EQ(dev_take(&dev, frame), 100);
		reclaim(vif);
		TEST_EQ(vif->sent_bufs, 0);
		TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS);
	}
	dev_close(vif);
	return TEST_OK;
}

static int
device_that_rewrites_sent_messages_frees_only_sent_buffers(void)
{
	uint8_t frame[MAX_FRAME];
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	unsigned int posted = vif_refill(vif, 20);
	int32_t mine = vif_buf_get(vif);

	memset(frame, 0, sizeof(frame));
	TEST_EQ(vif_send(vif, frame, 1000), 0);
	dev_take(&dev, frame);
	srandom(2);
	for (unsigned int i = 0; i < 20000; i++) {
		union nfe_msg *cell = vif_ring_at(&vif->send, (uint32_t)random());

		fill_random(cell, 64);
		cell->type = (uint8_t)(random() % 5);
		cell->tx.key = KEY;
		cell->tx.offset %= vif->len + 4096;
		*vif->send.cons += (uint32_t)random() % 3;
		vif_reclaim(vif);
	}
	TEST_EQ(bufs_in_state(vif, VIF_BUF_POSTED), posted);
	TEST_EQ(vif->buf_state[mine], VIF_BUF_APP);
	dev_close(vif);
	return TEST_OK;
}

/* A message that was built and then not enqueued, whose buffer a device names in the ring. */
static int
buffer_put_after_the_device_named_it_is_free_once(void)
{
	uint8_t frame[MAX_FRAME] = { 0 };
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	uint32_t buf = (uint32_t)vif_buf_get(vif);
	union nfe_msg msg;

	for (bool consumed = false;; consumed = true) {
		TEST_EQ(vif_msg_dma(vif, &msg, buf, 0, 100), 1);
		TEST_EQ(vif_send(vif, frame, 60), 0);
		nfe_cell64_copy(vif_ring_at(&vif->send, *vif->send.prod - 1), &msg);
		if (consumed)
			*vif->send.cons = *vif->send.prod;
		vif_reclaim(vif);
		TEST_EQ(vif->buf_state[buf], consumed ? VIF_BUF_HELD : VIF_BUF_ENQUEUED);
		vif_buf_put(vif, buf); /* no end, and nothing twice */
		*vif->send.cons = *vif->send.prod;
		reclaim(vif);
		TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS);
		TEST_EQ(vif->sent_bufs, 0);
		if (consumed)
			break;
		TEST_EQ(vif_buf_get(vif), (int32_t)buf);
	}
	dev_close(vif);
	return TEST_OK;
}

static int
device_index_out_of_bounds_stops_only_that_ring(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	uint8_t frame[64] = { 0 };

	*vif->recv.prod = RING;
	*vif->fill.cons = 1;
	TEST_EQ(vif_recv(vif, frame, sizeof(frame)), 0); /* refills, too */
	TEST_EQ(vif->counters.overrun, 2);
	*vif->send.cons = 0x80000000;
	TEST_EQ(vif_reclaim(vif), 0);
	TEST_EQ(vif->counters.bad_send_cons, 1);
	TEST_EQ(vif_send(vif, frame, 60), -EAGAIN);
	dev_close(vif);
	return TEST_OK;
}

static int
send_index_that_goes_back_ends_no_reclaim_in_a_walk_around_all_indices(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xfffffff0);
	uint8_t frame[60] = { 0 };

	for (unsigned int i = 0; i < 30; i++)
		TEST_EQ(vif_send(vif, frame, sizeof(frame)), 0);
	*vif->send.cons = 0xfffffff0 + 20;
	TEST_EQ(vif_reclaim(vif), 0);
	TEST_EQ(vif->reclaimed, 0xfffffff0u + 20);
	*vif->send.cons = 0xfffffff0 + 19;
	alarm(2); /* ends the program where it walks */
	TEST_EQ(vif_reclaim(vif), 0);
	alarm(0);
	TEST_EQ(vif->reclaimed, 0xfffffff0u + 20);
	TEST_EQ(vif->counters.bad_send_cons, 1);
	*vif->send.cons = 0xfffffff0 + 30; /* on it goes */
	TEST_EQ(vif_reclaim(vif), 0);
	TEST_EQ(vif->reclaimed, *vif->send.prod);
	TEST_EQ(vif->counters.bad_send_cons, 1);
	dev_close(vif);
	return TEST_OK;
}

/* As a replay has to know it, whichever way messages are read. */
static int
messages_read_are_known_one_by_one(void)
{
	static const uint32_t lens[] = { 200, 60, 124, 200, BUF_SIZE + 100, 200 };
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xfffffffe);
	uint8_t frame[BUF_SIZE + 100] = { 0 };
	struct rte_ring_zc_data zc;
	uint32_t cells = 0, end = 0;
	struct vif_rx rx;

	vif_refill(vif, 10);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		uint32_t n = lens[i] <= 124 ? nfe_inline_cells(lens[i]) :
					      nfe_dma_cells(1 + lens[i] / BUF_SIZE);

		TEST_EQ(dev_deliver(&dev, frame, lens[i]), 0);
		while (rte_ring_dequeue_zc_burst_elem_start(vif_recv_ring(vif), NFE_MSG_SIZE, n, &zc,
							    NULL) > 0 &&
		       vif_msg_read(vif, zc.ptr1, zc.n1, &rx) == 1 && rx.len == 0) {
			rte_ring_dequeue_zc_elem_finish(vif_recv_ring(vif), 1); /* before the wrap */
			cells++;
		}
		rte_ring_dequeue_zc_elem_finish(vif_recv_ring(vif), n);
		cells += n;
		end += lens[i] <= 124 ? 0 : 1 + lens[i] / BUF_SIZE;
		TEST_EQ(vif->read, 0xfffffffe + cells);
		TEST_EQ(vif->fill_seen, 0xfffffffe + end);
		TEST_EQ(vif->counters.frames, i + 1);
		TEST_EQ(rx.len, lens[i]);
		TEST_EQ(rx.flags, 0);
		TEST_EQ(rx.nb_segs, lens[i] <= 124 ? 0 : 1 + lens[i] / BUF_SIZE);
		TEST_EQ(rx.data != NULL, rx.nb_segs == 0);
		for (unsigned int k = 0; k < rx.nb_segs; k++) {
			TEST_EQ(rx.seg[k].offset, 0);
			TEST_EQ(rx.hints.nsegs, rx.nb_segs);
			vif_buf_put(vif, rx.seg[k].buf);
		}
	}
	TEST_EQ(bufs_in_state(vif, VIF_BUF_APP), 0);
	dev_close(vif);
	return TEST_OK;
}

static int
replay_goes_on_at_the_last_fill_end_published(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xfffffff0);
	uint8_t frame[MAX_FRAME] = { 0 };
	uint32_t prod, cons;

	vif_refill(vif, 30);
	for (unsigned int i = 0; i < 4; i++)
		TEST_EQ(dev_deliver(&dev, frame, 600), 0); /* three buffers, two cells each */
	TEST_EQ(vif_recv(vif, frame, sizeof(frame)), 600);
	TEST_EQ(dev_deliver(&dev, frame, 60), 0);
	dev_take_fill(&dev); /* taken, and then the device died */
	vif_replay_indices(vif, 1, NFE_ROLE_FQ, &prod, &cons);
	TEST_EQ(cons, 0xfffffff0u + 12); /* of messages read and unread */
	TEST_EQ(prod, *vif->fill.prod);
	vif_replay_indices(vif, 1, NFE_ROLE_RQ, &prod, &cons);
	TEST_EQ(prod, 0xfffffff0u + 9);
	TEST_EQ(cons, 0xfffffff0u + 2);
	vif_send(vif, frame, 60);
	vif_replay_indices(vif, 1, NFE_ROLE_SQ, &prod, &cons);
	TEST_EQ(prod, 0xfffffff1u);
	TEST_EQ(cons, 0xfffffff0u);
	dev_close(vif);
	return TEST_OK;
}

static int
replay_takes_no_continuation_cell_for_a_message(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	uint8_t frame[124] = { 0 };
	uint32_t prod, cons;

	vif_refill(vif, 30);
	TEST_EQ(dev_deliver(&dev, frame, 124), 0);
	frame[60] = NFE_MSG_DMA_RX; /* first byte of the second cell */
	frame[60 + 12] = 5;         /* where its fill_end would be */
	TEST_EQ(dev_deliver(&dev, frame, 124), 0);
	vif_replay_indices(vif, 1, NFE_ROLE_FQ, &prod, &cons);
	TEST_EQ(cons, 0);
	dev_close(vif);
	return TEST_OK;
}

static int
replay_of_rubbish_indices_gives_a_sane_queue(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 100);
	union nfe_msg m = good_rx(&(struct nfe_fill){ 0 }, 0x12345678);
	uint32_t prod, cons;

	vif_refill(vif, 10);
	dev_give(&dev, &m, 1);
	vif_replay_indices(vif, 1, NFE_ROLE_FQ, &prod, &cons);
	TEST_EQ(cons, 100); /* what the device said in the ring */
	*vif->fill.cons = *vif->send.cons = *vif->recv.prod = 0xdeadbeef;
	for (enum nfe_role role = NFE_ROLE_SQ; role <= NFE_ROLE_FQ; role++) {
		vif_replay_indices(vif, 1, role, &prod, &cons);
		TEST_EQ(prod, cons);
	}
	dev_close(vif);
	return TEST_OK;
}

static int
replay_trusts_the_device_index_if_the_application_reads_by_itself(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	uint8_t frame[200] = { 0 };
	union nfe_msg cell;
	uint32_t prod, cons;

	vif_refill(vif, 40);
	for (unsigned int i = 0; i < RING + 5; i++) {
		TEST_EQ(dev_deliver(&dev, frame, i < 20 ? 200 : 60), 0);
		TEST_EQ(rte_ring_dequeue_elem(vif_recv_ring(vif), &cell, 64), 0);
	}
	vif_replay_indices(vif, 1, NFE_ROLE_FQ, &prod, &cons);
	TEST_EQ(cons, 20);
	dev_close(vif);
	return TEST_OK;
}

static int
sleeper_asks_for_the_next_message_and_looks_again(void)
{
	uint32_t rq_event = 0, sq_done = 0;
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0xffffffff);
	uint8_t frame[60] = { 0 };

	TEST_TRUE(!vif_arm(vif)); /* attached without conf.sleep */
	TEST_EQ(vif_wait(vif, 0), -ENOTSUP);
	vif->irq_fd = 0;
	vif->rq_event = &rq_event;
	vif->sq_done_event = &sq_done;
	TEST_TRUE(vif_arm(vif));
	TEST_EQ(rq_event, 0xffffffff);
	TEST_EQ(dev_deliver(&dev, frame, 60), 0);
	TEST_TRUE(!vif_arm(vif));
	TEST_TRUE(!vif_arm_send(vif));
	while (vif_send(vif, frame, 60) == 0)
		;
	TEST_TRUE(vif_arm_send(vif));
	while (vif_ring_used(&vif->send) > (int32_t)RING / 2) {
		uint32_t old = *vif->send.cons;

		TEST_EQ(dev_take(&dev, frame), 60);
		TEST_EQ(nfe_event_crossed(sq_done, dev.sq->cons, old),
			vif_ring_used(&vif->send) == RING / 2);
	}
	TEST_TRUE(!vif_arm_send(vif));
	dev_close(vif);
	return TEST_OK;
}

static int
awake_device_is_not_kicked(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	uint8_t frame[60] = { 0 };

	vif->status->sq_event = 0xffffffff; /* behind; crossed, it would use vif->h: NULL */
	vif_kick(vif);
	TEST_EQ(vif_send(vif, frame, 60), 0);
	vif_kick(vif);
	TEST_EQ(vif->kicked, 1);
	dev_close(vif);
	return TEST_OK;
}

/* Takes buffers in bursts of 1 to 5, and gives them back in two parts. */
static void *
buf_hammer(void *arg)
{
	struct vif *vif = arg;

	for (unsigned int i = 0; i < 100000; i++) {
		uint32_t bufs[5], n = vif_buf_get_burst(vif, bufs, 1 + i % RTE_DIM(bufs));

		for (unsigned int k = 0; k < n; k++)
			if ((*(uint32_t *)vif_buf(vif, bufs[k]))++ != 0)
				return arg; /* somebody else has it too */
		for (unsigned int k = 0; k < n; k++)
			if (--*(uint32_t *)vif_buf(vif, bufs[k]) != 0)
				return arg;
		vif_buf_put_burst(vif, bufs, n / 2);
		vif_buf_put_burst(vif, &bufs[n / 2], n - n / 2);
	}
	return NULL;
}

static int
two_threads_share_the_buffers(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	void *failed = vif;
	pthread_t thread;

	vif_refill(vif, 60);
	TEST_EQ(pthread_create(&thread, NULL, buf_hammer, vif), 0);
	TEST_TRUE(buf_hammer(vif) == NULL);
	TEST_EQ(pthread_join(thread, &failed), 0);
	TEST_TRUE(failed == NULL);
	for (unsigned int i = 0; i < BUFS - 60; i++)
		TEST_TRUE(vif_buf_get(vif) >= 0);
	TEST_EQ(vif_buf_get(vif), -1);
	dev_close(vif);
	return TEST_OK;
}

static int
sent_buffers_are_counted_whatever_becomes_of_them(void)
{
	uint8_t frame[MAX_FRAME] = { 0 };
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	union nfe_msg cell;
	int32_t buf = vif_buf_get(vif);
	uint32_t sent;

	TEST_EQ(vif_msg_dma(vif, &cell, (uint32_t)buf, 0, 100), 1);
	TEST_EQ(vif->sent_bufs, 1);
	vif_buf_put(vif, (uint32_t)buf); /* built, not enqueued */
	TEST_EQ(vif->sent_bufs, 0);
	TEST_EQ(vif_send(vif, frame, 60), 0); /* with nothing but inline messages no cell is read */
	TEST_EQ(dev_take(&dev, frame), 60);
	TEST_EQ(vif_reclaim(vif), 0);
	TEST_EQ(vif->reclaimed, 1);
	TEST_EQ(vif_send(vif, frame, MAX_FRAME), 0);
	TEST_EQ(vif_send(vif, frame, 60), 0);
	sent = vif->sent_bufs;
	TEST_EQ(bufs_in_state(vif, VIF_BUF_SENT) + bufs_in_state(vif, VIF_BUF_ENQUEUED), sent);
	TEST_TRUE(sent > 1);
	while (dev_take(&dev, frame) > 0)
		;
	TEST_EQ(reclaim(vif), sent);
	TEST_EQ(vif->sent_bufs, 0);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS);
	dev_close(vif);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(stock_ring_calls_and_the_device_see_the_same_queue),
	TEST_CASE(nops_fill_the_array_before_a_message_that_would_wrap),
	TEST_CASE(frames_of_all_sizes_come_back_over_the_index_wrap),
	TEST_CASE(sent_buffers_come_back_in_lots_or_when_they_are_needed),
	TEST_CASE(full_ring_or_no_buffers_is_eagain_and_leaks_none),
	TEST_CASE(overwritten_messages_are_reclaimed_when_nothing_is_outstanding),
	TEST_CASE(buffers_of_messages_made_in_their_slots_come_back),
	TEST_CASE(buffer_whose_first_message_was_not_enqueued_belongs_to_the_second),
	TEST_CASE(buffers_come_back_from_a_ring_that_stays_full),
	TEST_CASE(device_that_makes_an_inline_message_name_a_buffer_is_not_listened_to),
	TEST_CASE(device_that_rewrites_sent_messages_frees_only_sent_buffers),
	TEST_CASE(buffer_put_after_the_device_named_it_is_free_once),
	TEST_CASE(device_index_out_of_bounds_stops_only_that_ring),
	TEST_CASE(send_index_that_goes_back_ends_no_reclaim_in_a_walk_around_all_indices),
	TEST_CASE(messages_read_are_known_one_by_one),
	TEST_CASE(replay_goes_on_at_the_last_fill_end_published),
	TEST_CASE(replay_takes_no_continuation_cell_for_a_message),
	TEST_CASE(replay_of_rubbish_indices_gives_a_sane_queue),
	TEST_CASE(replay_trusts_the_device_index_if_the_application_reads_by_itself),
	TEST_CASE(sleeper_asks_for_the_next_message_and_looks_again),
	TEST_CASE(awake_device_is_not_kicked),
	TEST_CASE(two_threads_share_the_buffers),
	TEST_CASE(sent_buffers_are_counted_whatever_becomes_of_them),
};
TEST_SUITE(vif_queue, cases);
