/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The control channel at work (specification 7.1): take a request, check it, do it, answer it; send
 * events; act on what data lcores reported by nfed_fault().
 *
 * Called on the control thread on a kick, on the owner's attention() and whenever there is time.
 * Bounded: 32 requests a run, and no further one after 1 ms: some wait for data lcores, and all
 * guests have this one thread. A single one can take longer (memory of GiBs): of what runs take
 * beyond that, a guest gets a quarter of the thread over time, beside a second at once; then its
 * requests wait. A host that does not read its answers finds its requests left in the send queue
 * and its events kept as bits, so it costs nothing (rule 8). When there is time, or it reads again,
 * nfed_control_poll() notices, without a kick.
 */
#include <errno.h>
#include <stdio.h>

#include "nfed_clock.h"
#include "nfed_internal.h"

struct op {
	nfed_op_fn run;
	uint8_t used; /* bytes of args; the rest is reserved, hence zero */
};

static int
op_nop(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)fn;
	(void)req;
	(void)rsp;
	return 0;
}

static const struct op ops[NFE_OP_MAX] = {
	[NFE_OP_REGISTER] = { nfed_op_register, 24 },
	[NFE_OP_DEREGISTER] = { nfed_op_deregister, 4 },
	[NFE_OP_CREATE_CHANNEL] = { nfed_op_create_channel, 16 },
	[NFE_OP_DESTROY_CHANNEL] = { nfed_op_destroy_channel, 2 },
	[NFE_OP_SET_QUEUE] = { nfed_op_set_queue, 56 },
	[NFE_OP_START_CHANNEL] = { nfed_op_start_channel, 2 },
	[NFE_OP_STOP_CHANNEL] = { nfed_op_stop_channel, 2 },
	[NFE_OP_MAC] = { nfed_op_mac, 7 },
	[NFE_OP_RX_MODE] = { nfed_op_rx_mode, 4 },
	[NFE_OP_MTU] = { nfed_op_mtu, 4 },
	[NFE_OP_STATS] = { nfed_op_stats, 4 },
	[NFE_OP_NOP] = { op_nop, 0 },
	[NFE_OP_RSS_HASH] = { nfed_op_rss_hash, 48 },
	[NFE_OP_RSS_RETA] = { nfed_op_rss_reta, 52 },
	[NFE_OP_VLANS] = { nfed_op_vlans, 56 },
};

/* req is the private copy. */
static int
execute(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	const struct op *op;
	int rc;

	if (req->type != NFE_MSG_REQ || req->flags != 0)
		return nfed_refuse(&fn->counters.bad_type, -EINVAL);
	if (req->op >= NFE_OP_MAX || ops[req->op].run == NULL)
		return nfed_refuse(&fn->counters.bad_op, -ENOSYS);
	op = &ops[req->op];
	if (req->zero != 0 || !nfed_all_zero(req->args + op->used, sizeof(req->args) - op->used))
		return nfed_refuse(&fn->counters.bad_reserved, -EINVAL);
	if (req->op != NFE_OP_REGISTER)
		return op->run(fn, req, rsp);
	nfed_ctl_faults_pause(&fn->ctl_faults);
	rc = op->run(fn, req, rsp);
	nfed_ctl_faults_resume(&fn->ctl_faults);
	return rc;
}

/* One cell to the host, published at once: the control channel is not the fast path. */
static void
send_cell(struct nfed_ctrl *c, const void *cell)
{
	union nfe_msg msg;

	memcpy(&msg, cell, sizeof(msg));
	nfed_rq_write(&c->rq, 0, &msg);
	c->rq.prod++;
	nfed_queue_publish(&c->rq, c->rq.prod);
}

static void
interrupt_host(const struct nfed_function *fn)
{
	const struct nfed_function_conf *conf = &fn->conf;

	if (fn->ctrl.vector != NFE_NO_VECTOR && conf->transport->interrupt != NULL)
		conf->transport->interrupt(conf->transport_ctx, fn->ctrl.vector);
}

