/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a guest may make us do: taken, earned again, overdrawn, by a clock of the test's own.
 */
#include <nfed_allowance.h>

#include "test.h"

#define START 1000000u
#define HUGE_AT_ONCE ((int64_t)1 << 20)
#define HUGE_REFILL ((uint64_t)1 << 41)

static int
a_new_one_is_full(void)
{
	const struct nfed_allowance_limit limit = { 10, 1000 };
	struct nfed_allowance a = { 0 };

	TEST_TRUE(!nfed_allowance_take(&a, &limit, START, 11)); /* never so many */
	TEST_TRUE(nfed_allowance_take(&a, &limit, START, 10));
	TEST_TRUE(!nfed_allowance_take(&a, &limit, START, 1));
	TEST_EQ(a.left, 0);
	return TEST_OK;
}

/* However often it is counted, nothing is earned twice, and each count loses less than a tick. */
static int
as_much_is_earned_in_small_steps(void)
{
	static const struct nfed_allowance_limit limits[] = {
		{ 10, 1000 }, { 1000, 10 }, { 1000, 3001 }, { 3001, 1000 },
	};

	for (unsigned int i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct nfed_allowance_limit *limit = &limits[i];
		uint64_t most = (uint64_t)limit->at_once, counts = 0;
		bool exact = limit->refill % most == 0;
		struct nfed_allowance a = { 0 };

		TEST_TRUE(nfed_allowance_take(&a, limit, START, limit->at_once));
		for (uint64_t t = 1; t < limit->refill; t += exact ? 1 : 7) {
			int64_t left = nfed_allowance_count(&a, limit, START + t);
			uint64_t lost = exact ? 0 : ++counts;

			TEST_TRUE(left <= (int64_t)(t * most / limit->refill));
			TEST_TRUE(left >= (int64_t)((t - lost) * most / limit->refill));
		}
	}
	return TEST_OK;
}

static int
no_more_is_kept_than_at_once(void)
{
	const struct nfed_allowance_limit limit = { 10, 1000 };
	struct nfed_allowance a = { 0 };

	TEST_EQ(nfed_allowance_count(&a, &limit, START), 10);
	TEST_EQ(nfed_allowance_count(&a, &limit, START + 100), 10);
	TEST_EQ(nfed_allowance_count(&a, &limit, UINT64_MAX / 2), 10);
	TEST_TRUE(nfed_allowance_take(&a, &limit, UINT64_MAX / 2, 10));
	TEST_EQ(nfed_allowance_count(&a, &limit, UINT64_MAX / 2 + 100), 1);
	return TEST_OK;
}

static int
what_is_overdrawn_is_paid_back(void)
{
	const struct nfed_allowance_limit limit = { 10, 1000 };
	struct nfed_allowance a = { 0 };

	TEST_TRUE(!nfed_allowance_charge(&a, &limit, START, 10));
	TEST_TRUE(nfed_allowance_charge(&a, &limit, START, 25));
	TEST_EQ(a.left, -25);
	TEST_EQ(nfed_allowance_count(&a, &limit, START + 2500), 0);
	TEST_TRUE(nfed_allowance_charge(&a, &limit, START + 2500, 1));
	TEST_EQ(nfed_allowance_count(&a, &limit, START + 9000), 10);
	return TEST_OK;
}

/* The clocks of two CPUs may differ a little. */
static int
clock_that_goes_back_earns_nothing(void)
{
	const struct nfed_allowance_limit limit = { 10, 1000 };
	struct nfed_allowance a = { 0 };

	TEST_TRUE(nfed_allowance_take(&a, &limit, START, 10));
	TEST_EQ(nfed_allowance_count(&a, &limit, START - 500), 0);
	TEST_EQ(nfed_allowance_count(&a, &limit, START + 500), 5);
	return TEST_OK;
}

/* The largest that configurations lead to. */
static int
large_limits_do_not_overflow(void)
{
	const struct nfed_allowance_limit limit = { HUGE_AT_ONCE, HUGE_REFILL };
	struct nfed_allowance a = { 0 };

	TEST_TRUE(nfed_allowance_charge(&a, &limit, START, 2 * HUGE_AT_ONCE));
	TEST_EQ(nfed_allowance_count(&a, &limit, START + HUGE_REFILL + HUGE_REFILL / 2),
		HUGE_AT_ONCE / 2);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(a_new_one_is_full),
	TEST_CASE(as_much_is_earned_in_small_steps),
	TEST_CASE(no_more_is_kept_than_at_once),
	TEST_CASE(what_is_overdrawn_is_paid_back),
	TEST_CASE(clock_that_goes_back_earns_nothing),
	TEST_CASE(large_limits_do_not_overflow),
};
TEST_SUITE(nfed_allowance, cases);
