/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * In-process transport, owner and host; see fake_transport.h. Single-threaded. Mappings are heap
 * objects, so that a leak or a double unmap shows under ASan.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nfed_internal.h>

#include "fake_transport.h"

struct fake_map {
	uint64_t iova, len;
	uint32_t *poisoned;
	struct fake_map *next;
};

static int
fake_transport_map(void *ctx, uint64_t iova, uint64_t len, uint32_t access, uint32_t *poisoned,
		   unsigned int *nb_mappings, uint8_t **base, void **mapping)
{
	struct fake_guest *g = ctx;
	struct fake_map *m;

	if (g->map_error != 0)
		return g->map_error;
	if (iova < FAKE_IOVA || iova - FAKE_IOVA > FAKE_MEM_SIZE ||
	    len > FAKE_MEM_SIZE - (iova - FAKE_IOVA))
		return -EFAULT;
	if ((access & ~g->access) != 0)
		return -EACCES;
	if (g->nb_pieces > *nb_mappings)
		return -ENOSPC;
	m = malloc(sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	*m = (struct fake_map){ .iova = iova, .len = len, .poisoned = poisoned, .next = g->maps };
	g->maps = m;
	g->live_maps++;
	g->lcores_may_read = g->running > 0; /* of the key that this mapping gets */
	*nb_mappings = g->nb_pieces;
	*base = g->mem + (iova - FAKE_IOVA);
	*mapping = m;
	return 0;
}

static void
fake_transport_unmap(void *ctx, void *mapping)
{
	struct fake_guest *g = ctx;
	struct fake_map **p = &g->maps;

	while (*p != NULL && *p != mapping)
		p = &(*p)->next;
	if (*p == NULL)
		abort(); /* our bug: not a live mapping */
	*p = (*p)->next;
	free(mapping);
	g->live_maps--;
	if (g->lcores_may_read)
		g->order_broken = true; /* rule 12 */
}

static void
fake_transport_interrupt(void *ctx, unsigned int vector)
{
	struct fake_guest *g = ctx;

	g->interrupts[vector]++;
}

static void
fake_transport_kick(void *ctx, unsigned int channel)
{
	struct fake_guest *g = ctx;

	g->kicks[channel]++;
}

static const struct nfed_transport_ops fake_transport_ops = {
	.map = fake_transport_map,
	.unmap = fake_transport_unmap,
	.interrupt = fake_transport_interrupt,
	.kick = fake_transport_kick,
};

static int
owner_start(void *owner, struct nfed_channel *ch)
{
	struct fake_guest *g = owner;

	(void)ch;
	g->starts++;
	if (g->start_error != 0)
		return g->start_error;
	g->running++;
	g->lcores_may_read = true;
	return 0;
}

static void
owner_stop(void *owner, struct nfed_channel *ch)
{
	struct fake_guest *g = owner;

	(void)ch;
	g->stops++;
	if (--g->running == 0)
		g->lcores_may_read = false; /* the owner's promise */
}

static void
owner_quiesce(void *owner)
{
	struct fake_guest *g = owner;

	g->quiesces++;
	g->lcores_may_read = false;
}

static int
owner_mac(void *owner, const uint8_t mac[6], enum nfe_mac_action action)
{
	struct fake_guest *g = owner;

	memcpy(g->mac, mac, 6);
	g->mac_action = action;
	return g->mac_error;
}

static int
owner_rx_mode(void *owner, uint32_t mode)
{
	struct fake_guest *g = owner;

	usleep(g->rx_mode_us);
	g->rx_mode = mode;
	return g->rx_mode_error;
}

static int
owner_mtu(void *owner, uint32_t mtu)
{
	struct fake_guest *g = owner;

	g->mtu = mtu;
	return g->mtu_error;
}

static int
owner_rss_hash(void *owner, const struct nfe_req_rss_hash *hash)
{
	struct fake_guest *g = owner;

	g->rss_hash = *hash;
	return g->rss_error;
}

static int
owner_rss_reta(void *owner, const struct nfe_req_rss_reta *reta)
{
	struct fake_guest *g = owner;

	g->rss_reta = *reta;
	return g->rss_error;
}

static int
owner_vlans(void *owner, unsigned int first_word, const uint64_t *map, unsigned int n)
{
	struct fake_guest *g = owner;

	memcpy(&g->vlans[first_word], map, n * sizeof(map[0]));
	return g->vlans_error;
}

/* Counter i of the nth call is 1000 n + i, so that a mix of two calls shows. */
static int
owner_stats(void *owner, uint64_t value[NFE_STAT_MAX])
{
	struct fake_guest *g = owner;

	g->stats_calls++;
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		value[i] = 1000 * g->stats_calls + i;
	return g->stats_error;
}

static void
owner_state_changed(void *owner, enum nfe_state from, enum nfe_state to, enum nfe_reason reason,
		    const char *text)
{
	struct fake_guest *g = owner;

	(void)reason;
	(void)text;
	g->transitions++;
	g->from = from;
	g->to = to;
}

static void
owner_attention(void *owner)
{
	struct fake_guest *g = owner;

	g->attentions++;
}

static const struct nfed_owner_ops fake_owner_ops = {
	.channel_start = owner_start,
	.channel_stop = owner_stop,
	.quiesce = owner_quiesce,
	.mac = owner_mac,
	.rx_mode = owner_rx_mode,
	.mtu = owner_mtu,
	.rss_hash = owner_rss_hash,
	.rss_reta = owner_rss_reta,
	.vlans = owner_vlans,
	.stats = owner_stats,
	.state_changed = owner_state_changed,
	.attention = owner_attention,
};

static void *
pages_alloc(size_t size)
{
	void *p = aligned_alloc(NFE_PAGE_SIZE, size);

	if (p != NULL)
		memset(p, 0, size);
	return p;
}

int
fake_guest_create(struct fake_guest *g, const struct nfed_function_conf *user)
{
	struct nfed_function_conf conf = {
		.mac = { 0x02, 0, 0, 0, 0, 0x0a },
		.limits = nfed_limits_default,
		.features = NFE_F_RING_MODE | NFE_F_EVENT_IDX | NFE_F_INLINE_LONG |
			    NFE_F_MULTI_SEG,
		.transport = &fake_transport_ops,
		.transport_ctx = g,
		.owner_ops = &fake_owner_ops,
		.owner = g,
	};
	int rc;

	memset(g, 0, sizeof(*g));
	if (user != NULL) {
		conf.limits = user->limits;
		conf.features = user->features;
		conf.triggers = user->triggers;
		if (user->owner_ops != NULL) {
			conf.owner_ops = user->owner_ops;
			conf.owner = user->owner;
		}
	}
	g->access = NFE_ACCESS_READ | NFE_ACCESS_WRITE;
	g->nb_pieces = 1;
	g->mem_fd = -1;
	g->mem = pages_alloc(FAKE_MEM_SIZE);
	g->db = pages_alloc((size_t)(NFED_MAX_CHANNELS + 1) << NFE_DB_STRIDE_LOG2);
	conf.db = g->db;
	rc = g->mem == NULL || g->db == NULL ? -ENOMEM : nfed_function_create(&conf, &g->fn);
	if (rc < 0)
		fake_guest_destroy(g);
	return rc;
}

static void
mem_free(struct fake_guest *g)
{
	if (g->mem_fd < 0) {
		free(g->mem);
		return;
	}
	munmap(g->mem, FAKE_MEM_SIZE);
	close(g->mem_fd);
}

void
fake_guest_destroy(struct fake_guest *g)
{
	nfed_function_destroy(g->fn);
	g->fn = NULL;
	mem_free(g);
	free(g->db);
}

int
fake_guest_use_file(struct fake_guest *g)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint8_t *mem;

	if (fd < 0 || ftruncate(fd, FAKE_MEM_SIZE) < 0)
		goto fail;
	mem = mmap(NULL, FAKE_MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (mem == MAP_FAILED)
		goto fail;
	mem_free(g);
	g->mem = mem;
	g->mem_fd = fd;
	return 0;

fail:
	if (fd >= 0)
		close(fd);
	return -errno;
}

void
fake_punch(struct fake_guest *g, uint64_t mem_off, uint64_t len)
{
	if (fallocate(g->mem_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)mem_off,
		      (off_t)len) < 0)
		abort(); /* the test's own mistake */
}

