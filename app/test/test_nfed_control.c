/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/nfe_device: the control channel as such (requests, answers, events, bounds, overruns), and the
 * requests about the VIF. No hugepages, no root.
 */
#include <errno.h>

#include <nfed_internal.h>

#include "fake_transport.h"
#include "test.h"

#define WRAP 0xffffff00u

static int
control_indices_wrap(void)
{
	struct nfe_req nop = { .op = NFE_OP_NOP };
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 3, WRAP), NFE_STATE_READY);
	for (unsigned int i = 0; i < 600; i++) {
		TEST_EQ(fake_request(&g, &nop, NULL), 0);
		TEST_EQ(fake_status(&g, FAKE_CTRL_STATUS)->sq_cons, WRAP + i + 1);
		TEST_EQ(fake_status(&g, FAKE_CTRL_STATUS)->sq_event, WRAP + i + 1);
	}
	TEST_EQ(nfed_function_counters(g.fn)->requests, 600);
	TEST_EQ(g.interrupts[0], 600);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
control_overrun_fails_the_function(void)
{
	static const struct {
		uint32_t db_off, value;
	} row[] = {
		{ NFE_DB_SQ_PROD, 17 }, { NFE_DB_SQ_PROD, UINT32_MAX },
		{ NFE_DB_SQ_PROD, 0x80000000u }, { NFE_DB_RQ_CONS, 1 },
		{ NFE_DB_RQ_CONS, 0x80000000u },
	};

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct fake_guest g;

		TEST_EQ(fake_guest_create(&g, NULL), 0);
		TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
		*fake_db(&g, 0, row[i].db_off) = row[i].value;
		g.fn->ctrl.rq.cons = g.fn->ctrl.rq.prod - 16; /* so that it looks again */
		nfed_control_run(g.fn);
		TEST_ASSERT_MSG(nfed_function_state(g.fn) == NFE_STATE_FAILED, "row %u", i);
		TEST_EQ(nfed_function_reason(g.fn), NFE_REASON_CTRL_OVERRUN);
		TEST_EQ(nfed_function_counters(g.fn)->overrun, 1);
		TEST_EQ(fake_status(&g, FAKE_CTRL_STATUS)->state, NFE_CHAN_ERROR);
		TEST_EQ(fake_status(&g, FAKE_CTRL_STATUS)->reason, NFE_REASON_CTRL_OVERRUN);
		fake_guest_destroy(&g);
	}
	return TEST_OK;
}

/* A run ends early on a busy machine. */
static void
run_all(struct fake_guest *g)
{
	while (nfed_control_run(g->fn))
		;
}

