/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Several uplinks of one switch: each has buffers of its own, and nothing passes from one to
 * another. How frames get to and from an uplink is test_vsw_policy.c's.
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_dev.h>
#include <ethdev_driver.h>

#include "test_vsw_fixture.h"

#define A(sw)	((sw).guest[0])
#define CHAN(g) (&(g)->chan[0])

static const uint8_t host_one[6] = { 2, 0x77, 0, 0, 0, 1 };
static const uint8_t host_two[6] = { 2, 0x77, 0, 0, 0, 2 };
static struct sw_frame got;
static uint8_t frame[60];

struct uplink { /* beside the fixture's own */
	struct vsw_port *port;
	struct rte_ring *wire; /* what the switch sends lies in it, what is put there comes in */
};

static int
second_uplink(struct sw *sw, struct uplink *u)
{
	static unsigned int instance;
	struct vsw_uplink_conf conf = { .name = "two", .learning = true };
	char name[32];

	snprintf(name, sizeof(name), "net_ring_two%u", instance);
	TEST_EQ(rte_eal_hotplug_add("vdev", name, ""), 0);
	TEST_EQ(rte_eth_dev_get_port_by_name(name, &conf.ethdev), 0);
	TEST_EQ(vsw_uplink_add(sw->vsw, &conf, &u->port), 0);
	snprintf(name, sizeof(name), "ETH_RXTX0_net_ring_two%u", instance++);
	u->wire = rte_ring_lookup(name);
	TEST_TRUE(u->wire != NULL);
	return TEST_OK;
}

static int
open_two(struct sw *sw, struct uplink *two)
{
	SW_DO(sw_open(sw, NULL));
	SW_DO(sw_add_guest(sw, NULL, NULL));
	SW_DO(sw_add_uplink(sw, true));
	return second_uplink(sw, two);
}

static uint64_t
stat_of(struct vsw_port *port, enum nfe_stat stat)
{
	uint64_t value[NFE_STAT_MAX];

	return vsw_port_stats(port, value) == 0 ? value[stat] : UINT64_MAX;
}

/* host_two speaks to the guest: it is known behind the second uplink from then on. */
static int
learn_host_two(struct sw *sw, struct uplink *two)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(two->port->uplink->pool);

	TEST_TRUE(m != NULL);
	sw_make_frame(frame, sizeof(frame), A(*sw)->mac, host_two, 0);
	memcpy(rte_pktmbuf_append(m, sizeof(frame)), frame, sizeof(frame));
	TEST_EQ(rte_ring_enqueue(two->wire, m), 0);
	SW_DO(sw_turn(sw));
	vsw_service(sw->vsw);
	TEST_EQ(sw_drain(CHAN(A(*sw))), 1);
	return TEST_OK;
}

/* Regression: without a spanning tree a bridge between uplinks loops. */
static int
nothing_passes_from_uplink_to_uplink(void)
{
	static const uint8_t nobody[6] = { 2, 0x77, 0, 0, 0, 3 };
	const uint8_t *to[] = { host_two, nobody, sw_broadcast };
	struct uplink two;
	struct sw sw;

	SW_DO(open_two(&sw, &two));
	SW_DO(learn_host_two(&sw, &two));
	for (unsigned int i = 0; i < RTE_DIM(to); i++) {
		sw_make_frame(frame, sizeof(frame), to[i], host_one, i);
		sw_wire_send(&sw, frame, sizeof(frame));
		SW_DO(sw_turn(&sw));
		TEST_TRUE(rte_ring_empty(two.wire));
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_from_drop_no_port), 2);
	TEST_EQ(stat_of(two.port, NFE_STAT_to_offered), 0);
	TEST_EQ(sw_drain(CHAN(A(sw))), 1); /* the broadcast */
	/* What a guest sends to that host does get there. */
	sw_make_frame(frame, sizeof(frame), host_two, A(sw)->mac, 9);
	sw_put_frame(CHAN(A(sw)), frame, sizeof(frame));
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(stat_of(two.port, NFE_STAT_to_frames), 1);
	TEST_EQ(sw_wire_recv(&sw, &got), 0);
	return sw_close(&sw);
}

