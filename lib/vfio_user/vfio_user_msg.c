/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * One message of the attached client: receive, check the header, have it handled, reply. Ends the
 * connection when the stream can't be trusted any more. On the owner's thread, which never waits
 * for the client: a reply that it does not read stays here, and its next request unread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "vfio_user_server_priv.h"

int
vfio_user_check_request(struct vfio_user_server *server, const struct vfio_user_rx *rx)
{
	uint32_t flags = rx->hdr.flags;

	/* We send no requests, so a reply is as wrong as an unknown flag. */
	if ((flags & ~VFIO_USER_F_NO_REPLY) != VFIO_USER_F_REQUEST || rx->hdr.error != 0)
		return vfio_user_refuse(&server->stats.bad_header, -EINVAL);
	return 0;
}

/* Never answer a reply: two such servers would talk for ever. */
static bool
wants_reply(const struct vfio_user_hdr *request)
{
	return (request->flags & VFIO_USER_F_NO_REPLY) == 0 &&
	       (request->flags & VFIO_USER_F_TYPE) != VFIO_USER_F_REPLY;
}

/* Copy what is left of iov after sent bytes. */
static int
tx_keep(struct vfio_user_tx *tx, const struct iovec *iov, unsigned int iovcnt, size_t sent)
{
	size_t total = 0, at = 0;

	for (unsigned int i = 0; i < iovcnt; i++)
		total += iov[i].iov_len;
	tx->data = malloc(total);
	if (tx->data == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < iovcnt; i++) {
		memcpy(tx->data + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	tx->len = total;
	tx->sent = sent;
	return 0;
}

static size_t
iov_len(const struct iovec *iov, unsigned int iovcnt)
{
	return iov[0].iov_len + (iovcnt > 1 ? iov[1].iov_len : 0);
}

/* Now if the socket takes it, else later by vfio_user_conn_flush(). */
static int
send_or_keep(struct vfio_user_server *server, struct vfio_user_conn *conn,
	     const struct iovec *iov, unsigned int iovcnt, const int *fds, unsigned int nb_fds)
{
	struct epoll_event ev = { .events = EPOLLOUT };
	ssize_t n;
	int rc;

	if (conn->tx.data != NULL)
		return -EBUSY; /* one is enough: the stream would be torn */
	n = vfio_user_send_some(conn->fd, iov, iovcnt, fds, nb_fds);
	if (n < 0)
		return (int)n;
	if ((size_t)n == iov_len(iov, iovcnt))
		return 0;
	if (conn != server->conn)
		return -EAGAIN; /* a stranger: closed without its answer */
	rc = tx_keep(&conn->tx, iov, iovcnt, (size_t)n);
	if (rc < 0)
		return rc;
	conn->tx.nb_fds = n == 0 ? nb_fds : 0; /* they went with the first byte */
	if (conn->tx.nb_fds > 0)
		memcpy(conn->tx.fd, fds, nb_fds * sizeof(*fds));
	conn->tx.deadline_ms = vfio_user_now_ms() + VFIO_USER_REPLY_MS;
	server->stats.replies_waited++;
	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, conn->fd, &ev) < 0)
		return -errno;
	vfio_user_arm_timer(server);
	return 0;
}

int
vfio_user_send_reply(struct vfio_user_server *server, struct vfio_user_conn *conn,
		     const struct vfio_user_hdr *request, const struct vfio_user_reply *reply)
{
	struct vfio_user_hdr hdr = { .id = request->id, .cmd = request->cmd,
				     .size = sizeof(hdr) + reply->len,
				     .flags = VFIO_USER_F_REPLY };
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { reply->data, reply->len } };

	if (!wants_reply(request))
		return 0;
	return send_or_keep(server, conn, iov, reply->len > 0 ? 2 : 1, reply->fd, reply->nb_fds);
}

int
vfio_user_send_error(struct vfio_user_server *server, struct vfio_user_conn *conn,
		     const struct vfio_user_hdr *request, int error)
{
	struct vfio_user_hdr hdr = { .id = request->id, .cmd = request->cmd,
				     .size = sizeof(hdr),
				     .flags = VFIO_USER_F_REPLY | VFIO_USER_F_ERROR,
				     .error = (uint32_t)-error };
	struct iovec iov = { &hdr, sizeof(hdr) };

	if (!wants_reply(request))
		return 0;
	server->stats.errors_sent++;
	return send_or_keep(server, conn, &iov, 1, NULL, 0);
}

/* All of it went, or the connection ends. */
static void
tx_end(struct vfio_user_server *server, struct vfio_user_conn *conn)
{
	epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
	free(conn->tx.data);
	conn->tx = (struct vfio_user_tx){ .data = NULL };
}

static void
drop_unread(struct vfio_user_server *server, int error)
{
	char why[VFIO_USER_WHY_LEN];

	server->stats.dropped_unread++;
	snprintf(why, sizeof(why), "client does not take its replies: %s", strerror(-error));
	vfio_user_conn_drop(server, why);
}

