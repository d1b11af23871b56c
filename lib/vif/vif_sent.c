/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Buffers of sent messages, from the send ring back to the stack. On the sending thread.
 *
 *   vif_msg_dma()          SENT      in a message, which the application enqueues itself
 *      │
 *   next vif_reclaim()     ENQUEUED  found in the ring; vif->sent_at knows the slot
 *      │
 *   consumed, vif_reclaim  HELD      until its lines have left the switch's cache (VIF_HELD)
 *      │
 *   in lots                FREE
 *
 * Messages are noted while they are sure to be there: what was enqueued since the last call is at
 * most a ring's worth. When they were consumed it is too late to read them, because the device goes on
 * between vif_reclaim() and the enqueue that follows it, and that may overwrite them then.
 *
 * A message of one buffer that is made in its slot is not read: slot_buf and buf_slot know it, if they
 * agree and the buffer is SENT. One that was made there and not enqueued leaves its buffer with the
 * application, which puts it back or makes another message of it, and then they don't. The line
 * would have to come back from the switch, which has just read it (CPUs far from each other, 512 B:
 * 308 cycles to send, so 260). Nor is any other, while each SENT buffer has such a slot (IMIX: 296,
 * so 206 to 229).
 *
 * The ring's memory is the device's to write, so what is read there can only name a buffer that is
 * sent: a device that lies harms frames that it was given to read anyway.
 */
#include "vif_priv.h"

unsigned int
vif_give_held(struct vif *vif, unsigned int n)
{
	uint32_t bufs[VIF_HELD];

	for (unsigned int i = 0; i < n; i++) {
		uint32_t buf = vif->held[(vif->first_held + i) % VIF_HELD];

		vif_buf_move(vif, buf, VIF_BUF_HELD, VIF_BUF_FREE);
		bufs[n - 1 - i] = buf;
	}
	vif->first_held = (vif->first_held + n) % VIF_HELD;
	vif->nb_held -= n;
	vif_buf_push(vif, bufs, n);
	return n;
}

/* The buffer's message was consumed, its state is HELD. How many others came back to make room for it. */
static unsigned int
hold(struct vif *vif, uint32_t buf)
{
	unsigned int given = 0;

	if (vif->nb_held >= vif->held_max)
		given = vif_give_held(vif, RTE_MIN(vif->held_max, VIF_HELD_LOT));
	vif->sent_bufs--;
	vif->held[(vif->first_held + vif->nb_held++) % VIF_HELD] = buf;
	return given;
}

/* The buffers of a message in the ring, of so many cells, linked by buf_next; VIF_BUF_NONE: none. */
static uint32_t
bufs_of(struct vif *vif, const union nfe_msg *msg, uint32_t index, unsigned int cells)
{
	unsigned int nb_segs = RTE_MIN(msg->tx.hints.nsegs, 1 + (cells - 1) * NFE_SEGS_PER_CELL);
	uint32_t list = VIF_BUF_NONE;
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
		if (buf >= vif->nb_bufs ||
		    !vif_sent_move(vif, (uint32_t)buf, VIF_BUF_ENQUEUED))
			continue;
		__atomic_store_n(&vif->buf_next[buf], list, __ATOMIC_RELAXED);
		list = (uint32_t)buf;
	}
	return list;
}

/* The buffer may be SENT already: then this message counts and no earlier one. */
static void
made_of(struct vif *vif, uint32_t buf, uint32_t slot)
{
	if (vif_sent_move(vif, buf, VIF_BUF_APP))
		vif->sent_bufs--;
	if (!vif_buf_move(vif, buf, VIF_BUF_APP, VIF_BUF_SENT))
		return;
	vif->buf_slot[buf] = slot;
	vif->sent_elsewhere += slot == VIF_NO_SLOT;
	vif->sent_bufs++;
}

void
vif_sent_made(struct vif *vif, const union nfe_msg *cells, const struct vif_seg *segs,
	      unsigned int nb_segs)
{
	uintptr_t at = (uintptr_t)cells - (uintptr_t)vif->send.entries;
	uint32_t slot = VIF_NO_SLOT;

	if (nb_segs == 1 && at % NFE_MSG_SIZE == 0 && at / NFE_MSG_SIZE < vif->send.size) {
		slot = (uint32_t)(at / NFE_MSG_SIZE);
		vif->slot_buf[slot] = segs[0].buf;
	}
	for (unsigned int i = 0; i < nb_segs; i++)
		made_of(vif, segs[i].buf, slot);
}

