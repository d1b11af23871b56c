/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Lines of the receive queue that a turn will write, asked for before it is known that it will: frames
 * go where those of the turn before went, nearly always. While they are on their way (one line there
 * and back takes 60 to 500 ns) the frames are checked and looked up. If the guess is wrong, nothing but
 * time is lost.
 *
 * CPUs far from each other, cycles of a switch that is the limit: 60 B 40, now 32; 64 B 73, now 61; round
 * trip 0.93. Asked for when they are written, each 16 or 32 ahead, they come too late.
 *
 * The first cells are asked for before those of the sender are read: a round trip waits for them. The
 * others after it, else the sender's would wait behind them.
 *
 * With several lcores another one may write there at this moment: what is read of the queue is a hint,
 * and an address made of it lies in the queue whatever it says.
 */
#ifndef VSW_AHEAD_H
#define VSW_AHEAD_H

#include "vsw_fdb.h"
#include "vsw_internal.h"

/*
 * The receive queue to which the channel's last frame went, by the FDB's answer that it keeps; NULL:
 * not known, an uplink, one of several channels, or another lcore wrote there last, whose lines they are.
 */
static inline const struct nfed_queue *
vsw_ahead_queue(const struct vsw_lcore *lc, const struct vsw_fdb_cache *last)
{
	const struct vsw_rxset *rx;
	const struct vsw_chan *to;

	if (last->port < 0 || last->gen != vsw_fdb_gen(lc->sw->fdb))
		return NULL;
	rx = __atomic_load_n(&lc->sw->ports[last->port]->rx, __ATOMIC_ACQUIRE);
	if (rx == NULL || rx->n != 1)
		return NULL;
	to = rx->chan[0];
	return __atomic_load_n(&to->writer, __ATOMIC_RELAXED) == lc ? &to->ch->rq : NULL;
}

/* For a turn of so many cells: none is asked for yet. */
static inline void
vsw_ahead_begin(struct vsw_lcore *lc, const struct nfed_queue *rq, uint32_t cells)
{
	struct vsw_ahead *a = &lc->ahead;

	a->rq = rq;
	a->next = a->end = 0;
	if (rq != NULL) {
		a->next = rq->prod;
		a->end = rq->prod + RTE_MIN(cells, rq->capacity - (rq->prod - rq->cons));
	}
}

/* Ask for the next n of them. */
static inline void
vsw_ahead_ask(struct vsw_lcore *lc, uint32_t n)
{
	struct vsw_ahead *a = &lc->ahead;

	for (n = RTE_MIN(n, a->end - a->next); n > 0; n--, a->next++)
		nfe_prefetch_write(nfed_rq_cell(a->rq, a->next - a->rq->prod));
}

/* The index up to which cells of this queue were asked for. */
static inline uint32_t
vsw_ahead_end(const struct vsw_lcore *lc, const struct nfed_queue *rq)
{
	return lc->ahead.rq == rq ? lc->ahead.next : rq->prod;
}

#endif /* VSW_AHEAD_H */
