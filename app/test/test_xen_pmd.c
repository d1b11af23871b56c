/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * net_nfe over "xen:0" against the real back end, on the fake Xen: copy mode, whose bursts move
 * frames between the application's mbufs and granted pages. The switch's side gives each frame back
 * (test_xen_server.h). What any attachment has is tested by app/test-pmd.
 */
#include <rte_bus_vdev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <nfe_args.h>

#include "eal.h"
#include "test_xen_server.h"

#define FIRST	    0xffffff00u
#define DESC	    256
#define DEADLINE_MS 5000u
#define POOL	    1023
#define FEW	    3u

static struct rte_mempool *pool;
static uint16_t port;

static int
probe(const char *args)
{
	return rte_vdev_init("net_nfe_xen", args);
}

static int
set_up_queues(uint16_t desc, uint16_t mtu)
{
	struct rte_eth_conf conf = { .rxmode.mtu = mtu };
	struct rte_eth_dev_info info;
	int rc;

	if (mtu > RTE_ETHER_MTU) {
		conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
		conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	}
	TEST_EQ(rte_eth_dev_info_get(port, &info), 0);
	TEST_EQ(rte_eth_dev_configure(port, 1, 1, &conf), 0);
	rc = rte_eth_rx_queue_setup(port, 0, desc, SOCKET_ID_ANY, NULL, pool);
	return rc < 0 ? rc : rte_eth_tx_queue_setup(port, 0, desc, SOCKET_ID_ANY, NULL);
}

static int
port_up(const char *args, uint16_t desc, uint16_t mtu)
{
	TEST_NEEDS_EAL();
	if (pool == NULL)
		pool = rte_pktmbuf_pool_create("xen_pmd", POOL, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					       SOCKET_ID_ANY);
	TEST_TRUE(pool != NULL);
	TEST_EQ(probe(args), 0);
	TEST_EQ(rte_eth_dev_get_port_by_name("net_nfe_xen", &port), 0);
	TEST_EQ(set_up_queues(desc, mtu), 0);
	TEST_EQ(rte_eth_dev_start(port), 0);
	return TEST_OK;
}

static int
port_down(void)
{
	TEST_EQ(rte_eth_dev_stop(port), 0);
	TEST_EQ(rte_vdev_uninit("net_nfe_xen"), 0);
	TEST_EQ(rte_mempool_avail_count(pool), POOL);
	return TEST_OK;
}

static uint64_t
xstat(const char *name)
{
	uint64_t id, value = UINT64_MAX;

	if (rte_eth_xstats_get_id_by_name(port, name, &id) == 0)
		rte_eth_xstats_get_by_id(port, &id, &value, 1);
	return value;
}

/* Chained where it is longer than one mbuf. */
static struct rte_mbuf *
make_frame(const uint8_t *data, uint32_t len)
{
	struct rte_mbuf *head = NULL;
	uint32_t n;

	for (uint32_t done = 0; done < len; done += n) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		if (m == NULL)
			break;
		n = RTE_MIN(len - done, rte_pktmbuf_tailroom(m));
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), data + done, n);
		if (head == NULL)
			head = m;
		else
			rte_pktmbuf_chain(head, m);
	}
	return head;
}

static uint8_t sent[32][FRAME_MAX];
static uint32_t sent_len[32];

static int
send_frames(unsigned int n, uint32_t max_len)
{
	struct rte_mbuf *m[32];
	unsigned int done = 0;

	for (unsigned int i = 0; i < n; i++) {
		sent_len[i] = NFE_MIN_FRAME + (uint32_t)random() % (max_len - NFE_MIN_FRAME + 1);
		fill_random(sent[i], sent_len[i]);
		m[i] = make_frame(sent[i], sent_len[i]);
		TEST_TRUE(m[i] != NULL && m[i]->pkt_len == sent_len[i]);
	}
	for (unsigned int ms = 0; done < n && ms < DEADLINE_MS; ms++) {
		done += rte_eth_tx_burst(port, 0, m + done, (uint16_t)(n - done));
		if (done < n)
			usleep(1000);
	}
	TEST_EQ(done, n);
	return TEST_OK;
}

static int
check_frame(const struct rte_mbuf *m, unsigned int i)
{
	static uint8_t copy[FRAME_MAX];
	const void *data;

	TEST_EQ(m->pkt_len, sent_len[i]);
	TEST_EQ(m->port, port);
	TEST_TRUE(m->pool ==
		  pool); /* no buffer that the switch can reach goes to the application */
	data = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
	TEST_MEM_EQ(data, sent[i], m->pkt_len);
	return TEST_OK;
}

