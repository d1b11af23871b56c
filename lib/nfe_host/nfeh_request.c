/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Control channel, host end (specification 7): requests kept as Pending until Success or Failure,
 * responses and events checked before use (rule 16), because the device is another process that
 * may be broken too.
 *
 *      nfeh_request_locked                         device
 *      post: cell, SQ_PROD, kick    ───────────►  handle
 *      wait: irq 0, hang-up, stop, deadline
 *      drain: copy cell, check id   ◄───────────  cell, rq_prod, interrupt
 *
 * The queues live in memory from the bus. Called with the lock, which is held until the answer
 * is there; events that come meanwhile are handled here and wake the control thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "nfeh_internal.h"

#define NO_IRQ_POLL_MS 1 /* a bus without interrupts: look that often */

static const char *const op_names[NFE_OP_MAX] = {
	[NFE_OP_REGISTER] = "REGISTER",
	[NFE_OP_DEREGISTER] = "DEREGISTER",
	[NFE_OP_CREATE_CHANNEL] = "CREATE_CHANNEL",
	[NFE_OP_DESTROY_CHANNEL] = "DESTROY_CHANNEL",
	[NFE_OP_SET_QUEUE] = "SET_QUEUE",
	[NFE_OP_START_CHANNEL] = "START_CHANNEL",
	[NFE_OP_STOP_CHANNEL] = "STOP_CHANNEL",
	[NFE_OP_MAC] = "MAC",
	[NFE_OP_RX_MODE] = "RX_MODE",
	[NFE_OP_MTU] = "MTU",
	[NFE_OP_STATS] = "STATS",
	[NFE_OP_NOP] = "NOP",
	[NFE_OP_RSS_HASH] = "RSS_HASH",
	[NFE_OP_RSS_RETA] = "RSS_RETA",
	[NFE_OP_VLANS] = "VLANS",
};

static uint32_t *
doorbell(struct nfeh *h, uint32_t reg)
{
	return (uint32_t *)(void *)(h->bus->db + reg);
}

int
nfeh_ctl_create(struct nfeh *h)
{
	int rc = nfe_bus_mem_alloc(h->bus, sizeof(struct nfeh_ctl), &h->ctl_mem);

	if (rc == 0)
		h->ctl = h->ctl_mem.addr;
	return rc;
}

void
nfeh_ctl_destroy(struct nfeh *h)
{
	nfe_bus_mem_free(h->bus, &h->ctl_mem);
}

void
nfeh_ctl_restart_locked(struct nfeh *h)
{
	memset(h->ctl, 0, sizeof(*h->ctl));
	memset(h->pending, 0, sizeof(h->pending));
	h->sq_prod = h->first_index;
	h->rq_cons = h->first_index;
	h->ctl->status.sq_cons = h->first_index; /* nobody shares it before GO */
	h->ctl->status.rq_prod = h->first_index;
	nfe_idx_publish(doorbell(h, NFE_DB_SQ_PROD), h->first_index);
	nfe_idx_publish(doorbell(h, NFE_DB_RQ_CONS), h->first_index);
	nfe_idx_publish(doorbell(h, NFE_DB_RQ_EVENT), h->first_index);
}

static struct nfeh_pending *
find_pending(struct nfeh *h, enum nfeh_pending_state state, uint16_t id)
{
	for (unsigned int i = 0; i < NFEH_PENDING; i++) {
		struct nfeh_pending *p = &h->pending[i];

		if (p->state == state && (state == NFEH_FREE || p->id == id))
			return p;
	}
	return NULL;
}

static void
handle_response(struct nfeh *h, const struct nfe_rsp *rsp)
{
	struct nfeh_pending *p = find_pending(h, NFEH_PENDING_YET, rsp->id);

	if (p == NULL) {
		h->counters.bad_id++;
		return;
	}
	p->rsp = *rsp;
	/* These two mean something of our own to the callers of nfeh_request_locked(). */
	if (rsp->status > 0 || rsp->status < -4095 || rsp->status == -ERESTART ||
	    rsp->status == -ETIMEDOUT) {
		h->counters.bad_status++;
		p->rsp.status = -EPROTO;
	}
	p->state = p->rsp.status == 0 ? NFEH_SUCCESS : NFEH_FAILURE;
}

