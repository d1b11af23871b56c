/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Checksums and segmentation in software, see vsw_offload.h. Hints were checked when the frame came
 * (nfe_hints_valid()), so what is changed here are bytes of headers that no decision was taken by.
 *
 * Headers beyond the private copy of 40 bytes are read once from the guest's memory. Payload is
 * read twice, to sum it up and to copy it: a guest that rewrites it in between gets a wrong
 * checksum into a frame of its own.
 */
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "vsw_datapath.h"
#include "vsw_offload.h"

#define TCP_DOFF_OFFSET 12
#define TCP_FLAGS_OFFSET 13
#define TCP_SEQ_OFFSET 4
#define IPV4_LEN_OFFSET 2
#define IPV4_ID_OFFSET 4
#define IPV4_CSUM_OFFSET 10
#define IPV4_ADDRS 12
#define IPV6_LEN_OFFSET 4
#define IPV6_ADDRS 8

static void
put_be16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* The pieces of f from byte from on, at most len bytes, as segments; returns how many. */
static uint16_t
slice(const struct vsw_frame *f, uint32_t from, uint32_t len, struct vsw_seg *to)
{
	uint16_t n = 0;

	for (int i = -1; i < f->nsegs && len > 0; i++) {
		struct vsw_seg s = i < 0 ? (struct vsw_seg){ f->hdr, f->hdr_len, NULL } : f->seg[i];

		if (from >= s.len) {
			from -= s.len;
			continue;
		}
		s.addr += from;
		s.len = RTE_MIN(s.len - from, len);
		from = 0;
		len -= s.len;
		to[n++] = s;
	}
	return n;
}

/* The first len bytes of f, flat. */
static void
read_header(const struct vsw_frame *f, uint8_t *to, uint32_t len)
{
	struct vsw_seg seg[NFE_MAX_SEGS + 1];
	uint16_t n = slice(f, 0, len, seg);

	for (uint16_t i = 0; i < n; i++) {
		memcpy(to, seg[i].addr, seg[i].len);
		to += seg[i].len;
	}
}

/* Sum of the frame from byte from on, as RFC 1071 has it: folded, not inverted. */
static uint16_t
frame_sum(const struct vsw_frame *f, uint32_t from)
{
	struct vsw_seg seg[NFE_MAX_SEGS + 1];
	uint16_t n = slice(f, from, f->len - from, seg);
	uint32_t sum = 0, odd = 0;

	for (uint16_t i = 0; i < n; i++) {
		uint16_t part = rte_raw_cksum(seg[i].addr, seg[i].len);

		sum += odd ? rte_bswap16(part) : part; /* its bytes change places */
		odd ^= seg[i].len & 1;
	}
	return __rte_raw_cksum_reduce(sum);
}

static void
complete(struct vsw_patch *p)
{
	uint32_t start = p->hints.csum_start;
	uint16_t sum = (uint16_t)~frame_sum(&p->f, start);

	if (sum == 0 && p->hints.csum_off == NFE_UDP_CSUM_OFF)
		sum = 0xffff; /* RFC 768: 0 means none */
	memcpy(&p->hdr[start + p->hints.csum_off], &sum, sizeof(sum));
	p->f.flags = NFE_MSG_F_CSUM_OK;
}

enum nfe_stat
vsw_patch_complete(struct vsw_patch *p, const struct vsw_frame *f)
{
	if (f != &p->f) {
		uint32_t hdr_len = RTE_MIN(f->len, (uint32_t)VSW_HDR_MAX);

		p->hints = *f->hints;
		p->f = (struct vsw_frame){ .hdr = p->hdr, .hdr_len = (uint16_t)hdr_len,
					   .len = f->len, .seg = p->seg };
		read_header(f, p->hdr, hdr_len);
		p->f.nsegs = (uint8_t)slice(f, hdr_len, f->len - hdr_len, p->seg);
	}
	complete(p);
	p->f.hints = NULL;
	return unlikely(vsw_frame_poisoned(f)) ? NFE_STAT_to_drop_fault : 0;
}

