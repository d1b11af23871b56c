/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Check of checksum and segmentation hints (specification 4.8), the same on both ends: hints are
 * untrusted input (rule 18). All that it looks at lies in the 40 bytes of the header copy, which
 * are private where the check runs; so nothing can change between check and use.
 */
#ifndef NFE_HINTS_H
#define NFE_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "nfe_msg.h"

#define NFE_L4_TCP 6u
#define NFE_L4_UDP 17u
#define NFE_TCP_HDR_MIN 20u
#define NFE_UDP_HDR 8u
#define NFE_TCP_CSUM_OFF 16u
#define NFE_UDP_CSUM_OFF 6u
#define NFE_IPV4_HDR_MIN 20u
#define NFE_IPV6_HDR 40u

struct nfe_l4 { /* what stands behind the IP header */
	uint8_t ip;    /* offset of the IP header in the frame, bytes; 14, with a VLAN tag 18 */
	uint8_t start; /* offset of the header of layer 4 */
	uint8_t proto; /* NFE_L4_TCP or NFE_L4_UDP */
	bool ipv6;
};

static inline uint16_t
nfe_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* TCP or UDP right behind an IPv4 (whole, not a fragment) or IPv6 header, with at most one VLAN
 * tag. hdr: the first NFE_HDR_COPY bytes of the frame. False: the frame is something else. */
static inline bool
nfe_l4_find(const uint8_t *hdr, struct nfe_l4 *l4)
{
	uint16_t type = nfe_be16(hdr + 12);
	const uint8_t *ip;

	l4->ip = NFE_MIN_FRAME;
	if (type == 0x8100) {
		l4->ip += 4;
		type = nfe_be16(hdr + 16);
	}
	ip = hdr + l4->ip;
	l4->ipv6 = type == 0x86dd;
	if (type == 0x0800 && ip[0] >> 4 == 4 && (nfe_be16(ip + 6) & 0x3fff) == 0) {
		l4->proto = ip[9];
		l4->start = (uint8_t)(l4->ip + (ip[0] & 0xf) * 4);
		if ((ip[0] & 0xf) * 4 < (int)NFE_IPV4_HDR_MIN)
			return false;
	} else if (l4->ipv6 && ip[0] >> 4 == 6) {
		l4->proto = ip[6];
		l4->start = (uint8_t)(l4->ip + NFE_IPV6_HDR);
	} else {
		return false;
	}
	return l4->proto == NFE_L4_TCP || l4->proto == NFE_L4_UDP;
}

/*
 * Do flags and hints of a DMA message fit its frame? hdr: the header copy; len: of the frame,
 * above NFE_HDR_COPY. A partial checksum is that of TCP or UDP right behind the IP header, so that
 * completing it changes nothing that a decision was taken by.
 */
static inline bool
nfe_hints_valid(uint8_t flags, const struct nfe_hints *h, const uint8_t *hdr, uint32_t len)
{
	struct nfe_l4 l4;
	uint32_t least;

	if (!(flags & NFE_MSG_F_CSUM_PARTIAL))
		return !(flags & NFE_MSG_F_GSO) && !h->csum_start && !h->csum_off && !h->gso_size &&
		       !h->gso_type && !h->vlan_tci;
	if ((flags & NFE_MSG_F_CSUM_OK) || h->vlan_tci != 0 || !nfe_l4_find(hdr, &l4))
		return false;
	least = l4.start + (l4.proto == NFE_L4_TCP ? NFE_TCP_HDR_MIN : NFE_UDP_HDR);
	if (h->csum_start != l4.start || len < least ||
	    h->csum_off != (l4.proto == NFE_L4_TCP ? NFE_TCP_CSUM_OFF : NFE_UDP_CSUM_OFF))
		return false;
	if (!(flags & NFE_MSG_F_GSO))
		return h->gso_size == 0 && h->gso_type == NFE_GSO_NONE;
	return l4.proto == NFE_L4_TCP && h->gso_type == (l4.ipv6 ? NFE_GSO_TCPV6 : NFE_GSO_TCPV4) &&
	       h->gso_size != 0 && len - least <= h->gso_size * NFE_GSO_MAX_PARTS;
}

#endif /* NFE_HINTS_H */