static void
handle_event(struct nfeh *h, const struct nfe_event *ev)
{
	if (ev->kind == NFE_EVENT_LINK && ev->channel == 0 && ev->value <= 1) {
		h->device_link = ev->value == 1;
		nfeh_wake_control(h);
	} else if (ev->kind == NFE_EVENT_CHANNEL && ev->channel != 0 &&
		   ev->channel <= h->info.max_channels) {
		nfeh_fail_locked(h, "channel %u failed: %s (%u)", ev->channel,
				 nfeh_reason_name(ev->value), ev->value);
	} else if (ev->kind == NFE_EVENT_FUNCTION && ev->channel == 0) {
		nfeh_fail_locked(h, "the function failed: %s (%u)", nfeh_reason_name(ev->value),
				 ev->value);
	} else {
		h->counters.bad_event++;
	}
}

static void
handle_cell(struct nfeh *h, const union nfe_msg *cell)
{
	if (cell->flags != 0) {
		h->counters.bad_type++;
		return;
	}
	switch (cell->type) {
	case NFE_MSG_RSP: {
		struct nfe_rsp rsp;

		memcpy(&rsp, cell, sizeof(rsp));
		handle_response(h, &rsp);
		break;
	}
	case NFE_MSG_EVENT: {
		struct nfe_event ev;

		memcpy(&ev, cell, sizeof(ev));
		handle_event(h, &ev);
		break;
	}
	case NFE_MSG_NOP:
		break;
	default:
		h->counters.bad_type++;
	}
}

/* Take what the device published. The interrupt is cleared first: what is published after that look
 * raises it again. */
void
nfeh_drain_locked(struct nfeh *h)
{
	uint32_t prod, avail;

	nfe_bus_irq_clear(h->bus, 0);
	prod = nfe_idx_read(&h->ctl->status.rq_prod); /* R1 */
	avail = prod - h->rq_cons;
	if (avail > NFEH_CTL_CELLS) {
		h->counters.bad_index++;
		nfeh_fail_locked(h, "control queue: producer %u, consumer %u, size %u", prod,
				 h->rq_cons, NFEH_CTL_CELLS);
		return;
	}
	for (; avail > 0; avail--) {
		union nfe_msg cell; /* private copy (rule 1) */

		nfe_cell_copy(&cell, &h->ctl->rq[h->rq_cons & (NFEH_CTL_CELLS - 1)], NFE_MSG_SIZE);
		h->rq_cons++;
		handle_cell(h, &cell);
	}
	nfe_idx_publish(doorbell(h, NFE_DB_RQ_CONS), h->rq_cons); /* W2 */
	nfe_idx_publish(doorbell(h, NFE_DB_RQ_EVENT), h->rq_cons);
}

/* Where the answer costs no more than the kick we hear at once that the function was reset or is
 * gone, instead of after a deadline. -ERESTART then. */
static int
ring_control(struct nfeh *h)
{
	int answer = NFE_TRIGGER_BUSY;

	if (h->bus->ops->ring != NULL && (h->info.features & NFE_F_TRIGGER) != 0)
		answer = h->bus->ops->ring(h->bus, 0);
	if (answer == NFE_TRIGGER_ACCEPTED)
		return 0;
	if (answer == NFE_TRIGGER_BUSY) {
		h->bus->ops->kick(h->bus, 0); /* never refused */
		return 0;
	}
	nfeh_drain_locked(h); /* an event may say it better */
	nfeh_fail_locked(h, "the function takes no requests: it was reset, or it is gone");
	return -ERESTART;
}

/* -ETIMEDOUT at once: the device let more requests lie than there is room for. */
static int
post(struct nfeh *h, const struct nfe_req *req, struct nfeh_pending **out)
{
	uint32_t used = h->sq_prod - nfe_idx_read(&h->ctl->status.sq_cons); /* R2 */
	struct nfeh_pending *p = find_pending(h, NFEH_FREE, 0);
	struct nfe_req cell = *req;
	int rc;

	if (p == NULL || used >= NFEH_CTL_CELLS) {
		if (used > NFEH_CTL_CELLS)
			h->counters.bad_index++;
		return -ETIMEDOUT;
	}
	p->id = h->next_id++;
	p->state = NFEH_PENDING_YET;
	cell.type = NFE_MSG_REQ;
	cell.id = p->id;
	nfe_cell_copy(&h->ctl->sq[h->sq_prod & (NFEH_CTL_CELLS - 1)], &cell, NFE_MSG_SIZE);
	h->sq_prod++;
	h->counters.requests++;
	nfe_idx_publish(doorbell(h, NFE_DB_SQ_PROD), h->sq_prod); /* W1 */
	*out = p;
	rc = ring_control(h); /* always: the control path need not save a system call */
	if (rc < 0)
		p->state = NFEH_FREE;
	return rc;
}

