/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Host end against the fake bus: the device dies, fails, comes back, comes back smaller; what is
 * replayed and in which order; calls and detach while it is away (specification 8).
 */
#include <poll.h>
#include <pthread.h>

#include "fake_bus.h"
#include "test_nfeh_fixture.h"

#define ADDRESS "fake:dev"

static struct fake_device dev;
static struct guest guest;

/* Memory registered, channel 1 running, all that can be configured is. */
static int
set_up(uint32_t first_index)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 }, more[6] = { 2, 0, 0, 0, 0, 10 };

	fake_device_init(&dev, "dev");
	TEST_EQ(guest_attach_at(&guest, ADDRESS, 0, first_index), 0);
	TEST_EQ(guest_register(&guest), 0);
	TEST_EQ(guest_start_channel(&guest, 1, first_index), 0);
	TEST_EQ(nfeh_mac(guest.h, mac, NFE_MAC_SET), 0);
	TEST_EQ(nfeh_mac(guest.h, more, NFE_MAC_ADD), 0);
	TEST_EQ(nfeh_mac(guest.h, more, NFE_MAC_ADD), 0); /* twice is once */
	TEST_EQ(nfeh_rx_mode(guest.h, NFE_RX_PROMISC), 0);
	TEST_EQ(nfeh_mtu(guest.h, 9000 - 14), 0);
	return TEST_OK;
}

static int
tear_down(void)
{
	guest_detach(&guest);
	TEST_EQ(dev.nb_maps, 0);
	fake_device_fini(&dev);
	return TEST_OK;
}

static void
set_script(fake_script script)
{
	pthread_mutex_lock(&dev.lock);
	dev.script = script;
	pthread_mutex_unlock(&dev.lock);
}

/* Operations in the log, as letters in order. */
static void
ops_of(char *text, size_t size)
{
	static const char letters[NFE_OP_MAX] = { '?', 'R', 'r', 'C', 'c', 'Q', 'S', 's', 'A', 'X',
						  'U', '#', 'n', 'H', 'T', 'V' };
	unsigned int n = 0;

	pthread_mutex_lock(&dev.lock);
	for (; n < dev.nb_log && n + 1 < size; n++)
		text[n] = dev.log[n].op < NFE_OP_MAX ? letters[dev.log[n].op] : '?';
	pthread_mutex_unlock(&dev.lock);
	text[n] = '\0';
}

static int
replay_brings_back_everything_in_order(void)
{
	uint32_t key;
	char ops[32];

	TEST_EQ(set_up(0), TEST_OK);
	key = guest.key;
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	ops_of(ops, sizeof(ops));
	TEST_STR_EQ(ops, "RCQQQSAAXU");
	TEST_EQ(dev.resets, 1);
	TEST_EQ(dev.log[0].reg.key, key);
	TEST_EQ(dev.log[0].reg.iova, (uintptr_t)guest.mem);
	TEST_EQ(dev.log[0].reg.len, GUEST_LEN);
	TEST_EQ(dev.log[1].chan.channel, 1);
	TEST_EQ(dev.log[1].chan.status_key, key);
	TEST_EQ(dev.log[6].mac.action, NFE_MAC_SET);
	TEST_EQ(dev.log[7].mac.action, NFE_MAC_ADD);
	TEST_EQ(dev.log[8].rx_mode.mode, NFE_RX_PROMISC);
	TEST_EQ(dev.log[9].mtu.mtu, 9000 - 14);
	TEST_EQ(dev.nb_maps, 2);
	TEST_STR_EQ(guest.trace, "UDFiiiTU");
	TEST_EQ(guest_counters(&guest).hangups, 1);
	TEST_EQ(guest_counters(&guest).replays, 1);
	return tear_down();
}

