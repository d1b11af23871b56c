/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * vfio-user as it is meant to be used: our client against our server over a real socket, the server
 * in a thread of its own; and the life of the server's socket and connections.
 */
#include <sched.h>

#include <vfio_user_client.h>
#include <vfio_user_wire.h>

#include <time.h>

#include "test_vfio_user_fixture.h"

#define TIMEOUT_MS 2000
#define LOST_MS 30000   /* for 500 interrupts */
#define WAITING_MS 2000 /* the server's patience with a silent connection */

/* A device in a thread and a client attached to it. */
static int
setup(struct device *dev, struct vfio_user_client **client)
{
	if (dev_start(dev) != 0 || dev_run(dev) != 0)
		return TEST_FAILED;
	TEST_EQ(vfio_user_client_connect(dev->path, TIMEOUT_MS, client), 0);
	return 0;
}

static int
teardown(struct device *dev, struct vfio_user_client *client)
{
	vfio_user_client_close(client);
	dev_stop(dev);
	return TEST_OK;
}

static int
client_learns_what_the_device_has(void)
{
	struct vfio_user_client_region region;
	struct vfio_user_client *client;
	uint32_t flags, regions, irqs, count;
	struct device dev;

	TEST_EQ(setup(&dev, &client), 0);
	TEST_EQ(vfio_user_client_device_info(client, &flags, &regions, &irqs), 0);
	TEST_EQ(flags, VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
	TEST_EQ(regions, 9);
	TEST_EQ(irqs, 5);
	TEST_EQ(vfio_user_client_irq_count(client, 2, &count), 0);
	TEST_EQ(count, DEV_VECTORS);
	TEST_EQ(vfio_user_client_irq_count(client, 0, &count), 0);
	TEST_EQ(count, 0);
	TEST_EQ(vfio_user_client_irq_count(client, 5, &count), -EINVAL);
	TEST_EQ(vfio_user_client_region_info(client, 7, &region), 0);
	TEST_EQ(region.size, 256);
	TEST_EQ(region.flags, VFIO_REGION_INFO_FLAG_READ);
	TEST_EQ(region.fd, -1);
	TEST_EQ(vfio_user_client_region_info(client, 8, &region), 0);
	TEST_EQ(region.size, 0);
	TEST_EQ(vfio_user_client_region_info(client, 9, &region), -EINVAL);
	return teardown(&dev, client);
}

static int
sparse_area_is_the_devices_memory(void)
{
	struct vfio_user_client_region region, again;
	struct vfio_user_client *client;
	struct device dev;
	uint32_t word;
	uint8_t *area;

	TEST_EQ(setup(&dev, &client), 0);
	TEST_EQ(vfio_user_client_region_info(client, 0, &region), 0);
	TEST_EQ(region.size, DEV_BAR0);
	TEST_EQ(region.flags, 15);
	TEST_EQ(region.nb_areas, 1);
	TEST_EQ(region.area[0].offset, 4096);
	TEST_EQ(region.area[0].size, 8192);
	area = mmap(NULL, region.area[0].size, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd,
		    (off_t)region.area[0].offset);
	TEST_TRUE(area != MAP_FAILED);
	memcpy(area + 8, "bell", 4);
	TEST_EQ(pread(dev.memfd, &word, 4, 4096 + 8), 4);
	TEST_MEM_EQ(&word, "bell", 4);
	/* Trapped access to a mappable page is the same memory. */
	TEST_EQ(vfio_user_client_write(client, 0, 4096 + 8, "ring", 4), 0);
	TEST_MEM_EQ(area + 8, "ring", 4);
	TEST_EQ(vfio_user_client_region_info(client, 0, &again), 0);
	TEST_EQ(again.fd, region.fd);
	munmap(area, region.area[0].size);
	return teardown(&dev, client);
}

static int
trapped_access_reaches_the_device(void)
{
	static uint8_t big[VFIO_USER_MAX_XFER];
	struct vfio_user_client *client;
	struct device dev;
	uint32_t word = 0;

	TEST_EQ(setup(&dev, &client), 0);
	TEST_EQ(vfio_user_client_write(client, 0, 16, "regs", 4), 0);
	TEST_EQ(vfio_user_client_read(client, 0, 16, &word, 4), 0);
	TEST_MEM_EQ(&word, "regs", 4);
	TEST_EQ(vfio_user_client_read(client, 1, 4096, big, sizeof(big)), 0);
	for (uint32_t i = 0; i < sizeof(big); i++)
		if (big[i] != dev_pattern(4096 + i))
			TEST_EQ(big[i], dev_pattern(4096 + i));
	TEST_EQ(vfio_user_client_write(client, 1, 0, big, sizeof(big)), 0);
	TEST_EQ(vfio_user_client_read(client, 0, DEV_BAR0 - 2, &word, 4), -EINVAL);
	TEST_EQ(vfio_user_client_write(client, 7, 0, &word, 4), -EINVAL);
	TEST_EQ(vfio_user_client_read(client, 0, 0, &word, 0), -EINVAL);
	TEST_EQ(vfio_user_client_read(client, 1, 0, big, sizeof(big) + 1), -EINVAL);
	dev.answer = -ENXIO;
	TEST_EQ(vfio_user_client_write(client, 0, 0, &word, 4), -ENXIO);
	return teardown(&dev, client);
}

static int
interrupts_reach_their_eventfds(void)
{
	struct vfio_user_client *client;
	struct device dev;
	int fds[DEV_VECTORS];
	eventfd_t value;

	TEST_EQ(setup(&dev, &client), 0);
	for (unsigned int i = 0; i < DEV_VECTORS; i++)
		fds[i] = i == 5 || i == 6 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	TEST_EQ(vfio_user_client_set_irqs(client, 0, DEV_VECTORS, fds), 0);
	for (unsigned int i = 0; i < DEV_VECTORS; i++) {
		TEST_EQ(vfio_user_irq_fire(dev.server, i), fds[i] >= 0);
		if (fds[i] >= 0) {
			TEST_EQ(eventfd_read(fds[i], &value), 0);
			TEST_EQ(value, 1);
		}
	}
	TEST_EQ(vfio_user_irq_fire(dev.server, DEV_VECTORS), false);
	TEST_EQ(vfio_user_client_set_irqs(client, DEV_VECTORS - 1, 2, fds), -EINVAL);
	for (unsigned int i = 0; i < DEV_VECTORS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return teardown(&dev, client);
}

static int
interrupt_without_eventfd_is_latched(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), none = -1;
	struct vfio_user_client *client;
	struct device dev;
	eventfd_t value;

	TEST_EQ(setup(&dev, &client), 0);
	TEST_EQ(vfio_user_irq_fire(dev.server, 3), false);
	TEST_EQ(vfio_user_irq_fire(dev.server, 3), false);
	TEST_EQ(vfio_user_client_set_irqs(client, 3, 1, &fd), 0);
	TEST_EQ(eventfd_read(fd, &value), 0);
	TEST_EQ(value, 1);
	TEST_EQ(vfio_user_client_set_irqs(client, 3, 1, &none), 0);
	TEST_EQ(vfio_user_irq_fire(dev.server, 3), false);
	TEST_EQ(eventfd_read(fd, &value), -1);
	TEST_EQ(vfio_user_client_set_irqs(client, 3, 1, &fd), 0);
	TEST_EQ(eventfd_read(fd, &value), 0);
	close(fd);
	return teardown(&dev, client);
}

/* Fires once per round; the round ends when the interrupt was seen. */
struct firing {
	struct device *dev;
	unsigned int rounds, seen;
	bool stop;
};

static void *
fire_rounds(void *arg)
{
	struct firing *f = arg;

	for (unsigned int i = 0; i < f->rounds; i++) {
		vfio_user_irq_fire(f->dev->server, 0);
		while (__atomic_load_n(&f->seen, __ATOMIC_ACQUIRE) <= i) {
			if (__atomic_load_n(&f->stop, __ATOMIC_RELAXED))
				return NULL;
			sched_yield();
		}
	}
	return NULL;
}

static int
no_interrupt_falls_between_two_eventfds(void)
{
	struct firing f = { .rounds = 500 };
	struct vfio_user_client *client;
	struct device dev;
	pthread_t thread;
	eventfd_t value;
	int fds[3] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK), -1 };
	uint64_t deadline_ms = vfio_user_now_ms() + LOST_MS;

	TEST_EQ(setup(&dev, &client), 0);
	f.dev = &dev;
	TEST_EQ(pthread_create(&thread, NULL, fire_rounds, &f), 0);
	/* One that is lost is lost for ever, so the deadline may be far away. */
	for (unsigned int i = 0; vfio_user_now_ms() < deadline_ms && f.seen < f.rounds; i++) {
		TEST_EQ(vfio_user_client_set_irqs(client, 0, 1, &fds[i % 3]), 0);
		if (eventfd_read(fds[0], &value) == 0 || eventfd_read(fds[1], &value) == 0)
			__atomic_fetch_add(&f.seen, 1, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TEST_EQ(f.seen, f.rounds);
	close(fds[0]);
	close(fds[1]);
	return teardown(&dev, client);
}

static int
kick_eventfd_reaches_the_device(void)
{
	struct vfio_user_client *client;
	struct device dev;
	eventfd_t value;
	int fd0, fd1;

	TEST_EQ(setup(&dev, &client), 0);
	fd0 = vfio_user_client_kick_fd(client, 2, 0);
	fd1 = vfio_user_client_kick_fd(client, 2, 4092);
	TEST_TRUE(fd0 >= 0 && fd1 >= 0);
	TEST_EQ(eventfd_write(fd0, 1), 0);
	TEST_EQ(eventfd_read(dev.kick[0], &value), 0);
	TEST_EQ(eventfd_read(dev.kick[1], &value), -1);
	TEST_EQ(eventfd_write(fd1, 1), 0);
	TEST_EQ(eventfd_read(dev.kick[1], &value), 0);
	TEST_EQ(vfio_user_client_kick_fd(client, 2, 4), -ENOTSUP);
	TEST_EQ(vfio_user_client_kick_fd(client, 0, 0), -ENOTSUP);
	close(fd0);
	close(fd1);
	return teardown(&dev, client);
}

static int
dma_map_hands_over_memory(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC), before;
	struct vfio_user_client *client;
	struct device dev;

	TEST_EQ(setup(&dev, &client), 0);
	TEST_EQ(ftruncate(fd, 65536), 0);
	TEST_EQ(pwrite(fd, "\x01\x02\x03\x04", 4, 8192), 4);
	before = count_fds();
	TEST_EQ(vfio_user_client_dma_map(client, 0x100000, 16384, 3, fd, 8192), 0);
	TEST_EQ(dev.iova, 0x100000);
	TEST_EQ(dev.size, 16384);
	TEST_EQ(dev.prot, 3);
	TEST_EQ(dev.fd_offset, 8192);
	TEST_EQ(dev.mapped_word, 0x04030201);
	TEST_EQ(vfio_user_client_dma_map(client, 0x200000, 4096, 1, -1, 0), 0);
	TEST_EQ(dev.had_fd, false);
	dev.answer = -EEXIST;
	TEST_EQ(vfio_user_client_dma_map(client, 0x100000, 4096, 3, fd, 0), -EEXIST);
	TEST_EQ(count_fds(), before);
	TEST_EQ(vfio_user_client_dma_unmap(client, 0x100000, 16384), 0);
	TEST_EQ(dev.unmaps, 1);
	TEST_EQ(dev.size, 16384);
	close(fd);
	return teardown(&dev, client);
}

