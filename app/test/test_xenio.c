/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The parser of numbers from xenstore, and the fake Xen itself: what the other Xen tests rely on
 * must be as on the real one (app/test-system/xen/xen-probe.c looks at that).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <xenio_fake.h>

#include "test.h"

static int
numbers_are_parsed_strictly(void)
{
	static const struct {
		const char *text;
		int rc;
		uint32_t value;
	} cases[] = {
		{ "0", 0, 0 }, { "4294967295", 0, UINT32_MAX }, { "0xffffffff", 0, UINT32_MAX },
		{ "0xAb", 0, 0xab }, { "007", 0, 7 }, { "", -EINVAL, 0 }, { "0x", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 }, { "1 ", -EINVAL, 0 }, { "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 }, { "1e3", -EINVAL, 0 }, { "0X1", -EINVAL, 0 },
		{ "4294967296", -ERANGE, 0 }, { "0x100000000", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t value = 0;

		TEST_ASSERT_MSG(xenio_parse_u32(cases[i].text, &value) == cases[i].rc, "\"%s\"",
				cases[i].text);
		TEST_EQ(value, cases[i].value);
	}
	return TEST_OK;
}

struct two {
	struct xenio_fake *w;
	struct xenio *dom0, *guest;
};

static int
open_two(struct two *t)
{
	t->w = xenio_fake_create();
	TEST_TRUE(t->w != NULL);
	xenio_fake_add_domain(t->w, 3);
	TEST_EQ(xenio_fake_open(t->w, 0, &t->dom0), 0);
	TEST_EQ(xenio_fake_open(t->w, 3, &t->guest), 0);
	return TEST_OK;
}

static int
close_two(struct two *t)
{
	struct xenio_fake_counts c;

	t->guest->ops->close(t->guest);
	t->dom0->ops->close(t->dom0);
	xenio_fake_counts(t->w, &c);
	xenio_fake_destroy(t->w);
	TEST_EQ(c.handles + c.watches + c.granted + c.mapped + c.ports + c.evts, 0);
	return TEST_OK;
}

static int
store_keeps_permissions_and_fires_watches(void)
{
	const struct xenio_perm perms[] = { { .domid = 3 }, { .read = true } };
	char value[32], path[64], token[16];
	struct two t;

	TEST_EQ(open_two(&t), TEST_OK);
	TEST_EQ(t.guest->ops->write(t.guest, 0, "data/x", "1"), 0); /* its own directory */
	TEST_EQ(t.guest->ops->write(t.guest, 0, "/local/domain/0/x", "1"), -EACCES);
	TEST_EQ(t.dom0->ops->write(t.dom0, 0, "/tool/y", "2"), 0);
	TEST_EQ(t.guest->ops->read(t.guest, 0, "/tool/y", value, sizeof(value)), -EACCES);
	TEST_EQ(t.dom0->ops->set_perms(t.dom0, 0, "/tool/y", perms, 2), 0);
	TEST_EQ(t.guest->ops->write(t.guest, 0, "/tool/y", "33"), 0);
	TEST_EQ(t.dom0->ops->read(t.dom0, 0, "/tool/y", value, sizeof(value)), 2);
	TEST_STR_EQ(value, "33");
	TEST_EQ(t.dom0->ops->read(t.dom0, 0, "/tool/y", value, 2), -E2BIG);
	TEST_EQ(t.dom0->ops->watch(t.dom0, "/tool", "tok"), 0);
	TEST_EQ(t.guest->ops->write(t.guest, 0, "/tool/y", "4"), 0);
	for (unsigned int i = 0; i < 2; i++) { /* once when set, once for the change */
		TEST_EQ(t.dom0->ops->watch_next(t.dom0, path, sizeof(path), token, sizeof(token)), 1);
		TEST_STR_EQ(token, "tok");
	}
	TEST_STR_EQ(path, "/tool/y");
	TEST_EQ(t.dom0->ops->watch_next(t.dom0, path, sizeof(path), token, sizeof(token)), 0);
	TEST_EQ(t.dom0->ops->unwatch(t.dom0, "/tool", "tok"), 0);
	TEST_EQ(t.dom0->ops->unwatch(t.dom0, "/tool", "tok"), -ENOENT);
	return close_two(&t);
}

static int
write_two(struct xenio *x, xenio_tx tx, void *arg)
{
	int *calls = arg, rc = x->ops->write(x, tx, "data/a", "1");

	(*calls)++;
	return rc == 0 ? x->ops->write(x, tx, "data/b", "2") : rc;
}

static int
transactions_are_all_or_nothing(void)
{
	char value[8];
	struct two t;
	int calls = 0;
	xenio_tx tx;

	TEST_EQ(open_two(&t), TEST_OK);
	TEST_EQ(t.guest->ops->tx_start(t.guest, &tx), 0);
	TEST_EQ(t.guest->ops->write(t.guest, tx, "data/a", "9"), 0);
	TEST_EQ(t.guest->ops->read(t.guest, tx, "data/a", value, sizeof(value)), 1);
	TEST_EQ(t.guest->ops->read(t.guest, 0, "data/a", value, sizeof(value)), -ENOENT);
	TEST_EQ(t.guest->ops->tx_end(t.guest, tx, true), 0);
	TEST_EQ(t.guest->ops->read(t.guest, 0, "data/a", value, sizeof(value)), -ENOENT);
	xenio_fake_conflict(t.w, 3);
	TEST_EQ(xenio_transact(t.guest, write_two, &calls), 0);
	TEST_EQ(calls, 4);
	TEST_EQ(t.dom0->ops->read(t.dom0, 0, "/local/domain/3/data/b", value, sizeof(value)), 1);
	xenio_fake_conflict(t.w, 1000);
	TEST_EQ(xenio_transact(t.guest, write_two, &calls), -EAGAIN); /* not for ever */
	return close_two(&t);
}

/* As with xenstored: what was read still stands at the end, or nothing was written. */
static int
transaction_ends_in_vain_if_what_it_read_has_changed(void)
{
	static const char *const changed[3] = { "data/a", "data/none", "data/other" };
	char value[8];
	struct two t;
	xenio_tx tx;

	TEST_EQ(open_two(&t), TEST_OK);
	for (unsigned int i = 0; i < 3; i++) {
		bool conflict = i < 2; /* the third one was not read */

		TEST_EQ(t.guest->ops->write(t.guest, 0, "data/a", "1"), 0);
		TEST_EQ(t.guest->ops->tx_start(t.guest, &tx), 0);
		TEST_EQ(t.guest->ops->read(t.guest, tx, "data/a", value, sizeof(value)), 1);
		TEST_EQ(t.guest->ops->read(t.guest, tx, "data/none", value, sizeof(value)), -ENOENT);
		TEST_EQ(t.guest->ops->write(t.guest, tx, "data/a", "2"), 0);
		TEST_EQ(t.guest->ops->write(t.guest, 0, changed[i], "1"), 0);
		TEST_EQ(t.guest->ops->tx_end(t.guest, tx, false), conflict ? -EAGAIN : 0);
		TEST_EQ(t.guest->ops->read(t.guest, 0, "data/a", value, sizeof(value)), 1);
		TEST_STR_EQ(value, conflict ? "1" : "2");
		TEST_EQ(t.guest->ops->rm(t.guest, 0, "data"), 0);
	}
	return close_two(&t);
}

static int
grants_reach_the_peer_alone_and_outlive_their_owner(void)
{
	uint32_t refs[3], mixed[3];
	struct xenio *other;
	void *offered, *taken;
	struct two t;

	TEST_EQ(open_two(&t), TEST_OK);
	xenio_fake_add_domain(t.w, 4);
	TEST_EQ(xenio_fake_open(t.w, 4, &other), 0);
	TEST_EQ(t.guest->ops->share(t.guest, 0, 3, refs, &offered), 0);
	TEST_EQ(other->ops->map(other, 3, refs, 3, &taken), -EINVAL);
	TEST_EQ(t.dom0->ops->map(t.dom0, 4, refs, 3, &taken), -EINVAL); /* not its owner */
	mixed[0] = refs[2];
	mixed[1] = refs[0];
	mixed[2] = refs[1];
	TEST_EQ(t.dom0->ops->map(t.dom0, 3, mixed, 3, &taken), 0);
	((uint8_t *)offered)[2 * 4096] = 7;
	TEST_EQ(((uint8_t *)taken)[0], 7);
	t.guest->ops->unshare(t.guest, offered, 3);
	TEST_EQ(((uint8_t *)taken)[0], 7);
	TEST_EQ(t.dom0->ops->map(t.dom0, 3, refs, 1, &offered), -EINVAL); /* given back */
	t.dom0->ops->unmap(t.dom0, taken, 3);
	other->ops->close(other);
	return close_two(&t);
}

static bool
readable(const struct xenio *x, struct xenio_evt *evt)
{
	struct pollfd pfd = { .fd = x->ops->evt_fd(evt), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static int
events_are_silent_until_unmasked_and_tell_of_an_unmap(void)
{
	struct xenio_evt *a, *b;
	int port, peer;
	uint32_t ref;
	void *page, *taken;
	struct two t;

	TEST_EQ(open_two(&t), TEST_OK);
	TEST_EQ(t.guest->ops->evt_open(t.guest, &a), 0);
	TEST_EQ(t.dom0->ops->evt_open(t.dom0, &b), 0);
	port = t.guest->ops->evt_unbound(a, 0);
	peer = t.dom0->ops->evt_bind(b, 3, (uint32_t)port);
	TEST_TRUE(port > 0 && peer > 0);
	TEST_EQ(t.dom0->ops->evt_bind(b, 3, (uint32_t)port), -EINVAL); /* taken */
	TEST_EQ(t.dom0->ops->evt_pending(b), peer); /* once when bound */
	t.dom0->ops->evt_unmask(b, peer);
	TEST_TRUE(!readable(t.dom0, b));
	for (unsigned int i = 0; i < 3; i++)
		t.guest->ops->evt_notify(a, port);
	TEST_TRUE(readable(t.dom0, b));
	TEST_EQ(t.dom0->ops->evt_pending(b), peer);
	TEST_EQ(t.dom0->ops->evt_pending(b), -EAGAIN);
	t.dom0->ops->evt_unmask(b, peer); /* what came meanwhile: once */
	TEST_EQ(t.dom0->ops->evt_pending(b), peer);
	t.dom0->ops->evt_unmask(b, peer);
	TEST_TRUE(!readable(t.dom0, b));
	TEST_EQ(t.guest->ops->share(t.guest, 0, 1, &ref, &page), 0);
	TEST_EQ(t.dom0->ops->map_notify(t.dom0, 3, ref, 16, b, peer, &taken), 0);
	((uint8_t *)taken)[16] = 1;
	t.dom0->ops->unmap(t.dom0, taken, 1);
	TEST_EQ(((uint8_t *)page)[16], 0);
	TEST_EQ(t.guest->ops->evt_pending(a), port);
	t.dom0->ops->evt_unbind(b, peer);
	TEST_TRUE(t.dom0->ops->evt_bind(b, 3, (uint32_t)port) > 0); /* again */
	return close_two(&t);
}

/* However it is given back; with the port's number or without. */
static int
shared_page_tells_of_its_end(void)
{
	static const bool by_port[] = { true, false };

	for (unsigned int i = 0; i < 4; i++) {
		struct xenio_evt *a, *b;
		void *page, *taken;
		int port, peer;
		uint32_t ref;
		struct two t;

		TEST_EQ(open_two(&t), TEST_OK);
		TEST_EQ(t.guest->ops->evt_open(t.guest, &a), 0);
		TEST_EQ(t.dom0->ops->evt_open(t.dom0, &b), 0);
		port = t.guest->ops->evt_unbound(a, 0);
		peer = t.dom0->ops->evt_bind(b, 3, (uint32_t)port);
		TEST_EQ(t.dom0->ops->evt_pending(b), peer);
		t.dom0->ops->evt_unmask(b, peer);
		TEST_EQ(t.guest->ops->share_notify(t.guest, 0, 16, a,
						   by_port[i % 2] ? port : XENIO_NO_PORT, &ref,
						   &page), 0);
		memset(page, 1, XENIO_PAGE_SIZE);
		TEST_EQ(t.dom0->ops->map(t.dom0, 3, &ref, 1, &taken), 0);
		if (i < 2)
			t.guest->ops->unshare(t.guest, page, 1);
		else
			t.guest->ops->close(t.guest); /* its process ended */
		for (unsigned int at = 0; at < XENIO_PAGE_SIZE; at++)
			TEST_EQ(((uint8_t *)taken)[at], at != 16);
		TEST_EQ(t.dom0->ops->evt_pending(b), by_port[i % 2] ? peer : -EAGAIN);
		t.dom0->ops->unmap(t.dom0, taken, 1);
		if (i >= 2)
			TEST_EQ(xenio_fake_open(t.w, 3, &t.guest), 0);
		TEST_EQ(close_two(&t), TEST_OK);
	}
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(numbers_are_parsed_strictly),
	TEST_CASE(store_keeps_permissions_and_fires_watches),
	TEST_CASE(transactions_are_all_or_nothing),
	TEST_CASE(transaction_ends_in_vain_if_what_it_read_has_changed),
	TEST_CASE(grants_reach_the_peer_alone_and_outlive_their_owner),
	TEST_CASE(events_are_silent_until_unmasked_and_tell_of_an_unmap),
	TEST_CASE(shared_page_tells_of_its_end),
};
TEST_SUITE(xenio, cases);
