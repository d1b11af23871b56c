/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Copy mode, see nfe_copy.h. Bursts run on the one data thread of the queue, set-up and reset on
 * the control path while nobody polls it.
 *
 * The private mbufs are ours: the device can write into their buffers, but knows nothing of their
 * headers, and the application never sees them. A received frame waits in pending[] while the
 * application's pool is empty: nothing is lost by that, and the device's view is that it arrived.
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "nfe_ethdev.h"
#include "nfe_vlan.h"

#define CHUNK 32u /* frames under way between the two kinds of mbufs */
#define RX_SPARE                                                                                   \
	(3u * CHUNK)   /* private mbufs beyond those posted: pending, or with inline frames */
#define MIN_POSTED 32u /* or all descriptors */
#define TX_USUAL   2048u  /* bytes of a frame that fits into one send buffer */
#define TX_ROOM	   (RTE_PKTMBUF_HEADROOM + TX_USUAL)
#define AHEAD	   2u /* frames whose lines are asked for */

struct nfe_bounce {
	struct rte_mempool *pool; /* sending: the private one; receiving: the application's */
	struct nfe_zone zone;	  /* buffers of the private pool */
	uint32_t nb_pending, first, nb_asked; /* asked: so far their lines are on the way */
	struct rte_mbuf *pending[CHUNK];
};

/* As many as fit into what the queue may take; 0: too few, said so. */
static uint32_t
buffers_that_fit(const struct nfe_port *port, const char *what, const struct nfe_zone *cells,
		 uint32_t room, uint32_t wanted)
{
	size_t may = nfe_share_of_queue(port), taken = RTE_ALIGN_CEIL(cells->len, NFE_PAGE_SIZE);
	uint32_t n = may > taken ? RTE_MIN((may - taken) / room, wanted) : 0;
	uint32_t least = RTE_MIN(wanted, RX_SPARE + MIN_POSTED);

	if (n >= least)
		return n;
	NFE_LOG(ERR,
		"%s: %s: room for %u buffers of %u bytes, at least %u: give more "
		"by " NFE_ARG_SHARE_KIB "=, or use fewer queues or descriptors",
		port->name, what, n, room, least);
	return 0;
}

static struct rte_mempool *
make_pool(struct nfe_port *port, const char *what, uint32_t n, uint32_t room, int socket,
	  struct nfe_zone *zone)
{
	struct rte_pktmbuf_extmem mem = { .buf_iova = RTE_BAD_IOVA, .elt_size = room };
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;

	if (n == 0 || nfe_share_alloc(port, what, (size_t)n * room, zone) < 0) {
		rte_errno = ENOSPC;
		return NULL;
	}
	mem.buf_ptr = zone->addr;
	mem.buf_len = zone->len;
	snprintf(name, sizeof(name), "nfe_%u_%s", port->dev->data->port_id, what);
	/* No cache: it would keep buffers from the queue's thread. */
	pool = rte_pktmbuf_pool_create_extbuf(name, n, 0, 0, room, socket, &mem, 1);
	if (pool == NULL) {
		NFE_LOG(ERR, "%s: %s: pool of %u mbufs: %s", port->name, what, n,
			rte_strerror(rte_errno));
		nfe_share_release(port, zone);
	}
	return pool;
}

static struct nfe_bounce *
bounce_alloc(int socket)
{
	return rte_zmalloc_socket("nfe_bounce", sizeof(struct nfe_bounce), RTE_CACHE_LINE_SIZE,
				  socket);
}

int
nfe_copy_rx_setup(struct nfe_rxq *q, int socket)
{
	uint32_t room = RTE_PKTMBUF_HEADROOM + q->buf_size;
	struct nfe_bounce *b = bounce_alloc(socket);
	struct rte_mempool *pool;
	char what[16];
	uint32_t n;

	if (b == NULL)
		return -ENOMEM;
	snprintf(what, sizeof(what), "rx queue %u", q->queue_id);
	n = buffers_that_fit(q->port, what, &q->zone, room, q->size + RX_SPARE);
	pool = make_pool(q->port, what, n, room, socket, &b->zone);
	if (pool == NULL) {
		rte_free(b);
		return -rte_errno;
	}
	b->pool = q->pool;
	q->pool = pool;
	q->fill_max = RTE_MIN(q->size, n - RX_SPARE);
	q->free_thresh = RTE_MIN(q->free_thresh, RTE_MAX(q->fill_max / 4, 1u)); /* can be reached */
	q->bounce = b;
	return 0;
}

