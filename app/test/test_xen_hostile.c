/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A hostile front end against the Xen back end: every key and every word of the index page wrong in
 * turn, each refused with its own counter, nothing left mapped, and the next good one served.
 */
#include <errno.h>

#include "test_xen_fixture.h"

#define COUNTER(name) offsetof(struct nfed_xen_counters, name)

static uint64_t
counter_at(const struct xt_world *t, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const uint8_t *)xt_counters(t) + offset, sizeof(value));
	return value;
}

/* What is on the table now is refused, with this counter and no other refusal. */
static int
refused(struct xt_world *t, struct xt_hand *f, size_t counter, uint32_t reason)
{
	uint64_t before = counter_at(t, counter), failed = xt_counters(t)->failed;
	struct xenio_fake_counts c;
	uint32_t told = 99;

	xt_hand_state(f, NFE_XEN_INITIALISED);
	xt_settle(t);
	TEST_EQ(xt_back_state(f), NFE_XEN_CLOSING);
	TEST_EQ(counter_at(t, counter), before + 1);
	TEST_EQ(xt_counters(t)->failed, failed + 1);
	TEST_EQ(xenio_read_u32(f->x, f->back, NFE_XEN_KEY_REASON, &told), 0);
	TEST_EQ(told, reason);
	xenio_fake_counts(t->w, &c);
	TEST_EQ(c.mapped, 0);
	TEST_EQ(c.ports, 1); /* the guest's own */
	xt_hand_state(f, NFE_XEN_INITIALISING);
	xt_settle(t);
	TEST_EQ(xt_back_state(f), NFE_XEN_INIT_WAIT);
	return TEST_OK;
}

static int
then_a_good_one_is_served(struct xt_world *t, struct xt_hand *f)
{
	xt_hand_index(f);
	xt_hand_keys(f);
	xt_hand_state(f, NFE_XEN_INITIALISED);
	xt_settle(t);
	TEST_EQ(xt_back_state(f), NFE_XEN_CONNECTED);
	xt_hand_close(f);
	xt_close(t);
	return TEST_OK;
}