uint32_t
fake_reg_read(struct fake_guest *g, uint32_t off)
{
	return nfed_reg_read(g->fn, off, 4);
}

void
fake_reg_write(struct fake_guest *g, uint32_t off, uint32_t value)
{
	nfed_reg_write(g->fn, off, 4, value);
}

uint32_t *
fake_db(struct fake_guest *g, unsigned int channel, uint32_t off)
{
	return (uint32_t *)(void *)(g->db + ((size_t)channel << NFE_DB_STRIDE_LOG2) + off);
}

struct nfe_status *
fake_status(struct fake_guest *g, uint64_t mem_off)
{
	return (struct nfe_status *)(void *)(g->mem + mem_off);
}

static void
write_u64(struct fake_guest *g, uint32_t reg_lo, uint64_t value)
{
	fake_reg_write(g, reg_lo, (uint32_t)value);
	fake_reg_write(g, reg_lo + 8, (uint32_t)(value >> 32));
}

enum nfe_state
fake_guest_boot(struct fake_guest *g, uint32_t size_log2, uint32_t first)
{
	g->size_log2 = size_log2;
	g->sq_prod = g->rq_cons = first;
	*fake_db(g, 0, NFE_DB_SQ_PROD) = first;
	*fake_db(g, 0, NFE_DB_RQ_CONS) = first;
	fake_reg_write(g, NFE_REG_HOST_ABI, NFE_ABI);
	fake_reg_write(g, NFE_REG_ACCEPTED_LO, fake_reg_read(g, NFE_REG_FEATURES_LO));
	fake_reg_write(g, NFE_REG_ACCEPTED_HI, fake_reg_read(g, NFE_REG_FEATURES_HI));
	write_u64(g, NFE_REG_BOOT_SQ_LO, FAKE_IOVA + FAKE_CTRL_SQ);
	write_u64(g, NFE_REG_BOOT_RQ_LO, FAKE_IOVA + FAKE_CTRL_RQ);
	write_u64(g, NFE_REG_BOOT_STATUS_LO, FAKE_IOVA + FAKE_CTRL_STATUS);
	fake_reg_write(g, NFE_REG_BOOT_SIZE_LOG2, size_log2);
	fake_reg_write(g, NFE_REG_BOOT_VECTOR, 0);
	fake_reg_write(g, NFE_REG_BOOT_SQ_INDEX, first);
	fake_reg_write(g, NFE_REG_BOOT_RQ_INDEX, first);
	fake_reg_write(g, NFE_REG_COMMAND, NFE_CMD_GO);
	return nfed_function_state(g->fn);
}

