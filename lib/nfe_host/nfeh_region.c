/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Memory regions, host end (specification 6): chooses keys, remembers what was registered, and
 * registers it again with the same keys on a new device. A key is the index of a slot and a tag
 * that changes at each use of the slot, so that a stale key fails at the device.
 *
 * The table belongs to struct nfeh, with duplicates of the fds: whatever stands in it may be
 * replayed at any time, also after a client that could not deregister closed its own. The memory
 * is the client's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nfeh_internal.h"

#define TAG_MAX ((1u << (32 - NFE_KEY_INDEX_BITS)) - 1)

struct nfeh_region *
nfeh_region_find_locked(struct nfeh *h, uint32_t key)
{
	uint32_t index = NFE_KEY_INDEX(key);

	if (key == 0 || index >= h->info.max_regions || h->regions[index].key != key)
		return NULL;
	return &h->regions[index];
}

/* Lowest free slot, with its next tag; tag 0 is never used (6.1). */
static struct nfeh_region *
alloc_slot(struct nfeh *h)
{
	for (uint32_t i = 0; i < h->info.max_regions; i++) {
		struct nfeh_region *r = &h->regions[i];

		if (r->key != 0)
			continue;
		r->tag = r->tag % TAG_MAX + 1;
		r->key = NFE_KEY(i, r->tag);
		return r;
	}
	return NULL;
}

static void
free_pieces(struct nfeh_region *r)
{
	for (unsigned int i = 0; i < r->nb_pieces; i++)
		if (r->pieces[i].fd >= 0)
			close(r->pieces[i].fd);
	free(r->pieces);
	r->pieces = NULL;
	r->nb_pieces = 0;
}

static void
free_slot(struct nfeh_region *r)
{
	free_pieces(r);
	r->key = 0; /* the tag stays for the next use */
}

/* On failure free_pieces() is left to the caller. */
static int
copy_pieces(struct nfeh_region *r, const struct nfeh_piece *pieces, unsigned int n)
{
	r->pieces = calloc(n, sizeof(*r->pieces));
	if (r->pieces == NULL)
		return -ENOMEM;
	for (; r->nb_pieces < n; r->nb_pieces++) {
		struct nfeh_piece *p = &r->pieces[r->nb_pieces];

		*p = pieces[r->nb_pieces];
		if (p->fd < 0)
			continue; /* not every bus needs one */
		p->fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
		if (p->fd < 0)
			return -errno;
	}
	return 0;
}

/* Let the bus reach all pieces; on failure none of them. -ERESTART: the device died. */
static int
map_pieces(struct nfeh *h, const struct nfeh_region *r)
{
	uint64_t done = 0;

	for (unsigned int i = 0; i < r->nb_pieces; i++) {
		const struct nfeh_piece *p = &r->pieces[i];
		int rc = h->bus->ops->mem_map(h->bus, r->iova + done, r->addr + done, p->len, p->fd,
					      p->fd_offset);

		if (rc < 0 && nfeh_hung_up(h)) {
			nfeh_hangup_locked(h);
			return -ERESTART;
		}
		if (rc < 0) {
			nfeh_log(h, 0, "memory %p, %llu bytes: piece %u of %u refused: %s%s%s",
				 (void *)r->addr, (unsigned long long)r->len, i, r->nb_pieces,
				 strerror(-rc), h->bus->why[0] != '\0' ? ", " : "", h->bus->why);
			if (done > 0)
				h->bus->ops->mem_unmap(h->bus, r->iova, done);
			return rc;
		}
		done += p->len;
	}
	return 0;
}

int
nfeh_region_replay_locked(struct nfeh *h, struct nfeh_region *r)
{
	struct nfe_req req = {
		.reg = { .key = r->key, .access = r->access, .iova = r->iova, .len = r->len },
	};
	int rc = map_pieces(h, r);

	if (rc < 0)
		return rc;
	rc = nfeh_call_locked(h, &req, NFE_OP_REGISTER, NULL);
	if (rc < 0) {
		nfeh_log(h, 0, "region 0x%08x, %llu bytes at 0x%llx refused: %s", r->key,
			 (unsigned long long)r->len, (unsigned long long)r->iova, strerror(-rc));
		if (rc != -ERESTART)
			h->bus->ops->mem_unmap(h->bus, r->iova, r->len);
	}
	return rc;
}

struct add_args {
	void *addr;
	uint64_t iova;
	const struct nfeh_piece *pieces;
	unsigned int nb_pieces;
	uint64_t len;
	uint32_t access;
	uint32_t *key;
};

