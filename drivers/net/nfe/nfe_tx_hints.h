/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Transmit offloads, see nfe_tx_hints.c: between mbuf flags and the hints of specification 4.8.
 */
#ifndef NFE_TX_HINTS_H
#define NFE_TX_HINTS_H

#include <rte_mbuf.h>

#include <nfe_hints.h>

/* A frame with one of these goes by reference, with hints. */
#define NFE_TX_HINTED (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG)

/* What the flags of a frame with NFE_TX_HINTED mean. To be checked by nfe_hints_valid(). */
uint8_t nfe_tx_hints(const struct rte_mbuf *m, struct nfe_hints *h);

#endif /* NFE_TX_HINTS_H */
