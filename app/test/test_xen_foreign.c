/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Memory that a guest does not grant (doc/xen-protocol.md 4.3): who must allow it, what a hostile
 * front end may name, and that nothing stays mapped. Domain 5 has frames FRAMES_AT .. + FRAMES.
 */
#include <errno.h>
#include <sys/mman.h>

#include <nfed_internal.h>

#include "test_xen_fixture.h"

#define FRAMES_AT 0x12345u
#define FRAMES 64u

static int memory_fd = -1;
static uint8_t *memory;

static int
page_of(void *arg, uint64_t gfn, uint64_t *offset)
{
	(void)arg;
	if (gfn < FRAMES_AT || gfn >= FRAMES_AT + FRAMES)
		return -1;
	*offset = (gfn - FRAMES_AT) * NFE_PAGE_SIZE;
	return memory_fd;
}

static int
open_memory(void)
{
	if (memory_fd >= 0)
		return TEST_OK;
	memory_fd = memfd_create("guest", MFD_CLOEXEC);
	TEST_EQ(ftruncate(memory_fd, FRAMES * NFE_PAGE_SIZE), 0);
	memory = mmap(NULL, FRAMES * NFE_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	TEST_TRUE(memory != MAP_FAILED);
	return TEST_OK;
}

/* As "vif-ctl xen attach --foreign". */
static void
make_foreign_device(struct xt_world *t, const char *vif)
{
	xenio_write(t->dom0, XENIO_NO_TX, "/local/domain/0/backend/nfe/5/0", NFE_XEN_KEY_FOREIGN, "1");
	xt_make_device(t->dom0, 5, 0, vif);
	xt_run(t);
}

/* Connected, with a life page or without. */
static int
open_connected(struct xt_world *t, struct xt_hand *f, bool life)
{
	struct nfe_xen_life *page;

	TEST_EQ(open_memory(), TEST_OK);
	TEST_EQ(xt_open(t), TEST_OK);
	xenio_fake_memory(t->w, 5, page_of, NULL);
	make_foreign_device(t, "a");
	TEST_EQ(xt_hand_open(t, f, 5, 0, XT_PAGES), TEST_OK);
	if (life)
		TEST_EQ(xt_hand_life(f, true, &page), 0);
	xt_hand_keys(f);
	xt_hand_state(f, NFE_XEN_INITIALISED);
	xt_settle(t);
	TEST_EQ(xt_back_state(f), NFE_XEN_CONNECTED);
	xt_hand_state(f, NFE_XEN_CONNECTED);
	return TEST_OK;
}

static int
add_region(struct xt_world *t, struct xt_hand *f, uint64_t gfn, uint64_t pages)
{
	const struct nfe_req req = {
		.op = NFE_OP_REGISTER,
		.reg = { .key = NFE_KEY(0, 1), .access = NFE_ACCESS_READ | NFE_ACCESS_WRITE,
			 .iova = NFE_XEN_FOREIGN_IOVA + gfn * NFE_PAGE_SIZE,
			 .len = pages * NFE_PAGE_SIZE },
	};

	return xt_hand_request(t, f, &req);
}

static unsigned int
foreign_pages(const struct xt_world *t)
{
	struct xenio_fake_counts c;

	xenio_fake_counts(t->w, &c);
	return c.foreign;
}

static int
toolstack_operator_and_domain_must_allow_it(void)
{
	static const struct {
		bool asked, memory;
		const char *vif, *error;
		uint32_t pages;
	} row[] = {
		{ true, true, "a", "", XT_MAX_PAGES },
		{ false, true, "a", "", 0 },
		{ true, true, "b", "foreign mapping is refused: VIF b has no \"foreign on\" in the "
		  "configuration", 0 },
		{ true, false, "a", "foreign mapping is refused: domain 5 is neither PVH nor HVM", 0 },
	};
	const char *back = "/local/domain/0/backend/nfe/5/0";
	char error[XENIO_VALUE_MAX];
	uint32_t pages;

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct xt_world t;

		TEST_EQ(xt_open(&t), TEST_OK);
		if (row[i].memory)
			xenio_fake_memory(t.w, 5, page_of, NULL);
		if (row[i].asked)
			make_foreign_device(&t, row[i].vif);
		else
			xt_make_device(t.dom0, 5, 0, row[i].vif);
		xt_run(&t);
		TEST_EQ(xenio_read_u32(t.dom0, back, NFE_XEN_KEY_MAX_FOREIGN, &pages), 0);
		TEST_ASSERT_MSG(pages == row[i].pages, "row %u: %u pages", i, pages);
		TEST_TRUE(xenio_read(t.dom0, back, NFE_XEN_KEY_ERROR, error, sizeof(error)) >= 0);
		TEST_STR_EQ(error, row[i].error);
		xt_close(&t);
	}
	return TEST_OK;
}

