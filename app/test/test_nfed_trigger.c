/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/nfe_device: trigger pages and the central queue behind them (specification 3.4): its bound,
 * who may have how much of it, the order in which it is served, and every access that is no
 * trigger. No threads, no loop: the tests serve the queue themselves.
 */
#include <errno.h>
#include <stdlib.h>

#include <nfed_internal.h>

#include "fake_transport.h"
#include "test.h"

#define SHARE	   NFED_TRIGGER_SHARE
#define MAX_SERVED 64

/* A function of which only the part in the queue is there. */
struct user {
	struct nfed_trigger_port port;
	unsigned int id;
	uint16_t put, got; /* numbers of entries, which their command carries */
	struct book *book;
};

struct book { /* who was served, in order */
	unsigned int n;
	unsigned int id[MAX_SERVED];
	bool out_of_order;
};

static void
on_served(void *ctx, struct nfed_trigger trigger)
{
	struct user *u = ctx;

	if (u->book->n < MAX_SERVED)
		u->book->id[u->book->n] = u->id;
	u->book->n++;
	u->book->out_of_order |= trigger.command != u->got;
	u->got++;
}

static void
join_all(struct nfed_triggers *t, struct user *user, unsigned int n, struct book *book)
{
	memset(book, 0, sizeof(*book));
	for (unsigned int i = 0; i < n; i++) {
		user[i] = (struct user){ .id = i, .book = book };
		if (nfed_trigger_join(t, &user[i].port, on_served, &user[i]) != 0)
			abort();
	}
}

static enum nfe_trigger
put(struct user *u)
{
	enum nfe_trigger rc =
		nfed_trigger_enqueue(&u->port, (struct nfed_trigger){ .command = u->put });

	u->put += rc == NFE_TRIGGER_ACCEPTED;
	return rc;
}

/* How many of them it takes until it says busy. */
static unsigned int
fill(struct user *u)
{
	unsigned int n = 0;

	while (put(u) == NFE_TRIGGER_ACCEPTED)
		n++;
	return n;
}

static void
leave_all(struct user *user, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		nfed_trigger_leave(&user[i].port);
}

static int
functions_are_served_in_turn(void)
{
	static const unsigned int expected[] = { 0, 1, 2, 0, 2, 0, 2, 0, 0 };
	struct nfed_triggers *t;
	struct user user[3];
	struct book book;

	TEST_EQ(nfed_triggers_create(NULL, 3, 100, &t), 0);
	join_all(t, user, 3, &book);
	for (unsigned int i = 0; i < 5; i++)
		put(&user[0]); /* all of them before the others come */
	put(&user[1]);
	for (unsigned int i = 0; i < 3; i++)
		put(&user[2]);
	TEST_EQ(nfed_triggers_waiting(t), 9);
	TEST_TRUE(nfed_triggers_run(t, 4)); /* a budget ends a turn, it changes no order */
	TEST_EQ(book.n, 4);
	TEST_TRUE(!nfed_triggers_run(t, 100));
	TEST_EQ(book.n, 9);
	for (unsigned int i = 0; i < 9; i++)
		TEST_EQ(book.id[i], expected[i]);
	TEST_TRUE(!book.out_of_order);
	leave_all(user, 3);
	nfed_triggers_destroy(t);
	return TEST_OK;
}

static int
a_function_has_no_more_than_its_share(void)
{
	struct nfed_triggers *t;
	struct user user[2];
	struct book book;

	TEST_EQ(nfed_triggers_create(NULL, 2, 100, &t), 0);
	join_all(t, user, 2, &book);
	TEST_EQ(fill(&user[0]), SHARE);
	TEST_EQ(fill(&user[1]), SHARE);
	TEST_TRUE(nfed_triggers_run(t, 1));
	TEST_EQ(put(&user[0]), NFE_TRIGGER_ACCEPTED);
	TEST_EQ(put(&user[0]), NFE_TRIGGER_BUSY);
	TEST_EQ(put(&user[1]), NFE_TRIGGER_BUSY);
	nfed_triggers_run(t, 100);
	TEST_EQ(book.n, 2 * SHARE + 1);
	TEST_TRUE(!book.out_of_order);
	leave_all(user, 2);
	nfed_triggers_destroy(t);
	return TEST_OK;
}