static int
reset_reaches_the_device_and_drops_latches(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct vfio_user_client *client;
	struct device dev;
	eventfd_t value;

	TEST_EQ(setup(&dev, &client), 0);
	TEST_EQ(vfio_user_irq_fire(dev.server, 0), false);
	TEST_EQ(vfio_user_client_reset(client), 0);
	TEST_EQ(dev.resets, 1);
	TEST_EQ(vfio_user_client_set_irqs(client, 0, 1, &fd), 0);
	TEST_EQ(eventfd_read(fd, &value), -1);
	close(fd);
	return teardown(&dev, client);
}

static int
second_client_is_refused_until_the_first_leaves(void)
{
	struct vfio_user_client *first, *second = NULL;
	struct device dev;
	uint32_t word;

	TEST_EQ(setup(&dev, &first), 0);
	TEST_EQ(vfio_user_client_connect(dev.path, TIMEOUT_MS, &second), -EBUSY);
	TEST_EQ(vfio_user_client_read(first, 7, 0, &word, 4), 0);
	vfio_user_client_close(first);
	TEST_EQ(vfio_user_client_connect(dev.path, TIMEOUT_MS, &second), 0);
	TEST_EQ(vfio_user_client_read(second, 7, 0, &word, 4), 0);
	dev_pause(&dev);
	TEST_EQ(dev.connected, 2);
	TEST_EQ(dev.disconnected, 1);
	TEST_EQ(dev_stats(&dev).refused_busy, 1);
	TEST_EQ(dev_stats(&dev).errors_sent, 1);
	return teardown(&dev, second);
}