static int
work_per_run_is_bounded(void)
{
	struct nfe_req nop = { .type = NFE_MSG_REQ, .op = NFE_OP_NOP };
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 6, 0), NFE_STATE_READY);
	for (unsigned int i = 0; i < 40; i++)
		fake_post(&g, &nop);
	TEST_TRUE(nfed_control_run(g.fn));
	TEST_TRUE(nfed_function_counters(g.fn)->requests <= NFED_CTRL_BUDGET);
	run_all(&g);
	TEST_EQ(nfed_function_counters(g.fn)->requests, 40);
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* Requests that wait for data lcores: others want to be served before all of one guest's. */
static int
time_per_run_is_bounded(void)
{
	struct nfe_req slow = { .type = NFE_MSG_REQ, .op = NFE_OP_RX_MODE };
	unsigned int runs = 0;
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 6, 0), NFE_STATE_READY);
	g.rx_mode_us = NFED_CTRL_RUN_US;
	for (unsigned int i = 0; i < 5; i++)
		fake_post(&g, &slow);
	while (nfed_control_run(g.fn)) {
		TEST_EQ(nfed_function_counters(g.fn)->requests, ++runs);
		TEST_TRUE(runs < 5);
	}
	TEST_EQ(nfed_function_counters(g.fn)->requests, 5);
	TEST_EQ(runs, 4);
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* Requests that take long each, for ever: others get most of the thread's time. */
static int
time_over_time_is_bounded(void)
{
	struct nfe_req slow = { .type = NFE_MSG_REQ, .op = NFE_OP_RX_MODE };
	const struct nfed_counters *count;
	struct nfe_rsp rsp;
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	count = nfed_function_counters(g.fn);
	g.rx_mode_us = NFED_CTRL_AHEAD_US / 4;
	for (unsigned int i = 0; i < 8; i++)
		fake_post(&g, &slow);
	run_all(&g);
	TEST_TRUE(count->requests >= 2 && count->requests <= 6); /* on a slow machine each takes longer */
	TEST_EQ(count->rests, 1);
	TEST_TRUE(!nfed_control_run(g.fn)); /* a kick changes nothing, nor does a RESET */
	nfed_function_reset(g.fn);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	fake_post(&g, &slow);
	TEST_TRUE(!nfed_control_run(g.fn));
	TEST_EQ(count->rests, 1);
	TEST_TRUE(!fake_take(&g, &rsp));
	/* As if time had passed: nobody kicks, and it is served. */
	g.fn->ctl_time.us.counted -= (uint64_t)2 * NFED_CTRL_SHARE * NFED_CTRL_AHEAD_US;
	nfed_control_poll(g.fn, 1000);
	TEST_TRUE(fake_take(&g, &rsp));
	TEST_EQ(rsp.status, 0);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
full_answer_queue_keeps_requests_and_events(void)
{
	struct nfe_req nop = { .type = NFE_MSG_REQ, .op = NFE_OP_NOP };
	unsigned int answers = 0;
	struct fake_guest g;
	struct nfe_rsp rsp;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 3, 0), NFE_STATE_READY);
	for (unsigned int i = 0; i < 8; i++)
		fake_post(&g, &nop);
	run_all(&g);
	for (unsigned int i = 0; i < 5; i++)
		fake_post(&g, &nop);
	for (unsigned int i = 0; i < 9; i++)
		nfed_function_set_link(g.fn, i % 2 == 0); /* ends up */
	run_all(&g);
	TEST_EQ(nfed_function_counters(g.fn)->requests, 8);
	TEST_EQ(fake_status(&g, FAKE_CTRL_STATUS)->sq_cons, 8);
	for (unsigned int i = 0; i < 3; i++) {
		while (fake_take(&g, &rsp))
			answers += rsp.type == NFE_MSG_RSP;
		run_all(&g);
	}
	TEST_EQ(answers, 13);
	TEST_EQ(g.events, 1); /* the latest state, once */
	TEST_EQ(g.last_event.kind, NFE_EVENT_LINK);
	TEST_EQ(g.last_event.value, 1);
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* The host owes no kick when it reads: without the poll these requests wait for ever. */
static int
requests_behind_a_full_answer_queue_go_on_without_a_kick(void)
{
	struct nfe_req nop = { .type = NFE_MSG_REQ, .op = NFE_OP_NOP };
	unsigned int answers = 0;
	struct fake_guest g;
	struct nfe_rsp rsp;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 3, 0), NFE_STATE_READY);
	for (unsigned int i = 0; i < 8; i++)
		fake_post(&g, &nop);
	run_all(&g);
	for (unsigned int i = 0; i < 5; i++)
		fake_post(&g, &nop);
	run_all(&g); /* the only kick for them */
	TEST_TRUE(!nfed_control_poll(g.fn, 1000));
	TEST_EQ(nfed_function_counters(g.fn)->requests, 8);
	while (fake_take(&g, &rsp))
		answers++;
	TEST_EQ(answers, 8);
	if (nfed_control_poll(g.fn, 1010))
		run_all(&g);
	while (fake_take(&g, &rsp))
		answers++;
	TEST_EQ(answers, 13);
	TEST_TRUE(!nfed_control_poll(g.fn, 100000));
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_READY);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
host_that_never_reads_its_answers_fails_as_stalled(void)
{
	struct nfe_req nop = { .type = NFE_MSG_REQ, .op = NFE_OP_NOP };
	struct fake_guest g;
	struct nfe_rsp rsp;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 3, 0), NFE_STATE_READY);
	for (unsigned int i = 0; i < 8; i++)
		fake_post(&g, &nop);
	run_all(&g);
	nfed_control_poll(g.fn, 1000);
	nfed_control_poll(g.fn, 1000 + 2 * NFED_CTRL_STALL_MS); /* full, but nothing waits */
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_READY);
	for (unsigned int i = 0; i < 4; i++)
		fake_post(&g, &nop);
	run_all(&g);
	nfed_control_poll(g.fn, 20000);
	nfed_control_poll(g.fn, 20000 + NFED_CTRL_STALL_MS - 1);
	TEST_TRUE(fake_take(&g, &rsp)); /* slow is not stalled: the clock starts anew */
	nfed_control_poll(g.fn, 20000 + NFED_CTRL_STALL_MS);
	nfed_control_poll(g.fn, 30000);
	nfed_control_poll(g.fn, 30000 + NFED_CTRL_STALL_MS - 1);
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_READY);
	nfed_control_poll(g.fn, 30000 + NFED_CTRL_STALL_MS);
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_FAILED);
	TEST_EQ(nfed_function_reason(g.fn), NFE_REASON_CTRL_STALLED);
	TEST_EQ(nfed_function_counters(g.fn)->stalled, 1);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
