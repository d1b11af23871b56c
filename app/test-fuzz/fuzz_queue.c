/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Fuzzer of the hardened accessor and of the region translation: shared indices, event indices and
 * cells are the input's, geometry is ours. Memory is heap of exactly the size of the arrays, so
 * that ASan sees the first byte beyond. Needs only the headers of lib/nfe and lib/nfe_device.
 */
#include <stdlib.h>
#include <string.h>

#include <nfe_ctrl.h>

#include <nfed_queue.h>
#include <nfed_region.h>

#include "fuzz.h"

/* Shared words that the "host" may change at any moment. */
struct shared {
	uint32_t host_idx, dev_idx, host_event, dev_event;
};

static void
consume(struct nfed_queue *q, struct input *in)
{
	int32_t n = nfed_queue_avail(q);
	union nfe_msg msg;
	struct nfe_fill fill;

	CHECK(n >= -1 && (n < 0 || (uint32_t)n <= q->capacity));
	for (int32_t i = 0; i < n; i++) {
		if (q->role == NFE_ROLE_FQ)
			nfed_fq_snapshot(q, (uint32_t)i, &fill);
		else
			nfed_sq_snapshot(q, (uint32_t)i, &msg);
	}
	if (n > 0)
		q->cons += (uint32_t)(take(in, 1) % ((uint64_t)n + 1));
	nfed_queue_publish(q, q->cons);
}

static void
produce(struct nfed_queue *q, struct input *in)
{
	uint32_t want = (uint32_t)take(in, 1) % (q->capacity + 1);
	int32_t room = nfed_rq_room(q, want);
	union nfe_msg msg = { .type = NFE_MSG_NOP };

	CHECK(room >= -1 && (room < 0 || (uint32_t)room <= q->capacity));
	CHECK(q->prod - q->cons <= q->capacity); /* a bad index changed nothing of ours */
	for (uint32_t i = 0; room >= 0 && i < want && i < (uint32_t)room; i++)
		nfed_rq_write(q, i, &msg);
	if (room > 0)
		q->prod += want < (uint32_t)room ? want : (uint32_t)room;
	nfed_queue_publish(q, q->prod);
}

static void
fuzz_queue(struct input *in)
{
	uint32_t size = 1u << take(in, 1) % 7;
	uint8_t role = (uint8_t)(1 + take(in, 1) % 3);
	size_t entry = role == NFE_ROLE_FQ ? sizeof(struct nfe_fill) : NFE_MSG_SIZE;
	size_t bytes = size * entry;
	struct shared *s = calloc(1, sizeof(*s));
	uint8_t *entries = calloc(1, bytes);
	uint32_t first = (uint32_t)take(in, 4);
	struct nfed_queue q = {
		.entries = entries, .host_idx = &s->host_idx, .dev_idx = &s->dev_idx,
		.host_event = &s->host_event, .dev_event = &s->dev_event, .mask = size - 1,
		.capacity = 1 + (uint32_t)take(in, 1) % size, .prod = first, .cons = first,
		.published = first, .role = role,
	};

	s->host_idx = first;
	while (in->left > 0) {
		uint32_t old = q.published;

		s->host_idx += (uint32_t)take(in, 1) - 8;
		if (take(in, 1) % 8 == 0)
			s->host_idx = (uint32_t)take(in, 4);
		s->host_event = (uint32_t)take(in, 2) + first;
		entries[take(in, 2) % bytes] = (uint8_t)take(in, 1);
		if (role == NFE_ROLE_RQ)
			produce(&q, in);
		else
			consume(&q, in);
		nfed_queue_must_wake(&q, q.published, old);
		if (role == NFE_ROLE_SQ)
			nfed_sq_arm(&q);
	}
	free(entries);
	free(s);
}

/* Against a reference in 128 bits. */
static void
fuzz_region(struct input *in)
{
	static uint8_t anchor[1];
	struct nfed_region tbl[4];
	struct nfed_region_table t = { .tbl = tbl, .limits.max_regions = 1 + take(in, 1) % 4 };

	memset(tbl, 0, sizeof(tbl));
	for (unsigned int i = 0; i < 4; i++) {
		tbl[i].key = NFE_KEY(i, (uint32_t)take(in, 1));
		tbl[i].access = (uint32_t)take(in, 1) % 4;
		tbl[i].len = take(in, 8);
		tbl[i].base = anchor;
	}
	while (in->left > 0) {
		uint32_t key = (uint32_t)take(in, 2), access = (uint32_t)take(in, 1) % 4;
		uint64_t offset = take(in, 8), len = take(in, 8);
		uint32_t index = NFE_KEY_INDEX(key);
		struct nfed_region *r = NULL;
		uint8_t *addr = NULL;
		bool ok;

		if (tbl[index % 4].len > UINTPTR_MAX - (uintptr_t)anchor)
			tbl[index % 4].len = 1u << 20; /* a region lies in the address space */
		ok = nfed_region_at(&t, key, offset, len, access, &r, &addr) == NFED_XLATE_OK;
		CHECK(ok == (key != 0 && index < t.limits.max_regions && tbl[index].key == key &&
			     (tbl[index].access & access) == access &&
			     (__uint128_t)offset + len <= tbl[index].len));
		CHECK(!ok || r == &tbl[index]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (take(&in, 1) % 4 == 0)
		fuzz_region(&in);
	else
		fuzz_queue(&in);
	return 0;
}
