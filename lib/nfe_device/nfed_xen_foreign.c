/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Memory that a guest does not grant (doc/xen-protocol.md 4.3): a region of its hugepages, mapped by
 * dom0's right. It happens only where the toolstack asked for it, the operator allows it for that
 * VIF, and the domain has such memory: a PV domain has no hugepages.
 *
 * A region names a run of the guest's frames. Xen maps a frame of that domain or refuses, and holds
 * what is mapped, whatever the guest does with it: pages cannot vanish, nor become another domain's.
 * But the guest's kernel does not know that they are in use. So there must be a life page, which it
 * clears when the process ends, and all is let go then.
 *
 * Control thread. A guest cannot have more mapped than it may register: max_bytes of its function.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nfed_xen_internal.h"

struct foreign {
	void *addr;
	uint32_t nr_pages;
};

/* Did the toolstack ask for it? */
static bool
asked_for(struct nfed_xen_vif *v)
{
	uint32_t value;

	return xenio_read_u32(v->xen->conf.x, v->back, NFE_XEN_KEY_FOREIGN, &value) == 0 &&
	       value != 0;
}

void
nfed_xen_foreign_decide(struct nfed_xen_vif *v, char why[NFED_XEN_WHY])
{
	uint64_t pages = v->conf.function.limits.region.max_bytes / NFE_PAGE_SIZE;
	struct xenio_domain info;

	why[0] = '\0';
	v->max_foreign = 0;
	if (!asked_for(v))
		return;
	if (!v->conf.foreign)
		snprintf(why, NFED_XEN_WHY, "foreign mapping is refused: VIF %.40s has no \"foreign "
			 "on\" in the configuration", v->conf.name);
	else if (v->xen->conf.x->ops->domain_info(v->xen->conf.x, v->domid, &info) < 0 || !info.hvm)
		snprintf(why, NFED_XEN_WHY, "foreign mapping is refused: domain %u is neither PVH "
			 "nor HVM", v->domid);
	else
		v->max_foreign = pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

/* Of one guest frame after the other, in 64 bits (rule 4). */
static int
map_frames(struct nfed_xen_vif *v, uint64_t first, uint32_t nr_pages, void **addr)
{
	uint64_t *gfns = malloc(nr_pages * sizeof(*gfns));
	int rc;

	if (gfns == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_pages; i++)
		gfns[i] = first + i;
	rc = v->xen->conf.x->ops->foreign_map(v->xen->conf.x, v->domid, gfns, nr_pages, addr);
	free(gfns);
	return rc;
}

static bool
allowed(struct nfed_xen_vif *v, uint64_t len)
{
	if (v->max_foreign > 0 && v->arena.life != NULL &&
	    len / NFE_PAGE_SIZE <= v->max_foreign - v->foreign_pages)
		return true;
	v->counters.foreign_denied++;
	return false;
}

int
nfed_xen_foreign_map(struct nfed_xen_vif *v, uint64_t iova, uint64_t len, uint8_t **base,
		     void **mapping)
{
	uint64_t address = iova - NFE_XEN_FOREIGN_IOVA, end = 1ull << NFE_XEN_FOREIGN_BITS;
	struct foreign *f;
	int rc;

	if (!allowed(v, len))
		return -EACCES;
	if (len > end - address) {
		v->counters.foreign_bad++;
		return -EFAULT;
	}
	f = malloc(sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->nr_pages = (uint32_t)(len / NFE_PAGE_SIZE);
	rc = map_frames(v, address / NFE_PAGE_SIZE, f->nr_pages, &f->addr);
	if (rc < 0) {
		free(f);
		v->counters.foreign_bad++;
		return rc == -ENOMEM ? rc : -EFAULT;
	}
	v->foreign_pages += f->nr_pages;
	*base = f->addr;
	*mapping = f;
	return 0;
}

void
nfed_xen_foreign_unmap(struct nfed_xen_vif *v, void *mapping)
{
	struct foreign *f = mapping;

	v->xen->conf.x->ops->foreign_unmap(v->xen->conf.x, f->addr, f->nr_pages);
	v->foreign_pages -= f->nr_pages;
	free(f);
}
