/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Client of vfio-user: connection, version, and the commands whose replies are simple. Called by
 * the driver's control path, one thread at a time. Descriptors passed in stay the caller's.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vfio_user_client_priv.h"

#define VERSION_REPLY_MAX 4096u
#define CONNECT_RETRY_MS 5

static const char our_caps[] =
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,\"pgsizes\":4096}}";

/* The server's max_msg_fds, the one capability that we depend on; 1 if it states none. */
static uint32_t
parse_max_fds(const char *json)
{
	static const char key[] = "\"max_msg_fds\"";
	const char *p = strstr(json, key);
	unsigned long n;

	if (p == NULL)
		return 1;
	p += strlen(key);
	p += strspn(p, " \t\r\n:");
	n = strtoul(p, NULL, 10);
	if (n == 0)
		return 1;
	return n < VFIO_USER_MAX_FDS ? (uint32_t)n : VFIO_USER_MAX_FDS;
}

static int
check_version_reply(struct vfio_user_client *client)
{
	const struct vfio_user_rx *rx = &client->rx;
	uint32_t len = vfio_user_rx_body_len(rx) - (uint32_t)sizeof(struct vfio_user_version);
	const char *json = (const char *)rx->body + sizeof(struct vfio_user_version);
	struct vfio_user_version version;

	memcpy(&version, rx->body, sizeof(version));
	if (version.major != VFIO_USER_MAJOR || version.minor > VFIO_USER_MINOR)
		return -EPROTO;
	client->max_fds = 1;
	if (len == 0)
		return 0;
	if (json[0] != '{' || json[len - 1] != '\0' || memchr(json, '\0', len - 1) != NULL)
		return -EPROTO;
	client->max_fds = parse_max_fds(json);
	return 0;
}

static int
negotiate(struct vfio_user_client *client)
{
	const struct vfio_user_version version = { VFIO_USER_MAJOR, VFIO_USER_MINOR };
	const struct vfio_user_call call = {
		.cmd = VFIO_USER_VERSION,
		.body = &version, .body_len = sizeof(version),
		.data = our_caps, .data_len = sizeof(our_caps),
		.min_reply = sizeof(version), .max_reply = VERSION_REPLY_MAX,
	};
	int rc = vfio_user_call(client, &call);

	if (rc < 0)
		return rc == -ENOTSUP || rc == -EINVAL ? -EPROTO : rc;
	rc = check_version_reply(client);
	vfio_user_call_end(client);
	return rc;
}

static int
connect_socket(const char *path, unsigned int timeout_ms)
{
	uint64_t deadline_ms = vfio_user_now_ms() + timeout_ms;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		rc = -errno;
		/* EAGAIN: the backlog is full, and poll() does not tell when it no longer is. */
		if (rc == -EAGAIN && vfio_user_now_ms() >= deadline_ms)
			rc = -ETIMEDOUT;
		if (rc != -EAGAIN && rc != -EINTR) {
			close(fd);
			return rc;
		}
		poll(NULL, 0, CONNECT_RETRY_MS);
	}
	return fd;
}

int
vfio_user_client_connect(const char *path, unsigned int timeout_ms, struct vfio_user_client **out)
{
	struct vfio_user_client *client = calloc(1, sizeof(*client));
	int rc;

	if (client == NULL)
		return -ENOMEM;
	client->timeout_ms = timeout_ms;
	for (unsigned int i = 0; i < VFIO_USER_CLIENT_REGIONS; i++)
		client->region_fd[i] = -1;
	vfio_user_rx_init(&client->rx, 0, VFIO_USER_MAX_FDS, NULL);
	client->fd = connect_socket(path, timeout_ms);
	if (client->fd < 0) {
		rc = client->fd;
		free(client);
		return rc;
	}
	rc = negotiate(client);
	if (rc < 0) {
		vfio_user_client_close(client);
		return rc;
	}
	*out = client;
	return 0;
}

void
vfio_user_client_close(struct vfio_user_client *client)
{
	if (client == NULL)
		return;
	for (unsigned int i = 0; i < VFIO_USER_CLIENT_REGIONS; i++)
		if (client->region_fd[i] >= 0)
			close(client->region_fd[i]);
	vfio_user_rx_reset(&client->rx);
	close(client->fd);
	free(client);
}

int
vfio_user_client_fd(const struct vfio_user_client *client)
{
	return client->fd;
}

/* A call whose request and reply are both a struct at body: the reply replaces the request. */
static int
call_struct(struct vfio_user_client *client, uint16_t cmd, void *body, uint32_t len,
	    uint32_t reply_len)
{
	const struct vfio_user_call call = {
		.cmd = cmd, .body = body, .body_len = len,
		.min_reply = reply_len, .max_reply = reply_len,
	};
	int rc = vfio_user_call(client, &call);

	if (rc < 0)
		return rc;
	if (reply_len > 0)
		memcpy(body, client->rx.body, reply_len);
	vfio_user_call_end(client);
	return 0;
}