static int
client_that_died_unnoticed_keeps_nobody_out(void)
{
	struct vfio_user_hdr hdr;
	struct device dev;
	uint8_t body[256];
	int a, b;

	TEST_EQ(dev_start(&dev), 0);
	a = raw_attach(&dev);
	TEST_TRUE(a >= 0);
	b = raw_connect(&dev);
	raw_send_version(b);
	close(a);
	/* The newcomer is looked at before the hang-up of the old client. */
	TEST_EQ(vfio_user_server_accept(dev.server), 0);
	TEST_TRUE(raw_reply(b, &hdr, body, sizeof(body)) > 0);
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	TEST_EQ(dev.connected, 2);
	TEST_EQ(dev.disconnected, 1);
	TEST_EQ(dev_stats(&dev).refused_busy, 0);
	close(b);
	dev_stop(&dev);
	return TEST_OK;
}

static int
silent_connections_keep_nobody_out(void)
{
	struct device dev;
	int silent[6], sock, before = count_fds();

	TEST_EQ(dev_start(&dev), 0);
	for (unsigned int i = 0; i < 6; i++) {
		silent[i] = raw_connect(&dev);
		dev_step(&dev, 0);
	}
	TEST_EQ(dev_stats(&dev).refused_busy, 2); /* four may wait, the oldest make room */
	sock = raw_attach(&dev);
	TEST_TRUE(sock >= 0);
	dev_step(&dev, WAITING_MS + 500); /* the timer drops the rest */
	for (unsigned int i = 0; i < 6; i++) {
		TEST_EQ(recv(silent[i], &before, 1, MSG_DONTWAIT), 0);
		close(silent[i]);
	}
	TEST_EQ(dev.disconnected, 0);
	close(sock);
	dev_step(&dev, 0);
	TEST_EQ(dev.disconnected, 1);
	TEST_STR_EQ(dev.why, "client hung up");
	dev_stop(&dev);
	return TEST_OK;
}