int
nfe_copy_tx_setup(struct nfe_txq *q, int socket)
{
	struct nfe_bounce *b = bounce_alloc(socket);
	char what[16];
	uint32_t n;

	if (b == NULL)
		return -ENOMEM;
	snprintf(what, sizeof(what), "tx queue %u", q->queue_id);
	n = buffers_that_fit(q->port, what, &q->zone, TX_ROOM, q->size + CHUNK);
	b->pool = make_pool(q->port, what, n, TX_ROOM, socket, &b->zone);
	if (b->pool == NULL) {
		rte_free(b);
		return -rte_errno;
	}
	q->inline_len = q->inline_max; /* into the message is a copy as well, and the cheaper one */
	q->bounce = b;
	return 0;
}

void
nfe_copy_rx_reset(struct nfe_rxq *q)
{
	struct nfe_bounce *b = q->bounce;

	if (b == NULL)
		return;
	rte_pktmbuf_free_bulk(b->pending + b->first, b->nb_pending);
	b->nb_pending = 0;
}

uint32_t
nfe_copy_rx_pending(const struct nfe_rxq *q)
{
	return q->bounce != NULL ? q->bounce->nb_pending : 0;
}

static void
bounce_free(struct nfe_port *port, struct nfe_bounce *b, struct rte_mempool *private)
{
	rte_mempool_free(private);
	nfe_share_release(port, &b->zone);
	rte_free(b);
}

void
nfe_copy_rx_free(struct nfe_rxq *q)
{
	if (q->bounce != NULL)
		bounce_free(q->port, q->bounce, q->pool);
	q->bounce = NULL;
}

void
nfe_copy_tx_free(struct nfe_txq *q)
{
	if (q->bounce != NULL)
		bounce_free(q->port, q->bounce, q->bounce->pool);
	q->bounce = NULL;
}

struct rte_mempool *
nfe_copy_rx_pool(const struct nfe_rxq *q)
{
	return q->bounce->pool;
}

/* A copy in shared buffers; NULL: none is free. What the device has consumed may be. */
static struct rte_mbuf *
tx_copy(struct nfe_txq *q, const struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, q->bounce->pool, 0, UINT32_MAX);

	if (unlikely(copy == NULL)) {
		nfe_tx_done_cleanup(q, 0);
		copy = rte_pktmbuf_copy(m, q->bounce->pool, 0, UINT32_MAX);
	}
	return copy;
}

/* Frames that go inline, and those that are refused and counted, need none. */
static inline bool
tx_needs_copy(const struct nfe_txq *q, const struct rte_mbuf *m)
{
	return m->pkt_len + nfe_vlan_added(m) > q->inline_len && m->pkt_len <= q->max_frame;
}

/* One piece, one buffer. */
static inline bool
tx_is_usual(const struct nfe_txq *q, const struct rte_mbuf *m)
{
	return tx_needs_copy(q, m) && m->nb_segs == 1 && m->data_len <= TX_USUAL;
}

/* As rte_pktmbuf_copy(), what the send burst reads. */
static inline void
tx_copy_usual(struct rte_mbuf *copy, const struct rte_mbuf *m)
{
	copy->ol_flags = m->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	copy->tx_offload = m->tx_offload;
	copy->vlan_tci = m->vlan_tci;
	copy->vlan_tci_outer = m->vlan_tci_outer;
	copy->data_len = m->data_len;
	copy->pkt_len = m->pkt_len;
	rte_memcpy(rte_pktmbuf_mtod(copy, void *), rte_pktmbuf_mtod(m, const void *), m->data_len);
}

/* Buffers for the usual frames of a chunk, all of them or none; how many. */
static uint16_t
tx_get_spare(struct nfe_txq *q, struct rte_mbuf **pkts, uint16_t nb, struct rte_mbuf **spare)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb; i++)
		n += tx_is_usual(q, pkts[i]);
	if (n == 0 || rte_pktmbuf_alloc_bulk(q->bounce->pool, spare, n) == 0)
		return n;
	nfe_tx_done_cleanup(q, 0);
	return rte_pktmbuf_alloc_bulk(q->bounce->pool, spare, n) == 0 ? n : 0;
}

/* The switch has read these lines: a store waits until it lets go of them. */
static inline void
ask_to_write(const struct rte_mbuf *m, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += RTE_CACHE_LINE_SIZE)
		nfe_prefetch_write(rte_pktmbuf_mtod_offset(m, const uint8_t *, at));
}

