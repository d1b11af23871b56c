/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * GO: from the boot block (specification 3.2) to a control channel that answers.
 *
 * The block is sampled once. Control queues and status block are mappings of their own, without a
 * key: no message can name them. Their owner is struct nfed_ctrl until nfed_ctrl_unmap().
 * The host stores its initial indices in doorbell page 0 before GO. Control thread only.
 */
#include <errno.h>
#include <stdio.h>

#include "nfed_internal.h"

struct boot_block {
	uint64_t addr[NFED_CTRL_PARTS]; /* IOVA */
	uint64_t len[NFED_CTRL_PARTS];  /* bytes */
	uint64_t accepted;
	uint32_t host_abi;
	uint32_t size_log2;
	uint32_t vector;
	uint32_t sq_index, rq_index;
};

static void
sample(const struct nfed_function *fn, struct boot_block *b)
{
	b->addr[NFED_CTRL_SQ] = nfed_regs_u64(fn, NFE_REG_BOOT_SQ_LO);
	b->addr[NFED_CTRL_RQ] = nfed_regs_u64(fn, NFE_REG_BOOT_RQ_LO);
	b->addr[NFED_CTRL_STATUS] = nfed_regs_u64(fn, NFE_REG_BOOT_STATUS_LO);
	b->accepted = nfed_regs_u64(fn, NFE_REG_ACCEPTED_LO);
	b->host_abi = fn->regs[NFE_REG_HOST_ABI / 8];
	b->size_log2 = fn->regs[NFE_REG_BOOT_SIZE_LOG2 / 8];
	b->vector = fn->regs[NFE_REG_BOOT_VECTOR / 8];
	b->sq_index = fn->regs[NFE_REG_BOOT_SQ_INDEX / 8];
	b->rq_index = fn->regs[NFE_REG_BOOT_RQ_INDEX / 8];
}

/* Returns the reason of refusal with its text, or NFE_REASON_NONE. */
static enum nfe_reason
check(const struct nfed_function *fn, const struct boot_block *b, char *text, size_t text_len)
{
	const struct nfed_limits *l = &fn->conf.limits;
	uint32_t max_log2 = l->queue_log2_max < NFED_CTRL_SIZE_LOG2_MAX ? l->queue_log2_max :
			    NFED_CTRL_SIZE_LOG2_MAX;

	if (b->host_abi >> 16 != NFE_ABI_MAJOR) {
		snprintf(text, text_len, "host ABI major %u, ours is %u", b->host_abi >> 16,
			 NFE_ABI_MAJOR);
		return NFE_REASON_ABI;
	}
	if ((b->accepted & ~fn->conf.features) != 0) {
		snprintf(text, text_len, "features 0x%llx accepted, 0x%llx offered",
			 (unsigned long long)b->accepted, (unsigned long long)fn->conf.features);
		return NFE_REASON_FEATURES;
	}
	if (b->size_log2 < l->queue_log2_min || b->size_log2 > max_log2) {
		snprintf(text, text_len, "control queue size_log2 %u not in %u..%u", b->size_log2,
			 l->queue_log2_min, max_log2);
		return NFE_REASON_BOOT_BLOCK;
	}
	if (b->vector > l->max_channels && b->vector != NFE_NO_VECTOR) {
		snprintf(text, text_len, "control vector %u > %u", b->vector, l->max_channels);
		return NFE_REASON_BOOT_BLOCK;
	}
	if (b->addr[NFED_CTRL_SQ] % NFE_MSG_SIZE != 0 ||
	    b->addr[NFED_CTRL_RQ] % NFE_MSG_SIZE != 0 ||
	    b->addr[NFED_CTRL_STATUS] % NFE_STATUS_ALIGN != 0) {
		snprintf(text, text_len, "control queue or status block misaligned");
		return NFE_REASON_BOOT_BLOCK;
	}
	return NFE_REASON_NONE;
}

/* Map the whole pages around [iova, iova + len); *addr is where iova itself lies. */
static int
map_part(struct nfed_function *fn, enum nfed_ctrl_part part, uint64_t iova, uint64_t len,
	 uint8_t **addr)
{
	struct nfed_ctrl_map *m = &fn->ctrl.map[part];
	uint32_t access = part == NFED_CTRL_SQ ? NFE_ACCESS_READ : NFE_ACCESS_WRITE;
	unsigned int nb_mappings = NFED_CTRL_PIECES;
	uint64_t lead = iova % NFE_PAGE_SIZE;
	uint64_t whole = (lead + len + NFE_PAGE_SIZE - 1) / NFE_PAGE_SIZE * NFE_PAGE_SIZE;
	int rc;

	if (whole - 1 > UINT64_MAX - (iova - lead))
		return nfed_refuse(&fn->counters.bad_bounds, -EFAULT);
	__atomic_store_n(&m->poisoned, 0, __ATOMIC_RELAXED);
	rc = fn->conf.transport->map(fn->conf.transport_ctx, iova - lead, whole, access,
				     &m->poisoned, &nb_mappings, &m->base, &m->mapping);
	if (rc < 0)
		return nfed_map_refused(fn, rc);
	m->iova = iova - lead;
	m->len = whole;
	*addr = m->base + lead;
	return 0;
}