malformed_cells_are_answered_and_counted(void)
{
	struct fake_guest g;
	struct nfe_rsp rsp;
	struct nfe_req req;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	for (unsigned int type = 0; type < 256; type++) {
		if (type == NFE_MSG_REQ || type == NFE_MSG_NOP)
			continue;
		req = (struct nfe_req){ .type = (uint8_t)type, .op = NFE_OP_NOP };
		fake_post(&g, &req);
		nfed_control_run(g.fn);
		TEST_TRUE(fake_take(&g, &rsp));
		TEST_EQ(rsp.status, -EINVAL);
		TEST_EQ(rsp.id, req.id);
	}
	TEST_EQ(nfed_function_counters(g.fn)->bad_type, 254);
	req = (struct nfe_req){ .type = NFE_MSG_NOP };
	fake_post(&g, &req);
	nfed_control_run(g.fn);
	TEST_TRUE(!fake_take(&g, &rsp)); /* a NOP cell is skipped */
	for (unsigned int i = 0; i < 3; i++) {
		static const uint16_t op[] = { 0, NFE_OP_MAX, 0xffff };

		req = (struct nfe_req){ .op = op[i] };
		TEST_EQ(fake_request(&g, &req, NULL), -ENOSYS);
		TEST_EQ(nfed_function_counters(g.fn)->bad_op, i + 1);
	}
	req = (struct nfe_req){ .op = NFE_OP_NOP, .flags = 1 };
	TEST_EQ(fake_request(&g, &req, NULL), -EINVAL);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
each_reserved_byte_is_refused(void)
{
	static const uint8_t used[NFE_OP_MAX] = {
		[NFE_OP_REGISTER] = 24, [NFE_OP_DEREGISTER] = 4, [NFE_OP_CREATE_CHANNEL] = 16,
		[NFE_OP_DESTROY_CHANNEL] = 2, [NFE_OP_SET_QUEUE] = 56, [NFE_OP_START_CHANNEL] = 2,
		[NFE_OP_STOP_CHANNEL] = 2, [NFE_OP_MAC] = 7, [NFE_OP_RX_MODE] = 4,
		[NFE_OP_MTU] = 4, [NFE_OP_STATS] = 4, [NFE_OP_NOP] = 0, [NFE_OP_RSS_HASH] = 48,
		[NFE_OP_RSS_RETA] = 52, [NFE_OP_VLANS] = 56,
	};
	uint64_t refused = 0;
	struct fake_guest g;
	struct nfe_req req;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	for (uint16_t op = 1; op < NFE_OP_MAX; op++) {
		for (unsigned int i = used[op]; i < 56; i++) {
			req = (struct nfe_req){ .op = op };
			req.args[i] = 0x80;
			TEST_EQ(fake_request(&g, &req, NULL), -EINVAL);
			TEST_EQ(nfed_function_counters(g.fn)->bad_reserved, ++refused);
		}
		req = (struct nfe_req){ .op = op, .zero = 1 };
		TEST_EQ(fake_request(&g, &req, NULL), -EINVAL);
		TEST_EQ(nfed_function_counters(g.fn)->bad_reserved, ++refused);
	}
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
nothing_stale_travels_in_answers(void)
{
	struct nfe_req req = { .op = NFE_OP_NOP };
	const uint8_t *cell;
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 3, 0), NFE_STATE_READY);
	memset(g.mem + FAKE_CTRL_RQ, 0xa5, 8 * NFE_MSG_SIZE);
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	req = (struct nfe_req){ .op = 77, .args = { 1, 2, 3 } };
	TEST_EQ(fake_request(&g, &req, NULL), -ENOSYS);
	req = (struct nfe_req){ .op = NFE_OP_STATS, .stats.first = NFE_STAT_MAX - 1 };
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	nfed_function_set_link(g.fn, true);
	cell = g.mem + FAKE_CTRL_RQ;
	TEST_TRUE(nfed_all_zero(cell + 8, 56));
	TEST_TRUE(nfed_all_zero(cell + 64 + 8, 56));
	TEST_TRUE(nfed_all_zero(cell + 128 + 8 + 16, 40)); /* after the one counter */
	TEST_EQ(cell[192], NFE_MSG_EVENT);
	TEST_TRUE(nfed_all_zero(cell + 192 + 12, 52));
	TEST_EQ(cell[256], 0xa5); /* and no cell beyond */
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
mac_rx_mode_and_mtu_are_asked_of_the_owner(void)
{
	struct nfe_req mac = { .op = NFE_OP_MAC,
			       .mac = { .mac = { 2, 0, 0, 0, 0, 9 }, .action = NFE_MAC_ADD } };
	struct nfe_req mode = { .op = NFE_OP_RX_MODE, .rx_mode.mode = 3 };
	struct nfe_req mtu = { .op = NFE_OP_MTU, .mtu.mtu = 68 };
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	TEST_EQ(fake_request(&g, &mac, NULL), 0);
	TEST_EQ(g.mac_action, NFE_MAC_ADD);
	TEST_MEM_EQ(g.mac, mac.mac.mac, 6);
	g.mac_error = -EPERM;
	TEST_EQ(fake_request(&g, &mac, NULL), -EPERM);
	TEST_EQ(fake_request(&g, &mode, NULL), 0);
	TEST_EQ(g.rx_mode, 3);
	TEST_EQ(fake_request(&g, &mtu, NULL), 0);
	TEST_EQ(g.mtu, 68);
	TEST_EQ(nfed_function_counters(g.fn)->denied, 1);

	mac.mac.action = 0;
	TEST_EQ(fake_request(&g, &mac, NULL), -EINVAL);
	mac.mac.action = 4;
	TEST_EQ(fake_request(&g, &mac, NULL), -EINVAL);
	mac.mac.action = NFE_MAC_SET;
	mac.mac.mac[0] = 1; /* multicast */
	TEST_EQ(fake_request(&g, &mac, NULL), -EINVAL);
	memset(mac.mac.mac, 0, 6);
	TEST_EQ(fake_request(&g, &mac, NULL), -EINVAL);
	mode.rx_mode.mode = 4;
	TEST_EQ(fake_request(&g, &mode, NULL), -EINVAL);
	mtu.mtu.mtu = 67;
	TEST_EQ(fake_request(&g, &mtu, NULL), -EINVAL);
	mtu.mtu.mtu = 9001;
	TEST_EQ(fake_request(&g, &mtu, NULL), -EINVAL);
	TEST_EQ(nfed_function_counters(g.fn)->bad_value, 7);
	fake_guest_destroy(&g);
	return TEST_OK;
}

#define RX_FEATURES (NFE_F_RSS | NFE_F_VLAN_FILTER)

static int
rx_guest_open(struct fake_guest *g, uint64_t features)
{
	const struct nfed_function_conf conf = { .limits = nfed_limits_default,
						 .features = features };

	TEST_EQ(fake_guest_create(g, &conf), 0);
	TEST_EQ(fake_guest_boot(g, 4, 0), NFE_STATE_READY);
	TEST_EQ(nfed_function_accepted(g->fn), features);
	return TEST_OK;
}

static int
rss_and_vlans_need_their_features(void)
{
	struct nfe_req req[] = {
		{ .op = NFE_OP_RSS_HASH, .rss_hash.types = 1 },
		{ .op = NFE_OP_RSS_RETA, .rss_reta = { .n = 1 } },
		{ .op = NFE_OP_VLANS },
	};
	struct nfe_req mode = { .op = NFE_OP_RX_MODE, .rx_mode.mode = NFE_RX_VLAN_FILTER };
	struct fake_guest g;

	TEST_EQ(rx_guest_open(&g, 0), TEST_OK);
	for (unsigned int i = 0; i < 3; i++)
		TEST_EQ(fake_request(&g, &req[i], NULL), -EOPNOTSUPP);
	TEST_EQ(fake_request(&g, &mode, NULL), -EINVAL);
	TEST_EQ(nfed_function_counters(g.fn)->bad_value, 4);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
rss_is_checked_and_asked_of_the_owner(void)
{
	struct nfe_req hash = { .op = NFE_OP_RSS_HASH,
				.rss_hash = { .types = 0x3f, .flags = 1, .key = { 1, [39] = 2 } } };
	struct nfe_req reta = { .op = NFE_OP_RSS_RETA,
				.rss_reta = { .first = 104, .n = 24, .channel = { [23] = 16 } } };
	const struct nfe_req_rss_reta bad[] = {
		{ .first = 0, .n = 0 }, { .first = 0, .n = 25 }, { .first = 128, .n = 1 },
		{ .first = 105, .n = 24 }, { .first = 0xffff, .n = 24 },
		{ .n = 2, .channel = { 0, 17 } }, { .n = 2, .channel = { 0, 0, 1 } },
	};
	struct fake_guest g;

	TEST_EQ(rx_guest_open(&g, RX_FEATURES), TEST_OK);
	TEST_EQ(fake_request(&g, &hash, NULL), 0);
	TEST_MEM_EQ(&g.rss_hash, &hash.rss_hash, sizeof(g.rss_hash));
	TEST_EQ(fake_request(&g, &reta, NULL), 0);
	TEST_MEM_EQ(&g.rss_reta, &reta.rss_reta, sizeof(g.rss_reta));
	g.rss_error = -ENOMEM;
	TEST_EQ(fake_request(&g, &hash, NULL), -ENOMEM);
	TEST_EQ(fake_request(&g, &reta, NULL), -ENOMEM);
	TEST_EQ(nfed_function_counters(g.fn)->denied, 2);
	hash.rss_hash.types = 0x40;
	TEST_EQ(fake_request(&g, &hash, NULL), -EINVAL);
	hash.rss_hash.types = 1;
	hash.rss_hash.flags = 2;
	TEST_EQ(fake_request(&g, &hash, NULL), -EINVAL);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reta.rss_reta = bad[i];
		TEST_EQ(fake_request(&g, &reta, NULL), -EINVAL);
	}
	TEST_EQ(nfed_function_counters(g.fn)->bad_value, 2 + sizeof(bad) / sizeof(bad[0]));
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
vlans_are_checked_and_asked_of_the_owner(void)
{
	struct nfe_req req = { .op = NFE_OP_VLANS, .vlans = { .first = 64, .map = { 1, [5] = 3 } } };
	struct nfe_req mode = { .op = NFE_OP_RX_MODE, .rx_mode.mode = NFE_RX_VLAN_FILTER };
	struct fake_guest g;

	TEST_EQ(rx_guest_open(&g, RX_FEATURES), TEST_OK);
	TEST_EQ(fake_request(&g, &mode, NULL), 0);
	TEST_EQ(g.rx_mode, NFE_RX_VLAN_FILTER);
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	TEST_TRUE(g.vlans[0] == 0 && g.vlans[1] == 1 && g.vlans[6] == 3);
	req.vlans = (struct nfe_req_vlans){ .first = 4032, .map = { 1 } };
	TEST_EQ(fake_request(&g, &req, NULL), 0);
	TEST_EQ(g.vlans[63], 1);
	req.vlans.map[1] = 1; /* id 4096 */
	TEST_EQ(fake_request(&g, &req, NULL), -EINVAL);
	req.vlans = (struct nfe_req_vlans){ .first = 4096 };
	TEST_EQ(fake_request(&g, &req, NULL), -EINVAL);
	req.vlans.first = 1;
	TEST_EQ(fake_request(&g, &req, NULL), -EINVAL);
	TEST_EQ(nfed_function_counters(g.fn)->bad_value, 3);
	req.vlans = (struct nfe_req_vlans){ .zero = { 0, 0, 1 } };
	TEST_EQ(fake_request(&g, &req, NULL), -EINVAL);
	TEST_EQ(nfed_function_counters(g.fn)->bad_reserved, 1);
	g.vlans_error = -EPERM;
	req.vlans.zero[2] = 0;
	TEST_EQ(fake_request(&g, &req, NULL), -EPERM);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
stats_of_several_answers_are_one_snapshot(void)
{
	struct nfe_req bad = { .op = NFE_OP_STATS, .stats.first = NFE_STAT_MAX };
	uint64_t value[NFE_STAT_MAX];
	struct fake_guest g;
	struct nfe_rsp rsp;
	uint32_t n = 0;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	for (unsigned int round = 1; round <= 2; round++) {
		for (n = 0; n < NFE_STAT_MAX; n += rsp.stats.n) {
			struct nfe_req req = { .op = NFE_OP_STATS, .stats.first = n };

			TEST_EQ(fake_request(&g, &req, &rsp), 0);
			TEST_EQ(rsp.stats.first, n);
			TEST_EQ(rsp.stats.total, NFE_STAT_MAX);
			TEST_TRUE(rsp.stats.n >= 1 && rsp.stats.n <= NFE_STATS_PER_RSP);
			memcpy(&value[n], rsp.stats.value, rsp.stats.n * sizeof(value[0]));
		}
		TEST_EQ(n, NFE_STAT_MAX);
		TEST_EQ(g.stats_calls, round);
		for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
			TEST_EQ(value[i], 1000 * round + i);
	}
	TEST_EQ(fake_request(&g, &bad, NULL), -EINVAL);
	bad.stats.first = 0;
	g.stats_error = -EIO;
	TEST_EQ(fake_request(&g, &bad, NULL), -EIO);
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* Holes in what the device writes: its answers and its status block. */
static int
control_memory_with_holes_fails_the_function(void)
{
	struct nfe_req nop = { .op = NFE_OP_NOP };
	unsigned int served = 0;
	struct nfe_rsp rsp;
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_use_file(&g), 0);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	for (unsigned int i = 0; i < 500; i++) /* an honest one may go on for ever */
		TEST_EQ(fake_request(&g, &nop, NULL), 0);
	TEST_TRUE(nfed_function_counters(g.fn)->memory_faults < 64);
	g.fn->ctl_faults.allowance.left = 100;
	g.fn->ctl_faults.allowance.counted = INT64_MAX; /* nothing is earned */
	for (; served < 200 && nfed_function_state(g.fn) == NFE_STATE_READY; served++) {
		fake_punch(&g, FAKE_CTRL_RQ, FAKE_DATA - FAKE_CTRL_RQ);
		fake_post(&g, &nop);
		nfed_control_run(g.fn);
		fake_take(&g, &rsp);
	}
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_FAILED);
	TEST_EQ(nfed_function_reason(g.fn), NFE_REASON_MEMORY_FAULTS);
	TEST_TRUE(nfed_function_counters(g.fn)->memory_faults > 100);
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* By a clock of the test's own. */
static int
faults_are_paid_for_and_earned_again(void)
{
	struct nfed_ctl_faults f = { 0 };
	uint64_t now = 1000000;

	TEST_TRUE(!nfed_ctl_faults_charge(&f, now, 2048));
	TEST_TRUE(nfed_ctl_faults_charge(&f, now, 1));
	TEST_TRUE(!nfed_ctl_faults_charge(&f, now += 1000, 499)); /* 500 in a second */
	TEST_TRUE(nfed_ctl_faults_charge(&f, now, 1));
	for (unsigned int i = 0; i < 1000; i++) /* looked at more often than one is earned */
		nfed_ctl_faults_charge(&f, ++now, 0);
	TEST_EQ(f.allowance.left, 499);
	TEST_TRUE(!nfed_ctl_faults_charge(&f, now + 3600000, 2048));
	TEST_TRUE(nfed_ctl_faults_charge(&f, now + 3600000, 1));
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(control_indices_wrap),
	TEST_CASE(control_overrun_fails_the_function),
	TEST_CASE(work_per_run_is_bounded),
	TEST_CASE(time_per_run_is_bounded),
	TEST_CASE(time_over_time_is_bounded),
	TEST_CASE(full_answer_queue_keeps_requests_and_events),
	TEST_CASE(requests_behind_a_full_answer_queue_go_on_without_a_kick),
	TEST_CASE(host_that_never_reads_its_answers_fails_as_stalled),
	TEST_CASE(malformed_cells_are_answered_and_counted),
	TEST_CASE(each_reserved_byte_is_refused),
	TEST_CASE(nothing_stale_travels_in_answers),
	TEST_CASE(mac_rx_mode_and_mtu_are_asked_of_the_owner),
	TEST_CASE(rss_and_vlans_need_their_features),
	TEST_CASE(rss_is_checked_and_asked_of_the_owner),
	TEST_CASE(vlans_are_checked_and_asked_of_the_owner),
	TEST_CASE(stats_of_several_answers_are_one_snapshot),
	TEST_CASE(control_memory_with_holes_fails_the_function),
	TEST_CASE(faults_are_paid_for_and_earned_again),
};
TEST_SUITE(nfed_control, cases);
