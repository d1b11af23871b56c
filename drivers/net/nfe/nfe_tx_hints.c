/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Transmit offloads: what the application asks for by ol_flags becomes flags and hints of a message
 * (specification 4.8). nfe_tx_prepare() is the port's tx_pkt_prepare: it writes what the device
 * wants to find in the headers, and does the IPv4 header's checksum itself. Both run on the one
 * data thread of the queue.
 */
#include <errno.h>

#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "nfe_ethdev.h"
#include "nfe_tx_hints.h"

#define ASKED (RTE_MBUF_F_TX_IP_CKSUM | NFE_TX_HINTED)
#define KNOWN (ASKED | RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6)

uint8_t
nfe_tx_hints(const struct rte_mbuf *m, struct nfe_hints *h)
{
	bool gso = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
	bool udp = (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM && !gso;
	uint32_t start = m->l2_len + m->l3_len;

	*h = (struct nfe_hints){
		.csum_start = start > UINT8_MAX ? 0 : (uint8_t)start, /* 0 fits no frame */
		.csum_off = udp ? NFE_UDP_CSUM_OFF : NFE_TCP_CSUM_OFF,
	};
	if (!gso)
		return NFE_MSG_F_CSUM_PARTIAL;
	h->gso_size = m->tso_segsz;
	h->gso_type = m->ol_flags & RTE_MBUF_F_TX_IPV6 ? NFE_GSO_TCPV6 : NFE_GSO_TCPV4;
	return NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO;
}

/* The sum of the pseudo header, over the whole length also where the frame will be cut. */
static void
put_pseudo_sum(struct rte_mbuf *m, const void *ip, uint32_t csum_at)
{
	bool ipv6 = m->ol_flags & RTE_MBUF_F_TX_IPV6;

	*rte_pktmbuf_mtod_offset(m, rte_be16_t *, csum_at) =
		ipv6 ? rte_ipv6_phdr_cksum(ip, 0) : rte_ipv4_phdr_cksum(ip, 0);
}

/* 0, or a negative errno: this frame must not be sent so. */
static int
prepare_one(const struct nfe_txq *q, struct rte_mbuf *m)
{
	void *ip = rte_pktmbuf_mtod_offset(m, void *, m->l2_len);
	struct nfe_hints h;
	uint8_t flags;

	if (!(m->ol_flags & ASKED))
		return 0;
	if (m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK & ~KNOWN)
		return -ENOTSUP;
	if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) && !(q->send_flags & NFE_MSG_F_GSO))
		return -ENOTSUP;
	if (m->data_len < (uint32_t)m->l2_len + m->l3_len)
		return -EINVAL; /* headers are looked at in the first segment */
	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
		struct rte_ipv4_hdr *ipv4 = ip;

		if (m->l3_len < sizeof(*ipv4) || rte_ipv4_hdr_len(ipv4) != m->l3_len)
			return -EINVAL;
		ipv4->hdr_checksum = 0;
		ipv4->hdr_checksum = rte_ipv4_cksum(ipv4);
	}
	if (!(m->ol_flags & NFE_TX_HINTED))
		return 0;
	flags = nfe_tx_hints(m, &h);
	if (m->data_len < RTE_MAX(NFE_HDR_COPY, h.csum_start + h.csum_off + 2u) ||
	    !nfe_hints_valid(flags, &h, rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len))
		return -EINVAL;
	put_pseudo_sum(m, ip, h.csum_start + h.csum_off);
	return 0;
}

uint16_t
nfe_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	const struct nfe_txq *q = queue;

	for (uint16_t i = 0; i < nb_pkts; i++) {
		int rc = prepare_one(q, pkts[i]);

		if (rc < 0) {
			rte_errno = -rc;
			return i;
		}
	}
	return nb_pkts;
}