static void
init_queues(struct nfed_function *fn, const struct boot_block *b, uint8_t *const addr[])
{
	struct nfed_ctrl *c = &fn->ctrl;
	const uint8_t *db = fn->conf.db;
	uint32_t size = 1u << b->size_log2;

	memset(c->status, 0, sizeof(*c->status));
	c->sq = (struct nfed_queue){
		.entries = addr[NFED_CTRL_SQ], .mask = size - 1, .capacity = size,
		.host_idx = (const uint32_t *)(const void *)(db + NFE_DB_SQ_PROD),
		.dev_idx = &c->status->sq_cons, .dev_event = &c->status->sq_event,
		.prod = b->sq_index, .cons = b->sq_index, .role = NFE_ROLE_SQ,
	};
	c->rq = (struct nfed_queue){
		.entries = addr[NFED_CTRL_RQ], .mask = size - 1, .capacity = size,
		.host_idx = (const uint32_t *)(const void *)(db + NFE_DB_RQ_CONS),
		.dev_idx = &c->status->rq_prod,
		.prod = b->rq_index, .cons = b->rq_index, .role = NFE_ROLE_RQ,
	};
	nfed_queue_publish(&c->sq, b->sq_index);
	nfed_queue_publish(&c->rq, b->rq_index);
	c->vector = (uint16_t)b->vector;
	__atomic_store_n(&c->status->generation, fn->generation, __ATOMIC_RELAXED);
	nfed_status_report(c->status, NFE_CHAN_RUNNING, NFE_REASON_NONE);
}

static int
map_all(struct nfed_function *fn, const struct boot_block *b)
{
	uint8_t *addr[NFED_CTRL_PARTS];
	int rc = 0;

	if (fn->conf.db == NULL || fn->dma_off)
		return -ENXIO; /* nobody is connected, or bus master is off */
	for (unsigned int i = 0; i < NFED_CTRL_PARTS && rc == 0; i++)
		rc = map_part(fn, (enum nfed_ctrl_part)i, b->addr[i], b->len[i], &addr[i]);
	if (rc < 0) {
		nfed_ctrl_unmap(fn);
		return rc;
	}
	fn->ctrl.status = (struct nfe_status *)(void *)addr[NFED_CTRL_STATUS];
	init_queues(fn, b, addr);
	return 0;
}

void
nfed_boot(struct nfed_function *fn)
{
	struct boot_block b;
	enum nfe_reason reason;
	char text[sizeof(fn->reason_text)] = "";
	int rc;

	sample(fn, &b);
	nfed_transition(fn, NFE_STATE_BOOTING, NFE_REASON_NONE, "");
	reason = check(fn, &b, text, sizeof(text));
	if (reason != NFE_REASON_NONE) {
		fn->counters.bad_value++;
		nfed_function_fail(fn, reason, text);
		return;
	}
	b.len[NFED_CTRL_SQ] = b.len[NFED_CTRL_RQ] = (uint64_t)NFE_MSG_SIZE << b.size_log2;
	b.len[NFED_CTRL_STATUS] = NFE_STATUS_SIZE;
	rc = map_all(fn, &b);
	if (rc < 0) {
		snprintf(text, sizeof(text), "control queues not mappable, errno %d", -rc);
		nfed_function_fail(fn, NFE_REASON_BOOT_MEMORY, text);
		return;
	}
	fn->accepted = b.accepted;
	nfed_transition(fn, NFE_STATE_READY, NFE_REASON_NONE, "");
	nfed_sq_arm(&fn->ctrl.sq); /* the first request kicks */
}

void
nfed_ctrl_unmap(struct nfed_function *fn)
{
	struct nfed_ctrl *c = &fn->ctrl;

	for (unsigned int i = 0; i < NFED_CTRL_PARTS; i++)
		if (c->map[i].len != 0)
			fn->conf.transport->unmap(fn->conf.transport_ctx, c->map[i].mapping);
	memset(c, 0, sizeof(*c));
}

bool
nfed_ctrl_overlaps(const struct nfed_function *fn, uint64_t iova, uint64_t size)
{
	const struct nfed_ctrl_map *m = fn->ctrl.map;

	for (unsigned int i = 0; i < NFED_CTRL_PARTS; i++)
		if (nfed_ranges_overlap(m[i].iova, m[i].len, iova, size))
			return true;
	return false;
}

bool
nfed_ctrl_poisoned(const struct nfed_function *fn)
{
	const struct nfed_ctrl_map *m = fn->ctrl.map;
	uint32_t any = 0;

	for (unsigned int i = 0; i < NFED_CTRL_PARTS; i++)
		any |= __atomic_load_n(&m[i].poisoned, __ATOMIC_ACQUIRE);
	return any != 0;
}
