/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The arena (doc/xen-protocol.md 4): all memory that the device may touch. Put together from
 * pieces, what clients allocate before the first connect and then the doorbell pages; complete
 * when its index is written, and granted until destroy(), over every restart of the back end. An
 * IOVA is an offset in it. Pieces lie anywhere in our address space.
 *
 * A kernel lets user space grant only pages that it made for that (gntalloc), zeroed, and nothing
 * else lies in them; so memory comes from here or cannot be shared. Called with nfeh's lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfe_bus_xen_priv.h"

#define GNTALLOC_LIMIT "/sys/module/xen_gntalloc/parameters/limit"

/* Of all processes of this domain together, in pages; 0: not known. */
static unsigned int
gntalloc_limit(void)
{
	FILE *file = fopen(GNTALLOC_LIMIT, "re");
	unsigned int limit = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%9u", &limit) != 1)
		limit = 0;
	fclose(file);
	return limit;
}

static int
grant(struct xen_bus *xb, uint32_t nr_pages, uint32_t *refs, void **addr)
{
	int rc = xb->x->ops->share(xb->x, xb->backend_id, nr_pages, refs, addr);

	if (rc == 0)
		return 0;
	return xb_fail(xb, rc, "granting %u pages more than %u: %s; this domain's limit is %u in "
		       GNTALLOC_LIMIT, nr_pages, xb->nr_pages, strerror(-rc), gntalloc_limit());
}

/* Nothing of it is seen by anybody before the index is. */
static int
add_piece(struct xen_bus *xb, uint64_t nr_pages, struct xb_piece **out)
{
	struct xb_piece *p = &xb->piece[xb->nb_pieces];
	uint32_t *refs;
	void *addr;
	int rc;

	if (xb->index != NULL || xb->nb_pieces == XB_PIECES ||
	    nr_pages > NFE_XEN_MAX_PAGES - xb->nr_pages)
		return xb_fail(xb, -ENOSPC, "%llu pages more than the %u granted: limit %u",
			       (unsigned long long)nr_pages, xb->nr_pages, NFE_XEN_MAX_PAGES);
	refs = realloc(xb->refs, (xb->nr_pages + nr_pages) * sizeof(*refs));
	if (refs == NULL)
		return -ENOMEM;
	xb->refs = refs;
	rc = grant(xb, (uint32_t)nr_pages, refs + xb->nr_pages, &addr);
	if (rc < 0)
		return rc;
	*p = (struct xb_piece){
		.addr = addr, .first_page = xb->nr_pages, .nr_pages = (uint32_t)nr_pages,
	};
	xb->nr_pages += (uint32_t)nr_pages;
	xb->nb_pieces++;
	*out = p;
	return 0;
}

static void
write_index(struct xen_bus *xb, const uint32_t *index_refs)
{
	for (uint32_t i = 0; i < xb->nb_index; i++) {
		struct nfe_xen_index *ix = &xb->index[i];
		uint32_t first = i * NFE_XEN_INDEX_REFS, left = xb->nr_pages - first;

		ix->magic = NFE_XEN_INDEX_MAGIC;
		ix->version = NFE_XEN_VERSION;
		ix->count = (uint16_t)(left < NFE_XEN_INDEX_REFS ? left : NFE_XEN_INDEX_REFS);
		ix->first = first;
		ix->next = i + 1 < xb->nb_index ? index_refs[i + 1] : 0;
		memcpy(ix->ref, xb->refs + first, ix->count * sizeof(*xb->refs));
	}
	xb->index_ref = index_refs[0];
}

int
xb_arena_complete(struct xen_bus *xb, unsigned int nb_doorbells)
{
	uint32_t index_refs[XB_MAX_INDEX];
	struct xb_piece *doorbells;
	void *index;
	int rc = 0;

	if (xb->bus.db == NULL) {
		rc = add_piece(xb, nb_doorbells, &doorbells);
		if (rc < 0)
			return rc;
		xb->doorbell_page = doorbells->first_page;
		xb->bus.db = doorbells->addr;
		xb->bus.db_stride = NFE_PAGE_SIZE;
		xb->bus.nb_db = nb_doorbells;
	}
	xb->nb_index = nfe_xen_index_pages(xb->nr_pages);
	rc = grant(xb, xb->nb_index, index_refs, &index);
	if (rc < 0)
		return rc;
	xb->index = index;
	write_index(xb, index_refs);
	return 0;
}