/* What is as the device has it already is not sent, neither now nor then. */
static int
replay_brings_back_rss_and_vlans(void)
{
	struct nfeh_rss rss = { .types = NFE_RSS_IPV4, .flags = NFE_RSS_F_TELL, .key = { 7 } };
	char ops[32];

	TEST_EQ(set_up(0), TEST_OK);
	rss.reta[0] = rss.reta[30] = rss.reta[127] = 1;
	TEST_EQ(nfeh_rss(guest.h, &rss), 0);
	TEST_EQ(fake_device_count(&dev, NFE_OP_RSS_RETA), 3);
	TEST_EQ(fake_device_count(&dev, NFE_OP_RSS_HASH), 1);
	TEST_EQ(nfeh_rss(guest.h, &rss), 0);
	TEST_EQ(fake_device_count(&dev, NFE_OP_RSS_HASH), 1);
	TEST_EQ(nfeh_vlan(guest.h, 100, true), 0);
	TEST_EQ(nfeh_vlan(guest.h, 4095, true), 0);
	TEST_EQ(nfeh_vlan(guest.h, 4095, true), 0);
	TEST_EQ(nfeh_vlan(guest.h, 101, true), 0);
	TEST_EQ(nfeh_vlan(guest.h, 101, false), 0);
	TEST_EQ(nfeh_vlan(guest.h, 4096, true), -EINVAL);
	TEST_EQ(fake_device_count(&dev, NFE_OP_VLANS), 4);
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	ops_of(ops, sizeof(ops));
	TEST_STR_EQ(ops, "RCQQQSAATTTHVVXU");
	TEST_EQ(dev.log[8].rss_reta.first, 0);
	TEST_EQ(dev.log[8].rss_reta.channel[0], 1);
	TEST_EQ(dev.log[9].rss_reta.first, 30);
	TEST_EQ(dev.log[10].rss_reta.first, 127);
	TEST_EQ(dev.log[10].rss_reta.n, 1);
	TEST_MEM_EQ(dev.log[11].rss_hash.key, rss.key, sizeof(rss.key));
	TEST_EQ(dev.log[11].rss_hash.types, NFE_RSS_IPV4);
	TEST_EQ(dev.log[11].rss_hash.flags, NFE_RSS_F_TELL);
	TEST_EQ(dev.log[12].vlans.first, 64);
	TEST_EQ(dev.log[12].vlans.map[0], UINT64_C(1) << (100 - 64));
	TEST_EQ(dev.log[13].vlans.first, 4032);
	TEST_EQ(dev.log[13].vlans.map[0], UINT64_C(1) << 63);
	return tear_down();
}

static enum fake_answer
refuse_second_reta(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	if (req->op == NFE_OP_RSS_RETA && req->rss_reta.first >= 64)
		rsp->status = -ENOMEM;
	return FAKE_ANSWER;
}

/* The next call sends what the device has not, no more. */
static int
half_a_refused_table_is_remembered(void)
{
	struct nfeh_rss rss = { .types = NFE_RSS_IPV4 };

	TEST_EQ(set_up(0), TEST_OK);
	set_script(refuse_second_reta);
	rss.reta[10] = rss.reta[100] = 2;
	TEST_EQ(nfeh_rss(guest.h, &rss), -ENOMEM);
	TEST_EQ(fake_device_count(&dev, NFE_OP_RSS_RETA), 2);
	TEST_EQ(fake_device_count(&dev, NFE_OP_RSS_HASH), 0);
	set_script(NULL);
	TEST_EQ(nfeh_rss(guest.h, &rss), 0);
	TEST_EQ(fake_device_count(&dev, NFE_OP_RSS_RETA), 3);
	TEST_EQ(fake_device_count(&dev, NFE_OP_RSS_HASH), 1);
	return tear_down();
}

static int
replay_hands_on_the_indices_of_the_client(void)
{
	const uint32_t first = 0xffffff00;
	const uint32_t *db;

	TEST_EQ(set_up(first), TEST_OK);
	guest.prod[0] = first + 300; /* SQ: 10 outstanding, across the wrap */
	guest.cons[0] = first + 290;
	guest.prod[1] = first + 270; /* RQ */
	guest.cons[1] = first + 260;
	guest.prod[2] = first + 32; /* FQ */
	guest.cons[2] = first + 5;
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	for (unsigned int i = 0; i < 3; i++) {
		const struct nfe_req_queue *q = &dev.log[2 + i].queue;

		TEST_EQ(q->role, i + 1);
		TEST_EQ(q->prod, guest.prod[i]);
		TEST_EQ(q->cons, guest.cons[i]);
		TEST_EQ(q->capacity, 32);
	}
	db = (const uint32_t *)(const void *)nfeh_doorbells(guest.h, 1);
	TEST_EQ(db[NFE_DB_SQ_PROD / 4], first + 300);
	TEST_EQ(db[NFE_DB_RQ_CONS / 4], first + 260);
	TEST_EQ(db[NFE_DB_FQ_PROD / 4], first + 32);
	/* The next message of the device interrupts. */
	TEST_TRUE(nfe_event_crossed(db[NFE_DB_RQ_EVENT / 4], first + 271, first + 270));
	return tear_down();
}