static int
bad_keys_are_refused_by_reason(void)
{
	static const struct {
		const char *key, *value; /* NULL: missing */
		size_t counter;
		uint32_t reason;
	} bad[] = {
		{ "version", "2", COUNTER(bad_version), NFE_REASON_ABI },
		{ "version", NULL, COUNTER(missing), NFE_REASON_BOOT_BLOCK },
		{ "version", "", COUNTER(bad_value), NFE_REASON_BOOT_BLOCK },
		{ "index-ref", "8 ", COUNTER(bad_value), NFE_REASON_BOOT_BLOCK },
		{ "index-ref", "-8", COUNTER(bad_value), NFE_REASON_BOOT_BLOCK },
		{ "index-ref", "4294967296", COUNTER(bad_value), NFE_REASON_BOOT_BLOCK },
		{ "index-ref", "99999999999999999999999999", COUNTER(bad_value),
		  NFE_REASON_BOOT_BLOCK },
		{ "index-ref", "0", COUNTER(bad_ref), NFE_REASON_BOOT_MEMORY },
		{ "index-ref", "7", COUNTER(bad_ref), NFE_REASON_BOOT_MEMORY },
		{ "index-ref", "123456", COUNTER(unmappable), NFE_REASON_BOOT_MEMORY },
		{ "nr-pages", "0", COUNTER(bad_pages), NFE_REASON_BOOT_MEMORY },
		{ "nr-pages", "3", COUNTER(bad_pages), NFE_REASON_BOOT_MEMORY },
		{ "nr-pages", "2049", COUNTER(bad_pages), NFE_REASON_BOOT_MEMORY },
		{ "nr-pages", "4294967295", COUNTER(bad_pages), NFE_REASON_BOOT_MEMORY },
		{ "nr-pages", "9", COUNTER(bad_index), NFE_REASON_BOOT_MEMORY },
		{ "doorbell-page", "6", COUNTER(bad_pages), NFE_REASON_BOOT_MEMORY },
		{ "doorbell-page", "4294967295", COUNTER(bad_pages), NFE_REASON_BOOT_MEMORY },
		{ "doorbell-page", "4", COUNTER(boot_failed), NFE_REASON_BOOT_MEMORY },
		{ "event-channel", "0", COUNTER(bad_channel), NFE_REASON_BOOT_BLOCK },
		{ "event-channel", "4000", COUNTER(bad_channel), NFE_REASON_BOOT_BLOCK },
		{ "event-channel", "4294967295", COUNTER(bad_channel), NFE_REASON_BOOT_BLOCK },
		{ "host-abi", "0x70000", COUNTER(boot_failed), NFE_REASON_ABI },
		{ "accepted-hi", "0x80000000", COUNTER(boot_failed), NFE_REASON_FEATURES },
		{ "boot-size-log2", "31", COUNTER(boot_failed), NFE_REASON_BOOT_BLOCK },
		{ "boot-sq-lo", "0x1000", COUNTER(boot_failed), NFE_REASON_BOOT_MEMORY },
		{ "boot-rq-lo", "0x8000", COUNTER(boot_failed), NFE_REASON_BOOT_MEMORY },
		{ "boot-status-hi", "0xffffffff", COUNTER(boot_failed), NFE_REASON_BOOT_MEMORY },
		{ "boot-status-lo", "0x5001", COUNTER(boot_failed), NFE_REASON_BOOT_BLOCK },
		{ "boot-rq-index", NULL, COUNTER(missing), NFE_REASON_BOOT_BLOCK },
	};
	struct xt_world t;
	struct xt_hand f;
	char path[96];

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		xt_hand_keys(&f);
		snprintf(path, sizeof(path), "%s/%s", f.front, bad[i].key);
		if (bad[i].value == NULL)
			f.x->ops->rm(f.x, XENIO_NO_TX, path);
		else
			f.x->ops->write(f.x, XENIO_NO_TX, path, bad[i].value);
		TEST_ASSERT_MSG(refused(&t, &f, bad[i].counter, bad[i].reason) == TEST_OK,
				"key %s = \"%s\"", bad[i].key, bad[i].value);
	}
	return then_a_good_one_is_served(&t, &f);
}

/* A boot block that points out of the arena, or at the doorbell pages in it. */
static int
memory_outside_the_arena_is_refused(void)
{
	static const struct {
		const char *key, *value;
	} bad[] = {
		{ "boot-rq-lo", "0x8000" },
		{ "boot-sq-lo", "0x1000" },
		{ "boot-status-hi", "0xffffffff" },
	};
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		xt_hand_keys(&f);
		xenio_write(f.x, XENIO_NO_TX, f.front, bad[i].key, "%s", bad[i].value);
		TEST_ASSERT_MSG(refused(&t, &f, COUNTER(bad_bounds), NFE_REASON_BOOT_MEMORY) ==
					TEST_OK,
				"key %s = \"%s\"", bad[i].key, bad[i].value);
	}
	return then_a_good_one_is_served(&t, &f);
}

static int
states_that_a_front_end_cannot_have_are_counted(void)
{
	static const char *const none[] = { "4x", "", "9", "4294967296" };
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		xenio_write(f.x, XENIO_NO_TX, f.front, NFE_XEN_KEY_STATE, "%s", none[i]);
		xt_settle(&t);
		TEST_TRUE(xt_counters(&t)->bad_state > i);
		TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
		xt_hand_state(&f, NFE_XEN_INITIALISING);
		xt_settle(&t);
	}
	xt_hand_state(&f, NFE_XEN_INIT_WAIT); /* a state of back ends */
	xt_settle(&t);
	TEST_TRUE(xt_counters(&t)->bad_state > sizeof(none) / sizeof(none[0]));
	TEST_EQ(xt_counters(&t)->attached, 0);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_settle(&t);
	return then_a_good_one_is_served(&t, &f);
}

