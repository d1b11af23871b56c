/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* See hints.h. The kernel's header is in the byte order of the machine, which is little-endian. */
#include <string.h>

#include "hints.h"

uint8_t
hints_from_tap(const struct virtio_net_hdr *vh, struct nfe_hints *h)
{
	uint8_t flags = NFE_MSG_F_CSUM_PARTIAL;

	*h = (struct nfe_hints){ 0 };
	if (!(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	/* What does not fit a byte is no TCP or UDP that the switch would take: 0 isn't either. */
	h->csum_start = vh->csum_start > UINT8_MAX ? 0 : (uint8_t)vh->csum_start;
	h->csum_off = vh->csum_offset > UINT8_MAX ? 0 : (uint8_t)vh->csum_offset;
	if (vh->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return flags;
	h->gso_size = vh->gso_size;
	h->gso_type = vh->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 ? NFE_GSO_TCPV4 :
		      vh->gso_type == VIRTIO_NET_HDR_GSO_TCPV6 ? NFE_GSO_TCPV6 : UINT8_MAX;
	return flags | NFE_MSG_F_GSO;
}

void
hints_to_tap(uint8_t flags, const struct nfe_hints *h, struct virtio_net_hdr *vh)
{
	*vh = (struct virtio_net_hdr){ .gso_type = VIRTIO_NET_HDR_GSO_NONE };
	if (!(flags & NFE_MSG_F_CSUM_PARTIAL))
		return;
	vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh->csum_start = h->csum_start;
	vh->csum_offset = h->csum_off;
	if (!(flags & NFE_MSG_F_GSO))
		return;
	vh->gso_type = h->gso_type == NFE_GSO_TCPV4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
						      VIRTIO_NET_HDR_GSO_TCPV6;
	vh->gso_size = h->gso_size;
	vh->hdr_len = (uint16_t)(h->csum_start + NFE_TCP_HDR_MIN);
}

/* Byte at offset of the frame; NULL: beyond it. */
static uint8_t *
byte_at(const struct iovec *frame, int nb_pieces, uint32_t offset)
{
	for (int i = 0; i < nb_pieces; i++) {
		if (offset < frame[i].iov_len)
			return (uint8_t *)frame[i].iov_base + offset;
		offset -= (uint32_t)frame[i].iov_len;
	}
	return NULL;
}

/* RFC 1071. A pair of bytes may lie in two pieces. */
static uint32_t
sum_from(const struct iovec *frame, int nb_pieces, uint32_t offset)
{
	uint64_t sum = 0;
	uint32_t n = 0;

	for (int i = 0; i < nb_pieces; i++) {
		const uint8_t *p = frame[i].iov_base;
		uint32_t len = (uint32_t)frame[i].iov_len;

		for (uint32_t k = offset < len ? offset : len; k < len; k++, n++)
			sum += n & 1 ? p[k] : (uint32_t)p[k] << 8;
		offset -= offset < len ? offset : len;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

bool
hints_complete(const struct virtio_net_hdr *vh, const struct iovec *frame, int nb_pieces)
{
	uint32_t at = (uint32_t)vh->csum_start + vh->csum_offset;
	uint8_t *high = byte_at(frame, nb_pieces, at), *low = byte_at(frame, nb_pieces, at + 1);
	uint32_t sum;

	if (high == NULL || low == NULL)
		return false;
	sum = ~sum_from(frame, nb_pieces, vh->csum_start) & 0xffff;
	if (sum == 0 && vh->csum_offset == NFE_UDP_CSUM_OFF)
		sum = 0xffff;
	*high = (uint8_t)(sum >> 8);
	*low = (uint8_t)sum;
	return true;
}
