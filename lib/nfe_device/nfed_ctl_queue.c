/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Channels and their queues on request (specification 7.4, 7.5): CREATE, DESTROY, SET_QUEUE, START,
 * STOP. Everything is checked before anything is changed, so that a refused request leaves no
 * trace. Control thread only; addresses are in regions of the function, whose users are counted.
 */
#include <errno.h>

#include "nfed_internal.h"

/* The channel that a request names, existing or not. */
static struct nfed_channel *
channel_slot(struct nfed_function *fn, uint16_t number)
{
	struct nfed_channel *ch = nfed_function_channel(fn, number);

	if (ch == NULL)
		fn->counters.bad_value++;
	return ch;
}

/* The channel that a request names; it must exist. */
static struct nfed_channel *
channel_live(struct nfed_function *fn, uint16_t number, int *error)
{
	struct nfed_channel *ch = channel_slot(fn, number);

	*error = ch == NULL ? -EINVAL : 0;
	if (ch != NULL && ch->state == NFE_CHAN_NONE) {
		*error = nfed_refuse(&fn->counters.bad_state, -ENOENT);
		return NULL;
	}
	return ch;
}

/* Address of a range that a request names by key and offset. */
static int
resolve(struct nfed_function *fn, uint32_t key, uint64_t offset, uint64_t len, uint32_t access,
	uint8_t **addr)
{
	struct nfed_region *r;

	switch (nfed_region_at(&fn->regions, key, offset, len, access, &r, addr)) {
	case NFED_XLATE_OK:
		break;
	case NFED_XLATE_KEY:
		return nfed_refuse(&fn->counters.bad_key, -ENOENT);
	default:
		return nfed_refuse(&fn->counters.bad_bounds, -EFAULT);
	}
	if (nfed_region_poisoned(r))
		return nfed_refuse(&fn->counters.memory_gone, -EIO);
	return 0;
}

int
nfed_op_create_channel(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	const struct nfe_req_channel *a = &req->chan;
	struct nfed_channel *ch = channel_slot(fn, a->channel);
	uint8_t *addr;
	int rc;

	(void)rsp;
	if (ch == NULL)
		return -EINVAL;
	if (ch->state != NFE_CHAN_NONE)
		return nfed_refuse(&fn->counters.occupied, -EEXIST);
	if ((a->vector > fn->conf.limits.max_channels && a->vector != NFE_NO_VECTOR) ||
	    a->status_offset % NFE_STATUS_ALIGN != 0)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	rc = resolve(fn, a->status_key, a->status_offset, NFE_STATUS_SIZE, NFE_ACCESS_WRITE, &addr);
	if (rc < 0)
		return rc;
	ch->status = (struct nfe_status *)(void *)addr;
	ch->status_region_idx = (uint16_t)NFE_KEY_INDEX(a->status_key);
	fn->regions.tbl[ch->status_region_idx].users++;
	ch->vector = a->vector;
	ch->state = NFE_CHAN_STOPPED;
	memset(ch->status, 0, sizeof(*ch->status));
	__atomic_store_n(&ch->status->generation, fn->generation, __ATOMIC_RELAXED);
	nfed_status_report(ch->status, NFE_CHAN_STOPPED, NFE_REASON_NONE);
	return 0;
}

int
nfed_op_destroy_channel(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	int error;
	struct nfed_channel *ch = channel_live(fn, req->chan.channel, &error);

	(void)rsp;
	if (ch == NULL)
		return error;
	fn->resume &= ~(UINT64_C(1) << (ch->number - 1));
	nfed_channel_release(ch);
	return 0;
}

static uint64_t
entry_size(uint8_t role)
{
	return role == NFE_ROLE_FQ ? sizeof(struct nfe_fill) : NFE_MSG_SIZE;
}