static int
replay_wakes_the_device_and_a_sleeping_client(void)
{
	struct pollfd pfd;

	TEST_EQ(set_up(0), TEST_OK);
	pfd = (struct pollfd){ .fd = nfeh_irq_fd(guest.h, 1), .events = POLLIN };
	TEST_EQ(poll(&pfd, 1, 0), 0);
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	TEST_EQ(poll(&pfd, 1, 1000), 1);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	TEST_EQ(__atomic_load_n(&dev.kicks[1], __ATOMIC_RELAXED), 1);
	TEST_TRUE((uint8_t *)nfeh_doorbells(guest.h, 1) == fake_device_doorbells(&dev, 1));
	return tear_down();
}

static int
what_was_taken_away_is_not_replayed(void)
{
	static const uint8_t more[6] = { 2, 0, 0, 0, 0, 10 };
	uint32_t key;
	char ops[32];

	TEST_EQ(set_up(0), TEST_OK);
	TEST_EQ(nfeh_region_add(guest.h, guest.mem + 4096, 0x10000, 4096, guest.fd, 4096, 3, &key),
		0);
	TEST_EQ(nfeh_region_del(guest.h, key), 0);
	TEST_EQ(nfeh_mac(guest.h, more, NFE_MAC_REMOVE), 0);
	TEST_EQ(nfeh_channel_stop(guest.h, 1), 0);
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	ops_of(ops, sizeof(ops));
	TEST_STR_EQ(ops, "RCQQQAXU");
	TEST_EQ(__atomic_load_n(&dev.kicks[1], __ATOMIC_RELAXED), 0);
	TEST_EQ(nfeh_channel_destroy(guest.h, 1), 0);
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 2), WAIT_MS));
	ops_of(ops, sizeof(ops));
	TEST_STR_EQ(ops, "RAXU");
	return tear_down();
}

/* Each death at another request of the replay. */
static int die_at;

static enum fake_answer
die_at_request(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	(void)req;
	(void)rsp;
	return die_at > 0 && --die_at == 0 ? FAKE_DIE : FAKE_ANSWER;
}

static int
device_that_dies_during_the_replay_is_tried_again(void)
{
	char ops[32];

	TEST_EQ(set_up(0), TEST_OK);
	set_script(die_at_request);
	for (uint32_t i = 1; i <= 10; i++) {
		pthread_mutex_lock(&dev.lock);
		die_at = (int)i;
		pthread_mutex_unlock(&dev.lock);
		fake_device_die(&dev);
		fake_device_power_on(&dev);
		TEST_TRUE(TEST_WAIT(!fake_device_powered(&dev), WAIT_MS));
		fake_device_power_on(&dev);
		TEST_TRUE(TEST_WAIT(nfeh_generation(guest.h) >= i && nfeh_link(guest.h), WAIT_MS));
		TEST_EQ(nfeh_mtu(guest.h, 1500), 0);
		ops_of(ops, sizeof(ops));
		TEST_TRUE(strncmp(ops, "RCQQQSAAXU", 10) == 0);
	}
	TEST_EQ(guest_counters(&guest).refused, 0);
	/* The client is asked once per restart, not once per attempt. */
	TEST_EQ(guest.nb_trace, 1 + 10 * strlen("DFiiiTU"));
	return tear_down();
}