/*
 * What can be sent of these frames now, as mbufs of which those of long frames are copies. Buffers
 * of the usual ones are taken before, so that the lines of the next can be asked for.
 */
static uint16_t
tx_copies(struct nfe_txq *q, struct rte_mbuf **pkts, uint16_t nb, struct rte_mbuf **out)
{
	struct rte_mbuf *spare[CHUNK];
	uint16_t n, nb_spare = tx_get_spare(q, pkts, nb, spare), used = 0, asked = 0;

	for (n = 0; n < nb; n++) {
		struct rte_mbuf *m = pkts[n];

		if (used < nb_spare && tx_is_usual(q, m)) {
			for (; asked < RTE_MIN(used + AHEAD + 1, nb_spare); asked++)
				ask_to_write(spare[asked], m->data_len); /* guess of the next */
			out[n] = spare[used++];
			tx_copy_usual(out[n], m);
		} else {
			out[n] = tx_needs_copy(q, m) ? tx_copy(q, m) : m;
			if (unlikely(out[n] == NULL))
				break;
		}
	}
	rte_pktmbuf_free_bulk(spare + used, nb_spare - used);
	return n;
}

static uint16_t
tx_chunk(struct nfe_txq *q, struct rte_mbuf **pkts, uint16_t nb)
{
	struct rte_mbuf *out[CHUNK], *done[CHUNK];
	uint16_t n = tx_copies(q, pkts, nb, out), sent, nb_done = 0;

	sent = nfe_tx_burst_hints(q, out, n); /* it may have tags to insert */
	for (uint16_t i = 0; i < n; i++)
		if (out[i] != pkts[i])
			done[nb_done++] = i < sent ? pkts[i] : out[i];
	rte_pktmbuf_free_bulk(done, nb_done);
	return sent;
}

/* As many frames as there are cells: what the queue would refuse is not worth a copy. */
static uint16_t
tx_room(struct nfe_txq *q, uint16_t wanted)
{
	if (q->size - (q->prod - q->cons) < wanted)
		nfe_tx_done_cleanup(q, 0);
	return RTE_MIN(q->size - (q->prod - q->cons), wanted);
}

uint16_t
nfe_tx_burst_copy(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct nfe_txq *q = queue;
	uint16_t sent = 0, nb, n;

	if (unlikely(!nfeh_gate_enter(&q->gate)))
		return 0; /* the device is away: no copies in vain */
	nfeh_gate_leave(&q->gate);
	do { /* 0 of 0: the queue is full, and its device may never read it */
		nb = tx_room(q, RTE_MIN((uint32_t)nb_pkts - sent, CHUNK));
		n = tx_chunk(q, pkts + sent, nb);
		sent += n;
	} while (nb > 0 && n == nb && sent < nb_pkts);
	return sent;
}

/* Its lines come from the switch; of a chain those of the first buffer. */
static inline void
ask_to_read(const struct rte_mbuf *m)
{
	for (uint32_t at = 0; at < m->data_len; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(rte_pktmbuf_mtod_offset(m, const uint8_t *, at));
}

/* One frame in the application's mbufs; NULL: there are none now. */
static inline struct rte_mbuf *
rx_take(struct nfe_rxq *q, struct nfe_bounce *b)
{
	struct rte_mbuf *from = b->pending[b->first], *m;

	for (; b->nb_asked < b->first + RTE_MIN(AHEAD + 1, b->nb_pending); b->nb_asked++)
		ask_to_read(b->pending[b->nb_asked]);
	m = rte_pktmbuf_copy(from, b->pool, 0, UINT32_MAX);
	if (unlikely(m == NULL)) {
		q->count.nombuf++;
		return NULL;
	}
	b->first++;
	b->nb_pending--;
	rte_pktmbuf_free(from);
	return m;
}

uint16_t
nfe_rx_burst_copy(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct nfe_rxq *q = queue;
	struct nfe_bounce *b = q->bounce;
	uint16_t n = 0, nb;

	while (n < nb_pkts) {
		if (b->nb_pending == 0) {
			b->first = b->nb_asked = 0;
			nb = RTE_MIN((uint32_t)nb_pkts - n, CHUNK);
			b->nb_pending = nfe_rx_burst(q, b->pending, nb);
			if (b->nb_pending == 0)
				break;
		}
		pkts[n] = rx_take(q, b);
		if (unlikely(pkts[n] == NULL))
			break;
		n++;
	}
	return n;
}
