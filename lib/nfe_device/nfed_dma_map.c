/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Map a range of guest memory side by side into our address space: reserve, then MAP_FIXED the
 * pieces, so that translation is one add. A piece is what one mmap() can do: neighbouring maps of
 * one file at consecutive offsets become one. Page tables are filled at once, within the guest's
 * allowance: the time goes to the control thread (65 us per MiB of 4 KiB pages), where else each
 * page's first touch would stop a data lcore with all neighbours (0.9 us each; medians at 2.6 GHz).
 *
 *      iova ───────────────────────────────► iova + len
 *      |lead| piece 0 (file A)  | piece 1 (file B)  |tail|
 *      ^ start, aligned to the largest block         ^ a hugepage is mapped whole
 *
 * Lead and tail belong to no region: nfed_region_at() cannot reach them. Control thread only. A
 * mapping is owned by the region or boot block it was made for, until nfed_dma_unmap().
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nfe_ctrl.h>
#include <nfe_regs.h>

#include "nfed_clock.h"
#include "nfed_dma_internal.h"
#include "nfed_seek.h"

struct piece {
	const struct nfed_dma_file *file;
	uint64_t offset; /* in the file */
	uint64_t delta;  /* from the start of the range */
	uint64_t len;
};

/* Page tables are filled for so many bytes at a time: a hole that a guest makes after we have looked is
 * one in these. */
#define AHEAD_CHUNK (UINT64_C(16) << 20)

/* Stretches of sparse files cost a search each, and the kernel's goes on to the next hole. */
#define SEEKS_MAX 8u

/* The stretch without a hole that the last search found: its neighbours need no other. */
struct dense {
	const struct nfed_dma_file *file;
	uint64_t from, to; /* in the file */
	unsigned int seeks;
	uint64_t end_ms; /* of all searches together; set by the first */
};

struct layout {
	uint64_t len;         /* of the range */
	uint64_t block;       /* largest of all pieces */
	uint64_t congruence;  /* (address of the range) % block */
	uint64_t lead, tail;  /* bytes before and after the range that are mapped too */
	unsigned int nb_pieces;
};

struct mapping {
	void *start; /* of the reservation */
	uint64_t len;
	int guard_slot;
};

/* The piece that starts delta bytes into [iova, iova + len). */
static int
piece_at(const struct nfed_dma *dma, uint64_t iova, uint64_t len, uint64_t delta, uint32_t access,
	 struct piece *p)
{
	uint64_t at = iova + delta, left = len - delta;
	uint32_t i = nfed_dma_find(dma, at);
	int32_t file = -1;

	*p = (struct piece){ .delta = delta };
	for (; i < dma->nb_maps && p->len < left; i++) {
		const struct nfed_dma_entry *e = &dma->maps[i];
		uint64_t skip = at + p->len - e->iova, here;

		if (e->iova > at + p->len)
			break;
		if (e->file < 0)
			return -EFAULT;
		if ((e->prot & access) != access)
			return -EACCES;
		if (p->len == 0) {
			file = e->file;
			p->offset = e->offset + skip;
		} else if (e->file != file || e->offset != p->offset + p->len) {
			break; /* the next piece */
		}
		here = e->size - skip;
		p->len += here < left - p->len ? here : left - p->len;
	}
	if (p->len == 0)
		return -EFAULT;
	p->file = &dma->files[file];
	return 0;
}

/*
 * A file may have shrunk since it was sent. hugetlbfs knows no holes to seek. As many blocks as
 * bytes: no holes, known in one call. The blocks may lie beyond the end, if the guest cheats: then
 * a hole passes, as one does that is punched later; has_pages() sees it.
 */