/* Is there room for one cell? An index of the host that makes no sense ends all writing. */
static bool
room_for_one(struct nfed_function *fn)
{
	struct nfed_ctrl *c = &fn->ctrl;
	int32_t room;

	if (c->rq.role == 0 || c->rq_broken || fn->dma_off)
		return false;
	room = nfed_rq_room(&c->rq, 1);
	c->rq_full = room == 0;
	if (room < 0) {
		c->rq_broken = true;
		fn->counters.overrun++;
		nfed_function_fail(fn, NFE_REASON_CTRL_OVERRUN,
				   "control RQ consumer ahead of its producer");
		return false;
	}
	return room > 0;
}

/* The next event that waits, most specific first; false if none. Clears its bit. */
static bool
next_event(struct nfed_function *fn, struct nfe_event *ev)
{
	struct nfed_ctrl *c = &fn->ctrl;

	*ev = (struct nfe_event){ .type = NFE_MSG_EVENT };
	if (c->channels_pending != 0) {
		unsigned int n = 1 + (unsigned int)__builtin_ctzll(c->channels_pending);

		c->channels_pending &= c->channels_pending - 1;
		ev->kind = NFE_EVENT_CHANNEL;
		ev->channel = (uint16_t)n;
		ev->value = __atomic_load_n(&fn->channel[n].fault, __ATOMIC_ACQUIRE);
	} else if (c->function_pending) {
		c->function_pending = false;
		ev->kind = NFE_EVENT_FUNCTION;
		ev->value = fn->reason;
	} else if (c->link_pending) {
		c->link_pending = false;
		ev->kind = NFE_EVENT_LINK;
		ev->value = fn->link;
	} else {
		return false;
	}
	return true;
}

bool
nfed_ctrl_flush_events(struct nfed_function *fn)
{
	struct nfe_event ev;
	bool any = false;

	while (room_for_one(fn) && next_event(fn, &ev)) {
		send_cell(&fn->ctrl, &ev);
		any = true;
	}
	if (any)
		interrupt_host(fn);
	return any;
}

/* What data lcores and the SIGBUS guard left for us. */
static void
check_faults(struct nfed_function *fn)
{
	enum nfe_reason first = NFE_REASON_NONE;
	char text[64] = "";

	for (unsigned int n = 1; n <= fn->conf.limits.max_channels; n++) {
		uint32_t fault = __atomic_load_n(&fn->channel[n].fault, __ATOMIC_ACQUIRE);

		if (fault == NFE_REASON_NONE)
			continue;
		fn->ctrl.channels_pending |= UINT64_C(1) << (n - 1);
		if (first == NFE_REASON_NONE) {
			first = (enum nfe_reason)fault;
			snprintf(text, sizeof(text), "channel %u: %s", n, nfe_reason_name(first));
		}
	}
	if (first != NFE_REASON_NONE) {
		nfed_function_fail(fn, first, text);
	} else if (nfed_ctrl_poisoned(fn)) {
		fn->counters.memory_gone++;
		nfed_function_fail(fn, NFE_REASON_MEMORY_GONE, "control queues vanished");
	}
}

static bool
answers(const struct nfed_function *fn)
{
	return !fn->dma_off &&
	       (fn->state == NFE_STATE_READY || fn->state == NFE_STATE_QUIESCED);
}

/* One request, from snapshot to published answer. */
static void
serve_one(struct nfed_function *fn)
{
	struct nfed_ctrl *c = &fn->ctrl;
	struct nfe_req req;
	struct nfe_rsp rsp;
	union nfe_msg cell;

	nfed_sq_snapshot(&c->sq, 0, &cell);
	c->sq.cons++;
	nfed_queue_publish(&c->sq, c->sq.cons);
	if (cell.type == NFE_MSG_NOP)
		return;
	memcpy(&req, &cell, sizeof(req));
	memset(&rsp, 0, sizeof(rsp)); /* rule 20 */
	fn->counters.requests++;
	rsp.type = NFE_MSG_RSP;
	rsp.id = req.id;
	rsp.status = execute(fn, &req, &rsp);
	send_cell(c, &rsp);
}

/* False: requests wait until nfed_control_poll() finds time for them. */
static bool
may_serve(struct nfed_function *fn)
{
	static const struct nfed_allowance_limit limit = {
		NFED_CTRL_AHEAD_US, (uint64_t)NFED_CTRL_SHARE * NFED_CTRL_AHEAD_US,
	};
	struct nfed_ctl_time *t = &fn->ctl_time;
	bool was = t->resting;

	t->resting = nfed_allowance_count(&t->us, &limit, nfed_now_us()) <= 0;
	fn->counters.rests += t->resting && !was;
	if (was && !t->resting && fn->conf.transport->rested != NULL)
		fn->conf.transport->rested(fn->conf.transport_ctx);
	return !t->resting;
}

