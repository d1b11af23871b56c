/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The library's own accessor to the stock rings, for its helpers: all indices as the stock calls
 * keep them, so that both can be mixed, but geometry from private memory, so that a switch that
 * writes rubbish into the ring's header can't lead the library out of it (rules 2, 16).
 *
 * How ring mode (5.3) and a stock struct rte_ring fit: the ring's producer reads cons.tail and
 * moves prod.head, then prod.tail; its consumer reads prod.tail and moves cons.head, then
 * cons.tail. The device writes only its own tail: cons.tail of the send and fill rings (free
 * entries = capacity + cons.tail - prod.head), prod.tail of the receive ring. The head beside the
 * device's tail is used by nobody and stays behind.
 *
 * One producing and one consuming thread per ring. W1/R1/W2/R2 are drawn in nfe_queue.h.
 */
#ifndef VIF_RING_H
#define VIF_RING_H

#include <stddef.h>
#include <stdint.h>

#include <rte_ring.h>

#include <nfe_cell.h>
#include <nfe_msg.h>
#include <nfe_queue.h>

struct vif_ring {
	struct rte_ring *r;     /* shared */
	uint8_t *entries;       /* shared: behind the header */
	uint32_t *prod;         /* shared: &r->prod.tail */
	uint32_t *cons;         /* shared: &r->cons.tail */
	uint32_t size, capacity;
	uint32_t entry_size;    /* bytes */
};

/* Entries published and not consumed; -1: the device's index is out of bounds (rule 3). */
static inline int32_t
vif_ring_used(const struct vif_ring *ring)
{
	uint32_t used = nfe_idx_read(ring->prod) - nfe_idx_read(ring->cons); /* R1, R2 */

	return used <= ring->capacity ? (int32_t)used : -1;
}

static inline int32_t
vif_ring_room(const struct vif_ring *ring)
{
	int32_t used = vif_ring_used(ring);

	return used < 0 ? -1 : (int32_t)ring->capacity - used;
}

static inline void *
vif_ring_at(const struct vif_ring *ring, uint32_t index)
{
	return ring->entries + (size_t)(index & (ring->size - 1)) * ring->entry_size;
}

/* Entries from index to the end of the array: what is contiguous. */
static inline uint32_t
vif_ring_to_end(const struct vif_ring *ring, uint32_t index)
{
	return ring->size - (index & (ring->size - 1));
}

/* W1, as rte_ring's single producer does it: head first, tail with release. */
static inline void
vif_ring_produce(struct vif_ring *ring, uint32_t n)
{
	uint32_t prod = *ring->prod + n;

	ring->r->prod.head = prod;
	nfe_idx_publish(ring->prod, prod);
}

/* W2, likewise. */
static inline void
vif_ring_consume(struct vif_ring *ring, uint32_t n)
{
	uint32_t cons = *ring->cons + n;

	ring->r->cons.head = cons;
	nfe_idx_publish(ring->cons, cons);
}

#endif /* VIF_RING_H */
