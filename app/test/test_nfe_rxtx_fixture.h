/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Queues of the PMD made by hand, for tests of its bursts without a device. Whoever includes this names
 * its pool of mbufs, POOL_NAME.
 */
#ifndef TEST_NFE_RXTX_FIXTURE_H
#define TEST_NFE_RXTX_FIXTURE_H

#include <stdlib.h>

#include <nfe_ethdev.h>

#include "eal.h"
#include "test.h"

#define SIZE	    32u /* cells */
#define FIRST_INDEX 0xfffffff0u
#define BUF_SIZE    512u
#define POOL_SIZE   1023u
#define LONG	    512u /* cells of a long queue */
#define CANARY	    0xee
#define LONGEST	    NFE_INLINE_SHORT
#define ROUNDS	    2000u

static struct rte_mempool *pool;
static struct nfe_port port;

struct rx { /* a receive queue, and what lies around it */
	struct nfe_rxq q;
	uint32_t db[2];
	struct nfe_status status;
	uint8_t cells[SIZE * NFE_MSG_SIZE] __attribute__((aligned(64)));
};

struct tx {
	struct nfe_txq q;
	uint32_t db;
	struct nfe_status status;
	struct rte_mbuf *sw[SIZE];
	uint8_t cells[SIZE * NFE_MSG_SIZE] __attribute__((aligned(64)));
};

static inline int
setup(void)
{
	TEST_NEEDS_EAL();
	if (pool == NULL)
		pool = rte_pktmbuf_pool_create(POOL_NAME, POOL_SIZE, 0, 0,
					       RTE_PKTMBUF_HEADROOM + BUF_SIZE, SOCKET_ID_ANY);
	TEST_TRUE(pool != NULL);
	return TEST_OK;
}

static inline void
rx_init(struct rx *r)
{
	memset(r, 0, sizeof(*r));
	r->q = (struct nfe_rxq){
		.size = SIZE,
		.mask = SIZE - 1,
		.cons = FIRST_INDEX,
		.cells = r->cells,
		.db_cons = &r->db[0],
		.db_fill_prod = &r->db[1],
		.status = &r->status,
		.buf_size = BUF_SIZE,
		.inline_max = LONGEST,
		.max_segs = 1,
		.max_frame = 1514,
		.free_thresh = SIZE + 1, /* never: it posts no buffers */
		.pool = pool,
		.port = &port,
		.port_id = 7,
	};
	r->status.rq_prod = FIRST_INDEX;
	nfe_rx_set_short(&r->q);
}

static inline void
tx_init(struct tx *t)
{
	memset(t, 0, sizeof(*t));
	t->q = (struct nfe_txq){
		.size = SIZE,
		.mask = SIZE - 1,
		.prod = FIRST_INDEX,
		.cons = FIRST_INDEX,
		.free_thresh = 1,
		.inline_len = NFE_INLINE_SHORT,
		.short_len = NFE_INLINE_SHORT,
		.inline_max = LONGEST,
		.max_segs = 1,
		.max_frame = 1514,
		.cells = t->cells,
		.db_prod = &t->db,
		.status = &t->status,
		.sw = t->sw,
		.port = &port,
	};
	t->status.sq_cons = FIRST_INDEX;
	t->status.sq_event = FIRST_INDEX - 1000; /* awake */
}

/* 4.2, byte by byte. */
static inline uint32_t
write_inline(uint8_t *cells, const uint8_t *frame, uint32_t len)
{
	uint32_t nb = nfe_inline_cells(len);
	union nfe_msg *msg = (union nfe_msg *)cells;

	memset(cells, 0, nb * NFE_MSG_SIZE);
	msg->in.type = NFE_MSG_INLINE;
	msg->in.len = len;
	memcpy(cells + offsetof(struct nfe_msg_inline, frame), frame, len);
	return nb;
}

/* All memory is registered, so any mbuf will do. */
static inline struct nfe_map *
map_all(void)
{
	struct nfe_map *empty = nfe_map_alloc(0), *map;

	map = empty != NULL ? nfe_map_insert(empty, 0, UINT64_MAX / 2, 7) : NULL;
	free(empty);
	return map;
}

#endif /* TEST_NFE_RXTX_FIXTURE_H */