/* Whatever others do, also all of them together. */
static int
a_function_with_nothing_waiting_always_finds_room(void)
{
	struct nfed_triggers *t;
	struct user user[4];
	struct book book;

	TEST_EQ(nfed_triggers_create(NULL, 4, 2, &t), 0);
	join_all(t, user, 4, &book);
	TEST_EQ(fill(&user[0]), 3); /* its own and the stock */
	TEST_EQ(fill(&user[1]), 1);
	TEST_EQ(fill(&user[2]), 1);
	TEST_EQ(fill(&user[3]), 1);
	TEST_EQ(nfed_triggers_waiting(t), 4 + 2); /* the bound of the whole */
	nfed_triggers_run(t, 1);		  /* one of user 0: back in the stock */
	TEST_EQ(put(&user[1]), NFE_TRIGGER_ACCEPTED);
	TEST_EQ(put(&user[0]), NFE_TRIGGER_BUSY);
	nfed_triggers_run(t, 100);
	TEST_EQ(book.n, 7);
	leave_all(user, 4);
	nfed_triggers_destroy(t);
	return TEST_OK;
}

static int
functions_come_and_go(void)
{
	struct nfed_triggers *t;
	struct user user[3], fourth = { .id = 3 };
	struct book book;

	TEST_EQ(nfed_triggers_create(NULL, 3, 100, &t), 0);
	join_all(t, user, 3, &book);
	TEST_EQ(nfed_trigger_join(t, &fourth.port, on_served, &fourth), -ENOSPC);
	for (unsigned int i = 0; i < 3; i++)
		TEST_EQ(fill(&user[i]), SHARE);
	nfed_trigger_forget(&user[2].port); /* last in the queue */
	user[2].got = user[2].put;
	TEST_EQ(nfed_triggers_waiting(t), 2 * SHARE);
	nfed_trigger_leave(&user[0].port); /* first */
	nfed_trigger_leave(&user[0].port);
	TEST_EQ(nfed_triggers_waiting(t), SHARE);
	TEST_EQ(put(&user[2]), NFE_TRIGGER_ACCEPTED);
	nfed_triggers_run(t, 100);
	TEST_EQ(book.n, SHARE + 1);
	TEST_TRUE(!book.out_of_order);
	fourth.book = &book;
	TEST_EQ(nfed_trigger_join(t, &fourth.port, on_served, &fourth), 0);
	nfed_trigger_leave(&fourth.port);
	leave_all(user + 1, 2);
	nfed_triggers_destroy(t);
	return TEST_OK;
}

/* 20 000 steps at random against what must always hold: nothing lost, order kept, bounds kept, and
 * who waits is served before anybody is served twice. */
static int
random_use_keeps_the_rules(void)
{
	enum { USERS = 7, EXTRA = 11, STEPS = 20000 };
	struct nfed_triggers *t;
	struct user user[USERS];
	struct book book;
	unsigned int seed = 4711;

	TEST_EQ(nfed_triggers_create(NULL, USERS, EXTRA, &t), 0);
	join_all(t, user, USERS, &book);
	for (unsigned int step = 0; step < STEPS; step++) {
		struct user *u = &user[rand_r(&seed) % USERS];
		unsigned int waiting = 0, active = 0, what = (unsigned int)rand_r(&seed) % 16;

		if (what < 10) {
			bool idle = u->port.n == 0;

			TEST_TRUE(put(u) == NFE_TRIGGER_ACCEPTED || !idle);
		} else if (what < 15) {
			uint16_t before = u->got, others = book.n, mine = u->port.n;

			for (unsigned int i = 0; i < USERS; i++)
				active += user[i].port.n > 0;
			nfed_triggers_run(t, active);
			TEST_EQ((uint16_t)(u->got - before), mine > 0);
			TEST_EQ((uint16_t)(book.n - others), active);
		} else {
			nfed_trigger_forget(&u->port);
			u->got = u->put;
		}
		for (unsigned int i = 0; i < USERS; i++) {
			waiting += user[i].port.n;
			TEST_EQ((uint16_t)(user[i].put - user[i].got), user[i].port.n);
		}
		TEST_EQ(nfed_triggers_waiting(t), waiting);
		TEST_TRUE(waiting <= USERS + EXTRA);
	}
	TEST_TRUE(!book.out_of_order);
	leave_all(user, USERS);
	nfed_triggers_destroy(t);
	return TEST_OK;
}

#define PAGE(channel) ((uint64_t)(channel) << NFE_TRIG_STRIDE_LOG2)
#define KEY	      NFE_KEY(0, 1)
#define CHANNELS      4

struct triggered { /* a function with a queue, booted, channel 2 running */
	struct nfed_triggers *triggers;
	struct fake_guest guest;
};

static int
run_channel(struct fake_guest *g, uint16_t channel)
{
	struct nfe_req req = {
		.op = NFE_OP_SET_QUEUE,
		.queue = { .channel = channel,
			   .role = NFE_ROLE_SQ,
			   .size_log2 = 4,
			   .capacity = 16,
			   .key = KEY,
			   .entries = 0x1000 },
	};

	TEST_EQ(fake_register(g, KEY, FAKE_DATA, 0x4000, NFE_ACCESS_READ | NFE_ACCESS_WRITE), 0);
	TEST_EQ(fake_create_channel(g, channel, NFE_NO_VECTOR, KEY, 0), 0);
	TEST_EQ(fake_request(g, &req, NULL), 0);
	TEST_EQ(fake_op_channel(g, NFE_OP_START_CHANNEL, channel), 0);
	return TEST_OK;
}