/* One word of the first index page, as an offset. */
static int
bad_index_is_refused_by_reason(void)
{
	static const struct {
		uint32_t word, value;
		size_t counter;
	} bad[] = {
		{ 0, 0x12345678, COUNTER(bad_index) },      /* magic */
		{ 1, 2 | XT_PAGES << 16, COUNTER(bad_index) }, /* version */
		{ 1, 1 | 0 << 16, COUNTER(bad_index) },     /* count */
		{ 1, 1 | (XT_PAGES - 1) << 16, COUNTER(bad_index) },
		{ 1, 1 | 0xffffu << 16, COUNTER(bad_index) },
		{ 2, 1, COUNTER(bad_index) },               /* first */
		{ 3, 8, COUNTER(bad_index) },               /* next where there is none */
		{ 5, 1, COUNTER(bad_index) },               /* reserved */
		{ 8, 0, COUNTER(bad_ref) },
		{ 8, 7, COUNTER(bad_ref) },
		{ 8, 0xffffffff, COUNTER(unmappable) },
		{ 8, 9, COUNTER(duplicate_ref) },           /* the second page's */
	};
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	TEST_EQ(f.refs[1], 9);
	xt_hand_keys(&f);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		xt_hand_index(&f);
		memcpy((uint8_t *)f.index + bad[i].word * 4, &bad[i].value, 4);
		TEST_ASSERT_MSG(refused(&t, &f, bad[i].counter, NFE_REASON_BOOT_MEMORY) == TEST_OK,
				"word %u = 0x%x", bad[i].word, bad[i].value);
	}
	return then_a_good_one_is_served(&t, &f);
}

static int
index_chain_that_turns_in_circles_ends(void)
{
	static struct xt_hand f;
	struct xt_world t;

	TEST_EQ(xt_open(&t), TEST_OK);
	xt_make_device(t.dom0, 5, 0, "a");
	xt_run(&t);
	TEST_EQ(xt_hand_open(&t, &f, 5, 0, XT_MAX_PAGES), TEST_OK);
	TEST_EQ(f.nb_index, 3);
	xt_hand_keys(&f);
	f.index[1].next = f.index_refs[1]; /* itself: its "first" betrays it */
	TEST_EQ(refused(&t, &f, COUNTER(bad_index), NFE_REASON_BOOT_MEMORY), TEST_OK);
	xt_hand_index(&f);
	f.index[0].next = f.index_refs[0];
	TEST_EQ(refused(&t, &f, COUNTER(bad_index), NFE_REASON_BOOT_MEMORY), TEST_OK);
	return then_a_good_one_is_served(&t, &f);
}

static int
memory_that_runs_out_is_refused_and_unwound(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	xt_hand_keys(&f);
	for (unsigned int n = 1; n <= 3; n++) { /* the index copied, its head, the arena */
		xenio_fake_fail(t.w, XENIO_FAKE_MAP, n, -ENOMEM);
		TEST_EQ(refused(&t, &f, COUNTER(unmappable), NFE_REASON_BOOT_MEMORY), TEST_OK);
	}
	xenio_fake_fail(t.w, XENIO_FAKE_BIND, 1, -ENOSPC);
	TEST_EQ(refused(&t, &f, COUNTER(bad_channel), NFE_REASON_BOOT_BLOCK), TEST_OK);
	return then_a_good_one_is_served(&t, &f);
}

static int
another_domains_event_channel_cannot_be_taken(void)
{
	struct xt_world t;
	struct xt_hand f;
	struct xenio *other;
	struct xenio_evt *evt;
	int port;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	TEST_EQ(xenio_fake_open(t.w, 6, &other), 0);
	TEST_EQ(other->ops->evt_open(other, &evt), 0);
	port = other->ops->evt_unbound(evt, 0);
	xt_hand_keys(&f);
	xt_hand_put(&f, NFE_XEN_KEY_EVENT_CHANNEL, (uint32_t)port);
	xt_hand_state(&f, NFE_XEN_INITIALISED);
	xt_settle(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSING);
	TEST_EQ(xt_counters(&t)->bad_channel, 1);
	other->ops->close(other);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_settle(&t);
	return then_a_good_one_is_served(&t, &f);
}

