/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The hardened accessor: the only code of the device end that touches queues shared with a guest
 * (ring-rules 1, 2, 3, 20). Serves doorbell mode and ring mode alike, because a queue is only
 * addresses: entries, the host's index, the device's index (specification 5).
 *
 * Called by the one data lcore that owns the queue's direction (or under the destination's lock);
 * set up on the control thread before the channel starts. Geometry and own indices are private
 * and never re-read. Partners of W1/R1/W2/R2 and P/S are drawn in lib/nfe/nfe_queue.h.
 */
#ifndef NFED_QUEUE_H
#define NFED_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <nfe_cell.h>
#include <nfe_msg.h>
#include <nfe_queue.h>
#include <nfe_regs.h>

struct nfed_queue {
	uint8_t *entries;         /* shared */
	const uint32_t *host_idx; /* shared, written by the host */
	uint32_t *dev_idx;        /* shared, written by us, never read back */
	uint32_t mask;            /* size - 1 */
	uint32_t capacity;        /* entries that may be outstanding, 1..size */
	uint32_t prod;            /* SQ, FQ: last seen of the host. RQ: ours, ahead of dev_idx */
	uint32_t cons;            /* SQ, FQ: ours, ahead of dev_idx. RQ: last seen of the host */
	uint32_t published;       /* what dev_idx holds */
	const uint32_t *host_event; /* shared: the host wants to be woken at this index */
	uint32_t *dev_event;        /* shared: we want to be woken at this index */
	uint32_t buf_size;        /* FQ: bytes of each buffer */
	uint8_t role;             /* enum nfe_role; 0: not set */
	bool may_sleep;           /* NFE_QUEUE_F_EVENT: the host may sleep on it */
	uint16_t region_idx;      /* region that holds the entries (control thread) */
};

/* What a consumer side (SQ, FQ) can take. R1. Negative: the host's producer is out of bounds. */
static inline int32_t
nfed_queue_avail(struct nfed_queue *q)
{
	uint32_t avail;

	q->prod = nfe_idx_read(q->host_idx);
	avail = q->prod - q->cons;
	return avail <= q->capacity ? (int32_t)avail : -1;
}

/* The same, but looks at the host's index only when what is known of it is less than want: that
 * line travels between the cores each time, 300 cycles here. */
static inline int32_t
nfed_queue_ready(struct nfed_queue *q, uint32_t want)
{
	uint32_t known = q->prod - q->cons;

	return known >= want && known <= q->capacity ? (int32_t)known : nfed_queue_avail(q);
}

/* All that was known of is consumed, and the host has published no more. Who polls many queues asks
 * this first. A hint: nfed_queue_ready() reads the index again (R1), and checks what it read. */
static inline bool
nfed_queue_is_empty(const struct nfed_queue *q)
{
	return q->prod == q->cons && nfe_idx_read(q->host_idx) == q->cons;
}

/*
 * Room for at least want cells in RQ; looks at the host's consumer only when what it knows does
 * not suffice. R2. Negative: the host's consumer is ahead of our producer or too far behind.
 */
static inline int32_t
nfed_rq_room(struct nfed_queue *q, uint32_t want)
{
	uint32_t room = q->capacity - (q->prod - q->cons);

	if (room < want) {
		uint32_t cons = nfe_idx_read(q->host_idx);

		if (q->prod - cons > q->capacity)
			return -1;
		q->cons = cons;
		room = q->capacity - (q->prod - cons);
	}
	return (int32_t)room;
}

/* Snapshot of the message at own index cons + ahead (rule 1): read once, then only the copy. */
static inline void
nfed_sq_snapshot(const struct nfed_queue *q, uint32_t ahead, union nfe_msg *copy)
{
	const uint8_t *cell = q->entries + (size_t)((q->cons + ahead) & q->mask) * NFE_MSG_SIZE;

	nfe_cell64_copy(copy, cell);
}

/* The same of n messages from own index cons on, n at most the size of the queue. */
static inline void
nfed_sq_snapshot_burst(const struct nfed_queue *q, uint32_t n, union nfe_msg *copy)
{
	uint32_t at = q->cons & q->mask, to_end = q->mask + 1 - at;
	uint32_t first = n < to_end ? n : to_end;

	const uint8_t *entries = q->entries, *from = entries + (size_t)at * NFE_MSG_SIZE;

	for (uint32_t i = 0; i < first; i++)
		nfe_cell64_copy(&copy[i], from + (size_t)i * NFE_MSG_SIZE);
	for (uint32_t i = first; i < n; i++)
		nfe_cell64_copy(&copy[i], entries + (size_t)(i - first) * NFE_MSG_SIZE);
}

