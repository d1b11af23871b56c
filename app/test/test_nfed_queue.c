/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/nfe_device: channels, SET_QUEUE, and the hardened accessor in doorbell mode and on a stock
 * struct rte_ring that lies in the fake guest's memory. No EAL, no hugepages, no root.
 */
#include <errno.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <nfed_internal.h>

#include "fake_transport.h"
#include "test.h"

#define KEY NFE_KEY(1, 7)
#define KEY_RO NFE_KEY(2, 7) /* the same memory, for reading only */
#define REGION_LEN 0x10000u
#define STATUS 0x0u  /* offsets in the region */
#define STATUS2 0x200u
#define ENTRIES 0x1000u
#define WRAP 0xffffff00u

/* Booted, memory registered, channel 1 created. */
static int
with_channel(struct fake_guest *g, const struct nfed_function_conf *conf)
{
	TEST_EQ(fake_guest_create(g, conf), 0);
	TEST_EQ(fake_guest_boot(g, 5, 0), NFE_STATE_READY);
	TEST_EQ(fake_register(g, KEY, FAKE_DATA, REGION_LEN, 3), 0);
	TEST_EQ(fake_register(g, KEY_RO, FAKE_DATA, REGION_LEN, NFE_ACCESS_READ), 0);
	memset(g->mem + FAKE_DATA + STATUS, 0xa5, NFE_STATUS_SIZE);
	TEST_EQ(fake_create_channel(g, 1, 1, KEY, STATUS), 0);
	return TEST_OK;
}

static struct nfe_req
good_queue(uint8_t role)
{
	return (struct nfe_req){
		.op = NFE_OP_SET_QUEUE,
		.queue = { .channel = 1, .role = role, .size_log2 = 4, .capacity = 16, .key = KEY,
			   .buf_size = role == NFE_ROLE_FQ ? 2048 : 0, .entries = ENTRIES },
	};
}

static uint32_t
users(struct fake_guest *g)
{
	return nfed_function_regions(g->fn)->tbl[1].users;
}