static int
check_backing(const struct nfed_dma *dma, const struct piece *p, struct dense *d)
{
	uint64_t end = p->offset + p->len, now = nfed_now_ms();
	bool full;
	off_t hole;

	if (!nfed_dma_in_file(p->file, p->offset, p->len, &full))
		return -EFAULT;
	if (p->file->hugetlb || full)
		return 0;
	if (d->file == p->file && p->offset >= d->from && end <= d->to)
		return 0;
	if (d->seeks++ == SEEKS_MAX)
		return -ENOSPC;
	if (d->seeks == 1)
		d->end_ms = now + NFED_SEEK_MS;
	if (now >= d->end_ms)
		return -EBUSY;
	hole = nfed_seeker_hole(dma->seeker, p->file->fd, (off_t)p->offset,
				(unsigned int)(d->end_ms - now));
	if (hole < 0)
		return (int)hole;
	d->file = p->file;
	d->from = p->offset;
	d->to = (uint64_t)hole;
	return end <= d->to ? 0 : -ENODATA;
}

/* Fit one more piece into the layout: inner borders lie on block borders. */
static int
layout_add(struct layout *l, const struct piece *p)
{
	uint64_t block = p->file->block;
	bool last = p->delta + p->len == l->len;
	uint64_t over = (p->offset + p->len) % block;

	if ((p->delta > 0 && p->offset % block != 0) || (!last && over != 0))
		return -EINVAL;
	if (block > l->block) {
		l->block = block;
		l->congruence = (p->offset - p->delta) % block;
	}
	if (p->delta == 0)
		l->lead = p->offset % block;
	if (last)
		l->tail = over == 0 ? 0 : block - over;
	l->nb_pieces++;
	return 0;
}