void
fake_post(struct fake_guest *g, struct nfe_req *req)
{
	uint32_t idx = g->sq_prod & ((1u << g->size_log2) - 1);

	req->id = g->next_id++;
	memcpy(g->mem + FAKE_CTRL_SQ + (size_t)idx * NFE_MSG_SIZE, req, sizeof(*req));
	g->sq_prod++;
	nfe_idx_publish(fake_db(g, 0, NFE_DB_SQ_PROD), g->sq_prod);
}

bool
fake_take(struct fake_guest *g, struct nfe_rsp *rsp)
{
	uint32_t idx = g->rq_cons & ((1u << g->size_log2) - 1);

	if (nfe_idx_read(&fake_status(g, FAKE_CTRL_STATUS)->rq_prod) == g->rq_cons)
		return false;
	memcpy(rsp, g->mem + FAKE_CTRL_RQ + (size_t)idx * NFE_MSG_SIZE, sizeof(*rsp));
	g->rq_cons++;
	nfe_idx_publish(fake_db(g, 0, NFE_DB_RQ_CONS), g->rq_cons);
	if (rsp->type == NFE_MSG_EVENT) {
		memcpy(&g->last_event, rsp, sizeof(g->last_event));
		g->events++;
	}
	return true;
}

int
fake_request(struct fake_guest *g, struct nfe_req *req, struct nfe_rsp *rsp)
{
	struct nfe_rsp own;

	if (rsp == NULL)
		rsp = &own;
	req->type = NFE_MSG_REQ;
	fake_post(g, req);
	nfed_control_run(g->fn);
	while (g->fn->ctl_time.resting) { /* on a busy machine; the owner's loop does so */
		usleep(1000);
		nfed_control_poll(g->fn, 1);
	}
	/* No more cells than the queue has: its index is in memory that a test may have spoilt. */
	for (uint32_t i = 0; i >> g->size_log2 == 0 && fake_take(g, rsp); i++)
		if (rsp->type == NFE_MSG_RSP && rsp->id == req->id)
			return rsp->status;
	return -ETIMEDOUT;
}

int
fake_register(struct fake_guest *g, uint32_t key, uint64_t mem_off, uint64_t len, uint32_t access)
{
	struct nfe_req req = {
		.op = NFE_OP_REGISTER,
		.reg = { .key = key, .access = access, .iova = FAKE_IOVA + mem_off, .len = len },
	};

	return fake_request(g, &req, NULL);
}

int
fake_op_key(struct fake_guest *g, enum nfe_op op, uint32_t key)
{
	struct nfe_req req = { .op = (uint16_t)op, .reg.key = key };

	return fake_request(g, &req, NULL);
}

int
fake_op_channel(struct fake_guest *g, enum nfe_op op, uint16_t channel)
{
	struct nfe_req req = { .op = (uint16_t)op, .chan.channel = channel };

	return fake_request(g, &req, NULL);
}

int
fake_create_channel(struct fake_guest *g, uint16_t channel, uint16_t vector, uint32_t key,
		    uint64_t status_offset)
{
	struct nfe_req req = {
		.op = NFE_OP_CREATE_CHANNEL,
		.chan = { .channel = channel, .vector = vector, .status_key = key,
			  .status_offset = status_offset },
	};

	return fake_request(g, &req, NULL);
}

void
fake_poison(struct fake_guest *g, uint64_t mem_off)
{
	uint64_t iova = FAKE_IOVA + mem_off;

	for (struct fake_map *m = g->maps; m != NULL; m = m->next)
		if (iova >= m->iova && iova - m->iova < m->len)
			__atomic_store_n(m->poisoned, 1, __ATOMIC_RELEASE);
}
