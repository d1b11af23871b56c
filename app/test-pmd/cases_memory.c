/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * EAL memory that comes and goes while a port is attached, and memory that the device can't reach.
 * What EAL allocates and frees is counted: without that a case would prove nothing.
 */
#include <errno.h>
#include <sys/mman.h>

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include "bench.h"

#define NEEDS_HOTPLUG() \
	do {                                                                       \
		if (!rte_eal_has_hugepages()) {                                    \
			test_skip_reason = "EAL allocates nothing later without hugepages"; \
			return TEST_SKIPPED;                                       \
		}                                                                  \
		TEST_EQ(rte_mem_event_callback_register("test-pmd", on_memory, NULL), 0); \
	} while (0)

static const struct port_conf plain = { .nb_rx = 1, .nb_tx = 1 };
static unsigned int nb_allocs, nb_frees;

static void
on_memory(enum rte_mem_event type, const void *addr __rte_unused, size_t len __rte_unused,
	  void *arg __rte_unused)
{
	*(type == RTE_MEM_EVENT_ALLOC ? &nb_allocs : &nb_frees) += 1;
}

static struct rte_mempool *
make_pool(const char *name, unsigned int n)
{
	return rte_pktmbuf_pool_create(name, n, 0, 0, BENCH_DATA_ROOM, SOCKET_ID_ANY);
}

