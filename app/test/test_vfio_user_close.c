/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a client leaves to be closed: descriptors of any kind, in any message, read or not, and when there
 * are none left. One thread: what blocks the server hangs the test.
 */
#include <netinet/in.h>
#include <sys/resource.h>

#include <vfio_user_client.h>
#include <vfio_user_wire.h>

#include "test_vfio_user_fixture.h"

#define LINGER_S 60 /* a close() that waits */

static int
connections_leave_no_descriptors(void)
{
	int before = count_fds();
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	for (unsigned int i = 0; i < 200; i++) {
		int sock = raw_attach(&dev), fd = eventfd(0, EFD_CLOEXEC);
		struct vfio_user_irq_set set = { 20, 0x24, 2, i % DEV_VECTORS, 1 };

		TEST_TRUE(sock >= 0);
		raw_request(sock, VFIO_USER_DEVICE_SET_IRQS, &set, 20, &fd, 1);
		raw_request(sock, VFIO_USER_DMA_MAP, &set, 20, &fd, 1);
		close(fd);
		if (i % 2 == 0)
			dev_step(&dev, 0);
		close(sock);
		dev_step(&dev, 0);
		TEST_EQ(vfio_user_conn_fd(dev.server), -1);
	}
	dev_stop(&dev);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}

/* A TCP socket with unsent data that lingers: its last close() takes as long as its peer likes. */
static int
lingering_socket(int *peer)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct linger linger = { 1, LINGER_S };
	const int small = 4096, large = 1 << 20; /* so that the rest stays with the sender */
	socklen_t len = sizeof(addr);
	char block[4096] = { 0 };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), sock;

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(listener, (struct sockaddr *)&addr, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) < 0)
		return -1;
	sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	if (connect(sock, (struct sockaddr *)&addr, len) < 0)
		return -1;
	*peer = accept(listener, NULL, NULL);
	close(listener);
	while (send(sock, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return sock;
}

/* Closing is looked at every 100 ms in the end, so that it never is quiet for long. */
static void
step_until_late(struct device *dev, uint64_t times)
{
	for (unsigned int i = 0; i < 100 && dev_stats(dev).closed_late < times; i++)
		dev_step(dev, 50);
}

/* By a message that was read, and by one that was not when the client left. */
static int
descriptor_that_does_not_close_stops_nobody_else(void)
{
	struct device dev, other;
	int peer[2], sock, next, fd, before = count_fds();

	TEST_EQ(dev_start(&dev), 0);
	TEST_EQ(dev_start(&other), 0);
	sock = raw_attach(&dev);
	for (unsigned int i = 0; i < 2; i++) {
		fd = lingering_socket(&peer[i]);
		TEST_TRUE(fd >= 0);
		raw_request(sock, VFIO_USER_DEVICE_RESET, NULL, 0, &fd, 1);
		close(fd);
	}
	TEST_EQ(vfio_user_conn_process(dev.server), 0); /* all in one thread: it would hang here */
	TEST_EQ(vfio_user_conn_fd(dev.server), -1);
	step_until_late(&dev, 1);
	TEST_EQ(dev_stats(&dev).closed_late, 1);
	TEST_EQ(dev_stats(&dev).messages, 2);
	next = raw_attach(&other);
	TEST_TRUE(next >= 0);
	close(next);
	close(peer[0]);
	step_until_late(&dev, 2);
	TEST_EQ(dev_stats(&dev).messages, 3); /* the next one, with the same effect */
	TEST_EQ(dev_stats(&dev).closed_late, 2);
	close(sock);
	next = raw_connect(&dev); /* the next client waits, and nothing spins */
	raw_send_version(next);
	dev_step(&dev, 50);
	TEST_EQ(dev.connected, 1);
	close(peer[1]);
	dev_step(&dev, 0);
	TEST_EQ(dev.connected, 2);
	close(next);
	dev_stop(&dev);
	dev_stop(&other);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}

/* Sends a byte out of band, with a descriptor unless fd is -1. Skips without a kernel that can. */
static int
send_out_of_band(int sock, const void *byte, int fd)
{
	int rc = raw_send_flags(sock, byte, 1, &fd, fd >= 0, MSG_OOB);

	if (rc == -EOPNOTSUPP) {
		test_skip_reason = "kernel without MSG_OOB on AF_UNIX";
		return TEST_SKIPPED;
	}
	TEST_EQ(rc, 0);
	return TEST_OK;
}

/* Regression: it was not seen by a look, and closed by the read of what came behind it. */
static int
descriptor_out_of_band_stops_nobody(void)
{
	struct vfio_user_hdr hdr = { .id = 1, .cmd = VFIO_USER_DEVICE_RESET, .size = sizeof(hdr) };
	int peer[2], sock, fd, rc, before = count_fds();
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	for (unsigned int i = 0; i < 2; i++) { /* the rest of a message comes behind it, or the end */
		sock = raw_attach(&dev);
		TEST_TRUE(sock >= 0);
		fd = lingering_socket(&peer[i]);
		TEST_TRUE(fd >= 0);
		rc = send_out_of_band(sock, &hdr, fd);
		if (rc != TEST_OK)
			return rc;
		close(fd);
		if (i == 0)
			raw_send_fds(sock, (uint8_t *)&hdr + 1, sizeof(hdr) - 1, NULL, 0);
		else
			close(sock);
		while (vfio_user_conn_fd(dev.server) >= 0)
			vfio_user_conn_process(dev.server); /* all in one thread: it would hang here */
		step_until_late(&dev, i + 1);
		TEST_EQ(dev_stats(&dev).closed_late, i + 1);
		close(peer[i]);
		if (i == 0)
			close(sock);
		dev_step(&dev, 0);
	}
	TEST_EQ(dev_stats(&dev).bad_fds, 1);
	TEST_EQ(dev.disconnected, 2);
	dev_stop(&dev);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}

/* Regression: poll() told of it for ever, and nothing took it away. */
static int
lone_byte_out_of_band_does_not_spin(void)
{
	struct device dev;
	struct pollfd pfd;
	int sock, rc;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_TRUE(sock >= 0);
	rc = send_out_of_band(sock, "x", -1);
	if (rc != TEST_OK)
		return rc;
	TEST_EQ(vfio_user_conn_process(dev.server), 0);
	pfd = (struct pollfd){ .fd = vfio_user_conn_fd(dev.server), .events = POLLIN };
	TEST_TRUE(pfd.fd >= 0);
	TEST_EQ(poll(&pfd, 1, 0), 0);
	close(sock);
	dev_step(&dev, 0);
	TEST_EQ(dev.disconnected, 1);
	TEST_STR_EQ(dev.why, "client hung up after 1 bytes of a message");
	dev_stop(&dev);
	return TEST_OK;
}

/* A few files don't matter: the next client is served while the memory of the last one is freed. */
static int
memory_being_closed_stops_its_guest_only_when_it_is_much(void)
{
	int peer[VFIO_USER_MAX_MEMORY + 1], fd, sock, before = count_fds();
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_TRUE(sock >= 0);
	for (unsigned int i = 0; i <= VFIO_USER_MAX_MEMORY; i++) {
		TEST_TRUE(vfio_user_conn_fd(dev.server) >= 0);
		fd = lingering_socket(&peer[i]); /* in place of memory of which there is a lot */
		TEST_TRUE(fd >= 0);
		vfio_user_server_close_memory(dev.server, fd);
	}
	TEST_EQ(vfio_user_conn_fd(dev.server), -1);
	raw_request(sock, VFIO_USER_DEVICE_RESET, NULL, 0, NULL, 0);
	TEST_EQ(vfio_user_conn_process(dev.server), 0);
	vfio_user_server_accept(dev.server); /* the owner does so now and then */
	TEST_EQ(dev.resets, 0);
	for (unsigned int i = 0; i <= VFIO_USER_MAX_MEMORY; i++)
		close(peer[i]);
	dev_step(&dev, 0);
	TEST_EQ(dev.resets, 1);
	close(sock);
	dev_step(&dev, 0);
	dev_stop(&dev);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}

/* Regression: what waited for accept() was closed with the listening socket, by the owner's thread. */
static int
descriptor_in_the_backlog_does_not_stop_the_servers_end(void)
{
	int peer, sock, fd = lingering_socket(&peer), before = count_fds();
	uint64_t from_ms;
	struct device dev;

	TEST_TRUE(fd >= 0);
	TEST_EQ(dev_start(&dev), 0);
	sock = raw_connect(&dev);
	raw_request(sock, VFIO_USER_DEVICE_RESET, NULL, 0, &fd, 1);
	close(fd);
	close(sock);
	from_ms = vfio_user_now_ms();
	dev_stop(&dev);
	TEST_TRUE(vfio_user_now_ms() - from_ms < LINGER_S * 1000 / 2);
	close(peer);
	for (unsigned int i = 0; i < 1000 && count_fds() > before - 2; i++)
		poll(NULL, 0, 1);
	TEST_EQ(count_fds(), before - 2); /* fd and peer */
	return TEST_OK;
}

/* Regression: such a client was still polled for room for the reply, and there always is an end. */
static int
dead_client_whose_reply_waits_is_not_polled(void)
{
	struct vfio_user_region_rw rw = { 0, 1, VFIO_USER_MAX_XFER };
	int peer, sock, fd = lingering_socket(&peer);
	struct device dev;
	struct pollfd pfd;

	TEST_TRUE(fd >= 0);
	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_request(sock, VFIO_USER_REGION_READ, &rw, sizeof(rw), NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(dev_stats(&dev).replies_waited, 1);
	vfio_user_closer_put(dev.server->closer, fd); /* its socket is closed behind that */
	step_until_late(&dev, 1);
	close(sock);
	vfio_user_server_accept(dev.server);
	TEST_EQ(dev.disconnected, 1);
	pfd = (struct pollfd){ .fd = dev.server->epoll_fd, .events = POLLIN };
	TEST_EQ(poll(&pfd, 1, 0), 0);
	close(peer);
	dev_step(&dev, 0);
	dev_stop(&dev);
	return TEST_OK;
}

/* The client isn't polled then, so the owner must be woken when it may be again. */
static int
half_a_message_with_a_descriptor_to_close_goes_on(void)
{
	struct vfio_user_device info = { .argsz = sizeof(info) };
	struct vfio_user_hdr hdr = { .id = 1, .cmd = VFIO_USER_DEVICE_GET_INFO, .size = 32 };
	int peer, sock, fd = lingering_socket(&peer);
	struct device dev;
	struct pollfd pfd;

	TEST_TRUE(fd >= 0);
	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	raw_send_fds(sock, &info, 8, &fd, 1);
	close(fd);
	while (vfio_user_conn_fd(dev.server) >= 0)
		TEST_EQ(vfio_user_conn_process(dev.server), 0);
	pfd = (struct pollfd){ .fd = vfio_user_server_fd(dev.server), .events = POLLIN };
	TEST_EQ(poll(&pfd, 1, DEV_CLOSE_MS), 1);
	close(peer);
	dev_step(&dev, 0);
	raw_send_fds(sock, (uint8_t *)&info + 8, 8, NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0);
	TEST_EQ(hdr.error, EINVAL);
	TEST_EQ(dev_stats(&dev).bad_fds, 1);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
server_out_of_descriptors_does_not_spin(void)
{
	struct rlimit old, low;
	struct vfio_user_hdr hdr;
	struct device dev;
	uint8_t body[256];
	struct pollfd pfd;
	int sock, rc, ready;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_connect(&dev);
	raw_send_version(sock);
	TEST_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)dup(0);
	close((int)low.rlim_cur);
	TEST_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
	rc = vfio_user_server_accept(dev.server);
	pfd = (struct pollfd){ .fd = vfio_user_server_fd(dev.server), .events = POLLIN };
	ready = poll(&pfd, 1, 0);
	TEST_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	TEST_EQ(rc, -EMFILE);
	TEST_EQ(ready, 0);
	dev_step(&dev, 500); /* it tries again by itself */
	TEST_TRUE(raw_reply(sock, &hdr, body, sizeof(body)) > 0);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(connections_leave_no_descriptors),
	TEST_CASE(descriptor_that_does_not_close_stops_nobody_else),
	TEST_CASE(descriptor_out_of_band_stops_nobody),
	TEST_CASE(lone_byte_out_of_band_does_not_spin),
	TEST_CASE(memory_being_closed_stops_its_guest_only_when_it_is_much),
	TEST_CASE(descriptor_in_the_backlog_does_not_stop_the_servers_end),
	TEST_CASE(dead_client_whose_reply_waits_is_not_polled),
	TEST_CASE(half_a_message_with_a_descriptor_to_close_goes_on),
	TEST_CASE(server_out_of_descriptors_does_not_spin),
};
TEST_SUITE(vfio_user_close, cases);