static int
created_channel_shows_in_its_status_block(void)
{
	struct fake_guest g;
	struct nfe_status *st;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	st = fake_status(&g, FAKE_DATA + STATUS);
	TEST_EQ(st->generation, 1);
	TEST_EQ(st->state, NFE_CHAN_STOPPED);
	TEST_EQ(st->pad8[30], 0); /* zeroed to its end */
	TEST_EQ(users(&g), 1);
	TEST_EQ(fake_op_channel(&g, NFE_OP_DESTROY_CHANNEL, 1), 0);
	TEST_EQ(st->state, NFE_CHAN_NONE);
	TEST_EQ(users(&g), 0);
	TEST_EQ(fake_op_channel(&g, NFE_OP_DESTROY_CHANNEL, 1), -ENOENT);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
bad_channels_are_refused(void)
{
#define C(name) offsetof(struct nfed_counters, name)
	static const struct {
		uint16_t channel, vector;
		uint32_t key;
		uint64_t offset;
		int error;
		size_t counter;
	} row[] = {
		{ 0, 0, KEY, STATUS2, -EINVAL, C(bad_value) },
		{ 17, 0, KEY, STATUS2, -EINVAL, C(bad_value) },
		{ 0xffff, 0, KEY, STATUS2, -EINVAL, C(bad_value) },
		{ 1, 0, KEY, STATUS2, -EEXIST, C(occupied) },
		{ 2, 17, KEY, STATUS2, -EINVAL, C(bad_value) },
		{ 2, 0, KEY, STATUS2 + 64, -EINVAL, C(bad_value) },
		{ 2, 0, KEY, REGION_LEN, -EFAULT, C(bad_bounds) },
		{ 2, 0, KEY, REGION_LEN - 384, -EFAULT, C(bad_bounds) },
		{ 2, 0, KEY, UINT64_MAX - 127, -EFAULT, C(bad_bounds) },
		{ 2, 0, KEY_RO, STATUS2, -ENOENT, C(bad_key) },
		{ 2, 0, NFE_KEY(1, 8), STATUS2, -ENOENT, C(bad_key) },
		{ 2, 0, 0, STATUS2, -ENOENT, C(bad_key) },
	};
	struct fake_guest g;

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		const uint8_t *c;
		int rc;

		TEST_EQ(with_channel(&g, NULL), TEST_OK);
		c = (const uint8_t *)nfed_function_counters(g.fn);
		rc = fake_create_channel(&g, row[i].channel, row[i].vector, row[i].key,
					 row[i].offset);
		TEST_ASSERT_MSG(rc == row[i].error, "row %u: %d", i, rc);
		TEST_EQ(*(const uint64_t *)(const void *)(c + row[i].counter), 1);
		TEST_EQ(users(&g), 1);
		fake_guest_destroy(&g);
	}
	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	TEST_EQ(fake_create_channel(&g, 16, 16, KEY, REGION_LEN - 512), 0);
	fake_poison(&g, FAKE_DATA);
	TEST_EQ(fake_create_channel(&g, 2, 0, KEY, STATUS2), -EIO);
	TEST_EQ(nfed_function_counters(g.fn)->memory_gone, 1);
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* One field of a good SET_QUEUE changed. */
struct queue_row {
	const char *what;
	size_t field;
	uint8_t bytes; /* of the field */
	uint8_t role;
	uint64_t value;
	int error;
	size_t counter;
};

#define F(name) #name, offsetof(struct nfe_req_queue, name), \
		sizeof(((struct nfe_req_queue *)0)->name)
static const struct queue_row bad_queue[] = {
	{ F(channel), 1, 0, -EINVAL, C(bad_value) },
	{ F(channel), 1, 17, -EINVAL, C(bad_value) },
	{ F(channel), 1, 2, -ENOENT, C(bad_state) },
	{ F(role), 1, 0, -EINVAL, C(bad_value) },
	{ F(role), 1, NFE_ROLE_CQ, -EOPNOTSUPP, C(bad_value) },
	{ F(role), 1, 5, -EINVAL, C(bad_value) },
	{ F(flags), 1, 4, -EINVAL, C(bad_value) },
	{ F(flags), 1, 0x80, -EINVAL, C(bad_value) },
	{ F(flags), 3, NFE_QUEUE_F_EVENT, -EINVAL, C(bad_value) },
	{ F(size_log2), 1, 2, -EINVAL, C(bad_value) },
	{ F(size_log2), 1, 15, -EINVAL, C(bad_value) },
	{ F(size_log2), 1, 32, -EINVAL, C(bad_value) },
	{ F(size_log2), 1, UINT32_MAX, -EINVAL, C(bad_value) },
	{ F(size_log2), 1, 10, -EFAULT, C(bad_bounds) },
	{ F(capacity), 1, 0, -EINVAL, C(bad_value) },
	{ F(capacity), 1, 17, -EINVAL, C(bad_value) },
	{ F(capacity), 1, UINT32_MAX, -EINVAL, C(bad_value) },
	{ F(buf_size), 1, 64, -EINVAL, C(bad_value) },
	{ F(buf_size), 2, 64, -EINVAL, C(bad_value) },
	{ F(buf_size), 3, 0, -EINVAL, C(bad_value) },
	{ F(buf_size), 3, 63, -EINVAL, C(bad_value) },
	{ F(buf_size), 3, 65537, -EINVAL, C(bad_value) },
	{ F(key), 1, 0, -ENOENT, C(bad_key) },
	{ F(key), 1, NFE_KEY(1, 8), -ENOENT, C(bad_key) },
	{ F(key), 2, KEY_RO, -ENOENT, C(bad_key) },
	{ F(prod), 1, 17, -EINVAL, C(overrun) },
	{ F(cons), 1, 1, -EINVAL, C(overrun) },
	{ F(zero), 1, 1, -EINVAL, C(bad_reserved) },
	{ F(entries), 1, ENTRIES + 32, -EINVAL, C(bad_value) },
	{ F(entries), 3, ENTRIES + 8, -EINVAL, C(bad_value) },
	{ F(entries), 1, REGION_LEN - 15 * 64, -EFAULT, C(bad_bounds) },
	{ F(entries), 3, REGION_LEN - 15 * 16, -EFAULT, C(bad_bounds) },
	{ F(entries), 1, UINT64_MAX - 63, -EFAULT, C(bad_bounds) },
	{ F(host_idx), 1, 4, -EINVAL, C(bad_reserved) },
	{ F(dev_idx), 1, 4, -EINVAL, C(bad_reserved) },
};
#undef F

static int
bad_queues_are_refused_and_leave_nothing(void)
{
	for (unsigned int i = 0; i < sizeof(bad_queue) / sizeof(bad_queue[0]); i++) {
		const struct queue_row *row = &bad_queue[i];
		struct nfe_req req = good_queue(row->role);
		struct fake_guest g;
		const uint8_t *c;
		int rc;

		TEST_EQ(with_channel(&g, NULL), TEST_OK);
		c = (const uint8_t *)nfed_function_counters(g.fn);
		memcpy((uint8_t *)&req.queue + row->field, &row->value, row->bytes);
		rc = fake_request(&g, &req, NULL);
		TEST_ASSERT_MSG(rc == row->error, "row %u, %s = %llu: %d", i, row->what,
				(unsigned long long)row->value, rc);
		TEST_ASSERT_MSG(*(const uint64_t *)(const void *)(c + row->counter) == 1,
				"row %u, %s: not counted", i, row->what);
		TEST_EQ(users(&g), 1);
		TEST_EQ(nfed_function_channel(g.fn, 1)->sq.role, 0);
		fake_guest_destroy(&g);
	}
	return TEST_OK;
}

static int
ring_mode_indices_are_checked(void)
{
	static const struct {
		uint64_t host_idx, dev_idx;
		uint32_t key;
		int error;
	} row[] = {
		{ 0x800, 0x840, KEY, 0 },
		{ 0x800, 0x804, KEY, 0 },
		{ REGION_LEN - 4, 0, KEY, 0 },
		{ 0x801, 0x840, KEY, -EINVAL },
		{ 0x800, 0x842, KEY, -EINVAL },
		{ 0x800, 0x800, KEY, -EINVAL },
		{ ENTRIES, 0x840, KEY, -EINVAL },
		{ 0x800, ENTRIES + 16 * 64 - 4, KEY, -EINVAL },
		{ REGION_LEN, 0x840, KEY, -EFAULT },
		{ 0x800, UINT64_MAX - 3, KEY, -EFAULT },
		{ 0x800, 0x840, KEY_RO, -ENOENT },
	};

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct nfe_req req = good_queue(NFE_ROLE_SQ);
		struct fake_guest g;
		int rc;

		TEST_EQ(with_channel(&g, NULL), TEST_OK);
		req.queue.flags = NFE_QUEUE_F_RING;
		req.queue.key = row[i].key;
		req.queue.host_idx = row[i].host_idx;
		req.queue.dev_idx = row[i].dev_idx;
		rc = fake_request(&g, &req, NULL);
		TEST_ASSERT_MSG(rc == row[i].error, "row %u: %d", i, rc);
		TEST_EQ(users(&g), row[i].error == 0 ? 2 : 1);
		fake_guest_destroy(&g);
	}
	return TEST_OK;
}