/* Ask for the lines of n cells from own index cons + ahead on, which the host has published. */
static inline void
nfed_sq_prefetch(const struct nfed_queue *q, uint32_t ahead, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(q->entries +
				   (size_t)((q->cons + ahead + i) & q->mask) * NFE_MSG_SIZE);
}

static inline void
nfed_fq_snapshot(const struct nfed_queue *q, uint32_t ahead, struct nfe_fill *copy)
{
	const uint8_t *e = q->entries + (size_t)((q->cons + ahead) & q->mask) * sizeof(*copy);

	nfe_cell_copy(copy, e, sizeof(*copy));
}

/* The cell at own index prod + ahead: to be written whole and never read. */
static inline uint8_t *
nfed_rq_cell(const struct nfed_queue *q, uint32_t ahead)
{
	return q->entries + (size_t)((q->prod + ahead) & q->mask) * NFE_MSG_SIZE;
}

/* Write the cell at own index prod + ahead. All 64 bytes, so nothing stale travels (rule 20). */
static inline void
nfed_rq_write(struct nfed_queue *q, uint32_t ahead, const union nfe_msg *msg)
{
	nfe_cell64_copy(nfed_rq_cell(q, ahead), msg);
}

/* Write n cells from own index prod on; they don't wrap (the caller has seen to it, 4.7). For each,
 * ask for the line of the cell that is so many ahead, to write it soon; 0: they were asked for. */
static inline void
nfed_rq_write_burst(struct nfed_queue *q, const union nfe_msg *msg, uint32_t n, uint32_t ahead)
{
	uint8_t *entries = q->entries, *cell = nfed_rq_cell(q, 0);
	uint32_t next = q->prod + ahead, mask = q->mask;

	for (uint32_t i = 0; i < n; i++) {
		if (ahead != 0)
			nfe_prefetch_write(entries + (size_t)((next + i) & mask) * NFE_MSG_SIZE);
		nfe_cell64_copy(cell + (size_t)i * NFE_MSG_SIZE, &msg[i]);
	}
}

/* Publish our index: prod of an RQ (W1), cons of an SQ or FQ (W2). Returns the value before. */
static inline uint32_t
nfed_queue_publish(struct nfed_queue *q, uint32_t idx)
{
	uint32_t old = q->published;

	nfe_idx_publish(q->dev_idx, idx);
	q->published = idx;
	return old;
}

/* P3, after the fence that the caller makes once for all queues it touched: did publishing
 * old_idx -> new_idx cross the index at which the host wants to be woken? */
static inline bool
nfed_queue_must_wake(const struct nfed_queue *q, uint32_t new_idx, uint32_t old_idx)
{
	return nfe_event_crossed(nfe_idx_read(q->host_event), new_idx, old_idx);
}

/* The host's index as it stands, to be shown to the operator. Not checked: never act on it. */
static inline uint32_t
nfed_queue_peek(const struct nfed_queue *q)
{
	return nfe_idx_read(q->host_idx);
}

/* S1..S3 for an SQ: ask to be woken at the next message. False: there is work, don't sleep. */
static inline bool
nfed_sq_arm(struct nfed_queue *q)
{
	nfe_idx_publish(q->dev_event, q->cons);
	nfe_full_fence();
	return nfe_idx_read(q->host_idx) == q->cons;
}

/* Have the pages of registered memory there: one byte of each is read, and means nothing. */
static inline void
nfed_touch(const void *addr, uint64_t len)
{
	const volatile uint8_t *p = addr;

	for (uint64_t i = 0; i < len; i += NFE_PAGE_SIZE)
		(void)p[i];
	if (len > 0)
		(void)p[len - 1];
}

/* The same for the words of a queue, and its next cells of 64 bytes. */
static inline void
nfed_queue_touch(const struct nfed_queue *q, uint32_t cells)
{
	if (q->role == 0)
		return;
	nfed_touch(q->host_idx, sizeof(*q->host_idx));
	nfed_touch(q->dev_idx, sizeof(*q->dev_idx));
	if (q->host_event != NULL)
		nfed_touch(q->host_event, sizeof(*q->host_event));
	for (uint32_t i = 0; i < cells; i++)
		nfed_touch(q->entries + (size_t)((q->prod + i) & q->mask) * NFE_MSG_SIZE, 1);
}

#endif /* NFED_QUEUE_H */
