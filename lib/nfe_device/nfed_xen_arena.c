/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Memory that a guest granted (doc/xen-protocol.md 4): the chain of index pages is copied once and
 * checked, then the arena is mapped side by side, so that a region is base + offset. Granted pages
 * stay while we map them, whatever the guest does, even when its domain is destroyed: so there is
 * no SIGBUS to guard against.
 *
 * Control thread. The VIF owns the mappings from attach to detach; the function only borrows.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfed_xen_internal.h"

/* Counted, with its reason. */
static int __attribute__((format(printf, 4, 5)))
refuse(uint64_t *counter, int rc, char *why, const char *format, ...)
{
	va_list ap;

	(*counter)++;
	va_start(ap, format);
	vsnprintf(why, NFED_XEN_WHY, format, ap);
	va_end(ap);
	return rc;
}

/* The private copy of one index page; done: refs of the arena listed before it. */
static int
check_index(struct nfed_xen_vif *v, const struct nfe_xen_index *ix, uint32_t done,
	    uint32_t nr_pages, char *why)
{
	static const uint8_t zero[sizeof(ix->zero)];
	uint32_t left = nr_pages - done;
	uint32_t expected = left < NFE_XEN_INDEX_REFS ? left : NFE_XEN_INDEX_REFS;
	uint64_t *counter = &v->counters.bad_index;

	if (ix->magic != NFE_XEN_INDEX_MAGIC)
		return refuse(counter, -EPROTO, why, "index page of page %u: magic 0x%08x", done,
			      ix->magic);
	if (ix->version != NFE_XEN_VERSION || memcmp(ix->zero, zero, sizeof(zero)) != 0)
		return refuse(counter, -EPROTO, why, "index page of page %u: version %u", done,
			      ix->version);
	if (ix->first != done || ix->count != expected)
		return refuse(counter, -EPROTO, why, "index page: %u refs from page %u, expected "
			      "%u from %u", ix->count, ix->first, expected, done);
	if ((ix->next != 0) != (left > expected))
		return refuse(counter, -EPROTO, why, "index page of page %u: next is %u, %u left",
			      done, ix->next, left - expected);
	return 0;
}

static int
check_ref(struct nfed_xen_vif *v, uint32_t ref, char *why)
{
	if (ref >= NFE_XEN_REF_MIN)
		return 0;
	return refuse(&v->counters.bad_ref, -EPROTO, why, "grant %u, at least %u", ref,
		      NFE_XEN_REF_MIN);
}