static int
servers_end_is_seen_by_the_client(void)
{
	struct vfio_user_client *client;
	struct pollfd pfd = { 0 };
	struct device dev;
	uint32_t word;

	TEST_EQ(setup(&dev, &client), 0);
	pfd.fd = vfio_user_client_fd(client);
	TEST_EQ(poll(&pfd, 1, 0), 0);
	dev_stop(&dev);
	TEST_EQ(dev.disconnected, 1);
	TEST_STR_EQ(dev.why, "server ends");
	TEST_EQ(poll(&pfd, 1, TIMEOUT_MS), 1);
	TEST_TRUE((pfd.revents & POLLHUP) != 0);
	TEST_EQ(vfio_user_client_read(client, 7, 0, &word, 4), -ECONNRESET);
	TEST_EQ(vfio_user_client_read(client, 7, 0, &word, 4), -ENOTCONN);
	vfio_user_client_close(client);
	TEST_EQ(vfio_user_client_connect(dev.path, TIMEOUT_MS, &client), -ENOENT);
	return TEST_OK;
}

static int
device_that_refuses_a_client_says_why(void)
{
	struct vfio_user_client *client = NULL;
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	dev.answer = -ENOMEM;
	TEST_EQ(dev_run(&dev), 0);
	TEST_EQ(vfio_user_client_connect(dev.path, TIMEOUT_MS, &client), -ENOMEM);
	dev_pause(&dev);
	TEST_EQ(vfio_user_conn_fd(dev.server), -1);
	TEST_EQ(dev.disconnected, 0);
	dev_stop(&dev);
	return TEST_OK;
}

static int
close_inside_a_callback_waits_for_its_end(void)
{
	struct vfio_user_region_rw rw[2] = { { 0, 0, sizeof(rw[0]) } };
	struct vfio_user_hdr hdr;
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	dev.close_in_write = true;
	raw_request(sock, VFIO_USER_REGION_WRITE, rw, sizeof(rw), NULL, 0);
	TEST_EQ(vfio_user_conn_process(dev.server), -ECONNABORTED);
	TEST_EQ(dev.writes, 1);
	TEST_STR_EQ(dev.why, "told to");
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), -1);
	TEST_EQ(vfio_user_conn_process(dev.server), -ENOTCONN);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Gives how long the server was busy with it, milliseconds. */
