/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * RSS and VLANs (specification 7.11, 7.12), remembered for the replay as far as the device has
 * accepted them. What it knows already is not sent again; a device fresh from RESET knows zeroes.
 */
#include <errno.h>
#include <string.h>

#include "nfeh_internal.h"

static int
send_hash(struct nfeh *h, const struct nfeh_rss *rss)
{
	struct nfe_req req = { .rss_hash = { .types = rss->types, .flags = rss->flags } };

	memcpy(req.rss_hash.key, rss->key, sizeof(rss->key));
	return nfeh_call_locked(h, &req, NFE_OP_RSS_HASH, NULL);
}

/* Entries from first on, as many as one request takes. Gives how many. */
static int
send_reta(struct nfeh *h, const struct nfeh_rss *rss, unsigned int first)
{
	unsigned int n = NFE_RSS_RETA_SIZE - first;
	struct nfe_req req = { .rss_reta = { .first = (uint16_t)first } };
	int rc;

	if (n > NFE_RSS_RETA_PER_REQ)
		n = NFE_RSS_RETA_PER_REQ;
	req.rss_reta.n = (uint16_t)n;
	memcpy(req.rss_reta.channel, &rss->reta[first], n * sizeof(rss->reta[0]));
	rc = nfeh_call_locked(h, &req, NFE_OP_RSS_RETA, NULL);
	return rc < 0 ? rc : (int)n;
}

/* From the first entry that differs from what the device has. */
static int
update_reta(struct nfeh *h, const struct nfeh_rss *rss, struct nfeh_rss *known)
{
	for (unsigned int i = 0; i < NFE_RSS_RETA_SIZE; i++) {
		int rc;

		if (rss->reta[i] == known->reta[i])
			continue;
		rc = send_reta(h, rss, i);
		if (rc < 0)
			return rc;
		memcpy(&known->reta[i], &rss->reta[i], (size_t)rc * sizeof(rss->reta[0]));
	}
	return 0;
}

static int
update_rss(struct nfeh *h, const struct nfeh_rss *rss, struct nfeh_rss *known)
{
	int rc = update_reta(h, rss, known);

	if (rc < 0 || (rss->types == known->types && rss->flags == known->flags &&
		       memcmp(rss->key, known->key, sizeof(rss->key)) == 0))
		return rc;
	rc = send_hash(h, rss);
	if (rc < 0)
		return rc;
	known->types = rss->types;
	known->flags = rss->flags;
	memcpy(known->key, rss->key, sizeof(rss->key));
	return 0;
}

static int
rss_op(struct nfeh *h, void *arg)
{
	const struct nfeh_rss *rss = arg;

	return update_rss(h, rss, &h->config.rss);
}

int
nfeh_rss(struct nfeh *h, const struct nfeh_rss *rss)
{
	struct nfeh_rss copy = *rss;

	return nfeh_run(h, rss_op, &copy, false);
}

/* The words from that of first on, as many as one request takes. */
static int
send_vlans(struct nfeh *h, const uint64_t *map, unsigned int first)
{
	struct nfe_req req = { .vlans = { .first = (uint16_t)(first * NFE_VLANS_PER_WORD) } };
	unsigned int n = NFE_VLAN_WORDS - first;

	if (n > NFE_VLAN_WORDS_PER_REQ)
		n = NFE_VLAN_WORDS_PER_REQ;
	memcpy(req.vlans.map, &map[first], n * sizeof(map[0]));
	return nfeh_call_locked(h, &req, NFE_OP_VLANS, NULL);
}

struct vlan_args {
	uint16_t vlan;
	bool on;
};

static int
vlan_op(struct nfeh *h, void *arg)
{
	const struct vlan_args *a = arg;
	unsigned int word = a->vlan / NFE_VLANS_PER_WORD;
	uint64_t bit = UINT64_C(1) << a->vlan % NFE_VLANS_PER_WORD, *known = &h->config.vlans[word];
	uint64_t old = *known;
	int rc;

	*known = a->on ? old | bit : old & ~bit;
	rc = *known != old ? send_vlans(h, h->config.vlans, word) : 0;
	if (rc < 0)
		*known = old;
	return rc;
}

int
nfeh_vlan(struct nfeh *h, uint16_t vlan, bool on)
{
	struct vlan_args a = { .vlan = vlan, .on = on };

	return vlan < NFE_VLANS ? nfeh_run(h, vlan_op, &a, false) : -EINVAL;
}

void
nfeh_rx_replay_locked(struct nfeh *h)
{
	struct nfeh_rss fresh = { 0 };
	int rc = update_rss(h, &h->config.rss, &fresh);

	if (rc < 0)
		nfeh_log(h, 1, "replay: RSS refused: %s", strerror(-rc));
	for (unsigned int i = 0; i < NFE_VLAN_WORDS; i++) {
		if (h->config.vlans[i] == 0)
			continue;
		rc = send_vlans(h, h->config.vlans, i);
		if (rc < 0)
			nfeh_log(h, 1, "replay: VLANs from %u on refused: %s",
				 i * NFE_VLANS_PER_WORD, strerror(-rc));
		i += NFE_VLAN_WORDS_PER_REQ - 1;
	}
}
