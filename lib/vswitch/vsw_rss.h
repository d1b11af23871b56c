/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a guest wants to receive, and on which of its channels (specification 7.11, 7.12): flows
 * spread by a Toeplitz hash, frames by VLAN. Set by the owner's calls on the control thread, read
 * by data lcores.
 */
#ifndef VSW_RSS_H
#define VSW_RSS_H

#include "vsw_internal.h"

#define VSW_TUPLE_MAX 36u /* bytes: addresses and ports of IPv6 */

/* The hash is linear: each half byte of the tuple adds (xor) a number that depends on its place
 * alone. So 24 loads for IPv4 with ports, where the hash bit by bit takes some 150 cycles. */
struct vsw_rss { /* replaced as a whole */
	uint32_t types; /* NFE_RSS_*, not 0 */
	bool tell;
	uint32_t part[2 * VSW_TUPLE_MAX][16];
};

/* For a frame of lc's turn; what tells its flow is in its private header from then on. */
/* Channel of a VIF with several that takes it. */
struct vsw_chan *vsw_rss_channel(struct vsw_lcore *lc, const struct vsw_rxset *rx,
				 struct vsw_frame *f);
/* Its hash; false: it is of no type that has one. */
bool vsw_rss_hash(struct vsw_lcore *lc, const struct vsw_rss *rss, struct vsw_frame *f,
		  uint32_t *hash);

/* Control thread. Fill set->by_reta by what the guest wishes and what runs. */
void vsw_rss_resolve(const struct vsw_port *port, struct vsw_rxset *set);
int vsw_owner_rss_hash(void *owner, const struct nfe_req_rss_hash *hash);
int vsw_owner_rss_reta(void *owner, const struct nfe_req_rss_reta *reta);
int vsw_owner_vlans(void *owner, unsigned int first_word, const uint64_t *map, unsigned int n);
void vsw_rss_forget(struct vsw_port *port); /* its channels are stopped */
/* vsw_owner.c: a new set of channels for data lcores, none uses the old one on return */
int vsw_rxset_replace(struct vsw_port *port);

/* The hash that messages to this guest tell; NULL: none. Data lcores, within one turn. */
static inline const struct vsw_rss *
vsw_rss_told(const struct vsw_port *port)
{
	const struct vsw_rxset *rx;

	if (likely(!__atomic_load_n(&port->tells_hash, __ATOMIC_RELAXED)))
		return NULL;
	rx = __atomic_load_n(&port->rx, __ATOMIC_ACQUIRE);
	return rx != NULL && rx->rss != NULL && rx->rss->tell ? rx->rss : NULL;
}

static inline bool
vsw_vlan_filters(const struct vsw_port *port)
{
	return (__atomic_load_n(&port->rx_mode, __ATOMIC_RELAXED) & NFE_RX_VLAN_FILTER) != 0;
}

/* Untagged, of VLAN 0 (a priority alone), or of one that the guest takes? */
static inline bool
vsw_vlan_wanted(const struct vsw_port *port, const struct vsw_frame *f)
{
	unsigned int vlan;

	if (nfe_be16(f->hdr + 12) != 0x8100)
		return true;
	if (f->len < NFE_MIN_FRAME + 4)
		return false; /* there is no telling */
	vlan = nfe_be16(f->hdr + 14) & (NFE_VLANS - 1);
	return vlan == 0 || (__atomic_load_n(&port->vlans[vlan / NFE_VLANS_PER_WORD],
					     __ATOMIC_RELAXED) >> vlan % NFE_VLANS_PER_WORD & 1) != 0;
}

#endif /* VSW_RSS_H */
