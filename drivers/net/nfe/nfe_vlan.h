/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * VLAN tags in software: they are part of the frame in every message (specification 4.1), so they
 * are taken out of a received frame, and put into the copy of a header that a message carries. The
 * application's mbuf is not changed, it may have other owners.
 */
#ifndef NFE_VLAN_H
#define NFE_VLAN_H

#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#define NFE_VLAN_TAG 4u /* bytes */
#define NFE_VLAN_AT  (2u * RTE_ETHER_ADDR_LEN) /* addresses come before it */

static inline void
nfe_vlan_put_tag(uint8_t *frame, uint16_t tci)
{
	const uint8_t tag[NFE_VLAN_TAG] = { 0x81, 0x00, (uint8_t)(tci >> 8), (uint8_t)tci };

	memcpy(frame + NFE_VLAN_AT, tag, sizeof(tag));
}

/* A frame whose first bytes stand at frame + NFE_VLAN_TAG gets its tag. */
static inline void
nfe_vlan_put(uint8_t *frame, uint16_t tci)
{
	memmove(frame, frame + NFE_VLAN_TAG, NFE_VLAN_AT);
	nfe_vlan_put_tag(frame, tci);
}

/* The first NFE_VLAN_AT + NFE_VLAN_TAG bytes of a frame as it is sent: addresses and tag. */
static inline void
nfe_vlan_put_head(uint8_t *head, const struct rte_mbuf *m)
{
	uint8_t copy[NFE_VLAN_AT];

	memcpy(head, rte_pktmbuf_read(m, 0, NFE_VLAN_AT, copy), NFE_VLAN_AT);
	nfe_vlan_put_tag(head, m->vlan_tci);
}

/* Bytes that sending adds to the frame. */
static inline uint32_t
nfe_vlan_added(const struct rte_mbuf *m)
{
	return m->ol_flags & RTE_MBUF_F_TX_VLAN ? NFE_VLAN_TAG : 0;
}

/* Received frames: the outer tag of each, if it has one, goes into the mbuf. */
void nfe_vlan_strip(struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* NFE_VLAN_H */
