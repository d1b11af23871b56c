/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/vif over a real socket against the real device end (lib/nfe_device): attach, sleep and wake,
 * restart of the device. The server thread owns the device end and gives each frame back to its
 * sender; it sleeps when there is nothing to do, so a lost kick shows as a time-out.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nfed_vfio_user.h>

#include "test_vif_echo.h"

struct server {
	char path[64];
	struct nfed_loop *loop;
	struct nfed_vfio_user *att;
	struct nfed_channel *ch; /* NULL: not running */
	struct dev dev;
	pthread_t thread;
	int stop_fd;
	bool stop;
	bool die_midway; /* with fill entries taken that no message names */
};

static int
on_channel_start(void *owner, struct nfed_channel *ch)
{
	struct server *s = owner;

	s->dev = (struct dev){ .base = ch->regions->tbl[ch->sq.region_idx].base };
	s->dev.sq = &ch->sq;
	s->dev.rq = &ch->rq;
	s->dev.fq = &ch->fq;
	s->ch = ch;
	return 0;
}

static void
on_channel_stop(void *owner, struct nfed_channel *ch)
{
	struct server *s = owner;

	(void)ch;
	s->ch = NULL;
}

static void
on_quiesce(void *owner)
{
	(void)owner; /* the data path runs on this thread */
}

static int
on_mac(void *owner, const uint8_t mac[6], enum nfe_mac_action action)
{
	(void)owner, (void)mac, (void)action;
	return 0;
}

static int
on_value(void *owner, uint32_t value)
{
	(void)owner;
	return value == 1234 ? -EACCES : 0;
}

static int
on_stats(void *owner, uint64_t value[NFE_STAT_MAX])
{
	(void)owner;
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		value[i] = 1000 + i;
	return 0;
}

static void
on_state(void *owner, enum nfe_state from, enum nfe_state to, enum nfe_reason reason,
	 const char *text)
{
	(void)owner, (void)from;
	if (to == NFE_STATE_FAILED)
		printf("# function failed: %s %s\n", nfe_reason_name(reason), text);
}

static const struct nfed_owner_ops owner_ops = {
	.channel_start = on_channel_start,
	.channel_stop = on_channel_stop,
	.quiesce = on_quiesce,
	.mac = on_mac,
	.rx_mode = on_value,
	.mtu = on_value,
	.stats = on_stats,
	.state_changed = on_state,
	.attention = on_quiesce, /* it looks after each turn */
};

static void
on_readable(void *arg, uint32_t events)
{
	uint64_t count;

	(void)events;
	if (read(*(int *)arg, &count, sizeof(count)) < 0)
		return;
}

/* Nothing to read: the loop turns, and looks. */
static void
on_kick(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

static void *
serve(void *arg)
{
	struct server *s = arg;
	int kick_fd = nfed_vfio_user_data_kick_fd(s->att);

	nfed_loop_add(s->loop, kick_fd, EPOLLIN | EPOLLET, on_kick, NULL);
	nfed_loop_add(s->loop, s->stop_fd, EPOLLIN, on_readable, &s->stop_fd);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		bool more = dev_echo(&s->dev, s->ch);

		nfed_control_run(nfed_vfio_user_function(s->att));
		nfed_loop_run(s->loop, more ? 0 : 10000);
	}
	if (s->die_midway && s->ch != NULL)
		for (unsigned int i = 0; i < 3; i++)
			dev_take_fill(&s->dev);
	nfed_vfio_user_destroy(s->att);
	nfed_loop_destroy(s->loop);
	close(s->stop_fd);
	return NULL;
}

static int
server_start(struct server *s)
{
	struct nfed_vfio_user_conf conf = {
		.path = s->path,
		.mode = 0600,
		.function = {
			.mac = { 2, 0, 0, 0, 0, 0x0a },
			.limits = nfed_limits_default,
			.features = NFE_F_RING_MODE | NFE_F_EVENT_IDX | NFE_F_INLINE_LONG |
				    NFE_F_MULTI_SEG,
			.owner_ops = &owner_ops,
			.owner = s,
		},
	};

	snprintf(s->path, sizeof(s->path), "/tmp/nfe-test-vif-%d.sock", (int)getpid());
	s->ch = NULL;
	s->stop = false;
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->loop = conf.loop = nfed_loop_create();
	TEST_TRUE(s->loop != NULL && s->stop_fd >= 0);
	TEST_EQ(nfed_vfio_user_create(&conf, &s->att), 0);
	nfed_function_set_link(nfed_vfio_user_function(s->att), true);
	TEST_EQ(pthread_create(&s->thread, NULL, serve, s), 0);
	return TEST_OK;
}

static void
server_stop(struct server *s)
{
	uint64_t one = 1;

	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	if (write(s->stop_fd, &one, sizeof(one)) < 0)
		printf("# cannot wake the server\n");
	pthread_join(s->thread, NULL);
}

