/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Flows over the channels of a VIF, see vsw_rss.h. Without RSS a hash of our own spreads them over
 * all that run. With it the guest's table names channels; an entry whose channel does not run goes
 * to one that does, so a channel that stops loses no flow for longer than the change takes.
 *
 * The lower half runs on data lcores: it looks at the private header, and what it needs beyond is read
 * once from the sender's memory and becomes part of that header: channel, told hash and delivered
 * bytes agree (rule 19). Whether that memory vanished is asked when the frame is copied.
 */
#include <errno.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_thash.h>

#include "vsw_rss.h"

#define ETH_TYPE_OFFSET 12
/* In a frame: source, destination, then ports if there are no options */
#define IPV4_ADDRS_OFFSET 26
#define IPV4_FLOW_BYTES 12
#define IPV4_VIHL_OFFSET 14
#define IPV4_FRAG_OFFSET 20
#define IPV4_PROTO_OFFSET 23
/* In an IP header */
#define IPV4_ADDRS 12
#define IPV6_ADDRS 8
#define PORTS_LEN 4u

/* ---- control thread ---- */

static void
make_parts(struct vsw_rss *rss, const uint8_t key[NFE_RSS_KEY_LEN])
{
	uint32_t tuple[VSW_TUPLE_MAX / 4] = { 0 };

	for (unsigned int place = 0; place < 2 * VSW_TUPLE_MAX; place++) {
		uint32_t *word = &tuple[place / 8]; /* as rte_softrss() wants it: host's order */

		for (uint32_t value = 0; value < 16; value++) {
			*word = value << (28 - 4 * (place % 8));
			rss->part[place][value] = rte_softrss(tuple, VSW_TUPLE_MAX / 4, key);
		}
		*word = 0;
	}
}

static struct vsw_rss *
rss_make(const struct nfe_req_rss_hash *hash)
{
	struct vsw_rss *rss = rte_zmalloc(NULL, sizeof(*rss), RTE_CACHE_LINE_SIZE);

	if (rss == NULL)
		return NULL;
	rss->types = hash->types;
	rss->tell = (hash->flags & NFE_RSS_F_TELL) != 0;
	make_parts(rss, hash->key);
	return rss;
}

void
vsw_rss_resolve(const struct vsw_port *port, struct vsw_rxset *set)
{
	struct vsw_chan *running[NFED_MAX_CHANNELS + 1] = { NULL }; /* by number */

	set->rss = port->rss;
	for (unsigned int i = 0; i < set->n; i++)
		running[set->chan[i]->ch->number] = set->chan[i];
	for (unsigned int i = 0; i < NFE_RSS_RETA_SIZE; i++) {
		struct vsw_chan *c = running[port->reta[i]];

		set->by_reta[i] = c != NULL ? c : set->chan[i % set->n];
	}
}

int
vsw_owner_rss_hash(void *owner, const struct nfe_req_rss_hash *hash)
{
	struct vsw_port *port = owner;
	struct vsw_rss *old = port->rss, *rss = NULL;
	int rc;

	if (hash->types != 0 && (rss = rss_make(hash)) == NULL)
		return -ENOMEM;
	port->rss = rss;
	rc = vsw_rxset_replace(port);
	if (rc < 0) {
		port->rss = old;
		rte_free(rss);
		return rc;
	}
	__atomic_store_n(&port->tells_hash, rss != NULL && rss->tell, __ATOMIC_RELAXED);
	rte_free(old);
	return 0;
}

int
vsw_owner_rss_reta(void *owner, const struct nfe_req_rss_reta *reta)
{
	struct vsw_port *port = owner;
	uint8_t old[NFE_RSS_RETA_SIZE];
	int rc;

	static_assert(NFED_MAX_CHANNELS <= UINT8_MAX, "a channel's number fits port->reta");
	memcpy(old, port->reta, sizeof(old));
	for (unsigned int i = 0; i < reta->n; i++)
		port->reta[reta->first + i] = (uint8_t)reta->channel[i];
	rc = vsw_rxset_replace(port);
	if (rc < 0)
		memcpy(port->reta, old, sizeof(old));
	return rc;
}

