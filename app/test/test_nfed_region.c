/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/nfe_device: region table, its limits, and the translation of the data path. A refused request
 * leaves bytes, mappings and users as they were. No hugepages, no root.
 */
#include <errno.h>

#include <nfed_internal.h>

#include "fake_transport.h"
#include "test.h"

#define KEY NFE_KEY(3, 5)
#define RW (NFE_ACCESS_READ | NFE_ACCESS_WRITE)

static int
booted(struct fake_guest *g, const struct nfed_region_limits *limits)
{
	struct nfed_function_conf conf = { .limits = nfed_limits_default };

	if (limits != NULL)
		conf.limits.region = *limits;
	TEST_EQ(fake_guest_create(g, &conf), 0);
	TEST_EQ(fake_guest_boot(g, 5, 0), NFE_STATE_READY);
	return TEST_OK;
}

/* Nothing registered, nothing mapped but the control channel. */
static int
nothing_left(const struct fake_guest *g)
{
	const struct nfed_region_table *t = nfed_function_regions(g->fn);

	TEST_EQ(t->nb_regions, 0);
	TEST_EQ(t->bytes, 0);
	TEST_EQ(t->mappings, 0);
	TEST_EQ(g->live_maps, NFED_CTRL_PARTS);
	return TEST_OK;
}

static int
register_and_deregister(void)
{
	const struct nfed_region_table *t;
	struct fake_guest g;

	TEST_EQ(booted(&g, NULL), TEST_OK);
	t = nfed_function_regions(g.fn);
	g.nb_pieces = 3;
	TEST_EQ(fake_register(&g, KEY, FAKE_DATA, 0x4000, RW), 0);
	TEST_EQ(t->nb_regions, 1);
	TEST_EQ(t->bytes, 0x4000);
	TEST_EQ(t->mappings, 3);
	TEST_TRUE(t->tbl[3].base == g.mem + FAKE_DATA);
	TEST_EQ(fake_op_key(&g, NFE_OP_DEREGISTER, KEY), 0);
	TEST_EQ(nothing_left(&g), TEST_OK);
	TEST_EQ(g.quiesces, 1);
	/* the same index with another tag makes the old key stale */
	TEST_EQ(fake_register(&g, NFE_KEY(3, 6), FAKE_DATA, 0x1000, RW), 0);
	TEST_EQ(fake_op_key(&g, NFE_OP_DEREGISTER, KEY), -ENOENT);
	TEST_EQ(fake_op_key(&g, NFE_OP_DEREGISTER, NFE_KEY(3, 6)), 0);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
bad_registration_leaves_nothing(void)
{
#define C(name) offsetof(struct nfed_counters, name)
	static const struct {
		uint32_t key, access;
		uint64_t iova, len;
		int error;
		size_t counter;
	} row[] = {
		{ 0, 1, FAKE_IOVA, 4096, -EINVAL, C(bad_key) },
		{ KEY, 0, FAKE_IOVA, 4096, -EINVAL, C(bad_value) },
		{ KEY, 4, FAKE_IOVA, 4096, -EINVAL, C(bad_value) },
		{ KEY, 1, FAKE_IOVA, 0, -EINVAL, C(bad_value) },
		{ KEY, 1, FAKE_IOVA, 4095, -EINVAL, C(bad_value) },
		{ KEY, 1, FAKE_IOVA + 1, 4096, -EINVAL, C(bad_value) },
		{ KEY, 1, FAKE_IOVA + 64, 4096, -EINVAL, C(bad_value) },
		{ KEY, 1, UINT64_MAX - 4095, 8192, -EINVAL, C(bad_bounds) },
		{ KEY, 1, FAKE_IOVA, UINT64_MAX - 4095, -EINVAL, C(bad_bounds) },
		{ KEY, 1, UINT64_MAX - 4095, 4096, -EFAULT, C(bad_bounds) },
		{ KEY, 1, FAKE_IOVA - 4096, 8192, -EFAULT, C(bad_bounds) },
		{ KEY, 1, FAKE_IOVA + FAKE_MEM_SIZE, 4096, -EFAULT, C(bad_bounds) },
		{ NFE_KEY(256, 1), 1, FAKE_IOVA, 4096, -ENOSPC, C(limit) },
		{ NFE_KEY(4095, 1), 1, FAKE_IOVA, 4096, -ENOSPC, C(limit) },
		{ KEY, 1, FAKE_IOVA, UINT64_C(1) << 40, -ENOSPC, C(limit) },
		{ KEY, 3, FAKE_IOVA, 4096, -EACCES, C(denied) },
	};
#undef C
	struct fake_guest g;

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct nfe_req req = {
			.op = NFE_OP_REGISTER,
			.reg = { .key = row[i].key, .access = row[i].access, .iova = row[i].iova,
				 .len = row[i].len },
		};
		const uint8_t *c;
		int rc;

		TEST_EQ(booted(&g, NULL), TEST_OK);
		c = (const uint8_t *)nfed_function_counters(g.fn);
		g.access = NFE_ACCESS_READ;
		rc = fake_request(&g, &req, NULL);
		TEST_ASSERT_MSG(rc == row[i].error, "row %u: %d", i, rc);
		TEST_ASSERT_MSG(*(const uint64_t *)(const void *)(c + row[i].counter) == 1,
				"row %u: not counted", i);
		TEST_EQ(nothing_left(&g), TEST_OK);
		fake_guest_destroy(&g);
	}
	return TEST_OK;
}

