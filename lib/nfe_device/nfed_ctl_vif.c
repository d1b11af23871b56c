/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Requests about the VIF behind the function (specification 7.6 to 7.9): MAC, RX_MODE, MTU, STATS.
 * The form is checked here, the decision is the owner's. Control thread only.
 */
#include <errno.h>

#include "nfed_internal.h"

int
nfed_op_mac(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	const struct nfe_req_mac *a = &req->mac;
	bool multicast = (a->mac[0] & 1) != 0;

	(void)rsp;
	if (a->action < NFE_MAC_ADD || a->action > NFE_MAC_SET ||
	    nfed_all_zero(a->mac, sizeof(a->mac)) || (a->action == NFE_MAC_SET && multicast))
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if (fn->conf.owner_ops->mac == NULL)
		return nfed_asked(fn, -EOPNOTSUPP);
	return nfed_asked(fn, fn->conf.owner_ops->mac(fn->conf.owner, a->mac,
						 (enum nfe_mac_action)a->action));
}

int
nfed_op_rx_mode(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	uint32_t modes = NFE_RX_PROMISC | NFE_RX_ALLMULTI;

	(void)rsp;
	if ((fn->accepted & NFE_F_VLAN_FILTER) != 0)
		modes |= NFE_RX_VLAN_FILTER;
	if ((req->rx_mode.mode & ~modes) != 0)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if (fn->conf.owner_ops->rx_mode == NULL)
		return nfed_asked(fn, -EOPNOTSUPP);
	return nfed_asked(fn, fn->conf.owner_ops->rx_mode(fn->conf.owner, req->rx_mode.mode));
}

int
nfed_op_mtu(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	uint32_t mtu = req->mtu.mtu;

	(void)rsp;
	if (mtu < 68 || mtu > fn->conf.limits.max_mtu)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if (fn->conf.owner_ops->mtu == NULL)
		return nfed_asked(fn, -EOPNOTSUPP);
	return nfed_asked(fn, fn->conf.owner_ops->mtu(fn->conf.owner, mtu));
}

/*
 * Several responses carry one set of counters. The set is taken by the request for the first of
 * them, so that what a host puts together adds up (9.2), however much traffic runs meanwhile.
 */
int
nfed_op_stats(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	uint32_t first = req->stats.first;
	uint32_t n;
	int rc;

	if (first >= NFE_STAT_MAX)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if (first == 0 || !fn->stats_valid) {
		if (fn->conf.owner_ops->stats == NULL)
			return nfed_asked(fn, -EOPNOTSUPP);
		memset(fn->stats, 0, sizeof(fn->stats));
		rc = fn->conf.owner_ops->stats(fn->conf.owner, fn->stats);
		fn->stats_valid = rc == 0;
		if (rc < 0)
			return nfed_asked(fn, rc);
	}
	n = NFE_STAT_MAX - first < NFE_STATS_PER_RSP ? NFE_STAT_MAX - first : NFE_STATS_PER_RSP;
	rsp->stats.first = (uint16_t)first;
	rsp->stats.n = (uint16_t)n;
	rsp->stats.total = NFE_STAT_MAX;
	memcpy(rsp->stats.value, &fn->stats[first], n * sizeof(rsp->stats.value[0]));
	return 0;
}