int
vsw_owner_vlans(void *owner, unsigned int first_word, const uint64_t *map, unsigned int n)
{
	struct vsw_port *port = owner;

	for (unsigned int i = 0; i < n; i++)
		__atomic_store_n(&port->vlans[first_word + i], map[i], __ATOMIC_RELAXED);
	return 0;
}

void
vsw_rss_forget(struct vsw_port *port)
{
	static const uint64_t none[NFE_VLAN_WORDS];

	__atomic_store_n(&port->tells_hash, false, __ATOMIC_RELAXED);
	rte_free(port->rss);
	port->rss = NULL;
	memset(port->reta, 0, sizeof(port->reta));
	vsw_owner_vlans(port, 0, none, NFE_VLAN_WORDS);
}

uint32_t
vsw_port_rss_types(const struct vsw_port *port)
{
	return port->rss != NULL ? port->rss->types : 0;
}

unsigned int
vsw_port_vlans(const struct vsw_port *port)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < NFE_VLAN_WORDS; i++)
		n += (unsigned int)__builtin_popcountll(port->vlans[i]);
	return n;
}

/* ---- data lcores ---- */

/* Frames of one flow stay on one channel, so that they stay in order. */
static uint32_t
flow_hash(const struct vsw_frame *f)
{
	const uint8_t *h = f->hdr;
	uint64_t key[3] = { 0 }; /* both addresses, flow; aligned as the CRC wants it */
	bool ipv4 = f->hdr_len >= IPV4_ADDRS_OFFSET + IPV4_FLOW_BYTES &&
		    h[ETH_TYPE_OFFSET] == 0x08 && h[ETH_TYPE_OFFSET + 1] == 0x00;

	memcpy(key, h, ETH_TYPE_OFFSET);
	if (ipv4) {
		bool fragment = (h[IPV4_FRAG_OFFSET] & 0x3f) != 0 || h[IPV4_FRAG_OFFSET + 1] != 0;
		bool ports = h[IPV4_VIHL_OFFSET] == 0x45 && !fragment &&
			     (h[IPV4_PROTO_OFFSET] == 6 || h[IPV4_PROTO_OFFSET] == 17);

		memcpy((uint8_t *)key + ETH_TYPE_OFFSET, h + IPV4_ADDRS_OFFSET,
		       ports ? IPV4_FLOW_BYTES : 8);
	}
	return rte_hash_crc(key, sizeof(key), 0);
}

struct flow { /* what of a frame its hash is made of */
	uint32_t addrs, addrs_len; /* offset in the frame, bytes */
	uint32_t ports;            /* offset; 0: not TCP or UDP, or a fragment */
	uint32_t type, type_ports; /* NFE_RSS_*; the second counts where there are ports */
};

static bool
find_ipv4(const uint8_t *ip, uint32_t at, struct flow *flow)
{
	uint32_t hdr = (ip[0] & 0xf) * 4u;

	if (ip[0] >> 4 != 4 || hdr < NFE_IPV4_HDR_MIN)
		return false;
	*flow = (struct flow){ .addrs = at + IPV4_ADDRS, .addrs_len = 8, .type = NFE_RSS_IPV4,
			       .type_ports = ip[9] == NFE_L4_TCP ? NFE_RSS_IPV4_TCP :
								   NFE_RSS_IPV4_UDP };
	if ((ip[9] == NFE_L4_TCP || ip[9] == NFE_L4_UDP) && (nfe_be16(ip + 6) & 0x3fff) == 0)
		flow->ports = at + hdr;
	return true;
}

static bool
find_ipv6(const uint8_t *ip, uint32_t at, struct flow *flow)
{
	if (ip[0] >> 4 != 6)
		return false;
	*flow = (struct flow){ .addrs = at + IPV6_ADDRS, .addrs_len = 32, .type = NFE_RSS_IPV6,
			       .type_ports = ip[6] == NFE_L4_TCP ? NFE_RSS_IPV6_TCP :
								   NFE_RSS_IPV6_UDP };
	if (ip[6] == NFE_L4_TCP || ip[6] == NFE_L4_UDP)
		flow->ports = at + NFE_IPV6_HDR;
	return true;
}