/* Sum of the pieces; our own caller's mistakes get an errno too, they may stem from the app. */
static int
check_args(struct add_args *a)
{
	const uint64_t mask = NFE_PAGE_SIZE - 1;

	a->len = 0;
	if (a->nb_pieces == 0 || ((uintptr_t)a->addr & mask) != 0 || (a->iova & mask) != 0)
		return -EINVAL;
	if (a->access == 0 || (a->access & ~(NFE_ACCESS_READ | NFE_ACCESS_WRITE)) != 0)
		return -EINVAL;
	for (unsigned int i = 0; i < a->nb_pieces; i++) {
		const struct nfeh_piece *p = &a->pieces[i];

		if (p->len == 0 || (p->len & mask) != 0 || (p->fd_offset & mask) != 0 ||
		    p->len > UINT64_MAX - a->len)
			return -EINVAL;
		a->len += p->len;
	}
	return a->len > UINT64_MAX - a->iova ? -EINVAL : 0;
}

static int
add_op(struct nfeh *h, void *arg)
{
	const struct add_args *a = arg;
	struct nfeh_region *r = alloc_slot(h);
	int rc;

	if (r == NULL) {
		nfeh_log(h, 0, "all %u regions are in use", h->info.max_regions);
		return -ENOSPC;
	}
	r->addr = a->addr;
	r->iova = a->iova;
	r->len = a->len;
	r->access = a->access;
	rc = copy_pieces(r, a->pieces, a->nb_pieces);
	if (rc == 0)
		rc = nfeh_region_replay_locked(h, r);
	if (rc < 0)
		free_slot(r);
	else
		*a->key = r->key;
	return rc;
}

int
nfeh_region_add_pieces(struct nfeh *h, void *addr, uint64_t iova, const struct nfeh_piece *pieces,
		       unsigned int nb_pieces, uint32_t access, uint32_t *key)
{
	struct add_args a = {
		.addr = addr,
		.iova = iova,
		.pieces = pieces,
		.nb_pieces = nb_pieces,
		.access = access,
		.key = key,
	};
	int rc = check_args(&a);

	return rc < 0 ? rc : nfeh_run(h, add_op, &a, false);
}

int
nfeh_region_add(struct nfeh *h, void *addr, uint64_t iova, uint64_t len, int fd, uint64_t fd_offset,
		uint32_t access, uint32_t *key)
{
	struct nfeh_piece piece = { .fd = fd, .fd_offset = fd_offset, .len = len };

	return nfeh_region_add_pieces(h, addr, iova, &piece, 1, access, key);
}

struct del_args {
	uint32_t key;
	bool forgotten;
};

/* At the device and the bus. If the function fails under it, it is left, which is as good. */
static int
deregister_locked(struct nfeh *h, const struct nfeh_region *r)
{
	struct nfe_req req = { .reg = { .key = r->key } };
	int rc = nfeh_call_locked(h, &req, NFE_OP_DEREGISTER, NULL);

	if (rc < 0)
		return rc;
	rc = h->bus->ops->mem_unmap(h->bus, r->iova, r->len);
	if (rc < 0)
		nfeh_log(h, 1, "unmapping region 0x%08x: %s", r->key, strerror(-rc));
	return 0;
}

static int
del_op(struct nfeh *h, void *arg)
{
	struct del_args *a = arg;
	struct nfeh_region *r = nfeh_region_find_locked(h, a->key);
	int rc = 0;

	if (a->forgotten)
		return 0; /* again, now that the device is left */
	if (r == NULL)
		return -ENOENT;
	if (nfeh_channel_uses_locked(h, a->key))
		return -EBUSY;
	if (h->state == NFEH_STATE_UP)
		rc = deregister_locked(h, r);
	if (rc < 0 && h->state == NFEH_STATE_UP)
		return rc; /* the device refused, and still knows it */
	free_slot(r);
	a->forgotten = true;
	return rc;
}

int
nfeh_region_del(struct nfeh *h, uint32_t key)
{
	struct del_args a = { .key = key };
	int rc = nfeh_run(h, del_op, &a, true);

	return rc == -ENOLINK && a.forgotten ? -ETIMEDOUT : rc;
}

void
nfeh_regions_free(struct nfeh *h)
{
	for (uint32_t i = 0; i < h->info.max_regions; i++)
		free_pieces(&h->regions[i]);
	free(h->regions);
}