static int
smaller_device_is_refused_and_a_fitting_one_taken(void)
{
	static const struct {
		uint32_t reg, value;
		const char *text;
	} smaller[] = {
		{ NFE_REG_MAX_SEGS, 7, "MAX_SEGS 7, in use 8" },
		{ NFE_REG_QUEUE_LOG2, (12u << 16) | 6, "QUEUE_LOG2" },
		{ NFE_REG_FEATURES_LO, NFE_F_RING_MODE, "0x2 of the required are missing" },
		{ NFE_REG_VECTORS, 1, "VECTORS 1, in use 2" },
	};

	for (unsigned int i = 0; i < sizeof(smaller) / sizeof(smaller[0]); i++) {
		uint32_t *reg, before;
		uint64_t start;

		TEST_EQ(set_up(0), TEST_OK);
		reg = &dev.regs[smaller[i].reg / 8];
		before = *reg;
		fake_device_die(&dev);
		*reg = smaller[i].value;
		start = test_now_ms();
		fake_device_power_on(&dev);
		TEST_TRUE(TEST_WAIT(guest_counters(&guest).refused == 1, WAIT_MS));
		TEST_TRUE(!nfeh_link(guest.h));
		TEST_TRUE(strstr(guest.log, smaller[i].text) != NULL);
		pthread_mutex_lock(&dev.lock);
		*reg = before;
		pthread_mutex_unlock(&dev.lock);
		TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
		TEST_TRUE(test_now_ms() - start >= 990); /* once a second, no storm */
		TEST_TRUE(strncmp(guest.trace, "UDFiiiR", 7) == 0);
		TEST_TRUE(guest.refused == -EPROTO || guest.refused == -ENOTSUP);
		TEST_EQ(tear_down(), TEST_OK);
	}
	return TEST_OK;
}

static int
unused_limits_may_shrink(void)
{
	TEST_EQ(set_up(0), TEST_OK);
	fake_device_die(&dev);
	dev.regs[NFE_REG_MAX_CHANNELS / 8] = 1;
	dev.regs[NFE_REG_MAX_REGIONS / 8] = 1;
	dev.regs[NFE_REG_VECTORS / 8] = 2;
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	return tear_down();
}

static int
failed_function_is_replayed_at_most_once_a_second(void)
{
	const struct nfe_event ev = { .type = NFE_MSG_EVENT, .kind = NFE_EVENT_FUNCTION,
				      .value = NFE_REASON_SQ_OVERRUN };
	uint64_t start = test_now_ms();

	TEST_EQ(set_up(0), TEST_OK);
	fake_device_inject(&dev, &ev);
	TEST_TRUE(TEST_WAIT(guest_counters(&guest).failures == 1, WAIT_MS));
	TEST_TRUE(strstr(guest.log, "send queue overrun (7)") != NULL);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	TEST_TRUE(test_now_ms() - start >= 1000);
	fake_device_inject(&dev, &ev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 2), WAIT_MS));
	TEST_TRUE(test_now_ms() - start >= 2000);
	TEST_EQ(guest_counters(&guest).hangups, 0);
	TEST_EQ(dev.resets, 1 + 2 * 2); /* attach; each time before leaving and at the boot */
	return tear_down();
}

static int
client_is_told_of_a_device_that_cannot_take_over(void)
{
	TEST_EQ(set_up(0), TEST_OK);
	fake_device_die(&dev);
	dev.go_fails = NFE_REASON_OPERATOR;
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_counters(&guest).refused == 3, WAIT_MS));
	pthread_mutex_lock(&dev.lock);
	dev.go_fails = 0;
	pthread_mutex_unlock(&dev.lock);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	TEST_TRUE(strncmp(guest.trace, "UDFiiiRRR", 9) == 0); /* at each attempt */
	TEST_EQ(guest.refused, -EACCES);
	return tear_down();
}

static int
client_is_told_when_each_replay_ends_in_failure(void)
{
	const struct nfe_event ev = { .type = NFE_MSG_EVENT, .kind = NFE_EVENT_FUNCTION,
				      .value = NFE_REASON_MEMORY_GONE };

	TEST_EQ(set_up(0), TEST_OK);
	for (uint32_t i = 1; i <= 4; i++) {
		fake_device_inject(&dev, &ev);
		TEST_TRUE(TEST_WAIT(guest_replayed(&guest, i), WAIT_MS));
	}
	TEST_STR_EQ(guest.trace, "UDFiiiTUDFiiiTUDFiiiRTUDFiiiTU"); /* once */
	TEST_EQ(guest.refused, -EIO);
	return tear_down();
}

