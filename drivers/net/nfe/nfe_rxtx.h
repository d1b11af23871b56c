/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Queues of the PMD. Set up on the control path (nfe_queue.c), then used by the one data thread
 * that polls the queue, between nfeh_gate_enter() and nfeh_gate_leave(). During a replay the gates
 * are closed and the control thread reads the indices.
 *
 * Geometry and own indices are private and never re-read from shared memory (rule 2). The labels
 * W1, R1 ... are those of lib/nfe/nfe_queue.h.
 */
#ifndef NFE_RXTX_H
#define NFE_RXTX_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_mbuf.h>

#include <nfe_cell.h>
#include <nfe_msg.h>
#include <nfe_queue.h>
#include <nfe_regs.h>
#include <nfeh_gate.h>

#include "nfe_compat.h"
#include "nfe_mem.h"
#include "nfe_zone.h"

#define NFE_BURST_CHUNK 64u /* mbufs taken from and given to a pool at once */
/* mbufs that the device has read stay with the queue until so many follow them, half of a full
 * queue at most: filled again, their lines shall have left the device's cache (1500 B, each end
 * with a pool of its own: 5.7 Mpps if they come back at once, now 7.0; a common pool: 7.1, 7.7) */
#define NFE_TX_KEPT 512u
/* Those beyond are given back in lots that a pool's cache has room for: else they go to its ring,
 * and all of the pool is in rotation (half a queue at once: 4.4). */
#define NFE_TX_LOT 64u
#define NFE_TX_ASKED 64u    /* cells prefetched at most before a burst, and then so far ahead */
#define NFE_CELLS_AHEAD 16u /* prefetched of those to be received; 8 to 32 make no difference */
#define NFE_MBUFS_AHEAD 4u  /* prefetched (1500 B: 624 cycles to receive, now 545) */

/* Counters of a queue, written by its data thread. The first two are the ethdev's own statistics,
 * the others are xstats, summed over the queues. "drop" counts as oerrors, "bad" as ierrors. */
#define NFE_TX_COUNTERS(X) \
	X(packets) X(bytes) X(sent_inline) X(sent_dma) X(kicks) \
	X(drop_unregistered) X(drop_segs) X(drop_runt) X(drop_giant) \
	X(drop_hints) X(bad_index)
#define NFE_RX_COUNTERS(X) \
	X(packets) X(bytes) X(nombuf) X(got_inline) X(got_dma) X(returned) X(lost) \
	X(bad_index) X(bad_type) X(bad_truncated) X(bad_length) X(bad_segs) X(bad_cookie) \
	X(bad_fill_end)

#define NFE_COUNTER_FIELD(name) uint64_t name;
struct nfe_tx_counters {
	NFE_TX_COUNTERS(NFE_COUNTER_FIELD)
};
struct nfe_rx_counters {
	NFE_RX_COUNTERS(NFE_COUNTER_FIELD)
};

struct nfe_port;

struct __rte_cache_aligned nfe_txq {
	struct nfeh_gate gate;
	uint32_t size, mask; /* cells */
	uint32_t prod;       /* ours */
	uint32_t cons;       /* up to here reclaimed; follows the device's index */
	uint32_t burst_cells; /* of the last burst */
	uint32_t ask_end;    /* index: cells of this burst, probably, end there */
	uint32_t nb_held;    /* mbufs in sw[] */
	uint32_t free_thresh; /* reclaim when fewer cells are free */
	uint32_t map_hit;
	uint32_t short_len;  /* bytes; up to here a frame in one mbuf takes the short way */
	uint32_t inline_len; /* bytes; frames up to here always go inline */
	uint32_t inline_max; /* bytes; what the device takes inline at most */
	uint32_t max_segs;
	uint32_t max_frame; /* bytes */
	uint32_t nb_done;   /* mbufs in done[] */
	uint32_t refused, refused_bytes; /* frames of this burst that were dropped */
	bool fast_free;
	uint8_t send_flags; /* NFE_MSG_F_* that messages may carry, 4.8 */
	uint16_t nb_kept;    /* mbufs to leave in sw[] while there is room */
	uint16_t held_limit; /* reclaim when sw[] holds so many */
	uint64_t hint_flags; /* RTE_MBUF_F_TX_* of frames that are completed on the way */
	uint8_t *cells;           /* shared */
	uint32_t *db_prod;        /* doorbell page */
	struct nfe_status *status; /* shared, written by the device */
	struct rte_mbuf **sw;     /* mbuf whose message ends in the cell of the same idx, or NULL */
	struct nfe_port *port;
	struct nfe_bounce *bounce; /* copy mode; else NULL */
	struct nfe_tx_counters count;
	struct rte_mbuf *done[NFE_BURST_CHUNK]; /* to be freed at the end of the burst */

