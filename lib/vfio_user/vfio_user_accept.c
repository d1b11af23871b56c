/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * From accept to attached: connections wait here for their VERSION, a few of them and not for long,
 * so that a silent one keeps nobody out. The first valid VERSION gets the device, later ones EBUSY.
 * On the owner's thread, from vfio_user_server_accept().
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vfio_user_server_priv.h"

#define ACCEPT_BURST 16 /* connections per call; epoll calls again */
#define ACCEPT_PAUSE_MS 100
#define CLOSING_LONG_MS 100
#define VERSION_MAX (sizeof(struct vfio_user_hdr) + VFIO_USER_INLINE_BODY)

/* Out of the table, not closed. */
static struct vfio_user_conn *
waiting_take(struct vfio_user_server *server, unsigned int i)
{
	struct vfio_user_conn *conn = server->waiting[i];

	server->nb_waiting--;
	memmove(&server->waiting[i], &server->waiting[i + 1],
		(server->nb_waiting - i) * sizeof(server->waiting[0]));
	epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
	return conn;
}

void
vfio_user_waiting_close(struct vfio_user_server *server)
{
	while (server->nb_waiting > 0)
		vfio_user_conn_free(waiting_take(server, 0));
}

int
vfio_user_server_adopt(struct vfio_user_server *server, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct vfio_user_conn *conn = NULL;
	const int on = 1;
	int rc = 0;

	/* Else a look passes over a byte that is out of band, but a read takes it away and closes what
	 * came with it; and poll() tells of it for ever. */
	if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) < 0)
		rc = -errno;
	else
		conn = vfio_user_conn_new(server, fd, VERSION_MAX);
	if (conn == NULL) {
		vfio_user_closer_put_socket(server->closer, fd);
		return rc < 0 ? rc : -ENOMEM;
	}
	if (server->nb_waiting == VFIO_USER_MAX_WAITING) { /* the oldest had its chance */
		server->stats.refused_busy++;
		vfio_user_conn_free(waiting_take(server, 0));
	}
	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		rc = -errno;
		vfio_user_conn_free(conn);
		return rc;
	}
	server->waiting[server->nb_waiting++] = conn;
	server->stats.connections++;
	return 0;
}

/* The client that is attached may be dead already, its end only not noticed yet. */
static void
drop_if_dead(struct vfio_user_server *server)
{
	struct pollfd pfd = { .fd = server->conn == NULL ? -1 : server->conn->fd, .events = 0 };

	if (server->conn != NULL && poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP) != 0)
		vfio_user_conn_drop(server, "client hung up");
}

static int
call_connected(struct vfio_user_server *server)
{
	int rc;

	server->in_callback = true;
	rc = server->ops.connected(server->ctx);
	server->in_callback = false;
	return server->close_pending && rc == 0 ? -ECONNABORTED : rc;
}

static int
send_version(struct vfio_user_server *server, struct vfio_user_conn *conn,
	     const struct vfio_user_hdr *request)
{
	const struct vfio_user_version version = { VFIO_USER_MAJOR, VFIO_USER_MINOR };
	uint32_t json_len = (uint32_t)strlen(vfio_user_caps_reply) + 1;
	struct vfio_user_reply reply = { 0 };
	uint8_t *data = vfio_user_reply_room(&reply, (uint32_t)sizeof(version) + json_len);

	memcpy(data, &version, sizeof(version));
	memcpy(data + sizeof(version), vfio_user_caps_reply, json_len);
	return vfio_user_send_reply(server, conn, request, &reply);
}

/* conn said a good VERSION and nobody is attached: make it the client. Owns conn. */
static void
attach(struct vfio_user_server *server, struct vfio_user_conn *conn)
{
	struct vfio_user_hdr request = conn->rx.hdr;
	int rc;

	vfio_user_rx_reset(&conn->rx);
	conn->rx.max_size = VFIO_USER_MAX_MSG;
	conn->rx.max_fds = VFIO_USER_MAX_FDS;
	server->close_pending = false;
	rc = vfio_user_irq_clear_all(server);
	if (rc == 0) {
		vfio_user_irq_clear_latches(server);
		server->conn = conn;
		rc = call_connected(server);
	}
	if (rc < 0) {
		server->conn = NULL;
		vfio_user_send_error(server, conn, &request, rc);
		vfio_user_conn_free(conn);
		return;
	}
	if (send_version(server, conn, &request) < 0)
		vfio_user_conn_drop(server, "client did not take its VERSION reply");
}

/* What the first message of a connection deserves: 0 for the device, or a negative errno. */
static int
judge(struct vfio_user_server *server, struct vfio_user_conn *conn)
{
	const struct vfio_user_rx *rx = &conn->rx;
	int rc = vfio_user_check_request(server, rx);

	if (rc < 0)
		return rc;
	if (rx->hdr.cmd != VFIO_USER_VERSION)
		return vfio_user_refuse(&server->stats.bad_order, -EINVAL);
	if (rx->bad_fds || rx->fds.n > 0)
		return vfio_user_refuse(&server->stats.bad_fds, -EINVAL);
	rc = vfio_user_caps_check(server, conn);
	if (rc < 0)
		return rc;
	drop_if_dead(server);
	if (server->conn != NULL)
		return vfio_user_refuse(&server->stats.refused_busy, -EBUSY);
	return 0;
}

