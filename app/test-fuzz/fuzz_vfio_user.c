/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * libFuzzer program for the vfio-user server: a hostile client on a socket pair.
 *
 * Input: one byte (bit 0: begin with a good VERSION), then records of u8 control, u8 length, bytes.
 * control: bit 7: let the server run now. bit 6: the bytes are not sent as they are, the first
 * picks a valid message and the others, in pairs of offset and value, are xored into its body.
 * bit 5: descriptors are one end of a pipe, not eventfds. 4:0: how many, xored with what the
 * valid message needs. Afterwards nobody may be attached and no descriptor be left.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "vfio_user_server_priv.h"

#define BAR_SIZE 16384u
#define VECTORS 8u
#define MAX_SENT_FDS 20u

int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct vfio_user_server *server;
static char dir[] = "/tmp/fuzz-vfio-user-XXXXXX", path[64];
static int bar_fd, kick_fd, event_fd, pipe_fd;
static uint64_t touched; /* so that what the server hands over is really read */

static int
fuzz_connected(void *ctx)
{
	(void)ctx;
	return 0;
}

static void
fuzz_disconnected(void *ctx, const char *why)
{
	(void)ctx;
	touched += strlen(why);
}

static int
fuzz_fd(void *ctx, unsigned int region)
{
	(void)ctx;
	return region == 0 ? bar_fd : -1;
}

static int
fuzz_kick_fd(void *ctx, unsigned int region, unsigned int i)
{
	(void)ctx;
	CHECK(region == 2 && i < 2);
	return kick_fd;
}

static int
fuzz_read(void *ctx, unsigned int region, uint64_t offset, void *buf, uint32_t count)
{
	(void)ctx;
	CHECK(region < VFIO_USER_MAX_REGIONS && count > 0 && offset + count <= BAR_SIZE);
	memset(buf, 0xab, count);
	return 0;
}

static int
fuzz_write(void *ctx, unsigned int region, uint64_t offset, const void *buf, uint32_t count)
{
	(void)ctx;
	CHECK(region < VFIO_USER_MAX_REGIONS && count > 0 && offset + count <= BAR_SIZE);
	for (uint32_t i = 0; i < count; i++)
		touched += ((const uint8_t *)buf)[i];
	if (((const uint8_t *)buf)[0] == 0xcc)
		vfio_user_conn_close(server, "written");
	return ((const uint8_t *)buf)[0] == 0xee ? -EIO : 0;
}

static int
fuzz_map(void *ctx, uint64_t iova, uint64_t size, uint32_t prot, int fd, uint64_t fd_offset)
{
	(void)ctx;
	CHECK(size > 0 && iova + size > iova && prot <= 3 && (fd < 0 || fd_offset % 4096 == 0));
	if (fd >= 0)
		close(fd);
	return iova == 0 ? -EEXIST : 0;
}

static int
fuzz_unmap(void *ctx, uint64_t iova, uint64_t size)
{
	(void)ctx;
	CHECK(size > 0 && iova + size > iova);
	return 0;
}

static void
fuzz_reset(void *ctx)
{
	(void)ctx;
	touched++;
}

static void
fuzz_end(void)
{
	vfio_user_server_destroy(server);
	rmdir(dir);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct vfio_user_server_ops ops = {
		fuzz_connected, fuzz_disconnected, fuzz_fd, fuzz_kick_fd, fuzz_read,
		fuzz_write, fuzz_map, fuzz_unmap, fuzz_reset,
	};
	struct vfio_user_server_conf conf = { .path = path, .mode = 0600, .ops = &ops };
	int fds[2];

	(void)argc;
	(void)argv;
	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/sock", dir);
	conf.info.region[0] = (struct vfio_user_region){ .size = BAR_SIZE, .read = true,
		.write = true, .nb_areas = 2, .area = { { 4096, 4096 }, { 12288, 4096 } } };
	conf.info.region[2] = (struct vfio_user_region){ .size = 4096, .write = true,
		.nb_kicks = 2, .kick = { { 0, 4 }, { 64, 64 } } };
	conf.info.region[7] = (struct vfio_user_region){ .size = 4096, .read = true,
		.write = true };
	conf.info.irq_count[VFIO_USER_MSIX] = VECTORS;
	conf.info.irq_count[3] = 1;
	bar_fd = memfd_create("bar", MFD_CLOEXEC);
	kick_fd = eventfd(0, EFD_NONBLOCK);
	event_fd = eventfd(0, EFD_NONBLOCK);
	CHECK(bar_fd >= 0 && kick_fd >= 0 && event_fd >= 0 && pipe(fds) == 0);
	pipe_fd = fds[1];
	CHECK(vfio_user_server_create(&conf, &server) == 0);
	atexit(fuzz_end);
	return 0;
}

