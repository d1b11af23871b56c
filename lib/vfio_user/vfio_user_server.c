/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Life of a vfio-user server: checks what the device claims to have, owns the socket file, sets up
 * what the owner polls. Called on the owner's thread; see vfio_user_server.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "vfio_user_server_priv.h"

#define LISTEN_BACKLOG 16

struct vfio_user_conn *
vfio_user_conn_new(struct vfio_user_server *server, int fd, uint32_t max_size)
{
	struct vfio_user_conn *conn = malloc(sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->fd = fd;
	conn->deadline_ms = vfio_user_now_ms() + VFIO_USER_WAITING_MS;
	conn->tx = (struct vfio_user_tx){ .data = NULL };
	vfio_user_rx_init(&conn->rx, max_size, 0, server->closer);
	return conn;
}

void
vfio_user_conn_free(struct vfio_user_conn *conn)
{
	vfio_user_rx_reset(&conn->rx);
	free(conn->tx.data);
	vfio_user_closer_put_socket(conn->rx.closer, conn->fd);
	free(conn);
}

static bool
range_ok(uint64_t offset, uint64_t size, uint64_t limit)
{
	return offset <= limit && size <= limit - offset;
}

static bool
region_ok(const struct vfio_user_region *r, const struct vfio_user_server_ops *ops)
{
	uint64_t end = 0;

	if (r->nb_areas > VFIO_USER_MAX_MMAPS || (r->nb_areas > 0 && ops->region_fd == NULL))
		return false;
	for (unsigned int i = 0; i < r->nb_areas; i++) {
		const struct vfio_user_mmap_area *a = &r->area[i];

		if (a->size == 0 || (a->offset | a->size) % VFIO_USER_PAGE != 0)
			return false;
		if (!range_ok(a->offset, a->size, r->size) || a->offset < end)
			return false;
		end = a->offset + a->size;
	}
	if (r->nb_kicks > VFIO_USER_MAX_KICKS || (r->nb_kicks > 0 && ops->kick_fd == NULL))
		return false;
	for (unsigned int i = 0; i < r->nb_kicks; i++)
		if (r->kick[i].size == 0 || !range_ok(r->kick[i].offset, r->kick[i].size, r->size))
			return false;
	return true;
}

static bool
conf_ok(const struct vfio_user_server_conf *conf)
{
	const struct vfio_user_server_ops *ops = conf->ops;

	if (conf->path == NULL || ops == NULL || ops->connected == NULL ||
	    ops->disconnected == NULL || ops->region_read == NULL || ops->region_write == NULL ||
	    ops->dma_map == NULL || ops->dma_unmap == NULL || ops->reset == NULL)
		return false;
	if (conf->info.irq_count[VFIO_USER_MSIX] > VFIO_USER_MAX_VECTORS)
		return false;
	for (unsigned int i = 0; i < VFIO_USER_MAX_REGIONS; i++)
		if (!region_ok(&conf->info.region[i], ops))
			return false;
	return true;
}

/* Remove a socket file that nobody listens on. -EADDRINUSE, -ENOTSOCK or another errno. */
static int
remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, rc;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: somebody listens and is slow to accept. */
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
	close(fd);
	if (rc == 0 || rc == -EAGAIN)
		return -EADDRINUSE;
	if (rc == -ECONNREFUSED)
		return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
	return rc == -ENOENT ? 0 : rc;
}

/* Permissions are set before listen(): until then nobody can connect. */
static int
open_socket(struct vfio_user_server *server, unsigned int mode)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int rc;

	if (strlen(server->path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, server->path, strlen(server->path));
	rc = remove_stale(&addr);
	if (rc < 0)
		return rc;
	server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listen_fd < 0)
		return -errno;
	if (bind(server->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		rc = -errno;
		goto close_socket;
	}
	if (lstat(server->path, &st) < 0 || chmod(server->path, mode & 0777) < 0 ||
	    listen(server->listen_fd, LISTEN_BACKLOG) < 0) {
		rc = -errno;
		unlink(server->path);
		goto close_socket;
	}
	server->dev = st.st_dev;
	server->ino = st.st_ino;
	return 0;

close_socket:
	close(server->listen_fd);
	return rc;
}

static void
close_socket(struct vfio_user_server *server)
{
	struct stat st;

	vfio_user_closer_put_socket(server->closer, server->listen_fd); /* with who waits there */
	/* Somebody may have put a socket of his own there meanwhile. */
	if (lstat(server->path, &st) == 0 && st.st_dev == server->dev && st.st_ino == server->ino)
		unlink(server->path);
}

static int
open_poll(struct vfio_user_server *server)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int rc;

	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0)
		return -errno;
	server->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (server->timer_fd < 0) {
		rc = -errno;
		goto close_epoll;
	}
	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->listen_fd, &ev) < 0 ||
	    epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->timer_fd, &ev) < 0) {
		rc = -errno;
		goto close_timer;
	}
	return 0;

close_timer:
	close(server->timer_fd);
close_epoll:
	close(server->epoll_fd);
	return rc;
}

int
vfio_user_server_create(const struct vfio_user_server_conf *conf, struct vfio_user_server **out)
{
	struct vfio_user_server *server;
	int rc;

	if (!conf_ok(conf))
		return -EINVAL;
	server = calloc(1, sizeof(*server));
	if (server == NULL)
		return -ENOMEM;
	server->info = conf->info;
	server->ops = *conf->ops;
	server->ctx = conf->ctx;
	rc = -ENOMEM;
	server->path = strdup(conf->path);
	if (server->path == NULL)
		goto free_server;
	server->closer = vfio_user_closer_create(0);
	if (server->closer == NULL)
		goto free_path;
	server->memory_closer = vfio_user_closer_create(VFIO_USER_MAX_MEMORY);
	if (server->memory_closer == NULL)
		goto destroy_closer;
	rc = vfio_user_irq_init(server);
	if (rc < 0)
		goto destroy_memory_closer;
	rc = open_socket(server, conf->mode);
	if (rc < 0)
		goto fini_irq;
	rc = open_poll(server);
	if (rc < 0)
		goto close_socket;
	*out = server;
	return 0;

close_socket:
	close_socket(server);
fini_irq:
	vfio_user_irq_fini(server);
destroy_memory_closer:
	vfio_user_closer_destroy(server->memory_closer);
destroy_closer:
	vfio_user_closer_destroy(server->closer);
free_path:
	free(server->path);
free_server:
	free(server);
	return rc;
}

void
vfio_user_server_destroy(struct vfio_user_server *server)
{
	if (server == NULL)
		return;
	vfio_user_conn_drop(server, "server ends");
	vfio_user_waiting_close(server);
	close(server->timer_fd);
	close(server->epoll_fd);
	close_socket(server);
	vfio_user_irq_fini(server);
	vfio_user_closer_destroy(server->closer);
	vfio_user_closer_destroy(server->memory_closer);
	free(server->path);
	free(server);
}

int
vfio_user_server_fd(const struct vfio_user_server *server)
{
	return server->epoll_fd;
}

int
vfio_user_conn_fd(const struct vfio_user_server *server)
{
	if (server->conn == NULL || server->conn->tx.data != NULL || server->closing ||
	    vfio_user_server_closing(server))
		return -1; /* until vfio_user_server_accept() has seen that it is over */
	return server->conn->fd;
}

void
vfio_user_server_close_memory(struct vfio_user_server *server, int fd)
{
	vfio_user_closer_put(server->memory_closer, fd);
}

void
vfio_user_server_stats(const struct vfio_user_server *server, struct vfio_user_server_stats *stats)
{
	*stats = server->stats;
}