/* Look at waiting connection i. True if it left the table. */
static bool
waiting_step(struct vfio_user_server *server, unsigned int i)
{
	struct vfio_user_conn *conn = server->waiting[i];
	char why[VFIO_USER_WHY_LEN];
	int rc = vfio_user_rx_step(conn->fd, &conn->rx);

	if (rc == 0 && vfio_user_now_ms() < conn->deadline_ms)
		return false;
	waiting_take(server, i);
	if (rc == 1) {
		server->stats.messages++;
		rc = judge(server, conn);
		if (rc == 0) {
			attach(server, conn);
			return true;
		}
		vfio_user_send_error(server, conn, &conn->rx.hdr, rc);
	} else if (rc < 0) {
		vfio_user_rx_failed(server, conn, rc, why);
	}
	vfio_user_conn_free(conn);
	return true;
}

/* Out of descriptors or memory: an owner that polls us would spin. Look again a little later. */
static void
pause_accept(struct vfio_user_server *server, bool pause)
{
	struct epoll_event ev = { .events = pause ? 0 : EPOLLIN };

	if (server->accept_paused == pause)
		return;
	epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, server->listen_fd, &ev);
	server->accept_paused = pause;
}

/* Nobody is served while something is being closed that a client sent or was: true. What waits is not
 * polled then, else an owner that polls us would spin. */
static bool
is_closing(struct vfio_user_server *server)
{
	bool busy = vfio_user_server_closing(server);
	struct epoll_event ev = { .events = EPOLLIN };

	if (busy && server->closing_ms == 0)
		server->closing_ms = vfio_user_now_ms();
	if (busy != server->closing)
		for (unsigned int i = 0; i < server->nb_waiting; i++)
			epoll_ctl(server->epoll_fd, busy ? EPOLL_CTL_DEL : EPOLL_CTL_ADD,
				  server->waiting[i]->fd, &ev);
	if (busy)
		pause_accept(server, true);
	else
		server->closing_ms = 0;
	server->closing = busy;
	server->closing_long &= busy;
	return busy;
}

/* Soon at first: mostly it takes some us. */
static uint64_t
closing_deadline(struct vfio_user_server *server)
{
	uint64_t now = vfio_user_now_ms(), for_ms;

	if (server->closing_ms == 0)
		server->closing_ms = now;
	for_ms = now - server->closing_ms;
	if (for_ms >= CLOSING_LONG_MS && !server->closing_long) {
		server->closing_long = true;
		server->stats.closed_late++;
	}
	return now + 1 + (for_ms < CLOSING_LONG_MS ? for_ms : CLOSING_LONG_MS);
}

static uint64_t
earlier(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms == 0 || b_ms < a_ms ? b_ms : a_ms;
}

/* The oldest of the waiting, the end of the pause, or a reply that waits. */
void
vfio_user_arm_timer(struct vfio_user_server *server)
{
	struct itimerspec its = { 0 };
	uint64_t expirations, deadline_ms = 0;

	if (server->nb_waiting > 0)
		deadline_ms = server->waiting[0]->deadline_ms + 1;
	if (server->accept_paused)
		deadline_ms = earlier(deadline_ms, vfio_user_now_ms() + ACCEPT_PAUSE_MS);
	if (server->conn != NULL && server->conn->tx.data != NULL)
		deadline_ms = earlier(deadline_ms, server->conn->tx.deadline_ms + 1);
	if (vfio_user_server_closing(server))
		deadline_ms = closing_deadline(server);
	its.it_value.tv_sec = (time_t)(deadline_ms / 1000);
	its.it_value.tv_nsec = (long)(deadline_ms % 1000) * 1000000;
	/* Empty it first: an old expiry would keep the descriptor readable. */
	if (read(server->timer_fd, &expirations, sizeof(expirations)) < 0)
		expirations = 0;
	timerfd_settime(server->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

int
vfio_user_server_accept(struct vfio_user_server *server)
{
	int fd, rc = 0;

	vfio_user_conn_flush(server);
	if (is_closing(server)) {
		vfio_user_arm_timer(server);
		return 0;
	}
	for (unsigned int n = 0; n < ACCEPT_BURST && rc == 0; n++) {
		fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			rc = vfio_user_server_adopt(server, fd);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno != EINTR && errno != ECONNABORTED)
			rc = -errno;
	}
	pause_accept(server, rc < 0);
	for (unsigned int i = 0; i < server->nb_waiting;)
		if (!waiting_step(server, i))
			i++;
	vfio_user_arm_timer(server);
	return rc;
}
