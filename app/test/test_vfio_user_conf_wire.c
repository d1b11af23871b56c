/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Conformance, see test_vfio_user_conformance.h: the stream, the header, the negotiation.
 *
 *   VERSION comes first, once; major, minor  wrong_order…, bad_version…; once: test_…_access.c
 *   version data                             json_garbage…, version_without_json…
 *   twin_socket, write_multiple: optional    unknown_capabilities_are_not_taken_up
 *   Size of a message                        impossible_message_size…, …_byte_by_byte…
 *   Header: type, reserved bits, error       bad_header_flags…
 *   No_reply, order of replies, Message ID   no_reply…, pipelined_requests_are_answered_in_order
 *   Ancillary data                           descriptor_after_the_first_byte…
 *   Client disconnection                     hang_up_inside_a_message…; test_vfio_user.c
 */
#include "test_vfio_user_conformance.h"

static int
no_reply_is_honoured(void)
{
	struct { struct vfio_user_hdr hdr; struct vfio_user_region_rw rw; uint32_t data; } msg = {
		{ 7, VFIO_USER_REGION_WRITE, 36, VFIO_USER_F_NO_REPLY, 0 }, { 0, 0, 4 }, 1
	};
	struct vfio_user_hdr hdr;
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_send_fds(sock, &msg, 36, NULL, 0);
	msg.rw.region = 9;
	raw_send_fds(sock, &msg, 36, NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(dev.writes, 1);
	TEST_EQ(dev_stats(&dev).bad_range, 1);
	TEST_EQ(dev_stats(&dev).errors_sent, 0);
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), -1);
	TEST_EQ(expect_alive(&dev, sock), TEST_OK);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Sends hdr alone, which loses the stream, before or after VERSION. */
static int
expect_lost(bool attached, uint32_t size)
{
	const struct vfio_user_hdr hdr = { 0x5a5a, VFIO_USER_REGION_READ, size, 0, 0 };
	struct device dev;
	uint8_t byte;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = attached ? raw_attach(&dev) : raw_connect(&dev);
	raw_send_fds(sock, &hdr, sizeof(hdr), NULL, 0);
	TEST_EQ(expect_error(&dev, sock, EMSGSIZE, COUNTER(bad_size)), TEST_OK);
	TEST_EQ(recv(sock, &byte, 1, MSG_DONTWAIT), 0);
	TEST_EQ(dev.disconnected, attached);
	TEST_EQ(vfio_user_conn_fd(dev.server), -1);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
impossible_message_size_ends_the_connection(void)
{
	TEST_EQ(expect_lost(true, 15), TEST_OK);
	TEST_EQ(expect_lost(true, 0), TEST_OK);
	TEST_EQ(expect_lost(true, UINT32_MAX), TEST_OK);
	TEST_EQ(expect_lost(true, VFIO_USER_MAX_MSG + 1), TEST_OK);
	TEST_EQ(expect_lost(false, 8), TEST_OK);
	TEST_EQ(expect_lost(false, 65536), TEST_OK); /* no allocation before VERSION */
	return TEST_OK;
}

static int
bad_header_flags_are_refused(void)
{
	struct vfio_user_hdr hdr = { 0x5a5a, VFIO_USER_DEVICE_RESET, 16, 2, 0 };
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_send_fds(sock, &hdr, 16, NULL, 0); /* type 2 */
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_header)), TEST_OK);
	hdr.flags = 0x40;
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_header)), TEST_OK);
	hdr.flags = VFIO_USER_F_ERROR;
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_header)), TEST_OK);
	hdr.flags = 0;
	hdr.error = 1;
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_header)), TEST_OK);
	hdr.flags = VFIO_USER_F_REPLY; /* to a request that we never sent: counted, not answered */
	hdr.error = 0;
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	TEST_EQ(expect_alive(&dev, sock), TEST_OK);
	TEST_EQ(dev_stats(&dev).bad_header, 5);
	TEST_EQ(dev.resets, 0);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* First message of a new connection; refused, and the connection ends. */
static int
expect_refused(uint16_t cmd, const char *body, uint32_t len, int error, size_t reason)
{
	int sock, before;
	struct device dev;
	uint8_t byte;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_connect(&dev);
	before = count_fds();
	raw_request(sock, cmd, body, len, NULL, 0);
	TEST_EQ(expect_error(&dev, sock, error, reason), TEST_OK);
	TEST_EQ(recv(sock, &byte, 1, MSG_DONTWAIT), 0);
	TEST_EQ(count_fds(), before);
	TEST_EQ(dev.connected, 0);
	TEST_EQ(dev.disconnected, 0);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* The first message may not bring descriptors: it is not even read. */
static int
first_message_with_descriptors_ends_the_connection(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), sock, before;
	const char zero[32] = { 0 };
	struct device dev;
	uint8_t byte;

	TEST_EQ(dev_start(&dev), 0);
	for (uint16_t cmd = 1; cmd <= 2; cmd++) {
		sock = raw_connect(&dev);
		before = count_fds();
		raw_request(sock, cmd, zero, sizeof(zero), &fd, 1);
		dev_step(&dev, 0);
		TEST_TRUE(recv(sock, &byte, 1, MSG_DONTWAIT) <= 0);
		TEST_EQ(dev_stats(&dev).bad_fds, cmd);
		TEST_EQ(count_fds(), before);
		close(sock);
	}
	TEST_EQ(dev.connected, 0);
	close(fd);
	dev_stop(&dev);
	return TEST_OK;
}

