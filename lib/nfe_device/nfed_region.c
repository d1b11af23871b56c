/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The region table's writing side (specification 6): registration with its limits, and removal in
 * three steps: hide the key, wait for the lcores (the caller does, once for many), unmap.
 *
 * Control thread only; lcores read through nfed_region_at(). A slot is taken when its len is not
 * 0, visible when its key is not 0. The table belongs to the function.
 */
#include <errno.h>
#include <stdlib.h>

#include "nfed_internal.h"

int
nfed_regions_init(struct nfed_region_table *t, const struct nfed_region_limits *limits)
{
	t->tbl = calloc(limits->max_regions, sizeof(*t->tbl));
	if (t->tbl == NULL)
		return -ENOMEM;
	t->limits = *limits;
	return 0;
}

void
nfed_regions_fini(struct nfed_region_table *t)
{
	free(t->tbl);
	t->tbl = NULL;
}

struct nfed_region *
nfed_region_of_key(struct nfed_region_table *t, uint32_t key)
{
	uint32_t index = NFE_KEY_INDEX(key);

	if (key == 0 || index >= t->limits.max_regions || t->tbl[index].key != key)
		return NULL;
	return &t->tbl[index];
}

int
nfed_map_refused(struct nfed_function *fn, int error)
{
	switch (error) {
	case -ENODATA:
		fn->counters.hole++;
		break;
	case -ENOSPC:
	case -ENOMEM:
	case -EMFILE:
		fn->counters.limit++;
		break;
	case -EACCES:
	case -EPERM:
		fn->counters.denied++;
		break;
	default:
		fn->counters.bad_bounds++;
		break;
	}
	return error;
}

/* The caller checked the request's own fields; here the limits of the table apply. */
int
nfed_region_add(struct nfed_function *fn, const struct nfe_req_register *req)
{
	struct nfed_region_table *t = &fn->regions;
	struct nfed_region *r = &t->tbl[NFE_KEY_INDEX(req->key)];
	unsigned int nb_mappings;
	int rc;

	if (req->len > t->limits.max_bytes - t->bytes || t->mappings >= t->limits.max_mappings)
		return nfed_refuse(&fn->counters.limit, -ENOSPC);
	nb_mappings = t->limits.max_mappings - t->mappings;
	__atomic_store_n(&r->poisoned, 0, __ATOMIC_RELAXED);
	rc = fn->conf.transport->map(fn->conf.transport_ctx, req->iova, req->len, req->access,
				     &r->poisoned, &nb_mappings, &r->base, &r->mapping);
	if (rc < 0)
		return nfed_map_refused(fn, rc);
	r->access = req->access;
	r->len = req->len;
	r->iova = req->iova;
	r->nb_mappings = nb_mappings;
	r->users = 0;
	t->nb_regions++;
	t->bytes += r->len;
	t->mappings += nb_mappings;
	/* release, with nfed_region_at(): who sees the key sees the rest */
	__atomic_store_n(&r->key, req->key, __ATOMIC_RELEASE);
	return 0;
}

void
nfed_region_hide(struct nfed_region *r)
{
	__atomic_store_n(&r->key, 0, __ATOMIC_RELEASE);
}

void
nfed_region_unmap(struct nfed_function *fn, struct nfed_region *r)
{
	struct nfed_region_table *t = &fn->regions;

	fn->conf.transport->unmap(fn->conf.transport_ctx, r->mapping);
	t->nb_regions--;
	t->bytes -= r->len;
	t->mappings -= r->nb_mappings;
	memset(r, 0, sizeof(*r));
}

void
nfed_regions_remove_all(struct nfed_function *fn)
{
	struct nfed_region_table *t = &fn->regions;

	if (t->nb_regions == 0)
		return;
	for (uint32_t i = 0; i < t->limits.max_regions; i++)
		nfed_region_hide(&t->tbl[i]);
	fn->conf.owner_ops->quiesce(fn->conf.owner);
	for (uint32_t i = 0; i < t->limits.max_regions; i++)
		if (t->tbl[i].len != 0)
			nfed_region_unmap(fn, &t->tbl[i]);
}