static int
keys_and_index_changed_after_connected_change_nothing(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	xt_hand_keys(&f);
	xt_hand_state(&f, NFE_XEN_INITIALISED);
	xt_settle(&t);
	memset(f.index, 0xff, sizeof(*f.index));
	xt_hand_put(&f, NFE_XEN_KEY_NR_PAGES, 4000000000u);
	xt_hand_put(&f, NFE_XEN_KEY_INDEX_REF, 1);
	xt_hand_put(&f, "boot-sq-hi", 0xffffffffu);
	xt_hand_state(&f, NFE_XEN_INITIALISED);
	xt_settle(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CONNECTED);
	TEST_EQ(nfed_function_state(nfed_xen_vif_function(t.vif[0])), NFE_STATE_READY);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped, XT_PAGES + 1);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
attempts_in_quick_succession_are_put_off(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	xt_hand_keys(&f);
	xt_hand_put(&f, NFE_XEN_KEY_VERSION, 0);
	for (unsigned int i = 0; i < 200; i++) {
		xt_hand_state(&f, NFE_XEN_INITIALISED);
		xt_run(&t);
		xt_hand_state(&f, NFE_XEN_INITIALISING);
		xt_run(&t);
	}
	TEST_ASSERT_MSG(xt_counters(&t)->failed < 60, "%llu attempts",
			(unsigned long long)xt_counters(&t)->failed);
	TEST_TRUE(xt_counters(&t)->too_soon > 100);
	usleep(60000);
	return then_a_good_one_is_served(&t, &f);
}

