/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A small device behind a vfio-user server, for test_vfio_user*.c. It records what it is told. A
 * raw client writes bytes to the socket and steps the server in the same thread.
 *
 *   region 0  16 KiB in a memfd, pages 1 and 2 mappable
 *   region 1  2 MiB, reads as a pattern
 *   region 2  4 KiB, two kick ranges, write only
 *   region 7  256 B, read only, reads as 0xc7
 *   irqs      20 MSI-X, 1 error
 */
#ifndef TEST_VFIO_USER_FIXTURE_H
#define TEST_VFIO_USER_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <vfio_user_proto.h>
#include <vfio_user_server_priv.h>

#include "test.h"

#define DEV_VECTORS 20u
#define DEV_BAR0 (4 * 4096u)
#define DEV_BAR1 (2 * 1024 * 1024u)

struct device {
	struct vfio_user_server *server;
	char dir[32], path[64];
	int memfd;
	int kick[2];
	unsigned int connected, disconnected, resets, maps, unmaps, writes;
	char why[128];
	uint64_t iova, size, fd_offset; /* of the last map or unmap */
	uint32_t prot;
	uint32_t mapped_word; /* first four bytes of the last map */
	bool had_fd;
	int answer; /* of connected, dma_map, region_write */
	bool close_in_write;
	pthread_t thread;
	int stop_fd;
};

static inline int
dev_connected(void *ctx)
{
	struct device *dev = ctx;

	dev->connected++;
	return dev->answer;
}

static inline void
dev_disconnected(void *ctx, const char *why)
{
	struct device *dev = ctx;

	dev->disconnected++;
	snprintf(dev->why, sizeof(dev->why), "%s", why);
}

static inline int
dev_region_fd(void *ctx, unsigned int region)
{
	return region == 0 ? ((struct device *)ctx)->memfd : -1;
}

static inline int
dev_kick_fd(void *ctx, unsigned int region, unsigned int i)
{
	return region == 2 ? ((struct device *)ctx)->kick[i] : -1;
}

static inline uint8_t
dev_pattern(uint64_t offset)
{
	return (uint8_t)(offset ^ (offset >> 8) ^ (offset >> 16));
}

static inline int
dev_read(void *ctx, unsigned int region, uint64_t offset, void *buf, uint32_t count)
{
	struct device *dev = ctx;

	if (region == 0)
		return pread(dev->memfd, buf, count, (off_t)offset) == (ssize_t)count ? 0 : -EIO;
	for (uint32_t i = 0; i < count; i++)
		((uint8_t *)buf)[i] = region == 1 ? dev_pattern(offset + i) : 0xc7;
	return 0;
}

static inline int
dev_write(void *ctx, unsigned int region, uint64_t offset, const void *buf, uint32_t count)
{
	struct device *dev = ctx;

	dev->writes++;
	if (dev->close_in_write)
		vfio_user_conn_close(dev->server, "told to");
	if (dev->answer < 0)
		return dev->answer;
	if (region == 0)
		return pwrite(dev->memfd, buf, count, (off_t)offset) == (ssize_t)count ? 0 : -EIO;
	return 0;
}

static inline int
dev_dma_map(void *ctx, uint64_t iova, uint64_t size, uint32_t prot, int fd, uint64_t fd_offset)
{
	struct device *dev = ctx;

	dev->maps++;
	dev->iova = iova;
	dev->size = size;
	dev->prot = prot;
	dev->fd_offset = fd_offset;
	dev->had_fd = fd >= 0;
	dev->mapped_word = 0;
	if (fd >= 0) {
		if (pread(fd, &dev->mapped_word, 4, (off_t)fd_offset) != 4)
			dev->mapped_word = 0;
		close(fd);
	}
	return dev->answer;
}

static inline int
dev_dma_unmap(void *ctx, uint64_t iova, uint64_t size)
{
	struct device *dev = ctx;

	dev->unmaps++;
	dev->iova = iova;
	dev->size = size;
	return 0;
}

static inline void
dev_reset(void *ctx)
{
	((struct device *)ctx)->resets++;
}

static inline void
dev_conf(struct device *dev, struct vfio_user_server_conf *conf)
{
	static const struct vfio_user_server_ops ops = {
		.connected = dev_connected, .disconnected = dev_disconnected,
		.region_fd = dev_region_fd, .kick_fd = dev_kick_fd,
		.region_read = dev_read, .region_write = dev_write,
		.dma_map = dev_dma_map, .dma_unmap = dev_dma_unmap, .reset = dev_reset,
	};

	memset(conf, 0, sizeof(*conf));
	conf->path = dev->path;
	conf->mode = 0600;
	conf->ops = &ops;
	conf->ctx = dev;
	conf->info.region[0] = (struct vfio_user_region){ .size = DEV_BAR0, .read = true,
		.write = true, .nb_areas = 1, .area = { { 4096, 8192 } } };
	conf->info.region[1] = (struct vfio_user_region){ .size = DEV_BAR1, .read = true,
		.write = true };
	conf->info.region[2] = (struct vfio_user_region){ .size = 4096, .write = true,
		.nb_kicks = 2, .kick = { { 0, 4 }, { 2048, 2048 } } };
	conf->info.region[7] = (struct vfio_user_region){ .size = 256, .read = true };
	conf->info.irq_count[VFIO_PCI_MSIX_IRQ_INDEX] = DEV_VECTORS;
	conf->info.irq_count[VFIO_PCI_ERR_IRQ_INDEX] = 1;
}

