/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Queues and ports: sizes, directions, MTU and scatter, stop and start, probe and remove. */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>

#include <rte_bus_vdev.h>
#include <rte_malloc.h>
#include <rte_memzone.h>

#include "bench.h"

static const struct port_conf plain = { .nb_rx = 1, .nb_tx = 1 };

/* DTS dynamic_queue_conf */
static int
dynamic_queue_conf_rings_of_16_to_1024_entries(void)
{
	TEST_EQ(bench_probe_both(), TEST_OK);
	for (uint16_t desc = 16; desc <= 1024; desc *= 2) {
		struct port_conf conf = { .nb_rx = 1, .nb_tx = 1, .desc = desc };
		/* Short frames take several cells. */
		struct traffic t = { .frames = 4u * desc, .window = RTE_MAX(desc / 8u, 1u),
				     .max_segs = 1 };

		TEST_EQ(ports_up(&conf, &conf), TEST_OK);
		TEST_EQ(traffic_run(&t), TEST_OK);
		TEST_EQ(ports_down(), TEST_OK);
	}
	return bench_remove_both();
}

static int
send_only_and_receive_only_channels(void)
{
	static const struct port_conf conf[][2] = { /* a, b */
		{ { .nb_rx = 0, .nb_tx = 1 }, { .nb_rx = 1, .nb_tx = 0 } },
		{ { .nb_rx = 0, .nb_tx = 2 }, { .nb_rx = 1, .nb_tx = 3 } },
		{ { .nb_rx = 4, .nb_tx = 1 }, { .nb_rx = 1, .nb_tx = 1 } },
	};
	const struct traffic t = { .frames = 2000, .max_segs = 3 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(conf); i++) {
		TEST_EQ(ports_up(&conf[i][0], &conf[i][1]), TEST_OK);
		TEST_EQ(traffic_run(&t), TEST_OK);
		TEST_EQ(ports_down(), TEST_OK);
	}
	return bench_remove_both();
}

static int
fast_free_gives_every_mbuf_back(void)
{
	const struct port_conf conf = { .nb_rx = 1, .nb_tx = 1, .fast_free = true };
	const struct traffic t = { .frames = 20000, .max_segs = 1 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&conf, &plain), TEST_OK);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

/* DTS port_control. Frames stand in a's send queue, on the switch and in b's receive queue. */
static int
port_control_stop_and_start_with_frames_in_flight(void)
{
	const struct port_conf deep = { .nb_rx = 1, .nb_tx = 1, .desc = 512 };
	const struct traffic t = { .frames = 200 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &deep), TEST_OK);
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 150; i++) {
			struct rte_mbuf *m = frame_make(bench_pool, i, 60 + 7 * i, 1 + i % 3);

			TEST_TRUE(m != NULL);
			if (rte_eth_tx_burst(port_a, 0, &m, 1) == 0)
				rte_pktmbuf_free(m);
		}
		TEST_EQ(ports_down(), TEST_OK);
		TEST_EQ(rte_eth_dev_start(port_b), 0);
		TEST_EQ(rte_eth_dev_start(port_a), 0);
		TEST_EQ(traffic_run(&t), TEST_OK);
	}
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

struct holdings { /* what a leak would make grow */
	unsigned int fds, memzones;
	uint64_t eal_allocs;
	size_t libc_bytes; /* 0 with sanitizers, which look for leaks themselves */
};

static void
count_memzone(const struct rte_memzone *mz, void *arg)
{
	unsigned int *n = arg;

	*n += mz != NULL;
}

static struct holdings
take_stock(void)
{
	struct holdings h = { .libc_bytes = mallinfo2().uordblks };
	struct rte_malloc_socket_stats heap;
	DIR *dir = opendir("/proc/self/fd");

	while (dir != NULL && readdir(dir) != NULL)
		h.fds++;
	if (dir != NULL)
		closedir(dir);
	rte_memzone_walk(count_memzone, &h.memzones);
	if (rte_malloc_get_socket_stats(0, &heap) == 0)
		h.eal_allocs = heap.alloc_count;
	return h;
}