static int
triggered_up(struct triggered *f)
{
	struct nfed_function_conf conf = { .limits = nfed_limits_default };

	conf.limits.max_channels = CHANNELS;
	TEST_EQ(nfed_triggers_create(NULL, 1, 100, &f->triggers), 0);
	conf.triggers = f->triggers;
	TEST_EQ(fake_guest_create(&f->guest, &conf), 0);
	TEST_EQ(fake_reg_read(&f->guest, NFE_REG_FEATURES_LO), NFE_F_TRIGGER);
	TEST_EQ(fake_reg_read(&f->guest, NFE_REG_TRIG_STRIDE_LOG2), NFE_TRIG_STRIDE_LOG2);
	TEST_EQ(fake_guest_boot(&f->guest, 4, 0), NFE_STATE_READY);
	return run_channel(&f->guest, 2);
}

static void
triggered_down(struct triggered *f)
{
	fake_guest_destroy(&f->guest);
	nfed_triggers_destroy(f->triggers);
}

static int
a_read_is_answered_and_kicks_its_channel(void)
{
	struct triggered f;
	const struct nfed_counters *c;

	TEST_EQ(triggered_up(&f), TEST_OK);
	c = nfed_function_counters(f.guest.fn);
	TEST_EQ(nfed_trigger_read(f.guest.fn, PAGE(2), 4), NFE_TRIGGER_ACCEPTED);
	TEST_EQ(f.guest.kicks[2], 0); /* it is a queue */
	nfed_triggers_run(f.triggers, 100);
	TEST_EQ(f.guest.kicks[2], 1);
	TEST_EQ(nfed_trigger_read(f.guest.fn, PAGE(0), 4), NFE_TRIGGER_ACCEPTED);
	for (unsigned int i = 1; i < SHARE; i++)
		TEST_EQ(nfed_trigger_read(f.guest.fn, PAGE(2), 4), NFE_TRIGGER_ACCEPTED);
	TEST_EQ(nfed_trigger_read(f.guest.fn, PAGE(2), 4), NFE_TRIGGER_BUSY);
	nfed_triggers_run(f.triggers, 100);
	TEST_EQ(f.guest.kicks[0], 1);
	TEST_EQ(f.guest.kicks[2], SHARE);
	TEST_EQ(c->triggers, SHARE + 1);
	TEST_EQ(c->trigger_busy, 1);
	TEST_EQ(c->bad_trigger, 0);
	triggered_down(&f);
	return TEST_OK;
}

/* 2.5: every offset and width that is no trigger enqueues nothing and is counted. */
static int
odd_reads_enqueue_nothing(void)
{
	static const uint32_t widths[] = { 0, 1, 2, 3, 5, 8, 64, NFE_PAGE_SIZE };
	struct triggered f;
	uint64_t odd = 0;

	TEST_EQ(triggered_up(&f), TEST_OK);
	for (uint64_t off = 1; off < NFE_PAGE_SIZE; off++, odd++) /* reserved commands among them */
		TEST_EQ(nfed_trigger_read(f.guest.fn, PAGE(2) + off, 4), NFE_TRIGGER_NONE);
	for (unsigned int i = 0; i < sizeof(widths) / sizeof(widths[0]); i++, odd++)
		TEST_EQ(nfed_trigger_read(f.guest.fn, PAGE(2), widths[i]), NFE_TRIGGER_NONE);
	for (unsigned int page = 0; page <= 2 * CHANNELS; page++) {
		if (page == 0 || page == 2)
			continue;
		odd++; /* not created, or beyond the last channel */
		TEST_EQ(nfed_trigger_read(f.guest.fn, PAGE(page), 4), NFE_TRIGGER_NONE);
	}
	TEST_EQ(nfed_trigger_read(f.guest.fn, UINT64_MAX - 4095, 4), NFE_TRIGGER_NONE);
	TEST_EQ(nfed_triggers_waiting(f.triggers), 0);
	TEST_EQ(nfed_function_counters(f.guest.fn)->bad_trigger, odd + 1);
	triggered_down(&f);
	return TEST_OK;
}