static int
recv_frames(unsigned int n)
{
	struct rte_mbuf *m[32];
	unsigned int got = 0;

	for (unsigned int ms = 0; got < n && ms < DEADLINE_MS; ms++) {
		uint16_t more = rte_eth_rx_burst(port, 0, m, (uint16_t)(n - got));
		int rc = TEST_OK;

		for (unsigned int i = 0; i < more; i++) {
			if (rc == TEST_OK)
				rc = check_frame(m[i], got + i);
			rte_pktmbuf_free(m[i]);
		}
		TEST_EQ(rc, TEST_OK);
		got += more;
		if (more == 0)
			usleep(1000);
	}
	TEST_EQ(got, n);
	return TEST_OK;
}

static int
exchange(unsigned int rounds, uint32_t max_len)
{
	for (unsigned int round = 0; round < rounds; round++) {
		unsigned int n = 1 + (unsigned int)random() % 32;

		TEST_EQ(send_frames(n, max_len), TEST_OK);
		TEST_EQ(recv_frames(n), TEST_OK);
	}
	return TEST_OK;
}

static int
frames_of_all_lengths_come_back_intact(void)
{
	struct rte_eth_dev_info info;
	struct rte_eth_stats stats;
	static struct server s;

	srandom(7);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0,first_index=4294967040", DESC, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(rte_eth_dev_info_get(port, &info), 0);
	TEST_EQ(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, 0);
	TEST_EQ(exchange(200, RTE_ETHER_MAX_LEN - RTE_ETHER_CRC_LEN), TEST_OK);
	TEST_TRUE(xstat("tx_sent_dma") > 0 && xstat("tx_sent_inline") > 0);
	TEST_TRUE(xstat("rx_got_dma") > 0 && xstat("rx_got_inline") > 0);
	TEST_EQ(rte_eth_stats_get(port, &stats), 0);
	TEST_EQ(stats.ipackets, stats.opackets);
	TEST_EQ(stats.ierrors + stats.oerrors, 0);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

static int
frames_of_9000_bytes_travel_in_chains(void)
{
	static struct server s;

	srandom(8);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0", DESC, 9000), TEST_OK);
	TEST_EQ(exchange(50, 9014), TEST_OK);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

/* Regression: fewer buffers were posted than had to be free before new ones were. */
static int
fewer_buffers_than_the_free_threshold_are_posted_again(void)
{
	const struct rte_eth_rxconf conf = { .rx_free_thresh = 500 };
	struct rte_eth_rxq_info info;
	static struct server s;

	srandom(18);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0,share_kib=1024", 512, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(rte_eth_dev_stop(port), 0);
	TEST_EQ(rte_eth_rx_queue_setup(port, 0, 512, SOCKET_ID_ANY, &conf, pool), 0);
	TEST_EQ(rte_eth_dev_start(port), 0);
	TEST_EQ(rte_eth_rx_queue_info_get(port, 0, &info), 0);
	TEST_TRUE(info.conf.rx_free_thresh < 500); /* else the share has room for all */
	TEST_EQ(exchange(50, 1514), TEST_OK);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

/* While the application has no mbufs, what arrived waits. */
static int
empty_pool_delays_frames_and_loses_none(void)
{
	struct rte_mbuf *hoard[POOL], *m[32];
	unsigned int n = 0;
	static struct server s;

	srandom(9);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0", DESC, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(send_frames(32, 1514), TEST_OK);
	usleep(10000); /* most of them are back; it makes no difference to what must hold */
	while (n < POOL && (hoard[n] = rte_pktmbuf_alloc(pool)) != NULL)
		n++;
	for (unsigned int i = 0; i < 10; i++)
		TEST_EQ(rte_eth_rx_burst(port, 0, m, 32), 0);
	rte_pktmbuf_free_bulk(hoard, n);
	TEST_EQ(recv_frames(32), TEST_OK);
	TEST_EQ(exchange(20, 1514), TEST_OK);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

/* Copies for a burst are made in buffers that are taken together. With fewer it goes as far as they
 * reach. */
static int
few_send_buffers_make_short_bursts(void)
{
	struct rte_mbuf *hoard[2 * DESC], *m[FEW + 5];
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *private;
	static struct server s;
	unsigned int n, at_once;

	srandom(19);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0", DESC, RTE_ETHER_MTU), TEST_OK);
	snprintf(name, sizeof(name), "nfe_%u_tx queue 0", port);
	private = rte_mempool_lookup(name);
	TEST_TRUE(private != NULL);
	n = rte_mempool_avail_count(private) - FEW;
	TEST_TRUE(n <= RTE_DIM(hoard));
	TEST_EQ(rte_pktmbuf_alloc_bulk(private, hoard, n), 0);
	TEST_EQ(exchange(50, 1514), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(m); i++) {
		sent_len[i] = 1000;
		fill_random(sent[i], sent_len[i]);
		m[i] = make_frame(sent[i], sent_len[i]);
		TEST_TRUE(m[i] != NULL);
	}
	at_once = rte_eth_tx_burst(port, 0, m, RTE_DIM(m));
	rte_pktmbuf_free_bulk(m + at_once, (unsigned int)RTE_DIM(m) - at_once);
	TEST_TRUE(at_once > 0 && at_once <= FEW);
	TEST_EQ(recv_frames(at_once), TEST_OK);
	rte_pktmbuf_free_bulk(hoard, n);
	TEST_EQ(exchange(20, 1514), TEST_OK);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

static int
back_end_killed_and_started_loses_no_frame(void)
{
	static struct server s;

	srandom(10);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0,first_index=4294967040", DESC, RTE_ETHER_MTU), TEST_OK);
	for (unsigned int cycle = 0; cycle < 6; cycle++) {
		struct rte_eth_link link = { .link_status = RTE_ETH_LINK_DOWN };

		TEST_EQ(exchange(10, 1514), TEST_OK);
		server_stop(&s, cycle % 2 == 0);
		TEST_EQ(server_start(&s), TEST_OK);
		TEST_EQ(exchange(1, 1514), TEST_OK);
		for (unsigned int ms = 0; !link.link_status && ms < DEADLINE_MS; ms++) {
			usleep(1000);
			TEST_EQ(rte_eth_link_get_nowait(port, &link), 0);
		}
		TEST_EQ(link.link_status, RTE_ETH_LINK_UP);
	}
	TEST_EQ(xstat("replays"), 6);
	TEST_EQ(xstat("rx_lost") + xstat("rx_bad_cookie") + xstat("rx_bad_fill_end"), 0);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

/* Same port, same addresses: what is granted is granted anew, however short pages are. */
static int
restored_domain_goes_on(void)
{
	struct xenio_fake_counts before, c;
	static struct server s;

	srandom(16);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0,first_index=4294967040", DESC, RTE_ETHER_MTU), TEST_OK);
	xenio_fake_counts(s.t.w, &before);
	for (unsigned int cycle = 0; cycle < 4; cycle++) {
		TEST_EQ(exchange(10, 1514), TEST_OK);
		if (cycle % 2 == 0)
			TEST_EQ(server_detach(&s), TEST_OK);
		if (cycle == 3)
			xenio_fake_fail(s.t.w, XENIO_FAKE_SHARE, 1, -ENOSPC); /* once */
		server_restore(&s);
		TEST_EQ(exchange(1, 1514), TEST_OK);
	}
	TEST_EQ(exchange(10, 1514), TEST_OK);
	TEST_EQ(xstat("replays"), 4);
	TEST_EQ(xstat("rx_lost") + xstat("rx_bad_cookie") + xstat("rx_bad_fill_end"), 0);
	xenio_fake_counts(s.t.w, &c);
	TEST_EQ(c.oopses, 0);
	TEST_EQ(c.granted, before.granted);
	TEST_EQ(c.mapped, before.mapped);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

/* A host where the domain has the number that it had: nothing tells but that grants are refused. */
static int
grants_that_are_void_unseen_are_made_anew(void)
{
	struct xenio_fake_counts c;
	static struct server s;

	srandom(17);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0", DESC, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(exchange(10, 1514), TEST_OK);
	TEST_EQ(server_detach(&s), TEST_OK);
	xenio_fake_void_grants(s.t.w, DOMAIN);
	xt_make_device(s.t.dom0, DOMAIN, 0, "a");
	TEST_EQ(exchange(10, 1514), TEST_OK);
	TEST_EQ(xstat("replays"), 1);
	xenio_fake_counts(s.t.w, &c);
	TEST_TRUE(c.mapped > 0);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

static int
stopped_and_started_with_other_queues(void)
{
	static const uint16_t descs[] = { 64, 512, 16, 256 };
	static struct server s;

	srandom(11);
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0", DESC, RTE_ETHER_MTU), TEST_OK);
	for (unsigned int i = 0; i < RTE_DIM(descs); i++) {
		TEST_EQ(send_frames(8, 1514), TEST_OK); /* nobody polls for them */
		TEST_EQ(rte_eth_dev_stop(port), 0);
		TEST_EQ(rte_mempool_avail_count(pool), POOL);
		TEST_EQ(set_up_queues(descs[i], RTE_ETHER_MTU), 0);
		TEST_EQ(rte_eth_dev_start(port), 0);
	}
	TEST_EQ(exchange(20, 1514), TEST_OK);
	TEST_EQ(port_down(), TEST_OK);
	return server_close(&s);
}

static int
arguments_and_limits_are_checked(void)
{
	static struct server s;

	TEST_NEEDS_EAL();
	TEST_EQ(server_open(&s), TEST_OK);
	TEST_TRUE(probe("xen=0,socket=/tmp/x.sock") < 0);
	TEST_TRUE(probe("xen=x") < 0);
	TEST_TRUE(probe("xen=0,share_kib=255") < 0);
	TEST_TRUE(probe("xen=0,inline=59") < 0);
	TEST_TRUE(probe("xen=1") < 0);			      /* no such device */
	TEST_TRUE(probe("xen=0,share_kib=524288") < 0);	      /* more than a front end may grant */
	xenio_fake_fail(s.t.w, XENIO_FAKE_SHARE, 2, -ENOSPC); /* gntalloc's limit */
	TEST_TRUE(probe("xen=0") < 0);
	/* Pages for the control queues and little else: the queue set-up says so. */
	TEST_EQ(probe("xen=0,share_kib=256"), 0);
	TEST_EQ(rte_eth_dev_get_port_by_name("net_nfe_xen", &port), 0);
	TEST_EQ(set_up_queues(1024, RTE_ETHER_MTU), -ENOSPC);
	TEST_EQ(set_up_queues(16, RTE_ETHER_MTU), -ENOSPC);
	TEST_EQ(rte_vdev_uninit("net_nfe_xen"), 0);
	return server_close(&s);
}

/* --- Foreign mapping: the same frames, without a copy. Here an address is its own IOVA. --- */

static bool physical;

bool
nfe_args_physical(void)
{
	return physical;
}

static int
page_of(void *arg, uint64_t gfn, uint64_t *offset)
{
	const char *addr = (const char *)(uintptr_t)(gfn * NFE_PAGE_SIZE);
	struct rte_memseg *ms = rte_mem_virt2memseg(addr, NULL);
	size_t start;

	(void)arg;
	if (ms == NULL || rte_memseg_get_fd_offset_thread_unsafe(ms, &start) < 0)
		return -1;
	*offset = start + (size_t)(addr - (const char *)ms->addr);
	return rte_memseg_get_fd_thread_unsafe(ms);
}

static int
foreign_open(struct server *s)
{
	TEST_EQ(server_open(s), TEST_OK);
	xenio_fake_memory(s->t.w, DOMAIN, page_of, NULL);
	server_stop(s, false);
	xenio_write(s->t.dom0, XENIO_NO_TX, "/local/domain/0/backend/nfe/5/0", NFE_XEN_KEY_FOREIGN,
		    "1");
	physical = true;
	return server_start(s);
}

static unsigned int
foreign_pages(struct server *s)
{
	struct xenio_fake_counts c;

	xenio_fake_counts(s->t.w, &c);
	return c.foreign;
}

static int
foreign_memory_is_used_without_a_copy(void)
{
	struct xenio_fake_counts c;
	static struct server s;

	srandom(12);
	TEST_EQ(foreign_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0,first_index=4294967040", DESC, 9000), TEST_OK);
	xenio_fake_counts(s.t.w, &c);
	TEST_TRUE(c.foreign * NFE_PAGE_SIZE >= POOL * RTE_MBUF_DEFAULT_BUF_SIZE);
	TEST_TRUE(c.granted < 64); /* control queues, doorbells, index, life: no buffers */
	TEST_EQ(exchange(100, 9014), TEST_OK);
	TEST_TRUE(xstat("tx_sent_dma") > 0 && xstat("rx_got_dma") > 0);
	TEST_EQ(port_down(), TEST_OK);
	TEST_EQ(foreign_pages(&s), 0);
	physical = false;
	return server_close(&s);
}

/* Or as far as the device takes it. */
static int
frames_go_inline_as_far_as_wanted(void)
{
	static struct server s;

	srandom(14);
	TEST_EQ(foreign_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0,inline=9000", DESC, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(exchange(20, NFE_INLINE_SHORT), TEST_OK);
	TEST_EQ(xstat("tx_sent_dma"), 0);
	TEST_EQ(port_down(), TEST_OK);
	TEST_EQ(port_up("xen=0,inline=60", DESC, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(exchange(20, 60), TEST_OK);
	TEST_EQ(xstat("tx_sent_dma"), 0);
	TEST_EQ(exchange(20, 124), TEST_OK);
	TEST_TRUE(xstat("tx_sent_dma") > 0);
	TEST_EQ(port_down(), TEST_OK);
	TEST_EQ(foreign_pages(&s), 0);
	physical = false;
	return server_close(&s);
}

static int
foreign_memory_is_mapped_again_by_the_next_back_end(void)
{
	static struct server s;

	srandom(13);
	TEST_EQ(foreign_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0", DESC, RTE_ETHER_MTU), TEST_OK);
	for (unsigned int cycle = 0; cycle < 4; cycle++) {
		TEST_EQ(exchange(10, 1514), TEST_OK);
		server_stop(&s, cycle % 2 == 0);
		TEST_EQ(foreign_pages(&s), 0);
		TEST_EQ(server_start(&s), TEST_OK);
		TEST_EQ(exchange(1, 1514), TEST_OK);
	}
	TEST_EQ(xstat("replays"), 4);
	TEST_EQ(port_down(), TEST_OK);
	physical = false;
	return server_close(&s);
}

/* By IOVA, but no PCI function: a reset must not take it for one. */
static int
foreign_port_is_reset(void)
{
	static struct server s;

	srandom(15);
	TEST_EQ(foreign_open(&s), TEST_OK);
	TEST_EQ(port_up("xen=0", DESC, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(exchange(10, 1514), TEST_OK);
	TEST_EQ(rte_eth_dev_reset(port), 0);
	TEST_EQ(set_up_queues(DESC, RTE_ETHER_MTU), 0);
	TEST_EQ(rte_eth_dev_start(port), 0);
	TEST_TRUE(foreign_pages(&s) > 0);
	TEST_EQ(exchange(10, 1514), TEST_OK);
	TEST_EQ(port_down(), TEST_OK);
	physical = false;
	return server_close(&s);
}

/* What the toolstack allows does not suffice: then all is copied, and a switch that refuses says so. */
static int
foreign_memory_that_cannot_be_used_is_not_needed(void)
{
	static struct server s;

	srandom(14);
	TEST_EQ(foreign_open(&s), TEST_OK);
	physical = false; /* no hugepages */
	TEST_EQ(port_up("xen=0", DESC, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(exchange(10, 1514), TEST_OK);
	TEST_EQ(foreign_pages(&s), 0);
	TEST_EQ(port_down(), TEST_OK);
	physical = true; /* but the guest wants to grant */
	TEST_EQ(port_up("xen=0,share_kib=3072", DESC, RTE_ETHER_MTU), TEST_OK);
	TEST_EQ(exchange(10, 1514), TEST_OK);
	TEST_EQ(foreign_pages(&s), 0);
	TEST_EQ(port_down(), TEST_OK);
	server_stop(&s, false);
	xenio_fake_memory(s.t.w, DOMAIN, NULL, NULL); /* a PV domain */
	TEST_EQ(server_start(&s), TEST_OK);
	TEST_EQ(probe("xen=0"), 0);
	TEST_EQ(rte_eth_dev_get_port_by_name("net_nfe_xen", &port), 0);
	TEST_TRUE(set_up_queues(DESC, RTE_ETHER_MTU) < 0);
	TEST_EQ(rte_vdev_uninit("net_nfe_xen"), 0);
	physical = false;
	return server_close(&s);
}

static const struct test_case cases[] = {
	TEST_CASE(foreign_memory_is_used_without_a_copy),
	TEST_CASE(frames_go_inline_as_far_as_wanted),
	TEST_CASE(foreign_memory_is_mapped_again_by_the_next_back_end),
	TEST_CASE(foreign_memory_that_cannot_be_used_is_not_needed),
	TEST_CASE(foreign_port_is_reset),
	TEST_CASE(frames_of_all_lengths_come_back_intact),
	TEST_CASE(frames_of_9000_bytes_travel_in_chains),
	TEST_CASE(fewer_buffers_than_the_free_threshold_are_posted_again),
	TEST_CASE(empty_pool_delays_frames_and_loses_none),
	TEST_CASE(few_send_buffers_make_short_bursts),
	TEST_CASE(back_end_killed_and_started_loses_no_frame),
	TEST_CASE(restored_domain_goes_on),
	TEST_CASE(grants_that_are_void_unseen_are_made_anew),
	TEST_CASE(stopped_and_started_with_other_queues),
	TEST_CASE(arguments_and_limits_are_checked),
};
TEST_SUITE(xen_pmd, cases);
