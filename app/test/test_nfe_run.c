/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * drivers/net/nfe: pages put into the order of the device's address space, so that a PCI function
 * needs few regions. Made-up addresses only.
 */
#include <string.h>

#include <nfe_run.h>

#include "test.h"

#define PAGE UINT64_C(0x200000)
#define VA UINT64_C(0x100000000)
#define PA UINT64_C(0x40000000)
#define MANY 64u

static struct nfe_part
page(unsigned int va, unsigned int pa)
{
	return (struct nfe_part){ VA + va * PAGE, PA + pa * PAGE, PAGE };
}

static int
pages_in_order_become_one_part(void)
{
	struct nfe_part part[MANY];
	uint64_t bytes;

	for (unsigned int i = 0; i < MANY; i++)
		part[i] = page(i, i);
	TEST_EQ(nfe_parts_sort(part, MANY), 1);
	TEST_EQ(part[0].va, VA);
	TEST_EQ(part[0].iova, PA);
	TEST_EQ(part[0].len, MANY * PAGE);
	TEST_EQ(nfe_parts_run(part, 1, &bytes), 1);
	TEST_EQ(bytes, MANY * PAGE);
	return TEST_OK;
}

/* What Linux hands out: the last freed hugepage first. */
static int
pages_from_high_to_low_are_one_run(void)
{
	struct nfe_part part[MANY];
	uint64_t bytes;

	for (unsigned int i = 0; i < MANY; i++)
		part[i] = page(i, MANY - 1 - i);
	TEST_EQ(nfe_parts_sort(part, MANY), MANY);
	TEST_EQ(nfe_parts_run(part, MANY, &bytes), MANY);
	TEST_EQ(bytes, MANY * PAGE);
	for (unsigned int i = 0; i < MANY; i++) {
		TEST_EQ(part[i].iova, PA + i * PAGE);
		TEST_EQ(part[i].va, VA + (MANY - 1 - i) * PAGE);
	}
	return TEST_OK;
}

static int
a_gap_ends_the_run(void)
{
	struct nfe_part part[] = { page(0, 7), page(1, 2), page(2, 3), page(3, 6), page(4, 0) };
	uint64_t bytes;
	unsigned int n = nfe_parts_sort(part, 5);

	TEST_EQ(n, 4); /* 2 and 3 follow each other on both sides */
	TEST_EQ(nfe_parts_run(part, n, &bytes), 1);
	TEST_EQ(bytes, PAGE);
	TEST_EQ(nfe_parts_run(part + 1, n - 1, &bytes), 1);
	TEST_EQ(bytes, 2 * PAGE);
	TEST_EQ(part[1].va, VA + PAGE);
	TEST_EQ(nfe_parts_run(part + 2, n - 2, &bytes), 2);
	TEST_EQ(bytes, 2 * PAGE);
	TEST_EQ(part[2].va, VA + 3 * PAGE);
	TEST_EQ(part[3].va, VA);
	return TEST_OK;
}

static int
pages_side_by_side_here_only_stay_apart(void)
{
	struct nfe_part part[] = { page(0, 0), page(1, 8) };
	uint64_t bytes;

	TEST_EQ(nfe_parts_sort(part, 2), 2);
	TEST_EQ(nfe_parts_run(part, 2, &bytes), 1);
	TEST_EQ(bytes, PAGE);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(pages_in_order_become_one_part),
	TEST_CASE(pages_from_high_to_low_are_one_run),
	TEST_CASE(a_gap_ends_the_run),
	TEST_CASE(pages_side_by_side_here_only_stay_apart),
};
TEST_SUITE(nfe_run, cases);