static int
event_storm_is_silenced_until_the_next_tick(void)
{
	struct xt_world t;
	struct xt_hand f;
	uint64_t events;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	xt_hand_keys(&f);
	xt_hand_state(&f, NFE_XEN_INITIALISED);
	xt_settle(&t);
	for (unsigned int i = 0; i < 100000 && xt_counters(&t)->storms == 0; i++) {
		t.vif[0]->window_ms = nfed_now_ms(); /* a storm on a slow machine, too */
		f.x->ops->evt_notify(f.evt, f.port);
		nfed_loop_run(t.loop, 0);
	}
	TEST_EQ(xt_counters(&t)->storms, 1);
	events = xt_counters(&t)->events;
	for (unsigned int i = 0; i < 1000; i++) {
		f.x->ops->evt_notify(f.evt, f.port);
		nfed_loop_run(t.loop, 0);
	}
	TEST_EQ(xt_counters(&t)->events, events); /* costs us nothing */
	usleep(11000);
	nfed_xen_tick(t.xen);
	xt_run(&t);
	TEST_EQ(xt_counters(&t)->events, events + 1); /* and nothing was missed */
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static unsigned int nb_lines;

static void
count_line(const char *line)
{
	(void)line;
	nb_lines++;
}

/* A state costs a guest one write; each of ours that follows is a line. */
static int
changes_of_state_do_not_flood_the_log(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	xt_stop_backend(&t);
	t.log = count_line;
	TEST_EQ(xt_start_backend(&t), TEST_OK);
	xt_settle(&t);
	nb_lines = 0;
	for (unsigned int i = 0; i < 1000; i++) {
		xt_hand_state(&f, NFE_XEN_CLOSED);
		xt_run(&t);
		TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
		xt_hand_state(&f, NFE_XEN_INITIALISING);
		xt_run(&t);
		TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
		t.vif[0]->time_us = (struct nfed_allowance){ 0 }; /* on a slow machine, too */
	}
	TEST_ASSERT_MSG(nb_lines > 0 && nb_lines < 100, "%u lines", nb_lines);
	return then_a_good_one_is_served(&t, &f);
}

/* The byte is in its memory. The page may be any, one of the arena too. */
static int
guest_that_plays_dead_is_let_go_and_gains_nothing(void)
{
	static const char *const states[] = { "0", "1", "2", "5", "6", "9", "x", "", "0x4 " };
	const struct nfed_xen_counters *c;
	struct xenio_fake_counts counts;
	struct nfe_xen_life *life;
	char text[XENIO_VALUE_MAX];
	struct xt_world t;
	struct xt_hand f;
	int rc;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	xt_hand_keys(&f);
	TEST_EQ(xt_hand_life(&f, false, &life), 0);
	c = xt_counters(&t);
	for (unsigned int i = 0; i <= sizeof(states) / sizeof(states[0]); i++) {
		const char *state = i > 0 ? states[i - 1] : NULL; /* NULL: no key */

		xt_hand_state(&f, NFE_XEN_INITIALISING);
		xt_settle(&t);
		nfe_xen_life_set(life, 1);
		xt_hand_state(&f, NFE_XEN_INITIALISED);
		xt_settle(&t);
		TEST_EQ(xt_back_state(&f), NFE_XEN_CONNECTED);
		if (state != NULL)
			xenio_write(f.x, XENIO_NO_TX, f.front, NFE_XEN_KEY_STATE, "%s", state);
		else
			f.x->ops->rm(f.x, XENIO_NO_TX, "device/nfe/0/" NFE_XEN_KEY_STATE);
		nfe_xen_life_set(life, 0);
		nfed_xen_tick(t.xen);
		TEST_EQ(c->died, i + 1);
		TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
		xenio_fake_counts(t.w, &counts);
		TEST_EQ(counts.mapped, 0);
		TEST_EQ(counts.ports, 1); /* the guest's own */
		TEST_EQ(counts.transactions, 0);
		/* Nothing but the word for "in use" is replaced. */
		rc = xenio_read(f.x, f.front, NFE_XEN_KEY_STATE, text, sizeof(text));
		if (state == NULL)
			TEST_EQ(rc, -ENOENT);
		else
			TEST_TRUE(rc >= 0 && strcmp(text, state) == 0);
	}
	for (unsigned int i = 0; i < 200; i++) { /* mapped for it no more often than others */
		xt_hand_state(&f, NFE_XEN_INITIALISING);
		xt_run(&t);
		nfe_xen_life_set(life, 1);
		xt_hand_state(&f, NFE_XEN_INITIALISED);
		xt_run(&t);
		nfe_xen_life_set(life, 0);
		nfed_xen_tick(t.xen);
	}
	TEST_TRUE(c->attached < 60 && c->too_soon > 100);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_settle(&t);
	xt_hand_put(&f, NFE_XEN_KEY_LIFE_REF, f.refs[XT_PAGES - 1]);
	f.arena[(XT_PAGES - 1) * NFE_PAGE_SIZE] = 0;
	xt_hand_state(&f, NFE_XEN_INITIALISED);
	xt_settle(&t);
	nfed_xen_tick(t.xen);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	xenio_fake_counts(t.w, &counts);
	TEST_EQ(counts.mapped, 0);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_settle(&t);
	xt_hand_put(&f, NFE_XEN_KEY_LIFE_REF, 0);
	return then_a_good_one_is_served(&t, &f);
}

/* What the back end asks of xenstore, counted and slowed down. */
static struct {
	struct xenio_ops ops;
	const struct xenio_ops *fake;
	unsigned int nb_reads, nb_other;
	unsigned int read_us, map_us, unmap_us;
	const char *path; /* of these reads */
} slow;

static int
slow_read(struct xenio *x, xenio_tx tx, const char *path, char *value, size_t size)
{
	if (strcmp(path, slow.path) == 0) {
		slow.nb_reads++;
		usleep(slow.read_us);
	} else {
		slow.nb_other++;
	}
	return slow.fake->read(x, tx, path, value, size);
}

static int
slow_map(struct xenio *x, uint16_t domid, const uint32_t *refs, unsigned int nb_pages, void **addr)
{
	usleep(slow.map_us);
	return slow.fake->map(x, domid, refs, nb_pages, addr);
}

static void
slow_unmap(struct xenio *x, void *addr, unsigned int nb_pages)
{
	usleep(slow.unmap_us);
	slow.fake->unmap(x, addr, nb_pages);
}

static void
make_slow(struct xt_world *t, const char *path)
{
	memset(&slow, 0, sizeof(slow));
	slow.fake = t->x->ops;
	slow.ops = *t->x->ops;
	slow.ops.read = slow_read;
	slow.ops.map = slow_map;
	slow.ops.unmap = slow_unmap;
	slow.path = path;
	t->x->ops = &slow.ops;
}

/* Domain 5 has VIF a, domain 6 has b and is about to connect. */
static int
open_two(struct xt_world *t, struct xt_hand *f, struct xt_hand *neighbour)
{
	TEST_EQ(xt_open_hand(t, f), TEST_OK);
	xt_make_device(t->dom0, 6, 0, "b");
	xt_run(t);
	TEST_EQ(xt_hand_open(t, neighbour, 6, 0, XT_PAGES), TEST_OK);
	xt_hand_keys(neighbour);
	return TEST_OK;
}

/* Writes to the state and below it; Closed stands there last. */
static void
toggle(struct xt_hand *f, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		xt_hand_state(f, i % 2 == 0 ? NFE_XEN_INITIALISING : NFE_XEN_CLOSED);
		xenio_write(f->x, XENIO_NO_TX, f->front, "state/below", "%u", i);
	}
	xt_hand_state(f, NFE_XEN_CLOSED);
}