static int
control_index_out_of_bounds_restarts_the_function(void)
{
	TEST_EQ(set_up(0), TEST_OK);
	fake_device_set_rq_prod(&dev, dev.rq_prod + 65);
	TEST_TRUE(TEST_WAIT(guest_counters(&guest).bad_index == 1, WAIT_MS));
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	return tear_down();
}

static enum fake_answer
swallow_mtu(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	(void)rsp;
	return req->op == NFE_OP_MTU ? FAKE_SILENT : FAKE_ANSWER;
}

static int
request_without_answer_restarts_the_function(void)
{
	uint64_t start;

	TEST_EQ(set_up(0), TEST_OK);
	set_script(swallow_mtu);
	start = test_now_ms();
	TEST_EQ(nfeh_mtu(guest.h, 1500), -ETIMEDOUT);
	TEST_TRUE(test_now_ms() - start >= 2000);
	set_script(NULL);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	TEST_TRUE(strstr(guest.log, "MTU not answered after 2000 ms") != NULL);
	return tear_down();
}

static enum fake_answer
die_at_nop(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	(void)rsp;
	return req->op == NFE_OP_NOP ? FAKE_DIE : FAKE_ANSWER;
}

static int
request_by_hand_is_lost_with_the_device(void)
{
	struct nfe_req req = { .op = NFE_OP_NOP };
	struct nfe_rsp rsp;

	TEST_EQ(set_up(0), TEST_OK);
	set_script(die_at_nop);
	TEST_EQ(nfeh_request(guest.h, &req, &rsp, WAIT_MS), -ERESTART);
	TEST_EQ(guest_counters(&guest).restarts, 1);
	set_script(NULL);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	TEST_EQ(fake_device_count(&dev, NFE_OP_NOP), 0);
	return tear_down();
}

static void *
power_on_later(void *arg)
{
	(void)arg;
	test_sleep_ms(300);
	fake_device_power_on(&dev);
	return NULL;
}

static int
call_while_down_waits_for_the_device(void)
{
	pthread_t thread;
	uint64_t start;
	uint32_t key;

	TEST_EQ(set_up(0), TEST_OK);
	fake_device_die(&dev);
	TEST_TRUE(TEST_WAIT(!nfeh_link(guest.h), WAIT_MS));
	pthread_create(&thread, NULL, power_on_later, NULL);
	start = test_now_ms();
	TEST_EQ(nfeh_region_add(guest.h, guest.mem, 0x100000, 4096, guest.fd, 0, 3, &key), 0);
	TEST_TRUE(test_now_ms() - start >= 290);
	pthread_join(thread, NULL);
	TEST_EQ(fake_device_count(&dev, NFE_OP_REGISTER), 2);
	return tear_down();
}

static int
call_while_down_gives_up_after_two_seconds(void)
{
	uint64_t start;

	TEST_EQ(set_up(0), TEST_OK);
	fake_device_die(&dev);
	TEST_TRUE(TEST_WAIT(!nfeh_link(guest.h), WAIT_MS));
	start = test_now_ms();
	TEST_EQ(nfeh_mtu(guest.h, 1500), -ENOLINK);
	TEST_TRUE(test_now_ms() - start >= 1990);
	return tear_down();
}

static int
taking_away_while_down_is_done_at_once(void)
{
	char ops[32];

	TEST_EQ(set_up(0), TEST_OK);
	fake_device_die(&dev);
	TEST_TRUE(TEST_WAIT(!nfeh_link(guest.h), WAIT_MS));
	/* What waits for the device gives up with -ENOLINK. */
	TEST_EQ(nfeh_region_del(guest.h, guest.key), -EBUSY);
	TEST_EQ(nfeh_channel_stop(guest.h, 1), 0);
	TEST_EQ(nfeh_channel_destroy(guest.h, 1), 0);
	TEST_EQ(nfeh_region_del(guest.h, guest.key), 0);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	ops_of(ops, sizeof(ops));
	TEST_STR_EQ(ops, "AAXU");
	return tear_down();
}