/* Read replies so that the server never waits for us; descriptors that come along are closed. */
static void
drain(int sock)
{
	static uint8_t buf[65536];
	char control[CMSG_SPACE(sizeof(int) * VFIO_USER_MAX_FDS)];
	struct iovec iov = { buf, sizeof(buf) };

	for (;;) {
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				      .msg_controllen = sizeof(control) };
		int fds[VFIO_USER_MAX_FDS];
		size_t n;

		if (recvmsg(sock, &msg, MSG_DONTWAIT) <= 0)
			return;
		if (msg.msg_controllen == 0)
			continue;
		n = (CMSG_FIRSTHDR(&msg)->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), n * sizeof(int));
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
	}
}

/* Pipes, and connections with something unread, are closed by a thread. */
static void
let_close(void)
{
	while (vfio_user_closer_busy(server->closer))
		sched_yield();
	if (server->closing)
		vfio_user_server_accept(server);
}

/* What the owner's loop would do, until nothing happens any more. */
static void
run_server(int sock)
{
	uint64_t messages;

	vfio_user_server_accept(server);
	do {
		let_close();
		messages = server->stats.messages;
		if (vfio_user_conn_process(server) < 0)
			break;
		drain(sock);
	} while (server->stats.messages != messages);
	vfio_user_irq_fire(server, (unsigned int)(messages % (VECTORS + 1)));
	drain(sock);
}

static void
send_bytes(int sock, const void *data, size_t len, int fd, unsigned int nb_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MAX_SENT_FDS)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nb_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nb_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nb_fds);
		for (unsigned int i = 0; i < nb_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	/* A server that hung up is fine. */
	if (sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		touched++;
}

static void
send_version(int sock)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":16}}";
	struct {
		struct vfio_user_hdr hdr;
		struct vfio_user_version version;
		char json[sizeof(json)];
	} msg = { .hdr = { 1, VFIO_USER_VERSION, 20 + sizeof(json), 0, 0 } };

	memcpy(msg.json, json, sizeof(json));
	send_bytes(sock, &msg, msg.hdr.size, -1, 0);
}

