/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Memory of a VIF: one piece from the bus that becomes one region, so that key and offset name
 * everything.
 *
 *      0         status block, 512 bytes          each part starts on a page of its own
 *      ...       send ring, receive ring, fill ring: struct rte_ring with its entries behind it
 *      ...       buffers
 *
 * The host end allocates it (nfeh_mem()): a sealed memfd, or granted pages on Xen; zeroed (rule 15).
 * Where the ring's members are is taken from the rte_ring.h that this library was compiled with.
 * Called by vif_attach() and vif_detach(); needs no device.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_ring.h>

#include "vif_priv.h"

static_assert(sizeof(struct rte_ring) % NFE_MSG_SIZE == 0, "5.3: cells are 64-byte aligned");

struct layout { /* offsets, bytes */
	size_t status, send, recv, fill, bufs, len;
};

static size_t
next_part(size_t *end, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), start = *end;

	*end = (start + len + page - 1) / page * page;
	return start;
}

static struct layout
layout_of(const struct vif_conf *conf)
{
	size_t header = sizeof(struct rte_ring), n = conf->ring_size;
	struct layout l = { 0 };

	l.status = next_part(&l.len, sizeof(struct nfe_status));
	l.send = next_part(&l.len, header + n * NFE_MSG_SIZE);
	l.recv = next_part(&l.len, header + n * NFE_MSG_SIZE);
	l.fill = next_part(&l.len, header + n * sizeof(struct nfe_fill));
	l.bufs = next_part(&l.len, (size_t)conf->nb_bufs * conf->buf_size);
	return l;
}

size_t
vif_mem_len(const struct vif_conf *conf)
{
	return layout_of(conf).len;
}

static int
ring_init(struct vif *vif, struct vif_ring *ring, const char *name, size_t offset,
	  uint32_t entry_size, const struct vif_conf *conf)
{
	struct rte_ring *r = (struct rte_ring *)(vif->base + offset);
	int rc = rte_ring_init(r, name, conf->ring_size, RING_F_SP_ENQ | RING_F_SC_DEQ);

	if (rc != 0)
		return rc;
	r->prod.head = r->prod.tail = conf->first_index;
	r->cons.head = r->cons.tail = conf->first_index;
	*ring = (struct vif_ring){
		.r = r,
		.entries = (uint8_t *)(r + 1),
		.prod = (uint32_t *)((uint8_t *)r + offsetof(struct rte_ring, prod.tail)),
		.cons = (uint32_t *)((uint8_t *)r + offsetof(struct rte_ring, cons.tail)),
		.size = conf->ring_size,
		.capacity = r->capacity, /* nobody else has mapped it yet */
		.entry_size = entry_size,
	};
	return 0;
}

static int
parts_init(struct vif *vif, const struct layout *l, const struct vif_conf *conf)
{
	int rc;

	vif->status = (struct nfe_status *)(vif->base + l->status);
	vif->bufs = vif->base + l->bufs;
	vif->bufs_offset = l->bufs;
	rc = ring_init(vif, &vif->send, "vif-send", l->send, NFE_MSG_SIZE, conf);
	if (rc == 0)
		rc = ring_init(vif, &vif->recv, "vif-recv", l->recv, NFE_MSG_SIZE, conf);
	if (rc == 0)
		rc = ring_init(vif, &vif->fill, "vif-fill", l->fill, sizeof(struct nfe_fill), conf);
	return rc;
}

struct vif *
vif_mem_alloc(const struct vif_conf *conf)
{
	struct vif *vif = aligned_alloc(64, sizeof(*vif));

	if (vif == NULL)
		return NULL;
	memset(vif, 0, sizeof(*vif));
	vif->irq_fd = -1;
	vif->buf_size = conf->buf_size;
	vif->nb_bufs = conf->nb_bufs;
	vif->held_max = RTE_MIN(VIF_HELD, RTE_MAX(conf->nb_bufs / 4, 1u));
	vif->kicked = vif->reclaimed = vif->noted = conf->first_index;
	vif->read = vif->fill_seen = conf->first_index;
	vif->fill_target = RTE_MIN(conf->ring_size - 1, conf->nb_bufs / 2);
	vif->sent_at = malloc(conf->ring_size * sizeof(*vif->sent_at));
	vif->slot_buf = malloc(conf->ring_size * sizeof(*vif->slot_buf));
	vif->buf_slot = malloc(conf->nb_bufs * sizeof(*vif->buf_slot));
	if (vif->sent_at == NULL || vif->slot_buf == NULL || vif->buf_slot == NULL ||
	    vif_bufs_init(vif) != 0) {
		vif_mem_free(vif);
		errno = ENOMEM;
		return NULL;
	}
	for (unsigned int i = 0; i < conf->ring_size; i++)
		vif->sent_at[i] = vif->slot_buf[i] = VIF_BUF_NONE;
	for (unsigned int i = 0; i < conf->nb_bufs; i++)
		vif->buf_slot[i] = VIF_NO_SLOT;
	return vif;
}

int
vif_mem_use(struct vif *vif, void *shared, const struct vif_conf *conf)
{
	struct layout l = layout_of(conf);

	vif->base = shared;
	vif->len = l.len;
	return parts_init(vif, &l, conf);
}

void
vif_mem_free(struct vif *vif)
{
	vif_bufs_fini(vif);
	free(vif->sent_at);
	free(vif->slot_buf);
	free(vif->buf_slot);
	free(vif);
}

void
vif_mem_queue(const struct vif *vif, enum nfe_role role, uint32_t first_index,
	      struct nfeh_queue_conf *queue)
{
	const struct vif_ring *ring = role == NFE_ROLE_SQ ? &vif->send :
				      role == NFE_ROLE_RQ ? &vif->recv : &vif->fill;
	uint64_t prod = (uint64_t)((uint8_t *)ring->prod - vif->base);
	uint64_t cons = (uint64_t)((uint8_t *)ring->cons - vif->base);
	bool may_sleep = vif->irq_fd >= 0 && role != NFE_ROLE_FQ;

	*queue = (struct nfeh_queue_conf){
		.role = role,
		.flags = NFE_QUEUE_F_RING | (may_sleep ? NFE_QUEUE_F_EVENT : 0),
		.size_log2 = (uint32_t)__builtin_ctz(ring->size),
		.capacity = ring->capacity,
		.buf_size = role == NFE_ROLE_FQ ? vif->buf_size : 0,
		.key = vif->key,
		.entries = (uint64_t)(ring->entries - vif->base),
		.host_idx = role == NFE_ROLE_RQ ? cons : prod,
		.dev_idx = role == NFE_ROLE_RQ ? prod : cons,
		.first_index = first_index,
	};
}