static enum fake_answer
no_deregister(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)rsp;
	if (req->op == NFE_OP_DEREGISTER)
		return d->arg != NULL ? FAKE_DIE : FAKE_SILENT;
	return FAKE_ANSWER;
}

static int
add_page(unsigned int page, uint32_t *key)
{
	uint64_t at = page * NFE_PAGE_SIZE;

	return nfeh_region_add(guest.h, guest.mem + at, (uintptr_t)guest.mem + at, NFE_PAGE_SIZE,
			       guest.fd, at, NFE_ACCESS_READ, key);
}

/* Regression: what a device did not answer to, or died at, was replayed for ever. */
static int
taken_away_from_a_device_that_fails_is_not_replayed(void)
{
	uint32_t first, second, third;

	fake_device_init(&dev, "dev");
	TEST_EQ(guest_attach_at(&guest, ADDRESS, 0, 0), 0);
	TEST_EQ(add_page(0, &first), 0);
	TEST_EQ(add_page(1, &second), 0);
	TEST_EQ(add_page(2, &third), 0);
	set_script(no_deregister);
	TEST_EQ(nfeh_region_del(guest.h, first), -ETIMEDOUT);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	TEST_EQ(fake_device_count(&dev, NFE_OP_REGISTER), 3 + 2);
	TEST_EQ(nfeh_region_del(guest.h, first), -ENOENT);
	set_script(NULL);
	dev.arg = &dev;
	set_script(no_deregister);
	TEST_EQ(nfeh_region_del(guest.h, second), 0);
	set_script(NULL);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 2), WAIT_MS));
	TEST_EQ(fake_device_count(&dev, NFE_OP_REGISTER), 1);
	TEST_EQ(nfeh_region_del(guest.h, third), 0);
	return tear_down();
}

/* Regression: by then the numbers were nobody's, or another file's. */
static int
descriptors_closed_by_the_client_are_replayed_all_the_same(void)
{
	struct nfeh_piece pieces[2];
	unsigned int before, open;
	uint32_t key;

	before = nb_open_fds();
	fake_device_init(&dev, "dev");
	TEST_EQ(guest_attach_at(&guest, ADDRESS, 0, 0), 0);
	open = nb_open_fds();
	for (unsigned int i = 0; i < 2; i++)
		pieces[i] = (struct nfeh_piece){ dup(guest.fd), i * NFE_PAGE_SIZE, NFE_PAGE_SIZE };
	TEST_EQ(nfeh_region_add_pieces(guest.h, guest.mem, (uintptr_t)guest.mem, pieces, 2,
				       NFE_ACCESS_READ, &key), 0);
	close(pieces[0].fd);
	close(pieces[1].fd);
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	TEST_EQ(guest_counters(&guest).refused, 0);
	TEST_EQ(dev.nb_maps, 3);
	TEST_EQ(nfeh_region_del(guest.h, key), 0);
	TEST_EQ(nb_open_fds(), open);
	TEST_EQ(add_page(0, &key), 0); /* left to the detach */
	TEST_EQ(tear_down(), TEST_OK);
	TEST_EQ(nb_open_fds(), before);
	return TEST_OK;
}

static int
detach_while_down_is_prompt(void)
{
	uint64_t start;

	TEST_EQ(set_up(0), TEST_OK);
	fake_device_die(&dev);
	TEST_TRUE(TEST_WAIT(!nfeh_link(guest.h), WAIT_MS));
	start = test_now_ms();
	guest_detach(&guest);
	TEST_TRUE(test_now_ms() - start < PROMPT_MS);
	fake_device_fini(&dev);
	return TEST_OK;
}

static enum fake_answer
swallow_all(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	(void)req;
	(void)rsp;
	return FAKE_SILENT;
}

static int
detach_during_a_replay_that_hangs_is_prompt(void)
{
	uint64_t start;

	TEST_EQ(set_up(0), TEST_OK);
	set_script(swallow_all);
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	TEST_TRUE(TEST_WAIT(fake_device_count(&dev, NFE_OP_REGISTER) == 1, WAIT_MS));
	start = test_now_ms();
	TEST_EQ(tear_down(), TEST_OK);
	TEST_TRUE(test_now_ms() - start < PROMPT_MS);
	return TEST_OK;
}