/* Features, flags and role. */
static int
check_kind(struct nfed_function *fn, const struct nfe_req_queue *a)
{
	uint64_t need = 0;

	if (a->role == NFE_ROLE_CQ)
		return nfed_refuse(&fn->counters.bad_value, -EOPNOTSUPP);
	if (a->role < NFE_ROLE_SQ || a->role > NFE_ROLE_FQ ||
	    (a->flags & ~(NFE_QUEUE_F_RING | NFE_QUEUE_F_EVENT)) != 0)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if ((a->flags & NFE_QUEUE_F_EVENT) != 0 && a->role == NFE_ROLE_FQ)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if (a->zero != 0)
		return nfed_refuse(&fn->counters.bad_reserved, -EINVAL);
	if ((a->flags & NFE_QUEUE_F_RING) != 0)
		need |= NFE_F_RING_MODE;
	if ((a->flags & NFE_QUEUE_F_EVENT) != 0)
		need |= NFE_F_EVENT_IDX;
	if ((need & ~fn->accepted) != 0)
		return nfed_refuse(&fn->counters.bad_value, -EOPNOTSUPP);
	return 0;
}

/* Sizes and indices. */
static int
check_geometry(struct nfed_function *fn, const struct nfe_req_queue *a)
{
	const struct nfed_limits *l = &fn->conf.limits;
	bool fill = a->role == NFE_ROLE_FQ;

	if (a->size_log2 < l->queue_log2_min || a->size_log2 > l->queue_log2_max ||
	    a->capacity == 0 || a->capacity > 1u << a->size_log2)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if (fill ? a->buf_size < 64 || a->buf_size > 65536 : a->buf_size != 0)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if (a->prod - a->cons > a->capacity)
		return nfed_refuse(&fn->counters.overrun, -EINVAL);
	return 0;
}

/* Alignment of the addresses; in ring mode the indices lie apart from entries and each other. */
static int
check_addresses(struct nfed_function *fn, const struct nfe_req_queue *a, uint64_t bytes)
{
	if (a->entries % entry_size(a->role) != 0)
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	if ((a->flags & NFE_QUEUE_F_RING) == 0) {
		if (a->host_idx != 0 || a->dev_idx != 0)
			return nfed_refuse(&fn->counters.bad_reserved, -EINVAL);
		return 0;
	}
	if (a->host_idx % 4 != 0 || a->dev_idx % 4 != 0 || a->host_idx == a->dev_idx ||
	    nfed_ranges_overlap(a->host_idx, 4, a->entries, bytes) ||
	    nfed_ranges_overlap(a->dev_idx, 4, a->entries, bytes))
		return nfed_refuse(&fn->counters.bad_value, -EINVAL);
	return 0;
}

/* Doorbell mode (3.3, 3.5): the host's index in the doorbell page, ours in the status block. */
static void
doorbell_indices(const struct nfed_channel *ch, struct nfed_queue *q)
{
	static const uint32_t db_off[] = {
		[NFE_ROLE_SQ] = NFE_DB_SQ_PROD,
		[NFE_ROLE_RQ] = NFE_DB_RQ_CONS,
		[NFE_ROLE_FQ] = NFE_DB_FQ_PROD,
	};
	const uint8_t *db = ch->fn->conf.db + ((size_t)ch->number << NFE_DB_STRIDE_LOG2);
	struct nfe_status *st = ch->status;

	q->host_idx = (const uint32_t *)(const void *)(db + db_off[q->role]);
	q->dev_idx = q->role == NFE_ROLE_SQ ? &st->sq_cons :
		     q->role == NFE_ROLE_RQ ? &st->rq_prod : &st->fq_cons;
}

/* Event indices stay in doorbell page and status block in both modes (5.4). */
static void
event_indices(const struct nfed_channel *ch, struct nfed_queue *q)
{
	const uint8_t *db = ch->fn->conf.db + ((size_t)ch->number << NFE_DB_STRIDE_LOG2);

	if (q->role == NFE_ROLE_SQ) {
		q->host_event = (const uint32_t *)(const void *)(db + NFE_DB_SQ_DONE_EVENT);
		q->dev_event = &ch->status->sq_event;
	} else if (q->role == NFE_ROLE_RQ) {
		q->host_event = (const uint32_t *)(const void *)(db + NFE_DB_RQ_EVENT);
	} else {
		q->dev_event = &ch->status->fq_event;
	}
}

