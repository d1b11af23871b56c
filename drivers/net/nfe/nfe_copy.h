/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Bursts of copy mode (nfe_share.h). A queue has a private pool of mbufs whose buffers lie in the
 * shared area. The ordinary bursts send and receive these; here a frame is copied between them and
 * the application's mbufs, once. What fits into a message is sent as it is, without them.
 */
#ifndef NFE_COPY_H
#define NFE_COPY_H

#include <stdint.h>

struct nfe_bounce; /* of a queue; NULL: it does not copy */
struct nfe_rxq;
struct nfe_txq;
struct rte_mbuf;
struct rte_mempool;

/* At set-up, after the queue's own zone. 0 or a negative errno, with a line in the log. The pool of
 * the receive queue becomes the private one, fill_max what it has buffers for. */
int nfe_copy_rx_setup(struct nfe_rxq *q, int socket);
int nfe_copy_tx_setup(struct nfe_txq *q, int socket);
/* Frames that nobody polled for. */
void nfe_copy_rx_reset(struct nfe_rxq *q);
/* The queue was reset: all private mbufs are back. */
void nfe_copy_rx_free(struct nfe_rxq *q);
void nfe_copy_tx_free(struct nfe_txq *q);
/* Frames that were taken from the device and wait here for the next burst; 0 without copy mode. */
uint32_t nfe_copy_rx_pending(const struct nfe_rxq *q);
/* The application's pool of a receive queue. */
struct rte_mempool *nfe_copy_rx_pool(const struct nfe_rxq *q);

uint16_t nfe_tx_burst_copy(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t nfe_rx_burst_copy(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* NFE_COPY_H */