/* 0, or TEST_FAILED. */
static inline int
dev_start(struct device *dev)
{
	struct vfio_user_server_conf conf;

	memset(dev, 0, sizeof(*dev));
	dev->stop_fd = -1;
	strcpy(dev->dir, "/tmp/test-vfio-user-XXXXXX");
	TEST_TRUE(mkdtemp(dev->dir) != NULL);
	snprintf(dev->path, sizeof(dev->path), "%s/dev.sock", dev->dir);
	dev->memfd = memfd_create("bar0", MFD_CLOEXEC);
	TEST_EQ(ftruncate(dev->memfd, DEV_BAR0), 0);
	dev->kick[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dev->kick[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dev_conf(dev, &conf);
	TEST_EQ(vfio_user_server_create(&conf, &dev->server), 0);
	return 0;
}

#define DEV_CLOSE_MS 1000 /* for what takes no time, and a thread to be scheduled */

/* Run what is ready, up to wait_ms without news. Also what is so when something has been closed. */
static inline void
dev_step(struct device *dev, int wait_ms)
{
	for (;;) {
		bool closing = dev->server->closing || vfio_user_server_closing(dev->server);
		struct pollfd pfd[3] = {
			{ .fd = vfio_user_server_fd(dev->server), .events = POLLIN },
			{ .fd = vfio_user_conn_fd(dev->server), .events = POLLIN },
			{ .fd = dev->stop_fd, .events = POLLIN },
		};

		if (poll(pfd, 3, wait_ms == 0 && closing ? DEV_CLOSE_MS : wait_ms) <= 0 ||
		    pfd[2].revents != 0)
			return;
		if (pfd[1].revents != 0)
			vfio_user_conn_process(dev->server);
		if (pfd[0].revents != 0)
			vfio_user_server_accept(dev->server);
	}
}

static inline void *
dev_thread(void *arg)
{
	dev_step(arg, -1);
	return NULL;
}

static inline int
dev_run(struct device *dev)
{
	dev->stop_fd = eventfd(0, EFD_CLOEXEC);
	TEST_EQ(pthread_create(&dev->thread, NULL, dev_thread, dev), 0);
	return 0;
}

static inline void
dev_pause(struct device *dev)
{
	if (dev->stop_fd < 0)
		return;
	eventfd_write(dev->stop_fd, 1);
	pthread_join(dev->thread, NULL);
	close(dev->stop_fd);
	dev->stop_fd = -1;
}

static inline void
dev_stop(struct device *dev)
{
	dev_pause(dev);
	vfio_user_server_destroy(dev->server);
	close(dev->memfd);
	close(dev->kick[0]);
	close(dev->kick[1]);
	unlink(dev->path);
	rmdir(dev->dir);
}

static inline struct vfio_user_server_stats
dev_stats(const struct device *dev)
{
	struct vfio_user_server_stats stats;

	vfio_user_server_stats(dev->server, &stats);
	return stats;
}

static inline int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

/* Raw client: connect; the server has not run yet. */
static inline int
raw_connect(const struct device *dev)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, dev->path, strlen(dev->path));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* 0 or a negative errno. flags: beside MSG_NOSIGNAL. */
static inline int
raw_send_flags(int sock, const void *data, size_t len, const int *fds, unsigned int nb_fds, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 64)];
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
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nb_fds);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

static inline void
raw_send_fds(int sock, const void *data, size_t len, const int *fds, unsigned int nb_fds)
{
	int rc = raw_send_flags(sock, data, len, fds, nb_fds, 0);

	if (rc < 0)
		printf("# raw send: %s\n", strerror(-rc));
}

static inline void
raw_request(int sock, uint16_t cmd, const void *body, uint32_t len, const int *fds,
	    unsigned int nb_fds)
{
	uint8_t buf[16 + 8192];
	struct vfio_user_hdr hdr = { .id = 0x5a5a, .cmd = cmd, .size = 16 + len };

	memcpy(buf, &hdr, sizeof(hdr));
	if (len > 0)
		memcpy(buf + sizeof(hdr), body, len);
	raw_send_fds(sock, buf, sizeof(hdr) + len, fds, nb_fds);
}

/* Take one reply that is there already. Bytes of its body, or -1: none. */
static inline int
raw_reply(int sock, struct vfio_user_hdr *hdr, void *body, uint32_t room)
{
	ssize_t n = recv(sock, hdr, sizeof(*hdr), MSG_DONTWAIT);

	if (n != (ssize_t)sizeof(*hdr) || hdr->size < 16 || hdr->size - 16 > room)
		return -1;
	if (hdr->size == 16)
		return 0;
	n = recv(sock, body, hdr->size - 16, MSG_DONTWAIT);
	return n == (ssize_t)hdr->size - 16 ? (int)n : -1;
}

static inline void
raw_send_version(int sock)
{
	static const char json[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":16}}";

	raw_request(sock, VFIO_USER_VERSION, json, sizeof(json), NULL, 0);
}

/* Connect, negotiate, have the reply out of the way. -1 on failure. */
static inline int
raw_attach(struct device *dev)
{
	int sock = raw_connect(dev);
	struct vfio_user_hdr hdr;
	uint8_t body[256];

	if (sock < 0)
		return -1;
	raw_send_version(sock);
	dev_step(dev, 0);
	if (raw_reply(sock, &hdr, body, sizeof(body)) > 0 && hdr.flags == VFIO_USER_F_REPLY)
		return sock;
	close(sock);
	return -1;
}

#endif /* TEST_VFIO_USER_FIXTURE_H */