static int
run_of_guest_frames_is_a_region(void)
{
	const struct nfe_req del = { .op = NFE_OP_DEREGISTER, .reg = { .key = NFE_KEY(0, 1) } };
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(open_connected(&t, &f, true), TEST_OK);
	for (unsigned int i = 0; i < 3; i++) {
		struct nfed_region *r = &nfed_xen_vif_function(t.vif[0])->regions.tbl[0];

		memset(memory, (int)i, FRAMES * NFE_PAGE_SIZE);
		TEST_EQ(add_region(&t, &f, FRAMES_AT + 3, FRAMES - 3), 0);
		TEST_EQ(foreign_pages(&t), FRAMES - 3);
		TEST_EQ(nfed_xen_vif_foreign_pages(t.vif[0]), FRAMES - 3);
		r->base[0] = 77; /* both see the same */
		r->base[(FRAMES - 3) * NFE_PAGE_SIZE - 1] = 78;
		TEST_EQ(memory[3 * NFE_PAGE_SIZE], 77);
		TEST_EQ(memory[FRAMES * NFE_PAGE_SIZE - 1], 78);
		TEST_EQ(memory[3 * NFE_PAGE_SIZE - 1], i);
		TEST_EQ(xt_hand_request(&t, &f, &del), 0);
		TEST_EQ(foreign_pages(&t) + nfed_xen_vif_foreign_pages(t.vif[0]), 0);
	}
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

#define COUNTER(name) offsetof(struct nfed_xen_counters, name)

static int
frames_that_are_not_the_guests_are_refused(void)
{
	static const struct {
		uint64_t gfn, pages;
		int status;
		size_t counter;
	} bad[] = {
		{ FRAMES_AT - 1, 2, -EFAULT, COUNTER(foreign_bad) },
		{ FRAMES_AT + FRAMES, 1, -EFAULT, COUNTER(foreign_bad) },
		{ FRAMES_AT, FRAMES + 1, -EFAULT, COUNTER(foreign_bad) },
		{ FRAMES_AT + FRAMES - 1, 2, -EFAULT, COUNTER(foreign_bad) },
		{ 0, 1, -EFAULT, COUNTER(foreign_bad) },
		{ (1ull << 40) - 1, 1, -EFAULT, COUNTER(foreign_bad) },
		{ (1ull << 40) - 1, 2, -EFAULT, COUNTER(foreign_bad) }, /* beyond 52 bits */
		{ 1ull << 40, 1, -EFAULT, COUNTER(bad_bounds) },
		{ (1ull << 50) - 1, 1, -EFAULT, COUNTER(bad_bounds) },
		{ FRAMES_AT | 1ull << 40, 1, -EFAULT, COUNTER(bad_bounds) },
	};
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(open_connected(&t, &f, true), TEST_OK);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint64_t *counter = (const uint64_t *)(const void *)
			((const uint8_t *)xt_counters(&t) + bad[i].counter);
		uint64_t before = *counter;
		int rc = add_region(&t, &f, bad[i].gfn, bad[i].pages);

		TEST_ASSERT_MSG(rc == bad[i].status && *counter == before + 1, "row %u: %d", i, rc);
		TEST_EQ(foreign_pages(&t), 0);
	}
	TEST_EQ(add_region(&t, &f, FRAMES_AT, XT_MAX_PAGES + 1), -ENOSPC); /* the function's limit */
	xenio_fake_fail(t.w, XENIO_FAKE_MAP, 1, -ENOMEM);
	TEST_EQ(add_region(&t, &f, FRAMES_AT, 1), -ENOMEM);
	TEST_EQ(add_region(&t, &f, FRAMES_AT, 1), 0);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
without_a_life_page_nothing_is_mapped(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(open_connected(&t, &f, false), TEST_OK);
	TEST_EQ(add_region(&t, &f, FRAMES_AT, 1), -EACCES);
	TEST_EQ(xt_counters(&t)->foreign_denied, 1);
	TEST_EQ(foreign_pages(&t), 0);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
bad_life_page_is_refused(void)
{
	static const struct {
		const char *ref;
		size_t counter;
	} bad[] = {
		{ "7", COUNTER(bad_ref) }, { "123456", COUNTER(unmappable) },
		{ "x", COUNTER(bad_value) }, { "4294967296", COUNTER(bad_value) },
	};
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(open_connected(&t, &f, true), TEST_OK);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint64_t *counter = (const uint64_t *)(const void *)
			((const uint8_t *)xt_counters(&t) + bad[i].counter);
		uint64_t before = *counter;

		xt_hand_state(&f, NFE_XEN_INITIALISING);
		xt_settle(&t);
		xenio_write(f.x, XENIO_NO_TX, f.front, NFE_XEN_KEY_LIFE_REF, "%s", bad[i].ref);
		xt_hand_state(&f, NFE_XEN_INITIALISED);
		xt_settle(&t);
		TEST_ASSERT_MSG(xt_back_state(&f) == NFE_XEN_CLOSING && *counter == before + 1,
				"life-ref %s", bad[i].ref);
	}
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

/* Its kernel would give the pages to others, and the switch still write to them. */
static int
process_that_ends_is_let_go_of_at_once(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;
	char back[64];
	uint32_t state;

	TEST_EQ(open_connected(&t, &f, true), TEST_OK);
	TEST_EQ(add_region(&t, &f, FRAMES_AT, FRAMES), 0);
	memcpy(back, f.back, sizeof(back));
	xt_hand_close(&f); /* as by kill -9: xenstore hears nothing */
	xt_run(&t);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped + c.foreign, 0);
	TEST_EQ(xt_counters(&t)->died, 1);
	TEST_EQ(xenio_read_u32(t.dom0, back, NFE_XEN_KEY_STATE, &state), 0);
	TEST_EQ(state, NFE_XEN_CLOSED);
	xt_close(&t);
	return TEST_OK;
}

static int
end_of_the_domain_unmaps_all(void)
{
	for (unsigned int crash = 0; crash < 2; crash++) {
		struct xenio_fake_counts c;
		struct xt_world t;
		struct xt_hand f;

		TEST_EQ(open_connected(&t, &f, true), TEST_OK);
		TEST_EQ(add_region(&t, &f, FRAMES_AT, FRAMES), 0);
		if (crash != 0)
			xenio_fake_crash_domain(t.w, 5);
		else
			xenio_fake_destroy_domain(t.w, 5);
		xt_settle(&t);
		xenio_fake_counts(t.w, &c);
		TEST_EQ(c.mapped + c.foreign, 0);
		TEST_TRUE(!nfed_xen_vif_connected(t.vif[0]));
		xt_hand_close(&f);
		xt_close(&t);
	}
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(toolstack_operator_and_domain_must_allow_it),
	TEST_CASE(run_of_guest_frames_is_a_region),
	TEST_CASE(frames_that_are_not_the_guests_are_refused),
	TEST_CASE(without_a_life_page_nothing_is_mapped),
	TEST_CASE(bad_life_page_is_refused),
	TEST_CASE(process_that_ends_is_let_go_of_at_once),
	TEST_CASE(end_of_the_domain_unmaps_all),
};
TEST_SUITE(xen_foreign, cases);