static int
flags_need_their_feature(void)
{
	struct nfed_function_conf conf = { .limits = nfed_limits_default };
	struct nfe_req req = good_queue(NFE_ROLE_SQ);
	struct fake_guest g;

	TEST_EQ(with_channel(&g, &conf), TEST_OK);
	req.queue.flags = NFE_QUEUE_F_EVENT;
	TEST_EQ(fake_request(&g, &req, NULL), -EOPNOTSUPP);
	req.queue.flags = NFE_QUEUE_F_RING;
	req.queue.host_idx = 0x800;
	req.queue.dev_idx = 0x840;
	TEST_EQ(fake_request(&g, &req, NULL), -EOPNOTSUPP);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
queue_can_be_replaced_only_while_stopped(void)
{
	struct nfe_req sq = good_queue(NFE_ROLE_SQ), fq = good_queue(NFE_ROLE_FQ);
	struct fake_guest g;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), -EINVAL); /* no queue yet */
	TEST_EQ(fake_op_channel(&g, NFE_OP_STOP_CHANNEL, 1), -EALREADY);
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 2), -ENOENT);
	TEST_EQ(fake_request(&g, &sq, NULL), 0);
	TEST_EQ(fake_request(&g, &sq, NULL), 0); /* replaced, not leaked */
	TEST_EQ(users(&g), 2);
	TEST_EQ(fake_request(&g, &fq, NULL), 0);
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), -EINVAL); /* FQ without RQ */
	fq.queue.role = NFE_ROLE_RQ;
	fq.queue.buf_size = 0;
	TEST_EQ(fake_request(&g, &fq, NULL), 0);
	g.start_error = -ENOSPC;
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), -ENOSPC);
	TEST_EQ(fake_status(&g, FAKE_DATA)->state, NFE_CHAN_STOPPED);
	g.start_error = 0;
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), 0);
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), -EALREADY);
	TEST_EQ(fake_request(&g, &sq, NULL), -EBUSY);
	TEST_EQ(fake_op_channel(&g, NFE_OP_STOP_CHANNEL, 1), 0);
	TEST_EQ(fake_request(&g, &sq, NULL), 0);
	TEST_EQ(users(&g), 4);
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), 0);
	TEST_EQ(fake_op_channel(&g, NFE_OP_DESTROY_CHANNEL, 1), 0); /* stops it */
	TEST_EQ(g.running, 0);
	TEST_EQ(users(&g), 0);
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* Restart replay (8.2): the device goes on from the indices that the host gives, and says so. */
static int
initial_indices_are_taken_and_shown(void)
{
	struct nfe_req sq = good_queue(NFE_ROLE_SQ), rq = good_queue(NFE_ROLE_RQ);
	struct nfe_status *st;
	struct nfed_channel *ch;
	struct fake_guest g;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	st = fake_status(&g, FAKE_DATA);
	ch = nfed_function_channel(g.fn, 1);
	sq.queue.prod = 5;
	sq.queue.cons = 0xfffffff8u;
	sq.queue.flags = NFE_QUEUE_F_EVENT;
	TEST_EQ(fake_request(&g, &sq, NULL), 0);
	TEST_EQ(st->sq_cons, 0xfffffff8u);
	*fake_db(&g, 1, NFE_DB_SQ_PROD) = 5;
	TEST_EQ(nfed_queue_avail(&ch->sq), 13);
	TEST_TRUE(ch->sq.may_sleep);
	TEST_TRUE(ch->sq.host_event == fake_db(&g, 1, NFE_DB_SQ_DONE_EVENT));
	TEST_TRUE(ch->sq.dev_event == &st->sq_event);

	rq.queue.prod = 0x102;
	rq.queue.cons = 0x100;
	TEST_EQ(fake_request(&g, &rq, NULL), 0);
	TEST_EQ(st->rq_prod, 0x102);
	TEST_EQ(nfed_rq_room(&ch->rq, 1), 14);
	TEST_TRUE(ch->rq.host_event == fake_db(&g, 1, NFE_DB_RQ_EVENT));
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* What is known of the host's index is used up before it is read again, and bounded as ever. */
static int
host_index_is_read_when_needed_only(void)
{
	uint32_t host = 10, dev = 0;
	struct nfed_queue q = { .host_idx = &host, .dev_idx = &dev, .mask = 15, .capacity = 16 };

	TEST_TRUE(!nfed_queue_is_empty(&q));
	TEST_EQ(nfed_queue_ready(&q, 4), 10);
	host = 12;
	TEST_EQ(nfed_queue_ready(&q, 4), 10);
	q.cons = 8; /* 2 are known */
	TEST_EQ(nfed_queue_ready(&q, 4), 4);
	q.cons = 12;
	TEST_TRUE(nfed_queue_is_empty(&q));
	TEST_EQ(nfed_queue_ready(&q, 4), 0);
	host = 12 + 17;
	TEST_TRUE(!nfed_queue_is_empty(&q)); /* so the lie is found out */
	TEST_EQ(nfed_queue_ready(&q, 4), -1);
	TEST_EQ(nfed_queue_ready(&q, 4), -1); /* what was refused is not "known" */
	return TEST_OK;
}

/* Rule 20, against one byte at a time; with stale bytes and without. */
static int
trim_zeroes_exactly_the_tail(void)
{
	for (unsigned int keep = 1; keep <= NFE_MSG_SIZE; keep++)
		for (unsigned int dirty = keep; dirty <= NFE_MSG_SIZE; dirty++) {
			union nfe_msg m, want;

			memset(&m, 0, sizeof(m));
			memset(&m, 0xa5, keep);
			want = m;
			if (dirty < NFE_MSG_SIZE)
				m.bytes[dirty] = 0x5a;
			nfe_cell64_trim(&m, keep);
			TEST_MEM_EQ(&m, &want, sizeof(m));
		}
	return TEST_OK;
}

/* Any distance beyond the capacity is an overrun, in every role and around the wrap. */
static int
overrun_of_every_index_is_seen(void)
{
	struct nfe_req req = good_queue(NFE_ROLE_SQ);
	struct nfed_channel *ch;
	struct fake_guest g;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	ch = nfed_function_channel(g.fn, 1);
	for (uint8_t role = NFE_ROLE_SQ; role <= NFE_ROLE_FQ; role++) {
		uint32_t db = role == NFE_ROLE_SQ ? NFE_DB_SQ_PROD : role == NFE_ROLE_RQ ?
			      NFE_DB_RQ_CONS : NFE_DB_FQ_PROD;

		req = good_queue(role);
		req.queue.capacity = 15;
		req.queue.prod = req.queue.cons = WRAP;
		TEST_EQ(fake_request(&g, &req, NULL), 0);
		for (uint64_t d = 0; d <= UINT32_MAX; d = d < 40 ? d + 1 : d * 2 + 1) {
			uint32_t dist = (uint32_t)d;

			if (role == NFE_ROLE_RQ) {
				*fake_db(&g, 1, db) = WRAP - dist;
				TEST_EQ(nfed_rq_room(&ch->rq, 16),
					dist <= 15 ? 15 - (int)dist : -1);
			} else {
				*fake_db(&g, 1, db) = WRAP + dist;
				TEST_EQ(nfed_queue_avail(role == NFE_ROLE_SQ ? &ch->sq : &ch->fq),
					dist <= 15 ? (int)dist : -1);
			}
		}
	}
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
snapshot_is_not_changed_by_a_later_write(void)
{
	struct nfe_req req = good_queue(NFE_ROLE_SQ);
	struct nfed_channel *ch;
	struct fake_guest g;
	union nfe_msg *cell, copy;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	ch = nfed_function_channel(g.fn, 1);
	cell = (union nfe_msg *)(void *)(g.mem + FAKE_DATA + ENTRIES);
	memset(cell, 0x11, sizeof(*cell));
	nfed_sq_snapshot(&ch->sq, 0, &copy);
	memset(cell, 0x22, sizeof(*cell));
	TEST_EQ(copy.bytes[0], 0x11);
	TEST_EQ(copy.bytes[63], 0x11);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
writing_covers_the_whole_cell_and_no_other(void)
{
	struct nfe_req req = good_queue(NFE_ROLE_RQ);
	union nfe_msg msg = { .type = NFE_MSG_NOP };
	struct nfed_channel *ch;
	struct fake_guest g;
	const uint8_t *e;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	req.queue.prod = req.queue.cons = 15; /* the last slot */
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	ch = nfed_function_channel(g.fn, 1);
	e = g.mem + FAKE_DATA + ENTRIES;
	memset(g.mem + FAKE_DATA + ENTRIES - 64, 0xa5, 18 * 64);
	nfed_rq_write(&ch->rq, 0, &msg);
	nfed_rq_write(&ch->rq, 1, &msg); /* wraps to slot 0 */
	TEST_EQ(e[15 * 64], NFE_MSG_NOP);
	TEST_TRUE(nfed_all_zero(e + 15 * 64 + 1, 63));
	TEST_EQ(e[0], NFE_MSG_NOP);
	TEST_TRUE(nfed_all_zero(e + 1, 63));
	TEST_EQ(e[-1], 0xa5);
	TEST_EQ(e[64], 0xa5);
	TEST_EQ(e[15 * 64 - 1], 0xa5);
	TEST_EQ(e[16 * 64], 0xa5);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
sleep_and_wake_by_event_index(void)
{
	struct nfe_req sq = good_queue(NFE_ROLE_SQ), rq = good_queue(NFE_ROLE_RQ);
	struct nfed_channel *ch;
	struct fake_guest g;
	uint32_t old;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	sq.queue.prod = sq.queue.cons = rq.queue.prod = rq.queue.cons = 0xfffffffeu;
	TEST_EQ(fake_request(&g, &sq, NULL), 0);
	TEST_EQ(fake_request(&g, &rq, NULL), 0);
	ch = nfed_function_channel(g.fn, 1);
	*fake_db(&g, 1, NFE_DB_SQ_PROD) = 0xfffffffeu;
	TEST_TRUE(nfed_sq_arm(&ch->sq));
	TEST_EQ(fake_status(&g, FAKE_DATA)->sq_event, 0xfffffffeu);
	*fake_db(&g, 1, NFE_DB_SQ_PROD) = 0xffffffffu;
	TEST_TRUE(!nfed_sq_arm(&ch->sq)); /* S3: something came */

	*fake_db(&g, 1, NFE_DB_RQ_EVENT) = 0; /* wants the third */
	old = nfed_queue_publish(&ch->rq, 0xffffffffu);
	TEST_EQ(old, 0xfffffffeu);
	TEST_TRUE(!nfed_queue_must_wake(&ch->rq, ch->rq.published, old));
	old = nfed_queue_publish(&ch->rq, 3);
	TEST_TRUE(nfed_queue_must_wake(&ch->rq, ch->rq.published, old));
	old = nfed_queue_publish(&ch->rq, 4);
	TEST_TRUE(!nfed_queue_must_wake(&ch->rq, ch->rq.published, old)); /* once */
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* A stock ring in the guest's memory, and the request that offers it to the device. */
static struct rte_ring *
ring_in_guest(struct fake_guest *g, uint64_t off, uint8_t role, uint32_t first, struct nfe_req *req)
{
	struct rte_ring *r = (struct rte_ring *)(void *)(g->mem + FAKE_DATA + off);
	uint64_t prod = off + offsetof(struct rte_ring, prod.tail);
	uint64_t cons = off + offsetof(struct rte_ring, cons.tail);
	bool send = role == NFE_ROLE_SQ;

	if (rte_ring_init(r, "guest", 16, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
		return NULL;
	r->prod.head = r->prod.tail = r->cons.head = r->cons.tail = first;
	*req = good_queue(role);
	req->queue.flags = NFE_QUEUE_F_RING;
	req->queue.capacity = r->capacity;
	req->queue.entries = off + sizeof(*r);
	req->queue.prod = req->queue.cons = first;
	req->queue.host_idx = send ? prod : cons;
	req->queue.dev_idx = send ? cons : prod;
	return r;
}

static int
stock_rte_ring_is_served_both_ways(void)
{
	struct rte_ring *tx, *rx;
	struct nfed_channel *ch;
	struct fake_guest g;
	struct nfe_req req;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	tx = ring_in_guest(&g, 0x2000, NFE_ROLE_SQ, WRAP, &req);
	TEST_TRUE(tx != NULL);
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	rx = ring_in_guest(&g, 0x4000, NFE_ROLE_RQ, WRAP, &req);
	TEST_TRUE(rx != NULL);
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), 0);
	ch = nfed_function_channel(g.fn, 1);
	for (uint32_t i = 0; i < 1000; i++) { /* over the wrap of the indices */
		unsigned int n = 1 + i % 15;
		union nfe_msg out[16], in[16];

		memset(out, 0, sizeof(out));
		for (unsigned int k = 0; k < n; k++)
			out[k].u64[7] = (uint64_t)i << 8 | k;
		TEST_EQ(rte_ring_sp_enqueue_bulk_elem(tx, out, 64, n, NULL), n);
		TEST_EQ(nfed_queue_avail(&ch->sq), n);
		TEST_TRUE(nfed_rq_room(&ch->rq, n) >= (int32_t)n);
		for (unsigned int k = 0; k < n; k++) {
			nfed_sq_snapshot(&ch->sq, k, &in[k]);
			nfed_rq_write(&ch->rq, k, &in[k]);
		}
		ch->sq.cons += n;
		ch->rq.prod += n;
		nfed_queue_publish(&ch->sq, ch->sq.cons);
		nfed_queue_publish(&ch->rq, ch->rq.prod);
		memset(in, 0, sizeof(in));
		TEST_EQ(rte_ring_sc_dequeue_bulk_elem(rx, in, 64, n, NULL), n);
		TEST_MEM_EQ(in, out, n * sizeof(in[0]));
		TEST_TRUE(rte_ring_empty(tx) && rte_ring_empty(rx));
	}
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* Rule 2: what the guest writes into the ring's geometry changes nothing. */
static int
geometry_in_a_guests_ring_is_not_believed(void)
{
	union nfe_msg msg = { .type = NFE_MSG_INLINE };
	struct nfed_channel *ch;
	struct rte_ring *tx;
	struct fake_guest g;
	struct nfe_req req;

	TEST_EQ(with_channel(&g, NULL), TEST_OK);
	tx = ring_in_guest(&g, 0x2000, NFE_ROLE_SQ, 0, &req);
	TEST_TRUE(tx != NULL);
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), 0);
	ch = nfed_function_channel(g.fn, 1);
	TEST_EQ(rte_ring_sp_enqueue_elem(tx, &msg, 64), 0);
	tx->size = tx->mask = tx->capacity = UINT32_MAX;
	tx->cons.tail = tx->cons.head = 0xdead; /* ours: never read back */
	TEST_EQ(nfed_queue_avail(&ch->sq), 1);
	tx->prod.tail = 16; /* capacity is 15 */
	TEST_EQ(nfed_queue_avail(&ch->sq), -1);
	fake_guest_destroy(&g);
	return TEST_OK;
}
#undef C

static const struct test_case cases[] = {
	TEST_CASE(created_channel_shows_in_its_status_block),
	TEST_CASE(bad_channels_are_refused),
	TEST_CASE(bad_queues_are_refused_and_leave_nothing),
	TEST_CASE(ring_mode_indices_are_checked),
	TEST_CASE(flags_need_their_feature),
	TEST_CASE(queue_can_be_replaced_only_while_stopped),
	TEST_CASE(initial_indices_are_taken_and_shown),
	TEST_CASE(host_index_is_read_when_needed_only),
	TEST_CASE(trim_zeroes_exactly_the_tail),
	TEST_CASE(overrun_of_every_index_is_seen),
	TEST_CASE(snapshot_is_not_changed_by_a_later_write),
	TEST_CASE(writing_covers_the_whole_cell_and_no_other),
	TEST_CASE(sleep_and_wake_by_event_index),
	TEST_CASE(stock_rte_ring_is_served_both_ways),
	TEST_CASE(geometry_in_a_guests_ring_is_not_believed),
};
TEST_SUITE(nfed_queue, cases);