static int
errors_of_the_transport_reach_the_guest(void)
{
	static const int error[] = { -EFAULT, -EACCES, -ENODATA, -ENOSPC, -ENOMEM };
	struct fake_guest g;

	TEST_EQ(booted(&g, NULL), TEST_OK);
	for (unsigned int i = 0; i < sizeof(error) / sizeof(error[0]); i++) {
		g.map_error = error[i];
		TEST_EQ(fake_register(&g, KEY, FAKE_DATA, 4096, RW), error[i]);
		TEST_EQ(nothing_left(&g), TEST_OK);
	}
	TEST_EQ(nfed_function_counters(g.fn)->hole, 1);
	TEST_EQ(nfed_function_counters(g.fn)->limit, 2);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
occupied_index_is_refused(void)
{
	struct fake_guest g;

	TEST_EQ(booted(&g, NULL), TEST_OK);
	TEST_EQ(fake_register(&g, KEY, FAKE_DATA, 4096, RW), 0);
	TEST_EQ(fake_register(&g, KEY, FAKE_DATA, 4096, RW), -EEXIST);
	TEST_EQ(fake_register(&g, NFE_KEY(3, 99), FAKE_DATA, 4096, RW), -EEXIST);
	TEST_EQ(nfed_function_counters(g.fn)->occupied, 2);
	TEST_EQ(nfed_function_regions(g.fn)->nb_regions, 1);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
limits_of_bytes_and_mappings_hold(void)
{
	const struct nfed_region_limits limits = { .max_regions = 8, .max_bytes = 0x8000,
						   .max_mappings = 5 };
	struct fake_guest g;

	TEST_EQ(booted(&g, &limits), TEST_OK);
	TEST_EQ(fake_register(&g, NFE_KEY(0, 1), FAKE_DATA, 0x6000, RW), 0);
	TEST_EQ(fake_register(&g, NFE_KEY(1, 1), FAKE_DATA, 0x3000, RW), -ENOSPC);
	TEST_EQ(fake_register(&g, NFE_KEY(1, 1), FAKE_DATA, 0x2000, RW), 0);
	TEST_EQ(fake_register(&g, NFE_KEY(2, 1), FAKE_DATA, 0x1000, RW), -ENOSPC);
	TEST_EQ(fake_op_key(&g, NFE_OP_DEREGISTER, NFE_KEY(0, 1)), 0);
	g.nb_pieces = 5;
	TEST_EQ(fake_register(&g, NFE_KEY(2, 1), FAKE_DATA, 0x1000, RW), -ENOSPC);
	g.nb_pieces = 4;
	TEST_EQ(fake_register(&g, NFE_KEY(2, 1), FAKE_DATA, 0x1000, RW), 0);
	g.nb_pieces = 1;
	TEST_EQ(fake_register(&g, NFE_KEY(4, 1), FAKE_DATA, 0x1000, RW), -ENOSPC);
	TEST_EQ(fake_register(&g, NFE_KEY(8, 1), FAKE_DATA, 0x1000, RW), -ENOSPC);
	TEST_EQ(nfed_function_counters(g.fn)->limit, 5);
	TEST_EQ(nfed_function_regions(g.fn)->bytes, 0x3000);
	TEST_EQ(nfed_function_regions(g.fn)->mappings, 5);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
memory_in_use_is_busy(void)
{
	struct fake_guest g;

	TEST_EQ(booted(&g, NULL), TEST_OK);
	TEST_EQ(fake_register(&g, KEY, FAKE_DATA, 4096, RW), 0);
	TEST_EQ(fake_create_channel(&g, 1, NFE_NO_VECTOR, KEY, 0), 0);
	TEST_EQ(fake_op_key(&g, NFE_OP_DEREGISTER, KEY), -EBUSY);
	TEST_EQ(nfed_function_counters(g.fn)->busy, 1);
	TEST_EQ(fake_op_channel(&g, NFE_OP_DESTROY_CHANNEL, 1), 0);
	TEST_EQ(fake_op_key(&g, NFE_OP_DEREGISTER, KEY), 0);
	TEST_EQ(nothing_left(&g), TEST_OK);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
key_is_cleared_before_unmapping(void)
{
	struct fake_guest g;

	TEST_EQ(booted(&g, NULL), TEST_OK);
	g.running = 1; /* as if an lcore ran: the fake then checks the order */
	TEST_EQ(fake_register(&g, KEY, FAKE_DATA, 4096, RW), 0);
	TEST_TRUE(g.lcores_may_read);
	TEST_EQ(fake_op_key(&g, NFE_OP_DEREGISTER, KEY), 0);
	TEST_TRUE(!g.order_broken);
	g.running = 0;
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
translation_is_bounded_in_64_bits(void)
{
	static uint8_t memory[64];
	struct nfed_region tbl[4] = {
		[2] = { .key = NFE_KEY(2, 9), .access = NFE_ACCESS_READ, .base = memory,
			.len = UINT64_C(0x123456000) },
	};
	const struct nfed_region_table t = { .tbl = tbl, .limits.max_regions = 4 };
	const uint32_t key = NFE_KEY(2, 9);
	const uint64_t len = tbl[2].len;
	const struct {
		uint32_t key;
		uint64_t offset, bytes;
		uint32_t access;
		enum nfed_xlate want;
	} row[] = {
		{ key, 0, 1, 1, NFED_XLATE_OK },
		{ key, 0, len, 1, NFED_XLATE_OK },
		{ key, len - 1, 1, 1, NFED_XLATE_OK },
		{ key, len, 0, 1, NFED_XLATE_OK },
		{ key, len, 1, 1, NFED_XLATE_BOUNDS },
		{ key, len + 1, 0, 1, NFED_XLATE_BOUNDS },
		{ key, 0, len + 1, 1, NFED_XLATE_BOUNDS },
		{ key, 1, UINT64_MAX, 1, NFED_XLATE_BOUNDS },
		{ key, UINT64_MAX, 1, 1, NFED_XLATE_BOUNDS },
		{ key, UINT64_MAX, UINT64_MAX, 1, NFED_XLATE_BOUNDS },
		{ key, UINT64_C(1) << 32, len - (UINT64_C(1) << 32) + 1, 1, NFED_XLATE_BOUNDS },
		{ key, 0, 1, 2, NFED_XLATE_KEY },
		{ key, 0, 1, 3, NFED_XLATE_KEY },
		{ NFE_KEY(2, 8), 0, 1, 1, NFED_XLATE_KEY },
		{ NFE_KEY(1, 9), 0, 1, 1, NFED_XLATE_KEY },
		{ NFE_KEY(4, 9), 0, 1, 1, NFED_XLATE_KEY },
		{ NFE_KEY(0xfffu, 0xfffffu), 0, 1, 1, NFED_XLATE_KEY },
		{ 0, 0, 0, 0, NFED_XLATE_KEY },
	};

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct nfed_region *r = NULL;
		uint8_t *addr = NULL;
		enum nfed_xlate got = nfed_region_at(&t, row[i].key, row[i].offset, row[i].bytes,
						     row[i].access, &r, &addr);

		TEST_ASSERT_MSG(got == row[i].want, "row %u: %d", i, got);
		if (got == NFED_XLATE_OK) {
			TEST_TRUE(r == &tbl[2]);
			TEST_EQ((uintptr_t)addr - (uintptr_t)memory, row[i].offset);
		}
	}
	return TEST_OK;
}

static int
ranges_overlap_only_where_they_do(void)
{
	TEST_TRUE(nfed_ranges_overlap(0, 1, 0, 1));
	TEST_TRUE(nfed_ranges_overlap(0, 10, 9, 1));
	TEST_TRUE(nfed_ranges_overlap(9, 1, 0, 10));
	TEST_TRUE(!nfed_ranges_overlap(0, 10, 10, 1));
	TEST_TRUE(!nfed_ranges_overlap(10, 1, 0, 10));
	TEST_TRUE(!nfed_ranges_overlap(5, 0, 0, 10));
	TEST_TRUE(nfed_ranges_overlap(UINT64_MAX, 1, 0, UINT64_MAX) == false);
	TEST_TRUE(nfed_ranges_overlap(UINT64_MAX - 1, 2, UINT64_MAX, 1));
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(register_and_deregister),
	TEST_CASE(bad_registration_leaves_nothing),
	TEST_CASE(errors_of_the_transport_reach_the_guest),
	TEST_CASE(occupied_index_is_refused),
	TEST_CASE(limits_of_bytes_and_mappings_hold),
	TEST_CASE(memory_in_use_is_busy),
	TEST_CASE(key_is_cleared_before_unmapping),
	TEST_CASE(translation_is_bounded_in_64_bits),
	TEST_CASE(ranges_overlap_only_where_they_do),
};
TEST_SUITE(nfed_region, cases);