#define STATE_5 "/local/domain/5/device/nfe/0/state"

/* Regression: each change was a request to xenstore, and the neighbour's waited behind them all. */
static int
state_changed_in_a_loop_is_one_look_a_turn(void)
{
	struct xt_hand f, neighbour;
	struct xt_world t;

	TEST_EQ(open_two(&t, &f, &neighbour), TEST_OK);
	make_slow(&t, STATE_5);
	toggle(&f, 1500);
	xt_hand_state(&neighbour, NFE_XEN_INITIALISED);
	nfed_loop_run(t.loop, 0);
	TEST_EQ(slow.nb_reads, 1);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	TEST_EQ(xt_back_state(&neighbour), NFE_XEN_CONNECTED);
	slow.nb_other = 0;
	xt_run(&t); /* our own words have fired: they cost no request */
	TEST_EQ(slow.nb_reads, 1);
	TEST_EQ(slow.nb_other, 0);
	toggle(&f, 4000); /* more than fit into a turn */
	xt_run(&t);
	TEST_TRUE(slow.nb_reads >= 2 && slow.nb_reads <= 4);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	TEST_EQ(xt_counters(&t)->put_off, 0);
	xt_hand_close(&neighbour);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_run(&t);
	return then_a_good_one_is_served(&t, &f);
}

static int
changes_over_time_are_put_off_and_none_is_lost(void)
{
	struct nfed_allowance *time;
	struct xt_hand f, neighbour;
	struct xt_world t;

	TEST_EQ(open_two(&t, &f, &neighbour), TEST_OK);
	make_slow(&t, STATE_5);
	slow.read_us = 20000;
	time = &t.vif[0]->time_us;
	for (unsigned int i = 0; i < 500 && xt_counters(&t)->put_off == 0; i++) {
		toggle(&f, 1);
		nfed_loop_run(t.loop, 0);
	}
	TEST_EQ(xt_counters(&t)->put_off, 1);
	TEST_TRUE(slow.nb_reads < 100); /* a second, and what that earned: 67 */
	TEST_TRUE(time->left <= 0);
	time->left = -1000000; /* rests for some seconds, on a slow machine too */
	time->counted = nfed_now_us();
	slow.nb_reads = 0;
	for (unsigned int i = 0; i < 100; i++) {
		toggle(&f, 2);
		nfed_loop_run(t.loop, 0);
		nfed_xen_tick(t.xen);
	}
	TEST_EQ(slow.nb_reads, 0);
	xt_hand_state(&neighbour, NFE_XEN_INITIALISED);
	nfed_loop_run(t.loop, 0);
	TEST_EQ(xt_back_state(&neighbour), NFE_XEN_CONNECTED);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	time->counted -= 8000000; /* as if so much time had passed: nothing fires any more */
	nfed_xen_tick(t.xen);
	TEST_EQ(slow.nb_reads, 1);
	TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
	xt_hand_close(&neighbour);
	return then_a_good_one_is_served(&t, &f);
}

