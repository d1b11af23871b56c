/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * REGISTER and DEREGISTER (specification 6.1, 7.3): the request's own fields are checked here, the
 * table and its limits are nfed_region.c's. Control thread only.
 */
#include <errno.h>

#include "nfed_internal.h"

int
nfed_op_register(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	const struct nfe_req_register *a = &req->reg;
	uint32_t index = NFE_KEY_INDEX(a->key);

	(void)rsp;
	if (a->key == 0)
		return nfed_refuse(&fn->counters.bad_key, -EINVAL);
	if (a->access == 0 || (a->access & ~(NFE_ACCESS_READ | NFE_ACCESS_WRITE)) != 0 ||
	    a->len == 0 || a->len % NFE_PAGE_SIZE != 0 || a->iova % NFE_PAGE_SIZE != 0)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if (a->len - 1 > UINT64_MAX - a->iova) /* rule 4 */
		return nfed_refuse(&fn->counters.bad_bounds, -EINVAL);
	if (index >= fn->regions.limits.max_regions)
		return nfed_refuse(&fn->counters.limit, -ENOSPC);
	if (fn->regions.tbl[index].len != 0)
		return nfed_refuse(&fn->counters.occupied, -EEXIST);
	return nfed_region_add(fn, a);
}

int
nfed_op_deregister(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	struct nfed_region *r = nfed_region_of_key(&fn->regions, req->reg.key);

	(void)rsp;
	if (r == NULL)
		return nfed_refuse(&fn->counters.bad_key, -ENOENT);
	if (r->users > 0)
		return nfed_refuse(&fn->counters.busy, -EBUSY);
	nfed_region_hide(r);
	fn->conf.owner_ops->quiesce(fn->conf.owner);
	nfed_region_unmap(fn, r);
	return 0;
}