static int
wrong_order_is_refused(void)
{
	const char zero[32] = { 0 };

	TEST_EQ(expect_refused(4, zero, 16, EINVAL, COUNTER(bad_order)), TEST_OK);
	TEST_EQ(expect_refused(99, zero, 0, EINVAL, COUNTER(bad_order)), TEST_OK);
	return TEST_OK;
}

static int
bad_version_is_refused(void)
{
	TEST_EQ(expect_refused(1, "\1\0\0\0", 4, ENOTSUP, COUNTER(refused_version)), TEST_OK);
	TEST_EQ(expect_refused(1, "\0\0", 2, EINVAL, COUNTER(bad_size)), TEST_OK);
	return TEST_OK;
}

static int
json_garbage_is_refused(void)
{
	const size_t bad = COUNTER(bad_json);
	char deep[4096];

	TEST_EQ(expect_refused(1, VERSION_JSON(""), EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{"), EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("[]"), EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{} x"), EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("\xff\xfe"), EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{}\0{}"), EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, "\0\0\0\0{}", 6, EINVAL, bad), TEST_OK); /* no NUL */
	TEST_EQ(expect_refused(1, VERSION_JSON("{\"capabilities\":3}"), EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{\"capabilities\":{\"max_msg_fds\":\"a\"}}"),
			       EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{\"capabilities\":{\"max_data_xfer_size\":-1}}"),
			       EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{\"a\":1,\"a\":2}"), EINVAL, bad), TEST_OK);
	memset(deep, '[', sizeof(deep));
	memset(deep, 0, 4);
	deep[sizeof(deep) - 1] = '\0';
	TEST_EQ(expect_refused(1, deep, sizeof(deep), EINVAL, bad), TEST_OK);
	return TEST_OK;
}

static int
version_without_json_is_accepted(void)
{
	struct vfio_user_hdr hdr;
	struct device dev;
	char body[256];
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_connect(&dev);
	raw_request(sock, VFIO_USER_VERSION, "\0\0\5\0", 4, NULL, 0);
	dev_step(&dev, 0);
	TEST_TRUE(raw_reply(sock, &hdr, body, sizeof(body)) > 4);
	TEST_MEM_EQ(body, "\0\0\0\0", 4);
	TEST_STR_EQ(body + 4, "{\"capabilities\":{\"max_msg_fds\":16,"
			      "\"max_data_xfer_size\":1048576,\"pgsizes\":4096}}");
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
unknown_capabilities_are_not_taken_up(void)
{
	struct device dev;
	char body[256];
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = attach_with(&dev,
			   VERSION_JSON("{\"capabilities\":{\"twin_socket\":{\"supported\":true},"
					"\"write_multiple\":true,\"migration\":{},\"x\":[1]}}"),
			   body, sizeof(body));
	TEST_TRUE(sock >= 0);
	TEST_TRUE(strstr(body + 4, "twin_socket") == NULL);
	TEST_TRUE(strstr(body + 4, "write_multiple") == NULL);
	TEST_EQ(expect_alive(&dev, sock), TEST_OK);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* All in one piece: replies in order, none for No_reply, ids echoed even if they are the same. */
static int
pipelined_requests_are_answered_in_order(void)
{
	enum { N = 24 };
	struct { struct vfio_user_hdr hdr; struct vfio_user_region_rw rw; } msg[N];
	struct vfio_user_hdr hdr;
	uint8_t body[64];
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	for (unsigned int i = 0; i < N; i++) {
		msg[i].hdr = (struct vfio_user_hdr){
			.id = (uint16_t)(i / 2), .cmd = VFIO_USER_REGION_READ, .size = sizeof(msg[i]),
			.flags = i % 3 == 2 ? VFIO_USER_F_NO_REPLY : 0,
		};
		msg[i].rw = (struct vfio_user_region_rw){ 4 * i, i % 4 == 1 ? 9u : 0u, 4 };
	}
	raw_send_fds(sock, msg, sizeof(msg), NULL, 0);
	dev_step(&dev, 0);
	for (unsigned int i = 0; i < N; i++) {
		struct vfio_user_region_rw rw;

		if (i % 3 == 2)
			continue;
		TEST_TRUE(raw_reply(sock, &hdr, body, sizeof(body)) >= 0);
		TEST_EQ(hdr.id, i / 2);
		TEST_EQ(hdr.cmd, VFIO_USER_REGION_READ);
		TEST_EQ(hdr.size, i % 4 == 1 ? 16 : 36);
		if (i % 4 == 1)
			continue;
		memcpy(&rw, body, sizeof(rw));
		TEST_EQ(rw.offset, 4 * i);
	}
	TEST_EQ(raw_reply(sock, &hdr, body, sizeof(body)), -1);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
message_byte_by_byte_is_understood(void)
{
	struct { struct vfio_user_hdr hdr; struct vfio_user_dma_map map; } msg = {
		{ 0x5a5a, VFIO_USER_DMA_MAP, 48, 0, 0 }, { 32, 1, 0, 0x7000, 4096 }
	};
	int fd = memfd_create("guest", MFD_CLOEXEC), sock;
	struct vfio_user_hdr hdr;
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_EQ(ftruncate(fd, 4096), 0);
	for (unsigned int i = 0; i < sizeof(msg); i++) {
		TEST_EQ(dev.maps, 0);
		raw_send_fds(sock, (char *)&msg + i, 1, &fd, i == 0 ? 1 : 0);
		dev_step(&dev, 0);
	}
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0);
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	TEST_EQ(dev.maps, 1);
	TEST_EQ(dev.iova, 0x7000);
	TEST_EQ(dev.had_fd, true);
	close(fd);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
descriptor_after_the_first_byte_is_refused(void)
{
	struct { struct vfio_user_hdr hdr; struct vfio_user_dma_map map; } msg = {
		{ 0x5a5a, VFIO_USER_DMA_MAP, 48, 0, 0 }, { 32, 1, 0, 0x7000, 4096 }
	};
	int fd = eventfd(0, EFD_CLOEXEC), sock, before;
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	before = count_fds();
	raw_send_fds(sock, &msg, 20, NULL, 0);
	dev_step(&dev, 0);
	raw_send_fds(sock, (char *)&msg + 20, 28, &fd, 1);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_fds)), TEST_OK);
	TEST_EQ(count_fds(), before);
	TEST_EQ(dev.maps, 0);
	close(fd);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Hang up after len bytes of a DMA_MAP with a descriptor. */
static int
hang_up_after(uint32_t len, size_t reason)
{
	struct { struct vfio_user_hdr hdr; struct vfio_user_dma_map map; } msg = {
		{ 0x5a5a, VFIO_USER_DMA_MAP, 48, 0, 0 }, { 32, 1, 0, 0x7000, 4096 }
	};
	int fd = eventfd(0, EFD_CLOEXEC), sock, before;
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	before = count_fds();
	sock = raw_attach(&dev);
	raw_send_fds(sock, &msg, len, &fd, 1);
	dev_step(&dev, 0);
	close(sock);
	dev_step(&dev, 0);
	TEST_EQ(dev.disconnected, 1);
	TEST_EQ(dev.maps, 0);
	TEST_EQ(counter(&dev, reason), 1);
	TEST_EQ(count_fds(), before);
	TEST_TRUE(strstr(dev.why, "bytes of a message") != NULL);
	close(fd);
	dev_stop(&dev);
	return TEST_OK;
}

static int
hang_up_inside_a_message_is_counted(void)
{
	TEST_EQ(hang_up_after(1, COUNTER(bad_header)), TEST_OK);
	TEST_EQ(hang_up_after(15, COUNTER(bad_header)), TEST_OK);
	TEST_EQ(hang_up_after(16, COUNTER(bad_size)), TEST_OK);
	TEST_EQ(hang_up_after(47, COUNTER(bad_size)), TEST_OK);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(no_reply_is_honoured),
	TEST_CASE(impossible_message_size_ends_the_connection),
	TEST_CASE(bad_header_flags_are_refused),
	TEST_CASE(first_message_with_descriptors_ends_the_connection),
	TEST_CASE(wrong_order_is_refused),
	TEST_CASE(bad_version_is_refused),
	TEST_CASE(json_garbage_is_refused),
	TEST_CASE(version_without_json_is_accepted),
	TEST_CASE(unknown_capabilities_are_not_taken_up),
	TEST_CASE(pipelined_requests_are_answered_in_order),
	TEST_CASE(message_byte_by_byte_is_understood),
	TEST_CASE(descriptor_after_the_first_byte_is_refused),
	TEST_CASE(hang_up_inside_a_message_is_counted),
};
TEST_SUITE(vfio_user_conf_wire, cases);
