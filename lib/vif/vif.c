/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Life of a VIF in the guest: attach builds it in straight order (host end with the shared memory,
 * region, channel 1 with three queues, start) and unwinds in reverse; detach lets go of everything.
 * The data path is in vif_io.c and vif_sent.c. The host end owns the shared memory, the VIF the
 * rest; the host end's control thread calls back into vif_link_changed() and vif_replay_indices().
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vif_priv.h"

#define RING_SIZE_MAX 32768u
#define NB_BUFS_MAX (1u << 24)
#define BUF_SIZE_MAX 65536u

__attribute__((format(printf, 3, 4))) static int
refuse(const char *name, int err, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fprintf(stderr, "%s: %s\n", name, text);
	return err;
}

static int
conf_complete(const struct vif_conf *given, struct vif_conf *conf)
{
	if (given != NULL)
		*conf = *given;
	if (conf->name == NULL)
		conf->name = "vif";
	if (conf->ring_size == 0)
		conf->ring_size = 256;
	if (conf->ring_size < VIF_RING_SIZE_MIN || conf->ring_size > RING_SIZE_MAX ||
	    (conf->ring_size & (conf->ring_size - 1)) != 0)
		return refuse(conf->name, -EINVAL, "ring_size %u: not a power of two in %u..%u",
			      conf->ring_size, VIF_RING_SIZE_MIN, RING_SIZE_MAX);
	if (conf->nb_bufs == 0)
		conf->nb_bufs = 2 * conf->ring_size;
	if (conf->nb_bufs < 2 || conf->nb_bufs > NB_BUFS_MAX)
		return refuse(conf->name, -EINVAL, "nb_bufs %u: not in 2..%u", conf->nb_bufs,
			      NB_BUFS_MAX);
	if (conf->buf_size == 0)
		conf->buf_size = 2048;
	if (conf->buf_size > BUF_SIZE_MAX || conf->buf_size % 64 != 0)
		return refuse(conf->name, -EINVAL, "buf_size %u: not a multiple of 64 up to %u",
			      conf->buf_size, BUF_SIZE_MAX);
	return 0;
}

/* Control thread. */
static void
vif_link_changed(void *ctx, bool up)
{
	struct vif *vif = ctx;

	if (vif->link != NULL)
		vif->link(vif->ctx, up);
}

/* Control thread, at each attempt. The application looks when it hears of the link, or wakes. */
static void
vif_refused(void *ctx, int error)
{
	struct vif *vif = ctx;

	if (error != -ESTALE || __atomic_exchange_n(&vif->lost, true, __ATOMIC_ACQ_REL))
		return;
	vif_link_changed(vif, false);
	if (vif->irq_fd >= 0)
		nfeh_irq_raise(vif->h, VIF_CHANNEL);
}

/* No freeze and thaw: vif_replay.c says why the application may go on using the rings. */
static const struct nfeh_client_ops client_ops = {
	.link = vif_link_changed,
	.indices = vif_replay_indices,
	.refused = vif_refused,
};

#define OFFLOADS (NFE_F_CSUM_TO_DEVICE | NFE_F_CSUM_TO_HOST | NFE_F_GSO_TO_DEVICE | \
		  NFE_F_GSO_TO_HOST)

/* 4.8: segmentation means nothing without checksums, and needs several segments. */
static void
offload_setup(struct vif *vif)
{
	uint64_t f = vif->info.features;
	bool gso = f & NFE_F_MULTI_SEG;

	if (f & NFE_F_CSUM_TO_DEVICE)
		vif->send_flags = NFE_MSG_F_CSUM_PARTIAL |
				  (gso && (f & NFE_F_GSO_TO_DEVICE) ? NFE_MSG_F_GSO : 0);
	if (f & NFE_F_CSUM_TO_HOST)
		vif->recv_flags = NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_CSUM_OK |
				  (f & NFE_F_GSO_TO_HOST ? NFE_MSG_F_GSO : 0);
}