static int
writes_kick_at_offset_0_only(void)
{
	struct triggered f;
	uint64_t odd = 0;

	TEST_EQ(triggered_up(&f), TEST_OK);
	for (unsigned int page = 0; page <= CHANNELS; page++) {
		nfed_trigger_write(f.guest.fn, PAGE(page)); /* also of no channel: harmless */
		TEST_EQ(f.guest.kicks[page], 1);
		for (uint64_t off = 1; off < NFE_PAGE_SIZE; off++, odd++)
			nfed_trigger_write(f.guest.fn, PAGE(page) + off);
		TEST_EQ(f.guest.kicks[page], 1);
	}
	nfed_trigger_write(f.guest.fn, PAGE(CHANNELS + 1));
	nfed_trigger_write(f.guest.fn, UINT64_MAX - 4095);
	TEST_EQ(nfed_function_counters(f.guest.fn)->bad_trigger, odd + 2);
	triggered_down(&f);
	return TEST_OK;
}

/* The queue takes nothing that the device would not do. */
static int
only_what_runs_takes_triggers(void)
{
	struct triggered f;
	struct nfed_function *fn;

	TEST_EQ(triggered_up(&f), TEST_OK);
	fn = f.guest.fn;
	nfed_function_set_master(fn, false);
	TEST_EQ(nfed_trigger_read(fn, PAGE(0), 4), NFE_TRIGGER_NONE);
	TEST_EQ(nfed_trigger_read(fn, PAGE(2), 4), NFE_TRIGGER_NONE);
	nfed_function_set_master(fn, true);
	TEST_EQ(nfed_function_state(fn), NFE_STATE_QUIESCED);
	TEST_EQ(nfed_trigger_read(fn, PAGE(0), 4), NFE_TRIGGER_ACCEPTED);
	TEST_EQ(nfed_trigger_read(fn, PAGE(2), 4), NFE_TRIGGER_NONE);
	fake_reg_write(&f.guest, NFE_REG_COMMAND, NFE_CMD_GO);
	TEST_EQ(nfed_trigger_read(fn, PAGE(2), 4), NFE_TRIGGER_ACCEPTED);
	nfed_function_fail(fn, NFE_REASON_OPERATOR, "test");
	TEST_EQ(nfed_trigger_read(fn, PAGE(0), 4), NFE_TRIGGER_NONE);
	TEST_EQ(nfed_triggers_waiting(f.triggers), 2);
	fake_reg_write(&f.guest, NFE_REG_COMMAND, NFE_CMD_RESET);
	TEST_EQ(nfed_triggers_waiting(f.triggers), 0); /* of the time before */
	TEST_EQ(nfed_trigger_read(fn, PAGE(0), 4), NFE_TRIGGER_NONE);
	TEST_EQ(f.guest.kicks[0] + f.guest.kicks[2], 0);
	triggered_down(&f);
	return TEST_OK;
}

/* A host that knows nothing of triggers, and a device that has none. */
static int
without_the_feature_reads_give_none(void)
{
	struct nfed_function_conf conf = { .limits = nfed_limits_default };
	struct triggered f;
	struct fake_guest plain;

	TEST_EQ(triggered_up(&f), TEST_OK);
	fake_reg_write(&f.guest, NFE_REG_COMMAND, NFE_CMD_RESET);
	f.guest.fn->conf.features = 0; /* so that the fake host does not accept it */
	nfed_regs_init(f.guest.fn);
	TEST_EQ(fake_guest_boot(&f.guest, 4, 0), NFE_STATE_READY);
	TEST_EQ(nfed_trigger_read(f.guest.fn, PAGE(0), 4), NFE_TRIGGER_NONE);
	triggered_down(&f);

	TEST_EQ(fake_guest_create(&plain, &conf), 0);
	TEST_EQ(fake_reg_read(&plain, NFE_REG_FEATURES_LO), 0);
	TEST_EQ(fake_guest_boot(&plain, 4, 0), NFE_STATE_READY);
	TEST_EQ(nfed_trigger_read(plain.fn, PAGE(0), 4), NFE_TRIGGER_NONE);
	nfed_trigger_write(plain.fn, PAGE(0));
	TEST_EQ(plain.kicks[0], 1); /* a kick is no option */
	fake_guest_destroy(&plain);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(functions_are_served_in_turn),
	TEST_CASE(a_function_has_no_more_than_its_share),
	TEST_CASE(a_function_with_nothing_waiting_always_finds_room),
	TEST_CASE(functions_come_and_go),
	TEST_CASE(random_use_keeps_the_rules),
	TEST_CASE(a_read_is_answered_and_kicks_its_channel),
	TEST_CASE(odd_reads_enqueue_nothing),
	TEST_CASE(writes_kick_at_offset_0_only),
	TEST_CASE(only_what_runs_takes_triggers),
	TEST_CASE(without_the_feature_reads_give_none),
};
TEST_SUITE(nfed_trigger, cases);