static int
probed_and_removed_100_times_without_leak(void)
{
	const struct port_conf two = { .nb_rx = 2, .nb_tx = 2 };
	const struct traffic t = { .frames = 100 };
	struct holdings first = { 0 }, last;

	for (int round = 0; round < 100; round++) {
		TEST_EQ(bench_probe_both(), TEST_OK);
		TEST_EQ(ports_up(&two, &plain), TEST_OK);
		TEST_EQ(traffic_run(&t), TEST_OK);
		if (round % 3 != 0) { /* else removed while they run */
			TEST_EQ(ports_down(), TEST_OK);
			if (round % 2 == 0)
				TEST_EQ(rte_eth_dev_close(port_b), 0);
		}
		TEST_EQ(bench_remove_both(), TEST_OK);
		if (round == 10)
			first = take_stock();
	}
	last = take_stock();
	TEST_EQ(last.fds, first.fds);
	TEST_EQ(last.memzones, first.memzones);
	TEST_EQ(last.eal_allocs, first.eal_allocs);
	TEST_ASSERT_MSG(last.libc_bytes <= first.libc_bytes + 8192, "%zu bytes, %zu at first",
			last.libc_bytes, first.libc_bytes);
	return TEST_OK;
}

/* DTS mtu, buffer_scatter */
static int
mtu_beyond_the_buffers_needs_scatter(void)
{
	const struct port_conf jumbo = { .nb_rx = 1, .nb_tx = 1, .mtu = 9000, .scatter = true };
	const struct traffic t = { .frames = 2000, .max_len = 9014, .window = 16, .max_segs = 6 };
	struct port_conf conf = { .nb_rx = 1, .nb_tx = 1, .mtu = 9000 };

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(port_setup(port_a, &conf), TEST_OK);
	TEST_EQ(rte_eth_dev_start(port_a), -EINVAL);
	TEST_EQ(rte_eth_dev_set_mtu(port_a, 9001), -EINVAL);
	TEST_EQ(rte_eth_dev_set_mtu(port_a, 67), -EINVAL);
	TEST_EQ(rte_eth_dev_set_mtu(port_a, 1500), 0);
	TEST_EQ(rte_eth_dev_start(port_a), 0);
	TEST_EQ(rte_eth_dev_set_mtu(port_a, 9000), -EINVAL); /* running, and no scatter */
	TEST_EQ(rte_eth_dev_set_mtu(port_a, 1400), 0);
	TEST_EQ(rte_eth_dev_stop(port_a), 0);
	TEST_EQ(ports_up(&jumbo, &jumbo), TEST_OK);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	return bench_remove_both();
}

static int
second_client_of_a_vif_is_refused_as_busy(void)
{
	const struct traffic t = { .frames = 100 };
	char args[300];

	TEST_EQ(bench_probe_both(), TEST_OK);
	TEST_EQ(ports_up(&plain, &plain), TEST_OK);
	snprintf(args, sizeof(args), "socket=%s", bench_socket("a"));
	TEST_EQ(rte_vdev_init("net_nfe_second", args), -EBUSY);
	TEST_EQ(traffic_run(&t), TEST_OK);
	TEST_EQ(ports_down(), TEST_OK);
	TEST_EQ(bench_remove("a"), TEST_OK);
	TEST_EQ(rte_vdev_init("net_nfe_second", args), 0); /* free at once */
	TEST_EQ(rte_vdev_uninit("net_nfe_second"), 0);
	return bench_remove("b");
}

static const struct test_case cases[] = {
	TEST_CASE(dynamic_queue_conf_rings_of_16_to_1024_entries),
	TEST_CASE(send_only_and_receive_only_channels),
	TEST_CASE(fast_free_gives_every_mbuf_back),
	TEST_CASE(port_control_stop_and_start_with_frames_in_flight),
	TEST_CASE(probed_and_removed_100_times_without_leak),
	TEST_CASE(mtu_beyond_the_buffers_needs_scatter),
	TEST_CASE(second_client_of_a_vif_is_refused_as_busy),
};
TEST_SUITE(queues, cases);