static int
host_attach(struct vif *vif, const char *address, const struct vif_conf *conf)
{
	struct nfeh_conf host = {
		.name = vif->name,
		.address = address,
		.features = NFE_F_RING_MODE | NFE_F_EVENT_IDX | NFE_F_INLINE_LONG | NFE_F_MULTI_SEG |
			    (conf->offload ? OFFLOADS : 0),
		.required = NFE_F_RING_MODE | (conf->sleep ? NFE_F_EVENT_IDX : 0),
		.first_index = conf->first_index,
		.mem_bytes = vif_mem_len(conf),
		.ops = &client_ops,
		.ctx = vif,
	};
	unsigned int log2 = (unsigned int)__builtin_ctz(conf->ring_size);
	int rc = nfeh_attach(&host, &vif->h);

	if (rc != 0)
		return rc; /* logged by nfeh */
	vif->info = *nfeh_info(vif->h);
	offload_setup(vif);
	if (!(vif->info.features & NFE_F_MULTI_SEG))
		vif->info.max_segs = 1;
	if (!(vif->info.features & NFE_F_INLINE_LONG))
		vif->info.inline_to_device = NFE_INLINE_ONE;
	vif->inline_limit = RTE_MIN(vif->info.inline_to_device, NFE_INLINE_SHORT);
	if (log2 < vif->info.queue_log2_min || log2 > vif->info.queue_log2_max) {
		rc = refuse(vif->name, -EINVAL, "ring_size %u: the device allows 2^%u..2^%u",
			    conf->ring_size, vif->info.queue_log2_min, vif->info.queue_log2_max);
		goto detach;
	}
	if (conf->sleep && vif->info.vectors <= VIF_CHANNEL) {
		rc = refuse(vif->name, -ENOTSUP, "sleep: the device has %u interrupt vectors",
			    vif->info.vectors);
		goto detach;
	}
	rc = vif_mem_use(vif, nfeh_mem(vif->h)->addr, conf);
	if (rc != 0) {
		refuse(vif->name, rc, "rings of %u messages: %s", conf->ring_size, strerror(-rc));
		goto detach;
	}
	return 0;

detach:
	nfeh_detach(vif->h);
	return rc;
}

static int
sleep_setup(struct vif *vif)
{
	uint8_t *doorbells = nfeh_doorbells(vif->h, VIF_CHANNEL);
	int fd = nfeh_irq_fd(vif->h, VIF_CHANNEL);

	if (fd < 0)
		return refuse(vif->name, fd, "no descriptor for vector %u", VIF_CHANNEL);
	vif->rq_event = (uint32_t *)(doorbells + NFE_DB_RQ_EVENT);
	vif->sq_done_event = (uint32_t *)(doorbells + NFE_DB_SQ_DONE_EVENT);
	vif->irq_fd = fd;
	return 0;
}

static int
channel_setup(struct vif *vif, const struct vif_conf *conf)
{
	static const enum nfe_role roles[] = { NFE_ROLE_SQ, NFE_ROLE_RQ, NFE_ROLE_FQ };
	uint64_t status_offset = (uint64_t)((uint8_t *)vif->status - vif->base);
	uint16_t vector = conf->sleep ? VIF_CHANNEL : NFE_NO_VECTOR;
	const struct nfe_bus_mem *mem = nfeh_mem(vif->h);
	int rc = nfeh_region_add(vif->h, mem->addr, mem->iova, mem->len, mem->fd, 0,
				 NFE_ACCESS_READ | NFE_ACCESS_WRITE, &vif->key);

	if (rc != 0)
		return refuse(vif->name, rc, "region of %zu bytes: %s", mem->len, strerror(-rc));
	rc = nfeh_channel_create(vif->h, VIF_CHANNEL, vector, vif->key, status_offset);
	if (rc != 0)
		return refuse(vif->name, rc, "channel %u: %s", VIF_CHANNEL, strerror(-rc));
	for (unsigned int i = 0; i < RTE_DIM(roles); i++) {
		struct nfeh_queue_conf queue;

		vif_mem_queue(vif, roles[i], conf->first_index, &queue);
		rc = nfeh_queue_set(vif->h, VIF_CHANNEL, &queue);
		if (rc != 0)
			return refuse(vif->name, rc, "queue of role %d: %s", (int)roles[i],
				      strerror(-rc));
	}
	vif_refill(vif, vif->fill_target);
	rc = nfeh_channel_start(vif->h, VIF_CHANNEL);
	if (rc != 0)
		return refuse(vif->name, rc, "start of channel %u: %s", VIF_CHANNEL, strerror(-rc));
	return 0;
}