/* 0: something may have happened. */
static int
wait_for_answer(struct nfeh *h, uint64_t deadline_ms)
{
	struct nfe_bus *bus = h->bus;
	uint64_t now = nfeh_now_ms();
	struct pollfd pfd[3] = {
		{ .fd = bus->ops->irq_fd(bus, 0), .events = POLLIN },
		{ .fd = bus->ops->hup_fd(bus), .events = POLLRDHUP },
		{ .fd = h->stop_fd, .events = POLLIN },
	};
	int timeout;

	if (bus->ops->deferred != NULL)
		bus->ops->deferred(bus); /* our own kick, where it needs a round trip */
	if (now >= deadline_ms)
		return -ETIMEDOUT;
	timeout = (int)(deadline_ms - now);
	if (pfd[0].fd < 0 && timeout > NO_IRQ_POLL_MS)
		timeout = NO_IRQ_POLL_MS;
	poll(pfd, 3, timeout);
	if (pfd[1].revents != 0)
		return -ERESTART;
	return pfd[2].revents != 0 ? -ECANCELED : 0;
}

/* Pending -> Success or Failure, or given up. A last look after the end of waiting: the answer may
 * have come just before the device went. */
static int
await(struct nfeh *h, struct nfeh_pending *p, unsigned int timeout_ms)
{
	uint64_t deadline_ms = nfeh_now_ms() + timeout_ms;
	bool attached = h->state == NFEH_STATE_UP;
	int rc = 0;

	for (;;) {
		nfeh_drain_locked(h);
		if (p->state != NFEH_PENDING_YET)
			return 0;
		if (rc < 0)
			return rc;
		if (attached && h->state != NFEH_STATE_UP)
			return -ERESTART; /* the function failed */
		rc = wait_for_answer(h, deadline_ms);
	}
}

int
nfeh_request_locked(struct nfeh *h, const struct nfe_req *req, struct nfe_rsp *rsp,
		    unsigned int timeout_ms)
{
	struct nfeh_pending *p;
	int rc = post(h, req, &p);

	if (rc < 0) {
		*(rc == -ERESTART ? &h->counters.restarts : &h->counters.timeouts) += 1;
		return rc;
	}
	rc = await(h, p, timeout_ms);
	if (rc == 0) {
		*rsp = p->rsp;
		rc = p->rsp.status;
	} else if (rc == -ETIMEDOUT) {
		h->counters.timeouts++;
	} else if (rc == -ERESTART) {
		h->counters.restarts++;
		nfeh_hangup_locked(h);
	}
	p->state = NFEH_FREE; /* a late answer finds no pending id */
	return rc;
}

int
nfeh_call_locked(struct nfeh *h, struct nfe_req *req, enum nfe_op op, struct nfe_rsp *rsp)
{
	struct nfe_rsp mine;
	int rc;

	req->op = op;
	rc = nfeh_request_locked(h, req, rsp != NULL ? rsp : &mine, nfeh_answer_ms(h));
	if (rc == -ETIMEDOUT)
		nfeh_fail_locked(h, "%s not answered after %u ms", op_names[op], nfeh_answer_ms(h));
	return rc;
}

struct by_hand {
	const struct nfe_req *req;
	struct nfe_rsp *rsp;
	unsigned int timeout_ms;
	bool posted;
};

static int
request_op(struct nfeh *h, void *arg)
{
	struct by_hand *a = arg;

	if (a->posted)
		return -ECONNRESET; /* once only: nfeh_run() would try again */
	a->posted = true;
	return nfeh_request_locked(h, a->req, a->rsp, a->timeout_ms);
}

int
nfeh_request(struct nfeh *h, const struct nfe_req *req, struct nfe_rsp *rsp,
	     unsigned int timeout_ms)
{
	struct by_hand a = { .req = req, .rsp = rsp, .timeout_ms = timeout_ms };
	int rc = nfeh_run(h, request_op, &a, false);

	/* Lost with its device, whether that came back in time or not. */
	return a.posted && (rc == -ECONNRESET || rc == -ENOLINK) ? -ERESTART : rc;
}