/* Regression: one pool served all uplinks, so one that kept its mbufs starved the others. */
static int
uplink_without_buffers_starves_no_other(void)
{
	struct rte_mempool *pool;
	struct rte_mbuf **held, *sent;
	struct uplink two;
	struct sw sw;
	unsigned int n = 0;

	SW_DO(open_two(&sw, &two));
	pool = sw.uplink->uplink->pool;
	TEST_TRUE(pool != two.port->uplink->pool);
	held = calloc(pool->size, sizeof(struct rte_mbuf *));
	TEST_TRUE(held != NULL);
	while (n < pool->size && (held[n] = rte_pktmbuf_alloc(pool)) != NULL)
		n++;
	sw_make_frame(frame, sizeof(frame), sw_broadcast, A(sw)->mac, 1);
	sw_put_frame(CHAN(A(sw)), frame, sizeof(frame));
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_drop_no_buffer), 1);
	TEST_EQ(stat_of(two.port, NFE_STAT_to_frames), 1);
	TEST_EQ(rte_ring_dequeue(two.wire, (void **)&sent), 0);
	rte_pktmbuf_free(sent);
	SW_DO(learn_host_two(&sw, &two)); /* it receives as well */
	rte_pktmbuf_free_bulk(held, n);
	free(held);
	return sw_close(&sw);
}

static struct { /* a net_ring whose promiscuous mode fails, and what was done to it */
	const struct eth_dev_ops *real;
	char pool[RTE_MEMPOOL_NAMESIZE];
	unsigned int stopped, closed; /* while it had its pool */
} bad;

static int
bad_promiscuous(struct rte_eth_dev *dev)
{
	(void)dev;
	return -EIO;
}

static int
bad_stop(struct rte_eth_dev *dev)
{
	bad.stopped += rte_mempool_lookup(bad.pool) != NULL;
	return bad.real->dev_stop(dev);
}

static int
bad_close(struct rte_eth_dev *dev)
{
	bad.closed += rte_mempool_lookup(bad.pool) != NULL;
	return bad.real->dev_close(dev);
}

/* Regression: the pool was freed under a device that ran on with its mbufs. */
static int
device_that_fails_late_is_closed_before_its_pool_goes(void)
{
	struct vsw_uplink_conf conf = { .name = "bad" };
	struct vsw_port *port;
	static struct eth_dev_ops ops;
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	TEST_EQ(rte_eal_hotplug_add("vdev", "net_ring_bad", ""), 0);
	TEST_EQ(rte_eth_dev_get_port_by_name("net_ring_bad", &conf.ethdev), 0);
	snprintf(bad.pool, sizeof(bad.pool), "vsw_uplink_%u", conf.ethdev);
	bad.real = rte_eth_devices[conf.ethdev].dev_ops;
	ops = *bad.real;
	ops.promiscuous_enable = bad_promiscuous;
	ops.dev_stop = bad_stop;
	ops.dev_close = bad_close;
	rte_eth_devices[conf.ethdev].dev_ops = &ops;
	TEST_EQ(vsw_uplink_add(sw.vsw, &conf, &port), -EIO);
	TEST_EQ(bad.stopped, 1);
	TEST_EQ(bad.closed, 1);
	TEST_TRUE(rte_mempool_lookup(bad.pool) == NULL);
	TEST_TRUE(!rte_eth_dev_is_valid_port(conf.ethdev));
	TEST_EQ(rte_eal_hotplug_remove("vdev", "net_ring_bad"), 0);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(nothing_passes_from_uplink_to_uplink),
	TEST_CASE(uplink_without_buffers_starves_no_other),
	TEST_CASE(device_that_fails_late_is_closed_before_its_pool_goes),
};
TEST_SUITE(vsw_uplink, cases);