static int
replay_waits_while_the_device_is_busy(void)
{
	TEST_EQ(set_up(0), TEST_OK);
	pthread_mutex_lock(&dev.lock);
	dev.connect_error = -EBUSY;
	pthread_mutex_unlock(&dev.lock);
	fake_device_die(&dev);
	fake_device_power_on(&dev);
	test_sleep_ms(200);
	TEST_EQ(nfeh_generation(guest.h), 0);
	pthread_mutex_lock(&dev.lock);
	dev.connect_error = 0;
	pthread_mutex_unlock(&dev.lock);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), WAIT_MS));
	return tear_down();
}

static uint32_t callers_go_on;

static void *
caller_thread(void *arg)
{
	unsigned int i = (unsigned int)(uintptr_t)arg;
	uint64_t value[NFE_STAT_MAX];
	uintptr_t failed = 0;
	uint32_t key;

	while (__atomic_load_n(&callers_go_on, __ATOMIC_RELAXED) != 0) {
		failed += nfeh_stats(guest.h, value) != 0;
		failed += nfeh_region_add(guest.h, guest.mem, 0x1000000u * (i + 1), 4096, guest.fd,
					  0, 3, &key) != 0;
		failed += nfeh_region_del(guest.h, key) != 0;
	}
	return (void *)failed;
}

static int
callers_on_many_threads_survive_deaths(void)
{
	pthread_t thread[4];
	void *failed;

	TEST_EQ(set_up(0), TEST_OK);
	callers_go_on = 1;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, caller_thread, (void *)i);
	for (uint32_t i = 1; i <= 50; i++) {
		test_sleep_ms(5);
		fake_device_die(&dev);
		test_sleep_ms(i % 3);
		fake_device_power_on(&dev);
		TEST_TRUE(TEST_WAIT(nfeh_generation(guest.h) == i, WAIT_MS));
	}
	__atomic_store_n(&callers_go_on, 0, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 4; i++) {
		pthread_join(thread[i], &failed);
		TEST_EQ((uintptr_t)failed, 0);
	}
	TEST_EQ(dev.nb_maps, 2);
	return tear_down();
}

static const struct test_case cases[] = {
	TEST_CASE(replay_brings_back_everything_in_order),
	TEST_CASE(replay_brings_back_rss_and_vlans),
	TEST_CASE(half_a_refused_table_is_remembered),
	TEST_CASE(replay_hands_on_the_indices_of_the_client),
	TEST_CASE(replay_wakes_the_device_and_a_sleeping_client),
	TEST_CASE(what_was_taken_away_is_not_replayed),
	TEST_CASE(device_that_dies_during_the_replay_is_tried_again),
	TEST_CASE(smaller_device_is_refused_and_a_fitting_one_taken),
	TEST_CASE(unused_limits_may_shrink),
	TEST_CASE(failed_function_is_replayed_at_most_once_a_second),
	TEST_CASE(client_is_told_of_a_device_that_cannot_take_over),
	TEST_CASE(client_is_told_when_each_replay_ends_in_failure),
	TEST_CASE(control_index_out_of_bounds_restarts_the_function),
	TEST_CASE(request_without_answer_restarts_the_function),
	TEST_CASE(request_by_hand_is_lost_with_the_device),
	TEST_CASE(call_while_down_waits_for_the_device),
	TEST_CASE(call_while_down_gives_up_after_two_seconds),
	TEST_CASE(taking_away_while_down_is_done_at_once),
	TEST_CASE(taken_away_from_a_device_that_fails_is_not_replayed),
	TEST_CASE(descriptors_closed_by_the_client_are_replayed_all_the_same),
	TEST_CASE(detach_while_down_is_prompt),
	TEST_CASE(detach_during_a_replay_that_hangs_is_prompt),
	TEST_CASE(replay_waits_while_the_device_is_busy),
	TEST_CASE(callers_on_many_threads_survive_deaths),
};
TEST_SUITE(nfeh_replay, cases);