/* The message at this index was made there, with one buffer, which is its from now on. */
static bool
note_made(struct vif *vif, uint32_t index)
{
	uint32_t slot = index & (vif->send.size - 1), buf = vif->slot_buf[slot];

	vif->slot_buf[slot] = VIF_BUF_NONE;
	if (buf == VIF_BUF_NONE || vif->buf_slot[buf] != slot ||
	    !vif_sent_move(vif, buf, VIF_BUF_ENQUEUED))
		return false;
	__atomic_store_n(&vif->buf_next[buf], VIF_BUF_NONE, __ATOMIC_RELAXED);
	vif->sent_at[slot] = buf;
	return true;
}

/* Note what was enqueued, up to index prod. */
static void
note_up_to(struct vif *vif, uint32_t prod)
{
	while (vif->noted != prod) {
		union nfe_msg msg;
		unsigned int n;

		if (note_made(vif, vif->noted) || vif->sent_elsewhere == 0) {
			vif->noted++;
			continue;
		}
		nfe_cell64_copy(&msg, vif_ring_at(&vif->send, vif->noted));
		n = RTE_MIN(vif_msg_cells(vif, &msg), prod - vif->noted);
		if (msg.type == NFE_MSG_DMA_TX)
			*vif_sent_at(vif, vif->noted) = bufs_of(vif, &msg, vif->noted, n);
		vif->noted += n;
	}
}

/* Take back the buffers of noted messages before index end. */
static unsigned int
take_up_to(struct vif *vif, uint32_t end)
{
	unsigned int given = 0;

	for (; vif->reclaimed != end; vif->reclaimed++) {
		uint32_t *at = vif_sent_at(vif, vif->reclaimed), buf = *at;

		*at = VIF_BUF_NONE;
		while (buf != VIF_BUF_NONE) {
			uint32_t next = __atomic_load_n(&vif->buf_next[buf], __ATOMIC_RELAXED);

			vif_buf_move(vif, buf, VIF_BUF_ENQUEUED, VIF_BUF_HELD);
			given += hold(vif, buf);
			buf = next;
		}
	}
	return given;
}

/* The application enqueued more than a ring's worth since the last call: messages are gone, but when
 * nothing is outstanding every sent buffer is free. */
static unsigned int
take_all(struct vif *vif, uint32_t prod, uint32_t cons)
{
	unsigned int given = 0;

	if (prod != cons)
		return 0;
	for (uint32_t buf = 0; buf < vif->nb_bufs; buf++)
		if (vif_sent_move(vif, buf, VIF_BUF_HELD) ||
		    vif_buf_move(vif, buf, VIF_BUF_ENQUEUED, VIF_BUF_HELD))
			given += hold(vif, buf);
	for (uint32_t i = 0; i < vif->send.size; i++)
		vif->sent_at[i] = vif->slot_buf[i] = VIF_BUF_NONE;
	vif->reclaimed = vif->noted = cons;
	return given;
}

/*
 * Cells that the next burst will probably take, as many as the one before: they are in the switch's cache,
 * which read them a round ago. Here, where that burst begins, not behind the last kick (CPUs far from each
 * other, 64 B: 1.07 times, 60 B 1.06), and not for the first ones, which a switch that polls asks for as
 * well: they would be gone again when they are written (round trip 1.04 times).
 */
static void
ask_for_cells(const struct vif *vif, uint32_t prod, uint32_t cons)
{
	uint32_t n = RTE_MIN(vif->burst_cells, vif->send.size - (prod - cons));

	if (prod != vif->kicked)
		return;
	for (uint32_t i = NFE_CELLS_FIRST; i < RTE_MIN(n, VIF_BURST); i++)
		nfe_prefetch_write(vif_ring_at(&vif->send, prod + i));
}

unsigned int
vif_reclaim(struct vif *vif)
{
	uint32_t cons = nfe_idx_read(vif->send.cons); /* R2 */
	uint32_t prod = *vif->send.prod;
	uint32_t new_cons = cons - vif->reclaimed, known = vif->noted - vif->reclaimed;
	unsigned int given = 0;

	/* It is ahead, or went back: the way to it would lead once around all 2^32 indices. */
	if (prod - cons > vif->send.capacity || new_cons > prod - vif->reclaimed) {
		vif->counters.bad_send_cons++;
		return 0;
	}
	if (vif->sent_bufs == 0) { /* inline messages only: not worth looking at */
		vif->reclaimed = cons;
		vif->noted = prod;
	} else if (prod - vif->noted > vif->send.size) {
		given = take_all(vif, prod, cons);
	} else {
		/* First what was known, whose slots may have new messages. */
		given = take_up_to(vif, vif->reclaimed + RTE_MIN(new_cons, known));
		note_up_to(vif, prod);
		given += take_up_to(vif, cons);
	}
	ask_for_cells(vif, prod, cons);
	if (new_cons == 0 || !vif_buf_is_free(vif))
		given += vif_give_held(vif, vif->nb_held);
	return given;
}