static int
compare_refs(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Two pages of the arena that are one would let a region reach where it must not. */
static int
check_duplicates(struct nfed_xen_vif *v, const uint32_t *refs, uint32_t nr_pages, char *why)
{
	uint32_t *sorted = malloc(nr_pages * sizeof(*sorted));
	int rc = 0;

	if (sorted == NULL)
		return -ENOMEM;
	memcpy(sorted, refs, nr_pages * sizeof(*sorted));
	qsort(sorted, nr_pages, sizeof(*sorted), compare_refs);
	for (uint32_t i = 1; i < nr_pages && rc == 0; i++)
		if (sorted[i] == sorted[i - 1])
			rc = refuse(&v->counters.duplicate_ref, -EPROTO, why,
				    "grant %u listed twice", sorted[i]);
	free(sorted);
	return rc;
}

/* The private copy of the page that ref grants. */
static int
copy_index(struct nfed_xen_vif *v, uint32_t ref, struct nfe_xen_index *copy, char *why)
{
	struct xenio *x = v->xen->conf.x;
	void *page;
	int rc = check_ref(v, ref, why);

	if (rc < 0)
		return rc;
	rc = x->ops->map(x, v->domid, &ref, 1, &page);
	if (rc < 0)
		return refuse(&v->counters.unmappable, rc, why, "index page, grant %u: %s", ref,
			      strerror(-rc));
	nfe_xen_index_copy(copy, page);
	x->ops->unmap(x, page, 1);
	return 0;
}

/* refs[nr_pages] from the chain. It ends: each page has its place, all but the last are full. */
static int
read_refs(struct nfed_xen_vif *v, uint32_t index_ref, uint32_t *refs, uint32_t nr_pages, char *why)
{
	struct nfe_xen_index *copy = aligned_alloc(NFE_PAGE_SIZE, sizeof(*copy));
	uint32_t done = 0, ref = index_ref;
	int rc = copy == NULL ? -ENOMEM : 0;

	while (rc == 0 && done < nr_pages) {
		rc = copy_index(v, ref, copy, why);
		if (rc == 0)
			rc = check_index(v, copy, done, nr_pages, why);
		for (uint32_t i = 0; rc == 0 && i < copy->count; i++) {
			refs[done + i] = copy->ref[i];
			rc = check_ref(v, copy->ref[i], why);
		}
		if (rc == 0) {
			done += copy->count;
			ref = copy->next;
		}
	}
	free(copy);
	return rc;
}

static int
map_head(struct nfed_xen_vif *v, uint32_t index_ref, char *why)
{
	struct xenio *x = v->xen->conf.x;
	void *page;
	int rc = x->ops->map_notify(x, v->domid, index_ref, offsetof(struct nfe_xen_index, alive),
				    v->evt, v->port, &page);

	if (rc < 0)
		return refuse(&v->counters.unmappable, rc, why, "index page, grant %u: %s",
			      index_ref, strerror(-rc));
	v->arena.head = page;
	return 0;
}

static int
map_pages(struct nfed_xen_vif *v, const uint32_t *refs, uint32_t nr_pages, char *why)
{
	struct xenio *x = v->xen->conf.x;
	void *base;
	int rc = x->ops->map(x, v->domid, refs, nr_pages, &base);

	if (rc < 0)
		return refuse(&v->counters.unmappable, rc, why, "%u granted pages: %s", nr_pages,
			      strerror(-rc));
	v->arena.base = base;
	v->arena.nr_pages = nr_pages;
	v->arena.nb_doorbells = v->conf.function.limits.max_channels + 1u;
	return 0;
}

int
nfed_xen_arena_map(struct nfed_xen_vif *v, uint32_t index_ref, uint32_t nr_pages,
		   uint32_t doorbell_page, char *why)
{
	uint32_t *refs = malloc(nr_pages * sizeof(*refs));
	int rc = -ENOMEM;

	if (refs == NULL)
		return rc;
	rc = read_refs(v, index_ref, refs, nr_pages, why);
	if (rc == 0)
		rc = check_duplicates(v, refs, nr_pages, why);
	if (rc == 0)
		rc = map_head(v, index_ref, why);
	if (rc == 0)
		rc = map_pages(v, refs, nr_pages, why);
	v->arena.doorbell_page = doorbell_page;
	if (rc < 0)
		nfed_xen_arena_unmap(v);
	free(refs);
	return rc;
}

/* Tells of the end of the front end's process. */
int
nfed_xen_life_map(struct nfed_xen_vif *v, uint32_t life_ref, char *why)
{
	struct xenio *x = v->xen->conf.x;
	void *page;
	int rc = life_ref == 0 ? 0 : check_ref(v, life_ref, why);

	if (rc < 0 || life_ref == 0)
		return rc;
	rc = x->ops->map(x, v->domid, &life_ref, 1, &page);
	if (rc < 0)
		return refuse(&v->counters.unmappable, rc, why, "life page, grant %u: %s", life_ref,
			      strerror(-rc));
	v->arena.life = page;
	return 0;
}

bool
nfed_xen_died(const struct nfed_xen_vif *v)
{
	return v->state == NFE_XEN_CONNECTED && v->arena.life != NULL &&
	       nfe_xen_life(v->arena.life) == 0;
}

/* The head last: the guest hears that all is over when all is over. */
void
nfed_xen_arena_unmap(struct nfed_xen_vif *v)
{
	struct xenio *x = v->xen->conf.x;

	if (v->arena.base != NULL)
		x->ops->unmap(x, v->arena.base, v->arena.nr_pages);
	if (v->arena.life != NULL)
		x->ops->unmap(x, v->arena.life, 1);
	if (v->arena.head != NULL)
		x->ops->unmap(x, v->arena.head, 1);
	v->arena = (struct nfed_xen_arena){ .base = NULL };
}

void
nfed_xen_arena_alive(struct nfed_xen_vif *v)
{
	nfe_xen_alive_set(v->arena.head, 1);
}

/* What the function maps is mapped already: only the range is checked, in 64 bits (rule 4). */
int
nfed_xen_transport_map(void *ctx, uint64_t iova, uint64_t len, uint32_t access, uint32_t *poisoned,
		       unsigned int *nb_mappings, uint8_t **base, void **mapping)
{
	struct nfed_xen_vif *v = ctx;
	uint64_t arena = (uint64_t)v->arena.nr_pages * NFE_PAGE_SIZE;
	uint64_t db = (uint64_t)v->arena.doorbell_page * NFE_PAGE_SIZE;
	uint64_t db_end = db + (uint64_t)v->arena.nb_doorbells * NFE_PAGE_SIZE;

	(void)access;   /* the key checks it: grants are for both */
	(void)poisoned; /* pages that we map do not vanish, granted or not */
	if (*nb_mappings < 1)
		return -ENOSPC;
	*nb_mappings = 1;
	if (nfe_xen_is_foreign(iova))
		return nfed_xen_foreign_map(v, iova, len, base, mapping);
	if (iova > arena || len > arena - iova || (iova < db_end && iova + len > db)) {
		v->counters.bad_bounds++;
		return -EFAULT;
	}
	*base = v->arena.base + iova;
	*mapping = v;
	v->arena.live++;
	return 0;
}

void
nfed_xen_transport_unmap(void *ctx, void *mapping)
{
	struct nfed_xen_vif *v = ctx;

	if (mapping != v)
		nfed_xen_foreign_unmap(v, mapping);
	else
		v->arena.live--;
}