/* The index is written anew by xb_arena_complete(). */
int
xb_arena_renew(struct xen_bus *xb)
{
	if (xb->index != NULL)
		xb->x->ops->unshare(xb->x, xb->index, xb->nb_index);
	xb->index = NULL;
	for (unsigned int i = 0; i < xb->nb_pieces; i++) {
		const struct xb_piece *p = &xb->piece[i];
		int rc = xb->x->ops->reshare(xb->x, xb->backend_id, p->addr, p->nr_pages,
					     xb->refs + p->first_page);

		if (rc < 0)
			return xb_fail(xb, rc, "granting %u pages anew: %s", p->nr_pages,
				       strerror(-rc));
	}
	xb->stale = false;
	return 0;
}

void
xb_arena_destroy(struct xen_bus *xb)
{
	if (xb->index != NULL)
		xb->x->ops->unshare(xb->x, xb->index, xb->nb_index);
	for (unsigned int i = 0; i < xb->nb_pieces; i++)
		xb->x->ops->unshare(xb->x, xb->piece[i].addr, xb->piece[i].nr_pages);
	free(xb->refs);
}

int
xb_mem_alloc(struct nfe_bus *bus, size_t len, struct nfe_bus_mem *mem)
{
	struct xen_bus *xb = xb_of(bus);
	uint64_t pages = ((uint64_t)len + NFE_PAGE_SIZE - 1) / NFE_PAGE_SIZE;
	struct xb_piece *p;
	int rc = len == 0 ? -EINVAL : xb_open(xb);

	if (rc == 0)
		rc = add_piece(xb, pages, &p);
	if (rc < 0)
		return rc;
	*mem = (struct nfe_bus_mem){
		.addr = p->addr,
		.len = (size_t)(pages * NFE_PAGE_SIZE),
		.iova = (uint64_t)p->first_page * NFE_PAGE_SIZE,
		.fd = -1,
	};
	return 0;
}

/* It stays granted, and goes with the bus. */
void
xb_mem_free(struct nfe_bus *bus, struct nfe_bus_mem *mem)
{
	(void)bus;
	memset(mem->addr, 0, mem->len);
}

/*
 * Memory that is not granted goes to others when we end, so the back end is told at once, by the
 * port. Granted pages wait for it: the byte is enough, which it looks at every tick. A port would
 * do harm there: after a restore Linux (6.1) closes whatever has its number by then (evtchn_put).
 */
int
xb_life_open(struct xen_bus *xb)
{
	bool is_needed = xb->max_foreign > 0;
	void *page;
	int rc;

	xb->life_port = is_needed ? xb->port : XENIO_NO_PORT;
	rc = xb->x->ops->share_notify(xb->x, xb->backend_id, offsetof(struct nfe_xen_life, alive),
				      xb->evt, xb->life_port, &xb->life_ref, &page);
	if (rc < 0) {
		xb->life_ref = 0;
		return is_needed ? xb_fail(xb, rc, "granting the life page: %s", strerror(-rc)) : 0;
	}
	xb->life = page;
	nfe_xen_life_set(xb->life, 1);
	return 0;
}

/* The back end lets go, if it has not yet. */
void
xb_life_close(struct xen_bus *xb)
{
	if (xb->life != NULL)
		xb->x->ops->unshare(xb->x, xb->life, 1);
	xb->life = NULL;
	xb->life_ref = 0;
}

/* Anything that this domain has, if the back end is let into it. */
static int
map_foreign(struct xen_bus *xb, uint64_t address, size_t len)
{
	uint64_t end = 1ull << NFE_XEN_FOREIGN_BITS;

	if (xb->max_foreign == 0)
		return xb_fail(xb, -EACCES, "%s lets nothing be used that is not granted: foreign "
			       "mapping is not allowed there", xb->back);
	return len <= end - address ? 0 : -EFAULT;
}

/* Granted already. -EFAULT: memory from elsewhere, which cannot be. */
int
xb_mem_map(struct nfe_bus *bus, uint64_t iova, void *addr, size_t len, int fd, uint64_t fd_offset)
{
	struct xen_bus *xb = xb_of(bus);

	(void)fd, (void)fd_offset;
	if (nfe_xen_is_foreign(iova))
		return map_foreign(xb, iova - NFE_XEN_FOREIGN_IOVA, len);
	for (unsigned int i = 0; i < xb->nb_pieces; i++) {
		const struct xb_piece *p = &xb->piece[i];
		uint64_t start = (uint64_t)p->first_page * NFE_PAGE_SIZE;
		uint64_t size = (uint64_t)p->nr_pages * NFE_PAGE_SIZE;

		if (iova >= start && iova - start <= size && len <= size - (iova - start) &&
		    (uint8_t *)addr == p->addr + (iova - start) && p->addr != bus->db)
			return 0;
	}
	return -EFAULT;
}

int
xb_mem_unmap(struct nfe_bus *bus, uint64_t iova, size_t len)
{
	(void)bus, (void)iova, (void)len;
	return 0;
}