static struct vif *
attach(const struct server *s)
{
	char address[80];

	snprintf(address, sizeof(address), "vfio-user:%s", s->path);
	return echo_attach(address);
}

static int
run_attached(struct server *s, int (*body)(struct server *s, struct vif *vif))
{
	struct vif *vif;
	int rc;

	srandom(3);
	if (server_start(s) != TEST_OK)
		return TEST_FAILED;
	vif = attach(s);
	rc = vif != NULL ? body(s, vif) : TEST_FAILED;
	vif_detach(vif);
	server_stop(s);
	return rc;
}

static int
answers(struct server *s, struct vif *vif)
{
	uint64_t stats[NFE_STAT_MAX];
	uint8_t mac[6];

	vif_mac(vif, mac);
	TEST_MEM_EQ(mac, ((uint8_t[]){ 2, 0, 0, 0, 0, 0x0a }), 6);
	TEST_TRUE(vif_link(vif));
	TEST_EQ(vif_max_mtu(vif), 9000);
	TEST_EQ(vif_set_mtu(vif, 1400), 0);
	TEST_EQ(vif_set_mtu(vif, 1234), -EACCES);
	TEST_EQ(vif_set_mtu(vif, 9001), -EINVAL);
	TEST_EQ(vif_stats(vif, stats), 0);
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		TEST_EQ(stats[i], 1000 + i);
	errno = 0;
	TEST_TRUE(attach(s) == NULL); /* it is taken */
	TEST_EQ(errno, EBUSY);
	return TEST_OK;
}

static int
control_answers_and_second_client_is_busy(void)
{
	struct server s = { 0 };

	return run_attached(&s, answers);
}

static int
exchange(struct server *s, struct vif *vif)
{
	(void)s;
	for (unsigned int round = 0; round < 500; round++) {
		unsigned int n = 1 + (unsigned int)random() % 8;

		TEST_EQ(send_frames(vif, n), TEST_OK);
		TEST_EQ(recv_frames(vif, n), TEST_OK);
	}
	TEST_EQ(vif_wait(vif, 20000), 0);
	TEST_TRUE(*vif->send.prod < FIRST && *vif->recv.prod < FIRST); /* both wrapped */
	return TEST_OK;
}

static int
frames_come_back_while_both_ends_sleep(void)
{
	struct server s = { 0 };

	return run_attached(&s, exchange);
}

static int
restarts(struct server *s, struct vif *vif)
{
	for (unsigned int cycle = 0; cycle < 20; cycle++) {
		TEST_EQ(send_frames(vif, 4), TEST_OK);
		TEST_EQ(recv_frames(vif, 4), TEST_OK);
		s->die_midway = true;
		server_stop(s);
		TEST_EQ(send_frames(vif, 4), TEST_OK); /* nobody is there */
		if (server_start(s) != TEST_OK)
			return TEST_FAILED;
		TEST_EQ(recv_frames(vif, 4), TEST_OK);
		for (unsigned int ms = 0; !vif_link(vif) && ms < 1000; ms++)
			usleep(1000);
		TEST_TRUE(vif_link(vif));
	}
	vif_reclaim(vif);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_POSTED), vif_ring_used(&vif->fill));
	TEST_EQ(bufs_in_state(vif, VIF_BUF_POSTED) + bufs_in_state(vif, VIF_BUF_FREE), 512);
	TEST_EQ(vif->counters.bad_cookie + vif->counters.bad_fill_end, 0);
	return TEST_OK;
}

static int
device_that_restarts_loses_no_frame_and_no_buffer(void)
{
	struct server s = { 0 };

	return run_attached(&s, restarts);
}

static int
own_memory(struct server *s, struct vif *vif)
{
	const size_t len = 4096;
	int fd = memfd_create("test-own", MFD_CLOEXEC);
	uint32_t key = 0;
	uint8_t *addr;

	(void)s;
	TEST_TRUE(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
	addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TEST_TRUE(addr != MAP_FAILED);
	TEST_EQ(vif_mem_add(vif, addr, len, fd, 0, &key), 0);
	TEST_TRUE(key != 0 && key != vif->key);
	TEST_EQ(vif_mem_del(vif, vif->key), -EBUSY); /* queues live in it */
	TEST_EQ(vif_mem_del(vif, key), 0);
	TEST_EQ(vif_mem_del(vif, key), -ENOENT);
	munmap(addr, len);
	close(fd);
	return TEST_OK;
}

static int
program_registers_memory_of_its_own(void)
{
	struct server s = { 0 };

	return run_attached(&s, own_memory);
}

static const struct test_case cases[] = {
	TEST_CASE(control_answers_and_second_client_is_busy),
	TEST_CASE(frames_come_back_while_both_ends_sleep),
	TEST_CASE(device_that_restarts_loses_no_frame_and_no_buffer),
	TEST_CASE(program_registers_memory_of_its_own),
};
TEST_SUITE(vif_socket, cases);