struct vif *
vif_attach(const char *address, const struct vif_conf *given)
{
	struct vif_conf conf = { 0 };
	struct vif *vif;
	int rc = conf_complete(given, &conf);

	if (rc != 0)
		goto fail;
	vif = vif_mem_alloc(&conf);
	if (vif == NULL) {
		rc = refuse(conf.name, -errno, "memory for %u buffers of %u bytes: %s",
			    conf.nb_bufs, conf.buf_size, strerror(errno));
		goto fail;
	}
	vif->link = conf.link;
	vif->ctx = conf.ctx;
	vif->name = strdup(conf.name);
	rc = -ENOMEM;
	if (vif->name == NULL)
		goto free_mem;
	rc = host_attach(vif, address, &conf);
	if (rc != 0)
		goto free_name;
	rc = conf.sleep ? sleep_setup(vif) : 0;
	if (rc != 0)
		goto detach;
	rc = channel_setup(vif, &conf);
	if (rc != 0)
		goto detach;
	return vif;

detach: /* the reset in it takes channel and region along */
	nfeh_detach(vif->h);
free_name:
	free(vif->name);
free_mem:
	vif_mem_free(vif);
fail:
	errno = -rc;
	return NULL;
}

void
vif_detach(struct vif *vif)
{
	if (vif == NULL)
		return;
	nfeh_detach(vif->h); /* after it nobody else has this memory */
	free(vif->name);
	vif_mem_free(vif);
}

struct rte_ring *
vif_send_ring(const struct vif *vif)
{
	return vif->send.r;
}

struct rte_ring *
vif_recv_ring(const struct vif *vif)
{
	return vif->recv.r;
}

struct rte_ring *
vif_fill_ring(const struct vif *vif)
{
	return vif->fill.r;
}

void
vif_mac(const struct vif *vif, uint8_t mac[6])
{
	memcpy(mac, vif->info.mac, sizeof(vif->info.mac));
}

bool
vif_link(const struct vif *vif)
{
	return nfeh_link(vif->h);
}

bool
vif_lost(const struct vif *vif)
{
	return __atomic_load_n(&vif->lost, __ATOMIC_ACQUIRE);
}

uint32_t
vif_max_inline(const struct vif *vif)
{
	return vif->info.inline_to_device;
}

uint32_t
vif_max_frame(const struct vif *vif)
{
	uint32_t max_segs = RTE_MIN(vif->info.max_segs, NFE_MAX_SEGS);

	return RTE_MIN(vif->info.max_frame, max_segs * vif->buf_size);
}

uint8_t
vif_send_flags(const struct vif *vif)
{
	return vif->send_flags;
}

uint8_t
vif_recv_flags(const struct vif *vif)
{
	return vif->recv_flags & (NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO);
}

uint32_t
vif_max_mtu(const struct vif *vif)
{
	return vif->info.max_mtu;
}

int
vif_set_mtu(struct vif *vif, uint32_t mtu)
{
	return nfeh_mtu(vif->h, mtu);
}

int
vif_stats(struct vif *vif, uint64_t value[NFE_STAT_MAX])
{
	return nfeh_stats(vif->h, value);
}

int
vif_mem_add(struct vif *vif, void *addr, size_t len, int fd, uint64_t fd_offset, uint32_t *key)
{
	/* Pages that nobody touched are holes for the device, even in a file that was allocated.
	 * Failure (a kernel before 5.14) shows as a refusal by the device, if at all. */
	madvise(addr, len, MADV_POPULATE_WRITE);
	return nfeh_region_add(vif->h, addr, (uint64_t)(uintptr_t)addr, len, fd, fd_offset,
			       NFE_ACCESS_READ | NFE_ACCESS_WRITE, key);
}

int
vif_mem_del(struct vif *vif, uint32_t key)
{
	return nfeh_region_del(vif->h, key);
}
