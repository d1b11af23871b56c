/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Gate: keeps a queue's data thread and the control thread apart during a replay, at the price of
 * two plain stores per burst for the data thread.
 *
 *      data thread                         control thread
 *  G1  store busy = 1                  H1  store closed = 1
 *      (compiler barrier)              H2  membarrier(PRIVATE_EXPEDITED)
 *  G2  load closed                     H3  wait until busy == 0 (deadline)
 *      closed -> busy = 0, no burst
 *
 * It is Dekker's protocol; the full fence that G1 -> G2 needs is made by the kernel on the data
 * thread's behalf at H2 (membarrier(2)), so either G2 sees H1 or H3 sees G1.
 *
 * A gate may lie in memory that several processes share: each calls nfeh_gate_share(), and busy
 * then tells whose data thread is inside, so that one that dies in there can be found out.
 */
#ifndef NFEH_GATE_H
#define NFEH_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* What busy says while a thread of this process is inside: 1 unless nfeh_gate_share() set it. */
extern uint32_t nfeh_gate_owner;

struct nfeh_gate { /* one per queue, in the data thread's cache line */
	uint32_t busy; /* 0: nobody is inside */
	uint32_t closed;
};

/* False: the queue is being replayed, leave it alone (a burst of 0). */
static inline bool
nfeh_gate_enter(struct nfeh_gate *g)
{
	__atomic_store_n(&g->busy, nfeh_gate_owner, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&g->closed, __ATOMIC_ACQUIRE), 0)) {
		__atomic_store_n(&g->busy, 0, __ATOMIC_RELEASE);
		return false;
	}
	return true;
}

static inline void
nfeh_gate_leave(struct nfeh_gate *g)
{
	__atomic_store_n(&g->busy, 0, __ATOMIC_RELEASE);
}

/* Whose data thread is inside; 0: nobody's. */
static inline uint32_t
nfeh_gate_inside(const struct nfeh_gate *g)
{
	return __atomic_load_n(&g->busy, __ATOMIC_ACQUIRE);
}

/* Control thread. Register the process once; -ENOTSUP where the kernel has no membarrier. */
int nfeh_gate_init(void);
/* Gates of this process lie in memory shared with others: H2 is for the threads of all processes
 * that called this. owner > 0. Before any such gate is entered here or closed here. */
int nfeh_gate_share(uint32_t owner);
/* Close n gates and wait until no data thread is inside. -ETIMEDOUT: one stayed in (its thread
 * hangs inside a burst); the gates are closed all the same. */
int nfeh_gates_close(struct nfeh_gate *const *gates, unsigned int n, unsigned int timeout_ms);
void nfeh_gates_open(struct nfeh_gate *const *gates, unsigned int n);

#endif /* NFEH_GATE_H */