/* Valid requests to start from, so that the fuzzer need not guess sizes. Words of the body. */
static const struct template {
	uint16_t cmd;
	uint16_t len;
	unsigned int nb_fds;
	uint32_t body[8];
} templates[] = {
	{ VFIO_USER_DMA_MAP, 32, 1, { 32, 3, 4096, 0, 0x10000, 0, 0x2000, 0 } },
	{ VFIO_USER_DMA_MAP, 32, 0, { 32, 1, 0, 0, 0x90000, 0, 0x1000, 0 } },
	{ VFIO_USER_DMA_UNMAP, 24, 0, { 24, 0, 0x10000, 0, 0x2000, 0 } },
	{ VFIO_USER_DMA_UNMAP, 24, 0, { 24, 2, 0, 0, 0, 0 } },
	{ VFIO_USER_DEVICE_GET_INFO, 16, 0, { 16 } },
	{ VFIO_USER_DEVICE_GET_REGION_INFO, 32, 0, { 32 } },
	{ VFIO_USER_DEVICE_GET_REGION_INFO, 32, 0, { 80 } },
	{ VFIO_USER_DEVICE_GET_REGION_IO_FDS, 16, 0, { 96, 0, 2 } },
	{ VFIO_USER_DEVICE_GET_REGION_IO_FDS, 16, 0, { 16, 0, 2 } },
	{ VFIO_USER_DEVICE_GET_IRQ_INFO, 16, 0, { 16, 0, 2 } },
	{ VFIO_USER_DEVICE_SET_IRQS, 20, 2, { 20, 0x24, 2, 1, 2 } },
	{ VFIO_USER_DEVICE_SET_IRQS, 20, 0, { 20, 0x24, 2, 0, 8 } },
	{ VFIO_USER_DEVICE_SET_IRQS, 20, 0, { 20, 0x21, 2, 0, 0 } },
	{ VFIO_USER_DEVICE_SET_IRQS, 20, 0, { 20, 0x21, 2, 1, 4 } },
	{ VFIO_USER_DEVICE_SET_IRQS, 24, 0, { 24, 0x22, 2, 0, 4, 0x01010001 } },
	{ VFIO_USER_DEVICE_SET_IRQS, 20, 1, { 20, 0x24, 3, 0, 1 } },
	{ VFIO_USER_REGION_READ, 16, 0, { 8, 0, 0, 4 } },
	{ VFIO_USER_REGION_READ, 16, 0, { 0, 0, 0, BAR_SIZE } },
	{ VFIO_USER_REGION_WRITE, 20, 0, { 8, 0, 0, 4, 0xcc } },
	{ VFIO_USER_REGION_WRITE, 24, 0, { 0, 0, 7, 8, 0xee, 1 } },
	{ VFIO_USER_DEVICE_RESET, 0, 0, { 0 } },
	{ VFIO_USER_VERSION, 4, 0, { 0 } },
};

/* Build the message that bytes ask for; returns its length. */
static size_t
from_template(uint8_t *msg, const uint8_t *bytes, size_t n, unsigned int *nb_fds)
{
	const size_t nb_templates = sizeof(templates) / sizeof(templates[0]);
	const struct template *t = &templates[bytes[0] % nb_templates];
	struct vfio_user_hdr hdr = { .id = bytes[0], .cmd = t->cmd, .size = 16u + t->len };

	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr), t->body, t->len);
	for (size_t i = 1; i + 1 < n && t->len > 0; i += 2)
		msg[sizeof(hdr) + bytes[i] % t->len] ^= bytes[i + 1];
	*nb_fds ^= t->nb_fds;
	return hdr.size;
}

/* One record at data; returns the bytes that it took. */
static size_t
send_record(int sock, const uint8_t *data, size_t size)
{
	uint8_t control = data[0], msg[256];
	size_t n = data[1] <= size - 2 ? data[1] : size - 2, len = n;
	unsigned int nb_fds = control & 31;

	if ((control & 0x40) != 0 && n > 0)
		len = from_template(msg, data + 2, n, &nb_fds);
	else
		memcpy(msg, data + 2, n);
	if (nb_fds > MAX_SENT_FDS)
		nb_fds = 0;
	if (len > 0)
		send_bytes(sock, msg, len, (control & 0x20) != 0 ? pipe_fd : event_fd, nb_fds);
	if ((control & 0x80) != 0)
		run_server(sock);
	return n + 2;
}

static int
lowest_free_fd(void)
{
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = lowest_free_fd(), sock[2];
	size_t at = 1;

	if (size < 1)
		return 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sock) == 0);
	CHECK(vfio_user_server_adopt(server, sock[1]) == 0);
	if ((data[0] & 1) != 0) {
		send_version(sock[0]);
		run_server(sock[0]);
	}
	while (size - at >= 2)
		at += send_record(sock[0], data + at, size - at);
	run_server(sock[0]);
	close(sock[0]);
	/* Each call takes what one recvmsg() gives, which descriptors cut short. */
	for (size_t i = 0; i <= size && server->nb_waiting > 0; i++) {
		vfio_user_server_accept(server);
		let_close();
	}
	while (vfio_user_conn_process(server) == 0) {
		vfio_user_server_accept(server); /* a reply may wait: it finds the end */
		let_close();
	}
	let_close();
	CHECK(server->conn == NULL && server->nb_waiting == 0);
	CHECK(lowest_free_fd() == before);
	return 0;
}