static int
pools_come_and_go_while_the_port_runs(void)
{
	NEEDS_HOTPLUG();
	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	for (unsigned int i = 0; i < 12; i++) {
		struct rte_mempool *first = make_pool("first", 6000 + 500 * i), *second;
		struct traffic t = { .frames = 1000, .max_segs = 2, .pool = first };

		TEST_TRUE(first != NULL);
		TEST_EQ(traffic_run(&t), TEST_OK);
		second = make_pool("second", 3000);
		TEST_TRUE(second != NULL);
		TEST_EQ(pool_wait_whole(first), TEST_OK);
		rte_mempool_free(first);
		t.pool = second;
		TEST_EQ(traffic_run(&t), TEST_OK);
		TEST_EQ(pool_wait_whole(second), TEST_OK);
		rte_mempool_free(second);
	}
	TEST_TRUE(nb_allocs >= 12 && nb_frees >= 12);
	TEST_EQ(port_xstat(port_a, "tx_drop_unregistered"), 0);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

/* The switch restarts twice while regions have holes: the replay registers them whole. */
static int
region_of_which_a_part_was_freed_outlives_the_switch(void)
{
	struct rte_mempool *gone, *kept;
	struct traffic t = { .frames = 1000, .max_segs = 2 };
	struct port_conf conf = plain;

	NEEDS_HOTPLUG();
	gone = make_pool("gone", 8000);
	kept = make_pool("kept", 8000);
	TEST_TRUE(gone != NULL && kept != NULL);
	TEST_EQ(bench_probe_both(), TEST_OK);
	t.pool = conf.rx_pool = kept;
	TEST_EQ(ports_up(&plain, &conf), TEST_OK);
	TEST_EQ(traffic_run(&t), TEST_OK);
	rte_mempool_free(gone);
	TEST_TRUE(nb_frees > 0);
	for (int restart = 0; restart < 2; restart++) {
		TEST_EQ(traffic_run(&t), TEST_OK);
		TEST_EQ(switch_down(), TEST_OK);
		TEST_EQ(wait_link(port_a, false, 2000), TEST_OK);
		TEST_EQ(switch_up(), TEST_OK);
		TEST_EQ(wait_link(port_a, true, 5000), TEST_OK);
		TEST_EQ(wait_link(port_b, true, 5000), TEST_OK);
		TEST_EQ(traffic_run(&t), TEST_OK);
		gone = make_pool("gone", 9000); /* other memory at the same addresses */
		TEST_TRUE(gone != NULL);
		t.pool = gone;
		TEST_EQ(traffic_run(&t), TEST_OK);
		TEST_EQ(pool_wait_whole(gone), TEST_OK);
		rte_mempool_free(gone);
		t.pool = kept;
	}
	TEST_EQ(port_xstat(port_a, "tx_drop_unregistered"), 0);
	TEST_EQ(ports_down(), TEST_OK);
	rte_mempool_free(kept);
	return bench_remove_both();
}

/* The pool can't be registered before the switch is back; then it must be, without being asked. */
static int
pool_born_while_the_switch_is_away(void)
{
	struct traffic t = { .frames = 1000, .max_segs = 2 };
	struct port_conf conf = plain;
	struct rte_mempool *born, *slack;
	void *block;
	uint64_t deadline;
	int ret;

	NEEDS_HOTPLUG();
	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(switch_down(), TEST_OK);
	rte_delay_us_sleep(20000); /* noticed */
	block = rte_malloc("block", 9u << 20, 0);
	slack = make_pool("slack", 300); /* in what the pages of the block leave */
	born = make_pool("born", 8000);
	TEST_TRUE(block != NULL && slack != NULL && born != NULL && nb_allocs > 0);
	rte_free(block); /* a part of what waits to be registered */
	TEST_TRUE(nb_frees > 0);
	TEST_EQ(switch_up(), TEST_OK);
	conf.rx_pool = born;
	TEST_EQ(port_setup(port_b, &plain), TEST_OK);
	deadline = now_ms() + 2000;
	while ((ret = rte_eth_rx_queue_setup(port_b, 0, 256, 0, NULL, born)) != 0 ||
	       (ret = rte_eth_rx_queue_setup(port_b, 0, 256, 0, NULL, slack)) != 0)
		TEST_ASSERT_MSG(now_ms() < deadline, "not registered after 2000 ms: %d", ret);
	TEST_EQ(ports_up(&plain, &conf), TEST_OK);
	t.pool = born;
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	TEST_TRUE(rte_mempool_full(born) && rte_mempool_full(slack));
	rte_mempool_free(born);
	rte_mempool_free(slack);
	return bench_remove_both();
}

/* Regression: a region that could not be deregistered was replayed with descriptors that were
 * closed, and no switch took the port over any more. */
static int
memory_freed_while_the_switch_hangs_is_not_missed(void)
{
	static const char *const name[] = { "one", "two" };
	struct rte_mempool *pool[2];
	const struct traffic t = { .frames = 1000, .max_segs = 2 };

	NEEDS_HOTPLUG();
	TEST_EQ(bench_probe_both(), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(pool); i++) {
		pool[i] = make_pool(name[i], 8000);
		TEST_TRUE(pool[i] != NULL);
	}
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(switch_hang(), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(pool); i++)
		rte_mempool_free(pool[i]);
	TEST_TRUE(nb_frees > 0);
	TEST_EQ(switch_go_on(), TEST_OK);
	TEST_EQ(wait_link(port_a, true, 20000), TEST_OK);
	TEST_EQ(wait_link(port_b, true, 20000), TEST_OK);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_TRUE(port_xstat(port_a, "replays") + port_xstat(port_b, "replays") > 0);
	TEST_EQ(switch_down(), TEST_OK);
	TEST_EQ(wait_link(port_a, false, 2000), TEST_OK);
	TEST_EQ(switch_up(), TEST_OK);
	TEST_EQ(wait_link(port_a, true, 20000), TEST_OK);
	TEST_EQ(wait_link(port_b, true, 20000), TEST_OK);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

#define EXTERNAL_BYTES (4u << 20)

/* Memory of the application's own that EAL was told of, without a file descriptor. */
static struct rte_mempool *
external_pool(int *socket)
{
	void *addr = mmap(NULL, EXTERNAL_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED || rte_malloc_heap_create("external") != 0 ||
	    rte_malloc_heap_memory_add("external", addr, EXTERNAL_BYTES, NULL,
				       EXTERNAL_BYTES / 4096, 4096) != 0)
		return NULL;
	*socket = rte_malloc_heap_get_socket("external");
	return rte_pktmbuf_pool_create("external", 511, 0, 0, BENCH_DATA_ROOM, *socket);
}

static int
send_from(struct rte_mempool *pool, uint32_t number, uint32_t len)
{
	struct rte_mbuf *m = frame_make(pool, number, len, 1);

	TEST_TRUE(m != NULL);
	TEST_EQ(rte_eth_tx_burst(port_a, 0, &m, 1), 1);
	return TEST_OK;
}

static int
external_memory_is_refused(void)
{
	struct rte_mempool *pool;
	struct rte_mbuf *m[4];
	uint32_t number = 0;
	uint64_t deadline = now_ms() + 2000;
	uint16_t n = 0;
	int socket;

	pool = external_pool(&socket);
	TEST_TRUE(pool != NULL);
	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(port_setup(port_a, &plain), TEST_OK);
	TEST_EQ(rte_eth_rx_queue_setup(port_a, 0, 64, 0, NULL, pool), -EFAULT);
	TEST_EQ(rte_eth_tx_queue_setup(port_a, 0, 64, socket, NULL), -EFAULT);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	TEST_EQ(send_from(pool, 1, 1000), TEST_OK); /* by reference: can't be */
	TEST_EQ(send_from(pool, 2, 100), TEST_OK);  /* inline: no matter where it lies */
	while (n == 0 && now_ms() < deadline)
		n = rte_eth_rx_burst(port_b, 0, m, RTE_DIM(m));
	TEST_EQ(n, 1);
	TEST_EQ(frame_check(m[0], &number), TEST_OK);
	TEST_EQ(number, 2);
	rte_pktmbuf_free(m[0]);
	TEST_EQ(port_xstat(port_a, "tx_drop_unregistered"), 1);
	TEST_TRUE(rte_mempool_full(pool));
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static const struct test_case cases[] = {
	TEST_CASE(pools_come_and_go_while_the_port_runs),
	TEST_CASE(region_of_which_a_part_was_freed_outlives_the_switch),
	TEST_CASE(pool_born_while_the_switch_is_away),
	TEST_CASE(memory_freed_while_the_switch_hangs_is_not_missed),
	TEST_CASE(external_memory_is_refused),
};
TEST_SUITE(memory, cases);