/* Find entries and indices in the region; the whole array lies inside (rule 4). */
static int
place_queue(struct nfed_function *fn, const struct nfed_channel *ch, const struct nfe_req_queue *a,
	    struct nfed_queue *q)
{
	const uint32_t both = NFE_ACCESS_READ | NFE_ACCESS_WRITE;
	uint64_t bytes = entry_size(a->role) << a->size_log2;
	uint32_t access = a->role == NFE_ROLE_RQ ? NFE_ACCESS_WRITE : NFE_ACCESS_READ;
	uint8_t *host, *dev;
	int rc;

	rc = check_addresses(fn, a, bytes);
	if (rc < 0)
		return rc;
	if ((a->flags & NFE_QUEUE_F_RING) != 0)
		access = both;
	rc = resolve(fn, a->key, a->entries, bytes, access, &q->entries);
	if (rc < 0)
		return rc;
	event_indices(ch, q);
	if ((a->flags & NFE_QUEUE_F_RING) == 0) {
		doorbell_indices(ch, q);
		return 0;
	}
	rc = resolve(fn, a->key, a->host_idx, 4, both, &host);
	if (rc == 0)
		rc = resolve(fn, a->key, a->dev_idx, 4, both, &dev);
	if (rc < 0)
		return rc;
	q->host_idx = (const uint32_t *)(void *)host;
	q->dev_idx = (uint32_t *)(void *)dev;
	return 0;
}

static struct nfed_queue *
queue_of_role(struct nfed_channel *ch, uint8_t role)
{
	return role == NFE_ROLE_SQ ? &ch->sq : role == NFE_ROLE_RQ ? &ch->rq : &ch->fq;
}

int
nfed_op_set_queue(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	const struct nfe_req_queue *a = &req->queue;
	struct nfed_queue *slot, q;
	int rc;
	struct nfed_channel *ch = channel_live(fn, a->channel, &rc);

	(void)rsp;
	if (ch == NULL)
		return rc;
	if (ch->state != NFE_CHAN_STOPPED)
		return nfed_refuse(&fn->counters.bad_state, -EBUSY);
	rc = check_kind(fn, a);
	if (rc == 0)
		rc = check_geometry(fn, a);
	if (rc < 0)
		return rc;
	q = (struct nfed_queue){
		.mask = (1u << a->size_log2) - 1, .capacity = a->capacity,
		.prod = a->prod, .cons = a->cons, .buf_size = a->buf_size, .role = a->role,
		.may_sleep = (a->flags & NFE_QUEUE_F_EVENT) != 0,
		.region_idx = (uint16_t)NFE_KEY_INDEX(a->key),
	};
	rc = place_queue(fn, ch, a, &q);
	if (rc < 0)
		return rc;
	slot = queue_of_role(ch, a->role);
	nfed_channel_drop_queue(ch, slot); /* a queue set before is replaced (rule 13) */
	fn->regions.tbl[q.region_idx].users++;
	*slot = q;
	nfed_queue_publish(slot, a->role == NFE_ROLE_RQ ? a->prod : a->cons);
	return 0;
}

int
nfed_op_start_channel(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	int error;
	struct nfed_channel *ch = channel_live(fn, req->chan.channel, &error);

	(void)rsp;
	if (ch == NULL)
		return error;
	if (fn->state != NFE_STATE_READY)
		return nfed_refuse(&fn->counters.bad_state, -EAGAIN);
	if (ch->state != NFE_CHAN_STOPPED)
		return nfed_refuse(&fn->counters.bad_state, -EALREADY);
	/* A channel may only send; one that receives may do without buffers (inline frames).
	 * Every channel has a send queue: it is what the lcore polls. */
	if (ch->sq.role == 0 || (ch->fq.role != 0 && ch->rq.role == 0))
		return nfed_refuse(&fn->counters.bad_state, -EINVAL);
	return nfed_channel_run(ch);
}

int
nfed_op_stop_channel(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	int error;
	struct nfed_channel *ch = channel_live(fn, req->chan.channel, &error);
	uint64_t bit;

	(void)rsp;
	if (ch == NULL)
		return error;
	bit = UINT64_C(1) << (ch->number - 1);
	if (ch->state != NFE_CHAN_RUNNING && (fn->resume & bit) == 0)
		return nfed_refuse(&fn->counters.bad_state, -EALREADY);
	fn->resume &= ~bit;
	nfed_channel_halt(ch);
	return 0;
}