/* Regression: when mapping took longer than 50 ms, the next attempt might follow at once. */
static int
slow_attempts_are_followed_by_longer_rests(void)
{
	uint64_t from_us, took_ms;
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	make_slow(&t, STATE_5);
	slow.map_us = 50000; /* three times: index, head, arena */
	xt_hand_keys(&f);
	for (unsigned int i = 0; i < 2; i++) { /* also of one that is refused */
		xt_hand_put(&f, "host-abi", i == 0 ? NFE_ABI : 0x70000);
		xt_hand_state(&f, NFE_XEN_INITIALISED);
		from_us = nfed_now_us();
		xt_run(&t);
		took_ms = (nfed_now_us() - from_us) / 1000;
		TEST_EQ(xt_back_state(&f), i == 0 ? NFE_XEN_CONNECTED : NFE_XEN_CLOSING);
		TEST_TRUE(took_ms >= 100);
		TEST_TRUE(t.vif[0]->next_attach_ms >= from_us / 1000 + 100 + 3 * 100);
		TEST_TRUE(t.vif[0]->next_attach_ms <= nfed_now_ms() + 3 * (took_ms + 1));
		t.vif[0]->next_attach_ms += 10000; /* on a slow machine, too */
		xt_hand_state(&f, NFE_XEN_INITIALISING);
		xt_run(&t);
		xt_hand_state(&f, NFE_XEN_INITIALISED);
		xt_run(&t);
		TEST_EQ(xt_counters(&t)->too_soon, i + 1);
		TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
		xt_hand_state(&f, NFE_XEN_INITIALISING);
		xt_run(&t);
		t.vif[0]->next_attach_ms = 0;
		t.vif[0]->time_us = (struct nfed_allowance){ 0 };
	}
	return then_a_good_one_is_served(&t, &f);
}

static int
time_to_let_go_is_charged(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	make_slow(&t, STATE_5);
	xt_hand_keys(&f);
	xt_hand_state(&f, NFE_XEN_INITIALISED);
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CONNECTED);
	slow.unmap_us = 100000; /* twice: arena, head */
	t.vif[0]->time_us = (struct nfed_allowance){ .left = 1, .counted = nfed_now_us() };
	xt_hand_state(&f, NFE_XEN_CLOSING);
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	TEST_TRUE(t.vif[0]->time_us.left < -100000);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_run(&t);
	TEST_EQ(xt_counters(&t)->put_off, 1);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	t.vif[0]->time_us.counted -= 8000000; /* as if so much time had passed */
	nfed_xen_tick(t.xen);
	TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
	return then_a_good_one_is_served(&t, &f);
}

static const struct test_case cases[] = {
	TEST_CASE(bad_keys_are_refused_by_reason),
	TEST_CASE(memory_outside_the_arena_is_refused),
	TEST_CASE(states_that_a_front_end_cannot_have_are_counted),
	TEST_CASE(bad_index_is_refused_by_reason),
	TEST_CASE(index_chain_that_turns_in_circles_ends),
	TEST_CASE(memory_that_runs_out_is_refused_and_unwound),
	TEST_CASE(another_domains_event_channel_cannot_be_taken),
	TEST_CASE(keys_and_index_changed_after_connected_change_nothing),
	TEST_CASE(attempts_in_quick_succession_are_put_off),
	TEST_CASE(event_storm_is_silenced_until_the_next_tick),
	TEST_CASE(changes_of_state_do_not_flood_the_log),
	TEST_CASE(guest_that_plays_dead_is_let_go_and_gains_nothing),
	TEST_CASE(state_changed_in_a_loop_is_one_look_a_turn),
	TEST_CASE(changes_over_time_are_put_off_and_none_is_lost),
	TEST_CASE(slow_attempts_are_followed_by_longer_rests),
	TEST_CASE(time_to_let_go_is_charged),
};
TEST_SUITE(xen_hostile, cases);