static int
drop_client_that_reads_no_replies(int64_t *ms)
{
	struct vfio_user_region_rw rw = { 0, 1, VFIO_USER_MAX_XFER };
	struct timespec from, to;
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_request(sock, VFIO_USER_REGION_READ, &rw, sizeof(rw), NULL, 0);
	raw_request(sock, VFIO_USER_REGION_READ, &rw, sizeof(rw), NULL, 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	TEST_EQ(vfio_user_conn_process(dev.server), 0);
	TEST_EQ(vfio_user_conn_fd(dev.server), -1); /* nothing to poll: no spinning */
	TEST_EQ(vfio_user_conn_process(dev.server), 0);
	TEST_EQ(vfio_user_server_accept(dev.server), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	*ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
	TEST_EQ(dev_stats(&dev).messages, 2); /* VERSION and one: the other stays unread */
	TEST_EQ(dev.disconnected, 0);
	dev_step(&dev, 3000); /* the timer ends it */
	TEST_EQ(dev.disconnected, 1);
	TEST_TRUE(strstr(dev.why, "does not take its replies") != NULL);
	TEST_EQ(dev_stats(&dev).dropped_unread, 1);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Regression: each such request used to hold up the thread, and everybody behind it, for 200 ms. A
 * machine that is busy may do so as well, but not each time. */
static int
client_that_reads_no_replies_is_dropped(void)
{
	int64_t ms, least = INT64_MAX;

	for (unsigned int i = 0; i < 5; i++) {
		TEST_EQ(drop_client_that_reads_no_replies(&ms), TEST_OK);
		least = RTE_MIN(least, ms);
	}
	TEST_TRUE(least < 100);
	return TEST_OK;
}

static int
slow_reader_gets_whole_replies_in_order(void)
{
	static uint8_t body[sizeof(struct vfio_user_region_rw) + VFIO_USER_MAX_XFER];
	struct vfio_user_region_rw rw = { 0, 1, VFIO_USER_MAX_XFER };
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	for (rw.offset = 0; rw.offset < 3; rw.offset++)
		raw_request(sock, VFIO_USER_REGION_READ, &rw, sizeof(rw), NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(dev_stats(&dev).replies_waited, 1);
	for (unsigned int i = 0; i < 3; i++) {
		size_t have = 0, want = sizeof(struct vfio_user_hdr) + sizeof(body);
		struct vfio_user_hdr hdr;

		while (have < want) {
			bool in_hdr = have < sizeof(hdr);
			uint8_t *to = in_hdr ? (uint8_t *)&hdr + have : body + have - sizeof(hdr);
			size_t room = in_hdr ? sizeof(hdr) - have : want - have;
			ssize_t n = recv(sock, to, room, MSG_DONTWAIT);

			if (n > 0)
				have += (size_t)n;
			else
				TEST_TRUE(n < 0 && errno == EAGAIN);
			dev_step(&dev, 0);
		}
		TEST_EQ(hdr.size, want);
		TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
		for (size_t at = 0; at < VFIO_USER_MAX_XFER; at++)
			if (body[sizeof(rw) + at] != dev_pattern(i + at))
				TEST_ASSERT_MSG(false, "reply %u byte %zu", i, at);
	}
	TEST_EQ(dev_stats(&dev).messages, 4);
	TEST_EQ(dev.disconnected, 0);
	TEST_TRUE(vfio_user_conn_fd(dev.server) >= 0);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
client_that_dies_while_its_reply_waits_is_noticed(void)
{
	struct vfio_user_region_rw rw = { 0, 1, VFIO_USER_MAX_XFER };
	struct device dev;
	int sock, before;

	TEST_EQ(dev_start(&dev), 0);
	before = count_fds();
	sock = raw_attach(&dev);
	raw_request(sock, VFIO_USER_REGION_READ, &rw, sizeof(rw), NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(dev_stats(&dev).replies_waited, 1);
	close(sock);
	dev_step(&dev, 0);
	TEST_EQ(dev.disconnected, 1);
	TEST_STR_EQ(dev.why, "client hung up");
	TEST_EQ(count_fds(), before);
	dev_stop(&dev);
	return TEST_OK;
}

static int
stale_socket_is_replaced_and_a_live_one_is_not(void)
{
	struct vfio_user_server_conf conf;
	struct vfio_user_server *other;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct device dev;
	struct stat st;
	int fd;

	TEST_EQ(dev_start(&dev), 0);
	TEST_EQ(stat(dev.path, &st), 0);
	TEST_EQ(st.st_mode & 0777, 0600);
	dev_conf(&dev, &conf);
	TEST_EQ(vfio_user_server_create(&conf, &other), -EADDRINUSE);
	vfio_user_server_destroy(dev.server);
	TEST_EQ(stat(dev.path, &st), -1);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* dies without unlink */
	memcpy(addr.sun_path, dev.path, strlen(dev.path));
	TEST_EQ(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	TEST_EQ(vfio_user_server_create(&conf, &dev.server), 0);
	dev_stop(&dev);
	return TEST_OK;
}

static int
file_that_is_not_ours_is_left_alone(void)
{
	struct vfio_user_server_conf conf;
	struct vfio_user_server *other;
	struct device dev;
	struct stat st;
	int fd;

	TEST_EQ(dev_start(&dev), 0);
	TEST_EQ(unlink(dev.path), 0);
	fd = open(dev.path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	TEST_TRUE(fd >= 0);
	close(fd);
	dev_conf(&dev, &conf);
	TEST_EQ(vfio_user_server_create(&conf, &other), -ENOTSOCK);
	vfio_user_server_destroy(dev.server);
	TEST_EQ(stat(dev.path, &st), 0);
	TEST_EQ(vfio_user_server_create(&conf, &other), -ENOTSOCK);
	TEST_EQ(unlink(dev.path), 0);
	TEST_EQ(vfio_user_server_create(&conf, &dev.server), 0);
	dev_stop(&dev);
	return TEST_OK;
}

static int
device_that_contradicts_itself_is_refused(void)
{
	struct vfio_user_server_conf good, conf;
	struct vfio_user_server *server;
	char path[200];
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	vfio_user_server_destroy(dev.server);
	dev_conf(&dev, &good);
	conf = good;
	conf.info.region[0].area[0].size = DEV_BAR0; /* from 4096: over the end */
	TEST_EQ(vfio_user_server_create(&conf, &server), -EINVAL);
	conf = good;
	conf.info.region[0].area[0].offset = 100;
	TEST_EQ(vfio_user_server_create(&conf, &server), -EINVAL);
	conf = good;
	conf.info.region[2].kick[0].offset = UINT64_MAX;
	TEST_EQ(vfio_user_server_create(&conf, &server), -EINVAL);
	conf = good;
	conf.info.irq_count[2] = VFIO_USER_MAX_VECTORS + 1;
	TEST_EQ(vfio_user_server_create(&conf, &server), -EINVAL);
	conf = good;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	conf.path = path;
	TEST_EQ(vfio_user_server_create(&conf, &server), -ENAMETOOLONG);
	TEST_EQ(vfio_user_server_create(&good, &dev.server), 0);
	dev_stop(&dev);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(client_learns_what_the_device_has),
	TEST_CASE(sparse_area_is_the_devices_memory),
	TEST_CASE(trapped_access_reaches_the_device),
	TEST_CASE(interrupts_reach_their_eventfds),
	TEST_CASE(interrupt_without_eventfd_is_latched),
	TEST_CASE(no_interrupt_falls_between_two_eventfds),
	TEST_CASE(kick_eventfd_reaches_the_device),
	TEST_CASE(dma_map_hands_over_memory),
	TEST_CASE(reset_reaches_the_device_and_drops_latches),
	TEST_CASE(second_client_is_refused_until_the_first_leaves),
	TEST_CASE(client_that_died_unnoticed_keeps_nobody_out),
	TEST_CASE(silent_connections_keep_nobody_out),
	TEST_CASE(servers_end_is_seen_by_the_client),
	TEST_CASE(device_that_refuses_a_client_says_why),
	TEST_CASE(close_inside_a_callback_waits_for_its_end),
	TEST_CASE(client_that_reads_no_replies_is_dropped),
	TEST_CASE(slow_reader_gets_whole_replies_in_order),
	TEST_CASE(client_that_dies_while_its_reply_waits_is_noticed),
	TEST_CASE(stale_socket_is_replaced_and_a_live_one_is_not),
	TEST_CASE(file_that_is_not_ours_is_left_alone),
	TEST_CASE(device_that_contradicts_itself_is_refused),
};
TEST_SUITE(vfio_user, cases);
