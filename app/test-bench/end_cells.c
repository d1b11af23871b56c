/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Ends that cost next to nothing, so that the switch is the limit and its cycles are what is
 * measured: a generator that stores ready-made cells into the send ring of lib/vif, and a sink that
 * looks at one word of each cell that it is given. Both keep the indices of the other side as long
 * as they suffice. No guest would work like this; how many frames came is told by the cells.
 */
#include <stdio.h>

#include <nfe_queue.h>

#include "end_vif.h"

#define BURSTS_PER_KICK 16 /* a kick is a full fence; the switch doesn't sleep in a flood */

#define PREFETCH_CELLS 16

struct cells_ring { /* a stock rte_ring, with our own idea of both indices */
	struct rte_ring *r;
	union nfe_msg *cells;
	uint32_t *shared_prod, *shared_cons;
	uint32_t mask, capacity;
	uint32_t prod, cons;
};

struct end_cells {
	struct end_vif base;
	struct cells_ring send, recv;
	unsigned int bursts;
	uint32_t nb_cells;                     /* of each frame */
	union nfe_msg frame[1 + NFE_MAX_SEGS]; /* ready-made */
};

static void
ring_init(struct cells_ring *ring, struct rte_ring *r)
{
	*ring = (struct cells_ring){ .r = r,
				     .cells = (union nfe_msg *)(r + 1),
				     .shared_prod = (uint32_t *)(uintptr_t)&r->prod.tail,
				     .shared_cons = (uint32_t *)(uintptr_t)&r->cons.tail,
				     .mask = r->mask,
				     .capacity = r->capacity,
				     .prod = r->prod.tail,
				     .cons = r->cons.tail };
}

/* What each frame is made of; its addresses are known only now. */
static void
make_frame(struct end_cells *e)
{
	memset(e->frame, 0, sizeof(e->frame));
	e->frame[0].in.type = NFE_MSG_INLINE;
	e->frame[0].in.len = (uint16_t)e->base.end.opt->size;
	frame_write(&e->base.end, (uint8_t *)e->frame + offsetof(struct nfe_msg_inline, frame),
		    e->base.end.opt->size);
}

/* Frames that fit, at most n; each in contiguous cells, NOPs before the wrap where it must be. */
static unsigned int
put_frames(struct end_cells *e, unsigned int n)
{
	static const union nfe_msg nop = { .type = NFE_MSG_NOP };
	struct cells_ring *ring = &e->send;
	unsigned int sent = 0;

	while (sent < n) {
		uint32_t at = ring->prod & ring->mask, left = ring->mask + 1 - at;
		bool fits = e->nb_cells <= left;
		uint32_t need = fits ? e->nb_cells : left;

		if (ring->capacity - (ring->prod - ring->cons) < need)
			break;
		for (uint32_t i = 0; i < need; i++) {
			nfe_prefetch_write(&ring->cells[(at + i + PREFETCH_CELLS) & ring->mask]);
			nfe_cell64_copy(&ring->cells[at + i], fits ? &e->frame[i] : &nop);
		}
		ring->prod += need;
		sent += fits;
	}
	return sent;
}

static unsigned int
cells_send(struct end *end, unsigned int n)
{
	struct end_cells *e = (struct end_cells *)end;
	struct cells_ring *ring = &e->send;
	uint64_t start = bench_clock(end);
	uint32_t want = RTE_MIN(n, end->opt->burst), sent;

	end->count.tx_tries++;
	if (e->bursts == 0)
		make_frame(e);
	if (ring->capacity - (ring->prod - ring->cons) < want * e->nb_cells)
		ring->cons = nfe_idx_read(ring->shared_cons); /* R2 */
	sent = put_frames(e, want);
	if (sent > 0) {
		ring->r->prod.head = ring->prod;
		nfe_idx_publish(ring->shared_prod, ring->prod); /* W1 */
	}
	if (n == 1 || e->bursts % BURSTS_PER_KICK == 0)
		vif_kick(e->base.vif);
	e->bursts++;
	end->count.tx_full += sent < want;
	end->count.sent += sent;
	if (sent != 0)
		end->count.tx_cycles += bench_clock(end) - start;
	return sent;
}

static unsigned int
cells_receive(struct end *end)
{
	struct end_cells *e = (struct end_cells *)end;
	struct cells_ring *ring = &e->recv;
	uint64_t start = bench_clock(end), sum = 0;
	uint32_t n;

	ring->prod = nfe_idx_read(ring->shared_prod); /* R1 */
	n = ring->prod - ring->cons;
	n = RTE_MIN(n, BENCH_MAX_BURST * e->nb_cells);
	n -= n % e->nb_cells;
	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		sum += ring->cells[(ring->cons + i) & ring->mask].u64[0];
	end->sum += sum;
	ring->cons += n;
	ring->r->cons.head = ring->cons;
	nfe_idx_publish(ring->shared_cons, ring->cons); /* W2 */
	end->count.received += n / e->nb_cells;
	end->count.rx_cycles += bench_clock(end) - start;
	return n / e->nb_cells;
}

static const struct end_ops ops = {
	.send = cells_send,
	.receive = cells_receive,
	.link = end_vif_link,
	.close = end_vif_close,
};

struct end *
end_cells_open(const char *address, const struct bench_opt *opt)
{
	struct end_cells *e = (struct end_cells *)end_vif_open(address, opt, &ops,
							       (struct vif_conf){ 0 }, sizeof(*e));

	if (e == NULL)
		return NULL;
	if (opt->size > vif_max_inline(e->base.vif)) {
		fprintf(stderr, "test-bench: %s: %u bytes do not go inline, %u do\n", address,
			opt->size, vif_max_inline(e->base.vif));
		end_vif_close(&e->base.end);
		return NULL;
	}
	e->nb_cells = nfe_inline_cells(opt->size);
	ring_init(&e->send, vif_send_ring(e->base.vif));
	ring_init(&e->recv, vif_recv_ring(e->base.vif));
	return &e->base.end;
}