/* One step: the owner has others to serve. epoll calls again. */
void
vfio_user_conn_flush(struct vfio_user_server *server)
{
	struct vfio_user_conn *conn = server->conn;
	struct vfio_user_tx *tx;
	struct iovec iov;
	ssize_t n;

	if (conn == NULL || conn->tx.data == NULL)
		return;
	tx = &conn->tx;
	iov = (struct iovec){ tx->data + tx->sent, tx->len - tx->sent };
	n = vfio_user_send_some(conn->fd, &iov, 1, tx->fd, tx->nb_fds);
	if (n > 0) {
		tx->sent += (size_t)n;
		tx->nb_fds = 0;
	}
	if (n == -EPIPE || n == -ECONNRESET)
		vfio_user_conn_drop(server, "client hung up");
	else if (n < 0)
		drop_unread(server, (int)n);
	else if (tx->sent == tx->len)
		tx_end(server, conn);
	else if (vfio_user_now_ms() >= tx->deadline_ms)
		drop_unread(server, -ETIMEDOUT);
}

void
vfio_user_rx_failed(struct vfio_user_server *server, struct vfio_user_conn *conn, int error,
		    char *why)
{
	const struct vfio_user_rx *rx = &conn->rx;

	if (error == -ENOTCONN) {
		snprintf(why, VFIO_USER_WHY_LEN, "client hung up");
	} else if (error == -EMSGSIZE) {
		server->stats.bad_size++;
		snprintf(why, VFIO_USER_WHY_LEN, "command %u of %u bytes, allowed are %zu to %u",
			 rx->hdr.cmd, rx->hdr.size, sizeof(rx->hdr), rx->max_size);
		vfio_user_send_error(server, conn, &rx->hdr, -EMSGSIZE);
	} else if (error == -ETOOMANYREFS) {
		server->stats.bad_fds++;
		snprintf(why, VFIO_USER_WHY_LEN, "more than %u descriptors in a message",
			 rx->max_fds);
	} else if (error == -ECONNRESET && rx->have > 0) {
		if (rx->have < sizeof(rx->hdr))
			server->stats.bad_header++;
		else
			server->stats.bad_size++;
		snprintf(why, VFIO_USER_WHY_LEN, "client hung up after %u bytes of a message",
			 rx->have);
	} else {
		snprintf(why, VFIO_USER_WHY_LEN, "receive: %s", strerror(-error));
	}
}

void
vfio_user_conn_drop(struct vfio_user_server *server, const char *why)
{
	struct vfio_user_conn *conn = server->conn;

	if (conn == NULL)
		return;
	server->in_callback = true;
	server->ops.disconnected(server->ctx, why);
	server->in_callback = false;
	server->close_pending = false;
	server->conn = NULL;
	/* If a thread is stuck in fire() the next attach tries again. */
	if (vfio_user_irq_clear_all(server) == 0)
		vfio_user_irq_clear_latches(server);
	if (conn->tx.data != NULL)
		tx_end(server, conn); /* its socket may stay open for a while, and is not polled */
	vfio_user_conn_free(conn);
	vfio_user_arm_timer(server);
}

void
vfio_user_conn_close(struct vfio_user_server *server, const char *why)
{
	if (server->conn == NULL)
		return;
	if (!server->in_callback) {
		vfio_user_conn_drop(server, why);
		return;
	}
	/* A handler is on the stack and still uses the connection. */
	server->close_pending = true;
	snprintf(server->close_why, sizeof(server->close_why), "%s", why);
}

/* Handle the message that is complete in rx and reply. 0, or a negative errno of the reply. */
static int
dispatch(struct vfio_user_server *server, struct vfio_user_conn *conn)
{
	struct vfio_user_reply reply = { 0 };
	int rc;

	server->stats.messages++;
	rc = vfio_user_check_request(server, &conn->rx);
	if (rc == 0) {
		server->in_callback = true;
		rc = vfio_user_handle(server, &conn->rx, &reply);
		server->in_callback = false;
	}
	if (server->close_pending)
		rc = 0;
	else if (rc < 0)
		rc = vfio_user_send_error(server, conn, &conn->rx.hdr, rc);
	else
		rc = vfio_user_send_reply(server, conn, &conn->rx.hdr, &reply);
	if (reply.data != reply.small)
		free(reply.data);
	return rc;
}

/* The client isn't polled meanwhile: only the timer brings it back. */
static void
await_closing(struct vfio_user_server *server)
{
	if (vfio_user_server_closing(server))
		vfio_user_arm_timer(server);
}

int
vfio_user_conn_process(struct vfio_user_server *server)
{
	struct vfio_user_conn *conn = server->conn;
	char why[VFIO_USER_WHY_LEN];
	int rc;

	if (conn == NULL)
		return -ENOTCONN;
	if (conn->tx.data != NULL || server->closing || vfio_user_server_closing(server))
		return 0; /* first it takes the reply that waits, and what it sent is closed */
	rc = vfio_user_rx_step(conn->fd, &conn->rx);
	if (rc == 0) {
		await_closing(server);
		return 0;
	}
	if (rc < 0) {
		vfio_user_rx_failed(server, conn, rc, why);
		vfio_user_conn_drop(server, why);
		return rc;
	}
	rc = dispatch(server, conn);
	vfio_user_rx_reset(&conn->rx);
	await_closing(server);
	if (server->close_pending) {
		memcpy(why, server->close_why, sizeof(why));
		vfio_user_conn_drop(server, why);
		return -ECONNABORTED;
	}
	if (rc < 0) {
		if (rc == -EPIPE || rc == -ECONNRESET)
			vfio_user_conn_drop(server, "client hung up");
		else
			drop_unread(server, rc);
		return rc;
	}
	return 0;
}