enum nfe_stat
vsw_cut_start(struct vsw_cut *cut, const struct vsw_frame *f)
{
	uint32_t start = f->hints->csum_start, tcp_len;

	cut->f = f;
	cut->at = cut->part = 0;
	read_header(f, cut->hdr, RTE_MIN(f->len, (uint32_t)VSW_HDR_MAX));
	if (unlikely(vsw_frame_poisoned(f)))
		return NFE_STAT_to_drop_fault;
	nfe_l4_find(f->hdr, &cut->l4);
	tcp_len = (cut->hdr[start + TCP_DOFF_OFFSET] >> 4) * 4;
	cut->hdr_len = start + tcp_len;
	return tcp_len >= NFE_TCP_HDR_MIN && cut->hdr_len < f->len ? 0 : NFE_STAT_to_drop_hints;
}

static void
patch_ip(const struct vsw_cut *cut, uint8_t *ip, uint32_t ip_len)
{
	uint16_t sum;

	if (cut->l4.ipv6) {
		put_be16(ip + IPV6_LEN_OFFSET, ip_len - NFE_IPV6_HDR);
		return;
	}
	put_be16(ip + IPV4_LEN_OFFSET, ip_len);
	put_be16(ip + IPV4_ID_OFFSET, nfe_be16(ip + IPV4_ID_OFFSET) + cut->part);
	put_be16(ip + IPV4_CSUM_OFFSET, 0);
	sum = (uint16_t)~rte_raw_cksum(ip, cut->l4.start - cut->l4.ip);
	memcpy(ip + IPV4_CSUM_OFFSET, &sum, sizeof(sum));
}

/* Sequence number, flags, and in the checksum's place the sum of the pseudo header. */
static void
patch_tcp(const struct vsw_cut *cut, uint8_t *ip, uint8_t *tcp, uint32_t tcp_len, bool last)
{
	uint8_t gone = (uint8_t)((cut->part == 0 ? 0 : RTE_TCP_CWR_FLAG) |
				 (last ? 0 : RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG));
	uint32_t seq, sum;
	uint16_t folded;

	memcpy(&seq, tcp + TCP_SEQ_OFFSET, sizeof(seq));
	seq = rte_cpu_to_be_32(rte_be_to_cpu_32(seq) + cut->at);
	memcpy(tcp + TCP_SEQ_OFFSET, &seq, sizeof(seq));
	tcp[TCP_FLAGS_OFFSET] &= (uint8_t)~gone;
	sum = cut->l4.ipv6 ? rte_raw_cksum(ip + IPV6_ADDRS, 32) : rte_raw_cksum(ip + IPV4_ADDRS, 8);
	sum += rte_cpu_to_be_16(NFE_L4_TCP) + rte_cpu_to_be_16((uint16_t)tcp_len);
	folded = __rte_raw_cksum_reduce(sum);
	memcpy(tcp + NFE_TCP_CSUM_OFF, &folded, sizeof(folded));
}

bool
vsw_cut_next(struct vsw_cut *cut, struct vsw_patch *p)
{
	const struct vsw_frame *f = cut->f;
	uint32_t left = f->len - cut->hdr_len - cut->at;
	uint32_t n = RTE_MIN(left, f->hints->gso_size);

	if (n == 0)
		return false;
	memcpy(p->hdr, cut->hdr, cut->hdr_len);
	patch_ip(cut, p->hdr + cut->l4.ip, cut->hdr_len - cut->l4.ip + n);
	patch_tcp(cut, p->hdr + cut->l4.ip, p->hdr + cut->l4.start,
		  cut->hdr_len - cut->l4.start + n, n == left);
	p->hints = (struct nfe_hints){ .csum_start = cut->l4.start, .csum_off = NFE_TCP_CSUM_OFF };
	p->f = (struct vsw_frame){ .hdr = p->hdr, .hdr_len = (uint16_t)cut->hdr_len,
				   .len = cut->hdr_len + n, .seg = p->seg,
				   .flags = NFE_MSG_F_CSUM_PARTIAL, .hints = &p->hints };
	p->f.nsegs = (uint8_t)slice(f, cut->hdr_len + cut->at, n, p->seg);
	cut->at += n;
	cut->part++;
	return true;
}
