/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Requests about which frames come to the host and on which channel (specification 7.11, 7.12):
 * RSS_HASH, RSS_RETA, VLANS. The form is checked here, all of it; the owner carries it out. Control
 * thread only.
 */
#include <errno.h>

#include "nfed_internal.h"

static int
check_feature(struct nfed_function *fn, uint64_t feature)
{
	if ((fn->accepted & feature) != 0)
		return 0;
	return nfed_refuse(&fn->counters.bad_value, -EOPNOTSUPP);
}

int
nfed_op_rss_hash(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	const struct nfe_req_rss_hash *a = &req->rss_hash;
	int rc = check_feature(fn, NFE_F_RSS);

	(void)rsp;
	if (rc < 0)
		return rc;
	if ((a->types & ~NFE_RSS_TYPES) != 0 || (a->flags & ~NFE_RSS_F_TELL) != 0)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	return nfed_asked(fn, fn->conf.owner_ops->rss_hash(fn->conf.owner, a));
}

static bool
reta_valid(const struct nfed_function *fn, const struct nfe_req_rss_reta *a)
{
	if (a->n == 0 || a->n > NFE_RSS_RETA_PER_REQ || a->first >= NFE_RSS_RETA_SIZE ||
	    a->n > NFE_RSS_RETA_SIZE - a->first)
		return false;
	for (unsigned int i = 0; i < NFE_RSS_RETA_PER_REQ; i++)
		if (a->channel[i] > (i < a->n ? fn->conf.limits.max_channels : 0))
			return false;
	return true;
}

int
nfed_op_rss_reta(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	int rc = check_feature(fn, NFE_F_RSS);

	(void)rsp;
	if (rc < 0)
		return rc;
	if (!reta_valid(fn, &req->rss_reta))
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	return nfed_asked(fn, fn->conf.owner_ops->rss_reta(fn->conf.owner, &req->rss_reta));
}

int
nfed_op_vlans(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	const struct nfe_req_vlans *a = &req->vlans;
	unsigned int first = a->first / NFE_VLANS_PER_WORD, n = NFE_VLAN_WORDS_PER_REQ;
	int rc = check_feature(fn, NFE_F_VLAN_FILTER);

	(void)rsp;
	if (rc < 0)
		return rc;
	if ((a->zero[0] | a->zero[1] | a->zero[2]) != 0)
		return nfed_refuse(&fn->counters.bad_reserved, -EINVAL);
	if (a->first >= NFE_VLANS || a->first % NFE_VLANS_PER_WORD != 0)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	for (; first + n > NFE_VLAN_WORDS; n--)
		if (a->map[n - 1] != 0)
			return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	return nfed_asked(fn, fn->conf.owner_ops->vlans(fn->conf.owner, first, a->map, n));
}