	/* control path */
	struct nfe_tx_counters base; /* count at the last statistics reset */
	struct nfe_zone zone; /* cells */
	uint16_t channel;
	uint16_t queue_id;
	bool deferred; /* not started with the port */
};

struct __rte_cache_aligned nfe_rxq {
	struct nfeh_gate gate;
	uint32_t size, mask; /* cells of the receive queue, and entries of the fill queue */
	uint32_t cons;       /* ours */
	uint32_t fill_prod;  /* ours */
	uint32_t fill_end;   /* fill entries before this one came back; sw[] holds the others */
	uint32_t free_thresh; /* refill when so many entries are free */
	uint32_t fill_max;    /* buffers that are posted at most */
	uint32_t map_hit;
	uint32_t buf_size;  /* bytes of each posted buffer */
	uint32_t inline_max; /* bytes; what the device may send inline */
	uint32_t short_len;  /* bytes; inline frames up to here take the short way */
	uint64_t rearm;      /* rearm_data of each mbuf received */
	uint32_t max_segs;  /* 1 without scatter */
	uint32_t max_frame; /* bytes */
	uint16_t port_id;
	uint8_t take_flags; /* NFE_MSG_F_* that messages with a frame may carry */
	bool csum;          /* the application wants to hear of checksums */
	RTE_ATOMIC(bool) vlan_strip;
	uint8_t *cells;            /* shared, written by the device */
	uint8_t *fill;             /* shared */
	uint32_t *db_cons;         /* doorbell page */
	uint32_t *db_fill_prod;
	uint32_t *db_event;
	struct nfe_status *status; /* shared, written by the device */
	struct rte_mbuf **sw; /* posted mbufs; the cookie is the idx of the fill entry */
	struct rte_mempool *pool;
	struct nfe_port *port;
	struct nfe_rx_counters count;
	struct nfe_bounce *bounce; /* copy mode; else NULL */

	/* control path */
	struct nfe_rx_counters base;
	struct nfe_zone zone; /* cells, then fill entries */
	uint16_t channel;
	uint16_t queue_id;
	bool deferred; /* not started with the port */
};

/* Bursts */
uint16_t nfe_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
/* The same for a port with checksum or segmentation offloads. */
uint16_t nfe_tx_burst_hints(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t nfe_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t nfe_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

/* What the control path needs of them, on the data thread or while the queue is not polled. */
/* Frees mbufs that the device has read, max at most, while more than keep are held or fewer than
 * room cells are free; how many. */
uint32_t nfe_tx_reclaim(struct nfe_txq *q, uint32_t max, uint32_t keep, uint32_t room);
void nfe_rx_refill(struct nfe_rxq *q);
void nfe_rx_set_short(struct nfe_rxq *q); /* what follows from port_id, buf_size and inline_max */
uint32_t nfe_rx_avail(struct nfe_rxq *q);
/* 8.2 Fill index of the last published message that carries one. */
uint32_t nfe_rx_scan_fill_end(struct nfe_rxq *q);

#endif /* NFE_RXTX_H */