/* A message of more than a third of a second would be more than a quarter of the time. Its guest could
 * have that again and again only by what is bounded elsewhere: pages mapped ahead, and so those
 * unmapped, by an allowance (nfed_dma_map.c); searches by a deadline (nfed_seek.h); and a thread frees
 * its memory (vfio_user_close.h). */
static void
charge(struct nfed_function *fn, uint64_t from_us)
{
	uint64_t us = nfed_now_us() - from_us;
	int64_t *left = &fn->ctl_time.us.left;

	if (us > NFED_CTRL_RUN_US)
		*left -= (int64_t)(us - NFED_CTRL_RUN_US);
	if (*left < -NFED_CTRL_DEBT_US)
		*left = -NFED_CTRL_DEBT_US;
}

bool
nfed_control_enter(struct nfed_function *fn)
{
	fn->ctl_time.entered_us = nfed_now_us();
	return may_serve(fn);
}

void
nfed_control_leave(struct nfed_function *fn)
{
	charge(fn, fn->ctl_time.entered_us);
}

bool
nfed_control_rests(const struct nfed_function *fn)
{
	return fn->ctl_time.resting;
}

/* Returns requests taken. */
static unsigned int
serve(struct nfed_function *fn)
{
	uint64_t from_us = nfed_now_us();
	struct nfed_ctrl *c = &fn->ctrl;
	unsigned int n;

	for (n = 0; n < NFED_CTRL_BUDGET && answers(fn) && room_for_one(fn); n++) {
		int32_t avail = nfed_queue_avail(&c->sq);

		if (avail < 0) {
			fn->counters.overrun++;
			nfed_function_fail(fn, NFE_REASON_CTRL_OVERRUN,
					   "control SQ producer beyond its size");
			break;
		}
		if (avail == 0 || (n > 0 && nfed_now_us() - from_us >= NFED_CTRL_RUN_US))
			break;
		serve_one(fn);
	}
	charge(fn, from_us);
	return n;
}

static bool
control_run(struct nfed_function *fn)
{
	unsigned int n;

	if (answers(fn))
		check_faults(fn);
	nfed_ctrl_flush_events(fn);
	if (!answers(fn) || !may_serve(fn))
		return false;
	n = serve(fn);
	if (n > 0)
		interrupt_host(fn);
	if (answers(fn) && nfed_ctrl_poisoned(fn))
		check_faults(fn); /* it vanished while we read: what we did is undone by failing */
	if (!answers(fn))
		return false;
	/* S1..S3. With a full RQ there is nothing to do until the host reads, whatever waits:
	 * nfed_control_poll() finds out. */
	return !nfed_sq_arm(&fn->ctrl.sq) && room_for_one(fn);
}

bool
nfed_control_run(struct nfed_function *fn)
{
	bool more;

	nfed_ctl_faults_begin(&fn->ctl_faults);
	more = control_run(fn);
	nfed_ctl_faults_end(fn);
	return more && answers(fn);
}

bool
nfed_control_poll(struct nfed_function *fn, uint64_t now_ms)
{
	struct nfed_ctrl *c = &fn->ctrl;

	if (fn->ctl_time.resting && may_serve(fn))
		return nfed_control_run(fn);
	if (!c->rq_full)
		return false;
	if (room_for_one(fn)) {
		c->stalled_ms = 0;
		return nfed_control_run(fn);
	}
	if (!answers(fn) || nfed_queue_avail(&c->sq) <= 0) {
		c->stalled_ms = 0; /* events may wait for ever, as bits */
	} else if (c->stalled_ms == 0) {
		c->stalled_ms = now_ms;
	} else if (now_ms - c->stalled_ms >= NFED_CTRL_STALL_MS) {
		c->stalled_ms = 0;
		fn->counters.stalled++;
		nfed_function_fail(fn, NFE_REASON_CTRL_STALLED,
				   "control RQ full for 5000 ms while a request waits");
	}
	return false;
}