int
vfio_user_client_device_info(struct vfio_user_client *client, uint32_t *flags,
			     uint32_t *nb_regions, uint32_t *nb_irqs)
{
	struct vfio_user_device info = { .argsz = sizeof(info) };
	int rc;

	rc = call_struct(client, VFIO_USER_DEVICE_GET_INFO, &info, sizeof(info), sizeof(info));
	if (rc < 0)
		return rc;
	*flags = info.flags;
	*nb_regions = info.nb_regions;
	*nb_irqs = info.nb_irqs;
	return 0;
}

int
vfio_user_client_irq_count(struct vfio_user_client *client, unsigned int index, uint32_t *count)
{
	struct vfio_user_irq_info info = { .argsz = sizeof(info), .index = index };
	int rc;

	rc = call_struct(client, VFIO_USER_DEVICE_GET_IRQ_INFO, &info, sizeof(info), sizeof(info));
	if (rc < 0)
		return rc;
	if (info.index != index)
		return vfio_user_client_fail(client, -EPROTO);
	*count = info.count;
	return 0;
}

/* The server repeats what it did; anything else is another access than ours. */
static bool
same_access(const struct vfio_user_client *client, const struct vfio_user_region_rw *rw)
{
	return memcmp(client->rx.body, rw, sizeof(*rw)) == 0;
}

int
vfio_user_client_read(struct vfio_user_client *client, unsigned int region, uint64_t offset,
		      void *buf, uint32_t count)
{
	struct vfio_user_region_rw rw = { .offset = offset, .region = region, .count = count };
	struct vfio_user_call call = {
		.cmd = VFIO_USER_REGION_READ, .body = &rw, .body_len = sizeof(rw),
	};
	int rc;

	if (count == 0 || count > VFIO_USER_MAX_XFER)
		return -EINVAL;
	call.min_reply = call.max_reply = (uint32_t)sizeof(rw) + count;
	rc = vfio_user_call(client, &call);
	if (rc < 0)
		return rc;
	if (same_access(client, &rw))
		memcpy(buf, client->rx.body + sizeof(rw), count);
	else
		rc = vfio_user_client_fail(client, -EPROTO);
	vfio_user_call_end(client);
	return rc;
}

int
vfio_user_client_write(struct vfio_user_client *client, unsigned int region, uint64_t offset,
		       const void *buf, uint32_t count)
{
	const struct vfio_user_region_rw rw = { .offset = offset, .region = region,
						.count = count };
	const struct vfio_user_call call = {
		.cmd = VFIO_USER_REGION_WRITE,
		.body = &rw, .body_len = sizeof(rw), .data = buf, .data_len = count,
		.min_reply = sizeof(rw), .max_reply = sizeof(rw),
	};
	int rc;

	if (count == 0 || count > VFIO_USER_MAX_XFER)
		return -EINVAL;
	rc = vfio_user_call(client, &call);
	if (rc < 0)
		return rc;
	if (!same_access(client, &rw))
		rc = vfio_user_client_fail(client, -EPROTO);
	vfio_user_call_end(client);
	return rc;
}

int
vfio_user_client_dma_map(struct vfio_user_client *client, uint64_t iova, uint64_t size,
			 uint32_t prot, int fd, uint64_t fd_offset)
{
	const struct vfio_user_dma_map map = { .argsz = sizeof(map), .flags = prot,
					       .offset = fd_offset, .iova = iova, .size = size };
	const struct vfio_user_call call = {
		.cmd = VFIO_USER_DMA_MAP, .body = &map, .body_len = sizeof(map),
		.fds = &fd, .nb_fds = fd >= 0 ? 1 : 0,
	};
	int rc = vfio_user_call(client, &call);

	if (rc == 0)
		vfio_user_call_end(client);
	return rc;
}

int
vfio_user_client_dma_unmap(struct vfio_user_client *client, uint64_t iova, uint64_t size)
{
	struct vfio_user_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = size };

	return call_struct(client, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), sizeof(unmap));
}

/* One message for vectors that all have an eventfd, or all have none. */
static int
set_irq_run(struct vfio_user_client *client, uint32_t start, uint32_t count, const int *fds)
{
	const struct vfio_user_irq_set set = {
		.argsz = sizeof(set), .index = VFIO_PCI_MSIX_IRQ_INDEX,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.start = start, .count = count,
	};
	const struct vfio_user_call call = {
		.cmd = VFIO_USER_DEVICE_SET_IRQS, .body = &set, .body_len = sizeof(set),
		.fds = fds, .nb_fds = fds[0] >= 0 ? count : 0,
	};
	int rc = vfio_user_call(client, &call);

	if (rc == 0)
		vfio_user_call_end(client);
	return rc;
}

int
vfio_user_client_set_irqs(struct vfio_user_client *client, uint32_t start, uint32_t count,
			  const int *fds)
{
	uint32_t i, n;
	int rc;

	if (start > UINT32_MAX - count)
		return -EINVAL;
	for (i = 0; i < count; i += n) {
		for (n = 1; n < client->max_fds && i + n < count; n++)
			if ((fds[i + n] >= 0) != (fds[i] >= 0))
				break;
		rc = set_irq_run(client, start + i, n, &fds[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
vfio_user_client_reset(struct vfio_user_client *client)
{
	return call_struct(client, VFIO_USER_DEVICE_RESET, NULL, 0, 0);
}