/* False: not IP, or too short for its addresses. */
static bool
find_flow(const struct vsw_frame *f, struct flow *flow)
{
	uint32_t at = NFE_MIN_FRAME;
	uint16_t type = nfe_be16(f->hdr + ETH_TYPE_OFFSET);

	if (type == 0x8100 && f->len >= NFE_MIN_FRAME + 4) {
		type = nfe_be16(f->hdr + at + 2);
		at += 4;
	}
	if (type == 0x0800 && f->len >= at + NFE_IPV4_HDR_MIN)
		return find_ipv4(f->hdr + at, at, flow);
	if (type == 0x86dd && f->len >= at + NFE_IPV6_HDR)
		return find_ipv6(f->hdr + at, at, flow);
	return false;
}

/* Have the first len bytes of the frame, which has as many, in its private header. Its segments get
 * shorter, but stay: who copies the frame asks for each whether its memory vanished. */
static __rte_noinline void
pull(struct vsw_lcore *lc, struct vsw_frame *f, uint32_t len)
{
	struct vsw_seg *seg = &lc->segs[f->seg - lc->segs];
	uint8_t *hdr = lc->flows[f - lc->frames];

	static_assert(VSW_FLOW_MAX >= NFE_MIN_FRAME + 4 + 60 + PORTS_LEN &&
		      VSW_FLOW_MAX >= NFE_MIN_FRAME + 4 + NFE_IPV6_HDR + PORTS_LEN, "all of a flow");
	if (f->hdr != hdr)
		memcpy(hdr, f->hdr, f->hdr_len);
	for (; f->hdr_len < len; seg++) {
		uint32_t n = RTE_MIN(seg->len, len - f->hdr_len);

		memcpy(hdr + f->hdr_len, seg->addr, n);
		f->hdr_len += (uint16_t)n;
		seg->addr += n;
		seg->len -= n;
	}
	f->hdr = hdr;
}

static uint32_t
add_parts(const struct vsw_rss *rss, uint32_t first, const uint8_t *bytes, uint32_t len)
{
	const uint32_t (*part)[16] = &rss->part[2 * first];
	uint32_t hash = 0;

	for (uint32_t i = 0; i < len; i++)
		hash ^= part[2 * i][bytes[i] >> 4] ^ part[2 * i + 1][bytes[i] & 0xf];
	return hash;
}

bool
vsw_rss_hash(struct vsw_lcore *lc, const struct vsw_rss *rss, struct vsw_frame *f, uint32_t *hash)
{
	struct flow flow;
	uint32_t len;
	bool ports;

	if (!find_flow(f, &flow))
		return false;
	ports = flow.ports != 0 && flow.ports + PORTS_LEN <= f->len &&
		(rss->types & flow.type_ports) != 0;
	if (!ports && (rss->types & flow.type) == 0)
		return false;
	len = ports ? flow.ports + PORTS_LEN : flow.addrs + flow.addrs_len;
	if (unlikely(len > f->hdr_len))
		pull(lc, f, len);
	*hash = add_parts(rss, 0, f->hdr + flow.addrs, flow.addrs_len);
	if (ports)
		*hash ^= add_parts(rss, flow.addrs_len, f->hdr + flow.ports, PORTS_LEN);
	return true;
}

struct vsw_chan *
vsw_rss_channel(struct vsw_lcore *lc, const struct vsw_rxset *rx, struct vsw_frame *f)
{
	uint32_t hash = 0; /* of a frame that has none: entry 0 */

	if (rx->rss == NULL)
		return rx->chan[flow_hash(f) % rx->n];
	vsw_rss_hash(lc, rx->rss, f, &hash);
	return rx->by_reta[hash & (NFE_RSS_RETA_SIZE - 1)];
}