static int
by_place(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* In the order of the files: hugepages of a VM behind a vIOMMU often lie there from high to low, and
 * are one stretch without a hole all the same. */
static int
check_all_backing(const struct nfed_dma *dma, uint64_t iova, uint64_t len, uint32_t access,
		  unsigned int nb_pieces)
{
	struct piece *pieces = calloc(nb_pieces, sizeof(*pieces));
	struct dense dense = { .file = NULL };
	uint64_t delta = 0;
	int rc = pieces == NULL ? -ENOMEM : 0;

	for (unsigned int i = 0; i < nb_pieces && rc == 0; i++) {
		rc = piece_at(dma, iova, len, delta, access, &pieces[i]);
		delta += pieces[i].len;
	}
	if (rc == 0)
		qsort(pieces, nb_pieces, sizeof(*pieces), by_place);
	for (unsigned int i = 0; i < nb_pieces && rc == 0; i++)
		rc = check_backing(dma, &pieces[i], &dense);
	free(pieces);
	return rc;
}

/* Ends at the first piece too many: a guest may have made a range of tens of thousands. */
static int
plan(const struct nfed_dma *dma, uint64_t iova, uint64_t len, uint32_t access,
     unsigned int max_pieces, struct layout *l)
{
	struct piece p;
	int rc;

	*l = (struct layout){ .len = len };
	for (uint64_t delta = 0; delta < len; delta += p.len) {
		if (l->nb_pieces == max_pieces)
			return -ENOSPC;
		rc = piece_at(dma, iova, len, delta, access, &p);
		if (rc == 0)
			rc = layout_add(l, &p);
		if (rc < 0)
			return rc;
	}
	return check_all_backing(dma, iova, len, access, l->nb_pieces);
}

/* Reserve address space such that the range starts at congruence modulo block. */
static int
reserve(const struct layout *l, uint8_t **start, uint64_t *reserved)
{
	uint64_t want = l->lead + l->len + l->tail, total, skip;
	uint8_t *raw;

	if (__builtin_add_overflow(want, l->block, &total))
		return -ENOMEM;
	raw = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		return -errno;
	skip = (l->congruence - l->lead - (uint64_t)(uintptr_t)raw) % l->block;
	if (skip > 0)
		munmap(raw, skip);
	if (total - skip > want)
		munmap(raw + skip + want, total - skip - want);
	*start = raw + skip;
	*reserved = want;
	return 0;
}

/* Pays for len bytes out of the guest's allowance: who registers the same memory again and again
 * must not keep the control thread busy. False: the first touches will be faults. */
static bool
may_map_ahead(struct nfed_dma *dma, uint64_t len)
{
	struct nfed_allowance_limit limit = {
		(int64_t)(dma->limits.max_ahead / NFE_PAGE_SIZE), NFED_DMA_AHEAD_S * 1000,
	};

	return nfed_allowance_take(&dma->ahead, &limit, nfed_now_ms(), (int64_t)(len / NFE_PAGE_SIZE));
}

/* Is the chunk at addr there as a whole? To touch a hole would take a page on our account, and the guest
 * may have made some since they were searched. Those of hugetlbfs cannot be seen. */
static bool
has_pages(const struct piece *p, uint8_t *addr, uint64_t len)
{
	unsigned char there[AHEAD_CHUNK / NFE_PAGE_SIZE];
	bool full;

	if (p->file->hugetlb)
		return nfed_dma_in_file(p->file, p->offset, p->len, &full) && full;
	if (mincore(addr, len, there) < 0)
		return false;
	for (uint64_t i = 0; i < len / NFE_PAGE_SIZE; i++)
		if ((there[i] & 1) == 0)
			return false;
	return true;
}

/* NORESERVE: a guest must not drain the hugepage pool by holes that it registers. */
static int
map_file(uint8_t *at, uint64_t len, int prot, int populate, const struct nfed_dma_file *file,
	 uint64_t offset)
{
	const int flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE | populate;

	return mmap(at, len, prot, flags, file->fd, (off_t)offset) == MAP_FAILED ? -errno : 0;
}

static int
map_piece(uint8_t *base, const struct piece *p, uint32_t access, bool ahead)
{
	int prot = PROT_READ | ((access & NFE_ACCESS_WRITE) != 0 ? PROT_WRITE : 0);
	uint64_t block = p->file->block, lead = p->offset % block;
	uint64_t len = (lead + p->len + block - 1) / block * block, chunk;
	uint8_t *want = base + p->delta - lead;
	int rc;

	/* A base that does not suit a smaller hugepage size is refused here, by EINVAL. */
	rc = map_file(want, len, prot, 0, p->file, p->offset - lead);
	for (uint64_t at = 0; ahead && rc == 0 && at < len; at += chunk) {
		chunk = block > AHEAD_CHUNK ? block : AHEAD_CHUNK;
		chunk = chunk < len - at ? chunk : len - at;
		if (has_pages(p, want + at, chunk))
			rc = map_file(want + at, chunk, prot, MAP_POPULATE, p->file,
				      p->offset - lead + at);
	}
	return rc;
}

static int
map_pieces(struct nfed_dma *dma, uint64_t iova, uint64_t len, uint32_t access, uint8_t *base)
{
	bool ahead = may_map_ahead(dma, len);
	struct piece p;
	int rc;

	for (uint64_t delta = 0; delta < len; delta += p.len) {
		rc = piece_at(dma, iova, len, delta, access, &p);
		if (rc == 0)
			rc = map_piece(base, &p, access, ahead);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
nfed_dma_map(void *ctx, uint64_t iova, uint64_t len, uint32_t access, uint32_t *poisoned,
	     unsigned int *nb_mappings, uint8_t **base, void **mapping)
{
	struct nfed_dma *dma = ctx;
	struct mapping *m;
	struct layout l;
	uint8_t *start = NULL;
	int rc;

	if (len == 0 || (iova | len) % NFE_PAGE_SIZE != 0 || len - 1 > UINT64_MAX - iova)
		return -EINVAL;
	rc = plan(dma, iova, len, access, *nb_mappings, &l);
	if (rc < 0)
		return rc;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	rc = reserve(&l, &start, &m->len);
	if (rc < 0)
		goto free_mapping;
	rc = map_pieces(dma, iova, len, access, start + l.lead);
	if (rc < 0)
		goto unreserve;
	rc = nfed_guard_add(start, m->len, poisoned);
	if (rc < 0)
		goto unreserve;
	m->guard_slot = rc;
	m->start = start;
	dma->live_mappings++;
	*nb_mappings = l.nb_pieces;
	*base = start + l.lead;
	*mapping = m;
	return 0;

unreserve:
	munmap(start, m->len);
free_mapping:
	free(m);
	return rc;
}

void
nfed_dma_unmap(void *ctx, void *mapping)
{
	struct nfed_dma *dma = ctx;
	struct mapping *m = mapping;

	nfed_guard_del(m->guard_slot); /* first: the guard must not map where others may come */
	munmap(m->start, m->len);
	dma->live_mappings--;
	free(m);
}
