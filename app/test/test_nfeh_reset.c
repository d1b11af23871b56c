/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Host end on a bus like PCI, where nothing tells that the function was reset (FLR) behind the
 * driver's back: it hears so when it rings (specification 3.4), from the status block (3.5), and at
 * the latest from GENERATION. Whatever it is, all comes back by a replay.
 */
#include <pthread.h>

#include "fake_bus.h"
#include "test_nfeh_fixture.h"

#define DEADLINE_MS 10000

static struct fake_device dev;
static struct guest guest;

static int
set_up(uint64_t more_features)
{
	fake_device_init(&dev, "dev");
	dev.like_pci = true;
	dev.regs[NFE_REG_FEATURES_LO / 8] |= (uint32_t)more_features;
	TEST_EQ(guest_attach_at(&guest, "fake:dev", 0, 0), 0);
	TEST_EQ(guest_register(&guest), 0);
	TEST_EQ(guest_start_channel(&guest, 1, 0), 0);
	return TEST_OK;
}

static int
tear_down(void)
{
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
requests_ring_where_that_is_answered(void)
{
	uint64_t value[NFE_STAT_MAX];

	TEST_EQ(set_up(NFE_F_TRIGGER), TEST_OK);
	TEST_EQ(nfeh_info(guest.h)->features & NFE_F_TRIGGER, NFE_F_TRIGGER);
	TEST_EQ(nfeh_stats(guest.h, value), 0);
	TEST_TRUE(dev.rings > 0);
	TEST_EQ(dev.kicks[0], 0);
	TEST_EQ(tear_down(), TEST_OK);

	TEST_EQ(set_up(0), TEST_OK); /* a device without trigger pages */
	TEST_EQ(nfeh_stats(guest.h, value), 0);
	TEST_EQ(dev.rings, 0);
	TEST_TRUE(dev.kicks[0] > 0);
	return tear_down();
}

static int
a_ring_that_finds_no_room_becomes_a_kick(void)
{
	uint64_t value[NFE_STAT_MAX];
	uint32_t rings;

	TEST_EQ(set_up(NFE_F_TRIGGER), TEST_OK);
	pthread_mutex_lock(&dev.lock);
	dev.ring_busy = 1;
	rings = dev.rings;
	pthread_mutex_unlock(&dev.lock);
	TEST_EQ(nfeh_stats(guest.h, value), 0);
	TEST_TRUE(dev.rings > rings);
	TEST_EQ(dev.kicks[0], 1);
	return tear_down();
}

/* The request is not lost: it is made again when the function is back. */
static int
a_request_hears_of_a_reset_at_once(void)
{
	uint64_t value[NFE_STAT_MAX];
	struct nfeh_counters c;

	TEST_EQ(set_up(NFE_F_TRIGGER), TEST_OK);
	pthread_mutex_lock(&dev.lock);
	dev.regs[NFE_REG_STATUS / 8] = NFE_STATUS_LINK | NFE_STATE_RESET; /* nothing else tells */
	pthread_mutex_unlock(&dev.lock);
	TEST_EQ(nfeh_stats(guest.h, value), 0);
	TEST_EQ(value[3], 1003);
	TEST_EQ(nfeh_generation(guest.h), 1);
	nfeh_counters(guest.h, &c);
	TEST_EQ(c.timeouts, 0);
	TEST_TRUE(c.restarts >= 1);
	TEST_EQ(c.failures, 1);
	TEST_TRUE(strstr(guest.log, "the function takes no requests") != NULL);
	return tear_down();
}

static int
the_status_block_tells_of_a_reset(void)
{
	TEST_EQ(set_up(0), TEST_OK);
	fake_device_reset(&dev, true);
	pthread_mutex_lock(&dev.lock);
	dev.regs[NFE_REG_GENERATION / 8]--; /* so it is not the register that tells */
	pthread_mutex_unlock(&dev.lock);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), DEADLINE_MS));
	TEST_TRUE(strstr(guest.log, "control channel in state 0: the function was reset") != NULL);
	return tear_down();
}

static int
the_register_tells_when_nothing_else_does(void)
{
	TEST_EQ(set_up(0), TEST_OK);
	fake_device_reset(&dev, false);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), DEADLINE_MS));
	TEST_TRUE(strstr(guest.log, "it was reset") != NULL);
	return tear_down();
}

static const struct test_case cases[] = {
	TEST_CASE(requests_ring_where_that_is_answered),
	TEST_CASE(a_ring_that_finds_no_room_becomes_a_kick),
	TEST_CASE(a_request_hears_of_a_reset_at_once),
	TEST_CASE(the_status_block_tells_of_a_reset),
	TEST_CASE(the_register_tells_when_nothing_else_does),
};
TEST_SUITE(nfeh_reset, cases);
